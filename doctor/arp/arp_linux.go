// Package arp asks the network of an interface which machines answer for an IPv4 address: two that do so have the same one.
package arp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long answers are waited for: machines of the same network answer within milliseconds, those that sleep in Wi-Fi later.
const patience = 400 * time.Millisecond

// length is that of a request or an answer about an IPv4 address in an Ethernet (RFC 826).
const length = 28

// Holders asks the network of an interface who has an address, and who else has the machine's own (self): both by their hardware addresses. The zero
// address asks about self alone. It takes 0.4 s and root; where nobody could be asked, as without root, asked is false.
func Holders(name string, address, self netip.Addr) (its, ours []string, asked bool) {
	i, err := net.InterfaceByName(name)
	if err != nil || len(i.HardwareAddr) != 6 || !self.Is4() {
		return nil, nil, false
	}
	protocol := binary.BigEndian.Uint16([]byte{byte(unix.ETH_P_ARP & 0xFF), byte(unix.ETH_P_ARP >> 8)}) // in the order of the network
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(protocol))
	if err != nil {
		return nil, nil, false
	}
	defer unix.Close(fd)
	if unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: i.Index}) != nil {
		return nil, nil, false
	}
	everybody := &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: i.Index, Halen: 6, Addr: [8]byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}}
	if address.Is4() {
		_ = unix.Sendto(fd, whoHas(i.HardwareAddr, self, address), 0, everybody)
	}
	_ = unix.Sendto(fd, whoHas(i.HardwareAddr, netip.IPv4Unspecified(), self), 0, everybody) // as those do that look before they take an address (RFC 5227)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		wait := unix.NsecToTimeval(max(time.Until(end), time.Millisecond).Nanoseconds())
		if unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait) != nil {
			return its, ours, true
		}
		b := make([]byte, 64)
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err != nil || n < length || binary.BigEndian.Uint16(b[6:]) != 2 {
			continue // not an answer
		}
		from, mac := netip.AddrFrom4([4]byte(b[14:18])), net.HardwareAddr(b[8:14]).String()
		switch {
		case from == address && !slices.Contains(its, mac):
			its = append(its, mac)
		case from == self && mac != i.HardwareAddr.String() && !slices.Contains(ours, mac):
			ours = append(ours, mac)
		}
	}
	return its, ours, true
}

// whoHas is a request for the machine that has an address.
func whoHas(mac net.HardwareAddr, self, address netip.Addr) []byte {
	b := []byte{0, 1, 8, 0, 6, 4, 0, 1} // Ethernet, IPv4, the lengths of their addresses, a request
	b = append(append(b, mac...), self.AsSlice()...)
	return append(append(b, 0, 0, 0, 0, 0, 0), address.AsSlice()...)
}
