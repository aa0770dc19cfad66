//go:build linux

package lab

import (
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"picket/cause"
)

// tables runs commands of a program of the firewall on a machine.
func (w *world) tables(machine, program string, rules ...string) {
	w.t.Helper()
	for _, r := range rules {
		w.run(machine, append([]string{program}, strings.Fields(r)...)...)
	}
}

// filters are faults of what looks at packets on the way: real filters of the kernel on the client, the router and the server.
func filters() []fault {
	// on has rules of iptables on a machine, and an open mosquitto.
	on := func(machine string, rules ...string) func(*world) []string {
		return func(w *world) []string { w.tables(machine, "iptables", rules...); return plain(w) }
	}
	nft := func(machine, rules string) func(*world) []string {
		return func(w *world) []string { w.nft(machine, rules); return plain(w) }
	}
	tlsWith := func(rules ...string) func(*world) []string {
		return func(w *world) []string {
			w.good()
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			w.tables(routerSide, "iptables", rules...)
			return w.byName("mqtts", 8883, "")
		}
	}
	const word = "-A FORWARD -p tcp --dport 1883 -m string --algo bm --string MQ -j "
	return []fault{
		{name: "a filter that looks for MQTT and resets", want: cause.CarrierOrCorpBlocksPort, make: on(routerSide, word+"REJECT --reject-with tcp-reset")},
		{name: "a filter that looks for MQTT and drops", want: cause.CarrierOrCorpBlocksPort, make: on(routerSide, word+"DROP")},
		{name: "a filter that looks for MQTT in its place in the packet", want: cause.CarrierOrCorpBlocksPort, make: nft(routerSide, "table ip lab {\n chain lab {\n  type filter hook forward priority 0;\n  tcp dport 1883 @ih,32,32 0x4d515454 reject with tcp reset\n  tcp dport 1883 @ih,32,32 0x4d514973 reject with tcp reset\n }\n}\n")},
		{name: "a filter that looks for TLS and drops", want: cause.CarrierOrCorpBlocksPort, make: tlsWith("-A FORWARD -p tcp --dport 8883 -m string --algo bm --hex-string |160301| -j DROP")},
		{name: "a filter that looks for TLS and resets", want: cause.CarrierOrCorpBlocksPort, make: tlsWith("-A FORWARD -p tcp --dport 8883 -m string --algo bm --hex-string |160301| -j REJECT --reject-with tcp-reset")},
		{name: "a filter that looks for the server's name in TLS and drops", want: cause.ICPSNIBlock, make: tlsWith("-A FORWARD -p tcp --dport 8883 -m string --algo bm --string " + host + " -j DROP")},
		{name: "a filter that looks for the server's name in TLS and resets", want: cause.ICPSNIBlock, make: tlsWith("-A FORWARD -p tcp --dport 8883 -m string --algo bm --string " + host + " -j REJECT --reject-with tcp-reset")},
		{name: "a filter lets connections open and nothing through", want: cause.CarrierOrCorpBlocksPort, make: on(routerSide, "-A FORWARD -p tcp --dport 1883 --tcp-flags PSH PSH -j DROP")},
		{name: "a filter resets whatever is said", want: cause.CarrierOrCorpBlocksPort, make: on(routerSide, "-A FORWARD -p tcp --dport 1883 --tcp-flags PSH PSH -j REJECT --reject-with tcp-reset")},

		{name: "iptables: so many connections in a time, and then a reset", want: cause.RateLimitOrBan, make: on(serverSide, "-A INPUT -p tcp --dport 1883 --syn -m limit --limit 6/min --limit-burst 2 -j ACCEPT", "-A INPUT -p tcp --dport 1883 --syn -j REJECT --reject-with tcp-reset")},
		{name: "iptables: so many connections in a time, and then an answer by ICMP", want: cause.RateLimitOrBan, make: on(serverSide, "-A INPUT -p tcp --dport 1883 --syn -m limit --limit 6/min --limit-burst 2 -j ACCEPT", "-A INPUT -p tcp --dport 1883 --syn -j REJECT")},
		{name: "nftables: so many connections in a time", want: cause.RateLimitOrBan, make: nft(serverSide, "table inet lab {\n chain lab {\n  type filter hook input priority 0;\n  tcp dport 1883 ct state new limit rate over 6/minute burst 2 packets drop\n }\n}\n")},
		{name: "nftables: before routing", want: cause.HostFirewallDrop, make: nft(serverSide, "table inet raw {\n chain early {\n  type filter hook prerouting priority raw;\n  tcp dport 1883 drop\n }\n}\n")},
		{name: "nftables: its own table named filter", want: cause.HostFirewallDrop, make: nft(serverSide, "table ip filter {\n chain input {\n  type filter hook input priority 0;\n  tcp dport 1883 drop\n }\n}\n")},
		{name: "nftables: the answers are dropped", want: cause.HostFirewallDrop, make: nft(serverSide, "table inet filter {\n chain output {\n  type filter hook output priority 0;\n  tcp sport 1883 drop\n }\n}\n")},
		{name: "nftables: rejected with a reset", want: cause.LoopbackOnly, twin: cause.BrokerNotRunning, make: nft(serverSide, "table inet filter {\n chain input {\n  type filter hook input priority 0;\n  tcp dport 1883 reject with tcp reset\n }\n}\n")},
		{name: "iptables: this address is banned, with an answer", want: cause.HostFirewallReject, twin: cause.RateLimitOrBan, make: on(serverSide, "-N f2b-mosquitto", "-A INPUT -p tcp --dport 1883 -j f2b-mosquitto", "-A f2b-mosquitto -s 192.168.7.2 -j REJECT", "-A f2b-mosquitto -j RETURN")},
		{name: "firewalld's way to reject", want: cause.HostFirewallReject, make: nft(serverSide, "table inet firewalld {\n chain input {\n  type filter hook input priority 10;\n  ct state established,related accept\n  iifname lo accept\n  icmp type echo-request accept\n  reject with icmpx admin-prohibited\n }\n}\n")},
		{name: "ufw's way: all but SSH is dropped", want: cause.SecurityGroupClosed, twin: cause.HostFirewallDrop, make: func(w *world) []string {
			w.listen(serverSide, server4+":22", says("SSH-2.0-OpenSSH_9.2\r\n"))
			w.tables(serverSide, "iptables", "-A INPUT -i lo -j ACCEPT", "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-A INPUT -p icmp --icmp-type echo-request -j ACCEPT", "-A INPUT -p tcp --dport 22 -j ACCEPT", "-P INPUT DROP")
			return plain(w)
		}},
		{name: "the firewall knows IPv4 alone, and IPv6 is dropped", want: cause.IPv4OnlyListener, make: func(w *world) []string {
			w.names(map[string][]string{host: {server4, server6}})
			w.tables(serverSide, "ip6tables", "-A INPUT -p tcp --dport 1883 -j DROP")
			w.mosquitto(open)
			return []string{"mqtt://" + host}
		}},
		{name: "the firewall rejects IPv6", want: cause.IPv4OnlyListener, make: func(w *world) []string {
			w.names(map[string][]string{host: {server4, server6}})
			w.tables(serverSide, "ip6tables", "-A INPUT -p tcp --dport 1883 -j REJECT")
			w.mosquitto(open)
			return []string{"mqtt://" + host}
		}},
		{name: "IPv6 is dropped, and its address is used", want: cause.HostFirewallDrop, make: func(w *world) []string {
			w.tables(serverSide, "ip6tables", "-A INPUT -p tcp --dport 1883 -j DROP")
			w.mosquitto(open)
			return []string{"mqtt://[" + server6 + "]:1883"}
		}},
		{name: "IPv6 is rejected, and its address is used", want: cause.HostFirewallReject, make: func(w *world) []string {
			w.tables(serverSide, "ip6tables", "-A INPUT -p tcp --dport 1883 -j REJECT --reject-with icmp6-adm-prohibited")
			w.mosquitto(open)
			return []string{"mqtt://[" + server6 + "]:1883"}
		}},
		{name: "IPv6 is open and IPv4 is dropped", want: cause.DNSMissingOrStale, twin: cause.HostFirewallDrop, make: func(w *world) []string {
			w.names(map[string][]string{host: {server4, server6}})
			w.tables(serverSide, "iptables", "-A INPUT -p tcp --dport 1883 -j DROP")
			w.mosquitto(open)
			return []string{"mqtt://" + host}
		}},

		{name: "this machine's own firewall rejects", want: cause.CarrierOrCorpBlocksPort, make: on(clientSide, "-A OUTPUT -p tcp --dport 1883 -j REJECT")},
		{name: "this machine's own firewall prohibits", want: cause.CarrierOrCorpBlocksPort, make: on(clientSide, "-A OUTPUT -p tcp --dport 1883 -j REJECT --reject-with icmp-admin-prohibited")},
		{name: "the router of this network is dead", want: cause.ClientOffline, make: func(w *world) []string {
			w.mosquitto(open)
			w.batch(routerSide, "addr flush dev lan\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "the router forwards the port to a machine that is off", want: cause.HostDown, twin: cause.NATNoPortForward, make: func(w *world) []string {
			w.batch(serverSide, "link add dmz type veth peer name far\naddr add 10.99.0.1/24 dev dmz\nlink set dmz up\nlink set far up\n")
			w.run(serverSide, "sysctl", "-qw", "net.ipv4.ip_forward=1")
			w.tables(serverSide, "iptables", "-t nat -A PREROUTING -p tcp --dport 1883 -j DNAT --to-destination 10.99.0.7:1883")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "Docker: the port leads to a container where nothing listens", want: cause.LoopbackOnly, twin: cause.BrokerNotRunning, make: func(w *world) []string {
			w.run(serverSide, "sysctl", "-qw", "net.ipv4.ip_forward=1")
			w.batch(serverSide, "addr add 172.17.0.2/32 dev lo\n")
			w.tables(serverSide, "iptables", "-t nat -A PREROUTING -p tcp --dport 1883 -j DNAT --to-destination 172.17.0.2:1883")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "30 of 100 packets are lost on the way there", want: cause.LossyNetwork, make: nft(routerSide, "table inet lab {\n chain lab {\n  type filter hook forward priority 0;\n  iifname lan meta l4proto tcp numgen random mod 100 < 30 drop\n }\n}\n")},
		{name: "a line of 8 kB a second that throws away what is more", want: cause.LossyNetwork, make: nft(routerSide, "table inet lab {\n chain lab {\n  type filter hook forward priority 0;\n  meta l4proto tcp limit rate over 8 kbytes/second burst 4 kbytes drop\n }\n}\n")},
		{name: "large packets vanish on the way there", want: cause.MTUBlackhole, make: func(w *world) []string {
			w.batch(routerSide, "link set wan mtu 1280\n")
			w.nft(routerSide, "table inet lab {\n chain lab {\n  type filter hook output priority 0;\n  icmp type destination-unreachable drop\n  icmpv6 type packet-too-big drop\n }\n}\n")
			return plain(w)
		}},
		{name: "healthy: a narrow way that says so", make: func(w *world) []string { w.batch(routerSide, "link set wan mtu 1280\n"); return plain(w) }},
		{name: "healthy: a firewall that lets the port in", make: on(serverSide, "-A INPUT -i lo -j ACCEPT", "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-A INPUT -p tcp --dport 1883 -j ACCEPT", "-P INPUT DROP")},
		{name: "healthy: 100 ms away, with TLS", link: &link{delay: 50 * time.Millisecond}, make: func(w *world) []string {
			w.good()
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			return w.byName("mqtts", 8883, "")
		}},
		{name: "healthy: 100 ms away, WebSocket through nginx", link: &link{delay: 50 * time.Millisecond}, make: func(w *world) []string {
			w.mosquitto(webBroker)
			w.nginx("server { listen 80; location /mqtt { "+passing(9001)+" } }", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}},
		{name: "healthy: IPv6 alone on the client, by name", make: func(w *world) []string {
			w.names6(map[string][]string{host: {server4, server6}})
			w.mosquitto(open)
			w.batch(clientSide, "addr del "+client4+"/24 dev eth0\n")
			return []string{"mqtt://" + host}
		}},
		{name: "healthy: IPv4 alone on the client, by a name with both", make: func(w *world) []string {
			w.names(map[string][]string{host: {server4, server6}})
			w.mosquitto(open)
			w.batch(clientSide, "addr del "+client6+"/64 dev eth0\n")
			return []string{"mqtt://" + host}
		}},
		{name: "healthy: the router leads the port to another machine's port", make: func(w *world) []string {
			w.mosquitto("listener 1884\nallow_anonymous true\n")
			w.tables(serverSide, "iptables", "-t nat -A PREROUTING -p tcp --dport 1883 -j REDIRECT --to-ports 1884")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "two addresses, and at the first one another program listens", want: cause.PortTaken, twin: cause.DNSMissingOrStale, make: func(w *world) []string {
			w.names(map[string][]string{host: {"203.0.113.11", server4}})
			w.batch(serverSide, "addr add 203.0.113.11/24 dev eth0\n")
			w.mosquitto("listener 1883 " + server4 + "\nallow_anonymous true\n")
			w.listen(serverSide, "203.0.113.11:1883", says("SSH-2.0-OpenSSH_9.2\r\n"))
			return []string{"mqtt://" + host}
		}},
		{name: "two addresses, and at the second one the broker hangs", want: cause.BrokerSilent, twin: cause.DNSMissingOrStale, make: func(w *world) []string {
			w.names(map[string][]string{host: {server4, "203.0.113.11"}})
			w.batch(serverSide, "addr add 203.0.113.11/24 dev eth0\n")
			w.mosquitto("listener 1883 " + server4 + "\nallow_anonymous true\n")
			w.listen(serverSide, "203.0.113.11:1883", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
			return []string{"mqtt://" + host}
		}},
		{name: "an IPv6 address at which another broker wants a login", want: cause.AnonymousRefused, make: func(w *world) []string {
			w.names(map[string][]string{host: {server4, server6}})
			w.passwords()
			w.mosquitto(fmt.Sprintf("per_listener_settings true\nlistener 1883 %s\nallow_anonymous true\nlistener 1883 %s\nallow_anonymous false\npassword_file {dir}/passwords\n", server4, server6))
			return []string{"mqtt://" + host}
		}},
	}
}
