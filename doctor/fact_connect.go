package doctor

import (
	"fmt"
	"slices"
	"strings"

	"picket/cause"
)

// Variants of an Upgrade, beside Plainly.
const (
	OtherPath      = "other-path"
	NoSubprotocol  = "no-subprotocol"
	WithOrigin     = "origin"
	NoOrigin       = "no-origin"
	AnyPath        = "any-path"        // a path that no server has been told of
	OldSubprotocol = "old-subprotocol" // mqttv3.1, as very old brokers want it
	Redirected     = "redirected"      // the path that the answer leads to
	Rested         = "rested"          // the same, after five seconds in which nothing was tried
)

// Results of an Upgrade, beside TimedOut, WasClosed and WasReset.
const (
	Upgraded = "upgraded"
	Answered = "status"   // an HTTP response other than 101
	NotHTTP  = "not-http" // bytes that are no HTTP/1 response
)

// Upgrade is a request for WebSocket.
type Upgrade struct {
	Port        int          `json:"port"`
	Variant     string       `json:"variant,omitempty"`
	Path        string       `json:"path"`
	Offered     string       `json:"offered,omitempty"` // the subprotocols asked for
	Origin      string       `json:"origin,omitempty"`
	Result      string       `json:"result"`
	Status      int          `json:"status,omitempty"`
	Subprotocol string       `json:"subprotocol,omitempty"` // chosen by the server
	WrongKey    bool         `json:"wrong_key,omitempty"`   // the answer does not belong to the request (RFC 6455, 4.1)
	Location    string       `json:"location,omitempty"`
	Server      string       `json:"server,omitempty"`     // the Server header
	Body        string       `json:"body,omitempty"`       // of the response's body, at most 1500 bytes on one line
	Versions    string       `json:"versions,omitempty"`   // of WebSocket that the server wants, when it refuses (Sec-WebSocket-Version)
	NoUpgrade   bool         `json:"no_upgrade,omitempty"` // status 101 without Upgrade: websocket and Connection: Upgrade, or in HTTP/1.0
	Alert       int          `json:"alert,omitempty"`      // TLS alert in place of an answer
	Bytes       string       `json:"bytes,omitempty"`      // of what is no HTTP, as a Go string literal
	Ms          Milliseconds `json:"ms"`
}

func (Upgrade) Kind() string       { return "upgrade" }
func (Upgrade) Stage() cause.Stage { return cause.Upgrade }

func (u Upgrade) Outcome() Outcome {
	switch {
	case u.Variant != Plainly:
		return Note
	case u.Good():
		return Good
	}
	return Bad
}

// Good tells whether a client of MQTT takes the answer.
func (u Upgrade) Good() bool {
	return u.Result == Upgraded && u.Confirmed() && !u.WrongKey && !u.NoUpgrade
}

// Confirmed tells whether the server has chosen a subprotocol that was asked for.
func (u Upgrade) Confirmed() bool {
	return u.Subprotocol != "" && slices.ContainsFunc(strings.Split(u.Offered, ","), func(s string) bool { return strings.TrimSpace(s) == u.Subprotocol })
}

