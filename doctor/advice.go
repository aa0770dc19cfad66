package doctor

import (
	"fmt"
	"net/netip"

	"picket/cause"
)

// filled are a finding's texts in one language with their places filled in.
type filled struct {
	title, meaning, explain, remedy string
	steps                           []filledStep
}

type filledStep struct {
	Title string `json:"title"`
	Lines string `json:"lines"`
}

// texts takes the finding's texts from the catalogue. The error is a defect of the program: a cause, a recipe or a place that does not
// exist.
func (f *Finding) texts(lang cause.Lang) (filled, error) {
	c, ok := cause.Lookup(f.Cause)
	if !ok {
		return filled{}, fmt.Errorf("doctor: the cause %q is not in the catalogue", f.Cause)
	}
	t, err := entry(&c, lang, f.Values, f.Recipes)
	if err != nil {
		return filled{}, err
	}
	t.explain, t.remedy, t.meaning = clean(t.explain), clean(t.remedy), clean(f.Meaning.In(lang))
	own := make([]filledStep, 0, len(f.Steps)+len(t.steps))
	for _, s := range f.Steps {
		own = append(own, filledStep{s.Title.In(lang), s.Lines.In(lang)})
	}
	t.steps = append(own, t.steps...)
	for i := range t.steps {
		t.steps[i].Title, t.steps[i].Lines = clean(t.steps[i].Title), clean(t.steps[i].Lines)
	}
	return t, nil
}

// entry renders a catalogue entry; recipes of nil are those of the entry.
func entry(c *cause.Cause, lang cause.Lang, values cause.Values, recipes []string) (filled, error) {
	t := filled{title: c.Title.In(lang)}
	var err error
	if t.explain, err = c.Explain.Render(lang, values); err != nil {
		return filled{}, err
	}
	if t.remedy, err = c.Remedy.Render(lang, values); err != nil {
		return filled{}, err
	}
	if recipes == nil {
		recipes = c.Recipes
	}
	for _, name := range recipes {
		if _, err := netip.ParseAddr(values["host"]); err == nil && (name == "acme" || name == "nginx-stream") {
			continue // such certificates are for names
		}
		r, ok := cause.LookupRecipe(name)
		if !ok {
			return filled{}, fmt.Errorf("doctor: the recipe %q is not in the catalogue", name)
		}
		lines, err := r.Steps.Render(lang, values)
		if err != nil {
			return filled{}, err
		}
		t.steps = append(t.steps, filledStep{r.Title.In(lang), lines})
	}
	return t, nil
}
