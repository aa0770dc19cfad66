package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"picket/cause"
	"picket/echo"
	"picket/echo/probe"
	"picket/logging"
	"picket/process"
)

// echoCommand is "picket echo".
type echoCommand struct {
	Serve echoServe `cmd:"" help:"Return to each client's port 2001 what it sends to port 2000." zh:"把客户端发到端口 2000 的数据，送回客户端自己的端口 2001。"`
	Talk  echoTalk  `cmd:"" help:"Send what is typed to an echo server and print what returns." zh:"把输入的内容发给回显服务，并输出返回的内容。"`
}

// echoServe is "picket echo serve".
type echoServe struct {
	Bind           []string `placeholder:"ADDR" help:"Address to listen on; may be repeated (default: all)." zh:"监听地址；可重复（默认：全部地址）。"`
	Port           int      `short:"p" default:"2000" help:"Port to listen on (default ${default})." zh:"监听端口（默认 ${default}）。"`
	BackPort       int      `default:"2001" help:"The client's port to connect back to (default ${default})." zh:"回连客户端时使用的端口（默认 ${default}）。"`
	SameConnection bool     `help:"Return on the connection itself, for clients that cannot be connected to (NAT)." zh:"在原连接上送回，用于无法回连的客户端（NAT）。"`

	MaxConnections int           `default:"${echoConnections}" help:"Connections at a time (default ${default})." zh:"同时允许的连接数（默认 ${default}）。"`
	MaxPerClient   int           `default:"${echoPerClient}" help:"... of one address, or of one IPv6 /64 network (default ${default})." zh:"同一地址或同一 IPv6 /64 网段同时允许的连接数（默认 ${default}）。"`
	MaxPerMinute   int           `default:"${echoPerMinute}" help:"Connections that one address may open within a minute (default ${default})." zh:"同一地址每分钟可以建立的连接数（默认 ${default}）。"`
	MaxBytes       int64         `default:"${echoBytes}" help:"Bytes that one address may send within an hour (default ${default})." zh:"同一地址每小时可以发送的字节数（默认 ${default}）。"`
	MaxTime        time.Duration `default:"${echoTime}" help:"How long a connection may last (default ${default})." zh:"一个连接最长可以持续多久（默认 ${default}）。"`
	Idle           time.Duration `default:"${echoIdle}" help:"How long nothing may move on it (default ${default})." zh:"连接上最长可以多久没有数据（默认 ${default}）。"`

	Probe     bool   `help:"Also answer those who hold the token what their own address looks like from here, for picket doctor --server --from." zh:"另外告诉持有令牌的人：从这里看，他的地址是什么样；供 picket doctor --server --from 使用。"`
	ProbePort int    `default:"${probePort}" help:"Port of the probe, TCP and UDP (default ${default})." zh:"探测端口，TCP 和 UDP（默认 ${default}）。"`
	TokenFile string `placeholder:"FILE" type:"path" help:"File with the probe's token (default: the environment's PICKET_PROBE_TOKEN)." zh:"存放探测令牌的文件（默认：环境变量 PICKET_PROBE_TOKEN）。"`

	LogFormat string `enum:"mosquitto,text,json" default:"mosquitto" placeholder:"FORM" help:"Form of the log: mosquitto, text or json." zh:"日志格式：mosquitto、text 或 json。"`
	Quiet     bool   `short:"q" help:"Log warnings and errors only." zh:"只记录警告和错误。"`
}

func (echoServe) details() details {
	return details{
		Text: cause.Text{EN: `For each client that connects, a connection is made back to the address that it comes from, and to no other. A receiver that is
slow slows its sender. Why a connection was ended is told to the client and stands in the log.

Exit status: 0 after a signal, 1 when a port cannot be opened.

The doctor's second vantage point; the same file is given to picket doctor --server --from on the broker's machine:
  (umask 077; openssl rand -base64 24 > probe.token)
  picket echo serve --probe --token-file probe.token`, ZH: `每有一个客户端连接，就向它的来源地址回连，绝不连接其他地址。接收慢的一方会让发送方也慢下来。连接因何结束，会告诉客户端并写入日志。

退出状态：收到信号而结束为 0，端口打不开为 1。

作为诊断工具的外部探测点使用时，在服务端所在的机器上把同一个文件交给 picket doctor --server --from：
  (umask 077; openssl rand -base64 24 > probe.token)
  picket echo serve --probe --token-file probe.token`},
		examples: `picket echo serve
picket echo serve --port 7000 --back-port 7001 --max-per-client 5
picket echo serve --same-connection --bind 192.0.2.10 --bind 2001:db8::10`,
	}
}

