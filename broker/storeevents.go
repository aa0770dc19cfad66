package broker

import (
	"errors"
	"time"

	"picket/access"
	"picket/cause"
	"picket/packet"
	"picket/session"
	"picket/store"
	"picket/topic"
)

// storeEvents is the broker as its store sees it. All calls come one at a time: from [store.Store.Start], and then from the store's goroutine.
type storeEvents struct {
	b      *Broker
	loaded func(*Session) // while the broker starts: told of each session
	ended  []ending       // while the broker starts: what is to be ended when everything is there
}

// Session implements [store.Handler]. One whose client identifier the broker has by now is not taken: the store holds one session of each. One that is over
// passes on what it has left to others, and is gone.
func (e *storeEvents) Session(handle *store.Session, state store.State) {
	b := e.b
	s := b.restored(handle, &state)
	b.mu.Lock()
	if state.Record.Expiry == 0 && state.Record.Will == nil {
		e.drop(s)
		b.mu.Unlock()
		return
	}
	if old := b.sessions.byID[s.id]; old != nil && !e.replaces(s, old) {
		b.mu.Unlock()
		return
	}
	for filter, o := range s.subs.all() {
		b.memory.force(heldSubscriptions, subscriptionSize(filter))
		b.enters(filter, s, o)
	}
	b.sessions.enter(s)
	s.mu.Lock()
	s.awaitClient(state.Record.Will)
	b.schedule(s)
	s.mu.Unlock()
	b.mu.Unlock()
	if e.loaded != nil {
		e.loaded(s)
	} else if s.durable.unclean {
		b.saveOffline(s)
	}
}

// end has a session end in the store: now, or when everything is there while the broker starts.
func (e *storeEvents) end(one ending) {
	if e.loaded != nil {
		e.ended = append(e.ended, one)
	} else {
		e.b.wait.Go(func() { e.b.endStored(one) })
	}
}

// drop ends a session that the broker does not take: it is in no table yet. The broker's mutex is held.
func (e *storeEvents) drop(s *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.end(e.b.ends(s))
	s.out.Clear()
}

// replaces ends one of two sessions with the same client identifier, the older, where both are in the store while the broker starts: the last broker was killed when
// the second had begun and the end of the first was on its way. It reports whether s is the one that stays. The broker's mutex is held.
func (e *storeEvents) replaces(s, old *Session) bool {
	if e.loaded == nil {
		return false
	}
	if old.durable.handle.Number > s.durable.handle.Number {
		e.drop(s)
		return false
	}
	old.mu.Lock()
	defer old.mu.Unlock()
	old.will = nil
	e.end(e.b.finish(old))
	return true
}

// restored builds a session from what the store has of it.
func (b *Broker) restored(handle *store.Session, state *store.State) *Session {
	r, t := &state.Record, b.settings.Load()
	s := &Session{id: handle.ClientID, mount: r.Mount,
		expiry: t.longest(r.Expiry), durable: &durable{handle: handle, door: r.Listener, left: time.Unix(r.Offline, 0), unclean: r.Offline == 0}}
	if b.neighbours != nil {
		b.neighbours.coming(s)
	}
	last := max(r.Next, 1) - 1
	if state.Backlog.Entries > 0 {
		last = max(last, state.Backlog.Last)
	}
	k := session.Kept{Messages: state.Backlog.Entries, Bytes: int(state.Backlog.Bytes), First: state.Backlog.First, Last: last, Sent: max(r.Sent, 1) - 1}
	if s.durable.unclean {
		s.durable.left = b.now()
		k.Sent = last // anything may have been sent
	}
	s.out = session.Restore(k, t.sessionLimits(t.window), &b.queued)
	for filter, o := range state.Subscriptions {
		s.subs.set(filter, o)
		if _, _, shared := topic.SplitShare(filter); shared {
			s.out.Shared = true
		}
	}
	for _, id := range state.Received {
		s.in.Receive(id)
	}
	if r.Listener == listenerKey(b.links) && !r.Named {
		s.rules.Store(access.Trusted(s.id))
	} else {
		s.rules.Store(t.policies[b.securityOf(t, s.door())].Client(access.Login{ClientID: s.id, HasUsername: r.Named, Username: r.User, Certified: r.Certified}, access.Decision{}))
	}
	return s
}

// awaitClient notes when a session without a connection, which has come from the store with its will, publishes that and ends. Its mutex is held.
func (s *Session) awaitClient(w *store.Will) {
	if w != nil {
		s.will = &will{message: w.Message, expiry: w.Expiry, expires: w.Expires, delay: w.Delay}
		if w.Due != 0 {
			s.due.will = momentOf(time.Unix(w.Due, 0))
		} else {
			s.due.will = momentOf(s.durable.left.Add(time.Duration(min(w.Delay, s.expiry)) * time.Second))
		}
	}
	if s.expiry != neverExpires {
		s.due.expiry = momentOf(s.durable.left.Add(time.Duration(s.expiry) * time.Second))
	}
}

func (e *storeEvents) Retained(name string, m *session.Message) {
	e.b.retained.load(name, m)
}

func (e *storeEvents) Room() { e.b.throttle.release() }

// Health implements [store.Handler]. The store has said it in the log.
func (e *storeEvents) Health(err error) {
	if err == nil {
		e.b.ailing.Store(nil)
		e.b.acks.works(true)
		e.b.retained.settled()
		return
	}
	id := storeCause(err)
	e.b.ailing.Store(&id)
	e.b.acks.works(false)
}

// Failed implements [store.Handler]: what the batch stands for is undone.
func (e *storeEvents) Failed(batch *store.Batch, err error) {
	b := e.b
	b.failures.Add(1) // before anything is taken out: those who read queues look at it after they have read
	if errors.Is(err, store.ErrFenced) {
		b.lost(batch)
		return
	}
	n := 0
	for op := range batch.Ops() {
		switch op.Kind {
		case store.Enqueue, store.Receive, store.Subscribe:
			s := b.sessionOf(op.Session)
			if s == nil {
				continue
			}
			s.mu.Lock()
			switch op.Kind {
			case store.Enqueue:
				n++
				s.durable.refs.take(op.Ref.Seq)
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
			b.retained.undo(op.Message, op.Old)
		}
	}
	if n > 0 {
		b.report(incident{cause: storeCause(err), count: n}, "")
	}
}

// sessionOf finds the session that a handle of the store's stands for; nil: it is over. The handle is a name and knows nobody, so that there is one place that
// says who has a session: the broker's table. No mutex may be held.
func (b *Broker) sessionOf(h *store.Session) *Session {
	s := b.session(h.ClientID)
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.durable == nil || s.durable.handle != h {
		return nil
	}
	return s
}

// unsubscribed undoes a subscription that could not be stored, unless it has been changed since. The session's mutex is held.
func (b *Broker) unsubscribed(s *Session, op *store.Op) {
	filter := op.Sub.Filter
	if now, ok := s.subs.get(filter); !ok || now != op.Sub.Options {
		return
	}
	if op.OldSub != nil {
		s.subs.set(filter, *op.OldSub)
		b.enters(filter, s, *op.OldSub)
		return
	}
	b.removeSubscription(s, filter)
}

// storeCode is the reason code for what the store, or another node, has refused.
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
	if far := (*NodeError)(nil); errors.As(err, &far) {
		return far.Cause
	}
	return cause.StoreFailed
}
