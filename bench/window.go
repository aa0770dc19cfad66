package bench

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"picket/packet"
)

// window holds the packet identifiers of one publisher at QoS 1 or 2 and follows the handshakes. It is safe for two
// goroutines: one that sends, one that reads acknowledgements.
type window struct {
	mu      sync.Mutex
	qos     byte
	state   []byte          // by identifier: idle, published or released
	free    []uint16        // a ring of identifiers that may be used
	head    int             // of the ring
	n       int             // how many are free
	refused uint64          // negative acknowledgements
	done    uint64          // handshakes completed
	due     []time.Duration // by identifier: when its message was due
	last    uint16          // whose handshake was completed last; 0: none since sample was called
	freed   chan struct{}
}

const (
	idle byte = iota
	published
	released
)

func newWindow(size int, qos byte) *window {
	w := &window{qos: qos, state: make([]byte, size+1), due: make([]time.Duration, size+1), free: make([]uint16, size), n: size, freed: make(chan struct{}, 1)}
	for i := range w.free {
		w.free[i] = uint16(i + 1)
	}
	return w
}

// available is how many more messages may be in flight, and how many are.
func (w *window) available() (free, inFlight int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n, len(w.free) - w.n
}

// take moves up to len(ids) identifiers from the window to ids and returns how many.
func (w *window) take(ids []uint16) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(ids), w.n)
	for i := range n {
		id := w.free[w.head]
		ids[i] = id
		w.state[id] = published
		if w.head++; w.head == len(w.free) {
			w.head = 0
		}
	}
	w.n -= n
	return n
}

// sent notes when messages were due, the first of them and each following one interval later.
func (w *window) sent(ids []uint16, due, interval time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		w.due[id] = due
		due += interval
	}
}

// sample is when the message was due whose handshake was completed last; false if there was none since the last call.
func (w *window) sample() (due time.Duration, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	due, ok = w.due[w.last], w.last != 0
	w.last = 0
	return due, ok
}

// absorb takes the acknowledgements at the start of b and appends the PUBREL packets that they ask for to dst. other is
// called with packets of other kinds. It returns how many bytes it took.
func (w *window) absorb(dst, b []byte, other func(first byte, body []byte) error) (taken int, out []byte, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.n
	at := 0
	for at < len(b) {
		head, remaining, err := fixedHeader(b[at:])
		if err != nil {
			return at, dst, fmt.Errorf("bench: from the broker: %w", err)
		}
		if head == 0 || len(b)-at < head+remaining {
			break
		}
		first, body := b[at], b[at+head:at+head+remaining]
		at += head + remaining
		switch kind := packet.Type(first >> 4); kind {
		case packet.PUBACK, packet.PUBREC, packet.PUBCOMP:
			if dst, err = w.acknowledge(dst, kind, body); err != nil {
				return at, dst, err
			}
		default:
			if err := other(first, body); err != nil {
				return at, dst, err
			}
		}
	}
	if w.n > before {
		select {
		case w.freed <- struct{}{}:
		default:
		}
	}
	return at, dst, nil
}

func (w *window) acknowledge(dst []byte, kind packet.Type, body []byte) ([]byte, error) {
	if len(body) < 2 {
		return dst, fmt.Errorf("bench: the broker sent an acknowledgement of %d bytes", len(body))
	}
	id := binary.BigEndian.Uint16(body)
	if int(id) >= len(w.state) {
		return dst, fmt.Errorf("bench: the broker acknowledged packet identifier %d, which was never used", id)
	}
	refused := len(body) > 2 && body[2] >= 0x80
	want := published
	if kind == packet.PUBCOMP {
		want = released
	}
	if (kind == packet.PUBACK) != (w.qos == 1) || w.state[id] != want {
		return dst, fmt.Errorf("bench: the broker sent packet type %d for identifier %d out of turn", kind, id)
	}
	if refused {
		w.refused++
	}
	if kind == packet.PUBREC && !refused {
		w.state[id] = released
		return append(dst, byte(packet.PUBREL)<<4|2, 2, body[0], body[1]), nil
	}
	w.state[id] = idle
	tail := w.head + w.n
	if tail >= len(w.free) {
		tail -= len(w.free)
	}
	w.free[tail] = id
	w.n++
	w.done++
	w.last = id
	return dst, nil
}
