//go:build linux

package reload

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"picket/internal/testbed"
	"picket/packet"
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

// A socket that systemd has opened is the listener's: what waits there is served, and a socket that no listener has is named.
func TestSocketsOfTheSupervisor(t *testing.T) {
	dir := t.TempDir()
	conf, log := filepath.Join(dir, "broker.conf"), filepath.Join(dir, "log")
	var addrs []string
	var files []*os.File
	for range 2 {
		ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(testbed.Port(t))))
		if err != nil {
			t.Fatal(err)
		}
		f, err := ln.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		_ = ln.Close() // f is another descriptor of the socket, which still listens
		addrs, files = append(addrs, ln.Addr().String()), append(files, f)
	}
	_, port, err := net.SplitHostPort(addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, []byte("listener "+port+" 127.0.0.1\nallow_anonymous true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	client := testbed.Dial(t, addrs[0], packet.V311) // before there is a broker
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=2 exec "$0" serve -c "$1" --user root`, testbed.Picket(t), conf)
	cmd.ExtraFiles = files
	p, err := testbed.Launch(cmd, log)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	if ack, err := client.Connect(&packet.Connect{ClientID: "early", CleanStart: true}); err != nil || ack.Code != packet.Success {
		t.Fatalf("CONNACK %+v, %v\n%s", ack, err, p.End())
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	said := p.Said()
	if !strings.Contains(said, "The socket "+addrs[1]+", which systemd opened for this broker, is not used") {
		t.Errorf("nothing is said of %s:\n%s", addrs[1], said)
	}
	if strings.Contains(said, "The socket "+addrs[0]) {
		t.Errorf("%s is used:\n%s", addrs[0], said)
	}
}
