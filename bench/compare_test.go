package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestCompare(t *testing.T) {
	dir := t.TempDir()
	mosquitto(t, "") // fails here when it is missing
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var steps []string
	var failures int
	compare := func(d time.Duration) *Comparison {
		t.Helper()
		steps, failures = nil, 0
		out, err := Compare(t.Context(), CompareConfig{
			Contenders: []Contender{{Name: "one", Command: "mosquitto -c {conf}"}, {Name: "two", Command: "mosquitto -p {port}"}, {Name: "none", Command: "echo no broker here; exit 3"}},
			Rows: []Row{
				{Name: "pair", Config: Config{QoS: 1}, Metrics: []Metric{throughput, processor}},
				{Name: "idle", Config: Config{Scenario: Idle, Connections: 100, Filters: 100, QoS: 1, Sessions: Offline}, Metrics: []Metric{memory, restarted}, Restart: true},
			},
			Rounds: 2, Warmup: 50 * time.Millisecond, Duration: d, Dir: dir,
			Step: func(_, _ int, row, who string) { steps = append(steps, row+" "+who) },
			Failed: func(_, who string, err error) {
				if who != "none" || !strings.Contains(err.Error(), "no broker here") {
					t.Errorf("%s: %v", who, err)
				}
				failures++
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	measured := func(out *Comparison) bool { // a broker that did not get the processor in this time has no figure
		for _, row := range out.Rows {
			if row.Cells["one"].Median <= 0 || row.Cells["two"].Median <= 0 {
				return false
			}
		}
		return true
	}
	d := 200 * time.Millisecond
	out := compare(d)
	for ; !measured(out) && d < 10*time.Second; out = compare(d) {
		d *= 4
	}
	round := "pair one,pair two,pair none,idle one,idle two,idle none"
	if got := strings.Join(steps, ","); got != round+","+round {
		t.Errorf("order %s", got)
	}
	if failures != 4 {
		t.Errorf("%d failures of a broker that does not start, want 4", failures)
	}
	for _, row := range out.Rows {
		for _, who := range []string{"one", "two"} {
			if cell := row.Cells[who]; len(cell.Values) != 2 || cell.Median <= 0 || len(cell.Errors) > 0 {
				t.Errorf("%s, %s, %s: %+v", row.Name, row.Metric.Name, who, cell)
			}
		}
		if row.Cells["two"].Ratio <= 0 || row.Cells["none"].Ratio != 0 {
			t.Errorf("%s: ratios %v and %v", row.Name, row.Cells["two"].Ratio, row.Cells["none"].Ratio)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%d directories are left behind", len(left))
	}

	var text bytes.Buffer
	if err := out.WriteMarkdown(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| load | one | two | × | none | × |", "| pair, deliveries/s | ", "| idle, bytes per connection | ", "| failed | – |"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if b, err := json.Marshal(out); err != nil || !bytes.Contains(b, []byte(`"lower_is_better":true`)) {
		t.Errorf("%s: %v", b, err)
	}
}

func TestInterruptedComparisonKeepsWhatItHas(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	row := Row{Name: "idle", Config: Config{Scenario: Idle, Connections: 10}, Metrics: []Metric{memory}}
	out, err := Compare(ctx, CompareConfig{
		Contenders: []Contender{{Name: "one", Command: "mosquitto -c {conf}"}}, Rows: []Row{row}, Rounds: 5, Warmup: time.Millisecond, Duration: time.Millisecond, Dir: dir,
		Step: func(round, _ int, _, _ string) {
			if round == 3 {
				cancel()
			}
		},
	})
	if !errors.Is(err, context.Canceled) || out == nil || !out.Interrupted || len(out.Rows[0].Cells["one"].Values) != 2 {
		t.Fatalf("%v, %+v", err, out)
	}
	var text bytes.Buffer
	if err := out.WriteMarkdown(&text); err != nil || !strings.Contains(text.String(), "It was interrupted") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

func TestRatiosSayHowMuchBetterTheFirstIs(t *testing.T) {
	out := &Comparison{Contenders: []string{"a", "b"}, Rows: []ComparedRow{
		{Metric: throughput, Cells: map[string]*Cell{"a": {Values: []float64{1, 30, 40}}, "b": {Values: []float64{10, 20}}}},
		{Metric: memory, Cells: map[string]*Cell{"a": {Values: []float64{100}}, "b": {Values: []float64{50}}}},
	}}
	out.finish()
	if got := out.Rows[0].Cells; got["a"].Median != 30 || got["b"].Median != 15 || got["b"].Ratio != 2 {
		t.Errorf("throughput: %+v and %+v", got["a"], got["b"])
	}
	if got := out.Rows[1].Cells["b"].Ratio; got != 0.5 {
		t.Errorf("twice the memory is %v times as good", got)
	}
}
