package cause

// upgradeCauses: TCP and TLS are up, and HTTP does not become WebSocket.
var upgradeCauses = []Cause{
	{
		ID: WSPath, Severity: Error, Stage: Upgrade,
		Title: Text{"the WebSocket path is wrong", "WebSocket 路径不对"},
		Explain: Text{
			"The server answers 404, or 200 or 301 with a web page, because it serves MQTT on another path. EMQX and most clouds want /mqtt; some clients ask for / by default.",
			"服务端返回 404，或返回网页（200、301），因为 MQTT 在另一个路径上。EMQX 和多数云服务要求 /mqtt，有些客户端默认请求 /。",
		},
		Remedy: Text{
			"Enter the path /mqtt in the client; try / and /ws. Picket takes any path.",
			"在客户端把路径填为 /mqtt，或试试 / 和 /ws。Picket 接受任意路径。",
		},
	},
	{
		ID: WSSubprotocol, Severity: Error, Stage: Upgrade,
		Title: Text{"the WebSocket subprotocol does not match", "WebSocket 子协议缺失或不匹配"},
		Explain: Text{
			"The request has no Sec-WebSocket-Protocol header, or none of its values is mqtt, mqttv3.1 or mqttv3.1.1: answer 400. Or the server answers without the header, and the browser closes (\"sent non-empty subprotocol header but no response\").",
			"请求缺少 Sec-WebSocket-Protocol 头，或其中没有 mqtt、mqttv3.1、mqttv3.1.1：返回 400。也可能服务端应答时没带该头，浏览器随即关闭（\"sent non-empty subprotocol header but no response\"）。",
		},
		Remedy: Text{
			"Ask for the subprotocol `mqtt` in the client. A proxy on the way has to hand the header through.",
			"客户端请求子协议 `mqtt`；中间的代理要原样转发该请求头。",
		},
	},
	{
		ID: WSOrigin, Severity: Error, Stage: Upgrade,
		Title: Text{"the page's origin is not allowed", "网页来源（Origin）不被允许"},
		Explain: Text{
			"Browsers say which site a page came from, and the listener takes certain ones only: answer 403. Picket, and mosquitto since 2.1, have `websockets_origin` for it, a proxy a rule about the Origin header. Programs that are not browsers send no origin and are not affected.",
			"浏览器会带上网页的来源，而该监听端口只接受指定来源：返回 403。Picket 以及 mosquitto 2.1 起由 `websockets_origin` 设置，反向代理则是针对 Origin 头的规则。非浏览器程序不带来源，不受影响。",
		},
		Remedy: Text{
			"Add the page's origin, such as https://www.example.com, to the list, and reload.",
			"把网页来源（例如 https://www.example.com）加入列表并重载。",
		},
	},
	{
		ID: WSUpgradeInvalid, Severity: Error, Stage: Upgrade,
		Title: Text{"the request is not a WebSocket upgrade", "请求不是有效的 WebSocket 升级"},
		Explain: Text{
			"An HTTP request reached the listener on port {port} that does not ask for WebSocket version 13 in the proper form: a browser opened the address as a page, a scanner called, or a proxy took the Upgrade header away. Answer 400 or 426.",
			"端口 {port} 收到的 HTTP 请求不是规范的 WebSocket 13 版升级请求：有人把地址当网页打开、有扫描器访问，或代理去掉了 Upgrade 头。返回 400 或 426。",
		},
		Remedy: Text{
			"Use ws:// or wss:// in an MQTT client. Behind nginx, pass Upgrade and Connection on.",
			"在 MQTT 客户端中使用 ws:// 或 wss://。经 nginx 时要转发 Upgrade 和 Connection。",
		},
		ConsequenceOf: []ID{ProxyNoUpgrade, H2ALPN},
		Recipes:       []string{"nginx-websocket"},
	},
	{
		ID: WSFrameInvalid, Severity: Error, Stage: Upgrade,
		Title: Text{"the WebSocket frames are not as MQTT wants them", "WebSocket 帧不符合要求"},
		Explain: Text{
			"After the upgrade the client sent text frames (MQTT travels in binary ones), frames without a mask, or frames that break RFC 6455 otherwise. The connection is closed with 1002 or 1003.",
			"升级之后，客户端发送了文本帧（MQTT 必须用二进制帧）、未掩码的帧，或其他违反 RFC 6455 的帧。连接以 1002 或 1003 关闭。",
		},
		Remedy: Text{
			"Set the socket to binary (in browsers `binaryType = \"arraybuffer\"`, and send a Uint8Array), or use an MQTT library.",
			"使用二进制发送（浏览器中设 `binaryType = \"arraybuffer\"` 并发送 Uint8Array），或直接使用 MQTT 客户端库。",
		},
	},
	{
		ID: ProxyNoUpgrade, Severity: Error, Stage: Upgrade,
		Title: Text{"the reverse proxy does not pass the upgrade on", "反向代理没有转发 Upgrade"},
		Explain: Text{
			"Through nginx the client gets 400, 426, 502 or a page; the broker sees a plain GET with `Connection: close`. Straight to the broker's port the answer is 101.",
			"经 nginx 连接返回 400、426、502 或网页；服务端看到的是带 `Connection: close` 的普通 GET。直连服务端端口则返回 101。",
		},
		Remedy: Text{
			"Set proxy_http_version 1.1 and pass the Upgrade and Connection headers on.",
			"设置 proxy_http_version 1.1，并转发 Upgrade 和 Connection 头。",
		},
		Recipes: []string{"nginx-websocket"},
	},
	{
		ID: H2ALPN, Severity: Error, Stage: Upgrade,
		Title: Text{"the reverse proxy chose HTTP/2", "反向代理协商成了 HTTP/2"},
		Explain: Text{
			"wss fails with an unexpectedly closed connection because client and proxy agreed on h2, over which a plain upgrade does not exist. `curl --http1.1` gets its 101.",
			"客户端与代理协商为 h2，而 h2 没有普通的 Upgrade，因此 wss 连接意外关闭。用 `curl --http1.1` 则能得到 101。",
		},
		Remedy: Text{
			"Serve MQTT's name from a server block of its own without http2.",
			"给 MQTT 单独使用一个不启用 http2 的 server 配置或域名。",
		},
	},
}
