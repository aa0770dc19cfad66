package cause

// nameCauses: the name does not lead to the broker's address.
var nameCauses = []Cause{
	{
		ID: PrivateIPUsed, Severity: Error, Stage: Name,
		Title: Text{"the address is a private one that is not reachable from outside", "填写的是内网地址"},
		Explain: Text{
			"{host} is a private address (10., 172.16 to 172.31, 192.168., 100.64 to 100.127, 169.254., 127.0.0.1): from another network it times out, or someone else's device answers. In a cloud the server's own network card shows only such an address, because the public one is translated.",
			"{host} 是私有地址（10.、172.16 到 172.31、192.168.、100.64 到 100.127、169.254.、127.0.0.1）：从别的网络访问会超时，或连到局域网里别人的设备。云服务器的网卡只显示内网地址，公网地址是映射出来的。",
		},
		Remedy: Text{
			"Enter the public address: `curl -s https://ifconfig.me` on the server, or the cloud's console (on Alibaba's servers also http://100.100.100.200/latest/meta-data/eipv4). At home, connect the phone to the same Wi-Fi.",
			"填写公网地址：在服务器上运行 `curl -s https://ifconfig.me`，或到云控制台查看（阿里云也可访问 http://100.100.100.200/latest/meta-data/eipv4）。在家里则让手机连同一个 Wi-Fi。",
		},
	},
	{
		ID: DNSMissingOrStale, Severity: Error, Stage: Name,
		Title: Text{"the name has no address, or an old one", "域名没有解析，或解析到旧地址"},
		Explain: Text{
			"{host} is not found (NXDOMAIN), or leads to an address that the server no longer has; different resolvers may answer differently until the old record runs out. An ESP32 does not find .local names without mDNS.",
			"{host} 查不到（NXDOMAIN），或指向服务器已不再使用的地址；旧记录过期前，不同 DNS 的结果可能不同。ESP32 没有 mDNS 时无法解析 .local。",
		},
		Remedy: Text{
			"Correct the A and AAAA records and wait for their TTL; compare `dig {host} @1.1.1.1` and `dig {host} @223.5.5.5` with the server's public address.",
			"修正 A、AAAA 记录并等待 TTL 过期；用 `dig {host} @1.1.1.1`、`dig {host} @223.5.5.5` 与服务器公网地址对比。",
		},
	},
	{
		ID: DNSNoAnswer, Severity: Error, Stage: Name,
		Title: Text{"the name server does not answer", "DNS 服务器没有应答"},
		Explain: Text{
			"The question for the address of {host} got no answer at all, or an error: the client's name server is down or blocked, or its network does not lead to the internet. Whether {host} exists is not known.",
			"查询 {host} 的地址时没有得到任何应答，或返回错误：客户端使用的 DNS 服务器故障或被拦截，或者网络没有连通外网。{host} 本身是否存在还不清楚。",
		},
		Remedy: Text{
			"Try another name (`nslookup example.com`). If none works, set another name server (223.5.5.5, 1.1.1.1) or look after the network; a private DNS or a VPN on the phone can be the reason, too. An address in place of the name works without a name server.",
			"试着解析别的域名（`nslookup example.com`）。如果都不行，换一个 DNS（223.5.5.5、1.1.1.1）或检查网络；手机上的私有 DNS 或 VPN 也可能是原因。直接填 IP 地址则不需要 DNS。",
		},
		ConsequenceOf: []ID{ClientOffline},
	},
	{
		ID: ClientOffline, Severity: Error, Stage: Name,
		Title: Text{"the client itself has no network", "客户端自己没有联网"},
		Explain: Text{
			"No interface of the client's machine has an address, or it knows no way to {host}. Nothing can be said about the server.",
			"客户端所在机器没有任何网卡获得地址，或没有通往 {host} 的路由。服务端的情况无从得知。",
		},
		Remedy: Text{
			"Connect it to a network: switch Wi-Fi or mobile data on, plug the cable in, see whether it has got an address (`ip addr`) and a way out (`ip route`).",
			"先让它联网：打开 Wi-Fi 或移动数据，插好网线，查看是否获得地址（`ip addr`）和路由（`ip route`）。",
		},
	},
	{
		ID: CDNProxiedDNS, Severity: Error, Stage: Name,
		Title: Text{"the name leads to a CDN instead of the server", "域名指向了 CDN 而不是服务器"},
		Explain: Text{
			"{host} resolves to a CDN such as Cloudflare, which passes on web traffic only: 443 opens, 1883 and 8883 time out, or the connection opens and no CONNACK comes.",
			"{host} 解析到 Cloudflare 等 CDN，而 CDN 只转发网页流量：443 能连上，1883 和 8883 超时，或者连上后收不到 CONNACK。",
		},
		Remedy: Text{
			"Switch the record to \"DNS only\", or use WebSocket on 443 through the CDN with a keep alive below 100 seconds.",
			"把该记录改为“仅 DNS”，或通过 CDN 的 443 端口使用 WebSocket，keepalive 小于 100 秒。",
		},
	},
	{
		ID: IPv4OnlyListener, Severity: Error, Stage: Name,
		Title: Text{"the server listens on IPv4 and the client tries IPv6", "服务端只监听 IPv4，客户端先走 IPv6"},
		Explain: Text{
			"The name has an AAAA record, or localhost means ::1, and the listener is bound to an IPv4 address: refused or timed out by name, while the IPv4 address works. Old libraries do not try the second address.",
			"域名有 AAAA 记录，或 localhost 解析为 ::1，而监听绑定在 IPv4 上：用域名被拒绝或超时，用 IPv4 地址就正常。旧的客户端库不会再试第二个地址。",
		},
		Remedy: Text{
			"Write `listener {port}` without an address, open the port for IPv6 in the firewall too, or delete the AAAA record.",
			"`listener {port}` 不要写地址，防火墙也放行 IPv6；或删除 AAAA 记录。",
		},
	},
	{
		ID: IPv6OnlyClient, Severity: Error, Stage: Name,
		Title: Text{"the phone's network has IPv6 only and was given an IPv4 address", "手机网络只有 IPv6，而填写的是 IPv4 地址"},
		Explain: Text{
			"Some carriers give phones IPv6 alone and translate names (NAT64, DNS64). An IPv4 address typed as numbers is then \"network unreachable\"; a name works. Apple's review tests exactly this.",
			"有些运营商只给手机 IPv6，靠域名转换访问 IPv4（NAT64、DNS64）。直接填 IPv4 数字地址会报“网络不可达”，用域名则正常。苹果审核就会测试这一点。",
		},
		Remedy: Text{
			"Give people a name instead of numbers, and add IPv6 to the server if you can.",
			"给用户域名而不是数字地址；有条件的话给服务器加上 IPv6。",
		},
	},
	{
		ID: IPv6OnlyServer, Severity: Error, Stage: Name,
		Title: Text{"the server has IPv6 only", "服务器只有 IPv6"},
		Explain: Text{
			"The name has an AAAA record and no A record: networks and firmware without IPv6 cannot reach it.",
			"域名只有 AAAA 记录没有 A 记录：没有 IPv6 的网络和固件无法访问。",
		},
		Remedy: Text{
			"Rent an IPv4 address for the server, or put a proxy with both in front.",
			"给服务器申请 IPv4 地址，或在前面放一个双栈代理。",
		},
	},
}
