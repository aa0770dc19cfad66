package broker

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"picket/access"
	"picket/packet"
	"picket/topic"
)

// TestRuns publishes packets of many names in one read and compares what each receiver gets with what its filters match: everything, once, in its
// order, under the right name, in every combination of versions and QoS, with an ACL and without, large and small.
func TestRuns(t *testing.T) {
	acl := filepath.Join(t.TempDir(), "acl")
	rules := "topic write #\npattern read %c/#\ntopic read a/#\ntopic read b/1\ntopic deny a/3\n" // which denies to publish, too
	if err := os.WriteFile(acl, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	readable := func(who, name string) bool {
		return name != "a/3" && (topic.Match("a/#", name) || name == "b/1" || topic.Match(who+"/#", name))
	}
	filters := map[string]string{"all": "#", "a": "a/#", "first": "+/1", "b": "b/#", "exact": "a/2"}
	names := []string{"a/1", "a/2", "a/3", "b/1", "b/2", "c/nobody-but-all", "a/1/deeper"}
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		for qos := range byte(3) {
			for _, limited := range []bool{false, true} {
				for _, size := range []int{10, 20_000} {
					t.Run(fmt.Sprintf("%s QoS %d, ACL %v, %d bytes", v, qos, limited, size), func(t *testing.T) {
						x := newBench(t, func(c *Config) {
							if limited {
								c.Compat.SubscribeUnchecked = true // SUBSCRIBE is never refused
								c.Security[0] = access.Config{Anonymous: access.AnonymousAlways, ACLFile: acl, AllowZeroLengthID: true}
							}
						})
						receivers := make(map[string]*member)
						for id, filter := range filters {
							m := x.member(t, id, id == "a", func(p *packet.Connect) {
								if id == "b" {
									p.Version, p.Props = packet.V311, nil
								}
							})
							if id == "b" {
								m.version = packet.V311
							}
							m.subscribe(t, filter, qos)
							receivers[id] = m
						}
						random := rand.New(rand.NewSource(1))
						_, sender := x.client(t, "sender", v)
						want := make(map[string][]string)
						id := uint16(0)
						for round := range 6 {
							var b []byte
							name := names[0]
							for i := range 40 {
								if random.Intn(3) > 0 {
									name = names[random.Intn(len(names))]
								}
								payload := fmt.Appendf(nil, "%d/%d %s ", round, i, name)
								payload = append(payload, bytes.Repeat([]byte("x"), random.Intn(size))...)
								id++
								p := packet.Publish{QoS: qos, Topic: []byte(name), Payload: payload}
								if qos > 0 {
									p.ID = id
								}
								if v == packet.V5 && i >= 20 {
									p.Props = append(p.Props, byte(packet.PayloadFormatIndicator), 0)
								}
								b = p.Append(b, v)
								for who, filter := range filters {
									if topic.Match(filter, name) && (!limited || readable(who, name)) {
										want[who] = append(want[who], name+" "+string(payload))
									}
								}
							}
							if round == 3 { // what is known of the names is out of date
								receivers["exact"].subscribe(t, "c/#", qos)
								filters := receivers["exact"]
								x.feed(t, filters, (&packet.Unsubscribe{ID: 1, Filters: []string{"c/#"}}).Append(nil, packet.V5))
							}
							x.feed(t, sender, b)
						}
						for who := range filters {
							if got := receivers[who].published(t); !slices.Equal(got, want[who]) {
								for i := range min(len(got), len(want[who])) {
									if got[i] != want[who][i] {
										t.Fatalf("%s: message %d is %.40q, want %.40q", who, i, got[i], want[who][i])
									}
								}
								t.Errorf("%s got %d messages, want %d", who, len(got), len(want[who]))
							}
						}
					})
				}
			}
		}
	}
}

