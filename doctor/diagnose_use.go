package doctor

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"picket/cause"
)

// use: does what is published come back?
func (p *patient) use() (ends bool) {
	if p.hungAfterLogin() {
		return true
	}
	if p.breach() {
		return true
	}
	if p.thrown() {
		return true
	}
	p.apart()
	p.alone()
	ends = p.altered()
	p.doubled()
	for _, s := range p.subscribes {
		switch s.fact.Result {
		case Denied:
			p.subscribeDenied(s)
			ends = true
		case TimedOut, Lost:
			ends = true
			if !p.endedWith(s.at) && len(of[Breach](p.Facts)) == 0 {
				if p.thrownOut(s) {
					continue
				}
				p.found(cause.ACLSubscribeDenied, 62, append([]int{s.at}, places(p.ends)...), set("topic", s.fact.Topic), p.ownTopic(s.fact.Own),
					means("The broker does not answer the subscription properly; some end the connection where others refuse.", "服务端没有正常应答订阅；有些服务端不是拒绝，而是直接断开。"))
			}
		}
	}
	for _, b := range p.publishes {
		if b.fact.Retain || b.fact.Size > plainSize {
			continue
		}
		if p.small(b, len(p.subscribes) > 0 && p.subscribes[0].fact.Result == Granted) {
			ends = true
		}
	}
	if !ends {
		p.sizes()
		p.retain()
		p.lowered()
		p.late()
	}
	if p.silentUse() {
		ends = true
	}
	return ends
}

// breach: the server said what no server may say; it tells whether the connection ended over that.
func (p *patient) breach() (ends bool) {
	large := slices.ContainsFunc(p.publishes, func(s seen[Publish]) bool { return s.fact.Result == Lost && s.fact.Size > plainSize })
	for _, b := range of[Breach](p.Facts) {
		if large && b.fact.What != "" {
			p.Settle(b.at) // mosquitto refuses what is too large with a code that is not allowed: the size is what matters
			continue
		}
		evidence, more := append([]int{b.at}, places(p.ends)...), []detail{}
		for _, s := range where(p.subscribes, func(s Subscribe) bool { return s.Result == TimedOut || s.Result == Lost }) {
			evidence = append(evidence, s.at)
			more = append(more, not(cause.ACLSubscribeDenied, "the broker answers, and wrongly", "服务端有应答，只是不正确"))
		}
		evidence = append(evidence, places(where(p.publishes, func(f Publish) bool { return f.Result == Lost }))...)
		evidence = append(evidence, places(where(p.connects, func(c Connect) bool { return c.Result == NotMQTT && c.Version == b.fact.Version }))...)
		p.found(cause.ServerViolation, 91, evidence, more...)
		ends = ends || b.fact.What != "" && b.fact.Packet == ""
	}
	return ends
}

// apart: two connections to the same address do not meet.
func (p *patient) apart() {
	for _, a := range where(of[Across](p.Facts), func(a Across) bool { return a.Apart }) {
		p.found(cause.SeparateBrokers, 93, append([]int{a.at}, places(p.publishes)...),
			not(cause.ACLSilent, "the same topic works on each connection by itself", "同一主题在每个连接上单独都能用"))
	}
}

// cutOff tells whether the connection of the round trips was ended by the other side.
func (p *patient) cutOff() bool {
	return slices.ContainsFunc(p.ends, func(e seen[Ended]) bool { return e.fact.During == "round-trips" })
}

// hungAfterLogin: logins are accepted, and whatever comes after them is met with silence.
func (p *patient) hungAfterLogin() bool {
	mute := where(p.subscribes, func(s Subscribe) bool { return s.Result == TimedOut })
	if len(mute) == 0 || len(mute) < len(p.subscribes) || p.lossy() || len(where(p.publishes, func(b Publish) bool { return b.Result != TimedOut })) > 0 {
		return false
	}
	evidence := append(places(mute), places(p.publishes)...)
	p.found(cause.BrokerSilent, 68, evidence, means("The login is accepted, and nothing after it is answered: neither the subscription nor what is published. The broker hangs behind its login, or something in between lets no more through.", "登录被接受，但之后的一切都没有应答：订阅和发布都是如此。服务端在登录之后卡住了，或者中间有设备不再放行数据。"),
		not(cause.ACLSubscribeDenied, "who is not allowed is told so, or is cut off", "没有权限时会被告知或被断开"))
	p.found(cause.Overloaded, 58, evidence)
	p.found(cause.MTUBlackhole, 35, evidence)
	return true
}

