//go:build unix

package conformance

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"picket/packet"
)

func firstIsConnect(e *env) {
	for _, p := range []packet.Packet{packet.Pingreq{}, &packet.Publish{Topic: []byte("a")}, &packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: "a"}}}} {
		c := e.dial("open")
		c.send(p)
		if ps := c.end(); len(ps) > 0 {
			e.Errorf("%v as the first packet was answered with %s", p.Type(), describe(ps[0]))
		}
	}
}

func secondConnect(e *env) {
	c := e.connect()
	c.send(&packet.Connect{Version: e.v, ClientID: c.id, CleanStart: true})
	c.refused(packet.ProtocolError)
}

func protocolName(e *env) {
	closesBefore(e,
		bytesOf(0x10, "MQTX", int(e.v), 2, uint16(60), e.noProps(), "c"),
		bytesOf(0x10, "mqtt", int(e.v), 2, uint16(60), e.noProps(), "c"))
}

// protocolLevel: an answer, where there is one, is a CONNACK of three or more bytes whose form the client's level does not tell us.
func protocolLevel(e *env) {
	for _, level := range []int{1, 7, 99} {
		c := e.dial("open")
		c.sendRaw(bytesOf(0x10, "MQTT", level, 2, uint16(60), e.noProps(), e.name))
		c.SetReadDeadline(time.Now().Add(patience))
		b, err := io.ReadAll(c.Reader)
		if err != nil {
			e.Fatalf("level %d: the connection was not closed: %v", level, err)
		}
		if e.v == packet.V311 && string(b) != "\x20\x02\x00\x01" {
			e.Errorf("level %d was answered with % x", level, b)
		}
		if len(b) > 0 && (b[0] != 0x20 || len(b) < 4 || b[2] != 0 || b[3] != 1 && b[3] != 0x84) {
			e.Errorf("level %d was answered with % x", level, b)
		}
	}
}

func connectReservedFlag(e *env) { closesBefore(e, e.connectBytes(3, "c")) }

func willQoSWithoutWill(e *env) {
	closesBefore(e, e.connectBytes(0x0a, "c"), e.connectBytes(0x12, "c"))
}
func willQoS3(e *env)              { closesBefore(e, e.connectBytes(0x1e, "c", e.noProps(), "w", "")) }
func willRetainWithoutWill(e *env) { closesBefore(e, e.connectBytes(0x22, "c")) }

func willFieldsMissing(e *env) {
	closesBefore(e, e.connectBytes(6, "c"), e.connectBytes(6, "c", e.noProps(), "w"))
}

func willTopicIllFormed(e *env) {
	closesBefore(e, e.connectBytes(6, "c", e.noProps(), illFormed, "x"))
}

func userNameIllFormed(e *env) { closesBefore(e, e.connectBytes(0x82, "c", illFormed)) }
func userNameSurplus(e *env)   { closesBefore(e, e.connectBytes(2, "c", "user")) }
func userNameMissing(e *env)   { closesBefore(e, e.connectBytes(0x82, "c")) }
func passwordSurplus(e *env)   { closesBefore(e, e.connectBytes(0x82, "c", "user", "password")) }
func passwordMissing(e *env)   { closesBefore(e, e.connectBytes(0xc2, "c", "user")) }
func passwordAlone(e *env)     { closesBefore(e, e.connectBytes(0x42, "c", "password")) }

func clientIDMissing(e *env)   { closesBefore(e, e.connectBytes(2)) }
func clientIDIllFormed(e *env) { closesBefore(e, e.connectBytes(2, illFormed)) }

// nonconforming are CONNECT packets that are not as section 3.1 has them; 3.1.1 wants no CONNACK for them.
func nonconforming(e *env) {
	for _, b := range [][]byte{e.connectBytes(3, "c"), e.connectBytes(2), e.connectBytes(0x1e, "c", e.noProps(), "w", ""), e.connectBytes(2, "c", 0)} {
		c := e.dial("open")
		c.sendRaw(b)
		if e.v == packet.V5 {
			c.rejected()
		} else if ps := c.end(); len(ps) > 0 {
			e.Errorf("% x was answered with %s", b, describe(ps[0]))
		}
	}
}

