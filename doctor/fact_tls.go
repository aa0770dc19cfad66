package doctor

import (
	"fmt"
	"strings"

	"picket/cause"
)

// Results of a Handshake, beside TimedOut and WasReset.
const (
	Done      = "done"
	Alerted   = "alert"  // the server ended it with an alert
	WasClosed = "closed" // the server ended it without a word
	NotTLS    = "not-tls"
)

// Variants of a Handshake: how it differed from what a client does by itself.
const (
	Plainly      = ""
	OldTLS       = "old-versions"  // TLS 1.0 and 1.1 are offered too
	AllCiphers   = "all-ciphers"   // weak cipher suites are offered too
	NoName       = "no-name"       // without a server name (SNI)
	OtherName    = "other-name"    // with the server name example.com
	NoALPN       = "no-alpn"       // without an application protocol
	MQTTALPN     = "mqtt-alpn"     // with the application protocol mqtt
	HTTP2ALPN    = "http2-alpn"    // with the application protocols h2 and http/1.1
	SmallTLS     = "small-packets" // the connection carries small packets only
	NoCert       = "no-client-certificate"
	WithoutTLS13 = "tls-1.2" // TLS 1.2 at most, as phones before Android 10 and iOS 12.2 and many small devices have it
)

// What is wrong with a server's certificates.
const (
	UnknownCA  = "unknown-ca"  // no way leads to a trusted authority
	SelfSigned = "self-signed" // the certificate vouches for itself alone
	Incomplete = "incomplete"  // an intermediate certificate is missing
	WrongName  = "wrong-name"
	Expired    = "expired"
	NotYet     = "not-yet-valid"
	WrongUse   = "wrong-use" // it is not meant for servers
	// RootExpired: the authority that is trusted has run out, or is not valid yet, and no certificate that was sent.
	RootExpired = "root-expired"
	// Unusual: it has an extension that has to be understood, and that nobody knows.
	Unusual = "unusual"
	// WeakSignature: the certificate, or one above it, is signed in a way that is not taken any more (SHA-1, MD5).
	WeakSignature = "weak-signature"
	// NotPermitted: its authority may issue certificates for other names alone (RFC 5280, 4.2.1.10).
	NotPermitted = "not-permitted"
	// WrongMiddle: the intermediate certificate that was sent is a trusted one's, and is not that of the certificate.
	WrongMiddle = "wrong-intermediate"
)

// Handshake is a TLS handshake.
type Handshake struct {
	Address string `json:"address"`
	Port    int    `json:"port"`
	Variant string `json:"variant,omitempty"`
	Name    string `json:"server_name,omitempty"`
	Result  string `json:"result"`
	Alert   int    `json:"alert,omitempty"`
	Error   string `json:"error,omitempty"`
	Version string `json:"version,omitempty"` // such as "TLS 1.3"
	Suite   string `json:"suite,omitempty"`
	ALPN    string `json:"alpn,omitempty"` // chosen by the server
	// Wanted: the server asked for a client certificate. Given: it got one.
	Wanted bool `json:"client_certificate_wanted,omitempty"`
	Given  bool `json:"client_certificate_given,omitempty"`
	// GivenUntil is the end of that certificate in Unix seconds; 0 if none was given.
	GivenUntil int64 `json:"client_certificate_until,omitempty"`
	// Chain are the certificates that the server has sent, its own first.
	Chain []Certificate `json:"chain,omitempty"`
	// Problems are what keeps a client from trusting the server, in no order; they are judged at the time Now.
	Problems []string `json:"problems,omitempty"`
	Insecure bool     `json:"insecure,omitempty"` // the user does not want certificates to be checked
	Roots    string   `json:"roots,omitempty"`    // the file with authorities to trust; empty for the system's
	Now      int64    `json:"now,omitempty"`      // Unix seconds
	// Sent and Acknowledged are bytes of ours, where the system tells. What is not acknowledged never arrived.
	Sent         int          `json:"sent,omitempty"`
	Acknowledged int          `json:"acknowledged,omitempty"`
	Ms           Milliseconds `json:"ms"`
}

