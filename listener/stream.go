package listener

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
)

// stream is a connection on Go's network poller: over TLS, WebSocket, both, or plain where there is no epoll. A goroutine of its own opens it, reads from it and
// ends it. On Linux a client's stream that is idle has none (see [parking]); who wakes it starts one.
type stream struct {
	streams *streams
	at      *endpoint
	wire    *wire
	tls     *tls.Conn // nil without TLS
	frames  *frames   // nil without WebSocket
	info    Info
	client  Client

	// Only the reading goroutine:
	in        inbox
	early     []byte        // read while the connection was opened, and not used up by that
	fresh     bool          // accepted without a look at the first bytes, which is still due
	requested bool          // an HTTP request has been served
	missing   int           // pings without an answer
	armed     bool          // there is a deadline for reading
	ready     bool          // something has arrived
	idle      bool          // nothing has arrived for a while, or only what has been handled
	last      time.Duration // when something arrived last, by clock

	// turn is held while the client is called: by the reading goroutine, or by the one that has sent what was pending.
	turn sync.Mutex
	over bool // Closed has been called

	writing   sync.Mutex // one Write at a time
	want      bool       // the core waits for Writable
	closeSent bool       // a WebSocket close frame has been sent

	// opening is what a newcomer is charged by; nil once it is a client.
	opening atomic.Pointer[newcomer]
	socket  net.Conn // guarded by streams.mu; nil until there is one

	// catching is who waits until what has arrived is handled. It is set together with a read deadline that is over, under streams.mu, and taken
	// together with that deadline's end; when the connection is read no more (readOut), nobody has to wait.
	catching atomic.Pointer[sync.WaitGroup]
	readOut  atomic.Bool

	paused  atomic.Bool
	closing atomic.Bool
	polite  atomic.Bool   // what was written last has to arrive
	signal  chan struct{} // wakes a paused connection

	parked atomic.Bool  // there is no goroutine, and nothing to do
	pingAt atomic.Int64 // when the next WebSocket ping is due, by clock
	place  place        // guarded by parking.mu
}

func newStream(s *streams, at *endpoint, remote netip.AddrPort) *stream {
	c := &stream{streams: s, at: at, signal: make(chan struct{}, 1)}
	c.info = Info{Remote: remote, Local: at.local, Listener: at.cfg}
	return c
}

// top is the connection that carries MQTT or HTTP.
func (c *stream) top() net.Conn {
	if c.tls != nil {
		return c.tls
	}
	return c.wire
}

// chunk is how much is encrypted or framed at a time: with what that adds, the wire can keep all of it.
const chunk = maxPending - ws.MaxHeaderSize

// outgoing is scratch memory for writing through TLS or WebSocket.
type outgoing struct {
	bufs  [][]byte
	bytes []byte
}

var outgoings = sync.Pool{New: func() any { return new(outgoing) }}

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
	switch {
	case c.closeSent:
		return 0, net.ErrClosed
	case c.tls == nil && c.frames == nil:
		n, err = c.wire.writev(bufs)
	default:
		n, err = c.encode(bufs, total)
	}
	if err == nil && n < total {
		c.want = true
	}
	return n, err
}

// encode writes through WebSocket framing, TLS or both, until all is written or the wire has something pending.
func (c *stream) encode(bufs [][]byte, total int) (n int, err error) {
	o := outgoings.Get().(*outgoing)
	defer func() {
		clear(o.bufs) // the core's memory is not kept
		outgoings.Put(o)
	}()
	at := 0 // in bufs[0]
	for n < total && !c.wire.full() {
		size := min(total-n, chunk)
		o.bufs = o.bufs[:0]
		if c.frames != nil {
			o.bytes = appendHeader(o.bytes[:0], ws.OpBinary, size)
			o.bufs = append(o.bufs, o.bytes)
		}
		for k := size; k > 0; {
			part := bufs[0][at:]
			if len(part) > k {
				part = part[:k]
				at += k
			} else {
				bufs, at = bufs[1:], 0
			}
			k -= len(part)
			o.bufs = append(o.bufs, part)
		}
		if c.tls == nil {
			_, err = c.wire.writev(o.bufs) // takes all: nothing was pending
		} else {
			c.wire.cork()
			err = c.encrypt(o)
			err = errors.Join(err, c.wire.uncork())
		}
		if err != nil {
			return n, err
		}
		n += size
	}
	return n, nil
}

