package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"picket/cause"
	"picket/doctor"
)

// A broker that is well.
var (
	mosquitto = Broker{PID: 100, Program: "mosquitto", User: "mosquitto", Started: 1_800_000_000, Config: "/etc/mosquitto/mosquitto.conf"}
	listening = Listen{Address: "0.0.0.0", Port: 1883, Scope: AllScope, PID: 100, Program: "mosquitto", Broker: true}
	config    = Config{File: "/etc/mosquitto/mosquitto.conf", Program: "mosquitto", PID: 100, Files: 1,
		Listeners: []ConfigListener{{Port: 1883, Passwords: true, Source: "/etc/mosquitto/mosquitto.conf:1"}}}
	public   = Addresses{All: []Address{{"203.0.113.10", "eth0", "internet", true}}}
	private  = Addresses{All: []Address{{"10.0.0.5", "eth0", "network", true}}}
	dialed   = Dial{Address: "203.0.113.10", Port: 1883, Result: "open"}
	natDial  = Dial{Address: "10.0.0.5", Port: 1883, Result: "open"}
	accepted = Firewall{Address: "203.0.113.10", Port: 1883, Manager: "ufw", Verdict: "accept", Where: "iptables filter ufw-user-input", Rule: "-A ufw-user-input -p tcp --dport 1883 -j ACCEPT"}
	dropped  = Firewall{Address: "203.0.113.10", Port: 1883, Manager: "ufw", Verdict: "drop", Where: "iptables filter INPUT"}
	rejected = Firewall{Address: "203.0.113.10", Port: 1883, Manager: "firewalld", Verdict: "reject", Where: "inet firewalld filter_IN_public", Rule: "reject with icmpx admin-prohibited"}
	natOK    = Firewall{Address: "10.0.0.5", Port: 1883, Manager: "nftables", Verdict: "accept", Where: "inet filter input"}
	goodWay  = Way{From: "198.51.100.20", RTT: 20, Measured: true, MTUOut: 1500, MTUBack: 1500, Full: true}
)

func outside(result string) Outside {
	return Outside{From: "198.51.100.20", Address: "203.0.113.10", Local: "203.0.113.10", Port: 1883, Result: result}
}

func outsideNAT(result string) Outside {
	return Outside{From: "198.51.100.20", Address: "192.0.2.77", Local: "10.0.0.5", Port: 1883, Result: result}
}

