//go:build unix && !linux

package listener

import "golang.org/x/sys/unix"

// writeAll writes as much of bufs as the socket takes without blocking.
func writeAll(fd int, bufs [][]byte) (n int, err error) {
	for _, b := range bufs {
		for len(b) > 0 {
			w, err := unix.Write(fd, b)
			switch {
			case err == unix.EINTR:
				continue
			case err == unix.EAGAIN:
				return n, nil
			case err != nil:
				return n, err
			}
			n += w
			b = b[w:]
		}
	}
	return n, nil
}
