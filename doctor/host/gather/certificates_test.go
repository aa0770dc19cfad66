//go:build unix

package gather

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
	"strings"
	"testing"
	"time"

	"picket/doctor/host"
)

// authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// issue makes a certificate; without an issuer it signs itself.
func issue(t *testing.T, by *authority, name string, from, to time.Time, change func(*x509.Certificate)) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: to, DNSNames: []string{name}}
	if change != nil {
		change(template)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{certificate, key}
}

func asCA(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid, c.DNSNames = true, true, nil }

func withAIA(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://ca.example.com/ca.crt"} }

func (a *authority) write(t *testing.T, dir string, others ...*authority) (cert, key string) {
	t.Helper()
	var chain []byte
	for _, c := range append([]*authority{a}, others...) {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.certificate.Raw})...)
	}
	der, err := x509.MarshalECPrivateKey(a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, data := range map[string][]byte{cert: chain, key: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// look gives the fact about the TLS listener of a configuration.
func look(t *testing.T, o Options, cert, key string, port int) host.Certificate {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "m.conf")
	text := fmt.Sprintf("listener %d 127.0.0.1\ncertfile %s\nkeyfile %s\n", port, cert, key)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Config, o.Run = conf, answers{}.run
	g := &gatherer{Options: o, ctx: t.Context(), now: time.Now(), unreadable: make(map[string]bool)}
	g.configurations()
	g.certificates()
	found := all[host.Certificate](g.facts)
	if len(found) != 1 {
		t.Fatalf("facts: %+v", g.facts)
	}
	return found[0]
}

func TestCertificates(t *testing.T) {
	now := time.Now()
	year := now.Add(365 * 24 * time.Hour)
	root := issue(t, nil, "Root", now.Add(-time.Hour), year, asCA)
	between := issue(t, root, "Between", now.Add(-time.Hour), year, asCA)
	for _, c := range []struct {
		name  string
		leaf  *authority
		chain []*authority
		want  func(host.Certificate) bool
	}{
		{"well", issue(t, between, "mqtt.example.com", now.Add(-time.Hour), now.Add(80*24*time.Hour+time.Hour), withAIA), []*authority{between},
			func(c host.Certificate) bool {
				return c.Days == 80 && !c.Incomplete && c.WrongName == "" && c.Issuer == "Between"
			}},
		{"expired", issue(t, root, "mqtt.example.com", now.Add(-100*time.Hour), now.Add(-50*time.Hour), nil), nil, func(c host.Certificate) bool { return c.Days == -3 && c.Private }},
		{"of tomorrow", issue(t, root, "mqtt.example.com", now.Add(24*time.Hour), year, nil), nil, func(c host.Certificate) bool { return c.Future }},
		{"alone", issue(t, between, "mqtt.example.com", now.Add(-time.Hour), year, withAIA), nil, func(c host.Certificate) bool { return c.Incomplete }},
		{"of itself", issue(t, nil, "mqtt.example.com", now.Add(-time.Hour), year, nil), nil, func(c host.Certificate) bool { return c.Private && !c.Incomplete }},
		{"another name", issue(t, root, "other.example.com", now.Add(-time.Hour), year, nil), nil, func(c host.Certificate) bool { return c.WrongName == "mqtt.example.com" }},
	} {
		cert, key := c.leaf.write(t, t.TempDir(), c.chain...)
		got := look(t, Options{Name: "mqtt.example.com"}, cert, key, 1)
		if !c.want(got) || got.KeyMismatch || got.KeyOpen || got.Served || got.Error != "" {
			t.Errorf("%s: %+v", c.name, got)
		}
	}

	leaf := issue(t, root, "mqtt.example.com", now.Add(-time.Hour), year, nil)
	cert, key := leaf.write(t, t.TempDir())
	_, otherKey := issue(t, root, "mqtt.example.com", now.Add(-time.Hour), year, nil).write(t, t.TempDir())
	if got := look(t, Options{}, cert, otherKey, 1); !got.KeyMismatch {
		t.Errorf("the key of another: %+v", got)
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := look(t, Options{}, cert, key, 1); !got.KeyOpen || got.KeyMode != "0644" {
		t.Errorf("a key for all: %+v", got)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := look(t, Options{}, empty, key, 1); !strings.Contains(got.Error, "no certificate") {
		t.Errorf("an empty file: %+v", got)
	}
	if got := look(t, Options{}, empty+"x", key, 1); !strings.Contains(got.Error, "no such file") {
		t.Errorf("no file: %+v", got)
	}
}

// What is served may be older than the file.
func TestServedCertificate(t *testing.T) {
	now := time.Now()
	old := issue(t, nil, "mqtt.example.com", now.Add(-100*time.Hour), now.Add(-50*time.Hour), nil)
	fresh := issue(t, nil, "mqtt.example.com", now.Add(-time.Hour), now.Add(1000*time.Hour), nil)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{old.certificate.Raw}, PrivateKey: old.key}}})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.(*tls.Conn).Handshake()
			conn.Close()
		}
	}()
	defer func() { l.Close(); <-served }()
	port := l.Addr().(*net.TCPAddr).Port
	cert, key := fresh.write(t, t.TempDir())
	if got := look(t, Options{}, cert, key, port); !got.Served || !got.Other || got.ServedDays != -3 || got.Days != 41 {
		t.Errorf("got %+v", got)
	}
	cert, key = old.write(t, t.TempDir())
	if got := look(t, Options{}, cert, key, port); !got.Served || got.Other {
		t.Errorf("got %+v", got)
	}
}

// Who may read what, by the modes of the file and of all folders before it.
func TestWhoMayRead(t *testing.T) {
	dir := t.TempDir()
	inner := filepath.Join(dir, "certs")
	file := filepath.Join(inner, "key.pem")
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for d := dir; d != filepath.Dir(d) && d != os.TempDir(); d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	uid, gid := os.Getuid(), os.Getgid()
	stranger := reader{name: "stranger", uid: 54321, gids: []int{54321}}
	member := reader{name: "member", uid: 54322, gids: []int{54321, gid}}
	owner := reader{name: "owner", uid: uid, gids: []int{gid}}
	for _, c := range []struct {
		fileMode, dirMode os.FileMode
		who               reader
		want              string
	}{
		{0o600, 0o755, owner, ""},
		{0o600, 0o755, stranger, file},
		{0o644, 0o755, stranger, ""},
		{0o640, 0o755, member, ""},
		{0o640, 0o755, stranger, file},
		{0o644, 0o750, stranger, inner},
		{0o644, 0o750, member, ""},
		{0o604, 0o755, member, file}, // the group's mode counts for its members
	} {
		if err := os.Chmod(file, c.fileMode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(inner, c.dirMode); err != nil {
			t.Fatal(err)
		}
		if got := c.who.denied(file); got != c.want {
			t.Errorf("%s with %04o in %04o: denied %q, want %q", c.who.name, c.fileMode, c.dirMode, got, c.want)
		}
	}
}
