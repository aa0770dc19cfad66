package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"picket/cause"
	"picket/doctor"
)

// doctorCommand is "picket doctor".
type doctorCommand struct {
	Check   doctorCheck   `cmd:"" default:"withargs" help:"Try to connect, and say what fails and why (this word may be left out)." zh:"尝试连接，指出哪一步失败及其原因（这个词可以省略）。"`
	Explain doctorExplain `cmd:"" help:"Explain a cause: what happens, and what to do." zh:"解释一个原因：发生了什么，该怎么办。"`
	List    doctorList    `cmd:"" help:"List the causes that the doctor knows." zh:"列出诊断工具能识别的所有原因。"`
	Server  doctorServer  `cmd:"" help:"On the broker's machine: say what keeps clients from it; also written --server." zh:"在服务端所在的机器上，指出是什么挡住了客户端；也可写作 --server。"`
	Phone   doctorPhone   `cmd:"" help:"Show the address of the broker's page for a phone's browser, with its QR code; also written --phone." zh:"显示供手机浏览器打开的测试页地址及其二维码；也可写作 --phone。"`
}

// doctorWords reads "doctor --server" and "doctor --phone" as "doctor server" and "doctor phone": what the doctor is asked about is written as
// an option, because an address may stand in the same place.
func doctorWords(args []string) []string {
	first := 0 // the word after --lang
	switch {
	case len(args) == 0:
		return args
	case strings.HasPrefix(args[0], "--lang="):
		first = 1
	case args[0] == "--lang":
		first = 2
	}
	if first >= len(args) || args[first] != "doctor" {
		return args
	}
	for _, word := range []string{"server", "phone"} {
		if i := slices.Index(args, "--"+word); i > 0 {
			return slices.Concat(args[:first], []string{"doctor", word}, args[first+1:i], args[i+1:])
		}
	}
	return args
}

// doctorStyle are the options of everything that the doctor prints.
type doctorStyle struct {
	JSON bool `name:"json" help:"Print JSON; docs/doctor.md describes it." zh:"以 JSON 格式输出，说明见 docs/doctor.zh-CN.md。"`
}

// printer prints to stdout: in colour when that is a terminal. NO_COLOR (no-color.org) and TERM=dumb forbid colour.
func (s doctorStyle) printer(e *env) *doctor.Printer {
	color := isTerminal(e.stdout) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return doctor.NewPrinter(e.stdout, doctor.Style{Lang: e.lang(), Width: columns(e), Color: color})
}

// examine has facts gathered, prints them as they come, and then the report: with --json that alone. look is told whom to tell of each fact, which may be
// nil, and of what takes a while.
func (s doctorStyle) examine(e *env, look func(fact func(doctor.Fact), doing func(cause.Text)) (*doctor.Report, error)) error {
	wait := newWait(e, e.lang())
	printer := s.printer(e)
	var failed error
	var fact func(doctor.Fact)
	if !s.JSON {
		fact = func(f doctor.Fact) {
			wait.clear()
			if err := printer.Fact(f); err != nil {
				failed = err
			}
		}
	}
	report, err := look(fact, wait.show)
	wait.clear()
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted: no conclusion is drawn from a part of the facts")
	case err != nil:
		return err
	case s.JSON:
		out, err := report.JSON(e.lang())
		failed = s.print(e, out, err)
	case failed == nil:
		failed = printer.Report(report)
	}
	if failed != nil {
		return failed
	}
	if status := report.ExitStatus(); status != doctor.ExitHealthy {
		return &statusError{status: status}
	}
	return nil
}

// doctorExplain is "picket doctor explain".
type doctorExplain struct {
	ID string `arg:"" help:"Cause, as it stands at the end of a log line or in a reason string." zh:"原因的 ID，即日志行末尾或原因字符串中的那个词。"`
	doctorStyle
}

func (doctorExplain) details() details {
	return details{examples: `picket doctor explain bad-credentials
picket doctor explain tls-to-plain-port --lang zh`}
}

// Run prints one entry of the catalogue.
func (c *doctorExplain) Run(e *env) error {
	// People copy ids with what stands around them.
	id, _, _ := strings.Cut(strings.Trim(strings.ToLower(c.ID), "[]\"' "), ":")
	found, ok := cause.Lookup(cause.ID(id))
	if !ok {
		return unknownCause(id)
	}
	if c.JSON {
		out, err := doctor.CatalogueJSON(e.lang(), found)
		return c.print(e, out, err)
	}
	return c.printer(e).Explain(&found)
}

func (doctorStyle) print(e *env, out []byte, err error) error {
	if err == nil {
		_, err = fmt.Fprintf(e.stdout, "%s\n", out)
	}
	return err
}

// unknownCause says which ids share the most with the one that was given.
func unknownCause(id string) error {
	var near []string
	for _, c := range cause.All() {
		for word := range strings.SplitSeq(id, "-") {
			if len(word) > 2 && slices.Contains(strings.Split(string(c.ID), "-"), word) {
				near = append(near, string(c.ID))
				break
			}
		}
	}
	text := fmt.Sprintf("there is no cause %q", id)
	if len(near) > 0 {
		text += "; there are " + strings.Join(near[:min(len(near), 8)], ", ")
	}
	return &usageError{text: text, help: "picket doctor list"}
}

// doctorList is "picket doctor list".
type doctorList struct {
	Stages []string `arg:"" optional:"" name:"stage" help:"Stages of a connection to list: server, name, tcp, first-bytes, tls, upgrade, connect, use, stay, app, sentinel (default: all)." zh:"要列出的连接阶段：server、name、tcp、first-bytes、tls、upgrade、connect、use、stay、app、sentinel（默认：全部）。"`
	doctorStyle
}

func (doctorList) details() details {
	return details{examples: `picket doctor list
picket doctor list tls connect --lang zh
picket doctor list --json`}
}

// Run prints the catalogue.
func (c *doctorList) Run(e *env) error {
	var stages []cause.Stage
	for _, s := range c.Stages {
		if !slices.Contains(cause.Stages(), cause.Stage(s)) {
			return &usageError{text: fmt.Sprintf("there is no stage %q", s), help: "picket doctor list --help"}
		}
		stages = append(stages, cause.Stage(s))
	}
	if c.JSON {
		all := slices.DeleteFunc(cause.All(), func(e cause.Cause) bool { return len(stages) > 0 && !slices.Contains(stages, e.Stage) })
		out, err := doctor.CatalogueJSON(e.lang(), all...)
		return c.print(e, out, err)
	}
	return c.printer(e).List(stages...)
}
