package cause

// echoCauses: why the echo service, or the probe that belongs to it, does not answer or ends early.
var echoCauses = []Cause{
	{
		ID: EchoNoWayBack, Severity: Error, Stage: Echo,
		Title: Text{"the echo server cannot connect back to the client", "回声服务器无法回连客户端"},
		Explain: Text{
			"The client reached the echo server, but a connection from there to {address} port {port} is refused or times out: nothing listens there, a firewall on the client's machine drops it, or the client is behind a router (NAT) that leads nothing in.",
			"客户端能连到回声服务器，但从服务器回连 {address} 端口 {port} 被拒绝或超时：该端口没有程序监听、客户端主机的防火墙丢弃了连接，或客户端在路由器（NAT）后面，外部无法进入。",
		},
		Remedy: Text{
			"Start `picket echo talk` (it listens on {port}), open TCP {port} on the client's machine, or forward it on the router. Where that cannot be done, let both sides use `--same-connection`.",
			"运行 `picket echo talk`（它监听 {port}），在客户端主机放行 TCP {port}，或在路由器上做端口映射。做不到时，两端都使用 `--same-connection`。",
		},
		ConsequenceOf: []ID{CGNAT, NATNoPortForward},
	},
	{
		ID: EchoAltered, Severity: Error, Stage: Echo,
		Title: Text{"what returned is not what was sent", "返回的内容与发送的不一致"},
		Explain: Text{
			"The bytes that came back from {address} differ from those that went out, or fewer came back. A transparent proxy on the way changes the stream, the other side is no echo server, or it returns on the other connection.",
			"从 {address} 返回的字节与发出的不同，或者更少。途中有透明代理改动了数据、对方不是回声服务器，或者它在另一条连接上返回。",
		},
		Remedy: Text{
			"Compare the two outputs, try another port, and see that both sides agree on `--same-connection`.",
			"对比两边的内容，换一个端口再试，并确认两端是否都用或都不用 `--same-connection`。",
		},
		ConsequenceOf: []ID{EchoNoWayBack},
	},
	{
		ID: EchoReceiverGone, Severity: Info, Stage: Echo,
		Title: Text{"the receiving side closed before everything was returned", "接收端在全部返回之前关闭"},
		Explain: Text{
			"The connection to {address} port {port}, on which everything is returned, was closed or reset by the client while more was to come. The sending side is closed too, since its bytes could not be returned.",
			"到 {address} 端口 {port} 的返回连接被客户端关闭或重置，而数据还没有返回完。发送连接也随之关闭，因为后续字节已无法返回。",
		},
		Remedy: Text{
			"Keep the receiving program running until the sender has ended.",
			"在发送结束之前，让接收程序保持运行。",
		},
	},
	{
		ID: EchoServerFull, Severity: Warning, Stage: Echo,
		Title: Text{"the echo server has as many connections as it may have", "回声服务器连接数已满"},
		Explain: Text{
			"The server has {limit} connections and takes no more for now.",
			"服务器已有 {limit} 个连接，暂时不再接受新的连接。",
		},
		Remedy: Text{
			"Come back later, or raise `--max-connections` on the server.",
			"稍后再试，或在服务器上调高 `--max-connections`。",
		},
	},
	{
		ID: EchoClientConnections, Severity: Warning, Stage: Echo,
		Title: Text{"one address has too many connections, or opens them too fast", "同一地址的连接过多或过快"},
		Explain: Text{
			"{address} has as many connections to the echo service as one client may have at a time, or has opened as many within a minute: {limit}. An IPv6 client is its /64 network.",
			"{address} 到回声服务的连接数，或一分钟内新建的连接数，已达到单个客户端的上限：{limit}。IPv6 客户端按其 /64 网段计算。",
		},
		Remedy: Text{
			"Close connections or slow down; on the server see `--max-per-client` and `--max-per-minute`.",
			"关闭一些连接或放慢速度；服务器端见 `--max-per-client` 和 `--max-per-minute`。",
		},
	},
	{
		ID: EchoClientBytes, Severity: Warning, Stage: Echo,
		Title: Text{"one address has sent as much as it may within an hour", "同一地址一小时内的流量达到上限"},
		Explain: Text{
			"{address} has sent the {limit} bytes that the echo service returns to one client within an hour. What was taken until then has been returned.",
			"{address} 一小时内发送的字节已达到回声服务对单个客户端的上限 {limit}。此前收下的内容都已返回。",
		},
		Remedy: Text{
			"Wait until the hour is over, or raise `--max-bytes` on the server.",
			"等这一小时过去，或在服务器上调高 `--max-bytes`。",
		},
	},
	{
		ID: EchoTimeLimit, Severity: Info, Stage: Echo,
		Title: Text{"the connection has lasted as long as it may", "连接时长达到上限"},
		Explain: Text{
			"A connection to the echo service ends after {seconds} seconds, however busy it is. What was taken until then has been returned.",
			"到回声服务的连接在 {seconds} 秒后结束，无论是否繁忙。此前收下的内容都已返回。",
		},
		Remedy: Text{
			"Connect again, or raise `--max-time` on the server.",
			"重新连接，或在服务器上调高 `--max-time`。",
		},
	},
	{
		ID: EchoIdle, Severity: Info, Stage: Echo,
		Title: Text{"nothing has moved for too long", "长时间没有数据往来"},
		Explain: Text{
			"For {seconds} seconds the client sent nothing, or its receiving side took nothing of what is returned.",
			"客户端 {seconds} 秒内没有发送任何数据，或其接收端没有取走任何返回的数据。",
		},
		Remedy: Text{
			"Connect again when there is something to send; on the server see `--idle`.",
			"有数据要发时再连接；服务器端见 `--idle`。",
		},
	},
	{
		ID: EchoStranger, Severity: Warning, Stage: Echo,
		Title: Text{"somebody other than the echo server connected to the receiving port", "连到接收端口的不是回声服务器"},
		Explain: Text{
			"A connection from {address} came to the port on which `picket echo talk` waits for what returns. Only the server that was talked to may connect there; the connection was closed and nothing of it printed.",
			"有来自 {address} 的连接到达 `picket echo talk` 等待返回数据的端口。只有正在对话的服务器可以连到这里；该连接已关闭，其内容没有显示。",
		},
		Remedy: Text{
			"A scanner does this; nothing needs to be done. If it is the server under another address, talk to it by that address.",
			"多半是扫描器，无需处理。如果是服务器的另一个地址，请改用那个地址连接。",
		},
	},
	{
		ID: ProbeTokenWrong, Severity: Error, Stage: Echo,
		Title: Text{"the probe's token is wrong", "探测令牌错误"},
		Explain: Text{
			"The client at {address} and the probe service do not hold the same token, so that nothing is answered. The token itself never crosses the network.",
			"{address} 的客户端与探测服务持有的令牌不同，因此不予回答。令牌本身不会在网络上传输。",
		},
		Remedy: Text{
			"Put the same token into the file of `--token-file` (or into the environment as PICKET_PROBE_TOKEN) on both sides.",
			"在两端的 `--token-file` 文件（或环境变量 PICKET_PROBE_TOKEN）中放入相同的令牌。",
		},
	},
	{
		ID: ProbeTooOften, Severity: Warning, Stage: Echo,
		Title: Text{"one address asks the probe too often", "同一地址探测过于频繁"},
		Explain: Text{
			"{address} has had {limit} sessions with the probe service within a minute, or asks for more in one session than a diagnosis needs.",
			"{address} 一分钟内的探测会话已达 {limit} 次，或在一次会话中的请求超过诊断所需。",
		},
		Remedy: Text{
			"Wait a minute.",
			"等一分钟再试。",
		},
	},
	{
		ID: ProbeMalformed, Severity: Warning, Stage: Echo,
		Title: Text{"the other side does not speak the probe's protocol", "对方不是探测协议"},
		Explain: Text{
			"What came from {address} is not the probe's protocol, or not this version of it: another program uses the port, or something on the way changed the bytes.",
			"来自 {address} 的数据不是探测协议，或版本不同：端口被其他程序占用，或途中有设备改动了数据。",
		},
		Remedy: Text{
			"See that port {port} is the one of `picket echo serve --probe`, and that both sides run the same version of Picket.",
			"确认端口 {port} 属于 `picket echo serve --probe`，并且两端的 Picket 版本相同。",
		},
	},
	{
		ID: ProbeUDPBlocked, Severity: Info, Stage: Echo,
		Title: Text{"UDP does not get through to the probe", "UDP 无法到达探测服务"},
		Explain: Text{
			"The TCP connection to {address} works, and no UDP datagram to port {port} came through. Loss and the largest packet can then not be measured one by one; what TCP itself tells is used in their place.",
			"到 {address} 的 TCP 连接正常，但到端口 {port} 的 UDP 数据报没有一个通过。此时无法逐包测量丢包和最大包长，改用 TCP 自身的数据。",
		},
		Remedy: Text{
			"Open UDP {port} to the probe's machine if these figures matter. MQTT does not need it.",
			"如果需要这些数据，请放行到探测主机的 UDP {port}。MQTT 本身不需要它。",
		},
	},
}
