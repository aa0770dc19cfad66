package doctor

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"

	"picket/cause"
	"picket/printable"
)

// heard is a fact for tests.
type heard struct {
	Port int `json:"port"`
	at   cause.Stage
	what Outcome
	text cause.Text
}

func (heard) Kind() string         { return "heard" }
func (h heard) Stage() cause.Stage { return h.at }
func (h heard) Outcome() Outcome   { return h.what }
func (h heard) Text() cause.Text   { return h.text }

func causes(findings []Finding) (ids []cause.ID) {
	for _, f := range findings {
		ids = append(ids, f.Cause)
	}
	return ids
}

func TestRank(t *testing.T) {
	ranked := Rank([]Finding{
		{Cause: cause.NoMatchingSubscribers, Fit: 50}, // info
		{Cause: cause.HostFirewallDrop, Fit: 50},
		{Cause: cause.ACLSilent, Fit: 80}, // a consequence of the next one
		{Cause: cause.ACLPublishDenied, Fit: 95, Evidence: []int{3}},
		{Cause: cause.SecurityGroupClosed, Fit: 60},
		{Cause: cause.ACLPublishDenied, Fit: 90, Evidence: []int{1}},
	})
	want := "acl-publish-denied security-group-closed host-firewall-drop no-matching-subscribers"
	var got []string
	for _, id := range causes(ranked) {
		got = append(got, string(id))
	}
	if strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if e := ranked[0].Evidence; len(e) != 2 || e[0] != 1 || e[1] != 3 {
		t.Errorf("the evidence of the same cause is %v, want both", e)
	}
	// What merely may be does not hide what is certain.
	if kept := Rank([]Finding{{Cause: cause.ACLPublishDenied, Fit: 20}, {Cause: cause.ACLSilent, Fit: 95}}); len(kept) != 2 {
		t.Errorf("got %v, want both", causes(kept))
	}
	// At two removes: no-matching-subscribers ← wrong-topic-or-qos does not exist the other way round.
	if leads(cause.WrongTopicOrQoS, cause.NoMatchingSubscribers) || !leads(cause.ConfigInvalidValue, cause.BrokerNotRunning) {
		t.Error("leads is wrong about what brings about what")
	}
}

