package listener

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	sharedBuffer = 272 << 10 // what one read takes at most: four messages of 64 KiB with what is around them
	eventBatch   = 256       // events taken by one epoll_wait, and so the length of a batch
	acceptBatch  = 64        // connections accepted per event at most, so that a storm does not starve those that are connected
)

// An epoll event carries in its Fd field which of these it is about: a slot of the loop's connections (0 and up), a
// listening socket (listenMark and down), or the wake-up descriptor. Pad carries the generation, so that an event of a
// connection that has ended earlier in the batch is not taken for one of its slot's next owner.
const (
	wakeMark   = -1
	listenMark = -2
)

// loop is one event loop: a goroutine that waits for the sockets of many plain connections, level-triggered, and feeds
// their clients with one worker and one read buffer.
//
// Only the loop's goroutine reads from its connections, closes their descriptors and calls their clients. Other
// goroutines write to a connection ([plain.Write]) under its lock, and ask for everything else by a task.
type loop struct {
	set    *Set
	worker Worker
	epoll  int
	wake   int // eventfd
	shared []byte
	spares spares
	events []unix.EpollEvent
	batch  uint64  // number of the batch, from 1
	knocks []int32 // marks of the listening sockets in it

	slots []*plain
	free  []int32
	gen   int32
	dead  []ended // to be closed at the end of the batch, after Flush

	// door is what is needed to accept; only the first loop has listening sockets.
	door door

	mu       sync.Mutex
	tasks    []task
	spare    []task // the tasks done last, to be filled again
	stopping bool   // nothing lingers any more; only the loop's goroutine
	over     bool   // no more tasks are taken, the descriptors are closed

	stopped chan struct{} // closed when run has returned

	awake atomic.Bool  // the loop looks at tasks before it sleeps again
	load  atomic.Int64 // connections, for choosing the least loaded loop
	probe probe        // how late the loop is
}

// A task is something that another goroutine asks the loop to do.
type task struct {
	kind taskKind
	conn *plain
	do   func(*loop)
}

type taskKind byte

const (
	taskAdd taskKind = iota
	taskResume
	taskClose
	taskDo
	taskStop
)

type ended struct {
	conn *plain
	err  error
}

func newLoop(s *Set) (*loop, error) {
	l := &loop{set: s, worker: s.handler.NewWorker(), shared: make([]byte, sharedBuffer), events: make([]unix.EpollEvent, eventBatch), stopped: make(chan struct{})}
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(l.epoll)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeMark}); err != nil {
		unix.Close(l.epoll)
		unix.Close(l.wake)
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	return l, nil
}

// post hands a task to the loop and wakes it unless it is about to look anyway. A loop that has stopped has nothing to do it for.
func (l *loop) post(t task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	l.tasks = append(l.tasks, t)
	if l.awake.CompareAndSwap(false, true) {
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		unix.Write(l.wake, one[:]) // cannot fail: the counter is reset at each wake-up
	}
}

// run serves until a taskStop.
func (l *loop) run() {
	defer l.set.running.Done()
	defer close(l.stopped)
	busy := false
	for {
		// A loop that has just had work asks once without waiting: under load that saves giving up the processor.
		n := 0
		if busy {
			n = l.wait(0)
		}
		if n == 0 {
			l.awake.Store(false)
			if l.idle() {
				n = l.wait(-1)
			}
			l.awake.Store(true)
		}
		l.batch++
		for i := range n {
			l.event(&l.events[i])
		}
		stop := l.work()
		l.settle()
		if stop {
			l.stop()
			return
		}
		if len(l.knocks) > 0 {
			l.welcome()
			l.settle()
		}
		busy = n > 0
	}
}

// wait takes the events there are into l.events, and returns how many. It waits at most so many milliseconds for the first one; -1: for ever.
func (l *loop) wait(milliseconds int) int {
	n, err := unix.EpollWait(l.epoll, l.events, milliseconds)
	if err != nil && !errors.Is(err, unix.EINTR) {
		panic("listener: epoll_wait: " + err.Error()) // EBADF, EFAULT, EINVAL: a defect of this file
	}
	return max(n, 0)
}

