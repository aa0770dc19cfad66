package broker

import (
	"bytes"
	"slices"

	"picket/cause"
	"picket/cluster/wire"
	"picket/store"
	"picket/topic"
)

// Shared subscriptions over several nodes. A node announces each of its shared subscriptions as it does filters, and so stands in the others' groups as a member. The publisher's node chooses: a member that is
// connected to it, else another node in its turn; that node chooses the member. If it has none by then that can take the message it says so, and another node is chosen. A message of QoS 0 goes where
// there is room in the link.

// outgoingShare is packet i of a worker's run, which goes to another node for a shared subscription.
type outgoingShare struct {
	peer uint64
	name string // "$share/NAME/FILTER"
	i    int
}

// peer is the node that a session in the index stands for; 0: it is a client's.
func (s *Session) peer() uint64 {
	if s.inside == nil {
		return 0
	}
	return s.inside.peer
}

func shareName(g *topic.Group[*Session]) string { return "$share/" + g.Name + "/" + g.Filter }

// shareTo has packet i of the run go to a member of the group at another node, and reports whether it does: at QoS 1 and 2 it always does, unless it has come from another node.
// Else why is why not.
func (w *worker) shareTo(peer uint64, g *topic.Group[*Session], i int, why *cause.ID) bool {
	switch {
	case w.run.origin != nil:
		return false
	case w.run.qos > 0:
		w.shares = append(w.shares, outgoingShare{peer, shareName(g), i})
		return true
	}
	w.fillRun(&w.loose.Run, i, i+1)
	w.loose.Plain, w.loose.Groups = false, []string{shareName(g)}
	w.frame = wire.Append(w.frame[:0], wire.Frame{Body: &w.loose})
	taken := w.b.neighbours.peers.Loose(peer, w.frame, 1)
	clear(w.loose.Payloads)
	if cap(w.frame) > muchOutput {
		w.frame = nil
	}
	if !taken {
		*why = cause.ClusterLinkFull
	}
	return taken
}

// forwardShares sends what the run has for members of groups at other nodes, each packet by itself.
func (w *worker) forwardShares(p *promise) {
	for _, s := range w.shares {
		p.expect()
		run := &wire.Run{}
		w.fillRun(run, s.i, s.i+1)
		run.QoS, run.Plain, run.Groups = w.run.qos, false, []string{s.name}
		run.Props, run.Payloads[0] = bytes.Clone(run.Props), bytes.Clone(run.Payloads[0])
		w.b.neighbours.peers.Offer(run, s.peer, func(refused []string, err error) { p.done(errOf(refused, err)) })
	}
	clear(w.shares)
	w.shares = w.shares[:0]
}

// Choose implements what a host of package cluster does: it says where a run for a shared subscription goes.
func (n *Neighbours) Choose(r *wire.Run, first uint64, not map[uint64]bool, unlinked []uint64, mayStay bool) (peer uint64, here bool) {
	g := n.b.index.Group(r.Groups[0])
	if g == nil {
		return 0, false
	}
	if s := n.members[first]; s != nil && !not[first] && !slices.Contains(unlinked, first) {
		if _, wanted := s.subs.get(r.Groups[0]); wanted {
			return first, false
		}
	}
	const unlinkedElsewhere = shareRounds // where there is nobody else
	g.Next(shareRounds+1, func(m topic.Subscriber[*Session], round int) bool {
		to := m.Key.peer()
		switch {
		case to == 0:
			here = mayStay && (round == awayHere || round == connectedHere && m.Key.connected())
			return here
		case not[to], round != elsewhere && round != unlinkedElsewhere, round == elsewhere && slices.Contains(unlinked, to):
			return false
		}
		peer = to
		return true
	})
	return peer, here
}

// connected tells whether the session's client is.
func (s *Session) connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn != nil && s.conn.stage() == connected
}

// Share implements what a host of package cluster does: it gives a run to one member of a shared subscription at this node.
func (n *Neighbours) Share(r *wire.Run, done func(taken bool)) {
	n.arrive(arrival{run: r, taken: done})
}

// shareHere is Share when its turn has come.
func (n *Neighbours) shareHere(f *wire.Run, done func(taken bool)) {
	taken, batch := n.w.receiveShare(f)
	answer := told(func() { done(taken && (batch == nil || batch.Err() == nil)) })
	if batch == nil || !batch.Await(answer) {
		answer()
	}
}

// receiveShare gives a run of another node's to one member of its shared subscription, and reports whether that is done with: somebody has taken it, or nobody may have it any more. What it changes in the store is in
// queued.
func (w *worker) receiveShare(f *wire.Run) (taken bool, queued *store.Batch) {
	defer w.run.drop()
	if !w.takeIn(f, everywhere) {
		return true, nil
	}
	defer w.shrinkBodies()
	if g := w.b.index.Group(f.Groups[0]); g != nil {
		w.findRoute()
		taken = w.share(g, 0)
	}
	return taken, w.commit()
}
