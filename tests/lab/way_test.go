//go:build linux

package lab

import (
	"fmt"
	"time"

	"picket/cause"
)

// open is a mosquitto that lets everybody in, on the port of the first verb.
const open = "listener 1883\nallow_anonymous true\n"

// plain runs it and gives its address.
func plain(w *world) []string {
	w.mosquitto(open)
	return []string{url4("mqtt", 1883)}
}

// healthy are set-ups in which nothing is wrong.
func healthy() []fault {
	return []fault{
		{name: "healthy: mosquitto, plain", make: plain},
		{name: "healthy: mosquitto, an address alone", make: func(w *world) []string { plain(w); return []string{server4} }},
		{name: "healthy: mosquitto, WebSocket", make: func(w *world) []string {
			w.mosquitto("listener 9001\nprotocol websockets\nallow_anonymous true\n")
			return []string{url4("ws", 9001) + "/mqtt"}
		}},
		{name: "healthy: mosquitto, TLS, user and password, by name", make: func(w *world) []string {
			w.names(map[string][]string{host: {server4, server6}})
			w.passwords()
			w.certificates("server", issue(w.t, garden.get(w.t), nil))
			w.mosquitto("listener 8883\ncafile {dir}/ca.crt\ncertfile {dir}/server.crt\nkeyfile {dir}/server.key\nallow_anonymous false\npassword_file {dir}/passwords\n")
			return []string{"mqtts://" + host, "--ca", w.path("ca.crt"), "--user", user}
		}},
		{name: "healthy: mosquitto, a client certificate", make: func(w *world) []string {
			args := mutual(w, "")
			w.certificates("client", issue(w.t, garden.get(w.t), forClients))
			return append(args, "--cert", w.path("client.crt"), "--key", w.path("client.key"))
		}},
		{name: "healthy: mosquitto, IPv6", make: func(w *world) []string { w.mosquitto(open); return []string{"mqtt://[" + server6 + "]:1883"} }},
		{name: "healthy: mosquitto, 40 ms away", link: &link{delay: 20 * time.Millisecond}, make: plain},
		{name: "healthy: mosquitto, a client identifier that is free, quiet for a while", make: func(w *world) []string {
			return append(plain(w), "--id", "fountain", "--stay", "3s")
		}},
		{name: "healthy: Picket, plain", make: func(w *world) []string { w.picket(open); return []string{url4("mqtt", 1883)} }},
		{name: "healthy: Picket, one port for everything, WebSocket with TLS", make: func(w *world) []string {
			w.names(map[string][]string{host: {server4, server6}})
			w.certificates("server", issue(w.t, garden.get(w.t), nil))
			w.picket("listener 1883\nprotocol auto\ncertfile {dir}/server.crt\nkeyfile {dir}/server.key\nallow_anonymous true\n")
			return []string{"wss://" + host + ":1883/mqtt", "--ca", w.path("ca.crt")}
		}},
		{name: "healthy: Picket, user and password", make: func(w *world) []string {
			w.passwords()
			w.picket("listener 1883\nallow_anonymous false\npassword_file {dir}/passwords\n")
			return []string{url4("mqtt", 1883), "--user", user}
		}},
	}
}

