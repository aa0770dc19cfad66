package main

import (
	"crypto/x509"
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
	"picket/cause"
	"picket/packet"
)

// benchCommand is "picket bench".
type benchCommand struct {
	Pair     benchPair     `cmd:"" help:"Each publisher sends to a subscriber of its own." zh:"每个发布者对应一个订阅者。"`
	FanIn    benchFanIn    `cmd:"" help:"Many publishers, one subscriber." zh:"多个发布者，一个订阅者。"`
	FanOut   benchFanOut   `cmd:"" help:"One publisher, many subscribers." zh:"一个发布者，多个订阅者。"`
	Retained benchRetained `cmd:"" help:"Retained messages, replaced in turn." zh:"轮流替换各主题的保留消息。"`
	Idle     benchIdle     `cmd:"" help:"Connections that do nothing: the broker's memory for each." zh:"只建立连接、不收发消息：测量每个连接占用服务端多少内存。"`
	Connects benchConnects `cmd:"" help:"Connections per second." zh:"测量每秒能建立多少个连接。"`
	Compare  benchCompare  `cmd:"" help:"Several brokers side by side, as a table." zh:"并列测试多个服务端，以表格输出结果。"`
}

func (benchCommand) details() details {
	return details{examples: `picket bench pair --qos 1
picket bench fan-out --subscribers 200 --rate 1000 --broker 192.168.1.5:1883
picket bench retained --qos 1 --topics 100000
picket bench idle --connections 10000 --transport ws
picket bench idle --connections 100000 --filters 100000 --sessions offline --qos 1`}
}

// benchTarget is what all loads have in common.
type benchTarget struct {
	Broker    string        `default:"localhost:1883" placeholder:"HOST:PORT" help:"Broker to load (default ${default})." zh:"被测服务端的地址（默认 ${default}）。"`
	Protocol  string        `short:"V" default:"mqttv311" enum:"mqttv31,mqttv311,mqttv5,31,311,5" help:"Protocol version: mqttv31, mqttv311 (default) or mqttv5." zh:"协议版本：mqttv31、mqttv311（默认）或 mqttv5。"`
	Username  string        `short:"u" help:"User name." zh:"用户名。"`
	Transport string        `default:"tcp" enum:"tcp,tls,ws,wss" help:"What MQTT is spoken over: tcp (default), tls, ws (WebSocket) or wss." zh:"MQTT 使用的传输方式：tcp（默认）、tls、ws（WebSocket）或 wss。"`
	CAFile    string        `name:"cafile" placeholder:"FILE" help:"PEM file of authorities to trust with tls and wss (default: those of the system)." zh:"使用 tls 和 wss 时信任的 CA 证书文件，PEM 格式（默认：系统信任的 CA）。"`
	Password  string        `short:"P" env:"PICKET_PASSWORD" help:"Password; better in the environment as PICKET_PASSWORD." zh:"密码；最好放在环境变量 PICKET_PASSWORD 中。"`
	Warmup    time.Duration `default:"1s" help:"Time before anything is measured (default ${default})." zh:"开始测量前的预热时间（默认 ${default}）。"`
	Duration  time.Duration `short:"d" default:"5s" help:"Time that is measured (default ${default})." zh:"测量时间（默认 ${default}）。"`
	PID       int           `name:"pid" help:"Process of the broker, for processor time and memory (default: found by its port on this machine)." zh:"服务端的进程号，用于统计处理器时间和内存（默认：按端口在本机查找）。"`
	JSON      bool          `name:"json" help:"Print the result as JSON." zh:"以 JSON 格式输出结果。"`
}

func (t *benchTarget) config(s bench.Scenario) bench.Config {
	return bench.Config{
		Scenario: s, Address: t.Broker, Version: protocolVersion(t.Protocol), Username: t.Username, Password: t.Password,
		Transport: bench.Transport(t.Transport), Warmup: t.Warmup, Duration: t.Duration, PID: t.PID,
	}
}

