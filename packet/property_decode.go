package packet

import "cmp"

// properties reads the property length and the properties behind it. Without any it returns nil.
// where is the packet they stand in, or will.
func (r *reader) properties(where Type) *Properties {
	part := r.part("properties")
	if len(part) == 0 {
		return nil
	}
	in := reader{b: part, v: r.v, t: r.t}
	p := &Properties{}
	for len(in.b) > 0 && in.err == nil {
		in.property(p, where)
	}
	in.judge()
	if in.err == nil && p.Has(AuthenticationData) && !p.Has(AuthenticationMethod) {
		in.fail(ProtocolError, "", "", "Authentication Data without an Authentication Method (3.1.2.11.10)")
	}
	if in.err != nil {
		if r.err == nil {
			r.err, r.b, r.twice = in.err, nil, in.twice
		}
		return nil
	}
	return p
}

// part reads a length and returns as many bytes.
func (r *reader) part(field string) []byte {
	n := r.varint("Property Length")
	if n > len(r.b) {
		r.short(field)
		return nil
	}
	part := r.b[:n:n]
	r.b = r.b[n:]
	return part
}

// property reads one property into p.
func (r *reader) property(p *Properties, where Type) {
	id := r.propertyID(where, p.present)
	switch {
	case r.err != nil:
		return
	case id == UserProperties:
		p.User = append(p.User, UserProperty{string(r.text("User Property")), string(r.text("User Property"))})
	default:
		r.value(p, id)
	}
	p.Set(id)
}

// judge makes a misplaced property the error, where the properties are well-formed: a packet that is malformed is that first of all.
func (r *reader) judge() {
	if r.err == nil && r.misplaced != nil {
		r.err, r.b = r.misplaced, nil
	}
}

// propertyID reads an identifier and checks that the property exists and has not come before. One that may not stand here is noted, for judge.
func (r *reader) propertyID(where Type, present uint64) PropertyID {
	// Identifiers are variable byte integers, but all that exist fit one byte (2.2.2.2).
	n := r.varint("property identifier")
	if r.err != nil {
		return 0
	}
	if n >= len(known) || known[n].kind == kindNone {
		r.fail(MalformedPacket, "", "", "property 0x%x does not exist", n)
		return 0
	}
	id := PropertyID(n)
	if known[n].in&(1<<where) == 0 {
		r.misplaced = cmp.Or(r.misplaced, &Error{Code: ProtocolError, Text: r.t.String() + ": the property " + id.String() + " may not stand here"})
	}
	if present&(1<<id) != 0 && id != UserProperties && (id != SubscriptionIdentifier || where != PUBLISH) {
		r.twice = true
		r.fail(ProtocolError, "", "", "the property %s comes twice", id)
	}
	return id
}

func (r *reader) subscriptionID() int {
	n := r.varint("Subscription Identifier")
	if n == 0 {
		r.fail(ProtocolError, "", "", "the Subscription Identifier is 0 (3.8.2.1.2)")
	}
	return n
}

// value reads the value of a property, all but User Property.
func (r *reader) value(p *Properties, id PropertyID) {
	name := known[id].name
	if id == SubscriptionIdentifier {
		p.SubscriptionIDs = append(p.SubscriptionIDs, uint32(r.subscriptionID()))
		return
	}
	switch f := p.field(id).(type) {
	case *byte:
		*f = r.byte(name)
		if *f > 1 {
			r.fail(ProtocolError, "", "", "%s is %d: only 0 and 1 exist", name, *f)
		}
	case *uint16:
		*f = r.uint16(name)
		if *f == 0 && id == ReceiveMaximum {
			r.fail(ProtocolError, "", "", "Receive Maximum is 0 (3.1.2.11.3)")
		}
		if *f == 0 && id == TopicAlias {
			r.fail(TopicAliasInvalid, "MQTT-3.3.2-8", "", "Topic Alias is 0")
		}
	case *uint32:
		*f = r.uint32(name)
		if *f == 0 && id == MaximumPacketSize {
			r.fail(ProtocolError, "", "", "Maximum Packet Size is 0 (3.1.2.11.4)")
		}
	case *string:
		if id == ResponseTopic {
			*f = string(r.responseTopic())
		} else {
			*f = string(r.text(name))
		}
	case *[]byte:
		*f = append([]byte{}, r.binary(name)...)
	}
}

func (r *reader) responseTopic() []byte {
	s := r.text("Response Topic")
	if len(s) == 0 {
		r.fail(ProtocolError, "MQTT-4.7.3-1", "", "the Response Topic is empty")
	} else if checkName(s) == textWildcard {
		r.fail(ProtocolError, "MQTT-3.3.2-14", "", "the Response Topic contains a wildcard")
	}
	return s
}
