package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"picket/internal/testbed"
	"picket/logging"
	"picket/store"
	"picket/store/storetest"
)

// server is a redis-server of a test's own.
type server struct {
	t    testing.TB
	dir  string
	port int
	args []string
	cmd  *exec.Cmd
}

// newServer starts a server with arguments of redis-server beside those that every one has.
func newServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), port: testbed.Port(t), args: args}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *server) start() {
	s.t.Helper()
	args := append([]string{"--port", fmt.Sprint(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "yes",
		"--logfile", filepath.Join(s.dir, "log"), "--repl-diskless-sync-delay", "0"}, s.args...)
	s.cmd = exec.Command("redis-server", args...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	until(s.t, "redis-server answers", func() bool { return s.try("PING") == nil })
}

func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *server) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

func (s *server) client() (rueidis.Client, error) {
	return rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.address()}, ForceSingleClient: true, DisableCache: true, DisableRetry: true})
}

func (s *server) try(args ...string) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Do(context.Background(), c.B().Arbitrary(args...).Build()).Error()
}

// do sends a command.
func (s *server) do(args ...string) {
	s.t.Helper()
	if err := s.try(args...); err != nil {
		s.t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
}

// text sends a command that is answered with a text; none if it is not.
func (s *server) text(args ...string) string {
	c, err := s.client()
	if err != nil {
		return ""
	}
	defer c.Close()
	text, err := c.Do(context.Background(), c.B().Arbitrary(args...).Build()).ToString()
	if err != nil {
		return ""
	}
	return text
}

func (s *server) info(name string) string { return parseInfo(s.text("INFO"))[name] }

// replica starts a replica of the server and waits for it to be in step.
func (s *server) replica() *server {
	s.t.Helper()
	r := newServer(s.t, "--replicaof", "127.0.0.1", fmt.Sprint(s.port))
	// The replica knows it before the master does.
	until(s.t, "the replica is in step", func() bool { return r.info("master_link_status") == "up" })
	until(s.t, "the master knows that", func() bool {
		return strings.Count(s.text("INFO", "replication"), "state=online") == strings.Count(s.text("INFO", "replication"), ":ip=")
	})
	return r
}

func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * testbed.Patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", 2*testbed.Patience, what)
		}
	}
}

