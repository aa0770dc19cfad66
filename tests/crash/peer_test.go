//go:build unix

package crash

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

var peer = flag.String("peer", "", "a `broker` to compare with: mosquitto. It is killed ten times in each of its settings by TestPeer")

// TestPeer counts what other brokers lose and double when they are killed as TestKills kills picket. It fails only when that cannot be seen.
func TestPeer(t *testing.T) {
	switch *peer {
	case "":
		t.Skip("this is a comparison, and runs with -peer mosquitto")
	case "mosquitto":
	default:
		t.Fatalf("-peer %q: mosquitto is the only one", *peer)
	}
	programs := []program{
		mosquitto(t, "persistence false\n"),
		mosquitto(t, "persistence true\n"),
		mosquitto(t, "persistence true\nautosave_on_changes true\nautosave_interval 1\n"),
	}
	for _, sync := range []string{"always", "interval", "never"} {
		programs = append(programs, picket(t, "persistence true\npersistence_sync "+sync+"\n"))
	}
	first := *seed
	if first == 0 {
		first = 1
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "broker\tsettings\tkills\tacknowledged\tdeliveries owed")
	for _, f := range faults {
		fmt.Fprintf(table, "\t%s", f)
	}
	for _, p := range programs {
		w, err := newWorld(first, p, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		w.stall = 2 * time.Second
		w.run(10, false, func() {})
		s := newSummary()
		s.add(w)
		fmt.Fprintf(table, "\n%s\t%s\t%d\t%d\t%d", p.name, strings.Join(strings.Split(strings.TrimSpace(p.config), "\n"), ", "), s.kills, s.acked, s.expected)
		for _, f := range faults {
			fmt.Fprintf(table, "\t%d", s.count[f])
		}
		for _, f := range w.ledger.faults() {
			if strings.Contains(f, string(ended)+":") {
				t.Errorf("%s: %s", p.name, f)
			}
		}
	}
	table.Flush()
	t.Logf("seed %d\n%s", first, text.String())
}
