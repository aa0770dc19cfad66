//go:build linux

package sentinel

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"picket/cause"
	"picket/internal/testbed"
)

// places is a group whose servers are known by names and each have a loopback address of their own, as containers have. Where a name leads is decided
// by a hosts file that all processes of the test share and nobody else sees.
type places struct {
	*group
	hosts string
	port  int
	at    map[string]string // address by name
}

// program is a command that sees the hosts file of the test.
func (w *places) program(command string) string {
	return "unshare --map-root-user --mount " + filepath.Join(filepath.Dir(w.hosts), "with-hosts") + " " + command
}

// points has a name lead to an address from now on.
func (w *places) points(name, addr string) {
	w.t.Helper()
	if addr == "" {
		delete(w.at, name)
	} else {
		w.at[name] = addr
	}
	text := "127.0.0.1 localhost\n"
	for n, a := range w.at {
		text += a + " " + n + "\n"
	}
	// In place: the file is mounted.
	if err := os.WriteFile(w.hosts, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

var nextPlace atomic.Int64

// place is a loopback address that no other test uses.
func place(t testing.TB) string {
	return fmt.Sprintf("127.77.%d.%d", os.Getpid()%250, nextPlace.Add(1))
}

// newPlaces makes a master and replicas of the names s1.test, s2.test..., and three sentinels. conf is for each server.
func newPlaces(t testing.TB, servers int, conf string) *places {
	t.Helper()
	dir := t.TempDir()
	w := &places{group: &group{t: t}, hosts: filepath.Join(dir, "hosts"), port: testbed.Port(t), at: map[string]string{}}
	script := "#!/bin/sh\nmount --bind " + w.hosts + " /etc/hosts && exec \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "with-hosts"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range servers {
		name := fmt.Sprintf("s%d.test", i+1)
		w.points(name, place(t))
		c := "replica-announce-ip " + name + "\n" + conf
		if i > 0 {
			c += fmt.Sprintf("\nreplicaof s1.test %d", w.port)
		}
		p := w.server(fmt.Sprintf("s%d", i+1), w.at[name], c)
		w.servers = append(w.servers, p.start())
		w.servers[0].ok("SET", "key", "value")
	}
	for _, p := range w.servers[1:] {
		eventually(t, p.name+" replicates", func() bool { return p.info("master_link_status") == "up" })
	}
	for i := range 3 {
		port := testbed.Port(t)
		s := newProcess(t, fmt.Sprintf("sentinel%d", i+1), w.program(binary+" sentinel"), port, fmt.Sprintf("sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n"+
			"sentinel monitor mymaster s1.test %d 2\nsentinel down-after-milliseconds mymaster 3000\nsentinel failover-timeout mymaster 10000\n", w.port))
		w.sentinels = append(w.sentinels, s.start())
		s.ok("SENTINEL", "DEBUG", "info-period", "2000", "publish-period", "500", "tilt-period", "10000")
	}
	w.discovered()
	return w
}

// server is one at an address, not started yet.
func (w *places) server(name, addr, conf string) *process {
	p := newProcess(w.t, name, w.program("redis-server"), w.port, "save \"\"\nrepl-diskless-sync-delay 0\nrepl-diskless-sync yes\nbind "+addr+"\n"+conf)
	p.host = addr
	return p
}

// moves has a server that is not running answer at another address from its next start on.
func (w *places) moves(p *process, addr string) {
	w.t.Helper()
	data, err := os.ReadFile(p.conf)
	if err != nil {
		w.t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "bind ") {
			lines[i] = "bind " + addr
		}
	}
	if err := os.WriteFile(p.conf, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		w.t.Fatal(err)
	}
	p.host = addr
	w.points(p.name+".test", addr)
}

// stranger is a server with data of its own at an address, which has nothing to do with the group.
func (w *places) stranger(addr string) *process {
	w.t.Helper()
	p := w.server("stranger-"+addr, addr, "").start()
	p.ok("SET", "mine", "yes")
	return p
}

