package listener

import (
	"bytes"
	"net"
	"runtime"
	"strings"
	"testing"
)

// eachParking runs a test over all ways on which a connection has a goroutine, which it gives up at once when it is idle.
func eachParking(t *testing.T, test func(t *testing.T, s *Set, k *echoClient, c net.Conn)) {
	a := newAuthority(t, "Test CA")
	for _, tr := range transports {
		if tr.opt.Loops != 0 || tr.opt.Goroutines || !strings.HasSuffix(tr.name, "tls") && !strings.HasSuffix(tr.name, "ws") && !strings.HasSuffix(tr.name, "wss") {
			continue
		}
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			e := newEcho(t)
			s := opened(t, e, Options{Idle: 1}, tr.cfg(t, a))
			c := tr.dial(t, s, a)
			roundTrip(t, c, []byte("x"))
			k := next(t, e.accepted)
			test(t, s, k, c)
		})
	}
}

// rest waits until a stream is parked.
func rest(k *echoClient) *stream {
	c := k.conn.(*stream)
	for !c.parked.Load() {
		runtime.Gosched()
	}
	return c
}

// What arrives at a connection that is parked is handled, whole or in pieces, and it parks again.
func TestParkedIsWoken(t *testing.T) {
	eachParking(t, func(t *testing.T, s *Set, k *echoClient, c net.Conn) {
		for i := range 50 {
			rest(k)
			roundTrip(t, c, bytes.Repeat([]byte{byte(i)}, 1<<(i%16)))
		}
		f := frame([]byte("in pieces"))
		for i := range f {
			rest(k)
			if _, err := c.Write(f[i : i+1]); err != nil {
				t.Fatal(err)
			}
		}
		expect(t, c, "in pieces")
	})
}

// A connection that is parked can be written to, paused, resumed, and closed from either side.
func TestParkedIsSteered(t *testing.T) {
	eachParking(t, func(t *testing.T, s *Set, k *echoClient, c net.Conn) {
		rest(k)
		k.conn.Pause()
		k.conn.Resume()
		rest(k)
		k.conn.Pause()
		if _, err := c.Write(frame([]byte("later"))); err != nil {
			t.Fatal(err)
		}
		k.conn.Resume()
		expect(t, c, "later")

		stopped := make(chan struct{})
		k.mu.Lock()
		k.stop = stopped // pauses at the next Read, and leaves it
		k.mu.Unlock()
		if _, err := c.Write(frame([]byte("left"))); err != nil {
			t.Fatal(err)
		}
		<-stopped
		k.conn.Resume()
		expect(t, c, "left")

		rest(k)
		k.conn.Close()
		if err := next(t, k.closed); err != nil {
			t.Errorf("Closed got %v after Close", err)
		}
	})
	eachParking(t, func(t *testing.T, s *Set, k *echoClient, c net.Conn) {
		rest(k)
		c.Close()
		if err := next(t, k.closed); err != nil {
			t.Errorf("Closed got %v after an orderly end", err)
		}
	})
	eachParking(t, func(t *testing.T, s *Set, k *echoClient, c net.Conn) {
		rest(k)
		s.Close()
		if err := next(t, k.closed); err != nil {
			t.Errorf("Closed got %v after the end of the set", err)
		}
	})
}

// CatchUp leaves a connection parked that has nothing to read, and does not return before one has handled what it has.
func TestParkedCatchesUp(t *testing.T) {
	eachParking(t, func(t *testing.T, s *Set, k *echoClient, c net.Conn) {
		parked := rest(k)
		s.CatchUp()
		if !parked.parked.Load() {
			t.Error("CatchUp has woken a connection that has nothing to read")
		}
		for range 20 {
			rest(k)
			before := k.reads.Load()
			if _, err := c.Write(frame([]byte("now"))); err != nil {
				t.Fatal(err)
			}
			s.CatchUp()
			expect(t, c, "now")
			if k.reads.Load() == before {
				t.Error("not handled")
			}
		}
	})
}

// A WebSocket connection that is parked is pinged when that is due, and given up when nothing answers.
func TestParkedIsPinged(t *testing.T) {
	refused := make(chan Refusal, 1)
	e := newEcho(t)
	cfg := loopback()
	cfg.Protocol = WebSocket
	s := opened(t, e, Options{Idle: 1, Refused: func(r Refusal) { refused <- r }}, cfg)
	c := overWS(t, s, nil)
	roundTrip(t, c, []byte("x"))
	k := next(t, e.accepted)
	for range maxMissing + 1 { // the client here answers only while it reads
		w := rest(k)
		before := w.pingAt.Load()
		w.pingAt.Store(0)
		s.streams.lot.Load().wakeDue(clock())
		for w.pingAt.Load() < before && !k.ended.Load() {
			runtime.Gosched()
		}
	}
	if r := next(t, refused); r.Cause != "ws-ping-unanswered" {
		t.Errorf("refused: %+v", r)
	}
	if err := next(t, k.closed); err == nil {
		t.Error("Closed got no reason")
	}
}

// Connections that are parked have no goroutines, and those of newcomers do not park: they have to become clients first.
func TestParkedHasNoGoroutine(t *testing.T) {
	const clients = 50
	a := newAuthority(t, "Test CA")
	e := newEcho(t)
	cfg := loopback()
	cfg.TLS = a.server(t)
	s := opened(t, e, Options{Idle: 1}, cfg)
	for range clients {
		roundTrip(t, overTLS(t, s, a), []byte("x"))
	}
	for range clients {
		rest(next(t, e.accepted))
	}
	for running() > 0 {
		runtime.Gosched()
	}

	e.strangers = true
	c := overTLS(t, s, a)
	roundTrip(t, c, []byte("x"))
	stranger := next(t, e.accepted)
	roundTrip(t, c, []byte("y"))
	if stranger.conn.(*stream).parked.Load() || running() == 0 {
		t.Error("a newcomer has parked")
	}
}

// running counts the goroutines that serve streams.
func running() int {
	all := make([]byte, 1<<20)
	return strings.Count(string(all[:runtime.Stack(all, true)]), "listener.(*stream).goOn(")
}
