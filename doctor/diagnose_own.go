package doctor

import (
	"fmt"
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
