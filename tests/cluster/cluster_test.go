package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/redis/rueidis"

	"picket/internal/testbed"
	"picket/packet"
)

// rig is a redis-server and brokers that share it.
type rig struct {
	t    *testing.T
	port int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, port: testbed.Port(t)}
	cmd := exec.Command(testbed.Program(t, "redis-server", "redis-server"), "--port", fmt.Sprint(r.port), "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--logfile", "/dev/null")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	testbed.Eventually(t, func() error {
		c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{fmt.Sprintf("127.0.0.1:%d", r.port)}, ForceSingleClient: true, DisableCache: true})
		if err != nil {
			return err
		}
		defer c.Close()
		return c.Do(context.Background(), c.B().Ping().Build()).Error()
	})
	return r
}

// node starts a broker that is a node, and waits until it lets clients in.
func (r *rig) node() *testbed.Broker {
	r.t.Helper()
	return testbed.Start(r.t, testbed.Options{Conf: fmt.Sprintf("user root\nadmin_socket ${DIR}/admin.sock\nlistener ${PORT} 127.0.0.1\nallow_anonymous true\nlog_type all\nreason_strings true\ncluster redis://127.0.0.1:%d\ncluster_address 127.0.0.1:${PORT_NODE}\n", r.port)})
}

// client connects to a node with a clean session.
func (r *rig) client(b *testbed.Broker, v packet.Version, id string) *testbed.Client {
	r.t.Helper()
	c := testbed.Dial(r.t, b.Addr(r.t, "PORT"), v)
	if _, err := c.Connect(&packet.Connect{ClientID: id, CleanStart: true, KeepAlive: 600}); err != nil {
		r.t.Fatal(err)
	}
	return c
}

func subscribe(t *testing.T, c *testbed.Client, filter string, qos byte) {
	t.Helper()
	if err := c.Send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: filter, QoS: qos}}}); err != nil {
		t.Fatal(err)
	}
	ack, err := testbed.Until[*packet.Suback](c)
	if err != nil || len(ack.Codes) != 1 || ack.Codes[0] != packet.Code(qos) {
		t.Fatalf("SUBSCRIBE to %s at QoS %d is answered with %+v, %v", filter, qos, ack, err)
	}
}

// publish publishes a message and waits for what ends its handshake.
func publish(t *testing.T, c *testbed.Client, id uint16, topic, text string, qos byte) {
	t.Helper()
	p := &packet.Publish{QoS: qos, Topic: []byte(topic), Payload: []byte(text)}
	if qos > 0 {
		p.ID = id
	}
	if err := c.Send(p); err != nil {
		t.Fatal(err)
	}
	acknowledged := func(kind packet.Type) {
		t.Helper()
		ack, err := testbed.Until[*packet.Ack](c)
		if err != nil || ack.Kind != kind || ack.ID != id || ack.Code != packet.Success {
			t.Fatalf("%s at QoS %d: %+v, %v, want %s", text, qos, ack, err, kind)
		}
	}
	switch qos {
	case 1:
		acknowledged(packet.PUBACK)
	case 2:
		acknowledged(packet.PUBREC)
		if err := c.Send(&packet.Ack{Kind: packet.PUBREL, ID: id}); err != nil {
			t.Fatal(err)
		}
		acknowledged(packet.PUBCOMP)
	}
}

