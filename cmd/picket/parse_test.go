package main

import (
	"io"
	"reflect"
	"strings"
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
		`expected one of "verify", "dump", "import", "restore", "export"`:            {"store"},
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

// What is wrong with a value is said in plain words, in both languages.
func TestWrongValues(t *testing.T) {
	for _, c := range []struct{ args, en, zh string }{
		{"serve -p", "--port: a value is missing", "--port：缺少值"},
		{"serve --data", "--data: a value is missing", "--data：缺少值"},
		{"serve -p abc", `--port: expected a whole number but got "abc"`, `--port：应为整数，而不是 "abc"`},
		{"doctor --timeout 10 host", `--timeout: expected a duration such as 10s or 5m but got "10"`, `--timeout：应为 10s 或 5m 这样的时长，而不是 "10"`},
		{"check -c x --json=perhaps", `--json: expected true or false but got "perhaps"`, `--json：应为 true 或 false，而不是 "perhaps"`},
		{"serve -c -p 3", `--config-file: expected a value but got the option -p; write --config-file="-p" if it is the value`, `--config-file：缺少值，后面是选项 -p；如果它就是值，请写 --config-file="-p"`},
		{"may ada", `expected "<action>" "<topic>"`, `缺少 "<action>" "<topic>"`},
		{"user", `expected one of "list", "add", "passwd", "disable", "enable", "rm"`, `缺少以下之一："list", "add", "passwd", "disable", "enable", "rm"`},
		{"serve --port 70000", "Invalid port specified (70000).", "端口无效（70000）：应为 1 至 65535。"},
		{"doctor ftp://host", `unknown scheme "ftp"; expected mqtt://HOST`, `没有协议 "ftp"；应为 mqtt://〈主机〉`},
		{"doctor --ca /nonexistent host", "--ca: open /nonexistent: no such file or directory", "--ca：打开 /nonexistent：没有这个文件或目录"},
	} {
		for lang, want := range map[string]string{"en": c.en, "zh": c.zh} {
			var said strings.Builder
			status := Run(t.Context(), append([]string{"picket", "--lang", lang}, strings.Fields(c.args)...), strings.NewReader(""), io.Discard, &said)
			if status == 0 || !strings.Contains(said.String(), want) {
				t.Errorf("picket --lang %s %s: %d, %q, want %q", lang, c.args, status, said.String(), want)
			}
		}
	}
}

// A variable that is set to nothing is one that is not set.
func TestEmptyVariables(t *testing.T) {
	for _, name := range []string{"PICKET_SOCKET", "PICKET_PASSWORD", "PICKET_CLUSTER"} {
		t.Setenv(name, "")
	}
	parser, err := newParser(&env{stdout: io.Discard, stderr: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"ctl status", "ctl sentinel 127.0.0.1:26379", "init --config x", "bench fan-in", "serve"} {
		parsed, err := parse(&env{}, parser, strings.Fields(args))
		if err != nil {
			t.Errorf("%s: %v", args, err)
			continue
		}
		for _, flag := range parsed.Flags() {
			if flag.Set && len(flag.Envs) > 0 {
				t.Errorf("%s: --%s is %q", args, flag.Name, flag.Target)
			}
		}
	}
}
