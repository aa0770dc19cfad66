//go:build linux

package lab

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"picket/cause"
)

// withKey issues a certificate for the server with a key of another kind.
func withKey(t *testing.T, kind string) *authority {
	t.Helper()
	if kind == "Ed25519" {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return sign(t, garden.get(t), k, nil)
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return sign(t, garden.get(t), k, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
}

// moreCertificates are further kinds of certificates and of TLS, with real mosquittos.
func moreCertificates() []fault {
	const day = 24 * time.Hour
	presented := func(chain func(w *world, root *authority) []*authority, url ...string) func(*world) []string {
		return func(w *world) []string {
			w.certificates("server", chain(w, garden.get(w.t))...)
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			args := w.byName("mqtts", 8883, "")
			return append(url, args[len(url):]...)
		}
	}
	one := func(change func(*x509.Certificate)) func(*world, *authority) []*authority {
		return func(w *world, root *authority) []*authority { return []*authority{issue(w.t, root, change)} }
	}
	chain := func(change func(*x509.Certificate)) func(w *world, root *authority) []*authority {
		return func(w *world, root *authority) []*authority {
			between := sign(w.t, root, authorityKey(w.t), func(c *x509.Certificate) {
				c.Subject.CommonName, c.DNSNames, c.IPAddresses, c.ExtKeyUsage = "Garden Intermediate", nil, nil, nil
				c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
				if change != nil {
					change(c)
				}
			})
			return []*authority{issue(w.t, between, nil), between}
		}
	}
	client := func(change func(*x509.Certificate), more string) func(*world) []string {
		return func(w *world) []string {
			w.certificates("client", issue(w.t, garden.get(w.t), func(c *x509.Certificate) { forClients(c); change(c) }))
			return append(mutual(w, more), "--cert", w.path("client.crt"), "--key", w.path("client.key"))
		}
	}
	return []fault{
		{name: "healthy: a certificate with a key of ECDSA", make: presented(func(w *world, _ *authority) []*authority { return []*authority{withKey(w.t, "ECDSA")} })},
		{name: "healthy: a certificate with a key of Ed25519", make: presented(func(w *world, _ *authority) []*authority { return []*authority{withKey(w.t, "Ed25519")} })},
		{name: "healthy: a certificate for every name of the domain", make: presented(one(func(c *x509.Certificate) { c.DNSNames = []string{"*.test"} }))},
		{name: "healthy: a chain of three", make: presented(chain(nil))},
		{name: "healthy: TLS 1.3 alone", make: func(w *world) []string {
			w.good()
			w.mosquitto("listener 8883\nallow_anonymous true\ntls_version tlsv1.3\n" + secured)
			return w.byName("mqtts", 8883, "")
		}},
		{name: "healthy: the address is in the certificate", make: func(w *world) []string {
			w.good()
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			return []string{url4("mqtts", 8883), "--ca", w.path("ca.crt")}
		}},
		{name: "a certificate for every name of the domain, and a name below one", want: cause.TLSNameMismatch, make: func(w *world) []string {
			w.certificates("server", issue(w.t, garden.get(w.t), func(c *x509.Certificate) { c.DNSNames = []string{"*.test"} }))
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			w.names(map[string][]string{"a." + host: {server4}})
			return []string{"mqtts://a." + host, "--ca", w.path("ca.crt")}
		}},
		{name: "a certificate for localhost", want: cause.TLSNameMismatch, make: presented(one(func(c *x509.Certificate) {
			c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
		}))},
		{name: "a certificate for the inner address, and the outer one is used", want: cause.TLSNameMismatch, make: func(w *world) []string {
			w.certificates("server", issue(w.t, garden.get(w.t), func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 5)} }))
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			return []string{url4("mqtts", 8883), "--ca", w.path("ca.crt")}
		}},
		{name: "the intermediate certificate has expired", want: cause.TLSExpired, make: presented(chain(dated(-90*day, -3*day)))},
		{name: "the intermediate certificate is no authority", want: cause.TLSUnknownCA, make: presented(chain(func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature }))},
		{name: "the authority itself has expired", want: cause.TLSExpired, make: func(w *world) []string {
			old := sign(w.t, nil, authorityKey(w.t), func(c *x509.Certificate) {
				c.Subject.CommonName, c.DNSNames, c.IPAddresses, c.ExtKeyUsage = "Old Garden Root", nil, nil, nil
				c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
				dated(-400*day, -2*day)(c)
			})
			w.certificates("server", issue(w.t, old, nil))
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			w.names(map[string][]string{host: {server4}})
			return []string{"mqtts://" + host, "--ca", w.file("old.crt", pemOf(old))}
		}},
		{name: "the certificate has expired today", want: cause.TLSExpired, make: presented(one(dated(-90*day, -2*time.Hour)))},
		{name: "the server's clock is 20 days behind", want: cause.TLSNotYetValid, make: presented(one(dated(20*day, 60*day)))},
		{name: "a WebSocket with an expired certificate", want: cause.TLSExpired, make: func(w *world) []string {
			w.certificates("server", issue(w.t, garden.get(w.t), dated(-90*day, -3*day)))
			w.mosquitto(webBroker + secured)
			return w.byName("wss", 9001, "/mqtt")
		}},
		{name: "the client's clock is 100 days behind", want: cause.ClockSkew, make: func(w *world) []string {
			cert := issue(w.t, garden.get(w.t), dated(50*day, 190*day))
			w.certificates("server", cert)
			w.web(":443", answers(http.StatusNotFound, "", "Date", time.Now().Add(100*day).UTC().Format(http.TimeFormat)), serverConfig(cert))
			return w.byName("wss", 443, "/mqtt")
		}},
		{name: "the client certificate is for servers", want: cause.ClientCertRefused, make: client(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, "")},
		{name: "the client certificate is not valid yet", want: cause.ClientCertRefused, make: client(dated(2*day, 90*day), "")},
		{name: "mosquitto: the list of revoked certificates has run out", want: cause.ClientCertRefused, make: func(w *world) []string {
			w.file("revoked.pem", revokedAt(w.t, garden.get(w.t), -48*time.Hour))
			return client(func(*x509.Certificate) {}, "crlfile {dir}/revoked.pem\n")(w)
		}},
		{name: "a WebSocket, and a client certificate is demanded", want: cause.ClientCertRequired, make: func(w *world) []string {
			w.good()
			w.mosquitto(webBroker + "cafile {dir}/ca.crt\nrequire_certificate true\n" + secured)
			return w.byName("wss", 9001, "/mqtt")
		}},
		{name: "mosquitto: pre-shared keys alone", want: cause.TLSCiphers, make: func(w *world) []string {
			w.file("psk", "fountain:00112233445566778899aabbccddeeff\n")
			w.certificates("server", issue(w.t, garden.get(w.t), nil))
			w.mosquitto("listener 8883\nallow_anonymous true\npsk_hint garden\npsk_file {dir}/psk\n")
			return w.byName("mqtts", 8883, "")
		}},
		{name: "mosquitto: cipher suites that few clients have", want: cause.TLSCiphers, make: func(w *world) []string {
			w.good()
			w.mosquittoWith("listener 8883\nallow_anonymous true\nciphers DHE-RSA-AES256-GCM-SHA384\n"+secured, "openssl_conf = lab\n[lab]\nssl_conf = modules\n[modules]\nsystem_default = defaults\n[defaults]\nMaxProtocol = TLSv1.2\n")
			return w.byName("mqtts", 8883, "")
		}},
		{name: "TLS 1.0 alone, WebSocket", want: cause.TLSVersion, make: func(w *world) []string {
			w.good()
			w.mosquittoWith(webBroker+secured, "openssl_conf = lab\n[lab]\nssl_conf = modules\n[modules]\nsystem_default = defaults\n[defaults]\nMinProtocol = TLSv1\nMaxProtocol = TLSv1\nCipherString = DEFAULT@SECLEVEL=0\n")
			return w.byName("wss", 9001, "/mqtt")
		}},
		{name: "somebody on the way puts a certificate of his own before TLS", want: cause.TLSUnknownCA, make: func(w *world) []string {
			w.good()
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			w.listenTLS(routerSide, ":8443", serverConfig(issue(w.t, stranger.get(w.t), nil)), server4+":8883")
			w.nft(routerSide, "table ip lab {\n chain lab {\n  type nat hook prerouting priority -100;\n  iifname lan tcp dport 8883 redirect to :8443\n }\n}\n")
			w.names(map[string][]string{host: {server4}})
			return []string{"mqtts://" + host, "--ca", w.path("ca.crt")}
		}},
	}
}

