package process

import "testing"

func TestCodeOfMaps(t *testing.T) {
	const exe = "/usr/bin/my picket"
	for line, want := range map[string][2]uintptr{
		"00400000-01027000 r-xp 00000000 fe:00 10404144                           /usr/bin/my picket": {0x400000, 0x1027000},
		"01027000-01d1b000 r--p 00c27000 fe:00 10404144                           /usr/bin/my picket": {},
		"01d1b000-01dca000 rw-p 0191b000 fe:00 10404144                           /usr/bin/my picket": {},
		"7fb4f0fce000-7fb4f1200000 r-xp 00000000 fe:00 1                          /usr/lib/libc.so.6": {},
		"7ffd1c9f2000-7ffd1c9f4000 r-xp 00000000 00:00 0                          [vdso]":             {},
		"zz-01027000 r-xp 00000000 fe:00 10404144                                 /usr/bin/my picket": {},
		"": {},
	} {
		from, to, ok := code(line, exe)
		if !ok {
			from, to = 0, 0
		}
		if got := [2]uintptr{from, to}; got != want {
			t.Errorf("%q: %x, want %x", line, got, want)
		}
	}
}

// The program goes on with its code gone from memory.
func TestStarted(t *testing.T) {
	for range 3 {
		Started()
		TestCodeOfMaps(t)
	}
}
