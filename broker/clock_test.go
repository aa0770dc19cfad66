package broker

import (
	"slices"
	"sync"
	"time"
)

// handClock is a clock that stands still until it is set. What the broker does each second it does not do then: tests call it.
type handClock struct {
	mu     sync.Mutex
	at     time.Time
	alarms []alarm
}

type alarm struct {
	at time.Time
	c  chan time.Time
}

func newHandClock() *handClock { return &handClock{at: time.Now()} }

func (h *handClock) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *handClock) after(d time.Duration) (<-chan time.Time, func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := alarm{h.at.Add(d), make(chan time.Time, 1)}
	if d <= 0 {
		a.c <- h.at
	} else {
		h.alarms = append(h.alarms, a)
	}
	return a.c, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.alarms = slices.DeleteFunc(h.alarms, func(one alarm) bool { return one.c == a.c })
	}
}

// jump sets the clock forward and wakes nobody: what goes on later sees another time.
func (h *handClock) jump(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

// pass sets the clock forward and wakes whoever has waited for that.
func (h *handClock) pass(d time.Duration) {
	h.jump(d)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.alarms = slices.DeleteFunc(h.alarms, func(a alarm) bool {
		if a.at.After(h.at) {
			return false
		}
		a.c <- h.at
		return true
	})
}
