//go:build linux

package lab

import (
	"fmt"

	"picket/cause"
)

// typedFaults are what people type into the forms of apps, and what their name servers make of it.
func typedFaults() []fault {
	named := func(addresses ...string) func(*world) []string {
		return func(w *world) []string {
			w.names(map[string][]string{host: addresses})
			w.mosquitto(open)
			return []string{"mqtt://" + host}
		}
	}
	return []fault{
		{name: "healthy: the scheme in capital letters", make: typed("MQTT://HOST:1883")},
		{name: "healthy: the name in capital letters", make: typed("mqtt://BROKER.TEST")},
		{name: "healthy: a short name, and a domain to search", make: func(w *world) []string {
			w.names(map[string][]string{host: {server4}})
			w.resolver("search test\nnameserver " + gateway4 + "\n")
			w.mosquitto(open)
			return []string{"mqtt://broker"}
		}},
		{name: "healthy: an IPv6 address with zeros written out", make: typed("mqtt://[2001:0db8:0001:0000:0000:0000:0000:0010]:1883")},

		{name: "localhost, and the broker is on another machine", want: cause.BrokerNotRunning, make: typed("mqtt://localhost:1883")},
		{name: "the address of no machine, as the configuration has it (0.0.0.0)", want: cause.AppFormMistake, make: typed("mqtt://0.0.0.0:1883")},
		{name: "commas in the address", want: cause.AppFormMistake, make: typed("mqtt://203,0,113,10:1883")},
		{name: "letters for digits in the address", want: cause.AppFormMistake, make: typed("mqtt://2O3.O.113.1O:1883")},
		{name: "a semicolon before the port", want: cause.AppFormMistake, make: typed("HOST;1883")},
		{name: "backslashes after the scheme", want: cause.AppFormMistake, make: typed(`mqtt:\\HOST:1883`)},
		{name: "an IPv6 address without brackets, and a port", want: cause.AppFormMistake, make: func(w *world) []string {
			w.mosquitto(open)
			return []string{"mqtt://" + server6 + ":1883"}
		}},
		{name: "an IPv6 address of the link without its interface", want: cause.AppFormMistake, make: typed("mqtt://[fe80::1234]:1883")},
		{name: "the scheme twice", want: cause.AppFormMistake, make: typed("mqtt://mqtt://HOST:1883")},
		{name: "an address of a page, with its query", want: cause.WrongPort, make: typed("https://HOST/dashboard?x=1#top")},
		{name: "the port of the dashboard (18083)", want: cause.WrongPort, make: func(w *world) []string {
			w.mosquitto(open)
			w.nginx("server { listen 18083; location / { default_type text/html; return 200 '<title>Dashboard</title>'; } }", 18083)
			return []string{url4("mqtt", 18083)}
		}, twin: cause.PortTaken},
		{name: "TLS asked for at 1883, and it is at 8883", want: cause.TLSToPlainPort, make: func(w *world) []string {
			w.good()
			w.mosquitto(open + "listener 8883\n" + secured)
			return w.byName("mqtts", 1883, "")
		}},

		{name: "a router that keeps private addresses out of answers (rebind protection)", want: cause.DNSMissingOrStale, make: func(w *world) []string {
			w.namesAt(outside4, map[string][]string{host: {"192.168.7.20"}})
			w.batch(routerSide, "addr add 192.168.7.20/24 dev lan\n")
			w.dnsmasq("no-resolv\nserver=" + outside4 + "\nstop-dns-rebind\n")
			return []string{"mqtt://" + host}
		}},
		{name: "a name that a proxy program has made up an address for (198.18.0.0/15), and the program is off", want: cause.PhoneVPNOrDNS, make: func(w *world) []string {
			w.batch(routerSide, "route add blackhole 198.18.0.0/15\n")
			return named("198.18.0.27")(w)
		}},
		{name: "an address of a private mesh (100.64.0.0/10), and the client is not in it", want: cause.PrivateIPUsed, twin: cause.PhoneVPNOrDNS, make: func(w *world) []string {
			w.batch(routerSide, "route add blackhole 100.64.0.0/10\n")
			return named("100.101.102.103")(w)
		}},
		{name: "the name leads to a loopback address of the server's (127.0.1.1)", want: cause.DNSMissingOrStale, make: named("127.0.1.1")},
		{name: "the name has the private address beside the public one", want: cause.DNSMissingOrStale, twin: cause.PrivateIPUsed, make: func(w *world) []string {
			w.batch(routerSide, "route add blackhole 10.0.0.0/8\n")
			return named("10.0.0.5", server4)(w)
		}},
		{name: "a private address of IPv6 (fd00::/8) beside a public IPv4 one", want: cause.DNSMissingOrStale, twin: cause.PrivateIPUsed, make: named("fd00:1234::5", server4)},
		{name: "name servers by TCP alone", want: cause.DNSNoAnswer, make: func(w *world) []string {
			w.dnsmasq("address=/" + host + "/" + server4 + "\n")
			w.tables(routerSide, "iptables", "-A INPUT -p udp --dport 53 -j DROP")
			w.mosquitto(open)
			return []string{"mqtt://" + host, "--timeout", "3s"}
		}},
		{name: "a name server that answers every third question", want: cause.DNSNoAnswer, make: func(w *world) []string {
			w.dnsmasq("address=/" + host + "/" + server4 + "\n")
			w.tables(routerSide, "iptables", "-A INPUT -p udp --dport 53 -m statistic --mode nth --every 3 --packet 0 -j ACCEPT", "-A INPUT -p udp --dport 53 -j DROP")
			w.mosquitto(open)
			return []string{"mqtt://" + host, "--timeout", "9s"}
		}},
		{name: "an old name server of a network that one has left", want: cause.DNSNoAnswer, make: func(w *world) []string {
			w.resolver("nameserver 10.0.0.1\n")
			w.batch(routerSide, "route add unreachable 10.0.0.0/8\n")
			w.mosquitto(open)
			return []string{"mqtt://" + host}
		}},
	}
}

