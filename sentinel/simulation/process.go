package simulation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"picket/resp"
	"picket/sentinel/machine"
)

const (
	serverPort   = 6379
	sentinelPort = 26379
	dialTimeout  = 2000e3 // µs after which a connection attempt fails
)

// sentinel is one sentinel process: a machine, what it kept, and its connections.
type sentinel struct {
	w      *World
	id     int
	addr   string
	runID  string
	m      *machine.Machine // nil: not running
	life   int              // counts starts, so that what was meant for an earlier one is not delivered
	kept   machine.State    // the configuration file
	links  map[machine.LinkID]*link
	rate   float64 // of its monotonic clock
	base   int64   // µs of the world when the rate last changed
	mono   int64   // µs of its clock then
	jump   int64   // ms that its wall clock is wrong by
	tickAt int64
	noDisk bool // writes fail
	names  map[string]known
	// The highest epochs that it has told anyone: the current one, and of the configuration of each master.
	told       int64
	toldConfig []int64
}

func (s *sentinel) ip() string   { return s.addr }
func (s *sentinel) at() string   { return s.addr }
func (s *sentinel) up() bool     { return s.m != nil }
func (s *sentinel) name() string { return string(rune('A' + s.id)) }

func (s *sentinel) clock() machine.Clock {
	mono := s.mono + int64(float64(s.w.now-s.base)*s.rate)
	return machine.Clock{Mono: mono / 1000, Wall: mono/1000 + s.jump}
}

func (s *sentinel) setRate(r float64) {
	s.mono += int64(float64(s.w.now-s.base) * s.rate)
	s.base, s.rate = s.w.now, r
}

func (s *sentinel) start() {
	if s.base == 0 {
		s.base, s.mono = s.w.now, s.w.now
	}
	s.life++
	st := s.kept
	if st.CurrentEpoch < s.told {
		s.w.check.fail("sentinel %s comes back with epoch %d after it has told %d", s.name(), st.CurrentEpoch, s.told)
	}
	for set, ms := range st.Masters {
		if ms.ConfigEpoch < s.toldConfig[set] {
			s.w.check.fail("sentinel %s comes back with a configuration of epoch %d after it has told one of %d", s.name(), ms.ConfigEpoch, s.toldConfig[set])
		}
	}
	m, err := machine.New(st, machine.Options{
		Rand: rand.New(rand.NewPCG(s.w.rng.Uint64(), uint64(s.id))), Port: sentinelPort, Resolve: s.resolve,
	}, s.clock())
	if err != nil {
		panic(err)
	}
	s.m = m
	if s.w.cfg.Tune != nil {
		t := m.Tunables()
		s.w.cfg.Tune(&t)
		m.SetTunables(t)
	}
	s.after()
}

// crash ends the process; what was not synced is lost.
func (s *sentinel) crash() {
	if s.m == nil {
		return
	}
	s.m = nil
	for _, l := range s.ordered() {
		l.drop()
	}
	clear(s.links)
	for _, o := range s.w.sentinels { // connections that others have to us
		if o.m == nil || o == s {
			continue
		}
		for _, l := range o.ordered() {
			if l.peer == host(s) {
				l.lost(o, "connection reset")
			}
		}
	}
	s.tickAt = 0
}

// do lets something happen to the machine and carries out what it wants.
func (s *sentinel) do(f func(m *machine.Machine)) {
	if s.m == nil {
		return
	}
	s.m.SetClock(s.clock())
	f(s.m)
	s.after()
}

// after carries out outputs and ticks until nothing is due.
func (s *sentinel) after() {
	for range 1000 {
		s.perform()
		if s.m == nil {
			return
		}
		s.m.SetClock(s.clock())
		if s.m.Due() > s.clock().Mono {
			s.scheduleTick()
			return
		}
		s.m.Tick()
	}
	s.w.check.fail("sentinel %s spins: something is due again and again", s.name())
}

