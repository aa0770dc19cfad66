package store

import (
	"iter"
	"math"
	"slices"
	"sync/atomic"

	"picket/session"
	"picket/topic"
)

// Kind is what an operation does.
type Kind byte

// The operations of a batch.
const (
	Enqueue Kind = iota + 1
	Release
	Remove
	Keep
	Receive
	Forget
	Retain
	Unretain
	Save
	End
	Subscribe
	Unsubscribe
	Change
	Lapse
)

// String gives the operation's name.
func (k Kind) String() string {
	names := [...]string{"?", "enqueue", "release", "remove", "keep", "receive", "forget", "retain", "unretain", "save", "end", "subscribe", "unsubscribe", "change", "lapse"}
	if int(k) < len(names) {
		return names[k]
	}
	return names[0]
}

// Op is one operation of a batch. Which fields are set depends on its kind.
type Op struct {
	Kind     Kind
	PacketID uint16           // Receive, Forget
	Session  *Session         // all but Retain, Unretain, Change, Lapse
	Ref      Ref              // Enqueue, Release (as it was before), Remove, Keep
	Delivery session.Delivery // Enqueue
	Record   *Record          // Save
	First    bool             // Save: the session is new
	Message  *session.Message // Retain; Change: nil if there is none any more
	Old      *session.Message // Retain, Unretain: the retained message before, for whoever has to undo it; nil: none
	Topic    string           // Change, Lapse
	Now      int64            // Lapse: Unix seconds
	Sub      *Subscription    // Subscribe, Unsubscribe: only the filter counts
	OldSub   *topic.Options   // Subscribe: the options before, in the same way; nil: the subscription is new

	batch *Batch
	state opState // of Enqueue; guarded by the session's mutex
	need  need
}

// opState is how far an entry of a queue is on its way to the medium.
type opState byte

const (
	waiting opState = iota // not written, and need not be if it is removed
	taken                  // being written
	gone                   // durable, refused, or removed before it was taken
)

// need is how much an operation is waited for.
type need byte

const (
	lazy    need = iota // nobody waits for it
	patient             // it is likely to be removed in a moment
	urgent              // somebody waits
)

// Overhead is what a record takes up beside a message in it, in bytes, near enough.
const Overhead = 40

// Batch is a number of changes that become durable together or not at all. The zero value is empty and ready. One goroutine fills it.
type Batch struct {
	slabs  [][]Op
	adds   bool // it adds something, and so can be refused
	urgent bool
	bytes  int64
	newest uint64 // highest number of a message in it
	tick   int    // of the pipeline, when it was committed

	live     atomic.Int32 // operations that have to be written
	awaited  atomic.Int32 // those of them that somebody waits for
	pipeline atomic.Pointer[Pipeline]
	refusal  atomic.Pointer[error]
	fenced   map[*Session]bool // sessions whose operations have been refused; nil: none
	only     bool              // it is the batch of these operations
	version  uint64            // of the last Change, once it is settled and has not been refused

	// Of the pipeline, under its mutex.
	open    bool     // it has been committed, somebody waits for it, and it is not settled
	waiters []Waiter // told when it is settled
}

// Waiter is told that a [Batch] is settled. Settled is called by the store's goroutine and must not block.
type Waiter interface{ Settled() }

// Empty tells whether there is nothing in it.
func (b *Batch) Empty() bool { return b.live.Load() == 0 }

// Adds tells whether it adds something, so that it may be refused for want of space.
func (b *Batch) Adds() bool { return b.adds }

// Awaited tells whether somebody waits for it.
func (b *Batch) Awaited() bool { return b.awaited.Load() > 0 }

// Settled tells whether nothing in it has to be waited for any more: it is durable, has been refused ([Batch.Err] says why), or everything that
// somebody waited for has become unnecessary.
func (b *Batch) Settled() bool { return b.awaited.Load() == 0 }

// Await has w told once when the batch, which must have been committed, is settled, and reports whether that will happen: if it is settled already, w is not told.
func (b *Batch) Await(w Waiter) bool {
	p := b.pipeline.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	if b.open {
		b.waiters = append(b.waiters, w)
	}
	return b.open
}

// Refuse notes why a batch has not been kept. It is for implementations of [Store], before they call [Handler.Failed].
func (b *Batch) Refuse(err error) { b.refusal.Store(&err) }

// Fence notes that what the batch has for some sessions has been refused, since another node has them, and returns a batch that yields just that, for [Handler.Failed], or
// nil if there is nothing. It is for implementations of [Shared], before the batch counts as settled.
func (b *Batch) Fence(fenced map[*Session]bool) *Batch {
	lost := &Batch{slabs: b.slabs, adds: b.adds, fenced: fenced, only: true}
	something := false
	for range lost.Ops() {
		something = true
	}
	if !something {
		return nil
	}
	b.fenced = fenced
	b.Refuse(ErrFenced)
	lost.Refuse(ErrFenced)
	return lost
}

