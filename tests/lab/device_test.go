//go:build linux

package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"picket/cause"
)

// deviceTLS are certificates and ways of TLS that devices and hosting panels come with.
func deviceTLS() []fault {
	const day = 24 * time.Hour
	served := func(more string, chain func(w *world, root *authority) []*authority) func(*world) []string {
		return func(w *world) []string {
			w.certificates("server", chain(w, garden.get(w.t))...)
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured + more)
			return w.byName("mqtts", 8883, "")
		}
	}
	one := func(change func(*x509.Certificate)) func(*world, *authority) []*authority {
		return func(w *world, root *authority) []*authority { return []*authority{issue(w.t, root, change)} }
	}
	own := func(name string, names ...string) func(w *world, _ *authority) []*authority { // a certificate that a program has made for itself
		return func(w *world, _ *authority) []*authority {
			return []*authority{issue(w.t, nil, func(c *x509.Certificate) { c.Subject.CommonName, c.DNSNames, c.IPAddresses = name, names, nil })}
		}
	}
	return []fault{
		{name: "healthy: the authority's own certificate is sent as well", make: served("", func(w *world, root *authority) []*authority { return []*authority{issue(w.t, root, nil), root} })},
		{name: "healthy: the chain is in another order", make: served("", func(w *world, root *authority) []*authority {
			a := ca(w.t, root, "Garden Intermediate")
			b := ca(w.t, a, "Garden Lower")
			return []*authority{issue(w.t, b, nil), a, b}
		})},
		{name: "healthy: the name in the certificate is in capital letters", make: served("", one(func(c *x509.Certificate) { c.DNSNames = []string{strings.ToUpper(host)} }))},
		{name: "healthy: a certificate that does not end before the year 9999", make: served("", one(func(c *x509.Certificate) { c.NotAfter = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC) }))},
		{name: "healthy: a key of the curve P-521", make: served("", func(w *world, root *authority) []*authority {
			k, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
			if err != nil {
				w.t.Fatal(err)
			}
			return []*authority{sign(w.t, root, k, nil)}
		})},

		{name: "an authority that was made anew, and the client has the old one of the same name", want: cause.TLSUnknownCA, make: served("", func(w *world, _ *authority) []*authority {
			return []*authority{issue(w.t, ca(w.t, nil, "Garden Root"), nil)}
		})},
		{name: "a certificate for the names below the domain, and the domain itself is used", want: cause.TLSNameMismatch, make: served("", one(func(c *x509.Certificate) { c.DNSNames = []string{"*." + host} }))},
		{name: "an IPv6 address that is not in the certificate", want: cause.TLSNameMismatch, make: func(w *world) []string {
			served("", one(func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP(server4)} }))(w)
			return []string{"mqtts://[" + server6 + "]:8883", "--ca", w.path("ca.crt")}
		}},
		{name: "a certificate with an extension that nobody knows, and that has to be understood", want: cause.TLSClientRejectedCertificate, make: served("", one(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{5, 0}}}
		}))},
		{name: "Kubernetes' own certificate, since none was set for the name", want: cause.TLSNameMismatch, twin: cause.TLSUnknownCA, make: served("", own("Kubernetes Ingress Controller Fake Certificate", "ingress.local"))},
		{name: "Traefik's own certificate, since none was set for the name", want: cause.TLSNameMismatch, twin: cause.TLSUnknownCA, make: served("", own("TRAEFIK DEFAULT CERT", "d41d8cd9.traefik.default"))},
		{name: "the certificate that Debian makes for a machine (snakeoil)", want: cause.TLSNameMismatch, twin: cause.TLSUnknownCA, make: served("", own("debian", "debian"))},
		{name: "a test certificate of the authority (staging)", want: cause.TLSUnknownCA, make: served("", func(w *world, _ *authority) []*authority {
			a := ca(w.t, ca(w.t, nil, "(STAGING) Pretend Pear X1"), "(STAGING) Counterfeit Cashew R10")
			return []*authority{issue(w.t, a, nil), a}
		})},
		{name: "the client's certificate comes without its intermediate", want: cause.ClientCertRefused, make: func(w *world) []string {
			w.certificates("client", issue(w.t, ca(w.t, garden.get(w.t), "Garden Devices"), forClients))
			return append(mutual(w, ""), "--cert", w.path("client.crt"), "--key", w.path("client.key"))
		}},
		{name: "the client shows the server's certificate for its own", want: cause.ClientCertRefused, make: func(w *world) []string {
			args := mutual(w, "")
			return append(args, "--cert", w.path("server.crt"), "--key", w.path("server.key"))
		}},
		{name: "the certificate is renewed, and the broker serves the old one", want: cause.TLSExpired, make: func(w *world) []string {
			args := served("", one(dated(-90*day, -time.Hour)))(w)
			w.certificates("server", issue(w.t, garden.get(w.t), nil))
			return args
		}},
		{name: "HAProxy takes TLS 1.0 alone, WebSocket with TLS", want: cause.TLSVersion, make: secureHAProxy("ciphers ALL:@SECLEVEL=0 force-tlsv10")},
		{name: "HAProxy speaks HTTP/2 alone", want: cause.H2ALPN, make: secureHAProxy("alpn h2 proto h2")},
		{name: "nginx sends PROXY headers inside of TLS to a mosquitto that ends TLS", want: cause.ProxyProtocolMismatch, twin: cause.MaxConnections, make: byTLS(func(w *world) {
			w.mosquitto("listener 8884 127.0.0.1\nallow_anonymous true\n" + secured)
			w.stream("server { listen 8883; proxy_pass 127.0.0.1:8884; proxy_protocol on; }", 8883)
		}, "")},
	}
}

