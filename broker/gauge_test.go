package broker

import (
	"slices"
	"testing"
	"time"

	"picket/cause"
	"picket/internal/testbed"
	"picket/packet"
)

// A gauge goes up after enough high readings in a row, and down only after enough low ones: readings around one threshold do not make it flap.
func TestGauge(t *testing.T) {
	g := gauge{high: 1, low: 0.2, rise: 3, fall: 2}
	for i, step := range []struct {
		value float64
		up    bool
	}{
		{2, false}, {2, false}, {0.9, false}, // the row is broken
		{1, false}, {1, false}, {1, true},
		{0.5, true}, {0.1, true}, {0.5, true}, {1.5, true}, // between the thresholds nothing changes
		{0.1, true}, {0.1, false},
		{0.5, false}, {2, false}, {2, false}, {2, true},
	} {
		before := g.up
		if changed := g.read(step.value); g.up != step.up || changed != (before != g.up) {
			t.Fatalf("reading %d (%v): up %v, changed %v, want up %v", i, step.value, g.up, changed, step.up)
		}
	}
}

func TestStrain(t *testing.T) {
	calm := Load{Memory: 10, MemoryLimit: 100, Connections: 1, ConnectionLimit: 100}
	for _, c := range []struct {
		name    string
		change  func(*Load)
		short   string
		refuses bool
	}{
		{"late event loops", func(l *Load) { l.Lag = 2 * time.Second }, "cpu", true},
		{"passwords wait", func(l *Load) { l.PasswordWait = 6 * time.Second }, "cpu", true},
		{"passwords wait a little", func(l *Load) { l.PasswordWait = 4 * time.Second }, "", false},
		{"memory", func(l *Load) { l.Memory = 95 }, "memory", true},
		{"descriptors", func(l *Load) { l.Connections = 96 }, "descriptors", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s strain
			s.init()
			bad := calm
			c.change(&bad)
			var changes []change
			for range strainRise {
				changes = append(changes, s.take(bad, false)...)
			}
			if c.short == "" {
				if len(changes) > 0 {
					t.Fatalf("%+v", changes)
				}
				return
			}
			if len(changes) != 1 || changes[0].what != c.short || !changes[0].short || !slices.Equal(s.load.Short, []string{c.short}) || (s.refusing() != "") != c.refuses {
				t.Fatalf("%+v, short of %v, refusing %q", changes, s.load.Short, s.refusing())
			}
			changes = nil
			for i := range strainFall {
				if i == strainFall-1 && len(changes) > 0 {
					t.Fatalf("over too early: %+v", changes)
				}
				changes = append(changes, s.take(calm, false)...)
			}
			if len(changes) != 1 || changes[0].short || len(s.load.Short) > 0 || s.refusing() != "" {
				t.Errorf("%+v, short of %v, refusing %q", changes, s.load.Short, s.refusing())
			}
		})
	}
}

// memory_limit closes the broker at once when it is reached, and opens it when there is some room again.
func TestMemoryFull(t *testing.T) {
	var s strain
	s.init()
	for _, step := range []struct {
		memory  int64
		limited bool
		full    bool
	}{{99, true, false}, {100, true, true}, {96, true, true}, {94, true, false}, {101, true, true}, {101, false, false}} {
		if s.take(Load{Memory: step.memory, MemoryLimit: 100}, step.limited); s.memoryFull.Load() != step.full {
			t.Errorf("%+v: full is %v", step, s.memoryFull.Load())
		}
	}
}

func TestFileRoom(t *testing.T) {
	for limit, want := range map[uint64]struct {
		open   int64
		turned int
	}{500: {461, 15}, 1024: {960, 32}, 1 << 20: {1<<20 - 1<<15 - 64, 64}} {
		if open, turned := fileRoom(limit); open != want.open || turned != want.turned {
			t.Errorf("%d files have room for %d connections and %d, want %+v", limit, open, turned, want)
		}
	}
}

// Event loops that are late, or a machine that stands still, keep new clients out until there have been seconds without.
func TestOverloadComesAndGoes(t *testing.T) {
	hand := newHandClock()
	x := newBench(t, oneListener(func(c *Config) { c.clock = hand }))
	for range strainRise {
		x.b.feel(2 * time.Second)
	}
	if ack := x.call(t, afar).connect(t, packet.Connect{Version: packet.V5}); ack.Code != packet.ServerBusy {
		t.Errorf("while it is overloaded: %s", ack.Code)
	}
	if n := x.b.Causes()[cause.Overloaded]; n < 2 {
		t.Errorf("%d incidents, want the overload and the refusal", n)
	}
	for end := time.Now().Add(testbed.Patience); x.b.strain.refusing() != "" && time.Now().Before(end); {
		x.b.feel(0) // the event loops' own lateness counts too, and this machine may be busy
	}
	if ack := x.call(t, afar).connect(t, packet.Connect{Version: packet.V5}); ack.Code != packet.Success {
		t.Errorf("afterwards: %s", ack.Code)
	}
}
