package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"picket/cause"
	"picket/doctor"
	"picket/doctor/probe"
)

// doctorCheck is "picket doctor URL".
type doctorCheck struct {
	URL string `arg:"" optional:"" name:"url" help:"mqtt://HOST[:PORT], mqtts://, ws:// or wss://HOST[:PORT]/PATH, HOST or HOST:PORT." zh:"mqtt://HOST[:PORT]、mqtts://、ws:// 或 wss://HOST[:PORT]/PATH，也可以只写 HOST 或 HOST:PORT。"`

	User         string `short:"u" help:"User name." zh:"用户名。"`
	PasswordFile string `placeholder:"FILE" help:"File whose first line is the password; - for standard input. Without it: PICKET_PASSWORD in the environment." zh:"密码文件，第一行是密码；- 表示标准输入。不指定时使用环境变量 PICKET_PASSWORD。"`
	AskPassword  bool   `help:"Ask for the password on the terminal." zh:"在终端上询问密码。"`

	CA       string `name:"ca" placeholder:"FILE" help:"Certificates of the authorities to trust (default: the system's)." zh:"要信任的 CA 证书（默认：系统自带的）。"`
	Cert     string `placeholder:"FILE" help:"Client certificate; needs --key." zh:"客户端证书，需同时指定 --key。"`
	Key      string `placeholder:"FILE" help:"Key of the client certificate." zh:"客户端证书的私钥。"`
	Insecure bool   `help:"Do not check the server's certificate." zh:"不检查服务端的证书。"`

	ID        string        `name:"id" placeholder:"CLIENT-ID" help:"Try this client identifier, too. Whoever is connected with it is thrown out." zh:"另外用这个客户端标识试一次。正在使用它的客户端会被踢下线。"`
	Topic     string        `help:"Topic to publish to (default: a random one). Its subscribers get the test's messages." zh:"用于发布的主题（默认：随机主题）。该主题的订阅者会收到测试消息。"`
	Origin    string        `placeholder:"URL" help:"Origin to give to a WebSocket port, as a browser gives that of its page." zh:"连接 WebSocket 端口时使用的 Origin，相当于浏览器所在页面的来源。"`
	KeepAlive int           `default:"60" placeholder:"SECONDS" help:"Keep alive (default ${default})." zh:"保活时间（默认 ${default}）。"`
	Size      int           `placeholder:"BYTES" help:"Largest message to try (default: 65536 on a random topic, small ones on --topic)." zh:"测试消息的最大长度（默认：随机主题为 65536，--topic 指定的主题只发小消息）。"`
	Stay      stayFlag      `placeholder:"[DURATION]" help:"Also test how long quiet connections last: up to DURATION (default 310s) with steps at 30, 70, 150 and 310 seconds." zh:"另外测试静默的连接能保持多久：最长 DURATION（默认 310s），在 30、70、150 和 310 秒时各检查一次。"`
	Timeout   time.Duration `default:"5s" help:"Limit of each step (default ${default}); it grows where the way is slow." zh:"每一步的时限（默认 ${default}）；线路慢时自动放宽。"`
	Limit     time.Duration `default:"30s" help:"Limit of everything but --stay (default ${default})." zh:"除 --stay 之外全部步骤合计的时限（默认 ${default}）。"`

	doctorStyle
}

func (doctorCheck) details() details {
	return details{
		Text: cause.Text{EN: `Connects as a client does, step by step: name, TCP, TLS, WebSocket, CONNECT in MQTT 3.1.1, 5.0 and 3.1, publishing to itself, round trips. Where the way ends,
it says why and what to do. It works with any MQTT broker. "picket doctor explain ID" explains a cause, "picket doctor list" lists them all.

Exit status: 0 healthy, 3 works with warnings, 10 to 19 by the step at which it fails, 2 for a wrong command line; docs/doctor.md has the list.`, ZH: `像客户端一样逐步连接：域名、TCP、TLS、WebSocket、以 MQTT 3.1.1、5.0 和 3.1 登录、给自己发布消息、测量往返时间。在哪一步走不通，就说明原因和解决办法。适用于任何 MQTT 服务端。"picket doctor explain ID" 解释一个原因，"picket doctor list" 列出全部原因。

退出状态：0 正常，3 可用但有警告，10 至 19 表示在哪一步失败，2 表示命令行有误；对照表见 docs/doctor.zh-CN.md。`},
		examples: `picket doctor 192.168.1.20
picket doctor mqtts://broker.example.com:8883 --user picket --ask-password
PICKET_PASSWORD=... picket doctor wss://broker.example.com/mqtt --user picket --lang zh
picket doctor broker.example.com --stay 70s
picket doctor broker.example.com --json`,
	}
}

// stayFlag is how long to test quiet connections: --stay, --stay=70s or --stay 70s.
type stayFlag time.Duration

// stayDefault is one longer than NAT and balancers usually wait.
const stayDefault = 310 * time.Second

// IsBool lets the flag stand without a value.
func (stayFlag) IsBool() bool { return true }

// Decode takes what follows as the value if it is a duration.
func (s *stayFlag) Decode(ctx *kong.DecodeContext) error {
	*s = stayFlag(stayDefault)
	next := ctx.Scan.Peek()
	text, isText := next.Value.(string)
	if !isText || next.Type != kong.FlagValueToken && !duration(text) {
		return nil // what follows is something else
	}
	ctx.Scan.Pop()
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("expected a duration such as 70s, got %q", text)
	}
	if d < time.Second || d > 24*time.Hour {
		return fmt.Errorf("expected a duration from 1s to 24h, got %s", text)
	}
	*s = stayFlag(d)
	return nil
}

