package door

import (
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Limits are what clients may use. All have to be more than 0.
type Limits struct {
	Connections int   // of all clients at a time
	PerClient   int   // of one client at a time
	PerMinute   int   // that one client may open within a minute
	Bytes       int64 // that one client may send within an hour
}

// Reason says which limit was met.
type Reason byte

// The reasons.
const (
	Full    Reason = iota // Connections
	TooMany               // PerClient
	TooFast               // PerMinute
	TooMuch               // Bytes
)

// Refusal says why a connection may not be.
type Refusal struct {
	Reason Reason
	Text   string // one line without a full stop

	// First is false for what follows a refusal of the same client within a minute: such refusals should not be logged one by one, or a
	// flood fills the log too. [Accounts.Sweep] gives their number.
	First bool
}

// maxClients bounds the table of clients. Beyond it the accounts of clients without a connection are given up.
const maxClients = 1 << 16

// Accounts are what all clients use. A client is an IPv4 address or an IPv6 /64 network, which belongs to one customer. They can be used by several goroutines at once.
type Accounts struct {
	limits Limits

	mu    sync.Mutex
	open  int // connections of all
	table map[netip.Prefix]*Client
}

// Client is the account of one client.
type Client struct {
	key    netip.Prefix // the fields belong to Accounts.mu
	open   int
	minute time.Time // when the count of new connections began
	opened int       // since minute
	hour   time.Time // when the count of bytes began
	bytes  int64     // since hour

	refused int    // since minute
	untold  int    // refusals that were not the first of their minute, since the last sweep
	last    Reason // of them
}

// Untold are refusals of one client that were not the first of their minute.
type Untold struct {
	Client netip.Prefix
	Count  int
	Reason Reason // of the last one
}

// NewAccounts makes empty accounts.
func NewAccounts(limits Limits) *Accounts {
	return &Accounts{limits: limits, table: make(map[netip.Prefix]*Client)}
}

// ClientOf is the client that an address belongs to.
func ClientOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fails for other numbers of bits only
	return p
}

// Enter opens a connection in the account of an address, to be closed by [Accounts.Leave], or says why it may not be.
func (t *Accounts) Enter(a netip.Addr, now time.Time) (*Client, *Refusal) {
	key := ClientOf(a)
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.table[key]
	if c == nil {
		if len(t.table) >= maxClients {
			t.makeRoom()
		}
		c = &Client{key: key, minute: now, hour: now}
		t.table[key] = c
	}
	c.renew(now)
	refuse := func(r Reason, format string, args ...any) *Refusal {
		c.refused++
		if c.refused > 1 {
			c.untold++
			c.last = r
		}
		return &Refusal{Reason: r, Text: fmt.Sprintf(format, args...), First: c.refused == 1}
	}
	switch l := t.limits; {
	case t.open >= l.Connections:
		return nil, refuse(Full, "there are %d connections already", t.open)
	case c.open >= l.PerClient:
		return nil, refuse(TooMany, "%s has %d connections already", a, c.open)
	case c.opened >= l.PerMinute:
		return nil, refuse(TooFast, "%s has opened %d connections within a minute", a, c.opened)
	case c.bytes >= l.Bytes:
		return nil, refuse(TooMuch, "%s has sent %d bytes within an hour", a, c.bytes)
	}
	t.open++
	c.open++
	c.opened++
	return c, nil
}

// makeRoom gives up the account of some client that has no connection; while every client has one, the table grows with them.
func (t *Accounts) makeRoom() {
	for key, c := range t.table {
		if c.open == 0 {
			delete(t.table, key)
			return
		}
	}
}

// Leave closes a connection.
func (t *Accounts) Leave(c *Client) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open--
	c.open--
}

// Spend counts bytes that a client sent, and says whether it may send more.
func (t *Accounts) Spend(c *Client, n int, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.renew(now)
	c.bytes += int64(n)
	return c.bytes < t.limits.Bytes
}

// renew begins a new minute and a new hour when the last one is over.
func (c *Client) renew(now time.Time) {
	if now.Sub(c.minute) >= time.Minute {
		c.minute, c.opened, c.refused = now, 0, 0
	}
	if now.Sub(c.hour) >= time.Hour {
		c.hour, c.bytes = now, 0
	}
}

// Sweep forgets who has nothing on its account, and gives what there is to log. It is to be called about once a minute.
func (t *Accounts) Sweep(now time.Time) (untold []Untold) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, c := range t.table {
		c.renew(now)
		if c.untold > 0 {
			untold = append(untold, Untold{key, c.untold, c.last})
			c.untold = 0
		}
		if c.open == 0 && c.opened == 0 && c.bytes == 0 {
			delete(t.table, key)
		}
	}
	return untold
}
