package host

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"picket/cause"
	"picket/doctor"
	"picket/printable"
)

// Diagnose turns facts into findings: first what keeps clients away, best first, then what should be looked at, then what is merely possible.
func Diagnose(facts []doctor.Fact) []doctor.Finding {
	d := &diagnosis{&doctor.Case{Facts: facts}}
	doctor.Apply(facts, d, rules)
	ranked := d.Conclude("")
	slices.SortStableFunc(ranked, func(a, b doctor.Finding) int { return class(a) - class(b) })
	return ranked
}

// rules are those about the broker's machine. No client's way ends here, so that each is asked.
var rules = []doctor.Rule[*diagnosis]{
	always(cause.Server, (*diagnosis).running, "no-broker"),
	always(cause.TCP, (*diagnosis).wrapped, "wrapped"),
	always(cause.FirstBytes, (*diagnosis).silent, "broker", "answer-here"),
	always(cause.Server, (*diagnosis).rivals, "broker", "service", "listen"),
	always(cause.Server, (*diagnosis).unsteady, "service"),
	always(cause.Server, (*diagnosis).listening, "broker", "listen", "published", "container", "configuration"),
	always(cause.Server, (*diagnosis).configured, "configuration"),
	always(cause.TCP, (*diagnosis).otherPort, "not-listening"),
	always(cause.TCP, (*diagnosis).reachable),
	always(cause.Name, (*diagnosis).named, "name"),
	always(cause.TCP, (*diagnosis).conflicted, "conflict"),
	always(cause.TCP, (*diagnosis).unrouted, "no-route"),
	always(cause.TCP, (*diagnosis).dead, "dead-route"),
	always(cause.TLS, (*diagnosis).certified, "certificate"),
	always(cause.TLS, (*diagnosis).clientsTrust, "trust", "configuration"),
	always(cause.Server, (*diagnosis).forbidden, "denial"),
	always(cause.Server, (*diagnosis).damaged, "damaged"),
	always(cause.Server, (*diagnosis).supplied),
	always(cause.Server, (*diagnosis).throttled, "throttled"),
	always(cause.Server, (*diagnosis).united, "unit"),
	always(cause.Server, (*diagnosis).logged, "log"),
}

// always is a rule after which the others are asked all the same.
func always(stage cause.Stage, draw func(*diagnosis), needs ...string) doctor.Rule[*diagnosis] {
	return doctor.Rule[*diagnosis]{Stage: stage, Needs: needs, Draw: func(d *diagnosis) bool { draw(d); return false }}
}

// class is 0 for what keeps clients away, 1 for what else is so, and 2 for what may be.
func class(f doctor.Finding) int {
	c, _ := cause.Lookup(f.Cause)
	switch {
	case f.Fit <= doctor.Possible:
		return 2
	case c.Severity < cause.Error:
		return 1
	}
	return 0
}

// FromOutside says whether some fact is the view from another machine.
func FromOutside(all []doctor.Fact) bool {
	_, at := facts[Outside](all)
	return len(at) > 0
}

// diagnosis is the examination of a machine.
type diagnosis struct{ *doctor.Case }

// find adds a finding. What is found of another port too is told once, with all ports.
func (d *diagnosis) find(id cause.ID, fit int, values cause.Values, meaning cause.Text, evidence ...int) *doctor.Finding {
	for _, f := range d.Findings() {
		port := values["port"]
		if f.Cause != id || f.Fit < fit || port == "" || f.Values["port"] == "" {
			continue
		}
		same := doctor.Say("The same is true of port %s.", "端口 %s 也是如此。", port)
		if f.Values["port"] != port && !strings.Contains(f.Meaning.EN, same.EN) {
			f.Meaning = join(" ", "", f.Meaning, same)
		}
		f.Evidence = unique(append(f.Evidence, evidence...))
		return new(doctor.Finding) // what the caller adds is there already
	}
	return d.Add(doctor.Finding{Cause: id, Fit: fit, Values: values, Meaning: meaning, Evidence: evidence})
}

// found says whether a cause has been found already.
func (d *diagnosis) found(id cause.ID) bool { return d.Found(id) != nil }

func port(n int) cause.Values { return cause.Values{"port": strconv.Itoa(n)} }

// startFailures are causes in a log that say why a broker ended as it started.
var startFailures = []cause.ID{cause.ConfigErrorExit, cause.ConfigUnreadable, cause.ConfigUnknownDirective, cause.ConfigInvalidValue, cause.ConfigUnsupported, cause.ConfigConflict,
	cause.KeyUnreadable, cause.PortTaken, cause.PrivilegedPort, cause.BindBeforeNetwork, cause.PersistenceCorrupt}