func (u Upgrade) Text() cause.Text {
	how := cause.Text{EN: "path " + u.Path, ZH: "路径 " + u.Path}
	switch u.Variant {
	case NoSubprotocol:
		how = cause.Text{EN: how.EN + " without a subprotocol", ZH: how.ZH + "，不带子协议"}
	case WithOrigin:
		how = cause.Text{EN: how.EN + " with the origin " + u.Origin, ZH: how.ZH + "，带来源 " + u.Origin}
	case NoOrigin:
		how = cause.Text{EN: how.EN + " without an origin", ZH: how.ZH + "，不带来源"}
	case OldSubprotocol:
		how = cause.Text{EN: how.EN + " with the subprotocol mqttv3.1", ZH: how.ZH + "，子协议用 mqttv3.1"}
	case Rested:
		how = cause.Text{EN: how.EN + " after a pause of five seconds", ZH: how.ZH + "，停顿五秒之后"}
	}
	switch u.Result {
	case Upgraded:
		if u.Subprotocol == "" && u.Variant != NoSubprotocol {
			return cause.Text{EN: how.EN + ": a WebSocket, but the server does not confirm the subprotocol mqtt", ZH: how.ZH + "：WebSocket 已建立，但服务端没有确认子协议 mqtt"}
		}
		if u.Subprotocol != "" && !u.Confirmed() {
			return cause.Text{EN: how.EN + ": a WebSocket, but for the subprotocol " + u.Subprotocol + " and not for mqtt", ZH: how.ZH + "：WebSocket 已建立，但子协议是 " + u.Subprotocol + " 而不是 mqtt"}
		}
		if u.NoUpgrade {
			return cause.Text{EN: how.EN + ": status 101, but the answer has no Upgrade: websocket, or is one of HTTP/1.0", ZH: how.ZH + "：状态码 101，但应答中没有 Upgrade: websocket，或用的是 HTTP/1.0"}
		}
		if u.WrongKey {
			return cause.Text{EN: how.EN + ": a WebSocket, but the answer's Sec-WebSocket-Accept does not belong to the request", ZH: how.ZH + "：WebSocket 已建立，但应答中的 Sec-WebSocket-Accept 与请求不符"}
		}
		return cause.Text{EN: fmt.Sprintf("%s: a WebSocket after %v", how.EN, u.Ms), ZH: fmt.Sprintf("%s：WebSocket 已建立，用时 %v", how.ZH, u.Ms)}
	case Answered:
		t := cause.Text{EN: fmt.Sprintf("%s: HTTP status %d", how.EN, u.Status), ZH: fmt.Sprintf("%s：HTTP 状态码 %d", how.ZH, u.Status)}
		if u.Location != "" {
			t.EN += ", to " + u.Location
			t.ZH += "，转到 " + u.Location
		}
		if u.Server != "" {
			t.EN += ", from " + u.Server
			t.ZH += "，来自 " + u.Server
		}
		return t
	case TimedOut:
		return cause.Text{EN: fmt.Sprintf("%s: no answer within %v", how.EN, u.Ms), ZH: fmt.Sprintf("%s：%v 内没有应答", how.ZH, u.Ms)}
	case WasReset:
		return cause.Text{EN: how.EN + ": the connection is reset", ZH: how.ZH + "：连接被重置"}
	case Alerted:
		return cause.Text{EN: how.EN + ": the server ends TLS with alert " + alertName(u.Alert), ZH: how.ZH + "：服务端以 TLS 告警 " + alertName(u.Alert) + " 结束"}
	case NotHTTP:
		return cause.Text{EN: how.EN + ": what comes back is not HTTP: " + u.Bytes, ZH: how.ZH + "：收到的不是 HTTP：" + u.Bytes}
	}
	return cause.Text{EN: how.EN + ": the connection is closed without an answer", ZH: how.ZH + "：没有应答，连接被关闭"}
}

// Results of a Connect, beside Refused, TimedOut, WasClosed, WasReset and Alerted.
const (
	Accepted = "accepted"
	NotMQTT  = "not-mqtt"  // something else than a CONNACK
	BadFrame = "bad-frame" // a frame that WebSocket or MQTT forbids
)

// Client identifiers of a Connect.
const (
	RandomID = "random"
	GivenID  = "given"
	EmptyID  = "empty"
)

// Connect is a CONNECT and what came back.
type Connect struct {
	Version   string `json:"version"`            // 3.1, 3.1.1 or 5.0
	ID        string `json:"id"`                 // random, given or empty
	User      string `json:"user,omitempty"`     // the user name that was sent
	Password  bool   `json:"password,omitempty"` // a password was sent
	KeepAlive int    `json:"keep_alive"`         // seconds
	// Trial: it was not what the user's client would send, but a question that tells causes apart.
	Trial bool `json:"trial,omitempty"`
	// Rested: for some seconds before it nothing was tried.
	Rested bool   `json:"rested,omitempty"`
	Result string `json:"result"`
	// Code is the reason code of MQTT 5, or the return code of the older versions.
	Code      int          `json:"code,omitempty"`
	Reason    string       `json:"reason,omitempty"`     // the reason string of MQTT 5
	ReasonID  cause.ID     `json:"reason_id,omitempty"`  // the cause that the reason string begins with
	Reference string       `json:"reference,omitempty"`  // another server to go to
	Bytes     string       `json:"bytes,omitempty"`      // the first bytes that came, as a Go string literal
	Alert     int          `json:"alert,omitempty"`      // TLS alert
	Close     int          `json:"close,omitempty"`      // the code with which a WebSocket was closed; Reason has the words
	Ms        Milliseconds `json:"ms"`                   // from CONNECT to the answer
	ConnectMs Milliseconds `json:"connect_ms,omitempty"` // how long TCP took before, about one round trip
	Busy      Milliseconds `json:"busy_ms,omitempty"`    // how late this machine woke the doctor meanwhile, on average
}

