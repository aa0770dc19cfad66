package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"picket/admin"
	"picket/cause"
	"picket/printable"
	"picket/topic"
)

// grantFlags are what "picket allow" and "picket deny" are given.
type grantFlags struct {
	Name   string `arg:"" help:"The user name." zh:"用户名。"`
	Action string `arg:"" help:"publish, subscribe (and receive), or all of it." zh:"publish（发布）、subscribe（订阅和接收）或 all（全部）。"`
	Filter string `arg:"" help:"The topic filter, in which %u stands for the user name and %c for the client identifier." zh:"主题过滤器，其中 %u 代表用户名，%c 代表客户端标识。"`
	Rm     bool   `help:"Remove the rule again." zh:"删除这条规则。"`
	changeFlags
}

// changeText is what picket allow and picket deny have in common.
var changeText = cause.Text{EN: `The change is on the disk and in force when the command ends; the user's connections end, and it logs in anew. A denial counts more than what is allowed, wherever
it stands.

Exit status: 0 when it is in force, 1 when not.`, ZH: `命令结束时，修改已写入磁盘并生效；该用户的连接会断开，然后重新登录。禁止优先于允许，与先后无关。

退出状态：已生效为 0，否则为 1。`}

// allowCommand is "picket allow".
type allowCommand struct {
	grantFlags
	Only bool `help:"The user may then do nothing but what has been allowed to it." zh:"此后用户只能做已授权的操作。"`
}

func (allowCommand) details() details {
	return details{
		Text: changeText,
		examples: `picket allow sensor publish "sensors/%u/#"
picket allow lamp all "home/lamp/#" --only --dry-run
picket allow lamp all "home/lamp/#" --only
picket allow lamp all "home/lamp/#" --rm`,
	}
}

// denyCommand is "picket deny".
type denyCommand struct{ grantFlags }

func (denyCommand) details() details {
	return details{
		Text: changeText,
		examples: `picket deny lamp publish "home/door/#"
picket deny lamp publish "home/door/#" --rm`,
	}
}

// grantWords are what is said about rules.
var grantWords = struct{ allowed, denied, removed, same, absent, everything, inFile cause.Text }{
	inFile: cause.Text{
		EN: "the user %s stands in %s: what it may do is said by the acl_file, and without one it may do everything",
		ZH: "用户 %s 在 %s 中：它的权限由 acl_file 决定，没有 acl_file 时不受限制",
	},
	allowed: cause.Text{EN: "%s may %s %s.\n", ZH: "已允许 %s %s %s。\n"},
	denied:  cause.Text{EN: "%s may not %s %s.\n", ZH: "已禁止 %s %s %s。\n"},
	removed: cause.Text{EN: "The rule is removed: %s, %s %s.\n", ZH: "已删除规则：%s，%s %s。\n"},
	same:    cause.Text{EN: "That rule is in force already.\n", ZH: "该规则已经生效。\n"},
	absent:  cause.Text{EN: "there is no such rule: %s, %s %s", ZH: "没有这条规则：%s，%s %s"},
	everything: cause.Text{
		EN: "%s may do everything anyway; --only limits it to what has been allowed.\n",
		ZH: "%s 本来就不受限制；加上 --only 才会只允许已授权的操作。\n",
	},
}

// Run puts the rule in force, or removes it.
func (c *allowCommand) Run(e *env) error {
	m, g, err := c.grant(e)
	if err != nil {
		return err
	}
	g.Allow, g.Only = true, c.Only
	if c.Rm {
		return c.take(e, m, g)
	}
	u, err := c.give(e, m, g, grantWords.allowed)
	if err == nil && u.Has(admin.Everything) && !c.Only && !c.JSON {
		_, err = fmt.Fprintf(e.stdout, grantWords.everything.In(m.lang), printable.Text(c.Name))
	}
	return err
}

// Run puts the rule in force, or removes it.
func (c *denyCommand) Run(e *env) error {
	m, g, err := c.grant(e)
	if err != nil {
		return err
	}
	if c.Rm {
		return c.take(e, m, g)
	}
	_, err = c.give(e, m, g, grantWords.denied)
	return err
}

// grant finds the broker, and reads the arguments.
func (c *grantFlags) grant(e *env) (*managed, admin.Grant, error) {
	g := admin.Grant{User: c.Name, Action: c.Action, Filter: c.Filter}
	if err := oneOf(c.Action, "publish", "subscribe", "all"); err != nil {
		return nil, g, err
	}
	if err := topic.CheckFilter(c.Filter); err != nil {
		return nil, g, &usageError{text: err.Error()}
	}
	m, err := c.managed(e)
	return m, g, err
}

// oneOf refuses an action that is none of those that can be named.
func oneOf(action string, all ...string) error {
	if slices.Contains(all, action) {
		return nil
	}
	return &usageError{text: fmt.Sprintf("%q is no action: it is one of %s", action, strings.Join(all, ", "))}
}

// unfit words why a user's rules cannot be changed.
func (m *managed) unfit(err error) error {
	missing, ok := errors.AsType[*admin.NotManagedError](err)
	if !ok {
		return err
	}
	if file := m.users.FileOf(missing.Name); file != "" {
		return &statusError{statusFailure, fmt.Sprintf(grantWords.inFile.In(m.lang), missing.Name, file)}
	}
	return m.strange(missing.Name)
}

