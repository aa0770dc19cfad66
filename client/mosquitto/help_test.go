package mosquitto

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"picket/cause"
)

// Both languages explain the same options, with the same numbers and signs.
func TestHelpInBothLanguages(t *testing.T) {
	named := regexp.MustCompile(`\b[0-9]+\b|[%@].|--?[a-zA-Z]+\b|\\.`)
	for _, p := range []Program{Pub, Sub, RR} {
		var help [2]string
		for i, lang := range []cause.Lang{cause.English, cause.Chinese} {
			var out bytes.Buffer
			(&Invocation{Name: "picket " + p.String(), Lang: lang, Stdout: &out}).printHelp(p)
			help[i] = out.String()
		}
		if !strings.Contains(help[1], "用法：picket ") {
			t.Errorf("%s is not in Chinese: %s", p, help[1])
		}
		en, zh := named.FindAllString(help[0], -1), named.FindAllString(help[1], -1)
		slices.Sort(en)
		slices.Sort(zh)
		if en, zh := slices.Compact(en), slices.Compact(zh); !slices.Equal(en, zh) {
			t.Errorf("%s names in English\n%q\nand in Chinese\n%q", p, en, zh)
		}
	}
	for _, opt := range optionTable {
		if (opt.help.EN == "") != (opt.help.ZH == "") {
			t.Errorf("%s is explained in one language only", opt.names)
		}
	}
}