// thrownOut: a connection that says nothing after its login ends as well, so that it is not what was said.
func (p *patient) thrownOut(s seen[Subscribe]) bool {
	ends := where(p.ends, func(e Ended) bool { return e.During == "login" })
	if len(ends) == 0 {
		return false
	}
	p.found(cause.ConnectionLost, 82, append(places(p.ends), s.at),
		means("The login is accepted, and then the connection is ended although nothing was said on it: the broker, or a proxy in front of it, throws clients out.", "登录被接受，随后连接却在没有发送任何数据的情况下被断开：是服务端或其前面的代理把客户端踢下线。"),
		not(cause.ACLSubscribeDenied, "it ends without a subscription, too", "不订阅也会断开"))
	return true
}

// lowered: the broker promises less to subscribers than was asked for, and says so.
func (p *patient) lowered() {
	less := where(p.subscribes, func(s Subscribe) bool { return s.Result == Granted && s.Code < 2 })
	if len(less) == 0 {
		return
	}
	limit := less[0].fact.Code
	p.found(cause.QoSNotSupported, 66, places(less), set("limit", limit),
		means("The subscription was granted at QoS %d only, though QoS 2 was asked for: whatever is published, messages reach this client at QoS %[1]d at most.", "订阅请求的是 QoS 2，服务端只给了 QoS %d：无论发布时用什么 QoS，到达该客户端的消息最高只有 QoS %[1]d。", limit))
}

// late: what is published comes back, and so late that it is not the network.
func (p *patient) late() {
	if given := of[Late](p.Facts); len(given) > 0 && !p.lossy() {
		p.found(cause.Overloaded, 76, append(places(given), places(where(p.publishes, func(b Publish) bool { return b.Result == Swallow && b.Size <= plainSize }))...),
			means("Messages come back, and so late that the doctor had given them up: the broker, or what stands in front of it, is slow.", "消息能收到，但晚得诊断工具已经放弃等待：服务端或其前面的代理很慢。"),
			not(cause.MessageLost, "they came in the end", "最终还是收到了"), not(cause.ACLSilent, "they came in the end", "最终还是收到了"))
		return
	}
	var trip Milliseconds
	for _, c := range p.connects {
		trip = max(trip, c.fact.ConnectMs, c.fact.Busy)
	}
	for _, b := range p.publishes { // where this machine was slow to connect, and is not any more
		if b.fact.Result == Returned && b.fact.Size <= plainSize {
			trip = min(trip, 20*max(b.fact.Ms, 1))
		}
	}
	slow := where(p.publishes, func(b Publish) bool {
		return b.Result == Returned && b.Size <= plainSize && b.Ms > slowMessage+10*trip
	})
	if len(slow) == 0 || len(slow) == 1 && slow[0].fact.Ms < slowMessage+500+20*trip || p.lossy() {
		return
	}
	p.found(cause.Overloaded, 72, places(slow), means("Messages come back, and only after %v, while opening a connection takes %v: the broker, or what stands in front of it, is slow.", "消息能收到，但要 %v，而建立连接只需 %v：服务端或其前面的代理很慢。", slow[0].fact.Ms, trip),
		not(cause.FarAway, "the network itself is quick", "网络本身很快"))
}

// slowMessage is how long a small message may take, in milliseconds, before that is worth a word.
const slowMessage = 1500

// plainSize is the largest payload, in bytes, of the messages that test publishing as such.
const plainSize = 64

// ownTopic adds that a topic of the doctor's own may be forbidden where the client's are not.
func (p *patient) ownTopic(own bool) detail {
	if !own {
		return func(*Finding) {}
	}
	return step(cause.Text{EN: "This was a topic of the doctor's own. To try one that your client uses", ZH: "以上用的是诊断工具自己的主题。换成客户端实际使用的主题再试"},
		same("picket doctor "+p.url()+" --topic TOPIC"))
}

func (p *patient) subscribeDenied(s seen[Subscribe]) {
	if s.fact.ReasonID != "" {
		p.coded(s.fact.ReasonID, s.at, s.fact.Reason, "")
		return
	}
	id := map[int]cause.ID{0x8F: cause.FilterInvalid, 0x97: cause.SubscriptionsFull}[s.fact.Code]
	if id == "" {
		id = cause.ACLSubscribeDenied
	}
	p.found(id, 93, []int{s.at}, set("topic", s.fact.Topic), p.ownTopic(s.fact.Own),
		not(cause.WrongTopicOrQoS, "the broker has refused the subscription", "是服务端拒绝了订阅"))
}

