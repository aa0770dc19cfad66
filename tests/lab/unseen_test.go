//go:build linux

package lab

import (
	"io"
	"net"
	"os"
	"time"

	"picket/cause"
)

// redirected leads every TCP connection of the client's to a script on its router, as a proxy for everybody in a network does.
func redirected(script func(net.Conn)) func(*world) []string {
	return func(w *world) []string {
		w.mosquitto(open)
		w.listen(routerSide, gateway4+":12345", script)
		w.tables(routerSide, "iptables", "-t nat -A PREROUTING -i lan -p tcp -j REDIRECT --to-ports 12345")
		return []string{url4("mqtt", 1883)}
	}
}

// inside is a mosquitto for its own machine alone, with something in front of it.
func inside(want cause.ID, name string, front func(*world), more ...string) fault {
	return running(want, "", name, "listener 1883 127.0.0.1\nallow_anonymous false\npassword_file {dir}/passwords\n", front, more...)
}

// unseen are faults of batches that were written down before anybody looked at the rules, which the doctor did not name, and their neighbours.
func unseen() []fault {
	const strangers = "user mosquitto\nlistener 1883\nallow_anonymous true\n"
	linked := func(w *world) {
		w.letIn()
		w.pair()
		for _, dir := range []string{"archive", "live"} {
			if err := os.Mkdir(w.path(dir), 0o755); err != nil {
				w.t.Fatal(err)
			}
		}
		for _, name := range []string{"server.crt", "server.key"} {
			if err := os.Rename(w.path(name), w.path("archive/"+name)); err != nil {
				w.t.Fatal(err)
			}
			if err := os.Symlink("../archive/"+name, w.path("live/"+name)); err != nil {
				w.t.Fatal(err)
			}
		}
		if err := os.Chmod(w.path("archive"), 0o700); err != nil {
			w.t.Fatal(err)
		}
	}
	return []fault{
		broken(cause.ConfigUnreadable, "", "mosquitto's user may not read the password file, and has no log", "user mosquitto\n"+guarded, (*world).letIn),
		broken(cause.ConfigUnreadable, "", "mosquitto's user may not read the access list, and has no log", strangers+"acl_file {dir}/acl\n", func(w *world) { w.letIn(); w.file("acl", "topic readwrite #\n") }),
		broken(cause.KeyUnreadable, "", "the certificate is a link into a folder of root's, as certbot makes it", "user mosquitto\nlistener 8883\nallow_anonymous true\ncertfile {dir}/live/server.crt\nkeyfile {dir}/live/server.key\n", linked),
		broken(cause.ConfigConflict, "", "a password file for each listener stands before the first one", "per_listener_settings true\npassword_file {dir}/passwords\nlistener 1883\n", nil),
		broken(cause.ConfigConflict, "", "a limit stands before the first listener", "max_connections 100\nlistener 1883\nallow_anonymous true\n", nil),
		broken(cause.ConfigConflict, "", "a listener stands there twice", "allow_anonymous true\nlistener 1883\nlistener 1883\n", nil),
		broken(cause.BindBeforeNetwork, "", "the address that the router gave to the machine before, and no log", "user mosquitto\nlistener 1883 192.168.1.50\nallow_anonymous true\n", nil),
		broken(cause.BindBeforeNetwork, "", "an address of IPv6 that the machine no longer has, and no log", "user mosquitto\nlistener 1883 2001:db8:9::1\nallow_anonymous true\n", nil),
		broken(cause.PrivilegedPort, "", "a port below 1024 that mosquitto's user may not open, and no log", "user mosquitto\nlistener 443\nallow_anonymous true\n", func(w *world) {
			w.run(serverSide, "sh", "-c", "echo 1024 > /proc/sys/net/ipv4/ip_unprivileged_port_start")
		}),
		broken(cause.KeyUnreadable, "", "the file of the authorities is not there, and no log", "user mosquitto\nlistener 1883\nallow_anonymous true\nlistener 8883\nallow_anonymous true\ncafile {dir}/none.crt\ncertfile {dir}/server.crt\nkeyfile {dir}/server.key\n", func(w *world) {
			w.letIn()
			w.pair()
			w.run(serverSide, "chmod", "0644", w.path("server.crt"), w.path("server.key"))
		}),
		running("", "", "a limit before the first listener, which has another port", "max_connections 100\nallow_anonymous false\npassword_file {dir}/passwords\nlistener 1884\n", nil),
		{name: "on the server: mosquitto's user may not write where it stores", on: serverSide, want: cause.StoreFailed, make: func(w *world) []string {
			w.letIn()
			w.passwords()
			w.run(serverSide, "chmod", "0644", w.path("passwords"))
			if err := os.Mkdir(w.path("db"), 0o755); err != nil {
				w.t.Fatal(err)
			}
			args := w.settings("user mosquitto\n" + guarded + "persistence true\npersistence_location {dir}/db/\n")
			w.runs(1883)
			return args
		}},

		inside("", "nginx with TLS before a broker for its own machine alone", func(w *world) {
			w.pair()
			w.stream("server { listen 8883 ssl; ssl_certificate {dir}/server.crt; ssl_certificate_key {dir}/server.key; proxy_pass 127.0.0.1:1883; }", 8883)
		}, "--port", "8883"),
		inside("", "HAProxy before a broker for its own machine alone, at a port that was not asked about", func(w *world) {
			w.pair()
			w.haproxy("frontend f\n bind :8883 ssl crt {dir}/pair.pem\n default_backend b\nbackend b\n server s 127.0.0.1:1883\n", 8883)
		}),
		running("", "", "nginx leads WebSocket to a broker for its own machine alone", "listener 1883 127.0.0.1\nallow_anonymous false\npassword_file {dir}/passwords\nlistener 9001 127.0.0.1\nprotocol websockets\nsocket_domain ipv4\n", func(w *world) {
			w.pair()
			w.nginx("server { listen 443 ssl; ssl_certificate {dir}/server.crt; ssl_certificate_key {dir}/server.key; location /mqtt { proxy_pass http://127.0.0.1:9001; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; } }", 443)
		}),
		inside(cause.LoopbackOnly, "a web site beside a broker for its own machine alone", func(w *world) {
			w.nginx("server { listen 80; location / { return 200 garden; } }", 80)
		}),

		{name: "a proxy for everybody takes all connections and closes them after a while", want: cause.CarrierOrCorpBlocksPort, twin: cause.PhoneVPNOrDNS, make: redirected(func(c net.Conn) { time.Sleep(2 * time.Second) })},
		{name: "a proxy for everybody takes all connections and closes them", want: cause.CarrierOrCorpBlocksPort, twin: cause.PhoneVPNOrDNS, make: redirected(func(net.Conn) {})},
		{name: "a proxy for everybody takes all connections and says nothing", want: cause.CarrierOrCorpBlocksPort, twin: cause.PhoneVPNOrDNS, make: redirected(func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })},
		{name: "a name of Home Assistant's own network, which the router refuses to look up", want: cause.DNSMissingOrStale, twin: cause.DNSNoAnswer, make: func(w *world) []string {
			w.dnsmasq("no-resolv\n")
			return []string{"mqtt://core-mosquitto"}
		}},
		{name: "a name of another local network, which the name server refuses to look up", want: cause.DNSMissingOrStale, twin: cause.DNSNoAnswer, make: func(w *world) []string {
			w.dnsmasq("no-resolv\n")
			return []string{"mqtt://broker.lan"}
		}},
	}
}
