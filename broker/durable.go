package broker

import (
	"sort"
	"sync"
	"time"

	"picket/session"
	"picket/store"
	"picket/topic"
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

// durable is what a session has in the store beside its queue and its subscriptions, and the way to change what it has there. It is made when the session is, as
// [Broker.accept] knows by then whether the session outlives its connection, and stays until the session is over. nil stands for a session that is not stored: its
// methods do nothing then, so that nobody has to ask.
//
// The session's mutex guards it, but for what says otherwise.
type durable struct {
	handle  *store.Session
	refs    refs      // its messages in memory, as the store knows them
	door    string    // names the listener that the client came in by
	left    time.Time // when its last connection ended
	unclean bool      // it came from the store, and the end of its last connection is not in there
	place   uint64    // where it stands among the sessions that have come to this node; 0: it is new, or there are no other nodes

	receiving   sync.Mutex   // held from when a QoS 2 packet identifier is received or released until the store has been told; taken before the session's
	lastReceive *store.Batch // the one with the packet identifier received last; guarded by receiving
}

// makeDurable has a session be in the store from now on, if there is a store. The session's mutex is held.
func (b *Broker) makeDurable(s *Session) {
	if s.stored() {
		return
	}
	if h := b.store.NewSession(s.id); h != nil {
		s.durable, s.out.Stored = &durable{handle: h}, true
	}
}

// stored tells whether the session's messages are in a store.
func (s *Session) stored() bool { return s.durable != nil }

// beginReceiving begins what changes the QoS 2 packet identifiers that have been received, which one goroutine does at a time, and in the store in the same order.
func (d *durable) beginReceiving() {
	if d != nil {
		d.receiving.Lock()
	}
}

// endReceiving ends it.
func (d *durable) endReceiving() {
	if d != nil {
		d.receiving.Unlock()
	}
}

// received notes the batch with the packet identifiers received last, which a repetition of them has to wait for ([durable.repeats]). Receiving is held.
func (d *durable) received(batch *store.Batch) {
	if d != nil {
		d.lastReceive = batch
	}
}

func (d *durable) repeats() *store.Batch {
	if d == nil {
		return nil
	}
	return d.lastReceive
}

// forgetRefs is for when nothing of the session's queue is in memory any more.
func (d *durable) forgetRefs() {
	if d != nil {
		d.refs = nil
	}
}

// disconnected notes when the last connection ended.
func (d *durable) disconnected(at time.Time) {
	if d != nil {
		d.left = at
	}
}

// changes are what one packet changes in the store of one session, to be committed before it is answered. It is filled while the session's mutex is held.
type changes struct {
	d     *durable
	batch *store.Batch // nil: nothing so far
}

func (s *Session) changes() changes { return changes{d: s.durable} }

func (c *changes) open() *store.Batch {
	if c.batch == nil {
		c.batch = new(store.Batch)
	}
	return c.batch
}

// release notes that PUBREC has come for n messages from a number on: after a crash that forgot it, they would be sent again, to a client that has forgotten their
// identifiers by then.
func (c *changes) release(seq uint64, n int) {
	if c.d == nil {
		return
	}
	for end := seq + uint64(n); seq < end; seq++ {
		if ref := c.d.refs.find(seq); ref != nil {
			c.open().Release(c.d.handle, ref)
		}
	}
}

// forget notes that PUBREL has come: after a crash that forgot it, the next message under the identifier would be taken for a repetition.
func (c *changes) forget(id uint16) {
	if c.d != nil {
		c.open().Forget(c.d.handle, id)
	}
}

// subscribe notes a subscription; before are its options until now, nil for a new one.
func (c *changes) subscribe(filter string, o topic.Options, before *topic.Options) {
	if c.d != nil {
		c.open().Subscribe(c.d.handle, filter, o, before)
	}
}

func (c *changes) unsubscribe(filter string) {
	if c.d != nil {
		c.open().Unsubscribe(c.d.handle, filter)
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

// receiveDurably puts QoS 2 packet identifiers that have come into the store, with the run's batch. Receiving is held.
func (w *worker) receiveDurably(s *Session, ids []uint16) {
	if !s.stored() {
		return
	}
	for _, id := range ids {
		w.changes().Receive(s.durable.handle, id)
	}
}

// put writes a delivery that has its sequence number into the store, with the run's batch.
func (w *worker) put(s *Session, d session.Delivery, online, inMemory bool) {
	d.Held, d.Dup = false, false
	w.missed.stored = true
	ref := w.changes().Enqueue(s.durable.handle, d, online)
	if inMemory {
		s.durable.refs.add(ref)
	}
}

// done takes n messages from a number on, which need no further sending, out of the store. Nobody waits for that. The session's mutex is held.
func (w *worker) done(s *Session, seq uint64, n int) {
	if !s.stored() {
		return
	}
	for end := seq + uint64(n); seq < end; seq++ {
		if ref, ok := s.durable.refs.take(seq); ok {
			w.leftovers().Remove(s.durable.handle, ref)
		}
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
	if w.batch == nil {
		return nil
	}
	batch := w.b.commit(w.batch)
	w.batch = nil
	if h := w.held; h != nil {
		w.held = nil
		if batch == nil || !batch.Await(h) {
			h.Settled()
		}
	}
	return batch
}

// commit hands a batch over to the store and returns it, or nil if there is nothing to wait for. nil is one without changes.
func (b *Broker) commit(batch *store.Batch) *store.Batch {
	if batch == nil || !b.store.Commit(batch) {
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
	batch.Save(s.durable.handle, b.record(s))
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
	r := store.Record{Expiry: s.expiry, Next: last + 1, Sent: sent + 1, User: is.Username, Named: is.HasUsername, Certified: is.Certified, Listener: s.door(), Mount: s.mount}
	if s.conn == nil && s.stored() {
		r.Offline = s.durable.left.Unix()
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

// keepWill puts the will of a session that ends with its connection into the store, so that it is published when the broker is killed before the client
// ([Broker.restored] takes it for a session whose time is over). Nobody waits for that. The session's mutex is held.
func (b *Broker) keepWill(s *Session) {
	if s.stored() || s.will == nil || b.ownership != nil && s.conn.linked() {
		return // what comes by a link is each node's own, and no session of the nodes'
	}
	if s.willHandle = b.store.NewSession(s.id); s.willHandle == nil {
		return
	}
	batch := new(store.Batch)
	batch.Save(s.willHandle, b.record(s))
	b.store.Commit(batch)
}

// handle is what stands in the store for the session, or for its will alone; nil: nothing. The session's mutex is held.
func (s *Session) handle() *store.Session {
	if s.stored() {
		return s.durable.handle
	}
	return s.willHandle
}

// door names the listener that the client of a session comes by, or came by last, whose rules are the session's; empty if that is not known: the session is not stored,
// and its client is gone.
func (s *Session) door() string {
	switch {
	case s.stored():
		return s.durable.door
	case s.conn != nil:
		return listenerKey(s.conn.from)
	}
	return ""
}
