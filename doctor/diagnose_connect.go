package doctor

import (
	"slices"
	"strings"

	"picket/cause"
)

// upgrade: does HTTP become WebSocket?
func (p *patient) upgrade() bool {
	plain := where(p.upgrades, func(u Upgrade) bool { return u.Variant == Plainly })
	if len(plain) == 0 {
		return false
	}
	u := plain[0]
	at := []int{u.at}
	switch u.fact.Result {
	case Upgraded:
		if u.fact.NoUpgrade {
			p.found(cause.WSUpgradeInvalid, 84, at, means("The answer says 101, and does not say Upgrade: websocket in HTTP/1.1, as belongs to it: something in between takes headers out, or the server's program writes the answer wrongly. Clients close such a WebSocket.", "应答是 101，却没有按 HTTP/1.1 的要求带上 Upgrade: websocket：中间有设备删掉了头部，或服务端程序的应答写错了。客户端会关闭这样的 WebSocket。"))
			p.found(cause.ProxyNoUpgrade, 60, at)
			return true
		}
		if u.fact.Confirmed() && u.fact.WrongKey {
			p.found(cause.WSUpgradeInvalid, 84, at, means("The answer says 101, and does not belong to the request (Sec-WebSocket-Accept is wrong or missing): something in between answers by itself or changes the headers. Clients close such a WebSocket.", "应答是 101，但与请求不符（Sec-WebSocket-Accept 错误或缺失）：中间有设备自行应答或改动了请求头。客户端会关闭这样的 WebSocket。"))
			p.found(cause.ProxyNoUpgrade, 60, at)
			return true
		}
		if u.fact.Confirmed() {
			return false
		}
		if u.fact.Subprotocol != "" {
			p.found(cause.WSSubprotocol, 95, at, means("The server opens the WebSocket for the subprotocol %s, which was not asked for; clients close it then.", "服务端建立的 WebSocket 使用了并未请求的子协议 %s；客户端会因此关闭连接。", u.fact.Subprotocol))
			return true
		}
		p.found(cause.WSSubprotocol, 94, at, means("The server opens the WebSocket without confirming the subprotocol mqtt; browsers close it then.", "服务端建立了 WebSocket，但没有确认子协议 mqtt；浏览器会因此关闭连接。"))
	case Answered:
		p.status(u)
	case Alerted:
		p.lateAlert(u.fact.Alert, at)
	default:
		http2 := places(where(p.handshakes, func(h Handshake) bool { return h.Variant == HTTP2ALPN && h.ALPN == "h2" }))
		if (len(http2) > 0 || strings.Contains(u.fact.Bytes, "HTTP/2")) && len(p.port().tlsMQTT) == 0 {
			p.found(cause.H2ALPN, 88, append(at, http2...))
			break
		}
		if !p.mismatch(at) && !p.hungUpOnRequest(u) && !p.silentOnRequest(u) {
			p.unanswered(at)
		}
	}
	return true
}

// hungUpOnRequest: a web server is there, which answers to nonsense and hangs up on the request: it does not serve this name.
func (p *patient) hungUpOnRequest(u seen[Upgrade]) bool {
	web := where(p.openings, func(o Opening) bool { return o.Port == p.target.Port && o.Heard == HearHTTP })
	if len(web) == 0 || u.fact.Result != WasClosed && u.fact.Result != WasReset {
		return false
	}
	evidence := append(places(web), u.at)
	p.found(cause.WSPath, 68, evidence, means("A web server is at port %d, and hangs up on a request for %s at %s: it does not serve this name or path. Use the name that the broker's site has.", "端口 %[1]d 上有网页服务器，但对 %[3]s 的 %[2]s 请求直接挂断：它不为该名称或路径提供服务。请使用站点配置的域名。", p.target.Port, u.fact.Path, p.target.Host))
	p.found(cause.RateLimitOrBan, 54, evidence)
	return true
}

// silentOnRequest: a web server is there, which answers to nonsense at once and not to the request: it waits for the program behind it.
func (p *patient) silentOnRequest(u seen[Upgrade]) bool {
	web := where(p.openings, func(o Opening) bool { return o.Port == p.target.Port && o.Heard == HearHTTP && o.Said != SayHTTP })
	if len(web) == 0 || u.fact.Result != TimedOut {
		return false
	}
	p.end = cause.Upgrade
	evidence := append(places(web), u.at)
	p.found(cause.BrokerSilent, 74, evidence, means("A web server is at port %d, which answers at once to what it does not understand, and says nothing to a request for %s: it waits for the broker behind it, which hangs or is not reached.", "端口 %d 上有网页服务器，对看不懂的数据会立即回应，对 %s 的请求却没有任何应答：它在等待后面的服务端，而服务端卡住了或连不上。", p.target.Port, u.fact.Path),
		not(cause.PortTaken, "the port does speak HTTP", "该端口使用的就是 HTTP"))
	p.found(cause.BrokerNotRunning, 54, evidence)
	p.found(cause.HostFirewallDrop, 45, evidence, means("A firewall between the two may drop what the proxy sends.", "代理和服务端之间的防火墙可能丢弃了数据。"))
	return true
}

