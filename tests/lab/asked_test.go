//go:build linux

package lab

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"picket/cause"
)

// asked are faults that people ask strangers about: their brokers' settings, what they put in front of them, their devices and their networks. They were
// thought up before the rules for them were tried.
func asked() []fault {
	return append(askedOfServers(), askedOfClients()...)
}

// ownFiles lets the broker's own user read the password file and write the log.
func ownFiles(w *world) {
	w.letIn()
	_ = os.Chmod(w.path("passwords"), 0o644)         //nolint:gosec // for the broker's user
	_ = os.Chmod(w.file("mosquitto.log", ""), 0o666) //nolint:gosec // as if it were the broker's own
}

// askedOfServers are seen on the server itself.
func askedOfServers() []fault {
	keyed := func(change func(*world)) func(*world) {
		return func(w *world) { w.good(); change(w) }
	}
	openssl := func(w *world, args ...string) {
		if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
			w.t.Fatalf("openssl %v: %v: %s", args, err, out)
		}
	}
	return []fault{
		running("", "", "a bridge to another broker, which is there", guarded+"connection cloud\naddress 127.0.0.1:1884\ntopic # out 0\n", func(w *world) {
			w.start(serverSide, []int{1884}, "mosquitto", "-c", w.file("second.conf", "user root\nlistener 1884 127.0.0.1\nallow_anonymous true\n"))
		}),
		running("", "", "an IPv6 listener beside the IPv4 one, and firewalld lets the port in", guarded, func(w *world) {
			w.nft(serverSide, "table inet firewalld {\n chain filter_INPUT {\n type filter hook input priority filter + 10; policy accept;\n ct state { established, related } accept\n iifname \"lo\" accept\n jump filter_INPUT_ZONES\n reject with icmpx admin-prohibited\n }\n chain filter_INPUT_ZONES {\n goto filter_IN_public\n }\n chain filter_IN_public {\n jump filter_IN_public_allow\n meta l4proto { icmp, ipv6-icmp } accept\n }\n chain filter_IN_public_allow {\n tcp dport 22 accept\n tcp dport 1883 accept\n }\n}\n")
		}),

		broken(cause.ConfigErrorExit, "", "the folder for the pid file is not there", "pid_file {dir}/run/mosquitto.pid\n"+guarded, nil),
		broken(cause.ConfigInvalidValue, "", "one directive stands in both files", "persistence_location {dir}/\npersistence_location {dir}/\n"+guarded, nil),
		broken(cause.ConfigInvalidValue, "", "websocket in place of websockets", guarded+"listener 9001\nprotocol websocket\n", nil),
		broken(cause.ConfigInvalidValue, "", "yes in place of true", "listener 1883\nallow_anonymous yes\n", nil),
		broken(cause.ConfigUnreadable, "", "the name of the password file in quotation marks", "listener 1883\nallow_anonymous false\npassword_file \"{dir}/passwords\"\n", nil),
		broken(cause.ConfigInvalidValue, "", "the access list has a word that does not exist", guarded+"acl_file {dir}/acl\n", func(w *world) {
			w.file("acl", "user picket\ntopic readwrit home/#\n")
		}),
		broken(cause.ConfigUnreadable, "", "the access list can be read by root alone", "user mosquitto\n"+guarded+"acl_file {dir}/acl\n", func(w *world) {
			ownFiles(w)
			w.file("acl", "user picket\ntopic readwrite #\n")
		}),
		broken(cause.ConfigUnreadable, "", "a plugin that was never installed", guarded+"auth_plugin /usr/lib/mosquitto/go-auth.so\n", nil),
		broken(cause.KeyUnreadable, "", "the key has a passphrase, and nobody is there to type it", secret, keyed(func(w *world) {
			openssl(w, "pkcs8", "-topk8", "-in", w.path("server.key"), "-out", w.path("locked.key"), "-passout", "pass:sesame")
			if err := os.Rename(w.path("locked.key"), w.path("server.key")); err != nil {
				w.t.Fatal(err)
			}
		})),
		broken(cause.KeyUnreadable, "", "certificate and key in each other's place", "listener 8883\nallow_anonymous false\npassword_file {dir}/passwords\ncertfile {dir}/server.key\nkeyfile {dir}/server.crt\n", (*world).good),
		broken(cause.KeyUnreadable, "", "the certificate in DER, as the shop sent it", secret, keyed(func(w *world) {
			openssl(w, "x509", "-in", w.path("server.crt"), "-outform", "DER", "-out", w.path("server.crt"))
		})),

		{name: "on the server: the password file has the passwords as they are", on: serverSide, want: cause.BadCredentials, make: func(w *world) []string {
			w.file("users", "picket:"+password+"\n")
			args := w.settings("listener 1883\nallow_anonymous false\npassword_file {dir}/users\n")
			w.runs(1883)
			return args
		}},
		running(cause.LoopbackOnly, "", "bind_address is the machine itself", "bind_address 127.0.0.1\nport 1883\nallow_anonymous false\npassword_file {dir}/passwords\n", nil),
		running(cause.BadCredentials, "", "a device comes without a name", guarded, func(w *world) {
			w.comes(clientSide, "-h", server4, "-t", "a", "-i", "esp8266")
			w.logged("not authorised", 3)
		}),
		running(cause.PacketTooLarge, "", "a camera sends more than max_packet_size", "max_packet_size 2000\n"+guarded, func(w *world) {
			w.file("picture", strings.Repeat("x", 5000))
			w.start(clientSide, nil, "sh", "-c", `while :; do timeout 20 "$@"; sleep 1; done`, "sh", "mosquitto_pub", "-h", server4, "-u", user, "-P", password, "-t", "camera", "-f", w.path("picture"), "-i", "camera")
			w.logged("oversize packet", 2)
		}),
		running(cause.HostFirewallDrop, "", "UDP is let in, and TCP is not", guarded, func(w *world) {
			w.tables(serverSide, "iptables", "-P INPUT DROP", "-A INPUT -i lo -j ACCEPT", "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-A INPUT -p tcp --dport 22 -j ACCEPT", "-A INPUT -p udp --dport 1883 -j ACCEPT")
		}),
		running(cause.HostFirewallReject, "", "the port is let in below the line that rejects everything (Oracle)", guarded, func(w *world) {
			w.tables(serverSide, "iptables", "-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT", "-A INPUT -p icmp -j ACCEPT", "-A INPUT -i lo -j ACCEPT", "-A INPUT -p tcp -m state --state NEW --dport 22 -j ACCEPT", "-A INPUT -j REJECT --reject-with icmp-host-prohibited", "-A INPUT -p tcp --dport 1883 -j ACCEPT")
		}),
		running(cause.HostFirewallReject, "", "firewalld's zone has the service mqtt-tls alone", guarded, func(w *world) {
			w.nft(serverSide, "table inet firewalld {\n chain filter_INPUT {\n type filter hook input priority filter + 10; policy accept;\n ct state { established, related } accept\n iifname \"lo\" accept\n jump filter_INPUT_ZONES\n reject with icmpx admin-prohibited\n }\n chain filter_INPUT_ZONES {\n goto filter_IN_public\n }\n chain filter_IN_public {\n jump filter_IN_public_allow\n meta l4proto { icmp, ipv6-icmp } accept\n }\n chain filter_IN_public_allow {\n tcp dport 22 accept\n tcp dport 8883 accept\n }\n}\n")
		}),
		running(cause.HostFirewallDrop, "", "the port is let in from the Wi-Fi alone, and clients come by cable", guarded, func(w *world) {
			w.tables(serverSide, "iptables", "-P INPUT DROP", "-A INPUT -i lo -j ACCEPT", "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-A INPUT -p tcp --dport 22 -j ACCEPT", "-A INPUT -i wlan0 -p tcp --dport 1883 -j ACCEPT")
		}),
		{name: "on the server: its name has an IPv6 address, and the broker listens to IPv4 alone", on: serverSide, want: cause.IPv4OnlyListener, make: func(w *world) []string {
			w.passwords()
			args := w.settings("listener 1883 0.0.0.0\nallow_anonymous false\npassword_file {dir}/passwords\n")
			w.runs(1883)
			w.names(map[string][]string{host: {server4, server6}})
			w.batch(routerSide, "addr add "+gateway4+"/32 dev wan\n")
			w.copyNames(serverSide)
			return append(args, "--name", host)
		}},
		running(cause.TLSWithoutCertificate, "", "port 8883 without certificates, and devices come with TLS", "listener 8883\nallow_anonymous false\npassword_file {dir}/passwords\n", func(w *world) {
			w.file("other.crt", pemOf(garden.get(w.t)))
			w.comes(clientSide, "-h", server4, "-p", "8883", "-t", "a", "--cafile", w.path("other.crt"))
			w.logged("protocol error", 3)
		}),
		running(cause.BridgeUnreachable, "", "a bridge to a broker that is not there", guarded+"connection cloud\naddress 127.0.0.1:1884\ntopic # out 0\nrestart_timeout 1 2\n", func(w *world) { w.logged("Connecting bridge (step 1)", 4) }),
		{name: "on the server: the certificate was renewed, and the broker serves the old one", on: serverSide, want: cause.ConfigNotLoaded, make: func(w *world) []string {
			w.passwords()
			w.certificates("server", issue(w.t, garden.get(w.t), dated(-88*24*3600e9, 2*24*3600e9)))
			args := w.settings(secret)
			w.runs(8883)
			time.Sleep(2 * time.Second) // the times of files are told apart by seconds
			w.good()
			return args
		}},
		running(cause.AddressConflict, "", "another machine of the network has its address", guarded, func(w *world) {
			w.batch(routerSide, "link add br0 type bridge\nlink set wan master br0\naddr flush dev wan\nlink set br0 up\naddr add "+outside4+"/24 dev br0\nlink add twin type veth peer name eth1 netns "+w.ns(clientSide)+"\nlink set twin master br0\nlink set twin up\n")
			w.batch(clientSide, "link set eth1 up\naddr add "+server4+"/24 dev eth1\n")
		}),
		{name: "on the server: Picket is being maintained", on: serverSide, want: cause.Maintenance, make: func(w *world) []string {
			w.passwords()
			w.picket(guarded)
			w.run(serverSide, binary, "ctl", "maintenance", "on", "--socket", w.path("admin.sock"))
			return []string{"--server", "-c", w.path("picket.conf")}
		}},
	}
}

