package testbed

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"testing"
	"time"
)

// CA is a certificate authority of a test. Its own certificate and those that it issues are valid from an hour ago to an hour from now.
type CA struct {
	File string // its certificate
	Cert *x509.Certificate
	key  *ecdsa.PrivateKey
	crl  *x509.RevocationList
	next int64 // serial number
}

// NewCA makes an authority and writes its certificate to file.
func NewCA(t testing.TB, file string) *CA {
	t.Helper()
	ca := &CA{File: file, key: newKey(t), next: 1, crl: &x509.RevocationList{Number: big.NewInt(0)}}
	template := newTemplate(ca.next, "Test CA "+file)
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &ca.key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	if ca.Cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writePEM(t, file, "CERTIFICATE", der)
	return ca
}

// Pool returns the authority as roots to trust.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Cert)
	return pool
}

// Pair is a certificate with its key, in memory and in files.
type Pair struct {
	tls.Certificate
	CertFile, KeyFile string
	CA                *CA
}

// Issue makes a certificate for 127.0.0.1 and localhost, for servers and clients, and writes it to name.pem and name.key. change, unless nil, changes it
// before it is signed; its Common Name is localhost until then.
func (ca *CA) Issue(t testing.TB, name string, change func(*x509.Certificate)) Pair {
	t.Helper()
	ca.next++
	key, template := newKey(t), newTemplate(ca.next, "localhost")
	template.DNSNames, template.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Cert, &key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p := Pair{CertFile: name + ".pem", KeyFile: name + ".key", CA: ca, Certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}
	if p.Leaf, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writePEM(t, p.CertFile, "CERTIFICATE", der)
	writePEM(t, p.KeyFile, "PRIVATE KEY", secret)
	return p
}

// Revoke adds certificates to those that are revoked, and writes the list of all of them to file.
func (ca *CA) Revoke(t testing.TB, file string, certs ...Pair) {
	t.Helper()
	for _, c := range certs {
		ca.crl.RevokedCertificateEntries = append(ca.crl.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: c.Leaf.SerialNumber, RevocationTime: time.Now()})
	}
	ca.crl.Number.Add(ca.crl.Number, big.NewInt(1))
	ca.crl.ThisUpdate, ca.crl.NextUpdate = time.Now(), time.Now().Add(time.Hour)
	der, err := x509.CreateRevocationList(rand.Reader, ca.crl, ca.Cert, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, file, "X509 CRL", der)
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newTemplate(serial int64, name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
}

// writePEM writes a file that a broker can read that has given up root's rights: the keys open nothing but this test.
func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
}
