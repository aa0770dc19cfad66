package broker

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"picket/ban"
	"picket/cause"
	"picket/packet"
)

// bans is a ban of every kind that is about ann on this machine.
var bansOfAnn = []ban.Ban{{Kind: ban.Client, Value: "ann"}, {Kind: ban.Prefix, Value: "an"}, {Kind: ban.User, Value: "ann"}, {Kind: ban.Address, Value: "127.0.0.0/8"}}

// Whoever is banned has to go and is not let in again, over every transport and in every version, until the ban is lifted; others are left alone.
func TestBans(t *testing.T) {
	x := newSpeaking(t)
	for transport, name := range transports {
		for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
			for _, by := range bansOfAnn {
				t.Run(fmt.Sprint(name, " ", v, " ", by.Kind), func(t *testing.T) { x.bans(t, transport, v, by) })
			}
		}
	}
}

func (x *speaking) bans(t *testing.T, transport int, v packet.Version, by ban.Ban) {
	p := x.connect(t, transport, v, nil)
	kept, n, err := x.b.Ban(by, "")
	if err != nil || n != 1 || kept.Kind != by.Kind {
		t.Fatalf("%+v, %d disconnected, %v", kept, n, err)
	}
	bye := p.next()
	if d, ok := bye.(*packet.Disconnect); v == packet.V5 && (!ok || d.Code != packet.AdministrativeAction || !hasCause(d.Props, cause.Banned)) || v != packet.V5 && bye != nil {
		t.Errorf("got %T %+v", bye, bye)
	}
	again := &speaker{x.dial(t, transport), t, v}
	again.send(&packet.Connect{Version: v, CleanStart: true, ClientID: "ann", HasUsername: true, Username: "ann", HasPassword: true, Password: []byte("right")})
	ack, ok := again.next().(*packet.Connack)
	want := packet.Banned
	if v != packet.V5 {
		want = packet.NotAuthorized
	}
	if !ok || ack.Code != want || v == packet.V5 && !hasCause(ack.Props, cause.Banned) {
		t.Errorf("CONNECT of the banned: %+v", ack)
	}
	if by.Kind == ban.Client || by.Kind == ban.Prefix {
		x.connect(t, transport, v, func(c *packet.Connect) { c.ClientID = "bob" }).Close()
	}
	if all := x.b.Bans(); len(all) != 1 || all[0].Refused < 2 {
		t.Errorf("the list is %+v", all)
	}
	if found, err := x.b.Unban(by.Kind, by.Value, ""); !found || err != nil {
		t.Errorf("lifted %t, %v", found, err)
	}
	x.connect(t, transport, v, nil).Close()
	until(t, func() bool { return x.b.online.Load() == 0 })
}

// A ban that is made while a CONNECT is judged counts for it.
func TestBanMeanwhile(t *testing.T) {
	for _, by := range bansOfAnn {
		var x *bench
		var did bool
		x = newBench(t, oneListener(func(c *Config) {
			c.Ownership = claims(func(clientID string) error {
				if !did {
					did = true
					if _, _, err := x.b.Ban(by, ""); err != nil {
						t.Error(err)
					}
				}
				return own(x.b, clientID)
			})
		}))
		ack := x.call(t, "127.0.0.1:1000").connect(t, packet.Connect{Version: packet.V5, ClientID: "ann", HasUsername: true, Username: "ann"})
		if ack.Code != packet.Banned {
			t.Errorf("%s: %+v", by.Kind, ack)
		}
	}
}

// That somebody is a banned user learns only who has the password, also by an exchange; a client identifier is refused before.
func TestBannedUserIsToldAfterThePassword(t *testing.T) {
	x := newSpeaking(t, scramUsers(t, "ann"))
	if _, _, err := x.b.Ban(ban.Ban{Kind: ban.User, Value: "ann", Why: "a test", Until: x.b.now().Add(time.Hour)}, ""); err != nil {
		t.Fatal(err)
	}
	p, last := x.exchange(t, "ann", "ann", &packet.Connect{ClientID: "ann", CleanStart: true})
	p.send(last)
	if ack, ok := p.next().(*packet.Connack); !ok || ack.Code != packet.Banned {
		t.Errorf("with the password: %+v", ack)
	}
	p, last = x.exchange(t, "ann", "wrong", &packet.Connect{ClientID: "ann", CleanStart: true})
	p.send(last)
	if ack, ok := p.next().(*packet.Connack); !ok || ack.Code == packet.Banned || ack.Code == packet.Success {
		t.Errorf("with a wrong one: %+v", ack)
	}
}

