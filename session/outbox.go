package session

// Verdict is what became of a delivery that was offered to an [Outbox].
type Verdict byte

// Verdicts of [Outbox.Offer]. From QueueFull on they say why the delivery was dropped.
const (
	Send       Verdict = iota // to be sent now
	Queued                    // waits in memory for the window or the connection
	Away                      // waits in the store only
	QueueFull                 // dropped: Limits.Messages are waiting
	BytesFull                 // dropped: Limits.Bytes are waiting
	BudgetFull                // dropped: all queues together are at their limit
)

// Limits bound an [Outbox]; 0 means none.
type Limits struct {
	Window      int32 // messages in flight, at most [MaxWindow]
	Messages    int32 // messages waiting
	WindowBytes int   // payload bytes in flight
	Bytes       int   // payload bytes waiting
}

// memoryMessages and memoryBytes bound what a stored session holds of its queue in memory: enough to keep a connection busy while more is read.
const (
	memoryMessages = 256
	memoryBytes    = 64 << 10
)

// Outbox is the sending half of a session: the window of messages in flight and the queue of those that wait.
//
// Each message gets the session's next sequence number when it is offered, and its packet identifier follows from that ([PacketID]). So
// identifiers are given out in order, and a message that is sent again on a later connection, or by a broker that was started again,
// has its original one (MQTT-4.4.0-1).
//
// There are three kinds of sessions. One that ends with its connection keeps no bodies in the window, because nobody could ask for them
// again. One that survives keeps them until they are acknowledged. And one that is stored survives too, but has its messages in a store: the
// outbox holds the beginning of its queue while the client is online, and merely counts what lies behind. [Outbox.Rewind] makes
// everything unacknowledged wait again, when a connection has ended.
type Outbox struct {
	Limits Limits
	budget *Budget

	*flow
	last uint64 // the sequence number given out last
	sent uint64 // the highest that has been sent on any connection

	// What waits in the store only, behind all that is in memory.
	away      int
	awayBytes int
	loaded    uint64 // numbers up to this one are not away: they are in memory, or done with
	turn      uint32 // tells a reading of the store from those before it

	Keep   bool // the session survives its connection
	Stored bool // the messages of the session are in a store
	Shared bool // the session is a member of a shared group: what it leaves unacknowledged is for another member
}

// flow is what an outbox has in memory. Most sessions of most brokers have nothing there: they share idle, which nobody writes to, until
// [Outbox.wake] gives them one of their own.
type flow struct {
	win   window
	queue queue
	read  read
}

var idle flow

// wake is called before anything of the flow is written to.
func (o *Outbox) wake() {
	if o.flow == &idle {
		o.flow = &flow{queue: queue{budget: o.budget}}
	}
}

// read is a reading of the store that is under way.
type read struct {
	open       bool
	turn       uint32
	upTo       uint64
	since      int // messages that went away after it began
	sinceBytes int
}

// NewOutbox returns an empty outbox whose queue counts against budget.
func NewOutbox(l Limits, keep bool, budget *Budget) Outbox {
	return Outbox{Limits: l, Keep: keep, budget: budget, flow: &idle}
}

// Kept is what a store knows of the messages of a session.
type Kept struct {
	Messages int    // how many there are, released ones included
	Bytes    int    // of their payloads
	First    uint64 // the lowest sequence number, if there are any
	Last     uint64 // the highest number that has been given out
	Sent     uint64 // the highest number that may have been sent
}

// Restore returns the outbox of a stored session, as the store has it.
func Restore(k Kept, l Limits, budget *Budget) Outbox {
	o := NewOutbox(l, true, budget)
	o.Stored, o.last, o.sent, o.loaded = true, k.Last, k.Sent, k.Last
	if k.Messages > 0 {
		o.away, o.awayBytes, o.loaded = k.Messages, k.Bytes, k.First-1
	}
	return o
}

// Inflight is the number of messages sent and not fully acknowledged.
func (o *Outbox) Inflight() int { return o.win.inflight() }

// Waiting is the number of messages that wait to be sent.
func (o *Outbox) Waiting() int { return o.queue.n + o.away }