// secureHAProxy is a mosquitto with WebSocket behind an HAProxy that ends TLS as the words of its bind line say.
func secureHAProxy(words string) func(*world) []string {
	return func(w *world) []string {
		w.names(map[string][]string{host: {server4}})
		w.pair()
		w.mosquitto(webBroker)
		w.haproxy("frontend f\n mode http\n bind :443 ssl crt {dir}/pair.pem "+words+"\n default_backend b\nbackend b\n mode http\n server s 127.0.0.1:9001\n", 443)
		return []string{"wss://" + host + ":443/mqtt", "--ca", w.path("ca.crt")}
	}
}

// devices are brokers, and services that call themselves so, with rules of their own; each is a real mosquitto, most of them behind a script.
func devices() []fault {
	with := func(conf string, more ...string) func(*world) []string {
		return func(w *world) []string {
			w.mosquitto(open + conf)
			return append([]string{url4("mqtt", 1883)}, more...)
		}
	}
	drop := func(fits func(p []byte) bool) func([]byte) []byte {
		return func(p []byte) []byte {
			if fits(p) {
				return nil
			}
			return p
		}
	}
	says5 := func(on byte, code byte) func(*world) []string { // ends the connection at a packet, in version 5 with a reason
		return inFront(func(c, back net.Conn) {
			five := false
			between(c, back, nil, func(b []byte) bool {
				if b[0] == 0x10 && len(b) > 8 {
					five = b[8] == 5
				}
				if b[0]&0xF0 != on {
					return true
				}
				if five {
					_, _ = c.Write([]byte{0xE0, 2, code, 0})
				}
				return false
			})
		})
	}
	onlyID := func(id string, refuse func(net.Conn)) func(*world) []string {
		return behindScript(nil, func(c net.Conn, b []byte) bool {
			if b[0] != 0x10 || strings.Contains(string(b), id) {
				return true
			}
			refuse(c)
			return false
		}, "--id", id)
	}
	return []fault{
		{name: "healthy: the broker takes one identifier alone, and refuses the rest", make: onlyID("thermostat-7", func(c net.Conn) { _, _ = c.Write([]byte{0x20, 2, 0, 2}) })},
		{name: "healthy: the broker takes one identifier alone, and hangs up on the rest", make: onlyID("thermostat-7", func(net.Conn) {})},
		{name: "healthy: mosquitto with one message in flight, and no topic aliases", make: with("max_inflight_messages 1\nmax_topic_alias 0\nmax_queued_messages 1\n")},
		{name: "healthy: mosquitto that raises QoS and queues everything", make: with("upgrade_outgoing_qos true\nqueue_qos0_messages true\nset_tcp_nodelay true\n")},
		{name: "healthy: one topic in the access list, and it is named", make: func(w *world) []string {
			w.file("acl", "topic readwrite garden/fountain\n")
			w.mosquitto(open + "acl_file {dir}/acl\n")
			return []string{url4("mqtt", 1883), "--topic", "garden/fountain"}
		}},
		{name: "healthy: a password file with a line end of Windows", make: func(w *world) []string {
			w.passwords()
			w.mosquitto("listener 1883\nallow_anonymous false\npassword_file {dir}/passwords\n")
			return []string{url4("mqtt", 1883), "--user", user, "--password-file", w.file("password.txt", password+"\r\n")}
		}},
		{name: "healthy: user and password in the address", make: func(w *world) []string {
			w.passwords()
			w.mosquitto("listener 1883\nallow_anonymous false\npassword_file {dir}/passwords\n")
			return []string{"mqtt://" + user + ":" + password + "@" + server4 + ":1883"}
		}},

		{name: "a service that does not answer QoS 2 (as AWS IoT does)", want: cause.QoSNotSupported, make: filtered(nil, drop(func(p []byte) bool { return p[0]&0xF6 == 0x34 }))},
		{name: "a service that gives QoS 0 whatever one subscribes for", want: cause.QoSNotSupported, make: filtered(nil, func(p []byte) []byte {
			if p[0] == 0x82 {
				p[len(p)-1] &^= 3
			}
			return p
		})},
		{name: "PUBACK is never sent", want: cause.BrokerSilent, twin: cause.Overloaded, make: filtered(drop(func(p []byte) bool { return p[0]&0xF0 == 0x40 }), nil)},
		{name: "messages come three seconds late", want: cause.Overloaded, make: filtered(func(p []byte) []byte {
			if p[0]&0xF0 == 0x30 {
				time.Sleep(3 * time.Second)
			}
			return p
		}, nil)},
		{name: "a service that takes five messages and hangs up", want: cause.RateLimitOrBan, twin: cause.ConnectionLost, make: inFront(func(c, back net.Conn) {
			n := 0
			through(c, back, nil, func(p []byte) []byte {
				if p[0]&0xF0 == 0x30 {
					if n++; n > 5 {
						_ = c.Close()
						return nil
					}
				}
				return p
			})
		})},
		{name: "somebody at the broker throws the client out (0x98)", want: cause.DisconnectedByAdmin, make: says5(0x80, 0x98)},
		{name: "the broker is shut down (0x8B)", want: cause.ServerShuttingDown, make: says5(0x80, 0x8B)},
		{name: "the broker's quota of messages is used up (0x97)", want: cause.ServerFull, make: says5(0x30, 0x97)},
		{name: "messages too often, and the broker says so (0x96)", want: cause.RateLimitOrBan, make: says5(0x30, 0x96)},
		{name: "a service for publishing alone: subscriptions are refused (SUBACK 0x80)", want: cause.ACLSubscribeDenied, make: filtered(func(p []byte) []byte {
			if p[0] == 0x90 {
				p[len(p)-1] = 0x80
			}
			return p
		}, nil)},
		{name: "a service that takes QoS 0 alone, and is silent about the rest", want: cause.QoSNotSupported, make: filtered(nil, drop(func(p []byte) bool { return p[0]&0xF0 == 0x30 && p[0]&6 != 0 }))},
		{name: "retained messages are not kept, and nobody says so", want: cause.RetainNotSupported, make: filtered(nil, func(p []byte) []byte {
			if p[0]&0xF0 == 0x30 {
				p[0] &^= 1
			}
			return p
		})},
		{name: "mosquitto's own rights, and a user without a role (dynamic security)", want: cause.ACLSubscribeDenied, twin: cause.ACLPublishDenied, make: func(w *world) []string {
			w.run(serverSide, "mosquitto_ctrl", "dynsec", "init", w.path("rights.json"), "admin", "adminpw12")
			w.mosquitto("per_listener_settings false\nlistener 1883\nallow_anonymous false\nplugin /usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so\nplugin_opt_config_file {dir}/rights.json\n")
			cmd := exec.Command("ip", "netns", "exec", w.ns(serverSide), "mosquitto_ctrl", "-h", "127.0.0.1", "-u", "admin", "-P", "adminpw12", "dynsec", "createClient", user, "-p", password)
			if out, err := cmd.CombinedOutput(); err != nil {
				w.t.Fatalf("%v: %s", err, out)
			}
			return []string{url4("mqtt", 1883), "--user", user}
		}},
		{name: "mosquitto's own rights, and a user who is switched off (dynamic security)", want: cause.BadCredentials, make: func(w *world) []string {
			w.run(serverSide, "mosquitto_ctrl", "dynsec", "init", w.path("rights.json"), "admin", "adminpw12")
			w.mosquitto("listener 1883\nallow_anonymous false\nplugin /usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so\nplugin_opt_config_file {dir}/rights.json\n")
			for _, args := range [][]string{{"createClient", user, "-p", password}, {"disableClient", user}} {
				cmd := exec.Command("ip", append([]string{"netns", "exec", w.ns(serverSide), "mosquitto_ctrl", "-h", "127.0.0.1", "-u", "admin", "-P", "adminpw12", "dynsec"}, args...)...)
				if out, err := cmd.CombinedOutput(); err != nil {
					w.t.Fatalf("%v: %s", err, out)
				}
			}
			return []string{url4("mqtt", 1883), "--user", user}
		}},
		{name: "a wrong password, and whoever errs three times is shut out (fail2ban)", want: cause.BadCredentials, make: func(w *world) []string {
			w.passwords()
			w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous false\npassword_file {dir}/passwords\n")
			var wrong atomic.Int32
			w.listen(serverSide, server4+":1883", func(c net.Conn) {
				back, err := w.dial(serverSide, "127.0.0.1:1884")
				if err != nil {
					return
				}
				between(c, back, func(b []byte) bool {
					if b[0] == 0x20 && len(b) > 3 && b[3] != 0 && wrong.Add(1) == 3 {
						_, _ = c.Write(b)
						_ = exec.Command("ip", "netns", "exec", w.ns(serverSide), "iptables", "-I", "INPUT", "-s", client4, "-p", "tcp", "--dport", "1883", "-j", "DROP").Run()
						return false
					}
					return true
				}, nil)
			})
			return []string{url4("mqtt", 1883), "--user", user, "--password-file", w.file("wrong", "wrong")}
		}},
		{name: "a password of hashes that mosquitto cannot read (the file was written by hand)", want: cause.BadCredentials, make: func(w *world) []string {
			if err := os.WriteFile(w.path("passwords"), []byte(user+":$7$101$bm90IHNhbHQ=$bm90IGEgaGFzaA==\n"), 0o600); err != nil {
				w.t.Fatal(err)
			}
			w.mosquitto("listener 1883\nallow_anonymous false\npassword_file {dir}/passwords\n")
			return []string{url4("mqtt", 1883), "--user", user}
		}},
		{name: "the TCP listener lets nobody in without a name, the WebSocket does", want: cause.AnonymousRefused, make: func(w *world) []string {
			w.passwords()
			w.mosquitto("per_listener_settings true\nlistener 1883\nallow_anonymous false\npassword_file {dir}/passwords\nlistener 9001\nprotocol websockets\nallow_anonymous true\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "a NATS server on the port", want: cause.PortTaken, make: func(w *world) []string {
			w.listen(serverSide, server4+":1883", says("INFO {\"server_id\":\"NC\",\"version\":\"2.10.1\",\"go\":\"go1.21\",\"host\":\"0.0.0.0\",\"port\":4222,\"max_payload\":1048576} \r\n"))
			return []string{url4("mqtt", 1883)}
		}},
		{name: "a MySQL server on the port", want: cause.PortTaken, make: func(w *world) []string {
			w.listen(serverSide, server4+":1883", says("\x4a\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00abcdefgh\x00\xff\xff\xff\x02\x00\xff\xdf\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00ijklmnopqrst\x00mysql_native_password\x00"))
			return []string{url4("mqtt", 1883)}
		}},
		{name: "HAProxy lets in one connection at a time, and somebody has it", want: cause.MaxConnections, twin: cause.BrokerSilent, make: func(w *world) []string {
			w.mosquitto("listener 1884\nallow_anonymous true\n")
			w.haproxy("frontend f\n maxconn 1\n bind :1883\n default_backend b\nbackend b\n server s 127.0.0.1:1884\n", 1883)
			w.occupies(routerSide, server4+":1883", "early")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "HAProxy hangs up on addresses that it does not like", want: cause.RateLimitOrBan, twin: cause.MaxConnections, make: func(w *world) []string {
			w.mosquitto("listener 1884\nallow_anonymous true\n")
			w.haproxy("frontend f\n bind :1883\n tcp-request connection reject if { src "+client4+" }\n default_backend b\nbackend b\n server s 127.0.0.1:1884\n", 1883)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "HAProxy leaves addresses that it does not like hanging (silent-drop)", want: cause.BrokerSilent, make: func(w *world) []string {
			w.mosquitto("listener 1884\nallow_anonymous true\n")
			w.haproxy("frontend f\n bind :1883\n tcp-request inspect-delay 5s\n tcp-request content silent-drop if { req.len gt 0 }\n default_backend b\nbackend b\n server s 127.0.0.1:1884\n", 1883)
			return []string{url4("mqtt", 1883)}
		}},
	}
}

// filtered is a way on which single packets are changed, or dropped as if they had never come.
func filtered(toClient, toBroker func([]byte) []byte, more ...string) func(*world) []string {
	return inFront(func(c, back net.Conn) { through(c, back, toClient, toBroker) }, more...)
}

// through passes whole packets of MQTT between two connections; a function may change each, or give nil for none.
func through(a, b net.Conn, toA, toB func([]byte) []byte) {
	pass := func(from, to net.Conn, change func([]byte) []byte) {
		var rest []byte
		buf := make([]byte, 128<<10)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			rest = append(rest, buf[:n]...)
			for {
				size := packetSize(rest)
				if size == 0 || size > len(rest) {
					break
				}
				p := append([]byte(nil), rest[:size]...)
				rest = rest[size:]
				if change != nil {
					p = change(p)
				}
				if _, err := to.Write(p); err != nil {
					return
				}
			}
		}
	}
	bothWays(a, b, func() { pass(b, a, toA) }, func() { pass(a, b, toB) })
}

// packetSize is the length of the first packet of MQTT in b; 0 when its header is not whole yet.
func packetSize(b []byte) int {
	length, shift := 0, 0
	for i := 1; i < len(b) && i < 5; i++ {
		length |= int(b[i]&0x7F) << shift
		if b[i] < 0x80 {
			return 1 + i + length
		}
		shift += 7
	}
	return 0
}
