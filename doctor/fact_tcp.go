package doctor

import (
	"fmt"
	"strings"

	"picket/cause"
)

// Results of a Dial, beside TimedOut and Failed.
const (
	Open            = "open"
	Refused         = "refused"          // nothing listens there, or a firewall says so
	HostUnreachable = "host-unreachable" // the way ends: no machine, or a firewall that rejects
	NetUnreachable  = "net-unreachable"  // this machine knows no way to such an address
	WasReset        = "reset"            // the connection was cut off, not ended
)

// Purposes of a Dial.
const (
	Asked      = "asked"       // the port in question
	OnLoopback = "loopback"    // the same port of this machine's loopback address, when the address is this machine's own
	Again      = "again"       // the port in question, once more
	SmallSteps = "small-steps" // the port in question, with small packets only
)

// Dial is an attempt to connect over TCP.
type Dial struct {
	Address string       `json:"address"`
	Port    int          `json:"port"`
	Purpose string       `json:"purpose"`
	Result  string       `json:"result"`
	Error   string       `json:"error,omitempty"`
	Ms      Milliseconds `json:"ms"`
	// ResetTTL is the time to live with which the refusal arrived, IPv4 only; 0: the system does not tell.
	ResetTTL int `json:"reset_ttl,omitempty"`
	// Rejected is the ICMP message that ended it, where the system lets us see those.
	Rejected *Rejection `json:"rejected,omitempty"`
}

// Rejection is an ICMP message of the kind "destination unreachable".
type Rejection struct {
	From string `json:"from"` // who sent it: the machine itself, or a router or a firewall on the way
	Code int    `json:"code"` // RFC 792 and RFC 4443
	Name string `json:"name"` // the code in words
	// Prohibited: only a filter sends this for TCP.
	Prohibited bool `json:"prohibited"`
}

// The names of the messages that a router sends when it has looked for a machine in its network and not found it.
const (
	codeHostUnreachable    = "host unreachable"
	codeAddressUnreachable = "address unreachable"
)

// TimeExceeded is the Code of a Rejection that is no refusal: the packet had been passed on too often (RFC 792).
const TimeExceeded = -11

func (Dial) Kind() string       { return "dial" }
func (Dial) Stage() cause.Stage { return cause.TCP }

func (d Dial) Outcome() Outcome {
	switch {
	case d.Purpose != Asked && d.Purpose != OnLoopback:
		return Note
	case d.Result == Open:
		return Good
	}
	return Bad
}

var dialTexts = map[string]cause.Text{
	Open:            {EN: "open", ZH: "开放"},
	Refused:         {EN: "refused", ZH: "被拒绝"},
	TimedOut:        {EN: "no answer", ZH: "没有应答"},
	HostUnreachable: {EN: "host unreachable", ZH: "主机不可达"},
	NetUnreachable:  {EN: "network unreachable", ZH: "网络不可达"},
	WasReset:        {EN: "reset", ZH: "被重置"},
	Failed:          {EN: "failed", ZH: "失败"},
}

func (d Dial) Text() cause.Text {
	result := dialTexts[d.Result]
	t := cause.Text{
		EN: fmt.Sprintf("%s: %s after %v", HostPort(d.Address, d.Port), result.EN, d.Ms),
		ZH: fmt.Sprintf("%s：%s，用时 %v", HostPort(d.Address, d.Port), result.ZH, d.Ms),
	}
	if d.Result == Failed {
		t.EN += " (" + d.Error + ")"
		t.ZH += "（" + d.Error + "）"
	}
	if d.ResetTTL > 0 {
		t.EN += fmt.Sprintf(" (TTL %d)", d.ResetTTL)
		t.ZH += fmt.Sprintf("（TTL %d）", d.ResetTTL)
	}
	if r := d.Rejected; r != nil {
		t.EN += fmt.Sprintf("; %s says: %s", r.From, r.Name)
		t.ZH += fmt.Sprintf("；%s 回应：%s", r.From, r.Name)
	}
	return t
}

// HostPort joins an address and a port as people write them.
func HostPort(address string, port int) string {
	for _, r := range address {
		if r == ':' {
			return fmt.Sprintf("[%s]:%d", address, port)
		}
	}
	return fmt.Sprintf("%s:%d", address, port)
}

// Neighbours are the ports of a machine that brokers and machines often have, beside the asked one.
type Neighbours struct {
	Address     string `json:"address"`
	Open        []int  `json:"open,omitempty"`
	Refused     []int  `json:"refused,omitempty"`
	Silent      []int  `json:"silent,omitempty"`      // no answer in time
	Unreachable []int  `json:"unreachable,omitempty"` // an error of the way
	// Invented is a port that was made up, and is open all the same; 0: it is not.
	Invented int `json:"invented,omitempty"`
}