func TestRules(t *testing.T) {
	with := func(c Config, change func(*Config)) Config { change(&c); return c }
	for _, c := range []struct {
		name  string
		facts []doctor.Fact
		want  string // the causes, best first
	}{
		{"healthy", []doctor.Fact{mosquitto, listening, config, public, dialed, accepted, outside("open"), goodWay}, ""},
		{"healthy, nobody looked from outside", []doctor.Fact{mosquitto, listening, config, private, natDial, natOK}, ""},
		{"healthy with a strict firewall, as it turns out", []doctor.Fact{mosquitto, listening, config, public, dialed, dropped, outside("open"), goodWay}, ""},

		{"not running", []doctor.Fact{NoBroker{Complete: true}, NotListening{1883}}, "broker-not-running"},
		{"not running, and its unit says why", []doctor.Fact{NoBroker{Complete: true}, NotListening{1883}, Service{Unit: "mosquitto.service", Active: "failed", Sub: "failed", Result: "oom-kill"}}, "memory-limit-oom"},
		{"not running, and nothing says why", []doctor.Fact{NoBroker{Complete: true}, NotListening{1883}, with(config, func(c *Config) { c.PID = 0 })}, "broker-not-running"},
		{"a broker of another name", []doctor.Fact{NoBroker{Complete: true}, Listen{Address: "0.0.0.0", Port: 1883, Scope: AllScope, PID: 9, Program: "java"}, Answer{Address: "127.0.0.1", Port: 1883, Heard: SaidMQTT}}, ""},
		{"no broker, and something else has the port", []doctor.Fact{NoBroker{Complete: true}, Listen{Address: "0.0.0.0", Port: 1883, Scope: AllScope, PID: 9, Program: "java"}, Answer{Address: "127.0.0.1", Port: 1883, Heard: Silence}}, "port-taken"},
		{"the key is locked", []doctor.Fact{NoBroker{Complete: true}, NotListening{8883}, with(config, func(c *Config) { c.PID = 0 }), Certificate{File: "a.crt", KeyFile: "a.key", Port: 8883, Days: 80, KeyLocked: true}}, "key-unreadable"},
		{"sockets in the file system alone", []doctor.Fact{mosquitto, NotListening{1883}, with(config, func(c *Config) {
			c.Listeners = []ConfigListener{{Loopback: true, Passwords: true, Users: 1, Source: "/m.conf:1"}}
		})}, "loopback-only"},
		{"neighbours are kept", []doctor.Fact{mosquitto, listening, config, public, dialed, accepted, Firewall{Address: "2001:db8::1", Port: 1883, Verdict: "drop", Where: "inet filter input", Neighbours: true}}, "host-firewall-drop"},
		{"a port leads to nobody", []doctor.Fact{NoBroker{Complete: true}, NotListening{1883}, public, Firewall{Address: "203.0.113.5", Port: 1883, Verdict: "accept", To: "172.17.0.2:1884"}, Led{Port: 1883, To: "172.17.0.2:1884", Result: "refused"}}, "broker-not-running"},
		{"a port leads to a place that is gone", []doctor.Fact{NoBroker{Complete: true}, NotListening{1883}, public, Firewall{Address: "203.0.113.5", Port: 1883, Verdict: "accept", To: "172.17.0.2:1884"}, Led{Port: 1883, To: "172.17.0.2:1884", Result: "timeout"}}, "host-down"},
		{"answers end in a route", []doctor.Fact{mosquitto, listening, config, public, dialed, accepted, DeadRoute{Network: "192.168.0.0/16", Way: "blackhole", Probe: true}}, "no-default-route"},
		{"answers to one end in a route", []doctor.Fact{mosquitto, listening, config, public, dialed, accepted, DeadRoute{Network: "192.0.2.1/32", Way: "unreachable", Probe: true}}, "rate-limit-or-ban"},
		{"a route keeps a stranger away", []doctor.Fact{mosquitto, listening, config, public, dialed, accepted, DeadRoute{Network: "192.0.2.1/32", Way: "unreachable"}}, ""},
		{"answers to the probe leave by a VPN", []doctor.Fact{mosquitto, listening, config, public, dialed, accepted, NoRoute{Address: "203.0.113.5", Interface: "eth0", Tunnel: "tun0", To: "192.0.2.1"}}, "no-default-route"},
		{"not running, and its log says why", []doctor.Fact{NoBroker{Complete: true}, NotListening{1883},
			Log{Source: "x", Lines: 9, Entry: []Entry{{Cause: cause.KeyUnreadable, Count: 1, Last: "Error: Unable to load server key file", Start: true}}}}, "key-unreadable"},
		{"not running because of its configuration", []doctor.Fact{NoBroker{Complete: true}, NotListening{1883},
			Log{Source: "x", Lines: 9, Entry: []Entry{{Cause: cause.ConfigErrorExit, Count: 1, Last: "Error found at /etc/mosquitto/mosquitto.conf:7.", Start: true}}},
			with(config, func(c *Config) {
				c.PID, c.Default = 0, true
				c.Problems = []Problem{{"/etc/mosquitto/mosquitto.conf", 7, "Unknown configuration variable \"listner\".", cause.ConfigUnknownDirective, "", ""}}
			})}, "config-unknown-directive"},
		{"somebody's sockets, which may not be looked into", []doctor.Fact{NoBroker{}, Unread{What: "processes", Why: "permission denied", Root: true}, Listen{Address: "0.0.0.0", Port: 1883, Scope: AllScope}}, ""},

		{"loopback only", []doctor.Fact{mosquitto, Listen{Address: "127.0.0.1", Port: 1883, Scope: LoopbackScope, PID: 100, Program: "mosquitto", Broker: true}, public,
			Dial{Address: "203.0.113.10", Port: 1883, Result: "refused"}, dropped, outside("timeout")}, "loopback-only"},
		{"loopback only, because its configuration is not read", []doctor.Fact{Broker{PID: 100, Program: "mosquitto", User: "mosquitto"},
			Listen{Address: "127.0.0.1", Port: 1883, Scope: LoopbackScope, PID: 100, Program: "mosquitto", Broker: true},
			with(config, func(c *Config) { c.PID, c.Default = 0, true })}, "config-not-loaded"},
		{"a listener was added, and the broker not restarted", []doctor.Fact{mosquitto, listening, with(config, func(c *Config) {
			c.Newer = true
			c.Listeners = append(c.Listeners, ConfigListener{Port: 8883, TLS: true, Passwords: true})
		})}, "config-not-loaded"},
		{"changed and not reloaded", []doctor.Fact{mosquitto, listening, with(config, func(c *Config) { c.Newer = true })}, "config-not-loaded"},
		{"changed and reloaded", []doctor.Fact{mosquitto, listening, with(config, func(c *Config) { c.Newer, c.Reloaded = true, true })}, ""},
		{"a folder is not included", []doctor.Fact{mosquitto, listening, with(config, func(c *Config) { c.NotIncluded = []string{"/etc/mosquitto/conf.d/a.conf"} })}, "config-not-loaded"},
		{"anonymous", []doctor.Fact{mosquitto, listening, with(config, func(c *Config) { c.Listeners = []ConfigListener{{Port: 1883, Anonymous: true}} })}, "open-to-everyone"},
		{"anonymous on the loopback address", []doctor.Fact{mosquitto, listening, with(config, func(c *Config) {
			c.Listeners = []ConfigListener{{Port: 1883, Passwords: true}, {Address: "127.0.0.1", Port: 1884, Loopback: true, Anonymous: true}}
		}), Listen{Address: "127.0.0.1", Port: 1884, Scope: LoopbackScope, PID: 100, Program: "mosquitto", Broker: true}}, ""},
		{"nobody can log in", []doctor.Fact{mosquitto, listening, with(config, func(c *Config) { c.Listeners = []ConfigListener{{Port: 1883}} })}, "no-password-file"},
		{"another program has the port", []doctor.Fact{mosquitto, Listen{Address: "0.0.0.0", Port: 8883, Scope: AllScope, PID: 100, Program: "mosquitto", Broker: true},
			Listen{Address: "0.0.0.0", Port: 1883, Scope: AllScope, PID: 7, Program: "beam.smp"}, with(config, func(c *Config) {
				c.Listeners = append(c.Listeners, ConfigListener{Port: 8883, Passwords: true})
			})}, "port-taken"},

		{"the firewall drops", []doctor.Fact{mosquitto, listening, config, public, dialed, dropped}, "host-firewall-drop"},
		{"the firewall drops, seen from outside", []doctor.Fact{mosquitto, listening, config, public, dialed, dropped, outside("timeout"), goodWay}, "host-firewall-drop"},
		{"the firewall rejects", []doctor.Fact{mosquitto, listening, config, public, dialed, rejected, outside("unreachable"), goodWay}, "host-firewall-reject"},
		{"a cloud's security group", []doctor.Fact{mosquitto, listening, config, private, Cloud{Name: "alibaba", Public: []string{"192.0.2.77"}, Asked: true}, natDial, natOK, outsideNAT("timeout"), goodWay}, "security-group-closed"},
		{"a provider's firewall", []doctor.Fact{mosquitto, listening, config, public, dialed, accepted, outside("timeout"), goodWay}, "security-group-closed vpc-acl"},
		{"the rules cannot be read", []doctor.Fact{mosquitto, listening, config, public, dialed, Unread{What: "firewall", Why: "Operation not permitted", Root: true}, outside("timeout"), goodWay}, "host-firewall-drop security-group-closed"},
		{"a router at home", []doctor.Fact{mosquitto, listening, config, private, natDial, NoFirewall{}, outsideNAT("timeout"), goodWay}, "nat-no-port-forward security-group-closed cgnat"},
		{"the rules cannot be read, and ufw is on", []doctor.Fact{mosquitto, listening, config, public, dialed, Unread{What: "firewall", Why: "Operation not permitted", Root: true},
			FirewallTool{Name: "ufw", By: "/etc/ufw/ufw.conf"}, outside("timeout"), goodWay}, "host-firewall-drop security-group-closed"},
		{"nobody listens, seen from outside", []doctor.Fact{NoBroker{Complete: true}, NotListening{1883}, public, NoFirewall{}, outside("refused"), goodWay}, "broker-not-running"},
		{"a certificate that ends soon does not come before a firewall", []doctor.Fact{mosquitto, listening, config, public, dialed, dropped, Certificate{File: "a.crt", Port: 8883, Days: 5}}, "host-firewall-drop tls-expires-soon"},
		{"what is told of addresses", []doctor.Fact{mosquitto, listening, config, private, Seen{From: "198.51.100.20", Address: "192.0.2.77", Local: "10.0.0.5"},
			Seen{From: "198.51.100.20", Address: "203.0.113.10", Local: "203.0.113.10"}, PublicUnknown{}}, ""},
		{"a router at home that refuses", []doctor.Fact{mosquitto, listening, config, private, natDial, NoFirewall{}, outsideNAT("refused"), goodWay}, "nat-no-port-forward"},
		{"an address that a provider shares", []doctor.Fact{mosquitto, listening, config, Dial{Address: "100.64.3.4", Port: 1883, Result: "open"}, NoFirewall{},
			Outside{From: "198.51.100.20", Address: "192.0.2.77", Local: "100.64.3.4", Port: 1883, Result: "timeout"}, goodWay}, "cgnat"},
		{"no public address", []doctor.Fact{mosquitto, listening, config, private, Cloud{Name: "huawei", Asked: true}, natDial, natOK}, "no-public-ip"},

		{"Docker's proxy with nothing behind", []doctor.Fact{Broker{PID: 200, Program: "mosquitto", Container: true},
			Listen{Address: "127.0.0.1", Port: 1883, Scope: LoopbackScope, PID: 200, Program: "mosquitto", Broker: true, Container: true},
			Listen{Address: "0.0.0.0", Port: 1883, Scope: AllScope, PID: 300, Program: "docker-proxy"},
			Published{Container: "mqtt", Address: "0.0.0.0", Port: 1883, Target: "1883", By: "docker ps"}, public, dialed, NoFirewall{}, outside("closed"), goodWay}, "docker-default-conf"},
		{"a container that nobody reaches", []doctor.Fact{Broker{PID: 200, Program: "mosquitto", Container: true},
			Listen{Address: "0.0.0.0", Port: 1883, Scope: AllScope, PID: 200, Program: "mosquitto", Broker: true, Container: true}, NotListening{1883},
			Container{Name: "mqtt", Image: "eclipse-mosquitto:2"}}, "docker-port-not-published"},
		{"a container, and no Docker that tells", []doctor.Fact{Broker{PID: 200, Program: "mosquitto", Container: true},
			Listen{Address: "0.0.0.0", Port: 1883, Scope: AllScope, PID: 200, Program: "mosquitto", Broker: true, Container: true}, NotListening{1883}, NoFirewall{}}, "docker-port-not-published"},
		{"a container to which the firewall sends", []doctor.Fact{Broker{PID: 200, Program: "mosquitto", Container: true},
			Listen{Address: "0.0.0.0", Port: 1883, Scope: AllScope, PID: 200, Program: "mosquitto", Broker: true, Container: true}, NotListening{1883},
			Firewall{Address: "203.0.113.10", Port: 1883, Manager: "iptables", Verdict: "accept", To: "172.17.0.2:1883"}}, ""},
		{"published for this machine only", []doctor.Fact{mosquitto, listening, config, Published{Container: "mqtt", Address: "127.0.0.1", Port: 1883, Target: "1883"}}, "docker-port-not-published"},

		{"few files", []doctor.Fact{mosquitto, listening, config, Files{PID: 100, Program: "mosquitto", Open: 1010, Limit: 1024, Hard: 524288}}, "fd-limit"},
		{"enough files", []doctor.Fact{mosquitto, listening, config, Files{PID: 100, Program: "mosquitto", Open: 20, Limit: 1024, Hard: 524288}}, ""},
		{"killed", []doctor.Fact{mosquitto, listening, config, Memory{Total: 1 << 30, Available: 1 << 29, KilledBroker: "Out of memory: Killed process 77 (mosquitto)"}}, "memory-limit-oom"},
		{"a full disk", []doctor.Fact{mosquitto, listening, config, Disk{Path: "/var/lib/mosquitto", Total: 1 << 30, Free: 1 << 20, Inodes: 5}}, "disk-full"},
		{"a full table", []doctor.Fact{mosquitto, listening, config, Kernel{Tracked: 262144, TrackedLimit: 262144}}, "conntrack-full"},
		{"a storm", []doctor.Fact{mosquitto, Listen{Address: "0.0.0.0", Port: 1883, Scope: AllScope, PID: 100, Program: "mosquitto", Broker: true, Waiting: 101}, config}, "overload-or-storm"},
		{"SELinux", []doctor.Fact{mosquitto, listening, config, Denial{By: "SELinux", What: "name_bind tcp_socket 1884", Enforced: true, Count: 3}}, "selinux-denied"},
		{"AppArmor", []doctor.Fact{mosquitto, listening, config, Denial{By: "AppArmor", What: "open /x", Enforced: true, Count: 3}}, "apparmor-denied"},
		{"AppArmor complains only", []doctor.Fact{mosquitto, listening, config, Denial{By: "AppArmor", What: "open /x", Count: 3}}, ""},
		{"the clock is wrong", []doctor.Fact{mosquitto, listening, config, Clock{}, Way{From: "198.51.100.20", RTT: 20, Full: true, Ahead: -3600}}, "clock-skew"},

		{"expired", []doctor.Fact{mosquitto, listening, config, Certificate{File: "a.crt", Port: 8883, Days: -3}}, "tls-expired"},
		{"renewed and not reloaded", []doctor.Fact{mosquitto, listening, config, Certificate{File: "a.crt", Port: 8883, Days: 80, Served: true, Other: true, ServedDays: -1}}, "tls-expired"},
		{"renewed in time and not reloaded", []doctor.Fact{mosquitto, listening, config, Certificate{File: "a.crt", Port: 8883, Days: 80, Served: true, Other: true, ServedDays: 9}}, "config-not-loaded"},
		{"another machine has the address", []doctor.Fact{mosquitto, listening, config, doctor.Conflict{Address: "203.0.113.10", Machines: []string{"02:00:00:00:00:07"}, Own: true}}, "address-conflict"},
		{"the gateway is dead", []doctor.Fact{mosquitto, listening, config, NoRoute{Address: "192.168.1.5", Interface: "eth0", Gateway: "192.168.1.254"}}, "no-default-route"},
		{"no way out of the own network", []doctor.Fact{mosquitto, listening, config, NoRoute{Address: "192.168.1.5", Interface: "eth0"}}, "no-default-route"},
		{"answers end in a table of their own", []doctor.Fact{mosquitto, listening, config, public, NoRoute{Address: "203.0.113.10", Interface: "eth0", Refused: "Invalid argument"}}, "no-default-route"},
		{"answers leave by a VPN", []doctor.Fact{mosquitto, listening, config, public, NoRoute{Address: "203.0.113.10", Interface: "eth0", Tunnel: "wg0"}}, "no-default-route"},
		{"answers leave by a VPN, and arrive", []doctor.Fact{mosquitto, listening, config, public, dialed, accepted, NoRoute{Address: "203.0.113.10", Interface: "eth0", Tunnel: "wg0"}, outside("open"), goodWay}, ""},
		{"a bridge without TLS to a port of TLS", []doctor.Fact{mosquitto, listening, with(config, func(c *Config) { c.PlainBridges = []string{"cloud to a.test:8883"} }),
			Log{Source: "x", Lines: 9, Entry: []Entry{{Cause: cause.BridgeUnreachable, Count: 3, Last: "Connecting bridge (step 1) cloud"}}}}, "bridge-tls-failed"},
		{"a bridge without TLS to a port of TLS at which nobody is", []doctor.Fact{mosquitto, listening, with(config, func(c *Config) { c.PlainBridges = []string{"cloud to a.test:8883"} }),
			Log{Source: "x", Lines: 9, Unmade: 4, Entry: []Entry{{Cause: cause.BridgeUnreachable, Count: 3, Last: "Connecting bridge (step 1) cloud"}}}}, "bridge-unreachable"},
		{"a read-only disk", []doctor.Fact{mosquitto, listening, config, Disk{Path: "/var/lib/mosquitto", What: "data", Total: 1 << 30, Free: 1 << 29, Inodes: 5, ReadOnly: true}}, "store-failed"},
		{"a small disk that is empty", []doctor.Fact{mosquitto, listening, config, Disk{Path: "/var/lib/mosquitto", What: "data", Total: 1 << 20, Free: 1 << 20, Inodes: 5}}, ""},
		{"nobody is in the password file", []doctor.Fact{mosquitto, listening, with(config, func(c *Config) { c.Listeners = []ConfigListener{{Port: 1883, Passwords: true, Empty: true}} })}, "no-password-file"},
		{"another file is in force", []doctor.Fact{mosquitto, listening, config, with(config, func(c *Config) { c.PID, c.File = 0, "/home/me/mosquitto.conf" })}, "config-not-loaded port-taken"},
		{"a folder in place of the password file", []doctor.Fact{mosquitto, NotListening{1883}, with(config, func(c *Config) {
			c.Problems = []Problem{{"/etc/mosquitto/mosquitto.conf", 3, "/etc/p is a folder", cause.ConfigUnreadable, "", ""}}
		})}, "config-unreadable"},
		{"IPv6 alone", []doctor.Fact{mosquitto, Listen{Address: "::", Port: 1883, Scope: AllScope, PID: 100, Program: "mosquitto", Broker: true}, config, NoFirewall{},
			Dial{Address: "192.168.1.5", Port: 1883, Result: "refused"}, Dial{Address: "2001:db8::5", Port: 1883, Result: "open"}}, "ipv6-only-server"},
		{"a broker in a network of its own is stopped", []doctor.Fact{mosquitto, listening, config, Broker{PID: 7, Program: "picket", Container: true, Stopped: true}}, ""},
		{"a folder is not there", []doctor.Fact{NoBroker{Complete: true}, NotListening{1883}, with(config, func(c *Config) { c.PID, c.Missing = 0, []Missing{{"pid_file", "/run/mosquitto", "mosquitto"}} })}, "config-error-exit"},
		{"a wrong value may be what is missing", []doctor.Fact{NoBroker{Complete: true}, NotListening{1883}, with(config, func(c *Config) {
			c.PID, c.Listeners = 0, []ConfigListener{{Port: 1883}}
			c.Problems = []Problem{{"/etc/mosquitto/mosquitto.conf", 2, "Invalid allow_anonymous value (yes)", cause.ConfigInvalidValue, "", ""}}
		})}, "config-invalid-value"},
		{"TLS to a port without", []doctor.Fact{mosquitto, listening, with(config, func(c *Config) { c.Listeners = []ConfigListener{{Port: 8883, Passwords: true}} }), Listen{Address: "0.0.0.0", Port: 8883, Scope: AllScope, PID: 100, Program: "mosquitto", Broker: true},
			Log{Source: "x", Lines: 9, Entry: []Entry{{Cause: cause.ProtocolViolation, Count: 4, Last: "y"}}}}, "tls-without-certificate protocol-violation"},
		{"passwords as they are typed", []doctor.Fact{mosquitto, listening, config, Log{Source: "x", Lines: 9, Entry: []Entry{{Cause: cause.BadCredentials, Count: 1, Last: "Error: Invalid password hash type for user a, removing entry."}}}}, "bad-credentials"},
		{"not valid yet", []doctor.Fact{mosquitto, listening, config, Certificate{File: "a.crt", Port: 8883, Days: 80, Future: true}}, "tls-not-yet-valid"},
		{"expires soon", []doctor.Fact{mosquitto, listening, config, Certificate{File: "a.crt", Port: 8883, Days: 5}}, "tls-expires-soon"},
		{"key unreadable", []doctor.Fact{mosquitto, listening, config, Certificate{File: "a.crt", KeyFile: "a.key", Port: 8883, Days: 80, Denied: "a.key", User: "mosquitto"}}, "key-unreadable"},
		{"key of another", []doctor.Fact{mosquitto, listening, config, Certificate{File: "a.crt", KeyFile: "a.key", Port: 8883, Days: 80, KeyMismatch: true}}, "key-unreadable"},
		{"key for all", []doctor.Fact{mosquitto, listening, config, Certificate{File: "a.crt", KeyFile: "a.key", Port: 8883, Days: 80, KeyOpen: true, KeyMode: "0644"}}, "file-permissions"},
		{"no intermediate", []doctor.Fact{mosquitto, listening, config, Certificate{File: "a.crt", Port: 8883, Days: 80, Incomplete: true}}, "tls-incomplete-chain"},
		{"another name", []doctor.Fact{mosquitto, listening, config, Certificate{File: "a.crt", Port: 8883, Days: 80, WrongName: "mqtt.example.com"}}, "tls-name-mismatch"},

		{"the name leads elsewhere", []doctor.Fact{mosquitto, listening, config, public, Named{Name: "m", Addresses: []string{"192.0.2.9"}, NoMatch: true}}, "dns-missing-or-stale"},
		{"the name leads to a private address", []doctor.Fact{mosquitto, listening, config, public, Named{Name: "m", Addresses: []string{"10.0.0.9"}, NoMatch: true, Private: true}}, "private-ip-used"},
		{"no such name", []doctor.Fact{mosquitto, listening, config, public, Named{Name: "m", Error: "no such host", NotFound: true}}, "dns-missing-or-stale"},
		{"no name server", []doctor.Fact{mosquitto, listening, config, public, Named{Name: "m", Error: "i/o timeout"}}, "dns-no-answer"},
		{"IPv6 in the name and not at the port", []doctor.Fact{mosquitto, listening, config, public, Named{Name: "m", Addresses: []string{"203.0.113.10", "2001:db8::1"}, Mine: []string{"203.0.113.10", "2001:db8::1"}, HasIPv6: true},
			dialed, Dial{Address: "2001:db8::1", Port: 1883, Result: "refused"}}, "ipv4-only-listener"},

		{"large packets disappear", []doctor.Fact{mosquitto, listening, config, Way{From: "198.51.100.20", RTT: 20, Measured: true, MTUOut: 1300, MTUBack: 1500, Silent: true}}, "mtu-blackhole"},
		{"large packets disappear, and TCP copes", []doctor.Fact{mosquitto, listening, config, Way{From: "198.51.100.20", RTT: 20, Measured: true, MTUOut: 1300, MTUBack: 1500, Silent: true, Full: true}}, "mtu-blackhole"},
		{"a tunnel that says so", []doctor.Fact{mosquitto, listening, config, Way{From: "198.51.100.20", RTT: 20, Measured: true, MTUOut: 1420, MTUBack: 1420, Full: true}}, ""},
		{"far away", []doctor.Fact{mosquitto, listening, config, Way{From: "198.51.100.20", RTT: 400, Measured: true, Full: true}}, "far-away"},
		{"loss", []doctor.Fact{mosquitto, listening, config, Way{From: "198.51.100.20", RTT: 20, Measured: true, LossBack: 12, Full: true}}, "lossy-network"},

		{"refusals in the log", []doctor.Fact{mosquitto, listening, config, Log{Source: "x", Lines: 99, Entry: []Entry{{Cause: cause.BadCredentials, Count: 57, Last: "x"}, {Cause: cause.KeepaliveMissed, Count: 3, Last: "y"}}}},
			"bad-credentials keepalive-missed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			findings := Diagnose(c.facts)
			var got []string
			for _, f := range findings {
				got = append(got, string(f.Cause))
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
			render(t, c.facts, findings)
		})
	}
}

