package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"picket/access"
	"picket/admin"
	"picket/broker"
	"picket/listener"
	"picket/logging"
	"picket/token"
)

// started is the API of a broker that runs.
func started(t *testing.T) *API {
	t.Helper()
	log, err := logging.New(logging.Config{}, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	c := broker.Defaults()
	c.Security[0].Anonymous = access.AnonymousLocal
	c.Listeners = []*broker.Listener{{Config: listener.Config{Address: "127.0.0.1", Source: "here"}, MaxConnections: -1}}
	b, err := broker.Start(c, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(); log.Close() })
	tokens, err := token.Open("")
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{Broker: b, Tokens: tokens, About: admin.About{Dashboards: func() []string { return nil }, LogFiles: func() []string { return nil }}})
}

// From another machine a login has to be encrypted, also where everybody may come; and where only this machine may, it is refused altogether.
func TestLoginFromAnotherMachine(t *testing.T) {
	a := started(t)
	for _, c := range []struct {
		from, proto string
		everyone    bool
		want        int
	}{
		{"192.0.2.7:4000", "", true, http.StatusForbidden}, {"192.0.2.7:4000", "http", true, http.StatusForbidden}, {"192.0.2.7:4000", "https", true, http.StatusOK},
		{"192.0.2.7:4000", "https", false, http.StatusForbidden}, {"[2001:db8::7]:4000", "", true, http.StatusForbidden},
		{"127.0.0.1:4000", "", false, http.StatusOK}, {"[::1]:4000", "", false, http.StatusOK}, {"[::ffff:127.0.0.1]:4000", "", false, http.StatusOK},
	} {
		code := a.logins.Link("root", token.Viewer, a.Now())
		r := httptest.NewRequest(http.MethodPost, "/api/v1/login", strings.NewReader(`{"code": "`+code+`"}`))
		r.RemoteAddr = c.from
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Forwarded-Proto", c.proto)
		w := httptest.NewRecorder()
		a.Web(c.everyone).ServeHTTP(w, r)
		if got := len(w.Result().Cookies()) == 1; w.Code != c.want || got != (c.want == http.StatusOK) {
			t.Errorf("%+v: %d %v %s", c, w.Code, w.Header(), w.Body)
		}
	}
}

// Without a place where the dashboard is served there is no link to it.
func TestNoLinkToNowhere(t *testing.T) {
	a := started(t)
	c := &call{in: &admin.NewLogin{Role: token.Admin}}
	if _, err := a.makeLogin(c); err == nil || !strings.Contains(err.Error(), "protocol http_api") {
		t.Errorf("got %v", err)
	}
}
