package main

import (
	"fmt"
	"strings"

	"picket/cause"
	"picket/sentinel"
)

// ctlCommand is "picket ctl": it asks what runs, and steers it.
type ctlCommand struct {
	Backup      ctlBackup      `cmd:"" help:"Make a backup of a running broker." zh:"备份正在运行的服务端。"`
	Bans        ctlBans        `cmd:"" help:"List who is banned from a running broker." zh:"列出正在运行的服务端的封禁。"`
	Bridges     ctlBridges     `cmd:"" help:"Show the bridges of a running broker, and why one is not connected." zh:"显示正在运行的服务端的桥接，以及某个桥接连不上的原因。"`
	Client      ctlClient      `cmd:"" help:"Show one client of a running broker, and what it has subscribed to." zh:"显示正在运行的服务端的某个客户端及其订阅。"`
	Clients     ctlClients     `cmd:"" help:"List the clients of a running broker." zh:"列出正在运行的服务端的客户端。"`
	Cluster     ctlCluster     `cmd:"" help:"Show how it is between a running broker and the other nodes of its cluster." zh:"显示正在运行的服务端与集群中其他节点之间的情况。"`
	Disconnect  ctlDisconnect  `cmd:"" help:"End the connection of a client." zh:"断开某个客户端的连接。"`
	Health      ctlHealth      `cmd:"" help:"Say by the exit status whether the broker answers." zh:"用退出状态表示服务端是否有应答。"`
	Logs        ctlLogs        `cmd:"" help:"Show the end of a running broker's log." zh:"显示正在运行的服务端的最近日志。"`
	Maintenance ctlMaintenance `cmd:"" help:"Close the broker to clients for a while, and open it again." zh:"让服务端进入维护状态、暂不接受客户端，或结束维护。"`
	Reload      ctlReload      `cmd:"" help:"Have a running broker read its configuration, passwords, rules and certificates again." zh:"让正在运行的服务端重新读取配置、密码、规则和证书。"`
	Status      ctlStatus      `cmd:"" help:"Show what a running broker does: clients, limits, maintenance, causes." zh:"显示正在运行的服务端的状态：客户端、限制、维护和各种原因的次数。"`
	Login       ctlLogin       `cmd:"" help:"Print a link that lets a browser into the dashboard, once." zh:"显示管理页面的一次性登录链接。"`
	Top         ctlTop         `cmd:"" help:"Show which clients of a running broker are busy." zh:"显示正在运行的服务端中哪些客户端繁忙。"`
	Trace       ctlTrace       `cmd:"" help:"Show what a client sends and gets, as it happens." zh:"实时显示某个客户端收发的报文。"`
	Token       ctlToken       `cmd:"" help:"Make, list and remove the tokens of a running broker's HTTP API." zh:"创建、列出和删除正在运行的服务端的 HTTP 接口令牌。"`
	Sentinel    ctlSentinel    `cmd:"" help:"Show what a running sentinel watches, and what would hold a failover back." zh:"显示正在运行的哨兵在监控什么，以及有什么会妨碍故障切换。"`
}

// ctlSentinel is "picket ctl sentinel".
type ctlSentinel struct {
	Addr     string `arg:"" optional:"" default:"127.0.0.1:26379" name:"host:port" help:"The sentinel, ours or one of Redis (default ${default})." zh:"哨兵的地址，可以是 Picket 的，也可以是 Redis 的（默认 ${default}）。"`
	User     string `help:"User name." zh:"用户名。"`
	Password string `env:"PICKET_PASSWORD" help:"Password; better in the environment as PICKET_PASSWORD." zh:"密码；最好放在环境变量 PICKET_PASSWORD 中。"`
}

func (ctlSentinel) details() details {
	return details{examples: `picket ctl sentinel
picket ctl sentinel 192.168.1.5:26379`}
}

var watched = struct{ none, master cause.Text }{
	none: cause.Text{EN: "It watches no master.", ZH: "它没有监控任何主节点。"},
	master: cause.Text{
		EN: "%s  %s  %s  replicas %s, other sentinels %s, quorum %s\n  %s\n",
		ZH: "%s  %s  %s  从节点 %s，其他哨兵 %s，quorum %s\n  %s\n",
	},
}

// Run prints each master and, for each cause that holds a failover back, what it is about and what to do.
func (c *ctlSentinel) Run(e *env) error {
	lang := e.lang()
	masters, err := sentinel.Ask(e.ctx, c.Addr, sentinel.Login{User: c.User, Password: c.Password})
	if err != nil {
		return err
	}
	var b strings.Builder
	if len(masters) == 0 {
		fmt.Fprintln(&b, watched.none.In(lang))
	}
	for _, m := range masters {
		fmt.Fprintf(&b, watched.master.In(lang), m.Name, m.Addr, m.Flags, m.Replicas, m.Sentinels, m.Quorum, m.Answer)
		for _, g := range m.Causes {
			fmt.Fprintf(&b, "  [%s] %s\n", g.ID, g)
			if known, ok := cause.Lookup(g.ID); ok {
				fmt.Fprintf(&b, "    %s\n", known.Remedy.In(lang))
			}
		}
	}
	_, err = fmt.Fprint(e.stdout, b.String())
	return err
}
