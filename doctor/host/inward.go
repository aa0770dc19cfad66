package host

import (
	"slices"

	"picket/cause"
	"picket/doctor"
)

// inward: the configuration of a broker that runs has no listener with a port, but sockets in the file system, which programs of this machine alone reach.
func (d *diagnosis) inward() {
	configs, at := facts[Config](d.Facts)
	_, none := facts[NotListening](d.Facts)
	for i, c := range configs {
		if c.PID == 0 || len(c.Listeners) == 0 || slices.ContainsFunc(c.Listeners, func(l ConfigListener) bool { return l.Port != 0 }) {
			continue
		}
		f := d.find(cause.LoopbackOnly, doctor.Sure, port(1883), doctor.Say("%s has listeners in the file system only (listener 0, %s): other machines, and apps on phones, come by a port.", "%s 里只有文件系统中的监听（listener 0，%s）：其他机器和手机应用要通过端口连接。", c.File, c.Listeners[0].Source), append(slices.Clone(none), at[i])...)
		f.Steps = append(f.Steps, doctor.Step{Title: doctor.Say("In the configuration, beside it; then restart the broker", "在配置中另加一行，然后重启服务端"), Lines: doctor.Say("listener 1883", "listener 1883")})
	}
}
