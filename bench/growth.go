package bench

import "fmt"

// More metrics, of what grows.
var (
	first     = Metric{Name: "first", Unit: "first of a topic/s", value: func(r *Result) (float64, bool) { return r.FirstPerSecond, true }}
	replaced  = Metric{Name: "replaced", Unit: "replaced/s", value: func(r *Result) (float64, bool) { return r.SentPerSecond, true }}
	connected = Metric{Name: "making", Unit: "CPU µs per connection", LowerIsBetter: true, value: ofBroker(func(u *Usage) float64 { return u.CPUPerMillionConnects })}
	filters   = Metric{Name: "subscribes", Unit: "filters/s", value: func(r *Result) (float64, bool) { return r.SubscribesPerSecond, true }}
	filterCPU = Metric{Name: "subscribing", Unit: "CPU µs per filter", LowerIsBetter: true, value: ofBroker(func(u *Usage) float64 { return u.CPUPerMillionFilters })}
	perFilter = Metric{Name: "filter", Unit: "bytes per filter", LowerIsBetter: true, value: ofBroker(func(u *Usage) float64 { return u.PerFilter })}
	perTopic  = Metric{Name: "topic", Unit: "bytes per topic", LowerIsBetter: true, value: ofBroker(func(u *Usage) float64 { return u.PerTopic })}
	each      = Metric{Name: "each", Unit: "CPU µs each", LowerIsBetter: true, value: ofBroker(func(u *Usage) float64 { return u.CPUPerMillion })}
	restarted = Metric{Name: "start", Unit: "start to first CONNACK, ms", LowerIsBetter: true, value: func(r *Result) (float64, bool) {
		return round(r.Restart*1e3, 1), r.Restart > 0
	}}
)

// ofBroker is a metric's value that is one of the broker's figures.
func ofBroker(figure func(*Usage) float64) func(*Result) (float64, bool) {
	return func(r *Result) (float64, bool) {
		if r.Broker == nil {
			return 0, false
		}
		v := figure(r.Broker)
		return v, v > 0
	}
}

// GrowthRows are the loads that show how cost grows: with topics, subscriptions, sessions and payloads, and what connections of each transport take.
func GrowthRows() []Row {
	var rows []Row
	add := func(name string, c Config, m ...Metric) { rows = append(rows, Row{Name: name, Config: c, Metrics: m}) }
	for _, n := range []int{1, 10_000, 100_000, 1_000_000} {
		m := []Metric{replaced, each, perTopic}
		if n > 1 {
			m = append(m, first)
		}
		add(fmt.Sprintf("retained, %d topics", n), Config{Scenario: Retained, QoS: 1, Topics: n}, m...)
	}
	rows = append(rows, Row{Name: "sessions, 100000 offline", Restart: true, Metrics: []Metric{accepted, connected, memory, restarted},
		Config: Config{Scenario: Idle, QoS: 1, Sessions: Offline, Connections: 100_000, Filters: 100_000}})
	for _, t := range []Transport{TCP, TLS, WebSocket, SecureWebSocket} {
		add("idle, "+string(t), Config{Scenario: Idle, Transport: t, Connections: 5000}, memory, connected)
		add("handshakes, "+string(t), Config{Scenario: Connects, Transport: t, Connections: 16}, accepted, each)
	}
	add("idle, one filter each", Config{Scenario: Idle, Connections: 10_000, Filters: 10_000}, memory)
	add("connects, sessions that survive", Config{Scenario: Connects, Sessions: Persistent}, accepted, each)
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		add(fmt.Sprintf("subscribing, %d filters", n), Config{Scenario: Idle, Connections: 1000, Filters: n}, filters, filterCPU, perFilter)
	}
	for _, topics := range []int{1000, 200_000} {
		for _, n := range []int{0, 100_000, 1_000_000} {
			add(fmt.Sprintf("fan-in, %d topics, %d filters", topics, n), Config{Scenario: FanIn, Publishers: 1, Topics: topics, Filters: n, Size: 16}, throughput, each)
		}
	}
	for _, s := range []Sessions{Clean, Persistent, Offline} {
		m := []Metric{each, answered}
		add(fmt.Sprintf("20 pairs QoS 1 at 5000/s, %s", s), Config{Scenario: Pair, Publishers: 20, QoS: 1, Rate: 5000, Sessions: s}, m...)
	}
	for _, s := range []Sessions{Persistent, Offline} {
		add(fmt.Sprintf("20 pairs QoS 1, %s", s), Config{Scenario: Pair, Publishers: 20, QoS: 1, Window: 100, Sessions: s}, sending, each)
	}
	add("4 pairs QoS 0, 64 KiB", Config{Scenario: Pair, Publishers: 4, Size: 64 << 10, Backlog: 128}, throughput, each)
	add("4 pairs QoS 0, 1 MiB", Config{Scenario: Pair, Publishers: 4, Size: 1 << 20, Backlog: 64}, throughput, each)
	return rows
}
