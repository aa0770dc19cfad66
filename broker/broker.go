// Package broker is the MQTT broker itself: it connects clients to sessions, routes what they publish, delivers it, and keeps
// what outlives a connection.
//
// The broker does no input or output of its own. A [listener.Set] feeds it: bytes go in by [listener.Client.Read], on a worker that
// belongs to one event loop, and each batch ends in [listener.Worker.Flush], which writes once to every connection that got something.
//
// Locks are taken in the order Broker.mu, Session.mu, Broker.listMu, and never two sessions at once.
package broker

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"picket/access"
	"picket/ban"
	"picket/cause"
	"picket/listener"
	"picket/logging"
	"picket/packet"
	"picket/process"
	"picket/session"
	"picket/store"
	"picket/topic"
)

// Version is what the broker calls itself in its log and in $SYS; the build sets it.
var Version = "0.1.0"

// Broker is a running broker.
type Broker struct {
	log      *logging.Logger
	settings atomic.Pointer[settings]
	index    *topic.Index[*Session]
	retained *retained
	memory   memory

	mu        sync.Mutex // guards the table of sessions, dues and takeovers
	sessions  register
	dues      dues
	takeovers takeovers
	endings   endings // with a mutex of its own

	listMu  sync.Mutex // guards the chains
	opening wheel      // accepted, no CONNECT yet, by when it is due
	wheel   wheel      // clients, by when their keep alive is looked at

	queued       session.Budget // what waits in the queues of all sessions
	online       atomic.Int64   // sessions with a connection
	time         clock
	clock        atomic.Uint32 // seconds since the start
	unix         atomic.Int64  // seconds since 1970
	started      time.Time
	stats        stats
	timings      timings
	commits      atomic.Uint64 // batches that had to be waited for
	room         room
	strain       strain
	attempts     attempts[*connection]
	bans         *ban.List
	maintained   atomic.Pointer[maintenance] // nil: the broker is open
	floodLine    oncePerSecond
	bannedLine   oncePerSecond
	callerLine   oncePerSecond
	guessedLine  oncePerSecond
	retainedLine oncePerSecond
	nodeLine     oncePerSecond
	sharedLine   oncePerSecond

	workers   sync.Pool
	passwords *passwordQueue                            // of passwords that are hashed here
	asked     *passwordQueue                            // of logins that others are asked about
	links     *Listener                                 // the one that every [Link] has come by
	self      *Local                                    // what the broker itself says: $SYS and the log's topics
	locals    map[*Local]bool                           // guarded by mu; nil when the broker has ended
	controls  atomic.Pointer[map[string]ControlHandler] // replaced with mu held
	fetching  chan struct{}                             // bounds how many answers of others are waited for at once
	listeners *listener.Set
	taps      atomic.Pointer[[]tap]    // who looks on; nil: nobody. Every packet passes by it
	watches   atomic.Pointer[[]*Watch] // likewise, at what happens to clients
	tapMu     sync.Mutex               // guards changes of taps and of watches
	reloading sync.Mutex
	epoch     atomic.Uint64                 // counts the changes of what CONNECT is judged by; see [connection.outdated]
	gate      atomic.Pointer[chan struct{}] // not nil while a reload is due or under way: CONNECT waits until it is closed
	gateMu    sync.Mutex                    // guards changes of gate, and due
	due       bool                          // a reload has been announced and has not begun
	stopping  chan struct{}
	context   context.Context // ends with the broker
	end       context.CancelFunc

	ownership  Ownership   // nil: every session is this node's
	neighbours *Neighbours // nil: there are no other nodes
	owners     possessions // guarded by mu
	store      store.Store // [store.None] where nothing is kept beyond the broker's life
	stores     bool        // it is not that
	acks       pendingAcks
	throttle   throttle
	readers    chan struct{}            // bounds how many queues are read at once
	failures   atomic.Uint64            // batches that the store has refused
	ailing     atomic.Pointer[cause.ID] // why the store cannot be written; nil: it can

	wait sync.WaitGroup
}

// settings is a configuration in force, with the rules read from its files. It never changes; a reload replaces it.
type settings struct {
	Config
	policies       []*access.Policy
	receiveMaximum int // QoS 2 messages a client may leave unreleased, told in CONNACK unless it is what the protocol has clients assume
	window         int // messages in flight to a client
	newcomers      int // connections that are no clients yet
	memory         memoryLimits
	connections    map[*Listener]*atomic.Int64 // open connections by listener
	fileRoom       int64                       // open connections that the limit on open files has room for
	turnedAtOnce   int                         // connections without a place that may be told so at a time
	machineMemory  int64                       // bytes that there are for the process
}

