//go:build linux

package lab

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"picket/cause"
)

// cloudPages are the answers of what stands in front of brokers and cannot be had here: balancers of clouds, tunnels, platforms, and the filters of
// companies. Each is what the real thing says, as its users report it.
func cloudPages() []fault {
	answer := func(status int, body string, headers ...string) func(*world) []string {
		return func(w *world) []string {
			w.web(server4+":80", answers(status, body, headers...), nil)
			return []string{url4("ws", 80) + "/mqtt"}
		}
	}
	const center = "<html>\r\n<head><title>%[1]s</title></head>\r\n<body>\r\n<center><h1>%[1]s</h1></center>\r\n</body>\r\n</html>\r\n"
	elb := func(status int, line string) func(*world) []string {
		return answer(status, fmt.Sprintf(center, line), "Server", "awselb/2.0", "Content-Type", "text/html")
	}
	return []fault{
		{name: "AWS' balancer: no target (503)", want: cause.BrokerNotRunning, make: elb(503, "503 Service Temporarily Unavailable")},
		{name: "AWS' balancer: the target refuses (502)", want: cause.BrokerNotRunning, twin: cause.ProxyNoUpgrade, make: elb(502, "502 Bad Gateway")},
		{name: "AWS' balancer: the target is silent (504)", want: cause.BrokerSilent, twin: cause.HostFirewallDrop, make: elb(504, "504 Gateway Time-out")},
		{name: "AWS' API gateway has nothing at this path", want: cause.WSPath, make: answer(403, `{"message":"Missing Authentication Token"}`, "x-amzn-ErrorType", "MissingAuthenticationTokenException", "Content-Type", "application/json")},
		{name: "CloudFront reaches no server (502)", want: cause.BrokerNotRunning, make: answer(502, "<H1>502 ERROR</H1><H2>The request could not be satisfied.</H2>CloudFront wasn't able to connect to the origin.", "Server", "CloudFront", "X-Cache", "Error from cloudfront")},
		{name: "CloudFront does not know the name (403)", want: cause.WSPath, twin: cause.CDNProxiedDNS, make: answer(403, "<H1>403 ERROR</H1><H2>The request could not be satisfied.</H2>Bad request. We can't connect to the server for this app or website at this time.", "Server", "CloudFront", "X-Cache", "Error from cloudfront")},
		{name: "Google's balancer reaches no server", want: cause.BrokerNotRunning, make: answer(502, "<title>502 Server Error</title><h1>Error: Server Error</h1><h2>The server encountered a temporary error and could not complete your request.<p>Please try again in 30 seconds.</h2>", "Content-Type", "text/html; charset=UTF-8")},
		{name: "Azure's application gateway reaches no server", want: cause.BrokerNotRunning, make: answer(502, fmt.Sprintf(center, "502 Bad Gateway"), "Server", "Microsoft-Azure-Application-Gateway/v2")},
		{name: "Azure: the app is stopped", want: cause.BrokerNotRunning, make: answer(403, "<title>Web App - Unavailable</title><h1>Error 403 - This web app is stopped.</h1>The web app you have attempted to reach is currently stopped and does not accept any requests.")},
		{name: "Traefik has no rule for this", want: cause.WSPath, make: answer(404, "404 page not found\n", "Content-Type", "text/plain; charset=utf-8", "X-Content-Type-Options", "nosniff")},
		{name: "Traefik has no server", want: cause.BrokerNotRunning, make: answer(503, "no available server\n", "Content-Type", "text/plain; charset=utf-8")},
		{name: "Traefik: bad gateway", want: cause.BrokerNotRunning, twin: cause.ProxyNoUpgrade, make: answer(502, "Bad Gateway")},
		{name: "Envoy: the connection failed", want: cause.BrokerNotRunning, make: answer(503, "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason: delayed connect error: Connection refused", "Server", "envoy")},
		{name: "Envoy: no healthy server", want: cause.BrokerNotRunning, make: answer(503, "no healthy upstream", "Server", "envoy")},
		{name: "Envoy: not allowed", want: cause.RateLimitOrBan, twin: cause.WSOrigin, make: answer(403, "RBAC: access denied", "Server", "envoy")},
		{name: "Envoy does not do the upgrade", want: cause.ProxyNoUpgrade, make: answer(403, "", "Server", "envoy")},
		{name: "Istio: the server is silent", want: cause.BrokerSilent, make: answer(504, "upstream request timeout", "Server", "istio-envoy")},
		{name: "Kubernetes' default backend", want: cause.WSPath, make: answer(404, "default backend - 404")},
		{name: "a Kubernetes service without pods", want: cause.BrokerNotRunning, make: answer(503, fmt.Sprintf("<html>\r\n<head><title>%[1]s</title></head>\r\n<body>\r\n<center><h1>%[1]s</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n", "503 Service Temporarily Unavailable")), twin: cause.RateLimitOrBan},
		{name: "OpenShift's router has no application", want: cause.BrokerNotRunning, make: answer(503, "<h1>Application is not available</h1><p>The application is currently not serving requests at this endpoint. It may not have been started or is still starting.</p>")},
		{name: "Heroku: the application is not there", want: cause.BrokerNotRunning, make: answer(503, "<title>Application Error</title>An error occurred in the application and your page could not be served.", "Server", "Heroku")},
		{name: "Cloudflare's tunnel is not connected (1033)", want: cause.BrokerNotRunning, make: answer(530, "error code: 1033", "Server", "cloudflare")},
		{name: "cloudflared does not reach the broker", want: cause.BrokerNotRunning, make: answer(502, "<title>host | 502: Bad gateway</title>Unable to reach the origin service. The service may be down or it may not be responding to traffic from cloudflared", "Server", "cloudflare")},
		{name: "Cloudflare denies access (1020)", want: cause.RateLimitOrBan, make: answer(403, "error code: 1020", "Server", "cloudflare")},
		{name: "Cloudflare limits the rate (1015)", want: cause.RateLimitOrBan, make: answer(429, "error code: 1015", "Server", "cloudflare")},
		{name: "Cloudflare, and the address is used (1003)", want: cause.CDNProxiedDNS, make: answer(403, "error code: 1003", "Server", "cloudflare")},
		{name: "Cloudflare has banned the address (1006)", want: cause.RateLimitOrBan, make: answer(403, "error code: 1006", "Server", "cloudflare")},
		{name: "ngrok: the tunnel is down", want: cause.BrokerNotRunning, make: answer(404, "The endpoint abcd.ngrok-free.app is offline.\r\n\r\nERR_NGROK_3200\r\n", "Ngrok-Error-Code", "ERR_NGROK_3200")},
		{name: "ngrok does not reach the broker", want: cause.BrokerNotRunning, make: answer(502, "Traffic was successfully tunneled to the ngrok agent, but the agent failed to establish a connection to the upstream web service at localhost:9001.\nERR_NGROK_8012", "Ngrok-Error-Code", "ERR_NGROK_8012")},
		{name: "frp has no tunnel for the name", want: cause.BrokerNotRunning, make: answer(404, "<title>Not Found</title><h1>The page you requested was not found.</h1><p>Sorry, the page you are looking for is currently unavailable.<br/>Please try again later.</p><p>The server is powered by <a href=\"https://github.com/fatedier/frp\">frp</a>.</p><p><em>Faithfully yours, frp.</em></p>")},
		{name: "Apache: the proxy is not there (503)", want: cause.BrokerNotRunning, make: answer(503, "<title>503 Service Unavailable</title><h1>Service Unavailable</h1><p>The server is temporarily unable to service your request due to maintenance downtime or capacity problems. Please try again later.</p>", "Server", "Apache/2.4.62 (Debian)")},
		{name: "Apache: the proxy does not do WebSocket (mod_proxy_wstunnel is missing)", want: cause.ProxyNoUpgrade, make: answer(500, "<title>500 Internal Server Error</title><h1>Internal Server Error</h1><p>The server encountered an internal error or misconfiguration and was unable to complete your request.</p>", "Server", "Apache/2.4.62 (Debian)")},
		{name: "Apache forbids (403)", want: cause.RateLimitOrBan, twin: cause.WSOrigin, make: answer(403, "<title>403 Forbidden</title><h1>Forbidden</h1><p>You don't have permission to access this resource.</p>", "Server", "Apache/2.4.62 (Debian)")},
		{name: "a web server that serves other names (421)", want: cause.WSPath, twin: cause.SNIALPN, make: answer(421, "<title>421 Misdirected Request</title>")},
		{name: "Squid on the way denies", want: cause.CarrierOrCorpBlocksPort, make: answer(403, "<title>ERROR: The requested URL could not be retrieved</title><h1>ERROR</h1>Access Denied. Access control configuration prevents your request from being allowed at this time.", "Server", "squid/5.7", "X-Squid-Error", "ERR_ACCESS_DENIED 0")},
		{name: "Squid on the way reaches no server", want: cause.BrokerNotRunning, twin: cause.CarrierOrCorpBlocksPort, make: answer(503, "<title>ERROR: The requested URL could not be retrieved</title>Connection to 203.0.113.10 failed. The system returned: (111) Connection refused", "Server", "squid/5.7", "X-Squid-Error", "ERR_CONNECT_FAIL 111")},
		{name: "a company's filter blocks the page (FortiGuard)", want: cause.CarrierOrCorpBlocksPort, make: answer(403, "<title>Web Filter Violation</title><h1>FortiGuard Intrusion Prevention - Access Blocked</h1>Web Page Blocked! You have tried to access a web page which is in violation of your internet usage policy.")},
		{name: "a company's filter blocks the page (Zscaler)", want: cause.CarrierOrCorpBlocksPort, make: answer(403, "<title>Zscaler</title>Sorry, you don't have permission to visit this site. Not allowed to browse this category", "Server", "Zscaler/6.2")},
		{name: "the law does not allow it (451)", want: cause.CarrierOrCorpBlocksPort, twin: cause.ICPSNIBlock, make: answer(451, "Unavailable For Legal Reasons")},
		{name: "the portal wants a login (511)", want: cause.CaptivePortalOrAPIsolation, make: answer(511, "Network Authentication Required")},
		{name: "Aliyun's notice: not filed", want: cause.ICPSNIBlock, make: answer(403, "<title>TestPage</title>Non-compliance ICP Filing", "Server", "Beaver")},
		{name: "Tencent's page: the site is suspended", want: cause.ICPSNIBlock, make: answer(200, "<title>网站暂时无法访问</title>该网站未根据工信部相关法规在腾讯云进行备案")},
		{name: "the account is suspended", want: cause.BrokerNotRunning, make: answer(402, "This account has been suspended. Contact your hosting provider.")},
		{name: "the program behind fails (500)", want: cause.ProxyNoUpgrade, twin: cause.BrokerNotRunning, make: answer(500, "Internal Server Error")},
		{name: "an opening page of nginx", want: cause.WSPath, make: func(w *world) []string {
			w.nginx("server { listen 80; location = / { default_type text/html; return 200 '<h1>Welcome to nginx!</h1>'; } location / { return 404; } }", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}},
		{name: "Socket.IO at this path", want: cause.WSPath, make: answer(400, `{"code":0,"message":"Transport unknown"}`, "Content-Type", "application/json")},
		{name: "EMQX' dashboard in place of its WebSocket", want: cause.WSPath, make: answer(404, `{"code":"API_NOT_EXIST","message":"Request Path Not Found"}`, "Content-Type", "application/json", "server", "Cowboy")},
		{name: "a WebSocket with a wrong key in its answer", want: cause.WSUpgradeInvalid, twin: cause.ProxyNoUpgrade, make: func(w *world) []string {
			w.listen(serverSide, server4+":80", func(c net.Conn) {
				buf := make([]byte, 4096)
				if n, _ := c.Read(buf); n > 0 && strings.HasPrefix(string(buf[:n]), "GET ") {
					_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: bm90IHRoZSBrZXk=\r\n\r\n")
					_, _ = io.Copy(io.Discard, c)
				}
			})
			return []string{url4("ws", 80) + "/mqtt"}
		}},
		{name: "websockify opens the WebSocket, and there is no broker behind it", want: cause.BrokerNotRunning, make: func(w *world) []string {
			w.web(server4+":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Sec-WebSocket-Key") == "" {
					http.Error(rw, "no", http.StatusMethodNotAllowed)
					return
				}
				conn, _, err := http.NewResponseController(rw).Hijack()
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: %s\r\n\r\n", acceptKey(r.Header.Get("Sec-WebSocket-Key")))
				_, _ = conn.Write([]byte("\x88\x1b\x03\xf3Failed to connect to down"))
			}), nil)
			return []string{url4("ws", 80) + "/mqtt"}
		}},
	}
}