// running: is there a broker?
func (d *diagnosis) running() {
	none, at := facts[NoBroker](d.Facts)
	if len(none) == 0 {
		return
	}
	listens, _ := facts[Listen](d.Facts)
	if len(listens) > 0 && !none[0].Complete {
		d.Settle(at...)
		return // somebody's sockets are there, and whose they are cannot be seen
	}
	if d.strangers() {
		d.Settle(at...)
		return // a broker answers, whatever program it is
	}
	if d.leadsOn() {
		_, configAt := facts[Config](d.Facts)
		d.Settle(append(at, configAt...)...) // the broker is on another machine, or in a container that cannot be seen
		return
	}
	fit := doctor.Sure
	if !none[0].Complete {
		fit = doctor.Probable
	}
	evidence := at
	services, serviceAt := facts[Service](d.Facts)
	var meanings []cause.Text
	var steps []doctor.Step
	for i, s := range services {
		evidence = append(evidence, serviceAt[i])
		if s.Result == "oom-kill" {
			d.find(cause.MemoryLimitOOM, doctor.Sure, nil, doctor.Say("%s was killed for lack of memory.", "%s 因内存不足被杀死。", s.Unit), serviceAt[i])
			continue
		}
		if why, fix := s.why(); why.EN != "" {
			meanings, steps = append(meanings, why), append(steps, fix)
		}
	}
	if c, configAt := d.idle(); len(meanings) == 0 && c != nil {
		evidence = append(evidence, configAt)
		meanings, steps = append(meanings, doctor.Say("Nothing in %s, or in what else can be seen here, says why.", "从 %s 以及这里能看到的其他情况，都看不出原因。", c.File)), append(steps, c.byHand())
		fit = min(fit, doctor.Probable+5)
	}
	meaning := join(" ", "", meanings...)
	if other, otherAt := d.otherListener(); other != nil {
		evidence = append(evidence, otherAt)
		if fit = doctor.Probable; !d.unlike(other, evidence) {
			fit = doctor.Sure
		}
	}
	f := d.find(cause.BrokerNotRunning, fit, nil, meaning, evidence...)
	f.Steps = steps
}

// leadsOn says whether the filter sends a port on to another address.
func (d *diagnosis) leadsOn() bool {
	firewalls, _ := facts[Firewall](d.Facts)
	return slices.ContainsFunc(firewalls, func(f Firewall) bool { return f.To != "" })
}

// silent: the broker's port opens, and the broker does nothing.
func (d *diagnosis) silent() {
	brokers, at := facts[Broker](d.Facts)
	listens, listenAt := facts[Listen](d.Facts)
	for i, b := range brokers {
		if !b.Stopped {
			continue
		}
		if b.Container && !d.serves(b.PID) {
			d.Settle(at[i]) // in a network of its own that nobody is led to from here
			continue
		}
		evidence := []int{at[i]}
		p := 0
		for li, l := range listens {
			if l.PID == b.PID {
				evidence, p = append(evidence, listenAt[li]), l.Port
			}
		}
		f := d.find(cause.BrokerSilent, doctor.Sure+3, port(p), doctor.Say("%s (process %d) has been stopped by a signal: the system still opens connections for it, and nobody answers.", "%s（进程 %d）被信号暂停：系统仍替它接受连接，但没有任何应答。", b.Program, b.PID), evidence...)
		f.Steps = []doctor.Step{{Title: doctor.Say("Let it go on", "让它继续运行"), Lines: doctor.Say("sudo kill -CONT %d", "sudo kill -CONT %d", b.PID)}}
	}
	answers, answerAt := facts[Answer](d.Facts)
	for i, a := range answers {
		evidence := []int{answerAt[i]}
		for li, l := range listens {
			if l.Port == a.Port {
				evidence = append(evidence, listenAt[li])
			}
		}
		switch {
		case d.found(cause.PortTaken) && len(brokers) == 0: // unlike has said so
		case a.Heard == SaidMQTT || d.found(cause.BrokerSilent) || d.found(cause.RateLimitOrBan):
			if a.Heard != SaidMQTT {
				d.Settle(answerAt[i])
			}
		case a.Heard == Silence && d.keepsLater(a.Port):
			// The filter keeps the CONNECT: laterKept says so.
		case a.Heard == Silence:
			d.find(cause.BrokerSilent, doctor.Sure, port(a.Port), doctor.Say("Port %d opens on this very machine, and a CONNECT gets no answer: the broker hangs, or waits for something such as a service that checks passwords.", "端口 %d 在本机就能连上，但发送 CONNECT 没有应答：服务端卡住了，或在等待别的东西（例如校验密码的系统）。", a.Port), evidence...)
		case a.Heard == HungUp:
			d.find(cause.MaxConnections, 55, port(a.Port), doctor.Say("Port %d opens on this very machine, and the connection is closed upon a CONNECT: all places may be taken, or it waits for a PROXY header, TLS or WebSocket.", "端口 %d 在本机能连上，但发送 CONNECT 后连接被关闭：可能连接数已满，或它要求 PROXY 头、TLS 或 WebSocket。", a.Port), evidence...)
			d.find(cause.ProxyProtocolMismatch, 52, port(a.Port), cause.Text{}, evidence...)
		}
	}
}

// serves says whether one of the ports of a broker in a container is passed on to it.
func (d *diagnosis) serves(pid int) bool {
	listens, _ := facts[Listen](d.Facts)
	var own []int
	for _, l := range listens {
		if l.PID == pid {
			own = append(own, l.Port)
		}
	}
	return d.publishes(own)
}

