//go:build unix

package mosqconf

import (
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// mayBindPrivileged reports whether this process may listen on ports that not everybody may. Root becomes the given user first,
// unless that is empty, and has no such privilege any more.
func mayBindPrivileged(becomes string) bool {
	if os.Geteuid() == 0 {
		return becomes == ""
	}
	const capNetBindService = 10
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	for l := range strings.Lines(string(data)) {
		if mask, ok := strings.CutPrefix(l, "CapEff:"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
			return err == nil && n&(1<<capNetBindService) != 0
		}
	}
	return false
}

// unreadableBy returns the file, or the folder above it, that keeps a user from reading the file by its permissions; nothing if
// the user may read it, or if there is no such user or file.
func unreadableBy(name, path string) string {
	u, err := user.Lookup(name)
	if err != nil {
		return ""
	}
	groups, err := u.GroupIds()
	if err != nil {
		groups = []string{u.Gid}
	}
	allowed := func(path string, bit uint32) bool {
		info, err := os.Stat(path)
		if err != nil {
			return true
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		switch {
		case !ok || u.Uid == "0":
			return true
		case strconv.Itoa(int(stat.Uid)) == u.Uid:
			bit <<= 6
		case slices.Contains(groups, strconv.Itoa(int(stat.Gid))):
			bit <<= 3
		}
		return uint32(info.Mode().Perm())&bit != 0
	}
	if path, err = filepath.Abs(path); err != nil {
		return ""
	}
	if !allowed(path, 0o4) {
		return path
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if !allowed(dir, 0o1) {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}
