package store

import (
	"math"
	"slices"
	"sort"
	"sync"
)

// Session is the handle of a session: its name in the store, and what is under way for its queue.
type Session struct {
	Number   uint64 // never given to another session while anything of this one is left
	ClientID string
	Fence    uint64 // of the node that has it, in a [Shared] store; else 0

	mu    sync.Mutex
	saved bool           // its record has been given to a batch
	over  bool           // it has been ended: what comes later is ignored
	puts  []*Op          // entries that are not durable, by rising sequence number; done ones between others included
	marks map[uint64]*Op // the last Release or Remove that is not durable, by sequence number
}

// NewSession returns the handle of a session that the store does not hold yet. It is for implementations of [Store].
func NewSession(number uint64, clientID string) *Session {
	return &Session{Number: number, ClientID: clientID}
}

// OpenSession returns the handle of a session that the store holds already. It is for implementations of [Store].
func OpenSession(number uint64, clientID string) *Session {
	return &Session{Number: number, ClientID: clientID, saved: true}
}

// Over tells whether the session has been ended by [Batch.End].
func (s *Session) Over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// Leave has what comes later be ignored, as if the session were over, though it is not: another node has it. It is for implementations of [Shared].
func (s *Session) Leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

// Under tells whether the session has ended, or an entry of its queue is about to be released or removed.
func (s *Session) Under(seq uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over || s.marks[seq] != nil
}

// put finds the entry that is not durable. s.mu is held.
func (s *Session) put(seq uint64) *Op {
	i := sort.Search(len(s.puts), func(i int) bool { return s.puts[i].Ref.Seq >= seq })
	if i < len(s.puts) && s.puts[i].Ref.Seq == seq && s.puts[i].state != gone {
		return s.puts[i]
	}
	return nil
}

// trim forgets entries that are gone. s.mu is held.
func (s *Session) trim() {
	for len(s.puts) > 0 && s.puts[0].state == gone {
		s.puts[0] = nil
		s.puts = s.puts[1:]
	}
	if len(s.puts) == 0 {
		s.puts = nil
	}
}

// settled forgets what an operation has left under way. s.mu is held.
func (s *Session) settled(op *Op) {
	switch op.Kind {
	case Enqueue:
		op.state = gone
		if len(s.puts) > 0 && s.puts[0].state == gone {
			s.trim()
		}
	case Release, Remove:
		if s.marks[op.Ref.Seq] == op {
			if delete(s.marks, op.Ref.Seq); len(s.marks) == 0 {
				s.marks = nil
			}
		}
	}
}

// sweep takes entries that are gone out of the middle, when they have become many. s.mu is held.
func (s *Session) sweep() {
	if s.trim(); len(s.puts) < 64 || s.puts[len(s.puts)/2].state != gone && s.puts[len(s.puts)/4].state != gone {
		return
	}
	s.puts = slices.DeleteFunc(s.puts, func(op *Op) bool { return op.state == gone })
}

// Merge joins the entries of a queue that are durable with what is under way. It is for implementations of [Store.Read]: make it, then look at the
// durable entries, give each to Add, and take the result from Finish.
type Merge struct {
	limit Limit
	out   []Entry
	start int
	bytes int
	under []Entry         // under way, by rising sequence number
	marks map[uint64]Kind // released or removed
	stop  uint64          // where an entry is that has not been committed; nothing from there on is read
	more  bool
}

// NewMerge notes what is under way for a session's queue from sequence number from on. What it reads is appended to into.
func NewMerge(s *Session, from uint64, limit Limit, into []Entry) *Merge {
	m := &Merge{limit: limit, out: into, start: len(into), stop: math.MaxUint64}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.marks) > 0 {
		m.marks = make(map[uint64]Kind, len(s.marks))
		for seq, op := range s.marks {
			if seq >= from {
				m.marks[seq] = op.Kind
			}
		}
	}
	for i := sort.Search(len(s.puts), func(i int) bool { return s.puts[i].Ref.Seq >= from }); i < len(s.puts); i++ {
		op := s.puts[i]
		switch {
		case op.state == gone || m.marks[op.Ref.Seq] == Remove:
			continue
		case op.state == waiting && op.batch.pipeline.Load() == nil:
			m.stop = op.Ref.Seq
			return m
		case len(m.under) > limit.Entries:
			return m // more than will be taken
		}
		m.under = append(m.under, Entry{Ref: op.Ref, Delivery: op.Delivery, Batch: op.batch})
	}
	return m
}

// Add takes the next durable entry, and reports whether another one is of use. An entry that is under way as well counts once.
func (m *Merge) Add(e Entry) (another bool) {
	if e.Seq >= m.stop {
		return false
	}
	for len(m.under) > 0 && m.under[0].Seq <= e.Seq {
		u := m.under[0]
		if m.under = m.under[1:]; u.Seq == e.Seq {
			e = u
			break
		}
		if !m.take(u) {
			return false
		}
	}
	return m.take(e)
}

func (m *Merge) take(e Entry) bool {
	switch m.marks[e.Seq] {
	case Remove:
		return true
	case Release:
		e = Entry{Ref: Ref{Seq: e.Seq, Size: Overhead}, Delivery: released(e.Seq), Batch: e.Batch}
	}
	if n := len(m.out) - m.start; n >= m.limit.Entries || n > 0 && m.bytes >= m.limit.Bytes {
		m.more = true
		return false
	}
	m.out = append(m.out, e)
	if e.Message != nil {
		m.bytes += len(e.Message.Payload)
	}
	return true
}

// Finish returns what was read, and whether there is more.
func (m *Merge) Finish() (entries []Entry, more bool) {
	for !m.more && len(m.under) > 0 {
		u := m.under[0]
		m.under = m.under[1:]
		m.take(u)
	}
	return m.out, m.more || m.stop != math.MaxUint64
}
