//go:build linux

package lab

import (
	"io"
	"net"
	"os"
	"strings"

	"picket/cause"
)

// tight is a filter for both families that lets nothing in but what the lines say, as iptables-restore and ip6tables-restore would set it.
func (w *world) tight(program string, lines ...string) {
	w.tables(serverSide, program, append([]string{"-P INPUT DROP", "-A INPUT -i lo -j ACCEPT"}, lines...)...)
}

// blind are faults of the batches of session 23, written down before anybody looked at the rules, and their neighbours.
func blind() []fault {
	const related = "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
	return []fault{
		running(cause.HostFirewallDrop, "", "what the broker's user sends is dropped, its answers as well (owner)", guarded, func(w *world) {
			w.tables(serverSide, "iptables", "-A OUTPUT -o eth0 -m owner --uid-owner 0-99 -j DROP")
		}),
		running(cause.HostFirewallReject, "", "root alone may send (nftables' skuid)", guarded, func(w *world) {
			w.nft(serverSide, "table inet guard {\n chain out {\n  type filter hook output priority 0;\n  oifname lo accept\n  meta skuid 1000-60000 accept\n  meta skuid 0 tcp sport 1883 reject\n }\n}\n")
		}),
		running(cause.HostFirewallDrop, "", "the port is not tracked, and tracked connections alone are let in", guarded, func(w *world) {
			w.tables(serverSide, "iptables", "-t raw -A PREROUTING -p tcp --dport 1883 -j CT --notrack")
			w.tight("iptables", related, "-A INPUT -p tcp --dport 1883 -m conntrack --ctstate NEW -j ACCEPT")
		}),
		running(cause.HostFirewallDrop, "", "IPv6 is let in at the port, and what neighbours ask is not", guarded, func(w *world) {
			w.tight("ip6tables", related, "-A INPUT -p tcp --dport 1883 -j ACCEPT")
		}),
		running(cause.HostFirewallDrop, "", "nftables lets the port in by IPv6, and of ICMPv6 the echo alone", guarded, func(w *world) {
			w.nft(serverSide, "table inet guard {\n chain in {\n  type filter hook input priority 0; policy drop;\n  iif lo accept\n  ct state established,related accept\n  icmpv6 type echo-request accept\n  meta l4proto icmp accept\n  tcp dport 1883 accept\n }\n}\n")
		}),
		running("", "", "the port is not tracked, and is let in", guarded, func(w *world) {
			w.tables(serverSide, "iptables", "-t raw -A PREROUTING -p tcp --dport 1883 -j NOTRACK", "-t raw -A OUTPUT -p tcp --sport 1883 -j NOTRACK")
			w.tight("iptables", related, "-A INPUT -p tcp --dport 1883 -j ACCEPT")
		}),
		running("", "", "what another user sends is dropped, and hundreds of connections are let in", guarded, func(w *world) {
			w.tables(serverSide, "iptables", "-A OUTPUT -m owner --uid-owner nobody -j DROP", "-A INPUT -p tcp --syn --dport 1883 -m connlimit --connlimit-above 300 -j DROP", "-A INPUT -p tcp --dport 1883 -m hashlimit --hashlimit-above 100/sec --hashlimit-mode srcip --hashlimit-name mqtt -j DROP")
		}),
		{name: "healthy: on the server: a plain listener for this machine beside TLS for others, and the firewall lets TLS in alone", on: serverSide, make: func(w *world) []string {
			w.passwords()
			w.good()
			args := w.settings("listener 1883 127.0.0.1\n" + secret)
			w.runs(1883, 8883)
			w.tight("iptables", related, "-A INPUT -p tcp --dport 8883 -j ACCEPT")
			return args
		}},
		running(cause.NoDefaultRoute, "", "a route throws away what goes to the clients' network (blackhole)", guarded, func(w *world) { w.batch(serverSide, "route add blackhole 192.168.0.0/16\n") }),
		running(cause.NoDefaultRoute, "", "a VPN has taken all traffic by two routes, the answers as well (redirect-gateway def1)", guarded, func(w *world) {
			w.batch(serverSide, "tuntap add dev tun0 mode tun\naddr add 10.8.0.2/24 dev tun0\nlink set tun0 up\nroute add 0.0.0.0/1 dev tun0\nroute add 128.0.0.0/1 dev tun0\n")
		}),
		running("", "", "a route keeps one stranger away, as fail2ban makes them, and a routing program has one for its own range", guarded, func(w *world) {
			w.batch(serverSide, "route add unreachable 198.51.100.9/32\nroute add blackhole 10.244.1.0/26 proto bird\n")
		}),
		{name: "HAProxy leads to the broker only who names mqtt (ALPN)", want: cause.SNIALPN, make: func(w *world) []string {
			w.pair()
			w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous true\n")
			w.nginx("server { listen 127.0.0.1:8080; location / { return 200 garden; } }", 8080)
			w.haproxy("frontend f\n bind :443 ssl crt {dir}/pair.pem alpn mqtt,http/1.1\n use_backend m if { ssl_fc_alpn mqtt }\n default_backend web\nbackend m\n server b 127.0.0.1:1884\nbackend web\n server w 127.0.0.1:8080\n", 443)
			return w.byName("mqtts", 443, "")
		}},
		{name: "a name server that answers for names that do not exist, with a web page's address", want: cause.DNSMissingOrStale, twin: cause.HairpinNAT, make: func(w *world) []string {
			w.batch(routerSide, "addr add 203.0.113.80/32 dev wan\n")
			w.listen(routerSide, "203.0.113.80:80", says("HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\nDid you mean ...?"))
			w.dnsmasq("no-resolv\naddress=/#/203.0.113.80\n")
			return []string{"mqtt://mqtt.exmaple.com"}
		}},
		{name: "on the server: a program that takes connections and says nothing has the port", on: serverSide, want: cause.PortTaken, twin: cause.BrokerSilent, make: func(w *world) []string {
			w.start(serverSide, []int{1883}, "python3", "-c", "import socket, time\ns = socket.socket()\ns.setsockopt(1, 2, 1)\ns.bind(('', 1883))\ns.listen(64)\ntime.sleep(1e5)")
			return []string{"--server", "--port", "1883"}
		}},
		{name: "on the server: the port leads to a container in which nobody listens", on: serverSide, want: cause.BrokerNotRunning, make: func(w *world) []string {
			w.batch(serverSide, "link add docker0 type bridge\naddr add 172.17.0.1/16 dev docker0\naddr add 172.17.0.2/32 dev lo\nlink set docker0 up\n")
			w.run(serverSide, "sysctl", "-qw", "net.ipv4.ip_forward=1")
			w.tables(serverSide, "iptables", "-t nat -A PREROUTING -p tcp --dport 1883 -j DNAT --to-destination "+outside4+":1884")
			return []string{"--server", "--port", "1883"}
		}},
		broken(cause.KeyUnreadable, "", "the key is locked with a pass phrase, and no log", "user mosquitto\n"+secret, func(w *world) {
			w.letIn()
			w.pair()
			w.run(serverSide, "openssl", "pkey", "-in", w.path("server.key"), "-aes256", "-passout", "pass:garden", "-out", w.path("locked.key"))
			w.run(serverSide, "mv", w.path("locked.key"), w.path("server.key"))
			w.run(serverSide, "chmod", "0644", w.path("server.crt"), w.path("server.key"), w.path("passwords"))
		}),
		broken(cause.ConfigInvalidValue, "", "cipher suites that OpenSSL does not know, and no log", strings.Replace(secret, "certfile", "ciphers HIGH_AND_SAFE\ncertfile", 1), func(w *world) { w.pair() }),
		broken(cause.BindBeforeNetwork, "", "brackets around an address of IPv6, and no log", "listener 1883 [::]\nallow_anonymous true\n", nil),
		broken(cause.BindBeforeNetwork, "", "a name that leads nowhere in place of the listener's address, and no log", "listener 1883 broker.invalid\nallow_anonymous true\n", nil),
		broken(cause.ConfigUnreadable, "", "a plugin that is not installed any more, and no log", "listener 1883\nallow_anonymous false\nauth_plugin /usr/lib/go-auth.so\n", nil),
		broken(cause.ConfigUnreadable, "", "a password file without its folder, and no log", "listener 1883\nallow_anonymous false\npassword_file passwords-of-the-house\n", nil),
		broken(cause.ConfigInvalidValue, "", "a version of TLS that mosquitto 2 does not take any more, and no log", strings.Replace(secret, "certfile", "tls_version tlsv1\ncertfile", 1), func(w *world) { w.pair() }),
		broken(cause.BindBeforeNetwork, "", "a network interface that is not there (bind_interface), and no log", "listener 1883\nbind_interface wlan0\nallow_anonymous true\n", nil),
		{name: "on the server: a socket in the file system alone (listener 0)", on: serverSide, want: cause.LoopbackOnly, make: func(w *world) []string {
			w.passwords()
			args := w.settings("listener 0 {dir}/m.sock\nallow_anonymous false\npassword_file {dir}/passwords\n")
			w.runs()
			w.wait("the socket is there", func() bool { _, err := os.Stat(w.path("m.sock")); return err == nil })
			return args
		}},
		{name: "healthy: on the server: a broker whose name nobody knows", on: serverSide, make: func(w *world) []string {
			w.listen(serverSide, "0.0.0.0:1883", func(c net.Conn) {
				_, _ = c.Read(make([]byte, 1000))
				_, _ = c.Write([]byte{0x20, 2, 0, 0})
				_, _ = io.Copy(io.Discard, c)
			})
			return []string{"--server", "--port", "1883"}
		}},
		{name: "the name does not exist, and this machine puts its own network's ending behind it", want: cause.DNSMissingOrStale, make: func(w *world) []string {
			w.dnsmasq("no-resolv\nlocal=/com/\naddress=/garden.test/203.0.113.66\n")
			w.resolver("search garden.test\nnameserver " + gateway4 + "\n")
			return []string{"mqtt://mqtt.exampel.com"}
		}},
		{name: "a name leads to two brokers, and one of them does not know the user", want: cause.BadCredentials, make: func(w *world) []string {
			w.batch(serverSide, "addr add 203.0.113.20/24 dev eth0\n")
			w.passwords()
			w.file("others", "ada:$7$101$cm9ja3NhbHRzYWx0$OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk=\n")
			w.mosquitto("listener 1883 203.0.113.10\nallow_anonymous false\npassword_file {dir}/passwords\n")
			w.start(serverSide, nil, "mosquitto", "-c", w.file("second.conf", "user root\nlistener 1883 203.0.113.20\nallow_anonymous false\npassword_file "+w.path("others")+"\n"))
			w.wait("both listen", func() bool {
				c, err := w.dial(clientSide, "203.0.113.20:1883")
				if err == nil {
					_ = c.Close()
				}
				return err == nil
			})
			w.names(map[string][]string{host: {server4, "203.0.113.20"}})
			return []string{"mqtt://" + host, "--user", user}
		}},
		{name: "a key of a curve that few know (secp256k1)", want: cause.TLSCiphers, twin: cause.SNIALPN, make: func(w *world) []string {
			w.run(serverSide, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-nodes", "-keyout", w.path("odd.key"), "-out", w.path("odd.crt"), "-days", "90", "-subj", "/CN=odd")
			w.mosquitto("listener 8883\nallow_anonymous true\ncertfile {dir}/odd.crt\nkeyfile {dir}/odd.key\n")
			return []string{url4("mqtts", 8883)}
		}},
	}
}
