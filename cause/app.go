package cause

// appCauses: something inside the phone, the app or the page, before anything is sent or while it sleeps.
var appCauses = []Cause{
	{
		ID: AppFormMistake, Severity: Error, Stage: App,
		Title: Text{"a field of the app's form is filled in wrongly", "应用表单填写有误"},
		Explain: Text{
			"The host field holds a scheme (mqtt://), a space, a path or a full-width 。or ：; the port is empty or in the host; the TLS switch does not fit the port.",
			"主机一栏填了协议头（mqtt://）、空格、路径，或全角的 。 ：；端口为空或写进了主机栏；TLS 开关与端口不匹配。",
		},
		Remedy: Text{
			"Host: {host}. Port: {port}. TLS: off for 1883, on for 8883. Path, for WebSocket only: /mqtt. Scanning the QR code avoids typing.",
			"主机：{host}。端口：{port}。TLS：1883 关闭，8883 打开。路径（仅 WebSocket）：/mqtt。扫二维码可以免去输入。",
		},
	},
	{
		ID: MixedContent, Severity: Error, Stage: App,
		Title: Text{"a page from https may not open ws://", "https 页面不允许连接 ws://"},
		Explain: Text{
			"The browser blocks the connection before a packet leaves; its console says Mixed Content or DOMException. The broker sees nothing.",
			"浏览器在发包之前就拦截了，控制台显示 Mixed Content 或 DOMException，服务端看不到任何连接。",
		},
		Remedy: Text{
			"Use wss:// with a certificate that browsers trust. With a private CA, open the https:// address of the broker in a tab once, or install the CA.",
			"使用 wss:// 和浏览器信任的证书。若是私有 CA，先在标签页里打开一次服务端的 https:// 地址，或安装该 CA。",
		},
		Recipes: []string{"nginx-websocket", "acme"},
	},
	{
		ID: WeChatMiniProgram, Severity: Error, Stage: App,
		Title: Text{"a WeChat mini program connects to listed domains only", "微信小程序只能连接登记过的域名"},
		Explain: Text{
			"It works in the developer tools and fails on a phone, with a message that the address is not in the list of socket domains. The broker sees nothing.",
			"开发者工具里正常，真机失败，提示“不在以下 socket 合法域名列表中”。服务端看不到任何连接。",
		},
		Remedy: Text{
			"Use wss on port 443 with a filed domain (ICP), a full certificate chain and TLS 1.2 or later, and add the domain under 开发设置 → socket 合法域名. The path is usually /mqtt.",
			"使用 443 端口的 wss、已备案的域名、完整证书链和 TLS 1.2 以上，并在“开发设置 → socket 合法域名”中添加该域名。路径一般为 /mqtt。",
		},
	},
	{
		ID: AndroidCleartext, Severity: Error, Stage: App,
		Title: Text{"Android forbids the app to send unencrypted", "安卓禁止明文传输"},
		Explain: Text{
			"Since Android 9 the HTTP stacks (OkHttp, WebView) report \"CLEARTEXT communication not permitted\" and send nothing. Libraries that open a socket themselves are not bound by it.",
			"Android 9 起，OkHttp、WebView 等会报 \"CLEARTEXT communication not permitted\" 且不发任何数据。自己开套接字的 MQTT 库不受限制。",
		},
		Remedy: Text{
			"Use wss:// or mqtts://; or allow the domain in a networkSecurityConfig with cleartextTrafficPermitted=\"true\". The flag in the manifest is ignored once such a file exists.",
			"使用 wss:// 或 mqtts://；或在 networkSecurityConfig 中对该域名设置 cleartextTrafficPermitted=\"true\"。有了该文件后，清单里的开关不再生效。",
		},
	},
	{
		ID: IOSATS, Severity: Error, Stage: App,
		Title: Text{"iOS App Transport Security blocks the connection", "被 iOS 的 ATS 拦截"},
		Explain: Text{
			"The app gets NSURLError -1022 or -1200 within milliseconds and nothing arrives. Libraries with sockets of their own are not bound by it. For brokers in the same network iOS 14 and later ask for the local network permission.",
			"应用几毫秒内就得到 NSURLError -1022 或 -1200，服务端收不到数据。自己开套接字的库不受限制。iOS 14 起访问局域网还需要“本地网络”权限。",
		},
		Remedy: Text{
			"Use a trusted certificate and TLS 1.2 or later, or an entry in NSExceptionDomains; allow the app the local network in the settings.",
			"使用受信任的证书和 TLS 1.2 以上，或在 NSExceptionDomains 中加例外；在系统设置里允许应用访问本地网络。",
		},
	},
	{
		ID: AndroidDoze, Severity: Warning, Stage: App,
		Title: Text{"Android puts the app to sleep", "安卓休眠导致掉线"},
		Explain: Text{
			"With the screen off the app may run every nine minutes or less often, pings are late, and the broker disconnects it by the keep alive, in bursts at night. On the charger it stays.",
			"熄屏后应用最多每九分钟才能运行一次，心跳迟到，被服务端按 keepalive 断开，夜里成批出现。插电时则稳定。",
		},
		Remedy: Text{
			"Run a foreground service, exempt the app from battery optimisation (and allow auto-start on MIUI, EMUI and ColorOS), set the keep alive to 300 seconds or more, and wake the app by push.",
			"使用前台服务，关闭该应用的电池优化（MIUI、EMUI、ColorOS 还要允许自启动），keepalive 设为 300 秒以上，用推送唤醒。",
		},
	},
	{
		ID: IOSBackground, Severity: Warning, Stage: App,
		Title: Text{"iOS suspends the app in the background", "iOS 后台挂起应用"},
		Explain: Text{
			"Thirty seconds to three minutes after the app goes to the background its connection is gone; on return it shows error 57. The broker notices by the keep alive.",
			"应用进入后台 30 秒到 3 分钟后连接就断了，回到前台报错误 57。服务端靠 keepalive 发现。",
		},
		Remedy: Text{
			"Disconnect when the app resigns and reconnect when it becomes active; keep the session with an expiry of MQTT 5; wake the app by push (APNs).",
			"进入后台时主动断开，回到前台再连接；用 MQTT 5 的会话有效期保留状态；用 APNs 推送唤醒。",
		},
	},
	{
		ID: PhoneVPNOrDNS, Severity: Error, Stage: App,
		Title: Text{"a VPN, a proxy or a private DNS on the phone is in the way", "手机上的 VPN、代理或私有 DNS 造成干扰"},
		Explain: Text{
			"One phone times out or reaches another host while others on the same network work. The broker's log shows the exit of a VPN as the source, or nothing.",
			"同一网络下只有这部手机超时或连到别的主机。服务端日志里来源是 VPN 出口地址，或什么都没有。",
		},
		Remedy: Text{
			"Turn it off and try again; then exclude the app in the VPN's settings, and look at Private DNS.",
			"关掉后再试；确认后在 VPN 中排除该应用，并检查“私有 DNS”。",
		},
	},
	{
		ID: ESPWiFiState, Severity: Error, Stage: App,
		Title: Text{"the board's Wi-Fi is in a bad state", "ESP 固件的 Wi-Fi 状态异常"},
		Explain: Text{
			"PubSubClient reports -2 (no TCP) or -4 (no answer) for ever, a reset cures it, and a PC on the same Wi-Fi connects. Nothing arrives at the broker.",
			"PubSubClient 一直返回 -2（TCP 失败）或 -4（超时），复位就好；同一 Wi-Fi 下的 PC 能连上。服务端收不到任何连接。",
		},
		Remedy: Text{
			"Call WiFi.mode(WIFI_STA) before begin(), use one WiFiClient per connection, and watch the free heap.",
			"在 begin() 之前调用 WiFi.mode(WIFI_STA)，每个连接用单独的 WiFiClient，并监视空闲堆内存。",
		},
	},
}