// small: one of the small messages. It tells whether it has failed.
func (p *patient) small(b seen[Publish], subscribed bool) bool {
	f := b.fact
	at := []int{b.at}
	switch f.Result {
	case Denied:
		if f.ReasonID != "" {
			p.coded(f.ReasonID, b.at, f.Reason, "")
			return true
		}
		id := map[int]cause.ID{0x90: cause.TopicInvalid, 0x95: cause.PayloadTooLarge, 0x97: cause.ServerFull, 0x99: cause.PayloadFormatInvalid}[f.Code]
		if id == "" {
			id = cause.ACLPublishDenied
		}
		if strings.HasPrefix(f.Topic, "$SYS") {
			id = cause.SysReadOnly
		}
		p.found(id, 94, at, set("topic", f.Topic), p.ownTopic(f.Own))
		return true
	case Swallow:
		if !subscribed {
			return false
		}
		if p.lossy() && f.QoS == 0 || len(of[Astray](p.Facts))+len(of[Late](p.Facts)) > 0 {
			return false // that explains it
		}
		if p.lostSome(b) {
			return false
		}
		p.found(cause.ACLSilent, 85, at, set("topic", f.Topic), p.ownTopic(f.Own),
			means("The subscription was granted and the message was taken, but it does not come back: the access list forbids to write or to read this topic, and says nothing.",
				"订阅成功，消息也被接收，却没有回来：ACL 不允许写或读这个主题，而且没有任何提示。"),
			not(cause.WrongTopicOrQoS, "both sides use the same topic", "发布和订阅用的是同一个主题"))
		return true
	case Unsent:
		if f.QoS > 0 {
			limits := places(p.announced)
			p.found(cause.QoSNotSupported, 92, append(at, limits...), set("limit", f.QoS-1),
				means("The broker takes messages up to QoS %d.", "服务端最高只支持 QoS %d。", f.QoS-1))
		}
	}
	return false
}

// sizes: small messages pass; do large ones? What passes at the second try was only slow, or lost once.
func (p *patient) sizes() {
	largest := 0
	for _, b := range p.publishes {
		if f := b.fact; (f.Result == Returned || f.Result == Altered) && !f.Retain && !f.Small {
			largest = max(largest, f.Size)
		}
	}
	for _, b := range p.publishes {
		f := b.fact
		if f.Retain || f.Small || f.Result == Returned || f.Result == Altered || p.silentAt(f.QoS) {
			continue
		}
		if f.Size <= max(plainSize, largest) {
			if f.Size > plainSize {
				p.Settle(b.at) // it came back at the second try
				p.cutInUse(b)
			}
			continue
		}
		p.size(b, largest)
		return
	}
}

// silentAt tells whether a small message of a QoS is not answered either, so that it is not the size.
func (p *patient) silentAt(qos int) bool {
	return slices.ContainsFunc(p.publishes, func(b seen[Publish]) bool {
		return b.fact.QoS == qos && b.fact.Size <= plainSize && !b.fact.Retain && b.fact.Result == TimedOut
	})
}

func (p *patient) size(b seen[Publish], largest int) {
	f := b.fact
	at := []int{b.at}
	limit := means("%s pass, %s do not.", "%s 能通过，%s 不能。", sizeText(largest), sizeText(f.Size))
	small := where(p.publishes, func(s Publish) bool { return s.Small && s.Result == Returned && s.Size == f.Size })
	switch {
	case p.lossy(): // it hits large messages first
	case len(small) > 0:
		p.found(cause.MTUBlackhole, 97, append(at, small[0].at),
			means("In small packets the same message of %s passes: large packets vanish on the way.", "改用小包后，同样 %s 的消息就能通过：大包在途中丢失了。", sizeText(f.Size)),
			not(cause.PacketTooLarge, "the broker takes a message of this size", "服务端能接收这么大的消息"))
	case p.endedWith(b.at):
	case f.Result == Denied && f.ReasonID != "":
		p.coded(f.ReasonID, b.at, f.Reason, "")
	case f.Result == Denied && f.Code == 0x97:
		p.found(cause.ServerFull, 60, at, limit)
	case f.Result == Denied:
		p.found(cause.PayloadTooLarge, 94, at, limit)
	case f.Result == Unsent:
		more := []detail{limit}
		for _, a := range p.announced {
			if n := a.fact.MaximumPacketSize; n != nil {
				at = append(at, a.at)
				more = []detail{set("limit", *n), means("The broker announces that it takes packets of at most %d bytes.", "服务端声明报文最大 %d 字节。", *n)}
			}
		}
		p.found(cause.PacketTooLarge, 94, at, more...)
	case f.Result == Lost:
		p.found(cause.PacketTooLarge, 86, append(at, places(p.ends)...), limit, not(cause.ACLSilent, "small messages on the same topic pass", "同一主题上的小消息能通过"))
		p.found(cause.PayloadTooLarge, 55, append(at, places(p.ends)...), limit)
	case f.Sent > 0 && f.Acknowledged < f.Sent && f.Result == TimedOut && p.smallFailed(f.Size):
		p.found(cause.LossyNetwork, 68, at, means("%s come back, %s do not within %v, neither in large packets nor in small ones: the line is too slow for it, or throws away what comes too fast.", "%s 能收到，%s 在 %v 内收不到，大包小包都一样：线路太慢，或者限速设备丢弃了过快的数据。", sizeText(largest), sizeText(f.Size), f.Ms),
			not(cause.MTUBlackhole, "small packets fare no better", "改用小包也没有用"))
		p.found(cause.PayloadTooLarge, 52, at)
	case f.Sent > 0 && f.Acknowledged < f.Sent && f.Result == TimedOut:
		p.found(cause.MTUBlackhole, 70, at, means("%d of %d bytes have not arrived.", "%d / %d 字节没有到达。", f.Sent-f.Acknowledged, f.Sent))
		p.found(cause.LossyNetwork, 45, at)
	case f.Result == TimedOut:
		p.found(cause.PayloadTooLarge, 60, at, means("%s pass; %s are not acknowledged within %v.", "%s 能通过；%s 在 %v 内没有得到确认。", sizeText(largest), sizeText(f.Size), f.Ms))
		p.found(cause.Overloaded, 50, at)
	default:
		p.found(cause.PayloadTooLarge, 85, at, limit, means("%s pass; %s are taken and thrown away without a word.", "%s 能通过；%s 被接收后又悄悄丢弃。", sizeText(largest), sizeText(f.Size)))
	}
}

