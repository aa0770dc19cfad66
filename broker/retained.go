package broker

import (
	"strings"
	"sync"
	"sync/atomic"

	"picket/session"
	"picket/store"
	"picket/topic"
)

// retained is the retained messages, at most one for each topic (MQTT-3.3.1-5): in memory, in the store where there is one, and in the account of
// what may be held. Everything that happens to them happens here: they are put, deleted, expired, loaded at the start, and undone when
// the store refuses what memory has taken already.
//
// Each topic has a place of its own, which keeps its identity while messages replace one another in it. Who has to send many of them remembers
// places, so a reader that is slow keeps no message in memory that has been replaced meanwhile.
//
// Finding and reading take no lock but the tree's. Every change is made under mu, which is held while the store is handed its part, so that both
// change in the same order. It is taken last: the store and the account call nobody.
type retained struct {
	tree   *topic.Tree[*place]
	memory *memory
	commit func(*store.Batch) *store.Batch // nil: nothing is stored
	newest atomic.Uint64                   // messages retained since the start

	mu sync.Mutex
	// mortal are the places whose messages expire and that no store lists when it is time.
	mortal mortals
	// refused are messages that the store has refused and that had been replaced by then, each with what was there before: what has replaced one,
	// and is refused too, has to give way to that.
	refused map[*session.Message]*session.Message
}

// place is where a topic's retained message is; nil when there is none any more.
type place struct {
	message atomic.Pointer[session.Message]
	mortal  int // its index among the mortal ones, plus one; 0: it is not one of them
}

func newRetained(m *memory) *retained {
	return &retained{tree: topic.NewTree[*place](), memory: m, refused: make(map[*session.Message]*session.Message)}
}

// ownTopic tells whether a topic is the broker's own: what it retains there is about this very life of it.
func ownTopic(name string) bool { return strings.HasPrefix(name, "$SYS/") }

func (r *retained) stores(name string) bool { return r.commit != nil && !ownTopic(name) }

// len is how many there are.
func (r *retained) len() int { return r.tree.Len() }

// bytes is what they take in memory.
func (r *retained) bytes() int64 { return r.memory.of(heldRetained) }

// get returns a topic's retained message, or nil.
func (r *retained) get(name string) *session.Message {
	p, ok := r.tree.Get(name)
	if !ok {
		return nil
	}
	return p.message.Load()
}

// reaches tells whether a filter may match anything that is retained.
func (r *retained) reaches(filter string) bool { return r.tree.Reaches(filter) }

// match returns the places of all topics that a filter matches, in no order.
func (r *retained) match(filter string) []*place { return r.tree.Collect(filter, nil) }

// put retains a message in the place of the one before. It reports false, and changes nothing, when there is no memory for it. after is what an
// acknowledgement has to wait for: nil for nothing.
func (r *retained) put(m *session.Message) (after *store.Batch, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.memory.take(heldRetained, int64(m.Size())) {
		return nil, false
	}
	m.Stored = r.newest.Add(1)
	old := r.replaceLocked(m)
	if !r.stores(m.Topic) {
		return nil, true
	}
	batch := new(store.Batch)
	batch.Retain(m, old)
	return r.commit(batch), true
}

// remove takes a topic's retained message away (MQTT-3.3.1-6). after is as for put.
func (r *retained) remove(name string) (after *store.Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.takeLocked(name)
}

// expire takes a message away whose expiry interval has passed (MQTT-3.3.2-5), unless another has taken its place, and reports whether it did.
func (r *retained) expire(m *session.Message) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.get(m.Topic) != m {
		return false
	}
	r.takeLocked(m.Topic)
	return true
}

// sweep takes messages away whose expiry interval has passed at now, in Unix seconds (MQTT-3.3.2-5), and that no store lists: those that are over longest first. It returns how many,
// which is no more than limit.
func (r *retained) sweep(now int64, limit int) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ; n < limit && len(r.mortal) > 0; n++ {
		m := r.mortal[0].place.message.Load()
		if !m.Expired(now) {
			break
		}
		r.dropLocked(m.Topic)
	}
	return n
}

// undo takes back what put has done with a message that the store has refused: old, which may be nil, is in its place again, unless another is there by
// now.
func (r *retained) undo(m, old *session.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if before, ok := r.refused[old]; ok {
		delete(r.refused, old)
		old = before
	}
	if r.get(m.Topic) != m {
		r.refused[m] = old
		return
	}
	if old == nil {
		r.dropLocked(m.Topic)
		return
	}
	r.memory.force(heldRetained, int64(old.Size()))
	r.replaceLocked(old)
}

// settled says that the store works again: whatever has replaced a refused message has been stored or refused by now.
func (r *retained) settled() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.refused)
}

// load takes what the store has for a topic: at the start, or when somebody else has changed it. nil: nothing any more.
func (r *retained) load(name string, m *session.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m == nil {
		r.dropLocked(name)
		return
	}
	m.Stored = r.newest.Add(1)
	r.memory.force(heldRetained, int64(m.Size()))
	r.replaceLocked(m)
}

// replaceLocked puts a message that has been counted into its place and returns the one before, which is counted off.
func (r *retained) replaceLocked(m *session.Message) (old *session.Message) {
	p, ok := r.tree.Get(m.Topic)
	if ok {
		old = p.message.Swap(m)
	} else {
		p = new(place)
		p.message.Store(m)
		r.tree.Set(m.Topic, p)
	}
	if !r.stores(m.Topic) {
		r.mortal.note(p)
	}
	if old != nil {
		r.memory.give(heldRetained, int64(old.Size()))
	}
	return old
}

// dropLocked empties a topic's place and returns what was there, which is counted off.
func (r *retained) dropLocked(name string) (old *session.Message) {
	p, ok := r.tree.Delete(name)
	if !ok {
		return nil
	}
	old = p.message.Swap(nil)
	r.mortal.note(p)
	r.memory.give(heldRetained, int64(old.Size()))
	return old
}

// takeLocked drops a topic's message, in the store too.
func (r *retained) takeLocked(name string) (after *store.Batch) {
	old := r.dropLocked(name)
	if old == nil || !r.stores(name) {
		return nil
	}
	batch := new(store.Batch)
	batch.Unretain(old)
	return r.commit(batch)
}
