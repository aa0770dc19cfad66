package packet

import "bytes"

// Decode decodes a packet of any type. first is the first byte of the fixed header, body the bytes that its Remaining
// Length counts. v is the version that CONNECT has announced, and is ignored for CONNECT itself. The packet
// shares no memory with body.
//
// The error is an [*Error]. The packet of a failed CONNECT is returned beside the error with all that was read before,
// so that the answer can be in the peer's version: it is nil only when the packet ended before the protocol level.
// See [Connect] for the code of an unknown protocol. With any other error the packet is nil.
func Decode(v Version, first byte, body []byte) (Packet, error) {
	t := Type(first >> 4)
	r := reader{b: body, v: v, t: t}
	if t == CONNECT {
		return decodeConnect(&r, first)
	}
	if t == PUBLISH {
		p := &Publish{}
		if err := p.Decode(v, first, bytes.Clone(body)); err != nil {
			return nil, err
		}
		return p, nil
	}
	if t != 0 {
		r.flags(first)
	}
	var p Packet
	switch t {
	case CONNACK:
		p = decodeConnack(&r)
	case PUBACK, PUBREC, PUBREL, PUBCOMP:
		p = decodeAck(&r)
	case SUBSCRIBE:
		p = decodeSubscribe(&r)
	case SUBACK:
		id, props, codes := decodeGranted(&r)
		p = &Suback{id, props, codes}
	case UNSUBSCRIBE:
		p = decodeUnsubscribe(&r)
	case UNSUBACK:
		id, props, codes := decodeGranted(&r)
		p = &Unsuback{id, props, codes}
	case PINGREQ:
		p = Pingreq{}
	case PINGRESP:
		p = Pingresp{}
	case DISCONNECT:
		code, props := decodeEnd(&r)
		p = &Disconnect{code, props}
	case AUTH:
		if v != V5 {
			r.fail(ProtocolError, "", "", "AUTH does not exist in MQTT %s", v)
		}
		code, props := decodeEnd(&r)
		p = &Auth{code, props}
	default:
		r.fail(ProtocolError, "", "", "packet type 0 is reserved (2.1.2)")
	}
	r.end()
	if r.err != nil {
		return nil, r.err
	}
	return p, nil
}

// flags checks the four reserved bits of the first byte. In MQTT 3.1 they are unused, and clients exist that set them.
func (r *reader) flags(first byte) {
	want := byte(0)
	switch r.t {
	case PUBREL, SUBSCRIBE, UNSUBSCRIBE:
		want = 2
	}
	if got := first & 0x0f; got != want && r.v != V31 {
		c5, c3 := "MQTT-2.1.3-1", "MQTT-2.2.2-2"
		switch r.t {
		case PUBREL:
			c5, c3 = "MQTT-3.6.1-1", "MQTT-3.6.1-1"
		case SUBSCRIBE:
			c5, c3 = "MQTT-3.8.1-1", "MQTT-3.8.1-1"
		case UNSUBSCRIBE:
			c5, c3 = "MQTT-3.10.1-1", "MQTT-3.10.1-1"
		case DISCONNECT:
			c5, c3 = "MQTT-3.14.1-1", "MQTT-3.14.1-1"
		case AUTH:
			c5 = "MQTT-3.15.1-1"
		}
		r.fail(MalformedPacket, c5, c3, "the reserved flags are %04b instead of %04b", got, want)
	}
}