func (s *sentinel) scheduleTick() {
	in := int64(float64(s.m.Due()-s.clock().Mono)*1000/s.rate) + 200
	at := s.w.now + in
	if s.tickAt > s.w.now && s.tickAt <= at {
		return
	}
	s.tickAt = at
	life := s.life
	s.w.after(in, func() {
		if s.life == life && s.m != nil && s.tickAt == at {
			s.tickAt = 0
			s.do(func(m *machine.Machine) { m.Tick() })
		}
	})
}

func (s *sentinel) perform() {
	w := s.w
	m := s.m
	var written uint64
	for _, o := range m.Take() {
		if s.m != m {
			return // crashed on the way: the rest never happens
		}
		switch o := o.(type) {
		case machine.Save:
			if o.Seq <= written {
				continue
			}
			if w.cfg.CrashAtSave > 0 && w.rng.Float64() < w.cfg.CrashAtSave {
				if w.rng.IntN(2) == 0 {
					s.keep()
				}
				s.crash()
				return
			}
			if s.noDisk {
				m.Saved(o.Seq, errors.New("no space left on device"))
				continue
			}
			s.keep()
			written = o.Seq
			m.Saved(o.Seq, nil)
		case machine.Connect:
			s.connect(o)
		case machine.Close:
			if l := s.links[o.Link]; l != nil {
				l.drop()
				delete(s.links, o.Link)
			}
		case machine.Send:
			if l := s.links[o.Link]; l != nil {
				w.check.sent(s, l, o.Command)
				l.send(s, o.Command)
			}
		case machine.Event:
			w.check.event(s, o)
		case machine.StartScript:
			w.note("%s runs %s", s.name(), strings.Join(o.Argv, " "))
			m.ScriptStarted(o.ID, 1000+int(o.ID))
			s.later(max(w.ScriptTime, 10)*1000, func(m *machine.Machine) { m.ScriptEnded(o.ID, w.ScriptStatus, 0) })
		case machine.KillScript:
			s.later(1e3, func(m *machine.Machine) { m.ScriptEnded(o.ID, 0, 9) })
		case machine.Held:
			w.note("%s: %s%s: %s", s.name(), map[bool]string{true: "over: "}[o.Over], o.ID, o.Gate)
		case machine.Exit:
			w.note("%s ends with status %d", s.name(), o.Code)
			s.crash()
			return
		}
	}
	w.check.epoch(s)
}

// later has something happen to the machine after a time, in microseconds, unless the sentinel has ended by then.
func (s *sentinel) later(d int64, do func(*machine.Machine)) {
	life := s.life
	s.w.after(d, func() {
		if s.life == life {
			s.do(do)
		}
	})
}

func (s *sentinel) keep() {
	s.kept = s.m.State()
}

// link is one connection of a sentinel.
type link struct {
	w    *World
	from *sentinel
	life int
	id   machine.LinkID
	kind machine.ConnKind
	peer host
	open bool
	gone bool
	busy int64 // µs when the last message sent arrives: messages of a connection keep their order
	back int64
	held []string // of a server: what is queued in MULTI
	in   bool     // in MULTI
	wait [][]string
}

func (l *link) drop() {
	l.gone = true
	if srv, ok := l.peer.(*server); ok {
		srv.forget(l)
	}
}

// lost breaks a connection from outside.
func (l *link) lost(s *sentinel, why string) {
	l.drop()
	if s.links[l.id] == l {
		delete(s.links, l.id)
		life := l.life
		s.w.after(s.w.delay(), func() {
			if s.life == life {
				s.do(func(m *machine.Machine) { m.Disconnected(l.id, losses[why], why) })
			}
		})
	}
}

var losses = map[string]machine.Loss{"connection refused": machine.Refused, "connection reset": machine.Ended, "killed": machine.Ended}

