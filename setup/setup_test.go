package setup

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"picket/access"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func options(t *testing.T) Options {
	return Options{
		Dir:       filepath.Join(t.TempDir(), "state", "picket"),
		Now:       start,
		Hostname:  "Fountain",
		Addresses: []netip.Addr{netip.MustParseAddr("192.168.1.20"), netip.MustParseAddr("fd00::20"), netip.MustParseAddr("fe80::1%eth0")},
	}
}

func prepare(t *testing.T, o Options) *Result {
	t.Helper()
	r, err := Prepare(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFirstStart(t *testing.T) {
	o := options(t)
	r := prepare(t, o)
	if !r.Made || !r.NewCA || r.Issued == "" {
		t.Fatalf("the first start made nothing: %+v", r)
	}
	for path, want := range map[string]os.FileMode{
		r.Dir: 0o700 | os.ModeDir, r.PasswordFile: 0o600, r.CertFile: 0o600, filepath.Join(r.Dir, caKeyFile): 0o600, r.CAFile: 0o644,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
	}
	stored, err := os.ReadFile(r.PasswordFile)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(stored), r.Password) {
		t.Error("the password is stored in plain")
	}
	policy, warnings, err := access.Load(access.Config{PasswordFile: r.PasswordFile})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("the password file is not good: %v, %v", err, warnings)
	}
	login := access.Login{ClientID: "phone", HasUsername: true, Username: User, HasPassword: true, Password: []byte(r.Password)}
	if d := policy.Authenticate(login); !d.Allow {
		t.Errorf("the first password does not open the door: %+v", d)
	}
	login.Password = []byte("another")
	if d := policy.Authenticate(login); d.Allow {
		t.Error("another password opens the door")
	}
	left, err := filepath.Glob(filepath.Join(r.Dir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("temporary files were left behind: %v %v", left, err)
	}
}

func TestLaterStartsChangeNothing(t *testing.T) {
	o := options(t)
	first := prepare(t, o)
	before := contents(t, o.Dir)
	o.Now = start.Add(serverLifetime - backdate - renewBefore - time.Hour)
	later := prepare(t, o)
	if later.Made || later.NewCA || later.Issued != "" {
		t.Errorf("a later start made something: %+v", later)
	}
	if !later.NotAfter.Equal(first.NotAfter) {
		t.Errorf("the certificate ends at %v, was %v", later.NotAfter, first.NotAfter)
	}
	for path, data := range contents(t, o.Dir) {
		if before[path] != data {
			t.Errorf("%s changed", path)
		}
	}
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(data)
	}
	return all
}

// dial makes a TLS connection to a server with the certificate, trusting the CA only.
func dial(t *testing.T, r *Result, serverName string, now time.Time) error {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(r.CertFile, r.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(r.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("the CA file holds no certificate")
	}
	clock := func() time.Time { return now }
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, Time: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var server sync.WaitGroup
	defer server.Wait()
	server.Go(func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		_ = c.(*tls.Conn).Handshake() // the client's side tells
		c.Close()
	})
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return tls.Client(c, &tls.Config{RootCAs: pool, ServerName: serverName, Time: clock}).Handshake()
}

func TestClientsThatTrustTheCAConnect(t *testing.T) {
	r := prepare(t, options(t))
	for _, name := range []string{"fountain", "fountain.local", "localhost", "127.0.0.1", "::1", "192.168.1.20", "fd00::20"} {
		if err := dial(t, r, name, start); err != nil {
			t.Errorf("as %s: %v", name, err)
		}
	}
	for _, name := range []string{"www.example.com", "192.168.1.21", "fe80::1"} {
		if dial(t, r, name, start) == nil {
			t.Errorf("the certificate is good for %s", name)
		}
	}
	if r.NotAfter.Sub(start) > 397*24*time.Hour {
		t.Errorf("the certificate lasts until %v", r.NotAfter)
	}
	// A clock that is some hours behind, and the last day.
	if err := dial(t, r, "localhost", start.Add(-12*time.Hour)); err != nil {
		t.Errorf("a client whose clock is behind: %v", err)
	}
	if err := dial(t, r, "localhost", r.NotAfter.Add(-time.Minute)); err != nil {
		t.Errorf("on its last day: %v", err)
	}
}

