package main

import (
	"io"
	"reflect"
	"testing"

	"github.com/alecthomas/kong"
)

// What kong would do by looking for a method of some name, parse does not: no command, flag or argument may count on it. Neither does check know all that
// tags can say.
func TestGrammar(t *testing.T) {
	parser, err := newParser(&env{stdout: io.Discard, stderr: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	unseen := func(what string, v reflect.Value) {
		if !v.CanAddr() {
			return
		}
		for _, name := range []string{"BeforeReset", "BeforeResolve", "BeforeApply", "AfterApply", "AfterRun", "Validate"} {
			if v.Addr().MethodByName(name).IsValid() {
				t.Errorf("%s has a method %s, which nothing calls", what, name)
			}
		}
	}
	commands := 0
	err = kong.Visit(parser.Model.Node, func(v kong.Visitable, next kong.Next) error {
		switch v := v.(type) {
		case *kong.Flag:
			unseen("--"+v.Name, v.Target)
			if len(v.And)+len(v.LastWins) > 0 || v.Enum != "" && v.IsCumulative() {
				t.Errorf("--%s: parse does not know this tag", v.Name)
			}
		case *kong.Node:
			unseen(v.FullPath(), v.Target)
			if v.Argument != nil {
				t.Errorf("%s: parse does not know commands below an argument", v.FullPath())
			}
			for _, argument := range v.Positional {
				unseen(argument.Name, argument.Target)
				if argument.Enum != "" {
					t.Errorf("%s of %s: parse does not know an argument of few values", argument.Name, v.FullPath())
				}
			}
			if len(v.Children) == 0 {
				commands++
				if asRunner(v) == nil {
					t.Errorf("%s cannot be run: it has no method Run(*env) error", v.FullPath())
				}
			}
		}
		return next(nil)
	})
	if err != nil || commands < 20 {
		t.Errorf("%d commands, %v", commands, err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Setenv("PICKET_PASSWORD", "")
	for wrong, args := range map[string][]string{
		`missing flags: --config-file=FILE`:                                          {"check"},
		`--sessions must be one of "clean", "persistent", "offline" but got "never"`: {"bench", "pair", "--sessions", "never"},
		`--4 and --6 can't be used together`:                                         {"echo", "talk", "127.0.0.1", "-4", "-6"},
		`expected one of "verify", "dump", "import", "export"`:                       {"store"},
		`unknown flag --nothing`:                                                     {"serve", "--nothing"},
	} {
		e := &env{ctx: t.Context(), stdout: io.Discard, stderr: io.Discard}
		parser, err := newParser(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parse(e, parser, args); err == nil || err.Error() != wrong {
			t.Errorf("%q: %v", args, err)
		}
	}
}
