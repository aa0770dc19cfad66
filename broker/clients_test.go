package broker

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"picket/packet"
	"picket/session"
)

// Every client is listed exactly once, over the parts, with what it is.
func TestClients(t *testing.T) {
	x := newSpeaking(t)
	var want []string
	for i := range 7 {
		id := fmt.Sprintf("dev%d", i)
		want = append(want, id)
		x.connect(t, i%len(transports), packet.V5, func(p *packet.Connect) {
			p.ClientID, p.KeepAlive = id, 30
			p.Props = (&packet.Properties{SessionExpiry: 60}).Set(packet.SessionExpiryInterval)
		})
	}
	var got []string
	for from, more := 0, true; more; {
		part := 0
		from, more = x.b.EachClient(from, func(c *ClientState) bool {
			got = append(got, c.ID)
			if !c.Connected || c.User != "ann" || c.Version != "5.0" || c.KeepAlive != 30 || !c.Address.Addr().IsLoopback() || c.Expiry != 60 || c.Listener != "here" {
				t.Errorf("%+v", c)
			}
			one := transports[int(c.ID[3]-'0')%len(transports)]
			if c.TLS != strings.Contains(one, "tls") || (c.Transport == "websocket") != strings.Contains(one, "websocket") {
				t.Errorf("%+v came by %s", c, one)
			}
			part++
			return part < 3
		})
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// What waits for a client that is away is shown.
func TestClientsQueues(t *testing.T) {
	x := newSpeaking(t)
	for i := range 3 {
		p := x.connect(t, 0, packet.V5, func(p *packet.Connect) {
			p.ClientID = fmt.Sprintf("dev%d", i)
			p.Props = (&packet.Properties{SessionExpiry: 3600}).Set(packet.SessionExpiryInterval)
		})
		for range i {
			p.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: fmt.Sprintf("open/%d", i), QoS: 1}}})
			p.next()
		}
		p.send(&packet.Disconnect{})
		until(t, func() bool { c, _, ok := x.b.Client(fmt.Sprintf("dev%d", i)); return ok && !c.Connected })
	}
	inside := x.b.Local(nil, nil)
	defer inside.Close()
	for i, topic := range []string{"open/1", "open/2", "open/2"} {
		if err := inside.Publish(t.Context(), &session.Message{Topic: topic, QoS: 1, Payload: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		if c, _, _ := x.b.Client(fmt.Sprintf("dev%d", i)); c.Queued != i || c.QueuedBytes != i || c.Connected {
			t.Errorf("got %+v", c)
		}
	}
	if c, filters, ok := x.b.Client("dev2"); !ok || c.Subscriptions != 1 || !slices.Equal(filters, []string{"open/2"}) {
		t.Errorf("got %+v, %q", c, filters)
	}
	if _, _, ok := x.b.Client("dev9"); ok {
		t.Error("there is no dev9")
	}
}

// brokerOf is a broker that has so many sessions, and nothing else.
func brokerOf(sessions int) *Broker {
	x := &Broker{sessions: register{byID: make(map[string]*Session)}}
	for i := range sessions {
		s := x.blank(nil)
		s.id = fmt.Sprintf("device-%06d", i)
		x.sessions.enter(s)
	}
	return x
}

// The first page of a list of 100,000 sessions.
func BenchmarkEachClient(b *testing.B) {
	x := brokerOf(100_000)
	for _, limit := range []int{100, 100_000} {
		b.Run(fmt.Sprint(limit), func(b *testing.B) {
			for b.Loop() {
				n := 0
				if x.EachClient(0, func(*ClientState) bool { n++; return n < limit }); n != limit {
					b.Fatal(n)
				}
			}
		})
	}
}
