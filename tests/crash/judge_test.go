//go:build unix

package crash

import (
	"slices"
	"testing"

	"picket/packet"
)

// story is a ledger with one publisher's stream and one session, told step by step.
type story struct {
	*ledger
	s *stream
	b *inbox
}

func newStory(qos byte) *story {
	l := newLedger()
	l.begin()
	st := &story{ledger: l, s: newStream("a/1", "a/#", qos, false), b: l.inbox("session")}
	st.b.qos["a/#"] = 2
	return st
}

func (st *story) subscribe() {
	st.b.subscribing("a/#")
	st.b.subscribedTo("a/#")
}

func (st *story) unsubscribe() {
	st.b.unsubscribing("a/#")
	st.b.unsubscribedFrom("a/#")
}

func (st *story) publish(acknowledged bool) *message {
	m := st.send(st.s, 20, false)
	if acknowledged {
		st.accept(m)
	}
	return m
}

func (st *story) arrive(m *message) { st.b.arrived(m, &packet.Publish{QoS: st.s.qos}) }

func (st *story) conclude() { st.b.conclude([]*stream{st.s}) }

// Each fault is found, and what is allowed is none.
func TestLedgerJudges(t *testing.T) {
	for _, c := range []struct {
		name string
		tell func(st *story)
		want map[fault]int
	}{
		{"all is well", func(st *story) {
			st.subscribe()
			for range 3 {
				st.arrive(st.publish(true))
			}
		}, nil},
		{"an acknowledged message does not come", func(st *story) {
			st.subscribe()
			st.publish(true)
		}, map[fault]int{lost: 1}},
		{"a later one comes in its place", func(st *story) {
			st.subscribe()
			st.publish(true)
			st.arrive(st.publish(false))
		}, map[fault]int{lost: 1}},
		{"nothing is owed without an acknowledgement", func(st *story) {
			st.subscribe()
			st.publish(false)
			st.arrive(st.publish(true))
		}, nil},
		{"nothing is owed to who subscribes later", func(st *story) {
			st.publish(true)
			st.subscribe()
			st.arrive(st.publish(true))
		}, nil},
		{"nothing is owed before SUBACK", func(st *story) {
			st.b.subscribing("a/#")
			st.publish(true)
			st.b.subscribedTo("a/#")
		}, nil},
		{"a message that was acknowledged before UNSUBSCRIBE is owed", func(st *story) {
			st.subscribe()
			st.publish(true)
			st.unsubscribe()
		}, map[fault]int{lost: 1}},
		{"nothing is owed after UNSUBSCRIBE", func(st *story) {
			st.subscribe()
			m := st.publish(false)
			st.b.unsubscribing("a/#")
			st.accept(m)
			st.publish(true)
		}, nil},
		{"a message that was sent after UNSUBACK comes", func(st *story) {
			st.subscribe()
			st.unsubscribe()
			st.arrive(st.publish(true))
		}, map[fault]int{unsubscribed: 1}},
		{"a message comes before UNSUBACK", func(st *story) {
			st.subscribe()
			st.b.unsubscribing("a/#")
			m := st.publish(true)
			st.b.unsubscribedFrom("a/#")
			st.arrive(m)
		}, nil},
		{"an UNSUBACK ends what was uncertain before", func(st *story) {
			st.subscribe()
			st.b.unsubscribing("a/#") // UNSUBACK gets lost
			st.subscribe()
			st.unsubscribe()
			st.arrive(st.publish(true))
		}, map[fault]int{unsubscribed: 1}},
		{"a message comes to who was never subscribed", func(st *story) {
			st.arrive(st.publish(true))
		}, map[fault]int{unsubscribed: 1}},
		{"twice", func(st *story) {
			st.subscribe()
			m := st.publish(true)
			st.arrive(m)
			st.arrive(m)
		}, map[fault]int{doubled: 1}},
		{"a lower one after a higher one", func(st *story) {
			st.subscribe()
			m, n := st.publish(false), st.publish(false)
			st.arrive(n)
			st.arrive(m)
		}, map[fault]int{disordered: 1}},
		{"a lower one that was sent before SUBACK", func(st *story) {
			m := st.publish(false)
			st.subscribe()
			st.arrive(st.publish(true))
			st.accept(m)
			st.arrive(m)
		}, nil},
		{"another QoS", func(st *story) {
			st.subscribe()
			st.b.arrived(st.publish(true), &packet.Publish{QoS: 0})
		}, map[fault]int{protocol: 1}},
	} {
		st := newStory(2)
		c.tell(st)
		st.conclude()
		for _, f := range faults {
			if st.counted(f) != c.want[f] {
				t.Errorf("%s: %d faults of the kind %q, want %d\n%q", c.name, st.counted(f), f, c.want[f], st.found)
			}
		}
	}
}

