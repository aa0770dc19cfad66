package doctor

import (
	"fmt"
	"slices"
	"strings"

	"picket/cause"
)

// port is what the openings have shown about the port in question.
type port struct {
	mqtt, tls, ws, http      []int // evidence that it speaks so
	tlsMQTT, tlsWS, tlsHTTP  []int // … inside of TLS
	unavailable              []int // CONNECT is answered with return code 3
	alerts                   []int // a TLS alert came back: a port of TLS that does not like our hello, or one that explains itself to it
	pieces                   []int // CONNECT is answered when it comes in small pieces
	tlsPieces                []int // … TLS is, and it alone
	unheard                  []int // what was said has not even been acknowledged
	resets                   []int // what was said was met with a reset
	strange                  []int // … which came from nearer than who had opened the connection
	within                   []int // TLS inside of TLS is answered
	named                    []int // CONNECT is answered inside of TLS that has named mqtt (ALPN)
	shutInside               []int // TLS is spoken, and then the connection is closed before anything was said
	proxy                    []int // … after a PROXY header, and only then
	other                    []seen[Opening]
	shut                     []seen[Opening] // closed before anything was said
	silent, closed, listened int             // how many openings were met with silence, and with the end
	refused                  int             // how many did not even come to a connection
	saidInside, silentInside int             // the same of those inside of TLS
	tlsSilent                []int           // a hello is met with silence
	tlsUnheard               []int           // … and is not even acknowledged
	tried                    []int           // all openings
}

func (p *patient) port() (r port) {
	for _, o := range p.openings {
		if o.fact.Port == p.target.Port {
			r.hear(o)
		}
	}
	if len(r.mqtt)+len(r.tls)+len(r.ws) > 0 {
		r.proxy = nil // it speaks without a header, too
	}
	return r
}

// hear takes notice of an opening.
func (r *port) hear(o seen[Opening]) {
	r.tried = append(r.tried, o.at)
	r.listened++
	r.ends(o)
	f := o.fact
	if r.hearQuestion(o) {
		return
	}
	switch {
	case f.Heard == HearMQTT && f.Said == SayMQTT && f.Status == 3:
		// It speaks MQTT, if only to say that it is not available: so do ports that expect something else.
		r.unavailable = append(r.unavailable, o.at)
	case f.Heard == HearMQTT && f.Said == SayMQTT:
		r.mqtt = append(r.mqtt, o.at)
	case f.Heard == HearMQTT && f.Said == SayTLSThen+SayMQTT:
		r.tlsMQTT = append(r.tlsMQTT, o.at)
	case f.Said == SayTLS && f.Heard == HearTLS:
		r.tls = append(r.tls, o.at)
	case f.Said == SayTLS && f.Heard == HearAlert:
		r.alerts = append(r.alerts, o.at)
	case f.Heard == HearWebSocket && f.Said == SayHTTP:
		r.ws = append(r.ws, o.at)
	case f.Heard == HearWebSocket:
		r.tlsWS = append(r.tlsWS, o.at)
	case f.Heard == HearHTTP && f.Said == SayTLSThen+SayHTTP:
		r.tlsHTTP = append(r.tlsHTTP, o.at)
	case f.Heard == HearHTTP:
		r.http = append(r.http, o.at)
	case f.Heard == HearSSH || f.Heard == HearOther:
		r.other = append(r.other, o)
	case f.Heard == HearSilence:
		r.silent++
	case f.Heard == HearRefused:
		r.refused++
	case (f.Heard == HearClosed || f.Heard == HearReset) && f.Said == SayNothing:
		r.shut = append(r.shut, o)
	case f.Heard == HearClosed || f.Heard == HearReset:
		r.closed++
	}
}

// ends takes notice of how an opening has ended, whatever was said.
func (r *port) ends(o seen[Opening]) {
	f := o.fact
	if f.Unheard {
		r.unheard = append(r.unheard, o.at)
	}
	if f.Heard == HearReset && f.Said != SayNothing {
		r.resets = append(r.resets, o.at)
		if f.OpenTTL > 0 && distance(f.ResetTTL) < distance(f.OpenTTL) {
			r.strange = append(r.strange, o.at)
		}
	}
	if strings.HasPrefix(f.Said, SayTLSThen) && f.Heard != HearRefused {
		r.saidInside++
		if f.Heard == HearSilence {
			r.silentInside++
		}
	}
	switch {
	case f.Said == SayTLS && f.Unheard:
		r.tlsUnheard = append(r.tlsUnheard, o.at)
	case f.Said == SayTLS && f.Heard == HearSilence:
		r.tlsSilent = append(r.tlsSilent, o.at)
	}
}

