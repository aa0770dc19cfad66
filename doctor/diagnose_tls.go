package doctor

import (
	"fmt"
	"slices"
	"strings"

	"picket/cause"
)

// soon is how many days before its end a certificate is worth a warning.
const soon = 7

// tls: is TLS spoken, and is the server to be trusted?
func (p *patient) tls() bool {
	plain := where(p.handshakes, func(h Handshake) bool { return h.Variant == Plainly })
	if len(plain) == 0 {
		return false
	}
	h := plain[len(plain)-1]
	if h.fact.Result == Done {
		if len(h.fact.Problems) > 0 && !h.fact.Insecure {
			for _, problem := range h.fact.Problems {
				p.certificate(h, problem)
			}
			return true
		}
		p.slowTLS(plain)
		if len(h.fact.Chain) > 0 && len(h.fact.Problems) == 0 {
			if days := days(h.fact.Chain[0].NotAfter - h.fact.Now); days < soon {
				p.found(cause.TLSExpiresSoon, 95, []int{h.at}, set("days", days))
			}
		}
		return false
	}
	if h.fact.Result == Alerted && h.fact.Wanted { // it came as far as the client's certificate: there is TLS
		p.alert(h)
		return true
	}
	failed := []int{h.at}
	if p.filtered(h) {
		return true
	}
	if p.mismatch(failed) {
		return true
	}
	switch h.fact.Result {
	case Alerted:
		p.alert(h)
	case TimedOut:
		p.tlsSilence(h)
	default:
		p.tlsEnded(h)
	}
	return true
}

// slowTLS: handshakes take long where connections open at once, one after the other.
func (p *patient) slowTLS(plain []seen[Handshake]) {
	slow := where(plain, Handshake.Slow)
	open := where(p.dials, func(d Dial) bool { return d.Result == Open && d.Ms < slowTLS/20 })
	if len(slow) < 2 || len(open) == 0 {
		return
	}
	last := slow[len(slow)-1]
	p.found(cause.Overloaded, 70, append(places(slow), open[0].at),
		means("The port opens within %v, and a TLS handshake takes %v: what ends TLS there (the broker, or a proxy in front of it) is very slow. Clients that wait less long give up.", "端口 %v 就能打开，而 TLS 握手要 %v：终结 TLS 的程序（服务端或其前面的代理）很慢，等待时间较短的客户端会放弃。", open[0].fact.Ms, last.fact.Ms),
		not(cause.FarAway, "the network itself is quick", "网络本身很快"))
	p.found(cause.AuthBackendDown, 40, places(slow))
}

func days(seconds int64) int64 { return seconds / 86400 }

