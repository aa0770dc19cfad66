package listener

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// writeAll writes as much of bufs as the socket takes without blocking.
func writeAll(fd int, bufs [][]byte) (n int, err error) {
	var vec [32]unix.Iovec
	for len(bufs) > 0 {
		k, size := 0, 0
		for k < len(bufs) && k < len(vec) {
			if b := bufs[k]; len(b) > 0 {
				vec[k].Base = &b[0]
				vec[k].SetLen(len(b))
				size += len(b)
			} else {
				vec[k] = unix.Iovec{}
			}
			k++
		}
		w, _, errno := unix.Syscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&vec)), uintptr(k))
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return n, nil
		case errno != 0:
			return n, errno
		}
		n += int(w)
		if int(w) < size {
			return n, nil
		}
		bufs = bufs[k:]
	}
	return n, nil
}
