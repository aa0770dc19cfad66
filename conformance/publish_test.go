//go:build unix

package conformance

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"picket/packet"
)

// Retained messages.

// retained subscribes anew and returns what is retained for the topic, nil for nothing.
func (e *env) retained(topic string) *packet.Publish {
	e.Helper()
	c := e.connect()
	c.subscribe(topic, 2)
	c.send(packet.Pingreq{})
	p := c.next()
	if _, ok := p.(packet.Pingresp); ok {
		return nil
	}
	m, ok := p.(*packet.Publish)
	if !ok || !m.Retain {
		e.Fatalf("got %s", describe(p))
	}
	return m
}

func (e *env) wantRetained(topic, payload string, qos byte) {
	e.Helper()
	switch m := e.retained(topic); {
	case m == nil:
		e.Errorf("nothing is retained for %q", topic)
	case string(m.Payload) != payload || m.QoS != qos:
		e.Errorf("%s, want payload %q QoS %d", describe(m), payload, qos)
	}
}

func retainReplaces(e *env) {
	c, topic := e.connect(), e.topic("r")
	for qos := range byte(3) {
		payload := "from QoS " + string('0'+rune(qos))
		c.retain(topic, qos, payload)
		c.quiet()
		e.wantRetained(topic, payload, qos)
	}
	c.retain(topic, 0, "last")
	c.quiet()
	e.wantRetained(topic, "last", 0)
}

func retainRemoved(e *env) {
	c, topic := e.connect(), e.topic("r")
	watcher := e.connect()
	watcher.subscribe(topic, 0)
	c.retain(topic, 1, "x")
	watcher.message(topic, "x")
	c.retain(topic, 1, "")
	watcher.message(topic, "")
	if m := e.retained(topic); m != nil {
		e.Error(describe(m))
	}
}

func plainNotRetained(e *env) {
	c, topic := e.connect(), e.topic("r")
	c.publish(topic, 1, "never")
	if m := e.retained(topic); m != nil {
		e.Error(describe(m))
	}
	c.retain(topic, 1, "kept")
	c.publish(topic, 1, "not kept")
	c.publish(topic, 1, "")
	e.wantRetained(topic, "kept", 1)
}

func retainOnSubscribe(e *env) {
	c := e.connect()
	for _, s := range []string{"a", "b", "b/c"} {
		c.retain(e.topic(s), 1, s)
	}
	s := e.connect()
	s.subscribe(e.topic("+"), 1)
	got := map[string]bool{}
	for range 2 {
		m := want[*packet.Publish](s)
		if !m.Retain || string(m.Topic) != e.topic(string(m.Payload)) {
			e.Error(describe(m))
		}
		got[string(m.Payload)] = true
		s.accept(m)
	}
	s.quiet()
	if !got["a"] || !got["b"] {
		e.Errorf("got %v", got)
	}
}

func retainHandling(e *env, handling byte) {
	c, topic := e.connect(), e.topic("r")
	c.retain(topic, 1, "x")
	s := e.connect()
	f := packet.Subscription{Filter: topic, RetainHandling: handling}
	for n := range 2 {
		s.subscribeTo(f)
		if handling == 0 || handling == 1 && n == 0 {
			if m := s.message(topic, "x"); !m.Retain {
				e.Error(describe(m))
			}
		}
		s.quiet()
	}
}

func retainHandling0(e *env) { retainHandling(e, 0) }
func retainHandling1(e *env) { retainHandling(e, 1) }
func retainHandling2(e *env) { retainHandling(e, 2) }

func retainAsPublished(e *env, keep bool) {
	s, topic := e.connect(), e.topic("r")
	s.subscribeTo(packet.Subscription{Filter: topic, RetainAsPublished: keep})
	c := e.connect()
	c.retain(topic, 0, "retained")
	if m := s.message(topic, "retained"); m.Retain != keep {
		e.Error(describe(m))
	}
	c.publish(topic, 0, "plain")
	if m := s.message(topic, "plain"); m.Retain {
		e.Error(describe(m))
	}
}

func retainCleared(e *env) { retainAsPublished(e, false) }
func retainKept(e *env)    { retainAsPublished(e, true) }

