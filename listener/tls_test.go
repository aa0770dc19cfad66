package listener

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"picket/cause"
)

// tlsDial dials and shakes hands; the error may also be what the first read after it gives, as a TLS 1.3 client is done before
// the server has judged it.
func tlsDial(t *testing.T, s *Set, cfg *tls.Config) (*tls.Conn, error) {
	t.Helper()
	c := tls.Client(dial(t, addrOf(t, s).String()), cfg)
	if err := c.Handshake(); err != nil {
		return nil, err
	}
	c.Write(frame(nil))
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		return nil, err
	}
	return c, nil
}

// Who fails a handshake is reported with a cause.
func TestHandshakeFailures(t *testing.T) {
	ours, theirs := newAuthority(t, "Our CA"), newAuthority(t, "Their CA")
	require := func(c *Config) {
		c.TLS.RequireCertificate, c.TLS.CAFile = true, ours.file
	}
	expired := func(a *authority) tls.Certificate {
		p, err := tls.LoadX509KeyPair(a.issue(t, "expired", "expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	tests := []struct {
		name   string
		change func(c *Config)
		client *tls.Config
		cause  cause.ID
		text   string
	}{
		{"no certificate", require, ours.client(t), cause.ClientCertRequired, "didn't provide a certificate"},
		{"certificate of another authority", require, &tls.Config{RootCAs: ours.pool, ServerName: "localhost",
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return &theirs.client(t, "eve").Certificates[0], nil
			}}, cause.ClientCertRefused, "unknown authority"},
		{"expired certificate", require, &tls.Config{RootCAs: ours.pool, ServerName: "localhost", Certificates: []tls.Certificate{expired(ours)}},
			cause.ClientCertRefused, "expired"},
		{"old version", func(c *Config) { c.TLS.MinVersion = tls.VersionTLS13 },
			&tls.Config{RootCAs: ours.pool, ServerName: "localhost", MaxVersion: tls.VersionTLS12}, cause.TLSVersion, "unsupported versions"},
		{"no common cipher", func(c *Config) { c.TLS.Ciphers = []string{"ECDHE-ECDSA-AES256-GCM-SHA384"} },
			&tls.Config{RootCAs: ours.pool, ServerName: "localhost", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}},
			cause.TLSCiphers, "no cipher suite"},
		{"unknown authority", func(*Config) {}, &tls.Config{RootCAs: theirs.pool, ServerName: "localhost"}, cause.TLSClientRejectedCertificate, "bad certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := mqtts(t, ours)
			tt.change(cfg)
			refused := make(refusals, 10)
			s := opened(t, newEcho(t), Options{Refused: refused.option()}, cfg)
			if _, err := tlsDial(t, s, tt.client); err == nil {
				t.Error("let in")
			}
			if r := next(t, refused); r.Cause != tt.cause || !strings.Contains(r.Text, tt.text) {
				t.Errorf("refused: %+v, want %s, %q", r, tt.cause, tt.text)
			}
		})
	}
	t.Run("known", func(t *testing.T) {
		cfg := mqtts(t, ours)
		require(cfg)
		e := newEcho(t)
		s := opened(t, e, Options{}, cfg)
		if _, err := tlsDial(t, s, ours.client(t, "alice")); err != nil {
			t.Fatal(err)
		}
		if cs := next(t, e.accepted).conn.Info().TLS; cs == nil || cs.PeerCertificates[0].Subject.CommonName != "alice" || len(cs.VerifiedChains) == 0 {
			t.Errorf("TLS state %+v", cs)
		}
	})
	t.Run("certificate not asked for", func(t *testing.T) {
		e := newEcho(t)
		s := opened(t, e, Options{}, mqtts(t, ours))
		if _, err := tlsDial(t, s, ours.client(t, "alice")); err != nil {
			t.Fatal(err)
		}
		if cs := next(t, e.accepted).conn.Info().TLS; len(cs.PeerCertificates) != 0 {
			t.Error("a client certificate was asked for")
		}
	})
}

