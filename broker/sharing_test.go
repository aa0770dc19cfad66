package broker

import (
	"fmt"
	"testing"

	"picket/internal/testbed"
	"picket/packet"
)

// received are the messages that a client gets until one that says "end", which was published for it alone.
func received(t *testing.T, c *testbed.Client, qos byte) (all []string) {
	t.Helper()
	for {
		m, err := testbed.Until[*packet.Publish](c)
		if err != nil {
			t.Fatal(err)
		}
		if string(m.Payload) == "end" {
			return all
		}
		if m.QoS != qos {
			t.Errorf("%q came at QoS %d, want %d", m.Payload, m.QoS, qos)
		}
		all = append(all, string(m.Payload))
		acknowledge(t, c, m)
	}
}

// put publishes a message, and waits for what says that it has arrived.
func put(t *testing.T, c *testbed.Client, topic, text string, qos byte) {
	t.Helper()
	m := &packet.Publish{QoS: qos, Topic: []byte(topic), Payload: []byte(text)}
	if qos > 0 {
		m.ID = 7
	}
	if err := c.Send(m); err != nil {
		t.Fatal(err)
	}
	if qos > 0 {
		if ack, err := testbed.Until[*packet.Ack](c); err != nil || ack.Code != packet.Success {
			t.Fatalf("%q: %+v, %v", text, ack, err)
		}
	}
	if qos == 2 {
		if err := c.Send(&packet.Ack{Kind: packet.PUBREL, ID: 7}); err != nil {
			t.Fatal(err)
		}
		if _, err := testbed.Until[*packet.Ack](c); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNeighboursShare: of a shared subscription one member in all gets each message: those at the publisher's node before others, two of them in turn; members at another node where
// there is none here; and a plain subscription of the same client gets everything beside that.
func TestNeighboursShare(t *testing.T) {
	p := newPair(t)
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		for qos := byte(0); qos <= 2; qos++ {
			base := fmt.Sprintf("s%d%d", v, qos)
			far, far2, here, here2, from := p.connect(t, 1, v), p.connect(t, 1, v), p.connect(t, 0, v), p.connect(t, 0, v), p.connect(t, 0, packet.V5)
			all := []*testbed.Client{far, far2, here, here2}
			for i, c := range all {
				askFor(t, c, fmt.Sprint(base, "/only/", i), 1, 1)
			}
			// rounds publishes 20 messages, and says how many each client has got.
			rounds := func(text string) (n [4]int) {
				t.Helper()
				for i := range 20 {
					put(t, from, base+"/t", fmt.Sprint(text, i), qos)
				}
				for i := range all {
					put(t, from, fmt.Sprint(base, "/only/", i), "end", 1)
				}
				for i, c := range all {
					seen := map[string]bool{}
					for _, m := range received(t, c, qos) {
						if n[i]++; seen[m] {
							t.Errorf("%s: client %d has %s twice", base, i, m)
						}
						seen[m] = true
					}
				}
				return n
			}
			share := "$share/g/" + base + "/+"
			askFor(t, far, share, qos, packet.Code(qos))
			askFor(t, far2, share, qos, packet.Code(qos))
			if n := rounds("far"); n != [4]int{10, 10, 0, 0} {
				t.Errorf("%s: with two members at another node: %v", base, n)
			}
			askFor(t, here, share, qos, packet.Code(qos))
			askFor(t, here2, share, qos, packet.Code(qos))
			if n := rounds("here"); n != [4]int{0, 0, 10, 10} {
				t.Errorf("%s: with two members here: %v", base, n)
			}
			askFor(t, far2, base+"/t", qos, packet.Code(qos))
			if n := rounds("plain"); n != [4]int{0, 20, 10, 10} {
				t.Errorf("%s: with a plain subscription beside: %v", base, n)
			}
			for _, c := range append(all, from) {
				c.Close()
			}
		}
	}
	testbed.Eventually(t, func() error {
		for i, b := range p.nodes {
			if n, m := b.neighbours.routes.Load(), b.neighbours.shares.Load(); n+m != 0 {
				return fmt.Errorf("node %d has %d routes and %d of shared subscriptions left", i, n, m)
			}
		}
		return nil
	})
}

// TestSharedIsPassedToAnotherNode: what a member has left unacknowledged goes to one at another node, when none is left here.
func TestSharedIsPassedToAnotherNode(t *testing.T) {
	p := newPair(t)
	here, far, from := p.connect(t, 0, packet.V5), p.connect(t, 1, packet.V5), p.connect(t, 0, packet.V5)
	askFor(t, here, "$share/g/t", 1, 1)
	askFor(t, far, "$share/g/t", 1, 1)
	put(t, from, "t", "left", 1)
	if m, err := testbed.Until[*packet.Publish](here); err != nil || string(m.Payload) != "left" {
		t.Fatalf("%+v, %v", m, err)
	}
	here.Close()
	if m, err := testbed.Until[*packet.Publish](far); err != nil || string(m.Payload) != "left" || m.QoS != 1 {
		t.Fatalf("%+v, %v", m, err)
	}
}

// TestSharedComesBackFromANodeWithoutRoom: a node whose members cannot take a message says so, and another one has it.
func TestSharedComesBackFromANodeWithoutRoom(t *testing.T) {
	p := newPair(t)
	small := testbed.Dial(t, fmt.Sprintf("127.0.0.1:%d", p.nodes[1].settings.Load().Listeners[0].Port), packet.V5)
	props := new(packet.Properties).Set(packet.MaximumPacketSize)
	props.MaximumPacketSize = 100
	if _, err := small.Connect(&packet.Connect{CleanStart: true, KeepAlive: 600, ClientID: "small", Props: props}); err != nil {
		t.Fatal(err)
	}
	from, watch := p.connect(t, 0, packet.V5), p.connect(t, 0, packet.V5)
	askFor(t, small, "$share/g/t", 1, 1)
	askFor(t, small, "own", 1, 1)
	long := fmt.Sprintf("%0200d", 1)
	put(t, from, "t", long, 1) // nobody takes it, which is no failure
	put(t, from, "t", "short", 1)
	put(t, from, "own", "end", 1)
	if got := received(t, small, 1); len(got) != 1 || got[0] != "short" {
		t.Errorf("it has got %q", got)
	}
	askFor(t, watch, "$share/g/t", 1, 1)
	askFor(t, watch, "own", 1, 1)
	put(t, p.connect(t, 1, packet.V5), "t", long, 1) // from the node whose only member cannot take it
	put(t, from, "own", "end", 1)
	if got := received(t, watch, 1); len(got) != 1 || got[0] != long {
		t.Errorf("the other node's member has got %d messages", len(got))
	}
}
