package machine

import "picket/cluster/wire"

// Output is something the machine wants done. Outputs are carried out in the order they come.
type Output interface{ output() }

// CallID names a call to Redis. Ids are never used again.
type CallID uint64

// Call asks for a function of Redis to be called; [Machine.Answer] brings what it said. Calls of one machine are made in the order they come, and answered in any.
type Call struct {
	ID      CallID
	Command Command
}

// Dial asks for a link to a peer; [Machine.LinkUp] tells of one, whichever side has made it. An attempt that fails needs no answer.
type Dial struct {
	Peer                 uint64
	Address, Fingerprint string
}

// HangUp ends the link to a peer, if there is one. No LinkDown is expected.
type HangUp struct{ Peer uint64 }

// Send writes a frame to the link to a peer.
type Send struct {
	Peer  uint64
	Frame wire.Frame
}

// Route says that a peer wants what matches a filter, or does not any more.
type Route struct {
	Peer   uint64
	Change wire.Change
}

// Unroute says that a peer wants nothing any more, since it is no more.
type Unroute struct{ Peer uint64 }

// Deliver gives a run to the sessions of this node that match and whose position ([Placed]) is above Since, and not above Upto. [Machine.Delivered] answers, when what it changes in their
// queues is in Redis. Runs of one peer have to be put into queues in the order they come.
type Deliver struct {
	From        uint64 // the peer; this node's own incarnation for what was published here
	Run         *wire.Run
	Since, Upto uint64
}

// Share gives a run to one member of a shared subscription that is at this node. [Machine.Shared] answers, when what it changes is in Redis.
type Share struct {
	From uint64 // the peer; this node's own incarnation for what was published here
	Run  *wire.Run
}

// Look asks where a run has to go now: to which peers, and whether to sessions of this node that are placed above Had; [Machine.Targets] answers. For a shared subscription that is one node alone, and
// none where nobody has a member but those that have not taken it.
type Look struct {
	ID       uint64
	Had      uint64
	Not      map[uint64]bool // of a shared subscription: incarnations that have not taken it; this node's too
	Unlinked []uint64        // … and peers to which there is no link, from which no answer is to be had soon
}

// Done says that a run is settled: its publisher can be told.
type Done struct {
	ID      uint64
	Refused []string // causes
}

// Own says that a session is this node's from now on. [Machine.Installed] answers, when its filters have been announced with Want. Nothing is to be delivered to it before it is [Placed].
type Own struct {
	Client  string
	Fence   uint64
	State   any  // what Redis said
	Claimed bool // a client waits for it
}

// Placed says where a session that is installed stands among all that have come: what is delivered here from now on it gets, and what was delivered before comes again, since whoever had the session
// before asks for that. Positions never go back.
type Placed struct {
	Client   string
	Position uint64
}

// Refused says that a session that was claimed cannot be had; the client may try again.
type Refused struct{ Client string }

// Stop asks for a session to be let go of: its client is disconnected, and [Machine.Stopped] tells when all that the node had for it is in Redis. What matches its filters
// is not delivered to it any more, and named by Delivered instead.
type Stop struct{ Client string }

// Forget says that a session that was stopped is of no concern any more. Its filters are to be withdrawn.
type Forget struct{ Client string }

// Confirmed says that all nodes know what had been announced when Confirm was called.
type Confirmed struct{ Token uint64 }

// Ready says that clients may be let in.
type Ready struct{}

// Fenced says that this incarnation has been buried: its clients have to go, and nothing that it knew holds. The machine joins again.
type Fenced struct{ Incarnation uint64 }

func (Call) output()      {}
func (Dial) output()      {}
func (HangUp) output()    {}
func (Send) output()      {}
func (Route) output()     {}
func (Unroute) output()   {}
func (Deliver) output()   {}
func (Share) output()     {}
func (Look) output()      {}
func (Done) output()      {}
func (Own) output()       {}
func (Placed) output()    {}
func (Refused) output()   {}
func (Stop) output()      {}
func (Forget) output()    {}
func (Confirmed) output() {}
func (Ready) output()     {}
func (Fenced) output()    {}

// Command is a function of Redis. All of them can be repeated, and can be carried out later than their answer was waited for: what they find changed then they leave as it is. All but
// Join and Rows are refused with [ErrFenced] if the incarnation Me has been buried.
type Command interface{ command() }

// Row is what Redis has of an incarnation of a node.
type Row struct {
	Incarnation                uint64
	Name, Address, Fingerprint string
	Beat                       int64
	Dead                       bool
}

// Join makes a row with the next incarnation, and buries those of the same name. The answer is a uint64.
type Join struct{ Name, Address, Fingerprint string }

// Beat raises the beat of a row. The answer is nil.
type Beat struct {
	Me   uint64
	Beat int64
}

// Rows reads all rows. The answer is a []Row.
type Rows struct{ Me uint64 }

// Bury buries an incarnation whose beat is still the one that is named. The answer is nil, also if it was buried before, or [ErrChanged].
type Bury struct {
	Me, Incarnation uint64
	Beat            int64
}

// Peek reads who has a session. The answer is a [Peeked].
type Peek struct {
	Me     uint64
	Client string
}

// Peeked is an answer; Owner and Fence are 0 where there is no such session.
type Peeked struct {
	Owner, Fence uint64
}

// TakeOver makes Me the owner of a session, with a fence that is one higher, if its fence still is the one that is named (0: there is none). If Me has become the owner by just that, it is
// answered once more. The answer is a [Session], or [ErrChanged].
type TakeOver struct {
	Me     uint64
	Client string
	Fence  uint64
}

// Session is a session that has come to a node.
type Session struct {
	Client string
	Fence  uint64 // its own
	Before uint64 // the owner before; 0: there was none
	Owes   bool   // an incarnation that had it is retired only when Seen has been said of it
	State  any    // what else is stored of it
}

// Adopt makes Me the owner of up to N sessions of a buried incarnation, each with a fence one higher. They are answered each time until they are named in Got. The
// answer is a []Session, which is empty when there is nothing left.
type Adopt struct {
	Me, Dead uint64
	Got      []Session // client and fence
	N        int
}

// Seen says of sessions of Me (client and fence) that all living nodes have seen the routes for them. A buried incarnation that owns nothing any more is retired, which means that its
// row goes, when that has been said, by whoever had them then, of all sessions that had been taken from it, while it lived or later. The answer is nil.
type Seen struct {
	Me       uint64
	Sessions []Session
}

// Drop removes what Redis has of a session of Me that is over, if its fence still is the one that is named and nothing of it is stored. No fence of it is given out again, to whatever
// session. The answer is nil.
type Drop struct {
	Me     uint64
	Client string
	Fence  uint64
}

// Post puts frames into the mailbox of an incarnation. The answer is nil, or [ErrChanged] if that is buried.
type Post struct {
	Me, To uint64
	Frames []wire.Frame
}

// Collect removes what has been collected from Me's mailbox up to a place, and reads what comes behind it. The answer is a []Letter.
type Collect struct {
	Me   uint64
	Upto uint64
}

// Letter is what one Post has put into a mailbox.
type Letter struct {
	Place  uint64
	From   uint64
	Frames []wire.Frame
}

func (Join) command()     {}
func (Beat) command()     {}
func (Rows) command()     {}
func (Bury) command()     {}
func (Peek) command()     {}
func (TakeOver) command() {}
func (Adopt) command()    {}
func (Seen) command()     {}
func (Drop) command()     {}
func (Post) command()     {}
func (Collect) command()  {}
