package redis

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"picket/internal/testbed"
	"picket/store/storetest"
)

// newSentinel starts a sentinel that watches a master alone and wants a password, and returns its address.
// Its down-after-milliseconds is longer than a busy machine keeps a server waiting: otherwise it fails over again and again.
func newSentinel(t *testing.T, master *server, password string) string {
	t.Helper()
	port := strconv.Itoa(testbed.Port(t))
	dir := t.TempDir()
	file := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nlogfile %s/log\nsentinel monitor main 127.0.0.1 %d 1\nsentinel down-after-milliseconds main 3000\nsentinel failover-timeout main 5000\nrequirepass %s\n", port, dir, dir, master.port, password)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("redis-server", file, "--sentinel")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(func() {
		if log, err := os.ReadFile(filepath.Join(dir, "log")); t.Failed() {
			t.Logf("the sentinel's log, %v:\n%s", err, log)
		}
	})
	ask := func(args ...string) string {
		out, err := exec.Command("redis-cli", append([]string{"-p", port, "--no-auth-warning", "-a", password, "SENTINEL"}, args...)...).Output()
		if err != nil {
			return err.Error()
		}
		return string(out)
	}
	until(t, "the sentinel knows the replica", func() bool { return strings.Contains(ask("MASTER", "main"), "num-slaves\n1\n") })
	// On a machine that stands still for a moment it concludes nothing for half a minute, and learns of a changed role every ten seconds.
	if got := ask("DEBUG", "tilt-period", "2000", "info-period", "1000"); got != "OK\n" {
		t.Fatalf("SENTINEL DEBUG: %s", got)
	}
	return "127.0.0.1:" + port
}

// TestSentinelsFailOver kills the master that a sentinel with a password of its own watches, again and again: the store follows, and nothing is refused or lost.
func TestSentinelsFailOver(t *testing.T) {
	servers := []*server{newServer(t)}
	servers = append(servers, servers[0].replica())
	sentinel := newSentinel(t, servers[0], "watch&see")
	if _, _, err := open(t, sentinel+"/main", Options{}); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
		t.Errorf("without its password: %v", err)
	}
	address := sentinel + "/main?sentinel_password=watch%26see"
	s, out := mustOpen(t, address, Options{Hold: 1 << 40, Acknowledge: Acknowledge{Auto: true}})
	r := storetest.Start(t, s)
	l := &life{t: t, s: s, out: out, r: r, w: storetest.NewWorld(t, rand.New(rand.NewPCG(3, 9)), s, r)}
	for range 2 {
		l.steps(200)
		master, other := servers[0], servers[1]
		if master.info("role") != "master" {
			master, other = other, master
		}
		master.kill()
		l.steps(50)
		l.flush()
		if role := other.info("role"); role != "master" {
			t.Fatalf("what has been stored is in a %s", role)
		}
		master.start()
		until(t, "the old master follows the new one", func() bool { return master.info("master_link_status") == "up" })
	}
	l.steps(100)
	l.whole(address)
	if errs := r.Refusals(); len(errs) > 0 {
		t.Error(errs[0])
	}
}

// TestRedisCluster keeps everything in a Redis Cluster, of one node.
func TestRedisCluster(t *testing.T) {
	node := newServer(t, "--cluster-enabled", "yes")
	node.do("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	until(t, "the cluster is up", func() bool { return node.try("SET", "x", "y") == nil })
	l := newLife(t, node.address()+"?cluster", Options{})
	l.steps(300)
	node.kill()
	l.steps(50)
	node.start()
	l.steps(50)
	l.whole(node.address() + "?cluster")
}

// TestTLS keeps everything in a server that speaks TLS only, with a certificate of an authority of its own.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	ca := testbed.NewCA(t, filepath.Join(dir, "ca.pem"))
	pair := ca.Issue(t, filepath.Join(dir, "server"), nil)
	port := strconv.Itoa(testbed.Port(t))
	newServer(t, "--tls-port", port, "--tls-cert-file", pair.CertFile, "--tls-key-file", pair.KeyFile, "--tls-ca-cert-file", ca.File, "--tls-auth-clients", "no")
	if _, _, err := open(t, "rediss://localhost:"+port, Options{}); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("without the authority: %v", err)
	}
	if _, err := ParseAddress("redis://localhost:" + port + "?ca=" + ca.File); err == nil || !strings.Contains(err.Error(), "write rediss://") {
		t.Errorf("without TLS: %v", err)
	}
	address := "rediss://localhost:" + port + "?ca=" + ca.File
	l := newLife(t, address, Options{})
	l.steps(300)
	l.whole(address)
}

// TestAddresses reads what people write behind cluster.
func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"redis://h":                             "{[h:6379]  false false   {picket}}",
		"rediss://u:p%40ss@h:1":                 "{[h:1]  false true u p@ss {picket}}",
		"redis://a,b:1,[::1]/m?prefix=x":        "{[a:26379 b:1 [::1]:26379] m false false   {x}}",
		"redis://a,b?cluster":                   "{[a:6379 b:6379]  true false   {picket}}",
		"redis://":                              `"": expected HOST:PORT`,
		"h:6379":                                "expected redis://HOST:PORT, or rediss:// for TLS",
		"redis://a,b":                           "several servers are sentinels",
		"redis://a/m?cluster":                   "exclude each other",
		"redis://a?database=1":                  "expected cluster, prefix=WORD",
		"redis://a/m?sentinel_user=x":           "sentinel_user without sentinel_password",
		"redis://a?sentinel_password=secret":    "the name of their master is missing",
		"rediss://a?ca=/nothing":                "ca=FILE: open /nothing: no such file or directory",
		"rediss://a?ca=/dev/null":               "ca=FILE: /dev/null holds no certificate (PEM)",
		"redis://u:%zz@a":                       "write % itself as %25",
		"redis://u:secret@a?prefix={x}":         "expected cluster, prefix=WORD",
		"redis://u:secret@a,b":                  "several servers are sentinels",
		"rediss://user:secret@h:1?cluster=true": "expected cluster, prefix=WORD",
	} {
		a, err := ParseAddress(text)
		var got string
		if err == nil {
			got = fmt.Sprintf("{%v %s %v %v %s %s %s}", a.Servers, a.Master, a.Cluster, a.TLS, a.User, a.Password, a.Prefix)
		} else {
			got = err.Error()
		}
		if !strings.Contains(got, want) || err != nil && strings.Contains(got, "secret") {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
		if err == nil && strings.Contains(a.String(), "p@ss") {
			t.Errorf("the password is in %s", a)
		}
	}
}