// hearQuestion takes notice of an opening that no client would make: in pieces, with a PROXY header, with TLS inside of TLS. It tells whether it was one.
func (r *port) hearQuestion(o seen[Opening]) bool {
	f := o.fact
	switch f.Said {
	case SayTLSPieces:
		r.tlsPieces = append(r.tlsPieces, o.at)
	case SayProxyV1, SayProxyV2:
		switch f.Heard {
		case HearMQTT, HearWebSocket, HearTLS:
			r.proxy = append(r.proxy, o.at)
		case HearRefused:
			r.refused++
		case HearSSH, HearOther: // it answers to lines, such as that of version 1
			r.other = append(r.other, o)
		case HearSilence:
			r.silent++
		}
	case SayPieces:
		switch f.Heard {
		case HearMQTT:
			r.pieces = append(r.pieces, o.at)
		case HearRefused:
			r.refused++
		default: // a filter that waits for the whole of it may end it later: that says no more than silence
			r.silent++
		}
	case SayTLSThen + SayTLS:
		switch f.Heard {
		case HearTLS, HearAlert:
			r.within = append(r.within, o.at)
		case HearHTTP: // to nonsense
			r.tlsHTTP = append(r.tlsHTTP, o.at)
		}
	case SayALPN:
		if f.Heard == HearMQTT {
			r.named = append(r.named, o.at)
		}
	case SayTLSThen + SayNothing:
		if f.Heard == HearClosed || f.Heard == HearReset {
			r.shutInside = append(r.shutInside, o.at)
		}
	default:
		return false
	}
	return true
}

// use is the URL of the target with another scheme.
func (p *patient) as(scheme string) Target {
	t := Target{Scheme: scheme, Host: p.target.Host, Port: p.target.Port, Path: p.target.Path}
	if t.Path == "" {
		t.Path = "/mqtt"
	}
	return t
}

// serveTLS says how the broker gets what the client rightly asks for.
func (p *patient) serveTLS(spoken string) detail {
	more := ""
	if spoken == "ws" {
		more = "protocol websockets\n"
	}
	lines := fmt.Sprintf("listener %d\n%scertfile /etc/mosquitto/certs/fullchain.pem\nkeyfile /etc/mosquitto/certs/privkey.pem", 8883, more)
	return step(cause.Text{EN: "In the broker's configuration (mosquitto, Picket): a listener with TLS", ZH: "在服务端配置（mosquitto、Picket）中增加带 TLS 的监听"}, same(lines))
}

// instead says which fields to change in the app.
func (p *patient) instead(scheme string) detail {
	t := p.as(scheme)
	return step(cause.Text{EN: "Enter in the app", ZH: "在应用中填写"}, t.Form())
}

// onceAccepted: a login went well in the ordinary way, so that one of those that did is no proof that another way is needed.
func (p *patient) onceAccepted() bool {
	return slices.ContainsFunc(p.connects, func(c seen[Connect]) bool { return c.fact.Result == Accepted })
}