func (Neighbours) Kind() string       { return "neighbours" }
func (Neighbours) Stage() cause.Stage { return cause.TCP }
func (Neighbours) Outcome() Outcome   { return Note }

// there tells whether the machine has answered at any port.
func (n Neighbours) there() bool { return len(n.Open)+len(n.Refused) > 0 }

func (n Neighbours) Text() cause.Text {
	t := cause.Text{EN: "other ports of " + n.Address + ": ", ZH: n.Address + " 的其他端口："}
	sep := [2]string{}
	for _, group := range []struct {
		ports []int
		name  cause.Text
	}{
		{n.Open, cause.Text{EN: "open", ZH: "开放"}}, {n.Refused, cause.Text{EN: "refused", ZH: "被拒绝"}},
		{n.Silent, cause.Text{EN: "no answer", ZH: "没有应答"}}, {n.Unreachable, cause.Text{EN: "unreachable", ZH: "不可达"}},
	} {
		if len(group.ports) > 0 {
			list := strings.Trim(strings.ReplaceAll(fmt.Sprint(group.ports), " ", ", "), "[]")
			t.EN += sep[0] + list + " " + group.name.EN
			t.ZH += sep[1] + list + " " + group.name.ZH
			sep = [2]string{"; ", "；"}
		}
	}
	if n.Invented != 0 {
		t.EN += fmt.Sprintf("; even %d, which was made up, is open", n.Invented)
		t.ZH += fmt.Sprintf("；连随意编造的 %d 也开放", n.Invented)
	}
	return t
}

// Ping is a series of ICMP echo requests.
type Ping struct {
	Address  string       `json:"address"`
	Sent     int          `json:"sent"`
	Received int          `json:"received"`
	Median   Milliseconds `json:"median_ms,omitempty"`
	Bytes    int          `json:"bytes"` // of a whole packet
	// TTL is the time to live with which an answer arrived, IPv4 only; 0: the system does not tell. Each router on the way takes one off.
	TTL int `json:"ttl,omitempty"`
}

// distance is from how many routers away something comes, by the time to live with which it arrives: systems begin with 64, 128 or 255.
func distance(ttl int) int {
	for _, first := range []int{64, 128, 255} {
		if ttl <= first {
			return first - ttl
		}
	}
	return 0
}

// neighbour tells whether the answers came from no farther than the next machine.
func (p Ping) neighbour() bool { return p.TTL > 0 && distance(p.TTL) == 0 }

// Portal is that somebody answers in HTTP at an address that nobody has: he answers for everybody.
type Portal struct {
	Address string `json:"address"` // one that is set aside for examples
	Status  int    `json:"status"`
	Where   string `json:"where,omitempty"` // the Location
}

func (Portal) Kind() string       { return "portal" }
func (Portal) Stage() cause.Stage { return cause.TCP }
func (Portal) Outcome() Outcome   { return Bad }

func (p Portal) Text() cause.Text {
	return Say("at %s, an address that nobody has, a web page answers (status %d %s): somebody on the way answers for every server", "没有人使用的地址 %s 上有网页应答（状态码 %d %s）：途中有设备在冒充所有服务器应答", p.Address, p.Status, p.Where)
}

func (Ping) Kind() string       { return "ping" }
func (Ping) Stage() cause.Stage { return cause.TCP }
func (Ping) Outcome() Outcome   { return Note }

func (p Ping) Text() cause.Text {
	if p.Received == 0 {
		return Say("%s answers no ping (%d sent)", "%s 不应答 ping（已发 %d 个）", p.Address, p.Sent)
	}
	t := Say("%s answers %d of %d pings, within %v", "%s 应答了 %d / %d 个 ping，用时 %v", p.Address, p.Received, p.Sent, p.Median)
	if p.TTL > 0 {
		t.EN += fmt.Sprintf(" (TTL %d)", p.TTL)
		t.ZH += fmt.Sprintf("（TTL %d）", p.TTL)
	}
	return t
}