// rivals: one program has the port that another is meant to have.
func (d *diagnosis) rivals() {
	listens, at := facts[Listen](d.Facts)
	services, serviceAt := facts[Service](d.Facts)
	brokers, _ := facts[Broker](d.Facts)
	for i, l := range listens {
		for j, o := range listens[:i] {
			if l.Port != o.Port || l.PID == o.PID || l.PID == 0 || o.PID == 0 || l.Container || o.Container || !l.Broker && !o.Broker || l.Scope == o.Scope && l.Scope == AllScope {
				continue
			}
			d.find(cause.PortTaken, doctor.Probable, port(l.Port), doctor.Say("Port %d belongs to two programs: %s (process %d) at %s and %s (process %d) at %s. Who comes by the one address meets another broker than who comes by the other.",
				"端口 %d 同时属于两个程序：%s（进程 %d，%s）和 %s（进程 %d，%s）。从不同地址连接会遇到不同的服务端。", l.Port, o.Program, o.PID, o.Address, l.Program, l.PID, l.Address), at[i], at[j])
		}
	}
	for i, s := range services {
		name := strings.TrimSuffix(s.Unit, ".service")
		own := slices.ContainsFunc(brokers, func(b Broker) bool { return b.Program == name || b.Unit == s.Unit })
		if own || s.barred() || s.Active != "failed" && s.Active != "activating" {
			continue
		}
		for li, l := range listens {
			if l.Broker && l.Port == 1883 && !l.Container {
				d.find(cause.PortTaken, 88, port(l.Port), doctor.Say("%s does not run (%s), and %s (process %d) has port %d, which it is meant to have.", "%s 没有运行（%s），而它要用的端口被 %s（进程 %d）占用：%d。", s.Unit, s.Active, l.Program, l.PID, l.Port), serviceAt[i], at[li])
			}
		}
	}
}

// clientsTrust: what client certificates are checked with has run out, or there are none to check.
func (d *diagnosis) clientsTrust() {
	trusts, at := facts[Trust](d.Facts)
	for i, t := range trusts {
		switch {
		case t.Days >= 0:
		case t.What == RevocationList:
			d.find(cause.ClientCertRefused, doctor.Sure, cause.Values{"file": t.File, "port": itoa(t.Port)},
				doctor.Say("The list of revoked certificates %s should have been renewed %d days ago: with one that is out of date every client certificate is refused. Have the authority issue a new list, and reload.", "吊销列表 %s 应在 %d 天前更新：列表过期后，所有客户端证书都会被拒绝。请让 CA 重新签发列表并重载。", t.File, -t.Days), at[i])
		default:
			d.find(cause.ClientCertRefused, doctor.Sure, cause.Values{"file": t.File, "port": itoa(t.Port)},
				doctor.Say("The authority %s in %s expired %d days ago: no client certificate that it has issued is taken any more.", "%[2]s 中的 CA %[1]s 已过期 %[3]d 天：由它签发的客户端证书都不再被接受。", t.Name, t.File, -t.Days), at[i])
		}
	}
	configs, configAt := facts[Config](d.Facts)
	for i, c := range configs {
		if c.PSK != 0 && (c.PID != 0 || !c.Default) {
			d.find(cause.TLSCiphers, 60, port(c.PSK), doctor.Say("The listener on port %d has TLS with pre-shared keys alone (psk_hint): clients that expect a certificate, which are nearly all, find no common cipher.", "端口 %d 的监听只有预共享密钥的 TLS（psk_hint）：期待证书的客户端（几乎所有客户端）找不到共同的密码套件。", c.PSK), configAt[i])
		}
	}
}

// forbidden: SELinux or AppArmor keep a broker from something; that is the reason of a failure that there is, or else something to look at.
func (d *diagnosis) forbidden() {
	denials, at := facts[Denial](d.Facts)
	_, none := facts[NoBroker](d.Facts)
	_, deaf := facts[NotListening](d.Facts)
	failing := len(none)+len(deaf) > 0 || d.found(cause.KeyUnreadable) || d.found(cause.ConfigNotLoaded)
	for i, denial := range denials {
		if !denial.Enforced {
			continue
		}
		id := cause.SELinuxDenied
		if denial.By == "AppArmor" {
			id = cause.AppArmorDenied
		}
		fit, evidence := doctor.Possible, []int{at[i]}
		if failing {
			fit, evidence = doctor.Sure+4, slices.Concat(evidence, none, deaf)
		}
		d.find(id, fit, nil, doctor.Say("%d times: %s", "共 %d 次：%s", denial.Count, denial.Line), evidence...)
	}
}

// otherListener is a socket at a broker's port that belongs to no broker.
func (d *diagnosis) otherListener() (*Listen, int) {
	listens, at := facts[Listen](d.Facts)
	for i := range listens {
		if !listens[i].Broker && listens[i].Program != "" && listens[i].Program != "docker-proxy" {
			return &listens[i], at[i]
		}
	}
	return nil, 0
}

// listening: do sockets reach beyond the machine?
func (d *diagnosis) listening() {
	listens, at := facts[Listen](d.Facts)
	brokers, _ := facts[Broker](d.Facts)
	for _, b := range brokers {
		var own, ownAt []int
		reaching, inContainer := false, false
		var first Listen
		for i, l := range listens {
			if l.PID != b.PID {
				continue
			}
			if len(own) == 0 {
				first = l
			}
			own, ownAt = append(own, l.Port), append(ownAt, at[i])
			reaching = reaching || l.Scope != LoopbackScope
			inContainer = l.Container
		}
		if len(own) == 0 || reaching {
			d.meantForHere(own)
			continue
		}
		if inContainer {
			if !d.publishes(own) {
				continue // nobody is meant to come in
			}
			d.find(cause.DockerDefaultConf, doctor.Sure, port(first.Port),
				doctor.Say("In its container the broker listens on the loopback address only, so that published ports lead to nothing.", "服务端在容器内只监听回环地址，映射出来的端口什么也连不到。"), ownAt...)
			continue
		}
		if d.fronted() {
			d.meantForHere(own)
			continue
		}
		f := d.find(cause.LoopbackOnly, doctor.Sure, port(first.Port),
			doctor.Say("%s listens on %s only; whatever the firewall lets in, no other machine gets an answer.", "%s 只监听 %s；无论防火墙是否放行，其他机器都得不到响应。", b.Program, doctor.HostPort(first.Address, first.Port)), append(ownAt, d.refusals(first.Port)...)...)
		f.Steps = b.listenSteps(first.Port, d.written(b, first.Port))
		if outsides, _ := facts[Outside](d.Facts); slices.ContainsFunc(outsides, func(o Outside) bool { return o.Port == first.Port && o.Result == "refused" && !o.NAT() }) {
			f.RuledOut = append(f.RuledOut, doctor.RuledOut{Cause: cause.SecurityGroupClosed,
				Why: doctor.Say("the probe's connection was refused by this machine itself; a security group would have kept silent", "探测点的连接是被本机拒绝的；安全组未放行则不会有任何回应")})
		}
	}
	d.containers()
	d.inward()
	d.taken()
}