// render shows a report in both languages and as JSON: no text may be missing or broken.
func render(t *testing.T, facts []doctor.Fact, findings []doctor.Finding) {
	t.Helper()
	report := &doctor.Report{Subject: "test", Facts: facts, Findings: findings, Healthy: Healthy}
	for _, lang := range []cause.Lang{cause.English, cause.Chinese} {
		var out strings.Builder
		printer := doctor.NewPrinter(&out, doctor.Style{Lang: lang})
		for _, f := range facts {
			if err := printer.Fact(f); err != nil {
				t.Error(err)
			}
			if s := f.Text().In(lang); s == "" || strings.HasSuffix(s, ".") || strings.HasSuffix(s, "。") {
				t.Errorf("%s in %s: %q", f.Kind(), lang, s)
			}
		}
		if err := printer.Report(report); err != nil {
			t.Error(err)
		}
		if strings.Contains(out.String(), "%!") {
			t.Errorf("in %s a text is broken:\n%s", lang, &out)
		}
		if _, err := report.JSON(lang); err != nil {
			t.Error(err)
		}
	}
}

// What is wrong with several ports is told once, with all of them.
func TestSeveralPorts(t *testing.T) {
	other, otherDial := dropped, dialed
	other.Port, otherDial.Port = 8883, 8883
	findings := Diagnose([]doctor.Fact{mosquitto, listening, public, dialed, dropped, otherDial, other})
	if len(findings) != 1 || !strings.Contains(findings[0].Meaning.EN, "203.0.113.10:1883") || !strings.Contains(findings[0].Meaning.EN, "8883") || len(findings[0].Evidence) != 4 {
		t.Errorf("got %+v", findings)
	}
}

