package local

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"picket/session"
	"picket/store"
	"picket/store/storetest"
)

var many = flag.Int("messages", 50_000, "how many messages TestSpace queues and drains, and BenchmarkLoad loads")

// payloadSize is that of a usual reading: a few numbers in JSON.
const payloadSize = 100

func benchMessage(s *Store, n int) *session.Message {
	return &session.Message{ID: s.NewMessageID(), Topic: fmt.Sprintf("plant/%d/line/7/temperature", n%100), Payload: make([]byte, payloadSize), QoS: 1, From: "sensor", Single: true}
}

// known makes sessions.
func known(s *Store, n int) (all []*store.Session) {
	for i := range n {
		h := s.NewSession(fmt.Sprintf("client-%d", i))
		b := new(store.Batch)
		b.Save(h, store.Record{Expiry: 0xFFFFFFFF, Offline: 1})
		s.Commit(b)
		all = append(all, h)
	}
	return all
}

// BenchmarkCommit has some committers, each of which waits until its message is durable before it queues the next one.
func BenchmarkCommit(b *testing.B) {
	for _, mode := range []Mode{Always, Interval} {
		for _, committers := range []int{1, 8, 64, 512} {
			b.Run(fmt.Sprintf("%s/%d", mode, committers), func(b *testing.B) {
				s, _ := start(b, vfs.Default, b.TempDir(), Options{Sync: mode})
				defer s.Close()
				sessions := known(s, committers)
				if err := s.Sync(context.Background()); err != nil {
					b.Fatal(err)
				}
				before := s.syncs.Load()
				b.ResetTimer()
				var wait sync.WaitGroup
				for c := range committers {
					wait.Go(func() {
						for seq := range uint64((b.N + committers - 1) / committers) {
							batch := new(store.Batch)
							batch.Enqueue(sessions[c], session.Delivery{Seq: seq, Message: benchMessage(s, c), QoS: 1}, false)
							s.Commit(batch)
							storetest.WaitFor(batch)
						}
					})
				}
				wait.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
				b.ReportMetric(float64(s.syncs.Load()-before)*1000/float64(b.N), "fsyncs/1000msg")
			})
		}
	}
}

// BenchmarkStream queues messages as fast as the store takes them, for sessions that are away.
func BenchmarkStream(b *testing.B) {
	for _, size := range []int{20, 100, 1000} {
		for _, receivers := range []int{1, 10} {
			b.Run(fmt.Sprintf("%d bytes to %d", size, receivers), func(b *testing.B) {
				s, _ := start(b, vfs.Default, b.TempDir(), Options{})
				defer s.Close()
				sessions := known(s, receivers)
				before := s.syncs.Load()
				b.ResetTimer()
				const run = 100
				for n := 0; n < b.N; n += run {
					batch := new(store.Batch)
					for i := range run {
						m := benchMessage(s, n)
						m.Payload, m.Single = make([]byte, size), receivers == 1
						for _, to := range sessions {
							batch.Enqueue(to, session.Delivery{Seq: uint64(n + i), Message: m, QoS: 1}, false)
						}
					}
					s.Commit(batch)
					if s.Full() {
						storetest.WaitFor(batch)
					}
				}
				if err := s.Sync(context.Background()); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
				b.ReportMetric(float64(s.syncs.Load()-before)*1000/float64(b.N), "fsyncs/1000msg")
			})
		}
	}
}

