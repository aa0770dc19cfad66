package doctor

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"picket/cause"
	"picket/printable"
)

// Style says how a report is shown to people.
type Style struct {
	Lang  cause.Lang
	Width int  // columns; 0 means 80
	Color bool // ANSI colours
}

// Printer shows facts as they come, and then the findings.
type Printer struct {
	out   io.Writer
	style Style
	stage cause.Stage // of the last fact
}

// NewPrinter prints to out. Errors of out are those of the methods' results.
func NewPrinter(out io.Writer, style Style) *Printer {
	if style.Width == 0 {
		style.Width = 80
	}
	style.Width = max(style.Width, 30)
	return &Printer{out: out, style: style}
}

// ANSI escape sequences.
const (
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
)

func (p *Printer) paint(color, s string) string {
	if !p.style.Color || s == "" {
		return s
	}
	return color + s + "\x1b[0m"
}

// marks stand before facts.
var marks = map[Outcome]struct{ sign, color string }{Note: {"•", dim}, Good: {"✓", green}, Bad: {"✗", red}}

// Fact prints one fact, below the title of its stage when the stage is another than that of the fact before.
func (p *Printer) Fact(f Fact) error {
	var b bytes.Buffer
	if f.Stage() != p.stage {
		if p.stage != "" {
			b.WriteByte('\n')
		}
		p.stage = f.Stage()
		b.WriteString(p.paint(bold, p.stage.Title().In(p.style.Lang)) + "\n")
	}
	p.mark(&b, f)
	_, err := p.out.Write(b.Bytes())
	return err
}

func (p *Printer) mark(b *bytes.Buffer, f Fact) {
	mark := marks[f.Outcome()]
	p.paragraph(b, "  "+p.paint(mark.color, mark.sign)+" ", 4, clean(f.Text().In(p.style.Lang)))
}

// Report prints what follows from the facts: the first finding at length, the others in short.
func (p *Printer) Report(r *Report) error {
	var b bytes.Buffer
	b.WriteByte('\n')
	var last cause.Text
	for i := range r.Findings {
		var err error
		if i == 0 {
			err = p.finding(&b, r, &r.Findings[0])
		} else {
			heading := words.others
			if !r.Way && r.Findings[i].Fit >= likely { // a machine may have several troubles, which do not stand for each other
				heading = words.also
			}
			if heading == last {
				b.WriteByte('\n')
			} else {
				p.heading(&b, heading)
			}
			last = heading
			err = p.alternative(&b, &r.Findings[i])
		}
		if err != nil {
			return err
		}
	}
	if len(r.Findings) == 0 && r.Healthy != (cause.Text{}) {
		p.paragraph(&b, p.paint(green, "✓")+" ", 2, r.Healthy.In(p.style.Lang))
	}
	if len(r.Remarks) > 0 {
		p.heading(&b, words.remarks)
		for _, t := range r.Remarks {
			p.paragraph(&b, "  • ", 4, clean(t.In(p.style.Lang)))
		}
	}
	_, err := p.out.Write(b.Bytes())
	return err
}

// words are the printer's own.
var words = struct{ evidence, meaning, neighbours, todo, others, also, more, remarks cause.Text }{
	remarks:    cause.Text{EN: "For your notice", ZH: "另请注意"},
	evidence:   cause.Text{EN: "What speaks for it", ZH: "依据"},
	meaning:    cause.Text{EN: "What it means", ZH: "说明"},
	neighbours: cause.Text{EN: "Why not something else", ZH: "为什么不是别的原因"},
	todo:       cause.Text{EN: "What to do", ZH: "处理办法"},
	also:       cause.Text{EN: "Also found", ZH: "另外发现"},
	others:     cause.Text{EN: "Also possible", ZH: "其他可能"},
	more:       cause.Text{EN: "More: picket doctor explain ", ZH: "详见：picket doctor explain "},
}

// FitText puts a fit into a word.
func FitText(fit int) cause.Text {
	switch {
	case fit >= certain:
		return cause.Text{EN: "certain", ZH: "确定"}
	case fit >= likely:
		return cause.Text{EN: "likely", ZH: "很可能"}
	default:
		return cause.Text{EN: "possible", ZH: "可能"}
	}
}

