//go:build unix

package dashboard

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"picket/internal/browser"
	"picket/internal/testbed"
	"picket/packet"
)

var desktop = browser.Screen{Width: 1280, Height: 800, Lang: "en-GB", Desktop: true}

// fetch has the page itself ask the API, with the cookie that it has, and returns the status.
func (tb *tab) fetch(method, path, body string) (status int) {
	tb.t.Helper()
	options := fmt.Sprintf(`{method: %q}`, method)
	if body != "" {
		options = fmt.Sprintf(`{method: %q, headers: {'Content-Type': 'application/json'}, body: %s}`, method, quoted(body))
	}
	tb.Evaluate(fmt.Sprintf(`fetch('/api/v1/%s', %s).then(r => r.status)`, path, options), &status)
	return status
}

// A link lets in once, leaves nothing in the address, and what follows ends at the logout.
func TestLoginAndLogout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	screen := desktop
	screen.URL = w.link("admin")
	tb := &tab{Tab: chrome.Open(t, screen), t: t, w: w}
	tb.Wait("main h1", "Overview")
	tb.judge("first")
	var stored string
	if tb.Evaluate("document.cookie + JSON.stringify(localStorage)", &stored); strings.Contains(stored, "picket-") && !strings.Contains(stored, "{}") {
		t.Errorf("a script can read %s", stored)
	}
	tb.Evaluate(`window.name = 'before'`, nil)
	tb.Tap("#logout")
	tb.Wait("main.login", "picket ctl login")
	if status := tb.fetch("GET", "status", ""); status != http.StatusUnauthorized {
		t.Errorf("after the logout: %d", status)
	}
	tb.Evaluate(fmt.Sprintf("location.hash = %q", screen.URL[strings.Index(screen.URL, "#"):]), nil)
	tb.Wait("main.login .notice", "the login link is not valid any more")
	tb.Tap("#lang")
	tb.Wait("main.login h2", "登录")
	for _, f := range tb.Faults() {
		t.Error(f)
	}
}

// A viewer sees what there is, and has nothing in its hands: neither on the page nor behind it.
func TestViewer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	tb := w.login(t, "viewer", desktop)
	for _, page := range []string{"clients", "client?id=" + url.QueryEscape(html), "topics", "users", "user?name=" + url.QueryEscape(arabic), "bans", "broker", "publish", "refused", "tokens"} {
		tb.visit(page)
		var buttons []string
		tb.Evaluate(`[...document.querySelectorAll('main button:not(.chip):not(:disabled)')].map(b => b.textContent)`, &buttons)
		for _, b := range buttons {
			if b != "Ask" {
				t.Errorf("%s: a viewer has the button %q", page, b)
			}
		}
		tb.judge(page)
	}
	tb.visit("publish")
	tb.Wait("main", "This takes the role operator; you are viewer.")
	for _, one := range [][3]string{{"DELETE", "client?id=x", ""}, {"POST", "publish", `{"topic": "a"}`}, {"POST", "bans", `{"kind": "user", "value": "x"}`}, {"GET", "attempts", ""}, {"GET", "tokens", ""}, {"POST", "users", `{"name": "x"}`}, {"POST", "logins", `{"role": "admin"}`}, {"POST", "reload", ""}} {
		if status := tb.fetch(one[0], one[1], one[2]); status != http.StatusForbidden {
			t.Errorf("a viewer: %s %s: %d", one[0], one[1], status)
		}
	}
}

// Whom the dashboard disconnects, keeps out, or bans, is gone; what it publishes and deletes, comes and goes.
func TestWhatIsDone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token()
	lamp := w.connect(html, false, "news/#")
	tb := w.login(t, "operator", desktop)
	tb.gone = true // whom it disconnects
	tb.visit("client?id=" + url.QueryEscape(html))
	tb.Tap("main .head button:has-text('Disconnect')")
	tb.Fill("dialog input[name=reason]", "enough of <b>that</b>")
	tb.Evaluate(`(() => { const s = document.querySelector('dialog select[name=keep]'); s.value = '1h'; s.dispatchEvent(new Event('change', {bubbles: true})); })()`, nil)
	tb.judge("dialog")
	tb.Tap("dialog button[type=submit]")
	tb.Wait(".said", "Done.")
	if d, err := testbed.Until[*packet.Disconnect](lamp); err != nil || d.Code != packet.AdministrativeAction || d.Props == nil || !strings.Contains(d.Props.ReasonString, "enough of <b>that</b>") {
		t.Errorf("%+v, %v", d, err)
	}
	again := testbed.Dial(t, w.Addr(t, "PORT"), packet.V5)
	if _, err := again.Connect(&packet.Connect{ClientID: html}); err == nil {
		t.Error("who is kept out is let in")
	}
	tb.visit("bans")
	tb.Wait("main table", html)
	tb.Tap("main table button")
	tb.Tap("dialog button[type=submit]")
	tb.Wait("main .empty", "Nobody is banned.")
	lamp = w.connect(html, false, "news/#")
	tb.visit("publish")
	tb.Fill("input[name=topic]", "news/<i>now</i>")
	tb.Fill("textarea", "<u>hello</u>")
	tb.Tap("label:has(input[name=retain])")
	tb.Tap("main button[type=submit]")
	tb.Wait(".said", "Published")
	if p, err := testbed.Until[*packet.Publish](lamp); err != nil || string(p.Payload) != "<u>hello</u>" || string(p.Topic) != "news/<i>now</i>" {
		t.Errorf("%+v, %v", p, err)
	}
	for i := range 120 {
		w.ask("POST", "publish", token, map[string]any{"topic": fmt.Sprintf("many/%d", i), "payload": "1", "retain": true}, nil)
	}
	tb.visit("topics?in=" + url.QueryEscape(`"many"`))
	tb.Tap("main .head button")
	tb.Tap("dialog button[type=submit]") // the preview of what is below
	tb.Wait("dialog", "120 messages (120 B) would be deleted")
	var ready bool
	if tb.Evaluate(`!document.querySelector('dialog button[type=submit]').disabled`, &ready); ready {
		t.Error("120 messages can be deleted without typing their number")
	}
	tb.Fill("dialog input[name=typed]", "120")
	tb.judge("removal")
	tb.Tap("dialog button[type=submit]")
	tb.Wait(".said", "120 deleted.")
	var left struct{ Items []struct{ Name string } }
	w.ask("GET", "topics?under=many", token, nil, &left)
	if len(left.Items) != 0 {
		t.Errorf("%d topics are left", len(left.Items))
	}
}