// Exit statuses: what is only possible does not make a healthy server a sick one.
func TestExitStatus(t *testing.T) {
	log := Log{Source: "x", Lines: 99, Entry: []Entry{{Cause: cause.BadCredentials, Count: 57, Last: "x"}}}
	for _, c := range []struct {
		facts []doctor.Fact
		want  int
	}{
		{[]doctor.Fact{mosquitto, listening, config}, doctor.ExitHealthy},
		{[]doctor.Fact{mosquitto, listening, config, log}, doctor.ExitWarning},
		{[]doctor.Fact{mosquitto, listening, config, public, dialed, dropped}, 12},
		{[]doctor.Fact{NoBroker{Complete: true}, NotListening{1883}}, 10},
	} {
		r := &doctor.Report{Facts: c.facts, Findings: Diagnose(c.facts)}
		if got := r.ExitStatus(); got != c.want {
			t.Errorf("%v: got %d, want %d", r.Findings, got, c.want)
		}
	}
}

// Steps name the chain that decides.
func TestStepsForNFTables(t *testing.T) {
	f := Firewall{Address: "203.0.113.10", Port: 1883, Manager: "nftables", Verdict: "drop", Where: "inet filter input"}
	findings := Diagnose([]doctor.Fact{mosquitto, listening, config, dialed, f})
	if len(findings) != 1 || len(findings[0].Steps) != 1 || !strings.Contains(findings[0].Steps[0].Lines.EN, "nft insert rule inet filter input tcp dport 1883 accept") {
		t.Errorf("got %+v", findings)
	}
}

