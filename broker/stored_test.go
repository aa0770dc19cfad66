package broker

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"picket/internal/testbed"
	"picket/listener"
	"picket/logging"
	"picket/packet"
	"picket/session"
	"picket/store"
	"picket/store/local"
	"picket/topic"
)

// gate is an injector that holds up fsync, or has writes fail.
type gate struct {
	held atomic.Pointer[chan struct{}] // not nil: fsync waits until it is closed
	fail atomic.Bool
}

func (g *gate) String() string { return "gate" }

func (g *gate) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
		return nil
	}
	if held := g.held.Load(); held != nil && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
		<-*held
	}
	if g.fail.Load() {
		return syscall.EIO
	}
	return nil
}

func (g *gate) shut() { c := make(chan struct{}); g.held.Store(&c) }

func (g *gate) open() {
	if c := g.held.Swap(nil); c != nil {
		close(*c)
	}
}

// newStored is a broker whose store is on fs.
func newStored(t *testing.T, fs vfs.FS) *bench {
	t.Helper()
	return newStoredWith(t, fs, func(s store.Store) store.Store { return s })
}

// newStoredWith is the same with what wrap makes of the store.
func newStoredWith(t *testing.T, fs vfs.FS, wrap func(store.Store) store.Store, more ...func(*Config)) *bench {
	t.Helper()
	log, err := logging.New(logging.Config{Types: logging.Error}, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s, err := local.Open("/store", local.Options{FS: fs, Log: log, Reserve: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(); log.Close() })
	return newBench(t, func(c *Config) {
		c.Store, c.MaxQueuedMessages = wrap(s), 0
		for _, change := range more {
			change(c)
		}
	})
}

// peer is a client of a stored broker, whose packets arrive on goroutines of the broker's.
type peer struct {
	*sink
	x       *bench
	t       *testing.T
	c       listener.Client
	version packet.Version
	seen    int // bytes of all that have been looked at
}

func (x *bench) connect(t *testing.T, v packet.Version, p *packet.Connect) *peer {
	t.Helper()
	s := &sink{info: listener.Info{Listener: x.l.transport()}, keep: true}
	c := x.b.Accept(s)
	if c == nil {
		t.Fatal("refused")
	}
	p.Version = v
	peer := &peer{sink: s, x: x, t: t, c: c, version: v}
	peer.send(p)
	return peer
}

// send feeds a packet to the broker; what is held back meanwhile is offered again.
func (p *peer) send(packets ...packet.Packet) {
	p.t.Helper()
	var b []byte
	for _, one := range packets {
		b = one.Append(b, p.version)
	}
	within(p.t, "the broker takes what is sent", func() bool {
		n, _ := p.c.Read(p.x.w, b)
		p.x.w.Flush()
		b = b[n:]
		return len(b) == 0
	})
}

func (p *peer) leave() {
	p.c.Closed(p.x.w, nil)
	p.x.w.Flush()
}

// next returns the next packet, when there is one.
func (p *peer) next() packet.Packet {
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := p.all[p.seen:]
	head, remaining, err := packet.Header(rest)
	if err != nil || head == 0 || len(rest) < head+remaining {
		return nil
	}
	p.seen += head + remaining
	body := bytes.Clone(rest[head : head+remaining])
	if packet.Type(rest[0]>>4) == packet.PUBLISH {
		m := new(packet.Publish)
		if err := m.Decode(p.version, rest[0], body); err != nil {
			p.t.Error(err)
		}
		return m
	}
	one, err := packet.Decode(p.version, rest[0], body)
	if err != nil {
		p.t.Error(err)
	}
	return one
}

// expect waits for the next packet.
func (p *peer) expect() (one packet.Packet) {
	p.t.Helper()
	within(p.t, "a packet comes", func() bool {
		one = p.next()
		return one != nil
	})
	return one
}

// nothing makes sure that no packet comes for a moment.
func (p *peer) nothing(what string) {
	p.t.Helper()
	time.Sleep(20 * time.Millisecond) // as long as it is worth; what comes wrongly later shows in the next step
	if one := p.next(); one != nil {
		p.t.Fatalf("%s: %T %+v", what, one, one)
	}
}

func within(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(testbed.Patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", testbed.Patience, what)
		}
	}
}

