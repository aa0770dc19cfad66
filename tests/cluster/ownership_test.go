package cluster

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis/rueidis"

	"picket/internal/testbed"
	"picket/packet"
)

// keys are the names in Redis that a pattern fits.
func (r *rig) keys(pattern string) []string {
	r.t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{fmt.Sprintf("127.0.0.1:%d", r.port)}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	all, err := c.Do(context.Background(), c.B().Keys().Pattern(pattern).Build()).AsStrSlice()
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// willing connects a client with a will, and with a clean session.
func (r *rig) willing(b *testbed.Broker, v packet.Version, id, topic string) *testbed.Client {
	r.t.Helper()
	c := testbed.Dial(r.t, b.Addr(r.t, "PORT"), v)
	if _, err := c.Connect(&packet.Connect{ClientID: id, CleanStart: true, KeepAlive: 600, Will: &packet.Will{Topic: topic, Payload: []byte("will"), QoS: 1}}); err != nil {
		r.t.Fatal(err)
	}
	return c
}

// TestOneClientIdentifierOnTwoNodes: the client that comes last has it, wherever, and the will of the one before is published.
func TestOneClientIdentifierOnTwoNodes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.node(), r.node()
	linked(t, a, b)
	w, p := r.client(a, packet.V5, "watcher"), r.client(b, packet.V5, "publisher")
	subscribe(t, w, "#", 1)
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		id := fmt.Sprintf("c%d", v)
		one := r.willing(a, v, id, id+"/will")
		subscribe(t, one, id+"/t", 1)
		for range 3 {
			for _, at := range []*testbed.Broker{b, a} {
				two := r.willing(at, v, id, id+"/will")
				if v == packet.V5 {
					if d, err := testbed.Until[*packet.Disconnect](one); err != nil || d.Code != packet.SessionTakenOver {
						t.Fatalf("%+v, %v", d, err)
					}
				} else if p, err := one.Next(); err == nil {
					t.Fatalf("it gets %+v and stays connected", p)
				}
				expect(t, w, id+"/will", "will", 1)
				subscribe(t, two, id+"/t", 1)
				publish(t, p, 1, id+"/t", "m", 1)
				expect(t, two, id+"/t", "m", 1)
				expect(t, w, id+"/t", "m", 1)
				one = two
			}
		}
		if err := one.Send(&packet.Disconnect{}); err != nil {
			t.Fatal(err)
		}
		one.Close()
	}
}

// TestWillsOfADeadNode: they are published by another one, once.
func TestWillsOfADeadNode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.node(), r.node()
	linked(t, a, b)
	w, p := r.client(a, packet.V5, "watcher"), r.client(a, packet.V5, "publisher")
	subscribe(t, w, "#", 1)
	for i, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		r.willing(b, v, fmt.Sprintf("c%d", i), fmt.Sprintf("will/%d", v))
	}
	testbed.Eventually(t, func() error {
		if n := len(r.keys("{picket}s:=c*")); n != 3 {
			return fmt.Errorf("%d of 3 sessions are in Redis", n)
		}
		return nil
	})
	publish(t, p, 1, "before", "before", 1) // and so the wills are stored
	expect(t, w, "before", "before", 1)
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for len(got) < 3 {
		m, err := testbed.Until[*packet.Publish](w)
		if err != nil {
			t.Fatalf("%v came, then %v", got, err)
		}
		got[string(m.Topic)]++
		if err := w.Send(&packet.Ack{Kind: packet.PUBACK, ID: m.ID}); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, p, 2, "after", "after", 1)
	expect(t, w, "after", "after", 1) // and not a will again
	b.Run(t)
	r.client(b, packet.V5, "again")
}

// TestNothingIsLeftOfClientsThatAreGone: who takes a new client identifier each time leaves nothing behind in Redis.
func TestNothingIsLeftOfClientsThatAreGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.node(), r.node()
	linked(t, a, b)
	for i := range 20 {
		c := r.client([]*testbed.Broker{a, b}[i%2], packet.V311, fmt.Sprintf("gone%d", i%15))
		subscribe(t, c, "t", 1)
		c.Close()
	}
	testbed.Eventually(t, func() error {
		if all := append(r.keys("{picket}s:*"), r.keys("{picket}o:*")...); len(all) > 0 {
			return fmt.Errorf("there are %v", all)
		}
		return nil
	})
}
