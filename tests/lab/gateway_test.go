//go:build linux

package lab

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/gobwas/ws"

	"picket/cause"
)

// gateway is a program of the server that ends WebSocket at port 80 and hands on what is inside to a mosquitto, as those do that people write for it.
type gateway struct {
	frames func(payload []byte) []ws.Frame          // what becomes of bytes of the broker's; nil: one binary frame
	inward func(c net.Conn, payload []byte) bool    // looks at what the client says; false: hangs up
	opens  func(c net.Conn)                         // instead of handing anything on
	head   func(r *http.Request, key string) string // the answer to the upgrade; nil: a good one
}

// good101 is the answer to an upgrade with which nothing is wrong.
func good101(_ *http.Request, key string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: " + key + "\r\n\r\n"
}

// serve is a fault's way to make one, and gives its address.
func (g gateway) serve(w *world) []string {
	w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous true\n")
	w.web(server4+":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Sec-WebSocket-Key")
		if key == "" {
			http.Error(rw, "Upgrade Required", http.StatusUpgradeRequired)
			return
		}
		conn, buffered, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		head := g.head
		if head == nil {
			head = good101
		}
		_, _ = io.WriteString(conn, head(r, acceptKey(key)))
		if g.opens != nil {
			g.opens(conn)
			return
		}
		back, err := w.dial(serverSide, "127.0.0.1:1884")
		if err != nil {
			return
		}
		defer back.Close()
		go g.outward(conn, back)
		for {
			f, err := ws.ReadFrame(buffered) //nolint:staticcheck // from the doctor, who sends little
			if err != nil || f.Header.OpCode == ws.OpClose {
				return
			}
			if f.Header.OpCode == ws.OpPong {
				continue
			}
			f = ws.UnmaskFrameInPlace(f)
			if f.Header.OpCode == ws.OpPing {
				_ = ws.WriteFrame(conn, ws.NewPongFrame(f.Payload))
				continue
			}
			if g.inward != nil && !g.inward(conn, f.Payload) {
				return
			}
			if _, err := back.Write(f.Payload); err != nil {
				return
			}
		}
	}), nil)
	return []string{url4("ws", 80) + "/mqtt"}
}

// outward hands on what the broker says.
func (g gateway) outward(conn, back net.Conn) {
	defer conn.Close()
	buf := make([]byte, 16<<10)
	for {
		n, err := back.Read(buf)
		if err != nil {
			return
		}
		frames := []ws.Frame{ws.NewBinaryFrame(bytes.Clone(buf[:n]))}
		if g.frames != nil {
			frames = g.frames(bytes.Clone(buf[:n]))
		}
		var out bytes.Buffer
		for _, f := range frames {
			_ = ws.WriteFrame(&out, f)
		}
		if _, err := out.WriteTo(conn); err != nil {
			return
		}
	}
}

// closing opens a WebSocket and closes it with a code and a reason as soon as something is said.
func closing(code ws.StatusCode, reason string) func(*world) []string {
	return gateway{opens: func(c net.Conn) {
		buf := make([]byte, 4096)
		if n, _ := c.Read(buf); n > 0 {
			_ = ws.WriteFrame(c, ws.NewCloseFrame(ws.NewCloseFrameBody(code, reason)))
		}
	}}.serve
}

