package main

import (
	"fmt"
	"net/url"
	"strconv"

	"picket/api"
	"picket/ban"
	"picket/cause"
)

// ctlClients is "picket ctl clients".
type ctlClients struct {
	Prefix string `placeholder:"TEXT" help:"Only those whose client identifier begins so." zh:"只列出客户端标识以此开头的。"`
	User   string `placeholder:"NAME" help:"Only those of this user." zh:"只列出此用户的。"`
	From   string `placeholder:"NETWORK" help:"Only those who are connected from this address or network." zh:"只列出从此地址或网段连接的。"`
	Online bool   `help:"Only those who are connected." zh:"只列出在线的。"`
	Queued bool   `help:"Those first for whom most messages wait." zh:"把等待消息最多的排在前面。"`
	Limit  int    `default:"100" placeholder:"N" help:"At most so many, up to 1000 (default ${default})." zh:"最多列出多少个，上限 1000（默认 ${default}）。"`
	After  string `placeholder:"ID" help:"Go on behind this client identifier." zh:"从这个客户端标识之后继续列出。"`
	adminFlags
}

func (ctlClients) details() details {
	return details{
		Text: cause.Text{EN: `Lists sessions, also those whose client is away, in the order of their client identifiers: where it is connected from and how, its user, its
subscriptions, the messages that it has not acknowledged and those that wait for it.`, ZH: `按客户端标识的顺序列出会话，客户端不在线的也包括在内：从哪里、以什么方式连接，用户，订阅，尚未确认的消息和正在等待的消息。`},
		examples: `picket ctl clients
picket ctl clients --queued --limit 10
picket ctl clients --online --from 192.168.1.0/24
picket ctl clients --prefix sensor- --json`,
	}
}

// Run asks and prints.
func (c *ctlClients) Run(e *env) error {
	query, err := c.query()
	if err != nil {
		return err
	}
	found, err := c.dial(e)
	if err != nil {
		return err
	}
	list, err := found.Clients(e.ctx, c.Online, query)
	if err != nil {
		return err
	}
	return c.print(e, list, list.Text(!c.Queued, e.lang()))
}

// query is the list that is wanted, as the API is asked for it.
func (c *ctlClients) query() (url.Values, error) {
	if c.Limit < 1 || c.Limit > api.MostItems {
		return nil, &usageError{text: fmt.Sprintf("--limit: a number from 1 to %d is expected", api.MostItems)}
	}
	query := url.Values{"sort": {"id"}, "limit": {strconv.Itoa(c.Limit)}}
	if c.Queued {
		query.Set("sort", "-queued")
	}
	if c.From != "" {
		if _, err := ban.ParseNetwork(c.From); err != nil {
			return nil, &usageError{text: "--from: " + err.Error()}
		}
	}
	for condition, value := range map[string]string{"id>": c.After, "id^=": c.Prefix, "user=": c.User, "address=": c.From} {
		if value != "" {
			query.Add("where", condition+value)
		}
	}
	return query, nil
}

// ctlClient is "picket ctl client".
type ctlClient struct {
	ID string `arg:"" help:"The client identifier." zh:"客户端标识。"`
	adminFlags
}

func (ctlClient) details() details {
	return details{examples: `picket ctl client sensor-7
picket ctl client sensor-7 --json`}
}

// Run asks and prints.
func (c *ctlClient) Run(e *env) error {
	found, err := c.dial(e)
	if err != nil {
		return err
	}
	one, err := found.Client(e.ctx, c.ID)
	if err != nil {
		return err
	}
	return c.print(e, one, one.Text(e.lang()))
}

// ctlDisconnect is "picket ctl disconnect".
type ctlDisconnect struct {
	ID     string `arg:"" help:"The client identifier." zh:"客户端标识。"`
	Reason string `placeholder:"TEXT" help:"What an MQTT 5 client and the log are told." zh:"断开原因，会告知 MQTT 5 客户端并写入日志。"`
	adminFlags
}

func (ctlDisconnect) details() details {
	return details{
		Text: cause.Text{EN: `The client gets DISCONNECT 0x98 (Administrative action) with the reason, if it speaks MQTT 5; its will is published, and its session stays as after a lost
connection. Most clients connect again at once: to keep one out, take its password or its user away, too.

Exit status: 0 when it was disconnected, 1 when it was not connected.`, ZH: `客户端使用 MQTT 5 时会收到带有原因的 DISCONNECT 0x98（Administrative action）；它的遗嘱会发布，会话与连接意外断开时一样保留。多数客户端会立即重连：要彻底挡住它，还需要收回它的密码或用户。

退出状态：已断开为 0，本来就没有连接为 1。`},
		examples: `picket ctl disconnect sensor-7
picket ctl disconnect sensor-7 --reason "sends too much"`,
	}
}

// Run ends the connection.
func (c *ctlDisconnect) Run(e *env) error {
	found, err := c.dial(e)
	if err != nil {
		return err
	}
	one, err := found.Disconnect(e.ctx, c.ID, c.Reason)
	if err != nil {
		return err
	}
	return c.print(e, one, one.Disconnected(e.lang()))
}