// again is an upgrade of a variant that succeeded.
func (p *patient) again(variant string) []seen[Upgrade] {
	return where(p.upgrades, func(u Upgrade) bool { return u.Variant == variant && u.Result == Upgraded })
}

// status: an HTTP response that is no upgrade.
func (p *patient) status(u seen[Upgrade]) {
	f := u.fact
	at := []int{u.at}
	if id := ReasonCause(f.Body); id != "" {
		p.coded(id, u.at, f.Body, "")
		return
	}
	if paths := p.again(OtherPath); len(paths) > 0 {
		works := paths[0].fact.Path
		t := p.as(p.target.Scheme)
		t.Path = works
		p.found(cause.WSPath, 96, append(at, paths[0].at), step(cause.Text{EN: "Enter in the app", ZH: "在应用中填写"}, t.Form()),
			means("The path %s is answered with status %d; at %s there is a WebSocket.", "路径 %s 返回状态码 %d；%s 才是 WebSocket。", f.Path, f.Status, works),
			not(cause.ProxyNoUpgrade, "at another path the upgrade succeeds", "换一个路径就能升级成功"))
		return
	}
	if origins := slices.Concat(p.again(NoOrigin), p.again(WithOrigin)); len(origins) > 0 {
		p.found(cause.WSOrigin, 95, append(at, origins[0].at), means("With another origin the same request succeeds.", "换一个来源（Origin）后同样的请求就能成功。"))
		return
	}
	if bare := p.again(NoSubprotocol); len(bare) > 0 {
		p.found(cause.WSSubprotocol, 92, append(at, bare[0].at), means("Without the subprotocol mqtt the same request succeeds.", "不带子协议 mqtt 时同样的请求能成功。"))
		return
	}
	if old := p.again(OldSubprotocol); len(old) > 0 {
		p.found(cause.WSSubprotocol, 94, append(at, old[0].at), means("With the subprotocol mqttv3.1 the same request succeeds: the server is an old one, and knows this name alone.", "改用子协议 mqttv3.1 时同样的请求能成功：服务端较旧，只认识这个名称。"))
		return
	}
	if f.Versions != "" && f.Versions != "13" {
		p.found(cause.WSUpgradeInvalid, 76, at, means("The server wants WebSocket of version %s; clients speak version 13 (RFC 6455).", "服务端要求 WebSocket 版本 %s；客户端使用的是版本 13（RFC 6455）。", f.Versions))
		p.found(cause.ProxyNoUpgrade, 56, at)
		return
	}
	if r := p.port(); len(r.mqtt) > 0 && !p.secure() || len(r.tlsMQTT) > 0 {
		p.mismatch(at)
		return
	}
	if rested := p.again(Rested); len(rested) > 0 {
		p.found(cause.RateLimitOrBan, 92, append(at, rested[0].at),
			means("The request is answered with status %d, and after five seconds in which nothing was tried with a WebSocket: somebody counts this address's requests by time.", "请求返回状态码 %d，停顿五秒之后同样的请求却成功：有设备在按时间限制本地址的请求次数。", f.Status))
		return
	}
	if p.inFront(u) {
		return
	}
	p.statusCode(u)
}

// statusCode: nothing but the status tells.
func (p *patient) statusCode(u seen[Upgrade]) {
	f, at := u.fact, []int{u.at}
	notPath := not(cause.WSPath, "none of the usual paths (/mqtt, /, /ws) is a WebSocket", "常见路径（/mqtt、/、/ws）都不是 WebSocket")
	switch {
	case f.Status == 502 || f.Status == 503 || f.Status == 504:
		p.badGateway(u, notPath)
	case f.Status >= 300 && f.Status < 400 && strings.HasPrefix(f.Location, "https://") && p.target.Scheme == "ws":
		p.found(cause.PlainToTLSPort, 85, at, p.instead("wss"), means("The server sends plain connections to https: use wss://.", "服务端把明文连接重定向到 https：请使用 wss://。"))
		p.found(cause.CaptivePortalOrAPIsolation, 35, at)
	case f.Status >= 300 && f.Status < 400, f.Status == 511:
		p.found(cause.CaptivePortalOrAPIsolation, 62, at, means("The answer leads elsewhere (%s), as the login page of a Wi-Fi does.", "应答把你引向别处（%s），Wi-Fi 的认证页面就是这样。", f.Location))
		p.found(cause.WSPath, 50, at)
	case f.Status == 403:
		p.forbidden(u, notPath)
		p.found(cause.ICPSNIBlock, 35, at)
	case f.Status == 404 || f.Status == 405 || f.Status == 410:
		p.found(cause.WSPath, 82, at, means("There is a web server, and none of the usual paths (/mqtt, /, /ws) is a WebSocket.", "这是一个网页服务器，常见路径（/mqtt、/、/ws）都不是 WebSocket。"), p.caddys(f))
		p.found(cause.ProxyNoUpgrade, 45, at)
	case f.Status == 400 || f.Status == 426:
		p.found(cause.ProxyNoUpgrade, 72, at, notPath, means("The server has not seen the request as one for WebSocket (status %d): a proxy on the way has taken the Upgrade header off.", "服务端没有把它当作 WebSocket 请求（状态码 %d）：途中的代理去掉了 Upgrade 头。", f.Status))
		p.found(cause.WSSubprotocol, 45, at)
	case f.Status == 200:
		p.found(cause.ProxyNoUpgrade, 60, at, means("A web page comes back in place of a WebSocket.", "返回的是网页而不是 WebSocket。"), p.caddys(f))
		p.found(cause.WSPath, 58, at, p.caddys(f))
		p.found(cause.CaptivePortalOrAPIsolation, 35, at)
	default:
		p.found(cause.ProxyNoUpgrade, 55, at, notPath)
		p.found(cause.WSPath, 50, at)
	}
}