// Certificate is what matters of an X.509 certificate here.
type Certificate struct {
	Subject   string   `json:"subject"`
	Issuer    string   `json:"issuer"`
	Names     []string `json:"names,omitempty"` // subject alternative names: host names and addresses
	NotBefore int64    `json:"not_before"`      // Unix seconds
	NotAfter  int64    `json:"not_after"`
	Key       string   `json:"key"` // such as "ECDSA P-256" or "RSA 2048"
	SHA256    string   `json:"sha256"`
}

func (Handshake) Kind() string       { return "handshake" }
func (Handshake) Stage() cause.Stage { return cause.TLS }

func (h Handshake) Outcome() Outcome {
	switch {
	case h.Variant != Plainly:
		return Note
	case h.Result == Done && (len(h.Problems) == 0 || h.Insecure):
		return Good
	}
	return Bad
}

// slowTLS is how long, in milliseconds, a handshake may take that needs two round trips.
const slowTLS = 2500

// Slow tells whether a handshake has succeeded, and taken very long.
func (h Handshake) Slow() bool { return h.Result == Done && h.Ms > slowTLS }

var variantTexts = map[string]cause.Text{
	OldTLS:       {EN: "with TLS 1.0 and 1.1 allowed", ZH: "允许 TLS 1.0 和 1.1 时"},
	AllCiphers:   {EN: "with weak cipher suites allowed", ZH: "允许弱密码套件时"},
	NoName:       {EN: "without a server name", ZH: "不带服务器名称时"},
	OtherName:    {EN: "with another server name", ZH: "换一个服务器名称时"},
	NoALPN:       {EN: "without ALPN", ZH: "不带 ALPN 时"},
	MQTTALPN:     {EN: "with the ALPN name mqtt", ZH: "ALPN 为 mqtt 时"},
	HTTP2ALPN:    {EN: "with the ALPN names h2 and http/1.1", ZH: "ALPN 为 h2 和 http/1.1 时"},
	SmallTLS:     {EN: "with small packets only", ZH: "只用小包时"},
	WithoutTLS13: {EN: "with TLS 1.2 at most", ZH: "最高只用 TLS 1.2 时"},
	NoCert:       {EN: "without the client certificate", ZH: "不带客户端证书时"},
}

var problemTexts = map[string]cause.Text{
	UnknownCA:   {EN: "no trusted authority has signed it", ZH: "没有受信任的 CA 签名"},
	SelfSigned:  {EN: "it is self-signed", ZH: "是自签证书"},
	Incomplete:  {EN: "an intermediate certificate is missing", ZH: "缺少中间证书"},
	WrongName:   {EN: "it is for another name", ZH: "名称不符"},
	Expired:     {EN: "it has expired", ZH: "已过期"},
	NotYet:      {EN: "it is not valid yet", ZH: "尚未生效"},
	WrongUse:    {EN: "it is not meant for servers", ZH: "用途不是服务器"},
	RootExpired: {EN: "the authority that has signed it has expired", ZH: "签发它的 CA 已过期"},

	Unusual:       {EN: "it has an unknown extension that is marked as critical", ZH: "含有未知的关键扩展"},
	WeakSignature: {EN: "it is signed with SHA-1 or MD5", ZH: "使用 SHA-1 或 MD5 签名"},
	NotPermitted:  {EN: "its authority may not issue for this name", ZH: "签发它的 CA 无权为该名称签发"},
	WrongMiddle:   {EN: "the intermediate certificate that comes with it belongs to another one", ZH: "附带的中间证书不是它的"},
}

// alertNames are the TLS alerts by number (RFC 8446, section 6; RFC 5246, section 7.2).
var alertNames = map[int]string{0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 22: "record_overflow", 40: "handshake_failure", 42: "bad_certificate",
	43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired", 46: "certificate_unknown", 47: "illegal_parameter", 48: "unknown_ca",
	49: "access_denied", 50: "decode_error", 51: "decrypt_error", 70: "protocol_version", 71: "insufficient_security", 80: "internal_error",
	86: "inappropriate_fallback", 90: "user_canceled", 109: "missing_extension", 110: "unsupported_extension", 112: "unrecognized_name",
	116: "certificate_required", 120: "no_application_protocol"}

// alertName is "alert 48 (unknown_ca)".
func alertName(n int) string {
	if name, known := alertNames[n]; known {
		return fmt.Sprintf("%d (%s)", n, name)
	}
	return fmt.Sprint(n)
}

