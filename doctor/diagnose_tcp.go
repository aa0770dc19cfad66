package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"picket/cause"
	"picket/printable"
)

// name: is there an address?
func (p *patient) name() bool {
	p.slowNames()
	p.halfSilent()
	if p.sinkhole() {
		return true
	}
	if p.nobodys() {
		return true
	}
	if len(p.addresses) > 0 {
		p.families()
		return false
	}
	if len(p.lookups) == 0 {
		return false
	}
	none := where(p.lookups, func(l Lookup) bool { return l.Result == None })
	mute := where(p.lookups, func(l Lookup) bool { return l.Result == TimedOut || l.Result == Failed })
	if p.client != nil && !p.client.IPv4 && !p.client.IPv6 {
		p.found(cause.ClientOffline, 95, []int{p.clientAt}, means("Without a network no name can be looked up.", "没有网络，就无法解析任何域名。"))
	}
	if len(mute) > 0 && p.localName() && !slices.ContainsFunc(mute, func(l seen[Lookup]) bool { return l.fact.Result == TimedOut }) {
		p.found(cause.DNSMissingOrStale, 80, places(mute), means("%s is a name of one local network, of a container's, or of mDNS: the name servers outside of it refuse to answer. From here use the machine's address instead.",
			"%s 是只在某个局域网、容器网络或 mDNS 内有效的名称，外面的 DNS 服务器会拒绝应答。请在这里改用机器的 IP 地址。", p.target.Host))
		p.found(cause.DNSNoAnswer, 60, places(mute))
		return true
	}
	if len(mute) > 0 {
		p.found(cause.DNSNoAnswer, 85, places(mute),
			not(cause.DNSMissingOrStale, "a name that does not exist gets an answer that says so", "域名不存在时，DNS 会明确回答不存在"))
		return true
	}
	more := []detail{
		means("There is no address for %s, neither IPv4 nor IPv6. Is it spelled correctly?", "%s 没有任何地址（IPv4、IPv6 都没有）。拼写正确吗？", p.target.Host),
		not(cause.DNSNoAnswer, "the name server has answered: there is no such address", "DNS 已经应答：没有这个地址"),
	}
	if p.localName() {
		more[0] = means("%s is a name that is valid in one local network only, and only for devices that ask there (mDNS). Use the machine's address instead.",
			"%s 是只在本地网络内有效的名称，只有支持 mDNS 的设备才能解析。请改用机器的 IP 地址。", p.target.Host)
	}
	p.found(cause.DNSMissingOrStale, 95, places(none), more...)
	return true
}

// localName tells whether the name is of a kind that no name server of the internet knows: without a dot, or below a name that is set aside for local networks.
func (p *patient) localName() bool {
	last := p.target.Host[strings.LastIndexByte(p.target.Host, '.')+1:]
	return last == p.target.Host || slices.Contains([]string{"local", "lan", "home", "internal", "localdomain"}, last)
}

// sinkhole: the name servers give an address that leads nowhere, as those do that keep advertisements or strangers' sites away.
func (p *patient) sinkhole() bool {
	void := where(p.lookups, func(l Lookup) bool {
		return l.Result == Found && !slices.ContainsFunc(l.Addresses, func(a string) bool {
			return a != "0.0.0.0" && a != "::"
		})
	})
	if len(void) == 0 || len(where(p.lookups, func(l Lookup) bool { return l.Result == Found })) > len(void) {
		return false
	}
	void0 := void[0].fact.Addresses[0]
	evidence := append(places(void), places(of[HostsFile](p.Facts))...)
	p.found(cause.DNSMissingOrStale, 92, evidence,
		means("The answer for %s is %s, which leads nowhere: a name server with a list of unwanted sites (against advertising, for children) answers so, and so does a record that was entered as a stopgap.", "%s 的解析结果是 %s，无法连接：带拦截名单的 DNS（广告过滤、家长控制）会这样回答，临时占位的解析记录也是如此。", p.target.Host, void0))
	p.found(cause.PhoneVPNOrDNS, 60, evidence, means("If it works on another network, this network's or this device's name server filters the name.", "如果换个网络就正常，说明当前网络或设备的 DNS 拦截了该域名。"))
	return true
}

// nobodys: the address is one for many machines at once, at which none can be connected to.
func (p *patient) nobodys() bool {
	a, err := netip.ParseAddr(p.target.Host)
	switch {
	case err != nil:
		return false
	case a.IsUnspecified():
		p.found(cause.AppFormMistake, 94, []int{p.targetAt}, means("%s stands in configurations for “all addresses of this machine” and is nobody's own: enter the address of the broker's machine.", "%s 在配置里表示“本机的所有地址”，不是任何机器的地址：请填写服务端所在机器的地址。", p.target.Host))
		p.end = cause.Name
		return true
	case a.Is6() && a.IsLinkLocalUnicast() && a.Zone() == "":
		p.found(cause.AppFormMistake, 92, []int{p.targetAt}, means("%s is valid on one cable or Wi-Fi only, and says nothing without the name of the interface behind a %% sign, which apps do not take: enter the machine's IPv4 address, or another IPv6 address of it.", "%s 只在一条网线或一个 Wi-Fi 内有效，还必须在 %% 后面带上接口名，应用通常不支持：请填写该机器的 IPv4 地址或其他 IPv6 地址。", p.target.Host))
		p.end = cause.Name
		return true
	case !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return false
	}
	p.found(cause.AppFormMistake, 94, []int{p.targetAt}, means("%s is an address for many machines at once (multicast or broadcast). Nobody can be connected to there: enter the address of the broker's machine.", "%s 是组播或广播地址，对应多台机器，无法建立连接：请填写服务端所在机器的地址。", p.target.Host))
	p.end = cause.Name
	return true
}

// slowLookup is how long a name may take, in milliseconds, before programs give up on it.
const slowLookup = 2000

