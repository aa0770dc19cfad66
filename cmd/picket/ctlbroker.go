package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"picket/admin"
	"picket/ban"
	"picket/cause"
	"picket/setup"
)

// adminFlags say which broker is meant and how it is shown.
type adminFlags struct {
	Socket string `env:"PICKET_SOCKET" placeholder:"PATH" type:"path" help:"The broker's admin socket (default: that of the broker that runs here)." zh:"服务端的管理套接字（默认：本机正在运行的那个服务端的）。"`
	JSON   bool   `help:"Print the broker's state as JSON." zh:"以 JSON 格式输出服务端的状态。"`
}

// dial finds the broker: the one at the socket that was named, or the only one that runs here. What is in the way is said in the reader's language.
func (f *adminFlags) dial(e *env) (*admin.Client, error) {
	broker, err := f.find(e)
	var told interface{ In(lang cause.Lang) string }
	if errors.As(err, &told) {
		err = worded{err, told.In(e.lang())}
	}
	return broker, err
}

// worded is an error with its text in the reader's language.
type worded struct {
	error
	text string
}

func (w worded) Error() string { return w.text }
func (w worded) Unwrap() error { return w.error }

func (f *adminFlags) find(e *env) (*admin.Client, error) {
	if f.Socket != "" {
		return admin.Dial(e.ctx, f.Socket)
	}
	found, err := findBrokers(e)
	if err != nil {
		return nil, err
	}
	if len(found) == 1 {
		return found[0], nil
	}
	several := new(admin.SeveralError)
	for _, c := range found {
		s, err := c.Status(e.ctx)
		if err != nil {
			continue // it has ended meanwhile
		}
		several.Found = append(several.Found, s)
	}
	return nil, several
}

// findBrokers returns all that may be asked.
func findBrokers(e *env) ([]*admin.Client, error) {
	paths := []string{admin.SystemSocket}
	if dir, err := setup.DefaultDir(os.Getenv, os.Geteuid()); err == nil {
		paths = append(paths, filepath.Join(dir, admin.SocketName))
	}
	return admin.Find(e.ctx, paths...)
}

// show prints a status.
func (f *adminFlags) show(e *env, s *admin.Status) error {
	return f.print(e, s, s.Text(e.lang()))
}

// print writes an answer, as JSON or for a person.
func (f *adminFlags) print(e *env, answer any, text string) error {
	if f.JSON {
		out := json.NewEncoder(e.stdout)
		out.SetIndent("", "  ")
		return out.Encode(answer)
	}
	_, err := fmt.Fprint(e.stdout, text)
	return err
}

// status asks the broker for its state.
func (f *adminFlags) status(e *env) (*admin.Status, error) {
	broker, err := f.dial(e)
	if err != nil {
		return nil, err
	}
	return broker.Status(e.ctx)
}

// ctlStatus is "picket ctl status".
type ctlStatus struct{ adminFlags }

func (ctlStatus) details() details {
	return details{examples: `picket ctl status
picket ctl status --json
picket ctl status --socket /run/picket/admin.sock`}
}

// Run asks and prints.
func (c *ctlStatus) Run(e *env) error {
	s, err := c.status(e)
	if err != nil {
		return err
	}
	return c.show(e, s)
}

// ctlMaintenance is "picket ctl maintenance".
type ctlMaintenance struct {
	On  ctlMaintenanceOn  `cmd:"" help:"Close the broker: new clients are refused with the reason, connected ones disconnected." zh:"开始维护：拒绝新客户端并说明原因，断开已连接的客户端。"`
	Off ctlMaintenanceOff `cmd:"" help:"Open the broker again." zh:"结束维护。"`
}

// ctlMaintenanceOn is "picket ctl maintenance on".
type ctlMaintenanceOn struct {
	Until           string        `placeholder:"TIME" help:"When it ends by itself: 2026-12-01T06:00, 06:00, or 2h30m from now (default: when it is ended)." zh:"自动结束的时间：2026-12-01T06:00、06:00，或从现在算起的 2h30m（默认：直到手动结束）。"`
	Message         string        `placeholder:"TEXT" help:"What MQTT 5 clients are told besides." zh:"另外告知 MQTT 5 客户端的内容。"`
	ServerReference string        `placeholder:"HOST[:PORT]" help:"The server that clients are to use meanwhile." zh:"维护期间客户端应改用的服务端。"`
	Moved           bool          `help:"They are to use that server for good." zh:"客户端应从此改用那个服务端。"`
	Grace           time.Duration `placeholder:"TIME" help:"How long connected clients may stay, such as 5m (default: not at all)." zh:"已连接的客户端还可以停留多久，例如 5m（默认：立即断开）。"`
	ExceptLocal     bool          `help:"Let clients from this machine in all the same." zh:"仍然允许来自本机的客户端。"`
	Allow           []string      `placeholder:"NETWORK" help:"Let clients from this address or network in all the same; may be repeated." zh:"仍然允许来自此地址或网段的客户端；可重复。"`
	adminFlags
}

func (ctlMaintenanceOn) details() details {
	return details{
		Text: cause.Text{EN: `MQTT 5 clients are told by CONNACK 0x88 (0x9C with --server-reference, 0x9D with --moved) or DISCONNECT 0x98 (0x9C, 0x9D), with a reason that begins
with "maintenance"; MQTT 3 clients by return code 3. Maintenance lives in memory: a broker that is started again is open.`, ZH: `MQTT 5 客户端会收到 CONNACK 0x88（使用 --server-reference 时为 0x9C，使用 --moved 时为 0x9D）或 DISCONNECT 0x98（0x9C、0x9D），原因字符串以 "maintenance" 开头；MQTT 3 客户端收到返回码 3。维护状态只保存在内存中，服务端重新启动后就不再处于维护状态。`},
		examples: `picket ctl maintenance on --until 06:00 --message "a new disk"
picket ctl maintenance on --until 2026-12-01T06:00 --server-reference other.example:1883
picket ctl maintenance on --grace 5m --except-local --allow 192.168.1.0/24
picket ctl maintenance off`,
	}
}

// Run closes the broker.
func (c *ctlMaintenanceOn) Run(e *env) error {
	m := admin.Maintenance{Message: c.Message, ServerReference: c.ServerReference, Moved: c.Moved, Grace: c.Grace.Seconds(), ExceptLocal: c.ExceptLocal}
	if c.Until != "" {
		var err error
		if m.Until, err = admin.ParseTime(c.Until, time.Now()); err != nil {
			return &usageError{text: "--until: " + err.Error()}
		}
	}
	for _, text := range c.Allow {
		p, err := ban.ParseNetwork(text)
		if err != nil {
			return &usageError{text: "--allow: " + err.Error()}
		}
		m.Allow = append(m.Allow, p)
	}
	broker, err := c.dial(e)
	if err != nil {
		return err
	}
	s, err := broker.BeginMaintenance(e.ctx, m)
	if err != nil {
		return err
	}
	return c.show(e, s)
}

// ctlMaintenanceOff is "picket ctl maintenance off".
type ctlMaintenanceOff struct{ adminFlags }

func (ctlMaintenanceOff) details() details {
	return details{examples: `picket ctl maintenance off`}
}

// Run opens the broker.
func (c *ctlMaintenanceOff) Run(e *env) error {
	broker, err := c.dial(e)
	if err != nil {
		return err
	}
	s, err := broker.EndMaintenance(e.ctx)
	if err != nil {
		return err
	}
	return c.show(e, s)
}
