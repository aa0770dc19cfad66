package broker

import (
	"encoding/binary"

	"picket/cause"
	"picket/logging"
	"picket/packet"
	"picket/session"
	"picket/store"
)

// outcome is what became of a run.
type outcome struct {
	matched  int          // sessions and groups that wanted it, whether they could take it or not
	queued   *store.Batch // what was put into stored sessions' queues, if that has to be waited for
	retained *store.Batch // the same of the retained message
	far      *promise     // what other nodes have to do
	follows  bool         // … among it: that sessions get it which the store says are another node's
	stored   bool         // whether the store has got any of it, waited for or not
}

// route sends the run to everyone who wants it, and keeps it if it is to be retained.
func (w *worker) route() (out outcome) {
	r := &w.run
	if r.retain {
		out.retained = w.retain()
	}
	w.beginRoute()
	rt := w.findRoute()
	r.single = len(rt.receivers) == 1 && len(rt.groups) == 0 && !r.retain
	for i := range rt.receivers {
		if to := &rt.receivers[i]; to.noLocal && (to.s == r.s || r.origin != nil && r.origin.From == to.s.id) {
			out.matched++ // somebody subscribes, but not for its own messages (MQTT-3.8.3-3)
		} else {
			out.matched += w.routeTo(i)
		}
	}
	if r.origin == nil { // else the publisher's node has chosen, and sends what is for a member here by itself
		out.matched += w.shareAll(rt.groups)
	}
	out.stored = w.batch != nil || r.retain
	out.queued = w.commit()
	out.far = w.forward(out.queued)
	out.follows = out.far != nil && len(rt.groups) == 0
	return out
}

// findRoute returns the route of the run, and looks it up where it has none yet.
func (w *worker) findRoute() *route {
	r := &w.run
	if r.route == nil {
		if r.route = w.cached(r.name); r.route == nil {
			r.route = w.lookup(r.name)
		}
	}
	return r.route
}

// routeTo sends the run to receiver k of its route, and returns 1 unless that has ended.
func (w *worker) routeTo(k int) (matched int) {
	r := &w.run
	to := &r.route.receivers[k]
	w.serve(to.s, func() {
		if len(r.routes) == 0 || to.s.rules.Load().Unlimited() {
			matched = w.deliverAllowed(to, r.route.name, 0, r.n)
			return
		}
		for i, rt := range r.routes {
			matched |= w.deliverAllowed(&rt.receivers[k], rt.name, i, i+1)
		}
	})
	return matched
}

// deliverAllowed is deliver for a receiver that may not be allowed to read the topic, or may have ended. It returns 1 unless it has: who subscribes and may not read is
// a subscriber still, and what rights others have is not for the publisher to know.
func (w *worker) deliverAllowed(to *receiver, name string, i, j int) (matched int) {
	switch {
	case w.run.qos > 0 && w.misses(to.s):
		return 1
	case to.s.over:
		return 0
	case !to.allowed(name):
		w.b.report(incident{cause: cause.ACLReadDenied, count: j - i}, "")
		to.s.showDenied(cause.ACLReadDenied, name)
		return 1
	}
	w.deliver(to, i, j)
	return 1
}

// serve has a session's lock held while deliver puts packets of the run into its queue or its connection's output. What deliver has lent, because it is so much that
// it should not be copied, is then offered to the transport straight from where it lies, without the lock; what the transport does not take is
// copied and given back under the lock again. Nothing else that is called with the lock of a session lets go of it.
func (w *worker) serve(s *Session, deliver func()) {
	s.mu.Lock()
	deliver()
	if len(w.lent) == 0 {
		s.mu.Unlock()
		return
	}
	c := s.conn
	bufs := append(w.beginWriteLocked(c), w.lent...)
	w.bufs = bufs
	s.mu.Unlock()
	n, err := c.conn.Write(bufs)
	s.mu.Lock()
	w.endWriteLocked(c, bufs, len(w.lent), n, err)
	c.settle()
	s.mu.Unlock()
	clear(w.lent)
	w.lent = w.lent[:0]
}

