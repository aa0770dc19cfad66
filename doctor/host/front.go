package host

import (
	"slices"

	"picket/cause"
	"picket/doctor"
)

// Front is a program that listens for other machines where the broker itself does not, such as a reverse proxy, and what became of a CONNECT there.
type Front struct {
	Program string `json:"program"`
	PID     int    `json:"pid"`
	Port    int    `json:"port"`
	Heard   string `json:"heard"` // as of Answer
	TLS     bool   `json:"tls,omitempty"`
	// Path is that of the WebSocket by which the broker was reached; empty: it was plain MQTT.
	Path string `json:"path,omitempty"`
}

func (Front) Kind() string              { return "front" }
func (Front) Stage() cause.Stage        { return cause.FirstBytes }
func (f Front) Outcome() doctor.Outcome { return outcome(f.Heard == SaidMQTT) }

func (f Front) Text() cause.Text {
	t := doctor.Say("%s (process %d) at port %d ", "%s（进程 %d，端口 %d）", f.Program, f.PID, f.Port)
	if f.Heard != SaidMQTT {
		return join("", "", t, doctor.Say("does not answer a CONNECT as a broker would, with TLS or without", "对 CONNECT 没有像服务端那样应答，加密与否都一样"))
	}
	t = join("", "", t, doctor.Say("leads to a broker, which answers", "后面有服务端应答"))
	if f.Path != "" {
		t = join("", "", t, doctor.Say(" by WebSocket at the path %s", "，经 WebSocket，路径 %s", f.Path))
	}
	if f.TLS {
		t = join("", "", t, doctor.Say(", with TLS", "，使用 TLS"))
	}
	return t
}

// fronted: others reach a broker by what stands in front of it, so that its own port need not reach beyond the machine.
func (d *diagnosis) fronted() bool {
	fronts, _ := facts[Front](d.Facts)
	return slices.ContainsFunc(fronts, func(f Front) bool { return f.Heard == SaidMQTT })
}
