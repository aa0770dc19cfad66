package cluster

import (
	"fmt"
	"testing"

	"picket/internal/testbed"
	"picket/packet"
)

// got is what a client gets up to "end", which comes at QoS 1 by a filter of its own, with the handshakes ended.
func got(t *testing.T, c *testbed.Client) (all []string) {
	t.Helper()
	for {
		p, err := testbed.Until[*packet.Publish](c)
		if err != nil {
			t.Fatal(err)
		}
		switch p.QoS {
		case 1:
			err = c.Send(&packet.Ack{Kind: packet.PUBACK, ID: p.ID})
		case 2:
			err = c.Send(&packet.Ack{Kind: packet.PUBREC, ID: p.ID}, &packet.Ack{Kind: packet.PUBCOMP, ID: p.ID})
		}
		if err != nil {
			t.Fatal(err)
		}
		if string(p.Payload) == "end" {
			return all
		}
		all = append(all, string(p.Payload))
	}
}

// crew is clients whose messages are counted.
type crew struct {
	t       *testing.T
	name    string
	from    *testbed.Client
	members []*testbed.Client
}

// join adds a member, which subscribes to what ends its turn, too.
func (w *crew) join(c *testbed.Client) {
	w.t.Helper()
	subscribe(w.t, c, fmt.Sprint(w.name, "/end/", len(w.members)), 1)
	w.members = append(w.members, c)
}

// round publishes n messages and says how many each member has got. Each of them comes once.
func (w *crew) round(n int, qos byte) (counts []int) {
	w.t.Helper()
	for i := range n {
		publish(w.t, w.from, uint16(i%1000+1), w.name+"/t", fmt.Sprint(i), qos)
	}
	for i := range w.members {
		publish(w.t, w.from, 2000, fmt.Sprint(w.name, "/end/", i), "end", 1)
	}
	seen := make(map[string]int)
	for _, c := range w.members {
		all := got(w.t, c)
		counts = append(counts, len(all))
		for _, text := range all {
			seen[text]++
		}
	}
	for i := range n {
		if times := seen[fmt.Sprint(i)]; times != 1 {
			w.t.Errorf("%s: message %d of QoS %d has come %d times", w.name, i, qos, times)
		}
	}
	return counts
}

// TestSharedOverNodes: one member of a shared subscription in the whole cluster gets each message. Where the publisher's node has none, the others take turns, however many members each has; where it has one, that
// gets them; and who goes gets nothing any more.
func TestSharedOverNodes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.node(), r.node(), r.node()
	linked(t, a, b, c)
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		for qos := byte(0); qos <= 2; qos++ {
			name := fmt.Sprintf("g%d-%d", v, qos)
			w := &crew{t: t, name: name, from: r.client(a, packet.V5, name+"p")}
			share := "$share/" + name + "/" + name + "/+"
			for i, at := range []*testbed.Broker{b, b, c} {
				m := r.client(at, v, fmt.Sprint(name, "m", i))
				w.join(m)
				subscribe(t, m, share, qos)
			}
			if n := w.round(40, qos); n[0] != 10 || n[1] != 10 || n[2] != 20 {
				t.Errorf("%s: two members at one node and one at another have got %v of 40", name, n)
			}
			here := r.client(a, v, name+"h")
			w.join(here)
			subscribe(t, here, share, qos)
			if n := w.round(20, qos); n[3] != 20 {
				t.Errorf("%s: with a member at the publisher's node: %v", name, n)
			}
			for _, m := range []*testbed.Client{here, w.members[2]} {
				if err := m.Send(&packet.Unsubscribe{ID: 9, Filters: []string{share}}); err != nil {
					t.Fatal(err)
				}
				if _, err := testbed.Until[*packet.Unsuback](m); err != nil {
					t.Fatal(err)
				}
			}
			if qos > 0 { // at QoS 0 a node that does not know yet that another one has no member left may send it something
				if n := w.round(20, qos); n[0] != 10 || n[1] != 10 {
					t.Errorf("%s: when two have left: %v", name, n)
				}
			}
			w.from.Close()
			for _, m := range w.members {
				m.Close()
			}
		}
	}
}

// TestSharedWhenANodeIsKilled: what a publisher is told of has come to a member that is left, and to one alone.
func TestSharedWhenANodeIsKilled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.node(), r.node(), r.node()
	linked(t, a, b, c)
	w := &crew{t: t, name: "k", from: r.client(a, packet.V5, "p")}
	gone, stays := r.client(b, packet.V5, "gone"), r.client(c, packet.V5, "stays")
	w.join(stays)
	subscribe(t, gone, "$share/g/k/t", 2)
	subscribe(t, stays, "$share/g/k/t", 2)
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	for qos := byte(1); qos <= 2; qos++ {
		if n := w.round(20, qos); n[0] != 20 {
			t.Errorf("QoS %d: the member that is left has got %v of 20", qos, n)
		}
	}
	b.Run(t)
	back := r.client(b, packet.V5, "back")
	w.join(back)
	subscribe(t, back, "$share/g/k/t", 2)
	if n := w.round(20, 2); n[0] != 10 || n[1] != 10 {
		t.Errorf("when the node is back: %v of 20", n)
	}
}
