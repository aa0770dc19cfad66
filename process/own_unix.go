//go:build unix

package process

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// Own gives the user a folder and, where no names are given, all that is in it, otherwise those files alone; names that are not there are passed over.
// Whoever may write to the folder cannot have other things given away: links are not followed, and what has several names stays whose it is.
func (u *User) Own(dir string, names ...string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if len(names) > 0 {
		for _, name := range append(names, ".") {
			if err := u.own(root, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	}
	return fs.WalkDir(root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return u.own(root, name)
	})
}

// own gives the user one file or folder: what was looked at is what is given away, whoever exchanges names meanwhile.
func (u *User) own(root *os.Root, name string) error {
	seen, err := root.Lstat(name)
	if err != nil || !seen.Mode().IsRegular() && !seen.IsDir() {
		return err
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !os.SameFile(seen, info) || severalNames(info) {
		return err
	}
	return f.Chown(u.uid, u.gid)
}

// ownerID is the number of the user that a file belongs to.
func ownerID(info os.FileInfo) (uid int, known bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}

// severalNames reports whether a file has hard links.
func severalNames(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && !info.IsDir() && stat.Nlink > 1
}
