package sentinel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"

	"picket/cause"
	"picket/sentinel/machine"
)

// metrics are the figures for Prometheus. What is a state is read from the machine when it is asked for; what happens is counted here.
type metrics struct {
	registry  *prometheus.Registry
	events    *prometheus.CounterVec
	failovers *prometheus.CounterVec
	phases    *prometheus.HistogramVec
	downtime  prometheus.Histogram
	trips     *prometheus.HistogramVec
	saves     prometheus.Histogram
	saveFails prometheus.Counter
	server    *http.Server

	phase map[string]phase     // by master: where its failover is
	down  map[string]time.Time // by master: since when it is seen as down
}

type phase struct {
	name  string
	since time.Time
}

// seconds are the bounds of all histograms.
var seconds = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		events:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "picket_sentinel_events_total", Help: "Events by name and master."}, []string{"event", "master"}),
		failovers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "picket_sentinel_failovers_total", Help: "Failovers by master and result: completed, observed, not-elected, no-good-replica, timeout.",
		}, []string{"master", "result"}),
		phases: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "picket_sentinel_failover_phase_seconds",
			Help:    "Time in each phase of a failover: agree (that the master is down), wait (to stand for election), elect, select, promote, reconfigure.",
			Buckets: seconds,
		}, []string{"phase"}),
		downtime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "picket_sentinel_failover_seconds", Buckets: seconds,
			Help: "From the moment in which this sentinel saw a master as down to the one in which it had the new one, whoever led.",
		}),
		trips: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "picket_sentinel_ping_round_trip_seconds", Help: "From PING to its answer, by what is at the other end: master, replica, sentinel.",
			Buckets: seconds,
		}, []string{"peer"}),
		saves: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "picket_sentinel_config_write_seconds", Help: "Time to write and sync the configuration file.",
			Buckets: seconds,
		}),
		saveFails: prometheus.NewCounter(prometheus.CounterOpts{Name: "picket_sentinel_config_write_failures_total", Help: "Writes of the configuration file that failed."}),
		phase:     map[string]phase{}, down: map[string]time.Time{},
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), m.events, m.failovers, m.phases, m.downtime, m.trips, m.saves, m.saveFails)
	return m
}

// phaseOf names the phase that begins with an event. That of +sdown is about masters only.
var phaseOf = map[string]string{
	"+sdown": "agree", "+odown": "wait", "+try-failover": "elect", "+elected-leader": "select", "+selected-slave": "promote", "+promoted-slave": "reconfigure",
}

// resultOf names how a failover ended.
var resultOf = map[string]string{
	"+failover-end": "completed", "+config-update-from": "observed", "-failover-abort-not-elected": "not-elected",
	"-failover-abort-no-good-slave": "no-good-replica", "-failover-abort-slave-timeout": "timeout",
}

// label is a master's name as a label, which has to be UTF-8: other bytes are shown as \x and their number, in quotes.
func label(master string) string {
	if utf8.ValidString(master) {
		return master
	}
	return strconv.Quote(master)
}

func (m *metrics) event(e machine.Event) {
	e.Master = label(e.Master)
	m.events.WithLabelValues(e.Name, e.Master).Inc()
	result, ended := resultOf[e.Name]
	if ended {
		m.failovers.WithLabelValues(e.Master, result).Inc()
	}
	master := strings.HasPrefix(e.Payload, "master ")
	next, begins := phaseOf[e.Name]
	switch e.Name {
	case "+sdown":
		if !master {
			return
		}
		m.down[e.Master] = time.Now()
	case "-sdown", "-odown":
		if master { // what has begun does not come to its end
			delete(m.phase, e.Master)
		}
		if master && e.Name == "-sdown" {
			delete(m.down, e.Master)
		}
		return
	case "+switch-master":
		if since, ok := m.down[e.Master]; ok {
			m.downtime.Observe(time.Since(since).Seconds())
			delete(m.down, e.Master)
		}
	}
	if !ended && !begins {
		return
	}
	if p, ok := m.phase[e.Master]; ok {
		m.phases.WithLabelValues(p.name).Observe(time.Since(p.since).Seconds())
	}
	delete(m.phase, e.Master)
	if begins {
		m.phase[e.Master] = phase{next, time.Now()}
	}
}

func (m *metrics) forget(master string) {
	master = label(master)
	l := prometheus.Labels{"master": master}
	m.events.DeletePartialMatch(l)
	m.failovers.DeletePartialMatch(l)
	delete(m.phase, master)
	delete(m.down, master)
}

func (m *metrics) roundTrip(peer string, d time.Duration) {
	m.trips.WithLabelValues(peer).Observe(d.Seconds())
}

func (m *metrics) saved(d time.Duration, err error) {
	if err != nil {
		m.saveFails.Inc()
		return
	}
	m.saves.Observe(d.Seconds())
}

