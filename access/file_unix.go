//go:build unix

package access

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// permissionWarnings returns mosquitto's lines about a file of secrets that others may read or that somebody else owns.
func permissionWarnings(path string, info fs.FileInfo) (texts []string) {
	if info.Mode().Perm()&0o007 != 0 {
		texts = append(texts, fmt.Sprintf("Warning: File %s has world readable permissions. Future versions will refuse to load this file. "+
			"To fix this, use `chmod 0600 %s`.", path, path))
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return texts
	}
	if int(stat.Uid) != os.Getuid() {
		name := strconv.Itoa(os.Getuid())
		if u, err := user.LookupId(name); err == nil {
			name = u.Username
		}
		texts = append(texts, fmt.Sprintf("Warning: File %s owner is not %s. Future versions will refuse to load this file. "+
			"To fix this, use `chown %s %s`.", path, name, name, path))
	}
	if int(stat.Gid) != os.Getgid() {
		name := strconv.Itoa(os.Getgid())
		if g, err := user.LookupGroupId(name); err == nil {
			name = g.Name
		}
		texts = append(texts, fmt.Sprintf("Warning: File %s group is not %s. Future versions will refuse to load this file. "+
			"To fix this, use `chgrp %s %s`.", path, name, name, path))
	}
	return texts
}

// keepOwner gives a new file the owner of the old one.
func keepOwner(f *os.File, old fs.FileInfo) error {
	stat, ok := old.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.ErrUnsupported
	}
	return f.Chown(int(stat.Uid), int(stat.Gid))
}

// syncFolder has the names in a folder reach the disk.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) { // some file systems have nothing to sync there
		return err
	}
	return nil
}
