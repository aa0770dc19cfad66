package machine

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"picket/cluster/wire"
)

// claim is a session that a client has asked for.
type claim struct {
	client string
	asked  int64 // when the owner was asked, 0: it has not been
	owner  uint64
	fence  uint64
	busy   bool // a call is under way
	tried  int
	over   bool // the session has come another way, and only the answer to the call is waited for
	again  bool // it has been asked for once more meanwhile
}

// moved is a session that this node has had.
type moved struct {
	client string
	fence  uint64    // that this node had
	to     []*peer   // who has asked for it
	still  bool      // its client is not stopped yet
	holds  []receipt // runs that are answered when all know where it is
	mark   uint64    // of Flush
	flush  []uint64  // who has not answered Flush; nil with a mark: all have
	asking bool      // a call is under way
	asked  int64     // when it was asked last where it is
	asks   []*peer   // who is to be told when this is over
}

// left is a session that was here.
type left struct {
	fence uint64
	at    int64
}

// longestAnswer is how long an answer of Redis may be under way, in milliseconds: its caller waits no longer.
const longestAnswer = 10000

// Claim asks for a session, since its client has connected. Own or Refused answers.
func (m *Machine) Claim(client string) {
	if c := m.claims[client]; m.me == 0 || c != nil {
		if c != nil {
			c.again = c.over
		}
		return
	}
	m.claims[client] = &claim{client: client}
	m.tendClaim(m.claims[client])
}

func (m *Machine) tendClaims() {
	for _, client := range slices.Sorted(maps.Keys(m.claims)) {
		m.tendClaim(m.claims[client])
	}
}

// tendClaim takes a claim one step further: who is the owner, it is asked, the session is taken.
func (m *Machine) tendClaim(c *claim) {
	switch {
	case c.busy:
	case c.owner == 0 && c.asked == 0:
		c.busy = true
		m.ask(Peek{m.me, c.client})
	case m.peers[c.owner] != nil && m.now-c.asked < m.opt.Times.Release:
	default:
		c.busy = true
		m.ask(TakeOver{m.me, c.client, c.fence})
	}
}

func (m *Machine) peeked(c Peek, value any, err error) {
	if mv := m.moved[c.Client]; mv != nil && mv.asking {
		m.peekedMoved(mv, value, err)
	}
	k := m.claims[c.Client]
	if k == nil || !k.busy || k.asked != 0 {
		return
	}
	k.busy = false
	if err != nil {
		return
	}
	is := value.(Peeked)
	k.owner, k.fence, k.asked = is.Owner, is.Fence, m.now
	if p := m.peers[k.owner]; p != nil {
		m.send(p, &wire.Release{Client: k.client, Fence: k.fence})
	}
	m.tendClaim(k)
}

func (m *Machine) takeReleased(b *wire.Released) {
	if c := m.claims[b.Client]; c != nil && !c.busy && c.asked != 0 && c.fence == b.Fence {
		c.owner = 0
		m.tendClaim(c)
	}
}

func (m *Machine) tookOver(c TakeOver, value any, err error) {
	k := m.claims[c.Client]
	if k == nil {
		return
	}
	k.busy = false
	switch {
	case k.over:
		delete(m.claims, c.Client)
		if s, ok := value.(Session); ok && err == nil {
			m.arrive(s, false)
		}
		if k.again {
			m.Claim(c.Client)
		}
	case err == nil:
		delete(m.claims, c.Client)
		m.arrive(value.(Session), true)
	case errors.Is(err, ErrChanged):
		if k.tried++; k.tried == 5 {
			delete(m.claims, c.Client)
			m.emit(Refused{c.Client})
			return
		}
		k.owner, k.asked = 0, 0
		m.tendClaim(k)
	}
}

// had is the highest fence that this node has or had, lately, of a session.
func (m *Machine) had(client string) uint64 {
	fence := max(m.owned[client], m.left[client].fence)
	if mv := m.moved[client]; mv != nil {
		fence = max(fence, mv.fence)
	}
	return fence
}

