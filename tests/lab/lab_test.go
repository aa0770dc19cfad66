//go:build linux

// Package lab is the doctor's laboratory of faults: each is made for real, in network namespaces of its own, around a real mosquitto or Picket, and
// the doctor has to name it first among its causes. The table of docs/doctor.md comes from here.
package lab

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"picket/cause"
	"picket/internal/testbed"
)

// binary is the program under test.
var binary string

var (
	table  = flag.Bool("table", false, "print what becomes of each fault, and the table")
	update = flag.Bool("update", false, "write the table into docs/doctor.md")
	long   = flag.Bool("long", false, "make the faults that take more than a minute, and them alone")
	only   = flag.String("only", "", "make the faults alone whose names this regular expression fits")
)

// User and password that are right where there are any.
const (
	user     = "picket"
	password = "9cjs6r-u239fs"
)

var quiet = log.New(io.Discard, "", 0)

// atOnce is how many worlds there are at a time: they wait more than they compute.
const atOnce = 16

// limit bounds one fault, on a machine that does much else.
const limit = 4 * time.Minute

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		for _, program := range []string{"ip", "nft", "iptables", "iptables-legacy", "mosquitto", "mosquitto_passwd", "redis-server", "nginx", "caddy", "haproxy", "stunnel4", "dnsmasq"} {
			if _, err := exec.LookPath(program); err != nil {
				fmt.Fprintf(os.Stderr, "the laboratory needs %s, which .ci/run installs: %v\n", program, err)
				return 1
			}
		}
		sweep()
		try := fmt.Sprintf("%s%d-try", prefix, os.Getpid())
		if out, err := exec.Command("ip", "netns", "add", try).CombinedOutput(); err != nil {
			fmt.Printf("the laboratory is skipped: this kernel does not let us make network namespaces (root may, elsewhere): %v: %s\n", err, out)
			return 0
		}
		_ = exec.Command("ip", "netns", "delete", try).Run()
		var err error
		if binary, err = testbed.Built(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		testbed.SideBySide(atOnce)
		return m.Run()
	}())
}

// fault is one way to keep a client out, or to spoil its day.
type fault struct {
	name string
	want cause.ID // empty: nothing is wrong
	// twin is a cause that looks the same from where the doctor stands: either may come first, and both have to be likely.
	twin cause.ID
	long bool   // it takes more than a minute
	on   string // the machine of the doctor; empty for the client
	link *link  // nil: a cable
	// make brings it about and gives the doctor's arguments.
	make func(*world) (args []string)
}

// outcome is what became of a fault.
type outcome struct {
	*fault
	first   cause.ID
	fits    map[cause.ID]int // of all that are named
	end     string
	seconds float64
	details string
}

// right: the first is the cause; of two that look the same, either, and the other one is said to be likely as well.
func (o *outcome) right() bool {
	if o.twin == "" {
		return o.first == o.want
	}
	return (o.first == o.want || o.first == o.twin) && o.fits[o.want] >= likely && o.fits[o.twin] >= likely
}

// How sure the doctor has to be of a cause for calling it likely, and certain.
const likely, certain = 50, 90

// certainAndWrong are the causes that are called certain although they are none of this fault's: what no doctor should ever say.
func (o *outcome) certainAndWrong() (all []cause.ID) {
	for id, fit := range o.fits {
		c, _ := cause.Lookup(id)
		if fit >= certain && c.Severity == cause.Error && id != o.want && id != o.twin {
			all = append(all, id)
		}
	}
	return all
}

// report is what is of interest in the doctor's JSON.
type report struct {
	End   string `json:"end"`
	Facts []struct {
		Outcome string `json:"outcome"`
		Text    string `json:"text"`
	} `json:"facts"`
	Findings []struct {
		Cause cause.ID `json:"cause"`
		Fit   int      `json:"fit"`
		Steps []struct {
			Title string `json:"title"`
			Lines string `json:"lines"`
		} `json:"steps"`
	} `json:"findings"`
}