// An admin makes a user with rights for one thing, and the dashboard says by which rule.
func TestUsersAndRights(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tb := w.login(t, "admin", desktop)
	tb.visit("users")
	tb.Tap("main .head button")
	tb.Fill("dialog input[name=name]", "<b>lamp")
	tb.Tap("dialog label:has(input[name=limited])")
	tb.Tap("dialog button[type=submit]")
	tb.Wait("dialog .secret", "")
	secret := strings.TrimSpace(tb.Text("dialog .secret"))
	tb.Tap("dialog .primary")
	tb.Tap("main table a")
	tb.settled()
	tb.Tap("main .cardhead button")
	tb.Fill("dialog input[name=filter]", "home/lamp/#")
	tb.Tap("dialog button[type=submit]")
	tb.Wait("main table", "home/lamp/#")
	tb.Fill("main input[name=topic]", "home/lamp/state")
	tb.Tap("main form button[type=submit]")
	tb.Wait("#may-answer", "Yes, allowed.")
	tb.Fill("main input[name=topic]", "home/door")
	tb.Tap("main form button[type=submit]")
	tb.Wait("#may-answer", "No.")
	c := testbed.Dial(t, w.Addr(t, "PORT"), packet.V5)
	if _, err := c.Connect(&packet.Connect{ClientID: "x", HasUsername: true, Username: "<b>lamp", HasPassword: true, Password: []byte(secret)}); err != nil {
		t.Errorf("the user that was made: %v", err)
	}
}

// Everything can be reached by the keyboard.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tb := w.login(t, "operator", desktop)
	tb.Press("g")
	tb.Press("l")
	tb.Wait("main h1", "Listeners")
	tb.Press("?")
	tb.Wait("dialog h2", "Keyboard")
	tb.judge("keys")
	tb.Press("Escape")
	gone := func(selector string) {
		t.Helper()
		testbed.Eventually(t, func() error {
			var there bool
			if tb.Evaluate(fmt.Sprintf("document.querySelector(%q) !== null", selector), &there); there {
				return errors.New(selector + " is still there")
			}
			return nil
		})
	}
	gone("dialog")
	tb.Press("g")
	tb.Press("a") // it is for admins
	tb.Wait("main h1", "Listeners")
	w.connect("lamp7", false)
	w.connect("door", false)
	tb.Press("/")
	tb.Wait("#search:focus", "")
	for _, key := range []string{"l", "a", "m", "p"} {
		tb.Press(key)
	}
	tb.Wait("main table", "lamp7")
	gone("main tbody tr + tr")
	tb.Press("Escape")
	tb.Press("g")
	tb.Press("o")
	tb.Wait("main h1", "Overview")
}

// leaveSession connects a client and ends its connection, which its session outlives.
func (w *world) leaveSession(id string) error {
	conn, err := net.DialTimeout("tcp", w.Addr(w.t, "PORT"), testbed.Patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	c := testbed.NewClient(conn, packet.V5)
	if _, err := c.Connect(&packet.Connect{ClientID: id, Props: (&packet.Properties{SessionExpiry: 3600}).Set(packet.SessionExpiryInterval)}); err != nil {
		return err
	}
	return c.Send(&packet.Disconnect{})
}

// Ten thousand sessions are looked through part by part.
func TestManySessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const all, hands = 10_000, 8
	failed := make(chan error, hands)
	for hand := range hands {
		go func() {
			for i := hand; i < all; i += hands {
				if err := w.leaveSession(fmt.Sprintf("dev-%05d", i)); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range hands {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	tb := w.login(t, "viewer", looks[0].Screen)
	tb.visit("clients?view=all")
	tb.Wait("main .foot", "共 10,000 个会话，显示 100 个")
	tb.Tap("main .foot button")
	tb.Wait("main .foot", "共 10,000 个会话，显示 200 个")
	tb.judge("many")
	tb.Fill("#search", "dev-09999")
	tb.Wait("main .foot", "显示 1 个")
	tb.Wait("main tbody", "dev-09999")
	tb.visit("overview")
	tb.judge("overview")
}

// A broker that is gone is said to be, and shown again when it is back; its restart has ended the login.
func TestBrokerGoneAndBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tb := w.login(t, "admin", desktop)
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	tb.Wait("main .notice", "The broker does not answer.")
	w.Run(t)
	tb.Wait("main.login .notice", "the login has ended")
	if v := tb.Seen().Violations; len(v) > 0 {
		t.Errorf("the content security policy is violated: %q", v)
	}
}
