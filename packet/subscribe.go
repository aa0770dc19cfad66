package packet

import "encoding/binary"

// Subscribe is a SUBSCRIBE packet.
type Subscribe struct {
	ID      uint16
	Props   *Properties // MQTT 5.0 only
	Filters []Subscription
}

// Subscription is one topic filter of a SUBSCRIBE with its options. The filter is a string that is not empty;
// where wildcards may stand in it is not checked here.
type Subscription struct {
	Filter            string
	QoS               byte // 0, 1 or 2
	NoLocal           bool // MQTT 5.0 only, as the following
	RetainAsPublished bool
	RetainHandling    byte // 0 send retained messages, 1 only if the subscription is new, 2 never
}

// Type is SUBSCRIBE.
func (*Subscribe) Type() Type { return SUBSCRIBE }

// Append adds the packet.
func (p *Subscribe) Append(dst []byte, v Version) []byte {
	dst, at := open(append(dst, byte(SUBSCRIBE)<<4|2))
	dst = binary.BigEndian.AppendUint16(dst, p.ID)
	if v == V5 {
		dst = p.Props.Append(dst)
	}
	for _, f := range p.Filters {
		dst = append(appendString(dst, f.Filter), f.options(v))
	}
	return shut(dst, at)
}

func (s *Subscription) options(v Version) byte {
	o := s.QoS
	if v != V5 {
		return o
	}
	if s.NoLocal {
		o |= 4
	}
	if s.RetainAsPublished {
		o |= 8
	}
	return o | s.RetainHandling<<4
}

func decodeSubscribe(r *reader) *Subscribe {
	p := &Subscribe{ID: r.id(MalformedPacket)}
	if r.v == V5 {
		p.Props = r.subscribeProperties()
	}
	if len(r.b) == 0 {
		r.fail(MalformedPacket, "MQTT-3.8.3-2", "MQTT-3.8.3-3", "there is no Topic Filter")
	}
	p.Filters = make([]Subscription, 0, labels(r.b, 1))
	for len(r.b) > 0 {
		s := Subscription{Filter: r.filter()}
		o := r.byte("subscription options")
		s.QoS = o & 3
		if s.QoS == 3 {
			r.fail(MalformedPacket, "", "MQTT-3.8.3-4", "both bits of the QoS are set (3.8.3.1)")
		}
		switch r.v {
		case V5:
			s.NoLocal, s.RetainAsPublished, s.RetainHandling = o&4 != 0, o&8 != 0, o>>4&3
			if s.RetainHandling == 3 {
				r.fail(MalformedPacket, "", "", "Retain Handling is 3 (3.8.3.1)")
			}
			if o&0xc0 != 0 {
				r.fail(MalformedPacket, "MQTT-3.8.3-5", "", "reserved bits of the subscription options are set: 0x%02x", o)
			}
		case V311:
			if o&0xfc != 0 {
				r.fail(MalformedPacket, "", "MQTT-3.8.3-4", "reserved bits of the requested QoS are set: 0x%02x", o)
			}
		}
		if r.err != nil {
			return p
		}
		p.Filters = append(p.Filters, s)
	}
	return p
}

// subscribeProperties reads the properties of SUBSCRIBE and UNSUBSCRIBE. Whatever else than a repetition is wrong with them is a Malformed Packet:
// mosquitto answers so, where the specification would have some of it a Protocol Error; either closes the connection.
func (r *reader) subscribeProperties() *Properties {
	p := r.properties(r.t)
	if r.err != nil && !r.twice {
		r.err.Code = MalformedPacket
	}
	return p
}

// labels counts the strings that are in b, each with so many bytes behind it.
func labels(b []byte, behind int) (n int) {
	for len(b) >= 2 {
		b = b[min(2+int(binary.BigEndian.Uint16(b))+behind, len(b)):]
		n++
	}
	return n
}

