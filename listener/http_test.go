package listener

import (
	"net/http"
	"testing"
)

func TestForeign(t *testing.T) {
	for _, c := range []struct {
		origin, host string
		want         bool
	}{
		{"", "192.168.1.20:1883", false}, // not a browser
		{"http://192.168.1.20:1883", "192.168.1.20:1883", false},
		{"http://localhost:1883", "localhost:1883", false},
		{"http://[::1]:1883", "[::1]:1883", false},
		{"http://evil.example", "localhost:1883", true},
		{"http://localhost:8080", "localhost:1883", true},
		{"http://evil.example:1883", "evil.example:1883", true}, // its name was pointed here
		{"null", "localhost:1883", true},
	} {
		r := &http.Request{Host: c.host, Header: http.Header{}}
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if got := foreign(r); got != c.want {
			t.Errorf("origin %q, host %q: %v", c.origin, c.host, got)
		}
	}
}

func TestForwarded(t *testing.T) {
	r := &http.Request{Header: http.Header{}}
	if Forwarded(r) {
		t.Error("a request without a trace of a proxy")
	}
	r.Header.Set("X-Forwarded-For", "192.0.2.1")
	if !Forwarded(r) {
		t.Error("a proxy's trace is not seen")
	}
}

func TestFromAllowedPage(t *testing.T) {
	some := []string{"https://a.example", "http://192.0.2.10:8080", "null"}
	for _, c := range []struct {
		allowed, origins []string
		refused          string
	}{
		{nil, []string{"https://evil.example"}, ""},
		{some, nil, ""}, // not a browser
		{some, []string{"https://a.example"}, ""},
		{some, []string{"HTTPS://A.Example"}, ""},
		{some, []string{"http://192.0.2.10:8080"}, ""},
		{some, []string{"null"}, ""},
		{some, []string{"https://a.exampl"}, "https://a.exampl"}, // the beginning of one
		{some, []string{"https://a.example.evil.example"}, "https://a.example.evil.example"},
		{some, []string{"http://a.example"}, "http://a.example"},
		{some, []string{"https://a.example:8443"}, "https://a.example:8443"},
		{some, []string{"https://a.example", "https://evil.example"}, "https://evil.example"},
	} {
		r := &http.Request{Header: http.Header{"Origin": c.origins}}
		refused, ok := (&Config{Origins: c.allowed}).fromAllowedPage(r)
		if refused != c.refused || ok != (c.refused == "") {
			t.Errorf("%v, %v: %q, %v", c.allowed, c.origins, refused, ok)
		}
	}
	if _, ok := (&Config{Origins: some}).fromAllowedPage(&http.Request{Header: http.Header{"Origin": {""}}}); ok {
		t.Error("an Origin that is empty is let in")
	}
}