// mismatch: the port speaks something else than the URL promises. failed are the facts that show that the promised way fails. It tells
// whether it has found anything certain.
func (p *patient) mismatch(failed []int) bool {
	r := p.port()
	evidence := func(at []int) []int { return slices.Concat(failed, at) }
	plain := slices.Concat(r.mqtt, r.ws)
	switch {
	case len(r.pieces) > 0 && len(r.mqtt)+len(r.unavailable) == 0 && p.target.Scheme == "mqtt" && !p.onceAccepted():
		p.found(cause.CarrierOrCorpBlocksPort, 95, evidence(r.pieces),
			means("The same CONNECT is answered when it is sent a few bytes at a time: a filter on the way looks for MQTT and does not let it through.", "同样的 CONNECT 拆成几个字节的小块发送就有应答：途中有过滤设备识别并拦截 MQTT。"),
			not(cause.ProtocolVersion, "the broker has accepted the same packet", "服务端接受了同样的报文"),
			not(cause.MaxConnections, "there was room at the same time", "同一时刻还有空位"))
		p.end = cause.TCP
		return true
	case p.secure() && len(r.named) > 0 && len(r.tlsMQTT) == 0 && !p.onceAccepted():
		p.needsALPN(evidence(slices.Concat(r.tls, r.named)))
	case p.secure() && len(r.within) > 0 && len(r.tlsMQTT)+len(r.tlsWS) == 0 && !p.onceAccepted():
		p.twiceTLS(evidence(slices.Concat(r.tls, r.within)))
	case p.captive():
		p.found(cause.CaptivePortalOrAPIsolation, 90, evidence(r.http),
			means("Whatever port is tried, a web page answers in place of the server: the login page of this Wi-Fi.", "无论连哪个端口，应答的都是网页而不是服务端：这是该 Wi-Fi 的认证页面。"))
	case len(r.proxy) > 0 && !p.onceAccepted():
		p.found(cause.ProxyProtocolMismatch, 96, evidence(r.proxy),
			means("The port answers as soon as a PROXY header comes first: it expects to be reached through a balancer that sends one.", "只要先发送 PROXY 头，端口就会应答：它要求经由会发送 PROXY 头的负载均衡访问。"),
			not(cause.MaxConnections, "with a PROXY header there is room", "带上 PROXY 头就能连上，说明没有满"))
	case p.secure() && len(plain) > 0 && len(r.tls) == 0:
		scheme := "mqtt"
		if p.webSocket() || len(r.mqtt) == 0 {
			scheme = "ws"
		}
		if p.target.Scheme == "wss" && len(r.ws) == 0 {
			scheme = "mqtt"
		}
		p.found(cause.TLSToPlainPort, 96, evidence(plain), p.serveTLS(scheme),
			means("Port %d answers without TLS and does not answer with it.", "端口 %d 不加密时有应答，用 TLS 则没有。", p.target.Port),
			not(cause.TLSVersion, "it is not the version of TLS: there is no TLS at all", "不是 TLS 版本的问题：这个端口根本没有 TLS"))
	case !p.secure() && len(r.tls) > 0 && len(r.mqtt) == 0:
		scheme := "mqtts"
		if len(r.tlsMQTT) == 0 && len(r.tlsWS)+len(r.tlsHTTP) > 0 {
			scheme = "wss"
		}
		p.found(cause.PlainToTLSPort, 96, evidence(slices.Concat(r.tls, r.tlsMQTT, r.tlsWS)), p.instead(scheme),
			means("Port %d speaks TLS, and the URL says %s:// without it.", "端口 %d 使用 TLS，而地址写的是不加密的 %s://。", p.target.Port, p.target.Scheme),
			not(cause.BadCredentials, "it did not come to a login", "还没有到登录这一步"))
	case p.target.Scheme == "mqtt" && len(r.ws) > 0, p.target.Scheme == "mqtts" && len(r.tlsWS) > 0 && len(r.tlsMQTT) == 0:
		scheme := map[string]string{"mqtt": "ws", "mqtts": "wss"}[p.target.Scheme]
		p.found(cause.TCPToWSPort, 96, evidence(slices.Concat(r.ws, r.tlsWS)), p.instead(scheme),
			means("Port %d speaks MQTT over WebSocket only.", "端口 %d 只支持 WebSocket 方式的 MQTT。", p.target.Port))
	case p.target.Scheme == "ws" && len(r.mqtt) > 0, p.target.Scheme == "wss" && len(r.tlsMQTT) > 0:
		scheme := map[string]string{"ws": "mqtt", "wss": "mqtts"}[p.target.Scheme]
		p.found(cause.WSToTCPPort, 96, evidence(slices.Concat(r.mqtt, r.tlsMQTT)), p.instead(scheme),
			means("Port %d speaks MQTT without WebSocket.", "端口 %d 使用不带 WebSocket 的普通 MQTT。", p.target.Port))
	default:
		if !p.otherProtocol(r, failed) {
			return false
		}
	}
	p.end = cause.FirstBytes
	return true
}

