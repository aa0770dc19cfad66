package broker

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"picket/access"
	"picket/cause"
	"picket/packet"
)

// speaker is a client of a speaking broker.
type speaker struct {
	net.Conn
	t *testing.T
	v packet.Version
}

// connect logs a client in, as ann unless change says otherwise.
func (x *speaking) connect(t *testing.T, transport int, v packet.Version, change func(*packet.Connect)) *speaker {
	t.Helper()
	p := &speaker{x.dial(t, transport), t, v}
	c := packet.Connect{Version: v, CleanStart: true, ClientID: "ann", HasUsername: true, Username: "ann", HasPassword: true, Password: []byte("right")}
	if change != nil {
		change(&c)
	}
	p.send(&c)
	if ack, ok := p.next().(*packet.Connack); !ok || ack.Code != packet.Success {
		t.Fatalf("CONNACK %+v %s", ack, reasonOf(ack))
	}
	return p
}

func (p *speaker) send(packets ...packet.Packet) {
	p.t.Helper()
	var all []byte
	for _, one := range packets {
		all = one.Append(all, p.v)
	}
	if _, err := p.Write(all); err != nil {
		p.t.Fatal(err)
	}
}

func (p *speaker) next() packet.Packet {
	p.t.Helper()
	return next(p.t, p.Conn, p.v)
}

// expect reads messages up to one whose topic is last, and returns their topics.
func (p *speaker) expect(last string) (topics []string) {
	p.t.Helper()
	for {
		got := p.next()
		m, ok := got.(*packet.Publish)
		if !ok {
			p.t.Fatalf("got %T after %d messages: %s", got, len(topics), reasonOf(got))
		}
		topics = append(topics, string(m.Topic))
		if string(m.Topic) == last {
			return topics
		}
	}
}

func subscriptionTo(filters ...string) *packet.Subscribe {
	p := &packet.Subscribe{ID: 1}
	for _, f := range filters {
		p.Filters = append(p.Filters, packet.Subscription{Filter: f})
	}
	return p
}

// A will is published only where its client might publish, by the rules in force at that moment, and what is held back is said.
func TestWillsAreJudged(t *testing.T) {
	x := newSpeaking(t)
	watcher := x.connect(t, 0, packet.V5, func(p *packet.Connect) { p.ClientID = "watcher" })
	watcher.send(subscriptionTo("open/#", "closed/#", "$SYS/forged"))
	watcher.next()
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		for _, c := range []struct {
			topic string
			cause cause.ID
		}{{"open/will", ""}, {"closed/will", cause.ACLPublishDenied}, {"$SYS/forged", cause.SysReadOnly}, {"$SYS/broker/version", cause.SysReadOnly}} {
			for _, end := range []string{"lost", "with its will", "taken over"} {
				t.Run(fmt.Sprintf("%d/%s/%s", v, c.topic, end), func(t *testing.T) {
					if end == "with its will" && v != packet.V5 {
						end = "protocol error"
					}
					before := x.b.Causes()
					with := func(p *packet.Connect) {
						p.ClientID, p.Will = t.Name(), &packet.Will{Topic: c.topic, Payload: []byte("FORGED"), Retain: true}
					}
					p := x.connect(t, 0, v, with)
					switch end {
					case "lost":
						p.Close()
					case "with its will":
						p.send(&packet.Disconnect{Code: packet.DisconnectWithWill})
					case "protocol error":
						p.send(&packet.Connack{})
					default:
						with = func(p *packet.Connect) { p.ClientID = t.Name() }
						x.connect(t, 0, v, with).send(&packet.Disconnect{})
					}
					if c.cause == "" {
						watcher.expect(c.topic)
						return
					}
					until(t, func() bool { return x.b.Causes()[c.cause] != before[c.cause] })
					x.connect(t, 0, v, func(p *packet.Connect) { p.ClientID = "marker" }).send(&packet.Publish{Topic: []byte("open/marker")})
					if got := watcher.expect("open/marker"); len(got) != 1 {
						t.Errorf("%q were delivered", got)
					}
					if m := x.b.retained.get(c.topic); m != nil && string(m.Payload) == "FORGED" {
						t.Error("it is retained")
					}
					if n := x.b.Causes()[c.cause] - before[c.cause]; n != 1 {
						t.Errorf("%s was counted %d times", c.cause, n)
					}
				})
			}
		}
	}
	t.Run("rules of the moment", func(t *testing.T) {
		p := x.connect(t, 0, packet.V311, func(p *packet.Connect) {
			p.ClientID, p.Will = t.Name(), &packet.Will{Topic: "open/will", Payload: []byte("late")}
		})
		x.reload(t, "user ann\ntopic read open/#\ntopic write open/marker\n")
		before := x.b.Causes()[cause.ACLPublishDenied]
		p.Close()
		until(t, func() bool { return x.b.Causes()[cause.ACLPublishDenied] != before })
	})
}

