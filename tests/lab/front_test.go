//go:build linux

package lab

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"picket/cause"
)

// nginx runs one on the server. In the configuration of its http block {dir} is the world's folder; the ports are those that it listens on.
func (w *world) nginx(http string, ports ...int) {
	w.t.Helper()
	conf := "daemon off;\nuser root;\nworker_processes 1;\nerror_log stderr;\npid {dir}/nginx.pid;\nevents {}\nhttp {\n access_log off;\n client_body_temp_path {dir}/body;\n proxy_temp_path {dir}/proxy;\n" +
		" fastcgi_temp_path {dir}/fastcgi;\n uwsgi_temp_path {dir}/uwsgi;\n scgi_temp_path {dir}/scgi;\n" + http + "\n}\n"
	w.start(serverSide, ports, "nginx", "-e", "stderr", "-p", w.dir, "-c", w.file("nginx.conf", strings.ReplaceAll(conf, "{dir}", w.dir)))
}

// haproxy runs one on the server.
func (w *world) haproxy(conf string, ports ...int) {
	w.t.Helper()
	conf = "global\n log stderr local0\ndefaults\n mode tcp\n timeout connect 2s\n timeout client 1m\n timeout server 1m\n timeout tunnel 1h\n" + conf
	w.start(serverSide, ports, "haproxy", "-db", "-f", w.file("haproxy.cfg", strings.ReplaceAll(conf, "{dir}", w.dir)))
}

// stunnel runs one on the server.
func (w *world) stunnel(conf string, ports ...int) {
	w.t.Helper()
	conf = "foreground = yes\npid =\n" + conf
	w.start(serverSide, ports, "stunnel4", w.file("stunnel.conf", strings.ReplaceAll(conf, "{dir}", w.dir)))
}

// dnsmasq is the name server of the client, on its router.
func (w *world) dnsmasq(conf string) {
	w.t.Helper()
	w.resolver("nameserver " + gateway4 + "\n")
	w.start(routerSide, nil, "dnsmasq", "-k", "-h", "-R", "-C", w.file("dnsmasq.conf", "user=root\nport=53\nlisten-address="+gateway4+"\nbind-interfaces\n"+conf))
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) { // it listens by UDP and TCP; no connection is made
		if w.listens(routerSide, []int{53}) || time.Now().After(end) {
			return
		}
	}
}

// pair makes a certificate of the garden's authority for the broker's name, with its key, in one file as haproxy and stunnel want it.
func (w *world) pair() {
	w.t.Helper()
	w.certificates("server", issue(w.t, garden.get(w.t), nil))
	var both []byte
	for _, f := range []string{"server.crt", "server.key"} {
		data, err := os.ReadFile(filepath.Join(w.dir, f))
		if err != nil {
			w.t.Fatal(err)
		}
		both = append(both, data...)
	}
	w.file("pair.pem", string(both))
}

// passing is the part of an nginx that hands WebSocket through to a port.
func passing(port int) string {
	return fmt.Sprintf("proxy_pass http://127.0.0.1:%d; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;", port)
}

const webBroker = "listener 9001\nprotocol websockets\nallow_anonymous true\n"

