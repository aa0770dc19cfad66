package cause

// stayCauses: the client was in, and its connection or its session ended.
var stayCauses = []Cause{
	{
		ID: IDTakeoverLoop, Severity: Error, Stage: Stay,
		Title: Text{"two clients with the same identifier throw each other out", "两个客户端用同一个 clientId 互相踢下线"},
		Explain: Text{
			"An identifier can be connected once. Two programs, tabs, phones or devices flashed with the same sketch use {client}, and each one's reconnect ends the other's connection every few seconds. MQTT 5 clients see 0x8E; the log shows the same identifier from changing addresses.",
			"一个 clientId 同时只能有一个连接。两个程序、标签页、手机或刷了同一份固件的设备都用 {client}，每次重连都把对方踢掉，几秒一次。MQTT 5 客户端会看到 0x8E；日志里同一标识来自交替的地址。",
		},
		Remedy: Text{
			"Give every client an identifier of its own, for example with the chip's serial number in it. A single program can do it to itself with two reconnect timers.",
			"给每个客户端设置唯一的 clientId，例如带上芯片序列号。同一个程序里有两个重连定时器也会自己踢自己。",
		},
	},
	{
		ID: SessionOtherMount, Severity: Warning, Stage: Stay,
		Title: Text{"the client came back under another mount point and got a new session", "客户端在另一个挂载点下重连，因此得到了新会话"},
		Explain: Text{
			"The session that {client} had carries subscriptions and messages below one mount_point; the listener that it has come back by has another (or it was changed). Kept as it is, the session would never get a message again, so it is ended and a new one begins: Session Present is 0, and the client subscribes again.",
			"{client} 原有会话的订阅和消息都在某个 mount_point 之下，而它这次接入的监听端口使用另一个 mount_point（或者该设置已被修改）。原会话若继续使用，将再也收不到消息，因此服务端结束原会话并新建会话：Session Present 为 0，客户端需要重新订阅。",
		},
		Remedy: Text{
			"Let a client with a session that is kept always come by listeners with the same mount_point. Clients that look at Session Present need nothing.",
			"让需要保留会话的客户端始终通过 mount_point 相同的监听端口接入。会检查 Session Present 的客户端无需处理。",
		},
	},
	{
		ID: SessionTakenOver, Severity: Info, Stage: Stay,
		Title: Text{"another connection took this client identifier over", "该 clientId 已被新的连接接管"},
		Explain: Text{
			"{client} connected again, and the broker closed its older connection: MQTT 5 says 0x8E. After a change of network that is how it should be.",
			"{client} 重新连接，服务端关闭了旧连接：MQTT 5 为 0x8E。切换网络后这是正常现象。",
		},
		Remedy: Text{
			"Nothing, unless it goes on and on; then two clients share an identifier.",
			"无需处理；如果反复出现，说明有两个客户端用了同一个标识。",
		},
	},
	{
		ID: KeepaliveMissed, Severity: Warning, Stage: Stay,
		Title: Text{"the client was silent for longer than its keep alive", "客户端没有按时发送心跳"},
		Explain: Text{
			"The client promised a packet every so many seconds (k in its log line), and nothing came for one and a half times as long: 22 seconds for 15, 90 for 60. Its loop was held up, the phone slept, or the network is gone. MQTT 5 says 0x8D, and its will is sent.",
			"客户端承诺每隔若干秒（日志中的 k 值）至少发一个报文，但超过 1.5 倍时间没有任何数据：k15 约 22 秒，k60 为 90 秒。可能是主循环被阻塞、手机休眠或网络中断。MQTT 5 为 0x8D，并会发布遗嘱。",
		},
		Remedy: Text{
			"Call the library's loop() often and avoid long delay()s; raise the keep alive; on mobile networks 30 to 60 seconds is good.",
			"经常调用客户端库的 loop()，不要长时间 delay()；适当加大 keepalive；移动网络下 30 到 60 秒为宜。",
		},
		ConsequenceOf: []ID{NATIdleTimeout, AndroidDoze, IOSBackground, WiFiCellSwitch},
	},
	{
		ID: ConnectionLost, Severity: Warning, Stage: Stay,
		Title: Text{"the connection ended without a DISCONNECT", "连接未经 DISCONNECT 就断开了"},
		Explain: Text{
			"The client, or something on the way to it, closed or reset the connection. The broker sends the client's will and keeps its session as agreed. How long connections live names the reason: a round number of seconds is a timer of a proxy or a NAT.",
			"客户端或中间设备关闭、重置了连接。服务端会发布遗嘱，并按约定保留会话。连接存活的时长能说明原因：若是整数秒，多半是代理或 NAT 的定时器。",
		},
		Remedy: Text{
			"Look at the client's own log for the same moment. If connections always end after the same time, choose a keep alive below it.",
			"查看客户端同一时刻的日志。如果每次都在相同时长后断开，把 keepalive 设得比它小。",
		},
		ConsequenceOf: []ID{ProxyIdle60s, LBIdleTimeout, NATIdleTimeout, WSPingUnanswered, WiFiCellSwitch, AndroidDoze, IOSBackground},
	},
	{
		ID: MalformedPacket, Severity: Error, Stage: Stay,
		Title: Text{"the client sent bytes that are not an MQTT packet", "客户端发来的数据不是合法的 MQTT 报文"},
		Explain: Text{
			"A packet could not be decoded: a wrong length, text that is not UTF-8, an unknown property, reserved bits that are set. The connection is closed at once; MQTT 5 says 0x81. Most often a device writes to one connection from two tasks and mixes packets up.",
			"报文无法解码：长度错误、文本不是 UTF-8、未知属性或保留位被置位。连接立即关闭；MQTT 5 为 0x81。最常见的原因是设备上两个任务同时写同一个连接，报文交错在一起。",
		},
		Remedy: Text{
			"Use a current client library, and send from one task or under a lock. The log line says what was wrong and where.",
			"使用较新的客户端库，只在一个任务里发送或加锁。日志行会指出错在哪里。",
		},
	},
	{
		ID: ProtocolViolation, Severity: Error, Stage: Stay,
		Title: Text{"the client broke a rule of the protocol", "客户端违反了 MQTT 协议规则"},
		Explain: Text{
			"A packet was well formed, but not allowed at that point: a second CONNECT, something before CONNECT, a SUBSCRIBE without a filter, a password without a user name in MQTT 3.1.1. The connection is closed; MQTT 5 says 0x82. The log line names the rule.",
			"报文格式正确，但此时不允许：重复的 CONNECT、CONNECT 之前发送其他报文、没有过滤器的 SUBSCRIBE、MQTT 3.1.1 只有密码没有用户名等。连接关闭；MQTT 5 为 0x82。日志行写明违反了哪条规则。",
		},
		Remedy: Text{
			"Update or correct the client; the clause in the log says what it did.",
			"更新或修正客户端；日志中的条款说明了它做了什么。",
		},
	},
	{
		ID: ReceiveMaximumExceeded, Severity: Error, Stage: Stay,
		Title: Text{"the client sent more at once than the broker allows", "客户端同时未确认的消息超过 Receive Maximum"},
		Explain: Text{
			"The broker's CONNACK said how many QoS 1 and 2 messages may be unacknowledged at a time ({limit}), and the client sent more: disconnected with 0x93.",
			"服务端在 CONNACK 中声明了同时允许多少条未确认的 QoS 1、2 消息（{limit}），客户端超出了：以 0x93 断开。",
		},
		Remedy: Text{
			"Update the client's library: it has to honour Receive Maximum. On the broker, see `max_inflight_messages`.",
			"更新客户端库，它必须遵守 Receive Maximum。服务端见 `max_inflight_messages`。",
		},
	},
	{
		ID: OutputFull, Severity: Warning, Stage: Stay,
		Title: Text{"the client does not read what it is sent", "客户端不读取发给它的数据"},
		Explain: Text{
			"{client} keeps its connection open and takes nothing off it: its buffers and the broker's are full ({limit} bytes). What is queued beyond that at QoS 0 is dropped; a client that reads nothing at all for long is disconnected. The others are not affected.",
			"{client} 保持着连接却不读取数据，双方缓冲区都满了（{limit} 字节）。超出部分的 QoS 0 消息会被丢弃；长时间完全不读的客户端会被断开。其他客户端不受影响。",
		},
		Remedy: Text{
			"Look for a callback in the client that blocks; subscribe to less; spread the work over a shared subscription.",
			"检查客户端回调里是否有阻塞操作；减少订阅；用共享订阅分担负载。",
		},
	},
	{
		ID: ServerShuttingDown, Severity: Info, Stage: Stay,
		Title: Text{"the broker is shutting down", "服务端正在关闭"},
		Explain: Text{
			"The broker was told to end, and closes its connections: MQTT 5 says 0x8B.",
			"服务端收到停止指令，正在关闭连接：MQTT 5 为 0x8B。",
		},
		Remedy: Text{
			"Reconnect after a pause that grows and has some chance in it, so that not everyone returns in the same second.",
			"稍后重连，间隔应逐渐加长并带一点随机，避免所有客户端在同一秒涌回。",
		},
	},
	{
		ID: MaintenanceOrReload, Severity: Info, Stage: Stay,
		Title: Text{"the broker throws clients out when it reloads", "服务端重载或维护时踢掉了客户端"},
		Explain: Text{
			"Every day at the same minute all clients are disconnected, because the log is rotated and an old broker drops connections on a reload. The log says \"Reloading config.\" just before. MQTT 5 clients see 0x8B, 0x9C or 0x9D.",
			"每天同一分钟所有客户端都掉线：日志轮转触发了重载，而旧版服务端会在重载时断开连接。日志里掉线前有 \"Reloading config.\"。MQTT 5 客户端会看到 0x8B、0x9C 或 0x9D。",
		},
		Remedy: Text{
			"Update the broker. Picket's reload keeps every client that is still allowed.",
			"升级服务端。Picket 重载时，仍被允许的客户端不会掉线。",
		},
	},
	{
		ID: ListenerRemoved, Severity: Info, Stage: Stay,
		Title: Text{"the port was taken out of the configuration", "该监听端口已从配置中移除"},
		Explain: Text{
			"A reload removed the listener on port {port}, and its clients are disconnected: MQTT 5 says 0x98.",
			"重载后端口 {port} 的监听被移除，其上的客户端随之断开：MQTT 5 为 0x98。",
		},
		Remedy: Text{
			"Connect to a port that the configuration still has.",
			"改连配置中仍存在的端口。",
		},
	},
	{
		ID: NoLongerAllowed, Severity: Warning, Stage: Stay,
		Title: Text{"after a reload the client is no longer allowed", "重载后该客户端不再被允许"},
		Explain: Text{
			"The user {user} was removed, got another password, or the listener no longer takes this kind of client; the connection that was still open is closed. MQTT 5 says 0x87.",
			"用户 {user} 已被删除、换了密码，或监听端口不再接受这类客户端；原来还开着的连接被关闭。MQTT 5 为 0x87。",
		},
		Remedy: Text{
			"Log in with the new password, or put the user back and reload.",
			"用新密码登录，或恢复该用户并重载。",
		},
	},
	{
		ID: DisconnectedByAdmin, Severity: Info, Stage: Stay,
		Title: Text{"an administrator disconnected the client", "管理员断开了该客户端"},
		Explain: Text{
			"Someone closed this connection by command: MQTT 5 says 0x98.",
			"有人通过管理命令关闭了此连接：MQTT 5 为 0x98。",
		},
		Remedy: Text{
			"Ask whoever runs the broker.",
			"请询问服务端的管理员。",
		},
	},
	{
		ID: SessionExpired, Severity: Info, Stage: Stay,
		Title: Text{"the session of an absent client was removed", "离线客户端的会话已过期清除"},
		Explain: Text{
			"{client} stayed away longer than its session was to be kept (the Session Expiry Interval of MQTT 5, or `persistent_client_expiration`). Its subscriptions and queued messages are gone.",
			"{client} 离线时间超过了会话保留期（MQTT 5 的 Session Expiry Interval，或 `persistent_client_expiration`）。它的订阅和排队消息都已删除。",
		},
		Remedy: Text{
			"Subscribe again after connecting when the CONNACK says that no session is present; ask for a longer expiry if messages must wait.",
			"CONNACK 表明没有会话时，连接后要重新订阅；如果消息需要等待，请设置更长的会话有效期。",
		},
	},
	{
		ID: LossyNetwork, Severity: Warning, Stage: Stay,
		Title: Text{"the network loses packets", "网络丢包或抖动"},
		Explain: Text{
			"Packets between client and server get lost and are sent again, or take now a short and now a long time: some answers come at once, others a fraction of a second or seconds later. Weak Wi-Fi or mobile reception does so, and a line that is full. The broker has nothing to do with it.",
			"客户端与服务端之间的数据包丢失后重传，或时快时慢：有的应答立刻返回，有的迟到零点几秒甚至几秒。Wi-Fi 或手机信号弱、线路拥塞时都会这样，与服务端无关。",
		},
		Remedy: Text{
			"Try from another network, or closer to the access point; stop uploads and downloads on the line. `mtr {host}` shows where on the way it begins. Give clients a connect time-out of 15 seconds and a keep alive of 60.",
			"换个网络，或靠近路由器再试；暂停占用线路的上传和下载。`mtr {host}` 能看出从哪一段开始丢包。客户端的连接超时设为 15 秒，keepalive 设为 60 秒。",
		},
		ConsequenceOf: []ID{MTUBlackhole},
	},
	{
		ID: FarAway, Severity: Warning, Stage: Stay,
		Title: Text{"the server is far away", "服务器距离太远"},
		Explain: Text{
			"A round trip takes {seconds} seconds, always about the same: that is the length of the way, not a fault on it. Logging in with TLS takes three to five round trips, a QoS 2 message two. Devices with a short time-out give up.",
			"往返一次要 {seconds} 秒，而且每次都差不多：这是线路长度决定的，不是故障。带 TLS 的登录要三到五个往返，QoS 2 消息要两个。超时设得短的设备会放弃。",
		},
		Remedy: Text{
			"Choose a server in a nearer region, raise the client's connect time-out to 15 seconds or more, use TLS 1.3, and keep connections open in place of making new ones.",
			"选择更近的地域，客户端连接超时调到 15 秒以上，使用 TLS 1.3，并保持长连接而不是反复重连。",
		},
	},
	{
		ID: ProxyIdle60s, Severity: Warning, Stage: Stay,
		Title: Text{"a reverse proxy closes idle connections after 60 seconds", "反向代理 60 秒空闲就断开"},
		Explain: Text{
			"nginx gives up a connection on which nothing is read for 60 seconds. WebSocket clients behind it drop on the minute when they are quiet, and the broker sees a clean end from the proxy's address; straight to the broker's port they stay.",
			"nginx 默认 60 秒读不到数据就断开。经它转发的 WebSocket 客户端空闲时正好 60 秒掉线，服务端看到代理地址正常关闭；直连服务端端口则稳定。",
		},
		Remedy: Text{
			"Set the keep alive below 60 seconds (45 is good), and in nginx `proxy_read_timeout 3600s; proxy_send_timeout 3600s;`, for a stream `proxy_timeout 1h;`.",
			"keepalive 设为小于 60 秒（如 45），nginx 中加 `proxy_read_timeout 3600s; proxy_send_timeout 3600s;`，stream 方式用 `proxy_timeout 1h;`。",
		},
		Recipes: []string{"nginx-websocket", "nginx-stream"},
	},
	{
		ID: WSPingUnanswered, Severity: Warning, Stage: Stay,
		Title: Text{"the client does not answer WebSocket pings", "客户端不应答 WebSocket ping"},
		Explain: Text{
			"Some brokers send a WebSocket ping every five minutes and close when no pong comes: the connection drops every 300 seconds, give or take ten, although MQTT's own pings are answered.",
			"有些服务端每 5 分钟发一次 WebSocket ping，收不到 pong 就断开：即使 MQTT 心跳正常，也会每 300 秒左右掉一次线。",
		},
		Remedy: Text{
			"Update the client's WebSocket library. Picket demands no pong as long as MQTT packets come.",
			"更新客户端的 WebSocket 库。只要有 MQTT 报文往来，Picket 不强求 pong。",
		},
	},
	{
		ID: NATIdleTimeout, Severity: Warning, Stage: Stay,
		Title: Text{"the mobile network forgets idle connections", "运营商 NAT 空闲超时"},
		Explain: Text{
			"After 2 to 30 quiet minutes the carrier's address translation drops the connection and tells neither side. The client believes itself connected, its next message hangs or is reset, and the broker notices by the keep alive only. On Wi-Fi it takes longer or does not happen.",
			"空闲 2 到 30 分钟后，运营商的地址转换表项被清除，两端都不知道。客户端以为还连着，下一条消息卡住或被重置；服务端只能靠 keepalive 发现。Wi-Fi 下时间更长或不出现。",
		},
		Remedy: Text{
			"Set the keep alive to 30 to 60 seconds on mobile networks. Lost after 150 seconds, under 180 and after 300 are what people have measured.",
			"移动网络下把 keepalive 设为 30 到 60 秒。实测中断开的时间因网络而异：150 秒、不到 180 秒、300 秒都有。",
		},
	},
	{
		ID: LBIdleTimeout, Severity: Warning, Stage: Stay,
		Title: Text{"the cloud's load balancer closes idle connections", "云负载均衡空闲超时"},
		Explain: Text{
			"Connections through the balancer end after a round number of idle seconds: 60 with AWS ALB and CLB, 240 with Azure, 350 with AWS NLB, 600 with Google, 900 with Alibaba CLB, about 100 with Cloudflare's WebSockets. Straight to the server they stay.",
			"经负载均衡的连接空闲到整数秒就断：AWS ALB/CLB 60 秒，Azure 240 秒，AWS NLB 350 秒，Google 600 秒，阿里云 CLB 900 秒，Cloudflare WebSocket 约 100 秒。直连服务器则稳定。",
		},
		Remedy: Text{
			"Choose a keep alive below the balancer's limit, or raise that limit in its settings.",
			"keepalive 设得比负载均衡的超时小，或在其设置里调大超时。",
		},
	},
	{
		ID: WiFiCellSwitch, Severity: Info, Stage: Stay,
		Title: Text{"the phone changed networks and its connection is half open", "切换网络后留下半开连接"},
		Explain: Text{
			"Between Wi-Fi and mobile data the phone's address changes and the old connection is dead, but nobody said so: the app shows connected and nothing arrives until the keep alive runs out.",
			"手机在 Wi-Fi 和移动数据之间切换时地址会变，旧连接已经失效却没有通知任何一方：应用显示已连接，却收不到消息，直到 keepalive 超时。",
		},
		Remedy: Text{
			"Let the app reconnect when the system reports a change of network, with the same client identifier, so that the broker replaces the old connection; give the ping a time limit in the client.",
			"应用在系统通知网络变化时主动重连，并使用同一个 clientId，让服务端替换旧连接；客户端要给心跳设超时。",
		},
	},
}
