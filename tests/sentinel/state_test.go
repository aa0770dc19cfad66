//go:build redis

package sentinel_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestRestarts: what was learnt and set at run time is there after kill -9 and a start, and after one of another program's.
func TestRestarts(t *testing.T) {
	g := newGroup(t, options{})
	s := g.sentinels[0]
	id := s.do("SENTINEL", "MYID").Str
	s.ok("SENTINEL", "SET", "mymaster", "quorum", "3", "failover-timeout", "12345")
	s.ok("SENTINEL", "CONFIG", "SET", "announce-ip", "127.0.0.1", "sentinel-user", "")
	s.ok("SENTINEL", "MONITOR", "other", "127.0.0.1", "1", "1")
	s.kill()
	s.start()
	g.discovered()
	m := s.master("mymaster")
	if s.do("SENTINEL", "MYID").Str != id || m["quorum"] != "3" || m["failover-timeout"] != "12345" || s.masterPort("other") != 1 {
		t.Errorf("after a restart: %v", m)
	}
	s.ok("SENTINEL", "REMOVE", "other")
	s.ok("SENTINEL", "SET", "mymaster", "quorum", "2")
	// RESET forgets, discovery finds again.
	if v := s.do("SENTINEL", "RESET", "my*"); v.Int != 1 {
		t.Errorf("RESET: %+v", v)
	}
	g.discovered()
	// A vote and the epochs survive.
	if v := s.do("SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", strconv.Itoa(g.servers[0].port), "50", "someone"); v.Elems[1].Str != "someone" || v.Elems[2].Int != 50 {
		t.Errorf("vote: %+v", v)
	}
	s.kill()
	s.start()
	if v := s.do("SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", strconv.Itoa(g.servers[0].port), "50", "another"); v.Elems[1].Str != "*" || v.Elems[2].Int != 50 {
		t.Errorf("a second vote in one epoch, after a crash: %+v", v)
	}
}

// TestQuorumOutOfReach: CKQUORUM says what cannot be reached, and why.
func TestQuorumOutOfReach(t *testing.T) {
	g := newGroup(t, options{servers: 2})
	s := g.sentinels[0]
	g.sentinels[1].kill()
	g.sentinels[2].kill()
	eventually(t, 10*time.Second, "NOQUORUM", func() bool {
		v := s.do("SENTINEL", "CKQUORUM", "mymaster")
		return v.IsError("NOQUORUM") && strings.Contains(v.Str, "1 usable Sentinels.") && strings.Contains(v.Str, "[sentinel-no-majority]")
	})
	g.servers[0].kill()
	eventually(t, 10*time.Second, "subjectively down", func() bool { return strings.Contains(s.master("mymaster")["flags"], "s_down") })
	time.Sleep(2 * time.Second)
	if s.has("+odown") || g.servers[1].info("role") != "slave" {
		t.Error("a failover without quorum and majority")
	}
	g.sentinels[1].start()
	eventually(t, 20*time.Second, "two of three fail over", func() bool { return g.servers[1].info("role") == "master" })
}

// TestFileCannotBeWritten: a folder in place of the file. The client is told, and no vote is given that could be forgotten.
func TestFileCannotBeWritten(t *testing.T) {
	g := newGroup(t, options{servers: 2, sentinels: "p", quorum: 1})
	s := g.sentinels[0]
	if err := os.Rename(s.conf, s.conf+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.conf, 0o755); err != nil {
		t.Fatal(err)
	}
	if v := s.do("SENTINEL", "FLUSHCONFIG"); v.Str != "ERR Failed to save config file. Check server logs." {
		t.Errorf("FLUSHCONFIG: %+v", v)
	}
	if v := s.do("SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", strconv.Itoa(g.servers[0].port), "5", "someone"); v.Elems[1].Str != "*" {
		t.Errorf("a vote that is not kept: %+v", v)
	}
	if v := s.do("INFO", "sentinel"); !strings.Contains(v.Str, "sentinel-config-not-saved") {
		t.Errorf("INFO does not say so: %s", v.Str)
	}
	if err := os.Remove(s.conf); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.conf+".old", s.conf); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "it is written again", func() bool {
		return !strings.Contains(s.do("INFO", "sentinel").Str, "sentinel-config-not-saved")
	})
}

