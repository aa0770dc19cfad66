package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// backlog holds publishers back while more than limit deliveries are on their way. Without it, a broker that reads faster
// than it delivers fills its queues, and what is measured is how it drops messages.
type backlog struct {
	limit   int64
	run     *run
	waiting atomic.Int32 // publishers that wait
	lost    atomic.Int64 // deliveries that are not waited for any more
	mu      sync.Mutex
	cond    sync.Cond
}

// giveUp is how long nothing has to arrive until what is on its way counts as lost for the backlog.
const giveUp = time.Second

func newBacklog(r *run) *backlog {
	b := &backlog{limit: int64(r.config.Backlog), run: r}
	b.cond.L = &b.mu
	return b
}

// outstanding is how many deliveries are on their way.
func (b *backlog) outstanding() int64 {
	sent, received := b.run.counts()
	return int64(sent)*int64(b.run.config.deliveries()) - int64(received) - b.lost.Load()
}

// share is how many messages a publisher may send at a time so that all of them together stay near the limit.
func (b *backlog) share(want int) int {
	if b.limit == 0 {
		return want
	}
	c := &b.run.config
	return max(1, min(want, int(b.limit)/(2*c.Publishers*c.deliveries())))
}

// full tells whether publishers have to wait.
func (b *backlog) full() bool { return b.limit > 0 && b.outstanding() > b.limit }

// wait returns when there is room or the publishers are to stop.
func (b *backlog) wait() {
	if !b.full() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting.Add(1)
	defer b.waiting.Add(-1)
	for b.full() && !b.run.stop.Load() {
		b.cond.Wait()
	}
}

// received wakes publishers when there is room again. Subscribers call it after each read.
func (b *backlog) received() {
	if b.waiting.Load() > 0 && !b.full() {
		b.wake()
	}
}

func (b *backlog) wake() {
	b.mu.Lock()
	b.cond.Broadcast()
	b.mu.Unlock()
}

// watch gives up what does not arrive any more, until ctx ends.
func (b *backlog) watch(ctx context.Context) {
	tick := time.NewTicker(giveUp)
	defer tick.Stop()
	var before uint64
	for {
		select {
		case <-ctx.Done():
			b.wake()
			return
		case <-tick.C:
		}
		_, received := b.run.counts()
		if n := b.outstanding(); received == before && n > b.limit {
			b.lost.Add(n)
		}
		before = received
		// Besides, this ends the wait of a publisher that missed the last delivery's call.
		b.wake()
	}
}