// headings mark a finding by its severity.
var headings = map[cause.Severity]struct{ sign, color string }{cause.Info: {"•", dim}, cause.Warning: {"!", yellow}, cause.Error: {"✗", red}}

func (p *Printer) finding(b *bytes.Buffer, r *Report, f *Finding) error {
	lang := p.style.Lang
	t, err := f.texts(lang)
	if err != nil {
		return err
	}
	head := headings[severity(*f)]
	b.WriteString(p.paint(dim, strings.Repeat("─", min(p.style.Width, 60))) + "\n")
	p.paragraph(b, p.paint(head.color, head.sign)+" ", 2, p.paint(bold, capital(t.title, lang)))
	fmt.Fprintf(b, "  %s\n", p.paint(dim, "["+string(f.Cause)+"] "+FitText(f.Fit).In(lang)))

	if len(f.Evidence) > 0 {
		p.heading(b, words.evidence)
		for _, i := range f.Evidence {
			if i >= 0 && i < len(r.Facts) {
				p.mark(b, r.Facts[i])
			}
		}
	}
	p.heading(b, words.meaning)
	if t.meaning != "" {
		p.paragraph(b, "  ", 2, t.meaning)
	}
	p.paragraph(b, "  ", 2, t.explain)
	if len(f.RuledOut) > 0 {
		p.heading(b, words.neighbours)
		for _, n := range f.RuledOut {
			p.paragraph(b, "  • ", 4, string(n.Cause)+colon(lang)+clean(n.Why.In(lang)))
		}
	}
	p.heading(b, words.todo)
	p.paragraph(b, "  ", 2, t.remedy)
	p.steps(b, t.steps)
	return nil
}

// steps writes instructions. Commands stay whole, since they are there to be copied; the way through a console is wrapped.
func (p *Printer) steps(b *bytes.Buffer, steps []filledStep) {
	for _, s := range steps {
		b.WriteByte('\n')
		p.paragraph(b, "  ", 2, p.paint(bold, s.Title))
		for line := range strings.Lines(s.Lines) {
			if line = strings.TrimSuffix(line, "\n"); prose(line) {
				p.paragraph(b, "    ", 4, line)
			} else {
				fmt.Fprintf(b, "    %s\n", line)
			}
		}
	}
}

// prose tells whether a line is text and no command: it leads through menus, or is a sentence.
func prose(line string) bool {
	return strings.Contains(line, " → ") || strings.HasSuffix(line, ".") || strings.HasSuffix(line, ":") || strings.HasSuffix(line, "。") || strings.HasSuffix(line, "：")
}

func (p *Printer) alternative(b *bytes.Buffer, f *Finding) error {
	lang := p.style.Lang
	t, err := f.texts(lang)
	if err != nil {
		return err
	}
	head := headings[severity(*f)]
	p.paragraph(b, "  "+p.paint(head.color, head.sign)+" ", 4, capital(t.title, lang))
	fmt.Fprintf(b, "    %s\n", p.paint(dim, "["+string(f.Cause)+"] "+FitText(f.Fit).In(lang)))
	if t.meaning != "" {
		p.paragraph(b, "    ", 4, t.meaning)
	}
	p.paragraph(b, "    ", 4, t.remedy)
	p.paragraph(b, "    ", 4, p.paint(dim, words.more.In(lang)+string(f.Cause)))
	return nil
}

func (p *Printer) heading(b *bytes.Buffer, t cause.Text) {
	fmt.Fprintf(b, "\n  %s\n", p.paint(bold, t.In(p.style.Lang)))
}

// paragraph writes s, wrapped, with first before its first line and indent columns before the others. Lines of s are lines of the output.
func (p *Printer) paragraph(b *bytes.Buffer, first string, indent int, s string) {
	lead := first
	for line := range strings.SplitSeq(s, "\n") {
		for _, part := range printable.Wrap(line, p.style.Width-indent) {
			b.WriteString(lead + part + "\n")
			lead = strings.Repeat(" ", indent)
		}
	}
}

func colon(l cause.Lang) string {
	if l == cause.Chinese {
		return "："
	}
	return ": "
}

// capital makes the first letter of an English title a large one.
func capital(s string, l cause.Lang) string {
	if l != cause.English || s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}