// echoDefaults are the defaults of the limits, for the options' texts.
func echoDefaults() map[string]string {
	l := echo.DefaultLimits()
	return map[string]string{
		"echoConnections": fmt.Sprint(l.Connections), "echoPerClient": fmt.Sprint(l.PerClient), "echoPerMinute": fmt.Sprint(l.PerMinute),
		"echoBytes": fmt.Sprint(l.Bytes), "echoTime": l.Time.String(), "echoIdle": l.Idle.String(),
	}
}

// Run serves until it is asked to end.
func (c *echoServe) Run(e *env) error {
	if err := checkPorts(portOption{"--port", c.Port}, portOption{"--back-port", c.BackPort}, portOption{"--probe-port", c.ProbePort}); err != nil {
		return err
	}
	if !c.SameConnection && c.Port == c.BackPort {
		return &usageError{text: "--port and --back-port have to differ: a client on this machine would have the server connect to itself"}
	}
	limits := echo.Limits{Connections: c.MaxConnections, PerClient: c.MaxPerClient, PerMinute: c.MaxPerMinute, Bytes: c.MaxBytes, Time: c.MaxTime, Idle: c.Idle}
	for _, limit := range []struct {
		name string
		ok   bool
	}{
		{"--max-connections", limits.Connections > 0}, {"--max-per-client", limits.PerClient > 0}, {"--max-per-minute", limits.PerMinute > 0},
		{"--max-bytes", limits.Bytes > 0}, {"--max-time", limits.Time > 0}, {"--idle", limits.Idle > 0},
	} {
		if !limit.ok {
			return &usageError{text: limit.name + " has to be more than 0; for no limit, use a large value", help: "picket echo serve --help"}
		}
	}
	var token []byte
	if c.Probe {
		var err error
		if token, err = probeToken(c.TokenFile); err != nil {
			return err
		}
	}
	log, err := c.log(e)
	if err != nil {
		return err
	}
	defer log.Close()
	if _, err := process.RaiseFileLimit(); err != nil {
		log.Printf(logging.Warning, "Warning: %v.", err)
	}
	server, err := echo.Listen(e.ctx, echo.Config{
		Addresses: c.Bind, Port: c.Port, BackPort: c.BackPort, SameConnection: c.SameConnection, Limits: limits, Log: log,
	})
	if err != nil {
		return withRemedy(e, err, cause.Values{"port": strconv.Itoa(c.Port)})
	}
	if !c.Probe {
		return server.Serve(e.ctx)
	}
	prober, err := probe.Listen(e.ctx, probe.Config{Addresses: c.Bind, Port: c.ProbePort, Token: token, Log: log})
	if err != nil {
		return withRemedy(e, err, cause.Values{"port": strconv.Itoa(c.ProbePort)})
	}
	both, ctx := errgroup.WithContext(e.ctx)
	both.Go(func() error { return server.Serve(ctx) })
	both.Go(func() error { return prober.Serve(ctx) })
	return both.Wait()
}

// tokenVariable is the environment's variable with the probe's token. There is no option for it: everybody on the machine sees command
// lines.
const tokenVariable = "PICKET_PROBE_TOKEN"

// maxTokenFile bounds what is read of a token's file that is another file by mistake.
const maxTokenFile = 4096

