package simulation

import (
	"fmt"
	"math/rand/v2"
)

// Result is what came of one seed.
type Result struct {
	Seed                              uint64
	Faults                            int
	Moves, Subscriptions, Acks, Again int
	Elapsed                           int64 // simulated milliseconds
	Err                               error // the first invariant that did not hold
}

// Chaos lets a seed decide a cluster and what happens to it, and checks all invariants on the way. In the end everything is healed and all has to settle. log, which may
// be nil, is told every event.
func Chaos(seed uint64, log func(string)) Result {
	rng := rand.New(rand.NewPCG(seed, 42))
	cfg := Config{Seed: seed, Nodes: 2 + rng.IntN(3), Sessions: 1 + rng.IntN(6), Publishers: 1 + rng.IntN(3), Delay: []int64{0, 2, 10, 60}[rng.IntN(4)], Lag: []int64{0, 5, 80}[rng.IntN(3)], Slice: 1 + rng.IntN(3)}
	if rng.IntN(2) == 0 {
		cfg.Lose, cfg.Double = 0.02, 0.05
	}
	w := New(cfg)
	w.Log = log
	faults := 0
	res := func(err error) Result {
		c := &w.check
		return Result{Seed: seed, Faults: faults, Moves: c.moves, Subscriptions: c.subs, Acks: c.acks, Again: c.again, Elapsed: w.now, Err: err}
	}
	if err := w.Run(3000); err != nil {
		return res(err)
	}
	for range 40 + rng.IntN(60) {
		w.disturb(rng)
		faults++
		if err := w.Run(20 + rng.Int64N(900)); err != nil {
			return res(err)
		}
		w.check.routes()
	}
	w.heal()
	const limit = 60000
	for at := 0; ; at += 500 {
		if err := w.Run(500); err != nil {
			return res(err)
		}
		why := w.Settled()
		if why == "" {
			return res(nil)
		}
		if at > limit {
			return res(fmt.Errorf("%d s after all was healed: %s", limit/1000, why))
		}
	}
}

// heal ends all faults.
func (w *World) heal() {
	w.note("all is healed")
	w.check.healed = true
	clear(w.cut)
	w.cfg.Lose, w.cfg.Double = 0, 0
	w.redis.up = true
	for _, n := range w.nodes {
		n.noRedis = false
		if !n.alive {
			n.start()
		} else if n.frozen {
			n.thaw()
		}
	}
}

// disturb does something that the cluster has to stand.
func (w *World) disturb(rng *rand.Rand) {
	n := w.nodes[rng.IntN(len(w.nodes))]
	o := w.nodes[(n.id+1+rng.IntN(len(w.nodes)-1))%len(w.nodes)]
	long := 100 + rng.Int64N(2000)
	if rng.IntN(4) == 0 {
		long += rng.Int64N(10000)
	}
	switch rng.IntN(12) {
	case 0, 1:
		w.killFor(n, long)
	case 2, 3:
		w.freezeFor(n, long)
	case 4:
		w.note("%s does not reach Redis for %d ms", n.name(), long)
		n.noRedis = true
		w.after(long, func() { n.noRedis = false })
	case 5, 6, 7:
		both := rng.IntN(2) == 0
		w.note("%s is cut from %s for %d ms, both ways: %v", n.name(), o.name(), long, both)
		w.cut[[2]int{n.id, o.id}] = true
		w.cut[[2]int{o.id, n.id}] = w.cut[[2]int{o.id, n.id}] || both
		w.after(long, func() {
			delete(w.cut, [2]int{n.id, o.id})
			delete(w.cut, [2]int{o.id, n.id})
		})
	case 8:
		w.note("the link between %s and %s breaks", n.name(), o.name())
		w.unlink(n, o)
	case 9, 10:
		w.redis.failOver()
	case 11:
		w.note("Redis is away for %d ms", long)
		w.redis.up = false
		w.after(long, func() { w.redis.up = true })
	}
}

func (w *World) killFor(n *node, long int64) {
	if n.alive {
		n.kill()
		w.after(long, func() {
			if !n.alive {
				w.note("%s starts again", n.name())
				n.start()
			}
		})
	}
}

func (w *World) freezeFor(n *node, long int64) {
	if n.alive && !n.frozen {
		w.note("%s is frozen for %d ms", n.name(), long)
		n.frozen = true
		life := n.life
		w.after(long, func() {
			if n.life == life && n.frozen {
				n.thaw()
			}
		})
	}
}