func TestRecordedLogs(t *testing.T) {
	for _, c := range []struct {
		file  string
		since int64
		want  string
	}{
		{"mosquitto.log", 0, "bad-credentials=2 protocol-violation=2 keepalive-missed=1 max-connections=1 plain-to-tls-port=1"},
		{"mosquitto.log", 1795574050, "keepalive-missed=1 max-connections=1"},
		{"start.log", 0, "key-unreadable!=1"},
		{"restarted.log", 0, "keepalive-missed=1"},
		{"config.log", 0, "config-error-exit!=1"},
		{"picket.log", 0, "bad-credentials=2 connection-lost=1 keepalive-missed=1 plain-to-tls-port=1 ws-to-tcp-port=1"},
		{"picket.json", 0, "bad-credentials=2 connection-lost=1 keepalive-missed=1 plain-to-tls-port=1 ws-to-tcp-port=1"},
		{"picket.json", 1795574105, "keepalive-missed=1"},
		{"journal.log", 0, "port-taken!=1"},
	} {
		data, err := os.ReadFile(filepath.Join("testdata", c.file))
		if err != nil {
			t.Fatal(err)
		}
		l := ReadLog(c.file, string(data), c.since, unix)
		var got []string
		for _, e := range l.Entry {
			s := string(e.Cause)
			if e.Start {
				s += "!"
			}
			got = append(got, s+"="+itoa(e.Count))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %s", c.file, got, c.want)
		}
	}
	l := ReadLog("x", "1795573000: Error: Unknown configuration variable \"listner\".\n1795573000: Error found at /etc/m.conf:3.\n", 0, unix)
	if f, n, ok := placeIn(l.Entry[0].Last); !ok || f != "/etc/m.conf" || n != "3" || !strings.Contains(l.Entry[0].Last, "listner") {
		t.Errorf("got %q", l.Entry[0].Last)
	}
	if l := ReadLog("x", "1795573762: Reloading config.\n", 0, unix); l.Reloaded != 1795573762 {
		t.Errorf("reloaded at %d", l.Reloaded)
	}
}