// meantForHere: of a broker that others reach, ports at which it listens for this machine alone refuse whoever comes by another address, as they should.
func (d *diagnosis) meantForHere(ports []int) {
	for _, p := range ports {
		if d.loopbackPort(p) {
			d.Settle(d.refusals(p)...)
		}
	}
}

// publishes says whether one of a container's ports is passed on to it.
func (d *diagnosis) publishes(ports []int) bool {
	published, _ := facts[Published](d.Facts)
	for _, p := range published {
		for _, own := range ports {
			if strings.HasSuffix(p.Target, strconv.Itoa(own)) {
				return true
			}
		}
	}
	return false
}

// refusals are the facts of connections to a port, from here or from outside, that were refused.
func (d *diagnosis) refusals(p int) (at []int) {
	for i, f := range d.Facts {
		switch f := f.(type) {
		case Dial:
			if f.Port == p && f.Result == "refused" {
				at = append(at, i)
			}
		case Outside:
			if f.Port == p && f.Result == "refused" {
				at = append(at, i)
			}
		}
	}
	return at
}

// mosquittoConf is where mosquitto's package has its configuration, which includes the folder conf.d.
const mosquittoConf = "/etc/mosquitto/mosquitto.conf"

// listenSteps is how to let others in.
func (b Broker) listenSteps(p int, written bool) []doctor.Step {
	if b.Program != "mosquitto" {
		return nil
	}
	file, start := b.Config, doctor.Say("sudo kill %d && mosquitto -c %s -d    # a reload adds no listener", "sudo kill %d && mosquitto -c %s -d    # 仅重载不会新增监听", b.PID, b.Config)
	if b.Config == "" || b.Config == mosquittoConf {
		file = "/etc/mosquitto/conf.d/remote.conf"
		start = doctor.Say("sudo systemctl restart mosquitto    # a reload adds no listener", "sudo systemctl restart mosquitto    # 仅重载不会新增监听")
	}
	if b.Unit != "" {
		start = doctor.Say("sudo systemctl restart %s    # a reload adds no listener", "sudo systemctl restart %s    # 仅重载不会新增监听", b.Unit)
	} else if b.Config == "" {
		start = doctor.Say("sudo kill %d && sudo mosquitto -c %s -d    # it runs without -c, and so without any file", "sudo kill %d && sudo mosquitto -c %s -d    # 现在没有 -c，任何配置文件都不会被读取", b.PID, mosquittoConf)
	}
	if written {
		return []doctor.Step{{Title: doctor.Say("The file has the listener already: put it in force", "配置文件里已有该监听，只需使其生效"), Lines: start}}
	}
	write := doctor.Say("printf 'listener %d\\nallow_anonymous false\\npassword_file /etc/mosquitto/passwords\\n' | sudo tee -a %s\nsudo mosquitto_passwd -c /etc/mosquitto/passwords USER\nsudo chown mosquitto /etc/mosquitto/passwords && sudo chmod 0600 /etc/mosquitto/passwords",
		"printf 'listener %d\\nallow_anonymous false\\npassword_file /etc/mosquitto/passwords\\n' | sudo tee -a %s\nsudo mosquitto_passwd -c /etc/mosquitto/passwords USER\nsudo chown mosquitto /etc/mosquitto/passwords && sudo chmod 0600 /etc/mosquitto/passwords", p, file)
	return []doctor.Step{{Title: doctor.Say("Listen for others, with passwords", "对外监听并启用密码"), Lines: join("\n", "\n", write, start)}}
}

// written says whether the configuration of a broker asks for a port that others reach.
func (d *diagnosis) written(b Broker, port int) bool {
	configs, _ := facts[Config](d.Facts)
	return slices.ContainsFunc(configs, func(c Config) bool {
		return c.PID == b.PID && slices.ContainsFunc(c.Listeners, func(l ConfigListener) bool { return l.Port == port && !l.Loopback && !l.Implied })
	})
}

// unpublished: a container publishes one of its broker's ports and not another.
func (d *diagnosis) unpublished() {
	listens, at := facts[Listen](d.Facts)
	published, publishedAt := facts[Published](d.Facts)
	_, asked := facts[NotListening](d.Facts)
	for i, l := range listens {
		if !l.Container || !l.Broker || l.Scope == LoopbackScope || len(published) == 0 || d.publishes([]int{l.Port}) {
			continue
		}
		fit := doctor.Possible
		if len(asked) > 0 {
			fit = doctor.Sure
		}
		d.find(cause.DockerPortNotPublished, fit, port(l.Port),
			doctor.Say("The broker in the container listens on port %d too, and only %s is published.", "容器内的服务端还监听端口 %d，但只映射了 %s。", l.Port, published[0].Target), append(slices.Clone(asked), at[i], publishedAt[0])...)
	}
}

