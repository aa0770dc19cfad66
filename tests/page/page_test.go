//go:build unix

package page

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"picket/cause"
	"picket/internal/browser"
	"picket/internal/testbed"
	"picket/packet"
)

// chrome is the browser's driver.
var chrome *browser.Browser

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	testbed.SideBySide(6)
	var stop func()
	var err error
	if chrome, stop, err = browser.Start(os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop()
	return m.Run()
}

// tab is a page of a test.
type tab struct {
	*browser.Tab
	t *testing.T
}

// open opens a page, and closes it with the test.
func open(t *testing.T, s browser.Screen) *tab {
	t.Helper()
	return &tab{chrome.Open(t, s), t}
}

// look is a phone that a case is seen on.
type look struct {
	name string
	browser.Screen
	lang cause.Lang
}

var looks = []look{
	{"en", browser.Screen{Width: 360, Height: 640, Lang: "en-GB"}, cause.English},
	{"zh", browser.Screen{Width: 390, Height: 844, Lang: "zh-CN"}, cause.Chinese},
}

// title is what the page calls a cause.
func title(t *testing.T, l cause.Lang, id cause.ID) string {
	t.Helper()
	c, ok := cause.Lookup(id)
	if !ok {
		t.Fatalf("%s is not in the catalogue", id)
	}
	return c.Title.In(l)
}

// login types the user and the password and starts.
func (tb *tab) login(name, secret string) {
	tb.t.Helper()
	tb.Fill("#user", name)
	tb.Fill("#password", secret)
	tb.Tap("#start")
}

// healthy waits until all stages are done and round trips are shown.
func (tb *tab) healthy() {
	tb.t.Helper()
	for _, stage := range []string{"page", "socket", "connect", "subscribe", "publish", "stay"} {
		tb.Wait("#stage-"+stage+".done", "")
	}
	tb.Wait("#chart .bar", "")
}

// failed waits until a stage has failed for a cause, and looks at what is said about it.
func (tb *tab) failed(l cause.Lang, stage string, id cause.ID, says string) {
	tb.t.Helper()
	tb.Wait("#stage-"+stage+".failed", "")
	tb.Wait("#cause", string(id))
	tb.Wait("#title", title(tb.t, l, id))
	if says != "" {
		tb.Wait("#seen", says)
	}
	if text := tb.Text("#remedy"); len(text) < 10 {
		tb.t.Errorf("the remedy is %q", text)
	}
}

// watch has the page remember from now on what it shows: a failure that passes by itself is soon replaced by the next one.
func (tb *tab) watch() {
	tb.t.Helper()
	tb.Evaluate(`(() => {
		window.shown = [];
		const text = id => document.getElementById(id).textContent;
		new MutationObserver(() => {
			const failed = document.querySelector('#stages .failed');
			const now = failed && [failed.id, text('cause'), text('title'), text('seen')];
			if (now && String(now) !== String(window.shown[window.shown.length - 1])) window.shown.push(now);
		}).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
	})()`, nil)
}

// hasFailed is failed for what the page has shown since watch, and may not show any more.
func (tb *tab) hasFailed(l cause.Lang, stage string, id cause.ID, says string) {
	tb.t.Helper()
	testbed.Eventually(tb.t, func() error {
		var shown [][4]string
		tb.Evaluate("window.shown", &shown)
		for _, s := range shown {
			if s[0] == "stage-"+stage && s[1] == string(id) && strings.EqualFold(s[2], title(tb.t, l, id)) && strings.Contains(s[3], says) {
				return nil
			}
		}
		return fmt.Errorf("the page has not said that %s failed with %s (%s); it has said %q", stage, id, says, shown)
	})
}

// look judges the page as it stands: what every state of it has to be like.
func (tb *tab) look(b *broker, name string) {
	tb.t.Helper()
	if dir := os.Getenv("PAGE_SHOTS"); dir != "" {
		file := filepath.Join(dir, strings.NewReplacer("/", "-", "Test", "").Replace(tb.t.Name())+"-"+name+".png")
		tb.Screenshot(file)
	}
	s := tb.Seen()
	for _, u := range s.URLs {
		if !strings.HasPrefix(u, b.url()) && u != strings.Replace(b.url(), "http", "ws", 1)+"picket-page" {
			tb.t.Errorf("another host, or an address with more in it: %s", u)
		}
		if strings.Contains(u, password) || strings.Contains(u, user+":") {
			tb.t.Errorf("a secret in %s", u)
		}
	}
	if len(s.Violations) > 0 {
		tb.t.Errorf("the content security policy is violated: %q", s.Violations)
	}
	// That a connection fails is what some cases are about, and the browser always says so.
	network := regexp.MustCompile(`^WebSocket connection to |net::ERR_`)
	for _, line := range s.Console {
		if !network.MatchString(line) {
			tb.t.Errorf("the console says: %s", line)
		}
	}
	if s.Bytes == 0 || s.Bytes >= 60_000 {
		tb.t.Errorf("%d bytes were transferred, want fewer than 60,000", s.Bytes)
	}
	tb.t.Logf("%s: %d bytes, %d requests", name, s.Bytes, len(s.URLs))
	for _, f := range tb.Faults() {
		tb.t.Error(f)
	}
}

