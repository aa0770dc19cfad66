//go:build redis

package sentinel_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFailoverKill goes through discovery, kill -9 of the master, and its return as a replica.
func TestFailoverKill(t *testing.T) {
	g := newGroup(t, options{})
	old := g.current()
	wait := g.switches()
	began := time.Now()
	old.kill()
	times := wait(10 * time.Second)
	for i, at := range times {
		t.Logf("%s: +switch-master after %v", g.sentinels[i].name, at.Sub(began).Round(time.Millisecond))
	}
	// How fast it is on a quiet machine TestTimes measures; this one may be busy with the tests of other packages.
	if last := slices.MaxFunc(times, time.Time.Compare).Sub(began); last > 5*time.Second {
		t.Errorf("the failover took %v", last)
	}
	if g.current() == old {
		t.Fatal("the dead master is still the master")
	}
	old.start()
	if master := g.agreed(); master == old {
		t.Fatal("the old master is the master again")
	}
}

// TestFailoverHang stops the master as SIGSTOP does.
func TestFailoverHang(t *testing.T) {
	g := newGroup(t, options{})
	old := g.current()
	wait := g.switches()
	began := time.Now()
	old.signal(syscall.SIGSTOP)
	times := wait(10 * time.Second)
	t.Logf("first +switch-master after %v", slices.MinFunc(times, time.Time.Compare).Sub(began).Round(time.Millisecond))
	old.signal(syscall.SIGCONT)
	if master := g.agreed(); master == old {
		t.Fatal("the old master is the master again")
	}
}

// TestFailoversInParallel fails several masters of one group of sentinels at once.
func TestFailoversInParallel(t *testing.T) {
	g := newGroup(t, options{servers: 2})
	var masters, replicas []*process
	for i := range 4 {
		name := fmt.Sprintf("other%d", i)
		m := newProcess(t, name, "redis-server", freePort(t), `save ""`).start()
		r := newProcess(t, name+"r", "redis-server", freePort(t), fmt.Sprintf("save \"\"\nrepl-diskless-sync-delay 0\nreplicaof 127.0.0.1 %d", m.port)).start()
		masters, replicas = append(masters, m), append(replicas, r)
		for _, s := range g.sentinels {
			s.ok("SENTINEL", "MONITOR", name, "127.0.0.1", strconv.Itoa(m.port), "2")
			s.ok("SENTINEL", "SET", name, "down-after-milliseconds", "1000", "failover-timeout", "10000")
		}
	}
	for i := range masters {
		for _, s := range g.sentinels {
			eventually(t, 20*time.Second, "all know all", func() bool {
				m := s.master(fmt.Sprintf("other%d", i))
				return m["num-slaves"] == "1" && m["num-other-sentinels"] == "2" && m["flags"] == "master"
			})
		}
	}
	// Another sentinel is one connection, whatever the number of masters.
	if f := fields(g.sentinels[0].do("SENTINEL", "SENTINELS", "other0").Elems[0]); f["link-refcount"] != "5" {
		t.Errorf("link-refcount = %s, want 5", f["link-refcount"])
	}
	for _, m := range masters {
		m.kill()
	}
	for i, r := range replicas {
		for _, s := range g.sentinels {
			eventually(t, 15*time.Second, "all masters are switched", func() bool { return s.masterPort(fmt.Sprintf("other%d", i)) == r.port })
		}
		if r.info("role") != "master" {
			t.Errorf("%s was not promoted", r.name)
		}
	}
}

// TestReplicaPriority: the lowest priority wins, 0 is never promoted; with none left nothing is, and the reason is told.
func TestReplicaPriority(t *testing.T) {
	g := newGroup(t, options{servers: 4})
	g.servers[1].ok("CONFIG", "SET", "replica-priority", "0")
	g.servers[2].ok("CONFIG", "SET", "replica-priority", "10")
	g.servers[3].ok("CONFIG", "SET", "replica-priority", "50")
	wait := g.switches()
	g.servers[0].kill()
	wait(10 * time.Second)
	if g.current() != g.servers[2] {
		t.Fatalf("%s was promoted, want %s", g.current().name, g.servers[2].name)
	}
	g.servers[3].ok("CONFIG", "SET", "replica-priority", "0")
	g.servers[2].kill()
	s := g.sentinels[0]
	eventually(t, 15*time.Second, "a sentinel gives up", func() bool {
		return slices.ContainsFunc(g.sentinels, func(s *process) bool { return s.has("-failover-abort-no-good-slave") })
	})
	eventually(t, 5*time.Second, "the reason is in INFO and in the log", func() bool {
		return strings.Contains(s.do("INFO", "sentinel").Str, "sentinel-no-good-replica") && s.has("replica-priority is 0")
	})
	// By hand neither.
	if v := s.do("SENTINEL", "FAILOVER", "mymaster"); !v.IsError("NOGOODSLAVE") && !v.IsError("INPROG") {
		t.Errorf("FAILOVER: %+v", v)
	}
}

