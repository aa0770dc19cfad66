package sentinel

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"picket/internal/testbed"
)

// TestWordsThatBreakLines: a value with a line end or another control character is refused, whatever it is for, and the file stays as it was.
func TestWordsThatBreakLines(t *testing.T) {
	port := testbed.Port(t)
	s, stop := run(t, fmt.Sprintf("port %d\nbind 127.0.0.1\nsentinel deny-scripts-reconfig no\nsentinel resolve-hostnames yes\nsentinel monitor m 127.0.0.1 1 1\n", port))
	defer stop()
	file := s.cfg.Path
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"x\nport 1", "x\r", "\x00", "a\tb", "a\x1b[2J", "a\x7f", "a\u0085b"} {
		for _, cmd := range [][]string{
			{"CONFIG", "SET", "announce-ip", bad}, {"CONFIG", "SET", "sentinel-user", bad}, {"CONFIG", "SET", "sentinel-pass", bad},
			{"CONFIG", "SET", "announce-port", bad}, {"CONFIG", "SET", "loglevel", bad}, {"CONFIG", "SET", "resolve-hostnames", bad},
			{"SET", "m", "auth-pass", bad}, {"SET", "m", "auth-user", bad}, {"SET", "m", "notification-script", bad}, {"SET", "m", "client-reconfig-script", bad},
			{"SET", "m", "rename-command", bad, "x"}, {"SET", "m", "rename-command", "CONFIG", bad}, {"SET", "m", "quorum", bad}, {"SET", "m", bad, "1"},
			{"SET", "m", "picket-adopt", bad}, {"MONITOR", bad, "127.0.0.1", "1", "1"}, {"MONITOR", "n", bad, "1", "1"}, {"MONITOR", "n", "fe80::1%" + bad, "1", "1"},
		} {
			v, err := ask(port, append([]string{"SENTINEL"}, cmd...)...)
			if err != nil || !v.IsError("") || strings.ContainsAny(v.Str, "\r\n") {
				t.Errorf("SENTINEL %q: %+v, %v", cmd, v, err)
			}
		}
	}
	for _, bad := range []string{"10.0.0.1,10.0.0.2", "a b", strings.Repeat("a", 256)} {
		if v, err := ask(port, "SENTINEL", "CONFIG", "SET", "announce-ip", bad); err != nil || !v.IsError("ERR") {
			t.Errorf("announce-ip %q: %+v, %v", bad, v, err)
		}
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Errorf("the file was\n%s\nand is\n%s\n%v", before, after, err)
	}
}

// TestFileWithWordsThatBreakLines: nor does a sentinel start with one, and it says in which line it is.
func TestFileWithWordsThatBreakLines(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	for _, line := range []string{
		`sentinel announce-ip "10.0.0.1\n"`, `sentinel announce-ip 10.0.0.1,10.0.0.2`, `sentinel sentinel-pass "a\rb"`, `sentinel auth-pass m "a\nb"`,
		`sentinel known-replica m "a\x00b" 1`, `sentinel known-replica m "a b" 1`, `sentinel rename-command m CONFIG "a\nb"`,
	} {
		if err := os.WriteFile(file, []byte("sentinel resolve-hostnames yes\nsentinel monitor m 127.0.0.1 1 1\n"+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadConfig(file, nil, nil); err == nil || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("%s: %v", line, err)
		}
	}
}
