package packet

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// all is a set of properties with every one that may stand in a packet of type t.
func all(t Type) *Properties {
	p := &Properties{
		PayloadFormat: 1, MessageExpiry: 0xfffefdfc, ContentType: "text/plain", ResponseTopic: "r/t",
		CorrelationData: []byte{0, 0xff}, SessionExpiry: 0xffffffff, AssignedClientID: "auto-1",
		ServerKeepAlive: 65535, AuthMethod: "SCRAM-SHA-256", AuthData: []byte{}, RequestProblem: 1, WillDelay: 5,
		RequestResponse: 1, ResponseInfo: "info", ServerReference: "other:1883", ReasonString: strings.Repeat("why ", 50),
		ReceiveMaximum: 20, TopicAliasMaximum: 10, TopicAlias: 0x1234, MaximumQoS: 1, RetainAvailable: 1,
		MaximumPacketSize: 1 << 20, WildcardAvailable: 1, SubscriptionIDAvailable: 1, SharedAvailable: 1,
		SubscriptionIDs: []uint32{MaxRemaining},
		User:            []UserProperty{{"b", "2"}, {"a", "1"}, {"b", ""}},
	}
	if t == PUBLISH {
		p.SubscriptionIDs = []uint32{1, 200, 1}
	}
	kept := &Properties{}
	for id := PropertyID(1); id < 64; id++ {
		if known[id].kind != kindNone && known[id].in&(1<<t) != 0 {
			kept.Set(id)
			switch id {
			case SubscriptionIdentifier:
				kept.SubscriptionIDs = p.SubscriptionIDs
			case UserProperties:
				kept.User = p.User
			default:
				reflect.ValueOf(kept.field(id)).Elem().Set(reflect.ValueOf(p.field(id)).Elem())
			}
		}
	}
	return kept
}

// every is one or more packets of each type that version v has.
func every(v Version) []Packet {
	with := func(t Type) *Properties {
		if v == V5 {
			return all(t)
		}
		return nil
	}
	w := &Will{Topic: "will/t", Payload: []byte("gone"), QoS: 2, Retain: true, Props: with(will)}
	if v == V5 {
		w.RawProps = appendWithout(nil, w.Props.AppendRaw(nil), 1<<WillDelayInterval)
	}
	publish := &Publish{Topic: []byte("a/b"), Payload: []byte("payload"), QoS: 2, ID: 0xfffe, Dup: true, Retain: true, Verbatim: true}
	ps := []Packet{
		&Connect{Version: v, ClientID: "c", CleanStart: true},
		&Connect{Version: v, Bridge: true, KeepAlive: 60, ClientID: strings.Repeat("x", 65535), Props: with(CONNECT), Will: w,
			HasUsername: true, Username: "ü", HasPassword: true, Password: []byte{0, 1, 2}},
		&Connack{},
		&Connack{SessionPresent: v != V31, Props: with(CONNACK)},
		&Connack{Code: NotAuthorized},
		publish,
		&Publish{Topic: []byte("a"), Payload: []byte{}, Verbatim: true},
		&Subscribe{ID: 1, Props: with(SUBSCRIBE), Filters: []Subscription{{Filter: "a/#", QoS: 2}, {Filter: "$share/g/+", QoS: 1}}},
		&Suback{ID: 2, Props: with(SUBACK), Codes: []Code{GrantedQoS0, GrantedQoS2, UnspecifiedError}},
		&Unsubscribe{ID: 3, Props: with(UNSUBSCRIBE), Filters: []string{"a", "b/+"}},
		&Unsuback{ID: 4, Props: with(UNSUBACK)},
		Pingreq{}, Pingresp{},
		&Disconnect{},
	}
	for _, t := range []Type{PUBACK, PUBREC, PUBREL, PUBCOMP} {
		ps = append(ps, &Ack{Kind: t, ID: 0x1234})
	}
	if v != V5 {
		return ps
	}
	publish.Props = all(PUBLISH).AppendRaw(nil)
	publish.Alias, publish.Expiry, publish.HasExpiry = 0x1234, 0xfffefdfc, true
	publish.SubscriptionIDs, publish.Verbatim, publish.PayloadUTF8 = 3, false, true
	ps[10].(*Unsuback).Codes = []Code{Success, NoSubscriptionExisted}
	for _, t := range []Type{PUBACK, PUBREC, PUBREL, PUBCOMP} {
		code := UnspecifiedError
		if t == PUBREL || t == PUBCOMP {
			code = PacketIdentifierNotFound
		}
		ps = append(ps, &Ack{Kind: t, ID: 5, Code: code}, &Ack{Kind: t, ID: 6, Props: all(t)})
	}
	return append(ps,
		&Connack{Code: ServerBusy, Props: all(CONNACK)},
		&Subscribe{ID: 1, Filters: []Subscription{{Filter: "a", QoS: 1, NoLocal: true, RetainAsPublished: true, RetainHandling: 2}}},
		&Disconnect{Code: DisconnectWithWill},
		&Disconnect{Code: ServerMoved, Props: all(DISCONNECT)},
		&Auth{}, &Auth{Code: Reauthenticate, Props: all(AUTH)})
}

