package admin

import (
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"

	"picket/broker"
	"picket/cause"
)

// metricsPrefix begins the name of every metric of the broker.
const metricsPrefix = "picket_"

// figureCollector makes metrics of the broker's table of figures, when Prometheus asks: nothing is counted twice, and a client costs nothing.
type figureCollector struct {
	broker *broker.Broker
	descs  map[*broker.Figure]*prometheus.Desc
}

func newFigureCollector(b *broker.Broker) *figureCollector {
	c := &figureCollector{b, make(map[*broker.Figure]*prometheus.Desc)}
	for _, f := range broker.Table() {
		if f.Name == "" {
			continue
		}
		var labels []string
		switch f.Label {
		case "":
		case "cause": // its stage says where on a client's way it shows
			labels = []string{"cause", "stage"}
		default:
			labels = []string{f.Label}
		}
		c.descs[f] = prometheus.NewDesc(metricsPrefix+f.Name, f.Help, labels, nil)
	}
	return c
}

func (c *figureCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

func (c *figureCollector) Collect(ch chan<- prometheus.Metric) {
	c.broker.Figures(func(f *broker.Figure, label string, value float64) {
		d, kind := c.descs[f], prometheus.GaugeValue
		if f.Total() {
			kind = prometheus.CounterValue
		}
		switch {
		case d == nil:
		case f.Label == "":
			ch <- prometheus.MustNewConstMetric(d, kind, value)
		case f.Label == "cause":
			about, _ := cause.Lookup(cause.ID(label))
			ch <- prometheus.MustNewConstMetric(d, kind, value, label, string(about.Stage))
		default:
			ch <- prometheus.MustNewConstMetric(d, kind, value, label)
		}
	})
}

// timingCollector makes histograms of what the broker times.
type timingCollector struct {
	timings []*broker.Timing
	descs   []*prometheus.Desc
}

func newTimingCollector(b *broker.Broker) *timingCollector {
	c := &timingCollector{timings: b.Timings()}
	for _, t := range c.timings {
		c.descs = append(c.descs, prometheus.NewDesc(metricsPrefix+t.Name, t.Help, nil, nil))
	}
	return c
}

func (c *timingCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

func (c *timingCollector) Collect(ch chan<- prometheus.Metric) {
	for i, t := range c.timings {
		atMost, count, sum := t.Read()
		ch <- prometheus.MustNewConstHistogram(c.descs[i], count, sum, atMost)
	}
}

// metricsHandler is what Prometheus reads.
func metricsHandler(b *broker.Broker, version string) http.Handler {
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: metricsPrefix + "build_info", Help: "1, with the version of what was built.",
		ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	r := prometheus.NewRegistry()
	r.MustRegister(newFigureCollector(b), newTimingCollector(b), build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{AcceptedFormats: textFormats(), MaxRequestsInFlight: 4, Timeout: 5 * time.Second})
}

// textFormats are what the metrics are shown as, best first: OpenMetrics and Prometheus' text. Who asks for protocol buffers, which this program does without
// (shim/protobuf), gets one of these.
func textFormats() []expfmt.Format {
	return slices.DeleteFunc(expfmt.DefaultOpenMetricsAcceptedFormats(), func(f expfmt.Format) bool {
		return f.FormatType() != expfmt.TypeOpenMetrics && f.FormatType() != expfmt.TypeTextPlain
	})
}
