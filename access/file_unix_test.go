//go:build unix

package access

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// What is no file is refused and not waited for, such as a pipe that nobody writes to.
func TestReadBoundedRefusesPipes(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, t.TempDir(), "/dev/null"} {
		if _, _, err := ReadBounded(path, 10); !errors.Is(err, errNoFile) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, c := range []Config{{PasswordFile: pipe}, {ACLFile: pipe}} {
		if _, _, err := Load(c); err == nil {
			t.Errorf("%+v is in force", c)
		}
	}
}