// untouched: it is a master still and has its data.
func (p *process) untouched() {
	p.t.Helper()
	if role, v := p.info("role"), p.do("GET", "mine").Str; role != "master" || v != "yes" {
		p.t.Errorf("%s: its role is %s and its data %q", p.name, role, v)
	}
	if strings.Contains(p.log(), "REPLICAOF") || strings.Contains(p.log(), "MASTER MODE enabled (user request") {
		p.t.Errorf("%s was reconfigured", p.name)
	}
}

// down has the sentinels take the master for down after so many milliseconds.
func (w *places) down(after int) {
	for _, s := range w.sentinels {
		s.ok("SENTINEL", "SET", "mymaster", "down-after-milliseconds", strconv.Itoa(after))
	}
}

// is reports whether the sentinels send clients to a server.
func (w *places) is(p *process) bool {
	for _, s := range w.sentinels {
		if s.masterAddr("mymaster") != p.name+".test:"+strconv.Itoa(w.port) {
			return false
		}
	}
	return true
}

// TestStrangersAtOurAddresses: the address of a container that is gone is given to a server of somebody else, while its name still leads there. It keeps its
// data, whatever happens to the group.
func TestStrangersAtOurAddresses(t *testing.T) {
	t.Parallel()
	w := newPlaces(t, 3, "")
	s1, s2, s3 := w.servers[0], w.servers[1], w.servers[2]
	s3.kill()
	x := w.stranger(s3.host)
	told := "s3.test:" + strconv.Itoa(w.port) + ": a server with data of its own"
	eventually(t, "the sentinels say so", func() bool {
		return w.sentinels[0].logged(told) && w.sentinels[1].logged(told) && w.sentinels[2].logged(told)
	})
	w.sentinels[0].tells(cause.SentinelServerUnproved, told)
	s1.kill()
	eventually(t, "s2 is the master", func() bool { return w.is(s2) && s2.info("role") == "master" })
	y := w.stranger(s1.host)
	told = "s1.test:" + strconv.Itoa(w.port) + ": a server with data of its own"
	eventually(t, "the sentinels say so", func() bool {
		return w.sentinels[0].logged(told) && w.sentinels[1].logged(told) && w.sentinels[2].logged(told)
	})
	// Ours come back elsewhere, and are taken in.
	w.moves(s1, place(t))
	w.moves(s3, place(t))
	s1.start()
	s3.start()
	for _, p := range []*process{s1, s3} {
		eventually(t, p.name+" follows", func() bool { return p.info("master_host") == "s2.test" && p.info("master_link_status") == "up" })
	}
	x.untouched()
	y.untouched()
	w.discovered()
	w.sentinels[0].silent()
}

// TestSwappedAddresses: the master and a replica start again at each other's addresses. Nobody takes one for the other: neither then, nor when the master fails.
func TestSwappedAddresses(t *testing.T) {
	t.Parallel()
	w := newPlaces(t, 2, "save 3600 1")
	s1, s2 := w.servers[0], w.servers[1]
	w.down(aDay) // however long they take to start again
	for range 2 {
		a, b := s1.host, s2.host
		for _, p := range w.servers {
			p.ok("SAVE")
			p.kill()
		}
		w.moves(s1, b)
		w.moves(s2, a)
		s1.start()
		s2.start()
		eventually(t, "s2 follows s1 again", func() bool { return s2.info("master_host") == "s1.test" && s2.info("master_link_status") == "up" })
		w.discovered()
	}
	if !w.is(s1) || s1.info("role") != "master" || s1.do("GET", "key").Str != "value" {
		t.Error("s1 is no longer the master")
	}
	w.down(quietDown)
	s1.kill()
	eventually(t, "s2 is the master", func() bool { return w.is(s2) && s2.info("role") == "master" })
	if s2.do("GET", "key").Str != "value" {
		t.Error("the data are gone")
	}
	s1.start()
	eventually(t, "s1 follows", func() bool { return s1.info("master_host") == "s2.test" && s1.info("master_link_status") == "up" })
}

