package session

import "sort"

// Stage is how far an [Outbox] has come with a message.
type Stage string

// Stages of a message.
const (
	InQueue   Stage = "queued"   // it waits to be sent
	InFlight  Stage = "sent"     // PUBACK or PUBREC is waited for
	Releasing Stage = "released" // PUBREL is or was sent, and PUBCOMP is waited for: there is no message any more
)

// Look calls f for the messages that are in memory, in the order of their numbers, from the one behind after on, until f returns false. A message in flight to a client whose
// session ends with its connection has no body. The rest of a stored session's queue begins behind upTo, which is 0 where all of it is here.
func (o *Outbox) Look(after uint64, f func(d *Delivery, s Stage) bool) (upTo uint64) {
	more := true
	o.win.each(func(seq uint64, e entry) {
		if !more || seq <= after {
			return
		}
		d, stage := e.body, InFlight
		d.Seq = seq
		switch e.state {
		case wantComp:
			d.QoS, stage = 2, Releasing
		case wantRec:
			d.QoS = 2
		case wantAck:
			d.QoS = 1
		}
		more = f(&d, stage)
	})
	q := &o.queue
	for i := sort.Search(q.n, func(i int) bool { return q.at(i).Seq > after }); more && i < q.n; i++ {
		d, stage := *q.at(i), InQueue
		if d.Released {
			stage = Releasing
		}
		more = f(&d, stage)
	}
	if o.away > 0 {
		return o.loaded
	}
	return 0
}
