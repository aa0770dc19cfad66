package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"picket/access"
	"picket/cause"
	"picket/mosqconf"
	"picket/setup"
	"picket/store"
	"picket/store/place"
)

// storeExport is "picket store export": the way back to mosquitto.
type storeExport struct {
	From string `arg:"" help:"What to export: a configuration file, or a data directory, with the users and rules in it; or a store alone: its directory, or where Redis is: redis://…" zh:"要导出的内容：配置文件，或数据目录（连同其中的用户和规则）；也可以只是存储：其目录，或 Redis 的地址：redis://…"`
	To   string `arg:"" type:"path" help:"The folder to write to; it is made if it is missing." zh:"目标目录，不存在时会创建。"`
}

func (storeExport) details() details {
	return details{
		Text: cause.Text{EN: `Writes what mosquitto 1.6.10 and later, 2.0 and 2.1 read: mosquitto.db with sessions, subscriptions, queued messages, those in flight with their
packet identifiers, and retained messages; the password file; the ACL file. Stop the broker first. Nothing of it changes. What mosquitto has no place for
is left out, and said: wills; users whose password is kept for SCRAM, who need a new one by mosquitto_passwd.`, ZH: `写出 mosquitto 1.6.10 及以后版本、2.0 和 2.1 能读取的文件：mosquitto.db，含会话、订阅、排队的消息、在途消息及其报文标识符和保留消息；密码文件；ACL 文件。请先停止服务端。原有内容不会改变。mosquitto 无处保存的内容会略去并说明：遗嘱，以及以 SCRAM 形式保存密码的用户（需要用 mosquitto_passwd 重设密码）。`},
		examples: `picket store export /etc/picket/picket.conf /tmp/mosquitto
picket store export ~/.local/state/picket /tmp/mosquitto
picket store export redis://10.0.0.21:6379 /tmp/mosquitto`,
	}
}

// exported is what there is to export.
type exported struct {
	store     string        // a directory, or redis://…; empty: nothing is stored
	own       *setup.Result // the data directory, with a password that nobody has seen yet; nil: none
	passwords []string      // files
	rules     []string
}

// Run writes everything, or says what was in the way.
func (c *storeExport) Run(e *env) error {
	x, err := c.find()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.To, 0o750); err != nil {
		return err
	}
	lang := e.lang()
	lines := []string{"persistence true", "persistence_location " + c.To + "/"}
	if x.store == "" {
		lines = []string{exportText.nothing.In(lang)}
	} else if err := c.exportStore(e, x.store, lang); err != nil {
		return err
	}
	for _, file := range x.passwords {
		to := c.name(file, x.passwords)
		if err := x.exportPasswords(e, file, to, lang); err != nil {
			return err
		}
		lines = append(lines, "password_file "+to)
	}
	for _, file := range x.rules {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		to := c.name(file, x.rules)
		if err := writeNew(to, access.WithoutMark(string(data)), 0o600); err != nil {
			return err
		}
		lines = append(lines, "acl_file "+to)
	}
	if _, err := fmt.Fprintf(e.stdout, exportText.next.In(lang), c.To); err != nil {
		return err
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(e.stdout, "    "+line); err != nil {
			return err
		}
	}
	return nil
}

// find says what belongs to what was named.
func (c *storeExport) find() (*exported, error) {
	info, err := os.Stat(c.From)
	switch {
	case inRedis(c.From):
		place, err := placeArgument(c.From)
		return &exported{store: place}, err
	case err != nil:
		return nil, err
	case !info.IsDir():
		return exportedBy(c.From)
	case setup.IsDataDir(c.From):
		own := setup.Files(c.From)
		return &exported{store: filepath.Join(c.From, storeName), own: own, passwords: []string{own.PasswordFile}}, own.ReadNote()
	}
	return &exported{store: c.From}, nil
}

