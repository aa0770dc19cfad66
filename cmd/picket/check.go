package main

import (
	"encoding/json"
	"fmt"

	"picket/cause"
	"picket/mosqconf"
)

// checkCommand says everything there is to say about a configuration file before a broker is started with it.
type checkCommand struct {
	Config string `name:"config-file" short:"c" required:"" placeholder:"FILE" help:"Configuration to check." zh:"要检查的配置文件。"`
	JSON   bool   `name:"json" help:"Print the findings as JSON." zh:"以 JSON 格式输出检查结果。"`
}

func (checkCommand) details() details {
	return details{
		Text: cause.Text{EN: `Reads the configuration and what it names (certificates, password and ACL files, addresses) and reports
all findings, one a line: FILE:LINE: level: what, and what to do about it. Opens no port, changes nothing.
The exit status is 1 when the broker would not start, 0 otherwise. docs/configuration.md lists all directives.`, ZH: `读取配置及其引用的内容（证书、密码文件、ACL 文件、地址），报告发现的全部问题，每行一个：文件:行: 级别: 问题，以及该怎么办。不打开端口，也不修改任何东西。服务端无法启动时退出状态为 1，否则为 0。全部配置项见 docs/configuration.zh-CN.md。`},
		examples: `picket check -c /etc/mosquitto/mosquitto.conf
picket check -c picket.conf --json`,
	}
}

// Run prints the findings. What the broker would only note is printed too: somebody who asks wants to know.
func (c *checkCommand) Run(e *env) error {
	_, report := mosqconf.Check(c.Config)
	if c.JSON {
		encoder := json.NewEncoder(e.stdout)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(report.In(e.lang())); err != nil {
			return err
		}
	} else {
		for _, f := range report.Findings {
			if _, err := fmt.Fprintln(e.stdout, f.In(e.lang())); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintln(e.stdout, c.verdict(report, e.lang())); err != nil {
			return err
		}
	}
	if report.Failed() {
		return &statusError{status: statusFailure}
	}
	return nil
}

var verdicts = struct{ starts, fails, line cause.Text }{
	starts: cause.Text{EN: "the broker starts with this configuration", ZH: "服务端可以用这份配置启动"},
	fails:  cause.Text{EN: "the broker does not start with this configuration", ZH: "服务端无法用这份配置启动"},
	line:   cause.Text{EN: "%s: %s: %s, %s", ZH: "%s: %s：%s，%s"},
}

// verdict is the last line: whether the broker starts, and how much there was to say.
func (c *checkCommand) verdict(report *mosqconf.Report, lang cause.Lang) string {
	count := func(level mosqconf.Level, zh string) string {
		if n := report.Count(level); lang == cause.Chinese {
			return fmt.Sprintf("%d 个%s", n, zh)
		}
		return plural(report.Count(level), level.String())
	}
	verdict := verdicts.starts
	if report.Failed() {
		verdict = verdicts.fails
	}
	return fmt.Sprintf(verdicts.line.In(lang), c.Config, verdict.In(lang), count(mosqconf.Error, "错误"), count(mosqconf.Warning, "警告"))
}

// plural counts things in words.
func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
