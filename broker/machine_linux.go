package broker

import "golang.org/x/sys/unix"

// fileLimit is how many descriptors the process may have open.
func fileLimit() uint64 {
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) != nil {
		return 1024
	}
	return r.Cur
}
