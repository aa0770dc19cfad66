package broker

import (
	"fmt"
	"testing"

	"picket/cluster/wire"
	"picket/packet"
	"picket/store"
	"picket/topic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// publication is a run that a broker has given to its cluster.
type publication struct {
	run  *wire.Run
	had  uint64
	here func(tell func(elsewhere []string))
	done func(refused []string, err error)
}

// elsewhere is what the broker tells of the run's way at its own node.
func (p *publication) elsewhere() string {
	if p.here == nil {
		return "nothing"
	}
	told := make(chan []string, 1)
	p.here(func(all []string) { told <- all })
	return fmt.Sprint(<-told)
}

// recordedPeers is a cluster of which the test says what it does.
type recordedPeers chan *publication

func (recordedPeers) Want(string)                                    {}
func (recordedPeers) Unwant(string)                                  {}
func (recordedPeers) Confirm(done func(error))                       { go done(nil) }
func (recordedPeers) Offer(*wire.Run, uint64, func([]string, error)) {}
func (recordedPeers) Loose(uint64, []byte, int) bool                 { return true }
func (recordedPeers) IsLeased() bool                                 { return true }
func (recordedPeers) Full() bool                                     { return false }
func (p recordedPeers) Publish(r *wire.Run, had uint64, here func(func([]string)), done func([]string, error)) {
	p <- &publication{r, had, here, done}
}

// TestWhoHasJustComeIsGivenRunsInTheirTurn: a session that comes from another node gets what is published here by way of the cluster until it is placed, and what its publisher has under way is settled; then at once. What
// has gone to another node is asked for where it is.
func TestWhoHasJustComeIsGivenRunsInTheirTurn(t *testing.T) {
	var x *bench
	c, peers := &commons{others: make(map[string]store.State), fenced: make(map[string]bool)}, make(recordedPeers, 10)
	x = newStoredWith(t, vfs.NewMem(), func(s store.Store) store.Store { c.Store = s; return c }, func(conf *Config) {
		conf.Ownership, conf.Peers = claims(func(clientID string) error { return own(x.b, clientID) }), peers
	})
	n := x.b.Neighbours()
	c.others["s"] = store.State{Record: store.Record{Expiry: neverExpires, Offline: 1}, Subscriptions: map[string]topic.Options{"t": {QoS: 1}}}
	p := persistent("s")
	p.CleanStart = false
	s, from := x.connect(t, packet.V5, p), x.connect(t, packet.V5, persistent("p"))
	s.expect()
	from.expect()
	publish := func(id uint16, text string) *publication {
		t.Helper()
		from.send(&packet.Publish{Topic: []byte("t"), Payload: []byte(text), QoS: 1, ID: id})
		return <-peers
	}
	acknowledged := func(id uint16, pub *publication) {
		t.Helper()
		pub.done(nil, nil)
		if ack, ok := from.expect().(*packet.Ack); !ok || ack.ID != id || ack.Code != packet.Success {
			t.Errorf("%+v", ack)
		}
	}
	gets := func(text string) {
		t.Helper()
		m, ok := s.expect().(*packet.Publish)
		if !ok || string(m.Payload) != text {
			t.Fatalf("%+v, want %s", m, text)
		}
		s.send(&packet.Ack{Kind: packet.PUBACK, ID: m.ID})
	}
	deliver := func(pub *publication, since, upto uint64) string {
		t.Helper()
		told := make(chan []string, 1)
		n.Deliver(1, pub.run, since, upto, func(all []string, _ string) { told <- all })
		return fmt.Sprint(<-told)
	}
	one := publish(1, "one")
	if got := one.elsewhere(); got != "[s]" || one.had != 1 {
		t.Errorf("before it is placed: elsewhere %s, had %d", got, one.had)
	}
	if _, here := n.Look(one.run, one.had); !here {
		t.Error("a session that has come is not seen")
	}
	if got := deliver(one, 1, 1); got != "[s]" {
		t.Errorf("what came before it was placed: elsewhere %s", got)
	}
	n.Placed("s", 2)
	two := publish(2, "two") // behind the first, which is under way
	if got := two.elsewhere(); got != "nothing" || two.had != 1 {
		t.Errorf("behind what is under way: elsewhere %s, had %d", got, two.had)
	}
	for _, pub := range []*publication{one, two} {
		if got := deliver(pub, pub.had, 2); got != "[]" {
			t.Errorf("elsewhere %s", got)
		}
	}
	gets("one")
	gets("two")
	acknowledged(1, one)
	acknowledged(2, two)
	three := publish(3, "three")
	if got := three.elsewhere(); got != "[]" || three.had != 2 {
		t.Errorf("when nothing is under way: elsewhere %s, had %d", got, three.had)
	}
	gets("three")
	if got := deliver(three, 2, 2); got != "[]" {
		t.Errorf("elsewhere %s", got)
	}
	acknowledged(3, three)
	// Another node takes it: first the store says so, then it is known here.
	c.mu.Lock()
	c.fenced["s"] = true
	c.mu.Unlock()
	four := publish(4, "four")
	if got := four.elsewhere(); got != "[s]" {
		t.Errorf("what the store has refused: elsewhere %s", got)
	}
	gets("four")
	s.takenOver()
	acknowledged(4, four)
	five := publish(5, "five")
	if got := five.elsewhere(); got != "[s]" {
		t.Errorf("when it has gone: elsewhere %s", got)
	}
	acknowledged(5, five)
	x.b.Forget("s")
	within(t, "its filters are withdrawn", func() bool { return len(x.b.matching("t")) == 0 })
}