// slowNames: the name is found, and late.
func (p *patient) slowNames() {
	late := where(p.lookups, func(l Lookup) bool { return l.Result == Found && l.Ms > slowLookup })
	if len(late) == 0 {
		return
	}
	evidence := places(late)
	for _, n := range of[NameServer](p.Facts) {
		evidence = append(evidence, n.at)
	}
	p.found(cause.DNSNoAnswer, 70, evidence,
		means("The name was found only after %v: a name server does not answer or answers slowly, and programs that wait less long fail.", "解析域名用了 %v：有名称服务器没有应答或应答很慢，等待时间较短的程序会失败。", late[0].fact.Ms))
}

// halfSilent: the name servers tell of one family and keep silent about the other, for which programs wait that ask for both.
func (p *patient) halfSilent() {
	found := where(p.lookups, func(l Lookup) bool { return l.Result == Found })
	mute := where(p.lookups, func(l Lookup) bool { return l.Result == TimedOut })
	if len(found) == 0 || len(mute) == 0 {
		return
	}
	p.found(cause.DNSNoAnswer, 68, append(places(mute), places(found)...),
		means("The name server tells about %s (%s) and does not answer at all about %s: programs that ask for both families wait for seconds, and some give up.", "DNS 能回答 %s（%s），对 %s 则完全不应答：同时查询两种地址的程序会等待数秒，有些会因此失败。", p.target.Host, found[0].fact.Record, mute[0].fact.Record),
		not(cause.DNSMissingOrStale, "what does not exist is answered as well", "记录不存在时也会得到应答"))
}

// overridden: this machine's own list of names says something else than the name servers, and the way ends.
func (p *patient) overridden(end cause.Stage) {
	own, servers := of[HostsFile](p.Facts), of[NameServer](p.Facts)
	if len(own) == 0 || end == "" || end == cause.Use || end == cause.Stay {
		return
	}
	fit, evidence, others := 60, []int{own[0].at}, ""
	for _, s := range servers {
		if s.fact.Result == Found && !slices.ContainsFunc(s.fact.Addresses, func(a string) bool { return slices.Contains(own[0].fact.Addresses, a) }) {
			fit, evidence, others = 96, append(evidence, s.at), strings.Join(s.fact.Addresses, ", ")
		}
	}
	if fit < 90 {
		return
	}
	p.found(cause.DNSMissingOrStale, fit, evidence,
		means("%s on this machine says that %s is %s, and comes before the name servers, which say %s.", "本机的 %s 把 %s 写成 %s，它优先于 DNS；而 DNS 的回答是 %s。", own[0].fact.File, p.target.Host, strings.Join(own[0].fact.Addresses, ", "), others),
		step(cause.Text{EN: "Take the line out of the file", ZH: "删除该文件中的这一行"}, same("grep -n "+printable.ShellWord(p.target.Host)+" "+own[0].fact.File)))
}

// tunnelled: the way leads into a VPN, and nothing comes back.
func (p *patient) tunnelled(first seen[Dial], evidence []int) bool {
	vpn := where(of[Route](p.Facts), func(r Route) bool { return r.VPN })
	if len(vpn) == 0 || len(p.answers()) > 0 {
		return false
	}
	p.found(cause.PhoneVPNOrDNS, 84, append(evidence, vpn[0].at),
		means("The way to %s leads through the VPN %s, and nothing at all comes back from there: the VPN is up and passes nothing on, or does not know this address.", "到 %s 的流量走 VPN（%s），而那里没有任何回应：VPN 虽然显示已连接，但没有转发数据，或没有到该地址的路由。", first.fact.Address, vpn[0].fact.Interface),
		step(cause.Text{EN: "To find out", ZH: "确认方法"}, cause.Text{EN: "Switch the VPN off and try again.", ZH: "关闭 VPN 后再试一次。"}))
	return true
}

// families: a name that does not have both families leaves some clients out.
func (p *patient) families() {
	if p.target.Host == "" || len(p.lookups) == 0 {
		return
	}
	found := func(record string) []seen[Lookup] {
		return where(p.lookups, func(l Lookup) bool { return l.Record == record && l.Result == Found })
	}
	// A name server that knows one family and cannot tell about the other has told enough to connect.
	for record, other := range map[string]string{"A": "AAAA", "AAAA": "A"} {
		if len(found(other)) > 0 {
			p.Settle(places(where(p.lookups, func(l Lookup) bool { return l.Record == record && l.Result == Failed }))...)
		}
	}
	if len(found("A")) == 0 && len(found("AAAA")) > 0 && len(where(p.lookups, func(l Lookup) bool { return l.Result == None })) > 0 {
		fit := 60
		if p.client != nil && !p.client.IPv6 {
			fit = 95
		}
		if len(where(p.connects, func(c Connect) bool { return c.Result == Accepted })) > 0 {
			return // a remark, where it works from here
		}
		p.found(cause.IPv6OnlyServer, fit, places(p.lookups))
	}
}

// asked are the attempts to connect to the port in question.
func (p *patient) asked() []seen[Dial] {
	return where(p.dials, func(d Dial) bool { return d.Purpose == Asked })
}

// tcp: does the port open?
func (p *patient) tcp() bool {
	asked := p.asked()
	open := where(asked, func(d Dial) bool { return d.Result == Open })
	if len(open) > 0 {
		p.someAddresses(asked, open)
		return false
	}
	if len(asked) == 0 {
		return false
	}
	if len(p.handshakes)+len(p.upgrades)+len(p.connects) > 0 { // it was open, and cut off at once, or opened later
		if late := where(p.dials, func(d Dial) bool { return d.Purpose == Again && d.Result == Open }); len(late) > 0 {
			p.fromTimeToTime(asked, late)
		}
		return false
	}
	if p.madeUp(asked) {
		return true
	}
	// IPv4 is what nearly everyone uses; IPv6 counts where it was possible at all.
	first := asked[0]
	for _, d := range asked {
		if !isIPv6(d.fact.Address) || d.fact.Result != NetUnreachable && first.fact.Result == NetUnreachable {
			first = d
			break
		}
	}
	if portal := of[Portal](p.Facts); len(portal) > 0 {
		p.found(cause.CaptivePortalOrAPIsolation, 95, append(places(portal), first.at),
			means("Somebody on the way answers web requests for every address, and lets nothing else pass: the login page of this network.", "途中有设备冒充所有地址应答网页请求，其他流量一概不放行：这是该网络的认证页面。"))
		return true
	}
	if p.router(first) {
		return true
	}
	if (first.fact.Result == TimedOut || first.fact.Result == HostUnreachable) && p.tunnelled(first, append(places(p.pings), first.at)) {
		return true
	}
	if p.forbiddenHere(first) || p.otherPort(first) && first.fact.Result == Refused {
		return true
	}
	switch first.fact.Result {
	case Refused:
		p.refused(first)
	case TimedOut:
		p.timedOut(first)
	case HostUnreachable:
		p.hostUnreachable(first)
	case NetUnreachable:
		p.netUnreachable(first)
	default:
		if first.fact.Rejected != nil { // the system has an error of its own for some of these messages
			p.rejected(first, append(p.answers(), first.at))
			break
		}
		p.found(cause.CarrierOrCorpBlocksPort, 60, []int{first.at},
			means("The connection to port %d was cut off before it was open: something on the way does not let it through.", "到端口 %d 的连接在建立之前就被切断：途中有设备不放行。", first.fact.Port))
	}
	return true
}

