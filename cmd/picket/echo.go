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
	Serve echoServe `cmd:"" help:"Return to each client's port 2001 what it sends to port 2000."`
	Talk  echoTalk  `cmd:"" help:"Send what is typed to an echo server and print what returns."`
}

// echoServe is "picket echo serve".
type echoServe struct {
	Bind           []string `placeholder:"ADDR" help:"Address to listen on; may be repeated (default: all)."`
	Port           int      `short:"p" default:"2000" help:"Port to listen on (default ${default})."`
	BackPort       int      `default:"2001" help:"The client's port to connect back to (default ${default})."`
	SameConnection bool     `help:"Return on the connection itself, for clients that cannot be connected to (NAT)."`

	MaxConnections int           `default:"${echoConnections}" help:"Connections at a time (default ${default})."`
	MaxPerClient   int           `default:"${echoPerClient}" help:"... of one address, or of one IPv6 /64 network (default ${default})."`
	MaxPerMinute   int           `default:"${echoPerMinute}" help:"Connections that one address may open within a minute (default ${default})."`
	MaxBytes       int64         `default:"${echoBytes}" help:"Bytes that one address may send within an hour (default ${default})."`
	MaxTime        time.Duration `default:"${echoTime}" help:"How long a connection may last (default ${default})."`
	Idle           time.Duration `default:"${echoIdle}" help:"How long nothing may move on it (default ${default})."`

	Probe     bool   `help:"Also answer those who hold the token what their own address looks like from here, for picket doctor --server --from."`
	ProbePort int    `default:"${probePort}" help:"Port of the probe, TCP and UDP (default ${default})."`
	TokenFile string `placeholder:"FILE" type:"path" help:"File with the probe's token (default: the environment's PICKET_PROBE_TOKEN)."`

	LogFormat string `enum:"mosquitto,text,json" default:"mosquitto" placeholder:"FORM" help:"Form of the log: mosquitto, text or json."`
	Quiet     bool   `short:"q" help:"Log warnings and errors only."`
}

func (echoServe) Help() string {
	return `For each client that connects, a connection is made back to the address that it comes from, and to no other. A receiver that is
slow slows its sender. Why a connection was ended is told to the client and stands in the log.

Exit status: 0 after a signal, 1 when a port cannot be opened.

Examples:
  picket echo serve
  picket echo serve --port 7000 --back-port 7001 --max-per-client 5
  picket echo serve --same-connection --bind 192.0.2.10 --bind 2001:db8::10

The doctor's second vantage point; the same file is given to picket doctor --server --from on the broker's machine:
  (umask 077; openssl rand -base64 24 > probe.token)
  picket echo serve --probe --token-file probe.token`
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
		return withRemedy(err, cause.Values{"port": strconv.Itoa(c.Port)})
	}
	if !c.Probe {
		return server.Serve(e.ctx)
	}
	prober, err := probe.Listen(e.ctx, probe.Config{Addresses: c.Bind, Port: c.ProbePort, Token: token, Log: log})
	if err != nil {
		return withRemedy(err, cause.Values{"port": strconv.Itoa(c.ProbePort)})
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
	Host           string        `arg:"" help:"The echo server."`
	Port           int           `short:"p" default:"2000" help:"Port of the server (default ${default})."`
	BackPort       int           `default:"2001" help:"Port to listen on for what returns (default ${default})."`
	SameConnection bool          `help:"What is sent returns on the connection itself; the server needs the same option."`
	IPv4           bool          `name:"4" short:"4" xor:"family" help:"Use IPv4 only."`
	IPv6           bool          `name:"6" short:"6" xor:"family" help:"Use IPv6 only."`
	Bind           string        `placeholder:"ADDR" help:"Address of this machine to connect from and to listen on (default: any)."`
	Wait           time.Duration `default:"10s" help:"How long connecting, and being connected to, may take (default ${default})."`
	Quiet          bool          `short:"q" help:"Print nothing but what returns, and errors."`
}

func (echoTalk) Help() string {
	return `Sends standard input, as it is typed, and prints what returns on standard output. At the end it says on standard error how much went
out and came back, and whether it is the same.

Exit status: 0 when all that was sent has returned, 1 when not, 2 when the command line is wrong.

Examples:
  picket echo talk echo.example.com
  picket echo talk 192.0.2.10 < photo.jpg | cmp - photo.jpg
  picket echo talk --same-connection echo.example.com`
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
		return withRemedy(err, cause.Values{"port": strconv.Itoa(c.BackPort), "host": c.Host})
	}
	if !c.Quiet {
		fmt.Fprintf(e.stderr, "%d bytes were sent and returned unchanged, in %v.\n", summary.Sent, summary.Took.Round(time.Millisecond))
	}
	return nil
}

// withRemedy adds to an error with a cause what to do about it, in the user's language.
func withRemedy(err error, values cause.Values) error {
	var why *cause.Failure
	if !errors.As(err, &why) {
		return err
	}
	known, ok := cause.Lookup(why.Cause)
	if !ok {
		return err
	}
	remedy, renderErr := known.Remedy.Render(cause.Locale(os.Getenv), values)
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
