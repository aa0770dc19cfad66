package probe

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"picket/cause"
	"picket/doctor"
)

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	der  []byte
}

// serial is the last serial number; tests that run beside each other take theirs from it.
var serial atomic.Int64

// issue makes a certificate; by nil it is self-signed. change may be nil.
func issue(t *testing.T, by *authority, change func(*x509.Certificate)) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issueFor(t, by, key, change)
}

func issueFor(t *testing.T, by *authority, key crypto.Signer, change func(*x509.Certificate)) *authority {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(c)
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, der}
}

// ca makes an authority.
func ca(t *testing.T, by *authority, name string) *authority {
	return issue(t, by, func(c *x509.Certificate) {
		c.Subject = pkix.Name{Organization: strings.Fields(name)[:1], CommonName: name}
		c.DNSNames, c.ExtKeyUsage = nil, nil
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
}

// chain is a certificate with those behind it.
func chain(all ...*authority) tls.Certificate {
	c := tls.Certificate{PrivateKey: all[0].key}
	for _, a := range all {
		c.Certificate = append(c.Certificate, a.der)
	}
	return c
}

func pool(all ...*authority) *x509.CertPool {
	p := x509.NewCertPool()
	for _, a := range all {
		p.AddCert(a.cert)
	}
	return p
}

// serverConfig is that of a server with a certificate.
func serverConfig(a ...*authority) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{chain(a...)}}
}

// at is a TLS URL for a listener, by the name in its certificate.
func at(scheme, address string) string {
	_, port, _ := net.SplitHostPort(address)
	return scheme + "://localhost:" + port
}