func nameFaults() []fault {
	looked := func(known map[string][]string, name string) func(*world) []string {
		return func(w *world) []string { w.mosquitto(open); w.names(known); return []string{"mqtt://" + name} }
	}
	return []fault{
		{name: "the name does not exist", want: cause.DNSMissingOrStale, make: looked(nil, "borker.test")},
		{name: "the name has no addresses", want: cause.DNSMissingOrStale, make: looked(map[string][]string{host: {}}, host)},
		{name: "the name server says nothing", want: cause.DNSNoAnswer, make: looked(nil, "mute.broker.test")},
		{name: "the name server fails", want: cause.DNSNoAnswer, make: looked(nil, "broken.broker.test")},
		{name: "no name server where one should be", want: cause.DNSNoAnswer, make: func(w *world) []string {
			w.resolver("nameserver " + gateway4 + "\n")
			return []string{"mqtt://" + host}
		}},
		{name: "an old address beside the new one", want: cause.DNSMissingOrStale, make: looked(map[string][]string{host: {"203.0.113.11", server4}}, host)},
		{name: "the name leads to Cloudflare, which does not pass MQTT on", want: cause.CDNProxiedDNS, make: func(w *world) []string {
			w.names(map[string][]string{host: {"104.16.1.1"}})
			w.batch(serverSide, "addr add 104.16.1.1/32 dev eth0\n")
			w.batch(routerSide, "route add 104.16.1.1 dev wan\n")
			w.listen(serverSide, "104.16.1.1:443", says(""))
			w.filter(serverSide, "ip daddr 104.16.1.1 tcp dport != { 80, 443 } drop")
			return []string{"mqtt://" + host}
		}},
		{name: "an IPv6 address at which nobody listens (AAAA)", want: cause.IPv4OnlyListener, make: func(w *world) []string {
			w.names(map[string][]string{host: {server4, server6}})
			w.mosquitto("listener 1883 " + server4 + "\nallow_anonymous true\n")
			return []string{"mqtt://" + host}
		}},
		{name: "an IPv6 address whose packets vanish (AAAA)", want: cause.IPv4OnlyListener, make: func(w *world) []string {
			w.names(map[string][]string{host: {server4, server6}})
			w.mosquitto(open)
			w.filter(serverSide, "ip6 daddr "+server6+" tcp dport 1883 drop")
			return []string{"mqtt://" + host}
		}},
		{name: "an IPv6 address alone, for a client without IPv6", want: cause.IPv6OnlyServer, make: func(w *world) []string {
			w.names(map[string][]string{host: {server6}})
			w.mosquitto(open)
			w.batch(clientSide, "addr del "+client6+"/64 dev eth0\n")
			return []string{"mqtt://" + host}
		}},
		{name: "an IPv4 address, for a client without IPv4", want: cause.IPv6OnlyClient, make: func(w *world) []string {
			w.mosquitto(open)
			w.batch(clientSide, "addr del "+client4+"/24 dev eth0\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "the client has no network", want: cause.ClientOffline, make: func(w *world) []string {
			w.mosquitto(open)
			w.batch(clientSide, "link set eth0 down\naddr flush dev eth0\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "the client has no default route", want: cause.ClientOffline, make: func(w *world) []string {
			w.mosquitto(open)
			w.batch(clientSide, "route del default\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "an address inside of another network", want: cause.PrivateIPUsed, make: func(w *world) []string {
			w.mosquitto(open)
			w.batch(routerSide, "route add blackhole 10.0.0.0/8\n") // as the internet does with it
			return []string{"mqtt://10.20.0.5"}
		}},
		{name: "an address with http:// before it", want: cause.AppFormMistake, make: func(w *world) []string {
			w.mosquitto(open)
			return []string{fmt.Sprintf("http://%s:1883", server4)}
		}},
		{name: "an address with a full-width colon in it", want: cause.AppFormMistake, make: func(w *world) []string {
			w.mosquitto(open)
			return []string{server4 + "：1883"}
		}},
	}
}

func tcpFaults() []fault {
	dropped := func(machine string, rules ...string) func(*world) []string {
		return func(w *world) []string { w.filter(machine, rules...); return plain(w) }
	}
	return []fault{
		{name: "nothing listens, seen from outside", want: cause.BrokerNotRunning, make: func(*world) []string { return []string{url4("mqtts", 8883)} }},
		{name: "nothing listens, seen on the server", want: cause.BrokerNotRunning, on: serverSide, make: func(*world) []string { return []string{url4("mqtt", 1883)} }},
		{name: "mosquitto without a configuration, seen from outside", want: cause.LoopbackOnly, make: func(w *world) []string {
			w.start(serverSide, []int{1883}, "mosquitto")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "mosquitto without a configuration, seen on the server", want: cause.LoopbackOnly, on: serverSide, make: func(w *world) []string {
			w.start(serverSide, []int{1883}, "mosquitto")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "Picket for its own machine only, seen on the server", want: cause.LoopbackOnly, on: serverSide, make: func(w *world) []string {
			w.picket("listener 1883 127.0.0.1\nallow_anonymous true\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "another port", want: cause.WrongPort, make: func(w *world) []string { w.mosquitto(open); return []string{url4("mqtt", 1884)} }},
		{name: "the TLS port, and the broker has a plain one only", want: cause.WrongPort, make: func(w *world) []string { w.mosquitto(open); return []string{url4("mqtts", 8883)} }},
		{name: "the host's firewall drops the port", want: cause.HostFirewallDrop, make: dropped(serverSide, "tcp dport 1883 drop")},
		{name: "the host's firewall drops the port, in the same network", want: cause.HostFirewallDrop, make: func(w *world) []string {
			w.batch(routerSide, "addr add 192.168.7.20/24 dev lan\n") // a machine beside the client
			w.nft(routerSide, "table inet lab {\n chain lab {\n  type filter hook input priority 0;\n  tcp dport 1883 drop\n }\n}\n")
			return []string{"mqtt://192.168.7.20"}
		}},
		{name: "a security group that lets SSH in only", want: cause.SecurityGroupClosed, make: func(w *world) []string {
			w.listen(serverSide, server4+":22", says("SSH-2.0-OpenSSH_9.2\r\n"))
			w.filter(routerSide, "ct state established,related accept", "ip daddr "+server4+" tcp dport != 22 drop")
			return plain(w)
		}},
		{name: "a security group that lets nothing in", want: cause.SecurityGroupClosed, make: dropped(routerSide, "ip daddr "+server4+" drop")},
		{name: "the host's firewall rejects (admin-prohibited)", want: cause.HostFirewallReject, make: dropped(serverSide, "tcp dport 1883 reject with icmp type admin-prohibited")},
		{name: "the host's firewall rejects (host-prohibited)", want: cause.HostFirewallReject, make: dropped(serverSide, "tcp dport 1883 reject with icmp type host-prohibited")},
		{name: "the host's firewall rejects (port-unreachable)", want: cause.HostFirewallReject, make: dropped(serverSide, "tcp dport 1883 reject")},
		{name: "a router on the way rejects", want: cause.CarrierOrCorpBlocksPort, make: dropped(routerSide, "tcp dport 1883 reject with icmp type admin-prohibited")},
		{name: "no machine at the address", want: cause.HostDown, make: func(*world) []string { return []string{"mqtt://203.0.113.77"} }},
		{name: "no machine at the address, in the same network", want: cause.HostDown, make: func(*world) []string { return []string{"mqtt://192.168.7.77"} }},
	}
}
