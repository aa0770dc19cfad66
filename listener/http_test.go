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
