package machine

import (
	"maps"
	"slices"

	"picket/cluster/wire"
)

// duty is something that is to be done when all peers have seen this node's routes up to some number.
type duty struct {
	routes  uint64
	confirm bool // of Confirm, with its token
	token   uint64
	session Session   // one that has arrived, otherwise
	tell    []uint64  // who is to be told that it has been taken
	holds   []receipt // runs that are answered when it is installed
}

// Want announces a topic filter, or how many members of a shared subscription there are now. It is sent with the outputs of the next Take, as one frame with all others.
func (m *Machine) Want(c wire.Change) {
	c.Gone = false
	if was, ok := m.wanted[c.Filter]; m.me == 0 || ok && was == c {
		return
	}
	m.wanted[c.Filter] = c
	m.change(c)
}

// Unwant withdraws a topic filter.
func (m *Machine) Unwant(filter string) {
	if _, ok := m.wanted[filter]; ok {
		delete(m.wanted, filter)
		m.change(wire.Change{Filter: filter, Gone: true})
	}
}

func (m *Machine) change(c wire.Change) {
	m.routes++
	m.changes = append(m.changes, c)
}

// Confirm asks for [Confirmed] when all nodes have seen what has been announced up to now.
func (m *Machine) Confirm(token uint64) {
	if m.me != 0 {
		m.await(duty{confirm: true, token: token})
	}
}

func (m *Machine) await(d duty) {
	d.routes = m.routes
	m.duties = append(m.duties, d)
	m.doDuties()
}

// eachList cuts a list into frames.
func eachList(changes []wire.Change, most int, send func(part []wire.Change, first, last bool)) {
	for at := 0; at == 0 || at < len(changes); at += most {
		end := min(at+most, len(changes))
		send(changes[at:end], at == 0, end == len(changes))
	}
}

// sendRoutes tells all peers what has changed.
func (m *Machine) sendRoutes() {
	if len(m.changes) == 0 {
		return
	}
	changes := m.changes
	m.changes = nil
	for _, p := range m.order {
		eachList(changes, m.opt.Times.List, func(part []wire.Change, _, last bool) {
			routes := m.routes
			if !last {
				routes = 0 // the number of the last change comes with it
			}
			m.send(p, &wire.Routes{Routes: routes, Changes: part})
		})
	}
}

// introduce tells a new peer all routes.
func (m *Machine) introduce(p *peer) {
	var all []wire.Change
	for _, filter := range slices.Sorted(maps.Keys(m.wanted)) {
		all = append(all, m.wanted[filter])
	}
	eachList(all, m.opt.Times.List, func(part []wire.Change, first, last bool) {
		m.send(p, &wire.Routes{Routes: m.routes, First: first, Last: last, Changes: part})
	})
}

// takeRoutes takes what a peer wants, and tells it that it is seen.
func (m *Machine) takeRoutes(p *peer, b *wire.Routes) {
	if b.First {
		p.gathering = map[string]wire.Change{}
	}
	if p.gathering == nil {
		for _, c := range b.Changes {
			m.route(p, c)
		}
	} else {
		for _, c := range b.Changes {
			p.gathering[c.Filter] = c
		}
	}
	if b.Last {
		for _, filter := range slices.Sorted(maps.Keys(p.routes)) {
			if _, still := p.gathering[filter]; !still {
				m.route(p, wire.Change{Filter: filter, Gone: true})
			}
		}
		for _, filter := range slices.Sorted(maps.Keys(p.gathering)) {
			m.route(p, p.gathering[filter])
		}
		p.gathering, p.complete = nil, true
		m.readNext = min(m.readNext, m.now)
	}
	if p.gathering == nil && b.Routes > 0 || b.Last {
		m.send(p, &wire.Seen{Routes: b.Routes})
	}
}

func (m *Machine) route(p *peer, c wire.Change) {
	if c.Gone {
		delete(p.routes, c.Filter)
	} else {
		p.routes[c.Filter] = c
	}
	m.emit(Route{p.incarnation, c})
}

// doDuties does what has waited for all peers to have seen routes.
func (m *Machine) doDuties() {
	all := ^uint64(0)
	for _, p := range m.order {
		all = min(all, p.seen)
	}
	n := 0
	for n < len(m.duties) && m.duties[n].routes <= all {
		m.do(&m.duties[n])
		n++
	}
	m.duties = m.duties[n:]
}

func (m *Machine) do(d *duty) {
	if d.confirm {
		m.promise(Confirmed{d.token})
		return
	}
	for _, incarnation := range d.tell {
		if p := m.peers[incarnation]; p != nil {
			m.send(p, &wire.Taken{Client: d.session.Client, Fence: d.session.Fence})
		}
	}
	if d.session.Owes {
		m.seen = append(m.seen, Session{Client: d.session.Client, Fence: d.session.Fence})
	}
	m.tellSeen()
}

// tellSeen has Redis know of which sessions all have seen the routes.
func (m *Machine) tellSeen() {
	if n := min(len(m.seen), m.opt.Times.Slice); n > 0 && !m.telling {
		m.telling = true
		m.ask(Seen{m.me, slices.Clone(m.seen[:n])})
	}
}

func (m *Machine) toldSeen(c Seen, err error) {
	if m.telling = false; err == nil {
		m.seen = m.seen[len(c.Sessions):]
		m.readNext = m.now
	}
}
