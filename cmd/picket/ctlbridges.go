package main

import (
	"time"
)

// ctlBridges is "picket ctl bridges".
type ctlBridges struct{ adminFlags }

func (ctlBridges) Help() string {
	return `Shows each bridge to another broker: what it is connected to, what it has carried and what waits; or why it is not connected, what to do
about that, and when it is tried next.

Examples:
  picket ctl bridges
  picket ctl bridges --json
  picket ctl bridges --lang zh`
}

// Run asks and prints.
func (c *ctlBridges) Run(e *env) error {
	s, err := c.status(e)
	if err != nil {
		return err
	}
	return c.print(e, s.Bridges, s.BridgesText(languageFor(c.Lang), time.Now()))
}