// ownUpgrade are reverse proxies that pass Upgrade on by themselves, as they call themselves in the header Server.
var ownUpgrade = []string{"caddy", "traefik", "envoy", "haproxy"}

// badGateway: a reverse proxy does not get an answer from the broker. mosquitto hangs up on a request that is not for a WebSocket, so that a
// proxy that does not pass Upgrade on says the same as one without a broker behind it.
func (p *patient) badGateway(u seen[Upgrade], notPath detail) {
	at, f := []int{u.at}, u.fact
	passes := slices.ContainsFunc(ownUpgrade, func(name string) bool { return strings.Contains(strings.ToLower(f.Server), name) }) || f.Status != 502
	running, upgrade := 64, 60
	if passes {
		running, upgrade = 80, 35
	}
	tell := step(cause.Text{EN: "On the server, to tell the two apart (the port is the one in the proxy's configuration)", ZH: "在服务器上区分这两种情况（端口以代理配置中的为准）"}, cause.Text{
		EN: "curl -i http://127.0.0.1:9001/\n# could not connect: the broker does not run, or listens elsewhere\n# empty reply: the broker is there, and the proxy does not pass Upgrade on",
		ZH: "curl -i http://127.0.0.1:9001/\n# 无法连接：服务端没有运行，或监听在别处\n# 空应答：服务端在运行，是代理没有转发 Upgrade",
	})
	p.found(cause.BrokerNotRunning, running, at, means("A reverse proxy answers (status %d): it does not reach the broker behind it, or the broker hangs up on it.", "反向代理返回状态码 %d：它连不上后面的服务端，或者被服务端挂断。", f.Status), notPath, tell, p.caddys(f))
	p.found(cause.ProxyNoUpgrade, upgrade, at, means("mosquitto hangs up on a request from which the proxy has taken the Upgrade header, which looks the same from here.", "如果代理没有转发 Upgrade 头，mosquitto 会直接挂断，从这里看结果相同。"), tell, p.caddys(f))
	if passes && f.Status == 502 {
		p.found(cause.WSToTCPPort, 52, at, means("The port that the proxy leads to may be the broker's plain MQTT port: it has to be one with protocol websockets. An empty reply on the server (below) says so.", "代理指向的可能是服务端的普通 MQTT 端口：必须指向 protocol websockets 的监听。如果在服务器上用下面的命令得到空应答，就是这种情况。"), tell)
	}
	p.found(cause.SELinuxDenied, 40, at)
	if f.Status == 503 {
		p.found(cause.OverloadOrStorm, 38, at)
	}
}

// forbidden: status 403. What was asked with an origin and without one tells whether that is the reason.
func (p *patient) forbidden(u seen[Upgrade], notPath detail) {
	at := []int{u.at}
	origin, banned := 62, 52
	tried := where(p.upgrades, func(o Upgrade) bool { return (o.Variant == WithOrigin || o.Variant == NoOrigin) && o.Status == 403 })
	if len(tried) > 0 && u.fact.Origin == "" { // no page's origin was claimed, and the server's own one does not help
		origin, banned = 54, 66
	}
	at = append(at, places(tried)...)
	p.found(cause.WSOrigin, origin, at, notPath)
	p.found(cause.RateLimitOrBan, banned, at, means("The server forbids the request (status 403): its list of allowed and denied addresses does not let this one in. If it works from another network, that is it.", "服务器禁止该请求（状态码 403）：其允许/拒绝地址列表没有放行当前地址。换个网络能连上即可确认。"))
	p.found(cause.ICPSNIBlock, 35, at)
}

// lateAlert: with TLS 1.3 a client learns after the handshake that its certificate, or the lack of one, is not accepted.
func (p *patient) lateAlert(alert int, at []int) {
	p.end = cause.TLS
	for _, h := range p.handshakes {
		if h.fact.Variant == Plainly {
			at = append(at, h.at)
			if h.fact.Wanted || slices.Contains(certificateAlerts, alert) {
				p.clientCertificate(alert, h.fact.Given, at)
				return
			}
		}
	}
	p.found(cause.TLSHandshakeFailed, 70, at, means("After the handshake the server ends TLS with alert %s.", "握手之后服务端以告警 %s 结束 TLS。", alertName(alert)))
}