// filter reads a topic filter.
func (r *reader) filter() string {
	s := r.label("Topic Filter")
	if len(s) == 0 {
		r.fail(MalformedPacket, "MQTT-4.7.3-1", "MQTT-4.7.3-1", "the Topic Filter is empty")
	}
	return string(s)
}

// Unsubscribe is an UNSUBSCRIBE packet.
type Unsubscribe struct {
	ID      uint16
	Props   *Properties // MQTT 5.0 only
	Filters []string
}

// Type is UNSUBSCRIBE.
func (*Unsubscribe) Type() Type { return UNSUBSCRIBE }

// Append adds the packet.
func (p *Unsubscribe) Append(dst []byte, v Version) []byte {
	dst, at := open(append(dst, byte(UNSUBSCRIBE)<<4|2))
	dst = binary.BigEndian.AppendUint16(dst, p.ID)
	if v == V5 {
		dst = p.Props.Append(dst)
	}
	for _, f := range p.Filters {
		dst = appendString(dst, f)
	}
	return shut(dst, at)
}

func decodeUnsubscribe(r *reader) *Unsubscribe {
	p := &Unsubscribe{ID: r.id(MalformedPacket)}
	if r.v == V5 {
		p.Props = r.subscribeProperties()
	}
	if len(r.b) == 0 {
		r.fail(MalformedPacket, "MQTT-3.10.3-2", "MQTT-3.10.3-2", "there is no Topic Filter")
	}
	p.Filters = make([]string, 0, labels(r.b, 0))
	for len(r.b) > 0 {
		f := r.filter()
		if r.err != nil {
			return p
		}
		p.Filters = append(p.Filters, f)
	}
	return p
}

// Suback is a SUBACK packet: one code for each filter, in their order.
type Suback struct {
	ID    uint16
	Props *Properties // MQTT 5.0 only
	Codes []Code
}

// Type is SUBACK.
func (*Suback) Type() Type { return SUBACK }

// Append adds the packet. Before MQTT 5.0 every failure is 0x80.
func (p *Suback) Append(dst []byte, v Version) []byte {
	dst, at := open(append(dst, byte(SUBACK)<<4))
	dst = binary.BigEndian.AppendUint16(dst, p.ID)
	if v == V5 {
		dst = p.Props.Append(dst)
	}
	for _, c := range p.Codes {
		if v != V5 && c.Failed() {
			c = UnspecifiedError
		}
		dst = append(dst, byte(c))
	}
	return shut(dst, at)
}

// Unsuback is an UNSUBACK packet: one code for each filter, in their order; none before MQTT 5.0.
type Unsuback struct {
	ID    uint16
	Props *Properties // MQTT 5.0 only
	Codes []Code      // MQTT 5.0 only
}

// Type is UNSUBACK.
func (*Unsuback) Type() Type { return UNSUBACK }

// Append adds the packet.
func (p *Unsuback) Append(dst []byte, v Version) []byte {
	dst, at := open(append(dst, byte(UNSUBACK)<<4))
	dst = binary.BigEndian.AppendUint16(dst, p.ID)
	if v == V5 {
		dst = p.Props.Append(dst)
		for _, c := range p.Codes {
			dst = append(dst, byte(c))
		}
	}
	return shut(dst, at)
}

// decodeGranted reads the body of a SUBACK or UNSUBACK.
func decodeGranted(r *reader) (id uint16, props *Properties, list []Code) {
	id = r.id(ProtocolError)
	if r.v == V5 {
		props = r.properties(r.t)
	}
	if r.v != V5 && r.t == UNSUBACK {
		return id, nil, nil
	}
	if len(r.b) == 0 {
		r.fail(MalformedPacket, "", "", "there is no reason code")
	}
	list = make([]Code, 0, len(r.b))
	for len(r.b) > 0 {
		if r.v != V5 && r.b[0] > byte(GrantedQoS2) && r.b[0] != byte(UnspecifiedError) {
			r.fail(MalformedPacket, "", "MQTT-3.9.3-2", "return code 0x%02x is reserved", r.b[0])
		}
		list = append(list, r.code())
	}
	return id, props, list
}
