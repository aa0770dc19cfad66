//go:build unix

package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"picket/internal/testbed"
	"picket/packet"
)

// The examples of the documentation are carried out by bash and curl as they stand there, the same in both languages.
func TestDocumentation(t *testing.T) {
	english, examples := documented(t, "api.md")
	if chinese, same := documented(t, "api.zh-CN.md"); len(examples) < 30 || chinese != english || !slices.Equal(same, examples) {
		t.Errorf("the pages differ:\n%s%q\n%s%q", english, examples, chinese, same)
	}
	w := newWorld(t)
	define := strings.NewReplacer("http://127.0.0.1:9883", w.base(), "pkt_...", w.tokens["admin"]).Replace(english)
	w.connect("lamp", true)
	w.connect("old-lamp", true)
	for _, example := range examples {
		cmd := exec.Command("bash", "-c", define+"\n"+example)
		cmd.Dir = t.TempDir()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", example, err, out)
		}
	}
}

// documented returns how a page defines api, and the examples that use it.
func documented(t *testing.T, page string) (define string, examples []string) {
	t.Helper()
	data, err := os.ReadFile("../../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(data), "\n    API=")
	define, _, end := strings.Cut(rest, "\n\n")
	if !ok || !end {
		t.Fatalf("%s does not define api", page)
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		if example, ok := strings.CutPrefix(line, "    $ api "); ok {
			examples = append(examples, "api "+example)
		}
	}
	return strings.ReplaceAll("API="+define, "\n    ", "\n"), examples
}

// A message goes to a real client; its connection is ended with the reason that was given, and a client whose id is HTML is text in JSON.
func TestRealClients(t *testing.T) {
	w := newWorld(t)
	const id = `<img src=x onerror=alert(1)>&"`
	sub := w.subscriber(id, "news/#")
	w.ask(200, "POST", "publish", `{"topic": "news/now", "payload": "it <works>", "qos": 1, "retain": true}`, nil)
	w.said(sub, "news/now it <works>")
	res, data := w.do(w.request("GET", "/api/v1/client"+query("id", id), w.tokens["viewer"], ""))
	if strings.Contains(string(data), "<") || res.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v %s", res.Header, data)
	}
	var one struct {
		ID      string
		Filters []string
	}
	if err := json.Unmarshal(data, &one); err != nil || one.ID != id || len(one.Filters) != 1 || one.Filters[0] != "news/#" {
		t.Errorf("got %+v, %v", one, err)
	}
	w.ask(200, "DELETE", "client"+query("id", id)+"&reason=enough+now", "", nil)
	w.said(w.Process, "enough now")
	five := w.connect("five", false)
	w.ask(200, "DELETE", "client?id=five&reason=you+too", "", nil)
	if d, err := testbed.Until[*packet.Disconnect](five); err != nil || d.Code != packet.AdministrativeAction || d.Props == nil || !strings.Contains(d.Props.ReasonString, "you too") {
		t.Errorf("got %+v, %v", d, err)
	}
	w.said(w.Process, "API: token admin (admin) from 127.0.0.1: DELETE /api/v1/client id=")
	if said := w.Said(); strings.Contains(said, w.tokens["admin"]) {
		t.Error("a token is in the log")
	}
}

