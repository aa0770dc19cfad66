package main

import (
	"fmt"

	"picket/cause"
)

var healthy = cause.Text{EN: "healthy: process %d, %s\n", ZH: "正常：进程 %d，已连接客户端 %d\n"}

// ctlHealth is "picket ctl health": the health check of containers.
type ctlHealth struct{ adminFlags }

func (ctlHealth) details() details {
	return details{
		Text: cause.Text{EN: `Exit status: 0 when the broker answers, also in maintenance; 1 when it does not.`, ZH: `退出状态：服务端有应答为 0，处于维护状态时也是 0；没有应答为 1。`},
		examples: `picket ctl health
HEALTHCHECK CMD ["picket", "ctl", "health"]`,
	}
}

// Run asks for the broker's state: it has to take a look at itself for that.
func (c *ctlHealth) Run(e *env) error {
	s, err := c.status(e)
	if err != nil {
		return err
	}
	if c.JSON {
		return c.show(e, s)
	}
	if lang := e.lang(); lang == cause.Chinese {
		_, err = fmt.Fprintf(e.stdout, healthy.In(lang), s.PID, s.Clients)
		return err
	}
	_, err = fmt.Fprintf(e.stdout, healthy.EN, s.PID, plural(int(s.Clients), "client"))
	return err
}
