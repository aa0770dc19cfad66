package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"picket/cause"
	"picket/doctor"
)

// doctorCommand is "picket doctor".
type doctorCommand struct {
	Check   doctorCheck   `cmd:"" default:"withargs" help:"Try to connect, and say what fails and why (this word may be left out)."`
	Explain doctorExplain `cmd:"" help:"Explain a cause: what happens, and what to do."`
	List    doctorList    `cmd:"" help:"List the causes that the doctor knows."`
	Server  doctorServer  `cmd:"" help:"On the broker's machine: say what keeps clients from it; also written --server."`
	Phone   doctorPhone   `cmd:"" help:"Show the address of the broker's page for a phone's browser, with its QR code; also written --phone."`
}

// doctorWords reads "doctor --server" and "doctor --phone" as "doctor server" and "doctor phone": what the doctor is asked about is written as
// an option, because an address may stand in the same place.
func doctorWords(args []string) []string {
	if args[0] != "doctor" {
		return args
	}
	for _, word := range []string{"server", "phone"} {
		if i := slices.Index(args, "--"+word); i > 0 {
			return slices.Concat([]string{"doctor", word}, args[1:i], args[i+1:])
		}
	}
	return args
}

// doctorStyle are the options of everything that the doctor prints.
type doctorStyle struct {
	Lang string `enum:",en,zh" default:"" placeholder:"LANG" help:"Language: en or zh (default: that of the environment)."`
	JSON bool   `name:"json" help:"Print JSON; docs/doctor.md describes it."`
}

func (s doctorStyle) lang() cause.Lang {
	if s.Lang == "" {
		return cause.Locale(os.Getenv)
	}
	return cause.ParseLang(s.Lang)
}

// printer prints to stdout: in colour and in its width when that is a terminal, else in 80 columns. NO_COLOR (no-color.org) and TERM=dumb
// forbid colour; COLUMNS says another width.
func (s doctorStyle) printer(e *env) *doctor.Printer {
	style := doctor.Style{Lang: s.lang()}
	if f, ok := e.stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		style.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			style.Width = min(w, 100)
		}
	}
	var columns int
	if _, err := fmt.Sscan(os.Getenv("COLUMNS"), &columns); err == nil && columns > 0 {
		style.Width = columns
	}
	return doctor.NewPrinter(e.stdout, style)
}

// examine has facts gathered, prints them as they come, and then the report: with --json that alone. look is told whom to tell of each fact, which may be
// nil, and of what takes a while.
func (s doctorStyle) examine(e *env, look func(fact func(doctor.Fact), doing func(cause.Text)) (*doctor.Report, error)) error {
	wait := newWait(e, s.lang())
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
		out, err := report.JSON(s.lang())
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
	ID string `arg:"" help:"Cause, as it stands at the end of a log line or in a reason string."`
	doctorStyle
}

func (doctorExplain) Help() string {
	return `Examples:
  picket doctor explain bad-credentials
  picket doctor explain tls-to-plain-port --lang zh`
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
		out, err := doctor.CatalogueJSON(c.lang(), found)
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
	Stages []string `arg:"" optional:"" name:"stage" help:"Stages of a connection to list: server, name, tcp, first-bytes, tls, upgrade, connect, use, stay, app, sentinel (default: all)."`
	doctorStyle
}

func (doctorList) Help() string {
	return `Examples:
  picket doctor list
  picket doctor list tls connect --lang zh
  picket doctor list --json`
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
		out, err := doctor.CatalogueJSON(c.lang(), all...)
		return c.print(e, out, err)
	}
	return c.printer(e).List(stages...)
}
