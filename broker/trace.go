package broker

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"

	"picket/cause"
	"picket/feed"
	"picket/listener"
	"picket/packet"
	"picket/topic"
	"picket/trace"
)

// TraceQuery says what is traced. What is given has to hold together.
type TraceQuery struct {
	Client  string       // a client identifier
	User    string       // a user
	Address netip.Prefix // where clients connect from
	Topic   string       // a filter: only PUBLISH packets whose topics it matches, mount points included
	Payload int          // bytes of payloads that are kept
}

// Trace is what passes between some clients and the broker, while somebody looks on. It begins with [Broker.Trace] and ends with [Trace.Close].
//
// Passwords, what authentication is made of, and the payloads of commands below $CONTROL/ are left out.
type Trace struct {
	b     *Broker
	query TraceQuery
	feed  *feed.Feed[trace.Event]

	mu    sync.Mutex // a leaf: the mutex of a session may be held
	peers map[*connection]*tracee
	count uint64
}

// tracee is a connection that a trace has met.
type tracee struct {
	peer *trace.Peer
	id   cause.ID // why the packet that comes next says no; empty: it does not
	text string
}

// traceMemory is how many bytes of events wait for whoever reads a trace.
const traceMemory = 4 << 20

// Trace begins a trace.
func (b *Broker) Trace(q TraceQuery) (*Trace, error) {
	t := &Trace{b: b, query: q, feed: feed.New[trace.Event](traceMemory), peers: make(map[*connection]*tracee)}
	return t, b.attach(t)
}

// Next waits for what has passed since the last call. more is false when the broker or the context has ended.
func (t *Trace) Next(ctx context.Context) (all []trace.Event, more bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.b.context, cancel)()
	all, lost, more := t.feed.Take(ctx)
	if lost > 0 {
		all = append(all, trace.Event{Kind: trace.Lost, At: t.b.now().UnixNano(), Lost: lost})
	}
	return all, more
}

// Close ends the trace.
func (t *Trace) Close() {
	t.b.detach(t)
	t.feed.Close()
}

// wants tells of a client whether it is one of those that are traced; who is no client yet may become one.
func (t *Trace) wants(c *connection) bool { return c.stage() < connected || t.chooses(c) }

