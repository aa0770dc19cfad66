package broker

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"picket/listener"
	"picket/packet"
)

func TestMemoryAccount(t *testing.T) {
	var m memory
	m.setLimits(memoryLimits{all: 100, kinds: [memoryKinds]int64{heldRoutes: 40, heldAliases: 80}})
	for i, step := range []struct {
		kind memoryKind
		n    int64
		ok   bool
	}{
		{heldRoutes, 40, true}, {heldRoutes, 1, false}, // its own limit
		{heldAliases, 61, false}, {heldAliases, 60, true}, // that of all
		{heldQueued, 1, false}, // no limit of its own
		{heldAliases, -60, true}, {heldQueued, 60, true}, {heldAliases, 1, false},
	} {
		if ok := m.take(step.kind, step.n); ok != step.ok {
			t.Fatalf("step %d: take(%s, %d) is %v", i, step.kind, step.n, ok)
		}
	}
	if !m.full(heldAliases) || m.total() != 100 {
		t.Errorf("%d bytes, full: %v", m.total(), m.full(heldAliases))
	}
	m.force(heldRoutes, 50)
	m.give(heldRoutes, 90)
	m.give(heldQueued, 60)
	for kind := range memoryKinds {
		if n := m.of(kind); n != 0 || m.full(kind) {
			t.Errorf("%s: %d bytes are left", kind, n)
		}
	}
	if m.total() != 0 {
		t.Errorf("%d bytes are left in all", m.total())
	}
	m.setLimits(memoryLimits{})
	if !m.take(heldWills, 1<<50) {
		t.Error("refused without a limit")
	}
}

// TestLimitsLeaveRoom: no kind alone may take everything, and all together leave something to the garbage collector.
func TestLimitsLeaveRoom(t *testing.T) {
	l := limitsFor(1 << 30)
	if l.all >= 1<<30 {
		t.Errorf("%d of %d bytes may be held", l.all, 1<<30)
	}
	for kind, limit := range l.kinds {
		if limit <= 0 || limit >= l.all {
			t.Errorf("%s may hold %d of %d bytes", memoryKind(kind), limit, l.all)
		}
	}
}

// limitedTo gives the broker a memory_limit and a clock that stands: after a second it would look at what the whole of the test's process has in use, which
// is more than that.
func limitedTo(bytes int64) func(*Config) {
	return func(c *Config) { c.MemoryLimit, c.clock = bytes, newHandClock() }
}

// TestSubscriptionsAreBounded has a client subscribe to more than there is memory for: it is told so with each that does not fit, and everything is given
// back when it unsubscribes or leaves.
func TestSubscriptionsAreBounded(t *testing.T) {
	x := newBench(t, limitedTo(1<<20))
	_, c := x.client(t, "c", packet.V5)
	for i := range 2000 {
		x.subscribe(t, c, packet.V5, fmt.Sprintf("some/filter/%d", i), 0)
	}
	s := x.b.sessions.byID["c"]
	n := s.subs.len()
	held, limit := x.b.memory.of(heldSubscriptions), limitsFor(1 << 20).kinds[heldSubscriptions]
	if n == 0 || n == 2000 || held > limit || held < limit/2 {
		t.Fatalf("%d of 2000 subscriptions stand, with %d bytes of %d", n, held, limit)
	}
	x.subscribe(t, c, packet.V5, "some/filter/0", 1)
	if x.b.memory.of(heldSubscriptions) != held {
		t.Error("new options of a subscription were counted")
	}
	x.feed(t, c, (&packet.Unsubscribe{ID: 1, Filters: []string{"some/filter/0", "some/filter/0"}}).Append(nil, packet.V5))
	if got := x.b.memory.of(heldSubscriptions); got != held-subscriptionSize("some/filter/0") {
		t.Errorf("%d bytes after UNSUBSCRIBE, %d before", got, held)
	}
	x.feed(t, c, (&packet.Disconnect{}).Append(nil, packet.V5))
	c.Closed(x.w, nil)
	x.w.Flush()
	if got := x.b.memory.total(); got != 0 {
		t.Errorf("%d bytes are left", got)
	}
}

// TestReplacedRetainedMessagesAreLetGo: readers that do not read keep no retained message in memory that has been replaced meanwhile.
func TestReplacedRetainedMessagesAreLetGo(t *testing.T) {
	x := newBench(t, nil)
	_, sender := x.client(t, "sender", packet.V311)
	publish := func(i int, payload string) {
		x.feed(t, sender, (&packet.Publish{Retain: true, Topic: fmt.Appendf(nil, "r/%d", i), Payload: []byte(payload)}).Append(nil, packet.V311))
	}
	publish(0, "old")
	publish(1, "old")
	s := &Session{replays: new(replays)}
	s.replays.add(replay{filter: "r/#", until: x.b.retained.newest.Load()})
	s.replays.begin(x.b.retained.match("r/#"))
	publish(0, "new")
	publish(1, "")
	for _, p := range s.replays.first().places {
		if m := p.message.Load(); m != nil && string(m.Payload) == "old" {
			t.Error("a replay holds a message that has been replaced")
		}
	}
}

