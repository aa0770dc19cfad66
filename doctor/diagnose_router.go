package doctor

import (
	"picket/cause"
)

// router: is the address that of a router, which does this or that with who comes to the port?
func (p *patient) router(first seen[Dial]) bool {
	p.completed(first)
	return p.portalByName(first) || p.handedOn(first) || first.fact.Result != NetUnreachable && p.hairpin(first, []int{first.at})
}

// hairpin: the address is one of the next router's own, which does not lead its own network back in.
func (p *patient) hairpin(first seen[Dial], evidence []int) bool {
	next := where(p.pings, func(g Ping) bool {
		return g.Received > 0 && g.neighbour() && g.Median < 5 && g.Address == first.fact.Address
	})
	if len(next) == 0 || !p.public() || p.near() || p.own() {
		return false
	}
	fit := 86
	if len(of[AnyName](p.Facts)) > 0 { // this name may lead there by mistake
		fit = 62
		p.wildcard(append(evidence, next[0].at))
	}
	p.found(cause.HairpinNAT, fit, append(evidence, next[0].at),
		means("%s answers pings from no farther than the next router: it is the public address of the network that this machine is in. From inside, the router does not lead it on to the broker; from outside it may well work.",
			"%s 的 ping 应答来自下一跳路由器：它就是本机所在网络自己的公网地址。从内部访问时路由器不会把它转给服务端；从外部访问可能是正常的。", first.fact.Address),
		step(cause.Text{EN: "To find out", ZH: "确认方法"}, cause.Text{EN: "Try from mobile data, and here with the broker's own address in this network.", ZH: "用移动数据试一次；在内网则使用服务端的内网地址。"}))
	p.found(cause.NATNoPortForward, 58, evidence)
	return true
}

// handedOn: a refusal comes from farther away than the answers to pings of the same address: a router answers those, and hands the port on to a machine
// behind it, which refuses.
func (p *patient) handedOn(first seen[Dial]) bool {
	if first.fact.Result != Refused || first.fact.ResetTTL == 0 {
		return false
	}
	behind := where(p.pings, func(g Ping) bool {
		return g.Received > 0 && g.Address == first.fact.Address && g.TTL > first.fact.ResetTTL && distance(g.TTL) < distance(first.fact.ResetTTL)
	})
	if len(behind) == 0 {
		return false
	}
	evidence := []int{first.at, behind[0].at}
	meant := means("A router has the address %s, and hands port %d on to a machine behind it: the refusal comes from one step farther away than the answers to pings. That machine is there, and nothing listens there for the network: the broker does not run, listens for its own machine only, or the router leads to the wrong machine or port.", "%s 是路由器的地址，路由器把端口 %d 转给了它后面的一台机器：拒绝来自比 ping 应答更远一跳的地方。那台机器在线，但没有程序对网络监听：服务端没有运行、只监听本机，或者路由器转发到了错误的机器或端口。", first.fact.Address, first.fact.Port)
	p.found(cause.BrokerNotRunning, 74, evidence, meant,
		step(cause.Text{EN: "On the machine to which the router leads", ZH: "在路由器转发到的那台机器上"}, same("ss -ltn\npicket doctor --server")),
		not(cause.HairpinNAT, "the router does lead it on", "路由器确实转发了"))
	p.found(cause.LoopbackOnly, 70, evidence, meant, not(cause.HairpinNAT, "the router does lead it on", "路由器确实转发了"))
	p.found(cause.NATNoPortForward, 52, evidence, means("The rule in the router may lead to the wrong machine or port.", "路由器中的转发规则可能指向了错误的机器或端口。"))
	return true
}

// portalByName: every name leads to one machine of this network, and its web server sends whoever comes to another page: the login page of this network.
func (p *patient) portalByName(first seen[Dial]) bool {
	names := of[AnyName](p.Facts)
	pages := where(p.openings, func(o Opening) bool {
		return o.Heard == HearHTTP && (o.Status/100 == 3 || o.Status == 511) && o.Address == first.fact.Address
	})
	if len(names) == 0 || len(pages) == 0 || !p.near() {
		return false
	}
	evidence := append(append(places(names), places(pages)...), first.at)
	p.found(cause.CaptivePortalOrAPIsolation, 86, evidence, means("Every name leads to %s in this very network, even %s, which was made up, and a web server there sends whoever comes to another page: the login page of this network.", "任何名称都解析到本网络内的 %s（连随意编造的 %s 也是），而那里的网页服务器会跳转到别的页面：这是该网络的认证页面。", first.fact.Address, names[0].fact.Host))
	p.found(cause.DNSMissingOrStale, 52, evidence)
	return true
}
