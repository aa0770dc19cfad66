package cause

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// texts gives every text of the catalogue with a name for messages.
func texts() map[string]Text {
	all := make(map[string]Text)
	for _, c := range All() {
		all[string(c.ID)+" title"] = c.Title
		all[string(c.ID)+" explain"] = c.Explain
		all[string(c.ID)+" remedy"] = c.Remedy
	}
	for _, r := range Recipes() {
		all["recipe "+r.Name+" title"] = r.Title
		all["recipe "+r.Name+" steps"] = r.Steps
	}
	for _, s := range Stages() {
		all["stage "+string(s)] = s.Title()
	}
	return all
}

func set(pattern *regexp.Regexp, s string) []string {
	found := pattern.FindAllString(s, -1)
	slices.Sort(found)
	return slices.Compact(found)
}

func TestTextsAreCompleteInBothLanguages(t *testing.T) {
	code := regexp.MustCompile("`[^`]+`")
	for name, text := range texts() {
		if text.EN == "" || text.ZH == "" {
			t.Errorf("%s is missing in one language", name)
		}
		if strings.TrimSpace(text.EN) != text.EN || strings.TrimSpace(text.ZH) != text.ZH {
			t.Errorf("%s has space at an end", name)
		}
		if en, zh := set(placePattern, text.EN), set(placePattern, text.ZH); !slices.Equal(en, zh) {
			t.Errorf("%s has the places %v in English and %v in Chinese", name, en, zh)
		}
		if en, zh := set(code, inChinese(text.EN)), set(code, text.ZH); !slices.Equal(en, zh) {
			t.Errorf("%s shows %v in English and %v in Chinese", name, en, zh)
		}
		if left := inChinese(text.ZH); left != text.ZH {
			t.Errorf("%s has a word in capitals that is to be in Chinese: %s", name, left)
		}
		for _, word := range regexp.MustCompile("〈[^〉]*〉").FindAllString(text.ZH, -1) {
			if !slices.Contains(slices.Collect(maps.Values(stands)), word) {
				t.Errorf("%s: %s stands for no word in capitals", name, word)
			}
		}
		for _, l := range []Lang{English, Chinese} {
			s, err := text.Render(l, nil)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if placePattern.MatchString(s) {
				t.Errorf("%s in %s keeps an open place: %s", name, l, s)
			}
		}
	}
	for _, c := range All() {
		for part, text := range map[string]Text{"title": c.Title, "explain": c.Explain, "remedy": c.Remedy} {
			if !strings.ContainsFunc(text.ZH, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
				t.Errorf("%s: the Chinese %s has no Chinese in it: %s", c.ID, part, text.ZH)
			}
			if strings.ContainsAny(text.ZH, ",;!?") && regexp.MustCompile(`\p{Han}[,;!?]|[,;!?]\p{Han}`).MatchString(text.ZH) {
				t.Errorf("%s: the Chinese %s has western punctuation: %s", c.ID, part, text.ZH)
			}
			if part == "title" {
				continue
			}
			if !strings.HasSuffix(text.EN, ".") || !strings.HasSuffix(text.ZH, "。") {
				t.Errorf("%s: the %s does not end with a full stop", c.ID, part)
			}
		}
		if placePattern.MatchString(c.Title.EN) || strings.HasSuffix(c.Title.EN, ".") || strings.HasSuffix(c.Title.ZH, "。") {
			t.Errorf("%s: a title has no places and no full stop: %q", c.ID, c.Title)
		}
	}
}

// inChinese puts what stands for words in capitals in their place.
func inChinese(text string) string {
	return regexp.MustCompile(`\b[A-Z][A-Z0-9-]*\b`).ReplaceAllStringFunc(text, func(word string) string { return cmp.Or(stands[word], word) })
}

func TestPlacesAreUsed(t *testing.T) {
	used := make(map[string]bool)
	for _, text := range texts() {
		for _, place := range set(placePattern, text.EN) {
			used[strings.Trim(place, "{}")] = true
		}
	}
	for _, name := range Places() {
		if !used[name] {
			t.Errorf("no text has the place {%s}", name)
		}
	}
}

