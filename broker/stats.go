package broker

import (
	"sync"
	"sync/atomic"

	"picket/cause"
)

// counts are what a worker has counted since its last batch: plain numbers on the hot path.
type counts struct {
	packetsIn, packetsOut uint64
	bytesIn, bytesOut     uint64
	publishIn, publishOut uint64
	payloadIn, payloadOut uint64
	dropped               uint64
}

// stats are the broker's totals since its start.
type stats struct {
	packetsIn, packetsOut atomic.Uint64
	bytesIn, bytesOut     atomic.Uint64
	publishIn, publishOut atomic.Uint64
	payloadIn, payloadOut atomic.Uint64
	dropped               atomic.Uint64 // messages dropped by limits of queues and output
	sockets               atomic.Uint64
	connects              atomic.Uint64
	expired               atomic.Uint64

	mu     sync.Mutex
	causes map[cause.ID]uint64 // everything that was refused, dropped or closed, by cause
}

// publishCounts adds the worker's counts to the broker's.
func (w *worker) publishCounts() {
	n, s := &w.count, &w.b.stats
	for _, p := range [...]struct {
		to   *atomic.Uint64
		from uint64
	}{
		{&s.packetsIn, n.packetsIn}, {&s.packetsOut, n.packetsOut}, {&s.bytesIn, n.bytesIn}, {&s.bytesOut, n.bytesOut},
		{&s.publishIn, n.publishIn}, {&s.publishOut, n.publishOut}, {&s.payloadIn, n.payloadIn}, {&s.payloadOut, n.payloadOut},
		{&s.dropped, n.dropped},
	} {
		if p.from != 0 {
			p.to.Add(p.from)
		}
	}
	*n = counts{}
}

// drop counts n refusals, drops or closings under their cause.
func (s *stats) drop(id cause.ID, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.causes == nil {
		s.causes = make(map[cause.ID]uint64)
	}
	s.causes[id] += uint64(n)
}

// Causes returns how often the broker refused, dropped or closed something, by cause.
func (b *Broker) Causes() map[cause.ID]uint64 {
	b.stats.mu.Lock()
	defer b.stats.mu.Unlock()
	m := make(map[cause.ID]uint64, len(b.stats.causes))
	for id, n := range b.stats.causes {
		m[id] = n
	}
	return m
}
