package doctor

import (
	"cmp"
	"slices"

	"picket/cause"
)

// altered: what comes back is not what was published. It tells whether nobody can work with it.
func (p *patient) altered() (ends bool) {
	changed := where(p.publishes, func(b Publish) bool { return b.Came != nil && b.Came.Size != nil })
	if len(changed) > 0 {
		f := changed[0].fact
		p.found(cause.MessageAltered, 92, places(changed),
			means("%s were published, and %s came back, which are not the same: something on the way, or a rule of the broker, changes payloads.", "发布了 %s，收到的是 %s 且内容不同：途中的设备或服务端的规则改动了消息内容。", sizeText(f.Size), sizeText(*f.Came.Size)),
			not(cause.ACLSilent, "something comes back on that topic", "该主题上有消息回来"))
		ends = true
	}
	told := slices.ContainsFunc(of[Broker](p.Facts), func(b seen[Broker]) bool { return len(b.fact.Values) > 0 })
	moved := where(p.publishes, func(b Publish) bool { // behind a mount point there is no $SYS
		return b.Came != nil && b.Came.Topic != "" && (told || !b.mounted())
	})
	if len(moved) > 0 {
		f := moved[0].fact
		p.found(cause.MessageAltered, 92, places(moved), means("What is published to %s comes back under the topic %s: something on the way renames topics.", "发布到 %s 的消息回来时主题是 %s：途中有设备在改主题。", f.Topic, f.Came.Topic))
	}
	p.flags()
	return p.astray() || ends
}

// astray: messages do not come to who is subscribed to their topic, and come to who is subscribed to everything.
func (p *patient) astray() bool {
	all := where(of[Astray](p.Facts), func(a Astray) bool { // where some come back by themselves, others are lost
		return len(where(p.publishes, func(b Publish) bool { return b.Result == Returned && b.Topic == a.Topic })) == 0
	})
	for _, a := range all {
		evidence := append(places(where(p.publishes, func(b Publish) bool { return b.Result == Swallow })), a.at)
		meant := means("What is published to %s arrives under the topic %s: something on the way, a rule or a bridge renames topics, so that whoever subscribes to the right one gets nothing.", "发布到 %s 的消息到达时主题是 %s：途中的设备、规则或桥接改了主题，订阅原主题的客户端什么也收不到。", a.fact.Topic, a.fact.Came)
		if a.fact.Topic == a.fact.Came {
			meant = means("What is published to %s arrives under this topic, as a subscription of everything (#) shows; a subscription of this very topic was granted and gets nothing: something on the way changes what clients subscribe to.", "订阅全部主题（#）可以看到，发布到 %s 的消息到达了原主题；而订阅该主题虽然成功却什么也收不到：途中有设备改动了订阅请求。", a.fact.Topic)
		}
		p.found(cause.MessageAltered, 92, evidence, meant, not(cause.ACLSilent, "the message can be read, by a subscription of everything", "订阅全部主题时能读到该消息"))
	}
	return len(all) > 0
}

// flags: QoS and the retained flag of what comes back.
func (p *patient) flags() {
	lower := where(p.publishes, func(b Publish) bool { return b.Came != nil && b.Came.QoS != nil })
	if len(lower) > 0 {
		f := lower[0].fact
		p.found(cause.QoSNotSupported, 72, places(lower), set("limit", *f.Came.QoS),
			means("Messages of QoS %d arrive with QoS %d, though the subscription was granted more: the broker, a bridge or something in front of it lowers it.", "QoS %d 的消息到达时变成了 QoS %d，而订阅时同意的更高：服务端、桥接或前面的设备降低了 QoS。", f.QoS, *f.Came.QoS))
		p.found(cause.MessageAltered, 58, places(lower))
	}
	marked := where(p.publishes, func(b Publish) bool { return b.Kept || b.Came != nil && b.Came.Retain != nil && *b.Came.Retain })
	if len(marked) > 0 {
		p.found(cause.MessageAltered, 86, places(marked),
			means("Messages that were published without the retained flag are treated as retained: something on the way, or the broker, sets the flag. New subscribers get old messages, and commands are carried out again.", "没有设置保留标志的消息被当作保留消息：途中的设备或服务端加上了该标志。新的订阅者会收到旧消息，命令会被重复执行。"))
	}
	bare := where(p.publishes, func(b Publish) bool { return b.Retain && b.Came != nil && b.Came.Retain != nil && !*b.Came.Retain })
	if len(bare) > 0 {
		p.found(cause.MessageAltered, 82, places(bare),
			means("A retained message is kept, and comes to a new subscription without the flag that says so: programs take it for news.", "保留消息保存下来了，但发给新订阅时没有保留标志：程序会把它当成新消息。"),
			not(cause.RetainNotSupported, "it was kept", "消息确实保留下来了"))
	}
}

// doubled: messages come more often than they were published.
func (p *patient) doubled() {
	for _, d := range of[Doubled](p.Facts) {
		if d.fact.QoS1Alone && d.fact.Doubled < 2 {
			p.Settle(d.at) // which QoS 1 allows
			continue
		}
		p.found(cause.MessageDoubled, 92, []int{d.at},
			means("Of %d messages, each published once on one connection with one subscription, %d came more than once.", "在一个连接上用一个订阅测试，%d 条消息各发布一次，其中 %d 条收到多次。", d.fact.Messages, d.fact.Doubled))
		p.found(cause.BridgeLoop, 55, []int{d.at}, means("Two bridges between the same brokers, or a circle of bridges, bring each message twice.", "同样两台服务端之间有两个桥接，或桥接成环，会让每条消息来两次。"))
	}
}

