package gather

import (
	"golang.org/x/sys/unix"

	"picket/doctor/host"
)

// diskOf tells of the file system that a folder is on.
func diskOf(dir string) (host.Disk, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return host.Disk{}, err
	}
	d := host.Disk{Total: s.Blocks * uint64(s.Bsize), Free: s.Bavail * uint64(s.Bsize), Inodes: s.Ffree, ReadOnly: s.Flags&unix.ST_RDONLY != 0}
	if s.Files == 0 { // it makes them as they are needed
		d.Inodes = 1
	}
	return d, nil
}

// clockOf asks the kernel, which a time server's client tells.
func clockOf() (host.Clock, error) {
	var t unix.Timex // Modes 0: read only, which everybody may
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return host.Clock{}, err
	}
	return host.Clock{Synchronized: state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, ErrorSeconds: float64(t.Maxerror) / 1e6, By: "adjtimex"}, nil
}

// capable tells whether a program's file gives capabilities to whoever runs it (capabilities(7)).
func capable(file string) bool {
	n, err := unix.Getxattr(file, "security.capability", nil)
	return err == nil && n > 0
}
