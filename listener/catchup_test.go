package listener

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
)

// What has arrived while the client was busy with what came before is handled when CatchUp returns, over every transport, and the connection goes on.
func TestCatchUpOfTransports(t *testing.T) {
	eachTransport(t, func(t *testing.T, e *echo, s *Set, dial func() net.Conn) {
		c := dial()
		roundTrip(t, c, []byte("x"))
		k := next(t, e.accepted)
		busy, goOn := make(chan bool, 1), make(chan bool)
		release := sync.OnceFunc(func() { close(goOn) })
		defer release()
		k.mu.Lock()
		k.onRead = func() {
			select {
			case busy <- true:
				<-goOn
			default:
			}
		}
		k.mu.Unlock()
		write := func(payload string) {
			if _, err := c.Write(frame([]byte(payload))); err != nil {
				t.Fatal(err)
			}
		}
		write("first")
		<-busy
		busy <- true // nobody waits from here on
		before := k.reads.Load()
		write("second")
		done := make(chan bool)
		go func() { s.CatchUp(); close(done) }()
		if c, ok := k.conn.(*stream); ok {
			for c.catching.Load() == nil {
				select {
				case <-done:
					t.Fatal("CatchUp did not wait for a client that is busy")
				default:
					runtime.Gosched()
				}
			}
		}
		release()
		<-done
		if k.reads.Load() == before {
			t.Error("what had arrived was not handled")
		}
		for _, want := range []string{"first", "second"} {
			expect(t, c, want)
		}
		roundTrip(t, c, []byte("goes on"))
	})
}

// CatchUp waits neither for a client that is paused, nor for one that goes meanwhile.
func TestCatchUpOfThoseWhoDoNotRead(t *testing.T) {
	eachTransport(t, func(t *testing.T, e *echo, s *Set, dial func() net.Conn) {
		c := dial()
		roundTrip(t, c, []byte("x"))
		k := next(t, e.accepted)
		stopped := make(chan struct{})
		k.mu.Lock()
		k.stop = stopped
		k.mu.Unlock()
		if _, err := c.Write(frame([]byte("later"))); err != nil {
			t.Fatal(err)
		}
		<-stopped
		s.CatchUp()
		k.conn.Resume()
		expect(t, c, "later")

		var gone sync.WaitGroup
		for range 8 {
			d := dial()
			roundTrip(t, d, []byte("x"))
			gone.Go(func() { d.Close() })
		}
		s.CatchUp()
		gone.Wait()
		s.CatchUp()
		roundTrip(t, c, []byte("goes on"))
	})
}

// expect reads a frame with a payload.
func expect(t *testing.T, c io.Reader, payload string) {
	t.Helper()
	want := frame([]byte(payload))
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}
