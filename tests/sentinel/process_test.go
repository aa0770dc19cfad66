//go:build redis

package sentinel_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"picket/resp"
)

// The tests of this package run real processes: redis-server, redis-sentinel and this project's own binary, which is built once.

var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "picket-sentinel")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "picket")
	out, err := exec.Command("go", "build", "-o", path, "picket/cmd/picket").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(status)
}

// process is one server or sentinel.
type process struct {
	t    testing.TB
	name string
	host string
	port int
	dir  string
	conf string
	args []string // to start it again
	pass []string // words of AUTH
	cmd  *exec.Cmd
	dead chan struct{}
}

var (
	portMu   sync.Mutex
	nextPort = 21000 + os.Getpid()%8000
)

// freePort gives each process its own port, also while others start.
func freePort(t testing.TB) int {
	portMu.Lock()
	defer portMu.Unlock()
	for range 2000 {
		nextPort++
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(nextPort))
		if err == nil {
			l.Close()
			return nextPort
		}
	}
	t.Fatal("no free port")
	return 0
}

// newProcess writes a configuration file and starts a program with it.
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
	p.args = append(strings.Fields(program), file)
	p.args = append(p.args, args...)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, tail(p.log(), 40))
		}
	})
	return p
}

func tail(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (p *process) log() string {
	data, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	return string(data)
}

// start starts it, also again, and waits until it answers.
func (p *process) start() *process {
	p.t.Helper()
	p.launch()
	p.t.Helper()
	eventually(p.t, 10*time.Second, p.name+" answers", func() bool {
		v, err := p.try("PING")
		return err == nil && (v.Str == "PONG" || v.IsError("LOADING") || v.IsError("NOAUTH") || v.IsError("MASTERDOWN"))
	})
	return p
}

func (p *process) launch() {
	p.t.Helper()
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Dir = p.dir
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
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
	dead := make(chan struct{})
	p.dead = dead
	cmd := p.cmd
	go func() { cmd.Wait(); close(dead) }()
}

func (p *process) signal(s syscall.Signal) { syscall.Kill(p.cmd.Process.Pid, s) }

// kill ends it as kill -9 does.
func (p *process) kill() {
	if p.cmd != nil {
		p.signal(syscall.SIGKILL)
		<-p.dead
	}
}

// exitStatus waits for its end.
func (p *process) exitStatus() int {
	select {
	case <-p.dead:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(15 * time.Second):
		p.t.Fatalf("%s does not end", p.name)
		return -1
	}
}

// client is a plain connection.
type client struct {
	conn net.Conn
	r    *resp.Reader
}

func (p *process) dial() (*client, error) {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(p.host, strconv.Itoa(p.port)), time.Second)
	if err != nil {
		return nil, err
	}
	c := &client{conn, resp.NewReader(conn)}
	if len(p.pass) > 0 {
		if _, err := c.do(append([]string{"AUTH"}, p.pass...)...); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return c, nil
}

func (c *client) do(args ...string) (resp.Value, error) {
	c.conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.conn.Write(resp.AppendCommand(nil, args...)); err != nil {
		return resp.Value{}, err
	}
	return c.r.Value()
}

func (p *process) try(args ...string) (resp.Value, error) {
	c, err := p.dial()
	if err != nil {
		return resp.Value{}, err
	}
	defer c.conn.Close()
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

func (p *process) master(name string) map[string]string {
	v, err := p.try("SENTINEL", "MASTER", name)
	if err != nil {
		return nil
	}
	return fields(v)
}

// masterPort is where the sentinel sends clients.
func (p *process) masterPort(name string) int {
	v, err := p.try("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
	if err != nil || len(v.Elems) != 2 {
		return 0
	}
	n, _ := strconv.Atoi(v.Elems[1].Str)
	return n
}

// info is a line of a server's INFO.
func (p *process) info(key string) string {
	v, err := p.try("INFO")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(v.Str) {
		if k, val, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && k == key {
			return val
		}
	}
	return ""
}

func eventually(t testing.TB, limit time.Duration, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); ; {
		if f() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// group is a master with replicas and sentinels.
type group struct {
	t         testing.TB
	servers   []*process
	sentinels []*process
	down      int // down-after-milliseconds
}

// options of a group; zero values give three of our sentinels, two replicas, down-after 1000.
type options struct {
	servers   int
	sentinels string // one letter each: p ours, c Redis'
	quorum    int
	down      int
	timeout   int // failover-timeout
	server    string
	sentinel  string
	each      func(i int, ours bool) string // more lines for one sentinel
	args      []string                      // of each server
	pass      []string                      // AUTH words of the servers
	host      string                        // the master's, as sentinels know it
}

func newGroup(t testing.TB, o options) *group {
	t.Helper()
	if o.servers == 0 {
		o.servers = 3
	}
	if o.sentinels == "" {
		o.sentinels = "ppp"
	}
	if o.quorum == 0 {
		o.quorum = len(o.sentinels)/2 + 1
	}
	if o.down == 0 {
		o.down = 1000
	}
	if o.timeout == 0 {
		o.timeout = 10000
	}
	if o.host == "" {
		o.host = "127.0.0.1"
	}
	g := &group{t: t, down: o.down}
	for i := range o.servers {
		conf := "save \"\"\nrepl-diskless-sync-delay 0\nrepl-diskless-sync yes\n" + o.server
		if i > 0 {
			conf += fmt.Sprintf("\nreplicaof %s %d", o.host, g.servers[0].port)
		}
		p := newProcess(t, fmt.Sprintf("redis%d", i+1), "redis-server", freePort(t), conf, o.args...)
		p.pass = o.pass
		g.servers = append(g.servers, p.start())
	}
	for _, p := range g.servers[1:] {
		eventually(t, 20*time.Second, p.name+" replicates", func() bool { return p.info("master_link_status") == "up" })
	}
	for i, kind := range o.sentinels {
		program := "redis-sentinel"
		if kind == 'p' {
			path, err := binary()
			if err != nil {
				t.Fatal(err)
			}
			program = path + " sentinel"
		}
		conf := fmt.Sprintf("%s\nsentinel monitor mymaster %s %d %d\nsentinel down-after-milliseconds mymaster %d\nsentinel failover-timeout mymaster %d\nsentinel parallel-syncs mymaster 10\n",
			o.sentinel, o.host, g.servers[0].port, o.quorum, o.down, o.timeout)
		if o.each != nil {
			conf += o.each(i, kind == 'p')
		}
		g.sentinels = append(g.sentinels, newProcess(t, fmt.Sprintf("sentinel%d", i+1), program, freePort(t), conf).start())
	}
	g.discovered()
	return g
}

// discovered waits until every sentinel is connected with everything.
func (g *group) discovered() {
	g.t.Helper()
	for _, s := range g.sentinels {
		eventually(g.t, 30*time.Second, s.name+" knows all", func() bool {
			m := s.master("mymaster")
			return m["flags"] == "master" && m["num-slaves"] == strconv.Itoa(len(g.servers)-1) && m["num-other-sentinels"] == strconv.Itoa(len(g.sentinels)-1) && s.allUp()
		})
	}
}

func (p *process) allUp() bool {
	for _, what := range []string{"REPLICAS", "SENTINELS"} {
		v, err := p.try("SENTINEL", what, "mymaster")
		if err != nil {
			return false
		}
		for _, e := range v.Elems {
			f := fields(e)
			if f["flags"] != "slave" && f["flags"] != "sentinel" || what == "REPLICAS" && f["master-link-status"] != "ok" {
				return false
			}
		}
	}
	return true
}

// current is the server that the first sentinel calls the master.
func (g *group) current() *process {
	port := g.sentinels[0].masterPort("mymaster")
	for _, p := range g.servers {
		if p.port == port {
			return p
		}
	}
	g.t.Fatalf("no server has port %d", port)
	return nil
}

// switches listens for +switch-master on every sentinel and sends the times at which it comes.
func (g *group) switches() func(limit time.Duration) []time.Time {
	type hit struct {
		i  int
		at time.Time
	}
	hits := make(chan hit, len(g.sentinels))
	var conns []net.Conn
	for i, s := range g.sentinels {
		c, err := s.dial()
		if err != nil {
			g.t.Fatal(err)
		}
		if _, err := c.do("SUBSCRIBE", "+switch-master"); err != nil {
			g.t.Fatal(err)
		}
		c.conn.SetDeadline(time.Time{})
		conns = append(conns, c.conn)
		go func() {
			if _, err := c.r.Value(); err == nil {
				hits <- hit{i, time.Now()}
			}
		}()
	}
	return func(limit time.Duration) []time.Time {
		g.t.Helper()
		defer func() {
			for _, c := range conns {
				c.Close()
			}
		}()
		times := make([]time.Time, len(g.sentinels))
		deadline := time.After(limit)
		for range g.sentinels {
			select {
			case h := <-hits:
				times[h.i] = h.at
			case <-deadline:
				g.t.Fatalf("no +switch-master on all sentinels within %v", limit)
			}
		}
		return times
	}
}

// agreed waits until all sentinels name one master and every server that runs follows it.
func (g *group) agreed() *process {
	g.t.Helper()
	var master *process
	eventually(g.t, 40*time.Second, "all agree", func() bool {
		master = g.current()
		for _, s := range g.sentinels {
			if s.masterPort("mymaster") != master.port {
				return false
			}
		}
		for _, p := range g.servers {
			if p != master && (p.info("master_port") != strconv.Itoa(master.port) || p.info("master_link_status") != "up") {
				return false
			}
		}
		return master.info("role") == "master"
	})
	return master
}

// lines reads a log as it is.
func (p *process) has(text string) bool {
	s := bufio.NewScanner(strings.NewReader(p.log()))
	for s.Scan() {
		if strings.Contains(s.Text(), text) {
			return true
		}
	}
	return false
}