// DUP.

func dupNotPropagated(e *env) {
	s, topic := e.connect(), e.topic("d")
	s.subscribe(topic, 1)
	c := e.connect()
	c.send(&packet.Publish{Topic: []byte(topic), QoS: 1, Dup: true, ID: 1, Payload: []byte("x")})
	c.wantAck(packet.PUBACK, 1)
	if m := s.message(topic, "x"); m.Dup {
		e.Error(describe(m))
	}
}

func dupNeverWithQoS0(e *env) {
	dupWithQoS0(e)
	id, topic := leftBehind(e, 0)
	c := e.connect(withID(id), lasting)
	p := e.connect()
	for qos := range byte(3) {
		p.publish(topic, qos, "x")
		if m := c.message(topic, "x"); m.QoS != 0 || m.Dup {
			e.Error(describe(m))
		}
	}
}

// Topics.

func topicMatchesFilter(e *env) {
	for _, f := range []struct {
		filter   string
		yes, not string
	}{
		{"a/+/c", "a/b/c", "a/b/d"},
		{"a/#", "a", "b"},
		{"+", "a", "a/b"},
		{"a", "a", "a/"},
		{"+/", "x/", "x"},
	} {
		s := e.connect()
		s.subscribe(e.topic(f.filter), 0)
		c := e.connect()
		c.publish(e.topic(f.not), 1, "no")
		c.publish(e.topic(f.yes), 1, "yes")
		s.message(e.topic(f.yes), "yes")
	}
}

func dollarHidden(e *env) {
	s := e.connect()
	s.subscribe("#", 0)
	s.subscribe("+/"+e.name, 0)
	own := e.connect()
	own.subscribe("$"+e.name+"/#", 0)
	c := e.connect()
	c.publish("$"+e.name+"/"+e.name, 1, "hidden")
	c.publish(e.topic("marker"), 1, "seen")
	own.message("$"+e.name+"/"+e.name, "hidden")
	for {
		m := want[*packet.Publish](s)
		if m.Topic[0] == '$' {
			e.Fatal(describe(m))
		}
		if string(m.Topic) == e.topic("marker") {
			return
		}
	}
}

// noNormalization: é in one character and in two are different names, as are upper and lower case and doubled slashes.
func noNormalization(e *env) {
	s := e.connect()
	for _, n := range []string{"\u00e9", "a", "b/c"} {
		s.subscribe(e.topic(n), 0)
	}
	c := e.connect()
	for _, n := range []string{"e\u0301", "A", "b//c", "/b/c", "b/c/", "b/./c"} {
		c.publish(e.topic(n), 1, "no")
	}
	c.publish(e.topic("a"), 1, "yes")
	s.message(e.topic("a"), "yes")
	c.publish(e.topic("\u00e9"), 1, "yes")
	s.message(e.topic("\u00e9"), "yes")
}

// inOrder: messages arrive in the order in which they were sent, and the acknowledgements of each kind are in that order, too.
func inOrder(e *env) {
	s, topic := e.connect(receiveMaximum(1000)), e.topic("o")
	s.subscribe(topic, 2)
	c := e.connect()
	for qos := range byte(3) {
		const n = 45
		for from := 0; from < n; from += 15 { // no more than the broker takes at a time
			var batch []packet.Packet
			var ids []uint16
			for i := from; i < from+15; i++ {
				p := &packet.Publish{Topic: []byte(topic), QoS: qos, Payload: []byte{byte(i)}}
				if qos > 0 {
					p.ID = c.id16()
					ids = append(ids, p.ID)
				}
				batch = append(batch, p)
			}
			c.send(batch...)
			c.acknowledged(qos, ids)
		}
		for i := range n {
			s.accept(s.message(topic, string([]byte{byte(i)})))
		}
	}
	resentInOrder(e.fresh())
}

// acknowledged takes the broker's side of the handshakes of these messages, in their order.
func (c *conn) acknowledged(qos byte, ids []uint16) {
	c.Helper()
	kind := packet.PUBACK
	if qos == 2 {
		kind = packet.PUBCOMP
		for _, id := range ids {
			c.wantAck(packet.PUBREC, id)
		}
		for _, id := range ids {
			c.send(&packet.Ack{Kind: packet.PUBREL, ID: id})
		}
	}
	for _, id := range ids {
		c.wantAck(kind, id)
	}
}

