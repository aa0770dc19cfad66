package host

import (
	"picket/cause"
	"picket/doctor"
)

// Wrapped is that a broker asks TCP wrappers (libwrap, the files /etc/hosts.allow and /etc/hosts.deny) whom to let in, as Debian's mosquitto does, and
// that strangers are turned away by them: the connection opens, and is closed before anything is said.
type Wrapped struct {
	PID     int    `json:"pid"`
	Program string `json:"program"`
	File    string `json:"file"` // that has the rule
	Rule    string `json:"rule"`
	// Allowed are rules that let some senders in.
	Allowed []string `json:"allowed,omitempty"`
}

func (Wrapped) Kind() string            { return "wrapped" }
func (Wrapped) Stage() cause.Stage      { return cause.TCP }
func (Wrapped) Outcome() doctor.Outcome { return doctor.Bad }

func (w Wrapped) Text() cause.Text {
	t := doctor.Say("TCP wrappers turn strangers away from %s (process %d): «%s» in %s", "TCP wrappers 拒绝外来者连接 %s（进程 %d）：%[4]s 中的 «%[3]s»", w.Program, w.PID, w.Rule, w.File)
	if len(w.Allowed) > 0 {
		t = join("", "", t, doctor.Say("; some are let in by %s", "；%s 放行了一部分", list(w.Allowed)))
	}
	return t
}

// wrapped: the broker closes connections because the system's files of TCP wrappers say so.
func (d *diagnosis) wrapped() {
	all, at := facts[Wrapped](d.Facts)
	listens, _ := facts[Listen](d.Facts)
	answers, answerAt := facts[Answer](d.Facts)
	for i, w := range all {
		evidence := []int{at[i]}
		p := 1883
		for li, l := range listens {
			if l.PID != w.PID {
				continue
			}
			if li == 0 || p == 1883 {
				p = l.Port
			}
			for ai, a := range answers {
				if a.Port == l.Port && a.Heard != SaidMQTT {
					evidence = append(evidence, answerAt[ai])
				}
			}
		}
		f := d.find(cause.RateLimitOrBan, doctor.Sure, port(p),
			doctor.Say("%s asks TCP wrappers whom to let in, and the line «%s» in %s turns away whoever is not named in /etc/hosts.allow: connections open, and are closed before anything is said. No firewall shows it.", "%s 会查询 TCP wrappers 决定放行谁，而 %[3]s 中的 «%[2]s» 拒绝了所有未写在 /etc/hosts.allow 中的来源：连接能建立，但还没有任何应答就被关闭。防火墙里看不到这一点。", w.Program, w.Rule, w.File), evidence...)
		f.Recipes = []string{}
		f.Steps = append(f.Steps, doctor.Step{Title: doctor.Say("Let the clients' network in (with the real one in its place); it is in force at once", "放行客户端所在的网段（换成实际网段），立即生效"),
			Lines: doctor.Say("echo '%s: 192.168.1.0/255.255.255.0' | sudo tee -a /etc/hosts.allow    # ALL in place of the network: everybody", "echo '%s: 192.168.1.0/255.255.255.0' | sudo tee -a /etc/hosts.allow    # 网段写成 ALL 则放行所有人", w.Program)})
	}
}