// WaitingBytes is the number of payload bytes that wait to be sent.
func (o *Outbox) WaitingBytes() int { return o.queue.bytes + o.awayBytes }

// Away is the number of messages that wait in the store only.
func (o *Outbox) Away() int { return o.away }

// Marks are the sequence number given out last and the highest one that has been sent, for the store to keep ([Kept]).
func (o *Outbox) Marks() (last, sent uint64) { return o.last, o.sent }

func (o *Outbox) window() int {
	if o.Limits.Window <= 0 || o.Limits.Window > MaxWindow {
		return MaxWindow
	}
	return int(o.Limits.Window)
}

// Room is how many more messages may be sent now without waiting, with consecutive numbers. Messages that wait go first, so there is none while any do.
func (o *Outbox) Room() int {
	if o.Waiting() > 0 || !o.open(o.upcoming()) {
		return 0
	}
	return min(o.window()-o.win.inflight(), o.win.space(o.upcoming()))
}

// open tells whether a message with that number may be in flight beside those that are.
func (o *Outbox) open(seq uint64) bool {
	return o.win.inflight() < o.window() && o.win.admits(seq) && (o.Limits.WindowBytes <= 0 || o.win.bytes < o.Limits.WindowBytes)
}

// upcoming is the sequence number for the next message: the one behind the last, or the next one whose packet identifier is free. It is not free where a
// message has not been acknowledged while a whole round of identifiers was given out after it.
func (o *Outbox) upcoming() uint64 {
	seq := o.last + 1
	if o.win.span < MaxWindow && o.win.late == nil && o.win.reach(seq) <= MaxWindow {
		return seq
	}
	// Where few are in flight, their identifiers are passed over. Of many, with so many more waiting that a round of identifiers lies between them, each may
	// just be slow: its identifier may be free when the next one with it is to be sent.
	stuck := o.win.inflight() <= maxLate || o.Waiting()+o.window() < MaxWindow || o.Waiting() == 0 && o.win.inflight() < o.window()
	for range maxLate {
		id := PacketID(seq)
		if o.win.late[id].state == free && (!stuck || o.win.place(id) < 0 || o.win.ring[o.win.place(id)] == free) {
			break
		}
		seq++
	}
	return seq
}

// KeepsBodies tells whether messages in flight have to be handed over with their bodies, by [Outbox.Offer].
func (o *Outbox) KeepsBodies() bool {
	return !o.Stored && (o.Keep || o.Shared) || o.Limits.WindowBytes > 0
}

// Reserve takes up to n consecutive sequence numbers for messages of QoS 1 or 2 that are sent at once and whose bodies are not kept, and returns
// the first one and how many were taken: fewer where the window ends or packet identifiers start again from 1. It must not be called when
// [Outbox.KeepsBodies].
func (o *Outbox) Reserve(n int, qos byte) (first uint64, taken int) {
	n = min(n, o.Room())
	if n <= 0 {
		return 0, 0
	}
	o.wake()
	first = o.upcoming()
	n = min(n, MaxWindow+1-int(PacketID(first)))
	o.win.open(first, n, sentAt(qos))
	o.last = first + uint64(n) - 1
	o.sent, o.loaded = o.last, o.last
	return first, n
}

func sentAt(qos byte) state {
	if qos == 2 {
		return wantRec
	}
	return wantAck
}

// Offer takes a delivery of QoS 1 or 2, or one of QoS 0 that is to wait, and returns it with its sequence number. With online it may be sent
// at once, if the window has room and it is not held. A stored session's messages have to be put into the store unless they are dropped.
func (o *Outbox) Offer(d Delivery, online bool) (Delivery, Verdict) {
	if online && d.QoS > 0 && !d.Held && o.Room() > 0 {
		o.last = o.upcoming()
		d.Seq = o.last
		o.start(d)
		o.loaded = d.Seq
		return d, Send
	}
	o.wake()
	d, v := o.wait(d, online)
	o.queue.balance()
	return d, v
}

