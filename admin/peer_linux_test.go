package admin

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestAllowed(t *testing.T) {
	for _, c := range []struct {
		caller uint32
		owner  int
		want   bool
	}{{0, 0, true}, {0, 1000, true}, {1000, 1000, true}, {1001, 1000, false}, {1000, 0, false}} {
		if got := allowed(c.caller, c.owner); got != c.want {
			t.Errorf("user %d, owner %d: %v", c.caller, c.owner, got)
		}
	}
}

// Another user is not served even if the socket's mode lets him connect.
func TestAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	path, _ := serve(t)
	for p, mode := range map[string]os.FileMode{path: 0o666, filepath.Dir(path): 0o755} {
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(filepath.Dir(path), "caller")
	if err := os.WriteFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	for user, want := range map[uint32]string{0: "got: <nil>", 65534: "the broker's user and root only"} {
		cmd := exec.Command(program)
		cmd.Env = []string{callSocket + "=" + path}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("user %d: %v, %s", user, err, out)
		}
	}
}