// certificate: one thing that is wrong with the server's certificate.
func (p *patient) certificate(h seen[Handshake], problem string) {
	at := []int{h.at}
	leaf := h.fact.Chain[0]
	switch problem {
	case SelfSigned, UnknownCA:
		who := means("The certificate was issued by %s, whom this machine does not trust.", "证书由 %s 签发，本机不信任它。", leaf.Issuer)
		if problem == SelfSigned {
			who = means("The certificate of %s has been signed by nobody but itself.", "%s 的证书是自签的。", leaf.Subject)
		}
		trust := step(cause.Text{EN: "To try it here with the broker's CA certificate", ZH: "用服务端的 CA 证书在此重试"},
			same(fmt.Sprintf("picket doctor %s --ca ca.crt", p.url())))
		if h.fact.Roots != "" {
			who = means("The certificate was issued by %s, and that is none of the authorities in %s.", "证书由 %s 签发，而它不在 %s 的 CA 之中。", leaf.Issuer, h.fact.Roots)
			trust = func(*Finding) {}
		}
		p.found(cause.TLSUnknownCA, 95, at, who, trust,
			not(cause.TLSIncompleteChain, "there is no sign that an intermediate certificate is missing", "没有缺少中间证书的迹象"))
	case Incomplete:
		last := h.fact.Chain[len(h.fact.Chain)-1]
		p.found(cause.TLSIncompleteChain, 88, at,
			means("The server sends %d certificate(s) and not that of %s, which is missing on the way to a trusted authority.", "服务端发送了 %d 张证书，缺少 %s 的证书，因此无法追溯到受信任的 CA。", len(h.fact.Chain), last.Issuer))
		p.found(cause.TLSUnknownCA, 45, at)
	case WrongName:
		whose := means("The certificate is for %s, and not for %s.", "证书属于 %s，而不是 %s。", strings.Join(leaf.Names, ", "), p.target.Host)
		if len(leaf.Names) == 0 {
			whose = means("The certificate has a common name alone (%s) and no alternative names (subjectAltName), which are all that phones, browsers and current libraries look at; some old programs take it all the same.", "证书只有通用名（%s），没有备用名称（subjectAltName）；手机、浏览器和现在的库只看备用名称，只有一些旧程序还接受。", leaf.Subject)
		}
		more := []detail{
			whose,
			not(cause.TLSUnknownCA, "who has issued the certificate is another question", "与证书由谁签发无关"),
		}
		kind := "DNS"
		if h.fact.Name == "" {
			kind = "IP"
			more = append(more, set("address", p.target.Host))
		}
		more = append(more, step(cause.Text{EN: "A request for such a certificate, to be signed by your authority", ZH: "生成包含该名称的证书请求，交给你的 CA 签发"},
			same(fmt.Sprintf("openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=%[1]s -addext subjectAltName=%[2]s:%[1]s -keyout key.pem -out request.pem", p.target.Host, kind))))
		p.found(cause.TLSNameMismatch, 94, at, more...)
	case Expired, NotYet:
		p.dates(h, problem)
	case RootExpired:
		p.found(cause.TLSExpired, 93, at,
			means("The certificate itself is valid, and the authority %s that this machine trusts for it has expired, or is not valid yet by this machine's clock: clients need the authority's new certificate, and the server one that was signed by it.", "证书本身在有效期内，但本机信任的 CA（%s）已过期，或按本机时钟尚未生效：客户端需要更新 CA 证书，服务端需要由新 CA 签发的证书。", leaf.Issuer),
			not(cause.TLSUnknownCA, "the authority is known", "CA 是已知的"))
	case WeakSignature:
		p.found(cause.TLSClientRejectedCertificate, 92, at, means("The certificate, or one that vouches for it, is signed with SHA-1 or MD5, which no current client takes. It has to be issued anew, with SHA-256.", "证书或其上级证书使用 SHA-1 或 MD5 签名，如今的客户端都不接受。需要用 SHA-256 重新签发。"),
			not(cause.TLSUnknownCA, "another authority would not help: it is the way of signing that is refused", "与 CA 无关：被拒绝的是签名算法"))
	case Unusual:
		p.found(cause.TLSClientRejectedCertificate, 92, at, means("The certificate has an extension that is marked as critical and that clients do not know; they have to refuse it then. It has to be issued anew, without that.", "证书含有客户端不认识的关键（critical）扩展，按规定必须拒绝。需要去掉该扩展后重新签发。"),
			not(cause.TLSUnknownCA, "another authority would not help: it is the certificate's content", "与 CA 无关：是证书内容的问题"))
	case NotPermitted:
		p.found(cause.TLSUnknownCA, 91, at, means("The authority %s may issue certificates for other names only (name constraints): clients do not accept its certificate for %s.", "CA（%s）只能为其他名称签发证书（名称约束），客户端不接受它为 %s 签发的证书。", leaf.Issuer, p.target.Host))
	case WrongMiddle:
		p.found(cause.TLSIncompleteChain, 86, at, means("The server sends an intermediate certificate that belongs to another one; that of %s, which has issued this one, is missing.", "服务端附带的中间证书不是这张证书的；缺少签发它的 %s 的证书。", leaf.Issuer))
		p.found(cause.TLSUnknownCA, 52, at)
	case WrongUse:
		p.found(cause.TLSClientRejectedCertificate, 90, at, means("The certificate is not meant for servers (extended key usage serverAuth is missing).", "该证书的用途不是服务器（缺少扩展用途 serverAuth）。"))
	}
}

