package doctor

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseTarget(t *testing.T) {
	for _, c := range []struct {
		given string
		want  string // URL, "-" for what was not said; then the mistakes
	}{
		{"mqtt://broker.example.com", "mqtt broker.example.com 0 "},
		{"mqtts://broker.example.com:8883", "mqtts broker.example.com 8883 "},
		{"MQTT://Broker.Example.com:1883", "mqtt broker.example.com 1883 "},
		{"tcp://10.0.0.5:1883", "mqtt 10.0.0.5 1883 "},
		{"ssl://10.0.0.5", "mqtts 10.0.0.5 0 "},
		{"ws://h:8083/mqtt", "ws h 8083 /mqtt"},
		{"wss://h/mqtt?x=1", "wss h 0 /mqtt?x=1"},
		{"ws://h", "ws h 0 /"},
		{"h", "- h 0 "},
		{"h:1883", "- h 1883 "},
		{"h:8083/mqtt", "ws h 8083 /mqtt"},
		{"localhost:1883", "- localhost 1883 "},
		{"mqtt:1883", "- mqtt 1883 "}, // a host that is called mqtt
		{"mqtt", "- mqtt 0 "},
		{"[::1]:1883", "- ::1 1883 "},
		{"mqtt://[fe80::1%eth0]:1883", "mqtt fe80::1%eth0 1883 "},
		{"2001:db8::1", "- 2001:db8::1 0 "},
		{"mqtt://我的.中国:1883", "mqtt xn--wnu286b.xn--fiqs8s 1883 "},
		{"mqtt://my_broker:1883", "mqtt my_broker 1883 "},

		{"mqtt：//192．168．1．5：1883", "mqtt 192.168.1.5 1883  full-width"},
		{"broker。example。com：1883", "- broker.example.com 1883  full-width"},
		{"１９２.168.1.5", "- 192.168.1.5 0  full-width"},
		{" mqtt://h:1883 ", "mqtt h 1883  spaces"},
		{"mqtt:// h : 1883", "mqtt h 1883  spaces"},
		{"bro ker.example.com", "- broker.example.com 0  spaces"},
		{"h 1883", "- h 1883  separator"},
		{"h,1883", "- h 1883  separator"},
		{"h， 1883", "- h 1883  full-width separator"},
		{"192,168,1,5", "- 192.168.1.5 0  commas"},
		{"mqtt://h:", "mqtt h 0  empty-port"},
		{"mqtt:/h:1883", "mqtt h 1883  slashes"},
		{"mqtt//h:1883", "mqtt h 1883  slashes"},
		{"mqtt:h", "mqtt h 0  slashes"},
		{`mqtt:\\h:1883`, "mqtt h 1883  slashes"},
		{"mqtt://mqtt://h:1883", "mqtt h 1883  scheme-twice"},
		{"http://h:8083/mqtt", "ws h 8083 /mqtt web-scheme"},
		{"https://h/mqtt", "wss h 0 /mqtt web-scheme"},
		{"http://h:1883", "mqtt h 1883  web-scheme"},
		{"https://h:8883/", "mqtts h 8883  web-scheme"},
		{"http://h:8083", "ws h 8083 / web-scheme"},
		{"“mqtt://h”", "mqtt h 0  quotes"},
		{"<mqtt://h>", "mqtt h 0  quotes"},
		{"mqtt://h.", "mqtt h 0  trailing-mark"},
		{"mqtt://h，", "mqtt h 0  full-width trailing-mark"},
		{"mqtt://h:1883/", "mqtt h 1883 "},
		{"mqtt://h:1883/mqtt", "mqtt h 1883  needless-path"},
		{"h\u200b:1883", "- h 1883  invisible"},
		{"2001:db8::1:1883", "- 2001:db8::1 1883  no-brackets"},
		{"2001:db8:1:2:3:4:5:6:4711", "- 2001:db8:1:2:3:4:5:6 4711  no-brackets"},
	} {
		got, err := ParseTarget(c.given)
		if err != nil {
			t.Errorf("%q: %v", c.given, err)
			continue
		}
		scheme := got.Scheme
		if scheme == "" {
			scheme = "-"
		}
		var mistakes []string
		for _, m := range got.Mistakes {
			mistakes = append(mistakes, string(m))
		}
		s := strings.TrimSpace(strings.Join([]string{scheme, got.Host, itoa(got.Port), got.Path, strings.Join(mistakes, " ")}, " "))
		if s != strings.TrimSpace(c.want) {
			t.Errorf("%q: got %q, want %q", c.given, s, c.want)
		}
	}
}

