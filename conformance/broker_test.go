package conformance

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// configs are the configurations that the tests need. PORT, WEBSOCKET and TESTDATA are filled in.
var configs = map[string]string{
	"open": `
persistence false
listener PORT 127.0.0.1
allow_anonymous true
listener WEBSOCKET 127.0.0.1
protocol websockets
`,
	// A server of few abilities and little room.
	"limited": `
persistence false
retain_available false
allow_zero_length_clientid false
max_packet_size 2000
listener PORT 127.0.0.1
allow_anonymous true
max_qos 1
`,
	// A server that refuses clients and messages.
	"guarded": `
persistence false
listener PORT 127.0.0.1
allow_anonymous false
password_file TESTDATA/passwd
acl_file TESTDATA/acl
`,
	// A server with a method of enhanced authentication.
	"scram": `
persistence false
listener PORT 127.0.0.1
allow_anonymous false
password_file TESTDATA/scram
`,
}

// instance is a broker that runs.
type instance struct {
	addr      string // of the listener for MQTT over TCP
	websocket string // of the listener for WebSocket, in the configuration "open" only
	cmd       *exec.Cmd
	done      chan struct{} // closed when it has ended, with err
	err       error
	output    *lockedBuffer
}

// lockedBuffer is a buffer that os/exec may write to while a test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// brokers runs those that tests have asked for.
var brokers = struct {
	sync.Mutex
	dir     string   // for the program and the configurations; made by TestMain
	program []string // command line without the configuration; empty until the first test needs it
	running map[string]*instance
}{running: map[string]*instance{}}

func TestMain(m *testing.M) {
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (code int, err error) {
	brokers.dir, err = os.MkdirTemp("", "conformance")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(brokers.dir)
	// The tests wait for time to pass and for the broker, not for a processor.
	flag.Parse()
	if err := flag.Set("test.parallel", "32"); err != nil {
		return 0, err
	}
	code = m.Run()
	for name, b := range brokers.running {
		if e := b.stop(); e != nil {
			err = errors.Join(err, fmt.Errorf("the broker %q: %w\n%s", name, e, b.output))
		}
	}
	return code, err
}

// broker is the one with this configuration. The first test that wants it starts it.
func (e *env) broker(config string) *instance {
	e.Helper()
	brokers.Lock()
	defer brokers.Unlock()
	if b := brokers.running[config]; b != nil {
		return b
	}
	if brokers.program == nil {
		var err error
		if brokers.program, err = program(); err != nil {
			e.Fatal(err)
		}
	}
	b, err := start(filepath.Join(brokers.dir, config+".conf"), configs[config])
	if b != nil {
		brokers.running[config] = b
	}
	if err != nil {
		e.Fatalf("the broker %q: %v", config, err)
	}
	return b
}

// program is the command line of the broker under test, built first if it is ours.
func program() ([]string, error) {
	if other := os.Getenv("CONFORMANCE_BROKER"); other != "" {
		return strings.Fields(other), nil
	}
	// go test answers from its cache unless something has changed that a test has looked at: so look at all source directories.
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == ".git" {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(brokers.dir, "picket")
	if out, err := exec.Command("go", "build", "-o", bin, "picket/cmd/picket").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building picket: %w\n%s", err, out)
	}
	return []string{bin, "serve"}, nil
}

// start runs the broker with a configuration and waits until it takes connections. Another process may take a port between
// our choice and the broker's use of it, so a broker that ends at once gets other ports, twice.
func start(file, text string) (b *instance, err error) {
	for range 3 {
		if b, err = startOnce(file, text); !errors.Is(err, errEnded) {
			return b, err
		}
	}
	return nil, fmt.Errorf("%w\n%s", err, b.output)
}

var errEnded = errors.New("the broker has ended")

func startOnce(file, text string) (*instance, error) {
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		return nil, err
	}
	b := &instance{output: &lockedBuffer{}, done: make(chan struct{})}
	if b.addr, err = freeAddr(); err != nil {
		return nil, err
	}
	if b.websocket, err = freeAddr(); err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(b.addr)
	_, websocket, _ := net.SplitHostPort(b.websocket)
	text = strings.NewReplacer("PORT", port, "WEBSOCKET", websocket, "TESTDATA", testdata).Replace(text)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	b.cmd = exec.Command(brokers.program[0], append(slices.Clone(brokers.program[1:]), "-c", file)...)
	b.cmd.Stdout, b.cmd.Stderr = b.output, b.output
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		b.err = b.cmd.Wait()
		close(b.done)
	}()
	wanted := []string{b.addr}
	if strings.Contains(text, websocket) {
		wanted = append(wanted, b.websocket)
	}
	deadline := time.After(patience)
	for len(wanted) > 0 {
		conn, err := net.Dial("tcp", wanted[0])
		if err == nil {
			conn.Close()
			wanted = wanted[1:]
			continue
		}
		select {
		case <-b.done:
			return b, errEnded
		case <-deadline:
			return b, fmt.Errorf("%v does not take connections: %w\n%s", b.cmd, err, b.output)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return b, nil
}

// freeAddr is an address on which nothing listens at the moment.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// stop ends the broker as a service manager would. A broker that has died or that does not end is an error.
func (b *instance) stop() error {
	select {
	case <-b.done:
		return fmt.Errorf("has ended by itself: %w", b.err)
	default:
	}
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-b.done:
		return b.err
	case <-time.After(patience):
		b.cmd.Process.Kill()
		<-b.done
		return fmt.Errorf("does not end within %v of SIGTERM", patience)
	}
}
