package broker

import (
	"errors"
	"io"
	"time"

	"picket/cause"
	"picket/listener"
	"picket/logging"
	"picket/packet"
)

// claim makes the connection the owner of the session known under the client identifier, ends the connection that had it
// (MQTT-3.1.4-3), and reports whether a session was there to go on with (MQTT-3.1.2-4, -5). It is the one place that decides who owns a session on this node; no says why the
// client gets none: another node has taken it meanwhile, or there are as many as there may be.
func (b *Broker) claim(w *worker, c *connection, id string, clean bool) (present bool, no *refusal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !c.linked() && !b.owners.has(id) {
		return false, &refusal{code: packet.ServerUnavailable, id: cause.SessionTakenOver, text: "another node has just taken the session; the client may try again"}
	}
	w.overtake(id, b.now())
	old := b.sessions.byID[id]
	if limit := b.settings.Load().GlobalMaxClients; old == nil && limit > 0 && len(b.sessions.byID) >= limit && !c.linked() {
		return false, &refusal{code: packet.QuotaExceeded, id: cause.ServerFull, text: "global_max_clients (" + itoa(limit) + ") is reached", told: true}
	}
	if old == nil {
		b.list(c.s, id)
		b.online.Add(1)
		return false, nil
	}
	old.mu.Lock()
	previous := old.conn
	if previous != nil {
		b.takenOver(w, old, previous)
		b.room.inherit(&c.slot, &previous.slot)
	} else {
		b.online.Add(1)
	}
	b.cancel(old)
	if moved := old.mount != c.s.mount; moved && !clean && old.survives() {
		b.report(incident{cause: cause.SessionOtherMount}, "Client %s gets a new session: the one before belongs to mount point '%s', and its listener now has '%s'.", id, old.mount, c.s.mount)
		clean = true
	}
	if clean || !old.survives() {
		w.endReplaced(old)
		old.mu.Unlock()
		b.list(c.s, id)
		return false, nil
	}
	if previous != nil && old.will != nil && old.will.delay == 0 && !b.settings.Load().Compat.TakeoverCancelsWill {
		w.wills = append(w.wills, old.takeWill()) // MQTT-3.1.4-3, MQTT-3.1.2-8: the connection before has ended without DISCONNECT; mosquitto publishes none
	}
	old.will = nil // MQTT-3.1.3-9: the new connection is there before any delay has elapsed
	old.conn = c
	old.out.Rewind()
	old.durable.forgetRefs()
	b.forgetReplays(old)
	blank := c.s
	c.s = old
	blank.conn = nil
	old.mu.Unlock()
	return true, nil
}

// list puts a new session into the table. The broker's mutex is held.
func (b *Broker) list(s *Session, id string) {
	s.mu.Lock()
	s.id = id
	s.mu.Unlock()
	b.sessions.enter(s)
}

// endReplaced ends a session in whose place a new one comes. The mutexes of the broker and of the session are held.
func (w *worker) endReplaced(s *Session) {
	if s.will != nil && !s.over && !(s.will.delay > 0 && w.b.settings.Load().Compat.CleanStartCancelsWill) {
		w.wills = append(w.wills, s.takeWill()) // MQTT-3.1.3-9: the session ends
	}
	s.will, s.conn = nil, nil
	w.b.endStored(w.b.finish(s))
}

// abandon ends a session that could not be stored, unless another connection has it by now.
func (b *Broker) abandon(c *connection) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c || s.over {
		return
	}
	b.sessions.leave(s.id)
	b.online.Add(-1)
	s.will = nil
	b.endStored(b.finish(s))
	c.s = b.blank(c) // as before CONNECT
	s.conn = nil
}

// takenOver says goodbye to a connection whose session another one takes. The mutexes of the broker and of the session are held.
func (b *Broker) takenOver(w *worker, s *Session, c *connection) {
	line := b.connectionLine("Client %s already connected, closing old connection.")
	c.dismissLocked(w, refusal{code: packet.SessionTakenOver, id: cause.SessionTakenOver, text: "another connection uses this client identifier", level: logging.Error}, line, s.id)
	b.unlist(c)
}

