//go:build linux

package lab

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"picket/cause"
)

// system puts a file in the place of one of the system's own below /etc, for what runs on a machine.
func (w *world) system(machine, name, content string) {
	w.t.Helper()
	path := filepath.Join("/etc/netns", w.ns(machine), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// group puts a process into a control group of its own, and gives its folder.
func (w *world) group(controller string, pid int) string {
	w.t.Helper()
	dir := filepath.Join("/sys/fs/cgroup", controller, w.name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
	all, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, p := range append(strings.Fields(string(all)), fmt.Sprint(pid)) {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(p), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
	w.t.Cleanup(func() {
		data, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for p := range strings.FieldsSeq(string(data)) {
			_ = os.WriteFile(filepath.Join("/sys/fs/cgroup", controller, "cgroup.procs"), []byte(p), 0o644)
		}
		_ = os.Remove(dir)
	})
	return dir
}

// freezes freezes a process with its control group, as docker pause does, until the test ends.
func freezes(w *world, pid int) {
	state := filepath.Join(w.group("freezer", pid), "freezer.state")
	if err := os.WriteFile(state, []byte("FROZEN"), 0o644); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = os.WriteFile(state, []byte("THAWED"), 0o644) })
}

// tmpfs mounts a small disk below the world's folder.
func (w *world) tmpfs(name, options string) string {
	w.t.Helper()
	disk := w.path(name)
	_ = os.Mkdir(disk, 0o755)
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, options); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	return disk
}

// overlooked are faults that the rules of before did not know, or told wrongly: of TCP wrappers, control groups, filters in less usual shapes, settings
// that mosquitto takes otherwise than meant, and of what people type. They were thought up before they were tried.
func overlooked() []fault {
	on := func(machine string, rules ...string) func(*world) []string {
		return func(w *world) []string { w.tables(machine, "iptables", rules...); return plain(w) }
	}
	nft := func(want cause.ID, name, rules string) fault {
		return running(want, "", name, guarded, func(w *world) { w.nft(serverSide, rules) })
	}
	const input = "table inet filter {\n chain input {\n type filter hook input priority 0; policy accept;\n "
	second := func(w *world, conf string) *program {
		conf = strings.ReplaceAll("user root\n"+conf, "{dir}", w.dir)
		return w.start(serverSide, listeners(conf), "mosquitto", "-c", w.file("second.conf", conf))
	}
	// before is as running, with what has to be there before the broker starts.
	before := func(want cause.ID, name, conf string, prepare func(*world), then func(*world, *program)) fault {
		name = "on the server: " + name
		if want == "" {
			name = "healthy: " + name
		}
		return fault{name: name, on: serverSide, want: want, make: func(w *world) []string {
			w.passwords()
			if prepare != nil {
				prepare(w)
			}
			args := w.settings(conf)
			p := w.runs(listeners(conf)...)
			if then != nil {
				then(w, p)
			}
			return args
		}}
	}
	deny := func(denied, allowed string) func(*world) {
		return func(w *world) {
			w.system(serverSide, "hosts.deny", denied)
			w.system(serverSide, "hosts.allow", allowed)
		}
	}
	return []fault{
		// seen by a client
		{name: "TCP wrappers deny mosquitto to all (hosts.deny)", want: cause.RateLimitOrBan, twin: cause.MaxConnections, make: func(w *world) []string {
			w.system(serverSide, "hosts.deny", "mosquitto: ALL\n")
			return plain(w)
		}},
		{name: "so many bytes and no more (quota)", want: cause.ConnectionLost, twin: cause.RateLimitOrBan, make: on(routerSide, "-A FORWARD -p tcp -m quota --quota 6000 -j ACCEPT", "-A FORWARD -p tcp -j DROP")},
		{name: "whoever came three times within a minute is dropped (recent)", want: cause.RateLimitOrBan, make: on(serverSide, "-A INPUT -p tcp --dport 1883 -m conntrack --ctstate NEW -m recent --set --name mqtt", "-A INPUT -p tcp --dport 1883 -m conntrack --ctstate NEW -m recent --update --seconds 60 --hitcount 3 --name mqtt -j DROP")},
		{name: "a filter drops packets that have the word MQTT in them", want: cause.CarrierOrCorpBlocksPort, make: on(routerSide, "-A FORWARD -p tcp -m string --string MQTT --algo bm -j DROP")},
		{name: "MQTT 5 is never answered, 3.1.1 is", want: cause.ProtocolVersion, make: behindScript(nil, func(c net.Conn, b []byte) bool {
			if b[0] == 0x10 && len(b) > 9 && b[8] == 5 {
				_, _ = io.Copy(io.Discard, c)
				return false
			}
			return true
		})},
		{name: "the name server does not give private addresses out (rebind protection)", want: cause.DNSMissingOrStale, make: func(w *world) []string {
			w.mosquitto(open)
			w.start(routerSide, nil, "dnsmasq", "-k", "-h", "-R", "-C", w.file("upper.conf", "user=root\nport=5353\nlisten-address=127.0.0.1\nbind-interfaces\nlocal=/"+host+"/\naddress=/"+host+"/192.168.7.77\n"))
			w.dnsmasq("stop-dns-rebind\nserver=127.0.0.1#5353\n")
			return []string{"mqtt://" + host}
		}},
		{name: "a digit wrong in the own network's address (191.168)", want: cause.AppFormMistake, make: func(w *world) []string {
			w.mosquitto(open)
			return []string{"mqtt://191.168.7.10"}
		}},
		{name: "a # in the password inside of the address", want: cause.AppFormMistake, make: typed("mqtt://picket:pa#ss@HOST")},
		{name: "a space in place of the colon before the port", want: cause.AppFormMistake, make: typed("HOST 1883")},
		{name: "the scheme is tcp in capitals, with one slash", want: cause.AppFormMistake, make: typed("TCP:/HOST:1883")},
		{name: "a forwarder that takes one connection and ends (socat)", want: cause.BrokerNotRunning, make: func(w *world) []string {
			w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous true\n")
			w.start(serverSide, []int{1883}, "python3", "-c", "import socket,sys\ns=socket.socket();s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1);s.bind(('"+server4+"',1883));s.listen(1)\nc,_=s.accept();s.close()\nwhile c.recv(4096): pass\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "the subprotocol in the answer is mqttv3.1, which nobody asked for", want: cause.WSSubprotocol, make: gateway{head: func(_ *http.Request, key string) string {
			return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqttv3.1\r\nSec-WebSocket-Accept: " + key + "\r\n\r\n"
		}}.serve},
		{name: "nginx refuses programs that do not look like browsers (user agent)", want: cause.RateLimitOrBan, make: func(w *world) []string {
			w.mosquitto(webBroker)
			w.nginx("server { listen 80; if ($http_user_agent !~ Mozilla) { return 403; } location / { "+passing(9001)+" } }", 80)
			return []string{url4("ws", 80) + "/mqtt"}
		}},
		{name: "nginx asks the broker at the wrong path of another web server behind it", want: cause.WSPath, make: func(w *world) []string {
			w.nginx("server { listen 80; location / { proxy_pass http://127.0.0.1:8123; "+strings.SplitN(passing(9001), ";", 2)[1]+" } }\nserver { listen 8123; location / { return 404; } }", 80, 8123)
			return []string{url4("ws", 80) + "/mqtt"}
		}},
		{name: "two brokers that hand everything to each other (bridge both)", want: cause.MessageDoubled, make: func(w *world) []string {
			second(w, "listener 1885 127.0.0.1\nallow_anonymous true\n")
			p := w.mosquitto(open + "connection b\naddress 127.0.0.1:1885\ntopic # both 1\ntry_private false\nnotifications false\nlog_type all\n")
			w.wait("the bridge", func() bool { return p.said("Received CONNACK") || p.said("SUBACK") })
			return []string{url4("mqtt", 1883)}
		}},
		{name: "users are client identifiers, and another device has the same user", want: cause.IDTakeoverLoop, make: func(w *world) []string {
			w.passwords()
			w.mosquitto(guarded + "use_username_as_clientid true\n")
			w.comes(serverSide, "-h", "127.0.0.1", "-u", user, "-P", password, "-t", "a")
			return []string{url4("mqtt", 1883), "--user", user}
		}},
		{name: "client identifiers of more than 23 letters are refused", want: cause.ClientIDRefused, make: behindScript(nil, func(c net.Conn, b []byte) bool {
			if b[0] != 0x10 || len(b) < 16 {
				return true
			}
			at := 12
			if b[8] == 5 {
				at = 13 + int(b[12])
			}
			if n := int(b[at])<<8 | int(b[at+1]); n > 23 || n == 0 {
				if b[8] == 5 {
					_, _ = c.Write([]byte{0x20, 3, 0, 0x85, 0})
				} else {
					_, _ = c.Write([]byte{0x20, 2, 0, 2})
				}
				return false
			}
			return true
		}, "--id", "garden-fountain-controller-number-7")},
		{name: "the broker is frozen with its control group (docker pause)", want: cause.BrokerSilent, make: func(w *world) []string {
			p := w.mosquitto(open)
			freezes(w, p.pid)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "the TLS port takes TLS 1.2 with old cipher suites (CBC, no forward secrecy) alone", want: cause.TLSCiphers, make: func(w *world) []string {
			w.good()
			w.mosquittoWith("listener 8883\nallow_anonymous true\n"+secured+"ciphers AES256-SHA:AES128-SHA\n", "openssl_conf = lab\n[lab]\nssl_conf = modules\n[modules]\nsystem_default = defaults\n[defaults]\nMaxProtocol = TLSv1.2\nCipherString = DEFAULT@SECLEVEL=0\n")
			return w.byName("mqtts", 8883, "")
		}},
		{name: "an authority of the same name, made anew, and the old one is trusted", want: cause.TLSUnknownCA, make: func(w *world) []string {
			w.certificates("server", issue(w.t, ca(w.t, nil, "Garden Root"), nil))
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			return append(w.byName("mqtts", 8883, "")[:1], "--ca", w.file("root.crt", pemOf(garden.get(w.t))))
		}},
		{name: "publishing with QoS 2 gives a message that never comes", want: cause.MessageLost, make: filtered(nil, rewritten(func(p *publish) []publish {
			if p.head&6 == 4 {
				p.topic = "lost/" + p.topic
			}
			return []publish{*p}
		}))},
		{name: "the broker's listener is for the Wi-Fi's address alone, and clients come by the other", want: cause.BrokerNotRunning, twin: cause.LoopbackOnly, make: func(w *world) []string {
			w.batch(serverSide, "addr add 10.9.9.1/24 dev lo\n")
			w.mosquitto("listener 1883 10.9.9.1\nallow_anonymous true\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "MTU 1400 on the way, and answers about it are dropped, WebSocket with TLS", want: cause.MTUBlackhole, make: func(w *world) []string {
			w.good()
			w.mosquitto(webBroker + secured)
			w.tables(routerSide, "iptables", "-A FORWARD -p tcp -m length --length 1401:65535 -j DROP")
			return w.byName("wss", 9001, "/mqtt")
		}},

		// seen on the server
		before(cause.RateLimitOrBan, "TCP wrappers deny mosquitto to all (hosts.deny)", guarded, deny("mosquitto: ALL\n", ""), nil),
		before(cause.RateLimitOrBan, "TCP wrappers let this machine in alone", guarded, deny("ALL: ALL\n", "sshd: ALL\nALL: 127.0.0.1 [::1]\n"), nil),
		nft(cause.HostFirewallDrop, "a map of ports to verdicts (vmap)", input+"ct state established accept\n iif lo accept\n tcp dport vmap { 22 : accept, 1883 : drop }\n }\n}\n"),
		nft(cause.HostFirewallDrop, "a map of interfaces that leads to a chain (iifname vmap)", "table inet filter {\n chain wan {\n ct state established accept\n tcp dport { 22, 443 } accept\n drop\n }\n chain input {\n type filter hook input priority 0; policy accept;\n iifname vmap { \"lo\" : accept, \"eth0\" : jump wan }\n }\n}\n"),
		nft(cause.HostFirewallDrop, "whoever is not of some networks (ip saddr !=)", input+"ip saddr != { 10.0.0.0/8, 192.168.178.0/24 } tcp dport 1883 drop\n }\n}\n"),
		nft(cause.HostFirewallDrop, "all high ports (1024-65535)", input+"ct state established accept\n iif lo accept\n tcp dport 1024-65535 drop\n }\n}\n"),
		running(cause.HostFirewallDrop, "", "a mark in mangle, and what has it is dropped", guarded, func(w *world) {
			w.tables(serverSide, "iptables", "-t mangle -A PREROUTING -i eth0 -p tcp --dport 1883 -j MARK --set-mark 9", "-A INPUT -m mark --mark 9 -j DROP")
		}),
		running(cause.HostFirewallDrop, "", "ports but some are dropped (multiport, negated)", guarded, func(w *world) {
			w.tables(serverSide, "iptables", "-A INPUT -i eth0 -p tcp -m multiport ! --dports 22,80,443 -j DROP")
		}),
		running(cause.HostFirewallDrop, "", "DROP by way of two chains that log first", guarded, func(w *world) {
			w.tables(serverSide, "iptables", "-N LOGDROP", "-A LOGDROP -j LOG --log-prefix x", "-A LOGDROP -j DROP", "-N WORLD", "-A WORLD -p tcp --dport 22 -j ACCEPT", "-A WORLD -j LOGDROP", "-A INPUT -i lo -j ACCEPT", "-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT", "-A INPUT -g WORLD")
		}),
		running(cause.NoDefaultRoute, "", "a rule sends the answers into a table that leads nowhere (ip rule)", guarded, func(w *world) {
			w.batch(serverSide, "route add blackhole default table 100\nrule add from "+server4+" table 100\n")
		}),
		before(cause.LoopbackOnly, "the listener is at the address of a VPN alone", "listener 1883 10.8.0.1\nallow_anonymous false\npassword_file {dir}/passwords\n", func(w *world) {
			w.batch(serverSide, "tuntap add wg0 mode tun\naddr add 10.8.0.1/24 dev wg0\nlink set wg0 up\n")
		}, nil),
		before(cause.BrokerSilent, "the broker is frozen with its control group (docker pause)", guarded, nil, func(w *world, p *program) { freezes(w, p.pid) }),
		{name: "on the server: another file was edited than the broker was started with", on: serverSide, want: cause.ConfigNotLoaded, twin: cause.PortTaken, make: func(w *world) []string {
			w.passwords()
			args := w.settings(guarded + "listener 9001\nprotocol websockets\n")
			w.start(serverSide, []int{1883}, "mosquitto", "-c", w.file("other.conf", strings.ReplaceAll("user root\n"+guarded, "{dir}", w.dir)))
			return args
		}},
		broken(cause.ConfigUnknownDirective, "", "a directive is misspelled in a file that is included", "include_dir {dir}/conf.d\n", func(w *world) {
			_ = os.Mkdir(w.path("conf.d"), 0o755)
			w.file("conf.d/tls.conf", strings.ReplaceAll("listener 8883\nallow_anonymous false\npasswordfile {dir}/passwords\n", "{dir}", w.dir))
		}),
		broken(cause.ConfigUnknownDirective, "", "the file begins with a byte order mark, as Notepad writes it", guarded, func(w *world) {
			data, _ := os.ReadFile(w.path("mosquitto.conf"))
			w.file("mosquitto.conf", "\ufeff"+string(data))
		}),
		before(cause.NoPasswordFile, "the password file has no line", "listener 1883\nallow_anonymous false\npassword_file {dir}/empty\n", func(w *world) { w.file("empty", "") }, nil),
		before(cause.BadCredentials, "the password file is of htpasswd's making", "listener 1883\nallow_anonymous false\npassword_file {dir}/ht\n", func(w *world) {
			w.file("ht", "picket:$2y$05$abcdefghijklmnopqrstuuZ1Zm7l2mN4r3vX6oY9pQwE8sT5uVxyz\n")
		}, nil),
		{name: "on the server: the password file is a folder, as Docker makes it", on: serverSide, want: cause.ConfigUnreadable, make: func(w *world) []string {
			_ = os.Mkdir(w.path("passwords"), 0o755)
			args := w.settings(guarded)
			p := w.runs()
			w.wait("mosquitto begins", func() bool { data, _ := os.ReadFile(w.path("mosquitto.log")); return len(data) > 0 || p.said("x") })
			return args
		}},
		broken(cause.ConfigInvalidValue, "", "the user does not exist", "user mosquitto2\n"+guarded, nil),
		broken(cause.BindBeforeNetwork, "", "the interface does not exist", "listener 1883\nbind_interface wlan7\nallow_anonymous false\npassword_file {dir}/passwords\n", nil),
		broken(cause.BindBeforeNetwork, "", "the listener has a name that leads nowhere", "listener 1883 broker.invalid\nallow_anonymous false\npassword_file {dir}/passwords\n", nil),
		broken(cause.ConfigInvalidValue, "", "a port that does not exist (70000)", "listener 70000\nallow_anonymous false\npassword_file {dir}/passwords\n", nil),
		broken(cause.KeyUnreadable, "", "the key is another certificate's", secret, func(w *world) {
			w.good()
			w.file("server.key", pemKey(w.t, sign(w.t, stranger.get(w.t), authorityKey(w.t), nil)))
		}),
		broken(cause.ConfigInvalidValue, "", "cipher suites that do not exist", secret+"ciphers FAST-AND-GOOD\n", (*world).good),
		broken(cause.PortTaken, "", "the port for WebSocket is taken", guarded+"listener 9001\nprotocol websockets\n", func(w *world) {
			w.stream("server { listen 9001; proxy_pass 127.0.0.1:1884; }", 9001)
		}),
		broken(cause.KeyUnreadable, "", "the listener for WebSocket has a certificate that is not there", guarded+"listener 9001\nprotocol websockets\ncertfile {dir}/a.crt\nkeyfile {dir}/a.key\n", nil),
		{name: "on the server: the certificate begins tomorrow", on: serverSide, want: cause.TLSNotYetValid, make: func(w *world) []string {
			w.passwords()
			w.certificates("server", issue(w.t, garden.get(w.t), dated(24*time.Hour, 90*24*time.Hour)))
			args := w.settings(secret)
			w.runs(8883)
			return args
		}},
		{name: "on the server: it may open 32 files", on: serverSide, want: cause.FDLimit, make: func(w *world) []string {
			w.passwords()
			args := w.settings(guarded)
			w.start(serverSide, []int{1883}, "prlimit", "--nofile=32", "mosquitto", "-c", w.path("mosquitto.conf"))
			return args
		}},
		{name: "on the server: the disk was made read-only (an old SD card)", on: serverSide, want: cause.StoreFailed, make: func(w *world) []string {
			w.passwords()
			disk := w.tmpfs("sd", "size=1m")
			args := w.settings("persistence true\npersistence_location {dir}/sd/\nautosave_interval 1\n" + guarded)
			w.runs(1883)
			if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
				w.t.Fatal(err)
			}
			w.logged("rror saving in-memory database", 1)
			return args
		}},
		{name: "on the server: the disk has room and no inodes", on: serverSide, want: cause.DiskFull, make: func(w *world) []string {
			w.passwords()
			w.tmpfs("full", "size=200m,nr_inodes=1")
			args := w.settings("persistence true\npersistence_location {dir}/full/\nautosave_interval 1\n" + guarded)
			w.runs(1883)
			return args
		}},
		running(cause.BridgeTLSFailed, "", "a bridge without TLS to a port of TLS", guarded+"connection cloud\naddress 127.0.0.1:8884\ntopic # out 0\nrestart_timeout 1 2\n", func(w *world) {
			w.good()
			second(w, "listener 8884 127.0.0.1\nallow_anonymous true\n"+secured)
			w.logged("Connecting bridge (step 1)", 4)
		}),

		running(cause.BridgeUnreachable, "", "a bridge to a port of TLS at which nobody is", guarded+"connection cloud\naddress 127.0.0.1:8883\ntopic # out 0\nrestart_timeout 1 2\n", func(w *world) { w.logged("Connecting bridge (step 1)", 4) }),
		running(cause.NoDefaultRoute, "", "a VPN takes the answers along", guarded, func(w *world) {
			w.batch(serverSide, "tuntap add wg0 mode tun\naddr add 10.8.0.2/24 dev wg0\nlink set wg0 up\nroute add default dev wg0 table 200\nrule add from "+server4+" table 200\n")
		}),
		running(cause.HostFirewallDrop, "", "what has no mark is dropped", guarded, func(w *world) {
			w.tables(serverSide, "iptables", "-t mangle -A PREROUTING -p tcp -m multiport --dports 22,443 -j MARK --set-mark 1", "-A INPUT -i lo -j ACCEPT", "-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT", "-A INPUT -p tcp -m mark ! --mark 1 -j DROP")
		}),

		// healthy
		before("", "a read-only disk, on which nothing is kept", "persistence false\npersistence_location {dir}/sd/\n"+guarded, func(w *world) {
			if err := syscall.Mount("", w.tmpfs("sd", "size=200m"), "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
				w.t.Fatal(err)
			}
		}, nil),
		{name: "healthy: the client's line takes 1280 bytes", make: func(w *world) []string {
			w.batch(clientSide, "link set eth0 mtu 1280\n")
			w.batch(routerSide, "link set lan mtu 1280\n")
			return plain(w)
		}},
		{name: "healthy: a retained message stands at the topic that is named", make: func(w *world) []string {
			args := plain(w)
			w.run(serverSide, "mosquitto_pub", "-h", "127.0.0.1", "-t", "garden/fountain", "-r", "-m", "on")
			return append(args, "--topic", "garden/fountain")
		}},
		{name: "healthy: devices publish to the topic that is named all the time", make: func(w *world) []string {
			args := plain(w)
			w.start(serverSide, nil, "sh", "-c", "while :; do echo 21.5; sleep 0.05; done | mosquitto_pub -h 127.0.0.1 -t garden/fountain -l -q 1")
			return append(args, "--topic", "garden/fountain")
		}},
		{name: "healthy: HAProxy leads by the name in the hello (req.ssl_sni), and the name is used", make: byTLS(func(w *world) {
			w.haproxy("frontend f\n bind :8883\n tcp-request inspect-delay 5s\n tcp-request content accept if { req.ssl_hello_type 1 }\n use_backend b if { req.ssl_sni -i "+host+" }\nbackend b\n server s 127.0.0.1:8884\n", 8883)
		}, "listener 8884\nallow_anonymous true\n"+secured)},
		before("", "TCP wrappers deny SSH, and let the broker's clients in", guarded, deny("sshd: ALL\nALL: PARANOID\n", "mosquitto: ALL\n"), nil),
		{name: "healthy: on the server: line ends of Windows in the configuration", on: serverSide, make: func(w *world) []string {
			w.passwords()
			args := w.settings(strings.ReplaceAll(guarded, "\n", "\r\n"))
			w.runs(1883)
			return args
		}},
		nft("", "a map of ports, and the broker's is among the good ones (vmap)", input+"ct state established accept\n iif lo accept\n tcp dport vmap { 22 : accept, 1883 : accept, 23 : drop }\n meta l4proto { icmp, ipv6-icmp } accept\n drop\n }\n}\n"),
		running("", "", "a listener for this machine without passwords, and one for others with them", "per_listener_settings true\nlistener 1884 127.0.0.1\nallow_anonymous true\nlistener 1883\nallow_anonymous false\npassword_file {dir}/passwords\n", nil),
		running("", "", "the port is counted and logged, and let in", guarded, func(w *world) {
			w.tables(serverSide, "iptables", "-N MQTT", "-A MQTT -m limit --limit 5/min -j LOG --log-prefix mqtt", "-A MQTT -j ACCEPT", "-A INPUT -p tcp --dport 1883 -j MQTT")
		}),
	}
}
