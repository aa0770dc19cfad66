// Package simulation runs sentinels (sentinel/machine) and Redis servers in a world without real time: its network delays, breaks
// and is partitioned, its processes crash and lose what they had not synced, its clocks run fast, slow and jump. A seed decides everything, so
// that a run that went wrong can be repeated exactly. What must always hold is checked with every step.
package simulation

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"picket/sentinel/machine"
)

// MasterName is the name under which the sentinels watch their first master.
const MasterName = "mymaster"

// masterName is the name of a master by its number.
func masterName(set int) string {
	if set == 0 {
		return MasterName
	}
	return fmt.Sprintf("other%d", set)
}

// Config says what a world is made of. Times are in milliseconds.
type Config struct {
	Seed                                uint64
	Sentinels                           int
	Masters                             int // each with its own servers; 0 is 1
	Servers                             int // of each master, with itself
	Quorum                              int
	DownAfter, FailoverTimeout          int64
	ParallelSyncs                       int
	Delay                               int64 // greatest delay of a message
	Tune                                func(*machine.Tunables)
	CrashAtSave                         float64 // chance that a sentinel crashes around a write of its configuration
	LoseHello, RepeatHello, LoseRewrite float64 // chances
	Priorities                          []int   // of the servers, 100 where missing
	Discovered                          bool    // the sentinels know all instances from the start
	Restarts                            string  // what servers read when they start: any letter of e (nothing), r (a snapshot), a (an append-only file); empty: e
	RefusedDown                         int64   // picket-refused-down
	Sealed                              int     // picket-sealed; clients write with WAIT for as many replicas
	Adopt                               bool    // the sentinels take whatever answers at an address for what was there before
	Names                               bool    // servers are known by names, and get other addresses when they start again
	OldInfo                             bool    // INFO lists replicas as Redis 2.6 does: slave0:ADDRESS,PORT,online
}

// World is one simulated group.
type World struct {
	cfg       Config
	rng       *rand.Rand
	now       int64 // microseconds
	seq       uint64
	queue     events
	sentinels []*sentinel
	servers   []*server
	strangers []*server         // they have nothing to do with the group, but may get the addresses of its servers
	dns       map[string]string // where names are
	places    int               // addresses given out
	byIP      map[string]host
	cut       map[[2]string]bool // partitioned pairs of addresses, both ways
	slow      int64              // extra delay of every message, ms
	heard     []string           // hellos of the past, to be repeated

	check checker
	Log   func(line string) // told every event; may be nil

	ScriptStatus int   // exit status of the scripts that are run
	ScriptTime   int64 // how long they run, ms
}

type host interface {
	ip() string // what it is known by, all its life
	at() string // the address that it has now
	up() bool
}

type event struct {
	at  int64
	seq uint64
	do  func()
}

// events is a binary heap by time, then by order of scheduling. container/heap would box every event.
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

// New makes a world in which the first of a master's servers is the master of its others.
func New(cfg Config) *World {
	cfg.Masters = max(cfg.Masters, 1)
	w := &World{
		cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0x9e3779b97f4a7c15)), now: 3600e6, // well above 0, as a real clock
		byIP: map[string]host{}, cut: map[[2]string]bool{}, dns: map[string]string{},
	}
	w.check.init(w)
	for i := range cfg.Masters * cfg.Servers {
		s := &server{w: w, id: i, set: i / cfg.Servers, addr: fmt.Sprintf("10.0.1.%d", i+1), alive: true, priority: 100, runID: w.randomID(), offset: 1000, keys: true, linked: true}
		s.place = s.addr
		if cfg.Names {
			s.addr = fmt.Sprintf("s%d.test", i+1)
			w.dns[s.addr] = s.place
		}
		if i < len(cfg.Priorities) {
			s.priority = cfg.Priorities[i]
		}
		if first := s.set * cfg.Servers; i > first {
			s.masterIP, s.masterPort, s.syncAt = w.servers[first].addr, serverPort, w.now
			s.hist = w.servers[first].hist
		} else {
			s.hist = &history{id: w.randomID()}
		}
		s.keptIP, s.keptPort = s.masterIP, s.masterPort
		w.servers = append(w.servers, s)
		w.byIP[s.place] = s
	}
	for i := range cfg.Sentinels {
		s := &sentinel{w: w, id: i, addr: fmt.Sprintf("10.0.0.%d", i+1), rate: 1, links: map[machine.LinkID]*link{}, toldConfig: make([]int64, cfg.Masters)}
		s.runID = fmt.Sprintf("%c%s", 'a'+i, w.randomID()[1:])
		s.kept = machine.State{MyID: s.runID, Settings: machine.Settings{ResolveHostnames: cfg.Names, AnnounceHostnames: cfg.Names}}
		for set := range cfg.Masters {
			s.kept.Masters = append(s.kept.Masters, machine.MasterState{
				Name: masterName(set), Host: w.set(set)[0].addr, Port: serverPort, Quorum: cfg.Quorum,
				DownAfter: cfg.DownAfter, FailoverTimeout: cfg.FailoverTimeout, ParallelSyncs: cfg.ParallelSyncs, Adopt: cfg.Adopt, Sealed: cfg.Sealed, RefusedDown: cfg.RefusedDown,
			})
		}
		w.sentinels = append(w.sentinels, s)
		w.byIP[s.addr] = s
	}
	if cfg.Discovered {
		w.introduce()
	}
	for _, s := range w.sentinels {
		s.start()
	}
	if cfg.Sealed > 0 {
		w.acknowledge()
	}
	return w
}

