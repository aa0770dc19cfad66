//go:build unix

package conformance

import (
	"bytes"
	"slices"
	"time"

	"picket/packet"
)

// Packets that break the format end the connection.

const (
	illFormed = "a\xc0\xaf"     // an overlong slash
	surrogate = "a\xed\xa0\x80" // U+D800
)

// closes sends each of the packets over a connection of its own and wants the broker to close it.
func closes(e *env, packets ...[]byte) {
	e.Helper()
	for _, b := range packets {
		c := e.connect()
		c.sendRaw(b)
		c.refused(packet.MalformedPacket, packet.ProtocolError, packet.TopicNameInvalid, packet.TopicFilterInvalid, packet.TopicAliasInvalid)
	}
}

// closesBefore sends each of the packets as the first of a connection and wants the broker to close it without accepting.
func closesBefore(e *env, packets ...[]byte) {
	e.Helper()
	for _, b := range packets {
		c := e.dial("open")
		c.sendRaw(b)
		c.rejected()
	}
}

func stringsIllFormed(e *env) {
	for _, s := range []string{illFormed, surrogate, "\xff"} {
		closesBefore(e, e.connectBytes(2, s))
		closes(e,
			bytesOf(0x30, s, e.noProps(), []byte("payload")),
			bytesOf(0x82, uint16(1), e.noProps(), s, 0),
			bytesOf(0xa2, uint16(1), e.noProps(), s))
	}
}

func stringsWithNUL(e *env) {
	closesBefore(e, e.connectBytes(2, "a\x00b"))
	closes(e,
		bytesOf(0x30, "a\x00b", e.noProps()),
		bytesOf(0x82, uint16(1), e.noProps(), "a\x00b", 0))
}

func byteOrderMarkKept(e *env) {
	c := e.connect()
	name := e.topic("\ufeffbom")
	c.subscribe(e.topic("bom"), 0)
	c.subscribe(name, 0)
	c.publish(name, 0, "x")
	c.message(name, "x")
	c.quiet()
}

// variableIntegersShort reads packets whose lengths lie on the borders between one, two and three bytes.
func variableIntegersShort(e *env) {
	c := e.connect()
	topic := e.topic("v")
	c.subscribe(topic, 0)
	for _, remaining := range []int{127, 128, 16383, 16384} {
		payload := long(remaining - 2 - len(topic) - 1)
		c.publish(topic, 0, payload)
		m := c.message(topic, payload)
		if n := packet.PublishSize(packet.V5, len(topic), 0, len(payload), 0); len(c.Raw) != n {
			e.Errorf("a packet of remaining length %d takes %d bytes instead of %d", remaining, len(c.Raw), n)
		}
		if len(m.Props) != 0 {
			e.Errorf("properties % x", m.Props)
		}
	}
	closes(e, bytesOf(0x30, "a", []byte{0x80, 0x00})) // a property length of 0 in two bytes
}

func userPropertyIllFormed(e *env) {
	closes(e,
		bytesOf(0x30, "a", 8, 0x26, illFormed, "v"),
		bytesOf(0x30, "a", 8, 0x26, "k", illFormed))
}

func reservedFlags(e *env) {
	closesBefore(e, append([]byte{0x11}, e.connectBytes(2, "c")[1:]...))
	closes(e, []byte{0xc1, 0}, bytesOf(0x42, uint16(1)), bytesOf(0x51, uint16(1)), bytesOf(0x71, uint16(1)))
}

func pubrelFlags(e *env)      { closes(e, bytesOf(0x60, uint16(1)), bytesOf(0x6a, uint16(1))) }
func subscribeFlags(e *env)   { closes(e, bytesOf(0x80, uint16(1), e.noProps(), "a", 0)) }
func unsubscribeFlags(e *env) { closes(e, bytesOf(0xa0, uint16(1), e.noProps(), "a")) }

func disconnectFlags(e *env) {
	c := e.connect()
	c.sendRaw([]byte{0xe1, 0})
	c.refused(packet.MalformedPacket)
}

func authFlags(e *env) { closes(e, bytesOf(0xf1, 0x19, 0)) }

