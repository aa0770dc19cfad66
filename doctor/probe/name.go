package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"picket/doctor"
	"picket/doctor/arp"
)

// maxAddresses bounds how many addresses of a name are tried.
const maxAddresses = 8

// name finds the addresses, and what can be said about them without asking anyone.
func (p *prober) name(ctx context.Context) bool {
	if p.target.Scheme != "" {
		p.settle(p.target.Scheme)
	} else if len(p.target.Mistakes) > 0 {
		p.settle(doctor.UsualScheme(p.target.Port))
	}
	var found []netip.Addr
	if a, err := netip.ParseAddr(p.target.Host); err == nil {
		found = []netip.Addr{a}
	} else {
		p.doing("looking up the name", "正在解析域名")
		found = p.lookup(ctx)
		p.names(ctx)
		if len(found) > 0 && !slices.ContainsFunc(found, func(a netip.Addr) bool { return !a.IsUnspecified() }) {
			p.add(self(networks()))
			return false // 0.0.0.0 is no address: a connection to it would be one to this machine
		}
	}
	near := networks()
	p.add(self(near))
	for _, a := range found[:min(len(found), maxAddresses)] {
		f := classify(a, near)
		p.add(f)
		p.addresses = append(p.addresses, a)
		p.own = p.own || f.Own
	}
	p.route(near)
	return len(found) > 0
}

// settle fixes scheme and port, and says so.
func (p *prober) settle(scheme string) {
	p.target.Scheme = scheme
	if p.target.Port == 0 {
		p.target.Port = doctor.DefaultPort(scheme)
	}
	if (scheme == "ws" || scheme == "wss") && p.target.Path == "" {
		p.target.Path = "/"
	}
	p.settled = true
	p.add(p.target.Entered())
}

// lookup asks for A and AAAA records, both at once.
func (p *prober) lookup(ctx context.Context) (found []netip.Addr) {
	var wait sync.WaitGroup
	facts := make([]doctor.Lookup, 2)
	addresses := make([][]netip.Addr, 2)
	for i, record := range []string{"A", "AAAA"} {
		wait.Go(func() { facts[i], addresses[i] = p.lookupOne(ctx, record) })
	}
	wait.Wait()
	for i := range facts {
		p.add(facts[i])
		found = append(found, addresses[i]...)
	}
	return found
}

func (p *prober) lookupOne(ctx context.Context, record string) (doctor.Lookup, []netip.Addr) {
	ctx, cancel := context.WithTimeout(ctx, p.Limit)
	defer cancel()
	start := time.Now()
	network := map[string]string{"A": "ip4", "AAAA": "ip6"}[record]
	found, err := p.Resolver.LookupNetIP(ctx, network, p.target.Host)
	f := doctor.Lookup{Host: p.target.Host, Record: record, Result: doctor.Found, Ms: since(start)}
	for i := range found {
		found[i] = found[i].Unmap()
		f.Addresses = append(f.Addresses, found[i].String())
	}
	var missing *net.DNSError
	var wrong *net.AddrError // "no suitable address": the name has some of the other family only
	switch {
	case err == nil:
	case errors.As(err, &missing) && missing.IsNotFound, errors.As(err, &wrong):
		f.Result = doctor.None
	case ctx.Err() != nil, errors.As(err, &missing) && missing.IsTimeout:
		f.Result = doctor.TimedOut
	default:
		f.Result, f.Error = doctor.Failed, err.Error()
		if missing != nil {
			f.Error = missing.Err
		}
	}
	return f, found
}

// completed finds out whether a name with a dot in it is there only with an ending of this machine's own network behind it.
func (p *prober) completed(ctx context.Context) {
	if _, err := netip.ParseAddr(p.target.Host); err == nil || !strings.Contains(strings.TrimSuffix(p.target.Host, "."), ".") || strings.HasSuffix(p.target.Host, ".") {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, min(p.Limit, answerLimit))
	defer cancel()
	_, err := p.Resolver.LookupNetIP(ctx, "ip", p.target.Host+".")
	var missing *net.DNSError
	if errors.As(err, &missing) && missing.IsNotFound {
		p.add(doctor.Completed{Host: p.target.Host})
	}
}

// anyName finds out whether a name that nobody has made up leads to the same address, when the port there does not open.
func (p *prober) anyName(ctx context.Context) {
	_, err := netip.ParseAddr(p.target.Host)
	_, parent, dotted := strings.Cut(strings.TrimSuffix(p.target.Host, "."), ".")
	if err == nil || !dotted || p.own {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, min(p.Limit, answerLimit))
	defer cancel()
	name := randomID() + "." + parent
	found, _ := p.Resolver.LookupNetIP(ctx, "ip", name) // what is not found is as it should be
	for _, a := range found {
		if slices.Contains(p.addresses, a.Unmap()) {
			p.add(doctor.AnyName{Host: name, Address: a.Unmap().String()})
			return
		}
	}
}

// network is one that this machine is connected to.
type network struct {
	name   string // of the interface
	prefix netip.Prefix
	self   netip.Addr
}

// networks lists what the interfaces that are up are connected to. Without the right to see them it is empty.
func networks() (all []network) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				all = append(all, network{i.Name, prefix.Masked(), prefix.Addr().Unmap()})
			}
		}
	}
	return all
}

// self says what this machine has to connect with.
func self(near []network) doctor.Client {
	f := doctor.Client{Time: time.Now().Unix()}
	for _, n := range near {
		if strings.HasPrefix(n.name, "docker") {
			f.Docker = true
		}
		switch {
		case n.self.IsLoopback() || n.self.IsLinkLocalUnicast():
		case n.self.Is4():
			f.IPv4 = true
		default:
			f.IPv6 = true
		}
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
					f.Built = t.Unix()
				}
			}
		}
	}
	return f
}

