package bench

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"picket/packet"
)

// collector is a scanner and what it has reported.
type collector struct {
	scanner
	samples [][]byte // payloads, as far as they had arrived
	totals  []int    // lengths of the whole payloads
	others  int
}

func newCollector(v packet.Version, every bool) *collector {
	c := &collector{}
	c.scanner = scanner{
		version: v, every: every,
		sample: func(b []byte, head, total int) error {
			c.samples = append(c.samples, bytes.Clone(b[head:]))
			c.totals = append(c.totals, total-head)
			return nil
		},
		other: func(byte, []byte) error { c.others++; return nil },
	}
	return c
}

// TestScanCountsInPieces cuts a stream into pieces at any place: the counts, the answers and the samples stay the same.
func TestScanCountsInPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom([]packet.Version{packet.V31, packet.V311, packet.V5}).Draw(t, "version")
		var stream, acks []byte
		var payloads [][]byte
		others := 0
		for i := range rapid.IntRange(1, 30).Draw(t, "packets") {
			id := uint16(i + 1)
			switch rapid.IntRange(0, 9).Draw(t, "kind") {
			case 0:
				stream = (&packet.Ack{Kind: packet.PUBREL, ID: id}).Append(stream, v)
				acks = (&packet.Ack{Kind: packet.PUBCOMP, ID: id}).Append(acks, v)
			case 1:
				stream = append(stream, byte(packet.PINGRESP)<<4, 0)
				others++
			default:
				p := packet.Publish{
					QoS: rapid.ByteRange(0, 2).Draw(t, "qos"), Topic: []byte("a/b"), ID: id,
					Payload: bytes.Repeat([]byte{byte(i)}, rapid.SampledFrom([]int{0, 1, 15, 16, 17, 100, 127, 5000, 20_000}).Draw(t, "size")),
				}
				if v == packet.V5 && rapid.Bool().Draw(t, "properties") {
					p.Props = (&packet.Properties{ContentType: strings.Repeat("x", 200)}).Set(packet.ContentType).AppendRaw(nil)
				}
				stream = p.Append(stream, v)
				payloads = append(payloads, p.Payload)
				switch p.QoS {
				case 1:
					acks = (&packet.Ack{Kind: packet.PUBACK, ID: id}).Append(acks, v)
				case 2:
					acks = (&packet.Ack{Kind: packet.PUBREC, ID: id}).Append(acks, v)
				}
			}
		}

		c := newCollector(v, true)
		var held []byte
		for len(stream) > 0 {
			n := rapid.IntRange(1, min(len(stream), 9000)).Draw(t, "piece")
			held, stream = append(held, stream[:n]...), stream[n:]
			taken, _, err := c.scan(held)
			if err != nil {
				t.Fatal(err)
			}
			held = held[taken:]
			if len(held) > 1000 && c.skip == 0 {
				t.Fatalf("%d bytes are held back", len(held))
			}
		}
		if len(held) > 0 || c.skip > 0 {
			t.Fatalf("%d bytes are left, %d to skip", len(held), c.skip)
		}
		if int(c.messages) != len(payloads) || c.others != others {
			t.Fatalf("%d messages and %d others, want %d and %d", c.messages, c.others, len(payloads), others)
		}
		if !bytes.Equal(c.acks, acks) {
			t.Fatalf("answers\n%x, want\n%x", c.acks, acks)
		}
		if len(c.samples) != len(payloads) {
			t.Fatalf("%d samples of %d messages", len(c.samples), len(payloads))
		}
		for i, want := range payloads {
			if c.totals[i] != len(want) || !bytes.HasPrefix(want, c.samples[i]) || len(c.samples[i]) < min(StampSize, len(want)) {
				t.Fatalf("sample %d: %d of %d bytes", i, len(c.samples[i]), c.totals[i])
			}
		}
	})
}

func TestScanSamplesOncePerRead(t *testing.T) {
	p := packet.Publish{Topic: []byte("a"), Payload: make([]byte, 32)}
	var stream []byte
	for range 100 {
		stream = p.Append(stream, packet.V311)
	}
	c := newCollector(packet.V311, false)
	for range 3 {
		if taken, _, err := c.scan(stream); taken != len(stream) || err != nil {
			t.Fatalf("took %d of %d: %v", taken, len(stream), err)
		}
	}
	if c.messages != 300 || len(c.samples) != 3 {
		t.Fatalf("%d messages, %d samples, want 300 and 3", c.messages, len(c.samples))
	}
}

func TestScanAsksForALongBeginning(t *testing.T) {
	p := packet.Publish{QoS: 1, ID: 9, Topic: bytes.Repeat([]byte{'t'}, 60_000), Payload: make([]byte, 100)}
	stream := p.Append(nil, packet.V311)
	c := newCollector(packet.V311, false)
	taken, want, err := c.scan(stream[:1000])
	if taken != 0 || err != nil || want < 60_000 || want > len(stream) {
		t.Fatalf("took %d, wants %d: %v", taken, want, err)
	}
	if taken, _, err = c.scan(stream[:want]); taken != want || err != nil {
		t.Fatalf("took %d of %d: %v", taken, want, err)
	}
}

func TestScanRefusesGarbage(t *testing.T) {
	for name, stream := range map[string][]byte{
		"length of five bytes":           {0x30, 0xff, 0xff, 0xff, 0xff, 0xff},
		"topic longer than the packet":   {0x30, 4, 0xff, 0xff, 'a', 'b'},
		"no room for the topic's length": {0x30, 1, 0, 0},
		"no room for the identifier":     {0x32, 4, 0, 2, 'a', 'b', 0, 0},
		"PUBREL without an identifier":   {0x62, 1, 0},
	} {
		c := newCollector(packet.V311, false)
		if _, want, err := c.scan(stream); err == nil {
			t.Errorf("%s: no error, wants %d", name, want)
		}
	}
	c := newCollector(packet.V5, false)
	if _, want, err := c.scan([]byte{0x30, 5, 0, 2, 'a', 'b', 0x80}); err == nil {
		t.Errorf("property length that is cut off: no error, wants %d", want)
	}
	refusal := errors.New("refused")
	c.other = func(byte, []byte) error { return refusal }
	if _, _, err := c.scan([]byte{0xe0, 0}); !errors.Is(err, refusal) {
		t.Errorf("DISCONNECT: %v", err)
	}
}

// The hot path of a subscriber allocates nothing.
func BenchmarkScan(b *testing.B) {
	p := packet.Publish{Topic: []byte("bench-12345678/0/0"), Payload: make([]byte, 64)}
	var stream []byte
	for len(stream) < 200<<10 {
		stream = p.Append(stream, packet.V311)
	}
	s := scanner{version: packet.V311, sample: func([]byte, int, int) error { return nil }}
	b.ReportAllocs()
	b.SetBytes(int64(len(stream)))
	for b.Loop() {
		if _, _, err := s.scan(stream); err != nil {
			b.Fatal(err)
		}
	}
}
