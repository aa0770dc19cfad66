// Package cluster is a node of a cluster: it joins in Redis, makes links to the other nodes, tells them which messages are wanted here, sends them runs and takes theirs. What
// is to be done is decided by a cluster/machine; this package gives it sockets, a clock and Redis, and a [Host] to deliver to. docs/cluster.md describes what people see of it.
//
// # Goroutines
//
// One goroutine alone touches the machine. Whatever happens is put into its inbox as a function: frames, answers, what the host asks for. Each turn it tells the clock, takes all that
// is there, and carries out what the machine wants; what goes to one peer in a turn is written at once. Beside it there are two goroutines for each link, one that calls Redis,
// and one for each socket whose other end is not known yet. Runs of QoS 0 pass the machine by: they are written to the link by whoever publishes them, and delivered by the goroutine
// that reads it.
//
// # Links
//
// There is one link for each pair of nodes: TLS 1.3, with a key on each side that its node makes when it starts. The SHA-256 of its certificate stands in the node's row in Redis. Who
// shows another one is refused before a byte is read from it: so a node is whoever may write to Redis, and nothing has to be handed out.
package cluster

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"picket/cluster/functions"
	"picket/cluster/machine"
	"picket/cluster/wire"
	"picket/logging"
	"picket/store/redis"
)

// Options are what a node is made from.
type Options struct {
	// Name is the node's, up to 64 bytes. Who joins under a name that there is takes the place of the one before.
	Name string
	// Address is where peers reach the node: HOST:PORT.
	Address string
	// Listen is where the node listens for them; empty: at Address.
	Listen string
	Redis  redis.Address
	// Acknowledge is how many servers must have something before it counts. The zero value is the master.
	Acknowledge redis.Acknowledge
	Log         *logging.Logger
	// Times are the machine's; the zero value stands for machine.DefaultTimes.
	Times machine.Times
}

// mostUnsettled is how many bytes of runs may wait for other nodes before publishers are held back.
const mostUnsettled = 32 << 20

// Node is this node. Its methods may be called by any goroutine, from [New] on; before [Node.Start] they find a node that has not joined.
type Node struct {
	o       Options
	log     *logging.Logger
	host    Host
	m       *machine.Machine
	clock   clock
	checked bool      // by Check
	began   time.Time // when clock was at 0
	key     tls.Certificate
	known   known
	door    *door
	calls   caller

	inbox    inbox
	links    links
	leased   atomic.Int64  // until when acknowledgements may be given
	joined   atomic.Uint64 // this incarnation; 0: none
	running  atomic.Int64  // runs that are not settled
	unsettle atomic.Int64  // their bytes
	full     atomic.Bool   // … are too many
	dropped  atomic.Uint64 // messages of QoS 0 for which there was no link, or no room in it
	shown    atomic.Pointer[shown]

	// Of the actor alone.
	dirty    map[*link]bool
	wanted   map[string]bool
	confirms map[uint64]func(error)
	token    uint64
	runs     map[uint64]*published
	claims   map[string][]func(error)
	names    map[uint64]machine.Row
	dialing  map[uint64]bool
	troubles map[uint64]trouble // why there is no link to a peer, as it was said last
	fencedAt int64              // when this node was buried last, in milliseconds of its clock; 0: never
	shownAt  int64

	context context.Context
	end     context.CancelFunc
	wait    sync.WaitGroup
}

// published is a run of this node that is not settled.
type published struct {
	run   *wire.Run
	first uint64 // of a shared subscription: the peer whose turn it is; 0: none, or it has been asked
	size  int64
	done  func(refused []string, err error)
}

// ErrOver says that this node's incarnation has ended, or has not begun: nothing is known of what has become of what was asked for.
var ErrOver = fmt.Errorf("this node is not a member of the cluster at the moment")

