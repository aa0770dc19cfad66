package listener

import (
	"net"
	"runtime"
	"testing"
)

// What has arrived when CatchUp is called has been handled when it returns, whatever the number of connections and however late a loop is.
func TestCatchUp(t *testing.T) {
	h := newEcho(t)
	s := opened(t, h, Options{Loops: 2}, loopback())
	conns := make([]net.Conn, 3*eventBatch) // more for each loop than one batch takes
	for i := range conns {
		conns[i] = plainTCP(t, s, nil)
		roundTrip(t, conns[i], []byte("x"))
	}
	close(h.accepted)
	before := make(map[*echoClient]int64)
	for k := range h.accepted {
		before[k] = k.reads.Load()
	}

	loops := s.front.(*loopFront).loops
	stopped, goOn := make(chan bool), make(chan bool)
	for _, l := range loops {
		l.post(task{kind: taskDo, do: func(*loop) { stopped <- true; <-goOn }})
		<-stopped
	}
	for _, c := range conns {
		if _, err := c.Write([]byte{0x10, 0, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan bool)
	go func() { s.CatchUp(); close(done) }()
	for _, l := range loops {
		for l.idle() {
			runtime.Gosched()
		}
	}
	close(goOn)
	<-done
	unread := 0
	for k, n := range before {
		if k.reads.Load() == n {
			unread++
		}
	}
	if unread > 0 {
		t.Errorf("%d of %d connections had not been read", unread, len(conns))
	}
	s.Close()
	s.CatchUp() // has nothing to wait for
}
