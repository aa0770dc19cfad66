//go:build linux

package lab

import (
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"picket/cause"
)

// settings writes a configuration of mosquitto's, which logs into a file of the world's folder, and gives the doctor's arguments for it.
func (w *world) settings(conf string) []string {
	w.t.Helper()
	if !strings.Contains(conf, "user mosquitto") {
		conf = "user root\n" + conf
	}
	w.file("mosquitto.conf", strings.ReplaceAll("log_dest file {dir}/mosquitto.log\n"+conf, "{dir}", w.dir))
	return []string{"--server", "-c", w.path("mosquitto.conf")}
}

// fails starts mosquitto with the settings, and waits for it to give up.
func (w *world) fails() {
	w.t.Helper()
	cmd := exec.Command("ip", "netns", "exec", w.ns(serverSide), "timeout", "60", "mosquitto", "-c", w.path("mosquitto.conf"))
	if out, err := cmd.CombinedOutput(); err == nil || cmd.ProcessState.ExitCode() == 124 {
		w.t.Fatalf("mosquitto runs, which it should not: %s", out)
	}
}

// runs starts mosquitto with the settings, which stays.
func (w *world) runs(ports ...int) *program {
	w.t.Helper()
	return w.start(serverSide, ports, "mosquitto", "-c", w.path("mosquitto.conf"))
}

// letIn lets other users than root into the world's folder.
func (w *world) letIn() {
	w.t.Helper()
	for dir := w.dir; len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // for the broker's user
			w.t.Fatal(err)
		}
	}
}

// broken is a mosquitto on the server that does not start with its settings.
func broken(want, twin cause.ID, name, conf string, prepare func(*world)) fault {
	return fault{name: "on the server: " + name, on: serverSide, want: want, twin: twin, make: func(w *world) []string {
		w.passwords()
		args := w.settings(conf)
		if prepare != nil {
			prepare(w)
		}
		w.fails()
		return args
	}}
}

// running is a mosquitto on the server that runs with its settings; then is what happens after that.
func running(want, twin cause.ID, name, conf string, then func(*world), more ...string) fault {
	name = "on the server: " + name
	if want == "" {
		name = "healthy: " + name
	}
	return fault{name: name, on: serverSide, want: want, twin: twin, make: func(w *world) []string {
		w.passwords()
		args := w.settings(conf)
		w.runs(listeners(conf)...)
		if then != nil {
			then(w)
		}
		return append(args, more...)
	}}
}

// comes is a client of mosquitto's, which comes back when it is refused or thrown out.
func (w *world) comes(machine string, args ...string) {
	w.t.Helper()
	w.start(machine, nil, append([]string{"sh", "-c", `while :; do timeout 20 "$@"; sleep 1; done`, "sh", "mosquitto_sub"}, args...)...)
}

// logged waits until the broker's log has a text so many times.
func (w *world) logged(text string, times int) {
	w.t.Helper()
	w.wait(text, func() bool {
		data, _ := os.ReadFile(w.path("mosquitto.log"))
		return strings.Count(string(data), text) >= times
	})
}

// guarded is a mosquitto that wants a user and a password, as it should.
const guarded = "listener 1883\nallow_anonymous false\npassword_file {dir}/passwords\n"

// secret is the same with TLS.
const secret = "listener 8883\nallow_anonymous false\npassword_file {dir}/passwords\n" + secured

