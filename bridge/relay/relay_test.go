package relay

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"picket/packet"
)

func TestNamesAreMapped(t *testing.T) {
	topics := Topics{
		{Pattern: "#", Direction: Both},
		{Pattern: "room1/#", Direction: Both, Local: "sensor/", Remote: "myhouse/"},
		{Pattern: "prefix/#", Direction: Out, Local: "only/out/", Remote: "o/"},
		{Pattern: "ic/+", Direction: In, Local: "local4/top", Remote: "remote4/tip"},
		{Pattern: "clients/total", Direction: In, Local: "test/", Remote: "$SYS/broker/"},
		{Pattern: "", Direction: Both, Local: "one/here", Remote: "one/there"},
	}
	for local, remote := range map[string]string{"sensor/room1/t": "myhouse/room1/t", "sensor/room2/t": "sensor/room2/t", "a": "a", "only/out/prefix/x": "o/prefix/x", "one/here": "one/there", "sensor/room1": "myhouse/room1"} {
		if got := topics.ToRemote(local); got != remote {
			t.Errorf("%s goes out as %s, want %s", local, got, remote)
		}
	}
	for remote, local := range map[string]string{"myhouse/room1/t": "sensor/room1/t", "o/prefix/x": "o/prefix/x", "remote4/tipic/x": "local4/topic/x", "$SYS/broker/clients/total": "test/clients/total", "one/there": "one/here"} {
		if got := topics.ToLocal(remote); got != local {
			t.Errorf("%s comes in as %s, want %s", remote, got, local)
		}
	}
}

func TestPlan(t *testing.T) {
	type step struct {
		ended Outcome
		want  Attempt
		again bool
	}
	v4, v5 := packet.V311, packet.V5
	for name, c := range map[string]struct {
		terms Terms
		steps []step
	}{
		"one address, fixed wait": {Terms{Addresses: 1, Base: 5000, Version: v4, Private: true}, []step{
			{Unreached, Attempt{5000, 0, v4, true}, true}, {Lost, Attempt{5000, 0, v4, true}, true}}},
		"the sign of bridges is left out when it is not understood": {Terms{Addresses: 1, Base: 1000, Version: v4, Private: true}, []step{
			{WrongVersion, Attempt{1000, 0, v4, false}, true}, {Refused, Attempt{1000, 0, v4, false}, true}, {Hung, Attempt{1000, 0, v4, true}, true}, {Hung, Attempt{1000, 0, v4, false}, true}}},
		"MQTT 5 falls back": {Terms{Addresses: 1, Base: 1000, Version: v5, Private: true}, []step{
			{WrongVersion, Attempt{1000, 0, v4, true}, true}, {Lost, Attempt{1000, 0, v4, true}, true}, {WrongVersion, Attempt{1000, 0, v4, false}, true}, {WrongVersion, Attempt{1000, 0, v5, false}, true}}},
		"the next address is tried at once, and the first is preferred": {Terms{Addresses: 3, Base: 1000, Version: v4}, []step{
			{Unreached, Attempt{0, 1, v4, false}, true}, {Unreached, Attempt{0, 2, v4, false}, true}, {Unreached, Attempt{1000, 0, v4, false}, true},
			{Unreached, Attempt{0, 1, v4, false}, true}, {Lost, Attempt{1000, 0, v4, false}, true}, {Preferred, Attempt{0, 0, v4, false}, true}}},
		"round robin goes on from where it was": {Terms{Addresses: 2, RoundRobin: true, Base: 1000, Version: v4}, []step{
			{Lost, Attempt{1000, 1, v4, false}, true}, {Lost, Attempt{1000, 0, v4, false}, true}}},
		"once": {Terms{Start: Once, Addresses: 2, Base: 1000, Version: v4}, []step{
			{Unreached, Attempt{0, 1, v4, false}, true}, {Lost, Attempt{}, false}}},
		"once, unreached": {Terms{Start: Once, Addresses: 1, Base: 1000, Version: v4}, []step{{Unreached, Attempt{1000, 0, v4, false}, false}}},
	} {
		p := NewPlan(c.terms)
		for i, s := range c.steps {
			if got, again := p.Next(s.ended, 0.5); got != s.want || again != s.again {
				t.Errorf("%s, step %d: %+v, %v; want %+v, %v", name, i, got, again, s.want, s.again)
			}
		}
	}
}

