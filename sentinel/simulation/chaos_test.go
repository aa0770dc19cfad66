package simulation

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	failovers = flag.Int("failovers", 5000, "how many failovers TestChaos goes through")
	seeds     = flag.Uint64("seeds", 0, "how many seeds TestChaos runs, in place of a number of failovers")
	first     = flag.Uint64("first", 1, "the first seed")
	seed      = flag.Uint64("seed", 0, "runs only this seed, and prints every event")
	progress  = flag.Bool("progress", false, "prints how far TestChaos is")
)

// TestChaos runs one seed after the other until enough failovers have happened. A seed that fails is printed with the command that
// repeats it.
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
		*failovers = min(*failovers, 500)
	}
	var next, done, elections, promotions, sealed, lost, blocked, elapsed atomic.Int64
	next.Store(int64(*first))
	enough := func() bool {
		if *seeds > 0 {
			return uint64(next.Load()) >= *first+*seeds
		}
		return promotions.Load() >= int64(*failovers)
	}
	began := time.Now()
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // short-lived garbage only
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var failed atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for !enough() && failed.Load() < 5 {
				s := uint64(next.Add(1) - 1)
				r := Chaos(s, nil)
				done.Add(1)
				elections.Add(int64(r.Elections))
				promotions.Add(int64(r.Failovers))
				elapsed.Add(r.Elapsed)
				sealed.Add(int64(r.Sealed))
				lost.Add(int64(r.Lost))
				blocked.Add(int64(r.Blocked))
				if r.Err != nil {
					failed.Add(1)
					t.Errorf("seed %d: %v\nrun it again: go test ./sentinel/simulation -run TestChaos -seed %d", s, r.Err, s)
				}
			}
		})
	}
	if *progress {
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Second):
					fmt.Fprintf(os.Stderr, "\r%d seeds, %d elections, %d failovers, %d h simulated ", done.Load(), elections.Load(), promotions.Load(), elapsed.Load()/3600e3)
				}
			}
		}()
	}
	wg.Wait()
	close(stop)
	t.Logf("%d seeds, %d elections, %d failovers, %d of them sealed (%d writes lost before any sentinel could act; %d groups left to a person), %d h simulated, %v", done.Load(), elections.Load(), promotions.Load(), sealed.Load(), lost.Load(), blocked.Load(), elapsed.Load()/3600e3, time.Since(began).Round(time.Second))
}

// TestSeedsThatFailed goes once more through what has broken a promise before: masters of the past that were promoted, sentinels that had missed a configuration, seals that
// did not survive a restart, a name that led to another server of the group, a stranger at the address where a sentinel with no memory expected its master, a
// group of which nothing was left but servers without data that followed each other; a master that had handed over and was started again as a master by its file,
// masters that came back with less than those had who were away, replicas that counted because they had been connected with somebody else, a promotion that was
// sent on a connection which had broken, and servers that were taken for those of another group.
func TestSeedsThatFailed(t *testing.T) {
	for _, s := range []uint64{43, 323, 599, 762, 1502, 1651, 2050, 2639, 3274, 3687, 4008, 4146, 6179, 11794, 20404, 20916, 23216, 23395, 37012,
		48410, 75046, 88390, 92716, 97462, 118918, 126234, 135292, 135742, 144924, 301803, 402805, 408417, 412493, 506244, 511546, 909793} {
		if r := Chaos(s, nil); r.Err != nil {
			t.Errorf("seed %d: %v", s, r.Err)
		}
	}
}
