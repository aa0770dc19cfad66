package main

import (
	"fmt"
	"strings"

	"picket/cause"
	"picket/sentinel"
)

// ctlCommand is "picket ctl": it asks what runs, and steers it.
type ctlCommand struct {
	Bridges     ctlBridges     `cmd:"" help:"Show the bridges of a running broker, and why one is not connected."`
	Client      ctlClient      `cmd:"" help:"Show one client of a running broker, and what it has subscribed to."`
	Clients     ctlClients     `cmd:"" help:"List the clients of a running broker."`
	Disconnect  ctlDisconnect  `cmd:"" help:"End the connection of a client."`
	Health      ctlHealth      `cmd:"" help:"Say by the exit status whether the broker answers."`
	Logs        ctlLogs        `cmd:"" help:"Show the end of a running broker's log."`
	Maintenance ctlMaintenance `cmd:"" help:"Close the broker to clients for a while, and open it again."`
	Reload      ctlReload      `cmd:"" help:"Have a running broker read its configuration, passwords, rules and certificates again."`
	Status      ctlStatus      `cmd:"" help:"Show what a running broker does: clients, limits, maintenance, causes."`
	Sentinel    ctlSentinel    `cmd:"" help:"Show what a running sentinel watches, and what would hold a failover back."`
}

// ctlSentinel is "picket ctl sentinel".
type ctlSentinel struct {
	Addr     string `arg:"" optional:"" default:"127.0.0.1:26379" name:"host:port" help:"The sentinel, ours or one of Redis (default ${default})."`
	User     string `help:"User name."`
	Password string `env:"PICKET_PASSWORD" help:"Password; better in the environment as PICKET_PASSWORD."`
	Lang     string `enum:",en,zh" default:"" placeholder:"LANG" help:"Language of the advice: en or zh (default: that of the environment)."`
}

func (ctlSentinel) Help() string {
	return `Examples:
  picket ctl sentinel
  picket ctl sentinel 192.168.1.5:26379`
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
	lang := languageFor(c.Lang)
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