// The wait grows by chance, from the base to the cap, and begins anew after a connection.
func TestBackOff(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	p := NewPlan(Terms{Addresses: 1, Base: 5000, Cap: 30000, Version: packet.V311})
	var waits []int64
	for range 200 {
		a, _ := p.Next(Unreached, random.Float64())
		if a.Wait < 5000 || a.Wait > 30000 {
			t.Fatalf("a wait of %d ms", a.Wait)
		}
		waits = append(waits, a.Wait)
	}
	if slices.Max(waits) != 30000 || len(slices.Compact(slices.Clone(waits))) < 20 {
		t.Errorf("the waits do not grow to the cap, or are not by chance: %v", waits)
	}
	p.Connected()
	if a, _ := p.Next(Lost, 0.999); a.Wait > 15000 {
		t.Errorf("the first wait after a connection is %d ms", a.Wait)
	}
}

// harness is a relay with what it has dropped.
type harness struct {
	*Relay
	t       *testing.T
	dropped []Drop
}

func newHarness(t *testing.T, r Rules) *harness {
	h := &harness{Relay: New(r), t: t}
	h.Dropped = func(why Drop, _ bool, _ string) { h.dropped = append(h.dropped, why) }
	return h
}

// take gives packets from one side to the relay, whole, and returns what it sends to both.
func (h *harness) take(remote bool, packets ...packet.Packet) (local, away []packet.Packet, err error) {
	v := packet.V5
	if remote {
		v = h.rules.Version
	}
	var b []byte
	for _, p := range packets {
		b = p.Append(b, v)
	}
	n, err := h.Take(remote, b)
	if err == nil && n != len(b) {
		h.t.Fatalf("%d of %d bytes were taken", n, len(b))
	}
	local, away = decoded(h.t, packet.V5, h.Local), decoded(h.t, h.rules.Version, h.Remote)
	h.Local, h.Remote = nil, nil
	return local, away, err
}

// decoded are the packets in b. What is in a PUBLISH is copied.
func decoded(t *testing.T, v packet.Version, b []byte) (all []packet.Packet) {
	t.Helper()
	for len(b) > 0 {
		head, remaining, err := packet.Header(b)
		if err != nil || head == 0 || len(b) < head+remaining {
			t.Fatalf("not a packet: %x (%v)", b, err)
		}
		p, err := packet.Decode(v, b[0], bytes.Clone(b[head:head+remaining]))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
		b = b[head+remaining:]
	}
	return all
}

func publish(id uint16, qos byte, name string) *packet.Publish {
	return &packet.Publish{QoS: qos, ID: id, Topic: []byte(name), Payload: []byte("p")}
}

func TestAcknowledgementsArePassedOn(t *testing.T) {
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		h := newHarness(t, Rules{Version: v, MaxQoS: 2, Retain: true, Topics: Topics{{Pattern: "#", Direction: Both, Local: "l/", Remote: "r/"}}})
		for _, remote := range []bool{false, true} {
			from, to := "l/x", "r/x"
			if remote {
				from, to = to, from
			}
			local, away, err := h.take(remote, publish(7, 2, from))
			there, back := away, local
			if remote {
				there, back = local, away
			}
			if err != nil || len(back) > 0 || len(there) != 1 {
				t.Fatalf("%v: PUBLISH: %v to where it came from, %v on, %v", v, back, there, err)
			}
			if p := there[0].(*packet.Publish); p.ID != 7 || p.QoS != 2 || string(p.Topic) != to {
				t.Errorf("%v: %+v", v, p)
			}
			for i, kind := range []packet.Type{packet.PUBREC, packet.PUBREL, packet.PUBCOMP} {
				answers := i%2 == 0 // it comes from whom the message went to
				local, away, err := h.take(remote != answers, &packet.Ack{Kind: kind, ID: 7})
				on := away
				if remote != answers {
					on = local
				}
				if err != nil || len(local)+len(away) != 1 || len(on) != 1 || on[0].(*packet.Ack).Kind != kind || on[0].(*packet.Ack).ID != 7 {
					t.Errorf("%v: %v gave %v and %v, %v", v, kind, local, away, err)
				}
			}
		}
	}
}

