package probe

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"picket/cause"
	"picket/internal/testbed"
	"picket/logging"
)

// TestMain checks that no goroutine is left.
func TestMain(m *testing.M) { testbed.Main(m) }

const patience = testbed.Patience

var token = []byte("an honest token of 32 characters")

// serve runs a server on a loopback address until the test ends.
func serve(t testing.TB, address string) (s *Server, port int, log *testbed.Log) {
	t.Helper()
	return serveWatching(t, address, closedWait)
}

// serveWatching is serve with a server that watches a connection that came about for so long.
func serveWatching(t testing.TB, address string, watch time.Duration) (s *Server, port int, log *testbed.Log) {
	t.Helper()
	log = new(testbed.Log)
	logger, err := logging.New(logging.Config{Dest: []logging.Dest{{Kind: logging.Stdout}}, Types: logging.All}, log, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	// Nobody else's datagrams come from a port of the test's own, so that the server can have it for UDP, too.
	s, err = Listen(context.Background(), Config{Addresses: []string{address}, Port: testbed.Port(t), Token: token, Log: logger})
	if err != nil {
		t.Skipf("this machine cannot listen on %s: %v", address, err)
	}
	s.closedWait = watch
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		logger.Close()
		if len(s.sockets)+len(s.sessions) > 0 {
			t.Errorf("%d sockets and %d sessions are left", len(s.sockets), len(s.sessions))
		}
	})
	return s, s.Addrs()[0].(*net.TCPAddr).Port, log
}

func connect(t testing.TB, host string, port int) *Client {
	t.Helper()
	c, err := Dial(t.Context(), "tcp", host, port, token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func wantCause(t testing.TB, err error, id cause.ID) {
	t.Helper()
	var why *cause.Failure
	if !errors.As(err, &why) || why.Cause != id {
		t.Errorf("got %v, want the cause %s", err, id)
	}
}

func TestReach(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "::1"} {
		_, port, log := serve(t, address)
		open, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer open.Close()
		shut := uint16(testbed.Port(t))
		c := connect(t, address, port)
		if ahead := c.ClockAhead(); ahead.Abs() > patience {
			t.Errorf("one clock is %v ahead of itself", ahead)
		}
		if c.Self() != c.Local() {
			t.Errorf("the server sees %s as %s", c.Local(), c.Self())
		}
		got, err := c.Reach([]uint16{uint16(open.Addr().(*net.TCPAddr).Port), shut})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []Outcome{Open, Refused} {
			if got[i].Outcome != want {
				t.Errorf("port %d: %s, want %s", got[i].Port, got[i].Outcome, want)
			}
		}
		c.Close()
		log.Await(t, " open, port ")
	}
}

// A program that closes at once what it has accepted is told from one that waits for its client.
func TestReachOfWhatCloses(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "::1"} {
		_, port, _ := serveWatching(t, address, patience)
		l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			if c, err := l.Accept(); err == nil {
				c.Close()
			}
		}()
		got, err := connect(t, address, port).Reach([]uint16{uint16(l.Addr().(*net.TCPAddr).Port)})
		if err != nil || got[0].Outcome != Closed {
			t.Errorf("%+v, %v; want %s", got, err, Closed)
		}
	}
}

func TestMeasurements(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "::1"} {
		t.Run(address, func(t *testing.T) {
			_, port, _ := serve(t, address)
			c := connect(t, address, port)
			r, err := c.RoundTrips(10)
			if err != nil || r.Count != 10 || r.Least <= 0 || r.Most < r.Median || r.Median < r.Least {
				t.Errorf("round trips: %+v, %v", r, err)
			}
			l, err := c.Loss()
			if err != nil || l.Sent != lossCount || !l.UDP {
				t.Errorf("loss: %+v, %v", l, err)
			}
			m, err := c.PathMTU()
			if err != nil || m.Whole && (m.Out != largest || m.Back != largest) {
				t.Errorf("path MTU: %+v, %v", m, err)
			}
			b, err := c.Bulk()
			if err != nil || b.Out == 0 || b.Back == 0 {
				t.Errorf("bulk: %+v, %v", b, err)
			}
			t.Logf("%+v\n%+v\n%+v\n%+v", r, l, m, b)
		})
	}
}

// Sessions at the same time share a socket, and do not hear each other.
func TestSessionsAtTheSameTime(t *testing.T) {
	s, port, _ := serve(t, "127.0.0.1")
	var running sync.WaitGroup
	for range 3 {
		c := connect(t, "127.0.0.1", port)
		running.Go(func() {
			if l, err := c.Loss(); err != nil || !l.UDP {
				t.Errorf("%+v, %v", l, err)
			}
		})
	}
	running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sockets) != 1 || len(s.sessions) != 3 {
		t.Errorf("%d sockets for %d sessions", len(s.sockets), len(s.sessions))
	}
}

