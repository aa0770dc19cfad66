//go:build linux

package sentinel

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"picket/cause"
	"picket/internal/testbed"
)

// TestDiscovery: only the master is configured. Replicas are found in its INFO, other sentinels by their hellos, also those that come later.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	o := options{servers: 2, sentinels: "pp", quorum: 2}.withDefaults()
	g := newGroup(t, o)
	s := g.sentinels[0]
	late := g.addServer(o)
	g.addSentinel(o, true)
	g.discovered()
	for _, e := range []string{"+slave slave " + late.addr(), "+sentinel sentinel " + g.sentinels[2].do("SENTINEL", "MYID").Str} {
		s.logs(e)
	}
	// A replica that does not want to be announced is counted, and not listed.
	late.ok("CONFIG", "SET", "replica-announced", "no")
	eventually(t, "the replica is no longer listed", func() bool {
		return s.master("mymaster")["num-slaves"] == "2" && len(s.instances("REPLICAS", "mymaster")) == 1
	})
	late.ok("CONFIG", "SET", "replica-announced", "yes")
	// A sentinel that starts anew on another port keeps its id, and its old address is forgotten.
	moved := g.sentinels[2]
	id := moved.do("SENTINEL", "MYID").Str
	moved.kill()
	moved.port = testbed.Port(t)
	moved.args = append(moved.args, "--port", strconv.Itoa(moved.port))
	moved.start()
	eventually(t, "the others know the new address", func() bool {
		return slices.ContainsFunc(s.instances("SENTINELS", "mymaster"), func(f map[string]string) bool {
			return f["runid"] == id && f["port"] == strconv.Itoa(moved.port) && f["flags"] == "sentinel"
		})
	})
	g.discovered()
	// RESET forgets what was learnt, and it is learnt again.
	if v := s.do("SENTINEL", "RESET", "my*"); v.Int != 1 {
		t.Errorf("RESET: %+v", v)
	}
	g.discovered()
}

// TestAnnounced: a sentinel that others know by the address it announces, as behind a translation of addresses.
func TestAnnounced(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 2, each: func(i int, _ bool) string {
		if i > 0 {
			return ""
		}
		return "sentinel announce-ip 127.0.0.2\n" // its sockets listen there too
	}})
	id := g.sentinels[0].do("SENTINEL", "MYID").Str
	for _, s := range g.sentinels[1:] {
		for _, f := range s.instances("SENTINELS", "mymaster") {
			if want := map[bool]string{true: "127.0.0.2", false: "127.0.0.1"}[f["runid"] == id]; f["ip"] != want {
				t.Errorf("%s knows %s at %s, want %s", s.name, f["runid"], f["ip"], want)
			}
		}
	}
	// An announced address at which nobody is reached is told as such: by then the sentinel counts for nothing.
	nobody := testbed.Port(t)
	g.sentinels[0].ok("SENTINEL", "CONFIG", "SET", "announce-port", strconv.Itoa(nobody))
	g.sentinels[1].tells(cause.SentinelPeerUnreachable, fmt.Sprintf("announces 127.0.0.2:%d", nobody))
}
