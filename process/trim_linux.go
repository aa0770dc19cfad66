package process

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
)

// Trim gives back what only the start of a program has used: memory that is free, and pages of its file, most of which are never looked at again. Those that
// are come back from the system's cache. It is for programs that wait nearly all the time, once they have got going.
func Trim() {
	debug.FreeOSMemory()
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		if from, size, ok := ownPages(lines.Text(), exe); ok {
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, size, syscall.MADV_DONTNEED)
		}
	}
}

// ownPages reads a line of /proc/PID/maps. ok is true for a part of the program's file that cannot be written, so that what is dropped can be read from it again.
func ownPages(line, exe string) (from, size uintptr, ok bool) {
	var to uintptr
	var mode string
	if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil {
		return 0, 0, false
	}
	return from, to - from, strings.HasPrefix(mode, "r-") && strings.HasSuffix(mode, "p") && strings.HasSuffix(line, " "+exe)
}
