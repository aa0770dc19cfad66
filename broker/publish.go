package broker

import (
	"bytes"
	"errors"
	"strings"

	"picket/cause"
	"picket/listener"
	"picket/logging"
	"picket/packet"
	"picket/session"
	"picket/store"
	"picket/topic"
)

// maxRun is how many packets are routed together at most.
const maxRun = 16384

// run is a number of consecutive PUBLISH packets of one client that differ in their payloads and packet identifiers only. They are routed
// once, and copied to a receiver with one copy.
type run struct {
	from    *connection // nil: the broker itself
	s       *Session    // from's
	version packet.Version
	first   byte // first byte of every packet
	qos     byte
	retain  bool
	name    []byte // topic name, mount point included
	prefix  int    // length of the publisher's mount point
	props   []byte // MQTT 5 properties as received, or as kept in a message
	plain   bool   // props may be forwarded as they are
	expiry  uint32
	expires bool // there is an expiry interval

	raw      []byte  // the packets as they came
	start    []int32 // where each packet starts in raw, and where the last one ends
	payload  []int32 // where each payload starts in raw
	ids      []uint16
	messages []*session.Message // the packets as messages, made when somebody has to keep one
	n        int
	bytes    int // of payloads

	variants [6]variant
	made     int // variants that hold this run
	propsOut []byte
	single   bool   // one session alone wants it
	kept     []byte // payload keptAt, copied
	keptAt   int
	own      bool // raw is ours: a large packet that came alone
}

func (r *run) body(i int) []byte {
	if r.raw == nil {
		return r.messages[i].Payload
	}
	return r.raw[r.payload[i]:r.start[i+1]]
}

// keep returns the payload of packet i in memory that is not written to again.
func (r *run) keep(i int) []byte {
	switch {
	case r.own || r.raw == nil:
		return r.body(i)
	case i < len(r.messages) && r.messages[i] != nil:
		return r.messages[i].Payload
	case r.kept == nil || r.keptAt != i:
		r.kept, r.keptAt = bytes.Clone(r.body(i)), i
	}
	return r.kept
}

// message is packet i as something to keep.
func (r *run) message(b *Broker, i int) *session.Message {
	if r.raw == nil {
		return r.messages[i]
	}
	for len(r.messages) < r.n {
		r.messages = append(r.messages, nil)
	}
	if m := r.messages[i]; m != nil {
		return m
	}
	m := &session.Message{Topic: string(r.name), Payload: r.keep(i), QoS: r.qos, Retain: r.retain, From: r.s.id, User: r.s.user}
	if r.retain && b.settings.Load().CheckRetainSource {
		m.Door = listenerKey(r.from.from)
	}
	if b.store != nil {
		m.ID, m.Single = b.store.NewMessageID(), r.single
	}
	if i > 0 && r.messages[0] != nil {
		m.Topic, m.Props = r.messages[0].Topic, r.messages[0].Props
	} else if len(r.props) > 0 {
		m.Props = packet.AppendForward(nil, r.props)
	}
	if r.expires {
		m.Expires = b.unix.Load() + int64(r.expiry)
	}
	r.messages[i] = m
	return m
}

func (r *run) reset() {
	clear(r.messages)
	*r = run{start: r.start[:0], payload: r.payload[:0], ids: r.ids[:0], messages: r.messages[:0], variants: r.variants}
}