// gateways are faults of programs that end WebSocket, and of the proxies in front of them.
func gateways() []fault {
	page := func(server string) func(*world) []string {
		return func(w *world) []string {
			w.mosquitto(webBroker)
			w.nginx("server { listen 80; "+server+" }", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}
	}
	toPicket := func(server, url string) func(*world) []string {
		return func(w *world) []string {
			w.picket(webBroker)
			w.nginx("server { listen 80; "+server+" }", 80)
			return []string{url}
		}
	}
	site := func(site string) func(*world) []string {
		return func(w *world) []string {
			w.mosquitto(webBroker)
			w.caddy("http://:80 {\n"+site+"\n}\n", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}
	}
	const here = "/mqtt"
	one := func(change func(*ws.Frame)) func([]byte) []ws.Frame {
		return func(p []byte) []ws.Frame { f := ws.NewBinaryFrame(p); change(&f); return []ws.Frame{f} }
	}
	return []fault{
		{name: "healthy: a gateway that sends each byte in a WebSocket frame of its own", make: gateway{frames: func(p []byte) (all []ws.Frame) {
			for _, b := range p {
				all = append(all, ws.NewBinaryFrame([]byte{b}))
			}
			return all
		}}.serve},
		{name: "healthy: a gateway that sends messages of WebSocket in two fragments, and pings between", make: gateway{frames: func(p []byte) []ws.Frame {
			return []ws.Frame{ws.NewFrame(ws.OpBinary, false, p[:1]), ws.NewPingFrame([]byte("hello")), ws.NewFrame(ws.OpContinuation, true, p[1:])}
		}}.serve},
		{name: "healthy: a gateway that answers the upgrade in small letters, and with more than it has to", make: gateway{head: func(_ *http.Request, key string) string {
			return "HTTP/1.1 101 OK\r\nserver: x\r\nconnection: keep-alive, upgrade\r\nupgrade: WebSocket\r\nsec-websocket-protocol: mqtt\r\nsec-websocket-accept: " + key + "\r\nset-cookie: a=b\r\n\r\n"
		}}.serve},
		{name: "healthy: nginx takes client certificates and asks nobody for one (optional)", make: func(w *world) []string {
			w.names(map[string][]string{host: {server4}})
			w.pair()
			w.mosquitto(webBroker)
			w.nginx("ssl_certificate {dir}/server.crt; ssl_certificate_key {dir}/server.key; ssl_client_certificate {dir}/ca.crt; ssl_verify_client optional; server { listen 443 ssl; location /mqtt { "+passing(9001)+" } }", 443)
			return []string{"wss://" + host + ":443/mqtt", "--ca", w.path("ca.crt")}
		}},
		{name: "healthy: Caddy hands on under another path", make: site("handle_path /mqtt* {\n reverse_proxy 127.0.0.1:9001\n}")},

		{name: "nginx hands Upgrade on, and not Connection", want: cause.ProxyNoUpgrade, make: toPicket("location /mqtt { proxy_pass http://127.0.0.1:9001; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; }", url4("ws", 80)+here)},
		{name: "nginx takes the key of the WebSocket away", want: cause.ProxyNoUpgrade, make: toPicket("location /mqtt { "+passing(9001)+" proxy_set_header Sec-WebSocket-Key ''; }", url4("ws", 80)+here)},
		{name: "nginx knows the path without a slash at its end alone", want: cause.WSPath, make: func(w *world) []string {
			page("location = /mqtt { " + passing(9001) + " } location / { return 404; }")(w)
			return []string{url4("ws", 80) + "/mqtt/"}
		}},
		{name: "the path in capital letters", want: cause.WSPath, make: func(w *world) []string {
			page("location /mqtt { " + passing(9001) + " } location / { return 404; }")(w)
			return []string{url4("ws", 80) + "/MQTT"}
		}},
		{name: "nginx asks the broker in TLS, which has none", want: cause.BrokerNotRunning, twin: cause.ProxyNoUpgrade, make: page("location /mqtt { proxy_pass https://127.0.0.1:9001; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }")},
		{name: "nginx takes the subprotocol out of the answer", want: cause.WSSubprotocol, make: page("location /mqtt { " + passing(9001) + " proxy_hide_header Sec-WebSocket-Protocol; }")},
		{name: "nginx takes the subprotocol out of the request", want: cause.WSSubprotocol, make: page("location /mqtt { " + passing(9001) + " proxy_set_header Sec-WebSocket-Protocol ''; }")},
		{name: "nginx asks another service about logins, which refuses (auth_request)", want: cause.AnonymousRefused, make: page("location = /auth { internal; return 401; } location /mqtt { auth_request /auth; " + passing(9001) + " }")},
		{name: "nginx leads to a service for logins at another name", want: cause.AnonymousRefused, twin: cause.CaptivePortalOrAPIsolation, make: page("location / { return 302 https://auth.example.com/?rd=http%3A%2F%2Fbroker.test%2Fmqtt; }")},
		{name: "nginx lets in the methods of a form alone", want: cause.RateLimitOrBan, twin: cause.WSOrigin, make: page("location /mqtt { limit_except POST { deny all; } " + passing(9001) + " }")},
		{name: "Caddy forbids", want: cause.RateLimitOrBan, twin: cause.WSOrigin, make: site("respond /mqtt 403")},
		{name: "Caddy has an empty page for all", want: cause.WSPath, make: site("")},
		{name: "HAProxy asks the broker with a health check that mosquitto does not pass", want: cause.BrokerNotRunning, make: func(w *world) []string {
			w.mosquitto(webBroker)
			w.haproxy("frontend f\n mode http\n bind :80\n default_backend b\nbackend b\n mode http\n option httpchk GET /health\n http-check expect status 204\n server s 127.0.0.1:9001 check inter 200ms fall 1\n", 80)
			w.wait("the check fails", func() bool { return status(w, server4+":80") == 503 })
			return []string{url4("ws", 80) + here}
		}},
		{name: "HAProxy holds whoever comes for a while (tarpit)", want: cause.ProxyNoUpgrade, twin: cause.BrokerNotRunning, make: func(w *world) []string {
			w.haproxy("defaults\n mode http\n timeout connect 2s\n timeout client 1m\n timeout server 1m\n timeout tarpit 3s\nfrontend f\n bind :80\n http-request tarpit\n default_backend b\nbackend b\n server s 127.0.0.1:9001\n", 80)
			return []string{url4("ws", 80) + here}
		}},

		{name: "a gateway that sends text in place of binary frames", want: cause.WSFrameInvalid, make: gateway{frames: one(func(f *ws.Frame) { f.Header.OpCode = ws.OpText })}.serve},
		{name: "a gateway that masks its frames", want: cause.WSFrameInvalid, make: gateway{frames: one(func(f *ws.Frame) { *f = ws.MaskFrame(*f) })}.serve},
		{name: "a gateway that compresses without being asked (RSV1)", want: cause.WSFrameInvalid, make: gateway{frames: one(func(f *ws.Frame) { f.Header.Rsv = ws.Rsv(true, false, false) })}.serve},
		{name: "a gateway that answers without Upgrade", want: cause.WSUpgradeInvalid, twin: cause.ProxyNoUpgrade, make: gateway{head: func(_ *http.Request, key string) string {
			return "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: " + key + "\r\n\r\n"
		}}.serve},
		{name: "a gateway that knows mqttv3.1 alone as the subprotocol", want: cause.WSSubprotocol, make: func(w *world) []string {
			w.web(server4+":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if !strings.Contains(r.Header.Get("Sec-WebSocket-Protocol"), "mqttv3.1") {
					http.Error(rw, "unsupported subprotocol", http.StatusBadRequest)
				}
			}), nil)
			return []string{url4("ws", 80) + here}
		}},
		{name: "a gateway that takes messages of 4 kB at most (1009)", want: cause.PacketTooLarge, make: gateway{inward: func(c net.Conn, p []byte) bool {
			if len(p) <= 4096 {
				return true
			}
			_ = ws.WriteFrame(c, ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusMessageTooBig, "")))
			return false
		}}.serve},
		{name: "a gateway that closes for a rule (1008), and says: unauthorized", want: cause.AnonymousRefused, make: closing(ws.StatusPolicyViolation, "Unauthorized")},
		{name: "a gateway that is busy (1013)", want: cause.Overloaded, make: closing(1013, "Try again later")},
		{name: "a gateway whose broker is gone (1011)", want: cause.BrokerNotRunning, make: closing(ws.StatusInternalServerError, "connect ECONNREFUSED 127.0.0.1:1883")},
		{name: "a gateway that opens, and is silent from then on", want: cause.BrokerSilent, make: gateway{opens: func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }}.serve},
		{name: "a gateway that opens, and speaks another protocol in JSON", want: cause.WSPath, twin: cause.PortTaken, make: gateway{opens: func(c net.Conn) {
			_ = ws.WriteFrame(c, ws.NewTextFrame([]byte(`{"type":"auth_required","ha_version":"2025.11.3"}`)))
			_, _ = io.Copy(io.Discard, c)
		}}.serve},
	}
}