// connect: is CONNECT accepted?
func (p *patient) connect() bool {
	tries := where(p.connects, func(c Connect) bool { return c.Result != Failed })
	if len(p.connects) == 0 {
		return false
	}
	own := where(tries, func(c Connect) bool { return !c.Trial })
	if len(own) == 0 {
		own = where(p.connects, func(c Connect) bool { return !c.Trial })
	}
	accepted := where(own, func(c Connect) bool { return c.Result == Accepted })
	if len(accepted) > 0 {
		p.partly(where(p.connects, func(c Connect) bool { return !c.Trial }), accepted)
		return false
	}
	if len(own) == 0 {
		return false
	}
	p.refusedConnect(own)
	return true
}

// partly: accepted in one way and not in another.
func (p *patient) partly(own, accepted []seen[Connect]) {
	if p.counted(own, accepted[0]) {
		return
	}
	if p.byChance(own) {
		return
	}
	for _, c := range own {
		usual := c.fact.Version == "3.1.1" || c.fact.Version == "5.0"
		if c.fact.Result == Accepted || !usual || c.fact.ID == GivenID {
			continue
		}
		if longest := p.longestKeepAlive(); c.fact.Result == Refused && c.fact.Code == 2 && longest > 0 && longest < c.fact.KeepAlive {
			p.found(cause.KeepaliveRefused, 94, append(places(p.announced), c.at, accepted[0].at),
				means("The broker's longest keep alive is %d seconds. MQTT 5 clients are told so and keep it; this one asked for %d and is refused.", "服务端允许的 keepalive 最长 %d 秒。MQTT 5 客户端会得到通知并遵守；而这里请求的是 %d 秒，因此被拒绝。", longest, c.fact.KeepAlive))
			continue
		}
		if c.fact.Result == Failed || c.fact.Result == Refused && slices.Contains([]int{3, 0x88, 0x89, 0x97, 0x9F}, c.fact.Code) {
			p.oneOfSeveral(c, accepted[0])
			continue
		}
		if same := where(accepted, func(a Connect) bool { return a.Version == c.fact.Version }); len(same) > 0 {
			p.diedOut(c, same)
			continue
		}
		p.found(cause.ProtocolVersion, 88, []int{c.at, accepted[0].at},
			means("MQTT %s is refused and MQTT %s is accepted.", "MQTT %s 被拒绝，MQTT %s 被接受。", c.fact.Version, accepted[0].fact.Version))
	}
	for _, c := range accepted {
		switch {
		case c.fact.User == "" && p.internet() && c.fact.Version != "3.1":
			p.found(cause.OpenToEveryone, 90, []int{c.at}, means("The broker at this public address lets in clients without a user name.", "这个公网地址上的服务端允许匿名客户端登录。"))
		case c.fact.slow() && c.fact.Ms > 10*c.fact.ConnectMs:
			if quick := where(p.trips, func(r RoundTrips) bool { return r.Answered == r.Sent && !r.slow() && !r.Lossy() }); len(quick) > 0 {
				p.found(cause.AuthBackendDown, 72, append(places(quick), c.at), means("The login took %v, and everything after it is quick: what checks the users (a database, a directory, a web service) is slow.", "登录用了 %v，之后的一切都很快：是校验用户的系统（数据库、目录服务、网络服务）慢。", c.fact.Ms))
				p.found(cause.Overloaded, 40, []int{c.at})
				continue
			}
			p.found(cause.Overloaded, 60, []int{c.at}, means("The login took %v, while the network needs %v there and back: the broker itself is slow.", "登录用了 %v，而网络往返只需 %v：是服务端自己慢。", c.fact.Ms, c.fact.ConnectMs))
			p.found(cause.AuthBackendDown, 45, []int{c.at})
		}
	}
}

// diedOut: a login was accepted, and the same one comes to nothing later.
func (p *patient) diedOut(c seen[Connect], same []seen[Connect]) {
	evidence := append(places(same), c.at)
	p.found(cause.ConnectionLost, 66, evidence, means("MQTT %s was accepted, and the same login gets no answer a little later: the way worked for a while, and does not any more. Something on it lets so many bytes, packets or connections pass, or it broke off meanwhile.", "MQTT %s 登录先是成功，稍后同样的登录却没有应答：线路通了一阵就不通了。途中有设备只放行一定数量的字节、数据包或连接，或者线路在此期间中断。", c.fact.Version),
		not(cause.ProtocolVersion, "the very same version was accepted before", "同一版本先前被接受"))
	p.found(cause.RateLimitOrBan, 60, evidence)
}

