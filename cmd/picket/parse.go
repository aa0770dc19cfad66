package main

import (
	"errors"
	"fmt"
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
		return parsed, parsed.Error
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
	if err := parsed.Reset(); err != nil {
		return parsed, err
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
	if node == nil {
		node = parsed.Model.Node
	}
	var missing []string
	for _, argument := range node.Positional {
		if argument.Required && !argument.Set {
			missing = append(missing, strconv.Quote(argument.Summary()))
		}
	}
	if asRunner(node) == nil {
		for _, child := range node.Children {
			if !child.Hidden {
				missing = append(missing, strconv.Quote(child.Name))
			}
		}
	}
	switch {
	case len(missing) == 1:
		return fmt.Errorf("expected %s", missing[0])
	case len(missing) > 1:
		return fmt.Errorf("expected one of %s", strings.Join(missing, ", "))
	}
	return nil
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
			return fmt.Errorf(`%s must be one of "%s" but got %q`, flag.ShortSummary(), strings.Join(flag.EnumSlice(), `", "`), value)
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
