package broker

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"picket/access"
	"picket/cause"
	"picket/cluster/wire"
	"picket/packet"
	"picket/store"
	"picket/topic"
)

// Peers are the other nodes of a cluster, as the broker sees them. No method blocks. Functions that they are given may be called by any goroutine, and must not block.
type Peers interface {
	// Want announces that what matches a filter is wanted here, and Unwant that it is not any more.
	Want(filter string)
	Unwant(filter string)
	// Confirm has done called when all nodes know what has been announced before.
	Confirm(done func(error))
	// Publish sends a run of QoS 1 or 2 to the peers that want it, and has done called when all of them have it, and the sessions here that stand above had. The run is theirs from then on. With here, the
	// others at this node are being given it; here is called once with what is to be told of that when it is settled: the sessions that another node has by now, or that have just come.
	Publish(r *wire.Run, had uint64, here func(tell func(elsewhere []string)), done func(refused []string, err error))
	// Offer sends a run of QoS 1 or 2 for a shared subscription to the peer first, or, if nobody takes it there, to another node, and has done called when somebody has it. The run is theirs from then on.
	Offer(r *wire.Run, first uint64, done func(refused []string, err error))
	// Loose sends a run of QoS 0 to a peer, as a frame with a [wire.Loose] of so many messages, and reports whether there was room.
	Loose(peer uint64, frame []byte, messages int) bool
	// IsLeased tells whether what has to do with no other node may be acknowledged. While it may not, Publish says when it may.
	IsLeased() bool
	// Full tells whether publishers have to be held back; [Neighbours.Room] is called when they have not any more.
	Full() bool
}

// Neighbours are what the other nodes of a cluster want from this broker, and bring to it: a host of package cluster. Each peer has a session in the index that stands for it, with the
// filters that it wants. So a route leads to peers as it does to clients, is looked up once for both, and is looked up again when one of them changes what it wants.
type Neighbours struct {
	b     *Broker
	peers Peers

	mu     sync.Mutex
	counts map[string]int // sessions of this node, by filter

	routes atomic.Int64 // subscriptions in the index that are peers'
	shares atomic.Int64 // of them, those to shared subscriptions

	// Of the goroutine that calls Route and the like.
	standings standings

	members map[uint64]*Session
	matches topic.Matches[*Session]
	opened  bool
	ready   chan struct{} // closed when this node serves for the first time

	delivering sync.Mutex // held while w is used
	w          *worker

	queue   chan struct{} // has something when there is an arrival
	queueMu sync.Mutex
	arrived []arrival
}

// arrival is a run that has come and waits to be delivered.
type arrival struct {
	run   *wire.Run
	stand stand
	done  func(elsewhere []string, refused string)
	taken func(bool) // instead, where one member of a shared subscription gets it
}

func (b *Broker) newNeighbours(p Peers) *Neighbours {
	n := &Neighbours{b: b, peers: p, counts: make(map[string]int), members: make(map[uint64]*Session), ready: make(chan struct{}), w: b.newWorker(), queue: make(chan struct{}, 1)}
	n.standings.init()
	return n
}

// Neighbours returns the broker's side of [Config].Peers; nil without.
func (b *Broker) Neighbours() *Neighbours { return b.neighbours }

// Serving is closed when this node knows what all others want, and clients may be let in.
func (n *Neighbours) Serving() <-chan struct{} { return n.ready }

// enters puts a subscription into the index, and has the other nodes know of it.
func (b *Broker) enters(filter string, s *Session, o topic.Options) (existed bool) {
	existed = b.index.Subscribe(filter, s, o)
	if n := b.neighbours; n != nil && !existed && travels(filter) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.counts[filter]++; n.counts[filter] == 1 {
			n.peers.Want(filter)
		}
	}
	return existed
}

// travels tells whether what matches a filter can come from other nodes: $SYS is each node's own.
func travels(filter string) bool {
	if _, path, shared := topic.SplitShare(filter); shared {
		filter = path
	}
	return !strings.HasPrefix(filter, "$")
}

