package local

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"picket/session"
	"picket/store"
)

// body is what is known of a message that lies outside of the queues.
type body struct {
	count  uint32 // records that refer to it
	size   uint32
	pieces uint32 // of its payload, if that lies apart
}

// ledger is what the committer knows of the records beside what it writes. Messages outside of queues are counted here alone: a count on the disk would
// have to be written with each reference.
type ledger struct {
	group   uint64 // number of the last group written
	synced  uint64 // number of the last group that is known to be on the disk
	bodies  map[uint64]body
	alive   *registry
	piece   int      // length of a piece of a payload, in bytes
	dead    []uint64 // numbers of ended sessions of which something is left
	live    int64    // bytes of all records, near enough
	entries int64
	broken  error // a record that had to be read could not be
	life    byte  // which engine of this store it belongs to, from 1 on; those beyond 254 are 255
}

// registry finds sessions that have not ended by their numbers. Any goroutine may ask it.
type registry struct {
	mu       sync.RWMutex
	sessions map[uint64]*store.Session
}

func (r *registry) get(number uint64) (*store.Session, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s, ok := r.sessions[number]
	return s, ok
}

// add reports whether the session is new.
func (r *registry) add(s *store.Session) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.sessions[s.Number]
	r.sessions[s.Number] = s
	return !ok
}

// remove reports whether the session was there.
func (r *registry) remove(number uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.sessions[number]
	delete(r.sessions, number)
	return ok
}

// adopt replaces the sessions that another registry knows too by its own.
func (r *registry) adopt(other *registry) {
	for number, s := range other.sessions {
		if _, ok := r.sessions[number]; ok {
			r.sessions[number] = s
		}
	}
}

func (r *registry) len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.sessions)
}

// Sizes of records that the ledger counts without looking at them.
const (
	sessionSize      = 100
	subscriptionSize = 30
	receivedSize     = 12
	indexSize        = 24
)

// changes is a group of batches on its way to becoming one of Pebble's.
type changes struct {
	*ledger
	engine *engine
	db     *pebble.DB
	out    *pebble.Batch
	key    []byte
	val    []byte
	// retained is what the group does with retained messages, by topic.
	retained map[string]replacement
	err      error
}

// encode writes a group, and removes keys of the index that were found to stand for nothing. The ledger changes with it, so the batch has to be written
// or the ledger made anew.
func (l *ledger) encode(e *engine, group []*store.Batch, stale [][]byte) (*pebble.Batch, error) {
	l.group++
	c := &changes{ledger: l, engine: e, db: e.db, out: e.db.NewBatch()}
	c.set(groupKey, appendGroup(nil, l.group, l.synced))
	for _, key := range stale {
		c.dropStale(key)
	}
	for _, b := range group {
		for op := range b.Ops() {
			c.apply(op)
		}
	}
	for _, topic := range slices.Sorted(maps.Keys(c.retained)) { // Pebble finds the place of a key sooner near that of the one before
		c.retain(topic, c.retained[topic])
	}
	if c.err != nil {
		return nil, errors.Join(c.err, c.out.Close())
	}
	return c.out, nil
}

// appendGroup adds the record of a group: its number, and that of the last group known to be on the disk when it was written. A log in which one is missing
// up to there is damaged; one that ends or has gaps behind that was cut off by a power loss.
func appendGroup(dst []byte, group, synced uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, group), synced)
}

func decodeGroup(data []byte) (group, synced uint64, ok bool) {
	group, n := binary.Uvarint(data)
	if n <= 0 {
		return 0, 0, false
	}
	synced, m := binary.Uvarint(data[n:])
	return group, synced, m > 0 && n+m == len(data)
}

func (c *changes) set(key, value []byte) { c.note(c.out.Set(key, value, nil)) }

func (c *changes) delete(key []byte) { c.note(c.out.Delete(key, nil)) }