// lostSome: some of the small messages come back, and others on the same topic do not, though the connection loses nothing.
func (p *patient) lostSome(b seen[Publish]) bool {
	came := where(p.publishes, func(o Publish) bool {
		return o.Result == Returned && o.Topic == b.fact.Topic && o.Size <= plainSize && !o.Retain
	})
	if len(came) == 0 || p.lossy() {
		return false
	}
	lost := where(p.publishes, func(o Publish) bool { return o.Result == Swallow && o.Size <= plainSize && !o.Retain })
	p.found(cause.MessageLost, 80, append(places(lost), places(came)...),
		means("A message of QoS %d was taken and did not come back within %v, and one of QoS %d on the same topic came back after %v.", "QoS %d 的消息被接收，但 %v 内没有回来；同一主题上 QoS %d 的消息用 %v 就回来了。", b.fact.QoS, b.fact.Ms, came[0].fact.QoS, came[0].fact.Ms),
		not(cause.ACLSilent, "another message on that topic came back", "该主题上有别的消息能回来"))
	p.found(cause.Overloaded, 54, places(lost))
	return true
}

// thrown: whoever logs in ends the connection before it, with whatever identifier.
func (p *patient) thrown() (ends bool) {
	thrown := where(of[Across](p.Facts), func(a Across) bool { return a.Thrown })
	if len(thrown) == 0 {
		return false
	}
	evidence := append(places(thrown), places(where(p.ends, func(e Ended) bool { return e.During == "use" }))...)
	name := ""
	for _, c := range p.connects {
		name = cmp.Or(name, c.fact.User)
	}
	if name == "" {
		p.found(cause.MaxConnections, 64, evidence, means("Each login ends the connection before it, though the client identifiers differ: what stands at the port keeps one connection, of this address or of all.", "每次登录都会断开前一个连接，尽管 clientId 不同：端口后面的程序只保留一个连接（对本地址，或对所有来源）。"))
		p.found(cause.RateLimitOrBan, 58, evidence)
		return true
	}
	p.found(cause.IDTakeoverLoop, 88, evidence, set("client", name),
		means("Each login of this user ends the connection before it, though the client identifiers differ: the broker takes the user name for the identifier (mosquitto: use_username_as_clientid true), so that a user can be connected once. Every device needs a user of its own then.", "这个用户每次登录都会断开前一个连接，尽管 clientId 不同：服务端把用户名当作 clientId（mosquitto：use_username_as_clientid true），因此每个用户同时只能有一个连接。此时每台设备需要各自的用户。"))
	return true
}

// alone: while one connection lasts no other one is let in.
func (p *patient) alone() {
	if slices.ContainsFunc(p.connects, func(c seen[Connect]) bool { return c.fact.Result != Accepted && c.fact.Result != Refused }) {
		return // one after the other some fail as well
	}
	for _, a := range where(of[Across](p.Facts), func(a Across) bool { return a.Alone != "" }) {
		evidence := append([]int{a.at}, places(where(p.connects, func(c Connect) bool { return c.Result == Accepted }))...)
		p.found(cause.RateLimitOrBan, 74, evidence,
			means("Connections one after the other are let in, and a second one beside the first is not: a firewall (connlimit), a proxy or the broker allows each address, or all together, so many at a time. Behind one router all devices share an address.", "逐个连接都能成功，而在第一个连接还在时第二个就不行：防火墙（connlimit）、代理或服务端限制了每个地址（或总共）同时的连接数。同一路由器后面的设备共用一个地址。"))
		p.found(cause.MaxConnections, 66, evidence)
	}
}

// stuck: a message got stuck on a connection that is dead since, and passes on a new one: it is not the message.
func (p *patient) stuck(b seen[Publish]) {
	dead := of[Dead](p.Facts)
	if len(dead) == 0 || p.lossy() {
		return
	}
	evidence := append(places(dead), b.at)
	p.found(cause.ConnectionLost, 66, evidence, means("The connection died without a word in the middle of what was published: it answers nothing any more, and the same message passes on a new one. Something on the way forgets connections, or cuts them after so much data or so much time, and tells nobody.", "发布消息的过程中连接无声地断了：它不再有任何应答，而同样的消息在新连接上能通过。途中有设备忘记了连接，或在若干数据量、若干时间之后切断它，却不通知任何一方。"),
		not(cause.PacketTooLarge, "the same message passes on another connection", "同样的消息在另一个连接上能通过"))
	p.found(cause.RateLimitOrBan, 58, evidence)
}

// cutInUse: the connection ended upon a message that passed when it was sent once more: it is not the message.
func (p *patient) cutInUse(b seen[Publish]) {
	ends := where(p.ends, func(e Ended) bool { return e.During == "use" || e.During == "round-trips" })
	if b.fact.Result == TimedOut || b.fact.Result == Swallow {
		p.stuck(b)
	}
	if len(ends) == 0 || p.endedWith(b.at) || p.lossy() || slices.ContainsFunc(p.Findings(), func(f *Finding) bool { return f.Cause == cause.ConnectionLost }) {
		return
	}
	evidence := append(places(ends), b.at)
	p.found(cause.ConnectionLost, 64, evidence, means("The connection was ended without a word in the middle of what was published, and the same message passes on a new one: the broker, or what stands in front of it, ends connections after so many messages or so much time.", "发布消息的过程中连接被直接断开，而同样的消息在新连接上能通过：服务端或其前面的设备在若干消息或若干时间之后会断开连接。"),
		not(cause.PacketTooLarge, "the same message passes on another connection", "同样的消息在另一个连接上能通过"))
	p.found(cause.RateLimitOrBan, 58, evidence)
}
