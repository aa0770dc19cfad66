package broker

import (
	"errors"
	"slices"
	"strings"

	"picket/access"
	"picket/cause"
	"picket/logging"
	"picket/packet"
	"picket/topic"
)

// maxSubscriptions bounds the subscriptions of one client, so that one cannot fill the index for all.
const maxSubscriptions = 2_000_000

// filterEffort is what a filter to subscribe to, or no longer, counts for in a worker's effort.
const filterEffort = 16

func (c *connection) subscribe(w *worker, p *packet.Subscribe) error {
	b, s := c.b, c.s
	// Everything is checked before anything is done: a malformed SUBSCRIBE leaves no half of its subscriptions behind.
	for i := range p.Filters {
		if err := c.checkFilter(&p.Filters[i]); err != nil {
			return err
		}
	}
	decisions, here := c.judgeFilters(w, access.Subscribe, len(p.Filters), func(yield func(int, string) bool) {
		for i := range p.Filters {
			if !yield(i, p.Filters[i].Filter) {
				return
			}
		}
	})
	if !here {
		return errAgain
	}
	b.debugf("Received SUBSCRIBE from %s", s.id)
	w.effort += filterEffort * len(p.Filters)
	g := grants{c: c}
	if p.Props.Has(packet.SubscriptionIdentifier) && len(p.Props.SubscriptionIDs) > 0 {
		g.id = p.Props.SubscriptionIDs[0]
	}
	ack := &packet.Suback{ID: p.ID, Codes: make([]packet.Code, len(p.Filters))}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c {
		return nil // taken over meanwhile: the answer would go nowhere
	}
	g.stored = s.changes()
	for i := range p.Filters {
		ack.Codes[i] = g.grant(&p.Filters[i], decisions[i])
	}
	if g.why != "" && c.explains(false) {
		ack.Props = new(packet.Properties).Set(packet.ReasonString)
		ack.Props.ReasonString = g.why
		if len(ack.Append(nil, c.version)) > c.maxPacket() {
			ack.Props = nil // MQTT-3.9.2-1
		}
	}
	b.debugf("Sending SUBACK to %s", s.id)
	w.owe(c, reply{after: b.commit(g.stored.batch), far: b.neighbours.announced(), whole: ack, then: g.replays})
	return nil
}

// grants are what becomes of the filters of one SUBSCRIBE. The session's mutex is held.
type grants struct {
	c       *connection
	id      uint32   // Subscription Identifier; 0: none
	stored  changes  // what the store has to know before SUBACK
	replays []replay // retained messages that the client has asked for by them
	why     string   // the reason string of the last refusal
}

// grant subscribes to one filter if d and the room that there is allow it, and returns its reason code.
func (g *grants) grant(f *packet.Subscription, d access.Decision) packet.Code {
	c := g.c
	b, s := c.b, c.s
	if f.Filter == AttemptsTopic {
		code, text := c.watchAttempts()
		if text != "" {
			g.why = text
		}
		return code
	}
	o := topic.Options{QoS: min(f.QoS, c.from.MaxQoS), NoLocal: f.NoLocal, RetainAsPublished: f.RetainAsPublished, RetainHandling: f.RetainHandling, Identifier: g.id}
	if c.bridge && !c.v5() {
		o.NoLocal, o.RetainAsPublished = true, true // what mosquitto does for peers that announce themselves as bridges
	}
	filter := s.mounted(f.Filter)
	if b.log.Enabled(logging.Debug) {
		b.debugf("\t%s (QoS %d)", filter, o.QoS)
	}
	if !d.Allow {
		return g.refuse(f, filter, d.Cause)
	}
	existed, ok := b.addSubscription(s, filter, o, &g.stored)
	if !ok {
		return g.refuse(f, filter, cause.SubscriptionsFull)
	}
	if b.log.Enabled(logging.Subscribe) {
		b.log.Printf(logging.Subscribe, "%s %d %s", s.id, o.QoS, filter)
	}
	_, _, shared := topic.SplitShare(f.Filter)
	if !shared && b.settings.Load().RetainAvailable && (o.RetainHandling == 0 || o.RetainHandling == 1 && !existed) && b.retained.reaches(filter) {
		// The subscription stands, so whatever is retained from here on is delivered by it.
		g.replays = append(g.replays, replay{filter: filter, until: b.retained.newest.Load(), options: o})
	}
	return packet.Code(o.QoS)
}

