package process

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

// Memory is returned once for each time that the process becomes calm with much to return, and not again until what that took is a small part of the time.
func TestWhenMemoryIsReturned(t *testing.T) {
	const mib = 1 << 20
	much, little := heap{objects: 100 * mib, live: 60 * mib, free: 10 * mib}, heap{objects: 100 * mib, live: 95 * mib}
	var c calm
	at, cpu := time.Duration(0), time.Duration(0)
	second := func(busy time.Duration, h heap) bool {
		at += time.Second
		cpu += busy
		return c.look(at, cpu, h)
	}
	for _, step := range []struct {
		busy time.Duration
		heap heap
		want bool
	}{
		{time.Second, much, false},
		{10 * time.Millisecond, much, false}, // calm for one look
		{10 * time.Millisecond, much, true},
		{10 * time.Millisecond, little, false},
		{10 * time.Millisecond, heap{objects: mib, live: mib, free: mib / 2}, false}, // not worth it
		{200 * time.Millisecond, much, false},                                        // busy again
		{10 * time.Millisecond, much, false},
		{10 * time.Millisecond, much, true},
	} {
		if got := second(step.busy, step.heap); got != step.want {
			t.Fatalf("%v, %+v: %v, want %v", step.busy, step.heap, got, step.want)
		}
	}
	c.done(at, 2*time.Second)
	calmFor := 0
	for !second(0, much) {
		calmFor++
	}
	if calmFor < 100 || calmFor > 105 {
		t.Errorf("returned again after %d seconds, though it had taken 2", calmFor)
	}
}

// What a burst has left behind goes back to the system when the process is calm.
func TestGiveBack(t *testing.T) {
	if _, ok := processorTime(); !ok {
		t.Skip("the system does not tell what processor time a process takes")
	}
	stop := GiveBack()
	defer stop()
	burst := make([][]byte, 64)
	for i := range burst {
		burst[i] = make([]byte, 1<<20)
	}
	before := released()
	runtime.KeepAlive(burst)
	for released()-before < 32<<20 {
		time.Sleep(10 * time.Millisecond)
	}
}

// released is how much of the heap the system has got back.
func released() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64())
}
