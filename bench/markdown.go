package bench

import (
	"fmt"
	"io"
	"strings"
)

// WriteMarkdown writes the comparison as a table.
func (out *Comparison) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	first, others := out.Contenders[0], out.Contenders[1:]
	fmt.Fprintf(&b, "%s; %s; medians of %d rounds of %g s.\n\n", out.When.Format("2006-01-02 15:04 UTC"), out.Machine, out.Rounds, out.Duration)
	if out.Interrupted {
		b.WriteString("It was interrupted: the medians are those of the rounds that each load had until then.\n\n")
	}
	if len(others) > 0 {
		fmt.Fprintf(&b, "× is how many times better %s is. A share in parentheses is what was lost.\n\n", first)
	}
	head := "| load | " + first + " |"
	rule := "| --- | ---: |"
	for _, who := range others {
		head += fmt.Sprintf(" %s | × |", who)
		rule += " ---: | ---: |"
	}
	fmt.Fprintf(&b, "%s\n%s\n", head, rule)
	for _, row := range out.Rows {
		fmt.Fprintf(&b, "| %s, %s | %s |", row.Name, row.Metric.Unit, row.Cells[first].text(row.Metric))
		for _, who := range others {
			cell := row.Cells[who]
			ratio := "–"
			if cell.Ratio > 0 {
				ratio = fmt.Sprintf("%.2f", cell.Ratio)
			}
			fmt.Fprintf(&b, " %s | %s |", cell.text(row.Metric), ratio)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (c *Cell) text(m Metric) string {
	if len(c.Values) == 0 {
		if len(c.Errors) > 0 {
			return "failed"
		}
		return "–"
	}
	s := si(c.Median)
	if c.Median < 10 {
		s = fmt.Sprintf("%.2f", c.Median)
	}
	if c.Lost >= 0.0005 && !m.LowerIsBetter {
		s += fmt.Sprintf(" (%.1f %%)", 100*c.Lost)
	}
	if len(c.Errors) > 0 {
		s += fmt.Sprintf(" (%d failed)", len(c.Errors))
	}
	return s
}