// Start opens the listeners of a configuration and serves until [Broker.Close]. It fails when a file of the configuration
// cannot be used or a listener cannot be opened; nothing is left running then.
func Start(c Config, log *logging.Logger) (*Broker, error) {
	b := newBroker(c, log)
	t, err := b.prepare(c)
	if err != nil {
		return nil, err
	}
	b.install(t)
	if err := b.restore(); err != nil {
		return nil, err
	}
	log.SetTopicSink(b.logTopic)
	if c.Shut {
		b.shut(true)
	}
	set, err := listener.Open(context.Background(), transportsOf(c.Listeners), b, b.options(t))
	if err != nil {
		log.SetTopicSink(nil)
		return nil, err
	}
	b.listeners = set
	if n := b.neighbours; n != nil {
		b.wait.Go(n.run)
	}
	if b.ownership != nil {
		b.wait.Go(b.obey)
	}
	for _, loop := range []func(){b.keepTime, b.sendAcks, b.purge, b.publishSys, b.measure, b.tellAttempts} {
		b.wait.Go(loop)
	}
	return b, nil
}

// newBroker makes a broker that has no settings, listeners or goroutines yet.
func newBroker(c Config, log *logging.Logger) *Broker {
	b := &Broker{
		log: log, index: topic.NewIndex[*Session](),
		sessions:  register{byID: make(map[string]*Session)},
		passwords: newPasswordQueue(max(1, runtime.GOMAXPROCS(0)-1), checksEach), asked: newPasswordQueue(maxLogins, asksEach), fetching: make(chan struct{}, maxFetches),
		stopping: make(chan struct{}), time: c.clock,
	}
	b.retained = newRetained(&b.memory)
	b.queued.CountIn(account{&b.memory, heldQueued})
	b.strain.init()
	b.timings.init()
	b.passwords.took = &b.timings.login
	b.acks.init()
	if c.Peers != nil {
		b.neighbours = b.newNeighbours(c.Peers)
	}
	if b.ownership = c.Ownership; b.ownership != nil {
		b.owners.own()
		b.sessions.left = func(id string) { b.owners.idle[id] = b.now() }
	}
	if b.bans = c.Bans; b.bans == nil {
		b.bans = new(ban.List)
	}
	b.store, b.readers = store.None{}, make(chan struct{}, maxReaders)
	if c.Store != nil {
		b.store, b.stores = c.Store, true
		b.retained.commit = b.commit
	}
	b.context, b.end = context.WithCancel(context.Background())
	if c.passwordDelay != nil {
		b.passwords.delay, b.asked.delay = c.passwordDelay, c.passwordDelay
	}
	if b.time == nil {
		b.time = machineClock{}
	}
	b.started = b.now()
	b.workers.New = func() any { return b.newWorker() }
	b.unix.Store(b.started.Unix())
	b.links = newLinkDoor()
	if len(c.Controls) > 0 {
		all := maps.Clone(c.Controls)
		b.controls.Store(&all)
	}
	b.locals = make(map[*Local]bool)
	b.self = b.Local(nil, nil)
	return b
}

// prepare reads the files of a configuration, without putting anything in force.
func (b *Broker) prepare(c Config) (*settings, error) {
	t := &settings{Config: c, receiveMaximum: session.MaxWindow, window: session.MaxWindow}
	if n := c.MaxInflightMessages; n > 0 && n < session.MaxWindow {
		t.window = n
	}
	if n := c.ReceiveMaximum; n > 0 && n < session.MaxWindow {
		t.receiveMaximum = n
	}
	if c.Compat.ReceiveMaximumAsWindow {
		t.receiveMaximum = t.window // as mosquitto tells it
	}
	if b.neighbours != nil {
		t.Peers, t.RetainAvailable = b.neighbours.peers, false
	}
	if t.ConnectTimeout <= 0 {
		t.ConnectTimeout = 10 * time.Second
	}
	if t.MaxOutputBytes <= 0 {
		t.MaxOutputBytes = 8 << 20
	}
	t.machineMemory = process.Memory()
	t.fileRoom, t.turnedAtOnce = fileRoom(fileLimit())
	t.memory = limitsFor(t.machineMemory / 2) // the rest is for what the garbage collector has not found yet
	if t.MemoryLimit > 0 {
		t.memory = limitsFor(t.MemoryLimit)
	}
	if n := t.MaxTotalOutputBytes; n > 0 {
		t.memory.kinds[heldOutput] = min(t.memory.kinds[heldOutput], n)
	}
	t.newcomers = newcomerShare(fileLimit())
	t.memory.kinds[heldConnecting] = min(max(t.memory.kinds[heldConnecting], minNewcomerBytes), maxNewcomerBytes)
	b.prepareListeners(t)
	if err := b.loadPolicies(t); err != nil {
		return nil, err
	}
	return t, nil
}