// servers are faults that are seen on the server itself, most of them of a real mosquitto that does not start, or whose firewall is in the way.
func servers() []fault {
	certificate := func(change func(*x509.Certificate), conf string, more ...string) func(*world) []string {
		return func(w *world) []string {
			w.passwords()
			w.certificates("server", issue(w.t, garden.get(w.t), change))
			args := w.settings(conf)
			w.runs(8883)
			return append(args, more...)
		}
	}
	return []fault{
		running("", "", "a broker with passwords, and a firewall that lets its port in", guarded, func(w *world) {
			w.nft(serverSide, "table inet filter {\n chain input {\n type filter hook input priority 0; policy drop;\n ct state established,related accept\n iif lo accept\n meta l4proto ipv6-icmp accept\n tcp dport { 22, 1883 } accept\n }\n}\n")
		}),
		{name: "healthy: on the server: TLS, and the name leads here", on: serverSide, make: certificate(nil, secret)},

		broken(cause.ConfigUnknownDirective, "", "a directive is misspelled", "listner 1883\nallow_anonymous false\npassword_file {dir}/passwords\n", nil),
		broken(cause.KeyUnreadable, "", "the key can be read by root alone, as certbot leaves it", "user mosquitto\n"+secret, func(w *world) {
			w.letIn()
			w.good()
			_ = os.Chmod(w.path("passwords"), 0o644)  //nolint:gosec // the key alone is meant
			_ = os.Chmod(w.path("server.crt"), 0o644) //nolint:gosec // a certificate
			_ = os.Chmod(w.path("server.key"), 0o600)
		}),
		broken(cause.ConfigUnreadable, "", "the password file is not where it should be", "listener 1883\nallow_anonymous false\npassword_file {dir}/passwd\n", nil),
		broken(cause.ConfigUnreadable, "", "the password file can be read by root alone", "user mosquitto\nlistener 1883\nallow_anonymous false\npassword_file {dir}/passwords\n", func(w *world) {
			w.letIn()
			_ = os.Chmod(w.file("mosquitto.log", ""), 0o666) //nolint:gosec // as if it were the broker's own
		}),
		broken(cause.PersistenceCorrupt, "", "what is kept on the disk is damaged", "persistence true\npersistence_location {dir}/\n"+guarded, func(w *world) {
			w.file("mosquitto.db", "what a power cut has left of it")
		}),
		broken(cause.PortTaken, "", "nginx has the port already", guarded, func(w *world) {
			w.stream("server { listen 1883; proxy_pass 127.0.0.1:1884; }", 1883)
		}),
		broken(cause.PortTaken, cause.LoopbackOnly, "a mosquitto without a configuration has the port already", "listener 1883 127.0.0.1\nallow_anonymous false\npassword_file {dir}/passwords\n", func(w *world) {
			w.start(serverSide, []int{1883}, "mosquitto", "-p", "1883")
		}),
		{name: "on the server: it listens at the address of Docker's bridge alone", on: serverSide, want: cause.LoopbackOnly, make: func(w *world) []string {
			w.passwords()
			w.batch(serverSide, "link add docker0 type bridge\naddr add 172.17.0.1/16 dev docker0\nlink set docker0 up\n")
			args := w.settings("listener 1883 172.17.0.1\nallow_anonymous false\npassword_file {dir}/passwords\n")
			w.runs(1883)
			return args
		}},
		running(cause.ConfigNotLoaded, "", "a listener was added, and the broker goes on as before", guarded, func(w *world) {
			time.Sleep(2 * time.Second) // the times of files are told apart by seconds
			w.settings(guarded + "listener 9001\nprotocol websockets\n")
		}),
		broken(cause.ConfigConflict, "", "settings for each listener, and the passwords stand before the first, which opens the port twice", "per_listener_settings true\nallow_anonymous false\npassword_file {dir}/passwords\nlistener 1883\n", nil),
		running(cause.HostFirewallDrop, "", "nftables lets in what the hoster's page says, and drops the rest", guarded, func(w *world) {
			w.nft(serverSide, "table inet filter {\n set in { type inet_service; elements = { 22, 80, 443 } }\n chain input {\n type filter hook input priority 0; policy drop;\n ct state established,related accept\n iif lo accept\n meta l4proto { icmp, ipv6-icmp } accept\n tcp dport @in accept\n }\n}\n")
		}),
		running(cause.HostFirewallDrop, "", "ufw lets in one network alone", guarded, func(w *world) {
			w.tables(serverSide, "iptables", "-N ufw-user-input", "-P INPUT DROP", "-A INPUT -i lo -j ACCEPT", "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-A INPUT -j ufw-user-input", "-A ufw-user-input -p tcp --dport 22 -j ACCEPT", "-A ufw-user-input -p tcp -s 192.168.1.0/24 --dport 1883 -j ACCEPT")
		}),
		running(cause.HostFirewallDrop, "", "IPv4 is let in, and IPv6 forgotten", guarded, func(w *world) {
			w.tables(serverSide, "iptables", "-P INPUT DROP", "-A INPUT -i lo -j ACCEPT", "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-A INPUT -p tcp -m multiport --dports 22,1883 -j ACCEPT")
			w.tables(serverSide, "ip6tables", "-P INPUT DROP", "-A INPUT -i lo -j ACCEPT", "-A INPUT -p ipv6-icmp -j ACCEPT", "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-A INPUT -p tcp --dport 22 -j ACCEPT")
		}),
		{name: "on the server: the certificate is for another name than clients use", on: serverSide, want: cause.TLSNameMismatch, make: certificate(onlyName("www.test"), secret, "--name", host)},
		{name: "on the server: the intermediate certificate was left out", on: serverSide, want: cause.TLSIncompleteChain, make: func(w *world) []string {
			w.passwords()
			w.certificates("server", issue(w.t, ca(w.t, garden.get(w.t), "Garden R11"), func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://r11.garden.test/"} }))
			args := w.settings(secret)
			w.runs(8883)
			return args
		}},
		{name: "on the server: the certificate ends in five days", on: serverSide, want: cause.TLSExpiresSoon, make: certificate(dated(-85*24*3600e9, 5*24*3600e9), secret)},
		running(cause.MaxConnections, "", "nobody more is let in than is there", "listener 1883\nallow_anonymous true\nmax_connections 2\n", func(w *world) {
			w.comes(serverSide, "-h", "127.0.0.1", "-t", "a", "-i", "one")
			w.comes(serverSide, "-h", "127.0.0.1", "-t", "a", "-i", "two")
			w.logged("as two", 1)
			w.comes(serverSide, "-h", "127.0.0.1", "-t", "a", "-i", "three")
			w.logged("max_connections", 1)
		}),
		{name: "on the server: the disk on which messages are kept is full", on: serverSide, want: cause.DiskFull, make: func(w *world) []string {
			w.passwords()
			disk := w.path("disk")
			if err := os.Mkdir(disk, 0o755); err != nil {
				w.t.Fatal(err)
			}
			if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=256k"); err != nil {
				w.t.Fatal(err)
			}
			w.t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
			args := w.settings("persistence true\npersistence_location {dir}/disk/\nautosave_interval 1\n" + guarded)
			w.runs(1883)
			_ = os.WriteFile(filepath.Join(disk, "backup.tar"), make([]byte, 1<<20), 0o600)
			return args
		}},
		running(cause.PortTaken, "", "a rule of Docker's leads the port to a container that is gone", guarded, func(w *world) {
			w.run(serverSide, "sysctl", "-qw", "net.ipv4.ip_forward=1")
			w.batch(serverSide, "link add docker0 type bridge\naddr add 172.17.0.1/16 dev docker0\nlink set docker0 up\n")
			w.tables(serverSide, "iptables", "-t nat -N DOCKER", "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER", "-t nat -A DOCKER ! -i docker0 -p tcp --dport 1883 -j DNAT --to-destination 172.17.0.2:1883")
		}),
		running(cause.BadCredentials, "", "a device comes with a wrong password again and again", guarded, func(w *world) {
			w.comes(clientSide, "-h", server4, "-t", "a", "-u", user, "-P", "wrong", "-i", "plug-7")
			w.logged("not authorised", 3)
		}),
		running(cause.IDTakeoverLoop, "", "two devices have one client identifier", "listener 1883\nallow_anonymous false\npassword_file {dir}/passwords\nlog_type all\n", func(w *world) {
			for range 2 {
				w.comes(clientSide, "-h", server4, "-t", "a", "-u", user, "-P", password, "-i", "esp32")
			}
			w.logged("already connected", 5)
		}),
		{name: "on the server: devices do not trust the certificate, and say so", on: serverSide, want: cause.TLSClientRejectedCertificate, make: func(w *world) []string {
			w.passwords()
			w.certificates("server", issue(w.t, stranger.get(w.t), nil))
			args := w.settings(secret)
			w.runs(8883)
			w.file("other.crt", pemOf(garden.get(w.t)))
			w.comes(clientSide, "-h", server4, "-p", "8883", "-t", "a", "-u", user, "-P", password, "--cafile", w.path("other.crt"))
			w.logged("unknown ca", 3)
			return args
		}},
		{name: "on the server: its own name leads to an address that it had once", on: serverSide, want: cause.DNSMissingOrStale, make: func(w *world) []string {
			w.passwords()
			args := w.settings(guarded)
			w.runs(1883)
			w.batch(serverSide, "addr add 100.20.30.40/32 dev eth0\n") // one that counts as public
			w.names(map[string][]string{host: {"100.20.30.41"}})
			from, to := filepath.Join("/etc/netns", w.ns(clientSide)), filepath.Join("/etc/netns", w.ns(serverSide))
			w.batch(routerSide, "addr add "+gateway4+"/32 dev wan\n")
			if err := os.CopyFS(to, os.DirFS(from)); err != nil {
				w.t.Fatal(err)
			}
			return append(args, "--name", host)
		}},
		{name: "on the server: files for include_dir whose names do not end in .conf", on: serverSide, want: cause.LoopbackOnly, make: func(w *world) []string {
			w.passwords()
			if err := os.Mkdir(w.path("conf.d"), 0o755); err != nil {
				w.t.Fatal(err)
			}
			w.file("conf.d/remote.conf.txt", strings.ReplaceAll(guarded, "{dir}", w.dir))
			args := w.settings("include_dir {dir}/conf.d\n")
			w.runs(1883)
			return args
		}},
	}
}

// moreServers are further ones, of settings that were not read again, of files, rules of firewalls and what the broker's log says of its clients.
func moreServers() []fault {
	added := func(file, text string) func(*world) {
		return func(w *world) {
			time.Sleep(2 * time.Second) // the times of files are told apart by seconds
			f, err := os.OpenFile(w.path(file), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
			if err != nil {
				w.t.Fatal(err)
			}
			_, _ = f.WriteString(text)
			_ = f.Close()
		}
	}
	return []fault{
		running("", "", "another broker at another port", guarded, func(w *world) {
			w.start(serverSide, []int{1884}, "mosquitto", "-c", w.file("second.conf", "user root\nlistener 1884\nallow_anonymous false\npassword_file "+w.path("passwords")+"\n"))
		}),

		running(cause.ConfigNotLoaded, "", "a user was added, and the broker has not read the file again", guarded, func(w *world) {
			time.Sleep(2 * time.Second)
			w.run(serverSide, "mosquitto_passwd", "-b", w.path("passwords"), "plug", "secret-7")
			w.comes(clientSide, "-h", server4, "-t", "a", "-u", "plug", "-P", "secret-7")
			w.logged("not authorised", 2)
		}),
		{name: "on the server: the access list was changed, and the broker has not read it again", on: serverSide, want: cause.ConfigNotLoaded, make: func(w *world) []string {
			w.passwords()
			w.file("acl", "user picket\ntopic read #\n")
			args := w.settings(guarded + "acl_file {dir}/acl\n")
			w.runs(1883)
			added("acl", "topic write #\n")(w)
			return args
		}},
		{name: "on the server: the list of revoked certificates has run out", on: serverSide, want: cause.ClientCertRefused, make: func(w *world) []string {
			w.good()
			w.file("crl.pem", revokedAt(w.t, garden.get(w.t), -24*time.Hour))
			args := w.settings("listener 8883\ncafile {dir}/ca.crt\ncrlfile {dir}/crl.pem\nrequire_certificate true\nuse_identity_as_username true\n" + secured)
			w.runs(8883)
			return args
		}},
		{name: "on the server: Picket lets nobody in, since there are no passwords", on: serverSide, want: cause.NoPasswordFile, make: func(w *world) []string {
			w.picket("listener 1883\nallow_anonymous false\n")
			return []string{"--server", "-c", w.path("picket.conf")}
		}},
		{name: "on the server: the port leads to a container, and nothing is forwarded", on: serverSide, want: cause.DockerPortNotPublished, make: func(w *world) []string {
			w.batch(serverSide, "link add docker0 type bridge\naddr add 172.17.0.1/16 dev docker0\nlink set docker0 up\n")
			w.run(serverSide, "sysctl", "-qw", "net.ipv4.ip_forward=0")
			w.tables(serverSide, "iptables", "-t nat -A PREROUTING -p tcp --dport 1883 -j DNAT --to-destination 172.17.0.2:1883")
			return []string{"--server", "-p", "1883"}
		}},
		running(cause.HostFirewallDrop, "", "nftables drops before routing", guarded, func(w *world) {
			w.nft(serverSide, "table inet raw {\n chain prerouting {\n type filter hook prerouting priority raw;\n iif eth0 tcp dport { 1883, 3306 } drop\n }\n}\n")
		}),
		running(cause.HostFirewallDrop, "", "the old iptables drops, and the new one has no rules", guarded, func(w *world) {
			w.tables(serverSide, "iptables-legacy", "-A INPUT -i eth0 -p tcp --dport 1883 -j DROP")
		}),
		broken(cause.KeyUnreadable, "", "the authority's file is not there", strings.Replace(secret, "certfile", "cafile {dir}/chain.pem\ncertfile", 1), (*world).good),
		broken(cause.PrivilegedPort, "", "port 443, and no right to it", "user mosquitto\nlistener 443\nallow_anonymous false\npassword_file {dir}/passwords\n", func(w *world) {
			w.letIn()
			_ = os.Chmod(w.path("passwords"), 0o644)         //nolint:gosec // for the broker's user
			_ = os.Chmod(w.file("mosquitto.log", ""), 0o666) //nolint:gosec // as if it were the broker's own
		}),
		broken(cause.BindBeforeNetwork, "", "an address that the machine does not have", "listener 1883 203.0.113.99\nallow_anonymous false\npassword_file {dir}/passwords\n", nil),
		{name: "on the server: messages cannot be written down", on: serverSide, want: cause.StoreFailed, make: func(w *world) []string {
			w.letIn()
			w.passwords()
			_ = os.Chmod(w.path("passwords"), 0o644)              //nolint:gosec // for the broker's user
			if err := os.Mkdir(w.path("db"), 0o755); err != nil { //nolint:gosec // root's, as sudo mkdir leaves it
				w.t.Fatal(err)
			}
			_ = os.Chmod(w.file("mosquitto.log", ""), 0o666) //nolint:gosec // as if it were the broker's own
			args := w.settings("user mosquitto\npersistence true\npersistence_location {dir}/db/\nautosave_interval 1\nautosave_on_changes true\n" + guarded)
			_ = os.Chmod(w.path("mosquitto.conf"), 0o644) //nolint:gosec // for the broker's user
			w.runs(1883)
			w.comes(clientSide, "-h", server4, "-t", "a", "-i", "meter", "-c", "-q", "1", "-u", user, "-P", password)
			w.logged("rror saving in-memory database", 1)
			return args
		}},
		running(cause.ProtocolViolation, "", "somebody asks its port for web pages", guarded, func(w *world) {
			w.start(clientSide, nil, "sh", "-c", "while :; do printf 'GET / HTTP/1.1\\r\\n\\r\\n' | timeout 2 bash -c 'cat > /dev/tcp/"+server4+"/1883'; sleep 0.3; done")
			w.logged("protocol error", 3)
		}),
		{name: "on the server: devices speak without TLS to the port of TLS", on: serverSide, want: cause.PlainToTLSPort, make: func(w *world) []string {
			w.passwords()
			w.good()
			args := w.settings(strings.Replace(secret, "8883", "8884", 1)) // mosquitto's clients take TLS by themselves at 8883
			w.runs(8884)
			w.comes(clientSide, "-h", server4, "-p", "8884", "-t", "a")
			w.logged("wrong version number", 3)
			return args
		}},
		{name: "on the server: devices come without the certificate that is asked for", on: serverSide, want: cause.ClientCertRequired, make: func(w *world) []string {
			w.good()
			args := w.settings("listener 8883\ncafile {dir}/ca.crt\nrequire_certificate true\nuse_identity_as_username true\n" + secured)
			w.runs(8883)
			w.comes(clientSide, "-h", server4, "-p", "8883", "-t", "a", "--cafile", w.path("ca.crt"))
			w.logged("did not return a certificate", 3)
			return args
		}},
	}
}
