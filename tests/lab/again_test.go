//go:build linux

package lab

import (
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"picket/cause"
)

// askedAgain are further ones of the kind of [asked], thought up after the rules for those had been written.
func askedAgain() []fault {
	web := func(site string) func(*world) []string {
		return func(w *world) []string {
			w.mosquitto(webBroker)
			w.caddy("http://:80 {\n"+site+"\n}\n", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}
	}
	return []fault{
		{name: "healthy: a dot behind the name, as name servers write it", make: func(w *world) []string {
			w.names(map[string][]string{host: {server4}})
			w.mosquitto(open)
			return []string{"mqtt://" + host + ".:1883"}
		}},
		{name: "healthy: Caddy leads WebSocket alone to the broker", make: web("@ws {\n header Connection *Upgrade*\n header Upgrade websocket\n }\n handle @ws {\n reverse_proxy 127.0.0.1:9001\n }\n handle {\n respond 404\n }")},
		{name: "healthy: clients see a part of the topics (mount_point)", make: func(w *world) []string {
			w.mosquitto("listener 1883\nmount_point garden/\nallow_anonymous true\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "healthy: a broker that says nothing of itself ($SYS)", make: func(w *world) []string {
			w.mosquitto("sys_interval 0\n" + open)
			return []string{url4("mqtt", 1883)}
		}},

		running(cause.HostFirewallDrop, "", "ports exchanged in the firewall's rule (1833)", guarded, func(w *world) {
			w.nft(serverSide, "table inet filter {\n chain input {\n type filter hook input priority 0; policy drop;\n ct state established,related accept\n iif lo accept\n meta l4proto { icmp, ipv6-icmp } accept\n tcp dport { 22, 1833 } accept\n }\n}\n")
		}),
		running(cause.RateLimitOrBan, "", "the firewall takes two connections of each address", guarded, func(w *world) {
			w.tables(serverSide, "iptables", "-A INPUT -p tcp --syn --dport 1883 -m connlimit --connlimit-above 2 -j REJECT --reject-with tcp-reset")
		}),
		running(cause.KeepaliveMissed, "", "a device sleeps longer than its keep alive", guarded, func(w *world) {
			asleep := w.start(clientSide, nil, "mosquitto_sub", "-h", server4, "-u", user, "-P", password, "-t", "a", "-i", "sensor", "-k", "5")
			w.logged("as sensor", 1)
			_ = syscall.Kill(-asleep.pid, syscall.SIGSTOP)
			w.logged("has exceeded timeout", 1)
		}),
		{name: "on the server: a device publishes where it may not", on: serverSide, want: cause.ACLPublishDenied, make: func(w *world) []string {
			w.passwords()
			w.file("acl", "user picket\ntopic readwrite home/#\n")
			args := w.settings("log_type all\n" + guarded + "acl_file {dir}/acl\n")
			w.runs(1883)
			w.start(clientSide, nil, "sh", "-c", `while :; do timeout 20 "$@"; sleep 1; done`, "sh", "mosquitto_pub", "-h", server4, "-u", user, "-P", password, "-t", "secret", "-m", "x", "-i", "meter")
			w.logged("Denied PUBLISH", 3)
			return args
		}},

		{name: "Caddy serves names, and the address is used", want: cause.WSPath, make: func(w *world) []string {
			w.mosquitto(webBroker)
			w.caddy("http://"+host+":80 {\n reverse_proxy 127.0.0.1:9001\n}\n", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}},
		{name: "Caddy takes the subprotocol away", want: cause.WSSubprotocol, make: web("reverse_proxy 127.0.0.1:9001 {\n header_up -Sec-WebSocket-Protocol\n }")},
		{name: "a route of this machine's own throws away what goes to the server (blackhole)", want: cause.PhoneVPNOrDNS, make: func(w *world) []string {
			w.batch(clientSide, "route add blackhole "+server4+"\n")
			return plain(w)
		}},
		{name: "a route of this machine's own prohibits the server's network", want: cause.PhoneVPNOrDNS, make: func(w *world) []string {
			w.batch(clientSide, "route add prohibit 203.0.113.0/24\n")
			return plain(w)
		}},
		{name: "a remote desktop on the port", want: cause.PortTaken, make: func(w *world) []string {
			w.listen(serverSide, server4+":1883", func(c net.Conn) {
				if _, err := c.Read(make([]byte, 1024)); err == nil {
					_, _ = io.WriteString(c, "\x03\x00\x00\x13\x0e\xd0\x00\x00\x124\x00\x02\x1f\x08\x00\x02\x00\x00\x00")
				}
			})
			return []string{url4("mqtt", 1883)}
		}},
		{name: "Elasticsearch on the port", want: cause.PortTaken, make: func(w *world) []string {
			w.web(server4+":1883", answers(http.StatusOK, `{"name":"node-1","cluster_name":"elasticsearch","tagline":"You Know, for Search"}`, "Content-Type", "application/json"), nil)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "a tarpit for SSH on the port, which never comes to its end", want: cause.PortTaken, make: func(w *world) []string {
			w.listen(serverSide, server4+":1883", func(c net.Conn) {
				for range 60 {
					if _, err := io.WriteString(c, "x3Gd9a\r\n"); err != nil {
						return
					}
					time.Sleep(500 * time.Millisecond)
				}
			})
			return []string{url4("mqtt", 1883)}
		}},
		{name: "one digit too few in the own network's address (92.168)", want: cause.AppFormMistake, make: func(w *world) []string {
			w.batch(routerSide, "route add 92.168.0.0/16 dev wan\n")
			w.tables(routerSide, "iptables", "-A FORWARD -d 92.168.0.0/16 -j DROP")
			return []string{"mqtt://92.168.7.10:1883"}
		}},
		{name: "nginx waits a minute for a broker that hangs", want: cause.BrokerSilent, twin: cause.BrokerNotRunning, make: func(w *world) []string {
			stop(w, w.mosquitto(webBroker).pid)
			w.nginx("server { listen 80; location /mqtt { "+passing(9001)+" } }", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}},
	}
}
