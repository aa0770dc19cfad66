//go:build unix

package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"picket/packet"
)

// example is a request that is carried out.
type example struct {
	method, path, body string
	status             int
}

// examples has one of each operation at least, in an order in which they can be carried out.
var examples = []example{
	{"GET", "openapi.json", "", 200}, {"GET", "version", "", 200}, {"GET", "systree", "", 200}, {"GET", "status", "", 200}, {"GET", "causes", "", 200}, {"GET", "causes?id=banned", "", 200},
	{"GET", "listeners", "", 200}, {"GET", "attempts", "", 200}, {"GET", "bans", "", 200},
	{"PUT", "maintenance", `{"message": "a disk", "grace_seconds": 3600, "except_local": true}`, 200}, {"GET", "status", "", 200}, {"DELETE", "maintenance", "", 200}, {"POST", "reload", "", 200},
	{"GET", "backup?keys=true", "", 200},
	{"POST", "bans", `{"kind": "user", "value": "mallory", "why": "<b>"}`, 201}, {"POST", "bans?dry_run=true", `{"kind": "user", "value": "x"}`, 200}, {"DELETE", "ban?kind=user&value=mallory&dry_run=true", "", 200}, {"GET", "bans", "", 200}, {"DELETE", "ban?kind=user&value=mallory", "", 200},
	{"GET", "clients", "", 200}, {"GET", "clients?where=id^%3Dw&where=connected%3Dtrue&limit=1", "", 200}, {"GET", "clients?sort=-queued&limit=1", "", 200}, {"GET", "sessions?sort=id&where=id>kept", "", 200}, {"GET", "sessions", "", 200}, {"GET", "client?id=watcher", "", 200},
	{"PUT", "client/subscriptions?id=watcher", `{"filter": "w/#", "qos": 1, "retain_handling": 2}`, 200}, {"GET", "client/subscriptions?id=watcher", "", 200}, {"DELETE", "client/subscriptions?id=watcher&filter=w/%23", "", 200},
	{"GET", "client/queue?id=watcher&payload=10", "", 200}, {"GET", "rates?count=1", "", 200}, {"GET", "rates?id=watcher&count=1", "", 200}, {"GET", "rates?sort=queued&count=1&limit=1", "", 200}, {"DELETE", "client?id=watcher&reason=x&keep_out=1h", "", 200}, {"DELETE", "session?id=kept", "", 200},
	{"POST", "publish", `{"topic": "a/b", "payload": "1", "retain": true}`, 200}, {"PUT", "retained?topic=a/c", `{"payload_base64": "/w=="}`, 200}, {"GET", "retained?topic=a/b", "", 200}, {"GET", "retained?topic=a/c", "", 200},
	{"GET", "receivers?topic=a/b", "", 200}, {"GET", "topics", "", 200}, {"GET", "topics?under=a&limit=1", "", 200}, {"DELETE", "retained?topic=a/b", "", 200}, {"DELETE", "retained?filter=a/%23", "", 200},
	{"POST", "users", `{"name": "lamp", "limited": true}`, 201}, {"GET", "users", "", 200}, {"POST", "rules", `{"user": "lamp", "action": "all", "filter": "a/#", "allow": true}`, 200}, {"GET", "user?name=lamp", "", 200},
	{"GET", "rules/check?user=lamp&action=publish&topic=a/b", "", 200}, {"GET", "rules/check?user=lamp&action=publish&topic=b", "", 200}, {"DELETE", "rules?user=lamp&action=all&filter=a/%23&allow=true", "", 200},
	{"POST", "users?dry_run=true", `{"name": "other"}`, 200}, {"PATCH", "user?name=lamp&dry_run=true", `{"disabled": true}`, 200}, {"DELETE", "user?name=lamp&dry_run=true", "", 200},
	{"POST", "rights?dry_run=true", `{"commands": [{"command": "listRoles"}, {"command": "nonsense"}]}`, 200}, {"PATCH", "user?name=lamp", `{"password": "secret", "disabled": true}`, 200}, {"DELETE", "user?name=lamp", "", 200}, {"POST", "rights", `{"commands": [{"command": "listRoles"}, {"command": "nonsense"}]}`, 200},
	{"GET", "rights/file", "", 200}, {"POST", "rights/file?dry_run=true", `{"passwords": "x:y"}`, 200}, {"POST", "rights/file", `{"replace": true, "dynamic_security": {"clients": [{"username": "imported"}]}}`, 200},
	{"POST", "logins", `{"role": "viewer"}`, 201}, {"GET", "logins", "", 200}, {"GET", "login", "", 200}, {"DELETE", "logins", "", 200},
	{"GET", "trace?client=watcher&for=1s", "", 200}, {"GET", "events?for=1s", "", 200}, {"GET", "messages?filter=a/%23&count=1&for=1s", "", 200},
	{"GET", "audit", "", 200}, {"GET", "audit?limit=1", "", 200}, {"GET", "tokens", "", 200}, {"POST", "tokens", `{"name": "x", "role": "viewer", "expires_seconds": 60}`, 201}, {"DELETE", "token?name=x", "", 200},
}

