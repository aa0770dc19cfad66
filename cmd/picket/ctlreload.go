package main

import (
	"fmt"

	"picket/cause"
)

var reloaded = cause.Text{EN: "process %d has its new configuration in force\n", ZH: "进程 %d 的新配置已生效\n"}

// ctlReload is "picket ctl reload".
type ctlReload struct{ adminFlags }

func (ctlReload) details() details {
	return details{
		Text: cause.Text{EN: `The same as SIGHUP, but it waits until the new configuration is in force, and says so, or says what is wrong with it: the old one then stays.

Exit status: 0 when it is in force, 1 when not.`, ZH: `与 SIGHUP 相同，但会等到新配置生效并告知结果；新配置有误时指出错在哪里，原来的配置继续有效。

退出状态：已生效为 0，否则为 1。`},
		examples: `picket ctl reload
sudo picket ctl reload --socket /run/picket/admin.sock`,
	}
}

// Run asks and waits.
func (c *ctlReload) Run(e *env) error {
	broker, err := c.dial(e)
	if err != nil {
		return err
	}
	s, err := broker.Reload(e.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return c.show(e, s)
	}
	_, err = fmt.Fprintf(e.stdout, reloaded.In(e.lang()), s.PID)
	return err
}
