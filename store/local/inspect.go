package local

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"picket/store"
	"picket/topic"
)

// Inspector reads a store without changing anything.
type Inspector struct {
	s        *Store
	e        *engine
	problems []string
	// Progress, if it is set, is called with the number of records read so far, now and then.
	Progress func(records int)
	n        int
}

// Counts is what a store holds.
type Counts struct {
	Format        uint64 `json:"format"`
	Group         uint64 `json:"group"`
	Sessions      int    `json:"sessions"`
	Subscriptions int    `json:"subscriptions"`
	Received      int    `json:"received"`
	Queued        int    `json:"queued"`
	Retained      int    `json:"retained"`
	Messages      int    `json:"messages"` // outside of queues
	Disk          int64  `json:"disk"`     // bytes
}

// Item is one record, read.
type Item = store.Item

// Inspect opens a store that no other process has open. Damage does not make it fail; [Inspector.Verify] tells of it.
func Inspect(dir string, o Options) (_ *Inspector, err error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	s := &Store{options: o, dir: dir, log: o.Log, base: o.FS}
	if _, err := o.FS.Stat(s.path(databaseName)); err != nil {
		return nil, fmt.Errorf("there is no store in %s: %w", dir, err)
	}
	if err := lockDirectory(s, dir); err != nil {
		return nil, err
	}
	i := &Inspector{s: s}
	defer func() {
		if err != nil {
			err = errors.Join(err, i.Close())
		}
	}()
	if err := s.check(); err != nil {
		if errors.Is(err, store.ErrNewer) {
			return nil, fmt.Errorf("store %s: %w", dir, err)
		}
		i.problem("%v", err)
	}
	e := newEngine(s.base, &s.syncs)
	if err := e.open(s.path(databaseName), true); err != nil {
		return nil, fmt.Errorf("store %s cannot be opened; picket serve moves what can be read into a fresh one: %w", dir, errors.Join(err, e.close()))
	}
	i.e = e
	version, _, err := getNumber(e.db, formatKey)
	if err == nil && version > formatNewest {
		return nil, fmt.Errorf("store %s has format %d, and this program knows formats up to %d: %w", dir, version, formatNewest, store.ErrNewer)
	}
	return i, nil
}

// Close lets go of the store.
func (i *Inspector) Close() error {
	var err error
	if i.e != nil {
		err = i.e.close()
	}
	return errors.Join(err, i.s.lock.Close())
}

func (i *Inspector) problem(format string, args ...any) {
	const most = 1000
	if len(i.problems) < most {
		i.problems = append(i.problems, fmt.Sprintf(format, args...))
	}
}

// each reads all records from low up to but not including high.
func (i *Inspector) each(low, high []byte, do func(key, value []byte) error) error {
	it, err := i.e.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return err
	}
	for it.First(); it.Valid(); it.Next() {
		value, err := it.ValueAndErr()
		if err == nil {
			err = do(it.Key(), value)
		}
		if err != nil {
			return errors.Join(err, it.Close())
		}
		if i.n++; i.Progress != nil && i.n%4096 == 0 {
			i.Progress(i.n)
		}
	}
	return it.Close()
}

// kind reads all records of a kind, or of one session's.
func (i *Inspector) kind(kind byte, do func(key, value []byte) error) error {
	return i.each([]byte{kind}, []byte{kind + 1}, do)
}

func (i *Inspector) ofSession(kind byte, session uint64, do func(key, value []byte) error) error {
	return i.each(numberKey(nil, kind, session), numberKey(nil, kind, session+1), do)
}

// Dump calls do with every record: sessions with what belongs to them, and then the retained messages. It ends at the first error.
func (i *Inspector) Dump(do func(Item) error) error {
	err := i.kind(keySession, func(key, value []byte) error {
		id, r, err := store.DecodeRecord(value)
		if err != nil {
			return err
		}
		n := number(key)
		if err := do(Item{Record: &r, Session: n, ClientID: id}); err != nil {
			return err
		}
		return i.dumpSession(n, id, do)
	})
	if err != nil {
		return err
	}
	return i.kind(keyRetained, func(_, value []byte) error {
		m, _, err := retainedOf(i.e.db, value)
		if err != nil {
			return err
		}
		return do(Item{Retained: m})
	})
}

func (i *Inspector) dumpSession(n uint64, id string, do func(Item) error) error {
	err := i.ofSession(keySubscription, n, func(key, value []byte) error {
		o, err := store.DecodeSubscription(value)
		if err != nil {
			return err
		}
		return do(Item{Sub: &store.Subscription{Filter: string(key[sessionKeySize:]), Options: o}, Session: n, ClientID: id})
	})
	if err != nil {
		return err
	}
	err = i.ofSession(keyReceived, n, func(key, _ []byte) error {
		return do(Item{Received: binary.BigEndian.Uint16(key[sessionKeySize:]), Session: n, ClientID: id})
	})
	if err != nil {
		return err
	}
	return i.ofSession(keyEntry, n, func(key, value []byte) error {
		e, err := i.entry(sequence(key), value)
		if err != nil {
			return err
		}
		return do(Item{Entry: &e, Session: n, ClientID: id})
	})
}

