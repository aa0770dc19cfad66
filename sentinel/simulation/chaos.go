package simulation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"

	"picket/sentinel/machine"
)

// Result is what came of one seed.
type Result struct {
	Seed      uint64
	Failovers int   // promotions that completed
	Elections int   // leaders elected by votes
	Sealed    int   // promotions that were compared with what clients had been acknowledged
	Blocked   int   // sealed groups that wait for a person in the end, since nobody can know who has everything
	Lost      int   // writes that were gone before any sentinel could act
	Elapsed   int64 // simulated milliseconds
	Err       error // the first invariant that did not hold
}

// quicken shortens what only makes a simulation longer: how often INFO and hellos come, and how long TILT lasts. The relations between
// the times stay as they are.
func quicken(t *machine.Tunables) {
	t.InfoPeriod = 2000
	t.PublishPeriod = 500
	t.TiltPeriod = 3000
	t.MinLinkReconnectPeriod = 3000
	t.ReplicaReconfTimeout = 3000
}

// Chaos lets a seed decide a group and what happens to it, and checks all invariants on the way. In the end everything is healed
// and the group must agree within the time that its timeouts allow. log, which may be nil, is told every event.
func Chaos(seed uint64, log func(string)) Result {
	rng := rand.New(rand.NewPCG(seed, 42))
	cfg := chaosConfig(seed, rng)
	w := New(cfg)
	w.Log = log
	// By hand: two failovers may then be forced in one epoch, which no vote prevents; the group must agree again all the same.
	forcing := rng.IntN(8) == 0
	res := func(err error) Result {
		return Result{Seed: seed, Failovers: w.check.promotions, Elections: w.check.elections, Sealed: w.check.sealed, Lost: w.check.lost, Blocked: w.check.blocked, Elapsed: w.Elapsed(), Err: err}
	}

	if err := w.discover(); err != nil {
		return res(err)
	}
	for range 60 + rng.IntN(60) {
		w.disturb(rng, forcing)
		if err := w.Run(100 + rng.Int64N(2200)); err != nil {
			return res(err)
		}
	}

	// All is healed; now they must agree. What may have to pass first: a vote given to someone who did not lead (twice the failover
	// timeout, after TILT), then a failover, then an old master's return, and configurations put right after a failover timeout.
	w.heal()
	limit := 60000 + 10*cfg.FailoverTimeout
	for at := int64(0); ; at += 500 {
		if err := w.Run(500); err != nil {
			return res(err)
		}
		why := w.Converged()
		if why == "" {
			return res(nil)
		}
		if at > limit {
			return res(fmt.Errorf("%d s after all was healed: %s; %s", limit/1000, why, w.Roles()))
		}
	}
}

// chaosConfig is the world of a seed.
func chaosConfig(seed uint64, rng *rand.Rand) Config {
	cfg := Config{
		Seed:            seed,
		Sentinels:       []int{1, 2, 3, 3, 3, 3, 4, 5, 5}[rng.IntN(9)],
		Masters:         []int{1, 1, 1, 2}[rng.IntN(4)],
		Servers:         2 + rng.IntN(3),
		DownAfter:       400 + rng.Int64N(1200),
		FailoverTimeout: 1500 + rng.Int64N(2500),
		ParallelSyncs:   1 + rng.IntN(2),
		Delay:           []int64{0, 2, 5, 30}[rng.IntN(4)],
		Tune:            quicken,
	}
	switch rng.IntN(4) { // addresses: fixed, and vouched for; or reused by strangers; or names
	case 0, 1:
		cfg.Adopt, cfg.Restarts = true, "era"
	case 2:
		cfg.Names = true
	}
	cfg.Quorum = cfg.Sentinels/2 + 1
	if rng.IntN(4) == 0 {
		cfg.Quorum = 1 + rng.IntN(cfg.Sentinels)
	}
	if rng.IntN(2) == 0 {
		cfg.CrashAtSave = 0.02
		cfg.LoseHello = 0.2
		cfg.RepeatHello = 0.05
		cfg.LoseRewrite = 0.1
	}
	if rng.IntN(4) == 0 {
		cfg.RefusedDown = 50 + rng.Int64N(500)
	}
	if cfg.Adopt && rng.IntN(3) > 0 {
		// Servers that are told to be masters stay masters: what they forget of that is Redis' to lose.
		cfg.Servers = max(cfg.Servers, 3)
		cfg.Sealed, cfg.LoseRewrite = 1+rng.IntN(cfg.Servers-1), 0
		for range cfg.Servers {
			cfg.Priorities = append(cfg.Priorities, []int{100, 100, 50, 10}[rng.IntN(4)])
		}
	}
	return cfg
}

