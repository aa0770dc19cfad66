package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

// runner is a command that can be run. What has commands below it and is none itself, such as "picket ctl", is no runner.
type runner interface{ Run(e *env) error }

// answering is a flag that is answered, and nothing is run: --help, --version.
type answering interface {
	answer(e *env, parsed *kong.Context) error
}

// errAnswered ends parsing when such a flag has been answered.
var errAnswered = errors.New("answered")

// parse reads a command line, with kong's own steps but for its hooks, its check and its Run: these look up methods by their names, for the sake of which
// Go's linker has to keep every exported method of every type, which are 14 MB that nothing calls. What commands and flags can do is said by the two
// interfaces above instead. The context is there with an error, too, if that is about the command line.
func parse(e *env, parser *kong.Kong, args []string) (*kong.Context, error) {
	parsed, err := kong.Trace(parser, args)
	if err != nil {
		return nil, err
	}
	if parsed.Error != nil {
		return parsed, plain(parsed.Error)
	}
	for _, element := range parsed.Path {
		if element.Flag == nil {
			continue
		}
		if flag, ok := element.Flag.Target.Addr().Interface().(answering); ok {
			if err := flag.answer(e, parsed); err != nil {
				return nil, err
			}
			return parsed, errAnswered
		}
	}
	if parsed.Selected() == nil { // no command: they are listed
		if err := usageFlag(true).answer(e, parsed); err != nil {
			return nil, err
		}
		return parsed, errAnswered
	}
	if err := withoutEmpty(parser); err != nil {
		return nil, err
	}
	if err := parsed.Reset(); err != nil {
		return parsed, plain(err)
	}
	if err := parsed.Resolve(); err != nil {
		return parsed, err
	}
	if _, err := parsed.Apply(); err != nil {
		return parsed, err
	}
	return parsed, check(parsed)
}

// check finds what is missing, and what may not be together.
func check(parsed *kong.Context) error {
	for _, element := range parsed.Path {
		if err := checkFlags(element.Flags); err != nil {
			return err
		}
	}
	node := parsed.Selected()
	var missing []string
	for _, argument := range node.Positional {
		if argument.Required && !argument.Set {
			missing = append(missing, strconv.Quote(argument.Summary()))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("expected %s", strings.Join(missing, " "))
	}
	if asRunner(node) == nil {
		for _, child := range node.Children {
			if !child.Hidden {
				missing = append(missing, strconv.Quote(child.Name))
			}
		}
		return fmt.Errorf("expected one of %s", strings.Join(missing, ", "))
	}
	return nil
}

// withoutEmpty has a variable of the environment that is empty count as one that is not set, as in "PICKET_SOCKET= picket ctl status", and where a compose
// file hands on what its caller has not set.
// Help is answered before, and names them all.
func withoutEmpty(parser *kong.Kong) error {
	return kong.Visit(parser.Model.Node, func(v kong.Visitable, next kong.Next) error {
		if flag, ok := v.(*kong.Flag); ok {
			flag.Tag.Envs = slices.DeleteFunc(slices.Clone(flag.Tag.Envs), func(name string) bool { return os.Getenv(name) == "" })
		}
		return next(nil)
	})
}

// wordings are what kong says of a value that does not fit, and what is said to people.
var wordings = []struct {
	is   *regexp.Regexp
	said string
}{
	{regexp.MustCompile(`(missing value, expecting "<arg>"|expected \w+ value but got "EOL" \(<EOL>\))$`), `a value is missing`},
	{regexp.MustCompile(`expected \w+ value but got "(.*)" \(\w+ flag\); perhaps try --(.*)\?$`), `expected a value but got the option $1; write --$2 if it is the value`},
	{regexp.MustCompile(`expected a valid \d+ bit u?int but got`), `expected a whole number but got`},
	{regexp.MustCompile(`bool value must be true, 1, yes, false, 0 or no but got`), `expected true or false but got`},
	{regexp.MustCompile(`expected duration but got (".*"): time: .*`), `expected a duration such as 10s or 5m but got $1`},
}

// plain puts kong's words about a value into plain ones.
func plain(err error) error {
	text := err.Error()
	for _, v := range wordings {
		text = v.is.ReplaceAllString(text, v.said)
	}
	return errors.New(text)
}

// checkFlags checks the flags of one command.
func checkFlags(flags []*kong.Flag) error {
	var missing []string
	one := make(map[string]string) // of each group of which there can be but one, the flag that is there
	for _, flag := range flags {
		if flag.Required && !flag.Set {
			missing = append(missing, flag.Summary())
		}
		if !flag.Set {
			continue
		}
		if value := fmt.Sprint(flag.Target.Interface()); flag.Enum != "" && !slices.Contains(flag.EnumSlice(), value) {
			some := slices.DeleteFunc(flag.EnumSlice(), func(s string) bool { return s == "" }) // that is the default
			return fmt.Errorf(`%s must be one of "%s" but got %q`, flag.ShortSummary(), strings.Join(some, `", "`), value)
		}
		for _, group := range flag.Xor {
			if other, there := one[group]; there {
				return fmt.Errorf("--%s and --%s can't be used together", other, flag.Name)
			}
			one[group] = flag.Name
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("missing flags: %s", strings.Join(missing, ", "))
	}
	return nil
}

// asRunner is a command as what can be run, or nil.
func asRunner(n *kong.Node) runner {
	if !n.Target.IsValid() {
		return nil
	}
	command, _ := n.Target.Addr().Interface().(runner)
	return command
}

// commandPath is the command that was parsed, each word followed by a space, or nothing.
func commandPath(parsed *kong.Context) string {
	var path strings.Builder
	for _, element := range parsed.Path {
		if element.Command != nil {
			path.WriteString(element.Command.Name + " ")
		}
	}
	return path.String()
}
