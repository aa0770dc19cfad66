package redis

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"picket/internal/testbed"
	"picket/session"
	"picket/store"
	"picket/store/storetest"
)

// change commits a change of the retained message of a topic; an empty text deletes it.
func (n *node) change(topic, text string, expires int64) *store.Batch {
	return n.commit(func(c *store.Batch) {
		if text == "" {
			c.Change(topic, nil)
			return
		}
		m := n.message(text)
		m.Topic, m.Retain, m.Expires = topic, true, expires
		c.Change(topic, m)
	})
}

// has says what a node finds for a topic.
func (n *node) has(topic string) string {
	n.t.Helper()
	all, err := n.Retained(context.Background(), []string{topic, "nothing"})
	if err != nil || all[1] != nil {
		n.t.Fatal(all, err)
	}
	if all[0] == nil {
		return ""
	}
	return string(all[0].Payload)
}

// TestChangesOfRetainedMessages: those of all nodes have one order, which each of them can read from any place on, and expired messages are removed only if nothing else is there.
func TestChangesOfRetainedMessages(t *testing.T) {
	r := newServer(t)
	a, b := startNode(t, r, "p", Options{}), startNode(t, r, "p", Options{})
	defer a.Close()
	defer b.Close()
	ctx := context.Background()
	if all, complete, err := a.Changes(ctx, 0); len(all) > 0 || !complete || err != nil {
		t.Fatal(all, complete, err)
	}
	var want []store.Changed
	for i := range 20 {
		n, text := []*node{a, b}[i%2], fmt.Sprint(i)
		if i%7 == 6 {
			text = ""
		}
		topic := fmt.Sprint(i % 3)
		c := n.change(topic, text, 0)
		if storetest.WaitFor(c); c.Err() != nil {
			t.Fatal(c.Err())
		}
		want = append(want, store.Changed{Topic: topic, Version: c.Version()})
		if got := b.has(topic); got != text {
			t.Fatalf("%s is %q, want %q", topic, got, text)
		}
	}
	for from := range want {
		after := uint64(0)
		if from > 0 {
			after = want[from-1].Version
		}
		if all, complete, err := b.Changes(ctx, after); fmt.Sprint(all) != fmt.Sprint(want[from:]) || !complete || err != nil {
			t.Fatalf("after %d: %v, %v, %v, want %v", after, all, complete, err, want[from:])
		}
	}
	newest, err := a.Newest(ctx)
	if err != nil || newest != want[19].Version {
		t.Errorf("the newest is %d, %v", newest, err)
	}
	if _, complete, err := a.Changes(ctx, newest+1); complete || err != nil {
		t.Errorf("changes that have been lost are not missed: %v", err)
	}
	if all, complete, err := a.Changes(ctx, newest); len(all) > 0 || !complete || err != nil {
		t.Error(all, complete, err)
	}
	r.do("XTRIM", "{p}v", "MAXLEN", "3")
	if _, complete, err := a.Changes(ctx, want[10].Version); complete || err != nil {
		t.Errorf("changes that are not listed any more are not missed: %v", err)
	}

	// One of several in a group, and what has expired.
	one, two := a.change("x", "one", 100), a.change("x", "two", 100)
	storetest.WaitFor(one)
	if storetest.WaitFor(two); two.Version() != one.Version()+1 {
		t.Errorf("versions %d and %d", one.Version(), two.Version())
	}
	lapse := func(now int64, left string) {
		t.Helper()
		b.commit(func(c *store.Batch) { c.Lapse("x", now) })
		if err := b.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		if got := a.has("x"); got != left {
			t.Errorf("at %d it is %q, want %q", now, got, left)
		}
	}
	lapse(99, "two")
	storetest.WaitFor(a.change("x", "three", 0))
	lapse(100, "three")
	storetest.WaitFor(a.change("x", "four", 100))
	lapse(100, "")
	found := 0
	if err := a.AllRetained(ctx, func(*session.Message) { found++ }); err != nil || found != 3 {
		t.Errorf("%d messages are found, %v", found, err)
	}
}

// TestVersionsAtAFailover: a master that lacks changes gives no version again, and tells nodes that they have to read everything.
func TestVersionsAtAFailover(t *testing.T) {
	master := newServer(t)
	replica := master.replica()
	a := startNode(t, master, "p", Options{Hold: 1 << 40, Acknowledge: Acknowledge{Replicas: 1}})
	defer a.Close()
	before := a.change("t", "before", 0)
	storetest.WaitFor(before)
	replica.do("REPLICAOF", "NO", "ONE")
	replica.do("HDEL", "{p}r", "t") // as if it had not got that
	replica.do("DEL", "{p}v")
	master.kill()
	replica.do("CONFIG", "SET", "port", strconv.Itoa(master.port))
	replica.port = master.port
	replica.replica()
	after := a.change("t", "after", 0)
	if storetest.WaitFor(after); after.Err() != nil || after.Version() <= before.Version() {
		t.Fatalf("version %d after %d, %v", after.Version(), before.Version(), after.Err())
	}
	testbed.Eventually(t, func() error { // the connection for reading may have to be made again
		_, complete, err := a.Changes(context.Background(), before.Version())
		if err == nil && complete {
			t.Fatal("nothing has to be read again")
		}
		return err
	})
	if got := a.has("t"); got != "after" {
		t.Errorf("it is %q", got)
	}
}
