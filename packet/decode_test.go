package packet

import (
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// raw is bytes as they are, props are bytes with a length of one byte before them.
type (
	raw   string
	props string
)

// packetOf builds a packet: byte, uint16, raw and props go in as they are, a string gets its length before it.
func packetOf(first byte, parts ...any) []byte {
	dst, at := open([]byte{first})
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			dst = append(dst, byte(p))
		case uint16:
			dst = binary.BigEndian.AppendUint16(dst, p)
		case raw:
			dst = append(dst, p...)
		case props:
			dst = append(append(dst, byte(len(p))), p...)
		case string:
			dst = appendString(dst, p)
		default:
			panic("packetOf: " + reflect.TypeOf(p).String())
		}
	}
	return shut(dst, at)
}

const (
	none = props("")
	id1  = uint16(1)
)

// bad are packets that must not be accepted. name is the clause that the error has to carry; where the specification gives
// the rule no number it is a description, and the error's clause is empty.
var bad = []struct {
	name   string
	v      Version
	code   Code
	packet []byte
}{
	// UTF-8 strings, topics
	{"MQTT-1.5.4-1/overlong", V5, MalformedPacket, packetOf(0x82, id1, none, "a/\xc0\xaf", 0)},
	{"MQTT-1.5.4-1/surrogate", V5, MalformedPacket, packetOf(0x30, "a\xed\xa0\x80", none)},
	{"MQTT-1.5.4-1/behind eight bytes", V5, MalformedPacket, packetOf(0x30, "abcdefgh\xff", none)},
	{"MQTT-1.5.4-1/client id", V5, MalformedPacket, packetOf(0x10, "MQTT", 5, 2, id1, none, "\xff")},
	{"MQTT-1.5.4-1/user property", V5, MalformedPacket, packetOf(0x30, "a", props("\x26\x00\x01\xff\x00\x00"))},
	{"MQTT-1.5.4-2/user name", V5, MalformedPacket, packetOf(0x10, "MQTT", 5, 0x82, id1, none, "c", "a\x00b")},
	{"MQTT-1.5.4-2/filter", V5, MalformedPacket, packetOf(0x82, id1, none, "abcdefghi\x00", 0)},
	{"MQTT-1.5.3-1", V311, MalformedPacket, packetOf(0x30, "\xc3")},
	{"MQTT-1.5.3-2", V311, MalformedPacket, packetOf(0xa2, id1, "a\x00")},
	{"MQTT-1.5.5-1/overlong property length", V5, MalformedPacket, packetOf(0x30, "a", raw("\x80\x00"))},
	{"MQTT-1.5.5-1/five bytes", V5, MalformedPacket, packetOf(0x30, "a", raw("\xff\xff\xff\xff\x01"))},
	{"MQTT-4.7.3-1/filter", V5, MalformedPacket, packetOf(0x82, id1, none, "", 0)},
	{"MQTT-4.7.3-1/filter", V311, MalformedPacket, packetOf(0xa2, id1, "")},
	{"MQTT-4.7.3-1/name", V311, MalformedPacket, packetOf(0x30, "")},
	{"MQTT-4.7.3-1/no alias", V5, ProtocolError, packetOf(0x30, "", none)},
	{"MQTT-4.7.3-2", V5, MalformedPacket, packetOf(0x30, "a\x00", none)},
	{"MQTT-4.7.3-1/will", V311, MalformedPacket, packetOf(0x10, "MQTT", 4, 6, id1, "c", "", "w")},
	{"MQTT-4.7.0-1", V5, MalformedPacket, packetOf(0x10, "MQTT", 5, 6, id1, none, "c", none, "will/#", "w")},
	{"MQTT-4.7.1-1", V311, MalformedPacket, packetOf(0x10, "MQTT", 4, 6, id1, "c", "will/+", "w")},

	// reserved flags
	{"MQTT-2.1.3-1/CONNECT", V5, MalformedPacket, packetOf(0x11, "MQTT", 5, 2, id1, none, "c")},
	{"MQTT-2.1.3-1/PUBACK", V5, MalformedPacket, packetOf(0x42, id1)},
	{"MQTT-2.1.3-1/PINGREQ", V5, MalformedPacket, packetOf(0xc1)},
	{"MQTT-2.2.2-2/PUBREC", V311, MalformedPacket, packetOf(0x51, id1)},
	{"MQTT-3.6.1-1", V5, MalformedPacket, packetOf(0x60, id1)},
	{"MQTT-3.6.1-1", V311, MalformedPacket, packetOf(0x60, id1)},
	{"MQTT-3.8.1-1", V5, MalformedPacket, packetOf(0x80, id1, none, "a", 0)},
	{"MQTT-3.8.1-1", V311, MalformedPacket, packetOf(0x80, id1, "a", 0)},
	{"MQTT-3.10.1-1", V5, MalformedPacket, packetOf(0xa0, id1, none, "a")},
	{"MQTT-3.10.1-1", V311, MalformedPacket, packetOf(0xa0, id1, "a")},
	{"MQTT-3.14.1-1", V5, MalformedPacket, packetOf(0xe1)},
	{"MQTT-3.14.1-1", V311, MalformedPacket, packetOf(0xe1)},
	{"MQTT-3.15.1-1", V5, MalformedPacket, packetOf(0xf1)},

	// packet identifiers
	{"MQTT-2.2.1-3/PUBLISH", V5, ProtocolError, packetOf(0x32, "a", uint16(0), none)},
	{"MQTT-2.2.1-3/SUBSCRIBE", V5, MalformedPacket, packetOf(0x82, uint16(0), none, "a", 0)},
	{"MQTT-2.2.1-3/UNSUBSCRIBE", V5, MalformedPacket, packetOf(0xa2, uint16(0), none, "a")},
	{"MQTT-2.2.1-3/PUBREL", V5, ProtocolError, packetOf(0x62, uint16(0))},
	{"MQTT-2.3.1-1/PUBLISH", V311, ProtocolError, packetOf(0x34, "a", uint16(0))},
	{"MQTT-2.3.1-1/SUBSCRIBE", V311, MalformedPacket, packetOf(0x82, uint16(0), "a", 0)},

	// CONNECT
	{"MQTT-3.1.2-1", V5, UnsupportedProtocolVersion, packetOf(0x10, "MQTX", 5, 2, id1, none, "c")},
	{"MQTT-3.1.2-2/level 6", V5, UnsupportedProtocolVersion, packetOf(0x10, "MQTT", 6, 2, id1, none, "c")},
	{"MQTT-3.1.2-2/level 3 of MQTT", V311, UnsupportedProtocolVersion, packetOf(0x10, "MQTT", 3, 2, id1, "c")},
	{"MQTT-3.1.2-2/level 4 of MQIsdp", V311, UnsupportedProtocolVersion, packetOf(0x10, "MQIsdp", 4, 2, id1, "c")},
	{"MQTT-3.1.2-3", V5, MalformedPacket, packetOf(0x10, "MQTT", 5, 3, id1, none, "c")},
	{"MQTT-3.1.2-3", V311, MalformedPacket, packetOf(0x10, "MQTT", 4, 3, id1, "c")},
	{"MQTT-3.1.2-11", V5, MalformedPacket, packetOf(0x10, "MQTT", 5, 0x0a, id1, none, "c")},
	{"MQTT-3.1.2-12", V5, MalformedPacket, packetOf(0x10, "MQTT", 5, 0x1e, id1, none, "c", none, "w", "")},
	{"MQTT-3.1.2-13", V5, MalformedPacket, packetOf(0x10, "MQTT", 5, 0x22, id1, none, "c")},
	{"MQTT-3.1.2-13", V311, MalformedPacket, packetOf(0x10, "MQTT", 4, 0x0a, id1, "c")},
	{"MQTT-3.1.2-14", V311, MalformedPacket, packetOf(0x10, "MQTT", 4, 0x1e, id1, "c", "w", "")},
	{"MQTT-3.1.2-15", V311, MalformedPacket, packetOf(0x10, "MQTT", 4, 0x22, id1, "c")},
	{"MQTT-3.1.2-22", V311, MalformedPacket, packetOf(0x10, "MQTT", 4, 0x42, id1, "c", "p")},
	{"MQTT-3.1.3-8", V311, ClientIdentifierNotValid, packetOf(0x10, "MQTT", 4, 0, id1, "")},
	{"empty client id in 3.1", V31, ClientIdentifierNotValid, packetOf(0x10, "MQIsdp", 3, 2, id1, "")},
	{"user name missing", V311, MalformedPacket, packetOf(0x10, "MQTT", 4, 0x82, id1, "c")},
	{"password missing", V5, MalformedPacket, packetOf(0x10, "MQTT", 5, 0xc2, id1, none, "c", "u")},
	{"will missing", V5, MalformedPacket, packetOf(0x10, "MQTT", 5, 6, id1, none, "c")},
	{"bytes behind the client id", V5, MalformedPacket, packetOf(0x10, "MQTT", 5, 2, id1, none, "c", 0)},
	{"Receive Maximum 0", V5, ProtocolError, packetOf(0x10, "MQTT", 5, 2, id1, props("\x21\x00\x00"), "c")},
	{"Maximum Packet Size 0", V5, ProtocolError, packetOf(0x10, "MQTT", 5, 2, id1, props("\x27\x00\x00\x00\x00"), "c")},
	{"Request Problem Information 2", V5, ProtocolError, packetOf(0x10, "MQTT", 5, 2, id1, props("\x17\x02"), "c")},
	{"Session Expiry Interval twice", V5, ProtocolError, packetOf(0x10, "MQTT", 5, 2, id1, props("\x11\x00\x00\x00\x01\x11\x00\x00\x00\x01"), "c")},
	{"Authentication Data alone", V5, ProtocolError, packetOf(0x10, "MQTT", 5, 2, id1, props("\x16\x00\x01x"), "c")},
	{"Topic Alias in CONNECT", V5, ProtocolError, packetOf(0x10, "MQTT", 5, 2, id1, props("\x23\x00\x01"), "c")},
	{"Subscription Identifier in will", V5, ProtocolError, packetOf(0x10, "MQTT", 5, 6, id1, none, "c", props("\x0b\x01"), "w", "")},
	{"unknown property", V5, MalformedPacket, packetOf(0x10, "MQTT", 5, 2, id1, props("\x04\x00"), "c")},
	{"will payload not UTF-8", V5, PayloadFormatInvalid, packetOf(0x10, "MQTT", 5, 6, id1, none, "c", props("\x01\x01"), "w", "\xff")},
	{"ends within a number", V5, MalformedPacket, packetOf(0x10, "MQTT", 5, 2, id1, props("\x11\x00\x00"), "c")},
	{"ends within a string", V5, MalformedPacket, packetOf(0x30, "a", props("\x03\x00\x05x"))},
	{"MQTT-4.7.3-1/response topic", V5, ProtocolError, packetOf(0x30, "a", props("\x08\x00\x00"))},
	{"ends within the protocol name", V5, MalformedPacket, packetOf(0x10, raw("\x00\x04MQ"))},
	{"ends within the properties", V5, MalformedPacket, packetOf(0x10, "MQTT", 5, 2, id1, raw("\x05\x11"))},

	// PUBLISH
	{"MQTT-3.3.1-2", V5, MalformedPacket, packetOf(0x38, "a", none)},
	{"MQTT-3.3.1-2", V311, MalformedPacket, packetOf(0x38, "a")},
	{"MQTT-3.3.1-4", V5, MalformedPacket, packetOf(0x36, "a", id1, none)},
	{"MQTT-3.3.1-4", V311, MalformedPacket, packetOf(0x36, "a", id1)},
	{"MQTT-3.3.1-4", V31, MalformedPacket, packetOf(0x36, "a", id1)},
	{"MQTT-3.3.2-2/plus", V5, MalformedPacket, packetOf(0x30, "a/+", none)},
	{"MQTT-3.3.2-2/hash early in a long name", V311, MalformedPacket, packetOf(0x30, "#/abcdefghijklmnop")},
	{"MQTT-3.3.2-2/behind other letters", V311, MalformedPacket, packetOf(0x30, "température/#")},
	{"MQTT-3.3.2-8", V5, TopicAliasInvalid, packetOf(0x30, "a", props("\x23\x00\x00"))},
	{"MQTT-3.3.2-14", V5, ProtocolError, packetOf(0x30, "a", props("\x08\x00\x03r/#"))},
	{"Topic Alias twice", V5, ProtocolError, packetOf(0x30, "a", props("\x23\x00\x01\x23\x00\x01"))},
	{"Payload Format Indicator 2", V5, ProtocolError, packetOf(0x30, "a", props("\x01\x02"))},
	{"payload not UTF-8", V5, PayloadFormatInvalid, packetOf(0x30, "a", props("\x01\x01"), raw("\xff"))},
	{"Subscription Identifier 0", V5, ProtocolError, packetOf(0x30, "a", props("\x0b\x00"))},
	{"Session Expiry Interval in PUBLISH", V5, ProtocolError, packetOf(0x30, "a", props("\x11\x00\x00\x00\x00"))},
	{"ends within the packet identifier", V311, MalformedPacket, packetOf(0x32, "a", 1)},
	{"empty", V5, MalformedPacket, packetOf(0x30)},

	// acknowledgements
	{"MQTT-3.4.2-1", V5, ProtocolError, packetOf(0x40, id1, 0x18)},
	{"MQTT-3.5.2-1", V5, ProtocolError, packetOf(0x50, id1, 0x92)},
	{"MQTT-3.6.2-1", V5, ProtocolError, packetOf(0x62, id1, 0x80)},
	{"MQTT-3.7.2-1", V5, ProtocolError, packetOf(0x70, id1, 0x10)},
	{"body of an older PUBACK too long", V311, MalformedPacket, packetOf(0x40, id1, 0)},
	{"Content Type in PUBACK", V5, ProtocolError, packetOf(0x40, id1, 0, props("\x03\x00\x01x"))},
	{"bytes behind the properties", V5, MalformedPacket, packetOf(0x40, id1, 0, none, 0)},

	// SUBSCRIBE, UNSUBSCRIBE and their answers
	{"MQTT-3.8.3-2", V5, MalformedPacket, packetOf(0x82, id1, none)},
	{"MQTT-3.8.3-3", V311, MalformedPacket, packetOf(0x82, id1)},
	{"MQTT-3.8.3-4/QoS 3", V311, MalformedPacket, packetOf(0x82, id1, "a", 3)},
	{"MQTT-3.8.3-4/reserved bits", V311, MalformedPacket, packetOf(0x82, id1, "a", 4)},
	{"MQTT-3.8.3-5", V5, MalformedPacket, packetOf(0x82, id1, none, "a", 0x40)},
	{"QoS 3", V5, MalformedPacket, packetOf(0x82, id1, none, "a", 3)},
	{"Retain Handling 3", V5, MalformedPacket, packetOf(0x82, id1, none, "a", 0x30)},
	{"options missing", V5, MalformedPacket, packetOf(0x82, id1, none, "a")},
	{"second options missing", V311, MalformedPacket, packetOf(0x82, id1, "a", 0, "b")},
	{"Subscription Identifier 0 in SUBSCRIBE", V5, MalformedPacket, packetOf(0x82, id1, props("\x0b\x00"), "a", 0)},
	{"Subscription Identifier twice", V5, ProtocolError, packetOf(0x82, id1, props("\x0b\x01\x0b\x02"), "a", 0)},
	{"MQTT-3.10.3-2", V5, MalformedPacket, packetOf(0xa2, id1, none)},
	{"MQTT-3.10.3-2", V311, MalformedPacket, packetOf(0xa2, id1)},
	{"MQTT-3.9.3-2", V5, ProtocolError, packetOf(0x90, id1, none, 3)},
	{"MQTT-3.9.3-2", V311, MalformedPacket, packetOf(0x90, id1, 3)},
	{"MQTT-3.9.3-2/later code", V311, MalformedPacket, packetOf(0x90, id1, 0x87)},
	{"MQTT-3.11.3-2", V5, ProtocolError, packetOf(0xb0, id1, none, 1)},
	{"no code", V5, MalformedPacket, packetOf(0x90, id1, none)},

	// the rest
	{"MQTT-3.2.2-1", V5, MalformedPacket, packetOf(0x20, 2, 0, none)},
	{"MQTT-3.2.2-8", V5, ProtocolError, packetOf(0x20, 0, 0x8e, none)},
	{"return code 6", V311, ProtocolError, packetOf(0x20, 0, 6)},
	{"MQTT-3.14.2-1", V5, ProtocolError, packetOf(0xe0, 1)},
	{"MQTT-3.15.2-1", V5, ProtocolError, packetOf(0xf0, 4)},
	{"AUTH in 3.1.1", V311, ProtocolError, packetOf(0xf0)},
	{"body of PINGREQ", V311, MalformedPacket, packetOf(0xc0, 0)},
	{"body of an older DISCONNECT", V311, MalformedPacket, packetOf(0xe0, 0)},
	{"packet type 0", V5, ProtocolError, packetOf(0x00)},
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range bad {
		t.Run(c.name+"/v"+c.v.String(), func(t *testing.T) {
			first, body := wire(t, c.packet)
			_, err := Decode(c.v, first, body)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("% x: error %v is not an *Error", c.packet, err)
			}
			clause, _, _ := strings.Cut(c.name, "/")
			if !strings.HasPrefix(clause, "MQTT-") {
				clause = ""
			}
			if e.Code != c.code || e.Clause != clause {
				t.Errorf("% x: %v: code 0x%02x clause %q; want 0x%02x, %q", c.packet, e, byte(e.Code), e.Clause, byte(c.code), clause)
			}
			if strings.Contains(e.Text, "%!") {
				t.Errorf("badly formatted: %s", e.Text)
			}
		})
	}
}

