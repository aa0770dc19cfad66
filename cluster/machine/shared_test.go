package machine

import (
	"fmt"
	"slices"
	"testing"

	"picket/cluster/wire"
)

// table is a machine with the number 1 that has peers.
type table struct {
	*Machine
	t *testing.T
}

func newTable(t *testing.T, peers ...uint64) *table {
	t.Helper()
	x := &table{Machine: New(Options{Name: "me", Times: DefaultTimes()}, 0), t: t}
	rows := []Row{{Incarnation: 1, Name: "me"}}
	for _, p := range peers {
		rows = append(rows, Row{Incarnation: p, Name: fmt.Sprint(p)})
	}
	x.turn(rows)
	x.turn(rows)
	for _, p := range peers {
		x.LinkUp(p, &wire.Hello{To: 1})
	}
	x.turn(rows)
	if !slices.EqualFunc(x.order, peers, func(p *peer, n uint64) bool { return p.incarnation == n && p.up }) {
		t.Fatal("the peers are not there")
	}
	return x
}

// turn has a while go by, and answers what Redis is asked.
func (x *table) turn(rows []Row) {
	x.SetClock(x.now + 1000)
	x.Tick()
	for out := x.Machine.Take(); len(out) > 0; out = x.Machine.Take() {
		for _, o := range out {
			c, ok := o.(Call)
			if !ok {
				continue
			}
			switch c.Command.(type) {
			case Join:
				x.Answer(c.ID, uint64(1), nil)
			case Rows:
				x.Answer(c.ID, rows, nil)
			case Collect:
				x.Answer(c.ID, []Letter(nil), nil)
			default:
				x.Answer(c.ID, nil, nil)
			}
		}
	}
}

// looked is the one Look that has come since; runs that were sent and done are noted.
func (x *table) looked(want bool) (l Look, sent []uint64, done bool) {
	x.t.Helper()
	n := 0
	for _, o := range x.Machine.Take() {
		switch o := o.(type) {
		case Look:
			l = o
			n++
		case Send:
			if _, ok := o.Frame.Body.(*wire.Run); ok {
				sent = append(sent, o.Peer)
			}
		case Done:
			done = true
			if len(o.Refused) > 0 {
				x.t.Errorf("a shared run is refused: %v", o.Refused)
			}
		}
	}
	if (n == 1) != want || n > 1 {
		x.t.Fatalf("asked where a run has to go %d times, want %v", n, want)
	}
	return l, sent, done
}

func (x *table) frameOf(p uint64, b wire.Body) {
	x.Frame(p, wire.Frame{Number: x.peers[p].have + 1, Body: b})
}

func shared(topic string) *wire.Run {
	return &wire.Run{QoS: 1, Topic: topic, From: "p", Groups: []string{"$share/g/" + topic}, Payloads: [][]byte{{'x'}}}
}

// TestSharedRunIsPassedOn: who has no member says so, and is not asked again; who takes it ends it; nothing of it waits for others of the same topic.
func TestSharedRunIsPassedOn(t *testing.T) {
	x := newTable(t, 2, 3)
	first, second := x.Publish(shared("t"), 0, false), x.Publish(shared("t"), 0, false)
	asked := 0
	for _, o := range x.Take() {
		if l, ok := o.(Look); ok {
			if asked++; len(l.Not) != 0 || len(l.Unlinked) != 0 {
				t.Errorf("at first: %+v", l)
			}
		}
	}
	if asked != 2 {
		t.Fatalf("%d of 2 runs are looked at", asked)
	}
	x.Targets(second, []uint64{3}, false)
	x.Targets(first, []uint64{2}, false)
	if _, sent, _ := x.looked(false); !slices.Equal(sent, []uint64{3, 2}) {
		t.Fatalf("sent to %v", sent)
	}
	x.frameOf(2, &wire.Settled{Refused: []wire.Refusal{{ID: first}}})
	l, _, _ := x.looked(true)
	if l.ID != first || len(l.Not) != 1 || !l.Not[2] {
		t.Fatalf("after a refusal: %+v", l)
	}
	x.Targets(first, nil, true)
	x.Shared(1, first, false)
	if l, _, _ = x.looked(true); !l.Not[1] || !l.Not[2] {
		t.Fatalf("after this node had no member: %+v", l)
	}
	x.Targets(first, []uint64{3}, false)
	x.looked(false)
	x.frameOf(3, &wire.Settled{Done: []uint64{first, second}})
	if _, _, done := x.looked(false); !done || len(x.runs) != 0 || x.oldest != 3 {
		t.Errorf("done %v, %d runs are left, the oldest is %d", done, len(x.runs), x.oldest)
	}
}

// TestSharedRunOutlivesItsNode: a node that dies without an answer is passed over as soon as it is buried, and nobody left ends the run.
func TestSharedRunOutlivesItsNode(t *testing.T) {
	x := newTable(t, 2, 3)
	id := x.Publish(shared("t"), 0, false)
	x.looked(true)
	x.LinkDown(3)
	x.Targets(id, []uint64{2}, false)
	x.Take()
	x.died(2)
	l, _, _ := x.looked(true)
	if !l.Not[2] || !slices.Equal(l.Unlinked, []uint64{3}) {
		t.Fatalf("after a burial: %+v", l)
	}
	x.Targets(id, []uint64{2}, false) // the host does not know yet that it is gone
	if l, _, _ = x.looked(true); !l.Not[2] {
		t.Fatalf("after a choice that is gone: %+v", l)
	}
	x.Targets(id, nil, false)
	if _, _, done := x.looked(false); !done {
		t.Error("nobody is left, and the run is not done")
	}
}

// TestSharedRunFromElsewhere: it is given to a member here, and its sender is told whether there was one.
func TestSharedRunFromElsewhere(t *testing.T) {
	x := newTable(t, 2)
	for i, taken := range []bool{true, false} {
		run := shared("t")
		run.ID, run.Oldest = uint64(i+1), 1
		x.frameOf(2, run)
		out := x.Take()
		at := slices.IndexFunc(out, func(o Output) bool { _, ok := o.(Share); return ok })
		if at < 0 {
			t.Fatalf("it is not given to anybody: %+v", out)
		}
		if s := out[at].(Share); s.From != 2 || s.Run.ID != run.ID {
			t.Errorf("%+v", s)
		}
		x.Shared(2, run.ID, taken)
		var got *wire.Settled
		for _, o := range x.Take() {
			if s, ok := o.(Send); ok {
				if b, ok := s.Frame.Body.(*wire.Settled); ok {
					got = b
				}
			}
		}
		if got == nil || (len(got.Done) == 1) != taken || (len(got.Refused) == 1) == taken {
			t.Errorf("taken %v is answered with %+v", taken, got)
		}
	}
}
