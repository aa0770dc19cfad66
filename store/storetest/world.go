package storetest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"picket/session"
	"picket/store"
	"picket/topic"
)

// Image is everything that a store holds, as text, so that two can be compared and told apart.
type Image map[string]string

func (i Image) clone() Image { return maps.Clone(i) }

func (i Image) String() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(i)) {
		fmt.Fprintf(&b, "  %s = %s\n", k, i[k])
	}
	return b.String()
}

func describeMessage(m *session.Message) string {
	return fmt.Sprintf("%q %q props %q q%d r%v e%d from %q %q", m.Topic, m.Payload, m.Props, m.QoS, m.Retain, m.Expires, m.From, m.User)
}

func sessionName(id string) string   { return "session " + id }
func filterName(id, f string) string { return "session " + id + " filter " + f }
func receivedName(id string, p uint16) string {
	return fmt.Sprintf("session %s received %d", id, p)
}
func entryName(id string, seq uint64) string { return fmt.Sprintf("session %s entry %03d", id, seq) }
func retainedName(topic string) string       { return "retained " + topic }

func describeRecord(r store.Record) string {
	will := "none"
	if w := r.Will; w != nil {
		will = fmt.Sprintf("%s %d %v %d %d", describeMessage(w.Message), w.Expiry, w.Expires, w.Delay, w.Due)
		r.Will = nil
	}
	return fmt.Sprintf("%+v will %s", r, will)
}

func describeEntry(e store.Entry) string {
	switch {
	case e.Damaged:
		return "damaged"
	case e.Released:
		return "released"
	}
	return fmt.Sprintf("q%d r%v ids %v: %s", e.QoS, e.Retain, e.IDs, describeMessage(e.Message))
}

// ImageOf reads everything.
func ImageOf(t testing.TB, s store.Store, r *Recorder) Image {
	t.Helper()
	i := Image{}
	for id, st := range r.states {
		i[sessionName(id)] = describeRecord(st.Record)
		for f, o := range st.Subscriptions {
			i[filterName(id, f)] = fmt.Sprintf("%+v", o)
		}
		for _, p := range st.Received {
			i[receivedName(id, p)] = "received"
		}
		n, bytes, released, damaged := 0, int64(0), 0, false
		for from, more := uint64(0), true; more; {
			var entries []store.Entry
			var err error
			entries, more, err = s.Read(context.Background(), r.sessions[id], from, store.Limit{Entries: 3, Bytes: 1000}, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if e.Seq < from {
					t.Fatalf("session %s: entry %d was read from %d on", id, e.Seq, from)
				}
				i[entryName(id, e.Seq)] = describeEntry(e)
				from = e.Seq + 1
				n++
				damaged = damaged || e.Damaged
				if e.Message != nil {
					bytes += int64(len(e.Message.Payload))
				}
				if e.Released {
					released++
				}
			}
			if len(entries) == 0 && more {
				t.Fatal("nothing was read, and there is more")
			}
		}
		if b := st.Backlog; !damaged && (b.Entries != n || b.Bytes != bytes || b.Released != released) {
			t.Fatalf("session %s: the backlog is %+v, but there are %d entries, %d bytes, %d released", id, b, n, bytes, released)
		}
	}
	for topic, m := range r.retained {
		i[retainedName(topic)] = describeMessage(m)
	}
	return i
}

// change is what one batch does, in terms of an image, so that it can be done again without batches that were refused.
type change struct {
	batch   *store.Batch
	awaited bool
	edits   []edit
}

type edit struct {
	key, value string // empty value: removed
	prefix     bool   // everything whose key begins with key
	only       bool   // only if it is there
	dropped    *bool  // set when it was taken back before it was written
	early      *bool  // set when it was released before it was written, so that its batch writes that
	over       *bool  // set when its session was ended, so that it may not have been written
}

// World drives a store as a broker would, and knows what has to be in it.
type World struct {
	t        testing.TB
	rng      *rand.Rand
	s        store.Store
	r        *Recorder
	base     Image
	mu       sync.Mutex // guards changes, for those who look while it is driven
	changes  []*change
	clients  map[string]*client
	tops     map[string]*session.Message           // retained
	refused  map[*session.Message]*session.Message // retained messages that were refused, and what was there before
	answered int                                   // failures that have been answered

	// Before is called between filling a batch and committing it, when it is not nil. What the batch takes back is gone already then.
	Before func()
}

