package machine

import (
	"slices"

	"picket/cluster/wire"
)

// topicKey names what is kept in order: what a publisher publishes to a topic.
type topicKey struct{ from, topic string }

// run is a run of this node's publishers that is not settled.
type run struct {
	id      uint64
	body    *wire.Run
	waits   map[uint64]bool // nodes that have not answered; this one too
	sent    bool            // its turn has come, and [Look] has been answered
	again   bool            // one of those that have wants it sent again
	had     uint64          // up to which position sessions of this node have it; 0: none has
	here    int             // answers that are expected of this node
	refused []string
	not     map[uint64]bool // of a shared subscription: nodes that have not taken it
}

// receipt names a run that has come.
type receipt struct{ from, id uint64 }

// held is a run that is answered when sessions that have moved are known to be elsewhere.
type held struct{ waits, answers int }

// Publish takes a run of a publisher of this node and returns its number. [Look] comes when its turn has, and [Done] when it is settled. It is for messages of QoS 1 and 2: those of QoS 0 have no
// outcome, and go over the links alone. Sessions of this node up to the position had have been given it by their host (0: none), which with pending says by [Machine.Had] what has become of that.
func (m *Machine) Publish(body *wire.Run, had uint64, pending bool) (id uint64) {
	m.lastRun++
	r := &run{id: m.lastRun, body: body, had: had, waits: map[uint64]bool{}}
	if pending {
		r.here, r.waits[m.me] = 1, true
	}
	body.ID = r.id
	m.runs[r.id] = r
	if isShared(body) {
		m.look(r)
		return r.id
	}
	key := topicKey{body.From, body.Topic}
	m.byTopic[key] = append(m.byTopic[key], r)
	if len(m.byTopic[key]) == 1 {
		m.look(r)
	}
	return r.id
}

// Targets answers Look: the peers that want a run, and whether sessions of this node do.
func (m *Machine) Targets(id uint64, peers []uint64, here bool) {
	r := m.runs[id]
	if r == nil {
		return
	}
	r.sent, r.again = true, false
	for _, to := range peers {
		r.waits[to] = true
	}
	if here {
		r.waits[m.me] = true
		r.here++
	}
	body := *r.body
	body.Oldest = m.oldest
	for _, to := range peers {
		if p := m.peers[to]; p != nil {
			p.unsettled++
			p.out += uint64(len(body.Payloads))
			m.send(p, &body)
		} else if isShared(r.body) {
			delete(r.waits, to)
			r.pass(to)
		} else if m.buried[to] == nil { // it has been retired just now, and Unroute is on its way
			delete(r.waits, to)
			r.again = true
		}
	}
	if here {
		m.deliver(m.me, &body)
	}
	m.finish(r)
}

// Had says of a run that was published as pending that what it has changed here is in Redis. movedTo names sessions as Delivered does.
func (m *Machine) Had(id uint64, elsewhere []string) {
	if m.runs[id] != nil {
		m.Delivered(m.me, id, elsewhere)
	}
}

// deliver gives a run to the sessions of this node: all, or those that have come since it came before.
func (m *Machine) deliver(from uint64, body *wire.Run) {
	if isShared(body) {
		m.emit(Share{From: from, Run: body})
		return
	}
	since := uint64(0)
	if p := m.peers[from]; p != nil {
		for id := range p.had {
			if id < body.Oldest {
				delete(p.had, id)
			}
		}
		since = p.had[body.ID]
		p.had[body.ID] = m.position
	} else if r := m.runs[body.ID]; r != nil {
		since, r.had = r.had, m.position
	}
	m.emit(Deliver{From: from, Run: body, Since: since, Upto: m.position})
}

func (m *Machine) takeRun(p *peer, body *wire.Run) {
	p.in += uint64(len(body.Payloads))
	m.deliver(p.incarnation, body)
}

