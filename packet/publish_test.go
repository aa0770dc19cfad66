package packet

import (
	"bytes"
	"slices"
	"testing"
)

// wire splits an encoded packet into its first byte and its body.
func wire(t testing.TB, b []byte) (first byte, body []byte) {
	t.Helper()
	head, remaining, err := Header(b)
	if err != nil || head == 0 || head+remaining != len(b) {
		t.Fatalf("Header(% x) = %d, %d, %v for %d bytes", b, head, remaining, err, len(b))
	}
	return b[0], b[head:]
}

// samplePublish is a PUBLISH with the properties that senders use.
func samplePublish(v Version) []byte {
	p := Publish{QoS: 1, ID: 7, Topic: []byte("sensors/kitchen/温度"), Payload: []byte("21.5")}
	if v == V5 {
		p.Props = (&Properties{ContentType: "text/plain", PayloadFormat: 1, MessageExpiry: 60, TopicAlias: 3,
			User: []UserProperty{{"key", "välue"}}}).Set(ContentType).Set(PayloadFormatIndicator).Set(MessageExpiryInterval).
			Set(TopicAlias).Set(UserProperties).AppendRaw(nil)
	}
	return p.Append(nil, v)
}

func TestPublishAllocatesNothing(t *testing.T) {
	for _, v := range []Version{V31, V311, V5} {
		b := samplePublish(v)
		dst := make([]byte, 0, 3*len(b))
		var p Publish
		n := testing.AllocsPerRun(100, func() {
			head, _, err := Header(b)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Decode(v, b[0], b[head:]); err != nil {
				t.Fatal(err)
			}
			dst = p.Append(dst[:0], v)
			dst = AppendForward(dst, p.Props)
		})
		if n != 0 {
			t.Errorf("MQTT %s: %v allocations", v, n)
		}
		if !bytes.HasPrefix(dst, b) {
			t.Errorf("MQTT %s: decoded and encoded again:\n% x\n% x", v, b, dst)
		}
	}
}

func TestAckAllocatesNothingWritten(t *testing.T) {
	dst := make([]byte, 0, 64)
	ack := &Ack{Kind: PUBREL, ID: 9}
	suback := &Suback{ID: 1, Codes: []Code{GrantedQoS1}}
	if n := testing.AllocsPerRun(100, func() {
		dst = suback.Append(ack.Append(dst[:0], V5), V5)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestDecodedFields checks what a server reads off a PUBLISH.
func TestDecodedFields(t *testing.T) {
	b := samplePublish(V5)
	first, body := wire(t, b)
	var p Publish
	if err := p.Decode(V5, first, body); err != nil {
		t.Fatal(err)
	}
	if p.Alias != 3 || !p.HasExpiry || p.Expiry != 60 || !p.PayloadUTF8 || p.Verbatim || (p.SubscriptionIDs > 0) || p.ID != 7 {
		t.Errorf("%+v", p)
	}
	props, err := p.Properties()
	if err != nil || props.ContentType != "text/plain" || props.User[0].Value != "välue" || props.Has(ResponseTopic) {
		t.Errorf("%+v, %v", props, err)
	}
	first, body = wire(t, packetOf(0x31, "a", textProperty(ContentType, "x"), raw("payload")))
	if err := p.Decode(V5, first, body); err != nil || !p.Verbatim || !p.Retain || string(p.Payload) != "payload" {
		t.Errorf("%+v, %v", p, err)
	}
}

func textProperty(id PropertyID, s string) props {
	return props(textPropertyBytes(id, s))
}

func textPropertyBytes(id PropertyID, s string) []byte { return appendString([]byte{byte(id)}, s) }

// TestPayloadFormatInvalid: the packet is complete, so that it can be acknowledged.
func TestPayloadFormatInvalid(t *testing.T) {
	first, body := wire(t, packetOf(0x32, "a/b", uint16(9), props("\x01\x01"), raw("\xff")))
	var p Publish
	err := p.Decode(V5, first, body)
	if e, ok := err.(*Error); !ok || e.Code != PayloadFormatInvalid || p.ID != 9 || string(p.Topic) != "a/b" || p.PayloadUTF8 {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestAppendedProperties: what a server says anew for each receiver can be read again.
func TestAppendedProperties(t *testing.T) {
	raw := AppendForward(nil, textPropertyBytes(ContentType, "x"))
	raw = AppendTopicAlias(AppendSubscriptionID(AppendSubscriptionID(AppendExpiry(raw, 60), 1), 300), 7)
	first, body := wire(t, (&Publish{Topic: []byte("a"), Props: raw}).Append(nil, V5))
	var p Publish
	if err := p.Decode(V5, first, body); err != nil {
		t.Fatal(err)
	}
	if p.Alias != 7 || p.Expiry != 60 || !p.HasExpiry || !(p.SubscriptionIDs > 0) || p.Verbatim {
		t.Errorf("%+v", p)
	}
	props, err := p.Properties()
	if err != nil || !slices.Equal(props.SubscriptionIDs, []uint32{1, 300}) || props.ContentType != "x" {
		t.Errorf("%+v, %v", props, err)
	}
}

// TestTopicTooLong: a topic that grew beyond a string's length, say by a bridge's prefix, does not spoil the packet.
func TestTopicTooLong(t *testing.T) {
	first, body := wire(t, (&Publish{Topic: bytes.Repeat([]byte("x"), MaxString+1), Payload: []byte("y")}).Append(nil, V311))
	var p Publish
	if err := p.Decode(V311, first, body); err != nil || len(p.Topic) != MaxString || string(p.Payload) != "y" {
		t.Errorf("topic of %d bytes, payload %q, %v", len(p.Topic), p.Payload, err)
	}
}

func BenchmarkPublishDecode(b *testing.B) {
	for _, v := range []Version{V311, V5} {
		b.Run(v.String(), func(b *testing.B) {
			in := samplePublish(v)
			var p Publish
			b.ReportAllocs()
			for b.Loop() {
				head, _, _ := Header(in)
				if err := p.Decode(v, in[0], in[head:]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPublishAppend(b *testing.B) {
	for _, v := range []Version{V311, V5} {
		b.Run(v.String(), func(b *testing.B) {
			in := samplePublish(v)
			var p Publish
			if err := p.Decode(v, in[0], in[2:]); err != nil {
				b.Fatal(err)
			}
			dst := make([]byte, 0, 256)
			b.ReportAllocs()
			for b.Loop() {
				dst = p.Append(dst[:0], v)
			}
		})
	}
}

func BenchmarkAppendForward(b *testing.B) {
	in := samplePublish(V5)
	var p Publish
	if err := p.Decode(V5, in[0], in[2:]); err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendForward(dst[:0], p.Props)
	}
}

func BenchmarkCheckName(b *testing.B) {
	for _, s := range []string{"a/b", "devices/ab12cd34/sensors/temperature", "haus/küche/temperatur"} {
		b.Run(s, func(b *testing.B) {
			t := []byte(s)
			b.ReportAllocs()
			for b.Loop() {
				if checkName(t) != textOK {
					b.Fatal(s)
				}
			}
		})
	}
}
