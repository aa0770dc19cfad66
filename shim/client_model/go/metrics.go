// Package io_prometheus_client stands in for github.com/prometheus/client_model/go, through a replace directive in the repository's go.mod: the
// figures that the client of Prometheus collects, as plain structs without protocol buffers. The name is the original's.
//
// A field that is a nil pointer is not set. The getters may be called on nil, as those of the original.
package io_prometheus_client //nolint:revive // the original's name

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// MetricType is what a figure is.
type MetricType int32

// The types, with the numbers of the original.
const (
	MetricType_COUNTER MetricType = iota
	MetricType_GAUGE
	MetricType_SUMMARY
	MetricType_UNTYPED
	MetricType_HISTOGRAM
	MetricType_GAUGE_HISTOGRAM
)

// MetricType_value are the types by name.
var MetricType_value = map[string]int32{"COUNTER": 0, "GAUGE": 1, "SUMMARY": 2, "UNTYPED": 3, "HISTOGRAM": 4, "GAUGE_HISTOGRAM": 5}

// Enum makes a pointer to a copy of t.
func (t MetricType) Enum() *MetricType { return &t }

// String is the type's name; its number if it has none.
func (t MetricType) String() string {
	for name, n := range MetricType_value {
		if MetricType(n) == t {
			return name
		}
	}
	return fmt.Sprint(int32(t))
}

// of is what x points to; the zero value for nil.
func of[T any](x *T) T {
	if x == nil {
		return *new(T)
	}
	return *x
}

// LabelPair is a label's name and value.
type LabelPair struct {
	Name  *string
	Value *string
}

// GetName gives Name; the zero value if it is not set.
func (x *LabelPair) GetName() string { return of(of(x).Name) }

// GetValue gives Value; the zero value if it is not set.
func (x *LabelPair) GetValue() string { return of(of(x).Value) }

// Gauge is a figure that goes up and down.
type Gauge struct {
	Value *float64
}

// GetValue gives Value; the zero value if it is not set.
func (x *Gauge) GetValue() float64 { return of(of(x).Value) }

// Counter is a figure that only grows.
type Counter struct {
	Value            *float64
	Exemplar         *Exemplar
	CreatedTimestamp *timestamppb.Timestamp
}

// GetValue gives Value; the zero value if it is not set.
func (x *Counter) GetValue() float64 { return of(of(x).Value) }

// GetExemplar gives Exemplar; nil if it is not set.
func (x *Counter) GetExemplar() *Exemplar { return of(x).Exemplar }

// GetCreatedTimestamp gives CreatedTimestamp; nil if it is not set.
func (x *Counter) GetCreatedTimestamp() *timestamppb.Timestamp { return of(x).CreatedTimestamp }

// Quantile is a point of a summary.
type Quantile struct {
	Quantile *float64
	Value    *float64
}

// GetQuantile gives Quantile; the zero value if it is not set.
func (x *Quantile) GetQuantile() float64 { return of(of(x).Quantile) }

// GetValue gives Value; the zero value if it is not set.
func (x *Quantile) GetValue() float64 { return of(of(x).Value) }

// Summary is count, sum and quantiles of what was observed.
type Summary struct {
	SampleCount      *uint64
	SampleSum        *float64
	Quantile         []*Quantile
	CreatedTimestamp *timestamppb.Timestamp
}

// GetSampleCount gives SampleCount; the zero value if it is not set.
func (x *Summary) GetSampleCount() uint64 { return of(of(x).SampleCount) }

// GetSampleSum gives SampleSum; the zero value if it is not set.
func (x *Summary) GetSampleSum() float64 { return of(of(x).SampleSum) }

// GetQuantile gives Quantile; nil if it is not set.
func (x *Summary) GetQuantile() []*Quantile { return of(x).Quantile }

// GetCreatedTimestamp gives CreatedTimestamp; nil if it is not set.
func (x *Summary) GetCreatedTimestamp() *timestamppb.Timestamp { return of(x).CreatedTimestamp }

// Untyped is a figure of which no more is known.
type Untyped struct {
	Value *float64
}

// GetValue gives Value; the zero value if it is not set.
func (x *Untyped) GetValue() float64 { return of(of(x).Value) }

