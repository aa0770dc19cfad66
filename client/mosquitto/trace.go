package mosquitto

import (
	"fmt"
	"io"
	"sync"

	"picket/packet"
	"picket/printable"
)

// tracer writes a line for every packet, as the option -d of mosquitto's programs does.
type tracer struct {
	mu sync.Mutex
	w  io.Writer
	id string // client identifier
}

// trace is for [client.Options].
func (t *tracer) trace(sent bool, p packet.Packet) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if connack, ok := p.(*packet.Connack); ok && connack.Props.Has(packet.AssignedClientIdentifier) {
		t.id = connack.Props.AssignedClientID
	}
	id := t.id
	if id == "" {
		id = "(null)"
	}
	say := func(format string, a ...any) {
		direction := "received"
		if sent {
			direction = "sending"
		}
		fmt.Fprintln(t.w, printable.Text(fmt.Sprintf("Client %s %s %s", id, direction, fmt.Sprintf(format, a...))))
	}
	switch p := p.(type) {
	case *packet.Publish:
		topic := string(p.Topic)
		if topic == "" { // there is a topic alias
			topic = "(null)"
		}
		say("PUBLISH (d%d, q%d, r%d, m%d, '%s', ... (%d bytes))", digit(p.Dup), p.QoS, digit(p.Retain), p.ID, topic, len(p.Payload))
	case *packet.Ack:
		traceAck(say, sent, p)
	case *packet.Subscribe:
		for _, f := range p.Filters {
			options := digit(f.NoLocal)<<2 | digit(f.RetainAsPublished)<<3 | int(f.RetainHandling)<<4
			say("SUBSCRIBE (Mid: %d, Topic: %s, QoS: %d, Options: 0x%02x)", p.ID, f.Filter, f.QoS, options)
		}
	case *packet.Unsubscribe:
		for _, f := range p.Filters {
			say("UNSUBSCRIBE (Mid: %d, Topic: %s)", p.ID, f)
		}
	default:
		traceOther(say, sent, p)
	}
}

// traceOther words the packets that have neither topics nor packet identifiers to show.
func traceOther(say func(string, ...any), sent bool, p packet.Packet) {
	switch p := p.(type) {
	case *packet.Connect:
		say("CONNECT")
	case *packet.Connack:
		code := int(p.Code)
		if p.Props == nil && p.Code.Failed() {
			code = int(p.Code.Return3())
		}
		say("CONNACK (%d)", code)
	case *packet.Disconnect:
		if sent {
			say("DISCONNECT")
		} else {
			say("DISCONNECT (%d)", p.Code)
		}
	case *packet.Auth:
		say("AUTH (%d)", p.Code)
	case *packet.Suback:
		say("SUBACK")
	case *packet.Unsuback:
		say("UNSUBACK")
	case packet.Pingreq:
		say("PINGREQ")
	case packet.Pingresp:
		say("PINGRESP")
	}
}

// traceAck words the four acknowledgements, each in its own way.
func traceAck(say func(string, ...any), sent bool, p *packet.Ack) {
	name := map[packet.Type]string{packet.PUBACK: "PUBACK", packet.PUBREC: "PUBREC", packet.PUBREL: "PUBREL", packet.PUBCOMP: "PUBCOMP"}[p.Kind]
	ends := p.Kind == packet.PUBACK || p.Kind == packet.PUBCOMP
	switch {
	case sent && (p.Kind == packet.PUBACK || p.Kind == packet.PUBREC):
		say("%s (m%d, rc%d)", name, p.ID, p.Code)
	case sent:
		say("%s (m%d)", name, p.ID)
	case ends:
		say("%s (Mid: %d, RC:%d)", name, p.ID, p.Code)
	default:
		say("%s (Mid: %d)", name, p.ID)
	}
}

func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}
