package bench

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startTimeout bounds the time from a broker's start until it accepts connections.
const startTimeout = 20 * time.Second

// stopTimeout is what a broker has to end after SIGTERM; it may have to free a lot.
const stopTimeout = 30 * time.Second

// sharedConf is the mosquitto.conf that all brokers are given which read one: no limits where limits would be compared
// instead of brokers, and nothing logged per connection.
const sharedConf = `allow_anonymous true
max_inflight_messages 0
max_queued_messages 0
set_tcp_nodelay true
connection_messages false
log_dest stderr
log_type error
log_type warning
`

// brokerProcess is a contender that runs.
type brokerProcess struct {
	name    string
	address string
	dir     string
	command string
	cmd     *exec.Cmd
	// authorities vouch for the broker's certificate, where it has one.
	authorities *x509.CertPool
	output      string // file
	exited      chan struct{}
}

// startBroker starts a contender, with a listener for a transport, and waits until it accepts connections.
func startBroker(ctx context.Context, who Contender, parent string, t Transport) (*brokerProcess, error) {
	dir, err := os.MkdirTemp(parent, "broker-")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	b := &brokerProcess{name: who.Name, dir: dir, output: filepath.Join(dir, "output")}
	if err := b.start(ctx, who, t); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return b, nil
}

// start writes the contender's configuration and launches it.
func (b *brokerProcess) start(ctx context.Context, who Contender, t Transport) error {
	// Brokers may give up their privileges before they open files.
	if err := os.Chmod(b.dir, 0o777); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	port, err := freePort()
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	b.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	conf := filepath.Join(b.dir, "mosquitto.conf")
	names := strings.NewReplacer("{conf}", conf, "{port}", strconv.Itoa(port), "{dir}", b.dir)
	listener, err := b.listener(port, t)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if err := os.WriteFile(conf, fmt.Appendf(nil, "%s%s%s\n", listener, sharedConf, names.Replace(who.Config)), 0o644); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	b.command = names.Replace(who.Command)
	return b.launch(ctx)
}

// listener is the beginning of a mosquitto.conf. A broker that would speak WebSocket alone gets a plain listener besides: Debian's mosquitto has to have one.
func (b *brokerProcess) listener(port int, t Transport) (lines string, err error) {
	if t.web() {
		plain, err := freePort()
		if err != nil {
			return "", err
		}
		lines = fmt.Sprintf("listener %d 127.0.0.1\n", plain)
	}
	lines += fmt.Sprintf("listener %d 127.0.0.1\n", port)
	if t.web() {
		lines += "protocol websockets\n"
	}
	if t.secure() {
		var certificate, key string
		if b.authorities, certificate, key, err = certify(b.dir); err != nil {
			return "", err
		}
		lines += fmt.Sprintf("certfile %s\nkeyfile %s\n", certificate, key)
	}
	return lines, nil
}

// launch starts the process and waits until it accepts connections.
func (b *brokerProcess) launch(ctx context.Context) error {
	out, err := os.Create(b.output)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer out.Close()
	// Thousands of connections need more than the usual soft limit of files, and not every broker raises it.
	b.cmd = exec.Command("/bin/sh", "-c", `ulimit -n "$(ulimit -Hn)"; exec `+b.command)
	b.cmd.Stdout, b.cmd.Stderr = out, out
	if err := b.cmd.Start(); err != nil {
		return fmt.Errorf("bench: %s: %w", b.name, err)
	}
	b.exited = make(chan struct{})
	go func() {
		_ = b.cmd.Wait() // how it ended is in ProcessState
		close(b.exited)
	}()
	return b.ready(ctx)
}

// ready waits until connections are accepted.
func (b *brokerProcess) ready(ctx context.Context) error {
	deadline := time.Now().Add(startTimeout)
	for {
		conn, err := net.DialTimeout("tcp", b.address, time.Second)
		if err == nil {
			conn.Close()
			return nil
		}
		select {
		case <-b.exited:
			return fmt.Errorf("bench: %s ended before it accepted connections: %v%s", b.name, b.cmd.ProcessState, b.lastWords())
		case <-ctx.Done():
			b.stop()
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			words := b.lastWords()
			b.stop()
			return fmt.Errorf("bench: %s does not accept connections on %s after %v: does its command use {port} or {conf}?%s", b.name, b.address, startTimeout, words)
		}
	}
}

func (b *brokerProcess) pid() int { return b.cmd.Process.Pid }

// lastWords is the end of what the broker has printed, for an error's text.
func (b *brokerProcess) lastWords() string {
	out, err := os.ReadFile(b.output)
	if out = bytes.TrimSpace(out); err != nil || len(out) == 0 {
		return ""
	}
	if len(out) > 500 {
		out = out[len(out)-500:]
	}
	return fmt.Sprintf("; %s printed: %s", b.name, out)
}

// restart ends the broker, starts it again with what it has kept, and returns the time from there to its first CONNACK.
func (b *brokerProcess) restart(ctx context.Context, c Config) (took time.Duration, err error) {
	if c, err = c.withDefaults(); err != nil {
		return 0, err
	}
	b.end()
	began := time.Now()
	if err := b.launch(ctx); err != nil {
		return 0, err
	}
	d, err := newDialer(ctx, &c)
	if err != nil {
		return 0, err
	}
	cl, err := d.connect(ctx, "again", 0)
	if err != nil {
		return 0, err
	}
	took = time.Since(began)
	cl.goodbye()
	return took, nil
}

// stop ends the broker and removes its directory.
func (b *brokerProcess) stop() {
	b.end()
	os.RemoveAll(b.dir)
}

// end ends the broker.
func (b *brokerProcess) end() {
	b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.exited:
	case <-time.After(stopTimeout):
		b.cmd.Process.Kill()
		<-b.exited
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
