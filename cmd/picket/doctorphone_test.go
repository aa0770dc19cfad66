package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"picket/cause"
	"picket/page"
)

func TestPageAddress(t *testing.T) {
	for in, want := range map[string]string{
		"192.168.1.20": "http://192.168.1.20:1883/", "picket.local:1884": "http://picket.local:1884/", "mqtts://m.example": "https://m.example:8883/",
		"wss://m.example/mqtt": "https://m.example:443/", "http://[fd00::20]:9001": "http://[fd00::20]:9001/", "mqtt://user:secret@h:1": "http://h:1/",
	} {
		if u, err := pageAddress(in); err != nil || u.String() != want {
			t.Errorf("%s: %v, %v, want %s", in, u, err, want)
		}
	}
	for _, in := range []string{"ftp://h", "://", "mqtt://"} {
		if u, err := pageAddress(in); err == nil {
			t.Errorf("%s: %v", in, u)
		}
	}
}

// What answers at an address is told apart.
func TestLookAt(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   cause.ID
	}{
		{"Picket's page", func(w http.ResponseWriter, r *http.Request) { page.Serve(page.Door{}, w, r) }, ""},
		{"another page", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<h1>nginx</h1>")) }, cause.WSToTCPPort},
	} {
		if c.want == "" && !page.Built() {
			continue // page's own tests say what is missing
		}
		s := httptest.NewServer(c.answer)
		u, err := url.Parse(s.URL + "/")
		if err != nil {
			t.Fatal(err)
		}
		p := elsewhere(t.Context(), u)
		if p.Cause != c.want || p.Tested != (c.want == "") || (p.URL != "") != p.Tested {
			t.Errorf("%s: %+v", c.name, p)
		}
		s.Close()
		if p := elsewhere(t.Context(), u); p.Cause != cause.BrokerNotRunning || p.URL != "" {
			t.Errorf("nothing there: %+v", p)
		}
	}
}
