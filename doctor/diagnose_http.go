package doctor

import (
	"net/url"
	"slices"
	"strings"

	"picket/cause"
)

// page is what an HTTP answer in place of a WebSocket tells: by its words, or by its status.
type page struct {
	words    []string // one of them stands in the body, in whatever case
	statuses []int    // one of them is the status
	cause    cause.ID
	fit      int
	says     cause.Text
	instead  string // another scheme to use
	also     map[cause.ID]int
}

// pages are the answers of what stands in front of brokers, the most telling first: nginx, Apache, Go's servers, Cloudflare.
var pages = []page{
	{words: []string{"plain http request was sent to https port", "client sent an http request to an https server", "speaking plain http to an ssl-enabled"},
		cause: cause.PlainToTLSPort, fit: 96, instead: "wss",
		says: cause.Text{EN: "The server says that the port is one of HTTPS, and was spoken to without TLS.", ZH: "服务器说明这是 HTTPS 端口，而请求没有使用 TLS。"}},
	{words: []string{"https:// or wss://"}, cause: cause.PlainToTLSPort, fit: 96, instead: "wss",
		says: cause.Text{EN: "The broker says that the port is one of WebSocket with TLS, and was spoken to without TLS.", ZH: "服务端说明该端口是带 TLS 的 WebSocket，而请求没有使用 TLS。"}},
	{words: []string{"no required ssl certificate was sent"}, cause: cause.ClientCertRequired, fit: 96,
		says: cause.Text{EN: "The proxy in front of the broker demands a client certificate, and says that none was sent.", ZH: "服务端前面的代理要求客户端证书，并说明没有收到证书。"}},
	{words: []string{"the ssl certificate error"}, cause: cause.ClientCertRefused, fit: 94,
		says: cause.Text{EN: "The proxy in front of the broker does not accept the client certificate.", ZH: "服务端前面的代理不接受该客户端证书。"}},
	{words: []string{"error code: 1016", "origin dns error", "error 1016"}, statuses: []int{530}, cause: cause.DNSMissingOrStale, fit: 84,
		says: cause.Text{EN: "The CDN in front answers, and does not find the server behind it: its name there leads nowhere.", ZH: "前面的 CDN 有应答，但它找不到后面的源站：源站域名无法解析。"}},
	{words: []string{"备案", "icp filing", "beian"}, cause: cause.ICPSNIBlock, fit: 90,
		says: cause.Text{EN: "In place of the broker a notice answers that the domain has no ICP filing.", ZH: "应答的是域名未备案的提示页，而不是服务端。"}},
	{words: []string{"just a moment", "cf-chl", "attention required", "captcha"}, cause: cause.CDNProxiedDNS, fit: 80,
		says: cause.Text{EN: "A CDN in front wants to see a browser (a challenge page), which an MQTT client is not.", ZH: "前面的 CDN 要求浏览器验证（质询页面），MQTT 客户端无法通过。"}},
	{statuses: []int{521}, cause: cause.BrokerNotRunning, fit: 86,
		says: cause.Text{EN: "The CDN in front answers that the server behind it refuses connections (521).", ZH: "前面的 CDN 回应：后面的服务器拒绝连接（521）。"}},
	{statuses: []int{522}, cause: cause.SecurityGroupClosed, fit: 72, also: map[cause.ID]int{cause.HostFirewallDrop: 66},
		says: cause.Text{EN: "The CDN in front answers that the server behind it does not answer at all (522): its firewall or security group does not let the CDN in.", ZH: "前面的 CDN 回应：后面的服务器完全没有应答（522），源站防火墙或安全组没有放行 CDN。"}},
	{statuses: []int{523}, cause: cause.HostDown, fit: 72, also: map[cause.ID]int{cause.DNSMissingOrStale: 58},
		says: cause.Text{EN: "The CDN in front finds no way to the server behind it (523).", ZH: "前面的 CDN 找不到通往源站的路由（523）。"}},
	{statuses: []int{520, 524}, cause: cause.BrokerSilent, fit: 70, also: map[cause.ID]int{cause.BrokerNotRunning: 55},
		says: cause.Text{EN: "The CDN in front reaches the server behind it, which does not answer as it should (520, 524).", ZH: "前面的 CDN 能连到源站，但源站没有正常应答（520、524）。"}},
	{statuses: []int{525}, cause: cause.TLSHandshakeFailed, fit: 82,
		says: cause.Text{EN: "The CDN in front cannot do a TLS handshake with the server behind it (525): that has no TLS at its port, or no certificate for the name.", ZH: "前面的 CDN 与源站 TLS 握手失败（525）：源站端口没有 TLS，或没有该域名的证书。"}},
	{statuses: []int{526}, cause: cause.TLSUnknownCA, fit: 82,
		says: cause.Text{EN: "The CDN in front does not trust the certificate of the server behind it (526).", ZH: "前面的 CDN 不信任源站的证书（526）。"}},
	{words: []string{"no server is available to handle this request"}, cause: cause.BrokerNotRunning, fit: 88,
		says: cause.Text{EN: "HAProxy answers, and says that it has no server left: the broker behind it does not run, or fails its health check.", ZH: "HAProxy 应答：没有可用的后端服务器。后面的服务端没有运行，或未通过健康检查。"}},
	{words: []string{"503 service temporarily unavailable"}, cause: cause.RateLimitOrBan, fit: 66, also: map[cause.ID]int{cause.Maintenance: 64, cause.BrokerNotRunning: 40},
		says: cause.Text{EN: "nginx itself answers with status 503, which it does where it counts requests or connections (limit_req, limit_conn) or was told to for the time of maintenance; a broker that is not there would give 502.", ZH: "nginx 自己返回 503：在限制请求或连接次数（limit_req、limit_conn）或维护期间才会这样；后端不在时返回的是 502。"}},
	{statuses: []int{401}, cause: cause.AnonymousRefused, fit: 88,
		says: cause.Text{EN: "What stands in front of the broker wants a login of its own (status 401), before anything of MQTT is said. The user of MQTT does not count there.", ZH: "服务端前面的代理自己要求登录（状态码 401），此时还没有开始 MQTT 通信，MQTT 用户名在这里不起作用。"}},
	{statuses: []int{407}, cause: cause.CarrierOrCorpBlocksPort, fit: 86,
		says: cause.Text{EN: "A proxy of the client's own network wants a login (status 407).", ZH: "客户端所在网络的代理要求登录（状态码 407）。"}},
	{statuses: []int{429}, cause: cause.RateLimitOrBan, fit: 94,
		says: cause.Text{EN: "The server says that there are too many requests from this address (status 429).", ZH: "服务器表示来自该地址的请求过多（状态码 429）。"}},
	{statuses: []int{504}, cause: cause.BrokerSilent, fit: 70, also: map[cause.ID]int{cause.BrokerNotRunning: 60, cause.HostFirewallDrop: 52},
		says: cause.Text{EN: "A reverse proxy waited for the broker behind it in vain (status 504): it hangs, or a firewall between the two drops what is sent.", ZH: "反向代理等不到后面服务端的应答（状态码 504）：服务端卡住了，或两者之间的防火墙丢弃了数据。"}},
}

