package redis

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/redis/rueidis"

	"picket/session"
	"picket/store"
)

// Kinds of keys and of fields in a session's hash. docs/cluster.md describes them.
const (
	keyMeta     = "m"
	keySessions = "o"
	keyBodies   = "b"
	keyCounts   = "c"
	keyRetained = "r"
	keyEnded    = "e"
	keyChanges  = "v" // where several nodes share the data
	keySession  = "s:"
	keyQueue    = "q:"
	keyAside    = "d:" // the queue of a session that has ended
	keyNodes    = "n"
	keyNode     = "n:" // and the incarnation
	keyOwned    = "o:" // the same

	// Versions of what lies under the prefix: a broker alone, and several nodes.
	layoutAlone  = "1"
	layoutShared = "2"

	sharedName = "nodes" // what the meta hash names as owner where several nodes share the data

	fieldRecord       = "r"
	fieldNumber       = "n"
	fieldSubscription = "u"
	fieldReceived     = "i"
	fieldOwner        = "o"
	fieldFence        = "f"
)

// longest is up to how many bytes a client identifier stands in a key as it is; longer ones stand there as their SHA-256.
const longest = 128

// nameOf is what stands for a client identifier in keys. The first byte tells both kinds apart.
func nameOf(clientID string) string {
	if len(clientID) <= longest {
		return "=" + clientID
	}
	sum := sha256.Sum256([]byte(clientID))
	return "#" + hex.EncodeToString(sum[:])
}

// bodyName is a message's number as it stands in records and in keys.
func bodyName(id uint64) string { return string(binary.AppendUvarint(nil, id)) }

// group is batches that are applied by one call of a function.
type group struct {
	number  uint64
	batches []*store.Batch
	keys    []string
	args    []string
	adds    bool
	entries int64 // by how many more entries there are afterwards, if nothing is removed twice
	ops     uint64
	bytes   int
	fences  []string         // of a node: places of sessions and fences, two for each
	owned   []*store.Session // they
	changes uint64           // of retained messages that nodes share
}

// encoder makes a group's call out of batches, one after the other.
type encoder struct {
	prefix  string
	g       *group
	aside   func() string // gives out keys for queues of ended sessions
	node    bool          // several nodes share the store
	targets map[*store.Session]*target
	changed []*target // with entries that come or go, in the order in which they were first named
	bodies  map[uint64]*bodyRefs
	ids     []uint64 // of bodies, in order
	buf     []byte

	// The last entry that came and its record, since a message often goes into many queues.
	last   store.Entry
	record string
}

// target is a session that a group changes.
type target struct {
	session, queue     string // its keys
	sessionAt, queueAt string // their places in the call, once they are named there
	puts               []put
	gone               []string // sequence numbers of entries without a body that go
}

// put is an entry that comes.
type put struct {
	seq    uint64
	body   uint64 // 0: it has none
	record string // none: it goes again in the same group
}

type bodyRefs struct {
	m  *session.Message
	n  int
	by map[*target]int // whose they are, where several nodes share the store
}

// fixedKeys are the keys that every call names first.
func fixedKeys(prefix string) []string {
	var all []string
	for _, k := range [...]string{keyMeta, keySessions, keyBodies, keyCounts, keyRetained, keyEnded} {
		all = append(all, prefix+k)
	}
	return all
}

func newEncoder(prefix string, fixed []string, aside func() string) *encoder {
	return &encoder{prefix: prefix, g: &group{keys: fixed}, aside: aside,
		targets: make(map[*store.Session]*target), bodies: make(map[uint64]*bodyRefs)}
}

// add adds a batch.
func (e *encoder) add(b *store.Batch) {
	e.g.batches = append(e.g.batches, b)
	e.g.adds = e.g.adds || b.Adds()
	for op := range b.Ops() {
		e.g.ops++
		e.apply(op)
	}
}

// finish returns the group with all that was added.
func (e *encoder) finish() *group {
	e.flush()
	for _, id := range e.ids {
		if r := e.bodies[id]; r.n > 0 {
			e.body(bodyName(id), rueidis.BinaryString(store.AppendBody(nil, r.m)), r)
		}
	}
	return e.g
}

