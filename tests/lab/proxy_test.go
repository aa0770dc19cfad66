//go:build linux

package lab

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"picket/cause"
)

// stream runs an nginx on the server that hands TCP on. In the configuration of its stream block {dir} is the world's folder.
func (w *world) stream(conf string, ports ...int) {
	w.t.Helper()
	conf = "daemon off;\nuser root;\nworker_processes 1;\nerror_log stderr;\npid {dir}/stream.pid;\nload_module /usr/lib/nginx/modules/ngx_stream_module.so;\nevents {}\nstream {\n" + conf + "\n}\n"
	w.start(serverSide, ports, "nginx", "-e", "stderr", "-p", w.dir, "-c", w.file("stream.conf", strings.ReplaceAll(conf, "{dir}", w.dir)))
}

// caddy runs one on the server. It asks no authority for certificates.
func (w *world) caddy(sites string, ports ...int) {
	w.t.Helper()
	conf := "{\n\tadmin off\n\tauto_https off\n\tskip_install_trust\n}\n" + strings.ReplaceAll(sites, "{dir}", w.dir)
	w.start(serverSide, ports, "env", "HOME="+w.dir, "XDG_DATA_HOME="+w.dir, "XDG_CONFIG_HOME="+w.dir, "caddy", "run", "--adapter", "caddyfile", "--config", w.file("Caddyfile", conf))
}

// byTLS gives the server's name, a certificate and maybe a mosquitto, runs what stands in front and gives the address of the TLS port.
func byTLS(front func(*world), back string) func(*world) []string {
	return func(w *world) []string {
		w.names(map[string][]string{host: {server4}})
		w.pair()
		if back != "" {
			w.mosquitto(back)
		}
		front(w)
		return []string{"mqtts://" + host, "--ca", w.path("ca.crt")}
	}
}

