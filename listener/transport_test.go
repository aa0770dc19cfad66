package listener

import (
	"bytes"
	"net"
	"testing"
)

// A transport is one way for a client to reach the core.
type transport struct {
	name string
	opt  Options
	cfg  func(t testing.TB) *Config
	dial func(t testing.TB, s *Set) net.Conn
}

func dialFirst(t testing.TB, s *Set) net.Conn { return dial(t, addrOf(t, s).String()) }

var transports = []transport{
	{"tcp", Options{}, func(testing.TB) *Config { return loopback() }, dialFirst},
	{"tcp-loops", Options{Loops: 3}, func(testing.TB) *Config { return loopback() }, dialFirst},
	{"tcp-goroutines", Options{Goroutines: true}, func(testing.TB) *Config { return loopback() }, dialFirst},
}

// eachTransport runs a test over all ways to the core.
func eachTransport(t *testing.T, test func(t *testing.T, e *echo, s *Set, dial func() net.Conn)) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			e := newEcho(t)
			s := opened(t, e, tr.opt, tr.cfg(t))
			test(t, e, s, func() net.Conn { return tr.dial(t, s) })
		})
	}
}

func TestEcho(t *testing.T) {
	eachTransport(t, func(t *testing.T, e *echo, s *Set, dial func() net.Conn) {
		c := dial()
		roundTrip(t, c, nil)
		roundTrip(t, c, []byte("hello"))
		roundTrip(t, c, bytes.Repeat([]byte("0123456789abcdef"), 64<<10))
		c.Close()
		if err := next(t, next(t, e.accepted).closed); err != nil {
			t.Errorf("Closed got %v after an orderly end", err)
		}
	})
}
