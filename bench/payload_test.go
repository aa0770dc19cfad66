package bench

import (
	"errors"
	"strings"
	"testing"
	"time"

	"picket/packet"
)

func testConfig(t *testing.T, c Config) *Config {
	t.Helper()
	c, err := c.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	return &c
}

// decodePublish decodes the packet at the start of b and returns its length.
func decodePublish(t *testing.T, v packet.Version, b []byte) (packet.Publish, int) {
	t.Helper()
	head, remaining, err := packet.Header(b)
	if err != nil || head == 0 || len(b) < head+remaining {
		t.Fatalf("no whole packet in %x: %v", b[:min(len(b), 40)], err)
	}
	var p packet.Publish
	if err := p.Decode(v, b[0], b[head:head+remaining]); err != nil {
		t.Fatal(err)
	}
	return p, head + remaining
}

func TestBatchHoldsWhatTheBrokerIsToSee(t *testing.T) {
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		for qos := range byte(3) {
			for _, size := range []int{StampSize, 100, 70_000} {
				c := testConfig(t, Config{Version: v, QoS: qos, Size: size, Topics: 12, Publishers: 300})
				b, err := newBatch(c, "run", 7)
				if err != nil {
					t.Fatal(err)
				}
				if b.slots%12 != 0 {
					t.Fatalf("%d slots for 12 topics: the topics would not be used in turn", b.slots)
				}
				// Two takes, so that the second does not begin at the first slot.
				b.stamp(b.take(5), 0, 0)
				piece := b.take(6)
				b.stamp(piece, 90*time.Microsecond, 10*time.Microsecond)
				if qos > 0 {
					b.identify(piece, []uint16{100, 200, 300, 400, 500, 65535})
				}
				for i := range 6 {
					p, n := decodePublish(t, v, piece[i*b.size:])
					if n != b.size {
						t.Fatalf("packet %d is %d bytes long, slots are %d", i, n, b.size)
					}
					if want := topicName(c, "run", 7, 5+i); string(p.Topic) != want {
						t.Errorf("topic %q, want %q", p.Topic, want)
					}
					if p.QoS != qos || len(p.Payload) != size {
						t.Errorf("QoS %d with %d bytes, want %d with %d", p.QoS, len(p.Payload), qos, size)
					}
					if want := []uint16{100, 200, 300, 400, 500, 65535}[i]; qos > 0 && p.ID != want {
						t.Errorf("packet identifier %d, want %d", p.ID, want)
					}
					want := stamp{due: time.Duration(90+10*i) * time.Microsecond, publisher: 7, sequence: uint32(5 + i)}
					if got := readStamp(p.Payload); got != want {
						t.Errorf("stamp %+v, want %+v", got, want)
					}
					if err := checkPayload(p.Payload[StampSize:], StampSize); err != nil {
						t.Error(err)
					}
				}
			}
		}
	}
}

func TestBatchIsTakenInTurn(t *testing.T) {
	b, err := newBatch(testConfig(t, Config{Topics: 10, Size: 60_000}), "run", 0)
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for len(seen) < 25 {
		piece := b.take(4)
		if len(piece) == 0 || len(piece)%b.size != 0 {
			t.Fatalf("took %d bytes of slots of %d", len(piece), b.size)
		}
		for at := 0; at < len(piece); at += b.size {
			p, _ := decodePublish(t, packet.V311, piece[at:])
			seen = append(seen, string(p.Topic))
		}
	}
	for i, topic := range seen {
		if want := topicName(testConfig(t, Config{Topics: 10}), "run", 0, i%10); topic != want {
			t.Fatalf("message %d went to %q, want %q", i, topic, want)
		}
	}
}

func TestBatchTooLarge(t *testing.T) {
	_, err := newBatch(testConfig(t, Config{Topics: 1_000_000, Size: 100_000}), "run", 0)
	if !errors.Is(err, ErrConfig) {
		t.Fatalf("error %v, want one that wraps ErrConfig", err)
	}
}

func TestCheckPayload(t *testing.T) {
	payload := make([]byte, 100_000)
	for i := range payload {
		payload[i] = fill(i)
	}
	if err := checkPayload(payload[37:], 37); err != nil {
		t.Fatal(err)
	}
	payload[90_001] ^= 1
	if err := checkPayload(payload[37:], 37); err == nil || !strings.Contains(err.Error(), "byte 90001 ") {
		t.Fatalf("error %v, want one that names byte 90001", err)
	}
}

// The hot path of a publisher allocates nothing.
func BenchmarkStamp(b *testing.B) {
	c, err := Config{QoS: 1}.withDefaults()
	if err != nil {
		b.Fatal(err)
	}
	batch, err := newBatch(&c, "run", 0)
	if err != nil {
		b.Fatal(err)
	}
	ids := make([]uint16, 1000)
	b.ReportAllocs()
	b.SetBytes(int64(1000 * batch.size))
	for b.Loop() {
		piece := batch.take(1000)
		batch.stamp(piece, 1, 0)
		batch.identify(piece, ids[:len(piece)/batch.size])
	}
}
