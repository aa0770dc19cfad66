//go:build redis

package sentinel_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestPartition puts each of three machines, a server and a sentinel on each, into a network namespace of its own, takes the master's
// cable out, and plugs it in again: the side with the majority fails over, the other one follows when it is back.
func TestPartition(t *testing.T) {
	run := func(args ...string) error {
		out, err := exec.Command("ip", args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
		return nil
	}
	prefix := fmt.Sprintf("pk%d", os.Getpid()%10000)
	bridge := prefix + "b"
	if err := run("link", "add", bridge, "type", "bridge"); err != nil {
		t.Skipf("the kernel forbids network namespaces here: %v", err)
	}
	t.Cleanup(func() { _ = run("link", "del", bridge) })
	must := func(args ...string) {
		t.Helper()
		if err := run(args...); err != nil {
			t.Fatal(err)
		}
	}
	net := 100 + os.Getpid()%100
	must("addr", "add", fmt.Sprintf("10.77.%d.254/24", net), "dev", bridge)
	must("link", "set", bridge, "up")
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	g := &group{t: t}
	var cables []string
	for i := range 3 {
		ns, cable := fmt.Sprintf("%sn%d", prefix, i), fmt.Sprintf("%sv%d", prefix, i)
		must("netns", "add", ns)
		t.Cleanup(func() { _ = run("netns", "del", ns) })
		must("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", ns)
		must("link", "set", cable, "master", bridge, "up")
		must("-n", ns, "addr", "add", fmt.Sprintf("10.77.%d.%d/24", net, i+1), "dev", "eth0")
		must("-n", ns, "link", "set", "eth0", "up")
		must("-n", ns, "link", "set", "lo", "up")
		cables = append(cables, cable)
		host := fmt.Sprintf("10.77.%d.%d", net, i+1)
		conf := "save \"\"\nrepl-diskless-sync-delay 0\nrepl-timeout 5\nprotected-mode no\n"
		if i > 0 {
			conf += fmt.Sprintf("replicaof 10.77.%d.1 6379\n", net)
		}
		p := newProcess(t, fmt.Sprintf("redis%d", i+1), "ip netns exec "+ns+" redis-server", 6379, conf)
		p.host = host
		g.servers = append(g.servers, p.start())
		s := newProcess(t, fmt.Sprintf("sentinel%d", i+1), "ip netns exec "+ns+" "+path+" sentinel", 26379,
			fmt.Sprintf("sentinel monitor mymaster 10.77.%d.1 6379 2\nsentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 5000\n", net))
		s.host = host
		g.sentinels = append(g.sentinels, s.start())
	}
	g.discovered()
	addr := func(s *process) string {
		v, err := s.try("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
		if err != nil || len(v.Elems) != 2 {
			return ""
		}
		return v.Elems[0].Str
	}
	must("link", "set", cables[0], "down")
	began := time.Now()
	eventually(t, 15*time.Second, "the majority fails over", func() bool {
		a := addr(g.sentinels[1])
		return a != g.servers[0].host && a == addr(g.sentinels[2])
	})
	t.Logf("failed over %v after the cable was out", time.Since(began).Round(time.Millisecond))
	if g.sentinels[0].has("+elected-leader") {
		t.Error("the minority elected a leader")
	}
	must("link", "set", cables[0], "up")
	master := addr(g.sentinels[1])
	eventually(t, 60*time.Second, "all agree again and the old master follows", func() bool {
		return addr(g.sentinels[0]) == master && g.servers[0].info("master_host") == master && g.servers[0].info("master_link_status") == "up"
	})
	for _, p := range g.servers {
		if want := strconv.FormatBool(p.host == master); want != strconv.FormatBool(strings.HasPrefix(p.info("role"), "master")) {
			t.Errorf("%s is %s", p.host, p.info("role"))
		}
	}
}
