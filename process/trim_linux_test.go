package process

import "testing"

func TestOwnPages(t *testing.T) {
	for line, want := range map[string]bool{
		"00400000-01a3c000 r-xp 00000000 08:01 131 /usr/bin/picket":           true,
		"01a3c000-03c1d000 r--p 0163c000 08:01 131 /usr/bin/picket":           true,
		"03c1d000-03d2a000 rw-p 0381d000 08:01 131 /usr/bin/picket":           false, // holds what the program has written
		"03c1d000-03d2a000 r--s 0381d000 08:01 131 /usr/bin/picket":           false,
		"7f2a1c000000-7f2a1c021000 r--p 00000000 08:01 77 /usr/lib/libc.so":   false,
		"7ffd8c5f2000-7ffd8c5f6000 r--p 00000000 00:00 0 [vvar]":              false,
		"c000000000-c000400000 rw-p 00000000 00:00 0 ":                        false,
		"00400000-01a3c000 r-xp 00000000 08:01 131 /usr/bin/picket (deleted)": false,
		"": false,
	} {
		if _, _, ok := ownPages(line, "/usr/bin/picket"); ok != want {
			t.Errorf("%q: %v, want %v", line, ok, want)
		}
	}
	from, size, _ := ownPages("00400000-00500000 r-xp 00000000 08:01 131 /usr/bin/picket", "/usr/bin/picket")
	if from != 0x400000 || size != 0x100000 {
		t.Errorf("from %x, %x bytes", from, size)
	}
	Trim() // whatever it drops is there again when it is used
	if _, _, ok := ownPages("", ""); ok {
		t.Error("the program does not read its own code any more")
	}
}
