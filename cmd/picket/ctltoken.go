package main

import (
	"fmt"
	"time"

	"picket/admin"
	"picket/cause"
	"picket/token"
)

// ctlToken is "picket ctl token".
type ctlToken struct {
	Add    ctlTokenAdd    `cmd:"" help:"Make a token, and print it." zh:"创建并显示一个令牌。"`
	List   ctlTokenList   `cmd:"" help:"List the tokens." zh:"列出令牌。"`
	Remove ctlTokenRemove `cmd:"" help:"Remove a token: it is refused from then on." zh:"删除令牌，之后它立即失效。"`
}

// ctlTokenAdd is "picket ctl token add".
type ctlTokenAdd struct {
	Name    string `arg:"" help:"What the token is called in lists and in the log." zh:"令牌的名称，用于列表和日志。"`
	Role    string `enum:"metrics,viewer,operator,admin" default:"viewer" placeholder:"ROLE" help:"What it may do: metrics, viewer, operator or admin (default ${default})." zh:"权限：metrics、viewer、operator 或 admin（默认 ${default}）。"`
	Expires string `placeholder:"TIME" help:"Until when it is valid: 2160h, 2026-12-01, 2026-12-01T06:00 (default: for good)." zh:"有效期：2160h、2026-12-01、2026-12-01T06:00（默认：长期有效）。"`
	adminFlags
}

func (ctlTokenAdd) details() details {
	return details{
		Text: cause.Text{EN: `Makes a token for the HTTP API (docs/api.md) of a running broker, and prints it. It is shown this once: the broker keeps only a hash of it, in tokens.json in its data directory or
in tokens_file. A program sends it as Authorization: Bearer TOKEN.

metrics: reads /metrics, nothing else. viewer: looks at what is there. operator: reads messages, disconnects, bans, publishes, deletes, too. admin: changes users and rights, makes
backups and tokens, too.`, ZH: `为正在运行的服务端的 HTTP 接口（docs/api.zh-CN.md）创建令牌并显示。令牌只显示这一次：服务端只保存它的哈希，位于数据目录的 tokens.json 或 tokens_file 中。程序在请求头中以 Authorization: Bearer 〈令牌〉 的形式发送它。

metrics：只能读取 /metrics。viewer：可以查看。operator：还可以读取消息、断开、封禁、发布和删除。admin：还可以更改用户与权限、备份和管理令牌。`},
		examples: `picket ctl token add grafana --role metrics
picket ctl token add night-shift --role operator --expires 2160h`,
	}
}

// Run asks and prints.
func (c *ctlTokenAdd) Run(e *env) error {
	n := admin.NewToken{Name: c.Name, Role: token.Role(c.Role)}
	if c.Expires != "" {
		now := time.Now()
		until, err := admin.ParseTime(c.Expires, now)
		if day, wrong := time.ParseInLocation(time.DateOnly, c.Expires, now.Location()); wrong == nil {
			until, err = day, nil
		}
		if n.Expires = int64(until.Sub(now).Round(time.Second).Seconds()); err == nil && n.Expires < 1 {
			err = fmt.Errorf("%s has passed already", c.Expires)
		}
		if err != nil {
			return &usageError{text: "--expires: " + err.Error()}
		}
	}
	found, err := c.dial(e)
	if err != nil {
		return err
	}
	made, err := found.AddToken(e.ctx, n)
	if err != nil {
		return err
	}
	return c.print(e, made, made.Text(e.lang()))
}

// ctlTokenList is "picket ctl token list".
type ctlTokenList struct{ adminFlags }

func (ctlTokenList) details() details {
	return details{examples: `picket ctl token list
picket ctl token list --json`}
}

// Run asks and prints.
func (c *ctlTokenList) Run(e *env) error {
	found, err := c.dial(e)
	if err != nil {
		return err
	}
	all, err := found.Tokens(e.ctx)
	if err != nil {
		return err
	}
	return c.print(e, all, all.Text(e.lang()))
}

// ctlTokenRemove is "picket ctl token remove".
type ctlTokenRemove struct {
	Name string `arg:"" help:"The token's name." zh:"令牌的名称。"`
	adminFlags
}

func (ctlTokenRemove) details() details {
	return details{examples: `picket ctl token remove grafana`}
}

// Run asks and prints.
func (c *ctlTokenRemove) Run(e *env) error {
	found, err := c.dial(e)
	if err != nil {
		return err
	}
	if err := found.RemoveToken(e.ctx, c.Name); err != nil {
		return err
	}
	return c.print(e, struct {
		Removed string `json:"removed"`
	}{c.Name}, admin.TokenRemoved(c.Name, e.lang()))
}
