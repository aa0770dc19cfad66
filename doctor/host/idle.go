package host

import (
	"picket/doctor"
	"picket/printable"
)

// idle is a configuration with which nobody runs, and in which nothing was found that keeps a broker from starting; nil: there is none.
func (d *diagnosis) idle() (*Config, int) {
	configs, at := facts[Config](d.Facts)
	for i := range configs {
		if c := &configs[i]; c.PID == 0 && !c.Default && c.Outcome() == doctor.Good {
			return c, at[i]
		}
	}
	return nil, 0
}

// byHand has the broker itself say why it does not start.
func (c Config) byHand() doctor.Step {
	command := "mosquitto -c %s -v"
	if c.Program == "picket" {
		command = "picket serve -c %s"
	}
	lines := "sudo timeout 10 " + command + " 2>&1 | tail -n 5"
	return doctor.Step{Title: doctor.Say("Start it by hand for ten seconds: its last lines say why it ends", "手动启动十秒：最后几行会说明退出的原因"), Lines: doctor.Say(lines, lines, printable.ShellWord(c.File))}
}
