// Package doctor says why a client cannot connect, or connects and drops, and what to do about it.
//
// Its way is probes → facts → causes → advice. Probes do the I/O; they live in packages of their own, doctor/probe for the
// client's side and doctor/host for the broker's machine, and give [Fact]s: plain values that say what was tried and what was
// seen. Everything in this package is pure. [Diagnose] turns the facts of the client's side into [Finding]s, the causes that
// fit, best first. [Report] holds both, and is shown as text or as JSON in English or Chinese.
package doctor

import (
	"fmt"

	"picket/cause"
)

// Outcome says what a fact means for the one who wants to connect.
type Outcome byte

const (
	// Note is a fact that is neither good nor bad in itself.
	Note Outcome = iota
	// Good is a step that went as it should.
	Good
	// Bad is a step that failed, or something that ought not to be.
	Bad
)

// String gives "note", "good" or "bad".
func (o Outcome) String() string {
	names := [...]string{"note", "good", "bad"}
	if int(o) < len(names) {
		return names[o]
	}
	return fmt.Sprintf("Outcome(%d)", o)
}

// Fact is one thing that was tried, and what was seen. A fact is a plain struct whose exported fields have JSON tags: they are
// the fact's data in a report's JSON form. Times in it are milliseconds or Unix seconds, and there are no secrets in it.
type Fact interface {
	// Kind names what was tried, such as "dial": words joined by dashes. It never changes its meaning.
	Kind() string
	// Stage is the step on the client's way that the fact belongs to.
	Stage() cause.Stage
	Outcome() Outcome
	// Text is one line for people, without a full stop.
	Text() cause.Text
}

// Finding is a cause that fits the facts.
type Finding struct {
	Cause cause.ID
	// Fit says how well the facts fit, from 1 to 100: from 90 they leave nothing else, from 50 the cause is likelier than not, and
	// below it is a possibility among others.
	Fit int
	// Values fill the places of the catalogue's texts.
	Values cause.Values
	// Meaning says in a sentence or two what happens in this very case. It may be empty: the catalogue's explanation is shown anyway.
	Meaning cause.Text
	// Evidence are the facts that speak for the cause, as indices into Report.Facts.
	Evidence []int
	// RuledOut are causes that look alike, each with the reason why it is not the one.
	RuledOut []RuledOut
	// Steps are instructions for this very case; they are shown before the catalogue's recipes.
	Steps []Step
	// stage is where an unexplained finding belongs; empty: that of the catalogue.
	stage cause.Stage
	// Recipes names the recipes of the catalogue to show. Nil: those that the catalogue has for the cause. Empty: none.
	Recipes []string
}

// Stage is the stage that the finding belongs to.
func (f *Finding) Stage() cause.Stage {
	if f.stage != "" {
		return f.stage
	}
	c, _ := cause.Lookup(f.Cause)
	return c.Stage
}

// RuledOut is a cause that looks like the one that was found, and is not it.
type RuledOut struct {
	Cause cause.ID
	Why   cause.Text
}

// Step is an instruction: what it is for, and lines to copy.
type Step struct {
	Title, Lines cause.Text
}

// Report is what a doctor has found out.
type Report struct {
	// Subject is what was looked at: a URL, or a machine's name.
	Subject string
	Facts   []Fact
	// Findings are ordered by [Rank]: the first is the one to tell.
	Findings []Finding
	// Way tells that the report follows the way of a client, and End at which stage it ends; it is empty when the way goes through.
	Way bool
	End cause.Stage
	// Remarks are what is well here and may not be so for a phone, or for somebody who listens in.
	Remarks []cause.Text
	// Healthy is what to say when there is no finding; it may be empty.
	Healthy cause.Text
	// Failed says that something that was asked for could not be done: a report that finds nothing wrong is then no success.
	Failed bool
}

// Exit statuses of a doctor; 1 and 2 are the program's own: it could not do what was asked, or did not understand it.
const (
	// ExitHealthy: nothing was found, or nothing but remarks.
	ExitHealthy = 0
	// ExitFailed: see Report.Failed.
	ExitFailed = 1
	// ExitWarning: it works, and something should be looked at.
	ExitWarning = 3
	// exitStages is where the statuses begin that name the stage at which it fails.
	exitStages = 10
)

// exitOrder are the stages whose place in the list, added to exitStages, is an exit status. New stages go to the end.
var exitOrder = []cause.Stage{cause.Server, cause.Name, cause.TCP, cause.FirstBytes, cause.TLS, cause.Upgrade, cause.Connect, cause.Use, cause.Stay, cause.App}

// ExitStatus is the exit status that tells a script about the report: 10 to 19 for the stage at which a client's way ends or, in a report that
// follows no way, for the stage of its first error that is more than possible; ExitFailed when it lacks what was asked for; ExitWarning when there
// is something else to look at; ExitHealthy.
func (r *Report) ExitStatus() int {
	if r.End != "" {
		return stageStatus(r.End)
	}
	status := ExitHealthy
	for _, f := range r.Findings {
		c, _ := cause.Lookup(f.Cause)
		if c.Severity == cause.Error && !r.Way && f.Fit >= likely {
			return stageStatus(f.Stage())
		}
		if c.Severity >= cause.Warning {
			status = ExitWarning
		}
	}
	if r.Failed {
		return ExitFailed
	}
	return status
}

func stageStatus(s cause.Stage) int {
	for i, known := range exitOrder {
		if known == s {
			return exitStages + i
		}
	}
	return ExitWarning
}
