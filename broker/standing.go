package broker

import (
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"picket/store"
)

// Sessions that come from other nodes stand in a row at this one, in the order in which they were placed; new ones stand at 0. Who published something before a session was placed has it sent on by the
// node that had the session, in its turn; so a run says up to which place it has come here already. What a publisher sends while something of it is under way goes no farther here than that:
// otherwise it would overtake it on its way to a session that has just come.

// unplaced is the place of a session that has come, and is not placed yet.
const unplaced = math.MaxUint64

// stand says which sessions get a run: those placed above since, up to upto. A since of 0 is below all, also new ones.
type stand struct{ since, upto uint64 }

// everywhere stands for all sessions.
var everywhere = stand{0, math.MaxUint64}

// standings are the places of sessions.
type standings struct {
	last atomic.Uint64 // the last place that was given; 1 at the beginning

	mu    sync.Mutex
	come  map[string]*Session  // that have no place yet
	under map[string]*underWay // by the client identifier of the publisher
}

// underWay are runs of one publisher that are not settled.
type underWay struct {
	runs int
	upto uint64 // to which place they have come
}

func (p *standings) init() {
	p.come, p.under = make(map[string]*Session), make(map[string]*underWay)
	p.last.Store(1)
}

// standing is which sessions get what is published now. It is asked for before it is looked up who wants it: a session that is placed meanwhile may not be found.
func (b *Broker) standing() stand {
	if b.neighbours == nil {
		return everywhere
	}
	return stand{0, b.neighbours.standings.last.Load()}
}

// beginRoute has the run come no farther here than what its publisher has under way.
func (w *worker) beginRoute() {
	r, n := &w.run, w.b.neighbours
	if n == nil || r.origin != nil || r.qos == 0 {
		return
	}
	w.missed.begin()
	from := ""
	if r.raw == nil {
		from = r.messages[0].From
	} else {
		from = r.s.id
	}
	n.standings.mu.Lock()
	defer n.standings.mu.Unlock()
	if u := n.standings.under[from]; u != nil {
		r.stand.upto = min(r.stand.upto, u.upto)
	}
}

// publishes notes a run that is under way.
func (p *standings) publishes(from string, upto uint64) *underWay {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.under[from]
	if u == nil {
		u = &underWay{upto: upto}
		p.under[from] = u
	}
	u.runs++
	return u
}

// settled notes that it is not any more.
func (p *standings) settled(from string, u *underWay) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u.runs--; u.runs == 0 {
		delete(p.under, from)
	}
}

// coming notes a session that has come from the store. Nobody knows it yet.
func (n *Neighbours) coming(s *Session) {
	s.durable.place = unplaced
	n.standings.mu.Lock()
	defer n.standings.mu.Unlock()
	n.standings.come[s.id] = s
}

// Placed implements what a host of package cluster does: a session has its place.
func (n *Neighbours) Placed(client string, position uint64) {
	p := &n.standings
	p.mu.Lock()
	s := p.come[client]
	delete(p.come, client)
	p.mu.Unlock()
	if s != nil {
		s.mu.Lock()
		s.durable.place = position
		s.mu.Unlock()
	}
	p.last.Store(position)
}

// clear forgets who has no place: this node has been taken for dead, and all go.
func (p *standings) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.come)
}

// anyAbove tells whether sessions may stand above a place.
func (p *standings) anyAbove(place uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last.Load() > place || len(p.come) > 0
}

func (s *Session) standsAbove(place uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.durable.standing() > place
}

func (d *durable) standing() uint64 {
	if d == nil {
		return 0
	}
	return d.place
}

// missed are sessions that match a run and are not given it by routing.
type missed struct {
	elsewhere []string // they are another node's, or have just come: it has to be asked again where they are
	late      bool     // some have come after what the publisher has under way
	stored    bool     // the store has something for others, and may say that they are another node's
}

func (m *missed) begin() { *m = missed{elsewhere: m.elsewhere[:0]} }

// misses tells whether routing passes over a session, whose mutex is held.
func (w *worker) misses(s *Session) bool {
	r, m, at := &w.run, &w.missed, s.durable.standing()
	switch {
	case r.stand.since > 0 && at <= r.stand.since:
		return true // it has it
	case at > r.stand.upto && at != unplaced && r.origin == nil:
		m.late = true
		return true
	case s.moved, at > r.stand.upto:
		if !slices.Contains(m.elsewhere, s.id) {
			m.elsewhere = append(m.elsewhere, s.id)
		}
		return true
	}
	return false
}

// any tells whether a run has to be taken to sessions by way of the cluster, or may have to.
func (m *missed) any(queued *store.Batch) bool {
	return m.late || len(m.elsewhere) > 0 || m.stored && queued != nil
}

// tellOf is what the cluster is told of a run's way here, for [Peers.Publish]; nil: nothing.
func (m *missed) tellOf(queued *store.Batch) func(tell func([]string)) {
	if !m.stored || queued == nil {
		if queued = nil; len(m.elsewhere) == 0 {
			return nil
		}
	}
	elsewhere := slices.Clone(m.elsewhere)
	return func(tell func([]string)) {
		settle(queued, func() { tell(slices.Concat(elsewhere, fencedOf(queued))) })
	}
}

// settle has done called when what a run of another node's has changed in the store is settled.
func (m *missed) settle(queued *store.Batch, done func(elsewhere []string, refused string)) {
	elsewhere := slices.Clone(m.elsewhere)
	settle(queued, func() {
		err := refusalOf(queued)
		if err == nil || errors.Is(err, store.ErrFenced) {
			done(slices.Concat(elsewhere, fencedOf(queued)), "")
		} else {
			done(nil, string(storeCause(err)))
		}
	})
}

// settle calls f when a batch, which may be nil, is settled.
func settle(batch *store.Batch, f func()) {
	if batch == nil || !batch.Await(told(f)) {
		f()
	}
}

// fencedOf are the sessions that have not got a message of a batch, since another node has them.
func fencedOf(batch *store.Batch) []string {
	if !errors.Is(refusalOf(batch), store.ErrFenced) {
		return nil
	}
	return batch.Fenced()
}
