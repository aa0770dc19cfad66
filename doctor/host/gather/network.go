package gather

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"picket/doctor"
	"picket/doctor/arp"
	"picket/doctor/host"
	"picket/doctor/host/firewall"
	"picket/echo/probe"
	"picket/reach"
)

// outward is an address of the machine that others use.
type outward struct {
	addr  netip.Addr
	iface string
}

func loopback(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && a.Unmap().IsLoopback()
}

// reaches are the words of host.Address.
var reaches = map[reach.Scope]string{reach.Machine: "machine", reach.Guests: "guests", reach.VPN: "vpn", reach.Network: "network", reach.Internet: "internet"}

// addresses tells which addresses the machine has, and chooses those that others use: the one towards the internet of each family, or
// else the one that reaches furthest, and those by which the probe was reached.
func (g *gatherer) addresses() {
	this, err := reach.ThisHost()
	if err != nil {
		g.unread("addresses", err)
		return
	}
	g.own.Container = this.Container
	g.vpns = make(map[string]bool)
	type kind struct{ is4, vpn bool } // a VPN that takes all traffic does not make those who come by another interface disappear
	best := make(map[kind]outward)
	bestScope := make(map[kind]reach.Scope)
	for _, i := range this.Interfaces {
		for _, a := range i.Addrs {
			if a.IsLinkLocalUnicast() {
				continue
			}
			scope := reach.ScopeOf(i, a)
			of := kind{a.Is4(), scope == reach.VPN}
			if of.vpn {
				g.vpns[i.Name] = true
			}
			outbound := a == this.Outbound4 || a == this.Outbound6
			g.own.All = append(g.own.All, host.Address{Address: a.String(), Interface: i.Name, Reach: reaches[scope], Outbound: outbound})
			if outbound {
				scope = reach.Internet + 1
			}
			if scope > reach.Guests && scope > bestScope[of] {
				best[of], bestScope[of] = outward{a, i.Name}, scope
			}
		}
	}
	for _, is4 := range []bool{true, false} {
		o, own := best[kind{is4, false}]
		if own {
			g.outward = append(g.outward, o)
		}
		if v, ok := best[kind{is4, true}]; ok && (!own || bestScope[kind{is4, true}] > reach.Internet) {
			g.outward = append(g.outward, v)
		}
	}
	g.interfaces = networks()
	g.add(g.own)
	g.routed = this.Outbound4.IsValid()
	g.connectProbes()
}

// conflicts asks the networks of the addresses that others use whether another machine has them, too, and for the gateway whether it is there.
func (g *gatherer) conflicts() {
	if g.Root != "" {
		return
	}
	gateways := g.gateways()
	for _, o := range g.outward {
		if !o.addr.Is4() {
			continue
		}
		gateway := gateways[o.iface]
		its, others, asked := arp.Holders(o.iface, gateway, o.addr)
		if len(others) > 0 {
			g.add(doctor.Conflict{Address: o.addr.String(), Machines: others, Own: true})
		}
		if asked && gateway.IsValid() && len(its) == 0 && !g.knows(gateway) {
			if its, _, _ = arp.Holders(o.iface, gateway, o.addr); len(its) == 0 { // it may have been asleep
				g.add(host.NoRoute{Address: o.addr.String(), Interface: o.iface, Gateway: gateway.String()})
			}
		}
		switch {
		case !g.routed && !gateway.IsValid() && runtime.GOOS == "linux":
			g.add(host.NoRoute{Address: o.addr.String(), Interface: o.iface})
		default:
			g.wayBack(o)
		}
	}
}

// farAway is an address of the internet. It is looked up in the routing tables, and nothing is sent to it.
const farAway = "1.1.1.1"

// wayBack asks the system where answers from an address to clients of other networks go: rules (ip rule) may send them elsewhere than what the machine
// says by itself.
func (g *gatherer) wayBack(o outward) {
	targets := []string{farAway}
	for _, a := range g.probeAddresses() {
		if a.Is4() {
			targets = append(targets, a.String())
		}
	}
	for i, to := range targets {
		n, lost := g.back(o, to)
		if i > 0 {
			n.To = to
		}
		if lost {
			g.add(n)
			return // of the other it is true as well, or it needs no telling
		}
	}
}

