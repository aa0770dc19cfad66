package host

import (
	"picket/cause"
	"picket/doctor"
)

// Throttled is how much of the processors a broker's control group lets it have, in containers and units with a limit (docker --cpus, CPUQuota=).
type Throttled struct {
	PID     int     `json:"pid"`
	Program string  `json:"program"`
	Share   float64 `json:"processors"` // 0.5: half of one
	Periods uint64  `json:"periods"`    // in which it has run
	Waited  uint64  `json:"waited"`     // in so many of these it had used up its share, and waited for the next
}

func (Throttled) Kind() string       { return "throttled" }
func (Throttled) Stage() cause.Stage { return cause.Server }

// held says whether it waits most of the time that it would work.
func (t Throttled) held() bool { return t.Periods >= 2 && t.Waited*2 > t.Periods }

func (t Throttled) Outcome() doctor.Outcome { return outcome(!t.held()) }

func (t Throttled) Text() cause.Text {
	return doctor.Say("The control group of %s (process %d) lets it have %s %% of one processor; in %d of %d periods it had to wait", "%s（进程 %d）的控制组最多给它一个处理器的 %s%%；%[5]d 个周期中有 %[4]d 个用完份额后在等待", t.Program, t.PID, ftoa(t.Share*100), t.Waited, t.Periods)
}

// throttled: the broker waits for its share of the processor.
func (d *diagnosis) throttled() {
	all, at := facts[Throttled](d.Facts)
	for i, t := range all {
		if !t.held() {
			continue
		}
		f := d.find(cause.Overloaded, doctor.Sure, nil,
			doctor.Say("%s may use %s %% of one processor, and waits for its next share in %d of %d periods: logins and messages are slow however idle the machine is.", "%s 最多只能用一个处理器的 %s%%，%[4]d 个周期中有 %[3]d 个在等待下一份：无论机器多空闲，登录和消息都会很慢。", t.Program, ftoa(t.Share*100), t.Waited, t.Periods), at[i])
		f.Steps = append(f.Steps, doctor.Step{Title: doctor.Say("Give it more", "给它更多处理器时间"),
			Lines: doctor.Say("sudo systemctl set-property mosquitto CPUQuota=100%%\ndocker update --cpus 1 CONTAINER    # where it is a container's", "sudo systemctl set-property mosquitto CPUQuota=100%%\ndocker update --cpus 1 CONTAINER    # 在容器里运行时")})
	}
}