// BenchmarkAcknowledged is a client that is connected and acknowledges every message at once, so that nothing is written.
func BenchmarkAcknowledged(b *testing.B) {
	s, _ := start(b, vfs.Default, b.TempDir(), Options{})
	defer s.Close()
	to := known(s, 1)[0]
	before := s.syncs.Load()
	m := benchMessage(s, 0)
	b.ReportAllocs()
	b.ResetTimer()
	const run = 20
	var refs [run]store.Ref
	for n := 0; n < b.N; n += run {
		batch := new(store.Batch)
		for i := range run {
			refs[i] = batch.Enqueue(to, session.Delivery{Seq: uint64(n + i), Message: m, QoS: 1}, true)
		}
		s.Commit(batch)
		acks := new(store.Batch)
		for i := range run {
			acks.Remove(to, refs[i])
		}
		s.Commit(acks)
		if n%(100*run) == 0 {
			storetest.WaitFor(batch)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(float64(s.syncs.Load()-before)*1000/float64(b.N), "fsyncs/1000msg")
}

// BenchmarkPatience is a publisher that waits for its PUBACK, and a client that is connected and acknowledges after a fifth of a millisecond, as on a
// local network: with a committer that waits for that, and with one that does not.
func BenchmarkPatience(b *testing.B) {
	for name, moment := range map[string]int{"two ticks": 2, "none": -1} {
		b.Run(name, func(b *testing.B) {
			s, _ := start(b, vfs.Default, b.TempDir(), Options{patience: moment})
			defer s.Close()
			to := known(s, 1)[0]
			before := s.syncs.Load()
			b.ResetTimer()
			for n := range b.N {
				batch := new(store.Batch)
				ref := batch.Enqueue(to, session.Delivery{Seq: uint64(n), Message: benchMessage(s, n), QoS: 1}, true)
				s.Commit(batch)
				time.AfterFunc(200*time.Microsecond, func() {
					ack := new(store.Batch)
					ack.Remove(to, ref)
					s.Commit(ack)
				})
				storetest.WaitFor(batch)
			}
			b.ReportMetric(float64(s.syncs.Load()-before)*1000/float64(b.N), "fsyncs/1000msg")
		})
	}
}

// queueMany queues messages over sessions, in runs.
func queueMany(t testing.TB, s *Store, sessions []*store.Session, from uint64, n int) {
	for i := 0; i < n; {
		batch := new(store.Batch)
		for range 1000 {
			batch.Enqueue(sessions[i%len(sessions)], session.Delivery{Seq: from + uint64(i/len(sessions)), Message: benchMessage(s, i), QoS: 1}, false)
			i++
		}
		s.Commit(batch)
		if s.Full() {
			storetest.WaitFor(batch)
		}
	}
	if err := s.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// drain reads all queues to their ends, as clients do that come back, and removes what is read.
func drain(t testing.TB, s *Store, sessions []*store.Session) (n int) {
	var entries []store.Entry
	for _, of := range sessions {
		for from, more := uint64(0), true; more; {
			var err error
			entries, more, err = s.Read(context.Background(), of, from, store.Limit{Entries: 1000, Bytes: 64 << 10}, entries[:0])
			if err != nil {
				t.Fatal(err)
			}
			batch := new(store.Batch)
			for _, e := range entries {
				batch.Remove(of, e.Ref)
				from = e.Seq + 1
				n++
			}
			s.Commit(batch)
		}
	}
	if err := s.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	return n
}

// BenchmarkLoad opens a store with many messages in 10,000 queues.
func BenchmarkLoad(b *testing.B) {
	dir := b.TempDir()
	s, _ := start(b, vfs.Default, dir, Options{})
	started := time.Now()
	queueMany(b, s, known(s, 10_000), 0, *many)
	b.Logf("%d messages were queued in %s; %+v", *many, time.Since(started).Round(time.Millisecond), s.Stats())
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		s, r := start(b, vfs.Default, dir, Options{})
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(r)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(*many), "heap-bytes/reference")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkDrain reads messages and removes them.
func BenchmarkDrain(b *testing.B) {
	s, _ := start(b, vfs.Default, b.TempDir(), Options{})
	defer s.Close()
	sessions := known(s, 100)
	n := (b.N + 999) / 1000 * 1000
	queueMany(b, s, sessions, 0, n)
	b.ResetTimer()
	if got := drain(b, s, sessions); got != n {
		b.Fatalf("%d of %d", got, n)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "msg/s")
}

// TestSpace queues and drains messages again and again. The files never take up more than twice the records, and the slack.
func TestSpace(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	s, _ := start(t, vfs.Default, t.TempDir(), Options{})
	defer s.Close()
	sessions := known(s, 100)
	most := int64(0)
	check := func(when string) {
		// The keeper looks every two seconds, and looks twice.
		for range 30 {
			st := s.Stats()
			if most = max(most, st.Disk); st.Disk <= 2*st.Live+slack {
				return
			}
			time.Sleep(time.Second)
		}
		t.Errorf("%s: %+v", when, s.Stats())
	}
	for round := range 3 {
		queueMany(t, s, sessions, uint64(round**many), *many)
		check("queued")
		if n := drain(t, s, sessions); n != *many {
			t.Fatalf("%d of %d messages were read", n, *many)
		}
		check("drained")
	}
	if st := s.Stats(); st.Entries != 0 || st.Bodies != 0 {
		t.Errorf("%+v", st)
	}
	t.Logf("at most %d MiB; %+v", most>>20, s.Stats())
}