// dates: the certificate, or a clock, is wrong about the time.
func (p *patient) dates(h seen[Handshake], problem string) {
	at := []int{h.at}
	bad := h.fact.Chain[0]
	for _, c := range h.fact.Chain {
		if problem == Expired && c.NotAfter < h.fact.Now || problem == NotYet && c.NotBefore > h.fact.Now {
			bad = c
			break
		}
	}
	wrongClock := where(p.clocks, func(c Clock) bool { return c.off() })
	switch {
	case len(wrongClock) > 0:
		c := wrongClock[0]
		p.found(cause.ClockSkew, 95, append(at, c.at), means("This machine's clock and the server's are %d minutes apart.", "本机时钟与服务器相差 %d 分钟。", abs(c.fact.Local-c.fact.Time)/60))
	case p.client != nil && p.client.Time < p.client.Built:
		p.found(cause.ClockSkew, 96, append(at, p.clientAt), means("This machine's clock shows a time before this very program was made.", "本机时钟早于本程序的编译时间。"))
	}
	clock := not(cause.ClockSkew, "nothing shows that this machine's clock is wrong", "没有迹象表明本机时钟有误")
	if len(wrongClock) > 0 {
		clock = func(*Finding) {}
	}
	if problem == Expired {
		ago := days(h.fact.Now - bad.NotAfter)
		p.found(cause.TLSExpired, 95, at, set("days", ago), clock,
			means("The certificate of %s ended %d days ago.", "%s 的证书已过期 %d 天。", bad.Subject, ago))
		return
	}
	in := days(bad.NotBefore-h.fact.Now) + 1
	p.found(cause.TLSNotYetValid, 94, at, set("days", in), clock,
		means("The certificate of %s begins within %d day(s) from now.", "%s 的证书在 %d 天后才生效。", bad.Subject, in))
	if len(wrongClock) == 0 {
		p.found(cause.ClockSkew, 40, at)
	}
}

// variant is the handshake of a variant that succeeded.
func (p *patient) variant(v string) []int {
	return places(where(p.handshakes, func(h Handshake) bool { return h.Variant == v && h.Result == Done }))
}

// old tells whether a handshake with old versions allowed ended up with one of them.
func (p *patient) old() []int {
	return places(where(p.handshakes, func(h Handshake) bool {
		return h.Variant == OldTLS && h.Result == Done && (h.Version == "TLS 1.0" || h.Version == "TLS 1.1")
	}))
}

// easier looks at the variants of a failed handshake that succeeded, and tells whether one explains the failure.
func (p *patient) easier(h seen[Handshake]) bool {
	at := []int{h.at}
	if old := p.old(); len(old) > 0 {
		p.found(cause.TLSVersion, 95, append(at, old...),
			means("The server speaks TLS 1.0 or 1.1 only, which today's clients do not use any more.", "服务端只支持 TLS 1.0 或 1.1，如今的客户端已不再使用。"),
			step(cause.Text{EN: "In mosquitto.conf, below the listener", ZH: "mosquitto.conf 中该 listener 下面"}, same("tls_version tlsv1.2")),
			not(cause.TLSCiphers, "with the old versions allowed the handshake succeeds", "允许旧版本后握手成功"))
		return true
	}
	if weak := slices.Concat(p.variant(AllCiphers), p.variant(OldTLS)); len(weak) > 0 {
		p.found(cause.TLSCiphers, 94, append(at, weak...),
			means("With weak cipher suites allowed the handshake succeeds: the server has no others.", "允许弱密码套件后握手成功：服务端只有这些套件。"),
			not(cause.TLSVersion, "the version is the same in both handshakes", "两次握手的 TLS 版本相同"))
		return true
	}
	if http2 := places(where(p.handshakes, func(h Handshake) bool { return h.Variant == HTTP2ALPN && h.ALPN == "h2" })); len(http2) > 0 {
		p.found(cause.H2ALPN, 94, append(at, http2...), means("The server accepts HTTP/2 (h2) and not HTTP/1.1, which WebSocket needs.", "服务端只接受 HTTP/2（h2），而 WebSocket 需要 HTTP/1.1。"))
		return true
	}
	if alpn := slices.Concat(p.variant(MQTTALPN), p.variant(NoALPN)); len(alpn) > 0 {
		p.found(cause.SNIALPN, 93, append(at, alpn...), means("With another application protocol (ALPN) in the hello the handshake succeeds.", "握手时换一个应用协议（ALPN）就能成功。"))
		return true
	}
	if name := slices.Concat(p.variant(NoName), p.variant(OtherName)); len(name) > 0 && h.fact.Name != "" {
		if h.fact.Result == WasReset || h.fact.Result == WasClosed || h.fact.Result == TimedOut {
			p.found(cause.ICPSNIBlock, 90, append(at, name...),
				means("With the server name %s in the hello the connection is cut off, without it or with another name the handshake succeeds: something on the way reads the name.",
					"握手中带有服务器名称 %s 时连接被切断，不带或换一个名称则握手成功：途中有设备在检查域名。", h.fact.Name),
				not(cause.TLSVersion, "the same handshake succeeds without the name", "不带名称时同样的握手能成功"))
			return true
		}
		p.found(cause.SNIALPN, 90, append(at, name...), means("The server does not serve the name %s.", "服务端没有为名称 %s 提供服务。", h.fact.Name))
		return true
	}
	return false
}

