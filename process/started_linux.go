package process

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Started lets go of the program's code that only starting needed, 7 of 24 MB: every package initializes itself, which maps most of a large program into the
// process. The code stays in the kernel's cache of files, and what is needed again is mapped again where it is called. Only the code, which nobody can
// have changed, is let go of; where the kernel does not say which memory that is, nothing is.
func Started() {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		from, to, ok := code(lines.Text(), exe)
		if ok {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED) // an error leaves everything as it was
		}
	}
}

// code is the memory of a line of /proc/self/maps if it is code of the file exe:
// 00400000-01027000 r-xp 00000000 fe:00 10404144                           /usr/bin/picket
func code(line, exe string) (from, to uintptr, ok bool) {
	memory, rest, _ := strings.Cut(line, " ")
	if !strings.HasPrefix(rest, "r-xp ") || !strings.HasSuffix(rest, " "+exe) {
		return 0, 0, false
	}
	low, high, _ := strings.Cut(memory, "-")
	first, err1 := strconv.ParseUint(low, 16, strconv.IntSize)
	end, err2 := strconv.ParseUint(high, 16, strconv.IntSize)
	return uintptr(first), uintptr(end), err1 == nil && err2 == nil && first < end
}
