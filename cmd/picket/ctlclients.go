package main

import (
	"fmt"

	"picket/admin"
	"picket/broker"
)

// ctlClients is "picket ctl clients".
type ctlClients struct {
	Prefix string `placeholder:"TEXT" help:"Only those whose client identifier begins so."`
	User   string `placeholder:"NAME" help:"Only those of this user."`
	From   string `placeholder:"NETWORK" help:"Only those who are connected from this address or network."`
	Online bool   `help:"Only those who are connected."`
	Queued bool   `help:"Those first for whom most messages wait."`
	Limit  int    `default:"100" placeholder:"N" help:"At most so many, up to 1000 (default ${default})."`
	After  string `placeholder:"ID" help:"Go on behind this client identifier."`
	adminFlags
}

func (ctlClients) Help() string {
	return `Lists sessions, also those whose client is away, in the order of their client identifiers: where it is connected from and how, its user, its
subscriptions, the messages that it has not acknowledged and those that wait for it.

Examples:
  picket ctl clients
  picket ctl clients --queued --limit 10
  picket ctl clients --online --from 192.168.1.0/24
  picket ctl clients --prefix sensor- --json`
}

// Run asks and prints.
func (c *ctlClients) Run(e *env) error {
	q := broker.ClientQuery{After: c.After, Prefix: c.Prefix, User: c.User, Online: c.Online, Limit: c.Limit, ByQueue: c.Queued}
	if c.Limit < 1 || c.Limit > broker.MaxClients {
		return &usageError{text: fmt.Sprintf("--limit: a number from 1 to %d is expected", broker.MaxClients)}
	}
	if c.From != "" {
		var err error
		if q.From, err = admin.ParseNetwork(c.From); err != nil {
			return &usageError{text: "--from: " + err.Error()}
		}
	}
	found, err := c.dial(e)
	if err != nil {
		return err
	}
	page, err := found.Clients(e.ctx, q)
	if err != nil {
		return err
	}
	return c.print(e, page, admin.ClientsText(page, languageFor(c.Lang)))
}

// ctlClient is "picket ctl client".
type ctlClient struct {
	ID string `arg:"" help:"The client identifier."`
	adminFlags
}

func (ctlClient) Help() string {
	return `Examples:
  picket ctl client sensor-7
  picket ctl client sensor-7 --json`
}

// Run asks and prints.
func (c *ctlClient) Run(e *env) error {
	found, err := c.dial(e)
	if err != nil {
		return err
	}
	one, err := found.Client(e.ctx, c.ID)
	if err != nil {
		return err
	}
	return c.print(e, one, one.Text(languageFor(c.Lang)))
}

// ctlDisconnect is "picket ctl disconnect".
type ctlDisconnect struct {
	ID     string `arg:"" help:"The client identifier."`
	Reason string `placeholder:"TEXT" help:"What an MQTT 5 client and the log are told."`
	adminFlags
}

func (ctlDisconnect) Help() string {
	return `The client gets DISCONNECT 0x98 (Administrative action) with the reason, if it speaks MQTT 5; its will is published, and its session stays as after a lost
connection. Most clients connect again at once: to keep one out, take its password or its user away, too.

Exit status: 0 when it was disconnected, 1 when it was not connected.

Examples:
  picket ctl disconnect sensor-7
  picket ctl disconnect sensor-7 --reason "sends too much"`
}

// Run ends the connection.
func (c *ctlDisconnect) Run(e *env) error {
	found, err := c.dial(e)
	if err != nil {
		return err
	}
	one, err := found.Disconnect(e.ctx, c.ID, c.Reason)
	if err != nil {
		return err
	}
	return c.print(e, one, one.Disconnected(languageFor(c.Lang)))
}
