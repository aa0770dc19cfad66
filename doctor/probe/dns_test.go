package probe

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// Files with name servers and lists of names, as Linux, macOS and Windows have them.
func TestRecordedResolvers(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"systemd":      {"# This is /run/systemd/resolve/stub-resolv.conf managed by man:systemd-resolved(8).\n# Do not edit.\n\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n", "[127.0.0.53:53]"},
		"macOS":        {"#\n# macOS Notice\n#\n# This file is not consulted for DNS hostname resolution, address\n# resolution, or the DNS query routing mechanism used by most\n# processes on this system.\n#\nsearch fritz.box\nnameserver fd00::de39:6fff:fe12:3456\nnameserver 192.168.178.1\n", "[[fd00::de39:6fff:fe12:3456]:53 192.168.178.1:53]"},
		"a link's own": {"nameserver fe80::1%en0\nnameserver 192.168.0.1\nnameserver 192.168.0.1\n", "[[fe80::1%en0]:53 192.168.0.1:53]"},
		"too many":     {"nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n", "[10.0.0.1:53 10.0.0.2:53 10.0.0.3:53]"},
		"none":         {"options timeout:1\nnameserver\nnameserver nonsense\n", "[]"},
	} {
		if got := fmt.Sprint(serversOf(strings.Split(c.file, "\n"))); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
	windows := []netip.Addr{netip.MustParseAddr("fec0:0:0:ffff::1"), netip.MustParseAddr("fec0:0:0:ffff::2"), netip.MustParseAddr("192.168.1.1"), netip.MustParseAddr("192.168.1.1")}
	if got := fmt.Sprint(usableServers(windows)); got != "[192.168.1.1:53]" {
		t.Errorf("of a Windows with an idle adapter: got %s", got)
	}
	for name, c := range map[string]struct{ file, want string }{
		"Linux":   {"127.0.0.1\tlocalhost\n127.0.1.1\tbroker.example broker\n\n# The following lines are desirable for IPv6 capable hosts\n::1     ip6-localhost ip6-loopback\n", "[127.0.1.1]"},
		"Windows": {"# Copyright (c) 1993-2009 Microsoft Corp.\r\n#\r\n# localhost name resolution is handled within DNS itself.\r\n#\t127.0.0.1       localhost\r\n203.0.113.9\tbroker.example\t# the old one\r\n", "[203.0.113.9]"},
		"macOS":   {"##\n# Host Database\n##\n127.0.0.1\tlocalhost\n255.255.255.255\tbroadcasthost\n::1             localhost\n10.0.0.7 BROKER.Example. other\n", "[10.0.0.7]"},
		"not it":  {"10.0.0.7 mybroker.example\n#10.0.0.8 broker.example\n", "[]"},
	} {
		if got := fmt.Sprint(hostsOf(strings.Split(c.file, "\n"), "broker.example")); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

// Segments that open and reset connections, as raw sockets give them, and what is noted of them.
func TestHops(t *testing.T) {
	segment := func(port uint16, flags byte) []byte {
		b := make([]byte, 20)
		b[0], b[1], b[flagsAt] = byte(port>>8), byte(port), flags
		return b
	}
	w := &hopWatch{seen: make(map[netip.AddrPort]hops)}
	server := netip.MustParseAddr("203.0.113.10")
	w.note(server, 52, segment(1883, flagSYN|0x10))
	w.note(server, 52, segment(1883, 0x18)) // data tells nothing
	w.note(server, 64, segment(1883, flagRST|0x10))
	w.note(server, 51, segment(8883, flagRST))
	w.note(server, 99, []byte{0x07, 0x5B, 4})
	if got := w.seen[netip.AddrPortFrom(server, 1883)]; got != (hops{52, 64}) {
		t.Errorf("of the first port: %+v", got)
	}
	if got := w.seen[netip.AddrPortFrom(server, 8883)]; got != (hops{0, 51}) {
		t.Errorf("of the second: %+v", got)
	}
	for port := range uint16(2 * maxSenders) {
		w.note(server, 1, segment(port, flagRST))
	}
	if len(w.seen) > maxSenders {
		t.Errorf("%d senders are noted", len(w.seen))
	}
}
