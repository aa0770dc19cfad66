package broker

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"picket/access"
	"picket/internal/testbed"
	"picket/listener"
	"picket/logging"
	"picket/packet"
)

func TestMain(m *testing.M) {
	// An engine of the store that cannot write any more is given up with its goroutines: it has no other way to stop.
	testbed.Main(m,
		goleak.IgnoreAnyFunction("picket/store/local.(*files).halt"),
		goleak.IgnoreAnyFunction("picket/store/local.(*engine).run"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*cleanupManager).mainLoop"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*ConcurrencyLimitScheduler).periodicGranter"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2/internal/genericcache.(*shard[...]).releaseLoop"))
}

// sink is a connection that takes everything, so that what is measured is the broker and not the kernel. With full set it takes nothing.
type sink struct {
	info  listener.Info
	full  bool
	taken int

	most int  // more than that is not taken at a time; 0: everything
	keep bool // last is a copy, for other goroutines, and all that is written is kept

	mu   sync.Mutex
	last []byte
	all  []byte
}

func (s *sink) Write(bufs [][]byte) (int, error) {
	if s.full {
		return 0, nil
	}
	if s.keep {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	n := 0
	for _, b := range bufs {
		if s.most > 0 && n+len(b) > s.most {
			b = b[:s.most-n]
		}
		n += len(b)
		if s.last = b; s.keep {
			s.last = bytes.Clone(b)
			s.all = append(s.all, b...)
		}
	}
	s.taken += n
	return n, nil
}

// get returns a copy of what was written last.
func (s *sink) get() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.last)
}

func (s *sink) set(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = b
}
func (s *sink) Pause()               {}
func (s *sink) Resume()              {}
func (s *sink) Close()               {}
func (s *sink) Finish()              {}
func (s *sink) Hold(int)             {}
func (s *sink) Admitted()            {}
func (s *sink) Info() *listener.Info { return &s.info }

// bench is a broker whose clients are sinks.
type bench struct {
	b *Broker
	w listener.Worker
	l *Listener
}

func newBench(t testing.TB, change func(*Config)) *bench {
	c := Defaults()
	c.Security[0].Anonymous = access.AnonymousAlways
	c.MaxInflightMessages, c.SysInterval = 0, 0
	c.passwordDelay = noDelay
	if change != nil {
		change(&c)
	}
	log, err := logging.New(logging.Config{Types: logging.Error}, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Start(c, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(); log.Close() })
	return &bench{b: b, w: b.NewWorker(), l: &Listener{MaxConnections: -1, MaxQoS: 2, MaxTopicAlias: 10}}
}

// noDelay is for tests that try wrong passwords for another reason than their delays: see [passwordQueue].
func noDelay(float64) time.Duration { return 0 }

// client is one connected client.
func (x *bench) client(t testing.TB, id string, v packet.Version) (*sink, listener.Client) {
	s := &sink{info: listener.Info{Remote: netip.MustParseAddrPort("127.0.0.1:1"), Listener: x.l.transport()}}
	c := x.b.Accept(s)
	if c == nil {
		t.Fatal("refused")
	}
	t.Cleanup(func() { c.Closed(x.w, nil); x.w.Flush() })
	x.feed(t, c, (&packet.Connect{Version: v, CleanStart: true, ClientID: id}).Append(nil, v))
	return s, c
}

func (x *bench) subscribe(t testing.TB, c listener.Client, v packet.Version, filter string, qos byte) {
	x.feed(t, c, (&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: filter, QoS: qos}}}).Append(nil, v))
}

func (x *bench) feed(t testing.TB, c listener.Client, b []byte) {
	if n, _ := c.Read(x.w, b); n != len(b) {
		t.Fatalf("%d of %d bytes consumed", n, len(b))
	}
	x.w.Flush()
}

// batch is n PUBLISH packets as one read brings them.
func batch(v packet.Version, qos byte, topics, n int) []byte {
	var b []byte
	for i := range n {
		p := packet.Publish{QoS: qos, Topic: fmt.Appendf(nil, "home/garden/fountain/%d", i%topics), Payload: make([]byte, 64)}
		if qos > 0 {
			p.ID = uint16(i + 1)
		}
		if qos == 2 && i < n-n%2 {
			p.ID = uint16(i ^ 1 + 1) // identifiers that are used again come in any order
		}
		b = p.Append(b, v)
	}
	return b
}

// acks is one kind of acknowledgement for n packet identifiers that begin after last, which it moves on.
func acks(dst []byte, kind packet.Type, last *uint16, n int) []byte {
	for range n {
		if *last++; *last == 0 {
			*last = 1
		}
		dst = append(dst, byte(kind)<<4|flagsOf(kind), 2, byte(*last>>8), byte(*last))
	}
	return dst
}

// routes are what the hot path is measured with.
var routes = []struct {
	name     string
	pub, sub packet.Version
	qos      byte
	topics   int
	receive  int
}{
	{"QoS 0, one receiver", packet.V311, packet.V311, 0, 1, 1},
	{"QoS 0, one receiver, 5.0", packet.V5, packet.V5, 0, 1, 1},
	{"QoS 0, 3.1.1 to 5.0", packet.V311, packet.V5, 0, 1, 1},
	{"QoS 0, 1,000 topics", packet.V311, packet.V311, 0, 1000, 1},
	{"QoS 0, 50 receivers", packet.V311, packet.V311, 0, 1, 50},
	{"QoS 1, one receiver", packet.V311, packet.V311, 1, 1, 1},
	{"QoS 1, 1,000 topics", packet.V311, packet.V311, 1, 1000, 1},
	{"QoS 2, one receiver", packet.V311, packet.V311, 2, 1, 1},
	{"QoS 2, 1,000 topics", packet.V311, packet.V311, 2, 1000, 1},
}

