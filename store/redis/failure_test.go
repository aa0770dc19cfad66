package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"picket/internal/testbed"
	"picket/session"
	"picket/store"
	"picket/store/storetest"
	"picket/topic"
)

// life is a store that is driven while its servers fail.
type life struct {
	t   *testing.T
	s   *Store
	out *testbed.Log
	r   *storetest.Recorder
	w   *storetest.World
}

func newLife(t *testing.T, address string, o Options) *life {
	t.Helper()
	s, out := mustOpen(t, address, o)
	r := storetest.Start(t, s)
	return &life{t: t, s: s, out: out, r: r, w: storetest.NewWorld(t, rand.New(rand.NewPCG(1, 9)), s, r)}
}

func (l *life) steps(n int) {
	for range n {
		l.w.Step()
	}
}

func (l *life) flush() {
	l.t.Helper()
	until(l.t, "everything is stored", func() bool { return l.s.Sync(context.Background()) == nil })
}

// whole ends the store and looks whether what is there is what has to be there: address is where it is now.
func (l *life) whole(address string) {
	l.t.Helper()
	for range 2 { // what is refused is answered
		l.flush()
		l.w.Answer()
	}
	l.flush()
	_, n := l.w.Settled()
	if err := l.s.Close(); err != nil {
		l.t.Fatal(err)
	}
	s, out := mustOpen(l.t, address, Options{})
	defer s.Close()
	if err := l.w.Check(storetest.ImageOf(l.t, s, storetest.Start(l.t, s)), n, n); err != nil {
		l.t.Fatal(err)
	}
	if out.Has("cannot be read") {
		l.t.Fatal(out.String())
	}
}

// TestServerIsKilled kills Redis in the middle of what is being written, again and again: what waits is written when it is back, and nothing is refused.
func TestServerIsKilled(t *testing.T) {
	r := newServer(t)
	l := newLife(t, r.address(), Options{Hold: time.Minute})
	for range 4 {
		l.steps(150)
		r.kill()
		l.steps(30)
		r.start()
		l.steps(30)
	}
	l.whole(r.address())
	if errs := l.r.Refusals(); len(errs) > 0 {
		t.Error(errs[0])
	}
}

// TestServerIsAwayForLong refuses what has waited for too long. What has been applied all the same, since only the answer was lost, is undone.
func TestServerIsAwayForLong(t *testing.T) {
	r := newServer(t)
	l := newLife(t, r.address(), Options{Hold: 100 * time.Millisecond})
	for _, how := range []struct{ stop, start func() }{
		{r.kill, r.start},
		{func() { r.signal(sigStop) }, func() { r.signal(sigCont) }}, // what is in its socket is applied later
	} {
		l.steps(50)
		l.flush()
		refused := len(l.r.Refusals())
		how.stop()
		l.steps(20)
		var health error
		l.r.Wait(func(refusals, all []error) bool {
			if len(all) > 0 {
				health = all[len(all)-1]
			}
			return len(refusals) > refused && health != nil
		})
		if !errors.Is(health, store.ErrFailed) || !errors.Is(l.r.Refusals()[refused], store.ErrFailed) {
			t.Errorf("%v, %v", health, l.r.Refusals()[refused])
		}
		l.steps(20)
		how.start()
		l.flush()
		l.w.Answer()
		l.r.Wait(func(_, all []error) bool { return all[len(all)-1] == nil })
	}
	l.steps(50)
	l.whole(r.address())
}

// TestRemovedStaysRemoved refuses what was written in one group with its removal, when the answer was lost: what was there before does not come back.
func TestRemovedStaysRemoved(t *testing.T) {
	r := newServer(t)
	l := newLife(t, r.address(), Options{Hold: 100 * time.Millisecond})
	message := func(payload string) *session.Message {
		return &session.Message{ID: l.s.NewMessageID(), Topic: "t", Payload: []byte(payload), QoS: 1}
	}
	commit := func(fill func(b *store.Batch)) {
		b := new(store.Batch)
		fill(b)
		l.s.Commit(b)
	}
	first, second := message("first"), message("second")
	subscriber := l.s.NewSession("subscriber")
	before, after := topic.Options{QoS: 1}, topic.Options{QoS: 2}
	commit(func(b *store.Batch) { b.Save(subscriber, store.Record{Expiry: 100}) })
	commit(func(b *store.Batch) { b.Retain(first, nil) })
	commit(func(b *store.Batch) { b.Subscribe(subscriber, "f", before, nil) })
	l.flush()
	r.signal(sigStop) // what is in its socket is applied later
	l.onCommitter(func() {
		commit(func(b *store.Batch) { b.Retain(second, first) })
		commit(func(b *store.Batch) { b.Unretain(second) })
		commit(func(b *store.Batch) { b.Subscribe(subscriber, "f", after, &before) })
		commit(func(b *store.Batch) { b.Unsubscribe(subscriber, "f") })
	})
	l.r.Wait(func(refusals, _ []error) bool { return len(refusals) >= 2 })
	r.signal(sigCont)
	l.flush()
	if err := l.s.Close(); err != nil {
		t.Fatal(err)
	}
	s, _ := mustOpen(t, r.address(), Options{})
	defer s.Close()
	for name, value := range storetest.ImageOf(t, s, storetest.Start(t, s)) {
		if name != "session subscriber" {
			t.Errorf("there is %s = %s", name, value)
		}
	}
}