// A remote broker that takes QoS 1 or 0 at most gets what waits with QoS 2 with what it takes, and this broker's session is done with it by the rules of QoS 2.
func TestQoSIsLowered(t *testing.T) {
	h := newHarness(t, Rules{Version: packet.V5, MaxQoS: 1})
	if _, away, _ := h.take(false, publish(3, 2, "x")); away[0].(*packet.Publish).QoS != 1 {
		t.Fatalf("%+v", away[0])
	}
	if local, _, _ := h.take(true, &packet.Ack{Kind: packet.PUBACK, ID: 3}); local[0].(*packet.Ack).Kind != packet.PUBREC {
		t.Fatalf("%+v", local[0])
	}
	if local, away, _ := h.take(false, &packet.Ack{Kind: packet.PUBREL, ID: 3}); len(away) > 0 || local[0].(*packet.Ack).Kind != packet.PUBCOMP {
		t.Fatalf("%v, %v", local, away)
	}
	again := newHarness(t, Rules{Version: packet.V5, MaxQoS: 1}) // a new connection in between
	if local, away, _ := again.take(false, &packet.Ack{Kind: packet.PUBREL, ID: 3}); len(away) > 0 || local[0].(*packet.Ack).Kind != packet.PUBCOMP {
		t.Fatalf("%v, %v", local, away)
	}
	zero := newHarness(t, Rules{Version: packet.V5})
	local, away, _ := zero.take(false, publish(4, 1, "x"), publish(5, 2, "x"))
	if len(away) != 2 || away[0].(*packet.Publish).QoS != 0 || local[0].(*packet.Ack).Kind != packet.PUBACK || local[1].(*packet.Ack).Kind != packet.PUBREC {
		t.Fatalf("%v, %v", local, away)
	}
}

func TestWhatIsNotPassedOn(t *testing.T) {
	marked := func(markers ...string) *packet.Publish {
		p := publish(1, 2, "x")
		var all packet.Properties
		for _, m := range markers {
			all.AddUser(Marker, m)
		}
		p.Props = all.AppendRaw(nil)
		return p
	}
	rules := Rules{Version: packet.V5, MaxQoS: 2, Self: "me", Name: "this"}
	for _, remote := range []bool{false, true} {
		for value, looped := range map[string]bool{"me out this": true, "me out other": true, "me in this": true, "me in other": false, "you out this": false} {
			h := newHarness(t, rules)
			if _, _, err := h.take(remote, marked(value)); err != nil || (len(h.dropped) > 0) != looped {
				t.Errorf("marked %q, remote %v: %v, %v", value, remote, h.dropped, err)
			}
		}
		h := newHarness(t, rules)
		if _, _, err := h.take(remote, marked(slices.Repeat([]string{"x out y"}, maxHops)...)); err != nil || len(h.dropped) == 0 {
			t.Errorf("a message goes over more than %d bridges (%v)", maxHops, err)
		}
	}
	rules.MaxSize, rules.MaxLocal = 60, 60
	h := newHarness(t, rules)
	local, away, err := h.take(false, marked("me out this"))
	if err != nil || len(away) > 0 || local[0].(*packet.Ack).Kind != packet.PUBREC || !local[0].(*packet.Ack).Code.Failed() {
		t.Errorf("a message that comes round: %v, %v, %v", local, away, err)
	}
	if local, away, err = h.take(true, marked("me out this")); err != nil || len(local) > 0 || away[0].(*packet.Ack).Kind != packet.PUBREC {
		t.Errorf("the same from the remote broker: %v, %v, %v", local, away, err)
	}
	large := publish(2, 1, "x")
	large.Payload = make([]byte, 100)
	if local, away, err = h.take(false, large); err != nil || len(away) > 0 || local[0].(*packet.Ack).Code != packet.QuotaExceeded {
		t.Errorf("a large message: %v, %v, %v", local, away, err)
	}
	if local, away, err = h.take(true, large); err != nil || len(local) > 0 || away[0].(*packet.Ack).Kind != packet.PUBACK {
		t.Errorf("a large message from the remote broker: %v, %v, %v", local, away, err)
	}
	if !slices.Equal(h.dropped, []Drop{Looped, Looped, TooLarge, TooLarge}) {
		t.Errorf("dropped: %v", h.dropped)
	}
	_, away, _ = h.take(false, publish(0, 0, "y"))
	p := away[0].(*packet.Publish)
	if props, err := p.Properties(); err != nil || len(props.User) != 1 || props.User[0] != (packet.UserProperty{Key: Marker, Value: "me out this"}) {
		t.Errorf("what goes out has the properties %+v (%v)", props, err)
	}
}

