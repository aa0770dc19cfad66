package gather

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/broker"
	"picket/doctor/host"
)

// certificates looks at those of the configurations, in the files and as they are served.
func (g *gatherer) certificates() {
	for i := range g.configs {
		c := &g.configs[i]
		for _, l := range c.config.Listeners {
			if l.TLS.CertFile == "" || l.Port == 0 || len(g.Ports) > 0 && !slices.Contains(g.Ports, l.Port) {
				continue
			}
			g.certificate(c, l)
			if l.TLS.RequireCertificate {
				g.trust(c, l)
			}
		}
	}
}

// trust looks at what client certificates are checked with: an authority or a list of revoked ones that has run out refuses them all.
func (g *gatherer) trust(c *configuration, l *broker.Listener) {
	if chain, err := readChain(inside(c.root, l.TLS.CAFile)); err == nil {
		for _, ca := range chain {
			if days := g.daysTo(ca.NotAfter); days < 0 {
				g.add(host.Trust{File: l.TLS.CAFile, What: host.ClientCA, Port: l.Port, Days: days, NotAfter: ca.NotAfter.Unix(), Name: ca.Subject.String()})
			}
		}
	}
	if l.TLS.CRLFile == "" {
		return
	}
	data, err := os.ReadFile(inside(c.root, l.TLS.CRLFile))
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			g.unread("certificates", err)
		}
		return
	}
	if block, _ := pem.Decode(data); block != nil {
		data = block.Bytes
	}
	list, err := x509.ParseRevocationList(data)
	if err != nil || list.NextUpdate.IsZero() {
		return // the broker says what is wrong with it when it starts
	}
	g.add(host.Trust{File: l.TLS.CRLFile, What: host.RevocationList, Port: l.Port, Days: g.daysTo(list.NextUpdate), NotAfter: list.NextUpdate.Unix(), Name: list.Issuer.String()})
}

// daysTo is how many days there are until a time, negative after it.
func (g *gatherer) daysTo(t time.Time) int { return int(math.Floor(t.Sub(g.now).Hours() / 24)) }

// reader is who has to read a file.
type reader struct {
	name string
	uid  int
	gids []int
}

// readerOf is the process that was started with a configuration, or the user whom the unit of systemd or the configuration names.
func (g *gatherer) readerOf(c *configuration) (r reader, known bool) {
	for _, b := range g.brokers {
		if b.fact.PID == c.pid && b.uid >= 0 {
			return reader{b.fact.User, b.uid, b.gids}, true
		}
	}
	u, err := user.Lookup(cmp.Or(g.unitUser(c.fact.Program), c.user))
	if err != nil {
		return reader{}, false
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return reader{}, false
	}
	r = reader{name: u.Username, uid: uid}
	ids, err := u.GroupIds()
	if err != nil {
		return reader{}, false
	}
	for _, id := range ids {
		if gid, err := strconv.Atoi(id); err == nil {
			r.gids = append(r.gids, gid)
		}
	}
	return r, true
}

// unitUser is the user whom a program's unit of systemd starts it as; empty: it is root, or there is no unit.
func (g *gatherer) unitUser(program string) string {
	for _, f := range g.facts {
		if u, is := f.(host.Unit); is && u.Unit == program+".service" {
			return u.User
		}
	}
	return ""
}

func (g *gatherer) certificate(c *configuration, l *broker.Listener) {
	f := host.Certificate{File: l.TLS.CertFile, KeyFile: l.TLS.KeyFile, Port: l.Port}
	certFile, keyFile := inside(c.root, l.TLS.CertFile), inside(c.root, l.TLS.KeyFile)
	chain, err := readChain(certFile)
	if errors.Is(err, os.ErrPermission) {
		g.unread("certificates", err)
		g.servedOnly(l.Port, l.Address)
		return
	}
	if err != nil {
		f.Error = bare(err)
		g.add(f)
		return
	}
	g.describe(&f, chain, caOf(inside(c.root, l.TLS.CAFile)))
	if r, known := g.readerOf(c); known {
		f.User = r.name
		for _, file := range []string{certFile, keyFile} {
			if denied := r.denied(file); denied != "" && f.Denied == "" {
				f.Denied = strings.TrimPrefix(denied, c.root)
			}
		}
	}
	if info, err := os.Stat(keyFile); err == nil {
		f.KeyOpen, f.KeyMode = info.Mode().Perm()&0o004 != 0, fmt.Sprintf("%04o", info.Mode().Perm())
	}
	f.KeyMismatch = mismatch(certFile, keyFile)
	f.KeyLocked = locked(keyFile)
	g.serve(&f, l.Address, chain[0])
	g.add(f)
}

// readChain reads the certificates of a file, at least one.
func readChain(file string) (chain []*x509.Certificate, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for len(data) > 0 {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errors.New("there is no certificate in it (PEM, between BEGIN CERTIFICATE and END CERTIFICATE)")
	}
	return chain, nil
}

func caOf(file string) []*x509.Certificate {
	if file == "" {
		return nil
	}
	chain, err := readChain(file)
	if err != nil {
		return nil
	}
	return chain
}