// back is the way from an address to another machine, and whether it leads nowhere, or into a VPN that the address does not belong to.
func (g *gatherer) back(o outward, to string) (n host.NoRoute, lost bool) {
	n = host.NoRoute{Address: o.addr.String(), Interface: o.iface}
	out, err := g.Run(g.ctx, "ip", "-o", "route", "get", to, "from", o.addr.String())
	if err != nil { // without the program nothing is known
		_, n.Refused, lost = strings.Cut(err.Error(), "RTNETLINK answers: ")
		return n, lost
	}
	words := strings.Fields(string(out))
	if i := slices.Index(words, "dev"); i >= 0 && i+1 < len(words) && words[i+1] != o.iface && g.vpns[words[i+1]] && !g.vpns[o.iface] {
		n.Tunnel = words[i+1]
	}
	return n, n.Tunnel != ""
}

// gateways are the default gateways of IPv4, by interface, that have the first word.
func (g *gatherer) gateways() map[string]netip.Addr {
	all := make(map[string]netip.Addr)
	table, err := g.read("/proc/net/route") // interface, destination, gateway, flags, …, mask: numbers in the machine's order, hexadecimal
	if err != nil {
		return all
	}
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		n, err := strconv.ParseUint(f[2], 16, 32)
		if _, known := all[f[0]]; err == nil && n != 0 && !known {
			var b [4]byte
			binary.NativeEndian.PutUint32(b[:], uint32(n))
			all[f[0]] = netip.AddrFrom4(b)
		}
	}
	return all
}

// knows tells whether the system has the hardware address of another machine, from talking to it.
func (g *gatherer) knows(a netip.Addr) bool {
	table, err := g.read("/proc/net/arp") // address, type, flags (2: complete), …
	if err != nil {
		return false
	}
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 4 || f[0] != a.String() {
			continue
		}
		flags, err := strconv.ParseUint(strings.TrimPrefix(f[2], "0x"), 16, 32)
		return err == nil && flags&2 != 0
	}
	return false
}

// networks are the machine's interfaces with the networks behind them.
func networks() (all []firewall.Interface) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, i := range interfaces {
		one := firewall.Interface{Name: i.Name}
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				one.Networks = append(one.Networks, p)
			}
		}
		all = append(all, one)
	}
	return all
}

// use adds an address that others use.
func (g *gatherer) use(a netip.Addr) {
	a = a.WithZone("")
	if a.IsLoopback() || slices.ContainsFunc(g.outward, func(o outward) bool { return o.addr == a }) {
		return
	}
	for _, i := range g.interfaces {
		for _, n := range i.Networks {
			if n.Addr() == a {
				g.outward = append(g.outward, outward{a, i.Name})
				return
			}
		}
	}
}

// served are the ports at which somebody on the machine listens.
func (g *gatherer) served() (ports []int) {
	for _, p := range g.portsOf() {
		if slices.ContainsFunc(g.listens, func(l host.Listen) bool { return l.Port == p && !l.Container }) {
			ports = append(ports, p)
		}
	}
	return ports
}

// dialLimit is how long a connection from the machine to itself may take; it takes microseconds, or a firewall drops it.
const dialLimit = 3 * time.Second

// dials connects to the broker's ports, on the loopback address and on those that others use, all at the same time.
func (g *gatherer) dials() {
	addresses := []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	for _, o := range g.outward {
		addresses = append(addresses, o.addr)
	}
	ports := g.served()
	found := make([]host.Dial, len(ports)*len(addresses))
	var all sync.WaitGroup
	answers := make([]host.Answer, len(ports))
	for i, port := range ports {
		for j, a := range addresses {
			all.Go(func() { found[i*len(addresses)+j] = dial(g.ctx, a, port) })
		}
		all.Go(func() { answers[i] = g.ask(port) })
	}
	all.Wait()
	for _, d := range found {
		g.add(d)
	}
	for _, a := range answers {
		if a.Heard != "" {
			g.add(a)
		}
	}
}

