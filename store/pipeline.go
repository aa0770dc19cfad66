package store

import (
	"sync"
	"sync/atomic"
)

// Need says how soon what waits in a [Pipeline] is to be written.
type Need byte

// Needs, by rising urgency.
const (
	Nothing Need = iota
	Later        // nobody waits: within a fraction of a second, so that it takes part in somebody else's fsync
	Soon         // somebody waits, but it is likely to become unnecessary in a moment
	Now
)

// lazyMoment is how many ticks a batch is left that nobody waits for, while there are others that somebody waits for a moment for.
const lazyMoment = 10

// Pipeline is the way of the batches from [Store.Commit] to the medium, which every implementation of [Store] has: they wait, are taken
// in groups, and whoever waits for one is told when it is settled. It bounds the bytes that wait. One goroutine of the implementation takes and settles;
// all others commit.
type Pipeline struct {
	limit   int64
	wake    chan struct{}
	full    atomic.Bool
	skipped atomic.Uint64

	mu     sync.Mutex // taken after a session's
	queue  []*Batch   // committed, not taken
	told   []Waiter   // of batches that are settled, to be told so
	due    int        // how many batches of the queue are to be written now, as Need last found
	bytes  int64      // of everything committed and not settled
	ticks  int
	closed bool
}

// NewPipeline returns a pipeline that is full when more than limit bytes wait.
func NewPipeline(limit int64) *Pipeline {
	return &Pipeline{limit: limit, wake: make(chan struct{}, 1)}
}

func (p *Pipeline) Commit(b *Batch) (awaited bool) {
	b.pipeline.Store(p)
	if b.Empty() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	b.tick = p.ticks
	p.queue = append(p.queue, b)
	b.open = b.awaited.Load() > 0
	if p.bytes += b.bytes; p.bytes > p.limit {
		p.full.Store(true)
	}
	if b.urgent || len(p.queue) == 1 || p.bytes > p.limit/2 {
		p.signal()
	}
	return b.open
}

// settle notes that nothing in a batch has to be waited for any more. p.mu is held.
func (p *Pipeline) settle(b *Batch) {
	if b.open {
		b.open = false
		p.told = append(p.told, b.waiters...)
		b.waiters = nil
	}
}

func (p *Pipeline) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *Pipeline) Full() bool { return p.full.Load() }

// Wake is readable when Need may say something new, or Report has something to tell.
func (p *Pipeline) Wake() <-chan struct{} { return p.wake }

// Need says how soon a group is to be taken, and lets go of batches that have become empty. Now means that TakeDue has something to take: everything, if the pipeline is
// half full, or else the batches up to the last one that has had its moment, a number of ticks, or never gets one. Those behind it may still become unnecessary.
func (p *Pipeline) Need(moment int) Need {
	p.mu.Lock()
	defer p.mu.Unlock()
	need, due := Nothing, 0
	kept := p.queue[:0]
	for _, b := range p.queue {
		if b.Empty() {
			p.bytes -= b.bytes
			continue
		}
		kept = append(kept, b)
		switch {
		case b.urgent, b.awaited.Load() > 0 && p.ticks-b.tick >= moment, p.ticks-b.tick >= lazyMoment:
			need, due = Now, len(kept)
		case b.awaited.Load() == 0:
			need = max(need, Later)
		default:
			need = max(need, Soon)
		}
	}
	clear(p.queue[len(kept):])
	if p.queue = kept; len(kept) == 0 {
		p.queue = nil
	}
	if len(kept) > 0 && p.bytes > p.limit/2 {
		need, due = Now, len(kept)
	}
	p.due = due
	return need
}

// Tick says that a tick has passed, the measure of how long a batch waits for becoming unnecessary.
func (p *Pipeline) Tick() {
	p.mu.Lock()
	p.ticks++
	p.mu.Unlock()
}

// Hasten has everything that waits be due, whatever Need found.
func (p *Pipeline) Hasten() {
	p.mu.Lock()
	p.due = len(p.queue)
	p.mu.Unlock()
}

// Take takes batches off the queue, in order: all of them, or as many as have most bytes and at least one. What is in them is written from
// then on, even if it is removed.
func (p *Pipeline) Take(most int64) (group []*Batch) {
	p.Hasten()
	return p.TakeDue(most)
}

// TakeDue takes those of them that Need last found to be due.
func (p *Pipeline) TakeDue(most int64) (group []*Batch) {
	p.mu.Lock()
	var size int64
	n := 0
	for n < p.due && (n == 0 || size+p.queue[n].bytes <= most) {
		size += p.queue[n].bytes
		n++
	}
	p.due -= n
	group = p.queue[:n:n]
	if p.queue = p.queue[n:]; len(p.queue) == 0 {
		p.queue = nil
	}
	p.mu.Unlock()
	for _, b := range group {
		b.eachSession(func(s *Session, op *Op) {
			if op.Kind == Enqueue && op.state == waiting {
				op.state = taken
			}
		})
	}
	return group
}

// Done says that a batch that was taken, or never committed, is durable, or has been refused.
func (p *Pipeline) Done(b *Batch) {
	b.eachSession(func(s *Session, op *Op) { s.settled(op) })
	b.awaited.Store(0)
	if b.pipeline.Load() == nil {
		return
	}
	p.mu.Lock()
	p.bytes -= b.bytes
	p.settle(b)
	p.mu.Unlock()
}

// Report tells those who wait for batches that have been settled since the last call.
func (p *Pipeline) Report() {
	p.mu.Lock()
	told := p.told
	p.told = nil
	p.mu.Unlock()
	for _, w := range told {
		w.Settled()
	}
}

// Room reports whether the pipeline was full and has room again; it says so once.
func (p *Pipeline) Room() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes <= p.limit/2 && p.full.Swap(false)
}

// Close has everything that is committed from now on dropped.
func (p *Pipeline) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.signal()
}

// Stats fills in what the pipeline knows.
func (p *Pipeline) Stats(s *Stats) {
	s.Skipped = p.skipped.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Pending = p.bytes
}

// eachSession calls do with every operation that belongs to a session, whose mutex is held meanwhile. Operations of one session often follow one another.
func (b *Batch) eachSession(do func(s *Session, op *Op)) {
	var held *Session
	for _, slab := range b.slabs {
		for i := range slab {
			op := &slab[i]
			if op.Session == nil {
				continue
			}
			if op.Session != held {
				if held != nil {
					held.mu.Unlock()
				}
				held = op.Session
				held.mu.Lock()
			}
			do(held, op)
		}
	}
	if held != nil {
		held.mu.Unlock()
	}
}
