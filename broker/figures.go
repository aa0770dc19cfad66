package broker

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"picket/cause"
	"picket/store"
)

// Figure is a number, or a family of numbers told apart by one label, that the broker gives of itself. $SYS, the status of package admin and
// the metrics are all made from the table of figures, so that each has one meaning and one source wherever it is shown. The table never changes.
type Figure struct {
	// Name is the metric without its prefix, by Prometheus' conventions: base units, and _total for what only grows. Several rows may share a Name,
	// with different values of one label. Empty for what follows from other figures.
	Name string
	// Help says in a sentence what the figure is; the same in all rows of one Name.
	Help string
	// Label names the label; empty for none. Its values are few and known beforehand: never a client, a user or a topic.
	Label string
	// Sys are topics below $SYS/broker/, and Status is a place in the status, members joined by dots. A * stands for the label's value. Where the
	// place ends in "milliseconds" the figure, which is in seconds, is shown in those.
	Sys    []string
	Status string
	// rate is the topic below $SYS/broker/load/ of its moving averages per minute; empty for none.
	rate string
	read func(r *reading, add func(label string, value float64))
}

// Total tells whether the figure only grows.
func (f *Figure) Total() bool { return strings.HasSuffix(f.Name, "_total") }

// place is where the figure's value for a label is shown; ok is false for nowhere. A list of what happened leaves out what did not.
func (f *Figure) place(pattern, label string, value float64) (place string, ok bool) {
	before, after, list := strings.Cut(pattern, "*")
	if !list {
		return pattern, pattern != ""
	}
	return before + label + after, value != 0
}

// in is the figure's value as it is shown in a place.
func (f *Figure) in(place string, value float64) int64 {
	if strings.HasSuffix(place, "milliseconds") {
		value *= 1000
	}
	return int64(value)
}

// reading is what figures are read from: the broker at one moment. What takes a lock is read once for all of them.
type reading struct {
	b                     *Broker
	settings              *settings
	sessions, online      int64
	subscriptions, shared int
	load                  Load
	store                 *store.Stats // nil: there is none
	heap, heapMost        int64
}

// most is the highest value seen of something that is looked at now and then.
type most struct{ atomic.Int64 }

func (m *most) see(n int64) int64 {
	for {
		was := m.Load()
		if n <= was || m.CompareAndSwap(was, n) {
			return max(n, was)
		}
	}
}

func (b *Broker) read() *reading {
	r := &reading{b: b, settings: b.settings.Load(), load: b.Load(), heap: int64(readMetric("/memory/classes/heap/objects:bytes"))}
	b.mu.Lock()
	r.sessions = int64(len(b.sessions.byID))
	b.mu.Unlock()
	b.stats.sessionsMost.see(r.sessions)
	r.heapMost = b.stats.heapMost.see(r.heap)
	r.online = min(b.online.Load(), r.sessions)
	r.subscriptions, r.shared = b.index.Len()
	if b.neighbours != nil {
		r.subscriptions -= int(b.neighbours.routes.Load())
		r.shared -= int(b.neighbours.shares.Load())
	}
	r.load.Connections = b.room.connections()
	if b.stores {
		st := b.store.Stats()
		r.store = &st
	}
	return r
}

// Table lists all figures.
func Table() []*Figure {
	all := make([]*Figure, len(figures))
	for i := range figures {
		all[i] = &figures[i]
	}
	return all
}

// Figures reads all figures at once and passes each value on, with its label's value. It costs the same whatever the number of clients.
func (b *Broker) Figures(each func(f *Figure, label string, value float64)) {
	r := b.read()
	for i := range figures {
		f := &figures[i]
		f.read(r, func(label string, value float64) { each(f, label, value) })
	}
}

// StatusFigures are the figures that have a place in the status, by that place.
func (b *Broker) StatusFigures() map[string]int64 {
	all := make(map[string]int64)
	b.Figures(func(f *Figure, label string, value float64) {
		if place, ok := f.place(f.Status, label, value); ok {
			all[place] = f.in(place, value)
		}
	})
	return all
}

// is, counter and ofStore make the reading of a figure without a label: from the broker, from a counter, and from the store if there is one.
func is(value func(r *reading) int64) func(*reading, func(string, float64)) {
	return func(r *reading, add func(string, float64)) { add("", float64(value(r))) }
}