// Whoever steals the CA's key must not be able to make certificates for the rest of the world.
func TestTheCAIsForLocalNamesOnly(t *testing.T) {
	o := options(t)
	r := prepare(t, o)
	ca, err := r.loadAuthority(start)
	if err != nil {
		t.Fatal(err)
	}
	ca.cert.PermittedDNSDomains = append(ca.cert.PermittedDNSDomains, "www.example.com") // as the thief would
	o.Hostname = "www.example.com"
	if err := r.issue(o, ca); err != nil {
		t.Fatal(err)
	}
	if err := dial(t, r, "www.example.com", start); err == nil || !strings.Contains(err.Error(), "not permitted") {
		t.Errorf("a forged certificate: %v, want it refused by the name constraints", err)
	}
}

// publicKey is that of a certificate.
func publicKey(t *testing.T, file string) []byte {
	t.Helper()
	cert, err := readCertificate(file)
	if err != nil {
		t.Fatal(err)
	}
	return cert.RawSubjectPublicKeyInfo
}

func TestRenewal(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, o *Options)
		reason string
	}{
		{"near the end", func(_ *testing.T, o *Options) { o.Now = start.Add(300 * 24 * time.Hour) }, "ends on 2027-12-23"},
		{"after the end", func(_ *testing.T, o *Options) { o.Now = start.Add(500 * 24 * time.Hour) }, "ends on 2027-12-23"},
		{"a new address", func(_ *testing.T, o *Options) { o.Addresses = append(o.Addresses, netip.MustParseAddr("10.0.0.7")) }, "the address 10.0.0.7 is new"},
		{"a broken file", func(t *testing.T, o *Options) {
			if err := os.WriteFile(filepath.Join(o.Dir, serverFile), []byte("rubbish"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "cannot be read"},
		{"a clock that was ahead", func(_ *testing.T, o *Options) { o.Now = start.Add(-48 * time.Hour) }, "begins on"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(t)
			first := prepare(t, o)
			ca, err := os.ReadFile(first.CAFile)
			if err != nil {
				t.Fatal(err)
			}
			key := publicKey(t, first.CertFile)
			c.change(t, &o)
			second := prepare(t, o)
			if kept := bytes.Equal(key, publicKey(t, second.CertFile)); kept != (c.name != "a broken file") {
				t.Errorf("the key is kept: %t", kept)
			}
			if !strings.Contains(second.Issued, c.reason) {
				t.Errorf("the reason for the new certificate is %q, want %q", second.Issued, c.reason)
			}
			if second.Made || second.NewCA {
				t.Errorf("the renewal made more than a certificate: %+v", second)
			}
			if now, err := os.ReadFile(second.CAFile); err != nil || string(now) != string(ca) {
				t.Errorf("the CA changed (%v)", err)
			}
			if c.name != "a clock that was ahead" { // then the CA is of tomorrow as well
				if err := dial(t, second, o.Addresses[len(o.Addresses)-1].WithZone("").String(), o.Now); err != nil && c.name == "a new address" {
					t.Error(err)
				}
				if err := dial(t, second, "localhost", o.Now); err != nil {
					t.Error(err)
				}
			}
			if third := prepare(t, o); third.Issued != "" && c.name != "a clock that was ahead" {
				t.Errorf("the next start made another one: %s", third.Issued)
			}
		})
	}
}

func TestARenamedMachineKeepsItsCA(t *testing.T) {
	o := options(t)
	prepare(t, o)
	o.Hostname = "terrace"
	r := prepare(t, o)
	if r.NewCA {
		t.Error("the CA was replaced")
	}
	for _, name := range []string{"terrace.local", "localhost", "192.168.1.20"} {
		if err := dial(t, r, name, start); err != nil {
			t.Errorf("as %s: %v", name, err)
		}
	}
}

func TestHostnamesThatFitNoCertificate(t *testing.T) {
	for _, name := range []string{"", "my_pi", "花园", "-x", "a..b", "10.0.0.1", strings.Repeat("a", 64)} {
		o := options(t)
		o.Hostname = name
		if err := dial(t, prepare(t, o), "localhost", start); err != nil {
			t.Errorf("on a machine called %q: %v", name, err)
		}
	}
}

func TestMissingCAKey(t *testing.T) {
	o := options(t)
	r := prepare(t, o)
	key := filepath.Join(r.Dir, caKeyFile)
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if again := prepare(t, o); again.NewCA || again.Issued != "" {
		t.Errorf("while the certificate is good, the key is not needed: %+v", again)
	}
	o.Now = start.Add(500 * 24 * time.Hour)
	_, err := Prepare(o)
	if err == nil || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "put the key back, or remove "+r.CAFile) {
		t.Errorf("the error is %v, want one that names the key and says what to do", err)
	}
	if err := os.Remove(r.CAFile); err != nil {
		t.Fatal(err)
	}
	if fresh := prepare(t, o); !fresh.NewCA || fresh.Made {
		t.Errorf("after the advice was followed: %+v", fresh)
	}
}

