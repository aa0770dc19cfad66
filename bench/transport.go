package bench

import (
	"context"
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
	"time"

	mqtt "picket/client"
)

// Transport is what MQTT is spoken over.
type Transport string

// The transports.
const (
	TCP             Transport = "tcp"
	TLS             Transport = "tls"
	WebSocket       Transport = "ws"
	SecureWebSocket Transport = "wss"
)

// schemes are what URLs of the transports begin with.
var schemes = map[Transport]string{TCP: "mqtt", TLS: "mqtts", WebSocket: "ws", SecureWebSocket: "wss"}

// webSocketPath is where brokers are asked for WebSocket.
const webSocketPath = "/mqtt"

// secure tells whether the transport has certificates.
func (t Transport) secure() bool { return t == TLS || t == SecureWebSocket }

// web tells whether the transport is WebSocket.
func (t Transport) web() bool { return t == WebSocket || t == SecureWebSocket }

// dial makes a connection, with the handshakes of its transport.
func (d *dialer) dial(ctx context.Context) (net.Conn, error) {
	if d.config.Transport == TCP {
		return d.tcp(ctx, "tcp", d.addr.String())
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	t := mqtt.Transport{URL: schemes[d.config.Transport] + "://" + d.addr.String() + webSocketPath, Dial: d.tcp}
	if d.config.Transport.secure() {
		t.TLS = &tls.Config{RootCAs: d.config.Authorities, ServerName: d.host}
	}
	return t.Connect(ctx, d.config.Version)
}

// certify writes a certificate for 127.0.0.1 and its key (ECDSA P-256) into dir, and returns who vouches for it and the names of both files.
func certify(dir string) (pool *x509.CertPool, certificate, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", "", err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "picket bench"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(365 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, "", "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, "", "", err
	}
	certificate, key = filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	// Brokers may give up their privileges before they read the key, which is of no use to anybody else.
	for name, content := range map[string][]byte{certificate: text, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})} {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			return nil, "", "", err
		}
	}
	pool = x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, "", "", fmt.Errorf("bench: the certificate just made cannot be read")
	}
	return pool, certificate, key, nil
}
