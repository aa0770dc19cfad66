//go:build unix

package conformance

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"picket/internal/testbed"
	"picket/packet"
)

// patience is how long a test waits for what has to come. Nothing waits that long for what must not come: see conn.quiet.
const patience = testbed.Patience

// env is what one test works with: a version, and names of its own on brokers that all tests share.
type env struct {
	*testing.T
	v    packet.Version
	name string
}

var tests atomic.Int64

func newEnv(t *testing.T, v packet.Version) *env {
	return &env{T: t, v: v, name: fmt.Sprintf("t%d", tests.Add(1))}
}

// fresh has other names, for a test that is made of others.
func (e *env) fresh() *env { return newEnv(e.T, e.v) }

// topic is a name that only this test uses.
func (e *env) topic(s string) string { return e.name + "/" + s }

// conn is a connection to a broker. Its methods end the test when something is not as it has to be.
type conn struct {
	*env
	*testbed.Client
	id      string
	ack     *packet.Connack
	waiting []packet.Packet // read, but not asked for yet
	nextID  uint16
}

// settings are the fields of a CONNECT and where to send it.
type settings struct {
	packet.Connect
	config string
}

type option func(*settings)

func on(config string) option      { return func(s *settings) { s.config = config } }
func withID(id string) option      { return func(s *settings) { s.ClientID = id } }
func keepAlive(n uint16) option    { return func(s *settings) { s.KeepAlive = n } }
func will(w *packet.Will) option   { return func(s *settings) { s.Will = w } }
func clean(s *settings)            { s.CleanStart = true }
func resuming(s *settings)         { s.CleanStart = false }
func login(name, pw string) option { return func(s *settings) { s.setLogin(name, pw) } }

func (s *settings) setLogin(name, password string) {
	s.HasUsername, s.Username, s.HasPassword, s.Password = true, name, true, []byte(password)
}

// alice is who may log in to the configuration "guarded".
func alice(s *settings) { s.setLogin("alice", "wonderland") }

// lasting makes a session that outlives its connection.
func lasting(s *settings) {
	s.CleanStart = false
	expiry(100)(s)
}

// expiry sets the Session Expiry Interval in seconds, where the version has one.
func expiry(seconds uint32) option {
	return props(func(p *packet.Properties) {
		p.SessionExpiry = seconds
		p.Set(packet.SessionExpiryInterval)
	})
}

// props changes the properties of a CONNECT of MQTT 5.0.
func props(f func(*packet.Properties)) option {
	return func(s *settings) {
		if s.Version != packet.V5 {
			return
		}
		if s.Props == nil {
			s.Props = &packet.Properties{}
		}
		f(s.Props)
	}
}

func receiveMaximum(n uint16) option {
	return props(func(p *packet.Properties) {
		p.ReceiveMaximum = n
		p.Set(packet.ReceiveMaximum)
	})
}

func maximumPacketSize(n uint32) option {
	return props(func(p *packet.Properties) {
		p.MaximumPacketSize = n
		p.Set(packet.MaximumPacketSize)
	})
}

// dial opens a connection to the broker with a configuration and sends nothing.
func (e *env) dial(config string) *conn {
	e.Helper()
	return &conn{env: e, Client: testbed.Dial(e, e.broker(config).Addr(e, "PORT"), e.v)}
}

// greet opens a connection and sends CONNECT. Without options: a clean session under a name of its own, on "open".
func (e *env) greet(opts ...option) *conn {
	e.Helper()
	s := settings{config: "open"}
	s.Version, s.CleanStart = e.v, true
	s.ClientID = fmt.Sprintf("%sc%d", e.name, tests.Add(1))
	for _, o := range opts {
		o(&s)
	}
	c := e.dial(s.config)
	c.id = s.ClientID
	c.send(&s.Connect)
	return c
}

// connect is greet that waits for a CONNACK which accepts.
func (e *env) connect(opts ...option) *conn {
	e.Helper()
	c := e.greet(opts...)
	c.ack = want[*packet.Connack](c)
	if c.ack.Code != packet.Success {
		e.Fatalf("CONNACK: %v", c.ack.Code)
	}
	return c
}

func (c *conn) send(ps ...packet.Packet) {
	c.Helper()
	if err := c.Send(ps...); err != nil {
		c.Fatalf("write: %v", err)
	}
}

func (c *conn) sendRaw(b []byte) {
	c.Helper()
	if _, err := c.Write(b); err != nil {
		c.Fatalf("write: %v", err)
	}
}

// next is the next packet.
func (c *conn) next() packet.Packet {
	c.Helper()
	if len(c.waiting) > 0 {
		p := c.waiting[0]
		c.waiting = c.waiting[1:]
		return p
	}
	p, err := c.Next()
	if err != nil {
		c.Fatalf("waiting for a packet: %v", err)
	}
	return p
}

// want is the next packet, which has to be a T.
func want[T packet.Packet](c *conn) T {
	c.Helper()
	p := c.next()
	t, ok := p.(T)
	if !ok {
		var none T
		c.Fatalf("got %s, want %T", describe(p), none)
	}
	return t
}

