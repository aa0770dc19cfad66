package listener

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// plain is a connection served by an event loop: MQTT without TLS over TCP or a Unix socket. An idle one is this struct
// and its slot in the loop, nothing else.
type plain struct {
	client Client // nil until accepted
	loop   *loop
	at     *endpoint
	in     inbox
	first  atomic.Pointer[opening] // what is needed until the client is admitted, and what a proxy said; mostly nil
	remote netip.AddrPort

	mu    sync.Mutex // guards fd, watch and added: a descriptor is closed only when nobody is writing to it
	fd    int32      // -1 once closed
	watch uint32     // the events asked of epoll
	added bool       // known to epoll

	stage   stage
	over    bool // ended, to be closed at the end of the batch; only the loop's goroutine
	moving  bool // memory for what is left is being made, and nothing is read meanwhile; only the loop's goroutine
	slot    int32
	gen     int32
	paused  atomic.Bool
	closing atomic.Bool
	polite  atomic.Bool // what was written last has to arrive
}

func (c *plain) Write(bufs [][]byte) (n int, err error) {
	total := 0
	for _, b := range bufs {
		total += len(b)
	}
	if total == 0 {
		return 0, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return 0, net.ErrClosed
	}
	if c.watch&unix.EPOLLOUT != 0 {
		return 0, nil
	}
	n, err = writeAll(int(c.fd), bufs)
	if err != nil {
		return n, err
	}
	if n < total {
		c.watch |= unix.EPOLLOUT
		err = c.rewatch()
	}
	return n, err
}

// rewatch tells epoll what to watch for. The lock is held.
func (c *plain) rewatch() error {
	if !c.added {
		return nil // add will
	}
	return unix.EpollCtl(c.loop.epoll, unix.EPOLL_CTL_MOD, int(c.fd), &unix.EpollEvent{Events: c.watch, Fd: c.slot, Pad: c.gen})
}

// Pause implements [Conn]. Epoll is told only when something arrives meanwhile.
func (c *plain) Pause() { c.paused.Store(true) }

func (c *plain) Resume() {
	if c.paused.Swap(false) {
		c.loop.post(task{kind: taskResume, conn: c})
	}
}

// Close implements [Conn]. The descriptor is closed by the loop, at the end of its batch.
func (c *plain) Close() {
	if !c.closing.Swap(true) {
		c.loop.post(task{kind: taskClose, conn: c})
	}
}

func (c *plain) Finish() {
	c.polite.Store(true)
	c.Close()
}

func (c *plain) Info() *Info {
	i := &Info{Remote: c.remote, Local: c.at.local, Listener: c.at.cfg, Protocol: MQTT}
	if o := c.first.Load(); o != nil {
		i.ProxyTLS, i.Since = o.proxy, o.since
	}
	return i
}

// writable takes EPOLLOUT off and tells the client.
func (c *plain) writable() {
	c.mu.Lock()
	if c.watch&unix.EPOLLOUT == 0 {
		c.mu.Unlock()
		return
	}
	c.watch &^= unix.EPOLLOUT
	err := c.rewatch()
	c.mu.Unlock()
	if err != nil {
		c.end(err)
		return
	}
	if c.client != nil {
		c.client.Writable(c.loop.worker)
	}
}

// newcomerRead is how much is read at a time of a connection that is no client yet, so that a batch full of those takes little of others' time.
const newcomerRead = 16 << 10

// readable takes in what has arrived, unless the connection is not read for now.
func (c *plain) readable(events uint32) {
	if c.stage == stageLingers {
		if !c.discard() {
			c.end(nil)
		}
		return
	}
	if c.closing.Load() {
		return // its task is on the way
	}
	if !c.moving && !c.paused.Load() {
		if size := c.in.scarce(1); size > 0 {
			c.move(size)
		}
	}
	if c.moving || c.paused.Load() {
		c.unwatch(events)
		return
	}
	c.read()
}