// smallFailed tells whether a message of a size did not come back in small packets either.
func (p *patient) smallFailed(size int) bool {
	small := where(p.publishes, func(b Publish) bool { return b.Small && b.Size == size })
	return len(small) > 0 && small[0].fact.Result != Returned
}

// lossy tells whether the round trips show that packets are lost.
func (p *patient) lossy() bool {
	return slices.ContainsFunc(p.trips, func(r seen[RoundTrips]) bool { return r.fact.Lossy() && !p.died(r.fact) })
}

// died: the round trips were to be measured on a connection that was dead, or died meanwhile.
func (p *patient) died(r RoundTrips) bool {
	return r.died() || r.Answered == 0 && len(of[Dead](p.Facts)) > 0
}

// retain: is a retained message kept?
func (p *patient) retain() {
	for _, b := range p.publishes {
		if !b.fact.Retain || b.fact.Result == Returned || b.fact.Result == Altered || p.endedWith(b.at) {
			continue
		}
		switch b.fact.Result {
		case Unsent:
			p.found(cause.RetainNotSupported, 92, append(places(p.announced), b.at))
		case Denied:
			if b.fact.ReasonID != "" {
				p.coded(b.fact.ReasonID, b.at, b.fact.Reason, "")
				continue
			}
			p.found(cause.RetainNotSupported, 80, []int{b.at})
		case Swallow:
			p.found(cause.RetainNotSupported, 60, []int{b.at}, means("The retained message was taken, and is not kept.", "保留消息被接收了，但没有保留下来。"))
			p.found(cause.RetainedFull, 45, []int{b.at})
		case Lost:
			p.found(cause.RetainNotSupported, 60, append(places(p.ends), b.at))
		}
	}
}

// endCauses are the causes that the code of a DISCONNECT stands for.
var endCauses = map[int]cause.ID{
	0x81: cause.MalformedPacket, 0x82: cause.ProtocolViolation, 0x87: cause.NoLongerAllowed, 0x89: cause.Overloaded, 0x8B: cause.ServerShuttingDown,
	0x8D: cause.KeepaliveMissed, 0x8E: cause.IDTakeoverLoop, 0x93: cause.ReceiveMaximumExceeded, 0x94: cause.TopicAliasInvalid, 0x95: cause.PacketTooLarge,
	0x96: cause.RateLimitOrBan, 0x97: cause.ServerFull, 0x98: cause.DisconnectedByAdmin, 0x9A: cause.RetainNotSupported, 0x9B: cause.QoSNotSupported,
	0x9C: cause.Maintenance, 0x9D: cause.Maintenance, 0x9F: cause.RateLimitOrBan, 0xA0: cause.DisconnectedByAdmin,
}

// endedWith: the broker has ended the connection and said why. at is the fact that came before.
func (p *patient) endedWith(at int) bool {
	for _, e := range p.ends {
		if e.fact.How != Disconnected || e.fact.During != "use" {
			continue
		}
		if p.ended(e, at) {
			return true
		}
	}
	return false
}

func (p *patient) ended(e seen[Ended], more ...int) bool {
	if e.fact.ReasonID != "" && e.fact.ReasonID != cause.SessionTakenOver {
		p.coded(e.fact.ReasonID, e.at, e.fact.Reason, e.fact.Reference)
		return true
	}
	id := endCauses[e.fact.Code]
	if id == "" {
		return false
	}
	var details []detail
	if e.fact.Reference != "" {
		details = append(details, step(cause.Text{EN: "The server to use instead", ZH: "改用这台服务器"}, same(e.fact.Reference)))
	}
	p.found(id, 94, append(more, e.at), details...)
	return true
}

