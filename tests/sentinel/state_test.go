//go:build linux

package sentinel

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"picket/cause"
)

// TestRestarts: what was learnt and set at run time is there after kill -9 and a start, and a vote cannot be given twice.
func TestRestarts(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{})
	s := g.sentinels[0]
	id := s.do("SENTINEL", "MYID").Str
	s.ok("SENTINEL", "SET", "mymaster", "quorum", "3", "failover-timeout", "12345", "parallel-syncs", "4", "down-after-milliseconds", "4000")
	s.ok("SENTINEL", "CONFIG", "SET", "announce-ip", "127.0.0.1", "sentinel-user", "")
	s.ok("SENTINEL", "MONITOR", "other", "127.0.0.1", "1", "1")
	if v := s.do("SENTINEL", "SET", "mymaster", "quorum", "2", "nonsense", "1"); v.Str != "ERR Unknown option or number of arguments for SENTINEL SET 'nonsense'" {
		t.Errorf("SET with a second option that does not exist: %+v", v)
	}
	replicas, sentinels := len(s.instances("REPLICAS", "mymaster")), len(s.instances("SENTINELS", "mymaster"))
	s.kill()
	// What it knows at once comes from its file: the servers and the others have not said anything yet.
	for _, p := range append(g.sentinels[1:], g.servers...) {
		p.signal(syscall.SIGSTOP)
	}
	s.start()
	if s.do("SENTINEL", "MYID").Str != id {
		t.Error("the id has changed")
	}
	if len(s.instances("REPLICAS", "mymaster")) != replicas || len(s.instances("SENTINELS", "mymaster")) != sentinels || s.masterAddr("other") != "127.0.0.1:1" {
		t.Errorf("after a restart it knows %v, %v, %s", s.instances("REPLICAS", "mymaster"), s.instances("SENTINELS", "mymaster"), s.masterAddr("other"))
	}
	m := s.master("mymaster")
	for name, want := range map[string]string{"quorum": "2", "failover-timeout": "12345", "parallel-syncs": "4", "down-after-milliseconds": "4000"} {
		if m[name] != want {
			t.Errorf("after a restart %s is %s, want %s", name, m[name], want)
		}
	}
	for _, p := range append(g.sentinels[1:], g.servers...) {
		p.signal(syscall.SIGCONT)
	}
	s.ok("SENTINEL", "REMOVE", "other")
	g.agreed()
	// A vote and the epochs survive.
	vote := func(candidate string) string {
		at := g.current()
		v := s.do("SENTINEL", "IS-MASTER-DOWN-BY-ADDR", at.host, strconv.Itoa(at.port), "50", candidate)
		if len(v.Elems) != 3 {
			t.Fatalf("IS-MASTER-DOWN-BY-ADDR: %+v", v)
		}
		return fmt.Sprintf("%s in epoch %d", v.Elems[1].Str, v.Elems[2].Int)
	}
	if got := vote("someone"); got != "someone in epoch 50" {
		t.Errorf("a vote: %s", got)
	}
	s.kill()
	s.start()
	if got := vote("another"); got != "* in epoch 50" {
		t.Errorf("a second vote in one epoch, after a crash: %s", got)
	}
}

// TestSetAtRunTime: options take effect at once.
func TestSetAtRunTime(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 2, sentinels: "p", quorum: 1, down: aDay})
	s := g.sentinels[0]
	g.servers[0].kill()
	time.Sleep(time.Second) // for what must not happen
	if f := s.master("mymaster")["flags"]; strings.Contains(f, "s_down") {
		t.Errorf("down after a day is %s at once", f)
	}
	s.ok("SENTINEL", "SET", "mymaster", "down-after-milliseconds", strconv.Itoa(2*quietDown)) // ten times that has not passed since
	g.switched(g.servers[0])
	// Events tell what was set, passwords apart.
	c := s.open()
	if _, err := c.do("SUBSCRIBE", "+set"); err != nil {
		t.Fatal(err)
	}
	s.ok("SENTINEL", "SET", "mymaster", "quorum", "1", "auth-pass", "secret")
	for _, want := range []string{"quorum 1", "auth-pass ******"} {
		if v, err := c.r.Value(); err != nil || len(v.Elems) != 3 || !strings.HasSuffix(v.Elems[2].Str, want) {
			t.Errorf("+set: %+v, %v, want %s", v, err, want)
		}
	}
	// The times of SENTINEL DEBUG too.
	s.ok("SENTINEL", "SET", "mymaster", "auth-pass", "")
	s.ok("SENTINEL", "DEBUG", "info-period", "100")
	eventually(t, "INFO comes more often", func() bool {
		n, err := strconv.Atoi(s.master("mymaster")["info-refresh"])
		return err == nil && n < 1000
	})
}

// TestFileCannotBeWritten: a folder in place of the file. The client is told, and no vote is given that could be forgotten.
func TestFileCannotBeWritten(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 2, sentinels: "p", quorum: 1})
	s := g.sentinels[0]
	if err := os.Rename(s.conf, s.conf+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.conf, 0o755); err != nil {
		t.Fatal(err)
	}
	if v := s.do("SENTINEL", "FLUSHCONFIG"); v.Str != "ERR Failed to save config file. Check server logs." {
		t.Errorf("FLUSHCONFIG: %+v", v)
	}
	if v := s.do("SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", strconv.Itoa(g.servers[0].port), "5", "someone"); v.Elems[1].Str != "*" {
		t.Errorf("a vote that is not kept: %+v", v)
	}
	s.tells(cause.SentinelConfigNotSaved, "no vote can be given")
	if err := os.Remove(s.conf); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.conf+".old", s.conf); err != nil {
		t.Fatal(err)
	}
	s.silent()
}