// slow tells whether the answer took longer than checking a password does in any usual way: two seconds, and more where this machine is busy itself,
// with some twenty steps of the programs on it.
func (c Connect) slow() bool { return c.Ms > 2000+20*c.Busy }

func (Connect) Kind() string       { return "connect" }
func (Connect) Stage() cause.Stage { return cause.Connect }

func (c Connect) Outcome() Outcome {
	switch {
	case c.Trial:
		return Note
	case c.Result == Accepted:
		return Good
	case c.Version == "3.1" && c.Result != TimedOut:
		return Note // servers are free not to speak it
	}
	return Bad
}

func (c Connect) who() cause.Text {
	t := cause.Text{EN: "MQTT " + c.Version, ZH: "MQTT " + c.Version}
	if c.User != "" {
		t.EN += " with the user"
		t.ZH += "，带用户名"
	} else {
		t.EN += " without a user"
		t.ZH += "，匿名"
	}
	switch c.ID {
	case GivenID:
		t.EN += " and the given client identifier"
		t.ZH += "，用指定的 clientId"
	case EmptyID:
		t.EN += " and an empty client identifier"
		t.ZH += "，clientId 为空"
	}
	if c.Rested {
		t.EN += ", after a pause of five seconds"
		t.ZH += "，停顿五秒之后"
	}
	if c.KeepAlive != defaultKeepAlive {
		t.EN += fmt.Sprintf(", keep alive %d s", c.KeepAlive)
		t.ZH += fmt.Sprintf("，keepalive %d 秒", c.KeepAlive)
	}
	return t
}

// defaultKeepAlive is the keep alive of a CONNECT about which nothing else is said, in seconds.
const defaultKeepAlive = 60

func (c Connect) Text() cause.Text {
	who := c.who()
	switch c.Result {
	case Accepted:
		return cause.Text{EN: fmt.Sprintf("%s: accepted after %v", who.EN, c.Ms), ZH: fmt.Sprintf("%s：已接受，用时 %v", who.ZH, c.Ms)}
	case Refused:
		t := cause.Text{
			EN: fmt.Sprintf("%s: refused with %s after %v", who.EN, codeName(c.Version, c.Code).EN, c.Ms),
			ZH: fmt.Sprintf("%s：被拒绝，%s，用时 %v", who.ZH, codeName(c.Version, c.Code).ZH, c.Ms),
		}
		if c.Reason != "" {
			t.EN += fmt.Sprintf(": %q", c.Reason)
			t.ZH += fmt.Sprintf("：“%s”", c.Reason)
		}
		if c.Reference != "" {
			t.EN += "; it names another server: " + c.Reference
			t.ZH += "；并指向另一台服务器：" + c.Reference
		}
		return t
	case TimedOut:
		return cause.Text{EN: fmt.Sprintf("%s: no answer within %v", who.EN, c.Ms), ZH: fmt.Sprintf("%s：%v 内没有应答", who.ZH, c.Ms)}
	case WasReset:
		return cause.Text{EN: fmt.Sprintf("%s: the connection is reset after %v, without an answer", who.EN, c.Ms), ZH: fmt.Sprintf("%s：%v 后连接被重置，没有应答", who.ZH, c.Ms)}
	case Alerted:
		return cause.Text{EN: who.EN + ": the server ends TLS with alert " + alertName(c.Alert), ZH: who.ZH + "：服务端以 TLS 告警 " + alertName(c.Alert) + " 结束"}
	case NotMQTT:
		return cause.Text{EN: who.EN + ": what comes back is not MQTT: " + c.Bytes, ZH: who.ZH + "：收到的不是 MQTT：" + c.Bytes}
	case BadFrame:
		return cause.Text{EN: who.EN + ": a frame of WebSocket that no server may send: " + c.Reason, ZH: who.ZH + "：收到了服务端不允许发送的 WebSocket 帧：" + c.Reason}
	case WasClosed:
		if c.Close != 0 {
			return cause.Text{EN: fmt.Sprintf("%s: the WebSocket is closed after %v with code %d %q", who.EN, c.Ms, c.Close, c.Reason), ZH: fmt.Sprintf("%s：%v 后 WebSocket 被关闭，代码 %d“%s”", who.ZH, c.Ms, c.Close, c.Reason)}
		}
		return cause.Text{EN: fmt.Sprintf("%s: the connection is closed after %v, without an answer", who.EN, c.Ms), ZH: fmt.Sprintf("%s：%v 后连接被关闭，没有应答", who.ZH, c.Ms)}
	}
	return cause.Text{EN: who.EN + ": no connection came about", ZH: who.ZH + "：没有建立连接"}
}

