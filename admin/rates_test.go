package admin

import (
	"strings"
	"testing"

	"picket/broker"
	"picket/cause"
	"picket/printable"
)

// A table of rates has room on every terminal, in both languages, whatever clients are called; where there is room, nothing is cut.
func TestRatesText(t *testing.T) {
	r := Rates{Active: 3, Items: []ClientRate{
		{ClientState: broker.ClientState{ID: "meter-17-with-a-long-name", User: "ann", Queued: 12345}, MessagesIn: 402, BytesOut: 12.5e9},
		{ClientState: broker.ClientState{ID: "温度传感器温度传感器", User: "用户"}, MessagesOut: 0.5},
		{ClientState: broker.ClientState{ID: "\x1b[2J"}},
	}}
	for _, lang := range []cause.Lang{cause.English, cause.Chinese} {
		for columns := 1; columns <= 140; columns++ {
			text := r.Text("bytes", lang, columns, 0)
			for line := range strings.Lines(text) {
				if n := printable.Columns(strings.TrimSuffix(line, "\n")); n > columns {
					t.Errorf("at %d columns %q has %d", columns, line, n)
				}
			}
			if columns >= 120 && (strings.Contains(text, "…") || !strings.Contains(text, "meter-17-with-a-long-name")) || strings.Contains(text, "\x1b") {
				t.Errorf("at %d columns:\n%s", columns, text)
			}
		}
		if text := r.Text("queued", lang, 80, 3); strings.Count(text, "\n") != 3 {
			t.Errorf("in three lines:\n%s", text)
		}
	}
}