func TestLab(t *testing.T) {
	all := slices.Concat(healthy(), front(), proxies(), filters(), moreCertificates(), moreBrokers(), moreNames(), ways(), nameFaults(), tcpFaults(), byteFaults(), tlsFaults(), upgradeFaults(), connectFaults(), useFaults(), stayFaults(), cloudPages(), oddWays(), oddTLS(), oddBrokers(), oddNames(), gateways(), fieldPages(), deviceTLS(), devices(), typedFaults(), fieldWays(), machines(), further(), servers(), moreServers(), later(), latest(), asked(), askedAgain(), forumFaults(), messages(), fieldFaults(), overlooked(), unseen(), blind())
	slices.SortStableFunc(all, func(a, b fault) int { // those in which nothing is wrong come first in the table
		return min(len(a.want), 1) - min(len(b.want), 1)
	})
	all = slices.DeleteFunc(all, func(f fault) bool { return f.long != *long })
	if !*table && *only == "" {
		all = sample(all)
	}
	named := regexp.MustCompile(*only)
	all = slices.DeleteFunc(all, func(f fault) bool { return !named.MatchString(f.name) })
	outcomes := make([]*outcome, len(all))
	skipped := make([]bool, len(all))
	var mu sync.Mutex
	ended := 0
	t.Run("faults", func(t *testing.T) {
		// Those that take longest begin first.
		order := make([]int, len(all))
		for i := range order {
			order[i] = len(all) - 1 - i
		}
		for _, i := range order {
			t.Run(all[i].name, func(t *testing.T) {
				t.Parallel()
				defer func() { skipped[i] = t.Skipped() }()
				o := examine(t, &all[i])
				mu.Lock()
				outcomes[i] = o
				ended++
				if *table {
					fmt.Printf("%3d of %d  %-7s %5.1f s  %s: %s\n", ended, len(all), map[bool]string{true: "right", false: "WRONG"}[o.right()], o.seconds, o.name, shown(o.first))
					if !o.right() {
						fmt.Printf("want %s, got\n%s", wanted(o), o.details)
					}
				}
				mu.Unlock()
				if !o.right() {
					t.Logf("got %s, want %s\n%s", shown(o.first), shown(o.want), o.details)
				}
			})
		}
	})
	if !*table {
		again(t, outcomes)
	}
	var faults, right int
	for i, o := range outcomes {
		switch {
		case skipped[i]: // and has said why
		case o == nil:
			t.Errorf("%s: it could not be made", all[i].name)
		case len(o.certainAndWrong()) > 0:
			t.Errorf("%s: the doctor is certain of %v, want %s:\n%s", o.name, o.certainAndWrong(), shown(o.want), o.details)
			faults++
		case o.want == "" && !o.right():
			t.Errorf("%s: nothing is wrong, and the doctor names %s:\n%s", o.name, o.first, o.details)
		case o.want != "":
			faults++
			if o.right() {
				right++
			}
		}
	}
	t.Logf("%d of %d faults are named first", right, faults)
	if *only != "" || *long {
		return
	}
	// At least 58 of each 60, and of a sample as well.
	if faults < 60 || (faults-right)*30 > faults {
		t.Errorf("%d of %d faults are named first, want 58 of 60 and at least 60 faults", right, faults)
		for _, o := range outcomes {
			if o != nil && !o.right() {
				t.Errorf("%s: got %s, want %s\n%s", o.name, shown(o.first), shown(o.want), o.details)
			}
		}
	}
	if slices.Contains(outcomes, nil) {
		return
	}
	if *table {
		fmt.Println()
		printTable(os.Stdout, outcomes)
		fmt.Printf("\n%d of %d faults are named first; %d healthy set-ups\n", right, faults, len(all)-faults)
	}
	if *update {
		writeDocs(t, outcomes, right, faults)
	}
}

// again makes once more, alone, what went wrong among many: the doctor measures times, and a machine with all these worlds, and other tests, on it is not
// the one that the fault was made for. What is wrong then counts.
func again(t *testing.T, outcomes []*outcome) {
	t.Run("again", func(t *testing.T) {
		for i, o := range outcomes {
			if o == nil || o.right() && len(o.certainAndWrong()) == 0 {
				continue
			}
			t.Run(o.name, func(t *testing.T) {
				t.Logf("among others: got %s, want %s\n%s", shown(o.first), wanted(o), o.details)
				outcomes[i] = examine(t, o.fault)
			})
		}
	})
}

