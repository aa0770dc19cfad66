package local

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"picket/session"
	"picket/store"
	"picket/store/storetest"
)

// shelf is the retained messages of a store as the broker has them.
type shelf struct {
	t   *testing.T
	s   *Store
	top map[string]*session.Message
}

func (h *shelf) commit(b *store.Batch) {
	h.t.Helper()
	h.s.Commit(b)
	if err := h.s.Sync(context.Background()); err != nil {
		h.t.Fatal(err)
	}
}

// put replaces the retained message of a topic; a length below 0 removes it.
func (h *shelf) put(b *store.Batch, topic string, length int, expires int64) {
	old := h.top[topic]
	if length >= 0 {
		m := &session.Message{ID: h.s.NewMessageID(), Topic: topic, Payload: make([]byte, length), QoS: 1, Retain: true, Expires: expires}
		b.Retain(m, old)
		h.top[topic] = m
		return
	}
	if old != nil {
		b.Unretain(old)
		delete(h.top, topic)
	}
}

// Replacing retained messages reads nothing of what they replace, however many topics there are: neither of what was written since the start nor of what was there then.
// Pebble may be merging tables meanwhile, which looks at each block once, of which there are some twenty; reading what is replaced takes one or two for each topic.
func TestRetainedMessagesAreReplacedWithoutReading(t *testing.T) {
	const topics = 500
	fs := vfs.NewMem()
	s, _ := start(t, fs, "store", Options{})
	h := &shelf{t, s, make(map[string]*session.Message)}
	replace := func() {
		b := new(store.Batch)
		for i := range topics {
			h.put(b, fmt.Sprintf("plant/%d", i), 20+600*(i%2), int64(i%3)*1e9)
		}
		h.commit(b)
	}
	unread := func(name string) {
		t.Helper()
		before := s.engine.db.Metrics().BlockCache
		replace()
		if after := s.engine.db.Metrics().BlockCache; after.Hits+after.Misses-before.Hits-before.Misses >= topics {
			t.Errorf("%s: %d blocks were looked at for %d topics", name, after.Hits+after.Misses-before.Hits-before.Misses, topics)
		}
	}
	unread("topics that are new")
	if err := s.engine.db.Flush(); err != nil {
		t.Fatal(err)
	}
	unread("topics of this life")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var r *storetest.Recorder
	s, r = start(t, fs, "store", Options{})
	defer s.Close()
	h.s = s
	for topic := range h.top {
		if h.top[topic] = r.Messages()[topic]; h.top[topic] == nil {
			t.Fatalf("%s is not there after a start", topic)
		}
	}
	unread("topics of the life before")
}

// What a store counts of its retained messages is what a start finds, whatever has been replaced by what: short and long ones, those that expire, in one group or
// in several, of this life and of those before.
func TestRetainedMessagesAreCountedAsTheyAre(t *testing.T) {
	fs := vfs.NewMem()
	s, _ := start(t, fs, "store", Options{})
	h := &shelf{t, s, make(map[string]*session.Message)}
	random := rand.New(rand.NewPCG(1, 2))
	for life := range 6 {
		for range 40 {
			b := new(store.Batch)
			for range 1 + random.IntN(4) {
				h.put(b, fmt.Sprint(random.IntN(12)), []int{-1, 0, 50, 250, 700, 5000}[random.IntN(6)], int64(random.IntN(2))*2e9)
			}
			h.commit(b)
		}
		live, bodies := s.Stats().Live, s.Stats().Bodies
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		verify(t, cloneable{fs}, "store")
		var r *storetest.Recorder
		s, r = start(t, fs, "store", Options{})
		h.s = s
		if len(r.Messages()) != len(h.top) {
			t.Fatalf("life %d: %d retained messages, want %d", life, len(r.Messages()), len(h.top))
		}
		for topic, m := range h.top {
			got := r.Messages()[topic]
			if got == nil || len(got.Payload) != len(m.Payload) {
				t.Fatalf("life %d: %s: %v", life, topic, got)
			}
			h.top[topic] = got
		}
		if st := s.Stats(); st.Bodies != bodies || st.Live > live+int64(bodies)*100 || st.Live < live-int64(bodies)*100 {
			t.Errorf("life %d: %d bytes in %d messages apart; a start finds %d in %d", life, live, bodies, st.Live, st.Bodies)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkRetain replaces retained messages in turn, a thousand at a time on their way, as a publisher of QoS 1 has them.
func BenchmarkRetain(b *testing.B) {
	for _, topics := range []int{1, 10_000, 100_000} {
		b.Run(fmt.Sprint(topics), func(b *testing.B) {
			s, _ := start(b, vfs.Default, b.TempDir(), Options{piece: pieceDefault})
			defer s.Close()
			top := make([]*session.Message, topics)
			var under [1000]*store.Batch
			put := func(n int) {
				m := &session.Message{ID: s.NewMessageID(), Topic: fmt.Sprintf("r/%d/d/%d/v", n%topics%1000, n%topics), Payload: make([]byte, 64), QoS: 1, Retain: true, From: "sensor"}
				if before := under[n%len(under)]; before != nil {
					storetest.WaitFor(before)
				}
				batch := new(store.Batch)
				batch.Retain(m, top[n%topics])
				top[n%topics], under[n%len(under)] = m, batch
				s.Commit(batch)
			}
			for n := range topics {
				put(n)
			}
			b.ResetTimer()
			for n := range b.N {
				put(n)
			}
		})
	}
}
