package process

import (
	"testing"
	"testing/fstest"
)

// The least limit counts, of the machine and of every group from the process's own to the top.
func TestMemory(t *testing.T) {
	const (
		machine = "MemTotal:       16777216 kB\nMemFree: 1 kB\n"
		v2      = "25 1 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
		v1      = "24 1 0:21 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
		none    = "9223372036854771712\n"
	)
	for name, tt := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing is known": {nil, assumedMemory},
		"no groups":        {map[string]string{"proc/meminfo": machine}, 16 << 30},
		"v2, a systemd unit's own group": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/system.slice/picket.service\n",
			"proc/self/mountinfo": v2, "sys/fs/cgroup/system.slice/picket.service/memory.max": "536870912\n", "sys/fs/cgroup/system.slice/memory.max": "max\n"}, 512 << 20},
		"v2, a group above": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/a/b/c\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/a/b/c/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "268435456\n"}, 256 << 20},
		"v2, memory.high": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/a/memory.max": "536870912\n", "sys/fs/cgroup/a/memory.high": "134217728\n"}, 128 << 20},
		"v2, a container's namespace": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/memory.max": "1073741824\n"}, 1 << 30},
		"v1": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/system.slice/picket.service\n0::/\n", "proc/self/mountinfo": v1,
			"sys/fs/cgroup/memory/system.slice/picket.service/memory.limit_in_bytes": "536870912\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": none}, 512 << 20},
		"v1, a container without a namespace": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "4:memory:/docker/1a2b\n",
			"proc/self/mountinfo":                        "30 24 0:26 /docker/1a2b /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n"}, 256 << 20},
		"v1, a group above": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "4:memory:/a/b\n", "proc/self/mountinfo": v1,
			"sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": none, "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "67108864\n"}, 64 << 20},
		"a group of another container": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/../other\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/memory.max": "33554432\n"}, 32 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			root := make(fstest.MapFS)
			for name, text := range tt.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := memoryOf(root); got != tt.want {
				t.Errorf("%d bytes, want %d", got, tt.want)
			}
		})
	}
}
