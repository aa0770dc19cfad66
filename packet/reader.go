package packet

import (
	"encoding/binary"
	"fmt"
)

// reader takes fields off the front of a packet's body. The first thing that goes wrong sticks in err; from then on
// every read returns zero, so that a decoder may check once after several reads.
type reader struct {
	b   []byte
	v   Version
	t   Type // whose body it is, for messages
	err *Error

	twice     bool   // err is about a property that comes twice
	misplaced *Error // about a property that exists, but not in this packet
}

// fail records the first error. c5 and c3 are the statements of MQTT 5.0 and of 3.1.1.
func (r *reader) fail(code Code, c5, c3, format string, args ...any) {
	if r.err != nil {
		return
	}
	clause := c5
	if r.v != V5 {
		clause = c3
	}
	r.err = &Error{Code: code, Clause: clause, Text: r.t.String() + ": " + fmt.Sprintf(format, args...)}
	r.b = nil
}

// short records that the packet ended within the field named.
func (r *reader) short(field string) {
	r.fail(MalformedPacket, "", "", "the packet ends within the %s", field)
}

func (r *reader) byte(field string) byte {
	if len(r.b) < 1 {
		r.short(field)
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uint16(field string) uint16 {
	if len(r.b) < 2 {
		r.short(field)
		return 0
	}
	n := binary.BigEndian.Uint16(r.b)
	r.b = r.b[2:]
	return n
}

func (r *reader) uint32(field string) uint32 {
	if len(r.b) < 4 {
		r.short(field)
		return 0
	}
	n := binary.BigEndian.Uint32(r.b)
	r.b = r.b[4:]
	return n
}

func (r *reader) varint(field string) int {
	n, k := varint(r.b)
	switch {
	case k > 0:
		r.b = r.b[k:]
	case k == 0:
		r.short(field)
	default:
		r.fail(MalformedPacket, "MQTT-1.5.5-1", "", "the %s is not a variable byte integer of the fewest bytes", field)
	}
	return n
}

// varint reads a variable byte integer. n is its length, 0 where b ends too early, -1 where it is
// longer than four bytes or than its value needs (MQTT-1.5.5-1).
func varint(b []byte) (value, n int) {
	for i := range 4 {
		if i == len(b) {
			return 0, 0
		}
		value |= int(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			if i > 0 && b[i] == 0 {
				return 0, -1
			}
			return value, i + 1
		}
	}
	return 0, -1
}

// binary reads a field with a length of two bytes before it. The result aliases the body.
func (r *reader) binary(field string) []byte {
	if len(r.b) < 2 {
		r.short(field)
		return nil
	}
	n := int(binary.BigEndian.Uint16(r.b))
	if len(r.b)-2 < n {
		r.short(field)
		return nil
	}
	s := r.b[2 : 2+n : 2+n]
	r.b = r.b[2+n:]
	return s
}

// text reads a UTF-8 encoded string. The result aliases the body.
func (r *reader) text(field string) []byte {
	s := r.binary(field)
	switch checkText(s) {
	case textBroken:
		r.fail(MalformedPacket, "MQTT-1.5.4-1", "MQTT-1.5.3-1", "the %s is not UTF-8", field)
	case textNUL:
		r.fail(MalformedPacket, "MQTT-1.5.4-2", "MQTT-1.5.3-2", "the %s contains U+0000", field)
	}
	return s
}

// name reads a topic name: a string that is not empty and holds no wildcard.
func (r *reader) name(field string) []byte {
	s := r.topic(field)
	if len(s) == 0 {
		r.fail(MalformedPacket, "MQTT-4.7.3-1", "MQTT-4.7.3-1", "the %s is empty", field)
	}
	return s
}

// topic is name for a field that may be empty.
func (r *reader) topic(field string) []byte {
	s := r.binary(field)
	switch checkName(s) {
	case textBroken:
		r.fail(MalformedPacket, "MQTT-1.5.4-1", "MQTT-1.5.3-1", "the %s is not UTF-8", field)
	case textNUL:
		r.fail(MalformedPacket, "MQTT-4.7.3-2", "MQTT-4.7.3-2", "the %s contains U+0000", field)
	case textControl:
		r.fail(MalformedPacket, "", "", "the %s contains a control character (1.5.4)", field)
	case textWildcard:
		c5, c3 := "MQTT-3.3.2-2", "MQTT-3.3.2-2"
		if r.t != PUBLISH {
			c5, c3 = "MQTT-4.7.0-1", "MQTT-4.7.1-1"
		}
		r.fail(MalformedPacket, c5, c3, "the %s %q contains a wildcard", field, s[:min(len(s), 64)])
	}
	return s
}

// label is text without control characters: what people read in logs and on screens.
func (r *reader) label(field string) []byte {
	s := r.text(field)
	if checkName(s) == textControl {
		r.fail(MalformedPacket, "", "", "the %s contains a control character (1.5.4)", field)
	}
	return s
}

// id reads a packet identifier.
func (r *reader) id(code Code) uint16 {
	id := r.uint16("Packet Identifier")
	if id == 0 && r.err == nil {
		r.fail(code, "MQTT-2.2.1-3", "MQTT-2.3.1-1", "the Packet Identifier is 0")
	}
	return id
}

// end records bytes behind the last field as an error.
func (r *reader) end() {
	if len(r.b) > 0 {
		r.fail(MalformedPacket, "", "", "%d bytes follow the last field", len(r.b))
	}
}

// done is the reader's error as an error, without the trap of a nil pointer in an interface.
func (r *reader) done() error {
	if r.err == nil {
		return nil
	}
	return r.err
}
