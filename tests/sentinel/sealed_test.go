//go:build linux

package sentinel

import (
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"picket/cause"
	"picket/resp"
)

func sealed(acks int) func(int, bool) string {
	return func(_ int, ours bool) string {
		if !ours {
			return ""
		}
		return "sentinel picket-sealed mymaster " + strconv.Itoa(acks) + "\n"
	}
}

// TestSealedWaitsForWhoMayHaveMore: what one of two replicas has acknowledged may be on the one that does not answer. Nothing is promoted, whatever the
// priority, until it does; then the failover goes on by itself.
func TestSealedWaitsForWhoMayHaveMore(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 3, timeout: 5000, each: sealed(1)})
	m, preferred, other := g.servers[0], g.servers[1], g.servers[2]
	preferred.ok("CONFIG", "SET", "replica-priority", "1")
	for _, s := range g.sentinels {
		s.silent()
	}
	c := m.open()
	if v, err := c.do("SET", "key", "value"); err != nil || v.Str != "OK" {
		t.Fatal(v, err)
	}
	if v, err := c.do("WAIT", "1", "10000"); err != nil || v.Int < 1 {
		t.Fatal(v, err)
	}
	other.signal(syscall.SIGSTOP)
	m.kill()
	for _, s := range g.sentinels {
		s.tells(cause.SentinelWouldLoseAcknowledged, net.JoinHostPort("127.0.0.1", strconv.Itoa(other.port))+" (")
	}
	if preferred.info("role") != "slave" || preferred.info("master_port") != strconv.Itoa(m.port) {
		t.Errorf("the other one is %s of port %s", preferred.info("role"), preferred.info("master_port"))
	}
	other.signal(syscall.SIGCONT)
	now := g.switched(m)
	if v := now.do("GET", "key").Str; v != "value" {
		t.Errorf("what was acknowledged is %q", v)
	}
	m.start()
	g.agreed()
	for _, p := range g.servers {
		if p.info("master_port") == "1" {
			t.Errorf("%s is sealed still", p.name)
		}
	}
}

// TestSealedByHand: a person may decide that what only the missing one has can be lost.
func TestSealedByHand(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 3, sentinels: "p", quorum: 1, each: sealed(1)})
	g.servers[2].kill()
	g.servers[0].kill()
	g.sentinels[0].tells(cause.SentinelWouldLoseAcknowledged, "it is down")
	g.sentinels[0].ok("SENTINEL", "FAILOVER", "mymaster")
	if now := g.switched(g.servers[0]); now != g.servers[1] {
		t.Errorf("%s is the master", now.name)
	}
}

// TestSealedGroupWithOthers: a sentinel of Redis in the group promotes as it does, so the promise does not hold, and that is said from the start.
func TestSealedGroupWithOthers(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 3, sentinels: "ppc", each: func(i int, ours bool) string {
		if i == 0 {
			return "sentinel picket-sealed mymaster 1\n"
		}
		return ""
	}})
	for _, s := range g.sentinels[1:] {
		g.sentinels[0].tells(cause.SentinelGroupNotSealed, "sentinel 127.0.0.1:"+strconv.Itoa(s.port))
	}
	g.sentinels[1].ok("SENTINEL", "SET", "mymaster", "picket-sealed", "1")
	g.sentinels[1].kill()
	g.sentinels[1].start() // it keeps what it was told, and is asked again
	eventually(t, "only the one of Redis is left", func() bool {
		got := g.sentinels[0].do("SENTINEL", "CKQUORUM", "mymaster").Str
		return strings.Count(got, string(cause.SentinelGroupNotSealed)) == 1 && strings.Contains(got, "one of Redis")
	})
}

// TestSealedLosesNothing: the master is killed again and again while clients write and wait for one replica. What was acknowledged is there in the end.
func TestSealedLosesNothing(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 3, down: 1000, timeout: 5000, each: sealed(1)})
	var mu sync.Mutex
	acked := map[string]bool{}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				key := "k" + strconv.Itoa(w) + "-" + strconv.Itoa(n)
				if writes(g.sentinels[w%3], key) {
					mu.Lock()
					acked[key] = true
					mu.Unlock()
				} else {
					time.Sleep(20 * time.Millisecond) // for the others; the next attempt asks the sentinel again
				}
			}
		})
	}
	for range 3 {
		old := g.current()
		mu.Lock()
		before := len(acked)
		mu.Unlock()
		eventually(t, "clients write", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(acked) > before+200
		})
		old.kill()
		g.switched(old)
		old.start()
		g.agreed()
	}
	close(done)
	wg.Wait()
	c := g.current().open()
	lost := 0
	for key := range acked {
		if v, err := c.do("GET", key); err != nil || v.Str != "x" {
			lost++
		}
	}
	t.Logf("%d writes were acknowledged, %d of them are lost", len(acked), lost)
	if lost > 0 {
		t.Errorf("%d of %d acknowledged writes are lost", lost, len(acked))
	}
}

// TestSealedHandsOver: a living master of a sealed group hands over only while so many replicas can be detached that it could not get an acknowledgement of
// anything afterwards; and both have kept what they are when the failover has ended.
func TestSealedHandsOver(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 3, sentinels: "p", quorum: 1, timeout: 600000, each: sealed(1)})
	s, old := g.sentinels[0], g.current()
	s.silent()
	g.servers[2].kill()
	eventually(t, "it is not done while a replica is missed", func() bool {
		v := s.do("SENTINEL", "FAILOVER", "mymaster", "COORDINATED")
		return v.IsError("NOGOODSLAVE") && strings.Contains(v.Str, g.servers[2].addr()+" (it is down)")
	})
	g.servers[2].start()
	s.silent()
	old.ok("SET", "key", "value")
	aborts, asked := 0, false
	eventually(t, "the master has handed over", func() bool {
		n := strings.Count(s.log(), "-failover-abort-")
		if !asked || n > aborts { // on a machine that stands still, an attempt may take longer than a seal may last
			aborts, asked = n, s.do("SENTINEL", "FAILOVER", "mymaster", "COORDINATED").Str == "OK"
		}
		return s.logged("+switch-master")
	})
	now := g.current()
	follows := func(p *process) bool {
		kept, err := os.ReadFile(p.conf)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(kept), "replicaof 127.0.0.1 ")
	}
	if !follows(old) || follows(now) {
		t.Error("the configuration files say what was before")
	}
	g.agreed()
	if v := now.do("GET", "key").Str; v != "value" {
		t.Errorf("what was written is %q", v)
	}
}

// writes reports whether a key was written to the master that a sentinel names, and one replica has acknowledged it.
func writes(s *process, key string) bool {
	conn, err := net.DialTimeout("tcp", s.masterAddr("mymaster"), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	cmd := resp.AppendCommand(nil, "SET", key, "x")
	cmd = resp.AppendCommand(cmd, "WAIT", "1", "1000")
	if _, err := conn.Write(cmd); err != nil {
		return false
	}
	r := resp.NewReader(conn)
	set, err := r.Value()
	if err != nil || set.Str != "OK" {
		return false
	}
	n, err := r.Value()
	return err == nil && n.Int >= 1
}
