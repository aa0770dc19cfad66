package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"picket/logging"
	"picket/session"
	"picket/store"
	"picket/topic"
)

// contents is what is read of a database when it is opened: everything but the messages in queues, which are only counted.
type contents struct {
	ledger      ledger
	sessions    []loaded
	retained    []*session.Message
	lastSession uint64
	lastMessage uint64
	bad         [][]byte // keys of records that cannot be understood; they are removed
	stray       [][]byte // keys of pieces of payloads to which nothing refers; they are removed
}

type loaded struct {
	session *store.Session
	state   store.State
}

// progressAfter is how long reading may take before the log tells how far it is, each second.
const progressAfter = time.Second

// loader reads a database.
type loader struct {
	*contents
	db      *pebble.DB
	log     *logging.Logger
	dir     string
	n       int
	next    time.Time
	byID    map[uint64]int // place in sessions
	orphans map[uint64]bool
}

// read reads the contents of a database that has just been opened. A database that is new gets its version.
func (s *Store) read(e *engine) (*contents, error) {
	l := &loader{contents: &contents{}, db: e.db, log: s.log, dir: s.dir, next: time.Now().Add(progressAfter),
		byID: make(map[uint64]int), orphans: make(map[uint64]bool)}
	l.ledger.bodies, l.ledger.piece = make(map[uint64]body), s.options.piece
	l.ledger.life = s.committer.life + min(1, maxLife-s.committer.life)
	l.ledger.alive = &registry{sessions: make(map[uint64]*store.Session)}
	if err := l.format(e); err != nil {
		return nil, err
	}
	// What the logs of changes held may never have been synced. From here on it is in tables.
	if err := e.run1(e.db.Flush); err != nil {
		return nil, err
	}
	l.ledger.synced = l.ledger.group
	if err := l.all(); err != nil {
		return nil, err
	}
	for number := range l.orphans {
		l.ledger.dead = append(l.ledger.dead, number)
		l.lastSession = max(l.lastSession, number)
	}
	if l.next.Before(time.Now()) {
		s.log.Printf(logging.Info, "The store %s has been read: %d records.", s.dir, l.n)
	}
	if len(l.bad) > 0 {
		s.lost(fmt.Sprintf("%d records that cannot be understood, the first under the key %q", len(l.bad), l.bad[0]))
	}
	if useless := append(l.bad, l.stray...); len(useless) > 0 {
		out := e.db.NewBatch()
		for _, key := range useless {
			if err := out.Delete(key, nil); err != nil {
				return nil, err
			}
		}
		if err := e.apply(out, true); err != nil {
			return nil, err
		}
	}
	return l.contents, nil
}

// format checks the version, and writes it into a database that has none yet because it is empty.
func (l *loader) format(e *engine) error {
	version, ok, err := getNumber(l.db, formatKey)
	if err != nil {
		return err
	}
	if version > formatNewest {
		return fmt.Errorf("it has format %d, and this program knows formats up to %d: %w", version, formatNewest, store.ErrNewer)
	}
	if l.ledger.group, err = getGroup(l.db); err != nil || ok {
		return err
	}
	out := e.db.NewBatch()
	if err := out.Set(formatKey, binary.AppendUvarint(nil, formatFirst), nil); err != nil {
		return err
	}
	return e.apply(out, true)
}

// getNumber reads a record that is one number.
func getNumber(db pebble.Reader, key []byte) (n uint64, ok bool, err error) {
	value, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	n, size := binary.Uvarint(value)
	if size <= 0 {
		err = fmt.Errorf("%w: the record %q is no number", errDamage, key)
	}
	return n, true, errors.Join(err, closer.Close())
}

// getGroup returns the number of the last group, 0 where there is none.
func getGroup(db pebble.Reader) (uint64, error) {
	value, closer, err := db.Get(groupKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	group, _, ok := decodeGroup(value)
	if !ok {
		err = fmt.Errorf("%w: the record of the last group is none", errDamage)
	}
	return group, errors.Join(err, closer.Close())
}

func (l *loader) all() error {
	if err := l.each(keySession, l.session); err != nil {
		return err
	}
	if err := l.each(keySubscription, l.subscription); err != nil {
		return err
	}
	if err := l.each(keyReceived, l.received); err != nil {
		return err
	}
	if err := l.each(keyEntry, l.entry); err != nil {
		return err
	}
	if err := l.each(keyRetained, l.retain); err != nil {
		return err
	}
	if err := eachPieced(l.db, l.pieces); err != nil {
		return err
	}
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyBody}, UpperBound: []byte{keyBody + 1}})
	if err != nil {
		return err
	}
	if it.Last() && len(it.Key()) == bodyKeySize {
		l.lastMessage = max(l.lastMessage, number(it.Key()))
	}
	return it.Close()
}

