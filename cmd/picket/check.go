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
		if err := encoder.Encode(report); err != nil {
			return err
		}
	} else {
		for _, f := range report.Findings {
			if _, err := fmt.Fprintln(e.stdout, f); err != nil {
				return err
			}
		}
		verdict := "the broker starts with this configuration"
		if report.Failed() {
			verdict = "the broker does not start with this configuration"
		}
		if _, err := fmt.Fprintf(e.stdout, "%s: %s: %s, %s\n", c.Config, verdict,
			plural(report.Count(mosqconf.Error), "error"), plural(report.Count(mosqconf.Warning), "warning")); err != nil {
			return err
		}
	}
	if report.Failed() {
		return &statusError{status: statusFailure}
	}
	return nil
}

// plural counts things in words.
func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