func TestRoundTrip(t *testing.T) {
	for _, v := range []Version{V31, V311, V5} {
		for _, want := range every(v) {
			b := want.Append(nil, v)
			first, body := wire(t, b)
			if Type(first>>4) != want.Type() {
				t.Errorf("MQTT %s: %T is written with type %v", v, want, Type(first>>4))
			}
			got, err := Decode(v, first, body)
			if err != nil {
				t.Errorf("MQTT %s: %T: % x: %v", v, want, b[:min(len(b), 64)], err)
				continue
			}
			if !reflect.DeepEqual(plain(got), plain(want)) {
				t.Errorf("MQTT %s: %T\n got %+v\nwant %+v", v, want, got, want)
			}
			clear(body)
			if again, b := got.Append(nil, v), want.Append(nil, v); !bytes.Equal(again, b) {
				t.Errorf("MQTT %s: %T shares memory with what it was decoded from", v, want)
			}
		}
	}
}

// plain makes nil and empty slices of a PUBLISH the same, for comparison.
func plain(p Packet) Packet {
	if p, ok := p.(*Publish); ok {
		c := *p
		c.Props, c.Payload = append([]byte{}, c.Props...), append([]byte{}, c.Payload...)
		return &c
	}
	return p
}

func TestReturn3(t *testing.T) {
	want := map[Code]byte{Success: 0, UnsupportedProtocolVersion: 1, ClientIdentifierNotValid: 2, ServerUnavailable: 3,
		BadUserNameOrPassword: 4, NotAuthorized: 5, ServerBusy: 3, QuotaExceeded: 3, Banned: 5, BadAuthenticationMethod: 5}
	for c, n := range want {
		if got := c.Return3(); got != n {
			t.Errorf("%v: %d, want %d", c, got, n)
		}
	}
	for b := byte(0); b < 6; b++ {
		c, ok := FromReturn3(b)
		if !ok || c.Return3() != b {
			t.Errorf("return code %d is %v, %v, and that %d", b, c, ok, c.Return3())
		}
	}
	if _, ok := FromReturn3(6); ok {
		t.Error("return code 6 is reserved")
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{NotAuthorized.String(), "Not authorized"},
		{Code(0x7f).String(), "reason code 0x7f"},
		{PUBREL.String(), "PUBREL"},
		{Type(16).String(), "type 16"},
		{V31.String(), "3.1"},
		{Version(9).String(), "level 9"},
		{TopicAlias.String(), "Topic Alias"},
		{PropertyID(4).String(), "unknown property"},
		{PropertyID(200).String(), "unknown property"},
		{(&Error{Clause: "MQTT-3.3.1-4", Text: "text"}).Error(), "text [MQTT-3.3.1-4]"},
		{(&Error{Text: "text"}).Error(), "text"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestValidText(t *testing.T) {
	for s, want := range map[string]bool{"": true, "ü": true, strings.Repeat("x", MaxString): true,
		strings.Repeat("x", MaxString+1): false, "\xff": false, "a\x00": false} {
		if got := ValidText(s); got != want {
			t.Errorf("ValidText(%.10q) = %v", s, got)
		}
	}
}

func TestSubackBefore5(t *testing.T) {
	b := (&Suback{ID: 1, Codes: []Code{GrantedQoS1, NotAuthorized}}).Append(nil, V311)
	if want := []byte{0x90, 4, 0, 1, 1, 0x80}; !bytes.Equal(b, want) {
		t.Errorf("% x, want % x", b, want)
	}
}

// TestConnackOrder has the bytes that mosquitto sends for the same properties.
func TestConnackOrder(t *testing.T) {
	p := (&Properties{TopicAliasMaximum: 10, AssignedClientID: "auto-1", ReceiveMaximum: 20, ServerKeepAlive: 60,
		MaximumPacketSize: 40, RetainAvailable: 0, MaximumQoS: 1}).Set(TopicAliasMaximum).Set(AssignedClientIdentifier).
		Set(ReceiveMaximum).Set(ServerKeepAlive).Set(MaximumPacketSize).Set(RetainAvailable).Set(MaximumQoS)
	b := (&Connack{Props: p}).Append(nil, V5)
	want := packetOf(0x20, 0, 0, props("\x13\x00\x3c\x22\x00\x0a\x12\x00\x06auto-1\x25\x00\x27\x00\x00\x00\x28\x21\x00\x14\x24\x01"))
	if !bytes.Equal(b, want) {
		t.Errorf("\n% x, want\n% x", b, want)
	}
}

func TestLongStringsAreCutAtACharacter(t *testing.T) {
	for _, s := range []string{strings.Repeat("x", MaxString+1), strings.Repeat("é", MaxString), strings.Repeat("x", MaxString-2) + "温温"} {
		b := appendString(nil, s)
		r := reader{b: b, v: V5}
		got := r.text("string")
		if r.err != nil || len(r.b) != 0 || !strings.HasPrefix(s, string(got)) || len(got) < MaxString-3 {
			t.Errorf("%d bytes of a string of %d, error %v, %d bytes left", len(got), len(s), r.err, len(r.b))
		}
	}
}

// The quirks of MQTT 3.1 that mosquitto lets pass.
func TestMQTT31Quirks(t *testing.T) {
	for name, b := range map[string][]byte{
		"user name flag without user name": packetOf(0x10, "MQIsdp", 3, 0xc2, id1, "c"),
		"unused flags of CONNECT":          packetOf(0x19, "MQIsdp", 3, 0x23, id1, "c"),
		"long client id":                   packetOf(0x10, "MQIsdp", 3, 2, id1, strings.Repeat("x", 24)),
		"SUBSCRIBE sent again":             packetOf(0x8a, id1, "a", 1),
		"PUBLISH QoS 0 with DUP":           packetOf(0x38, "a"),
	} {
		first, body := wire(t, b)
		p, err := Decode(V31, first, body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		switch p := p.(type) {
		case *Connect:
			if p.Version != V31 || p.HasUsername || p.HasPassword || p.Will != nil {
				t.Errorf("%s: %+v", name, p)
			}
		case *Publish:
			if p.Dup {
				t.Errorf("%s: DUP is set", name)
			}
		}
	}
}

func TestAppendForward(t *testing.T) {
	p := all(PUBLISH)
	got := AppendForward(nil, p.AppendRaw(nil))
	for _, id := range []PropertyID{TopicAlias, MessageExpiryInterval, SubscriptionIdentifier} {
		p.Unset(id)
	}
	if want := p.AppendRaw(nil); !bytes.Equal(got, want) {
		t.Errorf("\n% x, want\n% x", got, want)
	}
}

func TestPublishSize(t *testing.T) {
	for _, v := range []Version{V311, V5} {
		for _, n := range []int{0, 100, 130, 20000, 3 << 20} {
			for qos := byte(0); qos < 3; qos++ {
				p := Publish{QoS: qos, Topic: []byte("topic"), ID: 1, Payload: make([]byte, n), Props: bytes.Repeat([]byte{1, 1}, min(n, 400))}
				if got, want := PublishSize(v, 5, len(p.Props), n, qos), len(p.Append(nil, v)); got != want {
					t.Errorf("MQTT %s, QoS %d, payload of %d: %d, want %d", v, qos, n, got, want)
				}
			}
		}
	}
}
