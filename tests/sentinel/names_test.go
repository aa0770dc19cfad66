//go:build linux

package sentinel

import (
	"testing"

	"picket/cause"
)

// TestHostnames: names in the configuration, in INFO, in what is announced, through a failover and a restart.
func TestHostnames(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{
		servers: 2, host: "localhost", server: "replica-announce-ip localhost",
		sentinel: "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes",
	})
	s := g.sentinels[0]
	if got, want := s.masterAddr("mymaster"), g.servers[0].named("localhost"); got != want {
		t.Errorf("the master is announced as %s, want %s", got, want)
	}
	g.servers[0].kill()
	g.switched(g.servers[0])
	if got, want := s.masterAddr("mymaster"), g.servers[1].named("localhost"); got != want {
		t.Errorf("after the failover the master is announced as %s, want %s", got, want)
	}
	g.servers[0].start()
	eventually(t, "the old master follows by name", func() bool { return g.servers[0].info("master_host") == "localhost" })
	// Started again with the names in its file.
	s.kill()
	s.start()
	g.discovered()
	// A name that leads nowhere is tolerated where names are resolved, and told.
	s.ok("SENTINEL", "REMOVE", "mymaster")
	s.ok("SENTINEL", "MONITOR", "mymaster", "nowhere.invalid", "6379", "1")
	s.tells(cause.SentinelNameUnresolved, "nowhere.invalid")
}