func TestWrongToken(t *testing.T) {
	_, port, log := serve(t, "127.0.0.1")
	_, err := Dial(t.Context(), "tcp", "127.0.0.1", port, []byte("another token of 32 characters.."))
	wantCause(t, err, cause.ProbeTokenWrong)
	log.Await(t, "[probe-token-wrong]")
	if log.Has(string(token)) || strings.Contains(err.Error(), string(token)) {
		t.Error("the token is told")
	}
	if err := CheckToken([]byte("too short")); err == nil {
		t.Error("a short token is taken")
	}
}

// A server that does not hold the token is not believed.
func TestFalseServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		nonce, err := readHello(r)
		if err != nil {
			t.Error(err)
			return
		}
		conn.Write(appendHello(nil, make([]byte, nonceSize)))
		c := &codec{key: sessionKey([]byte("some other token, a long one"), nonce, make([]byte, nonceSize)), sends: fromServer, expects: fromClient, r: r, w: conn}
		c.read()
		c.write(login|answer, appendWelcome(nil, time.Now(), netip.MustParseAddrPort("203.0.113.7:1")))
	})
	_, err = Dial(t.Context(), "tcp", "127.0.0.1", l.Addr().(*net.TCPAddr).Port, token)
	wantCause(t, err, cause.ProbeTokenWrong)
}

// What was recorded of a session cannot be used again: not as it is, and not in another order.
func TestReplay(t *testing.T) {
	_, port, _ := serve(t, "127.0.0.1")
	address := net.JoinHostPort("127.0.0.1", (&net.TCPAddr{Port: port}).String()[1:])
	record := func(t *testing.T) (said []byte) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		nonce := make([]byte, nonceSize)
		hello := appendHello(nil, nonce)
		conn.Write(hello)
		r := bufio.NewReader(conn)
		server, err := readHello(r)
		if err != nil {
			t.Fatal(err)
		}
		var sent bytes.Buffer
		c := &codec{key: sessionKey(token, nonce, server), sends: fromClient, expects: fromServer, r: r, w: io.MultiWriter(conn, &sent)}
		c.write(login, nil)
		if _, _, err := c.read(); err != nil {
			t.Fatal(err)
		}
		return append(hello, sent.Bytes()...)
	}
	said := record(t)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write(said)
	r := bufio.NewReader(conn)
	if _, err := readHello(r); err != nil {
		t.Fatal(err)
	}
	var refused *refusedError
	if _, _, err := (&codec{r: r}).read(); !errors.As(err, &refused) || refused.cause != cause.ProbeTokenWrong {
		t.Errorf("a recorded login was answered: %v", err)
	}

	c := connect(t, "127.0.0.1", port)
	c.codec.sent = 0 // as if the login was sent again
	if _, err := c.ask(login, nil); err == nil {
		t.Error("a frame could be repeated")
	}
}

// Whoever changes a bit of a frame is found out.
func TestChangedFrames(t *testing.T) {
	var wire bytes.Buffer
	key := sessionKey(token, make([]byte, nonceSize), make([]byte, nonceSize))
	w := &codec{key: key, sends: fromClient, w: &wire}
	w.write(reach, appendPorts(nil, []uint16{1883}))
	frame := wire.Bytes()
	for bit := range len(frame) * 8 {
		changed := bytes.Clone(frame)
		changed[bit/8] ^= 1 << (bit % 8)
		r := &codec{key: key, expects: fromClient, r: bufio.NewReader(bytes.NewReader(changed))}
		if _, _, err := r.read(); err == nil {
			t.Fatalf("bit %d can be changed", bit)
		}
	}
	if _, _, err := (&codec{key: key, expects: fromServer, r: bufio.NewReader(bytes.NewReader(frame))}).read(); !errors.Is(err, errMAC) {
		t.Errorf("a frame can be sent back to who made it: %v", err)
	}
}

