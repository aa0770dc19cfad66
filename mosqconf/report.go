package mosqconf

import (
	"encoding/json"
	"fmt"
	"strings"

	"picket/cause"
	"picket/logging"
	"picket/phrases"
)

// Level says how bad a finding is.
type Level byte

// The levels of findings.
const (
	Info    Level = iota // what was read
	Notice               // what mosquitto would say, and options without effect
	Warning              // the broker starts, but perhaps not as was meant
	Error                // the broker does not start
)

func (l Level) String() string { return [...]string{"info", "notice", "warning", "error"}[l] }

// MarshalText returns the level's name.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Finding is one thing to say about a configuration file.
type Finding struct {
	Level     Level    `json:"level"`
	File      string   `json:"file,omitempty"`
	Line      int      `json:"line,omitempty"` // 0: not about one line
	Directive string   `json:"directive,omitempty"`
	Text      string   `json:"text"`            // in mosquitto's words where it has some
	Hint      string   `json:"hint,omitempty"`  // what to do about it
	Cause     cause.ID `json:"cause,omitempty"` // empty for what has no consequence
}

// String returns the finding as one line: FILE:LINE: level: text hint [cause].
func (f Finding) String() string { return f.In(cause.English) }

// In returns that line in a language.
func (f Finding) In(lang cause.Lang) string {
	text := strings.TrimPrefix(strings.TrimPrefix(f.Text, "Error: "), "Warning: ") // the level says so already
	hint := f.Hint
	if hint != "" {
		hint = " " + hint
	}
	s := f.Level.String() + ": " + text + hint
	if lang == cause.Chinese {
		s = levelInChinese[f.Level] + "：" + phrases.Chinese(text) + phrases.Chinese(f.Hint)
	}
	if f.Line > 0 {
		s = fmt.Sprintf("%s:%d: %s", f.File, f.Line, s)
	} else if f.File != "" {
		s = f.File + ": " + s
	}
	if f.Cause != "" {
		s += " [" + string(f.Cause) + "]"
	}
	return s
}

var levelInChinese = [...]string{Info: "信息", Notice: "提示", Warning: "警告", Error: "错误"}

// Report is everything that was found in a configuration file and the files that it includes, in their order.
type Report struct {
	Path     string
	Files    []string // that were read: the file and those that it includes
	Findings []Finding
}

// Failed reports whether the broker cannot start with this configuration.
func (r *Report) Failed() bool { return r.Count(Error) > 0 }

// Count returns how many findings of a level there are.
func (r *Report) Count(l Level) (n int) {
	for _, f := range r.Findings {
		if f.Level == l {
			n++
		}
	}
	return n
}

// In returns the report with its texts and hints in a language.
func (r *Report) In(lang cause.Lang) *Report {
	if lang != cause.Chinese {
		return r
	}
	in := &Report{Path: r.Path, Files: r.Files}
	for _, f := range r.Findings {
		f.Text, f.Hint = phrases.Chinese(f.Text), phrases.Chinese(f.Hint)
		in.add(f)
	}
	return in
}

// Line is one line of a log.
type Line struct {
	Type  logging.Type
	Text  string
	Cause cause.ID
}

// Lines returns the report as mosquitto would log it at the start: the place of an error stands in a line of its own.
func (r *Report) Lines() (lines []Line) {
	types := [...]logging.Type{Info: logging.Info, Notice: logging.Notice, Warning: logging.Warning, Error: logging.Error}
	for _, f := range r.Findings {
		t := types[f.Level]
		text := f.Text
		if f.Hint != "" {
			text += " " + f.Hint
		}
		lines = append(lines, Line{t, text, f.Cause})
		if f.Level == Error && f.Line > 0 {
			lines = append(lines, Line{t, fmt.Sprintf("Error found at %s:%d.", f.File, f.Line), ""})
		}
	}
	return lines
}

// MarshalJSON returns the report for programs: whether the broker starts, and the findings.
func (r *Report) MarshalJSON() ([]byte, error) {
	findings := r.Findings
	if findings == nil {
		findings = []Finding{}
	}
	return json.Marshal(struct {
		File     string    `json:"file"`
		OK       bool      `json:"ok"`
		Errors   int       `json:"errors"`
		Warnings int       `json:"warnings"`
		Findings []Finding `json:"findings"`
	}{r.Path, !r.Failed(), r.Count(Error), r.Count(Warning), findings})
}

func (r *Report) add(f Finding) { r.Findings = append(r.Findings, f) }