// each runs a case on every phone.
func each(t *testing.T, config string, test func(t *testing.T, b *broker, tb *tab, l cause.Lang)) {
	for _, p := range looks {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, config)
			p.URL = b.url()
			test(t, b, open(t, p.Screen), p.lang)
		})
	}
}

func TestHealthy(t *testing.T) {
	t.Parallel()
	each(t, "", func(t *testing.T, b *broker, tb *tab, l cause.Lang) {
		tb.Wait("#start", map[cause.Lang]string{cause.English: "Test the connection", cause.Chinese: "测试连接"}[l])
		tb.look(b, "before")
		tb.login(user, password)
		tb.healthy()
		tb.Wait("#othersHint", map[cause.Lang]string{cause.English: "Nothing has gone wrong", cause.Chinese: "没有出错"}[l])
		tb.Wait("#chart rect:nth-of-type(4)", "")
		for _, want := range []string{"127.0.0.1", strconv.Itoa(b.Port(t, "PORT")), user, "app-" + tb.token()} { // what to type into an app
			tb.Wait("#settings", want)
		}
		tb.look(b, "after")
		// The other language is a tap away, and the run goes on.
		tb.Tap("#language")
		tb.Wait("h1", map[cause.Lang]string{cause.Chinese: "Does this phone reach the broker?", cause.English: "这部手机能连上服务端吗？"}[l])
		tb.healthy()
		tb.Tap("#start")
		tb.Wait("#fields", "")
		tb.Wait("#start", map[cause.Lang]string{cause.Chinese: "Test the connection", cause.English: "测试连接"}[l])
	})
}

func TestDark(t *testing.T) {
	t.Parallel()
	b := start(t, "")
	tb := open(t, browser.Screen{URL: b.url(), Width: 390, Height: 844, Lang: "zh-CN", Dark: true})
	tb.login(user, "wrong")
	tb.failed(cause.Chinese, "connect", cause.BadCredentials, "")
	tb.look(b, "wrong-password")
	tb.login(user, password)
	tb.healthy()
	b.app(user, "wrong", "mqttx_12345678")
	tb.Wait("#attempts", title(t, cause.Chinese, cause.BadCredentials))
	tb.look(b, "healthy")
}

// token is what the page tells its phone's apps by.
func (tb *tab) token() (token string) {
	tb.t.Helper()
	tb.Evaluate("location.hash.slice(1)", &token)
	if len(token) != 6 {
		tb.t.Fatalf("the token is %q", token)
	}
	return token
}

// What is typed on the page arrives in an app, and what an app publishes is shown on the page.
func TestMessages(t *testing.T) {
	t.Parallel()
	each(t, "", func(t *testing.T, b *broker, tb *tab, l cause.Lang) {
		tb.login(user, password)
		tb.healthy()
		topic := tb.Text("#talkTopic")
		app := b.subscriber(topic)
		tb.Fill("#message", "hello · 你好")
		tb.Tap("#send")
		if p, err := testbed.Until[*packet.Publish](app); err != nil || string(p.Payload) != "hello · 你好" {
			t.Fatalf("the app is sent %+v, %v", p, err)
		}
		tb.Wait("#messages li", "hello · 你好")
		tb.Wait("#messages li", map[cause.Lang]string{cause.English: "sent from this page", cause.Chinese: "由本页发送"}[l])
		if err := app.Send(&packet.Publish{Topic: []byte(topic), Payload: []byte("<b>23.5 °C</b>")}); err != nil {
			t.Fatal(err)
		}
		tb.Wait("#messages li:first-child", "<b>23.5 °C</b>")
		tb.look(b, "messages")
	})
}

