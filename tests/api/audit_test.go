//go:build unix

package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"picket/internal/testbed"
)

// entry is a line of the audit file.
type entry struct{ Time, By, Role, From, Request, What, Result, Why string }

// brief is an entry in one line.
func (e entry) brief() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s: %s", e.By, e.Request, e.What, e.Result))
}

// audited reads an audit file, the oldest first.
func (w *world) audited(name string) (all []entry) {
	w.t.Helper()
	f, err := os.Open(w.Path(name))
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 {
		w.t.Errorf("%s: %v %v", name, info.Mode(), err)
	}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Time == "" || e.By == "" || e.Request == "" || e.Result == "" {
			w.t.Errorf("%v: %s", err, lines.Text())
		}
		all = append(all, e)
	}
	return all
}

// last is the request of the newest entry.
func (w *world) last() string {
	w.t.Helper()
	all := w.audited("data/audit.jsonl")
	return all[len(all)-1].Request
}

// Every change is in the file with who made it and what has become of it, by whichever way it came; nothing secret is. What is listed is what is in the file.
func TestAudit(t *testing.T) {
	w := newWorld(t)
	w.connect("lamp", true)
	w.ask(201, "POST", "bans", `{"kind": "user", "value": "mallory"}`, nil)
	w.ask(404, "DELETE", "ban?kind=user&value=nobody", "", nil)
	w.ask(201, "POST", "users", `{"name": "ada", "password": "hidden-one"}`, nil)
	w.ask(200, "POST", "rights", `{"commands": [{"command": "createRole", "rolename": "r"}, {"command": "setClientPassword", "username": "nobody", "password": "hidden-two"}]}`, nil)
	w.ask(200, "POST", "publish", `{"topic": "a", "payload": "hidden-three"}`, nil)
	w.ask(200, "GET", "status", "", nil)
	var told []string
	for _, command := range [][]string{{"ban", "user", "eve"}, {"unban", "user", "eve"}, {"ctl", "disconnect", "lamp"}, {"ctl", "reload"}, {"ctl", "maintenance", "on"}, {"ctl", "maintenance", "off"},
		{"ctl", "backup", w.Path("backup.tar")}, {"user", "list"}, {"user", "add", "bob"}, {"allow", "bob", "publish", "home/#"}} {
		said, err := w.picket(command...)
		if err != nil {
			t.Errorf("%q: %v %s", command, err, said)
		}
		told = append(told, strings.Fields(said)...) // a password is among it
	}
	all := w.audited("data/audit.jsonl")
	var got []string
	for _, e := range all {
		got = append(got, e.brief())
	}
	socket := fmt.Sprintf("uid %d at the admin socket ", os.Getuid())
	for _, want := range []string{
		socket + `POST /api/v1/tokens name="admin" role=admin: done`,
		`token admin POST /api/v1/bans kind="user" value="mallory": done`, `token admin DELETE /api/v1/ban kind="user" value="nobody": not done`,
		`token admin POST /api/v1/users name=ada: done`, `token admin POST /api/v1/rights createRole rolename="r"; setClientPassword username="nobody": done in part`,
		socket + `POST /api/v1/bans kind="user" value="eve": done`, socket + `DELETE /api/v1/ban kind="user" value="eve": done`, socket + `DELETE /api/v1/client id="lamp": done`, socket + `POST /api/v1/reload : done`,
		socket + `DELETE /api/v1/maintenance : done`, socket + `GET /api/v1/backup keys="false": done`,
	} {
		if !slices.Contains(got, want) {
			t.Errorf("missing: %s\n%s", want, strings.Join(got, "\n"))
		}
	}
	for _, part := range []string{"createClient username=\"bob\"", "topic=\"home/#\"", "PUT /api/v1/maintenance"} {
		if !slices.ContainsFunc(got, func(s string) bool {
			return strings.HasPrefix(s, socket) && strings.Contains(s, part) && strings.HasSuffix(s, ": done")
		}) {
			t.Errorf("missing: %s", part)
		}
	}
	text, err := os.ReadFile(w.Path("data/audit.jsonl"))
	if err != nil || strings.Contains(string(text), "hidden") || strings.Contains(string(text), w.tokens["admin"]) || strings.Contains(string(text), "listClients") || strings.Contains(string(text), "GET /api/v1/status") {
		t.Errorf("%v: a secret, or what changes nothing, is in the file", err)
	}
	for _, word := range told {
		if len(word) > 15 && !strings.Contains(word, "/") && strings.Contains(string(text), word) {
			t.Errorf("%q is in the file", word)
		}
	}
	if said := w.Said(); !strings.Contains(said, `API: `+socket[:len(socket)-1]+`: POST /api/v1/bans kind="user" value="eve": done.`) {
		t.Error("what ctl changes is not in the log")
	}
	w.listed(all)
}

// listed looks whether the API lists what is in the file, each once, page by page, and to an admin only.
func (w *world) listed(all []entry) {
	w.t.Helper()
	for _, role := range []string{"metrics", "viewer", "operator"} {
		if res, _ := w.do(w.request("GET", "/api/v1/audit", w.tokens[role], "")); res.StatusCode != http.StatusForbidden {
			w.t.Errorf("the role %s: %s", role, res.Status)
		}
	}
	var pages []entry
	for cursor, first := "", true; first || cursor != ""; first = false {
		var page struct {
			Items []entry
			Next  string
		}
		v := url.Values{"limit": {"3"}}
		if cursor != "" {
			v.Set("cursor", cursor)
		}
		w.ask(200, "GET", "audit?"+v.Encode(), "", &page)
		pages, cursor = append(pages, page.Items...), page.Next
	}
	slices.Reverse(pages)
	if !slices.Equal(pages, all) {
		w.t.Errorf("listed are\n%+v\nand in the file\n%+v", pages, all)
	}
}

// A file that logrotate has moved away is left alone after SIGHUP. One that cannot be written keeps nobody from a change, is told with its cause, and is tried again.
func TestAuditFile(t *testing.T) {
	w := newWorld(t)
	if err := os.Rename(w.Path("data/audit.jsonl"), w.Path("data/audit.jsonl.1")); err != nil {
		t.Fatal(err)
	}
	old := len(w.audited("data/audit.jsonl.1"))
	if err := os.Mkdir(w.Path("data/audit.jsonl"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.Signal(syscall.SIGHUP)
	w.said(w.Process, "Warning: The audit file cannot be written: ")
	w.ask(201, "POST", "bans", `{"kind": "user", "value": "in-the-old-one"}`, nil)
	if now := w.audited("data/audit.jsonl.1"); len(now) != old+1 {
		t.Errorf("%d lines, and there were %d", len(now), old)
	}
	var causes struct{ Items []struct{ Count int } }
	if w.ask(200, "GET", "causes?id=audit-not-written", "", &causes); len(causes.Items) != 1 || causes.Items[0].Count == 0 {
		t.Errorf("%+v", causes)
	}
	if err := os.Remove(w.Path("data/audit.jsonl")); err != nil {
		t.Fatal(err)
	}
	w.Signal(syscall.SIGHUP)
	testbed.Eventually(t, func() error {
		_, err := os.Stat(w.Path("data/audit.jsonl"))
		return err
	})
	w.ask(201, "POST", "bans", `{"kind": "user", "value": "in-the-new-one"}`, nil)
	if now := w.audited("data/audit.jsonl"); len(now) == 0 || now[len(now)-1].What != `kind="user" value="in-the-new-one"` {
		t.Errorf("%+v", now)
	}
}
