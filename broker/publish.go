package broker

import (
	"errors"

	"picket/access"
	"picket/cause"
	"picket/logging"
	"picket/packet"
	"picket/session"
	"picket/topic"
)

// publish takes the PUBLISH packet at the start of in, whole, and those after it that can go with it, and returns how many bytes that was: none if
// whether the client may has to be asked elsewhere; it is called again with the same bytes then.
func (w *worker) publish(c *connection, in []byte) (taken int, err error) {
	w.timeDelivery()
	r := &w.run
	defer r.drop()
	var p packet.Publish
	if err := w.gather(c, in, &p); err != nil {
		c.showBroken(in)
		return 0, err
	}
	d, here := c.judge(w)
	if !here {
		return 0, nil
	}
	if c.shown() {
		w.showRun(c, false, r.raw, r.start, 0, r.n)
	}
	w.count.packetsIn += uint64(r.n)
	w.count.publishIn += uint64(r.n)
	w.count.payloadIn += uint64(r.bytes)
	return len(r.raw), w.received(c, &p, d)
}

// allowedToPublish checks what does not depend on the topic.
func (c *connection) allowedToPublish(p *packet.Publish, t *settings) error {
	switch {
	case p.SubscriptionIDs > 1 || p.SubscriptionIDs == 1 && !t.Compat.SubscriptionIDFromClient:
		return &packet.Error{Code: packet.ProtocolError, Clause: "MQTT-3.3.4-6", Text: "PUBLISH from a client with a Subscription Identifier"}
	case p.QoS > c.from.MaxQoS:
		return &packet.Error{Code: packet.QoSNotSupported, Clause: "MQTT-3.2.2-11", Text: "QoS above the Maximum QoS of this listener"}
	case p.Retain && !t.RetainAvailable:
		return &packet.Error{Code: packet.RetainNotSupported, Clause: "MQTT-3.2.2-14", Text: "retained messages are switched off"}
	}
	return nil
}

// received receives the run if it is allowed, routes it and acknowledges it.
func (w *worker) received(c *connection, p *packet.Publish, d access.Decision) error {
	r, s, b := &w.run, c.s, c.b
	if !d.Allow {
		w.acknowledge(c, reply{code: codeOf(d.Cause), why: w.refused(c, d)})
		return nil
	}
	if r.qos == 2 {
		s.durable.beginReceiving()
		defer s.durable.endReceiving()
		if fresh, err := w.receive(c); err != nil || !fresh {
			return err
		}
	}
	w.logReceived(p.Dup)
	if h := b.control(r.route.name); h != nil {
		w.command(c, h)
		return nil
	}
	if r.qos == 2 && !b.stores && b.neighbours == nil {
		// The acknowledgement does not say whether anybody subscribes, so it need not wait for what routing finds out; clients that
		// subscribe to their own topics see PUBREC before the message.
		w.acknowledge(c, reply{})
		w.route()
		return nil
	}
	out := w.route()
	answer := reply{after: out.queued, also: out.retained, far: out.far, follows: out.follows}
	if out.matched == 0 && r.qos == 1 && c.v5() {
		answer.code = packet.NoMatchingSubscribers
	}
	if r.qos == 2 {
		s.durable.received(out.queued)
	}
	w.acknowledge(c, answer)
	if out.stored || out.far != nil {
		b.holdBack(c)
	}
	return nil
}

// receive notes the packet identifiers of a run of QoS 2, and reports whether it is to be routed: not if it has come before, or if another connection has the
// session by now, whose client sends it again there.
func (w *worker) receive(c *connection) (fresh bool, err error) {
	r, s := &w.run, c.s
	s.mu.Lock()
	if s.conn != c {
		s.mu.Unlock()
		return false, nil
	}
	fresh = s.in.Receive(r.ids[0])
	for _, id := range r.ids[1:] {
		s.in.Receive(id)
	}
	limit := c.b.settings.Load().receiveMaximum
	over := c.v5() && s.in.Len() > limit && !c.linked()
	s.mu.Unlock()
	switch {
	case over:
		return false, &packet.Error{Code: packet.ReceiveMaximumExceeded, Clause: "MQTT-3.3.4-9", Text: "more than " + itoa(limit) + " QoS 2 messages without PUBREL"}
	case !fresh:
		w.logReceived(r.first&8 != 0)
		return false, c.repeated(w, r.ids[0])
	}
	w.receiveDurably(s, r.ids)
	return fresh, nil
}

// logReceived logs each packet of the run.
func (w *worker) logReceived(dup bool) {
	if !w.b.log.Enabled(logging.Debug) {
		return
	}
	r := &w.run
	for i := range r.n {
		w.b.logPublish("Received", r.s.id, dup, r.qos, r.retain, r.id(i), r.topic(i), len(r.body(i)))
	}
}

