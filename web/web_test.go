package web

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"picket/broker"
	"picket/listener"
)

// Files are served, and none from outside of the directory.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "www", "bare"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"www/index.html": "<p>a page</p>", "secret": "secret"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "secret"), filepath.Join(dir, "www", "link")); err != nil {
		t.Fatal(err)
	}
	h, err := Pages(nil)(&broker.Listener{HTTPDir: filepath.Join(dir, "www")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/", http.StatusOK},
		{"HEAD", "/", http.StatusOK},
		{"GET", "/../secret", http.StatusNotFound},
		{"GET", "/%2e%2e/secret", http.StatusNotFound},
		{"GET", "/link", http.StatusNotFound},
		{"GET", "/bare/", http.StatusNotFound},
		{"GET", "/nothing", http.StatusNotFound},
		{"POST", "/", http.StatusMethodNotAllowed},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
		if w.Code != tt.status || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s %s: %d %.200q", tt.method, tt.path, w.Code, w.Body)
		}
	}
	if _, err := Files(filepath.Join(dir, "nowhere")); err == nil || !strings.Contains(err.Error(), "http_dir") {
		t.Errorf("a directory that is missing: %v", err)
	}
}

// The page is served where it is wanted, and the rest is the listener's.
func TestPages(t *testing.T) {
	page := func(_ *broker.Listener, w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/" {
			w.WriteHeader(http.StatusAccepted)
		}
		return r.URL.Path == "/"
	}
	rest := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	for name, tt := range map[string]struct {
		l    broker.Listener
		path string
		want int
	}{
		"the page":     {broker.Listener{Config: listener.Config{Protocol: listener.Auto}}, "/", http.StatusAccepted},
		"beside it":    {broker.Listener{Config: listener.Config{Protocol: listener.Auto}}, "/else", http.StatusTeapot},
		"not wanted":   {broker.Listener{Config: listener.Config{Protocol: listener.Auto}, NoPage: true}, "/", http.StatusTeapot},
		"no such port": {broker.Listener{}, "/", http.StatusTeapot},
	} {
		h, err := Pages(page)(&tt.l, rest)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, tt.path, nil)); w.Code != tt.want {
			t.Errorf("%s: %d, want %d", name, w.Code, tt.want)
		}
	}
}