// publish takes the PUBLISH packet at the start of in, whole, and those after it that can go with it, and returns how many bytes that was.
func (w *worker) publish(c *connection, in []byte) (taken int, err error) {
	r := &w.run
	r.reset()
	defer r.drop()
	head, remaining, _ := packet.Header(in)
	var p packet.Publish
	if err := p.Decode(c.version, in[0], in[head:head+remaining]); err != nil {
		if e, ok := err.(*packet.Error); ok && len(p.Topic) == 0 && e.Code == packet.ProtocolError && c.b.settings.Load().Mosquitto {
			e.Code = packet.MalformedPacket
		}
		return 0, err
	}
	b, t := c.b, c.b.settings.Load()
	if err := c.allowedToPublish(&p, t); err != nil {
		return 0, err
	}
	name, err := c.resolveAlias(&p)
	if err != nil {
		return 0, err
	}
	if err := topic.CheckName(name); err != nil {
		return 0, nameError(err)
	}
	if c.s.mount != "" {
		w.name = append(append(w.name[:0], c.s.mount...), name...)
		name = w.name
	}
	r.from, r.s, r.version, r.first = c, c.s, c.version, in[0]
	r.qos, r.retain, r.name, r.prefix = p.QoS, p.Retain, name, len(c.s.mount)
	r.props, r.plain, r.expiry, r.expires = p.Props, p.Alias == 0, p.Expiry, p.HasExpiry
	wire := head + 2 + len(p.Topic)
	size := head + remaining
	r.add(0, size-len(p.Payload), size, p.ID)
	taken = size
	if p.QoS == 2 {
		c.s.mu.Lock() // a connection that takes the session over may be at it already
	}
	// What follows with the same first byte, topic and properties goes along. DUP and QoS 2 packets that were seen before are looked at one by one.
	if !p.Dup && !p.PayloadUTF8 && (p.QoS < 2 || !c.s.in.Has(p.ID)) && (t.MessageSizeLimit == 0 || len(p.Payload) <= t.MessageSizeLimit) {
		taken = r.extend(c, in, taken, in[head:wire], t)
	}
	if p.QoS == 2 {
		c.s.mu.Unlock()
	}
	r.raw = in[:taken]
	r.own = taken == len(in) && taken >= listener.OwnedFrom
	r.start = append(r.start, int32(taken))
	w.count.packetsIn += uint64(r.n)
	w.count.publishIn += uint64(r.n)
	w.count.payloadIn += uint64(r.bytes)
	return taken, w.received(c, b, t, &p)
}

// drop lets go of what the run refers to.
func (r *run) drop() {
	r.raw, r.name, r.props, r.from, r.s = nil, nil, nil, nil, nil
	clear(r.messages)
	r.messages = r.messages[:0]
	r.kept, r.own, r.single = nil, false, false
}

func (r *run) add(start, payload, end int, id uint16) {
	r.start = append(r.start, int32(start))
	r.payload = append(r.payload, int32(payload))
	r.bytes += end - payload
	if r.qos > 0 {
		r.ids = append(r.ids, id)
	}
	r.n++
}

// extend adds the packets from at on that differ from the first one in payload and identifier only.
func (r *run) extend(c *connection, in []byte, at int, name []byte, t *settings) int {
	for r.n < maxRun && at+2 < len(in) && in[at] == r.first {
		rest := in[at:]
		head, remaining := 2, int(rest[1])
		if remaining >= 0x80 {
			var err error
			head, remaining, err = packet.Header(rest)
			if err != nil || head == 0 {
				break
			}
		}
		total := head + remaining
		if total > len(rest) || total > c.b.packetLimit(c) {
			break
		}
		body := rest[head:total]
		if len(body) < len(name) || !bytes.Equal(body[:len(name)], name) {
			break
		}
		payload, id := len(name), uint16(0)
		if r.qos > 0 {
			if len(body) < payload+2 {
				break
			}
			id = uint16(body[payload])<<8 | uint16(body[payload+1])
			payload += 2
			if id == 0 || r.qos == 2 && (c.s.in.Has(id) || r.repeats(id)) {
				break
			}
		}
		if c.version == packet.V5 {
			// One byte of length: runs with longer properties are rare, and end here.
			n := len(r.props)
			if n > 127 || len(body) < payload+1+n || int(body[payload]) != n || !bytes.Equal(body[payload+1:payload+1+n], r.props) {
				break
			}
			payload += 1 + n
		}
		if t.MessageSizeLimit > 0 && len(body)-payload > t.MessageSizeLimit {
			break
		}
		r.add(at, at+head+payload, at+total, id)
		at += total
	}
	return at
}

// repeats tells whether the identifier is in the run already. Clients count upwards, so the last one settles it nearly always.
func (r *run) repeats(id uint16) bool {
	if last := r.ids[len(r.ids)-1]; id > last && last >= r.ids[0] && r.rising() {
		return false
	}
	for _, other := range r.ids {
		if other == id {
			return true
		}
	}
	return false
}

// rising tells whether the run's identifiers rise by one from the first to the last.
func (r *run) rising() bool {
	return int(r.ids[len(r.ids)-1])-int(r.ids[0]) == len(r.ids)-1
}