// departed ends a network connection: its will, and its session's end or the wait for the client's return.
func (b *Broker) departed(w *worker, c *connection, err error) {
	b.unlist(c)
	defer b.room.leave(&c.slot)
	c.unwatch()
	s := c.s
	b.mu.Lock()
	s.mu.Lock()
	c.advance(closed)
	b.eachTap(func(t tap) { t.left(c, err) })
	c.tellLeft(c.attempt == nil && s.id != "", err)
	c.out, c.owed = outgoing{}, nil
	c.settle()
	c.forgetAliases()
	current := s.conn == c
	if !current || s.id == "" {
		b.mu.Unlock()
		s.mu.Unlock()
		b.reportClosed(c, err)
		return
	}
	s.conn = nil
	s.durable.disconnected(b.now())
	b.forgetReplays(s)
	b.online.Add(-1)
	w.willOfDeparted(s)
	var ended ending
	switch {
	case !s.survives() && s.will != nil:
		// The session is over, and its will still waits.
		will := s.due.will
		ended = b.finish(s)
		s.due.will, s.due.expiry = will, will
		b.schedule(s)
	case !s.survives():
		b.sessions.leave(s.id)
		ended = b.finish(s)
	default:
		s.out.Rewind()
		s.durable.forgetRefs()
		if s.expiry != neverExpires {
			s.due.expiry = momentOf(b.now().Add(time.Duration(s.expiry) * time.Second))
		}
		b.schedule(s)
	}
	s.mu.Unlock()
	b.mu.Unlock()
	b.reportClosed(c, err)
	w.publishWills()
	// Behind the will, which must not be lost in between.
	b.endStored(ended)
	b.saveOffline(s)
}

// willOfDeparted has the will of a session that has lost its connection published, at once or after its delay. The mutexes of the broker and of the session are held.
func (w *worker) willOfDeparted(s *Session) {
	b := w.b
	if s.will == nil {
		return
	}
	delay := min(s.will.delay, s.expiry)
	if s.expiry == 0 && b.settings.Load().Compat.WillOutlastsSession {
		delay = s.will.delay // the session ends here, so the will is due; mosquitto waits all the same
	}
	if delay > 0 {
		s.due.will = momentOf(b.now().Add(time.Duration(delay) * time.Second))
	} else {
		w.wills = append(w.wills, s.takeWill())
	}
}

// reportClosed reports a connection that has ended without a word from the broker. No mutex may be held.
func (b *Broker) reportClosed(c *connection, err error) {
	if c.quiet.Load() || errors.Is(err, listener.ErrCastOut) {
		return
	}
	var bad *listener.Refusal
	switch {
	case errors.As(err, &bad) && c.name() == "<unknown>":
		b.report(incident{cause: bad.Cause, by: c}, "Client connection from %s failed: %s.", c.host(), bad.Text)
	case errors.As(err, &bad):
		b.report(incident{cause: bad.Cause, by: c}, "Client %s disconnected: %s.", c.name(), bad.Text)
	case err == nil || err == io.EOF:
		b.report(incident{cause: cause.ConnectionLost}, b.connectionLine("Client %s closed its connection."), c.name())
	default:
		b.report(incident{cause: cause.ConnectionLost}, b.connectionLine("Client %s disconnected: %v."), c.name(), err)
	}
}

// connectionLine is a line about a connection's life, or none where those are not wanted (connection_messages false).
func (b *Broker) connectionLine(line string) string {
	if !b.settings.Load().ConnectionMessages {
		return ""
	}
	return line
}

// finish ends a session: its subscriptions and its queue go. The caller takes it out of the table; both mutexes are held. It returns what
// is left for [Broker.endStored].
func (b *Broker) finish(s *Session) ending {
	s.over = true
	e := b.ends(s)
	b.withdraw(s)
	s.out.Clear()
	s.durable.forgetRefs()
	b.forgetReplays(s)
	b.cancel(s)
	return e
}

// withdraw takes the subscriptions of a session that is over back. Its mutex is held.
func (b *Broker) withdraw(s *Session) {
	if subs := s.subs; subs.len() > manySubscriptions {
		b.wait.Go(func() { b.unsubscribeAll(s, &subs) })
	} else {
		b.unsubscribeAll(s, &subs)
	}
	s.subs = subscriptions{}
}

// manySubscriptions is from how many subscriptions on their removal would hold up everybody else. A session that is over gets nothing any
// more, so nobody sees that they stay a moment longer.
const manySubscriptions = 1000

func (b *Broker) unsubscribeAll(s *Session, subs *subscriptions) {
	for filter := range subs.all() {
		select {
		case <-b.stopping:
			return
		default:
			b.leaves(filter, s)
			b.memory.give(heldSubscriptions, subscriptionSize(filter))
		}
	}
}

// takeoverDelay counts a connection for a client identifier that has one already and returns how long it has to wait.
func (b *Broker) takeoverDelay(id string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sessions.byID[id]
	if s == nil {
		return 0
	}
	s.mu.Lock()
	taken := s.conn != nil && s.conn.stage() != closed
	s.mu.Unlock()
	if !taken {
		return 0
	}
	n, delay := b.takeovers.count(id, b.now())
	if n == loopLimit {
		b.report(incident{cause: cause.IDTakeoverLoop, level: logging.Warning},
			"Client %s was taken over %d times within %s: two clients use the same client identifier. Further connections of it wait %s each.",
			id, n, loopWindow, loopDelay)
	}
	return delay
}