// exportedBy is what a configuration file names.
func exportedBy(file string) (*exported, error) {
	config, report := mosqconf.Read(file)
	if report.Failed() {
		return nil, fmt.Errorf("%s has errors: picket check -c %s", file, file)
	}
	x := new(exported)
	if config.DataDir != "" {
		x.own = setup.Files(config.DataDir)
		if err := x.own.ReadNote(); err != nil {
			return nil, err
		}
	}
	var err error
	if x.store, err = placeOf(config.Persistence); err != nil {
		return nil, err
	}
	add := func(list *[]string, name string) {
		if name != "" && !slices.Contains(*list, name) {
			*list = append(*list, name)
		}
	}
	for _, s := range config.Security {
		add(&x.passwords, s.PasswordFile)
		add(&x.rules, s.ACLFile)
	}
	return x, nil
}

// name is where a file goes: under its own name, or a number where others have the same.
func (c *storeExport) name(file string, all []string) string {
	to, n := filepath.Join(c.To, filepath.Base(file)), 0
	for _, other := range all {
		if other == file {
			break
		}
		if filepath.Base(other) == filepath.Base(file) {
			n++
		}
	}
	if n > 0 {
		to += fmt.Sprint(n + 1)
	}
	return to
}

// exportStore writes mosquitto.db.
func (c *storeExport) exportStore(e *env, from string, lang cause.Lang) error {
	each, done, err := openItems(e, from)
	if err != nil {
		return err
	}
	defer done()
	to := filepath.Join(c.To, "mosquitto.db")
	sum, err := place.Export(to, func(do func(store.Item) error) error {
		return each(func(i store.Item) error { return errors.Join(context.Cause(e.ctx), do(i)) })
	})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(e.stdout, "%s: %s\n", to, sum); err != nil {
		return err
	}
	for _, line := range sum.Left() {
		if _, err := fmt.Fprintf(e.stdout, exportText.left.In(lang), to, line); err != nil {
			return err
		}
	}
	return nil
}

// exportPasswords writes a password file that mosquitto reads. A user whose password nobody has seen yet keeps it; of the others that mosquitto cannot check, the
// names are said.
func (x *exported) exportPasswords(e *env, from, to string, lang cause.Lang) error {
	file, err := access.ReadPasswordFile(from)
	if err != nil {
		return err
	}
	if x.own != nil && x.own.Password != "" && x.own.PasswordFile == from {
		entry, err := access.HashPassword(access.PBKDF2, x.own.Password, 0)
		if err != nil {
			return err
		}
		if _, err := file.Set(setup.User, entry); err != nil {
			return err
		}
	}
	text, users, left := file.ForMosquitto()
	if err := writeNew(to, text, 0o600); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(e.stdout, "%s: %s\n", to, plural(users, "user")); err != nil {
		return err
	}
	for _, user := range left {
		if _, err := fmt.Fprintf(e.stdout, exportText.scram.In(lang), to, user); err != nil {
			return err
		}
	}
	return nil
}

// exportText is what is said.
var exportText = struct{ nothing, left, scram, next cause.Text }{
	nothing: cause.Text{EN: "# nothing is stored: persistence is off", ZH: "# 没有存储任何内容：persistence 未开启"},
	left:    cause.Text{EN: "%s: left out: %s\n", ZH: "%s：未导出：%s\n"},
	scram: cause.Text{
		EN: "%[1]s: left out: user %[2]s, whose password is kept for SCRAM. For a new one: mosquitto_passwd %[1]s %[2]s\n",
		ZH: "%[1]s：未导出用户 %[2]s：其密码以 SCRAM 形式保存，mosquitto 无法校验。请重新设置：mosquitto_passwd %[1]s %[2]s\n",
	},
	next: cause.Text{
		EN: "Give the files to mosquitto's user (chown mosquitto: %s/*), and write into mosquitto.conf:\n",
		ZH: "请把文件交给 mosquitto 的用户（chown mosquitto: %s/*），并在 mosquitto.conf 中写入：\n",
	},
}