// allowedToPublish checks what does not depend on the topic.
func (c *connection) allowedToPublish(p *packet.Publish, t *settings) error {
	switch {
	case p.SubscriptionIDs > 1 || p.SubscriptionIDs == 1 && !t.Mosquitto:
		return &packet.Error{Code: packet.ProtocolError, Clause: "MQTT-3.3.4-6", Text: "PUBLISH from a client with a Subscription Identifier"}
	case p.QoS > c.from.MaxQoS:
		return &packet.Error{Code: packet.QoSNotSupported, Clause: "MQTT-3.2.2-11", Text: "QoS above the Maximum QoS of this listener"}
	case p.Retain && !t.RetainAvailable:
		return &packet.Error{Code: packet.RetainNotSupported, Clause: "MQTT-3.2.2-14", Text: "retained messages are switched off"}
	}
	return nil
}

// received judges the run, routes it and acknowledges it.
func (w *worker) received(c *connection, b *Broker, t *settings, p *packet.Publish) error {
	r, s := &w.run, c.s
	code, id := c.judge(r, t)
	if code == packet.Success && r.qos == 2 {
		if s.stored() {
			s.kept.receiving.Lock()
			defer s.kept.receiving.Unlock()
		}
		s.mu.Lock()
		if s.conn != c {
			s.mu.Unlock()
			return nil // taken over: its client sends it again on the new connection
		}
		fresh := s.in.Receive(r.ids[0])
		for _, id := range r.ids[1:] {
			s.in.Receive(id)
		}
		over := c.v5() && s.in.Len() > t.receiveMaximum
		stored := s.stored()
		s.mu.Unlock()
		if over {
			return &packet.Error{Code: packet.ReceiveMaximumExceeded, Clause: "MQTT-3.3.4-9", Text: "more than " + itoa(t.receiveMaximum) + " QoS 2 messages without PUBREL"}
		}
		if !fresh {
			b.logPublish("Received", s.id, p.Dup, r.qos, r.retain, r.ids[0], r.name, len(r.body(0)))
			c.repeated(w)
			return nil
		}
		if stored {
			for _, id := range r.ids {
				w.changes().Receive(s.kept.handle, id)
			}
		}
	}
	debug := b.log.Enabled(logging.Debug)
	if code != packet.Success {
		w.acknowledge(c, reply{code: code, why: w.refused(c, code, id, debug)})
		return nil
	}
	if debug {
		for i := range r.n {
			var mid uint16
			if r.qos > 0 {
				mid = r.ids[i]
			}
			b.logPublish("Received", s.id, p.Dup, r.qos, r.retain, mid, r.name, len(r.body(i)))
		}
	}
	if b.store == nil && r.qos == 2 {
		// The acknowledgement does not say whether anybody subscribes, so it need not wait for what routing finds out; clients that
		// subscribe to their own topics see PUBREC before the message.
		w.acknowledge(c, reply{})
		w.route()
		return nil
	}
	if w.route() == 0 && r.qos == 1 && c.v5() {
		code = packet.NoMatchingSubscribers
	}
	after, also := w.commit(), w.retained
	w.retained = nil
	if r.qos == 2 && s.stored() {
		s.kept.lastReceive = after
	}
	w.acknowledge(c, reply{code: code, after: after, also: also})
	if b.store != nil {
		b.holdBack(c)
	}
	return nil
}

// repeated handles a QoS 2 PUBLISH whose identifier waits for PUBREL: it is acknowledged again, as often as it comes, and not delivered again (MQTT-4.3.3-10 of
// MQTT 5.0, MQTT-4.3.3-2 of 3.1.1).
func (c *connection) repeated(w *worker) {
	var after *store.Batch
	if c.s.stored() {
		after = c.s.kept.lastReceive
	}
	w.acknowledge(c, reply{after: after})
}

// judge decides whether the client may publish to the topic.
func (c *connection) judge(r *run, t *settings) (packet.Code, cause.ID) {
	if t.MessageSizeLimit > 0 && len(r.body(0)) > t.MessageSizeLimit {
		return packet.PacketTooLarge, cause.PayloadTooLarge
	}
	acl := c.s.acl
	if acl == nil && r.name[0] != '$' {
		return packet.Success, ""
	}
	name := string(r.name)
	if strings.HasPrefix(name, "$SYS/") && !(strings.HasPrefix(name, "$SYS/broker/connection/") && strings.HasSuffix(name, "/state")) {
		return packet.NotAuthorized, cause.SysReadOnly
	}
	if strings.HasPrefix(name, "$CONTROL/") {
		return packet.ImplementationSpecificError, cause.ControlUnavailable
	}
	if strings.HasPrefix(name, "$share/") {
		return packet.NotAuthorized, cause.TopicInvalid // it would look like a shared subscription wherever it is printed
	}
	if acl != nil && !acl.Write(name) {
		return packet.NotAuthorized, cause.ACLPublishDenied
	}
	return packet.Success, ""
}

