package broker

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"picket/access"
	"picket/cause"
	"picket/listener"
	"picket/logging"
	"picket/packet"
)

// stage is where a network connection stands in its life. It only moves forward.
type stage uint32

const (
	opening    stage = iota // nothing but CONNECT is allowed
	checking                // CONNECT has come, and its password is being checked or waits for that
	exchanging              // enhanced authentication: nothing but AUTH and DISCONNECT is allowed
	connected               // CONNACK has been sent: everything else may be
	closing                 // nothing that arrives is looked at any more, and nothing is added to what is to be sent; when that is written, it is closed
	closed                  // by either side
)

// connection is one network connection, from accept to close. Its fields stand by who may touch them.
type connection struct {
	// These never change.
	b    *Broker
	conn listener.Conn
	from *Listener // the listener it came in by

	// Any goroutine may read these at any time.
	life      atomic.Uint32 // a stage; see [connection.stage]
	quiet     atomic.Bool   // the end has been logged already, or was asked for
	throttled atomic.Bool   // held back until the store has room
	lastRead  atomic.Uint32 // second of the broker's life

	// hand is held by whoever goes on with the connection where its reading was paused, and by Closed, so that only one of them has what belongs to the reader.
	hand sync.Mutex

	// These belong to the goroutine that reads for the connection, or has its hand. What is told of the client stays as it is from CONNACK on, and may then be read
	// by whoever has s.mu.
	paused     bool // what has been read waits for an answer from elsewhere
	version    packet.Version
	clean      bool // clean session or clean start asked for
	bridge     bool
	watches    bool   // told of failed attempts from its address
	keepAlive  uint16 // seconds; 0: off
	lastRepeat uint16 // QoS 2 identifier that was repeated last, for [Compat.OneRepetition]

	// These two are set before anybody else knows the connection, and never change; they stand here because they cost nothing here.
	local    bool   // from this machine
	deadline uint32 // second of the broker's life in which CONNECT has to have come

	attempt *attempt    // the CONNECT that is being judged
	aliases []string    // topic aliases of the client, by alias-1; grown on use
	more    *negotiated // what few clients use

	slot slot // guarded by Broker.room

	// s is the session. A connection starts with a blank one of its own, which CONNECT either fills or exchanges for the one that is known under the client
	// identifier. It is changed by claim and abandon alone, with Broker.mu and both sessions' mutexes held.
	s *Session

	// Guarded by s.mu.
	out        outgoing
	owed       *[]reply // what waits for the store, in order; nil: nothing
	dirty      bool     // in a worker's list of connections to flush
	writing    bool     // some goroutine is in conn.Write; others append behind it
	handedOver bool     // a goroutine is about to write
	blocked    bool     // the transport took less than it was offered: Writable will come
	woken      bool     // Writable came while writing
	farewell   bool     // with closing: what is written last has to arrive, as the client is told why it has to go
	dropping   bool     // QoS 0 is being dropped; logged once until it drains
	held       int      // bytes counted against the broker's output budget

	// Place in one of the broker's chains, guarded by its listMu.
	chain      *chain
	prev, next *connection
}

func (c *connection) stage() stage { return stage(c.life.Load()) }

// advance moves the connection on to a later stage, and reports false if it stands there already or beyond. The stages from connected on are entered with s.mu held, so
// that whoever has that sees no more than one of them.
func (c *connection) advance(to stage) bool {
	for {
		was := c.life.Load()
		if was >= uint32(to) {
			return false
		}
		if c.life.CompareAndSwap(was, uint32(to)) {
			return true
		}
	}
}

// negotiated holds what MQTT 5 clients may ask for and most do not.
type negotiated struct {
	maxPacket  uint32 // largest packet the client takes; 0: no limit
	aliasMax   uint16 // aliases the client takes from us
	aliasOut   map[string]uint16
	noProblem  bool            // Request Problem Information 0: no reason strings (MQTT-3.1.2-29)
	assigned   bool            // the client identifier is ours
	exchange   access.Exchange // enhanced authentication under way
	check      *passwordCheck  // its proof; nil before the first step and when it is over
	authMethod string
	answers    map[question]access.Decision // what has been fetched for the packet that is read again
}

func (c *connection) opt() *negotiated {
	if c.more == nil {
		c.more = new(negotiated)
	}
	return c.more
}

// explains tells whether the client may be sent reason strings. Those that are to be told are sent also where reason_strings is false.
func (c *connection) explains(told bool) bool {
	return c.v5() && (c.more == nil || !c.more.noProblem) && (told || c.b.settings.Load().ReasonStrings)
}

func (c *connection) v5() bool { return c.version == packet.V5 }

