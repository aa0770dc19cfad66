//go:build unix

package local

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// lockHolder names the process that has a file locked, with a comma before it; empty: none, or it is this one.
func lockHolder(name string) string {
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock); err != nil || lock.Type == unix.F_UNLCK {
		return ""
	}
	if lock.Pid <= 0 {
		return ", on another machine or in another container"
	}
	return fmt.Sprintf(", number %d", lock.Pid)
}
