package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"picket/access"
	"picket/admin"
	"picket/cause"
	"picket/printable"
	"picket/setup"
)

// userCommand is "picket user": the users of a running broker.
type userCommand struct {
	List    userList    `cmd:"" help:"List the users." zh:"列出用户。"`
	Add     userAdd     `cmd:"" help:"Add a user." zh:"添加用户。"`
	Passwd  userPasswd  `cmd:"" help:"Give a user another password." zh:"修改用户的密码。"`
	Disable userDisable `cmd:"" help:"Keep a user out for now." zh:"停用用户。"`
	Enable  userEnable  `cmd:"" help:"Let a user in again." zh:"恢复用户。"`
	Rm      userRemove  `cmd:"" help:"Remove a user." zh:"删除用户。"`
	Import  userImport  `cmd:"" help:"Add users from a file." zh:"从文件导入用户。"`
	Export  userExport  `cmd:"" help:"Write all users and rights into a file." zh:"将所有用户和权限导出到文件。"`
}

func (userCommand) details() details {
	return details{
		Text: cause.Text{EN: `Users are changed in the running broker: what is answered is on the disk and in force. Those whom a change is about are disconnected, and log in anew.

They are kept in rights.json in the data directory or in the file that rights_file or mosquitto's dynamic security names; those of a password_file are shown, and
changed with picket passwd. What a user may do is changed with picket allow and picket deny. With --dry-run each says which connections would end and which subscriptions
would not be allowed any more, and changes nothing.`, ZH: `直接在运行的服务端上修改用户：命令返回时，修改已写入磁盘并生效。涉及的用户会被断开，然后重新登录。

用户保存在数据目录的 rights.json 中，或 rights_file、mosquitto 动态安全指定的文件中；password_file 中的用户也会列出，但要用 picket passwd 修改。用户的权限用 picket allow 和 picket deny 修改。加上 --dry-run 时，只说明哪些连接会被断开、哪些订阅不再被允许，不做任何修改。`},
		examples: `picket user add lamp
picket user add sensor --limited
picket user list
picket user rm lamp --dry-run`,
	}
}

// userWords are what is said about users.
var userWords = struct {
	fromFile, inFile, none, missing, exists, unmanaged cause.Text
	everything, limited, disabled, clientID, groups    cause.Text
	added, generated, start                            cause.Text
	changed, off, on, removed                          cause.Text
}{
	fromFile: cause.Text{EN: "%s  (%s)\n", ZH: "%s  （%s）\n"},
	inFile: cause.Text{
		EN: "the user %[1]s stands in %[2]s: change that file with picket passwd --reload %[2]s %[1]s",
		ZH: "用户 %[1]s 在 %[2]s 中：请用 picket passwd --reload %[2]s %[1]s 修改该文件",
	},
	none:    cause.Text{EN: "There are no users. picket user add NAME adds one.\n", ZH: "还没有用户。用 picket user add 用户名 添加。\n"},
	missing: cause.Text{EN: "there is no user %q; picket user list shows all", ZH: "没有用户 %q；用 picket user list 查看所有用户"},
	exists:  cause.Text{EN: "there is a user %q already", ZH: "用户 %q 已存在"},
	unmanaged: cause.Text{
		EN: "this broker keeps its users in files only: write rights_file FILE into its configuration and restart it, or use picket passwd",
		ZH: "此服务端的用户只保存在文件中：请在配置中写入 rights_file 文件名 并重新启动，或使用 picket passwd",
	},
	everything: cause.Text{EN: "may do everything", ZH: "不受限制"},
	limited:    cause.Text{EN: "may do what its rules allow", ZH: "按规则授权"},
	disabled:   cause.Text{EN: "disabled", ZH: "已停用"},
	clientID:   cause.Text{EN: "client id %s only", ZH: "只能用客户端 ID %s"},
	groups:     cause.Text{EN: "groups %s", ZH: "所属组 %s"},
	added:      cause.Text{EN: "The user %s can log in now.\n", ZH: "用户 %s 现在可以登录。\n"},
	generated:  cause.Text{EN: "Its password, which is not shown again: %s\n", ZH: "密码（不会再次显示）：%s\n"},
	start: cause.Text{
		EN: "It may do nothing yet: picket allow %[1]s publish|subscribe|all FILTER\n",
		ZH: "它还没有任何权限：picket allow %[1]s publish|subscribe|all 主题过滤器\n",
	},
	changed: cause.Text{EN: "The password of %s is changed; its connections have ended.\n", ZH: "已修改 %s 的密码，它的连接已断开。\n"},
	off:     cause.Text{EN: "%s is disabled; its connections have ended.\n", ZH: "已停用 %s，它的连接已断开。\n"},
	on:      cause.Text{EN: "%s can log in again.\n", ZH: "%s 可以重新登录。\n"},
	removed: cause.Text{EN: "%s is removed; its connections have ended.\n", ZH: "已删除 %s，它的连接已断开。\n"},
}