func newLog(t testing.TB) (*logging.Logger, *testbed.Log) {
	t.Helper()
	out := new(testbed.Log)
	log, err := logging.New(logging.Config{Dest: []logging.Dest{{Kind: logging.Stderr}}, Types: logging.All &^ logging.Debug}, out, out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	return log, out
}

// open opens a store at an address, with redis:// where it names no other scheme.
func open(t testing.TB, address string, o Options) (*Store, *testbed.Log, error) {
	t.Helper()
	if !strings.Contains(address, "://") {
		address = "redis://" + address
	}
	a, err := ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	var out *testbed.Log
	o.Log, out = newLog(t)
	s, err := Open(context.Background(), a, o)
	return s, out, err
}

func mustOpen(t testing.TB, address string, o Options) (*Store, *testbed.Log) {
	t.Helper()
	s, out, err := open(t, address, o)
	if err != nil {
		t.Fatal(err)
	}
	return s, out
}

// TestStore runs the tests of every store, with a replica and without.
func TestStore(t *testing.T) {
	for _, replicas := range []int{0, 1} {
		t.Run(fmt.Sprintf("%d replicas", replicas), func(t *testing.T) {
			master := newServer(t)
			if replicas > 0 {
				master.replica()
			}
			places := 0
			storetest.Run(t, func(t testing.TB) storetest.Place {
				places++
				address := fmt.Sprintf("%s?prefix=place%d", master.address(), places)
				return func(t testing.TB) store.Store {
					s, _ := mustOpen(t, address, Options{Acknowledge: Acknowledge{Replicas: replicas}})
					return s
				}
			})
		})
	}
}

// TestWhatIsMissingIsSaidAtOnce starts with servers that lack something.
func TestWhatIsMissingIsSaidAtOnce(t *testing.T) {
	lacking := newServer(t, "--maxmemory-policy", "allkeys-lru")
	lacking.do("ACL", "SETUSER", "picket", "on", ">secret", "~{picket}*", "+@all", "-hset", "-wait", "-function|load")
	_, _, err := open(t, "picket:secret@"+lacking.address(), Options{})
	var unfit *UnfitError
	if !errors.As(err, &unfit) {
		t.Fatal(err)
	}
	for _, want := range []string{"maxmemory-policy is allkeys-lru", "+hset", "+wait", "+function|load", "[cluster-eviction]", "[cluster-rights]"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: no %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the password is in %q", err)
	}
	lacking.do("ACL", "SETUSER", "other", "on", ">secret", "~mine*", "+@all")
	if _, _, err := open(t, "other:secret@"+lacking.address(), Options{}); err == nil || !strings.Contains(err.Error(), "keys that begin with {picket}") {
		t.Error(err)
	}
	if _, _, err := open(t, "other:wrong@"+lacking.address(), Options{}); err == nil || !strings.Contains(err.Error(), "[cluster-unreachable]") {
		t.Error(err)
	}
	documented := newServer(t)
	documented.do("ACL", "SETUSER", "picket", "on", ">secret", "~{picket}*", "+@hash", "+@set", "+@keyspace", "+@scripting", "+@connection", "+info", "+wait", "+function|load")
	alone, _ := mustOpen(t, "picket:secret@"+documented.address(), Options{})
	if err := alone.Close(); err != nil {
		t.Error(err)
	}
	_, _, err = open(t, "picket:secret@"+documented.address(), Options{Shared: true})
	if err == nil || !strings.Contains(err.Error(), "+xadd +xrange +xrevrange +xtrim") {
		t.Errorf("a node may start without the rights of its mailbox: %v", err)
	}
	whole := newServer(t, "--appendonly", "no")
	replica := whole.replica()
	if _, _, err := open(t, replica.address(), Options{}); err == nil || !strings.Contains(err.Error(), "it is a replica of 127.0.0.1:") {
		t.Error(err)
	}
	s, out := mustOpen(t, whole.address(), Options{Acknowledge: Acknowledge{Replicas: 2}})
	until(t, "both warnings are in the log", func() bool {
		return out.Has("appendonly is no") && out.Has("asks for 2 replicas, and 1 are in step")
	})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	whole.do("SET", "{foreign}o", "x")
	if _, _, err := open(t, whole.address()+"?prefix=foreign", Options{}); err == nil || !strings.Contains(err.Error(), "[cluster-taken]") {
		t.Error(err)
	}
	whole.do("HSET", "{picket}m", "v", "9")
	if _, _, err := open(t, whole.address(), Options{}); !errors.Is(err, store.ErrNewer) {
		t.Error(err)
	}
}

// TestStartWaits starts a store before its Redis: it waits for that, but not for ever.
func TestStartWaits(t *testing.T) {
	r := newServer(t)
	r.kill()
	if _, _, err := open(t, r.address(), Options{Hold: time.Millisecond}); err == nil || !strings.Contains(err.Error(), "[cluster-unreachable]") {
		t.Error(err)
	}
	log, out := newLog(t)
	a, err := ParseAddress("redis://" + r.address())
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		s, err := Open(context.Background(), a, Options{Log: log, Hold: time.Hour})
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	until(t, "it is said what is waited for", func() bool { return out.Has("cannot be reached yet") })
	r.start()
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

// TestTwoBrokers has a second broker start while the first one lives, and take over when that has been stopped.
func TestTwoBrokers(t *testing.T) {
	r := newServer(t)
	lost := make(chan error, 1)
	first, _ := mustOpen(t, r.address(), Options{Lost: func(err error) { lost <- err }})
	storetest.Start(t, first)
	if _, _, err := open(t, r.address(), Options{}); err == nil || !strings.Contains(err.Error(), "is using what is stored there") {
		t.Fatal(err)
	}
	// One that has stood still for too long is taken for dead, and finds out.
	r.do("HSET", "{picket}m", "c", "1")
	second, _ := mustOpen(t, r.address(), Options{})
	storetest.Start(t, second)
	if err := <-lost; !strings.Contains(err.Error(), "another broker has taken over") {
		t.Error(err)
	}
	b := new(store.Batch)
	b.Save(first.NewSession("late"), store.Record{})
	first.Commit(b)
	storetest.WaitFor(b)
	if !errors.Is(b.Err(), store.ErrFailed) {
		t.Error(b.Err())
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	_ = first.Close() // it has lost its data
}

var sigStop, sigCont = syscall.SIGSTOP, syscall.SIGCONT

// count sends a command that is answered with a number; -1 if it is not.
func (s *server) count(args ...string) int64 {
	c, err := s.client()
	if err != nil {
		return -1
	}
	defer c.Close()
	n, err := c.Do(context.Background(), c.B().Arbitrary(args...).Build()).AsInt64()
	if err != nil {
		return -1
	}
	return n
}
