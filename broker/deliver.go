package broker

import (
	"picket/cause"
	"picket/logging"
	"picket/packet"
	"picket/session"
)

// variant is the run encoded for one kind of receiver. When a receiver's packets are byte for byte what came in (but for the packet identifiers), buf is
// the reading buffer itself.
type variant struct {
	key    variantKey
	buf    []byte
	own    []byte  // memory for buf, kept between runs
	start  []int32 // where each packet starts, and where the last one ends
	starts []int32 // memory for start
	id     []int32 // where each packet identifier is, at QoS 1 and 2
}

type variantKey struct {
	v5     bool
	qos    byte
	retain bool
	prefix int // length of the receiver's mount point
}

// as returns the run in the form that key describes.
func (r *run) as(key variantKey) *variant {
	for i := range r.made {
		if r.variants[i].key == key {
			return &r.variants[i]
		}
	}
	if r.made == len(r.variants) {
		r.made-- // more kinds of receivers than anyone has: the last place is used again and again
	}
	v := &r.variants[r.made]
	r.made++
	v.key = key
	v.id = v.id[:0]
	same := r.raw != nil && r.plain && key.v5 == (r.version == packet.V5) && key.prefix == r.prefix &&
		r.first == byte(packet.PUBLISH)<<4|key.qos<<1|bit(key.retain)
	if same {
		v.buf, v.start = r.raw, r.start
		if key.qos > 0 {
			// The identifier stands right behind the topic name, as far before the payload as the properties are long.
			back := int32(2)
			if key.v5 {
				back += int32(propertyLength(r.props))
			}
			for _, p := range r.payload {
				v.id = append(v.id, p-back)
			}
		}
		return v
	}
	r.encode(v, nil)
	return v
}

// encode writes the run's packets as v.key says. ids are subscription identifiers to add.
func (r *run) encode(v *variant, ids []uint32) {
	v.own = v.own[:0]
	v.starts, v.id = v.starts[:0], v.id[:0]
	name := r.name[v.key.prefix:]
	var props []byte
	if v.key.v5 {
		r.propsOut = packet.AppendForward(r.propsOut[:0], r.props)
		if r.expires {
			r.propsOut = packet.AppendExpiry(r.propsOut, r.expiry)
		}
		for _, id := range ids {
			r.propsOut = packet.AppendSubscriptionID(r.propsOut, id)
		}
		props = r.propsOut
	}
	version := packet.V311
	if v.key.v5 {
		version = packet.V5
	}
	for i := range r.n {
		p := packet.Publish{QoS: v.key.qos, Retain: v.key.retain, Topic: name, ID: 1, Props: props, Payload: r.body(i)}
		v.starts = append(v.starts, int32(len(v.own)))
		v.own = p.Append(v.own, version)
		if v.key.qos > 0 {
			at := len(v.own) - len(p.Payload) - 2
			if v.key.v5 {
				at -= propertyLength(props)
			}
			v.id = append(v.id, int32(at))
		}
	}
	v.starts = append(v.starts, int32(len(v.own)))
	v.buf, v.start = v.own, v.starts
}

// route sends the run to everyone who wants it, keeps it if it is to be retained, and returns how many sessions wanted it.
func (w *worker) route() int {
	r, b := &w.run, w.b
	if r.retain {
		w.retained = w.retain()
	}
	rt := w.lookup(r.name)
	r.single = len(rt.receivers) == 1 && len(rt.groups) == 0 && !r.retain
	n := 0
	for i := range rt.receivers {
		to := &rt.receivers[i]
		if to.noLocal && to.s == r.s {
			n++ // somebody subscribes, but not for its own messages (MQTT-3.8.3-3)
			continue
		}
		to.s.mu.Lock()
		if to.s.over || !to.allowed(rt.name) {
			if !to.s.over {
				b.report(incident{cause: cause.ACLReadDenied, count: r.n}, "")
			}
			to.s.mu.Unlock()
			continue
		}
		n++
		w.deliver(to, 0, r.n)
		to.s.mu.Unlock()
	}
	for _, g := range rt.groups {
		for i := range r.n {
			if w.share(g, i) {
				n++
			}
		}
	}
	return n
}