// inFront: the answer is of something that stands in front of the broker, and says so.
func (p *patient) inFront(u seen[Upgrade]) bool {
	body := strings.ToLower(u.fact.Body)
	for _, g := range pages {
		byWords := slices.ContainsFunc(g.words, func(w string) bool { return strings.Contains(body, w) })
		if !byWords && !slices.Contains(g.statuses, u.fact.Status) {
			continue
		}
		more := []detail{meaning(g.says), not(cause.WSPath, "it is an answer of what stands in front of the broker, at whatever path", "这是服务端前面的设备的应答，与路径无关")}
		if g.instead != "" {
			more = append(more, p.instead(g.instead))
			p.end = cause.FirstBytes
		}
		p.found(g.cause, g.fit, []int{u.at}, more...)
		for id, fit := range g.also {
			p.found(id, fit, []int{u.at}, meaning(g.says))
		}
		return true
	}
	return p.redirected(u) || p.anyPath(u)
}

// loginWords stand in the addresses of pages to log in at.
var loginWords = []string{"login", "signin", "sign_in", "auth", "sso", "oauth", "account"}

// redirected: the answer leads elsewhere within the same host or site.
func (p *patient) redirected(u seen[Upgrade]) bool {
	if u.fact.Status < 300 || u.fact.Status > 399 {
		return false
	}
	to, err := url.Parse(u.fact.Location)
	if err != nil {
		return false
	}
	if works := p.again(Redirected); len(works) > 0 {
		t := p.as(p.target.Scheme)
		t.Path = works[0].fact.Path
		p.found(cause.WSPath, 96, []int{u.at, works[0].at}, step(cause.Text{EN: "Enter in the app", ZH: "在应用中填写"}, t.Form()),
			means("The path %s leads to %s (status %d), where there is a WebSocket; MQTT clients do not follow.", "路径 %s 被重定向到 %s（状态码 %d），那里才是 WebSocket；MQTT 客户端不会跟随重定向。", u.fact.Path, works[0].fact.Path, u.fact.Status))
		return true
	}
	same := to.Host == "" || sameSite(to.Hostname(), p.target.Host)
	login := slices.ContainsFunc(loginWords, func(w string) bool { return strings.Contains(strings.ToLower(to.Path+to.RawQuery+to.Host), w) })
	switch {
	case same && login:
		p.found(cause.AnonymousRefused, 78, []int{u.at}, means("What stands in front of the broker leads to a page to log in at (%s), before anything of MQTT is said.", "服务端前面的代理把请求引到登录页面（%s），此时还没有开始 MQTT 通信。", u.fact.Location),
			not(cause.CaptivePortalOrAPIsolation, "the page belongs to the server's own site", "该页面属于服务器自己的站点"))
		p.found(cause.WSPath, 55, []int{u.at})
		return true
	case same && to.Scheme != "https":
		p.found(cause.WSPath, 76, []int{u.at}, means("The path %s leads to %s on the same server, which is no WebSocket either.", "路径 %s 被重定向到同一服务器的 %s，那里也不是 WebSocket。", u.fact.Path, u.fact.Location))
		return true
	case same && p.target.Scheme == "wss":
		p.found(cause.WSPath, 70, []int{u.at}, means("The answer leads to %s on the same site.", "应答把请求引到同一站点的 %s。", u.fact.Location))
		return true
	}
	return false
}

