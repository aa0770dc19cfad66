//go:build linux

package lab

import (
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"time"

	"picket/cause"
)

// later are faults of all kinds that were thought up after the rules for the rest had been written, as those of [further] were, a session later.
func later() []fault {
	const inner = "listener 1884 127.0.0.1\nallow_anonymous true\nlistener 1885 127.0.0.1\nallow_anonymous true\n"
	return []fault{
		{name: "healthy: ssl:// before the name, as Paho writes it", make: func(w *world) []string {
			w.good()
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			return w.byName("ssl", 8883, "")
		}},
		{name: "healthy: this machine's firewall lets nothing in, and all out", make: func(w *world) []string {
			w.nft(clientSide, "table inet filter {\n chain input {\n type filter hook input priority 0; policy drop;\n ct state established,related accept\n iif lo accept\n meta l4proto { icmp, ipv6-icmp } accept\n }\n}\n")
			return plain(w)
		}},
		{name: "healthy: HAProxy in front of two, the second of which is there in need (backup)", make: func(w *world) []string {
			w.mosquitto(inner)
			w.haproxy("frontend f\n bind :1883\n default_backend b\nbackend b\n server a 127.0.0.1:1884 check\n server b 127.0.0.1:1886 check backup\n", 1883)
			return []string{url4("mqtt", 1883)}
		}},

		{name: "a printer has the address that the broker had", want: cause.BrokerNotRunning, twin: cause.LoopbackOnly, make: func(w *world) []string {
			w.web(server4+":80", answers(http.StatusOK, "<title>LaserJet</title>", "Server", "HP HTTP Server"), nil)
			w.listen(serverSide, server4+":9100", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
			return []string{url4("mqtt", 1883)}
		}},
		{name: "HAProxy deals clients out to two brokers that know nothing of each other", want: cause.SeparateBrokers, make: func(w *world) []string {
			w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous true\n")
			w.start(serverSide, []int{1885}, "mosquitto", "-c", w.file("second.conf", "user root\nlistener 1885 127.0.0.1\nallow_anonymous true\n"))
			w.haproxy("frontend f\n bind :1883\n default_backend b\nbackend b\n balance roundrobin\n server a 127.0.0.1:1884\n server b 127.0.0.1:1885\n", 1883)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "HAProxy deals clients out to two brokers, one of which is dead", want: cause.BrokerNotRunning, twin: cause.MaxConnections, make: func(w *world) []string {
			w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous true\n")
			w.haproxy("frontend f\n bind :1883\n default_backend b\nbackend b\n balance roundrobin\n server a 127.0.0.1:1884\n server b 127.0.0.1:1885\n", 1883)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "this machine's own firewall drops", want: cause.CarrierOrCorpBlocksPort, make: func(w *world) []string {
			w.tables(clientSide, "iptables", "-A OUTPUT -p tcp --dport 1883 -j DROP")
			return plain(w)
		}},
		{name: "this machine's own firewall lets the web out alone, and drops the rest", want: cause.CarrierOrCorpBlocksPort, make: func(w *world) []string {
			w.nft(clientSide, "table inet filter {\n chain output {\n type filter hook output priority 0; policy drop;\n ct state established,related accept\n oif lo accept\n meta l4proto { icmp, ipv6-icmp } accept\n udp dport 53 accept\n tcp dport { 22, 53, 80, 443 } accept\n }\n}\n")
			return plain(w)
		}},
		{name: "telnet on the port", want: cause.PortTaken, make: speaks("\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23\xff\xfd\x27")},
		{name: "VNC on the port", want: cause.PortTaken, make: speaks("RFB 003.008\n")},
		{name: "the name has the address of a link (fe80::) beside the public one", want: cause.DNSMissingOrStale, twin: cause.PrivateIPUsed, make: func(w *world) []string {
			w.names(map[string][]string{host: {"fe80::5054:ff:fe12:3456", server4}})
			w.mosquitto(open)
			return []string{"mqtt://" + host}
		}},
		{name: "a client certificate that is good, and whose name has no rights", want: cause.ACLPublishDenied, make: func(w *world) []string {
			w.certificates("client", issue(w.t, garden.get(w.t), forClients))
			w.file("acl", "user sensor-7\ntopic readwrite #\n")
			return append(mutual(w, "acl_file {dir}/acl\n"), "--cert", w.path("client.crt"), "--key", w.path("client.key"))
		}},
		{name: "nginx hands names on that it knows, and this one to the web site (ssl_preread)", want: cause.TLSNameMismatch, make: func(w *world) []string {
			w.good()
			w.certificates("web", issue(w.t, garden.get(w.t), onlyName("www.test")))
			w.nginx("server { listen 8443 ssl; ssl_certificate {dir}/web.crt; ssl_certificate_key {dir}/web.key; location / { return 404; } }", 8443)
			w.mosquitto("listener 8884 127.0.0.1\nallow_anonymous true\n" + secured)
			w.stream("map $ssl_preread_server_name $to { mqtt.test 127.0.0.1:8884; default 127.0.0.1:8443; }\nserver { listen 8883; ssl_preread on; proxy_pass $to; }", 8883)
			return w.byName("mqtts", 8883, "")
		}},
		{name: "a broker that takes identifiers of 23 characters at most", want: cause.ClientIDRefused, make: behindScript(nil, func(c net.Conn, b []byte) bool {
			if b[0] == 0x10 && len(b) > 14 && b[8] < 5 && b[13] > 23 {
				_, _ = c.Write([]byte{0x20, 2, 0, 2})
				return false
			}
			return true
		}, "--id", "living-room-thermostat-upstairs-2")},
		{name: "a tunnel of SSH whose other end reaches nobody", want: cause.BrokerNotRunning, twin: cause.MaxConnections, make: func(w *world) []string {
			w.listen(clientSide, "127.0.0.1:1883", func(net.Conn) { time.Sleep(40 * time.Millisecond) })
			return []string{"mqtt://127.0.0.1:1883"}
		}},
		{name: "a modem that leads nowhere is asked first", want: cause.ClientOffline, make: func(w *world) []string {
			w.mosquitto(open)
			w.batch(clientSide, "route del default via "+gateway4+"\nroute add default via "+gateway4+" metric 600\nlink add usb0 type veth peer name modem\naddr add 192.168.8.100/24 dev usb0\nlink set usb0 up\nlink set modem up\nroute add default via 192.168.8.1 dev usb0 metric 100\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "a broker that says that there is a session though a new one was asked for", want: cause.ServerViolation, make: changed(0x20, func(p []byte) []byte { p[2] |= 1; return p })},
		{name: "a broker that acknowledges another subscription", want: cause.ServerViolation, make: changed(0x90, func(p []byte) []byte { p[3] ^= 0x55; return p })},
	}
}

// onlyName is what makes a certificate for one name.
func onlyName(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{name}, nil }
}

// changed is a mosquitto of whose packets those of a kind are changed on the way.
func changed(kind byte, change func([]byte) []byte) func(*world) []string {
	return filtered(func(p []byte) []byte {
		if p[0]&0xF0 == kind {
			return change(p)
		}
		return p
	}, nil)
}

// speaks is a program that greets whoever comes to the broker's port, and waits.
func speaks(greeting string) func(*world) []string {
	return func(w *world) []string {
		w.listen(serverSide, server4+":1883", func(c net.Conn) {
			_, _ = io.WriteString(c, greeting)
			_, _ = io.Copy(io.Discard, c)
		})
		return []string{url4("mqtt", 1883)}
	}
}

// latest are neighbours of those, thought up before the rules for them were tried.
func latest() []fault {
	second := func(w *world, address string) {
		w.start(serverSide, []int{1883}, "mosquitto", "-c", w.file("second.conf", "user root\nlistener 1883 "+address+"\nallow_anonymous true\n"))
	}
	answering := func(answer string) func(*world) []string {
		return func(w *world) []string {
			w.listen(serverSide, server4+":1883", func(c net.Conn) {
				for b := make([]byte, 1024); ; {
					if _, err := c.Read(b); err != nil {
						return
					}
					_, _ = io.WriteString(c, answer)
				}
			})
			return []string{url4("mqtt", 1883)}
		}
	}
	return []fault{
		{name: "healthy: each client has topics below its identifier alone", make: func(w *world) []string {
			w.file("acl", "pattern readwrite %c/#\n")
			w.mosquitto("listener 1883\nallow_anonymous true\nacl_file {dir}/acl\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "healthy: a client certificate that nobody asks for", make: func(w *world) []string {
			w.good()
			w.certificates("client", issue(w.t, garden.get(w.t), forClients))
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			return append(w.byName("mqtts", 8883, ""), "--cert", w.path("client.crt"), "--key", w.path("client.key"))
		}},

		{name: "two addresses of one name, with two brokers that know nothing of each other", want: cause.SeparateBrokers, make: func(w *world) []string {
			w.batch(serverSide, "addr add 203.0.113.11/24 dev eth0\n")
			w.names(map[string][]string{host: {server4, "203.0.113.11"}})
			w.mosquitto("listener 1883 " + server4 + "\nallow_anonymous true\n")
			second(w, "203.0.113.11")
			return []string{"mqtt://" + host}
		}},
		{name: "one broker at the IPv4 address of a name, and another one at its IPv6 address", want: cause.SeparateBrokers, make: func(w *world) []string {
			w.names(map[string][]string{host: {server4, server6}})
			w.mosquitto("listener 1883 " + server4 + "\nallow_anonymous true\n")
			second(w, server6)
			return []string{"mqtt://" + host}
		}},
		{name: "nginx deals clients out to two brokers that know nothing of each other (stream)", want: cause.SeparateBrokers, make: func(w *world) []string {
			w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous true\n")
			w.start(serverSide, []int{1885}, "mosquitto", "-c", w.file("second.conf", "user root\nlistener 1885 127.0.0.1\nallow_anonymous true\n"))
			w.stream("upstream b { server 127.0.0.1:1884; server 127.0.0.1:1885; }\nserver { listen 1883; proxy_pass b; }", 1883)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "a broker that acknowledges another message (PUBACK)", want: cause.ServerViolation, make: changed(0x40, func(p []byte) []byte { p[3] ^= 0x55; return p })},
		{name: "a broker whose messages have the number 0", want: cause.ServerViolation, make: changed(0x30, func(p []byte) []byte {
			if p[0]&6 != 0 && len(p) < 128 {
				at := 4 + int(p[3])
				p[at], p[at+1] = 0, 0
			}
			return p
		})},
		{name: "a broker that answers one filter with two codes", want: cause.ServerViolation, make: changed(0x90, func(p []byte) []byte { p[1]++; return append(p, 0) })},
		{name: "a broker whose CONNACK of MQTT 5 has one property twice", want: cause.ServerViolation, make: changed(0x20, func(p []byte) []byte {
			if len(p) > 4 {
				return []byte{0x20, 9, 0, 0, 6, 0x21, 0, 20, 0x21, 0, 20}
			}
			return p
		})},
		{name: "this machine's own firewall drops a network", want: cause.CarrierOrCorpBlocksPort, make: func(w *world) []string {
			w.nft(clientSide, "table ip guard {\n chain out {\n type filter hook output priority 10; policy accept;\n ip daddr 203.0.113.0/24 tcp dport != 22 drop\n }\n}\n")
			return plain(w)
		}},
		{name: "this machine's own firewall drops IPv6 alone, and its address is used", want: cause.CarrierOrCorpBlocksPort, make: func(w *world) []string {
			w.tables(clientSide, "ip6tables", "-A OUTPUT -p tcp --dport 1883 -j DROP")
			w.mosquitto(open)
			return []string{"mqtt://[" + server6 + "]:1883"}
		}},
		{name: "this machine's own firewall lets no answers in", want: cause.CarrierOrCorpBlocksPort, make: func(w *world) []string {
			w.tables(clientSide, "iptables", "-P INPUT DROP", "-A INPUT -i lo -j ACCEPT", "-A INPUT -p icmp -j ACCEPT", "-A INPUT -p tcp --dport 22 -j ACCEPT")
			return plain(w)
		}},
		{name: "two machines of the network have the broker's address", want: cause.AddressConflict, make: func(w *world) []string {
			w.batch(routerSide, "link add br0 type bridge\nlink set lan master br0\naddr flush dev lan\nlink set br0 up\naddr add "+gateway4+"/24 dev br0\naddr add 192.168.7.50/24 dev br0\nlink add twin type veth peer name eth1 netns "+w.ns(serverSide)+"\nlink set twin master br0\nlink set twin up\n")
			w.batch(serverSide, "link set eth1 up\naddr add 192.168.7.50/24 dev eth1\n")
			w.mosquitto(open)
			return []string{"mqtt://192.168.7.50"}
		}},
		{name: "memcached on the port", want: cause.PortTaken, make: answering("ERROR\r\n")},
		{name: "a camera (RTSP) on the port", want: cause.PortTaken, make: answering("RTSP/1.0 400 Bad Request\r\nServer: Rtsp Server\r\n\r\n")},
	}
}
