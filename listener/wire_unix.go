//go:build unix

package listener

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// tryWriter writes to a socket what it takes at once.
type tryWriter struct {
	rc   syscall.RawConn
	bufs [][]byte
	one  [1][]byte
	n    int
	err  error
	call func(fd uintptr) bool // kept, so that a write does not allocate
}

func (t *tryWriter) init(rc syscall.RawConn) {
	t.rc = rc
	t.call = func(fd uintptr) bool {
		t.n, t.err = writeAll(int(fd), t.bufs)
		return true
	}
}

func (t *tryWriter) writev(bufs [][]byte) (int, error) {
	t.bufs, t.n, t.err = bufs, 0, nil
	err := t.rc.Write(t.call)
	t.bufs = nil
	if err == nil {
		err = t.err
	}
	return t.n, err
}

func (t *tryWriter) write(p []byte) (int, error) {
	t.one[0] = p
	defer func() { t.one[0] = nil }()
	return t.writev(t.one[:])
}

// readWaiter waits until a socket can be read, without reading: the buffer comes afterwards.
type readWaiter struct {
	rc    syscall.RawConn
	woken bool
	call  func(fd uintptr) bool
}

func (r *readWaiter) init(rc syscall.RawConn) {
	r.rc = rc
	// Go's poller is edge-triggered: what arrived before the wait began has to be asked for.
	r.call = func(fd uintptr) bool {
		if r.woken {
			return true
		}
		r.woken = true
		return pollNow(fd)
	}
}

func pollNow(fd uintptr) bool {
	poll := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(poll[:], 0)
	return n > 0 || err != nil && err != unix.EINTR
}

// readable may be called by any goroutine.
func (r *readWaiter) readable() (now bool) {
	err := r.rc.Control(func(fd uintptr) { now = pollNow(fd) })
	return now && err == nil
}

func (r *readWaiter) wait() error {
	r.woken = false
	return r.rc.Read(r.call)
}

// discard reads once what has arrived, if anything: closing a socket with unread input resets the connection, and the reset
// may overtake what was written last.
func (r *readWaiter) discard() {
	r.rc.Control(func(fd uintptr) {
		var b [4096]byte
		for range 16 {
			if n, err := unix.Read(int(fd), b[:]); n < len(b) || err != nil {
				return
			}
		}
	})
}