// body puts a message beside the queues that refer to it.
func (e *encoder) body(name, record string, r *bodyRefs) {
	if !e.node {
		e.op("B", name, record, strconv.Itoa(r.n))
		return
	}
	e.begin("C", 2+2*len(r.by))
	e.arg(name)
	e.arg(record)
	for t, n := range r.by {
		e.arg(t.queueAt)
		e.arg(strconv.Itoa(n))
	}
}

func (e *encoder) op(name string, args ...string) {
	e.begin(name, len(args))
	for _, a := range args {
		e.arg(a)
	}
}

// begin begins an operation that has n arguments.
func (e *encoder) begin(name string, n int) { e.g.args = append(e.g.args, name, strconv.Itoa(n)) }

func (e *encoder) arg(a string) {
	e.g.args = append(e.g.args, a)
	e.g.bytes += len(a)
}

// key is the place of a key in the call, as text.
func (e *encoder) key(name string) string {
	e.g.keys = append(e.g.keys, name)
	return strconv.Itoa(len(e.g.keys))
}

// target is what is known of a session in this group. Of a node, it names both keys, and the fence.
func (e *encoder) target(s *store.Session) *target {
	t := e.targets[s]
	if t == nil {
		name := nameOf(s.ClientID)
		t = &target{session: e.prefix + keySession + name, queue: e.prefix + keyQueue + name}
		e.targets[s] = t
		if e.node {
			t.sessionAt, t.queueAt = e.key(t.session), e.key(t.queue)
			e.g.fences = append(e.g.fences, t.sessionAt, strconv.FormatUint(s.Fence, 10))
			e.g.owned = append(e.g.owned, s)
		}
	}
	return t
}

func (e *encoder) sessionKey(t *target) string {
	if t.sessionAt == "" {
		t.sessionAt = e.key(t.session)
	}
	return t.sessionAt
}

func (e *encoder) queueKey(t *target) string {
	if t.queueAt == "" {
		t.queueAt = e.key(t.queue)
	}
	return t.queueAt
}

// change notes that entries of a session come or go.
func (e *encoder) change(t *target) {
	if len(t.puts) == 0 && len(t.gone) == 0 {
		e.changed = append(e.changed, t)
	}
}

// mostFields bounds the arguments of one operation: Lua's unpack takes no more than some thousands.
const mostFields = 1000

// flush has the entries that have gathered for each queue come and go.
func (e *encoder) flush() {
	for _, t := range e.changed {
		for gone := range slices.Chunk(t.gone, mostFields) {
			e.begin("X", 1+len(gone))
			e.arg(e.queueKey(t))
			for _, seq := range gone {
				e.arg(seq)
			}
		}
		puts := slices.DeleteFunc(t.puts, func(p put) bool { return p.record == "" })
		for puts := range slices.Chunk(puts, mostFields/2) {
			e.begin("Q", 1+2*len(puts))
			e.arg(e.queueKey(t))
			for _, p := range puts {
				e.arg(sequence(p.seq))
				e.arg(p.record)
			}
		}
		t.puts, t.gone = nil, nil
	}
	e.changed = e.changed[:0]
}

// sequence is how numbers of sessions and of entries are written.
func sequence(seq uint64) string { return strconv.FormatUint(seq, 36) }

func (e *encoder) apply(op *store.Op) {
	switch op.Kind {
	case store.Enqueue:
		e.enqueue(op)
	case store.Release:
		e.release(op)
	case store.Remove:
		e.remove(op)
	case store.Keep: // the index of what expires is in memory
	case store.Receive:
		e.op("S", e.sessionKey(e.target(op.Session)), fieldReceived+strconv.Itoa(int(op.PacketID)), "")
	case store.Forget:
		e.op("D", e.sessionKey(e.target(op.Session)), fieldReceived+strconv.Itoa(int(op.PacketID)))
	case store.Retain:
		e.op("R", op.Message.Topic, retainedRecord(op.Message))
	case store.Unretain:
		e.op("F", op.Old.Topic)
	case store.Change:
		e.g.changes++
		if op.Message == nil {
			e.op("V", op.Topic)
		} else {
			e.op("V", op.Topic, retainedRecord(op.Message))
		}
	case store.Lapse:
		e.op("G", op.Topic, strconv.FormatInt(op.Now, 10))
	case store.Save:
		if op.First {
			e.wholeSession("N", op.Session)
		}
		e.op("S", e.sessionKey(e.target(op.Session)), fieldRecord, string(store.AppendRecord(nil, op.Session.ClientID, op.Record)))
	case store.End:
		e.wholeSession("Z", op.Session)
	case store.Subscribe:
		e.op("S", e.sessionKey(e.target(op.Session)), fieldSubscription+op.Sub.Filter, string(store.AppendSubscription(nil, op.Sub.Options)))
	case store.Unsubscribe:
		e.op("D", e.sessionKey(e.target(op.Session)), fieldSubscription+op.Sub.Filter)
	}
}

