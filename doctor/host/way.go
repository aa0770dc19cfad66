package host

import (
	"net/netip"
	"slices"
	"strings"

	"picket/cause"
	"picket/cloud"
	"picket/doctor"
)

func isLoopback(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && a.Unmap().IsLoopback()
}

func list(all []string) string { return strings.Join(all, ", ") }

// placeIn finds FILE:LINE in a line such as "Error found at /etc/mosquitto/mosquitto.conf:7."
func placeIn(line string) (file, number string, ok bool) {
	_, rest, found := strings.Cut(line, "found at ")
	if !found {
		return "", "", false
	}
	rest = strings.TrimRight(rest, ". ")
	i := strings.LastIndexByte(rest, ':')
	if i <= 0 || i == len(rest)-1 || strings.Trim(rest[i+1:], "0123456789") != "" {
		return "", "", false
	}
	return rest[:i], rest[i+1:], true
}

// view is everything that is known of one port at one of the machine's addresses.
type view struct {
	port       int
	address    string    // the machine's own
	firewall   *Firewall // nil: not known
	firewallAt int
	leaving    *Firewall // of the answers, if they are kept
	leavingAt  int
	later      *Firewall // of what clients send once they are connected, if it is kept
	laterAt    int
	probe      *Firewall // of connections from the probe, if they meet something else than others
	probeAt    int
	dial       *Dial // nil: not tried
	dialAt     int
	outside    *Outside // nil: nobody looked
	outsideAt  int
}

// views gathers what is known, by the addresses that others can use.
func (d *diagnosis) views() (all []*view) {
	get := func(address string, port int) *view {
		for _, v := range all {
			if v.address == address && v.port == port {
				return v
			}
		}
		all = append(all, &view{port: port, address: address})
		return all[len(all)-1]
	}
	none, noneAt := facts[NoFirewall](d.Facts)
	firewalls, at := facts[Firewall](d.Facts)
	for i := range firewalls {
		v := get(firewalls[i].Address, firewalls[i].Port)
		switch f := &firewalls[i]; {
		case f.Neighbours: // told by neighbours
		case f.Leaving:
			v.leaving, v.leavingAt = f, at[i]
		case f.Later:
			v.later, v.laterAt = f, at[i]
		case f.From != "":
			v.probe, v.probeAt = f, at[i]
		default:
			v.firewall, v.firewallAt = f, at[i]
		}
	}
	outsides, at := facts[Outside](d.Facts)
	for i := range outsides {
		v := get(outsides[i].Local, outsides[i].Port)
		v.outside, v.outsideAt = &outsides[i], at[i]
	}
	dials, at := facts[Dial](d.Facts)
	for i := range dials {
		if !isLoopback(dials[i].Address) {
			v := get(dials[i].Address, dials[i].Port)
			v.dial, v.dialAt = &dials[i], at[i]
		}
	}
	if len(none) > 0 {
		for _, v := range all {
			v.firewall, v.firewallAt = &Firewall{Address: v.address, Port: v.port, Verdict: "accept"}, noneAt[0]
		}
	}
	return all
}

func (v *view) evidence() (at []int) {
	if v.dial != nil {
		at = append(at, v.dialAt)
	}
	if v.firewall != nil {
		at = append(at, v.firewallAt)
	}
	if v.outside != nil {
		at = append(at, v.outsideAt)
	}
	return at
}

// covered says whether a socket is there for connections to the address, whatever becomes of them on their way to it; known is false where sockets
// could not be seen.
func (d *diagnosis) covered(v *view) (covered, known bool) {
	if v.dial != nil && v.dial.Result == "open" {
		return true, true
	}
	listens, _ := facts[Listen](d.Facts)
	for _, l := range listens {
		if l.Port != v.port || l.Container {
			continue
		}
		known = true
		six := strings.Contains(v.address, ":")
		if l.Address == v.address || l.Address == "::" && !v.sixAlone() || l.Address == "0.0.0.0" && !six {
			return true, true
		}
	}
	return v.dial == nil, known
}

// sixAlone tells whether this IPv4 address refuses, and no filter does it: who listens at :: there does so for IPv6 alone.
func (v *view) sixAlone() bool {
	return !strings.Contains(v.address, ":") && v.dial != nil && v.dial.Result == "refused" && (v.firewall == nil || v.firewall.Verdict == "accept")
}

// reachable: does a connection from outside get through?
func (d *diagnosis) reachable() {
	views := d.views()
	for _, v := range views {
		if d.ledAway(v) {
			continue
		}
		if d.loopbackPort(v.port) && v.firewall != nil && v.firewall.Verdict != "accept" && !d.found(cause.LoopbackOnly) {
			d.Settle(v.firewallAt) // nobody is meant to come in there
		}
		if d.loopbackPort(v.port) || d.nobodyAt(v.port) && (v.firewall == nil || v.firewall.To == "") {
			continue // that nobody answers there has been found already
		}
		if covered, known := d.covered(v); known && !covered {
			d.otherAddress(v, views)
			continue
		}
		d.filtered(v)
		d.answersKept(v)
		d.laterKept(v)
		d.timed(v)
		if v.outside != nil && v.outside.Result != "open" {
			d.closedOutside(v)
		}
	}
	d.forwards()
	d.neighbours()
	d.ledNowhere()
	d.untried()
	d.wayIs()
}

