package cause

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

//go:generate go test -run=TestDocumentation -update

var update = flag.Bool("update", false, "write docs/causes.md and docs/causes.zh-CN.md")

// documentation is the catalogue as a page in Markdown.
func documentation(t *testing.T, l Lang) string {
	t.Helper()
	render := func(text Text) string {
		s, err := text.Render(l, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	w := map[Lang]struct{ title, intro, remedy, from, recipes, see, brackets, comma string }{
		English: {
			title: "Causes",
			intro: "Everything that Picket refuses, drops, closes or gives up has a cause, and so has every reason known why an MQTT client cannot connect, or connects and drops. " +
				"The id of a cause stands at the end of log lines, in the reason strings of MQTT 5 and in the counters. Words in capitals, such as PORT, stand for what belongs there in your case. " +
				"In Chinese: [causes.zh-CN.md](causes.zh-CN.md).",
			remedy: "**What to do:** ", from: "Comes from: ", recipes: "Recipes", see: "See: ", brackets: " (%s)", comma: ", ",
		},
		Chinese: {
			title: "原因一览",
			intro: "Picket 每一次拒绝、丢弃、断开或放弃都有一个原因；MQTT 客户端连不上或连上就掉线的各种已知情况也都在这里。" +
				"原因的标识会出现在日志行末尾、MQTT 5 的原因字符串和计数器中。〈端口〉等尖括号中的词代表实际的值。英文版：[causes.md](causes.md)。",
			remedy: "**处理办法：**", from: "可能由此引起：", recipes: "操作步骤", see: "参见：", brackets: "（%s）", comma: "、",
		},
	}[l]
	severities := map[Severity]Text{Info: {"info", "提示"}, Warning: {"warning", "警告"}, Error: {"error", "错误"}}

	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n", w.title, w.intro)
	links := func(label string, names []string) {
		if len(names) > 0 {
			for i, name := range names {
				names[i] = fmt.Sprintf("[%s](#%s)", name, name)
			}
			fmt.Fprintf(&b, "\n%s%s\n", label, strings.Join(names, w.comma))
		}
	}
	for _, stage := range Stages() {
		fmt.Fprintf(&b, "\n## %s\n", render(stage.Title()))
		for _, c := range All() {
			if c.Stage != stage {
				continue
			}
			fmt.Fprintf(&b, "\n### %s\n\n**%s**%s\n\n%s\n\n%s%s\n",
				c.ID, render(c.Title), fmt.Sprintf(w.brackets, render(severities[c.Severity])), render(c.Explain), w.remedy, render(c.Remedy))
			var from []string
			for _, id := range c.ConsequenceOf {
				from = append(from, string(id))
			}
			links(w.from, from)
			var recipes []string
			for _, name := range c.Recipes {
				recipes = append(recipes, "recipe-"+name)
			}
			links(w.see, recipes)
		}
	}
	fmt.Fprintf(&b, "\n## %s\n", w.recipes)
	for _, r := range Recipes() {
		fmt.Fprintf(&b, "\n### recipe-%s\n\n%s\n\n```\n%s\n```\n", r.Name, render(r.Title), render(r.Steps))
	}
	return b.String()
}

// The pages in docs are the catalogue; go generate ./cause writes them anew.
func TestDocumentation(t *testing.T) {
	for l, name := range map[Lang]string{English: "causes.md", Chinese: "causes.zh-CN.md"} {
		path := filepath.Join("..", "docs", name)
		want := documentation(t, l)
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("docs/%s is not what the catalogue says: run go generate ./cause", name)
		}
	}
}
