package simulation

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"picket/cluster/machine"
	"picket/cluster/wire"
)

// node is a process with a machine, and as much of a broker as the machine needs: its sessions, their filters, the index of the peers' routes, and what is to be
// committed.
type node struct {
	w       *World
	id      int
	m       *machine.Machine
	alive   bool
	life    int
	frozen  bool
	backlog []func()
	noRedis bool  // it does not reach Redis
	called  int64 // when its last call reaches Redis
	rate    float64
	offset  int64

	sessions   map[string]*local
	counts     map[string]int             // of the sessions' filters
	index      map[string]map[uint64]bool // filter → peers
	work       []work
	committing bool
	group      uint64
	confirms   map[uint64]func()
	token      uint64
	published  map[uint64]func() // runs of this node's publishers: what is done when they are settled
	bodies     map[uint64]*wire.Run

	orders  []func(done func()) // what the machine has told of sessions, which is done in its order and takes its time
	ordered bool
	placed  uint64
	under   map[string]*underWay // by publisher
}

// underWay are runs of one publisher that are not settled.
type underWay struct {
	runs int
	had  uint64 // which sessions of this node have them
}

// local is a session on a node.
type local struct {
	fence, position uint64
	filters         []string
	moved           bool
}

// unplaced is the position of a session that is not placed yet.
const unplaced = ^uint64(0)

// work is committed in order: a group of changes, or only what is to be done when all before it is committed.
type work struct {
	ops  []op
	done func(refused []string)
}

// link joins two nodes.
type link struct {
	up    bool
	epoch int
	next  [2]int64 // when the last frame in each direction arrives
}

func (n *node) name() string { return fmt.Sprintf("n%d", n.id) }

// clock is the node's own, in milliseconds.
func (n *node) clock() int64 { return n.offset + int64(float64(n.w.now)*n.rate) }

func (n *node) start() {
	n.alive, n.life, n.frozen, n.backlog = true, n.life+1, false, nil
	n.reset()
	n.placed = 0
	n.m = machine.New(machine.Options{Name: n.name(), Times: times(n.w.cfg.Slice)}, n.clock())
	n.tick(n.life)
}

func times(slice int) machine.Times {
	t := machine.DefaultTimes()
	t.Slice, t.List = slice, slice
	return t
}

func (n *node) reset() {
	n.sessions, n.counts, n.index = map[string]*local{}, map[string]int{}, map[string]map[uint64]bool{}
	n.work, n.committing, n.group = nil, false, 0
	n.confirms, n.published, n.bodies = map[uint64]func(){}, map[uint64]func(){}, map[uint64]*wire.Run{}
	n.orders, n.ordered, n.under = nil, false, map[string]*underWay{}
}

func (n *node) kill() {
	n.w.note("%s is killed", n.name())
	n.alive, n.m = false, nil
	n.backlog = nil
	for _, o := range n.w.nodes {
		if o != n {
			n.w.unlink(n, o)
		}
	}
}

// do lets something happen to a node now, or when it is not frozen any more.
func (n *node) do(f func()) {
	switch {
	case !n.alive:
	case n.frozen:
		n.backlog = append(n.backlog, f)
	default:
		n.m.SetClock(n.clock())
		f()
		n.carryOut()
	}
}

func (n *node) thaw() {
	n.frozen = false
	todo := n.backlog
	n.backlog = nil
	for _, f := range todo {
		n.do(f)
	}
}

func (n *node) tick(life int) {
	if n.life != life {
		return
	}
	n.do(n.m.Tick)
	n.w.after(max(1, int64(50/n.rate)), func() {
		if n.life == life && n.alive {
			if n.frozen {
				n.w.after(100, func() { n.tick(life) })
				return
			}
			n.tick(life)
		}
	})
}

func (n *node) carryOut() {
	for {
		outs := n.m.Take()
		if len(outs) == 0 {
			return
		}
		for _, o := range outs {
			n.perform(o)
		}
	}
}

