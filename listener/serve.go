package listener

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/gobwas/ws"

	"picket/cause"
)

// idleAfter is how long a stream has to be silent before it parks, unless [Options.Idle] says otherwise. Being parked and woken costs as much processor time
// as two messages at a low rate.
const idleAfter = 5 * time.Second

// started is when clock began.
var started = time.Now()

// clock is a time that never jumps.
func clock() time.Duration { return time.Since(started) }

// run serves the connection from the end of its opening on.
func (c *stream) run() {
	c.pingAt.Store(int64(clock() + pingEvery))
	c.idle = true
	c.last = clock() - c.streams.idleAfter // so that it parks when its CONNECT is answered, as most then stay silent
	var err error
	if len(c.early) > 0 || c.tls != nil {
		err = c.batch(c.readEarly)
	}
	c.goOn(err)
}

// goOn serves the connection until it is parked, or to its end.
func (c *stream) goOn(err error) {
	if err == nil {
		var parked bool
		if parked, err = c.serve(); parked {
			return
		}
	}
	c.end(err)
	c.gone()
}

// end tells the client, and the peer, that the connection has ended.
func (c *stream) end(err error) {
	switch {
	case c.castOutAlready():
		err = ErrCastOut
	case err == io.EOF || errors.Is(err, errPeerClosed) || c.closing.Load():
		err = nil
	}
	var text []byte
	code := ws.StatusNormalClosure
	var bad *frameError
	if errors.As(err, &bad) {
		code, text = bad.code, []byte(bad.text)
		err = c.refuse(cause.WSFrameInvalid, "WebSocket: "+bad.text)
		c.polite.Store(true)
	}
	b := c.streams.bench()
	c.turn.Lock()
	c.over = true
	c.client.Closed(b.worker, err)
	c.turn.Unlock()
	b.worker.Flush()
	c.streams.giveBack(b)
	if c.frames != nil {
		_ = c.sendControl(ws.OpClose, append([]byte{byte(code >> 8), byte(code)}, text...))
	}
	if c.tls != nil {
		_ = c.tls.CloseWrite()
	}
}

// gone closes the socket, and leaves the set.
func (c *stream) gone() {
	c.readNoMore()
	c.linger()
	c.wire.shut()
	c.streams.leave(c)
}

// serve reads and presents until the connection is parked, or ends.
func (c *stream) serve() (parked bool, err error) {
	resumed := false
	read := func(b *bench) error { return c.read(b) }
	if err := c.pingIfDue(); err != nil {
		return false, err
	}
	for {
		if err := c.catchUp(); err != nil {
			return false, err
		}
		if c.closing.Load() {
			return false, nil
		}
		select {
		case <-c.signal: // paused and resumed since the last look
			resumed = true
		default:
		}
		switch {
		case c.paused.Load():
			<-c.signal
			resumed = true
			continue
		case resumed && len(c.in.left) > 0:
			resumed = false
			if err := c.batch(func(b *bench) error { return c.present(b, c.in.left) }); err != nil {
				return false, err
			}
			continue
		}
		if size := c.in.scarce(2 * streamBuffer); size > 0 { // here, since the benches are for others, too
			c.in.left = enlarged(c.in.left, size)
		}
		switch {
		case c.ready:
			c.ready = false
			if c.wire.readable() { // else catchUp has taken it
				err = c.take(read)
			}
		case c.idle && c.park():
			return true, nil
		case !c.armed:
			err = c.arm() // which may have taken another deadline's place, so the loop looks again
		default:
			if err = c.wire.wait(); err == nil {
				err = c.take(read)
			}
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = c.silent()
		}
		if err != nil {
			return false, err
		}
	}
}

// arm sets a deadline for reading: when the connection counts as idle, or, if it cannot be parked, when a ping is due.
func (c *stream) arm() error {
	c.armed = true
	var at time.Time
	switch {
	case c.opening.Load() == nil && c.streams.parking() != nil:
		at = time.Now().Add(c.streams.idleAfter)
	case c.frames != nil:
		at = time.Now().Add(time.Duration(c.pingAt.Load()) - clock())
	}
	return c.wire.nc.SetReadDeadline(at)
}

// take takes in what has arrived.
func (c *stream) take(read func(b *bench) error) error {
	c.missing = 0
	now := clock()
	c.idle, c.last = now-c.last >= c.streams.idleAfter, now
	return c.batch(read)
}

// silent is for when the deadline is over.
func (c *stream) silent() error {
	c.armed = false
	c.idle = clock()-c.last >= c.streams.idleAfter
	if err := c.wire.nc.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	return c.pingIfDue()
}

// readEarly hands on what was read while the connection was opened; TLS may hold bytes that came with the end of the handshake.
func (c *stream) readEarly(b *bench) error {
	early := c.early
	c.early = nil
	if err := c.decoded(b, early); err != nil || c.tls == nil {
		return err
	}
	return c.decrypt(b)
}

// batch does something with a bench, and flushes.
func (c *stream) batch(do func(b *bench) error) error {
	b := c.streams.bench()
	defer c.streams.giveBack(b)
	err := do(b)
	b.worker.Flush()
	return err
}

// pingIfDue sends a ping on a WebSocket connection if it is time, or gives the connection up.
func (c *stream) pingIfDue() error {
	if c.frames == nil || c.closing.Load() || clock() < time.Duration(c.pingAt.Load()) {
		return nil
	}
	if c.missing == maxMissing {
		return c.refuse(cause.WSPingUnanswered, "no answer to WebSocket pings")
	}
	c.missing++
	c.pingAt.Store(int64(clock() + pingEvery))
	if c.wire.full() {
		return nil
	}
	return c.sendControl(ws.OpPing, nil)
}

// wake has the stream look at what has been asked of it.
func (c *stream) wake() {
	select {
	case c.signal <- struct{}{}:
	default:
	}
	c.unpark(false)
}

// unpark gives the stream a goroutine if it has none. ready: something has arrived.
func (c *stream) unpark(ready bool) {
	if c.parked.CompareAndSwap(true, false) {
		c.ready = ready
		go c.goOn(nil) // which is counted since start
	}
}

// park gives up the goroutine that calls it, and reports whether that is so: somebody else may then be running the stream already.
func (c *stream) park() bool {
	lot := c.streams.parking()
	if lot == nil || c.opening.Load() != nil {
		return false
	}
	if c.armed {
		c.armed = false
		if c.wire.nc.SetReadDeadline(time.Time{}) != nil {
			return false
		}
	}
	c.parked.Store(true)
	if lot.watch(c) && !c.closing.Load() && c.catching.Load() == nil && len(c.signal) == 0 {
		return true
	}
	return !c.parked.CompareAndSwap(true, false)
}