func TestExitStatus(t *testing.T) {
	for name, c := range map[string]struct {
		report Report
		want   int
	}{
		"nothing":                  {Report{}, 0},
		"a remark":                 {Report{Findings: []Finding{{Cause: cause.NoMatchingSubscribers}}}, 0},
		"a warning":                {Report{Findings: []Finding{{Cause: cause.NoMatchingSubscribers}, {Cause: cause.NATIdleTimeout}}}, 3},
		"no way, an error":         {Report{Findings: []Finding{{Cause: cause.TLSExpired, Fit: 90}}}, 14},
		"no way, a possible error": {Report{Findings: []Finding{{Cause: cause.TLSExpired, Fit: 40}}}, 3},
		"not done":                 {Report{Failed: true}, 1},
		"not done, and an error":   {Report{Failed: true, Findings: []Finding{{Cause: cause.TLSExpired, Fit: 90}}}, 14},
		"a way through, error":     {Report{Way: true, Findings: []Finding{{Cause: cause.IPv4OnlyListener}}}, 3},
		"the way ends":             {Report{End: cause.TCP, Findings: []Finding{{Cause: cause.LoopbackOnly}}}, 12},
		"it ends for a remark":     {Report{End: cause.Use, Findings: []Finding{{Cause: cause.NoMatchingSubscribers}}}, 17},
	} {
		if got := c.report.ExitStatus(); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

var sample = Report{
	Subject: "mqtt://203.0.113.7:1883",
	Facts: []Fact{
		heard{at: cause.Name, what: Good, text: cause.Text{EN: "203.0.113.7 is an address", ZH: "203.0.113.7 是地址"}},
		heard{Port: 1883, at: cause.TCP, what: Bad, text: cause.Text{EN: "203.0.113.7 port 1883: no answer within 5 s, and that although the machine is there", ZH: "203.0.113.7 端口 1883：5 秒内没有应答，但主机在线，所以问题出在通往该端口的路上"}},
		heard{Port: 22, at: cause.TCP, what: Note, text: cause.Text{EN: "port 22 is open", ZH: "端口 22 是开放的"}},
	},
	Findings: []Finding{
		{
			Cause: cause.SecurityGroupClosed, Fit: 70, Values: cause.Values{"port": "1883"}, Evidence: []int{1, 2}, Recipes: []string{"tencent-light"},
			Meaning:  cause.Text{EN: "Something on the way throws the packets away.", ZH: "途中有设备丢弃了数据包。"},
			RuledOut: []RuledOut{{cause.BrokerNotRunning, cause.Text{EN: "a port on which nothing listens refuses at once", ZH: "没有程序监听的端口会立即拒绝"}}},
			Steps:    []Step{{cause.Text{EN: "On the server", ZH: "在服务器上"}, cause.Text{EN: "sudo tcpdump -ni any port 1883", ZH: "sudo tcpdump -ni any port 1883"}}},
		},
		{Cause: cause.HostFirewallDrop, Fit: 40, Values: cause.Values{"port": "1883"}},
	},
	End: cause.TCP,
}

func show(t *testing.T, r *Report, style Style) string {
	t.Helper()
	var b strings.Builder
	p := NewPrinter(&b, style)
	for _, f := range r.Facts {
		if err := p.Fact(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Report(r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTextFitsItsColumns(t *testing.T) {
	for _, lang := range []cause.Lang{cause.English, cause.Chinese} {
		for _, columns := range []int{40, 60, 100} {
			out := show(t, &sample, Style{Lang: lang, Width: columns})
			for line := range strings.Lines(out) {
				line = strings.TrimSuffix(line, "\n")
				copied := strings.HasPrefix(line, "    sudo") || strings.Contains(line, "→") || strings.Contains(line, "[")
				if n := printable.Columns(line); n > columns && !copied {
					t.Errorf("%s, %d columns: a line takes %d: %q", lang, columns, n, line)
				}
				if strings.HasSuffix(line, " ") {
					t.Errorf("a line ends with a space: %q", line)
				}
			}
			if c := show(t, &sample, Style{Lang: lang, Width: columns, Color: true}); !strings.Contains(c, "\x1b[") || stripped(c) != out {
				t.Errorf("%s, %d columns: colours change the text", lang, columns)
			}
		}
	}
}

func stripped(s string) string {
	for {
		i := strings.IndexByte(s, '\x1b')
		if i < 0 {
			return s
		}
		s = s[:i] + s[i+strings.IndexByte(s[i:], 'm')+1:]
	}
}

func TestText(t *testing.T) {
	en := show(t, &sample, Style{Width: 60})
	for _, want := range []string{
		"Name and address\n  ✓ 203.0.113.7 is an address\n\nThe way to the port\n  ✗ 203.0.113.7 port 1883: no answer within 5 s, and that\n    although the machine is there\n  • port 22 is open\n",
		"✗ The cloud's security group does not let the port in\n  [security-group-closed] likely\n",
		"  What speaks for it\n  ✗ 203.0.113.7 port 1883",
		"  • broker-not-running: a port on which nothing listens\n    refuses at once\n",
		"  On the server\n    sudo tcpdump -ni any port 1883\n",
		"  Tencent Cloud Lighthouse\n",
		"  Also possible\n  ✗ The machine's own firewall drops the packets\n    [host-firewall-drop] possible\n",
	} {
		if !strings.Contains(en, want) {
			t.Errorf("the report has no %q:\n%s", want, en)
		}
	}
	if strings.Contains(en, "Alibaba") {
		t.Error("the catalogue's recipes are shown beside those that the finding chose")
	}
	if zh := show(t, &sample, Style{Lang: cause.Chinese, Width: 60}); !strings.Contains(zh, "✗ 云安全组没有放行端口\n  [security-group-closed] 很可能\n") || !strings.Contains(zh, "其他可能\n") {
		t.Errorf("the Chinese report is\n%s", zh)
	}
	healthy := Report{Healthy: cause.Text{EN: "all is well", ZH: "一切正常"}}
	if got := show(t, &healthy, Style{}); got != "\n✓ all is well\n" {
		t.Errorf("got %q for a healthy report", got)
	}
	unknown := "no-such-cause"
	wrong := Report{Findings: []Finding{{Cause: cause.ID(unknown)}}}
	if err := NewPrinter(&strings.Builder{}, Style{}).Report(&wrong); err == nil {
		t.Error("a cause that does not exist was printed")
	}
	if err := NewPrinter(failing{}, Style{}).Report(&sample); !errors.Is(err, errFull) {
		t.Errorf("got %v from an output that fails", err)
	}
}

var errFull = errors.New("full")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull }

func TestJSON(t *testing.T) {
	out, err := sample.JSON(cause.Chinese)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Version int
		Subject string
		Lang    string
		Exit    int
		End     string
		Facts   []struct {
			Kind, Stage, Outcome, Text string
			Data                       struct{ Port int }
		}
		Findings []struct {
			Cause, Severity, Stage, Title, Meaning, Explain, Remedy string
			Fit                                                     int
			Evidence                                                []int
			RuledOut                                                []struct{ Cause, Why string } `json:"ruled_out"`
			Steps                                                   []struct{ Title, Lines string }
		}
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if got.Version != FormatVersion || got.Subject != sample.Subject || got.Lang != "zh" || got.Exit != 12 || got.End != "tcp" || len(got.Facts) != 3 || len(got.Findings) != 2 {
		t.Errorf("got %+v", got)
	}
	if f := got.Facts[1]; f.Kind != "heard" || f.Stage != "tcp" || f.Outcome != "bad" || !strings.HasPrefix(f.Text, "203.0.113.7 端口") || f.Data.Port != 1883 {
		t.Errorf("got the fact %+v", f)
	}
	f := got.Findings[0]
	if f.Cause != "security-group-closed" || f.Severity != "error" || f.Stage != "tcp" || f.Fit != 70 || f.Title != "云安全组没有放行端口" ||
		!strings.Contains(f.Remedy, "TCP 1883") || len(f.Evidence) != 2 || f.RuledOut[0].Cause != "broker-not-running" || len(f.Steps) != 2 ||
		f.Steps[0].Lines != "sudo tcpdump -ni any port 1883" || f.Steps[1].Title != "腾讯云轻量应用服务器" {
		t.Errorf("got the finding %+v", f)
	}
	if empty, err := (&Report{}).JSON(cause.English); err != nil || !strings.Contains(string(empty), `"findings": []`) {
		t.Errorf("an empty report is %s, %v", empty, err)
	}
}

func TestCatalogueCanBeExplained(t *testing.T) {
	for _, lang := range []cause.Lang{cause.English, cause.Chinese} {
		for _, c := range cause.All() {
			var b strings.Builder
			if err := NewPrinter(&b, Style{Lang: lang}).Explain(&c); err != nil {
				t.Errorf("%s: %v", c.ID, err)
			}
		}
		var b strings.Builder
		if err := NewPrinter(&b, Style{Lang: lang}).List(); err != nil {
			t.Error(err)
		}
		if n := strings.Count(b.String(), "\n"); n < len(cause.All()) {
			t.Errorf("the list has %d lines for %d causes", n, len(cause.All()))
		}
		if out, err := CatalogueJSON(lang, cause.All()...); err != nil || !json.Valid(out) {
			t.Errorf("the catalogue as JSON: %v", err)
		}
	}
}

// What a stranger sends reaches neither a terminal nor JSON as something that a terminal obeys.
func TestStrangersCharacters(t *testing.T) {
	hostile := "a\x1b[31mb\u202Ec\u200Bd\u0085e\x7Ff\u2066g\U000E0041h"
	if got := Printable(hostile, 100); got != "a[31mbcdefgh" {
		t.Errorf("Printable gives %q", got)
	}
	for _, lang := range []cause.Lang{cause.English, cause.Chinese} {
		facts := way(numbered, inside, dial("192.168.7.5", 1883, Open), Connect{Version: "5.0", Result: Refused, Code: 0x87, Reason: hostile, User: hostile})
		report := NewReport(Target{Scheme: "mqtt", Host: "192.168.7.5", Port: 1883}, facts)
		out := show(t, report, Style{Lang: lang})
		b, err := report.JSON(lang)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(b) {
			t.Errorf("the JSON is broken: %s", b)
		}
		for name, text := range map[string]string{"text": out, "JSON": string(b)} {
			if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
				t.Errorf("in %s the %s has %q", lang, name, text[i:min(i+4, len(text))])
			}
		}
	}
}

// No status 0 over something bad that nobody has explained.
func TestUnexplained(t *testing.T) {
	facts := way(numbered, inside, dial("192.168.7.5", 1883, Open), Connect{Version: "3.1.1", ID: RandomID, KeepAlive: 60, Result: Accepted},
		heard{at: cause.Use, what: Bad, text: cause.Text{EN: "something", ZH: "某事"}})
	r := NewReport(Target{Scheme: "mqtt", Host: "192.168.7.5", Port: 1883}, facts)
	if len(r.Findings) != 1 || r.Findings[0].Cause != cause.Unexplained || r.Findings[0].Stage() != cause.Use || r.ExitStatus() == ExitHealthy {
		t.Errorf("got %+v, status %d", r.Findings, r.ExitStatus())
	}
	facts = append(facts, Unfinished{Seconds: 30})
	if r := NewReport(Target{}, facts[:len(facts)-2]); r.ExitStatus() != ExitHealthy {
		t.Errorf("without anything bad the status is %d", r.ExitStatus())
	}
	if r := NewReport(Target{}, append(slices.Clone(facts[:len(facts)-2]), Unfinished{Seconds: 30})); r.ExitStatus() != ExitFailed {
		t.Errorf("when not everything could be tried the status is %d", r.ExitStatus())
	}
}

// A name server that cannot tell about one family, and knows the other, has told enough.
func TestOneFamilyIsEnough(t *testing.T) {
	for _, mute := range []string{"A", "AAAA"} {
		record, address := "AAAA", "2001:db8::7"
		if mute == "AAAA" {
			record, address = "A", "203.0.113.7"
		}
		facts := way(named, Lookup{Host: named.Host, Record: record, Result: Found, Addresses: []string{address}}, Lookup{Host: named.Host, Record: mute, Result: Failed},
			Address{Address: address, Class: Public}, dial(address, 1883, Open), Connect{Version: "3.1.1", ID: RandomID, KeepAlive: 60, Result: Accepted})
		if r := NewReport(Target{Scheme: "mqtt", Host: named.Host, Port: 1883}, facts); slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Cause == cause.Unexplained || f.Cause == cause.DNSNoAnswer }) {
			t.Errorf("no answer about %s: got %+v", mute, r.Findings)
		}
	}
}

// Two causes with the same evidence are not certain both.
func TestCertaintyIsEarned(t *testing.T) {
	c := &Case{}
	c.Add(Finding{Cause: cause.HostFirewallDrop, Fit: 92, Evidence: []int{1}})
	c.Add(Finding{Cause: cause.SecurityGroupClosed, Fit: 80, Evidence: []int{1}})
	if got := c.Conclude(cause.TCP); got[0].Fit >= certain {
		t.Errorf("got %+v", got)
	}
	// A message that came back at another QoS contradicts what the access list is said to do.
	c = &Case{Facts: []Fact{Publish{Topic: "t", QoS: 1, Result: Returned}}}
	c.Add(Finding{Cause: cause.ACLSilent, Fit: 85, Values: cause.Values{"topic": "t"}})
	if got := c.Conclude(""); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
}
