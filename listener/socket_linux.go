package listener

import (
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// prepareSocket sets what accepted sockets inherit on Linux, so that accepting takes one system call.
func prepareSocket(rc syscall.RawConn, iface string, nagle bool) error {
	return rc.Control(func(fd uintptr) {
		f := int(fd)
		if !nagle {
			unix.SetsockoptInt(f, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		}
		unix.SetsockoptInt(f, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
		unix.SetsockoptInt(f, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(keepAlive.Idle.Seconds()))
		unix.SetsockoptInt(f, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(keepAlive.Interval.Seconds()))
		unix.SetsockoptInt(f, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAlive.Count)
		if iface != "" {
			// Needs CAP_NET_RAW on older kernels; binding to the interface's addresses is what counts without it.
			unix.BindToDevice(f, iface)
		}
	})
}

// takesBoth tells whether a socket at an IPv6 address takes connections of IPv4, too.
func takesBoth(ln net.Listener, at netip.AddrPort) (both bool) {
	tcp, ok := ln.(*net.TCPListener)
	if !ok || at.Addr() != netip.IPv6Unspecified() {
		return false
	}
	rc, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	err = rc.Control(func(fd uintptr) {
		only, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
		both = err == nil && only == 0
	})
	return both && err == nil
}
