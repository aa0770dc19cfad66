package broker

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"picket/access"
	"picket/cause"
	"picket/cluster/wire"
	"picket/internal/testbed"
	"picket/listener"
	"picket/logging"
	"picket/packet"
)

// pair joins two brokers as a cluster does, in one process: what is asked for is done in its order by one goroutine.
type pair struct {
	mu      sync.Mutex
	nodes   [2]*Broker
	refuses error // what all that is asked for comes to; nil: it is done
	todo    chan func()
}

// end is a pair as one of the two sees it.
type end struct {
	*pair
	me int
}

func (e end) other() *Neighbours { return e.nodes[1-e.me].Neighbours() }

func (e end) Want(filter string) {
	e.todo <- func() { e.other().Route(uint64(e.me+1), wire.Change{Filter: filter}) }
}

func (e end) Unwant(filter string) {
	e.todo <- func() { e.other().Route(uint64(e.me+1), wire.Change{Filter: filter, Gone: true}) }
}

func (e end) Confirm(done func(error)) { e.todo <- func() { done(e.refusal()) } }

func (e end) Offer(r *wire.Run, first uint64, done func([]string, error)) {
	e.todo <- func() { e.share(r, first, map[uint64]bool{}, done) }
}

func (e end) Publish(r *wire.Run, had uint64, _ func(func([]string)), done func([]string, error)) {
	e.todo <- func() {
		peers, here := e.nodes[e.me].Neighbours().Look(r, had)
		if here {
			panic("a session is said not to have what was published at its node")
		}
		if err := e.refusal(); err != nil || !slices.Contains(peers, uint64(2-e.me)) {
			done(nil, err)
			return
		}
		e.other().Deliver(uint64(e.me+1), r, 0, had, func([]string, string) { done(nil, nil) })
	}
}

// share has one node after the other take a run for a shared subscription, as a machine does.
func (e end) share(r *wire.Run, first uint64, not map[uint64]bool, done func([]string, error)) {
	if err := e.refusal(); err != nil {
		done(nil, err)
		return
	}
	me, to := uint64(e.me+1), e.nodes[e.me].Neighbours()
	peer, here := to.Choose(r, first, not, nil, !not[me])
	switch {
	case peer != 0:
		to = e.other()
	case here:
		peer = me
	default:
		done(nil, nil)
		return
	}
	to.Share(r, func(taken bool) {
		if taken {
			done(nil, nil)
			return
		}
		not[peer] = true
		e.todo <- func() { e.share(r, 0, not, done) }
	})
}

func (e end) Loose(_ uint64, frame []byte, _ int) bool {
	frame = slices.Clone(frame)
	e.todo <- func() {
		f, err := wire.Decode(frame[4:])
		if err != nil {
			panic(err)
		}
		e.other().Loose(&f.Body.(*wire.Loose).Run)
	}
	return true
}

func (e end) IsLeased() bool { return e.refusal() == nil }
func (e end) Full() bool     { return false }

func (p *pair) refusal() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refuses
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{todo: make(chan func(), 1000)}
	log, err := logging.New(logging.Config{Dest: []logging.Dest{{Kind: logging.Stdout}}}, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	for i := range p.nodes {
		c := Defaults()
		c.Security[0].Anonymous = access.AnonymousAlways
		c.SysInterval, c.Peers = 0, end{p, i}
		c.Listeners = []*Listener{{Config: listener.Config{Address: "127.0.0.1", Port: testbed.Port(t), Source: "here"}, MaxConnections: -1, MaxQoS: 2}}
		if p.nodes[i], err = Start(c, log); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		for f := range p.todo {
			f()
		}
	}()
	t.Cleanup(func() {
		p.nodes[0].Close()
		p.nodes[1].Close()
		close(p.todo)
	})
	return p
}

func (p *pair) connect(t *testing.T, node int, v packet.Version) *testbed.Client {
	t.Helper()
	c := testbed.Dial(t, fmt.Sprintf("127.0.0.1:%d", p.nodes[node].settings.Load().Listeners[0].Port), v)
	if _, err := c.Connect(&packet.Connect{CleanStart: true, KeepAlive: 600, ClientID: fmt.Sprintf("c%d", testbed.Port(t))}); err != nil {
		t.Fatal(err)
	}
	return c
}

func askFor(t *testing.T, c *testbed.Client, filter string, qos byte, want packet.Code) {
	t.Helper()
	if err := c.Send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: filter, QoS: qos}}}); err != nil {
		t.Fatal(err)
	}
	if ack, err := testbed.Until[*packet.Suback](c); err != nil || ack.Codes[0] != want {
		t.Fatalf("%s: %+v, %v, want %d", filter, ack, err, want)
	}
}

