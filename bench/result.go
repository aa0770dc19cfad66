package bench

import (
	"fmt"
	"io"
	"strings"
	"time"

	"picket/packet"
)

// Result is what a run has shown. Times are in seconds in JSON unless the name says otherwise.
type Result struct {
	Scenario    Scenario       `json:"scenario"`
	Address     string         `json:"address"`
	Version     packet.Version `json:"version"`
	Publishers  int            `json:"publishers,omitempty"`
	Subscribers int            `json:"subscribers,omitempty"`
	Topics      int            `json:"topics,omitempty"`
	QoS         byte           `json:"qos"`
	Size        int            `json:"size,omitempty"`
	Rate        float64        `json:"rate,omitempty"`
	Window      int            `json:"window,omitempty"`
	Backlog     int            `json:"backlog,omitempty"`
	Connections int            `json:"connections,omitempty"`
	Sessions    Sessions       `json:"sessions,omitempty"`
	Transport   Transport      `json:"transport,omitempty"`
	Filters     int            `json:"filters,omitempty"`
	Measured    float64        `json:"measured_seconds"`

	// Of the time that was measured.
	SentPerSecond       float64  `json:"sent_per_second,omitempty"`
	ReceivedPerSecond   float64  `json:"received_per_second,omitempty"`
	ConnectsPerSecond   float64  `json:"connects_per_second,omitempty"`
	SubscribesPerSecond float64  `json:"subscribes_per_second,omitempty"` // Idle: filters
	FirstPerSecond      float64  `json:"first_per_second,omitempty"`      // Retained: messages on topics that had none
	Restart             float64  `json:"restart_seconds,omitempty"`       // of a comparison: from the broker's start with what it has kept to the first CONNACK
	Latency             *Latency `json:"latency,omitempty"`
	Acknowledged        *Latency `json:"acknowledged,omitempty"` // a sample of the times until PUBACK or PUBCOMP

	// Of the whole run, warm-up and end included.
	Sent      uint64 `json:"sent,omitempty"`
	Expected  uint64 `json:"expected,omitempty"` // deliveries that should have come of Sent
	Received  uint64 `json:"received,omitempty"`
	Lost      int64  `json:"lost"`                // Expected - Received; negative for duplicates
	Refused   uint64 `json:"refused,omitempty"`   // messages that the broker acknowledged with an error
	Unsettled int64  `json:"unsettled,omitempty"` // messages without an acknowledgement when the wait for it ended

	// Of the broker's process, nil when it cannot be looked at.
	Broker *Usage `json:"broker,omitempty"`
	// Processor seconds of this program per second measured: how much of the machine the load itself has taken.
	GeneratorCPU float64 `json:"generator_cpu,omitempty"`

	firstCPU float64 // of the broker for a million first messages of topics
}

// Usage is what the broker has taken of its machine.
type Usage struct {
	PID           int     `json:"pid"`
	CPUSeconds    float64 `json:"cpu_seconds"`                // while measured
	CPUPerMillion float64 `json:"cpu_per_million,omitempty"`  // seconds for a million deliveries, connections, or with Offline messages sent
	RSS           int64   `json:"rss_bytes"`                  // in the end, with everything connected
	PerConnection float64 `json:"bytes_per_connection"`       // Idle: how much RSS has grown, by connection
	PerFilter     float64 `json:"bytes_per_filter,omitempty"` // Idle with Filters: how much RSS has grown while they were subscribed to, by filter
	PerTopic      float64 `json:"bytes_per_topic,omitempty"`  // Retained: how much RSS has grown, by topic
	// Seconds for a million, while they were made.
	CPUPerMillionConnects float64 `json:"cpu_per_million_connects,omitempty"` // Idle
	CPUPerMillionFilters  float64 `json:"cpu_per_million_filters,omitempty"`  // Idle with Filters
	CPUPerMillionFirst    float64 `json:"cpu_per_million_first,omitempty"`    // Retained
}

