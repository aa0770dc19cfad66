package host

import (
	"strings"

	"picket/cause"
	"picket/doctor"
)

// Broker is a broker's process.
type Broker struct {
	PID     int    `json:"pid"`
	Program string `json:"program"` // "picket", "mosquitto", "emqx", ...
	User    string `json:"user"`
	Started int64  `json:"started"`          // Unix seconds
	Config  string `json:"config,omitempty"` // the file after -c
	// Container says that it runs in a network of its own, such as a container's.
	Container bool   `json:"container"`
	Unit      string `json:"unit,omitempty"` // of systemd
	// Stopped: the process has been halted by a signal (state T), and does nothing until it is let go on.
	Stopped bool `json:"stopped,omitempty"`
}

func (Broker) Kind() string { return "broker" }

func (Broker) Stage() cause.Stage { return cause.Server }

func (b Broker) Outcome() doctor.Outcome { return outcome(!b.Stopped) }

func (b Broker) Text() cause.Text {
	t := doctor.Say("%s runs as process %d of the user %s", "%s 正在运行，进程 %d，用户 %s", b.Program, b.PID, b.User)
	switch {
	case b.Config != "":
		t = join("", "", t, doctor.Say(", with -c %s", "，配置文件 -c %s", b.Config))
	case b.Program == "picket" || b.Program == "mosquitto":
		t = join("", "", t, doctor.Say(", without a configuration file", "，没有指定配置文件"))
	}
	if b.Stopped {
		t = join("", "", t, doctor.Say(", and has been stopped (state T)", "，但已被暂停（状态 T）"))
	}
	if b.Container {
		t = join("", "", t, doctor.Say(", in a network of its own, such as a container's", "，在独立的网络里（例如容器）"))
	}
	return t
}

// NoBroker is that no broker's process was found.
type NoBroker struct {
	// Complete is false when other users' processes cannot be seen.
	Complete bool `json:"complete"`
}

func (NoBroker) Kind() string { return "no-broker" }

func (NoBroker) Stage() cause.Stage { return cause.Server }

func (NoBroker) Outcome() doctor.Outcome { return doctor.Bad }

func (NoBroker) Text() cause.Text {
	return doctor.Say("No broker's process (picket, mosquitto, emqx, …) was found", "没有发现服务端进程（picket、mosquitto、emqx 等）")
}

// Scope is how far a socket's address reaches.
type Scope string

// The scopes of sockets.
const (
	LoopbackScope Scope = "loopback" // this machine only
	OneScope      Scope = "one"      // one address of this machine
	AllScope      Scope = "all"      // all addresses of this machine
)

// Listen is a TCP socket that listens.
type Listen struct {
	Address string `json:"address"`
	Port    int    `json:"port"`
	Scope   Scope  `json:"scope"`
	PID     int    `json:"pid,omitempty"` // 0: not known
	Program string `json:"program,omitempty"`
	User    string `json:"user,omitempty"` // of the process, where that is all that may be known
	Broker  bool   `json:"broker"`         // its process is one of the Broker facts
	// Container says that it is in a network of its own: its addresses are not this machine's.
	Container bool `json:"container"`
	// Waiting are connections that the process has not accepted yet.
	Waiting int `json:"waiting"`
}

func (Listen) Kind() string { return "listen" }

func (Listen) Stage() cause.Stage { return cause.Server }

func (l Listen) Outcome() doctor.Outcome {
	if l.Scope == LoopbackScope {
		return doctor.Note
	}
	return doctor.Good
}

func (l Listen) Text() cause.Text {
	where := map[Scope]cause.Text{
		LoopbackScope: doctor.Say("this machine only", "只限本机"),
		OneScope:      doctor.Say("this address only", "只限该地址"),
		AllScope:      doctor.Say("all addresses", "所有地址"),
	}[l.Scope]
	who := doctor.Say("A process that root alone can name", "某个只有 root 能查明的进程")
	switch {
	case l.Program != "" && l.User != "":
		who = doctor.Say("%s (process %d), to judge by the user %s,", "%s（进程 %d，由用户 %s 推断）", l.Program, l.PID, l.User)
	case l.Program != "":
		who = doctor.Say("%s (process %d)", "%s（进程 %d）", l.Program, l.PID)
	case l.User != "":
		who = doctor.Say("A process of the user %s", "用户 %s 的某个进程", l.User)
	}
	t := join("", "", who, doctor.Say(" listens on %s: ", "监听 %s：", doctor.HostPort(l.Address, l.Port)), where)
	if l.Container {
		t = join("", "", t, doctor.Say(", inside its own network", "，在它自己的网络里"))
	}
	if l.Waiting > 0 {
		t = join("", "", t, doctor.Say("; %d connections wait to be accepted", "；有 %d 个连接等待接受", l.Waiting))
	}
	return t
}

// NotListening is a port at which a client would knock, and nobody listens.
type NotListening struct {
	Port int `json:"port"`
}