func packetIdentifierZero(e *env) {
	closes(e,
		bytesOf(0x32, "a", uint16(0), e.noProps()),
		bytesOf(0x34, "a", uint16(0), e.noProps()),
		bytesOf(0x82, uint16(0), e.noProps(), "a", 0),
		bytesOf(0xa2, uint16(0), e.noProps(), "a"))
}

func noFilter(e *env)            { closes(e, bytesOf(0x82, uint16(1), e.noProps())) }
func noFilterUnsubscribe(e *env) { closes(e, bytesOf(0xa2, uint16(1), e.noProps())) }

func subscribeReservedBits(e *env) {
	options := []int{0x40, 0x80, 0xc0}
	if e.v != packet.V5 {
		options = []int{3, 4, 0x80}
	}
	for _, o := range options {
		closes(e, bytesOf(0x82, uint16(1), e.noProps(), "a", o))
	}
}

func filterIllFormed(e *env) {
	closes(e, bytesOf(0x82, uint16(1), e.noProps(), illFormed, 0))
}

func filterIllFormedUnsubscribe(e *env) {
	closes(e, bytesOf(0xa2, uint16(1), e.noProps(), illFormed))
}

func qos3(e *env)          { closes(e, bytesOf(0x36, "a", uint16(1), e.noProps())) }
func dupWithQoS0(e *env)   { closes(e, bytesOf(0x38, "a", e.noProps())) }
func nameIllFormed(e *env) { closes(e, bytesOf(0x30, surrogate, e.noProps()), bytesOf(0x30)) }
func nameWildcards(e *env) {
	closes(e, bytesOf(0x30, "a/#", e.noProps()), bytesOf(0x30, "+/b", e.noProps()))
}
func aliasZero(e *env)      { closes(e, bytesOf(0x30, "a", 3, 0x23, uint16(0))) }
func idFromClient(e *env)   { closes(e, bytesOf(0x30, "a", 2, 0x0b, 1)) }
func emptyName(e *env)      { closes(e, bytesOf(0x30, "", e.noProps())) }
func emptyFilter(e *env)    { closes(e, bytesOf(0x82, uint16(1), e.noProps(), "", 0)) }
func contentTypeBad(e *env) { closes(e, bytesOf(0x30, "a", 6, 0x03, illFormed)) }
func responseBad(e *env)    { closes(e, bytesOf(0x30, "a", 6, 0x08, illFormed)) }

func responseWildcard(e *env) {
	closes(e, bytesOf(0x30, "a", 6, 0x08, "r/#"), bytesOf(0x30, "a", 6, 0x08, "r/+"))
}

func emptyNameOrFilter(e *env) {
	emptyName(e)
	emptyFilter(e)
}

// badWildcards are filters with a wildcard where none may stand. The broker may close, or refuse the filter in SUBACK.
func badWildcards(e *env, filters ...string) {
	for _, f := range filters {
		c := e.connect()
		c.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: f}}})
		ps := c.endOrAnswer()
		for _, p := range ps {
			if a, ok := p.(*packet.Suback); ok && !a.Codes[0].Failed() {
				e.Errorf("filter %q was granted", f)
			}
		}
	}
}

// endOrAnswer is what comes up to a SUBACK or the end of the connection.
func (c *conn) endOrAnswer() []packet.Packet {
	p, err := c.Next()
	if err != nil {
		return nil
	}
	return []packet.Packet{p}
}

func hashNotLast(e *env)      { badWildcards(e, "a#", "a/#/b", "#/a", "a/b#") }
func plusNotWhole(e *env)     { badWildcards(e, "a+", "+a", "a/+b/c") }
func shareWithoutName(e *env) { badWildcards(e, "$share//a") }
func shareBadName(e *env)     { badWildcards(e, "$share/g+/a", "$share/g#/a", "$share/g", "$share/g/") }

func shareNoLocal(e *env) {
	c := e.connect()
	c.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: "$share/g/a", NoLocal: true}}})
	c.refused(packet.ProtocolError)
}

// malformedCloses is a choice of packets that cannot be read at all.
func malformedCloses(e *env) {
	closes(e,
		[]byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x01}, // length of five bytes
		[]byte{0x00, 0},                        // packet type 0
		bytesOf(0x30, []byte{0xff, 0xff, 'a'}), // topic longer than the packet
		bytesOf(0xc0, 0))                       // PINGREQ with a body
}

