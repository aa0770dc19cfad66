package setup

import (
	"strings"
	"testing"

	"picket/cause"
)

func TestPhone(t *testing.T) {
	for _, c := range []struct {
		name  string
		phone Phone
		lang  cause.Lang
		want  []string
	}{
		{"healthy", Phone{URL: "http://192.168.1.20:1883/", Others: []string{"http://[fd00::20]:1883/"}, Tested: true, Reach: []string{"a sentence"}}, cause.English,
			[]string{"\n    http://192.168.1.20:1883/\n", "The page answers there", "does not work: http://[fd00::20]:1883/\n", "a sentence\n"}},
		{"no page", Phone{Cause: cause.PageNotBuilt, App: "mqtt://192.168.1.20:1883"}, cause.English,
			[]string{"This build of Picket has no page for the phone  [page-not-built]\n", "What to do: ", "In an MQTT app, enter: mqtt://192.168.1.20:1883\n"}},
		{"loopback", Phone{Cause: cause.LoopbackOnly, Seen: "it answers"}, cause.Chinese, []string{"  [loopback-only]\n", "观察到：it answers\n", "处理办法：", "1884"}},
	} {
		var out strings.Builder
		if err := c.phone.Print(&out, c.lang, cause.Values{"port": "1884"}); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in %s", c.name, want, &out)
			}
		}
		code, err := QRCode("http://192.168.1.20:1883/")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), code) != (c.phone.URL != "") {
			t.Errorf("%s: %s", c.name, &out)
		}
	}
}
