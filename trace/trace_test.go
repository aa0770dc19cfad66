package trace

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"picket/cause"
	"picket/packet"
)

func eventOf(p packet.Packet, v packet.Version) *Event {
	data := p.Append(nil, v)
	return &Event{Kind: Packet, At: 1e18, Data: data, Size: len(data), Payload: -1,
		Peer: &Peer{Number: 1, Remote: netip.MustParseAddrPort("[::ffff:10.0.0.7]:5000"), Local: netip.MustParseAddrPort("10.0.0.1:1883"), Transport: "tcp", Client: "lamp\x1b", Version: v}}
}

// Text of strangers does what it says at no terminal, and properties, codes and filters are named as the specification does.
func TestText(t *testing.T) {
	connack := &packet.Connack{Code: packet.NotAuthorized, Props: new(packet.Properties).Set(packet.ReasonString)}
	connack.Props.ReasonString = "why\x1b[2J"
	refused := eventOf(connack, packet.V5)
	refused.Out, refused.Cause = true, cause.BadCredentials
	for want, e := range map[string]*Event{
		`← CONNACK Not authorized, session present false {Reason String "why\x1b[2J"}`: refused,
		`→ SUBSCRIBE m7 "a/#" q1`: eventOf(&packet.Subscribe{ID: 7, Filters: []packet.Subscription{{Filter: "a/#", QoS: 1}}}, packet.V311),
		`→ DISCONNECT`:            eventOf(&packet.Disconnect{}, packet.V31),
		`→ PUBACK m3`:             eventOf(&packet.Ack{Kind: packet.PUBACK, ID: 3}, packet.V5),
	} {
		for _, lang := range []cause.Lang{cause.English, cause.Chinese} {
			line := string(Text(e, lang))
			if !strings.Contains(line, want) || strings.Contains(line, "\x1b") {
				t.Errorf("got %q, want %s", line, want)
			}
		}
	}
	if text := string(Text(refused, cause.Chinese)); !strings.Contains(text, "["+string(cause.BadCredentials)+"]") || !strings.Contains(text, "处理办法：") {
		t.Errorf("the refusal is not explained: %s", text)
	}
	if text := string(Text(&Event{Kind: Lost, Lost: 12}, cause.English)); !strings.Contains(text, "12 events are missing") {
		t.Error(text)
	}
}

// A payload that is cut within a character is text still, and one that is no text is base64.
func TestJSON(t *testing.T) {
	for payload, want := range map[string]string{"温度": `"payload":"温"`, "\xff\xfe\xfd\xfc\xfb": `"payload_base64":"//79/A=="`} {
		e := eventOf(&packet.Publish{Topic: []byte("t"), Payload: []byte(payload)}, packet.V5)
		e.Data, e.Payload, e.Topic = e.Data[:len(e.Data)-len(payload)+4], len(payload), "t"
		line, err := JSON(e, cause.English)
		if err != nil || !json.Valid(line) || !strings.Contains(string(line), want) || !strings.Contains(string(line), `"cut":true`) {
			t.Errorf("%q: %s, %v", payload, line, err)
		}
	}
}

// Whatever a packet is, it can be shown in every form, and a capture's blocks are as long as they say.
func FuzzForms(f *testing.F) {
	f.Add([]byte{0x10, 0}, byte(5), true, false)
	f.Add((&packet.Publish{Topic: []byte("a"), Payload: []byte("x")}).Append(nil, packet.V311), byte(4), false, true)
	f.Add([]byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1}, byte(0), false, false)
	f.Fuzz(func(t *testing.T, data []byte, version byte, out, hidden bool) {
		if len(data) == 0 {
			return // there is a fixed header always
		}
		for _, kind := range []Kind{Packet, Note, End, Lost} {
			e := &Event{Kind: kind, Data: data, Size: len(data), Payload: -1, Out: out, Hidden: hidden, Text: string(data), Topic: string(data), Cause: cause.BadCredentials,
				Peer: &Peer{Client: string(data), Version: packet.Version(version)}}
			if line, err := JSON(e, cause.Chinese); err != nil || !json.Valid(line) {
				t.Errorf("%s: %v", line, err)
			}
			if text := Text(e, cause.English); strings.ContainsRune(string(text), 0x1b) {
				t.Errorf("%q", text)
			}
			for rest := NewCapture(cause.Chinese).Append(nil, e); len(rest) > 0; {
				n := order.Uint32(rest[4:])
				if n%4 != 0 || order.Uint32(rest[n-4:]) != n {
					t.Fatalf("a block of %d bytes", n)
				}
				rest = rest[n:]
			}
		}
	})
}
