//go:build unix

package crash

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// program is a broker that reads a mosquitto.conf.
type program struct {
	name    string
	command []string // the configuration file is appended
	config  string   // lines of its own
}

// binary is picket as it is in this tree; TestMain builds it.
var binary string

func picket(config string) program {
	return program{name: "picket", command: []string{binary, "serve", "-c"}, config: config}
}

// mosquitto is Debian's.
func mosquitto(t testing.TB, config string) program {
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		if path = "/usr/sbin/mosquitto"; !exists(path) {
			t.Fatal("Debian's mosquitto is missing: .ci/run installs it")
		}
	}
	return program{name: "mosquitto", command: []string{path, "-c"}, config: config}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// broker is a directory, a port, and the process that serves them at the moment.
type broker struct {
	program
	dir  string
	addr string
	cmd  *exec.Cmd
	exit chan struct{} // closed when the process has ended
}

// nextPort is where the search for a free port begins: outside of the range of outgoing connections, of which the tests make so
// many that one might take a port while its broker is dead.
var nextPort atomic.Int32

func freePort() (int, error) {
	for range 10000 {
		port := 20000 + (int(nextPort.Add(1))+os.Getpid()*37)%12000
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no free port from 20000 to 32000")
}

// newBroker makes the directory of a broker that does not run yet.
func newBroker(p program, dir string) (*broker, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	b := &broker{program: p, dir: dir, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	if err := os.MkdirAll(b.store(), 0o755); err != nil {
		return nil, err
	}
	config := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nuser root\nlog_dest stderr\nmax_queued_messages 0\npersistence_location %s/\n%s", port, b.store(), p.config)
	return b, os.WriteFile(b.path("broker.conf"), []byte(config), 0o644)
}

func (b *broker) path(name string) string { return filepath.Join(b.dir, name) }

// store is the directory that outlives the process.
func (b *broker) store() string { return b.path("store") }

// start starts the process.
func (b *broker) start() error {
	log, err := os.OpenFile(b.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	b.cmd = exec.Command(b.command[0], append(b.command[1:len(b.command):len(b.command)], b.path("broker.conf"))...)
	b.cmd.Stdout, b.cmd.Stderr, b.cmd.Dir = log, log, b.dir
	if err := b.cmd.Start(); err != nil {
		return err
	}
	exit := make(chan struct{})
	b.exit = exit
	go func() {
		_ = b.cmd.Wait() // how it ended is in ProcessState
		close(exit)
	}()
	return nil
}

// startPatience bounds the time from the start to the first connection, with a store of the size that these tests make.
const startPatience = time.Minute

// ready waits until connections are accepted.
func (b *broker) ready() error {
	for end := time.Now().Add(startPatience); ; {
		conn, err := net.Dial("tcp", b.addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-b.exit:
			return fmt.Errorf("the broker ended while it started: %v\n%s", b.cmd.ProcessState, b.said())
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(end) {
			b.kill()
			<-b.exit
			return fmt.Errorf("the broker accepts no connection after %v\n%s", startPatience, b.said())
		}
	}
}

// kill sends SIGKILL and does not wait.
func (b *broker) kill() { b.cmd.Process.Kill() }

// terminate sends SIGTERM and waits.
func (b *broker) terminate() error {
	b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.exit:
	case <-time.After(patience):
		b.cmd.Process.Signal(syscall.SIGQUIT) // a Go program says where it hangs
		time.Sleep(time.Second)
		b.kill()
		<-b.exit
		return fmt.Errorf("the broker does not end within %v of SIGTERM\n%s", patience, b.said())
	}
	if !b.cmd.ProcessState.Success() {
		return fmt.Errorf("the broker ended with %v after SIGTERM\n%s", b.cmd.ProcessState, b.said())
	}
	return nil
}

// said is the end of what the broker has logged.
func (b *broker) said() string {
	out, err := os.ReadFile(b.path("log"))
	if err != nil {
		return err.Error()
	}
	if len(out) > 4000 {
		out = out[len(out)-4000:]
		out = out[bytes.IndexByte(out, '\n')+1:]
	}
	return string(out)
}