// New makes a node, with its key. Nothing runs yet.
func New(o Options) (*Node, error) {
	if o.Times == (machine.Times{}) {
		o.Times = machine.DefaultTimes()
	}
	if o.Name == "" || len(o.Name) > wire.MaxName {
		return nil, fmt.Errorf("the name of a node has 1 to %d bytes, and %q has %d", wire.MaxName, o.Name, len(o.Name))
	}
	o.Listen = cmp.Or(o.Listen, o.Address)
	key, fingerprint, err := makeKey(o.Name)
	if err != nil {
		return nil, err
	}
	n := &Node{o: o, log: o.Log, key: key, clock: newClock(), dirty: make(map[*link]bool), wanted: make(map[string]bool), confirms: make(map[uint64]func(error)),
		runs: make(map[uint64]*published), claims: make(map[string][]func(error)), names: make(map[uint64]machine.Row), dialing: make(map[uint64]bool), troubles: make(map[uint64]trouble)}
	n.context, n.end = context.WithCancel(context.Background())
	n.began = time.Now().Round(0).Add(-time.Duration(n.clock.now()) * time.Millisecond)
	n.inbox.init()
	n.known.init()
	n.m = machine.New(machine.Options{Name: o.Name, Address: o.Address, Fingerprint: fingerprint, Times: o.Times}, n.clock.now())
	n.calls = caller{n: n, keys: functions.Keys{Prefix: o.Redis.Prefix, Name: redis.NameOf},
		redis: redis.NewCaller(o.Redis, redis.Options{Log: o.Log, Acknowledge: o.Acknowledge}, functions.Library), wake: make(chan struct{}, 1)}
	return n, nil
}

// Check looks whether Redis has what is needed, and whether nodes may use what lies there.
func (n *Node) Check(ctx context.Context) error {
	n.checked = true
	return n.calls.redis.Check(ctx)
}

// Start looks whether Redis has what is needed, unless [Node.Check] has done so, opens the socket for links, and has the node join. It returns when that is under way.
func (n *Node) Start(ctx context.Context, h Host) error {
	n.host = h
	if !n.checked {
		if err := n.Check(ctx); err != nil {
			return err
		}
	}
	socket, err := (&net.ListenConfig{}).Listen(ctx, "tcp", n.o.Listen)
	if err != nil {
		return fmt.Errorf("the socket for links to other nodes (cluster_address %s): %w", n.o.Listen, err)
	}
	n.door = &door{n: n, socket: socket, from: make(map[string]int)}
	for _, loop := range []func(){n.act, n.calls.run, n.door.run} {
		n.wait.Go(loop)
	}
	return nil
}

// farewell is how long Close waits for what has been published last.
const farewell = 2 * time.Second

// Close ends the node, once what has been published is settled, or some time is over. Others bury it after some seconds.
func (n *Node) Close() {
	for until := time.Now().Add(farewell); n.running.Load() > 0 && time.Now().Before(until) && n.context.Err() == nil; {
		time.Sleep(10 * time.Millisecond)
	}
	n.end()
	if n.door != nil {
		n.door.socket.Close()
	}
	n.links.closeAll()
	n.wait.Wait()
	n.calls.redis.Close()
}

// inbox is what the actor has to do.
type inbox struct {
	wake chan struct{}
	mu   sync.Mutex
	todo []func()
}

func (i *inbox) init() { i.wake = make(chan struct{}, 1) }

func (i *inbox) put(f func()) {
	i.mu.Lock()
	i.todo = append(i.todo, f)
	i.mu.Unlock()
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

func (i *inbox) take() []func() {
	i.mu.Lock()
	defer i.mu.Unlock()
	todo := i.todo
	i.todo = nil
	return todo
}

// act is the actor: the goroutine that touches the machine.
func (n *Node) act() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer n.forgetAll()
	for {
		select {
		case <-n.context.Done():
			return
		case <-n.inbox.wake:
		case <-timer.C:
		}
		n.m.SetClock(n.clock.now())
		for _, f := range n.inbox.take() {
			f()
		}
		if n.clock.now() >= n.m.Due() {
			n.m.SetClock(n.clock.now())
			n.links.each(func(l *link) { l.alive(n.m) })
			n.m.Tick()
		}
		n.carryOut()
		n.show()
		timer.Reset(time.Duration(max(1, n.m.Due()-n.clock.now())) * time.Millisecond)
	}
}

// forgetAll fails all that waits for this incarnation.
func (n *Node) forgetAll() {
	confirms, runs, claims := n.confirms, n.runs, n.claims
	n.confirms, n.runs, n.claims = make(map[uint64]func(error)), make(map[uint64]*published), make(map[string][]func(error))
	for _, done := range confirms {
		done(ErrOver)
	}
	for _, p := range runs {
		n.settled(p, nil, ErrOver)
	}
	for _, all := range claims {
		for _, done := range all {
			done(ErrOver)
		}
	}
	clear(n.names)
	clear(n.troubles)
	n.links.forgetAll()
}