func (m *metrics) close() {
	if m.server != nil {
		_ = m.server.Close()
	}
}

// serveMetrics opens the page that Prometheus reads: /metrics on the address of picket-metrics.
func (s *Sentinel) serveMetrics() error {
	s.metrics.registry.MustRegister(&stateCollector{s})
	l, err := (&net.ListenConfig{}).Listen(s.ctx, "tcp", s.cfg.Metrics)
	if err != nil {
		return fmt.Errorf("picket-metrics %s: %w", s.cfg.Metrics, err)
	}
	s.log.printf(LogNotice, "Figures for Prometheus: http://%s/metrics", l.Addr())
	mux := http.NewServeMux()
	asText := promhttp.HandlerOpts{AcceptedFormats: []expfmt.Format{expfmt.NewFormat(expfmt.TypeTextPlain)}} // this program does without protocol buffers
	mux.Handle("/metrics", promhttp.HandlerFor(s.metrics.registry, asText))
	s.metrics.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, BaseContext: func(net.Listener) context.Context { return s.ctx }}
	s.wg.Go(func() {
		if err := s.metrics.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.printf(LogWarning, "picket-metrics: %v", err)
		}
	})
	return nil
}

// stateCollector reads the machine's state when Prometheus asks.
type stateCollector struct{ s *Sentinel }

var (
	descMasters  = prometheus.NewDesc("picket_sentinel_masters", "Masters that are watched.", nil, nil)
	descEpoch    = prometheus.NewDesc("picket_sentinel_epoch", "Current epoch.", nil, nil)
	descTilt     = prometheus.NewDesc("picket_sentinel_tilt", "1 in TILT.", nil, nil)
	descScripts  = prometheus.NewDesc("picket_sentinel_scripts", "Scripts by state: running, waiting.", []string{"state"}, nil)
	descStatus   = prometheus.NewDesc("picket_sentinel_master_status", "1 for the status that a master has: ok, sdown, odown.", []string{"master", "status"}, nil)
	descFailover = prometheus.NewDesc("picket_sentinel_master_failover_state", "1 for the state that a master's failover is in; none: no failover.", []string{"master", "state"}, nil)
	descReplicas = prometheus.NewDesc("picket_sentinel_master_replicas", "Replicas of a master.", []string{"master"}, nil)
	descKnown    = prometheus.NewDesc("picket_sentinel_master_sentinels", "Sentinels of a master, with this one: known, usable.", []string{"master", "state"}, nil)
	descQuorum   = prometheus.NewDesc("picket_sentinel_master_quorum_ok", "1 if quorum and majority can be reached.", []string{"master"}, nil)
	descConfig   = prometheus.NewDesc("picket_sentinel_master_config_epoch", "Epoch of a master's configuration.", []string{"master"}, nil)
	descCause    = prometheus.NewDesc("picket_sentinel_master_cause", "1 for each cause that holds a failover of the master back, or would.", []string{"master", "cause"}, nil)
	descLost     = prometheus.NewDesc("picket_sentinel_master_disconnected", "Instances of a master that a connection is missing to.", []string{"master"}, nil)
)

func (*stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descMasters, descEpoch, descTilt, descScripts, descStatus, descFailover, descReplicas, descKnown, descQuorum, descConfig, descCause, descLost} {
		ch <- d
	}
}

func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	var o machine.Overview
	gates := map[string][]machine.Gate{}
	c.s.call(func() {
		o = c.s.m.Overview()
		for _, m := range o.Masters {
			gates[m.Name] = c.s.m.Gates(m.Name)
		}
	})
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	is := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	gauge(descMasters, float64(len(o.Masters)))
	gauge(descEpoch, float64(o.Epoch))
	gauge(descTilt, is(o.Tilt))
	gauge(descScripts, float64(o.Running), "running")
	gauge(descScripts, float64(o.Queued-o.Running), "waiting")
	for _, m := range o.Masters {
		gates := gates[m.Name]
		m.Name = label(m.Name)
		for _, st := range []string{"ok", "sdown", "odown"} {
			gauge(descStatus, is(m.Status == st), m.Name, st)
		}
		gauge(descFailover, 1, m.Name, m.State)
		gauge(descReplicas, float64(m.Replicas), m.Name)
		gauge(descKnown, float64(m.Sentinels), m.Name, "known")
		gauge(descKnown, float64(m.Usable), m.Name, "usable")
		gauge(descQuorum, is(m.Usable >= m.Quorum && m.Usable >= m.Majority), m.Name)
		gauge(descConfig, float64(m.ConfigEpoch), m.Name)
		held := map[cause.ID]bool{}
		for _, g := range gates {
			if !held[g.ID] {
				held[g.ID] = true
				gauge(descCause, 1, m.Name, string(g.ID))
			}
		}
		gauge(descLost, float64(m.Disconnected), m.Name)
	}
}