func (s *sentinel) connect(c machine.Connect) {
	w := s.w
	l := &link{w: w, from: s, life: s.life, id: c.Link, kind: c.Kind, peer: s.dial(c.Host)}
	s.links[c.Link] = l
	d := 2 * w.delay()
	life := s.life
	reach := l.peer != nil && w.reachable(s.addr, l.peer.ip())
	if reach && !l.peer.up() {
		w.after(d, func() {
			if s.life == life && s.links[l.id] == l {
				l.lost(s, "connection refused")
			}
		})
		return
	}
	if !reach {
		w.after(dialTimeout, func() {
			if s.life == life && s.links[l.id] == l {
				l.lost(s, "connection timed out")
			}
		})
		return
	}
	w.after(d, func() {
		if s.life != life || s.links[l.id] != l || l.gone {
			return
		}
		if !l.peer.up() {
			l.lost(s, "connection refused")
			return
		}
		l.open = true
		if srv, ok := l.peer.(*server); ok {
			srv.links = append(srv.links, l)
		}
		s.do(func(m *machine.Machine) { m.Connected(l.id, s.addr, l.peer.at()) })
	})
}

// send carries a command to the other end, unless a partition swallows it: then the connection hangs, as TCP does, until someone
// gives it up or the network heals and what was sent arrives late.
func (l *link) send(s *sentinel, cmd []string) {
	w := l.w
	at := max(w.now+w.delay(), l.busy+1)
	l.busy = at
	w.after(at-w.now, func() { l.arrive(cmd) })
}

const resend = 300e3 // µs after which an unreachable end is tried again

func (l *link) arrive(cmd []string) {
	if l.gone {
		return
	}
	if len(l.wait) > 0 || !l.w.reachable(l.from.addr, l.peer.ip()) {
		l.wait = append(l.wait, cmd)
		if len(l.wait) == 1 {
			l.w.after(resend, l.retry)
		}
		return
	}
	switch p := l.peer.(type) {
	case *server:
		p.receive(l, cmd)
	case *sentinel:
		p.receive(l, cmd)
	}
}

func (l *link) retry() {
	if l.gone {
		return
	}
	if !l.w.reachable(l.from.addr, l.peer.ip()) {
		l.w.after(resend, l.retry)
		return
	}
	wait := l.wait
	l.wait = nil
	for _, cmd := range wait {
		l.arrive(cmd)
	}
}

// reply carries an answer back.
func (l *link) reply(v resp.Value) {
	w := l.w
	at := max(w.now+w.delay(), l.back+1)
	l.back = at
	w.after(at-w.now, func() { l.deliver(v) })
}

func (l *link) deliver(v resp.Value) {
	if l.gone || l.from.life != l.life {
		return
	}
	if !l.w.reachable(l.from.addr, l.peer.ip()) {
		l.back = l.w.now + resend
		l.w.after(resend, func() { l.deliver(v) })
		return
	}
	l.from.do(func(m *machine.Machine) { m.Reply(l.id, v) })
}

// receive answers a command from another sentinel.
func (s *sentinel) receive(l *link, cmd []string) {
	if s.m == nil {
		return
	}
	switch cmd[0] {
	case "PING":
		l.reply(resp.Value{Kind: resp.Simple, Str: "PONG"})
	case "PUBLISH":
		s.do(func(m *machine.Machine) { m.Hello(cmd[2]) })
		l.reply(resp.Int(1))
	case "INFO":
		l.reply(resp.Str("server_name:picket\r\n" + strings.Join(s.m.PeerInfo(), "\r\n")))
	case "SENTINEL":
		s.asked(l, cmd)
	default:
		l.reply(resp.OK)
	}
}

// asked answers another sentinel's SENTINEL IS-MASTER-DOWN-BY-ADDR, which may be a request for a vote.
func (s *sentinel) asked(l *link, cmd []string) {
	port, _ := strconv.Atoi(cmd[3])
	epoch, _ := strconv.ParseInt(cmd[4], 10, 64)
	m := s.m
	m.SetClock(s.clock())
	a := m.IsMasterDown(cmd[2], port, epoch, cmd[5])
	s.after()
	if s.m != m {
		return // crashed before it could answer
	}
	a = m.Confirm(a)
	down := int64(0)
	if a.Down {
		down = 1
	}
	s.w.check.answered(s, l.from, s.w.setAt(cmd[2]), a)
	l.reply(resp.Value{Kind: resp.Array, Elems: []resp.Value{resp.Int(down), resp.Str(a.Leader), resp.Int(a.Epoch)}})
}