// describe fills in what the certificate says.
func (g *gatherer) describe(f *host.Certificate, chain, cas []*x509.Certificate) {
	leaf := chain[0]
	f.Names = append(f.Names, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		f.Names = append(f.Names, ip.String())
	}
	if len(f.Names) == 0 {
		f.Names = []string{leaf.Subject.CommonName}
	}
	f.Issuer = leaf.Issuer.CommonName
	if f.Issuer == "" {
		f.Issuer = leaf.Issuer.String()
	}
	f.NotAfter, f.Days, f.Future = leaf.NotAfter.Unix(), g.days(leaf), g.now.Before(leaf.NotBefore)
	f.Incomplete, f.Private = completeness(chain, cas)
	if g.Name != "" && leaf.VerifyHostname(g.Name) != nil {
		f.WrongName = g.Name
	}
}

// days are the whole days until a certificate's end; negative since then.
func (g *gatherer) days(c *x509.Certificate) int {
	return int(math.Floor(c.NotAfter.Sub(g.now).Hours() / 24))
}

// completeness says whether a certificate lacks those that lead to a root that this machine trusts, and whether it is of a private
// authority, whose certificate clients have to have anyway.
func completeness(chain, cas []*x509.Certificate) (incomplete, private bool) {
	leaf := chain[0]
	if leaf.Issuer.String() == leaf.Subject.String() {
		return false, true
	}
	issuerThere := false
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
		issuerThere = issuerThere || c.Subject.String() == leaf.Issuer.String()
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Intermediates: intermediates, CurrentTime: leaf.NotBefore.Add(time.Hour), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err == nil {
		return false, false
	}
	for _, ca := range cas {
		if ca.Subject.String() == leaf.Issuer.String() {
			return false, true
		}
	}
	// Public authorities say where their certificate is; private ones seldom do.
	return !issuerThere && len(leaf.IssuingCertificateURL) > 0, len(leaf.IssuingCertificateURL) == 0
}

// denied is the folder or file on the way that the reader may not pass or read; empty if there is none.
func (r reader) denied(path string) string {
	if r.uid == 0 || path == "" {
		return ""
	}
	ways := []string{path}
	if led, err := filepath.EvalSymlinks(path); err == nil && led != path && !strings.HasPrefix(path, "/proc/") { // links of a container lead elsewhere from here
		ways = append(ways, led)
	}
	for _, way := range ways {
		for _, dir := range folders(way) {
			if info, err := os.Stat(dir); err == nil && !r.may(dir, info, 0o1) {
				return dir
			}
		}
	}
	if info, err := os.Stat(path); err == nil && !r.may(path, info, 0o4) {
		return path
	}
	return ""
}

// folders are those on the way to a file, the outermost first.
func folders(path string) (all []string) {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		all = append(all, dir)
		if dir == filepath.Dir(dir) || dir == "." {
			slices.Reverse(all)
			return all
		}
	}
}

// mismatch says whether the key is another certificate's. Keys that cannot be read here, or are encrypted, are not judged.
func mismatch(certFile, keyFile string) bool {
	certificate, err := os.ReadFile(certFile)
	if err != nil {
		return false
	}
	key, err := os.ReadFile(keyFile)
	if err != nil || strings.Contains(string(key), "ENCRYPTED") {
		return false
	}
	_, err = tls.X509KeyPair(certificate, key)
	return err != nil && strings.Contains(err.Error(), "does not match")
}

// locked tells whether a key can be used with a pass phrase only, which nobody is there to give to a service.
func locked(keyFile string) bool {
	key, err := os.ReadFile(keyFile)
	return err == nil && (strings.Contains(string(key), "BEGIN ENCRYPTED PRIVATE KEY") || strings.Contains(string(key), "Proc-Type: 4,ENCRYPTED"))
}

// serveLimit is how long a handshake on the machine itself may take.
const serveLimit = 5 * time.Second

// serve sees which certificate a connection to the port gets.
func (g *gatherer) serve(f *host.Certificate, address string, leaf *x509.Certificate) {
	served, err := g.servedBy(address, f.Port)
	if err != nil {
		return // that the port does not answer, other facts tell
	}
	f.Served, f.Other, f.ServedDays = true, !served.Equal(leaf), g.days(served)
}

// servedOnly looks at a certificate whose file cannot be read.
func (g *gatherer) servedOnly(port int, address string) {
	served, err := g.servedBy(address, port)
	if err != nil {
		return
	}
	f := host.Certificate{Port: port, Served: true, ServedDays: g.days(served)}
	g.describe(&f, []*x509.Certificate{served}, nil)
	f.Incomplete = false // the others that were served are not looked at
	g.add(f)
}

func (g *gatherer) servedBy(address string, port int) (*x509.Certificate, error) {
	if address == "" || address == "0.0.0.0" || address == "::" {
		address = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(g.ctx, serveLimit)
	defer cancel()
	// Nothing is sent and nothing believed: it is only looked at.
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, ServerName: g.Name}}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(address, itoa(port)))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	chain := conn.(*tls.Conn).ConnectionState().PeerCertificates // what the dialer gives
	if len(chain) == 0 {
		return nil, errors.New("no certificate was served")
	}
	return chain[0], nil
}