// Clients publish and are delivered to while the rules change under them. The race detector watches.
func TestRulesChangeUnderTheirClients(t *testing.T) {
	x := newSpeaking(t)
	watcher := x.connect(t, 0, packet.V5, func(p *packet.Connect) { p.ClientID = "watcher" })
	watcher.send(subscriptionTo("open/#"))
	watcher.next()
	publisher := x.connect(t, 1, packet.V311, nil)
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				publisher.send(&packet.Publish{Topic: []byte("open/a"), Payload: []byte("x")})
			}
		}
	})
	group.Go(func() {
		for watcher.expect("open/last") == nil {
		}
	})
	for range 50 {
		x.reload(t, "user ann\ntopic readwrite open/#\n")
	}
	close(stop)
	x.connect(t, 0, packet.V311, func(p *packet.Connect) { p.ClientID = "last" }).send(&packet.Publish{Topic: []byte("open/last"), QoS: 1, ID: 1})
	group.Wait()
}

// slowAuthority answers everything later, when it is let.
type slowAuthority struct {
	mu    sync.Mutex
	asked map[string]int
	gate  chan struct{} // closed: answers come
}

func (a *slowAuthority) answer(what string, d access.Decision) access.Decision {
	return access.Decision{Later: &access.Later{Get: func(ctx context.Context) access.Decision {
		a.mu.Lock()
		a.asked[what]++
		gate := a.gate
		a.mu.Unlock()
		select {
		case <-gate:
			return d
		case <-ctx.Done():
			return access.Decision{Cause: cause.AuthBackendDown}
		}
	}}}
}

func (a *slowAuthority) Recheck(*access.Policy, *access.Client) (access.Decision, bool) {
	return access.Decision{}, false
}

func (a *slowAuthority) Connect(_ *access.Policy, l access.Login) (access.Decision, bool) {
	if string(l.Password) != "token" {
		return a.answer("connect", access.Decision{Cause: cause.BadCredentials, Text: "no such token"}), true
	}
	return a.answer("connect", access.Decision{Allow: true, Grant: "claims"}), true
}

func (*slowAuthority) Knows(string) bool { return true }

func (a *slowAuthority) Authorize(c *access.Client, do access.Action, topic string) (access.Decision, bool) {
	switch {
	case c.Grant != "claims":
		return access.Decision{Cause: cause.ACLPublishDenied}, true
	case do == access.Deliver:
		return access.Decision{Allow: true}, true
	case strings.HasPrefix(topic, "no/") && do == access.Publish:
		return a.answer("publish", access.Decision{Cause: cause.ACLPublishDenied}), true
	case strings.HasPrefix(topic, "no/"):
		return a.answer("subscribe", access.Decision{Cause: cause.ACLSubscribeDenied}), true
	}
	return a.answer(topic, access.Decision{Allow: true}), true
}

// open lets answers come, or holds them back.
func (a *slowAuthority) open(yes bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if yes {
		close(a.gate)
	} else {
		a.gate = make(chan struct{})
	}
}

