package setup

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	caLifetime = 10 * 365 * 24 * time.Hour

	// serverLifetime is the most that Apple's systems accept from certificates that must be publicly trusted, less a day.
	serverLifetime = 397 * 24 * time.Hour

	// renewBefore leaves four months in which one start or reload is enough to renew.
	renewBefore = 120 * 24 * time.Hour

	// backdate makes certificates valid for clients whose clocks are behind.
	backdate = 24 * time.Hour
)

// localDomains are the names of machines in networks without a domain of their own: multicast DNS, what home routers use, and
// RFC 8375.
var localDomains = []string{"localhost", "local", "lan", "home", "internal", "home.arpa"}

// authority is the certificate authority with its key.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (r *Result) prepareCertificates(o Options) error {
	ca, caErr := r.loadAuthority(o.Now)
	if caErr != nil && !errors.Is(caErr, errNoAuthority) {
		// Without its key nothing can be issued, but what was issued before is still good until it ends.
		cert, err := readCertificate(r.CAFile)
		if err == nil {
			if reason := r.whyIssue(o, cert); reason == "" {
				return nil
			}
		}
		return caErr
	}
	if caErr != nil {
		var err error
		if ca, err = r.newAuthority(o); err != nil {
			return err
		}
		r.NewCA = true
	}
	r.Left = notPermitted(o, ca.cert)
	reason := r.whyIssue(o, ca.cert)
	if reason == "" {
		return nil
	}
	if err := r.issue(o, ca); err != nil {
		return err
	}
	r.Issued = reason
	return nil
}

// errNoAuthority: there is none yet, or one that no client can be using.
var errNoAuthority = errors.New("no certificate authority")

// loadAuthority reads the certificate authority, or returns errNoAuthority when a new one is to be made.
func (r *Result) loadAuthority(now time.Time) (authority, error) {
	keyPath := filepath.Join(r.Dir, caKeyFile)
	cert, err := readCertificate(r.CAFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return authority{}, errNoAuthority
	case err != nil:
		return authority{}, err
	case now.After(cert.NotAfter):
		return authority{}, errNoAuthority
	}
	key, err := readKey(keyPath)
	if err == nil && !key.PublicKey.Equal(cert.PublicKey) {
		err = fmt.Errorf("%s is not the key of %s", keyPath, r.CAFile)
	}
	if err != nil {
		return authority{}, fmt.Errorf("the server certificate has to be made anew and cannot be: %w; put the key back, or remove %s, "+
			"and the next start makes a new certificate authority, which every client that uses TLS has to be given", err, r.CAFile)
	}
	return authority{cert, key}, nil
}

func (r *Result) newAuthority(o Options) (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, fmt.Errorf("certificate authority: %w", err)
	}
	name := "Picket CA"
	if o.Hostname != "" {
		name += " of " + o.Hostname
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             o.Now.Add(-backdate),
		NotAfter:              o.Now.Add(-backdate + caLifetime),
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		// A phone that trusts this authority trusts it for this machine and for local names only: whoever steals the key
		// cannot be the phone's bank. Not critical, because the TLS libraries of small devices (Mbed TLS) refuse critical
		// extensions that they do not know.
		PermittedDNSDomains: permittedDomains(append([]string{o.Hostname}, o.Names...)...),
		ExtKeyUsage:         []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return authority{}, fmt.Errorf("certificate authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return authority{}, fmt.Errorf("certificate authority: %w", err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return authority{}, fmt.Errorf("certificate authority: %w", err)
	}
	// The key first: a certificate without a key would look like one whose key was taken away.
	if err := writeFile(filepath.Join(r.Dir, caKeyFile), keyPEM, 0o600); err != nil {
		return authority{}, fmt.Errorf("certificate authority: %w", err)
	}
	if err := writeFile(r.CAFile, encodeCertificate(der), 0o644); err != nil {
		return authority{}, fmt.Errorf("certificate authority: %w", err)
	}
	return authority{cert, key}, nil
}

