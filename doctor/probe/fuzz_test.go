package probe

import (
	"bytes"
	"net/netip"
	"testing"

	"picket/doctor"
)

// Servers may answer anything to a request for WebSocket.
func FuzzUpgradeAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
		"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nServer: nginx\x1b[31m\r\nDate: Wed, 25 Nov 2026 00:00:00 GMT\r\n\r\nnot found",
		"HTTP/1.1 301 Moved\r\nLocation: https://x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n",
		"\x00\x00\x12\x04\x00", "SSH-2.0-x\r\n", "", "HTTP/1.1 200 OK\r\n", "\x20\x02\x00\x05",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		u := doctor.Upgrade{Path: "/mqtt"}
		readAnswer(&u, "key", bytes.NewReader(b))
		if u.Result == "" {
			t.Fatalf("%q has no result", b)
		}
		for _, r := range u.Text().EN + u.Text().ZH + u.Body + u.Location {
			if r < 0x20 || r == 0x7F {
				t.Fatalf("%q became %q, which disturbs a terminal", b, u.Text())
			}
		}
	})
}

// ICMP messages come from anyone.
func FuzzRejection(f *testing.F) {
	ip := []byte{0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x9C, 0x40, 0x07, 0x5B, 0, 0, 0, 0}
	f.Add(protoICMP, append([]byte{3, 13, 0, 0, 0, 0, 0, 0}, ip...))
	f.Add(protoICMP, []byte{3, 3, 0, 0, 0, 0, 0, 0})
	f.Add(protoICMP6, append([]byte{1, 1, 0, 0, 0, 0, 0, 0}, append(bytes.Repeat([]byte{0x60, 0, 0, 0, 0, 20, 6, 64}, 5), 0x9C, 0x40, 0x07, 0x5B)...))
	f.Fuzz(func(t *testing.T, proto int, b []byte) {
		if proto != protoICMP {
			proto = protoICMP6
		}
		about, r, ok := parseRejection(proto, b, netip.MustParseAddr("10.0.0.9"))
		if ok && (!about.IsValid() || r.Name == "") {
			t.Fatalf("%v %x: %v %+v", proto, b, about, r)
		}
	})
}

func TestRejection(t *testing.T) {
	ip := []byte{0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x9C, 0x40, 0x07, 0x5B, 0, 0, 0, 0}
	server, router := netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.9")
	for _, c := range []struct {
		code       byte
		from       netip.Addr
		prohibited bool
	}{{13, router, true}, {1, router, false}, {1, server, true}, {3, server, true}} {
		about, r, ok := parseRejection(protoICMP, append([]byte{3, c.code, 0, 0, 0, 0, 0, 0}, ip...), c.from)
		if !ok || about != netip.MustParseAddrPort("10.0.0.2:1883") || r.Prohibited != c.prohibited || r.From != c.from.String() {
			t.Errorf("code %d from %v: got %v %+v %v", c.code, c.from, about, r, ok)
		}
	}
	if _, _, ok := parseRejection(protoICMP, append([]byte{3, 4, 0, 0, 0, 0, 5, 0}, ip...), router); ok {
		t.Error("fragmentation needed is no rejection")
	}
}