// silentUse: what is left: a connection that ended during use without a reason, or messages that were not acknowledged.
func (p *patient) silentUse() bool {
	lost := where(p.publishes, func(b Publish) bool {
		return b.Size <= plainSize && !b.Retain && (b.Result == Lost || b.Result == TimedOut)
	})
	if len(lost) == 0 {
		return false
	}
	if p.endedWith(lost[0].at) {
		return true
	}
	if p.lossy() {
		return false // told by the round trips
	}
	if d := p.Found(cause.ConnectionLost); d != nil && len(of[Dead](p.Facts)) > 0 {
		d.Evidence = union(d.Evidence, places(lost))
		return true // it was the connection, and not the QoS
	}
	if slices.ContainsFunc(p.subscribes, func(s seen[Subscribe]) bool { return s.fact.Result == Lost }) {
		return true // told by the subscription
	}
	evidence := append(places(lost), places(p.ends)...)
	lower := where(p.publishes, func(b Publish) bool {
		return b.Result == Returned && b.Topic == lost[0].fact.Topic && b.QoS < lost[0].fact.QoS
	})
	if lost[0].fact.Result == Lost && len(lower) > 0 {
		p.found(cause.QoSNotSupported, 76, append(evidence, places(lower)...), set("limit", lost[0].fact.QoS-1),
			means("Messages of QoS %d come back, and the connection is ended upon one of QoS %d: some brokers of clouds (AWS IoT) refuse it in this way.", "QoS %d 的消息能收到，而发布 QoS %d 的消息时连接被断开：有些云平台（如 AWS IoT）就是这样拒绝的。", lower[len(lower)-1].fact.QoS, lost[0].fact.QoS),
			not(cause.ACLPublishDenied, "the topic is allowed at another QoS", "同一主题用其他 QoS 可以发布"))
		p.found(cause.ConnectionLost, 52, evidence)
		return true
	}
	if lost[0].fact.Result == Lost {
		p.found(cause.ACLPublishDenied, 62, evidence, set("topic", lost[0].fact.Topic), p.ownTopic(lost[0].fact.Own),
			means("The broker ends the connection when something is published; some do so where others refuse.", "一发布消息服务端就断开连接；有些服务端用断开来表示拒绝。"))
		p.found(cause.ConnectionLost, 45, evidence)
		return true
	}
	if p.qosUnanswered(lost[0], lower) {
		return true
	}
	p.found(cause.Overloaded, 55, evidence, means("Messages are not acknowledged in time.", "消息没有及时得到确认。"))
	p.found(cause.LossyNetwork, 45, evidence)
	return true
}

// qosUnanswered: messages of one QoS are not acknowledged where those of a lower one pass.
func (p *patient) qosUnanswered(lost seen[Publish], lower []seen[Publish]) bool {
	alike := where(p.publishes, func(b Publish) bool { return b.QoS == lost.fact.QoS && b.Result == TimedOut })
	evidence := append(places(alike), places(lower)...)
	qos := lost.fact.QoS
	switch {
	case lost.fact.Delivered:
		p.found(cause.BrokerSilent, 66, evidence, means("Messages of QoS %d are delivered, and never acknowledged to who has published them: the broker, or a proxy that looks into MQTT, does not do what it has to. Clients send them again and again.", "QoS %d 的消息能送达，但发布者始终收不到确认：服务端或会解析 MQTT 的代理没有正确处理，客户端会不断重发。", qos),
			not(cause.LossyNetwork, "the message itself has come through", "消息本身已经送达"))
		p.found(cause.Overloaded, 56, evidence)
	case len(lower) > 0:
		p.found(cause.QoSNotSupported, 76, evidence, set("limit", qos-1),
			means("Messages of QoS %d come back, and one of QoS %d is not even acknowledged: some brokers of clouds (AWS IoT) leave out a QoS in this way.", "QoS %d 的消息能收到，而 QoS %d 的消息连确认都没有：有些云平台（如 AWS IoT）对不支持的 QoS 就是这样处理的。", lower[len(lower)-1].fact.QoS, qos))
		p.found(cause.Overloaded, 52, evidence)
	default:
		return false
	}
	return true
}

// stay: how good is the connection, and does it last?
func (p *patient) stay() (ends bool) {
	p.lateOpenings()
	for _, r := range p.trips {
		p.roundTrips(r)
	}
	p.distance()
	for _, e := range p.ends {
		if e.fact.During == "round-trips" {
			ends = true
			if !p.ended(e) {
				p.found(cause.ConnectionLost, 60, []int{e.at})
			}
		}
	}
	for _, k := range p.takeovers {
		if k.fact.Times > 0 {
			ends = true
			p.taken(k)
		}
	}
	if p.idle() {
		ends = true
	}
	return ends
}

// resend is when a system sends its first packet again that was not answered, in milliseconds (RFC 6298, 2.1).
const resend = 1000