// Somebody else decides, slowly: for logins, publishing, subscribing and wills alike. Others are served meanwhile.
func TestAnswersThatComeLater(t *testing.T) {
	a := &slowAuthority{asked: make(map[string]int), gate: make(chan struct{})}
	a.open(true)
	x := newSpeaking(t, func(c *Config) {
		c.Security = append(c.Security, c.Security[0])
		c.Security[1].Authority = a
		for i := range c.Listeners[:3] {
			c.Listeners[i].Security = 1
		}
	})
	quick := x.connect(t, 3, packet.V5, func(p *packet.Connect) { p.ClientID = "quick" })
	ping := func(t *testing.T) {
		t.Helper()
		quick.send(packet.Pingreq{})
		if _, ok := quick.next().(packet.Pingresp); !ok {
			t.Fatal("another client is not served")
		}
	}
	for transport := range 3 {
		for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
			t.Run(fmt.Sprintf("%s/%d", transports[transport], v), func(t *testing.T) {
				login := func(id, token string) *packet.Connect {
					return &packet.Connect{Version: v, CleanStart: true, ClientID: id, HasUsername: true, Username: "u", HasPassword: true, Password: []byte(token)}
				}
				wrong := &speaker{x.dial(t, transport), t, v}
				wrong.send(login("wrong", "none"))
				if ack, ok := wrong.next().(*packet.Connack); !ok || !ack.Code.Failed() && v == packet.V5 || ack.Code == packet.Success {
					t.Fatalf("CONNACK %+v for a wrong token", ack)
				}
				a.open(false)
				p := &speaker{x.dial(t, transport), t, v}
				connect := login("slow", "token")
				connect.Will = &packet.Will{Topic: "yes/will", Payload: []byte("will")}
				// Everything at once: each packet waits for its answer, and all are handled in their order.
				p.send(connect, subscriptionTo("yes/#", "no/#"),
					&packet.Publish{Topic: []byte("yes/a"), QoS: 1, ID: 1}, &packet.Publish{Topic: []byte("no/a"), QoS: 1, ID: 2},
					&packet.Publish{Topic: []byte("yes/b"), QoS: 2, ID: 3}, packet.Pingreq{})
				ping(t)
				a.open(true)
				var order []string
				for range 8 {
					switch got := p.next().(type) {
					case *packet.Connack:
						order = append(order, "connack")
					case *packet.Suback:
						order = append(order, fmt.Sprint("suback ", got.Codes[0] == 0, got.Codes[1].Failed()))
					case *packet.Publish:
						order = append(order, string(got.Topic))
					case *packet.Ack:
						order = append(order, fmt.Sprint(got.Kind, got.ID, v == packet.V5 && got.Code.Failed()))
					case packet.Pingresp:
						order = append(order, "pingresp")
					}
				}
				text := strings.Join(order, ", ")
				for _, want := range []string{"connack, suback true true", "yes/a", fmt.Sprintf("PUBACK 2 %v", v == packet.V5), "yes/b", "pingresp"} {
					if !strings.Contains(text, want) {
						t.Errorf("no %q in %s", want, text)
					}
				}
				watcher := x.connect(t, transport, packet.V5, func(p *packet.Connect) { *p = *login("watcher", "token"); p.Version = packet.V5 })
				watcher.send(subscriptionTo("yes/will"))
				watcher.next()
				p.Close()
				watcher.expect("yes/will")
			})
		}
	}
	t.Run("it goes away meanwhile", func(t *testing.T) {
		a.open(false)
		p := &speaker{x.dial(t, 1), t, packet.V5}
		p.send(&packet.Connect{Version: packet.V5, CleanStart: true, ClientID: "gone", HasUsername: true, Username: "u", HasPassword: true, Password: []byte("token")})
		ping(t)
		p.Close()
		a.open(true)
		ping(t)
	})
}

// reload has the ACL file say something else.
func (x *speaking) reload(t *testing.T, acl string) {
	t.Helper()
	if err := x.b.Reload(func() (*Config, error) {
		c := x.b.settings.Load().Config
		c.Listeners = nil
		for _, l := range x.b.settings.Load().Listeners {
			fresh := *l
			c.Listeners = append(c.Listeners, &fresh)
		}
		return &c, os.WriteFile(c.Security[0].ACLFile, []byte(acl), 0o600)
	}); err != nil {
		t.Error(err)
	}
}
