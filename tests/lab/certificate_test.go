//go:build linux

package lab

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// host is the name of the server, for which certificates are issued.
const host = "broker.test"

// authority is a certificate with its key.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

var serial atomic.Int64

// key is shared by all certificates: making one takes long on a small machine. It is RSA's, which old cipher suites need.
var key = sync.OnceValue(func() crypto.Signer {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// authorityKeys are those of authorities: were they all the same, one authority's signature would do for another's.
func authorityKey(t *testing.T) crypto.Signer {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// issue makes a certificate for the server; change may be nil. By nil it is self-signed.
func issue(t *testing.T, by *authority, change func(*x509.Certificate)) *authority {
	t.Helper()
	return sign(t, by, key(), change)
}

func sign(t *testing.T, by *authority, k crypto.Signer, change func(*x509.Certificate)) *authority {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1000 + serial.Add(1)), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, IPAddresses: []net.IP{net.ParseIP(server4)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(c)
	}
	parent, signer := c, k
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, k.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, k}
}

// ca makes an authority.
func ca(t *testing.T, by *authority, name string) *authority {
	t.Helper()
	return sign(t, by, authorityKey(t), func(c *x509.Certificate) {
		c.Subject = pkix.Name{Organization: strings.Fields(name)[:1], CommonName: name}
		c.DNSNames, c.IPAddresses, c.ExtKeyUsage = nil, nil, nil
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	})
}

// authorities that are trusted, and the one that is not; made once.
var (
	garden   = &shared{name: "Garden Root"}
	stranger = &shared{name: "Stranger"}
)

type shared struct {
	name string
	once sync.Once
	a    *authority
}

func (s *shared) get(t *testing.T) *authority {
	s.once.Do(func() { s.a = ca(t, nil, s.name) })
	return s.a
}

func dated(from, to time.Duration) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to) }
}

func forClients(c *x509.Certificate) {
	c.Subject.CommonName, c.ExtKeyUsage = "fountain", []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
}

func pemOf(all ...*authority) string {
	var b strings.Builder
	for _, a := range all {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
	}
	return b.String()
}

func pemKey(t *testing.T, a *authority) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// certificates writes ca.crt, NAME.crt (the chain) and NAME.key into the world's folder.
func (w *world) certificates(name string, chain ...*authority) {
	w.t.Helper()
	w.file("ca.crt", pemOf(garden.get(w.t)))
	w.file(name+".crt", pemOf(chain...))
	w.file(name+".key", pemKey(w.t, chain[0]))
}

// path is that of a file in the world's folder.
func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// revoked is a list of revoked certificates.
func revoked(t *testing.T, by *authority, all ...*authority) string {
	t.Helper()
	return revokedAt(t, by, 24*time.Hour, all...)
}

// revokedAt is one that is to be renewed after a while, which may be past.
func revokedAt(t *testing.T, by *authority, renewal time.Duration, all ...*authority) string {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(min(-time.Hour, renewal-time.Hour)), NextUpdate: time.Now().Add(renewal)}
	for _, a := range all {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: a.cert.SerialNumber, RevocationTime: time.Now().Add(-time.Minute)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, by.cert, by.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

// serverConfig is that of a TLS server of Go's, for what no broker does.
func serverConfig(chain ...*authority) *tls.Config {
	c := tls.Certificate{PrivateKey: chain[0].key}
	for _, a := range chain {
		c.Certificate = append(c.Certificate, a.cert.Raw)
	}
	return &tls.Config{Certificates: []tls.Certificate{c}}
}

// passwords makes a password file with mosquitto's own program.
func (w *world) passwords() {
	w.t.Helper()
	w.run(serverSide, "mosquitto_passwd", "-b", "-c", w.path("passwords"), user, password)
	if err := os.Chmod(w.path("passwords"), 0o600); err != nil {
		w.t.Fatal(err)
	}
}
