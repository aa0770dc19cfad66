//go:build linux

package sentinel

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"picket/internal/testbed"
)

// TestMetrics reads the page for Prometheus before and after a failover.
func TestMetrics(t *testing.T) {
	t.Parallel()
	var pages []string
	g := newGroup(t, options{servers: 2, each: func(int, bool) string {
		pages = append(pages, fmt.Sprintf("127.0.0.1:%d", testbed.Port(t)))
		return "picket-metrics " + pages[len(pages)-1] + "\n"
	}})
	page := func(i int) string {
		t.Helper()
		ask, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+pages[i]+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		ask.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;q=0.5")
		r, err := http.DefaultClient.Do(ask)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		data, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v", r.Status, err)
		}
		return string(data)
	}
	shows := func(i int, lines ...string) {
		t.Helper()
		for _, l := range lines {
			eventually(t, g.sentinels[i].name+" shows "+l, func() bool { return strings.Contains(page(i), l) })
		}
	}
	shows(0,
		`picket_sentinel_masters 1`, `picket_sentinel_master_status{master="mymaster",status="ok"} 1`, `picket_sentinel_master_quorum_ok{master="mymaster"} 1`,
		`picket_sentinel_master_sentinels{master="mymaster",state="usable"} 3`, `picket_sentinel_master_replicas{master="mymaster"} 1`,
		`picket_sentinel_ping_round_trip_seconds_count{peer="replica"}`, `picket_sentinel_epoch 0`, `picket_sentinel_tilt 0`, `process_resident_memory_bytes`,
	)
	g.servers[0].kill()
	led := 0
	for i, s := range g.sentinels {
		shows(i, `picket_sentinel_events_total{event="+switch-master",master="mymaster"} 1`,
			`picket_sentinel_master_cause{cause="sentinel-no-good-replica",master="mymaster"} 1`)
		if s.logged("+sdown master") { // else the others were quicker than its own look
			shows(i, `picket_sentinel_failover_seconds_count 1`)
		}
		result := func(r string) string {
			return `picket_sentinel_failovers_total{master="mymaster",result="` + r + `"} 1`
		}
		eventually(t, s.name+" counts the failover", func() bool {
			return strings.Contains(page(i), result("completed")) || strings.Contains(page(i), result("observed"))
		})
		if strings.Contains(page(i), result("completed")) {
			led++
			s.logs("+failover-end")
			for _, phase := range []string{"agree", "wait", "elect", "select", "promote", "reconfigure"} {
				shows(i, `picket_sentinel_failover_phase_seconds_count{phase="`+phase+`"} `)
			}
		}
	}
	if led != 1 {
		t.Errorf("%d sentinels led the failover, want 1", led)
	}
	// What is about a master that is no longer watched goes.
	g.sentinels[0].ok("SENTINEL", "REMOVE", "mymaster")
	if got := page(0); strings.Contains(got, "mymaster") {
		t.Errorf("after its removal the master is still shown:\n%s", got)
	}
}

// TestMetricsOnTheCommandLine: the directive is not written into the file, so that a sentinel of Redis can still read that.
func TestMetricsOnTheCommandLine(t *testing.T) {
	t.Parallel()
	page := fmt.Sprintf("127.0.0.1:%d", testbed.Port(t))
	s := newProcess(t, "sentinel", binary+" sentinel", testbed.Port(t), "sentinel monitor mymaster 127.0.0.1 1 1", "--picket-metrics", page).start()
	r, err := http.Get("http://" + page + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	s.ok("SENTINEL", "FLUSHCONFIG")
	if data, err := os.ReadFile(s.conf); err != nil || strings.Contains(string(data), "picket") {
		t.Errorf("the file, %v:\n%s", err, data)
	}
	s.kill()
	s.args = []string{"redis-sentinel", s.conf}
	s.start()
}

// TestMetricsOfAnyName: a name that is not UTF-8 is shown, also after a restart, and nothing stays of a master that is gone.
func TestMetricsOfAnyName(t *testing.T) {
	t.Parallel()
	at := fmt.Sprintf("127.0.0.1:%d", testbed.Port(t))
	p := alone(t, binary+" sentinel", "picket-metrics "+at+"\nsentinel down-after-milliseconds mymaster 100\n").start()
	page := func() string {
		r, err := http.Get("http://" + at + "/metrics")
		if err != nil {
			return err.Error()
		}
		defer r.Body.Close()
		data, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK {
			return r.Status + string(data)
		}
		return string(data)
	}
	for _, name := range []string{"caf\xe9", "caf\xe8"} {
		p.ok("SENTINEL", "MONITOR", name, "127.0.0.1", "2", "1")
		p.ok("SENTINEL", "SET", name, "down-after-milliseconds", "100")
	}
	for range 2 {
		eventually(t, "both are shown", func() bool {
			got := page()
			return strings.Contains(got, `picket_sentinel_master_status{master="\"caf\\xe9\"",status="odown"} 1`) && strings.Contains(got, `{master="\"caf\\xe8\""`)
		})
		p.kill()
		p.start()
	}
	eventually(t, "it is down again", func() bool { return strings.Contains(page(), `event="+odown",master="\"caf\\xe9\""`) })
	p.ok("SENTINEL", "REMOVE", "caf\xe9")
	p.ok("SENTINEL", "REMOVE", "mymaster")
	eventually(t, "both are gone", func() bool {
		got := page()
		return strings.Contains(got, "picket_sentinel_masters 1") && !strings.Contains(got, "xe9") && !strings.Contains(got, `"mymaster"`)
	})
}
