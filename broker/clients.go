package broker

import (
	"cmp"
	"container/heap"
	"net/netip"
	"slices"
	"strings"

	"picket/listener"
)

// ClientState is a session and the connection it has, for whoever runs the broker.
type ClientState struct {
	ID            string         `json:"id"`
	User          string         `json:"user,omitempty"` // absent: anonymous, or not known any more since the broker was started
	Connected     bool           `json:"connected"`
	Address       netip.AddrPort `json:"address,omitzero"` // absent: offline, or by a Unix socket
	Listener      string         `json:"listener,omitempty"`
	Transport     string         `json:"transport,omitempty"` // tcp, websocket, unix, or inside for a part of the broker itself; absent: offline
	TLS           bool           `json:"tls,omitempty"`
	Version       string         `json:"mqtt,omitempty"`
	KeepAlive     uint16         `json:"keep_alive_seconds"` // 0: off
	Idle          int64          `json:"idle_seconds"`       // since the client was heard last
	Expiry        uint32         `json:"session_expiry_seconds"`
	Will          bool           `json:"will,omitempty"`
	Subscriptions int            `json:"subscriptions"`
	Inflight      int            `json:"inflight"` // messages that the client has not acknowledged
	Queued        int            `json:"queued"`   // messages that wait for it beyond those
	QueuedBytes   int            `json:"queued_bytes"`
	Output        int            `json:"output_bytes"` // encoded for the client, and not taken by its connection
}

// ClientQuery chooses clients.
type ClientQuery struct {
	After  string // only those whose identifiers come after this one, byte by byte
	Prefix string // only those whose identifiers begin so
	User   string // only those of this user; empty: of all
	From   netip.Prefix
	Online bool // only those who are connected
	Limit  int  // at most so many; 0: [MaxClients]
	// ByQueue has those chosen for whom most messages wait, and puts them in that order; After counts for nothing then.
	ByQueue bool
}

// MaxClients bounds what one query returns.
const MaxClients = 1000

// ClientPage is what a query has found: in the order of the identifiers, or by what waits for them.
type ClientPage struct {
	Clients []ClientState `json:"clients"`
	// Next is the After of the next query; absent: there is no more. Who is there from the first query to the last is listed exactly once.
	Next string `json:"next,omitempty"`
}

// Clients lists sessions. It holds the table of sessions only while it copies pointers, and a session only while it looks at that one.
func (b *Broker) Clients(q ClientQuery) ClientPage {
	if q.Limit <= 0 || q.Limit > MaxClients {
		q.Limit = MaxClients
	}
	b.mu.Lock()
	all := make([]*Session, 0, len(b.sessions))
	for _, s := range b.sessions {
		all = append(all, s)
	}
	b.mu.Unlock()
	best := pick{byQueue: q.ByQueue}
	for _, s := range all {
		if !q.names(s) {
			continue
		}
		if best.full(q.Limit) && !q.ByQueue && s.id > best.of[0].ID {
			best.more = true // perhaps: it was not looked at
			continue
		}
		if state, ok := b.look(s, q); ok {
			best.add(state, q.Limit)
		}
	}
	page := ClientPage{Clients: best.sorted()}
	if n := len(page.Clients); best.more && !q.ByQueue && n > 0 {
		page.Next = page.Clients[n-1].ID
	}
	return page
}

// Client tells of one client, with the filters that it has subscribed to; ok is false where there is no session of that name.
func (b *Broker) Client(id string) (state ClientState, filters []string, ok bool) {
	b.mu.Lock()
	s := b.sessions[id]
	b.mu.Unlock()
	if s == nil {
		return ClientState{}, nil, false
	}
	if state, ok = b.look(s, ClientQuery{}); !ok {
		return ClientState{}, nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for filter := range s.subs.all() {
		filters = append(filters, strings.TrimPrefix(filter, s.mount))
	}
	slices.Sort(filters)
	return state, filters, true
}

// names tells whether what never changes of a session, and its user, are what is asked for.
func (q *ClientQuery) names(s *Session) bool {
	return strings.HasPrefix(s.id, q.Prefix) && (q.ByQueue || s.id > q.After) && (q.User == "" || s.rules.Load().Username == q.User)
}

// look takes down what a session is, unless it is over or not what is asked for.
func (b *Broker) look(s *Session, q ClientQuery) (ClientState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := ClientState{ID: s.id, User: s.rules.Load().Username, Expiry: s.expiry, Will: s.will != nil, Subscriptions: s.subs.len(),
		Inflight: s.out.Inflight(), Queued: s.out.Waiting(), QueuedBytes: s.out.WaitingBytes()}
	if s.inside != nil {
		state.Connected, state.Transport = true, "inside"
	}
	if c := s.conn; c != nil && c.stage() == connected {
		c.tell(&state)
	}
	wanted := (state.Connected || !q.Online) && (!q.From.IsValid() || q.From.Contains(state.Address.Addr()))
	return state, wanted && !s.over
}

// tell takes down what a connection is. The session's mutex is held.
func (c *connection) tell(state *ClientState) {
	info := c.conn.Info()
	state.Connected, state.Version, state.KeepAlive, state.Output = true, c.version.String(), c.keepAlive, c.held
	state.Idle = max(0, int64(c.b.clock.Load())-int64(c.lastRead.Load()))
	state.TLS = info.TLS != nil || info.ProxyTLS != nil
	state.Listener = c.from.Source
	switch {
	case info.Protocol == listener.WebSocket:
		state.Transport = "websocket"
	case info.Remote.IsValid():
		state.Transport = "tcp"
	default:
		state.Transport = "unix"
	}
	if info.Remote.IsValid() {
		state.Address = netip.AddrPortFrom(info.Remote.Addr().Unmap(), info.Remote.Port())
	}
}

// pick is the clients that come first of those that were added so far. It is a heap with the last of them on top.
type pick struct {
	of      []ClientState
	byQueue bool
	more    bool // others have been left out
}

func (p *pick) full(limit int) bool { return len(p.of) >= limit }

func (p *pick) add(state ClientState, limit int) {
	heap.Push(p, state)
	if len(p.of) > limit {
		heap.Pop(p)
		p.more = true
	}
}

func (p *pick) sorted() []ClientState {
	slices.SortFunc(p.of, func(a, b ClientState) int { return p.order(&a, &b) })
	return p.of
}

// order says which of two clients comes first.
func (p *pick) order(a, b *ClientState) int {
	if p.byQueue {
		return cmp.Or(cmp.Compare(b.Queued, a.Queued), cmp.Compare(a.ID, b.ID))
	}
	return cmp.Compare(a.ID, b.ID)
}

func (p *pick) Len() int           { return len(p.of) }
func (p *pick) Less(i, j int) bool { return p.order(&p.of[i], &p.of[j]) > 0 }
func (p *pick) Swap(i, j int)      { p.of[i], p.of[j] = p.of[j], p.of[i] }
func (p *pick) Push(x any)         { p.of = append(p.of, x.(ClientState)) }
func (p *pick) Pop() any {
	last := p.of[len(p.of)-1]
	p.of = p.of[:len(p.of)-1]
	return last
}