// lateOpenings: several connections opened only when their first packet was sent again, and open ones lose nothing: somebody lets in so many new ones in a
// time.
func (p *patient) lateOpenings() {
	late := where(p.connects, func(c Connect) bool { return c.ConnectMs >= resend-firstTick })
	quick := where(p.connects, func(c Connect) bool { return c.Result == Accepted && c.ConnectMs < resend/5 })
	swift := where(p.dials, func(d Dial) bool { return d.Result == Open && d.Ms < resend/5 })
	if len(late) < 2 || len(quick)+len(swift) == 0 || p.lossy() {
		return
	}
	var busy Milliseconds // of this machine
	for _, c := range p.connects {
		busy = max(busy, c.fact.Busy)
	}
	crawling := where(p.publishes, func(b Publish) bool { return b.Result == Returned && b.Size <= plainSize && b.Ms > resend/2+20*busy })
	if len(crawling) > 1 { // whoever counts connections has no part in what open ones carry
		evidence := append(places(late), places(crawling)...)
		p.found(cause.LossyNetwork, 66, evidence, means("Connections open late, and small messages on open ones take up to %v: the line is uneven, or loses packets.", "连接建立得很慢，已建立的连接上小消息也要 %v 才能收到：线路时快时慢或在丢包。", slices.MaxFunc(crawling, func(a, b seen[Publish]) int { return cmp.Compare(a.fact.Ms, b.fact.Ms) }).fact.Ms))
		p.found(cause.RateLimitOrBan, 48, places(late))
		return
	}
	p.found(cause.RateLimitOrBan, 70, places(late),
		means("%d connections opened only when their first packet was sent again after a second, and open ones lose nothing: somebody lets in only so many new connections in a time.", "有 %d 次连接要等一秒后重发第一个数据包才建立，而已建立的连接没有丢包：有设备在限制单位时间内的新连接数。", len(late)))
	p.found(cause.LossyNetwork, 52, places(late))
}

// firstTick is how much earlier than that a busy system's clock may be.
const firstTick = 50

// distance: where no round trips were measured, opening connections tells how long one takes.
func (p *patient) distance() {
	if len(p.trips) > 0 {
		return
	}
	var least Milliseconds
	var at []int
	count := func(place int, ms Milliseconds) {
		if ms > 0 {
			at = append(at, place)
			if least == 0 || ms < least {
				least = ms
			}
		}
	}
	for _, d := range where(p.dials, func(d Dial) bool { return d.Result == Open }) {
		count(d.at, d.fact.Ms)
	}
	for _, c := range p.connects {
		count(c.at, c.fact.ConnectMs)
	}
	if len(at) < 2 || least < farMs {
		return
	}
	p.found(cause.FarAway, 90, at, set("seconds", fmt.Sprintf("%.2f", float64(least)/1000)),
		means("To open a connection takes at least %v, which is one round trip.", "建立连接至少需要 %v，这就是一次往返的时间。", least))
}