// Fenced lists the client identifiers of the sessions, in the order of their operations, that did not get a message of the batch since another node has them: [ErrFenced] is its Err then, and what
// it has for others has been kept.
func (b *Batch) Fenced() (all []string) {
	lost := &Batch{slabs: b.slabs, fenced: b.fenced, only: true}
	for op := range lost.Ops() {
		if op.Kind == Enqueue && !slices.Contains(all, op.Session.ClientID) {
			all = append(all, op.Session.ClientID)
		}
	}
	return all
}

// Err is why the batch has not been kept, once [Handler.Failed] has been called for it.
func (b *Batch) Err() error {
	if err := b.refusal.Load(); err != nil {
		return *err
	}
	return nil
}

// Ops yields the operations in the order in which they were added, but for those that need not be written any more.
func (b *Batch) Ops() iter.Seq[*Op] {
	return func(yield func(*Op) bool) {
		for _, slab := range b.slabs {
			for i := range slab {
				op := &slab[i]
				if op.Kind == Enqueue && !op.wanted() || b.fenced[op.Session] != b.only {
					continue
				}
				if !yield(op) {
					return
				}
			}
		}
	}
}

// wanted tells whether an entry is to be written, or was.
func (op *Op) wanted() bool { return op.Delivery.Message != nil || op.Delivery.Released }

// add returns a new operation, whose place does not change.
func (b *Batch) add(op Op, n need) *Op {
	last := len(b.slabs) - 1
	if last < 0 || len(b.slabs[last]) == cap(b.slabs[last]) {
		b.slabs = append(b.slabs, make([]Op, 0, min(4<<(2*len(b.slabs)), 1024)))
		last++
	}
	op.batch, op.need = b, n
	b.slabs[last] = append(b.slabs[last], op)
	b.bytes += 2 * Overhead
	b.live.Add(1)
	if n > lazy {
		b.awaited.Add(1)
	}
	b.urgent = b.urgent || n == urgent
	return &b.slabs[last][len(b.slabs[last])-1]
}

// drop notes that an operation need not be written.
func (b *Batch) drop(op *Op) {
	op.state = gone
	op.Delivery = session.Delivery{}
	if op.need > lazy && b.awaited.Add(-1) == 0 {
		if p := b.pipeline.Load(); p != nil {
			p.mu.Lock()
			p.settle(b)
			p.mu.Unlock()
			p.signal()
		}
	}
	b.live.Add(-1)
	if p := b.pipeline.Load(); p != nil {
		p.skipped.Add(1)
	}
}

// count adds a message to the bytes that wait in memory, once.
func (b *Batch) count(m *session.Message) {
	if m.ID > b.newest {
		b.newest = m.ID
		b.bytes += int64(m.Size())
	}
}

// Enqueue adds a message to a session's queue under its sequence number, which must be the session's next. online says that it goes to a client that is connected, and
// so is likely to be acknowledged soon.
func (b *Batch) Enqueue(s *Session, d session.Delivery, online bool) Ref {
	m := d.Message
	r := RefTo(d.Seq, m)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return r
	}
	n := urgent
	if online && d.QoS < 2 {
		n = patient
	}
	op := b.add(Op{Kind: Enqueue, Session: s, Ref: r, Delivery: d}, n)
	b.adds = true
	b.count(m)
	if len(s.puts) == cap(s.puts) {
		s.sweep()
	}
	s.puts = append(s.puts, op)
	return r
}

// Release notes that PUBREC has come for an entry of QoS 2: its message is not needed any more, and PUBREL is due until Remove.
func (b *Batch) Release(s *Session, r *Ref) {
	old := *r
	*r = Ref{Seq: r.Seq, Size: Overhead}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	if op := s.put(old.Seq); op != nil && op.state == waiting {
		op.Ref, op.Delivery = *r, released(r.Seq)
		return
	}
	s.mark(b.add(Op{Kind: Release, Session: s, Ref: old}, urgent))
}

// Remove takes an entry out of a session's queue.
func (b *Batch) Remove(s *Session, r Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	if op := s.put(r.Seq); op != nil && op.state == waiting {
		op.batch.drop(op)
		s.trim()
		return
	}
	s.mark(b.add(Op{Kind: Remove, Session: s, Ref: r}, lazy))
}

// released is what is left of an entry when PUBREC has come.
func released(seq uint64) session.Delivery {
	return session.Delivery{Seq: seq, QoS: 2, Released: true}
}

// mark notes an operation on an entry that may be durable. s.mu is held.
func (s *Session) mark(op *Op) {
	if s.marks == nil {
		s.marks = make(map[uint64]*Op)
	}
	s.marks[op.Ref.Seq] = op
}

// Keep has an entry stay although its expiry is over, because it is on its way: [Store.Expired] does not list it again.
func (b *Batch) Keep(s *Session, r Ref) {
	if !s.Over() {
		b.add(Op{Kind: Keep, Session: s, Ref: r}, lazy)
	}
}

