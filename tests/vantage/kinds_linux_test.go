package vantage

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rules gives commands that each set one rule of the tutorials.
func rules(commands ...string) func(machine) {
	return func(m machine) {
		for _, c := range commands {
			m.run(strings.Fields(c)...)
		}
	}
}

// nft loads rules.
func nft(text string) func(machine) { return func(m machine) { m.filter(text) } }

// fault is something that keeps clients of a machine away, with the broker served as usual.
type fault struct {
	name    string
	make    func(machine)
	want    string // the first cause; empty: nothing
	exit    int
	outside string // what the probe meets
}

// What a machine's own filter does, with the programs that people set it with: each rule stands in some tutorial, or in what Docker writes.
func filters() []fault {
	const drop, reject = "host-firewall-drop", "host-firewall-reject"
	return []fault{
		{"iptables: the port on every interface", rules("iptables -A INPUT -p tcp --dport 1883 -j DROP"), drop, 12, "no answer"},
		{"iptables: rejected on every interface", rules("iptables -A INPUT -p tcp --dport 1883 -j REJECT"), reject, 12, ""},
		{"iptables: rejected with a reset", rules("iptables -A INPUT -p tcp --dport 1883 -j REJECT --reject-with tcp-reset"), reject, 12, "refused"},
		{"iptables, the old one: the port on every interface", rules("iptables-legacy -A INPUT -p tcp --dport 1883 -j DROP"), drop, 12, "no answer"},
		{"iptables: a policy", rules("iptables -A INPUT -i lo -j ACCEPT", "iptables -A INPUT -p tcp --dport 2002 -j ACCEPT", "iptables -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT", "iptables -P INPUT DROP"), drop, 12, "no answer"},
		{"iptables: allowed below what rejects all", rules("iptables -A INPUT -i lo -j ACCEPT", "iptables -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT", "iptables -A INPUT -j REJECT --reject-with icmp-host-prohibited", "iptables -A INPUT -p tcp --dport 1883 -j ACCEPT"), reject, 12, ""},
		{"iptables: allowed for UDP", rules("iptables -A INPUT -i lo -j ACCEPT", "iptables -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT", "iptables -A INPUT -p udp --dport 1883 -j ACCEPT", "iptables -P INPUT DROP"), drop, 12, "no answer"},
		{"iptables: all but a network", rules("iptables -A INPUT ! -s 192.168.0.0/16 -p tcp --dport 1883 -j DROP"), drop, 12, "no answer"},
		{"iptables: the answers", rules("iptables -A OUTPUT -p tcp --sport 1883 -j DROP"), drop, 12, "no answer"},
		{"iptables: a policy for what leaves", rules("iptables -A OUTPUT -o lo -j ACCEPT", "iptables -A OUTPUT -p tcp --sport 22 -j ACCEPT", "iptables -A OUTPUT -p tcp --dport 2002 -j ACCEPT", "iptables -P OUTPUT DROP"), drop, 12, "no answer"},
		{"iptables: the probe is banned", rules("iptables -N f2b-mosquitto", "iptables -A INPUT -p tcp --dport 1883 -j f2b-mosquitto", "iptables -A f2b-mosquitto -s "+there4+" -j REJECT --reject-with icmp-port-unreachable", "iptables -A f2b-mosquitto -j RETURN"), "rate-limit-or-ban", 12, ""},
		{"iptables: so many in a time", rules("iptables -A INPUT -p tcp --dport 1883 --syn -m limit --limit 3/min --limit-burst 3 -j ACCEPT", "iptables -A INPUT -p tcp --dport 1883 --syn -j DROP"), "rate-limit-or-ban", 0, ""},
		{"iptables: so many in a time from each", rules("iptables -A INPUT -p tcp --dport 1883 --syn -m hashlimit --hashlimit-above 2/min --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-name mqtt -j DROP"), "rate-limit-or-ban", 0, ""},
		{"iptables: new connections alone are let in", rules("iptables -A INPUT -i lo -j ACCEPT", "iptables -A INPUT -p tcp ! --dport 1883 -j ACCEPT", "iptables -A INPUT -p tcp --dport 1883 -m conntrack --ctstate NEW -j ACCEPT", "iptables -P INPUT DROP"), drop, 12, "open"},
		{"iptables: what is long", rules("iptables -A INPUT -p tcp --dport 1883 -m length --length 300:65535 -j DROP"), drop, 12, "open"},
		{"iptables: what has a text in it", rules("iptables -A INPUT -p tcp --dport 1883 -m string --algo bm --string MQTT -j DROP"), drop, 12, "open"},
		{"iptables: at certain times", rules("iptables -A INPUT -p tcp --dport 1883 -m time --datestop 2037-01-01T00:00:00 -j DROP"), drop, 12, "no answer"},
		{"iptables: let in at certain times", rules("iptables -A INPUT -i lo -j ACCEPT", "iptables -A INPUT -p tcp ! --dport 1883 -j ACCEPT", "iptables -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT", "iptables -A INPUT -p tcp --dport 1883 -m time --datestart 2037-01-01T00:00:00 -j ACCEPT", "iptables -P INPUT DROP"), drop, 12, "no answer"},
		{"iptables: the answers of the broker's user", rules("iptables -A OUTPUT -o eth0 -m owner --uid-owner mosquitto -j DROP"), drop, 12, "no answer"},
		{"iptables: not tracked, and new connections alone are let in", rules("iptables -t raw -A PREROUTING -p tcp --dport 1883 -j NOTRACK", "iptables -A INPUT -i lo -j ACCEPT", "iptables -A INPUT -p tcp ! --dport 1883 -j ACCEPT", "iptables -A INPUT -m conntrack --ctstate NEW,RELATED,ESTABLISHED -j ACCEPT", "iptables -P INPUT DROP"), drop, 12, "no answer"},
		{"nftables: not tracked, and new connections alone are let in", nft("table inet raw {\n chain early {\n  type filter hook prerouting priority raw;\n  tcp dport 1883 notrack\n }\n}\ntable inet filter {\n chain input {\n  type filter hook input priority 0; policy drop;\n  iifname lo accept\n  meta l4proto { icmp, ipv6-icmp } accept\n  tcp dport != 1883 accept\n  ct state established,related,new accept\n }\n}\n"), drop, 12, "no answer"},
		{"iptables: more connections than anybody has", rules("iptables -A INPUT -p tcp --dport 1883 --syn -m connlimit --connlimit-above 200 -j REJECT", "iptables -A INPUT -p tcp --dport 1883 --syn -m hashlimit --hashlimit-above 300/sec --hashlimit-mode srcip --hashlimit-name mqtt -j DROP"), "", 0, "open"},
		{"nftables: new connections alone are let in", nft("table inet filter {\n chain input {\n  type filter hook input priority 0; policy drop;\n  iifname lo accept\n  tcp dport != 1883 accept\n  meta l4proto icmp accept\n  ct state new tcp dport 1883 accept\n }\n}\n"), drop, 12, "open"},
		{"nftables: what is long", nft("table inet filter {\n chain input {\n  type filter hook input priority 0;\n  tcp dport 1883 meta length > 300 drop\n }\n}\n"), drop, 12, "open"},
		{"nftables: what begins as a CONNECT", nft("table inet filter {\n chain input {\n  type filter hook input priority 0;\n  tcp dport 1883 @ih,0,8 0x10 drop\n }\n}\n"), drop, 12, "open"},
		{"nftables: at certain times", nft("table inet filter {\n chain input {\n  type filter hook input priority 0;\n  tcp dport 1883 meta time < \"2037-01-01 00:00:00\" drop\n }\n}\n"), drop, 12, "no answer"},
		{"nftables: its own table named filter", nft("table ip filter {\n chain input {\n  type filter hook input priority 0; policy accept;\n  tcp dport 1883 drop\n }\n}\n"), drop, 12, "no answer"},
		{"nftables: the answers", nft("table inet filter {\n chain output {\n  type filter hook output priority 0; policy accept;\n  tcp sport 1883 drop\n }\n}\n"), drop, 12, "no answer"},
		{"nftables: all but a set", nft("table inet filter {\n set friends {\n  type ipv4_addr; elements = { 192.0.2.7 }\n }\n chain input {\n  type filter hook input priority 0;\n  tcp dport 1883 ip saddr != @friends drop\n }\n}\n"), drop, 12, "no answer"},
		{"nftables: so many in a time", nft("table inet filter {\n chain input {\n  type filter hook input priority 0;\n  tcp dport 1883 ct state new limit rate over 2/minute burst 2 packets drop\n }\n}\n"), "rate-limit-or-ban", 0, ""},
		{"nftables: before routing", nft("table inet raw {\n chain early {\n  type filter hook prerouting priority raw;\n  tcp dport 1883 drop\n }\n}\n"), drop, 12, "no answer"},
	}
}