func retainedRecord(m *session.Message) string {
	ref := store.Ref{Expires: store.Seconds(m.Expires)}
	return rueidis.BinaryString(store.AppendEntry(nil, &store.Entry{Ref: ref, Delivery: session.Delivery{Message: m, QoS: m.QoS, Retain: true}}))
}

// wholeSession begins or ends a session. What has gathered goes before it, since it may be of another session with this client identifier.
func (e *encoder) wholeSession(name string, s *store.Session) {
	e.flush()
	t := e.target(s)
	e.op(name, e.sessionKey(t), e.queueKey(t), nameOf(s.ClientID), sequence(s.Number), e.key(e.aside()))
}

func (e *encoder) enqueue(op *store.Op) {
	entry := store.Entry{Ref: op.Ref, Delivery: op.Delivery}
	p := put{seq: op.Ref.Seq}
	t := e.target(op.Session)
	if id := op.Ref.ID; id != 0 && !entry.Released {
		p.body = id
		r := e.bodies[id]
		if r == nil {
			r = &bodyRefs{m: entry.Message}
			e.bodies[id] = r
			e.ids = append(e.ids, id)
		}
		r.n++
		if e.node {
			if r.by == nil {
				r.by = make(map[*target]int)
			}
			r.by[t]++
		}
	}
	p.record = e.entry(&entry)
	e.change(t)
	t.puts = append(t.puts, p)
	e.g.entries++
}

// entry is the record of an entry.
func (e *encoder) entry(x *store.Entry) string {
	was := &e.last
	if e.record != "" && x.Message == was.Message && x.QoS == was.QoS && x.Retain == was.Retain && x.Released == was.Released && x.Ref.ID == was.Ref.ID &&
		x.Ref.Expires == was.Ref.Expires && len(x.IDs) == 0 && len(was.IDs) == 0 {
		return e.record
	}
	e.buf = store.AppendEntry(e.buf[:0], x)
	e.last, e.record = *x, string(e.buf)
	return e.record
}

// gathered is an entry that comes in this group, and has not been passed on yet.
func (t *target) gathered(seq uint64) *put {
	for i := len(t.puts) - 1; i >= 0; i-- {
		if p := &t.puts[i]; p.seq == seq && p.record != "" {
			return p
		}
	}
	return nil
}

// withoutBody takes a reference back that an entry of this group has to its body.
func (e *encoder) withoutBody(t *target, p *put) {
	if p.body != 0 {
		r := e.bodies[p.body]
		r.n--
		if e.node {
			r.by[t]--
		}
		p.body = 0
	}
}

func (e *encoder) release(op *store.Op) {
	entry := store.Entry{Delivery: session.Delivery{QoS: 2, Released: true}}
	rec := string(store.AppendEntry(nil, &entry))
	t := e.target(op.Session)
	if p := t.gathered(op.Ref.Seq); p != nil {
		e.withoutBody(t, p)
		p.record = rec
		return
	}
	e.op("L", e.queueKey(t), sequence(op.Ref.Seq), bodyName(op.Ref.ID), rec)
}

// remove takes an entry out of a queue. One that comes in the same group is not written at all.
func (e *encoder) remove(op *store.Op) {
	e.g.entries--
	t := e.target(op.Session)
	if p := t.gathered(op.Ref.Seq); p != nil {
		e.withoutBody(t, p)
		p.record = ""
		return
	}
	if op.Ref.ID != 0 {
		e.op("Y", e.queueKey(t), sequence(op.Ref.Seq), bodyName(op.Ref.ID))
		return
	}
	e.change(t)
	t.gone = append(t.gone, sequence(op.Ref.Seq))
}