// A part of the program itself is nobody whom a ban is about.
func TestBansLeaveLinksAlone(t *testing.T) {
	x := newBench(t, nil)
	if _, _, err := x.b.Ban(ban.Ban{Kind: ban.Client, Value: "inside"}, ""); err != nil {
		t.Fatal(err)
	}
	l := link(t, x.b)
	if ack := l.connect(""); ack.Code != packet.Success {
		t.Fatalf("%+v", ack)
	}
	if n := x.b.EnforceBans(); n != 0 {
		t.Errorf("%d were disconnected", n)
	}
}

// A banned address is told so as long as that is cheap; the rest of a flood is closed and counted. Others find their room as before.
func TestBannedAddressInAFlood(t *testing.T) {
	clock := newHandClock()
	x := newBench(t, oneListener(func(c *Config) { c.clock = clock }))
	if _, _, err := x.b.Ban(ban.Ban{Kind: ban.Address, Value: "203.0.113.0/24"}, ""); err != nil {
		t.Fatal(err)
	}
	told, closed := 0, 0
	for i := range 3 * turnedAtOnce {
		if c := x.call(t, fmt.Sprintf("203.0.113.%d:1000", i)); c == nil {
			closed++
		} else {
			told++
		}
	}
	if told == 0 || told > turnedAtOnce || closed == 0 {
		t.Errorf("%d are told, %d closed", told, closed)
	}
	if n := x.b.Causes()[cause.Banned]; n != uint64(closed) {
		t.Errorf("%d are counted, %d were closed", n, closed)
	}
	if ack := x.call(t, "203.0.114.1:1000").connect(t, packet.Connect{Version: packet.V5, ClientID: "other"}); ack.Code != packet.Success {
		t.Errorf("another address: %+v", ack)
	}
}

// An address that fails too often is banned by itself, for its time; who is connected from there stays.
func TestBanAfterFailures(t *testing.T) {
	rule, err := ban.ParseRule("3/10m 15m", []string{string(cause.BadCredentials)})
	if err != nil {
		t.Fatal(err)
	}
	clock := newHandClock()
	x := newBench(t, oneListener(func(c *Config) {
		withUser(t, c)
		c.BanAfter, c.clock = rule, clock
	}))
	wrong := packet.Connect{Version: packet.V5, ClientID: "x", HasUsername: true, Username: "picket", HasPassword: true, Password: []byte("wrong")}
	const from = "203.0.113.7:1000"
	inside := x.call(t, from)
	if ack := inside.connect(t, packet.Connect{Version: packet.V5, ClientID: "inside", HasUsername: true, Username: "ann", HasPassword: true, Password: []byte("right")}); ack.Code != packet.Success {
		t.Fatalf("%+v", ack)
	}
	for range 3 {
		if ack := x.call(t, from).connect(t, wrong); ack.Code == packet.Banned {
			t.Error("banned too early")
		}
	}
	if ack := x.call(t, from).connect(t, wrong); ack.Code != packet.Banned || !hasCause(ack.Props, cause.Banned) {
		t.Errorf("after three: %+v", ack)
	}
	if ack := x.call(t, "203.0.113.8:1000").connect(t, wrong); ack.Code == packet.Banned {
		t.Error("a neighbour is banned")
	}
	if !slices.ContainsFunc(x.b.Bans(), func(s ban.State) bool { return s.Rule && s.Value == "203.0.113.7" && s.Refused > 0 }) {
		t.Errorf("the list is %+v", x.b.Bans())
	}
	// A ban of somebody else does not end the connections from there.
	if _, n, err := x.b.Ban(ban.Ban{Kind: ban.User, Value: "somebody else"}, ""); err != nil || n != 0 {
		t.Errorf("%d were disconnected, %v", n, err)
	}
	inside.set(nil)
	x.feed(t, inside.Client, packet.Pingreq{}.Append(nil, packet.V5))
	answer[packet.Pingresp](t, inside.sink, packet.V5)
	clock.pass(15*time.Minute + time.Second)
	if ack := x.call(t, from).connect(t, wrong); ack.Code == packet.Banned {
		t.Error("the ban does not end")
	}
	for range 20 {
		c := x.call(t, "127.0.0.1:1000").connect(t, wrong)
		if c.Code == packet.Banned {
			t.Fatal("this machine is banned")
		}
	}
}

// A list of many bans costs no CONNECT anything that grows with it.
func BenchmarkBans(b *testing.B) {
	l, err := ban.Open("")
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	for i := range 5000 {
		if _, err := l.Add(ban.Ban{Kind: ban.Address, Value: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String()}, "", now); err != nil {
			b.Fatal(err)
		}
	}
	at := netip.MustParseAddr("192.0.2.1")
	for b.Loop() {
		l.Covers(at, now)
	}
}
