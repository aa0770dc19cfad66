package echo

import (
	"net/netip"
	"sync"
	"time"

	"picket/cause"
)

// maxClients bounds the table of clients. Beyond it the accounts of clients without a connection are given up.
const maxClients = 1 << 16

// clients keeps the accounts of all clients.
type clients struct {
	limits Limits

	mu    sync.Mutex
	open  int // connections of all
	table map[netip.Prefix]*client
}

// client is the account of one. Its fields belong to clients.mu.
type client struct {
	key       netip.Prefix
	open      int       // connections
	minute    time.Time // when the count of new connections began
	opened    int       // since minute
	refused   int       // since minute
	untold    int       // refusals that were not logged when they happened
	hour      time.Time // when the count of bytes began
	bytes     int64     // since hour
	lastCause cause.ID  // of the last of them
}

// hushed are refusals of one client that had no line of their own in the log.
type hushed struct {
	client netip.Prefix
	count  int
	cause  cause.ID
}

// clientOf is who an address stands for: itself, or its /64 network, which belongs to one customer.
func clientOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fails for other numbers of bits only
	return p
}

func newClients(limits Limits) *clients {
	return &clients{limits: limits, table: make(map[netip.Prefix]*client)}
}

// enter opens a connection in the account of an address, or says why it may not be. Then first says whether the refusal should be
// logged, so that a flood does not fill the log too.
func (t *clients) enter(a netip.Addr, now time.Time) (c *client, refused *Error, first bool) {
	key := clientOf(a)
	t.mu.Lock()
	defer t.mu.Unlock()
	c = t.table[key]
	if c == nil {
		if len(t.table) >= maxClients {
			t.makeRoom()
		}
		c = &client{key: key, minute: now, hour: now}
		t.table[key] = c
	}
	c.renew(now)
	switch l := t.limits; {
	case t.open >= l.Connections:
		refused = errorf(cause.EchoServerFull, "there are %d connections already", t.open)
	case c.open >= l.PerClient:
		refused = errorf(cause.EchoClientConnections, "%s has %d connections already", a, c.open)
	case c.opened >= l.PerMinute:
		refused = errorf(cause.EchoClientConnections, "%s has opened %d connections within a minute", a, c.opened)
	case c.bytes >= l.Bytes:
		refused = errorf(cause.EchoClientBytes, "%s has sent %d bytes within an hour", a, c.bytes)
	default:
		t.open++
		c.open++
		c.opened++
		return c, nil, false
	}
	c.refused++
	if c.refused > 1 {
		c.untold++
		c.lastCause = refused.Cause
	}
	return nil, refused, c.refused == 1
}

// makeRoom gives up the account of some client that has no connection. There is one: connections have a lower limit than accounts, or
// the table grows with them.
func (t *clients) makeRoom() {
	for key, c := range t.table {
		if c.open == 0 {
			delete(t.table, key)
			return
		}
	}
}

// leave closes a connection.
func (t *clients) leave(c *client) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open--
	c.open--
}

// spend counts bytes that a client sent, and says whether it may send more.
func (t *clients) spend(c *client, n int, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.renew(now)
	c.bytes += int64(n)
	return c.bytes < t.limits.Bytes
}

// renew begins a new minute and a new hour when the last one is over.
func (c *client) renew(now time.Time) {
	if now.Sub(c.minute) >= time.Minute {
		c.minute, c.opened, c.refused = now, 0, 0
	}
	if now.Sub(c.hour) >= time.Hour {
		c.hour, c.bytes = now, 0
	}
}

// sweep forgets who has nothing on its account. What it returns is to be logged.
func (t *clients) sweep(now time.Time) (untold []hushed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, c := range t.table {
		c.renew(now)
		if c.untold > 0 {
			untold = append(untold, hushed{key, c.untold, c.lastCause})
			c.untold = 0
		}
		if c.open == 0 && c.opened == 0 && c.bytes == 0 {
			delete(t.table, key)
		}
	}
	return untold
}
