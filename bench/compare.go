package bench

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"picket/packet"
)

// Contender is one of the brokers to compare.
type Contender struct {
	Name string
	// Command starts the broker in the foreground; the shell runs it. {conf} is replaced by the path of a mosquitto.conf,
	// {port} by the port to listen on, {dir} by a directory for what it writes.
	Command string
	// Config is added to the mosquitto.conf; {dir} is replaced in it, too.
	Config string
}

// Row is one line of the comparison: a load, and what of its result counts.
type Row struct {
	Name    string
	Config  Config
	Metrics []Metric
	Restart bool // the broker is ended in the end, and started again with what it has kept
}

// Metric is a figure of a result.
type Metric struct {
	Name string `json:"name"`
	Unit string `json:"unit"`
	// LowerIsBetter turns the ratio around.
	LowerIsBetter bool `json:"lower_is_better"`
	value         func(*Result) (float64, bool)
}

// The metrics.
var (
	throughput = Metric{Name: "throughput", Unit: "deliveries/s", value: func(r *Result) (float64, bool) { return r.ReceivedPerSecond, true }}
	processor  = Metric{Name: "processor", Unit: "CPU s per million", LowerIsBetter: true, value: func(r *Result) (float64, bool) {
		if r.Broker == nil {
			return 0, false
		}
		return r.Broker.CPUPerMillion, r.Broker.CPUPerMillion > 0
	}}
	memory = Metric{Name: "memory", Unit: "bytes per connection", LowerIsBetter: true, value: func(r *Result) (float64, bool) {
		if r.Broker == nil {
			return 0, false
		}
		return r.Broker.PerConnection, true
	}}
	sending  = Metric{Name: "throughput", Unit: "messages/s", value: func(r *Result) (float64, bool) { return r.SentPerSecond, true }}
	answered = Metric{Name: "acknowledgement", Unit: "acknowledged: p99 in ms", LowerIsBetter: true, value: func(r *Result) (float64, bool) {
		if r.Acknowledged == nil {
			return 0, false
		}
		return round(float64(r.Acknowledged.P99)/1e6, 2), true
	}}
	delivered = Metric{Name: "delivery", Unit: "delivered: p99 in ms", LowerIsBetter: true, value: func(r *Result) (float64, bool) {
		if r.Latency == nil {
			return 0, false
		}
		return round(float64(r.Latency.P99)/1e6, 2), true
	}}
	accepted = Metric{Name: "connects", Unit: "connections/s", value: func(r *Result) (float64, bool) { return r.ConnectsPerSecond, true }}
)

// compareBacklog is how many deliveries are on their way at most: enough to keep every broker busy, and few enough for none
// of them to drop any.
const compareBacklog = 1 << 16

// Rows are the loads of the comparison.
func Rows() []Row {
	var rows []Row
	add := func(name string, c Config, m ...Metric) { rows = append(rows, Row{Name: name, Config: c, Metrics: m}) }
	for _, s := range []Scenario{Pair, FanIn, FanOut} {
		for qos := range byte(3) {
			add(fmt.Sprintf("%s QoS %d", s, qos), Config{Scenario: s, QoS: qos}, throughput, processor)
		}
	}
	add("pair QoS 0, 64 KiB", Config{Scenario: Pair, Size: 64 << 10, Backlog: 64}, throughput, processor)
	add("pair QoS 1, 64 KiB", Config{Scenario: Pair, QoS: 1, Size: 64 << 10, Backlog: 64}, throughput, processor)
	for qos := range byte(3) {
		add(fmt.Sprintf("pair QoS %d, 1,000 topics", qos), Config{Scenario: Pair, QoS: qos, Topics: 1000}, throughput, processor)
	}
	add("idle connection", Config{Scenario: Idle, Connections: 8000}, memory)
	add("connects", Config{Scenario: Connects}, accepted, processor)
	return rows
}

// StorageRows are the loads that show what it costs to keep messages: to sessions that survive, whose clients are away or connected. p99 is
// taken at a rate that every broker keeps up with, and throughput without one, from one publisher and from fifty.
func StorageRows() []Row {
	var rows []Row
	for _, sessions := range []Sessions{Offline, Persistent} {
		for qos := byte(1); qos <= 2; qos++ {
			add := func(name string, c Config, m ...Metric) {
				c.Scenario, c.QoS, c.Sessions, c.Drain = Pair, qos, sessions, time.Minute
				rows = append(rows, Row{Name: fmt.Sprintf("QoS %d, %s, %s", qos, sessions, name), Config: c, Metrics: m})
			}
			add("1 publisher", Config{}, sending, processor)
			add("50 publishers", Config{Publishers: 50, Window: 100}, sending, processor)
			latencies := []Metric{answered}
			if sessions == Persistent {
				latencies = append(latencies, delivered)
			}
			add("1,000 messages/s", Config{Publishers: 10, Rate: 1000}, latencies...)
		}
	}
	return rows
}

// CompareConfig says what to compare.
type CompareConfig struct {
	Contenders []Contender // the others are compared with the first
	Rows       []Row       // nil: all of Rows
	Rounds     int         // default 3; the median of the rounds counts
	Warmup     time.Duration
	Duration   time.Duration  // of each load; default 3 s
	Version    packet.Version // default packet.V311
	Size       int            // payload of the rows that do not say; default as Config
	Dir        string         // where the brokers' directories are made; must exist
	// Step, when set, is told what comes next.
	Step func(round, rounds int, row, contender string)
	// Failed, when set, is told of a run that has failed. The comparison goes on without it.
	Failed func(row, contender string, err error)
}

