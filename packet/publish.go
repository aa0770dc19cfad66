package packet

import (
	"encoding/binary"
	"unicode/utf8"
)

// Publish is a PUBLISH packet, decoded in place: its slices alias the bytes it was decoded from.
type Publish struct {
	Dup    bool
	QoS    byte // 0, 1 or 2
	Retain bool

	Topic   []byte // UTF-8 without wildcards and U+0000; empty only with an Alias
	ID      uint16 // packet identifier, 0 with QoS 0
	Payload []byte

	// Props are the properties without their length, validated (MQTT 5.0 only).
	Props  []byte
	Alias  uint16 // Topic Alias, 0 for none
	Expiry uint32 // Message Expiry Interval in seconds, where HasExpiry

	HasExpiry       bool
	SubscriptionIDs int // how many Subscription Identifiers there are: from a client, any is a protocol error (MQTT-3.3.4-6)
	// Verbatim: Props hold neither topic alias, message expiry interval nor subscription identifier, so they are forwarded unchanged.
	Verbatim bool
	// PayloadUTF8: the Payload Format Indicator is 1, and the payload has been found to be UTF-8.
	PayloadUTF8 bool
}

// Type is PUBLISH.
func (*Publish) Type() Type { return PUBLISH }

// Decode fills p from a packet of version v: first is the first byte of its fixed header, body what the Remaining Length
// counts. It allocates nothing unless it fails. The error is an [*Error]; with code [PayloadFormatInvalid] p is complete, so
// that a server can answer with a PUBACK or PUBREC instead of closing.
func (p *Publish) Decode(v Version, first byte, body []byte) error {
	*p = Publish{Dup: first&8 != 0, QoS: first >> 1 & 3, Retain: first&1 != 0}
	r := reader{b: body, v: v, t: PUBLISH}
	if p.QoS == 3 {
		r.fail(MalformedPacket, "MQTT-3.3.1-4", "MQTT-3.3.1-4", "both bits of the QoS are set")
	}
	if p.Dup && p.QoS == 0 {
		if v != V31 { // MQTT 3.1 only says that the flag has no meaning there
			r.fail(MalformedPacket, "MQTT-3.3.1-2", "MQTT-3.3.1-2", "DUP is set with QoS 0")
		}
		p.Dup = false
	}
	p.Topic = r.topic("Topic Name")
	if p.QoS > 0 {
		p.ID = r.id(ProtocolError)
	}
	p.Verbatim = true
	format := byte(0)
	if v == V5 {
		p.Props = r.part("properties")
		format = r.publishProperties(p)
	}
	if len(p.Topic) == 0 && p.Alias == 0 {
		if v == V5 {
			r.fail(ProtocolError, "MQTT-4.7.3-1", "", "the Topic Name is empty and there is no Topic Alias (3.3.2.1)")
		} else {
			r.fail(MalformedPacket, "", "MQTT-4.7.3-1", "the Topic Name is empty")
		}
	}
	p.Payload = r.b
	if format == 1 {
		p.PayloadUTF8 = utf8.Valid(p.Payload)
		if !p.PayloadUTF8 {
			r.fail(PayloadFormatInvalid, "", "", "the Payload Format Indicator says UTF-8, the payload is not (3.3.2.3.2)")
		}
	}
	return r.done()
}