// QoS 1 may repeat what has come, all of it or the end, and goes on behind it.
func TestLedgerAllowsRepetitionsAtQoS1(t *testing.T) {
	st := newStory(1)
	st.subscribe()
	m, n := st.publish(true), st.publish(true)
	for _, m := range []*message{m, n, m, n, n, st.publish(true)} {
		st.arrive(m)
	}
	if st.conclude(); len(st.found) > 0 {
		t.Errorf("%q", st.found)
	}
}

func TestLedgerJudgesRetained(t *testing.T) {
	l := newLedger()
	l.begin()
	s := newStream("a/1", "a/#", 1, true)
	value := func(empty, acknowledged bool) *message {
		m := l.send(s, 20, empty)
		if acknowledged {
			l.accept(m)
		}
		return m
	}
	check := func(got *message, faults int) {
		t.Helper()
		before := l.counted(staleRetained)
		if l.judgeRetained(s, l.latest(s), got); l.counted(staleRetained)-before != faults {
			t.Errorf("%d faults, want %d: %q", l.counted(staleRetained)-before, faults, l.found)
		}
	}
	check(nil, 0)
	first := value(false, true)
	check(nil, 1)
	check(first, 0)
	second := value(false, false)
	check(first, 0)
	check(second, 0)
	l.accept(second)
	check(first, 1)
	cleared := value(true, false)
	check(nil, 0)
	check(second, 0)
	l.accept(cleared)
	check(nil, 0)
	check(second, 1)
}

// A message that has come, or is not owed, is not waited for, however the ledger keeps count of it.
func TestLedgerCountsWhatIsDue(t *testing.T) {
	st := newStory(2)
	streams := []*stream{st.s}
	st.publish(true)
	st.subscribe()
	var sent []*message
	for range 5 {
		sent = append(sent, st.publish(true))
	}
	open := st.publish(false)
	for i, m := range sent {
		if n := st.b.due(streams); n != len(sent)-i {
			t.Errorf("%d due after %d arrivals", n, i)
		}
		st.arrive(m)
	}
	if n := st.b.due(streams); n != 0 {
		t.Errorf("%d due in the end", n)
	}
	st.accept(open)
	if n := st.b.due(streams); n != 1 {
		t.Errorf("%d due after the last acknowledgement", n)
	}
}

// What a life is called in a report is the life in which the moment was.
func TestLedgerKnowsLives(t *testing.T) {
	l := newLedger()
	var moments []int64
	for range 3 {
		l.begin()
		moments = append(moments, l.now, l.moment())
	}
	var lives []int
	for _, m := range moments {
		lives = append(lives, l.life(m))
	}
	if !slices.Equal(lives, []int{1, 1, 2, 2, 3, 3}) {
		t.Errorf("%v", lives)
	}
}

// The payload of each message is its own.
func TestPayloadsNameTheirMessage(t *testing.T) {
	w := &world{ledger: newLedger(), streams: map[string]*stream{}}
	w.ledger.begin()
	s := newStream("kept/1/1", "kept/1/#", 1, true)
	w.streams[s.topic] = s
	m := w.ledger.send(s, 300, false)
	p := &packet.Publish{Topic: []byte(s.topic), Payload: m.payload()}
	if w.identify("x", p) != m {
		t.Error("a message is not known again")
	}
	if w.identify("x", &packet.Publish{Topic: []byte(s.topic)}) != s.cleared {
		t.Error("the end of a retained message is not known")
	}
	p.Payload[100] ^= 1
	if w.identify("x", p) != nil || w.ledger.counted(protocol) != 1 {
		t.Error("a flipped bit is not found")
	}
}
