package cause

// bridgeCauses: a bridge to another broker is down, or does not carry everything.
var bridgeCauses = []Cause{
	{
		ID: BridgeUnreachable, Severity: Error, Stage: Bridge,
		Title: Text{"a bridge cannot reach the remote broker", "桥接连不上对端服务端"},
		Explain: Text{
			"The name in the `address` line of the bridge is not known, or nobody accepts a connection there. What the bridge owes waits in its session, within `max_queued_messages` and `max_queued_bytes`; it is tried again as `restart_timeout` says.",
			"桥接的 `address` 行里的域名解析不了，或者那个端口没有人接受连接。要发往对端的消息在会话中排队，受 `max_queued_messages` 和 `max_queued_bytes` 限制；重试间隔由 `restart_timeout` 决定。",
		},
		Remedy: Text{
			"`picket doctor HOST:PORT` on the bridge's machine tells at which step the way ends. `picket ctl bridges` shows the error and when it is tried next.",
			"在桥接所在的机器上运行 `picket doctor 〈主机〉:〈端口〉`，可以看出卡在哪一步。`picket ctl bridges` 显示错误以及下次重试的时间。",
		},
	},
	{
		ID: BridgeTLSFailed, Severity: Error, Stage: Bridge,
		Title: Text{"a bridge and the remote broker do not agree on TLS", "桥接与对端的 TLS 握手失败"},
		Explain: Text{
			"The TCP connection of the bridge was made, and the TLS handshake failed: the certificate of the remote broker is signed by nobody in `bridge_cafile`, or is for another name, or the remote broker did not like the certificate in `bridge_certfile`; or it does not speak TLS on that port.",
			"桥接的 TCP 连接已建立，但 TLS 握手失败：对端证书不是 `bridge_cafile` 中的机构签发的，或者域名不符；也可能对端不接受 `bridge_certfile` 里的客户端证书，或那个端口根本不是 TLS。",
		},
		Remedy: Text{
			"Take the authority's certificate from whoever runs the remote broker, and write its host name in the `address` line as it stands in its certificate. Look at the dates and the key of the client certificate with `picket check -c FILE`.",
			"向对端的管理者索取 CA 证书，`address` 行里写证书上的域名。客户端证书的有效期和私钥可以用 `picket check -c 〈文件〉` 检查。",
		},
	},
	{
		ID: BridgeNoConnack, Severity: Error, Stage: Bridge,
		Title: Text{"the remote broker closed a bridge's connection before CONNACK", "对端在 CONNACK 之前关闭了桥接的连接"},
		Explain: Text{
			"The server at the `address` of the bridge read its CONNECT and closed the connection without an answer. It may not speak MQTT on that port, may want TLS there, may not take the client identifier, or may not know the sign by which bridges announce themselves; the next attempt leaves that sign out.",
			"桥接 `address` 上的服务器收到 CONNECT 后没有应答就关闭了连接。可能那个端口不是 MQTT、要求 TLS、不接受这个客户端标识符，或者不认识桥接的特殊标志；下一次尝试会去掉这个标志。",
		},
		Remedy: Text{
			"Compare port and TLS with what the remote broker expects, and set `remote_clientid` to what it allows. `try_private false` leaves the sign out from the beginning.",
			"核对对端要求的端口和是否使用 TLS，把 `remote_clientid` 设为它允许的值。`try_private false` 从一开始就不带该标志。",
		},
	},
	{
		ID: BridgeRefused, Severity: Error, Stage: Bridge,
		Title: Text{"the remote broker refused a bridge's CONNECT", "对端拒绝了桥接的 CONNECT"},
		Explain: Text{
			"The remote broker answered the bridge's CONNECT with a reason code that says no; the log and `picket ctl bridges` show which one.",
			"对端用表示拒绝的原因码回答了桥接的 CONNECT；日志和 `picket ctl bridges` 显示是哪一个。",
		},
		Remedy: Text{
			"Most often `remote_username`, `remote_password` or `remote_clientid` is not what the remote broker expects. Its own log says more.",
			"多半是 `remote_username`、`remote_password` 或 `remote_clientid` 不符合对端的要求。对端自己的日志里有更多信息。",
		},
	},
	{
		ID: BridgeLocalRefused, Severity: Error, Stage: Bridge,
		Title: Text{"this broker refused the session of its own bridge", "本服务端拒绝了自己的桥接会话"},
		Explain: Text{
			"A bridge is a client of its own broker, too, under `local_clientid`. It was not let in: `local_username` and `local_password` are not those of a user, there is no room for another client, or the store cannot be written.",
			"桥接同时也是本服务端的客户端，标识符为 `local_clientid`。它没有被接受：`local_username` 和 `local_password` 不是有效用户、客户端已满，或者存储无法写入。",
		},
		Remedy: Text{
			"Leave `local_username` and `local_password` out: the bridge then may do everything. The reason in the log tells which of the others it is.",
			"去掉 `local_username` 和 `local_password`，桥接就不受限制。如果是其他原因，日志里会写明。",
		},
	},
	{
		ID: BridgeLost, Severity: Warning, Stage: Bridge,
		Title: Text{"a bridge lost its connection", "桥接的连接中断"},
		Explain: Text{
			"The connection of a bridge stood and has ended: the remote broker closed it or stopped answering, or another client took its client identifier. Messages of QoS 1 and 2 wait until it is made again.",
			"桥接的连接原本正常，现在断了：对端关闭了连接或不再应答，或者另一个客户端用了同样的客户端标识符。QoS 1 和 2 的消息会等到重新连上。",
		},
		Remedy: Text{
			"If it happens again and again, look for a second bridge with the same `remote_clientid`, and set `keepalive_interval` below what routers on the way allow.",
			"如果反复发生，检查是否有另一个桥接使用相同的 `remote_clientid`，并把 `keepalive_interval` 设得比途中路由器的空闲时限短。",
		},
	},
	{
		ID: BridgeSubscriptionRefused, Severity: Warning, Stage: Bridge,
		Title: Text{"the remote broker refused a subscription of a bridge", "对端拒绝了桥接的订阅"},
		Explain: Text{
			"The bridge asked for a topic with direction `in` or `both`, and the remote broker said no. Nothing comes in for it; everything else works.",
			"桥接按方向 `in` 或 `both` 向对端订阅主题，被拒绝了。这个主题不会有消息进来，其余不受影响。",
		},
		Remedy: Text{
			"Allow it in the access rules of the remote broker for the bridge's user, or narrow the `topic` line.",
			"在对端的访问规则中允许桥接的用户订阅，或把 `topic` 行的范围改小。",
		},
	},
	{
		ID: BridgeLoop, Severity: Warning, Stage: Bridge,
		Title: Text{"a message came back over a bridge", "消息经桥接绕了回来"},
		Explain: Text{
			"Bridges between brokers form a circle for a topic, and a message that had gone out over a bridge of this broker was about to go round again. It was dropped. Only bridges that speak MQTT 5 (`bridge_protocol_version mqttv50`) can see that.",
			"几个服务端之间的桥接在某个主题上形成了环，从本服务端桥接出去的消息又要再绕一圈，已被丢弃。只有使用 MQTT 5（`bridge_protocol_version mqttv50`）的桥接才能发现这种情况。",
		},
		Remedy: Text{
			"Let each `topic` go over one of the ways only, or give the directions prefixes of their own.",
			"让每个 `topic` 只走一条路，或者给两个方向设置不同的前缀。",
		},
	},
	{
		ID: BridgeMessageTooLarge, Severity: Warning, Stage: Bridge,
		Title: Text{"a message was too large to go over a bridge", "消息太大，无法通过桥接"},
		Explain: Text{
			"The packet is larger than `bridge_max_packet_size`, than the remote broker said in CONNACK that it takes, or than this broker's `max_packet_size`; or its topic is too long with the prefix. The message was dropped.",
			"报文超过了 `bridge_max_packet_size`、对端在 CONNACK 中声明的上限，或本服务端的 `max_packet_size`；也可能加上前缀后主题太长。消息已被丢弃。",
		},
		Remedy: Text{
			"Raise the limit, or leave the topic out of the bridge.",
			"调大上限，或不要桥接该主题。",
		},
	},
	{
		ID: BridgeMessageRefused, Severity: Warning, Stage: Bridge,
		Title: Text{"a message that came over a bridge was refused", "通过桥接的消息被拒绝"},
		Explain: Text{
			"One of the two brokers answered a message of the bridge with a reason code that says no: most often the bridge's user may not publish there.",
			"两端之一用表示拒绝的原因码回答了桥接的消息：多半是桥接的用户无权在那里发布。",
		},
		Remedy: Text{
			"Allow it in the access rules of that broker: for `remote_username` at the remote one, for `local_username` at this one.",
			"在相应服务端的访问规则中放行：对端为 `remote_username`，本端为 `local_username`。",
		},
	},
}
