package listener

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/pires/go-proxyproto"
)

// A transport is one way for a client to reach the core.
type transport struct {
	name string
	opt  Options
	cfg  func(t testing.TB, a *authority) *Config
	dial func(t testing.TB, s *Set, a *authority) net.Conn
}

func plainTCP(t testing.TB, s *Set, _ *authority) net.Conn { return dial(t, addrOf(t, s).String()) }

func overTLS(t testing.TB, s *Set, a *authority) net.Conn {
	return startTLS(t, plainTCP(t, s, a), a.client(t))
}

func startTLS(t testing.TB, c net.Conn, cfg *tls.Config) net.Conn {
	t.Helper()
	tc := tls.Client(c, cfg)
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	return tc
}

func overWS(t testing.TB, s *Set, a *authority) net.Conn {
	return startWS(t, plainTCP(t, s, a), "mqtt")
}

func overWSS(t testing.TB, s *Set, a *authority) net.Conn {
	return startWS(t, overTLS(t, s, a), "mqtt")
}

// wsConn is a client's end of a WebSocket connection.
type wsConn struct {
	net.Conn
	r    io.Reader // Conn, after what came with the upgrade
	left []byte
	size int // largest payload of a frame to send; 0: whatever is written
}

func startWS(t testing.TB, c net.Conn, protocols ...string) net.Conn {
	t.Helper()
	d := ws.Dialer{Protocols: protocols, NetDial: func(context.Context, string, string) (net.Conn, error) { return c, nil }}
	_, br, hs, err := d.Dial(context.Background(), "ws://localhost/any/path")
	if err != nil {
		t.Fatal(err)
	}
	if len(protocols) > 0 && hs.Protocol != protocols[0] {
		t.Fatalf("subprotocol %q agreed, want %q", hs.Protocol, protocols[0])
	}
	w := &wsConn{Conn: c, r: c}
	if br != nil {
		w.r = io.MultiReader(br, c)
	}
	return w
}

func (w *wsConn) Write(p []byte) (int, error) {
	n := 0
	for {
		k := len(p) - n
		if w.size > 0 {
			k = min(k, w.size)
		}
		if err := ws.WriteFrame(w.Conn, ws.MaskFrame(ws.NewBinaryFrame(p[n:n+k]))); err != nil {
			return n, err
		}
		if n += k; n == len(p) {
			return n, nil
		}
	}
}

func (w *wsConn) Read(p []byte) (int, error) {
	for len(w.left) == 0 {
		f, err := ws.ReadFrame(w.r) //nolint:staticcheck // the peer is our own listener
		if err != nil {
			return 0, err
		}
		switch f.Header.OpCode {
		case ws.OpBinary:
			w.left = f.Payload
		case ws.OpClose:
			return 0, io.EOF
		}
	}
	n := copy(p, w.left)
	w.left = w.left[n:]
	return n, nil
}

// behindProxy sends a PROXY header first.
func behindProxy(version byte) func(t testing.TB, s *Set, a *authority) net.Conn {
	return func(t testing.TB, s *Set, a *authority) net.Conn {
		t.Helper()
		c := plainTCP(t, s, a)
		h := proxyproto.HeaderProxyFromAddrs(version,
			&net.TCPAddr{IP: net.IPv4(203, 0, 113, 7), Port: 4711}, &net.TCPAddr{IP: net.IPv4(198, 51, 100, 1), Port: 1883})
		if _, err := h.WriteTo(c); err != nil {
			t.Fatal(err)
		}
		return c
	}
}

func configured(change func(c *Config, server func() TLS)) func(testing.TB, *authority) *Config {
	return func(t testing.TB, a *authority) *Config {
		c := loopback()
		if change != nil {
			change(c, func() TLS { return a.server(t) })
		}
		return c
	}
}

var (
	mqtt    = configured(nil)
	mqtts   = configured(func(c *Config, server func() TLS) { c.TLS = server() })
	webs    = configured(func(c *Config, server func() TLS) { c.Protocol = WebSocket })
	wss     = configured(func(c *Config, server func() TLS) { c.Protocol, c.TLS = WebSocket, server() })
	auto    = configured(func(c *Config, server func() TLS) { c.Protocol, c.TLS = Auto, server() })
	trusted = configured(func(c *Config, server func() TLS) { c.ProxyFrom = []string{"127.0.0.0/8"} })
	trustTL = configured(func(c *Config, server func() TLS) { c.ProxyFrom, c.TLS = []string{"127.0.0.1"}, server() })
	trustAu = configured(func(c *Config, server func() TLS) { c.ProxyFrom, c.Protocol = []string{"127.0.0.1"}, Auto })
)

