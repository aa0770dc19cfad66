//go:build linux

package sentinel

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestScripts: both kinds are run with their arguments; a descriptor of the sentinel's does not leak into them.
func TestScripts(t *testing.T) {
	t.Parallel()
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
	g.servers[0].kill()
	g.switched(g.servers[0])
	want := fmt.Sprintf("mymaster leader start 127.0.0.1 %d 127.0.0.1 %d\n", g.servers[0].port, g.servers[1].port)
	eventually(t, "the scripts ran", func() bool {
		told, _ := os.ReadFile(filepath.Join(dir, "notified"))
		done, _ := os.ReadFile(filepath.Join(dir, "reconfigured"))
		return strings.Contains(string(told), "+switch-master mymaster 127.0.0.1") && strings.Contains(string(told), "+sdown master mymaster") && string(done) == want
	})
	eventually(t, "no script waits or runs", func() bool { return len(g.sentinels[0].do("SENTINEL", "PENDING-SCRIPTS").Elems) == 0 })
	if leaked, _ := os.ReadFile(filepath.Join(dir, "leaked")); len(strings.TrimSpace(string(leaked))) > 0 {
		t.Errorf("descriptors leaked into the script: %s", leaked)
	}
}

// TestScriptsThatFail: exit status 1 is tried again, 2 is not, and one that runs too long is killed; PENDING-SCRIPTS shows the queue.
func TestScriptsThatFail(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "script")
	write := func(text string) {
		t.Helper()
		// Put in place as a whole: a script that is being written cannot be run.
		if err := os.WriteFile(script+".new", []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(script+".new", script); err != nil {
			t.Fatal(err)
		}
	}
	write("exit 2")
	g := newGroup(t, options{servers: 2, sentinels: "p", quorum: 1, each: func(int, bool) string {
		return "sentinel notification-script mymaster " + script + "\n"
	}})
	s := g.sentinels[0]
	s.ok("SENTINEL", "DEBUG", "script-retry-delay", "200", "script-max-runtime", strconv.Itoa(aDay))
	event := func() { s.ok("SENTINEL", "SET", "mymaster", "quorum", "1") }
	pending := func() []map[string]string {
		var all []map[string]string
		for _, v := range s.do("SENTINEL", "PENDING-SCRIPTS").Elems {
			all = append(all, fields(v))
		}
		return all
	}
	eventually(t, "the scripts of the start are done", func() bool { return len(pending()) == 0 })
	event()
	eventually(t, "status 2 is told", func() bool { return s.logged("-script-error "+script+" 0 2") && len(pending()) == 0 })
	write("exit 1")
	event()
	eventually(t, "status 1 is tried again", func() bool {
		p := pending()
		n := 0
		if len(p) > 0 {
			n, _ = strconv.Atoi(p[0]["retry-num"])
		}
		return n >= 2
	})
	write("exit 0")
	eventually(t, "what succeeds is done", func() bool { return len(pending()) == 0 })
	write("exec sleep 100")
	event()
	eventually(t, "a running script is shown", func() bool {
		p := pending()
		return len(p) > 0 && p[0]["flags"] == "running" && p[0]["pid"] != "0"
	})
	s.ok("SENTINEL", "DEBUG", "script-max-runtime", "500")
	eventually(t, "it is killed", func() bool { return s.logged("-script-timeout " + script) })
	write("exit 0")
	eventually(t, "all are done", func() bool { return len(pending()) == 0 })
}