// refused reports that the run was not taken, and returns the reason string.
func (w *worker) refused(c *connection, code packet.Code, id cause.ID, debug bool) (why string) {
	r := &w.run
	line := "Denied"
	if code == packet.PacketTooLarge {
		line = "Dropped too large"
	}
	lines, each := 1, r.n // one line says it, unless everything is asked for
	if debug {
		lines, each = r.n, 1
	}
	for i := range lines {
		var mid uint16
		if r.qos > 0 {
			mid = r.ids[i]
		}
		why = c.b.report(incident{cause: id, count: each}, "%s PUBLISH from %s (d%d, q%d, r%d, m%d, '%s', ... (%d bytes))",
			line, c.s.id, r.first>>3&1, r.qos, bit(r.retain), mid, r.name, len(r.body(i)))
	}
	return why
}

// acknowledge answers every packet of the run, as soon as what that promises is in the store. Kind and identifiers of a are those of the run.
func (w *worker) acknowledge(c *connection, a reply) {
	r := &w.run
	if r.qos == 0 {
		return
	}
	a.ids, a.kind = r.ids, packet.PUBACK
	if r.qos == 2 {
		a.kind = packet.PUBREC
	}
	s := c.s
	s.mu.Lock()
	w.owe(c, a)
	s.mu.Unlock()
}

// acknowledgeAll sends one kind of acknowledgement for many packets; why is the reason string of a failure. The session's mutex is held.
func (w *worker) acknowledgeAll(c *connection, kind packet.Type, code packet.Code, why string, ids []uint16) {
	if c.gone || c.closeAfter {
		return
	}
	if code == packet.Success || !c.v5() {
		c.out.room(&w.pool, 4*len(ids))
		for _, id := range ids {
			c.out.tail = append(c.out.tail, byte(kind)<<4|flagsOf(kind), 2, byte(id>>8), byte(id))
		}
		c.out.size += 4 * len(ids)
		w.count.packetsOut += uint64(len(ids))
		w.mark(c)
	} else {
		for _, id := range ids {
			ack := &packet.Ack{Kind: kind, ID: id, Code: code}
			if why != "" && c.explains(false) {
				ack.Props = new(packet.Properties).Set(packet.ReasonString)
				ack.Props.ReasonString = why
				if len(ack.Append(nil, c.version)) > c.maxPacket() {
					ack.Props = nil // MQTT-3.4.2-2, MQTT-3.5.2-2
				}
			}
			w.append(c, ack)
		}
	}
	if !c.b.log.Enabled(logging.Debug) {
		return
	}
	for _, id := range ids {
		if kind == packet.PUBACK || kind == packet.PUBREC {
			c.b.debugf("Sending %s to %s (m%d, rc%d)", kind, c.s.id, id, code)
		} else {
			c.b.debugf("Sending %s to %s (m%d)", kind, c.s.id, id)
		}
	}
}

// acknowledges tells whether the first byte of a packet is that of PUBACK, PUBREC, PUBREL or PUBCOMP.
func acknowledges(first byte) bool {
	switch kind := packet.Type(first >> 4); kind {
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		return first&0x0F == flagsOf(kind)
	}
	return false
}

// acknowledgements handles the acknowledgement at the start of in, and those of the same kind behind it, all in their short form, and returns how
// many bytes that was.
func (c *connection) acknowledgements(w *worker, in []byte) (taken int, err error) {
	w.ids = w.ids[:0]
	for taken+4 <= len(in) && in[taken] == in[0] && in[taken+1] == 2 {
		id := uint16(in[taken+2])<<8 | uint16(in[taken+3])
		if id == 0 {
			break
		}
		w.ids = append(w.ids, id)
		taken += 4
	}
	if taken == 0 {
		w.count.packetsIn++
		return 0, &packet.Error{Code: packet.ProtocolError, Clause: "MQTT-2.2.1-3", Text: "packet identifier 0"}
	}
	w.count.packetsIn += uint64(len(w.ids))
	return taken, c.acknowledged(w, packet.Type(in[0]>>4), w.ids, packet.Success)
}