// otherPort: nothing listens on a port that was asked about, and the broker has others.
func (d *diagnosis) otherPort() {
	none, at := facts[NotListening](d.Facts)
	listens, listenAt := facts[Listen](d.Facts)
	for i, n := range none {
		var ports, evidence []int
		for li, l := range listens {
			if l.Broker && !l.Container && l.Scope != LoopbackScope {
				ports, evidence = append(ports, l.Port), append(evidence, listenAt[li])
			}
		}
		if len(ports) > 0 && !d.found(cause.ConfigNotLoaded) && !d.found(cause.DockerPortNotPublished) && !d.found(cause.PortTaken) {
			slices.Sort(ports)
			d.find(cause.WrongPort, doctor.Sure, cause.Values{"port": itoa(n.Port), "host": "localhost"},
				doctor.Say("Nothing listens on port %d; the broker listens on %s.", "端口 %d 上没有程序监听；服务端监听的是 %s。", n.Port, portText(slices.Compact(ports))), append(evidence, at[i])...)
		}
	}
}

// enclosed: does the port of a broker in a network of its own lead out of it, where Docker does not tell?
func (d *diagnosis) enclosed() {
	none, noneAt := facts[NotListening](d.Facts)
	listens, at := facts[Listen](d.Facts)
	_, hidden := facts[Container](d.Facts)
	_, published := facts[Published](d.Facts)
	firewalls, _ := facts[Firewall](d.Facts)
	for i, n := range none {
		if slices.ContainsFunc(firewalls, func(f Firewall) bool { return f.Port == n.Port && f.To != "" }) {
			d.Settle(noneAt[i]) // the filter sends it on to who listens
		}
	}
	if len(hidden) > 0 || len(published) > 0 || slices.ContainsFunc(firewalls, func(f Firewall) bool { return f.To != "" }) {
		return
	}
	fit := doctor.Probable
	unread, _ := facts[Unread](d.Facts)
	if slices.ContainsFunc(unread, func(u Unread) bool { return u.What == "docker" || u.What == "firewall" }) {
		fit = doctor.Possible // what cannot be read may pass it on
	}
	for i, l := range listens {
		n := slices.Index(none, NotListening{l.Port})
		if !l.Container || !l.Broker || n < 0 || d.found(cause.DockerPortNotPublished) {
			continue
		}
		d.find(cause.DockerPortNotPublished, fit, port(l.Port),
			doctor.Say("%s listens on port %d inside a network of its own, such as a container's, and nothing on this machine passes the port on to it.", "%s 在独立的网络（例如容器）里监听端口 %d，本机没有任何程序把该端口转进去。", l.Program, l.Port), at[i], noneAt[n])
	}
}

// containers: are their ports published?
func (d *diagnosis) containers() {
	d.enclosed()
	d.unpublished()
	hidden, at := facts[Container](d.Facts)
	for i, c := range hidden {
		d.find(cause.DockerPortNotPublished, doctor.Sure, nil,
			doctor.Say("The broker in the container %s can be reached from its own network only.", "容器 %s 里的服务端只能从容器自己的网络访问。", c.Name), at[i])
	}
	published, at := facts[Published](d.Facts)
	for i, p := range published {
		if isLoopback(p.Address) {
			d.find(cause.DockerPortNotPublished, doctor.Sure, port(p.Port),
				doctor.Say("The container's port is published on %s, which is this machine only.", "容器端口映射在 %s，只限本机访问。", doctor.HostPort(p.Address, p.Port)), at[i])
		}
	}
}

// taken: does another program have a port that the configuration asks for?
func (d *diagnosis) taken() {
	configs, configAt := facts[Config](d.Facts)
	listens, at := facts[Listen](d.Facts)
	brokers, _ := facts[Broker](d.Facts)
	for ci, c := range configs {
		if c.Default && len(brokers) > 0 {
			continue
		}
		for _, want := range c.Listeners {
			for i, l := range listens {
				if l.Port != want.Port || l.PID == 0 || l.PID == c.PID || l.Container || l.Program == "docker-proxy" {
					continue
				}
				owned := false // by the broker too, on another address
				for _, other := range listens {
					owned = owned || other.Port == want.Port && other.PID == c.PID && c.PID != 0
				}
				if owned {
					continue
				}
				if d.another(c, l.PID, configAt[ci]) {
					continue
				}
				fit := doctor.Sure
				if c.PID == 0 && !c.Default {
					fit += 2 // nobody runs with what was asked about: whatever the other one does comes second
				}
				d.find(cause.PortTaken, fit, port(want.Port),
					doctor.Say("%s asks for port %d, and %s (process %d) has it.", "%s 要监听端口 %d，但它已被 %s（进程 %d）占用。", c.File, want.Port, l.Program, l.PID), configAt[ci], at[i])
			}
		}
	}
}