// needsALPN: there is a broker for whoever names mqtt in the handshake.
func (p *patient) needsALPN(at []int) {
	p.found(cause.SNIALPN, 95, at,
		means("Port %d leads to a broker only who names the application protocol mqtt in the TLS handshake (ALPN); whoever names none meets something else, such as a web server.", "端口 %d 只有在 TLS 握手中声明应用协议 mqtt（ALPN）才会转给 MQTT 服务端；不声明的会遇到别的程序，例如网页服务器。", p.target.Port),
		step(cause.Text{EN: "In the client", ZH: "在客户端"}, cause.Text{EN: "mosquitto_pub … --tls-alpn mqtt    # Paho for Python: SSLContext.set_alpn_protocols([\"mqtt\"])", ZH: "mosquitto_pub … --tls-alpn mqtt    # Python 的 Paho：SSLContext.set_alpn_protocols([\"mqtt\"])"}),
		not(cause.PortTaken, "there is a broker behind it", "后面确实有 MQTT 服务端"))
}

// twiceTLS: what ends TLS hands on to what wants TLS itself.
func (p *patient) twiceTLS(at []int) {
	p.found(cause.PlainToTLSPort, 92, at,
		means("What ends TLS at port %d hands the rest on to a port that wants TLS itself: a second handshake inside of the first is answered.", "端口 %d 上终结 TLS 的代理把解密后的数据转给了一个自己也要求 TLS 的端口：在第一层 TLS 内再握手一次能得到应答。", p.target.Port),
		step(cause.Text{EN: "In the proxy in front of the broker: one of the two", ZH: "在服务端前面的代理上，二选一"}, cause.Text{
			EN: "# nginx, stream: speak TLS to the broker too\nproxy_ssl on;\n# or hand TLS through unopened: take \"ssl\" out of its listen line",
			ZH: "# nginx stream：与服务端之间也用 TLS\nproxy_ssl on;\n# 或不解密直接转发：去掉 listen 行中的 ssl"}))
}

// otherProtocol: the port belongs to a program that is no broker.
func (p *patient) otherProtocol(r port, failed []int) bool {
	for _, o := range r.other {
		if o.fact.Name == "" && o.fact.Heard != HearSSH {
			continue
		}
		name := o.fact.Name
		p.found(cause.PortTaken, 93, append(failed, o.at),
			means("Port %d belongs to another service: %s.", "端口 %d 属于另一种服务：%s。", p.target.Port, name),
			not(cause.BrokerSilent, "the port does answer, in another protocol", "端口有应答，只是协议不同"))
		return true
	}
	if len(r.http)+len(r.tlsHTTP) > 0 && !p.webSocket() && !(p.secure() && len(r.alerts) > 0) {
		http := slices.Concat(r.http, r.tlsHTTP)
		if port, scheme, at := p.brokerPort(); port != 0 && (!p.secure() || scheme == "mqtts" || scheme == "wss") { // no less protection than was asked for
			t := Target{Scheme: scheme, Host: p.target.Host, Port: port, Path: "/mqtt"}
			p.found(cause.WrongPort, 76, slices.Concat(failed, http, at), means("Port %d belongs to a web server, such as a dashboard, and port %d speaks MQTT (%s).", "端口 %d 属于网页服务器（例如管理界面），端口 %d 才提供 MQTT 服务（%s）。", p.target.Port, port, scheme), step(cause.Text{EN: "Enter in the app", ZH: "在应用中填写"}, t.Form()))
		}
		if gateway := p.gateway(); len(gateway) > 0 && (p.target.Port == 1883 || p.target.Port == 8883) {
			p.found(cause.TCPToWSPort, 78, slices.Concat(failed, http, gateway), means("Port %d belongs to a reverse proxy that takes what comes for HTTP, and has nobody behind it who speaks that: it is set up for web pages, and has to pass MQTT on as it is.", "端口 %d 属于一个按 HTTP 处理数据的反向代理，而它后面没有能用 HTTP 应答的程序：它是按网站配置的，应改为原样转发 MQTT。", p.target.Port),
				step(cause.Text{EN: "In the proxy: one of these", ZH: "修改代理配置，二选一"}, cause.Text{
					EN: fmt.Sprintf("# HAProxy, in the section that binds port %[1]d and in its backend\nmode tcp\n# nginx, outside of http { }\nstream {\n    server {\n        listen %[1]d;\n        proxy_pass 127.0.0.1:1884;    # where the broker listens\n    }\n}", p.target.Port),
					ZH: fmt.Sprintf("# HAProxy：写在监听端口 %[1]d 的段落及其 backend 中\nmode tcp\n# nginx：写在 http { } 之外\nstream {\n    server {\n        listen %[1]d;\n        proxy_pass 127.0.0.1:1884;    # 服务端监听的地址\n    }\n}", p.target.Port)}))
		}
		p.found(cause.PortTaken, 72, slices.Concat(failed, http), means("Port %d belongs to a web server.", "端口 %d 属于一个网页服务器。", p.target.Port))
		p.found(cause.TCPToWSPort, 45, slices.Concat(failed, http), means("It may offer MQTT over WebSocket on a path of its own.", "它可能在某个路径上提供 WebSocket 方式的 MQTT。"))
		p.found(cause.CaptivePortalOrAPIsolation, 25, slices.Concat(failed, http))
		return true
	}
	return false
}

