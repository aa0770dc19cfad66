package broker

import (
	"context"
	"maps"
	"slices"

	"picket/cause"
	"picket/packet"
	"picket/store"
)

// Ownership decides which of several nodes has a session. What it decides it tells by [Broker.Own], [Broker.Release] and [Broker.Forget].
type Ownership interface {
	// Claim makes this node the owner of the session known under a client identifier: when it returns without an error, [Broker.Own] has been called and what that said is done.
	// It is called when a client has been authenticated, with reading from it paused and no lock held, and may take its time: others go on. An error refuses the client, which
	// may try again.
	Claim(ctx context.Context, clientID string) error
	// Lost says that the store has refused something since another node has the session, whose fence here was the one named. It is called by the store's goroutine, and must
	// not block.
	Lost(clientID string, fence uint64)
}

// possessions are the client identifiers that are this node's, where there are several. The broker's mutex guards it.
type possessions struct {
	mine  map[string]bool     // nil: all are, since there are no other nodes
	moved map[string]*Session // those that another node has, and whose filters are not withdrawn yet
}

// has tells whether a client identifier is this node's. The broker's mutex is held.
func (o *possessions) has(clientID string) bool { return o.mine == nil || o.mine[clientID] }

// owns tells whether a session is this node's.
func (b *Broker) owns(clientID string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.owners.has(clientID)
}

// owns has the session of a client claimed for this node, and reports whether it is this node's already. If not, then is called when it may be.
func (c *connection) owns(w *worker, a *attempt, then func(w *worker)) bool {
	b, id := c.b, a.login.ClientID
	if b.owns(id) {
		return true
	}
	var err error
	c.elsewhere(w, func() { err = b.ownership.Claim(b.context, id) }, func(w *worker) {
		if err != nil {
			c.refuse(w, refusal{code: packet.ServerUnavailable, id: storeCause(err), text: "the session cannot be had: " + err.Error()})
			return
		}
		then(w)
	})
	return false
}

// Own makes a session this node's, with a fence that is higher than any it had: what the node before has stored of it is read, and then is called, by another goroutine. Until
// it has returned without an error, clients wait. It does not block.
func (b *Broker) Own(clientID string, fence uint64, then func(error)) {
	b.wait.Go(func() {
		// What is here of the session is older than what has come.
		b.do(func(w *worker) { b.depart(w, clientID, false) })
		done := func(err error) {
			if err == nil {
				b.mu.Lock()
				b.owners.mine[clientID] = true
				b.mu.Unlock()
			}
			then(err)
		}
		shared, ok := b.store.(store.Shared)
		if !ok {
			done(nil)
			return
		}
		if err := shared.Own(clientID, fence, done); err != nil {
			then(err)
		}
	})
}

// Release lets a session go that another node takes: its client is told so, nothing is delivered to it any more, and then is called, by another goroutine, when the store has all that
// was for it. Its filters stay until [Broker.Forget], so that it is known that what matches them is meant for the session. It does not block.
func (b *Broker) Release(clientID string, then func(error)) {
	b.wait.Go(func() {
		b.do(func(w *worker) { b.depart(w, clientID, true) })
		shared, ok := b.store.(store.Shared)
		if !ok {
			then(nil)
			return
		}
		if err := shared.Let(clientID, then); err != nil {
			then(err)
		}
	})
}

// Forget withdraws the filters of a session that was let go of.
func (b *Broker) Forget(clientID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.withdrawMoved(clientID)
}

// withdrawMoved withdraws the filters of a session that was let go of. The broker's mutex is held.
func (b *Broker) withdrawMoved(clientID string) {
	s := b.owners.moved[clientID]
	if s == nil {
		return
	}
	delete(b.owners.moved, clientID)
	s.mu.Lock()
	defer s.mu.Unlock()
	b.withdraw(s)
}

// Serve has the store write as an incarnation of this node, which has just joined.
func (b *Broker) Serve(incarnation uint64) {
	if shared, ok := b.store.(store.Shared); ok {
		shared.Serve(incarnation)
	}
}

// Fenced lets go of everything that is shared with other nodes, since they have taken this one for dead and have its sessions by now: their clients have to go.
func (b *Broker) Fenced() {
	b.Serve(0)
	b.mu.Lock()
	all := slices.Concat(slices.Collect(maps.Keys(b.owners.mine)), slices.Collect(maps.Keys(b.owners.moved)))
	b.mu.Unlock()
	b.do(func(w *worker) {
		for _, clientID := range all {
			b.depart(w, clientID, false)
			b.Forget(clientID)
		}
	})
	if shared, ok := b.store.(store.Shared); ok {
		for _, clientID := range all {
			if shared.Let(clientID, func(error) {}) != nil {
				return
			}
		}
	}
}

// depart takes a session away from this node, if it has it. keep has the store know where it stands, for the node that takes it; without that, another one has it already.
func (b *Broker) depart(w *worker, clientID string, keep bool) {
	b.mu.Lock()
	delete(b.owners.mine, clientID)
	b.withdrawMoved(clientID)
	s := b.sessions.byID[clientID]
	if s == nil || s.inside != nil {
		b.mu.Unlock()
		return
	}
	s.mu.Lock()
	b.sessions.leave(clientID)
	c := s.conn
	if c != nil {
		b.takenOver(w, s, c)
		s.conn = nil
		b.online.Add(-1)
		s.durable.disconnected(b.now())
	}
	if keep && c != nil && s.will != nil && s.will.delay == 0 && !b.settings.Load().Compat.TakeoverCancelsWill {
		w.wills = append(w.wills, s.takeWill()) // as in claim
	}
	var ended ending
	if keep && !s.survives() {
		s.will = nil
		ended = b.finish(s)
	} else {
		if keep {
			b.save(s)
		}
		b.leave(s)
	}
	s.mu.Unlock()
	b.mu.Unlock()
	w.publishWills()
	b.endStored(ended)
}

// leave has nothing of a session be in memory any more but its filters. Both mutexes are held.
func (b *Broker) leave(s *Session) {
	s.over, s.moved, s.will = true, true, nil
	s.out.Clear()
	s.durable.forgetRefs()
	b.forgetReplays(s)
	b.cancel(s)
	b.owners.moved[s.id] = s
}

// lost takes sessions away of which the store has refused something, since another node has them. It is called by the store's goroutine.
func (b *Broker) lost(batch *store.Batch) {
	told := make(map[*store.Session]bool)
	for op := range batch.Ops() {
		h := op.Session
		if told[h] {
			continue
		}
		told[h] = true
		if b.sessionOf(h) == nil {
			continue
		}
		b.ownership.Lost(h.ClientID, h.Fence)
		b.report(incident{cause: cause.SessionTakenOver}, "Client %s: another node has its session.", h.ClientID)
		b.wait.Go(func() {
			if b.sessionOf(h) != nil {
				b.do(func(w *worker) { b.depart(w, h.ClientID, false) })
			}
		})
	}
}
