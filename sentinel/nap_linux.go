package sentinel

import (
	"syscall"
	"time"
	"unsafe"
)

// nap stops the thread, and with GOMAXPROCS 1 all of the program, as time.Sleep does not: that would let each answer that comes meanwhile wake it.
func nap(d time.Duration) {
	ts := syscall.NsecToTimespec(d.Nanoseconds())
	_, _, _ = syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0) //nolint:gosec // the kernel reads it before the call returns
}
