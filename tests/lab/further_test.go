//go:build linux

package lab

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"picket/cause"
)

// further are faults of all kinds that were thought up after the rules for the rest had been written, to see whether those hold.
func further() []fault {
	answer := func(status int, body string, headers ...string) func(*world) []string {
		return func(w *world) []string {
			w.web(server4+":80", answers(status, body, headers...), nil)
			return []string{url4("ws", 80) + "/mqtt"}
		}
	}
	ending := func(change func(*tls.Config)) func(*world) []string {
		return func(w *world) []string {
			w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous true\n")
			config := serverConfig(issue(w.t, garden.get(w.t), nil))
			change(config)
			w.certificates("server", issue(w.t, garden.get(w.t), nil))
			w.listen(serverSide, ":8883", w.withTLS(config, "127.0.0.1:1884"))
			return w.byName("mqtts", 8883, "")
		}
	}
	return []fault{
		{name: "healthy: HAProxy checks its broker by MQTT", make: func(w *world) []string {
			w.mosquitto("listener 1884\nallow_anonymous true\n")
			w.haproxy("frontend f\n bind :1883\n default_backend b\nbackend b\n option tcp-check\n tcp-check connect\n tcp-check send-binary 101000044d515454040200050004636865636b\n tcp-check expect binary 20020000\n server s 127.0.0.1:1884 check inter 500ms\n", 1883)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "healthy: TLS 1.2 alone, and one cipher suite that is good", make: func(w *world) []string {
			w.good()
			w.mosquitto("listener 8883\nallow_anonymous true\ntls_version tlsv1.2\nciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256\n" + secured)
			return w.byName("mqtts", 8883, "")
		}},
		{name: "healthy: subscriptions are answered 400 ms late", make: filtered(func(p []byte) []byte {
			if p[0] == 0x90 {
				time.Sleep(400 * time.Millisecond)
			}
			return p
		}, nil)},
		{name: "healthy: an address of IPv4 within IPv6 (::ffff:)", make: func(w *world) []string { w.mosquitto(open); return []string{"mqtt://[::ffff:203.0.113.10]:1883"} }},
		{name: "healthy: nginx adds headers and asks for a path with a query", make: func(w *world) []string {
			w.mosquitto(webBroker)
			w.nginx("server { listen 80; add_header X-Frame-Options DENY always; location /mqtt { "+passing(9001)+" proxy_set_header X-Forwarded-For $remote_addr; } }", 80)
			return []string{url4("ws", 80) + "/mqtt?client=7"}
		}},

		{name: "Netlify has no site of the name", want: cause.WSPath, twin: cause.DNSMissingOrStale, make: answer(404, "<title>Site not found</title><h1>Site not found</h1><p>Looks like you followed a broken link or entered a URL that doesn't exist on Netlify.</p>", "Server", "Netlify")},
		{name: "Authelia wants a login", want: cause.AnonymousRefused, make: answer(401, "<a href=\"https://auth.example.com/?rd=https%3A%2F%2Fbroker.test%2Fmqtt&amp;rm=GET\">401 Unauthorized</a>", "Location", "https://auth.example.com/")},
		{name: "a web firewall in Chinese blocks", want: cause.RateLimitOrBan, make: answer(403, "<title>访问被拦截！</title>您的请求带有不合法参数，已被网站管理员设置拦截！", "Server", "Tengine")},
		{name: "F5's firewall blocks", want: cause.RateLimitOrBan, make: answer(200, "<html><head><title>Request Rejected</title></head><body>The requested URL was rejected. Please consult with your administrator.<br><br>Your support ID is: 123456</body></html>")},
		{name: "a service mesh has no route (404, empty, istio)", want: cause.WSPath, make: answer(404, "", "Server", "istio-envoy")},
		{name: "Google's login stands before it (IAP)", want: cause.AnonymousRefused, twin: cause.CaptivePortalOrAPIsolation, make: answer(302, "", "Location", "https://accounts.google.com/o/oauth2/v2/auth?client_id=1")},
		{name: "OpenWrt's page answers", want: cause.NATNoPortForward, twin: cause.WSPath, make: answer(404, "<title>OpenWrt - LuCI</title>No page is registered at '/mqtt'.")},
		{name: "a server that has been shut for good (410)", want: cause.WSPath, make: answer(410, "Gone")},
		{name: "a proxy has no memory left (507)", want: cause.ProxyNoUpgrade, twin: cause.WSPath, make: answer(507, "Insufficient Storage")},
		{name: "a gateway that closes as it restarts (1012)", want: cause.MaintenanceOrReload, make: closing(1012, "Service Restart")},
		{name: "a gateway that wants a token (4401)", want: cause.AnonymousRefused, make: closing(4401, "invalid token")},
		{name: "a gateway that closes as it cannot do with binary frames (1003)", want: cause.WSFrameInvalid, twin: cause.WSPath, make: closing(ws.StatusUnsupportedData, "text only")},
		{name: "a gateway whose frames are longer than they say", want: cause.WSFrameInvalid, make: gateway{frames: func(p []byte) []ws.Frame {
			f := ws.NewFrame(ws.OpPing, true, make([]byte, 200))
			return []ws.Frame{f, ws.NewBinaryFrame(p)}
		}}.serve},
		{name: "a server that answers WebSocket in HTTP/1.0", want: cause.WSUpgradeInvalid, twin: cause.ProxyNoUpgrade, make: gateway{head: func(r *http.Request, key string) string {
			return strings.Replace(good101(r, key), "HTTP/1.1", "HTTP/1.0", 1)
		}}.serve},
		{name: "TLS that ends with the alert of an internal error", want: cause.SNIALPN, twin: cause.TLSHandshakeFailed, make: ending(func(c *tls.Config) {
			c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, io.ErrUnexpectedEOF }
			c.Certificates = nil
		})},
		{name: "a certificate of another country's name server (IDN), for another name", want: cause.TLSNameMismatch, make: func(w *world) []string {
			w.certificates("server", issue(w.t, garden.get(w.t), func(c *x509.Certificate) { c.DNSNames = []string{"xn--bcher-kva.test"} }))
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			return w.byName("mqtts", 8883, "")
		}},
		{name: "QoS 1 is hung up on", want: cause.QoSNotSupported, make: behindScript(nil, packets(func(head byte) bool { return head&0xF6 != 0x32 }))},
		{name: "CONNACK comes with every second login only", want: cause.RateLimitOrBan, twin: cause.MaxConnections, make: func(w *world) []string {
			w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous true\n")
			var n atomic.Int32
			forward := w.forwards(serverSide, "127.0.0.1:1884")
			w.listen(serverSide, server4+":1883", func(c net.Conn) {
				if n.Add(1)%2 == 0 {
					_, _ = io.ReadFull(c, make([]byte, 12))
					return
				}
				forward(c)
			})
			return []string{url4("mqtt", 1883)}
		}},
		{name: "PUBREC is never sent", want: cause.QoSNotSupported, twin: cause.Overloaded, make: filtered(func(p []byte) []byte {
			if p[0]&0xF0 == 0x50 {
				return nil
			}
			return p
		}, nil)},
		{name: "the version of MQTT 5 is refused with a code of the older ones", want: cause.ProtocolVersion, make: behindScript(nil, func(c net.Conn, b []byte) bool {
			if b[0] == 0x10 && len(b) > 8 && b[8] == 5 {
				_, _ = c.Write([]byte{0x20, 2, 0, 1})
				return false
			}
			return true
		})},
		{name: "the address with a letter l", want: cause.AppFormMistake, make: func(w *world) []string { w.mosquitto(open); return []string{"mqtt://203.0.ll3.l0:1883"} }},
		{name: "the unspecified address of IPv6", want: cause.AppFormMistake, make: func(w *world) []string { w.mosquitto(open); return []string{"mqtt://[::]:1883"} }},
		{name: "a name with the address of a link beside the public one (169.254)", want: cause.DNSMissingOrStale, twin: cause.PrivateIPUsed, make: func(w *world) []string {
			w.names(map[string][]string{host: {"169.254.7.7", server4}})
			w.mosquitto(open)
			return []string{"mqtt://" + host}
		}},
		{name: "a fake address of a proxy program, which refuses", want: cause.PhoneVPNOrDNS, make: func(w *world) []string {
			w.names(map[string][]string{host: {"198.18.3.4"}})
			w.tables(routerSide, "iptables", "-A FORWARD -d 198.18.0.0/15 -p tcp -j REJECT --reject-with tcp-reset")
			w.batch(routerSide, "route add 198.18.0.0/15 dev wan\n")
			return []string{"mqtt://" + host}
		}},
		{name: "a bridge of libvirt's on the client has the server's network", want: cause.HostDown, twin: cause.PrivateIPUsed, make: func(w *world) []string {
			w.batch(clientSide, "link add virbr0 type bridge\naddr add 192.168.122.1/24 dev virbr0\nlink set virbr0 up\n")
			return []string{"mqtt://192.168.122.50"}
		}},
		{name: "the server's firewall rejects with net-prohibited", want: cause.HostFirewallReject, make: func(w *world) []string {
			w.tables(serverSide, "iptables", "-A INPUT -p tcp --dport 1883 -j REJECT --reject-with icmp-net-prohibited")
			return plain(w)
		}},
		{name: "a hotel's network that lets the web and names out alone, with a reset for the rest", want: cause.CarrierOrCorpBlocksPort, make: func(w *world) []string {
			w.tables(routerSide, "iptables", "-A FORWARD -i lan -p tcp -m multiport ! --dports 53,80,443 -j REJECT --reject-with tcp-reset")
			w.nginx("server { listen 80; location / { return 404; } }", 80)
			return plain(w)
		}},
		{name: "messages come back five seconds late, and QoS 0 alone", want: cause.Overloaded, make: filtered(func(p []byte) []byte {
			if p[0]&0xF6 == 0x30 {
				time.Sleep(2500 * time.Millisecond)
			}
			return p
		}, nil)},
	}
}
