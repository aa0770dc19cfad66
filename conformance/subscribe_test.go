//go:build unix

package conformance

import (
	"slices"

	"picket/packet"
)

func subscribeAnswered(e *env) {
	c := e.connect()
	for _, id := range []uint16{1, 0x1234, 0xffff} {
		c.send(&packet.Subscribe{ID: id, Filters: []packet.Subscription{sub(e.topic("a"), 1)}})
		a := want[*packet.Suback](c)
		if a.ID != id || len(a.Codes) != 1 || a.Codes[0] != packet.GrantedQoS1 {
			e.Errorf("SUBACK %+v", a)
		}
	}
}

func unsubscribeAnswered(e *env) {
	c := e.connect()
	c.subscribe(e.topic("a"), 0)
	for i, id := range []uint16{9, 0xffff} {
		c.send(&packet.Unsubscribe{ID: id, Filters: []string{e.topic("a")}}) // the second time there is nothing to delete
		a := want[*packet.Unsuback](c)
		if a.ID != id || e.v == packet.V5 && !slices.Equal(a.Codes, [][]packet.Code{{packet.Success}, {packet.NoSubscriptionExisted}}[i]) {
			e.Errorf("UNSUBACK %+v", a)
		}
	}
}

// manyFilters: one answer with a code for each filter, in their order, as if they had come one by one.
func manyFilters(e *env) {
	c := e.connect()
	c.retain(e.topic("b"), 1, "kept")
	c.send(&packet.Subscribe{ID: 5, Filters: []packet.Subscription{
		sub(e.topic("a"), 0), sub(e.topic("b"), 1), sub(e.topic("c"), 2), sub(e.topic("d"), 0), sub(e.topic("a"), 1)}})
	a := until[*packet.Suback](c)
	if a.ID != 5 || !slices.Equal(a.Codes, []packet.Code{0, 1, 2, 0, 1}) {
		e.Errorf("SUBACK %+v", a)
	}
	c.accept(c.message(e.topic("b"), "kept"))
	p := e.connect()
	for _, s := range []string{"a", "b", "c", "d"} {
		p.publish(e.topic(s), 2, s)
		m := c.message(e.topic(s), s)
		if want := map[string]byte{"a": 1, "b": 1, "c": 2, "d": 0}[s]; m.QoS != want {
			e.Errorf("%s, want QoS %d", describe(m), want)
		}
		c.accept(m)
	}
	c.quiet()
}

func manyFiltersUnsubscribe(e *env) {
	c := e.connect()
	for _, s := range []string{"a", "b", "c"} {
		c.subscribe(e.topic(s), 0)
	}
	c.send(&packet.Unsubscribe{ID: 5, Filters: []string{e.topic("a"), e.topic("nothing"), e.topic("c")}})
	a := want[*packet.Unsuback](c)
	if e.v == packet.V5 && !slices.Equal(a.Codes, []packet.Code{packet.Success, packet.NoSubscriptionExisted, packet.Success}) {
		e.Errorf("UNSUBACK %+v", a)
	}
	p := e.connect()
	for _, s := range []string{"a", "c", "b"} {
		p.publish(e.topic(s), 1, s)
	}
	c.message(e.topic("b"), "b")
	c.quiet()
}

// subscriptionReplaced: the new QoS holds, there is one copy of each message, and retained messages come again.
func subscriptionReplaced(e *env) {
	c, topic := e.connect(), e.topic("a")
	c.retain(topic, 1, "kept")
	c.subscribe(topic, 0)
	c.message(topic, "kept")
	c.subscribe(topic, 2)
	c.accept(c.message(topic, "kept"))
	p := e.connect()
	p.publish(topic, 2, "x")
	m := c.message(topic, "x")
	if m.QoS != 2 {
		e.Error(describe(m))
	}
	c.accept(m)
	c.quiet()
}

// replacingLosesNothing subscribes again while messages flow.
func replacingLosesNothing(e *env) {
	c, topic := e.connect(receiveMaximum(1000)), e.topic("a")
	c.subscribe(topic, 1)
	p := e.connect()
	for i := range 40 {
		m := &packet.Publish{Topic: []byte(topic), QoS: 1, ID: p.id16(), Payload: []byte{byte(i)}}
		p.send(m)
		if i%8 == 0 {
			c.subscribe(topic, 1)
		}
		p.wantAck(packet.PUBACK, m.ID)
	}
	for i := range 40 {
		c.accept(c.message(topic, string([]byte{byte(i)})))
	}
	subscriptionReplaced(e.fresh())
}

// qosIsMinimum tries all pairs of a message's and a subscription's QoS.
func qosIsMinimum(e *env) {
	p := e.connect()
	for granted := range byte(3) {
		c := e.connect()
		c.subscribe(e.topic("a"), granted)
		for sent := range byte(3) {
			p.publish(e.topic("a"), sent, "x")
			m := c.message(e.topic("a"), "x")
			if m.QoS != min(sent, granted) {
				e.Errorf("sent with QoS %d, granted %d: %s", sent, granted, describe(m))
			}
			c.accept(m)
		}
	}
}

// grantedOrRefused has filters that are granted and one that cannot be.
func grantedOrRefused(e *env) {
	ackCodesSubscribe(e)
	shareBadName(e.fresh())
}

