package bench

import (
	"bytes"
	"testing"

	"picket/packet"
)

func ack(kind packet.Type, id uint16, code packet.Code) []byte {
	return (&packet.Ack{Kind: kind, ID: id, Code: code}).Append(nil, packet.V5)
}

func none(t *testing.T) func(byte, []byte) error {
	return func(first byte, _ []byte) error {
		t.Errorf("packet type %d", first>>4)
		return nil
	}
}

func TestWindowQoS1(t *testing.T) {
	w := newWindow(3, 1)
	ids := make([]uint16, 10)
	if n := w.take(ids); n != 3 {
		t.Fatalf("took %d identifiers of 3", n)
	}
	if n := w.take(ids[3:]); n != 0 {
		t.Fatalf("took %d identifiers of a window that is full", n)
	}
	// Two acknowledgements in any order, one of them a refusal, and half of a third.
	in := append(ack(packet.PUBACK, ids[2], 0), ack(packet.PUBACK, ids[0], packet.QuotaExceeded)...)
	whole := len(in)
	in = append(in, ack(packet.PUBACK, ids[1], 0)[:3]...)
	taken, out, err := w.absorb(nil, in, none(t))
	if taken != whole || len(out) != 0 || err != nil {
		t.Fatalf("took %d of %d, answers %x: %v", taken, whole, out, err)
	}
	if free, inFlight := w.available(); free != 2 || inFlight != 1 || w.done != 2 || w.refused != 1 {
		t.Fatalf("%d free, %d in flight, %d done, %d refused", free, inFlight, w.done, w.refused)
	}
	select {
	case <-w.freed:
	default:
		t.Fatal("nobody was told")
	}
	again := make([]uint16, 5)
	if n := w.take(again); n != 2 || again[0] != ids[2] || again[1] != ids[0] {
		t.Fatalf("took %v, want %d and %d", again[:n], ids[2], ids[0])
	}
}

func TestWindowQoS2(t *testing.T) {
	w := newWindow(2, 2)
	ids := make([]uint16, 2)
	w.take(ids)
	in := append(ack(packet.PUBREC, ids[0], 0), ack(packet.PUBREC, ids[1], packet.NotAuthorized)...)
	_, out, err := w.absorb(nil, in, none(t))
	if err != nil {
		t.Fatal(err)
	}
	// A refusal ends the handshake (MQTT-4.3.3-5): no PUBREL, and the identifier is free.
	if want := (&packet.Ack{Kind: packet.PUBREL, ID: ids[0]}).Append(nil, packet.V311); !bytes.Equal(out, want) {
		t.Fatalf("answers %x, want %x", out, want)
	}
	if free, inFlight := w.available(); free != 1 || inFlight != 1 {
		t.Fatalf("%d free, %d in flight after PUBREC", free, inFlight)
	}
	if _, out, err = w.absorb(nil, ack(packet.PUBCOMP, ids[0], 0), none(t)); err != nil || len(out) != 0 {
		t.Fatalf("answers %x: %v", out, err)
	}
	if free, inFlight := w.available(); free != 2 || inFlight != 0 || w.done != 2 {
		t.Fatalf("%d free, %d in flight, %d done after PUBCOMP", free, inFlight, w.done)
	}
}

func TestWindowRefusesWhatIsOutOfTurn(t *testing.T) {
	for name, c := range map[string]struct {
		qos byte
		in  []byte
	}{
		"unknown identifier":        {1, ack(packet.PUBACK, 500, 0)},
		"identifier 0":              {1, ack(packet.PUBACK, 0, 0)},
		"twice":                     {1, append(ack(packet.PUBACK, 1, 0), ack(packet.PUBACK, 1, 0)...)},
		"PUBREC at QoS 1":           {1, ack(packet.PUBREC, 1, 0)},
		"PUBACK at QoS 2":           {2, ack(packet.PUBACK, 1, 0)},
		"PUBCOMP before PUBREC":     {2, ack(packet.PUBCOMP, 1, 0)},
		"PUBREC twice":              {2, append(ack(packet.PUBREC, 1, 0), ack(packet.PUBREC, 1, 0)...)},
		"without an identifier":     {1, []byte{0x40, 1, 0}},
		"malformed remaining bytes": {1, []byte{0x40, 0xff, 0xff, 0xff, 0xff, 1}},
	} {
		w := newWindow(4, c.qos)
		w.take(make([]uint16, 2))
		if _, _, err := w.absorb(nil, c.in, none(t)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestWindowPassesOnOtherPackets(t *testing.T) {
	w := newWindow(1, 1)
	var seen []byte
	_, _, err := w.absorb(nil, []byte{0xd0, 0, 0xe0, 1, 0x8b}, func(first byte, body []byte) error {
		seen = append(append(seen, first), body...)
		return nil
	})
	if err != nil || !bytes.Equal(seen, []byte{0xd0, 0xe0, 0x8b}) {
		t.Fatalf("saw %x: %v", seen, err)
	}
}
