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
	"picket/internal/testbed"
	"picket/packet"
)

// chrome is the browser's driver.
var chrome *browser

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	testbed.SideBySide(6)
	fail := func(err error, out []byte) int {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	if out, err := exec.Command("make", "-C", "../..", "page").CombinedOutput(); err != nil { // the page is a part of the program
		return fail(fmt.Errorf("make page: %w", err), out)
	}
	if _, err := os.Stat("node_modules"); err != nil {
		if out, err := exec.Command("npm", "ci", "--no-audit", "--no-fund").CombinedOutput(); err != nil {
			return fail(fmt.Errorf("npm ci: %w", err), out)
		}
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		return fail(fmt.Errorf("%w (make setup installs Debian's package chromium)\n", err), nil)
	}
	var stop func()
	if chrome, stop, err = startBrowser(chromium, os.Stderr); err != nil {
		return fail(err, nil)
	}
	defer stop()
	return m.Run()
}

// look is a phone that a case is seen on.
type look struct {
	name string
	phone
	lang cause.Lang
}

var looks = []look{
	{"en", phone{Width: 360, Height: 640, Lang: "en-GB"}, cause.English},
	{"zh", phone{Width: 390, Height: 844, Lang: "zh-CN"}, cause.Chinese},
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
	tb.fill("#user", name)
	tb.fill("#password", secret)
	tb.tap("#start")
}

// healthy waits until all stages are done and round trips are shown.
func (tb *tab) healthy() {
	tb.t.Helper()
	for _, stage := range []string{"page", "socket", "connect", "subscribe", "publish", "stay"} {
		tb.wait("#stage-"+stage+".done", "")
	}
	tb.wait("#chart .bar", "")
}

// failed waits until a stage has failed for a cause, and looks at what is said about it.
func (tb *tab) failed(l cause.Lang, stage string, id cause.ID, says string) {
	tb.t.Helper()
	tb.wait("#stage-"+stage+".failed", "")
	tb.wait("#cause", string(id))
	tb.wait("#title", title(tb.t, l, id))
	if says != "" {
		tb.wait("#seen", says)
	}
	if text := tb.text("#remedy"); len(text) < 10 {
		tb.t.Errorf("the remedy is %q", text)
	}
}