func noLocal(e *env) {
	c, other := e.connect(), e.connect()
	c.subscribeTo(packet.Subscription{Filter: e.topic("a"), NoLocal: true})
	c.subscribe(e.topic("marker"), 0)
	c.publish(e.topic("a"), 1, "own")
	c.publish(e.topic("marker"), 0, "x")
	c.message(e.topic("marker"), "x")
	other.publish(e.topic("a"), 0, "other's")
	c.message(e.topic("a"), "other's")
}

// unsubscribeExactly: filters are compared as text, so a wildcard deletes only itself.
func unsubscribeExactly(e *env) {
	c := e.connect()
	for _, s := range []string{"a", "+", "b/#"} {
		c.subscribe(e.topic(s), 0)
	}
	for _, s := range []string{"#", "A", "+/", "b/+"} {
		c.unsubscribe(e.topic(s))
	}
	c.unsubscribe(e.topic("+"))
	p := e.connect()
	p.publish(e.topic("other"), 1, "no longer")
	p.publish(e.topic("a"), 1, "still")
	p.publish(e.topic("b/c"), 1, "still")
	c.message(e.topic("a"), "still")
	c.message(e.topic("b/c"), "still")
	c.unsubscribe(e.topic("a"))
	p.publish(e.topic("a"), 1, "no longer")
	p.publish(e.topic("b/c"), 1, "still")
	c.message(e.topic("b/c"), "still")
}

func (c *conn) unsubscribe(filter string) {
	c.Helper()
	id := c.id16()
	c.send(&packet.Unsubscribe{ID: id, Filters: []string{filter}})
	if a := until[*packet.Unsuback](c); a.ID != id {
		c.Fatalf("UNSUBACK of %d, want %d", a.ID, id)
	}
}

func unsubscribeStops(e *env) {
	c := e.connect()
	c.subscribe(e.topic("a"), 1)
	c.unsubscribe(e.topic("a"))
	e.connect().publish(e.topic("a"), 1, "x")
	c.quiet()
}

// unsubscribeCompletes: what was begun before is brought to its end.
func unsubscribeCompletes(e *env) {
	c := e.connect(lasting)
	c.subscribe(e.topic("a"), 2)
	p := e.connect()
	p.publish(e.topic("a"), 2, "two")
	p.publish(e.topic("a"), 1, "one")
	two, one := c.message(e.topic("a"), "two"), c.message(e.topic("a"), "one")
	c.unsubscribe(e.topic("a"))
	c.accept(two)
	c.drop()
	c = e.connect(lasting, withID(c.id))
	m := c.message(e.topic("a"), "one")
	if m.ID != one.ID || !m.Dup {
		e.Error(describe(m))
	}
	c.accept(m)
	c.quiet()
}

// Shared subscriptions.

// shared makes two members of a group; lasting ones where the session has to outlive the connection.
func shared(e *env, qos byte, opts ...option) (a, b *conn, topic string) {
	topic = e.topic("s")
	a, b = e.connect(opts...), e.connect(opts...)
	a.subscribe("$share/"+e.name+"/"+topic, qos)
	b.subscribe("$share/"+e.name+"/"+topic, qos)
	return a, b, topic
}

// receiver finds out which of two got the message that is on its way.
func receiver(a, b *conn) (got, other *conn, m *packet.Publish) {
	a.Helper()
	a.send(packet.Pingreq{})
	p := a.next()
	if m, ok := p.(*packet.Publish); ok {
		want[packet.Pingresp](a)
		return a, b, m
	}
	return b, a, want[*packet.Publish](b)
}

func shareOneEach(e *env) {
	shareWithoutName(e.fresh())
	a, b, topic := shared(e, 0)
	p := e.connect()
	for range 4 {
		p.publish(topic, 1, "x")
		_, other, m := receiver(a, b)
		if string(m.Payload) != "x" {
			e.Error(describe(m))
		}
		other.quiet()
	}
}

func shareGrantedQoS(e *env) {
	p := e.connect()
	for qos := range byte(3) {
		c := e.connect()
		c.subscribe("$share/"+e.name+"/"+e.topic("s"), qos)
		for range 3 {
			p.publish(e.topic("s"), 2, "x")
			m := c.message(e.topic("s"), "x")
			if m.QoS != qos {
				e.Errorf("%s, granted %d", describe(m), qos)
			}
			c.accept(m)
		}
		c.leave()
	}
}

// shareCompletes: the member that a QoS 2 message was sent to gets it in the end.
func shareCompletes(e *env) {
	a, b, topic := shared(e, 2, lasting)
	e.connect().publish(topic, 2, "x")
	got, other, m := receiver(a, b)
	got.drop()
	other.quiet()
	got = e.connect(lasting, withID(got.id))
	again := got.message(topic, "x")
	if again.ID != m.ID || !again.Dup {
		e.Error(describe(again))
	}
	got.accept(again)
	got.quiet()
	other.quiet()
}

// shareEndsWithSession: with the member's session the message is gone, too.
func shareEndsWithSession(e *env) {
	a, b, topic := shared(e, 2)
	e.connect().publish(topic, 2, "x")
	got, other, _ := receiver(a, b)
	got.drop()
	other.quiet()
}

func shareRefusedDiscarded(e *env) {
	a, b, topic := shared(e, 2)
	p := e.connect()
	for qos, kind := range map[byte]packet.Type{1: packet.PUBACK, 2: packet.PUBREC} {
		p.publish(topic, qos, "x")
		got, other, m := receiver(a, b)
		got.send(&packet.Ack{Kind: kind, ID: m.ID, Code: packet.ImplementationSpecificError})
		got.quiet()
		other.quiet()
	}
}