// madeUp: the address is one that proxy programs hand out in place of real ones, and nobody takes care of it.
func (p *patient) madeUp(asked []seen[Dial]) bool {
	fake := where(p.addresses, func(a Address) bool { return a.Class == MadeUp })
	if len(fake) == 0 {
		return false
	}
	p.found(cause.PhoneVPNOrDNS, 88, append(places(fake), places(asked)...), means("%s is no address on the internet: proxy programs (in “fake IP” mode) answer so in place of the real one, and have to be running for it to lead anywhere. The program is off, or does not pass this connection on, or its answers are still remembered.", "%s 不是互联网上的地址：代理软件在 fake-ip 模式下用它代替真实地址，只有代理正在运行时才能用。代理已关闭、没有转发这个连接，或者 DNS 缓存里还留着旧结果。", fake[0].fact.Address),
		step(cause.Text{EN: "To find out", ZH: "确认方法"}, cause.Text{EN: "Switch the proxy program off and on again, or off for good; then make the device forget its names: switch its network off and on.", ZH: "重启或彻底关闭代理软件；然后断开再连接网络，清除设备的 DNS 缓存。"}))
	return true
}

// fromTimeToTime: the first attempt got no answer, and a later one did.
func (p *patient) fromTimeToTime(asked, late []seen[Dial]) {
	evidence := append(places(asked), places(late)...)
	p.found(cause.RateLimitOrBan, 68, evidence,
		means("The first attempt got no answer, and some seconds later the port opened: somebody lets in only so many connections in a time.", "第一次连接没有应答，几秒之后端口又能打开：有设备限制单位时间内的连接次数。"),
		not(cause.HostFirewallDrop, "a rule that drops the port drops it every time", "丢弃该端口的规则每次都会丢弃"))
	p.found(cause.LossyNetwork, 58, evidence)
	p.found(cause.ConntrackFull, 52, evidence)
}

func isIPv6(address string) bool { return strings.Contains(address, ":") }

// someAddresses: some addresses of a name work and others do not, which is a matter of luck for clients.
func (p *patient) someAddresses(asked, open []seen[Dial]) {
	for _, d := range asked {
		if d.fact.Result != Open && p.inner(d, open[0]) {
			continue
		}
		if d.fact.Result == Open || d.fact.Result == NetUnreachable || isIPv6(d.fact.Address) && p.client != nil && !p.client.IPv6 {
			p.Settle(d.at) // a machine without IPv6 loses nothing by an address of IPv6
			continue
		}
		works := open[0].fact.Address
		if isIPv6(d.fact.Address) && !isIPv6(works) {
			p.found(cause.IPv4OnlyListener, 92, []int{d.at, open[0].at}, set("address", d.fact.Address),
				means("%s has an IPv6 address at which port %d does not open, and an IPv4 address at which it does. Clients that try IPv6 first and then give up fail.",
					"%s 的 IPv6 地址上端口 %d 连不上，IPv4 地址则可以。先试 IPv6 且不再重试的客户端会失败。", p.target.Host, d.fact.Port))
			continue
		}
		stale := 75
		if !isIPv6(d.fact.Address) && isIPv6(works) && d.fact.Result == Refused {
			p.found(cause.IPv6OnlyServer, 78, []int{d.at, open[0].at}, means("At its IPv4 address %s the machine refuses port %d, at its IPv6 address the port opens: the broker listens for IPv6 alone. Clients without IPv6 cannot connect.", "机器的 IPv4 地址 %s 拒绝端口 %d，IPv6 地址则可以：服务端只监听 IPv6，没有 IPv6 的客户端无法连接。", d.fact.Address, d.fact.Port),
				not(cause.HostFirewallDrop, "packets that are dropped get no answer", "被丢弃的数据包不会有任何回应"))
			stale = 58
		} else if !isIPv6(d.fact.Address) && isIPv6(works) { // two addresses of one machine, as a rule
			stale = 60
			p.found(cause.HostFirewallDrop, 66, []int{d.at, open[0].at}, set("address", d.fact.Address),
				means("%s does not answer at port %d and %s does: if both are the same machine's, a firewall or a security group keeps IPv4 away, or the broker does not listen there.", "%s 的端口 %d 没有应答，%s 则正常：如果两者是同一台机器，则是防火墙或安全组没有放行 IPv4，或服务端没有监听 IPv4。", d.fact.Address, d.fact.Port, works))
		}
		p.found(cause.DNSMissingOrStale, stale, []int{d.at, open[0].at}, set("address", d.fact.Address),
			means("%s has several addresses. %s does not answer at port %d, %s does: clients fail from time to time. The first is probably an old one.",
				"%s 有多个地址：%s 的端口 %d 没有应答，%s 则正常，因此客户端时好时坏。前者可能是旧地址。", p.target.Host, d.fact.Address, d.fact.Port, works))
	}
}

