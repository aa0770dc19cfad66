package broker

import (
	"time"

	"picket/cluster/wire"
	"picket/listener"
	"picket/store"
	"picket/topic"
)

// worker is what one event loop, or one reading goroutine for the time of a batch, needs beside the connections: scratch memory, the
// cache of routes and the list of connections to write to. Nothing in it is shared.
type worker struct {
	b          *Broker
	dirty      []*connection
	spare      []*connection
	scratch    []byte
	name       []byte // topic name with its mount point
	props      []byte
	bufs       [][]byte
	lent       [][]byte // parts of the run that are to be written to the session being served
	tail       []byte   // the last chunk of bufs that is ours
	pool       pool
	run        run
	routes     map[string]*route
	routeBytes int
	passing    []*route // routes of names that are not kept, for one run
	ahead      *route   // the first of them, where it has been found for what comes behind the run; nil: it has not
	unknown    uint     // names that were not known
	matches    topic.Matches[*Session]
	seen       map[*Session]int
	count      counts
	began      time.Time       // when the batch's first PUBLISH was read, if it is timed
	untimed    uint64          // batches with a PUBLISH, for choosing those
	patient    bool            // nobody else waits for this worker
	effort     int             // what the packets of this Read have cost so far
	batch      *store.Batch    // what the run changes in the store
	removals   *store.Batch    // what can go from the store, which nobody waits for
	far        []uint64        // peers that want the run
	shares     []outgoingShare // what goes to members of groups at peers, at QoS 1 and 2
	missed     missed          // sessions here that have to get the run another way
	frame      []byte          // it, at QoS 0, as it goes to them
	loose      wire.Loose
	bodies     []byte // payloads of a run of another node's
	held       *held  // messages of QoS 2 of this run that wait for batch
	ids        []uint16
	wills      []*will  // to be published when no mutex is held
	later      []func() // to be started when the batch is over
}

func (b *Broker) NewWorker() listener.Worker { return b.newWorker() }

func (b *Broker) newWorker() *worker {
	return &worker{b: b, routes: make(map[string]*route)}
}

// do runs f with a worker of its own and writes what it produced: for everything that does not start with bytes from a client.
func (b *Broker) do(f func(w *worker)) {
	w := b.workers.Get().(*worker)
	f(w)
	w.Flush()
	w.patient = false
	w.forgetRoutes() // nobody would give them back when the pool lets go of the worker
	b.workers.Put(w)
}

// maxEffort is how much one connection's packets may cost before the others of the event loop have a turn: so many filters that were looked at for a
// PUBLISH, or subscribed to. That takes a millisecond or two, whatever is subscribed to and whoever sends; a single packet may take longer.
const maxEffort = 1 << 15

// yield has the rest of what the client has sent wait until the others have had their turns.
func (c *connection) yield(w *worker) {
	c.conn.Pause()
	w.later = append(w.later, func() {
		if !c.throttled.Load() { // else it goes on when the store has room
			c.conn.Resume()
		}
	})
}
