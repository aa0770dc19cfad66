package broker

import (
	"cmp"
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
	best := pick{limit: q.Limit, byQueue: q.ByQueue}
	for _, s := range b.sessionsOf(nil) {
		if !q.names(s) || best.beyond(s.id) {
			continue
		}
		if state, ok := s.look(q); ok {
			best.add(state)
		}
	}
	best.cut()
	page := ClientPage{Clients: best.of}
	if best.more && !q.ByQueue {
		page.Next = best.last
	}
	return page
}

// Client tells of one client, with the filters that it has subscribed to; ok is false where there is no session of that name.
func (b *Broker) Client(id string) (state ClientState, filters []string, ok bool) {
	s := b.session(id)
	if s == nil {
		return ClientState{}, nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return ClientState{}, nil, false
	}
	for filter := range s.subs.all() {
		filters = append(filters, strings.TrimPrefix(filter, s.mount))
	}
	slices.Sort(filters)
	return s.describe(), filters, true
}

// names tells whether what never changes of a session, and its user, are what is asked for.
func (q *ClientQuery) names(s *Session) bool {
	return strings.HasPrefix(s.id, q.Prefix) && (q.ByQueue || s.id > q.After) && (q.User == "" || s.rules.Load().Username == q.User)
}

// look takes down what a session is, unless it is over or not what is asked for.
func (s *Session) look(q ClientQuery) (ClientState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.describe()
	wanted := (state.Connected || !q.Online) && (!q.From.IsValid() || q.From.Contains(state.Address.Addr()))
	return state, wanted && !s.over
}

// describe takes down what a session is. Its mutex is held.
func (s *Session) describe() ClientState {
	state := ClientState{ID: s.id, User: s.rules.Load().Username, Expiry: s.expiry, Will: s.will != nil, Subscriptions: s.subs.len(),
		Inflight: s.out.Inflight(), Queued: s.out.Waiting(), QueuedBytes: s.out.WaitingBytes()}
	if s.inside != nil {
		state.Connected, state.Transport = true, "inside"
	}
	if c := s.conn; c != nil && c.stage() == connected {
		c.tell(&state)
	}
	return state
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

// pick is the clients that come first of those that were added so far, and up to as many others.
type pick struct {
	of      []ClientState
	limit   int
	byQueue bool
	more    bool   // others have been left out, or perhaps: they were not looked at
	last    string // the identifier of the last that counts, once there were more
}

// beyond tells of a client that it comes behind as many as are wanted, whatever it is.
func (p *pick) beyond(id string) bool {
	return p.more && !p.byQueue && id > p.last
}

func (p *pick) add(state ClientState) {
	if p.of = append(p.of, state); len(p.of) == 2*p.limit {
		p.cut()
	}
}

// cut puts those that come first in their order, and lets go of the others.
func (p *pick) cut() {
	slices.SortFunc(p.of, func(a, b ClientState) int {
		if p.byQueue && a.Queued != b.Queued {
			return cmp.Compare(b.Queued, a.Queued)
		}
		return cmp.Compare(a.ID, b.ID)
	})
	if len(p.of) > p.limit {
		p.of, p.more = p.of[:p.limit], true
	}
	if p.more {
		p.last = p.of[len(p.of)-1].ID
	}
}