// ledAway: a broker of this machine listens, and a rule leads whoever comes from outside past it, to a container that is gone or another machine.
func (d *diagnosis) ledAway(v *view) bool {
	if v.firewall == nil || v.firewall.To == "" || v.outside != nil && v.outside.Result == "open" {
		return false
	}
	listens, at := facts[Listen](d.Facts)
	published, _ := facts[Published](d.Facts)
	to, err := netip.ParseAddrPort(v.firewall.To)
	if err != nil || slices.ContainsFunc(published, func(p Published) bool { return p.Port == v.port && p.By != "DNAT" }) {
		return false
	}
	for i, l := range listens {
		if !l.Broker || l.Container || l.Port != v.port || l.Scope == LoopbackScope || slices.ContainsFunc(listens, func(o Listen) bool { return o.Container && o.Port == int(to.Port()) }) {
			continue
		}
		f := d.find(cause.PortTaken, doctor.Sure-1, port(v.port),
			doctor.Say("%s (process %d) listens on port %d, and whoever comes from outside does not get to it: a rule of the filter leads %s on to %s. Docker leaves such rules behind when it is killed.",
				"%s（进程 %d）在监听端口 %d，但外面来的连接到不了它：防火墙的 NAT 规则把 %s 转到了 %s。Docker 被强行结束时会留下这样的规则。", l.Program, l.PID, v.port, doctor.HostPort(v.address, v.port), v.firewall.To),
			append(v.evidence(), at[i])...)
		f.Steps = append(f.Steps, doctor.Step{Title: doctor.Say("Find the rule, and remove it (restarting Docker removes its own)", "找到并删除这条规则（重启 Docker 会清除它自己的规则）"),
			Lines: doctor.Say("sudo iptables -t nat -S | grep -- '--dport %d'\nsudo nft -a list ruleset | grep -B3 'dport %[1]d'", "sudo iptables -t nat -S | grep -- '--dport %d'\nsudo nft -a list ruleset | grep -B3 'dport %[1]d'", v.port)})
		return true
	}
	return false
}

// otherAddress: the broker listens, and not at an address that others use.
func (d *diagnosis) otherAddress(v *view, all []*view) {
	listens, at := facts[Listen](d.Facts)
	evidence := v.evidence()
	var where []string
	six := strings.Contains(v.address, ":")
	family := true // it listens at every address of the other family
	for i, l := range listens {
		if l.Port == v.port && !l.Container && l.Scope != LoopbackScope {
			where, evidence = append(where, doctor.HostPort(l.Address, l.Port)), append(evidence, at[i])
			family = family && l.Scope == AllScope
		}
	}
	served := slices.ContainsFunc(all, func(o *view) bool { c, _ := d.covered(o); return o != v && o.port == v.port && c })
	values := cause.Values{"port": itoa(v.port), "address": v.address, "host": v.address}
	switch {
	case six && (family || served):
		names, _ := facts[Named](d.Facts)
		if !slices.ContainsFunc(names, func(n Named) bool { return n.HasIPv6 }) && !(v.outside != nil && v.outside.Result != "open") {
			d.Settle(v.dialAt) // nobody is sent there
			return
		}
		d.find(cause.IPv4OnlyListener, doctor.Probable, values, doctor.Say("The broker listens at %s only: by IPv6 (%s) nobody gets in.", "服务端只监听 %s：通过 IPv6（%s）连不上。", list(where), v.address), evidence...)
	case !six && len(where) > 0 && onlySix(where) && (served || family):
		f := d.find(cause.IPv6OnlyServer, doctor.Probable, values, doctor.Say("The broker listens at %s by IPv6 only: at %s, by IPv4, it refuses, and most clients come by IPv4.", "服务端只在 IPv6 上监听（%s）：通过 IPv4（%s）会被拒绝，而多数客户端使用 IPv4。", list(where), v.address), evidence...)
		f.Steps = append(f.Steps, doctor.Step{
			Title: doctor.Say("In the configuration: a listener without an address, and without a line socket_domain; then restart the broker", "在配置中：监听不写地址，去掉 socket_domain 行，然后重启服务端"),
			Lines: doctor.Say("listener %d", "listener %d", v.port),
		})
	case served && (v.outside == nil || v.outside.Result == "open"):
		d.find(cause.LoopbackOnly, doctor.Possible, values, doctor.Say("The broker listens at %s only, and not at this machine's address %s.", "服务端只监听 %s，而不监听本机的另一个地址 %s。", list(where), v.address), evidence...)
	default:
		f := d.find(cause.LoopbackOnly, doctor.Sure, values,
			doctor.Say("The broker listens at %s only, and not at %s, the address by which this machine is reached: there it refuses.", "服务端只监听 %s，而不监听本机对外的地址 %s，因此那里连接被拒绝。", list(where), v.address), evidence...)
		f.Steps = append(f.Steps, doctor.Step{
			Title: doctor.Say("In the configuration, in place of that listener", "在配置中，替换该监听"),
			Lines: doctor.Say("listener %d", "listener %d", v.port),
		})
	}
}

// onlySix tells whether all addresses that are listened at, with their ports, are of IPv6.
func onlySix(where []string) bool {
	return !slices.ContainsFunc(where, func(w string) bool { return !strings.HasPrefix(w, "[") })
}

