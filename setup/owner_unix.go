//go:build unix

package setup

import (
	"os"
	"path/filepath"
	"syscall"
)

// ownAsFolder gives a new file to the owner of its folder: what root writes into a broker's data directory has to be the broker's.
func ownAsFolder(f *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(filepath.Dir(f.Name()))
	if err != nil {
		return err
	}
	folder, ok := info.Sys().(*syscall.Stat_t)
	if !ok || folder.Uid == 0 {
		return nil
	}
	return f.Chown(int(folder.Uid), int(folder.Gid))
}