// Datagrams of strangers are not answered, whatever they know.
func TestDatagramsOfStrangers(t *testing.T) {
	s, port, _ := serve(t, "127.0.0.1")
	c := connect(t, "127.0.0.1", port)
	w, err := c.openWire()
	if err != nil || w == nil {
		t.Fatalf("%v, %v", w, err)
	}
	server := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
	good := appendDatagram(nil, c.codec.key, fromClient, datagram{w.id, 7, loss}, 100)
	quiet := func(what, from string, b []byte) {
		t.Helper()
		conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)}, server)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.Write(b)
		conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if n, err := conn.Read(make([]byte, 1500)); err == nil {
			t.Errorf("%s: answered with %d bytes", what, n)
		}
	}
	quiet("from another address", "127.0.0.9", good)
	bad := bytes.Clone(good)
	bad[20] ^= 1
	quiet("changed", "127.0.0.1", bad)
	quiet("unknown session", "127.0.0.1", appendDatagram(nil, c.codec.key, fromClient, datagram{w.id + 1, 7, loss}, 100))
	quiet("another direction", "127.0.0.1", appendDatagram(nil, c.codec.key, fromServer, datagram{w.id, 7, loss}, 100))
	quiet("too short", "127.0.0.1", good[:10])
	arrived, err := c.arrived()
	if err != nil || arrived.has(7) {
		t.Errorf("a stranger's datagram was counted: %v", err)
	}
	// One that is repeated is answered once.
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write(good)
	conn.SetReadDeadline(time.Now().Add(patience))
	if n, err := conn.Read(make([]byte, 1500)); n != 100 || err != nil {
		t.Errorf("answered with %d bytes and %v, want 100: no more than was sent", n, err)
	}
	quiet("repeated", "127.0.0.1", good)
	_ = s
}

// What one session may ask for is bounded.
func TestLimitsOfASession(t *testing.T) {
	t.Run("requests", func(t *testing.T) {
		_, port, _ := serve(t, "127.0.0.1")
		c := connect(t, "127.0.0.1", port)
		_, err := c.RoundTrips(maxRequests + 1)
		wantCause(t, err, cause.ProbeTooOften)
	})
	t.Run("what is sent", func(t *testing.T) {
		_, port, _ := serve(t, "127.0.0.1")
		c := connect(t, "127.0.0.1", port)
		var err error
		for range maxSent/maxBulk + 1 {
			if err = c.codec.write(sendBulk, binary.BigEndian.AppendUint32(nil, maxBulk)); err != nil {
				break
			}
			for k := bulk | answer; k == bulk|answer && err == nil; {
				k, _, err = c.codec.read()
			}
		}
		wantCause(t, c.failure(err), cause.ProbeTooOften)
	})
	t.Run("sessions in a minute", func(t *testing.T) {
		_, port, _ := serve(t, "127.0.0.1")
		var err error
		for range limits.PerMinute + 1 { // sooner if the server has not noticed yet that the ones before are gone
			var c *Client
			if c, err = Dial(t.Context(), "tcp", "127.0.0.1", port, token); err != nil {
				break
			}
			c.Close()
		}
		wantCause(t, err, cause.ProbeTooOften)
	})
	t.Run("a body that cannot be", func(t *testing.T) {
		_, port, log := serve(t, "127.0.0.1")
		for _, f := range []struct {
			k    kind
			body []byte
		}{{reach, nil}, {reach, []byte{1}}, {reach, []byte{0, 0}}, {reach, make([]byte, 100)}, {ping, make([]byte, maxPing+1)},
			{sendBulk, []byte{1}}, {sendBulk, []byte{255, 0, 0, 0}}, {kind(99), nil}} {
			c := connect(t, "127.0.0.1", port)
			if _, err := c.ask(f.k, f.body); err == nil {
				t.Errorf("kind %d with % x was answered", f.k, f.body)
			}
			c.Close()
		}
		_ = log
	})
}

// A port that speaks something else says so.
func TestNoProbe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			io.WriteString(conn, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")
			io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	_, err = Dial(t.Context(), "tcp", "127.0.0.1", l.Addr().(*net.TCPAddr).Port, token)
	wantCause(t, err, cause.ProbeMalformed)
}

func TestCancelled(t *testing.T) {
	_, port, _ := serve(t, "127.0.0.1")
	ctx, cancel := context.WithCancel(t.Context())
	c, err := Dial(ctx, "tcp", "127.0.0.1", port, token)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cancel()
	for end := time.Now().Add(patience); ; {
		if _, err := c.RoundTrips(1); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it goes on")
		}
	}
}

// The search finds the limit of any way, and takes few rounds for it.
func TestSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(least4-1, largest+10).Draw(t, "limit")
		rounds := 0
		got, err := search(least4, largest, func(sizes []int) (best int, err error) {
			rounds++
			if len(sizes) > sizesPerRound {
				t.Fatalf("%d sizes at once", len(sizes))
			}
			for _, n := range sizes {
				if n <= limit {
					best = n
				}
			}
			return best, nil
		})
		want := min(limit, largest)
		if limit < least4 {
			want = 0
		}
		if err != nil || got != want || rounds > 4 {
			t.Fatalf("got %d and %v after %d rounds, want %d", got, err, rounds, want)
		}
	})
}