func (NotListening) Kind() string { return "not-listening" }

func (NotListening) Stage() cause.Stage { return cause.Server }

func (NotListening) Outcome() doctor.Outcome { return doctor.Bad }

func (n NotListening) Text() cause.Text {
	return doctor.Say("Nothing listens on port %d", "端口 %d 上没有程序监听", n.Port)
}

// Config is what a configuration file says, and whether the running broker has it.
type Config struct {
	File    string `json:"file"`          // or the data directory of a Picket without one
	Program string `json:"program"`       // whose it is
	PID     int    `json:"pid,omitempty"` // of the process that was started with it; 0: none was
	Files   int    `json:"files"`         // with those that it includes
	// Problems are what keeps the broker from starting with it, as picket check says it.
	Problems []Problem `json:"problems,omitempty"`
	// Missing are folders that are not there, in which the broker has to make a file before it runs.
	Missing   []Missing        `json:"missing,omitempty"`
	Barred    []Barred         `json:"barred,omitempty"`
	Listeners []ConfigListener `json:"listeners"`
	Changed   int64            `json:"changed"`
	// Stale are files that it names (passwords, rights) and that were changed after the process started and after its last reload, StaleAt when.
	Stale   []string `json:"stale,omitempty"`
	StaleAt int64    `json:"stale_at,omitempty"`
	// Newer says that a file was changed after the process started.
	Newer bool `json:"newer"`
	// Reloaded says that the log has a reload after the change.
	Reloaded bool `json:"reloaded"`
	// NotIncluded are files beside it that look as if they were meant to be included, and are not.
	NotIncluded []string `json:"not_included,omitempty"`
	// PSK says that a listener has TLS with keys that both sides share, and no certificate.
	PSK int `json:"psk_port,omitempty"`
	// PlainBridges are bridges without TLS to ports at which brokers speak it, as "NAME to HOST:PORT".
	PlainBridges []string `json:"plain_bridges,omitempty"`
	// Default says that the file is where the program's package puts it, and no process was started with it.
	Default bool `json:"default"`
}

// Missing is a folder that is not there.
type Missing struct {
	Directive string `json:"directive"` // that names a file in it
	Folder    string `json:"folder"`
	User      string `json:"user"` // who makes the file
}

// Problem is an error in a configuration.
type Problem struct {
	File  string   `json:"file"`
	Line  int      `json:"line"`
	Text  string   `json:"text"`
	Cause cause.ID `json:"cause"`
	// Chinese is Text in Chinese; empty: there is none, as of what mosquitto itself says.
	Chinese string `json:"-"`
	// Value is the address, the port or the file that it is about, for the catalogue's texts; it may be empty.
	Value string `json:"value,omitempty"`
}

// ConfigListener is a listener that a configuration asks for.
type ConfigListener struct {
	Address   string `json:"address,omitempty"` // empty: all
	Port      int    `json:"port"`
	TLS       bool   `json:"tls"`
	WebSocket bool   `json:"websocket"`
	Auto      bool   `json:"auto"` // what a client speaks is told by its first bytes
	Loopback  bool   `json:"loopback"`
	Anonymous bool   `json:"anonymous"` // everybody may come in without a password
	Passwords bool   `json:"passwords"` // there is a way to log in
	// Certificates: a client certificate names the user, and needs no line in the password file.
	Certificates bool `json:"certificates,omitempty"`
	Local        bool `json:"local"` // clients on this machine need no password
	Users        int  `json:"users"` // in the password file, if it can be read
	Empty        bool `json:"empty"` // the password file can be read, and has nobody in it
	ACL          bool `json:"acl"`
	// Implied says that no line asks for it: it is the default.
	Implied bool   `json:"implied"`
	Source  string `json:"source,omitempty"` // FILE:LINE
}

func (Config) Kind() string { return "configuration" }

func (Config) Stage() cause.Stage { return cause.Server }

func (c Config) Outcome() doctor.Outcome {
	if len(c.Problems)+len(c.Missing)+len(c.Barred) > 0 || c.Default || c.Newer && !c.Reloaded || len(c.NotIncluded)+len(c.Stale) > 0 {
		return doctor.Bad
	}
	return doctor.Good
}