// leaves takes a subscription out of the index.
func (b *Broker) leaves(filter string, s *Session) {
	existed := b.index.Unsubscribe(filter, s)
	if n := b.neighbours; n != nil && existed && travels(filter) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.counts[filter]--; n.counts[filter] == 0 {
			delete(n.counts, filter)
			n.peers.Unwant(filter)
		}
	}
}

// announced is what a SUBACK has to wait for: all other nodes know of all subscriptions until now.
func (n *Neighbours) announced() *promise {
	if n == nil {
		return nil
	}
	p := &promise{left: 1}
	n.peers.Confirm(func(err error) { p.done(errOf(nil, err)) })
	return p
}

// NodeError says why other nodes have not done what a client was to be told of.
type NodeError struct {
	Cause cause.ID
	err   error
}

func (e *NodeError) Error() string { return e.err.Error() }

func (e *NodeError) Unwrap() error { return e.err }

// errOf is what has become of something that other nodes were asked for.
func errOf(refused []string, err error) error {
	switch {
	case err != nil:
		return &NodeError{cause.ClusterFenced, err}
	case len(refused) > 0:
		return &NodeError{cause.ID(refused[0]), fmt.Errorf("another node has refused it: %s", refused[0])}
	}
	return nil
}

// forward sends the run to the peers that routing has found, and returns what its acknowledgement has to wait for. queued is what it has changed in the store.
func (w *worker) forward(queued *store.Batch) *promise {
	r, n := &w.run, w.b.neighbours
	if n == nil || r.origin != nil {
		return nil
	}
	if r.qos == 0 {
		r.eachName(func(i, j int) { w.forwardLoose(i, j) })
		w.far = w.far[:0]
		return nil
	}
	// Also without a peer that wants it: a node that may have been buried does not know who does.
	follows := w.missed.any(queued)
	plain := follows || len(w.far) > 0 || len(w.shares) == 0
	if len(w.far)+len(w.shares) == 0 && !follows && n.peers.IsLeased() {
		return nil
	}
	w.far = w.far[:0]
	p := &promise{left: 1}
	w.forwardShares(p)
	if plain {
		w.forwardPlain(p, w.missed.tellOf(queued))
	}
	p.done(nil)
	return p
}

// forwardPlain sends the run to whom plain subscriptions lead. here is as in [Peers.Publish].
func (w *worker) forwardPlain(p *promise, here func(tell func(elsewhere []string))) {
	r, n := &w.run, w.b.neighbours
	r.eachName(func(i, j int) {
		p.expect()
		run := &wire.Run{}
		w.fillRun(run, i, j)
		run.QoS, run.Props = r.qos, append([]byte(nil), run.Props...)
		size := 0
		for _, body := range run.Payloads {
			size += len(body)
		}
		all := make([]byte, 0, size)
		for k, body := range run.Payloads {
			all = append(all, body...)
			run.Payloads[k] = all[len(all)-len(body) : len(all) : len(all)]
		}
		u := n.standings.publishes(run.From, r.stand.upto)
		n.peers.Publish(run, r.stand.upto, here, func(refused []string, err error) {
			n.standings.settled(run.From, u)
			p.done(errOf(refused, err))
		})
	})
}

// forwardLoose sends packets i to j of the run, which have one name, at QoS 0.
func (w *worker) forwardLoose(i, j int) {
	if len(w.far) == 0 {
		return
	}
	w.fillRun(&w.loose.Run, i, j)
	w.frame = wire.Append(w.frame[:0], wire.Frame{Body: &w.loose})
	for _, peer := range w.far {
		if !w.b.neighbours.peers.Loose(peer, w.frame, j-i) {
			w.count.dropped += uint64(j - i)
			w.b.report(incident{cause: cause.ClusterLinkFull, count: j - i, limit: &w.b.nodeLine}, "A message of QoS 0 for '%s' does not reach another node.", w.run.topic(i))
		}
	}
	clear(w.loose.Payloads)
	if cap(w.frame) > muchOutput {
		w.frame = nil
	}
}