// deliver hands packets i to j of the run to one receiver, whose mutex is held.
func (w *worker) deliver(to *receiver, i, j int) {
	r, s := &w.run, to.s
	qos := w.qosFor(to)
	retain := to.rap && r.retain
	c := s.conn
	if c == nil || c.gone || c.closeAfter || !c.greeted {
		if w.waitsFor(s, qos) {
			w.enqueue(to, i, j, qos, retain)
		}
		return
	}
	if qos == 0 && c.full() {
		w.dropped(s, cause.OutputFull, j-i)
		return
	}
	if len(to.ids) > 0 && c.v5() || c.more != nil && (c.more.aliasMax > 0 || c.more.maxPacket > 0) || qos > 0 && s.out.KeepsBodies() || qos == 2 && s.stored() {
		w.deliverSingly(to, c, i, j, qos, retain)
		return
	}
	v := r.as(variantKey{v5: c.v5(), qos: qos, retain: retain, prefix: len(s.mount)})
	if qos == 0 {
		w.emit(c, v, i, j)
		w.logSent(c, i, j, 0, qos, retain)
		return
	}
	for i < j && !c.full() && s.conn == c && !c.gone { // emit lets go of the mutex while it writes
		first, n := s.out.Reserve(j-i, qos)
		if n == 0 {
			break
		}
		for k := range n {
			id := session.PacketID(first + uint64(k))
			at := v.id[i+k]
			v.buf[at], v.buf[at+1] = byte(id>>8), byte(id)
			if s.stored() {
				w.put(s, session.Delivery{Message: r.message(w.b, i+k), Seq: first + uint64(k), QoS: qos, Retain: retain, IDs: to.ids}, true, true)
			}
		}
		w.emit(c, v, i, i+n)
		w.logSent(c, i, i+n, first, qos, retain)
		i += n
	}
	if i < j {
		w.enqueue(to, i, j, qos, retain)
	}
}

// qosFor is the QoS that the run has for a receiver.
func (w *worker) qosFor(to *receiver) byte {
	if w.b.settings.Load().UpgradeOutgoingQoS {
		return to.qos
	}
	return min(w.run.qos, to.qos)
}

// waitsFor tells whether messages wait for a client that is not connected. The session's mutex is held.
func (w *worker) waitsFor(s *Session, qos byte) bool {
	return (qos > 0 || w.b.settings.Load().QueueQoS0) && (s.survives() || s.conn != nil && !s.conn.greeted)
}

// emit puts packets i to j of an encoded run into the connection's output: large runs are offered to the transport at once.
func (w *worker) emit(c *connection, v *variant, i, j int) {
	from, to := v.start[i], v.start[j]
	b := v.buf[from:to]
	n := j - i
	w.count.packetsOut += uint64(n)
	w.count.publishOut += uint64(n)
	w.count.payloadOut += uint64(w.run.bodies(i, j))
	switch {
	case len(b) < writeThrough:
		c.out.add(&w.pool, b)
	case n == 1:
		// The payload of a large message is kept once for all receivers that are slow; only what is before it differs.
		body := w.run.body(i)
		c.out.add(&w.pool, b[:len(b)-len(body)])
		if !c.writing && !c.blocked && !c.gone && len(body) <= muchOutput {
			w.bufs = append(c.out.take(w), body)
			w.transmit(c, w.bufs, body)
		} else if !c.gone {
			c.out.share(w.run.keep(i))
		}
	case !c.writing && !c.blocked && !c.gone:
		w.bufs = append(c.out.take(w), b)
		w.transmit(c, w.bufs, b)
	default:
		c.out.add(&w.pool, b)
	}
	w.mark(c)
	if c.blocked {
		c.settle()
	}
}

// bodies is the sum of the payloads of packets i to j.
func (r *run) bodies(i, j int) int {
	if i == 0 && j == r.n {
		return r.bytes
	}
	n := 0
	for ; i < j; i++ {
		n += len(r.body(i))
	}
	return n
}