func (c Config) Text() cause.Text {
	parts := []cause.Text{doctor.Say("%s", "%s", c.File)}
	if c.implied() {
		parts = append(parts, doctor.Say("without a listener line (this machine only)", "没有 listener 行（只限本机）"))
	} else {
		var en, zh []string
		for _, l := range c.Listeners {
			t := c.listener(l)
			en, zh = append(en, t.EN), append(zh, t.ZH)
		}
		parts = append(parts, cause.Text{EN: strings.Join(en, "; "), ZH: strings.Join(zh, "；")})
	}
	if len(c.Problems) > 0 {
		p := c.Problems[0]
		parts = append(parts, doctor.Say("%d errors, the first at %s:%d: %s", "%d 个错误，第一个在 %s:%d：%s", len(c.Problems), p.File, p.Line, strings.TrimRight(p.Text, ".")))
	}
	for _, m := range c.Missing {
		parts = append(parts, doctor.Say("the folder %s of %s is not there", "%[2]s 的目录 %[1]s 不存在", m.Folder, m.Directive))
	}
	for _, b := range c.Barred {
		parts = append(parts, b.text())
	}
	switch {
	case c.Default:
		parts = append(parts, doctor.Say("no running broker was started with it", "没有正在运行的服务端使用它"))
	case c.Newer && c.Reloaded:
		parts = append(parts, doctor.Say("changed after the broker started, and reloaded since", "在服务端启动后改过，之后已重载"))
	case c.Newer:
		parts = append(parts, doctor.Say("changed after the broker started", "在服务端启动之后改过"))
	}
	if len(c.Stale) > 0 {
		parts = append(parts, doctor.Say("changed after the broker started: %s", "在服务端启动之后改过：%s", strings.Join(c.Stale, ", ")))
	}
	if len(c.NotIncluded) > 0 {
		parts = append(parts, doctor.Say("not included: %s", "没有被包含：%s", strings.Join(c.NotIncluded, ", ")))
	}
	return join(", ", "，", parts...)
}

func (c Config) listener(l ConfigListener) cause.Text {
	t := doctor.Say("listener %d", "监听 %d", l.Port)
	if l.Address != "" {
		t = doctor.Say("listener %s", "监听 %s", doctor.HostPort(l.Address, l.Port))
	}
	var kinds []cause.Text
	switch {
	case l.Auto && l.TLS:
		kinds = append(kinds, doctor.Say("MQTT, WebSocket and TLS", "MQTT、WebSocket、TLS"))
	case l.Auto:
		kinds = append(kinds, doctor.Say("MQTT and WebSocket", "MQTT、WebSocket"))
	case l.TLS && l.WebSocket:
		kinds = append(kinds, doctor.Say("WebSocket over TLS", "WebSocket（TLS）"))
	case l.TLS:
		kinds = append(kinds, doctor.Say("TLS", "TLS"))
	case l.WebSocket:
		kinds = append(kinds, doctor.Say("WebSocket", "WebSocket"))
	}
	switch {
	case l.Anonymous:
		kinds = append(kinds, doctor.Say("no password needed", "无需密码"))
	case l.Local && l.Passwords:
		kinds = append(kinds, doctor.Say("password needed from other machines", "其他机器需要密码"))
	case l.Passwords:
		kinds = append(kinds, doctor.Say("password needed", "需要密码"))
	default:
		kinds = append(kinds, doctor.Say("nobody can log in", "无人能登录"))
	}
	if l.Passwords && l.Users > 0 {
		kinds = append(kinds, doctor.Say("users: %d", "%d 个用户", l.Users))
	}
	if l.ACL {
		kinds = append(kinds, doctor.Say("ACL", "有 ACL"))
	}
	return join("", "", t, doctor.Say(" (", "（"), join(", ", "，", kinds...), doctor.Say(")", "）"))
}

// Log is what the broker's log says of refusals and failures, the newest lines of it.
type Log struct {
	Source string  `json:"source"` // a file, or a unit of the journal
	Lines  int     `json:"lines"`  // that were looked at
	Entry  []Entry `json:"causes"` // the most frequent first
	// Reloaded is when the configuration was last read again, in Unix seconds; 0: not in these lines.
	Reloaded int64 `json:"reloaded,omitempty"`
	// Unmade is how often, in a row at the end, mosquitto says that a bridge's connection did not come about, as where nobody listens.
	Unmade int `json:"unmade,omitempty"`
}

// Entry is a cause in a log.
type Entry struct {
	Cause cause.ID `json:"cause"`
	Count int      `json:"count"`
	Last  string   `json:"last"`           // the last line of it
	When  int64    `json:"when,omitempty"` // of it, in Unix seconds; 0: the line has no time
	// Start says that it is about starting: the broker ended by it.
	Start bool `json:"start"`
}

func (Log) Kind() string { return "log" }

func (Log) Stage() cause.Stage { return cause.Server }

func (Log) Outcome() doctor.Outcome { return doctor.Note }

func (l Log) Text() cause.Text {
	if len(l.Entry) == 0 {
		return doctor.Say("%s: no refusals in the last %d lines", "%s：最近 %d 行没有拒绝记录", l.Source, l.Lines)
	}
	var parts []string
	for _, e := range l.Entry {
		parts = append(parts, string(e.Cause)+" × "+itoa(e.Count))
	}
	return doctor.Say("%s: in the last %d lines %s", "%s：最近 %d 行中 %s", l.Source, l.Lines, strings.Join(parts, ", "))
}

// PIDText is the process id as it stands in paths below /proc.
func (b Broker) PIDText() string { return itoa(b.PID) }