// proxies are faults of what hands MQTT on to a broker: nginx' stream, HAProxy's modes, Caddy, stunnel.
func proxies() []fault {
	const inner = "listener 1884\nallow_anonymous true\n"
	stream := func(server string, ports ...int) func(*world) { return func(w *world) { w.stream(server, ports...) } }
	streamTLS := func(more string) func(*world) {
		return stream("ssl_certificate {dir}/server.crt; ssl_certificate_key {dir}/server.key; server { listen 8883 ssl; "+more+" }", 8883)
	}
	haproxy := func(back, conf string, port int, url string, more ...string) func(*world) []string {
		return func(w *world) []string {
			if back != "" {
				w.mosquitto(back)
			}
			w.haproxy(conf, port)
			return append([]string{url}, more...)
		}
	}
	const toInner = "\n default_backend b\nbackend b\n server s 127.0.0.1:1884"
	web := func(site string) func(*world) []string {
		return func(w *world) []string {
			w.mosquitto(webBroker)
			w.caddy("http://:80 {\n"+site+"\n}\n", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}
	}
	secureWeb := func(site string) func(*world) []string {
		return func(w *world) []string {
			w.names(map[string][]string{host: {server4}})
			w.pair()
			w.mosquitto(webBroker)
			w.caddy("https://"+host+":443 {\n tls {dir}/server.crt {dir}/server.key\n"+site+"\n}\n", 443)
			return []string{"wss://" + host + ":443/mqtt", "--ca", w.path("ca.crt")}
		}
	}
	page := func(server string) func(*world) []string {
		return func(w *world) []string {
			w.mosquitto(webBroker)
			w.nginx(server, 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}
	}
	secured := func(server string, url string) func(*world) []string {
		return func(w *world) []string {
			w.names(map[string][]string{host: {server4}})
			w.pair()
			w.mosquitto(webBroker)
			w.nginx("ssl_certificate {dir}/server.crt; ssl_certificate_key {dir}/server.key;\n"+server, 443)
			return []string{url, "--ca", w.path("ca.crt")}
		}
	}
	return []fault{
		{name: "healthy: nginx hands TCP on", make: func(w *world) []string {
			w.mosquitto(inner)
			w.stream("server { listen 1883; proxy_pass 127.0.0.1:1884; }", 1883)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "healthy: nginx ends TLS (stream)", make: byTLS(streamTLS("proxy_pass 127.0.0.1:1883;"), open)},
		{name: "healthy: nginx hands TLS through by its name (ssl_preread)", make: byTLS(func(w *world) {
			w.mosquitto("listener 8884\nallow_anonymous true\ncertfile {dir}/server.crt\nkeyfile {dir}/server.key\n")
			w.stream("map $ssl_preread_server_name $to { "+host+" 127.0.0.1:8884; } server { listen 8883; ssl_preread on; proxy_pass $to; }", 8883)
		}, "")},
		{name: "healthy: nginx tells Picket who calls (stream)", make: func(w *world) []string {
			w.picket("listener 1884\nproxy_from 127.0.0.1\nallow_anonymous true\n")
			w.stream("server { listen 1883; proxy_pass 127.0.0.1:1884; proxy_protocol on; }", 1883)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "healthy: Caddy in front, WebSocket", make: web("reverse_proxy /mqtt 127.0.0.1:9001")},
		{name: "healthy: Caddy in front, WebSocket with TLS", make: secureWeb("reverse_proxy /mqtt 127.0.0.1:9001")},
		{name: "healthy: HAProxy in front, WebSocket", make: haproxy(webBroker, "frontend f\n mode http\n bind :80\n default_backend b\nbackend b\n mode http\n server s 127.0.0.1:9001\n", 80, url4("ws", 80)+"/mqtt")},
		{name: "healthy: nginx with HTTP/2 beside it, WebSocket with TLS", make: secured("server { listen 443 ssl http2; location /mqtt { "+passing(9001)+" } }", "wss://"+host+":443/mqtt")},

		{name: "nginx ends TLS (stream), without the broker behind it", want: cause.BrokerNotRunning, make: byTLS(streamTLS("proxy_pass 127.0.0.1:1883;"), "")},
		{name: "nginx ends TLS (stream), and the broker wants TLS itself", want: cause.PlainToTLSPort, make: byTLS(streamTLS("proxy_pass 127.0.0.1:1883;"), "listener 1883\nallow_anonymous true\ncertfile {dir}/server.crt\nkeyfile {dir}/server.key\n")},
		{name: "nginx ends TLS (stream), and wants a client certificate", want: cause.ClientCertRequired, make: byTLS(streamTLS("ssl_client_certificate {dir}/ca.crt; ssl_verify_client on; proxy_pass 127.0.0.1:1883;"), open)},
		{name: "nginx ends TLS (stream), and sends PROXY headers to mosquitto", want: cause.ProxyProtocolMismatch, twin: cause.BrokerNotRunning, make: byTLS(streamTLS("proxy_pass 127.0.0.1:1883; proxy_protocol on;"), open)},
		{name: "nginx hands TCP on, without the broker behind it", want: cause.BrokerNotRunning, twin: cause.MaxConnections, make: func(w *world) []string {
			w.stream("server { listen 1883; proxy_pass 127.0.0.1:1884; }", 1883)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "nginx sends PROXY headers to mosquitto (stream)", want: cause.ProxyProtocolMismatch, twin: cause.MaxConnections, make: func(w *world) []string {
			w.mosquitto(inner)
			w.stream("server { listen 1883; proxy_pass 127.0.0.1:1884; proxy_protocol on; }", 1883)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "nginx expects PROXY headers (stream)", want: cause.ProxyProtocolMismatch, make: func(w *world) []string {
			w.mosquitto(inner)
			w.stream("server { listen 1883 proxy_protocol; proxy_pass 127.0.0.1:1884; }", 1883)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "nginx hands TLS through by its name (ssl_preread), and the address is used", want: cause.SNIALPN, make: func(w *world) []string {
			byTLS(func(w *world) {
				w.mosquitto("listener 8884\nallow_anonymous true\ncertfile {dir}/server.crt\nkeyfile {dir}/server.key\n")
				w.stream("map $ssl_preread_server_name $to { "+host+" 127.0.0.1:8884; } server { listen 8883; ssl_preread on; proxy_pass $to; }", 8883)
			}, "")(w)
			return []string{url4("mqtts", 8883), "--ca", w.path("ca.crt")}
		}},
		{name: "nginx closes what is quiet for 3 s (stream)", want: cause.LBIdleTimeout, make: func(w *world) []string {
			w.mosquitto(inner)
			w.stream("server { listen 1883; proxy_timeout 3s; proxy_pass 127.0.0.1:1884; }", 1883)
			return []string{url4("mqtt", 1883), "--stay", "6s"}
		}},
		{name: "nginx closes a WebSocket that is quiet for 3 s", want: cause.LBIdleTimeout, make: func(w *world) []string {
			return append(page("server { listen 80; location /mqtt { proxy_read_timeout 3s; "+passing(9001)+" } }")(w), "--stay", "6s")
		}},
		{name: "nginx closes a WebSocket that is quiet, as it does by default", long: true, want: cause.ProxyIdle60s, make: func(w *world) []string {
			return append(page("server { listen 80; location /mqtt { "+passing(9001)+" } }")(w), "--stay", "70s")
		}},
		{name: "HAProxy closes what is quiet for 50 s, as its examples have it", long: true, want: cause.LBIdleTimeout, make: haproxy(inner, "frontend f\n bind :1883\n timeout client 50s\n default_backend b\nbackend b\n timeout server 50s\n timeout tunnel 50s\n server s 127.0.0.1:1884\n", 1883, url4("mqtt", 1883), "--stay", "70s")},
		{name: "nginx takes MQTT for HTTP", want: cause.TCPToWSPort, twin: cause.PortTaken, make: func(w *world) []string {
			w.mosquitto(inner)
			w.nginx("server { listen 1883; location / { proxy_pass http://127.0.0.1:1884; } }", 1883)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "nginx hands a WebSocket on to mosquitto's plain port", want: cause.ProxyNoUpgrade, twin: cause.BrokerNotRunning, make: func(w *world) []string {
			w.mosquitto(inner)
			w.nginx("server { listen 80; location /mqtt { "+passing(1884)+" } }", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}},
		{name: "nginx does not pass Upgrade on to mosquitto", want: cause.ProxyNoUpgrade, twin: cause.BrokerNotRunning, make: page("server { listen 80; location /mqtt { proxy_pass http://127.0.0.1:9001; } }")},
		{name: "nginx has the broker at /ws", want: cause.WSPath, make: page("server { listen 80; location /ws { " + passing(9001) + " } location / { return 404; } }")},
		{name: "nginx has the broker at a path of its own", want: cause.WSPath, make: page("server { listen 80; location /iot/socket { " + passing(9001) + " } }")},
		{name: "nginx forbids this address", want: cause.RateLimitOrBan, make: page("server { listen 80; location /mqtt { deny 192.168.0.0/16; deny 203.0.113.1; " + passing(9001) + " } }")},
		{name: "nginx lets in so many requests in a time", want: cause.RateLimitOrBan, make: page("limit_req_zone $binary_remote_addr zone=z:1m rate=1r/m; server { listen 80; location / { limit_req zone=z; return 404; } location /mqtt { limit_req zone=z; " + passing(9001) + " } }")},
		{name: "nginx answers that it is being worked on (503)", want: cause.Maintenance, twin: cause.RateLimitOrBan, make: page("server { listen 80; location / { return 503; } }")},
		{name: "nginx takes a browser's page only (Origin)", want: cause.WSOrigin, make: func(w *world) []string {
			return append(page("server { listen 80; location /mqtt { if ($http_origin != 'http://page.example') { return 403; } "+passing(9001)+" } }")(w), "--origin", "https://other.example")
		}},
		{name: "nginx moves everybody to https (308)", want: cause.PlainToTLSPort, make: page("server { listen 80; return 308 https://$host$request_uri; }")},
		{name: "nginx moves everybody to another name", want: cause.WSPath, make: func(w *world) []string {
			w.names(map[string][]string{host: {server4}})
			page("server { listen 80; return 301 http://www.broker.test$request_uri; }")(w)
			return []string{"ws://" + host + ":80/mqtt"}
		}},
		{name: "nginx hangs up on names it does not serve (444)", want: cause.WSPath, make: page("server { listen 80 default_server; return 444; } server { listen 80; server_name " + host + "; location /mqtt { " + passing(9001) + " } }")},
		{name: "mqtts:// to nginx' web site", want: cause.TCPToWSPort, make: secured("server { listen 443 ssl; location /mqtt { "+passing(9001)+" } location / { return 404; } }", "mqtts://"+host+":443")},
		{name: "mqtts:// to a web site without a broker", want: cause.PortTaken, make: secured("server { listen 443 ssl; location / { return 404; } }", "mqtts://"+host+":443")},
		{name: "Caddy without the broker behind it", want: cause.BrokerNotRunning, make: web("reverse_proxy /mqtt 127.0.0.1:9009")},
		{name: "Caddy has nothing at this path", want: cause.WSPath, make: web("reverse_proxy /broker 127.0.0.1:9001")},
		{name: "Caddy has the broker at /ws", want: cause.WSPath, make: web("reverse_proxy /ws 127.0.0.1:9001")},
		{name: "Caddy wants a login of its own", want: cause.AnonymousRefused, make: web("basicauth {\n picket $2a$04$l3rRJBDCG3yTjcX8rVGeXukhYeRRN0T6t6lYJFTX2u1pR7PZqWOqK\n}\nreverse_proxy /mqtt 127.0.0.1:9001")},
		{name: "Caddy wants a client certificate", want: cause.ClientCertRequired, make: func(w *world) []string {
			w.names(map[string][]string{host: {server4}})
			w.pair()
			w.mosquitto(webBroker)
			w.caddy("https://"+host+":443 {\n tls {dir}/server.crt {dir}/server.key {\n client_auth {\n mode require_and_verify\n trusted_ca_cert_file {dir}/ca.crt\n}\n}\nreverse_proxy /mqtt 127.0.0.1:9001\n}\n", 443)
			return []string{"wss://" + host + ":443/mqtt", "--ca", w.path("ca.crt")}
		}},
		{name: "Caddy with its own authority", want: cause.TLSUnknownCA, make: func(w *world) []string {
			secureWeb("reverse_proxy /mqtt 127.0.0.1:9001")(w)
			return []string{"wss://" + host + ":443/mqtt"}
		}},
		{name: "ws:// to Caddy's port of HTTPS", want: cause.PlainToTLSPort, make: func(w *world) []string {
			secureWeb("reverse_proxy /mqtt 127.0.0.1:9001")(w)
			return []string{"ws://" + host + ":443/mqtt"}
		}},
		{name: "HAProxy expects PROXY headers", want: cause.ProxyProtocolMismatch, make: haproxy(inner, "frontend f\n bind :1883 accept-proxy"+toInner+"\n", 1883, url4("mqtt", 1883))},
		{name: "HAProxy sends PROXY headers to mosquitto", want: cause.ProxyProtocolMismatch, twin: cause.MaxConnections, make: haproxy(inner, "frontend f\n bind :1883"+toInner+" send-proxy\n", 1883, url4("mqtt", 1883))},
		{name: "HAProxy takes MQTT for HTTP", want: cause.TCPToWSPort, twin: cause.PortTaken, make: haproxy(inner, "frontend f\n mode http\n bind :1883\n default_backend b\nbackend b\n mode http\n server s 127.0.0.1:1884\n", 1883, url4("mqtt", 1883))},
		{name: "HAProxy without the broker behind it", want: cause.BrokerNotRunning, make: haproxy("", "frontend f\n bind :1883"+toInner+"\n", 1883, url4("mqtt", 1883))},
		{name: "HAProxy lets in so many connections in a time", want: cause.RateLimitOrBan, make: haproxy(inner, "frontend f\n bind :1883\n stick-table type ip size 1k expire 30s store conn_rate(10s)\n tcp-request connection track-sc0 src\n tcp-request connection reject if { sc0_conn_rate gt 2 }"+toInner+"\n", 1883, url4("mqtt", 1883))},
		{name: "HAProxy hands TLS through by its name, and the address is used", want: cause.SNIALPN, make: func(w *world) []string {
			w.pair()
			w.mosquitto("listener 8884\nallow_anonymous true\ncertfile {dir}/server.crt\nkeyfile {dir}/server.key\n")
			w.haproxy("frontend f\n bind :8883\n tcp-request inspect-delay 2s\n tcp-request content accept if { req_ssl_hello_type 1 }\n use_backend b if { req_ssl_sni -i "+host+" }\nbackend b\n server s 127.0.0.1:8884\n", 8883)
			return []string{url4("mqtts", 8883), "--ca", w.path("ca.crt")}
		}},
		{name: "HAProxy wants a client certificate", want: cause.ClientCertRequired, make: byTLS(func(w *world) {
			w.haproxy("frontend f\n bind :8883 ssl crt {dir}/pair.pem ca-file {dir}/ca.crt verify required"+strings.ReplaceAll(toInner, "1884", "1883")+"\n", 8883)
		}, open)},
		{name: "HAProxy ends TLS and sends PROXY headers to mosquitto", want: cause.ProxyProtocolMismatch, twin: cause.BrokerNotRunning, make: byTLS(func(w *world) {
			w.haproxy("frontend f\n bind :8883 ssl crt {dir}/pair.pem"+strings.ReplaceAll(toInner, "1884", "1883")+" send-proxy\n", 8883)
		}, open)},
		{name: "HAProxy forbids this path", want: cause.WSPath, make: haproxy(webBroker, "frontend f\n mode http\n bind :80\n http-request deny if { path_beg /mqtt }\n default_backend b\nbackend b\n mode http\n server s 127.0.0.1:9001\n", 80, url4("ws", 80)+"/mqtt")},
		{name: "stunnel expects pre-shared keys alone", want: cause.TLSCiphers, make: byTLS(func(w *world) {
			w.file("psk", "fountain:00112233445566778899aabbccddeeff\n")
			w.stunnel("[mqtt]\naccept = 8883\nconnect = 127.0.0.1:1883\nciphers = PSK\nPSKsecrets = "+w.path("psk")+"\n", 8883)
		}, open)},
		{name: "a WebSocket that is none of MQTT's", want: cause.WSPath, twin: cause.PortTaken, make: func(w *world) []string {
			w.web(server4+":9001", http.HandlerFunc(echoes), nil)
			return []string{url4("ws", 9001) + "/mqtt"}
		}},
	}
}

// echoes is a WebSocket that takes every subprotocol and gives back what it gets, as the samples of libraries do.
func echoes(rw http.ResponseWriter, r *http.Request) {
	conn, in, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: %s\r\n\r\n", acceptKey(r.Header.Get("Sec-WebSocket-Key")))
	head := make([]byte, 2)
	for {
		if _, err := io.ReadFull(in, head); err != nil || head[1]&0x7f > 125 {
			return
		}
		body := make([]byte, 4+int(head[1]&0x7f))
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		mask, data := body[:4], body[4:]
		for i := range data {
			data[i] ^= mask[i%4]
		}
		if _, err := conn.Write(append([]byte{head[0], byte(len(data))}, data...)); err != nil {
			return
		}
	}
}