// roundTrips tells the everyday reasons of slowness apart.
func (p *patient) roundTrips(r seen[RoundTrips]) {
	at := []int{r.at}
	f := r.fact
	distant := func(d *Finding) {
		d.RuledOut = append(d.RuledOut, RuledOut{cause.FarAway, Say("the quickest answer comes after %v", "最快的一次应答只用了 %v", f.Min)})
	}
	switch {
	case p.died(f) && !p.cutOff():
		p.found(cause.ConnectionLost, 66, at,
			means("%d pings are answered, within %v, and then none: the connection died without a word. Something on the way forgets connections, or cuts them after so many packets or so much time, and tells nobody.", "前 %d 次心跳在 %v 内应答，之后再也没有应答：连接无声地断了。途中有设备忘记了连接，或在若干数据包、若干时间之后切断它，却不通知任何一方。", f.Answered, f.Max),
			not(cause.LossyNetwork, "until then nothing was late", "在那之前没有任何延迟"))
		p.found(cause.RateLimitOrBan, 56, at)
		p.found(cause.LossyNetwork, 45, at)
	case f.Lossy() && f.far() && f.Losses() < 2:
		p.found(cause.FarAway, 86, at, set("seconds", fmt.Sprintf("%.2f", float64(f.Median)/1000)),
			means("Even the quickest round trip takes %v, and they vary (jitter %v).", "最快的一次往返也要 %v，而且时快时慢（抖动 %v）。", f.Min, f.Jitter))
		p.found(cause.LossyNetwork, 66, at)
	case f.Lossy():
		fit := 90
		if f.Losses() < 2 {
			fit = 82
		}
		p.found(cause.LossyNetwork, fit, at, distant,
			means("Packets were lost %d times and had to be sent again; answers to %d pings took from %v to %v.", "有 %d 次丢包需要重传；%d 次心跳的应答时间从 %v 到 %v 不等。", f.Losses(), f.Sent, f.Min, f.Max),
			not(cause.Overloaded, "a busy broker is late evenly, and TCP would not have to send again", "服务端繁忙时会均匀地变慢，TCP 也不需要重传"))
		if f.far() {
			p.found(cause.CrossBorder, 60, at)
		}
	case f.Answered == 0 && len(where(p.publishes, func(b Publish) bool { return b.Result == Returned })) > 0:
		p.found(cause.BrokerSilent, 66, at, means("Messages come back at once, and PINGREQ is not answered: the broker, or a proxy that looks into MQTT, does not do what keeps a connection alive. Clients close it after their keep alive.", "消息能立即收到，但 PINGREQ 没有应答：服务端或会解析 MQTT 的代理没有处理心跳，客户端会在 keepalive 超时后断开。"))
		p.found(cause.Overloaded, 52, at)
	case f.Answered < f.Sent && p.cutOff():
		p.Settle(at...) // the connection has ended, which is told of
	case f.Answered < f.Sent:
		silent := means("%d of %d pings were not answered in time.", "%d / %d 次心跳没有及时得到应答。", f.Sent-f.Answered, f.Sent)
		p.found(cause.LossyNetwork, 60, at, silent)
		p.found(cause.Overloaded, 50, at, silent)
	case f.slow():
		p.found(cause.Overloaded, 78, at,
			means("The network takes %v there and back, the broker's answers %v: it is the broker that is slow.", "网络往返只需 %v，而服务端的应答要 %v：慢在服务端。", f.Network, f.Median),
			not(cause.LossyNetwork, "no packet had to be sent again", "没有数据包需要重传"), distant)
	case f.far():
		p.found(cause.FarAway, 90, at, set("seconds", fmt.Sprintf("%.2f", float64(f.Median)/1000)),
			means("Each round trip takes about %v (jitter %v).", "每次往返约 %v（抖动 %v）。", f.Median, f.Jitter),
			not(cause.LossyNetwork, "the times are even, and no packet had to be sent again", "时间很均匀，也没有数据包需要重传"),
			not(cause.Overloaded, "the network alone takes nearly as long", "仅网络就要这么久"))
	}
}

func (p *patient) taken(k seen[Takeover]) {
	fit := 80
	if k.fact.Random {
		fit = 95
	}
	ends := where(p.ends, func(e Ended) bool { return e.During == "takeover" })
	for _, e := range ends {
		if e.fact.ReasonID != "" && e.fact.ReasonID != cause.SessionTakenOver && e.fact.ReasonID != cause.IDTakeoverLoop {
			p.coded(e.fact.ReasonID, e.at, e.fact.Reason, e.fact.Reference)
			return
		}
	}
	p.found(cause.IDTakeoverLoop, fit, append(places(ends), k.at), set("client", k.fact.ID),
		means("Somebody else is connected with the identifier %s, and each of the two throws the other out.", "有别的客户端正在使用 clientId %s，双方互相把对方踢下线。", k.fact.ID),
		not(cause.ProxyIdle60s, "a connection with a random identifier stays", "随机 clientId 的连接保持稳定"))
}

// timer is an idle timer that is known by its number of seconds.
type timer struct {
	seconds float64
	cause   cause.ID
	name    cause.Text
}

// timers are those of what people put between clients and brokers.
var timers = []timer{
	{50, cause.LBIdleTimeout, cause.Text{EN: "what HAProxy's examples have (timeout client 50s)", ZH: "HAProxy 示例配置（timeout client 50s）"}},
	{60, cause.ProxyIdle60s, cause.Text{EN: "the default of nginx (proxy_read_timeout) and of AWS ALB and CLB", ZH: "nginx（proxy_read_timeout）和 AWS ALB、CLB 的默认值"}},
	{100, cause.LBIdleTimeout, cause.Text{EN: "Cloudflare's limit for WebSocket", ZH: "Cloudflare 对 WebSocket 的限制"}},
	{240, cause.LBIdleTimeout, cause.Text{EN: "the default of Azure's load balancer", ZH: "Azure 负载均衡的默认值"}},
	{300, cause.WSPingUnanswered, cause.Text{EN: "the interval of libwebsockets' pings", ZH: "libwebsockets 的 ping 间隔"}},
	{350, cause.LBIdleTimeout, cause.Text{EN: "the limit of AWS NLB", ZH: "AWS NLB 的限制"}},
	{600, cause.LBIdleTimeout, cause.Text{EN: "the default of nginx' stream (proxy_timeout) and of Google's firewall", ZH: "nginx stream（proxy_timeout）和 Google 防火墙的默认值"}},
	{900, cause.LBIdleTimeout, cause.Text{EN: "the default of Alibaba's CLB", ZH: "阿里云 CLB 的默认值"}},
}

