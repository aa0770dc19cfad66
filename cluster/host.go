package cluster

import "picket/cluster/wire"

// Host is what delivers messages on this node: the broker. All methods but Loose are called by one goroutine of the node's, which waits for them: they must not block, and must not
// call the [Node] but to tell it something later. Functions that they are given may be called by any goroutine, once, and are void when the incarnation is over.
type Host interface {
	// Joined says that this node has joined: what is stored is stored as this incarnation from now on. Sessions may come before Ready.
	Joined(incarnation uint64)
	// Ready says that clients may be let in.
	Ready(incarnation uint64)
	// Fenced says that this node's incarnation has been buried: its clients have to go, and nothing that it knew of peers holds. It joins again.
	Fenced(incarnation uint64)

	// Route says that a peer wants what matches a filter, or does not any more.
	Route(peer uint64, c wire.Change)
	// Unroute says that a peer wants nothing any more.
	Unroute(peer uint64)
	// Look says where a run has to go now: the peers that want it, and whether sessions of this node do that stand above a position ([Host.Placed]), or nowhere yet.
	Look(r *wire.Run, above uint64) (peers []uint64, here bool)
	// Choose says where a run for a shared subscription has to go: to first, if that is a peer with a member that can still be had, else to another node. None of not is chosen, and peers of unlinked
	// only where there is nobody else. here is for a member at this node, and never so unless mayStay.
	Choose(r *wire.Run, first uint64, not map[uint64]bool, unlinked []uint64, mayStay bool) (peer uint64, here bool)
	// Share gives a run to one member of a shared subscription at this node. done is called when what that changes is stored, with whether there was a member that could take it.
	Share(r *wire.Run, done func(taken bool))
	// Deliver gives a run to the sessions that match and whose position is above since, and not above upto. done is called when what that changes is stored, with the sessions that match, are above since
	// and have not got it: they are another node's by now, or have just come; or with
	// the cause for which it cannot be stored. Runs of one peer have to be put into queues in the order in which they come.
	Deliver(from uint64, r *wire.Run, since, upto uint64, done func(elsewhere []string, refused string))
	// Loose gives a run of QoS 0 to the sessions that match. It is called by the goroutine of a link and may take its time: the peer is not read meanwhile. The run holds only
	// until it returns.
	Loose(r *wire.Run)

	// Own says that a session is this node's from now on; fields are what Redis has of it, by the names in its hash. installed is called when its filters have been announced, or with
	// why it could not be had. It gets nothing before Placed.
	Own(s Owned, installed func(error))
	// Placed says where a session stands that is installed: behind all that have come before. Positions begin with 1, and never go back. Sessions that are new stand at 0: what was published before is not for them.
	Placed(client string, position uint64)
	// Stop asks for a session to be let go of: stopped is called when all that this node had for it is stored.
	Stop(client string, stopped func())
	// Forget says that a session that was stopped is of no concern any more.
	Forget(client string)

	// Room says that [Node.Full] has become false.
	Room()
}

// Owned is a session that has come to this node.
type Owned struct {
	Client  string
	Fence   uint64
	Fields  map[string]string
	Claimed bool // a client waits for it
}
