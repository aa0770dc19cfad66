package broker

import (
	"errors"
	"sync"
	"sync/atomic"

	"picket/cause"
	"picket/packet"
	"picket/session"
	"picket/store"
)

// promises is what waits for the store: answers to clients, messages of QoS 2, and goroutines.
type promises struct {
	upTo atomic.Uint64 // the ticket up to which everything is settled
	wake chan struct{}

	mu      sync.Mutex
	owing   []*connection // those that have something to wait for
	held    []held
	changed chan struct{} // closed when upTo rises, or the store fails
}

// held are messages of QoS 2 that may be sent when they are in the store.
type held struct {
	s           *Session
	after       *store.Batch
	first, last uint64 // sequence numbers
}

func (p *promises) init() {
	p.wake, p.changed = make(chan struct{}, 1), make(chan struct{})
}

func (p *promises) settled() store.Ticket { return store.Ticket(p.upTo.Load()) }

func (p *promises) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *promises) owe(c *connection) {
	p.mu.Lock()
	p.owing = append(p.owing, c)
	p.mu.Unlock()
	p.signal() // it may have been settled meanwhile
}

func (p *promises) hold(h []held) {
	p.mu.Lock()
	p.held = append(p.held, h...)
	p.mu.Unlock()
	p.signal()
}

// take returns what waits, and leaves nothing.
func (p *promises) take() (owing []*connection, h []held) {
	p.mu.Lock()
	defer p.mu.Unlock()
	owing, h = p.owing, p.held
	p.owing, p.held = nil, nil
	return owing, h
}

// rise notes how far the store has come.
func (p *promises) rise(upTo store.Ticket) {
	p.upTo.Store(uint64(upTo))
	p.stir()
	p.signal()
}

// stir has the goroutines look that wait.
func (p *promises) stir() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.changed)
	p.changed = make(chan struct{})
}

// await returns when a ticket is settled, or the broker stops; with briefly, also while the store fails, which then will do it some time.
func (b *Broker) await(t store.Ticket, briefly bool) {
	p := &b.promises
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		if t <= p.settled() || briefly && b.ailing.Load() != nil {
			return
		}
		select {
		case <-changed:
		case <-b.stopping:
			return
		}
	}
}

// hold notes that a session's message has to wait for the run's batch.
func (w *worker) hold(s *Session, seq uint64) {
	if n := len(w.held); n > 0 && w.held[n-1].s == s && w.held[n-1].last+1 == seq {
		w.held[n-1].last = seq
		return
	}
	w.held = append(w.held, held{s: s, first: seq, last: seq})
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
	p := &w.b.promises
	owing, waiting := p.take()
	var left []held
	for _, h := range waiting {
		if !w.b.settled(h.after) {
			left = append(left, h)
			continue
		}
		h.s.mu.Lock()
		for seq := h.first; seq <= h.last; seq++ {
			h.s.out.Settle(seq)
		}
		if h.s.conn != nil {
			w.mark(h.s.conn)
		}
		h.s.mu.Unlock()
	}
	var still []*connection
	for _, c := range owing {
		s := c.s
		s.mu.Lock()
		if w.giveSettled(c) {
			still = append(still, c)
		}
		s.mu.Unlock()
	}
	if len(left)+len(still) > 0 {
		p.mu.Lock()
		p.owing, p.held = append(still, p.owing...), append(left, p.held...)
		p.mu.Unlock()
	}
}

// giveSettled sends what is owed to a client and has been settled, and reports whether more is owed. The session's mutex is held.
func (w *worker) giveSettled(c *connection) (more bool) {
	if c.owed == nil {
		return false // it is gone
	}
	owed := *c.owed
	for len(owed) > 0 && w.b.settled(owed[0].after) && w.b.settled(owed[0].also) {
		if !c.gone && !c.closeAfter {
			w.give(c, &owed[0])
		}
		owed[0] = reply{}
		owed = owed[1:]
	}
	if *c.owed = owed; len(owed) == 0 {
		c.owed = nil
	}
	return len(owed) > 0
}