// described reads the document, and makes a validator of it.
func described(t *testing.T, w *world) (document map[string]any, v validator.Validator) {
	t.Helper()
	_, data := w.do(w.request("GET", "/api/v1/openapi.json", w.tokens["viewer"], ""))
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	document["servers"] = []any{map[string]any{"url": w.base() + "/api/v1"}}
	strict(document)
	data, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	read, err := libopenapi.NewDocument(data)
	if err != nil {
		t.Fatal(err)
	}
	v, all := validator.NewValidator(read)
	if all != nil {
		t.Fatal(all)
	}
	if ok, wrong := v.ValidateDocument(); !ok {
		for _, e := range wrong {
			t.Errorf("the document: %s %s %+v", e.Message, e.Reason, e.SchemaValidationErrors)
		}
	}
	return document, v
}

// strict lets the schemas take no members that they do not name: clients have to bear more, the test does not.
func strict(document map[string]any) {
	for _, schema := range document["components"].(map[string]any)["schemas"].(map[string]any) {
		if s := schema.(map[string]any); s["properties"] != nil {
			s["additionalProperties"] = false
		}
	}
}

// operations are those of the document, as "GET /clients", with their roles.
func operations(document map[string]any) map[string]string {
	all := make(map[string]string)
	for path, item := range document["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			all[strings.ToUpper(method)+" "+path] = operation.(map[string]any)["x-picket-role"].(string)
		}
	}
	return all
}

// The document is OpenAPI 3.1, and every operation of it answers as it is described, also when it says no.
func TestEveryRouteIsAsDescribed(t *testing.T) {
	w := newWorld(t)
	document, v := described(t, w)
	left := operations(document)
	w.connect("watcher", true)
	w.connect("kept", true)
	for _, e := range examples {
		path, _, _ := strings.Cut(e.path, "?")
		delete(left, e.method+" /"+path)
		r := w.request(e.method, "/api/v1/"+e.path, w.tokens["admin"], e.body)
		if ok, wrong := v.ValidateHttpRequest(r); !ok {
			for _, one := range wrong {
				t.Errorf("%s %s: %s: %s %+v", e.method, e.path, one.Message, one.Reason, one.SchemaValidationErrors)
			}
		}
		check(t, w, v, e)
		if last := w.last(); e.method != "GET" && !strings.Contains(e.path, "dry_run") && last != e.method+" /api/v1/"+path || path == "audit" && strings.Contains(last, path) {
			t.Errorf("after %s %s the last entry of the audit file is %s", e.method, e.path, last)
		}
	}
	delete(left, "POST /login")   // TestLogin follows a link,
	delete(left, "DELETE /login") // and logs out
	for operation := range left {
		t.Errorf("no example has %s", operation)
	}
	for _, e := range refused {
		check(t, w, v, e)
	}
}

// check carries out an example, and looks whether the answer is as described.
func check(t *testing.T, w *world, v validator.Validator, e example) {
	t.Helper()
	r := w.request(e.method, "/api/v1/"+e.path, w.tokens["admin"], e.body)
	res, data := w.do(r)
	if res.StatusCode != e.status {
		t.Errorf("%s %s: %s, want %d\n%.300s", e.method, e.path, res.Status, e.status, data)
		return
	}
	if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%s %s: %v", e.method, e.path, res.Header)
	}
	if kind := res.Header.Get("Content-Type"); kind != "application/json" && kind != "application/problem+json" {
		return // no JSON
	}
	res.Body = io.NopCloser(bytes.NewReader(data))
	if ok, wrong := v.ValidateHttpResponse(r, res); !ok && res.StatusCode != http.StatusMethodNotAllowed && res.StatusCode != http.StatusNotFound {
		for _, one := range wrong {
			t.Errorf("%s %s: %s: %s %+v\n%.300s", e.method, e.path, one.Message, one.Reason, one.SchemaValidationErrors, data)
		}
	}
	if res.StatusCode < 400 {
		return
	}
	var p struct{ Type, Title, Detail, Cause, Explain, Remedy string }
	if err := json.Unmarshal(data, &p); err != nil || p.Type != "urn:picket:cause:"+p.Cause || p.Title == "" || p.Detail == "" || p.Explain == "" || p.Remedy == "" {
		t.Errorf("%s %s: %v %s", e.method, e.path, err, data)
	}
}

