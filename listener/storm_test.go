package listener

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"picket/cause"
)

// Two thousand connections come and go quickly, some without a word; every client has its end.
func TestStorm(t *testing.T) {
	a := newAuthority(t, "Test CA")
	for _, tt := range []struct {
		name string
		opt  Options
		cfg  func(testing.TB, *authority) *Config
		dial func(testing.TB, *Set, *authority) net.Conn
		n    int
	}{
		{"tcp", Options{Loops: 2}, mqtt, plainTCP, 2000},
		{"auto", Options{}, auto, plainTCP, 2000},
		{"goroutines", Options{Goroutines: true}, mqtt, plainTCP, 2000},
		{"wss", Options{}, wss, overWSS, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEcho(t)
			s := opened(t, e, tt.opt, tt.cfg(t, a))
			var wg sync.WaitGroup
			for w := range 8 {
				wg.Go(func() {
					for i := range tt.n / 8 {
						c := tt.dial(t, s, a)
						if (w+i)%4 != 0 {
							roundTrip(t, c, []byte("x"))
						}
						c.Close()
					}
				})
			}
			wg.Wait()
			deadline := time.Now().Add(patience)
			for e.open.Load() > 0 && time.Now().Before(deadline) {
				time.Sleep(time.Millisecond)
			}
			if n := e.open.Load(); n != 0 {
				t.Errorf("%d clients have not been closed", n)
			}
			if got := e.total.Load(); got < int64(tt.n*3/4) {
				t.Errorf("%d clients, want at least %d", got, tt.n*3/4)
			}
		})
	}
}

// Everything that other goroutines may do to a connection, at once, while it is busy and while it ends.
func TestRaces(t *testing.T) {
	eachTransport(t, func(t *testing.T, e *echo, s *Set, dial func() net.Conn) {
		var wg sync.WaitGroup
		for range 3 {
			c := dial()
			roundTrip(t, c, nil)
			k := next(t, e.accepted)
			for w := range 3 {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(uint64(w), 7))
					for range 100 {
						switch r.IntN(4) {
						case 0:
							k.conn.Pause()
						case 1:
							k.mu.Lock()
							if !k.blocked {
								k.out = append(k.out, frame(bytes.Repeat([]byte("y"), r.IntN(30_000)))...)
							}
							k.mu.Unlock()
							k.flush()
						case 2:
							k.conn.Info()
						default:
							k.conn.Resume()
						}
					}
					k.conn.Close()
				})
			}
			wg.Go(func() {
				for range 100 {
					if _, err := c.Write(frame(bytes.Repeat([]byte("z"), 10_000))); err != nil {
						break
					}
				}
				c.Close()
			})
			wg.Go(func() { io.Copy(io.Discard, c) })
			wg.Go(func() { <-k.closed })
		}
		wg.Wait()
		if n := e.open.Load(); n != 0 {
			t.Errorf("%d clients have not been closed", n)
		}
	})
}

// Close ends everything, also connections that are paused, blocked, or not ready yet.
func TestCloseSet(t *testing.T) {
	eachTransport(t, func(t *testing.T, e *echo, s *Set, dial func() net.Conn) {
		var clients []*echoClient
		for range 3 {
			roundTrip(t, dial(), nil)
			clients = append(clients, next(t, e.accepted))
		}
		clients[0].conn.Pause()
		if slices.Contains([]string{"tcp", "ws", "tls/goroutines"}, strings.TrimPrefix(t.Name(), "TestCloseSet/")) {
			// Nobody reads this; waiting for that takes lingerLimit.
			clients[1].mu.Lock()
			clients[1].out = frame(make([]byte, 32<<20))
			clients[1].mu.Unlock()
			clients[1].flush()
		}
		if k := s.Sockets()[0]; k.Addr.IsValid() {
			half := dialPort(t, int(k.Addr.Port()))
			half.Write([]byte{'P'}) // it may become anything
		}
		s.Close()
		for i, k := range clients {
			select {
			case err := <-k.closed:
				if err != nil {
					t.Errorf("client %d: Closed got %v", i, err)
				}
			default:
				t.Errorf("client %d has not been closed when Close returns", i)
			}
		}
	})
}

// A peer that resets its connection is an error, also for a paused one.
func TestReset(t *testing.T) {
	bothFronts(t, func(t *testing.T, opt Options) {
		e := newEcho(t)
		s := opened(t, e, opt, loopback())
		c := plainTCP(t, s, nil)
		roundTrip(t, c, nil)
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
		if err := next(t, next(t, e.accepted).closed); err == nil {
			t.Error("Closed got no error after a reset")
		}
	})
}

// A client that speaks WebSocket wrongly is told so and reported.
func TestBadFrames(t *testing.T) {
	tests := []struct {
		name string
		send []byte
		code uint16
		text string
	}{
		{"text", []byte{0x81, 0x80, 0, 0, 0, 0}, 1003, "text frame"},
		{"unmasked", []byte{0x82, 0x01, 0}, 1002, "masked"},
		{"reserved bits", []byte{0xf2, 0x80, 0, 0, 0, 0}, 1002, "rsv"},
		{"reserved opcode", []byte{0x83, 0x80, 0, 0, 0, 0}, 1002, "op code"},
		{"long control frame", []byte{0x89, 0xfe, 0, 200, 0, 0, 0, 0}, 1002, "control"},
		{"fragmented control frame", []byte{0x09, 0x80, 0, 0, 0, 0}, 1002, "final"},
		{"continuation of nothing", []byte{0x80, 0x80, 0, 0, 0, 0}, 1002, "continuation"},
		{"length with the highest bit", []byte{0x82, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 1002, "highest bit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			refused := make(refusals, 10)
			e := newEcho(t)
			s := opened(t, e, Options{Refused: refused.option()}, webs(t, nil))
			c := overWS(t, s, nil).(*wsConn)
			roundTrip(t, c, nil)
			c.Conn.Write(tt.send)
			all, _ := io.ReadAll(c.r)
			if len(all) < 4 || all[0] != 0x88 || all[2] != byte(tt.code>>8) || all[3] != byte(tt.code) {
				t.Errorf("answer %q, want a close frame with %d", all, tt.code)
			}
			if r := next(t, refused); r.Cause != cause.WSFrameInvalid || !bytes.Contains([]byte(r.Text), []byte(tt.text)) {
				t.Errorf("refused: %+v, want %q", r, tt.text)
			}
			var r *Refusal
			if err := next(t, next(t, e.accepted).closed); !errors.As(err, &r) {
				t.Errorf("Closed got %v", err)
			}
		})
	}
}
