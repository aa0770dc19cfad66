package broker

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"picket/cause"
	"picket/logging"
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
	// Drop says that there is no session under a client identifier of this node's, nor anything stored: it is nobody's from now on. It must not block.
	Drop(clientID string, fence uint64)
}

// possessions are the client identifiers that are this node's, where there are several. The broker's mutex guards them, but for the orders.
type possessions struct {
	mine   map[string]uint64    // with the fence of each; nil: all are, since there are no other nodes
	moved  map[string]*Session  // those that another node has, and whose filters are not withdrawn yet
	idle   map[string]time.Time // those without a session, and since when
	coming map[string]func()    // those that are being read from the store, and what is to be done then; nil: nothing
	orders orders
}

// orders are what the [Ownership] has told, which is done in its order.
type orders struct {
	mu   sync.Mutex
	todo []func()
	wake chan struct{}
}

// own has the broker obey an ownership.
func (o *possessions) own() {
	o.mine, o.moved, o.idle, o.coming = make(map[string]uint64), make(map[string]*Session), make(map[string]time.Time), make(map[string]func())
	o.orders.wake = make(chan struct{}, 1)
}

func (o *orders) put(f func()) {
	o.mu.Lock()
	o.todo = append(o.todo, f)
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *orders) take() []func() {
	o.mu.Lock()
	defer o.mu.Unlock()
	todo := o.todo
	o.todo = nil
	return todo
}

// obey does what the ownership tells until the broker stops, and gives client identifiers back that are not used any more.
func (b *Broker) obey() {
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		select {
		case <-b.stopping:
			return
		case <-b.owners.orders.wake:
		case <-again.C:
			b.dropIdle(b.now())
		}
		for _, f := range b.owners.orders.take() {
			f()
		}
	}
}

// idleFor is how long a client identifier stays this node's that has no session: most clients that leave come back to the same node.
const idleFor = 10 * time.Second

// dropIdle gives client identifiers back that have no session, so that nothing is left behind by clients that take a new one each time.
func (b *Broker) dropIdle(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	shared, _ := b.store.(store.Shared)
	for id, since := range b.owners.idle {
		fence, mine := b.owners.mine[id]
		switch {
		case !mine || b.sessions.byID[id] != nil:
			delete(b.owners.idle, id)
		case now.Sub(since) < idleFor || b.endings.under(id) != nil:
		default:
			delete(b.owners.idle, id)
			delete(b.owners.mine, id)
			if shared == nil {
				b.ownership.Drop(id, fence)
				continue
			}
			err := shared.Let(id, func(err error) {
				if err == nil {
					b.ownership.Drop(id, fence)
				}
			})
			if err != nil {
				return // the broker ends
			}
		}
	}
}

// has tells whether a client identifier is this node's. The broker's mutex is held.
func (o *possessions) has(clientID string) bool {
	_, mine := o.mine[clientID]
	return mine || o.mine == nil
}

// owns tells whether a session is this node's.
func (b *Broker) owns(clientID string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.owners.has(clientID)
}

