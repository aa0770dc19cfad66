package main

import (
	"fmt"
	"os"
	"slices"

	"picket/admin"
	"picket/cause"
	"picket/cloud/detect"
	"picket/reach"
	"picket/setup"
)

// showCommand is "picket show": what the first start has said, again.
type showCommand struct {
	NewPassword bool `help:"Give the user picket a new password and show it. The broker takes it at once." zh:"为用户 picket 生成新密码并显示，服务端立即生效。"`
	adminFlags
}

func (showCommand) details() details {
	return details{
		Text: cause.Text{EN: `It asks the running broker, so it has to be called by root or the broker's user. A password is shown while it is noted in the data directory: that is
until a start at a terminal has shown it, or the file has been removed.`, ZH: `内容来自正在运行的服务端，因此须由 root 或运行服务端的用户执行。密码只有在数据目录中还留有记录时才能显示，即直到在终端上启动时已显示过它，或那个文件被删除为止。`},
		examples: `sudo picket show
picket show --lang zh
sudo picket show --new-password`,
	}
}

var notOurs = cause.Text{
	EN: "This broker runs with a configuration file that has no data_dir: what to enter on a phone follows from %s. picket ctl status shows its ports.",
	ZH: "此服务端使用的配置文件没有 data_dir：手机上填什么由 %s 决定。picket ctl status 显示它的端口。",
}

// Run prints it.
func (c *showCommand) Run(e *env) error {
	broker, err := c.dial(e)
	if err != nil {
		return err
	}
	s, err := broker.Status(e.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return c.show(e, s)
	}
	if s.Data == "" {
		return &statusError{statusFailure, fmt.Sprintf(notOurs.In(e.lang()), s.Config)}
	}
	own, err := c.own(e, s)
	if err == nil && c.NewPassword {
		_, err = broker.Reload(e.ctx)
	}
	if err != nil {
		return err
	}
	show := setup.Shown{Lang: e.lang(), Trusted: own.Trusted, Terminal: isTerminal(e.stdout), Config: s.Config, Hint: e.language == "" && noLocale(os.Getenv)}
	return own.Print(e.stdout, show, reach.Of(statusDoors(s), own.Place.Host), own.Place)
}

// own is what the broker's data directory holds. Nothing is made anew in it but a password that was asked for.
func (c *showCommand) own(e *env, s *admin.Status) (*setup.Result, error) {
	own := setup.Files(s.Data)
	if err := own.ReadNames(); err != nil {
		return nil, err
	}
	place, err := setup.Here(e.ctx, detect.Detector{})
	if err != nil {
		return nil, err
	}
	place.Names, own.Place = own.Names, place
	serves := func(l admin.Listener) bool { return l.CertFile == authorityFile(own.Dir) }
	if leaf := certified(own.Dir); leaf != nil && slices.ContainsFunc(s.Listeners, serves) {
		own.Trusted = true
		if len(leaf.DNSNames) > 0 {
			tellFirst(place, leaf.DNSNames[0])
		}
	}
	if !c.NewPassword {
		return own, own.ReadNote()
	}
	return own, own.NewPassword()
}