// TestMemoryIsFull has Redis refuse what adds something: the rest goes through, and it goes on when there is memory again.
func TestMemoryIsFull(t *testing.T) {
	r := newServer(t)
	l := newLife(t, r.address(), Options{})
	l.steps(200)
	l.flush()
	r.do("CONFIG", "SET", "maxmemory", "1mb")
	l.w.Retain(&session.Message{ID: l.s.NewMessageID(), Topic: "full", QoS: 1})
	l.r.Wait(func(refusals, health []error) bool {
		return len(refusals) > 0 && errors.Is(refusals[0], store.ErrFull) && errors.Is(health[0], store.ErrFull)
	})
	l.steps(50)
	for range 20 {
		l.w.Acknowledge()
		l.w.End()
	}
	l.flush()
	r.do("CONFIG", "SET", "maxmemory", "0")
	l.w.Answer()
	l.steps(50)
	l.r.Wait(func(_, health []error) bool { return health[len(health)-1] == nil })
	l.whole(r.address())
}

// TestFailover promotes a replica that had not got the last changes, nor the functions: they are sent again. Then the old master comes back as a replica.
func TestFailover(t *testing.T) {
	for seed := range 4 {
		master := newServer(t)
		replica := master.replica()
		s, out := mustOpen(t, master.address(), Options{Hold: time.Minute, Acknowledge: Acknowledge{}})
		r := storetest.Start(t, s)
		l := &life{t: t, s: s, out: out, r: r, w: storetest.NewWorld(t, rand.New(rand.NewPCG(uint64(seed), 9)), s, r)}
		l.steps(100)
		l.flush()
		until(t, "the replica has it", func() bool { return replica.info("slave_repl_offset") == master.info("master_repl_offset") })
		replica.do("REPLICAOF", "NO", "ONE") // from here on it misses what is acknowledged
		l.steps(100)
		l.flush()
		if seed%2 == 0 {
			replica.do("FUNCTION", "FLUSH")
		}
		master.kill()
		l.steps(20)
		// The new master has the old one's address, as behind a name or a proxy.
		replica.do("CONFIG", "SET", "port", fmt.Sprint(master.port))
		replica.port = master.port
		l.steps(50)
		l.whole(master.address())
	}
}

// TestServerHasLess has Redis come back with nothing, or with less than the broker can make up for: nothing is stored then, and it is said why.
func TestServerHasLess(t *testing.T) {
	for _, how := range []string{"empty", "older"} {
		r := newServer(t)
		l := newLife(t, r.address(), Options{Hold: time.Minute})
		for range 3 {
			l.steps(20)
			l.flush()
		}
		if how == "empty" {
			r.do("FLUSHALL")
		} else {
			// As if what is kept for a new master were over: the tail is let go of between two writes.
			l.onCommitter(func() { c := &l.s.committer; c.tail, c.tailed = nil, 0 })
			r.do("HSET", "{picket}m", "g", "1")
		}
		l.steps(20)
		var err error
		l.r.Wait(func(refusals, health []error) bool {
			if len(refusals) == 0 || len(health) == 0 {
				return false
			}
			err = refusals[0]
			return true
		})
		want := map[string]string{"empty": "has been emptied", "older": "has older data"}[how]
		if !errors.Is(err, store.ErrFailed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", how, err)
		}
		until(t, "the log says so", func() bool { return l.out.Has("[cluster-lost]") })
		_ = l.s.Close() // it cannot be written
	}
}

// TestFoundedAnew empties a server before anything has been promised, as a failover does to a replica that had not got that the data set is there: it is founded once more.
func TestFoundedAnew(t *testing.T) {
	r := newServer(t)
	l := newLife(t, r.address(), Options{})
	r.do("FLUSHALL")
	l.steps(50)
	l.whole(r.address())
	if errs := l.r.Refusals(); len(errs) > 0 {
		t.Error(errs[0])
	}
}

// onCommitter runs f when nothing is being written.
func (l *life) onCommitter(f func()) {
	l.t.Helper()
	done := make(chan error, 1)
	l.s.Inspect <- func() { f(); done <- nil }
	<-done
}

// TestReplicas counts replicas: with "replicas 1" nothing is settled without one, and with "auto" it goes on after a moment.
func TestReplicas(t *testing.T) {
	master := newServer(t)
	replica := master.replica()
	strict := newLife(t, master.address()+"?prefix=strict", Options{Acknowledge: Acknowledge{Replicas: 1}, Hold: time.Second})
	auto := newLife(t, master.address()+"?prefix=auto", Options{Acknowledge: Acknowledge{Auto: true}})
	strict.steps(50)
	auto.steps(50)
	strict.flush()
	auto.flush()
	replica.signal(sigStop)
	b := new(store.Batch)
	b.Save(strict.s.NewSession("waits"), store.Record{})
	strict.s.Commit(b)
	storetest.WaitFor(b)
	if !errors.Is(b.Err(), store.ErrFailed) {
		t.Errorf("without a replica: %v", b.Err())
	}
	auto.steps(20)
	auto.flush()
	until(t, "it is said that it goes on alone", func() bool { return auto.out.Has("[cluster-no-replica]") })
	replica.signal(sigCont)
	until(t, "the replica is noticed", func() bool { return auto.out.Has("has a replica again") })
	strict.flush()
	strict.steps(50)
	auto.steps(50)
	strict.whole(master.address() + "?prefix=strict")
	auto.whole(master.address() + "?prefix=auto")
}
