package broker

import (
	"slices"

	"picket/cause"
	"picket/logging"
	"picket/session"
	"picket/store"
	"picket/topic"
)

// replay is the retained messages that one subscription asked for. They are looked up when their turn comes, and where they are is remembered, not
// what they are: see [retained].
type replay struct {
	filter  string
	until   uint64 // what was retained later has come to the subscription itself
	options topic.Options
	begun   bool
	dropped bool     // the subscription has ended
	places  []*place // those left
}

// replays are those of a session that are not done, in the order in which they were asked for. No two that have not begun are for the same filter, so
// there are no more than subscriptions, however often a client that does not read asks. The session's mutex guards them; nil stands for none.
type replays struct {
	list []*replay
	at   map[string]*replay // those that have not begun; nil while a search through list is as fast

	dropped int // of list
}

const maxSearchedReplays = 16 // replays that are searched one by one

func (q *replays) len() int {
	if q == nil {
		return 0
	}
	return len(q.list)
}

// find returns the replay of a filter that has not begun, or nil.
func (q *replays) find(filter string) *replay {
	if q.at != nil {
		return q.at[filter]
	}
	for _, r := range q.list {
		if r.filter == filter && !r.begun && !r.dropped {
			return r
		}
	}
	return nil
}

// add appends a replay, or has it take the place of one for the same filter that has not begun.
func (q *replays) add(r replay) {
	if old := q.find(r.filter); old != nil {
		*old = r
		return
	}
	one := &r
	q.list = append(q.list, one)
	switch {
	case q.at != nil:
		q.at[r.filter] = one
	case len(q.list) > maxSearchedReplays:
		q.at = make(map[string]*replay, 2*len(q.list))
		for _, r := range q.list {
			if !r.begun && !r.dropped {
				q.at[r.filter] = r
			}
		}
	}
}

// drop forgets what a filter asked for, whether it has begun or not.
func (q *replays) drop(filter string) {
	if q.len() == 0 {
		return
	}
	if r := q.find(filter); r != nil {
		delete(q.at, filter)
		r.dropped = true
		q.dropped++
	}
	if first := q.list[0]; first.begun && first.filter == filter && !first.dropped { // no other has begun
		first.dropped = true
		q.dropped++
	}
	if q.dropped > maxSearchedReplays && q.dropped > len(q.list)/2 {
		first := q.list[0]
		q.list = slices.DeleteFunc(q.list, func(r *replay) bool { return r.dropped && r != first })
		q.dropped = int(bit(first.dropped))
	}
}

// first returns the replay whose turn it is, or nil.
func (q *replays) first() *replay {
	if q.len() == 0 {
		return nil
	}
	return q.list[0]
}

// begin notes that the first one has been looked up: the same filter may be asked for again from now on.
func (q *replays) begin(places []*place) {
	r := q.list[0]
	r.begun, r.places = true, places
	if q.at != nil && q.at[r.filter] == r {
		delete(q.at, r.filter)
	}
}

// next takes the first one out.
func (q *replays) next() {
	r := q.list[0]
	if q.at != nil && q.at[r.filter] == r {
		delete(q.at, r.filter)
	}
	if r.dropped {
		q.dropped--
	}
	q.list[0] = nil
	if q.list = q.list[1:]; len(q.list) == 0 {
		*q = replays{}
	}
}

// size is what the places of a replay take in memory.
func (r *replay) size() int64 { return 8 * int64(cap(r.places)) }

// advance goes on to the next place.
func (r *replay) advance() {
	if len(r.places) > 0 {
		r.places[0] = nil
		r.places = r.places[1:]
	}
}

// ids are the subscription identifiers to send.
func (r *replay) ids() []uint32 {
	if r.options.Identifier == 0 {
		return nil
	}
	return []uint32{r.options.Identifier}
}

// replay has retained messages sent that subscriptions ask for. The session's mutex is held.
func (s *Session) replay(asked ...replay) {
	if len(asked) > 0 && s.replays == nil {
		s.replays = new(replays)
	}
	for _, r := range asked {
		s.replays.add(r)
	}
}

// forgetReplays lets go of what subscriptions asked for. The session's mutex is held.
func (b *Broker) forgetReplays(s *Session) {
	if r := s.replays.first(); r != nil {
		b.memory.give(heldReplays, r.size())
	}
	s.replays = nil
}

