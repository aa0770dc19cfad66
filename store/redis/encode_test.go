package redis

import (
	"slices"
	"testing"

	"picket/session"
	"picket/store"
)

// TestNeverWrittenNeverRemoved: an entry that goes in the group that it comes in is neither written nor removed, and one that is released in it is written once, as released.
func TestNeverWrittenNeverRemoved(t *testing.T) {
	p := store.NewPipeline(1 << 20)
	s := store.OpenSession(1, "c")
	message := func(id uint64, size int) *session.Message {
		return &session.Message{ID: id, Topic: "t", Payload: make([]byte, size), QoS: 2}
	}
	var come, go1 store.Batch
	small := come.Enqueue(s, session.Delivery{Seq: 1, Message: message(1, 1), QoS: 1}, false)
	large := come.Enqueue(s, session.Delivery{Seq: 2, Message: message(2, 1000), QoS: 1}, false)
	stays := come.Enqueue(s, session.Delivery{Seq: 3, Message: message(2, 1000), QoS: 2}, false)
	come.Enqueue(s, session.Delivery{Seq: 4, Message: message(3, 1), QoS: 1}, false)
	p.Commit(&come)
	p.Take(1 << 20)
	e := newEncoder("{p}", fixedKeys("{p}"), func() string { return "{p}d:1" })
	e.add(&come)
	go1.Remove(s, small)
	go1.Remove(s, large)
	go1.Release(s, &stays)
	go1.Remove(s, store.Ref{Seq: 9})
	go1.Remove(s, store.Ref{Seq: 10, ID: 7})
	e.add(&go1)
	g := e.finish()
	released := string(store.AppendEntry(nil, &store.Entry{Delivery: session.Delivery{QoS: 2, Released: true}}))
	fourth := string(store.AppendEntry(nil, &store.Entry{Ref: store.Ref{Seq: 4}, Delivery: session.Delivery{Message: message(3, 1), QoS: 1}}))
	want := []string{"Y", "3", "7", "a", bodyName(7), "X", "2", "7", "9", "Q", "5", "7", "3", released, "4", fourth}
	if !slices.Equal(g.args, want) {
		t.Errorf("%q, want %q", g.args, want)
	}
	if g.entries != 0 || len(g.keys) != 7 || g.keys[6] != "{p}q:=c" {
		t.Errorf("%d entries, keys %q", g.entries, g.keys)
	}
}
