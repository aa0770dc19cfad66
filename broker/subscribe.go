package broker

import (
	"errors"
	"slices"
	"strings"

	"picket/cause"
	"picket/logging"
	"picket/packet"
	"picket/session"
	"picket/store"
	"picket/topic"
)

// maxSubscriptions bounds the subscriptions of one client, so that one cannot fill the index for all.
const maxSubscriptions = 2_000_000

func (c *connection) subscribe(w *worker, p *packet.Subscribe) error {
	b, s, t := c.b, c.s, c.b.settings.Load()
	b.debugf("Received SUBSCRIBE from %s", s.id)
	var id uint32
	if p.Props.Has(packet.SubscriptionIdentifier) && len(p.Props.SubscriptionIDs) > 0 {
		id = p.Props.SubscriptionIDs[0]
	}
	// Everything is checked before anything is done: a malformed SUBSCRIBE leaves no half of its subscriptions behind.
	for i := range p.Filters {
		if err := c.checkFilter(&p.Filters[i]); err != nil {
			return err
		}
	}
	codes := make([]packet.Code, len(p.Filters))
	var why string
	var replays []replay
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c {
		return nil // taken over meanwhile: the answer would go nowhere
	}
	var batch *store.Batch
	if s.stored() {
		batch = new(store.Batch)
	}
	for i := range p.Filters {
		f := &p.Filters[i]
		o := topic.Options{QoS: min(f.QoS, c.from.MaxQoS), NoLocal: f.NoLocal, RetainAsPublished: f.RetainAsPublished,
			RetainHandling: f.RetainHandling, Identifier: id}
		if c.bridge && !c.v5() {
			o.NoLocal, o.RetainAsPublished = true, true // what mosquitto does for peers that announce themselves as bridges
		}
		if f.Filter == AttemptsTopic {
			code, text := c.watchAttempts()
			if codes[i] = code; text != "" {
				why = text
			}
			continue
		}
		filter := c.mounted(f.Filter)
		b.debugf("\t%s (QoS %d)", filter, o.QoS)
		if s.acl != nil {
			if d := s.acl.Subscribe(filter); !d.Allow {
				codes[i] = packet.NotAuthorized
				why = b.report(incident{cause: d.Cause, seen: f.Filter}, "Denied SUBSCRIBE from %s (q%d, '%s')", s.id, f.QoS, filter)
				continue
			}
		}
		existed, ok := c.addSubscription(filter, o, batch)
		if !ok {
			codes[i] = packet.QuotaExceeded
			why = b.report(incident{cause: cause.SubscriptionsFull, seen: f.Filter}, "Denied SUBSCRIBE from %s (q%d, '%s')", s.id, f.QoS, filter)
			continue
		}
		b.log.Printf(logging.Subscribe, "%s %d %s", s.id, o.QoS, filter)
		codes[i] = packet.Code(o.QoS)
		if _, _, shared := topic.SplitShare(f.Filter); shared || !t.RetainAvailable {
			continue
		}
		if o.RetainHandling == 0 || o.RetainHandling == 1 && !existed {
			// The subscription stands, so whatever is retained from here on is delivered by it.
			replays = append(replays, replay{filter: filter, until: b.retainedSeq.Load(), options: o})
		}
	}
	ack := &packet.Suback{ID: p.ID, Codes: codes}
	if why != "" && c.explains(false) {
		ack.Props = new(packet.Properties).Set(packet.ReasonString)
		ack.Props.ReasonString = why
		if len(ack.Append(nil, c.version)) > c.maxPacket() {
			ack.Props = nil // MQTT-3.9.2-1
		}
	}
	b.debugf("Sending SUBACK to %s", s.id)
	if batch != nil {
		batch = b.commit(batch)
	}
	w.owe(c, reply{after: batch, whole: ack, then: replays})
	return nil
}

