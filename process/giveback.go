package process

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// GiveBack returns memory to the system that a burst has left behind, each time the process has become calm, until stop is called. Go's runtime does that, too,
// but over many minutes: it collects garbage when as much has been allocated again, or after two minutes, and returns pages slowly.
//
// It does nothing where the system does not tell what processor time the process takes (Windows).
func GiveBack() (stop func()) {
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		giveBack(over)
	}()
	return func() {
		close(over)
		<-ended
	}
}

func giveBack(over <-chan struct{}) {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	var c calm
	for start := time.Now(); ; {
		select {
		case <-over:
			return
		case <-every.C:
		}
		cpu, ok := processorTime()
		if !ok {
			return
		}
		if now := time.Since(start); c.look(now, cpu, readHeap()) {
			debug.FreeOSMemory()
			c.done(now, time.Since(start)-now)
		}
	}
}

// heap is what the memory of Go's heap is used for, in bytes.
type heap struct {
	objects int64 // all that has been allocated and not been collected
	live    int64 // what the last collection has found to be in use
	free    int64 // pages without objects that have not been returned to the system
}

// waste is how much may be returned at most: what has been allocated since the last collection may all be garbage.
func (h heap) waste() int64 { return max(0, h.objects-h.live) + h.free }

func readHeap() heap {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(s)
	return heap{objects: int64(s[0].Value.Uint64()), live: int64(s[1].Value.Uint64()), free: int64(s[2].Value.Uint64())}
}

// calm decides when memory is returned.
type calm struct {
	at, cpu time.Duration // of the last look
	quiet   int           // looks in a row that found the process calm
	rest    time.Duration // nothing is returned before
}

const (
	calmShare = 0.1 // of one processor: the process counts as calm below it
	calmLooks = 2   // so often in a row
	// leastWaste is what is worth a collection, if it is wasteShare of what is in use besides.
	leastWaste = 1 << 20
	wasteShare = 0.1
	// giveBackRest times what returning memory took is how long nothing is returned after it: with a large heap it takes seconds of processor time.
	giveBackRest = 50
)

// look takes the readings of a moment: the time since the start, the processor time of the process, and its heap. It tells whether memory should be returned.
func (c *calm) look(now, cpu time.Duration, h heap) bool {
	quiet := float64(cpu-c.cpu) < calmShare*float64(now-c.at)
	c.at, c.cpu = now, cpu
	if !quiet {
		c.quiet = 0
		return false
	}
	c.quiet++
	return c.quiet >= calmLooks && now >= c.rest && h.waste() >= max(leastWaste, int64(wasteShare*float64(h.objects)))
}

// done notes that memory was returned at a moment, which took so long.
func (c *calm) done(now, took time.Duration) {
	c.quiet = 0
	c.rest = now + took + giveBackRest*took
}
