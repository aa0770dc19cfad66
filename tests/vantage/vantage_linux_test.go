package vantage

import (
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The addresses of two machines that are neighbours. The ports are MQTT's own: every machine has its own.
const (
	here4, here6   = "203.0.113.10", "2001:db8:1::10"
	there4, there6 = "203.0.113.20", "2001:db8:1::20"
)

// neighbours are the broker's machine and one from which it is looked at, next to each other. The second is the gateway of the first as well.
func neighbours(t *testing.T) (here, there machine) {
	t.Helper()
	here, there = newMachine(t), newMachine(t)
	cable(here, "eth0", []string{here4 + "/24", here6 + "/64"}, there, "eth0", []string{there4 + "/24", there6 + "/64"})
	here.run("ip", "route", "add", "default", "via", there4)
	there.probe()
	return here, there
}

// apart are the broker's machine, a router, and one from which it is looked at, behind the router.
func apart(t *testing.T) (here, router, there machine) {
	t.Helper()
	here, router, there = newMachine(t), newMachine(t), newMachine(t)
	cable(here, "eth0", []string{"192.168.1.2/24"}, router, "lan", []string{"192.168.1.1/24"})
	cable(router, "wan", []string{"203.0.113.1/24"}, there, "eth0", []string{there4 + "/24"})
	here.run("ip", "route", "add", "default", "via", "192.168.1.1")
	there.run("ip", "route", "add", "192.168.1.0/24", "via", "203.0.113.1")
	router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
	there.probe()
	return here, router, there
}

// masquerade gives what comes out of the router the router's address.
const masquerade = `table ip nat {
	chain post {
		type nat hook postrouting priority 100
		oifname "wan" masquerade
	}
}
`

// serving is a mosquitto on all addresses of the machine, with a password.
func (m machine) serving() {
	m.t.Helper()
	dir := m.dir()
	write(m.t, filepath.Join(dir, "passwords"), "ada:$7$101$cm9ja3NhbHRzYWx0$OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk=\n", 0o644)
	write(m.t, filepath.Join(dir, "acl"), "user ada\ntopic readwrite #\n", 0o644)
	m.mosquitto(1883, "listener 1883\nallow_anonymous false\npassword_file "+dir+"/passwords\nacl_file "+dir+"/acl\n")
}

func TestHealthy(t *testing.T) {
	t.Parallel()
	here, _ := neighbours(t)
	here.serving()
	for _, from := range []string{there4, there6} {
		r := here.doctor("--from", from)
		r.want(t, "", 0,
			[2]string{"broker", "mosquitto runs as process"},
			[2]string{"listen", "0.0.0.0:1883: all addresses"}, [2]string{"listen", "[::]:1883: all addresses"},
			[2]string{"configuration", "listener 1883 (password needed, users: 1, ACL)"},
			[2]string{"dial-here", "127.0.0.1:1883: open"}, [2]string{"dial-here", "[" + here6 + "]:1883: open"},
			[2]string{"seen-from-outside", "nothing on the way translates it"},
			[2]string{"no-firewall", ""}, [2]string{"dial-from-outside", ":1883: open"},
			[2]string{"way", "loss 0.0 % out and 0.0 % back, packets up to 1500 bytes out and 1500 back"})
	}
	// Another user sees less, and is told so.
	r := here.doctorAs(nobody)
	r.want(t, "", 0,
		[2]string{"unread", "run this as root"}, [2]string{"listen", "mosquitto (process"}, [2]string{"public-address-unknown", ""},
		[2]string{"unread", "The firewall's rules cannot be read"})
}

const dropping = `table inet filter {
	chain input {
		type filter hook input priority 0; policy drop;
		ct state established,related accept
		iif lo accept
		meta l4proto { icmp, ipv6-icmp } accept
		tcp dport 22 accept
	}
}
`

const rejecting = `table inet filter {
	chain input {
		type filter hook input priority 0; policy accept;
		ct state established,related accept
		iif lo accept
		reject with icmpx type admin-prohibited
	}
}
`

func TestHostFirewall(t *testing.T) {
	for _, c := range []struct{ name, rules, cause, verdict, outside string }{
		{"drop", dropping, "host-firewall-drop", "drops connections to " + here4 + ":1883 by the policy of inet filter input", "no answer"},
		{"reject", rejecting, "host-firewall-reject", "rejects connections to " + here4 + ":1883 by the rule", "rejected on the way"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			here, _ := neighbours(t)
			here.serving()
			here.filter(c.rules)
			r := here.doctor("--from", there4)
			r.want(t, c.cause, 12, [2]string{"firewall", c.verdict}, [2]string{"dial-here", here4 + ":1883: open"}, [2]string{"dial-from-outside", c.outside})
			if len(r.Findings) == 0 || r.Findings[0].Fit < 90 || len(r.Findings[0].Steps) == 0 || !strings.Contains(r.Findings[0].Steps[0].Lines, "nft insert rule inet filter input tcp dport 1883 accept") {
				t.Errorf("got %+v", r.Findings)
			}
			// The rules alone say it, without anybody outside.
			here.doctor().want(t, c.cause, 12)
			// Who may not read them can still be told that it is closed.
			r = here.doctorAs(nobody, "--from", there4)
			r.want(t, c.cause, 12, [2]string{"unread", "The firewall's rules cannot be read"}, [2]string{"dial-from-outside", c.outside})
		})
	}
}

