package session

// State is what a session that survives a restart consists of, besides its subscriptions: a plain value for a store to keep.
type State struct {
	NextID   uint16     // the packet identifier after the last one given out
	Inflight []InFlight // in the order sent
	Queue    []Delivery
	Received []uint16 // QoS 2 identifiers received and not released
}

// InFlight is one message of the window.
type InFlight struct {
	ID       uint16
	Delivery Delivery // zero when only PUBCOMP is awaited
	Released bool     // PUBREL has been sent
}

// Snapshot returns the session's state.
func Snapshot(o *Outbox, i *Inbox) State {
	s := State{Received: i.IDs()}
	o.Resend(
		func(id uint16, d Delivery) { s.Inflight = append(s.Inflight, InFlight{ID: id, Delivery: d}) },
		func(id uint16) { s.Inflight = append(s.Inflight, InFlight{ID: id, Released: true}) })
	for n := range o.queueLen {
		s.Queue = append(s.Queue, o.queue[(o.queueHead+n)%len(o.queue)])
	}
	if o.first != 0 {
		s.NextID = o.id(o.span)
	}
	return s
}

// Restore makes an outbox and an inbox of a snapshot. Messages in flight keep their packet identifiers.
func Restore(s State, l Limits, budget *Budget) (o Outbox, i Inbox) {
	o = NewOutbox(l, true, budget)
	if s.NextID != 0 {
		o.first = s.NextID
		if len(s.Inflight) > 0 {
			o.first = s.Inflight[0].ID
		}
		span := (int(s.NextID) - int(o.first) + MaxWindow) % MaxWindow
		if len(s.Inflight) > 0 && span == 0 {
			span = MaxWindow
		}
		o.grow(span)
		o.bodies = make([]Delivery, len(o.ring))
		o.span = span
		for _, f := range s.Inflight {
			at := (int(f.ID) - int(o.first) + MaxWindow) % MaxWindow
			switch {
			case f.Released:
				o.ring[at] = wantComp
			case f.Delivery.QoS == 2:
				o.ring[at] = wantRec
			default:
				o.ring[at] = wantAck
			}
			if !f.Released {
				o.bodies[at] = f.Delivery
				o.bytes += len(f.Delivery.Message.Payload)
			}
			o.inflight++
		}
	}
	for _, d := range s.Queue {
		o.wait(d)
	}
	for _, id := range s.Received {
		i.Receive(id)
	}
	return o, i
}