// server is one Redis server.
type server struct {
	w          *World
	id         int
	set        int // the number of its master
	addr       string
	alive      bool
	hung       bool
	refusal    string // what it answers to PING in place of PONG
	forbidden  string // the command that our user may not give
	runID      string
	priority   int
	hist       *history
	offset     int64  // how far it is in hist
	keys       bool   // it has data
	linked     bool   // it was connected with its master since it was started
	place      string // where it is now: addr, or what that name stands for
	masterIP   string // empty: a master
	masterPort int
	syncAt     int64  // µs from when on the replication link is up, if the master can be reached
	keptIP     string // its configuration file
	keptPort   int
	links      []*link
	stuck      []func() // what arrived while it hung
	lastSync   int64
	// When it last was a master before it became a replica, µs.
	masterUntil int64
}

// history is what a server's data has come from: a stream of writes, which began where it left the one before.
type history struct {
	id     string
	parent *history
	from   int64 // how far in parent it began
	told   bool  // the server knows the id of parent
	cut    bool  // it began with a restart, perhaps with less than there was
	empty  bool  // and with nothing
}

func (s *server) ip() string   { return s.addr }
func (s *server) at() string   { return s.place }
func (s *server) up() bool     { return s.alive }
func (s *server) name() string { return "s" + strconv.Itoa(s.id+1) }

func (s *server) forget(l *link) {
	for i, o := range s.links {
		if o == l {
			s.links = append(s.links[:i], s.links[i+1:]...)
			return
		}
	}
}

func (s *server) kill() {
	if !s.alive {
		return
	}
	s.sync()
	s.alive, s.hung, s.stuck = false, false, nil
	for _, l := range append([]*link(nil), s.links...) {
		l.lost(l.from, "connection reset")
	}
	s.links = nil
}

func (s *server) restart() {
	if s.alive {
		return
	}
	s.w.evict(s)
	s.restartAt()
}

// restartAt starts it where it is.
func (s *server) restartAt() {
	s.alive = true
	if s.masterIP == "" {
		s.masterUntil = s.w.now
	}
	s.masterIP, s.masterPort = s.keptIP, s.keptPort
	s.runID = s.w.randomID()
	s.load()
	if s.set >= 0 {
		s.w.check.vanished(s)
	}
	if s.masterIP == "" && s.set >= 0 {
		s.w.check.forgets(s)
	}
	s.syncAt = s.w.now + 300e3
	s.lastSync = s.w.now
	for _, o := range s.w.servers { // those that follow it try once in a second
		if o != s && o.alive && o.masterIP != "" && s.w.find(o.masterIP) == host(s) {
			o.syncAt = max(o.syncAt, s.w.now+s.w.rng.Int64N(1000e3))
		}
	}
}

// load reads what was kept of the data: nothing; or a snapshot, which says what history it is of; or an append-only file, which does not. The two may be older
// than what the server had.
func (s *server) load() {
	was := s.hist
	s.linked = false
	kinds := s.w.cfg.Restarts
	if len(kinds) == 0 {
		kinds = "e"
	}
	kind := kinds[s.w.rng.IntN(len(kinds))]
	if s.w.rng.IntN(2) == 0 && kind != 'e' {
		s.offset -= min(s.offset, s.w.rng.Int64N(3000))
	}
	switch {
	case kind == 'e':
		s.hist, s.offset, s.keys = &history{id: s.w.randomID(), parent: was, cut: true, empty: true}, 0, false
	case kind == 'a':
		s.hist, s.offset = &history{id: s.w.randomID(), parent: was, from: s.offset, cut: true}, 0
	case s.masterIP == "":
		s.hist = &history{id: s.w.randomID(), parent: was, from: s.offset, told: true, cut: true}
	}
}

func (s *server) resume() {
	s.hung = false
	stuck := s.stuck
	s.stuck = nil
	for _, f := range stuck {
		f()
	}
}

// linkUp reports whether it replicates from its master.
func (s *server) linkUp() bool {
	if s.masterIP == "" || s.w.now < s.syncAt {
		return false
	}
	m, ok := s.w.find(s.masterIP).(*server)
	return ok && m.alive && !m.hung && s.w.reachable(s.addr, m.addr) && m.chained(len(s.w.servers))
}