func TestFilters(t *testing.T) {
	for _, f := range filters() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			here, _ := neighbours(t)
			here.serving()
			f.make(here)
			for _, args := range [][]string{{"--from", there4}, nil} {
				r := here.doctor(args...)
				if f.want == "rate-limit-or-ban" && args == nil && f.exit == 12 {
					continue // nobody is there whom it concerns
				}
				if r.first() != f.want || (r.Exit == 0) != (f.want == "") || f.exit != 0 && r.Exit != f.exit {
					t.Errorf("%v: first %q, status %d; want %q, status %d", args, r.first(), r.Exit, f.want, f.exit)
				}
				if args != nil && f.outside != "" && !r.has("dial-from-outside", f.outside) {
					t.Errorf("from outside it is not %q", f.outside)
				}
			}
		})
	}
}

// container is a machine beside the broker's, such as Docker makes, with the port led on to it by rules that Docker writes.
func container(t *testing.T, more ...string) (here machine) {
	t.Helper()
	here, _ = neighbours(t)
	inside := newMachine(t)
	cable(here, "docker0", []string{"172.17.0.1/16"}, inside, "eth0", []string{"172.17.0.2/16"})
	inside.run("ip", "route", "add", "default", "via", "172.17.0.1")
	inside.serving()
	here.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
	for _, c := range append([]string{
		"iptables -t nat -N DOCKER", "iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER", "iptables -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 1883 -j DNAT --to-destination 172.17.0.2:1883",
		"iptables -N DOCKER", "iptables -N DOCKER-USER", "iptables -A FORWARD -j DOCKER-USER", "iptables -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "iptables -A FORWARD -o docker0 -j DOCKER",
		"iptables -A FORWARD -i docker0 ! -o docker0 -j ACCEPT", "iptables -A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 1883 -j ACCEPT", "iptables -P FORWARD DROP",
	}, more...) {
		here.run(strings.Fields(c)...)
	}
	return here
}