// reserved are networks with a meaning, in the order in which they are looked at.
var reserved = []struct {
	class    string
	prefixes []netip.Prefix
}{
	{doctor.Shared, prefixes("100.64.0.0/10")},
	{doctor.MadeUp, prefixes("198.18.0.0/15")},
	{doctor.Example, prefixes("192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32")},
}

// cdns are networks of content delivery networks that pass on web traffic only, as they publish them.
var cdns = []struct {
	name     string
	prefixes []netip.Prefix
}{
	{"Cloudflare", prefixes("173.245.48.0/20 103.21.244.0/22 103.22.200.0/22 103.31.4.0/22 141.101.64.0/18 108.162.192.0/18 190.93.240.0/20 188.114.96.0/20 " +
		"197.234.240.0/22 198.41.128.0/17 162.158.0.0/15 104.16.0.0/13 104.24.0.0/14 172.64.0.0/13 131.0.72.0/22 " +
		"2400:cb00::/32 2606:4700::/32 2803:f800::/32 2405:b500::/32 2405:8100::/32 2a06:98c0::/29 2c0f:f248::/32")},
	{"Fastly", prefixes("23.235.32.0/20 43.249.72.0/22 103.244.50.0/24 103.245.222.0/23 103.245.224.0/24 104.156.80.0/20 146.75.0.0/17 151.101.0.0/16 " +
		"157.52.64.0/18 167.82.0.0/17 185.31.16.0/22 199.27.72.0/21 199.232.0.0/16 2a04:4e40::/32 2a04:4e42::/32")},
}

func prefixes(list string) (all []netip.Prefix) {
	for s := range strings.FieldsSeq(list) {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

// tunnels are how interfaces of VPNs are called.
var tunnels = []string{"tun", "tap", "wg", "ppp", "utun", "ipsec", "tailscale", "zt", "nordlynx", "proton", "vpn", "warp", "CloudflareWARP", "gpd"}

// deniedRoute are what connecting gives for routes of the kinds "unreachable", "prohibit" and "blackhole". One that is missing gives another error.
var deniedRoute = []error{syscall.EHOSTUNREACH, syscall.EACCES, syscall.EINVAL}

// route says by which interface the first address is reached. No packet is sent for that.
func (p *prober) route(near []network) {
	if len(p.addresses) == 0 || p.own {
		return
	}
	conn, err := net.Dial("udp", netip.AddrPortFrom(p.addresses[0], 9).String())
	if err != nil {
		if slices.ContainsFunc(deniedRoute, func(e error) bool { return errors.Is(err, e) }) {
			p.add(doctor.Route{Address: p.addresses[0].String(), Denied: true})
		}
		return // told by the connection that is tried
	}
	defer conn.Close()
	local, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return
	}
	source := local.AddrPort().Addr().Unmap().WithZone("")
	for _, n := range near {
		if n.self.WithZone("") == source {
			vpn := slices.ContainsFunc(tunnels, func(prefix string) bool { return strings.HasPrefix(n.name, prefix) })
			p.add(doctor.Route{Address: p.addresses[0].String(), Source: source.String(), Interface: n.name, VPN: vpn})
			if !vpn && n.prefix.Contains(p.addresses[0]) {
				p.conflict(n.name, p.addresses[0], source)
			}
			return
		}
	}
}

// conflict looks, in the network that both are in, whether more than one machine has the address, or this machine's own.
func (p *prober) conflict(name string, address, self netip.Addr) {
	if !address.Is4() {
		return
	}
	its, ours, _ := arp.Holders(name, address, self)
	if len(its) > 1 {
		p.add(doctor.Conflict{Address: address.String(), Machines: its})
	}
	if len(ours) > 0 {
		p.add(doctor.Conflict{Address: self.String(), Machines: ours, Own: true})
	}
}

// translated is the network of IPv6 in which whole networks without IPv4 reach it (NAT64; RFC 6052, section 2.1).
var translated = netip.MustParsePrefix("64:ff9b::/96")

// classify says what kind of address a is.
func classify(a netip.Addr, near []network) doctor.Address {
	f := doctor.Address{Address: a.String(), Class: doctor.Public}
	if translated.Contains(a) { // it is as good as the IPv4 address that it has inside
		b := a.As16()
		inner := classify(netip.AddrFrom4([4]byte(b[12:])), nil)
		f.Class, f.CDN = inner.Class, inner.CDN
		return f
	}
	switch {
	case a.IsLoopback() || a.IsUnspecified():
		f.Class = doctor.Loopback
	case a.IsPrivate():
		f.Class = doctor.Private
	case a.IsLinkLocalUnicast():
		f.Class = doctor.LinkLocal
	default:
		for _, r := range reserved {
			if within(a, r.prefixes) {
				f.Class = r.class
			}
		}
		for _, c := range cdns {
			if within(a, c.prefixes) {
				f.CDN = c.name
			}
		}
	}
	bare := a.WithZone("")
	f.Own = f.Class == doctor.Loopback
	for _, n := range near {
		if n.self.WithZone("") == bare {
			f.Own = true
		}
		if n.prefix.Contains(bare) && !n.prefix.IsSingleIP() && f.Class != doctor.Loopback {
			f.Near = n.name
		}
	}
	return f
}

func within(a netip.Addr, all []netip.Prefix) bool {
	for _, p := range all {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