// gateway are the answers of a reverse proxy at the port that does not reach what is behind it in HTTP.
func (p *patient) gateway() []int {
	return places(where(p.openings, func(o Opening) bool {
		return o.Port == p.target.Port && o.Heard == HearHTTP && o.Status >= 502 && o.Status <= 504
	}))
}

// unanswered: the port opens, and the connection comes to nothing, whatever is said. failed are the facts that show it.
func (p *patient) unanswered(failed []int) {
	p.end = cause.FirstBytes
	r := p.port()
	evidence := slices.Concat(failed, r.tried)
	if p.everyPort(evidence) {
		return
	}
	switch {
	case p.secure() && (len(r.tls) > 0 && len(r.shutInside) > 0 || p.ranTLS() && p.closedLate()):
		p.deadBehind(slices.Concat(failed, r.tls, r.shutInside))
	case p.secure() && len(r.tls) == 0 && len(r.tlsUnheard) > 0 && r.closed > 0 && len(r.shut) == 0:
		p.found(cause.CarrierOrCorpBlocksPort, 72, slices.Concat(failed, r.tlsUnheard), means("Port %d takes what is not TLS, and a TLS hello is not even acknowledged by the other system: something on the way drops it.", "端口 %d 能收到不是 TLS 的数据，而 TLS 握手报文连对方系统的确认都没有：途中有设备把它丢弃了。", p.target.Port),
			not(cause.BrokerSilent, "the system of a program that hangs acknowledges what comes", "程序卡住时，其系统仍会确认收到的数据"))
		p.found(cause.MTUBlackhole, 54, failed)
	case p.secure() && len(r.tls) == 0 && len(r.tlsSilent) > 0 && r.closed > 0 && len(r.shut) == 0:
		p.found(cause.BrokerSilent, 66, slices.Concat(failed, r.tlsSilent), means("Port %d hangs up on what is not TLS, and does not go on with a TLS handshake: the program that ends TLS there hangs or has too much to do.", "端口 %d 会断开不是 TLS 的连接，但 TLS 握手没有下文：终结 TLS 的程序卡住了或过于繁忙。", p.target.Port),
			not(cause.TLSToPlainPort, "without TLS it hangs up", "不用 TLS 会被断开"))
		p.found(cause.Overloaded, 54, failed)
	case len(r.shut) > 0:
		p.shutAtOnce(slices.Concat(failed, places(r.shut)))
	case p.closedLate() && p.heardLate():
		p.found(cause.BrokerNotRunning, 76, evidence, means("Port %d opens, and the connection is closed only after some seconds, in which nothing comes: a proxy takes connections there and tries in vain to reach the broker behind it.", "端口 %d 能连上，几秒内没有任何应答后连接才被关闭：那里是一个代理，它连不上后面的服务端。", p.target.Port),
			not(cause.BrokerSilent, "a broker that hangs does not close connections", "卡住的服务端不会关闭连接"))
		p.found(cause.AuthBackendDown, 52, evidence)
	case len(r.unheard) > 0 && len(r.unheard)*2 > r.listened && !p.webSocket():
		p.found(cause.CarrierOrCorpBlocksPort, 86, slices.Concat(failed, r.unheard),
			means("Port %d opens, and nothing of what is said then arrives: not even the other system acknowledges it. Something on the way lets connections open and drops what they carry.", "端口 %d 能连上，但之后发送的数据根本没有到达：连对方系统的 TCP 确认都没有。途中有设备放行连接却丢弃其中的数据。", p.target.Port),
			not(cause.BrokerSilent, "the system of a broker that hangs acknowledges what comes", "服务端卡住时，其系统仍会确认收到的数据"))
		p.found(cause.MTUBlackhole, 40, failed)
	case r.listened > 0 && r.refused == r.listened && p.refusedAtOnce():
		p.found(cause.BrokerNotRunning, 68, evidence, means("Port %d opened once, and refuses ever since: what listened there has ended upon its first connection. Forwarders that take one connection do so (nc -l, socat without fork), and brokers that crash.", "端口 %d 打开过一次，之后一直拒绝连接：监听的程序在第一个连接之后就退出了。只接受一个连接的转发程序（nc -l、没有 fork 的 socat）和崩溃的服务端都是这样。", p.target.Port))
		p.found(cause.MaxConnections, 54, evidence)
	case r.listened > 0 && r.refused == r.listened:
		p.found(cause.MaxConnections, 62, evidence, means("Port %d opened once, and then not a single further connection came about: what listens there takes no more of them, since all places are taken or since it hangs.", "端口 %d 打开过一次，之后再也连不上：监听的程序不再接受新连接，可能是连接数已满，也可能是卡住了。", p.target.Port),
			not(cause.BrokerNotRunning, "a port without a program refuses", "没有程序的端口会立即拒绝"))
		p.found(cause.BrokerSilent, 60, evidence)
		p.found(cause.RateLimitOrBan, 52, evidence)
		p.found(cause.OverloadOrStorm, 50, evidence)
	case r.listened > 0 && r.silent == r.listened:
		p.found(cause.BrokerSilent, 75, evidence,
			means("Port %d opens, and whatever is said there is met with silence.", "端口 %d 能连上，但无论发送什么都没有任何回应。", p.target.Port),
			not(cause.TLSToPlainPort, "it answers neither with TLS nor without", "用不用 TLS 都没有应答"),
			not(cause.BrokerNotRunning, "a port without a program is not open", "没有程序的端口不会打开"))
		if p.public() {
			p.found(cause.CDNProxiedDNS, 45, evidence)
		}
		p.found(cause.PortTaken, 50, evidence, means("It may also belong to a program that is no broker, and waits for something else.", "该端口也可能属于别的程序，它在等待另一种数据。"))
		p.found(cause.OverloadOrStorm, 40, evidence)
		p.found(cause.DockerDefaultConf, 20, evidence)
	default:
		p.unclear(failed)
	}
}

