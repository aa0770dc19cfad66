// Package cloud knows the clouds that servers are rented from: what each is called, and where in its console ports are opened. Package
// cloud/detect finds out in which of them a machine runs.
package cloud

import "picket/cause"

// Provider is a cloud.
type Provider struct {
	ID   string // "alibaba"; the causes' recipes are named by it
	Name cause.Text
	// Console is where in the console a port is opened to the internet.
	Console cause.Text
	// Chinese: its customers read Chinese, whatever the locale of the server's image.
	Chinese bool
}

func both(name string) cause.Text { return cause.Text{EN: name, ZH: name} }

// Providers are the clouds that are known.
var Providers = []Provider{
	{"alibaba", cause.Text{EN: "Alibaba Cloud", ZH: "阿里云"}, cause.Text{
		EN: "ECS console → Instances → the instance → Security Groups → Manage Rules → Inbound (Simple Application Server: Firewall)",
		ZH: "ECS 控制台 → 实例 → 安全组 → 管理规则 → 入方向（轻量应用服务器：防火墙）",
	}, true},
	{"tencent", cause.Text{EN: "Tencent Cloud", ZH: "腾讯云"}, cause.Text{
		EN: "CVM console → Instances → the instance → Security Groups → Edit Rules → Inbound Rules (Lighthouse: Firewall)",
		ZH: "云服务器控制台 → 实例 → 安全组 → 编辑规则 → 入站规则（轻量应用服务器：防火墙）",
	}, true},
	{"huawei", cause.Text{EN: "Huawei Cloud", ZH: "华为云"}, cause.Text{
		EN: "ECS console → the server → Security Groups → Manage Rule → Inbound Rules → Add Rule",
		ZH: "弹性云服务器控制台 → 安全组 → 配置规则 → 入方向规则 → 添加规则",
	}, true},
	{"baidu", cause.Text{EN: "Baidu AI Cloud", ZH: "百度智能云"}, cause.Text{
		EN: "BCC console → Security Groups → the group → Inbound → Add Rule",
		ZH: "云服务器 BCC 控制台 → 安全组 → 入站 → 添加规则",
	}, true},
	{"jd", cause.Text{EN: "JD Cloud", ZH: "京东云"}, cause.Text{
		EN: "Virtual Machines console → the instance → Security Groups → Inbound Rules",
		ZH: "云主机控制台 → 实例详情 → 安全组 → 入站规则",
	}, true},
	{"ucloud", cause.Text{EN: "UCloud", ZH: "优刻得 UCloud"}, cause.Text{
		EN: "UHost console → the host → Network → Firewall (Security Group) → Edit Rules",
		ZH: "云主机 UHost 控制台 → 详情 → 网络 → 外网防火墙（安全组）→ 编辑规则",
	}, true},
	{"volcengine", cause.Text{EN: "Volcano Engine", ZH: "火山引擎"}, cause.Text{
		EN: "ECS console → the instance → Security Groups → Inbound Rules → Add Rule",
		ZH: "云服务器控制台 → 实例 → 安全组 → 入方向规则 → 添加规则",
	}, true},
	{"aws", both("AWS"), cause.Text{
		EN: "EC2 console → Instances → the instance → Security → Security groups → Edit inbound rules (Lightsail: Networking → IPv4 Firewall)",
		ZH: "EC2 控制台 → 实例 → 安全 → 安全组 → 编辑入站规则（Lightsail：联网 → IPv4 防火墙）",
	}, false},
	{"azure", both("Azure"), cause.Text{
		EN: "Azure portal → the virtual machine → Networking → Network settings → Create port rule → Inbound port rule",
		ZH: "Azure 门户 → 虚拟机 → 网络 → 网络设置 → 创建端口规则 → 入站端口规则",
	}, false},
	{"google", both("Google Cloud"), cause.Text{
		EN: "Cloud console → VPC network → Firewall → Create firewall rule → Ingress",
		ZH: "Cloud 控制台 → VPC 网络 → 防火墙 → 创建防火墙规则 → 入站流量",
	}, false},
	{"oracle", both("Oracle Cloud"), cause.Text{
		EN: "OCI console → the instance → Subnet → Security Lists → Add Ingress Rules; its images also have iptables rules of their own",
		ZH: "OCI 控制台 → 实例 → 子网 → 安全列表 → 添加入站规则；其系统镜像自带 iptables 规则，也要放行",
	}, false},
	{"digitalocean", both("DigitalOcean"), cause.Text{
		EN: "Control panel → Networking → Firewalls → Inbound Rules (nothing is closed unless a firewall was added)",
		ZH: "控制面板 → Networking → Firewalls → Inbound Rules（未添加防火墙时默认全部放行）",
	}, false},
	{"hetzner", both("Hetzner"), cause.Text{
		EN: "Cloud console → Firewalls → Inbound rules (nothing is closed unless a firewall was added)",
		ZH: "Cloud 控制台 → Firewalls → Inbound（未添加防火墙时默认全部放行）",
	}, false},
	{"vultr", both("Vultr"), cause.Text{
		EN: "Customer portal → Products → Network → Firewall (the image may have ufw switched on)",
		ZH: "客户门户 → Products → Network → Firewall（系统镜像可能启用了 ufw）",
	}, false},
	{"linode", both("Akamai (Linode)"), cause.Text{
		EN: "Cloud Manager → Firewalls → the firewall → Rules → Inbound",
		ZH: "Cloud Manager → Firewalls → 防火墙 → Rules → Inbound",
	}, false},
	{"ovh", both("OVHcloud"), cause.Text{
		EN: "Control panel → Public Cloud → Network → Security groups; Network → Public IP Addresses → Edge Network Firewall",
		ZH: "控制面板 → Public Cloud → Network → Security groups；Network → Public IP Addresses → Edge Network Firewall",
	}, false},
	{"scaleway", both("Scaleway"), cause.Text{
		EN: "Console → Instances → Security groups → Rules → Inbound",
		ZH: "控制台 → Instances → Security groups → Rules → Inbound",
	}, false},
	{"openstack", both("OpenStack"), cause.Text{
		EN: "Dashboard → Project → Network → Security Groups → Manage Rules → Add Rule (Ingress)",
		ZH: "控制面板 → 项目 → 网络 → 安全组 → 管理规则 → 添加规则（入口）",
	}, false},
}

// Lookup finds a cloud by its id.
func Lookup(id string) (Provider, bool) {
	for _, p := range Providers {
		if p.ID == id {
			return p, true
		}
	}
	return Provider{}, false
}

// NameOf is a cloud's name for people; an id that is not known stands for itself.
func NameOf(id string) cause.Text {
	if p, ok := Lookup(id); ok {
		return p.Name
	}
	return both(id)
}
