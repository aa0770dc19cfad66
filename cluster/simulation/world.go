// Package simulation runs nodes of a cluster (cluster/machine) in a world without real time: their links lose, delay and double frames and are cut, one way too; Redis is
// away, fails over and loses what no replica has; nodes are killed and frozen, and their clocks run at different speeds. A seed decides everything, so that a run that
// went wrong can be repeated exactly. What must always hold is checked with every step.
package simulation

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"picket/cluster/machine"
)

// Config says what a world is made of. Times are in milliseconds.
type Config struct {
	Seed                        uint64
	Nodes, Sessions, Publishers int
	Delay                       int64   // greatest of a frame, and of a call to Redis
	Lag                         int64   // greatest of the replica
	Lose, Double                float64 // chances of a frame
	Slice                       int
	Stay                        bool // publishers stay with their nodes
	Rest                        bool // so do sessions
}

// World is one simulated cluster.
type World struct {
	cfg        Config
	rng        *rand.Rand
	now        int64 // milliseconds
	seq        uint64
	queue      events
	redis      *redis
	nodes      []*node
	links      map[[2]int]*link // by the numbers of two nodes, the smaller first
	cut        map[[2]int]bool  // frames from one node to another are lost
	publishers []*publisher
	clients    []*client
	check      checker
	Log        func(line string) // told every event; may be nil
}

type event struct {
	at  int64
	seq uint64
	do  func()
}

// events is a binary heap by time, then by order of scheduling.
type events []event

func (e events) before(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}

func (e *events) push(x event) {
	*e = append(*e, x)
	h := *e
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.before(i, up) {
			return
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (e *events) pop() event {
	h := *e
	top := h[0]
	n := len(h) - 1
	h[0], h[n] = h[n], event{}
	h = h[:n]
	*e = h
	for i := 0; ; {
		c := 2*i + 1
		if c >= n {
			return top
		}
		if c+1 < n && h.before(c+1, c) {
			c++
		}
		if !h.before(c, i) {
			return top
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}

// New makes a world and starts its nodes.
func New(cfg Config) *World {
	w := &World{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0x9e3779b97f4a7c15)), now: 1000, links: map[[2]int]*link{}, cut: map[[2]int]bool{}}
	w.check.init(w)
	w.redis = &redis{w: w, up: true, master: NewState(), replica: NewState()}
	for i := range cfg.Nodes {
		n := &node{w: w, id: i, rate: 0.87 + 0.26*w.rng.Float64(), offset: 1 + w.rng.Int64N(1e6)}
		w.nodes = append(w.nodes, n)
		n.start()
	}
	for i := range cfg.Sessions {
		c := &client{w: w, id: fmt.Sprintf("c%d", i)}
		w.clients = append(w.clients, c)
		w.after(w.rng.Int64N(2000), c.tick)
	}
	for i := range cfg.Publishers {
		p := &publisher{w: w, id: fmt.Sprintf("p%d", i), sent: map[string]int{}}
		w.publishers = append(w.publishers, p)
		w.after(w.rng.Int64N(2000), p.tick)
	}
	return w
}

func (w *World) after(ms int64, do func()) {
	w.seq++
	w.queue.push(event{w.now + ms, w.seq, do})
}

// Run lets some milliseconds pass.
func (w *World) Run(ms int64) error {
	for end := w.now + ms; ; {
		if len(w.queue) == 0 || w.queue[0].at > end {
			w.now = end
			return w.check.err
		}
		e := w.queue.pop()
		w.now = e.at
		e.do()
		if w.check.err != nil {
			return w.check.err
		}
	}
}

func (w *World) note(format string, args ...any) {
	if w.Log != nil {
		w.Log(fmt.Sprintf("%4d.%03d ", w.now/1000, w.now%1000) + fmt.Sprintf(format, args...))
	}
}

// delay is how long something is under way.
func (w *World) delay() int64 { return w.rng.Int64N(w.cfg.Delay + 1) }

// redis is the master with one replica. Every answer waits for the replica.
type redis struct {
	w               *World
	up              bool
	master, replica *State
	pending         []pending // applied by the master, not by the replica
	epoch           int
}

type pending struct {
	command machine.Command
	done    func()
	lost    func()
}

var errAway = errors.New("there is no answer")

// call calls a function for a node. done is told once, on the node. What has no answer may be carried out all the same, now or later.
func (r *redis) call(n *node, c machine.Command, done func(value any, err error)) {
	w := r.w
	told := false
	tell := func(value any, err error) {
		if !told {
			told = true
			n.do(func() { done(value, err) })
		}
	}
	w.after(1000, func() { tell(nil, errAway) })
	if n.noRedis {
		if w.rng.IntN(3) == 0 { // only the answers are lost; or it is carried out much later
			w.after(w.rng.Int64N(5000), func() { r.execute(c, func(any, error) {}, func() {}) })
		}
		return
	}
	at := max(n.called, w.now+w.delay())
	n.called = at
	w.after(at-w.now, func() {
		if !r.up {
			tell(nil, errAway)
			return
		}
		r.execute(c, func(value any, err error) {
			if !n.noRedis {
				w.after(w.delay(), func() { tell(value, err) })
			}
		}, func() { tell(nil, errAway) })
	})
}

func (r *redis) execute(c machine.Command, done func(value any, err error), lost func()) {
	if !r.up {
		lost()
		return
	}
	value, err := r.master.Apply(c)
	r.pending = append(r.pending, pending{c, func() { done(value, err) }, lost})
	epoch, w := r.epoch, r.w
	w.after(w.rng.Int64N(w.cfg.Lag+1), func() {
		if epoch == r.epoch {
			r.replicate()
		}
	})
}

// replicate has the replica apply one more.
func (r *redis) replicate() {
	if len(r.pending) == 0 {
		return
	}
	p := r.pending[0]
	r.pending = r.pending[1:]
	r.replica.Apply(p.command) //nolint:errcheck // the master's answer is given
	p.done()
}

// failOver makes the replica the master. What it lacks is gone.
func (r *redis) failOver() {
	r.w.note("Redis fails over, %d calls are lost", len(r.pending))
	lost := r.pending
	r.pending = nil
	r.epoch++
	r.master = r.replica
	r.replica = r.master.clone()
	for _, p := range lost {
		p.lost()
	}
}