// The certificate is chosen by the name that the client asks for; names of ALPN are agreed to, and never required.
func TestSNIAndALPN(t *testing.T) {
	a := newAuthority(t, "Test CA")
	cfg := mqtts(t, a)
	cert, key := a.issue(t, "other", "broker.example.org")
	cfg.TLS.SNI = []SNI{{cert, key}}
	e := newEcho(t)
	s := opened(t, e, Options{}, cfg)
	for _, name := range []string{"localhost", "broker.example.org"} {
		c, err := tlsDial(t, s, &tls.Config{RootCAs: a.pool, ServerName: name})
		if err != nil {
			t.Fatal(err)
		}
		if cn := c.ConnectionState().PeerCertificates[0].Subject.CommonName; cn != name {
			t.Errorf("got the certificate of %s, asked for %s", cn, name)
		}
	}
	for _, tt := range []struct {
		offer []string
		want  string
	}{{nil, ""}, {[]string{"mqtt"}, "mqtt"}, {[]string{"x-amzn-mqtt-ca"}, "x-amzn-mqtt-ca"}, {[]string{"h2", "http/1.1"}, "http/1.1"}, {[]string{"h2"}, ""}} {
		c, err := tlsDial(t, s, &tls.Config{RootCAs: a.pool, ServerName: "localhost", NextProtos: tt.offer})
		if err != nil {
			t.Errorf("offering %q: %v", tt.offer, err)
			continue
		}
		if got := c.ConnectionState().NegotiatedProtocol; got != tt.want {
			t.Errorf("offering %q: %q agreed, want %q", tt.offer, got, tt.want)
		}
	}
}

