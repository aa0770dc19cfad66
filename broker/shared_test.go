package broker

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"picket/access"
	"picket/cause"
	"picket/internal/testbed"
	"picket/listener"
	"picket/packet"
)

// member is a client of a shared group whose packets are kept.
type member struct {
	*sink
	listener.Client
	x       *bench
	id      string
	version packet.Version
}

// member connects a client with a session that survives, or not.
func (x *bench) member(t *testing.T, id string, survives bool, change func(*packet.Connect)) *member {
	t.Helper()
	m := &member{sink: &sink{info: listenerInfo(x), keep: true}, x: x, id: id, version: packet.V5}
	if m.Client = x.b.Accept(m.sink); m.Client == nil {
		t.Fatal("refused")
	}
	p := &packet.Connect{Version: m.version, CleanStart: !survives, ClientID: id}
	if survives {
		p.Props = new(packet.Properties).Set(packet.SessionExpiryInterval)
		p.Props.SessionExpiry = 1000
	}
	if change != nil {
		change(p)
	}
	x.feed(t, m, p.Append(nil, m.version))
	for end := time.Now().Add(testbed.Patience); ; time.Sleep(time.Millisecond) {
		m.mu.Lock()
		connected := len(m.all) > 0
		m.mu.Unlock()
		if connected {
			return m // with a store, CONNACK comes when the session is in there
		}
		if time.Now().After(end) {
			t.Fatal("no CONNACK")
		}
	}
}

func (m *member) subscribe(t *testing.T, filter string, qos byte) {
	m.x.subscribe(t, m, m.version, filter, qos)
}

// leave ends the connection without DISCONNECT.
func (m *member) leave() {
	m.Closed(m.x.w, nil)
	m.x.w.Flush()
}

// packets calls f for each PUBLISH that has come.
func (m *member) packets(t *testing.T, f func(*packet.Publish)) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for b := m.all; len(b) > 0; {
		head, n, err := packet.Header(b)
		if err != nil || head == 0 {
			t.Fatalf("%x: %v", b, err)
		}
		p, err := packet.Decode(m.version, b[0], b[head:head+n])
		if err != nil {
			t.Fatal(err)
		}
		if p, ok := p.(*packet.Publish); ok {
			f(p)
		}
		b = b[head+n:]
	}
}

// payloads are what has come in PUBLISH packets.
func (m *member) payloads(t *testing.T) (all []string) {
	t.Helper()
	m.packets(t, func(p *packet.Publish) { all = append(all, string(p.Payload)) })
	return all
}

// eventually waits until a member has got n messages.
func (m *member) eventually(t *testing.T, n int) []string {
	t.Helper()
	for end := time.Now().Add(testbed.Patience); ; time.Sleep(time.Millisecond) {
		all := m.payloads(t)
		if len(all) >= n {
			return all
		}
		if time.Now().After(end) {
			t.Fatalf("%s got %q, want %d messages", m.id, all, n)
		}
	}
}

// send publishes numbered messages.
func (x *bench) send(t *testing.T, name string, qos byte, from, to int) {
	t.Helper()
	_, sender := x.client(t, fmt.Sprint("sender ", name, from), packet.V5)
	for i := from; i < to; i++ {
		p := packet.Publish{QoS: qos, Topic: []byte(name), Payload: fmt.Append(nil, i)}
		if qos > 0 {
			p.ID = uint16(i + 1)
		}
		x.feed(t, sender, p.Append(nil, packet.V5))
	}
}

func listenerInfo(x *bench) listener.Info {
	return listener.Info{Remote: netip.MustParseAddrPort("127.0.0.1:1"), Listener: x.l.transport()}
}

// withStores runs a test without a store and with one.
func withStores(t *testing.T, f func(t *testing.T, x *bench)) {
	t.Run("in memory", func(t *testing.T) { f(t, newBench(t, nil)) })
	t.Run("stored", func(t *testing.T) { f(t, newStored(t, vfs.NewMem())) })
}

