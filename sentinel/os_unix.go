//go:build unix

package sentinel

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// umask is the process' file mode mask. Asking for it means to set it, so it is asked once, at the start; on Linux the
// kernel tells without.
var umask = sync.OnceValue(func() fs.FileMode {
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.Lines(string(status)) {
			if v, ok := strings.CutPrefix(line, "Umask:"); ok {
				if n, err := strconv.ParseUint(strings.TrimSpace(v), 8, 32); err == nil {
					return fs.FileMode(n)
				}
			}
		}
	}
	m := syscall.Umask(0)
	syscall.Umask(m)
	return fs.FileMode(m)
})

// writable reports whether this process may write a file.
func writable(path string) bool { return unix.Access(path, unix.W_OK) == nil }

// onlyInPlace reports whether a file cannot be put in the place of another one there, though that may be written itself: it is a mount point, or its folder
// may not be written.
func onlyInPlace(err error) bool {
	for _, e := range []error{unix.EBUSY, unix.EXDEV, unix.EACCES, unix.EPERM, unix.EROFS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// executable reports whether a script can be run.
func executable(path string) bool { return unix.Access(path, unix.X_OK) == nil }

// exitSignal tells how a process ended: with a status, or by a signal.
func exitSignal(st *os.ProcessState) (status, signal int) {
	if ws, ok := st.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 0, int(ws.Signal())
	}
	return st.ExitCode(), 0
}

// processorTime is what this process used of the processors, in seconds.
func processorTime() (system, user float64) {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0, 0
	}
	return float64(r.Stime.Sec) + float64(r.Stime.Usec)/1e6, float64(r.Utime.Sec) + float64(r.Utime.Usec)/1e6
}