// discover has the instances find one another, undisturbed: the majority is one of all known sentinels, so all must be known before anything is promised.
func (w *World) discover() error {
	crash, lose, repeat := w.cfg.CrashAtSave, w.cfg.LoseHello, w.cfg.RepeatHello
	w.cfg.CrashAtSave, w.cfg.LoseHello, w.cfg.RepeatHello = 0, 0, 0
	for i := 0; !w.discovered(); i++ {
		if err := w.Run(500); err != nil {
			return err
		}
		if i > 60 {
			return errors.New("the instances were not discovered within 30 s")
		}
	}
	w.cfg.CrashAtSave, w.cfg.LoseHello, w.cfg.RepeatHello = crash, lose, repeat
	return nil
}

// discovered reports whether every sentinel knows all others and all servers.
func (w *World) discovered() bool {
	for _, s := range w.sentinels {
		if s.m == nil {
			return false
		}
		for _, o := range s.m.Overview().Masters {
			if o.Sentinels != len(w.sentinels) || o.Replicas != w.cfg.Servers-1 || o.Disconnected > 0 {
				return false
			}
		}
	}
	return true
}

// disturb does one bad or good thing to the world.
func (w *World) disturb(rng *rand.Rand, forcing bool) {
	sentinel := w.sentinels[rng.IntN(len(w.sentinels))]
	server := w.servers[rng.IntN(len(w.servers))]
	set := rng.IntN(w.cfg.Masters)
	switch kind := rng.IntN(38); kind {
	case 0, 1, 2, 3, 4, 5, 26, 27: // what all this is about
		w.failMaster(rng, set)
	case 6, 7, 8, 9, 10, 28, 29, 30, 31:
		w.bringServerBack()
	case 11:
		server.kill()
		w.note("%s is killed", server.name())
	case 13, 14, 32:
		w.bringSentinelBack()
	case 15, 16:
		w.splitAnyhow(rng)
	case 17, 18, 19, 33:
		w.HealNetwork()
		w.note("the network heals")
	case 20:
		w.slow = rng.Int64N(200)
		w.note("messages take %d ms longer", w.slow)
	case 25:
		if forcing {
			w.forceFailover(sentinel, set, false)
		}
	case 34:
		w.forceFailover(sentinel, set, true)
	case 35, 36: // an address changes hands
		if !w.cfg.Adopt {
			w.stranger(server)
		}
	case 37:
		if other := w.servers[rng.IntN(len(w.servers))]; w.cfg.Names && other != server {
			w.note("%s and %s start again at each other's addresses", server.name(), other.name())
			w.swap(server, other)
		}
	default: // 12, 21 to 24
		w.harm(sentinel, kind, rng)
	}
}

