package broker

import (
	"sync"

	"picket/store"
)

// promise is what other nodes have to do before an acknowledgement may be given. nil stands for nothing.
type promise struct {
	mu      sync.Mutex
	left    int // what has to be done still
	err     error
	waiters []store.Waiter
}

// settled tells whether all of it has been done, or never will be.
func (p *promise) settled() bool {
	if p == nil {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.left == 0
}

// await has w told once when it is settled, and reports whether that will happen, as [store.Batch.Await] does.
func (p *promise) await(w store.Waiter) bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left > 0 {
		p.waiters = append(p.waiters, w)
	}
	return p.left > 0
}

// refusal is why it will never be done.
func (p *promise) refusal() error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// expect adds something that has to be done.
func (p *promise) expect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left++
}

// done notes that a part of it has been done, or will never be.
func (p *promise) done(err error) {
	p.mu.Lock()
	if err != nil {
		p.err = err
	}
	p.left--
	var waiters []store.Waiter
	if p.left == 0 {
		waiters, p.waiters = p.waiters, nil
	}
	p.mu.Unlock()
	for _, w := range waiters {
		w.Settled()
	}
}