// Enqueue takes deliveries that have to wait, of a session that is not stored, and returns how many it has taken. When that is not all of them, the verdict says why the
// next one has to be dropped.
func (o *Outbox) Enqueue(ds []Delivery) (n int, v Verdict) {
	o.wake()
	defer o.queue.balance()
	size := 0
	for i := range ds {
		size += ds[i].Message.Size()
	}
	if o.queue.budget.take(int64(size)) {
		o.queue.credit += int64(size)
	}
	for ; n < len(ds); n++ {
		if _, v := o.wait(ds[n], false); v != Queued {
			return n, v
		}
	}
	return n, Queued
}

// wait has a delivery wait, and gives it its number.
func (o *Outbox) wait(d Delivery, online bool) (Delivery, Verdict) {
	size := d.size()
	if v := o.Takes(size); v != Queued {
		return d, v
	}
	switch {
	case o.Stored && (!online || o.away > 0 || o.crowded() || !o.queue.hold(d.Message)):
		o.last = o.upcoming()
		d.Seq = o.last
		o.away++
		o.awayBytes += size
		o.read.since++
		o.read.sinceBytes += size
		return d, Away
	case !o.Stored && !o.queue.hold(d.Message):
		return d, BudgetFull
	}
	o.last = o.upcoming()
	d.Seq = o.last
	o.loaded = d.Seq
	o.queue.push(d)
	return d, Queued
}

// Takes tells whether the limits let another message with a payload of size bytes wait: Queued if they do.
func (o *Outbox) Takes(size int) Verdict {
	switch {
	case o.Limits.Messages > 0 && o.Waiting() >= int(o.Limits.Messages):
		return QueueFull
	case o.Limits.Bytes > 0 && o.WaitingBytes()+size > o.Limits.Bytes:
		return BytesFull
	}
	return Queued
}

// crowded tells whether the beginning of a stored session's queue that is in memory is as long as it may be. Held messages do not count: they are in
// memory anyway, until the store has them.
func (o *Outbox) crowded() bool {
	n := o.queue.n - o.queue.held
	return n >= memoryMessages || o.queue.bytes-o.queue.heldBytes > memoryBytes
}

// start puts a delivery of QoS 1 or 2 into the window.
func (o *Outbox) start(d Delivery) {
	o.wake()
	at := o.win.open(d.Seq, 1, sentAt(d.QoS))
	o.sent = max(o.sent, d.Seq)
	if o.KeepsBodies() {
		o.win.keep(at, d)
	}
}

// Outcome is what [Outbox.Next] found.
type Outcome byte

// Outcomes.
const (
	Nothing Outcome = iota // nothing waits in memory that may be sent now
	Taken                  // the delivery is to be sent; at QoS 1 and 2 it is in flight
	Expired                // the delivery's time was over before it was first sent, it has been taken out (MQTT-3.3.2-5)
)

// Next takes the next waiting delivery that may be sent at now, in Unix seconds. One that is Released stands for the PUBREL of its number. When there is
// nothing and messages are away, [Outbox.Read] has them brought. When all have been taken that are to be, [Outbox.Balance] has to be called.
func (o *Outbox) Next(now int64) (Delivery, Outcome) {
	if o.queue.n == 0 {
		return Delivery{}, Nothing
	}
	d := *o.queue.at(0)
	switch {
	case d.Held:
		return Delivery{}, Nothing
	case d.Released:
		if !o.open(d.Seq) {
			return Delivery{}, Nothing
		}
		o.queue.pop()
		o.win.open(d.Seq, 1, wantComp)
		return d, Taken
	case d.Message.Expired(now) && !o.begun(&d):
		o.queue.pop()
		return d, Expired
	case d.QoS > 0 && !o.open(d.Seq):
		return Delivery{}, Nothing
	}
	o.queue.pop()
	d.Dup = o.begun(&d)
	if d.QoS > 0 {
		o.start(d)
	}
	return d, Taken
}

// Balance has the budget take note of what [Outbox.Next] has taken.
func (o *Outbox) Balance() { o.queue.balance() }

