package admin

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// trusted tells whether a caller is the user that the broker runs as, or root.
func trusted(c net.Conn) bool {
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return false
	}
	var who *unix.Ucred
	if e := raw.Control(func(fd uintptr) { who, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); e != nil || err != nil {
		return false
	}
	return allowed(who.Uid, os.Geteuid())
}

// allowed is the rule: the owner and root.
func allowed(caller uint32, owner int) bool { return caller == 0 || int64(caller) == int64(owner) }