func TestContainers(t *testing.T) {
	for _, f := range []struct{ name, want, commands string }{
		{"all is well", "", ""},
		{"a rule in DOCKER-USER", "host-firewall-drop", "iptables -A DOCKER-USER -i eth0 -p tcp -m conntrack --ctorigdstport 1883 -j DROP"},
		{"all but a network, in DOCKER-USER", "host-firewall-drop", "iptables -I DOCKER-USER -i eth0 ! -s 192.168.0.0/16 -j DROP"},
		{"forwarding is off", "docker-port-not-published", "sysctl -qw net.ipv4.ip_forward=0"},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			var more []string
			if f.commands != "" {
				more = []string{f.commands}
			}
			here := container(t, more...)
			for _, args := range [][]string{{"--from", there4}, nil} {
				r := here.doctor(append(args, "--port", "1883")...)
				if r.first() != f.want || (r.Exit == 0) != (f.want == "") {
					t.Errorf("%v: first %q, status %d; want %q", args, r.first(), r.Exit, f.want)
				}
			}
		})
	}
}

// pidOf is the process of the broker.
func (r report) pidOf(t *testing.T) int {
	t.Helper()
	for _, f := range r.Facts {
		if f.Kind == "broker" {
			_, rest, _ := strings.Cut(string(f.Data), `"pid": `)
			number, _, _ := strings.Cut(rest, ",")
			pid, err := strconv.Atoi(strings.TrimSpace(number))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatal("there is no broker")
	return 0
}

// What the broker's sockets and its process tell.
func TestSockets(t *testing.T) {
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		here, _ := neighbours(t)
		here.serving()
		pid := here.doctor().pidOf(t)
		here.run("kill", "-STOP", strconv.Itoa(pid))
		defer here.run("kill", "-CONT", strconv.Itoa(pid))
		for _, args := range [][]string{{"--from", there4}, nil} {
			r := here.doctor(args...)
			r.want(t, "broker-silent", 13, [2]string{"broker", "has been stopped"})
		}
	})
	t.Run("one address", func(t *testing.T) {
		t.Parallel()
		here, _ := neighbours(t)
		here.run("ip", "addr", "add", "10.9.9.9/32", "dev", "lo")
		here.mosquitto(1883, "listener 1883 10.9.9.9\nallow_anonymous true\n")
		here.doctor("--from", there4).want(t, "loopback-only", 10)
	})
	t.Run("one family", func(t *testing.T) {
		t.Parallel()
		here, _ := neighbours(t)
		here.mosquitto(1883, "listener 1883 0.0.0.0\nallow_anonymous false\npassword_file /dev/null\n")
		if r := here.doctor("--from", there6); r.first() != "ipv4-only-listener" {
			t.Errorf("the first cause is %q", r.first())
		}
		if r := here.doctor("--from", there4); r.first() == "ipv4-only-listener" {
			t.Error("nobody comes by IPv6, and it is named")
		}
	})
	t.Run("another port", func(t *testing.T) {
		t.Parallel()
		here, _ := neighbours(t)
		here.serving()
		here.doctor("--port", "8883", "--from", there4).want(t, "wrong-port", 12)
	})
	t.Run("two brokers", func(t *testing.T) {
		t.Parallel()
		here, _ := neighbours(t)
		here.mosquitto(1883, "listener 1883 127.0.0.1\nallow_anonymous true\n")
		dir := here.dir()
		write(t, filepath.Join(dir, "picket.conf"), "listener 1883 "+here4+"\nallow_anonymous false\npassword_file "+dir+"/passwords\nuser root\n", 0o644)
		write(t, filepath.Join(dir, "passwords"), "ada:$7$101$cm9ja3NhbHRzYWx0$OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk=\n", 0o644)
		here.start(1883, binary, "serve", "-c", filepath.Join(dir, "picket.conf"))
		r := here.doctor()
		if !slices.ContainsFunc(r.Findings, func(f finding) bool { return f.Cause == "port-taken" }) {
			t.Errorf("got %v", r)
		}
	})
}
