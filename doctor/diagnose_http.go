package doctor

import (
	"net/url"
	"slices"
	"strings"

	"picket/cause"
)

// inFront: the answer is of something that stands in front of the broker, and says so.
func (p *patient) inFront(u seen[Upgrade]) bool {
	for _, g := range pages {
		if !g.fits(u.fact) {
			continue
		}
		more := []detail{meaning(g.says), not(cause.WSPath, "it is an answer of what stands in front of the broker, at whatever path", "这是服务端前面的设备的应答，与路径无关")}
		if g.cause == cause.ClientCertRequired && slices.ContainsFunc(p.handshakes, func(h seen[Handshake]) bool { return h.fact.Given }) {
			g.cause = cause.ClientCertRefused // one was given, and does not count
		}
		if g.instead != "" {
			more = append(more, p.instead(g.instead))
			p.end = cause.FirstBytes
		}
		if slices.Contains(behindCaddy, g.cause) {
			more = append(more, p.caddys(u.fact))
		}
		p.found(g.cause, g.fit, []int{u.at}, more...)
		for id, fit := range g.also {
			p.found(id, fit, []int{u.at}, meaning(g.says))
		}
		return true
	}
	return p.redirected(u) || p.anyPath(u)
}

// behindCaddy are causes for which it helps to look at how Caddy leads to the broker.
var behindCaddy = []cause.ID{cause.BrokerNotRunning, cause.BrokerSilent, cause.WSPath, cause.ProxyNoUpgrade}

// caddys says, where Caddy stands in front, how its site leads a path to the broker; the instructions for nginx do not help there. Caddy passes Upgrade on
// by itself.
func (p *patient) caddys(u Upgrade) detail {
	return func(f *Finding) {
		if !strings.Contains(strings.ToLower(u.Server), "caddy") {
			return
		}
		path := p.target.Path
		if path == "" || path == "/" || strings.ContainsAny(path, " {}\"`*?#") {
			path = "/mqtt"
		}
		f.Recipes = []string{}
		f.Steps = append(f.Steps, Step{
			Title: cause.Text{EN: "In the Caddyfile, within the site (Caddy stands in front): the port is that of the broker's WebSocket; then sudo systemctl reload caddy", ZH: "前面是 Caddy：写在 Caddyfile 的站点里，端口填服务端的 WebSocket 端口；然后执行 sudo systemctl reload caddy"},
			Lines: same("reverse_proxy " + path + " 127.0.0.1:9001"),
		})
	}
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
	case login && to.Scheme == "https" && to.Host != "":
		p.found(cause.AnonymousRefused, 74, []int{u.at}, means("What stands in front of the broker leads to a service to log in at (%s), before anything of MQTT is said. MQTT clients cannot do that: the way to the broker has to be left out of it.", "服务端前面的代理把请求引到登录服务（%s），此时还没有开始 MQTT 通信。MQTT 客户端无法完成这种登录：需要让到服务端的路径免于登录。", u.fact.Location))
		p.found(cause.CaptivePortalOrAPIsolation, 54, []int{u.at}, means("If every address leads there, it is the login page of this network.", "如果访问任何地址都被引到那里，则是当前网络的认证页面。"))
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
		p.found(cause.WSPath, 80, []int{u.at, everywhere[0].at}, p.caddys(u.fact), means("A web page comes for every path, even for one that nobody has made up: an application of one page serves the whole site, and the broker is at a path that was not tried, or at none.",
			"任何路径返回的都是网页，连随意编造的路径也一样：整个站点由单页应用提供，MQTT 在没有试过的路径上，或根本没有配置。"))
		p.found(cause.ProxyNoUpgrade, 52, []int{u.at})
		return true
	}
	p.found(cause.ProxyNoUpgrade, 74, []int{u.at, everywhere[0].at}, means("The path %s exists, since other paths are answered with status %d, and a page comes in place of a WebSocket: the proxy does not pass Upgrade on.",
		"路径 %s 存在（其他路径返回状态码 %d），但得到的是网页而不是 WebSocket：代理没有转发 Upgrade。", u.fact.Path, everywhere[0].fact.Status))
	p.found(cause.WSPath, 52, []int{u.at})
	return true
}