// enqueue keeps packets i to j for later.
func (w *worker) enqueue(to *receiver, i, j int, qos byte, retain bool) {
	s := to.s
	for ; i < j; i++ {
		d := session.Delivery{Message: w.run.message(w.b, i), QoS: qos, Retain: retain, IDs: to.ids}
		if _, v := w.offer(s, d, false); v > session.Away {
			w.dropped(s, verdictCause(v), j-i)
			return
		}
	}
	if s.conn != nil {
		w.mark(s.conn)
	}
}

func verdictCause(v session.Verdict) cause.ID {
	switch v {
	case session.BytesFull:
		return cause.QueueBytesFull
	case session.BudgetFull:
		return cause.MemoryLimit
	}
	return cause.QueueFull
}

// deliverSingly is deliver for receivers whose packets differ from everyone else's: subscription identifiers, topic aliases, a maximum
// packet size, or bodies that are kept until they are acknowledged.
func (w *worker) deliverSingly(to *receiver, c *connection, i, j int, qos byte, retain bool) {
	r, s := &w.run, to.s
	for ; i < j; i++ {
		p := w.publishFor(to, c, i, qos, retain)
		if !w.fits(c, &p) {
			if qos > 0 {
				s.out.Skip()
			}
			continue
		}
		if qos > 0 {
			if c.full() {
				w.enqueue(to, i, j, qos, retain)
				return
			}
			if s.out.KeepsBodies() || s.stored() {
				d, v := w.offer(s, session.Delivery{Message: r.message(w.b, i), QoS: qos, Retain: retain, IDs: to.ids}, true)
				if v > session.Away {
					w.dropped(s, verdictCause(v), 1)
				}
				if v != session.Send {
					continue
				}
				p.ID = session.PacketID(d.Seq)
			} else if first, n := s.out.Reserve(1, qos); n == 1 {
				p.ID = session.PacketID(first)
			} else {
				w.enqueue(to, i, j, qos, retain)
				return
			}
		} else if c.full() {
			w.dropped(s, cause.OutputFull, j-i)
			return
		}
		w.publishTo(c, &p)
	}
}

// publishFor is packet i of the run as one receiver gets it, without its packet identifier.
func (w *worker) publishFor(to *receiver, c *connection, i int, qos byte, retain bool) packet.Publish {
	r := &w.run
	p := packet.Publish{QoS: qos, Retain: retain, Topic: r.name[len(to.s.mount):], Payload: r.body(i)}
	if c.v5() {
		p.Props = packet.AppendForward(w.props[:0], r.props)
		if r.expires {
			p.Props = packet.AppendExpiry(p.Props, r.expiry)
		}
		for _, id := range to.ids {
			p.Props = packet.AppendSubscriptionID(p.Props, id)
		}
		w.props = p.Props
	}
	return p
}

// limitsPackets tells whether the client has named a Maximum Packet Size.
func (c *connection) limitsPackets() bool { return c.more != nil && c.more.maxPacket > 0 }

// fits tells whether the client takes a packet of that size.
func (c *connection) fits(p *packet.Publish) bool {
	return !c.limitsPackets() || packet.PublishSize(c.version, len(p.Topic), len(p.Props), len(p.Payload), p.QoS) <= int(c.more.maxPacket)
}

// fits tells whether the client takes a packet of that size; one that it does not is dropped as if it had been delivered
// (MQTT-3.1.2-24, -25).
func (w *worker) fits(c *connection, p *packet.Publish) bool {
	if c.fits(p) {
		return true
	}
	w.count.dropped++
	w.b.report(incident{cause: cause.ReceiverPacketLimit}, "Dropping too large outgoing PUBLISH for %s (%d bytes)", c.s.id, len(p.Payload))
	return false
}

