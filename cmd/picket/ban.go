package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"picket/admin"
	"picket/ban"
	"picket/cause"
	"picket/printable"
)

// banTarget is whom "picket ban" and "picket unban" are about.
type banTarget struct {
	Kind  string `arg:"" help:"address (or a network), user, client (an identifier), or prefix (client identifiers that begin so)." zh:"address（地址或网段）、user（用户）、client（客户端标识）或 prefix（以此开头的客户端标识）。"`
	Value string `arg:"" help:"The address, the network such as 203.0.113.0/24, the name or the identifier." zh:"地址、网段（例如 203.0.113.0/24）、用户名或客户端标识。"`
	changeFlags
}

func (t *banTarget) parse() (ban.Ban, error) {
	b, err := ban.Parse(ban.Kind(t.Kind), t.Value)
	if err != nil {
		return b, &usageError{text: err.Error()}
	}
	return b, nil
}

// banCommand is "picket ban".
type banCommand struct {
	banTarget
	For   string `placeholder:"TIME" help:"How long, such as 90m, or until when, such as 06:00 or 2026-12-01T06:00 (default: until picket unban)." zh:"封禁多久（例如 90m），或到什么时候（例如 06:00、2026-12-01T06:00）（默认：直到 picket unban）。"`
	Why   string `placeholder:"TEXT" help:"The reason, for the list and the log; MQTT 5 clients are told it, too." zh:"原因，记入列表和日志，也会告知 MQTT 5 客户端。"`
	Force bool   `help:"Ban also an address of this machine, or the one from which you are logged in." zh:"即使是本机的地址，或您当前登录所用的地址，也予以封禁。"`
}

func (banCommand) details() details {
	return details{
		Text: cause.Text{EN: `When the command ends the ban is in force and on the disk, and whoever is meant and was connected is disconnected; sessions stay. A banned address is refused whoever sends from it,
a banned user once it has shown its password, and a banned client identifier before. A ban takes the place of an earlier one of the same. picket ctl bans lists them, picket unban lifts one.

Bans are kept in bans.json in the data directory, or in the file that bans_file names. A broker that has neither forgets them when it ends.

Exit status: 0 when it is in force, 1 when not.`, ZH: `命令结束时，封禁已生效并写入磁盘，涉及的在线客户端会被断开，会话保留。被封禁的地址，无论谁从那里连接都会被拒绝；被封禁的用户在密码验证通过之后被拒绝；被封禁的客户端标识则在验证密码之前就被拒绝。对同一对象再次封禁会替换之前的封禁。用 picket ctl bans 列出，用 picket unban 解除。

封禁保存在数据目录的 bans.json 中，或 bans_file 指定的文件中。两者都没有时，服务端结束后不再保留。

退出状态：已生效为 0，否则为 1。`},
		examples: `picket ban address 203.0.113.7 --for 24h --why "guesses passwords"
picket ban address 203.0.113.0/24 --dry-run
picket ban address 203.0.113.0/24
picket ban user lamp
picket ban prefix test- --for 06:00`,
	}
}

// banWords are what is said about bans.
var banWords = struct{ done, gone, lifted, absent, own cause.Text }{
	done:   cause.Text{EN: "Banned: %s %s, %s.", ZH: "已封禁：%s %s，%s。"},
	gone:   cause.Text{EN: " Disconnected: %d.", ZH: "已断开 %d 个客户端。"},
	lifted: cause.Text{EN: "The ban is lifted: %s %s.\n", ZH: "已解除封禁：%s %s。\n"},
	absent: cause.Text{EN: "there is no such ban: %s %s; picket ctl bans lists all", ZH: "没有这项封禁：%s %s；用 picket ctl bans 查看所有封禁"},
	own: cause.Text{
		EN: "you are logged in from %s, which the ban is about: --force bans it all the same",
		ZH: "您正从 %s 登录，它在封禁范围内；加上 --force 才会封禁",
	},
}

// loginAddress is from where the person at this terminal is logged in by SSH; invalid: it is not known.
func loginAddress(getenv func(string) string) netip.Addr {
	from, _, _ := strings.Cut(getenv("SSH_CONNECTION"), " ")
	a, err := netip.ParseAddr(from)
	if err != nil {
		return netip.Addr{}
	}
	return a
}

// Run puts the ban in force.
func (c *banCommand) Run(e *env) error {
	b, err := c.parse()
	if err != nil {
		return err
	}
	if from := loginAddress(os.Getenv); !c.Force && from.IsValid() && b.Covers(from) {
		return &statusError{statusFailure, fmt.Sprintf(banWords.own.In(e.lang()), from)}
	}
	n := admin.NewBan{Kind: b.Kind, Value: b.Value, Why: c.Why, Force: c.Force}
	if c.For != "" {
		if n.Until, err = admin.ParseTime(c.For, time.Now()); err != nil {
			return &usageError{text: "--for: " + err.Error()}
		}
	}
	found, err := c.dial(e)
	if err != nil {
		return err
	}
	if c.DryRun {
		would, err := found.TryBan(e.ctx, n)
		if err != nil {
			return err
		}
		return c.foreseen(e, would)
	}
	made, err := found.Ban(e.ctx, n)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(banWords.done.In(e.lang()), made.Kind, printable.Text(made.Value), admin.BanEnd(made.Ban, e.lang()))
	if made.Disconnected > 0 {
		text += fmt.Sprintf(banWords.gone.In(e.lang()), made.Disconnected)
	}
	return c.print(e, made, text+"\n")
}

// unbanCommand is "picket unban".
type unbanCommand struct{ banTarget }

func (unbanCommand) details() details {
	return details{
		Text: cause.Text{EN: `Exit status: 0 when the ban is lifted, 1 when there was none.`, ZH: `退出状态：已解除为 0，没有这项封禁为 1。`},
		examples: `picket unban address 203.0.113.7
picket unban user lamp`,
	}
}

// Run lifts the ban.
func (c *unbanCommand) Run(e *env) error {
	b, err := c.parse()
	if err != nil {
		return err
	}
	found, err := c.dial(e)
	if err != nil {
		return err
	}
	lifted, would, err := c.lift(e, found, b)
	if err != nil {
		return err
	}
	if would != nil {
		return c.foreseen(e, would)
	}
	if !lifted {
		return &statusError{statusFailure, fmt.Sprintf(banWords.absent.In(e.lang()), b.Kind, printable.Text(b.Value))}
	}
	return c.print(e, admin.Lifted{Lifted: true}, fmt.Sprintf(banWords.lifted.In(e.lang()), b.Kind, printable.Text(b.Value)))
}

// lift lifts a ban, or asks what that would do.
func (c *unbanCommand) lift(e *env, found *admin.Client, b ban.Ban) (lifted bool, would *admin.Preview, err error) {
	if !c.DryRun {
		lifted, err = found.Unban(e.ctx, b.Kind, b.Value)
		return lifted, nil, err
	}
	would, err = found.TryUnban(e.ctx, b.Kind, b.Value)
	if none := (*admin.AnsweredError)(nil); errors.As(err, &none) && none.Status == http.StatusNotFound {
		return false, nil, nil
	}
	return false, would, err
}

// ctlBans is "picket ctl bans".
type ctlBans struct{ adminFlags }

func (ctlBans) details() details {
	return details{examples: `picket ctl bans
picket ctl bans --json`}
}

// Run asks and prints.
func (c *ctlBans) Run(e *env) error {
	found, err := c.dial(e)
	if err != nil {
		return err
	}
	all, err := found.Bans(e.ctx)
	if err != nil {
		return err
	}
	return c.print(e, all, admin.BansText(all, e.lang()))
}
