package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"picket/bench"
	"picket/packet"
)

// benchCommand is "picket bench".
type benchCommand struct {
	Pair     benchPair     `cmd:"" help:"Each publisher sends to a subscriber of its own."`
	FanIn    benchFanIn    `cmd:"" help:"Many publishers, one subscriber."`
	FanOut   benchFanOut   `cmd:"" help:"One publisher, many subscribers."`
	Idle     benchIdle     `cmd:"" help:"Connections that do nothing: the broker's memory for each."`
	Connects benchConnects `cmd:"" help:"Connections per second."`
	Compare  benchCompare  `cmd:"" help:"Several brokers side by side, as a table."`
}

func (benchCommand) Help() string {
	return `Examples:
  picket bench pair --qos 1
  picket bench fan-out --subscribers 200 --rate 1000 --broker 192.168.1.5:1883
  picket bench idle --connections 10000`
}

// benchTarget is what all loads have in common.
type benchTarget struct {
	Broker   string        `default:"localhost:1883" placeholder:"HOST:PORT" help:"Broker to load (default ${default})."`
	Protocol string        `short:"V" default:"mqttv311" enum:"mqttv31,mqttv311,mqttv5,31,311,5" help:"Protocol version: mqttv31, mqttv311 (default) or mqttv5."`
	Username string        `short:"u" help:"User name."`
	Password string        `short:"P" env:"PICKET_PASSWORD" help:"Password; better in the environment as PICKET_PASSWORD."`
	Warmup   time.Duration `default:"1s" help:"Time before anything is measured (default ${default})."`
	Duration time.Duration `short:"d" default:"5s" help:"Time that is measured (default ${default})."`
	PID      int           `name:"pid" help:"Process of the broker, for processor time and memory (default: found by its port on this machine)."`
	JSON     bool          `name:"json" help:"Print the result as JSON."`
}

func (t *benchTarget) config(s bench.Scenario) bench.Config {
	return bench.Config{
		Scenario: s, Address: t.Broker, Version: protocolVersion(t.Protocol), Username: t.Username, Password: t.Password,
		Warmup: t.Warmup, Duration: t.Duration, PID: t.PID,
	}
}

// protocolVersion reads the value of -V, which kong has checked.
func protocolVersion(s string) packet.Version {
	switch strings.TrimPrefix(s, "mqttv") {
	case "31":
		return packet.V31
	case "5":
		return packet.V5
	default:
		return packet.V311
	}
}

// run runs a load with progress on the terminal and prints its result.
func (t *benchTarget) run(e *env, c bench.Config) error {
	line := newStatusLine(e.stderr)
	c.Progress = func(p bench.Progress) {
		switch c.Scenario {
		case bench.Idle:
			line.show("%4.0fs %s: %d open", p.Elapsed.Seconds(), p.Phase, p.Open)
		case bench.Connects:
			line.show("%4.0fs %s: %.0f/s", p.Elapsed.Seconds(), p.Phase, p.Received)
		default:
			line.show("%4.0fs %s: %.0f/s sent, %.0f/s received", p.Elapsed.Seconds(), p.Phase, p.Sent, p.Received)
		}
	}
	res, err := bench.Run(e.ctx, c)
	line.clear()
	if err != nil {
		return benchError(err)
	}
	if t.JSON {
		return writeJSON(e.stdout, res)
	}
	return res.WriteText(e.stdout)
}