// chained reports whether a server leads to a master in at most n hops, so that a ring of replicas is not up.
func (s *server) chained(n int) bool {
	if s.masterIP == "" {
		return true
	}
	m, ok := s.w.find(s.masterIP).(*server)
	return n > 0 && ok && m.alive && s.w.now >= s.syncAt && m.chained(n-1)
}

// sync brings the replication offset up to now: a master's grows with time, a replica's follows while the link is up.
func (s *server) sync() {
	if s.masterIP == "" {
		s.offset += (s.w.now - s.lastSync) / 1000
		s.lastSync = s.w.now
	} else if s.linkUp() {
		m := s.w.find(s.masterIP).(*server)
		if m.masterIP == "" {
			m.sync()
		}
		had, offset := s.hist, s.offset
		s.hist, s.offset, s.keys, s.linked = m.hist, m.offset, m.keys, true
		if had != s.hist && s.set >= 0 {
			s.w.check.lose(s, had, offset)
		}
		s.lastSync = s.w.now
	}
}

// become makes it a master (empty ip), or a replica whose link is up in d microseconds.
func (s *server) become(ip string, port int, d int64) {
	s.sync()
	if ip == s.masterIP && port == s.masterPort {
		return
	}
	switch "" {
	case s.masterIP:
		s.masterUntil = s.w.now
	case ip:
		s.linked = false
		s.hist = &history{id: s.w.randomID(), parent: s.hist, from: s.offset, told: true}
	}
	s.masterIP, s.masterPort, s.syncAt = ip, port, s.w.now+d
	s.lastSync = s.w.now
}

func (s *server) receive(l *link, cmd []string) {
	if !s.alive {
		return
	}
	if s.hung {
		if len(s.stuck) < 10000 {
			s.stuck = append(s.stuck, func() {
				if !l.gone {
					s.receive(l, cmd)
				}
			})
		}
		return
	}
	if l.in && cmd[0] != "EXEC" {
		l.held = append(l.held, strings.Join(cmd, " "))
		l.reply(resp.Value{Kind: resp.Simple, Str: "QUEUED"})
		return
	}
	if cmd[0] == s.forbidden {
		l.reply(resp.Err("NOPERM this user has no permissions to run this command"))
		return
	}
	s.answer(l, cmd)
}

// answer carries a command out that a server in good health allows.
func (s *server) answer(l *link, cmd []string) {
	switch cmd[0] {
	case "PING":
		if s.refusal != "" {
			l.reply(resp.Err(s.refusal))
			return
		}
		l.reply(resp.Value{Kind: resp.Simple, Str: "PONG"})
	case "INFO":
		l.reply(resp.Str(s.info()))
	case "PUBLISH":
		l.reply(resp.Int(int64(s.publish(cmd[2]))))
	case "SUBSCRIBE":
		l.reply(resp.Value{Kind: resp.Array, Elems: []resp.Value{resp.Str("subscribe"), resp.Str(cmd[1]), resp.Int(1)}})
	case "FAILOVER": // TO host port TIMEOUT ms: the replica catches up and takes over, and we follow it
		to, ok := s.w.find(cmd[2]).(*server)
		if !ok || s.masterIP != "" || to.masterIP != s.addr || !to.linkUp() {
			l.reply(resp.Err("ERR FAILOVER target is not a replica."))
			return
		}
		l.reply(resp.OK)
		to.become("", 0, 0)
		s.w.check.promoted(to, s.w.check.isForced(l.from, s.set))
		s.become(to.addr, serverPort, 5e3)
	case "CONFIG": // REWRITE, outside a transaction
		s.keptIP, s.keptPort = s.masterIP, s.masterPort
		l.reply(resp.OK)
	case "MULTI":
		l.in, l.held = true, nil
		l.reply(resp.OK)
	case "EXEC":
		l.in = false
		for _, c := range l.held {
			s.execute(l, strings.Fields(c))
		}
		l.held = nil
		l.reply(resp.Value{Kind: resp.Array})
	case "SLAVEOF": // outside a transaction: a seal
		s.become(cmd[1], 1, 0)
		l.reply(resp.OK)
	default:
		l.reply(resp.OK)
	}
}