// authorities reads --cafile; nil without one.
func (t *benchTarget) authorities() (*x509.CertPool, error) {
	if t.CAFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, &usageError{text: fmt.Sprintf("--cafile %s: no certificate in PEM form is in there", t.CAFile), help: "picket bench --help"}
	}
	return pool, nil
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
func (t *benchTarget) run(e *env, c bench.Config) (err error) {
	if c.Authorities, err = t.authorities(); err != nil {
		return err
	}
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
	Publishers  int           `short:"p" help:"Publishers (default 1; fan-in 50)." zh:"发布者数量（默认 1；fan-in 为 50）。"`
	Subscribers int           `short:"s" help:"Subscribers (default 1; fan-out 50; pair: as many as publishers)." zh:"订阅者数量（默认 1；fan-out 为 50；pair 与发布者相同）。"`
	Topics      int           `short:"t" default:"1" help:"Topics of each publisher, used in turn (default ${default})." zh:"每个发布者轮流使用的主题数量（默认 ${default}）。"`
	QoS         byte          `name:"qos" short:"q" help:"QoS of messages and subscriptions: 0 (default), 1 or 2." zh:"消息和订阅的 QoS：0（默认）、1 或 2。"`
	Size        int           `default:"64" help:"Bytes of payload; 16 and more allow latencies (default ${default})." zh:"载荷字节数；不小于 16 时可测量延迟（默认 ${default}）。"`
	Rate        float64       `short:"r" help:"Messages per second of all publishers together (default: as many as go through)." zh:"所有发布者合计每秒发送的消息数（默认：能发多快就发多快）。"`
	Window      int           `short:"w" default:"1000" help:"Messages in flight per publisher at QoS 1 and 2 (default ${default})." zh:"QoS 1 和 2 时每个发布者的在途消息数（默认 ${default}）。"`
	Sessions    string        `default:"clean" enum:"clean,persistent,offline" help:"Subscribers' sessions: clean (default), persistent: they survive their connections, or offline: besides, their clients are away until everything has been published." zh:"订阅者的会话：clean（默认）；persistent：断开后会话仍保留；offline：会话保留，并且订阅者在全部消息发布完之前一直离线。"`
	Filters     int           `help:"Filters that others subscribe to, which match no message (default 0)." zh:"其他客户端订阅的过滤器数量，这些过滤器不匹配任何消息（默认 0）。"`
	Backlog     int           `short:"b" help:"Without a rate: publishers wait while more deliveries than this are on their way (default: they never wait, and at QoS 0 brokers drop messages)." zh:"不限速时，若尚未送达的消息超过此数，发布者就等待（默认：从不等待，QoS 0 时服务端会丢弃消息）。"`
	Drain       time.Duration `default:"10s" help:"Longest wait for what is still on its way in the end (default ${default})." zh:"结束时等待在途消息的最长时间（默认 ${default}）。"`
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
	c.Sessions, c.Filters = bench.Sessions(b.Sessions), b.Filters
	return b.run(e, c)
}

// benchRetained is "picket bench retained".
type benchRetained struct {
	benchTarget
	Publishers int     `short:"p" default:"1" help:"Publishers (default ${default})." zh:"发布者数量（默认 ${default}）。"`
	Topics     int     `short:"t" default:"10000" help:"Topics of each publisher, used in turn (default ${default})." zh:"每个发布者轮流使用的主题数量（默认 ${default}）。"`
	QoS        byte    `name:"qos" short:"q" help:"QoS of messages: 0 (default), 1 or 2." zh:"消息的 QoS：0（默认）、1 或 2。"`
	Size       int     `default:"64" help:"Bytes of payload (default ${default})." zh:"载荷字节数（默认 ${default}）。"`
	Rate       float64 `short:"r" help:"Messages per second of all publishers together (default: as many as go through)." zh:"所有发布者合计每秒发送的消息数（默认：能发多快就发多快）。"`
	Window     int     `short:"w" default:"1000" help:"Messages in flight per publisher at QoS 1 and 2 (default ${default})." zh:"QoS 1 和 2 时每个发布者的在途消息数（默认 ${default}）。"`
}

func (b *benchRetained) Run(e *env) error {
	c := b.config(bench.Retained)
	c.Publishers, c.Topics, c.QoS, c.Size, c.Rate, c.Window = b.Publishers, b.Topics, b.QoS, b.Size, b.Rate, b.Window
	return b.run(e, c)
}

// benchIdle is "picket bench idle".
type benchIdle struct {
	benchTarget
	Connections int    `short:"c" default:"1000" help:"Connections to hold (default ${default})." zh:"要保持的连接数（默认 ${default}）。"`
	Filters     int    `help:"Filters that all of them together subscribe to, each to its share (default 0)." zh:"全部连接合计订阅的过滤器数量，平均分摊（默认 0）。"`
	QoS         byte   `name:"qos" short:"q" help:"QoS of the subscriptions: 0 (default), 1 or 2." zh:"订阅的 QoS：0（默认）、1 或 2。"`
	Sessions    string `default:"clean" enum:"clean,persistent,offline" help:"Sessions: clean (default), persistent: they survive their connections, or offline: besides, their clients go away when they have subscribed." zh:"会话：clean（默认）；persistent：断开后会话仍保留；offline：会话保留，并且客户端订阅之后就离线。"`
}

func (b *benchIdle) Run(e *env) error {
	c := b.config(bench.Idle)
	c.Connections, c.Filters, c.QoS, c.Sessions = b.Connections, b.Filters, b.QoS, bench.Sessions(b.Sessions)
	return b.run(e, c)
}

