package cluster

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"picket/cluster/machine"
	"picket/internal/testbed"
	"picket/logging"
	"picket/session"
	"picket/store"
	"picket/store/redis"
	"picket/store/storetest"
	"picket/topic"
)

// keeper is a host whose sessions are stored.
type keeper struct {
	*host
	store *redis.Store
	rec   *storetest.Recorder
}

func (k *keeper) Fenced(incarnation uint64) {
	k.store.Serve(0)
	k.host.Fenced(incarnation)
}

func (k *keeper) Joined(incarnation uint64) { k.store.Serve(incarnation) }

func (k *keeper) Own(s Owned, installed func(error)) {
	_ = k.store.Own(s.Client, s.Fence, func(err error) {
		if err != nil {
			installed(err)
			return
		}
		k.host.Own(s, installed)
	})
}

func (k *keeper) Stop(client string, stopped func()) {
	_ = k.store.Let(client, func(error) { k.host.Stop(client, stopped) })
}

// storing starts a node whose sessions are stored.
func (r *rig) storing(name string, change func(*Options)) (*member, *keeper) {
	r.t.Helper()
	k := &keeper{rec: storetest.NewRecorder()}
	m := r.startWith(name, change, func(h *host, o *Options) Host {
		k.host = h
		var err error
		if k.store, err = redis.Open(context.Background(), r.address, redis.Options{Log: o.Log, Shared: true}); err == nil {
			err = k.store.Start(context.Background(), k.rec)
		}
		if err != nil {
			r.t.Fatal(err)
		}
		return k
	})
	return m, k
}

// fill stores a session with a filter and some messages.
func fill(t *testing.T, s store.Store, client string, messages int) {
	t.Helper()
	h := s.NewSession(client)
	b := new(store.Batch)
	b.Save(h, store.Record{Expiry: 1000, Next: uint64(messages + 1)})
	b.Subscribe(h, "filter of "+client, topic.Options{QoS: 1}, nil)
	for seq := range messages {
		b.Enqueue(h, session.Delivery{Message: &session.Message{ID: s.NewMessageID(), Topic: "t", Payload: []byte("m"), QoS: 1}, Seq: uint64(seq + 1), QoS: 1}, false)
	}
	s.Commit(b)
	if storetest.WaitFor(b); b.Err() != nil {
		t.Fatal(b.Err())
	}
}

// filled looks whether a session has come whole.
func filled(rec *storetest.Recorder, client string, messages int) error {
	state := rec.State(client)
	if _, ok := state.Subscriptions["filter of "+client]; !ok || state.Backlog.Entries != messages || state.Record.Next != uint64(messages+1) {
		return fmt.Errorf("%s: %+v", client, state)
	}
	return nil
}

// TestStoredSessionsMove has a client of a node come to another one: what is stored of its session comes along, and what the node before commits then is refused.
func TestStoredSessionsMove(t *testing.T) {
	r := newRig(t)
	a, ka := r.storing("a", nil)
	b, kb := r.storing("b", nil)
	if err := a.claim("c"); err != nil {
		t.Fatal(err)
	}
	fill(t, ka.store, "c", 1000)
	h := ka.store.NewSession("c") // as one that has not heard of it yet
	if err := b.claim("c"); err != nil {
		t.Fatal(err)
	}
	if err := filled(kb.rec, "c", 1000); err != nil {
		t.Error(err)
	}
	late := new(store.Batch)
	late.Receive(h, 7)
	ka.store.Commit(late)
	if storetest.WaitFor(late); late.Err() != nil && !strings.Contains(late.Err().Error(), store.ErrFenced.Error()) {
		t.Error(late.Err())
	}
	if err := a.claim("c"); err != nil { // and back
		t.Fatal(err)
	}
	if err := filled(ka.rec, "c", 1000); err != nil {
		t.Error(err)
	}
	if got := ka.rec.State("c").Received; len(got) > 0 {
		t.Errorf("what was committed by a node that did not have the session any more is there: %v", got)
	}
}

// TestStoredSessionsOfADeadNode kills a node: the other one adopts what it had.
func TestStoredSessionsOfADeadNode(t *testing.T) {
	const sessions = 300
	r := newRig(t)
	a, ka := r.storing("a", nil)
	_, kb := r.storing("b", func(o *Options) { o.Times = machine.DefaultTimes() })
	for i := range sessions {
		client := fmt.Sprintf("c%d", i)
		if err := a.claim(client); err != nil {
			t.Fatal(err)
		}
		fill(t, ka.store, client, i%3)
	}
	if err := ka.store.Close(); err != nil {
		t.Fatal(err)
	}
	a.Close()
	for i := range sessions {
		testbed.Eventually(t, func() error { return filled(kb.rec, fmt.Sprintf("c%d", i), i%3) })
	}
}

// TestWhatABrokerAloneHasStoredIsAdopted has a node find what a broker alone has left, and a broker alone what a node has.
func TestWhatABrokerAloneHasStoredIsAdopted(t *testing.T) {
	r := newRig(t)
	long := strings.Repeat("long", 100)
	log, err := logging.New(logging.Config{}, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	alone := func(fill func(*redis.Store)) *storetest.Recorder {
		s, err := redis.Open(context.Background(), r.address, redis.Options{Log: log})
		if err != nil {
			t.Fatal(err)
		}
		rec := storetest.Start(t, s)
		fill(s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return rec
	}
	alone(func(s *redis.Store) { fill(t, s, "c", 3); fill(t, s, long, 2) })
	for round := range 2 {
		a, ka := r.storing("a", nil)
		testbed.Eventually(t, func() error { return filled(ka.rec, "c", 3) })
		testbed.Eventually(t, func() error { return filled(ka.rec, long, 2) })
		client := fmt.Sprintf("of the node %d", round)
		if err := a.claim(client); err != nil {
			t.Fatal(err)
		}
		fill(t, ka.store, client, 1)
		if err := ka.store.Close(); err != nil {
			t.Fatal(err)
		}
		a.Close()
		rec := alone(func(*redis.Store) {})
		for name, n := range map[string]int{"c": 3, long: 2, client: 1} {
			if err := filled(rec, name, n); err != nil {
				t.Error(err)
			}
		}
	}
}