func (s *server) execute(l *link, cmd []string) {
	if s.set < 0 {
		s.w.check.fail("sentinel %s reconfigures a stranger's server that has the address of one of ours: %v", l.from.name(), cmd)
	}
	switch strings.Join(cmd[:2], " ") {
	case "SLAVEOF NO":
		forced := s.w.check.isForced(l.from, s.set)
		if s.masterIP != "" || forced { // by hand, a master of the past may be all there is
			s.become("", 0, 0)
			s.w.check.promoted(s, forced)
		}
	case "CONFIG REWRITE":
		if s.w.cfg.LoseRewrite == 0 || s.w.rng.Float64() >= s.w.cfg.LoseRewrite {
			s.keptIP, s.keptPort = s.masterIP, s.masterPort
		}
	case "CLIENT KILL":
		for _, o := range append([]*link(nil), s.links...) {
			if o != l && (o.kind == machine.Subscription) == (cmd[3] == "pubsub") {
				o.lost(o.from, "killed")
			}
		}
	default: // SLAVEOF host port
		port, _ := strconv.Atoi(cmd[2])
		s.become(cmd[1], port, 5e3+s.w.delay())
	}
}

func (s *server) publish(msg string) int {
	w := s.w
	n := 0
	if len(w.heard) < 200 {
		w.heard = append(w.heard, msg)
	} else {
		w.heard[w.rng.IntN(len(w.heard))] = msg
	}
	for _, l := range append([]*link(nil), s.links...) {
		if l.kind != machine.Subscription {
			continue
		}
		n++
		if w.cfg.LoseHello > 0 && w.rng.Float64() < w.cfg.LoseHello {
			continue
		}
		l.reply(resp.Strs("message", "__sentinel__:hello", msg))
		if w.cfg.RepeatHello > 0 && w.rng.Float64() < w.cfg.RepeatHello {
			// A message of the past arrives once more, late and out of order.
			l.reply(resp.Strs("message", "__sentinel__:hello", w.heard[w.rng.IntN(len(w.heard))]))
		}
	}
	return n
}

func (s *server) info() string {
	s.sync()
	var b strings.Builder
	fmt.Fprintf(&b, "run_id:%s\r\nmaster_replid:%s\r\n", s.runID, s.hist.id)
	if s.hist.told {
		fmt.Fprintf(&b, "master_replid2:%s\r\nsecond_repl_offset:%d\r\n", s.hist.parent.id, s.hist.from+1)
	}
	if s.keys {
		b.WriteString("db0:keys=1,expires=0,avg_ttl=0\r\n")
	}
	if s.masterIP == "" {
		fmt.Fprintf(&b, "role:master\r\nmaster_repl_offset:%d\r\n", s.offset)
		n := 0
		for _, o := range s.w.servers {
			if o != s && o.alive && s.w.find(o.masterIP) == host(s) && o.linkUp() {
				if s.w.cfg.OldInfo {
					fmt.Fprintf(&b, "slave%d:%s,%d,online\r\n", n, o.addr, serverPort)
				} else {
					fmt.Fprintf(&b, "slave%d:ip=%s,port=%d,state=online,offset=%d,lag=0\r\n", n, o.addr, serverPort, o.offset)
				}
				n++
			}
		}
		return b.String()
	}
	status := "up"
	if !s.linkUp() {
		status = "down"
		since := max(s.w.now-s.lastSync, 0) / 1e6
		if !s.linked {
			since = -1
		}
		fmt.Fprintf(&b, "master_link_down_since_seconds:%d\r\n", since)
	}
	fmt.Fprintf(&b, "role:slave\r\nmaster_host:%s\r\nmaster_port:%d\r\nmaster_link_status:%s\r\nslave_priority:%d\r\nslave_repl_offset:%d\r\nreplica_announced:1\r\n",
		s.masterIP, s.masterPort, status, s.priority, s.offset)
	return b.String()
}
