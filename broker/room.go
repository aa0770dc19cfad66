package broker

import (
	"fmt"
	"sync"
	"sync/atomic"

	"picket/cause"
	"picket/packet"
)

// Where there is no room for another connection, the client is told so if that can be had cheaply: its CONNECT is waited for and answered,
// for at most turnedAtOnce connections at a time and answersPerSecond of them in a second. In a flood the rest is closed as it comes.
const (
	turnedAtOnce     = 64
	answersPerSecond = 100
	maxTurnedConnect = 16 << 10 // bytes of a CONNECT that is only read to be refused
)

// room is what connections are counted against.
type room struct {
	mu      sync.Mutex
	open    int64 // clients that have a place
	sockets int64 // connections that the broker knows of, with a place or without
	turned  int   // connections without one that are about to be told so
	second  uint32
	told    int // in that second
	unsaid  int // closed without a line in the log
}

// fileRoom is how many connections may be open when the process may open limit files, and how many more may be about to be told that there is
// no room. What is left serves the log, the listeners and handshakes.
func fileRoom(limit uint64) (open int64, turned int) {
	n := int64(min(limit, 1<<40))
	turned = int(min(turnedAtOnce, n/32))
	return n - max(24, n/32) - int64(turned), turned
}

// enter gives a client a place, or says which limit is reached. Connections without CONNECT have none: they are bounded by the listener's
// account of newcomers, and a silent one keeps no client out.
func (b *Broker) enter(c *connection) (full string, ok bool) {
	t := b.settings.Load()
	r := &b.room
	r.mu.Lock()
	defer r.mu.Unlock()
	peers := t.connections[c.from] // nil: a reload is under way and has just replaced the listener
	if full := b.fullLocked(c, t, peers); full != "" {
		return full, false
	}
	r.open++
	if peers != nil {
		peers.Add(1)
		c.peers = peers
	}
	c.placed = true
	return "", true
}

// full says which limit is reached, if any.
func (b *Broker) full(c *connection) string {
	t := b.settings.Load()
	b.room.mu.Lock()
	defer b.room.mu.Unlock()
	return b.fullLocked(c, t, t.connections[c.from])
}

func (b *Broker) fullLocked(c *connection, t *settings, peers *atomic.Int64) string {
	r := &b.room
	switch limit := int64(c.from.MaxConnections); {
	case peers != nil && limit >= 0 && peers.Load() >= limit:
		return fmt.Sprintf("max_connections (%d) of this listener is reached", limit)
	case t.GlobalMaxConnections > 0 && r.open >= int64(t.GlobalMaxConnections):
		return fmt.Sprintf("global_max_connections (%d) is reached", t.GlobalMaxConnections)
	case !t.Compat.NoReserve && r.open >= t.fileRoom:
		return fmt.Sprintf("the system lets the broker open no more files than for %d connections (ulimit -n, LimitNOFILE=)", t.fileRoom)
	case !t.Compat.NoReserve && b.strain.memoryFull.Load():
		return fmt.Sprintf("memory_limit (%d bytes) is reached", t.MemoryLimit)
	}
	return ""
}

// leave gives a connection's place back.
func (b *Broker) leave(c *connection) {
	r := &b.room
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sockets--
	if c.turned {
		r.turned--
	}
	if c.placed {
		r.open--
	}
	if c.peers != nil {
		c.peers.Add(-1)
	}
	c.turned, c.placed, c.peers = false, false, nil
}

// welcome lets a new connection stay if there is a place, or else to be told why there is none. mosquitto closes it at once.
func (b *Broker) welcome(c *connection) bool {
	if b.full(c) == "" {
		b.room.arrived()
		return true
	}
	if b.settings.Load().Compat.CloseWhenFull {
		b.report(incident{cause: cause.MaxConnections}, "Client connection from %s denied: max_connections exceeded.", c.host())
		return false
	}
	if !b.room.turn(c, b.clock.Load(), b.settings.Load().turnedAtOnce) {
		b.report(incident{cause: cause.ServerFull}, "") // [Broker.measure] says in the log how many it was
		return false
	}
	b.room.arrived()
	return true
}

func (r *room) arrived() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sockets++
}

// turn lets a connection stay to be told that there is no room, if that can be had.
func (r *room) turn(c *connection, now uint32, atOnce int) (stays bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.second != now {
		r.second, r.told = now, 0
	}
	if r.turned >= atOnce || r.told >= answersPerSecond {
		r.unsaid++
		return false
	}
	r.turned++
	r.told++
	c.turned = true
	return true
}

// take returns how many connections are open, and how many were closed without an answer since the last call.
func (r *room) take() (open int64, unsaid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	unsaid, r.unsaid = r.unsaid, 0
	return r.sockets, unsaid
}

// takePlace gives a connection a place that has none yet and whose client has proved who it is. Where there is no room the client may still take the
// place of its own earlier connection, which it is about to take over: often that is one whose network has gone without a word. That is looked
// at only now, so that a stranger learns nothing of who is connected.
func (b *Broker) takePlace(c *connection, id string) *refusal {
	full, ok := b.enter(c)
	if ok {
		b.room.unturn(c)
		return nil
	}
	if b.hasPlace(id, c.from) {
		return nil // claim hands it over
	}
	return &refusal{code: packet.QuotaExceeded, id: cause.ServerFull, text: full, told: true}
}

// hasPlace tells whether the client of that identifier has a place at a listener.
func (b *Broker) hasPlace(id string, at *Listener) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sessions[id]
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return false
	}
	b.room.mu.Lock()
	defer b.room.mu.Unlock()
	return s.conn.placed && listenerKey(s.conn.from) == listenerKey(at)
}

// inherit hands the place of a connection to the one that takes its session over.
func (r *room) inherit(c, from *connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.placed || !from.placed {
		return
	}
	c.placed, c.peers, from.placed, from.peers = true, from.peers, false, nil
	if c.turned {
		c.turned = false
		r.turned--
	}
}

// unturn is for a connection that was to be told that there is no room, and has got a place.
func (r *room) unturn(c *connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.turned {
		c.turned = false
		r.turned--
	}
}

// closedTo says why a CONNECT is refused whoever sent it: the broker is in maintenance or overloaded; nil if it is not.
func (b *Broker) closedTo(c *connection) *refusal {
	if m := b.maintained.Load(); m != nil && !m.admits(c) {
		r := m.refusal(false)
		return &r
	}
	if short := b.strain.refusing(); short != "" && !c.local && !b.settings.Load().Compat.NoReserve {
		return &refusal{code: packet.ServerBusy, id: cause.Overloaded, text: short, told: true}
	}
	return nil
}