// listenTLS ends TLS on a machine and passes what is inside on with TLS of its own, as firewalls do that look into it.
func (w *world) listenTLS(machine, address string, config *tls.Config, to string) {
	w.listen(machine, address, func(c net.Conn) {
		secure := tls.Server(c, config)
		if secure.Handshake() != nil {
			return
		}
		back, err := w.dial(machine, to)
		if err != nil {
			return
		}
		between(secure, tls.Client(back, &tls.Config{InsecureSkipVerify: true}), nil, nil)
	})
}

// packets looks at the first byte of each packet of MQTT in a stream of short ones: what a proxy passes on at a time may be several.
func packets(passes func(head byte) bool) func(net.Conn, []byte) bool {
	return func(_ net.Conn, b []byte) bool {
		for len(b) >= 2 && b[1] < 0x80 {
			if !passes(b[0]) {
				return false
			}
			b = b[min(len(b), 2+int(b[1])):]
		}
		return true
	}
}

// moreBrokers are further ways of brokers to refuse, to hang and to bound.
func moreBrokers() []fault {
	with := func(conf string, more ...string) func(*world) []string {
		return func(w *world) []string {
			w.mosquitto(open + conf)
			return append([]string{url4("mqtt", 1883)}, more...)
		}
	}
	withPicket := func(conf string, more ...string) func(*world) []string {
		return func(w *world) []string { w.picket(open + conf); return append([]string{url4("mqtt", 1883)}, more...) }
	}
	// version refuses CONNECT of a protocol level, with a return code or by hanging up.
	version := func(level byte, answer []byte) func(net.Conn, []byte) bool {
		return func(c net.Conn, b []byte) bool {
			if len(b) > 8 && b[0] == 0x10 && b[8] == level && bytes.Equal(b[4:8], []byte("MQTT")) {
				_, _ = c.Write(answer)
				return false
			}
			return true
		}
	}
	acl := func(rules string, more ...string) func(*world) []string {
		return func(w *world) []string {
			w.file("acl", rules)
			w.mosquitto(open + "acl_file {dir}/acl\n")
			return append([]string{url4("mqtt", 1883)}, more...)
		}
	}
	user1 := func(name string) func(*world) []string {
		return func(w *world) []string {
			w.passwords()
			w.mosquitto("listener 1883\nallow_anonymous false\npassword_file {dir}/passwords\n")
			return []string{url4("mqtt", 1883), "--user", name}
		}
	}
	return []fault{
		{name: "healthy: topics with a slash in front", make: with("", "--topic", "/garden/fountain")},
		{name: "healthy: mosquitto with a mount point", make: with("mount_point garden/\n")},
		{name: "healthy: Picket with a certificate, IPv6", make: func(w *world) []string {
			w.good()
			w.picket("listener 8883\nallow_anonymous true\n" + secured)
			w.names(map[string][]string{host: {server6}})
			return []string{"mqtts://" + host, "--ca", w.path("ca.crt")}
		}},
		{name: "MQTT 5 is refused", want: cause.ProtocolVersion, make: behindScript(nil, version(5, []byte{0x20, 2, 0, 1}))},
		{name: "MQTT 5 is hung up on", want: cause.ProtocolVersion, make: behindScript(nil, version(5, nil))},
		{name: "MQTT 3.1.1 is refused", want: cause.ProtocolVersion, make: behindScript(nil, version(4, []byte{0x20, 2, 0, 1}))},
		{name: "QoS 2 is hung up on", want: cause.QoSNotSupported, make: behindScript(nil, packets(func(head byte) bool { return head&0xF6 != 0x34 }))},
		{name: "retained messages are hung up on", want: cause.RetainNotSupported, make: behindScript(nil, packets(func(head byte) bool { return head&0xF1 != 0x31 }))},
		{name: "subscriptions are hung up on", want: cause.ACLSubscribeDenied, make: behindScript(nil, packets(func(head byte) bool { return head != 0x82 }))},
		{name: "publishing is hung up on", want: cause.ACLPublishDenied, make: behindScript(nil, packets(func(head byte) bool { return head&0xF0 != 0x30 }))},
		{name: "the login takes three seconds, and the rest none", want: cause.AuthBackendDown, make: behindScript(func(_ net.Conn, b []byte) bool {
			if b[0] == 0x20 {
				time.Sleep(3 * time.Second)
			}
			return true
		}, nil)},
		{name: "whoever is let in is thrown out at once", want: cause.ConnectionLost, make: behindScript(func(c net.Conn, b []byte) bool {
			if b[0] == 0x20 {
				_, _ = c.Write(b)
				return false
			}
			return true
		}, nil)},
		{name: "mosquitto hangs, with TLS", want: cause.BrokerSilent, make: func(w *world) []string {
			w.good()
			stop(w, w.mosquitto("listener 8883\nallow_anonymous true\n"+secured).pid)
			return w.byName("mqtts", 8883, "")
		}},
		{name: "mosquitto hangs, WebSocket", want: cause.BrokerSilent, make: func(w *world) []string {
			stop(w, w.mosquitto(webBroker).pid)
			return []string{url4("ws", 9001) + "/mqtt"}
		}},
		{name: "Picket hangs", want: cause.BrokerSilent, make: func(w *world) []string { stop(w, w.picket(open).pid); return []string{url4("mqtt", 1883)} }},
		{name: "a user name with a space at its end", want: cause.BadCredentials, make: user1(user + " ")},
		{name: "a user name in capital letters", want: cause.BadCredentials, make: user1("PICKET")},
		{name: "mosquitto: no anonymous clients and no password file", want: cause.AnonymousRefused, make: func(w *world) []string {
			w.mosquitto("listener 1883\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "mosquitto: a user, and there is no password file", want: cause.BadCredentials, make: func(w *world) []string {
			w.mosquitto("listener 1883\n")
			return []string{url4("mqtt", 1883), "--user", user}
		}},
		{name: "healthy: mosquitto with a longest keep alive", make: with("max_keepalive 30\n")},
		{name: "mosquitto: QoS 0 alone", want: cause.QoSNotSupported, make: with("max_qos 0\n")},
		{name: "Picket: QoS 0 alone", want: cause.QoSNotSupported, make: withPicket("max_qos 0\n")},
		{name: "mosquitto: the topic is forbidden to all (deny)", want: cause.ACLPublishDenied, make: acl("topic readwrite #\ntopic deny garden/#\n", "--topic", "garden/fountain")},
		{name: "mosquitto: rules for another user alone", want: cause.ACLPublishDenied, make: acl("user ada\ntopic readwrite #\n")},
		{name: "mosquitto: a topic in other letters", want: cause.ACLPublishDenied, make: acl("topic readwrite Garden/#\n", "--topic", "garden/fountain")},
		{name: "mosquitto: nobody may publish to $SYS", want: cause.SysReadOnly, make: with("", "--topic", "$SYS/garden")},
		{name: "Picket: nobody may publish to $SYS", want: cause.SysReadOnly, make: withPicket("", "--topic", "$SYS/garden")},
		{name: "Picket: payloads are bounded", want: cause.PayloadTooLarge, twin: cause.PacketTooLarge, make: withPicket("message_size_limit 2000\n")},
		{name: "Picket's TLS port on mosquitto's client: WebSocket without TLS", want: cause.PlainToTLSPort, make: func(w *world) []string {
			w.good()
			w.picket(webBroker + secured)
			return []string{url4("ws", 9001) + "/mqtt"}
		}},
		{name: "AMQP on the port", want: cause.PortTaken, make: func(w *world) []string {
			w.listen(serverSide, server4+":1883", func(c net.Conn) {
				_, _ = c.Read(make([]byte, 8))
				_, _ = io.WriteString(c, "AMQP\x00\x00\x09\x01")
			})
			return []string{url4("mqtt", 1883)}
		}},
		{name: "a mail server on the port", want: cause.PortTaken, make: func(w *world) []string {
			w.listen(serverSide, server4+":1883", says("220 mail.test ESMTP\r\n"))
			return []string{url4("mqtt", 1883)}
		}},
		{name: "HTTPS on the port", want: cause.PortTaken, make: func(w *world) []string {
			w.good()
			w.web(":8883", answers(http.StatusOK, "<html>"), serverConfig(issue(w.t, garden.get(w.t), nil)))
			return w.byName("mqtts", 8883, "")
		}},
		{name: "a name server on the port", want: cause.PortTaken, twin: cause.BrokerSilent, make: func(w *world) []string {
			w.start(serverSide, []int{1883}, "dnsmasq", "-k", "-h", "-R", "-C", w.file("dns.conf", "user=root\nport=1883\nlisten-address="+server4+"\nbind-interfaces\n"))
			return []string{url4("mqtt", 1883)}
		}},
		{name: "Redis with a password on the port", want: cause.PortTaken, make: func(w *world) []string {
			w.start(serverSide, []int{1883}, "redis-server", "--port", "1883", "--bind", server4, "--requirepass", "x", "--save", "", "--dir", w.dir)
			return []string{url4("mqtt", 1883)}
		}},
	}
}

// moreNames are further answers of name servers, and what is typed in.
func moreNames() []fault {
	dns := func(conf string, more ...string) func(*world) []string {
		return func(w *world) []string {
			w.dnsmasq(conf)
			w.mosquitto(open)
			return append([]string{"mqtt://" + host}, more...)
		}
	}
	typed := func(format string) func(*world) []string {
		return func(w *world) []string { w.mosquitto(open); return []string{fmt.Sprintf(format, server4)} }
	}
	return []fault{
		{name: "healthy: dnsmasq, an alias", make: dns("cname=" + host + ",other.test\naddress=/other.test/" + server4 + "\nhost-record=other.test," + server4 + "\n")},
		{name: "healthy: a name with a dot at its end", make: func(w *world) []string {
			w.names(map[string][]string{host: {server4}})
			w.mosquitto(open)
			return []string{"mqtt://" + host + "."}
		}},
		{name: "healthy: two name servers, the second of which is dead", make: func(w *world) []string {
			w.names(map[string][]string{host: {server4}})
			w.resolver("nameserver " + gateway4 + "\nnameserver 192.168.7.99\n")
			w.mosquitto(open)
			return []string{"mqtt://" + host}
		}},
		{name: "dnsmasq: the name does not exist", want: cause.DNSMissingOrStale, make: dns("local=/test/\n")},
		{name: "a name server that sends the name to the client's own machine", want: cause.DNSMissingOrStale, make: dns("address=/" + host + "/127.0.0.1\n")},
		{name: "a name server that keeps the name away (::)", want: cause.DNSMissingOrStale, make: dns("address=/" + host + "/::\naddress=/" + host + "/0.0.0.0\n")},
		{name: "an alias that leads nowhere", want: cause.DNSMissingOrStale, make: dns("local=/test/\ncname=" + host + ",gone.test\n")},
		{name: "a name for the inside, looked up from outside", want: cause.PrivateIPUsed, make: func(w *world) []string {
			w.batch(routerSide, "route add blackhole 10.0.0.0/8\n")
			return dns("address=/" + host + "/10.20.0.5\n")(w)
		}},
		{name: "the hosts file sends the name to the client's own machine", want: cause.DNSMissingOrStale, make: func(w *world) []string {
			w.names(map[string][]string{host: {server4}})
			w.hosts("127.0.0.1 " + host)
			w.mosquitto(open)
			return []string{"mqtt://" + host}
		}},
		{name: "a name that is valid in its own network alone (.local)", want: cause.DNSMissingOrStale, make: func(w *world) []string {
			w.names(nil)
			return []string{"mqtt://broker.local"}
		}},
		{name: "a name of one word", want: cause.DNSMissingOrStale, make: func(w *world) []string {
			w.names(nil)
			return []string{"mqtt://mosquitto"}
		}},
		{name: "the name leads to Cloudflare, and the port of TLS is not passed on", want: cause.CDNProxiedDNS, make: func(w *world) []string {
			w.names(map[string][]string{host: {"104.16.1.1"}})
			w.batch(serverSide, "addr add 104.16.1.1/32 dev eth0\n")
			w.batch(routerSide, "route add 104.16.1.1 dev wan\n")
			w.filter(serverSide, "ip daddr 104.16.1.1 tcp dport != { 80, 443 } drop")
			return []string{"mqtts://" + host}
		}},
		{name: "an address for every machine of a network (broadcast)", want: cause.AppFormMistake, make: func(*world) []string { return []string{"mqtt://255.255.255.255"} }},
		{name: "an address for a group (multicast)", want: cause.AppFormMistake, make: func(*world) []string { return []string{"mqtt://224.0.0.251"} }},
		{name: "an address of a network that hands out none (169.254)", want: cause.PrivateIPUsed, make: func(*world) []string { return []string{"mqtt://169.254.10.20"} }},
		{name: "an address with a space before it", want: cause.AppFormMistake, make: typed(" mqtt://%s")},
		{name: "an address with full-width digits and dots", want: cause.AppFormMistake, make: func(w *world) []string { w.mosquitto(open); return []string{"203。0。113。10"} }},
		{name: "an address with https:// before it, to a plain WebSocket", want: cause.TLSToPlainPort, make: func(w *world) []string {
			w.mosquitto(webBroker)
			return []string{fmt.Sprintf("https://%s:9001/mqtt", server4)}
		}},
	}
}