// unwatch stops the events of a connection that is not read for now.
func (c *plain) unwatch(events uint32) {
	if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		c.end(c.socketError())
		return
	}
	c.mu.Lock()
	c.watch &^= unix.EPOLLIN
	err := c.rewatch()
	c.mu.Unlock()
	if err != nil {
		c.end(err)
	}
}

// move has a goroutine make memory of a size for what is left, which is read by both until then and changed by neither.
func (c *plain) move(size int) {
	c.moving = true
	left := c.in.left
	c.loop.set.running.Go(func() {
		bigger := enlarged(left, size)
		c.loop.post(task{kind: taskDo, do: func(*loop) {
			c.moving = false
			if !c.over {
				c.in.left = bigger
				c.chargeLeft()
				c.resumed()
			}
		}})
	})
}

// read reads once and presents what has arrived.
func (c *plain) read() {
	l := c.loop
	space := c.in.space(l.shared, &l.spares)
	if len(space) > newcomerRead && c.first.Load() != nil {
		space = space[:newcomerRead]
	}
	n, err := unix.Read(int(c.fd), space)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err != nil:
		c.end(err)
		return
	case n == 0:
		c.end(io.EOF)
		return
	}
	if b := c.in.arrived(l.shared, n, &l.spares); b != nil {
		c.present(b)
	} else {
		c.chargeLeft()
	}
}

// present shows b, all that is not consumed, to the client, or to whoever decides what the connection is.
func (c *plain) present(b []byte) {
	if c.stage != stageServed {
		c.open(b)
		return
	}
	n, need := c.client.Read(c.loop.worker, b)
	c.keep(b, n, need)
}

// keep stores what the client left of b, and charges it while the connection is a newcomer.
func (c *plain) keep(b []byte, n, need int) {
	c.in.keep(b, n, need, &c.loop.spares)
	c.chargeLeft()
}

func (c *plain) chargeLeft() {
	if o := c.first.Load(); o != nil && o.left != int64(cap(c.in.left)) { // left is written by this goroutine only
		c.loop.set.newcomers.setLeft(&o.newcomer, cap(c.in.left))
	}
}

// resumed watches for input again and presents what was left.
func (c *plain) resumed() {
	if c.over || c.moving || c.paused.Load() {
		return
	}
	c.mu.Lock()
	var err error
	if c.watch&unix.EPOLLIN == 0 && c.fd >= 0 {
		c.watch |= unix.EPOLLIN
		err = c.rewatch()
	}
	c.mu.Unlock()
	if err != nil {
		c.end(err)
		return
	}
	if len(c.in.left) > 0 {
		c.present(c.in.left)
	}
}

func (c *plain) socketError() error {
	if e, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR); err != nil {
		return err
	} else if e != 0 {
		return unix.Errno(e)
	}
	return io.EOF
}

// end marks the connection to be closed at the end of the batch. Only the loop's goroutine.
func (c *plain) end(err error) {
	if c.over {
		return
	}
	c.over = true
	c.loop.dead = append(c.loop.dead, ended{c, err})
}

// shut makes the last call to the client and closes the descriptor, which it tells, or lets the connection linger.
func (c *plain) shut(err error) (gone bool) {
	c.in.keep(nil, 0, 0, &c.loop.spares)
	if c.client != nil {
		if err == io.EOF {
			err = nil
		}
		c.client.Closed(c.loop.worker, err)
	}
	if c.linger() {
		return false
	}
	if _, refused := err.(*Refusal); refused || err == nil {
		// Closing a socket with unread input resets the connection, and the reset may overtake what was written last,
		// such as a DISCONNECT with its reason. So the input goes first, as much of it as one read takes.
		unix.Read(int(c.fd), c.loop.shared)
	}
	c.mu.Lock()
	fd := c.fd
	c.fd = -1
	c.mu.Unlock()
	if fd >= 0 { // else a goroutine has it
		unix.Close(int(fd))
	}
	if o := c.first.Load(); o != nil {
		o.stop()
		c.loop.set.newcomers.leave(&o.newcomer)
	}
	return true
}
