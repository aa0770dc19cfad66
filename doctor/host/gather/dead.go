package gather

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"picket/doctor/host"
)

// deadRoutes are the routes that end what is sent to a network. Those of the table for all traffic count: others are looked at by whom they concern.
func (g *gatherer) deadRoutes() {
	probes := g.probeAddresses()
	for _, family := range []string{"-4", "-6"} {
		out, err := g.Run(g.ctx, "ip", "-o", family, "route", "show")
		if err != nil {
			continue // without the program nothing is known
		}
		for line := range strings.Lines(string(out)) {
			if r, is := deadRoute(line); is {
				network, _ := netip.ParsePrefix(r.Network)
				r.Probe = slices.ContainsFunc(probes, network.Contains)
				g.add(r)
			}
		}
	}
}

// deadRoute reads a line of ip route show. Routing programs, and networks of containers, have such routes for their own ranges, of which each part has
// a route of its own: those say who made them.
func deadRoute(line string) (r host.DeadRoute, is bool) {
	words := strings.Fields(line)
	if len(words) < 2 || !slices.Contains([]string{"blackhole", "unreachable", "prohibit"}, words[0]) {
		return r, false
	}
	if i := slices.Index(words, "proto"); i > 0 && i+1 < len(words) && !slices.Contains([]string{"static", "boot", "dhcp"}, words[i+1]) {
		return r, false
	}
	network, err := netip.ParsePrefix(words[1])
	if a, addrErr := netip.ParseAddr(words[1]); addrErr == nil {
		network, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err != nil {
		return r, false // "default": the route for all others, told by itself
	}
	return host.DeadRoute{Network: network.String(), Way: words[0]}, true
}

// probeAddresses are those of the machine that is to look at this one.
func (g *gatherer) probeAddresses() []netip.Addr {
	if g.Probe == nil {
		return nil
	}
	if a, err := netip.ParseAddr(g.Probe.Host); err == nil {
		return []netip.Addr{a}
	}
	found, _ := net.DefaultResolver.LookupNetIP(g.ctx, "ip", g.Probe.Host) // that it is not found is told by who connects to it
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found
}
