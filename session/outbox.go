package session

// MaxWindow is the largest number of messages in flight: every packet identifier but 0.
const MaxWindow = 65535

// Verdict is what became of a delivery that was offered to an [Outbox].
type Verdict byte

// Verdicts of [Outbox.Offer].
const (
	Send       Verdict = iota // to be sent now, with the packet identifier returned
	Queued                    // waits for the window or the connection
	QueueFull                 // dropped: MaxMessages are waiting
	BytesFull                 // dropped: MaxBytes are waiting
	BudgetFull                // dropped: all queues together are at their limit
)

// Limits bound an [Outbox]; 0 means none.
type Limits struct {
	Window      int // messages in flight, at most [MaxWindow]
	WindowBytes int // payload bytes in flight
	Messages    int // messages waiting
	Bytes       int // payload bytes waiting
}

// state of a packet identifier in the window.
type state byte

const (
	free     state = iota // acknowledged, or never used
	wantAck               // PUBLISH QoS 1 sent
	wantRec               // PUBLISH QoS 2 sent
	wantComp              // PUBREL sent
)

// Outbox is the sending half of a session: the window of messages in flight and the queue of those that wait.
//
// Packet identifiers are given out in order, so the window is a ring: the entry of identifier id lies id-first places after
// the first. A session that ends with its connection keeps no bodies in the window, because nobody could ask for them again;
// one that survives keeps them until they are acknowledged (MQTT-4.4.0-1).
type Outbox struct {
	Limits Limits
	Keep   bool // the session survives its connection: bodies in flight are kept
	budget *Budget

	ring     []state    // length is a power of two, or 0
	bodies   []Delivery // parallel to ring when bodies are kept
	head     int        // place of the oldest identifier in ring
	span     int        // places in use, acknowledged ones between others included
	first    uint16     // identifier at head; 0 before the first use
	inflight int        // places that are not free
	bytes    int        // payload bytes in flight, when WindowBytes is set or bodies are kept

	queue      []Delivery // ring
	queueHead  int
	queueLen   int
	queueBytes int
}

// NewOutbox returns an empty outbox whose queue counts against budget.
func NewOutbox(l Limits, keep bool, budget *Budget) Outbox {
	return Outbox{Limits: l, Keep: keep, budget: budget}
}

// Inflight is the number of messages sent and not fully acknowledged.
func (o *Outbox) Inflight() int { return o.inflight }

// Waiting is the number of messages that wait to be sent.
func (o *Outbox) Waiting() int { return o.queueLen }

// WaitingBytes is the number of payload bytes that wait to be sent.
func (o *Outbox) WaitingBytes() int { return o.queueBytes }

func (o *Outbox) window() int {
	if o.Limits.Window <= 0 || o.Limits.Window > MaxWindow {
		return MaxWindow
	}
	return o.Limits.Window
}

// Room is how many more messages may be sent now without waiting. Messages that wait go first, so there is none while the queue is not empty.
func (o *Outbox) Room() int {
	if o.queueLen > 0 || o.Limits.WindowBytes > 0 && o.bytes >= o.Limits.WindowBytes {
		return 0
	}
	n := o.window() - o.inflight
	if limit := MaxWindow - o.span; n > limit {
		n = limit
	}
	return max(n, 0)
}

// Reserve takes up to n consecutive packet identifiers for messages of one QoS whose bodies are not kept, and returns the first one
// and how many were taken: fewer where the window ends or the identifiers wrap. It must not be called when [Outbox.KeepsBodies].
func (o *Outbox) Reserve(n int, qos byte) (first uint16, taken int) {
	n = min(n, o.Room())
	if n <= 0 {
		return 0, 0
	}
	if o.first == 0 {
		o.first = 1
	}
	first = o.id(o.span)
	n = min(n, MaxWindow-int(first)+1)
	o.grow(o.span + n)
	s := wantAck
	if qos == 2 {
		s = wantRec
	}
	mask := len(o.ring) - 1
	for i := range n {
		o.ring[(o.head+o.span+i)&mask] = s
	}
	o.span += n
	o.inflight += n
	return first, n
}

