package listener

import "syscall"

// tryWriter takes nothing: Windows writes in the background, which a goroutine of [wire] waits for.
type tryWriter struct{}

func (*tryWriter) init(syscall.RawConn)            {}
func (*tryWriter) writev([][]byte) (int, error)    { return 0, nil }
func (*tryWriter) write([]byte) (n int, err error) { return 0, nil }

// readWaiter waits until a socket can be read, by a read of no bytes.
type readWaiter struct {
	rc    syscall.RawConn
	woken bool
	call  func(fd uintptr) bool
}

func (r *readWaiter) init(rc syscall.RawConn) {
	r.rc = rc
	r.call = func(uintptr) bool {
		defer func() { r.woken = true }()
		return r.woken
	}
}

func (r *readWaiter) wait() error {
	r.woken = false
	return r.rc.Read(r.call)
}

// readable cannot be told without waiting.
func (r *readWaiter) readable() bool { return false }

// discard does nothing: a read could wait.
func (r *readWaiter) discard() {}
