package host

import (
	"net/netip"
	"strings"

	"picket/cause"
	"picket/doctor"
)

// Led is where a rule of the filter sends the connections to a port, and what becomes of one that is made from this machine to that place.
type Led struct {
	Port   int    `json:"port"`
	To     string `json:"to"`
	Result string `json:"result"` // as of Dial
}

func (Led) Kind() string              { return "led-to" }
func (Led) Stage() cause.Stage        { return cause.TCP }
func (l Led) Outcome() doctor.Outcome { return outcome(l.Result == "open") }

func (l Led) Text() cause.Text {
	return join("", "", doctor.Say("Port %d leads on to %s; from this machine: ", "端口 %d 被转到 %s；从本机连接：", l.Port, l.To), outcomes[l.Result])
}

// ledNowhere: a port is sent on to an address at which nobody takes it.
func (d *diagnosis) ledNowhere() {
	all, at := facts[Led](d.Facts)
	firewalls, firewallAt := facts[Firewall](d.Facts)
	for i, l := range all {
		if l.Result == "open" {
			continue
		}
		if d.found(cause.PortTaken) || d.found(cause.DockerDefaultConf) || d.found(cause.DockerPortNotPublished) || d.openFromOutside(l.Port) {
			d.Settle(at[i])
			continue
		}
		evidence := []int{at[i]}
		for fi, f := range firewalls {
			if f.Port == l.Port && f.To == l.To {
				evidence = append(evidence, firewallAt[fi])
			}
		}
		d.ledTo(l, evidence)
	}
}

func (d *diagnosis) openFromOutside(port int) bool {
	outsides, _ := facts[Outside](d.Facts)
	for _, o := range outsides {
		if o.Port == port && o.Result == "open" {
			return true
		}
	}
	return false
}

func (d *diagnosis) ledTo(l Led, evidence []int) {
	to, err := netip.ParseAddrPort(l.To)
	if err != nil {
		return
	}
	listens, listenAt := facts[Listen](d.Facts)
	var own []int
	for i, one := range listens {
		if one.Container && one.Broker && one.Scope != LoopbackScope {
			own, evidence = append(own, one.Port), append(evidence, listenAt[i])
		}
	}
	own = unique(own)
	switch {
	case l.Result != "refused":
		f := d.find(cause.HostDown, doctor.Probable, cause.Values{"host": to.Addr().String(), "address": to.Addr().String()},
			doctor.Say("Port %d is sent on to %s, and from there nothing comes back: the container or the machine is gone, or has another address now.", "端口 %d 被转到 %s，而那里没有任何回应：容器或机器已经不在，或者换了地址。", l.Port, l.To), evidence...)
		f.Steps = append(f.Steps, ruleStep(l))
	case len(own) > 0:
		f := d.find(cause.DockerPortNotPublished, doctor.Sure, port(l.Port),
			doctor.Say("Port %d is sent on to port %d of the container (%s), where nobody listens: its broker listens on port %s. The number behind the colon of -p or ports: is the container's.", "端口 %d 被转到容器的端口 %d（%s），那里没有程序监听：其中的服务端监听的是端口 %s。-p 或 ports: 中冒号后面的数字是容器内的端口。", l.Port, int(to.Port()), l.To, portText(own)), evidence...)
		f.Recipes = []string{}
		f.Steps = append(f.Steps, doctor.Step{Title: doctor.Say("Publish the port at which it listens, and make the container anew", "映射它实际监听的端口，并重建容器"),
			Lines: doctor.Say("docker run -p %d:%d …    # in compose.yaml: ports: [\"%[1]d:%[2]d\"]", "docker run -p %d:%d …    # compose.yaml 中：ports: [\"%[1]d:%[2]d\"]", l.Port, own[0])})
	default:
		f := d.find(cause.BrokerNotRunning, doctor.Probable+7, port(l.Port),
			doctor.Say("Port %d is sent on to %s, and nobody listens there: the broker of that container or machine does not run, or listens on another port or for itself alone.", "端口 %d 被转到 %s，而那里没有程序监听：那个容器或机器里的服务端没有运行，或监听了别的端口，或只监听它自己。", l.Port, l.To), evidence...)
		f.Steps = append(f.Steps, ruleStep(l))
	}
}

// ruleStep shows who is meant, and the rule.
func ruleStep(l Led) doctor.Step {
	address, _, _ := strings.Cut(l.To, ":")
	return doctor.Step{Title: doctor.Say("Which container it is meant for, and which rule sends it there", "查看它本应转给哪个容器，以及是哪条规则"),
		Lines: doctor.Say("docker ps --format '{{.Names}} {{.Ports}}'\nsudo iptables -t nat -S | grep -F %s", "docker ps --format '{{.Names}} {{.Ports}}'\nsudo iptables -t nat -S | grep -F %s", address)}
}
