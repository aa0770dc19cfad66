package client

import (
	"cmp"
	"slices"
	"sync"

	"picket/packet"
)

// Session is the client's half of an MQTT session (MQTT 5.0, 4.1): the messages of its own that are not acknowledged and the
// QoS 2 messages that the server has not released. It lives in memory. One connection uses it at a time.
type Session struct {
	mu   sync.Mutex
	seq  uint64
	next uint16
	out  map[uint16]*outgoing
	in   map[uint16]*Message // received with QoS 2 and not released
	used map[uint16]struct{} // identifiers of SUBSCRIBE and UNSUBSCRIBE under way
}

// outgoing is a message whose handshake is under way.
type outgoing struct {
	seq      uint64 // order of sending
	m        *Message
	released bool // QoS 2: PUBREC has come, PUBREL is what is sent again
	counted  bool // against the quota of the connection in use
	done     func(Result)
}

// Result is how publishing a message ended.
type Result struct {
	ID   uint16 // packet identifier, 0 with QoS 0
	Code packet.Code
	// Props are the properties of the acknowledgement (MQTT 5), nil for none.
	Props *packet.Properties
}

// NewSession is a session in which nothing is under way.
func NewSession() *Session {
	return &Session{out: map[uint16]*outgoing{}, in: map[uint16]*Message{}, used: map[uint16]struct{}{}}
}

// Unfinished is how many messages of the client's own are not acknowledged.
func (s *Session) Unfinished() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.out)
}

// freeID is a packet identifier that is not in use (MQTT-2.2.1-3); 0 if there is none. s.mu is held.
func (s *Session) freeID() uint16 {
	for range 65535 {
		s.next++
		if s.next == 0 {
			s.next = 1
		}
		_, out := s.out[s.next]
		_, used := s.used[s.next]
		if !out && !used {
			return s.next
		}
	}
	return 0
}

// take reserves a packet identifier for SUBSCRIBE or UNSUBSCRIBE; 0 if there is none.
func (s *Session) take() uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.freeID()
	if id != 0 {
		s.used[id] = struct{}{}
	}
	return id
}

// give ends what take began.
func (s *Session) give(id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.used, id)
}

// add begins the handshake of a message; 0 if there is no free packet identifier.
func (s *Session) add(m *Message, done func(Result)) uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.freeID()
	if id != 0 {
		s.seq++
		s.out[id] = &outgoing{seq: s.seq, m: m, counted: true, done: done}
	}
	return id
}

// release is what PUBREC does. It reports whether the identifier is that of a QoS 2 message.
func (s *Session) release(id uint16) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.out[id]
	if o == nil || o.m.QoS != 2 {
		return false
	}
	o.released = true
	return true
}

// complete ends the handshake of a message and returns it; nil for an unknown identifier.
func (s *Session) complete(id uint16, qos byte) *outgoing {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.out[id]
	if o == nil || o.m.QoS != qos {
		return nil
	}
	delete(s.out, id)
	return o
}

// unfinished lists the identifiers under way in the order of sending (MQTT-4.6.0-1).
func (s *Session) unfinished() []uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]uint16, 0, len(s.out))
	for id := range s.out {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b uint16) int { return cmp.Compare(s.out[a].seq, s.out[b].seq) })
	return ids
}

// resend counts a message that an earlier connection left unfinished against this connection's quota, and returns it; ok is false when the
// server has completed its handshake meanwhile.
func (s *Session) resend(id uint16) (m *Message, released, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.out[id]
	if o == nil {
		return nil, false, false
	}
	o.counted = true
	return o.m, o.released, true
}

// begin is what a new connection does to this half, before anything is read from it. Of a server that has no session for the client
// (present is false), the messages that its old session had taken over are done, and returned; all others will be sent as new ones.
func (s *Session) begin(present bool) []func(Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.out {
		o.counted = false
	}
	if present {
		return nil
	}
	clear(s.in)
	clear(s.used)
	var done []func(Result)
	for id, o := range s.out {
		if o.released {
			delete(s.out, id)
			done = append(done, func(r Result) { r.ID = id; o.done(r) })
		}
	}
	return done
}