// inner: beside a public address the name has one of some inner network, which leads nowhere from here.
func (p *patient) inner(d, open seen[Dial]) bool {
	class := func(address string) string {
		for _, a := range p.addresses {
			if a.fact.Address == address {
				return a.fact.Class
			}
		}
		return ""
	}
	if !slices.Contains([]string{Private, Shared, LinkLocal, Loopback}, class(d.fact.Address)) || !slices.Contains([]string{Public, Example}, class(open.fact.Address)) {
		return false
	}
	at := []int{d.at, open.at}
	p.found(cause.DNSMissingOrStale, 76, at, set("address", d.fact.Address),
		means("%s has the public address %s, which works, and beside it %s, which is one inside of some network: clients elsewhere that try that one fail or wait.", "%s 除了可用的公网地址 %s，还有内网地址 %s：其他网络的客户端若先用后者，就会失败或等待。", p.target.Host, open.fact.Address, d.fact.Address))
	p.found(cause.PrivateIPUsed, 58, at)
	return true
}

// speaks says what a neighbouring port speaks: the scheme of a URL for it, empty if it is none of a broker's. Of several it is the one that was asked
// for, or the one with the most protection.
func (p *patient) speaks(port int, heard []seen[Opening]) (scheme string, at []int) {
	worth := func(s string) int {
		if s == p.target.Scheme {
			return 9
		}
		return slices.Index([]string{"", "ws", "mqtt", "wss", "mqtts"}, s)
	}
	for _, o := range heard {
		if o.fact.Port != port {
			continue
		}
		s := ""
		switch {
		case o.fact.Said == SayMQTT && o.fact.Heard == HearMQTT:
			s = "mqtt"
		case o.fact.Said == SayTLSThen+SayMQTT && o.fact.Heard == HearMQTT:
			s = "mqtts"
		case o.fact.Said == SayHTTP && o.fact.Heard == HearWebSocket:
			s = "ws"
		case o.fact.Said == SayTLSThen+SayHTTP && o.fact.Heard == HearWebSocket:
			s = "wss"
		}
		if worth(s) > worth(scheme) {
			scheme, at = s, []int{o.at}
		}
	}
	return scheme, at
}

// brokerPort is a port of the same machine, other than the asked one, that speaks MQTT.
func (p *patient) brokerPort() (port int, scheme string, at []int) {
	for _, n := range p.around {
		for _, open := range n.fact.Open {
			// The one that has the same protection comes first.
			if s, heard := p.speaks(open, p.openings); s != "" && (port == 0 || s == p.target.Scheme && scheme != s) {
				port, scheme, at = open, s, append(heard, n.at)
			}
		}
	}
	return port, scheme, at
}

// otherPort: nothing at the asked port, but a broker at another one.
func (p *patient) otherPort(first seen[Dial]) bool {
	port, scheme, at := p.brokerPort()
	if port == 0 || p.captive() {
		return false
	}
	fit := 93
	if first.fact.Result == TimedOut {
		fit = 55 // the broker may listen there as well, behind a filter
	}
	t := Target{Scheme: scheme, Host: p.target.Host, Port: port, Path: "/mqtt"}
	advice := step(cause.Text{EN: "Enter in the app", ZH: "在应用中填写"}, t.Form())
	if p.secure() && (scheme == "mqtt" || scheme == "ws") {
		advice = p.serveTLS(scheme) // what was asked for is TLS, and no less
	}
	p.found(cause.WrongPort, fit, append(at, first.at),
		means("Port %d does not open, and port %d speaks MQTT (%s).", "端口 %d 连不上，而端口 %d 提供 MQTT 服务（%s）。", first.fact.Port, port, scheme), advice,
		not(cause.BrokerNotRunning, "a broker answers on another port", "另一个端口上有服务端应答"))
	if p.secure() && (scheme == "mqtt" || scheme == "ws") && first.fact.Result == Refused {
		p.found(cause.KeyUnreadable, 45, append(at, first.at),
			means("The plain port of the broker works and the TLS port refuses: it may be missing in the configuration, or the broker could not read the certificate or its key.",
				"明文端口正常而 TLS 端口被拒绝：可能没有配置，也可能服务端读不了证书或私钥。"))
	}
	if first.fact.Port < 1024 && first.fact.Result == Refused {
		p.found(cause.PrivilegedPort, 45, append(at, first.at))
	}
	return true
}

// tcpdump is the command that settles on the server which side drops packets.
func (p *patient) tcpdump() detail {
	return step(cause.Text{EN: "On the server, while a client tries", ZH: "在服务器上运行，同时让客户端连接"}, cause.Text{
		EN: fmt.Sprintf("sudo tcpdump -ni any 'tcp port %d'\n# nothing at all: the cloud or a router drops it\n# [S] alone, again and again: the machine's own firewall\n# [S] and then [R]: nothing listens on that address", p.target.Port),
		ZH: fmt.Sprintf("sudo tcpdump -ni any 'tcp port %d'\n# 什么都没有：被云安全组或路由器丢弃\n# 只有 [S] 反复出现：主机自己的防火墙\n# [S] 之后是 [R]：该地址上没有程序监听", p.target.Port),
	})
}

