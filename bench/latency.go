package bench

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency sums up how long messages took from when they were due to when a subscriber had read them; with Connects, how
// long a connection took from the first SYN to CONNACK. As Result.Acknowledged, how long it took from when a message was due to the end of its handshake.
type Latency struct {
	Count int64         `json:"count"` // with a rate every message, else a sample: the first of each read
	Mean  time.Duration `json:"mean_ns"`
	P50   time.Duration `json:"p50_ns"`
	P90   time.Duration `json:"p90_ns"`
	P99   time.Duration `json:"p99_ns"`
	P999  time.Duration `json:"p999_ns"`
	Max   time.Duration `json:"max_ns"`
}

// longestLatency is where the histogram ends; longer ones count as this long.
const longestLatency = 5 * time.Minute

// recorder is a histogram with three significant digits from a microsecond up, for any number of goroutines.
type recorder struct {
	mu   sync.Mutex
	hist *hdrhistogram.Histogram
}

func newRecorder() *recorder {
	return &recorder{hist: hdrhistogram.New(int64(time.Microsecond), int64(longestLatency), 3)}
}

func (r *recorder) record(all []time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range all {
		// The value is within the histogram's range, so there is no error.
		_ = r.hist.RecordValue(int64(min(max(d, 0), longestLatency)))
	}
}

func (r *recorder) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hist.Reset()
}

// summary is nil when nothing was recorded.
func (r *recorder) summary() *Latency {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hist.TotalCount() == 0 {
		return nil
	}
	at := func(q float64) time.Duration { return time.Duration(r.hist.ValueAtQuantile(q)) }
	return &Latency{
		Count: r.hist.TotalCount(), Mean: time.Duration(r.hist.Mean()),
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: time.Duration(r.hist.Max()),
	}
}