// Receive notes a QoS 2 packet identifier that the client has used, until Forget (MQTT-4.3.3-2).
func (b *Batch) Receive(s *Session, id uint16) {
	if !s.Over() {
		b.adds = true
		b.add(Op{Kind: Receive, Session: s, PacketID: id}, urgent)
	}
}

// Forget notes that PUBREL has come for a received packet identifier.
func (b *Batch) Forget(s *Session, id uint16) {
	if !s.Over() {
		b.add(Op{Kind: Forget, Session: s, PacketID: id}, urgent)
	}
}

// Retain makes m the retained message of its topic in the place of old, nil if there is none. Nobody waits for it at QoS 0.
func (b *Batch) Retain(m, old *session.Message) {
	n := urgent
	if m.QoS == 0 {
		n = lazy
	}
	b.adds = true
	b.count(m)
	b.add(Op{Kind: Retain, Message: m, Old: old}, n)
}

// Unretain removes the retained message of a topic.
func (b *Batch) Unretain(old *session.Message) { b.add(Op{Kind: Unretain, Old: old}, urgent) }

// Change makes m the retained message of a topic that nodes share; nil: there is none any more. It is given a version, [Batch.Version].
func (b *Batch) Change(topic string, m *session.Message) {
	if m != nil {
		b.adds = true
		b.count(m)
	}
	b.add(Op{Kind: Change, Topic: topic, Message: m}, urgent)
}

// Lapse removes the retained message of a topic that nodes share if it has expired at now, in Unix seconds, whichever it is. Nobody waits for that.
func (b *Batch) Lapse(topic string, now int64) {
	b.add(Op{Kind: Lapse, Topic: topic, Now: now}, lazy)
}

// SetVersion notes the version of the batch's Change. It is for implementations of [Shared], before the batch counts as settled.
func (b *Batch) SetVersion(version uint64) { b.version = version }

// Version is that of the batch's Change, of the last if there are several: changes of retained messages by all nodes have one order, by rising versions. It holds when the batch is settled,
// and is 0 if it has been refused.
func (b *Batch) Version() uint64 {
	if b.Err() != nil {
		return 0
	}
	return b.version
}

// Save writes a session's record. The first time makes the session known.
func (b *Batch) Save(s *Session, r Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	first := !s.saved
	s.saved = true
	b.adds = b.adds || first
	if r.Will != nil {
		b.bytes += int64(r.Will.Message.Size())
	}
	b.add(Op{Kind: Save, Session: s, Record: &r, First: first}, urgent)
}

// End removes a session with its subscriptions, its received packet identifiers and its queue. What is added for it later is ignored.
func (b *Batch) End(s *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || !s.saved {
		s.over = true
		return
	}
	s.over = true
	for _, op := range s.puts {
		if op.state == waiting {
			op.batch.drop(op)
		}
	}
	s.trim()
	b.add(Op{Kind: End, Session: s}, urgent)
}

// Subscribe writes a subscription. old is what it was before, or nil.
func (b *Batch) Subscribe(s *Session, filter string, o topic.Options, old *topic.Options) {
	if !s.Over() {
		b.adds = true
		b.bytes += int64(len(filter))
		b.add(Op{Kind: Subscribe, Session: s, Sub: &Subscription{Filter: filter, Options: o}, OldSub: old}, urgent)
	}
}

// Unsubscribe removes a subscription.
func (b *Batch) Unsubscribe(s *Session, filter string) {
	if !s.Over() {
		b.add(Op{Kind: Unsubscribe, Session: s, Sub: &Subscription{Filter: filter}}, urgent)
	}
}

// Undo returns the opposite of batches that were refused and have been written all the same. kept are those that were written with them or behind them and stay:
// what they have removed does not come back as what was there before a batch that is undone. A Change stays: other nodes may have gone on from it. It is for implementations of [Store].
func Undo(lost, kept []*Batch) *Batch {
	u := new(Batch)
	for i := len(lost) - 1; i >= 0; i-- {
		for op := range lost[i].Ops() {
			switch s := op.Session; op.Kind {
			case Enqueue:
				u.Remove(s, op.Ref)
			case Receive:
				u.Forget(s, op.PacketID)
			case Retain:
				if op.Old != nil {
					u.Retain(op.Old, op.Message)
				} else {
					u.Unretain(op.Message)
				}
			case Save:
				if op.First {
					u.End(s)
				}
			case Subscribe:
				if op.OldSub != nil {
					u.Subscribe(s, op.Sub.Filter, *op.OldSub, &op.Sub.Options)
				} else {
					u.Unsubscribe(s, op.Sub.Filter)
				}
			}
		}
	}
	for _, b := range kept {
		for op := range b.Ops() {
			switch op.Kind {
			case Unretain:
				u.Unretain(op.Old)
			case Unsubscribe:
				u.Unsubscribe(op.Session, op.Sub.Filter)
			}
		}
	}
	return u
}

// Seconds brings an expiry into the range of a record: in 2106 it stops at never.
func Seconds(unix int64) uint32 {
	if unix < 0 || unix > math.MaxUint32 {
		return 0
	}
	return uint32(unix)
}