// TestDecodeShort cuts good packets off at every byte: none may panic, and what is accepted must be a packet whose end may be
// left out (reason code and properties).
func TestDecodeShort(t *testing.T) {
	for _, v := range []Version{V31, V311, V5} {
		for _, p := range every(v) {
			b := p.Append(nil, v)
			first, body := wire(t, b)
			for n := range body {
				got, err := Decode(v, first, body[:n:n])
				switch p.(type) {
				case *Ack, *Disconnect, *Auth, *Subscribe, *Unsubscribe, *Suback, *Unsuback, *Publish:
				case *Connect:
					if err == nil && v != V31 {
						t.Errorf("MQTT %s: CONNECT of %d bytes was accepted with %d: %+v", v, len(body), n, got)
					}
				default:
					if err == nil {
						t.Errorf("MQTT %s: %T of %d bytes was accepted with %d", v, p, len(body), n)
					}
				}
			}
		}
	}
}

func TestConnectAnswersInPeersVersion(t *testing.T) {
	for _, c := range []struct {
		name   string
		packet []byte
		want   Version
	}{
		{"level 6", packetOf(0x10, "MQTT", 6, 2, id1, none, "c"), 6},
		{"level 4 of the old name", packetOf(0x10, "MQIsdp", 4, 2, id1, "c"), 4},
		{"reserved flag", packetOf(0x10, "MQTT", 5, 3, id1, none, "c"), V5},
		{"empty client id", packetOf(0x10, "MQTT", 4, 0, id1, ""), V311},
	} {
		first, body := wire(t, c.packet)
		p, err := Decode(0, first, body)
		if err == nil {
			t.Fatalf("%s: no error", c.name)
		}
		if got := p.(*Connect).Version; got != c.want {
			t.Errorf("%s: version %d, want %d", c.name, got, c.want)
		}
	}
}