// fieldWays are ways on which packets are lost for reasons that users report.
func fieldWays() []fault {
	on := func(machine string, rules ...string) func(*world) []string {
		return func(w *world) []string { w.tables(machine, "iptables", rules...); return plain(w) }
	}
	return []fault{
		{name: "healthy: no ICMP passes", make: on(routerSide, "-A FORWARD -p icmp -j DROP", "-A INPUT -p icmp -j DROP", "-A OUTPUT -p icmp -j DROP")},
		{name: "healthy: IPv6 alone on the client, and addresses of IPv4 within (NAT64)", make: func(w *world) []string {
			w.names6(map[string][]string{host: {server4, "64:ff9b::cb00:710a"}})
			w.batch(serverSide, "addr add 64:ff9b::cb00:710a/128 dev eth0 nodad\n")
			w.batch(routerSide, "route add 64:ff9b::/96 via "+server6+" dev wan\n")
			w.mosquitto(open)
			w.batch(clientSide, "addr del "+client4+"/24 dev eth0\n")
			return []string{"mqtt://" + host}
		}},
		{name: "healthy: an IPv6 of the network that leads nowhere, and a name of IPv4 alone", make: func(w *world) []string {
			w.tables(routerSide, "ip6tables", "-A FORWARD -j DROP")
			w.names(map[string][]string{host: {server4}})
			w.mosquitto(open)
			return []string{"mqtt://" + host}
		}},
		{name: "healthy: a VPN for another network than the server's", make: func(w *world) []string {
			w.vpn()
			w.batch(clientSide, "addr add 10.8.0.2/24 dev wg0\nlink set wg0 up\nroute add 198.51.100.0/24 dev wg0\n")
			return plain(w)
		}},

		{name: "a network that lets the web out alone, and drops the rest", want: cause.SecurityGroupClosed, twin: cause.CarrierOrCorpBlocksPort, make: func(w *world) []string {
			w.tables(routerSide, "iptables", "-A FORWARD -i lan -p tcp -m multiport ! --dports 80,443 -j DROP")
			w.nginx("server { listen 80; listen 443; location / { return 404; } }", 80, 443)
			return plain(w)
		}},
		{name: "a proxy on the way for port 80, which knows no WebSocket", want: cause.ProxyNoUpgrade, make: func(w *world) []string {
			w.picket("listener 80\nprotocol websockets\nallow_anonymous true\n")
			w.webAt(routerSide, gateway4+":8080", w.reverseProxyFrom(routerSide, server4+":80", false), nil)
			w.tables(routerSide, "iptables", "-t nat -A PREROUTING -i lan -p tcp --dport 80 -j REDIRECT --to-ports 8080")
			return []string{url4("ws", 80) + "/mqtt"}
		}},
		{name: "a VPN that has the server's network, and does not lead there", want: cause.PhoneVPNOrDNS, make: func(w *world) []string {
			w.vpn()
			w.batch(clientSide, "addr add 10.8.0.2/24 dev wg0\nlink set wg0 up\nroute add 203.0.113.0/24 dev wg0\n")
			return plain(w)
		}},
		{name: "a bridge of Docker's on the client has the server's network", want: cause.HostDown, twin: cause.PrivateIPUsed, make: func(w *world) []string {
			w.batch(serverSide, "addr add 172.18.0.10/32 dev eth0\n")
			w.batch(routerSide, "route add 172.18.0.10/32 dev wan\n")
			w.batch(clientSide, "link add br-1f2e type bridge\naddr add 172.18.0.1/16 dev br-1f2e\nlink set br-1f2e up\n")
			w.mosquitto(open)
			return []string{"mqtt://172.18.0.10"}
		}},
		{name: "the router hands the port on to a machine, and its answers do not come back through it", want: cause.HairpinNAT, twin: cause.NATNoPortForward, make: func(w *world) []string {
			// A machine of the client's own network: it answers the client itself.
			w.tables(routerSide, "iptables", "-t nat -A PREROUTING -d "+outside4+" -p tcp --dport 1883 -j DNAT --to-destination 192.168.7.50:1883")
			return []string{"mqtt://" + outside4}
		}},
		{name: "the server's firewall rejects with net-unreachable", want: cause.HostFirewallReject, make: on(serverSide, "-A INPUT -p tcp --dport 1883 -j REJECT --reject-with icmp-net-unreachable")},
		{name: "the server is too far for its packets' time to live", want: cause.SecurityGroupClosed, twin: cause.NoPublicIP, make: on(serverSide, "-t mangle -A POSTROUTING -j TTL --ttl-set 1")},
		{name: "IPv6 within IPv4 is narrower than it says (a tunnel of 1280)", want: cause.MTUBlackhole, make: func(w *world) []string {
			w.batch(routerSide, "link set lan mtu 1300\n")
			w.nft(routerSide, "table inet lab {\n chain lab {\n  type filter hook output priority 0;\n  icmpv6 type packet-too-big drop\n }\n}\n")
			w.mosquitto(open)
			return []string{fmt.Sprintf("mqtt://[%s]:1883", server6)}
		}},
		{name: "the server's own line is up to 100 ms late at random", want: cause.LossyNetwork, make: func(w *world) []string {
			w.tables(routerSide, "iptables", "-A FORWARD -p tcp -m statistic --mode nth --every 9 --packet 4 -j DROP")
			return plain(w)
		}},
	}
}

