//go:build unix

package crash

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"picket/packet"
)

// manner is how a subscriber spends its time.
type manner int

const (
	present manner = iota // connected all the time
	absent                // connected in some lives only, and away for most of the time in those
	fickle                // coming and going
)

// subscriber has a session that gets messages. Groups it is subscribed to are steady or change.
type subscriber struct {
	client
	inbox  *inbox
	manner manner
	steady []string
	moving []string

	pending map[uint16]func()   // what SUBACK or UNSUBACK means, by identifier
	busy    map[string]bool     // groups with a pending packet
	open    map[uint16]*opened  // QoS 2 messages that are not released
	again   map[uint16]*message // QoS 1 messages that were not acknowledged before the connection ended
	held    map[uint16]*message // QoS 1 messages whose PUBACK has not been written
	done    map[uint16]bool     // identifiers that were released at some time
}

// opened is a QoS 2 message between PUBLISH and PUBREL.
type opened struct {
	*message
	answered bool // PUBREC has been written, in some connection
	fresh    bool // PUBLISH has come on this connection
}

func (w *world) newSubscriber(n int, version packet.Version, m manner) *subscriber {
	s := &subscriber{client: w.client(fmt.Sprintf("subscriber%d", n), version), manner: m}
	s.role = s
	s.inbox = w.ledger.inbox(s.id)
	s.open, s.done = map[uint16]*opened{}, map[uint16]bool{}
	s.again, s.held = map[uint16]*message{}, map[uint16]*message{}
	for i, group := range w.groups {
		s.inbox.qos[group] = 1 + byte(min(s.rng.IntN(3), 1)) // 2 more often than 1
		switch s.rng.IntN(4) {
		case 0, 1:
			s.steady = append(s.steady, group)
		case 2:
			s.moving = append(s.moving, group)
		case 3:
			if i == 0 {
				s.steady = append(s.steady, group) // each has something
			}
		}
	}
	return s
}

func (s *subscriber) begin(present bool) {
	s.pending, s.busy = map[uint16]func(){}, map[string]bool{}
	if !present {
		clear(s.open)
		clear(s.again)
	}
	for _, o := range s.open {
		o.fresh = false
	}
	for _, group := range s.steady {
		if granted, _ := s.inbox.is(group); !granted || !present {
			s.subscribe(group)
		}
	}
}

func (s *subscriber) disconnected() {
	for id, m := range s.held {
		// A broker may deliver QoS 1 before it has stored the message and acknowledged it to the publisher. If it dies then, it knows
		// nothing of that; the publisher sends again, and the receiver takes no notice of identifiers at QoS 1.
		if s.w.ledger.accepted(m) {
			s.again[id] = m
		}
	}
	clear(s.held)
}

// subscribe asks for a group. s.mu is held.
func (s *subscriber) subscribe(group string) {
	s.inbox.subscribing(group)
	id := s.request(group, func() { s.inbox.subscribedTo(group) })
	s.write((&packet.Subscribe{ID: id, Filters: []packet.Subscription{{Filter: group, QoS: s.inbox.qos[group]}}}).Append(nil, s.version))
}

// unsubscribe ends the subscription to a group. s.mu is held.
func (s *subscriber) unsubscribe(group string) {
	s.inbox.unsubscribing(group)
	id := s.request(group, func() { s.inbox.unsubscribedFrom(group) })
	s.write((&packet.Unsubscribe{ID: id, Filters: []string{group}}).Append(nil, s.version))
}

func (s *subscriber) request(group string, then func()) uint16 {
	id := s.packetID(func(id uint16) bool { return s.pending[id] != nil })
	s.busy[group] = true
	s.pending[id] = func() {
		delete(s.busy, group)
		then()
	}
	return id
}

// change subscribes or unsubscribes one of the groups that change.
func (s *subscriber) change() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == nil || len(s.moving) == 0 {
		return
	}
	group := s.moving[s.rng.IntN(len(s.moving))]
	if s.busy[group] {
		return
	}
	if granted, left := s.inbox.is(group); left || granted && s.rng.IntN(4) == 0 || !granted && s.rng.IntN(2) == 0 {
		s.subscribe(group)
	} else {
		s.unsubscribe(group)
	}
}

func (s *subscriber) received(first byte, body []byte) error {
	if packet.Type(first>>4) == packet.PUBLISH {
		var p packet.Publish
		if err := p.Decode(s.version, first, body); err != nil {
			return err
		}
		s.published(&p)
		return nil
	}
	decoded, err := packet.Decode(s.version, first, body)
	if err != nil {
		return err
	}
	switch p := decoded.(type) {
	case *packet.Suback:
		if len(p.Codes) != 1 || p.Codes[0].Failed() {
			s.w.ledger.fail(protocol, "%s: SUBACK with %v", s.id, p.Codes)
		}
		s.answered(p.ID, packet.SUBACK)
	case *packet.Unsuback:
		s.answered(p.ID, packet.UNSUBACK)
	case *packet.Ack:
		if p.Kind == packet.PUBREL {
			s.released(p.ID)
			return nil
		}
		s.w.ledger.fail(protocol, "%s got %v", s.id, p.Kind)
	default:
		s.w.ledger.fail(protocol, "%s got %v", s.id, decoded.Type())
	}
	return nil
}

func (s *subscriber) answered(id uint16, kind packet.Type) {
	then := s.pending[id]
	if then == nil {
		s.w.ledger.fail(protocol, "%s got %v for packet %d, which is not under way", s.id, kind, id)
		return
	}
	delete(s.pending, id)
	then()
}

