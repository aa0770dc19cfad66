package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"picket/cause"
)

// manualCommand writes what packages bring beside the program. All of it is made of the command line's own description, so that it says what
// --help says.
type manualCommand struct {
	Dir string `arg:"" type:"path" help:"The folder; man1 and completions are made in it." zh:"目标目录；会在其中创建 man1 和 completions。"`
}

func (manualCommand) details() details {
	return details{
		Text: cause.Text{EN: `It writes DIR/man1/picket.1 and a page for each command, and DIR/completions/picket.bash, _picket (zsh) and picket.fish.`, ZH: `写入 DIR/man1/picket.1 和每个命令的手册页，以及 DIR/completions/picket.bash、_picket（zsh）和 picket.fish。`},
		examples: `picket manual /usr/local/share/man
picket manual /tmp/m && source /tmp/m/completions/picket.bash`,
	}
}

// Run writes the files.
func (c *manualCommand) Run(e *env) error {
	if e.language == "" {
		e.language = cause.English.String() // wherever packages are made
	}
	parser, err := newParser(e)
	if err != nil {
		return err
	}
	commands, err := describe(e, parser.Model.Node)
	if err != nil {
		return err
	}
	written := map[string]string{
		"completions/picket.bash": bashCompletion(commands),
		"completions/_picket":     zshCompletion(commands),
		"completions/picket.fish": fishCompletion(commands),
	}
	for _, d := range commands {
		written["man1/"+strings.ReplaceAll(d.path, " ", "-")+".1"] = d.page(commands)
	}
	for name, text := range written {
		name = filepath.Join(c.Dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil { //nolint:gosec // everybody may read a manual
			return err
		}
	}
	return nil
}

// described is a command as manuals and completions need it.
type described struct {
	path    string // "picket ctl status"
	help    string // one line
	usage   string // what --help prints
	flags   []string
	options []string // of an option with few values, by "--flag": the values, as "--flag value value"
	below   []string // names of commands below it
}

// optionLine finds options in the help of commands whose options are not described by the parser.
var optionLine = regexp.MustCompile(`(?m)^ {1,2}(-[^\s,=]+)(?:, (--[^\s,=]+))?`)

// describe walks through the commands, picket itself first.
func describe(e *env, n *kong.Node) (all []described, err error) {
	if n.Hidden {
		return nil, nil
	}
	words := strings.Fields(n.FullPath())[1:]
	words = slices.DeleteFunc(words, func(w string) bool { return strings.HasPrefix(w, "<") })
	path := strings.Join(append([]string{"picket"}, words...), " ")
	d := described{path: path, help: n.Help}
	var usage bytes.Buffer
	if err := runCommand(&env{ctx: e.ctx, program: "picket", language: e.language, stdin: e.stdin, stdout: &usage, stderr: &usage}, append(words, "--help")); err != nil {
		return nil, fmt.Errorf("the help of %s: %w", path, err)
	}
	d.usage = usage.String()
	if n.Passthrough {
		for _, m := range optionLine.FindAllStringSubmatch(d.usage, -1) {
			d.flags = append(d.flags, slices.DeleteFunc(m[1:], func(s string) bool { return s == "" })...)
		}
	}
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			d.flags = append(d.flags, "--"+f.Name)
			if f.Short != 0 {
				d.flags = append(d.flags, "-"+string(f.Short))
			}
			if values := strings.Trim(strings.ReplaceAll(f.Enum, ",", " "), " "); values != "" {
				d.options = append(d.options, "--"+f.Name+" "+values)
			}
		}
	}
	all = []described{d}
	for _, child := range n.Children {
		if child.Type != kong.CommandNode {
			continue
		}
		more, err := describe(e, child)
		if err != nil {
			return nil, err
		}
		if len(more) > 0 {
			all[0].below = append(all[0].below, child.Name)
			all = append(all, more...)
		}
	}
	return all, nil
}

// page is the command's manual page, in the language of man(7).
func (d *described) page(all []described) string {
	title := strings.ReplaceAll(d.path, " ", "-")
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"picket %s\" \"Picket\"\n.SH NAME\n%s \\- %s\n", strings.ToUpper(roff(title)), roff(buildVersion()), roff(title), roff(strings.TrimSuffix(d.help, ".")))
	fmt.Fprintf(&b, ".SH DESCRIPTION\n.nf\n%s.fi\n", roff(d.usage))
	b.WriteString(".SH SEE ALSO\n")
	var also []string
	for _, other := range all {
		if other.path != d.path && (d.path == "picket" || other.path == "picket" || strings.HasPrefix(other.path, d.path+" ")) {
			also = append(also, fmt.Sprintf(".BR %s (1)", roff(strings.ReplaceAll(other.path, " ", "-"))))
		}
	}
	b.WriteString(strings.Join(also, ",\n") + "\n")
	return b.String()
}

// roff escapes what man(7) would take for its own.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

// bashCompletion is a function that looks at the words so far: the longest command they name decides what may follow.
func bashCompletion(all []described) string {
	var b strings.Builder
	b.WriteString(`# Completion for bash, written by "picket manual".
_picket() {
    local path=picket word i current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words= values=
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case "$path $word" in
`)
	for _, d := range all[1:] {
		fmt.Fprintf(&b, "        %q) path=%q ;;\n", d.path, d.path)
	}
	b.WriteString("        esac\n    done\n    case \"$path\" in\n")
	for _, d := range all {
		fmt.Fprintf(&b, "    %q)\n        words=%q\n", d.path, strings.Join(append(slices.Clone(d.below), d.flags...), " "))
		if len(d.options) > 0 {
			b.WriteString("        case \"$previous\" in\n")
			for _, o := range d.options {
				flag, values, _ := strings.Cut(o, " ")
				fmt.Fprintf(&b, "        %s) values=%q ;;\n", flag, values)
			}
			b.WriteString("        esac\n")
		}
		b.WriteString("        ;;\n")
	}
	b.WriteString(`    esac
    COMPREPLY=($(compgen -W "${values:-$words}" -- "$current"))
}
complete -o default -o bashdefault -F _picket picket
`)
	return b.String()
}

// zshCompletion has zsh use the function for bash, which it can.
func zshCompletion(all []described) string {
	return "#compdef picket\n# Completion for zsh, written by \"picket manual\".\nautoload -U +X bashcompinit && bashcompinit\n" + bashCompletion(all)
}

// fishCompletion lists what may follow which command.
func fishCompletion(all []described) string {
	var b strings.Builder
	b.WriteString("# Completion for fish, written by \"picket manual\".\ncomplete -c picket -f -n __fish_use_subcommand\n")
	quote := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'" }
	for _, d := range all {
		words := strings.Fields(d.path)
		parent, name := strings.Join(words[1:max(1, len(words)-1)], " "), words[len(words)-1]
		if d.path != "picket" {
			condition := "__fish_use_subcommand"
			if parent != "" {
				condition = "__fish_seen_subcommand_from " + parent
			}
			fmt.Fprintf(&b, "complete -c picket -n %s -a %s -d %s\n", quote(condition), name, quote(d.help))
		}
		for _, f := range d.flags {
			option := "-s " + strings.TrimPrefix(f, "-")
			if long, ok := strings.CutPrefix(f, "--"); ok {
				option = "-l " + long
			} else if len(f) != 2 {
				option = "-o " + strings.TrimPrefix(f, "-")
			}
			if d.path != "picket" {
				option += " -n " + quote("__fish_seen_subcommand_from "+name)
			}
			fmt.Fprintf(&b, "complete -c picket %s\n", option)
		}
	}
	return b.String()
}