// copyNames has a machine ask the client's name server.
func (w *world) copyNames(machine string) {
	w.t.Helper()
	if err := os.CopyFS("/etc/netns/"+w.ns(machine), os.DirFS("/etc/netns/"+w.ns(clientSide))); err != nil {
		w.t.Fatal(err)
	}
}

// askedOfClients are seen from a client.
func askedOfClients() []fault {
	web := func(site string) func(*world) []string {
		return func(w *world) []string {
			w.mosquitto(webBroker)
			w.caddy("http://:80 {\n"+site+"\n}\n", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}
	}
	refuses := func(code4, code5 byte, more ...string) func(*world) []string {
		return behindScript(nil, func(c net.Conn, b []byte) bool {
			if b[0] != 0x10 || len(b) < 9 {
				return true
			}
			if b[8] == 5 {
				_, _ = c.Write([]byte{0x20, 3, 0, code5, 0})
			} else {
				_, _ = c.Write([]byte{0x20, 2, 0, code4})
			}
			return false
		}, more...)
	}
	return []fault{
		{name: "healthy: an old root that has expired is sent as well (a cross-signature)", make: func(w *world) []string {
			old := ca(w.t, nil, "Old Root X3")
			inner := ca(w.t, garden.get(w.t), "Garden R3")
			root := garden.get(w.t)
			cross := sign(w.t, old, root.key, func(c *x509.Certificate) {
				c.Subject, c.DNSNames, c.IPAddresses, c.ExtKeyUsage = root.cert.Subject, nil, nil, nil
				c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
				dated(-1000*time.Hour, -500*time.Hour)(c)
			})
			w.certificates("server", issue(w.t, inner, nil), inner, cross)
			w.file("ca.crt", pemOf(root))
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			return w.byName("mqtts", 8883, "")
		}},
		{name: "healthy: Caddy strips the path (handle_path)", make: web("handle_path /mqtt* {\n reverse_proxy 127.0.0.1:9001\n }")},
		{name: "healthy: a broker that wants clients to be heard every ten seconds (server keep alive)", make: func(w *world) []string {
			w.mosquitto(open + "max_keepalive 10\n")
			return append([]string{url4("mqtt", 1883)}, "--keep-alive", "10")
		}},
		{name: "healthy: HAProxy leads WebSocket one way and web pages another", make: func(w *world) []string {
			w.mosquitto(webBroker)
			w.haproxy("frontend f\n mode http\n bind :80\n acl ws hdr(Upgrade) -i websocket\n use_backend b if ws\n default_backend w\nbackend b\n mode http\n server s 127.0.0.1:9001\nbackend w\n mode http\n http-request return status 200 content-type text/html string <html></html>\n", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}},
		{name: "healthy: names of one word, found by the network's own ending", make: func(w *world) []string {
			w.names(map[string][]string{"broker.home.test": {server4}})
			w.resolver("search home.test\nnameserver " + gateway4 + "\n")
			w.mosquitto(open)
			return []string{"mqtt://broker"}
		}},

		{name: "two digits of the own network's address exchanged (129.168)", want: cause.AppFormMistake, make: func(w *world) []string {
			w.batch(routerSide, "route add 129.168.0.0/16 dev wan\n")
			w.tables(routerSide, "iptables", "-A FORWARD -d 129.168.0.0/16 -j DROP")
			w.mosquitto(open)
			return []string{"mqtt://129.168.7.10:1883"}
		}},
		{name: "the emulator's address for its own machine (10.0.2.2)", want: cause.PrivateIPUsed, make: func(w *world) []string {
			w.batch(routerSide, "route add 10.0.0.0/8 dev wan\n")
			w.tables(routerSide, "iptables", "-A FORWARD -d 10.0.0.0/8 -j DROP")
			return []string{"mqtt://10.0.2.2:1883"}
		}},
		{name: "a name that Docker alone knows (host.docker.internal)", want: cause.DNSMissingOrStale, make: func(w *world) []string {
			w.names(map[string][]string{})
			return []string{"mqtt://host.docker.internal"}
		}},
		{name: "plain MQTT to a WebSocket port with TLS", want: cause.PlainToTLSPort, make: func(w *world) []string {
			w.good()
			w.mosquitto("listener 8084\nprotocol websockets\nallow_anonymous true\n" + secured)
			return []string{url4("mqtt", 8084)}
		}},
		{name: "plain MQTT to nginx' port of HTTPS", want: cause.PlainToTLSPort, make: func(w *world) []string {
			w.pair()
			w.nginx("ssl_certificate {dir}/server.crt; ssl_certificate_key {dir}/server.key;\nserver { listen 443 ssl; location / { return 404; } }", 443)
			return []string{url4("mqtt", 443)}
		}},
		{name: "nginx hands TCP on to a machine that is off (stream)", want: cause.BrokerNotRunning, make: func(w *world) []string {
			w.stream("server { listen 1883; proxy_pass 203.0.113.77:1883; }", 1883)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "HAProxy hands TCP on to a machine that is off", want: cause.BrokerNotRunning, make: func(w *world) []string {
			w.haproxy("frontend f\n bind :1883\n default_backend b\nbackend b\n server s 203.0.113.77:1883\n", 1883)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "Caddy asks the broker in TLS, which has none", want: cause.BrokerNotRunning, make: web("reverse_proxy https://127.0.0.1:9001")},
		{name: "Caddy asks the broker in HTTP/2", want: cause.BrokerNotRunning, make: web("reverse_proxy h2c://127.0.0.1:9001")},
		{name: "Caddy moves everybody to https", want: cause.PlainToTLSPort, make: web("redir https://{host}{uri}")},
		{name: "Caddy hands a WebSocket on to mosquitto's plain port", want: cause.BrokerNotRunning, twin: cause.WSToTCPPort, make: func(w *world) []string {
			w.mosquitto(open)
			w.caddy("http://:80 {\n reverse_proxy 127.0.0.1:1883\n}\n", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}},
		{name: "Caddy waits for a broker that hangs", want: cause.BrokerSilent, twin: cause.BrokerNotRunning, make: func(w *world) []string {
			stop(w, w.mosquitto(webBroker).pid)
			w.caddy("http://:80 {\n reverse_proxy 127.0.0.1:9001\n}\n", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}},
		{name: "ActiveMQ's own protocol on the port", want: cause.PortTaken, make: speaks("\x00\x00\x01\x3e\x01ActiveMQ\x00\x00\x00\x0c\x01\x00\x00\x01\x2c\x09\x00\x15TcpNoDelayEnabled\x01\x01")},
		{name: "a MongoDB that wants its own protocol (answers HTTP with words)", want: cause.PortTaken, make: func(w *world) []string {
			w.web(server4+":1883", answers(http.StatusOK, "It looks like you are trying to access MongoDB over HTTP on the native driver port.\n"), nil)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "healthy: mosquitto: a keep alive above the limit that it tells clients of MQTT 5, in MQTT 3.1.1", make: func(w *world) []string {
			w.mosquitto(open + "max_keepalive 20\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "a cloud that wants a client identifier of its own form", want: cause.ClientIDRefused, make: refuses(2, 0x85)},
		{name: "a cloud whose user and password are computed (rc 4)", want: cause.BadCredentials, make: refuses(4, 0x86, "--user", "device&product")},
		{name: "a platform that wants a token as the user name (rc 5)", want: cause.AnonymousRefused, make: refuses(5, 0x87)},
		{name: "an authority whose name is that of the server, as tutorials make it", want: cause.TLSUnknownCA, make: func(w *world) []string {
			mine := sign(w.t, nil, authorityKey(w.t), func(c *x509.Certificate) {
				c.Subject = pkix.Name{CommonName: host}
				c.DNSNames, c.IPAddresses, c.ExtKeyUsage = nil, nil, nil
				c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
			})
			w.certificates("server", issue(w.t, mine, nil))
			w.file("ca.crt", pemOf(garden.get(w.t)))
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			return w.byName("mqtts", 8883, "")
		}},
		{name: "a name server that takes four seconds for each answer", want: cause.DNSNoAnswer, make: func(w *world) []string {
			w.names(map[string][]string{"slow." + host: {server4}})
			w.mosquitto(open)
			return []string{"mqtt://slow." + host}
		}},
		{name: "something on the way resets what is quiet for five seconds", want: cause.LBIdleTimeout, make: func(w *world) []string {
			w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous true\n")
			w.listen(serverSide, server4+":1883", func(c net.Conn) {
				_ = c.(*net.TCPConn).SetLinger(0)
				w.closesIdle(serverSide, "127.0.0.1:1884", 5*time.Second)(c)
			})
			return []string{url4("mqtt", 1883), "--stay", "9s"}
		}},
		{name: "a VPN's rule lets nothing out beside it (kill switch)", want: cause.PhoneVPNOrDNS, make: func(w *world) []string {
			w.mosquitto(open)
			w.batch(clientSide, "route add unreachable default table 51820\nrule add table main suppress_prefixlength 0 pref 99\nrule add not fwmark 51820 table 51820 pref 100\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "the home's IPv6 firewall lets nothing in (FritzBox)", want: cause.SecurityGroupClosed, twin: cause.HostFirewallDrop, make: func(w *world) []string {
			w.mosquitto(open)
			w.tables(routerSide, "ip6tables", "-A FORWARD -o wan -p tcp -j DROP")
			return []string{"mqtt://[" + server6 + "]:1883"}
		}},
		{name: "nginx has the broker behind it in another network of Docker's, by a name that leads nowhere", want: cause.BrokerNotRunning, make: func(w *world) []string {
			w.nginx("server { listen 80; resolver 127.0.0.1:5399 valid=1s; resolver_timeout 1s; set $up mosquitto; location /mqtt { proxy_pass http://$up:9001; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; } }", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}},
	}
}