// TestFailoverByHand with a living master, and the coordinated form in which the master hands over itself.
func TestFailoverByHand(t *testing.T) {
	g := newGroup(t, options{})
	old := g.current()
	wait := g.switches()
	g.sentinels[1].ok("SENTINEL", "FAILOVER", "mymaster")
	wait(10 * time.Second)
	if g.agreed() == old {
		t.Fatal("nothing was switched")
	}
	g.discovered()
	old = g.current()
	old.ok("SET", "before", "1")
	wait = g.switches()
	g.sentinels[2].ok("SENTINEL", "FAILOVER", "mymaster", "COORDINATED")
	wait(10 * time.Second)
	eventually(t, 5*time.Second, "the old master follows by its own FAILOVER", func() bool { return old.info("role") == "slave" })
	if m := g.agreed(); m == old || m.do("GET", "before").Str != "1" {
		t.Fatal("the coordinated failover lost a write")
	}
}

// TestSimulatedFailures: SIMULATE-FAILURE ends the leader with status 99, and another one finishes its work.
func TestSimulatedFailures(t *testing.T) {
	for _, what := range []string{"crash-after-election", "crash-after-promotion"} {
		t.Run(what, func(t *testing.T) {
			g := newGroup(t, options{servers: 2, timeout: 2000})
			for _, s := range g.sentinels[:2] {
				s.ok("SENTINEL", "SET", "mymaster", "quorum", "2")
			}
			// The first two stand for election much later than the one that will crash.
			crash := g.sentinels[2]
			crash.ok("SENTINEL", "SIMULATE-FAILURE", what)
			crash.do("SENTINEL", "FAILOVER", "mymaster") // it may end before it has answered
			if st := crash.exitStatus(); st != 99 {
				t.Fatalf("exit status %d, want 99", st)
			}
			crash.start()
			g.discovered()
			if what == "crash-after-promotion" && g.agreed() != g.servers[1] {
				t.Error("the promotion before the crash was forgotten")
			}
		})
	}
}

// TestMixedGroup: two sentinels of Redis and one of ours. Each side leads once, with the votes of the other.
func TestMixedGroup(t *testing.T) {
	for _, leader := range []string{"ours", "theirs"} {
		t.Run(leader, func(t *testing.T) {
			// Whoever is to lead notices first and needs nobody's agreement that the master is down, only their votes.
			each := func(_ int, ours bool) string {
				down := 20000
				if ours == (leader == "ours") {
					down = 1000
				}
				return fmt.Sprintf("sentinel down-after-milliseconds mymaster %d\n", down)
			}
			g := newGroup(t, options{sentinels: "ccp", quorum: 1, each: each})
			wait := g.switches()
			g.servers[0].kill()
			wait(20 * time.Second)
			for i, s := range g.sentinels {
				if led := s.has("+elected-leader"); led && (i == 2) != (leader == "ours") {
					t.Errorf("%s was elected", s.name)
				}
			}
			g.servers[0].start()
			g.agreed()
			// Theirs can read what ours wrote: the same file, restarted as the other program.
			s := g.sentinels[2]
			id := s.do("SENTINEL", "MYID").Str
			s.kill()
			s.args = []string{"redis-sentinel", s.conf}
			s.start()
			if got := s.do("SENTINEL", "MYID").Str; got != id {
				t.Errorf("redis-sentinel on our file has id %s, want %s", got, id)
			}
			g.discovered()
			c := g.sentinels[0]
			path, _ := binary()
			id = c.do("SENTINEL", "MYID").Str
			c.kill()
			c.args = []string{path, "sentinel", c.conf}
			c.start()
			if got := c.do("SENTINEL", "MYID").Str; got != id {
				t.Errorf("ours on redis-sentinel's file has id %s, want %s", got, id)
			}
			g.discovered()
		})
	}
}

var trials = flag.Int("trials", 0, "TestTimes: how many failovers to measure for each kind of sentinel and of failure")

// TestTimes measures failovers side by side with sentinels of Redis: from the master's failure to +switch-master on the first sentinel
// and on all. It runs with -trials 20 for the figures in docs/sentinel.md, with 1 otherwise.
func TestTimes(t *testing.T) {
	n := max(*trials, 1)
	for _, kind := range []string{"ppp", "ccc"} {
		if kind == "ccc" && *trials == 0 {
			continue
		}
		g := newGroup(t, options{sentinels: kind})
		for _, how := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
			var first, all []time.Duration
			for range n {
				g.discovered()
				time.Sleep(2 * time.Second)
				m := g.current()
				wait := g.switches()
				began := time.Now()
				m.signal(how)
				times := wait(30 * time.Second)
				first = append(first, slices.MinFunc(times, time.Time.Compare).Sub(began))
				all = append(all, slices.MaxFunc(times, time.Time.Compare).Sub(began))
				if how == syscall.SIGKILL {
					<-m.dead
					m.start()
				} else {
					m.signal(syscall.SIGCONT)
				}
				g.agreed()
			}
			report := func(d []time.Duration) string {
				slices.Sort(d)
				return fmt.Sprintf("min %d median %d max %d ms", d[0].Milliseconds(), d[len(d)/2].Milliseconds(), d[len(d)-1].Milliseconds())
			}
			line := fmt.Sprintf("%s %s: first +switch-master %s; on all %s (%d trials)", map[string]string{"ppp": "picket", "ccc": "redis-sentinel"}[kind], how, report(first), report(all), n)
			t.Log(line)
			if *trials > 0 {
				fmt.Fprintln(os.Stderr, line)
			}
		}
		for _, p := range append(g.sentinels, g.servers...) {
			p.kill()
		}
	}
}