// TestNeighbours: what is published on one node reaches who subscribes on another, once, at every QoS, in runs of one name and of several; and not after UNSUBACK.
func TestNeighbours(t *testing.T) {
	p := newPair(t)
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		for qos := byte(0); qos <= 2; qos++ {
			s, here, from := p.connect(t, 1, v), p.connect(t, 0, v), p.connect(t, 0, packet.V5)
			base := fmt.Sprintf("t%d%d", v, qos)
			askFor(t, s, base+"/#", qos, packet.Code(qos))
			askFor(t, here, base+"/+", qos, packet.Code(qos))
			var all []packet.Packet
			for i := range 60 {
				m := &packet.Publish{QoS: qos, Topic: fmt.Append(nil, base, "/", i/20%2), Payload: fmt.Append(nil, i)}
				if qos > 0 {
					m.ID = uint16(i + 1)
				}
				all = append(all, m)
			}
			if err := from.Send(all...); err != nil {
				t.Fatal(err)
			}
			for _, c := range []*testbed.Client{s, here} {
				for i := range 60 {
					m, err := testbed.Until[*packet.Publish](c)
					if err != nil || string(m.Payload) != fmt.Sprint(i) || string(m.Topic) != fmt.Sprint(base, "/", i/20%2) || m.QoS != qos {
						t.Fatalf("%s: message %d is %+v, %v", base, i, m, err)
					}
					acknowledge(t, c, m)
				}
			}
			for i := range 60 * int(min(qos, 1)) {
				if ack, err := testbed.Until[*packet.Ack](from); err != nil || ack.ID != uint16(i+1) || ack.Code != packet.Success {
					t.Fatalf("%s: acknowledgement %d is %+v, %v", base, i, ack, err)
				}
			}
			if err := s.Send(&packet.Unsubscribe{ID: 2, Filters: []string{base + "/#"}}); err != nil {
				t.Fatal(err)
			}
			if _, err := testbed.Until[*packet.Unsuback](s); err != nil {
				t.Fatal(err)
			}
			s.Close()
			here.Close()
			from.Close()
		}
	}
	testbed.Eventually(t, func() error {
		if n := p.nodes[0].neighbours.routes.Load() + p.nodes[1].neighbours.routes.Load(); n != 0 {
			return fmt.Errorf("%d routes are left", n)
		}
		return nil
	})
}

// TestNothingIsAcknowledgedThatOthersDoNotHave: where other nodes cannot be asked, SUBACK and PUBACK say so, also for what concerns no other node.
func TestNothingIsAcknowledgedThatOthersDoNotHave(t *testing.T) {
	p := newPair(t)
	c := p.connect(t, 0, packet.V5)
	p.mu.Lock()
	p.refuses = errors.New("away")
	p.mu.Unlock()
	askFor(t, c, "t", 1, packet.ImplementationSpecificError)
	for qos := byte(1); qos <= 2; qos++ {
		if err := c.Send(&packet.Publish{QoS: qos, ID: 5, Topic: []byte("nobody"), Payload: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		if ack, err := testbed.Until[*packet.Ack](c); err != nil || ack.Code != packet.ImplementationSpecificError {
			t.Errorf("QoS %d: %+v, %v", qos, ack, err)
		}
	}
	if got := storeCause(errOf(nil, p.refusal())); got != cause.ClusterFenced {
		t.Errorf("the cause is %s", got)
	}
}

// TestNodesRefuseWhatTheyDoNotDoYet: by the protocol's own words.
func TestNodesRefuseWhatTheyDoNotDoYet(t *testing.T) {
	p := newPair(t)
	c := p.connect(t, 0, packet.V5)
	if err := c.Send(&packet.Publish{Retain: true, Topic: []byte("t"), Payload: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if got, err := testbed.Until[*packet.Disconnect](c); err != nil || got.Code != packet.RetainNotSupported {
		t.Errorf("RETAIN: %+v, %v", got, err)
	}
	long := testbed.Dial(t, fmt.Sprintf("127.0.0.1:%d", p.nodes[0].settings.Load().Listeners[0].Port), packet.V5)
	props := new(packet.Properties).Set(packet.SessionExpiryInterval)
	props.SessionExpiry = 100
	ack, err := long.Connect(&packet.Connect{ClientID: "new", CleanStart: true, KeepAlive: 600, Props: props})
	if err != nil || ack.Props.Has(packet.SessionExpiryInterval) || ack.Props.RetainAvailable != 0 || ack.Props.Has(packet.SharedSubscriptionAvailable) {
		t.Errorf("CONNACK says %+v, %v", ack, err)
	}
}

// TestFencedNodeSendsItsClientsAway, and lets nobody in before it serves again.
func TestFencedNodeSendsItsClientsAway(t *testing.T) {
	p := newPair(t)
	n := p.nodes[0].Neighbours()
	p.todo <- func() { n.Ready(1) }
	<-n.Serving()
	c := p.connect(t, 0, packet.V5)
	p.todo <- func() { n.Fenced(1) }
	if got, err := testbed.Until[*packet.Disconnect](c); err != nil || got.Code != packet.ServerShuttingDown {
		t.Fatalf("%+v, %v", got, err)
	}
	if p.nodes[0].gate.Load() == nil {
		t.Error("clients are let in by a node that is no member")
	}
	p.todo <- func() { n.Ready(2) }
	p.connect(t, 0, packet.V5)
}

// acknowledge says that a message has arrived, with all that its QoS asks of a receiver.
func acknowledge(t *testing.T, c *testbed.Client, m *packet.Publish) {
	t.Helper()
	var err error
	switch m.QoS {
	case 1:
		err = c.Send(&packet.Ack{Kind: packet.PUBACK, ID: m.ID})
	case 2:
		err = c.Send(&packet.Ack{Kind: packet.PUBREC, ID: m.ID}, &packet.Ack{Kind: packet.PUBCOMP, ID: m.ID})
	}
	if err != nil {
		t.Fatal(err)
	}
}
