package broker

import (
	"slices"
	"sort"
	"time"

	"picket/packet"
	"picket/session"
	"picket/store"
)

// refs are the entries in the store of those messages of a session that are in memory or in flight, by rising sequence number.
type refs []store.Ref

// add appends the entry of a message that is newer than all others.
func (r *refs) add(ref store.Ref) { *r = append(*r, ref) }

// find returns the entry under a sequence number, or nil.
func (r refs) find(seq uint64) *store.Ref {
	i := sort.Search(len(r), func(i int) bool { return r[i].Seq >= seq })
	if i == len(r) || r[i].Seq != seq || r[i].Size == 0 {
		return nil
	}
	return &r[i]
}

// take takes the entry under a sequence number out.
func (r *refs) take(seq uint64) (ref store.Ref, ok bool) {
	e := r.find(seq)
	if e == nil {
		return store.Ref{}, false
	}
	ref = *e
	e.Size = 0 // no entry is as small: it is gone
	n := 0
	for n < len(*r) && (*r)[n].Size == 0 {
		n++
	}
	if *r = (*r)[n:]; len(*r) == 0 {
		*r = nil
	}
	return ref, true
}

// stored tells whether the session's messages are in a store.
func (s *Session) stored() bool { return s.kept != nil }

// door names the listener that the client of a session came in by; empty if that is not known: the session is not stored, and its client is gone.
func (s *Session) door() string {
	switch {
	case s.stored():
		return s.kept.door
	case s.conn != nil:
		return listenerKey(s.conn.from)
	}
	return ""
}

// forgetRefs is for when nothing of the session's queue is in memory any more.
func (s *Session) forgetRefs() {
	if s.stored() {
		s.kept.refs = nil
	}
}

// offer hands a delivery to a session, whose mutex is held, and to the store where the session is kept in one. online says that it may be sent at
// once.
func (w *worker) offer(s *Session, d session.Delivery, online bool) (session.Delivery, session.Verdict) {
	// Before it is in the store, a message of QoS 2 must not be sent: after a crash its publisher repeats it, and it would come under another packet identifier.
	d.Held = s.stored() && d.QoS == 2 && online
	d, v := s.out.Offer(d, online)
	if !s.stored() || v > session.Away {
		return d, v
	}
	w.put(s, d, online, v != session.Away)
	if d.Held && v == session.Queued {
		w.hold(s, d.Seq)
	}
	return d, v
}

// put writes a delivery that has its sequence number into the store, with the run's batch.
func (w *worker) put(s *Session, d session.Delivery, online, inMemory bool) {
	d.Held, d.Dup = false, false
	ref := w.changes().Enqueue(s.kept.handle, d, online)
	if inMemory {
		s.kept.refs.add(ref)
	}
}

// done takes a message that needs no further sending out of the store. Nobody waits for that. The session's mutex is held.
func (w *worker) done(s *Session, seq uint64) {
	if !s.stored() {
		return
	}
	if ref, ok := s.kept.refs.take(seq); ok {
		w.leftovers().Remove(s.kept.handle, ref)
	}
}

// leftovers is the batch of what can go from the store, which nobody waits for.
func (w *worker) leftovers() *store.Batch {
	if w.removals == nil {
		w.removals = new(store.Batch)
	}
	return w.removals
}

// changes is the batch of what is being routed.
func (w *worker) changes() *store.Batch {
	if w.batch == nil {
		w.batch = new(store.Batch)
	}
	return w.batch
}

// commit hands over what has been routed, and returns what an acknowledgement has to wait for: nil for nothing.
func (w *worker) commit() *store.Batch {
	batch := w.batch
	if batch == nil {
		return nil
	}
	w.batch = nil
	batch = w.b.commit(batch)
	if h := w.held; h != nil {
		w.held = nil
		if batch == nil || !batch.Await(h) {
			h.Settled()
		}
	}
	return batch
}

// commit hands a batch over to the store and returns it, or nil if there is nothing to wait for.
func (b *Broker) commit(batch *store.Batch) *store.Batch {
	if !b.store.Commit(batch) {
		return nil
	}
	if b.commits.Add(1)%timedCommit == 1 {
		batch.Await(&commitTimer{&b.timings.commit, time.Now()})
	}
	return batch
}

// commitRemovals hands over what nobody waits for.
func (w *worker) commitRemovals() {
	if w.removals != nil {
		w.b.store.Commit(w.removals)
		w.removals = nil
	}
}

// save writes the session's record; its mutex is held. It returns what has to be waited for.
func (b *Broker) save(s *Session) *store.Batch {
	if !s.stored() {
		return nil
	}
	batch := new(store.Batch)
	batch.Save(s.kept.handle, b.record(s))
	return b.commit(batch)
}

// saveOffline writes the record of a session without a connection.
func (b *Broker) saveOffline(s *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over && s.conn == nil {
		b.save(s)
	}
}

// record is what the store keeps of the session beside its subscriptions and its queue. Its mutex is held.
func (b *Broker) record(s *Session) store.Record {
	last, sent := s.out.Marks()
	is := s.rules.Load()
	r := store.Record{Expiry: s.expiry, Next: last + 1, Sent: sent + 1, User: is.Username, Named: is.HasUsername, Certified: is.Certified, Listener: s.listener(), Mount: s.mount}
	if s.conn == nil && s.stored() {
		r.Offline = s.kept.left.Unix()
	}
	if w := s.will; w != nil {
		if w.message.ID == 0 {
			w.message.ID = b.store.NewMessageID()
		}
		r.Will = &store.Will{Message: w.message, Expiry: w.expiry, Expires: w.expires, Delay: w.delay}
		if s.due.will != 0 {
			r.Will.Due = s.due.will.unix()
		}
	}
	return r
}

// reply is a packet for a client that has to wait until something is in the store, or for its turn behind others that have to.
type reply struct {
	after *store.Batch // nil: nothing
	also  *store.Batch // another one to wait for; nil: none
	kind  packet.Type  // PUBACK, PUBREC, PUBREL or PUBCOMP
	code  packet.Code
	why   string // reason string of a code that is a failure
	ids   []uint16
	whole packet.Packet // SUBACK or UNSUBACK, in place of the fields above
	then  []replay      // retained messages to send behind it
}

// settled tells whether the store has kept the batch, or refused it.
func settled(batch *store.Batch) bool { return batch == nil || batch.Settled() }

// owe sends an answer as soon as what it promises is in the store, and what was owed before has been sent (MQTT-4.6.0-2 to -4). The session's
// mutex is held.
func (w *worker) owe(c *connection, a reply) {
	if c.stage() >= closing {
		return
	}
	if c.owed == nil && settled(a.after) && settled(a.also) {
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
	if err == nil {
		err = refusalOf(a.also)
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