// fillRun makes packets i to j of the worker's run one of the nodes' own. What it refers to is the run's.
func (w *worker) fillRun(f *wire.Run, i, j int) {
	r := &w.run
	f.Plain, f.Groups, f.Retain, f.Expires = true, nil, r.retain, 0
	f.Topic = r.route.name
	if len(r.routes) > 0 {
		f.Topic = r.routes[i].name
	}
	if r.raw == nil {
		f.From, f.User, f.Door = r.messages[0].From, r.messages[0].User, r.messages[0].Door
	} else {
		f.From, f.User = r.s.id, r.s.rules.Load().Username
	}
	if r.expires {
		f.Expires = w.b.seconds() + int64(r.expiry)
	}
	w.props = packet.AppendForward(w.props[:0], r.props)
	f.Props, f.Payloads = w.props, f.Payloads[:0]
	for k := i; k < j; k++ {
		f.Payloads = append(f.Payloads, r.body(k))
	}
}

// eachName has f called for each stretch of packets that were published to one name.
func (r *run) eachName(f func(i, j int)) {
	if len(r.routes) == 0 {
		f(0, r.n)
		return
	}
	for i, j := 0, 0; i < r.n; i = j {
		for j = i + 1; j < r.n && r.routes[j].name == r.routes[i].name; j++ {
		}
		f(i, j)
	}
}

// Route implements what a host of package cluster does: a peer wants what matches a filter, or does not any more.
func (n *Neighbours) Route(peer uint64, c wire.Change) {
	s := n.members[peer]
	if s == nil {
		s = &Session{inside: &Local{peer: peer}}
		s.rules.Store(access.Broker)
		n.members[peer] = s
	}
	if topic.CheckFilter(c.Filter) != nil || !travels(c.Filter) {
		return // of a later version
	}
	if c.Gone {
		s.subs.remove(c.Filter)
		if n.b.index.Unsubscribe(c.Filter, s) {
			n.count(c.Filter, -1)
		}
		return
	}
	o := topic.Options{QoS: 2, RetainAsPublished: true}
	s.subs.set(c.Filter, o)
	if !n.b.index.Subscribe(c.Filter, s, o) {
		n.count(c.Filter, 1)
	}
}

// count counts peers' subscriptions.
func (n *Neighbours) count(filter string, by int64) {
	n.routes.Add(by)
	if _, _, shared := topic.SplitShare(filter); shared {
		n.shares.Add(by)
	}
}

// Unroute says that a peer wants nothing any more.
func (n *Neighbours) Unroute(peer uint64) {
	s := n.members[peer]
	if s == nil {
		return
	}
	delete(n.members, peer)
	for filter := range s.subs.all() {
		n.b.index.Unsubscribe(filter, s)
		n.count(filter, -1)
	}
}

// Look says where a run of this node's has to go. Its own sessions up to a place have it already.
func (n *Neighbours) Look(r *wire.Run, above uint64) (peers []uint64, here bool) {
	n.matches.Reset()
	n.b.index.Match([]byte(r.Topic), &n.matches)
	seen, stands := make(map[uint64]bool), n.standings.anyAbove(above)
	for _, m := range n.matches.Plain {
		switch l := m.Key.inside; {
		case l == nil:
			here = here || stands && m.Key.standsAbove(above)
		case l.peer != 0 && !seen[l.peer]:
			seen[l.peer] = true
			peers = append(peers, l.peer)
		}
	}
	return peers, here
}

// Deliver gives a run to the sessions that match and stand above a place and up to another one.
func (n *Neighbours) Deliver(_ uint64, r *wire.Run, since, upto uint64, done func(elsewhere []string, refused string)) {
	n.arrive(arrival{run: r, stand: stand{since, upto}, done: done})
}

// arrive has a run delivered.
func (n *Neighbours) arrive(a arrival) {
	n.queueMu.Lock()
	n.arrived = append(n.arrived, a)
	n.queueMu.Unlock()
	select {
	case n.queue <- struct{}{}:
	default:
	}
}

