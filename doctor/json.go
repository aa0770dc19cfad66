package doctor

import (
	"encoding/json"

	"picket/cause"
)

// FormatVersion is the version of the JSON form. It grows when something is taken away or changes its meaning; what is added does not
// change it. docs/doctor.md describes the form.
const FormatVersion = 1

// The JSON form of a report.
type (
	jsonReport struct {
		Version  int           `json:"version"`
		Subject  string        `json:"subject"`
		Lang     string        `json:"lang"`
		Exit     int           `json:"exit"`
		End      cause.Stage   `json:"end,omitempty"`
		Facts    []jsonFact    `json:"facts"`
		Findings []jsonFinding `json:"findings"`
		Remarks  []string      `json:"remarks"`
	}
	jsonFact struct {
		Kind    string      `json:"kind"`
		Stage   cause.Stage `json:"stage"`
		Outcome string      `json:"outcome"`
		Text    string      `json:"text"`
		Data    Fact        `json:"data"`
	}
	jsonFinding struct {
		Cause    cause.ID       `json:"cause"`
		Severity string         `json:"severity"`
		Stage    cause.Stage    `json:"stage"`
		Fit      int            `json:"fit"`
		Title    string         `json:"title"`
		Meaning  string         `json:"meaning,omitempty"`
		Explain  string         `json:"explain"`
		Remedy   string         `json:"remedy"`
		Evidence []int          `json:"evidence"`
		RuledOut []jsonRuledOut `json:"ruled_out"`
		Steps    []filledStep   `json:"steps"`
	}
	jsonRuledOut struct {
		Cause cause.ID `json:"cause"`
		Why   string   `json:"why"`
	}
)

// JSON is the report with its texts in one language.
func (r *Report) JSON(lang cause.Lang) ([]byte, error) {
	out := jsonReport{
		Version: FormatVersion, Subject: r.Subject, Lang: lang.String(), Exit: r.ExitStatus(), End: r.End,
		Facts: make([]jsonFact, 0, len(r.Facts)), Findings: make([]jsonFinding, 0, len(r.Findings)),
		Remarks: []string{},
	}
	for _, t := range r.Remarks {
		out.Remarks = append(out.Remarks, clean(t.In(lang)))
	}
	for _, f := range r.Facts {
		out.Facts = append(out.Facts, jsonFact{f.Kind(), f.Stage(), f.Outcome().String(), clean(f.Text().In(lang)), f})
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		t, err := f.texts(lang)
		if err != nil {
			return nil, err
		}
		c, _ := cause.Lookup(f.Cause)
		j := jsonFinding{
			Cause: f.Cause, Severity: c.Severity.String(), Stage: f.Stage(), Fit: f.Fit, Title: t.title, Meaning: t.meaning, Explain: t.explain,
			Remedy: t.remedy, Evidence: append([]int{}, f.Evidence...), RuledOut: []jsonRuledOut{}, Steps: append([]filledStep{}, t.steps...),
		}
		for _, n := range f.RuledOut {
			j.RuledOut = append(j.RuledOut, jsonRuledOut{n.Cause, clean(n.Why.In(lang))})
		}
		out.Findings = append(out.Findings, j)
	}
	b, err := json.MarshalIndent(out, "", "  ")
	return escaped(b), err
}