// counted: the way that was accepted has failed when it was tried once more, so that it is not the version, or none of it at all, that is not liked.
func (p *patient) counted(own []seen[Connect], works seen[Connect]) bool {
	cut := func(c Connect) bool {
		return c.Result == Failed || c.Result == WasClosed || c.Result == WasReset || c.Result == TimedOut
	}
	once, again := where(own, cut), where(p.connects, func(c Connect) bool { return c.Trial && c.Version == works.fact.Version && cut(c) })
	if len(again) == 0 || len(once) == 0 {
		return false
	}
	evidence := append(places(once), append(places(again), works.at)...)
	fit := 84
	if rested := where(p.connects, func(c Connect) bool { return c.Rested && c.Result == Accepted }); len(rested) > 0 {
		fit, evidence = 88, append(evidence, places(rested)...)
	}
	p.found(cause.RateLimitOrBan, fit, evidence,
		means("One login was accepted, and the next ones are cut off, even in the very same way: somebody counts connections by time, or takes only so many.", "前一次登录成功，紧接着的都被切断，即使方式完全相同：有设备在按时间限制连接次数，或连接数有上限。"),
		not(cause.ProtocolVersion, "the version that was accepted is cut off as well", "先前被接受的版本再试也被切断"))
	p.found(cause.MaxConnections, 58, evidence)
	p.found(cause.LossyNetwork, 50, evidence)
	return true
}

// byChance: a login was cut off, and the very same is accepted when it is tried once more.
func (p *patient) byChance(own []seen[Connect]) bool {
	for _, c := range own {
		if c.fact.Result != WasClosed && c.fact.Result != WasReset && c.fact.Result != Failed {
			continue
		}
		again := where(p.connects, func(t Connect) bool {
			return t.Trial && t.Version == c.fact.Version && t.ID == c.fact.ID && t.Result == Accepted
		})
		if len(again) == 0 {
			continue
		}
		evidence := append(places(again), c.at)
		if c.fact.Ms > 1000+20*c.fact.Busy && again[0].fact.Ms < c.fact.Ms/2 { // who counts connections does not think about it for so long
			p.found(cause.BrokerNotRunning, 68, evidence, means("A login was cut off after %v without an answer, and the very same was accepted shortly afterwards within %v: behind this address there are several brokers, what deals the connections out tries one of them in vain, and gives up.", "一次登录在 %v 后没有应答就被切断，稍后完全相同的登录在 %v 内成功：该地址后面有多台服务端，负责分发的设备连接其中一台失败后放弃。", c.fact.Ms, again[0].fact.Ms),
				step(cause.Text{EN: "Have the balancer ask its servers whether they are there, and leave out those that are not (HAProxy; nginx does so with max_fails)", ZH: "让负载均衡检查后端是否存活，并跳过失效的后端（HAProxy；nginx 用 max_fails）"}, same("backend mqtt\n    option redispatch\n    server a 10.0.0.11:1883 check\n    server b 10.0.0.12:1883 check")))
			p.found(cause.MaxConnections, 52, evidence)
			p.found(cause.RateLimitOrBan, 50, evidence)
			return true
		}
		p.found(cause.RateLimitOrBan, 66, evidence, means("A login was cut off without an answer, and the very same was accepted shortly afterwards: somebody counts connections, takes only so many, or of several servers behind one address one does not work.", "一次登录没有应答就被切断，稍后完全相同的登录却成功：有设备在限制连接数或次数，或者同一地址后面的多台服务器中有一台不正常。"),
			not(cause.ProtocolVersion, "the same version is accepted as well", "同一版本也能被接受"))
		p.found(cause.MaxConnections, 60, evidence)
		p.found(cause.LossyNetwork, 50, evidence)
		return true
	}
	return false
}

// oneOfSeveral: of logins one after the other, one came to nothing for a reason that is not its own.
func (p *patient) oneOfSeveral(c, works seen[Connect]) {
	at := []int{c.at, works.at}
	if c.fact.Result == Failed {
		p.found(cause.RateLimitOrBan, 78, at,
			means("One login was accepted, and for the next no connection came about: somebody counts connections by time, or takes only so many.", "前一次登录成功，紧接着的一次却连接不上：有设备在按时间限制连接次数，或连接数有上限。"))
		p.found(cause.MaxConnections, 55, at)
		return
	}
	p.found(cause.ServerFull, 70, at, means("One login was accepted, and another refused for lack of room.", "有的登录成功，有的因没有空位被拒绝。"))
	p.found(cause.RateLimitOrBan, 55, at)
	p.found(cause.Overloaded, 52, at)
}

// longestKeepAlive is the keep alive that the broker has announced, in seconds; 0 if it has not.
func (p *patient) longestKeepAlive() int {
	for _, a := range p.announced {
		if a.fact.KeepAlive != nil {
			return *a.fact.KeepAlive
		}
	}
	return 0
}

// internet tells whether the target is at a public address.
func (p *patient) internet() bool {
	return slices.ContainsFunc(p.addresses, func(a seen[Address]) bool { return a.fact.Class == Public && !a.fact.Own && a.fact.Near == "" })
}