func TestLoopbackOnly(t *testing.T) {
	t.Parallel()
	here, _ := neighbours(t)
	here.mosquitto(1883, "")
	here.filter(dropping) // whatever the firewall does: this comes first
	r := here.doctor("--from", there4)
	r.want(t, "loopback-only", 10, [2]string{"listen", "127.0.0.1:1883: this machine only"}, [2]string{"dial-here", here4 + ":1883: refused"})
	here.run("nft", "flush", "ruleset")
	r = here.doctor("--from", there4)
	r.want(t, "loopback-only", 10, [2]string{"dial-from-outside", "refused"})
	if len(r.Findings) == 0 || !slices.Contains(r.Findings[0].RuledOut, struct{ Cause string }{"security-group-closed"}) {
		t.Errorf("the security group is not ruled out: %+v", r.Findings)
	}
}

// What lies before the machine drops: only the second vantage point can tell.
func TestClosedFromOutside(t *testing.T) {
	t.Parallel()
	here, router, _ := apart(t)
	here.serving()
	router.filter("table inet group {\n\tchain forward {\n\t\ttype filter hook forward priority 0; policy accept;\n\t\ttcp dport 1883 ct state new drop\n\t}\n}\n")
	if r := here.doctor(); r.Exit != 0 {
		t.Errorf("seen from here alone: exit status %d", r.Exit)
	}
	r := here.doctor("--from", there4)
	r.want(t, "security-group-closed", 12, [2]string{"no-firewall", ""}, [2]string{"dial-here", "192.168.1.2:1883: open"}, [2]string{"dial-from-outside", "no answer"})
	if len(r.Findings) == 0 || !slices.Contains(r.Findings[0].RuledOut, struct{ Cause string }{"host-firewall-drop"}) {
		t.Errorf("the machine's own firewall is not ruled out: %+v", r.Findings)
	}
}

func TestNAT(t *testing.T) {
	t.Parallel()
	here, router, _ := apart(t)
	here.serving()
	router.filter(masquerade)
	r := here.doctor("--from", there4)
	r.want(t, "nat-no-port-forward", 12,
		[2]string{"seen-from-outside", there4 + " sees this machine as 203.0.113.1: on the way its own address 192.168.1.2 is translated (NAT)"},
		[2]string{"dial-from-outside", "203.0.113.1:1883: refused"})
}

// firmware are the words that show a command Alibaba's firmware.
var firmware = []string{"sh", "-c", `mount -t tmpfs none /sys/class && mkdir -p /sys/class/dmi/id && echo "Alibaba Cloud" > /sys/class/dmi/id/sys_vendor && exec "$@"`, "sh"}

// The metadata of a cloud, told by a service on the machine itself, and its security group.
func TestCloud(t *testing.T) {
	t.Parallel()
	here, router, _ := apart(t)
	here.serving()
	router.filter(masquerade + "table inet group {\n\tchain in {\n\t\ttype filter hook input priority 0; policy accept;\n\t\ttcp dport 1883 drop\n\t}\n}\n")
	here.run("ip", "addr", "add", "100.100.100.200/32", "dev", "lo")
	here.http("100.100.100.200:80", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/latest/meta-data/eipv4" {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte("203.0.113.1"))
	})
	if out, err := here.command(append(slices.Clone(firmware), "true")...).CombinedOutput(); err != nil {
		t.Skipf("another firmware cannot be shown here: %v: %s", err, out)
	}
	r := here.doctorAs(firmware, "--from", there4)
	r.want(t, "security-group-closed", 12, [2]string{"cloud", "The machine runs in Alibaba Cloud; its public address is 203.0.113.1"})
	if len(r.Findings) == 0 || r.Findings[0].Fit < 90 || len(r.Findings[0].Steps) == 0 || !strings.Contains(r.Findings[0].Steps[0].Lines, "aliyun") {
		t.Errorf("got %+v", r.Findings)
	}
}

// http serves on an address of the machine until the test ends.
func (m machine) http(address string, handler http.HandlerFunc) {
	m.t.Helper()
	m.serve(m.listen(address), handler)
}