// whyIssue says why the server certificate has to be made anew; empty if it is good, and then its end is noted.
func (r *Result) whyIssue(o Options, ca *x509.Certificate) string {
	pair, err := tls.LoadX509KeyPair(r.CertFile, r.KeyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there was none"
	case err != nil:
		return "the one that was there cannot be read: " + err.Error()
	}
	cert := pair.Leaf
	if cert.CheckSignatureFrom(ca) != nil {
		return "the one that was there is of another certificate authority"
	}
	if o.Now.Add(renewBefore).After(cert.NotAfter) && cert.NotAfter.Before(ca.NotAfter) {
		return "the one that was there ends on " + cert.NotAfter.Format(time.DateOnly)
	}
	if o.Now.Before(cert.NotBefore) {
		return "the one that was there begins on " + cert.NotBefore.Format(time.DateOnly)
	}
	names, addrs := identities(o, ca)
	for _, name := range names {
		if !slices.Contains(cert.DNSNames, name) {
			return "the name " + name + " is new"
		}
	}
	for _, addr := range addrs {
		if !slices.ContainsFunc(cert.IPAddresses, addr.Equal) {
			return "the address " + addr.String() + " is new"
		}
	}
	r.NotAfter = cert.NotAfter
	return ""
}

func (r *Result) issue(o Options, ca authority) error {
	key, err := r.serverKey()
	if err != nil {
		return fmt.Errorf("server certificate: %w", err)
	}
	names, addrs := identities(o, ca.cert)
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: names[0]},
		NotBefore:   o.Now.Add(-backdate),
		NotAfter:    o.Now.Add(-backdate + serverLifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    names,
		IPAddresses: addrs,
	}
	if template.NotAfter.After(ca.cert.NotAfter) {
		template.NotAfter = ca.cert.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		return fmt.Errorf("server certificate: %w", err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return fmt.Errorf("server certificate: %w", err)
	}
	if err := writeFile(r.CertFile, append(encodeCertificate(der), keyPEM...), 0o600); err != nil {
		return fmt.Errorf("server certificate: %w", err)
	}
	r.NotAfter = template.NotAfter
	return nil
}

// serverKey is the key of the certificate that is renewed, since some devices pin it; a new one where there is none that can be read.
func (r *Result) serverKey() (*ecdsa.PrivateKey, error) {
	if pair, err := tls.LoadX509KeyPair(r.CertFile, r.KeyFile); err == nil {
		if key, ok := pair.PrivateKey.(*ecdsa.PrivateKey); ok {
			return key, nil
		}
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// identities are the names and addresses that a server certificate is made for. Names that the authority may not certify are
// left out, since one of them would spoil the whole certificate: the machine may have been renamed since.
func identities(o Options, ca *x509.Certificate) (names []string, addrs []net.IP) {
	host := strings.ToLower(o.Hostname)
	for _, name := range append([]string{host, host + ".local", "localhost"}, o.Names...) {
		if hostname(name) && permitted(name, ca) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	all := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}
	given := slices.Clone(o.Addresses)
	for _, name := range o.Names {
		if a, err := netip.ParseAddr(name); err == nil {
			given = append(given, a)
		}
	}
	for _, a := range given {
		if !a.IsLinkLocalUnicast() && !a.IsUnspecified() && !a.IsMulticast() {
			all = append(all, a.Unmap().WithZone(""))
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	for _, a := range slices.Compact(all) {
		addrs = append(addrs, a.AsSlice())
	}
	return names, addrs
}

// permitted says whether an authority may certify a name.
func permitted(name string, ca *x509.Certificate) bool {
	return slices.ContainsFunc(ca.PermittedDNSDomains, func(domain string) bool {
		return name == domain || strings.HasSuffix(name, "."+domain)
	})
}

// notPermitted are the names that people use and the authority may not certify.
func notPermitted(o Options, ca *x509.Certificate) (left []string) {
	for _, name := range o.Names {
		if _, err := netip.ParseAddr(name); err != nil && !(hostname(name) && permitted(name, ca)) {
			left = append(left, name)
		}
	}
	return left
}

// permittedDomains are what an authority is limited to: the names of local networks, and those of this machine.
func permittedDomains(names ...string) []string {
	domains := slices.Clone(localDomains)
	for _, name := range names {
		if name = strings.ToLower(name); hostname(name) && !slices.Contains(domains, name) {
			domains = append(domains, name)
		}
	}
	return domains
}

// hostname says whether name can stand in a certificate: labels of letters, digits and dashes. Machines may be called
// otherwise (with an underscore, or in Chinese), and such a name is left out.
func hostname(name string) bool {
	if name == "" || len(name) > 253 || net.ParseIP(name) != nil {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

func readCertificate(path string) (*x509.Certificate, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s does not begin with a certificate in PEM form", path)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return cert, nil
}

func readKey(path string) (*ecdsa.PrivateKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key in PEM form", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: want an ECDSA key, got %T", path, parsed)
	}
	return key, nil
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// writeFile writes a file whole or not at all, also if the machine stops meanwhile.
func writeFile(path string, data []byte, mode fs.FileMode) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Chmod(mode)
	}
	if err == nil {
		err = ownAsFolder(tmp)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
