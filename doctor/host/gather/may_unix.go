//go:build unix

package gather

import (
	"os"
	"slices"
	"syscall"
)

// may says whether the mode of a file, or its access list where it has one, lets the reader do what a bit of the last three stands for: 1 to enter a folder, 2 to write, 4 to read.
func (r reader) may(path string, info os.FileInfo, bit os.FileMode) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	if may, known := r.listed(path, int(stat.Uid), int(stat.Gid), bit); known {
		return may
	}
	switch mode := info.Mode().Perm(); {
	case int(stat.Uid) == r.uid:
		return mode&(bit<<6) != 0
	case slices.Contains(r.gids, int(stat.Gid)):
		return mode&(bit<<3) != 0
	default:
		return mode&bit != 0
	}
}
