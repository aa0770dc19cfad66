//go:build linux

package sentinel

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"picket/cause"
	"picket/internal/testbed"
)

// TestKilledMaster goes through discovery, kill -9 of the master, and its return as a replica.
func TestKilledMaster(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{unhurried: true})
	old := g.current()
	old.kill()
	now := g.switched(old)
	eventually(t, now.name+" is a master", func() bool { return now.info("role") == "master" })
	old.start()
	if g.agreed() == old {
		t.Fatal("the old master is the master again")
	}
	if !slices.ContainsFunc(g.sentinels, func(s *process) bool { return s.logged("+convert-to-slave slave " + old.addr()) }) {
		t.Error("no sentinel made a replica of the old master")
	}
}

// TestHangingMaster stops the master as SIGSTOP does, and lets it go on when it has been replaced.
func TestHangingMaster(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{})
	old := g.current()
	old.signal(syscall.SIGSTOP)
	g.switched(old)
	old.signal(syscall.SIGCONT)
	if g.agreed() == old {
		t.Fatal("the old master is the master again")
	}
	g.discovered() // it is no longer down for anyone
}

// TestManyMasters fails several masters of one group of sentinels at once.
func TestManyMasters(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 2})
	var masters, replicas []*process
	for i := range 4 {
		name := fmt.Sprintf("other%d", i)
		m := newProcess(t, name, "redis-server", testbed.Port(t), `save ""`).start()
		r := newProcess(t, name+"r", "redis-server", testbed.Port(t), fmt.Sprintf("save \"\"\nrepl-diskless-sync-delay 0\nreplicaof 127.0.0.1 %d", m.port)).start()
		masters, replicas = append(masters, m), append(replicas, r)
		for _, s := range g.sentinels {
			s.ok("SENTINEL", "MONITOR", name, "127.0.0.1", strconv.Itoa(m.port), "2")
			s.ok("SENTINEL", "SET", name, "down-after-milliseconds", strconv.Itoa(quietDown), "failover-timeout", "10000")
		}
	}
	for i := range masters {
		for _, s := range g.sentinels {
			eventually(t, "all know all", func() bool {
				m := s.master(fmt.Sprintf("other%d", i))
				return m["num-slaves"] == "1" && m["num-other-sentinels"] == "2" && m["flags"] == "master"
			})
		}
	}
	// Another sentinel is one connection, whatever the number of masters.
	if f := g.sentinels[0].instances("SENTINELS", "other0"); f[0]["link-refcount"] != "5" {
		t.Errorf("link-refcount = %s, want 5", f[0]["link-refcount"])
	}
	for _, m := range masters {
		m.kill()
	}
	for i, r := range replicas {
		for _, s := range g.sentinels {
			eventually(t, "all masters are switched", func() bool { return s.masterAddr(fmt.Sprintf("other%d", i)) == r.addr() })
		}
		if r.info("role") != "master" {
			t.Errorf("%s was not promoted", r.name)
		}
	}
	if g.current() != g.servers[0] {
		t.Error("a master that lives was replaced")
	}
}

// TestParallelSyncs: with parallel-syncs 1 the replicas are pointed to the new master one after the other.
func TestParallelSyncs(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 5, sentinel: "loglevel verbose", timeout: 30000})
	for _, s := range g.sentinels {
		s.ok("SENTINEL", "SET", "mymaster", "parallel-syncs", "1")
		s.ok("SENTINEL", "DEBUG", "slave-reconf-timeout", strconv.Itoa(aDay)) // none is given up and counted twice
	}
	old := g.current()
	old.kill()
	g.switched(old)
	var leader *process
	eventually(t, "the leader is done", func() bool {
		i := slices.IndexFunc(g.sentinels, func(s *process) bool { return s.logged("+failover-end ") })
		if i >= 0 {
			leader = g.sentinels[i]
		}
		return i >= 0
	})
	busy, done := map[string]bool{}, 0
	for _, m := range regexp.MustCompile(`[+-]slave-reconf-(sent|done|sent-timeout) slave (\S+)`).FindAllStringSubmatch(leader.log(), -1) {
		if m[1] == "sent" {
			if len(busy) > 0 {
				t.Errorf("%s is reconfigured while %v still is", m[2], busy)
			}
			busy[m[2]] = true
			continue
		}
		delete(busy, m[2])
		done++
	}
	if done != 3 {
		t.Errorf("%d replicas were reconfigured, want 3", done)
	}
	old.start()
	g.agreed()
}