func itoa(n int) string {
	if n == 0 {
		return "0"
	}
	return strings.TrimPrefix(HostPort("", n), ":")
}

func TestParseTargetRefuses(t *testing.T) {
	for given, want := range map[string]string{
		"":                        "there is no host",
		"mqtt://":                 "there is no host",
		"mqtt://:1883":            "there is no host",
		"gopher://h":              `unknown scheme "gopher"`,
		"mqtt://h:70000":          "not a number from 1 to 65535",
		"mqtt://h:0":              "not a number from 1 to 65535",
		"mqtt://h:port":           "not a number from 1 to 65535",
		"192.168.1.300":           "four numbers from 0 to 255",
		"192.168.1":               "four numbers from 0 to 255",
		"mqtt://[::1":             "no closing bracket",
		"mqtt://[::1]1883":        "is no port",
		"mqtt://[h]:1883":         "", // brackets around a name are harmless
		"a..b":                    "is not a host name",
		"h$":                      "is not a host name",
		strings.Repeat("h", 3000): "more than 2048 bytes",
		"fe80::xyz":               "is not an IPv6 address",
	} {
		_, err := ParseTarget(given)
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", given, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", given, err, want)
		}
	}
}

func TestPasswordsOfATargetAreNotShown(t *testing.T) {
	for given, want := range map[string]Target{
		"mqtt://picket:secret@h:1883":      {User: "picket", Password: "secret", Given: "mqtt://picket:***@h:1883"},
		"mqtt://picket:s：cr／t p@ss@h:1883": {User: "picket", Password: "s：cr／t p@ss", Given: "mqtt://picket:***@h:1883"},
		"picket:p%40ss@h":                  {User: "picket", Password: "p@ss", Given: "picket:***@h"},
		"picket@h":                         {User: "picket", Given: "picket@h"},
	} {
		got, err := ParseTarget(given)
		if err != nil {
			t.Errorf("%q: %v", given, err)
			continue
		}
		if got.User != want.User || got.Password != want.Password || got.Given != want.Given || got.Host != "h" || len(got.Mistakes) > 0 {
			t.Errorf("%q: got %+v", given, got)
		}
		got.Scheme, got.Port = "mqtt", 1883
		if url := got.URL(); url != "mqtt://h:1883" {
			t.Errorf("%q: the URL is %s", given, url)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{"mqtt://user:pw@h:1883/x", "ｈ：１８８３", "[::1]:1", "wss://h/mqtt#a", "mqtt：／／a＠b", "h,1", "mqtt:/\\/:@/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		got, err := ParseTarget(given)
		if err != nil {
			return
		}
		if got.Host == "" || got.Port < 0 || got.Port > 65535 || strings.ContainsAny(got.Host, "/@ \x00\n") || !utf8.ValidString(got.Host) {
			t.Fatalf("%q: %+v", given, got)
		}
		// What was understood is understood again, and has no mistakes in it.
		if got.Scheme == "" {
			got.Scheme = UsualScheme(got.Port)
			if got.Path = ""; got.Scheme[0] == 'w' {
				got.Path = "/"
			}
		}
		if got.Port == 0 {
			got.Port = DefaultPort(got.Scheme)
		}
		again, err := ParseTarget(got.URL())
		if err != nil || len(again.Mistakes) > 0 && !strings.ContainsAny(got.Path, "\"'`<>()“”‘’「」『』《》〈〉@,;!\\。｡、") && isASCII(got.Path) {
			t.Fatalf("%q became %q, which is read as %+v, %v", given, got.URL(), again, err)
		}
	})
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}
