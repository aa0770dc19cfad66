//go:build unix

package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"picket/internal/testbed"
	"picket/packet"
)

// preview is the answer to a dry run.
type preview struct {
	DryRun        bool `json:"dry_run"`
	Changed       bool
	Disconnected  int
	Clients       []string
	Lost          int `json:"lost_subscriptions"`
	Subscriptions []struct {
		Client string `json:"client_id"`
		Filter string
	}
	Password  string
	Responses []struct{ Command, Error string }
}

// brief is what the preview says of clients.
func (p preview) brief() string {
	lost := []string{}
	for _, s := range p.Subscriptions {
		lost = append(lost, s.Client+":"+s.Filter)
	}
	return strings.Join(p.Clients, " ") + "; " + strings.Join(lost, " ")
}

// tagged asks with a condition, and returns the answer with its status, its body and its ETag.
func (w *world) tagged(role, method, path, body, match string) (status int, data []byte, etag string) {
	w.t.Helper()
	r := w.request(method, "/api/v1/"+path, w.tokens[role], body)
	if match != "" {
		r.Header.Set("If-Match", match)
	}
	res, data := w.do(r)
	return res.StatusCode, data, res.Header.Get("ETag")
}

// user has a user logged in that has subscribed to filters.
func (w *world) user(name string, filters ...string) *testbed.Client {
	w.t.Helper()
	c := testbed.Dial(w.t, w.Addr(w.t, "PORT"), packet.V5)
	if _, err := c.Connect(&packet.Connect{ClientID: name, KeepAlive: 600, HasUsername: true, Username: name, HasPassword: true, Password: []byte("secret")}); err != nil {
		w.t.Fatal(err)
	}
	for _, f := range filters {
		if err := c.Send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: f}}}); err != nil {
			w.t.Fatal(err)
		}
		if _, err := testbed.Until[*packet.Suback](c); err != nil {
			w.t.Fatal(err)
		}
	}
	return c
}

// pbkdf2 is what mosquitto_passwd makes of a password, in its form.
var pbkdf2 = "$7$101$AAAAAAAAAAAAAAAA$" + strings.Repeat("A", 86) + "=="

// rehearsals are changes, with what each would do while ann and ben are connected.
var rehearsals = []struct {
	method, path, body string
	changed            bool
	effect             string
}{
	{"POST", "users", `{"name": "new"}`, true, "; "},
	{"PATCH", "user?name=ann", `{"disabled": true}`, true, "ann; "},
	{"PATCH", "user?name=ann", `{"password": "other"}`, true, "ann; "},
	{"PATCH", "user?name=ben", `{"disabled": false}`, false, "; "},
	{"DELETE", "user?name=ann", "", true, "ann; "},
	{"POST", "rules", `{"user": "ann", "action": "subscribe", "filter": "a/x", "allow": false}`, true, "ann; ann:a/x"},
	{"POST", "rules", `{"user": "ann", "action": "all", "filter": "a/#", "allow": true}`, false, "; "},
	{"DELETE", "rules?user=ann&action=all&filter=a/%23&allow=true", "", true, "ann; ann:a/# ann:a/x"},
	{"POST", "rights", `{"commands": [{"command": "setDefaultACLAccess", "acls": [{"acltype": "subscribe", "allow": true}]}, {"command": "nonsense"}]}`, true, "; "},
	{"POST", "rights", `{"commands": [{"command": "listClients"}]}`, false, "; "},
	{"POST", "rights/file", `{"replace": true, "dynamic_security": {"roles": [{"rolename": "user:ben", "acls": [{"acltype": "subscribePattern", "topic": "b/#", "allow": true}]}]}}`, true, "ben; ben:a/#"},
	{"POST", "rights/file", `{"passwords": "ann:$7$101$AAAAAAAAAAAAAAAA$AAAA\nnew:` + pbkdf2 + `\n"}`, true, "; "},
	{"POST", "bans", `{"kind": "prefix", "value": "be"}`, true, "ben; "},
	{"POST", "bans", `{"kind": "user", "value": "ann"}`, true, "ann; "},
	{"POST", "bans", `{"kind": "address", "value": "127.0.0.0/8", "force": true}`, true, "ann ben; "},
	{"DELETE", "ban?kind=user&value=mallory", "", true, "; "},
}