// Histogram is count and sum of what was observed, by buckets; those after CreatedTimestamp are of native histograms.
type Histogram struct {
	SampleCount      *uint64
	SampleCountFloat *float64
	SampleSum        *float64
	Bucket           []*Bucket
	CreatedTimestamp *timestamppb.Timestamp
	Schema           *int32
	ZeroThreshold    *float64
	ZeroCount        *uint64
	ZeroCountFloat   *float64
	NegativeSpan     []*BucketSpan
	NegativeDelta    []int64
	NegativeCount    []float64
	PositiveSpan     []*BucketSpan
	PositiveDelta    []int64
	PositiveCount    []float64
	Exemplars        []*Exemplar
}

// GetSampleCount gives SampleCount; the zero value if it is not set.
func (x *Histogram) GetSampleCount() uint64 { return of(of(x).SampleCount) }

// GetSampleCountFloat gives SampleCountFloat; the zero value if it is not set.
func (x *Histogram) GetSampleCountFloat() float64 { return of(of(x).SampleCountFloat) }

// GetSampleSum gives SampleSum; the zero value if it is not set.
func (x *Histogram) GetSampleSum() float64 { return of(of(x).SampleSum) }

// GetBucket gives Bucket; nil if it is not set.
func (x *Histogram) GetBucket() []*Bucket { return of(x).Bucket }

// GetCreatedTimestamp gives CreatedTimestamp; nil if it is not set.
func (x *Histogram) GetCreatedTimestamp() *timestamppb.Timestamp { return of(x).CreatedTimestamp }

// GetSchema gives Schema; the zero value if it is not set.
func (x *Histogram) GetSchema() int32 { return of(of(x).Schema) }

// GetZeroThreshold gives ZeroThreshold; the zero value if it is not set.
func (x *Histogram) GetZeroThreshold() float64 { return of(of(x).ZeroThreshold) }

// GetZeroCount gives ZeroCount; the zero value if it is not set.
func (x *Histogram) GetZeroCount() uint64 { return of(of(x).ZeroCount) }

// GetZeroCountFloat gives ZeroCountFloat; the zero value if it is not set.
func (x *Histogram) GetZeroCountFloat() float64 { return of(of(x).ZeroCountFloat) }

// GetNegativeSpan gives NegativeSpan; nil if it is not set.
func (x *Histogram) GetNegativeSpan() []*BucketSpan { return of(x).NegativeSpan }

// GetNegativeDelta gives NegativeDelta; nil if it is not set.
func (x *Histogram) GetNegativeDelta() []int64 { return of(x).NegativeDelta }

// GetNegativeCount gives NegativeCount; nil if it is not set.
func (x *Histogram) GetNegativeCount() []float64 { return of(x).NegativeCount }

// GetPositiveSpan gives PositiveSpan; nil if it is not set.
func (x *Histogram) GetPositiveSpan() []*BucketSpan { return of(x).PositiveSpan }

// GetPositiveDelta gives PositiveDelta; nil if it is not set.
func (x *Histogram) GetPositiveDelta() []int64 { return of(x).PositiveDelta }

// GetPositiveCount gives PositiveCount; nil if it is not set.
func (x *Histogram) GetPositiveCount() []float64 { return of(x).PositiveCount }

// GetExemplars gives Exemplars; nil if it is not set.
func (x *Histogram) GetExemplars() []*Exemplar { return of(x).Exemplars }

// Bucket is how many observations were at most UpperBound.
type Bucket struct {
	CumulativeCount      *uint64
	CumulativeCountFloat *float64
	UpperBound           *float64
	Exemplar             *Exemplar
}

// GetCumulativeCount gives CumulativeCount; the zero value if it is not set.
func (x *Bucket) GetCumulativeCount() uint64 { return of(of(x).CumulativeCount) }

// GetCumulativeCountFloat gives CumulativeCountFloat; the zero value if it is not set.
func (x *Bucket) GetCumulativeCountFloat() float64 { return of(of(x).CumulativeCountFloat) }

// GetUpperBound gives UpperBound; the zero value if it is not set.
func (x *Bucket) GetUpperBound() float64 { return of(of(x).UpperBound) }

// GetExemplar gives Exemplar; nil if it is not set.
func (x *Bucket) GetExemplar() *Exemplar { return of(x).Exemplar }

// BucketSpan is a run of buckets of a native histogram.
type BucketSpan struct {
	Offset *int32
	Length *uint32
}