// deliver hands packets i to j of the run to one receiver, whose mutex is held.
func (w *worker) deliver(to *receiver, i, j int) {
	r, s := &w.run, to.s
	qos := w.qosFor(to)
	retain := to.rap && r.retain
	if s.inside != nil && s.inside.peer != 0 {
		if r.origin == nil { // else it has come from there, or from another node that has told all
			w.far = append(w.far, s.inside.peer)
		}
		return
	}
	if s.inside != nil {
		w.deliverInside(s.inside, i, j, qos, retain, to.ids)
		return
	}
	c := s.conn
	if c == nil || c.stage() != connected {
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
	for i < j && !c.full() {
		first, n := s.out.Reserve(j-i, qos)
		if n == 0 {
			break
		}
		id := session.PacketID(first) // they rise by one: n ends before they would start again
		for k, at := range v.id[i : i+n] {
			binary.BigEndian.PutUint16(v.buf[at:], id+uint16(k))
		}
		if s.stored() {
			for k := range n {
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
	return (qos > 0 || s.queuesQoS0 || w.b.settings.Load().QueueQoS0) && (s.survives() || s.conn != nil && s.conn.stage() < connected)
}

// emit puts packets i to j of an encoded run into the connection's output, or lends them to be written at once.
func (w *worker) emit(c *connection, v *variant, i, j int) {
	b, n := v.buf[v.start[i]:v.start[j]], j-i
	if c.shown() {
		w.showRun(c, true, v.buf, v.start, i, j)
	}
	w.count.packetsOut += uint64(n)
	w.count.publishOut += uint64(n)
	w.count.payloadOut += uint64(w.run.bodies(i, j))
	w.unlend(c)
	lend := !c.writing && !c.blocked && c.stage() != closed
	switch {
	case len(b) >= writeThrough && n == 1:
		// The payload of a large message is kept once for all receivers that are slow; only what is before it differs.
		body := w.run.body(i)
		c.out.add(&w.pool, b[:len(b)-len(body)])
		if lend && len(body) <= muchOutput {
			w.lent = append(w.lent, body)
		} else if c.stage() != closed {
			c.out.share(w.run.keep(i))
		}
	case len(b) >= writeThrough && lend:
		w.lent = append(w.lent, b)
	default:
		c.out.add(&w.pool, b)
	}
	w.mark(c)
	if c.blocked {
		c.settle()
	}
}

// unlend copies what has been lent into the connection's output, because more is to come behind it.
func (w *worker) unlend(c *connection) {
	for i, b := range w.lent {
		c.out.add(&w.pool, b)
		w.lent[i] = nil
	}
	w.lent = w.lent[:0]
}

// enqueuedTogether is how many deliveries are put into a queue in one go, so that the broker's budget is asked once.
const enqueuedTogether = 16

// enqueue keeps packets i to j for later.
func (w *worker) enqueue(to *receiver, i, j int, qos byte, retain bool) {
	s, r := to.s, &w.run
	var ds [enqueuedTogether]session.Delivery
	for i < j {
		n := min(j-i, len(ds))
		for k := range n {
			ds[k] = session.Delivery{Message: r.message(w.b, i+k), QoS: qos, Retain: retain, IDs: to.ids}
		}
		taken, v := w.enqueueAll(s, ds[:n])
		if i += taken; v > session.Away {
			w.dropped(s, verdictCause(v), j-i)
			return
		}
	}
	if s.conn != nil {
		w.mark(s.conn)
	}
}

// enqueueAll puts deliveries into a session's queue. When the verdict is one that drops, those that have not been taken are dropped for its reason.
func (w *worker) enqueueAll(s *Session, ds []session.Delivery) (taken int, v session.Verdict) {
	if !s.stored() {
		return s.out.Enqueue(ds)
	}
	for _, d := range ds {
		if _, v = w.offer(s, d, false); v > session.Away {
			break
		}
		taken++
	}
	return taken, v
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
		if i < len(r.messages) && r.messages[i] != nil {
			p.Payload = r.messages[i].Payload
			w.publishTo(c, &p, true)
		} else {
			w.publishTo(c, &p, r.own)
		}
	}
}

// publishFor is packet i of the run as one receiver gets it, without its packet identifier.
func (w *worker) publishFor(to *receiver, c *connection, i int, qos byte, retain bool) packet.Publish {
	r := &w.run
	p := packet.Publish{QoS: qos, Retain: retain, Topic: r.topic(i)[len(to.s.mount):], Payload: r.body(i)}
	if c.v5() {
		w.props = appendProperties(w.props[:0], r.props, r.expires, r.expiry, to.ids)
		p.Props = w.props
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
	c.showDenied(cause.ReceiverPacketLimit, string(p.Topic), false)
	w.b.report(incident{cause: cause.ReceiverPacketLimit}, "Dropping too large outgoing PUBLISH for %s (%d bytes)", c.s.id, len(p.Payload))
	return false
}

// publishTo appends one PUBLISH, with a topic alias where the client takes them. kept tells whether the payload lies in memory that is not written to again: then a large
// one is not copied.
func (w *worker) publishTo(c *connection, p *packet.Publish, kept bool) {
	if c.stage() >= closing {
		return
	}
	c.b.logPublish("Sending", c.s.id, p.Dup, p.QoS, p.Retain, p.ID, p.Topic, len(p.Payload))
	name := p.Topic
	if c.more != nil && c.more.aliasMax > 0 && c.v5() {
		w.alias(c, p)
	}
	w.unlend(c)
	w.scratch = p.AppendHead(w.scratch[:0], c.version)
	if c.shown() {
		c.show(passage{out: true, head: w.scratch, payload: p.Payload, topic: name})
	}
	c.out.add(&w.pool, w.scratch)
	if kept && len(p.Payload) >= writeThrough {
		c.out.share(p.Payload)
	} else {
		c.out.add(&w.pool, p.Payload)
	}
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
	if c.stage() != connected {
		return false
	}
	before := c.out.size
	for s.replays.len() > 0 && c.out.size-before < pumpBatch {
		if !w.replayNext(c) {
			break
		}
	}
	now := int64(0)
	if s.out.Waiting() > 0 {
		now = w.b.seconds()
	}
queue:
	for s.out.Waiting() > 0 && c.out.size-before < pumpBatch {
		d, outcome := s.out.Next(now)
		switch {
		case outcome == session.Nothing:
			break queue
		case outcome == session.Expired:
			w.done(s, d.Seq, 1)
			w.b.report(incident{cause: cause.MessageExpired}, "")
		case d.Released:
			w.ids = append(w.ids[:0], session.PacketID(d.Seq))
			w.acknowledgeAll(c, packet.PUBREL, packet.Success, "", w.ids)
		case !s.rules.Load().Deliver(d.Message.Topic):
			// Allowed when it was queued, and not any more.
			s.showDenied(cause.ACLReadDenied, d.Message.Topic)
			w.b.report(incident{cause: cause.ACLReadDenied}, "")
			s.out.Refuse(d.Seq)
			w.done(s, d.Seq, 1)
		default:
			w.deliverMessage(c, d)
			if d.QoS == 0 {
				w.done(s, d.Seq, 1)
			}
		}
	}
	s.out.Balance()
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
		left := int64(0)
		if m.Expires != 0 {
			left = max(m.Expires-w.b.seconds(), 0) // MQTT-3.3.2-6
		}
		w.props = appendProperties(w.props[:0], m.Props, m.Expires != 0, uint32(left), d.IDs)
		p.Props = w.props
	}
	if !w.fits(c, &p) {
		s.out.Refuse(d.Seq)
		w.done(s, d.Seq, 1)
		return
	}
	w.publishTo(c, &p, true)
}

// logSent logs packets i to j of the run; first is the sequence number of the first of them.
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
		w.b.logPublish("Sending", c.s.id, false, qos, retain, id, r.topic(k)[len(c.s.mount):], len(r.body(k)))
	}
}