// storeCode is the reason code for what the store has refused.
func storeCode(err error) packet.Code {
	if errors.Is(err, store.ErrFull) {
		return packet.QuotaExceeded
	}
	return packet.ImplementationSpecificError
}

// storeCause is the cause for what the store has refused.
func storeCause(err error) cause.ID {
	if errors.Is(err, store.ErrFull) {
		return cause.DiskFull
	}
	return cause.StoreFailed
}

// keeper is the broker as its store sees it.
type keeper struct {
	b *Broker
	// refused are retained messages that could not be stored and had been replaced by then, each with what was there before: what has replaced it, and is
	// refused too, has to give way to that. Only the store's goroutine looks at it.
	refused map[*session.Message]*session.Message
}

func newKeeper(b *Broker) keeper {
	return keeper{b: b, refused: make(map[*session.Message]*session.Message)}
}

// Committed implements [store.Handler].
func (k keeper) Committed(upTo store.Ticket) { k.b.promises.rise(upTo) }

// Room implements [store.Handler].
func (k keeper) Room() { k.b.throttle.release() }

// Health implements [store.Handler]. The store has said it in the log.
func (k keeper) Health(err error) {
	if err == nil {
		k.b.ailing.Store(nil)
		clear(k.refused) // what replaced them has been settled by now
		return
	}
	id := storeCause(err)
	k.b.ailing.Store(&id)
	k.b.promises.stir()
}

// Failed implements [store.Handler]: what the batch stands for is undone.
func (k keeper) Failed(_ store.Ticket, batch *store.Batch, err error) {
	b := k.b
	b.failures.Add(1) // before anything is taken out: those who read queues look at it after they have read
	n := 0
	for op := range batch.Ops() {
		switch op.Kind {
		case store.Enqueue, store.Receive, store.Subscribe:
			s, _ := op.Session.Owner.(*Session)
			if s == nil {
				continue
			}
			s.mu.Lock()
			switch op.Kind {
			case store.Enqueue:
				n++
				s.kept.refs.take(op.Ref.Seq)
				size := 0
				if m := op.Delivery.Message; m != nil {
					size = len(m.Payload)
				}
				s.out.Drop(op.Ref.Seq, size)
			case store.Receive:
				s.in.Release(op.PacketID)
			default:
				b.unsubscribed(s, op)
			}
			s.mu.Unlock()
		case store.Retain:
			n++
			k.unretained(op.Message, op.Old)
		}
	}
	if n > 0 {
		b.report(incident{cause: storeCause(err), count: n}, "")
	}
}

// unsubscribed undoes a subscription that could not be stored, unless it has been changed since. The session's mutex is held.
func (b *Broker) unsubscribed(s *Session, op *store.Op) {
	filter := op.Sub.Filter
	if now, ok := s.subs[filter]; !ok || now != op.Sub.Options {
		return
	}
	if op.OldSub != nil {
		s.subs[filter] = *op.OldSub
		b.index.Subscribe(filter, s, *op.OldSub)
		return
	}
	delete(s.subs, filter)
	b.index.Unsubscribe(filter, s)
}

// unretained undoes a retained message that could not be stored, unless another has taken its place. old is the one that it had replaced, or nil.
func (k keeper) unretained(m, old *session.Message) {
	b := k.b
	if before, ok := k.refused[old]; ok {
		delete(k.refused, old)
		old = before
	}
	b.retainMu.Lock()
	defer b.retainMu.Unlock()
	if _, ok := b.retained.DeleteIf(m.Topic, func(now *session.Message) bool { return now == m }); !ok {
		k.refused[m] = old
		return
	}
	b.retainedBytes.Add(-int64(m.Size()))
	if old != nil {
		b.retained.Set(m.Topic, old)
		b.retainedBytes.Add(int64(old.Size()))
	}
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