// answersKept: what comes in is answered, and the firewall keeps the answer.
func (d *diagnosis) answersKept(v *view) {
	f := v.leaving
	if f == nil || v.outside != nil && v.outside.Result == "open" {
		if f != nil {
			d.Settle(v.leavingAt)
		}
		return
	}
	found := d.find(f.cause(), doctor.Sure, cause.Values{"port": itoa(v.port), "address": v.address},
		join("", "", doctor.Say("Connections to %s come in, and the answers do not go out: ", "到 %s 的连接能进来，但应答出不去：", doctor.HostPort(v.address, v.port)), f.by(), doctor.Say(" keeps them.", " 拦住了它们。")),
		append(v.evidence(), v.leavingAt)...)
	found.Recipes = []string{}
	found.Steps = append(found.Steps, doctor.Step{Title: doctor.Say("Let the answers out", "放行应答"), Lines: leavingLines(f, v.port)})
}

// laterKept: connections open, and what clients send on them does not come in.
func (d *diagnosis) laterKept(v *view) {
	f := v.later
	if f == nil {
		return
	}
	fit, what := doctor.Sure, doctor.Say("Connections to %s open, and what clients send on them does not come in: ", "到 %s 的连接能建立，但客户端随后发来的数据进不来：", doctor.HostPort(v.address, v.port))
	evidence := append(v.evidence(), v.laterAt)
	answers, at := facts[Answer](d.Facts)
	silent := false
	for i, a := range answers {
		if a.Port == v.port && a.Heard == Silence {
			silent, evidence = true, append(evidence, at[i])
		}
	}
	if f.Contents {
		if !silent {
			fit = doctor.Probable
		}
		what = doctor.Say("Connections to %s open, and some of what clients send on them does not come in, by its contents or its length: ", "到 %s 的连接能建立，但客户端发来的部分数据会因内容或长度被拦截：", doctor.HostPort(v.address, v.port))
	}
	found := d.find(f.cause(), fit, cause.Values{"port": itoa(v.port), "address": v.address},
		join("", "", what, f.by(), doctor.Say(" keeps it.", " 拦住了它。")), evidence...)
	found.Recipes = []string{}
	found.Steps = append(found.Steps, doctor.Step{Title: doctor.Say("Let in what belongs to connections that are open", "放行已建立连接的数据"), Lines: f.establishedLines()})
}

// keepsLater tells whether the filter keeps something of what clients send to a port once they are connected.
func (d *diagnosis) keepsLater(port int) bool {
	firewalls, _ := facts[Firewall](d.Facts)
	return slices.ContainsFunc(firewalls, func(f Firewall) bool { return f.Later && f.Port == port })
}

// timed: the firewall lets connections in at some times only.
func (d *diagnosis) timed(v *view) {
	f := v.firewall
	if f == nil || f.Times == "" || f.Verdict != "accept" {
		return
	}
	id, fit := cause.HostFirewallDrop, doctor.Possible
	if f.TimesVerdict == "reject" {
		id = cause.HostFirewallReject
	}
	evidence := v.evidence()
	dials, at := facts[Dial](d.Facts)
	for i, one := range dials {
		if one.Port == v.port && (one.Result == "timeout" || one.Result == "unreachable") {
			evidence, fit = append(evidence, at[i]), doctor.Sure // now is such a time
		}
	}
	if fit != doctor.Sure && v.outside != nil && v.outside.Result != "open" {
		fit = doctor.Probable + 3 // what else is in the way has no rule that could be seen
	}
	found := d.find(id, fit, cause.Values{"port": itoa(v.port), "address": v.address},
		doctor.Say("At certain times connections to %s do not come in, by the firewall's rule «%s». It goes by UTC (`date -u`), unless it says --kerneltz.",
			"在特定时间，到 %s 的连接会被防火墙规则 «%s» 拦截。规则按 UTC 计时（`date -u`），除非写了 --kerneltz。", doctor.HostPort(v.address, v.port), f.Times),
		evidence...)
	found.Recipes = []string{}
}

// cause is that of what the filter keeps.
func (f *Firewall) cause() cause.ID {
	return map[string]cause.ID{"drop": cause.HostFirewallDrop, "reject": cause.HostFirewallReject}[f.Verdict]
}

// establishedLines are commands that let in what belongs to connections that are open, in the chain that decides.
func (f *Firewall) establishedLines() cause.Text {
	if !strings.HasPrefix(f.Where, "iptables") {
		return doctor.Say("sudo nft insert rule %s ct state established,related accept", "sudo nft insert rule %s ct state established,related accept", f.Where)
	}
	words := strings.Fields(f.Where) // iptables, table, chain
	chain := words[len(words)-1]
	if table := words[len(words)-2]; table != "filter" {
		chain += " -t " + table
	}
	return doctor.Say("sudo iptables -I %s -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT", "sudo iptables -I %s -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT", chain)
}

// by names what decides.
func (f *Firewall) by() cause.Text {
	if f.Rule != "" {
		return doctor.Say("the rule «%s» in %s", "规则 «%s»（位于 %s）", f.Rule, f.Where)
	}
	return doctor.Say("the policy of %s", "%s 的默认策略", f.Where)
}