// A browser of 2016: what was not there yet has been taken out of this one.
func TestOldPhone(t *testing.T) {
	t.Parallel()
	b := start(t, "")
	tb := open(t, browser.Screen{URL: b.url(), Width: 320, Height: 568, Lang: "en-GB", Old: true})
	var gone bool
	tb.Evaluate(`typeof fetch === 'undefined' && !Object.values && !NodeList.prototype.forEach`, &gone)
	if !gone {
		t.Fatal("the browser is not as old as it should be")
	}
	tb.login(user, password)
	tb.healthy()
	b.app(user, "wrong", "mqttx_12345678")
	tb.Wait("#attempts", title(t, cause.English, cause.BadCredentials))
	tb.look(b, "after")
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	each(t, "", func(t *testing.T, b *broker, tb *tab, l cause.Lang) {
		tb.login(user, "Correct horse")
		tb.failed(l, "connect", cause.BadCredentials, "unknown user or wrong password")
		tb.Wait("#explain", user) // the name that was typed, in the catalogue's text
		tb.look(b, "failed")
		tb.login(user, password)
		tb.healthy()
	})
}

// The same without words from the broker: the reason code is enough.
func TestWithoutReasonStrings(t *testing.T) {
	t.Parallel()
	each(t, "reason_strings false", func(t *testing.T, b *broker, tb *tab, l cause.Lang) {
		tb.login(user, "wrong")
		tb.failed(l, "connect", cause.BadCredentials, "CONNACK 0x87")
		tb.login("", "")
		tb.failed(l, "connect", cause.AnonymousRefused, "CONNACK 0x87")
	})
}

func TestAnonymousRefused(t *testing.T) {
	t.Parallel()
	each(t, "", func(t *testing.T, b *broker, tb *tab, l cause.Lang) {
		tb.Tap("#start")
		tb.failed(l, "connect", cause.AnonymousRefused, "allow_anonymous is false")
		tb.look(b, "failed")
	})
}

// Who is let in without a name gets through, but is not shown what others do.
func TestAnonymousAllowed(t *testing.T) {
	t.Parallel()
	b := start(t, "allow_anonymous true")
	tb := open(t, browser.Screen{URL: b.url(), Width: 360, Height: 640, Lang: "en-GB"})
	tb.Tap("#start")
	tb.healthy()
	tb.Wait("#othersHint", "Log in with a user name")
	b.app(user, "wrong", "x")
	if n := strings.Count(tb.Text("#attempts"), string(cause.BadCredentials)); n != 0 {
		t.Error("an attempt is shown to somebody without a name")
	}
	tb.look(b, "anonymous")
}

// Each thing that an ACL file can forbid is found at its own stage.
func TestACL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, rules, stage string
		id                 cause.ID
	}{
		{"subscribe", "topic read elsewhere/#", "subscribe", cause.ACLSubscribeDenied},
		{"publish", "topic read picket/#", "publish", cause.ACLPublishDenied},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, p := range looks {
				t.Run(p.name, func(t *testing.T) {
					t.Parallel()
					b := start(t, "acl_file ${DIR}/acl", func(b *broker) { b.Write(t, "acl", "user "+user+"\n"+c.rules+"\n") })
					p.URL = b.url()
					tb := open(t, p.Screen)
					tb.login(user, password)
					tb.failed(p.lang, c.stage, c.id, "")
					tb.Wait("#remedy", "picket/phone/") // the topic, in the catalogue's text
					tb.look(b, "denied")
				})
			}
		})
	}
}

// With a topic that the user may use, the test goes through.
func TestAnotherTopic(t *testing.T) {
	t.Parallel()
	b := start(t, "acl_file ${DIR}/acl", func(b *broker) { b.Write(t, "acl", "user "+user+"\ntopic readwrite home/#\n") })
	tb := open(t, browser.Screen{URL: b.url(), Width: 360, Height: 640, Lang: "en-GB"})
	tb.Tap("#options")
	tb.Fill("#topic", "home/phone")
	tb.look(b, "options")
	tb.login(user, password)
	tb.healthy()
}

func TestMaintenance(t *testing.T) {
	t.Parallel()
	each(t, "", func(t *testing.T, b *broker, tb *tab, l cause.Lang) {
		tb.login(user, password)
		tb.healthy()
		tb.watch()
		b.ctl("maintenance", "on", "--until", "2h", "--message", "a new disk · 换磁盘", "--server-reference", "other.example:1883")
		tb.hasFailed(l, "stay", cause.Maintenance, "use other.example:1883: a new disk · 换磁盘")
		tb.look(b, "disconnected")
		tb.Tap("#now")
		tb.failed(l, "connect", cause.Maintenance, "use other.example:1883: a new disk · 换磁盘")
		tb.look(b, "refused")
		b.ctl("maintenance", "off")
		tb.healthy() // by itself
	})
}

