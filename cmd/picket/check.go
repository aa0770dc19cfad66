package main

import (
	"encoding/json"
	"fmt"

	"picket/mosqconf"
)

// checkCommand says everything there is to say about a configuration file before a broker is started with it.
type checkCommand struct {
	Config string `name:"config-file" short:"c" required:"" placeholder:"FILE" help:"Configuration to check."`
	JSON   bool   `name:"json" help:"Print the findings as JSON."`
}

func (checkCommand) Help() string {
	return `Reads the configuration and what it names (certificates, password and ACL files, addresses) and reports
all findings, one a line: FILE:LINE: level: what, and what to do about it. Opens no port, changes nothing.
The exit status is 1 when the broker would not start, 0 otherwise. docs/configuration.md lists all directives.

Examples:
  picket check -c /etc/mosquitto/mosquitto.conf
  picket check -c picket.conf --json`
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