var transports = func() []transport {
	var all []transport
	for _, o := range []struct {
		suffix string
		opt    Options
	}{{"", Options{}}, {"/loops", Options{Loops: 3}}, {"/goroutines", Options{Goroutines: true}}} {
		all = append(all,
			transport{"tcp" + o.suffix, o.opt, mqtt, plainTCP},
			transport{"auto-tcp" + o.suffix, o.opt, auto, plainTCP},
			transport{"proxy-v1" + o.suffix, o.opt, trusted, behindProxy(1)},
			transport{"unix" + o.suffix, o.opt, func(t testing.TB, _ *authority) *Config {
				return &Config{Path: filepath.Join(t.TempDir(), "s")}
			}, func(t testing.TB, s *Set, _ *authority) net.Conn {
				c, err := net.Dial("unix", s.Sockets()[0].Listener.Path)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				return c
			}},
		)
		if o.opt.Loops != 0 {
			continue
		}
		all = append(all,
			transport{"tls" + o.suffix, o.opt, mqtts, overTLS},
			transport{"ws" + o.suffix, o.opt, webs, overWS},
			transport{"wss" + o.suffix, o.opt, wss, overWSS},
			transport{"auto-tls" + o.suffix, o.opt, auto, overTLS},
			transport{"auto-ws" + o.suffix, o.opt, auto, overWS},
			transport{"auto-wss" + o.suffix, o.opt, auto, overWSS},
			transport{"proxy-v2" + o.suffix, o.opt, trusted, behindProxy(2)},
			transport{"proxy-v2-auto" + o.suffix, o.opt, trustAu, behindProxy(2)},
			transport{"proxy-v2-auto-ws" + o.suffix, o.opt, trustAu, func(t testing.TB, s *Set, a *authority) net.Conn {
				return startWS(t, behindProxy(2)(t, s, a), "mqttv3.1")
			}},
			transport{"proxy-v2-tls" + o.suffix, o.opt, trustTL, func(t testing.TB, s *Set, a *authority) net.Conn {
				return startTLS(t, behindProxy(2)(t, s, a), a.client(t))
			}},
		)
	}
	return all
}()

// eachTransport runs a test over all ways to the core.
func eachTransport(t *testing.T, test func(t *testing.T, e *echo, s *Set, dial func() net.Conn)) {
	a := newAuthority(t, "Test CA")
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			e := newEcho(t)
			tr.opt.Refused = func(r Refusal) { t.Errorf("refused: %+v", r) }
			s := opened(t, e, tr.opt, tr.cfg(t, a))
			test(t, e, s, func() net.Conn {
				c := tr.dial(t, s, a)
				c.SetDeadline(time.Now().Add(patience))
				return c
			})
		})
	}
}

func TestEcho(t *testing.T) {
	eachTransport(t, func(t *testing.T, e *echo, s *Set, dial func() net.Conn) {
		c := dial()
		roundTrip(t, c, nil)
		roundTrip(t, c, []byte("hello"))
		roundTrip(t, c, bytes.Repeat([]byte("0123456789abcdef"), 64<<10))
		k := next(t, e.accepted)
		i := k.conn.Info()
		if i.Listener != s.Sockets()[0].Listener {
			t.Error("Info names another listener")
		}
		switch want := netip.MustParseAddrPort("203.0.113.7:4711"); {
		case len(i.Listener.ProxyFrom) > 0 && i.Remote != want:
			t.Errorf("remote %v, want %v of the PROXY header", i.Remote, want)
		case i.Listener.Path == "" && len(i.Listener.ProxyFrom) == 0 && (i.Remote.String() != c.LocalAddr().String() || i.Local.String() != c.RemoteAddr().String()):
			t.Errorf("remote %v, local %v, want %v, %v", i.Remote, i.Local, c.LocalAddr(), c.RemoteAddr())
		}
		c.Close()
		if err := next(t, k.closed); err != nil {
			t.Errorf("Closed got %v after an orderly end", err)
		}
	})
}

// Bytes that arrive one by one are put together.
func TestByteByByte(t *testing.T) {
	eachTransport(t, func(t *testing.T, e *echo, s *Set, dial func() net.Conn) {
		c := dial()
		f := append(frame([]byte("first")), frame([]byte("second"))...)
		for i := range f {
			if _, err := c.Write(f[i : i+1]); err != nil {
				t.Fatal(err)
			}
			if i%3 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		got := make([]byte, len(f))
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, f) {
			t.Errorf("got %q, want %q", got, f)
		}
	})
}