const perBatch = 250

// step returns one turn: the next of the route's batches is published, and both sides acknowledge what there is to be acknowledged.
func (x *bench) step(t testing.TB, i int) func() {
	r := routes[i]
	receivers := make([]listener.Client, r.receive)
	for k := range receivers {
		_, receivers[k] = x.client(t, fmt.Sprintf("receiver %d", k), r.sub)
		x.subscribe(t, receivers[k], r.sub, "home/garden/#", r.qos)
	}
	_, sender := x.client(t, "sender", r.pub)
	var batches [][]byte
	for n := 0; n < r.topics; n += perBatch {
		before := len(batch(r.pub, r.qos, r.topics, n))
		batches = append(batches, batch(r.pub, r.qos, r.topics, n+perBatch)[before:])
	}
	turn, last := 0, uint16(0)
	var read, answer []byte
	acknowledge := func(c listener.Client, kind packet.Type, from uint16) uint16 {
		answer = acks(answer[:0], kind, &from, perBatch)
		x.feed(t, c, answer)
		return from
	}
	return func() {
		at := turn % len(batches)
		turn++
		read = append(read[:0], batches[at]...) // packet identifiers are written into what has been read
		x.feed(t, sender, read)
		switch r.qos {
		case 1:
			last = acknowledge(receivers[0], packet.PUBACK, last)
		case 2:
			acknowledge(sender, packet.PUBREL, uint16(at*perBatch))
			acknowledge(receivers[0], packet.PUBREC, last)
			last = acknowledge(receivers[0], packet.PUBCOMP, last)
		}
	}
}

func TestRoutingAllocatesNothing(t *testing.T) {
	for i, r := range routes {
		t.Run(r.name, func(t *testing.T) {
			x := newBench(t, nil)
			step := x.step(t, i)
			for known := 0; known < 10; known += int(bit(len(x.w.(*worker).routes) == r.topics)) {
				step() // routes are cached and buffers grown
			}
			// What other goroutines allocate meanwhile is counted too, the more of it the busier the machine is: it has to be nothing once.
			n := testing.AllocsPerRun(100, step)
			for try := 1; n > 0 && try < 5; try++ {
				n = testing.AllocsPerRun(100, step)
			}
			if n > 0 {
				t.Errorf("%v allocations for %d messages", n, perBatch)
			}
		})
	}
}

func BenchmarkRoute(b *testing.B) {
	for i, r := range routes {
		b.Run(r.name, func(b *testing.B) {
			step := newBench(b, nil).step(b, i)
			step()
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += perBatch {
				step()
			}
			b.ReportMetric(float64(b.N*r.receive)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}

// TestSlowReceiverIsBounded publishes far more than a receiver that takes nothing may hold up, and more than all of them together may.
func TestSlowReceiverIsBounded(t *testing.T) {
	const each, all = 1 << 20, 3 << 20
	x := newBench(t, func(c *Config) { c.MaxOutputBytes, c.MaxTotalOutputBytes = each, all })
	var sinks []*sink
	for k := range 8 {
		s, c := x.client(t, fmt.Sprintf("slow %d", k), packet.V311)
		x.subscribe(t, c, packet.V311, "#", 0)
		s.full = true
		sinks = append(sinks, s)
	}
	fast, c := x.client(t, "fast", packet.V311)
	x.subscribe(t, c, packet.V311, "#", 0)
	before := fast.taken
	_, sender := x.client(t, "sender", packet.V311)
	b := batch(packet.V311, 0, 1, perBatch)
	const rounds = 1000
	for range rounds {
		x.feed(t, sender, b)
	}
	if got := fast.taken - before; got != rounds*len(b) {
		t.Errorf("the receiver that reads got %d bytes, want %d", got, rounds*len(b))
	}
	if held := x.b.memory.of(heldOutput); held > all+int64(len(sinks)*len(b)) {
		t.Errorf("%d bytes wait for those that do not read, at most %d may", held, all)
	}
	if x.b.Causes()["output-full"] == 0 {
		t.Error("what was dropped is not counted under output-full")
	}
}

// TestRetainedMessagesAreBounded publishes more to be retained than memory_limit lets them hold.
func TestRetainedMessagesAreBounded(t *testing.T) {
	const limit = 1 << 20
	x := newBench(t, limitedTo(limit))
	_, sender := x.client(t, "sender", packet.V5)
	publish := func(name string, size int) {
		p := packet.Publish{Topic: []byte(name), Retain: true, Payload: make([]byte, size)}
		x.feed(t, sender, p.Append(nil, packet.V5))
	}
	for i := range 2000 {
		publish(fmt.Sprintf("retained/%d", i), 1000)
	}
	if held := x.b.retained.bytes(); held > limit/2 || held < limit/4 {
		t.Errorf("%d bytes held, at most %d may", held, limit/2)
	}
	if x.b.Causes()["retained-full"] == 0 {
		t.Error("what was not retained is not counted under retained-full")
	}
	for i := range 2000 {
		publish(fmt.Sprintf("retained/%d", i), 0)
	}
	if held, n := x.b.retained.bytes(), x.b.retained.len(); held != 0 || n != 0 {
		t.Errorf("%d bytes and %d messages are left after all were removed", held, n)
	}
}
