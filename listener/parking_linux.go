package listener

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// parking watches the sockets of streams that have nothing to do, so that those need no goroutine, and so no stack: most connections are idle most of the
// time. It is one epoll with one goroutine for a set, both made when the first stream parks; Go's poller watches that epoll. A stream that is parked
// belongs to whoever takes [stream.parked] away from it: the parking's goroutine when something has arrived or a ping is due, or who wakes the stream
// ([stream.wake]). That one starts a goroutine for it.
//
// A stream is known to epoll from its first parking on, and watched for one event at a time.
type parking struct {
	epoll *os.File
	raw   syscall.RawConn // of epoll
	ended chan struct{}   // closed when the goroutine has ended

	mu    sync.Mutex
	slots []*stream // by the Fd of an event
	free  []int32
	gen   int32 // Pad of an event: tells a stream from its slot's former one
	over  bool
}

// place is where a stream stands in the parking.
type place struct {
	known     bool
	slot, gen int32
}

const (
	parkingBatch = 256 // events taken by one epoll_wait
	// pingLook is how often those are looked for to whom a WebSocket ping is due.
	pingLook = 5 * time.Second
)

// newParking returns nil where the system has no descriptor left; then streams keep their goroutines.
func newParking() *parking {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil
	}
	p := &parking{epoll: os.NewFile(uintptr(fd), "epoll"), ended: make(chan struct{})} // non-blocking, so Go's poller takes it
	if p.raw, err = p.epoll.SyscallConn(); err != nil || p.epoll.SetReadDeadline(time.Now().Add(pingLook)) != nil {
		p.epoll.Close()
		return nil
	}
	go p.run()
	return p
}

// watch has a stream woken when something arrives. It reports whether that is so.
func (p *parking) watch(c *stream) (ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return false
	}
	how := unix.EPOLL_CTL_MOD
	if !c.place.known {
		how = unix.EPOLL_CTL_ADD
		p.enter(c)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: c.place.slot, Pad: c.place.gen}
	err := p.raw.Control(func(epoll uintptr) {
		_ = c.wire.rc.Control(func(fd uintptr) { ok = unix.EpollCtl(int(epoll), how, int(fd), &event) == nil })
	})
	if ok = ok && err == nil; !ok && how == unix.EPOLL_CTL_ADD {
		p.leave(c)
	}
	return ok
}

// enter gives a stream a slot. The lock is held.
func (p *parking) enter(c *stream) {
	p.gen++
	c.place = place{known: true, gen: p.gen}
	if n := len(p.free); n > 0 {
		c.place.slot, p.free = p.free[n-1], p.free[:n-1]
		p.slots[c.place.slot] = c
		return
	}
	c.place.slot = int32(len(p.slots))
	p.slots = append(p.slots, c)
}

// leave takes a stream's slot back. The lock is held.
func (p *parking) leave(c *stream) {
	p.slots[c.place.slot] = nil
	p.free = append(p.free, c.place.slot)
	c.place = place{}
}

// forget takes a stream's slot back when the stream has ended. Its socket may be closed already: epoll then knows it no more.
func (p *parking) forget(c *stream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.place.known {
		p.leave(c)
	}
}

// run wakes streams until the parking is over.
func (p *parking) run() {
	defer close(p.ended)
	var events [parkingBatch]unix.EpollEvent
	n := 0
	take := func(fd uintptr) bool {
		var err error
		if n, err = unix.EpollWait(int(fd), events[:], 0); err != nil && err != unix.EINTR {
			panic("listener: epoll_wait: " + err.Error()) // EBADF, EFAULT, EINVAL: a defect of this file
		}
		return n > 0
	}
	for {
		err := p.raw.Read(take)
		switch {
		case err == nil:
			p.wake(events[:n])
		case errors.Is(err, os.ErrDeadlineExceeded):
			p.wakeDue(clock())
			_ = p.epoll.SetReadDeadline(time.Now().Add(pingLook)) // it fails once closed, and so does Read
		default:
			return
		}
	}
}

// wake wakes the streams of events.
func (p *parking) wake(events []unix.EpollEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range events {
		if c := p.slots[e.Fd]; c != nil && c.place.gen == e.Pad {
			c.unpark(true)
		}
	}
}

// wakeDue wakes those who are due for a WebSocket ping.
func (p *parking) wakeDue(now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.slots {
		if c != nil && c.frames != nil && c.parked.Load() && now >= time.Duration(c.pingAt.Load()) {
			c.unpark(false)
		}
	}
}

// close ends the parking. Nobody is parked any more.
func (p *parking) close() {
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	p.epoll.Close()
	<-p.ended
}
