package broker

import (
	"errors"
	"slices"
	"sync"

	"picket/packet"
	"picket/store"
)

// reply is a packet for a client that has to wait until something is in the store, or for its turn behind others that have to.
type reply struct {
	after *store.Batch // nil: nothing
	also  *store.Batch // another one to wait for; nil: none
	far   *promise     // what other nodes have to do; nil: nothing

	follows bool        // what of after is refused since another node has a session is done by far
	kind    packet.Type // PUBACK, PUBREC, PUBREL or PUBCOMP
	code    packet.Code
	why     string // reason string of a code that is a failure
	ids     []uint16
	whole   packet.Packet // SUBACK or UNSUBACK, in place of the fields above
	then    []replay      // retained messages to send behind it
}

// settled tells whether the store has kept the batch, or refused it.
func settled(batch *store.Batch) bool { return batch == nil || batch.Settled() }

// owe sends an answer as soon as what it promises is in the store, and what was owed before has been sent (MQTT-4.6.0-2 to -4). The session's
// mutex is held.
func (w *worker) owe(c *connection, a reply) {
	if c.stage() >= closing {
		return
	}
	if c.owed == nil && settled(a.after) && settled(a.also) && a.far.settled() {
		w.give(c, &a)
		return
	}
	a.ids = slices.Clone(a.ids)
	if c.owed != nil {
		*c.owed = append(*c.owed, a)
		return
	}
	c.owed = &[]reply{a}
	w.giveSettled(c) // it may have been settled meanwhile
}

// give sends an answer whose time has come, or what became of it where the store has refused. The session's mutex is held.
func (w *worker) give(c *connection, a *reply) {
	err := refusalOf(a.after)
	if a.follows && errors.Is(err, store.ErrFenced) {
		err = nil
	}
	if err == nil {
		err = refusalOf(a.also)
	}
	if err == nil {
		err = a.far.refusal()
	}
	if a.whole != nil {
		if ack, ok := a.whole.(*packet.Suback); ok && err != nil {
			for i := range ack.Codes {
				if !ack.Codes[i].Failed() {
					ack.Codes[i] = storeCode(err)
				}
			}
			a.then = nil
		}
		w.append(c, a.whole)
		c.s.replay(a.then...)
		return
	}
	if err != nil {
		// Without a reason code, the client keeps the message and sends it again on its next connection.
		if c.v5() {
			w.acknowledgeAll(c, a.kind, storeCode(err), reasonString(storeCause(err), err.Error()), a.ids)
		}
		return
	}
	w.acknowledgeAll(c, a.kind, a.code, a.why, a.ids)
}

func refusalOf(batch *store.Batch) error {
	if batch == nil {
		return nil
	}
	return batch.Err()
}

// pendingAcks are what the store has just let go: connections whose next acknowledgement may be sent, and messages of QoS 2 that may go out. The
// store's goroutine, which must not wait for anybody, puts them here, and one of the broker's sends them. Whoever still waits is not here: it stands in the
// list of the batch that it waits for ([store.Batch.Await]).
type pendingAcks struct {
	wake chan struct{}

	mu     sync.Mutex
	owing  []*connection
	held   []*held
	failed chan struct{} // closed while the store fails
}

// held are messages of QoS 2 that may be sent when their batch is in the store.
type held struct {
	b        *Broker
	messages []heldMessages
}

// heldMessages are consecutive messages of one session.
type heldMessages struct {
	s           *Session
	first, last uint64 // sequence numbers
}

func (p *pendingAcks) init() {
	p.wake, p.failed = make(chan struct{}, 1), make(chan struct{})
}

func (p *pendingAcks) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Settled implements [store.Waiter]: the batch that the connection's next acknowledgement waits for.
func (c *connection) Settled() {
	p := &c.b.acks
	p.mu.Lock()
	p.owing = append(p.owing, c)
	p.mu.Unlock()
	p.signal()
}

func (h *held) Settled() {
	p := &h.b.acks
	p.mu.Lock()
	p.held = append(p.held, h)
	p.mu.Unlock()
	p.signal()
}