// everyPort: even a port that was made up opens, and the asked one leads nowhere: what takes the connections is not the server.
func (p *patient) everyPort(evidence []int) bool {
	i := slices.IndexFunc(p.around, func(n seen[Neighbours]) bool { return n.fact.Invented != 0 })
	if i < 0 {
		return false
	}
	n := p.around[i]
	p.found(cause.CarrierOrCorpBlocksPort, 80, append(evidence, n.at), means("Whatever port is tried opens, even %d, which was made up, and then nothing comes: something in this network takes all connections itself and does not get through to the server, such as a proxy for everybody in it.",
		"无论试哪个端口都能连上，连随意编造的 %d 也一样，但之后没有任何应答：这个网络里有设备（例如透明代理）替服务器接受了所有连接，却连不到真正的服务器。", n.fact.Invented),
		not(cause.BrokerNotRunning, "who answered is not the server: no server has all ports open", "应答的不是服务器：没有服务器会开放所有端口"))
	p.found(cause.PhoneVPNOrDNS, 66, append(evidence, n.at), means("A VPN or a proxy program on this device (Clash, Shadowsocks, …) that takes all connections does the same: switch it off and try again.", "本机的 VPN 或代理软件（Clash、Shadowsocks 等）接管全部连接时也是这样：关掉后再试。"))
	p.end = cause.TCP
	return true
}

