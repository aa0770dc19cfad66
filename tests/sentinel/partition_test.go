//go:build linux

package sentinel

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// inside is set in the process that isolated starts.
const inside = "PICKET_TEST_ISOLATED"

// isolated runs the calling test once more, as a process with a network and a /run of its own, and reports what became of it: true in that process,
// false in the one that waited for it. Nothing of it is left on the machine, however it ends.
func isolated(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		// "ip netns" keeps its names here.
		if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-binary="+binary)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EINVAL):
		t.Skipf("the kernel forbids network namespaces here: %v", err)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("%s", out)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s(Debian: apt-get install iproute2)", strings.Join(args, " "), err, out)
	}
	return nil
}

// TestPartition puts each of three machines, a server and a sentinel on each, into a network namespace of its own, takes the master's
// cable out, and plugs it in again: the side with the majority fails over, the other one does not and follows when it is back.
func TestPartition(t *testing.T) {
	t.Parallel()
	if !isolated(t) {
		return
	}
	if err := ip("link", "add", "bridge0", "type", "bridge"); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			t.Fatal(err)
		}
		t.Skipf("the kernel has no virtual network here: %v", err)
	}
	must := func(args ...string) {
		t.Helper()
		if err := ip(args...); err != nil {
			t.Fatal(err)
		}
	}
	must("addr", "add", "10.77.0.254/24", "dev", "bridge0")
	must("link", "set", "bridge0", "up")
	g := &group{t: t}
	for i := range 3 {
		ns, cable, host := fmt.Sprintf("machine%d", i), fmt.Sprintf("cable%d", i), fmt.Sprintf("10.77.0.%d", i+1)
		must("netns", "add", ns)
		must("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", ns)
		must("link", "set", cable, "master", "bridge0", "up")
		must("-n", ns, "addr", "add", host+"/24", "dev", "eth0")
		must("-n", ns, "link", "set", "eth0", "up")
		must("-n", ns, "link", "set", "lo", "up")
		conf := "save \"\"\nrepl-diskless-sync-delay 0\nrepl-timeout 5\nprotected-mode no\n"
		if i > 0 {
			conf += "replicaof 10.77.0.1 6379\n"
		}
		p := newProcess(t, fmt.Sprintf("redis%d", i+1), "ip netns exec "+ns+" redis-server", 6379, conf)
		p.host = host
		g.servers = append(g.servers, p.start())
		s := newProcess(t, fmt.Sprintf("sentinel%d", i+1), "ip netns exec "+ns+" "+binary+" sentinel", 26379,
			fmt.Sprintf("sentinel monitor mymaster 10.77.0.1 6379 2\nsentinel down-after-milliseconds mymaster %d\nsentinel failover-timeout mymaster 10000\n", quietDown))
		s.host = host
		g.sentinels = append(g.sentinels, s.start())
	}
	g.discovered()
	minority, majority := g.sentinels[0], g.sentinels[1:]
	must("link", "set", "cable0", "down")
	var now string
	eventually(t, "the majority fails over", func() bool {
		now = majority[0].masterAddr("mymaster")
		return now != g.servers[0].addr() && now == majority[1].masterAddr("mymaster")
	})
	master := g.servers[slices.IndexFunc(g.servers, func(p *process) bool { return p.addr() == now })]
	master.ok("SET", "written", "meanwhile")
	if minority.logged("+elected-leader") || minority.logged("+odown") {
		t.Error("the minority concluded something")
	}
	must("link", "set", "cable0", "up")
	eventually(t, "all agree again and the old master follows", func() bool {
		return minority.masterAddr("mymaster") == now && g.servers[0].info("master_host") == master.host && g.servers[0].info("master_link_status") == "up"
	})
	for _, p := range g.servers {
		eventually(t, p.name+" has its role and what was written meanwhile", func() bool {
			v, err := p.try("GET", "written")
			return err == nil && v.Str == "meanwhile" && (p.info("role") == "master") == (p == master)
		})
	}
}