// published takes a PUBLISH.
func (s *subscriber) published(p *packet.Publish) {
	m := s.w.identify(s.id, p)
	if m == nil {
		s.acknowledge(p, func() {})
		return
	}
	switch p.QoS {
	case 1:
		if before := s.again[p.ID]; before != nil {
			s.compare(p, m, before)
			delete(s.again, p.ID)
		}
		if before := s.held[p.ID]; before != nil {
			s.confused(p, m, before, "is still in use on this connection")
		}
		s.held[p.ID] = m
		s.inbox.arrived(m, p)
		s.acknowledge(p, func() { delete(s.held, p.ID) })
	case 2:
		o := s.open[p.ID]
		switch {
		case o == nil:
			o = &opened{message: m}
			s.open[p.ID] = o
			s.inbox.arrived(m, p)
		case o.fresh:
			s.confused(p, m, o.message, "is still in use on this connection")
		default:
			s.compare(p, m, o.message)
		}
		o.fresh = true
		s.acknowledge(p, func() { o.answered = true })
	default:
		s.inbox.arrived(m, p)
	}
}

func (s *subscriber) acknowledge(p *packet.Publish, written func()) {
	switch p.QoS {
	case 1:
		s.reply(&packet.Ack{Kind: packet.PUBACK, ID: p.ID}, written)
	case 2:
		s.reply(&packet.Ack{Kind: packet.PUBREC, ID: p.ID}, written)
	}
}

// compare holds a repetition against what was not acknowledged before under its identifier.
func (s *subscriber) compare(p *packet.Publish, m, before *message) {
	switch {
	case m != before:
		s.confused(p, m, before, "has not been acknowledged")
	case !p.Dup:
		s.confused(p, m, before, "comes again without DUP")
	}
}

func (s *subscriber) confused(p *packet.Publish, m, before *message, why string) {
	l := s.w.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed(unacknowledged, "%s got packet %d (QoS %d, DUP %v) with %s; %s %s", s.id, p.ID, p.QoS, p.Dup, l.known(m), l.known(before), why)
}

// released takes a PUBREL.
func (s *subscriber) released(id uint16) {
	if s.open[id] == nil && !s.done[id] {
		s.w.ledger.fail(protocol, "%s got PUBREL for packet %d, which it has never received", s.id, id)
	}
	if o := s.open[id]; o != nil && !o.answered {
		s.w.ledger.fail(protocol, "%s got PUBREL for packet %d before its PUBREC", s.id, id)
	}
	delete(s.open, id)
	s.done[id] = true
	s.reply(&packet.Ack{Kind: packet.PUBCOMP, ID: id}, nil)
}

// identify finds the message that a PUBLISH carries; nil for what nobody has sent.
func (w *world) identify(who string, p *packet.Publish) *message {
	s := w.streams[string(p.Topic)]
	if s != nil && s.retained && len(p.Payload) == 0 {
		return s.cleared
	}
	var n int
	if parts := bytes.SplitN(p.Payload, []byte("#"), 3); len(parts) == 3 {
		n, _ = strconv.Atoi(string(parts[1]))
	}
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	if s == nil || n < 1 || n > len(s.messages) || !bytes.Equal(p.Payload, s.messages[n-1].payload()) {
		w.ledger.failed(protocol, "%s got %q on %s, which nobody has sent", who, p.Payload[:min(len(p.Payload), 80)], p.Topic)
		return nil
	}
	return s.messages[n-1]
}

// live receives for one life.
func (s *subscriber) live(l *life) {
	if s.manner == absent && l.number > 1 && s.rng.IntN(3) > 0 {
		return
	}
	away := 10 * time.Millisecond
	if s.manner == absent {
		away = 500 * time.Millisecond
	}
	for l.pause(s.w.upTo(s.rng, away)) && s.persist(l) {
		stay := time.Hour
		if s.manner != present {
			stay = 20*time.Millisecond + s.w.upTo(s.rng, 300*time.Millisecond)
		}
		for stay > 0 {
			wait := s.w.upTo(s.rng, 20*time.Millisecond)
			if !l.pauseOr(wait, s.over()) {
				break
			}
			s.hurry()
			switch s.rng.IntN(30) {
			case 0, 1, 2:
				s.change()
			case 3:
				_ = s.takeOver() // if that fails, the next connection follows
			}
			stay -= wait
		}
		if stay <= 0 {
			s.part(l)
		}
	}
	s.leave(false)
}

// unsettled says what the session still has to get; empty for nothing.
func (s *subscriber) unsettled() string {
	due := s.inbox.due(s.w.all)
	s.mu.Lock()
	defer s.mu.Unlock()
	if due+len(s.open)+len(s.again)+len(s.pending) == 0 {
		return ""
	}
	return fmt.Sprintf("%s: %d messages to come, %d without PUBREL, %d to be repeated, %d requests without an answer", s.id, due, len(s.open), len(s.again), len(s.pending))
}

// conclude enters what has not come although everything is at rest.
func (s *subscriber) conclude() {
	s.inbox.conclude(s.w.all)
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.w.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, o := range s.open {
		l.failed(unacknowledged, "%s gets neither PUBLISH nor PUBREL for packet %d, %s", s.id, id, l.known(o.message))
		delete(s.open, id)
	}
	for id, m := range s.again {
		l.failed(unacknowledged, "%s does not get packet %d again, %s", s.id, id, l.known(m))
		delete(s.again, id)
	}
}