// Why a public authority gives no certificate is named until it has given one.
func TestAuthorityInTheLog(t *testing.T) {
	const refused = "1795573000: Warning: There is no certificate of a public authority for mqtt.example.com: it does not reach port 80. [acme-port-closed]\n"
	for text, want := range map[string]cause.ID{
		refused: cause.ACMEPortClosed,
		refused + "1795573100: Notice: There is a certificate of a public authority for mqtt.example.com, valid until 2027-01-01 00:00:00: clients trust it by themselves.\n": "",
	} {
		l := ReadLog("picket.log", text, 0, unix)
		var first cause.ID
		if all := Diagnose([]doctor.Fact{l}); len(all) > 0 {
			first = all[0].Cause
		}
		if first != want {
			t.Errorf("%q: %q, want %q", text, first, want)
		}
	}
}

func unix(s string) (int64, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	return t.Unix(), err == nil
}

// Two clients of one identifier throw each other out; one that comes back once or twice does not make a loop.
func TestTakeovers(t *testing.T) {
	one := func(id string) string {
		return "1795573000: Client " + id + " already connected, closing old connection.\n"
	}
	for text, want := range map[string]cause.ID{
		one("a") + one("a"):                       cause.SessionTakenOver,
		one("a") + one("b") + one("c"):            cause.SessionTakenOver,
		one("a") + one("a") + one("b") + one("a"): cause.IDTakeoverLoop,
	} {
		l := ReadLog("x", text, 0, unix)
		if len(l.Entry) != 1 || l.Entry[0].Cause != want || l.Entry[0].Count != strings.Count(text, "\n") {
			t.Errorf("%q: %+v, want %s", text, l.Entry, want)
		}
	}
}