func (i *Inspector) entry(seq uint64, value []byte) (store.Entry, error) {
	h, err := store.DecodeEntryHead(value, seq)
	if err != nil || h.Ref.ID == 0 {
		if err == nil {
			return h.Whole()
		}
		return store.Entry{}, err
	}
	record, closer, err := i.e.db.Get(bodyKey(nil, h.Ref.ID))
	if err != nil {
		return store.Entry{}, fmt.Errorf("message %d: %w", h.Ref.ID, err)
	}
	h.Message, err = decodeBody(i.e.db, record, h.Ref.ID)
	return h.Entry, errors.Join(err, closer.Close())
}

// Verify reads everything, and returns what there is and what is wrong with it.
func (i *Inspector) Verify() (c Counts, problems []string, err error) {
	spans, err := i.s.spans(i.e, i.s.path(databaseName))
	if err != nil {
		return c, i.problems, err
	}
	for _, b := range spans {
		i.problem("records from %s to %s cannot be read: %s", describe(b.low), describe(b.high), b.why)
	}
	v := &verifier{Inspector: i, sessions: make(map[uint64]bool), bodies: make(map[uint64]bool), expiring: make(map[string]uint32)}
	for _, step := range [...]func() error{v.heads, v.readSessions, v.readSubscriptions, v.readReceived, v.readBodies, v.readQueues, v.readRetained, v.readIndex, v.rest} {
		if err := step(); err != nil {
			i.problem("reading ends early: %v", err)
		}
	}
	v.Disk = int64(i.e.db.Metrics().DiskSpaceUsage())
	return v.Counts, i.problems, nil
}

type verifier struct {
	*Inspector
	Counts
	sessions map[uint64]bool
	bodies   map[uint64]bool   // whether something refers to it
	expiring map[string]uint32 // by key, for what has an expiry
}

func (v *verifier) heads() (err error) {
	if v.Format, _, err = getNumber(v.e.db, formatKey); err != nil {
		return err
	}
	v.Group, err = getGroup(v.e.db)
	return err
}

// check counts a record that is read without an error.
func (v *verifier) check(key []byte, err error, n *int) error {
	if err != nil {
		v.problem("%s: %v", describe(key), err)
		return nil
	}
	*n++
	return nil
}

func (v *verifier) readSessions() error {
	return v.kind(keySession, func(key, value []byte) error {
		_, _, err := store.DecodeRecord(value)
		v.sessions[number(key)] = true
		return v.check(key, err, &v.Sessions)
	})
}

// owned tells whether the session that a record belongs to is there. What an ended session has left is removed when the broker runs again, so it is
// no mistake.
func (v *verifier) owned(key []byte) bool { return v.sessions[number(key)] }

func (v *verifier) readSubscriptions() error {
	return v.kind(keySubscription, func(key, value []byte) error {
		if !v.owned(key) {
			return nil
		}
		_, err := store.DecodeSubscription(value)
		if err == nil {
			err = topic.CheckFilter(string(key[sessionKeySize:]))
		}
		return v.check(key, err, &v.Subscriptions)
	})
}

func (v *verifier) readReceived() error {
	return v.kind(keyReceived, func(key, _ []byte) error {
		if v.owned(key) {
			v.Received++
		}
		return nil
	})
}

func (v *verifier) readBodies() error {
	return v.kind(keyBody, func(key, value []byte) error {
		_, err := decodeBody(v.e.db, value, number(key))
		v.bodies[number(key)] = false
		return v.check(key, err, &v.Messages)
	})
}

// refer looks at the message that a record refers to.
func (v *verifier) refer(key, value []byte) error {
	h, err := store.DecodeEntryHead(value, 0)
	if err != nil {
		return err
	}
	if h.Ref.Expires != 0 {
		v.expiring[string(key)] = h.Ref.Expires
	}
	if h.Ref.ID == 0 {
		_, err = h.Whole()
		return err
	}
	if _, ok := v.bodies[h.Ref.ID]; !ok {
		return fmt.Errorf("message %d is missing", h.Ref.ID)
	}
	v.bodies[h.Ref.ID] = true
	return nil
}

func (v *verifier) readQueues() error {
	return v.kind(keyEntry, func(key, value []byte) error {
		err := v.refer(key, value)
		if !v.owned(key) {
			return nil
		}
		return v.check(key, err, &v.Queued)
	})
}

func (v *verifier) readRetained() error {
	return v.kind(keyRetained, func(key, value []byte) error {
		err := v.refer(key, value)
		if err == nil {
			err = topic.CheckName(key[1:])
		}
		return v.check(key, err, &v.Retained)
	})
}

// readIndex compares the index of what expires with what does.
func (v *verifier) readIndex() error {
	return v.kind(keyExpiry, func(key, _ []byte) error {
		if !wellFormed(key) {
			v.problem("a key of the index of what expires: %q", key)
			return nil
		}
		of := string(key[expiryHead:])
		if v.expiring[of] == binary.BigEndian.Uint32(key[1:]) {
			delete(v.expiring, of)
		}
		return nil // one that stands for nothing is removed when its time comes
	})
}

func (v *verifier) rest() error {
	unused := 0
	for _, used := range v.bodies {
		if !used {
			unused++
		}
	}
	if unused > 0 {
		v.problem("%d messages to which nothing refers", unused)
	}
	for key := range v.expiring {
		if key[0] == keyRetained { // an entry may have been taken out of it by Keep
			v.problem("%s has an expiry and is not in the index of what expires", describe([]byte(key)))
		}
	}
	return nil
}
