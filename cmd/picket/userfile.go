package main

import (
	"encoding/json"
	"errors"
	"os"

	"picket/access"
	"picket/admin"
	"picket/cause"
)

// userImport is "picket user import".
type userImport struct {
	Dynsec    string `type:"path" placeholder:"FILE" help:"A file of mosquitto's dynamic security, or of picket user export." zh:"mosquitto 动态安全的文件，或 picket user export 导出的文件。"`
	Passwords string `type:"path" placeholder:"FILE" help:"A password file of mosquitto or Picket." zh:"mosquitto 或 Picket 的密码文件。"`
	Limited   bool   `help:"Users of a password file may do nothing until picket allow says so (default: they may do everything)." zh:"密码文件中的用户没有任何权限，直到用 picket allow 授权（默认：不受限制）。"`
	Replace   bool   `help:"Replace users, groups and roles of the same name (default: they stay as they are)." zh:"替换同名的用户、组和角色（默认：保持不变）。"`
	changeFlags
}

func (userImport) details() details {
	return details{
		Text: cause.Text{EN: `Everybody keeps the password: its hash is taken over. Of a password file those are taken whose passwords are kept as PBKDF2 ($7$), which is what mosquitto_passwd and picket passwd write; the others
are named. What holds without a rule stays as it is.`, ZH: `密码不变：导入的是密码的散列。密码文件中只导入以 PBKDF2（$7$）保存密码的用户，mosquitto_passwd 和 picket passwd 写的就是这种；其余用户会列出。没有规则时的默认权限保持不变。`},
		examples: `picket user import --passwords /etc/mosquitto/passwords --dry-run
picket user import --dynsec dynamic-security.json --replace`,
	}
}

// Run adds what is in the file.
func (c *userImport) Run(e *env) error {
	i, err := c.read()
	if err != nil {
		return err
	}
	m, err := c.managed(e)
	if err != nil {
		return err
	}
	if !c.DryRun {
		done, err := m.Import(e.ctx, i)
		if err != nil {
			return err
		}
		return c.print(e, done, admin.ImportedText(done, false, m.lang))
	}
	would, err := m.TryImport(e.ctx, i)
	if err != nil {
		return err
	}
	return c.print(e, would, admin.PreviewText(would, m.lang)+admin.ImportedText(would.Imported, true, m.lang))
}

// read reads the file.
func (c *userImport) read() (i admin.Import, err error) {
	path := c.Dynsec + c.Passwords
	if c.Dynsec == "" == (c.Passwords == "") {
		return i, &usageError{text: "either --dynsec FILE or --passwords FILE is expected"}
	}
	data, _, err := access.ReadBounded(path, access.MaxFileSize)
	if err != nil {
		return i, err
	}
	i.Limited, i.Replace = c.Limited, c.Replace
	if c.Dynsec == "" {
		i.Passwords = string(data)
	} else if i.File = data; !json.Valid(data) {
		return i, errors.New(path + ": that is no JSON")
	}
	return i, nil
}

// userExport is "picket user export".
type userExport struct {
	File string `arg:"" optional:"" type:"path" help:"The file, which only its owner can read (default: standard output)." zh:"文件，只有所有者可读（默认：标准输出）。"`
	changeless
}

// changeless are the flags of a command that answers in JSON in any case.
type changeless struct {
	Socket string `env:"PICKET_SOCKET" placeholder:"PATH" type:"path" help:"The broker's admin socket (default: that of the broker that runs here)." zh:"服务端的管理套接字（默认：本机正在运行的那个服务端的）。"`
}

func (userExport) details() details {
	return details{
		Text: cause.Text{EN: `The file is that of mosquitto's dynamic security, with the hashes of the passwords: whoever can read it can try to guess them. mosquitto takes it as plugin_opt_config_file, another broker of Picket
with picket user import.`, ZH: `文件是 mosquitto 动态安全的格式，包含密码的散列：能读到它的人可以尝试猜测密码。mosquitto 可用作 plugin_opt_config_file，另一个 Picket 服务端可用 picket user import 导入。`},
		examples: `picket user export users.json`,
	}
}

// Run writes what there is.
func (c *userExport) Run(e *env) error {
	f := changeFlags{adminFlags: adminFlags{Socket: c.Socket}}
	m, err := f.managed(e)
	if err != nil {
		return err
	}
	data, err := m.Export(e.ctx)
	if err != nil {
		return err
	}
	if data = append(data, '\n'); c.File == "" {
		_, err = e.stdout.Write(data)
		return err
	}
	out, err := os.OpenFile(c.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // a file that is there may be open to others
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	return errors.Join(err, out.Sync(), out.Close())
}