func TestTLS(t *testing.T) {
	t.Parallel()
	m := plain(t)
	root := ca(t, nil, "Garden Root")
	stranger := ca(t, nil, "Stranger")
	middle := ca(t, root, "Garden Intermediate")
	good := issue(t, root, nil)
	dated := func(from, to time.Duration) *authority {
		return issue(t, root, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to) })
	}
	const day = 24 * time.Hour
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaLeaf := issueFor(t, root, rsaKey, nil)
	device := chain(issue(t, root, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }))
	alien := chain(issue(t, stranger, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }))
	mutual := func(version uint16) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{chain(good)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool(root), MinVersion: version, MaxVersion: version}
	}
	with := serverConfig
	trust := Options{Roots: pool(root), RootsFile: "ca.crt"}
	long := trust
	long.Limit = patience
	for name, c := range map[string]struct {
		server *tls.Config
		o      Options
		scheme string
		want   cause.ID
		end    cause.Stage
	}{
		"healthy":                      {server: with(good), o: trust},
		"healthy, with intermediate":   {server: with(issue(t, middle, nil), middle), o: trust},
		"unchecked":                    {server: with(issue(t, nil, nil)), o: Options{Insecure: true}},
		"self-signed":                  {with(issue(t, nil, nil)), trust, "", cause.TLSUnknownCA, cause.TLS},
		"unknown authority":            {with(issue(t, stranger, nil)), trust, "", cause.TLSUnknownCA, cause.TLS},
		"private authority":            {with(good), Options{}, "", cause.TLSUnknownCA, cause.TLS},
		"intermediate is missing":      {with(issue(t, middle, nil)), trust, "", cause.TLSIncompleteChain, cause.TLS},
		"other name":                   {with(issue(t, root, func(c *x509.Certificate) { c.DNSNames = []string{"other.example"} })), trust, "", cause.TLSNameMismatch, cause.TLS},
		"common name alone":            {with(issue(t, root, func(c *x509.Certificate) { c.DNSNames = nil })), trust, "", cause.TLSNameMismatch, cause.TLS},
		"expired":                      {with(dated(-10*day, -3*day)), trust, "", cause.TLSExpired, cause.TLS},
		"not yet valid":                {with(dated(2*day, 9*day)), trust, "", cause.TLSNotYetValid, cause.TLS},
		"about to expire":              {with(dated(-10*day, 3*day)), trust, "", cause.TLSExpiresSoon, ""},
		"for clients":                  {with(issue(t, root, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })), trust, "", cause.TLSClientRejectedCertificate, cause.TLS},
		"TLS 1.1 alone":                {&tls.Config{Certificates: []tls.Certificate{chain(rsaLeaf)}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, trust, "", cause.TLSVersion, cause.TLS},
		"weak ciphers alone":           {&tls.Config{Certificates: []tls.Certificate{chain(rsaLeaf)}, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA256}}, trust, "", cause.TLSCiphers, cause.TLS},
		"client certificate, TLS 1.2":  {mutual(tls.VersionTLS12), trust, "", cause.ClientCertRequired, cause.TLS},
		"client certificate, TLS 1.3":  {mutual(tls.VersionTLS13), trust, "", cause.ClientCertRequired, cause.TLS},
		"client certificate, wss":      {mutual(tls.VersionTLS13), trust, "wss", cause.ClientCertRequired, cause.TLS},
		"client certificate is given":  {server: mutual(tls.VersionTLS13), o: Options{Roots: trust.Roots, Certificate: &device}},
		"client certificate, stranger": {mutual(tls.VersionTLS13), Options{Roots: trust.Roots, Certificate: &alien}, "", cause.ClientCertRefused, cause.TLS},
		"client certificate, 1.2":      {mutual(tls.VersionTLS12), Options{Roots: trust.Roots, Certificate: &alien}, "", cause.ClientCertRefused, cause.TLS},
		"ALPN is demanded":             {&tls.Config{Certificates: []tls.Certificate{chain(good)}, GetConfigForClient: demandsALPN}, trust, "", cause.SNIALPN, cause.TLS},
		"name is blocked":              {&tls.Config{Certificates: []tls.Certificate{chain(good)}, GetConfigForClient: blocksName}, trust, "", cause.ICPSNIBlock, cause.TLS},
		"name is not served":           {&tls.Config{GetCertificate: knowsOthers(chain(good))}, trust, "", cause.SNIALPN, cause.TLS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scheme := c.scheme
			if scheme == "" {
				scheme = "mqtts"
			}
			if c.want == "" {
				c.o.Limit = patience
			}
			expect(t, examine(t, at(scheme, withTLS(t, c.server, m.at[0])), c.o), c.want, c.end)
		})
	}
	t.Run("TLS 1.3 alone", func(t *testing.T) {
		t.Parallel()
		latest := with(good)
		latest.MinVersion = tls.VersionTLS13
		r := examine(t, at("mqtts", withTLS(t, latest, m.at[0])), long)
		expect(t, r, "", "")
		if !slices.ContainsFunc(r.Remarks, func(s cause.Text) bool { return strings.Contains(s.EN, "TLS 1.3 alone") }) {
			t.Errorf("the remarks are %v, want one about TLS 1.3 alone", r.Remarks)
		}
	})
	t.Run("plain MQTT", func(t *testing.T) {
		t.Parallel()
		expect(t, examine(t, at("mqtt", withTLS(t, with(good), m.at[0])), trust), cause.PlainToTLSPort, cause.FirstBytes)
	})
	t.Run("MQTT over TLS to a secure WebSocket", func(t *testing.T) {
		t.Parallel()
		expect(t, examine(t, at("mqtts", withTLS(t, with(good), m.at[1])), trust), cause.TCPToWSPort, cause.FirstBytes)
	})
	t.Run("secure WebSocket to MQTT over TLS", func(t *testing.T) {
		t.Parallel()
		expect(t, examine(t, at("wss", withTLS(t, with(good), m.at[0])), trust), cause.WSToTCPPort, cause.FirstBytes)
	})
	t.Run("secure WebSocket", func(t *testing.T) {
		t.Parallel()
		expect(t, examine(t, at("wss", withTLS(t, with(good), m.at[1]))+"/mqtt", long), "", "")
	})
	t.Run("no scheme", func(t *testing.T) {
		t.Parallel()
		r := examine(t, strings.TrimPrefix(at("", withTLS(t, with(good), m.at[0])), "://"), long)
		expect(t, r, "", "")
		if !strings.HasPrefix(r.Subject, "mqtts://") {
			t.Errorf("the port was taken for %s", r.Subject)
		}
	})
	t.Run("HTTP/2", func(t *testing.T) {
		t.Parallel()
		config := with(good)
		config.NextProtos = []string{"h2"}
		address := listen(t, func(c net.Conn) { _ = tls.Server(c, config).Handshake() })
		expect(t, examine(t, at("wss", address), trust), cause.H2ALPN, cause.Upgrade)
	})
	t.Run("by address", func(t *testing.T) { // a certificate for a name alone
		t.Parallel()
		expect(t, examine(t, "mqtts://"+withTLS(t, with(good), m.at[0]), trust), cause.TLSNameMismatch, cause.TLS)
	})
	t.Run("ends without a word", func(t *testing.T) {
		t.Parallel()
		address := listen(t, func(c net.Conn) { _, _ = io.ReadAtLeast(c, make([]byte, 1024), 1) })
		expect(t, examine(t, at("mqtts", address), trust), cause.TLSHandshakeFailed, cause.TLS)
	})
}

