//go:build linux

package reload

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"picket/internal/testbed"
)

// systemd is told that the broker serves, that it lives, that it reads its configuration again, also when that is wrong, and that it ends.
func TestSupervisorIsTold(t *testing.T) {
	t.Parallel()
	socket := &net.UnixAddr{Net: "unixgram", Name: filepath.Join(t.TempDir(), "notify")}
	conn, err := net.ListenUnixgram("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	told := func(want string) {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		for buf := make([]byte, 4096); ; {
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatalf("systemd was not told %s: %v", want, err)
			}
			if slices.Contains(strings.Split(string(buf[:n]), "\n"), want) {
				return
			}
		}
	}
	b := testbed.New(t, testbed.Options{
		Conf:    "listener ${PORT} 127.0.0.1\nallow_anonymous true\n",
		Program: []string{testbed.Picket(t), "serve", "-c", "${CONF}", "--user", "root"},
		Env:     []string{"NOTIFY_SOCKET=" + socket.Name, "WATCHDOG_USEC=400000"},
	})
	b.Run(t)
	t.Cleanup(func() {
		if !b.Ended() { // the test has failed before it came to that
			_ = b.Kill()
		}
	})
	told("READY=1")
	told("WATCHDOG=1")
	b.Signal(syscall.SIGHUP)
	told("RELOADING=1")
	told("READY=1")
	b.Write(t, "broker.conf", "nonsense\n")
	b.Signal(syscall.SIGHUP)
	told("RELOADING=1")
	told("READY=1")
	if err := b.Stop(); err != nil {
		t.Fatal(err)
	}
	told("STOPPING=1")
}