func TestHeader(t *testing.T) {
	for _, c := range []struct {
		in              string
		head, remaining int
		bad             bool
	}{
		{"", 0, 0, false},
		{"\x30", 0, 0, false},
		{"\x30\x00", 2, 0, false},
		{"\x30\x7f", 2, 127, false},
		{"\x30\x80", 0, 0, false},
		{"\x30\x80\x01", 3, 128, false},
		{"\x30\xff\x7f", 3, 16383, false},
		{"\x30\x80\x80\x01", 4, 16384, false},
		{"\x30\xff\xff\xff\x7f", 5, MaxRemaining, false},
		{"\x30\x85\x00", 3, 5, false}, // padded
		{"\x30\xff\xff\xff\xff", 0, 0, true},
		{"\x30\xff\xff\xff\x80\x01", 0, 0, true},
	} {
		head, remaining, err := Header([]byte(c.in))
		if head != c.head || remaining != c.remaining && head != 0 || (err != nil) != c.bad {
			t.Errorf("Header(% x) = %d, %d, %v; want %d, %d, error %v", c.in, head, remaining, err, c.head, c.remaining, c.bad)
		}
	}
}

// MQTT-1.5.5-1: what is written takes the fewest bytes.
func TestVarintFewestBytes(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 16383, 16384, 2097151, 2097152, MaxRemaining} {
		b := AppendVarint(nil, n)
		if got, k := varint(b); got != n || k != len(b) || k != SizeVarint(n) {
			t.Errorf("%d: % x decodes to %d of %d bytes, SizeVarint %d", n, b, got, k, SizeVarint(n))
		}
	}
}
