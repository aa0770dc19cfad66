// Package transfer reads everything that a store of any kind holds, and moves it into another one.
package transfer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"picket/session"
	"picket/store"
)

// Contents are a store that has been opened and started for reading.
type Contents struct {
	store    store.Store
	sessions []*held
	retained map[string]*session.Message

	mu     sync.Mutex
	failed error
}

type held struct {
	handle *store.Session
	state  store.State
}

// Open starts a store whose broker does not run.
func Open(ctx context.Context, s store.Store) (*Contents, error) {
	c := &Contents{store: s, retained: make(map[string]*session.Message)}
	return c, s.Start(ctx, c)
}

// Empty tells whether there is nothing in it.
func (c *Contents) Empty() bool { return len(c.sessions)+len(c.retained) == 0 }

func (c *Contents) Session(s *store.Session, st store.State) {
	c.sessions = append(c.sessions, &held{s, st})
}

func (c *Contents) Retained(name string, m *session.Message) { c.retained[name] = m }

func (c *Contents) Failed(_ *store.Batch, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = err
}

func (*Contents) Room() {}

func (*Contents) Health(error) {}

// atOnce is what is read of a queue at a time.
var atOnce = store.Limit{Entries: 256, Bytes: 1 << 20}

// Each calls do with everything, sorted by client identifier and topic, in the order of a queue.
func (c *Contents) Each(ctx context.Context, do func(store.Item) error) error {
	slices.SortFunc(c.sessions, func(a, b *held) int {
		if a.handle.ClientID < b.handle.ClientID {
			return -1
		}
		return 1
	})
	for _, h := range c.sessions {
		if err := c.session(ctx, h, do); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.retained)) {
		if err := do(store.Item{Retained: c.retained[name]}); err != nil {
			return err
		}
	}
	return nil
}

func (c *Contents) session(ctx context.Context, h *held, do func(store.Item) error) error {
	id := h.handle.ClientID
	if err := do(store.Item{ClientID: id, Record: &h.state.Record}); err != nil {
		return err
	}
	for _, filter := range slices.Sorted(maps.Keys(h.state.Subscriptions)) {
		if err := do(store.Item{ClientID: id, Sub: &store.Subscription{Filter: filter, Options: h.state.Subscriptions[filter]}}); err != nil {
			return err
		}
	}
	for _, p := range h.state.Received {
		if err := do(store.Item{ClientID: id, Received: p}); err != nil {
			return err
		}
	}
	for from, more := uint64(0), true; more; {
		var entries []store.Entry
		var err error
		if entries, more, err = c.store.Read(ctx, h.handle, from, atOnce, nil); err != nil {
			return err
		}
		for i := range entries {
			from = entries[i].Seq + 1
			if err := do(store.Item{ClientID: id, Entry: &entries[i]}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Summary counts what has been moved.
type Summary struct {
	Sessions, Subscriptions, Queued, Received, Retained int
	Damaged                                             int // messages that could not be read, and were left out
}

// batchSize is how many operations are handed over together.
const batchSize = 1000

// Into puts everything into another store, which has been started and is empty. It returns when everything is durable. Sequence numbers, and with them packet
// identifiers, stay as they are.
func (c *Contents) Into(ctx context.Context, to *Contents) (sum Summary, err error) {
	m := mover{ctx: ctx, to: to, batch: new(store.Batch), ids: make(map[*session.Message]bool)}
	err = c.Each(ctx, func(i store.Item) error { return m.item(&i) })
	if err == nil {
		err = m.commit()
	}
	if err == nil {
		to.mu.Lock()
		err = to.failed
		to.mu.Unlock()
	}
	return m.sum, err
}

// mover fills a store.
type mover struct {
	ctx     context.Context
	to      *Contents
	batch   *store.Batch
	n       int
	session *store.Session
	numbers map[uint64]*session.Message // messages that several queues want, by their numbers in the store that is read
	ids     map[*session.Message]bool
	sum     Summary
}

func (m *mover) item(i *store.Item) error {
	switch {
	case i.Record != nil:
		m.session = m.to.store.NewSession(i.ClientID)
		r := *i.Record
		if r.Will != nil && r.Will.Message.ID == 0 {
			r.Will.Message.ID = m.to.store.NewMessageID()
		}
		m.batch.Save(m.session, r)
		m.sum.Sessions++
	case i.Sub != nil:
		m.batch.Subscribe(m.session, i.Sub.Filter, i.Sub.Options, nil)
		m.sum.Subscriptions++
	case i.Entry != nil:
		m.entry(i.Entry)
	case i.Retained != nil:
		i.Retained.ID = m.to.store.NewMessageID()
		m.batch.Retain(i.Retained, nil)
		m.sum.Retained++
	default:
		m.batch.Receive(m.session, i.Received)
		m.sum.Received++
	}
	if m.n++; m.n < batchSize {
		return nil
	}
	return m.commit()
}

func (m *mover) entry(e *store.Entry) {
	if e.Damaged {
		m.sum.Damaged++
		return
	}
	m.sum.Queued++
	if e.Released {
		d := e.Delivery
		d.Message, d.Released = &session.Message{ID: m.to.store.NewMessageID(), QoS: 2, Topic: "x"}, false // its place is made with a message that is gone at once
		ref := m.batch.Enqueue(m.session, d, false)
		m.batch.Release(m.session, &ref)
		return
	}
	if id := e.Ref.ID; id != 0 {
		if m.numbers == nil {
			m.numbers = make(map[uint64]*session.Message)
		}
		if one := m.numbers[id]; one != nil {
			e.Message = one
		} else {
			e.Message.ID = m.to.store.NewMessageID()
			m.numbers[id] = e.Message
		}
	} else {
		e.Message.ID = m.to.store.NewMessageID()
	}
	m.batch.Enqueue(m.session, e.Delivery, false)
}

func (m *mover) commit() error {
	m.to.store.Commit(m.batch)
	m.batch, m.n = new(store.Batch), 0
	if err := m.to.store.Sync(m.ctx); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}
