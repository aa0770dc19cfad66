package dashboard

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// get asks for a path.
func get(method, path string) (served bool, w *httptest.ResponseRecorder) {
	w = httptest.NewRecorder()
	return Serve(w, httptest.NewRequest(method, path, nil)), w
}

// The files are served with a policy that lets nothing in, and nothing else is.
func TestServe(t *testing.T) {
	if !Built() {
		t.Fatal("this build has no dashboard: run make page")
	}
	for _, path := range []string{"/", "/dashboard.js", "/dashboard.css", "/licenses.txt", "/favicon.ico"} {
		served, w := get(http.MethodGet, path)
		csp := w.Header().Get("Content-Security-Policy")
		if !served || w.Code >= 300 || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "require-trusted-types-for 'script'") || strings.Contains(csp, "unsafe") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %t %d %v", path, served, w.Code, w.Header())
		}
	}
	for _, path := range []string{"/nothing", "/dist/index.html", "/../dashboard.go", "/api/v1/status"} {
		if served, w := get(http.MethodGet, path); served {
			t.Errorf("%s is served: %d", path, w.Code)
		}
	}
	if _, w := get(http.MethodPost, "/"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
	if n := Size(); n < 1000 || n > 120_000 {
		t.Errorf("a browser loads %d bytes, want at most 120,000", n)
	} else {
		t.Logf("a browser loads %d bytes", n)
	}
}

// sources are those of the page.
func sources(t *testing.T) (words, rest string) {
	t.Helper()
	names, err := filepath.Glob("web/*.js*")
	if err != nil || len(names) < 10 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(name) == "words.js" {
			words = string(data)
		} else {
			rest += string(data)
		}
	}
	return words, rest
}

// Every text is there in English and in Chinese, with the same places to be filled in; what is used is there, and what is there is used.
func TestWords(t *testing.T) {
	words, rest := sources(t)
	entries := regexp.MustCompile(`(\w+): \['([^']*)', '([^']*)'\]`).FindAllStringSubmatch(words, -1)
	if want := strings.Count(words, ": ['"); len(entries) < 200 || len(entries) != want {
		t.Fatalf("%d texts in two languages, of %d", len(entries), want)
	}
	places := regexp.MustCompile(`\{\w+\}`)
	same := []string{"mqtt", "qos", "otherLang", "asJSON"}
	var keys []string
	for _, e := range entries {
		key, en, zh := e[1], e[2], e[3]
		if slices.Contains(keys, key) {
			t.Errorf("%s is there twice", key)
		}
		keys = append(keys, key)
		if a, b := places.FindAllString(en, -1), places.FindAllString(zh, -1); en == "" || zh == "" || !slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))) {
			t.Errorf("%s: %q and %q", key, en, zh)
		}
		if !slices.Contains(same, key) && !strings.ContainsFunc(zh, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
			t.Errorf("%s is not in Chinese: %q", key, zh)
		}
		if !regexp.MustCompile(`['.\s]` + key + `['\s:,]`).MatchString(rest) {
			t.Errorf("%s is used nowhere", key)
		}
	}
	for _, used := range regexp.MustCompile(`\bt\('(\w+)'`).FindAllStringSubmatch(rest, -1) {
		if !slices.Contains(keys, used[1]) {
			t.Errorf("there is no text %s", used[1])
		}
	}
}

// No text becomes HTML or a program.
func TestNoHTML(t *testing.T) {
	_, rest := sources(t)
	for _, no := range []string{"innerHTML", "dangerouslySetInnerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "new Function"} {
		if strings.Contains(rest, no) {
			t.Errorf("the sources have %s", no)
		}
	}
}