// benchError makes a usage error of what the command line is to blame for.
func benchError(err error) error {
	text := strings.TrimPrefix(err.Error(), "bench: ")
	if errors.Is(err, bench.ErrConfig) {
		return &usageError{text: strings.TrimPrefix(text, "bad configuration: "), help: "picket bench --help"}
	}
	return err
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// benchMessages is a load of messages: pair, fan-in and fan-out.
type benchMessages struct {
	benchTarget
	Publishers  int           `short:"p" help:"Publishers (default 1; fan-in 50)."`
	Subscribers int           `short:"s" help:"Subscribers (default 1; fan-out 50; pair: as many as publishers)."`
	Topics      int           `short:"t" default:"1" help:"Topics of each publisher, used in turn (default ${default})."`
	QoS         byte          `name:"qos" short:"q" help:"QoS of messages and subscriptions: 0 (default), 1 or 2."`
	Size        int           `default:"64" help:"Bytes of payload; 16 and more allow latencies (default ${default})."`
	Rate        float64       `short:"r" help:"Messages per second of all publishers together (default: as many as go through)."`
	Window      int           `short:"w" default:"1000" help:"Messages in flight per publisher at QoS 1 and 2 (default ${default})."`
	Sessions    string        `default:"clean" enum:"clean,persistent,offline" help:"Subscribers' sessions: clean (default), persistent: they survive their connections, or offline: besides, their clients are away until everything has been published."`
	Backlog     int           `short:"b" help:"Without a rate: publishers wait while more deliveries than this are on their way (default: they never wait, and at QoS 0 brokers drop messages)."`
	Drain       time.Duration `default:"10s" help:"Longest wait for what is still on its way in the end (default ${default})."`
}

type (
	benchPair   struct{ benchMessages }
	benchFanIn  struct{ benchMessages }
	benchFanOut struct{ benchMessages }
)

func (b *benchPair) Run(e *env) error   { return b.load(e, bench.Pair) }
func (b *benchFanIn) Run(e *env) error  { return b.load(e, bench.FanIn) }
func (b *benchFanOut) Run(e *env) error { return b.load(e, bench.FanOut) }

// load runs one of them.
func (b *benchMessages) load(e *env, s bench.Scenario) error {
	c := b.config(s)
	c.Publishers, c.Subscribers, c.Topics = b.Publishers, b.Subscribers, b.Topics
	c.QoS, c.Size, c.Rate, c.Window, c.Backlog, c.Drain = b.QoS, b.Size, b.Rate, b.Window, b.Backlog, b.Drain
	c.Sessions = bench.Sessions(b.Sessions)
	return b.run(e, c)
}

// benchIdle is "picket bench idle".
type benchIdle struct {
	benchTarget
	Connections int `short:"c" default:"1000" help:"Connections to hold (default ${default})."`
}

func (b *benchIdle) Run(e *env) error {
	c := b.config(bench.Idle)
	c.Connections = b.Connections
	return b.run(e, c)
}

// benchConnects is "picket bench connects".
type benchConnects struct {
	benchTarget
	Connections int `short:"c" default:"50" help:"Connections to work on at a time (default ${default})."`
}

func (b *benchConnects) Run(e *env) error {
	c := b.config(bench.Connects)
	c.Connections = b.Connections
	return b.run(e, c)
}

// benchCompare is "picket bench compare".
type benchCompare struct {
	Broker   []string      `required:"" placeholder:"NAME=COMMAND" help:"Broker to start, once for each; the first is what the others are compared with. In COMMAND, {conf} stands for a mosquitto.conf that is made for the run, {port} for the port to listen on, {dir} for a directory to write to." sep:"none"`
	Config   []string      `placeholder:"NAME=LINES" help:"Lines for the configuration of the broker NAME, with semicolons between them and {dir} as in COMMAND." sep:"none"`
	Storage  bool          `help:"Compare what it costs to keep messages for sessions that survive, in place of the usual loads."`
	Rounds   int           `default:"3" help:"Rounds; the medians count (default ${default})."`
	Only     string        `help:"Only the loads whose name contains this, such as 'pair' or 'QoS 1'."`
	Protocol string        `short:"V" default:"mqttv311" enum:"mqttv31,mqttv311,mqttv5,31,311,5" help:"Protocol version: mqttv31, mqttv311 (default) or mqttv5."`
	Size     int           `default:"64" help:"Bytes of payload where the load does not say (default ${default})."`
	Warmup   time.Duration `default:"1s" help:"Time of each load before anything is measured (default ${default})."`
	Duration time.Duration `short:"d" default:"3s" help:"Time of each load that is measured (default ${default})."`
	JSON     string        `name:"json" placeholder:"FILE" help:"Write the figures of all rounds to FILE as JSON."`
}

func (benchCompare) Help() string {
	return `Starts each broker on a port of its own, load after load and round after round in turn, and prints a table in Markdown.

Examples:
  picket bench compare --broker 'picket=picket serve -c {conf}' --broker 'mosquitto=mosquitto -c {conf}'
  picket bench compare --storage --broker 'picket=picket serve -c {conf}' --config 'picket=persistence true; persistence_location {dir}'
  picket bench compare --only pair --rounds 5 --broker 'a=./old serve -c {conf}' --broker 'b=./new serve -c {conf}'`
}

func (b *benchCompare) Run(e *env) error {
	dir, err := os.MkdirTemp("", "picket-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	line := newStatusLine(e.stderr)
	c := bench.CompareConfig{
		Rounds: b.Rounds, Warmup: b.Warmup, Duration: b.Duration, Version: protocolVersion(b.Protocol), Size: b.Size, Dir: dir,
		Step: func(round, rounds int, row, contender string) {
			line.show("round %d of %d: %s: %s", round, rounds, row, contender)
		},
		Failed: func(row, contender string, err error) {
			line.clear()
			fmt.Fprintf(e.stderr, "%s: %s: %v\n", contender, row, err)
		},
	}
	rows := bench.Rows()
	if b.Storage {
		rows = bench.StorageRows()
	}
	for _, row := range rows {
		if strings.Contains(row.Name, b.Only) {
			c.Rows = append(c.Rows, row)
		}
	}
	if len(c.Rows) == 0 {
		return &usageError{text: fmt.Sprintf("--only %q names no load; they are called %s", b.Only, rowNames(rows)), help: "picket bench compare --help"}
	}
	if c.Contenders, err = b.contenders(); err != nil {
		return err
	}
	out, err := bench.Compare(e.ctx, c)
	line.clear()
	if out == nil {
		return benchError(err)
	}
	if b.JSON != "" {
		if err := writeJSONFile(b.JSON, out); err != nil {
			return err
		}
	}
	if err := out.WriteMarkdown(e.stdout); err != nil {
		return err
	}
	return err // the comparison was interrupted, or nil
}

// contenders reads --broker and --config.
func (b *benchCompare) contenders() (all []bench.Contender, err error) {
	for _, arg := range b.Broker {
		name, command, ok := strings.Cut(arg, "=")
		if !ok || name == "" || command == "" {
			return nil, &usageError{text: fmt.Sprintf("--broker %q: expected NAME=COMMAND", arg), help: "picket bench compare --help"}
		}
		all = append(all, bench.Contender{Name: name, Command: command})
	}
	for _, arg := range b.Config {
		name, lines, ok := strings.Cut(arg, "=")
		i := slices.IndexFunc(all, func(who bench.Contender) bool { return who.Name == name })
		if !ok || i < 0 {
			return nil, &usageError{text: fmt.Sprintf("--config %q: expected NAME=LINES with the NAME of a --broker", arg), help: "picket bench compare --help"}
		}
		for line := range strings.SplitSeq(lines, ";") {
			all[i].Config += strings.TrimSpace(line) + "\n"
		}
	}
	return all, nil
}

func rowNames(rows []bench.Row) string {
	var names []string
	for _, row := range rows {
		names = append(names, fmt.Sprintf("%q", row.Name))
	}
	return strings.Join(names, ", ")
}

func writeJSONFile(name string, v any) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := writeJSON(f, v); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// statusLine is a line of the terminal that is written over and over. Where stderr is no terminal there is none.
type statusLine struct {
	w     io.Writer
	shown bool
}

func newStatusLine(w io.Writer) *statusLine {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &statusLine{w: w}
	}
	return &statusLine{}
}

func (s *statusLine) show(format string, args ...any) {
	if s.w == nil {
		return
	}
	s.shown = true
	fmt.Fprintf(s.w, "\r\x1b[K"+format, args...)
}

func (s *statusLine) clear() {
	if s.shown {
		s.shown = false
		fmt.Fprint(s.w, "\r\x1b[K")
	}
}