// wantAck is the next packet, which has to be an acknowledgement of this kind and identifier.
func (c *conn) wantAck(kind packet.Type, id uint16) *packet.Ack {
	c.Helper()
	a := want[*packet.Ack](c)
	if a.Kind != kind || a.ID != id {
		c.Fatalf("got %s, want %v of %d", describe(a), kind, id)
	}
	return a
}

func describe(p packet.Packet) string {
	switch p := p.(type) {
	case *packet.Publish:
		return fmt.Sprintf("PUBLISH %q %q QoS %d id %d dup %v retain %v", p.Topic, p.Payload[:min(len(p.Payload), 40)], p.QoS, p.ID, p.Dup, p.Retain)
	case *packet.Ack:
		return fmt.Sprintf("%v of %d, %v", p.Kind, p.ID, p.Code)
	case *packet.Disconnect:
		return fmt.Sprintf("DISCONNECT, %v", p.Code)
	}
	return fmt.Sprintf("%v %+v", p.Type(), p)
}

// until is the next packet that is a T; messages that come before are kept for later.
func until[T packet.Packet](c *conn) T {
	c.Helper()
	for {
		p, err := c.Next()
		if err != nil {
			var none T
			c.Fatalf("waiting for %T: %v", none, err)
		}
		if t, ok := p.(T); ok {
			return t
		}
		if _, ok := p.(*packet.Publish); !ok {
			c.Fatalf("got %s in between", describe(p))
		}
		c.waiting = append(c.waiting, p)
	}
}

// quiet checks that nothing is on its way: the answer to a PINGREQ is the next packet.
func (c *conn) quiet() {
	c.Helper()
	c.send(packet.Pingreq{})
	want[packet.Pingresp](c)
}

// end reads until the broker closes the connection and returns what came before.
func (c *conn) end() []packet.Packet {
	c.Helper()
	ps := slices.Clone(c.waiting)
	for {
		p, err := c.Next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.Fatalf("the broker has not closed the connection within %v", patience)
		}
		var e *packet.Error
		if errors.As(err, &e) {
			c.Fatal(err)
		}
		if err != nil { // end of file, or a reset where bytes were left unread
			return ps
		}
		ps = append(ps, p)
	}
}

// refused checks that the broker closes the connection with nothing but a DISCONNECT before, in MQTT 5.0, with one of the codes.
func (c *conn) refused(codes ...packet.Code) {
	c.Helper()
	ps := c.end()
	switch {
	case len(ps) == 0:
		return
	case len(ps) == 1 && c.v == packet.V5:
		if d, ok := ps[0].(*packet.Disconnect); ok {
			if !d.Code.Failed() || len(codes) > 0 && !slices.Contains(codes, d.Code) {
				c.Fatalf("DISCONNECT with %v, want one of %v", d.Code, codes)
			}
			return
		}
	}
	c.Fatalf("before the end came %s", describe(ps[0]))
}

// rejected checks that CONNECT is not accepted: the connection is closed, with at most one CONNACK before that says why.
func (c *conn) rejected(codes ...packet.Code) {
	c.Helper()
	ps := c.end()
	if len(ps) == 0 {
		return
	}
	a, ok := ps[0].(*packet.Connack)
	if !ok || len(ps) > 1 {
		c.Fatalf("CONNECT was answered with %s and %d more packets", describe(ps[0]), len(ps)-1)
	}
	if !a.Code.Failed() || a.SessionPresent || len(codes) > 0 && !slices.Contains(codes, a.Code) {
		c.Fatalf("CONNACK with %v, session present %v; want one of %v", a.Code, a.SessionPresent, codes)
	}
}

// drop ends the connection without DISCONNECT and waits until the broker has noticed.
func (c *conn) drop() {
	c.Helper()
	c.Conn.(*net.TCPConn).CloseWrite()
	if err := c.Rest(patience); errors.Is(err, os.ErrDeadlineExceeded) {
		c.Fatal("the broker keeps a connection that its client has ended")
	}
	c.Close()
}

// leave ends the connection with DISCONNECT and waits until the broker has closed.
func (c *conn) leave() {
	c.Helper()
	c.send(&packet.Disconnect{})
	c.drop()
}

// id16 is a packet identifier that this connection has not used.
func (c *conn) id16() uint16 {
	c.nextID++
	return c.nextID
}

// subscribe subscribes and checks that all is granted.
func (c *conn) subscribe(filter string, qos byte) { c.Helper(); c.subscribeTo(sub(filter, qos)) }

func sub(filter string, qos byte) packet.Subscription {
	return packet.Subscription{Filter: filter, QoS: qos}
}

func (c *conn) subscribeTo(subs ...packet.Subscription) {
	c.Helper()
	c.subscribeWith(nil, subs...)
}

