package host

import (
	"slices"

	"picket/cause"
	"picket/doctor"
	"picket/printable"
)

// Unit is what the files of a broker's unit of systemd say about it, that of its package and what was put beside it (drop-ins).
type Unit struct {
	Unit  string   `json:"unit"`
	Files []string `json:"files"`
	// Config is the file that the broker is started with; empty: none is named.
	Config string `json:"config,omitempty"`
	// User is whom the unit starts it as (User=); empty: root, and the broker becomes another by itself.
	User string `json:"user,omitempty"`
	// Denied is a line by which systemd itself drops what comes from everybody but those in Allowed; it is in no list of the firewall's.
	Denied  string   `json:"denied,omitempty"`
	Allowed []string `json:"allowed,omitempty"`
	// Hidden are files of the broker's that the unit keeps it from seeing, and HiddenBy is the line.
	Hidden   []string `json:"hidden,omitempty"`
	HiddenBy string   `json:"hidden_by,omitempty"`
}

func (Unit) Kind() string              { return "unit" }
func (Unit) Stage() cause.Stage        { return cause.Server }
func (u Unit) Outcome() doctor.Outcome { return outcome(u.Denied == "" && len(u.Hidden) == 0) }

func (u Unit) Text() cause.Text {
	t := doctor.Say("The unit %s (%s)", "单元 %s（%s）", u.Unit, list(u.Files))
	if u.Config != "" {
		t = join("", "", t, doctor.Say(" starts the broker with -c %s", " 启动服务端时使用 -c %s", u.Config))
	}
	if u.Denied != "" {
		t = join("", "", t, doctor.Say("; it drops what comes from others: %s", "；它会丢弃外来数据：%s", u.Denied))
	}
	if len(u.Hidden) > 0 {
		t = join("", "", t, doctor.Say("; it hides %s from the broker: %s", "；它使服务端看不到 %s：%s", list(u.Hidden), u.HiddenBy))
	}
	return t
}

// united: what a unit of systemd says keeps clients from the broker, or the broker from its files.
func (d *diagnosis) united() {
	units, at := facts[Unit](d.Facts)
	outsides, _ := facts[Outside](d.Facts)
	open := slices.ContainsFunc(outsides, func(o Outside) bool { return o.Result == "open" })
	_, none := facts[NoBroker](d.Facts)
	for i, u := range units {
		switch {
		case u.Denied != "" && open:
			d.Settle(at[i])
		case u.Denied != "":
			f := d.find(cause.HostFirewallDrop, doctor.Sure, port(d.firstPort()),
				doctor.Say("systemd itself drops what comes to the broker from other machines: %s. No list of the firewall's rules shows it.", "systemd 自己丢弃了其他机器发给服务端的数据：%s。任何防火墙规则列表里都看不到它。", u.Denied), at[i])
			f.Recipes = []string{}
			f.Steps = append(f.Steps, doctor.Step{Title: doctor.Say("In the unit: sudo systemctl edit %[1]s, with these lines; then sudo systemctl restart %[1]s", "修改单元：sudo systemctl edit %[1]s，写入以下内容；然后 sudo systemctl restart %[1]s", u.Unit),
				Lines: doctor.Say("[Service]\n# the clients' network; any lets everybody in\nIPAddressAllow=192.168.0.0/16", "[Service]\n# 客户端所在的网段；写 any 则放行所有人\nIPAddressAllow=192.168.0.0/16")})
		}
		if len(u.Hidden) > 0 {
			fit, evidence := doctor.Probable, []int{at[i]}
			if len(none) > 0 {
				fit, evidence = doctor.Sure+2, append(slices.Clone(none), at[i])
			}
			f := d.find(cause.ConfigUnreadable, fit, cause.Values{"file": u.Hidden[0]},
				doctor.Say("The unit has %s, by which the broker does not see %s, whatever the rights of the file are. Started by hand it reads it.", "单元里有 %s，因此无论文件权限如何，服务端都看不到 %s。手动启动时却能读取。", u.HiddenBy, list(u.Hidden)), evidence...)
			f.Steps = append(f.Steps, doctor.Step{Title: doctor.Say("Put it where the broker may look", "移到服务端能访问的位置"), Lines: doctor.Say("sudo install -o mosquitto -m 0600 %s /etc/mosquitto/    # and change the line that names it", "sudo install -o mosquitto -m 0600 %s /etc/mosquitto/    # 并修改引用它的那一行", printable.ShellWord(u.Hidden[0]))})
		}
		configs, configAt := facts[Config](d.Facts)
		for ci, c := range configs {
			if len(none) > 0 && c.PID == 0 && !c.Default && u.Config != "" && u.Config != c.File {
				d.find(cause.ConfigNotLoaded, doctor.Probable, cause.Values{"file": c.File},
					doctor.Say("%s starts the broker with %s, and not with %s.", "%s 启动服务端时使用的是 %s，而不是 %s。", u.Unit, u.Config, c.File), at[i], configAt[ci])
			}
		}
	}
}

// firstPort is the first port at which a broker listens, or MQTT's own.
func (d *diagnosis) firstPort() int {
	listens, _ := facts[Listen](d.Facts)
	for _, l := range listens {
		if l.Broker && !l.Container {
			return l.Port
		}
	}
	return 1883
}