// front are faults of what stands in front of a broker: real nginx, HAProxy and stunnel.
func front() []fault {
	page := func(server string) func(*world) []string {
		return func(w *world) []string {
			w.mosquitto(webBroker)
			w.nginx("server { listen 80; "+server+" }", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}
	}
	status := func(code int) func(*world) []string { return page(fmt.Sprintf("location / { return %d; }", code)) }
	secure := func(server string) func(*world) []string {
		return func(w *world) []string {
			w.names(map[string][]string{host: {server4}})
			w.pair()
			w.mosquitto(webBroker)
			w.nginx("ssl_certificate {dir}/server.crt; ssl_certificate_key {dir}/server.key;\n"+server, 443)
			return []string{"wss://" + host + ":443/mqtt", "--ca", w.path("ca.crt")}
		}
	}
	ended := func(program func(*world), back string) func(*world) []string {
		return func(w *world) []string {
			w.names(map[string][]string{host: {server4}})
			w.pair()
			if back != "" {
				w.mosquitto(strings.ReplaceAll(back, "{tls}", "cafile {dir}/ca.crt\ncertfile {dir}/server.crt\nkeyfile {dir}/server.key\n"))
			}
			program(w)
			return []string{"mqtts://" + host, "--ca", w.path("ca.crt")}
		}
	}
	haproxyTLS := func(w *world) {
		w.haproxy("frontend f\n bind :8883 ssl crt {dir}/pair.pem\n default_backend b\nbackend b\n server s 127.0.0.1:1883\n", 8883)
	}
	stunnel := func(w *world) {
		w.stunnel("[mqtt]\naccept = 8883\nconnect = 127.0.0.1:1883\ncert = {dir}/pair.pem\n", 8883)
	}
	return []fault{
		{name: "healthy: nginx in front, WebSocket", make: page("location /mqtt { " + passing(9001) + " }")},
		{name: "healthy: nginx in front, WebSocket with TLS", make: secure("server { listen 443 ssl; location /mqtt { " + passing(9001) + " } }")},
		{name: "healthy: nginx in front, which asks mosquitto in HTTP/1.0", make: page("location /mqtt { proxy_pass http://127.0.0.1:9001; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }")},
		{name: "healthy: nginx in front, which asks Picket in HTTP/1.0", make: func(w *world) []string {
			w.picket(webBroker)
			w.nginx("server { listen 80; location /mqtt { proxy_pass http://127.0.0.1:9001; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; } }", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}},
		{name: "healthy: mosquitto, each user has topics of its own", make: func(w *world) []string {
			w.passwords()
			w.file("acl", "pattern readwrite %u/#\n")
			w.mosquitto("listener 1883\nallow_anonymous false\npassword_file {dir}/passwords\nacl_file {dir}/acl\n")
			return []string{url4("mqtt", 1883), "--user", user}
		}},
		{name: "healthy: HAProxy in front, TCP", make: func(w *world) []string {
			w.mosquitto("listener 1884\nallow_anonymous true\n")
			w.haproxy("frontend f\n bind :1883\n default_backend b\nbackend b\n server s 127.0.0.1:1884\n", 1883)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "healthy: HAProxy in front, TLS", make: ended(haproxyTLS, open)},
		{name: "healthy: stunnel in front", make: ended(stunnel, open)},
		{name: "healthy: HAProxy in front, which tells Picket who calls", make: func(w *world) []string {
			w.picket("listener 1884\nproxy_from 127.0.0.1\nallow_anonymous true\n")
			w.haproxy("frontend f\n bind :1883\n default_backend b\nbackend b\n server s 127.0.0.1:1884 send-proxy-v2\n", 1883)
			return []string{url4("mqtt", 1883)}
		}},

		{name: "nginx wants a login of its own", want: cause.AnonymousRefused, make: func(w *world) []string {
			w.file("htpasswd", "picket:{PLAIN}secret\n")
			return page("auth_basic mqtt; auth_basic_user_file {dir}/htpasswd; location /mqtt { " + passing(9001) + " }")(w)
		}},
		{name: "nginx leads to a page to log in at", want: cause.AnonymousRefused, make: page("location / { return 302 /login?next=/mqtt; }")},
		{name: "nginx leads to the path with a slash", want: cause.WSPath, make: page("location = /mqtt { return 301 /mqtt/; } location /mqtt/ { " + passing(9001) + " } location / { return 404; }")},
		{name: "nginx has one page for every path", want: cause.WSPath, make: page("location / { default_type text/html; return 200 '<html><div id=app></div></html>'; }")},
		{name: "nginx says that there are too many requests", want: cause.RateLimitOrBan, make: status(429)},
		{name: "nginx without the broker behind it", want: cause.BrokerNotRunning, make: page("location /mqtt { " + passing(9009) + " }")},
		{name: "nginx waits for the broker in vain", want: cause.BrokerSilent, make: func(w *world) []string {
			w.listen(serverSide, "127.0.0.1:9009", says(""))
			return page("location /mqtt { proxy_read_timeout 1s; " + passing(9009) + " }")(w)
		}},
		{name: "nginx does not pass Upgrade on to Picket", want: cause.ProxyNoUpgrade, make: func(w *world) []string {
			w.picket(webBroker)
			w.nginx("server { listen 80; location /mqtt { proxy_pass http://127.0.0.1:9001; } }", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}},
		{name: "a notice that the domain is not filed", want: cause.ICPSNIBlock, make: page("location / { default_type 'text/html; charset=utf-8'; return 403 '<html>该网站暂时无法访问：域名未备案</html>'; }")},
		{name: "a CDN: the server refuses (521)", want: cause.BrokerNotRunning, make: status(521)},
		{name: "a CDN: the server is silent (522)", want: cause.SecurityGroupClosed, make: status(522)},
		{name: "a CDN: no TLS at the server (525)", want: cause.TLSHandshakeFailed, make: status(525)},
		{name: "a CDN: the server's certificate is not trusted (526)", want: cause.TLSUnknownCA, make: status(526)},
		{name: "a CDN: the server's name leads nowhere (1016)", want: cause.DNSMissingOrStale, make: status(530)},
		{name: "ws:// to nginx' port of HTTPS", want: cause.PlainToTLSPort, make: func(w *world) []string {
			secure("server { listen 443 ssl; location /mqtt { " + passing(9001) + " } }")(w)
			return []string{"ws://" + host + ":443/mqtt"}
		}},
		{name: "nginx wants a client certificate", want: cause.ClientCertRequired, make: secure("server { listen 443 ssl; ssl_client_certificate {dir}/ca.crt; ssl_verify_client on; location /mqtt { " + passing(9001) + " } }")},
		{name: "nginx serves names, and the address is used", want: cause.SNIALPN, make: func(w *world) []string {
			secure("server { listen 443 ssl default_server; ssl_reject_handshake on; } server { listen 443 ssl; server_name " + host + "; location /mqtt { " + passing(9001) + " } }")(w)
			return []string{url4("wss", 443) + "/mqtt", "--ca", w.path("ca.crt")}
		}},
		{name: "HAProxy serves names, and the address is used", want: cause.SNIALPN, make: func(w *world) []string {
			w.pair()
			w.mosquitto(open)
			w.haproxy("frontend f\n bind :8883 ssl crt {dir}/pair.pem strict-sni\n default_backend b\nbackend b\n server s 127.0.0.1:1883\n", 8883)
			return []string{url4("mqtts", 8883), "--ca", w.path("ca.crt")}
		}},
		{name: "HAProxy ends TLS, without the broker behind it", want: cause.BrokerNotRunning, make: ended(haproxyTLS, "")},
		{name: "HAProxy ends TLS, and the broker wants TLS itself", want: cause.PlainToTLSPort, make: ended(haproxyTLS, "listener 1883\nallow_anonymous true\n{tls}")},
		{name: "stunnel ends TLS, without the broker behind it", want: cause.BrokerNotRunning, make: ended(stunnel, "")},
		{name: "stunnel ends TLS, and the broker wants TLS itself", want: cause.PlainToTLSPort, make: ended(stunnel, "listener 1883\nallow_anonymous true\n{tls}")},
		{name: "stunnel wants a client certificate", want: cause.ClientCertRequired, make: ended(func(w *world) {
			w.stunnel("[mqtt]\naccept = 8883\nconnect = 127.0.0.1:1883\ncert = {dir}/pair.pem\nCAfile = {dir}/ca.crt\nverifyChain = yes\nrequireCert = yes\n", 8883)
		}, open)},
		{name: "HAProxy has no server left", want: cause.BrokerNotRunning, make: func(w *world) []string {
			w.haproxy("frontend f\n mode http\n bind :80\n default_backend b\nbackend b\n mode http\n server s 127.0.0.1:9009\n", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}},
		{name: "HAProxy lets in so many requests in a time", want: cause.RateLimitOrBan, make: func(w *world) []string {
			w.mosquitto(webBroker)
			w.haproxy("frontend f\n mode http\n bind :80\n http-request deny deny_status 429\n default_backend b\nbackend b\n mode http\n server s 127.0.0.1:9001\n", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}},
		{name: "HAProxy closes what is quiet for 3 s", want: cause.LBIdleTimeout, make: func(w *world) []string {
			w.mosquitto("listener 1884\nallow_anonymous true\n")
			w.haproxy("frontend f\n bind :1883\n timeout client 3s\n default_backend b\nbackend b\n timeout server 3s\n timeout tunnel 3s\n server s 127.0.0.1:1884\n", 1883)
			return []string{url4("mqtt", 1883), "--stay", "6s"}
		}},
		{name: "a WebSocket for another subprotocol than was asked for", want: cause.WSSubprotocol, make: func(w *world) []string {
			w.web(server4+":9001", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				conn, _, err := http.NewResponseController(rw).Hijack()
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: %s\r\n\r\n", acceptKey(r.Header.Get("Sec-WebSocket-Key")))
			}), nil)
			return []string{url4("ws", 9001) + "/mqtt"}
		}},
	}
}

// ways are faults of the way and of names that the first set does not have.
func ways() []fault {
	tables := func(program string, rules ...string) func(*world) []string {
		return func(w *world) []string {
			for _, r := range rules {
				w.run(serverSide, append([]string{program}, strings.Fields(r)...)...)
			}
			return plain(w)
		}
	}
	return []fault{
		{name: "healthy: a VPN that is up and not on the way", make: func(w *world) []string {
			w.vpn()
			w.batch(clientSide, "addr add 10.8.0.2/24 dev wg0\nlink set wg0 up\n")
			return plain(w)
		}},
		{name: "healthy: the hosts file says what the name server says", make: func(w *world) []string {
			w.names(map[string][]string{host: {server4}})
			w.hosts(server4 + " " + host)
			w.mosquitto(open)
			return []string{"mqtt://" + host}
		}},
		{name: "healthy: dnsmasq, IPv6 alone", make: func(w *world) []string {
			w.dnsmasq("address=/" + host + "/" + server6 + "\n")
			w.mosquitto(open)
			return []string{"mqtt://" + host}
		}},
		{name: "a name server that keeps the name away (0.0.0.0)", want: cause.DNSMissingOrStale, make: func(w *world) []string {
			w.dnsmasq("address=/" + host + "/0.0.0.0\n")
			w.mosquitto(open)
			return []string{"mqtt://" + host}
		}},
		{name: "a name server that refuses to tell", want: cause.DNSNoAnswer, make: func(w *world) []string {
			w.dnsmasq("no-hosts\n")
			return []string{"mqtt://" + host}
		}},
		{name: "the hosts file has an old address", want: cause.DNSMissingOrStale, make: func(w *world) []string {
			w.names(map[string][]string{host: {server4}})
			w.hosts("203.0.113.77 " + host)
			w.mosquitto(open)
			return []string{"mqtt://" + host}
		}},
		{name: "the first of two name servers is dead", want: cause.DNSNoAnswer, make: func(w *world) []string {
			w.names(map[string][]string{host: {server4}})
			w.batch(routerSide, "addr add 192.168.7.53/24 dev lan\n")
			w.nft(routerSide, "table inet quiet {\n chain c {\n  type filter hook input priority 0;\n  ip daddr 192.168.7.53 drop\n }\n}\n")
			w.resolver("nameserver 192.168.7.53\nnameserver " + gateway4 + "\noptions timeout:3\n")
			w.mosquitto(open)
			return []string{"mqtt://" + host, "--timeout", "9s"}
		}},
		{name: "a VPN that is up and dead", want: cause.PhoneVPNOrDNS, make: func(w *world) []string {
			w.vpn()
			w.batch(clientSide, "addr add 10.8.0.2/24 dev wg0\nlink set wg0 up\nroute replace default dev wg0\n")
			return plain(w)
		}},
		{name: "the network's own public address, from inside", want: cause.HairpinNAT, make: func(w *world) []string {
			w.mosquitto(open)
			return []string{fmt.Sprintf("mqtt://%s:1883", outside4)}
		}},
		{name: "the network's own public address, from inside, dropped", want: cause.HairpinNAT, make: func(w *world) []string {
			w.nft(routerSide, "table inet lab {\n chain c {\n  type filter hook input priority 0;\n  tcp dport 1883 drop\n }\n}\n")
			return []string{fmt.Sprintf("mqtt://%s:1883", outside4)}
		}},
		{name: "a login page that answers port 80 alone", want: cause.CaptivePortalOrAPIsolation, make: func(w *world) []string {
			w.nft(routerSide, "table ip lab {\n chain p {\n  type nat hook prerouting priority dstnat;\n  iifname lan tcp dport 80 redirect to :8080\n }\n chain f {\n  type filter hook forward priority 0;\n  iifname lan drop\n }\n}\n")
			w.listen(routerSide, ":8080", says("HTTP/1.1 302 Found\r\nLocation: http://192.168.7.1/login\r\nContent-Length: 0\r\n\r\n"))
			return plain(w)
		}},
		{name: "iptables, the old one: the port is dropped", want: cause.HostFirewallDrop, make: tables("iptables-legacy", "-A INPUT -p tcp --dport 1883 -j DROP")},
		{name: "iptables: the port is dropped", want: cause.HostFirewallDrop, make: tables("iptables", "-A INPUT -p tcp --dport 1883 -j DROP")},
		{name: "iptables: the answers are dropped", want: cause.HostFirewallDrop, make: tables("iptables", "-A OUTPUT -p tcp --sport 1883 -j DROP")},
		{name: "iptables: rejected, as Oracle's images do", want: cause.HostFirewallReject, make: tables("iptables", "-A INPUT -p icmp -j ACCEPT", "-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT", "-A INPUT -j REJECT --reject-with icmp-host-prohibited", "-A INPUT -p tcp --dport 1883 -j ACCEPT")},
		{name: "iptables: so many connections in a time", want: cause.RateLimitOrBan, make: tables("iptables", "-A INPUT -p tcp --dport 1883 --syn -m hashlimit --hashlimit-above 12/min --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-name lab -j DROP")},
		{name: "1.6 s there and back", want: cause.FarAway, link: &link{delay: 800 * time.Millisecond}, make: plain},
		{name: "2.4 s there and back", want: cause.FarAway, link: &link{delay: 1200 * time.Millisecond}, make: plain},
	}
}

// vpn gives the client the interface of a VPN, from which nothing comes back.
func (w *world) vpn() {
	w.t.Helper()
	f := w.tun(clientSide, "wg0")
	w.t.Cleanup(func() { f.Close() })
}

// acceptKey is the answer to a WebSocket's key (RFC 6455, 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// hosts puts lines into the client's own list of names.
func (w *world) hosts(lines string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join("/etc/netns", w.ns(clientSide), "hosts"), []byte("127.0.0.1 localhost\n"+lines+"\n"), 0o644); err != nil {
		w.t.Fatal(err)
	}
}