// payloadOrder sends all fields of the payload and sees each of them used.
func payloadOrder(e *env) {
	watcher := e.connect(on("guarded"), alice)
	topic := "allowed/" + e.topic("will")
	watcher.subscribe(topic, 0)
	c := e.connect(on("guarded"), alice, will(&packet.Will{Topic: topic, Payload: []byte("gone")}))
	c.drop()
	watcher.message(topic, "gone")
}

func clientIDIsSession(e *env) {
	one, two := e.connect(lasting, withID(e.name+"one")), e.connect(lasting, withID(e.name+"two"))
	topic := e.topic("a")
	one.subscribe(topic, 1)
	one.drop()
	two.drop()
	e.connect(clean).publish(topic, 1, "x")
	two = e.connect(lasting, withID(two.id))
	two.quiet()
	one = e.connect(lasting, withID(one.id))
	one.accept(one.message(topic, "x"))
}

func clientIDs(e *env) {
	const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for _, id := range []string{letters[:23], letters[23:46], letters[39:], "Z"} {
		e.connect(withID(id)).leave()
	}
}

// emptyClientID: the server makes one up, which works like any other and is nobody else's.
func emptyClientID(e *env) {
	a, b := e.connect(withID("")), e.connect(withID(""))
	topic := e.topic("a")
	a.subscribe(topic, 0)
	b.subscribe(topic, 0)
	b.publish(topic, 0, "x")
	a.message(topic, "x")
	b.message(topic, "x")
	if e.v != packet.V5 {
		return
	}
	ids := []string{a.assigned(), b.assigned()}
	if ids[0] == "" || ids[1] == "" || ids[0] == ids[1] {
		e.Fatalf("assigned %q", ids)
	}
	// The name is the session's: who comes with it takes it over.
	e.connect(withID(ids[0]))
	a.refused(packet.SessionTakenOver)
}

func (c *conn) assigned() string {
	if !c.ack.Props.Has(packet.AssignedClientIdentifier) {
		return ""
	}
	return c.ack.Props.AssignedClientID
}

// emptyClientIDRefused: the broker may be told to want names. 3.1.1 prescribes the answer.
func emptyClientIDRefused(e *env) {
	if e.v == packet.V5 {
		e.greet(on("limited"), withID("")).rejected()
		return
	}
	ps := e.greet(on("limited"), withID("")).end()
	if len(ps) != 1 || ps[0].(*packet.Connack).Code != packet.ClientIdentifierNotValid {
		e.Errorf("answered with %v", ps)
	}
}

// plainClient does without anything that is not in the specification.
func plainClient(e *env) {
	c := e.connect()
	c.subscribe(e.topic("a"), 0)
	c.publish(e.topic("a"), 0, "x")
	c.message(e.topic("a"), "x")
	c.unsubscribe(e.topic("a"))
	c.quiet()
	c.leave()
}

func emptyClientIDWithSession(e *env) {
	c := e.greet(withID(""), resuming)
	if ps := c.end(); len(ps) != 1 || ps[0].(*packet.Connack).Code != packet.ClientIdentifierNotValid {
		e.Errorf("answered with %v", ps)
	}
}

func connackRefusal(e *env) {
	c := e.greet(on("guarded"), login("alice", "wrong"), lasting)
	ps := c.end()
	if len(ps) != 1 {
		e.Fatalf("%d packets", len(ps))
	}
	if a := ps[0].(*packet.Connack); !a.Code.Failed() || c.Raw[2] != 0 {
		e.Errorf("CONNACK % x", c.Raw)
	}
}

func authenticationFails(e *env) {
	e.greet(on("guarded")).rejected(packet.BadUserNameOrPassword, packet.NotAuthorized)
	e.greet(on("guarded"), login("alice", "wrong")).rejected(packet.BadUserNameOrPassword, packet.NotAuthorized)
	e.greet(on("guarded"), login("bob", "wonderland")).rejected(packet.BadUserNameOrPassword, packet.NotAuthorized)
}

func takeover(e *env) {
	old := e.connect()
	young := e.connect(withID(old.id))
	old.refused(packet.SessionTakenOver)
	young.quiet()
}