// Comparison is the outcome.
type Comparison struct {
	When     time.Time `json:"when"`
	Machine  string    `json:"machine"`
	Rounds   int       `json:"rounds"`
	Duration float64   `json:"seconds_each"`
	// Interrupted says that the context ended first: what was measured until then counts.
	Interrupted bool          `json:"interrupted,omitempty"`
	Contenders  []string      `json:"contenders"`
	Rows        []ComparedRow `json:"rows"`
}

// ComparedRow is one metric of one row.
type ComparedRow struct {
	Name   string           `json:"name"`
	Metric Metric           `json:"metric"`
	Cells  map[string]*Cell `json:"cells"`
}

// Cell is one broker's part of a row.
type Cell struct {
	Median float64   `json:"median"`
	Values []float64 `json:"values"`          // by round
	Ratio  float64   `json:"ratio,omitempty"` // how many times better the first contender is; 0 if unknown
	Lost   float64   `json:"lost,omitempty"`  // largest share of expected deliveries that did not come
	Errors []string  `json:"errors,omitempty"`
}

// Compare runs every row against every contender in turn, round after round, each on a broker that has just been started. When ctx ends before the
// comparison does, the error is ctx's, and what was measured until then is returned with it.
func Compare(ctx context.Context, c CompareConfig) (*Comparison, error) {
	if len(c.Contenders) == 0 {
		return nil, fmt.Errorf("%w: no broker to compare", ErrConfig)
	}
	if c.Rows == nil {
		c.Rows = Rows()
	}
	if c.Rounds == 0 {
		c.Rounds = 3
	}
	if c.Duration == 0 {
		c.Duration = 3 * time.Second
	}
	out := newComparison(&c)
	for round := range c.Rounds {
		for i, row := range c.Rows {
			for _, who := range c.Contenders {
				if c.Step != nil {
					c.Step(round+1, c.Rounds, row.Name, who.Name)
				}
				res, err := c.runOne(ctx, row, who)
				if ctx.Err() != nil {
					out.Interrupted = true
					out.finish()
					return out, ctx.Err()
				}
				if err != nil && c.Failed != nil {
					c.Failed(row.Name, who.Name, err)
				}
				out.add(i, who.Name, res, err)
			}
		}
	}
	out.finish()
	return out, nil
}

// runOne starts a broker, runs a row against it and ends it.
func (c *CompareConfig) runOne(ctx context.Context, row Row, who Contender) (*Result, error) {
	config := row.Config
	config.Transport = cmp.Or(config.Transport, TCP)
	b, err := startBroker(ctx, who, c.Dir, config.Transport)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	config.Address, config.PID, config.Authorities, config.Leave = b.address, b.pid(), b.authorities, true
	config.Warmup, config.Duration, config.Version = c.Warmup, c.Duration, c.Version
	if config.Backlog == 0 && config.Sessions != Offline && config.Scenario != Retained {
		config.Backlog = compareBacklog
	}
	if config.Size == 0 {
		config.Size = c.Size
	}
	res, err := Run(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("%w%s", err, b.lastWords())
	}
	if row.Restart {
		took, err := b.restart(ctx, config)
		if err != nil {
			return nil, err
		}
		res.Restart = took.Seconds()
	}
	return res, nil
}

func newComparison(c *CompareConfig) *Comparison {
	out := &Comparison{
		When: time.Now().UTC().Truncate(time.Second), Rounds: c.Rounds, Duration: c.Duration.Seconds(),
		Machine: fmt.Sprintf("%s/%s, %d processors, shared with the load", runtime.GOOS, runtime.GOARCH, runtime.NumCPU()),
	}
	for _, who := range c.Contenders {
		out.Contenders = append(out.Contenders, who.Name)
	}
	for _, row := range c.Rows {
		for _, m := range row.Metrics {
			cells := map[string]*Cell{}
			for _, who := range out.Contenders {
				cells[who] = &Cell{}
			}
			out.Rows = append(out.Rows, ComparedRow{Name: row.Name, Metric: m, Cells: cells})
		}
	}
	return out
}

// add enters a result into all lines of a row's name.
func (out *Comparison) add(rowIndex int, who string, res *Result, err error) {
	at := 0
	for i := range out.Rows {
		if i > 0 && out.Rows[i].Name != out.Rows[i-1].Name {
			at++
		}
		if at != rowIndex {
			continue
		}
		cell := out.Rows[i].Cells[who]
		if err != nil {
			cell.Errors = append(cell.Errors, err.Error())
			continue
		}
		if v, ok := out.Rows[i].Metric.value(res); ok {
			cell.Values = append(cell.Values, v)
		}
		if res.Expected > 0 {
			cell.Lost = max(cell.Lost, round(float64(res.Lost)/float64(res.Expected), 4))
		}
	}
}

// finish works out medians and ratios.
func (out *Comparison) finish() {
	for _, row := range out.Rows {
		for _, cell := range row.Cells {
			cell.Median = median(cell.Values)
		}
		first := row.Cells[out.Contenders[0]].Median
		for _, who := range out.Contenders[1:] {
			cell := row.Cells[who]
			if first <= 0 || cell.Median <= 0 {
				continue
			}
			cell.Ratio = first / cell.Median
			if row.Metric.LowerIsBetter {
				cell.Ratio = cell.Median / first
			}
			cell.Ratio = round(cell.Ratio, 2)
		}
	}
}

// median of no values is 0.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