// repeated handles a QoS 2 PUBLISH whose identifier waits for PUBREL: it is acknowledged again, as often as it comes, and not delivered again (MQTT-4.3.3-10 of
// MQTT 5.0, MQTT-4.3.3-2 of 3.1.1). mosquitto cuts a client off that repeats one more than once.
func (c *connection) repeated(w *worker, id uint16) error {
	if c.b.settings.Load().Compat.OneRepetition {
		if c.lastRepeat == id {
			return &packet.Error{Code: packet.ProtocolError, Clause: "MQTT-4.4.0-1", Text: "a QoS 2 PUBLISH repeated over and over on one connection"}
		}
		c.lastRepeat = id
	}
	w.acknowledge(c, reply{after: c.s.durable.repeats()})
	return nil
}

// refused reports that the run was not taken, and returns the reason string.
func (w *worker) refused(c *connection, d access.Decision) (why string) {
	r, debug := &w.run, w.b.log.Enabled(logging.Debug)
	c.showDenied(d.Cause, d.Text, false)
	line := "Denied"
	if d.Cause == cause.PayloadTooLarge {
		line = "Dropped too large"
	}
	lines, each := 1, r.n // one line says it, unless everything is asked for
	if debug {
		lines, each = r.n, 1
	}
	for i := range lines {
		why = c.b.report(incident{cause: d.Cause, count: each, seen: d.Text}, "%s PUBLISH from %s (d%d, q%d, r%d, m%d, '%s', ... (%d bytes))",
			line, c.s.id, r.first>>3&1, r.qos, bit(r.retain), r.id(i), r.topic(i), len(r.body(i)))
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
	if c.stage() >= closing {
		return
	}
	if code == packet.Success || !c.v5() {
		c.out.room(&w.pool, 4*len(ids))
		for _, id := range ids {
			c.out.tail = append(c.out.tail, byte(kind)<<4|flagsOf(kind), 2, byte(id>>8), byte(id))
		}
		c.out.size += 4 * len(ids)
		if c.shown() {
			c.showAcks(true, c.out.tail[len(c.out.tail)-4*len(ids):])
		}
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
	if c.shown() {
		c.showAcks(false, in[:taken])
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
	if kind == packet.PUBREL {
		s.durable.beginReceiving()
		defer s.durable.endReceiving()
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
	answered, stored := ids[:0], s.changes()
	for n := 0; len(ids) > 0; ids = ids[n:] {
		seq, taken, fits := s.acknowledge(kind, ids, code)
		n = taken
		if fits == session.OutOfPlace {
			err = &packet.Error{Code: packet.ProtocolError, Clause: "MQTT-4.3.3-1", Text: kind.String() + " for a message that waits for another acknowledgement"}
			break
		}
		switch {
		case fits == session.Unknown:
			b.report(incident{cause: cause.PacketIDUnknown, level: logging.Warning}, "Warning: Received %s from %s for an unknown packet identifier %d.", kind, s.id, ids[0])
		case fits != session.Fits:
		case kind == packet.PUBREC && !code.Failed():
			stored.release(seq, n)
		default:
			w.done(s, seq, n)
		}
		if kind == packet.PUBREC && !code.Failed() {
			answered = append(answered, ids[:n]...)
		}
	}
	after := b.commit(stored.batch)
	if len(answered) > 0 {
		w.owe(c, reply{after: after, kind: packet.PUBREL, ids: answered})
	}
	if s.hasMore() {
		w.mark(c) // the window has moved on
	}
	return err
}

// acknowledge takes PUBACK, PUBREC or PUBCOMP for the message that the first of ids stands for, and for as many as follow it in flight and in ids. It returns how many
// that were, and the sequence number of the first where there is one that waits for it.
func (s *Session) acknowledge(kind packet.Type, ids []uint16, code packet.Code) (seq uint64, n int, fits session.Match) {
	switch {
	case kind == packet.PUBACK:
		return s.out.Ack(ids...)
	case kind == packet.PUBCOMP:
		return s.out.Comp(ids...)
	case code.Failed():
		seq, fits = s.out.Refused(ids[0])
		return seq, 1, fits
	}
	return s.out.Rec(ids...)
}

// released answers PUBREL. An unknown identifier is one whose PUBCOMP was lost with the connection before (MQTT-4.3.3-11). The session's mutexes are held.
func (c *connection) released(w *worker, ids []uint16) {
	s := c.s
	stored := s.changes()
	for _, id := range ids {
		if id == c.lastRepeat {
			c.lastRepeat = 0 // the next one with this identifier is another message
		}
		if s.in.Release(id) {
			stored.forget(id)
		}
	}
	w.owe(c, reply{after: c.b.commit(stored.batch), kind: packet.PUBCOMP, ids: ids})
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