func acceptedWithZero(e *env) {
	if c := e.connect(); c.ack.Code != packet.Success || c.ack.SessionPresent {
		e.Errorf("CONNACK %+v", c.ack)
	}
}

// refusedDataIgnored has a message right behind a CONNECT that is refused.
func refusedDataIgnored(e *env) {
	topic := "allowed/" + e.topic("r")
	c := e.dial("guarded")
	s := settings{Connect: packet.Connect{Version: e.v, CleanStart: true, ClientID: e.name}}
	login("alice", "wrong")(&s)
	c.send(&s.Connect, &packet.Publish{Topic: []byte(topic), Payload: []byte("x"), Retain: true})
	c.rejected(packet.BadUserNameOrPassword, packet.NotAuthorized)
	a := e.connect(on("guarded"), alice)
	a.subscribe(topic, 0)
	a.quiet()
}

// connackFirst has messages waiting for the session.
func connackFirst(e *env) {
	c := e.connect(lasting)
	topic := e.topic("q")
	c.subscribe(topic, 1)
	c.drop()
	e.connect().publish(topic, 1, "x")
	c = e.greet(lasting, withID(c.id))
	want[*packet.Connack](c)
	c.accept(c.message(topic, "x"))
	c.quiet()
}

func connackOnce(e *env) {
	c := e.connect()
	c.subscribe(e.topic("a"), 0)
	c.publish(e.topic("a"), 0, "x")
	c.message(e.topic("a"), "x")
	c.quiet()
}

func connackFlags(e *env) {
	c := e.connect(lasting)
	if c.Raw[2] != 0 {
		e.Errorf("CONNACK % x", c.Raw)
	}
	c.drop()
	if c = e.connect(lasting, withID(c.id)); c.Raw[2] != 1 {
		e.Errorf("CONNACK % x", c.Raw)
	}
}

func connackCodes(e *env) {
	authenticationFails(e)
	takeover(e)
}

func keepAliveEnds(e *env) {
	begin := time.Now()
	c := e.connect(keepAlive(1))
	c.refused(packet.KeepAliveTimeout)
	if d := time.Since(begin); d < time.Second { // counted from before CONNECT: a slow machine makes it longer only
		e.Errorf("the connection was closed after %v, its keep alive is 1 s", d)
	}
}

// keepAliveKept sends something within the time, for longer than one and a half times the time.
func keepAliveKept(e *env) {
	c := e.connect(keepAlive(10)) // a busy machine may stand still for some seconds
	for range 3 {
		time.Sleep(6 * time.Second)
		c.quiet()
	}
}

// clientKeepAlive: without Server Keep Alive the client's value holds.
func clientKeepAlive(e *env) {
	keepAliveKept(e)
	c := e.connect(keepAlive(1))
	if c.ack.Props.Has(packet.ServerKeepAlive) {
		e.Fatalf("Server Keep Alive %d", c.ack.Props.ServerKeepAlive)
	}
	c.refused(packet.KeepAliveTimeout)
}

func maximumQoSTold(e *env) {
	c := e.connect(on("limited"))
	if !c.ack.Props.Has(packet.MaximumQoS) || c.ack.Props.MaximumQoS != 1 {
		e.Errorf("Maximum QoS is not told: %+v", c.ack.Props)
	}
	if !c.ack.Props.Has(packet.RetainAvailable) || c.ack.Props.RetainAvailable != 0 {
		e.Errorf("Retain Available is not told: %+v", c.ack.Props)
	}
	c.send(&packet.Publish{Topic: []byte(e.topic("a")), QoS: 2, ID: 1})
	c.refused(packet.QoSNotSupported)
}

func subscribeAboveMaximumQoS(e *env) {
	c := e.connect(on("limited"))
	c.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{sub(e.topic("a"), 0), sub(e.topic("b"), 1), sub(e.topic("c"), 2)}})
	a := want[*packet.Suback](c)
	if len(a.Codes) != 3 || slices.ContainsFunc(a.Codes, packet.Code.Failed) {
		e.Errorf("SUBACK %v", a.Codes)
	}
}

func willAboveMaximumQoS(e *env) {
	e.greet(on("limited"), will(&packet.Will{Topic: "w", QoS: 2})).rejected(packet.QoSNotSupported)
}