// TestSharedAllAway: with all members away, each gets its part, however many they are.
func TestSharedAllAway(t *testing.T) {
	withStores(t, func(t *testing.T, x *bench) {
		for _, n := range []int{1, 2, 3, 4} {
			filter := fmt.Sprintf("$share/g/away/%d", n)
			for k := range n {
				m := x.member(t, fmt.Sprint("member ", n, k), true, nil)
				m.subscribe(t, filter, 1)
				m.leave()
			}
			x.send(t, fmt.Sprintf("away/%d", n), 1, 0, 60)
			for k := range n {
				s := x.b.sessions.byID[fmt.Sprint("member ", n, k)]
				s.mu.Lock()
				got := s.out.Waiting()
				s.mu.Unlock()
				if got != 60/n {
					t.Errorf("%d members: member %d has %d of 60 messages", n, k, got)
				}
			}
		}
	})
}

// TestSharedPassesOver: members that cannot take a message are passed over before it counts as delivered.
func TestSharedPassesOver(t *testing.T) {
	acl := filepath.Join(t.TempDir(), "acl")
	if err := os.WriteFile(acl, []byte("pattern read %c/allowed/#\ntopic write #\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		config func(*Config)
		prop   func(*packet.Connect)
		block  func(*member)
		qos    byte
		cause  cause.ID
	}{
		{name: "may not read the topic", config: func(c *Config) {
			c.Security[0] = access.Config{Anonymous: access.AnonymousAlways, ACLFile: acl, AllowZeroLengthID: true}
		}, cause: "acl-read-denied"},
		{name: "Maximum Packet Size", prop: func(p *packet.Connect) {
			if p.Props == nil {
				p.Props = new(packet.Properties)
			}
			p.Props.Set(packet.MaximumPacketSize).MaximumPacketSize = 60
		}, cause: "receiver-packet-limit"},
		{name: "queue full", config: func(c *Config) { c.MaxInflightMessages, c.MaxQueuedMessages = 1, 1 }, qos: 1, cause: "queue-full"},
		{name: "output full", config: func(c *Config) { c.MaxOutputBytes = 1 }, block: func(m *member) { m.full = true }, cause: "output-full"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newBench(t, func(config *Config) {
				if c.config != nil {
					c.config(config)
				}
			})
			weak := x.member(t, "weak", false, c.prop)
			weak.subscribe(t, "$share/g/#", c.qos)
			name := "good/allowed/" + strings.Repeat("n", 100)
			if c.block != nil {
				c.block(weak)
				weak.subscribe(t, "unrelated", 0) // its answer blocks the connection
			}
			if c.qos > 0 { // fill it
				x.send(t, name, 1, 100, 102)
			}
			x.send(t, name, c.qos, 0, 1)
			if n := x.b.Causes()[c.cause]; n == 0 {
				t.Errorf("nobody could take it, and nothing is counted under %s: %v", c.cause, x.b.Causes())
			}
			good := x.member(t, "good", false, nil)
			good.subscribe(t, "$share/g/#", 0)
			x.send(t, name, c.qos, 0, 10)
			if got := good.payloads(t); len(got) != 10 {
				t.Errorf("the member that can take messages got %q, want all 10", got)
			}
		})
	}
}

