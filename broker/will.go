package broker

import (
	"picket/access"
	"picket/packet"
	"picket/session"
)

// will is a will message (MQTT 5.0, 3.1.2.5).
type will struct {
	message *session.Message
	expiry  uint32 // seconds, from when it is published
	expires bool
	delay   uint32         // seconds
	rules   *access.Client // decide whether it is published; set when it is due
}

func willOf(w *packet.Will, mount, door string, l *access.Login) *will {
	m := &session.Message{Topic: mount + w.Topic, Payload: w.Payload, QoS: w.QoS, Retain: w.Retain, From: l.ClientID, User: l.Username}
	if w.Retain {
		m.Door = door
	}
	if len(w.RawProps) > 0 {
		m.Props = packet.AppendForward(nil, w.RawProps)
	}
	out := &will{message: m}
	if w.Props.Has(packet.WillDelayInterval) {
		out.delay = w.Props.WillDelay
	}
	if w.Props.Has(packet.MessageExpiryInterval) {
		out.expiry, out.expires = w.Props.MessageExpiry, true
	}
	return out
}

// publishWills publishes the wills that fell due in what this worker did. No mutex may be held.
func (w *worker) publishWills() {
	for len(w.wills) > 0 {
		last := w.wills[len(w.wills)-1]
		w.wills = w.wills[:len(w.wills)-1]
		w.judgeWill(last)
	}
}

func (w *worker) publishWill(last *will) {
	m := last.message
	if last.expires {
		m.Expires = w.b.seconds() + int64(last.expiry)
	}
	w.publishMessage(m, last.expiry, last.expires)
}

// publishMessage routes a message that no connection brings: a will, or the broker's own.
func (w *worker) publishMessage(m *session.Message, expiry uint32, expires bool) {
	w.carry(m, expiry, expires)
	w.publishCarried()
}

// publishCarried routes the message that the run carries.
func (w *worker) publishCarried() (matched int) {
	defer w.run.drop()
	if w.run.retain && !w.b.settings.Load().RetainAvailable {
		w.run.retain = false
	}
	return w.route().matched
}