// run delivers what has come until the broker stops.
func (n *Neighbours) run() {
	defer n.w.forgetRoutes()
	for {
		select {
		case <-n.b.stopping:
			return
		case <-n.queue:
		}
		n.queueMu.Lock()
		all := n.arrived
		n.arrived = nil
		n.queueMu.Unlock()
		n.deliverAll(all)
	}
}

func (n *Neighbours) deliverAll(all []arrival) {
	n.delivering.Lock()
	defer n.delivering.Unlock()
	for i := range all {
		if taken := all[i].taken; taken != nil {
			n.shareHere(all[i].run, taken)
			continue
		}
		out := n.w.receiveRun(all[i].run, all[i].stand)
		n.w.missed.settle(out.queued, all[i].done)
	}
	n.w.Flush()
}

// told is somebody who waits for a batch.
type told func()

// Settled implements [store.Waiter].
func (t told) Settled() { t() }

// Loose delivers a run of QoS 0.
func (n *Neighbours) Loose(r *wire.Run) {
	n.delivering.Lock()
	defer n.delivering.Unlock()
	if len(r.Groups) > 0 {
		n.w.receiveShare(r)
	} else {
		n.w.receiveRun(r, everywhere)
	}
	n.w.Flush()
}

// receiveRun routes a run of another node's to sessions of this one.
func (w *worker) receiveRun(f *wire.Run, at stand) (out outcome) {
	defer w.run.drop()
	w.missed.begin()
	if w.takeIn(f, at) {
		out = w.route()
		w.shrinkBodies()
	}
	return out
}

func (w *worker) shrinkBodies() {
	if cap(w.bodies) > muchOutput {
		w.bodies = nil
	}
}

// takeIn makes a run of another node's the worker's, unless nobody may get it. Bodies lie one behind the other, and are no packets.
func (w *worker) takeIn(f *wire.Run, at stand) bool {
	r := &w.run
	if f.Expires > 0 && f.Expires <= w.b.seconds() || topic.CheckName([]byte(f.Topic)) != nil || len(f.Payloads) == 0 {
		return false
	}
	r.begin(at)
	w.name = append(w.name[:0], f.Topic...)
	r.origin, r.version, r.qos, r.retain, r.name, r.prefix = f, packet.V5, f.QoS, false, w.name, 0
	r.props, r.plain, r.expires, r.expiry = f.Props, true, f.Expires > 0, uint32(max(f.Expires-w.b.seconds(), 0))
	w.bodies = w.bodies[:0]
	for _, body := range f.Payloads {
		at := int32(len(w.bodies))
		w.bodies = append(w.bodies, body...)
		r.start, r.payload = append(r.start, at), append(r.payload, at)
	}
	r.start = append(r.start, int32(len(w.bodies)))
	r.raw, r.n, r.bytes = w.bodies, len(f.Payloads), len(w.bodies)
	return true
}

// Room lets publishers go on that were held back for [Peers.Full].
func (n *Neighbours) Room() { n.b.throttle.release() }

// Ready says that this node knows what all others want.
func (n *Neighbours) Ready(uint64) {
	if !n.opened {
		n.opened = true
		close(n.ready)
		return
	}
	if n.b.ownership != nil {
		n.b.owners.orders.put(n.b.Open) // behind the end of what this node had
		return
	}
	n.b.Open()
}

// Fenced says that the others have gone on without this node: its clients have to go, and none comes in before Ready.
func (n *Neighbours) Fenced(uint64) {
	b := n.b
	if n.opened {
		b.shut(true)
	}
	for peer := range n.members {
		n.Unroute(peer)
	}
	if b.ownership != nil {
		b.Fenced()
		return
	}
	b.wait.Go(func() {
		all := b.sessionsOf(nil)
		b.do(func(w *worker) {
			for _, s := range all {
				s.mu.Lock()
				c := s.conn
				s.mu.Unlock()
				if c != nil && !c.linked() {
					c.dismiss(w, refusal{code: packet.ServerShuttingDown, id: cause.ClusterFenced, text: "this node has been away from its cluster"}, "")
				}
			}
		})
	})
}
