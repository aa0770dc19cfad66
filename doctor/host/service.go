package host

import (
	"slices"
	"strings"

	"picket/cause"
	"picket/doctor"
)

// Service is what the service manager says of the broker's unit.
type Service struct {
	Unit     string `json:"unit"`
	Load     string `json:"load,omitempty"` // "loaded", "masked", "bad-setting", "error"
	Active   string `json:"active"`         // "active", "inactive", "failed", "activating", "deactivating"
	Sub      string `json:"sub"`
	Result   string `json:"result"`  // "success", "exit-code", "oom-kill", "start-limit-hit", "timeout", "watchdog", "signal", ...
	Enabled  string `json:"enabled"` // "enabled", "disabled", ...
	Restarts int    `json:"restarts"`
	Status   int    `json:"status"`           // of the last end: the exit status or, when Killed, the signal
	Killed   bool   `json:"killed,omitempty"` // by a signal
	// Unmet says that a condition of the unit (ConditionPathExists= and the like) does not hold, so that it is not started.
	Unmet bool `json:"condition_unmet,omitempty"`
	PID   int  `json:"pid"`
}

func (Service) Kind() string { return "service" }

func (Service) Stage() cause.Stage { return cause.Server }

// circling tells whether the unit ends and is started over and over again.
func (s Service) circling() bool {
	return s.Active == "activating" && s.Sub == "auto-restart" || s.Active == "activating" && s.Restarts > 2
}

// barred tells whether the unit cannot be started as it stands.
func (s Service) barred() bool { return s.Load != "" && s.Load != "loaded" }

func (s Service) Outcome() doctor.Outcome {
	switch {
	case s.Active == "failed" || s.circling() || s.Load == "bad-setting" || s.Load == "error":
		return doctor.Bad
	case s.Active == "active":
		return doctor.Good
	}
	return doctor.Note
}

func (s Service) Text() cause.Text {
	t := doctor.Say("%s is %s (%s)", "%s：%s（%s）", s.Unit, s.Active, s.Sub)
	if s.barred() {
		t = join("", "", t, doctor.Say(", its unit file is %s", "，单元文件状态 %s", s.Load))
	}
	switch {
	case s.Result == "" || s.Result == "success":
	case s.Killed:
		t = join("", "", t, doctor.Say(", because of %s with signal %d", "，原因 %s，信号 %d", s.Result, s.Status))
	default:
		t = join("", "", t, doctor.Say(", because of %s with status %d", "，原因 %s，退出状态 %d", s.Result, s.Status))
	}
	if s.Unmet {
		t = join("", "", t, doctor.Say(", a condition of the unit does not hold", "，单元的启动条件不满足"))
	}
	if s.Restarts > 0 {
		t = join("", "", t, doctor.Say(", restarted %d times", "，重启过 %d 次", s.Restarts))
	}
	if s.Enabled == "disabled" {
		t = join("", "", t, doctor.Say("; it does not start with the machine", "；不会随系统启动"))
	}
	return t
}

// why is why the unit does not run, and what to do; no text when nothing is known of it.
func (s Service) why() (meaning cause.Text, fix doctor.Step) {
	look := doctor.Step{Title: doctor.Say("Why it ended", "查看结束的原因"), Lines: doctor.Say("journalctl -u %s -n 50 --no-pager", "journalctl -u %s -n 50 --no-pager", s.Unit)}
	edit := doctor.Step{Title: doctor.Say("Look at the unit, correct it, and start it", "查看并改正单元文件，然后启动"), Lines: doctor.Say("systemctl cat %[1]s\nsudo systemctl edit --full %[1]s\nsudo systemctl restart %[1]s", "systemctl cat %[1]s\nsudo systemctl edit --full %[1]s\nsudo systemctl restart %[1]s", s.Unit)}
	if m, known := execFailures[s.Status]; known && s.Result != "success" && !s.Killed {
		return join("", "", doctor.Say("%s was not even started: ", "%s 根本没有启动起来：", s.Unit), m), edit
	}
	switch {
	case s.Load == "masked":
		return doctor.Say("%s is masked: nobody can start it, by hand or at the machine's start.", "%s 已被屏蔽（masked）：无论手动还是开机都无法启动。", s.Unit),
			doctor.Step{Title: doctor.Say("Let it be started again", "解除屏蔽并启动"), Lines: doctor.Say("sudo systemctl unmask %[1]s\nsudo systemctl enable --now %[1]s", "sudo systemctl unmask %[1]s\nsudo systemctl enable --now %[1]s", s.Unit)}
	case s.barred():
		return doctor.Say("systemd cannot read the unit %s (%s); systemd-analyze verify says which line.", "systemd 无法读取单元 %s（%s）；用 systemd-analyze verify 可看出是哪一行。", s.Unit, s.Load),
			doctor.Step{Title: doctor.Say("Which line it is", "查看是哪一行"), Lines: doctor.Say("systemd-analyze verify %s", "systemd-analyze verify %s", s.Unit)}
	case s.Result == "start-limit-hit":
		return doctor.Say("%s has ended so often in a short time that systemd does not start it any more; the reason stands in its log, before \"Start request repeated too quickly\".", "%s 短时间内多次退出，systemd 已不再尝试启动；原因在日志里，位于“Start request repeated too quickly”之前。", s.Unit),
			doctor.Step{Title: look.Title, Lines: join("\n", "\n", look.Lines, doctor.Say("sudo systemctl reset-failed %[1]s && sudo systemctl start %[1]s    # once it is mended", "sudo systemctl reset-failed %[1]s && sudo systemctl start %[1]s    # 改正之后", s.Unit))}
	case s.Result == "timeout":
		return doctor.Say("%s did not say in time that it is ready, and was ended: it hangs at its start, or the unit has Type=notify or Type=forking and the program does not.", "%s 没有在时限内报告就绪而被终止：启动时卡住了，或单元写了 Type=notify、Type=forking 而程序并不支持。", s.Unit), look
	case s.Result == "watchdog":
		return doctor.Say("%s did not answer systemd's watchdog and was ended: it hung.", "%s 没有响应 systemd 的看门狗而被终止：程序卡住了。", s.Unit), look
	case s.circling():
		return doctor.Say("%s ends soon after each start (status %d) and is started over and over again, %d times so far.", "%s 每次启动后很快退出（状态 %d），一直在反复重启，目前已 %d 次。", s.Unit, s.Status, s.Restarts), look
	case s.Killed && s.Active == "failed":
		return doctor.Say("%s was ended by signal %d: somebody, or the kernel, has killed it, or it has crashed.", "%s 被信号 %d 终止：被人或内核杀死，或程序崩溃。", s.Unit, s.Status), look
	case s.Active == "failed":
		return doctor.Say("%s failed with status %d. The reason stands in its log.", "%s 启动失败，退出状态 %d。原因见日志。", s.Unit, s.Status), look
	case s.Unmet:
		return doctor.Say("%s was not started, since a condition of its unit does not hold (such as ConditionPathExists=).", "%s 没有启动，因为单元中的启动条件（例如 ConditionPathExists=）不满足。", s.Unit), edit
	case s.Active == "inactive":
		return doctor.Say("%s is not started.", "%s 没有启动。", s.Unit),
			doctor.Step{Title: doctor.Say("Start it, now and with the machine", "立即启动并设为开机自启"), Lines: doctor.Say("sudo systemctl enable --now %s", "sudo systemctl enable --now %s", s.Unit)}
	}
	return cause.Text{}, doctor.Step{}
}