// hello is a CONNECT of MQTT 3.1.1 without a user, by the client identifier "picketdoctor".
const hello = "\x10\x18\x00\x04MQTT\x04\x02\x00\x3C\x00\x0Cpicketdoctor"

// answerLimit is how long a program on the same machine may take to do anything about a CONNECT.
const answerLimit = 3 * time.Second

// ask says CONNECT to a port, at an address at which the broker listens or, without one, any other program, and waits for anything to happen. A port
// that waits for TLS or HTTP is not asked: it may wait on.
func (g *gatherer) ask(port int) (a host.Answer) {
	at := func(broker bool) int {
		return slices.IndexFunc(g.listens, func(l host.Listen) bool { return l.Port == port && l.Broker == broker && !l.Container })
	}
	i := at(true)
	if i < 0 {
		i = at(false)
	}
	if i < 0 || !g.plain(port) {
		return a
	}
	to, err := netip.ParseAddr(g.listens[i].Address)
	if err != nil {
		return a
	}
	if to.IsUnspecified() {
		to = netip.MustParseAddr("127.0.0.1")
	}
	ctx, cancel := context.WithTimeout(g.ctx, answerLimit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", netip.AddrPortFrom(to, uint16(port)).String())
	if err != nil {
		return a // told by the connections that were tried
	}
	defer conn.Close()
	a = host.Answer{Address: to.String(), Port: port, Heard: host.Silence}
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	first := make([]byte, 1)
	if _, err = conn.Write([]byte(hello)); err == nil {
		_, err = conn.Read(first)
	}
	var n net.Error
	switch {
	case err == nil && first[0] == 0x20:
		a.Heard = host.SaidMQTT
	case err == nil:
		a.Heard = host.SaidOther
	case !errors.As(err, &n) || !n.Timeout():
		a.Heard = host.HungUp
	}
	return a
}

// plain tells whether a port speaks MQTT without TLS or WebSocket, as far as the configuration is known.
func (g *gatherer) plain(port int) bool {
	for _, c := range g.configs {
		for _, l := range c.fact.Listeners {
			if l.Port == port && (l.TLS || l.WebSocket) && !l.Auto {
				return false
			}
		}
	}
	return len(g.configs) > 0 || port == 1883
}

func dial(ctx context.Context, a netip.Addr, port int) host.Dial {
	d := host.Dial{Address: a.String(), Port: port}
	began := time.Now()
	conn, err := (&net.Dialer{Timeout: dialLimit}).DialContext(ctx, "tcp", netip.AddrPortFrom(a, uint16(port)).String())
	d.Millis = millis(time.Since(began))
	if err == nil {
		conn.Close()
	} else {
		d.Error = bareNet(err)
	}
	d.Result = result(err)
	return d
}

func millis(t time.Duration) float64 { return float64(t.Microseconds()) / 1000 }

func bareNet(err error) string {
	var call *os.SyscallError
	if errors.As(err, &call) {
		return call.Err.Error()
	}
	return err.Error()
}

// result is what an error of connecting means.
func result(err error) string {
	var n net.Error
	switch {
	case err == nil:
		return "open"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return "refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EACCES):
		return "unreachable"
	case errors.As(err, &n) && n.Timeout():
		return "timeout"
	}
	return "failed"
}

// firewall reads the packet filter and asks it about the broker's ports.
func (g *gatherer) firewall() {
	rules, err := g.rules()
	if err != nil {
		g.unread("firewall", err)
		g.firewallTools()
		return
	}
	if rules.Empty() {
		g.add(host.NoFirewall{})
		return
	}
	manager := manager(rules)
	panel := ""
	for dir, name := range map[string]string{"/www/server/panel": "BT (宝塔)", "/opt/1panel": "1Panel"} {
		if g.exists(dir) {
			panel = name
		}
	}
	for _, port := range g.portsOf() {
		for _, o := range g.outward {
			for _, f := range g.decisions(rules, o, port, manager) {
				f.Panel = panel
				g.add(f)
			}
		}
	}
}

// decisions are what the filter does with connections from anybody and, where that is something else, with those from the probe and with the answers.
func (g *gatherer) decisions(rules *firewall.Ruleset, o outward, port int, manager string) []host.Firewall {
	packet := firewall.Packet{To: o.addr, Port: uint16(port), In: o.iface, Open: g.connected(port)}
	decide := func(p firewall.Packet) host.Firewall {
		return host.NewFirewall(o.addr, port, manager, rules.Decide(p, g.interfaces))
	}
	all := []host.Firewall{decide(packet)}
	for _, c := range g.probes {
		from := packet
		if from.From = c.Server().Addr().Unmap(); from.From.Is4() != o.addr.Is4() {
			continue
		}
		if f := decide(from); f.Verdict != all[0].Verdict {
			f.From = from.From.String()
			all = append(all, f)
		}
	}
	d := rules.Decide(packet, g.interfaces)
	if f, kept := laterKept(packet, manager, rules, g.interfaces); kept && d.Verdict == firewall.Accept {
		all = append(all, f)
	}
	if d.Forwarded {
		return all // its answers come from a container or another machine, and are forwarded as what came in was
	}
	if o.addr.Is6() && d.Verdict == firewall.Accept {
		asks := packet
		asks.Neighbour, asks.From = true, netip.MustParseAddr("fe80::1") // routers ask from such an address
		if f := decide(asks); f.Verdict == "drop" || f.Verdict == "reject" {
			f.Neighbours = true
			all = append(all, f)
		}
	}
	packet.Reply = true
	packet.User, packet.Group = g.sender(port)
	if d.To.Port() != 0 {
		packet.Port = d.To.Port()
	}
	if f := decide(packet); f.Verdict == "drop" || f.Verdict == "reject" {
		f.Leaving = true
		all = append(all, f)
	}
	return all
}

// sender are the user and the group of the broker that answers at a port; nil: not known.
func (g *gatherer) sender(port int) (user, group *firewall.Owner) {
	i := slices.IndexFunc(g.listens, func(l host.Listen) bool { return l.Port == port && !l.Container && l.Broker })
	if i < 0 {
		return nil, nil
	}
	for _, b := range g.brokers {
		if b.fact.PID != g.listens[i].PID || b.uid < 0 {
			continue
		}
		if user = (&firewall.Owner{ID: b.uid, Name: b.fact.User}); len(b.gids) > 0 {
			group = &firewall.Owner{ID: b.gids[0], Name: groupName(b.gids[0])}
		}
		return user, group
	}
	return nil, nil
}

// laterKept is what the filter does with what clients send once they are connected, and whether it keeps any of that.
func laterKept(packet firewall.Packet, manager string, rules *firewall.Ruleset, interfaces []firewall.Interface) (f host.Firewall, kept bool) {
	packet.Data = true
	d := rules.Decide(packet, interfaces)
	contents := false
	if i := slices.IndexFunc(d.Exceptions, func(e firewall.Decision) bool { return e.On == firewall.OnContent && e.Verdict.Keeps() }); i >= 0 && !d.Verdict.Keeps() {
		d, contents = d.Exceptions[i], true
	}
	f = host.NewFirewall(packet.To, int(packet.Port), manager, d)
	f.Later, f.Contents = true, contents
	return f, d.Verdict.Keeps()
}

// forwarding tells whether the system passes on what is not for itself, where a port leads on to a container.
func (g *gatherer) forwarding() {
	sends := slices.ContainsFunc(g.facts, func(f doctor.Fact) bool {
		fw, is := f.(host.Firewall)
		return is && fw.To != "" && fw.Verdict == "accept" && !slices.ContainsFunc(g.own.All, func(a host.Address) bool { return strings.HasPrefix(fw.To, a.Address+":") })
	})
	if sends && g.word("/proc/sys/net/ipv4/ip_forward") == "0" {
		g.add(host.NoForwarding{})
	}
}

// led sees whether somebody takes connections where rules of the filter send them: in a container, or on another machine.
func (g *gatherer) led() {
	tried := make(map[netip.AddrPort]bool)
	for _, fact := range slices.Clone(g.facts) {
		f, is := fact.(host.Firewall)
		to, err := netip.ParseAddrPort(f.To)
		if !is || err != nil || f.Verdict != "accept" || f.Leaving || f.Later || tried[to] || g.isOwn(to.Addr()) {
			continue
		}
		tried[to] = true
		g.add(host.Led{Port: f.Port, To: f.To, Result: dial(g.ctx, to.Addr(), int(to.Port())).Result})
	}
}

func (g *gatherer) isOwn(a netip.Addr) bool {
	return a.IsLoopback() || slices.ContainsFunc(g.own.All, func(o host.Address) bool { return o.Address == a.String() })
}

// rules reads the filter with every program that is there.
func (g *gatherer) rules() (*firewall.Ruleset, error) {
	var parts []*firewall.Ruleset
	var refused error
	for _, program := range firewall.Programs() {
		out, err := g.Run(g.ctx, program.Name, program.Args...)
		switch {
		case errors.Is(err, errMissing):
			continue
		case err != nil:
			if refused == nil {
				refused = err
			}
			continue
		}
		if len(strings.TrimSpace(string(out))) == 0 {
			continue // a system without nftables' tables prints nothing
		}
		rules, err := program.Parse(out)
		if err != nil {
			refused = err
			continue
		}
		parts = append(parts, rules)
	}
	switch {
	case refused != nil && len(parts) == 0:
		return nil, refused
	case len(parts) == 0 && !g.exists("/proc/net/ip_tables_names"):
		return nil, errors.New("neither nft nor iptables-save is installed")
	case refused != nil && os.Geteuid() != 0:
		return nil, refused // a part would be taken for the whole
	}
	return firewall.Join(parts...), nil
}

// firewallTools tells what everybody may know of a firewall whose rules cannot be read.
func (g *gatherer) firewallTools() {
	if text, err := g.read("/etc/ufw/ufw.conf"); err == nil && ufwEnabled.MatchString(text) {
		g.add(host.FirewallTool{Name: "ufw", By: "/etc/ufw/ufw.conf"})
	}
	if out, err := g.Run(g.ctx, "systemctl", "is-active", "firewalld"); err == nil && strings.TrimSpace(string(out)) == "active" {
		g.add(host.FirewallTool{Name: "firewalld", By: "systemctl is-active firewalld"})
	}
}

var ufwEnabled = regexp.MustCompile(`(?m)^\s*ENABLED\s*=\s*"?yes\b`)

// manager is the program that people change the filter with.
func manager(rules *firewall.Ruleset) string {
	switch {
	case rules.HasChain("ufw-user-input"):
		return "ufw"
	case rules.HasTable("firewalld"), rules.HasChain("INPUT_ZONES"):
		return "firewalld"
	case strings.HasPrefix(rules.Source, "iptables"):
		return "iptables"
	}
	return "nftables"
}

// resolveLimit is how long a name server may take: two tries of five seconds, the resolver's own default.
const resolveLimit = 10 * time.Second

// name looks the name up that clients use.
func (g *gatherer) name() {
	if g.Name == "" {
		return
	}
	ctx, cancel := context.WithTimeout(g.ctx, resolveLimit)
	defer cancel()
	n := host.Named{Name: g.Name}
	g.doing("asking the name server", "查询 DNS")
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", g.Name)
	if err != nil {
		n.Error = err.Error()
		var d *net.DNSError
		if errors.As(err, &d) {
			n.Error, n.NotFound = d.Err, d.IsNotFound
		}
		g.add(n)
		return
	}
	mine := slices.Clone(g.public)
	for _, a := range g.own.All {
		mine = append(mine, a.Address)
	}
	n.Private = true
	for _, a := range addresses {
		a = a.Unmap().WithZone("")
		n.Addresses = append(n.Addresses, a.String())
		n.HasIPv6 = n.HasIPv6 || a.Is6()
		n.Private = n.Private && (a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast())
		if slices.Contains(mine, a.String()) {
			n.Mine = append(n.Mine, a.String())
		}
	}
	n.NoMatch = len(n.Mine) == 0
	n.Unsure = len(g.public) == 0 && !slices.ContainsFunc(g.own.All, func(a host.Address) bool { return a.Reach == "internet" })
	g.add(n)
}

// connectProbes connects to the probe in each family that it has, so that the addresses that it is reached by are looked at too.
func (g *gatherer) connectProbes() {
	if g.Probe == nil {
		return
	}
	var first error
	for _, network := range []string{"tcp4", "tcp6"} {
		c, err := probe.Dial(g.ctx, network, g.Probe.Host, g.Probe.Port, g.Probe.Token)
		if err != nil {
			var none *net.AddrError
			var dns *net.DNSError
			if first == nil && !errors.As(err, &none) && !errors.As(err, &dns) && !errors.Is(err, syscall.ENETUNREACH) {
				first = err
			} else if errors.As(err, &dns) && network == "tcp4" {
				first = err
			}
			continue
		}
		g.probes = append(g.probes, c)
		g.use(c.Local().Addr())
		seen := host.Seen{From: c.Server().Addr().String(), Address: c.Self().Addr().String(), Local: c.Local().Addr().WithZone("").String()}
		g.add(seen)
		if !slices.Contains(g.public, seen.Address) {
			g.public = append(g.public, seen.Address)
		}
	}
	if len(g.probes) == 0 {
		if first == nil {
			first = errors.New("it has no address that can be reached from here")
		}
		g.unread("vantage", first)
	}
}

// outside has the probe look at the ports, and measures the way to it.
func (g *gatherer) outside() {
	defer func() {
		for _, c := range g.probes {
			c.Close()
		}
	}()
	var ports []uint16
	for _, p := range g.portsOf() {
		ports = append(ports, uint16(p))
	}
	for i, c := range g.probes {
		from := c.Server().Addr().String()
		g.doing("having the ports tried from "+from, "请 "+from+" 测试端口")
		all, err := c.Reach(ports)
		if err != nil {
			g.unread("vantage-way", err)
			continue
		}
		for _, r := range all {
			g.add(host.Outside{From: from, Address: c.Self().Addr().String(), Local: c.Local().Addr().WithZone("").String(),
				Port: int(r.Port), Result: r.Outcome.String(), Millis: millis(r.Took)})
		}
		if i > 0 {
			continue // the way has been measured
		}
		g.doing("measuring the way to "+from, "测量到 "+from+" 的线路")
		w, err := measure(c)
		if err != nil {
			g.unread("vantage-way", err)
			continue
		}
		w.From = from
		g.add(w)
	}
}

// roundTrips is how many are measured: enough for a median, and over in five seconds on the slowest way.
const roundTrips = 20

// measure measures the way to a probe.
func measure(c *probe.Client) (w host.Way, err error) {
	w.Ahead = c.ClockAhead().Seconds()
	r, err := c.RoundTrips(roundTrips)
	if err != nil {
		return w, err
	}
	w.RTT, w.Jitter, w.Most = millis(r.Median), millis(r.Jitter), millis(r.Most)
	l, err := c.Loss()
	if err != nil {
		return w, err
	}
	w.Measured, w.LossOut, w.LossBack = l.UDP, l.OutPercent(), l.BackPercent()
	if l.UDP {
		m, err := c.PathMTU()
		if err != nil {
			return w, err
		}
		w.MTUOut, w.MTUBack, w.Silent = m.Out, m.Back, m.Out > 0 && !m.Told && !m.Local
	}
	b, err := c.Bulk()
	if err != nil {
		return w, err
	}
	w.Full = b.Out > 0 && b.Back > 0
	if t := b.Local; !l.UDP && t != nil {
		w.LossOut = 0
		if t.Segments > 0 {
			w.LossOut = float64(1000*t.Repeated/t.Segments) / 10
		}
		if !w.Full {
			w.MTUOut = 0
		}
	}
	return w, nil
}

func itoa(n int) string { return strconv.Itoa(n) }
