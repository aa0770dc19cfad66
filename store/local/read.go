package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"picket/session"
	"picket/store"
)

// view calls do with a snapshot of the database, which is not replaced meanwhile.
func (s *Store) view(ctx context.Context, do func(*pebble.Snapshot) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.down != nil {
		return s.down
	}
	snapshot := s.engine.db.NewSnapshot()
	return errors.Join(do(snapshot), snapshot.Close())
}

func (s *Store) Read(ctx context.Context, of *store.Session, from uint64, limit store.Limit, into []store.Entry) (entries []store.Entry, more bool, err error) {
	merge := store.NewMerge(of, from, limit, into)
	err = s.view(ctx, func(snapshot *pebble.Snapshot) error {
		q := &queue{store: s, snapshot: snapshot, session: of, merge: merge, next: from}
		err := q.read()
		return errors.Join(err, q.close())
	})
	if err != nil {
		return into, false, err
	}
	entries, more = merge.Finish()
	return entries, more, nil
}

// queue reads one session's queue.
type queue struct {
	store    *Store
	snapshot *pebble.Snapshot
	session  *store.Session
	merge    *store.Merge
	next     uint64 // sequence number to go on from
	bodies   *pebble.Iterator
	key      []byte
}

func (q *queue) close() error {
	if q.bodies == nil {
		return nil
	}
	return q.bodies.Close()
}

// read reads to the end, or until there is enough. Where a part of it is damaged, it goes on behind that.
func (q *queue) read() error {
	upper := numberKey(nil, keyEntry, q.session.Number+1)
	for {
		it, err := q.snapshot.NewIter(&pebble.IterOptions{LowerBound: entryKey(nil, q.session.Number, q.next), UpperBound: upper})
		if err != nil {
			return err
		}
		for it.First(); it.Valid(); it.Next() {
			seq := sequence(it.Key())
			q.next = seq + 1
			if !q.merge.Add(q.entry(seq, it)) {
				return it.Close()
			}
		}
		err = it.Close()
		if err == nil || !isDamage(err) {
			return err
		}
		q.store.noteDamage(err)
		behind, ok := lastGood(q.snapshot, entryKey(nil, q.session.Number, q.next), upper)
		if !ok {
			return nil
		}
		q.next = sequence(behind)
	}
}

// entry reads the entry that it stands at.
func (q *queue) entry(seq uint64, it *pebble.Iterator) store.Entry {
	damaged := store.Entry{Ref: store.Ref{Seq: seq, Size: store.Overhead}, Delivery: session.Delivery{Seq: seq}, Damaged: true}
	value, err := it.ValueAndErr()
	if err != nil {
		q.store.noteDamage(err)
		return damaged
	}
	h, err := store.DecodeEntryHead(value, seq)
	if err != nil {
		q.store.noteDamage(err)
		return damaged
	}
	damaged.Ref, damaged.QoS = h.Ref, h.QoS
	if h.Ref.ID != 0 {
		m, err := q.body(h.Ref.ID)
		if err != nil {
			q.store.noteDamage(err)
			return damaged
		}
		h.Message = m
		return h.Entry
	}
	e, err := h.Whole()
	if err != nil {
		q.store.noteDamage(err)
		return damaged
	}
	return e
}

// body reads a message that lies outside of the queues. The numbers of those in one queue rise for the most part, so that one iterator finds them quickly.
func (q *queue) body(id uint64) (*session.Message, error) {
	if q.bodies == nil {
		it, err := q.snapshot.NewIter(&pebble.IterOptions{LowerBound: []byte{keyBody}, UpperBound: []byte{keyBody + 1}})
		if err != nil {
			return nil, err
		}
		q.bodies = it
	}
	q.key = bodyKey(q.key[:0], id)
	if !q.bodies.SeekGE(q.key) || number(q.bodies.Key()) != id {
		if err := q.bodies.Error(); err != nil {
			err = errors.Join(err, q.bodies.Close())
			q.bodies = nil
			return nil, err
		}
		return nil, fmt.Errorf("%w: message %d is missing", errDamage, id)
	}
	value, err := q.bodies.ValueAndErr()
	if err != nil {
		return nil, err
	}
	return decodeBody(q.snapshot, value, id)
}

// lastGood returns the lowest key from lower on from which everything up to upper can be read.
func lastGood(r pebble.Reader, lower, upper []byte) (key []byte, ok bool) {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, false
	}
	for it.Last(); it.Valid(); it.Prev() {
		key = append(key[:0], it.Key()...)
		ok = true
	}
	_ = it.Close() // what it stops at is known
	return key, ok
}

func (s *Store) Expired(ctx context.Context, now int64, n int) (expired []store.Expired, err error) {
	err = s.view(ctx, func(snapshot *pebble.Snapshot) error {
		upper := []byte{keyExpiry + 1}
		if last := store.Seconds(now + 1); last != 0 {
			upper = binary.BigEndian.AppendUint32([]byte{keyExpiry}, last)
		}
		it, err := snapshot.NewIter(&pebble.IterOptions{LowerBound: []byte{keyExpiry}, UpperBound: upper})
		if err != nil {
			return err
		}
		for it.First(); it.Valid() && len(expired) < n; it.Next() {
			if e, ok := s.expired(it.Key()); ok {
				expired = append(expired, e)
			}
		}
		return it.Close()
	})
	return expired, err
}

// expired turns a key of the index into what it stands for. What is not there any more, or has another expiry, is no concern of the broker's: the committer
// removes the key. The database is asked as it is after it is known that nothing is about to be removed: an older view of it may hold what has been since. s.mu is held.
func (s *Store) expired(key []byte) (e store.Expired, ok bool) {
	if !wellFormed(key) {
		return e, false
	}
	second, of := binary.BigEndian.Uint32(key[1:]), key[expiryHead:]
	if of[0] == keyRetained {
		e.Topic = string(of[1:])
	} else {
		e.Session, ok = s.registry.Load().get(number(of))
		if !ok || e.Session.Under(sequence(of)) {
			return e, false // it goes with its session, or is about to be removed
		}
		e.Ref.Seq = sequence(of)
	}
	value, closer, err := s.engine.db.Get(of)
	if err == nil {
		var h store.EntryHead
		h, err = store.DecodeEntryHead(value, e.Ref.Seq)
		e.Ref, e.Bytes = h.Ref, h.Payload
		err = errors.Join(err, closer.Close())
	}
	switch {
	case errors.Is(err, pebble.ErrNotFound) || err == nil && e.Ref.Expires != second:
		s.noteStale(key)
		return e, false
	case err != nil:
		s.noteDamage(err)
		return e, false
	}
	return e, true
}

// mostStale bounds the keys that wait for being removed; more will be found again.
const mostStale = 1000

func (s *Store) noteStale(key []byte) {
	s.staleMu.Lock()
	defer s.staleMu.Unlock()
	if len(s.stale) < mostStale {
		s.stale = append(s.stale, append([]byte(nil), key...))
	}
}

// takeStale returns the keys that stand for nothing.
func (s *Store) takeStale() (keys [][]byte) {
	s.staleMu.Lock()
	defer s.staleMu.Unlock()
	keys, s.stale = s.stale, nil
	return keys
}
