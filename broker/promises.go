package broker

import (
	"sync"

	"picket/store"
)

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
	p := &c.b.promises
	p.mu.Lock()
	p.owing = append(p.owing, c)
	p.mu.Unlock()
	p.signal()
}

func (h *held) Settled() {
	p := &h.b.promises
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
		b.promises.mu.Lock()
		failed = b.promises.failed
		b.promises.mu.Unlock()
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

// keepPromises runs until the broker stops: it sends what waited for the store.
func (b *Broker) keepPromises() {
	for {
		select {
		case <-b.stopping:
			return
		case <-b.promises.wake:
			b.do((*worker).settle)
		}
	}
}

func (w *worker) settle() {
	owing, all := w.b.promises.take()
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
	return r.after != nil && r.after.Await(c) || r.also != nil && r.also.Await(c)
}

// throttle holds publishers back while too much waits for the store.
type throttle struct {
	mu   sync.Mutex
	back []*connection
}

// holdBack stops reading from a connection until there is room, if the store is full.
func (b *Broker) holdBack(c *connection) {
	if !b.store.Full() {
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
	if !b.store.Full() { // there was room in between, and nobody will say so again
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
