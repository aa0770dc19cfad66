//go:build unix

package process

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// requestOf says what a signal asks for.
var requestOf = map[syscall.Signal]Request{syscall.SIGHUP: Reload, syscall.SIGUSR1: Save, syscall.SIGUSR2: Dump}

// Signals delivers what signals ask for.
//
// Between the sending of a signal and its arrival in a channel it waits for processors more than once, in the kernel and in Go's runtime; on a busy
// machine that takes milliseconds. [Signals.Poll] looks in both places.
type Signals struct {
	mu      sync.Mutex // held while signals are received and handed over
	take    func(Request)
	pending pending
	arrived chan os.Signal // what mu guards the receiving of
	probe   chan os.Signal // see Poll
	wake    chan os.Signal // the same signals: something has come or is about to
	done    chan struct{}
}

// Watch calls take for every request until Stop, one call at a time. take must be quick and must not call Poll or Stop.
func Watch(take func(Request)) *Signals {
	s := &Signals{take: take, arrived: make(chan os.Signal, 16), probe: make(chan os.Signal, 1), wake: make(chan os.Signal, 1), done: make(chan struct{})}
	s.pending.open()
	for of := range requestOf {
		signal.Notify(s.arrived, of)
		signal.Notify(s.wake, of)
	}
	go func() {
		defer close(s.done)
		for range s.wake {
			s.Poll()
		}
	}()
	return s
}

// Poll returns when take has been called for every signal that was sent before.
func (s *Signals) Poll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending.each(s.take)
	// Stop waits until the runtime has passed on all that it has received: that is what it keeps its promise by that its channel gets no more.
	signal.Notify(s.probe, syscall.SIGHUP)
	signal.Stop(s.probe)
	for {
		select {
		case of := <-s.arrived:
			s.take(requestOf[of.(syscall.Signal)])
		default:
			return
		}
	}
}

// Stop ends it.
func (s *Signals) Stop() {
	signal.Stop(s.wake)
	close(s.wake)
	<-s.done
	s.mu.Lock()
	defer s.mu.Unlock()
	signal.Stop(s.arrived)
	s.pending.close()
}
