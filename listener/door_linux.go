package listener

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"picket/cause"
)

// door accepts connections on an event loop. Its sockets belong to the first loop of a set; what it accepts is served by
// the loop with the fewest connections, or by a goroutine when it is not plain MQTT.
type door struct {
	sockets map[int32]*socket // by the mark that epoll returns
	loops   []*loop           // all loops of the set
	mark    int32
	reserve int  // a descriptor to give up when there are no more, so that a connection can be told so by closing it
	resting bool // nothing is accepted for a moment
	unsaid  int  // connections closed since the last report
	said    time.Time
}

// acceptRest is how long nothing is accepted after the system has failed to give what a connection needs.
const acceptRest = 100 * time.Millisecond

// platformSocket is the part of a socket that an event loop owns.
type platformSocket struct {
	fd    int // 0: none
	mark  int32
	burst int    // connections accepted at the last event, at most
	batch uint64 // the batch of that event
}

func (p *platformSocket) closePlatform() {
	if p.fd > 0 {
		unix.Close(p.fd)
		p.fd = 0
	}
}

// loopFront is the front on Linux.
type loopFront struct{ loops []*loop }

func newFront(s *Set) (front, error) {
	if s.opt.Goroutines {
		return newGoroutineFront(s), nil
	}
	n := s.opt.Loops
	if n <= 0 {
		n = max(1, runtime.GOMAXPROCS(0)/4)
	}
	f := &loopFront{}
	for range n {
		l, err := newLoop(s)
		if err != nil {
			for _, l := range f.loops {
				unix.Close(l.epoll)
				unix.Close(l.wake)
			}
			return nil, err
		}
		f.loops = append(f.loops, l)
	}
	f.loops[0].door = door{sockets: make(map[int32]*socket), loops: f.loops, mark: listenMark, reserve: openReserve()}
	s.running.Add(n)
	for _, l := range f.loops {
		go l.run()
	}
	return f, nil
}

// openReserve returns -1 when there is no descriptor to be had.
func openReserve() int {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

// listen moves the socket from Go's poller to the first loop.
func (f *loopFront) listen(k *socket) error {
	rc, err := k.ln.(interface {
		SyscallConn() (syscall.RawConn, error)
	}).SyscallConn()
	if err != nil {
		return err
	}
	var dup int
	if err2 := rc.Control(func(fd uintptr) { dup, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3) }); err2 != nil {
		return err2
	}
	if err != nil {
		return fmt.Errorf("dup: %w", err)
	}
	k.ln.Close()
	k.ln, k.fd = nil, dup
	return f.do(func(l *loop) error { return l.door.open(l, k) })
}

func (f *loopFront) unlisten(k *socket) {
	f.do(func(l *loop) error {
		delete(l.door.sockets, k.mark)
		k.close()
		return nil
	})
}

// do has something done by the first loop and waits for it.
func (f *loopFront) do(what func(*loop) error) error {
	done := make(chan error, 1)
	f.loops[0].post(task{kind: taskDo, do: func(l *loop) { done <- what(l) }})
	return <-done
}

func (f *loopFront) catchUp() {
	var done sync.WaitGroup
	for _, l := range f.loops {
		done.Add(1)
		l.post(task{kind: taskDo, do: func(l *loop) {
			defer done.Done()
			l.catchUp()
		}})
	}
	done.Wait()
}

// close stops the loops one after the other: the first hands connections to the others.
func (f *loopFront) close() {
	for _, l := range f.loops {
		l.post(task{kind: taskStop})
		<-l.stopped
	}
}

// open begins to accept on a socket.
func (d *door) open(l *loop, k *socket) error {
	if d.resting {
		d.wakeUp(l)
	}
	k.mark = d.mark
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, k.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: k.mark}); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	d.sockets[k.mark] = k
	d.mark--
	return nil
}

func (d *door) close() {
	if d.sockets != nil && d.reserve >= 0 {
		unix.Close(d.reserve)
	}
}