// sameSite tells whether two hosts share their last two labels.
func sameSite(a, b string) bool {
	last := func(host string) string {
		labels := strings.Split(strings.ToLower(host), ".")
		return strings.Join(labels[max(0, len(labels)-2):], ".")
	}
	return a != "" && (strings.EqualFold(a, b) || strings.Contains(b, ".") && strings.Trim(last(b), "0123456789.") != "" && last(a) == last(b))
}

// anyPath: the same page comes for every path, as applications of one page do.
func (p *patient) anyPath(u seen[Upgrade]) bool {
	if u.fact.Status != 200 {
		return false
	}
	everywhere := where(p.upgrades, func(o Upgrade) bool { return o.Variant == AnyPath && o.Result == Answered })
	if len(everywhere) == 0 {
		return false
	}
	if everywhere[0].fact.Status == 200 {
		p.found(cause.WSPath, 80, []int{u.at, everywhere[0].at}, means("A web page comes for every path, even for one that nobody has made up: an application of one page serves the whole site, and the broker is at a path that was not tried, or at none.",
			"任何路径返回的都是网页，连随意编造的路径也一样：整个站点由单页应用提供，MQTT 在没有试过的路径上，或根本没有配置。"))
		p.found(cause.ProxyNoUpgrade, 52, []int{u.at})
		return true
	}
	p.found(cause.ProxyNoUpgrade, 74, []int{u.at, everywhere[0].at}, means("The path %s exists, since other paths are answered with status %d, and a page comes in place of a WebSocket: the proxy does not pass Upgrade on.",
		"路径 %s 存在（其他路径返回状态码 %d），但得到的是网页而不是 WebSocket：代理没有转发 Upgrade。", u.fact.Path, everywhere[0].fact.Status))
	p.found(cause.WSPath, 52, []int{u.at})
	return true
}
