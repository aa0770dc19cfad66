// Package machine decides what a node of a cluster does: a state machine without sockets, clocks, files and goroutines. What happens (time, answers of Redis, links
// made and lost, frames, what clients and publishers of this node ask for) is told to a [Machine] by its methods; what is to be done about it (calls to Redis, links
// to make, frames to send, sessions to take over or to let go of, runs to deliver, acknowledgements) is taken from it with Take.
//
// A Machine is driven so: SetClock, then the input, then Tick when Due has come, then Take and carry out the outputs in their order. It is deterministic.
//
// # Nodes
//
// Redis has a row for each incarnation of a node, whose beat rises twice a second. Others that see it stand still for three seconds, by their own clocks and while their own
// reads succeed, bury it: Redis does so only if the beat is still the one that was read, and refuses everything that the buried incarnation asks for from then on. What it owned
// is adopted by whoever asks first, in slices. Its row goes (it is retired) when nothing is left, and all living nodes have seen the routes of those who have its sessions now. A
// node that finds that it has been buried forgets everything and joins again.
//
// # Channels
//
// Every pair of nodes has a channel in each direction (package wire): its numbered frames go over the link, or through the mailbox in Redis while there is none, and arrive once
// and in order, for as long as both incarnations live. So nothing below needs to know how a frame travels.
//
// # Routes
//
// Each node announces the topic filters that it wants. A subscription is confirmed when all living nodes have said that they see the announcement. A node that joins serves nobody until
// it has the routes of all that lived when it joined, and those that were dead are retired. The routes of a node that has died hold until it is retired: what is published for it
// waits with the publisher's node.
//
// # Runs
//
// A run of messages is sent once to each node whose routes match. That one has its sessions' queues written, and answers that the run is settled; or, if a session has
// moved, that it has to be sent again, but only when all know where the session is now. A run that is sent again has the number that it had: whoever has had it gives it to
// those sessions only that have come since. The sessions of the publisher's own node need not wait for their turn: those that were placed before all that is under way of the same publisher has begun are
// given a run at once. The next run of the same publisher and topic goes when the one before is settled: so a session gets them in order, wherever it moves.
//
// # Sessions
//
// A session has one owner and a fence in Redis, which rises with each change of the owner. Claim asks the owner to let go of it, and takes it after half a second without an
// answer, too: what the one before writes then is refused for its fence. The one before keeps the session's routes until the new one says that all nodes know its own, and then until
// what was sent before that has come.
//
// # What nobody is told too early
//
// A node that has been buried and does not know it must not acknowledge anything by what it knew: others go on without it. So acknowledgements are given only while the last beat
// that Redis took was sent less than [Times].Lease ago, which is less than anybody waits before a burial. Clocks may run differently by a third, but must not stand still while the
// machine is suspended: the shell's clock is one that counts on.
//
// All answers of Redis have to be given only when as many replicas as the cluster asks for have everything that had been written before them, by whomever: a failover then takes nothing
// back that a machine has seen.
package machine

import (
	"picket/cluster/wire"
)

// Times are in milliseconds.
type Times struct {
	Beat    int64 // how often a node beats, and reads the rows of all
	Dead    int64 // how long a beat stands still before its node is buried
	Lease   int64 // how long after a beat was sent acknowledgements are given
	Gap     int64 // between two reads that succeed: above, no beat is said to have stood still
	Release int64 // how long the owner of a session is waited for
	Mail    int64 // how long there is no link before the mailbox is used
	Silent  int64 // how long a link brings nothing, or nothing of what was sent is acknowledged, before it is given up
	Again   int64 // how long nothing of what was sent is acknowledged before it is sent again
	Dial    int64 // between two attempts to make a link
	Ask     int64 // between two questions where a session is now
	Slice   int   // sessions that are adopted at a time
	List    int   // changes of routes in a frame, and frames that are put into a mailbox at a time
}

// DefaultTimes are those of docs/cluster.md.
func DefaultTimes() Times {
	return Times{Beat: 500, Dead: 3000, Lease: 2000, Gap: 1200, Release: 500, Mail: 300, Silent: 1500, Again: 500, Dial: 1000, Ask: 1000, Slice: 200, List: 1000}
}

// Options are what a Machine is made from.
type Options struct {
	Name, Address, Fingerprint string
	Times                      Times
}