func (t *Trace) passed(c *connection, p passage) {
	kind := p.kind()
	if t.query.Topic != "" && (kind != packet.PUBLISH || p.broken || !topic.Match(t.query.Topic, p.topic)) {
		return
	}
	if !t.wants(c) {
		return // before anything of it is kept; another tap wants it
	}
	e := trace.Event{Kind: trace.Packet, Out: p.out, Size: p.size(), Payload: -1}
	var connect *packet.Connect
	switch {
	case p.broken:
		e.Data, e.Text = append([]byte(nil), p.head...), "it cannot be decoded"
	case kind == packet.PUBLISH:
		t.keepPublish(&e, p, c)
	case kind == packet.CONNECT:
		connect = t.keepConnect(&e, p.head)
	default:
		t.keep(&e, p.head, c)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.meetLocked(c, connect)
	if at == nil {
		return
	}
	e.Peer = at.peer
	if p.out && at.id != "" {
		e.Cause, e.Text = at.id, at.text
		at.id, at.text = "", ""
	}
	t.add(e)
}

// keepPublish keeps a PUBLISH, with the beginning of its payload.
func (t *Trace) keepPublish(e *trace.Event, p passage, c *connection) {
	e.Payload, e.Topic = len(p.payload), strings.TrimPrefix(string(p.topic), c.s.mount)
	kept := p.payload[:min(len(p.payload), t.query.Payload)]
	if strings.HasPrefix(e.Topic, "$CONTROL/") {
		kept, e.Hidden = nil, len(p.payload) > 0
	}
	e.Data = append(append(make([]byte, 0, len(p.head)+len(kept)), p.head...), kept...)
}

// keepConnect keeps a CONNECT without its password, and returns what it says. One that cannot be decoded may have a password anywhere, and only its fixed header is kept.
func (t *Trace) keepConnect(e *trace.Event, whole []byte) *packet.Connect {
	head, _, _ := packet.Header(whole)
	decoded, err := packet.Decode(packet.V5, whole[0], whole[head:])
	p, ok := decoded.(*packet.Connect)
	if err != nil || !ok {
		e.Data, e.Hidden, e.Text = append([]byte(nil), whole[:head]...), true, "it cannot be decoded"
		return nil
	}
	e.Hidden = len(p.Password) > 0 || p.Props.Has(packet.AuthenticationData)
	p.Password = nil
	hideProof(p.Props)
	if w := p.Will; w != nil {
		w.Payload = w.Payload[:min(len(w.Payload), t.query.Payload)]
	}
	e.Data = p.Append(nil, p.Version)
	return p
}

// hideProof takes what somebody proves with who they are out of properties.
func hideProof(p *packet.Properties) (found bool) {
	if found = p.Has(packet.AuthenticationData); found {
		p.Unset(packet.AuthenticationData)
	}
	return found
}

// keep keeps a packet of any other type.
func (t *Trace) keep(e *trace.Event, whole []byte, c *connection) {
	head, _, _ := packet.Header(whole)
	kind := packet.Type(whole[0] >> 4)
	if kind == packet.AUTH || kind == packet.CONNACK && c.more != nil && c.more.authMethod != "" {
		p, err := packet.Decode(packet.V5, whole[0], whole[head:])
		switch p := p.(type) {
		case *packet.Auth:
			e.Hidden = hideProof(p.Props)
		case *packet.Connack:
			e.Hidden = hideProof(p.Props)
		}
		if err != nil {
			e.Data, e.Hidden, e.Text = append([]byte(nil), whole[:head]...), true, "it cannot be decoded"
			return
		}
		if e.Hidden {
			e.Data = p.Append(nil, packet.V5)
			return
		}
	}
	e.Data = append([]byte(nil), whole[:min(len(whole), trace.MaxPacket)]...)
}

// meetLocked finds a connection among those that are traced, or makes it one if it is what is asked for. connect is the CONNECT that it sends just now; a connection that is
// met later begins with one that is made up, without which nobody could tell what its packets mean. nil: it is not traced.
func (t *Trace) meetLocked(c *connection, connect *packet.Connect) *tracee {
	at, early := t.peers[c], c.stage() < connected
	switch {
	case !early && !t.chooses(c):
		return nil
	case at == nil && early && !t.choosesEarly(c, connect):
		return nil
	case at == nil:
		t.count++
		at = &tracee{peer: peerOf(c, t.count)}
		t.peers[c] = at
		if !early {
			at.peer = at.peer.Named(c.s.id, c.s.rules.Load().Username, c.version)
			t.add(t.madeUp(c, at.peer))
		}
	}
	if connect != nil {
		at.peer = at.peer.Named(connect.ClientID, connect.Username, connect.Version)
	} else if !early && at.peer.Client != c.s.id { // the broker has named it
		at.peer = at.peer.Named(c.s.id, c.s.rules.Load().Username, c.version)
	}
	return at
}

// madeUp is the CONNECT of a client that was connected before the trace began, as far as it is known.
func (t *Trace) madeUp(c *connection, peer *trace.Peer) trace.Event {
	p := &packet.Connect{Version: c.version, Bridge: c.bridge, CleanStart: c.clean, KeepAlive: c.keepAlive, ClientID: c.s.id, Username: peer.User, HasUsername: peer.User != ""}
	data := p.Append(nil, c.version)
	return trace.Event{Kind: trace.Packet, Peer: peer, Data: data, Size: len(data), Payload: -1, MadeUp: true}
}

// peerOf takes down what a connection is.
func peerOf(c *connection, number uint64) *trace.Peer {
	info := c.conn.Info()
	p := &trace.Peer{Number: number, Remote: info.Remote, Local: info.Local, Transport: "tcp", TLS: info.TLS != nil || info.ProxyTLS != nil}
	switch {
	case info.Protocol == listener.WebSocket:
		p.Transport = "websocket"
	case !info.Remote.IsValid():
		p.Transport = "unix"
	}
	return p
}

// chooses tells whether a client is one of those that are traced.
func (t *Trace) chooses(c *connection) bool {
	q := &t.query
	return (q.Client == "" || c.s.id == q.Client) && (q.User == "" || c.s.rules.Load().Username == q.User) && t.choosesAddress(c)
}

func (t *Trace) choosesAddress(c *connection) bool {
	return !t.query.Address.IsValid() || t.query.Address.Contains(plainAddress(c.remote()))
}

// choosesEarly is chooses for a connection that is no client yet, by what it says in CONNECT: nil where it has not sent one.
func (t *Trace) choosesEarly(c *connection, p *packet.Connect) bool {
	q := &t.query
	if p == nil {
		return q.Client == "" && q.User == "" && q.Address.IsValid() && t.choosesAddress(c)
	}
	return (q.Client == "" || p.ClientID == q.Client) && (q.User == "" || p.Username == q.User) && t.choosesAddress(c)
}

func (t *Trace) add(e trace.Event) {
	e.At = t.b.now().UnixNano()
	t.feed.Add(e, e.Bytes())
}

func (t *Trace) denied(c *connection, id cause.ID, text string, next bool) {
	if t.query.Topic != "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.meetLocked(c, nil)
	switch {
	case at == nil:
	case next:
		at.id, at.text = id, text
	default:
		t.add(trace.Event{Kind: trace.Note, Peer: at.peer, Cause: id, Text: text})
	}
}

// refused notes a connection that ends before it comes to MQTT, which is nobody's but an address's.
func (t *Trace) refused(r listener.Refusal) {
	q := &t.query
	if q.Client == "" && q.User == "" && q.Topic == "" && q.Address.IsValid() && q.Address.Contains(plainAddress(r.Remote)) {
		t.add(trace.Event{Kind: trace.Note, Peer: &trace.Peer{Remote: r.Remote, Transport: "tcp"}, Cause: r.Cause, Text: r.Text})
	}
}

func (t *Trace) left(c *connection, err error) {
	t.mu.Lock()
	at := t.peers[c]
	delete(t.peers, c)
	t.mu.Unlock()
	var bad *listener.Refusal
	switch {
	case at == nil && errors.As(err, &bad) && c.s.id == "":
		t.refused(*bad)
		return
	case at == nil || t.query.Topic != "":
		return
	}
	e := trace.Event{Kind: trace.End, Peer: at.peer, Cause: at.id, Text: at.text}
	switch {
	case e.Cause != "":
	case errors.As(err, &bad):
		e.Cause, e.Text = bad.Cause, bad.Text
	case err != nil:
		e.Text = err.Error()
	}
	t.add(e)
}