// refused are requests that are not carried out.
var refused = []example{
	{"GET", "nothing", "", 404}, {"POST", "status", "", 405}, {"DELETE", "clients", "", 405},
	{"GET", "status?verbose=1", "", 400}, {"GET", "clients?limit=0", "", 400}, {"GET", "clients?limit=1001", "", 400}, {"GET", "clients?limit=1&limit=2", "", 400}, {"GET", "clients?where=x", "", 400},
	{"GET", "clients?where=queued~1", "", 400}, {"GET", "clients?cursor=%2B", "", 400}, {"GET", "clients?cursor=1&sort=queued", "", 400}, {"GET", "clients?sort=name", "", 400}, {"GET", "clients?where=%ff", "", 400}, {"GET", "clients?%zz", "", 400},
	{"GET", "client", "", 400}, {"GET", "client?id=nobody", "", 404}, {"DELETE", "client?id=nobody", "", 404}, {"DELETE", "client?id=kept&keep_out=1", "", 400}, {"GET", "client/subscriptions?id=nobody", "", 404},
	{"PUT", "client/subscriptions?id=nobody", `{"filter": "a", "qos": 0}`, 404}, {"PUT", "client/subscriptions?id=nobody", `{"filter": "a#", "qos": 0}`, 422}, {"PUT", "client/subscriptions?id=kept", `{"filter": "a", "qos": 3}`, 400},
	{"PUT", "client/subscriptions?id=kept", `{"filter": "a"}`, 400}, {"DELETE", "client/subscriptions?id=nobody&filter=a", "", 404}, {"GET", "client/queue?id=nobody", "", 404}, {"GET", "client/queue?id=kept&after=-1", "", 400}, {"GET", "rates?sort=id", "", 400}, {"GET", "events?about=x", "", 400}, {"GET", "messages?filter=a%23", "", 400}, {"GET", "messages?filter=$share/g/a", "", 400}, {"GET", "messages?filter=$CONTROL/%23", "", 400},
	{"GET", "status", "{}", 400}, {"POST", "publish", `{`, 400}, {"POST", "publish", `[]`, 400}, {"POST", "publish", `{"topic": "a"} {}`, 400}, {"POST", "publish", `{"topic": "a", "Topics": 1}`, 400}, {"POST", "publish", `{"topic": 1}`, 400},
	{"POST", "publish", `{"payload": "1"}`, 400}, {"POST", "publish", `{"topic": "a/#"}`, 422}, {"POST", "publish", `{"topic": "a", "qos": 3}`, 400}, {"POST", "publish", `{"topic": "$SYS/x"}`, 403}, {"POST", "publish", `{"topic": "$CONTROL/dynamic-security/v1"}`, 403},
	{"POST", "publish", `{"topic": "a", "payload": "1", "payload_base64": "MQ=="}`, 400}, {"POST", "publish", `{"topic": "a", "as_client_id": "x"}`, 400}, {"POST", "publish", `{"topic": "` + strings.Repeat("a", 1<<20) + `"}`, 413},
	{"POST", "publish", "{\"topic\": \"\xff\"}", 400},
	{"GET", "retained?topic=none", "", 404}, {"DELETE", "retained?topic=none", "", 404}, {"DELETE", "retained", "", 400}, {"DELETE", "retained?topic=a&filter=b", "", 400}, {"DELETE", "retained?filter=a/%23&confirm=0", "", 409}, {"DELETE", "retained?filter=a%23", "", 400},
	{"DELETE", "retained?topic=$SYS/broker/version", "", 409}, {"PUT", "retained?topic=a", `{}`, 400},
	{"POST", "bans", `{"kind": "address", "value": "127.0.0.1"}`, 422}, {"POST", "bans", `{"kind": "x", "value": "y"}`, 422}, {"DELETE", "ban?kind=user&value=nobody", "", 404}, {"DELETE", "ban?kind=x&value=nobody", "", 400},
	{"PUT", "maintenance", `{"until": "2001-01-01T00:00:00Z"}`, 422}, {"PUT", "maintenance", `{"until": "tomorrow"}`, 400}, {"GET", "backup?keys=yes", "", 400}, {"GET", "causes?id=none", "", 404},
	{"POST", "users", `{"name": ""}`, 422}, {"GET", "user?name=nobody", "", 404}, {"PATCH", "user?name=nobody", `{"disabled": true}`, 404}, {"PATCH", "user?name=nobody", `{}`, 400}, {"DELETE", "user?name=nobody", "", 404},
	{"POST", "rules", `{"user": "nobody", "action": "all", "filter": "#", "allow": true}`, 404}, {"POST", "rules", `{"user": "nobody", "action": "read", "filter": "#", "allow": true}`, 400}, {"POST", "rules", `{"user": "nobody", "action": "all", "filter": "#"}`, 400},
	{"GET", "rules/check?action=publish&topic=a/%23", "", 422}, {"GET", "rules/check?action=publish&topic=a&port=7", "", 422},
	{"POST", "logins", `{"role": "metrics"}`, 422}, {"POST", "login", `{"code": "guessed"}`, 401}, {"POST", "login", `{}`, 400}, {"DELETE", "login", "", 409},
	{"GET", "audit?limit=0", "", 400}, {"GET", "audit?cursor=x", "", 400}, {"GET", "audit?cursor=9-1", "", 409}, {"POST", "tokens", `{"name": "y", "role": "god"}`, 422}, {"POST", "tokens", `{"name": "admin", "role": "viewer"}`, 409}, {"DELETE", "token?name=none", "", 404},
}