// idle: a quiet connection has ended.
func (p *patient) idle() bool {
	dead := where(p.idles, func(i Idle) bool { return i.Result != Alive && i.Result != Untested })
	if len(dead) == 0 {
		return false
	}
	alive := 0
	for _, i := range p.idles {
		if i.fact.Result == Alive {
			alive = max(alive, i.fact.Seconds)
		}
	}
	slices.SortStableFunc(dead, func(a, b seen[Idle]) int { return int(math.Round(a.fact.Lasted - b.fact.Lasted)) })
	first := dead[0]
	evidence := places(p.idles)
	if id := ReasonCause(first.fact.Reason); id != "" {
		p.coded(id, first.at, first.fact.Reason, "")
		return true
	}
	if first.fact.Result == TimedOut || first.fact.Spoke {
		p.forgotten(first, alive, evidence)
		return true
	}
	after := first.fact.Lasted
	if p.limited(after, evidence) {
		return true
	}
	below := cause.Text{EN: fmt.Sprintf("keep alive: %d seconds or less", keepBelow(after)), ZH: fmt.Sprintf("keepalive：%d 秒以内", keepBelow(after))}
	advice := step(cause.Text{EN: "In the client", ZH: "客户端设置"}, below)
	t, known := nearest(after, p.webSocket())
	if !known {
		p.found(cause.LBIdleTimeout, 72, evidence, advice, set("seconds", math.Round(after)),
			means("A quiet connection is closed after %.0f seconds: a timer of something in between.", "静默 %.0f 秒后连接被关闭：是中间设备的定时器。", after))
		p.found(cause.ProxyIdle60s, 40, evidence)
		return true
	}
	p.found(t.cause, 90, evidence, advice, set("seconds", math.Round(after)), meaning(cause.Text{
		EN: fmt.Sprintf("A quiet connection is closed after %.0f seconds: %s.", after, t.name.EN),
		ZH: fmt.Sprintf("静默 %.0f 秒后连接被关闭：%s。", after, t.name.ZH),
	}), not(cause.NATIdleTimeout, "an address translation that forgets says nothing; here the connection was closed", "NAT 忘记连接时不会通知；而这里连接是被明确关闭的"),
		not(cause.KeepaliveMissed, "the broker had agreed to a longer silence", "服务端同意了更长的静默时间"))
	if t.cause != cause.LBIdleTimeout {
		p.found(cause.LBIdleTimeout, 50, evidence)
	}
	return true
}

// limited: a connection that is never quiet ends as well, and about as early: it is not the silence.
func (p *patient) limited(after float64, evidence []int) bool {
	talks := where(p.ends, func(e Ended) bool {
		return e.During == "talking" && float64(e.Ms)/1000 < 1.25*after+2
	})
	if len(talks) == 0 || p.ended(talks[0]) {
		return len(talks) > 0
	}
	p.found(cause.ConnectionLost, 84, append(places(talks), evidence...),
		means("Connections end after %.0f seconds, whether they are quiet or not: the broker, or something in between, lets each last so long only, or the broker is restarted again and again.", "无论是否静默，连接都在 %.0f 秒后断开：服务端或中间设备限制了每个连接的时长，或者服务端在反复重启。", after),
		not(cause.LBIdleTimeout, "a connection that is never quiet ends as well", "从不静默的连接也会断开"),
		not(cause.KeepaliveMissed, "a connection that is never quiet ends as well", "从不静默的连接也会断开"))
	return true
}

// forgotten: the connection was dead before anything was sent, and neither end was told.
func (p *patient) forgotten(first seen[Idle], alive int, evidence []int) {
	below := max(alive, 30)
	p.found(cause.NATIdleTimeout, 88, evidence,
		means("After %d quiet seconds the connection still lives, after %d it is dead, and nobody has said so: something on the way has forgotten it.", "静默 %d 秒连接还在，%d 秒后已失效却没有任何通知：途中的设备已经忘记了这个连接。", alive, first.fact.Seconds),
		step(cause.Text{EN: "In the client", ZH: "客户端设置"}, cause.Text{EN: fmt.Sprintf("keep alive: %d seconds or less", below), ZH: fmt.Sprintf("keepalive：%d 秒以内", below)}),
		not(cause.LBIdleTimeout, "a proxy closes the connection, and is noticed at once", "代理会关闭连接，客户端会立即知道"))
	p.found(cause.LBIdleTimeout, 40, evidence)
}

// nearest is the timer whose number fits: within two seconds, or three parts in a hundred.
func nearest(seconds float64, webSocket bool) (t timer, found bool) {
	for _, known := range timers {
		if known.cause == cause.WSPingUnanswered && !webSocket {
			continue
		}
		if math.Abs(known.seconds-seconds) <= max(2, known.seconds*0.03) {
			return known, true
		}
	}
	return t, false
}

// keepBelow is a keep alive that is safely shorter than a timer.
func keepBelow(seconds float64) int { return max(int(seconds*3/4), 1) }
