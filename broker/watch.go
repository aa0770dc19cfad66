package broker

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"picket/cause"
	"picket/feed"
	"picket/listener"
)

// Happening is something that has happened between a client and the broker.
type Happening struct {
	Kind      HappeningKind  `json:"-"`
	At        time.Time      `json:"at"`
	Client    string         `json:"client,omitempty"`
	User      string         `json:"user,omitempty"`
	Address   netip.AddrPort `json:"address,omitzero"` // absent: by a Unix socket
	Listener  string         `json:"listener,omitempty"`
	Transport string         `json:"transport,omitempty"`
	TLS       bool           `json:"tls,omitempty"`
	Version   string         `json:"mqtt,omitempty"`
	Cause     cause.ID       `json:"cause,omitempty"` // why it was refused, or has ended; absent: the client wanted it so
	Lost      int            `json:"lost,omitempty"`  // of [HappenedLost]: how many are missing here
}

// HappeningKind is what has happened.
type HappeningKind string

// Kinds of happenings.
const (
	Connected       HappeningKind = "connected"    // CONNACK says yes
	Disconnected    HappeningKind = "disconnected" // such a connection has ended
	Denial          HappeningKind = "refused"      // a client did something wrong, as [Broker.Refusals] lists it
	HappenedLost    HappeningKind = "lost"         // whoever reads was too slow
	happeningBytes                = 256            // what one takes in memory beside its texts, about
	happeningMemory               = 64 << 10       // how much waits for whoever reads
)

// Watch is what happens to clients, while somebody looks on. It begins with [Broker.Watch] and ends with [Watch.Close]. While nobody looks, connections cost nothing more.
type Watch struct {
	b       *Broker
	clients bool
	refused bool
	feed    *feed.Feed[Happening]

	mu      sync.Mutex // a leaf: the mutex of a session may be held
	parting map[*connection]cause.ID
}

// Watch begins to look on: clients are told of who comes and goes, refused of what was done wrong. How many look on at once is bounded by whoever calls this.
func (b *Broker) Watch(clients, refused bool) *Watch {
	w := &Watch{b: b, clients: clients, refused: refused, feed: feed.New[Happening](happeningMemory), parting: make(map[*connection]cause.ID)}
	b.changeWatches(func(all []*Watch) []*Watch { return append(all, w) })
	return w
}

func (b *Broker) changeWatches(change func([]*Watch) []*Watch) {
	b.tapMu.Lock()
	defer b.tapMu.Unlock()
	var all []*Watch
	if old := b.watches.Load(); old != nil {
		all = slices.Clone(*old)
	}
	if all = change(all); len(all) == 0 {
		b.watches.Store(nil)
		return
	}
	b.watches.Store(&all)
}

// Next waits for what has happened since the last call, at most until the context ends: then it returns nothing.
func (w *Watch) Next(ctx context.Context) []Happening {
	all, lost, _ := w.feed.Take(ctx)
	if lost > 0 {
		all = append(all, Happening{Kind: HappenedLost, At: w.b.now().UTC(), Lost: lost})
	}
	return all
}

// Close ends it.
func (w *Watch) Close() {
	w.b.changeWatches(func(all []*Watch) []*Watch {
		return slices.DeleteFunc(all, func(other *Watch) bool { return other == w })
	})
	w.feed.Close()
}

func (w *Watch) add(h Happening) {
	h.At = w.b.now().UTC()
	w.feed.Add(h, happeningBytes+len(h.Client)+len(h.User)+len(h.Listener))
}

// eachWatch has all who look on told of something.
func (b *Broker) eachWatch(f func(*Watch)) {
	if all := b.watches.Load(); all != nil {
		for _, w := range *all {
			f(w)
		}
	}
}

// tellCame tells that a client is connected. Its session's mutex is held.
func (c *connection) tellCame() {
	c.b.eachWatch(func(w *Watch) {
		if w.clients {
			w.add(c.happening(Connected))
		}
	})
}

// tellParting keeps why a connection is being ended by the broker: the first cause counts.
func (c *connection) tellParting(id cause.ID) {
	c.b.eachWatch(func(w *Watch) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.clients && w.parting[c] == "" && c.stage() < closed {
			w.parting[c] = id
		}
	})
}

// tellLeft tells that a connection has ended; client: it was one of a client that had been let in. Its session's mutex is held, and nothing follows of it.
func (c *connection) tellLeft(client bool, err error) {
	c.b.eachWatch(func(w *Watch) {
		w.mu.Lock()
		id := w.parting[c]
		delete(w.parting, c)
		w.mu.Unlock()
		if !w.clients || !client {
			return
		}
		h := c.happening(Disconnected)
		if h.Cause = id; id == "" && !c.quiet.Load() {
			h.Cause = causeOfEnd(err)
		}
		w.add(h)
	})
}

// causeOfEnd is the cause of a connection's end that the broker has not brought about.
func causeOfEnd(err error) cause.ID {
	var bad *listener.Refusal
	if errors.As(err, &bad) {
		return bad.Cause
	}
	return cause.ConnectionLost
}

// happening takes down what a connection is. The session's mutex is held.
func (c *connection) happening(kind HappeningKind) Happening {
	var state ClientState
	c.tell(&state)
	return Happening{Kind: kind, Client: c.s.id, User: c.s.rules.Load().Username, Address: state.Address, Listener: state.Listener, Transport: state.Transport, TLS: state.TLS, Version: state.Version}
}
