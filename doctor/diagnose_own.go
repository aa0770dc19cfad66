package doctor

import (
	"fmt"
	"net/netip"
	"strings"

	"picket/cause"
)

// conflict: several machines answer for one address. A router that answers for others (proxy ARP) looks alike, but is rare where there is one network.
func (p *patient) conflict() (ends bool) {
	for _, f := range of[Conflict](p.Facts) {
		p.found(cause.AddressConflict, 88, []int{f.at}, set("address", f.fact.Address))
	}
	return false // the way may go on all the same, for now
}

// keptIn: this machine's own filter lets the connection not out.
func (p *patient) keptIn(first seen[Dial]) bool {
	own := where(of[OwnFilter](p.Facts), func(f OwnFilter) bool { return f.Address == first.fact.Address && f.Port == first.fact.Port })
	if len(own) == 0 {
		return false
	}
	f := own[0].fact
	chain, match := "OUTPUT 1", fmt.Sprintf("-p tcp --dport %d", f.Port)
	title := cause.Text{EN: "Let it out, here on this machine", ZH: "在本机上放行"}
	lines := fmt.Sprintf("sudo nft insert rule %s tcp dport %d accept", f.Where, f.Port)
	if f.Answers {
		chain, match = "INPUT 1", "-m conntrack --ctstate ESTABLISHED,RELATED"
		title = cause.Text{EN: "Let answers in, here on this machine", ZH: "在本机上放行应答"}
		lines = fmt.Sprintf("sudo nft insert rule %s ct state established,related accept", f.Where)
	}
	if strings.HasPrefix(f.Where, "iptables") {
		program := "iptables"
		if strings.Contains(f.Address, ":") {
			program = "ip6tables"
		}
		lines = fmt.Sprintf("sudo %s -I %s %s -j ACCEPT", program, chain, match)
	}
	p.found(cause.CarrierOrCorpBlocksPort, 96, []int{first.at, own[0].at},
		means("It is this very machine that keeps the connection from coming about: its own packet filter does.", "拦住连接的就是本机自己的防火墙。"),
		step(title, same(lines)),
		not(cause.HostFirewallDrop, "this machine's own filter alone explains it", "仅本机的防火墙就足以解释"),
		not(cause.SecurityGroupClosed, "this machine's own filter alone explains it", "仅本机的防火墙就足以解释"))
	return true
}

// forbiddenHere: a rule of this machine's own routing lets nothing out to the address.
func (p *patient) forbiddenHere(first seen[Dial]) bool {
	denied := where(of[Route](p.Facts), func(w Route) bool { return w.Denied })
	if len(denied) == 0 {
		return false
	}
	evidence := append(places(denied), first.at)
	p.found(cause.PhoneVPNOrDNS, 82, evidence,
		means("No packet leaves this machine: a rule of its own routing forbids the way. VPN programs set such rules, so that nothing passes beside them (kill switch, \"block connections without VPN\"), and they stay when the VPN is down.", "数据包没有离开本机：本机的路由规则禁止了这条路。VPN 程序会设置这样的规则，不让流量绕过 VPN（“断网保护”“始终开启的 VPN”），VPN 断开后规则仍然有效。"),
		step(cause.Text{EN: "Here, on this machine: which rule it is", ZH: "在本机上查看是哪条规则"}, same("ip rule\nip route show table all | grep -E 'unreachable|prohibit|blackhole'")),
		not(cause.HostFirewallReject, "nobody was asked: the answer is this machine's own", "没有发出任何数据，是本机自己的结论"))
	p.found(cause.CarrierOrCorpBlocksPort, 52, evidence, means("Security software of a company's machines sets such rules as well.", "公司电脑上的安全软件也会设置这样的规则。"))
	p.found(cause.ClientOffline, 40, evidence)
	return true
}

// almostOwn: the address was typed, nobody answers at it, and it differs in a digit or two from the network that this machine is in.
func (p *patient) almostOwn(evidence []int) {
	if len(p.lookups) > 0 || !p.public() {
		return
	}
	for _, w := range of[Route](p.Facts) {
		own, err := netip.ParseAddr(w.fact.Source)
		if err != nil || !own.Is4() || !own.IsPrivate() {
			continue
		}
		mine := own.As4()
		typed, err := netip.ParseAddr(w.fact.Address)
		if err != nil || !typed.Is4() {
			continue
		}
		his := typed.As4()
		meant := netip.AddrFrom4([4]byte{mine[0], mine[1], mine[2], his[3]}).String()
		if his[2] != mine[2] || !misspelt(fmt.Sprintf("%d.%d", his[0], his[1]), fmt.Sprintf("%d.%d", mine[0], mine[1])) {
			continue
		}
		t := Target{Scheme: p.target.Scheme, Host: meant, Port: p.target.Port, Path: p.target.Path}
		p.found(cause.AppFormMistake, 78, append(evidence, w.at, p.targetAt), means("%s is an address somewhere on the internet, and nobody answers there; it differs by a digit or two from this network's own addresses. Is %s meant?", "%s 是互联网上的某个地址，那里没有应答；它与本网络的地址只差一两个数字。是不是想填 %s？", typed, meant),
			step(cause.Text{EN: "Enter in the app", ZH: "在应用中填写"}, t.Form()))
		return
	}
}

// misspelt tells whether one word becomes the other by exchanging two neighbours, or by changing, adding or leaving out one character.
func misspelt(typed, meant string) bool {
	if typed == meant {
		return false
	}
	if len(typed) > len(meant) {
		typed, meant = meant, typed
	}
	head := 0
	for head < len(typed) && typed[head] == meant[head] {
		head++
	}
	a, b := typed[head:], meant[head:]
	switch {
	case len(a) < len(b):
		return len(a)+1 == len(b) && a == b[1:]
	case a[1:] == b[1:]:
		return true
	}
	return len(a) > 1 && a[0] == b[1] && a[1] == b[0] && a[2:] == b[2:]
}
