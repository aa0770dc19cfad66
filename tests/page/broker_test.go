package page

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The one user of the brokers.
const (
	user     = "picket"
	password = "correct horse"
)

// broker is a process of picket.
type broker struct {
	t    *testing.T
	dir  string
	port string
	cmd  *exec.Cmd
}

// start runs a broker, once prepare has made its files, with these lines in its configuration besides a listener of protocol auto, a user, and an admin socket.
func start(t *testing.T, more string, prepare ...func(*broker)) *broker {
	t.Helper()
	dir, err := os.MkdirTemp("", "page") // short: the path of a socket is limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	b := &broker{t: t, dir: dir, port: port}
	b.picket("passwd", "-c", "-b", b.path("passwords"), user, password)
	config := fmt.Sprintf("listener %s 127.0.0.1\nprotocol auto\npassword_file %s\nadmin_socket %s\nuser root\nreason_strings true\nlog_dest file %s\n%s\n",
		port, b.path("passwords"), b.path("a.sock"), b.path("log"), strings.ReplaceAll(more, "DIR", dir))
	b.write("picket.conf", config)
	for _, f := range prepare {
		f(b)
	}
	b.run()
	t.Cleanup(b.stop)
	return b
}

func (b *broker) path(name string) string { return filepath.Join(b.dir, name) }

func (b *broker) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(b.path(name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *broker) url() string { return "http://127.0.0.1:" + b.port + "/" }

// picket runs the program and returns what it prints.
func (b *broker) picket(args ...string) string {
	b.t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("picket %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (b *broker) ctl(args ...string) {
	b.picket(append([]string{"ctl"}, append(args, "--socket", b.path("a.sock"))...)...)
}

// run starts the process and waits until it answers.
func (b *broker) run() {
	b.t.Helper()
	b.cmd = exec.Command(program, "serve", "-c", b.path("picket.conf"))
	b.cmd.Stderr = b.t.Output()
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", "127.0.0.1:"+b.port); err == nil {
			c.Close()
			if _, err := os.Stat(b.path("a.sock")); err == nil {
				return
			}
		}
		if time.Now().After(end) {
			b.t.Fatalf("the broker does not listen within %v", patience)
		}
	}
}

// stop ends the process.
func (b *broker) stop() {
	if b.cmd == nil {
		return
	}
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	_ = b.cmd.Wait()
	b.cmd = nil
	if b.t.Failed() {
		log, _ := os.ReadFile(b.path("log"))
		b.t.Logf("the broker's log:\n%s", log)
	}
}

// kill ends it as a machine that loses power does: nobody says goodbye.
func (b *broker) kill() {
	b.cmd.Process.Kill()
	_ = b.cmd.Wait()
	b.cmd = nil
}

// app connects as another app on the same phone does, and reports whether it got in.
func (b *broker) app(name, secret, id string) bool {
	b.t.Helper()
	cmd := exec.Command("mosquitto_pub", "-h", "127.0.0.1", "-p", b.port, "-u", name, "-P", secret, "-i", id, "-t", "app", "-m", "hello")
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		b.t.Fatalf("mosquitto_pub: %v\n%s", err, out)
	}
	return err == nil
}
