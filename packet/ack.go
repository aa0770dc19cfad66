package packet

import "encoding/binary"

// Ack is a PUBACK, PUBREC, PUBREL or PUBCOMP.
type Ack struct {
	Kind  Type
	ID    uint16
	Code  Code        // MQTT 5.0 only
	Props *Properties // MQTT 5.0 only
}

// Type is p.Kind.
func (p *Ack) Type() Type { return p.Kind }

// Append adds the packet. A success without properties takes two bytes of body in MQTT 5.0 too.
func (p *Ack) Append(dst []byte, v Version) []byte {
	first := byte(p.Kind) << 4
	if p.Kind == PUBREL {
		first |= 2
	}
	dst, at := open(append(dst, first))
	dst = binary.BigEndian.AppendUint16(dst, p.ID)
	if v == V5 && (p.Code != Success || p.Props != nil) {
		dst = append(dst, byte(p.Code))
		if p.Props != nil {
			dst = p.Props.Append(dst)
		}
	}
	return shut(dst, at)
}

func decodeAck(r *reader) *Ack {
	p := &Ack{Kind: r.t, ID: r.id(ProtocolError)}
	if r.v == V5 && len(r.b) > 0 {
		p.Code, p.Props = decodeEnd(r)
	}
	return p
}

// Disconnect is a DISCONNECT.
type Disconnect struct {
	Code  Code        // MQTT 5.0 only
	Props *Properties // MQTT 5.0 only
}

// Type is DISCONNECT.
func (*Disconnect) Type() Type { return DISCONNECT }

// Append adds the packet.
func (p *Disconnect) Append(dst []byte, v Version) []byte {
	return appendEnd(append(dst, byte(DISCONNECT)<<4), v, p.Code, p.Props)
}

// Auth is an AUTH packet; it exists in MQTT 5.0 only.
type Auth struct {
	Code  Code // Success, ContinueAuthentication or Reauthenticate
	Props *Properties
}

// Type is AUTH.
func (*Auth) Type() Type { return AUTH }

// Append adds the packet.
func (p *Auth) Append(dst []byte, v Version) []byte {
	return appendEnd(append(dst, byte(AUTH)<<4), v, p.Code, p.Props)
}

// appendEnd adds a body that is only code and properties, leaving out what has its default.
func appendEnd(dst []byte, v Version, code Code, props *Properties) []byte {
	dst, at := open(dst)
	if v == V5 && (code != 0 || props != nil) {
		dst = append(dst, byte(code))
		if props != nil {
			dst = props.Append(dst)
		}
	}
	return shut(dst, at)
}

// decodeEnd reads a reason code and properties, either of which may be left out.
func decodeEnd(r *reader) (code Code, props *Properties) {
	if r.v != V5 || len(r.b) == 0 {
		return 0, nil
	}
	code = r.code()
	if len(r.b) > 0 {
		props = r.properties(r.t)
	}
	return code, props
}

// code reads a reason code and checks that it may stand in this packet.
func (r *reader) code() Code {
	c := Code(r.byte("reason code"))
	if r.err == nil && codes[c].in&(1<<r.t) == 0 {
		clause := ""
		switch r.t {
		case CONNACK:
			clause = "MQTT-3.2.2-8"
		case PUBACK:
			clause = "MQTT-3.4.2-1"
		case PUBREC:
			clause = "MQTT-3.5.2-1"
		case PUBREL:
			clause = "MQTT-3.6.2-1"
		case PUBCOMP:
			clause = "MQTT-3.7.2-1"
		case SUBACK:
			clause = "MQTT-3.9.3-2"
		case UNSUBACK:
			clause = "MQTT-3.11.3-2"
		case DISCONNECT:
			clause = "MQTT-3.14.2-1"
		case AUTH:
			clause = "MQTT-3.15.2-1"
		}
		r.fail(ProtocolError, clause, "", "reason code 0x%02x may not stand here", byte(c))
	}
	return c
}

// Pingreq is a PINGREQ.
type Pingreq struct{}

// Type is PINGREQ.
func (Pingreq) Type() Type { return PINGREQ }

// Append adds the packet.
func (Pingreq) Append(dst []byte, _ Version) []byte { return append(dst, byte(PINGREQ)<<4, 0) }

// Pingresp is a PINGRESP.
type Pingresp struct{}

// Type is PINGRESP.
func (Pingresp) Type() Type { return PINGRESP }

// Append adds the packet.
func (Pingresp) Append(dst []byte, _ Version) []byte { return append(dst, byte(PINGRESP)<<4, 0) }
