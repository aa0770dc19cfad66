//go:build linux

package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"picket/internal/testbed"
)

// get returns a page.
func get(t testing.TB, from string) string {
	t.Helper()
	r, err := http.Get(from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v\n%s", from, r.Status, err, body)
	}
	return string(body)
}

// A real Prometheus reads the broker's figures; they are as promtool wants them; and what the alerts and the dashboard ask for is there.
func TestPrometheus(t *testing.T) {
	b := broker(t, "listener ${PORT} 127.0.0.1\npassword_file ${DIR}/passwords\npersistence true\npersistence_location ${DIR}/\nlistener ${PORTWEB} 127.0.0.1\nprotocol http_api\n")
	page := "http://" + b.Addr(t, "PORTWEB")
	lint := exec.Command("promtool", "check", "metrics")
	lint.Stdin = strings.NewReader(get(t, page+"/metrics"))
	if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}

	dir, at := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", testbed.Port(t))
	rules := read(t, "prometheus/picket.rules.yml")
	config := read(t, "prometheus/prometheus.yml", "127.0.0.1:9883", b.Addr(t, "PORTWEB"), "127.0.0.1:9884", b.Addr(t, "PORTWEB"), "scrape_interval: 15s", "scrape_interval: 200ms")
	for name, text := range map[string]string{"prometheus.yml": config, "picket.rules.yml": rules} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "promtool", "check", "config", filepath.Join(dir, "prometheus.yml"))
	launch(t, []string{at}, "prometheus", "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+at)

	ask := func(path string, into any) {
		t.Helper()
		if err := json.Unmarshal([]byte(get(t, "http://"+at+path)), into); err != nil {
			t.Fatal(err)
		}
	}
	var up struct{ Data struct{ Result []any } }
	for end := time.Now().Add(time.Minute); len(up.Data.Result) == 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("Prometheus has not read the figures")
		}
		if r, err := http.Get("http://" + at + "/-/ready"); err == nil && r.Body.Close() == nil && r.StatusCode == http.StatusOK {
			ask("/api/v1/query?query="+url.QueryEscape(`up{job="picket"} == 1`), &up)
		}
	}
	var names struct{ Data []string }
	ask("/api/v1/label/__name__/values", &names)
	there := make(map[string]bool)
	for _, name := range names.Data {
		there[name] = true
	}
	sentinel, err := os.ReadFile("../../sentinel/metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	metric := regexp.MustCompile(`\b(picket|process)_[a-z_]+\b`)
	for file, text := range map[string]string{"picket.rules.yml": rules, "picket.json": expressions(t)} {
		all := metric.FindAllString(text, -1)
		for _, name := range all {
			if !there[name] && !there[name+"_bucket"] && !strings.Contains(string(sentinel), `"`+name+`"`) {
				t.Errorf("%s asks for %s, which nobody has", file, name)
			}
		}
		if len(all) < 10 {
			t.Errorf("%s: only %d names were found", file, len(all))
		}
	}
	var series struct{ Data []map[string]string }
	ask("/api/v1/series?match[]="+url.QueryEscape(`{job="picket",__name__=~"picket_.*"}`), &series)
	if n := len(series.Data); n < 100 || n > 600 {
		t.Errorf("%d series, want at most 600", n)
	}
}

// expressions are the queries of the dashboard.
func expressions(t *testing.T) string {
	var board struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal([]byte(read(t, "grafana/picket.json")), &board); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			all = append(all, target.Expr)
		}
	}
	return strings.Join(all, "\n")
}

// A listener for whoever runs the broker comes and goes with a reload; one that cannot be had keeps no client out.
func TestMetricsListenerReloads(t *testing.T) {
	taken := testbed.Port(t)
	clients := "listener ${PORT} 127.0.0.1\npassword_file ${DIR}/passwords\n"
	b := broker(t, clients)
	other := launch(t, []string{fmt.Sprintf("127.0.0.1:%d", taken)}, testbed.Picket(t), "serve", "-p", fmt.Sprint(taken))
	if other.Ended() {
		t.Fatal("the other program has ended")
	}
	b.Write(t, "broker.conf", "user root\n"+clients+"listener ${PORTWEB} 127.0.0.1\nprotocol http_api\nlistener "+fmt.Sprint(taken)+" 127.0.0.1\nprotocol http_api\n")
	b.Signal(1)
	if err := b.Listening(b.Addr(t, "PORTWEB")); err != nil {
		t.Fatal(err)
	}
	if text := get(t, "http://"+b.Addr(t, "PORTWEB")+"/readyz"); text != "ready\n" {
		t.Errorf("/readyz: %q", text)
	}
	awaitLine(t, b, "[port-taken]")
	b.Write(t, "broker.conf", "user root\n"+clients)
	b.Signal(1)
	ctx, cancel := context.WithTimeout(t.Context(), testbed.Patience)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.Addr(t, "PORTWEB")+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if ctx.Err() != nil {
			t.Fatal("the listener is still there")
		}
		if err != nil {
			return
		}
		_ = answer.Body.Close()
		time.Sleep(10 * time.Millisecond)
	}
}

// awaitLine waits until the broker has said something.
func awaitLine(t *testing.T, b *testbed.Broker, what string) {
	t.Helper()
	for end := time.Now().Add(testbed.Patience); !strings.Contains(b.Said(), what); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s in %s", what, b.Said())
		}
	}
}
