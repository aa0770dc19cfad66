package listener

import (
	"encoding/binary"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// parking watches the sockets of streams that have nothing to do, so that those need no goroutine, and so no stack: most connections are idle most of the
// time. It is one epoll with one goroutine for a set, both made when the first stream parks. A stream that is parked belongs to whoever takes
// [stream.parked] away from it: the parking's goroutine when something has arrived or a ping is due, or who wakes the stream ([stream.wake]). That one
// starts a goroutine for it.
//
// A stream is known to epoll from its first parking on, and watched for one event at a time.
type parking struct {
	streams *streams
	epoll   int
	bell    int           // eventfd: the parking is over
	ended   chan struct{} // closed when its goroutine has ended

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
	bellMark = -1
)

// newParking returns nil where the system has no descriptor left; then streams keep their goroutines.
func newParking(s *streams) *parking {
	p := &parking{streams: s, ended: make(chan struct{})}
	var err error
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil
	}
	if p.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(p.epoll)
		return nil
	}
	if unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, p.bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: bellMark}) != nil {
		unix.Close(p.epoll)
		unix.Close(p.bell)
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
	err := c.wire.rc.Control(func(fd uintptr) {
		ok = unix.EpollCtl(p.epoll, how, int(fd), &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: c.place.slot, Pad: c.place.gen}) == nil
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
	for looked := clock(); ; {
		n, err := unix.EpollWait(p.epoll, events[:], int(pingLook.Milliseconds()))
		if err != nil && err != unix.EINTR {
			panic("listener: epoll_wait: " + err.Error()) // EBADF, EFAULT, EINVAL: a defect of this file
		}
		p.mu.Lock()
		over := p.over
		for i := range max(n, 0) {
			if e := &events[i]; e.Fd >= 0 {
				if c := p.slots[e.Fd]; c != nil && c.place.gen == e.Pad {
					c.unpark()
				}
			}
		}
		if now := clock(); now-looked >= pingLook {
			looked = now
			p.wakeDue(now)
		}
		p.mu.Unlock()
		if over {
			return
		}
	}
}

// wakeDue wakes those who are due for a WebSocket ping. The lock is held.
func (p *parking) wakeDue(now time.Duration) {
	for _, c := range p.slots {
		if c != nil && c.frames != nil && c.parked.Load() && now >= time.Duration(c.pingAt.Load()) {
			c.unpark()
		}
	}
}

// close ends the parking. Streams that are parked still have to be woken by their owners.
func (p *parking) close() {
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	unix.Write(p.bell, one[:]) // cannot fail: nothing else is written
	<-p.ended
	unix.Close(p.epoll)
	unix.Close(p.bell)
}