// subscribeWith also gives the SUBSCRIBE properties, for instance a Subscription Identifier.
func (c *conn) subscribeWith(p *packet.Properties, subs ...packet.Subscription) {
	c.Helper()
	id := c.id16()
	c.send(&packet.Subscribe{ID: id, Props: p, Filters: subs})
	ack := until[*packet.Suback](c)
	if ack.ID != id || len(ack.Codes) != len(subs) {
		c.Fatalf("SUBACK %+v for id %d, %d filters", ack, id, len(subs))
	}
	for i, code := range ack.Codes {
		if byte(code) != subs[i].QoS {
			c.Fatalf("%q with QoS %d: %v", subs[i].Filter, subs[i].QoS, code)
		}
	}
}

func subscriptionID(n uint32) *packet.Properties {
	return (&packet.Properties{SubscriptionIDs: []uint32{n}}).Set(packet.SubscriptionIdentifier)
}

// publish sends a message and takes part in the handshake of its QoS to the end.
func (c *conn) publish(topic string, qos byte, payload string) {
	c.Helper()
	c.publishPacket(&packet.Publish{Topic: []byte(topic), QoS: qos, Payload: []byte(payload)})
}

// retain publishes with the RETAIN flag.
func (c *conn) retain(topic string, qos byte, payload string) {
	c.Helper()
	c.publishPacket(&packet.Publish{Topic: []byte(topic), QoS: qos, Retain: true, Payload: []byte(payload)})
}

func (c *conn) publishPacket(p *packet.Publish) {
	c.Helper()
	if p.QoS > 0 {
		p.ID = c.id16()
	}
	c.send(p)
	switch p.QoS {
	case 1:
		if a := c.ackOf(packet.PUBACK, p.ID); a.Code.Failed() {
			c.Fatalf("PUBACK: %v", a.Code)
		}
	case 2:
		if a := c.ackOf(packet.PUBREC, p.ID); a.Code.Failed() {
			c.Fatalf("PUBREC: %v", a.Code)
		}
		c.send(&packet.Ack{Kind: packet.PUBREL, ID: p.ID})
		c.ackOf(packet.PUBCOMP, p.ID)
	}
}

// ackOf waits for an acknowledgement; messages that come before are kept.
func (c *conn) ackOf(kind packet.Type, id uint16) *packet.Ack {
	c.Helper()
	a := until[*packet.Ack](c)
	if a.Kind != kind || a.ID != id {
		c.Fatalf("got %s, want %v of %d", describe(a), kind, id)
	}
	return a
}

// publishProps is publish with properties.
func (c *conn) publishProps(topic string, qos byte, payload string, p *packet.Properties) {
	c.Helper()
	c.publishPacket(&packet.Publish{Topic: []byte(topic), QoS: qos, Payload: []byte(payload), Props: p.AppendRaw(nil)})
}

// message is the next packet, which has to be a PUBLISH with this topic and payload.
func (c *conn) message(topic, payload string) *packet.Publish {
	c.Helper()
	p := want[*packet.Publish](c)
	if string(p.Topic) != topic || string(p.Payload) != payload {
		c.Fatalf("got %s, want topic %q, payload %q", describe(p), topic, payload)
	}
	return p
}

// accept acknowledges a message as its QoS demands.
func (c *conn) accept(p *packet.Publish) {
	c.Helper()
	switch p.QoS {
	case 1:
		c.send(&packet.Ack{Kind: packet.PUBACK, ID: p.ID})
	case 2:
		c.send(&packet.Ack{Kind: packet.PUBREC, ID: p.ID})
		c.ackOf(packet.PUBREL, p.ID)
		c.send(&packet.Ack{Kind: packet.PUBCOMP, ID: p.ID})
	}
}

// properties are the properties of a message; never nil.
func (c *conn) properties(p *packet.Publish) *packet.Properties {
	c.Helper()
	props, err := p.Properties()
	if err != nil {
		c.Fatal(err)
	}
	if props == nil {
		props = &packet.Properties{}
	}
	return props
}

// bytesOf builds a packet with any first byte; strings get their length before them, all else goes in as it is.
func bytesOf(first byte, parts ...any) []byte {
	var body []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			body = append(body, byte(p))
		case uint16:
			body = append(body, byte(p>>8), byte(p))
		case []byte:
			body = append(body, p...)
		case string:
			body = append(body, byte(len(p)>>8), byte(len(p)))
			body = append(body, p...)
		default:
			panic(fmt.Sprintf("bytesOf: %T", p))
		}
	}
	return append(packet.AppendVarint([]byte{first}, len(body)), body...)
}

// connectBytes builds a CONNECT by hand: flags and what follows the properties.
func (e *env) connectBytes(flags int, payload ...any) []byte {
	head := []any{"MQTT", int(e.v), flags, uint16(60)}
	if e.v == packet.V5 {
		head = append(head, 0)
	}
	return bytesOf(0x10, append(head, payload...)...)
}

// noProps is the empty property length where the version has one.
func (e *env) noProps() []byte {
	if e.v == packet.V5 {
		return []byte{0}
	}
	return nil
}

func long(n int) string { return strings.Repeat("x", n) }
