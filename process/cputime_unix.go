//go:build unix

package process

import (
	"time"

	"golang.org/x/sys/unix"
)

// processorTime is what the process has taken so far.
func processorTime() (time.Duration, bool) {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0, false
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), true
}
