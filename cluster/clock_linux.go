package cluster

import "golang.org/x/sys/unix"

// clock counts milliseconds, also while the machine is suspended: a node that slept must find that its lease is over.
type clock struct{}

func newClock() clock { return clock{} }

func (clock) now() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // it exists from Linux 2.6.39 on
	return t.Sec*1000 + t.Nsec/1e6
}