// TestReplicaPriority: the lowest priority wins, 0 is never promoted; with none left nothing is, and the reason is told.
func TestReplicaPriority(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 4})
	prioritize := func(p *process, priority string) {
		t.Helper()
		p.ok("CONFIG", "SET", "replica-priority", priority)
		for _, s := range g.sentinels {
			eventually(t, "the priority is known", func() bool {
				return slices.ContainsFunc(s.instances("REPLICAS", "mymaster"), func(f map[string]string) bool {
					return f["name"] == p.addr() && f["slave-priority"] == priority
				})
			})
		}
	}
	prioritize(g.servers[1], "0")
	prioritize(g.servers[2], "10")
	prioritize(g.servers[3], "50")
	g.servers[0].kill()
	if now := g.switched(g.servers[0]); now != g.servers[2] {
		t.Fatalf("%s was promoted, want %s", now.name, g.servers[2].name)
	}
	prioritize(g.servers[3], "0")
	g.servers[2].kill()
	eventually(t, "a sentinel gives up", func() bool {
		return slices.ContainsFunc(g.sentinels, func(s *process) bool { return s.logged("-failover-abort-no-good-slave") })
	})
	s := g.sentinels[0]
	s.tells(cause.SentinelNoGoodReplica, "replica-priority is 0")
	// By hand neither.
	if v := s.do("SENTINEL", "FAILOVER", "mymaster"); !v.IsError("NOGOODSLAVE") && !v.IsError("INPROG") {
		t.Errorf("FAILOVER: %+v", v)
	}
	if g.servers[1].info("role") != "slave" || g.servers[3].info("role") != "slave" {
		t.Error("a replica with priority 0 was promoted")
	}
}

// TestByHand: SENTINEL FAILOVER with a living master, and the coordinated form in which the master hands over itself.
func TestByHand(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{})
	old := g.current()
	g.sentinels[1].ok("SENTINEL", "FAILOVER", "mymaster")
	g.switched(old)
	g.agreed()
	g.discovered()
	old = g.current()
	old.ok("SET", "before", "1")
	g.sentinels[2].ok("SENTINEL", "FAILOVER", "mymaster", "COORDINATED")
	g.switched(old)
	if m := g.agreed(); m == old || m.do("GET", "before").Str != "1" {
		t.Fatal("the coordinated failover lost a write")
	}
	// The old master became a replica by its own FAILOVER; no sentinel had to put it right.
	for _, s := range g.sentinels {
		if s.logged("+convert-to-slave slave " + old.addr()) {
			t.Errorf("%s had to make a replica of the old master", s.name)
		}
	}
	if v := g.sentinels[0].do("SENTINEL", "FAILOVER", "nobody"); v.Str != "ERR No such master with that name" {
		t.Errorf("FAILOVER of an unknown master: %+v", v)
	}
}

