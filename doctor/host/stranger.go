package host

import (
	"slices"

	"picket/cause"
	"picket/doctor"
)

// strangers says whether a program that is not known as a broker answers as one.
func (d *diagnosis) strangers() bool {
	answers, _ := facts[Answer](d.Facts)
	if !slices.ContainsFunc(answers, func(a Answer) bool { return a.Heard == SaidMQTT }) {
		return false
	}
	configs, at := facts[Config](d.Facts)
	for i, c := range configs {
		if c.Default {
			d.Settle(at[i]) // of a program that is not in use
		}
	}
	return true
}

// unlike: the port belongs to a program that does not answer as a broker would.
func (d *diagnosis) unlike(other *Listen, evidence []int) bool {
	answers, at := facts[Answer](d.Facts)
	i := slices.IndexFunc(answers, func(a Answer) bool { return a.Port == other.Port && a.Heard != SaidMQTT })
	if i < 0 {
		return false
	}
	heard := map[string]cause.Text{
		Silence:   {EN: "says nothing", ZH: "没有任何应答"},
		HungUp:    {EN: "hangs up", ZH: "直接断开连接"},
		SaidOther: {EN: "answers something that is not MQTT", ZH: "应答的不是 MQTT"},
	}[answers[i].Heard]
	d.Settle(at[i])
	d.find(cause.PortTaken, doctor.Sure, port(other.Port),
		join("", "", doctor.Say("%s (process %d) has port %d, and upon a CONNECT it ", "端口 %[3]d 属于 %[1]s（进程 %[2]d），它收到 CONNECT 后", other.Program, other.PID, other.Port), heard, doctor.Say(": it is no broker, or one that hangs.", "：它不是 MQTT 服务端，或者已经卡住。")), append(slices.Clone(evidence), at[i])...)
	return true
}