// A bridge that reaches its broker tries once, also where there are several.
func TestBridgesInTheLog(t *testing.T) {
	one := func(name string) string {
		return "1795573000: Connecting bridge (step 1) " + name + " (127.0.0.1:1884)\n"
	}
	if l := ReadLog("x", one("a")+one("b")+one("c")+one("a"), 0, unix); len(l.Entry) != 0 {
		t.Errorf("three bridges: %+v", l.Entry)
	}
	if l := ReadLog("x", one("a")+one("a")+one("a"), 0, unix); len(l.Entry) != 1 || l.Entry[0].Cause != cause.BridgeUnreachable {
		t.Errorf("one that tries again and again: %+v", l.Entry)
	}
	again := strings.Repeat(one("a"), 3)
	step := "1795573000: Connecting bridge (step 2) a (127.0.0.1:1884)\n"
	for _, c := range []struct {
		answer string
		want   cause.ID
	}{
		{"1795573000: Connection Refused: not authorised\n", cause.BridgeRefused},
		{"1795573000: OpenSSL Error[0]: error:0A000086:SSL routines::certificate verify failed\n", cause.BridgeTLSFailed},
	} {
		if l := ReadLog("x", again+step+c.answer, 0, unix); len(l.Entry) != 1 || l.Entry[0].Cause != c.want {
			t.Errorf("%q after a bridge's line: %+v, want %s", c.answer, l.Entry, c.want)
		}
	}
	client := "1795573000: New connection from 192.0.2.7:41766 on port 8883.\n1795573000: OpenSSL Error[0]: error:0A000086:SSL routines::certificate verify failed\n"
	if l := ReadLog("x", client, 0, unix); len(l.Entry) != 1 || l.Entry[0].Cause != cause.ClientCertRefused {
		t.Errorf("a client's certificate: %+v", l.Entry)
	}
}

