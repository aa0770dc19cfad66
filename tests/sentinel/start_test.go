//go:build linux

package sentinel

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"picket/internal/testbed"
)

// TestStart: how it is called, and how it refuses to start.
func TestStart(t *testing.T) {
	t.Parallel()
	path := binary
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
	port := testbed.Port(t)
	s := newProcess(t, "named", link, 1, "sentinel monitor m 127.0.0.1 1 1", "--port", strconv.Itoa(port), "--sentinel")
	s.port = port
	s.start()
	s.signal(15)
	if st := s.exitStatus(); st != 0 {
		t.Errorf("SIGTERM: status %d", st)
	}
}