// What an Opening says, and what it is answered.
const (
	SayNothing    = "nothing"
	SayMQTT       = "mqtt"        // a CONNECT
	SayTLS        = "tls"         // a ClientHello
	SayHTTP       = "http"        // a request for WebSocket
	SayPieces     = "mqtt-pieces" // a CONNECT, in pieces of a few bytes
	SayTLSPieces  = "tls-pieces"  // a ClientHello, in pieces of a few bytes
	SayLogin      = "mqtt-login"  // a CONNECT with the user and the password
	SayALPN       = "alpn-mqtt"   // a CONNECT inside of TLS that has named the application protocol mqtt (ALPN)
	SayProxyV1    = "proxy-v1"    // a PROXY header of version 1, then what the URL promises
	SayProxyV2    = "proxy-v2"    // of version 2
	SayTLSThen    = "tls+"        // prefix: the same inside of TLS, as in "tls+mqtt"
	HearMQTT      = "mqtt"        // a CONNACK
	HearTLS       = "tls"         // a completed handshake
	HearAlert     = "tls-alert"   // a TLS alert
	HearHTTP      = "http"        // an HTTP response
	HearWebSocket = "websocket"   // 101 Switching Protocols
	HearSSH       = "ssh"         // SSH's version string
	HearClosed    = "closed"      // the end, without a byte
	HearReset     = "reset"       // cut off, without a byte
	HearSilence   = "silence"     // nothing within the time
	HearOther     = "other"       // bytes that are none of these
	HearRefused   = "unreachable" // no connection came about this time
)

// Opening is a new connection on which something is said first, to learn what the port speaks.
type Opening struct {
	Address string `json:"address"`
	Port    int    `json:"port"`
	Said    string `json:"said"`
	Heard   string `json:"heard"`
	Bytes   string `json:"bytes,omitempty"`  // the first bytes that came, as a Go string literal; at most 64
	Status  int    `json:"status,omitempty"` // of an HTTP response; the return code of a CONNACK
	Where   string `json:"where,omitempty"`  // the Location of an HTTP response
	Name    string `json:"name,omitempty"`   // the protocol by name, where the bytes tell
	// Unheard: the other end's system has not even acknowledged what was said, where the own system tells.
	Unheard bool `json:"unheard,omitempty"`
	// OpenTTL and ResetTTL are the times to live of the segments that opened and that reset the connection, IPv4 only; 0: the system does not tell.
	OpenTTL  int          `json:"open_ttl,omitempty"`
	ResetTTL int          `json:"reset_ttl,omitempty"`
	Ms       Milliseconds `json:"ms"`
}

func (Opening) Kind() string       { return "opening" }
func (Opening) Stage() cause.Stage { return cause.FirstBytes }
func (Opening) Outcome() Outcome   { return Note }

var saidTexts = map[string]cause.Text{
	SayNothing:              {EN: "nothing said", ZH: "什么都不发"},
	SayMQTT:                 {EN: "MQTT CONNECT", ZH: "发 MQTT CONNECT"},
	SayTLS:                  {EN: "TLS", ZH: "发 TLS 握手"},
	SayHTTP:                 {EN: "WebSocket (HTTP)", ZH: "发 WebSocket（HTTP）请求"},
	SayProxyV1:              {EN: "with a PROXY header (version 1)", ZH: "先发 PROXY 头（版本 1）"},
	SayProxyV2:              {EN: "with a PROXY header (version 2)", ZH: "先发 PROXY 头（版本 2）"},
	SayTLSThen + SayMQTT:    {EN: "MQTT CONNECT inside TLS", ZH: "在 TLS 里发 MQTT CONNECT"},
	SayTLSThen + SayHTTP:    {EN: "WebSocket (HTTP) inside TLS", ZH: "在 TLS 里发 WebSocket（HTTP）请求"},
	SayPieces:               {EN: "MQTT CONNECT in pieces of a few bytes", ZH: "把 MQTT CONNECT 拆成几个字节的小块发送"},
	SayTLSPieces:            {EN: "TLS in pieces of a few bytes", ZH: "把 TLS 握手拆成几个字节的小块发送"},
	SayLogin:                {EN: "MQTT CONNECT with the user", ZH: "带用户名发 MQTT CONNECT"},
	SayALPN:                 {EN: "MQTT CONNECT inside TLS with the ALPN name mqtt", ZH: "用 ALPN 名称 mqtt 建立 TLS，再发 MQTT CONNECT"},
	SayTLSThen + SayTLS:     {EN: "TLS once more inside TLS", ZH: "在 TLS 里再发 TLS 握手"},
	SayTLSThen + SayNothing: {EN: "nothing said inside TLS", ZH: "TLS 握手后什么都不发"},
}