// refusedConnect: no CONNECT was accepted.
func (p *patient) refusedConnect(own []seen[Connect]) {
	for _, c := range own { // what the broker itself says
		if c.fact.ReasonID != "" {
			p.coded(c.fact.ReasonID, c.at, c.fact.Reason, c.fact.Reference)
			return
		}
	}
	// With TLS 1.3 an alert races with the end of the connection; one that has arrived tells about all.
	for _, c := range p.connects {
		if c.fact.Result == Alerted {
			p.lateAlert(c.fact.Alert, []int{c.at})
			return
		}
	}
	// MQTT 5 has the finer codes.
	best := own[0]
	for _, c := range own {
		if c.fact.Result == Refused && (best.fact.Result != Refused || c.fact.Version == "5.0" && c.fact.Code != 0x84) {
			best = c
		}
	}
	evidence := places(where(own, func(c Connect) bool { return c.Result == best.fact.Result }))
	switch best.fact.Result {
	case Refused:
		p.code(best, evidence)
	case TimedOut:
		if !p.mismatch(evidence) {
			p.mute(best, evidence)
		}
	default:
		if !p.mismatch(evidence) {
			p.hungUp(own, evidence)
		}
	}
}

// mute: CONNECT is met with silence.
func (p *patient) mute(c seen[Connect], evidence []int) {
	r := p.port()
	if len(r.tls) > 0 && p.secure() && r.silentInside > 0 && r.silentInside == r.saidInside {
		p.found(cause.BrokerSilent, 76, slices.Concat(evidence, r.tls), means("TLS works at port %d, and whatever is said inside of it is met with silence: what ends TLS there is well, and the broker behind it hangs.", "端口 %d 的 TLS 正常，但在其中无论发送什么都没有回应：终结 TLS 的部分是好的，后面的服务端卡住了。", p.target.Port))
		p.found(cause.AuthBackendDown, 52, evidence)
		p.found(cause.Overloaded, 45, evidence)
		return
	}
	if p.webSocket() && len(p.again(Plainly)) > 0 {
		p.found(cause.BrokerSilent, 72, evidence, means("The WebSocket opens, and MQTT within it is met with silence: the broker behind what opens the WebSocket hangs, or nothing is handed on to it.", "WebSocket 能建立，但其中的 MQTT 没有任何回应：后面的服务端卡住了，或者数据没有转给它。"))
		p.found(cause.AuthBackendDown, 54, evidence)
		p.found(cause.WSPath, 40, evidence)
		return
	}
	if r.closed > 0 && len(r.shut) == 0 { // it ends connections that are not MQTT, so it is there and waits for something else
		p.found(cause.AuthBackendDown, 70, evidence,
			means("The broker hangs up on what is not MQTT, and does not answer a CONNECT: it waits for something, such as the service that checks passwords.",
				"服务端会断开不是 MQTT 的连接，却不应答 CONNECT：它在等待别的东西，例如校验密码的系统。"),
			not(cause.BrokerSilent, "the program behind the port does react", "端口后面的程序有反应"))
		p.found(cause.Overloaded, 50, evidence)
		return
	}
	p.unanswered(evidence)
}

// hungUp: the connection ends upon CONNECT.
func (p *patient) hungUp(own []seen[Connect], evidence []int) {
	if p.overWebSocket(own, evidence) {
		return
	}
	trials := where(p.connects, func(c Connect) bool { return c.Trial && c.Result == Accepted })
	if len(trials) > 0 && trials[0].fact.Rested {
		p.found(cause.RateLimitOrBan, 86, append(evidence, places(trials)...),
			means("Attempts shortly one after the other are all closed; after five seconds in which nothing was tried the next one is let in: somebody counts this address's connections by time.",
				"接连的尝试全部被断开；停顿五秒之后再试就能连上：有设备在按时间限制本地址的连接次数。"),
			not(cause.MaxConnections, "where all places are taken, a pause does not help", "如果是连接数已满，停顿并没有用"))
		p.found(cause.MaxConnections, 45, evidence)
		return
	}
	if len(trials) > 0 {
		p.found(cause.MaxConnections, 80, append(evidence, places(trials)...),
			means("One attempt is accepted and another is closed without an answer: from time to time there is room.", "有的尝试被接受，有的没有应答就被关闭：时而有空位，时而没有。"))
		p.found(cause.OverloadOrStorm, 50, evidence)
		return
	}
	p.unanswered(evidence)
}