// A large packet is presented again only when it is there, and echoed to a reader that is slower than the writer.
func TestLarge(t *testing.T) {
	payload := make([]byte, 4<<20) // well above what one read takes, and what a socket holds
	for i := range payload {
		payload[i] = byte(i * 7)
	}
	eachTransport(t, func(t *testing.T, e *echo, s *Set, dial func() net.Conn) {
		c := dial()
		roundTrip(t, c, nil)
		k := next(t, e.accepted)
		before := k.reads.Load()
		roundTrip(t, c, payload)
		if n := k.reads.Load() - before; n > 20 {
			t.Errorf("presented %d times", n)
		}
		roundTrip(t, c, []byte("after"))
	})
}

// What a peer does not read waits: Write takes less, Writable follows once, and nothing is lost.
func TestSlowReader(t *testing.T) {
	eachTransport(t, func(t *testing.T, e *echo, s *Set, dial func() net.Conn) {
		c := dial()
		roundTrip(t, c, nil)
		k := next(t, e.accepted)
		f := frame(bytes.Repeat([]byte("x"), 100<<10))
		const n = 120
		wrote := make(chan error, 1)
		go func() {
			for range n {
				if _, err := c.Write(f); err != nil {
					wrote <- err
					return
				}
			}
			wrote <- nil
		}()
		deadline := time.Now().Add(patience)
		for blocked := false; !blocked && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			k.mu.Lock()
			blocked = k.blocked
			k.mu.Unlock()
		}
		got, err := io.Copy(io.Discard, io.LimitReader(c, int64(n*len(f))))
		if err != nil || got != int64(n*len(f)) {
			t.Fatalf("%d bytes came back, %v", got, err)
		}
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
		if k.writable.Load() == 0 {
			t.Error("Writable was never called")
		}
	})
}

// A paused connection is not read; what was left is presented by Resume though nothing new arrives.
func TestPause(t *testing.T) {
	eachTransport(t, func(t *testing.T, e *echo, s *Set, dial func() net.Conn) {
		c := dial()
		roundTrip(t, c, nil)
		k := next(t, e.accepted)
		for range 3 {
			reads := k.reads.Load()
			k.conn.Pause()
			f := frame([]byte("while paused"))
			if _, err := c.Write(f); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
			if k.reads.Load() > reads {
				t.Fatal("read while paused")
			}
			k.conn.Resume()
			got := make([]byte, len(f))
			if _, err := io.ReadFull(c, got); err != nil {
				t.Fatal(err)
			}
		}
		// Pause from within Read, consuming nothing: the bytes are the connection's now.
		paused := make(chan struct{})
		k.mu.Lock()
		k.stop = paused
		k.mu.Unlock()
		f := frame([]byte("left over"))
		if _, err := c.Write(f); err != nil {
			t.Fatal(err)
		}
		<-paused
		time.Sleep(10 * time.Millisecond)
		k.conn.Resume()
		got := make([]byte, len(f))
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, f) {
			t.Errorf("got %q", got)
		}
		k.conn.Pause()
		k.conn.Close()
		if err := next(t, k.closed); err != nil {
			t.Errorf("Closed got %v after Close", err)
		}
	})
}

// What is written just before Close arrives, and nothing more.
func TestClose(t *testing.T) {
	eachTransport(t, func(t *testing.T, e *echo, s *Set, dial func() net.Conn) {
		for i := range 5 {
			c := dial()
			roundTrip(t, c, nil)
			k := next(t, e.accepted)
			if i%2 == 0 {
				c.Write(bytes.Repeat(frame(nil), 1000)) // unread input must not turn the end into a reset
			}
			bye := fmt.Appendf(nil, "goodbye %d", i)
			if _, err := k.conn.Write([][]byte{frame(bye)}); err != nil && i%2 == 1 {
				t.Fatal(err)
			}
			k.conn.Close()
			k.conn.Close()
			if err := next(t, k.closed); err != nil {
				t.Errorf("Closed got %v after Close", err)
			}
			all, err := io.ReadAll(c)
			if err != nil && i%2 == 1 {
				t.Errorf("client got %v", err)
			}
			if !bytes.Contains(all, bye) {
				t.Errorf("client got %q, want %q in it", all, bye)
			}
			if _, err := k.conn.Write([][]byte{{1}}); err == nil {
				t.Error("Write after the end takes bytes")
			}
			c.Close()
		}
		if n := e.open.Load(); n != 0 {
			t.Errorf("%d clients are still open", n)
		}
	})
}

// The core refuses by returning no client.
func TestRefuse(t *testing.T) {
	eachTransport(t, func(t *testing.T, e *echo, s *Set, dial func() net.Conn) {
		e.refuse.Store(true)
		c := dial()
		c.Write(frame(nil))
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("something came from a refused connection")
		}
		if st := s.Stats(); st.Refused != 1 || st.Accepted != 0 {
			t.Errorf("%+v", st)
		}
		e.refuse.Store(false)
		roundTrip(t, dial(), []byte("accepted"))
	})
}