// What is allowed to somebody at run time counts for messages in that name; a session that is ended is gone with what waits in it; a filter deletes what it showed.
func TestWhatChanges(t *testing.T) {
	w := newWorld(t)
	w.ask(201, "POST", "users", `{"name": "lamp", "password": "secret", "limited": true}`, nil)
	as := `{"topic": "home/lamp", "payload": "1", "retain": true, "as_user": "lamp"}`
	w.ask(403, "POST", "publish", as, nil)
	w.ask(200, "POST", "rules", `{"user": "lamp", "action": "publish", "filter": "home/#", "allow": true}`, nil)
	w.ask(200, "POST", "publish", as, nil)
	var may struct {
		Allow bool
		Rule  string
	}
	if w.ask(200, "GET", "rules/check?user=lamp&action=publish&topic=home/x", "", &may); !may.Allow || !strings.Contains(may.Rule, "home/#") {
		t.Errorf("got %+v", may)
	}

	c := w.connect("away", true)
	if err := c.Send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: "q/#", QoS: 1}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := testbed.Until[*packet.Suback](c); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(&packet.Disconnect{}); err != nil {
		t.Fatal(err)
	}
	var page struct{ Items []struct{ ID string } }
	testbed.Eventually(t, func() error {
		if w.ask(200, "GET", "sessions?where=connected%3Dfalse", "", &page); len(page.Items) != 1 {
			return fmt.Errorf("away are %+v", page.Items)
		}
		return nil
	})
	for range 3 {
		w.ask(200, "POST", "publish", `{"topic": "q/1", "payload": "waits", "qos": 1}`, nil)
	}
	if w.ask(200, "GET", "sessions?where=queued%3E2&sort=-queued", "", &page); len(page.Items) != 1 || page.Items[0].ID != "away" {
		t.Errorf("queued are %+v", page.Items)
	}
	w.ask(200, "DELETE", "session?id=away", "", nil)
	w.ask(404, "GET", "client?id=away", "", nil)

	var gone struct {
		Removed bool
		Count   int
		Topics  []string
		Confirm string
	}
	w.ask(200, "PUT", "retained?topic=home/b", `{"payload": "2"}`, nil)
	if w.ask(200, "DELETE", "retained?filter=home/%2B", "", &gone); gone.Removed || gone.Count != 2 || len(gone.Topics) != 2 {
		t.Errorf("the preview is %+v", gone)
	}
	w.ask(200, "PUT", "retained?topic=home/b", `{"payload": "3"}`, nil)
	w.ask(409, "DELETE", "retained?filter=home/%2B"+"&confirm="+gone.Confirm, "", nil)
	w.ask(200, "DELETE", "retained?filter=home/%2B", "", &gone)
	if w.ask(200, "DELETE", "retained?filter=home/%2B"+"&confirm="+gone.Confirm, "", &gone); !gone.Removed || gone.Count != 2 {
		t.Errorf("got %+v", gone)
	}
	w.ask(404, "GET", "retained?topic=home/b", "", nil)
	w.again()
	w.ask(404, "GET", "retained?topic=home/b", "", nil)
	w.ask(404, "GET", "client?id=away", "", nil)
}

// again ends the broker without warning, and starts it.
func (w *world) again() {
	w.t.Helper()
	if err := w.Kill(); err != nil {
		w.t.Fatal(err)
	}
	w.Run(w.t)
}

// A token is known until it is removed: over a crash, and a reload. Removed it is out at once. Wrong ones are bounded, and the socket is not.
func TestTokens(t *testing.T) {
	w := newWorld(t)
	status := func(secret string) int {
		res, _ := w.do(w.request("GET", "/api/v1/status", secret, ""))
		return res.StatusCode
	}
	short := w.token("short", "--role", "operator", "--expires", "1h")
	w.again()
	if status(short) != 200 || status(w.tokens["viewer"]) != 200 {
		t.Error("tokens are lost with a crash")
	}
	if said, err := w.picket("ctl", "reload"); err != nil {
		t.Fatal(said)
	}
	if status(short) != 200 {
		t.Error("a token is lost with a reload")
	}
	if said, err := w.picket("ctl", "token", "list"); err != nil || !strings.Contains(said, "short  operator  until 2") || strings.Contains(said, short) {
		t.Errorf("%v %s", err, said)
	}
	if said, err := w.picket("ctl", "token", "remove", "short"); err != nil {
		t.Fatal(said)
	}
	if s := status(short); s != http.StatusUnauthorized {
		t.Errorf("a removed token: %d", s)
	}
	if said, err := w.picket("ctl", "token", "remove", "short"); err == nil || !strings.Contains(said, "no token") {
		t.Errorf("%v %s", err, said)
	}
	var last *http.Response
	for range 30 {
		if last, _ = w.do(w.request("GET", "/api/v1/status", "pkt_000000000000_wrong", "")); last.StatusCode == http.StatusTooManyRequests {
			break
		}
	}
	if last.StatusCode != http.StatusTooManyRequests || last.Header.Get("Retry-After") == "" {
		t.Errorf("30 wrong tokens: %s %v", last.Status, last.Header)
	}
	if s := status(w.tokens["viewer"]); s != http.StatusOK {
		t.Errorf("a right token from the address of the wrong ones: %d", s)
	}
	if said, err := w.picket("ctl", "token", "list"); err != nil {
		t.Errorf("at the socket: %s", said)
	}
	w.said(w.Process, "[token-refused]")
	w.said(w.Process, "[token-guessed]")
	info, err := os.Stat(w.Path("data/tokens.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}