// owns has the session of a client claimed for this node, and reports whether it is this node's already. If not, then is called when it may be.
func (c *connection) owns(w *worker, a *attempt, then func(w *worker)) bool {
	b, id := c.b, a.login.ClientID
	if c.linked() || b.owns(id) { // links are each node's own
		return true
	}
	var err error
	delay := b.fights(id)
	c.elsewhere(w, func() {
		b.pause(delay)
		err = b.ownership.Claim(b.context, id)
	}, func(w *worker) {
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
	b.owners.orders.put(func() { b.own(clientID, fence, then) })
}

func (b *Broker) own(clientID string, fence uint64, then func(error)) {
	b.mu.Lock()
	b.owners.coming[clientID] = nil
	b.mu.Unlock()
	// What is here of the session is older than what has come.
	b.do(func(w *worker) { b.depart(w, clientID, overtaken) })
	done := func(err error) {
		b.mu.Lock()
		next := b.owners.coming[clientID]
		delete(b.owners.coming, clientID)
		if err == nil {
			b.owners.mine[clientID] = fence
			b.owners.idle[clientID] = b.now()
		}
		b.withdrawMoved(clientID)
		then(err) // before a client can come in, so that it is placed before it is told of a subscription
		b.mu.Unlock()
		if next != nil {
			b.owners.orders.put(next)
		}
	}
	shared, ok := b.store.(store.Shared)
	if !ok {
		done(nil)
		return
	}
	if err := shared.Own(clientID, fence, done); err != nil {
		then(err)
	}
}

// Release lets a session go that another node takes: its client is told so, nothing is delivered to it any more, and then is called, by another goroutine, when the store has all that
// was for it. Its filters stay until [Broker.Forget], so that it is known that what matches them is meant for the session. It does not block.
func (b *Broker) Release(clientID string, then func(error)) {
	b.owners.orders.put(func() { b.release(clientID, then) })
}

func (b *Broker) release(clientID string, then func(error)) {
	b.mu.Lock()
	if _, coming := b.owners.coming[clientID]; coming {
		b.owners.coming[clientID] = func() { b.release(clientID, then) }
		b.mu.Unlock()
		return
	}
	b.mu.Unlock()
	b.do(func(w *worker) { b.depart(w, clientID, asked) })
	shared, ok := b.store.(store.Shared)
	if !ok {
		then(nil)
		return
	}
	if err := shared.Let(clientID, then); err != nil {
		then(err)
	}
}

// Forget withdraws the filters of a session that was let go of. It does not block.
func (b *Broker) Forget(clientID string) {
	b.owners.orders.put(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.withdrawMoved(clientID)
	})
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

// Fenced lets go of everything that is shared with other nodes, since they have taken this one for dead and have its sessions by now: their clients have to go. It does not block.
func (b *Broker) Fenced() {
	b.Serve(0)
	b.owners.orders.put(b.fenced)
}

func (b *Broker) fenced() {
	b.mu.Lock()
	all := slices.Concat(slices.Collect(maps.Keys(b.owners.mine)), slices.Collect(maps.Keys(b.owners.moved)))
	b.mu.Unlock()
	if n := b.neighbours; n != nil {
		n.standings.clear()
	}
	b.do(func(w *worker) {
		for _, clientID := range all {
			b.depart(w, clientID, fenced)
			b.mu.Lock()
			b.withdrawMoved(clientID)
			b.mu.Unlock()
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

// parting is why a session leaves this node.
type parting int

const (
	asked     parting = iota // the node that takes it waits: the store has to know where it stands
	overtaken                // another node has it already
	fenced                   // another node has all that this one had
)

// depart takes a session away from this node, if it has it.
func (b *Broker) depart(w *worker, clientID string, why parting) {
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
		if why == fenced {
			c.dismissLocked(w, refusal{code: packet.ServerShuttingDown, id: cause.ClusterFenced, text: "this node has been away from its cluster"}, "")
			b.unlist(c)
		} else {
			b.takenOver(w, s, c)
		}
		s.conn = nil
		b.online.Add(-1)
		s.durable.disconnected(b.now())
	}
	var ended ending
	if why == asked {
		ended = b.handOver(w, s, c != nil)
	} else {
		b.leave(s)
	}
	s.mu.Unlock()
	b.mu.Unlock()
	w.publishWills()
	b.endStored(ended)
}

// handOver has the store know where a session stands that another node waits for, or ends it with its connection. Both mutexes are held.
func (b *Broker) handOver(w *worker, s *Session, connected bool) (ended ending) {
	if connected {
		b.takeovers.count(s.id, b.now())
		if s.will != nil && (s.will.delay == 0 || !s.survives()) && !b.settings.Load().Compat.TakeoverCancelsWill {
			w.wills = append(w.wills, s.takeWill()) // as in claim
		}
	}
	if !s.survives() && connected {
		s.will = nil
		return b.finish(s)
	}
	b.save(s)
	b.leave(s)
	return ended
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
				b.do(func(w *worker) { b.depart(w, h.ClientID, overtaken) })
			}
		})
	}
}

// fights returns how long a client has to wait before it takes a session from another node, since two of them take it from each other over and over.
func (b *Broker) fights(id string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	delay := b.takeovers.delay(id, b.now())
	if delay > 0 {
		b.report(incident{cause: cause.IDTakeoverLoop, level: logging.Warning}, "Client %s is taken over by other nodes again and again: two clients use the same client identifier. Each connection of it waits %s.", id, delay)
	}
	return delay
}
