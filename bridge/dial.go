package bridge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/crypto/ocsp"
)

// dial connects to an address of the remote broker: over IPv6 and IPv4, whichever answers first.
func (c *Config) dial(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{}
	if c.BindAddress != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(c.BindAddress)}
	}
	if k := c.TCPKeepAlive; k.Idle > 0 {
		d.KeepAliveConfig = net.KeepAliveConfig{Enable: true, Idle: k.Idle, Interval: k.Interval, Count: k.Count}
	}
	var settings *tls.Config
	if c.TLS != nil {
		host, _, err := net.SplitHostPort(address)
		if err == nil {
			settings, err = c.TLS.settings(host)
		}
		if err != nil {
			return nil, &tlsError{err}
		}
	}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil || settings == nil {
		return conn, err
	}
	secure := tls.Client(conn, settings)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, &tlsError{err}
	}
	return secure, nil
}

// tlsError is a connection that could not be secured.
type tlsError struct{ err error }

func (e *tlsError) Error() string { return e.err.Error() }
func (e *tlsError) Unwrap() error { return e.err }

// settings reads the files: they may have been renewed since the last connection.
func (t *TLS) settings(host string) (*tls.Config, error) {
	roots, err := t.roots()
	if err != nil {
		return nil, err
	}
	c := &tls.Config{RootCAs: roots, ServerName: host, MinVersion: max(t.MinVersion, tls.VersionTLS12)}
	if t.ALPN != "" {
		c.NextProtos = []string{t.ALPN}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if t.Insecure { // only the name may be another: who has signed the certificate counts
		c.InsecureSkipVerify = true
	}
	c.VerifyConnection = func(s tls.ConnectionState) error { return t.verify(s, roots) }
	return c, nil
}

// verify looks at what tls does not look at by itself.
func (t *TLS) verify(s tls.ConnectionState, roots *x509.CertPool) error {
	chains := s.VerifiedChains
	if t.Insecure {
		others := x509.NewCertPool()
		for _, c := range s.PeerCertificates[1:] {
			others.AddCert(c)
		}
		var err error
		if chains, err = s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: others}); err != nil {
			return err
		}
	}
	if !t.RequireOCSP {
		return nil
	}
	if len(s.OCSPResponse) == 0 {
		return errors.New("bridge_require_ocsp true: the remote broker sent no OCSP answer with its certificate")
	}
	leaf := s.PeerCertificates[0]
	issuer := leaf
	if len(chains) > 0 && len(chains[0]) > 1 {
		issuer = chains[0][1]
	}
	r, err := ocsp.ParseResponseForCert(s.OCSPResponse, leaf, issuer)
	switch {
	case err != nil:
		return fmt.Errorf("the OCSP answer of the remote broker: %w", err)
	case r.Status != ocsp.Good:
		return errors.New("the OCSP answer says that the certificate of the remote broker is revoked, or unknown")
	case !r.NextUpdate.IsZero() && time.Now().After(r.NextUpdate):
		return fmt.Errorf("the OCSP answer of the remote broker was to be renewed by %s", r.NextUpdate.Format(time.RFC3339))
	}
	return nil
}

// roots are the authorities that may have signed the remote broker's certificate.
func (t *TLS) roots() (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if t.CAFile != "" {
		data, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, err
		}
		if !pool.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("there is no certificate in bridge_cafile %s", t.CAFile)
		}
	}
	if t.CAPath != "" {
		entries, err := os.ReadDir(t.CAPath)
		if err != nil {
			return nil, err
		}
		found := false
		for _, e := range entries {
			if data, err := os.ReadFile(filepath.Join(t.CAPath, e.Name())); err == nil {
				found = pool.AppendCertsFromPEM(data) || found
			}
		}
		if !found && t.CAFile == "" {
			return nil, fmt.Errorf("there is no certificate in bridge_capath %s", t.CAPath)
		}
	}
	return pool, nil
}

// timedOut tells whether the end of a connection was that its deadline passed.
func timedOut(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}
