package broker

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// Takeovers that follow one another closely make the next ones wait; a quiet time is forgiven, others are not concerned, and the memory is bounded.
func TestTakeovers(t *testing.T) {
	var all takeovers
	now := time.Unix(0, 0)
	for i := 1; i < 2*loopLimit; i++ {
		n, delay := all.count("a", now)
		if n != i || (delay > 0) != (i >= loopLimit) {
			t.Errorf("takeover %d: %d, %v", i, n, delay)
		}
		if _, delay := all.count(fmt.Sprint("other", i), now); delay > 0 {
			t.Error("another client has to wait")
		}
	}
	if n, delay := all.count("a", now.Add(loopWindow+1)); n != 1 || delay > 0 {
		t.Errorf("later: %d, %v", n, delay)
	}
	for i := range 3 * loopTable {
		all.count(fmt.Sprint(i), now)
	}
	if len(all.lately) > loopTable {
		t.Errorf("%d are remembered", len(all.lately))
	}
}

// A place is taken and given back once, whoever has it in the end, and at the limit answers are bounded by what a second has room for.
func TestRoom(t *testing.T) {
	var r room
	var peers atomic.Int64
	l := limits{peers: &peers, listener: 1, files: -1}
	var first, second, third slot
	r.arrive()
	if full, ok := r.enter(&first, l); !ok || peers.Load() != 1 {
		t.Fatal(full)
	}
	if full, ok := r.enter(&second, l); ok || full == "" {
		t.Fatal("one too many")
	}
	if !r.turn(&second, 1, 2) || !r.turn(&third, 1, 2) || r.turn(new(slot), 1, 2) {
		t.Error("two may stay to be told, and no more")
	}
	r.inherit(&second, &first)
	if r.has(&first) || !r.has(&second) || r.turned != 1 {
		t.Errorf("after the takeover: %+v, %+v, %d are turned away", first, second, r.turned)
	}
	for _, p := range []*slot{&first, &second, &third} {
		r.leave(p)
	}
	if n, unsaid := r.take(); n != 0 || unsaid != 1 || r.open != 0 || r.turned != 0 || peers.Load() != 0 {
		t.Errorf("%d connections, %d closed without a word, %d open, %d turned away, %d of the listener", n, unsaid, r.open, r.turned, peers.Load())
	}
	for range answersPerSecond - 2 {
		r.turn(new(slot), 1, 1<<20)
	}
	if r.turn(new(slot), 1, 1<<20) || !r.turn(new(slot), 2, 1<<20) {
		t.Error("the second is full, and the next one has room")
	}
}