// arrive makes a session this node's. It may have been told already, where it is adopted and claimed at the same time.
func (m *Machine) arrive(s Session, claimed bool) {
	if s.Fence <= m.had(s.Client) {
		return
	}
	if c := m.claims[s.Client]; c != nil {
		if claimed = true; c.busy && c.asked != 0 {
			c.over = true
		} else {
			delete(m.claims, s.Client)
		}
	}
	m.owned[s.Client] = s.Fence
	m.emit(Own{Client: s.Client, Fence: s.Fence, State: s.State, Claimed: claimed})
	d := duty{session: s, tell: []uint64{s.Before}}
	if mv := m.moved[s.Client]; mv != nil { // it is back
		delete(m.moved, s.Client)
		for _, p := range mv.asks {
			d.tell = append(d.tell, p.incarnation)
		}
		d.holds = mv.holds
	}
	d.session.State = nil
	m.arrivals = append(m.arrivals, d)
}

// Installed tells that the filters of a session that has arrived with a fence have been announced. [Placed] follows, unless it reports false: the session has been lost meanwhile.
func (m *Machine) Installed(client string, fence uint64) bool {
	d, arrived := m.arrived(client, fence)
	if !arrived {
		return false
	}
	m.position++
	m.emit(Placed{client, m.position})
	m.await(d)
	m.let(d.holds)
	return true
}

// arrived takes out what is to be done when a session is installed, and what was to be done for it with a lower fence.
func (m *Machine) arrived(client string, fence uint64) (all duty, found bool) {
	m.arrivals = slices.DeleteFunc(m.arrivals, func(d duty) bool {
		if d.session.Client != client || d.session.Fence > fence {
			return false
		}
		d.tell, d.holds = append(all.tell, d.tell...), append(all.holds, d.holds...)
		all, found = d, true
		return true
	})
	return all, found
}

// leave notes that a session is not this node's any more.
func (m *Machine) leave(client string, still bool) *moved {
	mv := m.moved[client]
	if mv == nil {
		mv = &moved{client: client, fence: m.owned[client], still: still, asked: m.now}
		m.moved[client] = mv
		delete(m.owned, client)
	}
	return mv
}

// Lost tells that something was refused for a session's fence: another node has it. It comes before the Delivered that names it.
func (m *Machine) Lost(client string, fence uint64) {
	d, _ := m.arrived(client, fence)
	if m.owned[client] == fence && fence > 0 {
		m.leave(client, false)
	}
	if holds := m.holdsOf(client); holds != nil {
		*holds = append(*holds, d.holds...)
	} else {
		m.let(d.holds)
	}
}

// Drop tells that a session of this node is over, and that nothing of it is stored: Redis need not know of it.
func (m *Machine) Drop(client string, fence uint64) {
	if m.owned[client] == fence && fence > 0 {
		delete(m.owned, client)
		m.left[client] = left{fence, m.now}
		m.ask(Drop{m.me, client, fence})
	}
}

func (m *Machine) takeRelease(p *peer, b *wire.Release) {
	mv := m.moved[b.Client]
	switch fence := m.owned[b.Client]; {
	case mv != nil && mv.still:
		mv.to = append(mv.to, p)
	case fence > 0 && fence == b.Fence:
		mv = m.leave(b.Client, true)
		mv.to = append(mv.to, p)
		m.emit(Stop{b.Client})
	default:
		m.send(p, &wire.Released{Client: b.Client, Fence: b.Fence})
	}
}

// Stopped answers Stop.
func (m *Machine) Stopped(client string) {
	mv := m.moved[client]
	if mv == nil || !mv.still {
		return
	}
	mv.still, mv.asked = false, m.now
	for _, p := range mv.to {
		if m.peers[p.incarnation] == p {
			m.send(p, &wire.Released{Client: client, Fence: mv.fence})
		}
	}
	mv.to = nil
}