func (c *connection) maxPacket() int {
	if c.more == nil || c.more.maxPacket == 0 {
		return packet.MaxRemaining + 5
	}
	return int(c.more.maxPacket)
}

// name is what the log calls the client: its identifier, or its address before it has one.
func (c *connection) name() string {
	if c.s.id != "" {
		return c.s.id
	}
	return "<unknown>"
}

func (c *connection) remote() netip.AddrPort { return c.conn.Info().Remote }

// address is the peer for log lines, "ADDR:PORT".
func (c *connection) address() string {
	r := c.remote()
	if !r.IsValid() {
		return "local:0"
	}
	return r.Addr().Unmap().String() + ":" + itoa(int(r.Port()))
}

// host is the peer's address without its port.
func (c *connection) host() string {
	r := c.remote()
	if !r.IsValid() {
		return "local"
	}
	return r.Addr().Unmap().String()
}

func (b *Broker) Accept(conn listener.Conn) listener.Client {
	info := conn.Info()
	c := &connection{b: b, conn: conn, from: listenerOf(info.Listener)}
	c.s = b.blank(c)
	c.local = info.ProxyTLS == nil && !info.Forwarded && !info.Foreign && (!info.Remote.IsValid() || info.Remote.Addr().Unmap().IsLoopback())
	if !b.welcome(c) {
		return nil
	}
	if !b.expectConnect(c, info.Since) {
		b.room.leave(&c.slot)
		return nil
	}
	b.stats.sockets.Add(1)
	c.lastRead.Store(b.clock.Load())
	if b.log.Enabled(logging.Notice) && b.settings.Load().ConnectionMessages && info.Protocol == listener.MQTT && info.Remote.IsValid() {
		b.log.Printf(logging.Notice, "New connection from %s on port %d.", c.address(), info.Listener.Port)
	}
	return c
}

func (c *connection) Read(lw listener.Worker, in []byte) (n, need int) {
	w := lw.(*worker)
	c.lastRead.Store(c.b.clock.Load())
	w.effort = 0
	for n < len(in) {
		at := c.stage()
		if at >= closing {
			return len(in), 0
		}
		if w.effort > maxEffort {
			c.yield(w)
			return n, 0
		}
		if c.paused || c.throttled.Load() {
			return n, 0
		}
		taken, missing, err := c.take(w, at, in[n:])
		if err != nil {
			c.fail(w, err)
			return len(in), 0
		}
		if n += taken; taken == 0 {
			need = missing
			break
		}
	}
	w.count.bytesIn += uint64(n)
	return n, need
}

// take handles the packet at the start of in, and those behind it that go with it, and returns how many bytes that was. None: the packet is not whole, and need is its
// size as far as that is known, or it waits for an answer and is to be read again.
func (c *connection) take(w *worker, at stage, in []byte) (taken, need int, err error) {
	kind := packet.Type(in[0] >> 4)
	if at < exchanging && kind != packet.CONNECT {
		// Whatever it is, it is not worth waiting for its end.
		return 0, 0, &packet.Error{Code: packet.ProtocolError, Clause: "MQTT-3.1.0-1", Text: "the first packet is not CONNECT"}
	}
	head, remaining, err := packet.Header(in)
	if err != nil || head == 0 {
		return 0, 0, err
	}
	total := head + remaining
	if limit := c.b.packetLimit(c, at, in); total > limit {
		return 0, 0, &packet.Error{Code: packet.PacketTooLarge, Clause: "MQTT-3.2.2-15",
			Text: "a packet of " + itoa(total) + " bytes, at most " + itoa(limit) + " are taken"}
	}
	switch {
	case len(in) < total:
		return 0, total, nil
	case at == connected && kind == packet.PUBLISH:
		taken, err = w.publish(c, in)
		return taken, 0, err
	case at == connected && total == 4 && acknowledges(in[0]):
		taken, err = c.acknowledgements(w, in)
		return taken, 0, err
	case at != connected:
		c.conn.Hold(total) // what the packet says is kept until it has been judged
	}
	if err = c.handle(w, at, in[0], in[head:total]); err == errAgain {
		return 0, 0, nil
	}
	w.count.packetsIn++
	return total, 0, err
}

