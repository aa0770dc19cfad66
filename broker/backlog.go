package broker

import (
	"errors"
	"time"

	"picket/cause"
	"picket/session"
	"picket/store"
)

// readAtOnce bounds what is read of a session's queue at a time, and so what of it is in memory.
var readAtOnce = store.Limit{Entries: 256, Bytes: 64 << 10}

// maxReaders is how many goroutines read queues from the store at once.
const maxReaders = 8

// readBehind brings what waits for the client in the store only, when its turn has come. The session's mutex is held.
func (w *worker) readBehind(s *Session) {
	if !s.stored() {
		return
	}
	r, ok := s.out.Read()
	if !ok {
		return
	}
	b := w.b
	w.later = append(w.later, func() {
		b.wait.Go(func() {
			select {
			case b.readers <- struct{}{}:
			case <-b.stopping:
				return
			}
			defer func() { <-b.readers }()
			b.readQueue(s, r)
		})
	})
}

// readQueue reads a piece of a session's queue and puts it into its outbox.
func (b *Broker) readQueue(s *Session, r session.Reading) {
	for {
		failures := b.failures.Load()
		entries, more, err := b.store.Read(b.context, s.durable.handle, r.After+1, readAtOnce, nil)
		switch {
		case errors.Is(err, store.ErrClosed) || b.context.Err() != nil:
			return
		case err != nil:
			if !b.pause(time.Second) { // the store says in the log what is wrong
				return
			}
			s.mu.Lock()
			wanted := s.out.Wants(r)
			s.mu.Unlock()
			if !wanted {
				return
			}
			continue
		}
		n := 0
		for n < len(entries) && entries[n].Seq <= r.UpTo {
			n++
		}
		whole := n < len(entries) || !more
		if n == 0 && !whole {
			// The next one is in a batch that a worker is about to hand over.
			if !b.pause(time.Millisecond) {
				return
			}
			continue
		}
		// What is not in the store yet may still be refused, and a message of QoS 2 must not be sent before.
		for i := range entries[:n] {
			b.await(entries[i].Batch, false)
		}
		if b.context.Err() != nil {
			return
		}
		if b.fill(s, r, entries[:n], whole, failures) {
			return
		}
	}
}

// fill puts what was read into the session's outbox, unless something was refused meanwhile, which may have been among it.
func (b *Broker) fill(s *Session, r session.Reading, entries []store.Entry, whole bool, failures uint64) (filled bool) {
	filled = true
	b.do(func(w *worker) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.over || !s.out.Wants(r) {
			return
		}
		if filled = b.failures.Load() == failures; !filled {
			return
		}
		var ds []session.Delivery
		for i := range entries {
			e := &entries[i]
			s.durable.refs.add(e.Ref)
			if e.Damaged {
				s.out.Drop(e.Seq, 0)
				w.done(s, e.Seq, 1)
				b.report(incident{cause: cause.PersistenceCorrupt}, "")
				continue
			}
			ds = append(ds, e.Delivery)
		}
		s.out.Fill(r, ds, whole)
		if s.conn != nil {
			w.mark(s.conn)
		}
	})
	return filled
}

// expiryStep is how many expired messages are taken out of the store at a time.
const expiryStep = 1000

// purge runs until the broker stops: each second, it removes the messages whose expiry interval has passed (MQTT-3.3.2-5): those that are stored, and those that are retained
// without a store.
func (b *Broker) purge() {
	for b.pause(time.Second) {
		b.sweepRetained()
		for {
			expired, err := b.store.Expired(b.context, b.unix.Load(), expiryStep)
			if err != nil || len(expired) == 0 {
				break // the store says in the log what is wrong
			}
			b.do(func(w *worker) {
				for i := range expired {
					w.expire(&expired[i])
				}
			})
			if len(expired) < expiryStep {
				break
			}
			if err := b.store.Sync(b.context); err != nil { // what has been answered is not listed again
				break
			}
		}
	}
}

// sweepRetained removes the retained messages that no store lists and whose expiry interval has passed.
func (b *Broker) sweepRetained() {
	for {
		n := b.retained.sweep(b.unix.Load(), expiryStep)
		for range n {
			b.report(incident{cause: cause.MessageExpired}, "")
		}
		if n < expiryStep {
			return
		}
	}
}

// expire removes an expired message, unless it is on its way to its client already.
func (w *worker) expire(e *store.Expired) {
	b := w.b
	if e.Session == nil {
		if m := b.retained.get(e.Topic); m != nil && b.expired(m) {
			b.forget(m)
		}
		return
	}
	s := b.sessionOf(e.Session)
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.out.Reading() {
		return // it will be listed again
	}
	if s.durable.refs.find(e.Ref.Seq) != nil || s.out.Begun(e.Ref.Seq) {
		w.leftovers().Keep(s.durable.handle, e.Ref) // the outbox drops it when its turn comes, or it has been sent and will be sent again
		return
	}
	s.out.Drop(e.Ref.Seq, e.Bytes)
	w.leftovers().Remove(s.durable.handle, e.Ref)
	b.report(incident{cause: cause.MessageExpired}, "")
}