// WriteText writes the result for people.
func (res *Result) WriteText(w io.Writer) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	switch res.Scenario {
	case Idle:
		line("scenario", "%s: %d connections over %s with %d filters to %s, %s sessions", res.Scenario, res.Connections, res.Transport, res.Filters, res.Address, res.Sessions)
		line("connects", "%s/s", si(res.ConnectsPerSecond))
		if res.SubscribesPerSecond > 0 {
			line("subscribes", "%s filters/s", si(res.SubscribesPerSecond))
		}
	case Connects:
		line("scenario", "%s: %d at a time over %s to %s, %s sessions", res.Scenario, res.Connections, res.Transport, res.Address, res.Sessions)
		line("connects", "%s/s in %.1f s", si(res.ConnectsPerSecond), res.Measured)
	case Retained:
		line("scenario", "%s: %d publishers, %d topics each, QoS %d, %d bytes, to %s", res.Scenario, res.Publishers, res.Topics, res.QoS, res.Size, res.Address)
		line("first", "%s/s on topics that had none", si(res.FirstPerSecond))
		line("replaced", "%s/s in %.1f s", si(res.SentPerSecond), res.Measured)
	default:
		line("scenario", "%s: %d publishers, %d subscribers, %d topics each, QoS %d, %d bytes, %s sessions, to %s", res.Scenario, res.Publishers, res.Subscribers, res.Topics, res.QoS, res.Size, res.Sessions, res.Address)
		line("sent", "%s/s in %.1f s", si(res.SentPerSecond), res.Measured)
		line("received", "%s/s", si(res.ReceivedPerSecond))
		line("in all", "%d sent, %d to receive, %d received, %d lost", res.Sent, res.Expected, res.Received, res.Lost)
		if res.Refused > 0 {
			line("refused", "%d", res.Refused)
		}
		if res.Unsettled > 0 {
			line("unsettled", "%d sent without an acknowledgement", res.Unsettled)
		}
	}
	for _, l := range []struct {
		name string
		*Latency
	}{{"latency", res.Latency}, {"acknowledged", res.Acknowledged}} {
		if l.Latency != nil {
			line(l.name, "p50 %s  p90 %s  p99 %s  p99.9 %s  max %s", short3(l.P50), short3(l.P90), short3(l.P99), short3(l.P999), short3(l.Max))
		}
	}
	if res.Broker != nil {
		res.writeUsage(line)
	}
	if res.GeneratorCPU > 0 {
		line("generator", "%.2f of a core", res.GeneratorCPU)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeUsage writes what the broker has taken.
func (res *Result) writeUsage(line func(name, format string, args ...any)) {
	u := res.Broker
	switch res.Scenario {
	case Idle:
		line("memory", "%.0f bytes per connection (%.1f MiB in all)", u.PerConnection, float64(u.RSS)/(1<<20))
		line("making", "%.1f s of processor per million connections", u.CPUPerMillionConnects)
		if res.SubscribesPerSecond > 0 {
			line("filters", "%.0f bytes and %.2f µs of processor each", u.PerFilter, u.CPUPerMillionFilters)
		}
		line("processor", "%.2f s while idle for %.1f s", u.CPUSeconds, res.Measured)
	case Retained:
		line("memory", "%.0f bytes per topic (%.1f MiB in all)", u.PerTopic, float64(u.RSS)/(1<<20))
		line("processor", "%.2f µs for the first of a topic, %.2f µs to replace it", u.CPUPerMillionFirst, u.CPUPerMillion)
	default:
		line("processor", "%.2f s: %.3f s per million; memory %.1f MiB", u.CPUSeconds, u.CPUPerMillion, float64(u.RSS)/(1<<20))
	}
}

// si writes a number with a unit of thousands.
func si(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2fM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.1fk", v/1e3)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}

// short3 rounds to three digits or so.
func short3(d time.Duration) string {
	unit := time.Microsecond
	for d >= 1000*unit {
		unit *= 10
	}
	return d.Round(unit / 10).String()
}