// status is that of a web page, without an upgrade; 0 when there is none.
func status(w *world, address string) int {
	conn, err := w.dial(serverSide, address)
	if err != nil {
		return 0
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
	var version string
	var code int
	_, _ = fmt.Fscan(conn, &version, &code)
	return code
}

// fieldPages are further answers that users report of what cannot be had here, with the words and headers of the real thing.
func fieldPages() []fault {
	answer := func(status int, body string, headers ...string) func(*world) []string {
		return func(w *world) []string {
			w.web(server4+":80", answers(status, body, headers...), nil)
			return []string{url4("ws", 80) + "/mqtt"}
		}
	}
	return []fault{
		{name: "Cloudflare Access wants a login", want: cause.AnonymousRefused, twin: cause.CaptivePortalOrAPIsolation, make: answer(302, "", "Location", "https://team.cloudflareaccess.com/cdn-cgi/access/login/broker.test?kid=1", "Server", "cloudflare")},
		{name: "Cloudflare asks whether somebody is human", want: cause.CDNProxiedDNS, twin: cause.RateLimitOrBan, make: answer(403, "<title>Just a moment...</title><span>Enable JavaScript and cookies to continue</span>", "Server", "cloudflare", "cf-mitigated", "challenge")},
		{name: "Cloudflare: the server's answer makes no sense (520)", want: cause.BrokerNotRunning, twin: cause.ProxyNoUpgrade, make: answer(520, "<title>broker.test | 520: Web server is returning an unknown error</title>", "Server", "cloudflare")},
		{name: "Cloudflare: the server cannot be reached (523)", want: cause.HostDown, twin: cause.DNSMissingOrStale, make: answer(523, "error code: 523", "Server", "cloudflare")},
		{name: "Cloudflare: the server takes too long (524)", want: cause.BrokerSilent, make: answer(524, "error code: 524", "Server", "cloudflare")},
		{name: "Cloudflare: the name belongs to another account (1000)", want: cause.DNSMissingOrStale, twin: cause.CDNProxiedDNS, make: answer(409, "error code: 1001", "Server", "cloudflare")},
		{name: "Aliyun's firewall for the web blocks", want: cause.RateLimitOrBan, make: answer(405, "<title>405</title>Sorry, your request has been blocked as it may cause potential threats to the server's security.", "Server", "Tengine")},
		{name: "AWS' firewall for the web blocks", want: cause.RateLimitOrBan, make: answer(403, "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n</body>\r\n</html>\r\n", "Server", "awselb/2.0")},
		{name: "Akamai blocks", want: cause.RateLimitOrBan, make: answer(403, "<TITLE>Access Denied</TITLE><H1>Access Denied</H1>You don't have permission to access this on this server.<P>Reference #18.7d2d1702.1", "Server", "AkamaiGHost")},
		{name: "Imperva blocks", want: cause.RateLimitOrBan, make: answer(403, "Request unsuccessful. Incapsula incident ID: 443000270015-1", "X-Iinfo", "1-2-3")},
		{name: "Fastly does not know the name", want: cause.WSPath, twin: cause.CDNProxiedDNS, make: answer(500, "Fastly error: unknown domain: broker.test. Please check that this domain has been added to a service.", "Via", "1.1 varnish", "X-Served-By", "cache-fra-1")},
		{name: "Varnish reaches no server (503)", want: cause.BrokerNotRunning, make: answer(503, "<title>503 Backend fetch failed</title><h1>Error 503 Backend fetch failed</h1><h3>Guru Meditation:</h3>", "Via", "1.1 varnish (Varnish/7.1)")},
		{name: "Vercel has no application at the name", want: cause.WSPath, twin: cause.BrokerNotRunning, make: answer(404, "The deployment could not be found on Vercel.\n\nDEPLOYMENT_NOT_FOUND\n", "x-vercel-error", "DEPLOYMENT_NOT_FOUND", "Server", "Vercel")},
		{name: "Render has no server", want: cause.BrokerNotRunning, make: answer(502, "<title>502</title>Bad Gateway", "x-render-routing", "no-server")},
		{name: "Railway: the application does not answer", want: cause.BrokerNotRunning, make: answer(502, `{"status":"error","code":502,"message":"Application failed to respond"}`, "x-railway-fallback", "true")},
		{name: "Azure Front Door has no healthy server", want: cause.BrokerNotRunning, make: answer(503, "<h2>Our services aren't available right now</h2><p>We're working to restore all services as soon as possible. Please check back soon.</p>", "x-azure-ref", "0abc")},
		{name: "GitHub Pages has no page at the name", want: cause.WSPath, twin: cause.DNSMissingOrStale, make: answer(404, "<title>Site not found &middot; GitHub Pages</title><p><strong>There isn't a GitHub Pages site here.</strong></p>", "Server", "GitHub.com")},
		{name: "Kong has no route", want: cause.WSPath, make: answer(404, `{"message":"no Route matched with those values","request_id":"1"}`, "Server", "kong/3.4.0")},
		{name: "Kong does not find its broker", want: cause.BrokerNotRunning, make: answer(503, `{"message":"name resolution failed"}`, "Server", "kong/3.4.0")},
		{name: "APISIX has no route", want: cause.WSPath, make: answer(404, `{"error_msg":"404 Route Not Found"}`, "Server", "APISIX/3.4.1")},
		{name: "Express has nothing at the path", want: cause.WSPath, make: answer(404, "<!DOCTYPE html><title>Error</title><pre>Cannot GET /mqtt</pre>", "X-Powered-By", "Express")},
		{name: "Home Assistant in place of the broker", want: cause.WSPath, make: answer(404, "404: Not Found", "Server", "Python/3.13 aiohttp/3.12")},
		{name: "Nginx Proxy Manager does not know the name", want: cause.WSPath, make: answer(404, "<title>404 Not Found</title><center><h1>404 Not Found</h1></center><hr><center>openresty</center>", "Server", "openresty")},
		{name: "IIS does not know the name", want: cause.WSPath, twin: cause.SNIALPN, make: answer(400, "<TITLE>Bad Request</TITLE><h2>Bad Request - Invalid Hostname</h2><hr><p>HTTP Error 400. The request hostname is invalid.</p>", "Server", "Microsoft-HTTPAPI/2.0")},
		{name: "IIS reaches no broker (502.3)", want: cause.BrokerNotRunning, twin: cause.ProxyNoUpgrade, make: answer(502, "<title>502 - Web server received an invalid response while acting as a gateway or proxy server.</title>", "Server", "Microsoft-IIS/10.0")},
		{name: "a proxy of the company wants a login (407)", want: cause.CarrierOrCorpBlocksPort, make: answer(407, "<title>Proxy Authentication Required</title>", "Proxy-Authenticate", "NTLM", "Via", "1.1 proxy.corp")},
		{name: "OAuth2 Proxy wants a login", want: cause.AnonymousRefused, make: answer(403, "<!DOCTYPE html><title>Sign In</title><form method=\"GET\" action=\"/oauth2/start\"><button>Sign in with GitHub</button></form>")},
		{name: "a server that wants WebSocket of another version", want: cause.WSUpgradeInvalid, twin: cause.ProxyNoUpgrade, make: answer(400, "Bad Request", "Sec-WebSocket-Version", "8")},
		{name: "a server that wants an upgrade to TLS (426)", want: cause.PlainToTLSPort, make: answer(426, "This service requires use of TLS", "Upgrade", "TLS/1.2, HTTP/1.1", "Connection", "Upgrade")},
		{name: "the router's own page answers, since the port is not forwarded", want: cause.NATNoPortForward, twin: cause.WSPath, make: answer(404, "<title>FRITZ!Box</title><body>Die angeforderte Seite existiert nicht.", "Server", "lighttpd")},
		{name: "localtunnel wants to be clicked through", want: cause.WSPath, twin: cause.AnonymousRefused, make: answer(511, "<title>Tunnel website ahead!</title>You are about to visit: broker.loca.lt This website is served for free via a localtunnel.")},
		{name: "localtunnel: nobody is there", want: cause.BrokerNotRunning, make: answer(503, "503 - Tunnel Unavailable")},
	}
}
