package process

import (
	"bufio"
	"bytes"
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
)

// assumedMemory is what a machine is taken to have that does not say, in bytes.
const assumedMemory = 4 << 30

// Memory returns the bytes of memory that there are for the process: the machine's, or what a control group leaves of it, whichever is less. It looks at
// the process's own group, which is a systemd unit's or a container's, and at all groups above it, in both versions of control groups.
// 4 GiB where the system does not say.
func Memory() int64 { return memoryOf(os.DirFS("/")) }

// LimitMemory tells Go's runtime to collect garbage more often when the process comes near what it may take, instead of growing to twice what lives
// in it: to memory_limit, in bytes, or without one (0) to what there is for the process, which the kernel ends at the whole of it. It is no bound: what is in use
// stays in use. GOMEMLIMIT in the environment, which an administrator has set, has the last word.
func LimitMemory(memoryLimit int64) {
	limit := Memory() / 10 * 9
	if memoryLimit > 0 {
		limit = min(limit, memoryLimit+memoryLimit/8) // nothing more is taken from memory_limit on, and the machinery needs some room
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
}

// memoryOf is [Memory] for a file system that holds /proc and /sys.
func memoryOf(root fs.FS) int64 {
	least := int64(assumedMemory)
	if total, ok := machineTotal(root); ok {
		least = total
	}
	for _, g := range groups(root) {
		// A limit counts for all groups below the one that has it.
		for at := g.path; ; at = path.Dir(at) {
			for _, name := range g.files {
				if n, ok := readLimit(root, path.Join(at, name)); ok {
					least = min(least, n)
				}
			}
			if at == g.mount || len(at) <= len(g.mount) {
				break
			}
		}
	}
	return least
}

// machineTotal reads the machine's memory.
func machineTotal(root fs.FS) (int64, bool) {
	data, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(data)) {
		// "MemTotal:       24568832 kB"
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemTotal:" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n << 10, err == nil && n > 0 && n < math.MaxInt64>>10
		}
	}
	return 0, false
}

// group is where the control group of the process is found, in one hierarchy.
type group struct {
	mount string   // where the hierarchy is mounted
	path  string   // of the group, below mount
	files []string // those with limits
}

// The files with limits. memory.high is where the kernel begins to slow the group down.
var (
	filesOfV1 = []string{"memory.limit_in_bytes"}
	filesOfV2 = []string{"memory.max", "memory.high"}
)

// groups finds the process's groups: in version 2, and in version 1's hierarchy for memory.
func groups(root fs.FS) (all []group) {
	own, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(own)) {
		// "0::/system.slice/picket.service" or "5:memory:/docker/1a2b"
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		v2 := parts[0] == "0" && parts[1] == ""
		if !v2 && !slices.Contains(strings.Split(parts[1], ","), "memory") {
			continue
		}
		mount, top, ok := mountOf(root, v2)
		if !ok {
			continue
		}
		// In a container the hierarchy may be mounted from the container's own group on, which the path then begins with.
		below, inside := strings.CutPrefix(parts[2], strings.TrimSuffix(top, "/"))
		if !inside || strings.Contains(below, "..") {
			below = ""
		}
		g := group{mount: mount, path: path.Join(mount, below), files: filesOfV2}
		if !v2 {
			g.files = filesOfV1
		}
		all = append(all, g)
	}
	return all
}

// mountOf finds where a hierarchy is mounted, and which of its groups is at the top there.
func mountOf(root fs.FS, v2 bool) (mount, top string, ok bool) {
	data, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return "", "", false
	}
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		// "36 35 98:0 /top /mount/point rw,noatime shared:1 - cgroup cgroup rw,memory"
		before, after, found := strings.Cut(s.Text(), " - ")
		f, kind := strings.Fields(before), strings.Fields(after)
		if !found || len(f) < 5 || len(kind) < 3 {
			continue
		}
		if v2 && kind[0] == "cgroup2" || !v2 && kind[0] == "cgroup" && slices.Contains(strings.Split(kind[2], ","), "memory") {
			return strings.TrimPrefix(unescapeMount(f[4]), "/"), unescapeMount(f[3]), true
		}
	}
	return "", "", false
}

// unescapeMount undoes what mountinfo does to blanks in paths.
func unescapeMount(s string) string { return strings.NewReplacer(`\040`, " ", `\134`, `\`).Replace(s) }

// readLimit reads a limit. "max", and version 1's number for none, are no limits.
func readLimit(root fs.FS, name string) (int64, bool) {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return n, err == nil && n > 0
}
