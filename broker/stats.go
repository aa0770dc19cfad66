package broker

import "sync/atomic"

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
	sessionsMost          most // sessions there were at once
	heapMost              most // bytes of the heap

	causes tally // everything that was refused, dropped or closed
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
