package redis

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"

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
	keySession  = "s:"
	keyQueue    = "q:"
	keyAside    = "d:" // the queue of a session that has ended

	fieldRecord       = "r"
	fieldNumber       = "n"
	fieldSubscription = "u"
	fieldReceived     = "i"
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
}

// encoder makes a group's call.
type encoder struct {
	prefix string
	fixed  []string
	g      *group
	place  map[string]int // of keys
	puts   map[string][]string
	order  []string // keys of puts
	bodies map[uint64]*bodyRefs
	ids    []uint64 // of bodies, in order
	aside  func() string
}

type bodyRefs struct {
	m *session.Message
	n int
}

// fixedKeys are the keys that every call names first.
func fixedKeys(prefix string) []string {
	var all []string
	for _, k := range [...]string{keyMeta, keySessions, keyBodies, keyCounts, keyRetained, keyEnded} {
		all = append(all, prefix+k)
	}
	return all
}

// encode makes the call for batches. aside gives out keys for queues of ended sessions.
func encode(prefix string, batches []*store.Batch, aside func() string) *group {
	e := &encoder{prefix: prefix, fixed: fixedKeys(prefix), g: &group{batches: batches}, place: make(map[string]int), puts: make(map[string][]string),
		bodies: make(map[uint64]*bodyRefs), aside: aside}
	e.g.keys = e.fixed
	for _, b := range batches {
		e.g.adds = e.g.adds || b.Adds()
		for op := range b.Ops() {
			e.g.ops++
			e.apply(op)
		}
	}
	e.flush()
	for _, id := range e.ids {
		r := e.bodies[id]
		e.op("B", bodyName(id), string(store.AppendBody(nil, r.m)), strconv.Itoa(r.n))
	}
	return e.g
}

func (e *encoder) op(name string, args ...string) {
	e.g.args = append(append(e.g.args, name, strconv.Itoa(len(args))), args...)
	for _, a := range args {
		e.g.bytes += len(a)
	}
}

// key is the place of a key in the call, as text.
func (e *encoder) key(name string) string {
	at, ok := e.place[name]
	if !ok {
		e.g.keys = append(e.g.keys[:len(e.g.keys):len(e.g.keys)], name)
		at = len(e.g.keys)
		e.place[name] = at
	}
	return strconv.Itoa(at)
}

// mostFields bounds the arguments of one operation: Lua's unpack takes no more than some thousands.
const mostFields = 1000

// flush adds the entries that have gathered for each queue.
func (e *encoder) flush() {
	for _, q := range e.order {
		for fields := e.puts[q]; len(fields) > 0; {
			n := min(len(fields), mostFields)
			e.op("Q", append([]string{e.key(q)}, fields[:n]...)...)
			fields = fields[n:]
		}
	}
	clear(e.puts)
	e.order = e.order[:0]
}

// sequence is how numbers of sessions and of entries are written.
func sequence(seq uint64) string { return strconv.FormatUint(seq, 36) }

func (e *encoder) apply(op *store.Op) {
	var s, q string
	if op.Session != nil {
		name := nameOf(op.Session.ClientID)
		s, q = e.prefix+keySession+name, e.prefix+keyQueue+name
	}
	switch op.Kind {
	case store.Enqueue:
		e.enqueue(q, op)
	case store.Release:
		rec := string(store.AppendEntry(nil, &store.Entry{Delivery: session.Delivery{QoS: 2, Released: true}}))
		e.op("L", e.key(q), sequence(op.Ref.Seq), bodyName(op.Ref.ID), rec)
	case store.Remove:
		e.g.entries--
		if op.Ref.ID == 0 {
			e.op("X", e.key(q), sequence(op.Ref.Seq))
		} else {
			e.op("Y", e.key(q), sequence(op.Ref.Seq), bodyName(op.Ref.ID))
		}
	case store.Keep: // the index of what expires is in memory
	case store.Receive:
		e.op("S", e.key(s), fieldReceived+strconv.Itoa(int(op.PacketID)), "")
	case store.Forget:
		e.op("D", e.key(s), fieldReceived+strconv.Itoa(int(op.PacketID)))
	case store.Retain:
		m := op.Message
		ref := store.Ref{Expires: store.Seconds(m.Expires)}
		rec := store.AppendEntry(nil, &store.Entry{Ref: ref, Delivery: session.Delivery{Message: m, QoS: m.QoS, Retain: true}})
		e.op("R", m.Topic, string(rec))
	case store.Unretain:
		e.op("F", op.Old.Topic)
	case store.Save:
		if op.First {
			e.flush() // what has gathered may be of another session with this client identifier
			e.op("N", e.key(s), e.key(q), nameOf(op.Session.ClientID), sequence(op.Session.Number), e.key(e.aside()))
		}
		e.op("S", e.key(s), fieldRecord, string(store.AppendRecord(nil, op.Session.ClientID, op.Record)))
	case store.End:
		e.flush()
		e.op("Z", e.key(s), e.key(q), nameOf(op.Session.ClientID), sequence(op.Session.Number), e.key(e.aside()))
	case store.Subscribe:
		e.op("S", e.key(s), fieldSubscription+op.Sub.Filter, string(store.AppendSubscription(nil, op.Sub.Options)))
	case store.Unsubscribe:
		e.op("D", e.key(s), fieldSubscription+op.Sub.Filter)
	}
}

func (e *encoder) enqueue(q string, op *store.Op) {
	entry := store.Entry{Ref: op.Ref, Delivery: op.Delivery}
	if id := op.Ref.ID; id != 0 && !entry.Released {
		r := e.bodies[id]
		if r == nil {
			r = &bodyRefs{m: entry.Message}
			e.bodies[id] = r
			e.ids = append(e.ids, id)
		}
		r.n++
	}
	fields := e.puts[q]
	if fields == nil {
		e.order = append(e.order, q)
	}
	e.puts[q] = append(fields, sequence(op.Ref.Seq), string(store.AppendEntry(nil, &entry)))
	e.g.entries++
}
