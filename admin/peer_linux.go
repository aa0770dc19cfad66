package admin

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// peerOf tells who calls: trusted is whether that is the user that the broker runs as, or root.
func peerOf(c net.Conn) peer {
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return peer{}
	}
	var who *unix.Ucred
	if e := raw.Control(func(fd uintptr) { who, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); e != nil || err != nil {
		return peer{}
	}
	return peer{trusted: allowed(who.Uid, os.Geteuid()), name: fmt.Sprintf("uid %d", who.Uid)}
}

// allowed is the rule: the owner and root.
func allowed(caller uint32, owner int) bool { return caller == 0 || int64(caller) == int64(owner) }