// leavingLines are commands that let a port's answers out.
func leavingLines(f *Firewall, port int) cause.Text {
	if strings.HasPrefix(f.Where, "iptables") {
		return doctor.Say("sudo iptables -I OUTPUT 1 -p tcp --sport %d -m conntrack --ctstate ESTABLISHED -j ACCEPT", "sudo iptables -I OUTPUT 1 -p tcp --sport %d -m conntrack --ctstate ESTABLISHED -j ACCEPT", port)
	}
	return doctor.Say("sudo nft insert rule %s tcp sport %d ct state established accept", "sudo nft insert rule %s tcp sport %d ct state established accept", f.Where, port)
}

// forwards: a port leads on to a container, and the kernel passes nothing on.
func (d *diagnosis) forwards() {
	_, at := facts[NoForwarding](d.Facts)
	firewalls, firewallAt := facts[Firewall](d.Facts)
	for i, f := range firewalls {
		if len(at) == 0 || f.To == "" || f.Leaving || f.Later || f.Neighbours || f.From != "" {
			continue
		}
		found := d.find(cause.DockerPortNotPublished, doctor.Sure, port(f.Port),
			doctor.Say("Port %d is sent on to %s, and the kernel forwards no packets: they end here.", "端口 %d 要转发到 %s，而内核没有开启转发：数据包到此为止。", f.Port, f.To), at[0], firewallAt[i])
		found.Steps = append(found.Steps, doctor.Step{Title: doctor.Say("Switch forwarding on", "开启转发"),
			Lines: doctor.Say("sudo sysctl -w net.ipv4.ip_forward=1\necho net.ipv4.ip_forward=1 | sudo tee /etc/sysctl.d/90-forward.conf", "sudo sysctl -w net.ipv4.ip_forward=1\necho net.ipv4.ip_forward=1 | sudo tee /etc/sysctl.d/90-forward.conf")})
	}
}

// nobodyAt says whether nobody listens on a port.
func (d *diagnosis) nobodyAt(port int) bool {
	none, _ := facts[NotListening](d.Facts)
	return slices.Contains(none, NotListening{port})
}

// loopbackPort says whether a port is served on the loopback address only.
func (d *diagnosis) loopbackPort(port int) bool {
	listens, _ := facts[Listen](d.Facts)
	some, reaching := false, false
	for _, l := range listens {
		if l.Port == port && !l.Container {
			some = true
			reaching = reaching || l.Scope != LoopbackScope
		}
	}
	return some && !reaching
}

// filtered: does the machine's own firewall keep connections away?
func (d *diagnosis) filtered(v *view) {
	if v.firewall == nil {
		return
	}
	d.banned(v)
	if v.outside != nil && v.outside.Result == "open" {
		d.Settle(v.firewallAt) // it comes in all the same: the rules were read as stricter than they are
		return
	}
	f := v.firewall
	values := cause.Values{"port": itoa(v.port), "address": v.address}
	fit := doctor.Sure
	seen := cause.Text{}
	if v.outside != nil {
		fit = doctor.Sure + 3
		seen = join("", "", doctor.Say(" Seen from outside: ", "从外部看："), outcomes[v.outside.Result], doctor.Say(".", "。"))
	}
	if f.Accepts != "" {
		seen = join("", "", seen, doctor.Say(" Some senders are let in by «%s»: is it the right address, and the right rule?", "部分来源由 «%s» 放行：地址和规则写对了吗？", f.Accepts))
	}
	if f.Times != "" {
		fit = doctor.Probable
		seen = join("", "", seen, doctor.Say(" At certain times they are let in by «%s».", "在特定时间由 «%s» 放行。", f.Times))
	}
	by := doctor.Say("the policy of %s", "%s 的默认策略", f.Where)
	if f.Rule != "" {
		by = doctor.Say("the rule «%s»", "规则 «%s»", f.Rule)
	}
	var id cause.ID
	var meaning cause.Text
	switch f.Verdict {
	case "drop":
		id = cause.HostFirewallDrop
		meaning = join("", "", doctor.Say("Connections to %s are dropped by ", "到 %s 的连接被丢弃，依据是 ", doctor.HostPort(v.address, v.port)), by, doctor.Say(".", "。"), seen)
	case "reject":
		id = cause.HostFirewallReject
		meaning = join("", "", doctor.Say("Connections to %s are rejected by ", "到 %s 的连接被拒绝，依据是 ", doctor.HostPort(v.address, v.port)), by, doctor.Say(".", "。"), seen)
	default:
		return
	}
	found := d.find(id, fit, values, meaning, v.evidence()...)
	d.openFirewall(v, found)
	if v.outside != nil {
		found.RuledOut = append(found.RuledOut, doctor.RuledOut{Cause: cause.SecurityGroupClosed,
			Why: doctor.Say("it may be closed too, but this firewall alone explains what is seen; open it first and look again", "也可能没有放行，但仅主机防火墙就足以解释；先放行主机防火墙再看")})
	}
}

