// Package storetest holds the tests that every implementation of [store.Store] has to pass, and what tests of one of them need: a broker that only
// notes what it is told ([Recorder]), one that does whatever comes and knows what has to be there ([World]), and what a store holds as text ([Image]).
package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"picket/session"
	"picket/store"
)

// Place is where a store keeps things: empty at first, and with what was kept when it is opened again. The one before has been closed then.
type Place func(t testing.TB) store.Store

// Run runs all tests. fresh makes an empty place.
func Run(t *testing.T, fresh func(t testing.TB) Place) {
	for name, test := range map[string]func(*testing.T, Place){
		"what was written is there again": testThereAgain,
		"who waits is told":               testWaiters,
		"expiry":                          testExpiry,
		"double removal":                  testDoubleRemoval,
		"a session's end":                 testEnd,
		"a removal behind the end":        testRemovalBehindEnd,
		"numbers are given out once":      testNumbers,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
	t.Run("any operations", func(t *testing.T) { testAnything(t, fresh) })
}

// Start starts a store that has been opened.
func Start(t testing.TB, s store.Store) *Recorder {
	t.Helper()
	r := NewRecorder()
	if err := s.Start(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func flush(t testing.TB, s store.Store) {
	t.Helper()
	if err := s.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func shut(t testing.TB, s store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func testThereAgain(t *testing.T, open Place) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 5 {
		s := open(t)
		w := NewWorld(t, rng, s, Start(t, s))
		for range 200 {
			w.Step()
		}
		flush(t, s)
		shut(t, s)
		s = open(t)
		if err := w.Check(ImageOf(t, s, Start(t, s)), w.all(), w.all()); err != nil {
			t.Fatal(err)
		}
		shut(t, s)
	}
}

// testAnything has many short lives, each of which ends with a close, in the middle of whatever was under way, or not.
func testAnything(t *testing.T, fresh func(testing.TB) Place) {
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		open := fresh(t)
		for range rapid.IntRange(1, 3).Draw(rt, "lives") {
			s := open(t)
			w := NewWorld(t, rng, s, Start(t, s))
			for range rapid.IntRange(0, 60).Draw(rt, "steps") {
				w.Step()
				if rng.IntN(10) == 0 {
					flush(t, s)
				}
			}
			shut(t, s)
			s = open(t)
			if err := w.Check(ImageOf(t, s, Start(t, s)), w.all(), w.all()); err != nil {
				rt.Fatal(err)
			}
			shut(t, s)
		}
	})
}

func message(s store.Store, topic string, payload int) *session.Message {
	return &session.Message{ID: s.NewMessageID(), Topic: topic, Payload: make([]byte, payload), QoS: 1}
}

// known makes sessions.
func known(t testing.TB, s store.Store, n int) (all []*store.Session) {
	t.Helper()
	b := new(store.Batch)
	for i := range n {
		to := s.NewSession(fmt.Sprintf("session %d", i))
		b.Save(to, store.Record{Expiry: 1000})
		all = append(all, to)
	}
	s.Commit(b)
	flush(t, s)
	return all
}

// testWaiters looks when those who wait for a batch are told: each once, also when it has become unnecessary, and none who asks too late.
func testWaiters(t *testing.T, open Place) {
	s := open(t)
	t.Cleanup(func() { _ = s.Close() })
	Start(t, s)
	to := known(t, s, 1)[0]
	for i := range 100 {
		b := new(store.Batch)
		ref := b.Enqueue(to, session.Delivery{Seq: uint64(i), Message: message(s, "t", 20), QoS: 1}, i%2 == 0)
		if b.Settled() {
			t.Fatal("settled before it was committed")
		}
		if !s.Commit(b) {
			t.Fatal("nothing to wait for")
		}
		if i%2 == 0 {
			acknowledged := new(store.Batch)
			acknowledged.Remove(to, ref)
			s.Commit(acknowledged)
		}
		WaitFor(b)
		if !b.Settled() || b.Err() != nil {
			t.Fatalf("settled %v, %v", b.Settled(), b.Err())
		}
		if b.Await(make(settled)) {
			t.Fatal("it will be settled again")
		}
	}
	lazy := new(store.Batch)
	lazy.Remove(to, store.Ref{Seq: 1})
	if s.Commit(lazy) {
		t.Error("somebody has to wait for a removal")
	}
}

// testExpiry lists what has expired, and lists it again until it is answered.
func testExpiry(t *testing.T, open Place) {
	s := open(t)
	Start(t, s)
	one := s.NewSession("one")
	expiring := func(topic string, expires int64) *session.Message {
		m := message(s, topic, 300)
		m.Expires = expires
		return m
	}
	retained, newer := expiring("r", 100), expiring("r", 200)
	b := new(store.Batch)
	b.Save(one, store.Record{Expiry: 1000})
	var refs []store.Ref
	for seq, expires := range []int64{100, 0, 101, 300, 50} {
		refs = append(refs, b.Enqueue(one, session.Delivery{Seq: uint64(seq), Message: expiring("q", expires), QoS: 1}, false))
	}
	b.Retain(retained, nil)
	s.Commit(b)
	expect := func(now int64, want ...string) {
		t.Helper()
		flush(t, s)
		expectExpired(t, s, refs, now, want)
	}
	expect(49)
	expect(100, "one 0", "one 4", "retained r")
	expect(101, "one 0", "one 2", "one 4", "retained r")
	b = new(store.Batch)
	b.Remove(one, refs[4])
	b.Keep(one, refs[0]) // on its way
	b.Retain(newer, retained)
	s.Commit(b)
	expect(150, "one 2")
	expect(200, "one 2", "retained r")
	b = new(store.Batch)
	b.Remove(one, refs[0])
	s.Commit(b)
	flush(t, s)
	shut(t, s)
	s = open(t)
	r := Start(t, s)
	one = r.Handle("one")
	expect(201, "one 2", "retained r")
	b = new(store.Batch)
	b.Unretain(newer)
	b.End(one)
	s.Commit(b)
	expect(1000)
	shut(t, s)
	if errs := r.Refusals(); len(errs) > 0 {
		t.Error(errs)
	}
}

// expectExpired looks at what is over at a time. refs are the entries of the one session, by sequence number, each of 300 bytes.
func expectExpired(t *testing.T, s store.Store, refs []store.Ref, now int64, want []string) {
	t.Helper()
	all, err := s.Expired(context.Background(), now, 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range all {
		if e.Session == nil {
			got = append(got, "retained "+e.Topic)
			continue
		}
		got = append(got, fmt.Sprintf("%s %d", e.Session.ClientID, e.Ref.Seq))
		if e.Ref != refs[e.Ref.Seq] || e.Bytes != 300 {
			t.Errorf("%+v, %d bytes; want %+v", e.Ref, e.Bytes, refs[e.Ref.Seq])
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("at %d: %q, want %q", now, got, want)
	}
}

// testDoubleRemoval removes an entry twice by mistake: the message that another session waits for stays.
func testDoubleRemoval(t *testing.T, open Place) {
	s := open(t)
	Start(t, s)
	sessions := known(t, s, 2)
	m := message(s, "t", 1000)
	var refs [2]store.Ref
	b := new(store.Batch)
	for i, to := range sessions {
		refs[i] = b.Enqueue(to, session.Delivery{Seq: 0, Message: m, QoS: 1}, false)
	}
	s.Commit(b)
	for range 3 {
		flush(t, s)
		b := new(store.Batch)
		b.Remove(sessions[0], refs[0])
		s.Commit(b)
	}
	flush(t, s)
	entries, _, err := s.Read(context.Background(), sessions[1], 0, store.Limit{Entries: 9, Bytes: 1 << 20}, nil)
	if err != nil || len(entries) != 1 || entries[0].Damaged || len(entries[0].Message.Payload) != 1000 {
		t.Errorf("%+v, %v", entries, err)
	}
	b = new(store.Batch)
	b.Remove(sessions[1], refs[1])
	s.Commit(b)
	flush(t, s)
	if st := s.Stats(); st.Bodies != 0 || st.Entries != 0 {
		t.Errorf("%+v", st)
	}
	shut(t, s)
}

// testEnd ends a session with all that it has, and makes another one under the same client identifier.
func testEnd(t *testing.T, open Place) {
	s := open(t)
	Start(t, s)
	to := known(t, s, 1)[0]
	b := new(store.Batch)
	for seq := range uint64(2500) { // more than a store removes at once
		b.Enqueue(to, session.Delivery{Seq: seq, Message: message(s, "t", 10), QoS: 1}, false)
	}
	b.Receive(to, 7)
	s.Commit(b)
	flush(t, s)
	b = new(store.Batch)
	b.End(to)
	s.Commit(b)
	again := s.NewSession(to.ClientID)
	b = new(store.Batch)
	b.Save(again, store.Record{Expiry: 5})
	b.Enqueue(again, session.Delivery{Seq: 1, Message: message(s, "t", 10), QoS: 1}, false)
	s.Commit(b)
	late := new(store.Batch)
	late.Enqueue(to, session.Delivery{Seq: 9999, Message: message(s, "t", 10), QoS: 1}, false)
	if !late.Empty() {
		t.Error("a session that has ended gets more")
	}
	flush(t, s)
	shut(t, s)
	s = open(t)
	r := Start(t, s)
	st := r.states[to.ClientID]
	if len(r.states) != 1 || st.Record.Expiry != 5 || len(st.Received) != 0 || st.Backlog.Entries != 1 || st.Backlog.First != 1 {
		t.Errorf("%+v", r.states)
	}
	shut(t, s)
}

// testRemovalBehindEnd has entries removed by a batch that was filled before their session's end and is committed behind it: they are counted out once.
func testRemovalBehindEnd(t *testing.T, open Place) {
	s := open(t)
	Start(t, s)
	all := known(t, s, 2)
	goes, stays := all[0], all[1]
	b := new(store.Batch)
	var refs []store.Ref
	for seq := range uint64(10) {
		m := message(s, "t", 10)
		m.Single = seq%2 == 0 // with its message in its record, or outside
		refs = append(refs, b.Enqueue(goes, session.Delivery{Seq: seq, Message: m, QoS: 1}, false))
	}
	b.Enqueue(stays, session.Delivery{Seq: 1, Message: message(s, "t", 10), QoS: 1}, false)
	s.Commit(b)
	flush(t, s)
	late := new(store.Batch)
	for _, ref := range refs {
		late.Remove(goes, ref)
	}
	b = new(store.Batch)
	b.End(goes)
	s.Commit(b)
	flush(t, s)
	s.Commit(late)
	flush(t, s)
	for s.Stats().Entries > 1 { // what an ended session has left is removed bit by bit
		flush(t, s)
	}
	if n := s.Stats().Entries; n != 1 {
		t.Errorf("%d entries are counted, and there is one", n)
	}
	shut(t, s)
}

// testNumbers looks that a number of a message that is in the store is not given to another.
func testNumbers(t *testing.T, open Place) {
	var last uint64
	for range 3 {
		s := open(t)
		before := Start(t, s).Messages()
		m := message(s, "t", 1000)
		if m.ID <= last {
			t.Fatalf("message %d came after %d", m.ID, last)
		}
		last = m.ID
		b := new(store.Batch)
		b.Retain(m, before["t"])
		s.Commit(b)
		flush(t, s)
		shut(t, s)
	}
}
