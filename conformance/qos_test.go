//go:build unix

package conformance

import (
	"time"

	"picket/packet"
)

// The broker as receiver.

func answersByQoS(e *env) {
	c, topic := e.connect(), e.topic("a")
	s := e.connect()
	s.subscribe(topic, 2)
	c.publish(topic, 0, "0")
	c.quiet()
	c.publish(topic, 1, "1")
	c.publish(topic, 2, "2")
	for _, p := range []string{"0", "1", "2"} {
		s.accept(s.message(topic, p))
	}
	c.quiet()
}

func sameIdentifiers(e *env) {
	c := e.connect()
	for _, id := range []uint16{1, 0x0102, 0xffff} {
		c.send(&packet.Publish{Topic: []byte(e.topic("a")), QoS: 1, ID: id})
		c.wantAck(packet.PUBACK, id)
		c.send(&packet.Publish{Topic: []byte(e.topic("a")), QoS: 2, ID: id})
		c.wantAck(packet.PUBREC, id)
		c.send(&packet.Ack{Kind: packet.PUBREL, ID: id})
		c.wantAck(packet.PUBCOMP, id)
	}
}

func sameIdentifierOfAnswers(e *env) {
	subscribeAnswered(e.fresh())
	unsubscribeAnswered(e.fresh())
}

// qos1Again: after PUBACK the identifier is free, whatever DUP says.
func qos1Again(e *env) {
	s, topic := e.connect(), e.topic("a")
	s.subscribe(topic, 1)
	c := e.connect()
	for _, dup := range []bool{false, true} {
		c.send(&packet.Publish{Topic: []byte(topic), QoS: 1, ID: 7, Dup: dup, Payload: []byte("x")})
		c.wantAck(packet.PUBACK, 7)
		s.accept(s.message(topic, "x"))
	}
}

// qos2Once: until PUBREL the same identifier is the same message.
func qos2Once(e *env) {
	s, topic := e.connect(), e.topic("a")
	s.subscribe(topic, 0)
	c := e.connect(lasting)
	p := &packet.Publish{Topic: []byte(topic), QoS: 2, ID: 7, Payload: []byte("x")}
	c.send(p)
	c.wantAck(packet.PUBREC, 7)
	p.Dup = true
	c.send(p)
	c.wantAck(packet.PUBREC, 7)
	c.drop()
	c = e.connect(lasting, withID(c.id))
	c.send(p)
	c.wantAck(packet.PUBREC, 7)
	c.send(&packet.Ack{Kind: packet.PUBREL, ID: 7})
	c.wantAck(packet.PUBCOMP, 7)
	s.message(topic, "x")
	s.quiet()
	// And after PUBCOMP it is another.
	p.Dup = false
	c.send(p)
	c.wantAck(packet.PUBREC, 7)
	c.send(&packet.Ack{Kind: packet.PUBREL, ID: 7})
	c.wantAck(packet.PUBCOMP, 7)
	s.message(topic, "x")
	s.quiet()
}

// qos2Refused: a PUBREC that refuses ends the handshake, so the identifier stands for another message afterwards.
func qos2Refused(e *env) {
	s := e.connect(on("guarded"), alice)
	topic := "allowed/" + e.topic("a")
	s.subscribe(topic, 0)
	c := e.connect(on("guarded"), alice)
	c.send(&packet.Publish{Topic: []byte("forbidden"), QoS: 2, ID: 7})
	if a := c.wantAck(packet.PUBREC, 7); !a.Code.Failed() {
		e.Fatalf("PUBREC: %v", a.Code)
	}
	c.send(&packet.Publish{Topic: []byte(topic), QoS: 2, ID: 7, Payload: []byte("x")})
	if a := c.wantAck(packet.PUBREC, 7); a.Code.Failed() {
		e.Fatalf("PUBREC: %v", a.Code)
	}
	c.send(&packet.Ack{Kind: packet.PUBREL, ID: 7})
	c.wantAck(packet.PUBCOMP, 7)
	s.message(topic, "x")
}

// forbiddenAcknowledged: a message that is not allowed is acknowledged all the same, or the connection closed; in 3.1.1 there
// is no third way. It reaches nobody.
func forbiddenAcknowledged(e *env) {
	s := e.connect(on("guarded"), alice)
	s.subscribe("#", 1)
	for qos := byte(1); qos < 3; qos++ {
		c := e.connect(on("guarded"), alice)
		c.send(&packet.Publish{Topic: []byte(e.topic("forbidden")), QoS: qos, ID: 1})
		if p, err := c.Next(); err == nil {
			if a, ok := p.(*packet.Ack); !ok || a.ID != 1 {
				e.Errorf("answered with %s", describe(p))
			}
		}
	}
	c := e.connect(on("guarded"), alice)
	c.publish("allowed/"+e.topic("marker"), 1, "x")
	for {
		m := want[*packet.Publish](s)
		s.accept(m)
		if string(m.Topic) == e.topic("forbidden") {
			e.Error(describe(m))
		}
		if string(m.Topic) == "allowed/"+e.topic("marker") {
			return
		}
	}
}

// ackCodes draws the codes that the broker has for one kind of acknowledgement; the decoder refuses all that may not stand there.
func ackCodes(e *env) {
	c := e.connect(on("guarded"), alice)
	for _, topic := range []string{"forbidden", "allowed/x"} {
		c.send(&packet.Publish{Topic: []byte(topic), QoS: 1, ID: 1})
		c.wantAck(packet.PUBACK, 1)
		c.send(&packet.Publish{Topic: []byte(topic), QoS: 2, ID: 2})
		c.wantAck(packet.PUBREC, 2)
		c.send(&packet.Ack{Kind: packet.PUBREL, ID: 2})
		c.wantAck(packet.PUBCOMP, 2)
	}
	c.send(&packet.Ack{Kind: packet.PUBREL, ID: 99})
	if a := c.wantAck(packet.PUBCOMP, 99); a.Code != packet.PacketIdentifierNotFound && a.Code != packet.Success {
		e.Errorf("PUBCOMP: %v", a.Code)
	}
}

