// Package feed hands what happens to somebody who looks on, and keeps no more of it than they may leave lying: whoever reads too slowly loses, and is told how much.
package feed

import (
	"context"
	"sync"
)

// Feed is a queue between those who report and one who reads. It lives from [New] to [Feed.Close], and takes bounded memory whatever is added. Safe for concurrent use.
type Feed[E any] struct {
	limit int
	ready chan struct{} // has a token while there is something to take

	mu     sync.Mutex
	all    []E
	size   int
	lost   int
	closed bool
}

// New makes a feed that holds at most limit bytes.
func New[E any](limit int) *Feed[E] {
	return &Feed[E]{limit: limit, ready: make(chan struct{}, 1)}
}

// Add puts e, which takes size bytes, at the end, or counts it as lost where there is no room. It does not wait.
func (f *Feed[E]) Add(e E, size int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return
	case f.lost > 0 || f.size+size > f.limit: // what follows a gap comes when the gap has been told
		f.lost++
	default:
		f.all = append(f.all, e)
		f.size += size
	}
	f.wake()
}

func (f *Feed[E]) wake() {
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

// Take waits until there is something, and returns all of it, and how many were lost behind that. open is false when the feed has been closed and is empty, or the
// context has ended.
func (f *Feed[E]) Take(ctx context.Context) (all []E, lost int, open bool) {
	for {
		select {
		case <-f.ready:
		case <-ctx.Done():
			return nil, 0, false
		}
		f.mu.Lock()
		all, lost = f.all, f.lost
		f.all, f.size, f.lost = nil, 0, 0
		closed := f.closed
		if closed {
			f.wake() // for the next call
		}
		f.mu.Unlock()
		if len(all) > 0 || lost > 0 || closed {
			return all, lost, len(all) > 0 || lost > 0
		}
	}
}

// Close ends the feed: nothing is added any more, and what is there can still be taken.
func (f *Feed[E]) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.wake()
}