// TestRunsWait publishes packets of several names and sizes in one read to receivers whose window is nearly full: whatever waits is what was published, in its order,
// for one receiver and for two.
func TestRunsWait(t *testing.T) {
	for _, qos := range []byte{1, 2} {
		for _, receivers := range []int{1, 2} {
			t.Run(fmt.Sprintf("QoS %d, %d receivers", qos, receivers), func(t *testing.T) {
				x := newBench(t, func(c *Config) { c.MaxInflightMessages = 3 })
				var members []*member
				for i := range receivers {
					m := x.member(t, fmt.Sprint("receiver ", i), false, nil)
					m.subscribe(t, "#", qos)
					members = append(members, m)
				}
				_, sender := x.client(t, "sender", packet.V5)
				var b []byte
				var want []string
				for i := range 100 {
					name, payload := fmt.Sprint("a/", i/7%3), bytes.Repeat([]byte{byte(i)}, i*i%1500)
					if i == 50 {
						payload = make([]byte, 5000)
					}
					p := packet.Publish{QoS: qos, Topic: []byte(name), Payload: payload, ID: uint16(i + 1)}
					if i >= 30 {
						p.Props = append(p.Props, byte(packet.PayloadFormatIndicator), 0)
					}
					b = p.Append(b, packet.V5)
					want = append(want, name+" "+string(payload))
				}
				x.feed(t, sender, b)
				clear(b) // the reading buffer is read into again
				for _, m := range members {
					for last := uint16(0); int(last) < len(want); {
						m.eventually(t, int(last)+1)
						from := last
						if qos == 1 {
							x.feed(t, m, acks(nil, packet.PUBACK, &last, 1))
							continue
						}
						x.feed(t, m, acks(nil, packet.PUBREC, &from, 1))
						x.feed(t, m, acks(nil, packet.PUBCOMP, &last, 1))
					}
					if got := m.published(t); !slices.Equal(got, want) {
						t.Errorf("%s got %d messages, want %d, or they are other ones", m.id, len(got), len(want))
					}
				}
				if used, n := x.b.queued.Used(), x.b.queued.Messages(); used != 0 || n != 0 {
					t.Errorf("%d bytes of %d messages are counted, and none waits", used, n)
				}
			})
		}
	}
}

// published are the names and payloads of what has come, in order.
func (m *member) published(t *testing.T) (all []string) {
	t.Helper()
	last := 0
	m.packets(t, func(p *packet.Publish) {
		all = append(all, string(p.Topic)+" "+string(p.Payload))
		if p.QoS > 0 {
			if int(p.ID) != last+1 {
				t.Errorf("packet identifier %d behind %d", p.ID, last)
			}
			last = int(p.ID)
		}
	})
	return all
}

// TestRunTogether: packets whose names lead to the same receivers are one run, others are not.
func TestRunTogether(t *testing.T) {
	x := newBench(t, nil)
	_, one := x.client(t, "one", packet.V311)
	x.subscribe(t, one, packet.V311, "a/#", 1)
	x.subscribe(t, one, packet.V311, "b/+", 1)
	_, two := x.client(t, "two", packet.V311)
	x.subscribe(t, two, packet.V311, "b/2", 1)
	_, c := x.client(t, "sender", packet.V311)
	sender := c.(*connection)
	w := x.w.(*worker)
	in := func(names ...string) (b []byte) {
		for i, name := range names {
			b = (&packet.Publish{QoS: 1, ID: uint16(i + 1), Topic: []byte(name)}).Append(b, packet.V311)
		}
		return b
	}
	x.feed(t, c, in("a/1", "a/2", "b/1", "b/2", "$SYS/x", "nobody/1", "nobody/2"))
	for _, step := range []struct {
		names []string
		n     int
	}{
		{[]string{"a/1", "a/2", "b/1", "a/1"}, 4},
		{[]string{"a/1", "a/1", "b/2"}, 2},
		{[]string{"b/2", "b/2", "b/1"}, 2},
		{[]string{"a/1", "a/new", "a/1"}, 3}, // not known yet
		{[]string{"a/new", "nobody/new", "a/1"}, 1},
		{[]string{"nobody/new", "nobody/newer", "a/1"}, 2},
		{[]string{"a/1", "a/\x01", "a/1"}, 1},
		{[]string{"a/1", "a/+", "a/1"}, 1},
		{[]string{"a/1", "", "a/1"}, 1},
		{[]string{"a/1", strings.Repeat("a/", topic.MaxLevels), "a/1"}, 1},
		{[]string{"a/1", "$SYS/x", "a/1"}, 1}, // not allowed
		{[]string{"nobody/1", "nobody/2", "a/1"}, 2},
	} {
		var p packet.Publish
		if err := w.gather(sender, in(step.names...), &p); err != nil {
			t.Fatal(err)
		}
		if w.run.n != step.n {
			t.Errorf("%q: a run of %d, want %d", step.names, w.run.n, step.n)
		}
		for i := range w.run.n {
			if got := string(w.run.topic(i)); got != step.names[i] {
				t.Errorf("%q: packet %d has the name %q", step.names, i, got)
			}
		}
		w.run.drop()
	}
}

