package cluster

import (
	"errors"
	"maps"
	"slices"

	"picket/cause"
	"picket/cluster/machine"
	"picket/cluster/wire"
	"picket/logging"
)

// announceAll tells the machine, which has just joined, what is wanted here.
func (n *Node) announceAll() {
	for _, filter := range slices.Sorted(maps.Keys(n.wanted)) {
		n.m.Want(wire.Change{Filter: filter})
	}
}

// carryOut does what the machine wants, and writes what goes to peers.
func (n *Node) carryOut() {
	for outputs := n.m.Take(); len(outputs) > 0; outputs = n.m.Take() {
		for _, o := range outputs {
			n.perform(o)
		}
	}
	for l := range n.dirty {
		l.flush()
		delete(n.dirty, l)
	}
}

func (n *Node) perform(o machine.Output) {
	switch o := o.(type) {
	case machine.Call:
		n.calls.put(o)
	case machine.Dial:
		n.dial(o)
	case machine.HangUp:
		n.hangUp(o.Peer)
	case machine.Send:
		if l := n.links.of(o.Peer); l != nil {
			l.send(o.Frame)
			n.dirty[l] = true
		}
	case machine.Done:
		if p := n.runs[o.ID]; p != nil {
			delete(n.runs, o.ID)
			n.settled(p, o.Refused, nil)
		}
	case machine.Confirmed:
		if done := n.confirms[o.Token]; done != nil {
			delete(n.confirms, o.Token)
			done(nil)
		}
	case machine.Fenced:
		n.log.Cause(logging.Error, cause.ClusterFenced, "The other nodes have taken this one for dead, since it has not shown for some seconds in Redis %s that it lives: its clients are disconnected, and it joins again.", n.o.Redis)
		n.joined.Store(0)
		n.fencedAt = n.clock.now()
		n.leased.Store(0)
		n.links.closeAll()
		n.host.Fenced(o.Incarnation)
		n.forgetAll()
	default:
		n.tell(o)
	}
}

// tell passes on what concerns the host.
func (n *Node) tell(o machine.Output) {
	me := n.m.Incarnation()
	// back has the host's answer reach the machine, unless this incarnation is over by then.
	back := func(f func()) {
		n.inbox.put(func() {
			if n.m.Incarnation() == me {
				f()
			}
		})
	}
	switch o := o.(type) {
	case machine.Ready:
		n.host.Ready(me)
	case machine.Route:
		n.host.Route(o.Peer, o.Change)
	case machine.Unroute:
		n.log.Printf(logging.Notice, "Node %s (number %d) is no member any more.", n.names[o.Peer].Name, o.Peer)
		delete(n.names, o.Peer)
		delete(n.troubles, o.Peer)
		n.links.forget(o.Peer)
		n.host.Unroute(o.Peer)
	case machine.Look:
		if p := n.runs[o.ID]; p != nil {
			peers, here := n.look(p, o)
			n.m.Targets(o.ID, peers, here)
		}
	case machine.Share:
		n.host.Share(o.Run, func(taken bool) { back(func() { n.m.Shared(o.From, o.Run.ID, taken) }) })
	case machine.Deliver:
		n.host.Deliver(o.From, o.Run, o.Since, o.Upto, func(elsewhere []string, refused string) {
			back(func() {
				if refused != "" {
					n.m.Refuse(o.From, o.Run.ID, refused)
				} else {
					n.m.Delivered(o.From, o.Run.ID, elsewhere)
				}
			})
		})
	case machine.Own:
		n.own(o, back)
	case machine.Placed:
		n.host.Placed(o.Client, o.Position)
		n.claimed(o.Client, nil)
	case machine.Refused:
		n.claimed(o.Client, errContended)
	case machine.Stop:
		n.host.Stop(o.Client, func() { back(func() { n.m.Stopped(o.Client) }) })
	case machine.Forget:
		n.host.Forget(o.Client)
	}
}

// own gives the host a session.
func (n *Node) own(o machine.Own, back func(func())) {
	fields, _ := o.State.(map[string]string)
	n.host.Own(Owned{Client: o.Client, Fence: o.Fence, Fields: fields, Claimed: o.Claimed}, func(err error) {
		back(func() {
			if err != nil {
				n.m.Lost(o.Client, o.Fence) // it is asked for again where nobody else has it
			} else if !n.m.Installed(o.Client, o.Fence) {
				err = errContended
			}
			if err != nil {
				n.claimed(o.Client, err)
			}
		})
	})
}

// look asks the host where a run has to go.
func (n *Node) look(p *published, o machine.Look) (peers []uint64, here bool) {
	if len(p.run.Groups) == 0 {
		return n.host.Look(p.run, o.Had)
	}
	peer, here := n.host.Choose(p.run, p.first, o.Not, o.Unlinked, !o.Not[n.m.Incarnation()])
	if p.first = 0; peer != 0 {
		peers = []uint64{peer}
	}
	return peers, here
}

// claimed answers those who have claimed a session.
func (n *Node) claimed(client string, err error) {
	for _, done := range n.claims[client] {
		done(err)
	}
	delete(n.claims, client)
}

// errContended says that a session is taken over again and again.
var errContended = errors.New("other nodes take the session over, again and again")