// TestMovedByHand: somebody makes the master a replica of another server. While it takes over the data, which takes its time, it is left alone; and so is
// a replica that was given to us as a master, when its own master starts again.
func TestMovedByHand(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 1, sentinels: "p", quorum: 1, down: 1000})
	s, m := g.sentinels[0], g.servers[0]
	s.ok("SENTINEL", "DEBUG", "info-period", "500")
	// One that keeps those who want its data waiting.
	other := newProcess(t, "other", "redis-server", testbed.Port(t), "save \"\"\nrepl-diskless-sync yes\nrepl-diskless-sync-delay 3600\n").start()
	other.ok("SET", "key", "new")
	m.ok("REPLICAOF", "127.0.0.1", strconv.Itoa(other.port))
	eventually(t, "the sentinel sees it as down and finds nobody to promote, three times", func() bool {
		s.ok("SENTINEL", "SET", "mymaster", "failover-timeout", "100")
		return strings.Count(s.log(), "-failover-abort-no-good-slave") >= 3
	})
	if s.logged("+fix-master-config") || m.info("master_port") != strconv.Itoa(other.port) {
		t.Errorf("it was taken back: it follows %q", m.info("master_port"))
	}
	other.ok("CONFIG", "SET", "repl-diskless-sync-delay", "0")
	eventually(t, "it has the new data", func() bool { return m.do("GET", "key").Str == "new" })
	// Its master goes and comes back after a while.
	other.kill()
	before := strings.Count(s.log(), "-failover-abort-no-good-slave")
	eventually(t, "three more attempts", func() bool { return strings.Count(s.log(), "-failover-abort-no-good-slave") >= before+3 })
	other.start()
	other.ok("CONFIG", "SET", "repl-diskless-sync-delay", "0")
	eventually(t, "it follows again", func() bool { return m.info("master_link_status") == "up" })
	if s.logged("+fix-master-config") || s.logged("+convert-to-slave") {
		t.Error("it was reconfigured")
	}
}

// TestAppendOnlyMasterComesBack: a master that reads its data from an append-only file does not know its history any more. It is left alone, and said to be,
// until the operator vouches for the addresses.
func TestAppendOnlyMasterComesBack(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 2, server: "appendonly yes\n"})
	old := g.servers[0]
	old.ok("SET", "key", "value")
	eventually(t, "it is replicated", func() bool { return g.servers[1].do("GET", "key").Str == "value" })
	old.kill()
	now := g.switched(old)
	old.start()
	for _, s := range g.sentinels {
		eventually(t, s.name+" says so", func() bool { return s.logged(string(cause.SentinelServerUnproved)) })
	}
	if old.info("role") != "master" || old.do("GET", "key").Str != "value" {
		t.Error("it was reconfigured")
	}
	g.sentinels[0].ok("SENTINEL", "SET", "mymaster", "picket-adopt", "yes")
	eventually(t, "it follows", func() bool {
		return old.info("master_port") == strconv.Itoa(now.port) && old.info("master_link_status") == "up"
	})
}

// TestAwayForAMoment: a master that is back before it counts as down does not count as down, although the connection that it broke was silent since.
func TestAwayForAMoment(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 2, down: aDay}) // however long its start takes
	broken := time.Now()
	g.servers[0].kill()
	g.servers[0].start()
	for _, s := range g.sentinels {
		eventually(t, s.name+" is connected again", func() bool { return s.master("mymaster")["flags"] == "master" })
	}
	time.Sleep(time.Until(broken.Add(quietDown * time.Millisecond)))
	for _, s := range g.sentinels {
		s.ok("SENTINEL", "SET", "mymaster", "down-after-milliseconds", strconv.Itoa(quietDown))
	}
	time.Sleep(time.Second) // for what must not happen
	for _, s := range g.sentinels {
		if s.logged("+sdown master") && !s.logged("+tilt") {
			t.Errorf("%s saw it as down", s.name)
		}
	}
}
