package bench

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"picket/packet"
)

// A payload of at least StampSize bytes begins with
//
//	8 bytes  when the message was due, in nanoseconds since the run began
//	4 bytes  the publisher's number
//	4 bytes  the message's number of that publisher, from 0, which wraps around
//
// The rest is filled by fill. All numbers are little-endian.

// batchBytes is how much a publisher writes at a time when it can: enough for the system call not to count, little
// enough to stay in the processor's cache.
const batchBytes = 128 << 10

// fill is byte i of a payload behind the stamp.
func fill(i int) byte { return 'a' + byte(i%26) }

var filler = func() []byte {
	b := make([]byte, 26*1024)
	for i := range b {
		b[i] = fill(i)
	}
	return b
}()

// batch is a row of encoded PUBLISH packets of equal length ("slots"), one publisher's topics in turn. Packet
// identifiers and stamps are patched in place before a part of it is written.
type batch struct {
	buf       []byte
	size      int // bytes of a slot
	slots     int
	idAt      int // offset of the packet identifier in a slot; 0 at QoS 0
	payloadAt int
	stamped   bool
	publisher uint32
	sequence  uint32
	next      int // the slot to send next
}

// newBatch encodes the packets of one publisher.
func newBatch(c *Config, run string, publisher int) (*batch, error) {
	payload := make([]byte, c.Size)
	for i := range payload {
		payload[i] = fill(i)
	}
	encode := func(dst []byte, n int) []byte {
		p := packet.Publish{QoS: c.QoS, Retain: c.Scenario == Retained, Topic: []byte(topicName(c, run, publisher, n)), ID: 1, Payload: payload}
		return p.Append(dst, c.Version)
	}
	size := len(encode(nil, 0))
	slots := max(1, batchBytes/size)
	slots = (slots + c.Topics - 1) / c.Topics * c.Topics
	if slots*size > maxBatch {
		return nil, fmt.Errorf("%w: %d topics of %d bytes need %d MiB for each publisher: use fewer topics or a smaller size", ErrConfig, c.Topics, c.Size, slots*size>>20)
	}
	b := &batch{
		buf: make([]byte, 0, slots*size), size: size, slots: slots,
		payloadAt: size - c.Size, stamped: c.Size >= StampSize, publisher: uint32(publisher),
	}
	for i := range slots {
		b.buf = encode(b.buf, i%c.Topics)
	}
	if len(b.buf) != slots*size {
		return nil, fmt.Errorf("bench: packets of one publisher differ in length: %d bytes for %d slots of %d", len(b.buf), slots, size)
	}
	if c.QoS > 0 {
		b.idAt = b.payloadAt - 2
		if c.Version == packet.V5 {
			b.idAt-- // an empty list of properties, one byte, stands between
		}
	}
	return b, nil
}

// topicName is topic n of a publisher. All topics of a run have the same length.
func topicName(c *Config, run string, publisher, n int) string {
	return fmt.Sprintf("%s/%0*d/%0*d", run, digits(c.Publishers), publisher, digits(c.Topics), n)
}

func digits(n int) int { return len(fmt.Sprint(max(n-1, 0))) }

// take returns the next at most n packets as one piece. The caller patches and writes them before it takes more.
func (b *batch) take(n int) []byte {
	n = min(n, b.slots-b.next)
	at := b.next * b.size
	b.next += n
	if b.next == b.slots {
		b.next = 0
	}
	return b.buf[at : at+n*b.size]
}

// stamp writes due time and number into each packet of p, which take returned. interval is the time between two messages.
func (b *batch) stamp(p []byte, due, interval time.Duration) {
	if !b.stamped {
		b.sequence += uint32(len(p) / b.size)
		return
	}
	for at := b.payloadAt; at < len(p); at += b.size {
		s := p[at : at+StampSize : at+StampSize]
		binary.LittleEndian.PutUint64(s, uint64(due))
		binary.LittleEndian.PutUint64(s[8:], uint64(b.publisher)|uint64(b.sequence)<<32)
		b.sequence++
		due += interval
	}
}

// identify writes packet identifiers into p.
func (b *batch) identify(p []byte, ids []uint16) {
	at := b.idAt
	for _, id := range ids {
		binary.BigEndian.PutUint16(p[at:], id)
		at += b.size
	}
}

// stamp is what a payload carries.
type stamp struct {
	due       time.Duration
	publisher uint32
	sequence  uint32
}

// readStamp reads a payload of at least StampSize bytes.
func readStamp(payload []byte) stamp {
	return stamp{
		due:       time.Duration(binary.LittleEndian.Uint64(payload)),
		publisher: binary.LittleEndian.Uint32(payload[8:]),
		sequence:  binary.LittleEndian.Uint32(payload[12:]),
	}
}

// checkPayload compares what has arrived of a payload with what was sent. from is where a payload's part begins.
func checkPayload(part []byte, from int) error {
	for len(part) > 0 {
		n := min(len(part), len(filler)/2)
		if want := filler[from%26 : from%26+n]; !bytes.Equal(part[:n], want) {
			for i := range n {
				if part[i] != want[i] {
					return fmt.Errorf("bench: byte %d of a payload is %#02x, sent was %#02x", from+i, part[i], want[i])
				}
			}
		}
		part, from = part[n:], from+n
	}
	return nil
}
