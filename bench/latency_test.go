package bench

import (
	"math"
	"testing"
	"time"
)

func TestRecorder(t *testing.T) {
	r := newRecorder()
	if s := r.summary(); s != nil {
		t.Fatalf("summary of nothing: %+v", s)
	}
	for i := 1; i <= 10_000; i++ {
		r.record([]time.Duration{time.Duration(i) * 100 * time.Microsecond})
	}
	s := r.summary()
	if s.Count != 10_000 {
		t.Fatalf("%d recorded", s.Count)
	}
	for _, c := range []struct {
		name      string
		got, want time.Duration
	}{
		{"mean", s.Mean, 500 * time.Millisecond}, {"p50", s.P50, 500 * time.Millisecond}, {"p90", s.P90, 900 * time.Millisecond},
		{"p99", s.P99, 990 * time.Millisecond}, {"p99.9", s.P999, 999 * time.Millisecond}, {"max", s.Max, time.Second},
	} {
		if off := math.Abs(float64(c.got-c.want)) / float64(c.want); off > 0.002 {
			t.Errorf("%s is %v, want %v to three digits", c.name, c.got, c.want)
		}
	}
	r.reset()
	r.record([]time.Duration{-time.Second, time.Hour})
	if s := r.summary(); s.Count != 2 || s.Max < longestLatency*999/1000 {
		t.Errorf("values beyond the range: %+v", s)
	}
}