func TestFaultsOfTheRemoteBroker(t *testing.T) {
	alias := publish(0, 0, "")
	alias.Props = packet.AppendTopicAlias(nil, 2)
	for name, p := range map[string]packet.Packet{"an alias without a topic": alias, "an alias beyond the limit": &packet.Publish{Topic: []byte("x"), Props: packet.AppendTopicAlias(nil, 9)},
		"a wildcard in a topic": publish(0, 0, "a/+"), "a CONNECT": &packet.Connect{Version: packet.V5, ClientID: "x"}, "a DISCONNECT": &packet.Disconnect{Code: packet.ServerShuttingDown}} {
		h := newHarness(t, Rules{Version: packet.V5, MaxQoS: 2, Aliases: 4})
		local, _, err := h.take(true, p)
		if f, ok := err.(*Fault); !ok || !f.Remote || len(local) > 0 {
			t.Errorf("%s: %v, %v", name, err, local)
		}
	}
	h := newHarness(t, Rules{Version: packet.V5, MaxQoS: 2, Aliases: 4})
	local, _, err := h.take(true, &packet.Publish{Topic: []byte("x"), Props: packet.AppendTopicAlias(nil, 2)}, alias)
	if err != nil || len(local) != 2 || string(local[1].(*packet.Publish).Topic) != "x" {
		t.Errorf("an alias that has a topic: %v, %v", local, err)
	}
}

func TestWhatIsSaidFirst(t *testing.T) {
	last := uint16(0)
	id := func() uint16 { last++; return last }
	h := newHarness(t, Rules{Version: packet.V5, MaxQoS: 2, Topics: Topics{{Pattern: "a", Direction: In, QoS: 1}, {Pattern: "b", Direction: Out}, {Pattern: "c", Direction: Both, QoS: 2}}})
	h.Announce(id(), "state", "1")
	h.Subscribe(id)
	h.Unsubscribe(id)
	h.Release([]uint16{9})
	local, away, err := h.take(true, &packet.Ack{Kind: packet.PUBACK, ID: 1}, &packet.Suback{ID: 2, Codes: []packet.Code{packet.NotAuthorized}}, &packet.Suback{ID: 3, Codes: []packet.Code{2}})
	if err != nil || len(away) != 4 || len(local) != 1 || !slices.Equal(h.Unheard, []string{"a"}) {
		t.Fatalf("%v, %v, %v, %v", local, away, h.Unheard, err)
	}
	for i, kind := range []packet.Type{packet.PUBLISH, packet.SUBSCRIBE, packet.SUBSCRIBE, packet.UNSUBSCRIBE} {
		if away[i].Type() != kind {
			t.Errorf("packet %d is a %v", i, away[i].Type())
		}
	}
	if f := away[1].(*packet.Subscribe).Filters[0]; !f.NoLocal || !f.RetainAsPublished || f.QoS != 1 {
		t.Errorf("%+v", f)
	}
	if _, away, _ := h.take(false, &packet.Ack{Kind: packet.PUBCOMP, ID: 9}); len(away) > 0 {
		t.Errorf("the answer to what the relay released went on: %v", away)
	}
}

func FuzzTake(f *testing.F) {
	f.Add(publish(1, 1, "a/b").Append(nil, packet.V5), true, byte(5))
	f.Add((&packet.Ack{Kind: packet.PUBREL, ID: 1}).Append(nil, packet.V311), false, byte(4))
	f.Fuzz(func(t *testing.T, b []byte, remote bool, v byte) {
		r := New(Rules{Version: packet.Version(3 + v%3), MaxQoS: v % 3, Self: strconv.Itoa(int(v)), Aliases: 3, Topics: Topics{{Pattern: "#", Direction: Both, Local: "l/", Remote: "r/"}}})
		n, err := r.Take(remote, b)
		if n < 0 || n > len(b) {
			t.Fatalf("%d of %d bytes", n, len(b))
		}
		if err == nil {
			decoded(t, packet.V5, r.Local)
			decoded(t, r.rules.Version, r.Remote)
		}
	})
}
