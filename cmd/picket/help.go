package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"picket/cause"
	"picket/printable"
)

// helpCommand shows the help of a command, as --help behind it does.
type helpCommand struct {
	Command []string `arg:"" optional:"" help:"Command to explain; without one, all are listed." zh:"要说明的命令；不写则列出全部命令。"`
}

func (helpCommand) details() details {
	return details{examples: `picket help
picket help version`}
}

func (c *helpCommand) Run(e *env) error {
	return runCommand(e, append(c.Command, "--help"))
}

// details are what the help of a command says beside its one line. In paragraphs, what begins with a space is shown as it stands.
type details struct {
	cause.Text
	examples string // command lines, which are the same in both languages
}

// detailed is a command that has some.
type detailed interface{ details() details }

// helpWords are what every help has.
var helpWords = struct{ about, usage, command, options, arguments, flags, commands, examples, more, env, end cause.Text }{
	about: cause.Text{
		EN: "An MQTT broker that a phone can reach within minutes, and the tools that go with one.",
		ZH: "几分钟内手机就能连上的 MQTT 服务端，以及配套工具。",
	},
	usage:     cause.Text{EN: "Usage: ", ZH: "用法："},
	command:   cause.Text{EN: "<command>", ZH: "<命令>"},
	options:   cause.Text{EN: "[flags]", ZH: "[选项]"},
	arguments: cause.Text{EN: "Arguments:", ZH: "参数："},
	flags:     cause.Text{EN: "Flags:", ZH: "选项："},
	commands:  cause.Text{EN: "Commands:", ZH: "命令："},
	examples:  cause.Text{EN: "Examples:", ZH: "示例："},
	more:      cause.Text{EN: `"%s <command> --help" explains a command.`, ZH: `用 "%s <命令> --help" 查看某个命令的说明。`},
	env:       cause.Text{EN: " ($%s)", ZH: "（$%s）"},
	end:       cause.Text{EN: ".", ZH: "。"},
}

// localize has the parser's model speak a language. English stands in the tag "help", Chinese beside it in the tag "zh"; TestHelpInBothLanguages wants both.
func localize(lang cause.Lang) kong.Option {
	return kong.PostBuild(func(k *kong.Kong) error {
		k.Model.Help = helpWords.about.In(lang)
		return kong.Visit(k.Model.Node, func(v kong.Visitable, next kong.Next) error {
			switch v := v.(type) {
			case *kong.Node:
				if v.Parent != nil {
					v.Help = cause.Text{EN: v.Help, ZH: v.Tag.Get("zh")}.In(lang)
				}
			case *kong.Value:
				v.Help = cause.Text{EN: v.Help, ZH: v.Tag.Get("zh")}.In(lang)
			}
			return next(nil)
		})
	})
}

// usageFlag is --help.
type usageFlag bool

// answer shows the help of the command that stands before the flag.
func (usageFlag) answer(e *env, parsed *kong.Context) error {
	node := parsed.Selected()
	if node == nil {
		node = parsed.Model.Node
	}
	return showHelp(e, node)
}

// showHelp prints what a command does and its options, in the reader's language and the terminal's width.
func showHelp(e *env, node *kong.Node) error {
	h := &helpText{lang: e.lang(), width: columns(e)}
	h.usage(node)
	h.table(helpWords.arguments, values(node.Positional, (*kong.Positional).Summary, h))
	h.options(node)
	h.below(node)
	_, err := fmt.Fprint(e.stdout, h.String())
	return err
}

// columns is how wide a text for people may be: COLUMNS, else as wide as the terminal, but at most 100, since longer lines are hard to read; else 80.
func columns(e *env) int {
	var n int
	if _, err := fmt.Sscan(os.Getenv("COLUMNS"), &n); err == nil && n > 0 {
		return n
	}
	if f, ok := e.stdout.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return min(n, 100)
		}
	}
	return 80
}

// helpText is the help of one command while it is written.
type helpText struct {
	strings.Builder
	lang  cause.Lang
	width int
}

func (h *helpText) line(indent, text string) {
	h.WriteString(strings.TrimRight(indent+text, " ") + "\n")
}