// execFailures are what systemd's own statuses say, which a program had no part in (systemd.exec, "Process Exit Codes").
var execFailures = map[int]cause.Text{
	200: {EN: "the folder in WorkingDirectory= is not there, or may not be entered (200/CHDIR).", ZH: "WorkingDirectory= 的目录不存在或无权进入（200/CHDIR）。"},
	203: {EN: "the program in ExecStart= is not there, may not be run, or is for another kind of processor (203/EXEC).", ZH: "ExecStart= 中的程序不存在、没有执行权限或不适用于该处理器（203/EXEC）。"},
	208: {EN: "what it should read from as its standard input is not there (208/STDIN).", ZH: "标准输入不可用（208/STDIN）。"},
	209: {EN: "the file that its output should go to cannot be opened (209/STDOUT).", ZH: "标准输出文件无法打开（209/STDOUT）。"},
	216: {EN: "the group in Group= does not exist (216/GROUP).", ZH: "Group= 中的用户组不存在（216/GROUP）。"},
	217: {EN: "the user in User= does not exist (217/USER).", ZH: "User= 中的用户不存在（217/USER）。"},
	218: {EN: "the capabilities of the unit cannot be given to it (218/CAPABILITIES).", ZH: "无法授予单元要求的能力（218/CAPABILITIES）。"},
	226: {EN: "a folder that the unit names (ReadWritePaths=, BindPaths=, …) is not there, or the system does not let it have file systems of its own (226/NAMESPACE).", ZH: "单元中的目录（ReadWritePaths=、BindPaths= 等）不存在，或系统不允许独立的挂载空间（226/NAMESPACE）。"},
	238: {EN: "the folder of StateDirectory= cannot be made (238/STATE_DIRECTORY).", ZH: "StateDirectory= 的目录无法创建（238/STATE_DIRECTORY）。"},
	240: {EN: "the folder of LogsDirectory= cannot be made (240/LOGS_DIRECTORY).", ZH: "LogsDirectory= 的目录无法创建（240/LOGS_DIRECTORY）。"},
	241: {EN: "the folder of ConfigurationDirectory= cannot be made (241/CONFIGURATION_DIRECTORY).", ZH: "ConfigurationDirectory= 的目录无法创建（241/CONFIGURATION_DIRECTORY）。"},
	243: {EN: "the credentials of the unit cannot be loaded (243/CREDENTIALS).", ZH: "无法载入单元的凭据（243/CREDENTIALS）。"},
}

// unsteady: the unit of the broker ends and is started over and over again, whether or not it runs at this moment.
func (d *diagnosis) unsteady() {
	services, at := facts[Service](d.Facts)
	brokers, _ := facts[Broker](d.Facts)
	for i, s := range services {
		name := strings.TrimSuffix(s.Unit, ".service")
		runs := slices.ContainsFunc(brokers, func(b Broker) bool { return b.PID != s.PID && (b.Program == name || b.Unit == "") })
		if !s.circling() || len(brokers) == 0 || runs || d.found(cause.PortTaken) {
			continue
		}
		meaning, fix := s.why()
		f := d.find(cause.BrokerNotRunning, doctor.Probable, nil, meaning, at[i])
		f.Steps = []doctor.Step{fix}
	}
}