func (p *patient) refused(first seen[Dial]) {
	evidence := append(p.answers(), first.at)
	if r := first.fact.Rejected; r != nil && r.Prohibited {
		p.rejected(first, evidence)
		return
	}
	notDrop := not(cause.HostFirewallDrop, "a firewall that drops packets makes clients wait; this was refused at once", "丢弃数据包的防火墙会让客户端一直等待；而这里是立即被拒绝")
	inside := where(p.dials, func(d Dial) bool { return d.Purpose == OnLoopback })
	if open := where(inside, func(d Dial) bool { return d.Result == Open }); len(open) > 0 {
		if slices.ContainsFunc(p.addresses, func(a seen[Address]) bool { return a.fact.Class == Loopback && a.fact.Address == first.fact.Address }) {
			p.found(cause.IPv4OnlyListener, 93, append(evidence, open[0].at), notDrop,
				means("Port %d is open at %s and refused at %s: the broker listens on one of the two families only.", "端口 %d 在 %s 上开放，在 %s 上被拒绝：服务端只监听其中一种地址。", first.fact.Port, open[0].fact.Address, first.fact.Address))
			return
		}
		p.found(cause.LoopbackOnly, 96, append(evidence, open[0].at), notDrop,
			means("On this very machine port %d is open at %s and refused at %s: the broker listens for its own machine only.",
				"就在本机上，端口 %d 在 %s 上开放，在 %s 上却被拒绝：服务端只监听本机。", first.fact.Port, open[0].fact.Address, first.fact.Address),
			not(cause.BrokerNotRunning, "it answers on the loopback address", "回环地址上有应答"))
		return
	}
	if p.sentHome(evidence) {
		return
	}
	if p.own() {
		p.found(cause.BrokerNotRunning, 90, append(evidence, places(inside)...), notDrop, p.howToStart(),
			p.nothingHere(first.fact.Port))
		p.found(cause.DockerPortNotPublished, 25, evidence)
		return
	}
	if p.nearer(first, evidence) {
		return
	}
	// From outside, a broker that is not there and one that listens on its own machine only look the same.
	running, loopback := 50, 45
	if first.fact.Port == 1883 {
		loopback = 55 // what mosquitto 2 does without a configuration
	}
	where := cause.Text{
		EN: fmt.Sprintf("The machine is there, and nothing listens on port %d at this address. From outside it cannot be seen whether the broker is not running or listens for its own machine only; on the server `ss -ltn` shows it.", first.fact.Port),
		ZH: fmt.Sprintf("机器在线，但该地址的端口 %d 上没有程序监听。从外部无法分辨是服务端没有运行还是只监听本机；在服务器上运行 `ss -ltn` 可以看出。", first.fact.Port),
	}
	look := step(cause.Text{EN: "On the server", ZH: "在服务器上"}, cause.Text{
		EN: fmt.Sprintf("ss -ltn 'sport = :%d'\n# nothing: it does not run; 127.0.0.1 or [::1]: for itself only; 0.0.0.0 or *: it listens, look at Docker and the firewall\npicket doctor --server", first.fact.Port),
		ZH: fmt.Sprintf("ss -ltn 'sport = :%d'\n# 没有结果：没有运行；127.0.0.1 或 [::1]：只监听本机；0.0.0.0 或 *：监听正常，检查 Docker 和防火墙\npicket doctor --server", first.fact.Port),
	})
	p.found(cause.LoopbackOnly, loopback, evidence, meaning(where), notDrop, look)
	p.found(cause.BrokerNotRunning, running, evidence, meaning(where), notDrop, look)
	if web := p.neighbours(openPorts); len(p.lookups) > 0 && (slices.Contains(web, 80) || slices.Contains(web, 443)) {
		p.found(cause.DNSMissingOrStale, 52, append(evidence, places(p.lookups)...), means("A web server answers at %s, and no broker: the name may lead to the machine of the web site, or to an old one.", "%s 上有网页服务器而没有 MQTT 服务端：域名可能指向了网站所在的机器，或是旧地址。", first.fact.Address))
	}
	p.wildcard(evidence)
	if p.public() {
		p.found(cause.NATNoPortForward, 30, evidence, means("If this is the address of a router, it is the router that refuses.", "如果这是路由器的公网地址，那么拒绝连接的是路由器。"))
	}
	p.found(cause.DockerPortNotPublished, 28, evidence)
	p.found(cause.HostFirewallReject, 26, evidence, means("Some firewalls reject with the same answer as a port without a listener.", "有些防火墙的拒绝方式与没有监听的端口完全相同。"))
}

// completed: the name does not exist, and with an ending of this machine's own network behind it leads somewhere else.
func (p *patient) completed(first seen[Dial]) {
	for _, c := range of[Completed](p.Facts) {
		p.found(cause.DNSMissingOrStale, 90, []int{c.at, first.at}, means("The name %s does not exist: it may be spelled wrongly, or its record is missing. This machine has put the ending of its own network behind it (search in /etc/resolv.conf), and what was found so, %s, is something else.", "名称 %s 不存在：可能拼写有误，或缺少解析记录。本机在后面加上了自己网络的后缀（/etc/resolv.conf 中的 search），由此得到的 %s 是别的机器。", c.fact.Host, first.fact.Address))
	}
}

// wildcard: a name that nobody has made up leads to the same address, so that this name may be no more than a spelling mistake.
func (p *patient) wildcard(evidence []int) {
	if hits := of[AnyName](p.Facts); len(hits) > 0 {
		p.found(cause.DNSMissingOrStale, 64, append(evidence, hits[0].at), means("Any name leads to this address, even %s, which was made up: %s may be spelled wrongly, and the address is that of a page for names that do not exist, or of a record for all names (*).", "任何名称都解析到这个地址，连随意编造的 %s 也是：%s 可能拼写有误，而该地址属于“域名不存在”的提示页，或来自泛解析（*）。", hits[0].fact.Host, p.target.Host))
	}
}

// sentHome: a name that is no name of this machine leads to its loopback address.
func (p *patient) sentHome(evidence []int) bool {
	home := where(p.addresses, func(a Address) bool { return a.Class == Loopback })
	host := strings.TrimSuffix(strings.ToLower(p.target.Host), ".")
	if _, err := netip.ParseAddr(host); err == nil || len(home) == 0 || len(home) < len(p.addresses) || !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost") || strings.HasSuffix(host, ".localdomain") {
		return false
	}
	p.found(cause.DNSMissingOrStale, 92, append(evidence, append(places(home), append(places(p.lookups), places(of[HostsFile](p.Facts))...)...)...),
		means("%s leads to %s, which is this very machine, and no broker runs here: a name server with a list of unwanted sites answers so, an entry in the hosts file, or a record that was entered by mistake.", "%s 解析到 %s，也就是本机自己，而本机没有运行服务端：带拦截名单的 DNS、hosts 文件中的条目或填错的解析记录都会造成这种情况。", p.target.Host, home[0].fact.Address))
	p.found(cause.BrokerNotRunning, 55, evidence, means("If this is meant to be the broker's own machine, nothing listens on port %d.", "如果本机就是服务端所在的机器，则端口 %d 上没有程序监听。", p.target.Port))
	return true
}