func (c *changes) note(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *changes) apply(op *store.Op) {
	switch s := op.Session; op.Kind {
	case store.Enqueue:
		c.enqueue(op)
	case store.Release:
		if c.letGo(s.Number, op.Ref) {
			c.key = entryKey(c.key[:0], s.Number, op.Ref.Seq)
			c.val = store.AppendEntry(c.val[:0], &store.Entry{Delivery: session.Delivery{QoS: 2, Released: true}})
			c.set(c.key, c.val)
			c.unindex(c.key, op.Ref.Expires)
			c.live += store.Overhead - int64(op.Ref.Size)
		}
	case store.Remove:
		if c.surely(op) || c.letGo(s.Number, op.Ref) {
			c.key = entryKey(c.key[:0], s.Number, op.Ref.Seq)
			c.delete(c.key)
			c.unindex(c.key, op.Ref.Expires)
			c.entries--
			c.live -= int64(op.Ref.Size)
		}
	case store.Keep:
		c.key = entryKey(c.key[:0], s.Number, op.Ref.Seq)
		c.unindex(c.key, op.Ref.Expires)
	case store.Receive:
		c.set(receivedKey(c.key[:0], s.Number, op.PacketID), nil)
		c.live += receivedSize
	case store.Forget:
		c.delete(receivedKey(c.key[:0], s.Number, op.PacketID))
		c.live -= receivedSize
	case store.Retain:
		c.noteRetained(op.Message.Topic, op.Old, op.Message)
	case store.Unretain:
		c.noteRetained(op.Old.Topic, op.Old, nil)
	case store.Save:
		c.val = store.AppendRecord(c.val[:0], s.ClientID, op.Record)
		c.set(sessionKey(c.key[:0], s.Number), c.val)
		if c.alive.add(s) {
			c.live += sessionSize
		}
	case store.End:
		c.delete(sessionKey(c.key[:0], s.Number))
		if c.alive.remove(s.Number) {
			c.live -= sessionSize
		}
		c.dead = append(c.dead, s.Number)
	case store.Subscribe:
		c.key = subscriptionKey(c.key[:0], s.Number, op.Sub.Filter)
		c.set(c.key, store.AppendSubscription(c.val[:0], op.Sub.Options))
		if op.OldSub == nil {
			c.live += subscriptionSize + int64(len(op.Sub.Filter))
		}
	case store.Unsubscribe:
		c.delete(subscriptionKey(c.key[:0], s.Number, op.Sub.Filter))
		c.live -= subscriptionSize + int64(len(op.Sub.Filter))
	}
}

// surely tells without looking that an entry is there that is to be removed, and that no message outside goes with it. What a session had that has ended is
// removed by purge, perhaps already: the batch of the removal may be committed behind that of the end.
func (c *changes) surely(op *store.Op) bool {
	_, alive := c.alive.get(op.Session.Number)
	return alive && op.Ref.ID == 0
}

func (c *changes) enqueue(op *store.Op) {
	c.key = entryKey(c.key[:0], op.Session.Number, op.Ref.Seq)
	e := store.Entry{Ref: op.Ref, Delivery: op.Delivery}
	if !e.Released {
		if e.Ref.ID != 0 {
			c.addBody(e.Message)
		}
		c.index(c.key, e.Ref.Expires)
	}
	c.val = store.AppendEntry(c.val[:0], &e)
	c.set(c.key, c.val)
	c.entries++
	c.live += int64(op.Ref.Size)
}

// index notes when what has the key is over; unindex takes the note away.
func (c *changes) index(key []byte, expires uint32) {
	if expires != 0 {
		c.set(expiryKey(nil, expires, key), nil)
		c.live += indexSize + int64(len(key))
	}
}

func (c *changes) unindex(key []byte, expires uint32) {
	if expires != 0 {
		c.delete(expiryKey(nil, expires, key))
		c.live -= indexSize + int64(len(key))
	}
}