var heardTexts = map[string]cause.Text{
	HearMQTT:      {EN: "the port answers in MQTT", ZH: "端口以 MQTT 应答"},
	HearTLS:       {EN: "the port answers in TLS", ZH: "端口以 TLS 应答"},
	HearAlert:     {EN: "a TLS alert comes back", ZH: "收到 TLS 告警"},
	HearHTTP:      {EN: "the port answers in HTTP", ZH: "端口以 HTTP 应答"},
	HearWebSocket: {EN: "the port answers with a WebSocket", ZH: "端口接受 WebSocket"},
	HearSSH:       {EN: "the port speaks SSH", ZH: "端口是 SSH"},
	HearClosed:    {EN: "the connection is closed", ZH: "连接被关闭"},
	HearReset:     {EN: "the connection is reset", ZH: "连接被重置"},
	HearSilence:   {EN: "silence", ZH: "没有回应"},
	HearOther:     {EN: "something else comes back", ZH: "收到其他数据"},
	HearRefused:   {EN: "no connection this time", ZH: "这次没连上"},
}

func (o Opening) Text() cause.Text {
	said, heard := saidTexts[o.Said], heardTexts[o.Heard]
	if o.ResetTTL > 0 && o.OpenTTL > 0 && distance(o.ResetTTL) != distance(o.OpenTTL) {
		from := Say(" by somebody at another distance (TTL %d in place of %d)", "，重置者的距离与对方不同（TTL %d，应为 %d）", o.ResetTTL, o.OpenTTL)
		heard = cause.Text{EN: heard.EN + from.EN, ZH: heard.ZH + from.ZH}
	}
	t := cause.Text{
		EN: fmt.Sprintf("port %d, %s: %s after %v", o.Port, said.EN, heard.EN, o.Ms),
		ZH: fmt.Sprintf("端口 %d，%s：%s，用时 %v", o.Port, said.ZH, heard.ZH, o.Ms),
	}
	switch {
	case o.Status != 0 && o.Heard == HearMQTT:
		t.EN += fmt.Sprintf(" (%s)", codeName("3.1.1", o.Status).EN)
		t.ZH += fmt.Sprintf("（%s）", codeName("3.1.1", o.Status).ZH)
	case o.Status != 0:
		t.EN += fmt.Sprintf(" (status %d)", o.Status)
		t.ZH += fmt.Sprintf("（状态码 %d）", o.Status)
	case o.Name != "":
		t.EN += " (" + o.Name + ")"
		t.ZH += "（" + o.Name + "）"
	case o.Heard == HearOther:
		t.EN += " (" + o.Bytes + ")"
		t.ZH += "（" + o.Bytes + "）"
	}
	return t
}

// OwnFilter is what this machine's own packet filter does with a connection that it opens itself, where its rules can be read and keep it in.
type OwnFilter struct {
	Address string `json:"address"`
	Port    int    `json:"port"`
	Verdict string `json:"verdict"`           // "drop" or "reject"
	Where   string `json:"where"`             // the chain
	Rule    string `json:"rule,omitempty"`    // empty: the chain's policy
	Answers bool   `json:"answers,omitempty"` // the connection goes out, and its answers do not come in
}

func (OwnFilter) Kind() string       { return "own-filter" }
func (OwnFilter) Stage() cause.Stage { return cause.TCP }
func (OwnFilter) Outcome() Outcome   { return Bad }

func (f OwnFilter) Text() cause.Text {
	by := Say("the policy of %s", "%s 的默认策略", f.Where)
	if f.Rule != "" {
		by = Say("the rule «%s» in %s", "%[2]s 中的规则 «%[1]s»", f.Rule, f.Where)
	}
	to := HostPort(f.Address, f.Port)
	if f.Answers {
		return cause.Text{EN: fmt.Sprintf("this machine's own filter lets no answers of %s in: %s (%s)", to, by.EN, f.Verdict), ZH: fmt.Sprintf("本机的防火墙不让 %s 的应答进来：%s（%s）", to, by.ZH, f.Verdict)}
	}
	return cause.Text{EN: fmt.Sprintf("this machine's own filter lets nothing out to %s: %s (%s)", to, by.EN, f.Verdict), ZH: fmt.Sprintf("本机的防火墙不允许连接 %s：%s（%s）", to, by.ZH, f.Verdict)}
}

// Conflict is an address of this machine's network that several machines have.
type Conflict struct {
	Address  string   `json:"address"`
	Machines []string `json:"machines"`      // their hardware addresses; for this machine's own address, those of the others
	Own      bool     `json:"own,omitempty"` // it is this machine's own address
}

func (Conflict) Kind() string       { return "conflict" }
func (Conflict) Stage() cause.Stage { return cause.TCP }
func (Conflict) Outcome() Outcome   { return Bad }

func (s Conflict) Text() cause.Text {
	if s.Own {
		return Say("this machine's address %s is another one's as well: %s", "本机的地址 %s 也被别的机器使用：%s", s.Address, strings.Join(s.Machines, ", "))
	}
	return Say("%s belongs to several machines: %s", "%s 同时属于多台机器：%s", s.Address, strings.Join(s.Machines, ", "))
}