// The broker ends in the middle, without and with a goodbye, and comes back: the page notices both by itself.
func TestBrokerEndsAndReturns(t *testing.T) {
	t.Parallel()
	each(t, "", func(t *testing.T, b *broker, tb *tab, l cause.Lang) {
		tb.login(user, password)
		tb.healthy()
		tb.watch()
		if err := b.Kill(); err != nil {
			t.Error(err)
		}
		tb.hasFailed(l, "stay", cause.BrokerNotRunning, map[cause.Lang]string{cause.English: "nothing answers", cause.Chinese: "没有任何应答"}[l])
		tb.Wait("#again", "")
		tb.look(b, "killed")
		b.Run(t)
		tb.healthy()
		tb.watch()
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
		tb.hasFailed(l, "stay", cause.ServerShuttingDown, "the broker is being stopped")
		b.Run(t)
		tb.healthy()
	})
}

// A connection that is about to close, of which the browser has not told the page yet, is nothing that the page falls over.
func TestConnectionThatIsClosing(t *testing.T) {
	t.Parallel()
	b := start(t, "")
	tb := open(t, browser.Screen{URL: b.url(), Width: 360, Height: 640, Lang: "en-GB"})
	tb.login(user, password)
	tb.healthy()
	tb.Evaluate(`new Promise(done => {
		let asked = 0;
		Object.defineProperty(WebSocket.prototype, 'readyState', { get() { if (++asked > 2) setTimeout(done); return WebSocket.CLOSING; } });
	})`, nil)
	tb.look(b, "closing")
}

func TestServerFull(t *testing.T) {
	t.Parallel()
	b := start(t, "max_connections 0")
	tb := open(t, browser.Screen{URL: b.url(), Width: 360, Height: 640, Lang: "en-GB"})
	tb.login(user, password)
	tb.failed(cause.English, "connect", cause.ServerFull, "max_connections (0)")
	tb.look(b, "full")
}

// What other apps do wrong is shown as it happens, and nothing secret of it.
func TestOtherApps(t *testing.T) {
	t.Parallel()
	each(t, "", func(t *testing.T, b *broker, tb *tab, l cause.Lang) {
		if b.app("Picket ", "secret word", "before-the-login") {
			t.Fatal("a wrong password is taken")
		}
		tb.login(user, password)
		tb.healthy()
		tb.Wait("#attempts li", "before-t…")
		similar := map[cause.Lang]string{cause.English: "your user name but for capital letters or blanks", cause.Chinese: "用户名与你的只差大小写或空格"}[l]
		tb.Wait("#attempts li", similar)
		conn, err := tls.Dial("tcp", b.Addr(t, "PORT"), &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			conn.Close()
			t.Fatal("there is no certificate, and TLS works")
		}
		tb.Wait("#attempts li:first-child", title(t, l, cause.TLSWithoutCertificate))
		for range 2 {
			b.app("somebody-else", "secret word", "mqttx_12345678")
		}
		tb.Wait("#attempts li:first-child", map[cause.Lang]string{cause.English: "2 times", cause.Chinese: "2 次"}[l])
		for _, secret := range []string{"secret word", "somebody-else", "12345678"} {
			if strings.Contains(tb.Text("body"), secret) {
				t.Errorf("the page shows %q", secret)
			}
		}
		tb.Tap("#attempts li:first-child button")
		tb.Wait("#attempts li:first-child .advice", "picket passwd")
		tb.look(b, "attempts")
	})
}

// The doctor, asked from the phone's own address, is no app on the phone.
func TestDoctorIsNoApp(t *testing.T) {
	t.Parallel()
	b := start(t, "")
	tb := open(t, browser.Screen{URL: b.url(), Width: 360, Height: 640, Lang: "en-GB"})
	tb.login(user, password)
	tb.healthy()
	out, err := exec.Command(testbed.Picket(t), "doctor", "--lang", "en", "mqtts://"+b.Addr(t, "PORT")).CombinedOutput() // there is no certificate
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || !strings.Contains(string(out), string(cause.TLSToPlainPort)) {
		t.Fatalf("the doctor has found nothing: %v\n%s", err, out)
	}
	b.app("picket", "wrong", "mqttx_12345678")
	tb.Wait("#attempts li", "mqttx_1…")
	if text := tb.Text("#attempts"); strings.Contains(text, string(cause.TLSWithoutCertificate)) || strings.Contains(text, "doctor") {
		t.Errorf("the doctor's probes are shown:\n%s", text)
	}
}

// http_dir and phone_page false have their way.
func TestNoPage(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{"phone_page false": "This port speaks MQTT over WebSocket", "http_dir ${DIR}": "my own page"} {
		b := start(t, config, func(b *broker) { b.Write(t, "index.html", "my own page") })
		out, err := exec.Command("curl", "-s", b.url()).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, %s", config, err, out)
		}
	}
}