// TestSharedLeftovers: what a member has not acknowledged when its session ends goes to another member, unless it is of QoS 2 and has been sent.
func TestSharedLeftovers(t *testing.T) {
	ends := map[string]func(t *testing.T, m *member){
		"Clean Start": func(t *testing.T, m *member) {
			m.leave()
			m.x.member(t, m.id, false, nil).leave()
		},
		"taken over with Clean Start": func(t *testing.T, m *member) {
			m.x.member(t, m.id, false, nil)
			m.leave()
		},
		"expiry": func(t *testing.T, m *member) {
			m.leave()
			m.x.b.fall(time.Now().Add(2000 * time.Second))
		},
		"DISCONNECT that ends the session": func(t *testing.T, m *member) {
			p := &packet.Disconnect{Props: new(packet.Properties).Set(packet.SessionExpiryInterval)}
			m.x.feed(t, m, p.Append(nil, m.version))
			m.leave()
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			withStores(t, func(t *testing.T, x *bench) {
				first := x.member(t, "first", true, nil)
				first.subscribe(t, "$share/g/job/#", 2)
				x.send(t, "job/1", 1, 0, 5)
				x.send(t, "job/2", 2, 5, 8)
				first.eventually(t, 8)
				first.Read(x.w, []byte{byte(packet.PUBACK) << 4, 2, 0, 2})
				x.w.Flush()
				second := x.member(t, "second", false, nil)
				second.subscribe(t, "$share/g/job/#", 2)
				end(t, first)
				got := second.eventually(t, 4)
				slices.Sort(got)
				if !slices.Equal(got, []string{"0", "2", "3", "4"}) {
					t.Errorf("the other member got %q", got)
				}
			})
		})
	}
	t.Run("a session that does not survive", func(t *testing.T) {
		x := newBench(t, nil)
		first := x.member(t, "first", false, nil)
		first.subscribe(t, "$share/g/job", 1)
		x.send(t, "job", 1, 0, 3)
		second := x.member(t, "second", false, nil)
		second.subscribe(t, "$share/g/job", 1)
		first.leave()
		if got := second.eventually(t, 3); !slices.Equal(got, []string{"0", "1", "2"}) {
			t.Errorf("the other member got %q", got)
		}
	})
	t.Run("nobody else", func(t *testing.T) {
		x := newBench(t, nil)
		first := x.member(t, "first", false, nil)
		first.subscribe(t, "$share/g/job", 1)
		x.send(t, "job", 1, 0, 3)
		first.leave()
	})
}

// TestRepeatedPublish: a QoS 2 PUBLISH whose identifier waits for PUBREL is answered each time, and delivered once.
func TestRepeatedPublish(t *testing.T) {
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		t.Run(v.String(), func(t *testing.T) {
			x := newBench(t, nil)
			receiver := x.member(t, "receiver", false, nil)
			receiver.subscribe(t, "t", 2)
			sink, c := x.client(t, "sender", v)
			sink.keep = true
			for round := range 3 {
				for i := range 5 {
					x.feed(t, c, (&packet.Publish{Dup: i > 0, QoS: 2, ID: 1, Topic: []byte("t"), Payload: fmt.Append(nil, round)}).Append(nil, v))
				}
				x.feed(t, c, []byte{byte(packet.PUBREL)<<4 | 2, 2, 0, 1})
			}
			rec := []byte{byte(packet.PUBREC) << 4, 2, 0, 1}
			if n := bytes.Count(sink.all, rec); n != 15 {
				t.Errorf("%d PUBREC for 15 PUBLISH", n)
			}
			if got := receiver.payloads(t); !slices.Equal(got, []string{"0", "1", "2"}) {
				t.Errorf("delivered %q", got)
			}
		})
	}
}

// TestRepeatedAsMosquitto: with a mosquitto.conf the second repetition ends the connection, and PUBREL begins anew.
func TestRepeatedAsMosquitto(t *testing.T) {
	x := newBench(t, func(c *Config) { c.Compat = AsMosquitto() })
	sink, c := x.client(t, "sender", packet.V311)
	sink.keep = true
	publish := (&packet.Publish{Dup: true, QoS: 2, ID: 1, Topic: []byte("t")}).Append(nil, packet.V311)
	for range 3 {
		x.feed(t, c, publish)
		x.feed(t, c, publish)
		x.feed(t, c, []byte{byte(packet.PUBREL)<<4 | 2, 2, 0, 1})
	}
	x.feed(t, c, publish)
	x.feed(t, c, publish)
	x.feed(t, c, publish)
	if n := bytes.Count(sink.all, []byte{byte(packet.PUBREC) << 4, 2, 0, 1}); n != 8 {
		t.Errorf("%d PUBREC, want 8", n)
	}
	if c.(*connection).stage() != closed {
		t.Error("the client was not cut off")
	}
}