func persistent(id string) *packet.Connect {
	return &packet.Connect{ClientID: id, Props: (&packet.Properties{SessionExpiry: neverExpires}).Set(packet.SessionExpiryInterval)}
}

func subscribeTo(filter string, qos byte) *packet.Subscribe {
	return &packet.Subscribe{ID: 7, Filters: []packet.Subscription{{Filter: filter, QoS: qos}}}
}

// TestAnswersWaitForTheStore holds up fsync: what an answer promises has to be on the disk before.
func TestAnswersWaitForTheStore(t *testing.T) {
	g := new(gate)
	t.Cleanup(g.open) // before the store is closed
	x := newStored(t, errorfs.Wrap(vfs.NewMem(), g))
	t.Cleanup(g.open)
	sub := x.connect(t, packet.V5, persistent("sub"))
	if ack, ok := sub.expect().(*packet.Connack); !ok || ack.Code != packet.Success {
		t.Fatalf("%+v", ack)
	}
	pub := x.connect(t, packet.V5, persistent("pub"))
	pub.expect()

	g.shut()
	late := x.connect(t, packet.V5, persistent("late"))
	late.nothing("CONNACK of a session that is not stored")
	sub.send(subscribeTo("a", 2))
	sub.nothing("SUBACK of a subscription that is not stored")
	g.open()
	if _, ok := late.expect().(*packet.Connack); !ok {
		t.Fatal("no CONNACK")
	}
	if ack, ok := sub.expect().(*packet.Suback); !ok || ack.Codes[0] != 2 {
		t.Fatalf("%+v", ack)
	}

	g.shut()
	pub.send(&packet.Publish{Topic: []byte("a"), QoS: 2, ID: 1, Payload: []byte("two")})
	pub.nothing("PUBREC of what is not stored")
	sub.nothing("a message of QoS 2 that is not stored")
	g.open()
	if ack, ok := pub.expect().(*packet.Ack); !ok || ack.Kind != packet.PUBREC || ack.Code != packet.Success {
		t.Fatalf("%+v", ack)
	}
	m, ok := sub.expect().(*packet.Publish)
	if !ok || string(m.Payload) != "two" || m.ID != 1 {
		t.Fatalf("%+v", m)
	}

	g.shut()
	pub.send(&packet.Ack{Kind: packet.PUBREL, ID: 1})
	pub.nothing("PUBCOMP of a release that is not stored")
	sub.send(&packet.Ack{Kind: packet.PUBREC, ID: m.ID})
	sub.nothing("PUBREL of a release that is not stored")
	pub.send(packet.Pingreq{})
	if _, ok := pub.expect().(packet.Pingresp); !ok {
		t.Fatal("PINGRESP waits for the store")
	}
	g.open()
	if ack, ok := pub.expect().(*packet.Ack); !ok || ack.Kind != packet.PUBCOMP {
		t.Fatalf("%+v", ack)
	}
	if ack, ok := sub.expect().(*packet.Ack); !ok || ack.Kind != packet.PUBREL {
		t.Fatalf("%+v", ack)
	}
	sub.send(&packet.Ack{Kind: packet.PUBCOMP, ID: m.ID})

	// At QoS 1, the message goes out at once, and the acknowledgement need not wait for the disk when everybody has it.
	g.shut()
	pub.send(&packet.Publish{Topic: []byte("a"), QoS: 1, ID: 2, Payload: []byte("one")})
	m, ok = sub.expect().(*packet.Publish)
	if !ok || string(m.Payload) != "one" {
		t.Fatalf("%+v", m)
	}
	g.open()
	sub.send(&packet.Ack{Kind: packet.PUBACK, ID: m.ID})
	if ack, ok := pub.expect().(*packet.Ack); !ok || ack.Kind != packet.PUBACK {
		t.Fatalf("%+v", ack)
	}

	// What nobody keeps waits for nothing.
	g.shut()
	pub.send(&packet.Publish{Topic: []byte("nobody"), QoS: 1, ID: 3})
	if ack, ok := pub.expect().(*packet.Ack); !ok || ack.Kind != packet.PUBACK || ack.Code != packet.NoMatchingSubscribers {
		t.Fatalf("%+v", ack)
	}
	g.open()
}