// benchConnects is "picket bench connects".
type benchConnects struct {
	benchTarget
	Connections int    `short:"c" default:"50" help:"Connections to work on at a time (default ${default})." zh:"同时进行的连接数（默认 ${default}）。"`
	Sessions    string `default:"clean" enum:"clean,persistent" help:"Sessions: clean (default), or persistent: they survive, and each connection takes up the session of the one before." zh:"会话：clean（默认）；persistent：断开后会话仍保留，每个连接都接续上一个连接的会话。"`
}

func (b *benchConnects) Run(e *env) error {
	c := b.config(bench.Connects)
	c.Connections, c.Sessions = b.Connections, bench.Sessions(b.Sessions)
	return b.run(e, c)
}

// benchCompare is "picket bench compare".
type benchCompare struct {
	Broker   []string      `required:"" placeholder:"NAME=COMMAND" help:"Broker to start, once for each; the first is what the others are compared with. In COMMAND, {conf} stands for a mosquitto.conf that is made for the run, {port} for the port to listen on, {dir} for a directory to write to." zh:"要启动的服务端，每个写一次；其他服务端都与第一个比较。COMMAND 中的 {conf} 代表为本次测试生成的 mosquitto.conf，{port} 代表监听端口，{dir} 代表可写入的目录。" sep:"none"`
	Config   []string      `placeholder:"NAME=LINES" help:"Lines for the configuration of the broker NAME, with semicolons between them and {dir} as in COMMAND." zh:"服务端 NAME 的配置行，以分号分隔，{dir} 的含义与 COMMAND 中相同。" sep:"none"`
	Storage  bool          `help:"Compare what it costs to keep messages for sessions that survive, in place of the usual loads." zh:"不跑通常的负载，只比较为持久会话保存消息的开销。"`
	Growth   bool          `help:"Compare how cost grows with topics, subscriptions, sessions and payloads, and what connections of each transport take, in place of the usual loads." zh:"不跑通常的负载，只比较开销如何随主题、订阅、会话和载荷增长，以及每种传输方式的连接占用多少。"`
	Rounds   int           `default:"3" help:"Rounds; the medians count (default ${default})." zh:"测试轮数，取中位数（默认 ${default}）。"`
	Only     string        `help:"Only the loads whose name contains this, such as 'pair' or 'QoS 1'." zh:"只跑名称中包含这段文字的负载，例如 'pair' 或 'QoS 1'。"`
	Protocol string        `short:"V" default:"mqttv311" enum:"mqttv31,mqttv311,mqttv5,31,311,5" help:"Protocol version: mqttv31, mqttv311 (default) or mqttv5." zh:"协议版本：mqttv31、mqttv311（默认）或 mqttv5。"`
	Size     int           `default:"64" help:"Bytes of payload where the load does not say (default ${default})." zh:"载荷字节数，用于自身没有规定的负载（默认 ${default}）。"`
	Warmup   time.Duration `default:"1s" help:"Time of each load before anything is measured (default ${default})." zh:"每项负载开始测量前的预热时间（默认 ${default}）。"`
	Duration time.Duration `short:"d" default:"3s" help:"Time of each load that is measured (default ${default})." zh:"每项负载的测量时间（默认 ${default}）。"`
	JSON     string        `name:"json" placeholder:"FILE" help:"Write the figures of all rounds to FILE as JSON." zh:"把每一轮的数据以 JSON 格式写入 FILE。"`
}

func (benchCompare) details() details {
	return details{
		Text: cause.Text{EN: `Starts each broker on a port of its own, load after load and round after round in turn, and prints a table in Markdown.`, ZH: `依次启动各个服务端，每个使用自己的端口；逐项负载、逐轮轮流测试，最后输出 Markdown 表格。`},
		examples: `picket bench compare --broker 'picket=picket serve -c {conf}' --broker 'mosquitto=mosquitto -c {conf}'
picket bench compare --storage --broker 'picket=picket serve -c {conf}' --config 'picket=persistence true; persistence_location {dir}'
picket bench compare --only pair --rounds 5 --broker 'a=./old serve -c {conf}' --broker 'b=./new serve -c {conf}'`,
	}
}

func (b *benchCompare) Run(e *env) error {
	dir, err := os.MkdirTemp("", "picket-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil { // a broker that gives up root's rights still has to read its certificate
		return err
	}
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
	switch {
	case b.Storage && b.Growth:
		return &usageError{text: "--storage and --growth: give one of them", help: "picket bench compare --help"}
	case b.Storage:
		rows = bench.StorageRows()
	case b.Growth:
		rows = bench.GrowthRows()
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