// changeFlags are those of commands that change users, rights or bans.
type changeFlags struct {
	DryRun bool `help:"Say what would change, and change nothing." zh:"只说明会有什么变化，不做修改。"`
	adminFlags
}

// managed is a broker whose users can be changed.
type managed struct {
	*admin.Client
	users *admin.Users
	lang  cause.Lang
	last  *admin.Preview // what the last change would have done; nil: changes are made
}

// done says what a change has led to: value or text, or what a dry run has found.
func (f *changeFlags) done(e *env, m *managed, value any, text string) error {
	if m.last != nil {
		return f.foreseen(e, m.last)
	}
	return f.print(e, value, text)
}

// foreseen says what a dry run has found.
func (f *changeFlags) foreseen(e *env, p *admin.Preview) error {
	p.Responses = nil // they are for programs that have sent commands
	return f.print(e, p, admin.PreviewText(p, e.lang()))
}

// managed finds the broker.
func (f *changeFlags) managed(e *env) (*managed, error) {
	broker, err := f.dial(e)
	if err != nil {
		return nil, err
	}
	m := &managed{Client: broker, lang: e.lang()}
	if f.DryRun {
		m.last = broker.DryRun()
	}
	m.users, err = broker.Users(e.ctx)
	if err == nil && m.users.Rights == "" {
		return nil, &statusError{statusFailure, userWords.unmanaged.In(m.lang)}
	}
	return m, err
}

// has tells whether the file of users and rights has a user.
func (m *managed) has(ctx context.Context, name string) (bool, error) {
	all, err := m.Managed(ctx)
	return slices.ContainsFunc(all, func(u admin.User) bool { return u.Name == name }), err
}

// owns refuses a name that is not the file's to change.
func (m *managed) owns(ctx context.Context, name string) error {
	if has, err := m.has(ctx, name); has || err != nil {
		return err
	}
	return m.strange(name)
}

// strange says why a user cannot be changed that the file of users and rights does not have.
func (m *managed) strange(name string) error {
	if file := m.users.FileOf(name); file != "" {
		return &statusError{statusFailure, fmt.Sprintf(userWords.inFile.In(m.lang), printable.ShellWord(name), file)}
	}
	return &statusError{statusFailure, fmt.Sprintf(userWords.missing.In(m.lang), name)}
}

// userList is "picket user list".
type userList struct{ adminFlags }

func (userList) details() details {
	return details{examples: `picket user list
picket user list --json`}
}

// Run asks and prints.
func (c *userList) Run(e *env) error {
	broker, err := c.dial(e)
	if err != nil {
		return err
	}
	users, err := broker.Users(e.ctx)
	if err != nil {
		return err
	}
	var own []admin.User
	if users.Rights != "" {
		if own, err = broker.Managed(e.ctx); err != nil {
			return err
		}
	}
	return c.print(e, struct {
		*admin.Users
		Managed []admin.User `json:"managed"`
	}{users, own}, usersText(users, own, e.lang()))
}

// usersText lists users for a person, one to a line.
func usersText(users *admin.Users, own []admin.User, lang cause.Lang) string {
	var b strings.Builder
	for _, u := range own {
		parts := []string{printable.Text(u.Name)}
		if u.Has(admin.Everything) {
			parts = append(parts, userWords.everything.In(lang))
		} else {
			parts = append(parts, userWords.limited.In(lang))
		}
		if u.Disabled {
			parts = append(parts, userWords.disabled.In(lang))
		}
		if u.ClientID != "" {
			parts = append(parts, fmt.Sprintf(userWords.clientID.In(lang), printable.Text(u.ClientID)))
		}
		if len(u.Groups) > 0 {
			var names []string
			for _, g := range u.Groups {
				names = append(names, printable.Text(g.Name))
			}
			parts = append(parts, fmt.Sprintf(userWords.groups.In(lang), strings.Join(names, " ")))
		}
		b.WriteString(strings.Join(parts, "  ") + "\n")
	}
	for _, path := range slices.Sorted(maps.Keys(users.Files)) {
		for _, name := range users.Files[path] {
			fmt.Fprintf(&b, userWords.fromFile.In(lang), printable.Text(name), path)
		}
	}
	if b.Len() == 0 {
		return userWords.none.In(lang)
	}
	return b.String()
}

// newPassword is how a command is given a password.
type newPassword struct {
	Password string `enum:",-" default:"" placeholder:"-" help:"-: read the password from standard input, or ask for it at a terminal (default: a random one is made and shown)." zh:"-：从标准输入读取密码，在终端上则询问（默认：随机生成并显示）。"`
}

// get returns the password; made is the same if it was made here and nobody knows it yet, and otherwise empty.
func (p *newPassword) get(e *env) (password, made string, err error) {
	switch {
	case p.Password == "":
		password = setup.NewPassword()
		return password, password, nil
	case isTerminal(e.stdin):
		password, err = askPassword(e)
	default:
		password, err = readSecret(e, bufio.NewReader(e.stdin))
	}
	if err == nil && password == "" {
		err = errors.New("the password is empty")
	}
	return password, "", err
}

