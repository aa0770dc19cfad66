//go:build unix

package reload

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"testing"
	"time"

	"picket/client"
)

// authority signs certificates and revokes them.
type authority struct {
	b    *broker
	name string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64 // serial number
	crl  *x509.RevocationList
}

// newAuthority makes an authority and writes its certificate to NAME.pem.
func (b *broker) newAuthority(name string) *authority {
	a := &authority{b: b, name: name, next: 1, crl: &x509.RevocationList{Number: big.NewInt(0)}}
	a.key = b.newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		b.t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		b.t.Fatal(err)
	}
	b.writePEM(name+".pem", "CERTIFICATE", der)
	return a
}

func (b *broker) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.t.Fatal(err)
	}
	return key
}

func (b *broker) writePEM(name, kind string, der []byte) {
	if err := os.WriteFile(b.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// issue makes a certificate for 127.0.0.1 and writes it to FILE.pem and FILE.key.
func (a *authority) issue(file, name string) tls.Certificate {
	a.next++
	key := a.b.newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.next), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.b.t.Fatal(err)
	}
	a.b.writePEM(file+".pem", "CERTIFICATE", der)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.b.t.Fatal(err)
	}
	a.b.writePEM(file+".key", "PRIVATE KEY", secret)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// revoke writes NAME.crl with the certificates revoked so far and the given ones.
func (a *authority) revoke(certs ...tls.Certificate) {
	for _, c := range certs {
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			a.b.t.Fatal(err)
		}
		a.crl.RevokedCertificateEntries = append(a.crl.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: leaf.SerialNumber, RevocationTime: time.Now()})
	}
	a.crl.Number.Add(a.crl.Number, big.NewInt(1))
	a.crl.ThisUpdate, a.crl.NextUpdate = time.Now(), time.Now().Add(time.Hour)
	der, err := x509.CreateRevocationList(rand.Reader, a.crl, a.cert, a.key)
	if err != nil {
		a.b.t.Fatal(err)
	}
	a.b.writePEM(a.name+".crl", "X509 CRL", der)
}

// overTLS returns the options of a client that trusts an authority and shows certificates.
func (b *broker) overTLS(id string, trusts *authority, shows ...tls.Certificate) client.Options {
	o := b.options(0, id, "")
	o.URL = fmt.Sprintf("mqtts://127.0.0.1:%d", b.ports[0])
	o.TLS = &tls.Config{RootCAs: x509.NewCertPool(), Certificates: shows}
	o.TLS.RootCAs.AddCert(trusts.cert)
	return o
}

// serves returns the common name in the certificate that the broker shows now.
func (b *broker) serves() string {
	b.t.Helper()
	c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", b.ports[0]), &tls.Config{InsecureSkipVerify: true}) // it is the name that is asked for
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// A new server certificate is shown to new connections; the others go on with the one they know.
func TestServerCertificate(t *testing.T) {
	const config = "listener PORT0\nallow_anonymous true\ncertfile DIR/server.pem\nkeyfile DIR/server.key\n"
	var ca *authority
	b := start(t, func(b *broker) {
		ca = b.newAuthority("ca")
		ca.issue("server", "first")
	}, config)
	old := b.connect(b.overTLS("old", ca))
	if got := b.serves(); got != "first" {
		t.Errorf("certificate %s", got)
	}
	ca.issue("server", "second")
	if got := b.serves(); got != "first" {
		t.Errorf("certificate %s before any reload", got)
	}
	b.reload(inForce)
	if got := b.serves(); got != "second" {
		t.Errorf("certificate %s after the reload", got)
	}
	old.stays("x")
	b.connect(b.overTLS("new", ca)).stays("x")

	// A key that does not belong to it keeps the old pair.
	ca.issue("other", "other")
	b.configure("listener PORT0\nallow_anonymous true\ncertfile DIR/server.pem\nkeyfile DIR/other.key\n")
	b.reload(refused)
	if got := b.serves(); got != "second" {
		t.Errorf("certificate %s after a reload that failed", got)
	}
	old.stays("x")
}

// Authorities and revocations count for new connections, and their users are told apart by name.
func TestClientCertificates(t *testing.T) {
	const config = "listener PORT0\nallow_anonymous false\ncertfile DIR/server.pem\nkeyfile DIR/server.key\n" +
		"require_certificate true\nuse_identity_as_username true\nacl_file DIR/acl\n"
	var ca, other *authority
	var ann, bob, eve tls.Certificate
	b := start(t, func(b *broker) {
		ca, other = b.newAuthority("ca"), b.newAuthority("other")
		ca.issue("server", "server")
		ann, bob, eve = ca.issue("ann", "ann"), ca.issue("bob", "bob"), other.issue("eve", "eve")
		ca.revoke()
		b.write("acl", "pattern readwrite %u/#\n")
	}, config+"cafile DIR/ca.pem\ncrlfile DIR/ca.crl\n")
	come := func(id string, cert tls.Certificate, may bool) {
		t.Helper()
		u, err := b.dial(b.overTLS(id, ca, cert))
		if may != (err == nil) {
			t.Errorf("%s: %v", id, err)
		}
		if err == nil {
			u.stays(id + "/x")
			u.Close()
		}
	}
	old := b.connect(b.overTLS("old", ca, ann))
	old.stays("ann/x")
	come("bob", bob, true)
	come("eve", eve, false)

	ca.revoke(bob)
	come("bob", bob, true) // the list has not been read yet
	b.reload(inForce)
	come("bob", bob, false)
	come("ann", ann, true)
	old.stays("ann/x")

	// Both authorities, and no list.
	both := append(readFile(t, b.path("ca.pem")), readFile(t, b.path("other.pem"))...)
	if err := os.WriteFile(b.path("both.pem"), both, 0o600); err != nil {
		t.Fatal(err)
	}
	b.configure(config + "cafile DIR/both.pem\n")
	b.reload(inForce)
	come("eve", eve, true)
	come("bob", bob, true)
	old.stays("ann/x")

	// Only the other one.
	b.configure(config + "cafile DIR/other.pem\n")
	b.reload(inForce)
	come("eve", eve, true)
	come("ann", ann, false)
	old.stays("ann/x") // was let in by what counted then
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
