//go:build unix

package mosqconf

import (
	"os"
	"path/filepath"
	"testing"
)

func TestUnreadableBy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "folder")
	if err := os.Chmod(filepath.Join(dir, "..", ".."), 0o755); err != nil { // what testing makes is for its user only
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir, file os.FileMode
		user      string
		want      string
	}{
		{0o755, 0o644, "nobody", ""},
		{0o755, 0o600, "nobody", file},
		{0o700, 0o644, "nobody", dir},
		{0o711, 0o604, "nobody", ""},
		{0o700, 0o000, "root", ""},
		{0o700, 0o600, "nobody-of-this-name", ""},
	} {
		if err := os.Chmod(dir, c.dir); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, c.file); err != nil {
			t.Fatal(err)
		}
		if got := unreadableBy(c.user, file); got != c.want {
			t.Errorf("folder %v, file %v, %s: %q, want %q", c.dir, c.file, c.user, got, c.want)
		}
	}
	if got := unreadableBy("nobody", filepath.Join(dir, "missing")); got != dir {
		t.Errorf("missing file: %q", got)
	}
}
