package probe

import (
	"math"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// setSegmentSize keeps the packets of a connection small, in both directions.
func setSegmentSize(fd uintptr, n int) error {
	return unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, n)
}

// socketState is what the kernel knows about a connection.
func socketState(conn net.Conn) (s state, ok bool) {
	raw, isTCP := conn.(syscall.Conn)
	if !isTCP {
		return s, false
	}
	c, err := raw.SyscallConn()
	if err != nil {
		return s, false
	}
	err = c.Control(func(fd uintptr) {
		if i, e := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); e == nil {
			ok = true
			s = state{
				roundTrip: time.Duration(i.Min_rtt) * time.Microsecond,
				variation: time.Duration(i.Rttvar) * time.Microsecond, outOfOrder: int(i.Rcv_ooopack),
				segments: int(i.Data_segs_out),
				// What came twice had not been lost, but was late.
				retransmitted: max(int(i.Total_retrans)-int(i.Dsack_dups), 0),
				sent:          int(i.Bytes_sent - i.Bytes_retrans), unsent: int(i.Notsent_bytes), acknowledged: int(i.Bytes_acked),
			}
			if i.Min_rtt == 0 || i.Min_rtt == math.MaxUint32 { // not measured yet
				s.roundTrip = time.Duration(i.Rtt) * time.Microsecond
			}
		}
	})
	return s, ok && err == nil
}
