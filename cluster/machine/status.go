package machine

// Status is what a node waits for.
type Status struct {
	Serving                                       bool
	Peers, Linked, Buried                         int
	Runs, Held, Claims, Moved, Unseen, Unaccepted int
	Unacknowledged                                int // frames
	Promised                                      int // acknowledgements that wait for a beat
}

// Status says what this node waits for.
func (m *Machine) Status() Status {
	s := Status{Serving: m.serving, Peers: len(m.order), Buried: len(m.buried), Runs: len(m.runs), Held: len(m.received), Claims: len(m.claims), Moved: len(m.moved),
		Unseen: len(m.duties) + len(m.arrivals), Unaccepted: len(m.seen), Promised: len(m.promised)}
	for _, p := range m.order {
		s.Unacknowledged += len(p.kept)
		if p.up {
			s.Linked++
		}
	}
	return s
}

// PeerStatus is what this node knows of another one that lives.
type PeerStatus struct {
	Row            Row
	Linked         bool
	Since          int64  // there is a link, or none, by the clock of SetClock
	Unacknowledged int    // frames that have been sent to it and have not come, as far as is known
	Unsettled      int    // runs that wait for its answer
	Unseen         uint64 // changes of this node's routes that it has not seen
	Out, In        uint64 // messages of QoS 1 and 2 to it and from it, by link or mailbox
	Routes         int    // topic filters that it wants
}

// Peers says how it is between this node and the others, in the order of their incarnations.
func (m *Machine) Peers() []PeerStatus {
	all := make([]PeerStatus, len(m.order))
	for i, p := range m.order {
		all[i] = PeerStatus{Row: p.row, Linked: p.up, Since: p.since, Unacknowledged: len(p.kept), Unsettled: p.unsettled, Unseen: m.routes - min(p.seen, m.routes), Out: p.out, In: p.in, Routes: len(p.routes)}
	}
	return all
}

// Buried are the incarnations that have died, and whose subscribers messages still wait for, in their order.
func (m *Machine) Buried() (all []uint64) {
	for _, g := range m.graves() {
		all = append(all, g.incarnation)
	}
	return all
}

// Wanted is how many topic filters this node has announced.
func (m *Machine) Wanted() int { return len(m.wanted) }
