//go:build unix

package echo

import (
	"io"
	"os"
	"syscall"
)

// read fills the buffer with what has arrived, at least one byte.
func (r *reader) read() error {
	if err := r.raw.Read(r.attempt); err != nil {
		return err
	}
	switch {
	case r.err != nil:
		buffers.Put(r.buffer)
		r.buffer = nil
		return os.NewSyscallError("read", r.err)
	case r.n == 0:
		buffers.Put(r.buffer)
		r.buffer = nil
		return io.EOF
	}
	return nil
}

// try reads once, without waiting, and says whether that was all to do.
func (r *reader) try(fd uintptr) bool {
	r.buffer = buffers.Get().(*[bufferSize]byte)
	for {
		r.n, r.err = syscall.Read(int(fd), r.buffer[:])
		if r.err != syscall.EINTR {
			break
		}
	}
	if r.err == syscall.EAGAIN {
		buffers.Put(r.buffer)
		r.buffer = nil
		return false
	}
	return true
}