// GetOffset gives Offset; the zero value if it is not set.
func (x *BucketSpan) GetOffset() int32 { return of(of(x).Offset) }

// GetLength gives Length; the zero value if it is not set.
func (x *BucketSpan) GetLength() uint32 { return of(of(x).Length) }

// Exemplar is an observation as an example.
type Exemplar struct {
	Label     []*LabelPair
	Value     *float64
	Timestamp *timestamppb.Timestamp
}

// GetLabel gives Label; nil if it is not set.
func (x *Exemplar) GetLabel() []*LabelPair { return of(x).Label }

// GetValue gives Value; the zero value if it is not set.
func (x *Exemplar) GetValue() float64 { return of(of(x).Value) }

// GetTimestamp gives Timestamp; nil if it is not set.
func (x *Exemplar) GetTimestamp() *timestamppb.Timestamp { return of(x).Timestamp }

// Metric is one figure with its labels; one of Gauge, Counter, Summary, Untyped and Histogram is set.
type Metric struct {
	Label       []*LabelPair
	Gauge       *Gauge
	Counter     *Counter
	Summary     *Summary
	Untyped     *Untyped
	Histogram   *Histogram
	TimestampMs *int64
}

// GetLabel gives Label; nil if it is not set.
func (x *Metric) GetLabel() []*LabelPair { return of(x).Label }

// GetGauge gives Gauge; nil if it is not set.
func (x *Metric) GetGauge() *Gauge { return of(x).Gauge }

// GetCounter gives Counter; nil if it is not set.
func (x *Metric) GetCounter() *Counter { return of(x).Counter }

// GetSummary gives Summary; nil if it is not set.
func (x *Metric) GetSummary() *Summary { return of(x).Summary }

// GetUntyped gives Untyped; nil if it is not set.
func (x *Metric) GetUntyped() *Untyped { return of(x).Untyped }

// GetHistogram gives Histogram; nil if it is not set.
func (x *Metric) GetHistogram() *Histogram { return of(x).Histogram }

// GetTimestampMs gives TimestampMs; the zero value if it is not set.
func (x *Metric) GetTimestampMs() int64 { return of(of(x).TimestampMs) }

// MetricFamily is all figures of one name.
type MetricFamily struct {
	Name   *string
	Help   *string
	Type   *MetricType
	Metric []*Metric
	Unit   *string
}

// GetName gives Name; the zero value if it is not set.
func (x *MetricFamily) GetName() string { return of(of(x).Name) }

// GetHelp gives Help; the zero value if it is not set.
func (x *MetricFamily) GetHelp() string { return of(of(x).Help) }

// GetType gives Type; the zero value if it is not set.
func (x *MetricFamily) GetType() MetricType { return of(of(x).Type) }

// GetMetric gives Metric; nil if it is not set.
func (x *MetricFamily) GetMetric() []*Metric { return of(x).Metric }

// GetUnit gives Unit; the zero value if it is not set.
func (x *MetricFamily) GetUnit() string { return of(of(x).Unit) }

// ProtoMessage marks what the original can encode.
func (*MetricFamily) ProtoMessage() {}

// String is the family's name, for errors.
func (x *MetricFamily) String() string { return fmt.Sprintf("name:%q", x.GetName()) }

// String is the figure with its labels, for errors.
func (x *Metric) String() string {
	var b strings.Builder
	for _, l := range x.GetLabel() {
		fmt.Fprintf(&b, "label:{name:%q value:%q} ", l.GetName(), l.GetValue())
	}
	switch m := of(x); {
	case m.Gauge != nil:
		fmt.Fprintf(&b, "gauge:{value:%v}", m.Gauge.GetValue())
	case m.Counter != nil:
		fmt.Fprintf(&b, "counter:{value:%v}", m.Counter.GetValue())
	case m.Untyped != nil:
		fmt.Fprintf(&b, "untyped:{value:%v}", m.Untyped.GetValue())
	case m.Summary != nil:
		fmt.Fprintf(&b, "summary:{sample_count:%d sample_sum:%v}", m.Summary.GetSampleCount(), m.Summary.GetSampleSum())
	case m.Histogram != nil:
		fmt.Fprintf(&b, "histogram:{sample_count:%d sample_sum:%v}", m.Histogram.GetSampleCount(), m.Histogram.GetSampleSum())
	}
	return b.String()
}
