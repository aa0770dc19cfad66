package simulation

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"testing"
)

var (
	faults   = flag.Int("faults", 20000, "how many faults TestChaos goes through")
	first    = flag.Uint64("first", 1, "the first seed")
	seed     = flag.Uint64("seed", 0, "runs only this seed, and prints every event")
	progress = flag.Bool("progress", false, "prints how far TestChaos is")
)

// TestChaos runs one seed after the other until there have been enough faults. A seed that fails is printed with the command that repeats it.
func TestChaos(t *testing.T) {
	if *seed != 0 {
		r := Chaos(*seed, func(line string) { fmt.Println(line) })
		fmt.Printf("%+v\n", r)
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		return
	}
	if testing.Short() {
		*faults = min(*faults, 2000)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // short-lived garbage only
	var sum Result
	failed := 0
	for s := *first; sum.Faults < *faults && failed < 5; s++ {
		r := Chaos(s, nil)
		sum.Faults += r.Faults
		sum.Moves += r.Moves
		sum.Subscriptions += r.Subscriptions
		sum.Acks += r.Acks
		sum.Again += r.Again
		sum.Elapsed += r.Elapsed
		if sum.Seed++; *progress && sum.Seed%100 == 0 {
			fmt.Fprintf(os.Stderr, "\r%d seeds, %d faults, %d messages acknowledged ", sum.Seed, sum.Faults, sum.Acks)
		}
		if r.Err != nil {
			failed++
			t.Errorf("seed %d: %v\nrun it again: go test ./cluster/simulation -run TestChaos -seed %d", s, r.Err, s)
		}
	}
	t.Logf("%d seeds, %d faults, %d sessions moved, %d subscriptions confirmed, %d messages acknowledged, %d came again, %d h simulated", sum.Seed, sum.Faults, sum.Moves, sum.Subscriptions, sum.Acks, sum.Again, sum.Elapsed/3600e3)
}