func TestAKeyOfAnotherCA(t *testing.T) {
	o, other := options(t), options(t)
	prepare(t, o)
	prepare(t, other)
	foreign, err := os.ReadFile(filepath.Join(other.Dir, caKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.Dir, caKeyFile), foreign, 0o600); err != nil {
		t.Fatal(err)
	}
	o.Now = start.Add(500 * 24 * time.Hour)
	if _, err := Prepare(o); err == nil || !strings.Contains(err.Error(), "is not the key of") {
		t.Errorf("the error is %v", err)
	}
}

func TestExpiredCAIsReplaced(t *testing.T) {
	o := options(t)
	prepare(t, o)
	o.Now = start.Add(caLifetime + 24*time.Hour)
	r := prepare(t, o)
	if !r.NewCA || r.Issued == "" || r.Made {
		t.Errorf("ten years later: %+v", r)
	}
	if err := dial(t, r, "localhost", o.Now); err != nil {
		t.Error(err)
	}
}

func TestPasswordFileOfTheOwnerIsKept(t *testing.T) {
	o := options(t)
	r := prepare(t, o)
	if err := os.WriteFile(r.PasswordFile, []byte("# mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again := prepare(t, o); again.Made {
		t.Error("a password file that was edited was replaced")
	}
}

func TestStartsAtTheSameTime(t *testing.T) {
	o := options(t)
	var wg sync.WaitGroup
	results := make([]*Result, 8)
	for i := range results {
		wg.Go(func() {
			r, err := Prepare(o)
			if err != nil {
				t.Error(err)
				return
			}
			results[i] = r
		})
	}
	wg.Wait()
	first := 0
	for _, r := range results {
		if r != nil && r.Made {
			first++
		}
	}
	if first != 1 {
		t.Errorf("%d of %d starts were shown a password, want 1", first, len(results))
	}
	if err := dial(t, results[0], "localhost", start); err != nil {
		t.Error(err)
	}
}

func TestUnusableDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Prepare(Options{Dir: filepath.Join(file, "data"), Now: start})
	if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "--data DIR") {
		t.Errorf("the error is %v", err)
	}
}

func TestDirectoryOfOtherThings(t *testing.T) {
	o := options(t)
	o.Dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(o.Dir, "letter.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Prepare(o); err == nil || !strings.Contains(err.Error(), "is not a data directory of Picket") {
		t.Errorf("the error is %v", err)
	}
	if entries, err := os.ReadDir(o.Dir); err != nil || len(entries) != 1 {
		t.Errorf("something was written there: %v %v", entries, err)
	}
}

func TestDefaultDir(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		uid  int
		want string
	}{
		{map[string]string{"HOME": "/root"}, 0, "/var/lib/picket"},
		{map[string]string{"HOME": "/home/fountain"}, 1000, "/home/fountain/.local/state/picket"},
		{map[string]string{"HOME": "/home/fountain", "XDG_STATE_HOME": "/srv/state"}, 1000, "/srv/state/picket"},
		{map[string]string{"HOME": "/home/fountain", "XDG_STATE_HOME": "state"}, 1000, "/home/fountain/.local/state/picket"},
		{nil, 1000, ""},
	} {
		got, err := DefaultDir(func(name string) string { return c.env[name] }, c.uid)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%v as %d: got %q, %v, want %q", c.env, c.uid, got, err, c.want)
		}
	}
}

func TestPasswords(t *testing.T) {
	seen := make(map[string]bool)
	used := make(map[rune]bool)
	for range 500 {
		p := NewPassword()
		if seen[p] || len(p) != 20 {
			t.Fatalf("%q is not a new password of 18 characters in three groups", p)
		}
		seen[p] = true
		for _, r := range p {
			used[r] = true
			if !strings.ContainsRune(alphabet+"-", r) || strings.ContainsRune("ilo01", r) {
				t.Errorf("%q has the ambiguous character %c", p, r)
			}
		}
	}
	if len(used) != len(alphabet)+1 {
		t.Errorf("only %d characters are ever used", len(used))
	}
}
