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
	Measured    float64        `json:"measured_seconds"`

	// Of the time that was measured.
	SentPerSecond     float64  `json:"sent_per_second,omitempty"`
	ReceivedPerSecond float64  `json:"received_per_second,omitempty"`
	ConnectsPerSecond float64  `json:"connects_per_second,omitempty"`
	Latency           *Latency `json:"latency,omitempty"`
	Acknowledged      *Latency `json:"acknowledged,omitempty"` // a sample of the times until PUBACK or PUBCOMP

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
}

// Usage is what the broker has taken of its machine.
type Usage struct {
	PID           int     `json:"pid"`
	CPUSeconds    float64 `json:"cpu_seconds"`               // while measured
	CPUPerMillion float64 `json:"cpu_per_million,omitempty"` // seconds for a million deliveries, connections, or with Offline messages sent
	RSS           int64   `json:"rss_bytes"`                 // in the end, with everything connected
	PerConnection float64 `json:"bytes_per_connection"`      // Idle: how much RSS has grown, by connection
}

// WriteText writes the result for people.
func (res *Result) WriteText(w io.Writer) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	switch res.Scenario {
	case Idle:
		line("scenario", "%s: %d connections to %s", res.Scenario, res.Connections, res.Address)
	case Connects:
		line("scenario", "%s: %d at a time to %s", res.Scenario, res.Connections, res.Address)
		line("connects", "%s/s in %.1f s", si(res.ConnectsPerSecond), res.Measured)
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
	if u := res.Broker; u != nil {
		switch res.Scenario {
		case Idle:
			line("memory", "%.0f bytes per connection (%.1f MiB in all)", u.PerConnection, float64(u.RSS)/(1<<20))
			line("processor", "%.2f s while idle for %.1f s", u.CPUSeconds, res.Measured)
		default:
			line("processor", "%.2f s: %.3f s per million; memory %.1f MiB", u.CPUSeconds, u.CPUPerMillion, float64(u.RSS)/(1<<20))
		}
	}
	if res.GeneratorCPU > 0 {
		line("generator", "%.2f of a core", res.GeneratorCPU)
	}
	_, err := io.WriteString(w, b.String())
	return err
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
