package bench

import (
	"context"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// manySources: all of 127.0.0.0/8 belongs to the loopback interface.
const manySources = true

// bindNoPort lets the kernel choose the port when it connects, when it knows the destination; else a port that is in use
// towards any destination would not be taken.
func bindNoPort(_ context.Context, _, _ string, c syscall.RawConn) error {
	var err error
	if e := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	}); e != nil {
		return e
	}
	return err
}

// pause sleeps for a time that may be far below the millisecond of Go's timers.
func pause(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&t, nil) // interrupted by a signal it returns early, and the caller looks at the clock
}
