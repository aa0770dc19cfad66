package listener

import (
	"net"
	"sync/atomic"
	"testing"
)

// counting notes how many clients there are at each Accept.
type counting struct {
	*echo
	before atomic.Int64
}

func (c *counting) Accept(conn Conn) Client {
	c.before.Store(c.open.Load())
	return c.echo.Accept(conn)
}

// A connection that is made after others have been closed is accepted after their end is known: max_connections must not count them together.
func TestSuccessor(t *testing.T) {
	h := &counting{echo: newEcho(t)}
	s := opened(t, h, Options{Loops: 1}, loopback())
	late := 0
	for range 200 {
		var before [10]net.Conn
		for i := range before {
			before[i] = plainTCP(t, s, nil)
			roundTrip(t, before[i], []byte("x"))
		}
		refused := plainTCP(t, s, nil) // so that the listening socket is looked at, too
		refused.Close()
		for _, c := range before {
			c.Close()
		}
		c := plainTCP(t, s, nil)
		roundTrip(t, c, []byte("x"))
		if h.before.Load() > 0 {
			late++
		}
		c.Close()
	}
	if late > 10 { // the loop can be interrupted between two connections of a burst
		t.Errorf("%d of 200 connections were accepted before the end of those that had been closed", late)
	}
}
