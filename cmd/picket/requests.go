package main

import (
	"slices"
	"sync"

	"picket/broker"
	"picket/process"
)

// requests are what signals have asked of the broker and it has not done yet.
type requests struct {
	signals *process.Signals
	wake    chan struct{} // has an element when there is something to do

	mu     sync.Mutex
	due    []process.Request // each at most once
	broker *broker.Broker    // nil until it runs
}

// watchRequests begins to take requests.
func watchRequests() *requests {
	r := &requests{wake: make(chan struct{}, 1)}
	r.signals = process.Watch(r.take)
	return r
}

// take notes a request. From now on CONNECT waits for a reload: it takes effect before the next connection.
func (r *requests) take(what process.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.due, what) {
		r.due = append(r.due, what)
	}
	if what == process.Reload && r.broker != nil {
		r.broker.Expect()
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// serve says which broker the requests are for.
func (r *requests) serve(b *broker.Broker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broker = b
	if slices.Contains(r.due, process.Reload) {
		b.Expect()
	}
}

// all returns what is due, to be done now.
func (r *requests) all() []process.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	due := r.due
	r.due = nil
	return due
}
