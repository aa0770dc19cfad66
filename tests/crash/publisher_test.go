//go:build unix

package crash

import (
	"fmt"
	"slices"
	"time"

	"picket/packet"
)

// publisher sends to its streams, and sends again after a reconnection what was not acknowledged.
type publisher struct {
	client
	streams []*stream
	flight  []*flying // in the order of sending
}

// flying is a message whose handshake is under way.
type flying struct {
	*message
	id       uint16
	received bool // PUBREC has come
	released bool // PUBREL has been written in some connection, and may have arrived
	waiting  bool // PUBREL has been written on this connection
}

// newPublisher makes publisher number n with two plain streams of each QoS and two retained ones.
func (w *world) newPublisher(n int, version packet.Version, clean bool) *publisher {
	p := &publisher{client: w.client(fmt.Sprintf("publisher%d", n), version)}
	p.role, p.clean = p, clean
	for i := range 3 {
		for _, qos := range []byte{1, 2} {
			s := newStream(fmt.Sprintf("plain/%d/%d/%d", n, qos, i), fmt.Sprintf("plain/%d/#", n), qos, false)
			if i == 2 {
				s = newStream(fmt.Sprintf("kept/%d/%d", n, qos), fmt.Sprintf("kept/%d/#", n), qos, true)
			}
			p.streams = append(p.streams, s)
		}
	}
	return p
}

func (p *publisher) begin(present bool) {
	for i := 0; i < len(p.flight); i++ {
		f := p.flight[i]
		f.waiting = false
		switch {
		case p.clean: // nobody knows what became of them, and they are not sent again
			p.w.ledger.giveUp(f.message)
		case f.received && !present: // the old session had taken it over
			p.w.ledger.giveUp(f.message)
		case f.received:
			p.release(f)
			continue
		default:
			p.write(f.publish(present).Append(nil, p.version))
			continue
		}
		p.flight = slices.Delete(p.flight, i, i+1)
		i--
	}
}

func (f *flying) publish(dup bool) *packet.Publish {
	return &packet.Publish{Topic: []byte(f.stream.topic), QoS: f.stream.qos, Retain: f.stream.retained, Dup: dup, ID: f.id, Payload: f.payload()}
}

// release sends PUBREL, soon.
func (p *publisher) release(f *flying) {
	p.reply(&packet.Ack{Kind: packet.PUBREL, ID: f.id}, func() { f.waiting = true })
}

func (p *publisher) disconnected() {
	for _, f := range p.flight {
		f.released = f.released || f.waiting
	}
}

func (p *publisher) find(id uint16) int {
	return slices.IndexFunc(p.flight, func(f *flying) bool { return f.id == id })
}

func (p *publisher) received(first byte, body []byte) error {
	decoded, err := packet.Decode(p.version, first, body)
	if err != nil {
		return err
	}
	ack, ok := decoded.(*packet.Ack)
	if !ok {
		p.w.ledger.fail(protocol, "%s got %v", p.id, decoded.Type())
		return nil
	}
	i := p.find(ack.ID)
	if i < 0 {
		p.w.ledger.fail(protocol, "%s got %v for packet %d, which is not under way", p.id, ack.Kind, ack.ID)
		return nil
	}
	f := p.flight[i]
	wrong := func(what string) {
		l := p.w.ledger
		l.mu.Lock()
		defer l.mu.Unlock()
		l.failed(protocol, "%s got %v (%v) for packet %d %s: %s", p.id, ack.Kind, ack.Code, ack.ID, what, l.known(f.message))
	}
	switch {
	case ack.Kind == packet.PUBCOMP && f.received:
		if ack.Code == packet.PacketIdentifierNotFound && !f.released {
			wrong("although PUBREL was never sent before")
		}
		p.w.ledger.complete(f.message)
	case ack.Code.Failed():
		wrong("without a reason")
		p.w.ledger.giveUp(f.message)
	case ack.Kind == packet.PUBACK && f.stream.qos == 1:
		p.w.ledger.accept(f.message)
	case ack.Kind == packet.PUBREC && f.stream.qos == 2 && !f.received:
		f.received = true
		p.w.ledger.accept(f.message)
		p.release(f)
		return nil
	default:
		wrong("out of turn")
		return nil
	}
	p.flight = slices.Delete(p.flight, i, i+1)
	return nil
}

// publish sends up to n messages to some of the streams, as many as may be under way.
func (p *publisher) publish(n int, streams []*stream) (sent int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b []byte
	for sent < n && p.link != nil && len(p.flight) < min(p.window, p.w.plan.window) {
		s := streams[p.rng.IntN(len(streams))]
		size := 16 + p.rng.IntN(200)
		if p.rng.IntN(100) == 0 {
			size = 1 << (10 + p.rng.IntN(7))
		}
		empty := s.retained && p.rng.IntN(10) == 0
		f := &flying{message: p.w.ledger.send(s, size, empty)}
		f.id = p.packetID(func(id uint16) bool { return p.find(id) >= 0 })
		p.flight = append(p.flight, f)
		b = f.publish(false).Append(b, p.version)
		sent++
	}
	if sent > 0 {
		p.write(b)
	}
	return sent
}

// live publishes for one life.
func (p *publisher) live(l *life) {
	for l.pause(p.w.upTo(p.rng, 20*time.Millisecond)) && p.persist(l) {
		for end := p.w.upTo(p.rng, 2*time.Second); ; {
			wait := p.w.upTo(p.rng, 12*time.Millisecond)
			if !l.pauseOr(wait, p.over()) {
				break
			}
			p.publish(1+p.rng.IntN(12), p.streams)
			p.hurry()
			if end -= wait; end <= 0 {
				break
			}
		}
		p.part(l)
	}
	p.leave(false)
}

// part is one of the ways in which a client's connection ends before the broker does.
func (c *client) part(l *life) {
	if l.ended() {
		return
	}
	switch c.rng.IntN(3) {
	case 0:
		c.leave(true)
	case 1:
		c.leave(false)
	default:
		_ = c.takeOver() // if that fails, the next connection follows
	}
}

// underway is how many messages are not acknowledged.
func (p *publisher) underway() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.flight)
}