// TestReplays follows the queue of replays beside a list that is searched from end to end.
func TestReplays(t *testing.T) {
	var q replays
	var want []string
	for i := range 3000 {
		filter := fmt.Sprint(i * 7919 % 100)
		switch i % 5 {
		case 0, 1, 2:
			q.add(replay{filter: filter, until: uint64(i)})
			if !slices.Contains(want, filter) {
				want = append(want, filter)
			}
		case 3:
			q.drop(filter)
			want = slices.DeleteFunc(want, func(s string) bool { return s == filter })
		default:
			for q.len() > 0 && q.first().dropped {
				q.next()
			}
			if len(want) == 0 {
				continue
			}
			if got := q.first().filter; got != want[0] {
				t.Fatalf("step %d: %s is first, want %s", i, got, want[0])
			}
			q.begin(nil)
			q.next()
			want = want[1:]
		}
		if q.len() > 2*len(want)+2*maxSearchedReplays {
			t.Fatalf("step %d: %d replays for %d that are wanted", i, q.len(), len(want))
		}
	}
}

// TestRoutesAreBounded: subscription identifiers, shared groups and receivers of a route count, and the cache does not outgrow its account.
func TestRoutesAreBounded(t *testing.T) {
	const limit = 8 << 20
	x := newBench(t, limitedTo(limit))
	_, c := x.client(t, "receiver", packet.V5)
	for i := range 1 << 10 { // all of them match every name below, each with an identifier of its own
		levels := make([]string, 10)
		for k := range levels {
			if levels[k] = "x"; i>>k&1 == 1 {
				levels[k] = "+"
			}
		}
		p := &packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: strings.Join(levels, "/") + "/#"}}}
		p.Props = new(packet.Properties).Set(packet.SubscriptionIdentifier)
		p.Props.SubscriptionIDs = []uint32{uint32(i + 1)}
		x.feed(t, c, p.Append(nil, packet.V5))
	}
	_, sender := x.client(t, "sender", packet.V311)
	w := x.w.(*worker)
	for i := range 2000 * keepOneIn {
		x.feed(t, sender, (&packet.Publish{Topic: fmt.Appendf(nil, "x/x/x/x/x/x/x/x/x/x/%d", i)}).Append(nil, packet.V311))
		if held := x.b.memory.of(heldRoutes); held > limit/8+1<<14 || held != int64(w.routeBytes) || held < int64(len(w.routes)*4<<10) {
			t.Fatalf("%d bytes for %d routes, %d counted", w.routeBytes, len(w.routes), held)
		}
	}
	w.forgetRoutes()
	if held := x.b.memory.of(heldRoutes); held != 0 {
		t.Errorf("%d bytes are left", held)
	}
}

// TestAliasesAreBounded: the names behind topic aliases count, both ways, and are given back with the connection.
func TestAliasesAreBounded(t *testing.T) {
	x := newBench(t, limitedTo(1<<20))
	sink := &sink{info: listener.Info{Remote: netip.MustParseAddrPort("127.0.0.1:1"), Listener: x.l.transport()}}
	receiver := x.b.Accept(sink)
	p := &packet.Connect{Version: packet.V5, CleanStart: true, ClientID: "receiver", Props: new(packet.Properties).Set(packet.TopicAliasMaximum)}
	p.Props.TopicAliasMaximum = 65535
	x.feed(t, receiver, p.Append(nil, packet.V5))
	x.subscribe(t, receiver, packet.V5, "#", 0)
	_, sender := x.client(t, "sender", packet.V311)
	for i := range 100 {
		name := fmt.Appendf(nil, "%d/", i)
		name = append(name, bytes.Repeat([]byte("n"), 10_000)...)
		x.feed(t, sender, (&packet.Publish{Topic: name}).Append(nil, packet.V311))
	}
	limit := limitsFor(1 << 20).kinds[heldAliases]
	if held := x.b.memory.of(heldAliases); held > limit || held < limit-11_000 {
		t.Errorf("%d bytes held toward the receiver, at most %d may", held, limit)
	}
	receiver.Closed(x.w, nil)
	x.w.Flush()
	if held := x.b.memory.of(heldAliases); held != 0 {
		t.Fatalf("%d bytes are left", held)
	}
	own, c := x.client(t, "own", packet.V5)
	for i := range 10 {
		b := (&packet.Publish{Topic: bytes.Repeat([]byte{byte('a' + i)}, 10_000), Props: packet.AppendTopicAlias(nil, uint16(i+1))}).Append(nil, packet.V5)
		if x.feed(t, c, b); i > 6 {
			continue
		}
		if held := x.b.memory.of(heldAliases); held > limit {
			t.Errorf("%d bytes held of the client, at most %d may", held, limit)
		}
	}
	if d := answer[*packet.Disconnect](t, own, packet.V5); d.Code != packet.QuotaExceeded {
		t.Errorf("disconnected with 0x%02x", d.Code)
	}
	c.Closed(x.w, nil)
	if held := x.b.memory.of(heldAliases); held != 0 {
		t.Errorf("%d bytes are left", held)
	}
}
