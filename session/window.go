package session

// MaxWindow is the largest number of messages in flight: every packet identifier but 0.
const MaxWindow = 65535

// PacketID is the packet identifier of a sequence number: the first message has 1, and 1 follows 65535.
func PacketID(seq uint64) uint16 { return uint16((seq-1)%MaxWindow + 1) }

// state is how far the handshake for one message is.
type state byte

const (
	free     state = iota // acknowledged, or a number that no message in flight has
	wantAck               // PUBLISH QoS 1 sent
	wantRec               // PUBLISH QoS 2 sent
	wantComp              // PUBREL sent
)

// window is what is in flight: a ring of states over consecutive sequence numbers. Packet identifiers follow from sequence numbers, and
// the window never spans more than [MaxWindow] of them, so an identifier belongs to one number at most (MQTT-2.2.1-4).
type window struct {
	ring     []state    // its length is a power of two, or 0
	bodies   []Delivery // parallel to ring, when bodies are kept
	head     int        // place of the oldest number in ring
	first    uint64     // the oldest number
	span     int        // places in use, free ones between others included
	inflight int        // places that are not free
	bytes    int        // payload bytes in flight, when bodies are kept
}

// reach is how many places there would be between the oldest number and seq, both included.
func (w *window) reach(seq uint64) int {
	if w.span == 0 {
		return 1
	}
	return int(seq - w.first + 1)
}

// open makes room for n numbers from seq on, which is beyond all others in the window, and returns the place of the first.
func (w *window) open(seq uint64, n int) int {
	if w.span == 0 {
		w.first = seq
	}
	at := int(seq - w.first)
	w.grow(at + n)
	w.span = at + n
	w.inflight += n
	return at
}

func (w *window) set(at int, s state) { w.ring[(w.head+at)&(len(w.ring)-1)] = s }

func (w *window) grow(n int) {
	if n <= len(w.ring) {
		return
	}
	size := max(16, len(w.ring))
	for size < n {
		size *= 2
	}
	ring := make([]state, size)
	for i := range w.span {
		ring[i] = w.ring[(w.head+i)&(len(w.ring)-1)]
	}
	if w.bodies != nil {
		bodies := make([]Delivery, size)
		for i := range w.span {
			bodies[i] = w.bodies[(w.head+i)&(len(w.ring)-1)]
		}
		w.bodies = bodies
	}
	w.ring, w.head = ring, 0
}

// keep stores the body at a place.
func (w *window) keep(at int, d Delivery) {
	if w.bodies == nil {
		w.bodies = make([]Delivery, len(w.ring))
	}
	w.bodies[(w.head+at)&(len(w.ring)-1)] = d
	w.bytes += len(d.Message.Payload)
}

// find returns the place in ring, the sequence number and the state of a packet identifier.
func (w *window) find(id uint16) (at int, seq uint64, s state) {
	if id == 0 || w.span == 0 {
		return 0, 0, free
	}
	n := int(id) - int(PacketID(w.first))
	if n < 0 {
		n += MaxWindow
	}
	if n >= w.span {
		return 0, 0, free
	}
	at = (w.head + n) & (len(w.ring) - 1)
	return at, w.first + uint64(n), w.ring[at]
}

// forget lets go of the body at a place in ring.
func (w *window) forget(at int) {
	if w.bodies != nil && w.bodies[at].Message != nil {
		w.bytes -= len(w.bodies[at].Message.Payload)
		w.bodies[at] = Delivery{}
	}
}

// finish frees a place in ring and moves the window on.
func (w *window) finish(at int) {
	w.forget(at)
	w.ring[at] = free
	w.inflight--
	mask := len(w.ring) - 1
	for w.span > 0 && w.ring[w.head] == free {
		w.head = (w.head + 1) & mask
		w.span--
		w.first++
	}
	if w.span == 0 && len(w.ring) > 256 {
		w.clear() // an idle client owns no large window
	}
}

func (w *window) clear() { *w = window{} }

// each calls f for every number in flight, oldest first, with its state and its place in ring.
func (w *window) each(f func(seq uint64, s state, at int)) {
	for i := range w.span {
		at := (w.head + i) & (len(w.ring) - 1)
		if w.ring[at] != free {
			f(w.first+uint64(i), w.ring[at], at)
		}
	}
}
