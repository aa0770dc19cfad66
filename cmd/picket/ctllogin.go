package main

import (
	"picket/cause"
	"picket/token"
)

// ctlLogin is "picket ctl login".
type ctlLogin struct {
	Role string `enum:"viewer,operator,admin" default:"admin" placeholder:"ROLE" help:"What whoever follows the link may do: viewer, operator or admin (default ${default})." zh:"打开链接者的权限：viewer、operator 或 admin（默认 ${default}）。"`
	adminFlags
}

func (ctlLogin) details() details {
	return details{
		Text: cause.Text{EN: `Prints a link to the dashboard of a running broker (docs/dashboard.md). It lets in once, within a minute; there is no password. What follows is a login of the given role, which ends
after half an hour without use, after twelve hours in any case, and with a restart of the broker.

viewer: looks at what is there. operator: reads messages, disconnects, bans, publishes, deletes, too. admin: changes users and rights, makes backups and tokens, too.

From another machine, take the dashboard there by SSH first: ssh -L 9883:127.0.0.1:9883 HOST`, ZH: `显示正在运行的服务端管理页面（docs/dashboard.zh-CN.md）的登录链接。链接一分钟内有效，只能使用一次，没有密码。登录后具有指定的角色，半小时无人操作、满十二小时，或服务端重启后结束。

viewer：可以查看。operator：还可以读取消息、断开、封禁、发布和删除。admin：还可以更改用户与权限、备份和管理令牌。

要在另一台机器上使用，先用 SSH 转发：ssh -L 9883:127.0.0.1:9883 HOST`},
		examples: `picket ctl login
picket ctl login --role viewer`,
	}
}

// Run asks and prints.
func (c *ctlLogin) Run(e *env) error {
	found, err := c.dial(e)
	if err != nil {
		return err
	}
	made, err := found.Login(e.ctx, token.Role(c.Role))
	if err != nil {
		return err
	}
	return c.print(e, made, made.Text(e.lang()))
}