// probeToken reads the token from a file or, without one, from the environment.
func probeToken(file string) ([]byte, error) {
	if file == "" {
		token := strings.TrimSpace(os.Getenv(tokenVariable))
		if token == "" {
			return nil, &usageError{text: "the probe needs a token: --token-file FILE, or " + tokenVariable + " in the environment"}
		}
		return []byte(token), probe.CheckToken([]byte(token))
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("the probe's token: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTokenFile+1))
	if err != nil {
		return nil, fmt.Errorf("the probe's token: %w", err)
	}
	token := bytes.TrimSpace(text)
	if len(text) > maxTokenFile || bytes.ContainsAny(token, "\r\n") {
		return nil, fmt.Errorf("%s is no token's file: it has more than one line, or more than %d bytes", file, maxTokenFile)
	}
	if err := probe.CheckToken(token); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return token, nil
}

func (c *echoServe) log(e *env) (*logging.Logger, error) {
	format, err := logging.ParseFormat(c.LogFormat)
	if err != nil {
		return nil, err
	}
	types := logging.Default
	if c.Quiet {
		types = logging.Warning | logging.Error
	}
	return logging.New(logging.Config{Dest: []logging.Dest{{Kind: logging.Stderr}}, Types: types, Timestamp: true, Format: format}, e.stdout, e.stderr)
}

// echoTalk is "picket echo talk".
type echoTalk struct {
	Host           string        `arg:"" help:"The echo server." zh:"回显服务的地址。"`
	Port           int           `short:"p" default:"2000" help:"Port of the server (default ${default})." zh:"服务的端口（默认 ${default}）。"`
	BackPort       int           `default:"2001" help:"Port to listen on for what returns (default ${default})." zh:"接收返回数据的监听端口（默认 ${default}）。"`
	SameConnection bool          `help:"What is sent returns on the connection itself; the server needs the same option." zh:"数据在原连接上返回；服务一方需要使用相同的选项。"`
	IPv4           bool          `name:"4" short:"4" xor:"family" help:"Use IPv4 only." zh:"只使用 IPv4。"`
	IPv6           bool          `name:"6" short:"6" xor:"family" help:"Use IPv6 only." zh:"只使用 IPv6。"`
	Bind           string        `placeholder:"ADDR" help:"Address of this machine to connect from and to listen on (default: any)." zh:"用于连接和监听的本机地址（默认：任意）。"`
	Wait           time.Duration `default:"10s" help:"How long connecting, and being connected to, may take (default ${default})." zh:"连接以及等待回连的最长时间（默认 ${default}）。"`
	Quiet          bool          `short:"q" help:"Print nothing but what returns, and errors." zh:"只输出返回的内容和错误。"`
}

func (echoTalk) details() details {
	return details{
		Text: cause.Text{EN: `Sends standard input, as it is typed, and prints what returns on standard output. At the end it says on standard error how much went
out and came back, and whether it is the same.

Exit status: 0 when all that was sent has returned, 1 when not, 2 when the command line is wrong.`, ZH: `把标准输入的内容即时发送出去，把返回的内容写到标准输出。结束时在标准错误上说明发出和返回了多少，以及是否一致。

退出状态：发出的全部返回为 0，否则为 1，命令行有误为 2。`},
		examples: `picket echo talk echo.example.com
picket echo talk 192.0.2.10 < photo.jpg | cmp - photo.jpg
picket echo talk --same-connection echo.example.com`,
	}
}

// Run talks until the input has ended and all of it has returned.
func (c *echoTalk) Run(e *env) error {
	if err := checkPorts(portOption{"--port", c.Port}, portOption{"--back-port", c.BackPort}); err != nil {
		return err
	}
	network := "tcp"
	switch {
	case c.IPv4:
		network = "tcp4"
	case c.IPv6:
		network = "tcp6"
	}
	summary, err := echo.Talk(e.ctx, echo.TalkConfig{
		Host: c.Host, Port: c.Port, BackPort: c.BackPort, Network: network, Bind: c.Bind, SameConnection: c.SameConnection, Wait: c.Wait,
		Note: func(text string, id cause.ID) { fmt.Fprintf(e.stderr, "picket: %s [%s]\n", text, id) },
	}, e.stdin, e.stdout)
	if e.ctx.Err() != nil {
		return &statusError{statusFailure, fmt.Sprintf("picket: interrupted; %d bytes were sent and %d have returned", summary.Sent, summary.Returned)}
	}
	if err != nil {
		return withRemedy(e, err, cause.Values{"port": strconv.Itoa(c.BackPort), "host": c.Host})
	}
	if !c.Quiet {
		fmt.Fprintf(e.stderr, "%d bytes were sent and returned unchanged, in %v.\n", summary.Sent, summary.Took.Round(time.Millisecond))
	}
	return nil
}

// withRemedy adds to an error with a cause what to do about it, in the user's language.
func withRemedy(e *env, err error, values cause.Values) error {
	var why *cause.Failure
	if !errors.As(err, &why) {
		return err
	}
	known, ok := cause.Lookup(why.Cause)
	if !ok {
		return err
	}
	remedy, renderErr := known.Remedy.Render(e.lang(), values)
	if renderErr != nil {
		return err
	}
	return &statusError{statusFailure, fmt.Sprintf("picket: %v\n  %s", err, remedy)}
}

type portOption struct {
	name  string
	value int
}

func checkPorts(options ...portOption) error {
	for _, o := range options {
		if o.value < 1 || o.value > 65535 {
			return &usageError{text: fmt.Sprintf("%s is %d; a port is a number from 1 to 65535", o.name, o.value)}
		}
	}
	return nil
}