func FuzzReadLog(f *testing.F) {
	for _, name := range []string{"mosquitto.log", "picket.log", "picket.json", "journal.log"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, text string) {
		l := ReadLog("x", text, 1, unix)
		for _, e := range l.Entry {
			if _, known := cause.Lookup(e.Cause); !known || e.Count < 1 {
				t.Errorf("%+v", e)
			}
		}
		if s := l.Text(); s.EN == "" || s.ZH == "" {
			t.Error("no text")
		}
		startValues(Entry{Last: text})
	})
}

// Lines of mosquitto and systemd about starts that came to nothing, and what each is taken for.
func TestStartFailures(t *testing.T) {
	for text, want := range map[string]cause.ID{
		"1795573000: Opening ipv4 listen socket on port 443.\n1795573000: Error: Permission denied\n":                                                                 cause.PrivilegedPort,
		"1795573000: Opening ipv4 listen socket on port 1883.\n1795573000: Error: Address in use\n":                                                                   cause.PortTaken,
		"1795573000: Opening ipv4 listen socket on port 1883.\n1795573000: Error: Address not available\n":                                                            cause.BindBeforeNetwork,
		"1795573000: Error: Unable to drop privileges to 'mosqitto' because this user does not exist.\n":                                                              cause.ConfigInvalidValue,
		"1795573000: Error: Unable to open log file /var/log/mosquitto/mosquitto.log for writing.\n":                                                                  cause.ConfigErrorExit,
		"1795573000: Error: Unable to load auth plugin \"/usr/lib/go-auth.so\".\n1795573000: Load error: /usr/lib/go-auth.so: cannot open shared object\n":            cause.ConfigErrorExit,
		"1795573000: Error: Server certificate/key are inconsistent.\n":                                                                                               cause.KeyUnreadable,
		"1795573000: Error opening password file \"/etc/mosquitto/passwd\".\n":                                                                                        cause.ConfigUnreadable,
		"1795573000: Error: Invalid topic access type \"readwrit\" in acl_file \"/etc/mosquitto/acl\".\n1795573000: Error opening acl file \"/etc/mosquitto/acl\".\n": cause.ConfigInvalidValue,
		"1795573000: Error: Unsupported tls_version \"tlsv1\".\n":                                                                                                     cause.ConfigInvalidValue,
		"1795573000: Error: Unsupported persistent database format version 7 (need version 6).\n1795573000: Error: Couldn't open database.\n":                         cause.PersistenceCorrupt,
		"1795573000.000000 host systemd[1]: mosquitto.service: A process of this unit has been killed by the OOM killer.\n":                                           cause.MemoryLimitOOM,
		"1795573000: Error saving in-memory database: write /var/lib/mosquitto/mosquitto.db.new: No space left on device\n1795573001: mosquitto running\n":            cause.DiskFull,
	} {
		l := ReadLog("x", text, 0, unix)
		found := Diagnose([]doctor.Fact{NoBroker{Complete: true}, NotListening{1883}, l})
		if len(l.Entry) == 0 || l.Entry[0].Cause != want || len(found) == 0 || want != cause.DiskFull && found[0].Cause != want {
			t.Errorf("%q: read as %+v, found %+v", text, l.Entry, found)
		}
		if want == cause.PrivilegedPort && found[0].Values["port"] != "443" {
			t.Errorf("the port of %q is %q", text, found[0].Values["port"])
		}
	}
}
