package bench

import (
	"encoding/binary"
	"fmt"

	"picket/packet"
)

// scanner counts the packets of a stream by their fixed headers. It is given what has arrived and takes what it can:
// of a PUBLISH that is still arriving it wants to see only the beginning, so large payloads are never moved.
type scanner struct {
	messages uint64 // PUBLISH packets that are complete
	skip     int    // bytes still to come of a PUBLISH that has begun
	acks     []byte // answers to what was scanned; the caller writes and empties it

	// sample is called for PUBLISH packets: the first of each call of scan, or all with every. b holds the packet as far as
	// it has arrived, at least head bytes, where the payload begins.
	sample func(b []byte, head, total int) error
	every  bool

	// other is called with each packet that is neither PUBLISH nor PUBREL.
	other func(first byte, body []byte) error

	version packet.Version
}

// fixedHeader reads a fixed header; head is 0 when it has not arrived as a whole.
func fixedHeader(b []byte) (head, remaining int, err error) {
	if len(b) >= 2 && b[1] < 0x80 {
		return 2, int(b[1]), nil
	}
	return packet.Header(b)
}

// scan takes packets from b and returns how many bytes it took. What is left is an incomplete beginning of a packet and
// is to be presented again with what follows it. want is how many bytes that packet's beginning needs, 0 if unknown.
func (s *scanner) scan(b []byte) (taken, want int, err error) {
	at := 0
	if s.skip > 0 {
		n := min(s.skip, len(b))
		s.skip -= n
		if s.skip > 0 {
			return n, 0, nil
		}
		s.messages++
		at = n
	}
	sampled := false
	for at < len(b) {
		head, remaining, err := fixedHeader(b[at:])
		if err != nil {
			return at, 0, fmt.Errorf("bench: from the broker: %w", err)
		}
		if head == 0 {
			return at, 0, nil
		}
		first, total, rest := b[at], head+remaining, b[at:]
		if first>>4 != byte(packet.PUBLISH) {
			if len(rest) < total {
				return at, total, nil
			}
			if err := s.control(first, rest[head:total]); err != nil {
				return at, 0, err
			}
			at += total
			continue
		}
		if len(rest) < total || !sampled || s.every || first&0x06 != 0 {
			var payload int
			payload, want, err = s.begin(rest[:min(len(rest), total)], first, head, total)
			if err != nil || want > 0 {
				return at, want, err
			}
			if !sampled || s.every {
				sampled = true
				if err := s.sample(rest[:min(len(rest), total)], payload, total); err != nil {
					return at, 0, err
				}
			}
			if len(rest) < total {
				s.skip = total - len(rest)
				return len(b), 0, nil
			}
		}
		s.messages++
		at += total
	}
	return at, 0, nil
}

// begin looks at the beginning of a PUBLISH, appends the acknowledgement that its QoS asks for and returns where its
// payload begins; or how many bytes it wants to see.
func (s *scanner) begin(b []byte, first byte, head, total int) (payload, want int, err error) {
	need := head + 2
	if len(b) < need {
		return 0, min(need, total), short(total, need)
	}
	need += int(binary.BigEndian.Uint16(b[head:]))
	idAt := need
	qos := first >> 1 & 3
	if qos > 0 {
		need += 2
	}
	if s.version == packet.V5 {
		if len(b) < min(need+4, total) {
			return 0, min(need+4, total), short(total, need+1)
		}
		n, width := varint(b[min(need, len(b)):])
		if width == 0 {
			return 0, 0, fmt.Errorf("bench: the broker sent a PUBLISH with a malformed property length")
		}
		need += width + n
	}
	// The stamp is wanted with the rest; a payload that is shorter ends before it.
	if len(b) < min(need+StampSize, total) {
		return 0, min(need+StampSize, total), short(total, need)
	}
	if need > total {
		return 0, 0, short(total, need)
	}
	switch qos {
	case 1:
		s.acks = append(s.acks, byte(packet.PUBACK)<<4, 2, b[idAt], b[idAt+1])
	case 2:
		s.acks = append(s.acks, byte(packet.PUBREC)<<4, 2, b[idAt], b[idAt+1])
	}
	return need, 0, nil
}

func short(total, need int) error {
	if total < need {
		return fmt.Errorf("bench: the broker sent a PUBLISH of %d bytes that needs %d at least", total, need)
	}
	return nil
}

// varint reads a variable byte integer; width is 0 if there is none.
func varint(b []byte) (n, width int) {
	for i := 0; i < len(b) && i < 4; i++ {
		n |= int(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return n, i + 1
		}
	}
	return 0, 0
}

func (s *scanner) control(first byte, body []byte) error {
	switch packet.Type(first >> 4) {
	case packet.PUBREL:
		if len(body) < 2 {
			return fmt.Errorf("bench: the broker sent a PUBREL of %d bytes", len(body))
		}
		s.acks = append(s.acks, byte(packet.PUBCOMP)<<4, 2, body[0], body[1])
		return nil
	default:
		return s.other(first, body)
	}
}
