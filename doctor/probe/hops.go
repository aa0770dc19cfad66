package probe

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/ipv4"

	"picket/doctor"
)

// hopWatch notes with what time to live the segments of TCP come that open and that reset connections of this machine: a reset that comes from nearer than
// the machine itself was sent by somebody on the way. Seeing them takes the right to open raw sockets, and a system that hands TCP to those (Linux does,
// macOS and Windows do not); without either nothing is noted. It goes by IPv4 alone: the other family does not tell here.
//
// It lives as long as one examination. Its goroutine owns the socket's reading end, and ends with the socket.
type hopWatch struct {
	conn *ipv4.PacketConn // nil: not allowed
	wait sync.WaitGroup

	mu   sync.Mutex
	seen map[netip.AddrPort]hops // by the sender
}

// hops are times to live; 0: no such segment was seen.
type hops struct {
	open  int // of the last one that let a connection open
	reset int // of the last one that reset one
}

// maxSenders bounds how many senders are noted: more than there are ports that an examination tries.
const maxSenders = 200

// Flags of a segment (RFC 9293, 3.1), and where they stand.
const (
	flagsAt  = 13
	flagSYN  = 0x02
	flagRST  = 0x04
	leastTCP = 20
)

func watchHops() *hopWatch {
	w := &hopWatch{seen: make(map[netip.AddrPort]hops)}
	raw, err := net.ListenPacket("ip4:tcp", "0.0.0.0")
	if err != nil {
		return w
	}
	conn := ipv4.NewPacketConn(raw)
	if conn.SetControlMessage(ipv4.FlagTTL, true) != nil {
		_ = raw.Close()
		return w
	}
	w.conn = conn
	w.wait.Go(w.read)
	return w
}

// read ends when the socket is closed.
func (w *hopWatch) read() {
	buf := make([]byte, 64)
	for {
		n, control, from, err := w.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if sender, ok := netip.AddrFromSlice(ipOf(from)); ok && control != nil {
			w.note(sender.Unmap(), control.TTL, buf[:n])
		}
	}
}

// note takes notice of a segment.
func (w *hopWatch) note(sender netip.Addr, ttl int, b []byte) {
	if len(b) < leastTCP || b[flagsAt]&(flagSYN|flagRST) == 0 {
		return
	}
	from := netip.AddrPortFrom(sender, binary.BigEndian.Uint16(b))
	w.mu.Lock()
	defer w.mu.Unlock()
	h, known := w.seen[from]
	if !known && len(w.seen) == maxSenders {
		return
	}
	if b[flagsAt]&flagRST != 0 {
		h.reset = ttl
	} else {
		h.open = ttl
	}
	w.seen[from] = h
}

// of is what was seen of a sender. The connection's error can be here a moment before the segment is.
func (w *hopWatch) of(a netip.Addr, port int) hops {
	if w == nil || w.conn == nil || !a.Is4() {
		return hops{}
	}
	from := netip.AddrPortFrom(a, uint16(port))
	for range 5 {
		w.mu.Lock()
		h := w.seen[from]
		w.mu.Unlock()
		if h.reset != 0 {
			return h
		}
		time.Sleep(5 * time.Millisecond)
	}
	return hops{}
}

// refusal is the time to live of a refusal; 0 for what was none.
func (w *hopWatch) refusal(a netip.Addr, f doctor.Dial) int {
	if f.Result != doctor.Refused {
		return 0
	}
	return w.of(a, f.Port).reset
}

// onto adds to an opening that was reset by whom.
func (w *hopWatch) onto(o doctor.Opening, a netip.Addr) doctor.Opening {
	if o.Heard == doctor.HearReset {
		seen := w.of(a, o.Port)
		o.OpenTTL, o.ResetTTL = seen.open, seen.reset
	}
	return o
}

func (w *hopWatch) close() {
	if w.conn != nil {
		_ = w.conn.Close()
	}
	w.wait.Wait()
}
