//go:build unix

package crash

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	seed       = flag.Uint64("seed", 0, "the `number` of one world to run again (default: worlds of new numbers)")
	kills      = flag.Int("kills", 50, "how often TestKills kills a broker, over all worlds")
	redisKills = flag.Int("redis-kills", 8, "how often TestKillsOnRedis kills or stops something")
	parallel   = flag.Int("worlds", 3, "how many worlds run at a time")
	other      = flag.String("binary", "", "a `program` to test in place of the picket of this tree")
	progress   = flag.Bool("progress", false, "prints how far TestKills is")
)

// killsPerWorld is how many kills one directory sees, and leastOwed how many deliveries a broker has to owe for each kill, in the mean, lest nothing was
// tested: a machine that does nothing else comes to some hundred, and one that does much else to fewer.
const killsPerWorld, leastOwed = 25, 1

// TestKills is the promise of the README: what is acknowledged is kept.
func TestKills(t *testing.T) {
	worlds := max(1, (*kills+killsPerWorld-1)/killsPerWorld)
	first := *seed
	if first == 0 {
		first = rand.Uint64N(1 << 40)
	} else {
		worlds = 1
	}
	t.Logf("seeds %d to %d", first, first+uint64(worlds)-1)
	total := newSummary()
	var work sync.WaitGroup
	numbers := make(chan int)
	for range min(*parallel, worlds) {
		work.Go(func() {
			for i := range numbers {
				n := min(killsPerWorld, *kills-i*killsPerWorld)
				total.add(runWorld(t, first+uint64(i), n, total))
			}
		})
	}
	for i := range worlds {
		if t.Failed() {
			break
		}
		numbers <- i
	}
	close(numbers)
	work.Wait()
	t.Log(total)
	if !t.Failed() && (total.kills < *kills || total.expected < leastOwed*total.kills) {
		t.Errorf("this was no load: %v", total)
	}
}

// runWorld runs one world, and reports and keeps it if something is wrong.
func runWorld(t *testing.T, seed uint64, kills int, total *summary) *world {
	dir, err := os.MkdirTemp("", fmt.Sprintf("picket-crash-%d-", seed))
	if err != nil {
		t.Error(err)
		return nil
	}
	w, err := newWorld(seed, picket(t, "persistence true\n"), dir, "persistence_sync always\n", "persistence_sync always\n", "persistence_sync interval\n", "persistence_sync never\n")
	if err != nil {
		t.Error(err)
		return nil
	}
	before := 0
	w.run(kills, true, func() {
		if *progress {
			total.step(w.kills-before, seed)
			before = w.kills
		}
	})
	if faults := w.ledger.faults(); len(faults) > 0 {
		t.Errorf("seed %d, directory %s: rerun with go test ./tests/crash -run TestKills -v -seed %d\n%s", seed, dir, seed, strings.Join(faults, "\n"))
	} else {
		os.RemoveAll(dir)
	}
	return w
}

// summary adds up worlds.
type summary struct {
	mu                          sync.Mutex
	printed                     time.Time
	stepped                     int // kills
	worlds, lives, kills, terms int
	sent, acked, expected, came int
	count                       map[fault]int
}

func newSummary() *summary { return &summary{count: map[fault]int{}} }

func (s *summary) add(w *world) {
	if w == nil {
		return
	}
	expected := 0
	for _, sub := range w.subscribers {
		expected += sub.inbox.expected(w.all)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := w.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	s.worlds++
	s.lives += len(l.lives)
	s.kills += w.kills
	s.terms += w.terms
	s.sent += l.sent
	s.acked += l.acked
	s.expected += expected
	s.came += l.came
	for f, n := range l.count {
		s.count[f] += n
	}
}

func (s *summary) String() string {
	text := fmt.Sprintf("%d worlds, %d lives, %d SIGKILL, %d SIGTERM: %d messages sent, %d acknowledged, %d deliveries owed, %d came;",
		s.worlds, s.lives, s.kills, s.terms, s.sent, s.acked, s.expected, s.came)
	for _, f := range faults {
		text += fmt.Sprintf(" %s %d", f, s.count[f])
	}
	return text
}

// step prints how far it is, at most once a second.
func (s *summary) step(kills int, seed uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stepped += kills
	if now := time.Now(); now.Sub(s.printed) > time.Second {
		s.printed = now
		fmt.Fprintf(os.Stderr, "\r%d kills, seed %d ", s.stepped, seed)
	}
}

// The tester tested: a broker that keeps nothing must not get away with it.
func TestForgetfulBrokerIsFoundOut(t *testing.T) {
	w, err := newWorld(1, picket(t, "persistence false\n"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w.stall = time.Second
	w.run(5, false, func() {})
	s := newSummary()
	s.add(w)
	t.Log(s)
	for _, f := range []fault{lost, forgotten, staleRetained} {
		if s.count[f] == 0 {
			t.Errorf("no fault of the kind %q is found\n%s", f, strings.Join(w.ledger.faults(), "\n"))
		}
	}
}
