package machine

import (
	"errors"
	"slices"
)

// Errors of [Machine.Answer]. Any other says that nothing is known about what has become of the call.
var (
	// ErrFenced says that the incarnation that has called is buried.
	ErrFenced = errors.New("this incarnation has been buried")
	// ErrChanged says that what the call supposes is not so any more.
	ErrChanged = errors.New("it has changed meanwhile")
)

// grave is an incarnation that has died and has not been retired.
type grave struct {
	incarnation uint64
	got         []Session // to be named with the next Adopt
	asking      bool      // a call is under way
	empty       bool      // there is nothing more to adopt
}

// ask calls a function of Redis.
func (m *Machine) ask(c Command) {
	m.call++
	m.calls[m.call] = c
	m.emit(Call{m.call, c})
}

// Answer brings the answer to a call.
func (m *Machine) Answer(id CallID, value any, err error) {
	c, known := m.calls[id]
	if !known {
		return // of an incarnation that is over
	}
	delete(m.calls, id)
	if errors.Is(err, ErrFenced) {
		m.over()
		return
	}
	switch c := c.(type) {
	case Join:
		m.joining = false
		if err == nil {
			m.joined(value.(uint64))
		}
	case Beat:
		m.beating = false
		if err == nil {
			m.leased = max(m.leased, m.beatSent)
		}
	case Rows:
		m.reading = false
		if err == nil {
			m.read(value.([]Row))
		}
	case Bury:
		if err == nil {
			m.readNext = m.now
		}
	case Adopt:
		m.adopting(c, value, err)
	case Seen:
		m.toldSeen(c, err)
	case Post:
		m.posted(c, err)
	case Collect:
		m.collected(c, value, err)
	case Peek:
		m.peeked(c, value, err)
	case TakeOver:
		m.tookOver(c, value, err)
	}
}

func (m *Machine) join() {
	if !m.joining && m.now >= m.beatNext {
		m.joining, m.beatNext = true, m.now+m.opt.Times.Beat
		m.ask(Join{m.opt.Name, m.opt.Address, m.opt.Fingerprint})
	}
}

func (m *Machine) joined(incarnation uint64) {
	m.me = incarnation
	m.beatNext, m.readNext, m.readLast = m.now, m.now, m.now
}

func (m *Machine) beatAndRead() {
	if !m.beating && m.now >= m.beatNext {
		m.beats++
		m.beating, m.beatSent, m.beatNext = true, m.now, m.now+m.opt.Times.Beat
		m.ask(Beat{m.me, m.beats})
	}
	if !m.reading && m.now >= m.readNext {
		m.reading, m.readNext = true, m.now+m.opt.Times.Beat
		m.ask(Rows{m.me})
	}
}

// read looks at the rows: who has come, who is dead, who is retired, and whose beat stands still.
func (m *Machine) read(rows []Row) {
	trusted := m.now-m.readLast <= m.opt.Times.Gap
	m.readLast = m.now
	here := make(map[uint64]bool, len(rows))
	for _, r := range rows {
		here[r.Incarnation] = true
		switch {
		case r.Incarnation == m.me:
			if r.Dead {
				m.over()
				return
			}
		case r.Dead:
			m.died(r.Incarnation)
		case m.peers[r.Incarnation] == nil:
			m.meet(r)
		default:
			m.watch(m.peers[r.Incarnation], r.Beat, trusted)
		}
	}
	if !here[m.me] {
		m.over()
		return
	}
	for _, p := range slices.Clone(m.order) {
		if !here[p.incarnation] {
			m.died(p.incarnation)
		}
	}
	for incarnation := range m.buried {
		if !here[incarnation] {
			m.retired(incarnation)
		}
	}
	m.serveWhenReady(rows)
}

// watch follows a peer's beat, and buries it when it has stood still for too long.
func (m *Machine) watch(p *peer, beat int64, trusted bool) {
	if beat != p.beat || !trusted {
		p.beat, p.still = beat, m.now
		return
	}
	if m.now-p.still >= m.opt.Times.Dead {
		p.still = m.now // once, and again after the same time
		m.ask(Bury{m.me, p.incarnation, beat})
	}
}

// died notes that an incarnation has been buried.
func (m *Machine) died(incarnation uint64) {
	if m.buried[incarnation] != nil {
		return
	}
	m.buried[incarnation] = &grave{incarnation: incarnation}
	if p := m.peers[incarnation]; p != nil {
		m.part(p)
	}
	m.passFrom(incarnation)
}

// serveWhenReady lets clients in when all that was there at the beginning is known.
func (m *Machine) serveWhenReady(rows []Row) {
	if m.serving {
		return
	}
	if m.needs == nil {
		m.needs = make(map[uint64]bool)
		for _, r := range rows {
			if r.Incarnation != m.me {
				m.needs[r.Incarnation] = true
			}
		}
	}
	for incarnation := range m.needs {
		if p := m.peers[incarnation]; p != nil && p.complete || p == nil && m.buried[incarnation] == nil {
			delete(m.needs, incarnation)
		}
	}
	if m.serving = len(m.needs) == 0; m.serving {
		m.emit(Ready{})
	}
}

// retired: others have what a buried incarnation had, and all know that. What was to go to it goes there.
func (m *Machine) retired(incarnation uint64) {
	delete(m.buried, incarnation)
	m.emit(Unroute{incarnation})
	for _, r := range m.runsInOrder() {
		if r.waits[incarnation] {
			r.again = true
			m.settle(r, incarnation)
		}
	}
}

// adopt takes sessions of those that have died.
func (m *Machine) adopt() {
	for _, g := range m.graves() {
		if !g.asking && !g.empty {
			g.asking = true
			m.ask(Adopt{m.me, g.incarnation, g.got, m.opt.Times.Slice})
		}
	}
}

func (m *Machine) graves() (all []*grave) {
	for _, g := range m.buried {
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b *grave) int { return int(a.incarnation) - int(b.incarnation) })
	return all
}

func (m *Machine) adopting(c Adopt, value any, err error) {
	g := m.buried[c.Dead]
	if g == nil {
		return
	}
	if g.asking = false; err != nil {
		return
	}
	g.got = nil
	sessions := value.([]Session)
	for _, s := range sessions {
		g.got = append(g.got, Session{Client: s.Client, Fence: s.Fence})
		m.arrive(s, false)
	}
	if g.empty = len(sessions) == 0; !g.empty {
		m.adopt()
	}
}
