package redis

import (
	"context"
	"fmt"
	"strconv"
	"syscall"
	"testing"

	"picket/session"
	"picket/store"
	"picket/store/local"
	"picket/store/storetest"
	"picket/topic"
)

// BenchmarkPlaces measures the stores side by side, without a broker around them: on this disk, in Redis, and in Redis with a replica that WAIT waits for.
//
//	go test ./store/redis -run '^$' -bench Places -count 3
//
// Beside the messages in a second it reports how much processor time of the server and of this process one of them takes, which other programs on the machine
// change less. Offline has messages for one of 1,000 sessions each, Hundred one message for 100 sessions, Start what a start reads. Memory says what things take in Redis.
func BenchmarkPlaces(b *testing.B) {
	for _, place := range []string{"local", "redis", "redis, WAIT 1"} {
		open, server := newPlace(b, place)
		b.Run("Offline/"+place, func(b *testing.B) { benchmarkQueue(b, open(b), server, 1000, 1) })
		b.Run("Hundred/"+place, func(b *testing.B) { benchmarkQueue(b, open(b), server, 100, 100) })
	}
}

// newPlace prepares a place, and gives what opens a store there, the same one each time, and the server, nil if there is none.
func newPlace(b *testing.B, name string) (func(testing.TB) store.Store, *server) {
	if name == "local" {
		dir := b.TempDir()
		return func(t testing.TB) store.Store {
			log, _ := newLog(t)
			s, err := local.Open(dir, local.Options{Log: log})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}, nil
	}
	server := newServer(b)
	o := Options{}
	if name != "redis" {
		server.replica()
		o.Acknowledge.Replicas = 1
	}
	return func(t testing.TB) store.Store {
		s, _ := mustOpen(t, server.address(), o)
		return s
	}, server
}

// processors is how much processor time this process and a server have taken.
func processors(t testing.TB, server *server) (here, there float64) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	here = float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	if server != nil {
		for _, name := range []string{"used_cpu_user", "used_cpu_sys"} {
			n, err := strconv.ParseFloat(server.info(name), 64)
			if err != nil {
				t.Fatal(err)
			}
			there += n
		}
	}
	return here, there
}

// sessions makes sessions with one filter each.
func sessions(b testing.TB, s store.Store, n int) (all []*store.Session) {
	for i := 0; i < n; {
		batch := new(store.Batch)
		for range min(1000, n-i) {
			h := s.NewSession("client-" + strconv.Itoa(i))
			batch.Save(h, store.Record{Expiry: 1 << 30})
			batch.Subscribe(h, fmt.Sprintf("device/%d/command", i), topic.Options{QoS: 1}, nil)
			all = append(all, h)
			i++
		}
		s.Commit(batch)
		storetest.WaitFor(batch)
	}
	return all
}

// underway is how many batches may be written at a time, as from as many publishers that wait for their PUBACK.
const underway = 200

// fill puts n messages of 64 bytes into the queues of sessions, each into fan of them.
func fill(s store.Store, all []*store.Session, n, fan int) {
	var before [underway]*store.Batch
	for i := range n {
		batch := new(store.Batch)
		m := &session.Message{ID: s.NewMessageID(), Topic: "device/command", Payload: make([]byte, 64), QoS: 1}
		for k := range fan {
			at := i*fan + k
			batch.Enqueue(all[at%len(all)], session.Delivery{Message: m, Seq: uint64(at/len(all) + 1), QoS: 1}, false)
		}
		if b := before[i%underway]; b != nil {
			storetest.WaitFor(b)
		}
		s.Commit(batch)
		before[i%underway] = batch
	}
	for _, b := range before {
		if b != nil {
			storetest.WaitFor(b)
		}
	}
}

func benchmarkQueue(b *testing.B, s store.Store, server *server, n, fan int) {
	storetest.Start(b, s)
	all := sessions(b, s, n)
	here, there := processors(b, server)
	b.ResetTimer()
	fill(s, all, b.N, fan)
	b.StopTimer()
	nowHere, nowThere := processors(b, server)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric((nowHere-here)/float64(b.N)*1e6, "µs/message")
	if server != nil {
		b.ReportMetric((nowThere-there)/float64(b.N)*1e6, "redis-µs/message")
	}
	end := new(store.Batch)
	for _, h := range all {
		end.End(h)
	}
	s.Commit(end)
	storetest.WaitFor(end)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkStart is a start with 100,000 sessions and 1,000,000 queued messages: -benchtime 1x.
func BenchmarkStart(b *testing.B) {
	for _, place := range []string{"local", "redis"} {
		b.Run(place, func(b *testing.B) {
			open, _ := newPlace(b, place)
			s := open(b)
			storetest.Start(b, s)
			fill(s, sessions(b, s, 100_000), 10_000, 100)
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for range b.N {
				s = open(b)
				storetest.Start(b, s)
				b.StopTimer()
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkMemory says how many bytes of Redis a session with one filter, a queued message and a retained one take.
func BenchmarkMemory(b *testing.B) {
	const n = 20_000
	server := newServer(b)
	used := func() int {
		n, err := strconv.Atoi(server.info("used_memory"))
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	for i := range b.N {
		s, _ := mustOpen(b, fmt.Sprintf("%s?prefix=m%d", server.address(), i), Options{})
		storetest.Start(b, s)
		start := used()
		all := sessions(b, s, n)
		after := used()
		b.ReportMetric(float64(after-start)/n, "B/session")
		start = after
		fill(s, all[:1000], 10*n, 1)
		after = used()
		b.ReportMetric(float64(after-start)/(10*n), "B/queued")
		for topics := 0; topics < n; {
			batch := new(store.Batch)
			for range 100 {
				batch.Retain(&session.Message{ID: s.NewMessageID(), Topic: fmt.Sprintf("device/%d/state", topics), Payload: make([]byte, 64), QoS: 1, Retain: true}, nil)
				topics++
			}
			s.Commit(batch)
			storetest.WaitFor(batch)
		}
		b.ReportMetric(float64(used()-after)/n, "B/retained")
		if err := s.Sync(context.Background()); err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
