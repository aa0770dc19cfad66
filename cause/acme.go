package cause

// acmeCauses: a public authority gives no certificate. The one in use keeps serving meanwhile.
var acmeCauses = []Cause{
	{
		ID: ACMEPortClosed, Severity: Error, Stage: TLS,
		Title: Text{"the certificate authority does not reach port 80 of this machine", "证书颁发机构连不上本机的 80 端口"},
		Explain: Text{
			"For a certificate the authority connects to port 80 of {host} from several places in the world, and nobody answers: a security group or a firewall drops it, or a router leads it nowhere.",
			"颁发证书前，颁发机构会从世界各地连接 {host} 的 80 端口，但没有应答：安全组或防火墙没有放行，或路由器没有转发。",
		},
		Remedy: Text{
			"Open TCP port 80 to the internet in the cloud's security group and the machine's firewall (443 will do instead). Picket tries again by itself.",
			"在云安全组和本机防火墙中对公网放行 TCP 80 端口（只放行 443 也可以）。Picket 会自动重试。",
		},
	},
	{
		ID: ACMENameElsewhere, Severity: Error, Stage: TLS,
		Title: Text{"the name for the certificate does not lead to this machine", "证书的域名没有指向本机"},
		Explain: Text{
			"The authority looked {host} up and found no address, or somebody else answered there: the A or AAAA record is missing, old, or names another machine or a proxy.",
			"颁发机构查询 {host} 时没有查到地址，或应答的是别的机器：A 或 AAAA 记录缺失、过时，或指向了其他机器或代理。",
		},
		Remedy: Text{
			"Set the A record of {host} to this machine's public address, and an AAAA record only if IPv6 leads here too. Picket tries again by itself.",
			"把 {host} 的 A 记录设为本机的公网地址；只有 IPv6 也能到达本机时才设 AAAA 记录。Picket 会自动重试。",
		},
	},
	{
		ID: ACMECAA, Severity: Error, Stage: TLS,
		Title: Text{"a CAA record forbids the certificate", "CAA 记录禁止颁发证书"},
		Explain: Text{
			"The domain of {host} has a CAA record that lists which authorities may issue certificates for it, and the one that was asked is not among them.",
			"{host} 所在的域名有 CAA 记录，列出了允许的颁发机构，其中没有当前使用的这一家。",
		},
		Remedy: Text{
			"Add a CAA record for that authority (`0 issue \"letsencrypt.org\"`), or remove the records.",
			"为该机构添加 CAA 记录（`0 issue \"letsencrypt.org\"`），或删除 CAA 记录。",
		},
	},
	{
		ID: ACMERateLimited, Severity: Error, Stage: TLS,
		Title: Text{"the certificate authority limits how often it is asked", "申请证书过于频繁，被颁发机构限流"},
		Explain: Text{
			"Too many certificates were asked for {host}, or too many attempts failed, within the time that the authority counts.",
			"在颁发机构的统计时间内，{host} 申请的证书过多，或失败次数过多。",
		},
		Remedy: Text{
			"Wait: Picket asks again later by itself. Keep the data directory, so that a certificate is not asked for anew at each start.",
			"等待即可：Picket 稍后会自动重试。请保留数据目录，以免每次启动都重新申请证书。",
		},
	},
	{
		ID: ACMEPortTaken, Severity: Error, Stage: TLS,
		Title: Text{"ports 80 and 443 cannot be opened for the certificate authority", "无法打开供颁发机构验证的 80 和 443 端口"},
		Explain: Text{
			"Another program, such as a web server, has them, or this user may not open ports below 1024.",
			"端口被网页服务器等其他程序占用，或当前用户无权打开 1024 以下的端口。",
		},
		Remedy: Text{
			"Stop the other program, or have the web server get the certificate and name its files (`certfile`, `keyfile`). Started by root or by the systemd unit of the package, Picket may open these ports.",
			"停掉占用端口的程序；或由网页服务器申请证书，再在配置中写明文件（`certfile`、`keyfile`）。由 root 启动，或使用软件包自带的 systemd 单元时，Picket 可以打开这些端口。",
		},
	},
	{
		ID: ACMERefused, Severity: Error, Stage: TLS,
		Title: Text{"the certificate authority refuses the certificate", "颁发机构拒绝颁发证书"},
		Explain: Text{
			"The authority answered that it does not give a certificate for {host}; its words stand in the log. Private addresses and names without a public domain get none anywhere.",
			"颁发机构答复不为 {host} 颁发证书，原话见日志。内网地址和没有公共域名的名称在哪里都申请不到证书。",
		},
		Remedy: Text{
			"Use a public name or address of this machine (`--domain`, `--name`), or install the certificate authority of the first start on the clients.",
			"使用本机的公网域名或地址（`--domain`、`--name`），或在客户端上安装首次启动生成的 CA 证书。",
		},
	},
	{
		ID: ACMEUnreachable, Severity: Error, Stage: TLS,
		Title: Text{"the certificate authority cannot be reached", "连不上证书颁发机构"},
		Explain: Text{
			"This machine gets no usable answer from the authority: no way to the internet, a name server that fails, a proxy between, or the authority is down.",
			"本机得不到颁发机构的有效应答：无法上网、域名解析失败、中间有代理，或颁发机构出现故障。",
		},
		Remedy: Text{
			"Try `curl https://acme-v02.api.letsencrypt.org/directory` on this machine. Picket tries again by itself.",
			"在本机运行 `curl https://acme-v02.api.letsencrypt.org/directory` 试试。Picket 会自动重试。",
		},
	},
}
