//go:build unix

package setup

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// "sudo picket show --new-password" writes into the directory of a broker that runs as another user, which reads it at the next start.
func TestNewPasswordBelongsToTheBroker(t *testing.T) {
	r := prepare(t, options(t))
	uid := os.Geteuid()
	if uid == 0 {
		uid = 65534
		for _, name := range []string{".", passwordFile, noteFile} {
			if err := os.Chown(filepath.Join(r.Dir, name), uid, uid); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.NewPassword(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{r.NoteFile, r.PasswordFile} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != uid || info.Mode().Perm() != 0o600 {
			t.Errorf("%s belongs to %d with mode %v, want %d and 0600", path, stat.Uid, info.Mode(), uid)
		}
	}
}
