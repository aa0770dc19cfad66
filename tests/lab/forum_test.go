//go:build linux

package lab

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"picket/cause"
)

// forumFaults are faults as strangers describe them in forums: of the way, of what stands in front, of certificates, of names and of the server.
func forumFaults() []fault {
	on := func(machine string, rules ...string) func(*world) []string {
		return func(w *world) []string { w.tables(machine, "iptables", rules...); return plain(w) }
	}
	web := func(server string, more ...string) func(*world) []string {
		return func(w *world) []string {
			w.mosquitto(webBroker)
			w.nginx(server, 80)
			return append([]string{url4("ws", 80) + "/mqtt"}, more...)
		}
	}
	tls := func(change func(*x509.Certificate), more string) func(*world) []string {
		return func(w *world) []string {
			w.certificates("server", issue(w.t, garden.get(w.t), change))
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured + more)
			return w.byName("mqtts", 8883, "")
		}
	}
	forward := func(rule string) func(*world) []string {
		return func(w *world) []string {
			w.tables(routerSide, "iptables", "-t nat -A PREROUTING -d "+outside4+" -p tcp "+rule, "-t nat -A POSTROUTING -o wan -j MASQUERADE")
			w.good()
			w.mosquitto(open + "listener 8883\nallow_anonymous true\n" + secured)
			return []string{"mqtt://" + outside4}
		}
	}
	return []fault{
		// the way
		{name: "hashlimit for each address", want: cause.RateLimitOrBan, make: on(serverSide, "-A INPUT -p tcp --syn --dport 1883 -m hashlimit --hashlimit-above 3/min --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-name mqtt -j DROP")},
		{name: "one connection of each address (connlimit), the rest is dropped", want: cause.RateLimitOrBan, twin: cause.MaxConnections, make: on(serverSide, "-A INPUT -p tcp --syn --dport 1883 -m connlimit --connlimit-above 1 -j DROP")},
		{name: "the server's answers go out by another line and are thrown away (rp_filter)", want: cause.SecurityGroupClosed, twin: cause.NoPublicIP, make: func(w *world) []string {
			w.run(serverSide, "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1")
			w.run(serverSide, "sysctl", "-qw", "net.ipv4.conf.eth0.rp_filter=1")
			w.batch(serverSide, "link add lte type veth peer name modem\naddr add 10.64.0.2/24 dev lte\nlink set lte up\nlink set modem up\nroute add 192.168.7.0/24 via 10.64.0.1 dev lte\n")
			return plain(w)
		}},
		{name: "the router forwards the port to a machine that refuses", want: cause.BrokerNotRunning, twin: cause.LoopbackOnly, make: forward("--dport 1883 -j DNAT --to-destination " + server4 + ":1885")},
		{name: "the router forwards the port to SSH", want: cause.PortTaken, make: func(w *world) []string {
			w.listen(serverSide, server4+":22", says("SSH-2.0-OpenSSH_9.2\r\n"))
			return forward("--dport 1883 -j DNAT --to-destination " + server4 + ":22")(w)
		}},
		{name: "the router forwards the plain port to the TLS port", want: cause.PlainToTLSPort, make: forward("--dport 1883 -j DNAT --to-destination " + server4 + ":8883")},
		{name: "the router forwards the TLS port to the plain port", want: cause.TLSToPlainPort, make: func(w *world) []string {
			forward("--dport 8883 -j DNAT --to-destination " + server4 + ":1883")(w)
			return []string{"mqtts://" + outside4}
		}},
		{name: "packets of more than 1000 bytes are dropped, both ways", want: cause.MTUBlackhole, make: on(routerSide, "-A FORWARD -p tcp -m length --length 1000:65535 -j DROP")},
		{name: "large packets of the server's are dropped, TLS", want: cause.MTUBlackhole, make: func(w *world) []string {
			w.tables(routerSide, "iptables", "-A FORWARD -i wan -p tcp -m length --length 1000:65535 -j DROP")
			return tls(nil, "")(w)
		}},
		{name: "so many packets in a second, the rest is dropped", want: cause.LossyNetwork, make: on(routerSide, "-A FORWARD -p tcp -m limit --limit 25/s --limit-burst 20 -j ACCEPT", "-A FORWARD -p tcp -j DROP")},
		{name: "a connection is reset after 40 kB", want: cause.ConnectionLost, twin: cause.RateLimitOrBan, make: on(routerSide, "-A FORWARD -p tcp -m connbytes --connbytes 40000: --connbytes-dir both --connbytes-mode bytes -j REJECT --reject-with tcp-reset")},
		{name: "a portal answers every name with its own address", want: cause.CaptivePortalOrAPIsolation, make: func(w *world) []string {
			w.dnsmasq("address=/#/" + gateway4 + "\n")
			w.webAt(routerSide, gateway4+":80", answers(302, "", "Location", "http://192.168.7.1/login"), nil)
			return []string{"mqtt://" + host}
		}},
		{name: "every session ends after three seconds", want: cause.ConnectionLost, make: inFront(func(c, back net.Conn) {
			time.AfterFunc(3*time.Second, func() { _ = c.Close() })
			between(c, back, nil, nil)
		}, "--stay", "8s")},
		// what stands in front
		{name: "nginx asks the broker in https, which speaks http", want: cause.BrokerNotRunning, make: web("server { listen 80; location / { " + strings.Replace(passing(9001), "http://", "https://", 1) + " } }")},
		{name: "nginx wants a password for the page (auth_basic)", want: cause.AnonymousRefused, make: func(w *world) []string {
			w.file("htpasswd", "me:{PLAIN}secret\n")
			return web("server { listen 80; location / { auth_basic \"closed\"; auth_basic_user_file {dir}/htpasswd; " + passing(9001) + " } }")(w)
		}},
		{name: "nginx leads the path on to one with a slash at its end", want: cause.WSPath, make: web("server { listen 80; location = /mqtt { return 301 /mqtt/; } location /mqtt/ { " + passing(9001) + " } }")},
		{name: "nginx closes after three quiet seconds", want: cause.LBIdleTimeout, make: web("server { listen 80; location / { "+passing(9001)+" proxy_read_timeout 3s; } }", "--stay", "8s")},
		{name: "nginx lets in one connection at a time (limit_conn)", want: cause.RateLimitOrBan, make: func(w *world) []string {
			args := web("limit_conn_zone $binary_remote_addr zone=a:1m;\nserver { listen 80; location / { limit_conn a 1; limit_conn_status 429; " + passing(9001) + " } }")(w)
			w.start(clientSide, nil, "sh", "-c", `while :; do curl -sN --http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' -H 'Sec-WebSocket-Protocol: mqtt' "$0"; sleep 0.1; done`, "http://"+server4+"/mqtt")
			time.Sleep(time.Second)
			return args
		}},
		{name: "nginx knows the name no more and ends the handshake (ssl_reject_handshake)", want: cause.SNIALPN, make: func(w *world) []string {
			w.pair()
			w.mosquitto(webBroker)
			w.nginx("server { listen 443 ssl default_server; ssl_reject_handshake on; }\nserver { listen 443 ssl; server_name mq.test; ssl_certificate {dir}/server.crt; ssl_certificate_key {dir}/server.key; location / { "+passing(9001)+" } }", 443)
			w.names(map[string][]string{host: {server4}})
			return []string{"wss://" + host + ":443/mqtt", "--ca", w.path("ca.crt")}
		}},
		{name: "HAProxy has a certificate for another name alone", want: cause.TLSNameMismatch, make: func(w *world) []string {
			w.certificates("server", issue(w.t, garden.get(w.t), onlyName("mq.test")))
			a, _ := os.ReadFile(w.path("server.crt"))
			b, _ := os.ReadFile(w.path("server.key"))
			w.file("pair.pem", string(a)+string(b))
			w.mosquitto(open)
			w.haproxy("frontend f\n bind :8883 ssl crt {dir}/pair.pem\n default_backend b\nbackend b\n server s 127.0.0.1:1883\n", 8883)
			return w.byName("mqtts", 8883, "")
		}},
		{name: "HAProxy gives up on clients after three quiet seconds", want: cause.LBIdleTimeout, make: func(w *world) []string {
			w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous true\n")
			w.haproxy("frontend f\n bind :1883\n timeout client 3s\n default_backend b\nbackend b\n timeout tunnel 3s\n timeout server 3s\n server s 127.0.0.1:1884\n", 1883)
			return []string{url4("mqtt", 1883), "--stay", "8s"}
		}},
		{name: "squid on the port", want: cause.PortTaken, make: func(w *world) []string {
			w.listen(serverSide, server4+":1883", func(c net.Conn) {
				b := make([]byte, 512)
				if _, err := c.Read(b); err == nil {
					_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nServer: squid/5.7\r\nMime-Version: 1.0\r\nContent-Type: text/html\r\nX-Squid-Error: ERR_INVALID_REQ 0\r\nConnection: close\r\n\r\n<html>ERR_INVALID_REQ</html>")
				}
			})
			return []string{url4("mqtt", 1883)}
		}},
		{name: "OPC UA on the port", want: cause.PortTaken, make: func(w *world) []string {
			w.listen(serverSide, server4+":1883", func(c net.Conn) {
				b := make([]byte, 512)
				if _, err := c.Read(b); err == nil {
					_, _ = c.Write([]byte("ERRF\x18\x00\x00\x00\x00\x00\x7e\x80\x08\x00\x00\x00bad type"))
				}
			})
			return []string{url4("mqtt", 1883)}
		}},
		{name: "wss:// to the port of MQTT with TLS", want: cause.WSToTCPPort, make: func(w *world) []string {
			args := tls(nil, "")(w)
			return append([]string{"wss://" + host + ":8883/mqtt"}, args[1:]...)
		}},
		// certificates and logins
		{name: "the certificate has the name in its subject alone", want: cause.TLSNameMismatch, make: tls(func(c *x509.Certificate) {
			c.Subject, c.DNSNames, c.IPAddresses = pkix.Name{CommonName: host}, nil, nil
		}, "")},
		{name: "another server's certificate is given as the authority", want: cause.TLSUnknownCA, make: func(w *world) []string {
			args := tls(nil, "")(w)
			return []string{args[0], "--ca", w.file("other.pem", pemOf(issue(w.t, stranger.get(w.t), nil)))}
		}},
		{name: "a space at the end of the password", want: cause.BadCredentials, make: func(w *world) []string {
			w.passwords()
			w.mosquitto(guarded)
			return []string{url4("mqtt", 1883), "--user", user, "--password-file", w.file("pw", password+" \n")}
		}},
		{name: "an access list without a line", want: cause.ACLPublishDenied, make: func(w *world) []string {
			w.file("acl", "")
			w.mosquitto(open + "acl_file {dir}/acl\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "each user below the own name, and another's topic is used", want: cause.ACLPublishDenied, make: func(w *world) []string {
			w.passwords()
			w.file("acl", "pattern readwrite %u/#\n")
			w.mosquitto(guarded + "acl_file {dir}/acl\n")
			return []string{url4("mqtt", 1883), "--user", user, "--topic", "Picket/door"}
		}},
		{name: "the client's address is banned", want: cause.Banned, make: func(w *world) []string {
			w.picket(open)
			w.run(serverSide, binary, "ban", "address", client4, "--socket", w.path("admin.sock"))
			return []string{url4("mqtt", 1883)}
		}},
		// names and what is typed
		{name: "two name servers that say different things, the first one of the inside", want: cause.PrivateIPUsed, make: func(w *world) []string {
			w.mosquitto(open)
			w.batch(routerSide, "addr add 192.168.7.53/24 dev lan\n")
			w.namesAt("192.168.7.53", map[string][]string{host: {server4}})
			w.names(map[string][]string{host: {"10.11.12.13"}})
			w.resolver("nameserver " + gateway4 + "\nnameserver 192.168.7.53\n")
			return []string{"mqtt://" + host}
		}},
		{name: "the port behind a slash", want: cause.AppFormMistake, make: typed("mqtt://HOST/1883")},
		// on the server
		running(cause.HostFirewallDrop, "", "dropped at the very entrance (netdev ingress)", guarded, func(w *world) {
			w.nft(serverSide, "table netdev guard {\n chain in {\n type filter hook ingress device eth0 priority 0; policy accept;\n tcp dport 1883 drop\n }\n}\n")
		}),
		running(cause.HostFirewallDrop, "", "new connections dropped in the mangle table", guarded, func(w *world) {
			w.tables(serverSide, "iptables", "-t mangle -A PREROUTING -p tcp --dport 1883 -m conntrack --ctstate NEW -j DROP")
		}),
		running(cause.HostFirewallDrop, "", "dropped in the raw table by legacy iptables", guarded, func(w *world) {
			w.tables(serverSide, "iptables-legacy", "-t raw -A PREROUTING -p tcp --dport 1883 -j DROP")
		}),
		running(cause.IPv6OnlyServer, "", "the listener is for IPv6 alone", "listener 1883\nsocket_domain ipv6\nallow_anonymous false\npassword_file {dir}/passwords\n", nil),
		running(cause.BridgeRefused, "", "the other broker does not take the bridge's password", guarded+"connection cloud\naddress 127.0.0.1:1884\ntopic # out 0\nremote_username bridge\nremote_password wrong\nrestart_timeout 1 2\n", func(w *world) {
			w.start(serverSide, []int{1884}, "mosquitto", "-c", w.file("second.conf", "user root\nlistener 1884 127.0.0.1\nallow_anonymous false\npassword_file "+w.path("passwords")+"\n"))
			w.logged("not authorised", 2)
		}),
		running(cause.BridgeTLSFailed, "", "the bridge does not know the other broker's authority", guarded+"connection cloud\naddress localhost:8884\ntopic # out 0\nbridge_cafile {dir}/other.crt\nrestart_timeout 1 2\n", func(w *world) {
			w.good()
			w.file("other.crt", pemOf(stranger.get(w.t)))
			w.start(serverSide, []int{8884}, "mosquitto", "-c", w.file("second.conf", strings.ReplaceAll("user root\nlistener 8884 127.0.0.1\nallow_anonymous true\n"+secured, "{dir}", w.dir)))
			w.logged("Connecting bridge", 3)
		}),
		{name: "on the server: somebody asks the TLS port for web pages", on: serverSide, want: cause.PlainToTLSPort, make: func(w *world) []string {
			w.passwords()
			w.good()
			args := w.settings(secret)
			w.runs(8883)
			w.start(clientSide, nil, "sh", "-c", `while :; do curl -s -m 5 "$0"; sleep 0.5; done`, "http://"+server4+":8883/")
			w.logged("http request", 3)
			return args
		}},
		broken(cause.BindBeforeNetwork, "", "the listener has an address that this machine does not have", "listener 1883 192.168.0.17\nallow_anonymous false\npassword_file {dir}/passwords\n", nil),
		{name: "on the server: Docker's port is let through NAT, and FORWARD drops", on: serverSide, want: cause.HostFirewallDrop, make: func(w *world) []string {
			w.passwords()
			w.run(serverSide, "sysctl", "-qw", "net.ipv4.ip_forward=1")
			w.batch("", "netns add "+w.ns("d")+"\n")
			w.batch(serverSide, "link add docker0 type bridge\naddr add 172.17.0.1/16 dev docker0\nlink set docker0 up\nlink add veth1 type veth peer name eth0 netns "+w.ns("d")+"\nlink set veth1 master docker0\nlink set veth1 up\n")
			w.batch("d", "link set lo up\nlink set eth0 up\naddr add 172.17.0.2/16 dev eth0\nroute add default via 172.17.0.1\n")
			w.start("d", []int{1883}, "mosquitto", "-c", w.file("in.conf", "user root\nlistener 1883\nallow_anonymous true\n"))
			w.tables(serverSide, "iptables", "-P FORWARD DROP", "-t nat -N DOCKER", "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER", "-t nat -A DOCKER ! -i docker0 -p tcp --dport 1883 -j DNAT --to-destination 172.17.0.2:1883", "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
			return []string{"--server"}
		}},
		running(cause.NoDefaultRoute, "", "there is no default route", guarded, func(w *world) { w.batch(serverSide, "route del default via "+outside4+"\n") }),
		running(cause.NoDefaultRoute, "", "the gateway is an address at which nobody is", guarded, func(w *world) {
			w.batch(serverSide, "route del default via "+outside4+"\nroute add default via 203.0.113.77\n")
		}),
		{name: "on the server: the disk of the log is full", on: serverSide, want: cause.DiskFull, make: func(w *world) []string {
			w.passwords()
			disk := w.path("logs")
			_ = os.Mkdir(disk, 0o755)
			if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
				w.t.Fatal(err)
			}
			w.t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
			_ = os.WriteFile(filepath.Join(disk, "old.log"), make([]byte, 1<<20), 0o600)
			w.file("mosquitto.conf", strings.ReplaceAll("user root\nlog_dest file {dir}/logs/mosquitto.log\n"+guarded, "{dir}", w.dir))
			w.runs(1883)
			return []string{"--server", "-c", w.path("mosquitto.conf")}
		}},
		// healthy
		{name: "healthy: small segments alone pass (MSS 536)", make: on(routerSide, "-t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 536")},
		{name: "healthy: mosquitto serves pages beside WebSocket (http_dir)", make: func(w *world) []string {
			w.file("index.html", "hello")
			w.mosquitto("listener 9001\nprotocol websockets\nhttp_dir {dir}\nallow_anonymous true\n")
			return []string{url4("ws", 9001) + "/mqtt"}
		}},
		{name: "healthy: HAProxy sends PROXY v2 to a Picket that expects it", make: func(w *world) []string {
			w.picket("listener 1884 127.0.0.1\nproxy_from 127.0.0.1\nallow_anonymous true\n")
			w.haproxy("frontend f\n bind :1883\n default_backend b\nbackend b\n server s 127.0.0.1:1884 send-proxy-v2\n", 1883)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "healthy: a second default route that is worse", make: func(w *world) []string {
			w.batch(clientSide, "link add wlan0 type veth peer name ap\naddr add 192.168.44.2/24 dev wlan0\nlink set wlan0 up\nlink set ap up\nroute add default via 192.168.44.1 dev wlan0 metric 600\n")
			return plain(w)
		}},
		{name: "healthy: a broker that is asked by IPv6 alone", make: func(w *world) []string {
			w.names(map[string][]string{host: {server6}})
			w.mosquitto(open)
			return []string{"mqtt://" + host}
		}},
		running("", "", "a bridge that works, and the machine has Docker", guarded, func(w *world) {
			w.batch(serverSide, "link add docker0 type bridge\naddr add 172.17.0.1/16 dev docker0\nlink set docker0 up\n")
			w.tables(serverSide, "iptables", "-N DOCKER", "-P FORWARD DROP", "-A FORWARD -o docker0 -j DOCKER", "-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE")
		}),
	}
}