// publishProperties validates p.Props and takes out what the server acts on. It is [reader.properties] without allocation.
func (r *reader) publishProperties(p *Publish) (format byte) {
	if len(p.Props) == 0 {
		return 0
	}
	in := reader{b: p.Props, v: r.v, t: PUBLISH}
	present := uint64(0)
	for len(in.b) > 0 && in.err == nil {
		id := in.propertyID(PUBLISH, present)
		if in.err != nil {
			break
		}
		present |= 1 << id
		switch id {
		case PayloadFormatIndicator:
			if format = in.byte("Payload Format Indicator"); format > 1 {
				in.fail(ProtocolError, "", "", "Payload Format Indicator is %d: only 0 and 1 exist", format)
			}
		case MessageExpiryInterval:
			p.Expiry, p.HasExpiry, p.Verbatim = in.uint32("Message Expiry Interval"), true, false
		case ContentType:
			in.text("Content Type")
		case ResponseTopic:
			in.responseTopic()
		case CorrelationData:
			in.binary("Correlation Data")
		case SubscriptionIdentifier:
			in.subscriptionID()
			p.SubscriptionIDs++
			p.Verbatim = false
		case TopicAlias:
			p.Alias, p.Verbatim = in.uint16("Topic Alias"), false
			if p.Alias == 0 {
				in.fail(TopicAliasInvalid, "MQTT-3.3.2-8", "", "Topic Alias is 0")
			}
		case UserProperties:
			in.text("User Property")
			in.text("User Property")
		default:
			in.value(new(Properties), id) // misplaced
		}
	}
	in.judge()
	if in.err != nil && r.err == nil {
		r.err, r.b = in.err, nil
	}
	return format
}

// Properties decodes p.Props into their own memory; nil where there are none.
func (p *Publish) Properties() (*Properties, error) {
	r := reader{b: p.Props, v: V5, t: PUBLISH}
	if len(r.b) == 0 {
		return nil, nil
	}
	props := &Properties{}
	for len(r.b) > 0 && r.err == nil {
		r.property(props, PUBLISH)
	}
	return props, r.done()
}

// Append adds the packet for a peer of version v. For MQTT 5.0 Props are written as they are; the fields decoded from them
// (Alias, Expiry, ...) are not looked at.
func (p *Publish) Append(dst []byte, v Version) []byte {
	return append(p.AppendHead(dst, v), p.Payload...)
}

// AppendHead is Append without the payload, for callers that write it from where it lies.
func (p *Publish) AppendHead(dst []byte, v Version) []byte {
	name := p.Topic[:fit(p.Topic)]
	n := len(name) + 2 + len(p.Payload)
	if p.QoS > 0 {
		n += 2
	}
	if v == V5 {
		n += SizeVarint(len(p.Props)) + len(p.Props)
	}
	dst = AppendVarint(append(dst, p.first()), n)
	dst = append(dst, byte(len(name)>>8), byte(len(name)))
	dst = append(dst, name...)
	if p.QoS > 0 {
		dst = binary.BigEndian.AppendUint16(dst, p.ID)
	}
	if v == V5 {
		dst = append(AppendVarint(dst, len(p.Props)), p.Props...)
	}
	return dst
}

func (p *Publish) first() byte {
	first := byte(PUBLISH)<<4 | p.QoS<<1
	if p.Dup {
		first |= 8
	}
	if p.Retain {
		first |= 1
	}
	return first
}

// PublishSize is the length of a PUBLISH with parts of these lengths, fixed header included. propsLen counts the
// properties without their own length and is ignored before MQTT 5.0.
func PublishSize(v Version, topicLen, propsLen, payloadLen int, qos byte) int {
	n := 2 + topicLen + payloadLen
	if qos > 0 {
		n += 2
	}
	if v == V5 {
		n += SizeVarint(propsLen) + propsLen
	}
	return 1 + SizeVarint(n) + n
}

// AppendExpiry adds a Message Expiry Interval to raw properties.
func AppendExpiry(props []byte, seconds uint32) []byte {
	return binary.BigEndian.AppendUint32(append(props, byte(MessageExpiryInterval)), seconds)
}

// AppendSubscriptionID adds a Subscription Identifier to raw properties.
func AppendSubscriptionID(props []byte, id uint32) []byte {
	return AppendVarint(append(props, byte(SubscriptionIdentifier)), int(id))
}

// AppendTopicAlias adds a Topic Alias to raw properties.
func AppendTopicAlias(props []byte, alias uint16) []byte {
	return binary.BigEndian.AppendUint16(append(props, byte(TopicAlias)), alias)
}