// take returns what may go, and leaves nothing.
func (p *pendingAcks) take() (owing []*connection, h []*held) {
	p.mu.Lock()
	defer p.mu.Unlock()
	owing, h = p.owing, p.held
	p.owing, p.held = nil, nil
	return owing, h
}

// works notes whether the store can be written.
func (p *pendingAcks) works(now bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.failed:
		if now {
			p.failed = make(chan struct{})
		}
	default:
		if !now {
			close(p.failed)
		}
	}
}

// done is a goroutine that waits for a batch.
type done chan struct{}

func (d done) Settled() { close(d) }

// await returns when a batch, which may be nil, is settled, or the broker stops; with briefly, also while the store fails, which then will do it some time.
func (b *Broker) await(batch *store.Batch, briefly bool) {
	d := make(done)
	if batch == nil || !batch.Await(d) {
		return
	}
	var failed chan struct{}
	if briefly {
		b.acks.mu.Lock()
		failed = b.acks.failed
		b.acks.mu.Unlock()
	}
	select {
	case <-d:
	case <-failed:
	case <-b.stopping:
	}
}

// hold notes that a session's message has to wait for the run's batch.
func (w *worker) hold(s *Session, seq uint64) {
	if w.held == nil {
		w.held = &held{b: w.b}
	}
	m := w.held.messages
	if n := len(m); n > 0 && m[n-1].s == s && m[n-1].last+1 == seq {
		m[n-1].last = seq
		return
	}
	w.held.messages = append(m, heldMessages{s: s, first: seq, last: seq})
}

// sendAcks runs until the broker stops: it sends what waited for the store.
func (b *Broker) sendAcks() {
	for {
		select {
		case <-b.stopping:
			return
		case <-b.acks.wake:
			b.do((*worker).settle)
		}
	}
}

func (w *worker) settle() {
	owing, all := w.b.acks.take()
	for _, h := range all {
		w.release(h)
	}
	for _, c := range owing {
		s := c.s
		s.mu.Lock()
		w.giveSettled(c)
		s.mu.Unlock()
	}
}

// release lets messages of QoS 2 go that are in the store now.
func (w *worker) release(h *held) {
	for _, m := range h.messages {
		m.s.mu.Lock()
		for seq := m.first; seq <= m.last; seq++ {
			m.s.out.Settle(seq)
		}
		if m.s.conn != nil {
			w.mark(m.s.conn)
		}
		m.s.mu.Unlock()
	}
}

// giveSettled sends what is owed to a client up to the first answer that has to wait, and has the connection told when that may go. The session's mutex is held.
func (w *worker) giveSettled(c *connection) {
	if c.owed == nil {
		return // it is gone
	}
	owed := *c.owed
	for len(owed) > 0 && !owed[0].waits(c) {
		if c.stage() < closing {
			w.give(c, &owed[0])
		}
		owed[0] = reply{}
		owed = owed[1:]
	}
	if *c.owed = owed; len(owed) == 0 {
		c.owed = nil
	}
}

// waits has the connection told when the next thing is settled that an answer waits for, and reports whether there is any.
func (r *reply) waits(c *connection) bool {
	return r.after != nil && r.after.Await(c) || r.also != nil && r.also.Await(c) || r.far.await(c)
}

// throttle holds publishers back while too much waits for the store or for other nodes: those whose messages these have to get.
type throttle struct {
	mu   sync.Mutex
	back []*connection
}

// behind tells whether too much waits for the store, or for other nodes.
func (b *Broker) behind() bool {
	return b.store.Full() || b.neighbours != nil && b.neighbours.peers.Full()
}

// holdBack stops reading from a connection until there is room, if the store is full.
func (b *Broker) holdBack(c *connection) {
	if !b.behind() {
		return
	}
	t := &b.throttle
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.throttled.Swap(true) {
		return
	}
	c.conn.Pause()
	t.back = append(t.back, c)
	if !b.behind() { // there was room in between, and nobody will say so again
		t.releaseLocked()
	}
}

func (t *throttle) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.releaseLocked()
}

func (t *throttle) releaseLocked() {
	for _, c := range t.back {
		c.throttled.Store(false)
		c.conn.Resume()
	}
	t.back = nil
}
