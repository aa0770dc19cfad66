package probe

import (
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// forbidFragments lets the socket send whole packets only, larger than what the kernel believes of the path too: neither this machine nor
// a router may cut them. It needs no rights.
func forbidFragments(conn *net.UDPConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	var done bool
	err = raw.Control(func(fd uintptr) {
		// A socket for IPv6 may carry IPv4 too, so both are set; which one matters is decided by the address.
		v4 := unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
		v6 := unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
		done = v4 == nil || v6 == nil
	})
	return err == nil && done
}

// tooBig tells whether an error says that a packet was larger than the way allows.
func tooBig(err error) bool { return errors.Is(err, syscall.EMSGSIZE) }

// tcpOf is what the kernel knows of the connection; nil where it does not tell.
func tcpOf(conn *net.TCPConn) *TCP {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil
	}
	var info *unix.TCPInfo
	var infoErr error
	if err := raw.Control(func(fd uintptr) { info, infoErr = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); err != nil || infoErr != nil {
		return nil
	}
	return &TCP{
		RTT: time.Duration(info.Rtt) * time.Microsecond, RTTVar: time.Duration(info.Rttvar) * time.Microsecond,
		Segments: info.Data_segs_out, Repeated: info.Total_retrans, PathMTU: info.Pmtu, SegmentSize: info.Snd_mss,
	}
}