// publishTo appends one PUBLISH, with a topic alias where the client takes them.
func (w *worker) publishTo(c *connection, p *packet.Publish) {
	if c.gone || c.closeAfter {
		return
	}
	c.b.logPublish("Sending", c.s.id, p.Dup, p.QoS, p.Retain, p.ID, p.Topic, len(p.Payload))
	if c.more != nil && c.more.aliasMax > 0 && c.v5() {
		w.alias(c, p)
	}
	w.scratch = p.Append(w.scratch[:0], c.version)
	c.out.add(&w.pool, w.scratch)
	w.count.packetsOut++
	w.count.publishOut++
	w.count.payloadOut += uint64(len(p.Payload))
	w.mark(c)
	if c.blocked {
		c.settle()
	}
}

// pump moves on what waits for the client: retained messages for new subscriptions first, then the session's queue. It reports whether it
// produced anything. The session's mutex is held.
func (w *worker) pump(c *connection) bool {
	s := c.s
	if c.closeAfter || !c.greeted {
		return false
	}
	before := c.out.size
	for s.replays.len() > 0 && c.out.size-before < pumpBatch {
		if !w.replayNext(c) {
			break
		}
	}
	now := w.b.unix.Load()
queue:
	for s.out.Waiting() > 0 && c.out.size-before < pumpBatch {
		d, outcome := s.out.Next(now)
		switch {
		case outcome == session.Nothing:
			break queue
		case outcome == session.Expired:
			w.done(s, d.Seq)
			w.b.report(incident{cause: cause.MessageExpired}, "")
		case d.Released:
			w.ids = append(w.ids[:0], session.PacketID(d.Seq))
			w.acknowledgeAll(c, packet.PUBREL, packet.Success, "", w.ids)
		case s.acl != nil && !s.acl.Read(d.Message.Topic):
			// Allowed when it was queued, and not any more.
			w.b.report(incident{cause: cause.ACLReadDenied}, "")
			s.out.Refuse(d.Seq)
			w.done(s, d.Seq)
		default:
			w.deliverMessage(c, d)
			if d.QoS == 0 {
				w.done(s, d.Seq)
			}
		}
	}
	w.commit() // retained messages on their way to a stored session
	w.readBehind(s)
	if s.out.Waiting() == 0 {
		s.dropLogged = false
	}
	return c.out.size > before
}

// pumpBatch is how many bytes pump produces before they are written.
const pumpBatch = 128 << 10

// deliverMessage sends one kept message.
func (w *worker) deliverMessage(c *connection, d session.Delivery) {
	m, s := d.Message, c.s
	p := packet.Publish{Dup: d.Dup, QoS: d.QoS, Retain: d.Retain, Payload: m.Payload}
	if d.QoS > 0 {
		p.ID = session.PacketID(d.Seq)
	}
	w.name = append(w.name[:0], m.Topic...)
	p.Topic = w.name
	if len(m.Topic) >= len(s.mount) {
		p.Topic = w.name[len(s.mount):]
	}
	if c.v5() {
		p.Props = append(w.props[:0], m.Props...)
		if m.Expires != 0 {
			left := max(m.Expires-w.b.unix.Load(), 0)
			p.Props = packet.AppendExpiry(p.Props, uint32(left)) // MQTT-3.3.2-6
		}
		for _, sub := range d.IDs {
			p.Props = packet.AppendSubscriptionID(p.Props, sub)
		}
		w.props = p.Props
	}
	if !w.fits(c, &p) {
		s.out.Refuse(d.Seq)
		w.done(s, d.Seq)
		return
	}
	w.publishTo(c, &p)
}

func (w *worker) logSent(c *connection, i, j int, first uint64, qos byte, retain bool) {
	if !w.b.log.Enabled(logging.Debug) {
		return
	}
	r := &w.run
	for k := i; k < j; k++ {
		var id uint16
		if qos > 0 {
			id = session.PacketID(first + uint64(k-i))
		}
		w.b.logPublish("Sending", c.s.id, false, qos, retain, id, r.name[len(c.s.mount):], len(r.body(k)))
	}
}

// propertyLength is what properties take up in a packet, their length prefix included.
func propertyLength(props []byte) int { return packet.SizeVarint(len(props)) + len(props) }