// paragraphs writes text in lines of the width.
func (h *helpText) paragraphs(text string) {
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		h.line("", "")
		flowing := ""
		flush := func() {
			if flowing != "" {
				for _, part := range printable.Wrap(flowing, h.width) {
					h.line("", part)
				}
			}
			flowing = ""
		}
		for line := range strings.SplitSeq(paragraph, "\n") {
			if strings.HasPrefix(line, " ") {
				flush()
				h.line("  ", line)
				continue
			}
			if flowing != "" {
				flowing += " "
			}
			flowing += line
		}
		flush()
	}
}

// usage writes how the command is called, what it does, and examples.
func (h *helpText) usage(node *kong.Node) {
	summary := strings.TrimSpace(node.Summary())
	if node.Parent == nil {
		summary = node.Name + " " + summary
	} else {
		summary = "picket " + summary
	}
	for _, word := range []cause.Text{helpWords.command, helpWords.options} {
		summary = strings.ReplaceAll(summary, word.EN, word.In(h.lang))
	}
	h.line(helpWords.usage.In(h.lang), summary)
	h.paragraphs(node.Help)
	if !node.Target.IsValid() {
		return
	}
	command, ok := node.Target.Addr().Interface().(detailed)
	if !ok {
		return
	}
	d := command.details()
	if d.EN != "" {
		h.paragraphs(d.In(h.lang))
	}
	h.line("", "")
	h.line("", helpWords.examples.In(h.lang))
	h.line("", "")
	for line := range strings.SplitSeq(d.examples, "\n") {
		h.line("    ", line)
	}
}

// values are the rows of a table of flags or arguments.
func values[V *kong.Flag | *kong.Value](all []V, left func(V) string, h *helpText) (rows [][2]string) {
	for _, v := range all {
		value, ok := any(v).(*kong.Value)
		if !ok {
			value = any(v).(*kong.Flag).Value
		}
		text := value.Help
		if envs := value.Tag.Envs; len(envs) > 0 && !strings.Contains(text, envs[0]) {
			end := helpWords.end.In(h.lang)
			text = strings.TrimSuffix(text, end) + fmt.Sprintf(helpWords.env.In(h.lang), strings.Join(envs, ", $")) + end
		}
		rows = append(rows, [2]string{left(v), text})
	}
	return rows
}

// options writes the flags of the command, those of all commands first.
func (h *helpText) options(node *kong.Node) {
	var rows [][2]string
	for i, group := range node.AllFlags(true) {
		if i > 0 {
			rows = append(rows, [2]string{})
		}
		rows = append(rows, values(group, func(f *kong.Flag) string {
			text := f.String()
			if f.Short == 0 {
				text = "    " + text // below the long name of one that has a short one, too
			}
			return text
		}, h)...)
	}
	h.table(helpWords.flags, rows)
}

// below lists the commands below one.
func (h *helpText) below(node *kong.Node) {
	var rows [][2]string
	for _, child := range node.Children {
		if !child.Hidden {
			rows = append(rows, [2]string{child.Path(), child.Help})
		}
	}
	h.table(helpWords.commands, rows)
	if len(rows) > 0 {
		h.line("", "")
		h.line("", fmt.Sprintf(helpWords.more.In(h.lang), strings.TrimSpace("picket "+node.Path())))
	}
}

// table writes two columns, where there is something to write.
func (h *helpText) table(title cause.Text, rows [][2]string) {
	if len(rows) == 0 {
		return
	}
	const indent, gap, widest = "  ", "    ", 37 // what is wider has a line of its own
	h.line("", "")
	h.line("", title.In(h.lang))
	left := 0
	for _, row := range rows {
		if n := len(row[0]); n < widest {
			left = max(left, n)
		}
	}
	for _, row := range rows {
		text := printable.Wrap(row[1], h.width-left-len(indent)-len(gap))
		if len(row[0]) <= left {
			h.line(indent, fmt.Sprintf("%-*s%s%s", left, row[0], gap, text[0]))
			text = text[1:]
		} else {
			h.line(indent, row[0])
		}
		for _, line := range text {
			h.line(indent, strings.Repeat(" ", left)+gap+line)
		}
	}
}