func (n *node) perform(o machine.Output) {
	switch o := o.(type) {
	case machine.Call:
		life := n.life
		n.w.redis.call(n, o.Command, func(value any, err error) {
			if n.life == life {
				n.m.Answer(o.ID, value, err)
			}
		})
	case machine.Dial:
		n.dial(o.Peer)
	case machine.HangUp:
		if p := n.w.node(o.Peer); p != nil {
			n.w.unlink(n, p)
		}
	case machine.Send:
		n.send(o)
	case machine.Route:
		if n.index[o.Change.Filter] == nil {
			n.index[o.Change.Filter] = map[uint64]bool{}
		}
		if o.Change.Gone {
			delete(n.index[o.Change.Filter], o.Peer)
		} else {
			n.index[o.Change.Filter][o.Peer] = true
		}
	case machine.Unroute:
		for _, peers := range n.index {
			delete(peers, o.Peer)
		}
	default:
		n.performMore(o)
	}
}

func (n *node) performMore(o machine.Output) {
	switch o := o.(type) {
	case machine.Look:
		if body := n.bodies[o.ID]; body != nil {
			n.m.Targets(o.ID, slices.Sorted(maps.Keys(n.index[body.Topic])), n.wants(body.Topic, o.Had))
		}
	case machine.Deliver:
		n.deliver(o)
	case machine.Done:
		if f := n.published[o.ID]; f != nil {
			delete(n.published, o.ID)
			delete(n.bodies, o.ID)
			f()
		}
	case machine.Own:
		n.w.check.owned(n, o)
		n.order(func(done func()) { n.own(o, done) })
	case machine.Placed:
		n.placed = o.Position
		if s := n.sessions[o.Client]; s != nil && s.position == unplaced {
			s.position = o.Position
		}
	case machine.Refused:
	case machine.Stop:
		n.order(func(done func()) {
			if s := n.sessions[o.Client]; s != nil {
				s.moved = true
			}
			n.commit(work{done: func([]string) { n.m.Stopped(o.Client) }})
			done()
		})
	case machine.Forget:
		n.order(func(done func()) {
			if s := n.sessions[o.Client]; s != nil && s.moved {
				delete(n.sessions, o.Client)
				n.unwant(s.filters)
			}
			done()
		})
	case machine.Confirmed:
		if f := n.confirms[o.Token]; f != nil {
			delete(n.confirms, o.Token)
			f()
		}
	case machine.Ready:
		n.w.note("%s serves as %d", n.name(), n.m.Incarnation())
	case machine.Fenced:
		n.w.note("%s finds that %d is buried", n.name(), o.Incarnation)
		n.reset()
	}
}

// order has something done behind all that has been ordered before.
func (n *node) order(f func(done func())) {
	n.orders = append(n.orders, f)
	n.obey()
}

func (n *node) obey() {
	for !n.ordered && len(n.orders) > 0 {
		f := n.orders[0]
		n.orders, n.ordered = n.orders[1:], true
		me, life := n.m.Incarnation(), n.life
		f(func() {
			if n.life == life && n.m.Incarnation() == me {
				n.ordered = false
				n.obey()
			}
		})
	}
}

// own installs a session when it has been read, which takes some time.
func (n *node) own(o machine.Own, done func()) {
	if s := n.sessions[o.Client]; s != nil {
		s.moved = true
	}
	me, life := n.m.Incarnation(), n.life
	n.w.after(n.w.delay(), func() {
		n.do(func() {
			if n.life != life || n.m.Incarnation() != me {
				return
			}
			if x := n.w.redis.master.sessions[o.Client]; x == nil || x.fence > o.Fence { // it has been taken while it was read
				n.m.Lost(o.Client, o.Fence)
				done()
				return
			}
			was := n.sessions[o.Client]
			s := &local{fence: o.Fence, position: unplaced, filters: o.State.([]string)}
			n.sessions[o.Client] = s
			for _, f := range s.filters {
				n.want(f)
			}
			if was != nil {
				n.unwant(was.filters)
			}
			n.w.after(n.w.delay(), func() {
				n.do(func() {
					if n.life == life && n.m.Incarnation() == me {
						n.m.Installed(o.Client, o.Fence)
					}
				})
			})
			done()
		})
	})
}