func counter(of func(s *stats) *atomic.Uint64) func(*reading, func(string, float64)) {
	return func(r *reading, add func(string, float64)) { add("", float64(of(&r.b.stats).Load())) }
}

func ofStore(value func(s *store.Stats) int64) func(*reading, func(string, float64)) {
	return func(r *reading, add func(string, float64)) {
		if r.store != nil {
			add("", float64(value(r.store)))
		}
	}
}

func bit01(b bool) float64 { return float64(bit(b)) }

// figures is the table. What is in force only where something is configured has no value elsewhere.
var figures = []Figure{
	{Name: "clients_connected", Help: "Sessions that have a connection.", Sys: []string{"clients/connected", "clients/active"}, Status: "clients",
		read: is(func(r *reading) int64 { return r.online })},
	{Name: "sessions", Help: "Sessions, with a connection or without.", Sys: []string{"clients/total"}, Status: "sessions",
		read: is(func(r *reading) int64 { return r.sessions })},
	{Sys: []string{"clients/disconnected", "clients/inactive"}, read: is(func(r *reading) int64 { return r.sessions - r.online })},
	{Name: "sessions_peak", Help: "The most sessions that were seen when figures were read.", Sys: []string{"clients/maximum"},
		read: is(func(r *reading) int64 { return r.b.stats.sessionsMost.Load() })},
	{Name: "sessions_expired_total", Help: "Sessions whose expiry interval ran out.", Sys: []string{"clients/expired"},
		read: counter(func(s *stats) *atomic.Uint64 { return &s.expired })},
	{Name: "connections_accepted_total", Help: "Connections accepted, of clients or not.", rate: "sockets",
		read: counter(func(s *stats) *atomic.Uint64 { return &s.sockets })},
	{Name: "connects_total", Help: "CONNECT packets received.", rate: "connections", read: counter(func(s *stats) *atomic.Uint64 { return &s.connects })},
	{Name: "connections_open", Help: "Open connections, of clients or not.", Sys: []string{"picket/connections/open"}, Status: "load.connections",
		read: is(func(r *reading) int64 { return r.load.Connections })},
	{Name: "connections_limit", Help: "Connections that the limit on open files has room for.", Sys: []string{"picket/connections/limit"},
		Status: "load.connection_limit", read: is(func(r *reading) int64 { return r.load.ConnectionLimit })},
	{Name: "listener_connections", Help: "Connections of clients by listener.", Label: "listener", read: func(r *reading, add func(string, float64)) {
		for _, l := range r.settings.Listeners {
			add(l.name(), float64(r.settings.connections[l].Load()))
		}
	}},

	{Name: "packets_received_total", Help: "MQTT packets received.", Sys: []string{"messages/received"}, rate: "messages/received",
		read: counter(func(s *stats) *atomic.Uint64 { return &s.packetsIn })},
	{Name: "packets_sent_total", Help: "MQTT packets sent.", Sys: []string{"messages/sent"}, rate: "messages/sent",
		read: counter(func(s *stats) *atomic.Uint64 { return &s.packetsOut })},
	{Name: "received_bytes_total", Help: "Bytes received in MQTT packets.", Sys: []string{"bytes/received"}, rate: "bytes/received",
		read: counter(func(s *stats) *atomic.Uint64 { return &s.bytesIn })},
	{Name: "sent_bytes_total", Help: "Bytes sent in MQTT packets.", Sys: []string{"bytes/sent"}, rate: "bytes/sent",
		read: counter(func(s *stats) *atomic.Uint64 { return &s.bytesOut })},
	{Name: "publish_received_total", Help: "PUBLISH packets received.", Sys: []string{"publish/messages/received"}, rate: "publish/received",
		read: counter(func(s *stats) *atomic.Uint64 { return &s.publishIn })},
	{Name: "publish_sent_total", Help: "PUBLISH packets sent.", Sys: []string{"publish/messages/sent"}, rate: "publish/sent",
		read: counter(func(s *stats) *atomic.Uint64 { return &s.publishOut })},
	{Name: "publish_dropped_total", Help: "Messages dropped for receivers whose queue or output was full.", Sys: []string{"publish/messages/dropped"}, rate: "publish/dropped",
		read: counter(func(s *stats) *atomic.Uint64 { return &s.dropped })},
	{Name: "publish_payload_received_bytes_total", Help: "Payload bytes of PUBLISH packets received.", Sys: []string{"publish/bytes/received"},
		read: counter(func(s *stats) *atomic.Uint64 { return &s.payloadIn })},
	{Name: "publish_payload_sent_bytes_total", Help: "Payload bytes of PUBLISH packets sent.", Sys: []string{"publish/bytes/sent"},
		read: counter(func(s *stats) *atomic.Uint64 { return &s.payloadOut })},

	{Name: "subscriptions", Help: "Subscriptions, memberships of shared groups among them.", Sys: []string{"subscriptions/count"}, Status: "subscriptions",
		read: is(func(r *reading) int64 { return int64(r.subscriptions) })},
	{Name: "shared_subscriptions", Help: "Memberships of shared groups.", Sys: []string{"shared_subscriptions/count"},
		read: is(func(r *reading) int64 { return int64(r.shared) })},
	{Name: "retained_messages", Help: "Retained messages.", Sys: []string{"retained messages/count"}, Status: "retained_messages",
		read: is(func(r *reading) int64 { return int64(r.b.retained.len()) })},
	{Name: "retained_bytes", Help: "Bytes that retained messages take in memory.", read: is(func(r *reading) int64 { return r.b.retained.bytes() })},
	{Name: "queued_messages", Help: "Messages in memory that wait in the queues of sessions or are in flight.", read: is(func(r *reading) int64 { return int64(r.b.queued.Messages()) })},
	{Name: "queued_bytes", Help: "Bytes of those messages.", read: is(func(r *reading) int64 { return r.b.queued.Used() })},
	{Name: "output_waiting_bytes", Help: "Bytes of packets that receivers have not taken yet.", read: is(func(r *reading) int64 { return r.b.memory.of(heldOutput) })},
	{Status: "waiting_bytes", read: is(func(r *reading) int64 { return r.b.queued.Used() + r.b.memory.of(heldOutput) })},
	// mosquitto's: what is queued, in memory or in the store, and what is retained. What is in memory is in the store as well, but for the messages
	// of sessions that end with their connections.
	{Sys: []string{"messages/stored", "store/messages/count"}, read: is(func(r *reading) int64 {
		if r.store != nil {
			return int64(r.b.retained.len()) + r.store.Entries
		}
		return int64(r.b.retained.len()) + int64(r.b.queued.Messages())
	})},
	{Sys: []string{"store/messages/bytes"}, read: is(func(r *reading) int64 {
		n := r.b.retained.bytes() + r.b.queued.Used()
		if r.store != nil {
			n = max(n, r.store.Live)
		}
		return n
	})},

	{Name: "overloaded", Help: "1 while the resource is short.", Label: "resource", read: func(r *reading, add func(string, float64)) {
		for _, g := range shortages {
			add(g, bit01(slices.Contains(r.load.Short, g)))
		}
	}},
	{Name: "event_loop_lag_seconds", Help: "How late the event loops and timers were in the last second.", Sys: []string{"picket/lag/milliseconds"},
		Status: "load.lag_milliseconds", read: func(r *reading, add func(string, float64)) { add("", r.load.Lag.Seconds()) }},
	{Name: "password_wait_seconds", Help: "The longest that a CONNECT of the last second had to wait until its password was checked.",
		Sys: []string{"picket/passwords/milliseconds"}, Status: "load.password_wait_milliseconds",
		read: func(r *reading, add func(string, float64)) { add("", r.load.PasswordWait.Seconds()) }},
	{Name: "memory_used_bytes", Help: "Memory in use: live objects where there is a memory_limit, else all memory of the process.", Sys: []string{"picket/memory/bytes"},
		Status: "load.memory_bytes", read: is(func(r *reading) int64 { return r.load.Memory })},
	{Name: "memory_limit_bytes", Help: "memory_limit, else the memory of the machine or the control group.", Sys: []string{"picket/memory/limit"},
		Status: "load.memory_limit_bytes", read: is(func(r *reading) int64 { return r.load.MemoryLimit })},
	{Name: "memory_held_bytes", Help: "Memory by what holds it, as far as it counts against a limit.", Label: "kind", read: func(r *reading, add func(string, float64)) {
		for k, name := range memoryNames {
			add(name, float64(r.b.memory.of(memoryKind(k))))
		}
	}},
	{Sys: []string{"heap/current"}, read: is(func(r *reading) int64 { return r.heap })},
	{Sys: []string{"heap/maximum"}, read: is(func(r *reading) int64 { return r.heapMost })},
	{Name: "maintenance", Help: "1 while the broker is closed to clients for maintenance.", read: func(r *reading, add func(string, float64)) {
		add("", bit01(r.b.maintained.Load() != nil))
	}},

	{Name: "store_messages", Help: "Messages in the queues of stored sessions.", Sys: []string{"picket/store/queued"}, Status: "store.messages",
		read: ofStore(func(s *store.Stats) int64 { return s.Entries })},
	{Name: "store_live_bytes", Help: "Bytes of all records of the store, near enough.", Sys: []string{"picket/store/live/bytes"}, read: ofStore(func(s *store.Stats) int64 { return s.Live })},
	{Name: "store_disk_bytes", Help: "Bytes that the store takes on the disk.", Sys: []string{"picket/store/disk/bytes"}, Status: "store.disk_bytes",
		read: ofStore(func(s *store.Stats) int64 { return s.Disk })},
	{Name: "store_pending_bytes", Help: "Bytes that wait to be written.", Sys: []string{"picket/store/pending/bytes"}, Status: "store.waiting_bytes",
		read: ofStore(func(s *store.Stats) int64 { return s.Pending })},
	{Name: "store_written_total", Help: "Operations written to the store.", Sys: []string{"picket/store/written"}, read: ofStore(func(s *store.Stats) int64 { return int64(s.Written) })},
	{Name: "store_skipped_total", Help: "Operations that did not have to be written any more.", Sys: []string{"picket/store/skipped"},
		read: ofStore(func(s *store.Stats) int64 { return int64(s.Skipped) })},
	{Name: "store_commits_total", Help: "Groups of batches that were made durable together.", read: ofStore(func(s *store.Stats) int64 { return int64(s.Groups) })},
	{Name: "store_fsyncs_total", Help: "Calls of fsync.", Sys: []string{"picket/store/syncs"}, Status: "store.fsyncs", read: ofStore(func(s *store.Stats) int64 { return int64(s.Syncs) })},
	{Name: "store_refused_total", Help: "Batches that the store could not keep.", Sys: []string{"picket/store/refused"}, read: ofStore(func(s *store.Stats) int64 { return int64(s.Failed) })},
	{Name: "store_failing", Help: "1 while nothing can be stored.", read: func(r *reading, add func(string, float64)) {
		if r.store != nil {
			add("", bit01(r.b.ailing.Load() != nil))
		}
	}},

	{Name: "causes_total", Help: "What was refused, dropped or closed, by cause.", Label: "cause", Sys: []string{"picket/causes/*"}, Status: "causes.*", read: readCauses},
}

// brokerStages are the stages whose causes a broker may count.
var brokerStages = []cause.Stage{cause.Server, cause.FirstBytes, cause.TLS, cause.Upgrade, cause.Connect, cause.Use, cause.Stay}

// readCauses gives the causes of those stages, and others that have been counted. Those that did not happen are among them: the first event of a cause
// would not show in a rate otherwise.
func readCauses(r *reading, add func(string, float64)) {
	counted := r.b.Causes()
	for _, c := range cause.All() {
		if n := counted[c.ID]; n > 0 || slices.Contains(brokerStages, c.Stage) {
			add(string(c.ID), float64(n))
		}
	}
}

// name is how a listener is called where it is counted: its address and port, or its path, and what else tells it from others.
func (l *Listener) name() string {
	name := strconv.Itoa(l.Port)
	switch {
	case l.Path != "":
		name = l.Path
	case l.Address != "":
		name = net.JoinHostPort(l.Address, name)
	}
	for _, more := range []string{l.Interface, l.Domain} {
		if more != "" {
			name += "%" + more
		}
	}
	return strings.ToValidUTF8(name, "?")
}