// acknowledged handles PUBACK, PUBREC, PUBREL or PUBCOMP for some packets, which are all answered alike.
func (c *connection) acknowledged(w *worker, kind packet.Type, ids []uint16, code packet.Code) (err error) {
	s, b := c.s, c.b
	if b.log.Enabled(logging.Debug) {
		for _, id := range ids {
			c.logAcknowledged(kind, id, code)
		}
	}
	if kind == packet.PUBREL && s.stored() {
		s.kept.receiving.Lock()
		defer s.kept.receiving.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c {
		return nil
	}
	if kind == packet.PUBREL {
		c.released(w, ids)
		return nil
	}
	var batch *store.Batch // of what the answers promise
	answered := ids[:0]
	for _, id := range ids {
		var seq uint64
		var fits session.Match
		switch kind {
		case packet.PUBACK:
			seq, fits = s.out.Ack(id)
		case packet.PUBCOMP:
			seq, fits = s.out.Comp(id)
		default:
			seq, fits = s.out.Rec(id, code.Failed())
			if fits != session.OutOfPlace && !code.Failed() {
				answered = append(answered, id)
			}
		}
		switch {
		case fits == session.OutOfPlace:
			err = &packet.Error{Code: packet.ProtocolError, Clause: "MQTT-4.3.3-1", Text: kind.String() + " for a message that waits for another acknowledgement"}
		case fits == session.Unknown:
			b.report(incident{cause: cause.PacketIDUnknown, level: logging.Warning}, "Warning: Received %s from %s for an unknown packet identifier %d.", kind, s.id, id)
		case fits != session.Fits || !s.stored():
		case kind == packet.PUBREC && !code.Failed():
			if ref := s.kept.refs.find(seq); ref != nil {
				if batch == nil {
					batch = new(store.Batch)
				}
				batch.Release(s.kept.handle, ref)
			}
		default:
			w.done(s, seq)
		}
		if err != nil {
			break
		}
	}
	if batch != nil {
		// After a crash that forgot the release, the message would be sent again, to a client that has forgotten its identifier by then.
		batch = b.commit(batch)
	}
	if kind == packet.PUBREC && len(answered) > 0 {
		w.owe(c, reply{after: batch, kind: packet.PUBREL, ids: answered})
	}
	if s.hasMore() {
		w.mark(c) // the window has moved on
	}
	return err
}

// released answers PUBREL. An unknown identifier is one whose PUBCOMP was lost with the connection before (MQTT-4.3.3-11). The session's mutexes are held.
func (c *connection) released(w *worker, ids []uint16) {
	s, b := c.s, c.b
	var batch *store.Batch
	for _, id := range ids {
		if s.in.Release(id) && s.stored() {
			if batch == nil {
				batch = new(store.Batch)
			}
			batch.Forget(s.kept.handle, id)
		}
	}
	if batch != nil {
		// After a crash that forgot this, the next message under the identifier would be taken for a repetition.
		batch = b.commit(batch)
	}
	w.owe(c, reply{after: batch, kind: packet.PUBCOMP, ids: ids})
}

func (c *connection) logAcknowledged(kind packet.Type, id uint16, code packet.Code) {
	switch kind {
	case packet.PUBACK, packet.PUBCOMP:
		c.b.debugf("Received %s from %s (Mid: %d, RC:%d)", kind, c.s.id, id, code)
	default:
		c.b.debugf("Received %s from %s (Mid: %d)", kind, c.s.id, id)
	}
}

// nameError is a bad topic name as a protocol error.
func nameError(err error) error {
	if errors.Is(err, topic.ErrTooDeep) {
		return &violation{packet: &packet.Error{Code: packet.MalformedPacket, Text: err.Error()}, cause: cause.TopicTooDeep}
	}
	return &violation{packet: &packet.Error{Code: packet.TopicNameInvalid, Text: err.Error()}, cause: cause.TopicInvalid}
}

// reserved tells whether a topic name is one that clients can never publish to.
func reserved(name string) bool {
	return strings.HasPrefix(name, "$CONTROL/") || strings.HasPrefix(name, "$share/")
}