// refusedAtOnce: none of the further connections came about, and that was clear at once, as where nobody listens: a queue that is full keeps silent.
func (p *patient) refusedAtOnce() bool {
	return !slices.ContainsFunc(p.openings, func(o seen[Opening]) bool { return o.fact.Heard == HearRefused && o.fact.Ms > 500 })
}

// ranTLS tells whether the handshake succeeds.
func (p *patient) ranTLS() bool {
	return slices.ContainsFunc(p.handshakes, func(h seen[Handshake]) bool { return h.fact.Variant == Plainly && h.fact.Result == Done })
}

// closedLate: every CONNECT is met with the end of the connection, and only after a while in which somebody else was tried.
func (p *patient) closedLate() bool {
	ends := where(p.connects, func(c Connect) bool {
		return (c.Result == WasClosed || c.Result == WasReset) && c.Ms > 800+5*c.ConnectMs
	})
	return len(ends) > 0 && len(ends) == len(p.connects)
}

// heardLate: whatever else is said at the port comes to nothing either, and not before a while.
func (p *patient) heardLate() bool {
	return !slices.ContainsFunc(p.openings, func(o seen[Opening]) bool {
		f := o.fact
		ended := f.Heard == HearClosed || f.Heard == HearReset
		return f.Port == p.target.Port && f.Heard != HearSilence && !(ended && f.Ms > 800)
	})
}

// deadBehind: TLS is ended by something that has nobody to hand the rest to.
func (p *patient) deadBehind(evidence []int) {
	if given := where(p.handshakes, func(h Handshake) bool { return h.Variant == Plainly && h.Wanted && h.Given }); len(given) > 0 {
		p.found(cause.ClientCertRefused, 76, append(evidence, places(given)...), means("In the handshake at port %d the server asks for a client certificate, gets one, and closes the connection without a word afterwards, as nginx does with one that it does not trust.", "端口 %d 握手时服务端要求并收到了客户端证书，随后不作说明就关闭了连接；nginx 不信任证书时就是这样。", p.target.Port))
		p.found(cause.BrokerNotRunning, 56, evidence)
		return
	}
	if wanted := where(p.handshakes, func(h Handshake) bool { return h.Variant == Plainly && h.Wanted && !h.Given }); len(wanted) > 0 {
		p.found(cause.ClientCertRequired, 84, append(evidence, places(wanted)...), means("In the handshake at port %d the server asks for a client certificate, gets none, and closes the connection without a word afterwards, as nginx does (ssl_verify_client on).", "端口 %d 握手时服务端要求客户端证书，没有得到，随后不作说明就关闭了连接；nginx（ssl_verify_client on）就是这样。", p.target.Port))
		p.found(cause.BrokerNotRunning, 54, evidence)
		return
	}
	at := means("TLS works at port %d, and then the connection is closed without a word: what ends TLS there does not reach the broker behind it.", "端口 %d 的 TLS 正常，但随后没有任何应答连接就被关闭：终结 TLS 的代理连不上后面的服务端。", p.target.Port)
	p.found(cause.BrokerNotRunning, 74, evidence, at, not(cause.TLSHandshakeFailed, "the handshake has succeeded", "握手已经成功"))
	p.found(cause.ProxyProtocolMismatch, 56, evidence)
	p.found(cause.MaxConnections, 54, evidence)
}