// crowded is a store for which too much waits.
type crowded struct{ store.Store }

func (crowded) Full() bool { return true }

// While too much waits for the store, those are held back who have it keep something, and nobody else.
func TestOnlyWhatIsStoredIsHeldBack(t *testing.T) {
	x := newStoredWith(t, vfs.NewMem(), func(s store.Store) store.Store { return crowded{s} })
	away := x.connect(t, packet.V5, persistent("away"))
	away.expect()
	away.send(subscribeTo("away/+", 1))
	away.expect()
	away.leave()
	here := x.connect(t, packet.V5, &packet.Connect{ClientID: "here", CleanStart: true})
	here.expect()
	here.send(subscribeTo("+/+", 2))
	here.expect()
	for _, one := range []struct {
		topic  string
		qos    byte
		retain bool
		held   bool
	}{
		{"live/0", 0, false, false},
		{"live/1", 1, false, false},
		{"away/0", 0, false, false},
		{"away/1", 1, false, true},
		{"live/retained", 0, true, true},
		{"away/2", 2, false, true},
	} {
		pub := x.connect(t, packet.V5, &packet.Connect{ClientID: "pub", CleanStart: true})
		pub.expect()
		p := &packet.Publish{Topic: []byte(one.topic), QoS: one.qos, Retain: one.retain}
		if one.qos > 0 {
			p.ID = 1
		}
		pub.send(p)
		if held := pub.c.(*connection).throttled.Load(); held != one.held {
			t.Errorf("QoS %d to %s, RETAIN %t: held back %t, want %t", one.qos, one.topic, one.retain, held, one.held)
		}
		x.b.throttle.release()
		pub.leave()
	}
}

// TestFullDiskIsSaid fills the disk: those who need it are told, the others go on, and it ends by itself.
func TestFullDiskIsSaid(t *testing.T) {
	fs := vfs.NewMem()
	usage := func(free uint64) { fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: free, TotalBytes: 2 << 30}) }
	usage(1 << 30)
	x := newStored(t, fs)
	testRefusals(t, x, packet.QuotaExceeded, func() { usage(1 << 20) }, func() { usage(1 << 30) })
}

// TestFailingDiskIsSaid is the same for a disk that cannot be written.
func TestFailingDiskIsSaid(t *testing.T) {
	g := new(gate)
	x := newStored(t, errorfs.Wrap(vfs.NewMem(), g))
	testRefusals(t, x, packet.ImplementationSpecificError, func() { g.fail.Store(true) }, func() { g.fail.Store(false) })
}

