package main

import (
	"time"

	"picket/cause"
)

// ctlBridges is "picket ctl bridges".
type ctlBridges struct{ adminFlags }

func (ctlBridges) details() details {
	return details{
		Text: cause.Text{EN: `Shows each bridge to another broker: what it is connected to, what it has carried and what waits; or why it is not connected, what to do
about that, and when it is tried next.`, ZH: `显示每个通往其他服务端的桥接：连到哪里、转发了多少、还有多少在等待；没有连上时，说明原因、该怎么办，以及下次什么时候再试。`},
		examples: `picket ctl bridges
picket ctl bridges --json
picket ctl bridges --lang zh`,
	}
}

// Run asks and prints.
func (c *ctlBridges) Run(e *env) error {
	s, err := c.status(e)
	if err != nil {
		return err
	}
	return c.print(e, s.Bridges, s.BridgesText(e.lang(), time.Now()))
}
