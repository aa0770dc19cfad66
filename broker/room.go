package broker

import (
	"fmt"
	"sync"

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
	mu     sync.Mutex
	open   int64 // connections that have a place
	turned int   // connections without one that are about to be told so
	second uint32
	told   int // in that second
	unsaid int // closed without a line in the log
}

// fileRoom is how many connections may be open when the process may open limit files, and how many more may be about to be told that there is
// no room. What is left serves the log, the listeners and handshakes.
func fileRoom(limit uint64) (open int64, turned int) {
	n := int64(min(limit, 1<<40))
	turned = int(min(turnedAtOnce, n/32))
	return n - max(24, n/32) - int64(turned), turned
}

// enter gives a connection a place, or says which limit is reached.
func (b *Broker) enter(c *connection) (full string, ok bool) {
	t := b.settings.Load()
	r := &b.room
	r.mu.Lock()
	defer r.mu.Unlock()
	peers := t.connections[c.from] // nil: a reload is under way and has just replaced the listener
	switch limit := int64(c.from.MaxConnections); {
	case peers != nil && limit >= 0 && peers.Load() >= limit:
		return fmt.Sprintf("max_connections (%d) of this listener is reached", limit), false
	case t.GlobalMaxConnections > 0 && r.open >= int64(t.GlobalMaxConnections):
		return fmt.Sprintf("global_max_connections (%d) is reached", t.GlobalMaxConnections), false
	case !t.Mosquitto && r.open >= t.fileRoom:
		return fmt.Sprintf("the system lets the broker open no more files than for %d connections (ulimit -n, LimitNOFILE=)", t.fileRoom), false
	case !t.Mosquitto && b.strain.memoryFull.Load():
		return fmt.Sprintf("memory_limit (%d bytes) is reached", t.MemoryLimit), false
	}
	r.open++
	if peers != nil {
		peers.Add(1)
		c.peers = peers
	}
	c.placed = true
	return "", true
}

// leave gives a connection's place back.
func (b *Broker) leave(c *connection) {
	r := &b.room
	r.mu.Lock()
	defer r.mu.Unlock()
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

// welcome gives a new connection a place or lets it stay to be told why there is none. mosquitto closes it at once.
func (b *Broker) welcome(c *connection) bool {
	if _, ok := b.enter(c); ok {
		return true
	}
	if b.settings.Load().Mosquitto {
		b.report(incident{cause: cause.MaxConnections}, "Client connection from %s denied: max_connections exceeded.", c.host())
		return false
	}
	if !b.room.turn(c, b.clock.Load(), b.settings.Load().turnedAtOnce) {
		b.report(incident{cause: cause.ServerFull}, "") // [Broker.measure] says in the log how many it was
		return false
	}
	return true
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
	return r.open, unsaid
}

// closedTo says why a CONNECT is refused whoever sent it: the broker is in maintenance, full or overloaded; nil if it is not.
func (b *Broker) closedTo(c *connection) *refusal {
	if m := b.maintained.Load(); m != nil && !m.admits(c) {
		r := m.refusal(false)
		return &r
	}
	if c.turned {
		full, ok := b.enter(c)
		if !ok {
			return &refusal{code: packet.QuotaExceeded, id: cause.ServerFull, text: full, told: true}
		}
		b.room.mu.Lock() // somebody has left meanwhile
		b.room.turned--
		c.turned = false
		b.room.mu.Unlock()
	}
	if short := b.strain.refusing(); short != "" && !c.local && !b.settings.Load().Mosquitto {
		return &refusal{code: packet.ServerBusy, id: cause.Overloaded, text: short, told: true}
	}
	return nil
}
