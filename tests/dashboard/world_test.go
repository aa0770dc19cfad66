//go:build unix

package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	testbed.SideBySide(4)
	var stop func()
	var err error
	if chrome, stop, err = browser.Start(os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop()
	return m.Run()
}

const conf = `user root
log_dest stdout
log_type all
data_dir ${DIR}/data
persistence true
rights_file ${DIR}/rights.json
admin_socket ${DIR}/admin.sock
listener ${PORT} 127.0.0.1
allow_anonymous true
listener ${PORT_WEB} 127.0.0.1
protocol http_api
listener ${PORT_TLS} 127.0.0.1
certfile ${CERT}
keyfile ${KEY}
`

// world is a broker that a dashboard is looked at of.
type world struct {
	*testbed.Broker
	t *testing.T
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{testbed.Start(t, testbed.Options{Conf: conf, Ready: " running"}), t}
}

func (w *world) base() string { return "http://" + w.Addr(w.t, "PORT_WEB") + "/" }

// ctl runs a command of picket ctl for the broker and returns what it says.
func (w *world) ctl(args ...string) string {
	w.t.Helper()
	cmd := exec.Command(testbed.Picket(w.t), append([]string{"ctl"}, args...)...)
	cmd.Env = append(os.Environ(), "PICKET_SOCKET="+w.Path("admin.sock"), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("picket ctl %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// link makes a link that lets in once.
func (w *world) link(role string) string {
	w.t.Helper()
	link, _, _ := strings.Cut(w.ctl("login", "--role", role), "\n")
	return link
}

// ask has the role admin ask the API, and reads the answer.
func (w *world) ask(method, path, token string, body, into any) {
	w.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	if body == nil {
		data = nil
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.base()+"api/v1/"+path, bytes.NewReader(data))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		w.t.Fatalf("%s %s: %s %v %s", method, path, res.Status, err, answer)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			w.t.Fatal(err)
		}
	}
}

// token makes one with the role admin.
func (w *world) token() string {
	w.t.Helper()
	secret, _, _ := strings.Cut(w.ctl("token", "add", "test", "--role", "admin"), "\n")
	return secret
}

// connect connects a client that speaks MQTT 5; keep: its session outlives its connection.
func (w *world) connect(id string, keep bool, filters ...string) *testbed.Client {
	w.t.Helper()
	c := testbed.Dial(w.t, w.Addr(w.t, "PORT"), packet.V5)
	p := &packet.Connect{ClientID: id, KeepAlive: 6000}
	if keep {
		p.Props = (&packet.Properties{SessionExpiry: 3600}).Set(packet.SessionExpiryInterval)
	}
	if _, err := c.Connect(p); err != nil {
		w.t.Fatal(err)
	}
	if len(filters) == 0 {
		return c
	}
	s := &packet.Subscribe{ID: 1}
	for _, f := range filters {
		s.Filters = append(s.Filters, packet.Subscription{Filter: f, QoS: 1})
	}
	if err := c.Send(s); err != nil {
		w.t.Fatal(err)
	}
	if _, err := testbed.Until[*packet.Suback](c); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// Names that others choose: as HTML, very long, from right to left, and made to look like something else.
var (
	html   = `<img src=x onerror="window.hurt=1"><b>bold</b>`
	long   = strings.Repeat("averylongname", 20)
	arabic = "جهاز-الاستشعار"
	names  = []string{html, long, arabic, "lamp\u202egnp.exe", `"'&amp;</td><script>window.hurt=1</script>`}
)

// fill gives every page something to show.
func (w *world) fill() {
	w.t.Helper()
	token := w.token()
	for _, name := range names {
		w.connect(name, true, "home/"+strings.ReplaceAll(name, "/", "."), name+"/#")
		w.ask("POST", "publish", token, map[string]any{"topic": "home/" + name, "payload": `{"name": "` + name + `"}`, "retain": true}, nil)
		w.ask("POST", "users", token, map[string]any{"name": name, "password": "x", "limited": true}, nil)
		w.ask("POST", "rules", token, map[string]any{"user": name, "action": "all", "filter": name + "/#", "allow": true}, nil)
	}
	w.ask("POST", "publish", token, map[string]any{"topic": "bytes", "payload_base64": "AP8B", "retain": true}, nil)
	w.ask("POST", "bans", token, map[string]any{"kind": "client", "value": html + "banned", "why": html}, nil)
	refused := testbed.Dial(w.t, w.Addr(w.t, "PORT"), packet.V5)
	if _, err := refused.Connect(&packet.Connect{ClientID: html + "banned", HasUsername: true, Username: html}); err == nil {
		w.t.Fatal("who is banned is let in")
	}
}

// tab is a page of a test.
type tab struct {
	*browser.Tab
	t    *testing.T
	w    *world
	gone bool // the page has asked for what is not there any more, of which browsers always say so
}

// look is what a page is looked at on.
type look struct {
	name string
	lang cause.Lang
	browser.Screen
}

var looks = []look{
	{"phone", cause.Chinese, browser.Screen{Width: 360, Height: 640, Lang: "zh-CN", Dark: true}},
	{"desktop", cause.English, browser.Screen{Width: 1280, Height: 800, Lang: "en-GB", Desktop: true}},
}

// login opens the dashboard by a link.
func (w *world) login(t *testing.T, role string, s browser.Screen) *tab {
	t.Helper()
	s.URL = w.link(role)
	tb := &tab{Tab: chrome.Open(t, s), t: t, w: w}
	tb.Wait("main h1", "")
	return tb
}

// visit goes to a page, and waits until it has what it shows.
func (tb *tab) visit(page string) {
	tb.t.Helper()
	tb.Evaluate(fmt.Sprintf("location.hash = %q", "#/"+page), nil)
	tb.settled()
}

// settled waits until nothing is being waited for.
func (tb *tab) settled() {
	tb.t.Helper()
	testbed.Eventually(tb.t, func() error {
		var busy int
		if tb.Evaluate(`document.querySelector('main h1') ? document.querySelectorAll('[aria-busy]').length : 1`, &busy); busy > 0 {
			return fmt.Errorf("%d parts are waited for", busy)
		}
		return nil
	})
}

// judge looks at the page as it stands: what every state of it has to be like.
func (tb *tab) judge(name string) {
	tb.t.Helper()
	if dir := os.Getenv("PAGE_SHOTS"); dir != "" {
		tb.Screenshot(filepath.Join(dir, strings.NewReplacer("/", "-", "Test", "").Replace(tb.t.Name())+"-"+strings.NewReplacer("/", "-", "?", "-").Replace(name)[:min(len(name), 30)]+".png"))
	}
	s := tb.Seen()
	if tb.gone {
		s.Console = slices.DeleteFunc(s.Console, func(line string) bool { return strings.Contains(line, "404 (Not Found)") })
	}
	for _, u := range s.URLs {
		if !strings.HasPrefix(u, tb.w.base()) && !strings.HasPrefix(u, "data:,") {
			tb.t.Errorf("%s: another host: %s", name, u)
		}
	}
	if len(s.Violations) > 0 || len(s.Console) > 0 {
		tb.t.Errorf("%s: the content security policy is violated: %q; the console says %q", name, s.Violations, s.Console)
	}
	for _, f := range tb.Faults() {
		tb.t.Errorf("%s: %s", name, f)
	}
	var hurt, secret bool
	if tb.Evaluate(`window.hurt === 1 || document.querySelector('main img, main script, main b b') !== null`, &hurt); hurt {
		tb.t.Errorf("%s: a name has become HTML", name)
	}
	if tb.Evaluate(`/login=/.test(location.href)`, &secret); secret {
		tb.t.Errorf("%s: the link's code is in the address", name)
	}
}

// quoted is a text as a page's address has it.
func quoted(s string) string {
	data, _ := json.Marshal(s) // a text can always be written
	return string(data)
}