// begun tells whether the delivery may have been sent before: then it is sent again (MQTT-4.4.0-1) even if it has expired meanwhile, since its expiry
// interval counts until its onward delivery begins (MQTT-3.3.2-5).
func (o *Outbox) begun(d *Delivery) bool { return d.QoS > 0 && o.Begun(d.Seq) }

// Begun tells whether the message of QoS 1 or 2 under a number may have been sent before.
func (o *Outbox) Begun(seq uint64) bool { return seq <= o.sent }

// Unacknowledged returns what the session leaves to others when it ends: its messages of QoS 1 that are not acknowledged, and those of QoS 2 that
// have not been sent. Of the others of QoS 2, nobody else may get them (MQTT-4.8.2-5). Those of a stored session are in the store.
func (o *Outbox) Unacknowledged() (left []Delivery) {
	o.win.each(func(_ uint64, e entry) {
		if e.state == wantAck && e.body.Message != nil {
			left = append(left, e.body)
		}
	})
	for i := range o.queue.n {
		if d := o.queue.at(i); o.Leaves(d) {
			left = append(left, *d)
		}
	}
	return left
}

// Leaves tells whether a delivery that waits is among what [Outbox.Unacknowledged] is about.
func (o *Outbox) Leaves(d *Delivery) bool {
	return d.Message != nil && (d.QoS == 1 || d.QoS == 2 && !o.Begun(d.Seq))
}

// Settle lets a held delivery go, because its place in the store is safe. It reports whether there was one in memory.
func (o *Outbox) Settle(seq uint64) bool {
	i := o.queue.find(seq)
	if i < 0 {
		return false
	}
	o.queue.settle(i)
	return true
}

// Drop takes a waiting message of a stored session out that the store does not have, or has no longer; size is that of its payload. One that is in
// flight stays so.
func (o *Outbox) Drop(seq uint64, size int) {
	if i := o.queue.find(seq); i >= 0 {
		o.queue.remove(i)
		o.queue.balance()
		return
	}
	if seq <= o.loaded || o.away == 0 {
		return
	}
	o.away--
	o.awayBytes -= size
	if seq > o.read.upTo && o.read.since > 0 {
		o.read.since--
		o.read.sinceBytes -= size
	}
}

// Reading is a range of sequence numbers to be read from the store: beyond After, up to UpTo.
type Reading struct {
	After, UpTo uint64
	turn        uint32
}

// Read asks for messages that are away, when their turn has come and no reading is under way.
func (o *Outbox) Read() (r Reading, ok bool) {
	if o.away == 0 || o.queue.n > 0 || o.read.open || !o.open(o.loaded+1) {
		return Reading{}, false
	}
	o.wake()
	o.turn++
	o.read = read{open: true, turn: o.turn, upTo: o.last}
	return Reading{After: o.loaded, UpTo: o.last, turn: o.turn}, true
}

// Reading tells whether a reading is under way.
func (o *Outbox) Reading() bool { return o.read.open }

// Wants tells whether a reading is the one under way: what was read for a connection that has ended meanwhile is of no use any more.
func (o *Outbox) Wants(r Reading) bool { return o.read.open && r.turn == o.read.turn }

// Fill ends a reading that is wanted with what the store had, in order. With whole, that was all of it up to UpTo.
func (o *Outbox) Fill(r Reading, ds []Delivery, whole bool) {
	if !o.Wants(r) {
		return
	}
	o.read.open = false
	for _, d := range ds {
		if d.Message != nil {
			o.queue.force(d.Message)
		}
		o.queue.push(d)
		o.away--
		o.awayBytes -= d.size()
		o.loaded = d.Seq
	}
	o.queue.balance()
	if whole {
		o.away, o.awayBytes, o.loaded = o.read.since, o.read.sinceBytes, r.UpTo
	}
	o.away, o.awayBytes = max(o.away, 0), max(o.awayBytes, 0)
}

