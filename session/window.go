package session

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

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

// maxLate is how many messages may be left behind by those that came after them. A client that leaves more unacknowledged for good has lost
// their acknowledgements, and gets nothing more.
const maxLate = 1024

// window is what is in flight: a ring of states over consecutive sequence numbers, and, beside it, those messages that were not acknowledged while
// a whole round of packet identifiers was given out after them. Packet identifiers follow from sequence numbers; the ring never spans more than [MaxWindow] of
// them, and no number is given out whose identifier one of the late ones has, so an identifier belongs to one number at most (MQTT-2.2.1-4).
type window struct {
	ring   []state    // its length is a power of two, or 0
	bodies []Delivery // parallel to ring, when bodies are kept
	head   int        // place of the oldest number in ring
	first  uint64     // the oldest number in ring
	span   int        // places in use, free ones between others included
	used   int        // places that are not free
	late   map[uint16]entry
	bytes  int // payload bytes in flight, when bodies are kept
}

// entry is one message in flight.
type entry struct {
	seq   uint64
	state state
	body  Delivery // without a message where bodies are not kept
}

// inflight is how many messages are in flight.
func (w *window) inflight() int { return w.used + len(w.late) }

// reach is how many places there would be in the ring between the oldest number and seq, both included.
func (w *window) reach(seq uint64) int {
	if w.span == 0 {
		return 1
	}
	return int(seq - w.first + 1)
}

// admits tells whether a number, beyond all others, may be in flight, and has those leave the ring that are too far behind it.
func (w *window) admits(seq uint64) bool {
	for w.reach(seq) > MaxWindow {
		if len(w.late) >= maxLate {
			return false
		}
		w.leave()
	}
	return w.late[PacketID(seq)].state == free
}

// space is how many consecutive numbers from seq on, which is admitted, may be in flight.
func (w *window) space(seq uint64) int {
	n := MaxWindow + 1 - w.reach(seq)
	if len(w.late) > 0 {
		for k := range n {
			if w.late[PacketID(seq+uint64(k))].state != free {
				return k
			}
			if k == maxLate {
				return k // enough for once, and a bound for this search
			}
		}
	}
	return n
}

// leave moves the oldest message from the ring to those that are late.
func (w *window) leave() {
	if w.late == nil {
		w.late = make(map[uint16]entry)
	}
	e := w.at(0)
	w.late[PacketID(e.seq)] = e
	if w.bodies != nil {
		w.bodies[w.head] = Delivery{}
	}
	w.ring[w.head] = free
	w.vacated(1)
}

// at is the message at a place, counted from the oldest.
func (w *window) at(i int) entry {
	at := (w.head + i) & (len(w.ring) - 1)
	e := entry{seq: w.first + uint64(i), state: w.ring[at]}
	if w.bodies != nil {
		e.body = w.bodies[at]
	}
	return e
}

// oldest is the lowest number in flight, if there is any.
func (w *window) oldest() uint64 {
	lowest := w.first
	if w.span == 0 {
		lowest = math.MaxUint64
	}
	for _, e := range w.late {
		lowest = min(lowest, e.seq)
	}
	return lowest
}

// open takes n numbers from seq on, which is beyond all others in the window, into it, and returns the place of the first.
func (w *window) open(seq uint64, n int, s state) int {
	if w.span == 0 {
		w.first = seq
	}
	at := int(seq - w.first)
	w.grow(at + n)
	w.span = at + n
	w.used += n
	at += w.head
	w.mark(at, n, s)
	return at & (len(w.ring) - 1)
}

// mark sets the state of n places in ring.
func (w *window) mark(at, n int, s state) {
	ring, mask := w.ring, len(w.ring)-1
	for i := at; i < at+n; i++ {
		ring[i&mask] = s
	}
}

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
	w.bodies[at] = d
	w.bytes += len(d.Message.Payload)
}

// place returns where in ring a packet identifier is, or -1.
func (w *window) place(id uint16) int {
	if id == 0 || w.span == 0 {
		return -1
	}
	n := int(id) - int(PacketID(w.first))
	if n < 0 {
		n += MaxWindow
	}
	if n >= w.span {
		return -1
	}
	return (w.head + n) & (len(w.ring) - 1)
}

// find returns where a packet identifier is in ring, -1 for elsewhere, and its sequence number and state.
func (w *window) find(id uint16) (at int, seq uint64, s state) {
	if at = w.place(id); at >= 0 && w.ring[at] != free {
		return at, w.first + uint64((at-w.head)&(len(w.ring)-1)), w.ring[at]
	}
	e := w.late[id]
	return -1, e.seq, e.state
}

// series returns how many of ids, the first of which was found at a place, are those of messages that stand one behind the other in ring and in the same state: 1 at
// least. A series does not go beyond the identifier 65535.
func (w *window) series(ids []uint16, at int) int {
	if at < 0 {
		return 1
	}
	mask := len(w.ring) - 1
	n, most := 1, min(len(ids), w.span-(at-w.head)&mask, MaxWindow+1-int(ids[0]))
	for n < most && ids[n] == ids[0]+uint16(n) && w.ring[(at+n)&mask] == w.ring[at] {
		n++
	}
	return n
}

// release notes that PUBREC has come for a series of n identifiers in flight, the first of which was found at a place: their bodies are not needed any more.
func (w *window) release(id uint16, at, n int) {
	if at >= 0 {
		w.become(at, n, wantComp)
		return
	}
	e := w.late[id]
	w.bytes -= e.body.size()
	w.late[id] = entry{seq: e.seq, state: wantComp}
}

// become sets the state of n places in ring and lets go of their bodies.
func (w *window) become(at, n int, s state) {
	w.mark(at, n, s)
	if w.bodies == nil {
		return
	}
	for i := at; i < at+n; i++ {
		body := &w.bodies[i&(len(w.ring)-1)]
		w.bytes -= body.size()
		*body = Delivery{}
	}
}

// finish ends the handshakes of a series of n identifiers in flight, the first of which was found at a place, and moves the window on.
func (w *window) finish(id uint16, at, n int) {
	if at >= 0 {
		w.become(at, n, free)
		w.vacated(n)
		return
	}
	e := w.late[id]
	w.bytes -= e.body.size()
	if delete(w.late, id); len(w.late) == 0 {
		w.late = nil
	}
}

// vacated takes note that n places in ring have become free, and moves the ring on.
func (w *window) vacated(n int) {
	w.used -= n
	mask := len(w.ring) - 1
	for w.span > 0 && w.ring[w.head] == free {
		w.head = (w.head + 1) & mask
		w.span--
		w.first++
	}
	if w.span == 0 && len(w.ring) > 256 {
		*w = window{late: w.late, bytes: w.bytes} // an idle client owns no large window
	}
}

func (w *window) clear() { *w = window{} }

// each calls f for every message in flight, oldest first.
func (w *window) each(f func(seq uint64, e entry)) {
	late := slices.Collect(maps.Values(w.late))
	slices.SortFunc(late, func(a, b entry) int { return cmp.Compare(a.seq, b.seq) })
	for _, e := range late {
		f(e.seq, e)
	}
	for i := range w.span {
		if e := w.at(i); e.state != free {
			f(e.seq, e)
		}
	}
}
