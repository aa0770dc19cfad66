package probe

import (
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"

	"picket/cause"
)

// socket is a UDP socket on one local address. Sessions whose TCP connections came to that address share it, so that answers leave from
// where the client expects them.
type socket struct {
	conn  *net.UDPConn
	local netip.AddrPort
	users int // belongs to Server.mu
	done  sync.WaitGroup
}

// openUDP gives the session an id for datagrams; nothing where UDP cannot be had.
func (c *session) openUDP() []byte {
	if c.socket == nil {
		local := c.conn.LocalAddr().(*net.TCPAddr).AddrPort()
		if c.socket = c.server.socketFor(netip.AddrPortFrom(local.Addr().Unmap(), local.Port())); c.socket == nil {
			return nil
		}
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails
		c.id = binary.BigEndian.Uint64(b[:])
		c.server.mu.Lock()
		c.server.sessions[c.id] = c
		c.server.mu.Unlock()
	}
	return binary.BigEndian.AppendUint64(nil, c.id)
}

// closeUDP ends what openUDP began.
func (c *session) closeUDP() {
	if c.socket == nil {
		return
	}
	s := c.server
	s.mu.Lock()
	delete(s.sessions, c.id)
	c.socket.users--
	last := c.socket.users == 0
	if last {
		delete(s.sockets, c.socket.local)
		c.socket.conn.Close()
	}
	s.mu.Unlock()
	if last {
		c.socket.done.Wait()
	}
}

// socketFor opens the socket of a local address, or gives the one that is open.
func (s *Server) socketFor(local netip.AddrPort) *socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.sockets[local]; u != nil {
		u.users++
		return u
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(local))
	if err != nil {
		return nil
	}
	forbidFragments(conn) // where that cannot be, the client is not told wrong: it knows the sizes that it got
	u := &socket{conn: conn, local: local, users: 1}
	s.sockets[local] = u
	u.done.Go(func() { s.receive(u) })
	return u
}

// receive answers datagrams until the socket is closed. What does not belong to a session of that very address is not answered.
func (s *Server) receive(u *socket) {
	buffer := make([]byte, maxDatagram+1)
	for {
		n, from, err := u.conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			if isClosed(err) {
				return
			}
			continue // an ICMP error about an earlier answer
		}
		id, ok := idOf(buffer[:n])
		if !ok {
			continue
		}
		s.mu.Lock()
		c := s.sessions[id]
		s.mu.Unlock()
		if c == nil || c.socket != u || from.Addr().Unmap().WithZone("") != c.from.Addr().WithZone("") {
			continue
		}
		if d, ok := parseDatagram(buffer[:n], c.codec.key, fromClient); ok {
			c.datagram(d, n, from)
		}
	}
}

// datagram counts one datagram of the client and answers it.
func (c *session) datagram(d datagram, n int, from netip.AddrPort) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := c.got.add(d.number)
	c.udpFrom = from
	if d.purpose == size {
		n = minDatagram
	}
	if !fresh || d.purpose == down || c.udpSent+n > maxSent {
		return // a repeated one is counted once, and answered once
	}
	c.udpSent += n
	_, _ = c.socket.conn.WriteToUDPAddrPort(appendDatagram(nil, c.codec.key, fromServer, d, n), from) // as good as lost
}

// sendUDP sends datagrams of the sizes asked for to where the client's came from.
func (c *session) sendUDP(sizes []uint16) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.socket == nil || !c.udpFrom.IsValid() {
		return nil // none will come, and that is what the client sees
	}
	for i, n := range sizes {
		if n < minDatagram || n > maxDatagram {
			return errMalformed
		}
		if c.udpSent += int(n); c.udpSent > maxSent {
			return &refusedError{cause.ProbeTooOften}
		}
		d := datagram{id: c.id, number: uint32(i), purpose: down}
		// One that is larger than the way from here allows is not sent, and does not come.
		_, _ = c.socket.conn.WriteToUDPAddrPort(appendDatagram(nil, c.codec.key, fromServer, d, int(n)), c.udpFrom)
	}
	return nil
}
