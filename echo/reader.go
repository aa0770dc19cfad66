package echo

import (
	"io"
	"net"
	"sync"
	"syscall"
)

// bufferSize is how much is read and returned at a time. A connection whose receiver stands still holds one buffer.
const bufferSize = 16 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// reader reads a connection without owning a buffer while it waits for bytes, so that idle connections cost next to nothing.
type reader struct {
	conn *net.TCPConn
	raw  syscall.RawConn

	// What the last attempt gave; buffer is nil while there is nothing.
	attempt func(fd uintptr) bool
	buffer  *[bufferSize]byte
	n       int
	err     error
}

func newReader(c *net.TCPConn) (*reader, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	r := &reader{conn: c, raw: raw}
	r.attempt = r.try
	return r, nil
}

// pass waits for bytes and writes them to w. n is how many were written. The error is io.EOF at the end, a *writeError when w did not
// take them, and else the reading connection's.
func (r *reader) pass(w io.Writer) (n int, err error) {
	if err := r.read(); err != nil {
		return 0, err
	}
	defer func() {
		buffers.Put(r.buffer)
		r.buffer = nil
	}()
	n, err = w.Write(r.buffer[:r.n])
	if err != nil {
		return n, &writeError{err}
	}
	return n, nil
}

// writeError is an error of the side that is written to.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }
