package cluster

import (
	"fmt"
	"syscall"
	"testing"

	"picket/internal/testbed"
	"picket/packet"
)

// lasting connects a client with a session that outlives its connection, and says whether there was one.
func (r *rig) lasting(b *testbed.Broker, v packet.Version, id string, change func(*packet.Connect)) (c *testbed.Client, present bool) {
	r.t.Helper()
	p := &packet.Connect{ClientID: id, KeepAlive: 600}
	if v == packet.V5 {
		p.Props = new(packet.Properties).Set(packet.SessionExpiryInterval)
		p.Props.SessionExpiry = 3600
	}
	if change != nil {
		change(p)
	}
	c = testbed.Dial(r.t, b.Addr(r.t, "PORT"), v)
	ack, err := c.Connect(p)
	if err != nil {
		r.t.Fatalf("%s: %v\n%s", id, err, b.Said())
	}
	if v == packet.V5 && ack.Props.Has(packet.SessionExpiryInterval) {
		r.t.Errorf("CONNACK says that the session expiry interval is %d", ack.Props.SessionExpiry)
	}
	return c, ack.SessionPresent || v == packet.V31
}

// returns connects a client whose session has to be there.
func (r *rig) returns(b *testbed.Broker, v packet.Version, id string) *testbed.Client {
	r.t.Helper()
	c, present := r.lasting(b, v, id, nil)
	if !present {
		r.t.Fatalf("the session of %s is not there", id)
	}
	return c
}

// receiver reads what comes to a client and ends the handshakes, however they are mixed.
type receiver struct {
	t    *testing.T
	c    *testbed.Client
	owed int // messages of QoS 2 before their PUBREL
}

// next returns the next message; nil: a handshake has gone on.
func (r *receiver) next() *packet.Publish {
	r.t.Helper()
	p, err := r.c.Next()
	if err != nil {
		r.t.Fatal(err)
	}
	var answer *packet.Ack
	m, _ := p.(*packet.Publish)
	switch ack, _ := p.(*packet.Ack); {
	case m != nil && m.QoS == 1:
		answer = &packet.Ack{Kind: packet.PUBACK, ID: m.ID}
	case m != nil:
		answer = &packet.Ack{Kind: packet.PUBREC, ID: m.ID}
		r.owed++
	case ack != nil && ack.Kind == packet.PUBREL:
		answer = &packet.Ack{Kind: packet.PUBCOMP, ID: ack.ID}
		r.owed--
	default:
		r.t.Fatalf("%+v comes", p)
	}
	if err := r.c.Send(answer); err != nil {
		r.t.Fatal(err)
	}
	return m
}

// collect reads messages until all of want have come, in their order, and all handshakes are over. What comes again with DUP is passed over.
func collect(t *testing.T, c *testbed.Client, qos byte, want ...string) {
	t.Helper()
	for r := (&receiver{t: t, c: c}); len(want) > 0 || r.owed > 0; {
		switch m := r.next(); {
		case m == nil:
		case len(want) > 0 && string(m.Payload) == want[0] && m.QoS == qos:
			want = want[1:]
		case !m.Dup:
			t.Fatalf("got %q at QoS %d; want %q at QoS %d", m.Payload, m.QoS, want, qos)
		}
	}
}

// finish ends the handshake of a message when nothing else is under way.
func finish(t *testing.T, c *testbed.Client, p *packet.Publish) {
	t.Helper()
	kind := packet.PUBACK
	if p.QoS == 2 {
		kind = packet.PUBREC
	}
	if err := c.Send(&packet.Ack{Kind: kind, ID: p.ID}); err != nil {
		t.Fatal(err)
	}
	if p.QoS == 2 {
		if ack, err := testbed.Until[*packet.Ack](c); err != nil || ack.Kind != packet.PUBREL || ack.ID != p.ID {
			t.Fatalf("%+v, %v", ack, err)
		}
		if err := c.Send(&packet.Ack{Kind: packet.PUBCOMP, ID: p.ID}); err != nil {
			t.Fatal(err)
		}
	}
}

// batch publishes messages, and waits until they are acknowledged.
func batch(t *testing.T, p *testbed.Client, topic string, qos byte, from, to int) (texts []string) {
	t.Helper()
	for i := from; i < to; i++ {
		text := fmt.Sprint(i)
		publish(t, p, uint16(i+1), topic, text, qos)
		texts = append(texts, text)
	}
	return texts
}

// TestASessionMoves from one node to another and back, with its subscriptions and what waits for its client, whichever node its messages are published at.
func TestASessionMoves(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.node(), r.node(), r.node()
	linked(t, a, b, c)
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		for qos := byte(1); qos <= 2; qos++ {
			id := fmt.Sprintf("s%d-%d", v, qos)
			s, present := r.lasting(a, v, id, nil)
			if present {
				t.Errorf("%s has had a session", id)
			}
			subscribe(t, s, id+"/+", qos)
			from := []*testbed.Client{r.client(a, v, id+"pa"), r.client(b, v, id+"pb"), r.client(c, v, id+"pc")}
			for round, at := range []*testbed.Broker{b, a, c, a} {
				s.Close()
				var want []string
				for i, p := range from {
					want = append(want, batch(t, p, fmt.Sprint(id, "/", i), qos, round*100+i*10, round*100+i*10+5)...)
				}
				s = r.returns(at, v, id)
				collect(t, s, qos, want...)
				for i, p := range from { // and while it is connected
					collect(t, s, qos, batch(t, p, fmt.Sprint(id, "/", i), qos, round*100+i*10+5, round*100+i*10+7)...)
				}
			}
			s.Close()
		}
	}
}

// TestWhatIsInFlightMoves: a message without PUBACK comes again with DUP under its packet identifier, one with PUBREC is gone on with by PUBREL, and of one that the client has sent at QoS 2 the identifier is known.
func TestWhatIsInFlightMoves(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.node(), r.node()
	linked(t, a, b)
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		id := fmt.Sprintf("f%d", v)
		s, _ := r.lasting(a, v, id, nil)
		subscribe(t, s, id+"/#", 2)
		p := r.client(b, v, id+"p")
		publish(t, p, 1, id+"/1", "one", 1)
		publish(t, p, 2, id+"/2", "two", 2)
		publish(t, p, 3, id+"/2", "three", 2)
		var ids []uint16
		for range 3 {
			m, err := testbed.Until[*packet.Publish](s)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, m.ID)
		}
		if err := s.Send(&packet.Ack{Kind: packet.PUBREC, ID: ids[1]}); err != nil {
			t.Fatal(err)
		}
		if ack, err := testbed.Until[*packet.Ack](s); err != nil || ack.Kind != packet.PUBREL {
			t.Fatalf("%+v, %v", ack, err)
		}
		if err := s.Send(&packet.Publish{QoS: 2, ID: 77, Topic: []byte("own"), Payload: []byte("once")}); err != nil {
			t.Fatal(err)
		}
		if ack, err := testbed.Until[*packet.Ack](s); err != nil || ack.Kind != packet.PUBREC || ack.ID != 77 {
			t.Fatalf("%+v, %v", ack, err)
		}
		subscribe(t, p, "own", 2)
		s.Close()
		s = r.returns(b, v, id)
		for i, text := range []string{"one", "", "three"} {
			m, err := s.Next()
			if err != nil {
				t.Fatal(err)
			}
			if text == "" {
				if rel, ok := m.(*packet.Ack); !ok || rel.Kind != packet.PUBREL || rel.ID != ids[i] {
					t.Fatalf("%+v, want PUBREL for %d", m, ids[i])
				}
				if err := s.Send(&packet.Ack{Kind: packet.PUBCOMP, ID: ids[i]}); err != nil {
					t.Fatal(err)
				}
				continue
			}
			again, ok := m.(*packet.Publish)
			if !ok || string(again.Payload) != text || !again.Dup || again.ID != ids[i] {
				t.Fatalf("%+v, want %s again under %d", m, text, ids[i])
			}
			finish(t, s, again)
		}
		if err := s.Send(&packet.Publish{Dup: true, QoS: 2, ID: 77, Topic: []byte("own"), Payload: []byte("once")}); err != nil {
			t.Fatal(err)
		}
		if ack, err := testbed.Until[*packet.Ack](s); err != nil || ack.Kind != packet.PUBREC || ack.ID != 77 {
			t.Fatalf("%+v, %v", ack, err)
		}
		publish(t, s, 78, "own", "another", 2)
		collect(t, p, 2, "another") // and not what has come before
		s.Close()
		p.Close()
	}
}

// TestASessionEndsElsewhere: with a clean start at another node nothing of it is left, and with its client's word at its end.
func TestASessionEndsElsewhere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.node(), r.node()
	linked(t, a, b)
	p := r.client(b, packet.V311, "p")
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		id := fmt.Sprintf("e%d", v)
		s, _ := r.lasting(a, v, id, nil)
		subscribe(t, s, id, 1)
		s.Close()
		batch(t, p, id, 1, 0, 5)
		s = r.client(b, v, id)
		if err := s.Send(&packet.Subscribe{ID: 9, Filters: []packet.Subscription{{Filter: id + "/new", QoS: 1}}}); err != nil {
			t.Fatal(err)
		}
		if m, err := s.Next(); err != nil || m.Type() != packet.SUBACK {
			t.Fatalf("%+v, %v", m, err)
		}
		publish(t, p, 20, id, "nobody's", 1)
		publish(t, p, 21, id+"/new", "new", 1)
		expect(t, s, id+"/new", "new", 1)
		s.Close()
		if s, present := r.lasting(a, v, id, nil); present && v != packet.V31 {
			t.Errorf("%s: there is a session after a clean one", id)
		} else {
			s.Close()
		}
	}
}