// give puts a rule in force.
func (c *grantFlags) give(e *env, m *managed, g admin.Grant, done cause.Text) (*admin.User, error) {
	u, changed, err := m.Give(e.ctx, g)
	if err != nil {
		return nil, m.unfit(err)
	}
	text := fmt.Sprintf(done.In(m.lang), printable.Text(c.Name), c.action(m.lang), printable.Text(c.Filter))
	if !changed {
		text = grantWords.same.In(m.lang)
	}
	return u, c.done(e, m, changedNow{changed}, text)
}

// take removes a rule.
func (c *grantFlags) take(e *env, m *managed, g admin.Grant) error {
	_, changed, err := m.Take(e.ctx, g)
	if err != nil {
		return m.unfit(err)
	}
	names := []any{printable.Text(c.Name), c.action(m.lang), printable.Text(c.Filter)}
	if !changed {
		return &statusError{statusFailure, fmt.Sprintf(grantWords.absent.In(m.lang), names...)}
	}
	return c.done(e, m, changedNow{true}, fmt.Sprintf(grantWords.removed.In(m.lang), names...))
}

// changedNow is what programs are told of a rule.
type changedNow struct {
	Changed bool `json:"changed"`
}

// actionTexts are the actions as they stand in a sentence before the filter.
var actionTexts = map[string]cause.Text{
	"publish":   {EN: "publish to", ZH: "发布到"},
	"subscribe": {EN: "subscribe to", ZH: "订阅"},
	"receive":   {EN: "receive", ZH: "接收"},
	"all":       {EN: "publish and subscribe to", ZH: "发布和订阅"},
}

func (c *grantFlags) action(lang cause.Lang) string { return actionTexts[c.Action].In(lang) }

// mayCommand is "picket may".
type mayCommand struct {
	Name   string `arg:"" help:"The user name; an empty one for clients without." zh:"用户名；空字符串表示没有用户名的客户端。"`
	Action string `arg:"" help:"publish, subscribe or receive." zh:"publish（发布）、subscribe（订阅）或 receive（接收）。"`
	Topic  string `arg:"" help:"A topic, or a topic filter to subscribe to." zh:"主题；订阅时是主题过滤器。"`
	Client string `placeholder:"ID" help:"The client identifier, for rules with %c." zh:"客户端标识，用于含 %c 的规则。"`
	Port   int    `placeholder:"PORT" help:"The port of the listener, where listeners have rules of their own." zh:"监听端口，用于各监听有自己的规则时。"`
	adminFlags
}

func (mayCommand) details() details {
	return details{
		Text: cause.Text{EN: `Asks the running broker, whether the user is connected or not, and says which rule of the users and rights decides. Whether the user may connect is another question.

Exit status: 0 for yes, 1 for no.`, ZH: `向运行的服务端查询，不管该用户是否在线，并指出由用户和权限中的哪条规则决定。用户能否连接是另一个问题。

退出状态：可以为 0，不可以为 1。`},
		examples: `picket may sensor publish sensors/sensor/temperature
picket may lamp subscribe "home/#"`,
	}
}

// mayWords are the answers.
var mayWords = struct{ yes, no, by, anonymous, stranger cause.Text }{
	anonymous: cause.Text{EN: "who has no user name", ZH: "没有用户名的客户端"},
	yes:       cause.Text{EN: "yes: %s may %s %s", ZH: "可以：%s 可以%s %s"},
	no:        cause.Text{EN: "no: %s may not %s %s", ZH: "不可以：%s 不能%s %s"},
	by:        cause.Text{EN: " (%s)", ZH: "（%s）"},
	stranger: cause.Text{
		EN: "\nNobody can log in as %s with a password: there is no such user.",
		ZH: "\n没有名为 %s 的用户，不能用密码登录。",
	},
}

// Run asks and prints.
func (c *mayCommand) Run(e *env) error {
	if err := oneOf(c.Action, "publish", "subscribe", "receive"); err != nil {
		return err
	}
	broker, err := c.dial(e)
	if err != nil {
		return err
	}
	m, err := broker.May(e.ctx, c.Name, c.Client, c.Action, c.Topic, c.Port)
	if err != nil {
		return err
	}
	if err := c.print(e, m, c.text(m, e.lang())); err != nil || m.Allow {
		return err
	}
	return &statusError{status: statusFailure}
}

// text is the answer for a person.
func (c *mayCommand) text(m *admin.May, lang cause.Lang) string {
	answer := mayWords.no
	if m.Allow {
		answer = mayWords.yes
	}
	name := printable.Text(c.Name)
	if name == "" {
		name = mayWords.anonymous.In(lang)
	}
	text := fmt.Sprintf(answer.In(lang), name, actionTexts[c.Action].In(lang), printable.Text(c.Topic))
	if m.Rule != "" {
		text += fmt.Sprintf(mayWords.by.In(lang), printable.Text(m.Rule))
	}
	if m.Cause != "" {
		text += " [" + string(m.Cause) + "]"
	}
	if !m.Known {
		text += fmt.Sprintf(mayWords.stranger.In(lang), name)
	}
	return text + "\n"
}