// TestNamesThatComeOnce publishes to names that never come again, between changes of the subscriptions, and compares what each receiver gets with what its filters match. Their
// routes are not all kept.
func TestNamesThatComeOnce(t *testing.T) {
	x := newBench(t, nil)
	filters := map[string]string{"all": "#", "a": "a/#", "b": "b/+", "later": "b/#"}
	receivers := make(map[string]*member)
	for id, filter := range filters {
		receivers[id] = x.member(t, id, false, nil)
		if id != "later" {
			receivers[id].subscribe(t, filter, 1)
		}
	}
	_, sender := x.client(t, "sender", packet.V311)
	random, want, n := rand.New(rand.NewSource(1)), make(map[string][]string), 0
	for round := range 6 {
		if round == 3 {
			receivers["later"].subscribe(t, filters["later"], 1)
		}
		var b []byte
		for range 2 * maxPassing {
			kind := "a"
			if random.Intn(20) == 0 {
				kind = "b"
			}
			n++
			name := fmt.Sprintf("%s/%d", kind, n)
			b = (&packet.Publish{QoS: 1, ID: uint16(n), Topic: []byte(name), Payload: []byte(name)}).Append(b, packet.V311)
			for who, filter := range filters {
				if topic.Match(filter, name) && (who != "later" || round >= 3) {
					want[who] = append(want[who], name+" "+name)
				}
			}
		}
		x.feed(t, sender, b)
	}
	for who := range filters {
		if got := receivers[who].published(t); !slices.Equal(got, want[who]) {
			t.Errorf("%s got %d messages, want %d", who, len(got), len(want[who]))
		}
	}
	w := x.w.(*worker)
	if len(w.passing) == 0 || len(w.passing) > maxPassing+1 || len(w.routes) == 0 || len(w.routes) > n/keepOneIn+1 {
		t.Errorf("%d routes are kept of %d names, and there are %d that are not", len(w.routes), n, len(w.passing))
	}
}

// TestEncodings compares what receivers of every kind get of one PUBLISH with the bytes that the specification gives.
func TestEncodings(t *testing.T) {
	raw := (&packet.Publish{QoS: 1, Retain: true, ID: 0x1234, Topic: []byte("m/t"), Payload: []byte("xy"),
		Props: []byte{byte(packet.PayloadFormatIndicator), 0, byte(packet.MessageExpiryInterval), 0, 0, 0, 9}}).Append(nil, packet.V5)
	for _, c := range []struct {
		key  variantKey
		want string
		id   int32
	}{
		{variantKey{v5: false, qos: 0}, "\x30\x07\x00\x03m/txy", 0},
		{variantKey{v5: false, qos: 1}, "\x32\x09\x00\x03m/t\x00\x01xy", 7},
		{variantKey{v5: false, qos: 2, retain: true}, "\x35\x09\x00\x03m/t\x00\x01xy", 7},
		{variantKey{v5: false, qos: 1, prefix: 2}, "\x32\x07\x00\x01t\x00\x01xy", 5},
		{variantKey{v5: true, qos: 0}, "\x30\x0f\x00\x03m/t\x07\x01\x00\x02\x00\x00\x00\x09xy", 0},
		{variantKey{v5: true, qos: 1}, "\x32\x11\x00\x03m/t\x00\x01\x07\x01\x00\x02\x00\x00\x00\x09xy", 7},
		{variantKey{v5: true, qos: 1, retain: true}, string(raw), 7}, // as it came
	} {
		x := newBench(t, nil)
		_, client := x.client(t, "c", packet.V5)
		w := x.w.(*worker)
		var p packet.Publish
		if err := w.gather(client.(*connection), raw, &p); err != nil {
			t.Fatal(err)
		}
		v := w.run.as(c.key)
		if string(v.buf) != c.want {
			t.Errorf("%+v: %q, want %q", c.key, v.buf, c.want)
		}
		if c.key.qos > 0 && v.id[0] != c.id {
			t.Errorf("%+v: the identifier is at %d, want %d", c.key, v.id[0], c.id)
		}
		if again := w.run.as(c.key); again != v {
			t.Errorf("%+v: encoded twice", c.key)
		}
		w.run.drop()
	}
	got := appendProperties(nil, []byte{byte(packet.TopicAlias), 0, 1, byte(packet.PayloadFormatIndicator), 1}, true, 7, []uint32{1, 300})
	if want := "\x01\x01\x02\x00\x00\x00\x07\x0b\x01\x0b\xac\x02"; string(got) != want {
		t.Errorf("properties %q, want %q", got, want)
	}
}

