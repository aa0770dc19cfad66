package main

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/alecthomas/kong"

	"picket/cause"
	"picket/printable"
)

// Whatever help says, it says in both languages: the same options, variables, numbers and files.
func TestHelpInBothLanguages(t *testing.T) {
	parsers := map[cause.Lang]*kong.Kong{}
	for _, lang := range []cause.Lang{cause.English, cause.Chinese} {
		parser, err := newParser(&env{language: lang.String(), stdout: io.Discard, stderr: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		parsers[lang] = parser
	}
	texts := map[string]cause.Text{}
	collect := func(lang cause.Lang, where, text string) {
		both := texts[where]
		if lang == cause.Chinese {
			both.ZH = text
		} else {
			both.EN = text
		}
		texts[where] = both
	}
	for lang, parser := range parsers {
		where := ""
		if err := kong.Visit(parser.Model.Node, func(v kong.Visitable, next kong.Next) error {
			switch v := v.(type) {
			case *kong.Node:
				where = v.FullPath()
				collect(lang, where, v.Help)
				if command, ok := v.Target.Addr().Interface().(detailed); ok {
					d := command.details()
					collect(lang, where+" in detail", d.In(lang))
					if !strings.Contains(d.examples, "picket ") {
						t.Errorf("%s has no examples", where)
					}
				}
			case *kong.Value:
				if v.Help != "" || v.Flag != nil {
					collect(lang, where+" "+v.Summary(), v.Help)
				}
			}
			return next(nil)
		}); err != nil {
			t.Fatal(err)
		}
	}
	if len(texts) < 200 {
		t.Fatalf("%d texts were found", len(texts))
	}
	for where, text := range texts {
		sayTheSame(t, where, text)
	}
	for what, text := range map[string]cause.Text{"passwd": passwdHelp, "passwd --reload": passwdReload} {
		sayTheSame(t, what, text)
	}
}

// named is what a text may not leave out in another language: options, variables, files, addresses, numbers, names of MQTT's own.
var named = regexp.MustCompile(`--[a-z][-a-z]*|%\[\d\][sd]|\{[a-z]+\}|\b[A-Z]+_[A-Z_]+\b|docs/[a-z-]+|redis://|\b[0-9]+\b|\bSIG[A-Z0-9]+\b|\bHOST\b|\bPORT\b`)

// sayTheSame reports what one of the languages leaves out.
func sayTheSame(t *testing.T, where string, text cause.Text) {
	t.Helper()
	if text.EN == "" && text.ZH == "" {
		return
	}
	if text.EN == "" || text.ZH == "" || !strings.ContainsFunc(text.ZH, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
		t.Errorf("%s is not in both languages: %q, %q", where, text.EN, text.ZH)
	}
	find := func(s string) []string {
		all := named.FindAllString(s, -1)
		slices.Sort(all)
		return slices.Compact(all)
	}
	if en, zh := find(text.EN), find(text.ZH); !slices.Equal(en, zh) {
		t.Errorf("%s names %q in English and %q in Chinese:\n%s\n%s", where, en, zh, text.EN, text.ZH)
	}
}

// The help of every command fits into the terminal in both languages, but for what is there to be copied.
func TestHelpFits(t *testing.T) {
	t.Setenv("COLUMNS", "72")
	parser, err := newParser(&env{stdout: io.Discard, stderr: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := kong.Visit(parser.Model.Node, func(v kong.Visitable, next kong.Next) error {
		node, ok := v.(*kong.Node)
		if !ok || node.Passthrough {
			return next(nil)
		}
		words := strings.Fields(strings.TrimPrefix(node.FullPath(), "picket"))
		for lang, usage := range map[string]string{"en": "Usage: picket ", "zh": "用法：picket "} {
			var out bytes.Buffer
			args := append([]string{"picket"}, append(words, "--help", "--lang", lang)...)
			if status := Run(t.Context(), args, strings.NewReader(""), &out, &out); status != 0 || !strings.HasPrefix(out.String(), usage) {
				t.Errorf("%q: status %d, %s", args, status, &out)
			}
			for line := range strings.Lines(out.String()) {
				line = strings.TrimSuffix(line, "\n")
				copied := strings.HasPrefix(line, "    ") && !strings.HasPrefix(line, "      ")
				if n := printable.Columns(line); n > 72 && !copied {
					t.Errorf("%q: a line takes %d columns: %q", args, n, line)
				}
			}
		}
		return next(nil)
	}); err != nil {
		t.Fatal(err)
	}
}

// --lang may stand wherever an option may, and is asked for before anything else is read.
func TestLanguageOption(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8")
	for _, line := range []string{
		"--lang zh --help", "--help --lang zh", "serve --help --lang=zh", "help --lang zh serve", "--lang zh doctor --server --help", "doctor --lang zh --phone --help",
		"--lang zh pub --help", "pub --help --lang zh", "--lang zh passwd --help", "sentinel --help --lang zh", "--lang zh sentinel --help",
	} {
		var out bytes.Buffer
		if status := Run(t.Context(), append([]string{"picket"}, strings.Fields(line)...), strings.NewReader(""), &out, &out); status != 0 || !strings.Contains(out.String(), "用法：picket") {
			t.Errorf("picket %s: status %d, %s", line, status, &out)
		}
	}
	for _, line := range []string{"--help", "pub --help", "--lang en --help"} {
		var out bytes.Buffer
		if status := Run(t.Context(), append([]string{"picket"}, strings.Fields(line)...), strings.NewReader(""), &out, &out); status != 0 || !strings.Contains(out.String(), "Usage: picket") {
			t.Errorf("picket %s: status %d, %s", line, status, &out)
		}
	}
}

// A command line that names a command is read by a parser of that one alone, and the help is the same.
func TestHelpOfOneCommand(t *testing.T) {
	help := func(grammar any, name string) string {
		var out strings.Builder
		e := &env{stdout: &out, stderr: &out, language: "en"}
		parser, err := parserOf(e, grammar)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := kong.Trace(parser, []string{name})
		if err != nil {
			t.Fatal(err)
		}
		if err := showHelp(e, parsed.Selected()); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	parser, err := newParser(&env{stdout: io.Discard, stderr: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range parser.Model.Children {
		alone := grammar([]string{command.Name})
		if _, whole := alone.(*commands); whole {
			t.Errorf("%s is read by the parser of all commands", command.Name)
		}
		if got, want := help(alone, command.Name), help(&commands{}, command.Name); got != want {
			t.Errorf("%s:\n%s\nwant:\n%s", command.Name, got, want)
		}
	}
	for _, line := range [][]string{nil, {"--help"}, {"nothing"}, {"Serve"}} {
		if _, whole := grammar(line).(*commands); !whole {
			t.Errorf("%q is read by the parser of one command", line)
		}
	}
}
