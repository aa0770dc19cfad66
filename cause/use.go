package cause

// useCauses: the client is connected; what it publishes or subscribes to does not arrive.
var useCauses = []Cause{
	{
		ID: ACLPublishDenied, Severity: Warning, Stage: Use,
		Title: Text{"the user may not publish to this topic", "没有权限发布到该主题"},
		Explain: Text{
			"The access list does not let the user {user} write to {topic}. An MQTT 5 client is told by reason code 0x87; an MQTT 3.1.1 client is told nothing, because the protocol has no way to do so, and believes its message was published.",
			"访问控制列表不允许用户 {user} 写主题 {topic}。MQTT 5 客户端会收到原因码 0x87；MQTT 3.1.1 协议没有办法告知，客户端会以为已经发布成功。",
		},
		Remedy: Text{
			"Add `topic write {topic}` (or readwrite) below the user's line in the ACL file and reload; or publish to a topic that the user may write to.",
			"在 ACL 文件该用户的段落下加 `topic write {topic}`（或 readwrite）并重载；或者发布到有权限的主题。",
		},
	},
	{
		ID: ACLSubscribeDenied, Severity: Warning, Stage: Use,
		Title: Text{"the user may not subscribe to this filter", "没有权限订阅该主题过滤器"},
		Explain: Text{
			"The access list lets the user {user} read no topic that {topic} matches. SUBACK answers 0x80, in MQTT 5 0x87; many programs do not look at it and wait for messages in vain.",
			"访问控制列表不允许用户 {user} 读取 {topic} 匹配到的任何主题。SUBACK 返回 0x80，MQTT 5 为 0x87；很多程序不检查它，于是一直等不到消息。",
		},
		Remedy: Text{
			"Add `topic read {topic}` (or readwrite) below the user's line in the ACL file and reload; or subscribe to what the user may read.",
			"在 ACL 文件该用户的段落下加 `topic read {topic}`（或 readwrite）并重载；或者只订阅有权限的主题。",
		},
	},
	{
		ID: ACLReadDenied, Severity: Info, Stage: Use,
		Title: Text{"the user may not read this topic", "没有权限读取该主题"},
		Explain: Text{
			"A message on {topic} matches a subscription of {client}, but the access list does not let the user {user} read this topic, so the message is not delivered. That is the rule at work when a subscription with wildcards covers more than the user may see.",
			"{topic} 上的消息匹配了 {client} 的订阅，但访问控制列表不允许用户 {user} 读取该主题，因此不投递。带通配符的订阅范围大于权限范围时，这属于正常现象。",
		},
		Remedy: Text{
			"If the user should see the message, add `topic read {topic}` to the ACL file and reload.",
			"如果该用户应该看到这条消息，在 ACL 文件中加 `topic read {topic}` 并重载。",
		},
	},
	{
		ID: ACLUnsubscribeDenied, Severity: Warning, Stage: Use,
		Title: Text{"the user may not end this subscription", "没有权限取消该订阅"},
		Explain: Text{
			"The roles of the user {user} do not let it unsubscribe from {topic}, so the subscription goes on. UNSUBACK says 0x87 in MQTT 5; in MQTT 3.1.1 it has no way to say anything.",
			"用户 {user} 的角色不允许它取消订阅 {topic}，订阅继续有效。MQTT 5 的 UNSUBACK 返回 0x87；MQTT 3.1.1 的 UNSUBACK 无法表达失败。",
		},
		Remedy: Text{
			"To allow it: `mosquitto_ctrl dynsec addRoleACL ROLE unsubscribePattern {topic} allow`, or `setDefaultACLAccess unsubscribe allow` for everybody.",
			"如需允许：`mosquitto_ctrl dynsec addRoleACL 〈角色〉 unsubscribePattern {topic} allow`；要对所有人放开，用 `setDefaultACLAccess unsubscribe allow`。",
		},
	},
	{
		ID: ACLDangerousName, Severity: Warning, Stage: Use,
		Title: Text{"a name with + or # may not be used with pattern rules", "名称含 + 或 #，不能用于 ACL 模式规则"},
		Explain: Text{
			"The access list has `pattern` rules with %u or %c. A user name or client identifier with a plus sign or a number sign put in their place would match other people's topics, so pattern rules allow this client nothing; its `topic` rules count as ever.",
			"ACL 中有含 %u 或 %c 的 `pattern` 规则。用户名或 clientId 若含加号或井号，代入后会匹配到别人的主题，因此 `pattern` 规则不给该客户端任何权限；`topic` 规则照常有效。",
		},
		Remedy: Text{
			"Choose a user name and a client identifier without + and #.",
			"换一个不含 + 和 # 的用户名和 clientId。",
		},
	},
	{
		ID: ACLSilent, Severity: Warning, Stage: Use,
		Title: Text{"the access list refuses without telling anyone", "ACL 拒绝但没有任何提示"},
		Explain: Text{
			"Publishing seems to succeed and subscribers get nothing. mosquitto's ACL file never refuses a SUBSCRIBE, and logs a refused PUBLISH at debug level only. A message sent to oneself comes back on one topic and not on another; over MQTT 5, PUBACK says 0x87.",
			"发布看似成功，订阅端却收不到。mosquitto 的 ACL 文件从不拒绝 SUBSCRIBE，被拒的 PUBLISH 也只写在 debug 日志里。向自己发消息时，有的主题能收到、有的收不到；用 MQTT 5 时 PUBACK 会返回 0x87。",
		},
		Remedy: Text{
			"Allow the topic in the ACL file (`topic readwrite {topic}`) and reload. Picket refuses the SUBSCRIBE as well and logs both with their cause.",
			"在 ACL 文件中允许该主题（`topic readwrite {topic}`）并重载。Picket 会同时拒绝 SUBSCRIBE，并把两种拒绝都连同原因写进日志。",
		},
		ConsequenceOf: []ID{ACLPublishDenied, ACLSubscribeDenied, ACLReadDenied},
	},
	{
		ID: SysReadOnly, Severity: Warning, Stage: Use,
		Title: Text{"topics below $SYS belong to the broker", "$SYS 下的主题只属于服务端"},
		Explain: Text{
			"A client published to {topic}. Below $SYS only the broker publishes; clients may only say the state of a bridge there. An MQTT 5 client is told by reason code 0x87; an MQTT 3.1.1 client is told nothing.",
			"有客户端向 {topic} 发布消息。$SYS 下的主题由服务端自己发布，客户端只能在那里报告桥接状态。MQTT 5 客户端会收到原因码 0x87；MQTT 3.1.1 客户端不会得到提示。",
		},
		Remedy: Text{
			"Publish to a topic that does not begin with $SYS.",
			"改用不以 $SYS 开头的主题。",
		},
	},
	{
		ID: ControlUnavailable, Severity: Warning, Stage: Use,
		Title: Text{"nothing listens to control topics", "没有组件处理控制主题"},
		Explain: Text{
			"A client published to {topic}. Topics below $CONTROL/ are commands to parts of a broker, such as mosquitto's dynamic security, and this broker runs no such part. An MQTT 5 client is told by reason code 0x83.",
			"有客户端向 {topic} 发布消息。$CONTROL/ 下的主题是发给服务端组件（例如 mosquitto 的动态安全插件）的命令，而本服务端没有运行这样的组件。MQTT 5 客户端会收到原因码 0x83。",
		},
		Remedy: Text{
			"For users and rights that change while the broker runs, give the configuration mosquitto's lines `plugin .../mosquitto_dynamic_security.so` and `plugin_opt_config_file FILE`, and restart. Otherwise manage users with the password and ACL files, and reload.",
			"如果要在运行时修改用户和权限，请在配置里加上 mosquitto 的两行 `plugin .../mosquitto_dynamic_security.so` 和 `plugin_opt_config_file 〈文件〉`，然后重启。否则请用密码文件和 ACL 文件管理用户，再重载配置。",
		},
	},
	{
		ID: ControlBusy, Severity: Warning, Stage: Use,
		Title: Text{"more commands have come than can be carried out", "收到的管理命令太多，来不及执行"},
		Explain: Text{
			"Commands to {topic} are carried out one after another, each with a write to the disk, and those that wait have a limit of 4 MiB. This one came when it was reached, and has changed nothing. The answer says so, too.",
			"发往 {topic} 的命令逐个执行，每次都要写盘；排队的命令总共不超过 4 MiB。这条命令到达时队列已满，没有产生任何修改，应答里也会说明。",
		},
		Remedy: Text{
			"Wait for the answer to a message before the next one is sent, and put many commands into one message.",
			"收到上一条的应答后再发下一条；要执行很多命令时，把它们放进同一条消息。",
		},
	},
	{
		ID: AttemptsHidden, Severity: Info, Stage: Use,
		Title: Text{"failed attempts are shown to clients that have logged in, from the same address", "失败的连接只显示给来自同一地址且已登录的客户端"},
		Explain: Text{
			"The broker shows a client what other clients from the same address did wrong (`$SYS/broker/picket/attempts`). It does so only for a client that has logged in with a password or a certificate and that came directly or with a PROXY header: behind another kind of proxy all clients have the same address.",
			"服务端可以让客户端看到同一地址的其他客户端出了什么错（`$SYS/broker/picket/attempts`）。只有用密码或证书登录、并且直接连接或带有 PROXY 头的客户端才能看到：经过其他代理时，所有客户端的地址都一样。",
		},
		Remedy: Text{
			"Log in with a user name and a password. Behind a proxy, let it send the PROXY header and name it in `proxy_from`.",
			"用用户名和密码登录。经过代理时，让代理发送 PROXY 头，并写进 `proxy_from`。",
		},
	},
	{
		ID: NoMatchingSubscribers, Severity: Info, Stage: Use,
		Title: Text{"nobody subscribes to this topic", "没有人订阅该主题"},
		Explain: Text{
			"The message was accepted, and no subscription matches {topic}, so it went nowhere. An MQTT 5 publisher sees reason code 0x10 at QoS 1 and 2. That is not an error.",
			"消息已被接受，但没有任何订阅匹配 {topic}，所以没有投递给任何人。MQTT 5 发布者在 QoS 1、2 时会看到原因码 0x10。这不是错误。",
		},
		Remedy: Text{
			"Compare the topic with the subscriber's filter letter by letter, or publish with the retain flag so that later subscribers get it.",
			"逐字比对主题和订阅端的过滤器；或者带保留标志发布，让后来的订阅者也能收到。",
		},
	},
	{
		ID: WrongTopicOrQoS, Severity: Info, Stage: Use,
		Title: Text{"publisher and subscriber name different topics", "发布与订阅的主题对不上"},
		Explain: Text{
			"Both sides are connected and nothing arrives: Home/Light is not home/light, /home has an empty level before the slash, home/# does not match $SYS. A subscription at QoS 0 also gets nothing that was sent while it was away.",
			"两端都已连接却收不到消息：Home/Light 与 home/light 不同，/home 在斜杠前多出一个空层级，home/# 不匹配 $SYS。另外，QoS 0 的订阅不会得到离线期间的消息。",
		},
		Remedy: Text{
			"Subscribe to `#` as a user who may read everything, publish, and read off the topic that really arrives.",
			"用有全部读权限的用户订阅 `#`，再发布一次，看实际到达的主题是什么。",
		},
		ConsequenceOf: []ID{NoMatchingSubscribers},
	},
	{
		ID: PublishThenExit, Severity: Warning, Stage: Use,
		Title: Text{"the program ends before its message is sent", "消息还没发完程序就退出了"},
		Explain: Text{
			"The client connects, publishes and disconnects at once; libraries send in the background, and what was still in their buffer is lost. The broker's log shows a DISCONNECT right after CONNECT.",
			"客户端连接、发布后马上断开；客户端库是在后台发送的，缓冲区里的内容就丢了。服务端日志里 CONNECT 之后紧跟着 DISCONNECT。",
		},
		Remedy: Text{
			"Wait for the acknowledgement (QoS 1: PUBACK) or for the library's callback before disconnecting.",
			"断开之前先等确认（QoS 1 等 PUBACK）或等客户端库的完成回调。",
		},
	},
	{
		ID: TopicInvalid, Severity: Warning, Stage: Use,
		Title: Text{"this is not a valid topic name", "主题名不合法"},
		Explain: Text{
			"A topic to publish to is empty, has a wildcard (+ or #), the null character, bytes that are not UTF-8, or more than 65,535 bytes. MQTT 5 answers 0x90; earlier versions have no answer but closing the connection.",
			"要发布的主题为空、含通配符（+ 或 #）、空字符、非 UTF-8 字节，或超过 65535 字节。MQTT 5 返回 0x90；更早的版本只能断开连接。",
		},
		Remedy: Text{
			"Publish to a complete topic such as home/garden/fountain/2; wildcards are for subscriptions only.",
			"发布时使用完整主题，例如 home/garden/fountain/2；通配符只能用在订阅里。",
		},
	},
	{
		ID: FilterInvalid, Severity: Warning, Stage: Use,
		Title: Text{"this is not a valid topic filter", "主题过滤器不合法"},
		Explain: Text{
			"A filter to subscribe to is empty, has # elsewhere than alone at its end, + beside other characters in a level, or is an incomplete $share/GROUP/FILTER. MQTT 5 answers 0x8F, MQTT 3.1.1 0x80 or closes.",
			"订阅的过滤器为空、# 不是单独位于末尾、+ 没有独占一个层级，或 $share/〈组名〉/〈过滤器〉 不完整。MQTT 5 返回 0x8F，MQTT 3.1.1 返回 0x80 或断开。",
		},
		Remedy: Text{
			"Write home/# or home/+/temperature, not home# or home/te+; for a shared subscription $share/GROUP/home/#.",
			"写成 home/# 或 home/+/temperature，而不是 home# 或 home/te+；共享订阅写 $share/〈组名〉/home/#。",
		},
	},
	{
		ID: TopicTooDeep, Severity: Warning, Stage: Use,
		Title: Text{"the topic has too many levels", "主题层级过多"},
		Explain: Text{
			"A topic or filter has more than {limit} levels. The broker bounds them, because each level costs memory and a topic of nothing but slashes would have 65,535.",
			"主题或过滤器超过 {limit} 层。每一层都占内存，而全是斜杠的主题可以有六万多层，因此服务端设了上限。",
		},
		Remedy: Text{
			"Use fewer levels; a dozen is plenty. Look for a program that doubles slashes.",
			"减少层级，十几层足够了。检查是否有程序把斜杠写重了。",
		},
	},
	{
		ID: TopicAliasInvalid, Severity: Error, Stage: Use,
		Title: Text{"the topic alias is unknown or out of range", "主题别名无效"},
		Explain: Text{
			"An MQTT 5 client used topic alias 0, one above the broker's Topic Alias Maximum, or one that it has not yet bound to a topic on this connection. Aliases do not outlive the connection. The broker disconnects with 0x94 or 0x82.",
			"MQTT 5 客户端使用了别名 0、超过服务端 Topic Alias Maximum 的别名，或本次连接中尚未绑定主题的别名。别名不会跨连接保留。服务端以 0x94 或 0x82 断开。",
		},
		Remedy: Text{
			"After each connect send every topic in full once; update the client's library. On the broker, see `max_topic_alias`.",
			"每次重连后先完整发送一次主题；更新客户端库。服务端见 `max_topic_alias`。",
		},
	},
	{
		ID: QoSNotSupported, Severity: Error, Stage: Use,
		Title: Text{"this quality of service is switched off here", "该 QoS 级别未开放"},
		Explain: Text{
			"The listener's `max_qos` is {limit} and the client published above it. An MQTT 5 client was told the maximum in CONNACK and is disconnected with 0x9B.",
			"监听端口的 `max_qos` 为 {limit}，客户端用了更高的 QoS。MQTT 5 客户端在 CONNACK 中已得知上限，因此会被服务端以 0x9B 断开。",
		},
		Remedy: Text{
			"Publish at a lower QoS, or raise `max_qos`.",
			"降低发布的 QoS，或调高 `max_qos`。",
		},
	},
	{
		ID: RetainNotSupported, Severity: Error, Stage: Use,
		Title: Text{"retained messages are switched off here", "未开放保留消息"},
		Explain: Text{
			"The broker has `retain_available false` and the client published with the retain flag: an MQTT 5 client is disconnected with 0x9A.",
			"服务端设置了 `retain_available false`，而客户端带保留标志发布：MQTT 5 客户端会被服务端以 0x9A 断开。",
		},
		Remedy: Text{
			"Publish without the retain flag, or switch retained messages on.",
			"不带保留标志发布，或打开保留消息功能。",
		},
	},
	{
		ID: RetainedFull, Severity: Warning, Stage: Use,
		Title: Text{"the broker keeps no more retained messages", "保留消息已达上限"},
		Explain: Text{
			"The limit of {limit} on retained messages is reached. The message on {topic} was delivered to subscribers but is not kept for later ones.",
			"保留消息已达到上限 {limit}。{topic} 上的消息已投递给现有订阅者，但不会为以后的订阅者保留。",
		},
		Remedy: Text{
			"Delete retained messages that nobody needs (publish an empty payload with the retain flag), or raise the limit.",
			"删除不需要的保留消息（向该主题发布带保留标志的空消息），或调高上限。",
		},
	},
	{
		ID: SubscriptionsFull, Severity: Warning, Stage: Use,
		Title: Text{"the client has too many subscriptions", "订阅数量超过上限"},
		Explain: Text{
			"{client} has reached the limit of {limit} subscriptions; further ones are refused with 0x97 (MQTT 3.1.1: 0x80).",
			"{client} 的订阅数已达到上限 {limit}，后续订阅会以 0x97 拒绝（MQTT 3.1.1 为 0x80）。",
		},
		Remedy: Text{
			"Use wildcards in place of many single topics, and unsubscribe from what is no longer needed; a program that subscribes on every message is the usual reason.",
			"用通配符代替大量单独的主题，并取消不再需要的订阅；常见原因是程序每收到一条消息就又订阅一次。",
		},
	},
	{
		ID: PayloadFormatInvalid, Severity: Warning, Stage: Use,
		Title: Text{"the payload is not the text it claims to be", "载荷与声明的格式不符"},
		Explain: Text{
			"An MQTT 5 client marked its payload as UTF-8 text, and it is not: reason code 0x99.",
			"MQTT 5 客户端声明载荷是 UTF-8 文本，但实际不是：原因码 0x99。",
		},
		Remedy: Text{
			"Send text as UTF-8, or leave out the Payload Format Indicator for binary data.",
			"文本按 UTF-8 发送；二进制数据不要设置 Payload Format Indicator。",
		},
	},
	{
		ID: PayloadTooLarge, Severity: Warning, Stage: Use,
		Title: Text{"the payload is larger than the broker takes", "消息载荷超过上限"},
		Explain: Text{
			"`message_size_limit` is {limit} bytes and the payload has more. The message is dropped; MQTT 5 answers 0x95.",
			"`message_size_limit` 为 {limit} 字节，而载荷更大。该消息被丢弃；MQTT 5 返回 0x95。",
		},
		Remedy: Text{
			"Send less at once, or raise `message_size_limit` (0: no limit).",
			"减小单条消息，或调高 `message_size_limit`（0 为不限）。",
		},
	},
	{
		ID: PacketTooLarge, Severity: Error, Stage: Use,
		Title: Text{"the packet is larger than the broker takes", "报文超过上限"},
		Explain: Text{
			"A packet is longer than `max_packet_size` ({limit} bytes), and the connection is closed before it is read: MQTT 5 says 0x95. It happens with a large PUBLISH or a large will. mosquitto 2.1 lowered its default to 2,000,000 bytes. PubSubClient on Arduino drops everything above 256 bytes on its own side without a word.",
			"报文长度超过 `max_packet_size`（{limit} 字节），服务端不读完就断开：MQTT 5 返回 0x95。常见于大的 PUBLISH 或遗嘱。mosquitto 2.1 把默认值降到 2000000 字节。Arduino 的 PubSubClient 则会在本地悄悄丢弃超过 256 字节的报文。",
		},
		Remedy: Text{
			"Send a small message to see that all else works; then split the large one or raise `max_packet_size`. PubSubClient: call setBufferSize().",
			"先发一条小消息确认其他都正常，再拆分大消息或调高 `max_packet_size`。PubSubClient 请调用 setBufferSize()。",
		},
	},
	{
		ID: ReceiverPacketLimit, Severity: Warning, Stage: Use,
		Title: Text{"the message is larger than its receiver takes", "消息超过接收方声明的上限"},
		Explain: Text{
			"The MQTT 5 client {client} said in CONNECT how large a packet it accepts ({limit} bytes). A message for it is larger and is left out, as the protocol demands; other subscribers get it.",
			"MQTT 5 客户端 {client} 在 CONNECT 中声明最多接收 {limit} 字节的报文。发给它的一条消息更大，按协议要求跳过；其他订阅者照常收到。",
		},
		Remedy: Text{
			"Raise the client's Maximum Packet Size, or publish smaller messages.",
			"调高该客户端的 Maximum Packet Size，或发布更小的消息。",
		},
	},
	{
		ID: MessageExpired, Severity: Info, Stage: Use,
		Title: Text{"the message expired before it could be delivered", "消息在投递前已过期"},
		Explain: Text{
			"The publisher gave the message a lifetime (Message Expiry Interval), and it ran out while the message waited for a client that was away or slow. It is dropped, as asked.",
			"发布者给消息设了有效期（Message Expiry Interval），在等待离线或缓慢的客户端时到期，于是按要求丢弃。",
		},
		Remedy: Text{
			"Nothing, if old news is worthless; otherwise publish with a longer expiry.",
			"如果旧消息没有价值，则无需处理；否则发布时把有效期设长一些。",
		},
	},
	{
		ID: QueueFull, Severity: Warning, Stage: Use,
		Title: Text{"too many messages are waiting for this client", "该客户端排队的消息条数已满"},
		Explain: Text{
			"{client} is away or slower than what is published to it, and `max_queued_messages` ({limit}) is reached. Further messages for it are dropped until it catches up; other clients are not affected.",
			"{client} 离线，或处理速度跟不上，排队消息已达到 `max_queued_messages`（{limit}）。在它跟上之前，发给它的新消息会被丢弃；其他客户端不受影响。",
		},
		Remedy: Text{
			"Let the client read faster or subscribe to less; give messages an expiry; remove sessions of clients that never come back (`persistent_client_expiration`); or raise `max_queued_messages`.",
			"让客户端处理得更快或少订阅一些；给消息设有效期；清理不再回来的客户端会话（`persistent_client_expiration`）；或调高 `max_queued_messages`。",
		},
	},
	{
		ID: QueueBytesFull, Severity: Warning, Stage: Use,
		Title: Text{"too many bytes are waiting for this client", "该客户端排队的字节数已满"},
		Explain: Text{
			"{client} is away or slower than what is published to it, and `max_queued_bytes` ({limit} bytes) is reached. Further messages for it are dropped until it catches up; other clients are not affected.",
			"{client} 离线，或处理速度跟不上，排队数据已达到 `max_queued_bytes`（{limit} 字节）。在它跟上之前，发给它的新消息会被丢弃；其他客户端不受影响。",
		},
		Remedy: Text{
			"As for a full queue of messages; for large payloads publish a reference in place of the data, or raise `max_queued_bytes`.",
			"处理办法与消息条数已满相同；大数据可改为只发布引用，或调高 `max_queued_bytes`。",
		},
	},
	{
		ID: PacketIDUnknown, Severity: Info, Stage: Use,
		Title: Text{"an acknowledgement names an unknown packet", "确认报文的标识符未知"},
		Explain: Text{
			"{client} acknowledged a packet identifier that the broker is not waiting for: it lost its own state in a restart, or answers twice. MQTT 5 says 0x92; nothing else happens.",
			"{client} 确认了一个服务端并未等待的报文标识符：它重启后丢了状态，或重复应答。MQTT 5 返回 0x92，除此之外没有影响。",
		},
		Remedy: Text{
			"If it goes on, update the client's library, or connect with a clean session once.",
			"如果持续出现，请更新客户端库，或用 Clean Session 连接一次。",
		},
	},
	{
		ID: SeparateBrokers, Severity: Error, Stage: Use,
		Title: Text{"behind one address there are brokers that know nothing of each other", "同一地址后面有多台互不相通的服务端"},
		Explain: Text{
			"What one connection publishes does not arrive at another connection to the same address, though each gets its own messages back: a balancer, several addresses of one name, or two replicas of one container deal the clients out to several brokers, and these do not pass messages on to each other. Who is connected to the same broker by chance sees the messages; the others do not. Sessions and retained messages are there or not, in the same way.",
			"一个连接发布的消息到不了连到同一地址的另一个连接，而各自都能收到自己的消息：负载均衡、一个域名的多个地址，或同一容器的两个副本，把客户端分给了多台服务端，而它们之间不互相转发。碰巧连到同一台的能收到，其余收不到；会话和保留消息也时有时无。",
		},
		Remedy: Text{
			"Run one broker only, or brokers that make a cluster (Picket: `picket serve --cluster`), or join them by a bridge; in front of two of which one is there in need, mark that one as a reserve (HAProxy: `backup`).",
			"只运行一台服务端，或改用能组成集群的服务端（Picket：`picket serve --cluster`），或用桥接把它们连起来；如果其中一台只是备用，请在负载均衡里标为备用（HAProxy：`backup`）。",
		},
	},
	{
		ID: MessageDoubled, Severity: Warning, Stage: Use,
		Title: Text{"messages arrive more than once", "消息会重复收到"},
		Explain: Text{
			"What is published once comes to a subscriber with one subscription twice or more often. QoS 0 and QoS 2 forbid that, and QoS 1 allows it only when a connection was lost. It comes from two ways that lead to the same subscriber: two bridges between the same two brokers (one configured at each end), a circle of bridges, a rule or a script that publishes what it receives to the same topic, or brokers behind a balancer that pass each message on to each other and to themselves.",
			"只发布一次的消息，只有一个订阅的客户端却收到两次或更多。QoS 0 和 QoS 2 不允许这样，QoS 1 也只在连接中断后才允许。原因是有两条路通向同一个订阅者：同样两台服务端之间有两个桥接（两端各配了一个）、桥接成环、某条规则或脚本把收到的消息又发布到原主题，或者负载均衡后面的多台服务端互相转发并又转回自己。",
		},
		Remedy: Text{
			"Look at the bridges of both brokers (`connection` in their configurations) and leave one between them; with Picket `picket ctl bridges` lists them. Stop scripts and rules that publish to the topics they are subscribed to, one after the other, until it stops. Until then let programs look at a number of the message's own.",
			"检查两台服务端的桥接（配置中的 `connection`），两者之间只保留一个；Picket 可用 `picket ctl bridges` 列出。把会向自己所订阅主题发布消息的脚本和规则逐个停掉，直到不再重复。在此之前，让程序按消息自带的编号去重。",
		},
	},
	{
		ID: MessageAltered, Severity: Error, Stage: Use,
		Title: Text{"messages are changed on the way", "消息在途中被改动"},
		Explain: Text{
			"What comes back is not what was published: another payload, another topic, or another retained flag. A broker changes none of them. Somebody on the way does: a gateway or proxy that looks into MQTT (one that translates, encrypts or counts), a rule or a plugin of the broker, a bridge that puts a prefix in front, or a program that takes messages and publishes them anew.",
			"收到的与发布的不一样：内容、主题或保留标志变了。服务端本身不会改动这些。是途中有谁在改：会解析 MQTT 的网关或代理（做转换、加密或统计的）、服务端的规则或插件、会加前缀的桥接，或者收下消息再重新发布的程序。",
		},
		Remedy: Text{
			"Try on the broker's own machine, at its own port: `picket doctor 127.0.0.1:1883`. If it is well there, look at what stands in between; if not, at the broker's plugins, rules and bridges (`topic` lines with prefixes).",
			"在服务端所在的机器上直接测试它自己的端口：`picket doctor 127.0.0.1:1883`。如果那里正常，就检查中间的设备；如果也不正常，检查服务端的插件、规则和桥接（带前缀的 `topic` 行）。",
		},
	},
	{
		ID: MessageLost, Severity: Error, Stage: Use,
		Title: Text{"some messages are lost, and others on the same topic come through", "同一主题上有的消息丢失，有的能收到"},
		Explain: Text{
			"The client may publish and read the topic, for messages on it come back; and some do not, though the connection lost nothing. The broker, or something in front of it that looks into MQTT, throws them away: a queue that is full, a limit of messages in a time, a proxy or plugin that does not pass on every QoS.",
			"客户端有权发布和读取该主题，因为其中有消息能收到；但另一些收不到，而连接本身没有丢数据。是服务端或其前面会解析 MQTT 的设备丢弃了它们：队列已满、有消息速率限制，或者代理、插件不转发某种 QoS。",
		},
		Remedy: Text{
			"Read the broker's log for dropped messages, and look at its limits (`max_queued_messages`, `max_inflight_messages`, limits of a cloud's plan). Without what stands in front, on the broker's machine: `picket doctor 127.0.0.1:1883`. Publish what must not be lost with QoS 1.",
			"查看服务端日志里有没有丢弃消息的记录，检查它的限制（`max_queued_messages`、`max_inflight_messages`、云平台套餐的限额）。绕开前面的设备，在服务端所在的机器上测试：`picket doctor 127.0.0.1:1883`。不能丢的消息用 QoS 1 发布。",
		},
	},
	{
		ID: ServerViolation, Severity: Warning, Stage: Use,
		Title: Text{"the broker breaks a rule of the protocol", "服务端违反了 MQTT 协议规则"},
		Explain: Text{
			"The broker, or something on the way that changes packets, answered with what MQTT does not allow: it acknowledged what was never sent, or spoke of a session where a new one was asked for. Client libraries that check this close the connection, or wait for ever for the right answer; others go on.",
			"服务端（或途中改动报文的设备）的应答不符合 MQTT：确认了从未发送过的报文，或在要求新会话时声称会话已存在。严格检查的客户端库会断开连接，或一直等待正确的应答；其他的则照常工作。",
		},
		Remedy: Text{
			"Update the broker; small ones for microcontrollers do this now and then. Without whatever stands in front of it, try again: `picket doctor` from the broker's own machine.",
			"升级服务端；面向单片机的小型服务端偶有这种问题。也可绕开前面的设备再试：在服务端所在机器上运行 `picket doctor`。",
		},
	},
	{
		ID: ClusterNotYet, Severity: Error, Stage: Use,
		Title: Text{"nodes of a cluster do not do this yet", "集群节点尚不支持此功能"},
		Explain: Text{
			"With cluster_address, this version has no retained messages: they would be one node's alone, and be lost with it. Clients are refused rather than served half. docs/cluster.md says what is in force.",
			"设置了 cluster_address 时，本版本不提供保留消息：它们只会存在于一个节点上，并随之丢失。与其只服务一半，不如拒绝。docs/cluster.md 说明了目前支持的内容。",
		},
		Remedy: Text{
			"Publish without RETAIN; or use one broker with `cluster` and without `cluster_address`, which does all of it.",
			"发布时不带 RETAIN；或使用一个只设 `cluster` 而不设 `cluster_address` 的服务端，它支持全部功能。",
		},
	},
}