// takeTaken: all nodes know where a session is. What was sent here before they did is on its way.
func (m *Machine) takeTaken(b *wire.Taken) {
	if fence := m.owned[b.Client]; fence > 0 && fence < b.Fence {
		m.leave(b.Client, true)
		m.emit(Stop{b.Client})
	}
	mv := m.moved[b.Client]
	if mv != nil && mv.fence < b.Fence {
		m.flush(mv)
	}
}

// flush has all that was sent for a session come that has moved, before it is forgotten.
func (m *Machine) flush(mv *moved) {
	if mv.mark > 0 {
		return
	}
	m.marks++
	mv.mark = m.marks
	for _, p := range m.order {
		m.send(p, &wire.Flush{Mark: mv.mark})
		mv.flush = append(mv.flush, p.incarnation)
	}
	m.forget(mv)
}

func (m *Machine) takeFlushed(p *peer, b *wire.Flushed) {
	for _, mv := range m.movedInOrder() {
		if mv.mark == b.Mark {
			m.flushed(mv, p.incarnation)
		}
	}
}

func (m *Machine) flushed(mv *moved, by uint64) {
	mv.flush = slices.DeleteFunc(mv.flush, func(i uint64) bool { return i == by })
	m.forget(mv)
}

// forget ends what this node has to do with a session that has moved, when nothing for it can come any more.
func (m *Machine) forget(mv *moved) {
	if mv.mark == 0 || len(mv.flush) > 0 || m.moved[mv.client] != mv {
		return
	}
	delete(m.moved, mv.client)
	m.left[mv.client] = left{mv.fence, m.now}
	m.emit(Forget{mv.client})
	m.let(mv.holds)
}

func (m *Machine) movedInOrder() (all []*moved) {
	for _, mv := range m.moved {
		all = append(all, mv)
	}
	slices.SortFunc(all, func(a, b *moved) int { return cmp.Compare(a.client, b.client) })
	return all
}

func (m *Machine) forgetPeerInMoved(incarnation uint64) {
	for _, mv := range m.movedInOrder() {
		if mv.mark > 0 {
			m.flushed(mv, incarnation)
		}
	}
}

// tendMoved asks where sessions are of which nobody has said that they are taken.
func (m *Machine) tendMoved() {
	for client, l := range m.left {
		if m.now-l.at > longestAnswer {
			delete(m.left, client)
		}
	}
	for _, mv := range m.movedInOrder() {
		if mv.mark == 0 && !mv.still && !mv.asking && m.now-mv.asked >= m.opt.Times.Ask && m.claims[mv.client] == nil {
			mv.asking, mv.asked = true, m.now
			m.ask(Peek{m.me, mv.client})
		}
	}
}

// peekedMoved asks whoever has a session now; if nobody has taken it, it is taken back.
func (m *Machine) peekedMoved(mv *moved, value any, err error) {
	mv.asking = false
	if err != nil {
		return
	}
	is := value.(Peeked)
	if p := m.peers[is.Owner]; p != nil {
		m.send(p, &wire.Ask{Client: mv.client})
	} else if is.Owner == 0 { // it is over
		m.flush(mv)
	} else if is.Owner == m.me && m.claims[mv.client] == nil {
		m.claims[mv.client] = &claim{client: mv.client, fence: is.Fence, asked: m.now}
	}
}

// takeAsk: the node that had a session wants to know when all nodes know that this one has it.
func (m *Machine) takeAsk(p *peer, b *wire.Ask) {
	for _, list := range [][]duty{m.arrivals, m.duties} {
		for i := range list {
			if d := &list[i]; !d.confirm && d.session.Client == b.Client {
				d.tell = append(d.tell, p.incarnation)
				return
			}
		}
	}
	if fence := m.owned[b.Client]; fence > 0 {
		m.send(p, &wire.Taken{Client: b.Client, Fence: fence})
	}
}
