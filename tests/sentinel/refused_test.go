//go:build linux

package sentinel

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRefusedDown: a process that is gone is not waited for, one that is back sooner is not replaced, and one that hangs is no process that is gone.
func TestRefusedDown(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 2, down: aDay, each: func(int, bool) string { return fmt.Sprintf("sentinel picket-refused-down mymaster %d\n", aDay/2) }})
	m := g.servers[0]
	m.kill()
	m.start() // in less than half a day
	for _, s := range g.sentinels {
		eventually(t, s.name+" sees that it was started again", func() bool { return s.logged("+reboot master") || s.logged("+sdown master") })
		if s.logged("+sdown master") && !s.logged("+tilt") {
			t.Errorf("%s sees it as down although it is back", s.name)
		}
		s.ok("SENTINEL", "SET", "mymaster", "picket-refused-down", "100")
	}
	eventually(t, "the replica follows again", func() bool { return g.servers[1].info("master_link_status") == "up" })
	g.discovered()
	m.kill()
	if now := g.switched(m); now != g.servers[1] { // long before a day has passed: that is more than a test waits
		t.Errorf("%s is the master", now.name)
	}
}

// BenchmarkRefusedDown measures from kill -9 of the master to the first write through the address that a sentinel gives, with picket-refused-down 100 and
// down-after-milliseconds 30000.
func BenchmarkRefusedDown(b *testing.B) {
	g := newGroup(b, options{down: 30000, unhurried: true, each: func(int, bool) string { return "sentinel picket-refused-down mymaster 100\n" }})
	var times []time.Duration
	for b.Loop() {
		g.discovered()
		m := g.current()
		began := time.Now()
		m.signal(syscall.SIGKILL)
		for !wrote(g.sentinels[0], m) {
			time.Sleep(time.Millisecond)
		}
		times = append(times, time.Since(began))
		<-m.dead
		m.start()
		m.ok("REPLICAOF", "127.0.0.1", strconv.Itoa(g.current().port))
		g.agreed()
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[0].Milliseconds()), "min-ms")
	b.ReportMetric(float64(times[len(times)/2].Milliseconds()), "median-ms")
	b.ReportMetric(float64(times[len(times)-1].Milliseconds()), "max-ms")
	b.ReportMetric(0, "ns/op")
}

// wrote reports whether a write succeeds at the address that a sentinel gives, other than that of old.
func wrote(s, old *process) bool {
	addr := s.masterAddr("mymaster")
	if addr == "" || addr == old.addr() {
		return false
	}
	i := strings.LastIndexByte(addr, ':')
	port, _ := strconv.Atoi(addr[i+1:])
	at := &process{t: s.t, name: "the new master", host: addr[:i], port: port}
	v, err := at.try("SET", "key", "value")
	return err == nil && v.Str == "OK"
}