// each reads all records of a kind. A record that cannot be understood is noted, and not read again.
func (l *loader) each(kind byte, read func(key, value []byte) error) error {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		return err
	}
	for it.First(); it.Valid(); it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return errors.Join(err, it.Close())
		}
		if !wellFormed(it.Key()) {
			err = errDamage
		} else {
			err = read(it.Key(), value)
		}
		switch {
		case err == nil:
		case errors.Is(err, store.ErrNewer):
			return errors.Join(err, it.Close())
		default:
			l.bad = append(l.bad, append([]byte(nil), it.Key()...))
		}
		if l.n++; l.n%4096 == 0 && time.Now().After(l.next) {
			l.log.Printf(logging.Info, "Reading the store %s: %d records so far.", l.dir, l.n)
			l.next = time.Now().Add(progressAfter)
		}
	}
	return it.Close()
}

func (l *loader) session(key, value []byte) error {
	id, r, err := store.DecodeRecord(value)
	if err != nil {
		return err
	}
	n := number(key)
	if r.Will != nil {
		r.Will.Message.ID = 0 // it gets one when it is published
	}
	s := store.OpenSession(n, id)
	l.byID[n] = len(l.sessions)
	l.sessions = append(l.sessions, loaded{session: s, state: store.State{Record: r}})
	l.ledger.alive.add(s)
	l.ledger.live += sessionSize
	l.lastSession = max(l.lastSession, n)
	return nil
}

// of returns the state of the session that a record belongs to, or nil when that has ended.
func (l *loader) of(key []byte) *store.State {
	i, ok := l.byID[number(key)]
	if !ok {
		l.orphans[number(key)] = true
		return nil
	}
	return &l.sessions[i].state
}

func (l *loader) subscription(key, value []byte) error {
	o, err := store.DecodeSubscription(value)
	if err != nil {
		return err
	}
	l.ledger.live += subscriptionSize + int64(len(key)-sessionKeySize)
	if st := l.of(key); st != nil {
		if st.Subscriptions == nil {
			st.Subscriptions = make(map[string]topic.Options)
		}
		st.Subscriptions[string(key[sessionKeySize:])] = o
	}
	return nil
}

func (l *loader) received(key, _ []byte) error {
	l.ledger.live += receivedSize
	if st := l.of(key); st != nil {
		st.Received = append(st.Received, binary.BigEndian.Uint16(key[sessionKeySize:]))
	}
	return nil
}

func (l *loader) entry(key, value []byte) error {
	h, err := store.DecodeEntryHead(value, sequence(key))
	if err != nil {
		return err
	}
	l.ledger.entries++
	l.ledger.live += int64(h.Ref.Size)
	if h.Ref.Expires != 0 {
		l.ledger.live += indexSize + int64(len(key))
	}
	if id := h.Ref.ID; id != 0 {
		l.refer(id, h.Payload)
	}
	st := l.of(key)
	if st == nil {
		return nil
	}
	b := &st.Backlog
	if b.Entries == 0 {
		b.First = h.Seq
	}
	b.Last = h.Seq
	b.Entries++
	b.Bytes += int64(h.Payload)
	if h.Released {
		b.Released++
	}
	return nil
}

// pieces notes how many pieces of a message's payload there are.
func (l *loader) pieces(id uint64, n uint32) {
	l.lastMessage = max(l.lastMessage, id)
	if b, ok := l.ledger.bodies[id]; ok {
		b.pieces = n
		l.ledger.bodies[id] = b
		return
	}
	for i := range n {
		l.stray = append(l.stray, pieceKey(nil, id, i))
	}
}

// refer counts a reference to a message outside of the queues. How long that is is not looked up: the payload is most of it.
func (l *loader) refer(id uint64, payload int) {
	b, ok := l.ledger.bodies[id]
	if !ok {
		b.size = uint32(payload) + store.Overhead
		l.ledger.live += int64(b.size) + store.Overhead
		l.lastMessage = max(l.lastMessage, id)
	}
	b.count++
	l.ledger.bodies[id] = b
}

func (l *loader) retain(key, value []byte) error {
	m, h, err := retainedOf(l.db, value)
	if err != nil {
		return err
	}
	if h.Ref.ID != 0 {
		l.refer(h.Ref.ID, h.Payload)
	}
	if m.Topic != string(key[1:]) {
		return errDamage
	}
	if store.RefTo(0, m) == h.Ref {
		m.Kept = l.ledger.life
	}
	l.retained = append(l.retained, m)
	l.ledger.live += int64(h.Ref.Size) + int64(len(m.Topic))
	if h.Ref.Expires != 0 {
		l.ledger.live += indexSize + int64(len(key))
	}
	return nil
}

// retainedOf reads a retained message.
func retainedOf(r pebble.Reader, value []byte) (*session.Message, store.EntryHead, error) {
	h, err := store.DecodeEntryHead(value, 0)
	if err != nil {
		return nil, h, err
	}
	if h.Ref.ID == 0 {
		e, err := h.Whole()
		if err == nil && e.Message == nil {
			err = errDamage
		}
		return e.Message, h, err
	}
	record, closer, err := r.Get(bodyKey(nil, h.Ref.ID))
	if err != nil {
		return nil, h, fmt.Errorf("message %d: %w", h.Ref.ID, err)
	}
	m, err := decodeBody(r, record, h.Ref.ID)
	return m, h, errors.Join(err, closer.Close())
}

// isFull tells whether an error says that there is no space left.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