// watch has the page remember from now on what it shows: a failure that passes by itself is soon replaced by the next one.
func (tb *tab) watch() {
	tb.t.Helper()
	tb.evaluate(`(() => {
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
		tb.evaluate("window.shown", &shown)
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
		tb.do("screenshot", map[string]any{"path": file}, nil)
	}
	s := tb.seen()
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
	var faults []string
	tb.evaluate(faultsScript, &faults)
	for _, f := range faults {
		tb.t.Error(f)
	}
}

// faultsScript finds what is wider than the screen, too small for a finger, or too pale to read (WCAG 2, 1.4.3: 4.5 to 1).
// Colours that are in motion are looked at where they come to rest.
const faultsScript = `(() => {
	for (const a of document.getAnimations()) try { a.finish(); } catch (endless) { a.cancel(); }
	const faults = [], visible = e => e.offsetParent !== null;
	const inside = (e, selector) => { for (; e; e = e.parentElement) if (e.matches(selector)) return true; return false; };
	const name = e => e.tagName + (e.id ? '#' + e.id : '.' + e.className);
	if (document.documentElement.scrollWidth > innerWidth) faults.push('the page is ' + document.documentElement.scrollWidth + ' wide, the screen ' + innerWidth);
	for (const e of document.querySelectorAll('main *, header *')) {
		if (!visible(e) || inside(e, 'svg')) continue;
		const r = e.getBoundingClientRect();
		if (r.right > innerWidth + 0.5 || r.left < -0.5) faults.push(name(e) + ' reaches from ' + r.left + ' to ' + r.right);
		if (/^(BUTTON|INPUT)$/.test(e.tagName) && (r.height < 44 || r.width < 44)) faults.push(name(e) + ' has ' + r.width + ' by ' + r.height);
	}
	const color = c => { const m = c.match(/[\d.]+/g).map(Number); return { rgb: m.slice(0, 3), a: m.length > 3 ? m[3] : 1 }; };
	const light = rgb => { const [r, g, b] = rgb.map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	const under = e => {
		if (!e) return [255, 255, 255];
		const c = color(getComputedStyle(e).backgroundColor);
		if (c.a === 1) return c.rgb;
		const below = under(e.parentElement);
		return c.rgb.map((v, i) => v * c.a + below[i] * (1 - c.a));
	};
	for (const e of document.querySelectorAll('body *')) {
		if (!visible(e) || inside(e, 'svg, .mark') || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
		const [a, b] = [light(color(getComputedStyle(e).color).rgb), light(under(e))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (ratio < 4.5) faults.push(name(e) + ' has a contrast of ' + ratio.toFixed(2) + ': ' + e.textContent.slice(0, 30));
	}
	return faults;
})()`

// each runs a case on every phone.
func each(t *testing.T, config string, test func(t *testing.T, b *broker, tb *tab, l cause.Lang)) {
	for _, p := range looks {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, config)
			p.URL = b.url()
			test(t, b, chrome.open(t, p.phone), p.lang)
		})
	}
}

func TestHealthy(t *testing.T) {
	t.Parallel()
	each(t, "", func(t *testing.T, b *broker, tb *tab, l cause.Lang) {
		tb.wait("#start", map[cause.Lang]string{cause.English: "Test the connection", cause.Chinese: "测试连接"}[l])
		tb.look(b, "before")
		tb.login(user, password)
		tb.healthy()
		tb.wait("#othersHint", map[cause.Lang]string{cause.English: "Nothing has gone wrong", cause.Chinese: "没有出错"}[l])
		tb.wait("#chart rect:nth-of-type(4)", "")
		for _, want := range []string{"127.0.0.1", strconv.Itoa(b.Port(t, "PORT")), user, "app-" + tb.token()} { // what to type into an app
			tb.wait("#settings", want)
		}
		tb.look(b, "after")
		// The other language is a tap away, and the run goes on.
		tb.tap("#language")
		tb.wait("h1", map[cause.Lang]string{cause.Chinese: "Does this phone reach the broker?", cause.English: "这部手机能连上服务端吗？"}[l])
		tb.healthy()
		tb.tap("#start")
		tb.wait("#fields", "")
		tb.wait("#start", map[cause.Lang]string{cause.Chinese: "Test the connection", cause.English: "测试连接"}[l])
	})
}

func TestDark(t *testing.T) {
	t.Parallel()
	b := start(t, "")
	tb := chrome.open(t, phone{URL: b.url(), Width: 390, Height: 844, Lang: "zh-CN", Dark: true})
	tb.login(user, "wrong")
	tb.failed(cause.Chinese, "connect", cause.BadCredentials, "")
	tb.look(b, "wrong-password")
	tb.login(user, password)
	tb.healthy()
	b.app(user, "wrong", "mqttx_12345678")
	tb.wait("#attempts", title(t, cause.Chinese, cause.BadCredentials))
	tb.look(b, "healthy")
}

// token is what the page tells its phone's apps by.
func (tb *tab) token() (token string) {
	tb.t.Helper()
	tb.evaluate("location.hash.slice(1)", &token)
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
		topic := tb.text("#talkTopic")
		app := b.subscriber(topic)
		tb.fill("#message", "hello · 你好")
		tb.tap("#send")
		if p, err := testbed.Until[*packet.Publish](app); err != nil || string(p.Payload) != "hello · 你好" {
			t.Fatalf("the app is sent %+v, %v", p, err)
		}
		tb.wait("#messages li", "hello · 你好")
		tb.wait("#messages li", map[cause.Lang]string{cause.English: "sent from this page", cause.Chinese: "由本页发送"}[l])
		if err := app.Send(&packet.Publish{Topic: []byte(topic), Payload: []byte("<b>23.5 °C</b>")}); err != nil {
			t.Fatal(err)
		}
		tb.wait("#messages li:first-child", "<b>23.5 °C</b>")
		tb.look(b, "messages")
	})
}

// A browser of 2016: what was not there yet has been taken out of this one.
func TestOldPhone(t *testing.T) {
	t.Parallel()
	b := start(t, "")
	tb := chrome.open(t, phone{URL: b.url(), Width: 320, Height: 568, Lang: "en-GB", Old: true})
	var gone bool
	tb.evaluate(`typeof fetch === 'undefined' && !Object.values && !NodeList.prototype.forEach`, &gone)
	if !gone {
		t.Fatal("the browser is not as old as it should be")
	}
	tb.login(user, password)
	tb.healthy()
	b.app(user, "wrong", "mqttx_12345678")
	tb.wait("#attempts", title(t, cause.English, cause.BadCredentials))
	tb.look(b, "after")
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	each(t, "", func(t *testing.T, b *broker, tb *tab, l cause.Lang) {
		tb.login(user, "Correct horse")
		tb.failed(l, "connect", cause.BadCredentials, "unknown user or wrong password")
		tb.wait("#explain", user) // the name that was typed, in the catalogue's text
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
		tb.tap("#start")
		tb.failed(l, "connect", cause.AnonymousRefused, "allow_anonymous is false")
		tb.look(b, "failed")
	})
}

// Who is let in without a name gets through, but is not shown what others do.
func TestAnonymousAllowed(t *testing.T) {
	t.Parallel()
	b := start(t, "allow_anonymous true")
	tb := chrome.open(t, phone{URL: b.url(), Width: 360, Height: 640, Lang: "en-GB"})
	tb.tap("#start")
	tb.healthy()
	tb.wait("#othersHint", "Log in with a user name")
	b.app(user, "wrong", "x")
	if n := strings.Count(tb.text("#attempts"), string(cause.BadCredentials)); n != 0 {
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
					tb := chrome.open(t, p.phone)
					tb.login(user, password)
					tb.failed(p.lang, c.stage, c.id, "")
					tb.wait("#remedy", "picket/phone/") // the topic, in the catalogue's text
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
	tb := chrome.open(t, phone{URL: b.url(), Width: 360, Height: 640, Lang: "en-GB"})
	tb.tap("#options")
	tb.fill("#topic", "home/phone")
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
		tb.tap("#now")
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
		tb.wait("#again", "")
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
	tb := chrome.open(t, phone{URL: b.url(), Width: 360, Height: 640, Lang: "en-GB"})
	tb.login(user, password)
	tb.healthy()
	tb.evaluate(`new Promise(done => {
		let asked = 0;
		Object.defineProperty(WebSocket.prototype, 'readyState', { get() { if (++asked > 2) setTimeout(done); return WebSocket.CLOSING; } });
	})`, nil)
	tb.look(b, "closing")
}

func TestServerFull(t *testing.T) {
	t.Parallel()
	b := start(t, "max_connections 0")
	tb := chrome.open(t, phone{URL: b.url(), Width: 360, Height: 640, Lang: "en-GB"})
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
		tb.wait("#attempts li", "before-t…")
		similar := map[cause.Lang]string{cause.English: "your user name but for capital letters or blanks", cause.Chinese: "用户名与你的只差大小写或空格"}[l]
		tb.wait("#attempts li", similar)
		conn, err := tls.Dial("tcp", b.Addr(t, "PORT"), &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			conn.Close()
			t.Fatal("there is no certificate, and TLS works")
		}
		tb.wait("#attempts li:first-child", title(t, l, cause.TLSWithoutCertificate))
		for range 2 {
			b.app("somebody-else", "secret word", "mqttx_12345678")
		}
		tb.wait("#attempts li:first-child", map[cause.Lang]string{cause.English: "2 times", cause.Chinese: "2 次"}[l])
		for _, secret := range []string{"secret word", "somebody-else", "12345678"} {
			if strings.Contains(tb.text("body"), secret) {
				t.Errorf("the page shows %q", secret)
			}
		}
		tb.tap("#attempts li:first-child button")
		tb.wait("#attempts li:first-child .advice", "picket passwd")
		tb.look(b, "attempts")
	})
}

// The doctor, asked from the phone's own address, is no app on the phone.
func TestDoctorIsNoApp(t *testing.T) {
	t.Parallel()
	b := start(t, "")
	tb := chrome.open(t, phone{URL: b.url(), Width: 360, Height: 640, Lang: "en-GB"})
	tb.login(user, password)
	tb.healthy()
	out, err := exec.Command(testbed.Picket(t), "doctor", "--lang", "en", "mqtts://"+b.Addr(t, "PORT")).CombinedOutput() // there is no certificate
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || !strings.Contains(string(out), string(cause.TLSToPlainPort)) {
		t.Fatalf("the doctor has found nothing: %v\n%s", err, out)
	}
	b.app("picket", "wrong", "mqttx_12345678")
	tb.wait("#attempts li", "mqttx_1…")
	if text := tb.text("#attempts"); strings.Contains(text, string(cause.TLSWithoutCertificate)) || strings.Contains(text, "doctor") {
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