// accept takes the connections that wait at a socket: one at first, as a second may have come after the events of this batch, and be the successor
// of a connection whose end is not known yet; twice as many in the next batch, if there are some again.
func (d *door) accept(l *loop, mark int32) {
	k := d.sockets[mark]
	if k == nil || d.resting {
		return
	}
	if l.batch == k.batch+1 {
		k.burst = min(max(1, 2*k.burst), acceptBatch)
	} else {
		k.burst = 1
	}
	k.batch = l.batch
	for range k.burst {
		fd, sa, err := unix.Accept4(k.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case err == nil:
			d.welcome(l, k, fd, sa)
		case err == unix.EAGAIN:
			k.batch = 0
			return
		case err == unix.EINTR || err == unix.ECONNABORTED:
		case err == unix.EMFILE || err == unix.ENFILE:
			d.full(l, k, err)
			return
		default:
			// Either an error of the network that the new connection inherits (accept(2) names a dozen) or a lack of memory.
			d.report(k, netip.AddrPort{}, fmt.Sprintf("accept: %v", err))
			d.rest(l)
			return
		}
	}
}

// full makes room where there is no descriptor for a connection: a newcomer has to go. Without one the connection is closed: left in the queue,
// it would wait for nothing, and keep the loop awake.
func (d *door) full(l *loop, k *socket, cause error) {
	if l.set.newcomers.evictOne() {
		return
	}
	var remote netip.AddrPort
	fd := -1
	if d.reserve >= 0 {
		unix.Close(d.reserve)
		var sa unix.Sockaddr
		var err error
		if fd, sa, err = unix.Accept4(k.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC); err == nil {
			remote = addrPort(sa)
			unix.Close(fd)
		} else {
			fd = -1
		}
		d.reserve = openReserve()
	} else {
		d.reserve = openReserve()
	}
	d.report(k, remote, fmt.Sprintf("%v: raise the limit on open files (ulimit -n, LimitNOFILE=)", cause))
	if fd < 0 {
		d.rest(l)
	}
}

// report reports what concerns all connections once a second.
func (d *door) report(k *socket, remote netip.AddrPort, text string) {
	d.unsaid++
	if now := time.Now(); now.Sub(d.said) >= time.Second {
		if d.unsaid > 1 {
			text += fmt.Sprintf(" (%d times)", d.unsaid)
		}
		d.said, d.unsaid = now, 0
		k.server.set.refuse(&Refusal{remote, k.server.settings.Load().cfg, cause.FDLimit, text, false})
	}
}

// rest stops accepting for a moment.
func (d *door) rest(l *loop) {
	d.resting = true
	for _, k := range d.sockets {
		unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, k.fd, &unix.EpollEvent{Fd: k.mark})
	}
	time.AfterFunc(acceptRest, func() { l.post(task{kind: taskDo, do: d.wakeUp}) })
}

func (d *door) wakeUp(l *loop) {
	d.resting = false
	for _, k := range d.sockets {
		unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, k.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: k.mark})
	}
}

// welcome decides who serves a new connection.
func (d *door) welcome(l *loop, k *socket, fd int, sa unix.Sockaddr) {
	set := k.server.settings.Load()
	remote, local := addrPort(sa), k.addr
	if local.Addr().IsUnspecified() {
		if sa, err := unix.Getsockname(fd); err == nil {
			local = addrPort(sa)
		}
	}
	at, since := set.endpoint(local), time.Now()
	if !set.direct() {
		f := os.NewFile(uintptr(fd), "")
		l.set.streams.fromFile(f, at, remote, prelude{since: since})
		return
	}
	target := l
	for _, other := range d.loops {
		if other.load.Load() < target.load.Load() {
			target = other
		}
	}
	target.load.Add(1)
	c := &plain{loop: target, at: at, remote: remote, fd: int32(fd), slot: -1, stage: stageFresh}
	o := &opening{newcomer: newcomer{conn: c, since: since, base: plainCost}}
	c.first.Store(o)
	l.set.newcomers.enter(&o.newcomer, remote)
	if proxied := set.proxied(remote); proxied || set.cfg.Protocol == Auto {
		c.wait(proxied)
	} else if c.client = l.set.accept(k.server, c); c.client == nil {
		c.drop()
		return
	}
	if target == l {
		l.add(c)
	} else {
		target.post(task{kind: taskAdd, conn: c})
	}
}

// addrPort converts a socket address; zero for Unix sockets.
func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		a := netip.AddrFrom16(sa.Addr).Unmap()
		if sa.ZoneId != 0 && a.IsLinkLocalUnicast() {
			a = a.WithZone(strconv.Itoa(int(sa.ZoneId)))
		}
		return netip.AddrPortFrom(a, uint16(sa.Port))
	}
	return netip.AddrPort{}
}
