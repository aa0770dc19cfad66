package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"picket/acme"
	"picket/cause"
	"picket/logging"
	"picket/mosqconf"
	"picket/reach"
	"picket/setup"
)

// authorityDir is the folder of the account and the certificates of a public authority, in a data directory.
const authorityDir = "acme"

// renewal is when certificates are renewed: as package acme does. Tests do not wait that long.
var renewal acme.Renewal

// authorityName is the name or address that a certificate is wanted for; empty when nothing tells this machine's public address.
func authorityName(c mosqconf.ACME, place *setup.Place) string {
	if c.Name != "auto" {
		return c.Name
	}
	for _, name := range place.Names {
		if a, err := netip.ParseAddr(name); err == nil && !a.IsPrivate() {
			return name
		}
	}
	if len(place.Public) > 0 {
		return place.Public[0].String()
	}
	for _, a := range []netip.Addr{place.Host.Outbound4, place.Host.Outbound6} {
		if a.IsValid() && reach.ScopeOf(reach.Interface{}, a) == reach.Internet {
			return a.String()
		}
	}
	return ""
}

// authorityFile is the certificate of a public authority in a data directory, with its key.
func authorityFile(dir string) string { return acme.File(filepath.Join(dir, authorityDir)) }

// certified reads that certificate; nil if there is none, or it has ended.
func certified(dir string) *x509.Certificate {
	pair, err := tls.LoadX509KeyPair(authorityFile(dir), authorityFile(dir))
	if err != nil || time.Now().After(pair.Leaf.NotAfter) {
		return nil
	}
	return pair.Leaf
}

// useAuthority has the listeners that would serve the certificate of the data directory serve that of the public authority, once there is one that
// has not ended. The name that it is for is the one that people are told, from the first start on.
func useAuthority(config *mosqconf.Config, own *setup.Result) {
	if own == nil || config.ACME.Name == "" {
		return
	}
	if config.ACME.Name != "auto" {
		tellFirst(own.Place, config.ACME.Name)
	}
	leaf := certified(own.Dir)
	if leaf == nil || leaf.VerifyHostname(authorityName(config.ACME, own.Place)) != nil {
		return
	}
	file := authorityFile(own.Dir)
	for _, l := range config.Listeners {
		if l.TLS.CertFile == own.CertFile {
			l.TLS.CertFile, l.TLS.KeyFile = file, file
			own.Trusted = true
		}
	}
}

// tellFirst puts a name in front of those that people are told to connect to.
func tellFirst(place *setup.Place, name string) {
	place.Names = append([]string{name}, slices.DeleteFunc(slices.Clone(place.Names), func(n string) bool { return n == name })...)
}

// openAuthority opens the ports that a public authority connects to. A broker that cannot have a certificate of one starts all the same, and says why.
func (s *serveCommand) openAuthority(config *mosqconf.Config, own *setup.Result, log *logging.Logger) *acme.Manager {
	c := config.ACME
	if c.Name == "" {
		return nil
	}
	if own == nil {
		log.Cause(logging.Warning, cause.ConfigNoEffect, "Warning: acme_name has no effect without data_dir, where the certificate is kept.")
		return nil
	}
	name := authorityName(c, own.Place)
	if name == "" {
		log.Cause(logging.Warning, cause.NoPublicIP, "Warning: There is no certificate of a public authority: nothing tells this machine's public address. --name ADDRESS (server_name in a file) does.")
		return nil
	}
	manager, err := acme.Open(acme.Config{
		Dir: filepath.Join(own.Dir, authorityDir), Name: name, Email: c.Email, CA: c.CA, Roots: c.Roots, HTTPPort: c.HTTPPort, TLSPort: c.TLSPort, Renewal: renewal,
	})
	if err != nil {
		log.Cause(logging.Warning, cause.ACMEPortTaken, "Warning: There is no certificate of a public authority: %v.", err)
		return nil
	}
	return manager
}

// startAuthority begins to ask for the certificate. Nobody waits for it: until it comes, the one of the data directory serves.
func (s *server) startAuthority(ctx context.Context) {
	if s.authority == nil {
		return
	}
	err := s.authority.Start(ctx, func(name string, notAfter time.Time) {
		s.log.Printf(logging.Notice, "There is a certificate of a public authority for %s, valid until %s: clients trust it by themselves.", name, notAfter.Local().Format(time.DateTime))
		select {
		case s.renewed <- struct{}{}:
		default: // it is due already
		}
	}, s.refused)
	if err != nil {
		s.log.Printf(logging.Error, "Error: no certificate of a public authority is asked for: %v.", err)
	}
}

// refused says why there is no new certificate, the louder the sooner the one in use ends.
func (s *server) refused(f acme.Failure) {
	level, rest := logging.Warning, "The one of the data directory is served meanwhile, which clients have to be told to trust."
	if !f.Until.IsZero() {
		rest = "The one in use goes on being served; it ends on " + f.Until.Local().Format(time.DateTime) + "."
		if f.Share < 1.0/6 {
			level = logging.Error
		}
	}
	words := map[logging.Type]string{logging.Warning: "Warning", logging.Error: "Error"}[level]
	s.log.Cause(level, f.Cause, "%s: %v. %s", words, &f, rest)
}
