//go:build linux

package sentinel

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
	"path/filepath"
	"testing"
	"time"

	"picket/resp"
)

// TestTLS: sentinels, one of them Redis', and servers speak TLS only, with certificates on both sides, through a failover.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	client, err := newCertificates(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := fmt.Sprintf("tls-cert-file %[1]s/cert.pem\ntls-key-file %[1]s/key.pem\ntls-ca-cert-file %[1]s/ca.pem\ntls-replication yes\n", dir)
	g := newGroup(t, options{servers: 2, sentinels: "ppc", server: files, sentinel: files, tls: client})
	s := g.sentinels[0]
	// Without a certificate nobody is let in, and without TLS neither.
	bare := client.Clone()
	bare.Certificates = nil
	if conn, err := tls.Dial("tcp", s.addr(), bare); err == nil {
		if v, err := (&connection{conn, resp.NewReader(conn)}).do("PING"); err == nil {
			t.Errorf("a client without a certificate is answered %+v", v)
		}
		conn.Close()
	}
	plain, err := net.Dial("tcp", s.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if v, err := (&connection{plain, resp.NewReader(plain)}).do("PING"); err == nil {
		t.Errorf("a client without TLS is answered %+v", v)
	}
	g.servers[0].kill()
	g.switched(g.servers[0])
	g.servers[0].start()
	g.agreed()
}

// newCertificates writes ca.pem, cert.pem and key.pem and returns a client's configuration with them.
func newCertificates(dir string) (*tls.Config, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	caCert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test ca"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, caCert, caCert, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "node"}, NotBefore: caCert.NotBefore, NotAfter: caCert.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, caCert, &key.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	caPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
	for name, data := range map[string][]byte{"ca.pem": caPEM, "cert.pem": certPEM, "key.pem": keyPEM} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return nil, err
		}
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(caPEM)
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