// serve serves until the test ends.
func (m machine) serve(l net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: patience, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan struct{})
	go func() { server.Serve(l); close(served) }()
	m.t.Cleanup(func() { server.Close(); <-served })
}

// listen opens a port on an address of the machine.
func (m machine) listen(address string) (l net.Listener) {
	m.t.Helper()
	err := m.inside(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return l
}

// inside opens sockets on the machine.
func (m machine) inside(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		fd, err := unix.Open("/run/netns/"+m.name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
		}
		if err == nil {
			err = do()
		}
		done <- err
	}()
	return <-done
}

func TestWay(t *testing.T) {
	t.Parallel()
	here, router, _ := apart(t)
	here.serving()
	router.run("ip", "link", "set", "wan", "mtu", "1300")
	here.doctor("--from", there4).want(t, "", 0, [2]string{"way", "packets up to 1300 bytes out"})

	// A router that does not say so: a black hole.
	here.run("ip", "route", "flush", "cache")
	router.filter("table inet quiet {\n\tchain out {\n\t\ttype filter hook output priority 0; policy accept;\n\t\tmeta l4proto icmp drop\n\t}\n}\n")
	r := here.doctor("--from", there4)
	r.want(t, "mtu-blackhole", 12, [2]string{"way", "larger ones disappear without a word"})

	router.run("nft", "flush", "ruleset")
	router.run("ip", "link", "set", "wan", "mtu", "1500")
	here.run("ip", "route", "flush", "cache")
	router.filter("table inet lossy {\n\tchain forward {\n\t\ttype filter hook forward priority 0; policy accept;\n\t\tip saddr 192.168.1.2 udp dport 2002 numgen random mod 10 < 3 drop\n\t}\n}\n")
	r = here.doctor("--from", there4)
	r.want(t, "lossy-network", 3)
	if !r.has("way", "% out and 0.0 % back") {
		t.Error("what is lost on the way out is not told from the way back")
	}
}

// Who does not hold the token learns nothing, and no probe is no conclusion.
func TestVantageRefused(t *testing.T) {
	t.Parallel()
	here, _ := neighbours(t)
	here.serving()
	file := filepath.Join(here.dir(), "token")
	write(t, file, "another token, of which the server knows nothing\n", 0o600)
	here.doctor("--from", there4, "--token-file", file).want(t, "", 1, [2]string{"unread", "probe-token-wrong"})
	here.doctor("--from", there4+":2003").want(t, "", 1, [2]string{"unread", "connection refused"})
}

func TestPicket(t *testing.T) {
	t.Parallel()
	here, _ := neighbours(t)
	data := filepath.Join(here.dir(), "data")
	here.start(1883, binary, "serve", "--data", data, "--user", "root")
	r := here.doctor("--from", there4)
	r.want(t, "", 0,
		[2]string{"broker", "picket runs as process"},
		[2]string{"configuration", data + ", listener 1883 (MQTT, WebSocket and TLS, password needed from other machines, users: 1)"},
		[2]string{"certificate", "served as it is"}, [2]string{"disk", data}, [2]string{"files", "room for"}, [2]string{"dial-from-outside", "open"})

	// Whoever makes the key readable for all is told.
	if err := os.Chmod(filepath.Join(data, "server.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	here.doctor().want(t, "file-permissions", 3, [2]string{"certificate", "can be read by every user (0644)"})
}

// A configuration that the running process does not have, and one with which none starts.
func TestConfiguration(t *testing.T) {
	t.Parallel()
	here := newMachine(t)
	cable(here, "eth0", []string{here4 + "/24"}, newMachine(t), "eth0", []string{there4 + "/24"})
	dir := here.mosquitto(1883, "listener 1883\nallow_anonymous true\n")
	file := filepath.Join(dir, "mosquitto.conf")
	here.doctor().want(t, "open-to-everyone", 3)

	write(t, file, "listener 1883\nallow_anonymous false\npassword_file "+dir+"/passwords\nlistener 1884\n", 0o644)
	later := time.Now().Add(time.Hour) // the process' start is known to about a second
	if err := os.Chtimes(file, later, later); err != nil {
		t.Fatal(err)
	}
	here.doctor().want(t, "config-not-loaded", 10, [2]string{"configuration", "changed after the broker started"}, [2]string{"not-listening", "1884"})

	other := newMachine(t)
	write(t, filepath.Join(dir, "wrong.conf"), "listener 1883\nallow_anonymous false\nlistner 1884\n", 0o644)
	other.doctor("-c", filepath.Join(dir, "wrong.conf")).want(t, "config-unknown-directive", 10, [2]string{"configuration", "wrong.conf:3"}, [2]string{"no-broker", ""})
}