// nothingHere says that nothing listens at the port on this very machine; whoever has typed localhost may mean another one.
func (p *patient) nothingHere(port int) detail {
	if slices.ContainsFunc(p.addresses, func(a seen[Address]) bool { return a.fact.Class == Loopback }) {
		return means("%s is always the device itself that connects (on a phone the phone, in a container the container), and here nothing listens on port %d. If the broker is on another machine, enter the address of that one.", "%s 永远指发起连接的设备自己（在手机上就是手机，在容器里就是容器），而这里的端口 %d 上没有程序监听。如果服务端在另一台机器上，请填写那台机器的地址。", p.target.Host, port)
	}
	return means("This is the broker's own machine, and nothing listens on port %d.", "这就是服务端所在的机器，端口 %d 上没有程序监听。", port)
}

// howToStart names the commands that show whether a broker runs.
func (p *patient) howToStart() detail {
	return step(cause.Text{EN: "Here, on this machine", ZH: "就在本机上"}, same("sudo ss -ltnp | grep -E ':(1883|8883|9001)'\nsystemctl status mosquitto\npicket serve"))
}

// rejected: a filter has said no by ICMP.
func (p *patient) rejected(first seen[Dial], evidence []int) {
	r := first.fact.Rejected
	if p.ownWord(r) && !p.own() {
		p.found(cause.CarrierOrCorpBlocksPort, 92, evidence,
			means("This very machine (%s) rejects the connection before a packet leaves it: its own firewall or security software does not let it out.", "是本机（%s）自己在数据包发出之前就拒绝了连接：本机的防火墙或安全软件不允许。", r.From),
			step(cause.Text{EN: "Here, on this machine", ZH: "就在本机上"}, same("sudo iptables -S OUTPUT; sudo ip6tables -S OUTPUT; sudo nft list ruleset | grep -A20 'hook output'")),
			not(cause.HostFirewallReject, "the answer does not come from the server", "回应不是来自服务器"))
		return
	}
	if r.From == first.fact.Address || p.own() {
		p.found(cause.RateLimitOrBan, 54, evidence, means("If it works from another address, this one is banned (fail2ban bans in this way).", "如果换一个地址就能连，说明当前地址被封禁（fail2ban 就是这样封禁的）。"))
		p.found(cause.HostFirewallReject, 96, evidence,
			means("%s itself answers at once: %s. Only a firewall does that.", "%s 立即回应：%s。只有防火墙才会这样。", r.From, r.Name),
			not(cause.BrokerNotRunning, "a port without a listener answers with RST and not with ICMP", "没有监听的端口以 RST 应答，而不是 ICMP"),
			not(cause.HostFirewallDrop, "packets that are dropped get no answer", "被丢弃的数据包不会有任何回应"))
		return
	}
	p.found(cause.CarrierOrCorpBlocksPort, 75, evidence, means("%s, a router or a firewall on the way and not the server, answers at once: %s.", "途中的路由器或防火墙 %s（不是服务器本身）立即回应：%s。", r.From, r.Name),
		not(cause.HostFirewallReject, "the answer does not come from the server", "回应不是来自服务器"))
	p.found(cause.HostFirewallReject, 40, evidence)
}

// ownWord tells whether a message came from this very machine.
func (p *patient) ownWord(r *Rejection) bool {
	return r != nil && slices.ContainsFunc(of[Route](p.Facts), func(s seen[Route]) bool { return s.fact.Source == r.From })
}

// answers are the facts that show that the machine is there: pings and other ports that were answered in whatever way.
func (p *patient) answers() (at []int) {
	at = places(where(p.pings, func(g Ping) bool { return g.Received > 0 }))
	return append(at, places(where(p.around, Neighbours.there))...)
}

// neighbours are the ports that were answered in one way.
func (p *patient) neighbours(list func(Neighbours) []int) (ports []int) {
	for _, n := range p.around {
		ports = append(ports, list(n.fact)...)
	}
	return ports
}

func openPorts(n Neighbours) []int    { return n.Open }
func refusedPorts(n Neighbours) []int { return n.Refused }
func silentPorts(n Neighbours) []int  { return n.Silent }

func (p *patient) timedOut(first seen[Dial]) {
	if p.keptIn(first) {
		return
	}
	open, refused := p.neighbours(openPorts), p.neighbours(refusedPorts)
	there := len(p.answers()) > 0
	evidence := append(places(p.around), first.at)
	evidence = append(evidence, places(p.pings)...)
	notRefused := not(cause.BrokerNotRunning, "where nothing listens the machine refuses at once, and does not keep silent", "没有程序监听时，机器会立即拒绝，而不是不作声")
	if cdn := where(p.addresses, func(a Address) bool { return a.CDN != "" }); len(cdn) > 0 {
		p.found(cause.CDNProxiedDNS, 95, append(evidence, places(cdn)...), notRefused,
			means("%s leads to %s, which does not pass port %d on.", "%s 指向 %s，而它不转发端口 %d。", p.target.Host, cdn[0].fact.CDN, first.fact.Port),
			not(cause.SecurityGroupClosed, "the packets go to the CDN and not to the server", "数据包到的是 CDN，而不是服务器"))
		return
	}
	if !p.public() {
		p.timedOutInside(first, there, evidence, notRefused)
		return
	}
	if !there {
		silent := means("Nothing at this address answers: no other port, no ping.", "该地址完全没有回应：其他端口和 ping 都没有应答。")
		p.found(cause.SecurityGroupClosed, 54, evidence, silent, notRefused, p.tcpdump())
		p.found(cause.NoPublicIP, 50, evidence, silent)
		p.almostOwn(evidence)
		if len(p.lookups) > 0 {
			p.found(cause.DNSMissingOrStale, 42, append(evidence, places(p.lookups)...), means("%s may be an old address of %s.", "%s 可能是 %s 的旧地址。", first.fact.Address, p.target.Host))
		}
		p.found(cause.NATNoPortForward, 40, evidence)
		p.found(cause.CGNAT, 20, evidence)
		return
	}
	alive := means("The machine is there, but packets for port %d vanish: something drops them in silence.", "机器在线，但发往端口 %d 的数据包没有任何回应：途中有规则把它们悄悄丢弃了。", first.fact.Port)
	// A cloud drops everything that is not allowed. Where most ports answer in some way, one rule drops just this one.
	group, host := 68, 50
	if len(p.neighbours(silentPorts)) < len(open)+len(refused) {
		group, host = 50, 62
	}
	p.found(cause.SecurityGroupClosed, group, evidence, alive, notRefused, p.tcpdump(),
		not(cause.HostFirewallReject, "a firewall that rejects answers at once", "主动拒绝的防火墙会立即回应"))
	p.found(cause.HostFirewallDrop, host, evidence, alive, notRefused, p.tcpdump())
	blocked := 34
	web := func(port int) bool { return port == 80 || port == 443 }
	if slices.ContainsFunc(open, web) {
		blocked = 45
		if len(refused) == 0 && !slices.ContainsFunc(open, func(port int) bool { return !web(port) }) {
			blocked = 54 // nothing but the web passes, as in many guests' networks
		}
	}
	p.found(cause.CarrierOrCorpBlocksPort, blocked, evidence, means("To find out, try from another network, such as mobile data.", "换一个网络（例如手机移动数据）试试即可判断。"))
	p.found(cause.SecurityGroupWrongRule, 33, evidence)
	p.found(cause.LightServerFirewall, 32, evidence)
	p.found(cause.PanelFirewall, 25, evidence)
}