// demandsALPN refuses clients that name no protocol, as shared ports do.
func demandsALPN(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if len(hello.SupportedProtos) == 0 {
		hello.Conn.Close()
		return nil, io.EOF
	}
	return nil, nil
}

// blocksName cuts connections off that name localhost.
func blocksName(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if hello.ServerName == "localhost" {
		resets(hello.Conn)
		hello.Conn.Close()
		return nil, io.EOF
	}
	return nil, nil
}

// knowsOthers has a certificate for names other than localhost, and answers that one with an alert.
func knowsOthers(c tls.Certificate) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName == "localhost" {
			return nil, nil
		}
		return &c, nil
	}
}

// Several things can be wrong at the same time; each is found.
func TestJudge(t *testing.T) {
	root := ca(t, nil, "Garden Root")
	old := issue(t, ca(t, nil, "Stranger"), func(c *x509.Certificate) {
		c.DNSNames = []string{"other.example"}
		c.NotBefore, c.NotAfter = time.Now().Add(-3*time.Hour), time.Now().Add(-time.Hour)
	})
	got := judge([]*x509.Certificate{old.cert}, "localhost", pool(root), time.Now())
	if want := []string{doctor.Expired, doctor.WrongName, doctor.UnknownCA}; strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := judge(nil, "localhost", nil, time.Now()); len(got) != 1 {
		t.Errorf("no certificate at all: %v", got)
	}
	// A root that was signed by an older one, which has expired, is sent by many servers of public authorities.
	middle := ca(t, root, "Garden R3")
	cross := issueFor(t, ca(t, nil, "Old Root"), root.key, func(c *x509.Certificate) {
		c.Subject, c.DNSNames, c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = root.cert.Subject, nil, true, true, x509.KeyUsageCertSign, nil
		c.NotBefore, c.NotAfter = time.Now().Add(-300*time.Hour), time.Now().Add(-200*time.Hour)
	})
	good := issue(t, middle, nil)
	if got := judge([]*x509.Certificate{good.cert, middle.cert, cross.cert}, "localhost", pool(root), time.Now()); len(got) != 0 {
		t.Errorf("an old cross-signature: %v", got)
	}
	v6 := issue(t, root, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP("2001:db8::1")} })
	if got := judge([]*x509.Certificate{v6.cert}, "2001:db8::1", pool(root), time.Now()); len(got) != 0 {
		t.Errorf("an IPv6 address: %v", got)
	}
}
