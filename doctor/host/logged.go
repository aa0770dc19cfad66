package host

import (
	"slices"
	"strings"

	"picket/cause"
	"picket/doctor"
)

// logged: what does the log tell of refusals?
func (d *diagnosis) logged() {
	_, none := facts[NoBroker](d.Facts)
	logs, at := facts[Log](d.Facts)
	for i, l := range logs {
		for n, e := range l.Entry {
			switch {
			case e.Cause == cause.PortTaken && len(none) > 0 && d.found(cause.ConfigConflict):
				// It is the broker itself that has asked for it twice.
			case e.Cause == cause.PortTaken && len(none) > 0 && d.vacant(startValues(e)["port"]):
				d.find(e.Cause, doctor.Sure+3, startValues(e), doctor.Say("Another program had the port when the broker was started last, and nobody has it now: it may have been the broker's own predecessor. Start it again. The last line of the log: %s", "上次启动服务端时端口被别的程序占用，而现在没有程序占用它：可能是服务端的上一个进程。请再启动一次。日志最后一条：%s", e.Last), at[i])
			case e.Start && len(none) > 0: // found before or not: this is why there is no broker
				d.find(e.Cause, doctor.Sure+3, startValues(e), doctor.Say("The last line of it: %s", "日志最后一条：%s", e.Last), at[i])
			case ofAuthority(e.Cause): // it is tried again and again, and has not succeeded since
				d.find(e.Cause, doctor.Probable, nil, doctor.Say("The authority has given no certificate since; the last line of %s about it: %s", "此后一直没有拿到证书；%s 中相关的最后一条：%s", l.Source, e.Last), at[i])
			case strings.Contains(e.Last, "Invalid password hash"):
				f := d.find(e.Cause, doctor.Probable, nil, doctor.Say("The password file has a line that is not of mosquitto_passwd's making, such as a password as it is typed: mosquitto takes that user out, and refuses everybody who comes with it. Its log says: %s", "密码文件里有一行不是 mosquitto_passwd 生成的（例如直接写了明文密码）：mosquitto 会丢弃该用户，用它登录的客户端都会被拒绝。日志：%s", e.Last), at[i])
				f.Steps = append(f.Steps, doctor.Step{Title: doctor.Say("Turn the passwords in the file into hashes, and have it read again", "把文件中的明文密码转换成散列，并重新读取"),
					Lines: doctor.Say("sudo mosquitto_passwd -U /etc/mosquitto/passwords    # the file that password_file names\nsudo systemctl reload mosquitto", "sudo mosquitto_passwd -U /etc/mosquitto/passwords    # password_file 指定的文件\nsudo systemctl reload mosquitto")})
			case e.Cause == cause.BridgeUnreachable && l.Unmade == 0 && d.plainBridge(at[i]):
			case e.Start || n >= 3 || d.found(e.Cause):
				// An earlier start failed, and this one did not; or others come more often; or it is known already.
			default:
				d.find(e.Cause, doctor.Possible-n, nil, doctor.Say("%d times in the last lines of %s, the last one: %s", "在 %[2]s 的最近内容中出现 %[1]d 次，最后一条：%[3]s", e.Count, l.Source, e.Last), at[i])
			}
		}
	}
}

// vacant says that nothing listens at a port or, where the log names none, at any that was looked at.
func (d *diagnosis) vacant(port string) bool {
	none, _ := facts[NotListening](d.Facts)
	listens, _ := facts[Listen](d.Facts)
	if port == "" {
		return len(none) > 0 && len(listens) == 0
	}
	return slices.ContainsFunc(none, func(n NotListening) bool { return itoa(n.Port) == port })
}

// plainBridge: a bridge that comes to nothing speaks no TLS, and the port that it calls is one of TLS.
func (d *diagnosis) plainBridge(at int) bool {
	configs, configAt := facts[Config](d.Facts)
	for i, c := range configs {
		if c.PID == 0 || len(c.PlainBridges) == 0 {
			continue
		}
		f := d.find(cause.BridgeTLSFailed, doctor.Probable, cause.Values{"file": c.File},
			doctor.Say("The bridge %s speaks MQTT without TLS, brokers expect TLS at that port and hang up: it is tried again and again.", "桥接 %s 用的是不带 TLS 的 MQTT，而对方在这个端口要求 TLS，于是直接断开：桥接一直在重试。", list(c.PlainBridges)), at, configAt[i])
		f.Steps = append(f.Steps, doctor.Step{Title: doctor.Say("In the configuration, below that connection; then restart the broker", "写在配置中该 connection 之下，然后重启服务端"),
			Lines: doctor.Say("bridge_cafile /etc/ssl/certs/ca-certificates.crt    # or the file of the other broker's own authority", "bridge_cafile /etc/ssl/certs/ca-certificates.crt    # 或对方自有 CA 的文件")})
	}
	return d.found(cause.BridgeTLSFailed)
}

// startValues takes what the texts need from a line about a failed start.
func startValues(e Entry) cause.Values {
	v := cause.Values{}
	if file, line, ok := placeIn(e.Last); ok {
		v["file"], v["line"] = file, line
	}
	if m := opening.FindStringSubmatch(e.Last); m != nil {
		v["port"] = m[1]
	}
	return v
}
