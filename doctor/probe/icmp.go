package probe

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"picket/doctor"
)

// ICMP's protocol numbers, and TCP's.
const (
	protoICMP  = 1
	protoTCP   = 6
	protoICMP6 = 58
)

// icmpWatch collects "destination unreachable" messages about connections of this machine. The system tells programs only the error that a message
// amounts to; the message itself says who sent it and whether a filter did. Seeing them takes the right to open raw sockets; without it
// nothing is collected.
type icmpWatch struct {
	conns []*icmp.PacketConn
	wait  sync.WaitGroup

	mu   sync.Mutex
	seen map[netip.AddrPort]doctor.Rejection // by the destination of the connection
}

func watchICMP() *icmpWatch {
	w := &icmpWatch{seen: make(map[netip.AddrPort]doctor.Rejection)}
	for _, family := range []struct {
		network, address string
		proto            int
	}{{"ip4:icmp", "0.0.0.0", protoICMP}, {"ip6:ipv6-icmp", "::", protoICMP6}} {
		conn, err := icmp.ListenPacket(family.network, family.address)
		if err != nil {
			continue // not allowed, or no such family
		}
		w.conns = append(w.conns, conn)
		w.wait.Go(func() { w.read(conn, family.proto) })
	}
	return w
}

// read ends when the socket is closed.
func (w *icmpWatch) read(conn *icmp.PacketConn, proto int) {
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		sender, ok := netip.AddrFromSlice(ipOf(from))
		if !ok {
			continue
		}
		if about, r, ok := parseRejection(proto, buf[:n], sender.Unmap()); ok {
			w.mu.Lock()
			if len(w.seen) < 100 { // more than there are connections of ours
				w.seen[about] = r
			}
			w.mu.Unlock()
		}
	}
}

func ipOf(a net.Addr) net.IP {
	switch a := a.(type) {
	case *net.IPAddr:
		return a.IP
	case *net.UDPAddr:
		return a.IP
	}
	return nil
}

// Codes of "destination unreachable" (RFC 792, RFC 1812 and RFC 4443).
var (
	codes4 = map[int]string{0: "network unreachable", 1: "host unreachable", 2: "protocol unreachable", 3: "port unreachable", 9: "network administratively prohibited",
		10: "host administratively prohibited", 13: "communication administratively prohibited"}
	codes6 = map[int]string{0: "no route", 1: "communication administratively prohibited", 3: "address unreachable", 4: "port unreachable", 5: "source address failed policy", 6: "route rejected"}
	// A system answers TCP to a closed port with RST, never with ICMP: these come from filters.
	filters4 = []int{2, 3, 9, 10, 13}
	filters6 = []int{1, 4, 5, 6}
)

// parseRejection reads an ICMP message of proto: about which TCP connection of ours it is, and what it says.
func parseRejection(proto int, b []byte, from netip.Addr) (about netip.AddrPort, r doctor.Rejection, ok bool) {
	m, err := icmp.ParseMessage(proto, b)
	if err != nil {
		return about, r, false
	}
	if late, isLate := m.Body.(*icmp.TimeExceeded); isLate {
		to, ok := destination(proto, late.Data)
		return to, doctor.Rejection{From: from.String(), Code: doctor.TimeExceeded, Name: "time exceeded: the packet was passed on in a circle"}, ok
	}
	if m.Type != ipv4.ICMPTypeDestinationUnreachable && m.Type != ipv6.ICMPTypeDestinationUnreachable {
		return about, r, false
	}
	body, isUnreachable := m.Body.(*icmp.DstUnreach)
	if !isUnreachable {
		return about, r, false
	}
	names, filters := codes4, filters4
	if proto == protoICMP6 {
		names, filters = codes6, filters6
	}
	if names[m.Code] == "" { // "fragmentation needed" and the like
		return about, r, false
	}
	to, ok := destination(proto, body.Data)
	r = doctor.Rejection{From: from.String(), Code: m.Code, Name: names[m.Code]}
	// A machine that says of itself that it cannot be reached is one whose filter speaks.
	r.Prohibited = slices.Contains(filters, m.Code) || from == to.Addr()
	return to, r, ok
}

// destination is where the packet that an ICMP message quotes was going; ok is false unless it was TCP.
func destination(proto int, b []byte) (to netip.AddrPort, ok bool) {
	head, next, address := 40, 6, [2]int{24, 40}
	if proto == protoICMP {
		if len(b) < 20 {
			return to, false
		}
		head, next, address = int(b[0]&0x0F)*4, 9, [2]int{16, 20}
	}
	if len(b) < head+4 || head < 20 || b[next] != protoTCP {
		return to, false
	}
	a, _ := netip.AddrFromSlice(b[address[0]:address[1]])
	return netip.AddrPortFrom(a, uint16(b[head+2])<<8|uint16(b[head+3])), true
}

