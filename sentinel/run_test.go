//go:build linux

package sentinel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"picket/internal/testbed"
	"picket/resp"
)

func TestMain(m *testing.M) { testbed.Main(m) }

// patience is how long anything may take before a test fails.
const patience = 2 * time.Minute

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// ask sends one command on a connection of its own.
func ask(port int, args ...string) (resp.Value, error) {
	conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return resp.Value{}, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(resp.AppendCommand(nil, args...)); err != nil {
		return resp.Value{}, err
	}
	return resp.NewReader(conn).Value()
}

// redis starts a redis-server that ends with the test.
func redis(t *testing.T, args ...string) (port int) {
	t.Helper()
	port = testbed.Port(t)
	cmd := exec.Command("redis-server", append([]string{"--port", strconv.Itoa(port), "--save", "", "--dir", t.TempDir(), "--repl-diskless-sync-delay", "0"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (Debian: apt-get install redis-server)", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	eventually(t, "redis-server answers", func() bool {
		v, err := ask(port, "PING")
		return err == nil && v.Str == "PONG"
	})
	return port
}

// run starts a sentinel in this process; the function that it returns ends it.
func run(t *testing.T, conf string) (s *Sentinel, stop func()) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(file, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err = New(c, "test", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return s, func() {
		t.Helper()
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			buf := make([]byte, 1<<20)
			t.Fatalf("the sentinel does not end:\n%s", buf[:runtime.Stack(buf, true)])
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// TestReconnections breaks the connections of two sentinels more than a thousand times while clients of all kinds come, ask, change, subscribe and are
// thrown out. In the end as many goroutines and descriptors are there as before, and everything works. The race detector watches.
func TestReconnections(t *testing.T) {
	if testing.Short() {
		t.Skip("some seconds beside real servers")
	}
	master := redis(t)
	replica := redis(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(master))
	ports := []int{testbed.Port(t), testbed.Port(t)}
	for _, port := range ports {
		_, stop := run(t, fmt.Sprintf("port %d\nbind 127.0.0.1\nsentinel monitor m 127.0.0.1 %d 2\nsentinel down-after-milliseconds m 60000\n", port, master))
		defer stop()
	}
	known := func(port int) bool {
		v, err := ask(port, "SENTINEL", "CKQUORUM", "m")
		if err != nil || v.Str != "OK 2 usable Sentinels. Quorum and failover authorization can be reached" {
			return false
		}
		v, err = ask(port, "SENTINEL", "REPLICAS", "m")
		if err != nil || len(v.Elems) != 1 {
			return false
		}
		v, err = ask(port, "SENTINEL", "MASTER", "m")
		return err == nil && len(v.Elems) > 9 && v.Elems[9].Str == "master"
	}
	settled := func() {
		t.Helper()
		for _, port := range ports {
			eventually(t, "the sentinels know all", func() bool { return known(port) })
		}
	}
	settled()
	time.Sleep(time.Second)
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	for _, port := range ports { // a connection that broke is made again after 10 ms in place of a second
		if v, err := ask(port, "SENTINEL", "DEBUG", "ping-period", "10"); err != nil || v.Str != "OK" {
			t.Fatalf("SENTINEL DEBUG: %+v, %v", v, err)
		}
	}

	connections := func() (sum int) {
		for _, port := range []int{master, replica} {
			v, err := ask(port, "INFO", "stats")
			if err != nil {
				t.Fatal(err)
			}
			_, after, _ := strings.Cut(v.Str, "total_connections_received:")
			n, _ := strconv.Atoi(strings.TrimSpace(strings.SplitN(after, "\r\n", 2)[0]))
			sum += n
		}
		return sum
	}
	began := connections()
	var wg sync.WaitGroup
	done := make(chan struct{})
	for i := range 8 {
		port := ports[i%2]
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				session(port, i, n)
				time.Sleep(time.Millisecond) // so that the others get their turn
			}
		})
	}
	ours := 0
	eventually(t, "a thousand connections were made anew", func() bool {
		for _, port := range []int{master, replica} {
			for _, kind := range []string{"normal", "pubsub"} {
				_, _ = ask(port, "CLIENT", "KILL", "TYPE", kind)
			}
		}
		ours += 6 // to each the two commands, and the question for the number
		return connections()-began-ours > 1000
	})
	close(done)
	wg.Wait()
	for _, port := range ports {
		if v, err := ask(port, "SENTINEL", "DEBUG", "ping-period", "1000"); err != nil || v.Str != "OK" {
			t.Fatalf("SENTINEL DEBUG: %+v, %v", v, err)
		}
	}
	settled()
	eventually(t, "goroutines and descriptors are as many as before", func() bool {
		return runtime.NumGoroutine() <= goroutines+2 && descriptors(t) <= files+2
	})
}

// session is what one client does; each does something else, some of it not well.
func session(port, who, n int) {
	conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	r := resp.NewReader(conn)
	user := fmt.Sprintf("u%d", who)
	for _, line := range [][]string{
		{"PING", "SENTINEL MASTERS", "INFO", "SENTINEL CKQUORUM m", "SENTINEL INFO-CACHE m"},
		{"HELLO 3", "PSUBSCRIBE *", "SENTINEL SET m failover-timeout 60000", "SENTINEL SENTINELS m"},
		{"SUBSCRIBE +sdown +set", "UNSUBSCRIBE", "CLIENT LIST", "CLIENT KILL TYPE pubsub"},
		{"ACL SETUSER " + user + " on >pw +@all", "AUTH " + user + " pw", "ACL WHOAMI", "ACL DELUSER " + user},
		{"SENTINEL CONFIG SET announce-port 0", "SENTINEL CONFIG GET *", "SENTINEL FLUSHCONFIG", "SENTINEL PENDING-SCRIPTS"},
		{"CLIENT SETNAME x", "CLIENT TRACKING on", "PING", "CLIENT ID", "COMMAND DOCS", "nonsense"},
		{"PUBLISH __sentinel__:hello nonsense", "SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 1 0 *", "ROLE", "ACL LOG"},
		{"*1\r\n$x\r\n"},
	}[who%8] {
		cmd := resp.AppendCommand(nil, strings.Fields(line)...)
		if who == 7 {
			cmd = []byte(line)
		}
		if _, err := conn.Write(cmd); err != nil {
			return
		}
		if n%3 == 0 {
			continue // does not wait for the answer, and leaves without reading
		}
		if _, err := r.Value(); err != nil {
			return
		}
	}
}

// TestRunEnds: a sentinel ends at once, whatever its clients and its servers do, and closes what it has opened.
func TestRunEnds(t *testing.T) {
	// Something that takes connections and never answers.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := testbed.Port(t)
	s, stop := run(t, fmt.Sprintf("port %d\nbind 127.0.0.1\npicket-metrics 127.0.0.1:0\nsentinel monitor m 127.0.0.1 %d 1\n", port, l.Addr().(*net.TCPAddr).Port))
	var conns []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	// One that has asked for much and reads nothing, one in the middle of a command, one that says nothing.
	if _, err := conns[0].Write(bytes.Repeat([]byte("COMMAND DOCS\r\n"), 1000)); err != nil {
		t.Fatal(err)
	}
	if _, err := conns[1].Write([]byte("*2\r\n$4\r\nPI")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "they are known", func() bool { return len(s.allClients()) == 3 })
	stop()
	for i, c := range conns[1:] {
		c.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("connection %d is still open", i+1)
		}
	}
}

// TestSlowReader: a client that subscribes and does not read is thrown out; the others get their events.
func TestSlowReader(t *testing.T) {
	if testing.Short() {
		t.Skip("writes some megabytes")
	}
	port := testbed.Port(t)
	s, stop := run(t, fmt.Sprintf("port %d\nbind 127.0.0.1\nsentinel monitor m 127.0.0.1 1 1\n", port))
	defer stop()
	c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("PSUBSCRIBE *\r\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is subscribed", func() bool { return len(s.allClients()) == 1 && s.allClients()[0].subscribed() })
	long := strings.Repeat("x", 1<<20)
	eventually(t, "it is thrown out", func() bool {
		s.publishEvent("+set", long)
		return len(s.allClients()) == 0
	})
}