// another: a broker of the same kind has the port, and was started with another file than the one that was asked about, so that what is written here
// is read by nobody.
func (d *diagnosis) another(c Config, pid, at int) bool {
	brokers, brokerAt := facts[Broker](d.Facts)
	i := slices.IndexFunc(brokers, func(b Broker) bool {
		return b.PID == pid && b.Program == c.Program && b.Config != "" && b.Config != c.File
	})
	if i < 0 || c.PID != 0 || c.Default {
		return false
	}
	b := brokers[i]
	f := d.find(cause.ConfigNotLoaded, doctor.Probable+5, cause.Values{"file": c.File},
		doctor.Say("%s (process %d) runs with %s, and not with %s: what is written here is read by nobody.", "%s（进程 %d）使用的是 %s，而不是 %s：写在这里的内容没有被任何程序读取。", b.Program, b.PID, b.Config, c.File), at, brokerAt[i])
	f.Steps = append(f.Steps, doctor.Step{Title: doctor.Say("Put it into the file that is read, and look", "写进实际读取的文件，再检查一次"), Lines: doctor.Say("picket doctor --server -c %s", "picket doctor --server -c %s", printable.ShellWord(b.Config))})
	d.find(cause.PortTaken, doctor.Probable, port(c.Listeners[0].Port), doctor.Say("If a second broker is meant to run with %s: the ports that it asks for are the first one's.", "如果本来就想用 %s 再运行一个服务端：它要的端口已被第一个占用。", c.File), at, brokerAt[i])
	return true
}

// configured: is what was written in force?
func (d *diagnosis) configured() {
	configs, at := facts[Config](d.Facts)
	listens, _ := facts[Listen](d.Facts)
	brokers, brokerAt := facts[Broker](d.Facts)
	none, _ := facts[NoBroker](d.Facts)
	for i, c := range configs {
		values := cause.Values{"file": c.File}
		if len(c.Problems) > 0 && !(c.Default && len(none) == 0) {
			p := c.Problems[0] // the one to correct first; picket check shows all
			fit, effect := doctor.Probable, doctor.Say("The broker would not start again with it.", "服务端若重启将无法使用该配置。")
			if c.PID != 0 && len(c.missing(listens)) > 0 && !slices.ContainsFunc(listens, func(l Listen) bool { return l.PID == c.PID }) {
				fit, effect = doctor.Sure+3, doctor.Say("The broker hangs over it at its start, and opens no port.", "服务端启动时卡在这里，没有打开任何端口。")
			}
			if len(none) > 0 {
				fit, effect = doctor.Sure+3, doctor.Say("No broker starts with it.", "服务端无法用它启动。")
			}
			d.find(p.Cause, fit, p.values(), join(" ", "", p.told(), effect), at[i])
		}
		d.lacks(c, at[i])
		d.barred(c, at[i])
		switch missing := c.missing(listens); {
		case c.Default && len(brokers) > 0 && !c.implied():
			for bi, b := range brokers {
				if b.Program == c.Program && b.Config == "" {
					d.find(cause.ConfigNotLoaded, doctor.Sure, values,
						doctor.Say("%s runs without a configuration file, and %s is there: it is not read. Start it with -c %s.", "%s 启动时没有指定配置文件，因此 %s 没有被读取。请用 -c %s 启动。", b.Program, c.File, c.File), brokerAt[bi], at[i])
				}
			}
		case c.PID != 0 && len(missing) > 0 && c.Newer:
			d.find(cause.ConfigNotLoaded, doctor.Sure, values,
				doctor.Say("%s has a listener on port %s, which the running broker does not have; the file was changed after it started. Restart the broker; a reload adds no listener to mosquitto.",
					"%s 配置了端口 %s 的监听，而运行中的服务端没有；文件是在它启动之后修改的。请重启服务端；mosquitto 重载不会新增监听。", c.File, portText(missing)), at[i])
		case c.PID != 0 && len(missing) > 0 && !d.portTaken(missing) && len(c.Problems) == 0:
			d.find(cause.ConfigNotLoaded, doctor.Probable, values,
				doctor.Say("%s has a listener on port %s, which the running broker does not have. Its log says why it could not be opened.", "%s 配置了端口 %s 的监听，而运行中的服务端没有。打不开的原因见日志。", c.File, portText(missing)), at[i])
		case c.PID != 0 && c.Newer && !c.Reloaded:
			d.find(cause.ConfigNotLoaded, doctor.Possible, values,
				doctor.Say("%s was changed after the broker started. If it was not reloaded since (systemctl reload, or SIGHUP), the change is not in force.", "%s 在服务端启动之后改过。如果之后没有重载（systemctl reload 或 SIGHUP），改动就没有生效。", c.File), at[i])
		}
		if c.PID != 0 && len(c.Stale) > 0 {
			f := d.find(cause.ConfigNotLoaded, 55, values,
				doctor.Say("%s: changed after the broker started, and its log knows of no reload since. Until there is one, the users and rights of before are in force.", "%s：在服务端启动之后改过，日志里此后没有重载。重载之前，生效的仍是原来的用户和权限。", list(c.Stale)), at[i])
			f.Steps = append(f.Steps, doctor.Step{Title: doctor.Say("Have it read them", "让它重新读取"), Lines: doctor.Say("sudo kill -HUP %d    # or: sudo systemctl reload mosquitto", "sudo kill -HUP %d    # 或：sudo systemctl reload mosquitto", c.PID)})
		}
		if len(c.NotIncluded) > 0 && (c.PID != 0 || c.Default) {
			d.find(cause.ConfigNotLoaded, doctor.Probable, values,
				doctor.Say("%s are not read: %s has no include_dir line for their folder.", "%s 没有被读取：%s 里没有包含该目录的 include_dir 行。", list(c.NotIncluded), c.File), at[i])
		}
		d.open(c, at[i])
	}
}

