package mosqdb

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"picket/session"
	"picket/store"
	"picket/topic"
)

// Summary counts what was put into a store, and what was left out because its time is over.
type Summary struct {
	Sessions, Subscriptions, Retained int
	Queued                            int // messages for clients, those included that are on their way
	InFlight                          int // those of them that mosquitto had sent
	Received                          int // QoS 2 messages of clients that were not released
	ExpiredSessions, ExpiredMessages  int
}

// String says it in words.
func (s Summary) String() string {
	return fmt.Sprintf("%s with %s, %s for them (%d in flight), %s not released, %s; left out because they have expired: %s, %s",
		counted(s.Sessions, "session"), counted(s.Subscriptions, "subscription"), counted(s.Queued, "message"), s.InFlight,
		counted(s.Received, "received message"), counted(s.Retained, "retained message"), counted(s.ExpiredSessions, "session"), counted(s.ExpiredMessages, "message"))
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// batchSize is how many operations are made durable together.
const batchSize = 1000

// Fill puts everything in the file into a store that has been started and holds none of it. now is the time in Unix seconds. It returns when
// everything is durable.
//
// mosquitto keeps a QoS 2 message of a client until PUBREL, and only then gives it to its subscribers; here they get it at once, and only its packet
// identifier is kept, as in the specification's method B. So it is queued for those sessions of the file that subscribe to its topic.
func Fill(ctx context.Context, f *File, s store.Store, now int64, progress func(clients int)) (Summary, error) {
	p := &filler{ctx: ctx, store: s, now: now, batch: new(store.Batch), sessions: make(map[string]*filled), index: topic.NewIndex[*filled](),
		retained: make(map[string]*session.Message)}
	for _, m := range f.Retained {
		p.retain(m)
	}
	for n, c := range f.Clients {
		if err := p.client(c); err != nil {
			return p.sum, err
		}
		if progress != nil && n%100 == 0 {
			progress(n)
		}
	}
	for _, c := range f.Clients {
		if err := p.received(c); err != nil {
			return p.sum, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.retained)) {
		p.batch.Retain(p.retained[name], nil)
		p.sum.Retained++
		if err := p.full(); err != nil {
			return p.sum, err
		}
	}
	return p.sum, p.commit()
}

// filled is a session that has been put into the store.
type filled struct {
	session *store.Session
	id      string
	next    uint64
}

type filler struct {
	ctx      context.Context
	store    store.Store
	now      int64
	batch    *store.Batch
	n        int
	sum      Summary
	sessions map[string]*filled
	index    *topic.Index[*filled]
	retained map[string]*session.Message
}

// full makes what there is durable when it is enough.
func (p *filler) full() error {
	if p.n++; p.n < batchSize {
		return nil
	}
	return p.commit()
}

func (p *filler) commit() error {
	p.store.Commit(p.batch)
	p.batch, p.n = new(store.Batch), 0
	return p.store.Sync(p.ctx)
}

// number gives a message its number, and tells whether its time is not over.
func (p *filler) number(m *session.Message) bool {
	if m.Expired(p.now) {
		p.sum.ExpiredMessages++
		return false
	}
	if m.ID == 0 {
		m.ID = p.store.NewMessageID()
	}
	return true
}

func (p *filler) retain(m *session.Message) {
	if p.number(m) && len(m.Payload) > 0 {
		p.retained[m.Topic] = m
	}
}

const forEver = 0xFFFFFFFF

// client makes a session with its subscriptions and its queue. Packet identifiers stay as they are: each message gets the next sequence number that its own
// follows from.
func (p *filler) client(c *Client) error {
	if c.Expiry != forEver && c.Ends != 0 && c.Ends <= p.now {
		p.sum.ExpiredSessions++
		return nil
	}
	r := store.Record{Expiry: c.Expiry, Offline: p.now, User: c.User, Named: c.User != ""}
	if c.Expiry != forEver && c.Ends != 0 {
		r.Offline = c.Ends - int64(c.Expiry)
	}
	if c.Port != 0 {
		r.Listener = fmt.Sprintf(":%d", c.Port)
	}
	s := &filled{session: p.store.NewSession(c.ID), id: c.ID, next: 1}
	p.sessions[c.ID] = s
	// The record comes first, so that what follows belongs to a session at any moment. It is written again when all is known.
	p.batch.Save(s.session, r)
	for _, sub := range c.Subscriptions {
		p.batch.Subscribe(s.session, sub.Filter, sub.Options, nil)
		p.index.Subscribe(sub.Filter, s, sub.Options)
		p.sum.Subscriptions++
		if err := p.full(); err != nil {
			return err
		}
	}
	for _, q := range c.Out {
		if q.QoS > 0 && q.MID != 0 {
			s.next = following(s.next, q.MID)
		}
		released := q.State == WaitForPubcomp || q.State == ResendPubrel
		if !p.number(q.Message) && !released {
			s.next++
			continue
		}
		p.enqueue(s, q, released)
		if q.State != InQueue && q.State != PublishQoS0 && q.State != PublishQoS1 && q.State != PublishQoS2 {
			r.Sent = s.next
			p.sum.InFlight++
		}
		if err := p.full(); err != nil {
			return err
		}
	}
	if c.LastMID != 0 {
		s.next = following(s.next, c.LastMID%session.MaxWindow+1)
	}
	r.Next = s.next
	p.batch.Save(s.session, r)
	p.sum.Sessions++
	return p.full()
}

// following is the lowest sequence number from next on that has a packet identifier.
func following(next uint64, id uint16) uint64 {
	return next + (uint64(id)+session.MaxWindow-uint64(session.PacketID(next)))%session.MaxWindow
}

// enqueue puts a message into a session's queue.
func (p *filler) enqueue(s *filled, q Queued, released bool) {
	ref := p.batch.Enqueue(s.session, session.Delivery{Seq: s.next, Message: q.Message, QoS: q.QoS, Retain: q.Retain, IDs: q.IDs}, false)
	if released {
		p.batch.Release(s.session, &ref)
	}
	s.next++
	p.sum.Queued++
}

// received delivers a client's QoS 2 messages that wait for PUBREL, and keeps their packet identifiers.
func (p *filler) received(c *Client) error {
	s := p.sessions[c.ID]
	for _, q := range c.In {
		if q.State == ResendPubcomp {
			continue // it has been given to its subscribers
		}
		if s != nil {
			p.batch.Receive(s.session, q.MID)
		}
		p.sum.Received++
		if p.number(q.Message) {
			p.route(q.Message, s)
		}
		if err := p.full(); err != nil {
			return err
		}
	}
	return nil
}

// route queues a message for those who subscribe to its topic.
func (p *filler) route(m *session.Message, from *filled) {
	if m.Retain {
		delete(p.retained, m.Topic)
		if len(m.Payload) > 0 {
			p.retained[m.Topic] = m
		}
	}
	var matches topic.Matches[*filled]
	p.index.Match([]byte(m.Topic), &matches)
	to := make(map[*filled]*topic.Options)
	for _, match := range matches.Plain {
		if match.Options.NoLocal && match.Key == from {
			continue
		}
		if o := to[match.Key]; o == nil || o.QoS < match.Options.QoS {
			to[match.Key] = &match.Options
		}
	}
	for _, g := range matches.Groups {
		g.Next(1, func(member topic.Subscriber[*filled], _ int) bool {
			to[member.Key] = &member.Options
			return true
		})
	}
	for s, o := range to {
		qos := min(m.QoS, o.QoS)
		if qos == 0 {
			continue // its clients are not connected, and QoS 0 does not wait for them
		}
		q := Queued{Message: m, QoS: qos, Retain: o.RetainAsPublished && m.Retain}
		if o.Identifier != 0 {
			q.IDs = []uint32{o.Identifier}
		}
		p.enqueue(s, q, false)
	}
}