// ackCodesSubscribe does so for SUBACK and UNSUBACK.
func ackCodesSubscribe(e *env) {
	manyFilters(e.fresh())
	manyFiltersUnsubscribe(e.fresh())
}

// expiryDoesNotStopReceiver: PUBREL is answered though the message has expired meanwhile.
func expiryDoesNotStopReceiver(e *env) {
	c := e.connect()
	c.send(&packet.Publish{Topic: []byte(e.topic("a")), QoS: 2, ID: 7, Props: expiring(1).AppendRaw(nil)})
	c.wantAck(packet.PUBREC, 7)
	time.Sleep(2500 * time.Millisecond)
	c.send(&packet.Ack{Kind: packet.PUBREL, ID: 7})
	if a := c.wantAck(packet.PUBCOMP, 7); a.Code != packet.Success {
		e.Errorf("PUBCOMP: %v", a.Code)
	}
}

// The broker as sender.

// begun makes a session that has been sent a message with this QoS.
func begun(e *env, qos byte, p *packet.Properties) (c *conn, m *packet.Publish) {
	c = e.connect(lasting)
	c.subscribe(e.topic("a"), qos)
	s := e.connect()
	if p != nil {
		s.publishProps(e.topic("a"), qos, "x", p)
	} else {
		s.publish(e.topic("a"), qos, "x")
	}
	m = c.message(e.topic("a"), "x")
	if m.Dup || m.QoS != qos || m.ID == 0 {
		e.Error(describe(m))
	}
	return c, m
}

// again resumes a session after its connection was lost.
func (c *conn) again() *conn {
	c.Helper()
	c.drop()
	return c.connect(lasting, withID(c.id))
}

// resent: what was not acknowledged comes again, with the same identifier and DUP, once for each new connection.
func resent(e *env, qos byte) {
	c, m := begun(e, qos, nil)
	for range 2 {
		c = c.again()
		n := c.message(e.topic("a"), "x")
		if n.ID != m.ID || !n.Dup || n.QoS != qos {
			e.Errorf("%s after %s", describe(n), describe(m))
		}
		c.quiet()
	}
	c.accept(m)
	c = c.again()
	c.quiet()
}

func resent1(e *env) { resent(e, 1) }
func resent2(e *env) { resent(e, 2) }

func resentBoth(e *env) {
	resent(e.fresh(), 1)
	resent(e.fresh(), 2)
}

// qos1Sender: the sender's side of QoS 1, from a fresh identifier to PUBACK.
func qos1Sender(e *env) {
	identifiersUnused(e, 1)
	resent(e.fresh(), 1)
}

// qos2Sender: the sender's side of QoS 2, from a fresh identifier over PUBREL to PUBCOMP.
func qos2Sender(e *env) {
	identifiersUnused(e, 2)
	resent(e.fresh(), 2)
	pubrelResent(e.fresh())
}

// resentAll: PUBLISH and PUBREL come again over a new connection, and nothing comes twice over the same.
func resentAll(e *env) {
	c, _ := begun(e, 1, nil)
	time.Sleep(2500 * time.Millisecond)
	c.quiet()
	resentBoth(e)
	pubrelResent(e.fresh())
}

// pubrelResent: after PUBREC it is PUBREL that is repeated, never PUBLISH.
func pubrelResent(e *env) {
	c, m := begun(e, 2, nil)
	c.send(&packet.Ack{Kind: packet.PUBREC, ID: m.ID})
	c.wantAck(packet.PUBREL, m.ID)
	for range 2 {
		c = c.again()
		c.wantAck(packet.PUBREL, m.ID)
		c.quiet()
	}
	c.send(&packet.Ack{Kind: packet.PUBCOMP, ID: m.ID})
	c = c.again()
	c.quiet()
}

func refusedNotResent(e *env) {
	for qos, kind := range map[byte]packet.Type{1: packet.PUBACK, 2: packet.PUBREC} {
		c, m := begun(e.fresh(), qos, nil)
		c.send(&packet.Ack{Kind: kind, ID: m.ID, Code: packet.QuotaExceeded})
		c.quiet()
		c = c.again()
		c.quiet()
	}
}

// expiryDoesNotStopSender: a message that was sent is brought to its end though it has expired.
func expiryDoesNotStopSender(e *env) {
	c, m := begun(e, 2, expiring(10)) // a busy machine may stand still for some seconds
	time.Sleep(11500 * time.Millisecond)
	c.send(&packet.Ack{Kind: packet.PUBREC, ID: m.ID})
	if a := c.wantAck(packet.PUBREL, m.ID); a.Code != packet.Success {
		e.Errorf("PUBREL: %v", a.Code)
	}
	c.send(&packet.Ack{Kind: packet.PUBCOMP, ID: m.ID})
	c.quiet()
}

// addedToAllSessions: those that are there and those that are away get the message.
func addedToAllSessions(e *env) {
	id, topic := leftBehind(e, 1)
	one, two := e.connect(), e.connect()
	one.subscribe(topic, 0)
	two.subscribe(e.topic("+"), 2)
	e.connect().publish(topic, 1, "x")
	one.message(topic, "x")
	two.accept(two.message(topic, "x"))
	away := e.connect(lasting, withID(id))
	away.accept(away.message(topic, "x"))
}