// TestSessionsOfADeadNode: what is published for them when their node is killed is acknowledged when it is safe, and nothing is lost, whether the client comes back before others have adopted its session or after that.
func TestSessionsOfADeadNode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.node(), r.node(), r.node()
	linked(t, a, b, c)
	from := []*testbed.Client{r.client(b, packet.V5, "pb"), r.client(c, packet.V311, "pc")}
	type subscriber struct {
		id   string
		v    packet.Version
		qos  byte
		want map[string][]string // by topic
	}
	var all []*subscriber
	for i := range 12 {
		s := &subscriber{id: fmt.Sprintf("d%d", i), v: []packet.Version{packet.V311, packet.V5}[i%2], qos: byte(1 + i/2%2), want: map[string][]string{}}
		c, _ := r.lasting(a, s.v, s.id, nil)
		subscribe(t, c, s.id+"/+", s.qos)
		c.Close()
		all = append(all, s)
	}
	send := func(first int) {
		for i, p := range from {
			for _, s := range all {
				topic := fmt.Sprint(s.id, "/", i)
				s.want[topic] = append(s.want[topic], batch(t, p, topic, s.qos, first, first+5)...)
			}
		}
	}
	send(0)
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	early := all[0]
	first := r.returns(b, early.v, early.id)
	got := func(c *testbed.Client, s *subscriber) {
		t.Helper()
		n, left := map[string]int{}, 20
		for r := (&receiver{t: t, c: c}); left > 0 || r.owed > 0; {
			m := r.next()
			if m == nil {
				continue
			}
			left--
			topic := string(m.Topic)
			if k := n[topic]; k >= len(s.want[topic]) || s.want[topic][k] != string(m.Payload) || m.QoS != s.qos {
				t.Fatalf("%s: message %d to %s is %q", s.id, k, topic, m.Payload)
			}
			n[topic]++
		}
	}
	send(10)
	got(first, early)
	for i, s := range all[1:] {
		c := r.returns([]*testbed.Broker{b, c}[i%2], s.v, s.id)
		got(c, s)
		c.Close()
	}
	a.Run(t)
	first.Close()
	r.returns(a, early.v, early.id)
}

// TestANodeStandsStill: its sessions go to others meanwhile, with all that was acknowledged, and when it goes on it does no harm.
func TestANodeStandsStill(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.node(), r.node()
	linked(t, a, b)
	s, _ := r.lasting(a, packet.V5, "s", nil)
	subscribe(t, s, "t", 1)
	p := r.client(b, packet.V5, "p")
	collect(t, s, 1, batch(t, p, "t", 1, 0, 5)...)
	a.Signal(syscall.SIGSTOP)
	s2 := r.returns(b, packet.V5, "s")
	collect(t, s2, 1, batch(t, p, "t", 1, 5, 10)...)
	a.Signal(syscall.SIGCONT)
	if d, err := testbed.Until[*packet.Disconnect](s); err != nil || d.Code != packet.SessionTakenOver && d.Code != packet.ServerShuttingDown {
		t.Errorf("the client before gets %+v, %v", d, err)
	}
	collect(t, s2, 1, batch(t, p, "t", 1, 10, 15)...)
	testbed.Eventually(t, func() error {
		if s := told(t, a); !s.Serving || !s.Leased {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	s2.Close()
	texts := batch(t, p, "t", 1, 15, 20)
	s3 := r.returns(a, packet.V5, "s")
	collect(t, s3, 1, texts...)
}

// TestOneBrokersSessionsAreTakenOver by nodes that come in its place.
func TestOneBrokersSessionsAreTakenOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	alone := testbed.New(t, testbed.Options{Conf: fmt.Sprintf("listener ${PORT} 127.0.0.1\nallow_anonymous true\ncluster redis://127.0.0.1:%d\n", r.port)})
	alone.Run(t)
	var want []string
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		s, _ := r.lasting(alone, v, fmt.Sprint("s", v), nil)
		subscribe(t, s, "t", 2)
		s.Close()
	}
	p := r.client(alone, packet.V5, "p")
	want = append(want, batch(t, p, "t", 2, 0, 10)...)
	if err := alone.Stop(); err != nil {
		t.Fatal(err)
	}
	a, b := r.node(), r.node()
	linked(t, a, b)
	p = r.client(a, packet.V5, "p")
	want = append(want, batch(t, p, "t", 2, 10, 15)...)
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		collect(t, r.returns(b, v, fmt.Sprint("s", v)), 2, want...)
	}
}