// resentInOrder: what comes again over a new connection has its old order.
func resentInOrder(e *env) {
	c, topic := e.connect(lasting), e.topic("o")
	c.subscribe(topic, 2)
	p := e.connect()
	var sent []*packet.Publish
	for i := range 6 {
		payload := string([]byte{byte(i)})
		p.publish(topic, byte(1+i%2), payload)
		sent = append(sent, c.message(topic, payload))
	}
	c = c.again()
	for i, m := range sent {
		if n := c.message(topic, string([]byte{byte(i)})); n.ID != m.ID || !n.Dup {
			e.Errorf("%s after %s", describe(n), describe(m))
		}
	}
	c.quiet()
}

// Properties.

func someProperties() *packet.Properties {
	p := &packet.Properties{PayloadFormat: 1, ContentType: "text/plain; ü", ResponseTopic: "reply/to",
		CorrelationData: []byte{0, 1, 0xff},
		User:            []packet.UserProperty{{Key: "b", Value: "2"}, {Key: "a", Value: "1"}, {Key: "b", Value: "0"}, {Key: "", Value: ""}}}
	for _, id := range []packet.PropertyID{packet.PayloadFormatIndicator, packet.ContentType, packet.ResponseTopic, packet.CorrelationData, packet.UserProperties} {
		p.Set(id)
	}
	return p
}

// sameProperties checks that a message has someProperties.
func sameProperties(c *conn, m *packet.Publish) {
	c.Helper()
	if got, want := m.Props, someProperties().AppendRaw(nil); !bytes.Equal(sorted(c, m), want) {
		c.Errorf("properties % x, want % x", got, want)
	}
}

// sorted has the properties in the order in which this package writes them; user properties keep theirs.
func sorted(c *conn, m *packet.Publish) []byte { return c.properties(m).AppendRaw(nil) }

func propertiesUnaltered(e *env) {
	topic := e.topic("p")
	s := e.connect()
	s.subscribe(topic, 0)
	away := e.connect(lasting)
	away.subscribe(topic, 1)
	away.drop()
	c := e.connect()
	c.publishProps(topic, 1, "x", someProperties())
	sameProperties(s, s.message(topic, "x"))
	away = e.connect(lasting, withID(away.id))
	sameProperties(away, away.message(topic, "x"))
	c.publishPacket(&packet.Publish{Topic: []byte(topic), QoS: 1, Retain: true, Payload: []byte("y"), Props: someProperties().AppendRaw(nil)})
	late := e.connect()
	late.subscribe(topic, 0)
	sameProperties(late, late.message(topic, "y"))
}

func expiring(seconds uint32) *packet.Properties {
	return (&packet.Properties{MessageExpiry: seconds}).Set(packet.MessageExpiryInterval)
}

func messageExpires(e *env) {
	id, topic := leftBehind(e, 1)
	c := e.connect()
	c.publishProps(topic, 1, "short", expiring(1))
	c.publishPacket(&packet.Publish{Topic: []byte(e.topic("retained")), QoS: 1, Retain: true, Payload: []byte("short"), Props: expiring(1).AppendRaw(nil)})
	c.publishProps(topic, 1, "long", expiring(100))
	time.Sleep(2500 * time.Millisecond)
	s := e.connect(lasting, withID(id))
	s.accept(s.message(topic, "long"))
	s.subscribe(e.topic("retained"), 0)
	s.quiet()
}

func messageExpiryCounts(e *env) {
	id, topic := leftBehind(e, 1)
	begin := time.Now()
	e.connect().publishProps(topic, 1, "x", expiring(100))
	time.Sleep(2100 * time.Millisecond)
	s := e.connect(lasting, withID(id))
	m := s.message(topic, "x")
	waited := uint32(time.Since(begin)/time.Second) + 2 // both sides count whole seconds
	if p := s.properties(m); !p.Has(packet.MessageExpiryInterval) || p.MessageExpiry < 100-waited || p.MessageExpiry > 98 {
		e.Errorf("Message Expiry Interval %d after %d s of 100", p.MessageExpiry, waited-2)
	}
}

