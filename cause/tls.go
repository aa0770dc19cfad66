package cause

// tlsCauses: the TLS handshake fails.
var tlsCauses = []Cause{
	{
		ID: TLSUnknownCA, Severity: Error, Stage: TLS,
		Title: Text{"the client does not trust the server's certificate authority", "客户端不信任服务端证书的颁发者"},
		Explain: Text{
			"The certificate is self-signed or comes from a private CA that the client does not know. The client sends alert 48 (unknown_ca) or 46 (certificate_unknown), and the broker logs it. With verification switched off the handshake succeeds.",
			"证书是自签的，或由客户端不认识的私有 CA 颁发。客户端发出告警 48（unknown_ca）或 46（certificate_unknown），服务端会记录。关闭校验就能握手成功。",
		},
		Remedy: Text{
			"Install the CA certificate in the client (Picket's first start makes one and says where), or use a certificate from a public CA such as Let's Encrypt. On Android 7 and later an app sees user-installed CAs only with a networkSecurityConfig.",
			"在客户端安装 CA 证书（Picket 首次启动会生成并告知位置），或改用 Let's Encrypt 等公共 CA 的证书。Android 7 及以上的应用需在 networkSecurityConfig 中声明才会信任用户安装的 CA。",
		},
		Recipes: []string{"acme"},
	},
	{
		ID: TLSNameMismatch, Severity: Error, Stage: TLS,
		Title: Text{"the server's certificate is for another name", "证书与所连的主机名不符"},
		Explain: Text{
			"The client connects to {host}, and that name or address is not among the certificate's subject alternative names. Today's clients do not look at the common name. They report \"altnames\", \"host name verification failed\" or an IP that is not in the list.",
			"客户端连接的是 {host}，而它不在证书的 SAN（使用者可选名称）里。如今的客户端不再看 CN。常见报错有 \"altnames\"、\"host name verification failed\" 或 IP 不在列表中。",
		},
		Remedy: Text{
			"Connect by a name that the certificate has, or have one issued that has {host} among its subject alternative names, as DNS: for a name and as IP: for an address.",
			"用证书里有的名称连接，或重新签发 SAN 中包含 {host} 的证书（域名写作 DNS:，地址写作 IP:）。",
		},
	},
	{
		ID: TLSExpired, Severity: Error, Stage: TLS,
		Title: Text{"the server's certificate has expired", "服务端证书已过期"},
		Explain: Text{
			"The certificate in use ended {days} days ago; clients send alert 45. Often the file on disk was renewed and the broker still serves the old one: compare the fingerprint of the file with the one of `openssl s_client -connect {host}:{port}`.",
			"正在使用的证书已过期 {days} 天，客户端发出告警 45。常见情况是磁盘上的文件已续期，服务端却还在用旧的：可比较文件指纹与 `openssl s_client -connect {host}:{port}` 的结果。",
		},
		Remedy: Text{
			"Renew it, and reload the broker after each renewal (`systemctl reload`, or a deploy hook of certbot).",
			"续期证书，并在每次续期后重载服务端（`systemctl reload`，或 certbot 的 deploy hook）。",
		},
		ConsequenceOf: []ID{ClockSkew},
		Recipes:       []string{"acme"},
	},
	{
		ID: TLSNotYetValid, Severity: Error, Stage: TLS,
		Title: Text{"the server's certificate is not valid yet", "服务端证书尚未生效"},
		Explain: Text{
			"The certificate begins in {days} days. It was made on a machine whose clock is ahead, or for later; or the clock of the client is behind.",
			"证书要在 {days} 天后才生效：签发它的机器时钟超前，或本来就是为以后准备的；也可能是客户端的时钟慢了。",
		},
		Remedy: Text{
			"Compare the clocks of both sides (`date -u`). If they are right, issue the certificate again.",
			"比较两端的时钟（`date -u`）。如果都正确，重新签发证书。",
		},
		ConsequenceOf: []ID{ClockSkew},
	},
	{
		ID: TLSExpiresSoon, Severity: Warning, Stage: TLS,
		Title: Text{"the server's certificate is about to expire", "服务端证书即将过期"},
		Explain: Text{
			"The certificate ends in {days} days. From then on no client that checks it connects any more. Certificates of Let's Encrypt are usually renewed a month before their end: the renewal does not work, or the broker was not reloaded after it.",
			"证书还有 {days} 天到期，之后凡是校验证书的客户端都连不上。Let's Encrypt 证书一般提前一个月续期：可能续期失败，或续期后没有重载服务端。",
		},
		Remedy: Text{
			"`sudo certbot renew --dry-run` shows whether renewal works. Renew it, and reload the broker after each renewal.",
			"`sudo certbot renew --dry-run` 可检查续期是否正常。续期证书，并在每次续期后重载服务端。",
		},
	},
	{
		ID: TLSIncompleteChain, Severity: Error, Stage: TLS,
		Title: Text{"the server does not send its intermediate certificate", "证书链不完整，缺少中间证书"},
		Explain: Text{
			"The broker serves cert.pem alone. Desktop systems find the missing piece by themselves; phones and ESP boards report \"unable to get local issuer certificate\". `openssl s_client` shows one certificate only.",
			"服务端只提供了 cert.pem。电脑能自行补全，手机和 ESP 则报 \"unable to get local issuer certificate\"。`openssl s_client` 只看到一张证书。",
		},
		Remedy: Text{
			"Configure `certfile fullchain.pem` and reload.",
			"配置 `certfile fullchain.pem` 并重载。",
		},
	},
	{
		ID: TLSClientRejectedCertificate, Severity: Error, Stage: TLS,
		Title: Text{"the client refused the server's certificate", "客户端拒绝了服务端证书"},
		Explain: Text{
			"The client ended the handshake with an alert about the certificate that does not say more (42 or 46): an unknown CA, another name, an incomplete chain or a wrong clock all look like this from here.",
			"客户端用一个含义笼统的证书告警（42 或 46）中止了握手：CA 不受信任、名称不符、证书链不完整、时钟不对，从服务端看都是这样。",
		},
		Remedy: Text{
			"The client's own log tells which. Then see to it that the client has the CA, connects by a name in the certificate, and knows the date.",
			"具体原因看客户端日志。然后确认：客户端装有 CA、用证书中的名称连接、日期正确。",
		},
		ConsequenceOf: []ID{TLSUnknownCA, TLSNameMismatch, TLSIncompleteChain, TLSExpired, TLSNotYetValid, ClockSkew, OldRootStore},
	},
	{
		ID: ClockSkew, Severity: Error, Stage: TLS,
		Title: Text{"the device does not know the date", "设备时间不正确"},
		Explain: Text{
			"After a power cycle a board thinks it is 1970, and every certificate begins in the future for it. It works once the time has been fetched. Other clients accept the same certificate, and nothing is wrong on the server.",
			"单片机上电后以为是 1970 年，于是所有证书都“尚未生效”；校时之后就正常。其他客户端接受同一张证书，服务端没有问题。",
		},
		Remedy: Text{
			"Set the time by SNTP before TLS (`configTime(0, 0, \"ntp.aliyun.com\", \"pool.ntp.org\")`, UDP port 123 must be open), and keep the last known time in flash. Look at the server's clock too: `timedatectl`.",
			"先用 SNTP 校时再做 TLS（`configTime(0, 0, \"ntp.aliyun.com\", \"pool.ntp.org\")`，需放行 UDP 123），并把最近的时间存入闪存。也检查服务器时钟：`timedatectl`。",
		},
	},
	{
		ID: OldRootStore, Severity: Error, Stage: TLS,
		Title: Text{"an old device does not know today's root certificates", "旧设备不认识新的根证书"},
		Explain: Text{
			"Android before 7.1.1 and old firmware do not have the roots that public CAs use today, such as ISRG Root X1, and report an unknown or expired certificate. Newer devices accept the same chain.",
			"Android 7.1.1 以前的系统和旧固件没有如今公共 CA 使用的根证书（如 ISRG Root X1），会报证书未知或过期。新设备接受同一证书链。",
		},
		Remedy: Text{
			"Ship the root certificate with the app, choose a CA whose root the device has, or update the device.",
			"在应用中内置根证书，换用设备已有根证书的 CA，或升级设备。",
		},
	},
	{
		ID: TLSVersion, Severity: Error, Stage: TLS,
		Title: Text{"client and server have no TLS version in common", "TLS 版本不一致"},
		Explain: Text{
			"The handshake ends with alert 70 (protocol_version). Android before 5, Java 7 and OpenSSL 1.0.0 stop below TLS 1.2; Picket offers 1.2 and 1.3.",
			"握手以告警 70（protocol_version）结束。Android 5 以前、Java 7、OpenSSL 1.0.0 不支持 TLS 1.2；Picket 提供 1.2 和 1.3。",
		},
		Remedy: Text{
			"Update the client. On the broker see `tls_version`; below 1.2 nothing should face the internet.",
			"升级客户端。服务端见 `tls_version`；面向公网不要低于 1.2。",
		},
	},
	{
		ID: TLSCiphers, Severity: Error, Stage: TLS,
		Title: Text{"client and server have no cipher suite in common", "没有共同的密码套件"},
		Explain: Text{
			"The handshake ends with alert 40, the server says \"no shared cipher\". The usual pair is a certificate with an ECDSA key and a client that knows RSA only.",
			"握手以告警 40 结束，服务端提示 \"no shared cipher\"。常见组合是服务端用 ECDSA 证书，而客户端只支持 RSA。",
		},
		Remedy: Text{
			"Serve an RSA certificate, or allow ECDHE-RSA-AES128-GCM-SHA256 in `ciphers`; update the client.",
			"改用 RSA 证书，或在 `ciphers` 中允许 ECDHE-RSA-AES128-GCM-SHA256；升级客户端。",
		},
	},
	{
		ID: ClientCertRequired, Severity: Error, Stage: TLS,
		Title: Text{"the broker demands a client certificate and got none", "服务端要求客户端证书，但客户端没有提供"},
		Explain: Text{
			"The listener has `require_certificate true`. With TLS 1.2 the handshake fails with alert 40; with TLS 1.3 it seems to succeed, and the first read brings alert 116.",
			"该监听端口设置了 `require_certificate true`。TLS 1.2 握手时报告警 40；TLS 1.3 看似成功，第一次读取时才收到告警 116。",
		},
		Remedy: Text{
			"Give the client its certificate and key, or set `require_certificate false`.",
			"给客户端配置证书和私钥，或设为 `require_certificate false`。",
		},
	},
	{
		ID: ClientCertRefused, Severity: Error, Stage: TLS,
		Title: Text{"the client's certificate is not accepted", "客户端证书不被接受"},
		Explain: Text{
			"The certificate that the client from {address} showed is expired, not signed by the CA in `cafile` or `capath`, or not meant for clients (extended key usage clientAuth is missing, alert 43).",
			"来自 {address} 的客户端证书已过期、不是由 `cafile` 或 `capath` 中的 CA 签发，或不是客户端用途（缺少扩展用途 clientAuth，告警 43）。",
		},
		Remedy: Text{
			"Issue the client a certificate of this CA with clientAuth, or add its CA to `cafile` and reload.",
			"用该 CA 签发带 clientAuth 的客户端证书，或把其 CA 加入 `cafile` 并重载。",
		},
	},
	{
		ID: ClientCertRevoked, Severity: Error, Stage: TLS,
		Title: Text{"the client's certificate has been revoked", "客户端证书已被吊销"},
		Explain: Text{
			"The certificate's serial number is on the list in `crlfile`.",
			"该证书的序列号在 `crlfile` 的吊销列表中。",
		},
		Remedy: Text{
			"Issue a new certificate to the device if it is still yours. A certificate that was revoked stays so.",
			"如果设备仍属于你，给它签发新证书；已吊销的证书无法恢复。",
		},
	},
	{
		ID: SNIALPN, Severity: Error, Stage: TLS,
		Title: Text{"the client does not say which name or protocol it wants", "客户端没有带 SNI 或 ALPN"},
		Explain: Text{
			"Several names share a port, and the client's hello carries no server name (or the wrong application protocol): it gets another name's certificate, alert 112 or 120, or a closed connection.",
			"多个域名共用一个端口，而客户端握手时没有带服务器名称（或应用协议不对）：于是得到别的域名的证书、告警 112 或 120，或直接断开。",
		},
		Remedy: Text{
			"Set the server name in the client's TLS options. The ALPN name of MQTT is `mqtt`; AWS IoT on 443 wants `x-amzn-mqtt-ca`.",
			"在客户端 TLS 选项中设置服务器名称。MQTT 的 ALPN 名称是 `mqtt`；AWS IoT 的 443 端口要 `x-amzn-mqtt-ca`。",
		},
	},
	{
		ID: DeviceOutOfMemory, Severity: Error, Stage: TLS,
		Title: Text{"the device has too little memory for TLS", "单片机内存不够做 TLS"},
		Explain: Text{
			"A board with less than about 40 kB of free heap gives up in the middle of the handshake, after seconds and without an alert. A PC accepts the same chain. RSA-4096 keys and long chains make it worse.",
			"空闲堆不足约 40 kB 的单片机会在握手中途放弃，几秒后断开且没有告警。PC 用同一证书链正常。RSA-4096 和长证书链会更严重。",
		},
		Remedy: Text{
			"Use a P-256 certificate and a short chain (Picket's own is such), smaller TLS fragments, and a time limit of ten seconds or more.",
			"使用 P-256 证书和短证书链（Picket 自带的就是），减小 TLS 分片，把超时设为 10 秒以上。",
		},
	},
	{
		ID: TLSHandshakeFailed, Severity: Error, Stage: TLS,
		Title: Text{"the TLS handshake failed", "TLS 握手失败"},
		Explain: Text{
			"The handshake with {address} ended before it was complete, for a reason that the log line quotes: the other side closed, sent an alert, or sent something that is not TLS.",
			"与 {address} 的握手没有完成，日志行里有具体原因：对方断开、发出告警，或发来的不是 TLS 数据。",
		},
		Remedy: Text{
			"Try `openssl s_client -connect {host}:{port} -servername {host}` from the client's place and compare.",
			"在客户端所在位置运行 `openssl s_client -connect {host}:{port} -servername {host}` 对比。",
		},
		ConsequenceOf: []ID{TLSUnknownCA, TLSNameMismatch, TLSExpired, TLSNotYetValid, TLSIncompleteChain, ClockSkew, OldRootStore, TLSVersion, TLSCiphers,
			ClientCertRequired, SNIALPN, DeviceOutOfMemory, CrossBorder, MTUBlackhole},
	},
}
