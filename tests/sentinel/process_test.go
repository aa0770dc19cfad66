//go:build linux

package sentinel

import (
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"picket/internal/testbed"
	"picket/resp"
)

// binary is the program under test. One is built unless it is given.
var binary string

func init() {
	flag.StringVar(&binary, "binary", "", "a picket `program` to test in place of one that is built for it")
}

func TestMain(m *testing.M) {
	testbed.SideBySide(8)
	if binary == "" {
		var err error
		if binary, err = testbed.Built(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// patience is how long anything may take before a test fails. A machine that stood still for some seconds makes sentinels conclude
// nothing for another 30 (TILT), and this must be more than that and a failover.
const patience = 2 * time.Minute

// pause is between two looks at a condition. A look costs servers and sentinels a connection each, and many tests look at the same time.
const pause = 100 * time.Millisecond

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(pause) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// process is a server or a sentinel, or whatever else is started with a configuration file.
type process struct {
	t    testing.TB
	name string
	host string
	port int
	dir  string
	conf string
	args []string // to start it, also again
	pass []string // words of AUTH
	tls  *tls.Config
	cmd  *exec.Cmd
	dead chan struct{}
}

// newProcess writes a configuration file and starts nothing yet. program is the command before the file, args what follows it.
func newProcess(t testing.TB, name, program string, port int, conf string, args ...string) *process {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, name+".conf")
	conf = fmt.Sprintf("port %d\ndir %s\nlogfile %s\n%s\n", port, dir, filepath.Join(dir, "log"), conf)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, name: name, host: "127.0.0.1", port: port, dir: dir, conf: file}
	p.args = append(append(strings.Fields(program), file), args...)
	t.Cleanup(func() {
		p.kill()
		out, _ := os.ReadFile(filepath.Join(p.dir, "out"))
		if strings.Contains(string(out), "DATA RACE") || strings.Contains(string(out), "goroutine ") {
			t.Errorf("%s wrote:\n%s", name, out)
		}
		if t.Failed() {
			t.Logf("log of %s (port %d):\n%s%s", name, p.port, tail(p.log(), 60), out)
		}
	})
	return p
}

func tail(s string, n int) string {
	lines := strings.SplitAfter(s, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

func (p *process) log() string {
	data, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	return string(data)
}

// logged reports whether a line of its log holds a text.
func (p *process) logged(text string) bool { return strings.Contains(p.log(), text) }

// logs waits until a line of its log holds a text: what is logged is written by itself, a moment after it has happened.
func (p *process) logs(text string) {
	p.t.Helper()
	eventually(p.t, p.name+" logs "+text, func() bool { return p.logged(text) })
}

// start starts it, also again, and waits until it answers.
func (p *process) start() *process {
	p.t.Helper()
	p.launch()
	eventually(p.t, p.name+" answers", func() bool {
		select {
		case <-p.dead:
			p.t.Fatalf("%s ended at once: %v", p.name, p.cmd.ProcessState)
		default:
		}
		v, err := p.try("PING")
		return err == nil && (v.Str == "PONG" || v.IsError("LOADING") || v.IsError("NOAUTH") || v.IsError("MASTERDOWN"))
	})
	return p
}

// launch starts it.
func (p *process) launch() {
	p.t.Helper()
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Dir = p.dir
	// It does not outlive the test, whatever becomes of that.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := os.OpenFile(filepath.Join(p.dir, "out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	err = p.cmd.Start()
	out.Close()
	if err != nil {
		p.t.Fatalf("%s: %v (Debian: apt-get install redis-server redis-sentinel)", p.args[0], err)
	}
	cmd, dead := p.cmd, make(chan struct{})
	p.dead = dead
	go func() {
		_ = cmd.Wait() // its status is in ProcessState
		close(dead)
	}()
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// kill ends it as kill -9 does.
func (p *process) kill() {
	if p.cmd != nil && p.cmd.Process != nil {
		p.signal(syscall.SIGKILL)
		<-p.dead
	}
}

// exitStatus waits for its end.
func (p *process) exitStatus() int {
	p.t.Helper()
	select {
	case <-p.dead:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("%s does not end", p.name)
		return -1
	}
}

// connection is a plain client.
type connection struct {
	net.Conn
	r *resp.Reader
}

func (p *process) dial() (*connection, error) {
	var conn net.Conn
	var err error
	dialer := &net.Dialer{Timeout: patience / 2}
	if p.tls != nil {
		conn, err = tls.DialWithDialer(dialer, "tcp", p.addr(), p.tls)
	} else {
		conn, err = dialer.Dial("tcp", p.addr())
	}
	if err != nil {
		return nil, err
	}
	c := &connection{conn, resp.NewReader(conn)}
	if len(p.pass) > 0 {
		if _, err := c.do(append([]string{"AUTH"}, p.pass...)...); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return c, nil
}

// open is dial for a connection that must succeed; it ends with the test.
func (p *process) open() *connection {
	p.t.Helper()
	c, err := p.dial()
	if err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	p.t.Cleanup(func() { c.Close() })
	return c
}

func (c *connection) do(args ...string) (resp.Value, error) {
	c.SetDeadline(time.Now().Add(patience / 2))
	if _, err := c.Write(resp.AppendCommand(nil, args...)); err != nil {
		return resp.Value{}, err
	}
	return c.r.Value()
}

func (p *process) try(args ...string) (resp.Value, error) {
	c, err := p.dial()
	if err != nil {
		return resp.Value{}, err
	}
	defer c.Close()
	return c.do(args...)
}

// do runs one command on a connection of its own.
func (p *process) do(args ...string) resp.Value {
	p.t.Helper()
	v, err := p.try(args...)
	if err != nil {
		p.t.Fatalf("%s: %v: %v", p.name, args, err)
	}
	return v
}

// ok runs a command that must answer OK.
func (p *process) ok(args ...string) {
	p.t.Helper()
	if v := p.do(args...); v.Str != "OK" {
		p.t.Fatalf("%s: %v: %+v", p.name, args, v)
	}
}

// fields is an instance map.
func fields(v resp.Value) map[string]string {
	m := map[string]string{}
	for i := 0; i+1 < len(v.Elems); i += 2 {
		m[v.Elems[i].Str] = v.Elems[i+1].Str
	}
	return m
}

// master is the map of a master that a sentinel watches, empty where it does not answer.
func (p *process) master(name string) map[string]string {
	v, _ := p.try("SENTINEL", "MASTER", name)
	return fields(v)
}

// instances are the maps of a master's REPLICAS or SENTINELS.
func (p *process) instances(what, master string) (maps []map[string]string) {
	v, _ := p.try("SENTINEL", what, master)
	for _, e := range v.Elems {
		maps = append(maps, fields(e))
	}
	return maps
}

// masterAddr is where the sentinel sends clients, such as 127.0.0.1:6379; empty where it does not say.
func (p *process) masterAddr(name string) string {
	v, err := p.try("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
	if err != nil || len(v.Elems) != 2 {
		return ""
	}
	return net.JoinHostPort(v.Elems[0].Str, v.Elems[1].Str)
}

// info is a line of its INFO.
func (p *process) info(key string) string {
	v, _ := p.try("INFO")
	for line := range strings.Lines(v.Str) {
		if k, val, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && k == key {
			return val
		}
	}
	return ""
}

// addr is where it is found.
func (p *process) addr() string { return net.JoinHostPort(p.host, strconv.Itoa(p.port)) }

// named is addr with a name for the host.
func (p *process) named(host string) string { return net.JoinHostPort(host, strconv.Itoa(p.port)) }
