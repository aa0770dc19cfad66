package machine

import (
	"maps"

	"picket/cluster/wire"
)

// A run with the name of a shared subscription in Groups is for one member of that, wherever it is: [Look] asks the host to choose a node. Where nobody takes it, or that node dies without an answer, another
// one is chosen. Such runs keep no order among each other, as the members of a shared subscription have none (MQTT-4.6.0-6).

// isShared tells whether one member alone gets a run.
func isShared(body *wire.Run) bool { return len(body.Groups) > 0 }

// look asks where a run has to go.
func (m *Machine) look(r *run) {
	r.sent = false
	o := Look{ID: r.id, Had: r.had}
	if isShared(r.body) {
		o.Not = maps.Clone(r.not)
		for _, p := range m.order {
			if !p.up {
				o.Unlinked = append(o.Unlinked, p.incarnation)
			}
		}
	}
	m.emit(o)
}

// Shared answers [Share]: whether somebody has taken the run.
func (m *Machine) Shared(from, id uint64, taken bool) {
	p := m.peers[from]
	switch {
	case from == m.me:
		if r := m.runs[id]; r != nil {
			if !taken {
				r.pass(m.me)
			}
			r.here = 0
			m.settle(r, m.me)
		}
	case p == nil:
	case taken:
		m.send(p, &wire.Settled{Done: []uint64{id}})
	default:
		m.send(p, &wire.Settled{Refused: []wire.Refusal{{ID: id}}})
	}
}

// pass has a run go to another node than one that has not taken it.
func (r *run) pass(by uint64) {
	if r.not == nil {
		r.not = make(map[uint64]bool)
	}
	r.not[by], r.again = true, true
}

// passFrom has the runs for shared subscriptions that wait for an incarnation which has died go elsewhere.
func (m *Machine) passFrom(incarnation uint64) {
	for _, r := range m.runsInOrder() {
		if isShared(r.body) && r.waits[incarnation] {
			r.pass(incarnation)
			m.settle(r, incarnation)
		}
	}
}
