package broker

import (
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