// settled tells a publisher what has become of its run.
func (n *Node) settled(p *published, refused []string, err error) {
	n.running.Add(-1)
	if n.unsettle.Add(-p.size) <= mostUnsettled/2 && n.full.CompareAndSwap(true, false) {
		n.host.Room()
	}
	p.done(refused, err)
}

// Want announces that what matches a filter is wanted here, and Unwant that it is not any more. Calls for one filter have to be made one after the other.
func (n *Node) Want(filter string) {
	n.inbox.put(func() {
		n.wanted[filter] = true
		n.m.Want(wire.Change{Filter: filter})
	})
}

// Unwant takes Want back.
func (n *Node) Unwant(filter string) {
	n.inbox.put(func() {
		delete(n.wanted, filter)
		n.m.Unwant(filter)
	})
}

// Confirm has done called when all nodes know what has been announced before. An error says that this cannot be said any more.
func (n *Node) Confirm(done func(error)) {
	n.inbox.put(func() {
		if n.m.Incarnation() == 0 {
			done(ErrOver)
			return
		}
		n.token++
		n.confirms[n.token] = done
		n.m.Confirm(n.token)
	})
}

// Publish sends a run of QoS 1 or 2 to the peers that want it. Sessions of this node up to the position had ([Host.Placed]) have it; with here, they are being given it, and tell is to be called when
// that is stored, with those of them that have not got it, as in [Host.Deliver]. done is called when all have settled it, with the causes for which some peers have refused it, or with an error when
// nothing is known of that. The run belongs to the node from then on; its From and Topic order it behind others.
func (n *Node) Publish(r *wire.Run, had uint64, here func(tell func(elsewhere []string)), done func(refused []string, err error)) {
	n.launch(&published{run: r, done: done}, had, here)
}

// Offer sends a run of QoS 1 or 2 to a member of a shared subscription at a peer, first if it has one, or at this node. done is called as by Publish.
func (n *Node) Offer(r *wire.Run, first uint64, done func(refused []string, err error)) {
	n.launch(&published{run: r, first: first, done: done}, 0, nil)
}

func (n *Node) launch(p *published, had uint64, here func(tell func(elsewhere []string))) {
	r, size := p.run, int64(0)
	for _, p := range r.Payloads {
		size += int64(len(p))
	}
	n.running.Add(1)
	if n.unsettle.Add(size) > mostUnsettled {
		n.full.Store(true)
	}
	p.size = size
	n.inbox.put(func() {
		me := n.m.Incarnation()
		if me == 0 {
			n.settled(p, nil, ErrOver)
			return
		}
		id := n.m.Publish(r, had, here != nil)
		n.runs[id] = p
		if here == nil {
			return
		}
		here(func(elsewhere []string) {
			n.inbox.put(func() {
				if n.m.Incarnation() == me {
					n.m.Had(id, elsewhere)
				}
			})
		})
	})
}

// Loose sends a run of QoS 0, as [wire.Append] makes it of a [wire.Loose] with so many messages, to a peer, if there is a link and room in it.
func (n *Node) Loose(peer uint64, frame []byte, messages int) bool {
	l, t := n.links.to(peer)
	if l != nil && l.add(frame, mostLoose) {
		t.out.Add(uint64(messages))
		l.flush()
		return true
	}
	t.dropped.Add(uint64(messages))
	n.dropped.Add(uint64(messages))
	return false
}

// Full tells whether so much waits for other nodes that publishers have to be held back.
func (n *Node) Full() bool { return n.full.Load() }

// IsLeased tells whether this node can be sure that it has not been buried: otherwise nothing may be acknowledged, also where no other node has to do with it, as there may be
// subscribers by now that it does not know.
func (n *Node) IsLeased() bool { return n.clock.now() < n.leased.Load() }

// Claim makes this node the owner of a session. done is called when [Host.Own] has been answered, or with why it cannot be had.
func (n *Node) Claim(client string, done func(error)) {
	n.inbox.put(func() {
		if n.m.Incarnation() == 0 {
			done(ErrOver)
			return
		}
		n.claims[client] = append(n.claims[client], done)
		n.m.Claim(client)
	})
}

// Drop says that a session of this node is over, and that nothing of it is stored: nobody need know who had it.
func (n *Node) Drop(client string, fence uint64) {
	n.inbox.put(func() { n.m.Drop(client, fence) })
}

// Lost says that something was refused for a session's fence: another node has it.
func (n *Node) Lost(client string, fence uint64) {
	n.inbox.put(func() { n.m.Lost(client, fence) })
}