// timedOutInside: no answer from a private address.
func (p *patient) timedOutInside(first seen[Dial], there bool, evidence []int, notRefused detail) {
	if there || p.near() {
		p.found(cause.HostFirewallDrop, 80, evidence, notRefused, p.tcpdump(),
			means("The machine is in reach, but packets for port %d vanish: its firewall drops them in silence.", "机器可达，但发往端口 %d 的数据包没有任何回应：被它的防火墙悄悄丢弃了。", first.fact.Port),
			not(cause.SecurityGroupClosed, "the way does not lead over the internet", "这条路径不经过公网"),
			not(cause.HostDown, "a machine that is not there cannot be found in its network, which is an error after three seconds", "机器不存在时，三秒左右就会报主机不可达"))
		p.found(cause.PanelFirewall, 35, evidence)
		p.found(cause.VPCACL, 25, evidence)
		p.found(cause.CaptivePortalOrAPIsolation, 25, evidence)
		return
	}
	about := where(p.addresses, func(a Address) bool { return a.Class != Public })
	p.found(cause.PrivateIPUsed, 85, append(evidence, places(about)...), notRefused,
		means("%s is an address inside of some network, and this machine is not in that network.", "%s 是某个内网里的地址，而本机不在那个网络里。", first.fact.Address),
		not(cause.SecurityGroupClosed, "the packets do not even come to the server", "数据包根本到不了服务器"))
	if slices.ContainsFunc(p.addresses, func(a seen[Address]) bool { return a.fact.Class == Shared }) {
		p.found(cause.PhoneVPNOrDNS, 60, append(evidence, places(about)...), means("Addresses that begin with 100.64 to 100.127 belong to a provider's network, or to a private mesh such as Tailscale: if it is one, this device has to be connected to it.", "100.64 到 100.127 开头的地址属于运营商内网，或 Tailscale 之类的虚拟组网：如果是后者，本设备必须已接入。"))
	}
	p.found(cause.HostFirewallDrop, 40, evidence)
	p.found(cause.CaptivePortalOrAPIsolation, 30, evidence)
}

// quick is how soon, in milliseconds, a firewall rejects; the search for a machine in its network takes seconds.
const quick = 900

// quick is that limit for this way: what is far away answers later.
func (p *patient) quick() Milliseconds {
	var trip Milliseconds
	for _, g := range p.pings {
		trip = max(trip, g.fact.Median)
	}
	return quick + 2*trip
}

// noRouter: this machine has looked for the router of its own network, in vain.
func (p *patient) noRouter(first seen[Dial], evidence []int) {
	p.found(cause.ClientOffline, 86, append(evidence, places(of[Route](p.Facts))...),
		means("This machine finds nobody to pass packets for %s on to: the router of its own network (the default gateway) does not answer.", "本机找不到可以转发到 %s 的设备：本网络的路由器（默认网关）没有应答。", first.fact.Address),
		step(cause.Text{EN: "Here, on this machine", ZH: "就在本机上"}, cause.Text{EN: "ip route    # the address after \"default via\"\nip neigh    # FAILED or INCOMPLETE beside it: wrong address, wrong network, or the router is off", ZH: "ip route    # \"default via\" 后面的地址\nip neigh    # 该地址显示 FAILED 或 INCOMPLETE：地址填错、连错网络或路由器已关闭"}),
		not(cause.HostDown, "packets do not even leave this network", "数据包没有离开本地网络"))
	p.found(cause.HostDown, 45, evidence)
}

// bridges are how the interfaces of networks are called that programs make within a machine.
var bridges = []string{"docker", "br-", "virbr", "podman", "cni", "lxc", "lxdbr", "vmnet", "vboxnet"}