// told is the problem with its place.
func (p Problem) told() cause.Text {
	place := doctor.Say("%s:%d: ", "%s:%d：", p.File, p.Line)
	return join("", "", place, cause.Text{EN: p.Text, ZH: cmp.Or(p.Chinese, p.Text)})
}

// values are those of the catalogue's texts.
func (p Problem) values() cause.Values {
	v := cause.Values{"file": p.File, "line": itoa(p.Line)}
	switch p.Cause {
	case cause.KeyUnreadable:
		v["file"] = p.Value
	case cause.BindBeforeNetwork:
		v["address"] = p.Value
	case cause.PrivilegedPort:
		v["port"] = p.Value
	}
	return v
}

// lacks: a folder is not there in which mosquitto makes a file before it runs.
func (d *diagnosis) lacks(c Config, at int) {
	_, none := facts[NoBroker](d.Facts)
	if len(none) == 0 {
		return
	}
	for _, m := range c.Missing {
		f := d.find(cause.ConfigErrorExit, doctor.Sure+2, cause.Values{"file": c.File},
			doctor.Say("%s names a file in %s, and that folder is not there: mosquitto ends before it opens a port.", "%s 指定的文件在目录 %s 中，而该目录不存在：mosquitto 还没有打开端口就退出。", m.Directive, m.Folder), at, none[0])
		f.Steps = append(f.Steps, doctor.Step{Title: doctor.Say("Make the folder, for the broker's user", "建立目录，并交给服务端的用户"),
			Lines: doctor.Say("sudo install -d -o %s %s\nsudo systemctl restart mosquitto", "sudo install -d -o %s %s\nsudo systemctl restart mosquitto", printable.ShellWord(m.User), printable.ShellWord(m.Folder))})
	}
}

// implied says that a configuration asks for no listener.
func (c Config) implied() bool {
	for _, l := range c.Listeners {
		if !l.Implied {
			return false
		}
	}
	return true
}

// missing are the ports of the configuration at which its broker does not listen.
func (c Config) missing(listens []Listen) (ports []int) {
	for _, want := range c.Listeners {
		has := false
		for _, l := range listens {
			has = has || l.Port == want.Port && (l.PID == c.PID || l.PID == 0)
		}
		if !has && want.Port != 0 {
			ports = append(ports, want.Port)
		}
	}
	return unique(ports)
}

func (d *diagnosis) portTaken(ports []int) bool {
	for _, f := range d.Findings() {
		for _, p := range ports {
			if f.Cause == cause.PortTaken && f.Values["port"] == itoa(p) {
				return true
			}
		}
	}
	return false
}

// open: may strangers do everything, or nobody anything?
func (d *diagnosis) open(c Config, at int) {
	if c.Default || c.PID == 0 && len(c.Problems) > 0 {
		return // nobody runs with it, and what is wrong in it may be what is missing
	}
	fit := doctor.Sure
	if c.PID == 0 {
		fit = doctor.Probable // once somebody runs with it
	}
	for _, l := range c.Listeners {
		d.bare(c, l, at)
		switch {
		case l.Loopback || l.Port == 0:
		case l.Anonymous && !l.ACL:
			d.find(cause.OpenToEveryone, fit, cause.Values{"port": itoa(l.Port), "address": orAll(l.Address)},
				doctor.Say("The listener on port %d (%s) needs no password.", "端口 %d 的监听（%s）不需要密码。", l.Port, l.Source), at)
		case !l.Anonymous && l.Empty && !l.Local && !l.Certificates:
			d.find(cause.NoPasswordFile, fit, port(l.Port),
				doctor.Say("The listener on port %d (%s) wants a password, and the password file has no user in it: nobody can log in.", "端口 %d 的监听（%s）需要密码，而密码文件里没有任何用户：谁也无法登录。", l.Port, l.Source), at)
		case !l.Anonymous && !l.Passwords:
			d.find(cause.NoPasswordFile, fit, port(l.Port),
				doctor.Say("The listener on port %d (%s) refuses clients without a password, and there is no way to log in.", "端口 %d 的监听（%s）拒绝无密码的客户端，却没有任何登录方式。", l.Port, l.Source), at)
		}
	}
}

// bare: a listener without TLS is at a port where clients expect it, and the log has what they say then.
func (d *diagnosis) bare(c Config, l ConfigListener, at int) {
	if l.TLS || l.Loopback || c.PID == 0 || l.Port != 8883 && l.Port != 8884 && l.Port != 8084 {
		return
	}
	evidence := []int{at}
	logs, logAt := facts[Log](d.Facts)
	for i, log := range logs {
		if slices.ContainsFunc(log.Entry, func(e Entry) bool {
			return (e.Cause == cause.ProtocolViolation || e.Cause == cause.MalformedPacket) && e.Count >= 3
		}) {
			evidence = append(evidence, logAt[i])
		}
	}
	if len(evidence) == 1 {
		return // something in front may end TLS, or nobody comes with it
	}
	f := d.find(cause.TLSWithoutCertificate, doctor.Probable, port(l.Port), doctor.Say("The listener on port %d (%s) has no certificate, and clients speak TLS at this port; the broker's log then has protocol errors.", "端口 %d 的监听（%s）没有证书，而客户端在这个端口会使用 TLS；此时服务端日志里是协议错误。", l.Port, l.Source), evidence...)
	f.Steps = append(f.Steps, doctor.Step{Title: doctor.Say("In the configuration, below that listener; then restart the broker", "写在配置中该监听之下，然后重启服务端"),
		Lines: doctor.Say("certfile /etc/mosquitto/certs/fullchain.pem\nkeyfile /etc/mosquitto/certs/privkey.pem", "certfile /etc/mosquitto/certs/fullchain.pem\nkeyfile /etc/mosquitto/certs/privkey.pem")})
}

