package host

import (
	"strings"

	"picket/cause"
	"picket/doctor"
)

// neighbours: the filter keeps what the next router and other neighbours ask before they can send anything by IPv6, so that no rule for a port matters.
func (d *diagnosis) neighbours() {
	firewalls, at := facts[Firewall](d.Facts)
	outsides, _ := facts[Outside](d.Facts)
	for i := range firewalls {
		f := &firewalls[i]
		if !f.Neighbours {
			continue
		}
		open := false
		for _, o := range outsides {
			open = open || o.Local == f.Address && o.Result == "open"
		}
		if open {
			d.Settle(at[i])
			continue
		}
		found := d.find(f.cause(), doctor.Sure, cause.Values{"port": itoa(f.Port), "address": f.Address},
			join("", "", doctor.Say("By IPv6 nobody gets in at %s, whatever is open: before a router can send anything here it asks for this machine's hardware address by ICMPv6, and ", "通过 IPv6 谁也连不上 %s，放行哪个端口都没有用：路由器在发送数据之前要先用 ICMPv6 询问本机的硬件地址，而", f.Address), f.by(), doctor.Say(" keeps that away.", " 把它拦住了。")), at[i])
		found.Recipes = []string{}
		lines := doctor.Say("sudo nft insert rule %s meta l4proto ipv6-icmp accept", "sudo nft insert rule %s meta l4proto ipv6-icmp accept", f.Where)
		if strings.HasPrefix(f.Where, "iptables") {
			lines = doctor.Say("sudo ip6tables -I INPUT 1 -p ipv6-icmp -j ACCEPT", "sudo ip6tables -I INPUT 1 -p ipv6-icmp -j ACCEPT")
		}
		found.Steps = append(found.Steps, doctor.Step{Title: doctor.Say("Let ICMPv6 in", "放行 ICMPv6"), Lines: lines})
	}
}