type client struct {
	id       string
	s        *store.Session
	next     uint64
	queue    map[uint64]*queued
	subs     map[string]topic.Options
	received map[uint16]bool
	over     *bool
}

type queued struct {
	ref      store.Ref
	qos      byte
	released bool
	dropped  *bool
	early    *bool
}

// NewWorld begins with what a store holds.
func NewWorld(t testing.TB, rng *rand.Rand, s store.Store, r *Recorder) *World {
	w := &World{t: t, rng: rng, s: s, r: r, base: ImageOf(t, s, r), clients: map[string]*client{}, tops: r.retained,
		refused: map[*session.Message]*session.Message{}}
	for id, st := range r.states {
		c := &client{id: id, s: r.sessions[id], next: st.Record.Next, queue: map[uint64]*queued{}, subs: maps.Clone(st.Subscriptions), received: map[uint16]bool{}, over: new(bool)}
		if c.subs == nil {
			c.subs = map[string]topic.Options{}
		}
		for _, p := range st.Received {
			c.received[p] = true
		}
		entries, _, err := s.Read(context.Background(), c.s, 0, store.Limit{Entries: 1 << 20, Bytes: 1 << 30}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			c.next = max(c.next, e.Seq+1)
			c.queue[e.Seq] = &queued{ref: e.Ref, qos: e.QoS, released: e.Released, dropped: new(bool), early: new(bool)}
		}
		w.clients[id] = c
	}
	return w
}

