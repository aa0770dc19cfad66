package cause

// firstBytesCauses: the port answers, but the two sides do not speak the same protocol.
var firstBytesCauses = []Cause{
	{
		ID: TLSToPlainPort, Severity: Error, Stage: FirstBytes,
		Title: Text{"the client speaks TLS to a port without TLS", "用 TLS 连接了明文端口"},
		Explain: Text{
			"The first byte is 0x16, a TLS ClientHello, and the listener on port {port} has no certificate. The client reports a failed handshake, \"wrong version number\" or an end of file, or it hangs. mosquitto_pub and mosquitto_sub turn TLS on by themselves for port 8883.",
			"首字节是 0x16（TLS ClientHello），而端口 {port} 没有配置证书。客户端报握手失败、\"wrong version number\"、EOF，或一直卡住。mosquitto_pub 和 mosquitto_sub 遇到 8883 端口会自动启用 TLS。",
		},
		Remedy: Text{
			"Give the listener `certfile` and `keyfile`, or connect to the port that has TLS, usually 8883. With `protocol auto` Picket serves both on one port. Only where nobody can listen in, such as on one machine, turn TLS off in the client: mqtt://{host}:{port}.",
			"给监听端口配置 `certfile` 和 `keyfile`，或改连 TLS 端口（通常是 8883）。Picket 的 `protocol auto` 可在同一端口同时支持两者。只有在不会被窃听的环境（例如同一台机器内）才关闭客户端的 TLS：mqtt://{host}:{port}。",
		},
	},
	{
		ID: PlainToTLSPort, Severity: Error, Stage: FirstBytes,
		Title: Text{"the client speaks plain MQTT to a TLS port", "用明文连接了 TLS 端口"},
		Explain: Text{
			"The listener on port {port} waits for a TLS handshake and got an MQTT CONNECT. The client loses its connection without an answer (Paho: rc 7). Some libraries leave TLS out without a word when its options are not attached.",
			"端口 {port} 等待 TLS 握手，却收到了明文 CONNECT。客户端没有收到应答就断开（Paho 为 rc 7）。有些库在没有挂上 TLS 选项时会悄悄使用明文。",
		},
		Remedy: Text{
			"Use mqtts://{host}:{port} and give the client the CA certificate.",
			"使用 mqtts://{host}:{port}，并在客户端指定 CA 证书。",
		},
	},
	{
		ID: WSToTCPPort, Severity: Error, Stage: FirstBytes,
		Title: Text{"the client speaks HTTP or WebSocket to a plain MQTT port", "用 WebSocket 连接了普通 MQTT 端口"},
		Explain: Text{
			"The first bytes are GET or another HTTP method, and the listener on port {port} speaks MQTT over TCP only. The browser reports that the connection was closed before the handshake ended. A browser can use ws:// and wss:// only.",
			"首字节是 GET 等 HTTP 方法，而端口 {port} 只支持 TCP 上的 MQTT。浏览器报告握手完成前连接已关闭。浏览器只能使用 ws:// 或 wss://。",
		},
		Remedy: Text{
			"Connect to the WebSocket port (9001 with mosquitto, 8083 and 8084 with EMQX), or add `listener 9001` with `protocol websockets`. With `protocol auto` Picket serves both on one port.",
			"改连 WebSocket 端口（mosquitto 常用 9001，EMQX 为 8083 和 8084），或增加 `listener 9001` 和 `protocol websockets`。Picket 的 `protocol auto` 可在同一端口同时支持两者。",
		},
	},
	{
		ID: TCPToWSPort, Severity: Error, Stage: FirstBytes,
		Title: Text{"the client speaks plain MQTT to a WebSocket port", "用普通 MQTT 连接了 WebSocket 端口"},
		Explain: Text{
			"The listener on port {port} waits for an HTTP upgrade and got an MQTT CONNECT (first byte 0x10). The client gets no CONNACK; the connection closes or hangs.",
			"端口 {port} 等待 HTTP 升级，却收到了 MQTT CONNECT（首字节 0x10）。客户端收不到 CONNACK，连接关闭或卡住。",
		},
		Remedy: Text{
			"Choose the transport WebSocket in the client (ws://{host}:{port}/mqtt), or connect to the plain port, usually 1883.",
			"在客户端把传输方式改为 WebSocket（ws://{host}:{port}/mqtt），或改连普通端口（通常是 1883）。",
		},
	},
	{
		ID: BrokerSilent, Severity: Error, Stage: FirstBytes,
		Title: Text{"the port opens and then nothing answers", "端口能连上，但没有任何应答"},
		Explain: Text{
			"Connections to port {port} are opened, whatever is said on them is not answered, and they are not closed either. The operating system opens connections for a program that hangs or has no time; a balancer or a CDN does so for a server behind it that is not there.",
			"端口 {port} 能建立连接，但发送任何内容都没有应答，也不断开。程序卡死或来不及处理时，操作系统仍会替它建立连接；负载均衡或 CDN 也会替背后不存在的服务器建立连接。",
		},
		Remedy: Text{
			"On the server: is the broker at 100 % of a core, or stopped (`top`, state T)? Look at the end of its log and restart it. With a balancer or a CDN in front, try the server's own address.",
			"在服务器上查看：服务端进程是否占满一个核心，或处于停止状态（`top` 中状态为 T）？查看日志末尾并重启。前面有负载均衡或 CDN 时，直连服务器地址试试。",
		},
		ConsequenceOf: []ID{Overloaded},
	},
	{
		ID: ConnectTimeout, Severity: Warning, Stage: FirstBytes,
		Title: Text{"the client connected and did not send a CONNECT in time", "连接后没有及时发送 CONNECT"},
		Explain: Text{
			"{address} opened a connection and did not complete a CONNECT within {seconds} seconds, so the place is given to someone else. Port scanners, health checks of load balancers, half-open connections and clients that wait for the other side to begin look like this.",
			"{address} 建立了连接，但 {seconds} 秒内没有发完 CONNECT，于是关闭以腾出位置。端口扫描、负载均衡健康检查、半开连接，以及等对方先开口的客户端都会这样。",
		},
		Remedy: Text{
			"Nothing for scanners and health checks. For a real client, look for a slow network, a proxy that holds data back, or a program that opens the connection long before it logs in.",
			"扫描和健康检查无需处理。如果是真正的客户端，检查网络是否过慢、代理是否滞留数据，或程序是否过早建立连接。",
		},
	},
	{
		ID: ProxyProtocolMismatch, Severity: Error, Stage: FirstBytes,
		Title: Text{"one side uses the PROXY protocol and the other does not", "PROXY 协议两端设置不一致"},
		Explain: Text{
			"A balancer puts a PROXY header before the client's bytes and the listener does not expect it, or the listener expects one and gets a CONNECT. Every connection ends at once without a CONNACK, and the balancer's health checks fail. Straight and through the balancer the result is just the opposite.",
			"负载均衡在客户端数据前加了 PROXY 头而监听端口不认识，或监听端口要求 PROXY 头却直接收到 CONNECT。所有连接立刻断开且没有 CONNACK，健康检查也失败。直连与经代理的结果正好相反。",
		},
		Remedy: Text{
			"Switch it on at both ends (HAProxy `send-proxy-v2`, nginx `proxy_protocol on;`; Picket `proxy_from` with the balancer's address, mosquitto since 2.1 `enable_proxy_protocol 2`) or at neither; mosquitto 2.0 does not know it.",
			"两端都打开（HAProxy `send-proxy-v2`、nginx `proxy_protocol on;`；Picket 用 `proxy_from` 写明负载均衡的地址，mosquitto 2.1 起用 `enable_proxy_protocol 2`），或两端都关闭；mosquitto 2.0 不支持。",
		},
		ConsequenceOf: []ID{ProxyHeaderUnexpected, ProxyHeaderMissing, ProxyHeaderMalformed},
	},
	{
		ID: ProxyHeaderUnexpected, Severity: Error, Stage: FirstBytes,
		Title: Text{"a PROXY header came where none is allowed", "收到了不该出现的 PROXY 头"},
		Explain: Text{
			"{address} began with a PROXY header, but the listener on port {port} does not take one, or not from this address. It is refused, since anyone could claim to be someone else by such a header.",
			"{address} 以 PROXY 头开始，但端口 {port} 不接受，或不信任该地址。因为任何人都能借此冒充别的地址，所以拒绝。",
		},
		Remedy: Text{
			"Take send-proxy out of the balancer, or switch the PROXY protocol on for this listener and name the balancer's address as trusted.",
			"在负载均衡上去掉 send-proxy；或在该监听端口打开 PROXY 协议，并把负载均衡的地址列为可信。",
		},
	},
	{
		ID: ProxyHeaderMissing, Severity: Error, Stage: FirstBytes,
		Title: Text{"the PROXY header that this port demands is missing", "缺少该端口要求的 PROXY 头"},
		Explain: Text{
			"The listener on port {port} takes connections from a proxy that tells the client's address first. {address} began with something else: a client that went around the proxy, or a proxy without send-proxy.",
			"端口 {port} 要求代理先报告客户端地址，而 {address} 发来的不是 PROXY 头：客户端绕过了代理，或代理没有打开 send-proxy。",
		},
		Remedy: Text{
			"Switch send-proxy on in the balancer, or give clients that come directly a listener of their own.",
			"在负载均衡上打开 send-proxy；或给直连的客户端单独开一个监听端口。",
		},
	},
	{
		ID: ProxyHeaderMalformed, Severity: Error, Stage: FirstBytes,
		Title: Text{"the PROXY header cannot be read", "PROXY 头格式错误"},
		Explain: Text{
			"{address} sent a PROXY header that is cut off, too long or wrong, or of a version that the listener does not take.",
			"{address} 发来的 PROXY 头不完整、过长、内容有误，或版本不被该监听端口接受。",
		},
		Remedy: Text{
			"Use version 2 (`send-proxy-v2`) at the balancer and the same version here.",
			"负载均衡使用版本 2（`send-proxy-v2`），服务端设为相同版本。",
		},
	},
	{
		ID: TLSWithoutCertificate, Severity: Error, Stage: FirstBytes,
		Title: Text{"the client wants TLS and the broker has no certificate", "客户端要用 TLS，但服务端没有证书"},
		Explain: Text{
			"The listener on port {port} would serve TLS beside plain MQTT, but no certificate is configured for it, so the handshake cannot be answered.",
			"端口 {port} 本可同时提供 TLS，但没有为它配置证书，因此无法应答握手。",
		},
		Remedy: Text{
			"Give the listener `certfile` and `keyfile`, or turn TLS off in the client.",
			"给该监听端口配置 `certfile` 和 `keyfile`，或在客户端关闭 TLS。",
		},
	},
	{
		ID: UnknownProtocol, Severity: Info, Stage: FirstBytes,
		Title: Text{"the first bytes are of no protocol that belongs here", "首字节不属于任何预期的协议"},
		Explain: Text{
			"{address} began with bytes that are not MQTT, TLS, HTTP or PROXY: an SSH client on the wrong port (SSH-), a port scanner, a database client. The connection is closed.",
			"{address} 发来的首字节不是 MQTT、TLS、HTTP 或 PROXY：可能是 SSH 客户端连错端口（SSH-）、端口扫描器或数据库客户端。连接已关闭。",
		},
		Remedy: Text{
			"Nothing for a scanner: ports on the internet are scanned all day. For a program of your own, correct its port.",
			"扫描器无需理会，公网端口整天都有人扫。如果是自己的程序，请改正端口。",
		},
	},
}