// machines are faults that are seen on the server itself.
func machines() []fault {
	const server = "--server"
	conf := func(conf string, more ...string) func(*world) []string {
		return func(w *world) []string {
			w.passwords()
			w.mosquitto(conf)
			return append([]string{server, "-c", w.path("mosquitto.conf")}, more...)
		}
	}
	return []fault{
		{name: "on the server: mosquitto at one interface that is the loopback", on: serverSide, want: cause.LoopbackOnly, make: conf("listener 1883 127.0.0.1\nallow_anonymous true\n")},
		{name: "on the server: nobody can come in", on: serverSide, want: cause.NoPasswordFile, make: conf("listener 1883\nallow_anonymous false\n")},
		{name: "on the server: the input chain drops the port", on: serverSide, want: cause.HostFirewallDrop, make: func(w *world) []string {
			w.tables(serverSide, "iptables", "-P INPUT DROP", "-A INPUT -i lo -j ACCEPT", "-A INPUT -p tcp --dport 22 -j ACCEPT")
			return conf(open)(w)
		}},
		{name: "on the server: the broker is stopped", on: serverSide, want: cause.BrokerSilent, make: func(w *world) []string {
			stop(w, w.mosquitto(open).pid)
			return []string{server, "-c", w.path("mosquitto.conf")}
		}},
		{name: "on the server: the certificate has expired", on: serverSide, want: cause.TLSExpired, make: func(w *world) []string {
			w.certificates("server", issue(w.t, garden.get(w.t), dated(-90*24*3600e9, -3600e9)))
			return conf("listener 8883\nallow_anonymous true\n" + secured)(w)
		}},
	}
}
