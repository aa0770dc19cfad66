package broker

import (
	"picket/cause"
	"picket/packet"
)

// limitsFor are the limits for a connection.
func (b *Broker) limitsFor(c *connection) limits {
	t := b.settings.Load()
	l := limits{peers: t.connections[c.from], listener: int64(c.from.MaxConnections), global: int64(t.GlobalMaxConnections), files: -1}
	if t.Compat.NoReserve {
		return l
	}
	l.files = max(0, t.fileRoom)
	if b.strain.memoryFull.Load() {
		l.memory = max(1, t.MemoryLimit)
	}
	return l
}

// welcome lets a new connection stay if there is a place, or else, and where its address is banned, to be told why it may not. mosquitto closes it at once.
func (b *Broker) welcome(c *connection) bool {
	t := b.settings.Load()
	switch {
	case b.fromBanned(c):
		return b.turnAway(c)
	case b.room.full(b.limitsFor(c)) == "":
		b.room.arrive()
		return true
	case t.Compat.CloseWhenFull:
		b.report(incident{cause: cause.MaxConnections}, "Client connection from %s denied: max_connections exceeded.", c.host())
		return false
	case b.room.turn(&c.slot, b.clock.Load(), t.turnedAtOnce):
		return true
	}
	b.report(incident{cause: cause.ServerFull}, "") // [Broker.measure] says in the log how many it was
	return false
}

// takePlace gives a connection a place that has none yet and whose client has proved who it is. Where there is no room the client may still take the
// place of its own earlier connection, which it is about to take over: often that is one whose network has gone without a word. That is looked
// at only now, so that a stranger learns nothing of who is connected.
func (b *Broker) takePlace(c *connection, id string) *refusal {
	full, ok := b.room.enter(&c.slot, b.limitsFor(c))
	if ok {
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
	s := b.sessions.byID[id]
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn != nil && b.room.has(&s.conn.slot) && listenerKey(s.conn.from) == listenerKey(at)
}

// closedTo says why a CONNECT is refused whoever sent it: the broker is in maintenance or overloaded; nil if it is not.
func (b *Broker) closedTo(c *connection) *refusal {
	if m := b.maintained.Load(); m != nil && !m.admits(c.remote().Addr(), c.local) {
		r := m.refusal(false)
		return &r
	}
	if short := b.strain.refusing(); short != "" && !c.local && !b.settings.Load().Compat.NoReserve {
		return &refusal{code: packet.ServerBusy, id: cause.Overloaded, text: short, told: true}
	}
	return nil
}
