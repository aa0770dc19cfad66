package doctor

import (
	"picket/cause"
)

// nearer: the refusal came from nearer than the machine that answers pings, so that it was not that machine who refused.
func (p *patient) nearer(first seen[Dial], evidence []int) bool {
	pings := where(p.pings, func(g Ping) bool { return g.Address == first.fact.Address && g.TTL > 0 })
	if first.fact.ResetTTL == 0 || len(pings) == 0 || distance(first.fact.ResetTTL) >= distance(pings[0].fact.TTL) {
		return false
	}
	p.found(cause.CarrierOrCorpBlocksPort, 84, append(evidence, pings[0].at),
		means("The refusal did not come from %s: its pings arrive with TTL %d, the refusal with TTL %d, from nearer by. A router or a firewall on the way refuses in its name.", "拒绝并非来自 %s：它的 ping 应答 TTL 为 %d，而拒绝的 TTL 为 %d，来自更近的地方。是途中的路由器或防火墙冒充它拒绝了连接。", first.fact.Address, pings[0].fact.TTL, first.fact.ResetTTL),
		not(cause.BrokerNotRunning, "the machine itself would refuse from its own distance", "如果是机器自己拒绝，距离应当与它相同"))
	p.found(cause.HostFirewallReject, 52, evidence, means("If the firewall stands in front of the server's own network, it is opened there.", "如果这台防火墙位于服务器一侧的网络，需要在那里放行。"))
	return true
}

// strangers: connections are reset from nearer than who has opened them.
func (p *patient) strangers(failed []int) bool {
	r := p.port()
	if len(r.strange) == 0 {
		return false
	}
	p.found(cause.CarrierOrCorpBlocksPort, 86, append(failed, r.strange...),
		means("Port %d opens, and what is said is met with a reset that comes from nearer than the answers of the server (by its TTL): something on the way cuts the connection off in the server's name.", "端口 %d 能连上，但一发送数据就被重置，而且重置来自比服务器更近的地方（由 TTL 判断）：途中有设备冒充服务器切断了连接。", p.target.Port),
		not(cause.ProxyProtocolMismatch, "the server itself has not hung up", "不是服务器自己断开的"))
	p.end = cause.TCP
	return true
}