func protocolErrorCloses(e *env) {
	c := e.connect()
	c.send(&packet.Connect{Version: e.v, ClientID: c.id, CleanStart: true})
	c.refused(packet.ProtocolError)
	malformedCloses(e)
}

// failureCloses: whatever ends with a code of 0x80 or more ends the connection.
func failureCloses(e *env) {
	e.greet(on("guarded"), login("alice", "wrong")).rejected(packet.BadUserNameOrPassword, packet.NotAuthorized)
	protocolErrorCloses(e)
}

// noRoom: a packet that the broker has no room for closes its own connection and no other.
func noRoom(e *env) {
	other := e.connect(on("limited"))
	other.subscribe(e.topic("a"), 1)
	c := e.connect(on("limited"))
	c.publish(e.topic("a"), 1, long(1500))
	c.send(&packet.Publish{Topic: []byte(e.topic("a")), QoS: 1, ID: 9, Payload: []byte(long(3000))})
	c.refused(packet.PacketTooLarge)
	other.accept(other.message(e.topic("a"), long(1500)))
	other.quiet()
}

func longestName(e *env) {
	c := e.connect()
	name := e.topic("")
	name += long(packet.MaxString - len(name))
	c.subscribe(name, 0)
	c.publish(name, 0, "x")
	c.message(name, "x")
}

// orderedStream sends a message byte by byte, and many in one write.
func orderedStream(e *env) {
	c := e.connect()
	topic := e.topic("s")
	c.subscribe(topic, 0)
	big := long(1 << 20)
	for _, b := range (&packet.Publish{Topic: []byte(topic), Payload: []byte("slow")}).Append(nil, e.v) {
		c.sendRaw([]byte{b})
		time.Sleep(time.Millisecond)
	}
	c.message(topic, "slow")
	c.publish(topic, 0, big)
	c.message(topic, big)
	one := (&packet.Publish{Topic: []byte(topic), Payload: []byte("fast")}).Append(nil, e.v)
	c.sendRaw(bytes.Repeat(one, 50))
	for range 50 {
		c.message(topic, "fast")
	}
}

// emptyPropertiesHaveLength looks at the bytes of packets without properties.
func emptyPropertiesHaveLength(e *env) {
	c := e.connect()
	topic := e.topic("p")
	c.subscribe(topic, 0)
	if got := c.Raw; len(got) != 6 || got[4] != 0 {
		e.Errorf("SUBACK: % x", got)
	}
	c.publish(topic, 0, "x")
	c.message(topic, "x")
	if want := bytesOf(0x30, topic, 0, []byte("x")); !bytes.Equal(c.Raw, want) {
		e.Errorf("PUBLISH: % x, want % x", c.Raw, want)
	}
}

func qos0HasNoIdentifier(e *env) {
	c := e.connect()
	topic := e.topic("q")
	c.subscribe(topic, 2)
	c.publish(topic, 0, "x")
	if m := c.message(topic, "x"); m.QoS != 0 || m.Dup {
		e.Error(describe(m))
	}
	if want := bytesOf(0x30, topic, e.noProps(), []byte("x")); !bytes.Equal(c.Raw, want) {
		e.Errorf("PUBLISH: % x, want % x", c.Raw, want)
	}
}

// identifiersUnused has three messages in flight.
func identifiersUnused(e *env, qos byte) {
	c := e.connect()
	topic := e.topic("i")
	c.subscribe(topic, qos)
	p := e.connect()
	var ids []uint16
	for _, s := range []string{"1", "2", "3"} {
		p.publish(topic, qos, s)
		m := c.message(topic, s)
		if m.ID == 0 || m.QoS != qos || m.Dup || slices.Contains(ids, m.ID) {
			e.Errorf("%s with %v in flight", describe(m), ids)
		}
		ids = append(ids, m.ID)
	}
}

func identifiersUnused1(e *env) { identifiersUnused(e, 1) }
func identifiersUnused2(e *env) { identifiersUnused(e, 2) }

func pingIsAnswered(e *env) {
	c := e.connect()
	c.send(packet.Pingreq{}, packet.Pingreq{})
	want[packet.Pingresp](c)
	want[packet.Pingresp](c)
}
