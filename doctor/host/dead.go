package host

import (
	"net/netip"

	"picket/cause"
	"picket/doctor"
)

// DeadRoute is a route of this machine's that ends what goes to a network, and so the answers to clients that are in it.
type DeadRoute struct {
	Network string `json:"network"`
	Way     string `json:"way"` // "blackhole", "unreachable" or "prohibit"
	// Probe: the other machine that was to look at this one (--from) is in the network.
	Probe bool `json:"probe,omitempty"`
}

func (DeadRoute) Kind() string       { return "dead-route" }
func (DeadRoute) Stage() cause.Stage { return cause.TCP }

// single tells whether it is about one machine, as bans are.
func (r DeadRoute) single() bool {
	p, err := netip.ParsePrefix(r.Network)
	return err == nil && p.IsSingleIP()
}

func (r DeadRoute) Outcome() doctor.Outcome {
	if r.single() && !r.Probe {
		return doctor.Note // somebody was kept away
	}
	return doctor.Bad
}

func (r DeadRoute) Text() cause.Text {
	t := doctor.Say("A route throws away what this machine sends to %s (%s)", "有一条路由会丢弃本机发往 %s 的数据（%s）", r.Network, r.Way)
	if r.Probe {
		t = join("", "", t, doctor.Say(", the other side (--from) among it", "，其中包括对端（--from）"))
	}
	return t
}

// dead: answers to some clients end in a route that throws them away.
func (d *diagnosis) dead() {
	routes, at := facts[DeadRoute](d.Facts)
	for i, r := range routes {
		var f *doctor.Finding
		switch {
		case r.single() && r.Probe:
			f = d.find(cause.RateLimitOrBan, doctor.Sure, nil, doctor.Say("Connections from %s come in, and the answers end in a route made for it alone (%s): somebody, or a program such as fail2ban, has shut it out.", "来自 %s 的连接能进来，但应答会被一条专为它设置的路由（%s）丢弃：有人或某个程序（例如 fail2ban）封禁了它。", r.Network, r.Way), at[i])
		case r.single():
			continue
		default:
			fit := doctor.Possible
			if r.Probe {
				fit = doctor.Sure
			}
			f = d.find(cause.NoDefaultRoute, fit, nil, doctor.Say("Connections from %s come in, and a route of this machine's throws the answers away (%s): clients there wait in vain, others get in.", "来自 %s 的连接能进来，但本机的一条路由会丢弃应答（%s）：那里的客户端一直等不到响应，其他的则正常。", r.Network, r.Way), at[i])
			if fit == doctor.Possible {
				f.Meaning = join(" ", "", f.Meaning, doctor.Say("If no client is there, it does no harm.", "如果那里没有客户端，则没有影响。"))
			}
		}
		f.Steps = append(f.Steps, doctor.Step{Title: doctor.Say("If it should not be there, remove it, and look where it came from (a VPN, netplan, /etc/network/interfaces)", "如果不应存在，请删除，并查找来源（VPN、netplan、/etc/network/interfaces）"),
			Lines: doctor.Say("ip route show | grep -E 'blackhole|unreachable|prohibit'\nsudo ip route del %s %s", "ip route show | grep -E 'blackhole|unreachable|prohibit'\nsudo ip route del %s %s", r.Way, r.Network)})
	}
}