// wants tells whether sessions of this node want what is published to a topic that are placed above a position, or not yet.
func (n *node) wants(topic string, above uint64) bool {
	for _, s := range n.sessions {
		if s.position > above && slices.Contains(s.filters, topic) {
			return true
		}
	}
	return false
}

func (n *node) want(filter string) {
	if n.counts[filter]++; n.counts[filter] == 1 {
		n.m.Want(wire.Change{Filter: filter})
	}
}

func (n *node) unwant(filters []string) {
	for _, f := range filters {
		if n.counts[f]--; n.counts[f] == 0 {
			n.m.Unwant(f)
		}
	}
}

// deliver has a run written into the queues of the sessions that match.
func (n *node) deliver(o machine.Deliver) {
	number := 0
	fmt.Sscan(string(o.Run.Payloads[0]), &number) //nolint:errcheck // the publisher wrote a number
	n.enqueue(message{o.Run.From, o.Run.Topic, number}, o.Since, o.Upto, func(elsewhere []string) { n.m.Delivered(o.From, o.Run.ID, elsewhere) })
}

// enqueue writes a message into the queues of sessions that are placed above a position, up to another one. done is told which of them are another node's by now.
func (n *node) enqueue(msg message, since, upto uint64, done func(elsewhere []string)) {
	var elsewhere []string
	var ops []op
	for _, client := range slices.Sorted(maps.Keys(n.sessions)) {
		s := n.sessions[client]
		switch {
		case s.position <= since || !slices.Contains(s.filters, msg.topic):
		case s.moved || s.position > upto: // it is another node's, or has just come
			elsewhere = append(elsewhere, client)
		default:
			ops = append(ops, op{client: client, fence: s.fence, message: msg})
		}
	}
	n.commit(work{ops, func(refused []string) { done(append(elsewhere, refused...)) }})
}

// commit does work in order.
func (n *node) commit(x work) {
	n.work = append(n.work, x)
	n.advance()
}

func (n *node) advance() {
	for !n.committing && len(n.work) > 0 {
		x := n.work[0]
		if len(x.ops) > 0 {
			n.committing = true
			n.group++
			n.attempt(x, n.group, n.m.Incarnation(), n.life)
			return
		}
		n.work = n.work[1:]
		x.done(nil)
	}
}

func (n *node) attempt(x work, group, me uint64, life int) {
	c := commit{group: group, ops: x.ops}
	c.Me = me
	n.w.redis.call(n, c, func(value any, err error) {
		switch {
		case n.life != life || n.m.Incarnation() != me:
		case errors.Is(err, machine.ErrFenced): // the machine finds out, too
		case err != nil:
			n.w.after(50, func() {
				n.do(func() {
					if n.life == life && n.m.Incarnation() == me {
						n.attempt(x, group, me, life)
					}
				})
			})
		default:
			refused := value.([]string)
			for _, client := range refused {
				for _, o := range x.ops {
					if s := n.sessions[client]; o.client == client && s != nil && s.fence == o.fence {
						s.moved = true
						n.m.Lost(client, o.fence)
					}
				}
			}
			n.committing = false
			n.work = n.work[1:]
			x.done(refused)
			n.advance()
		}
	})
}

// subscribe has a session subscribe, and done is told when it may be confirmed.
func (n *node) subscribe(client, filter string, done func()) {
	s := n.sessions[client]
	if s == nil || s.moved || s.position == unplaced || slices.Contains(s.filters, filter) {
		return
	}
	s.filters = append(s.filters, filter)
	n.want(filter)
	n.commit(work{[]op{{client: client, fence: s.fence, filter: filter}}, func(refused []string) {
		if len(refused) > 0 || n.sessions[client] != s || s.moved {
			return
		}
		n.token++
		n.confirms[n.token] = func() {
			if n.sessions[client] == s && !s.moved {
				done()
			}
		}
		n.m.Confirm(n.token)
	}})
}