// KeepsBodies tells whether messages in flight have to be handed over with their bodies, by [Outbox.Offer].
func (o *Outbox) KeepsBodies() bool { return o.Keep || o.Limits.WindowBytes > 0 }

// Offer takes a delivery of QoS 1 or 2, or one of QoS 0 that is to wait. With online it may be sent at once, if the window has room.
func (o *Outbox) Offer(d Delivery, online bool) (id uint16, v Verdict) {
	if online && d.QoS > 0 && o.Room() > 0 {
		return o.start(d), Send
	}
	return 0, o.wait(d)
}

func (o *Outbox) wait(d Delivery) Verdict {
	size := len(d.Message.Payload)
	switch {
	case o.Limits.Messages > 0 && o.queueLen >= o.Limits.Messages:
		return QueueFull
	case o.Limits.Bytes > 0 && o.queueBytes+size > o.Limits.Bytes:
		return BytesFull
	case !o.budget.hold(d.Message):
		return BudgetFull
	}
	if o.queueLen == len(o.queue) {
		bigger := make([]Delivery, max(4, 2*len(o.queue)))
		for i := range o.queueLen {
			bigger[i] = o.queue[(o.queueHead+i)%len(o.queue)]
		}
		o.queue, o.queueHead = bigger, 0
	}
	o.queue[(o.queueHead+o.queueLen)%len(o.queue)] = d
	o.queueLen++
	o.queueBytes += size
	return Queued
}

// start puts a delivery of QoS 1 or 2 into the window and returns its packet identifier.
func (o *Outbox) start(d Delivery) uint16 {
	if o.first == 0 {
		o.first = 1
	}
	id := o.id(o.span)
	o.grow(o.span + 1)
	at := (o.head + o.span) & (len(o.ring) - 1)
	o.ring[at] = wantAck
	if d.QoS == 2 {
		o.ring[at] = wantRec
	}
	o.span++
	o.inflight++
	if o.KeepsBodies() {
		if o.bodies == nil {
			o.bodies = make([]Delivery, len(o.ring))
		}
		o.bodies[at] = d
		o.bytes += len(d.Message.Payload)
	}
	return id
}

// Next takes the next waiting delivery that may be sent now; id is 0 for QoS 0. Messages whose expiry has passed are taken out and
// counted in expired.
func (o *Outbox) Next(now int64) (d Delivery, id uint16, expired int, ok bool) {
	for o.queueLen > 0 {
		d = o.queue[o.queueHead]
		if d.Message.Expired(now) {
			if d.QoS > 0 {
				o.SkipID()
			}
			o.pop()
			expired++
			continue
		}
		if d.QoS > 0 && (o.inflight >= o.window() || o.span >= MaxWindow || o.Limits.WindowBytes > 0 && o.bytes >= o.Limits.WindowBytes) {
			return Delivery{}, 0, expired, false
		}
		o.pop()
		if d.QoS > 0 {
			id = o.start(d)
		}
		return d, id, expired, true
	}
	return Delivery{}, 0, expired, false
}

func (o *Outbox) pop() {
	d := &o.queue[o.queueHead]
	o.queueBytes -= len(d.Message.Payload)
	o.budget.release(d.Message)
	*d = Delivery{}
	o.queueHead = (o.queueHead + 1) % len(o.queue)
	if o.queueLen--; o.queueLen == 0 && len(o.queue) > 64 {
		o.queue, o.queueHead = nil, 0
	}
}

// Match says how an acknowledgement fits what is in flight.
type Match byte

// Matches.
const (
	Fits       Match = iota
	Unknown          // nothing is in flight under the identifier: the acknowledgement came late, or again
	OutOfPlace       // the identifier waits for an acknowledgement of another kind (MQTT-4.3.2-1, MQTT-4.3.3-1)
)

// Ack handles PUBACK, which ends QoS 1.
func (o *Outbox) Ack(id uint16) Match { return o.finish(id, wantAck) }

// Comp handles PUBCOMP, which ends QoS 2 after PUBREL.
func (o *Outbox) Comp(id uint16) Match { return o.finish(id, wantComp) }