func willRetainNotSupported(e *env) {
	e.greet(on("limited"), will(&packet.Will{Topic: "w", Retain: true})).rejected(packet.RetainNotSupported)
}

// connackWithinMaximum: a refusal is as small as the client wants all packets.
func connackWithinMaximum(e *env) {
	c := e.greet(on("guarded"), login("alice", "wrong"), maximumPacketSize(12))
	for _, p := range c.end() {
		if len(c.Raw) > 12 {
			e.Errorf("%s of %d bytes", describe(p), len(c.Raw))
		}
	}
}

func noResponseInformation(e *env) {
	for _, o := range []option{clean, props(func(p *packet.Properties) {
		p.RequestResponse = 0
		p.Set(packet.RequestResponseInformation)
	})} {
		if c := e.connect(o); c.ack.Props.Has(packet.ResponseInformation) {
			e.Errorf("Response Information %q", c.ack.Props.ResponseInfo)
		}
	}
}

// noProblemInformation draws failures from the broker, none of which may be explained.
func noProblemInformation(e *env) {
	c := e.connect(on("guarded"), alice, props(func(p *packet.Properties) {
		p.RequestProblem = 0
		p.Set(packet.RequestProblemInformation)
	}))
	var all []*packet.Properties
	c.send(&packet.Publish{Topic: []byte("forbidden"), QoS: 1, ID: 1})
	all = append(all, c.wantAck(packet.PUBACK, 1).Props)
	c.send(&packet.Publish{Topic: []byte("forbidden"), QoS: 2, ID: 2})
	all = append(all, c.wantAck(packet.PUBREC, 2).Props)
	c.send(&packet.Ack{Kind: packet.PUBREL, ID: 3})
	all = append(all, c.wantAck(packet.PUBCOMP, 3).Props)
	c.send(&packet.Unsubscribe{ID: 4, Filters: []string{"never/subscribed"}})
	all = append(all, want[*packet.Unsuback](c).Props)
	c.send(&packet.Subscribe{ID: 5, Filters: []packet.Subscription{sub("$SYS/broker/secret", 1)}})
	all = append(all, want[*packet.Suback](c).Props)
	for i, p := range all {
		if p.Has(packet.ReasonString) || p.Has(packet.UserProperties) {
			e.Errorf("acknowledgement %d explains: %q %v", i, p.ReasonString, p.User)
		}
	}
}

// noDisconnectBeforeConnack sends a CONNECT that cannot be accepted.
func noDisconnectBeforeConnack(e *env) {
	c := e.dial("open")
	c.sendRaw(e.connectBytes(3, "c"))
	for _, p := range c.end() {
		if d, ok := p.(*packet.Disconnect); ok {
			e.Error(describe(d))
		}
	}
	c = e.greet(on("guarded"), login("alice", "wrong"))
	for _, p := range c.end() {
		if d, ok := p.(*packet.Disconnect); ok {
			e.Error(describe(d))
		}
	}
}

// disconnectIsLast draws a DISCONNECT: it has a code of the list, no Session Expiry Interval, and the end behind it.
func disconnectIsLast(e *env) {
	old := e.connect(lasting)
	old.subscribe(e.topic("a"), 0)
	young := e.connect(withID(old.id))
	young.publish(e.topic("a"), 0, "x")
	ps := old.end()
	if len(ps) != 1 {
		e.Fatalf("%d packets", len(ps))
	}
	d, ok := ps[0].(*packet.Disconnect)
	if !ok || d.Code != packet.SessionTakenOver || d.Props.Has(packet.SessionExpiryInterval) {
		e.Error(describe(ps[0]))
	}
}

// disconnectWithinMaximum has to say why in few bytes.
func disconnectWithinMaximum(e *env) {
	c := e.connect(maximumPacketSize(20))
	c.sendRaw(bytesOf(0x30, strings.Repeat("long/", 20)+"#", 0))
	for {
		p, err := c.Next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			e.Fatal("the connection was not closed")
		}
		if err != nil {
			return
		}
		if len(c.Raw) > 20 {
			e.Errorf("%s of %d bytes", describe(p), len(c.Raw))
		}
	}
}
