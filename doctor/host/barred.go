package host

import (
	"strings"

	"picket/cause"
	"picket/doctor"
	"picket/printable"
)

// Barred is a file or a folder that a configuration names, and that the broker's user may not use as the directive needs it.
type Barred struct {
	Directive string `json:"directive"`
	File      string `json:"file"` // what the directive names
	At        string `json:"at"`   // the file itself, or the folder on the way to it that the user may not enter
	User      string `json:"user"`
	Write     bool   `json:"write,omitempty"` // files have to be made in it; else it has to be read
}

func (b Barred) text() cause.Text {
	if b.Write {
		return doctor.Say("the user %s may not make files in %s (%s)", "用户 %s 无权在 %s（%s）中建立文件", b.User, b.At, b.Directive)
	}
	return doctor.Say("the user %s may not read %s (%s)", "用户 %s 无权读取 %s（%s）", b.User, b.At, b.Directive)
}

// barred: the broker's user may not use what its configuration names.
func (d *diagnosis) barred(c Config, at int) {
	_, none := facts[NoBroker](d.Facts)
	for _, b := range c.Barred {
		values := cause.Values{"file": b.File, "line": "?"}
		var f *doctor.Finding
		switch {
		case b.Write && c.PID != 0:
			f = d.find(cause.StoreFailed, doctor.Possible, values, doctor.Say("%s runs as %s, who may not make files in %s: it works until it ends, and then sessions, queued and retained messages are gone.", "%s 以用户 %s 运行，无权在 %s 中建立文件：运行期间一切正常，但停止之后会话、排队的消息和保留消息都会丢失。", c.Program, b.User, b.At), at)
		case b.Write:
			f = d.find(cause.StoreFailed, doctor.Probable, values, doctor.Say("%s will run as %s, who may not make files in %s.", "%s 将以用户 %s 运行，无权在 %s 中建立文件。", c.Program, b.User, b.At), at)
		case c.PID == 0 && len(none) > 0 && !c.Default:
			f = d.find(cause.ConfigUnreadable, doctor.Sure+3, values, doctor.Say("%s ends at its start, since its user %s may not read %s, which %s needs.", "%s 启动后立即退出：它的用户 %s 无权读取 %s，而 %s 需要它。", c.Program, b.User, b.At, b.Directive), at, none[0])
		default:
			f = d.find(cause.ConfigUnreadable, doctor.Possible, values, doctor.Say("The user %s may not read %s, which %s needs: at the next start or reload the broker refuses it.", "用户 %s 无权读取 %s，而 %s 需要它：下次启动或重载时会失败。", b.User, b.At, b.Directive), at)
		}
		f.Steps = append(f.Steps, b.give())
	}
}

// give is how the broker's user gets what it needs.
func (b Barred) give() doctor.Step {
	user, file := printable.ShellWord(b.User), printable.ShellWord(b.File)
	switch {
	case b.Write:
		return doctor.Step{Title: doctor.Say("Give the folder to the broker's user", "把目录交给服务端的用户"), Lines: doctor.Say("sudo chown %s %s\nsudo chmod u+rwx %[2]s", "sudo chown %s %s\nsudo chmod u+rwx %[2]s", user, file)}
	case b.At == b.File:
		return doctor.Step{Title: doctor.Say("Give the file to the broker's user, and to nobody else", "把文件交给服务端的用户，其他人不可读"), Lines: doctor.Say("sudo chown %s %s\nsudo chmod 0600 %[2]s", "sudo chown %s %s\nsudo chmod 0600 %[2]s", user, file)}
	}
	return doctor.Step{Title: doctor.Say("Put a copy where the broker may look, and change the line that names it", "复制到服务端能访问的位置，并修改引用它的那一行"),
		Lines: doctor.Say("sudo install -o %s -m 0600 %s /etc/mosquitto/%s", "sudo install -o %s -m 0600 %s /etc/mosquitto/%s", user, file, printable.ShellWord(b.File[strings.LastIndexByte(b.File, '/')+1:]))}
}