func testRefusals(t *testing.T, x *bench, code packet.Code, breaks, heals func()) {
	away := x.connect(t, packet.V5, persistent("away"))
	away.expect()
	away.send(subscribeTo("a", 2))
	away.expect()
	away.leave()
	live := x.connect(t, packet.V311, &packet.Connect{ClientID: "live", CleanStart: true})
	live.expect()
	live.send(subscribeTo("live", 1))
	live.expect()
	pub := x.connect(t, packet.V5, persistent("pub"))
	pub.expect()
	old := x.connect(t, packet.V311, &packet.Connect{ClientID: "old", CleanStart: true})
	old.expect()

	breaks()
	for _, m := range []*packet.Publish{
		{Topic: []byte("a"), QoS: 1, ID: 1}, {Topic: []byte("a"), QoS: 2, ID: 2}, {Topic: []byte("r"), QoS: 1, ID: 3, Retain: true, Payload: []byte("no")},
	} {
		pub.send(m)
		if ack, ok := pub.expect().(*packet.Ack); !ok || ack.ID != m.ID || ack.Code != code {
			t.Fatalf("%s QoS %d: %+v, want code %d", m.Topic, m.QoS, ack, code)
		}
	}
	// Two that replace one another before the first is refused.
	pub.send(&packet.Publish{Topic: []byte("r"), QoS: 1, ID: 4, Retain: true, Payload: []byte("nor")},
		&packet.Publish{Topic: []byte("r"), QoS: 2, ID: 5, Retain: true, Payload: []byte("this")})
	for range 2 {
		if ack, ok := pub.expect().(*packet.Ack); !ok || ack.Code != code {
			t.Fatalf("%+v, want code %d", ack, code)
		}
	}
	if m := x.b.retained.get("r"); m != nil {
		t.Errorf("%q was refused and is retained", m.Payload)
	}
	pub.send(subscribeTo("b", 1))
	if ack, ok := pub.expect().(*packet.Suback); !ok || ack.Codes[0] != code {
		t.Fatalf("%+v", ack)
	}
	fresh := x.connect(t, packet.V5, persistent("fresh"))
	if ack, ok := fresh.expect().(*packet.Connack); !ok || ack.Code != code {
		t.Fatalf("%+v", ack)
	}
	fresh.leave()
	old.send(&packet.Publish{Topic: []byte("a"), QoS: 1, ID: 1, Payload: []byte("late")})
	old.nothing("PUBACK for what is not stored")

	// What needs no disk goes on.
	old.send(&packet.Publish{Topic: []byte("live"), QoS: 1, ID: 2, Payload: []byte("on")})
	if m, ok := live.expect().(*packet.Publish); !ok || string(m.Payload) != "on" {
		t.Fatalf("%+v", m)
	}
	if causes := x.b.Causes(); causes[storeCause(errorOf(code))] == 0 {
		t.Errorf("not counted: %v", causes)
	}

	heals()
	n := uint16(10)
	within(t, "it can be stored again", func() bool {
		n++
		pub.send(&packet.Publish{Topic: []byte("a"), QoS: 1, ID: n, Payload: []byte("kept")})
		ack, ok := pub.expect().(*packet.Ack)
		return ok && ack.Code == packet.Success
	})
	// The client of MQTT 3.1.1 sends what was not acknowledged on its next connection.
	old.leave()
	old = x.connect(t, packet.V311, &packet.Connect{ClientID: "old", CleanStart: true})
	old.expect()
	old.send(&packet.Publish{Topic: []byte("a"), QoS: 1, ID: 1, Dup: true, Payload: []byte("late")})
	old.expect()
	away = x.connect(t, packet.V5, persistent("away"))
	if ack, ok := away.expect().(*packet.Connack); !ok || !ack.SessionPresent {
		t.Fatalf("%+v", ack)
	}
	var got []string
	within(t, "what was acknowledged is delivered", func() bool {
		if m, ok := away.next().(*packet.Publish); ok {
			got = append(got, string(m.Payload))
		}
		return slices.Contains(got, "late")
	})
	if want := []string{"kept", "late"}; !slices.Equal(got, want) {
		t.Errorf("%q were delivered, want %q", got, want)
	}
	if x.b.retained.get("r") != nil {
		t.Error("a message that was refused is retained")
	}
	for _, p := range []*peer{away, live, pub, old} {
		p.leave()
	}
}

func errorOf(code packet.Code) error {
	if code == packet.QuotaExceeded {
		return store.ErrFull
	}
	return store.ErrFailed
}

