//go:build redis

package sentinel_test

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
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"picket/resp"
)

// TestPasswords: servers with a password and sentinels with one of their own, through a failover. A password that is wrong is told as
// such, and is not "down".
func TestPasswords(t *testing.T) {
	g := newGroup(t, options{
		servers: 2, server: "requirepass secret\nmasterauth secret", pass: []string{"secret"},
		each: func(int, bool) string { return "sentinel auth-pass mymaster secret\n" },
	})
	wait := g.switches()
	g.servers[0].kill()
	wait(10 * time.Second)
	g.servers[0].start()
	g.agreed()
	g.discovered()
	s := g.sentinels[0]
	s.ok("SENTINEL", "SET", "mymaster", "auth-pass", "wrong")
	eventually(t, 10*time.Second, "it is disconnected and says why", func() bool {
		return strings.Contains(s.master("mymaster")["flags"], "disconnected") && strings.Contains(s.do("INFO", "sentinel").Str, "sentinel-wrong-password")
	})
	time.Sleep(3 * time.Second) // three times down-after
	if f := s.master("mymaster")["flags"]; strings.Contains(f, "s_down") {
		t.Errorf("a wrong password counts as down: %s", f)
	}
	if v := s.do("SENTINEL", "CKQUORUM", "mymaster"); !strings.Contains(v.Str, "[sentinel-wrong-password]") {
		t.Errorf("CKQUORUM does not say why: %s", v.Str)
	}
	s.ok("SENTINEL", "SET", "mymaster", "auth-pass", "secret")
	g.discovered()
}

// TestPermissions: the rights that the reference names are enough for a failover; a missing one is named.
func TestPermissions(t *testing.T) {
	const rights = "&__sentinel__:hello +client +subscribe +publish +ping +info +multi +slaveof +config +exec"
	g := newGroup(t, options{
		servers: 2,
		server:  "user watcher on >pw resetchannels " + rights + "\nuser replica on >pw +psync +replconf +ping\nmasteruser replica\nmasterauth pw",
		each:    func(int, bool) string { return "sentinel auth-user mymaster watcher\nsentinel auth-pass mymaster pw\n" },
	})
	wait := g.switches()
	g.servers[0].kill()
	wait(10 * time.Second)
	g.servers[0].start()
	g.agreed()
	g.discovered()
	for _, p := range g.servers {
		p.ok("ACL", "SETUSER", "watcher", "-slaveof", "-exec")
	}
	s := g.sentinels[0]
	s.ok("SENTINEL", "SET", "mymaster", "auth-pass", "pw") // makes the connections anew
	eventually(t, 10*time.Second, "the missing rights are named", func() bool {
		text := s.do("SENTINEL", "CKQUORUM", "mymaster").Str
		return strings.Contains(text, "[sentinel-missing-permission]") && strings.Contains(text, "SLAVEOF") && strings.Contains(text, "EXEC")
	})
}

// TestOwnUsers: the sentinel's own passwords and users.
func TestOwnUsers(t *testing.T) {
	g := newGroup(t, options{servers: 2, sentinels: "p", quorum: 1})
	s := g.sentinels[0]
	c, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.conn.Close() }()
	do := func(args ...string) string {
		t.Helper()
		v, err := c.do(args...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return v.Str
	}
	do("ACL", "SETUSER", "bob", "on", ">pw", "+ping", "+sentinel|get-master-addr-by-name", "+subscribe", "&+switch-master")
	do("ACL", "SETUSER", "admin", "on", ">adminpw", "+@all", "allchannels")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"AUTH", "bob", "wrong"}, "WRONGPASS invalid username-password pair or user is disabled."},
		{[]string{"AUTH", "nobody", "pw"}, "WRONGPASS invalid username-password pair or user is disabled."},
		{[]string{"AUTH", "bob", "pw"}, "OK"},
		{[]string{"PING"}, "PONG"},
		{[]string{"SENTINEL", "MASTERS"}, "NOPERM this user has no permissions to run the 'sentinel|masters' command"},
		{[]string{"ACL", "WHOAMI"}, "NOPERM this user has no permissions to run the 'acl|whoami' command"},
		{[]string{"SUBSCRIBE", "+sdown"}, "NOPERM this user has no permissions to access one of the channels used as arguments"},
		{[]string{"AUTH", "admin", "adminpw"}, "OK"},
		{[]string{"ACL", "WHOAMI"}, "admin"},
		{[]string{"ACL", "DRYRUN", "bob", "sentinel", "set", "a", "b", "c"}, "This user has no permissions to run the 'sentinel|set' command"},
		{[]string{"ACL", "DRYRUN", "bob", "ping"}, "OK"},
		{[]string{"ACL", "SETUSER", "x", "+nonsense"}, "ERR Error in ACL SETUSER modifier '+nonsense': Unknown command or category name in ACL"},
		{[]string{"ACL", "SETUSER", "x", "nonsense"}, "ERR Error in ACL SETUSER modifier 'nonsense': Syntax error"},
		{[]string{"ACL", "DELUSER", "default"}, "ERR The 'default' user cannot be removed"},
	} {
		if got := do(c.args...); got != c.want {
			t.Errorf("%v: %s, want %s", c.args, got, c.want)
		}
	}
	v, _ := c.do("ACL", "LOG")
	reasons := 0
	for _, e := range v.Elems {
		if r := fields(e)["reason"]; slices.Contains([]string{"auth", "command", "channel"}, r) {
			reasons++
		}
	}
	if reasons < 5 {
		t.Errorf("ACL LOG has %d entries: %+v", reasons, v)
	}
	// Users survive a restart, with hashed passwords.
	do("ACL", "SETUSER", "default", "off")
	s.kill()
	s.pass = []string{"admin", "adminpw"}
	s.start()
	if got := s.do("ACL", "USERS"); len(got.Elems) != 3 {
		t.Errorf("users after a restart: %+v", got)
	}
	data, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "adminpw") || !strings.Contains(string(data), "user bob on #") {
		t.Errorf("the users in the configuration file:\n%s", data)
	}
	// A client that is dropped with its user.
	other, _ := s.dial()
	defer func() { _ = other.conn.Close() }()
	if v, _ := other.do("AUTH", "bob", "pw"); v.Str != "OK" {
		t.Fatalf("AUTH: %+v", v)
	}
	if v := s.do("ACL", "DELUSER", "bob"); v.Int != 1 {
		t.Errorf("ACL DELUSER: %+v", v)
	}
	if _, err := other.do("PING"); err == nil {
		t.Error("the connection of a removed user still answers")
	}
}