// clientCertificate: an alert that comes after the server has asked for a client certificate is about that.
func (p *patient) clientCertificate(alert int, given bool, at []int) bool {
	if !given {
		p.found(cause.ClientCertRequired, 94, at,
			means("The server asks for a client certificate, gets none, and ends the handshake with alert %s.", "服务端要求客户端证书，没有得到，于是以告警 %s 结束握手。", alertName(alert)),
			step(cause.Text{EN: "To try it here", ZH: "在此重试"}, same(fmt.Sprintf("picket doctor %s --cert client.crt --key client.key", p.url()))),
			not(cause.TLSUnknownCA, "it is the server that ends the handshake, not the client", "是服务端结束了握手，而不是客户端"))
		return true
	}
	switch alert {
	case 44:
		p.found(cause.ClientCertRevoked, 95, at)
	default:
		why := map[int]cause.Text{
			42: {EN: "it cannot be verified", ZH: "无法校验"}, 43: {EN: "it is not meant for clients", ZH: "用途不是客户端"}, 45: {EN: "it has expired", ZH: "已过期"},
			46: {EN: "it is not accepted", ZH: "不被接受"}, 48: {EN: "its issuer is not known", ZH: "颁发者不受信任"},
		}[alert]
		if why.EN == "" {
			why = cause.Text{EN: "it is not accepted", ZH: "不被接受"}
		}
		if alert == 45 && p.givenLasts() {
			why = cause.Text{
				EN: "something has expired. It is not this certificate, whose end is in the future by this machine's clock: the server's list of revoked certificates (crlfile) or its authority (cafile) has run out, or the server's clock is wrong; on the server, picket doctor --server tells",
				ZH: "有证书已过期。按本机时钟，该客户端证书本身仍在有效期内：过期的是服务端的吊销列表（crlfile）或 CA（cafile），或者服务端时钟不准；在服务器上运行 picket doctor --server 可以确认",
			}
		}
		p.found(cause.ClientCertRefused, 94, at, meaning(cause.Text{
			EN: fmt.Sprintf("The server has looked at the client certificate and says with alert %s: %s.", alertName(alert), why.EN),
			ZH: fmt.Sprintf("服务端检查客户端证书后返回告警 %s：%s。", alertName(alert), why.ZH),
		}), not(cause.ClientCertRequired, "a certificate was given", "已经提供了证书"))
	}
	return true
}

// givenLasts tells whether the client certificate that was given is valid by this machine's clock.
func (p *patient) givenLasts() bool {
	return p.client != nil && slices.ContainsFunc(p.handshakes, func(h seen[Handshake]) bool { return h.fact.GivenUntil > p.client.Time })
}

// certificateAlerts are the alerts that are about a certificate.
var certificateAlerts = []int{42, 43, 44, 45, 46, 48, 116}

// alert: the server has ended the handshake and said why.
func (p *patient) alert(h seen[Handshake]) {
	at := []int{h.at}
	n := h.fact.Alert
	if h.fact.Wanted && (slices.Contains(certificateAlerts, n) || n == 40) {
		p.clientCertificate(n, h.fact.Given, at)
		return
	}
	if p.easier(h) {
		return
	}
	switch n {
	case 70:
		p.found(cause.TLSVersion, 88, at)
	case 40, 71, 80:
		ciphers, name := 60, 45
		if len(where(p.handshakes, func(h Handshake) bool { return h.Variant == AllCiphers && h.Result == Alerted })) > 0 {
			ciphers = 45 // every cipher was offered, in vain
		}
		if h.fact.Name == "" || n == 80 {
			name = 72
		}
		other := where(p.handshakes, func(o Handshake) bool { return o.Variant == OtherName && o.Result == Alerted && o.Alert == n })
		if n == 40 && h.fact.Name == "" && len(other) > 0 && p.target.Port != 443 { // a name does not help; servers of many sites are at 443
			ciphers, name = 64, 60
			at = append(at, places(other)...)
		}
		p.found(cause.TLSCiphers, ciphers, at, means("What this program offers, weak cipher suites among it, the server does not take: its suites, or the kind of its key (such as a curve that few know, secp256k1, or DSA), are ones that few clients have.", "本程序提供的套件（包括弱套件）服务端都不接受：它的套件或密钥类型（例如很少支持的曲线 secp256k1，或 DSA）多数客户端没有。"))
		if n == 80 && h.fact.Name != "" && len(where(p.handshakes, func(o Handshake) bool { return o.Result == Alerted && o.Alert == 80 && o.Name != h.fact.Name })) > 1 {
			name = 58 // whatever name is said
			p.found(cause.TLSHandshakeFailed, 76, at, means("Whatever is offered, the server ends the handshake with an error of its own (alert 80): it has no certificate, or cannot read its key. Its log says which.", "无论怎样握手，服务端都以自身内部错误（告警 80）结束：没有证书，或读不了私钥。请查看它的日志。"))
		}
		p.found(cause.SNIALPN, name, at, p.nameless(h.fact.Name))
		p.found(cause.ClientCertRequired, 35, at)
	case 112, 120:
		p.found(cause.SNIALPN, 90, at, p.nameless(h.fact.Name))
	case 48, 42, 46, 116:
		p.clientCertificate(n, h.fact.Given, at)
	default:
		p.found(cause.TLSHandshakeFailed, 60, at, means("The server ends the handshake with alert %s.", "服务端以告警 %s 结束握手。", alertName(n)))
	}
}