// openFirewall says how the packet filter of the machine is opened.
func (d *diagnosis) openFirewall(v *view, found *doctor.Finding) {
	f := v.firewall
	found.Recipes = recipesOf(f.Manager)
	if f.Manager == "nftables" && f.Where != "" {
		found.Recipes = []string{}
		found.Steps = []doctor.Step{{
			Title: doctor.Say("nftables, in the chain that decides", "nftables，在做决定的链中放行"),
			Lines: doctor.Say("sudo nft insert rule %s tcp dport %s accept\n# then put the same rule into /etc/nftables.conf", "sudo nft insert rule %s tcp dport %s accept\n# 再把同样的规则写入 /etc/nftables.conf", f.Where, set(d.alike(f))),
		}}
	}
	if f.Rule != "" && f.Verdict == "reject" && strings.HasPrefix(f.Manager, "iptables") {
		found.Steps = []doctor.Step{{
			Title: doctor.Say("In front of the rule that rejects", "插到拒绝规则之前"),
			Lines: doctor.Say("sudo iptables -I INPUT 1 -p tcp -m multiport --dports %s -j ACCEPT    # appended, it would never be reached", "sudo iptables -I INPUT 1 -p tcp -m multiport --dports %s -j ACCEPT    # 追加到末尾则永远轮不到", strings.ReplaceAll(portText(d.alike(f)), " ", "")),
		}}
	}
	if f.Panel != "" {
		found.Steps = append(found.Steps, doctor.Step{
			Title: doctor.Say("In the panel, which writes these rules", "在面板中操作（规则由它写入）"),
			Lines: doctor.Say("%s → security → open port %d", "%s → 安全 → 放行端口 %d", f.Panel, v.port),
		})
	}
}

// banned: the firewall keeps away the probe's address alone, or all who come too often.
func (d *diagnosis) banned(v *view) {
	values := cause.Values{"port": itoa(v.port), "address": v.address}
	if f := v.probe; f != nil && v.firewall.Verdict == "accept" && f.Verdict != "accept" {
		d.find(cause.RateLimitOrBan, doctor.Sure+3, values,
			doctor.Say("This machine's firewall keeps away connections from %s, the probe's own address, by the rule «%s» in %s; it lets others in.", "本机防火墙拦截来自 %s（探测点自己的地址）的连接，规则为 «%s»，位于 %s；其他来源是放行的。", f.From, f.Rule, f.Where),
			append(v.evidence(), v.probeAt)...)
		return
	}
	if v.firewall.Rate == "" || v.firewall.Verdict != "accept" {
		return
	}
	fit := doctor.Possible
	evidence := v.evidence()
	dials, at := facts[Dial](d.Facts)
	for i, one := range dials {
		if one.Port == v.port && one.Result != "open" {
			evidence, fit = append(evidence, at[i]), doctor.Probable // so many were these here
		}
	}
	if v.outside != nil && v.outside.Result != "open" {
		fit = doctor.Probable
	}
	d.find(cause.RateLimitOrBan, fit, values,
		doctor.Say("The firewall lets in only so many new connections in a time: those that are more meet «%s». Clients behind one address, and those that come back all at once, are kept away by it.",
			"防火墙限制单位时间内的新连接数：超出的由 «%s» 处理。共用一个地址的客户端，以及同时重连的客户端会被拦住。", v.firewall.Rate), evidence...)
}