// Topic aliases.

func alias(n uint16) *packet.Properties {
	return (&packet.Properties{TopicAlias: n}).Set(packet.TopicAlias)
}

func (c *conn) aliasMaximum() uint16 {
	c.Helper()
	if !c.ack.Props.Has(packet.TopicAliasMaximum) || c.ack.Props.TopicAliasMaximum == 0 {
		c.Fatal("the broker takes no topic aliases")
	}
	return c.ack.Props.TopicAliasMaximum
}

func aliasesAccepted(e *env) {
	s := e.connect()
	s.subscribe(e.topic("+"), 0)
	c := e.connect()
	names := map[uint16]string{}
	for _, n := range []uint16{1, 2, c.aliasMaximum()} {
		names[n] = e.topic(string('a' + rune(n)))
		c.publishProps(names[n], 0, "set", alias(n))
		s.message(names[n], "set")
	}
	for n, name := range names {
		c.publishProps("", 0, "used", alias(n))
		if m := s.message(name, "used"); m.Alias != 0 {
			e.Errorf("alias %d was sent on", m.Alias)
		}
	}
	c.publishProps(e.topic("new"), 0, "changed", alias(1))
	s.message(e.topic("new"), "changed")
	c.publishProps("", 0, "used", alias(1))
	s.message(e.topic("new"), "used")
	c.publishProps(e.topic("x"), 0, "above", alias(c.aliasMaximum()+1))
	c.refused(packet.TopicAliasInvalid)
}

func aliasNotCarried(e *env) {
	c := e.connect(lasting)
	c.publishProps(e.topic("a"), 1, "x", alias(1))
	c.drop()
	c = e.connect(lasting, withID(c.id))
	c.publishPacket(&packet.Publish{Props: alias(1).AppendRaw(nil)})
	c.refused(packet.ProtocolError, packet.TopicAliasInvalid)
}

// aliasesSent: no alias goes to a client that has not asked for any, and none above what it asked for.
func aliasesSent(e *env) {
	for _, limit := range []uint16{0, 2} {
		s := e.connect(props(func(p *packet.Properties) {
			if p.TopicAliasMaximum = limit; limit > 0 {
				p.Set(packet.TopicAliasMaximum)
			}
		}))
		s.subscribe(e.topic("+"), 0)
		c := e.connect()
		aliases := map[uint16]string{}
		for i := range 12 {
			name := e.topic(string('a' + rune(i%4)))
			c.publishProps(name, 0, "x", alias(uint16(1+i%4)))
			m := want[*packet.Publish](s)
			got := string(m.Topic)
			switch {
			case m.Alias > limit:
				e.Errorf("alias %d for a client that takes %d", m.Alias, limit)
			case m.Alias > 0 && got == "":
				got = aliases[m.Alias]
			case m.Alias > 0:
				aliases[m.Alias] = got
			}
			if got != name {
				e.Errorf("topic %q, want %q", got, name)
			}
		}
	}
}

// Subscription identifiers and overlapping subscriptions.

func overlapMaximumQoS(e *env) {
	s := e.connect()
	s.subscribe(e.topic("a"), 0)
	s.subscribe(e.topic("+"), 2)
	s.subscribe(e.topic("#"), 1)
	c := e.connect()
	c.publish(e.topic("a"), 2, "x")
	c.publish(e.topic("end/marker"), 0, "end")
	best := byte(0)
	for {
		m := want[*packet.Publish](s)
		if string(m.Payload) == "end" {
			break
		}
		best = max(best, m.QoS)
		s.accept(m)
	}
	if best != 2 {
		e.Errorf("the highest QoS was %d", best)
	}
}