// dropStale removes a key of the index, unless it has come to stand for something since.
func (c *changes) dropStale(key []byte) {
	value, closer, err := c.db.Get(key[expiryHead:])
	if err == nil {
		h, decodeErr := store.DecodeEntryHead(value, 0)
		c.note(closer.Close())
		if decodeErr == nil && h.Ref.Expires == binary.BigEndian.Uint32(key[1:]) {
			return
		}
	}
	c.delete(key)
}

// addBody counts a reference to a message outside of the queues, and writes the message with the first one.
func (c *changes) addBody(m *session.Message) {
	b, ok := c.bodies[m.ID]
	if !ok {
		b.size = uint32(store.MessageSize(m))
		c.live += int64(b.size) + store.Overhead
		if len(m.Payload) > c.piece {
			b.pieces = c.writePieces(m)
			c.val = store.AppendBodyApart(c.val[:0], m)
			c.set(formatKey, binary.AppendUvarint(nil, formatApart))
		} else {
			c.val = store.AppendBody(c.val[:0], m)
		}
		c.set(bodyKey(nil, m.ID), c.val)
	}
	b.count++
	c.bodies[m.ID] = b
}

// removeBody takes a reference away, and the message with the last one.
func (c *changes) removeBody(id uint64) {
	b, ok := c.bodies[id]
	if !ok {
		return
	}
	if b.count--; b.count > 0 {
		c.bodies[id] = b
		return
	}
	delete(c.bodies, id)
	c.live -= int64(b.size) + store.Overhead
	if b.pieces == 0 {
		c.note(c.out.DeleteSized(bodyKey(nil, id), b.size, nil))
		return
	}
	c.delete(bodyKey(nil, id))
	for i := range b.pieces {
		c.delete(pieceKey(nil, id, i))
	}
}

// letGo lets go of the message that an entry refers to, and reports whether the entry is there: one that is removed twice by mistake must not take a
// message away from others, and one that was refused must not come into being by its release.
func (c *changes) letGo(session uint64, r store.Ref) bool {
	value, closer, err := c.db.Get(entryKey(nil, session, r.Seq))
	if errors.Is(err, pebble.ErrNotFound) {
		return false
	}
	if err != nil {
		c.broken = err
		return true // damage: the message stays, with nobody to refer to it
	}
	if h, err := store.DecodeEntryHead(value, r.Seq); err == nil && h.Ref.ID != 0 {
		c.removeBody(h.Ref.ID)
	}
	c.note(closer.Close())
	return true
}

// purge makes a batch that removes up to n records of an ended session, and tells whether those were all.
func (l *ledger) purge(db *pebble.DB, session uint64, n int) (out *pebble.Batch, over bool, err error) {
	c := &changes{ledger: l, db: db, out: db.NewBatch()}
	for _, kind := range [...]byte{keyReceived, keySubscription, keyEntry} {
		if n <= 0 {
			return c.out, false, c.err
		}
		lower := numberKey(nil, kind, session)
		it, err := db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: numberKey(nil, kind, session+1)})
		if err != nil {
			return nil, false, errors.Join(err, c.out.Close())
		}
		for it.First(); it.Valid() && n > 0; it.Next() {
			n--
			c.purgeOne(it.Key(), it.Value())
		}
		if err := errors.Join(it.Close(), c.err); err != nil {
			return nil, false, errors.Join(err, c.out.Close())
		}
	}
	return c.out, n > 0, nil
}

func (c *changes) purgeOne(key, value []byte) {
	switch key[0] {
	case keyReceived:
		c.live -= receivedSize
	case keySubscription:
		c.live -= subscriptionSize + int64(len(key)-sessionKeySize)
	case keyEntry:
		c.entries--
		if h, err := store.DecodeEntryHead(value, sequence(key)); err == nil {
			if h.Ref.ID != 0 {
				c.removeBody(h.Ref.ID)
			}
			c.unindex(key, h.Ref.Expires)
			c.live -= int64(h.Ref.Size)
		}
	}
	c.delete(key)
}