func TestRevocation(t *testing.T) {
	a, other := newAuthority(t, "Test CA"), newAuthority(t, "Other CA")
	alice, eve := a.client(t, "alice"), a.client(t, "eve")
	cfg := mqtts(t, a)
	cfg.TLS.RequireCertificate = true
	cfg.TLS.CAPath = t.TempDir()
	for i, from := range []*authority{a, other} {
		data, err := os.ReadFile(from.file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(cfg.TLS.CAPath, string(rune('a'+i))+".0"), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg.TLS.CRLFile = a.revoke(t, "crl.pem", time.Now().Add(time.Hour), eve.Certificates[0])
	refused := make(refusals, 10)
	notes := make(chan string, 10)
	s := opened(t, newEcho(t), Options{Refused: refused.option(), Note: func(_ *Config, text string) { notes <- text }}, cfg)

	// Clients keep their sessions: a resumed one is checked as well.
	alice.ClientSessionCache, eve.ClientSessionCache = tls.NewLRUClientSessionCache(8), tls.NewLRUClientSessionCache(8)
	for range 2 {
		if _, err := tlsDial(t, s, alice); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tlsDial(t, s, eve); err == nil {
		t.Error("a revoked certificate was let in")
	}
	if r := next(t, refused); r.Cause != cause.ClientCertRevoked {
		t.Errorf("refused: %+v", r)
	}
	bob := &tls.Config{RootCAs: a.pool, ServerName: "localhost", Certificates: other.client(t, "bob").Certificates}
	if _, err := tlsDial(t, s, bob); err == nil {
		t.Error("a certificate without a revocation list was let in")
	}
	if r := next(t, refused); r.Cause != cause.ClientCertRefused || !strings.Contains(r.Text, "no revocation list") {
		t.Errorf("refused: %+v", r)
	}

	// A new list counts at once, for resumed sessions too; that it is late is noted.
	a.revoke(t, "crl.pem", time.Now().Add(-time.Minute), eve.Certificates[0], alice.Certificates[0])
	if _, err := s.Update(context.Background(), []*Config{cfg}); err == nil {
		if n := next(t, notes); !strings.Contains(n, "should have been replaced") {
			t.Errorf("noted: %s", n)
		}
	} else {
		t.Log(err)
	}
	if _, err := tlsDial(t, s, alice); err == nil {
		t.Error("a certificate that was revoked meanwhile was let in")
	}
	if r := next(t, refused); r.Cause != cause.ClientCertRevoked {
		t.Errorf("refused: %+v", r)
	}
}

// Files that cannot be used are named.
func TestTLSFiles(t *testing.T) {
	a, other := newAuthority(t, "Test CA"), newAuthority(t, "Other CA")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	encrypted := filepath.Join(t.TempDir(), "encrypted.key")
	if err := os.WriteFile(encrypted, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, otherKey := other.issue(t, "other", "other")
	tests := []struct {
		name   string
		change func(c *TLS)
		want   []string
	}{
		{"no certificate", func(c *TLS) { c.CertFile = "/nowhere.crt" }, []string{"certfile", "/nowhere.crt"}},
		{"no key", func(c *TLS) { c.KeyFile = "/nowhere.key" }, []string{"keyfile", "/nowhere.key"}},
		{"key not named", func(c *TLS) { c.KeyFile = "" }, []string{"keyfile"}},
		{"other key", func(c *TLS) { c.KeyFile = otherKey }, []string{otherKey, "does not belong"}},
		{"encrypted key", func(c *TLS) { c.KeyFile = encrypted }, []string{encrypted, "password"}},
		{"empty certificate", func(c *TLS) { c.CertFile = empty }, []string{empty}},
		{"no authority", func(c *TLS) { c.RequireCertificate = true }, []string{"cafile or capath"}},
		{"empty authority", func(c *TLS) { c.RequireCertificate, c.CAFile = true, empty }, []string{"cafile", empty}},
		{"no such capath", func(c *TLS) { c.RequireCertificate, c.CAPath = true, "/nowhere" }, []string{"capath", "/nowhere"}},
		{"empty list", func(c *TLS) { c.RequireCertificate, c.CAFile, c.CRLFile = true, a.file, empty }, []string{"crlfile", empty}},
		{"list of another", func(c *TLS) {
			c.RequireCertificate, c.CAFile, c.CRLFile = true, a.file, other.revoke(t, "crl.pem", time.Now().Add(time.Hour))
		}, []string{"crlfile", "not signed"}},
		{"cipher", func(c *TLS) { c.Ciphers = []string{"HIGH"} }, []string{"ciphers", "HIGH"}},
	}
	for _, tt := range tests {
		cfg := mqtts(t, a)
		cfg.Source = "test.conf:7"
		tt.change(&cfg.TLS)
		s, err := Open(context.Background(), []*Config{cfg}, newEcho(t), Options{})
		if err == nil {
			s.Close()
			t.Errorf("%s: no error", tt.name)
			continue
		}
		for _, want := range append(tt.want, "test.conf:7: ") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v: lacks %q", tt.name, err, want)
			}
		}
	}
}

// A handshake that is not finished is ended, and counts as refused.
func TestSlowOpening(t *testing.T) {
	const limit = 500 * time.Millisecond
	a := newAuthority(t, "Test CA")
	upgrade := "GET / HTTP/1.1\r\nHost: x\r\n"
	for name, tt := range map[string]struct {
		cfg  func(testing.TB, *authority) *Config
		send string
		id   cause.ID
	}{
		"TLS silent":    {mqtts, "", cause.ConnectTimeout},
		"TLS half":      {mqtts, string(hello(t)[:50]), cause.ConnectTimeout},
		"auto silent":   {auto, "", cause.ConnectTimeout},
		"auto half":     {auto, "G", cause.ConnectTimeout},
		"PROXY silent":  {trusted, "", cause.ConnectTimeout},
		"PROXY half":    {trusted, "PROXY TCP4 ", cause.ConnectTimeout},
		"upgrade half":  {webs, upgrade, cause.WSUpgradeInvalid},
		"upgrade never": {webs, "", cause.ConnectTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused := make(refusals, 10)
			limit := limit
			if tt.id == cause.WSUpgradeInvalid {
				limit = 10 * time.Second // it matters that what is sent comes before that
			}
			s := opened(t, newEcho(t), Options{Refused: refused.option()}, limited(tt.cfg(t, a), limit))
			start := time.Now()
			c, err := net.Dial("tcp", addrOf(t, s).String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, tt.send)
			if r := next(t, refused); r.Cause != tt.id {
				t.Errorf("refused: %+v, want %s", r, tt.id)
			}
			if took := time.Since(start); took < limit {
				t.Errorf("ended after %v", took)
			}
			c.SetDeadline(time.Now().Add(patience))
			if _, err := io.ReadAll(c); err != nil {
				t.Error(err)
			}
		})
	}
}

// limited is c with a limit on the time that its connections take to be opened.
func limited(c *Config, limit time.Duration) *Config {
	c.OpeningLimit = limit
	return c
}
