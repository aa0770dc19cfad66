package printable

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"plain":              "plain",
		"空调 ü €":             "空调 ü €",
		"a\x1b[2Jb\nc\td\re": `a\x1b[2Jb\nc\td\re`,
		"del\x7f":            `del\x7f`,
		"c1\u0085\u009b":     `c1\u0085\u009b`,
		"moc.\u202ee":        `moc.\u202ee`,
		"\u2066x\u2069":      `\u2066x\u2069`,
		"zero\u200bwidth":    `zero\u200bwidth`,
		"not\xffutf8":        `not\xffutf8`,
	} {
		if got := Text(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	if got := string(Append([]byte("a\nb\n"), 2)); got != "a\nb\\n" {
		t.Errorf("%q", got)
	}
}

// Whatever is in a value, it comes out of the JSON again, and nothing in the JSON is invisible.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{"", "plain", "空调", "\x7f\u0085\u202e\u200b\U000e0001\U0001f600\xff", "\x00\x1b\n\"\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "\ufffd") // encoding/json does the same
		plain, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		escaped := JSON(append([]byte("\u202e"), plain...), len("\u202e"))[len("\u202e"):]
		var back string
		if err := json.Unmarshal(escaped, &back); err != nil || back != s {
			t.Errorf("%q became %s, %q, %v", s, escaped, back, err)
		}
		if i := strings.IndexFunc(string(escaped), func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%q: %q can still not be seen", s, escaped[i:])
		}
	})
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		in   string
		cols int
		want string
	}{
		{"one two three", 7, "one two|three"},
		{"a https://example.com/very/long/address b", 10, "a|https://example.com/very/long/address|b"},
		{"连接超时，从不被拒绝", 10, "连接超时，|从不被拒绝"},
		{"端口 1883 超时（5 秒）", 12, "端口 1883 超|时（5 秒）"},
		{"", 10, ""},
	} {
		if got := strings.Join(Wrap(c.in, c.cols), "|"); got != c.want {
			t.Errorf("%q in %d columns: got %q, want %q", c.in, c.cols, got, c.want)
		}
	}
}