// TestLentIsKept: what a transport does not take of a run that was offered from where it lies comes later, as it was, and in order.
func TestLentIsKept(t *testing.T) {
	for _, large := range []bool{false, true} {
		x := newBench(t, nil)
		m := x.member(t, "slow", false, nil)
		m.subscribe(t, "#", 1)
		_, sender := x.client(t, "sender", packet.V311)
		var want []string
		id := uint16(0)
		m.mu.Lock()
		m.most = 1000
		m.mu.Unlock()
		for range 5 {
			var b []byte
			n, size := 100, 1000
			if large {
				n, size = 1, 100_000
			}
			for range n {
				id++
				payload := append(fmt.Appendf(nil, "%d ", id), bytes.Repeat([]byte("y"), size)...)
				b = (&packet.Publish{QoS: 1, ID: id, Topic: []byte("t"), Payload: payload}).Append(b, packet.V311)
				want = append(want, "t "+string(payload))
			}
			x.feed(t, sender, b)
			clear(b) // the buffer is read into again
		}
		m.mu.Lock()
		m.most = 0
		m.mu.Unlock()
		m.Writable(x.w)
		x.w.Flush()
		if got := m.published(t); !slices.Equal(got, want) {
			t.Errorf("large: %v; %d messages came, want %d as they were published", large, len(got), len(want))
		}
	}
}

// pausing is a connection that is told to pause and to resume.
type pausing struct {
	sink
	paused atomic.Bool
}

func (p *pausing) Pause()  { p.paused.Store(true) }
func (p *pausing) Resume() { p.paused.Store(false) }

// TestOthersHaveTheirTurns: a client whose packets cost much does not have all of them handled at once, and none is lost.
func TestOthersHaveTheirTurns(t *testing.T) {
	x := newBench(t, nil)
	receiver := x.member(t, "receiver", false, nil)
	for i := range 1 << 12 {
		levels := make([]byte, 0, 30)
		for k := range 12 {
			level := byte('a')
			if i>>k&1 == 1 {
				level = '+'
			}
			levels = append(levels, level, '/')
		}
		receiver.subscribe(t, string(levels)+"#", 0)
	}
	p := &pausing{sink: sink{info: listenerInfo(x)}}
	c := x.b.Accept(p)
	x.feed(t, c, (&packet.Connect{Version: packet.V311, CleanStart: true, ClientID: "sender"}).Append(nil, packet.V311))
	defer c.Closed(x.w, nil)
	const messages = 200
	var b []byte
	for i := range messages {
		b = (&packet.Publish{Topic: fmt.Appendf(nil, "a/a/a/a/a/a/a/a/a/a/a/a/%d", i), Payload: fmt.Append(nil, i)}).Append(b, packet.V311)
	}
	turns := 0
	for ; len(b) > 0; turns++ {
		n, _ := c.Read(x.w, b)
		if n < len(b) && !p.paused.Load() {
			t.Fatal("what is left waits for nothing")
		}
		b = b[n:]
		x.w.Flush()
		if p.paused.Load() {
			t.Fatal("nobody resumes the connection")
		}
	}
	if got := receiver.payloads(t); len(got) != messages || turns < 10 {
		t.Errorf("%d messages came in %d turns, want %d in many", len(got), turns, messages)
	}
}

// TestIdentifierTwiceInOneRead has a packet identifier of QoS 2 come again before PUBREL among those that are read with it, in any order: it is acknowledged each
// time and delivered once (MQTT-4.3.3-10 of MQTT 5.0). Released, it is another message's.
func TestIdentifierTwiceInOneRead(t *testing.T) {
	x := newBench(t, nil)
	receiver, c := x.client(t, "receiver", packet.V311)
	x.subscribe(t, c, packet.V311, "#", 0)
	answers, sender := x.client(t, "sender", packet.V311)
	receiver.keep, answers.keep = true, true
	for round := range 3 {
		receiver.all, answers.all = nil, nil
		var b, release []byte
		var want []byte
		for i, id := range []uint16{7, 3, 7, 65535, 8, 3, 9} {
			p := packet.Publish{QoS: 2, ID: id, Topic: []byte("a"), Payload: []byte{byte('0' + i)}}
			b = p.Append(b, packet.V311)
			want = (&packet.Ack{Kind: packet.PUBREC, ID: id}).Append(want, packet.V311)
			release = (&packet.Ack{Kind: packet.PUBREL, ID: id}).Append(release, packet.V311)
		}
		x.feed(t, sender, b)
		if !bytes.Equal(answers.all, want) {
			t.Errorf("round %d: answered % x, want % x", round, answers.all, want)
		}
		var once []byte
		for _, i := range "01346" {
			once = (&packet.Publish{Topic: []byte("a"), Payload: []byte(string(i))}).Append(once, packet.V311)
		}
		if !bytes.Equal(receiver.all, once) {
			t.Errorf("round %d: delivered %q, want %q", round, receiver.all, once)
		}
		x.feed(t, sender, release)
	}
}