// Rec handles PUBREC; where it fits, PUBREL has to be sent, unless it refuses the message: then the handshake is over (MQTT 5.0, 4.3.3). A
// repeated PUBREC fits too.
func (o *Outbox) Rec(id uint16, refused bool) Match {
	at, s := o.find(id)
	switch {
	case s == free:
		return Unknown
	case s == wantAck:
		return OutOfPlace
	case refused:
		return o.finish(id, s)
	}
	o.ring[at] = wantComp
	if o.bodies != nil && o.bodies[at].Message != nil {
		o.bytes -= len(o.bodies[at].Message.Payload)
		o.bodies[at] = Delivery{}
	}
	return Fits
}

// SkipID spends the next packet identifier on a message that is not sent after all, where nothing is in flight. mosquitto gives a message its
// identifier when it queues it, and tests that compare bytes count on that.
func (o *Outbox) SkipID() {
	if o.span == 0 {
		o.first = next(max(o.first, 1))
	}
}

// Refuse takes a message back out of the window that could not be sent, so that its identifier is free again.
func (o *Outbox) Refuse(id uint16) {
	_, s := o.find(id)
	o.finish(id, s)
}

func (o *Outbox) finish(id uint16, want state) Match {
	at, s := o.find(id)
	switch {
	case s == free:
		return Unknown
	case s != want:
		return OutOfPlace
	}
	o.ring[at] = free
	if o.bodies != nil && o.bodies[at].Message != nil {
		o.bytes -= len(o.bodies[at].Message.Payload)
		o.bodies[at] = Delivery{}
	}
	o.inflight--
	mask := len(o.ring) - 1
	for o.span > 0 && o.ring[o.head] == free {
		o.head = (o.head + 1) & mask
		o.span--
		o.first = next(o.first)
	}
	if o.span == 0 && len(o.ring) > 256 && o.queueLen == 0 {
		// An idle client owns no large window; the identifiers go on where they were.
		o.ring, o.bodies, o.head = nil, nil, 0
	}
	return Fits
}

// id is the packet identifier n places after the first: 1 follows 65535.
func (o *Outbox) id(n int) uint16 { return uint16((int(o.first)-1+n)%MaxWindow + 1) }

func next(id uint16) uint16 {
	if id == MaxWindow {
		return 1
	}
	return id + 1
}

func (o *Outbox) find(id uint16) (at int, s state) {
	if id == 0 || o.span == 0 {
		return 0, free
	}
	n := int(id) - int(o.first)
	if n < 0 {
		n += MaxWindow
	}
	if n >= o.span {
		return 0, free
	}
	at = (o.head + n) & (len(o.ring) - 1)
	return at, o.ring[at]
}

func (o *Outbox) grow(n int) {
	if n <= len(o.ring) {
		return
	}
	size := max(16, len(o.ring))
	for size < n {
		size *= 2
	}
	ring := make([]state, size)
	for i := range o.span {
		ring[i] = o.ring[(o.head+i)&(len(o.ring)-1)]
	}
	if o.bodies != nil {
		bodies := make([]Delivery, size)
		for i := range o.span {
			bodies[i] = o.bodies[(o.head+i)&(len(o.ring)-1)]
		}
		o.bodies = bodies
	}
	o.ring, o.head = ring, 0
}

// Resend calls publish for every message in flight, in the order in which they were first sent, with its packet identifier, and release
// for every identifier that waits for PUBCOMP (MQTT-4.4.0-1, MQTT-4.6.0-1). Messages whose bodies were not kept are given up.
func (o *Outbox) Resend(publish func(id uint16, d Delivery), release func(id uint16)) {
	mask := len(o.ring) - 1
	id := o.first
	for i, n := 0, o.span; i < n; i++ {
		at := (o.head + i) & mask
		switch o.ring[at] {
		case wantAck, wantRec:
			if o.bodies != nil && o.bodies[at].Message != nil {
				publish(id, o.bodies[at])
			}
		case wantComp:
			release(id)
		}
		id = next(id)
	}
}

// Clear ends the session's sending half: everything is released.
func (o *Outbox) Clear() {
	for o.queueLen > 0 {
		o.pop()
	}
	*o = Outbox{Limits: o.Limits, Keep: o.Keep, budget: o.budget}
}