// alike are the ports with which the firewall does the same in the same place.
func (d *diagnosis) alike(f *Firewall) (ports []int) {
	all, _ := facts[Firewall](d.Facts)
	for _, one := range all {
		if one.Verdict == f.Verdict && one.Where == f.Where && !one.Leaving && !one.Later && !one.Neighbours && one.From == "" {
			ports = append(ports, one.Port)
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// set is a set of ports in nft's words.
func set(ports []int) string {
	if len(ports) == 1 {
		return itoa(ports[0])
	}
	return "{ " + portText(ports) + " }"
}

// recipesOf are the instructions for a firewall's manager.
func recipesOf(manager string) []string {
	switch manager {
	case "ufw", "firewalld", "nftables", "iptables":
		return []string{manager}
	}
	return nil
}

// closedOutside: the port is served here, and does not open from outside.
func (d *diagnosis) closedOutside(v *view) {
	values := cause.Values{"port": itoa(v.port), "address": v.address, "host": v.outside.Address}
	open := v.firewall != nil && v.firewall.Verdict == "accept" && v.firewall.Times == ""
	if v.firewall != nil && v.firewall.Verdict != "accept" && v.firewall.Verdict != "unknown" || v.leaving != nil || d.found(cause.RateLimitOrBan) {
		return // the machine's own firewall has been named
	}
	if _, off := facts[NoForwarding](d.Facts); len(off) > 0 {
		return
	}
	notHere := doctor.RuledOut{Cause: cause.HostFirewallDrop, Why: doctor.Say("the firewall's rules were read, and accept it", "已读取防火墙规则，是放行的")}
	listensHere := doctor.RuledOut{Cause: cause.BrokerNotRunning, Why: doctor.Say("it answers on this machine's own address %s", "在本机地址 %s 上有响应", v.address)}
	ruledOut := func(f *doctor.Finding) {
		if open {
			f.RuledOut = append(f.RuledOut, notHere)
		}
		if v.dial != nil {
			f.RuledOut = append(f.RuledOut, listensHere)
		}
	}
	switch v.outside.Result {
	case "timeout":
		d.silentOutside(v, values, open, ruledOut)
	case "unreachable":
		fit := doctor.Probable
		if open {
			fit = doctor.Possible
		}
		ruledOut(d.find(cause.HostFirewallReject, fit, values,
			doctor.Say("From outside a router or firewall answers that the port may not be reached (ICMP).", "从外部访问时，途中的路由器或防火墙回应“不可达”（ICMP）。"), v.evidence()...))
	case "refused":
		if v.outside.NAT() {
			ruledOut(d.find(cause.NATNoPortForward, doctor.Probable, values,
				doctor.Say("From outside %s refuses, while this machine (%s) listens: what refuses is the router in between, which does not lead the port to this machine.",
					"从外部访问 %s 被拒绝，而本机（%s）在监听：拒绝的是中间的路由器，它没有把端口转到本机。", doctor.HostPort(v.outside.Address, v.port), v.address), v.evidence()...))
			return
		}
		ruledOut(d.find(cause.HostFirewallReject, doctor.Possible, values,
			doctor.Say("From outside the port refuses, on the machine it opens: something between answers with a reset.", "从外部被拒绝，在本机能连上：中间有设备回应了重置。"), v.evidence()...))
	case "closed":
		if l := d.proxied(v.port); l != nil {
			d.find(cause.DockerDefaultConf, doctor.Sure, values,
				doctor.Say("The connection opens and is closed at once: Docker's proxy accepts it, and nothing in the container does.", "连接能建立但立刻断开：docker-proxy 接受了连接，容器内却没有程序接收。"), v.evidence()...)
			return
		}
		d.find(cause.RateLimitOrBan, doctor.Possible, values,
			doctor.Say("From outside the connection opens and is closed at once, on the machine it stays: the broker or something before it does not want the probe's address.", "从外部能连上但立刻断开，在本机则保持：服务端或其前面的程序拒绝了探测点的地址。"), v.evidence()...)
	}
}

// proxied is Docker's proxy at a port.
func (d *diagnosis) proxied(port int) *Listen {
	listens, _ := facts[Listen](d.Facts)
	for i := range listens {
		if listens[i].Port == port && listens[i].Program == "docker-proxy" {
			return &listens[i]
		}
	}
	return nil
}

// silentOutside: no answer from outside. What keeps silent is before the machine, if its own firewall accepts.
func (d *diagnosis) silentOutside(v *view, values cause.Values, open bool, ruledOut func(*doctor.Finding)) {
	clouds, cloudAt := facts[Cloud](d.Facts)
	evidence := v.evidence()
	switch {
	case !open && v.firewall == nil:
		// The rules could not be read, so both are as likely.
		f := d.find(cause.HostFirewallDrop, 60, values,
			doctor.Say("From outside nobody answers, on the machine the port opens. The firewall's rules cannot be read; run this as root to know.", "从外部无响应，在本机能连上。防火墙规则无法读取，请用 root 运行以确认。"), evidence...)
		if tools, toolAt := facts[FirewallTool](d.Facts); len(tools) > 0 {
			f.Fit, f.Evidence, f.Recipes = doctor.Probable, append(f.Evidence, toolAt[0]), recipesOf(tools[0].Name)
		}
		ruledOut(f)
		ruledOut(d.find(cause.SecurityGroupClosed, 55, values, doctor.Say("If the machine is a cloud's, its security group may be what keeps silent.", "如果是云服务器，也可能是安全组没有放行。"), evidence...))
	case len(clouds) > 0:
		c := clouds[0]
		f := d.find(cause.SecurityGroupClosed, doctor.Sure, values,
			join("", "", doctor.Say("Port %d opens on this machine and its firewall accepts it, but from %s nobody answers: ", "端口 %d 在本机能连上，防火墙也放行，但从 %s 无响应：", v.port, v.outside.From),
				doctor.Say("the security group in the console of ", "没有放行的是"), cloud.NameOf(c.Name), doctor.Say(" is what does not let it in.", " 控制台里的安全组。")), append(evidence, cloudAt[0])...)
		if _, ok := cause.LookupRecipe(c.Name); ok {
			f.Recipes = []string{c.Name}
			if _, light := cause.LookupRecipe(c.Name + "-light"); light {
				f.Recipes = append(f.Recipes, c.Name+"-light")
			}
		}
		ruledOut(f)
	case d.shared(v.address):
		ruledOut(d.find(cause.CGNAT, doctor.Sure, values,
			doctor.Say("This machine's address %s is one that the provider shares (100.64.0.0/10); from outside it is %s.", "本机地址 %s 属于运营商级共享地址（100.64.0.0/10），从外部看到的是 %s。", v.address, v.outside.Address), evidence...))
	case v.outside.NAT():
		ruledOut(d.find(cause.NATNoPortForward, 68, values,
			doctor.Say("From outside this machine is %s, and its own address is %s: a router stands between, and leads port %d nowhere.", "从外部看本机是 %s，自己的地址是 %s：中间有路由器，没有转发端口 %d。", v.outside.Address, v.address, v.port), evidence...))
		ruledOut(d.find(cause.SecurityGroupClosed, 62, values,
			doctor.Say("If this is a server in a cloud, which gives it a public address in the same way, it is the security group in the cloud's console that keeps silent; at home or in an office it is the router.",
				"如果这是云服务器（云平台也是这样给它公网地址的），没有放行的是云控制台里的安全组；如果在家里或公司，则是路由器没有转发。"), evidence...))
		ruledOut(d.find(cause.CGNAT, doctor.Possible, values, doctor.Say("If the router's own address outside is not %s, the provider shares that one among customers.", "如果路由器的外网地址不是 %s，则是运营商级 NAT。", v.outside.Address), evidence...))
	default:
		ruledOut(d.find(cause.SecurityGroupClosed, doctor.Probable, values,
			doctor.Say("The address is this machine's own and its firewall accepts the port: what drops it is a firewall of the provider.", "地址在本机网卡上，防火墙也放行：丢弃它的是服务商的防火墙。"), evidence...))
		ruledOut(d.find(cause.VPCACL, doctor.Possible, values, cause.Text{}, evidence...))
	}
}

// shared says whether an address is of the providers' shared space (RFC 6598).
func (d *diagnosis) shared(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && netip.MustParsePrefix("100.64.0.0/10").Contains(a)
}

// untried: what can be said when nobody looked from outside.
func (d *diagnosis) untried() {
	if FromOutside(d.Facts) {
		return
	}
	clouds, at := facts[Cloud](d.Facts)
	for i, c := range clouds {
		if c.Asked && len(c.Public) == 0 && !d.global() {
			d.find(cause.NoPublicIP, doctor.Probable, nil, join("", "", cloud.NameOf(c.Name), doctor.Say(" has given this machine no public address.", " 没有给本机分配公网地址。")), at[i])
		}
	}
}

// global says whether the machine itself has an address of the internet.
func (d *diagnosis) global() bool {
	addresses, _ := facts[Addresses](d.Facts)
	return slices.ContainsFunc(addresses, func(a Addresses) bool { return len(a.reaching("internet")) > 0 })
}

// wayIs: is the way good enough?
func (d *diagnosis) wayIs() {
	ways, at := facts[Way](d.Facts)
	for i, w := range ways {
		switch {
		case !w.Full:
			d.find(cause.MTUBlackhole, doctor.Sure, cause.Values{"host": w.From},
				doctor.Say("Small packets pass between here and %s, and full ones over TCP do not arrive.", "与 %s 之间小包能通，TCP 的满长包到不了。", w.From), at[i])
		case w.hole() && w.LossOut < badLoss: // what is lost anyway says nothing about sizes
			d.find(cause.MTUBlackhole, 60, cause.Values{"host": w.From},
				doctor.Say("Packets above %d bytes disappear on the way to %s, and no router says so. TCP gets through with smaller ones for now.", "去往 %[2]s 的大于 %[1]d 字节的包消失，且没有路由器告知。目前 TCP 靠较小的包仍能通。", w.MTUOut, w.From), at[i])
		}
		if w.RTT >= slowRTT {
			d.find(cause.FarAway, doctor.Probable, cause.Values{"seconds": ftoa(w.RTT / 1000)}, doctor.Say("A round trip to %s takes %.0f ms.", "到 %s 的往返需要 %.0f 毫秒。", w.From, w.RTT), at[i])
		}
		if w.LossOut >= badLoss || w.LossBack >= badLoss {
			d.find(cause.LossyNetwork, doctor.Probable, nil, doctor.Say("%s %% get lost on the way to %s, %s %% on the way back.", "去往 %[2]s 丢包 %[1]s %%，回程 %[3]s %%。", ftoa(w.LossOut), w.From, ftoa(w.LossBack)), at[i])
		}
	}
}

// named: does the name that clients use lead here?
func (d *diagnosis) named() {
	names, at := facts[Named](d.Facts)
	for i, n := range names {
		values := cause.Values{"host": n.Name}
		switch {
		case n.Error != "" && !n.NotFound:
			d.find(cause.DNSNoAnswer, doctor.Probable, values, doctor.Say("From here the name server does not answer: %s.", "从本机查询 DNS 没有应答：%s。", n.Error), at[i])
		case n.Error != "":
			d.find(cause.DNSMissingOrStale, doctor.Probable, values, doctor.Say("The name cannot be resolved from here: %s.", "从本机无法解析该域名：%s。", n.Error), at[i])
		case n.NoMatch && n.Private && !n.Unsure:
			d.find(cause.PrivateIPUsed, doctor.Probable, values, doctor.Say("%s leads to %s, which is no address of the internet.", "%s 解析到 %s，不是公网地址。", n.Name, list(n.Addresses)), at[i])
		case n.NoMatch && !n.Unsure:
			d.find(cause.DNSMissingOrStale, doctor.Probable, values, doctor.Say("%s leads to %s, and this machine is elsewhere; or a CDN stands in front.", "%s 解析到 %s，而本机不在那里；或者前面有 CDN。", n.Name, list(n.Addresses)), at[i])
		}
		if n.HasIPv6 {
			d.onlyIPv4(n, at[i])
		}
	}
}

// onlyIPv4: clients prefer IPv6 when the name has it.
func (d *diagnosis) onlyIPv4(n Named, at int) {
	dials, dialAt := facts[Dial](d.Facts)
	for i, one := range dials {
		a, err := netip.ParseAddr(one.Address)
		if err != nil || !a.Is6() || one.Result == "open" {
			continue
		}
		for j, other := range dials {
			b, err := netip.ParseAddr(other.Address)
			if err == nil && b.Is4() && other.Port == one.Port && other.Result == "open" && a.IsLoopback() == b.IsLoopback() {
				d.find(cause.IPv4OnlyListener, doctor.Probable, cause.Values{"host": n.Name, "port": itoa(one.Port), "address": one.Address},
					doctor.Say("%s has an IPv6 address, and port %d opens on IPv4 only.", "%s 有 IPv6 地址，而端口 %d 只在 IPv4 上能连。", n.Name, one.Port), at, dialAt[i], dialAt[j])
				return
			}
		}
	}
}

// soon is how many days before its end a certificate should have been renewed; Let's Encrypt's clients renew thirty days before.
const soon = 14

// certified: are certificates as clients and the broker need them?
func (d *diagnosis) certified() {
	certificates, at := facts[Certificate](d.Facts)
	for i, c := range certificates {
		values := cause.Values{"file": c.File, "port": itoa(c.Port)}
		switch {
		case c.Denied != "":
			d.find(cause.KeyUnreadable, doctor.Sure, cause.Values{"file": c.Denied},
				doctor.Say("The broker runs as %s, who may not read %s.", "服务端以用户 %s 运行，无权读取 %s。", c.User, c.Denied), at[i])
		case c.KeyLocked && !c.Served:
			d.locked(c, at[i])
			continue
		case c.Error != "" || c.KeyMismatch:
			why := doctor.Say("%s: %s", "%s：%s", c.File, c.Error)
			if c.KeyMismatch {
				why = doctor.Say("%s is not the key of %s.", "%s 不是 %s 的私钥。", c.KeyFile, c.File)
			}
			fit, evidence := doctor.Probable, []int{at[i]}
			if _, none := facts[NoBroker](d.Facts); len(none) > 0 {
				fit, evidence = doctor.Sure+2, append(none, at[i]) // a broker does not start so
			}
			d.find(cause.KeyUnreadable, fit, cause.Values{"file": c.File}, why, evidence...)
			continue
		}
		values["days"] = itoa(max(c.Days, -c.Days))
		switch {
		case c.Served && c.Other && c.ServedDays < 0 && c.Days >= 0:
			values["days"] = itoa(-c.ServedDays)
			f := d.find(cause.TLSExpired, doctor.Sure, values,
				doctor.Say("The broker serves a certificate that expired %d days ago, and %s has a newer one: reload the broker.", "服务端仍在使用 %d 天前过期的证书，而 %s 里已有新的：请重载服务端。", -c.ServedDays, c.File), at[i])
			f.Steps = []doctor.Step{{Title: doctor.Say("Load the new certificate", "载入新证书"), Lines: doctor.Say("sudo systemctl reload mosquitto    # or: kill -HUP PID", "sudo systemctl reload mosquitto    # 或：kill -HUP PID")}}
		case c.Served && c.Other && c.Days >= 0 && c.File != "":
			f := d.find(cause.ConfigNotLoaded, doctor.Probable, values, doctor.Say("The broker serves another certificate, valid for %d more days, than %s has now (%d days): the file was renewed, and the broker has not read it again. Reload it before the old one expires.", "服务端提供的证书还有 %d 天有效，与 %s 里现有的（%d 天）不是同一张：文件已更新，服务端却没有重新读取。请在旧证书过期之前重载。", c.ServedDays, c.File, c.Days), at[i])
			f.Steps = []doctor.Step{{Title: doctor.Say("Load the new certificate", "载入新证书"), Lines: doctor.Say("sudo systemctl reload mosquitto    # or: kill -HUP PID", "sudo systemctl reload mosquitto    # 或：kill -HUP PID")}}
		case c.Days < 0:
			d.find(cause.TLSExpired, doctor.Sure, values, doctor.Say("%s expired %d days ago.", "%s 已过期 %d 天。", c.File, -c.Days), at[i])
		case c.Future:
			d.find(cause.TLSNotYetValid, doctor.Sure, values, doctor.Say("%s is not valid yet by this machine's clock: it was made with another one, or this one is wrong.", "按本机时钟 %s 尚未生效：签发时用了另一个时钟，或本机时钟不准。", c.File), at[i])
		case c.Days < soon:
			d.find(cause.TLSExpiresSoon, doctor.Sure, values, doctor.Say("%s expires in %d days, and nothing has renewed it yet.", "%s 还有 %d 天过期，尚未续期。", c.File, c.Days), at[i])
		}
		if c.Incomplete {
			d.find(cause.TLSIncompleteChain, doctor.Sure-3, values, doctor.Say("%s was issued by %s, whose own certificate is not in the file.", "%s 由 %s 颁发，但文件里没有它的证书。", c.File, c.Issuer), at[i])
		}
		if c.WrongName != "" {
			d.find(cause.TLSNameMismatch, doctor.Sure, cause.Values{"host": c.WrongName, "port": itoa(c.Port)},
				doctor.Say("Clients use the name %s, and the certificate is for %s.", "客户端使用的名称是 %s，而证书用于 %s。", c.WrongName, list(c.Names)), at[i])
		}
		if c.KeyOpen {
			d.find(cause.FilePermissions, doctor.Sure, cause.Values{"file": c.KeyFile}, doctor.Say("Its mode is %s.", "其权限为 %s。", c.KeyMode), at[i])
		}
	}
}
