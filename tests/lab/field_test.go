//go:build linux

package lab

import (
	"crypto/x509"
	"os"
	"strings"

	"picket/cause"
)

// fieldFaults are further ones of that kind, thought up after the rules for those had been written.
func fieldFaults() []fault {
	on := func(machine string, rules ...string) func(*world) []string {
		return func(w *world) []string { w.tables(machine, "iptables", rules...); return plain(w) }
	}
	count := 0
	third := rewritten(func(p *publish) []publish {
		if count++; count%3 == 0 {
			return nil
		}
		return []publish{*p}
	})
	return []fault{
		{name: "packets wait for a program that is not there (NFQUEUE)", want: cause.HostFirewallDrop, make: on(serverSide, "-A INPUT -p tcp --dport 1883 -j NFQUEUE --queue-num 5")},
		{name: "a connection dies after twelve packets", want: cause.ConnectionLost, twin: cause.RateLimitOrBan, make: on(routerSide, "-A FORWARD -p tcp -m connbytes --connbytes 12: --connbytes-dir original --connbytes-mode packets -j DROP")},
		{name: "nginx closes TCP that is quiet for three seconds (proxy_timeout)", want: cause.LBIdleTimeout, make: func(w *world) []string {
			w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous true\n")
			w.stream("server { listen 1883; proxy_pass 127.0.0.1:1884; proxy_timeout 3s; }", 1883)
			return []string{url4("mqtt", 1883), "--stay", "8s"}
		}},
		{name: "HAProxy speaks TLS to a broker that has none", want: cause.BrokerNotRunning, make: byTLS(func(w *world) {
			w.haproxy("frontend f\n bind :8883 ssl crt {dir}/pair.pem\n default_backend b\nbackend b\n server s 127.0.0.1:1883 ssl verify none\n", 8883)
		}, open)},
		{name: "HAProxy does not trust the broker's certificate", want: cause.BrokerNotRunning, make: byTLS(func(w *world) {
			w.file("other.crt", pemOf(stranger.get(w.t)))
			w.haproxy("frontend f\n bind :8883 ssl crt {dir}/pair.pem\n default_backend b\nbackend b\n server s 127.0.0.1:8884 ssl verify required ca-file {dir}/other.crt\n", 8883)
		}, "listener 8884\nallow_anonymous true\n"+secured)},
		{name: "nginx says ok at every path", want: cause.WSPath, make: func(w *world) []string {
			w.mosquitto(webBroker)
			w.nginx("server { listen 80; location / { return 200 'ok'; } }", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}},
		{name: "the client certificate has expired", want: cause.ClientCertRefused, make: func(w *world) []string {
			w.certificates("client", issue(w.t, garden.get(w.t), func(c *x509.Certificate) { forClients(c); dated(-90*24*3600e9, -24*3600e9)(c) }))
			return append(mutual(w, ""), "--cert", w.path("client.crt"), "--key", w.path("client.key"))
		}},
		{name: "the server's certificate is one for clients", want: cause.TLSClientRejectedCertificate, make: func(w *world) []string {
			w.certificates("server", issue(w.t, garden.get(w.t), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }))
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			return w.byName("mqtts", 8883, "")
		}},
		{name: "the certificate begins tomorrow", want: cause.TLSNotYetValid, make: func(w *world) []string {
			w.certificates("server", issue(w.t, garden.get(w.t), dated(24*3600e9, 90*24*3600e9)))
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			return w.byName("mqtts", 8883, "")
		}},
		{name: "a user who is banned", want: cause.Banned, make: func(w *world) []string {
			w.passwords()
			w.picket(guarded)
			w.run(serverSide, binary, "ban", "user", user, "--socket", w.path("admin.sock"))
			return []string{url4("mqtt", 1883), "--user", user}
		}},
		{name: "CONNACK comes twice", want: cause.ServerViolation, make: changed(0x20, func(p []byte) []byte { return append(p, p...) })},
		{name: "QoS 2 never comes to its end (PUBCOMP)", want: cause.BrokerSilent, twin: cause.Overloaded, make: filtered(func(p []byte) []byte {
			if p[0]&0xF0 == 0x70 {
				return nil
			}
			return p
		}, nil)},
		{name: "messages of QoS 1 come twice", want: cause.MessageDoubled, make: filtered(nil, rewritten(func(p *publish) []publish {
			if p.head&6 != 0x02 {
				return []publish{*p}
			}
			second := *p
			second.between = append([]byte{0x7F, 0x01}, p.between[2:]...)
			return []publish{*p, second}
		}))},
		{name: "payloads get a line end", want: cause.MessageAltered, make: filtered(nil, rewritten(func(p *publish) []publish { p.payload = append(p.payload, '\n'); return []publish{*p} }))},
		{name: "every third message does not reach subscribers", want: cause.MessageLost, make: filtered(third, nil)},
		{name: "what is published is read from a queue of another topic", want: cause.MessageAltered, make: filtered(nil, rewritten(func(p *publish) []publish { p.topic = "queue/in"; return []publish{*p} }))},
		{name: "a router's own page answers at the broker's port", want: cause.PortTaken, make: func(w *world) []string {
			w.webAt(routerSide, gateway4+":8088", answers(200, "<title>FRITZ!Box</title>", "Server", "FRITZ!Box"), nil)
			w.tables(routerSide, "iptables", "-t nat -A PREROUTING -i lan -d "+outside4+" -p tcp --dport 1883 -j REDIRECT --to-ports 8088")
			return []string{"mqtt://" + outside4}
		}},
		{name: "SYN packets with options are thrown away", want: cause.SecurityGroupClosed, twin: cause.HostFirewallDrop, make: on(routerSide, "-A FORWARD -i lan -p tcp --syn --tcp-option 8 -j DROP")},
		// on the server
		running(cause.HostFirewallDrop, "", "everything but SSH is dropped (! --dport)", guarded, func(w *world) {
			w.tables(serverSide, "iptables", "-A INPUT -i eth0 -p tcp ! --dport 22 -j DROP")
		}),
		running(cause.LoopbackOnly, "", "the listener is localhost by name", "listener 1883 localhost\nallow_anonymous false\npassword_file {dir}/passwords\n", nil),
		running(cause.LoopbackOnly, "", "bind_interface lo", "listener 1883\nbind_interface lo\nallow_anonymous false\npassword_file {dir}/passwords\n", nil),
		broken(cause.KeyUnreadable, "", "the folder of the certificates can be entered by root alone", "user mosquitto\nlistener 8883\nallow_anonymous false\npassword_file {dir}/passwords\ncertfile {dir}/live/server.crt\nkeyfile {dir}/live/server.key\n", func(w *world) {
			w.good()
			ownFiles(w)
			_ = os.Mkdir(w.path("live"), 0o700)
			for _, f := range []string{"server.crt", "server.key"} {
				_ = os.Rename(w.path(f), w.path("live/"+f))
				_ = os.Chmod(w.path("live/"+f), 0o644)
			}
		}),
		{name: "on the server: an old device speaks TLS 1.0 alone", on: serverSide, want: cause.TLSVersion, make: func(w *world) []string {
			w.passwords()
			w.good()
			args := w.settings(secret)
			w.runs(8883)
			w.start(clientSide, nil, "sh", "-c", `while :; do openssl s_client -connect "$0" -tls1 -cipher DEFAULT@SECLEVEL=0 </dev/null; sleep 0.5; done`, server4+":8883")
			w.logged("unsupported protocol", 3)
			return args
		}},
		running(cause.BridgeUnreachable, "", "the bridge's broker has a name that nobody knows", guarded+"connection cloud\naddress mqtt.nowhere.invalid:1883\ntopic # out 0\nrestart_timeout 1 2\n", func(w *world) { w.logged("Connecting bridge (step 1)", 4) }),
		running(cause.RateLimitOrBan, "", "nftables counts connections of each address (meter)", guarded, func(w *world) {
			w.nft(serverSide, "table inet guard {\n set many { type ipv4_addr; flags dynamic; timeout 1m; }\n chain in {\n type filter hook input priority 0; policy accept;\n tcp dport 1883 ct state new add @many { ip saddr limit rate over 3/minute } drop\n }\n}\n")
		}),
		// healthy
		{name: "healthy: the firewall counts, and allows plenty", make: on(serverSide, "-A INPUT -p tcp --syn --dport 1883 -m hashlimit --hashlimit-above 200/min --hashlimit-burst 100 --hashlimit-mode srcip --hashlimit-name mqtt -j DROP")},
		{name: "healthy: nginx has two brokers, one of which is marked down", make: func(w *world) []string {
			w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous true\n")
			w.stream("upstream b { server 127.0.0.1:1885 down; server 127.0.0.1:1884; }\nserver { listen 1883; proxy_pass b; }", 1883)
			return []string{url4("mqtt", 1883)}
		}},
		running("", "", "somebody else is banned", guarded, func(w *world) {
			w.tables(serverSide, "iptables", "-N f2b-mosquitto", "-A INPUT -p tcp --dport 1883 -j f2b-mosquitto", "-A f2b-mosquitto -s 198.51.100.9 -j REJECT", "-A f2b-mosquitto -j RETURN")
		}),
		{name: "healthy: a user with own topics alone, and QoS 1", make: func(w *world) []string {
			w.passwords()
			w.file("acl", strings.Join([]string{"user " + user, "topic readwrite home/#", "pattern readwrite devices/%c/#"}, "\n")+"\n")
			w.mosquitto(guarded + "acl_file {dir}/acl\nmax_inflight_messages 1\n")
			return []string{url4("mqtt", 1883), "--user", user, "--topic", "home/door"}
		}},
	}
}
