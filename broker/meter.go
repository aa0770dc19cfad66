package broker

import (
	"sync"
	"sync/atomic"
	"time"

	"picket/cause"
	"picket/listener"
	"picket/packet"
)

// Traffic is what has passed between a client and the broker.
type Traffic struct {
	MessagesIn  uint64 // PUBLISH packets of the client
	MessagesOut uint64 // and to it
	BytesIn     uint64 // of packets of all types
	BytesOut    uint64
}

// since is what has passed since another reading.
func (t Traffic) since(before Traffic) Traffic {
	return Traffic{t.MessagesIn - before.MessagesIn, t.MessagesOut - before.MessagesOut, t.BytesIn - before.BytesIn, t.BytesOut - before.BytesOut}
}

// Meter counts what passes between each client and the broker, while somebody looks on. It begins with [Broker.Meter] and ends with [Meter.Close]; without one nothing is counted by
// client. While it counts, a message takes about twice the processor time (docs/performance.md).
type Meter struct {
	b      *Broker
	client string   // only this client; empty: all
	by     sync.Map // *connection to *metered

	last time.Time // of the reading before; used by [Meter.Read] alone
}

// metered is what a connection has come to.
type metered struct {
	id string // of the client

	messagesIn, messagesOut, bytesIn, bytesOut atomic.Uint64

	read Traffic // as of the reading before; used by [Meter.Read] alone
}

// Meter begins to count; with a client identifier for that client alone.
func (b *Broker) Meter(clientID string) (*Meter, error) {
	m := &Meter{b: b, client: clientID, last: b.now()}
	return m, b.attach(m)
}

// Close ends it.
func (m *Meter) Close() { m.b.detach(m) }

// Read returns by client identifier what has passed since the reading before, and how long that was. Clients with which nothing has passed are not among them. One goroutine at a
// time may call it.
func (m *Meter) Read() (by map[string]Traffic, over time.Duration) {
	by = make(map[string]Traffic)
	m.by.Range(func(key, value any) bool {
		c, of := key.(*connection), value.(*metered)
		now := Traffic{of.messagesIn.Load(), of.messagesOut.Load(), of.bytesIn.Load(), of.bytesOut.Load()}
		if passed := now.since(of.read); passed != (Traffic{}) {
			of.read = now
			all := by[of.id] // of two connections of one client the one before was taken over
			by[of.id] = Traffic{all.MessagesIn + passed.MessagesIn, all.MessagesOut + passed.MessagesOut, all.BytesIn + passed.BytesIn, all.BytesOut + passed.BytesOut}
		}
		if c.stage() == closed {
			m.by.Delete(c)
		}
		return true
	})
	now := m.b.now()
	over, m.last = now.Sub(m.last), now
	return by, over
}

func (m *Meter) wants(c *connection) bool {
	return c.stage() >= connected && (m.client == "" || c.s.id == m.client)
}

func (m *Meter) passed(c *connection, p passage) {
	if !m.wants(c) {
		return
	}
	of, ok := m.by.Load(c)
	if !ok {
		of, _ = m.by.LoadOrStore(c, &metered{id: c.s.id})
	}
	one, messages, bytes := of.(*metered), uint64(bit(p.kind() == packet.PUBLISH)), uint64(p.size())
	if p.out {
		one.messagesOut.Add(messages)
		one.bytesOut.Add(bytes)
	} else {
		one.messagesIn.Add(messages)
		one.bytesIn.Add(bytes)
	}
}

// What is refused, and who leaves, is not counted here: a connection that has ended is let go at the next reading.
func (m *Meter) denied(*connection, cause.ID, string, bool) {}
func (m *Meter) left(*connection, error)                    {}
func (m *Meter) refused(listener.Refusal)                   {}