// encrypt writes o.bufs as few records.
func (c *stream) encrypt(o *outgoing) error {
	if len(o.bufs) == 1 {
		_, err := c.tls.Write(o.bufs[0])
		return err
	}
	// The first may be o.bytes itself, which is where all are gathered.
	gathered := o.bytes[:0]
	for _, b := range o.bufs {
		gathered = append(gathered, b...)
	}
	o.bytes = gathered
	_, err := c.tls.Write(gathered)
	return err
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

func (c *stream) Pause() { c.paused.Store(true) }

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

// askToCatchUp has the reading goroutine read once, if there is anything to read, and tell done. streams.mu is held.
func (c *stream) askToCatchUp(done *sync.WaitGroup) {
	if c.parked.Load() && !c.wire.readable() {
		return
	}
	done.Add(1)
	c.catching.Store(done)
	if c.readOut.Load() {
		c.caughtUp()
		return
	}
	_ = c.wire.nc.SetReadDeadline(time.Unix(1, 0))
	c.wake()
}

// caughtUp tells who waits, if anybody still does.
func (c *stream) caughtUp() {
	if done := c.catching.Swap(nil); done != nil {
		done.Done()
	}
}

// readNoMore is for the reading goroutine, when the connection has ended.
func (c *stream) readNoMore() {
	c.readOut.Store(true)
	c.caughtUp()
}

// catchUp reads once, if somebody waits for that and there is something to read.
func (c *stream) catchUp() error {
	if c.catching.Load() == nil {
		return nil
	}
	defer c.caughtUp()
	c.streams.mu.Lock() // the deadline that woke this goroutine has been set
	c.armed = false
	err := c.wire.nc.SetReadDeadline(time.Time{})
	c.streams.mu.Unlock()
	if err != nil || c.closing.Load() || c.paused.Load() || !c.wire.readable() {
		return err
	}
	return c.batch(c.read)
}

func (c *stream) Finish() {
	c.polite.Store(true)
	c.Close()
}

func (c *stream) Hold(bytes int) {
	if o := c.opening.Load(); o != nil {
		c.streams.set.newcomers.setHeld(o, bytes)
	}
}

func (c *stream) Admitted() {
	if o := c.opening.Swap(nil); o != nil {
		c.streams.set.newcomers.leave(o)
	}
}

// charge charges a newcomer what it has sent and nobody has taken.
func (c *stream) charge(bytes int) {
	if o := c.opening.Load(); o != nil && o.left != int64(bytes) { // left is written by this goroutine only
		c.streams.set.newcomers.setLeft(o, bytes)
	}
}

// keep stores what the client left of b.
func (c *stream) keep(b []byte, n, need int, s *spares) {
	c.in.keep(b, n, need, s)
	c.charge(cap(c.in.left))
}

func (c *stream) castOut(remote netip.AddrPort) {
	if !c.polite.Load() { // else it has had its say
		c.streams.set.castOut(remote, c.at.cfg)
	}
	s := c.streams
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.socket != nil {
		c.closing.Store(true)
		c.wake()
		c.socket.Close()
	}
}

// castOutAlready tells whether the connection had to go, which has been reported.
func (c *stream) castOutAlready() bool {
	o := c.opening.Load()
	return o != nil && o.evicted.Load()
}

// linger shuts the sending side down and reads on for a while, if what was written last has to arrive. See [plain.linger].
func (c *stream) linger() {
	if !c.polite.Load() || c.castOutAlready() {
		return
	}
	c.wire.sent()
	half, ok := c.wire.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	set := c.streams.set
	if c.opening.Load() == nil {
		o := &newcomer{conn: c, since: time.Now(), base: streamCost}
		c.opening.Store(o)
		set.newcomers.enter(o, c.info.Remote)
		defer set.newcomers.leave(o)
	}
	c.streams.mu.Lock()
	closed := c.streams.closed
	if !closed {
		_ = c.wire.nc.SetReadDeadline(time.Now().Add(lingerTime))
	}
	c.streams.mu.Unlock()
	if !closed {
		_, _ = io.Copy(io.Discard, io.LimitReader(c.wire.nc, lingerBytes))
	}
}

func (c *stream) Info() *Info { return &c.info }

// read reads once from the socket and hands on what that gives.
func (c *stream) read(b *bench) error {
	switch {
	case c.tls != nil:
		n, err := c.wire.nc.Read(b.in)
		if n == 0 {
			return err
		}
		c.wire.fed = b.in[:n]
		return c.decrypt(b)
	case c.frames != nil || c.fresh:
		n, err := c.wire.nc.Read(b.in)
		if n == 0 {
			return err
		}
		return c.decoded(b, b.in[:n])
	default:
		n, err := c.wire.nc.Read(c.in.space(b.in, &b.spares))
		if n == 0 {
			return err
		}
		if p := c.in.arrived(b.in, n, &b.spares); p != nil {
			return c.present(b, p)
		}
		return nil
	}
}

// decrypt hands on all that TLS makes of what the wire was fed.
func (c *stream) decrypt(b *bench) error {
	text := room(&b.text, streamBuffer)
	for {
		k := 0
		var err error
		for k < len(text) && err == nil {
			var n int
			n, err = c.tls.Read(text[k:])
			k += n
		}
		if k > 0 {
			if err := c.decoded(b, text[:k]); err != nil {
				return err
			}
		}
		if errors.Is(err, errWouldBlock) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// decoded takes WebSocket framing off and presents what remains.
func (c *stream) decoded(b *bench, p []byte) error {
	var end error
	if c.frames != nil {
		p, end = c.frames.decode(p, c.controlFrame)
	}
	for len(p) > 0 {
		q, n := c.in.push(p, room(&b.joined, streamBuffer+smallLeftover), &b.spares)
		p = p[n:]
		if q != nil {
			if err := c.present(b, q); err != nil {
				return err
			}
		}
	}
	return end
}

// present shows all that is not consumed to the client.
func (c *stream) present(b *bench, p []byte) error {
	if c.paused.Load() || c.closing.Load() {
		c.keep(p, 0, 0, &b.spares)
		return nil
	}
	if c.fresh {
		switch kind := sniff(p); kind {
		case opensUnknown:
			c.keep(p, 0, len(p)+1, &b.spares)
			return nil
		case opensMQTT, opensOther:
			c.fresh = false
		default:
			m := mismatch(c.at.settings, c.tls != nil, kind)
			_, _ = c.Write([][]byte{m.answer})
			c.polite.Store(true)
			return c.refuse(m.cause, m.text)
		}
	}
	c.turn.Lock()
	n, need := c.client.Read(b.worker, p)
	c.turn.Unlock()
	c.keep(p, n, need, &b.spares)
	return nil
}
