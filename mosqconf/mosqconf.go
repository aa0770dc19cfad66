// Package mosqconf reads mosquitto.conf, and the directives that Picket has beside mosquitto's, into a [Config].
//
// Every directive is either in force or stops the start with its reason: nothing is read and left out of account in silence. All
// that is found is collected in a [Report], so that somebody who moves to Picket sees everything at once. Where mosquitto's code
// and its manual differ, the code of 2.0.20 counts.
package mosqconf

import (
	"net"
	"net/netip"
	"strconv"

	"picket/access"
	"picket/broker"
	"picket/listener"
)

// Parse reads a configuration file. The configuration is nil when the report has an error. Files that only the broker opens
// (certificates, passwords, rules) are not looked at: see [Check].
func Parse(path string) (*Config, *Report) {
	p := newParser(path)
	p.readFile(path, 0, place{})
	c := p.finish()
	if p.report.Failed() {
		return nil, p.report
	}
	return c, p.report
}

// Read reads a configuration file for somebody who only wants to know what it says: the configuration is there even when the report has
// errors, as far as it could be understood. A broker that has it may be mosquitto, which starts with what Picket refuses.
func Read(path string) (*Config, *Report) {
	p := newParser(path)
	p.readFile(path, 0, place{})
	return p.finish(), p.report
}

// LocalOnly returns the configuration of a broker that was started with none, as mosquitto does it: port 1883 on the loopback
// addresses, and nobody needs a password.
func LocalOnly() *Config { return ForPort([]int{1883}) }

// AdminAddress is where a start without a configuration serves the dashboard, the API and the metrics: this machine only.
const AdminAddress = "127.0.0.1:9883"

// Open returns the configuration of a start without a configuration that is to be reached from elsewhere: ports on all
// addresses and for every protocol. Clients on the same machine need no password, all others one of passwordFile or of rightsFile, which need not be there yet.
func Open(ports []int, passwordFile, rightsFile, certFile, keyFile string) *Config {
	c := defaults()
	c.Security[0].Anonymous = access.AnonymousLocal
	c.Security[0].PasswordFile = passwordFile
	c.Security[0].RightsFile, c.Security[0].RightsBeside = rightsFile, true
	for _, port := range ports {
		l := newListener(port, "", "no configuration")
		l.Protocol = listener.Auto
		l.TLS.CertFile, l.TLS.KeyFile = certFile, keyFile
		c.Listeners = append(c.Listeners, l)
	}
	return &c
}

// ForPort returns what LocalOnly does for the ports of the command line, each from 1 to 65535.
func ForPort(ports []int) *Config {
	c := defaults()
	c.User = defaultUser
	c.Security[0].Anonymous = access.AnonymousAlways
	c.Security[0].Source = "command line"
	for _, port := range ports {
		c.Listeners = append(c.Listeners, localListeners(port)...)
	}
	return &c
}

// localListeners returns a listener for each loopback address that the machine has.
func localListeners(port int) []*broker.Listener {
	ls := []*broker.Listener{newListener(port, "127.0.0.1", "local only mode")}
	if hasAddress(netip.IPv6Loopback()) {
		ls = append(ls, newListener(port, "::1", "local only mode"))
	}
	return ls
}

// newListener returns a listener with every option at its default.
func newListener(port int, address, source string) *broker.Listener {
	return &broker.Listener{Config: listener.Config{Port: port, Address: address, Source: source}, MaxConnections: -1, MaxQoS: 2, MaxTopicAlias: 10}
}

// hasAddress reports whether an interface of this machine has the address.
func hasAddress(a netip.Addr) bool {
	if !a.Is4() && !a.Is6() {
		return false
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, addr := range addrs {
		p, err := netip.ParsePrefix(addr.String())
		if err != nil {
			continue
		}
		own, a := p.Addr().Unmap(), a.Unmap().WithZone("")
		if own == a || own.IsLoopback() && p.Masked().Contains(a) { // all of 127.0.0.0/8 leads to this machine
			return true
		}
	}
	return false
}

// String returns "FILE:LINE".
func (l place) String() string { return l.file + ":" + strconv.Itoa(l.line) }
