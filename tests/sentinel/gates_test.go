//go:build linux

package sentinel

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"picket/cause"
)

// ctl is what picket ctl sentinel prints about a sentinel.
func (p *process) ctl(args ...string) string {
	p.t.Helper()
	out, err := exec.Command(binary, append([]string{"ctl", "sentinel", p.addr()}, args...)...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("picket ctl sentinel: %v: %s", err, out)
	}
	return string(out)
}

// tells waits until what holds a failover back stands wherever people look: in the log, in INFO, in the answer of CKQUORUM and in
// picket ctl sentinel, there with what to do about it. text is a part of what is said beside the id.
func (p *process) tells(id cause.ID, text string) {
	p.t.Helper()
	known, ok := cause.Lookup(id)
	if !ok {
		p.t.Fatalf("%s is not in the catalogue", id)
	}
	for place, look := range map[string]func() string{
		"the log":             func() string { return p.log() },
		"CKQUORUM":            func() string { return p.do("SENTINEL", "CKQUORUM", "mymaster").Str },
		"picket ctl sentinel": func() string { return p.ctl("--lang", "en") },
	} {
		eventually(p.t, p.name+" says "+string(id)+" and "+text+" in "+place, func() bool {
			got := look()
			return strings.Contains(got, "["+string(id)+"]") && strings.Contains(got, text)
		})
	}
	eventually(p.t, p.name+" says "+string(id)+" in INFO", func() bool { return strings.Contains(p.do("INFO", "sentinel").Str, string(id)) })
	eventually(p.t, "picket ctl sentinel --lang zh says what to do about "+string(id), func() bool {
		return strings.Contains(p.ctl("--lang", "zh"), known.Remedy.In(cause.Chinese))
	})
}

// silent waits until nothing holds a failover back.
func (p *process) silent() {
	p.t.Helper()
	eventually(p.t, p.name+" says that nothing holds it back", func() bool {
		return p.do("SENTINEL", "CKQUORUM", "mymaster").Str[:2] == "OK" && !strings.Contains(p.do("INFO", "sentinel").Str, "picket_causes")
	})
}

// TestQuorumOutOfReach: what cannot be reached is told, and nothing fails over before it can.
func TestQuorumOutOfReach(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 2, each: func(i int, _ bool) string {
		if i == 0 {
			return ""
		}
		return fmt.Sprintf("sentinel failover-timeout mymaster %d\n", aDay) // it tries once at most: see laterThanTheMaster
	}})
	s := g.sentinels[0]
	s.silent()
	g.sentinels[1].kill()
	g.sentinels[2].kill()
	s.tells(cause.SentinelNoMajority, "1 of 3 sentinels can be used")
	s.tells(cause.SentinelNoQuorum, "the quorum is 2")
	if v := s.do("SENTINEL", "CKQUORUM", "mymaster"); !v.IsError("NOQUORUM") || !strings.Contains(v.Str, "1 usable Sentinels.") {
		t.Errorf("CKQUORUM: %+v", v)
	}
	g.servers[0].kill()
	eventually(t, "subjectively down", func() bool { return strings.Contains(s.master("mymaster")["flags"], "s_down") })
	time.Sleep(2 * time.Second) // for what must not happen
	if s.logged("+odown") || g.servers[1].info("role") != "slave" {
		t.Error("a failover without quorum and majority")
	}
	g.sentinels[1].start()
	eventually(t, "two of three fail over", func() bool { return g.servers[1].info("role") == "master" })
}

// TestMajorityOutOfReach: a quorum of one agrees that the master is down, and one of three cannot be elected. Once it can, it is.
func TestMajorityOutOfReach(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 2, quorum: 1, timeout: aDay, each: laterThanTheMaster})
	s := g.sentinels[0]
	g.sentinels[1].kill()
	g.sentinels[2].kill()
	s.tells(cause.SentinelNoMajority, "2 are needed to elect a leader")
	// An election lasts as long as it takes to look everywhere, and so does what follows.
	s.ok("SENTINEL", "DEBUG", "election-timeout", strconv.Itoa(aDay))
	g.servers[0].kill()
	s.tells(cause.SentinelWaitingForVotes, "1 of 2 votes so far")
	s.ok("SENTINEL", "DEBUG", "election-timeout", "1000")
	s.tells(cause.SentinelWaitingToRetry, "our last attempt did not succeed")
	s.logs("-failover-abort-not-elected")
	if s.logged("+elected-leader") {
		t.Error("one of three was elected")
	}
	for _, other := range g.sentinels[1:] {
		other.start()
	}
	for _, s := range g.sentinels {
		s.ok("SENTINEL", "SET", "mymaster", "failover-timeout", "10000")
	}
	s.ok("SENTINEL", "DEBUG", "election-timeout", "10000") // as it is by default
	g.switched(g.servers[0])
}

// TestTilt: a sentinel that stood still concludes nothing from the time that passed without it.
func TestTilt(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 2})
	s := g.sentinels[0]
	s.ok("SENTINEL", "DEBUG", "tilt-period", strconv.Itoa(aDay)) // time to look everywhere
	s.signal(syscall.SIGSTOP)
	g.servers[0].kill()
	for _, other := range g.sentinels[1:] {
		eventually(t, other.name+" switches", func() bool { return other.masterAddr("mymaster") == g.servers[1].addr() })
	}
	s.signal(syscall.SIGCONT)
	s.tells(cause.SentinelTilt, "this process stood still")
	s.logs("+tilt #tilt mode entered")
	if s.logged("+sdown master") {
		t.Error("the sentinel that stood still concluded something")
	}
	// It follows the others all the same.
	g.switched(g.servers[0])
	g.servers[0].start()
	g.agreed()
	s.ok("SENTINEL", "DEBUG", "tilt-period", "1000")
	eventually(t, "it goes on", func() bool { return s.logged("-tilt #tilt mode exited") })
	g.discovered()
	s.silent()
}

// TestPingRefused: a server that answers PING with an error goes down, and its answer is told: here one that cannot save, MISCONF.
func TestPingRefused(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 2, sentinels: "p", quorum: 1})
	s, m := g.sentinels[0], g.servers[0]
	g.servers[1].ok("CONFIG", "SET", "replica-priority", "0") // so that the master stays one
	// It may write a line of its log meanwhile.
	eventually(t, "its folder is gone", func() bool { return os.RemoveAll(m.dir) == nil })
	m.ok("CONFIG", "SET", "save", "3600 1")
	m.do("BGSAVE")
	s.tells(cause.SentinelPingRefused, "MISCONF")
	eventually(t, "it is down", func() bool { return strings.Contains(s.master("mymaster")["flags"], "o_down") })
	m.ok("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
	eventually(t, "it is up again", func() bool { return s.master("mymaster")["flags"] == "master" })
}
