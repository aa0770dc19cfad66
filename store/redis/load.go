package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"picket/cause"
	"picket/logging"
	"picket/session"
	"picket/store"
	"picket/topic"
)

// loadAtOnce is how many sessions are asked for in one round trip, and readers how many round trips are under way.
const (
	loadAtOnce = 500
	readers    = 4
)

// loaded is a session as it was read.
type loaded struct {
	name    string
	handle  *store.Session
	state   store.State
	entries []expiring
	err     error
	missing bool   // nothing is stored of it
	owner   uint64 // the incarnation that has it, where several nodes share the store
	fence   uint64
}

// load reads everything and hands it to h.
func (s *Store) load(ctx context.Context, h store.Handler) error {
	told := time.Now()
	n := 0
	if s.options.Shared { // what is this node's comes one by one, and retained messages when it is asked for them
		s.committer.leftovers = true
		return nil
	}
	err := s.eachSession(ctx, func(l *loaded) error {
		switch {
		case l.missing:
			return nil
		case errors.Is(l.err, store.ErrNewer):
			return fmt.Errorf("session %q: %w", l.name, l.err)
		case l.err != nil:
			s.damaged("session %q cannot be read and is left out: %v", l.name, l.err)
			return nil //nolint:nilerr // it has been said, and the others are read
		}
		s.noteLoaded(l)
		h.Session(l.handle, l.state)
		if n++; time.Since(told) > time.Second {
			told = time.Now()
			s.log.Printf(logging.Info, "Reading what is stored in Redis %s: %d sessions so far.", s.address, n)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.loadRetained(ctx, h); err != nil {
		return err
	}
	s.committer.leftovers = true // of sessions that ended before
	return nil
}

// eachSession reads all sessions, several at once, and calls do with each on the caller's goroutine.
func (s *Store) eachSession(ctx context.Context, do func(*loaded) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type piece struct {
		all []*loaded
		err error
	}
	pieces := make(chan chan piece, readers)
	go func() {
		defer close(pieces)
		seen := make(map[string]bool) // SSCAN may name one twice
		var cursor uint64
		for first := true; first || cursor != 0; first = false {
			scan, err := s.client.Do(ctx, s.client.B().Sscan().Key(s.key(keySessions)).Cursor(cursor).Count(loadAtOnce).Build()).AsScanEntry()
			out := make(chan piece, 1)
			select {
			case pieces <- out:
			case <-ctx.Done():
				return
			}
			if err != nil {
				out <- piece{err: err}
				return
			}
			cursor = scan.Cursor
			names := slices.DeleteFunc(scan.Elements, func(name string) bool { known := seen[name]; seen[name] = true; return known })
			go func() {
				all, err := s.readSessions(ctx, names)
				out <- piece{all, err}
			}()
		}
	}()
	for out := range pieces {
		p := <-out
		if p.err != nil {
			return p.err
		}
		for _, l := range p.all {
			if err := do(l); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// readSessions reads sessions and the heads of their queues.
func (s *Store) readSessions(ctx context.Context, names []string) (all []*loaded, err error) {
	var cmds rueidis.Commands
	for _, name := range names {
		cmds = append(cmds, s.client.B().Hgetall().Key(s.key(keySession+name)).Build(), s.client.B().Hgetall().Key(s.key(keyQueue+name)).Build())
	}
	if len(cmds) == 0 {
		return nil, nil
	}
	replies := s.client.DoMulti(ctx, cmds...)
	for i, name := range names {
		fields, err := replies[2*i].AsStrMap()
		if err != nil {
			return nil, err
		}
		queue, err := replies[2*i+1].AsStrMap()
		if err != nil {
			return nil, err
		}
		all = append(all, s.session(name, fields, queue))
	}
	return all, nil
}

func (s *Store) session(name string, fields, queue map[string]string) *loaded {
	l := &loaded{name: name, missing: fields[fieldNumber] == "" && fields[fieldRecord] == ""}
	l.owner, _ = strconv.ParseUint(fields[fieldOwner], 10, 64)
	l.fence, _ = strconv.ParseUint(fields[fieldFence], 10, 64)
	if l.missing {
		return l
	}
	var id string
	if id, l.state.Record, l.err = store.DecodeRecord([]byte(fields[fieldRecord])); l.err != nil {
		return l
	}
	if l.state.Record.Will != nil {
		l.state.Record.Will.Message.ID = 0 // it gets one when it is published
	}
	number, err := strconv.ParseUint(fields[fieldNumber], 36, 64)
	if err != nil {
		l.err = err
		return l
	}
	l.handle = store.OpenSession(number, id)
	if l.err = l.takeFields(fields); l.err == nil {
		l.err = l.takeQueue(queue)
	}
	return l
}

// takeFields reads the subscriptions of a session, and the packet identifiers that it has received.
func (l *loaded) takeFields(fields map[string]string) error {
	for field, value := range fields {
		switch field[:1] {
		case fieldSubscription:
			o, err := store.DecodeSubscription([]byte(value))
			if err != nil {
				return err
			}
			if l.state.Subscriptions == nil {
				l.state.Subscriptions = make(map[string]topic.Options)
			}
			l.state.Subscriptions[field[1:]] = o
		case fieldReceived:
			if n, err := strconv.ParseUint(field[1:], 10, 16); err == nil {
				l.state.Received = append(l.state.Received, uint16(n))
			}
		}
	}
	slices.Sort(l.state.Received)
	return nil
}

// takeQueue reads what is to be known of a session's queue.
func (l *loaded) takeQueue(queue map[string]string) error {
	b := &l.state.Backlog
	for field, value := range queue {
		seq, err := strconv.ParseUint(field, 36, 64)
		if err != nil {
			return err
		}
		h, err := store.DecodeEntryHead([]byte(value), seq)
		if err != nil {
			return err
		}
		if b.Entries == 0 || seq < b.First {
			b.First = seq
		}
		b.Last = max(b.Last, seq)
		b.Entries++
		b.Bytes += int64(h.Payload)
		if h.Released {
			b.Released++
		}
		if h.Ref.Expires != 0 {
			l.entries = append(l.entries, expiring{Expired: store.Expired{Session: l.handle, Ref: h.Ref, Bytes: h.Payload}})
		}
	}
	return nil
}

func (s *Store) noteLoaded(l *loaded) {
	q := s.queueOf(l.handle)
	q.last.Store(l.state.Backlog.Last)
	s.sessions.Add(1)
	s.entries.Add(int64(l.state.Backlog.Entries))
	for i := range l.entries {
		s.expiries.add(l.entries[i].Expired)
	}
}

// loadRetained reads the retained messages and hands them to h.
func (s *Store) loadRetained(ctx context.Context, h store.Handler) error {
	return s.eachRetained(ctx, func(m *session.Message, ref store.Ref) {
		if ref.Expires != 0 {
			s.expiries.add(store.Expired{Topic: m.Topic, Ref: ref, Bytes: len(m.Payload)})
		}
		h.Retained(m.Topic, m)
	})
}

// eachRetained reads the retained messages.
func (s *Store) eachRetained(ctx context.Context, do func(*session.Message, store.Ref)) error {
	seen := make(map[string]bool)
	var cursor uint64
	for first := true; first || cursor != 0; first = false {
		scan, err := s.client.Do(ctx, s.client.B().Hscan().Key(s.key(keyRetained)).Cursor(cursor).Count(loadAtOnce).Build()).AsScanEntry()
		if err != nil {
			return err
		}
		cursor = scan.Cursor
		for i := 0; i+1 < len(scan.Elements); i += 2 {
			name := scan.Elements[i]
			if seen[name] {
				continue
			}
			seen[name] = true
			m, ref, err := s.retained(name, scan.Elements[i+1])
			if err != nil {
				return err
			}
			if m != nil {
				do(m, ref)
			}
		}
	}
	return nil
}

// retained reads the record of a retained message; nil if it is damaged, which is said.
func (s *Store) retained(name, record string) (*session.Message, store.Ref, error) {
	h, err := store.DecodeEntryHead([]byte(record), 0)
	var e store.Entry
	if err == nil {
		e, err = h.Whole()
	}
	if errors.Is(err, store.ErrNewer) {
		return nil, h.Ref, fmt.Errorf("retained message of %q: %w", name, err)
	}
	if err != nil || e.Message == nil {
		s.damaged("the retained message of %q cannot be read and is left out: %v", name, err)
		return nil, h.Ref, nil
	}
	e.Message.ID = s.NewMessageID()
	return e.Message, h.Ref, nil
}

// damaged says that a record is not what it should be: somebody else has written under the prefix.
func (s *Store) damaged(format string, args ...any) {
	s.log.Cause(logging.Error, cause.PersistenceCorrupt, "Redis %s: "+format+".", append([]any{s.address}, args...)...)
}

// pieceOfQueue is how many sequence numbers are asked for at a time.
const pieceOfQueue = 256

func (s *Store) Read(ctx context.Context, h *store.Session, from uint64, limit store.Limit, into []store.Entry) ([]store.Entry, bool, error) {
	m := store.NewMerge(h, from, limit, into)
	key, last := s.key(keyQueue+nameOf(h.ClientID)), s.queueOf(h).last.Load()
	for next := from; next <= last; {
		seqs, err := s.piece(ctx, key, &next, last)
		if err != nil {
			return into, false, err
		}
		entries, err := s.entriesOf(ctx, key, seqs)
		if err != nil {
			return into, false, err
		}
		for _, e := range entries {
			if !m.Add(e) {
				entries, more := m.Finish()
				return entries, more, nil
			}
		}
	}
	entries, more := m.Finish()
	return entries, more, nil
}

// reading is an answer to a question that was asked of a master which had everything that is settled.
type reading struct {
	rueidis.RedisResult
	err error
}

// ask asks the master something, together with how far it has got: one that has just been promoted may lack what the committer is about to send again.
func (s *Store) ask(ctx context.Context, cmd rueidis.Completed) reading {
	settled := s.settled.Load()
	key, field, want := s.key(keyMeta), "f", strconv.FormatUint(s.fence, 10)
	if s.options.Shared {
		key, field, want = s.row(), "dead", ""
	}
	replies := s.client.DoMulti(ctx, s.client.B().Hmget().Key(key).Field(field, "g").Build(), cmd)
	held, err := replies[0].AsStrSlice()
	if err != nil {
		return reading{err: err}
	}
	last, _ := strconv.ParseUint(held[1], 10, 64)
	if held[0] != want || last < settled {
		return reading{err: fmt.Errorf("%w: Redis %s has not got everything yet", store.ErrFailed, s.address)}
	}
	return reading{RedisResult: replies[1]}
}

// AsInt64 gives the answer as a number.
func (r reading) AsInt64() (int64, error) {
	if r.err != nil {
		return 0, r.err
	}
	return r.RedisResult.AsInt64()
}

// AsStrSlice gives the answer as texts.
func (r reading) AsStrSlice() ([]string, error) {
	if r.err != nil {
		return nil, r.err
	}
	return r.RedisResult.AsStrSlice()
}

// AsXRange gives the answer as entries of a stream.
func (r reading) AsXRange() ([]rueidis.XRangeEntry, error) {
	if r.err != nil {
		return nil, r.err
	}
	return r.RedisResult.AsXRange()
}

// ToArray gives the answer as values, some of which may be nil.
func (r reading) ToArray() ([]rueidis.RedisMessage, error) {
	if r.err != nil {
		return nil, r.err
	}
	return r.RedisResult.ToArray()
}

// piece lists the sequence numbers to ask for next: all of a range where the queue is dense, and those that there are where it is not.
func (s *Store) piece(ctx context.Context, key string, next *uint64, last uint64) (seqs []uint64, err error) {
	n, err := s.ask(ctx, s.client.B().Hlen().Key(key).Build()).AsInt64()
	if err != nil || n == 0 {
		*next = last + 1
		return nil, err
	}
	if span := last - *next + 1; span <= pieceOfQueue || uint64(n) >= span/4 {
		for i := range min(span, pieceOfQueue) {
			seqs = append(seqs, *next+i)
		}
		*next += uint64(len(seqs))
		return seqs, nil
	}
	fields, err := s.ask(ctx, s.client.B().Hkeys().Key(key).Build()).AsStrSlice()
	if err != nil {
		return nil, err
	}
	for _, f := range fields {
		if seq, err := strconv.ParseUint(f, 36, 64); err == nil && seq >= *next {
			seqs = append(seqs, seq)
		}
	}
	slices.Sort(seqs)
	if len(seqs) > pieceOfQueue {
		seqs = seqs[:pieceOfQueue]
		*next = seqs[len(seqs)-1] + 1
	} else {
		*next = last + 1
	}
	return seqs, nil
}

// entriesOf reads entries with their messages; those that there are not are left out.
func (s *Store) entriesOf(ctx context.Context, key string, seqs []uint64) (entries []store.Entry, err error) {
	if len(seqs) == 0 {
		return nil, nil
	}
	fields := make([]string, len(seqs))
	for i, seq := range seqs {
		fields[i] = sequence(seq)
	}
	values, err := s.ask(ctx, s.client.B().Hmget().Key(key).Field(fields...).Build()).ToArray()
	if err != nil {
		return nil, err
	}
	var bodies []string
	var at []int
	for i := range values {
		if values[i].IsNil() {
			continue
		}
		value, err := values[i].ToString()
		if err != nil {
			return nil, err
		}
		h, err := store.DecodeEntryHead([]byte(value), seqs[i])
		e := h.Entry
		switch {
		case err != nil:
		case h.Ref.ID != 0:
			bodies, at = append(bodies, bodyName(h.Ref.ID)), append(at, len(entries))
		default:
			e, err = h.Whole()
		}
		if err != nil {
			s.damaged("an entry of the queue %s cannot be read: %v", key, err)
			e = store.Entry{Ref: store.Ref{Seq: seqs[i], Size: store.Overhead}, Delivery: session.Delivery{Seq: seqs[i]}, Damaged: true}
		}
		entries = append(entries, e)
	}
	return entries, s.fillBodies(ctx, entries, bodies, at)
}

// fillBodies reads the messages that lie outside of a queue.
func (s *Store) fillBodies(ctx context.Context, entries []store.Entry, bodies []string, at []int) error {
	if len(bodies) == 0 {
		return nil
	}
	values, err := s.ask(ctx, s.client.B().Hmget().Key(s.key(keyBodies)).Field(bodies...).Build()).ToArray()
	if err != nil {
		return err
	}
	for i := range values {
		e := &entries[at[i]]
		value, err := values[i].AsBytes()
		if err == nil {
			e.Message, err = store.DecodeBody(value, e.Ref.ID)
		}
		if err != nil {
			e.Damaged = true // unless it has been removed meanwhile, which Merge knows
		}
	}
	return nil
}
