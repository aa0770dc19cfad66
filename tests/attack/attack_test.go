//go:build linux

package attack

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"picket/internal/testbed"
)

// attack is one way to hurt a broker.
type attack struct {
	name   string
	config string // lines added to the broker's configuration
	files  int    // how many files the broker may open; 0: as many as the system allows
	run    func(*testing.T, *broker) (note string)
	waits  bool // more than it works

	// memory is by how many bytes the process may grow at most. The heap of a program with a garbage collector is up to
	// twice what lives in it; because says what that is.
	memory  int64
	because string
}

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// less is how much there is of an attack: all of it, or an eighth where the race detector watches, which makes everything many times slower and
// needs less to find a race.
func less(n int) int {
	if testbed.Race {
		return n / 8
	}
	return n
}

// TestUnderAttack attacks one fresh broker after the other, where figures are taken and the attack works. What waits, and all where the race detector
// watches, goes on side by side. Another client must get back every message that it sends itself meanwhile, and the broker keeps within its memory. How
// long the messages took is in the table and no condition: attacker, other client and broker share a machine that may itself stand still, which is why
// the table has what the same client meets at a broker that nobody attacks, at the same time. Wanted is a median under 100 ms.
func TestUnderAttack(t *testing.T) {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "attack\tround trip ms (median / 99 % / worst)\tat an idle broker\tMiB idle\tMiB more at the most\tof\tseconds\t")
	var writing sync.Mutex
	calm := start(t, "", 0)
	t.Run("all", func(t *testing.T) {
		for _, a := range attacks {
			t.Run(strings.ReplaceAll(a.name, " ", "-"), func(t *testing.T) {
				if a.waits || testbed.Race {
					t.Parallel()
				}
				f := a.on(t, calm)
				writing.Lock()
				defer writing.Unlock()
				fmt.Fprintf(w, "%s\t%v\t%v\t%.0f\t%.0f\t%d\t%.1f\t%s\n", a.name, f.trips, f.usual, float64(f.idle)/mib, float64(f.more)/mib, a.memory/mib, f.took.Seconds(), f.note)
				if f.more > a.memory && !testbed.Race { // else it is the memory of another program
					t.Errorf("the broker grew by %d MiB; %d MiB are allowed: %s", f.more/mib, a.memory/mib, a.because)
				}
			})
		}
	})
	w.Flush()
	t.Logf("what was measured:\n%s", &table)
}

// figures are what an attack has cost.
type figures struct {
	trips, usual trips // of another client of the broker, and of one of a broker that nobody attacks
	idle, more   int64 // bytes of the process before, and how many more they became
	took         time.Duration
	note         string
}

// on attacks a fresh broker.
func (a *attack) on(t *testing.T, calm *broker) (f figures) {
	b := start(t, a.config, a.files)
	other, control := b.probe(), calm.probe()
	f.idle = b.status("VmHWM")
	began := time.Now()
	f.note = a.run(t, b)
	f.took = time.Since(began)
	f.trips, f.usual = other.end(), control.end()
	f.more = b.status("VmHWM") - f.idle
	return f
}