// Machine is one node. Its methods must not be called from several goroutines at once.
type Machine struct {
	opt  Options
	now  int64
	tick int64 // the last
	out  []Output

	me      uint64 // this incarnation; 0: not joined
	calls   map[CallID]Command
	call    CallID
	serving bool
	needs   map[uint64]bool // incarnations that have to be known or retired before it serves; nil: it has not read yet

	beats, beatSent, leased, beatNext int64 // the last beat; when it was sent; when the last that was taken was; when the next is due
	beating, reading, joining         bool
	readNext, readLast                int64
	peers                             map[uint64]*peer // by incarnation, in the order of that in order
	order                             []*peer
	buried                            map[uint64]*grave
	box                               mailbox

	routes   uint64 // number of the last change
	wanted   map[string]wire.Change
	changes  []wire.Change // not sent yet
	duties   []duty        // what is to be done when all have seen some routes, by their number
	seen     []Session     // of which all have seen the routes, and Redis has to know
	telling  bool          // a call Seen is under way
	promised []Output      // acknowledgements that wait for the lease

	lastRun  uint64
	runs     map[uint64]*run
	oldest   uint64 // no run below is left
	byTopic  map[topicKey][]*run
	position uint64 // rises with each session that is installed
	received map[receipt]*held

	owned    map[string]uint64 // sessions of this node with their fences
	claims   map[string]*claim
	moved    map[string]*moved
	arrivals []duty          // of sessions that are not installed yet
	left     map[string]left // sessions that were here a moment ago
	marks    uint64
}

// New makes a Machine that has not joined.
func New(o Options, now int64) *Machine {
	m := &Machine{opt: o, now: now}
	m.reset()
	return m
}

// reset forgets everything: this incarnation is over.
func (m *Machine) reset() {
	*m = Machine{opt: m.opt, now: m.now, tick: m.tick, out: m.out, call: m.call, beatNext: m.now, readNext: m.now, oldest: 1, position: max(1, m.position),
		calls: map[CallID]Command{}, peers: map[uint64]*peer{}, buried: map[uint64]*grave{}, wanted: map[string]wire.Change{}, runs: map[uint64]*run{},
		byTopic: map[topicKey][]*run{}, received: map[receipt]*held{}, owned: map[string]uint64{}, claims: map[string]*claim{}, moved: map[string]*moved{}, left: map[string]left{}}
}

// SetClock says what time it is for the inputs that follow, in milliseconds of a clock that never goes back.
func (m *Machine) SetClock(now int64) { m.now = max(m.now, now) }

// Incarnation is this node's; 0 while it has not joined.
func (m *Machine) Incarnation() uint64 { return m.me }

// Serving tells whether clients may be let in.
func (m *Machine) Serving() bool { return m.serving }

// Leased is until when acknowledgements may be given, by the clock of SetClock; 0: not at all.
func (m *Machine) Leased() int64 {
	if m.me == 0 || m.leased == 0 {
		return 0
	}
	return m.leased + m.opt.Times.Lease
}

// baseTick is how often Tick wants to be called, in milliseconds.
const baseTick = 50

// Due is when Tick must be called next.
func (m *Machine) Due() int64 { return m.tick + baseTick }

// Tick does what is due.
func (m *Machine) Tick() {
	m.tick = m.now
	if m.me == 0 {
		m.join()
		return
	}
	m.beatAndRead()
	for _, p := range m.order {
		m.tend(p)
	}
	m.tendMailbox()
	m.tendClaims()
	m.tendMoved()
	m.adopt()
	m.tellSeen()
}

// Take returns the outputs since the last call.
func (m *Machine) Take() []Output {
	m.sendRoutes()
	m.keepPromises()
	out := m.out
	m.out = nil
	return out
}

func (m *Machine) emit(o Output) { m.out = append(m.out, o) }

// isLeased tells whether acknowledgements may be given.
func (m *Machine) isLeased() bool { return m.now < m.Leased() }

// promise gives an acknowledgement as soon as it may be.
func (m *Machine) promise(o Output) { m.promised = append(m.promised, o) }

func (m *Machine) keepPromises() {
	if len(m.promised) > 0 && m.isLeased() {
		m.out = append(m.out, m.promised...)
		m.promised = nil
	}
}

// over ends this incarnation.
func (m *Machine) over() {
	for _, p := range m.order {
		m.hangUp(p)
	}
	m.out = append(m.out, Fenced{Incarnation: m.me})
	m.reset()
}
