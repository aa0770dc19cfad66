package cause

// recipes are instructions that several remedies share. Braces that are not places, as in nft's syntax, have spaces or capital
// letters inside.
var recipes = []Recipe{
	{
		Name:  "ufw",
		Title: Text{"ufw (Ubuntu, Debian)", "ufw（Ubuntu、Debian）"},
		Steps: Text{
			"sudo ufw allow {port}/tcp comment mqtt\nsudo ufw status numbered",
			"sudo ufw allow {port}/tcp comment mqtt\nsudo ufw status numbered",
		},
	},
	{
		Name:  "firewalld",
		Title: Text{"firewalld (RHEL, Fedora, CentOS)", "firewalld（RHEL、Fedora、CentOS）"},
		Steps: Text{
			"sudo firewall-cmd --permanent --add-port={port}/tcp\nsudo firewall-cmd --reload\nsudo firewall-cmd --get-active-zones    # is it the zone of the network card that faces the clients?",
			"sudo firewall-cmd --permanent --add-port={port}/tcp\nsudo firewall-cmd --reload\nsudo firewall-cmd --get-active-zones    # 确认是面向客户端的网卡所在的 zone",
		},
	},
	{
		Name:  "iptables",
		Title: Text{"iptables", "iptables"},
		Steps: Text{
			"sudo iptables -I INPUT 1 -p tcp --dport {port} -j ACCEPT\nsudo ip6tables -I INPUT 1 -p tcp --dport {port} -j ACCEPT\nsudo netfilter-persistent save          # on RHEL: sudo service iptables save",
			"sudo iptables -I INPUT 1 -p tcp --dport {port} -j ACCEPT\nsudo ip6tables -I INPUT 1 -p tcp --dport {port} -j ACCEPT\nsudo netfilter-persistent save          # RHEL 上用 sudo service iptables save",
		},
	},
	{
		Name:  "nftables",
		Title: Text{"nftables", "nftables"},
		Steps: Text{
			"sudo nft list chains   # the chain with \"hook input\" decides; if it is not input in the table inet filter, write its table and name below\nsudo nft insert rule inet filter input tcp dport {port} accept\n# then put the same rule into /etc/nftables.conf",
			"sudo nft list chains   # 带 \"hook input\" 的链起作用；若它不是 inet filter 表的 input，请在下面改成它的表名和链名\nsudo nft insert rule inet filter input tcp dport {port} accept\n# 再把同样的规则写入 /etc/nftables.conf",
		},
	},
	{
		Name:  "acme",
		Title: Text{"A certificate from Let's Encrypt", "申请 Let's Encrypt 证书"},
		Steps: Text{
			"sudo certbot certonly --standalone -d {host}\n# port 80 must be open meanwhile; --deploy-hook copies the files and reloads the broker at each renewal",
			"sudo certbot certonly --standalone -d {host}\n# 申请期间 80 端口必须开放；用 --deploy-hook 在每次续期后复制文件并重载服务端",
		},
	},
	{
		Name:  "nginx-websocket",
		Title: Text{"WebSocket through nginx", "nginx 转发 WebSocket"},
		Steps: Text{
			"# 9001 is the broker's own port for WebSocket (listener 9001 127.0.0.1, protocol websockets), not the one that nginx listens on\nlocation /mqtt {\n    proxy_pass http://127.0.0.1:9001;\n    proxy_http_version 1.1;\n    proxy_set_header Upgrade $http_upgrade;\n    proxy_set_header Connection \"upgrade\";\n    proxy_set_header Host $host;\n    proxy_read_timeout 3600s;\n    proxy_send_timeout 3600s;\n}",
			"# 9001 是服务端自己的 WebSocket 端口（listener 9001 127.0.0.1、protocol websockets），不是 nginx 监听的端口\nlocation /mqtt {\n    proxy_pass http://127.0.0.1:9001;\n    proxy_http_version 1.1;\n    proxy_set_header Upgrade $http_upgrade;\n    proxy_set_header Connection \"upgrade\";\n    proxy_set_header Host $host;\n    proxy_read_timeout 3600s;\n    proxy_send_timeout 3600s;\n}",
		},
	},
	{
		Name:  "nginx-stream",
		Title: Text{"TLS in nginx, plain MQTT behind it", "nginx 终结 TLS，后端明文 MQTT"},
		Steps: Text{
			"stream {\n    server {\n        listen 8883 ssl;\n        ssl_certificate     /etc/letsencrypt/live/{host}/fullchain.pem;\n        ssl_certificate_key /etc/letsencrypt/live/{host}/privkey.pem;\n        proxy_pass 127.0.0.1:1883;\n        proxy_timeout 1h;\n    }\n}",
			"stream {\n    server {\n        listen 8883 ssl;\n        ssl_certificate     /etc/letsencrypt/live/{host}/fullchain.pem;\n        ssl_certificate_key /etc/letsencrypt/live/{host}/privkey.pem;\n        proxy_pass 127.0.0.1:1883;\n        proxy_timeout 1h;\n    }\n}",
		},
	},
	{
		Name:  "alibaba",
		Title: Text{"Alibaba Cloud ECS", "阿里云 ECS"},
		Steps: Text{
			"ECS console → Network & Security → Security Groups → choose the region → Manage Rules → Inbound → Add: Allow, priority 1, TCP, {port}/{port}, 0.0.0.0/0\naliyun ecs AuthorizeSecurityGroup --RegionId REGION --SecurityGroupId sg-ID --IpProtocol tcp --PortRange {port}/{port} --SourceCidrIp 0.0.0.0/0",
			"ECS 控制台 → 网络与安全 → 安全组 → 选择地域 → 管理规则 → 入方向 → 手动添加：允许，优先级 1，TCP，{port}/{port}，0.0.0.0/0\naliyun ecs AuthorizeSecurityGroup --RegionId 地域 --SecurityGroupId sg-ID --IpProtocol tcp --PortRange {port}/{port} --SourceCidrIp 0.0.0.0/0",
		},
	},
	{
		Name:  "alibaba-light",
		Title: Text{"Alibaba Cloud Simple Application Server", "阿里云轻量应用服务器"},
		Steps: Text{
			"Simple Application Server → the server's card → Firewall → Add Rule: TCP, {port}",
			"轻量应用服务器 → 服务器卡片 → 防火墙 → 添加规则：TCP，{port}",
		},
	},
	{
		Name:  "tencent",
		Title: Text{"Tencent Cloud CVM", "腾讯云 CVM"},
		Steps: Text{
			"CVM → Security Groups → Modify Rules → Inbound → Add: source 0.0.0.0/0, TCP:{port}, Allow (rules higher in the list win)",
			"云服务器 CVM → 安全组 → 修改规则 → 入站规则 → 添加规则：来源 0.0.0.0/0，TCP:{port}，允许（列表越靠上优先级越高）",
		},
	},
	{
		Name:  "tencent-light",
		Title: Text{"Tencent Cloud Lighthouse", "腾讯云轻量应用服务器"},
		Steps: Text{
			"Lighthouse → the instance → Firewall → Add Rule: TCP, {port}",
			"轻量应用服务器 Lighthouse → 实例 → 防火墙 → 添加规则：TCP，{port}",
		},
	},
	{
		Name:  "huawei",
		Title: Text{"Huawei Cloud ECS", "华为云 ECS"},
		Steps: Text{
			"ECS → the instance → Security Groups → Manage Rule → Inbound Rules → Add: Allow, IPv4, TCP {port}, 0.0.0.0/0\nSee that an elastic IP is bound, and open the subnet's network ACL too if it has one.",
			"弹性云服务器 ECS → 实例 → 安全组 → 配置规则 → 入方向规则 → 添加规则：允许，IPv4，TCP {port}，0.0.0.0/0\n确认已绑定弹性公网 IP；子网若有网络 ACL 也要放行。",
		},
	},
	{
		Name:  "aws",
		Title: Text{"AWS EC2 and Lightsail", "AWS EC2 与 Lightsail"},
		Steps: Text{
			"EC2 → Instances → Security → the security group → Edit inbound rules → Add rule: Custom TCP {port}, 0.0.0.0/0\naws ec2 authorize-security-group-ingress --group-id sg-ID --protocol tcp --port {port} --cidr 0.0.0.0/0\nLightsail: the instance → Networking → IPv4 Firewall",
			"EC2 → 实例 → 安全 → 安全组 → 编辑入站规则 → 添加规则：自定义 TCP {port}，0.0.0.0/0\naws ec2 authorize-security-group-ingress --group-id sg-ID --protocol tcp --port {port} --cidr 0.0.0.0/0\nLightsail：实例 → 联网 → IPv4 防火墙",
		},
	},
	{
		Name:  "azure",
		Title: Text{"Azure", "Azure"},
		Steps: Text{
			"The virtual machine → Networking → Network settings → Create port rule → Inbound: TCP {port}\naz vm open-port -g GROUP -n VM --port {port} --priority 310\nBoth the subnet's and the network card's security group must allow it.",
			"虚拟机 → 网络 → 网络设置 → 创建端口规则 → 入站：TCP {port}\naz vm open-port -g 资源组 -n 虚拟机 --port {port} --priority 310\n子网和网卡的网络安全组都要放行。",
		},
	},
	{
		Name:  "google",
		Title: Text{"Google Cloud", "Google Cloud"},
		Steps: Text{
			"VPC network → Firewall → Create firewall rule: ingress, target tag mqtt, TCP {port}\ngcloud compute firewall-rules create mqtt --allow=tcp:{port} --source-ranges=0.0.0.0/0 --target-tags=mqtt\ngcloud compute instances add-tags VM --tags=mqtt",
			"VPC 网络 → 防火墙 → 创建防火墙规则：入站，目标标记 mqtt，TCP {port}\ngcloud compute firewall-rules create mqtt --allow=tcp:{port} --source-ranges=0.0.0.0/0 --target-tags=mqtt\ngcloud compute instances add-tags 实例 --tags=mqtt",
		},
	},
	{
		Name:  "oracle",
		Title: Text{"Oracle Cloud", "Oracle Cloud"},
		Steps: Text{
			"VCN → Security Lists (or NSG) → Add ingress rule: TCP, destination port {port} (not source port), 0.0.0.0/0\nThe image has a firewall of its own as well:\nsudo iptables -I INPUT 1 -p tcp --dport {port} -j ACCEPT && sudo netfilter-persistent save",
			"VCN → 安全列表（或 NSG）→ 添加入站规则：TCP，目标端口 {port}（不是源端口），0.0.0.0/0\n镜像自带防火墙，也要放行：\nsudo iptables -I INPUT 1 -p tcp --dport {port} -j ACCEPT && sudo netfilter-persistent save",
		},
	},
}
