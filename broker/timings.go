package broker

import (
	"sync/atomic"
	"time"
)

// TimingBounds are the upper bounds of all [Timing]s, in seconds: the same as those of a sentinel, so that panels compare.
var TimingBounds = [...]float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// Timing is how long something took since the broker's start, as a histogram. Observing it takes no lock.
type Timing struct {
	Name string // the metric's, without its prefix
	Help string

	buckets [len(TimingBounds) + 1]atomic.Uint64 // not cumulative; the last one is for what took longer
	sum     atomic.Int64                         // nanoseconds
}

func (t *Timing) observe(d time.Duration) {
	i := 0
	for s := d.Seconds(); i < len(TimingBounds) && s > TimingBounds[i]; {
		i++
	}
	t.buckets[i].Add(1)
	t.sum.Add(int64(d))
}

// Read returns how many observations were at most each bound, how many there were in all, and their sum in seconds.
func (t *Timing) Read() (atMost map[float64]uint64, count uint64, sum float64) {
	atMost = make(map[float64]uint64, len(TimingBounds))
	for i := range t.buckets {
		if count += t.buckets[i].Load(); i < len(TimingBounds) {
			atMost[TimingBounds[i]] = count
		}
	}
	return atMost, count, time.Duration(t.sum.Load()).Seconds()
}

// timings are what the broker times. What happens for every message is timed for one in a few only.
type timings struct {
	connect, login, delivery, commit Timing
}

func (t *timings) init() {
	t.connect.Name, t.connect.Help = "connect_seconds", "From the connection to CONNACK, of clients that are let in."
	t.login.Name, t.login.Help = "login_seconds", "Checking a password, with the wait for its turn."
	t.delivery.Name, t.delivery.Help = "delivery_seconds", "From a PUBLISH that was read until all receivers that can take it were written to; one batch in 64."
	t.commit.Name, t.commit.Help = "store_commit_seconds", "From a batch that was handed to the store until it was settled; one in 16."
}

// Timings lists what the broker times.
func (b *Broker) Timings() []*Timing {
	t := &b.timings
	return []*Timing{&t.connect, &t.login, &t.delivery, &t.commit}
}

const (
	timedDelivery = 64 // one batch in so many is timed
	timedCommit   = 16 // one commit in so many
)

// timeDelivery begins to time a batch, if it is its turn.
func (w *worker) timeDelivery() {
	if w.began.IsZero() {
		if w.untimed++; w.untimed%timedDelivery == 1 {
			w.began = time.Now()
		}
	}
}

// timed notes how long the batch took, if it is timed. All that it produced has been written.
func (w *worker) timed() {
	if !w.began.IsZero() {
		w.b.timings.delivery.observe(time.Since(w.began))
		w.began = time.Time{}
	}
}

// commitTimer is told when a batch is settled.
type commitTimer struct {
	timing *Timing
	at     time.Time
}

func (c *commitTimer) Settled() { c.timing.observe(time.Since(c.at)) }