func orAll(address string) string {
	if address == "" {
		return "0.0.0.0"
	}
	return address
}

// conflicted: an address of this machine is another one's as well.
func (d *diagnosis) conflicted() {
	conflicts, at := facts[doctor.Conflict](d.Facts)
	for i, c := range conflicts {
		d.find(cause.AddressConflict, 88, cause.Values{"address": c.Address},
			doctor.Say("Another machine (%s) answers for %s, this machine's own address: a part of the clients ends there.", "另一台机器（%s）也在应答本机的地址 %s：一部分客户端会连到它那里。", list(c.Machines), c.Address), at[i])
	}
}

// unrouted: what comes from other networks is not answered. A broker for its own network alone is well without a gateway.
func (d *diagnosis) unrouted() {
	routes, at := facts[NoRoute](d.Facts)
	addresses, _ := facts[Addresses](d.Facts)
	public := slices.ContainsFunc(addresses, func(a Addresses) bool { return len(a.reaching("internet")) > 0 })
	outsides, _ := facts[Outside](d.Facts)
	answered := slices.ContainsFunc(outsides, func(o Outside) bool { return o.Result == "open" })
	for i, n := range routes {
		switch {
		case answered && n.Gateway == "": // whatever the reason
			d.Settle(at[i]) // whoever looked from outside got an answer
		case n.Gateway != "":
			d.find(cause.NoDefaultRoute, 86, nil, doctor.Say("The default gateway is %s, and no machine in the network of %s answers to that address: it is switched off, or the address is wrong. Clients of other networks get no answers.", "默认网关是 %s，但 %s 所接的网络中没有机器应答这个地址：它关机了，或者地址填错了。其他网络的客户端得不到应答。", n.Gateway, n.Interface), at[i])
		case n.Refused != "" || n.Tunnel != "":
			d.misrouted(n, public, at[i])
		case public:
			d.find(cause.NoDefaultRoute, 90, nil, doctor.Say("%s is an address of the internet, and this machine has no default route: nobody outside of its own network gets an answer.", "%s 是公网地址，而本机没有默认路由：本网络之外的客户端都得不到应答。", n.Address), at[i])
		default:
			d.find(cause.NoDefaultRoute, 60, nil, doctor.Say("Clients in this machine's own network get in; those of other networks get no answers. If all clients are in the same network, this is as it should be.", "与本机在同一网络的客户端可以连上；其他网络的客户端得不到应答。如果所有客户端都在同一网络，这没有问题。"), at[i])
		}
	}
}

// misrouted: a rule of the system's own routing sends the answers to clients of other networks where they end.
func (d *diagnosis) misrouted(n NoRoute, public bool, at int) {
	fit, why := 86, doctor.Say("Connections to %s come in, and a rule of this machine's own routing (ip rule) leads the answers to other networks into a table that ends there (%s).", "到 %s 的连接能进来，但本机的路由规则（ip rule）把发往其他网络的应答引到了一张走不通的路由表（%s）。", n.Address, n.Refused)
	switch {
	case n.To != "" && n.Tunnel != "":
		fit, public, why = doctor.Sure, true, doctor.Say("Connections from %s come in at %s, and the answers leave by the VPN %s, into which a route leads that network: nobody there gets an answer, and with rp_filter the kernel throws away what comes in by the other interface.", "来自 %s 的连接从 %s 进来，而有一条路由把那个网络引向 VPN 接口 %s，应答从那里离开：那边收不到应答；开启 rp_filter 时，内核还会丢弃从另一个接口进来的数据包。", n.To, n.Address, n.Tunnel)
	case n.To != "":
		fit, public, why = doctor.Sure, true, doctor.Say("Connections from %s come in, and this machine has no way back to it (%s).", "来自 %s 的连接能进来，但本机没有回去的路（%s）。", n.To, n.Refused)
	case n.Tunnel != "":
		why = doctor.Say("Connections to %s come in, and the answers to other networks leave by the VPN %s, with an address that its other end throws away: a VPN for all traffic (AllowedIPs = 0.0.0.0/0, redirect-gateway) takes them along.", "到 %s 的连接能进来，但发往其他网络的应答会经 VPN 接口 %s 离开，对端会丢弃这个源地址：接管全部流量的 VPN（AllowedIPs = 0.0.0.0/0、redirect-gateway）把应答也带走了。", n.Address, n.Tunnel)
	}
	if !public {
		fit = 60
	}
	f := d.find(cause.NoDefaultRoute, fit, nil, why, at)
	f.Steps = append(f.Steps, doctor.Step{Title: doctor.Say("Which rule it is, and where the answers should go", "查看是哪条规则，以及应答应走哪里"), Lines: doctor.Say("ip rule\nip route show table all | grep -E 'default|unreachable|prohibit|blackhole'", "ip rule\nip route show table all | grep -E 'default|unreachable|prohibit|blackhole'")})
}
