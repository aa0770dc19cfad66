package broker

import (
	"context"
	"errors"
	"sync"

	"picket/access"
	"picket/cause"
	"picket/session"
	"picket/topic"
)

// Local is a client inside the program: it publishes and subscribes as others do, without a connection and without encoding anything. What it publishes takes
// the way of every message, and what it subscribes to is routed to it by the same index.
//
// It lives until [Local.Close], at the latest until the broker ends. Its session is in the index of subscriptions and not in the broker's table of sessions: no client
// can take it over, nothing of it is stored, and it is not counted among the clients. What comes for it waits in a queue, guarded by the session's mutex
// and bounded as every client's is, until a goroutine of its own hands it over, one message at a time: whoever is slow loses messages of its own, counted as
// always, and holds nobody up. What is retained comes first.
type Local struct {
	b       *Broker
	s       *Session
	receive func(session.Delivery)
	wake    chan struct{} // something has come; holds one
	ended   chan struct{} // closed by Close
	peer    uint64        // it only stands for this node in the index of subscriptions; 0: it is a client
	done    sync.WaitGroup

	// Guarded by the session's mutex.
	queue []session.Delivery
	bytes int // of their payloads
}

// ErrClosed is returned by the methods of a [Local] that is closed.
var ErrClosed = errors.New("this client of the broker's program is closed")

// Denied is why a [Local] may not do something.
type Denied struct {
	Cause cause.ID
	What  string // the topic or the filter
}

// Error gives the cause and what was denied.
func (d *Denied) Error() string { return reasonString(d.Cause, d.What) }

// Local makes a client inside the program. as says who it is: it is judged by the rules of the broker ([Config.Security], the first) as a client that has been
// let in under that name, also after a reload. nil stands for the broker itself, which may do everything: $SYS is its own. receive is given what
// it subscribes to, by one goroutine; it may publish and subscribe, and must change nothing of the message. nil for a client that only publishes.
func (b *Broker) Local(as *access.Login, receive func(session.Delivery)) *Local {
	l := &Local{b: b, s: &Session{}, receive: receive, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	l.s.inside = l
	l.s.out = session.NewOutbox(session.Limits{}, false, &b.queued)
	b.mu.Lock()
	defer b.mu.Unlock()
	if as == nil {
		l.s.rules.Store(access.Broker)
	} else {
		l.s.id = as.ClientID
		l.s.rules.Store(b.settings.Load().policies[0].Client(*as, access.Decision{Allow: true}))
	}
	switch {
	case b.locals == nil: // the broker has ended
		l.s.over = true
		close(l.ended)
	case receive != nil:
		l.done.Go(l.serve)
		fallthrough
	default:
		b.locals[l] = true
	}
	return l
}

// Publish sends a message: topic, payload, QoS, RETAIN, properties and expiry are the caller's, who it is from is not. It returns when the message has been
// routed, a *[Denied] where the rules forbid it, and what ctx says when they do not answer before it ends.
func (l *Local) Publish(ctx context.Context, m *session.Message) error {
	_, err := l.publish(ctx, m)
	return err
}

// publish also returns how many sessions and shared groups of this node wanted the message, whether they could take it or not.
func (l *Local) publish(ctx context.Context, m *session.Message) (matched int, err error) {
	b, rules := l.b, l.s.rules.Load()
	if err := topic.CheckName([]byte(m.Topic)); err != nil {
		return 0, err
	}
	select {
	case <-l.ended:
		return 0, ErrClosed
	default:
	}
	command := b.control(m.Topic)
	d := rules.Publish(m.Topic)
	if command != nil {
		d = rules.Control(m.Topic)
	}
	if limit := b.settings.Load().MessageSizeLimit; limit > 0 && len(m.Payload) > limit && rules != access.Broker {
		d = access.Decision{Cause: cause.PayloadTooLarge}
	}
	if err := l.judged(ctx, d, m.Topic, "Denied PUBLISH from %s (q%d, '%s')", l.s.id, m.QoS, m.Topic); err != nil {
		return 0, err
	}
	if command != nil {
		command(rules, m.Payload)
		return 0, nil
	}
	m.From, m.User = l.s.id, rules.Username
	b.do(func(w *worker) {
		w.carry(m, uint32(max(m.Expires-b.seconds(), 0)), m.Expires != 0)
		w.run.s = l.s // for those who do not want their own messages
		matched = w.publishCarried()
	})
	return matched, nil
}

// Subscribe subscribes to a filter, or replaces the options of a subscription; retained messages follow as the options say. Shared groups are for
// those who have a connection.
func (l *Local) Subscribe(ctx context.Context, filter string, o topic.Options) error {
	b, s := l.b, l.s
	if err := topic.CheckFilter(filter); err != nil {
		return err
	}
	line := "Denied SUBSCRIBE from %s (q%d, '%s')"
	d := s.rules.Load().Subscribe(filter)
	if _, _, shared := topic.SplitShare(filter); shared {
		d = access.Decision{Cause: cause.FilterInvalid}
	}
	if err := l.judged(ctx, d, filter, line, s.id, o.QoS, filter); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return ErrClosed
	}
	existed, ok := b.addSubscription(s, filter, o, &changes{})
	if !ok {
		b.report(incident{cause: cause.SubscriptionsFull, seen: filter}, line, s.id, o.QoS, filter)
		return &Denied{cause.SubscriptionsFull, filter}
	}
	if b.settings.Load().RetainAvailable && (o.RetainHandling == 0 || o.RetainHandling == 1 && !existed) {
		s.replay(replay{filter: filter, until: b.retained.newest.Load(), options: o})
		l.stir()
	}
	return nil
}