// prepareListeners gives the listeners their time limits, and the counts of those before them at the same sockets.
func (b *Broker) prepareListeners(t *settings) {
	t.connections = make(map[*Listener]*atomic.Int64)
	before := make(map[string]*atomic.Int64)
	if old := b.settings.Load(); old != nil {
		for l, n := range old.connections {
			before[listenerKey(l)] = n
		}
	}
	for _, l := range t.Listeners {
		if l.Owner != any(l) {
			l.OpeningLimit = t.ConnectTimeout
		}
		if t.connections[l] = before[listenerKey(l)]; t.connections[l] == nil {
			t.connections[l] = new(atomic.Int64)
		}
	}
}

// loadPolicies reads the files with the rules of all listeners.
func (b *Broker) loadPolicies(t *settings) error {
	for _, s := range t.Security {
		s.SubscribeUnchecked = s.SubscribeUnchecked || t.Compat.SubscribeUnchecked
		p, warnings, err := access.Load(s)
		for _, w := range warnings {
			b.log.Printf(w.Type, "%s", w.Text)
		}
		if err != nil {
			return err
		}
		t.policies = append(t.policies, p)
	}
	for _, l := range t.Listeners {
		if l.Security < 0 || l.Security >= len(t.policies) {
			return fmt.Errorf("listener %s: no security rules with index %d", l.Source, l.Security)
		}
	}
	return nil
}

// install puts settings in force.
func (b *Broker) install(t *settings) {
	b.memory.setLimits(t.memory)
	b.settings.Store(t)
	b.bans.UseRule(t.BanAfter)
	b.epoch.Add(1)
}

// Close ends the broker: what clients have sent until now is handled, a PUBACK among it; then they are told why they have to go where
// their version has words for it, and all connections are closed.
func (b *Broker) Close() {
	b.listeners.CatchUp()
	close(b.stopping)
	b.end()
	b.mu.Lock()
	var all []*connection
	for _, s := range b.sessions.byID {
		s.mu.Lock()
		if s.conn != nil {
			all = append(all, s.conn)
		}
		s.mu.Unlock()
	}
	b.mu.Unlock()
	b.do(func(w *worker) {
		for _, c := range all {
			c.dismiss(w, refusal{code: packet.ServerShuttingDown, id: cause.ServerShuttingDown, text: "the broker is being stopped"}, "")
		}
	})
	b.log.SetTopicSink(nil)
	b.listeners.Close()
	b.wait.Wait()
	b.closeLocals()
}

// packetLimit is the size in bytes that a packet of the client may have. Before CONNECT has been accepted nobody needs a large one, but a
// will payload of 64 KiB with its properties has to fit.
func (b *Broker) packetLimit(c *connection, at stage, start []byte) int {
	limit := packet.MaxRemaining + 5
	if m := b.settings.Load().MaxPacketSize; m > 0 {
		limit = int(m)
	}
	if at != connected {
		limit = min(limit, connectLimit(start))
		if c.slot.turned {
			limit = min(limit, maxTurnedConnect)
		}
	}
	return limit
}

// maxConnect is the largest CONNECT with a will that is read: each of its fields is at most 64 KiB, and properties may repeat. maxPlainConnect is the largest of
// all others, and the largest AUTH: client identifier, user name, password, and as much of properties.
const (
	maxConnect      = 1 << 20
	maxPlainConnect = 256 << 10
)

// connectLimit is how large a packet may be that comes before CONNACK, by how it begins.
func connectLimit(b []byte) int {
	head, _, err := packet.Header(b)
	if err != nil || head == 0 || packet.Type(b[0]>>4) != packet.CONNECT {
		return maxPlainConnect
	}
	// The protocol's name with its length, its version, and the flags.
	rest := b[head:]
	if len(rest) < 2 {
		return maxConnect // the flags have yet to come
	}
	flags := 2 + int(binary.BigEndian.Uint16(rest)) + 1
	if len(rest) <= flags && flags < 16 {
		return maxConnect
	}
	const hasWill = 1 << 2
	if flags < 16 && rest[flags]&hasWill != 0 {
		return maxConnect
	}
	return maxPlainConnect
}

func (b *Broker) debugf(format string, args ...any) {
	if b.log.Enabled(logging.Debug) {
		b.log.Printf(logging.Debug, format, args...)
	}
}

func (b *Broker) logPublish(word, id string, dup bool, qos byte, retain bool, mid uint16, name []byte, size int) {
	if !b.log.Enabled(logging.Debug) {
		return
	}
	where := "from"
	if word == "Sending" {
		where = "to"
	}
	b.log.Printf(logging.Debug, "%s PUBLISH %s %s (d%d, q%d, r%d, m%d, '%s', ... (%d bytes))", word, where, id, bit(dup), qos, bit(retain), mid, name, size)
}

func itoa(n int) string { return strconv.Itoa(n) }

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}