func TestEntriesAreSound(t *testing.T) {
	form := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	usedRecipes := make(map[string]bool)
	for _, c := range All() {
		if !form.MatchString(string(c.ID)) {
			t.Errorf("%q is not words joined by dashes", c.ID)
		}
		if !slices.Contains(Stages(), c.Stage) {
			t.Errorf("%s belongs to the unknown stage %q", c.ID, c.Stage)
		}
		if got, ok := Lookup(c.ID); !ok || got.ID != c.ID {
			t.Errorf("%s cannot be looked up", c.ID)
		}
		for _, id := range c.ConsequenceOf {
			if _, ok := Lookup(id); !ok {
				t.Errorf("%s is a consequence of %s, which is not in the catalogue", c.ID, id)
			}
		}
		for _, name := range c.Recipes {
			if _, ok := LookupRecipe(name); !ok {
				t.Errorf("%s names the recipe %q, which does not exist", c.ID, name)
			}
			usedRecipes[name] = true
		}
	}
	for _, r := range Recipes() {
		if !usedRecipes[r.Name] {
			t.Errorf("no cause names the recipe %q", r.Name)
		}
	}
}

func TestConsequencesHaveNoCycle(t *testing.T) {
	var walk func(id ID, path []ID)
	walk = func(id ID, path []ID) {
		if slices.Contains(path, id) {
			t.Fatalf("a cause is its own consequence: %v", append(path, id))
		}
		c, _ := Lookup(id)
		for _, from := range c.ConsequenceOf {
			walk(from, append(path[:len(path):len(path)], id))
		}
	}
	for _, c := range All() {
		walk(c.ID, nil)
	}
}

// Every constant of ids.go has an entry, every entry has a constant, and the constant is named after the id.
func TestConstantsAndEntriesAgree(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "ids.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := make(map[ID]string)
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			id, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			if other, twice := constants[ID(id)]; twice {
				t.Errorf("%s and %s are the same id", other, spec.Names[0].Name)
			}
			constants[ID(id)] = spec.Names[0].Name
			if strings.ToLower(spec.Names[0].Name) != strings.ReplaceAll(id, "-", "") {
				t.Errorf("the constant %s stands for %q", spec.Names[0].Name, id)
			}
			if _, ok := Lookup(ID(id)); !ok {
				t.Errorf("%s (%s) has no entry in the catalogue", spec.Names[0].Name, id)
			}
		}
		return true
	})
	for _, c := range All() {
		if constants[c.ID] == "" {
			t.Errorf("%s has no constant", c.ID)
		}
	}
	if len(constants) < 100 {
		t.Errorf("ids.go has %d constants; the scan is broken", len(constants))
	}
}

func TestRender(t *testing.T) {
	text := Text{"Port {port} of {host} { 1883 } ${HOME}", "{host} 的端口 {port}"}
	for _, c := range []struct {
		name   string
		lang   Lang
		values Values
		want   string
	}{
		{"filled", English, Values{"port": "1883", "host": "mqtt.example.com"}, "Port 1883 of mqtt.example.com { 1883 } ${HOME}"},
		{"not known", English, Values{"port": "1883"}, "Port 1883 of HOST { 1883 } ${HOME}"},
		{"Chinese", Chinese, Values{"port": "1883", "host": "花园"}, "花园 的端口 1883"},
		{"not in the text", Chinese, Values{"user": "fountain"}, "〈主机〉 的端口 〈端口〉"},
		{"a value is not a text", English, Values{"host": "{port}"}, "Port PORT of {port} { 1883 } ${HOME}"},
	} {
		if got, err := text.Render(c.lang, c.values); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.name, got, err, c.want)
		}
	}
	if _, err := (Text{"{nowhere}", "{nowhere}"}).Render(English, nil); err == nil {
		t.Error("a text with an unknown place was rendered")
	}
	if _, err := text.Render(English, Values{"prot": "1883"}); err == nil {
		t.Error("a value for a place that no text may have was taken")
	}
}

func TestReason(t *testing.T) {
	if got, want := BadCredentials.Reason(), "bad-credentials: the user name or the password is wrong"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := ID("not-listed").Reason(); got != "not-listed" {
		t.Errorf("got %q for an id that is not listed", got)
	}
}

func TestLocale(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want Lang
	}{
		{nil, English},
		{map[string]string{"LANG": "zh_CN.UTF-8"}, Chinese},
		{map[string]string{"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, English},
		{map[string]string{"LANG": "en_GB.UTF-8", "LC_MESSAGES": "zh_TW"}, Chinese},
		{map[string]string{"LANG": "zh-Hans"}, Chinese},
		{map[string]string{"LANG": "zha"}, English},
	} {
		if got := Locale(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v: got %s, want %s", c.env, got, c.want)
		}
	}
}