// handle routes one whole packet that is not a PUBLISH to its place.
func (c *connection) handle(w *worker, at stage, first byte, body []byte) error {
	if c.shown() {
		c.showIn(first, body)
	}
	if err := c.forbids(at, first, body); err != nil {
		return err
	}
	kind := packet.Type(first >> 4)
	p, err := packet.Decode(c.version, first, body)
	if err != nil {
		if kind == packet.CONNECT && at == opening {
			return c.badConnect(w, err)
		}
		if e, ok := err.(*packet.Error); ok && e.Clause == "MQTT-3.14.2-1" {
			return &violation{packet: e, silent: true} // a peer that says goodbye reads no answer
		}
		return err
	}
	switch p := p.(type) {
	case *packet.Connect:
		if at != opening {
			return &packet.Error{Code: packet.ProtocolError, Clause: "MQTT-3.1.0-2", Text: "a second CONNECT"}
		}
		c.b.stats.connects.Add(1)
		return c.connect(w, p)
	case *packet.Ack:
		w.ids = append(w.ids[:0], p.ID)
		return c.acknowledged(w, p.Kind, w.ids, p.Code)
	case *packet.Subscribe:
		return c.subscribe(w, p)
	case *packet.Unsubscribe:
		return c.unsubscribe(w, p)
	case packet.Pingreq:
		c.b.debugf("Received PINGREQ from %s", c.s.id)
		c.b.debugf("Sending PINGRESP to %s", c.s.id)
		c.send(w, packet.Pingresp{})
	case *packet.Disconnect:
		return c.disconnected(w, p)
	case *packet.Auth:
		return c.auth(w, p)
	default:
		return &packet.Error{Code: packet.ProtocolError, Text: "a packet that only servers send: " + kind.String()}
	}
	return nil
}

// forbids says what is wrong with a packet before its body is looked at; nil for nothing.
func (c *connection) forbids(at stage, first byte, body []byte) error {
	kind := packet.Type(first >> 4)
	if at == exchanging && kind != packet.AUTH && kind != packet.DISCONNECT {
		return &packet.Error{Code: packet.ProtocolError, Clause: "MQTT-3.1.2-30", Text: "only AUTH or DISCONNECT may follow while authentication goes on"}
	}
	switch kind {
	case packet.PINGREQ, packet.PINGRESP:
		if len(body) > 0 {
			return &violation{packet: &packet.Error{Code: packet.MalformedPacket, Text: kind.String() + " with a body"}, silent: true}
		}
	case packet.SUBACK, packet.UNSUBACK:
		if first&0x0F != 0 {
			return &packet.Error{Code: packet.MalformedPacket, Clause: "MQTT-2.1.3-1", Text: "the reserved flags are set"}
		}
	}
	switch kind {
	case packet.CONNACK, packet.SUBACK, packet.UNSUBACK, packet.PINGRESP:
		return &packet.Error{Code: packet.ProtocolError, Text: "a packet that only servers send: " + kind.String()}
	case packet.AUTH:
		if c.more == nil || c.more.authMethod == "" {
			return &packet.Error{Code: packet.ProtocolError, Clause: "MQTT-4.12.0-6", Text: "AUTH from a client whose CONNECT named no authentication method"}
		}
	}
	return nil
}

// flagsOf is what the low four bits of the first byte must be (MQTT-2.1.3-1).
func flagsOf(kind packet.Type) byte {
	if kind == packet.PUBREL {
		return 2
	}
	return 0
}

func (c *connection) Writable(lw listener.Worker) {
	w := lw.(*worker)
	s := c.s
	s.mu.Lock()
	c.blocked = false
	c.woken = c.writing
	w.mark(c)
	s.mu.Unlock()
}

func (c *connection) Closed(lw listener.Worker, err error) {
	c.hand.Lock()
	defer c.hand.Unlock()
	c.endCheck(notChecked)
	c.b.departed(lw.(*worker), c, err)
}

// fail ends the connection for what the client did: the reason code where the version has one, the log line, the cause.
func (c *connection) fail(w *worker, err error) {
	var id cause.ID
	e, ok := err.(*packet.Error)
	silent := false
	if v, known := err.(*violation); known {
		e, id, silent = v.packet, v.cause, v.silent
	} else if !ok {
		e = &packet.Error{Code: packet.UnspecifiedError, Text: err.Error()}
	}
	if id == "" {
		id = causeOf(e)
	}
	what := "Client " + c.name() + " disconnected due to protocol error"
	switch {
	case c.stage() < exchanging:
		what = "Client " + c.name() + " from " + c.address() + " closed"
	case id == cause.PacketTooLarge:
		what = "Client " + c.name() + " disconnected due to oversize packet"
	case e.Code == packet.MalformedPacket:
		what = "Client " + c.name() + " disconnected due to malformed packet"
	case e.Code == packet.QoSNotSupported || e.Code == packet.RetainNotSupported || e.Code == packet.BadAuthenticationMethod:
		what = "Client " + c.name() + " disconnected due to using not allowed feature (QoS too high, retain not supported, or bad AUTH method)"
	case e.Code == packet.NotAuthorized:
		what = "Client " + c.name() + " disconnected, not authorised"
	}
	c.dismiss(w, refusal{code: e.Code, id: id, text: e.Error(), silent: silent, by: c}, "%s: %v.", what, e)
}

