//go:build unix

package mosqconf

import (
	"os"
	"strconv"
	"strings"
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
