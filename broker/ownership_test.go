package broker

import (
	"context"
	"sync"
	"testing"

	"picket/packet"
	"picket/session"
	"picket/store"
	"picket/topic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// claims is what a test says of who owns a session.
type claims func(clientID string) error

func (c claims) Claim(_ context.Context, clientID string) error { return c(clientID) }

func (claims) Lost(string, uint64) {}

func (claims) Drop(string, uint64) {}

// own makes a session this node's.
func own(b *Broker, clientID string) error {
	done := make(chan error, 1)
	b.Own(clientID, 1, func(err error) { done <- err })
	return <-done
}

// commons is a store that nodes share, of whom the others are made up by the test.
type commons struct {
	handing
	mu     sync.Mutex
	others map[string]store.State // what another node has stored
	fenced map[string]bool        // client identifiers that another node has taken
	let    []string
}

// newCommons starts a broker with one, and with ownership of whatever it is asked for.
func newCommons(t *testing.T, claim claims) (*bench, *commons) {
	t.Helper()
	c := &commons{others: make(map[string]store.State), fenced: make(map[string]bool)}
	var x *bench
	if claim == nil {
		claim = func(clientID string) error { return own(x.b, clientID) }
	}
	x = newStoredWith(t, vfs.NewMem(), func(s store.Store) store.Store { c.Store = s; return c }, func(conf *Config) { conf.Ownership = claim })
	return x, c
}

func (c *commons) Serve(uint64) {}

func (c *commons) Own(clientID string, fence uint64, then func(error)) error {
	c.mu.Lock()
	state, ok := c.others[clientID]
	delete(c.others, clientID)
	delete(c.fenced, clientID)
	c.mu.Unlock()
	if ok {
		h := c.NewSession(clientID)
		h.Fence = fence
		c.to.Session(h, state)
	}
	then(nil)
	return nil
}

func (c *commons) Let(clientID string, then func(error)) error {
	err := c.Sync(context.Background())
	c.mu.Lock()
	c.let = append(c.let, clientID)
	c.mu.Unlock()
	then(err)
	return nil
}

// Commit refuses what belongs to sessions that another node has.
func (c *commons) Commit(b *store.Batch) bool {
	c.mu.Lock()
	fenced := make(map[*store.Session]bool)
	for op := range b.Ops() {
		if op.Session != nil && c.fenced[op.Session.ClientID] {
			fenced[op.Session] = true
		}
	}
	c.mu.Unlock()
	if lost := b.Fence(fenced); lost != nil {
		go c.to.Failed(lost, store.ErrFenced)
	}
	return c.Store.Commit(b)
}

// TestSessionsAreClaimed has a session come from another node, which takes its time: others go on meanwhile, and one that cannot be had is refused.
func TestSessionsAreClaimed(t *testing.T) {
	asked, answer := make(chan string), make(chan error)
	var x *bench
	x, c := newCommons(t, func(clientID string) error {
		if clientID == "moves" {
			asked <- clientID
			if err := <-answer; err != nil {
				return err
			}
		}
		return own(x.b, clientID)
	})
	c.others["moves"] = store.State{Record: store.Record{Expiry: neverExpires, Offline: 1}, Subscriptions: map[string]topic.Options{"t": {QoS: 1}}, Received: []uint16{9}}
	connect := func() *peer {
		p := persistent("moves")
		p.CleanStart = false
		moves := x.connect(t, packet.V5, p)
		<-asked
		return moves
	}
	refused := connect()
	other := x.connect(t, packet.V5, persistent("other"))
	if ack, ok := other.expect().(*packet.Connack); !ok || ack.Code != packet.Success {
		t.Fatalf("%+v", ack)
	}
	answer <- store.ErrFailed
	if ack, ok := refused.expect().(*packet.Connack); !ok || ack.Code != packet.ServerUnavailable {
		t.Fatalf("%+v", ack)
	}
	moves := connect()
	answer <- nil
	if ack, ok := moves.expect().(*packet.Connack); !ok || !ack.SessionPresent {
		t.Fatalf("%+v", ack)
	}
	// It is this node's by now: nobody is asked.
	again := x.connect(t, packet.V5, persistent("moves"))
	if ack, ok := again.expect().(*packet.Connack); !ok || !ack.SessionPresent {
		t.Fatalf("%+v", ack)
	}
	other.send(&packet.Publish{Topic: []byte("t"), Payload: []byte("m"), QoS: 1, ID: 1})
	if m, ok := again.expect().(*packet.Publish); !ok || string(m.Payload) != "m" {
		t.Fatalf("%+v", m)
	}
}

// takenOver reads what a client gets whose session another node takes.
func (p *peer) takenOver() {
	p.t.Helper()
	d, ok := p.expect().(*packet.Disconnect)
	if !ok || d.Code != packet.SessionTakenOver {
		p.t.Errorf("%+v", d)
	}
}

// TestSessionIsLetGo gives a session to another node: its client is told, its will is published, and nothing of it is here any more but its filters. In the store nothing ends.
func TestSessionIsLetGo(t *testing.T) {
	for _, delay := range []uint32{0, 60} {
		x, c := newCommons(t, nil)
		watcher := x.connect(t, packet.V5, persistent("watcher"))
		watcher.expect()
		watcher.send(subscribeTo("will", 1))
		watcher.expect()
		p := persistent("moves")
		p.Will = &packet.Will{Topic: "will", Payload: []byte("gone"), QoS: 1, Props: (&packet.Properties{WillDelay: delay}).Set(packet.WillDelayInterval)}
		moves := x.connect(t, packet.V5, p)
		moves.expect()
		moves.send(subscribeTo("t", 1))
		moves.expect()
		watcher.send(&packet.Publish{Topic: []byte("t"), Payload: []byte("m"), QoS: 1, ID: 1})
		moves.expect()
		watcher.expect()
		done := make(chan error, 1)
		x.b.Release("moves", func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		moves.takenOver()
		if len(c.let) != 1 || c.let[0] != "moves" {
			t.Errorf("%v is let go of", c.let)
		}
		if delay == 0 {
			if m, ok := watcher.expect().(*packet.Publish); !ok || string(m.Payload) != "gone" {
				t.Errorf("%+v", m)
			}
		}
		if st := c.Stats(); st.Sessions != 2 || st.Entries < 1 || x.b.session("moves") != nil || x.b.online.Load() != 1 {
			t.Errorf("%+v, %d clients", st, x.b.online.Load())
		}
		if n := len(x.b.matching("t")); n != 1 {
			t.Errorf("%d sessions match before its filters are withdrawn", n)
		}
		x.b.Forget("moves")
		within(t, "its filters are withdrawn", func() bool { return len(x.b.matching("t")) == 0 })
		// What is stored of it is taken from there when it comes back.
		c.others["moves"] = store.State{Record: store.Record{Expiry: neverExpires, Offline: 1, Next: 2, Sent: 2}, Subscriptions: map[string]topic.Options{"t": {QoS: 1}}}
		p.CleanStart = false
		back := x.connect(t, packet.V5, p)
		if ack, ok := back.expect().(*packet.Connack); !ok || !ack.SessionPresent {
			t.Errorf("%+v", ack)
		}
	}
}

// matching are the sessions that a topic name matches.
func (b *Broker) matching(name string) map[*Session]bool {
	var m topic.Matches[*Session]
	b.index.Match([]byte(name), &m)
	all := make(map[*Session]bool)
	for _, x := range m.Plain {
		all[x.Key] = true
	}
	return all
}

// TestAnotherNodeHasTheSession has the store refuse what is for a session that another node has taken while this one stood still: its client is told, and nothing of it stays. Others, who
// get the same message, are not disturbed, and its publisher is told that not everybody has it.
func TestAnotherNodeHasTheSession(t *testing.T) {
	lost := make(chan string, 10)
	var x *bench
	x, c := newCommons(t, func(clientID string) error { return own(x.b, clientID) })
	x.b.ownership = watched{x.b.ownership, lost}
	var all []*peer
	for _, id := range []string{"stays", "taken"} {
		p := x.connect(t, packet.V5, persistent(id))
		p.expect()
		p.send(subscribeTo("t", 1))
		p.expect()
		all = append(all, p)
	}
	away := x.connect(t, packet.V5, persistent("away"))
	away.expect()
	away.send(subscribeTo("t", 1))
	away.expect()
	away.leave()
	c.mu.Lock()
	c.fenced["taken"], c.fenced["away"] = true, true
	c.mu.Unlock()
	publisher := x.connect(t, packet.V5, &packet.Connect{ClientID: "publisher", CleanStart: true})
	publisher.expect()
	publisher.send(&packet.Publish{Topic: []byte("t"), Payload: []byte("m"), QoS: 1, ID: 1})
	if ack, ok := publisher.expect().(*packet.Ack); !ok || !ack.Code.Failed() {
		t.Errorf("%+v", ack)
	}
	if m, ok := all[0].expect().(*packet.Publish); !ok || string(m.Payload) != "m" {
		t.Errorf("%+v", m)
	}
	if m, ok := all[1].expect().(*packet.Publish); !ok { // it was sent before it was known
		t.Errorf("%+v", m)
	}
	all[1].takenOver()
	for range 2 {
		<-lost
	}
	within(t, "the sessions are gone", func() bool { return x.b.session("taken") == nil && x.b.session("away") == nil })
	if x.b.session("stays") == nil || c.Stats().Sessions != 3 {
		t.Errorf("%+v", c.Stats())
	}
	// All the rest goes when the node has been taken for dead.
	x.b.Fenced()
	if d, ok := all[0].expect().(*packet.Disconnect); !ok || d.Code != packet.ServerShuttingDown {
		t.Errorf("%+v", d)
	}
	within(t, "nobody is there", func() bool { return x.b.SessionCount() == 0 && len(x.b.matching("t")) == 0 })
	if c.Stats().Sessions != 3 {
		t.Errorf("in the store something has ended: %+v", c.Stats())
	}
}

// watched is an ownership that says what is lost.
type watched struct {
	Ownership
	lost chan string
}

func (w watched) Lost(clientID string, _ uint64) { w.lost <- clientID }

func (c *commons) Changes(context.Context, uint64) ([]store.Changed, bool, error) {
	return nil, true, nil
}
func (c *commons) Newest(context.Context) (uint64, error)                         { return 0, nil }
func (c *commons) AllRetained(context.Context, func(*session.Message)) error      { return nil }
func (c *commons) Retained(context.Context, []string) ([]*session.Message, error) { return nil, nil }

var _ store.Shared = (*commons)(nil)

// TestClientIdentifiersAreGivenBack: one whose session has ended is nobody's after a while, and one that has a session stays.
func TestClientIdentifiersAreGivenBack(t *testing.T) {
	dropped := make(chan string, 10)
	var x *bench
	x, c := newCommons(t, func(clientID string) error { return own(x.b, clientID) })
	x.b.mu.Lock()
	x.b.ownership = dropping{x.b.ownership, dropped}
	x.b.mu.Unlock()
	stays := x.connect(t, packet.V5, persistent("stays"))
	stays.expect()
	for range 2 {
		goes := x.connect(t, packet.V311, &packet.Connect{ClientID: "goes", CleanStart: true})
		goes.expect()
		goes.leave()
		within(t, "it is gone", func() bool { return x.b.session("goes") == nil })
		x.b.dropIdle(x.b.now())
		if !x.b.owns("goes") {
			t.Fatal("it is given back at once")
		}
		x.b.dropIdle(x.b.now().Add(idleFor))
		if id := <-dropped; id != "goes" || x.b.owns("goes") || !x.b.owns("stays") {
			t.Fatalf("%s is given back", id)
		}
	}
	x.b.dropIdle(x.b.now().Add(idleFor))
	if len(dropped) > 0 || !x.b.owns("stays") {
		t.Error("what has a session is given back")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.let) != 2 {
		t.Errorf("the store has let go of %v", c.let)
	}
}

// dropping is an ownership that says what is dropped.
type dropping struct {
	Ownership
	dropped chan string
}

func (d dropping) Drop(clientID string, _ uint64) { d.dropped <- clientID }