// find is who answers at an address, or has a name now.
func (w *World) find(host string) host {
	if ip, ok := w.dns[host]; ok {
		host = ip
	}
	return w.byIP[host]
}

// set are the servers of one master.
func (w *World) set(i int) []*server { return w.servers[i*w.cfg.Servers : (i+1)*w.cfg.Servers] }

// introduce writes all instances into the configurations of the sentinels.
func (w *World) introduce() {
	for _, s := range w.sentinels {
		for set := range w.cfg.Masters {
			ms := &s.kept.Masters[set]
			for _, r := range w.set(set)[1:] {
				ms.Replicas = append(ms.Replicas, machine.HostPort{Host: r.addr, Port: serverPort})
			}
			for _, o := range w.sentinels {
				if o != s {
					ms.Sentinels = append(ms.Sentinels, machine.PeerState{Host: o.addr, Port: sentinelPort, RunID: o.runID})
				}
			}
		}
	}
}

func (w *World) randomID() string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for range 40 {
		b.WriteByte(hex[w.rng.IntN(16)])
	}
	return b.String()
}

// after schedules do in d microseconds.
func (w *World) after(d int64, do func()) {
	w.seq++
	w.queue.push(event{w.now + max(d, 0), w.seq, do})
}

// delay is how long a message takes, in microseconds.
func (w *World) delay() int64 {
	d := 100 + w.slow*1000
	if w.cfg.Delay > 0 {
		d += w.rng.Int64N(w.cfg.Delay * 1000)
	}
	return d
}

// Run lets ms milliseconds pass. It returns the first violation of an invariant.
func (w *World) Run(ms int64) error {
	end := w.now + ms*1000
	for len(w.queue) > 0 && w.queue[0].at <= end && w.check.err == nil {
		e := w.queue.pop()
		w.now = max(w.now, e.at)
		e.do()
	}
	w.now = end
	return w.check.err
}

// reachable reports whether messages pass between two addresses.
func (w *World) reachable(a, b string) bool {
	if len(w.cut) == 0 {
		return true
	}
	return !w.cut[[2]string{a, b}]
}

// Cut separates two hosts, given by their names: s1, s2, ... for servers, A, B, ... for sentinels.
func (w *World) Cut(a, b string) {
	x, y := w.host(a).ip(), w.host(b).ip()
	w.cut[[2]string{x, y}], w.cut[[2]string{y, x}] = true, true
}

// Split separates every host in group from every host outside it.
func (w *World) Split(group map[string]bool) {
	names := w.Names()
	for _, a := range names {
		for _, b := range names {
			if group[a] && !group[b] {
				w.Cut(a, b)
			}
		}
	}
}

// Names lists all hosts.
func (w *World) Names() []string {
	var names []string
	for i := range w.servers {
		names = append(names, fmt.Sprintf("s%d", i+1))
	}
	for i := range w.sentinels {
		names = append(names, string(rune('A'+i)))
	}
	return names
}

// HealNetwork ends all partitions and delays.
func (w *World) HealNetwork() { clear(w.cut); w.slow = 0 }

func (w *World) host(name string) host {
	if s := w.server(name); s != nil {
		return s
	}
	if s := w.sentinel(name); s != nil {
		return s
	}
	panic("no such host: " + name)
}

func (w *World) server(name string) *server {
	var i int
	if _, err := fmt.Sscanf(name, "s%d", &i); err != nil || i < 1 || i > len(w.servers) {
		return nil
	}
	return w.servers[i-1]
}

func (w *World) sentinel(name string) *sentinel {
	if len(name) != 1 || int(name[0]-'A') >= len(w.sentinels) || name[0] < 'A' {
		return nil
	}
	return w.sentinels[name[0]-'A']
}

// nameOf names the server at an address.
func (w *World) nameOf(ip string) string {
	for i, s := range w.servers {
		if s.addr == ip {
			return fmt.Sprintf("s%d", i+1)
		}
	}
	for i, s := range w.sentinels {
		if s.addr == ip {
			return string(rune('A' + i))
		}
	}
	return ip
}

// Kill ends a process at once; its connections break.
func (w *World) Kill(name string) {
	if s := w.server(name); s != nil {
		s.kill()
	} else if s := w.sentinel(name); s != nil {
		s.crash()
	}
}

// Start starts a process that was killed.
func (w *World) Start(name string) {
	if s := w.server(name); s != nil {
		s.restart()
	} else if s := w.sentinel(name); s != nil && s.m == nil {
		s.start()
	}
}

// Hang stops a server as SIGSTOP does.
func (w *World) Hang(name string) { w.server(name).hung = true }

// Resume lets a server that hangs go on.
func (w *World) Resume(name string) { w.server(name).resume() }

// Roles says of each server what it is.
func (w *World) Roles() string {
	var roles []string
	for _, s := range w.servers {
		switch {
		case !s.alive:
			roles = append(roles, s.name()+" is not running")
		case s.masterIP == "":
			roles = append(roles, s.name()+" is a master")
		case s.linkUp():
			roles = append(roles, s.name()+" follows "+w.nameOf(s.masterIP))
		default:
			roles = append(roles, s.name()+" wants to follow "+w.nameOf(s.masterIP))
		}
	}
	return strings.Join(roles, ", ")
}

// Failovers is how many promotions have completed.
func (w *World) Failovers() int { return w.check.promotions }

// Elapsed is the time that has passed since the start, in milliseconds.
func (w *World) Elapsed() int64 { return (w.now - 3600e6) / 1000 }