// nameless adds that an address says no name.
func (p *patient) nameless(name string) detail {
	if name != "" {
		return func(*Finding) {}
	}
	return func(f *Finding) {
		means("The address %s was given, and so the hello carries no server name: the server does not know which of its sites is meant. Use the name that its certificate is for.", "填写的是地址 %s，因此握手中没有服务器名称，服务器不知道要哪个站点。请改用证书上的域名。", p.target.Host)(f)
	}
}

// filtered: TLS in pieces passes, and otherwise does not: who looks into packets on the way does not want it.
func (p *patient) filtered(h seen[Handshake]) bool {
	pieces := p.port().tlsPieces
	if len(pieces) == 0 {
		return false
	}
	p.end = cause.TCP
	at := append(pieces, h.at)
	if name := p.variant(NoName); len(name) > 0 && h.fact.Name != "" {
		p.found(cause.ICPSNIBlock, 94, append(at, name...),
			means("The handshake passes without the server name %s, or in small pieces, and does not otherwise: something on the way reads the name and does not let it through.", "不带服务器名称 %s 或拆成小块发送时握手能成功，否则不行：途中有设备在检查域名并拦截。", h.fact.Name))
		return true
	}
	p.found(cause.CarrierOrCorpBlocksPort, 94, at,
		means("The same handshake succeeds when it is sent a few bytes at a time: a filter on the way looks for TLS and does not let it through.", "同样的握手拆成几个字节的小块发送就能成功：途中有过滤设备识别并拦截 TLS。"),
		not(cause.TLSHandshakeFailed, "the server takes the same handshake", "服务端接受同样的握手"))
	return true
}

// tlsSilence: the hello is not answered.
func (p *patient) tlsSilence(h seen[Handshake]) {
	at := []int{h.at}
	if small := p.variant(SmallTLS); len(small) > 0 {
		p.found(cause.MTUBlackhole, 97, append(at, small...),
			means("With small packets the same handshake succeeds: large packets vanish on the way.", "改用小包后同样的握手就能成功：大包在途中丢失了。"),
			not(cause.TLSToPlainPort, "the port does speak TLS", "端口确实支持 TLS"),
			not(cause.BrokerSilent, "the server answers small packets", "服务端对小包有应答"))
		return
	}
	if p.easier(h) {
		return
	}
	p.unanswered(at)
	if h.fact.Sent > h.fact.Acknowledged {
		p.found(cause.MTUBlackhole, 60, at)
	} else {
		p.found(cause.MTUBlackhole, 35, at)
	}
	p.found(cause.CrossBorder, 30, at)
}

// tlsEnded: the connection ended during the handshake without a word.
func (p *patient) tlsEnded(h seen[Handshake]) {
	at := []int{h.at}
	if p.easier(h) {
		return
	}
	if p.strangers(at) {
		return
	}
	if r := p.port(); len(r.shut) > 0 || r.listened > 0 && r.silent == r.listened {
		p.unanswered(at)
		return
	}
	if h.fact.Name == "" {
		p.found(cause.SNIALPN, 58, at, p.nameless(""))
	}
	p.found(cause.TLSHandshakeFailed, 55, at, means("The connection ends as soon as TLS begins.", "TLS 一开始连接就断开。"))
	p.found(cause.ProxyProtocolMismatch, 40, at)
	p.found(cause.TLSWithoutCertificate, 40, at)
	p.found(cause.CrossBorder, 35, at)
	p.found(cause.TLSVersion, 30, at)
}

// url is the target for commands to copy.
func (p *patient) url() string { return p.target.URL }