// TestQueuesSpillToTheStore queues far more than may be in memory and has it delivered in order.
func TestQueuesSpillToTheStore(t *testing.T) {
	fs := vfs.NewMem()
	log, err := logging.New(logging.Config{Types: logging.Error}, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s, err := local.Open("/store", local.Options{FS: fs, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	x := newBench(t, func(c *Config) { c.Store, c.MaxQueuedMessages, c.MaxInflightMessages = s, 0, 20 })
	away := x.connect(t, packet.V5, persistent("away"))
	away.expect()
	away.send(subscribeTo("a", 1))
	away.expect()
	away.leave()
	pub := x.connect(t, packet.V5, &packet.Connect{ClientID: "pub", CleanStart: true})
	pub.expect()
	const n = 2000
	body := strings.Repeat("x", 1000)
	for i := range n {
		pub.send(&packet.Publish{Topic: []byte("a"), QoS: 1, ID: uint16(i + 1), Payload: []byte(itoa(i) + " " + body)})
	}
	for i := range n {
		if ack, ok := pub.expect().(*packet.Ack); !ok || int(ack.ID) != i+1 || ack.Code != packet.Success {
			t.Fatalf("acknowledgement %d: %+v", i+1, ack)
		}
	}
	if used := x.b.queued.Used(); used != 0 {
		t.Errorf("%d bytes of the queue of a client that is away are in memory", used)
	}
	away = x.connect(t, packet.V5, persistent("away"))
	away.expect()
	for i := range n {
		m, ok := away.expect().(*packet.Publish)
		if !ok || !strings.HasPrefix(string(m.Payload), itoa(i)+" ") {
			t.Fatalf("message %d: %+v", i, m)
		}
		if used := x.b.queued.Used(); used > 300<<10 {
			t.Fatalf("%d bytes in memory", used)
		}
		away.send(&packet.Ack{Kind: packet.PUBACK, ID: m.ID})
	}
	within(t, "the store is empty", func() bool { return s.Stats().Entries == 0 })
	away.leave()
	pub.leave()
}

// TestWillsSurvive has the machine lose power while a client with a will is connected, and while another one's will waits for its delay.
func TestWillsSurvive(t *testing.T) {
	fs := vfs.NewCrashableMem()
	x := newStored(t, cloneable{fs})
	willing := func(id string) *packet.Connect {
		p := persistent(id)
		p.Will = &packet.Will{Topic: "will/" + id, Payload: []byte("gone"), QoS: 1, Retain: true, Props: (&packet.Properties{WillDelay: 1}).Set(packet.WillDelayInterval)}
		return p
	}
	connected, waiting := x.connect(t, packet.V5, willing("connected")), x.connect(t, packet.V5, willing("waiting"))
	connected.expect()
	waiting.expect()
	waiting.leave()
	if err := x.b.store.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := newStored(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	within(t, "both wills are published", func() bool {
		one := after.b.retained.get("will/connected") != nil
		other := after.b.retained.get("will/waiting") != nil
		return one && other
	})
	connected.leave()
}

// TestWillsOfCleanClientsSurvive kills the broker while clients are connected whose sessions end with their connections: their wills are published when it is
// back. Of one that has left properly, or whose will has been published, nothing stays in the store.
func TestWillsOfCleanClientsSurvive(t *testing.T) {
	for _, version := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		fs := vfs.NewCrashableMem()
		x := newStored(t, cloneable{fs})
		willing := func(id string) *peer {
			return x.connect(t, version, &packet.Connect{ClientID: id, CleanStart: true, Will: &packet.Will{Topic: "state/" + id, Payload: []byte("offline"), Retain: true}})
		}
		var all []*peer
		for _, id := range []string{"killed", "leaves", "lost", "taken"} {
			all = append(all, willing(id))
			all[len(all)-1].expect()
			all[len(all)-1].send(&packet.Publish{Topic: []byte("state/" + id), Payload: []byte("online"), Retain: true})
		}
		all[1].send(&packet.Disconnect{})
		all[1].leave()
		all[2].leave()
		again := willing("taken")
		again.expect()
		again.send(&packet.Publish{Topic: []byte("state/taken"), Payload: []byte("online"), Retain: true})
		if err := x.b.store.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := x.b.store.Stats().Sessions; n != 2 {
			t.Errorf("%d wills are in the store, want those of the two that are connected", n)
		}
		after := newStored(t, fs.CrashClone(vfs.CrashCloneCfg{}))
		state := func(id string) string {
			if m := after.b.retained.get("state/" + id); m != nil {
				return string(m.Payload)
			}
			return ""
		}
		within(t, "the wills are published", func() bool { return state("killed") == "offline" && state("taken") == "offline" })
		if state("leaves") != "online" || state("lost") != "offline" {
			t.Errorf("%q, %q", state("leaves"), state("lost"))
		}
		within(t, "nothing of them stays", func() bool {
			return after.b.store.Sync(t.Context()) == nil && after.b.store.Stats().Sessions == 0
		})
	}
}

// handing is a store that hands things over at run time, as one does that several nodes share.
type handing struct {
	store.Store
	to store.Handler
}

func (h *handing) Start(ctx context.Context, to store.Handler) error {
	h.to = to
	return h.Store.Start(ctx, to)
}

// TestAStoreHandsOverLater hands over a session and retained messages when clients are there already.
func TestAStoreHandsOverLater(t *testing.T) {
	var h handing
	x := newStoredWith(t, vfs.NewMem(), func(s store.Store) store.Store { h.Store = s; return &h })
	publisher := x.connect(t, packet.V5, persistent("publisher"))
	publisher.expect()
	h.to.Session(h.NewSession("moved"), store.State{Record: store.Record{Expiry: neverExpires, Offline: 1, Next: 5}, Subscriptions: map[string]topic.Options{"t": {QoS: 1}}})
	h.to.Session(h.NewSession("publisher"), store.State{Record: store.Record{Expiry: 1, Offline: 1}}) // which the broker has
	h.to.Retained("r", &session.Message{ID: h.NewMessageID(), Topic: "r", Payload: []byte("1"), QoS: 1})
	h.to.Retained("gone", &session.Message{ID: h.NewMessageID(), Topic: "gone", Payload: []byte("1")})
	h.to.Retained("gone", nil)
	publisher.send(&packet.Publish{Topic: []byte("t"), Payload: []byte("m"), QoS: 1, ID: 1})
	if ack, ok := publisher.expect().(*packet.Ack); !ok || ack.Code != packet.Success {
		t.Fatalf("%+v", ack)
	}
	p := persistent("moved")
	p.CleanStart = false
	moved := x.connect(t, packet.V5, p)
	if ack, ok := moved.expect().(*packet.Connack); !ok || !ack.SessionPresent {
		t.Fatalf("%+v", ack)
	}
	if m, ok := moved.expect().(*packet.Publish); !ok || string(m.Payload) != "m" || m.ID != session.PacketID(5) {
		t.Fatalf("%+v", m)
	}
	moved.send(subscribeTo("gone", 1))
	moved.expect()
	moved.nothing("a retained message that is gone")
	moved.send(subscribeTo("r", 1))
	moved.expect()
	if m, ok := moved.expect().(*packet.Publish); !ok || string(m.Topic) != "r" || !m.Retain {
		t.Fatalf("%+v", m)
	}
	if n, want := x.b.retained.bytes(), int64(160+1+1); n != want {
		t.Errorf("retained messages count as %d bytes, want %d", n, want)
	}
}

// TestExpiryPurgesTheStore lets messages, retained messages and sessions expire: nothing of them stays in the store.
func TestExpiryPurgesTheStore(t *testing.T) {
	x := newStored(t, vfs.NewMem())
	stays := persistent("stays")
	goes := &packet.Connect{ClientID: "goes", Props: (&packet.Properties{SessionExpiry: 1}).Set(packet.SessionExpiryInterval)}
	for _, p := range []*packet.Connect{stays, goes} {
		away := x.connect(t, packet.V5, p)
		away.expect()
		away.send(subscribeTo("a", 1))
		away.expect()
		away.leave()
	}
	pub := x.connect(t, packet.V5, &packet.Connect{ClientID: "pub", CleanStart: true})
	pub.expect()
	for i := range 50 {
		body := []byte(strings.Repeat("x", i*100))
		expiry := packet.AppendExpiry(nil, 1)
		pub.send(&packet.Publish{Topic: []byte("a"), QoS: 1, ID: uint16(2*i + 1), Payload: body, Props: expiry},
			&packet.Publish{Topic: []byte("r/" + itoa(i)), QoS: 1, ID: uint16(2*i + 2), Payload: append(body, 'y'), Props: expiry, Retain: true})
		pub.expect()
		pub.expect()
	}
	if st := x.b.store.Stats(); st.Sessions != 2 || st.Entries == 0 {
		t.Fatalf("%+v", st)
	}
	within(t, "all that has expired is gone", func() bool {
		st := x.b.store.Stats()
		return st.Sessions == 1 && st.Entries == 0 && st.Bodies == 0 && st.Live < 1000 && x.b.retained.len() == 0
	})
	// What is left goes on.
	pub.send(&packet.Publish{Topic: []byte("a"), QoS: 1, ID: 1000, Payload: []byte("new")})
	pub.expect()
	away := x.connect(t, packet.V5, stays)
	if ack, ok := away.expect().(*packet.Connack); !ok || !ack.SessionPresent {
		t.Fatalf("%+v", ack)
	}
	if m, ok := away.expect().(*packet.Publish); !ok || string(m.Payload) != "new" {
		t.Fatalf("%+v", m)
	}
	away.leave()
	pub.leave()
}