// userAdd is "picket user add".
type userAdd struct {
	Name string `arg:"" help:"The user name." zh:"用户名。"`
	newPassword
	Limited  bool   `help:"The user may do nothing until picket allow says so (default: it may do everything, as without rules)." zh:"用户没有任何权限，直到用 picket allow 授权（默认：不受限制，与没有规则时相同）。"`
	ClientID string `name:"client" placeholder:"ID" help:"The user may connect with this client identifier only." zh:"用户只能用这个客户端标识连接。"`
	changeFlags
}

func (userAdd) details() details {
	return details{examples: `picket user add lamp
picket user add sensor --limited && picket allow sensor publish "sensors/%u/#"
picket user add bridge --client bridge-1 --password - < secret`}
}

// Run adds the user.
func (c *userAdd) Run(e *env) error {
	if err := access.CheckUsername(c.Name); err != nil {
		return &usageError{text: err.Error()}
	}
	m, err := c.managed(e)
	if err != nil {
		return err
	}
	if file := m.users.FileOf(c.Name); file != "" {
		return m.strange(c.Name)
	}
	switch has, err := m.has(e.ctx, c.Name); {
	case err != nil:
		return err
	case has:
		return &statusError{statusFailure, fmt.Sprintf(userWords.exists.In(m.lang), c.Name)}
	}
	password, made, err := c.get(e)
	if err != nil {
		return err
	}
	u := admin.NewUser{Name: c.Name, Password: password, ClientID: c.ClientID, Limited: c.Limited}
	if err := m.AddUser(e.ctx, u); err != nil {
		return err
	}
	text := fmt.Sprintf(userWords.added.In(m.lang), printable.Text(c.Name))
	if made != "" {
		text += fmt.Sprintf(userWords.generated.In(m.lang), password)
	}
	if c.Limited {
		text += fmt.Sprintf(userWords.start.In(m.lang), printable.ShellWord(printable.Text(c.Name)))
	}
	return c.done(e, m, userDone{c.Name, made}, text)
}

// userDone is what programs are told of a user that was changed.
type userDone struct {
	User     string `json:"user"`
	Password string `json:"password,omitempty"` // if it was made here
}

// userPasswd is "picket user passwd".
type userPasswd struct {
	Name string `arg:"" help:"The user name." zh:"用户名。"`
	newPassword
	changeFlags
}

func (userPasswd) details() details {
	return details{examples: `picket user passwd lamp
picket user passwd lamp --password - < secret`}
}

// Run changes the password.
func (c *userPasswd) Run(e *env) error {
	m, err := c.managed(e)
	if err != nil {
		return err
	}
	if err := m.owns(e.ctx, c.Name); err != nil {
		return err
	}
	password, made, err := c.get(e)
	if err != nil {
		return err
	}
	if err := m.ChangeUser(e.ctx, c.Name, admin.UserChange{Password: &password}); err != nil {
		return err
	}
	text := fmt.Sprintf(userWords.changed.In(m.lang), printable.Text(c.Name))
	if made != "" {
		text += fmt.Sprintf(userWords.generated.In(m.lang), password)
	}
	return c.done(e, m, userDone{c.Name, made}, text)
}

// oneUser is a command about one user.
type oneUser struct {
	Name string `arg:"" help:"The user name." zh:"用户名。"`
	changeFlags
}

// change changes the user and says that it is done.
func (c *oneUser) change(e *env, change func(*managed) error, done cause.Text) error {
	m, err := c.managed(e)
	if err != nil {
		return err
	}
	if err := m.owns(e.ctx, c.Name); err != nil {
		return err
	}
	if err := change(m); err != nil {
		return err
	}
	return c.done(e, m, userDone{User: c.Name}, fmt.Sprintf(done.In(m.lang), printable.Text(c.Name)))
}

type (
	userDisable struct{ oneUser } // "picket user disable"
	userEnable  struct{ oneUser } // "picket user enable"
	userRemove  struct{ oneUser } // "picket user rm"
)

func (userDisable) details() details { return details{examples: `picket user disable lamp`} }
func (userEnable) details() details  { return details{examples: `picket user enable lamp`} }
func (userRemove) details() details  { return details{examples: `picket user rm lamp`} }

func disabled(is bool) admin.UserChange { return admin.UserChange{Disabled: &is} }

// Run keeps the user out.
func (c *userDisable) Run(e *env) error {
	return c.change(e, func(m *managed) error { return m.ChangeUser(e.ctx, c.Name, disabled(true)) }, userWords.off)
}

// Run lets the user in again.
func (c *userEnable) Run(e *env) error {
	return c.change(e, func(m *managed) error { return m.ChangeUser(e.ctx, c.Name, disabled(false)) }, userWords.on)
}

// Run removes the user.
func (c *userRemove) Run(e *env) error {
	return c.change(e, func(m *managed) error { return m.RemoveUser(e.ctx, c.Name) }, userWords.removed)
}