// commit hands a batch over. What it does is noted first, so that whoever looks at the disk meanwhile knows it.
func (w *World) commit(b *store.Batch, edits ...edit) {
	if w.Before != nil {
		w.Before()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &change{batch: b, edits: edits}
	w.changes = append(w.changes, c)
	c.awaited = w.s.Commit(b)
}

// States lists what may be there: the state after each change from number from on, up to number n.
func (w *World) States(from, n int) (all []State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.r.mu.Lock()
	refused := make(map[*store.Batch]bool)
	for _, b := range w.r.failed {
		refused[b] = true
	}
	w.r.mu.Unlock()
	now := State{w.base.clone(), map[string]bool{}}
	if from == 0 {
		all = append(all, now.clone())
	}
	for k, c := range w.changes[:n] {
		if !refused[c.batch] {
			for _, e := range c.edits {
				e.apply(now)
			}
		}
		if k+1 >= from {
			all = append(all, now.clone())
		}
	}
	return all
}

// State is an image and which of its entries may be missing.
type State struct {
	Image
	may map[string]bool
}

func (s State) clone() State { return State{s.Image.clone(), maps.Clone(s.may)} }

// Diff says what is wrong with got, a line for each thing.
func (s State) Diff(got Image) (lines []string) {
	for _, k := range slices.Sorted(maps.Keys(got)) {
		if want, ok := s.Image[k]; !ok {
			lines = append(lines, fmt.Sprintf("%s = %.150s, want nothing", k, got[k]))
		} else if got[k] != want {
			lines = append(lines, fmt.Sprintf("%s = %.150s, want %.150s", k, got[k], want))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(s.Image)) {
		if _, ok := got[k]; !ok && !s.may[k] {
			lines = append(lines, fmt.Sprintf("%s is missing, want %.150s", k, s.Image[k]))
		}
	}
	return lines
}

func (e *edit) apply(s State) {
	i := s.Image
	_, there := i[e.key]
	s.may[e.key] = e.over != nil && *e.over
	switch {
	case e.dropped != nil && *e.dropped, e.only && !there:
	case e.prefix:
		maps.DeleteFunc(i, func(k, _ string) bool { return k == strings.TrimSpace(e.key) || strings.HasPrefix(k, e.key) })
	case e.value == "":
		delete(i, e.key)
	case e.early != nil && *e.early:
		i[e.key] = "released"
	default:
		i[e.key] = e.value
	}
}

// Check compares what a store holds with what it may hold, when the changes from number settled on and below n may be missing, from some
// one on.
func (w *World) Check(got Image, settled, n int) error {
	all := w.States(settled, n)
	var closest []string
	for i, want := range all {
		lines := want.Diff(got)
		if len(lines) == 0 {
			return nil
		}
		if i == 0 || len(lines) < len(closest) {
			closest = lines
		}
	}
	return fmt.Errorf("it is none of the %d states that it may be in; it differs from the closest one in\n  %s", len(all), strings.Join(closest, "\n  "))
}

func (w *World) pick(n int) int { return w.rng.IntN(n) }

func (w *World) message() *session.Message {
	m := &session.Message{ID: w.s.NewMessageID(), Topic: fmt.Sprintf("t/%d", w.pick(4)), QoS: byte(w.pick(3)), From: "p", Payload: fmt.Appendf(nil, "%d", w.pick(1000000))}
	switch w.pick(6) {
	case 0:
		m.Payload = make([]byte, w.pick(3000))
		for i := range m.Payload {
			m.Payload[i] = byte(w.pick(256))
		}
	case 3:
		m.Payload, m.Single = make([]byte, w.pick(700)), true
	case 1:
		m.Props, m.User = []byte{1, 1}, "u"
	case 2:
		m.Expires = int64(1 + w.pick(1<<31))
	}
	return m
}

func (w *World) client() *client {
	ids := slices.Sorted(maps.Keys(w.clients))
	if len(ids) == 0 {
		w.connect()
		return w.client()
	}
	return w.clients[ids[w.pick(len(ids))]]
}

func (w *World) connect() {
	id := fmt.Sprintf("c%d", w.pick(5))
	c := w.clients[id]
	b := new(store.Batch)
	if c == nil {
		c = &client{id: id, s: w.s.NewSession(id), queue: map[uint64]*queued{}, subs: map[string]topic.Options{}, received: map[uint16]bool{}, over: new(bool)}
		w.clients[id] = c
	}
	r := store.Record{Expiry: uint32(w.pick(100)), Offline: int64(w.pick(2)), Next: c.next, User: "u", Named: true, Mount: "m/"}
	if w.pick(3) == 0 {
		r.Will = &store.Will{Message: &session.Message{Topic: "w", Payload: []byte("gone")}, Delay: 5}
	}
	b.Save(c.s, r)
	w.commit(b, edit{key: sessionName(id), value: describeRecord(r)})
}

// publish queues a run of messages for some clients.
func (w *World) publish() {
	b := new(store.Batch)
	var edits []edit
	run := make([]*session.Message, 1+w.pick(3))
	for i := range run {
		run[i] = w.message()
	}
	for _, id := range slices.Sorted(maps.Keys(w.clients)) {
		if w.pick(2) == 0 {
			continue
		}
		c := w.clients[id]
		for _, m := range run {
			d := session.Delivery{Message: m, QoS: byte(w.pick(3)), Retain: w.pick(2) == 0}
			if w.pick(3) == 0 {
				d.IDs = []uint32{7, 9}
			}
			q := &queued{qos: d.QoS, dropped: new(bool), early: new(bool)}
			d.Seq = c.next
			q.ref = b.Enqueue(c.s, d, w.pick(2) == 0)
			c.queue[c.next] = q
			edits = append(edits, edit{key: entryName(id, c.next), value: describeEntry(store.Entry{Delivery: d}), dropped: q.dropped, early: q.early, over: c.over})
			c.next += 1 + uint64(w.pick(2))
		}
	}
	if c := w.client(); w.pick(3) == 0 {
		p := uint16(1 + w.pick(5))
		if !c.received[p] {
			c.received[p] = true
			b.Receive(c.s, p)
			edits = append(edits, edit{key: receivedName(c.id, p), value: "received"})
		}
	}
	w.commit(b, edits...)
}

// Acknowledge releases or removes some of a client's entries.
func (w *World) Acknowledge() {
	c := w.client()
	b := new(store.Batch)
	var edits []edit
	for _, seq := range slices.Sorted(maps.Keys(c.queue)) {
		q := c.queue[seq]
		if w.pick(4) == 0 {
			continue
		}
		if q.qos == 2 && !q.released && w.pick(2) == 0 {
			q.released = true
			before := operations(b)
			b.Release(c.s, &q.ref)
			*q.early = operations(b) == before && !c.s.Over()
			edits = append(edits, edit{key: entryName(c.id, seq), value: "released", only: true, dropped: q.dropped, over: c.over})
			continue
		}
		delete(c.queue, seq)
		before := operations(b)
		b.Remove(c.s, q.ref)
		*q.dropped = operations(b) == before
		edits = append(edits, edit{key: entryName(c.id, seq)})
	}
	for p := range c.received {
		delete(c.received, p)
		b.Forget(c.s, p)
		edits = append(edits, edit{key: receivedName(c.id, p)})
		break
	}
	w.commit(b, edits...)
}

func operations(b *store.Batch) (n int) {
	for range b.Ops() {
		n++
	}
	return n
}

func (w *World) subscribe() {
	c := w.client()
	f := fmt.Sprintf("f/%d", w.pick(3))
	b := new(store.Batch)
	if _, ok := c.subs[f]; ok && w.pick(2) == 0 {
		delete(c.subs, f)
		b.Unsubscribe(c.s, f)
		w.commit(b, edit{key: filterName(c.id, f)})
		return
	}
	o := topic.Options{QoS: byte(w.pick(3)), NoLocal: w.pick(2) == 0, RetainHandling: byte(w.pick(3)), Identifier: uint32(w.pick(1000))}
	var before *topic.Options
	if old, ok := c.subs[f]; ok {
		before = &old
	}
	c.subs[f] = o
	b.Subscribe(c.s, f, o, before)
	w.commit(b, edit{key: filterName(c.id, f), value: fmt.Sprintf("%+v", o)})
}

func (w *World) retain() {
	m := w.message()
	if old := w.tops[m.Topic]; old != nil && w.pick(3) == 0 {
		delete(w.tops, m.Topic)
		b := new(store.Batch)
		b.Unretain(old)
		w.commit(b, edit{key: retainedName(m.Topic)})
		return
	}
	w.Retain(m)
}

// Retain makes a message the retained one of its topic.
func (w *World) Retain(m *session.Message) {
	b := new(store.Batch)
	b.Retain(m, w.tops[m.Topic])
	w.tops[m.Topic] = m
	w.commit(b, edit{key: retainedName(m.Topic), value: describeMessage(m)})
}

// End ends a session.
func (w *World) End() { w.endOf(w.client()) }

func (w *World) endOf(c *client) {
	delete(w.clients, c.id)
	*c.over = true
	b := new(store.Batch)
	b.End(c.s)
	w.commit(b, edit{key: "session " + c.id + " ", prefix: true})
}

// Answer undoes in memory what was refused, as a broker does, and ends the sessions that could not be made.
func (w *World) Answer() {
	w.r.mu.Lock()
	var ends []*client
	for _, b := range w.r.failed[w.answered:] {
		for op := range b.Ops() {
			var c *client
			if op.Session != nil {
				if c = w.clients[op.Session.ClientID]; c == nil || c.s != op.Session {
					continue
				}
			}
			switch op.Kind {
			case store.Save:
				if op.First {
					ends = append(ends, c)
				}
			case store.Enqueue:
				delete(c.queue, op.Ref.Seq)
			case store.Receive:
				delete(c.received, op.PacketID)
			case store.Subscribe:
				if c.subs[op.Sub.Filter] != op.Sub.Options {
				} else if op.OldSub != nil {
					c.subs[op.Sub.Filter] = *op.OldSub
				} else {
					delete(c.subs, op.Sub.Filter)
				}
			case store.Retain:
				w.refused[op.Message] = op.Old
			}
		}
	}
	w.answered = len(w.r.failed)
	w.r.mu.Unlock()
	for topic, m := range w.tops {
		for before, ok := w.refused[m]; ok; before, ok = w.refused[m] {
			m = before
		}
		if w.tops[topic] = m; m == nil {
			delete(w.tops, topic)
		}
	}
	for _, c := range ends {
		w.endOf(c)
	}
}

// Step does something at random.
func (w *World) Step() {
	w.Answer()
	switch n := w.pick(20); {
	case n < 2:
		w.connect()
	case n < 9:
		w.publish()
	case n < 14:
		w.Acknowledge()
	case n < 16:
		w.subscribe()
	case n < 19:
		w.retain()
	default:
		w.End()
	}
}

// Settled is how many changes have been made, and how many of them, the first ones, are known to be in the store.
func (w *World) Settled() (settled, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k, c := range w.changes {
		if c.awaited && !c.batch.Settled() {
			break
		}
		if c.awaited && written(c.batch) {
			settled = k + 1
		}
	}
	return settled, len(w.changes)
}

// all is how many changes have been made.
func (w *World) all() int {
	_, n := w.Settled()
	return n
}

// written tells whether a batch that is settled has been written, and with it everything before it. One that has become unnecessary is settled, too.
func written(b *store.Batch) bool {
	for op := range b.Ops() {
		switch {
		case op.Kind == store.Remove, op.Kind == store.Keep, op.Kind == store.Retain && op.Message.QoS == 0:
		default:
			return true
		}
	}
	return false
}
