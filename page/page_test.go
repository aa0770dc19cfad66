package page

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"picket/cause"
)

// get asks for a path as a browser does.
func get(t *testing.T, url string, header ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, url, nil)
	r.Host = "192.168.1.20:1883"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	if !Serve(Door{MQTT: true, TLS: true, Port: 1883}, w, r) {
		return nil, ""
	}
	res := w.Result()
	defer res.Body.Close()
	body := io.Reader(res.Body)
	if res.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			t.Fatal(err)
		}
		body = z
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

// needsPage skips a test where there can be no page, for lack of npm.
func needsPage(t *testing.T) {
	t.Helper()
	if Built() {
		return
	}
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("this build has no page, and there is no npm to make it with")
	}
	t.Fatal("this build has no page: run make page")
}

func TestServe(t *testing.T) {
	needsPage(t)
	for url, kind := range map[string]string{"/": "text/html; charset=utf-8", "/page.js": "text/javascript; charset=utf-8", "/page.css": "text/css; charset=utf-8",
		"/licenses.txt": "text/plain; charset=utf-8", "/causes.json?lang=zh": "application/json; charset=utf-8"} {
		plain, text := get(t, url)
		packed, same := get(t, url, "Accept-Encoding", "gzip, deflate")
		if plain.StatusCode != http.StatusOK || plain.Header.Get("Content-Type") != kind || text == "" || text != same || packed.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: %s, %v", url, plain.Status, plain.Header)
		}
		if again, _ := get(t, url, "If-None-Match", plain.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
			t.Errorf("%s is sent again: %s", url, again.Status)
		}
		csp := plain.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self' ws://192.168.1.20:1883 wss://192.168.1.20:1883;", "frame-ancestors 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: the policy %q lacks %s", url, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %s", url, csp)
		}
	}
	if _, script := get(t, "/page.js"); strings.Contains(script, "globalThis") {
		t.Error("the script uses globalThis, which old browsers lack")
	}
	for _, url := range []string{"/mqtt", "/index.php", "/dist/page.js", "/../page.go", "/page.js/"} {
		if res, _ := get(t, url); res != nil {
			t.Errorf("%s is served", url)
		}
	}
	if _, body := get(t, "/door.json"); body != `{"mqtt":true,"tls":true,"port":1883}` {
		t.Error(body)
	}
	if res, _ := get(t, "/favicon.ico"); res.StatusCode != http.StatusNoContent {
		t.Error(res.Status)
	}
}

func TestMissing(t *testing.T) {
	for url, want := range map[string]bool{"/": true, "/mqtt": false} {
		w := httptest.NewRecorder()
		if got := Missing(w, httptest.NewRequest(http.MethodGet, url, nil)); got != want || want && (w.Code != http.StatusUpgradeRequired || !strings.Contains(w.Body.String(), "[page-not-built]")) {
			t.Errorf("%s: %v, %d, %s", url, got, w.Code, w.Body)
		}
	}
}

func TestOtherMethods(t *testing.T) {
	needsPage(t)
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x"))
	w := httptest.NewRecorder()
	if !Serve(Door{MQTT: true, TLS: true, Port: 1883}, w, r) || w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

// A Host header cannot write its own policy.
func TestHostInPolicy(t *testing.T) {
	for host, want := range map[string]bool{"picket.local:1883": true, "[fd00::20]:1883": true, "x; script-src *": false, "x y": false, "a,b": false, "": false} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		protect(w, r)
		if got := strings.Contains(w.Header().Get("Content-Security-Policy"), "ws://"); got != want {
			t.Errorf("%q: %s", host, w.Header().Get("Content-Security-Policy"))
		}
	}
}

func TestSize(t *testing.T) {
	needsPage(t)
	if n := Size(); n == 0 || n > 50_000 {
		t.Errorf("the page has %d bytes; with headers at most 60,000 may be transferred", n)
	}
	t.Logf("%d bytes", Size())
}

func TestCauses(t *testing.T) {
	for _, id := range expected {
		if _, ok := cause.Lookup(id); !ok {
			t.Errorf("%s is not in the catalogue", id)
		}
	}
	var all map[cause.ID]text
	if err := json.Unmarshal(causes(cause.Chinese, append(expected, "not-listed")), &all); err != nil {
		t.Fatal(err)
	}
	if c := all[cause.BadCredentials]; len(all) != len(expected) || c.Title != "用户名或密码错误" || !strings.Contains(c.Explain, "{user}") {
		t.Errorf("%d causes, %+v", len(all), c)
	}
}

func TestOneCause(t *testing.T) {
	needsPage(t)
	_, body := get(t, "/causes.json?lang=en&id=mtu-blackhole")
	var all map[cause.ID]text
	if err := json.Unmarshal([]byte(body), &all); err != nil || len(all) != 1 || all[cause.MTUBlackhole].Title == "" {
		t.Errorf("%s, %v", body, err)
	}
	if _, body := get(t, "/causes.json?lang=en&id=%3Cscript%3E"); body != "{}" {
		t.Errorf("an unknown id: %s", body)
	}
}

// Every id that the page names is one of the catalogue.
func TestCausesInThePage(t *testing.T) {
	ids := regexp.MustCompile(`'([a-z0-9]+(?:-[a-z0-9]+)+)'`)
	for _, name := range []string{"web/mqtt.js", "web/page.js"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, m := range ids.FindAllStringSubmatch(string(data), -1) {
			if strings.HasPrefix(m[1], "data-") || strings.HasPrefix(m[1], "aria-") {
				continue // an attribute
			}
			found++
			if _, ok := cause.Lookup(cause.ID(m[1])); !ok {
				t.Errorf("%s: %s is not in the catalogue", name, m[1])
			}
		}
		if found == 0 {
			t.Errorf("%s names no cause: the scan is broken", name)
		}
	}
}

// A cause is packed once, however often it is asked for, and unknown ids are one.
func TestAnswersArePackedOnce(t *testing.T) {
	one := answer(cause.Chinese, cause.BadCredentials)
	if again := answer(cause.Chinese, cause.BadCredentials); again != one || answer(cause.English, cause.BadCredentials) == one {
		t.Error("packed again, or for another language")
	}
	before := len(answers.files)
	for _, id := range []cause.ID{"a", "b", "c"} {
		w := httptest.NewRecorder()
		if answer(cause.English, id).Send(w, httptest.NewRequest(http.MethodGet, "/", nil)); w.Body.String() != "{}" {
			t.Errorf("%s: %s", id, w.Body)
		}
	}
	if n := len(answers.files); n > before+1 {
		t.Errorf("%d answers are kept for three unknown ids", n-before)
	}
}
