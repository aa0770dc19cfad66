package host

import (
	"cmp"
	"net/netip"
	"strconv"
	"strings"

	"picket/cause"
	"picket/cloud"
	"picket/doctor"
	"picket/doctor/host/firewall"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Addresses are the machine's own.
type Addresses struct {
	All       []Address `json:"all"`
	Container bool      `json:"container"` // this very program runs in a container
}

// Address is one of them.
type Address struct {
	Address   string `json:"address"`
	Interface string `json:"interface"`
	// Reach is "machine", "guests" (containers and virtual machines), "vpn", "network" or "internet".
	Reach    string `json:"reach"`
	Outbound bool   `json:"outbound"` // the one that is used towards the internet
}

func (Addresses) Kind() string { return "addresses" }

func (Addresses) Stage() cause.Stage { return cause.Name }

func (Addresses) Outcome() doctor.Outcome { return doctor.Note }

// reaches names how far an address leads.
var reaches = map[string]cause.Text{
	"guests":   {EN: "containers", ZH: "容器"},
	"vpn":      {EN: "VPN", ZH: "VPN"},
	"network":  {EN: "private network", ZH: "内网"},
	"internet": {EN: "internet", ZH: "公网"},
}

func (a Addresses) Text() cause.Text {
	var en, zh []string
	for _, one := range a.All {
		if r, ok := reaches[one.Reach]; ok {
			en = append(en, one.Address+" ("+r.EN+", "+one.Interface+")")
			zh = append(zh, one.Address+"（"+r.ZH+"，"+one.Interface+"）")
		}
	}
	if len(en) == 0 {
		return doctor.Say("The machine has no address but its own (loopback)", "本机除回环地址外没有其他地址")
	}
	t := cause.Text{EN: "Addresses: " + strings.Join(en, ", "), ZH: "地址：" + strings.Join(zh, "，")}
	if a.Container {
		t = join("", "", t, doctor.Say("; the doctor runs in a container and sees the container's", "；本程序在容器中运行，看到的是容器的地址"))
	}
	return t
}

// global are the addresses that lead to the internet; private those that others in the same network reach.
func (a Addresses) reaching(reach string) (found []Address) {
	for _, one := range a.All {
		if one.Reach == reach {
			found = append(found, one)
		}
	}
	return found
}

// NoRoute is that answers to clients of other networks find no way back from an address.
type NoRoute struct {
	Address   string `json:"address"`
	Interface string `json:"interface"`
	Gateway   string `json:"gateway,omitempty"` // the default gateway, which does not answer; empty: there is none
	// Refused is what the system says of the way from the address to other networks, where its own rules end it; Tunnel is the interface of the VPN
	// into which they lead.
	Refused string `json:"refused,omitempty"`
	Tunnel  string `json:"tunnel,omitempty"`
	// To is the machine that was to look at this one (--from), where this is about the answers to it alone; empty: it is about all other networks.
	To string `json:"to,omitempty"`
}

func (NoRoute) Kind() string            { return "no-route" }
func (NoRoute) Stage() cause.Stage      { return cause.TCP }
func (NoRoute) Outcome() doctor.Outcome { return doctor.Bad }

func (n NoRoute) Text() cause.Text {
	if n.Gateway != "" {
		return doctor.Say("The default gateway %s does not answer in the network of %s (ARP)", "默认网关 %s 在 %s 所接的网络中没有应答（ARP）", n.Gateway, n.Interface)
	}
	switch {
	case n.To != "" && n.Tunnel != "":
		return doctor.Say("Answers from %s to %s leave by %s, a VPN", "从 %s 发往 %s 的应答经 VPN 接口 %s 离开", n.Address, n.To, n.Tunnel)
	case n.To != "":
		return doctor.Say("The system leads answers from %s to %s nowhere: %s", "本机从 %s 发往 %s 的应答无路可走：%s", n.Address, n.To, n.Refused)
	case n.Refused != "":
		return doctor.Say("The system's own rules lead answers from %s to other networks nowhere: %s", "本机的路由规则让从 %s 发往其他网络的应答无路可走：%s", n.Address, n.Refused)
	case n.Tunnel != "":
		return doctor.Say("Answers from %s to other networks leave by %s, a VPN", "从 %s 发往其他网络的应答经 VPN 接口 %s 离开", n.Address, n.Tunnel)
	}
	return doctor.Say("There is no default route for IPv4", "没有 IPv4 的默认路由")
}

// Cloud is the cloud that the machine runs in.
type Cloud struct {
	Name string `json:"name"` // its id in package cloud
	By   string `json:"by"`   // what told: "DMI"
	// Public are the public addresses that the metadata service names; Asked says that it was asked and answered.
	Public []string `json:"public"`
	Asked  bool     `json:"asked"`
}

func (Cloud) Kind() string { return "cloud" }

func (Cloud) Stage() cause.Stage { return cause.Name }

func (Cloud) Outcome() doctor.Outcome { return doctor.Note }

func (c Cloud) Text() cause.Text {
	t := join("", "", doctor.Say("The machine runs in ", "运行在"), cloud.NameOf(c.Name))
	switch {
	case len(c.Public) > 0:
		t = join("", "", t, doctor.Say("; its public address is %s", "；公网地址 %s", strings.Join(c.Public, ", ")))
	case c.Asked:
		t = join("", "", t, doctor.Say("; its metadata service names no public address", "；元数据服务没有给出公网地址"))
	}
	return t
}

// Named is what a name that clients use leads to.
type Named struct {
	Name      string   `json:"name"`
	Addresses []string `json:"addresses"`
	Mine      []string `json:"mine"`      // of them, those that are this machine's
	Error     string   `json:"error"`     // of the resolver
	NoMatch   bool     `json:"no_match"`  // none of them is known to be this machine's
	Unsure    bool     `json:"unsure"`    // this machine's public address is not known
	Private   bool     `json:"private"`   // all of them lead nowhere on the internet
	HasIPv6   bool     `json:"has_ipv6"`  // there is an AAAA record
	NotFound  bool     `json:"not_found"` // there is no such name
}

func (Named) Kind() string { return "name" }

func (Named) Stage() cause.Stage { return cause.Name }

func (n Named) Outcome() doctor.Outcome {
	switch {
	case n.Error != "" || n.NoMatch && !n.Unsure:
		return doctor.Bad
	case n.Unsure && len(n.Mine) == 0:
		return doctor.Note
	}
	return doctor.Good
}

func (n Named) Text() cause.Text {
	if n.Error != "" {
		return doctor.Say("The name %s leads nowhere: %s", "域名 %s 无法解析：%s", n.Name, n.Error)
	}
	t := doctor.Say("The name %s leads to %s", "域名 %s 解析到 %s", n.Name, strings.Join(n.Addresses, ", "))
	switch {
	case len(n.Mine) == len(n.Addresses):
		return join("", "", t, doctor.Say(", which is this machine", "，是本机"))
	case len(n.Mine) > 0:
		return join("", "", t, doctor.Say(", of which %s is this machine", "，其中 %s 是本机", strings.Join(n.Mine, ", ")))
	case n.Unsure:
		return join("", "", t, doctor.Say("; whether that is this machine is not known", "；不确定是否为本机"))
	}
	return join("", "", t, doctor.Say(", which is not this machine", "，不是本机"))
}

// Dial is a connection that was tried from the machine to itself.
type Dial struct {
	Address string  `json:"address"`
	Port    int     `json:"port"`
	Result  string  `json:"result"` // "open", "refused", "timeout", "unreachable", "closed", "failed"
	Millis  float64 `json:"ms"`
	Error   string  `json:"error,omitempty"`
}

func (Dial) Kind() string { return "dial-here" }

func (Dial) Stage() cause.Stage { return cause.TCP }

func (d Dial) Outcome() doctor.Outcome { return outcome(d.Result == "open") }

// outcomes are what became of a connection.
var outcomes = map[string]cause.Text{
	"open":        {EN: "open", ZH: "能连上"},
	"refused":     {EN: "refused", ZH: "被拒绝"},
	"timeout":     {EN: "no answer", ZH: "无响应（超时）"},
	"unreachable": {EN: "rejected on the way (ICMP)", ZH: "途中被拒（ICMP）"},
	"closed":      {EN: "opened, and closed at once", ZH: "连上后立即断开"},
	"failed":      {EN: "could not be tried", ZH: "无法尝试"},
}

func (d Dial) Text() cause.Text {
	return join("", "", doctor.Say("From this machine to %s: ", "从本机连 %s：", doctor.HostPort(d.Address, d.Port)), outcomes[d.Result])
}

// Answer is what a CONNECT from the machine itself is answered.
type Answer struct {
	Address string `json:"address"`
	Port    int    `json:"port"`
	Heard   string `json:"heard"`
}

// What is heard upon a CONNECT.
const (
	SaidMQTT  = "mqtt"    // a CONNACK, whatever it says
	SaidOther = "other"   // bytes that are no CONNACK
	HungUp    = "closed"  // the end of the connection
	Silence   = "silence" // nothing within some seconds
)

func (Answer) Kind() string              { return "answer-here" }
func (Answer) Stage() cause.Stage        { return cause.FirstBytes }
func (a Answer) Outcome() doctor.Outcome { return outcome(a.Heard == SaidMQTT) }

func (a Answer) Text() cause.Text {
	heard := map[string]cause.Text{
		SaidMQTT: {EN: "the broker answers", ZH: "服务端有应答"}, SaidOther: {EN: "something that is not MQTT comes back", ZH: "收到的不是 MQTT"},
		HungUp: {EN: "the connection is closed", ZH: "连接被关闭"}, Silence: {EN: "no answer", ZH: "没有应答"},
	}[a.Heard]
	return join("", "", doctor.Say("A CONNECT from this machine to %s: ", "从本机向 %s 发送 CONNECT：", doctor.HostPort(a.Address, a.Port)), heard)
}

// NoForwarding is that the system passes on nothing that is not for itself, although a port leads on to a container or another machine.
type NoForwarding struct{}

func (NoForwarding) Kind() string            { return "no-forwarding" }
func (NoForwarding) Stage() cause.Stage      { return cause.TCP }
func (NoForwarding) Outcome() doctor.Outcome { return doctor.Bad }

func (NoForwarding) Text() cause.Text {
	return doctor.Say("The kernel forwards no packets (net.ipv4.ip_forward is 0), and the port leads on to another address", "内核没有开启转发（net.ipv4.ip_forward 为 0），而该端口要转发到另一个地址")
}

// Firewall is what the machine's packet filter does with a connection from outside.
type Firewall struct {
	Address string `json:"address"`
	Port    int    `json:"port"`
	// Manager is who writes the rules: "ufw", "firewalld", "nftables" or "iptables"; empty: there are none.
	Manager string `json:"manager,omitempty"`
	Verdict string `json:"verdict"` // "accept", "drop", "reject" or "unknown"
	Reset   bool   `json:"reset,omitempty"`
	Where   string `json:"where,omitempty"`
	Rule    string `json:"rule,omitempty"`
	To      string `json:"to,omitempty"` // where the packet is sent on to
	Accepts string `json:"accepts_for_some,omitempty"`
	Rejects string `json:"rejects_for_some,omitempty"`
	Panel   string `json:"panel,omitempty"` // a hosting panel that manages the rules
	// Leaving: it is about the machine's answers and not about what comes in.
	Leaving bool `json:"leaving,omitempty"`
	// Later: it is about what clients send on a connection that is open already, and Contents that it meets some of that only, by its contents or its length.
	Later    bool `json:"later,omitempty"`
	Contents bool `json:"some_contents,omitempty"`
	// Neighbours: it is about the questions of neighbours for the hardware address, without which no connection of IPv6 comes in.
	Neighbours bool `json:"neighbours,omitempty"`
	// From is the sender whom it is about; empty: anybody.
	From string `json:"from,omitempty"`
	// Most: a few senders, which the rule names, are not meant.
	Most bool `json:"most,omitempty"`
	// Rate is the rule that counts connections, and RateVerdict what becomes of those that are too many.
	Rate        string `json:"rate,omitempty"`
	RateVerdict string `json:"rate_verdict,omitempty"`
	// Times is a rule that holds at certain times, and TimesVerdict what becomes of connections then.
	Times        string `json:"times,omitempty"`
	TimesVerdict string `json:"times_verdict,omitempty"`
}

// NewFirewall makes the fact from a decision.
func NewFirewall(address netip.Addr, port int, manager string, d firewall.Decision) Firewall {
	f := Firewall{Address: address.String(), Port: port, Manager: manager, Verdict: d.Verdict.String(), Reset: d.Reset, Where: d.Where, Rule: d.Rule}
	if d.To.IsValid() {
		f.To = d.To.String()
	}
	for _, e := range d.Exceptions {
		switch {
		case e.On == firewall.OnTime:
			f.Times, f.TimesVerdict = cmp.Or(f.Times, e.Rule), cmp.Or(f.TimesVerdict, e.Verdict.String())
		case e.Verdict == firewall.Accept:
			f.Accepts = cmp.Or(f.Accepts, e.Rule)
		default:
			f.Rejects = cmp.Or(f.Rejects, e.Rule)
		}
	}
	f.Most = d.Most
	if d.Rate != nil {
		if f.RateVerdict, f.Rate = d.Rate.Verdict.String(), d.Rate.Rule; f.Rate == "" {
			f.Rate = d.Rule
		}
	}
	return f
}

func (Firewall) Kind() string { return "firewall" }

func (Firewall) Stage() cause.Stage { return cause.TCP }

func (f Firewall) Outcome() doctor.Outcome {
	switch f.Verdict {
	case "accept":
		return doctor.Good
	case "unknown":
		return doctor.Note
	}
	return doctor.Bad
}

func (f Firewall) Text() cause.Text {
	target := doctor.HostPort(f.Address, f.Port)
	does := map[string]cause.Text{
		"accept":  {EN: "accepts", ZH: "放行"},
		"drop":    {EN: "drops", ZH: "丢弃"},
		"reject":  {EN: "rejects", ZH: "拒绝"},
		"unknown": {EN: "hands to another program", ZH: "交给其他程序处理"},
	}[f.Verdict]
	what := doctor.Say(" connections to %s", "到 %s 的连接", target)
	switch {
	case f.Neighbours:
		what = doctor.Say(" what neighbours ask for %s by ICMPv6 (neighbour discovery)", "邻居通过 ICMPv6 对 %s 的询问（邻居发现）", f.Address)
	case f.Leaving:
		what = doctor.Say(" the answers from %s", "从 %s 发出的应答", target)
	case f.Contents:
		what = doctor.Say(" some of what clients send to %s, by its contents or length,", "发往 %s 的部分数据（按内容或长度）", target)
	case f.Later:
		what = doctor.Say(" what clients send to %s once they are connected", "连接建立后客户端发往 %s 的数据", target)
	case f.From != "":
		what = doctor.Say(" connections from %s to %s", "从 %s 到 %s 的连接", f.From, target)
	case f.Most:
		what = doctor.Say(" connections to %s, but for the senders that the rule names,", "到 %s 的连接（规则列出的来源除外）", target)
	}
	t := join("", "", doctor.Say("The firewall (%s) ", "防火墙（%s）", f.Manager), does, what)
	switch {
	case f.Rule != "":
		t = join("", "", t, doctor.Say(" by the rule «%s» in %s", "，规则 «%s»，位于 %s", f.Rule, f.Where))
	case f.Where != "":
		t = join("", "", t, doctor.Say(" by the policy of %s: no rule speaks of it", "，由 %s 的默认策略决定：没有规则提到它", f.Where))
	}
	if f.To != "" {
		t = join("", "", t, doctor.Say(", sent on to %s", "，转发到 %s", f.To))
	}
	if f.Accepts != "" {
		t = join("", "", t, doctor.Say("; for some senders it has «%s»", "；对部分来源有 «%s»", f.Accepts))
	}
	if f.Rate != "" {
		t = join("", "", t, doctor.Say("; more than so many in a time meet «%s»", "；单位时间内超出数量的由 «%s» 处理", f.Rate))
	}
	if f.Times != "" {
		t = join("", "", t, doctor.Say("; at certain times it has «%s»", "；在特定时间由 «%s» 处理", f.Times))
	}
	if f.Rejects != "" {
		t = join("", "", t, doctor.Say("; for some senders it has «%s»", "；对部分来源有 «%s»", f.Rejects))
	}
	return t
}

// FirewallTool is a program that is known to filter, when its rules cannot be read.
type FirewallTool struct {
	Name string `json:"name"` // "ufw" or "firewalld"
	By   string `json:"by"`   // what told
}

func (FirewallTool) Kind() string { return "firewall-tool" }

func (FirewallTool) Stage() cause.Stage { return cause.TCP }

func (FirewallTool) Outcome() doctor.Outcome { return doctor.Note }

func (t FirewallTool) Text() cause.Text {
	return doctor.Say("%s is switched on (%s): what no rule of it allows does not come in", "%s 已启用（%s）：没有规则放行的连接进不来", t.Name, t.By)
}

// NoFirewall is that the machine has no packet filter in force.
type NoFirewall struct{}

func (NoFirewall) Kind() string { return "no-firewall" }

func (NoFirewall) Stage() cause.Stage { return cause.TCP }

func (NoFirewall) Outcome() doctor.Outcome { return doctor.Good }

func (NoFirewall) Text() cause.Text {
	return doctor.Say("This machine's firewall has no rules: it lets everything in", "本机防火墙没有规则，一律放行")
}

// Published is a port of a container that the machine passes on.
type Published struct {
	Container string `json:"container"` // its name; empty: not known
	Image     string `json:"image,omitempty"`
	Address   string `json:"address"` // on this machine
	Port      int    `json:"port"`    // on this machine
	Target    string `json:"target"`  // address and port in the container
	By        string `json:"by"`      // what told: "docker ps", "docker-proxy", "DNAT"
}

func (Published) Kind() string { return "published" }

func (Published) Stage() cause.Stage { return cause.Server }

func (Published) Outcome() doctor.Outcome { return doctor.Note }

func (p Published) Text() cause.Text {
	who := doctor.Say("A container", "某个容器")
	if p.Container != "" {
		who = doctor.Say("The container %s", "容器 %s", p.Container)
	}
	return join("", "", who, doctor.Say("'s %s is published as %s (%s)", " 的 %s 映射为 %s（%s）", p.Target, doctor.HostPort(p.Address, p.Port), p.By))
}

// Container is a container with a broker that publishes none of its ports.
type Container struct {
	Name  string `json:"name"`
	Image string `json:"image"`
	Ports string `json:"ports"` // as docker ps shows them
}

func (Container) Kind() string { return "container" }

func (Container) Stage() cause.Stage { return cause.Server }

func (Container) Outcome() doctor.Outcome { return doctor.Bad }

func (c Container) Text() cause.Text {
	return doctor.Say("The container %s (%s) publishes no port (docker ps: %q)", "容器 %s（%s）没有映射任何端口（docker ps：%q）", c.Name, c.Image, c.Ports)
}

// Seen is the address that the machine has for the probe.
type Seen struct {
	From    string `json:"from"`    // the probe's address
	Address string `json:"address"` // this machine's, as the probe sees it
	Local   string `json:"local"`   // this machine's own end of the same connection
}

// NAT says that the address that the probe sees is not the machine's own.
func (s Seen) NAT() bool { return s.Address != s.Local }

func (Seen) Kind() string { return "seen-from-outside" }

func (Seen) Stage() cause.Stage { return cause.Name }

func (Seen) Outcome() doctor.Outcome { return doctor.Note }

func (s Seen) Text() cause.Text {
	t := doctor.Say("%s sees this machine as %s", "%s 看到的本机地址是 %s", s.From, s.Address)
	if s.NAT() {
		return join("", "", t, doctor.Say(": on the way its own address %s is translated (NAT)", "：途中做了地址转换（NAT），本机自己的地址是 %s", s.Local))
	}
	return join("", "", t, doctor.Say(", its own address: nothing on the way translates it", "，就是本机自己的地址：途中没有地址转换（NAT）"))
}

// PublicUnknown is that nothing has told the machine's address on the internet.
type PublicUnknown struct{}

func (PublicUnknown) Kind() string { return "public-address-unknown" }

func (PublicUnknown) Stage() cause.Stage { return cause.Name }

func (PublicUnknown) Outcome() doctor.Outcome { return doctor.Note }

func (PublicUnknown) Text() cause.Text {
	return doctor.Say("Its public address, if it has one, is not known: no interface has it, and neither a cloud nor a probe (--from) tells it", "公网地址（如果有）未知：网卡上没有，云平台和探测点（--from）也没有告知")
}

// Outside is how a port looks from the probe's machine.
type Outside struct {
	From    string  `json:"from"`    // the probe's address
	Address string  `json:"address"` // this machine's, as the probe sees it
	Local   string  `json:"local"`   // this machine's own end of the same connection
	Port    int     `json:"port"`
	Result  string  `json:"result"` // as of Dial
	Millis  float64 `json:"ms"`
}

// NAT says that the address that the probe sees is not the machine's own.
func (o Outside) NAT() bool { return o.Address != o.Local }

func (Outside) Kind() string { return "dial-from-outside" }

func (Outside) Stage() cause.Stage { return cause.TCP }

func (o Outside) Outcome() doctor.Outcome { return outcome(o.Result == "open") }

func (o Outside) Text() cause.Text {
	return join("", "", doctor.Say("From %s to %s: ", "从 %s 连 %s：", o.From, doctor.HostPort(o.Address, o.Port)), outcomes[o.Result])
}

// Way is what the way between this machine and the probe's is like.
type Way struct {
	From     string  `json:"from"`
	RTT      float64 `json:"rtt_ms"` // median
	Jitter   float64 `json:"jitter_ms"`
	Most     float64 `json:"rtt_most_ms"`
	Measured bool    `json:"loss_measured"`     // by UDP; else by repeated segments of TCP
	LossOut  float64 `json:"loss_out_percent"`  // from this machine to the probe
	LossBack float64 `json:"loss_back_percent"` // from the probe to this machine
	// MTUs are 0 when they were not measured.
	MTUOut  int `json:"mtu_out"`
	MTUBack int `json:"mtu_back"`
	// Silent says that larger packets than MTUOut disappear without a word from a router; Full that TCP's full packets passed both ways.
	Silent bool `json:"mtu_silent"`
	Full   bool `json:"full_packets_pass"`
	// Ahead is by how many seconds this machine's clock is ahead of the probe's.
	Ahead float64 `json:"clock_ahead_s"`
}

func (Way) Kind() string { return "way" }

func (Way) Stage() cause.Stage { return cause.TCP }

// The limits beyond which a way is bad: what makes clients' usual time limits fail.
const (
	slowRTT  = 250 // milliseconds
	badLoss  = 5   // percent
	ethernet = 1500
)

func (w Way) Outcome() doctor.Outcome {
	return outcome(w.RTT < slowRTT && w.LossOut < badLoss && w.LossBack < badLoss && w.Full && !w.hole())
}

// hole says that large packets disappear.
func (w Way) hole() bool { return w.MTUOut > 0 && w.MTUOut < ethernet && w.Silent }

func (w Way) Text() cause.Text {
	t := doctor.Say("The way to %s: round trip %.1f ms (jitter %.1f ms, at most %.1f ms)", "到 %s 的线路：往返 %.1f 毫秒（抖动 %.1f 毫秒，最大 %.1f 毫秒）", w.From, w.RTT, w.Jitter, w.Most)
	if w.Measured {
		t = join("", "", t, doctor.Say(", loss %.1f %% out and %.1f %% back", "，丢包：去程 %.1f %%，回程 %.1f %%", w.LossOut, w.LossBack))
	} else {
		t = join("", "", t, doctor.Say(", %.1f %% of TCP's segments repeated (UDP is blocked)", "，TCP 重传 %.1f %%（UDP 不通）", w.LossOut))
	}
	switch {
	case w.MTUOut > 0:
		t = join("", "", t, doctor.Say(", packets up to %d bytes out and %d back", "，最大包长：去程 %d 字节，回程 %d 字节", w.MTUOut, w.MTUBack))
	default:
		t = join("", "", t, doctor.Say(", largest packet not measured", "，未测最大包长"))
	}
	if w.hole() {
		t = join("", "", t, doctor.Say(", larger ones disappear without a word", "，更大的包被悄悄丢弃"))
	}
	if !w.Full {
		t = join("", "", t, doctor.Say("; 32 KiB over TCP did not come through", "；TCP 传输 32 KiB 没有完成"))
	}
	return t
}

func ftoa(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