// Unsubscribe ends a subscription, if there is one. What has come for it already is handed over all the same.
func (l *Local) Unsubscribe(filter string) {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.subs.get(filter); ok && !s.over {
		l.b.removeSubscription(s, filter)
		s.replays.drop(filter)
	}
}

// Close ends the client and returns when receive has returned from its last call; receive itself must not call it. A second call does nothing.
func (l *Local) Close() {
	b, s := l.b, l.s
	b.mu.Lock()
	delete(b.locals, l)
	s.mu.Lock()
	if !s.over {
		s.over = true
		close(l.ended)
		for filter := range s.subs.all() {
			b.leaves(filter, s)
			b.memory.give(heldSubscriptions, subscriptionSize(filter))
		}
		s.subs = subscriptions{}
		b.forgetReplays(s)
		for len(l.queue) > 0 {
			l.takeLocked()
		}
	}
	s.mu.Unlock()
	b.mu.Unlock()
	l.done.Wait()
}

// judged waits for a decision that takes time, and reports a no.
func (l *Local) judged(ctx context.Context, d access.Decision, what, line string, args ...any) error {
	if d.Later != nil {
		d = d.Later.Get(ctx)
		if err := ctx.Err(); err != nil && !d.Allow {
			return err
		}
	}
	if d.Allow {
		return nil
	}
	l.b.report(incident{cause: d.Cause, seen: what}, line, args...)
	return &Denied{d.Cause, what}
}

// deliverInside puts packets i to j of the run into the queue of a client inside the program. The session's mutex is held.
func (w *worker) deliverInside(l *Local, i, j int, qos byte, retain bool, ids []uint32) {
	if l.receive == nil {
		return
	}
	t := w.b.settings.Load()
	for ; i < j; i++ {
		m := w.run.message(w.b, i)
		n := len(m.Payload)
		switch {
		case t.MaxQueuedMessages > 0 && len(l.queue) >= t.MaxQueuedMessages, t.MaxQueuedBytes > 0 && l.bytes+n > t.MaxQueuedBytes:
			w.dropped(l.s, cause.QueueFull, 1)
			continue
		case !w.b.memory.take(heldQueued, int64(m.Size())):
			w.dropped(l.s, cause.MemoryLimit, 1)
			continue
		}
		l.queue = append(l.queue, session.Delivery{Message: m, QoS: qos, Retain: retain, IDs: ids})
		l.bytes += n
	}
	l.stir()
}

// takeLocked takes the first message out of the queue.
func (l *Local) takeLocked() (d session.Delivery) {
	d, l.queue[0] = l.queue[0], session.Delivery{}
	if l.queue = l.queue[1:]; len(l.queue) == 0 {
		l.queue, l.s.dropLogged = nil, false
	}
	l.bytes -= len(d.Message.Payload)
	l.b.memory.give(heldQueued, int64(d.Message.Size()))
	return d
}

// stir says that something has come.
func (l *Local) stir() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// serve hands over what comes until the client is closed.
func (l *Local) serve() {
	for {
		d, ok := l.next()
		if ok {
			l.receive(d)
			continue
		}
		select {
		case <-l.wake:
		case <-l.ended:
			return
		}
	}
}

// next takes what is to be handed over next; ok is false when there is nothing.
func (l *Local) next() (d session.Delivery, ok bool) {
	b, s := l.b, l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.replays.len() > 0 {
		r, m := b.nextRetained(s)
		if r.advance(); m != nil {
			return session.Delivery{Message: m, QoS: b.replayQoS(r, m), Retain: true, IDs: r.ids()}, true
		}
	}
	for len(l.queue) > 0 {
		if d = l.takeLocked(); !b.expired(d.Message) {
			return d, true
		}
		b.report(incident{cause: cause.MessageExpired}, "")
	}
	return d, false
}

// closeLocals ends all clients inside the program.
func (b *Broker) closeLocals() {
	b.mu.Lock()
	all := b.locals
	b.locals = nil
	b.mu.Unlock()
	for l := range all {
		l.Close()
	}
}