// overlapIdentifiers collects the identifiers of all copies of one message.
func overlapIdentifiers(e *env) {
	s := e.connect()
	s.subscribeWith(subscriptionID(7), sub(e.topic("a"), 0))
	s.subscribeWith(subscriptionID(300), sub(e.topic("+"), 0))
	s.subscribeWith(subscriptionID(268435455), sub(e.topic("#"), 0))
	s.subscribe(e.topic("a/#"), 0)
	c := e.connect()
	c.publish(e.topic("a"), 1, "x")
	c.publish(e.topic("end/marker"), 1, "end")
	var ids []uint32
	copies := 0
	for {
		m := want[*packet.Publish](s)
		p := s.properties(m)
		if string(m.Payload) == "end" {
			if !slices.Equal(p.SubscriptionIDs, []uint32{268435455}) {
				e.Errorf("identifiers %v of the last message", p.SubscriptionIDs)
			}
			break
		}
		ids = append(ids, p.SubscriptionIDs...)
		copies++
	}
	slices.Sort(ids)
	if !slices.Equal(ids, []uint32{7, 300, 268435455}) {
		e.Errorf("identifiers %v in %d copies", ids, copies)
	}
}

// Flow control.

func receiveMaximumKept(e *env) {
	s, topic := e.connect(receiveMaximum(2)), e.topic("f")
	s.subscribe(topic, 2)
	c := e.connect()
	for _, n := range []string{"1", "2", "3", "4"} {
		c.publish(topic, 1+n[0]%2, n)
	}
	first := s.message(topic, "1")
	second := s.message(topic, "2")
	s.quiet()
	// Other packets are not held up.
	s.subscribe(e.topic("other"), 0)
	c.publish(e.topic("other"), 0, "x")
	s.message(e.topic("other"), "x")
	s.accept(first)
	third := s.message(topic, "3")
	s.quiet()
	s.accept(second)
	fourth := s.message(topic, "4")
	s.accept(third)
	s.accept(fourth)
	s.quiet()
}

// quotaFreedByFailure: a failure in PUBACK or PUBREC frees the place, too.
func quotaFreedByFailure(e *env) {
	s, topic := e.connect(receiveMaximum(1)), e.topic("f")
	s.subscribe(topic, 2)
	c := e.connect()
	c.publish(topic, 1, "1")
	c.publish(topic, 2, "2")
	c.publish(topic, 1, "3")
	s.send(&packet.Ack{Kind: packet.PUBACK, ID: s.message(topic, "1").ID, Code: packet.UnspecifiedError})
	s.send(&packet.Ack{Kind: packet.PUBREC, ID: s.message(topic, "2").ID, Code: packet.UnspecifiedError})
	s.accept(s.message(topic, "3"))
	receiveMaximumKept(e.fresh())
}

func tooLargeDiscarded(e *env) {
	s, topic := e.connect(maximumPacketSize(100), receiveMaximum(1)), e.topic("m")
	s.subscribe(topic, 2)
	c := e.connect()
	for qos := range byte(3) {
		c.publish(topic, qos, strings.Repeat("too large ", 20))
		c.publish(topic, qos, "small")
		s.accept(s.message(topic, "small"))
	}
	s.quiet()
}

// smallAnswers draws every acknowledgement from the broker for a client that takes small packets only.
func smallAnswers(e *env) {
	c := e.connect(on("guarded"), alice, maximumPacketSize(20))
	step := func(p packet.Packet) {
		c.send(p)
		if got := c.next(); len(c.Raw) > 20 {
			e.Errorf("%s of %d bytes", describe(got), len(c.Raw))
		}
	}
	step(&packet.Publish{Topic: []byte("forbidden"), QoS: 1, ID: 1})
	step(&packet.Publish{Topic: []byte("forbidden"), QoS: 2, ID: 2})
	step(&packet.Publish{Topic: []byte("allowed/x"), QoS: 2, ID: 3})
	step(&packet.Ack{Kind: packet.PUBREL, ID: 3})
	step(&packet.Ack{Kind: packet.PUBREL, ID: 77})
	step(&packet.Ack{Kind: packet.PUBREC, ID: 78})
	step(&packet.Subscribe{ID: 4, Filters: []packet.Subscription{sub("allowed/x", 1), sub("$share/g/x", 0)}})
	step(&packet.Unsubscribe{ID: 5, Filters: []string{"allowed/x", "y"}})
}
