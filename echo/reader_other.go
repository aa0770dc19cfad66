//go:build !unix

package echo

// read fills the buffer with what has arrived, at least one byte. The system has no way to wait without a buffer.
func (r *reader) read() error {
	r.buffer = buffers.Get().(*[bufferSize]byte)
	var err error
	if r.n, err = r.conn.Read(r.buffer[:]); err != nil {
		buffers.Put(r.buffer)
		r.buffer = nil
	}
	return err
}

func (r *reader) try(uintptr) bool { return true }