// rejection is what was said about connections to an address and port. The connection's error can be here a moment before the message.
func (w *icmpWatch) rejection(to netip.AddrPort) *doctor.Rejection {
	if len(w.conns) == 0 {
		return nil
	}
	to = netip.AddrPortFrom(to.Addr().WithZone(""), to.Port())
	for range 5 {
		w.mu.Lock()
		r, seen := w.seen[to]
		w.mu.Unlock()
		if seen {
			return &r
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

func (w *icmpWatch) close() {
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.wait.Wait()
}

// pings and their time: a machine that is there and answers has answered by then.
const (
	pings    = 4
	pingGap  = 100 * time.Millisecond
	pingWait = 1500 * time.Millisecond
)

// readHops reads a message with the time to live that it came with, where hops can tell.
func readHops(conn *icmp.PacketConn, hops *ipv4.PacketConn, buf []byte) (n, ttl int, from net.Addr, err error) {
	if hops == nil {
		n, from, err = conn.ReadFrom(buf)
		return n, 0, from, err
	}
	n, control, from, err := hops.ReadFrom(buf)
	if control != nil {
		ttl = control.TTL
	}
	return n, ttl, from, err
}

// ping sends some ICMP echo requests; nil where the system does not allow that.
func ping(ctx context.Context, to netip.Addr) *doctor.Ping {
	p := openPing(to)
	if p == nil {
		return nil
	}
	conn := p.conn
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	f := &doctor.Ping{Address: to.String(), Bytes: 56}
	mark := int(time.Now().UnixNano() & 0xFFFF)
	sent := make([]time.Time, pings)
	var times []time.Duration
	got := make([]bool, pings)
	buf := make([]byte, 1500)
	end := time.Now().Add(pingWait)
	for time.Now().Before(end) && len(times) < pings {
		if f.Sent < pings {
			m := icmp.Message{Type: p.request, Body: &icmp.Echo{ID: mark, Seq: f.Sent + 1, Data: make([]byte, 28)}}
			if b, err := m.Marshal(nil); err == nil {
				sent[f.Sent] = time.Now()
				_, _ = conn.WriteTo(b, p.dest) // what was not sent is not answered
			}
			f.Sent++
		}
		wake := time.Now().Add(pingGap)
		if f.Sent == pings {
			wake = end
		}
		_ = conn.SetReadDeadline(wake)
		n, ttl, from, err := readHops(conn, p.hops, buf)
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			continue
		}
		m, err := icmp.ParseMessage(p.proto, buf[:n])
		if err != nil || m.Type != p.reply || !ipOf(from).Equal(to.AsSlice()) {
			continue
		}
		if echo, ok := m.Body.(*icmp.Echo); ok && echo.Seq >= 1 && echo.Seq <= f.Sent && !got[echo.Seq-1] {
			got[echo.Seq-1] = true
			f.TTL = ttl
			times = append(times, time.Since(sent[echo.Seq-1]))
		}
	}
	if f.Received = len(times); f.Received > 0 {
		slices.Sort(times)
		f.Median = ms(times[len(times)/2])
	}
	return f
}

// pinger is a socket for echo requests to one address.
type pinger struct {
	conn           *icmp.PacketConn
	dest           net.Addr
	hops           *ipv4.PacketConn // tells times to live; nil: the system does not
	proto          int
	request, reply icmp.Type
}

// openPing opens a socket that needs no rights where the system has such, else a raw one. It returns nil when neither may be had.
func openPing(to netip.Addr) *pinger {
	p := &pinger{proto: protoICMP, request: ipv4.ICMPTypeEcho, reply: ipv4.ICMPTypeEchoReply}
	networks, all := []string{"udp4", "ip4:icmp"}, "0.0.0.0"
	if to.Is6() {
		p.proto, p.request, p.reply = protoICMP6, ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
		networks, all = []string{"udp6", "ip6:ipv6-icmp"}, "::"
	}
	for _, network := range networks {
		var err error
		if p.conn, err = icmp.ListenPacket(network, all); err != nil {
			continue
		}
		if p.dest = net.Addr(&net.IPAddr{IP: to.AsSlice(), Zone: to.Zone()}); network[0] == 'u' {
			p.dest = &net.UDPAddr{IP: to.AsSlice(), Zone: to.Zone()}
		}
		if p.hops = p.conn.IPv4PacketConn(); p.hops != nil && p.hops.SetControlMessage(ipv4.FlagTTL, true) != nil {
			p.hops = nil
		}
		return p
	}
	return nil
}