// A role may do what it is for, and nothing else; nobody may do anything without a token. What is refused is refused before anything is looked at.
func TestRolesAndRoutes(t *testing.T) {
	w := newWorld(t)
	_, data := w.do(w.request("GET", "/api/v1/openapi.json", w.tokens["viewer"], ""))
	var document map[string]any
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	all := operations(document)
	if len(all) < 35 {
		t.Fatalf("only %d operations", len(all))
	}
	rank := map[string]int{"none": -1, "metrics": 0, "viewer": 1, "operator": 2, "admin": 3}
	for operation, needed := range all {
		method, path, _ := strings.Cut(operation, " ")
		if needed == "viewer" && method != "GET" && path != "/login" {
			t.Errorf("a viewer may %s", operation)
		}
		for _, role := range append([]string{""}, roles...) {
			want := http.StatusBadRequest // it comes as far as a parameter that is not there
			switch {
			case role == "" && needed != "none":
				want = http.StatusUnauthorized
			case rank[role] < rank[needed]:
				want = http.StatusForbidden
			}
			res, data := w.do(w.request(method, "/api/v1"+path+"?nonsense=1", w.tokens[role], ""))
			if res.StatusCode != want {
				t.Errorf("%s as %q: %s, want %d\n%s", operation, role, res.Status, want, data)
			}
		}
	}
	for _, role := range roles {
		if res, data := w.do(w.request("GET", "/metrics", w.tokens[role], "")); res.StatusCode != http.StatusOK {
			t.Errorf("/metrics as %s: %s %s", role, res.Status, data)
		}
	}
	r := w.request("GET", "/api/v1/status", w.tokens["admin"], "")
	if r.Host = "picket.attacker.example"; true {
		if res, _ := w.do(r); res.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("for another host: %s", res.Status)
		}
	}
}

// All sessions are listed by pages, each that stays exactly once, while others come and go.
func TestPages(t *testing.T) {
	w := newWorld(t)
	want := make(map[string]int)
	for i := range 40 {
		id := fmt.Sprintf("stays<b>%d", i)
		want[id] = 0
		w.connect(id, i%2 == 0)
	}
	next, pages := "", 0
	for {
		var page struct {
			Items []struct{ ID string }
			Next  string
		}
		v := url.Values{"limit": {"7"}, "where": {"connected=true"}}
		if next != "" {
			v.Set("cursor", next)
		}
		w.ask(200, "GET", "sessions?"+v.Encode(), "", &page)
		for _, c := range page.Items {
			if _, ok := want[c.ID]; ok {
				want[c.ID]++
			}
		}
		pages++
		passing := w.connect(fmt.Sprintf("passing%d", pages), false)
		if pages%2 == 0 {
			if err := passing.Send(&packet.Disconnect{}); err != nil {
				t.Fatal(err)
			}
		}
		if next = page.Next; next == "" {
			break
		}
	}
	for id, n := range want {
		if n != 1 {
			t.Errorf("%s is listed %d times", id, n)
		}
	}
}