func (p *patient) hostUnreachable(first seen[Dial]) {
	evidence := append(p.answers(), first.at)
	r := first.fact.Rejected
	there := len(p.answers()) > 0
	searched := r == nil || r.Name == codeHostUnreachable || r.Name == codeAddressUnreachable // what is said when a machine was looked for, in vain
	if p.ownWord(r) && searched && !p.near() && first.fact.Ms >= p.quick() && !there {
		p.noRouter(first, evidence)
		return
	}
	if r != nil && r.Prohibited && !(searched && there && first.fact.Ms >= p.quick()) {
		p.rejected(first, evidence)
		return
	}
	if r != nil && r.Code == TimeExceeded {
		p.found(cause.HostDown, 60, evidence, means("The packets are passed on in a circle (%s says so): a router on the way has a wrong route, or the address is given to nobody.", "数据包在途中循环转发（%s 报告）：途中路由器的路由有误，或该地址没有分配给任何人。", r.From))
		p.found(cause.NoPublicIP, 56, evidence)
		if !p.public() {
			p.found(cause.PrivateIPUsed, 75, evidence)
		}
		return
	}
	if there && first.fact.Ms >= p.quick() && searched {
		p.found(cause.HostDown, 82, evidence,
			means("%s itself answers, and only after %v that the machine behind it cannot be reached: a router forwards the port to a machine that is not there.", "%s 本身有应答，但过了 %v 才报告后面的机器不可达：路由器把端口转发给了一台不在线的机器。", first.fact.Address, first.fact.Ms),
			not(cause.HostFirewallReject, "a firewall rejects at once, and does not look for a machine for seconds", "防火墙会立即拒绝，不会花几秒去寻找机器"))
		p.found(cause.NATNoPortForward, 62, evidence)
		return
	}
	if there || r == nil && first.fact.Ms < p.quick() && !p.near() {
		fit := 70
		if there {
			fit = 93
		}
		p.found(cause.HostFirewallReject, fit, evidence,
			means("The answer comes at once, within one round trip: a firewall rejects the connection.", "在一个往返时间内就得到回应：是防火墙主动拒绝了连接。"),
			not(cause.HostDown, "the search for a machine that is not there takes seconds", "寻找不存在的机器需要几秒钟"))
		if !there {
			p.found(cause.HostDown, 40, evidence)
		}
		return
	}
	p.nobodyThere(first, evidence)
}

// nobodyThere is about an address at which no machine was found.
func (p *patient) nobodyThere(first seen[Dial], evidence []int) {
	r := first.fact.Rejected
	down := []detail{
		means("No machine at %s answers in its network.", "%s 在它的网络里没有机器应答。", first.fact.Address),
		not(cause.HostFirewallReject, "a firewall that rejects is on a machine that answers in other ways, to ping or at other ports", "主动拒绝的防火墙所在的机器，对 ping 或其他端口会有应答"),
		not(cause.BrokerNotRunning, "a machine without a broker refuses", "没有服务端的机器会立即拒绝"),
	}
	if r != nil {
		down[0] = means("%s, the last router on the way, does not find a machine at %s.", "途中最后一跳路由器 %s 找不到地址为 %s 的机器。", r.From, first.fact.Address)
	}
	if r != nil && first.fact.Ms < p.quick() && !p.near() && r.From != first.fact.Address && !p.ownWord(r) {
		down[0] = means("The router %s says at once, without looking for the machine, that it knows no way to %s: the address is given to nobody, or a route is missing there.", "途中的路由器 %s 立即报告没有通往 %s 的路由（并未寻找机器）：该地址没有分配给任何机器，或路由器上缺少路由。", r.From, first.fact.Address)
		p.found(cause.NoPublicIP, 58, evidence, down[0])
	}
	p.found(cause.HostDown, 85, evidence, down...)
	if bridge := where(p.addresses, func(a Address) bool {
		return slices.ContainsFunc(bridges, func(name string) bool { return strings.HasPrefix(a.Near, name) })
	}); len(bridge) > 0 {
		p.found(cause.PrivateIPUsed, 62, append(evidence, places(bridge)...), means("This machine has the network of %s on a bridge of its own (%s), as Docker and virtual machines make them: if the broker is in another network with the same addresses, packets never get there. One of the two networks needs other addresses.", "本机上有一个网桥（%[2]s，由 Docker 或虚拟机创建）占用了 %[1]s 所在的网段：如果服务端在另一个使用相同地址的网络里，数据包永远到不了。两个网络之一必须换网段。", first.fact.Address, bridge[0].fact.Near))
	} else if p.near() {
		p.found(cause.CaptivePortalOrAPIsolation, 45, evidence)
	}
	if !p.public() && !p.near() {
		p.found(cause.PrivateIPUsed, 50, evidence)
	}
}

func (p *patient) netUnreachable(first seen[Dial]) {
	evidence := []int{first.at}
	if p.client != nil {
		evidence = append(evidence, p.clientAt)
		six := isIPv6(first.fact.Address)
		switch {
		case !p.client.IPv4 && !p.client.IPv6:
			p.found(cause.ClientOffline, 95, evidence)
			return
		case six && !p.client.IPv6:
			p.found(cause.IPv6OnlyServer, 92, evidence, means("The server has an IPv6 address, and this machine has no IPv6.", "服务器只有 IPv6 地址，而本机没有 IPv6。"),
				not(cause.ClientOffline, "this machine has IPv4", "本机有 IPv4 网络"))
			return
		case !six && !p.client.IPv4:
			p.found(cause.IPv6OnlyClient, 92, evidence, means("This machine has IPv6 only, and %s is an IPv4 address.", "本机只有 IPv6，而 %s 是 IPv4 地址。", first.fact.Address),
				not(cause.ClientOffline, "this machine has IPv6", "本机有 IPv6 网络"))
			return
		}
	}
	if r := first.fact.Rejected; r != nil && r.From == first.fact.Address {
		p.found(cause.HostFirewallReject, 90, evidence, means("%s itself answers that its network cannot be reached: only a firewall on it does that.", "%s 自己回应“网络不可达”：只有它上面的防火墙才会这样。", r.From))
		return
	}
	if r := first.fact.Rejected; r != nil {
		router := means("The router %s knows no way to %s.", "路由器 %s 没有通往 %s 的路由。", r.From, first.fact.Address)
		p.found(cause.NoPublicIP, 50, evidence, router)
		p.almostOwn(evidence)
		if !p.public() {
			p.found(cause.PrivateIPUsed, 85, evidence, router)
		}
		return
	}
	if !p.public() && !p.near() {
		p.found(cause.PrivateIPUsed, 70, evidence)
	}
	p.found(cause.ClientOffline, 60, evidence, means("This machine knows no way to %s: it has no default route.", "本机没有通往 %s 的路由：缺少默认网关。", first.fact.Address))
}

// captive tells whether ports that are meant for MQTT all answer in HTTP, as the login page of a Wi-Fi does in place of every server.
func (p *patient) captive() bool {
	ports := make(map[int]bool)
	for _, o := range p.openings {
		if o.fact.Heard == HearHTTP && slices.Contains([]int{1883, 8883, 8083, 8084, 9001}, o.fact.Port) {
			ports[o.fact.Port] = true
		}
	}
	return len(ports) >= 3
}
