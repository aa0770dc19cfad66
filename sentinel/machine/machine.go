// Package machine is a Redis Sentinel without its sockets, clock, files and goroutines: a state machine. What happens (time, connections
// made and lost, replies, hello messages, requests of clients) is told to a Machine by its methods; what is to be done about it
// (connections to make, commands to send, events, writes of the configuration, scripts to run) is taken from it with Take.
//
// A Machine is driven so: SetClock, then the input, then Tick when Due has come, then Take and carry out the outputs in their order.
// It is deterministic: the same inputs, clock and random source give the same outputs.
//
// # What is kept, and when
//
// An answer to a vote request, a request for votes and a hello message tell others an epoch, and a vote may never be given twice. So an
// output Save stands before each of them, and the machine does not rely on what Save was to keep before Saved has confirmed it.
package machine

import (
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
)

// Clock is a moment, in milliseconds. Mono never goes back and all timers run on it. Wall is what the machine's clock shows:
// it is only compared with itself, to notice that time cannot be trusted (TILT).
type Clock struct{ Mono, Wall int64 }

// LinkID names one connection, from the Connect that asks for it until it is gone. Ids are never used again.
type LinkID uint64

// Options are what a Machine needs beside its State.
type Options struct {
	// Rand decides ties in time: who stands for election first. It must be seeded differently in each sentinel.
	Rand *rand.Rand
	// Resolve turns a host name into its IP addresses, the best one first; none if it cannot. It is asked only where resolve-hostnames is on, must
	// return at once, and may answer from what it knew some seconds ago. nil: no name can be resolved. Connections do not rely on it.
	Resolve func(host string) (ips []string)
	// Executable reports whether a script can be run. nil: every one can.
	Executable func(path string) bool
	// Port is the port that is announced where announce-port is not set.
	Port int
	// Password is this sentinel's own password (requirepass), shown to other sentinels where sentinel-pass is not set.
	Password string
	// Probe asks for a short extra connection to every server that tries which commands the user may run.
	Probe bool
}

// Machine is one sentinel. Its methods must not be called from several goroutines at once.
type Machine struct {
	opt    Options
	clock  Clock
	tune   Tunables
	set    Settings
	myID   string
	epoch  int64 // current_epoch
	out    []Output
	conns  map[LinkID]*conn
	nextID LinkID

	masters []*master // in the order they were made
	byName  map[string]*master

	// What is kept: the number of the last state asked to be saved, of the last one that contains a raised epoch or a vote, and
	// of the last one known to be safe.
	saveSeq, voteSeq, durable uint64
	saveTried                 int64
	saveFailed                bool

	tilt       bool
	tiltSince  int64
	lastTick   Clock
	ticked     bool
	simulate   Failure
	exited     bool
	scripts    []*script
	nextScript ScriptID
	gatesTold  int64
}

// Tunables are the times that SENTINEL DEBUG shows and sets, in milliseconds.
type Tunables struct {
	InfoPeriod, PingPeriod, AskPeriod, PublishPeriod, DefaultDownAfter, DefaultFailoverTimeout, TiltTrigger, TiltPeriod,
	ReplicaReconfTimeout, MinLinkReconnectPeriod, ElectionTimeout, ScriptMaxRuntime, ScriptRetryDelay int64
}

// DefaultTunables are Redis' values.
func DefaultTunables() Tunables {
	return Tunables{
		InfoPeriod: 10000, PingPeriod: 1000, AskPeriod: 1000, PublishPeriod: 2000, DefaultDownAfter: 30000,
		DefaultFailoverTimeout: 180000, TiltTrigger: 2000, TiltPeriod: 30000, ReplicaReconfTimeout: 10000,
		MinLinkReconnectPeriod: 15000, ElectionTimeout: 10000, ScriptMaxRuntime: 60000, ScriptRetryDelay: 30000,
	}
}

// New makes a Machine from what was kept. now is the clock at the start; s.MyID must be set.
func New(s State, o Options, now Clock) (*Machine, error) {
	m := &Machine{
		opt: o, clock: now, tune: DefaultTunables(), set: s.Settings, myID: s.MyID, epoch: s.CurrentEpoch,
		conns: map[LinkID]*conn{}, byName: map[string]*master{}, lastTick: now,
	}
	for _, ms := range s.Masters {
		if err := m.restore(ms); err != nil {
			return nil, err
		}
	}
	for _, ms := range m.masters {
		m.event(Warning, "+monitor", &ms.node, m.details(&ms.node)+" quorum "+strconv.Itoa(ms.quorum))
	}
	return m, nil
}

// SetClock says what time it is for the inputs that follow.
func (m *Machine) SetClock(c Clock) { m.clock = c }

// now is the time that all timers run on.
func (m *Machine) now() int64 { return m.clock.Mono }

// MyID is this sentinel's id, 40 hexadecimal characters.
func (m *Machine) MyID() string { return m.myID }

// Addr is where an instance is. Host is what was configured or announced, IP what it was last resolved to.
type Addr struct {
	Host, IP string
	Port     int
}

func (a Addr) best() string {
	if a.IP != "" {
		return a.IP
	}
	return a.Host
}