// catchUp handles what has arrived at the connections, once at each of them, and ends the batch. Those that keep sending cannot keep
// it here: epoll goes round among those that are ready, so that so many rounds see each of them.
func (l *loop) catchUp() {
	for range len(l.slots)/eventBatch + 1 {
		n := l.wait(0)
		l.batch++
		for i := range n {
			if e := &l.events[i]; e.Fd > listenMark {
				l.event(e)
			}
		}
		l.settle()
		if n < len(l.events) {
			return
		}
	}
}

func (l *loop) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.tasks) == 0
}

func (l *loop) event(e *unix.EpollEvent) {
	switch {
	case e.Fd >= 0:
		c := l.slots[e.Fd]
		if c == nil || c.gen != e.Pad || c.over {
			return
		}
		if e.Events&unix.EPOLLOUT != 0 {
			c.writable()
		}
		if e.Events&^unix.EPOLLOUT != 0 && !c.over {
			c.readable(e.Events)
		}
	case e.Fd == wakeMark:
		var count [8]byte
		unix.Read(l.wake, count[:])
	default:
		l.knocks = append(l.knocks, e.Fd)
	}
}

// settle writes what the batch has produced and closes what it has ended.
func (l *loop) settle() {
	l.worker.Flush()
	if len(l.dead) > 0 {
		l.bury()
		l.worker.Flush() // what the ends have caused, such as wills
	}
}

// welcome accepts connections at the sockets of this batch. It comes last: who connects after others have left must not be counted together
// with them.
func (l *loop) welcome() {
	for _, mark := range l.knocks {
		l.door.accept(l, mark)
	}
	l.knocks = l.knocks[:0]
}

// work does the tasks that have been posted and tells whether the loop has to stop.
func (l *loop) work() (stop bool) {
	l.mu.Lock()
	tasks := l.tasks
	l.tasks, l.spare = l.spare[:0], nil
	l.mu.Unlock()
	for i, t := range tasks {
		tasks[i] = task{}
		switch t.kind {
		case taskAdd:
			l.add(t.conn)
		case taskResume:
			t.conn.resumed()
		case taskClose:
			if t.conn.slot >= 0 { // else add will see that it is closing
				t.conn.end(t.conn.asked())
			}
		case taskDo:
			t.do(l)
		case taskStop:
			stop = true
		}
	}
	if cap(tasks) <= 4096 {
		l.spare = tasks[:0]
	}
	return stop
}

// add starts to serve a connection.
func (l *loop) add(c *plain) {
	if n := len(l.free); n > 0 {
		c.slot, l.free = l.free[n-1], l.free[:n-1]
		l.slots[c.slot] = c
	} else {
		c.slot = int32(len(l.slots))
		l.slots = append(l.slots, c)
	}
	l.gen++
	c.gen = l.gen
	c.mu.Lock()
	c.watch |= unix.EPOLLIN // a Write may have asked for EPOLLOUT already
	err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, int(c.fd), &unix.EpollEvent{Events: c.watch, Fd: c.slot, Pad: c.gen})
	c.added = true
	c.mu.Unlock()
	switch {
	case err != nil:
		c.end(fmt.Errorf("epoll_ctl: %w", err))
	case c.closing.Load():
		c.end(c.asked())
	case len(c.in.left) > 0:
		c.present(c.in.left)
	}
}

// bury closes what has ended. It runs after Flush, so that what was written in answer to the last bytes still goes out.
func (l *loop) bury() {
	for i := 0; i < len(l.dead); i++ { // Closed may end others
		d := l.dead[i]
		l.dead[i] = ended{}
		if !d.conn.shut(d.err) {
			continue
		}
		l.slots[d.conn.slot] = nil
		l.free = append(l.free, d.conn.slot)
		l.load.Add(-1)
	}
	l.dead = l.dead[:0]
}

// stop ends all connections and gives everything back.
func (l *loop) stop() {
	l.stopping = true
	for _, c := range l.slots {
		if c != nil {
			c.end(nil)
		}
	}
	l.work() // connections that were being handed over
	for _, c := range l.slots {
		if c != nil {
			c.end(nil)
		}
	}
	l.worker.Flush()
	l.bury()
	l.worker.Flush()
	l.door.close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	unix.Close(l.epoll)
	unix.Close(l.wake)
}