// Rewind makes everything wait again that is not acknowledged, in its order and with its numbers (MQTT-4.4.0-1, MQTT-4.6.0-1): what was in flight, what waits for
// PUBCOMP, and what has not been sent. A stored session keeps nothing of it in memory.
func (o *Outbox) Rewind() {
	if o.flow == &idle {
		return
	}
	o.read.open = false
	if o.Stored {
		if o.win.inflight() > 0 {
			o.loaded = o.win.oldest() - 1
		} else if o.queue.n > 0 {
			o.loaded = o.queue.at(0).Seq - 1
		}
		o.away += o.win.inflight() + o.queue.n
		o.awayBytes += o.win.bytes + o.queue.bytes
		o.queue.clear()
		o.flow = &idle
		return
	}
	var again []Delivery
	o.win.each(func(seq uint64, e entry) {
		switch {
		case e.state == wantComp:
			again = append(again, Delivery{Seq: seq, QoS: 2, Released: true})
		case e.body.Message != nil:
			again = append(again, e.body)
		}
	})
	o.win.clear()
	o.queue.pushFront(again)
	if o.queue.balance(); o.queue.n == 0 {
		o.flow = &idle
	}
}

// Match says how an acknowledgement fits what is in flight.
type Match byte

// Matches.
const (
	Fits       Match = iota
	Again            // PUBREC has come before
	Unknown          // nothing is in flight under the identifier: the acknowledgement came late, or again
	OutOfPlace       // the identifier waits for an acknowledgement of another kind (MQTT-4.3.2-1, MQTT-4.3.3-1)
)

// Ack handles PUBACK, which ends QoS 1. Clients acknowledge many messages at once, in their order, so it takes several identifiers: the first of ids, of which
// there is one at least, and those behind it that belong to the messages sent next and fit as well. It returns the number of the first one's message and how many
// identifiers it has taken.
func (o *Outbox) Ack(ids ...uint16) (seq uint64, n int, m Match) { return o.finish(ids, wantAck) }

// Comp handles PUBCOMP, which ends QoS 2 after PUBREL, for as many of ids as [Outbox.Ack].
func (o *Outbox) Comp(ids ...uint16) (seq uint64, n int, m Match) { return o.finish(ids, wantComp) }

// Rec handles PUBREC for as many of ids as [Outbox.Ack]; where it fits, PUBREL has to be sent.
func (o *Outbox) Rec(ids ...uint16) (seq uint64, n int, m Match) {
	at, seq, s := o.win.find(ids[0])
	switch s {
	case free:
		return 0, 1, Unknown
	case wantAck:
		return seq, 1, OutOfPlace
	case wantComp:
		return seq, 1, Again
	}
	n = o.win.series(ids, at)
	o.win.release(ids[0], at, n)
	return seq, n, Fits
}

// Refused handles PUBREC with a reason code that refuses the message: then the handshake is over (MQTT 5.0, 4.3.3).
func (o *Outbox) Refused(id uint16) (seq uint64, m Match) {
	at, seq, s := o.win.find(id)
	switch s {
	case free:
		return 0, Unknown
	case wantAck:
		return seq, OutOfPlace
	}
	o.win.finish(id, at, 1)
	return seq, Fits
}

// Skip spends a sequence number on a message that is not sent after all. mosquitto gives a message its identifier before it finds that out, and
// tests that compare bytes count on that.
func (o *Outbox) Skip() {
	o.last = o.upcoming()
	if o.away == 0 {
		o.loaded = o.last
	}
}

// Refuse takes a message out of the window that could not be sent.
func (o *Outbox) Refuse(seq uint64) {
	if at, found, s := o.win.find(PacketID(seq)); s != free && found == seq {
		o.win.finish(PacketID(seq), at, 1)
	}
}

func (o *Outbox) finish(ids []uint16, want state) (seq uint64, n int, m Match) {
	at, seq, s := o.win.find(ids[0])
	switch s {
	case free:
		return 0, 1, Unknown
	case want:
		n = o.win.series(ids, at)
		o.win.finish(ids[0], at, n)
		return seq, n, Fits
	}
	return seq, 1, OutOfPlace
}

// Clear ends the session's sending half: everything is released.
func (o *Outbox) Clear() {
	turn := o.turn
	o.queue.clear()
	*o = NewOutbox(o.Limits, o.Keep, o.budget)
	o.turn = turn
}
