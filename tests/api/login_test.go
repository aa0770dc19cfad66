//go:build unix

package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// link makes a link by command, and returns its code.
func (w *world) link(role string) string {
	w.t.Helper()
	said, err := w.picket("ctl", "login", "--role", role, "--json")
	var made struct {
		Links []string
		Role  string
	}
	if err == nil {
		err = json.Unmarshal([]byte(said), &made)
	}
	if err != nil || len(made.Links) != 1 || made.Role != role {
		w.t.Fatalf("ctl login: %v, %s", err, said)
	}
	base, code, ok := strings.Cut(made.Links[0], "/#login=")
	if !ok || base != w.base() || len(code) < 26 {
		w.t.Fatalf("the link is %s", made.Links[0])
	}
	return code
}

// browse makes a request as a browser does that has cookies.
func (w *world) browse(method, path, body string, cookies []*http.Cookie, headers ...string) (*http.Response, string) {
	w.t.Helper()
	r := w.request(method, "/api/v1/"+path, "", body)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, data := w.do(r)
	return res, string(data)
}

// follow follows a link.
func (w *world) follow(code string, headers ...string) (*http.Response, string) {
	w.t.Helper()
	return w.browse("POST", "login", fmt.Sprintf(`{"code": %q}`, code), nil, headers...)
}

// A link lets in once; what follows has the link's role, is out of reach of other sites, and ends when it is told to.
func TestLogin(t *testing.T) {
	w := newWorld(t)
	code := w.link("operator")
	res, data := w.follow(code)
	cookies := res.Cookies()
	if res.StatusCode != http.StatusOK || len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode || cookies[0].Secure {
		t.Fatalf("%s %v %s", res.Status, cookies, data)
	}
	expect := func(want int, method, path, body string, headers ...string) {
		t.Helper()
		if res, data := w.browse(method, path, body, cookies, headers...); res.StatusCode != want {
			t.Errorf("%s %s %v: %s, want %d\n%s", method, path, headers, res.Status, want, data)
		}
	}
	if res, data := w.follow(code); res.StatusCode != http.StatusUnauthorized || !strings.Contains(data, "login-refused") || len(res.Cookies()) != 0 {
		t.Errorf("the link works twice: %s %s", res.Status, data)
	}
	expect(200, "GET", "login", "")
	expect(200, "GET", "attempts", "")
	expect(403, "GET", "logins", "")
	expect(403, "POST", "users", `{"name": "x"}`)
	expect(200, "POST", "publish", `{"topic": "a"}`, "Sec-Fetch-Site", "same-origin", "Origin", w.base())
	for _, site := range []string{"cross-site", "same-site"} { // a page at another port of this machine is of the same site
		expect(403, "POST", "publish", `{"topic": "a"}`, "Sec-Fetch-Site", site)
	}
	expect(403, "POST", "publish", `{"topic": "a"}`, "Origin", "http://127.0.0.1:1")
	expect(415, "POST", "publish", `{"topic": "a"}`, "Content-Type", "text/plain")
	expect(400, "GET", "status", "", "Authorization", "Bearer "+w.tokens["admin"])
	other := w.link("viewer")
	if res, data := w.follow(other, "Sec-Fetch-Site", "cross-site"); res.StatusCode != http.StatusForbidden || !strings.Contains(data, "api-cross-origin") {
		t.Errorf("another site logs in: %s %s", res.Status, data)
	}
	if res, _ := w.follow(other, "X-Forwarded-Proto", "https"); res.StatusCode != http.StatusOK || len(res.Cookies()) != 1 || !res.Cookies()[0].Secure || !strings.HasPrefix(res.Cookies()[0].Name, "__Host-") {
		t.Errorf("behind TLS: %s %v", res.Status, res.Cookies())
	} else if again, data := w.browse("GET", "login", "", res.Cookies(), "X-Forwarded-Proto", "https"); again.StatusCode != http.StatusOK {
		t.Errorf("behind TLS, once more: %s %s", again.Status, data)
	}
	var all struct{ Items []struct{ Role string } }
	if w.ask(200, "GET", "logins", "", &all); len(all.Items) != 2 {
		t.Errorf("%v are logged in", all.Items)
	}
	expect(200, "DELETE", "login", "")
	if res, data := w.browse("GET", "status", "", cookies); res.StatusCode != http.StatusUnauthorized || !strings.Contains(data, "login-ended") || len(res.Cookies()) != 1 || res.Cookies()[0].MaxAge >= 0 {
		t.Errorf("after the logout: %s %v %s", res.Status, res.Cookies(), data)
	}
	w.said(w.Process, "POST /api/v1/login as operator, link of ")
	w.said(w.Process, "POST /api/v1/publish")
	if log := w.Said(); strings.Contains(log, code) || strings.Contains(log, cookies[0].Value) {
		t.Error("a secret is in the log")
	}
}

// Guessing is slowed, and a right link works all the same. An end of all logins ends them.
func TestGuessedLogins(t *testing.T) {
	w := newWorld(t)
	statuses := make(map[int]int)
	for range 30 {
		res, _ := w.follow("GUESSED")
		statuses[res.StatusCode]++
	}
	if statuses[http.StatusUnauthorized] < 10 || statuses[http.StatusTooManyRequests] == 0 {
		t.Errorf("the guesses were answered with %v", statuses)
	}
	res, data := w.follow(w.link("admin"))
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", res.Status, data)
	}
	if again, data := w.browse("DELETE", "logins", "", res.Cookies()); again.StatusCode != http.StatusOK || !strings.Contains(data, `"count": 1`) {
		t.Errorf("%s %s", again.Status, data)
	}
	if again, _ := w.browse("GET", "status", "", res.Cookies()); again.StatusCode < 400 {
		t.Errorf("the login goes on: %s", again.Status)
	}
}