// harm does something to one sentinel.
func (w *World) harm(sentinel *sentinel, kind int, rng *rand.Rand) {
	switch kind {
	case 12:
		sentinel.crash()
		w.note("sentinel %s crashes", sentinel.name())
	case 21:
		sentinel.jump += rng.Int64N(20000) - 10000
		w.note("the clock of %s jumps", sentinel.name())
	case 22:
		sentinel.setRate(0.5 + rng.Float64()*1.5)
		w.note("the clock of %s runs at %.2f", sentinel.name(), sentinel.rate)
	case 23:
		sentinel.noDisk = !sentinel.noDisk
		w.note("the disk of %s is full: %v", sentinel.name(), sentinel.noDisk)
	case 24: // all its connections break
		if sentinel.m != nil {
			for _, l := range sentinel.ordered() {
				l.lost(sentinel, "connection reset")
			}
			w.note("%s loses its connections", sentinel.name())
		}
	}
}

// failMaster kills the master of a set, or makes it hang.
func (w *World) failMaster(rng *rand.Rand, set int) {
	m := w.master(set)
	if m == nil {
		return
	}
	if rng.IntN(3) == 0 {
		m.hung = true
	} else {
		m.kill()
	}
	w.note("master %s fails", m.name())
}

// bringServerBack starts the first server that is down, or lets one go on that hangs.
func (w *World) bringServerBack() {
	for _, s := range w.servers {
		if !s.alive {
			s.restart()
			w.note("%s starts", s.name())
			return
		} else if s.hung {
			s.resume()
			w.note("%s goes on", s.name())
			return
		}
	}
}

// bringSentinelBack starts the first sentinel that is down.
func (w *World) bringSentinelBack() {
	for _, s := range w.sentinels {
		if s.m == nil {
			s.start()
			w.note("sentinel %s starts", s.name())
			return
		}
	}
}

// splitAnyhow parts the network in two.
func (w *World) splitAnyhow(rng *rand.Rand) {
	group := map[string]bool{}
	for _, n := range w.Names() {
		group[n] = rng.IntN(2) == 0
	}
	w.Split(group)
	w.note("partition of %s", strings.Join(chosen(group), " "))
}

// forceFailover asks a sentinel for a failover, as SENTINEL FAILOVER does.
func (w *World) forceFailover(sentinel *sentinel, set int, coordinated bool) {
	sentinel.do(func(m *machine.Machine) {
		how := "by hand"
		if coordinated {
			how = "coordinated"
		}
		w.note("failover %s on %s: %v", how, sentinel.name(), m.Failover(masterName(set), coordinated))
	})
}

func chosen(group map[string]bool) []string {
	var names []string
	for n, in := range group {
		if in {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	return names
}

// ordered lists a sentinel's connections in the order they were made: maps have none, and a seed must decide everything.
func (s *sentinel) ordered() []*link {
	var ls []*link
	for _, l := range s.links {
		ls = append(ls, l)
	}
	sort.Slice(ls, func(i, j int) bool { return ls[i].id < ls[j].id })
	return ls
}

func (w *World) note(format string, args ...any) {
	if w.Log != nil {
		w.Log(fmt.Sprintf("%3d.%03d -- %s", w.Elapsed()/1000, w.Elapsed()%1000, fmt.Sprintf(format, args...)))
	}
}

// master is the server that most sentinels see as the master of a set.
func (w *World) master(set int) *server {
	count := map[string]int{}
	best := ""
	for _, s := range w.sentinels {
		if s.m == nil {
			continue
		}
		host, _, _ := s.m.CurrentAddr(masterName(set))
		count[host]++
		if count[host] > count[best] {
			best = host
		}
	}
	s, _ := w.find(best).(*server)
	return s
}

// heal ends everything that disturbs.
func (w *World) heal() {
	w.note("everything is healed")
	w.HealNetwork()
	w.cfg.CrashAtSave, w.cfg.LoseHello, w.cfg.RepeatHello, w.cfg.LoseRewrite = 0, 0, 0, 0
	for _, s := range w.servers {
		if !s.alive {
			s.restart()
		}
		if s.hung {
			s.resume()
		}
	}
	for _, s := range w.sentinels {
		s.noDisk = false
		s.setRate(1)
		if s.m == nil {
			s.start()
		}
	}
}