// TestScripts: both kinds are run with their arguments; a descriptor of the sentinel's does not leak into them.
func TestScripts(t *testing.T) {
	dir := t.TempDir()
	notify, reconfig := filepath.Join(dir, "notify"), filepath.Join(dir, "reconfig")
	for path, text := range map[string]string{
		notify:   "#!/bin/sh\necho \"$@\" >> " + dir + "/notified\nls -l /proc/$$/fd | grep -e socket: -e anon_inode: -e '\\.conf' >> " + dir + "/leaked\nexit 0\n",
		reconfig: "#!/bin/sh\necho \"$@\" >> " + dir + "/reconfigured\nexit 0\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	g := newGroup(t, options{
		servers: 2, sentinels: "p", quorum: 1,
		each: func(int, bool) string {
			return fmt.Sprintf("sentinel notification-script mymaster %s\nsentinel client-reconfig-script mymaster %s\n", notify, reconfig)
		},
	})
	if v := g.sentinels[0].do("SENTINEL", "SET", "mymaster", "notification-script", ""); !strings.HasPrefix(v.Str, "ERR Reconfiguration of scripts path is denied") {
		t.Errorf("SET notification-script: %+v", v)
	}
	wait := g.switches()
	g.servers[0].kill()
	wait(10 * time.Second)
	want := fmt.Sprintf("mymaster leader start 127.0.0.1 %d 127.0.0.1 %d\n", g.servers[0].port, g.servers[1].port)
	eventually(t, 10*time.Second, "the scripts ran", func() bool {
		told, _ := os.ReadFile(filepath.Join(dir, "notified"))
		done, _ := os.ReadFile(filepath.Join(dir, "reconfigured"))
		return strings.Contains(string(told), "+switch-master mymaster 127.0.0.1") && strings.Contains(string(told), "+sdown master mymaster") && string(done) == want
	})
	if leaked, _ := os.ReadFile(filepath.Join(dir, "leaked")); len(strings.TrimSpace(string(leaked))) > 0 {
		t.Errorf("descriptors leaked into the script: %s", leaked)
	}
}

// TestStart: how it is called, and how it refuses to start.
func TestStart(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	link := filepath.Join(dir, "redis-sentinel")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "bad.conf")
	if err := os.WriteFile(conf, []byte("port 26379\nsentinel monitor m nowhere\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{link}, "Sentinel needs a config file"},
		{[]string{path, "sentinel"}, "Sentinel needs a config file"},
		{[]string{link, conf}, "FATAL CONFIG FILE ERROR"},
		{[]string{path, "--sentinel", conf}, "at line 2\n>>> 'sentinel monitor m nowhere'\nUnrecognized sentinel configuration statement."},
		{[]string{link, filepath.Join(dir, "none.conf")}, "cannot be read"},
		{[]string{link, dir}, "is a folder"},
	} {
		out, err := exec.Command(c.args[0], c.args[1:]...).CombinedOutput()
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 || !strings.Contains(string(out), c.want) {
			t.Errorf("%v: %v: %s\nwant status 1 and: %s", c.args, err, out, c.want)
		}
	}
	// SIGTERM ends it with status 0; directives of the command line count.
	port := freePort(t)
	s := newProcess(t, "named", link, 1, "sentinel monitor m 127.0.0.1 1 1", "--port", strconv.Itoa(port), "--sentinel")
	s.port = port
	s.start()
	s.signal(15)
	if st := s.exitStatus(); st != 0 {
		t.Errorf("SIGTERM: status %d", st)
	}
}
