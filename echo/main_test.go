package echo

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"

	"picket/cause"
	"picket/internal/testbed"
	"picket/logging"
)

// TestMain checks that no goroutine is left.
func TestMain(m *testing.M) { testbed.Main(m) }

// patience bounds every wait of a test.
const patience = testbed.Patience

// serve runs a server on a loopback address until the test ends. Its back port is free on all addresses of the test.
func serve(t testing.TB, change func(*Config)) (s *Server, port int, log *testbed.Log, stop func()) {
	t.Helper()
	log = new(testbed.Log)
	logger, err := logging.New(logging.Config{Dest: []logging.Dest{{Kind: logging.Stdout}}, Types: logging.All}, log, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Addresses: []string{"127.0.0.1"}, BackPort: testbed.Port(t), Limits: DefaultLimits(), Log: logger}
	c.Limits.PerMinute = 1 << 20
	if change != nil {
		change(&c)
	}
	s, err = Listen(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		logger.Close()
	})
	t.Cleanup(stop)
	return s, s.Addrs()[0].(*net.TCPAddr).Port, log, stop
}

// pair is a client: its sending and its receiving connection.
type pair struct{ out, back *net.TCPConn }

// listen opens the receiving port of a client with an address of its own.
func listen(t testing.TB, address string, s *Server) *net.TCPListener {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(s.config.BackPort)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

// dial connects to the server from an address.
func dial(t testing.TB, address string, s *Server) *net.TCPConn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 0)), Timeout: patience}
	conn, err := dialer.Dial("tcp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn)
}

// connect makes a client that the server has connected back to.
func connect(t testing.TB, address string, s *Server) pair {
	t.Helper()
	l := listen(t, address, s)
	p := pair{out: dial(t, address, s)}
	l.SetDeadline(time.Now().Add(patience))
	back, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { back.Close() })
	l.Close()
	back.SetDeadline(time.Now().Add(patience))
	p.back = back
	return p
}

// refusal reads the line by which the server ends a connection.
func refusal(t testing.TB, conn *net.TCPConn) *cause.Failure {
	t.Helper()
	line, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("reading the server's reason: %v (after %q)", err, line)
	}
	why, ok := parseNotice(string(line))
	if !ok {
		t.Fatalf("the server's reason is %q", line)
	}
	return why
}

func wantCause(t testing.TB, err error, id cause.ID) {
	t.Helper()
	var why *cause.Failure
	if !errors.As(err, &why) || why.Cause != id {
		t.Errorf("got %v, want the cause %s", err, id)
	}
}
