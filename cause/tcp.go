package cause

// clouds are the recipes for opening a port in a cloud's console.
var clouds = []string{"alibaba", "tencent", "huawei", "aws", "azure", "google", "oracle"}

// hostFirewalls are the recipes for opening a port on the machine itself.
var hostFirewalls = []string{"ufw", "firewalld", "nftables", "iptables"}

// tcpCauses: the address is right, and no connection to the port comes about or lasts beyond its first moment.
var tcpCauses = []Cause{
	{
		ID: SecurityGroupClosed, Severity: Error, Stage: TCP,
		Title: Text{"the cloud's security group does not let the port in", "云安全组没有放行端口"},
		Explain: Text{
			"Connections time out, they are never refused; ping may work, because it is allowed by default, and port 22 answers. `tcpdump` on the server shows that nothing arrives for port {port}. This is the most frequent answer to \"my phone cannot connect\".",
			"连接超时，从不被拒绝；ping 可能正常（默认放行），22 端口有响应。在服务器上用 `tcpdump` 看不到任何到端口 {port} 的包。这是“手机连不上”最常见的原因。",
		},
		Remedy: Text{
			"Add an inbound rule for TCP {port} from 0.0.0.0/0 and ::/0 to the group of this very server.",
			"在该服务器所属的安全组里添加入方向规则：TCP {port}，来源 0.0.0.0/0 和 ::/0。",
		},
		Recipes: clouds,
	},
	{
		ID: SecurityGroupWrongRule, Severity: Error, Stage: TCP,
		Title: Text{"the security group has a rule, but a wrong one", "安全组规则加错了"},
		Explain: Text{
			"It still times out after the port was opened: the rule is for UDP, for outbound traffic, names the port as the source port, belongs to another group, server or region, stands behind a rule that denies, or allows the office's address only. Then it works from the office and not from mobile data.",
			"放行之后仍然超时：规则写成了 UDP、写在出方向、端口填进了源端口、属于别的安全组、实例或地域、被优先级更高的拒绝规则挡住，或只允许办公室的地址——于是办公室能连，移动网络不行。",
		},
		Remedy: Text{
			"List the rules that are in force for this server. Alibaba: at equal priority a denial wins. Tencent: the topmost rule wins. Azure: the groups of the network card and of the subnet must both allow it.",
			"列出对该服务器实际生效的规则。阿里云：同优先级时拒绝优先；腾讯云：列表越靠上越优先；Azure：网卡和子网的 NSG 都要放行。",
		},
		Recipes: clouds,
	},
	{
		ID: LightServerFirewall, Severity: Error, Stage: TCP,
		Title: Text{"a light cloud server has a firewall of its own", "轻量应用服务器另有一套防火墙"},
		Explain: Text{
			"Lighthouse, Simple Application Server and Lightsail do not use the security groups of the big servers: there is nothing to edit there, and the port times out.",
			"轻量应用服务器（Lighthouse、Simple Application Server、Lightsail）不使用普通云服务器的安全组：在安全组页面找不到它，端口一直超时。",
		},
		Remedy: Text{
			"Open TCP {port} on the firewall tab of the instance itself.",
			"在该实例自己的“防火墙”页面放行 TCP {port}。",
		},
		Recipes: []string{"alibaba-light", "tencent-light", "aws"},
	},
	{
		ID: PanelFirewall, Severity: Error, Stage: TCP,
		Title: Text{"a hosting panel manages the firewall", "宝塔等面板管理着防火墙"},
		Explain: Text{
			"The cloud's console is open, and a panel such as BT (宝塔) on the server has its own list of ports, kept in ufw or firewalld. The SYN arrives and no answer leaves.",
			"云控制台已放行，但服务器上的宝塔等面板另有端口列表（底层是 ufw 或 firewalld）。SYN 能到达主机，却没有应答。",
		},
		Remedy: Text{
			"Open {port} on the panel's security page (宝塔 → 安全), or in ufw or firewalld directly.",
			"在面板的“安全”页面放行 {port}（宝塔 → 安全），或直接修改 ufw、firewalld。",
		},
		Recipes: []string{"ufw", "firewalld"},
	},
	{
		ID: VPCACL, Severity: Error, Stage: TCP,
		Title: Text{"the subnet's access list lets no answers out", "子网网络 ACL 没有放行回程"},
		Explain: Text{
			"Network access lists of a subnet keep no state: the SYN arrives, the answer leaves the server, and the client never gets it, because the outbound rules lack its port. Only captures at both ends show the difference.",
			"子网的网络 ACL 是无状态的：SYN 到达了，应答也发出了，但出方向规则没有放行客户端的端口，客户端收不到。只有两端同时抓包才能看出区别。",
		},
		Remedy: Text{
			"Allow TCP {port} inbound and 1024 to 65535 outbound in the subnet's list.",
			"在子网 ACL 中放行入方向 TCP {port} 和出方向 1024 到 65535。",
		},
	},
	{
		ID: HostFirewallDrop, Severity: Error, Stage: TCP,
		Title: Text{"the machine's own firewall drops the packets", "主机防火墙丢弃了数据包"},
		Explain: Text{
			"Connections time out as with a closed security group, but `tcpdump` on the server sees the SYN arrive and nothing leave. `ufw status` or `nft list ruleset` lacks the port, dmesg has [UFW BLOCK] with DPT={port}.",
			"和安全组未放行一样超时，但在服务器上 `tcpdump` 能看到 SYN 到达却没有应答。`ufw status` 或 `nft list ruleset` 里没有该端口，dmesg 里有 [UFW BLOCK] … DPT={port}。",
		},
		Remedy: Text{
			"Open TCP {port} in the firewall that the machine uses.",
			"在主机所用的防火墙中放行 TCP {port}。",
		},
		Recipes: hostFirewalls,
	},
	{
		ID: HostFirewallReject, Severity: Error, Stage: TCP,
		Title: Text{"the machine's own firewall rejects the connection", "主机防火墙主动拒绝"},
		Explain: Text{
			"\"No route to host\" comes at once although ping works: the firewall answers with ICMP prohibited. firewalld does so, and Oracle's images, whose iptables list ends with a REJECT below which an appended rule is never reached.",
			"ping 正常，连接却立刻报 \"No route to host\"：防火墙返回了 ICMP 禁止。firewalld 如此，Oracle 云镜像也如此——它的 iptables 末尾有 REJECT，追加在后面的规则永远轮不到。",
		},
		Remedy: Text{
			"firewalld: add the port. Oracle's Ubuntu: `sudo iptables -I INPUT 1 -p tcp --dport {port} -j ACCEPT && sudo netfilter-persistent save`, inserted, not appended.",
			"firewalld：添加端口。Oracle 的 Ubuntu：`sudo iptables -I INPUT 1 -p tcp --dport {port} -j ACCEPT && sudo netfilter-persistent save`，要插入而不是追加。",
		},
		Recipes: []string{"firewalld", "iptables"},
	},
	{
		ID: NoPublicIP, Severity: Error, Stage: TCP,
		Title: Text{"the server has no public address, no bandwidth, or an unpaid bill", "没有公网 IP、带宽为 0 或欠费"},
		Explain: Text{
			"Nothing on the server answers, not even a ping, and it reaches nothing itself; only the cloud's console gets in.",
			"服务器完全没有响应，ping 也不通，自己也无法访问外网，只能从云控制台登录。",
		},
		Remedy: Text{
			"Bind an elastic IP, set a bandwidth above 0, pay the bill, start the server; look whether a DDoS protection has put the address into a black hole.",
			"绑定弹性公网 IP、带宽设为大于 0、续费、启动实例；并检查是否被 DDoS 防护拉入黑洞。",
		},
	},
	{
		ID: WrongPort, Severity: Error, Stage: TCP,
		Title: Text{"the broker listens on another port", "服务端在别的端口上"},
		Explain: Text{
			"Nothing listens on port {port} of {host}, but another port of the same machine speaks MQTT. 1883 is the usual port for plain MQTT, 8883 for TLS, 8083 and 9001 for WebSocket, 8084 and 443 for WebSocket with TLS.",
			"{host} 的端口 {port} 没有程序监听，但同一台机器的另一个端口有 MQTT 服务。常用端口：1883 明文，8883 TLS，8083 和 9001 为 WebSocket，8084 和 443 为带 TLS 的 WebSocket。",
		},
		Remedy: Text{
			"Enter the port that works in the client; or add a listener for {port} on the broker.",
			"在客户端填写能用的端口；或在服务端为 {port} 增加监听。",
		},
	},
	{
		ID: AddressConflict, Severity: Error, Stage: TCP,
		Title: Text{"two machines have the same address", "两台机器用了同一个 IP 地址"},
		Explain: Text{
			"In this network more than one machine answers for {address}. Packets go now to the one and now to the other: connections are refused or break off, and work again a while later. Most often one has an address that was entered by hand, and the router hands the same one out to another; copied virtual machines and SD cards do it as well.",
			"本网络中不止一台机器应答 {address}。数据包时而到这台、时而到那台：连接被拒绝或中断，过一会儿又好了。最常见的是一台手工填写了地址，而路由器又把它分配给了另一台；复制的虚拟机或 SD 卡也会这样。",
		},
		Remedy: Text{
			"Find both by their hardware addresses in the router's list of devices. Give the broker an address that the router reserves for it, and take away the one entered by hand; then `sudo ip neigh flush all` on the client, or wait a minute.",
			"在路由器的设备列表中按 MAC 地址找出这两台机器。在路由器里为服务端保留一个固定地址，去掉手工填写的地址；然后在客户端执行 `sudo ip neigh flush all`，或等一分钟。",
		},
	},
	{
		ID: NoDefaultRoute, Severity: Warning, Stage: TCP,
		Title: Text{"this machine has no way to other networks", "本机没有通往其他网络的路由"},
		Explain: Text{
			"The broker's machine has no default gateway, or one that does not answer. Clients in its own network get in; what comes from other networks may arrive, and the answers find no way back, so that those clients wait until they give up.",
			"服务端所在的机器没有默认网关，或者默认网关没有应答。同一网络里的客户端可以连上；其他网络来的数据可能到得了，但应答回不去，那些客户端只能一直等到超时。",
		},
		Remedy: Text{
			"`ip route` shows the routes. Enter the router's address as the gateway where the address of the machine is set (`sudo nmtui`, netplan, `/etc/network/interfaces`), or let the router hand out both (DHCP).",
			"用 `ip route` 查看路由。在设置本机地址的地方（`sudo nmtui`、netplan、`/etc/network/interfaces`）把路由器的地址填为网关，或改用 DHCP 由路由器分配。",
		},
	},
	{
		ID: HostDown, Severity: Error, Stage: TCP,
		Title: Text{"no machine answers at this address", "该地址上没有机器应答"},
		Explain: Text{
			"The last router, or this machine itself, has asked in the network for the one with the address {address}, and none has answered: it is switched off, has got another address from the router, or is in another network. That takes about three seconds; a firewall that rejects answers at once.",
			"最后一跳路由器（或本机）在网络里询问谁是 {address}，没有机器应答：它关机了、从路由器得到了新地址，或在另一个网络里。这个过程约三秒；而防火墙主动拒绝是立刻返回的。",
		},
		Remedy: Text{
			"Look at the machine: is it on, and which address does it have now (`ip addr`, or the router's list of devices)? Give it a fixed address in the router.",
			"检查那台机器是否开机，以及现在的地址（`ip addr`，或路由器的设备列表）。在路由器里给它设置固定地址。",
		},
	},
	{
		ID: NATNoPortForward, Severity: Error, Stage: TCP,
		Title: Text{"the router does not forward the port", "路由器没有做端口映射"},
		Explain: Text{
			"The broker stands at home or in an office behind a router: it works in the same network and times out from outside. The public address is not among the machine's own.",
			"服务端在家里或公司的路由器后面：同一网络内正常，外部超时。公网地址不在本机网卡上。",
		},
		Remedy: Text{
			"Forward TCP {port} on the router to the broker's machine (`ip -br addr` on it shows its address in the network), and try from mobile data.",
			"在路由器上把 TCP {port} 转发到服务端所在的机器（在该机器上用 `ip -br addr` 查看内网地址），然后用移动数据测试。",
		},
	},
	{
		ID: CGNAT, Severity: Error, Stage: TCP,
		Title: Text{"the internet provider shares one address among many customers", "运营商级 NAT，没有独立公网地址"},
		Explain: Text{
			"It times out even with port forwarding: the router's own address outside is in 100.64.0.0/10, or is not the one that the internet sees.",
			"做了端口映射仍然超时：路由器 WAN 口地址在 100.64.0.0/10 内，或与外网看到的地址不同。",
		},
		Remedy: Text{
			"Ask the provider for a public address, use IPv6, or a small server elsewhere with a tunnel (WireGuard, frp, Cloudflare Tunnel with WebSocket).",
			"向运营商申请公网 IP，使用 IPv6，或租一台小服务器做隧道（WireGuard、frp、Cloudflare Tunnel 加 WebSocket）。",
		},
	},
	{
		ID: HairpinNAT, Severity: Warning, Stage: TCP,
		Title: Text{"the router does not lead its own network back in", "路由器不支持内网回环访问"},
		Explain: Text{
			"Outside clients connect and those in the broker's own network do not, because they use the public name and the router does not turn them round. Mobile data works, home Wi-Fi does not.",
			"外部客户端正常，与服务端同一内网的反而连不上：它们用公网域名访问，而路由器不支持回环。移动数据能连，家里 Wi-Fi 不行。",
		},
		Remedy: Text{
			"Give the name the private address inside (split DNS or hosts file), or switch NAT loopback on in the router.",
			"在内网把域名解析到内网地址（内外分离 DNS 或 hosts），或在路由器上打开 NAT 回环。",
		},
	},
	{
		ID: CarrierOrCorpBlocksPort, Severity: Error, Stage: TCP,
		Title: Text{"the client's network blocks the port", "客户端所在网络封了端口"},
		Explain: Text{
			"From one network {port} times out or is reset while 443 on the same host opens, and another network reaches {port}. Companies, hotels and some carriers allow web ports only.",
			"在某个网络里 {port} 超时或被重置，而同一主机的 443 能打开，换个网络 {port} 也能连。公司、酒店和部分运营商只放行网页端口。",
		},
		Remedy: Text{
			"Offer WebSocket with TLS on 443 (path /mqtt), or MQTT over TLS on 443.",
			"在 443 端口提供 wss（路径 /mqtt），或在 443 上提供 TLS 的 MQTT。",
		},
		Recipes: []string{"nginx-websocket"},
	},
	{
		ID: CaptivePortalOrAPIsolation, Severity: Error, Stage: TCP,
		Title: Text{"the Wi-Fi wants a login or keeps its clients apart", "Wi-Fi 需要认证，或开启了设备隔离"},
		Explain: Text{
			"A connection opens and brings a web page or a wrong certificate (a login portal), or a broker in the same house is not reachable from the guest Wi-Fi (isolation). Nothing reaches the broker.",
			"连接打开后得到网页或错误的证书（认证门户），或在访客 Wi-Fi 里访问不到同一屋里的服务端（设备隔离）。服务端收不到任何数据。",
		},
		Remedy: Text{
			"Log in to the portal; leave the guest network; turn client isolation (AP isolation) off in the access point.",
			"先完成 Wi-Fi 认证；不要用访客网络；在路由器上关闭客户端隔离（AP 隔离）。",
		},
	},
	{
		ID: CrossBorder, Severity: Warning, Stage: TCP,
		Title: Text{"the way is long, slow or disturbed", "跨境或高延迟线路"},
		Explain: Text{
			"Handshakes take more than a second or are reset at random, and the device gives up first. TLS needs two to three round trips, so a limit of five seconds fails at a round trip of about one.",
			"握手超过一秒，或被随机重置，设备先放弃了。TLS 需要两到三个往返，往返约 1 秒时 5 秒的超时就不够。",
		},
		Remedy: Text{
			"Raise the client's connect time-out to 15 seconds or more, use TLS 1.3 and session tickets, or a server in a nearer region.",
			"客户端连接超时调到 15 秒以上，使用 TLS 1.3 和会话票据，或选择更近的地域。",
		},
	},
	{
		ID: ICPSNIBlock, Severity: Error, Stage: TCP,
		Title: Text{"the domain has no ICP filing", "域名未备案"},
		Explain: Text{
			"On a server in mainland China, connections by name to 80, 443, 8080 and 8443 are reset or shown a notice, while the address alone and ports 1883 and 8883 work. The same with another or no server name passes.",
			"在中国大陆机房，用域名访问 80、443、8080、8443 会被重置或显示备案提示，而直接用 IP 或走 1883、8883 正常。换一个或不带 SNI 也能通过。",
		},
		Remedy: Text{
			"File the domain (ICP), use a port that is not for the web, or a region outside the mainland.",
			"完成 ICP 备案，改用非网页端口，或使用大陆以外的地域。",
		},
	},
	{
		ID: MTUBlackhole, Severity: Error, Stage: TCP,
		Title: Text{"large packets get lost on the way", "MTU 黑洞，大包丢失"},
		Explain: Text{
			"The connection opens and small messages pass, but TLS hangs after its first packet, or large messages stall. `ping -M do -s 1400 {host}` fails and `-s 1200` passes. VPNs and PPPoE lines do this when ICMP is blocked.",
			"连接能建立，小消息正常，但 TLS 在第一个包后卡住，或大消息发不动。`ping -M do -s 1400 {host}` 失败而 `-s 1200` 通过。VPN 和 PPPoE 线路在 ICMP 被屏蔽时常见。",
		},
		Remedy: Text{
			"`sudo iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu` on the router, or a lower MTU on the tunnel.",
			"在路由器上执行 `sudo iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu`，或调低隧道的 MTU。",
		},
	},
	{
		ID: MaxConnections, Severity: Error, Stage: TCP,
		Title: Text{"the broker has as many connections as it may have", "达到最大连接数"},
		Explain: Text{
			"`max_connections` ({limit}) or the global limit is reached: further connections are closed at once, without a CONNACK, as mosquitto does it and Picket with --mosquitto or under a flood. The log says \"denied: max_connections exceeded\".",
			"已达到 `max_connections`（{limit}）或全局上限：新连接立即关闭，没有 CONNACK（mosquitto 如此，Picket 在 --mosquitto 模式或连接过多时也如此）。日志为 \"denied: max_connections exceeded\"。",
		},
		Remedy: Text{
			"Raise the limit, or find the program that opens connections and never closes them.",
			"调高上限，或找出只开不关连接的程序。",
		},
	},
	{
		ID: FDLimit, Severity: Error, Stage: TCP,
		Title: Text{"the system allows the broker no more open files", "文件描述符用尽"},
		Explain: Text{
			"At about {limit} connections every further one is closed; with the usual limit of 1024 that is about 1015. The log says that the system socket count has been exceeded.",
			"连接数到 {limit} 左右后新连接全部被关闭；默认上限 1024 时约为 1015 个。日志提示 system socket count has been exceeded。",
		},
		Remedy: Text{
			"`LimitNOFILE=1048576` in the systemd unit, `--ulimit nofile=1048576:1048576` with Docker. Picket raises its soft limit to the hard one by itself.",
			"systemd 单元中加 `LimitNOFILE=1048576`，Docker 用 `--ulimit nofile=1048576:1048576`。Picket 会自动把软限制提到硬限制。",
		},
	},
	{
		ID: ConnectFlood, Severity: Warning, Stage: TCP,
		Title: Text{"too many connections are open and have not logged in", "未登录的连接过多"},
		Explain: Text{
			"Connections that are no clients yet (silent, in the middle of a TLS handshake, an HTTP request or a CONNECT, or waiting for their password to be checked) may take a quarter of the open files and a bounded part of the memory together. Beyond that the address that takes the most of it, here {address}, loses its oldest connection; other addresses lose nothing.",
			"尚未成为客户端的连接（不发数据、正在 TLS 握手、正在发 HTTP 请求或 CONNECT、或等待密码校验）合计最多占用四分之一的文件描述符和限定的内存。超出后，占用最多的地址（这里是 {address}）最早建立的连接会被关闭，其他地址不受影响。",
		},
		Remedy: Text{
			"It passes by itself after a reconnect storm. If a program of yours opens the connections, let it wait between attempts and close what it does not use. If they are hostile, shut the address out in the firewall. If many devices share the address behind a proxy, let the proxy send a PROXY header (`proxy_from`), so that each is charged to its own.",
			"重连风暴过后会自行恢复。如果是自己的程序，请加大重试间隔并关闭不用的连接；如果是恶意连接，请在防火墙上拦截该地址。如果许多设备经同一代理而来，请让代理发送 PROXY 头（`proxy_from`），这样各设备按自己的地址计算。",
		},
	},
	{
		ID: RateLimitOrBan, Severity: Error, Stage: TCP,
		Title: Text{"the client's address is banned or slowed down", "地址被封禁或限速"},
		Explain: Text{
			"One address is refused or closed and others are not; trying faster makes the ban longer. Look at `fail2ban-client status`, /etc/hosts.deny and the broker's own list.",
			"某个地址被拒绝或断开，其他地址正常；越频繁重试封得越久。检查 `fail2ban-client status`、/etc/hosts.deny 和服务端自身的封禁列表。",
		},
		Remedy: Text{
			"Lift the ban, correct what caused it (a wrong password in a loop), and slow the client's retries.",
			"解除封禁，改正起因（例如循环使用错误密码），并降低重试频率。",
		},
	},
}