// overWebSocket: the WebSocket was opened, and then MQTT came to nothing.
func (p *patient) overWebSocket(own []seen[Connect], evidence []int) bool {
	if !p.webSocket() || len(p.again(Plainly)) == 0 {
		return false
	}
	for _, o := range p.openings {
		if o.fact.Port == p.target.Port && o.fact.Heard == HearHTTP && slices.Contains([]int{403, 429, 503}, o.fact.Status) {
			p.found(cause.RateLimitOrBan, 86, append(evidence, o.at), means("One request was answered with a WebSocket, and the next ones with status %d: somebody counts this address's requests.", "第一个请求得到了 WebSocket，接下来的请求却返回状态码 %d：有设备在限制本地址的请求次数。", o.fact.Status))
			return true
		}
	}
	if len(where(own, func(c Connect) bool { return c.Result == NotMQTT })) == len(own) {
		p.end = cause.FirstBytes
		path := p.again(Plainly)[0].fact.Path
		p.found(cause.WSPath, 66, evidence, means("At the path %s there is a WebSocket, and what answers there is not MQTT: it belongs to another service. Ask for the broker's path.", "路径 %s 上有 WebSocket，但应答的不是 MQTT：它属于别的服务。请确认 MQTT 使用的路径。", path))
		p.found(cause.PortTaken, 60, evidence)
		return true
	}
	if bad := where(own, func(c Connect) bool { return c.Result == BadFrame }); len(bad) > 0 {
		p.end = cause.Upgrade
		p.found(cause.WSFrameInvalid, 93, evidence, means("The WebSocket opens, and what then comes is not as WebSocket or MQTT want it: %s. Clients end the connection upon it; the fault is in the program that ends WebSocket at the server.", "WebSocket 能建立，但随后收到的帧不符合 WebSocket 或 MQTT 的规定：%s。客户端会因此断开；问题出在服务器一侧处理 WebSocket 的程序。", bad[0].fact.Reason))
		return true
	}
	if closed := where(own, func(c Connect) bool { return c.Close != 0 }); len(closed) > 0 && p.closeCode(closed[0], evidence) {
		return true
	}
	cut := where(own, func(c Connect) bool { return c.Result == WasClosed || c.Result == WasReset })
	if again := where(p.connects, func(c Connect) bool { return c.Trial && c.Result == Accepted }); len(cut) == len(own) && len(again) == 0 {
		p.found(cause.BrokerNotRunning, 70, evidence, means("The WebSocket opens, and is closed as soon as MQTT begins: what opens it is a bridge or a proxy that does not reach the broker behind it.", "WebSocket 能建立，但一开始 MQTT 通信就被关闭：建立 WebSocket 的是一个桥接程序或代理，它连不上后面的服务端。"),
			not(cause.WSPath, "the path is one of a WebSocket for mqtt", "该路径确实是支持 mqtt 子协议的 WebSocket"))
		p.found(cause.MaxConnections, 58, evidence)
		p.found(cause.WSPath, 40, evidence)
		return true
	}
	return false
}

// deniedWords stand in the reasons of those who want to know who somebody is.
var deniedWords = []string{"auth", "login", "credential", "token", "forbidden", "denied", "permission", "not allowed"}

// closeCode: the WebSocket was closed with a code that tells (RFC 6455, 7.4.1, and the registry after it).
func (p *patient) closeCode(c seen[Connect], evidence []int) bool {
	f := c.fact
	said := means("The WebSocket opens, and is closed as soon as MQTT begins, with code %d %q.", "WebSocket 能建立，但一开始 MQTT 通信就被关闭，代码 %d“%s”。", f.Close, f.Reason)
	reason := strings.ToLower(f.Reason)
	switch {
	case f.ReasonID != "":
		p.coded(f.ReasonID, c.at, f.Reason, "")
	case slices.ContainsFunc(deniedWords, func(w string) bool { return strings.Contains(reason, w) }):
		login := cause.AnonymousRefused
		if f.User != "" {
			login = cause.BadCredentials
		}
		p.found(login, 78, evidence, said)
	case f.Close == 1008:
		p.found(cause.RateLimitOrBan, 60, evidence, said)
		p.found(cause.AnonymousRefused, 54, evidence, said)
		p.found(cause.WSOrigin, 50, evidence)
	case f.Close == 1012:
		p.found(cause.MaintenanceOrReload, 76, evidence, said)
	case f.Close == 1013:
		p.found(cause.Overloaded, 78, evidence, said)
	case f.Close == 1009:
		p.found(cause.PacketTooLarge, 78, evidence, said)
	case f.Close == 1002, f.Close == 1003, f.Close == 1007:
		p.found(cause.WSFrameInvalid, 66, evidence, said)
		p.found(cause.WSPath, 58, evidence)
	default:
		return false
	}
	return true
}

// code: CONNECT is refused with a code.
func (p *patient) code(c seen[Connect], evidence []int) {
	f := c.fact
	if f.Version != "5.0" {
		f.Code = map[int]int{1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}[f.Code]
	}
	notNetwork := not(cause.HostFirewallDrop, "the broker itself has answered", "是服务端自己作出了应答")
	slow := f.slow() && f.Ms > 5*f.ConnectMs
	switch f.Code {
	case 0x84:
		p.found(cause.ProtocolVersion, 90, evidence, notNetwork)
	case 0x85:
		p.identifier(evidence)
	case 0x86:
		if f.User != "" {
			p.found(cause.BadCredentials, 94, evidence, notNetwork)
		} else {
			p.found(cause.AnonymousRefused, 88, evidence, notNetwork)
		}
	case 0x87:
		p.notAuthorized(f, evidence, notNetwork, slow)
	case 0x88:
		p.unavailable(evidence, slow)
	case 0x89:
		p.found(cause.Overloaded, 85, evidence, notNetwork)
		p.found(cause.ServerFull, 45, evidence)
	case 0x8A:
		p.found(cause.RateLimitOrBan, 94, evidence, notNetwork)
	case 0x8B:
		p.found(cause.ServerShuttingDown, 90, evidence)
	case 0x8C:
		p.found(cause.AuthMethodUnknown, 90, evidence)
	case 0x95:
		p.found(cause.PacketTooLarge, 90, evidence)
	case 0x97:
		p.found(cause.ServerFull, 90, evidence, notNetwork)
	case 0x9C, 0x9D:
		more := []detail{notNetwork}
		if f.Reference != "" {
			more = append(more, step(cause.Text{EN: "The server to use instead", ZH: "改用这台服务器"}, same(f.Reference)))
		}
		p.found(cause.Maintenance, 90, evidence, more...)
	case 0x9F:
		p.found(cause.RateLimitOrBan, 88, evidence, notNetwork)
		p.found(cause.OverloadOrStorm, 50, evidence)
	case 0x90, 0x9A, 0x9B:
		p.found(cause.WillRefused, 60, evidence)
	default:
		p.found(cause.ProtocolViolation, 40, evidence)
		p.found(cause.AuthBackendDown, 35, evidence)
	}
}

