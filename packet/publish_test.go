package packet

import (
	"bytes"
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

func TestPublishAllocatesNothing(t *testing.T) {
	props := (&Properties{ContentType: "text/plain", PayloadFormat: 1, MessageExpiry: 60, TopicAlias: 3,
		User: []UserProperty{{"key", "välue"}}}).Set(ContentType).Set(PayloadFormatIndicator).Set(MessageExpiryInterval).
		Set(TopicAlias).Set(UserProperties)
	for _, v := range []Version{V31, V311, V5} {
		p := Publish{QoS: 1, ID: 7, Topic: []byte("sensors/kitchen/温度"), Payload: []byte("21.5"), Props: props.AppendRaw(nil)}
		b := p.Append(nil, v)
		dst := make([]byte, 0, 2*len(b))
		var got Publish
		n := testing.AllocsPerRun(100, func() {
			head, _, err := Header(b)
			if err != nil {
				t.Fatal(err)
			}
			if err := got.Decode(v, b[0], b[head:]); err != nil {
				t.Fatal(err)
			}
			dst = got.Append(dst[:0], v)
			dst = AppendForward(dst, got.Props)
		})
		if n != 0 {
			t.Errorf("MQTT %s: %v allocations", v, n)
		}
		if !bytes.HasPrefix(dst, b) {
			t.Errorf("MQTT %s: decoded and encoded again:\n% x\n% x", v, b, dst)
		}
	}
}
