// Package reach says who can reach a broker, and from where: from its own machine, from its network, from the internet.
//
// What is said is what the listeners and the machine's addresses allow. Whether a firewall, a cloud's security group or a
// router stands in between cannot be seen from inside, and the texts say so.
package reach

import (
	"cmp"
	"net/netip"
	"slices"

	"picket/access"
	"picket/cause"
	"picket/listener"
)

// Scope says how far an address reaches. Larger scopes reach further.
type Scope byte

// The scopes.
const (
	Machine  Scope = iota // this machine only
	Guests                // containers and virtual machines on this machine
	VPN                   // the members of a virtual private network
	Network               // the network that the machine is in
	Internet              // everybody, by a global address
)

// Address is one address at which the broker can be reached.
type Address struct {
	Addr      netip.Addr
	Interface string // name of the network interface
	Scope     Scope
	Outbound  bool // the address that the machine itself uses towards the internet: the likeliest one to work
}

// Door is a listener and what a client needs to pass it.
type Door struct {
	Listener  *listener.Config
	Anonymous access.Anonymous // who needs no password
	Limited   bool             // an ACL file limits what anonymous clients may do
	NoUsers   bool             // nobody has a password that would be right
	Named     bool             // the client's certificate says who it is, in place of user name and password
	Page      bool             // the phone's page is served
}

// Opening is a door and where it leads to.
type Opening struct {
	Door
	Scope     Scope     // the furthest of the addresses
	Addresses []Address // the best ones for a phone first; empty for a Unix socket and for a host name
}

// Exposed says whether strangers from beyond this machine may come in without a password and do everything
// (cause open-to-everyone).
func (o Opening) Exposed() bool {
	return o.Anonymous == access.AnonymousAlways && !o.Limited && !o.Named && o.Scope > Guests
}

// Cause names what there is to warn of: open-to-everyone, no-password-file, loopback-only, or nothing.
func (o Opening) Cause() cause.ID {
	switch {
	case o.Exposed():
		return cause.OpenToEveryone
	case o.NoUsers && o.Anonymous == access.AnonymousNever && !o.Named:
		return cause.NoPasswordFile
	case o.Scope == Machine && len(o.Addresses) > 0:
		return cause.LoopbackOnly
	}
	return ""
}

// named says whether the listener is bound to a host name; where that leads is the resolver's business.
func (o Opening) named() bool {
	if o.Listener.Address == "" || o.Listener.Address == "localhost" || o.Listener.Path != "" {
		return false
	}
	_, err := netip.ParseAddr(o.Listener.Address)
	return err != nil
}

// Report is who can reach a broker.
type Report struct {
	Openings  []Opening
	Container bool // the broker runs in a container: its addresses mean little outside of it
}

// Of works out the report for listeners on a machine.
func Of(doors []Door, m Host) Report {
	r := Report{Container: m.Container}
	for _, d := range doors {
		o := Opening{Door: d}
		if d.Listener.Path == "" && !o.named() {
			o.Addresses = addresses(d.Listener, m)
		}
		for _, a := range o.Addresses {
			o.Scope = max(o.Scope, a.Scope)
		}
		r.Openings = append(r.Openings, o)
	}
	return r
}

// Phone gives the opening and the address to enter on a phone, or false if no listener can be reached from one.
func (r Report) Phone() (Opening, Address, bool) {
	for _, o := range r.Openings {
		if o.Scope >= VPN {
			return o, o.Addresses[0], true
		}
	}
	return Opening{}, Address{}, false
}

// PhonePage gives the opening and the address at which a phone's browser finds the page, or false if no listener that has it can be reached
// from one.
func (r Report) PhonePage() (Opening, Address, bool) {
	for _, o := range r.Openings {
		if o.Page && o.Scope >= VPN {
			return o, o.Addresses[0], true
		}
	}
	return Opening{}, Address{}, false
}

// addresses are those of the machine that a listener answers at, the best for a phone first.
func addresses(l *listener.Config, m Host) (found []Address) {
	var bound netip.Addr
	if addr, err := netip.ParseAddr(l.Address); err == nil {
		bound = addr.Unmap()
	}
	for _, i := range m.Interfaces {
		if l.Interface != "" && l.Interface != i.Name {
			continue
		}
		for _, addr := range i.Addrs {
			addr = addr.Unmap()
			switch {
			// A link-local address works only with the name of the interface on the client, which no app has a field for.
			case addr.IsLinkLocalUnicast():
				continue
			case l.Domain == "ipv4" && !addr.Is4(), l.Domain == "ipv6" && addr.Is4():
				continue
			case l.Address == "localhost" && !addr.IsLoopback():
				continue
			case bound.IsValid() && bound.IsUnspecified() && bound.Is4() != addr.Is4():
				continue
			case bound.IsValid() && !bound.IsUnspecified() && bound.WithZone("") != addr:
				continue
			}
			found = append(found, Address{Addr: addr, Interface: i.Name, Scope: ScopeOf(i, addr), Outbound: addr == m.Outbound4 || addr == m.Outbound6})
		}
	}
	slices.SortStableFunc(found, func(a, b Address) int { return cmp.Compare(rank(a), rank(b)) })
	return found
}

// rank orders addresses by how likely a phone gets through by typing them: IPv4 before IPv6, the own network before all else.
func rank(a Address) int {
	n := map[Scope]int{Network: 0, Internet: 2, VPN: 4, Guests: 6, Machine: 8}[a.Scope] * 4
	if !a.Addr.Is4() {
		n += 4
	}
	if !a.Outbound {
		n += 2
	}
	return n
}

// reserved networks are global by their numbers and lead nowhere on the internet: shared address space of providers (RFC 6598),
// documentation (RFC 5737, RFC 3849), benchmarks (RFC 2544).
var reserved = []netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("2001:db8::/32"),
}

// ScopeOf says how far an address of an interface reaches.
func ScopeOf(i Interface, addr netip.Addr) Scope {
	switch {
	case addr.IsLoopback():
		return Machine
	case i.Kind == GuestBridge:
		return Guests
	case i.Kind == Tunnel:
		return VPN
	case addr.IsPrivate(), slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(addr) }):
		return Network
	}
	return Internet
}
