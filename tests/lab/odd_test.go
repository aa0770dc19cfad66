//go:build linux

package lab

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"time"

	"picket/cause"
)

// behindScript is a mosquitto behind a script that looks at what comes from the broker, and at what the client says, and may change it; where no broker can be had
// that does so. more are further arguments for the doctor.
func behindScript(toClient, toBroker func(net.Conn, []byte) bool, more ...string) func(*world) []string {
	return inFront(func(c, back net.Conn) {
		pass := func(f func(net.Conn, []byte) bool) func([]byte) bool {
			if f == nil {
				return nil
			}
			return func(b []byte) bool { return f(c, b) }
		}
		between(c, back, pass(toClient), pass(toBroker))
	}, more...)
}

// inFront is a mosquitto and a script in front of it, which has the client's connection and one to the broker.
func inFront(script func(c, back net.Conn), more ...string) func(*world) []string {
	return func(w *world) []string {
		w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous true\n")
		w.listen(serverSide, server4+":1883", func(c net.Conn) {
			if back, err := w.dial(serverSide, "127.0.0.1:1884"); err == nil {
				script(c, back)
			}
		})
		return append([]string{url4("mqtt", 1883)}, more...)
	}
}

// oddWays are faults of the way that routers, filters and two machines make.
func oddWays() []fault {
	router := func(commands string) func(*world) []string {
		return func(w *world) []string {
			w.mosquitto(open)
			w.batch(routerSide, commands)
			return []string{url4("mqtt", 1883)}
		}
	}
	on := func(machine string, rules ...string) func(*world) []string {
		return func(w *world) []string { w.tables(machine, "iptables", rules...); return plain(w) }
	}
	return []fault{
		{name: "the router knows no way to the server (unreachable)", want: cause.HostDown, twin: cause.NoPublicIP, make: router("route add unreachable " + server4 + "/32\n")},
		{name: "the router forbids the server (prohibit)", want: cause.CarrierOrCorpBlocksPort, make: router("route add prohibit " + server4 + "/32\n")},
		{name: "the router throws away what goes to the server (blackhole)", want: cause.SecurityGroupClosed, twin: cause.NoPublicIP, make: router("route add blackhole " + server4 + "/32\n")},
		{name: "packets go in circles", want: cause.HostDown, twin: cause.NoPublicIP, make: func(w *world) []string {
			w.mosquitto(open)
			w.batch(routerSide, "route add 203.0.113.99/32 via "+server4+" dev wan\n")
			w.run(serverSide, "sysctl", "-qw", "net.ipv4.ip_forward=1")
			w.batch(serverSide, "route add 203.0.113.99/32 via "+outside4+" dev eth0\n")
			return []string{"mqtt://203.0.113.99"}
		}},
		{name: "the router refuses everything but the web, with a reset", want: cause.CarrierOrCorpBlocksPort, make: on(routerSide, "-A FORWARD -i lan -p tcp -m multiport ! --dports 80,443 -j REJECT --reject-with tcp-reset")},
		{name: "the router refuses the port with a reset", want: cause.CarrierOrCorpBlocksPort, make: on(routerSide, "-A FORWARD -i lan -p tcp --dport 1883 -j REJECT --reject-with tcp-reset")},
		{name: "the server's network has no way back", want: cause.SecurityGroupClosed, twin: cause.NoPublicIP, make: func(w *world) []string {
			w.mosquitto(open)
			w.batch(serverSide, "route del default via "+outside4+"\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "the client's netmask is too wide", want: cause.HostDown, make: func(w *world) []string {
			w.mosquitto(open)
			w.batch(clientSide, "addr add 203.0.113.200/24 dev eth0\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "every second new connection is dropped", want: cause.LossyNetwork, twin: cause.RateLimitOrBan, make: on(serverSide, "-A INPUT -p tcp --syn --dport 1883 -m statistic --mode nth --every 2 --packet 1 -j DROP")},
		{name: "the firewall drops IPv4's port, in one direction for this network alone", want: cause.HostFirewallDrop, make: on(serverSide, "-A INPUT ! -s 10.0.0.0/8 -p tcp --dport 1883 -j DROP")},
		{name: "the answers to the opening are dropped on the way", want: cause.HostFirewallDrop, twin: cause.SecurityGroupClosed, make: on(routerSide, "-A FORWARD -i wan -p tcp --sport 1883 -j DROP")},
		{name: "the program takes no connections any more, and its queue is full", want: cause.BrokerSilent, make: func(w *world) []string {
			stop(w, w.mosquitto(open).pid)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "the broker resets every connection", want: cause.MaxConnections, twin: cause.BrokerNotRunning, make: func(w *world) []string {
			w.listen(serverSide, server4+":1883", func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) })
			return []string{url4("mqtt", 1883)}
		}},
		{name: "the broker listens for IPv6 alone", want: cause.IPv6OnlyServer, make: func(w *world) []string {
			w.names(map[string][]string{host: {server4, server6}})
			w.mosquitto("listener 1883 " + server6 + "\nallow_anonymous true\n")
			return []string{"mqtt://" + host}
		}},
		{name: "UDP is forwarded, and TCP is not", want: cause.HairpinNAT, twin: cause.NATNoPortForward, make: func(w *world) []string {
			w.tables(routerSide, "iptables", "-t nat -A PREROUTING -p udp --dport 1883 -j DNAT --to-destination "+server4)
			w.mosquitto(open)
			return []string{"mqtt://" + outside4}
		}},
		{name: "healthy: the router hands the port on (DNAT)", make: func(w *world) []string {
			w.tables(routerSide, "iptables", "-t nat -A PREROUTING -p tcp --dport 1883 -j DNAT --to-destination "+server4, "-t nat -A POSTROUTING -o wan -j MASQUERADE")
			w.mosquitto(open)
			return []string{"mqtt://" + outside4}
		}},
		{name: "healthy: the line has 3 in 1000 losses", make: on(routerSide, "-A FORWARD -m statistic --mode nth --every 300 --packet 7 -j DROP")},
	}
}

// oddTLS are faults of TLS and of certificates that are seldom.
func oddTLS() []fault {
	presented := func(chain func(w *world, root *authority) []*authority, more string) func(*world) []string {
		return func(w *world) []string {
			w.certificates("server", chain(w, garden.get(w.t))...)
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured + more)
			return w.byName("mqtts", 8883, "")
		}
	}
	openssl := func(w *world, args ...string) {
		cmd := exec.Command("openssl", args...)
		cmd.Dir = w.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			w.t.Fatalf("openssl %v: %v: %s", args, err, out)
		}
	}
	// old has OpenSSL sign a certificate in a way that Go does not.
	old := func(key, digest string) func(*world) []string {
		return func(w *world) []string {
			openssl(w, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=Old Root", "-days", "300")
			openssl(w, "req", "-new", "-newkey", key, "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN="+host)
			w.file("ext", "subjectAltName=DNS:"+host+"\n")
			openssl(w, "x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "server.crt", "-days", "90", digest, "-extfile", "ext")
			w.mosquittoWith("listener 8883\nallow_anonymous true\nciphers DEFAULT@SECLEVEL=0\n"+secured, "openssl_conf = lab\n[lab]\nssl_conf = modules\n[modules]\nsystem_default = defaults\n[defaults]\nCipherString = DEFAULT@SECLEVEL=0\n")
			return w.byName("mqtts", 8883, "")
		}
	}
	within := func(change func(*tls.Config), to func(*world) string) func(*world) []string {
		return func(w *world) []string {
			w.certificates("server", issue(w.t, garden.get(w.t), nil))
			config := serverConfig(issue(w.t, garden.get(w.t), nil))
			if change != nil {
				change(config)
			}
			w.listen(serverSide, server4+":8883", w.withTLS(config, to(w)))
			w.names(map[string][]string{host: {server4}})
			return []string{"mqtts://" + host, "--ca", w.path("ca.crt")}
		}
	}
	broker := func(w *world) string {
		w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous true\n")
		return "127.0.0.1:1884"
	}
	withCert := func(front func(*world), url string) func(*world) []string {
		return func(w *world) []string {
			w.names(map[string][]string{host: {server4}})
			w.pair()
			w.mosquitto(open + webBroker)
			front(w)
			w.certificates("client", issue(w.t, stranger.get(w.t), forClients))
			w.certificates("server", issue(w.t, garden.get(w.t), nil))
			return []string{url, "--ca", w.path("ca.crt"), "--cert", w.path("client.crt"), "--key", w.path("client.key")}
		}
	}
	return []fault{
		{name: "the wrong intermediate certificate is sent", want: cause.TLSIncompleteChain, make: presented(func(w *world, root *authority) []*authority {
			return []*authority{issue(w.t, ca(w.t, root, "Garden Intermediate"), nil), ca(w.t, root, "Other Intermediate")}
		}, "")},
		{name: "the address stands in the certificate as a name", want: cause.TLSNameMismatch, make: func(w *world) []string {
			w.certificates("server", issue(w.t, garden.get(w.t), func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{server4} }))
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			return []string{url4("mqtts", 8883), "--ca", w.path("ca.crt")}
		}},
		{name: "the authority may not issue for this name (name constraints)", want: cause.TLSUnknownCA, make: func(w *world) []string {
			root := garden.get(w.t)
			limited := sign(w.t, root, authorityKey(w.t), func(c *x509.Certificate) {
				c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
				c.DNSNames, c.IPAddresses, c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = nil, nil, []string{"other.test"}, true
			})
			w.certificates("server", issue(w.t, limited, nil), limited)
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			return w.byName("mqtts", 8883, "")
		}},
		{name: "a certificate that was signed with SHA-1", want: cause.TLSClientRejectedCertificate, make: old("rsa:2048", "-sha1")},
		{name: "healthy: a certificate with a key of RSA 1024", make: old("rsa:1024", "-sha256")},
		{name: "a key exchange that nobody knows (X448 alone)", want: cause.TLSCiphers, make: func(w *world) []string {
			w.good()
			w.mosquittoWith("listener 8883\nallow_anonymous true\n"+secured, "openssl_conf = lab\n[lab]\nssl_conf = modules\n[modules]\nsystem_default = defaults\n[defaults]\nGroups = X448\n")
			return w.byName("mqtts", 8883, "")
		}},
		{name: "HAProxy ends TLS, and the broker hangs", want: cause.BrokerSilent, make: byTLS(func(w *world) {
			b := w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous true\n")
			w.haproxy("frontend f\n bind :8883 ssl crt {dir}/pair.pem\n default_backend b\nbackend b\n server s 127.0.0.1:1884\n", 8883)
			stop(w, b.pid)
		}, "")},
		{name: "HAProxy ends TLS, and a web server is behind it", want: cause.PortTaken, make: byTLS(func(w *world) {
			w.nginx("server { listen 1884; location / { return 404; } }", 1884)
			w.haproxy("frontend f\n bind :8883 ssl crt {dir}/pair.pem\n default_backend b\nbackend b\n server s 127.0.0.1:1884\n", 8883)
		}, "")},
		{name: "HAProxy ends TLS, and the WebSocket port is behind it", want: cause.TCPToWSPort, make: byTLS(func(w *world) {
			w.haproxy("frontend f\n bind :8883 ssl crt {dir}/pair.pem\n default_backend b\nbackend b\n server s 127.0.0.1:9001\n", 8883)
		}, webBroker)},
		{name: "HAProxy ends TLS for WebSocket, and the plain port is behind it", want: cause.WSToTCPPort, make: func(w *world) []string {
			byTLS(func(w *world) {
				w.haproxy("frontend f\n bind :443 ssl crt {dir}/pair.pem\n default_backend b\nbackend b\n server s 127.0.0.1:1883\n", 443)
			}, open)(w)
			return []string{"wss://" + host + ":443/mqtt", "--ca", w.path("ca.crt")}
		}},
		{name: "HAProxy refuses the client certificate", want: cause.ClientCertRefused, make: withCert(func(w *world) {
			w.haproxy("frontend f\n bind :8883 ssl crt {dir}/pair.pem ca-file {dir}/ca.crt verify required\n default_backend b\nbackend b\n server s 127.0.0.1:1883\n", 8883)
		}, "mqtts://"+host)},
		{name: "nginx refuses the client certificate (400)", want: cause.ClientCertRefused, make: withCert(func(w *world) {
			w.nginx("ssl_certificate {dir}/server.crt; ssl_certificate_key {dir}/server.key; server { listen 443 ssl; ssl_client_certificate {dir}/ca.crt; ssl_verify_client on; location /mqtt { "+passing(9001)+" } }", 443)
		}, "wss://"+host+":443/mqtt")},
		{name: "nginx refuses the client certificate (stream)", want: cause.ClientCertRefused, make: withCert(func(w *world) {
			w.stream("ssl_certificate {dir}/server.crt; ssl_certificate_key {dir}/server.key; server { listen 8883 ssl; ssl_client_certificate {dir}/ca.crt; ssl_verify_client on; proxy_pass 127.0.0.1:1883; }", 8883)
		}, "mqtts://"+host)},
		{name: "stunnel refuses the client certificate", want: cause.ClientCertRefused, make: withCert(func(w *world) {
			w.stunnel("[mqtt]\naccept = 8883\nconnect = 127.0.0.1:1883\ncert = {dir}/pair.pem\nCAfile = {dir}/ca.crt\nverifyChain = yes\nrequireCert = yes\n", 8883)
		}, "mqtts://"+host)},
		{name: "what ends TLS takes four seconds for a handshake", want: cause.Overloaded, make: within(func(c *tls.Config) {
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { time.Sleep(4 * time.Second); return nil, nil }
		}, broker)},
		{name: "the handshake is never finished", want: cause.BrokerSilent, make: within(func(c *tls.Config) {
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { time.Sleep(time.Minute); return nil, nil }
		}, broker)},
	}
}

// oddBrokers are brokers that behave in odd ways, each a real mosquitto behind a script that changes what it says.
func oddBrokers() []fault {
	replace := func(head byte, with []byte) func(*world) []string {
		return behindScript(nil, func(c net.Conn, b []byte) bool {
			if b[0] != head {
				return true
			}
			_, _ = c.Write(with)
			return false
		})
	}
	swallow := func(head, mask byte) func(*world) []string {
		return behindScript(func(_ net.Conn, b []byte) bool {
			if b[0]&mask == head {
				time.Sleep(time.Minute)
			}
			return true
		}, nil)
	}
	late := func(head byte, d time.Duration) func(*world) []string {
		return behindScript(func(_ net.Conn, b []byte) bool {
			if b[0]&0xF0 == head {
				time.Sleep(d)
			}
			return true
		}, nil)
	}
	by := func(level byte, then func(c net.Conn) bool) func(*world) []string {
		return behindScript(nil, func(c net.Conn, b []byte) bool {
			if b[0] == 0x10 && len(b) > 10 && (string(b[4:8]) == "MQTT" && b[8] == level || string(b[4:8]) == "MQIs" && level == 3) {
				return true
			}
			if b[0] == 0x10 {
				return then(c)
			}
			return true
		})
	}
	refuse := func(c net.Conn) bool { _, _ = c.Write([]byte{0x20, 2, 0, 1}); return false }
	five := func(code byte) func(*world) []string { // a broker that says one thing in version 5, and its like in the older ones
		return behindScript(nil, func(c net.Conn, b []byte) bool {
			if b[0] != 0x10 || len(b) < 9 {
				return true
			}
			if string(b[4:8]) == "MQTT" && b[8] == 5 {
				_, _ = c.Write([]byte{0x20, 3, 0, code, 0})
				return false
			}
			old := map[byte]byte{0x84: 1, 0x85: 2, 0x86: 4, 0x87: 5, 0x8A: 5, 0x8C: 5}[code]
			if old == 0 {
				old = 3
			}
			_, _ = c.Write([]byte{0x20, 2, 0, old})
			return false
		})
	}
	return []fault{
		{name: "a broker for MQTT 3.1 alone", want: cause.ProtocolVersion, make: by(3, refuse)},
		{name: "a broker for MQTT 5 alone, which hangs up on the rest", want: cause.ProtocolVersion, make: by(5, func(net.Conn) bool { return false })},
		{name: "a broker for MQTT 3.1.1 alone, which does not answer the rest", want: cause.ProtocolVersion, make: by(4, func(net.Conn) bool { time.Sleep(time.Minute); return false })},
		{name: "a broker that bans (0x8A)", want: cause.RateLimitOrBan, make: five(0x8A)},
		{name: "a broker that wants another method of login (0x8C)", want: cause.AuthMethodUnknown, make: five(0x8C)},
		{name: "a broker whose quota is used up (0x97)", want: cause.ServerFull, make: five(0x97)},
		{name: "a broker that counts connections (0x9F)", want: cause.RateLimitOrBan, make: five(0x9F)},
		{name: "a broker that has moved (0x9D)", want: cause.Maintenance, make: five(0x9D)},
		{name: "a broker that is busy (0x89)", want: cause.Overloaded, make: five(0x89)},
		{name: "a broker that does not like the identifier (0x85)", want: cause.ClientIDRefused, twin: cause.ClientIDPrefix, make: five(0x85)},
		{name: "a broker that is not available (0x88)", want: cause.Maintenance, twin: cause.ServerFull, make: five(0x88)},
		{name: "CONNACK is cut short", want: cause.PortTaken, make: replace(0x10, []byte{0x20})},
		{name: "the login takes twelve seconds", want: cause.AuthBackendDown, make: late(0x20, 12*time.Second)},
		{name: "subscriptions are never answered", want: cause.BrokerSilent, twin: cause.Overloaded, make: swallow(0x90, 0xF0)},
		{name: "pings are never answered", want: cause.BrokerSilent, twin: cause.Overloaded, make: swallow(0xD0, 0xF0)},
		{name: "whoever subscribes is thrown out after a second", want: cause.ConnectionLost, make: behindScript(nil, func(c net.Conn, b []byte) bool {
			if b[0] == 0x82 {
				time.AfterFunc(700*time.Millisecond, func() { _ = c.Close() })
			}
			return true
		})},
		{name: "mosquitto: packets of 200 bytes at most", want: cause.PacketTooLarge, make: func(w *world) []string {
			w.mosquitto(open + "max_packet_size 200\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "a Go program that reads and says nothing", want: cause.BrokerSilent, make: func(w *world) []string {
			w.listen(serverSide, server4+":1883", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
			return []string{url4("mqtt", 1883)}
		}},
		{name: "a program that echoes what is said", want: cause.PortTaken, make: func(w *world) []string {
			w.listen(serverSide, server4+":1883", func(c net.Conn) { _, _ = io.Copy(c, c) })
			return []string{url4("mqtt", 1883)}
		}},
		{name: "a FTP server on the port", want: cause.PortTaken, make: func(w *world) []string {
			w.listen(serverSide, server4+":1883", says("220 (vsFTPd 3.0.3)\r\n"))
			return []string{url4("mqtt", 1883)}
		}},
		{name: "a PostgreSQL server on the port", want: cause.PortTaken, make: func(w *world) []string {
			w.listen(serverSide, server4+":1883", func(c net.Conn) {
				buf := make([]byte, 64)
				if n, _ := c.Read(buf); n > 0 { // "invalid length of startup packet": it hangs up
					return
				}
			})
			return []string{url4("mqtt", 1883)}
		}, twin: cause.ProxyProtocolMismatch},
	}
}

// typed is an address as somebody types it, with HOST for the name of a mosquitto at which nothing is wrong.
func typed(address string, more ...string) func(*world) []string {
	return func(w *world) []string {
		w.names(map[string][]string{host: {server4}})
		w.mosquitto(open)
		return append([]string{strings.ReplaceAll(address, "HOST", host)}, more...)
	}
}

// oddNames are faults of names and of what is typed.
func oddNames() []fault {
	return []fault{
		{name: "healthy: tcp:// before the name", make: typed("tcp://HOST:1883")},
		{name: "a slash is missing (mqtt:/)", want: cause.AppFormMistake, make: typed("mqtt:/HOST:1883")},
		{name: "the name in quotation marks", want: cause.AppFormMistake, make: typed("\u201cHOST\u201d")},
		{name: "a space inside of the address", want: cause.AppFormMistake, make: typed("mqtt://HOST :1883")},
		{name: "an invisible sign at the end", want: cause.AppFormMistake, make: typed("mqtt://HOST\u200b:1883")},
		{name: "a path behind a plain address", want: cause.AppFormMistake, make: typed("mqtt://HOST:1883/mqtt")},
		{name: "port 18833", want: cause.WrongPort, make: typed("mqtt://HOST:18833")},
		{name: "port 883", want: cause.WrongPort, make: typed("mqtts://HOST:883")},
		{name: "the name server answers one family alone, and is silent about the other", want: cause.DNSNoAnswer, make: func(w *world) []string {
			w.names(map[string][]string{host: {server4}})
			w.tables(routerSide, "iptables", "-A INPUT -p udp --dport 53 -m string --algo bm --hex-string |047465737400001c| -j DROP")
			w.mosquitto(open)
			return []string{"mqtt://" + host, "--timeout", "9s"}
		}},
		{name: "a name server that sends what does not exist to a page of its own", want: cause.DNSMissingOrStale, make: func(w *world) []string {
			w.dnsmasq("address=/#/203.0.113.55\n")
			w.batch(serverSide, "addr add 203.0.113.55/24 dev eth0\n")
			w.nginx("server { listen 203.0.113.55:80; location / { return 302 http://search.example/; } }", 80)
			return []string{"mqtt://borker.test"}
		}},
		{name: "the name is looked up by way of a name server that is not allowed (REFUSED)", want: cause.DNSNoAnswer, make: func(w *world) []string {
			w.dnsmasq("no-hosts\nno-resolv\n")
			return []string{"mqtt://" + host}
		}},
		{name: "the name has an old address, at which a web server is", want: cause.DNSMissingOrStale, twin: cause.LoopbackOnly, make: func(w *world) []string {
			w.names(map[string][]string{host: {"203.0.113.55"}})
			w.batch(serverSide, "addr add 203.0.113.55/24 dev eth0\n")
			w.nginx("server { listen 203.0.113.55:80; listen 203.0.113.55:443; location / { return 404; } }", 80)
			w.mosquitto("listener 1883 " + server4 + "\nallow_anonymous true\n")
			return []string{"mqtt://" + host}
		}},
		{name: "healthy: a name of two labels with an underscore", make: func(w *world) []string {
			w.names(map[string][]string{"my_broker.test": {server4}})
			w.mosquitto(open)
			return []string{"mqtt://my_broker.test"}
		}},
		{name: "three addresses, and two of them are dead", want: cause.DNSMissingOrStale, make: func(w *world) []string {
			w.names(map[string][]string{host: {"203.0.113.11", "203.0.113.12", server4}})
			w.mosquitto(open)
			return []string{"mqtt://" + host}
		}},
		{name: "healthy: the address in brackets", make: func(w *world) []string { w.mosquitto(open); return []string{fmt.Sprintf("mqtt://[%s]:1883", server6)} }},
	}
}