// A dry run says whom a change would meet, and changes nothing: not what is in force, not who is connected, not the audit file. It takes the role that the change takes.
func TestDryRun(t *testing.T) {
	w := newWorld(t)
	for _, u := range []string{"ann", "ben"} {
		w.ask(201, "POST", "users", `{"name": "`+u+`", "password": "secret", "limited": true}`, nil)
		w.ask(200, "POST", "rules", `{"user": "`+u+`", "action": "all", "filter": "a/#", "allow": true}`, nil)
	}
	w.ask(201, "POST", "bans", `{"kind": "user", "value": "mallory"}`, nil)
	w.user("ann", "a/#", "a/x")
	ben := w.user("ben", "a/#")
	_, users, _ := w.tagged("admin", "GET", "users", "", "")
	_, bans, _ := w.tagged("admin", "GET", "bans", "", "")
	lines := len(w.audited("data/audit.jsonl"))
	for _, r := range rehearsals {
		path := r.path + map[bool]string{true: "&", false: "?"}[strings.Contains(r.path, "?")] + "dry_run=true"
		var p preview
		w.ask(200, r.method, path, r.body, &p)
		if !p.DryRun || p.Changed != r.changed || p.brief() != r.effect || p.Disconnected != len(p.Clients) || p.Lost != len(p.Subscriptions) || p.Password != "" {
			t.Errorf("%s %s %s: %+v, want %t %q", r.method, r.path, r.body, p, r.changed, r.effect)
		}
		if _, data, _ := w.tagged("viewer", r.method, path, r.body, ""); !strings.Contains(string(data), "role-missing") || strings.Contains(string(data), `"ann"`) {
			t.Errorf("%s %s by a viewer: %s", r.method, r.path, data)
		}
	}
	w.ask(404, "DELETE", "user?name=nobody&dry_run=true", "", nil)
	w.ask(404, "DELETE", "ban?kind=user&value=nobody&dry_run=true", "", nil)
	w.ask(422, "POST", "bans?dry_run=true", `{"kind": "address", "value": "127.0.0.1"}`, nil)
	w.ask(400, "POST", "publish?dry_run=true", `{"topic": "a"}`, nil)
	if err := ben.Send(packet.Pingreq{}); err != nil {
		t.Fatal(err)
	}
	if _, err := testbed.Until[packet.Pingresp](ben); err != nil {
		t.Errorf("ben is not connected any more: %v", err)
	}
	if _, now, _ := w.tagged("admin", "GET", "users", "", ""); !reflect.DeepEqual(now, users) {
		t.Errorf("the users are %s\nwere %s", now, users)
	}
	if _, now, _ := w.tagged("admin", "GET", "bans", "", ""); !reflect.DeepEqual(now, bans) {
		t.Errorf("the bans are %s\nwere %s", now, bans)
	}
	if all := w.audited("data/audit.jsonl"); !reflect.DeepEqual(lines, withoutPublish(all)) {
		t.Errorf("the audit file has more: %+v", all[lines:])
	}
}

// withoutPublish counts the entries but those of messages, which know no dry run.
func withoutPublish(all []entry) (n int) {
	for _, e := range all {
		if !strings.Contains(e.Request, "publish") {
			n++
		}
	}
	return n
}

// With an ETag a change is made only to what was read; of two who have read the same, one comes too late.
func TestRevisions(t *testing.T) {
	w := newWorld(t)
	_, _, first := w.tagged("viewer", "GET", "users", "", "")
	status, _, second := w.tagged("admin", "POST", "users", `{"name": "ann", "limited": true}`, first)
	if status != 201 || first == "" || second == first {
		t.Fatalf("%d, %s then %s", status, first, second)
	}
	for _, r := range rehearsals[1:12] {
		status, data, _ := w.tagged("admin", r.method, r.path, r.body, first)
		var p struct{ Cause string }
		if err := json.Unmarshal(data, &p); err != nil || status != 412 || p.Cause != "api-revision" {
			t.Errorf("%s %s: %d %s", r.method, r.path, status, data)
		}
	}
	if _, _, now := w.tagged("viewer", "GET", "user?name=ann", "", ""); now != second {
		t.Errorf("the revision is %s, was %s", now, second)
	}
	status, _, third := w.tagged("admin", "POST", "rules", `{"user": "ann", "action": "all", "filter": "a/#", "allow": true}`, second)
	if status != 200 || third == second {
		t.Errorf("%d, %s then %s", status, second, third)
	}
	if status, _, _ := w.tagged("admin", "PATCH", "user?name=ann", `{"password": "x", "disabled": true}`, third); status != 200 {
		t.Errorf("two changes in one request: %d", status)
	}
	_, _, was := w.tagged("viewer", "GET", "users", "", "")
	if err := w.Kill(); err != nil {
		t.Fatal(err)
	}
	w.Run(t)
	if _, _, now := w.tagged("viewer", "GET", "users", "", ""); now != was {
		t.Errorf("after a restart the revision is %s, was %s", now, was)
	}
	_, _, none := w.tagged("viewer", "GET", "bans", "", "")
	status, _, one := w.tagged("operator", "POST", "bans", `{"kind": "user", "value": "mallory"}`, none)
	if again, _, _ := w.tagged("operator", "POST", "bans", `{"kind": "user", "value": "eve"}`, none); status != 201 || again != 412 {
		t.Errorf("bans: %d, then %d", status, again)
	}
	for match, want := range map[string]int{none: 412, `"` + strings.Trim(one, `"`): 400, "W/" + one: 400, one + ", " + none: 400, "": 200} {
		if status, data, _ := w.tagged("operator", "DELETE", "ban?kind=user&value=mallory&dry_run=true", "", match); status != want {
			t.Errorf("If-Match: %s: %d, want %d %s", match, status, want, data)
		}
	}
	if status, _, _ := w.tagged("operator", "POST", "publish", `{"topic": "a"}`, `"x"`); status != http.StatusBadRequest {
		t.Errorf("If-Match for what has no revision: %d", status)
	}
	if status, _, _ := w.tagged("operator", "DELETE", "ban?kind=user&value=mallory", "", one); status != 200 {
		t.Errorf("lifting the ban: %d", status)
	}
}
