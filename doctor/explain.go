package doctor

import (
	"bytes"
	"encoding/json"
	"fmt"

	"picket/cause"
)

// Explain prints a cause of the catalogue at length.
func (p *Printer) Explain(c *cause.Cause) error {
	lang := p.style.Lang
	t, err := entry(c, lang, nil, nil)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	head := headings[c.Severity]
	p.paragraph(&b, p.paint(head.color, head.sign)+" ", 2, p.paint(bold, capital(t.title, lang)))
	fmt.Fprintf(&b, "  %s\n", p.paint(dim, "["+string(c.ID)+"] "+c.Stage.Title().In(lang)))
	p.heading(&b, words.meaning)
	p.paragraph(&b, "  ", 2, t.explain)
	p.heading(&b, words.todo)
	p.paragraph(&b, "  ", 2, t.remedy)
	p.steps(&b, t.steps)
	if len(c.ConsequenceOf) > 0 {
		p.heading(&b, cause.Text{EN: "Often comes from", ZH: "常由此引起"})
		for _, id := range c.ConsequenceOf {
			from, _ := cause.Lookup(id)
			p.paragraph(&b, "  • ", 4, string(id)+colon(lang)+from.Title.In(lang))
		}
	}
	_, err = p.out.Write(b.Bytes())
	return err
}

// List prints the catalogue, or the stages given, one line for each cause.
func (p *Printer) List(stages ...cause.Stage) error {
	lang := p.style.Lang
	if len(stages) == 0 {
		stages = cause.Stages()
	}
	var b bytes.Buffer
	for i, stage := range stages {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s %s\n", p.paint(bold, stage.Title().In(lang)), p.paint(dim, "("+string(stage)+")"))
		for _, c := range cause.All() {
			if c.Stage == stage {
				p.paragraph(&b, "  ", 4, string(c.ID)+colon(lang)+c.Title.In(lang))
			}
		}
	}
	_, err := p.out.Write(b.Bytes())
	return err
}

// CatalogueJSON is the part of the catalogue that is given, with its texts in one language.
func CatalogueJSON(lang cause.Lang, causes ...cause.Cause) ([]byte, error) {
	type entryJSON struct {
		Cause         cause.ID     `json:"cause"`
		Severity      string       `json:"severity"`
		Stage         cause.Stage  `json:"stage"`
		Title         string       `json:"title"`
		Explain       string       `json:"explain"`
		Remedy        string       `json:"remedy"`
		Steps         []filledStep `json:"steps"`
		ConsequenceOf []cause.ID   `json:"consequence_of"`
	}
	all := make([]entryJSON, 0, len(causes))
	for i := range causes {
		c := &causes[i]
		t, err := entry(c, lang, nil, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, entryJSON{c.ID, c.Severity.String(), c.Stage, t.title, t.explain, t.remedy,
			append([]filledStep{}, t.steps...), append([]cause.ID{}, c.ConsequenceOf...)})
	}
	return json.MarshalIndent(all, "", "  ")
}