// same compares addresses. Names are compared as names: what they stood for a moment ago may have been swapped since. A name and an
// address are the same if the name was last seen there.
func (a Addr) same(b Addr) bool {
	if a.Port != b.Port {
		return false
	}
	if strings.EqualFold(a.Host, b.Host) {
		return true
	}
	return a.IP != "" && a.IP == b.IP && (isIP(a.Host) || isIP(b.Host))
}

// isIP is true for the text of an IP address.
func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// addr resolves a host. ok is false for a host that is no address and, without resolve-hostnames, for every name.
func (m *Machine) addr(host string, port int) (a Addr, ok bool) {
	a = Addr{Host: host, Port: port}
	if !ValidHost(host) {
		return a, false
	}
	if isIP(host) {
		a.IP = host
		return a, true
	}
	if !m.set.ResolveHostnames {
		return a, false
	}
	if m.opt.Resolve != nil {
		if ips := m.opt.Resolve(host); len(ips) > 0 {
			a.IP = ips[0]
		}
	}
	return a, true
}

// show is the host as others are told it.
func (m *Machine) show(a Addr) string {
	if m.set.AnnounceHostnames {
		return a.Host
	}
	return a.best()
}

// hostPort writes addr:port, with brackets round an IPv6 address.
func hostPort(host string, port int) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]:" + strconv.Itoa(port)
	}
	return host + ":" + strconv.Itoa(port)
}

// baseTick is how often Tick wants to be called when nothing else is due, in milliseconds: often enough to notice a stop of the
// process that is just longer than the TILT trigger.
const baseTick = 100

// Due is when Tick must be called next, on the clock's Mono.
func (m *Machine) Due() int64 {
	due := m.lastTick.Mono + baseTick
	if !m.ticked {
		return m.now()
	}
	for _, ms := range m.masters {
		due = min(due, ms.next)
	}
	return due
}

// Tick does what is due: timers, connections, down states, failovers, scripts.
func (m *Machine) Tick() {
	if m.exited {
		return
	}
	m.checkTilt()
	m.ticked = true
	m.lastTick = m.clock
	if m.saveFailed && m.now()-m.saveTried >= 1000 {
		m.save()
	}
	// A switch replaces a master's replicas and may be due for several masters: it happens after the walk.
	var switched []*master
	for _, ms := range m.masters {
		if ms.next > m.now() {
			continue
		}
		m.handle(ms)
		if m.exited {
			return
		}
		if ms.state == updateConfig {
			switched = append(switched, ms)
		}
	}
	for _, ms := range switched {
		m.switchToPromoted(ms)
	}
	m.runScripts()
	m.tellGates()
}

// handle does all that is due for one master and what belongs to it, and notes when something will be due again.
func (m *Machine) handle(ms *master) {
	ms.next = m.now() + 1000
	m.handleNode(&ms.node)
	for _, n := range ms.replicas {
		m.handleNode(n)
	}
	for _, n := range ms.sentinels {
		m.handleNode(n)
	}
	if m.tilt {
		return
	}
	m.forgetOldAnswers(ms)
	m.checkObjectivelyDown(ms)
	m.startFailoverIfNeeded(ms)
	for range 8 { // one state leads to the next at once; eight is more than there are states
		was := ms.state
		m.advanceFailover(ms)
		if m.exited || ms.state == was || ms.state == updateConfig {
			break
		}
	}
	m.askOthers(ms)
}

func (m *Machine) handleNode(n *node) {
	m.reconnect(n)
	m.sendPeriodic(n)
	if !m.tilt {
		m.checkSubjectivelyDown(n)
	}
}

// wake makes a master due at once.
func (m *Machine) wake(ms *master) { ms.next = m.now() }

// at makes a master due no later than t.
func (ms *master) at(t int64) { ms.next = min(ms.next, t) }

// grid is what the moments of what comes again and again are rounded up to, in milliseconds: so that one wake-up does for many masters, and their
// answers come together, too.
const grid = 20

// turn is due for what comes again and again and may be up to grid late.
func (m *Machine) turn(ms *master, last, period int64) bool {
	if m.now()-last >= period {
		return true
	}
	ms.at((last + period + grid - 1) / grid * grid)
	return false
}

// due reports whether period has passed since last, and notes when it will have where not.
func (m *Machine) due(ms *master, last, period int64) bool {
	if m.now()-last >= period {
		return true
	}
	ms.at(last + period)
	return false
}

// checkTilt enters and leaves TILT: while time cannot be trusted, nothing is concluded from it.
func (m *Machine) checkTilt() {
	if m.ticked {
		if d := m.clock.Wall - m.lastTick.Wall; d < 0 || d > m.tune.TiltTrigger {
			m.tilt, m.tiltSince = true, m.now()
			m.event(Warning, "+tilt", nil, "#tilt mode entered")
		}
	}
	if m.tilt && m.now()-m.tiltSince >= m.tune.TiltPeriod {
		m.tilt = false
		m.event(Warning, "-tilt", nil, "#tilt mode exited")
		for _, ms := range m.masters {
			m.wake(ms)
		}
	}
}