// Delivered answers Deliver. movedTo names the sessions that match and are not this node's any more: stopped, or refused for their fence ([Machine.Lost]).
func (m *Machine) Delivered(from, id uint64, elsewhere []string) {
	if from != m.me && m.peers[from] == nil {
		return
	}
	at, waits := receipt{from, id}, 0
	for _, client := range elsewhere {
		if holds := m.holdsOf(client); holds != nil {
			*holds = append(*holds, at)
			waits++
		}
	}
	switch h := m.received[at]; {
	case len(elsewhere) == 0:
		m.answer(from, id, false)
	case waits == 0: // all know where they are
		m.answer(from, id, true)
	case h != nil:
		h.waits, h.answers = h.waits+waits, h.answers+1
	default:
		m.received[at] = &held{waits, 1}
	}
}

// Refuse answers Deliver, too: what it changes cannot be stored, for a cause, and whoever has published it is told so.
func (m *Machine) Refuse(from, id uint64, cause string) {
	if p := m.peers[from]; p != nil {
		m.send(p, &wire.Settled{Refused: []wire.Refusal{{ID: id, Cause: cause}}})
	} else if r := m.runs[id]; r != nil && from == m.me {
		r.refused = append(r.refused, cause)
		m.answer(from, id, false)
	}
}

// holdsOf is where runs wait until all know where a session is that has moved, or has just come and is not placed; nil: all do.
func (m *Machine) holdsOf(client string) *[]receipt {
	if mv := m.moved[client]; mv != nil {
		return &mv.holds
	}
	for i := range m.arrivals {
		if d := &m.arrivals[i]; d.session.Client == client {
			return &d.holds
		}
	}
	return nil
}

// answer tells a run's sender what has become of it here.
func (m *Machine) answer(from, id uint64, again bool) {
	if from == m.me {
		if r := m.runs[id]; r != nil {
			r.again = r.again || again
			if r.here--; r.here == 0 {
				m.settle(r, from)
			}
		}
		return
	}
	p := m.peers[from]
	switch {
	case p == nil:
	case again:
		m.send(p, &wire.Settled{Again: []uint64{id}})
	default:
		m.send(p, &wire.Settled{Done: []uint64{id}})
	}
}

// let answers runs that were held for a session.
func (m *Machine) let(holds []receipt) {
	for _, at := range holds {
		h := m.received[at]
		if h == nil {
			continue
		}
		if h.waits--; h.waits == 0 {
			delete(m.received, at)
			for range h.answers {
				m.answer(at.from, at.id, true)
			}
		}
	}
}

func (m *Machine) takeSettled(p *peer, b *wire.Settled) {
	for _, id := range b.Done {
		if r := m.runs[id]; r != nil {
			m.settle(r, p.incarnation)
		}
	}
	for _, id := range b.Again {
		if r := m.runs[id]; r != nil {
			r.again = true
			m.settle(r, p.incarnation)
		}
	}
	for _, x := range b.Refused {
		if r := m.runs[x.ID]; r != nil {
			if isShared(r.body) {
				r.pass(p.incarnation)
			} else {
				r.refused = append(r.refused, x.Cause)
			}
			m.settle(r, p.incarnation)
		}
	}
}

// settle notes that a node has answered.
func (m *Machine) settle(r *run, by uint64) {
	if r.waits[by] {
		delete(r.waits, by)
		if p := m.peers[by]; p != nil {
			p.unsettled--
		}
		m.finish(r)
	}
}

// finish ends a run that all have answered, or has it sent again.
func (m *Machine) finish(r *run) {
	if len(r.waits) > 0 || !r.sent || m.runs[r.id] != r {
		return
	}
	if r.again {
		m.look(r)
		return
	}
	delete(m.runs, r.id)
	for m.oldest <= m.lastRun && m.runs[m.oldest] == nil {
		m.oldest++
	}
	m.promise(Done{r.id, r.refused})
	if isShared(r.body) {
		return
	}
	key := topicKey{r.body.From, r.body.Topic}
	if rest := m.byTopic[key][1:]; len(rest) > 0 {
		m.byTopic[key] = rest
		m.look(rest[0])
	} else {
		delete(m.byTopic, key)
	}
}

func (m *Machine) runsInOrder() (all []*run) {
	for _, r := range m.runs {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *run) int { return int(a.id) - int(b.id) })
	return all
}