func (h Handshake) Text() cause.Text {
	v := variantTexts[h.Variant]
	if v.EN != "" {
		v.EN, v.ZH = " "+v.EN, v.ZH+"，"
	}
	t := cause.Text{EN: "TLS" + v.EN + ": ", ZH: v.ZH + "TLS："}
	switch h.Result {
	case Done:
		t.EN += h.Version + " after " + h.Ms.String()
		t.ZH += h.Version + "，用时 " + h.Ms.String()
		if h.Variant == Plainly {
			h.certificateText(&t)
		}
	case Alerted:
		t.EN += "the server ends the handshake with alert " + alertName(h.Alert)
		t.ZH += "服务端以告警 " + alertName(h.Alert) + " 结束握手"
	case WasClosed:
		t.EN += fmt.Sprintf("the server closes the connection after %v", h.Ms)
		t.ZH += fmt.Sprintf("服务端在 %v 后关闭连接", h.Ms)
	case WasReset:
		t.EN += fmt.Sprintf("the connection is reset after %v", h.Ms)
		t.ZH += fmt.Sprintf("连接在 %v 后被重置", h.Ms)
	case TimedOut:
		t.EN += fmt.Sprintf("no answer within %v", h.Ms)
		t.ZH += fmt.Sprintf("%v 内没有应答", h.Ms)
	case NotTLS:
		t.EN += "what comes back is not TLS"
		t.ZH += "收到的不是 TLS 数据"
	default:
		t.EN += h.Error
		t.ZH += h.Error
	}
	if h.Sent > h.Acknowledged && h.Result == TimedOut {
		t.EN += fmt.Sprintf("; %d of %d bytes sent never arrived", h.Sent-h.Acknowledged, h.Sent)
		t.ZH += fmt.Sprintf("；发出的 %[2]d 字节中有 %[1]d 字节没有到达", h.Sent-h.Acknowledged, h.Sent)
	}
	return t
}

// certificateText adds what is to say about the server's certificate.
func (h Handshake) certificateText(t *cause.Text) {
	if len(h.Chain) == 0 {
		return
	}
	c := h.Chain[0]
	names := strings.Join(c.Names, ", ")
	if names == "" {
		names = c.Subject
	}
	t.EN += "; certificate for " + names
	t.ZH += "；证书属于 " + names
	if len(h.Problems) == 0 {
		days := (c.NotAfter - h.Now) / 86400
		t.EN += fmt.Sprintf(", valid for %d more days", days)
		t.ZH += fmt.Sprintf("，还有 %d 天有效", days)
		return
	}
	for i, p := range h.Problems {
		sep := [2]string{", and ", "，"}
		if i == 0 {
			sep = [2]string{"; but ", "，但"}
		}
		t.EN += sep[0] + problemTexts[p].EN
		t.ZH += sep[1] + problemTexts[p].ZH
	}
	if h.Insecure {
		t.EN += " (not checked, as you wish)"
		t.ZH += "（按你的要求不校验）"
	}
}

// Clock is a clock elsewhere, read off what a server has said.
type Clock struct {
	Source string `json:"source"` // "http" for the Date of an HTTP response
	Time   int64  `json:"time"`   // Unix seconds
	Local  int64  `json:"local"`  // this machine's clock at the same moment
}

// clockTolerance is how far two clocks may differ, in seconds, before certificates are likely to suffer from it.
const clockTolerance = 300

func (Clock) Kind() string       { return "clock" }
func (Clock) Stage() cause.Stage { return cause.TLS }

func (c Clock) Outcome() Outcome {
	if c.off() {
		return Bad
	}
	return Note
}

func (c Clock) off() bool { return c.Local-c.Time > clockTolerance || c.Time-c.Local > clockTolerance }

func (c Clock) Text() cause.Text {
	if !c.off() {
		return cause.Text{EN: "the server's clock and this machine's agree", ZH: "服务器与本机的时钟一致"}
	}
	return Say("this machine's clock is %d minutes away from the server's", "本机时钟与服务器相差 %d 分钟", abs(c.Local-c.Time)/60)
}

func abs(n int64) int64 { return max(n, -n) }
