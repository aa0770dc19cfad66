package process

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// Writable says why a file cannot be written, or no file be made in a folder; nil when it can. Nothing is changed.
func Writable(path string) error {
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS); err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}
