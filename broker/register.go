package broker

import "picket/access"

// register is the table of sessions: by client identifier, and by place, so that somebody can go through all of them a few at a time. A session keeps its place as long
// as it is in the table, and one that comes under the same client identifier takes it over; a place that is free is given to the next. So who goes through the places in
// their order meets whoever is there throughout exactly once. The broker's mutex guards it.
type register struct {
	byID   map[string]*Session
	places []*Session // nil: free
	free   []uint32
	left   func(id string) // told of each that is taken out; nil: nobody is
}

// enter puts a session into the table, in the place of the one that has its client identifier.
func (r *register) enter(s *Session) {
	switch old := r.byID[s.id]; {
	case old != nil:
		s.place = old.place
	case len(r.free) > 0:
		s.place = r.free[len(r.free)-1]
		r.free = r.free[:len(r.free)-1]
	default:
		s.place = uint32(len(r.places))
		r.places = append(r.places, nil)
	}
	r.places[s.place] = s
	r.byID[s.id] = s
}

// leave takes the session of a client identifier out, if there is one.
func (r *register) leave(id string) {
	s := r.byID[id]
	if s == nil {
		return
	}
	delete(r.byID, id)
	r.places[s.place] = nil
	r.free = append(r.free, s.place)
	if r.left != nil {
		r.left(id)
	}
}

// from appends the sessions in the places from at on to into, as many as it has room for, and returns the place behind them; more is false at the end.
func (r *register) from(at int, into []*Session) (all []*Session, next int, more bool) {
	for ; at < len(r.places) && len(into) < cap(into); at++ {
		if s := r.places[at]; s != nil {
			into = append(into, s)
		}
	}
	return into, at, at < len(r.places)
}

// atOnce is how many sessions are taken down while the broker's mutex is held.
const atOnce = 256

// EachClient has visit look at sessions, also those whose clients are away, from a place on: 0 is the first. When visit returns false it ends, and next is where to go on;
// more is false when there is nobody left. Who is there from the first call to the last is met exactly once. No mutex of the broker is held for long, and none while visit runs.
func (b *Broker) EachClient(from int, visit func(*ClientState) bool) (next int, more bool) {
	some := make([]*Session, 0, atOnce)
	for more = true; more; {
		b.mu.Lock()
		some, next, more = b.sessions.from(from, some[:0])
		b.mu.Unlock()
		for _, s := range some {
			state, place, ok := s.seen()
			if !ok || visit(&state) {
				continue
			}
			return place + 1, true
		}
		from = next
	}
	return 0, false
}

// seen takes down what a session is, unless it is over.
func (s *Session) seen() (state ClientState, place int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.describe(), int(s.place), !s.over
}

// SessionCount is how many sessions there are, also of clients that are away.
func (b *Broker) SessionCount() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.sessions.byID)
}

// sessionsOf are the sessions whose clients which chooses; nil for all.
func (b *Broker) sessionsOf(which func(*access.Client) bool) []*Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]*Session, 0, len(b.sessions.byID))
	for _, s := range b.sessions.byID {
		if which == nil || which(s.rules.Load()) {
			all = append(all, s)
		}
	}
	return all
}
