package main

import (
	"net/url"
	"os"
	"strconv"
	"time"

	"picket/cause"
)

// ctlTrace is "picket ctl trace".
type ctlTrace struct {
	Client  string        `arg:"" optional:"" help:"The client identifier." zh:"客户端标识。"`
	User    string        `placeholder:"NAME" help:"Trace clients of this user." zh:"跟踪该用户的客户端。"`
	Address string        `placeholder:"NETWORK" help:"Trace clients from this address or network." zh:"跟踪来自该地址或网段的客户端。"`
	Topic   string        `placeholder:"FILTER" help:"Show only messages whose topics this filter matches; alone: of all clients." zh:"只显示主题与该过滤器匹配的消息；单独使用时针对所有客户端。"`
	Format  string        `enum:"text,jsonl,pcapng" default:"text" placeholder:"FORM" help:"text, jsonl for programs, or pcapng for Wireshark (default ${default})." zh:"text，供程序使用的 jsonl，或供 Wireshark 使用的 pcapng（默认 ${default}）。"`
	Payload int           `default:"256" placeholder:"BYTES" help:"At most so many bytes of a payload; 0: none (default ${default})." zh:"每个载荷最多保留的字节数；0 表示不保留（默认 ${default}）。"`
	For     time.Duration `placeholder:"TIME" help:"How long, such as 10m (default: until interrupted)." zh:"持续多久，例如 10m（默认：直到被中断）。"`
	Count   int           `placeholder:"NUMBER" help:"End after so many events." zh:"显示这么多条后结束。"`
	Output  string        `short:"o" placeholder:"FILE" type:"path" help:"Write into a file, which only its owner may read." zh:"写入文件，只有其所有者能读取。"`
	Socket  string        `env:"PICKET_SOCKET" placeholder:"PATH" type:"path" help:"The broker's admin socket (default: that of the broker that runs here)." zh:"服务端的管理套接字（默认：本机正在运行的那个服务端的）。"`
}

func (ctlTrace) details() details {
	return details{
		Text: cause.Text{EN: `Each packet is a line: → from the client, ← to it. Where the broker says no, the cause and what to do stand below. It works for every version of MQTT, and behind TLS and
WebSocket. Passwords, and what commands below $CONTROL/ say, are left out. Who reads too slowly is told how much is missing.`, ZH: `每个报文占一行：→ 来自客户端，← 发往客户端。服务端拒绝时，下面会给出原因和处理办法。适用于所有 MQTT 版本，也适用于 TLS 和 WebSocket。密码以及 $CONTROL/ 下的命令内容会被略去。读取太慢时，会提示缺少了多少条。`},
		examples: `picket ctl trace lamp
picket ctl trace --user alice --topic 'home/#' --payload 0
picket ctl trace lamp --format pcapng -o lamp.pcapng --for 10m
picket ctl trace --address 192.168.1.0/24 --format pcapng | wireshark -k -i -`,
	}
}

var traceTexts = struct{ whom, capture cause.Text }{
	whom:    cause.Text{EN: "whose packets? Name a client identifier, --user, --address or --topic", ZH: "要跟踪谁？请给出客户端标识、--user、--address 或 --topic"},
	capture: cause.Text{EN: "a capture is nothing for a terminal: -o FILE, or | wireshark -k -i -", ZH: "抓包数据不能显示在终端：请用 -o 〈文件〉，或 | wireshark -k -i -"},
}

// Run asks, and writes what comes.
func (c *ctlTrace) Run(e *env) error {
	query := url.Values{"format": {c.Format}, "payload": {strconv.Itoa(c.Payload)}}
	for name, value := range map[string]string{"client": c.Client, "user": c.User, "address": c.Address, "topic": c.Topic} {
		if value != "" {
			query.Set(name, value)
		}
	}
	switch {
	case len(query) == 2:
		return &usageError{text: traceTexts.whom.In(e.lang())}
	case c.Format == "pcapng" && c.Output == "" && isTerminal(e.stdout):
		return &usageError{text: traceTexts.capture.In(e.lang())}
	}
	if c.For != 0 {
		query.Set("for", c.For.String())
	}
	if c.Count != 0 {
		query.Set("count", strconv.Itoa(c.Count))
	}
	broker, err := (&adminFlags{Socket: c.Socket}).dial(e)
	if err != nil {
		return err
	}
	out := e.stdout
	if c.Output != "" {
		f, err := os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // each part has been written by then
		out = f
	}
	return broker.Trace(e.ctx, query, e.lang(), out)
}