// asksForMany tells whether the next retained messages to send have yet to be searched for, all over the tree.
func (s *Session) asksForMany() bool {
	r := s.replays.first()
	return r != nil && !r.begun && !r.dropped && topic.HasWildcard(r.filter)
}

// maxReplayHeld is how many retained messages of QoS 2 may wait for the store at a time.
const maxReplayHeld = 64

// replayNext sends the next retained message that a subscription asked for, and reports whether it could. The session's mutex is held.
func (w *worker) replayNext(c *connection) bool {
	r, m := w.b.nextRetained(c.s)
	if m != nil && !w.replayMessage(c, r, m) {
		return false
	}
	r.advance()
	return true
}

// nextRetained returns the replay whose turn it is, and its next message; nil where there is none to be sent in that place, or the replay is done, which is
// taken out then. The session's mutex is held.
func (b *Broker) nextRetained(s *Session) (r *replay, m *session.Message) {
	r = s.replays.first()
	if !r.begun && !r.dropped {
		s.replays.begin(b.retained.match(r.filter))
		if !b.memory.take(heldReplays, r.size()) {
			b.stats.dropped.Add(uint64(len(r.places)))
			b.reportDropped(s, cause.MemoryLimit, len(r.places))
			r.places = nil
		}
	}
	if len(r.places) == 0 || r.dropped {
		b.memory.give(heldReplays, r.size())
		if s.replays.next(); s.replays.len() == 0 {
			s.replays = nil
		}
		return r, nil
	}
	if m = r.places[0].message.Load(); m != nil && m.Stored <= r.until && b.mayReplay(s, m) {
		return r, m
	}
	return r, nil
}

// replayQoS is the QoS that a retained message is sent with.
func (b *Broker) replayQoS(r *replay, m *session.Message) byte {
	if b.settings.Load().UpgradeOutgoingQoS {
		return r.options.QoS
	}
	return min(m.QoS, r.options.QoS)
}

// replayMessage sends one retained message, and reports whether there was room for it.
func (w *worker) replayMessage(c *connection, r *replay, m *session.Message) bool {
	s := c.s
	d := session.Delivery{Message: m, QoS: w.b.replayQoS(r, m), Retain: true, IDs: r.ids()}
	if d.QoS == 0 {
		w.deliverMessage(c, d)
		return true
	}
	if s.out.Room() == 0 && !(s.stored() && d.QoS == 2 && s.out.Waiting() < maxReplayHeld) {
		return false
	}
	if !s.out.KeepsBodies() && !s.stored() {
		d.Seq, _ = s.out.Reserve(1, d.QoS)
		w.deliverMessage(c, d)
		return true
	}
	d, v := w.offer(s, d, true)
	if v == session.Send {
		w.deliverMessage(c, d)
	}
	return v <= session.Away // else it waits for the store
}

// mayReplay tells whether a retained message may be sent to a new subscriber.
func (b *Broker) mayReplay(s *Session, m *session.Message) bool {
	t := b.settings.Load()
	switch {
	case b.expired(m):
		b.forget(m)
		return false
	case !s.rules.Load().Deliver(m.Topic):
		b.report(incident{cause: cause.ACLReadDenied}, "")
		return false
	case t.CheckRetainSource && m.From != "":
		if d := t.policies[b.securityOf(t, m.Door)].MayStillPublish(m.User, m.From, m.Topic); !d.Allow {
			b.report(incident{cause: d.Cause}, "")
			return false
		}
	}
	return true
}

// retain keeps the run's last packet as its topic's retained message, or removes that when it is empty (MQTT-3.3.1-5, -6). It returns what an
// acknowledgement has to wait for.
func (w *worker) retain() (after *store.Batch) {
	r, b := &w.run, w.b
	last := r.n - 1
	if len(r.body(last)) == 0 {
		return b.retained.remove(string(r.name))
	}
	m := r.message(b, last)
	after, ok := b.retained.put(m)
	if !ok {
		b.report(incident{cause: cause.RetainedFull, level: logging.Warning, limit: &b.retainedLine},
			"Not retained: '%s' (%d bytes); retained messages hold %d bytes, and there is no memory for more.", r.name, len(m.Payload), b.retained.bytes())
	}
	return after
}

// forget removes a retained message whose expiry interval has passed.
func (b *Broker) forget(m *session.Message) {
	if b.retained.expire(m) {
		b.report(incident{cause: cause.MessageExpired}, "")
	}
}
