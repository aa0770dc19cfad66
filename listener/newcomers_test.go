package listener

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"picket/cause"
)

// guest is a newcomer without a connection.
type guest struct {
	newcomer
	out *[]*guest
}

func (g *guest) castOut(netip.AddrPort) { *g.out = append(*g.out, g) }

// The sums are those of what is there, nobody is cast out while all fits, and who is cast out is the oldest of the address that costs the most.
func TestNewcomers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 10_000
		var n newcomers
		n.init(20, limit)
		var all, out []*guest
		address := rapid.Custom(func(t *rapid.T) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, rapid.Byte().Draw(t, "host") % 4}), 1)
		})
		second := 0
		t.Repeat(map[string]func(*rapid.T){
			"enter": func(t *rapid.T) {
				second++
				g := &guest{out: &out, newcomer: newcomer{since: time.Unix(int64(second), 0), base: rapid.Int64Range(1, 3000).Draw(t, "base")}}
				g.conn = g
				all = append(all, g)
				n.enter(&g.newcomer, address.Draw(t, "from"))
			},
			"hold": func(t *rapid.T) {
				if len(all) > 0 {
					n.setHeld(&rapid.SampledFrom(all).Draw(t, "who").newcomer, rapid.IntRange(0, 5000).Draw(t, "bytes"))
				}
			},
			"leave": func(t *rapid.T) {
				if len(all) > 0 {
					i := rapid.IntRange(0, len(all)-1).Draw(t, "who")
					n.leave(&all[i].newcomer)
					all = slices.Delete(all, i, i+1)
				}
			},
			"move": func(t *rapid.T) {
				if len(all) > 0 {
					n.move(&rapid.SampledFrom(all).Draw(t, "who").newcomer, address.Draw(t, "to"))
				}
			},
			"": func(t *rapid.T) {
				for _, g := range out {
					if g.peer != nil {
						t.Fatal("one that was cast out is still charged")
					}
					if i := slices.Index(all, g); i >= 0 {
						all = slices.Delete(all, i, i+1)
					}
				}
				out = nil
				sums := make(map[netip.Addr]int64)
				var sum int64
				for _, g := range all {
					sums[g.peer.addr] += g.charge
					sum += g.charge
					if g.charge != max(n.least, g.base+g.left+g.held) {
						t.Fatalf("charged %d", g.charge)
					}
				}
				if sum != n.charge || sum > limit || len(all) > 20 || len(n.peers) != len(sums) || len(n.order) != len(sums) {
					t.Fatalf("charged %d, the sum is %d of %d connections from %d addresses, of %d", n.charge, sum, len(all), len(sums), len(n.peers))
				}
				for i, p := range n.order {
					if p.place != i || p.charge != sums[p.addr] || p.charge > n.order[0].charge {
						t.Fatalf("address %v is charged %d, the sum is %d, at place %d of %d", p.addr, p.charge, sums[p.addr], p.place, i)
					}
				}
			},
		})
	})
}

// An address that fills the table loses its own connections, oldest first; others keep theirs.
func TestNewcomersShare(t *testing.T) {
	var n newcomers
	n.init(100, 1<<20)
	var out []*guest
	enter := func(from string, second int64) *guest {
		g := &guest{out: &out, newcomer: newcomer{since: time.Unix(second, 0), base: 1}}
		g.conn = g
		n.enter(&g.newcomer, netip.MustParseAddrPort(from))
		return g
	}
	quiet := enter("192.0.2.1:1", 1)
	var flood []*guest
	for i := range 1000 {
		flood = append(flood, enter("[2001:db8::1234]:5", int64(2+i)))
	}
	enter("192.0.2.2:1", 2000)
	if quiet.peer == nil {
		t.Error("the flood has cost another address its connection")
	}
	if len(out) < 900 || !slices.Equal(out, flood[:len(out)]) {
		t.Errorf("%d were cast out, not the oldest of the flood", len(out))
	}
	if more := enter("[2001:db8::99]:5", 3000); more.peer != flood[999].peer {
		t.Error("another address of the same network of 64 bits is charged apart")
	}
}

// Connections of one address that never become clients (half a handshake, half a request, requests again and again, nothing at all) cost that
// address, not others, in every transport.
func TestOneAddressFloods(t *testing.T) {
	bothFronts(t, func(t *testing.T, opt Options) {
		a := newAuthority(t, "Test CA")
		refused := make(refusals, 10_000)
		opt.Refused, opt.Newcomers = refused.option(), 40
		e := newEcho(t)
		for name, tt := range map[string]struct {
			cfg  func(testing.TB, *authority) *Config
			send string
			dial func(testing.TB, *Set, *authority) net.Conn
		}{
			"half a ClientHello": {mqtts, string(hello(t)[:50]), overTLS},
			"silence":            {auto, "", overTLS},
			"half a request":     {webs, "GET / HTTP/1.1\r\nHost: x\r\n", overWS},
			"half a header":      {trusted, "PROXY TCP4 192.0.2.1", nil},
		} {
			t.Run(name, func(t *testing.T) {
				s := opened(t, e, opt, tt.cfg(t, a))
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
				for range 200 {
					c, err := d.Dial("tcp4", addrOf(t, s).String())
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					_, _ = io.WriteString(c, tt.send) // it may have been cast out
				}
				for next(t, refused).Cause != cause.ConnectFlood {
				}
				if tt.dial != nil {
					roundTrip(t, tt.dial(t, s, a), nil)
				}
			})
		}
	})
}

// Who is told why it has to go gets that, though it goes on sending, and the connection is closed soon after all the same.
func TestFarewell(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			a := newAuthority(t, "Test CA")
			e := newEcho(t)
			s := opened(t, e, tr.opt, tr.cfg(t, a))
			c := tr.dial(t, s, a)
			roundTrip(t, c, nil)
			k := next(t, e.accepted)
			last := frame([]byte("goodbye"))
			if n, err := k.conn.Write([][]byte{last}); n != len(last) || err != nil {
				t.Fatal(n, err)
			}
			k.conn.Finish()
			next(t, k.closed)
			for range 20 { // a socket that is closed answers the first with a reset
				if _, err := c.Write(frame(make([]byte, 100))); err != nil {
					break // a close frame or close_notify came in between
				}
			}
			got := make([]byte, len(last))
			if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, last) {
				t.Errorf("read %q, %v", got, err)
			}
			if _, err := c.Read(got); !errors.Is(err, io.EOF) {
				t.Errorf("then %v", err)
			}
		})
	}
}