// sample is what runs beside all other tests: some faults of each cause. "make lab" makes them all.
func sample(all []fault) (some []fault) {
	seen := make(map[cause.ID]int)
	for _, f := range all {
		limit := each
		if f.want == "" {
			limit = healthyOnes
		}
		if seen[f.want]++; seen[f.want] <= limit {
			some = append(some, f)
		}
	}
	return some
}

// How many faults of one cause a sample has, and how many set-ups in which nothing is wrong.
const each, healthyOnes = 2, 8

func shown(id cause.ID) string {
	if id == "" {
		return "nothing"
	}
	return string(id)
}

// examine makes a fault and asks the doctor.
func examine(t *testing.T, f *fault) *outcome {
	w := newWorld(t, f.link)
	args := f.make(w)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	on := f.on
	if on == "" {
		on = clientSide
	}
	start := time.Now()
	out, err := w.doctor(ctx, on, args...)
	o := &outcome{fault: f, seconds: time.Since(start).Seconds()}
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  picket doctor %s\n", strings.Join(args, " "))
	for _, f := range r.Facts {
		fmt.Fprintf(&b, "  %-4s %s\n", f.Outcome, f.Text)
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "  %4d %s\n", f.Fit, f.Cause)
	}
	o.details, o.end = b.String(), r.End
	o.fits = make(map[cause.ID]int)
	for _, f := range r.Findings {
		o.fits[f.Cause] = max(o.fits[f.Cause], f.Fit)
	}
	if len(r.Findings) > 0 {
		o.first = r.Findings[0].Cause
	}
	for _, f := range r.Findings {
		for _, s := range f.Steps {
			if !recipeTitles()[s.Title] { // those have a test of their own
				w.trySteps(f.Cause, s.Lines)
			}
		}
	}
	return o
}

func printTable(to io.Writer, outcomes []*outcome) {
	tab := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "fault\tits cause\tfirst named\tright\tseconds")
	for _, o := range outcomes {
		right := "right"
		if !o.right() {
			right = "WRONG"
		}
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%.1f\n", o.name, wanted(o), shown(o.first), right, o.seconds)
	}
	_ = tab.Flush()
}

// wanted are the causes that are right.
func wanted(o *outcome) string {
	if o.twin != "" {
		return string(o.want) + " or " + string(o.twin)
	}
	return shown(o.want)
}

// tablePlace is where the table stands in docs/doctor.md.
var tablePlace = regexp.MustCompile(`(?s)(<!-- begin of the laboratory's table -->\n).*(<!-- end of the laboratory's table -->)`)

func writeDocs(t *testing.T, outcomes []*outcome, right, faults int) {
	t.Helper()
	page := filepath.Join("..", "..", "docs", "doctor.md")
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d faults are named first. Where nothing is wrong (the first %d lines), nothing is named.\n\n| fault | its cause | named first | right | seconds |\n| --- | --- | --- | --- | --- |\n",
		right, faults, len(outcomes)-faults)
	for _, o := range outcomes {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %.1f |\n", o.name, wanted(o), shown(o.first), map[bool]string{true: "yes", false: "**no**"}[o.right()], o.seconds)
	}
	if !tablePlace.Match(data) {
		t.Fatalf("%s has no place for the table", page)
	}
	data = tablePlace.ReplaceAllFunc(data, func(old []byte) []byte {
		m := tablePlace.FindSubmatch(old)
		return slices.Concat(m[1], []byte(b.String()), m[2])
	})
	if err := os.WriteFile(page, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// dialIn makes connections from a machine, for clients and proxies of Go's.
func dialIn(w *world, machine string) func(context.Context, string, string) (net.Conn, error) {
	return func(_ context.Context, _, address string) (net.Conn, error) { return w.dial(machine, address) }
}

// url is an address of the server.
func url4(scheme string, port int) string { return fmt.Sprintf("%s://%s:%d", scheme, server4, port) }