// replay has retained messages sent that subscriptions ask for. The session's mutex is held.
func (w *worker) replay(c *connection, replays []replay) {
	s := c.s
	for _, r := range replays {
		// The same filter again replaces what has not begun yet, so that a client which subscribes and does not read piles nothing up.
		if i := slices.IndexFunc(s.replay, func(old replay) bool { return old.filter == r.filter && !old.begun }); i >= 0 {
			s.replay[i] = r
		} else {
			s.replay = append(s.replay, r)
		}
	}
}

// checkFilter refuses what no client may send.
func (c *connection) checkFilter(f *packet.Subscription) error {
	if err := topic.CheckFilter(f.Filter); err != nil {
		return filterError(err)
	}
	if _, _, shared := topic.SplitShare(f.Filter); shared && f.NoLocal {
		return &packet.Error{Code: packet.ProtocolError, Clause: "MQTT-3.8.3-4", Text: "No Local on a shared subscription"}
	}
	return nil
}

// filterError is a bad topic filter as a protocol error.
func filterError(err error) error {
	id := cause.FilterInvalid
	if errors.Is(err, topic.ErrTooDeep) {
		id = cause.TopicTooDeep
	}
	if te, ok := err.(*topic.Error); ok && strings.HasPrefix(te.Clause, "MQTT-4.8.2") {
		return &violation{packet: &packet.Error{Code: packet.ProtocolError, Text: err.Error()}, cause: id}
	}
	return &violation{packet: &packet.Error{Code: packet.MalformedPacket, Text: err.Error()}, cause: id}
}

// mounted puts the client's mount point before a filter: behind the group's name where it is a shared one.
func (c *connection) mounted(filter string) string {
	if c.s.mount == "" {
		return filter
	}
	if group, rest, ok := topic.SplitShare(filter); ok {
		return "$share/" + group + "/" + c.s.mount + rest
	}
	return c.s.mount + filter
}

// addSubscription makes a subscription, in batch too if that is not nil. The session's mutex is held.
func (c *connection) addSubscription(filter string, o topic.Options, batch *store.Batch) (existed, ok bool) {
	s := c.s
	old, existed := s.subs[filter]
	if !existed && len(s.subs) >= maxSubscriptions {
		return false, false
	}
	if batch != nil {
		before := &old
		if !existed {
			before = nil
		}
		batch.Subscribe(s.kept.handle, filter, o, before)
	}
	if s.subs == nil {
		s.subs = make(map[string]topic.Options)
	}
	s.subs[filter] = o
	return c.b.index.Subscribe(filter, s, o), true
}

func (c *connection) unsubscribe(w *worker, p *packet.Unsubscribe) error {
	b, s := c.b, c.s
	b.debugf("Received UNSUBSCRIBE from %s", s.id)
	for _, f := range p.Filters {
		if err := topic.CheckFilter(f); err != nil {
			return filterError(err)
		}
	}
	ack := &packet.Unsuback{ID: p.ID, Codes: make([]packet.Code, len(p.Filters))}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c {
		return nil
	}
	var batch *store.Batch
	for i, f := range p.Filters {
		if f == AttemptsTopic && b.attempts.unwatch(c) {
			continue
		}
		filter := c.mounted(f)
		b.debugf("\t%s", filter)
		if _, ok := s.subs[filter]; !ok {
			ack.Codes[i] = packet.NoSubscriptionExisted
			continue
		}
		delete(s.subs, filter)
		b.index.Unsubscribe(filter, s)
		if s.stored() {
			if batch == nil {
				batch = new(store.Batch)
			}
			batch.Unsubscribe(s.kept.handle, filter)
		}
		s.replay = slices.DeleteFunc(s.replay, func(r replay) bool { return r.filter == filter }) // MQTT-3.10.4-2
		b.log.Printf(logging.Unsubscribe, "%s %s", s.id, filter)
	}
	b.debugf("Sending UNSUBACK to %s", s.id)
	if batch != nil {
		batch = b.commit(batch)
	}
	w.owe(c, reply{after: batch, whole: ack})
	return nil
}

// replayAhead is how many retained messages of QoS 2 may wait for the store at a time.
const replayAhead = 64