// dismiss reports why the connection ends, sends DISCONNECT where the client knows it, and closes when that has been written. The line is what the
// log says; empty for none. Any goroutine may call it; the session's mutex must not be held.
func (c *connection) dismiss(w *worker, r refusal, line string, args ...any) {
	why := c.b.report(r.incident(), line, args...)
	c.s.mu.Lock()
	c.partLocked(w, r, why)
	c.s.mu.Unlock()
}

// dismissLocked is dismiss while the session's mutex is held, for what is no attempt of the client's.
func (c *connection) dismissLocked(w *worker, r refusal, line string, args ...any) {
	c.partLocked(w, r, c.b.report(r.incident(), line, args...))
}

func (c *connection) partLocked(w *worker, r refusal, why string) {
	c.showDenied(r.id, r.text, true)
	c.tellParting(r.id)
	switch at := c.stage(); {
	case at < connected && c.s.id != "":
		// It has been let into its session, and waits for the store: CONNACK says what has become of that (MQTT-3.2.0-1).
		w.append(c, c.no(r, why))
	case at == connected && c.v5() && !r.silent:
		d := &packet.Disconnect{Code: r.code, Props: c.properties(r, why)}
		if len(d.Append(nil, c.version)) > c.maxPacket() {
			d.Props = nil // MQTT-3.14.2-3
		}
		c.b.debugf("Sending DISCONNECT to %s (rc%d)", c.s.id, r.code)
		w.append(c, d)
	}
	c.endLocked(w)
}

// end closes the connection when what has been produced is written.
func (c *connection) end(w *worker) {
	c.s.mu.Lock()
	c.endLocked(w)
	c.s.mu.Unlock()
}

func (c *connection) endLocked(w *worker) {
	if c.advance(closing) {
		c.farewell = true
	}
	c.quiet.Store(true)
	w.mark(c)
}

// hangUp closes the connection of a client that has said goodbye itself: it reads nothing more.
func (c *connection) hangUp(w *worker) {
	c.s.mu.Lock()
	c.endLocked(w)
	c.farewell = false
	c.s.mu.Unlock()
}

// violation is an error of the client's whose cause does not follow from its reason code.
type violation struct {
	packet *packet.Error
	cause  cause.ID
	silent bool // the connection is closed without DISCONNECT
}

func (v *violation) Error() string { return v.packet.Error() }

// causeOf finds the cause for what a client did wrong.
func causeOf(e *packet.Error) cause.ID {
	switch e.Code {
	case packet.MalformedPacket:
		return cause.MalformedPacket
	case packet.PacketTooLarge:
		return cause.PacketTooLarge
	case packet.QoSNotSupported:
		return cause.QoSNotSupported
	case packet.RetainNotSupported:
		return cause.RetainNotSupported
	case packet.TopicAliasInvalid:
		return cause.TopicAliasInvalid
	case packet.TopicNameInvalid, packet.TopicFilterInvalid:
		return cause.TopicInvalid
	case packet.ReceiveMaximumExceeded:
		return cause.ReceiveMaximumExceeded
	case packet.PayloadFormatInvalid:
		return cause.PayloadFormatInvalid
	case packet.UnsupportedProtocolVersion:
		return cause.ProtocolVersion
	case packet.BadAuthenticationMethod:
		return cause.AuthMethodUnknown
	case packet.NotAuthorized:
		return cause.BadCredentials
	}
	return cause.ProtocolViolation
}

// disconnected handles the client's DISCONNECT.
func (c *connection) disconnected(w *worker, p *packet.Disconnect) error {
	b, s := c.b, c.s
	b.debugf("Received DISCONNECT from %s", c.name())
	s.mu.Lock()
	if s.conn == c && c.stage() == connected {
		if p.Props.Has(packet.SessionExpiryInterval) {
			if s.expiry == 0 && p.Props.SessionExpiry != 0 {
				s.mu.Unlock()
				return &packet.Error{Code: packet.ProtocolError, Clause: "MQTT-3.14.2-2", Text: "a Session Expiry Interval in DISCONNECT after none in CONNECT"}
			}
			s.expiry = b.settings.Load().longest(p.Props.SessionExpiry)
		}
		if p.Code != packet.DisconnectWithWill {
			s.will = nil // MQTT-3.14.4-3
		}
	}
	s.mu.Unlock()
	if b.settings.Load().ConnectionMessages && !c.linked() {
		b.log.Printf(logging.Notice, "Client %s disconnected.", c.name())
	}
	c.hangUp(w)
	return nil
}
