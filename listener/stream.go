package listener

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// stream is a connection with a goroutine of its own, on Go's network poller.
type stream struct {
	streams *streams
	at      *endpoint
	wire    *wire
	info    Info
	client  Client
	in      inbox // only the reading goroutine

	// turn is held while the client is called: by the reading goroutine, or by the one that has sent what was pending.
	turn sync.Mutex
	over bool // Closed has been called

	writing sync.Mutex // one Write at a time
	want    bool       // the core waits for Writable

	paused  atomic.Bool
	closing atomic.Bool
	signal  chan struct{} // wakes a paused connection
}

func newStream(s *streams, nc net.Conn, at *endpoint, remote netip.AddrPort) *stream {
	c := &stream{streams: s, at: at, signal: make(chan struct{}, 1)}
	c.info = Info{Remote: remote, Local: at.local, Listener: at.cfg}
	c.wire = newWire(s.set, nc)
	return c
}

// Write implements [Conn].
func (c *stream) Write(bufs [][]byte) (n int, err error) {
	total := 0
	for _, b := range bufs {
		total += len(b)
	}
	if total == 0 {
		return 0, nil
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	n, err = c.wire.writev(bufs)
	if err == nil && n < total {
		c.want = true
	}
	return n, err
}

// drained tells the client that it may write again, if it waits for that.
func (c *stream) drained() {
	c.writing.Lock()
	want := c.want
	c.want = false
	c.writing.Unlock()
	if !want {
		return
	}
	b := c.streams.bench()
	defer c.streams.giveBack(b)
	c.turn.Lock()
	if !c.over {
		c.client.Writable(b.worker)
	}
	c.turn.Unlock()
	b.worker.Flush()
}

// Pause implements [Conn].
func (c *stream) Pause() { c.paused.Store(true) }

// Resume implements [Conn].
func (c *stream) Resume() {
	if c.paused.Swap(false) {
		c.wake()
	}
}

// Close implements [Conn]. The reading goroutine does it, after its batch.
func (c *stream) Close() {
	if !c.closing.Swap(true) {
		c.wire.nc.SetReadDeadline(time.Unix(1, 0))
		c.wake()
	}
}

func (c *stream) wake() {
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

// Info implements [Conn].
func (c *stream) Info() *Info { return &c.info }

// open makes the transport ready and announces the connection to the core. It tells whether there is something to serve.
func (c *stream) open(p prelude) bool {
	c.wire.fed = p.bytes
	if !c.streams.announce(c) {
		return false
	}
	c.client = c.streams.set.accept(c)
	return c.client != nil
}

// run serves the connection to its end.
func (c *stream) run() {
	c.wire.drained = c.drained
	c.end(c.serve())
}

// serve reads and presents until the connection ends.
func (c *stream) serve() error {
	resumed := false
	for {
		if c.closing.Load() {
			return nil
		}
		if c.paused.Load() {
			<-c.signal
			resumed = true
			continue
		}
		if resumed && len(c.in.left) > 0 {
			resumed = false
			b := c.streams.bench()
			c.present(b, c.in.left)
			b.worker.Flush()
			c.streams.giveBack(b)
			continue
		}
		if err := c.wire.wait(); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				continue
			}
			return err
		}
		b := c.streams.bench()
		n, err := c.wire.nc.Read(c.in.space(b.in))
		if p := c.in.arrived(b.in, n); p != nil && n > 0 {
			c.present(b, p)
		}
		b.worker.Flush()
		c.streams.giveBack(b)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

// present shows all that is not consumed to the client.
func (c *stream) present(b *bench, p []byte) {
	if c.paused.Load() || c.closing.Load() {
		c.in.keep(p, 0, 0)
		return
	}
	c.turn.Lock()
	n, need := c.client.Read(b.worker, p)
	c.turn.Unlock()
	c.in.keep(p, n, need)
}

// end makes the last call to the client and closes the socket.
func (c *stream) end(err error) {
	if err == io.EOF || c.closing.Load() {
		err = nil
	}
	b := c.streams.bench()
	c.turn.Lock()
	c.over = true
	c.client.Closed(b.worker, err)
	c.turn.Unlock()
	b.worker.Flush()
	c.streams.giveBack(b)
	c.wire.shut()
}
