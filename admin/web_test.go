package admin

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"picket/broker"
	"picket/cause"
)

func TestWeb(t *testing.T) {
	_, b := serve(t)
	s, err := OpenWeb(WebOptions{Address: "127.0.0.1:0", Version: "1.2.3"}, b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	get := func(path, host, language string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			r.Host = host
		}
		r.Header.Set("Accept-Language", language)
		answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(body)
	}
	for _, c := range []struct {
		path, host string
		status     int
		want       string
	}{
		{"/healthz", "", 200, "ok\n"}, {"/readyz", "", 200, "ready\n"}, {"/readyz", "localhost:9883", 200, "ready\n"}, {"/readyz", "[::1]", 200, "ready\n"},
		{"/metrics", "", 200, `picket_build_info{version="1.2.3"} 1`}, {"/metrics", "", 200, "picket_clients_connected 0\n"},
		{"/metrics", "", 200, "picket_causes_total{cause=\"bad-credentials\",stage=\"connect\"} 0\n"}, {"/metrics", "", 200, "# TYPE picket_connects_total counter\n"},
		{"/metrics", "picket.attacker.example", 421, "by its address"}, {"/", "", 404, "/readyz"}, {"/../etc/passwd", "", 404, ""},
	} {
		if status, body := get(c.path, c.host, ""); status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s for %s: %d %.200q, want %d %q", c.path, c.host, status, body, c.status, c.want)
		}
	}
	if err := b.BeginMaintenance(broker.Maintenance{}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/readyz": 503, "/readyz?except=overloaded": 503, "/readyz?except=overloaded,maintenance": 200, "/healthz": 200} {
		if status, body := get(path, "", ""); status != want {
			t.Errorf("%s under maintenance: %d %q, want %d", path, status, body, want)
		}
	}
	about, _ := cause.Lookup(cause.Maintenance)
	for language, title := range map[string]string{"en": about.Title.EN, "zh-CN,zh;q=0.9": about.Title.ZH} {
		if _, body := get("/readyz", "", language); body != "not ready\nmaintenance: "+title+"\n" {
			t.Errorf("in %s: %q", language, body)
		}
	}
}

// Who calls from elsewhere gets no metrics unless everyone may, and no reasons.
func TestWebFromElsewhere(t *testing.T) {
	for remote, want := range map[string]bool{"127.0.0.1:5": true, "[::1]:5": true, "[::ffff:127.0.0.1]:5": true, "192.0.2.1:5": false, "[2001:db8::1]:5": false, "": false} {
		if got := Local(&http.Request{RemoteAddr: remote}); got != want {
			t.Errorf("%q is local: %t", remote, got)
		}
	}
	_, b := serve(t)
	for _, everyone := range []bool{false, true} {
		answer := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "http://192.0.2.9/metrics", nil)
		r.RemoteAddr = "192.0.2.1:5"
		webHandler(WebOptions{MetricsForAll: everyone}, b).ServeHTTP(answer, r)
		if (answer.Code == http.StatusOK) != everyone {
			t.Errorf("everyone %t: %d", everyone, answer.Code)
		}
	}
	if err := b.BeginMaintenance(broker.Maintenance{}); err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "http://192.0.2.9/readyz", nil)
	r.RemoteAddr = "192.0.2.1:5"
	webHandler(WebOptions{MetricsForAll: true}, b).ServeHTTP(answer, r)
	if answer.Code != http.StatusServiceUnavailable || answer.Body.String() != "not ready\n" {
		t.Errorf("%d %q", answer.Code, answer.Body)
	}
}

// Metrics are text, whatever is asked for: Prometheus offers several forms, and takes the one that is named.
func TestMetricsFormats(t *testing.T) {
	const protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
	_, b := serve(t)
	for accept, want := range map[string]string{
		"": "text/plain; version=0.0.4", "*/*": "text/plain; version=0.0.4", "text/plain;version=0.0.4": "text/plain; version=0.0.4",
		protobuf: "text/plain; version=0.0.4", protobuf + ";q=0.7,application/openmetrics-text;version=1.0.0;q=0.6,*/*;q=0.1": "application/openmetrics-text; version=1.0.0",
		"application/openmetrics-text;version=0.0.1": "application/openmetrics-text; version=0.0.1",
	} {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/metrics", nil)
		r.RemoteAddr = "127.0.0.1:5"
		r.Header.Set("Accept", accept)
		answer := httptest.NewRecorder()
		webHandler(WebOptions{Version: "1.2.3"}, b).ServeHTTP(answer, r)
		if got := answer.Header().Get("Content-Type"); answer.Code != http.StatusOK || !strings.HasPrefix(got, want) ||
			!strings.Contains(answer.Body.String(), "\n# TYPE picket_clients_connected gauge\npicket_clients_connected 0") {
			t.Errorf("%q: %d, %s, want %s\n%.300s", accept, answer.Code, got, want, answer.Body)
		}
	}
}

// The page has a line for each metric, as the table of figures says it; the Chinese one has name, type and labels from there.
func TestMetricsPage(t *testing.T) {
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	chinese, err := os.ReadFile("../docs/metrics.zh-CN.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile("(?m)^\\| `picket_\\w+` \\| \\w+ \\|[^|]*\\|")
	if en, zh := line.FindAllString(string(page), -1), line.FindAllString(string(chinese), -1); !slices.Equal(en, zh) {
		t.Errorf("docs/metrics.zh-CN.md has the metrics\n%s\nwant\n%s", strings.Join(zh, "\n"), strings.Join(en, "\n"))
	}
	seen := make(map[string]bool)
	for _, f := range broker.Table() {
		if f.Name == "" || seen[f.Name] {
			continue
		}
		seen[f.Name] = true
		if line := metricLine(f); !strings.Contains(string(page), line) {
			t.Errorf("docs/metrics.md has not: %s", line)
		}
	}
	_, b := serve(t)
	for _, timing := range b.Timings() {
		seen[timing.Name] = true
		if line := fmt.Sprintf("| `%s%s` | histogram |  | %s |\n", metricsPrefix, timing.Name, timing.Help); !strings.Contains(string(page), line) {
			t.Errorf("docs/metrics.md has not: %s", line)
		}
	}
	if n := strings.Count(string(page), "\n| `picket_"); n != len(seen)+1 { // and build_info
		t.Errorf("docs/metrics.md has %d metrics, want %d", n, len(seen)+1)
	}
}

// metricLine is the line of a metric in the page.
func metricLine(f *broker.Figure) string {
	kind, label := "gauge", f.Label
	if f.Total() {
		kind = "counter"
	}
	if label == "cause" {
		label = "cause, stage"
	}
	return fmt.Sprintf("| `%s%s` | %s | %s | %s |\n", metricsPrefix, f.Name, kind, label, f.Help)
}