// expect reads the next message and ends its handshake.
func expect(t *testing.T, c *testbed.Client, topic, text string, qos byte) *packet.Publish {
	t.Helper()
	p, err := testbed.Until[*packet.Publish](c)
	if err != nil {
		t.Fatalf("waiting for %s: %v", text, err)
	}
	if string(p.Topic) != topic || string(p.Payload) != text || p.QoS != qos || p.Retain || p.Dup {
		t.Fatalf("got %q for %q at QoS %d, retain %v, dup %v; want %q for %q at QoS %d", p.Payload, p.Topic, p.QoS, p.Retain, p.Dup, text, topic, qos)
	}
	switch qos {
	case 1:
		err = c.Send(&packet.Ack{Kind: packet.PUBACK, ID: p.ID})
	case 2:
		if err = c.Send(&packet.Ack{Kind: packet.PUBREC, ID: p.ID}); err == nil {
			if _, err = testbed.Until[*packet.Ack](c); err == nil {
				err = c.Send(&packet.Ack{Kind: packet.PUBCOMP, ID: p.ID})
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// linked waits until two nodes have a link, without which QoS 0 goes nowhere.
func linked(t *testing.T, all ...*testbed.Broker) {
	t.Helper()
	testbed.Eventually(t, func() error {
		for _, b := range all {
			if n := strings.Count(b.Said(), "Linked to node"); n < len(all)-1 {
				return fmt.Errorf("a node has %d links of %d", n, len(all)-1)
			}
		}
		return nil
	})
}

// TestPublishOnOneNodeSubscribeOnAnother: a subscription is in force everywhere when SUBACK comes, at each QoS and in each version, and what is acknowledged has arrived.
func TestPublishOnOneNodeSubscribeOnAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.node(), r.node(), r.node()
	linked(t, a, b, c)
	for _, to := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		for _, from := range []packet.Version{packet.V31, packet.V311, packet.V5} {
			for qos := byte(0); qos <= 2; qos++ {
				name := fmt.Sprintf("s%d-%d-%d", to, from, qos)
				s, s2, p := r.client(b, to, name), r.client(c, to, name+"w"), r.client(a, from, name+"p")
				subscribe(t, s, name+"/x/t", qos)
				subscribe(t, s2, name+"/+/#", 2)
				for i := range 20 {
					text := fmt.Sprint(i)
					publish(t, p, uint16(i+1), name+"/x/t", text, qos)
					expect(t, s, name+"/x/t", text, qos)
					expect(t, s2, name+"/x/t", text, qos)
				}
				s.Close()
				s2.Close()
				p.Close()
			}
		}
	}
}

// TestPropertiesTravel: what MQTT 5 forwards arrives, subscription identifiers are the receiver's own, and a message whose time is over does not.
func TestPropertiesTravel(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.node(), r.node()
	linked(t, a, b)
	s, p := r.client(b, packet.V5, "s"), r.client(a, packet.V5, "p")
	props := new(packet.Properties).Set(packet.SubscriptionIdentifier)
	props.SubscriptionIDs = []uint32{7}
	if err := s.Send(&packet.Subscribe{ID: 1, Props: props, Filters: []packet.Subscription{{Filter: "t", QoS: 1}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := testbed.Until[*packet.Suback](s); err != nil {
		t.Fatal(err)
	}
	for qos := byte(0); qos <= 1; qos++ {
		raw, err := packet.Decode(packet.V5, 0x30, []byte("\x00\x01t\x11\x02\x00\x00\x00\x63\x03\x00\x03abc\x08\x00\x03r/tx"))
		if err != nil {
			t.Fatal(err)
		}
		m := raw.(*packet.Publish)
		if m.QoS = qos; qos > 0 {
			m.ID = 5
		}
		if err := p.Send(m); err != nil {
			t.Fatal(err)
		}
		got := expect(t, s, "t", "x", qos)
		if !got.HasExpiry || got.Expiry > 99 || got.Expiry < 1 || got.SubscriptionIDs != 1 || !strings.Contains(string(got.Props), "abc") || !strings.Contains(string(got.Props), "r/t") {
			t.Errorf("QoS %d: %+v, properties %q", qos, got, got.Props)
		}
	}
}

// TestUnsubscribedAndGone: nothing comes after UNSUBACK, and who publishes to a filter of a node that has been killed is acknowledged when the others know that.
func TestUnsubscribedAndGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.node(), r.node()
	linked(t, a, b)
	s, p := r.client(b, packet.V311, "s"), r.client(a, packet.V5, "p")
	subscribe(t, s, "t", 1)
	subscribe(t, s, "u", 1)
	if err := s.Send(&packet.Unsubscribe{ID: 2, Filters: []string{"t"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := testbed.Until[*packet.Unsuback](s); err != nil {
		t.Fatal(err)
	}
	if err := p.Send(&packet.Publish{QoS: 1, ID: 1, Topic: []byte("t"), Payload: []byte("gone")}); err != nil {
		t.Fatal(err)
	}
	if _, err := testbed.Until[*packet.Ack](p); err != nil {
		t.Fatal(err)
	}
	publish(t, p, 2, "u", "there", 1)
	expect(t, s, "u", "there", 1)
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := p.Send(&packet.Publish{QoS: 1, ID: 3, Topic: []byte("u"), Payload: []byte("nobody")}); err != nil {
		t.Fatal(err)
	}
	if ack, err := testbed.Until[*packet.Ack](p); err != nil || ack.ID != 3 {
		t.Fatalf("%+v, %v", ack, err)
	}
	if !strings.Contains(a.Said(), "is no member any more") {
		t.Error("what was published for a node that lived as far as was known was acknowledged")
	}
	b.Run(t)
	s = r.client(b, packet.V311, "s")
	subscribe(t, s, "u", 1)
	publish(t, p, 4, "u", "again", 1)
	expect(t, s, "u", "again", 1)
}

// TestWhatNodesDoNotDoYet is refused, and not done by half.
func TestWhatNodesDoNotDoYet(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.node()
	c := testbed.Dial(t, a.Addr(t, "PORT"), packet.V5)
	ack, err := c.Connect(&packet.Connect{ClientID: "new", CleanStart: true, KeepAlive: 600})
	if err != nil {
		t.Fatal(err)
	}
	if p := ack.Props; !p.Has(packet.RetainAvailable) || p.RetainAvailable != 0 || p.Has(packet.SharedSubscriptionAvailable) {
		t.Errorf("CONNACK says %+v", ack.Props)
	}
	if err := c.Send(&packet.Publish{Retain: true, Topic: []byte("t"), Payload: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if got, err := testbed.Until[*packet.Disconnect](c); err != nil || got.Code != packet.RetainNotSupported {
		t.Errorf("RETAIN: %+v, %v", got, err)
	}
	if !strings.Contains(a.Said(), "cluster-not-yet") {
		t.Error("the start does not say what is not in force")
	}
}

// TestOneBrokersRetainedMessagesAreNoNodes: a cluster would not have them.
func TestOneBrokersRetainedMessagesAreNoNodes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	alone := testbed.New(t, testbed.Options{Conf: fmt.Sprintf("listener ${PORT} 127.0.0.1\nallow_anonymous true\ncluster redis://127.0.0.1:%d\n", r.port)})
	alone.Run(t)
	p := r.client(alone, packet.V5, "p")
	if err := p.Send(&packet.Publish{QoS: 1, ID: 1, Retain: true, Topic: []byte("t"), Payload: []byte("kept")}); err != nil {
		t.Fatal(err)
	}
	if _, err := testbed.Until[*packet.Ack](p); err != nil {
		t.Fatal(err)
	}
	if err := alone.Stop(); err != nil {
		t.Fatal(err)
	}
	b := testbed.New(t, testbed.Options{Conf: fmt.Sprintf("listener ${PORT} 127.0.0.1\ncluster redis://127.0.0.1:%d\ncluster_address 127.0.0.1:${PORT_NODE}\n", r.port)})
	if err := b.Launch(t); err != nil {
		t.Fatal(err)
	}
	<-b.Done()
	if said := b.Said(); !strings.Contains(said, "cluster-taken") {
		t.Errorf("it says %s", said)
	}
}