// codes3 are the CONNACK return codes of MQTT 3.1 and 3.1.1 (3.1.1, table 3.1).
var codes3 = map[int]cause.Text{
	1: {EN: "unacceptable protocol version", ZH: "协议版本不被接受"}, 2: {EN: "identifier rejected", ZH: "clientId 不被接受"},
	3: {EN: "server unavailable", ZH: "服务不可用"}, 4: {EN: "bad user name or password", ZH: "用户名或密码错误"}, 5: {EN: "not authorized", ZH: "未授权"},
}

// codes5 are the reason codes of MQTT 5 that a CONNACK, a SUBACK, an acknowledgement or a DISCONNECT may have (MQTT 5.0, table 2-6).
var codes5 = map[int]cause.Text{
	0x00: {EN: "success", ZH: "成功"}, 0x10: {EN: "no matching subscribers", ZH: "没有匹配的订阅者"}, 0x80: {EN: "unspecified error", ZH: "未说明的错误"},
	0x81: {EN: "malformed packet", ZH: "报文格式错误"}, 0x82: {EN: "protocol error", ZH: "协议错误"}, 0x83: {EN: "implementation specific error", ZH: "服务端自定义的错误"},
	0x84: {EN: "unsupported protocol version", ZH: "协议版本不支持"}, 0x85: {EN: "client identifier not valid", ZH: "clientId 无效"},
	0x86: {EN: "bad user name or password", ZH: "用户名或密码错误"}, 0x87: {EN: "not authorized", ZH: "未授权"}, 0x88: {EN: "server unavailable", ZH: "服务不可用"},
	0x89: {EN: "server busy", ZH: "服务繁忙"}, 0x8A: {EN: "banned", ZH: "已被封禁"}, 0x8B: {EN: "server shutting down", ZH: "服务正在关闭"},
	0x8C: {EN: "bad authentication method", ZH: "认证方法不支持"}, 0x8D: {EN: "keep alive timeout", ZH: "心跳超时"}, 0x8E: {EN: "session taken over", ZH: "会话被接管"},
	0x8F: {EN: "topic filter invalid", ZH: "主题过滤器无效"}, 0x90: {EN: "topic name invalid", ZH: "主题名无效"}, 0x91: {EN: "packet identifier in use", ZH: "报文标识符已占用"},
	0x93: {EN: "receive maximum exceeded", ZH: "超过接收上限"}, 0x94: {EN: "topic alias invalid", ZH: "主题别名无效"}, 0x95: {EN: "packet too large", ZH: "报文过大"},
	0x96: {EN: "message rate too high", ZH: "消息速率过高"}, 0x97: {EN: "quota exceeded", ZH: "超出配额"}, 0x98: {EN: "administrative action", ZH: "管理员操作"},
	0x99: {EN: "payload format invalid", ZH: "载荷格式无效"}, 0x9A: {EN: "retain not supported", ZH: "不支持保留消息"}, 0x9B: {EN: "QoS not supported", ZH: "不支持该 QoS"},
	0x9C: {EN: "use another server", ZH: "请使用另一台服务器"}, 0x9D: {EN: "server moved", ZH: "服务器已迁移"},
	0x9E: {EN: "shared subscriptions not supported", ZH: "不支持共享订阅"}, 0x9F: {EN: "connection rate exceeded", ZH: "连接过于频繁"},
	0xA0: {EN: "maximum connect time", ZH: "达到最长连接时间"}, 0xA1: {EN: "subscription identifiers not supported", ZH: "不支持订阅标识符"},
	0xA2: {EN: "wildcard subscriptions not supported", ZH: "不支持通配符订阅"},
}

// codeName is "code 5 (not authorized)" or, with MQTT 5, "code 0x87 (not authorized)".
func codeName(version string, code int) cause.Text {
	number, name := fmt.Sprint(code), codes3[code]
	if version == "5.0" {
		number, name = fmt.Sprintf("0x%02X", code), codes5[code]
	}
	if name.EN == "" {
		return cause.Text{EN: "code " + number, ZH: "返回码 " + number}
	}
	return cause.Text{EN: fmt.Sprintf("code %s (%s)", number, name.EN), ZH: fmt.Sprintf("返回码 %s（%s）", number, name.ZH)}
}

