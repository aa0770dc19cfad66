package doctor

import (
	"slices"
	"strings"

	"picket/cause"
)

// page is what an HTTP answer in place of a WebSocket tells: by its words, by who sends it, or by its status.
type page struct {
	words    []string // one of them stands in the body, in whatever case
	server   string   // this stands in the header Server, in whatever case; empty: whoever it is
	statuses []int    // one of them is the status
	bare     bool     // nothing stands in the body
	cause    cause.ID
	fit      int
	says     cause.Text
	instead  string // another scheme to use
	also     map[cause.ID]int
}

// fits tells whether an answer is such a page: its server, if the page has one, and its words or its status.
func (g *page) fits(u Upgrade) bool {
	if !strings.Contains(strings.ToLower(u.Server), g.server) || g.bare && u.Body != "" {
		return false
	}
	body := strings.ToLower(u.Body)
	return slices.ContainsFunc(g.words, func(w string) bool { return strings.Contains(body, w) }) || slices.Contains(g.statuses, u.Status)
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
	{words: []string{"error code: 1033", "argo tunnel error"}, cause: cause.BrokerNotRunning, fit: 88,
		says: cause.Text{EN: "Cloudflare answers that the tunnel to the server is not connected (1033): cloudflared does not run there, or has no network.", ZH: "Cloudflare 回应：到服务器的隧道没有连接（1033）。服务器上的 cloudflared 没有运行，或没有网络。"}},
	{words: []string{"error code: 1003", "direct ip access not allowed"}, cause: cause.CDNProxiedDNS, fit: 88,
		says: cause.Text{EN: "Cloudflare answers that it cannot be reached by an address (1003): use the name of the site.", ZH: "Cloudflare 回应：不能用 IP 地址访问（1003），请使用站点的域名。"}},
	{words: []string{"error code: 1020", "error code: 1006", "error code: 1007", "error code: 1008", "error code: 1009", "error code: 1010", "error code: 1012"}, cause: cause.RateLimitOrBan, fit: 92,
		says: cause.Text{EN: "Cloudflare answers that the site's owner does not let this address or this kind of client in.", ZH: "Cloudflare 回应：站点设置了规则，不允许当前地址或此类客户端访问。"}},
	{words: []string{"error code: 1016", "origin dns error", "error 1016"}, statuses: []int{530}, cause: cause.DNSMissingOrStale, fit: 84,
		says: cause.Text{EN: "The CDN in front answers, and does not find the server behind it: its name there leads nowhere.", ZH: "前面的 CDN 有应答，但它找不到后面的源站：源站域名无法解析。"}},
	{words: []string{"备案", "icp filing", "beian"}, cause: cause.ICPSNIBlock, fit: 90,
		says: cause.Text{EN: "In place of the broker a notice answers that the domain has no ICP filing.", ZH: "应答的是域名未备案的提示页，而不是服务端。"}},
	{words: []string{"requires use of tls", "requires tls", "https required", "ssl required", "must use https"}, cause: cause.PlainToTLSPort, fit: 86, instead: "wss",
		says: cause.Text{EN: "The server says that it wants TLS.", ZH: "服务器说明必须使用 TLS。"}},
	{words: []string{"unsupported subprotocol", "invalid subprotocol", "subprotocol not supported", "sec-websocket-protocol"}, cause: cause.WSSubprotocol, fit: 84,
		says: cause.Text{EN: "The server says that it does not like the subprotocol that was asked for (mqtt).", ZH: "服务器说明它不支持所请求的子协议（mqtt）。"}},
	{words: []string{"blocked as it may cause potential threats", "incapsula incident", "sucuri website firewall", "web application firewall", "the requested url was rejected", "your request has been blocked", "request blocked", "reference&#32;&#35;", "reference #18.", "mod_security", "modsecurity", "安全威胁", "被网站管理员设置拦截", "拦截提示"}, cause: cause.RateLimitOrBan, fit: 86,
		says: cause.Text{EN: "A firewall for web sites in front of the broker does not let this request or this address in.", ZH: "服务端前面的 Web 应用防火墙（WAF）拦截了该请求或该地址。"}},
	{words: []string{"error code: 1000", "error code: 1001", "error code: 1002", "dns points to prohibited ip", "dns resolution error"}, cause: cause.DNSMissingOrStale, fit: 72, also: map[cause.ID]int{cause.CDNProxiedDNS: 60},
		says: cause.Text{EN: "Cloudflare answers that the name's record at it is wrong: it leads to an address that is not allowed, or belongs to no site of this account.", ZH: "Cloudflare 回应：该域名的解析设置有误，指向了不允许的地址，或不属于该账户的站点。"}},
	{words: []string{"unknown domain", "fastly error"}, cause: cause.WSPath, fit: 72, also: map[cause.ID]int{cause.CDNProxiedDNS: 62},
		says: cause.Text{EN: "A CDN answers, and has no site of this name.", ZH: "应答的是 CDN，它没有该域名的站点。"}},
	{words: []string{"deployment_not_found", "deployment could not be found", "there isn't a github pages site here", "no such app", "there is nothing here, yet", "site not found", "project not found", "no application was found"}, cause: cause.WSPath, fit: 72, also: map[cause.ID]int{cause.DNSMissingOrStale: 60, cause.BrokerNotRunning: 54},
		says: cause.Text{EN: "A hosting service answers, and has no site or program of this name: the name leads to the wrong service, or what was deployed there is gone.", ZH: "应答的是托管服务，它没有该域名的站点或程序：域名指向了错误的服务，或部署的程序已被删除。"}},
	{words: []string{"invalid hostname", "request hostname is invalid"}, cause: cause.WSPath, fit: 70, also: map[cause.ID]int{cause.SNIALPN: 60},
		says: cause.Text{EN: "The web server answers that it serves no site of this name (Host). Use the name that its site has.", ZH: "网页服务器回应：没有该域名（Host）的站点。请使用站点配置的域名。"}},
	{words: []string{"oauth2/start", "oauth2_proxy", "authelia", "authentik", "keycloak", "type=\"password\"", "<title>sign in", "<title>log in", "<title>login"}, cause: cause.AnonymousRefused, fit: 76, also: map[cause.ID]int{cause.WSPath: 52},
		says: cause.Text{EN: "In place of a WebSocket a page to log in at comes, before anything of MQTT is said.", ZH: "得到的是登录页面而不是 WebSocket，此时还没有开始 MQTT 通信。"}},
	{words: []string{"you are about to visit", "tunnel website ahead", "err_ngrok_6024"}, cause: cause.WSPath, fit: 62, also: map[cause.ID]int{cause.AnonymousRefused: 58},
		says: cause.Text{EN: "The tunnel's service shows browsers a page to be clicked away before it lets them through. MQTT clients cannot do that: use the tunnel's TCP mode, or an account without that page.", ZH: "隧道服务先给浏览器显示一个需要点击确认的页面，MQTT 客户端无法通过：请使用隧道的 TCP 模式，或换用没有该页面的账户。"}},
	{words: []string{"tunnel unavailable"}, cause: cause.BrokerNotRunning, fit: 86,
		says: cause.Text{EN: "The tunnel's service answers, and nobody is at the other end of the tunnel.", ZH: "应答的是隧道服务，隧道另一端没有程序在运行。"}},
	{words: []string{"fritz!box", "openwrt", "lua configuration interface", "routeros", "mikrotik", "tp-link", "tplink", "asuswrt", "unifi os", "opnsense", "pfsense", "zyxel", "draytek", "小米路由", "华为路由", "网件"}, cause: cause.NATNoPortForward, fit: 72, also: map[cause.ID]int{cause.WSPath: 56},
		says: cause.Text{EN: "The router's own page answers: it does not forward this port to the broker's machine.", ZH: "应答的是路由器自己的页面：它没有把该端口转发到服务端所在的机器。"}},
	{words: []string{"just a moment", "cf-chl", "attention required", "captcha"}, cause: cause.CDNProxiedDNS, fit: 80, also: map[cause.ID]int{cause.RateLimitOrBan: 62},
		says: cause.Text{EN: "A CDN in front wants to see a browser (a challenge page), which an MQTT client is not.", ZH: "前面的 CDN 要求浏览器验证（质询页面），MQTT 客户端无法通过。"}},
	{words: []string{"the requested url could not be retrieved"}, server: "squid", statuses: []int{407}, cause: cause.CarrierOrCorpBlocksPort, fit: 84, also: map[cause.ID]int{cause.BrokerNotRunning: 52},
		says: cause.Text{EN: "Squid, a web proxy of the client's own network or of its provider, answers in place of the server.", ZH: "应答的是 Squid：它是客户端所在网络或运营商的网页代理，而不是服务器。"}},
	{words: []string{"fortiguard", "web page blocked", "web filter violation", "zscaler", "internet usage policy", "websense", "forcepoint", "sophos web", "sonicwall", "barracuda web", "cisco umbrella", "blocked by your network administrator", "上网行为管理", "已被管理员", "网络管理员禁止"},
		cause: cause.CarrierOrCorpBlocksPort, fit: 92,
		says: cause.Text{EN: "In place of the server a filter of the client's own network answers: it does not allow this site.", ZH: "应答的是客户端所在网络的过滤设备，而不是服务器：它不允许访问该站点。"}},
	{server: "zscaler", statuses: []int{403}, cause: cause.CarrierOrCorpBlocksPort, fit: 92,
		says: cause.Text{EN: "In place of the server a filter of the client's own company answers (Zscaler).", ZH: "应答的是客户端所在公司的过滤设备（Zscaler），而不是服务器。"}},
	{statuses: []int{451}, cause: cause.CarrierOrCorpBlocksPort, fit: 72, also: map[cause.ID]int{cause.ICPSNIBlock: 60},
		says: cause.Text{EN: "Somebody on the way, or the server's provider, has to keep this site away by law (status 451).", ZH: "途中的设备或服务器所在的服务商因法律原因不提供该站点（状态码 451）。"}},
	{words: []string{"endpoint is offline", "err_ngrok_3200", "faithfully yours, frp"}, cause: cause.BrokerNotRunning, fit: 88,
		says: cause.Text{EN: "The tunnel's service answers, and has no tunnel for this name: the program at the server's end (ngrok, frpc) does not run.", ZH: "应答的是隧道服务，它没有该域名的隧道：服务器一端的程序（ngrok、frpc）没有运行。"}},
	{words: []string{"err_ngrok_8012", "unable to reach the origin service", "failed to establish a connection to the upstream"}, cause: cause.BrokerNotRunning, fit: 88,
		says: cause.Text{EN: "The tunnel is up, and the program at its end does not reach the broker at the address it was told.", ZH: "隧道已连接，但服务器一端的程序连不上它所配置的服务端地址。"}},
	{words: []string{"err_ngrok_727", "err_ngrok_702"}, cause: cause.RateLimitOrBan, fit: 90,
		says: cause.Text{EN: "The tunnel's service answers that its limit of requests or connections is used up.", ZH: "隧道服务回应：请求数或连接数已达上限。"}},
	{words: []string{"no available server", "no healthy upstream", "application is not available", "this web app is stopped", "web app - unavailable", "couldn't connect to the origin", "wasn't able to connect to the origin", "server encountered a temporary error and could not complete your request", "an error occurred in the application"},
		cause: cause.BrokerNotRunning, fit: 86,
		says: cause.Text{EN: "What stands in front of the broker answers that it has no working server behind it: the broker does not run, or fails the health check.", ZH: "服务端前面的代理回应：后面没有可用的服务器。服务端没有运行，或未通过健康检查。"}},
	{words: []string{"upstream connect error"}, cause: cause.BrokerNotRunning, fit: 84, also: map[cause.ID]int{cause.PlainToTLSPort: 40},
		says: cause.Text{EN: "Envoy answers that the connection to the broker behind it fails.", ZH: "Envoy 回应：连接后面的服务端失败。"}},
	{words: []string{"upstream request timeout"}, cause: cause.BrokerSilent, fit: 74, also: map[cause.ID]int{cause.BrokerNotRunning: 52, cause.HostFirewallDrop: 52},
		says: cause.Text{EN: "Envoy waited for the broker behind it in vain.", ZH: "Envoy 等不到后面服务端的应答。"}},
	{words: []string{"rbac: access denied"}, cause: cause.RateLimitOrBan, fit: 84, also: map[cause.ID]int{cause.WSOrigin: 52},
		says: cause.Text{EN: "Envoy answers that its rules do not let this client in (RBAC).", ZH: "Envoy 回应：它的规则（RBAC）不允许该客户端访问。"}},
	{server: "envoy", statuses: []int{403}, bare: true, cause: cause.ProxyNoUpgrade, fit: 78, also: map[cause.ID]int{cause.RateLimitOrBan: 52},
		says: cause.Text{EN: "Envoy answers 403 without a word, as it does where WebSocket is not switched on for the route (upgrade_configs).", ZH: "Envoy 返回不带内容的 403：路由没有启用 WebSocket（upgrade_configs）时就是这样。"}},
	{server: "awselb", statuses: []int{503}, cause: cause.BrokerNotRunning, fit: 84,
		says: cause.Text{EN: "AWS' balancer answers 503: no target is registered behind it, or none of them is healthy.", ZH: "AWS 负载均衡返回 503：后面没有注册目标，或没有健康的目标。"}},
	{words: []string{"missing authentication token", "default backend - 404", "404 page not found", "transport unknown", "api_not_exist"}, cause: cause.WSPath, fit: 86,
		says: cause.Text{EN: "What answers has nothing for this name and path: its rules (Host, PathPrefix, Ingress) do not lead here to the broker.", ZH: "应答方没有与该域名和路径对应的内容：它的规则（Host、PathPrefix、Ingress）没有把请求转给服务端。"}},
	{statuses: []int{421}, cause: cause.WSPath, fit: 72, also: map[cause.ID]int{cause.SNIALPN: 62},
		says: cause.Text{EN: "The server answers that it does not serve this name (status 421). Use the name that its site has.", ZH: "服务器表示不为该域名提供服务（状态码 421）。请使用站点配置的域名。"}},
	{words: []string{"can't connect to the server for this app or website"}, server: "cloudfront", cause: cause.CDNProxiedDNS, fit: 74, also: map[cause.ID]int{cause.WSPath: 62},
		says: cause.Text{EN: "CloudFront answers that it has no site for this name, or does not allow what was asked for.", ZH: "CloudFront 回应：没有该域名的站点，或不允许这样的请求。"}},
	{words: []string{"account has been suspended", "account suspended"}, statuses: []int{402}, cause: cause.BrokerNotRunning, fit: 70,
		says: cause.Text{EN: "The provider answers that the account or the site is suspended.", ZH: "服务商回应：账户或站点已被暂停。"}},
	{statuses: []int{500}, cause: cause.ProxyNoUpgrade, fit: 62, also: map[cause.ID]int{cause.BrokerNotRunning: 54},
		says: cause.Text{EN: "What answers fails by itself (status 500): a proxy that lacks what it takes for WebSocket (Apache without mod_proxy_wstunnel), or a program behind it that has a fault. Its log says which.", ZH: "应答方自身出错（状态码 500）：代理缺少 WebSocket 所需的模块（Apache 没有 mod_proxy_wstunnel），或后面的程序有故障。请查看它的日志。"}},
	{statuses: []int{521}, cause: cause.BrokerNotRunning, fit: 86,
		says: cause.Text{EN: "The CDN in front answers that the server behind it refuses connections (521).", ZH: "前面的 CDN 回应：后面的服务器拒绝连接（521）。"}},
	{statuses: []int{522}, cause: cause.SecurityGroupClosed, fit: 72, also: map[cause.ID]int{cause.HostFirewallDrop: 66},
		says: cause.Text{EN: "The CDN in front answers that the server behind it does not answer at all (522): its firewall or security group does not let the CDN in.", ZH: "前面的 CDN 回应：后面的服务器完全没有应答（522），源站防火墙或安全组没有放行 CDN。"}},
	{statuses: []int{523}, cause: cause.HostDown, fit: 72, also: map[cause.ID]int{cause.DNSMissingOrStale: 58},
		says: cause.Text{EN: "The CDN in front finds no way to the server behind it (523).", ZH: "前面的 CDN 找不到通往源站的路由（523）。"}},
	{statuses: []int{520}, cause: cause.BrokerNotRunning, fit: 66, also: map[cause.ID]int{cause.ProxyNoUpgrade: 60, cause.BrokerSilent: 50},
		says: cause.Text{EN: "The CDN in front reaches the server behind it, and cannot make sense of the answer (520): the server hangs up, or answers something else than HTTP.", ZH: "前面的 CDN 能连到源站，但看不懂它的应答（520）：源站直接断开，或返回的不是 HTTP。"}},
	{statuses: []int{524}, cause: cause.BrokerSilent, fit: 70, also: map[cause.ID]int{cause.BrokerNotRunning: 55},
		says: cause.Text{EN: "The CDN in front reaches the server behind it, which does not answer in time (524).", ZH: "前面的 CDN 能连到源站，但源站没有及时应答（524）。"}},
	{statuses: []int{525}, cause: cause.TLSHandshakeFailed, fit: 82,
		says: cause.Text{EN: "The CDN in front cannot do a TLS handshake with the server behind it (525): that has no TLS at its port, or no certificate for the name.", ZH: "前面的 CDN 与源站 TLS 握手失败（525）：源站端口没有 TLS，或没有该域名的证书。"}},
	{statuses: []int{526}, cause: cause.TLSUnknownCA, fit: 82,
		says: cause.Text{EN: "The CDN in front does not trust the certificate of the server behind it (526).", ZH: "前面的 CDN 不信任源站的证书（526）。"}},
	{words: []string{"no server is available to handle this request"}, cause: cause.BrokerNotRunning, fit: 88,
		says: cause.Text{EN: "HAProxy answers, and says that it has no server left: the broker behind it does not run, or fails its health check.", ZH: "HAProxy 应答：没有可用的后端服务器。后面的服务端没有运行，或未通过健康检查。"}},
	{words: []string{"503 service temporarily unavailable"}, cause: cause.RateLimitOrBan, fit: 66, also: map[cause.ID]int{cause.Maintenance: 64, cause.BrokerNotRunning: 54},
		says: cause.Text{EN: "nginx itself answers with status 503, which it does where it counts requests or connections (limit_req, limit_conn) or was told to for the time of maintenance; a broker that is not there would give 502, but for Kubernetes' Ingress, which says 503 when a service has no pods.", ZH: "nginx 自己返回 503：在限制请求或连接次数（limit_req、limit_conn）或维护期间才会这样；后端不在时返回的是 502；Kubernetes 的 Ingress 例外，服务没有 Pod 时也返回 503。"}},
	{statuses: []int{401}, cause: cause.AnonymousRefused, fit: 88,
		says: cause.Text{EN: "What stands in front of the broker wants a login of its own (status 401), before anything of MQTT is said. The user of MQTT does not count there.", ZH: "服务端前面的代理自己要求登录（状态码 401），此时还没有开始 MQTT 通信，MQTT 用户名在这里不起作用。"}},
	{statuses: []int{407}, cause: cause.CarrierOrCorpBlocksPort, fit: 86,
		says: cause.Text{EN: "A proxy of the client's own network wants a login (status 407).", ZH: "客户端所在网络的代理要求登录（状态码 407）。"}},
	{statuses: []int{429}, cause: cause.RateLimitOrBan, fit: 94,
		says: cause.Text{EN: "The server says that there are too many requests from this address (status 429).", ZH: "服务器表示来自该地址的请求过多（状态码 429）。"}},
	{statuses: []int{504}, cause: cause.BrokerSilent, fit: 70, also: map[cause.ID]int{cause.BrokerNotRunning: 60, cause.HostFirewallDrop: 52},
		says: cause.Text{EN: "A reverse proxy waited for the broker behind it in vain (status 504): it hangs, or a firewall between the two drops what is sent.", ZH: "反向代理等不到后面服务端的应答（状态码 504）：服务端卡住了，或两者之间的防火墙丢弃了数据。"}},
}