// TestHostnames: names in the configuration, in INFO, in what is announced.
func TestHostnames(t *testing.T) {
	g := newGroup(t, options{
		servers: 2, host: "localhost", server: "replica-announce-ip localhost",
		sentinel: "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes",
	})
	v := g.sentinels[0].do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
	if v.Elems[0].Str != "localhost" {
		t.Errorf("the master is announced as %s, want localhost", v.Elems[0].Str)
	}
	wait := g.switches()
	g.servers[0].kill()
	wait(10 * time.Second)
	if v := g.sentinels[0].do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"); v.Elems[0].Str != "localhost" || v.Elems[1].Str != strconv.Itoa(g.servers[1].port) {
		t.Errorf("after the failover: %+v", v)
	}
	g.servers[0].start()
	eventually(t, 30*time.Second, "the old master follows by name", func() bool { return g.servers[0].info("master_host") == "localhost" })
	// Restarted with the names in its file.
	g.sentinels[0].kill()
	g.sentinels[0].start()
	g.discovered()
}

// TestTLS: sentinels and servers speak TLS only, with certificates on both sides, through a failover.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	ca, err := newCertificates(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := fmt.Sprintf("tls-cert-file %[1]s/cert.pem\ntls-key-file %[1]s/key.pem\ntls-ca-cert-file %[1]s/ca.pem\ntls-replication yes\n", dir)
	var servers []*process
	for i := range 2 {
		port := freePort(t)
		conf := files + fmt.Sprintf("port 0\ntls-port %d\nsave \"\"\nrepl-diskless-sync-delay 0\n", port)
		if i > 0 {
			conf += fmt.Sprintf("replicaof 127.0.0.1 %d\n", servers[0].port)
		}
		p := newProcess(t, fmt.Sprintf("redis%d", i+1), "redis-server", port, conf)
		p.launch()
		servers = append(servers, p)
	}
	ask := func(p *process, args ...string) resp.Value {
		conn, err := tls.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)), ca)
		if err != nil {
			return resp.Err(err.Error())
		}
		defer func() { _ = conn.Close() }()
		c := &client{conn, resp.NewReader(conn)}
		v, err := c.do(args...)
		if err != nil {
			return resp.Err(err.Error())
		}
		return v
	}
	for _, p := range servers {
		eventually(t, 15*time.Second, p.name+" answers", func() bool { return ask(p, "PING").Str == "PONG" })
	}
	eventually(t, 15*time.Second, "replication is up", func() bool { return strings.Contains(ask(servers[1], "INFO").Str, "master_link_status:up") })
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	var sentinels []*process
	for i := range 3 {
		port := freePort(t)
		program := path + " sentinel"
		if i == 2 {
			program = "redis-sentinel"
		}
		conf := files + fmt.Sprintf("port 0\ntls-port %d\nsentinel monitor mymaster 127.0.0.1 %d 2\nsentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 10000\n", port, servers[0].port)
		p := newProcess(t, fmt.Sprintf("sentinel%d", i+1), program, port, conf)
		p.launch()
		sentinels = append(sentinels, p)
	}
	for _, s := range sentinels {
		eventually(t, 20*time.Second, s.name+" knows all over TLS", func() bool {
			f := fields(ask(s, "SENTINEL", "MASTER", "mymaster"))
			return f["flags"] == "master" && f["num-slaves"] == "1" && f["num-other-sentinels"] == "2"
		})
	}
	if _, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(sentinels[0].port)), time.Second); err != nil {
		t.Fatal(err)
	}
	bare := ca.Clone()
	bare.Certificates = nil
	if conn, err := tls.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(sentinels[0].port)), bare); err == nil {
		c := &client{conn, resp.NewReader(conn)}
		if v, err := c.do("PING"); err == nil {
			t.Errorf("a client without a certificate is answered %+v", v)
		}
		_ = conn.Close()
	}
	servers[0].kill()
	for _, s := range sentinels {
		eventually(t, 15*time.Second, s.name+" switches", func() bool {
			v := ask(s, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
			return len(v.Elems) == 2 && v.Elems[1].Str == strconv.Itoa(servers[1].port)
		})
	}
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