// replayNext sends the next retained message that a subscription asked for, and reports whether it could. The session's mutex is held.
func (w *worker) replayNext(c *connection) bool {
	s, b := c.s, w.b
	rp := &s.replay[0]
	if !rp.begun {
		rp.begun, rp.messages = true, b.retained.Collect(rp.filter, nil)
	}
	if len(rp.messages) == 0 {
		if s.replay = s.replay[1:]; len(s.replay) == 0 {
			s.replay = nil
		}
		return true
	}
	m := rp.messages[0]
	d := session.Delivery{Message: m, QoS: min(m.QoS, rp.options.QoS), Retain: true}
	if b.settings.Load().UpgradeOutgoingQoS {
		d.QoS = rp.options.QoS
	}
	if rp.options.Identifier != 0 {
		d.IDs = []uint32{rp.options.Identifier}
	}
	if m.Stored <= rp.until && w.mayReplay(s, m) {
		if d.QoS > 0 {
			if s.out.Room() == 0 && !(s.stored() && d.QoS == 2 && s.out.Waiting() < replayAhead) {
				return false
			}
			if s.out.KeepsBodies() || s.stored() {
				var v session.Verdict
				if d, v = w.offer(s, d, true); v > session.Away {
					return false
				}
				if v != session.Send {
					d.Message = nil // it waits for the store
				}
			} else {
				d.Seq, _ = s.out.Reserve(1, d.QoS)
			}
		}
		if d.Message != nil {
			w.deliverMessage(c, d)
		}
	}
	rp.messages[0] = nil
	rp.messages = rp.messages[1:]
	return true
}

func (w *worker) mayReplay(s *Session, m *session.Message) bool {
	b, t := w.b, w.b.settings.Load()
	switch {
	case m.Expired(b.unix.Load()):
		b.forget(m)
		return false
	case s.acl != nil && !s.acl.Read(m.Topic):
		b.report(incident{cause: cause.ACLReadDenied}, "")
		return false
	case t.CheckRetainSource && m.From != "" && s.policy != nil:
		if acl := t.policies[b.securityOf(t, m.Door)].ACL(m.User, m.From); acl != nil && !acl.Write(m.Topic) {
			b.report(incident{cause: cause.ACLPublishDenied}, "")
			return false
		}
	}
	return true
}

// retain keeps the run's last packet as its topic's retained message, or removes that when it is empty (MQTT-3.3.1-5, -6).
func (w *worker) retain() {
	r, b := &w.run, w.b
	last := r.n - 1
	if len(r.body(last)) == 0 {
		old, after := b.keepRetained(string(r.name), nil)
		if w.retained = after; old != nil {
			b.retainedBytes.Add(-int64(old.Size()))
		}
		return
	}
	m := r.message(b, last)
	if limit := b.settings.Load().waitingLimit; b.retainedBytes.Add(int64(m.Size())) > limit {
		b.retainedBytes.Add(-int64(m.Size()))
		b.report(incident{cause: cause.RetainedFull, level: logging.Warning, limit: &b.retainedLine},
			"Not retained: '%s' (%d bytes); retained messages may hold %d bytes.", r.name, len(m.Payload), limit)
		return
	}
	m.Stored = b.retainedSeq.Add(1)
	old, after := b.keepRetained(m.Topic, m)
	if w.retained = after; old != nil {
		b.retainedBytes.Add(-int64(old.Size()))
	}
}

// forget removes a retained message whose expiry interval has passed (MQTT-3.3.2-5), unless another has taken its place.
func (b *Broker) forget(m *session.Message) {
	stored := b.store != nil && !ownTopic(m.Topic)
	if stored {
		b.retainMu.Lock()
		defer b.retainMu.Unlock()
	}
	if _, ok := b.retained.DeleteIf(m.Topic, func(now *session.Message) bool { return now == m }); !ok {
		return
	}
	if stored {
		batch := new(store.Batch)
		batch.Unretain(m)
		b.commit(batch)
	}
	b.retainedBytes.Add(-int64(m.Size()))
	b.report(incident{cause: cause.MessageExpired}, "")
}
