//go:build unix

package admin

import (
	"io/fs"
	"os"
	"syscall"
)

// mine tells whether a file is this user's.
func mine(st fs.FileInfo) bool {
	owner, known := ownerOf(st)
	return known && owner == os.Geteuid()
}

// writable tells whether something can be made in a directory: on a file system that may only be read, it cannot.
func writable(dir string) bool {
	const write = 2
	return syscall.Access(dir, write) == nil
}

// ownerOf is the number of the user that a file belongs to.
func ownerOf(st fs.FileInfo) (uid int, known bool) {
	s, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(s.Uid), true
}