// publish takes a message of a publisher. The sessions of this node get it at once, but for those that have come since the first of what is under way of the same publisher.
func (n *node) publish(from, topic string, number int, done func()) {
	u := n.under[from]
	if u == nil {
		u = &underWay{had: n.placed}
		n.under[from] = u
	}
	u.runs++
	body := &wire.Run{QoS: 1, Plain: true, Topic: topic, From: from, Payloads: [][]byte{fmt.Append(nil, number)}}
	id, me := n.m.Publish(body, u.had, true), n.m.Incarnation()
	n.bodies[id] = body
	n.published[id] = func() {
		if u.runs--; u.runs == 0 && n.under[from] == u {
			delete(n.under, from)
		}
		done()
	}
	n.enqueue(message{from, topic, number}, 0, u.had, func(elsewhere []string) {
		if n.m.Incarnation() == me {
			n.m.Had(id, elsewhere)
		}
	})
}

// node finds one by its incarnation.
func (w *World) node(incarnation uint64) *node {
	for _, n := range w.nodes {
		if n.alive && n.m.Incarnation() == incarnation {
			return n
		}
	}
	return nil
}

func (w *World) link(a, b *node) (l *link, from int) {
	key := [2]int{min(a.id, b.id), max(a.id, b.id)}
	if w.links[key] == nil {
		w.links[key] = &link{}
	}
	if a.id > b.id {
		from = 1
	}
	return w.links[key], from
}

// unlink breaks a link. What is under way is lost; both sides hear of it, the other one later.
func (w *World) unlink(a, b *node) {
	l, _ := w.link(a, b)
	if !l.up {
		return
	}
	l.up = false
	l.epoch++
	epoch := l.epoch
	for _, x := range [][2]*node{{a, b}, {b, a}} {
		if x[0].alive && x[1].alive {
			n, other := x[0], x[1].m.Incarnation()
			w.after(w.delay(), func() {
				n.do(func() {
					if l.epoch == epoch { // otherwise there is another link by now
						n.m.LinkDown(other)
					}
				})
			})
		} else if x[0].alive {
			n, id := x[0], x[1].id
			w.after(w.delay(), func() { n.do(func() { n.linkDownTo(id) }) })
		}
	}
}

// linkDownTo tells of all links to a process that has ended.
func (n *node) linkDownTo(id int) {
	for _, r := range n.w.redis.master.allRows() {
		if r.Name == n.w.nodes[id].name() {
			n.m.LinkDown(r.Incarnation)
		}
	}
}

// dial makes a link if frames go in both directions.
func (n *node) dial(peer uint64) {
	p := n.w.node(peer)
	if p == nil || p.frozen || n.w.cut[[2]int{n.id, p.id}] || n.w.cut[[2]int{p.id, n.id}] {
		return
	}
	l, _ := n.w.link(n, p)
	if l.up {
		n.w.unlink(n, p)
		return
	}
	a, b := n.m.Hello(peer), p.m.Hello(n.m.Incarnation())
	if a == nil || b == nil {
		return
	}
	l.up = true
	l.epoch++
	l.next = [2]int64{n.w.now, n.w.now}
	epoch := l.epoch
	for _, x := range []struct {
		n     *node
		hello *wire.Hello
	}{{n, b}, {p, a}} {
		n.w.after(0, func() {
			x.n.do(func() {
				if l.epoch == epoch {
					x.n.m.LinkUp(x.hello.Incarnation, x.hello)
				}
			})
		})
	}
}

func (n *node) send(o machine.Send) {
	w := n.w
	p := w.node(o.Peer)
	if p == nil || w.cut[[2]int{n.id, p.id}] {
		return
	}
	l, from := w.link(n, p)
	f, err := copyOf(o.Frame)
	if err != nil {
		w.check.fail("%s sends what cannot be read: %v", n.name(), err)
	}
	times := 1
	if w.rng.Float64() < w.cfg.Lose {
		times = 0
	} else if w.rng.Float64() < w.cfg.Double {
		times = 2
	}
	me, epoch := n.m.Incarnation(), l.epoch
	for range times {
		l.next[from] = max(l.next[from], w.now+w.delay())
		w.after(l.next[from]-w.now, func() {
			if l.up && l.epoch == epoch {
				p.do(func() {
					if p.m.Incarnation() == o.Peer {
						p.m.Frame(me, f)
					}
				})
			}
		})
	}
}
