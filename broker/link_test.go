package broker

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"picket/access"
	"picket/listener"
	"picket/packet"
)

// linked is a link with what came from the broker and is not a whole packet yet.
type linked struct {
	*Link
	t    *testing.T
	rest []byte
}

func link(t *testing.T, b *Broker) *linked {
	t.Helper()
	l, err := b.Link()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Leave)
	return &linked{Link: l, t: t}
}

func (l *linked) send(packets ...packet.Packet) {
	l.t.Helper()
	var out []byte
	for _, p := range packets {
		out = p.Append(out, packet.V5)
	}
	if err := l.Send(out); err != nil {
		l.t.Fatal(err)
	}
}

// next is the next packet from the broker.
func (l *linked) next() packet.Packet {
	l.t.Helper()
	for {
		head, remaining, err := packet.Header(l.rest)
		if err != nil {
			l.t.Fatal(err)
		}
		if n := head + remaining; head > 0 && len(l.rest) >= n {
			p, err := packet.Decode(packet.V5, l.rest[0], bytes.Clone(l.rest[head:n]))
			if err != nil {
				l.t.Fatal(err)
			}
			l.rest = l.rest[n:]
			return p
		}
		more, err := l.Receive()
		if err != nil {
			l.t.Fatal(err)
		}
		l.rest = append(l.rest, more...)
	}
}

// connect is a CONNECT for a session that outlives the link.
func (l *linked) connect(user string) *packet.Connack {
	l.t.Helper()
	p := &packet.Connect{Version: packet.V5, ClientID: "inside", HasUsername: user != "", Username: user, Props: new(packet.Properties).Set(packet.SessionExpiryInterval)}
	p.Props.SessionExpiry = 3600
	l.send(p)
	return l.next().(*packet.Connack)
}

// What waits in the session behind a link outlives the link, under its identifiers; those that the holder takes for itself are given to nothing else.
func TestLinkIsASession(t *testing.T) {
	x := newBench(t, nil)
	l := link(t, x.b)
	if ack := l.connect(""); ack.Code != packet.Success || ack.SessionPresent {
		t.Fatalf("%+v", ack)
	}
	l.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: "a/#", QoS: 1}}})
	if ack := l.next().(*packet.Suback); ack.Codes[0] != 1 {
		t.Fatalf("%+v", ack)
	}
	if id := l.PacketID(); id != 1 {
		t.Errorf("the first identifier is %d", id)
	}
	if got := l.Subscriptions(); len(got) != 1 || got[0] != "a/#" {
		t.Errorf("%q", got)
	}
	l.Leave()
	if _, err := l.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
	if err := l.Send([]byte{0}); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	_, c := x.client(t, "outside", packet.V311)
	x.feed(t, c, (&packet.Publish{Topic: []byte("a/x"), QoS: 1, ID: 9, Payload: []byte("p")}).Append(nil, packet.V311))
	if n, _ := x.b.Waiting("inside"); n != 1 {
		t.Errorf("%d messages wait", n)
	}
	again := link(t, x.b)
	if ack := again.connect(""); !ack.SessionPresent {
		t.Fatalf("%+v", ack)
	}
	if p := again.next().(*packet.Publish); p.ID != 2 || string(p.Topic) != "a/x" || p.Dup {
		t.Errorf("%+v", p)
	}
	again.send(&packet.Publish{Topic: []byte("b"), QoS: 2, ID: 77})
	if p := again.next().(*packet.Ack); p.Kind != packet.PUBREC {
		t.Errorf("%+v", p)
	}
	if got := again.Received(); len(got) != 1 || got[0] != 77 {
		t.Errorf("received: %v", got)
	}
	if x.b.EndSession("inside") {
		t.Error("the session was ended while it had a connection")
	}
	again.Leave()
	if !x.b.EndSession("inside") || x.b.EndSession("inside") {
		t.Error("the session was not ended once")
	}
}

// A holder that takes nothing for a while holds up the broker's output for it and nobody else, and gets all that the limits let wait.
func TestLinkIsSlow(t *testing.T) {
	x := newBench(t, nil)
	l := link(t, x.b)
	l.connect("")
	l.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: "#"}}})
	l.next()
	_, c := x.client(t, "outside", packet.V311)
	const n, size = 300, 4096 // more than a link holds
	for range n {
		x.feed(t, c, (&packet.Publish{Topic: []byte("t"), Payload: make([]byte, size)}).Append(nil, packet.V311))
	}
	for i := range n {
		if p := l.next().(*packet.Publish); len(p.Payload) != size {
			t.Fatalf("message %d has %d bytes", i, len(p.Payload))
		}
	}
}

// Rules hold for a link that gives a user's name, and for no other; $SYS is the broker's alone for both.
func TestLinkIsTrusted(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "acl")
	if err := os.WriteFile(rules, []byte("user u\ntopic read r/#\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	x := newBench(t, func(c *Config) {
		c.Security[0].Anonymous = access.AnonymousNever
		c.Security[0].ACLFile = rules
	})
	for user, denied := range map[string]bool{"": false, "u": true} {
		l := link(t, x.b)
		if ack := l.connect(user); ack.Code != packet.Success {
			t.Fatalf("user %q: %+v", user, ack)
		}
		for topic, refused := range map[string]bool{"w": denied, "$SYS/broker/x": true, "$SYS/broker/connection/x/state": denied} {
			l.send(&packet.Publish{Topic: []byte(topic), QoS: 1, ID: 1})
			if ack := l.next().(*packet.Ack); ack.Code.Failed() != refused {
				t.Errorf("user %q, %s: %v", user, topic, ack.Code)
			}
		}
		l.Leave()
	}
}

// A start with Shut lets links in, and clients once Open is called.
func TestOpen(t *testing.T) {
	x := newBench(t, func(c *Config) { c.Shut = true })
	l := link(t, x.b)
	if ack := l.connect(""); ack.Code != packet.Success {
		t.Fatalf("%+v", ack)
	}
	out := &sink{keep: true, info: listener.Info{Listener: x.l.transport()}}
	c := x.b.Accept(out)
	t.Cleanup(func() { c.Closed(x.w, nil); x.w.Flush() })
	x.feed(t, c, (&packet.Connect{Version: packet.V311, CleanStart: true, ClientID: "early"}).Append(nil, packet.V311))
	if b := out.get(); len(b) > 0 {
		t.Errorf("a client was answered before Open: %x", b)
	}
	x.b.Open()
	if ack := answer[*packet.Connack](t, out, packet.V311); ack.Code != packet.Success {
		t.Errorf("%+v", ack)
	}
}