// identifier: the client identifier, or something else in CONNECT that the code stands for, is not accepted.
func (p *patient) identifier(evidence []int) {
	kept := where(p.connects, func(c Connect) bool { return c.Trial && c.Result == Accepted && c.KeepAlive != p.keepAlive() })
	if len(kept) > 0 {
		p.found(cause.KeepaliveRefused, 95, append(evidence, places(kept)...),
			means("With a keep alive of %d seconds the same CONNECT is accepted.", "keepalive 改为 %d 秒后，同样的 CONNECT 就被接受。", kept[0].fact.KeepAlive),
			not(cause.ClientIDRefused, "the identifiers are of the same kind", "clientId 的形式相同"))
		return
	}
	p.found(cause.ClientIDRefused, 70, evidence)
	p.found(cause.ClientIDPrefix, 55, evidence, means("Try with the identifier that the client uses: --id.", "用客户端实际使用的 clientId 再试：--id。"))
	p.found(cause.KeepaliveRefused, 50, evidence)
}

// keepAlive is the keep alive of the user's own attempts.
func (p *patient) keepAlive() int {
	for _, c := range p.connects {
		if !c.fact.Trial {
			return c.fact.KeepAlive
		}
	}
	return defaultKeepAlive
}

// notAuthorized is what mosquitto answers to everything that is wrong with a login.
func (p *patient) notAuthorized(f Connect, evidence []int, notNetwork detail, slow bool) {
	random := where(p.connects, func(c Connect) bool { return c.ID == RandomID && c.Result == Accepted })
	if f.ID == GivenID && len(random) > 0 {
		p.found(cause.ClientIDPrefix, 88, append(evidence, places(random)...), means("A random identifier is accepted and the given one is not.", "随机的 clientId 被接受，而指定的不被接受。"))
		return
	}
	if f.User == "" {
		p.found(cause.AnonymousRefused, 93, evidence, notNetwork,
			step(cause.Text{EN: "To try it here with a user", ZH: "带用户名在此重试"}, same("picket doctor "+p.url()+" --user NAME --ask-password")),
			not(cause.BadCredentials, "no user name was sent", "没有发送用户名"))
		p.found(cause.ClientIDPrefix, 20, evidence)
		return
	}
	anonymous := where(p.connects, func(c Connect) bool { return c.User == "" && c.Result == Accepted })
	more := []detail{notNetwork, not(cause.AnonymousRefused, "a user name was sent", "已发送用户名")}
	if len(anonymous) > 0 {
		more = append(more, means("Without a user name the broker accepts the client; with this user and password it does not.", "不带用户名时服务端接受连接，用这个用户名和密码则不接受。"))
	}
	if strings.TrimSpace(f.User) != f.User {
		more = append(more, means("The user name %q begins or ends with a space, which hardly belongs to it.", "用户名 %q 的开头或结尾有空格，很可能是误输入。", f.User))
	}
	credentials := 92
	if slow {
		credentials = 60
		p.found(cause.AuthBackendDown, 72, evidence, means("The answer took %v, while the network needs %v.", "应答用了 %v，而网络只需 %v。", f.Ms, f.ConnectMs))
	}
	p.found(cause.BadCredentials, credentials, append(evidence, places(anonymous)...), more...)
	p.found(cause.ClientIDPrefix, 25, evidence)
}

// unavailable: the broker is there and takes nobody now.
func (p *patient) unavailable(evidence []int, slow bool) {
	if len(p.port().unavailable) > 0 && p.mismatch(evidence) {
		return
	}
	says := means("The broker is there and says that it takes no clients now.", "服务端在线，但表示现在不接受客户端。")
	if slow {
		p.found(cause.AuthBackendDown, 75, evidence, says)
	} else {
		p.found(cause.AuthBackendDown, 40, evidence, says)
	}
	p.found(cause.Maintenance, 55, evidence, says)
	p.found(cause.ServerFull, 52, evidence, says)
	p.found(cause.Overloaded, 50, evidence, says)
}