func duration(s string) bool {
	_, err := time.ParseDuration(s)
	return err == nil
}

// Run examines the target and prints what was found.
func (c *doctorCheck) Run(e *env) error {
	if c.URL == "" {
		return &usageError{text: "expected an address to connect to", help: "picket doctor --help"}
	}
	options, err := c.options(e)
	if err != nil {
		return err
	}
	return c.examine(e, func(fact func(doctor.Fact), doing func(cause.Text)) (*doctor.Report, error) {
		options.Fact, options.Doing = fact, doing
		facts, err := probe.Run(e.ctx, options)
		if err != nil {
			return nil, err
		}
		return doctor.NewReport(probe.Target(options.Target, facts), facts), nil
	})
}

// options turns the flags into what the probes need.
func (c *doctorCheck) options(e *env) (o probe.Options, err error) {
	target, err := doctor.ParseTarget(c.URL)
	if err != nil {
		return o, &usageError{text: err.Error(), help: "picket doctor --help"}
	}
	switch {
	case c.KeepAlive < 1 || c.KeepAlive > 65535:
		return o, &usageError{text: "--keep-alive: expected 1 to 65535 seconds"}
	case c.Size < 0 || c.Size > 64<<20:
		return o, &usageError{text: "--size: expected 0 to 67108864 bytes"}
	case c.Timeout < 100*time.Millisecond || c.Timeout > time.Hour:
		return o, &usageError{text: "--timeout: expected 100ms to 1h"}
	case c.Limit < time.Second || c.Limit > time.Hour:
		return o, &usageError{text: "--limit: expected 1s to 1h"}
	case (c.Cert == "") != (c.Key == ""):
		return o, &usageError{text: "--cert and --key belong together"}
	case len(c.ID) > 65535 || len(c.Topic) > 65535:
		return o, &usageError{text: "--id and --topic have at most 65535 bytes"}
	case strings.ContainsAny(c.Topic, "+#\x00"):
		return o, &usageError{text: "--topic: a topic to publish to has no wildcards (+, #)"}
	}
	if target.Password != "" {
		fmt.Fprintln(e.stderr, cause.Text{
			EN: "picket: the password in the address can be seen by all users of this machine; better use PICKET_PASSWORD, --password-file or --ask-password",
			ZH: "picket：地址里的密码会被本机所有用户看到；建议改用 PICKET_PASSWORD、--password-file 或 --ask-password",
		}.In(e.lang()))
	}
	o = probe.Options{
		Target: target, User: c.User, Insecure: c.Insecure, ID: c.ID, Topic: c.Topic, Origin: c.Origin, KeepAlive: c.KeepAlive, Size: c.Size,
		Stay: time.Duration(c.Stay), Limit: c.Timeout, Whole: c.Limit,
	}
	if err := c.password(e, &o); err != nil {
		return o, err
	}
	return o, c.certificates(&o)
}

// password takes the password from where it was said to be; it is no flag, since command lines can be seen by others.
func (c *doctorCheck) password(e *env, o *probe.Options) error {
	read := func(in io.Reader) error {
		line, err := bufio.NewReader(io.LimitReader(in, 65536)).ReadBytes('\n')
		if err != nil && err != io.EOF {
			return fmt.Errorf("--password-file: %w", err)
		}
		o.Password, o.HasPassword = []byte(strings.TrimRight(string(line), "\r\n")), true
		return nil
	}
	switch {
	case c.AskPassword:
		f, ok := e.stdin.(*os.File)
		if !ok || !term.IsTerminal(int(f.Fd())) {
			return &usageError{text: "--ask-password needs a terminal; use --password-file or PICKET_PASSWORD"}
		}
		fmt.Fprint(e.stderr, "Password: ")
		typed, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(e.stderr)
		if err != nil {
			return fmt.Errorf("reading the password: %w", err)
		}
		o.Password, o.HasPassword = typed, true
	case c.PasswordFile == "-":
		return read(e.stdin)
	case c.PasswordFile != "":
		f, err := os.Open(c.PasswordFile)
		if err != nil {
			return fmt.Errorf("--password-file: %w", err)
		}
		defer f.Close()
		return read(f)
	case o.Target.Password == "":
		if value := os.Getenv("PICKET_PASSWORD"); value != "" && (c.User != "" || o.Target.User != "") {
			o.Password, o.HasPassword = []byte(value), true
		}
	}
	return nil
}

// certificates reads the files with certificates and keys.
func (c *doctorCheck) certificates(o *probe.Options) error {
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return fmt.Errorf("--ca: %w", err)
		}
		o.Roots, o.RootsFile = x509.NewCertPool(), c.CA
		if !o.Roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("--ca: %s has no certificate in it; expected PEM, which begins with -----BEGIN CERTIFICATE-----", c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return fmt.Errorf("--cert and --key: %w", err)
		}
		o.Certificate = &pair
	}
	return nil
}

// progress is a line on the terminal that says what takes a while.
type progress struct {
	to    io.Writer // nil: nowhere
	lang  cause.Lang
	shown bool
}

// newWait shows on standard error, if that is a terminal.
func newWait(e *env, lang cause.Lang) *progress {
	if f, ok := e.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &progress{to: e.stderr, lang: lang}
	}
	return &progress{lang: lang}
}

func (p *progress) show(what cause.Text) {
	if p.to != nil {
		p.shown = true
		fmt.Fprintf(p.to, "\r\x1b[K… %s", what.In(p.lang))
	}
}

func (p *progress) clear() {
	if p.shown {
		p.shown = false
		fmt.Fprint(p.to, "\r\x1b[K")
	}
}