// refuse says that a filter is not subscribed to.
func (g *grants) refuse(f *packet.Subscription, filter string, id cause.ID) packet.Code {
	g.c.showDenied(id, f.Filter, false)
	c := g.c
	g.why = c.b.report(incident{cause: id, seen: f.Filter}, "Denied SUBSCRIBE from %s (q%d, '%s')", c.s.id, f.QoS, filter)
	return codeOf(id)
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

// mounted puts the session's mount point before a filter: behind the group's name where it is a shared one.
func (s *Session) mounted(filter string) string {
	if s.mount == "" {
		return filter
	}
	if group, rest, ok := topic.SplitShare(filter); ok {
		return "$share/" + group + "/" + s.mount + rest
	}
	return s.mount + filter
}

// addSubscription makes a subscription, in the store too. It reports false when there is no room for another. The session's mutex is held.
func (b *Broker) addSubscription(s *Session, filter string, o topic.Options, stored *changes) (existed, ok bool) {
	old, existed := s.subs.get(filter)
	if !existed && (s.subs.len() >= maxSubscriptions || !b.memory.take(heldSubscriptions, subscriptionSize(filter))) {
		return false, false
	}
	before := &old
	if !existed {
		before = nil
	}
	stored.subscribe(filter, o, before)
	s.subs.set(filter, o)
	if _, _, shared := topic.SplitShare(filter); shared {
		s.out.Shared = true
	}
	return b.enters(filter, s, o), true
}

// removeSubscription ends a subscription that there is. The session's mutex is held.
func (b *Broker) removeSubscription(s *Session, filter string) {
	s.subs.remove(filter)
	b.leaves(filter, s)
	b.memory.give(heldSubscriptions, subscriptionSize(filter))
}

func (c *connection) unsubscribe(w *worker, p *packet.Unsubscribe) error {
	b, s := c.b, c.s
	b.debugf("Received UNSUBSCRIBE from %s", s.id)
	for _, f := range p.Filters {
		if err := topic.CheckFilter(f); err != nil {
			return filterError(err)
		}
	}
	decisions, here := c.judgeFilters(w, access.Unsubscribe, len(p.Filters), slices.All(p.Filters))
	if !here {
		return errAgain
	}
	w.effort += filterEffort * len(p.Filters)
	ack := &packet.Unsuback{ID: p.ID, Codes: make([]packet.Code, len(p.Filters))}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c {
		return nil
	}
	stored := s.changes()
	for i, f := range p.Filters {
		if f == AttemptsTopic && c.unwatch() {
			continue
		}
		filter := s.mounted(f)
		b.debugf("\t%s", filter)
		if d := decisions[i]; !d.Allow {
			ack.Codes[i] = codeOf(d.Cause) // MQTT 3 has no way to say it
			b.report(incident{cause: d.Cause, seen: f}, "Denied UNSUBSCRIBE from %s ('%s')", s.id, filter)
			continue
		}
		if _, ok := s.subs.get(filter); !ok {
			ack.Codes[i] = packet.NoSubscriptionExisted
			continue
		}
		b.removeSubscription(s, filter)
		stored.unsubscribe(filter)
		s.replays.drop(filter) // MQTT-3.10.4-2
		b.log.Printf(logging.Unsubscribe, "%s %s", s.id, filter)
	}
	b.debugf("Sending UNSUBACK to %s", s.id)
	w.owe(c, reply{after: b.commit(stored.batch), whole: ack})
	return nil
}