// shutAtOnce: the connection is closed before a word is said.
func (p *patient) shutAtOnce(evidence []int) {
	at := means("Port %d opens, and the connection is closed at once, before anything was said.", "端口 %d 能连上，但还没有发送任何数据，连接就立刻被关闭。", p.target.Port)
	notProtocol := not(cause.PlainToTLSPort, "nothing had been said yet, so it is not what was said", "还没有发送任何数据，所以不是协议的问题")
	full, proxy, docker, dead := 60, 52, 40, 54
	if p.own() && p.client != nil && p.client.Docker {
		docker = 64 // Docker's proxy is on the broker's own machine
	}
	if works := where(p.connects, func(c Connect) bool { return c.Result == Accepted }); len(works) > 0 {
		full, proxy, docker, dead = 90, 10, 10, 10 // from time to time there is room
		evidence = append(evidence, places(works)...)
	}
	if port, _, heard := p.brokerPort(); port != 0 {
		proxy, docker, dead = 58, 30, 38 // the broker has room at another port
		full = min(full, 55)
		evidence = append(evidence, heard...)
	}
	p.found(cause.MaxConnections, full, evidence, at, notProtocol)
	p.found(cause.DockerDefaultConf, docker, evidence, at)
	p.found(cause.ProxyProtocolMismatch, proxy, evidence, at,
		means("A balancer in front of the broker accepts the connection; if it sends a PROXY header that the broker does not expect, the broker hangs up.", "服务端前面的负载均衡接受了连接；如果它发送了服务端不认识的 PROXY 头，服务端会立即挂断。"))
	p.found(cause.BrokerNotRunning, dead, evidence, at, means("If a balancer or a proxy stands in front, it is probably the broker behind it that is not there.", "如果前面有负载均衡或代理，很可能是它后面的服务端没有运行。"),
		step(cause.Text{EN: "On the server, to tell these apart", ZH: "在服务器上区分这几种情况"}, cause.Text{
			EN: fmt.Sprintf("sudo ss -ltnp 'sport = :%d'\n# nginx, haproxy, stunnel …: a proxy; is the broker behind it running, and does it expect the PROXY header that the proxy sends?\n# docker-proxy: does the broker in the container listen on 0.0.0.0?\n# the broker itself: are all connections taken (max_connections)?", p.target.Port),
			ZH: fmt.Sprintf("sudo ss -ltnp 'sport = :%d'\n# nginx、haproxy、stunnel 等：是代理；后面的服务端在运行吗？它接受代理发送的 PROXY 头吗？\n# docker-proxy：容器里的服务端监听 0.0.0.0 吗？\n# 服务端本身：连接数是否已满（max_connections）？", p.target.Port)}))
	p.found(cause.FDLimit, 35, evidence)
	p.found(cause.RateLimitOrBan, 50, evidence, means("If it works from another address, this one is banned.", "如果换一个地址就能连，说明当前地址被封禁。"))
}

// resetsOf counts the openings of some kinds that were met with a reset.
func (p *patient) resetsOf(said ...string) (n int) {
	return len(where(p.openings, func(o Opening) bool {
		return o.Port == p.target.Port && o.Heard == HearReset && slices.Contains(said, o.Said)
	}))
}

// unclear: the connection is closed upon what was said, and nothing else is known.
func (p *patient) unclear(failed []int) {
	if p.strangers(failed) {
		return
	}
	if r := p.port(); len(r.resets) >= 4 && r.closed == len(r.resets)-p.resetsOf(SayProxyV1, SayProxyV2, SayPieces) {
		evidence := slices.Concat(failed, r.resets)
		p.found(cause.CarrierOrCorpBlocksPort, 56, evidence, means("Port %d opens and keeps silent, and whatever is said there is met with a reset at once, as filters on the way do it.", "端口 %d 能连上且没有动静，但无论发送什么都立即被重置，途中的过滤设备就是这样做的。", p.target.Port),
			step(cause.Text{EN: "To find out", ZH: "确认方法"}, cause.Text{EN: "Try from another network, such as mobile data: if it works there, it is the filter of this one.", ZH: "换一个网络（例如移动数据）再试：如果正常，就是当前网络的过滤设备。"}))
		p.found(cause.ProxyProtocolMismatch, 54, evidence)
		p.found(cause.PortTaken, 50, evidence)
		return
	}
	what := means("The port takes the connection and closes it when MQTT begins.", "端口接受了连接，但一开始 MQTT 通信就断开。")
	if p.own() && p.client != nil && p.client.Docker {
		p.found(cause.DockerDefaultConf, 50, failed, what)
	}
	p.found(cause.ProxyProtocolMismatch, 52, failed, what)
	p.found(cause.PortTaken, 56, failed, means("Port %d may belong to a program that is no MQTT broker.", "端口 %d 可能属于一个不是 MQTT 服务端的程序。", p.target.Port))
	p.found(cause.RateLimitOrBan, 30, failed)
	p.found(cause.ProtocolVersion, 20, failed)
}