// ReasonCause is the cause that a reason string of MQTT 5 begins with, "" if it begins with none. Picket writes "bad-credentials: the user
// name or the password is wrong"; a colon or the end has to follow the id.
func ReasonCause(reason string) cause.ID {
	id, _, _ := strings.Cut(reason, ":")
	if c, known := cause.Lookup(cause.ID(id)); known {
		return c.ID
	}
	return ""
}

// Announced are the limits that a CONNACK of MQTT 5 has announced. Nil: it said nothing about it.
type Announced struct {
	MaximumQoS        *int   `json:"maximum_qos,omitempty"`
	Retain            *bool  `json:"retain_available,omitempty"`
	MaximumPacketSize *int   `json:"maximum_packet_size,omitempty"` // bytes
	ReceiveMaximum    *int   `json:"receive_maximum,omitempty"`
	TopicAliasMaximum *int   `json:"topic_alias_maximum,omitempty"`
	KeepAlive         *int   `json:"server_keep_alive,omitempty"` // seconds
	Wildcards         *bool  `json:"wildcards_available,omitempty"`
	Shared            *bool  `json:"shared_subscriptions_available,omitempty"`
	SessionExpiry     *int   `json:"session_expiry,omitempty"` // seconds
	AssignedID        string `json:"assigned_client_id,omitempty"`
}

func (Announced) Kind() string       { return "limits" }
func (Announced) Stage() cause.Stage { return cause.Connect }
func (Announced) Outcome() Outcome   { return Note }

func (a Announced) Text() cause.Text {
	var en, zh []string
	number := func(p *int, e, z string) {
		if p != nil {
			en, zh = append(en, fmt.Sprintf(e, *p)), append(zh, fmt.Sprintf(z, *p))
		}
	}
	number(a.MaximumPacketSize, "packets up to %d bytes", "报文最大 %d 字节")
	number(a.MaximumQoS, "QoS up to %d", "QoS 最高 %d")
	number(a.KeepAlive, "keep alive %d s", "keepalive %d 秒")
	number(a.ReceiveMaximum, "%d messages under way at a time", "同时最多 %d 条未确认消息")
	number(a.TopicAliasMaximum, "%d topic aliases", "%d 个主题别名")
	if a.Retain != nil && !*a.Retain {
		en, zh = append(en, "no retained messages"), append(zh, "不支持保留消息")
	}
	if len(en) == 0 {
		return cause.Text{EN: "the broker announces no limits", ZH: "服务端没有声明限制"}
	}
	return cause.Text{EN: "the broker announces: " + strings.Join(en, ", "), ZH: "服务端声明：" + strings.Join(zh, "，")}
}

// Broker is what the broker tells about itself in $SYS.
type Broker struct {
	Version   string `json:"version,omitempty"` // as it calls itself
	Uptime    string `json:"uptime,omitempty"`
	Connected *int   `json:"clients_connected,omitempty"`
	Maximum   *int   `json:"clients_maximum,omitempty"` // most at a time since its start
	// Values are all topics below $SYS with short values, by topic; at most 200.
	Values map[string]string `json:"values,omitempty"`
}

func (Broker) Kind() string       { return "broker" }
func (Broker) Stage() cause.Stage { return cause.Use }
func (Broker) Outcome() Outcome   { return Note }

func (b Broker) Text() cause.Text {
	if b.Version == "" && b.Connected == nil {
		return cause.Text{EN: "the broker says nothing about itself ($SYS)", ZH: "服务端没有公布自身信息（$SYS）"}
	}
	t := cause.Text{EN: "the broker is " + b.Version, ZH: "服务端是 " + b.Version}
	if b.Version == "" {
		t = cause.Text{EN: "the broker does not say what it is", ZH: "服务端没有说明自己的名称"}
	}
	if b.Uptime != "" {
		t.EN += ", up for " + b.Uptime
		t.ZH += "，已运行 " + b.Uptime
	}
	if b.Connected != nil {
		t.EN += fmt.Sprintf(", %d clients connected", *b.Connected)
		t.ZH += fmt.Sprintf("，当前 %d 个客户端", *b.Connected)
	}
	return t
}
