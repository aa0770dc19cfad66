// Package session holds one client's state as MQTT defines it (MQTT 5.0, 4.1): what is in flight to the client, what waits
// for it, and which QoS 2 packet identifiers it has used. It is pure: no sockets, clocks, files or goroutines, and no locks; the
// caller serializes access and passes time in.
package session

import "sync/atomic"

// Message is an application message on its way through the broker. It is immutable once made, and shared by every session and
// queue that refers to it.
type Message struct {
	ID      uint64 // unique as long as anything refers to the message; given by the store, 0 where there is none
	Topic   string
	Payload []byte
	Props   []byte // MQTT 5 properties that are forwarded, raw: no alias, expiry or subscription identifier
	Expires int64  // Unix seconds after which it is not sent any more (MQTT-3.3.2-5); 0: never
	From    string // client identifier of the publisher; empty: the broker itself
	User    string // user name of the publisher, for check_retain_source
	Door    string // names the listener that the publisher came in by, for check_retain_source; only of a message that is to be retained
	Stored  uint64 // its place in the order in which messages were retained; 0 for one that was not, or not since the start
	QoS     byte   // as published
	Retain  bool   // as published
	Single  bool   // one session alone wants it, and it is not retained: a hint for the store
	Kept    byte   // the store's own note on a retained message: which life of its it was written in. Nobody else looks at it

	held atomic.Int32 // queues that refer to it
}

// Size is what a message costs in memory, in bytes, near enough for a budget.
func (m *Message) Size() int { return len(m.Payload) + len(m.Props) + len(m.Topic) + 160 }

// Expired tells whether the message's expiry interval has passed at now, in Unix seconds.
func (m *Message) Expired(now int64) bool { return m.Expires != 0 && now >= m.Expires }

// Budget bounds the bytes of all messages that wait in any queue. A message that waits in many queues is counted once.
type Budget struct {
	account Account // nil: none
	used    atomic.Int64
	refs    atomic.Int64
}

// Account is what a [Budget] is a part of. It is safe for concurrent use.
type Account interface {
	Take(n int64) bool // counts n bytes, or reports false where they would go beyond a limit
	Force(n int64)     // counts n bytes, which may be negative, whatever the limits say
}

// CountIn has the budget's bytes count in an account, which sets the limit; without one there is none. It must be called before the budget is used.
func (b *Budget) CountIn(a Account) { b.account = a }

// Used is how many bytes are held now.
func (b *Budget) Used() int64 { return b.used.Load() }

// Messages is how many entries of queues there are now.
func (b *Budget) Messages() int64 { return b.refs.Load() }

// take counts n bytes, or reports false where there is no room for them.
func (b *Budget) take(n int64) bool {
	if b.account != nil && !b.account.Take(n) {
		return false
	}
	b.used.Add(n)
	return true
}

// count adds n bytes, which may be negative, to what is held.
func (b *Budget) count(n int64) {
	b.used.Add(n)
	if b.account != nil {
		b.account.Force(n)
	}
}

// Delivery is a message addressed to one session.
type Delivery struct {
	Message  *Message
	Seq      uint64   // its number in the session, given by the outbox; the packet identifier is PacketID(Seq)
	QoS      byte     // the lower of the message's and the subscription's
	Retain   bool     // the RETAIN flag to send
	Dup      bool     // it may have been sent before (MQTT-3.3.1-1)
	Released bool     // PUBREC has come: PUBREL is to be sent, there is no message any more
	Held     bool     // not to be sent before Settle has said that it is safe
	IDs      []uint32 // subscription identifiers of the subscriptions that matched
}

// size is what a delivery counts in limits of bytes: its payload.
func (d *Delivery) size() int {
	if d.Message == nil {
		return 0
	}
	return len(d.Message.Payload)
}