// TestSimulatedFailures: SIMULATE-FAILURE ends the leader with status 99, and another one finishes its work.
func TestSimulatedFailures(t *testing.T) {
	for _, what := range []string{"crash-after-election", "crash-after-promotion"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			g := newGroup(t, options{servers: 2, timeout: 2000})
			crash, others := g.sentinels[2], g.sentinels[:2]
			for _, s := range others { // they leave a promotion that they have not heard of alone for four times as long
				s.ok("SENTINEL", "DEBUG", "publish-period", "20000")
			}
			crash.ok("SENTINEL", "SIMULATE-FAILURE", what)
			_, _ = crash.try("SENTINEL", "FAILOVER", "mymaster") // it may end before it has answered
			if st := crash.exitStatus(); st != 99 {
				t.Fatalf("exit status %d, want 99", st)
			}
			crash.start()
			if what == "crash-after-promotion" && g.agreed() != g.servers[1] {
				t.Error("the promotion before the crash was forgotten")
			}
			for _, s := range others {
				s.ok("SENTINEL", "DEBUG", "publish-period", "500")
			}
			g.discovered()
		})
	}
	// The master fails, and so does the leader, once it is elected: the others give it its time, then one of them leads.
	t.Run("leader", func(t *testing.T) {
		t.Parallel()
		g := newGroup(t, options{servers: 2, quorum: 1, timeout: aDay, each: laterThanTheMaster})
		leader, others := g.sentinels[0], g.sentinels[1:]
		leader.ok("SENTINEL", "SIMULATE-FAILURE", "crash-after-election")
		g.servers[0].kill()
		if st := leader.exitStatus(); st != 99 {
			t.Fatalf("exit status %d, want 99", st)
		}
		for _, s := range others {
			s.ok("SENTINEL", "SET", "mymaster", "down-after-milliseconds", strconv.Itoa(2*quietDown)) // ten times that has not passed since
		}
		for _, s := range others {
			s.tells(cause.SentinelWaitingForLeader, "we voted for")
		}
		for _, s := range others { // its time is over
			s.ok("SENTINEL", "SET", "mymaster", "failover-timeout", "1000")
		}
		eventually(t, "one of the others leads", func() bool { return g.servers[1].info("role") == "master" })
		leader.start()
		g.servers[0].start()
		g.agreed()
	})
}

// TestMixedGroup: two sentinels of Redis and one of ours. Each side leads once, with the votes of the other.
func TestMixedGroup(t *testing.T) {
	for _, leader := range []string{"ours", "theirs"} {
		t.Run(leader, func(t *testing.T) {
			t.Parallel()
			// Whoever is to lead notices first and needs nobody's agreement that the master is down, only their votes.
			each := func(_ int, ours bool) string {
				down := aDay
				if ours == (leader == "ours") {
					down = quietDown
				}
				return fmt.Sprintf("sentinel down-after-milliseconds mymaster %d\n", down)
			}
			g := newGroup(t, options{sentinels: "ccp", quorum: 1, each: each})
			old := g.current()
			old.kill()
			g.switched(old)
			elected := func(s *process) bool { return s.logged("+elected-leader") }
			eventually(t, "one was elected", func() bool { return slices.ContainsFunc(g.sentinels, elected) })
			for i, s := range g.sentinels {
				if elected(s) && (i == 2) != (leader == "ours") {
					t.Errorf("%s was elected", s.name)
				}
			}
			old.start()
			g.agreed()
			// Each reads the other's file: the same one, started again as the other program.
			exchange := func(s *process, args ...string) {
				t.Helper()
				id := s.do("SENTINEL", "MYID").Str
				s.kill()
				s.args = append(args, s.conf)
				s.start()
				if got := s.do("SENTINEL", "MYID").Str; got != id {
					t.Errorf("%v on the other's file has id %s, want %s", args, got, id)
				}
				g.discovered()
			}
			exchange(g.sentinels[2], "redis-sentinel")
			exchange(g.sentinels[0], binary, "sentinel")
		})
	}
}

// TestRenamedCommands: servers that know the commands of a failover by other names.
func TestRenamedCommands(t *testing.T) {
	t.Parallel()
	var server, sentinel strings.Builder
	for _, c := range []string{"SLAVEOF", "CONFIG", "MULTI", "PUBLISH"} {
		fmt.Fprintf(&server, "rename-command %s %s-by-another-name\n", c, c)
		fmt.Fprintf(&sentinel, "sentinel rename-command mymaster %s %s-by-another-name\n", c, c)
	}
	g := newGroup(t, options{servers: 2, server: server.String(), each: func(int, bool) string { return sentinel.String() }})
	old := g.current()
	old.kill()
	g.switched(old)
	old.start()
	g.agreed()
}
