package local

import (
	"context"
	"flag"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"picket/store/storetest"
)

// TestAnyOperationsCrashedAnywhere does whatever comes to a store, kills it or cuts its power at any moment, and looks what is there
// afterwards: a state that it had, not before the last commit that was reported.
func TestAnyOperationsCrashedAnywhere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		mode := Mode(rapid.IntRange(0, 2).Draw(rt, "persistence_sync"))
		fs := vfs.NewCrashableMem()
		for range rapid.IntRange(1, 3).Draw(rt, "lives") {
			s, r := start(t, fs, "/store", Options{Sync: mode})
			w := storetest.NewWorld(t, rng, s, r)
			for range rapid.IntRange(0, 60).Draw(rt, "steps") {
				w.Step()
				if rng.IntN(10) == 0 {
					time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
				}
			}
			settled, n := w.Settled()
			how := rapid.SampledFrom([]string{"close", "sync", "kill", "power"}).Draw(rt, "end")
			unsynced := 100
			switch how {
			case "close":
				if err := s.Close(); err != nil {
					rt.Fatal(err)
				}
			case "sync":
				if err := s.Sync(context.Background()); err != nil {
					rt.Fatal(err)
				}
				unsynced = 0
			case "power":
				unsynced = rapid.IntRange(0, 100).Draw(rt, "unsynced blocks that arrive, in percent")
			}
			crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rng})
			if how != "close" {
				_ = s.Close() // what it does now is not in the clone
			}
			fs = crashed
			s, r = start(t, fs, "/store", Options{Sync: mode})
			got := storetest.ImageOf(t, s, r)
			switch {
			case how == "close" || how == "sync":
				settled = n
			case how == "power" && mode != Always:
				settled = 0 // it promises no more
			}
			if err := w.Check(got, settled, n); err != nil {
				rt.Fatalf("%s: %v", how, err)
			}
			if d := s.Damage(); len(d) > 0 {
				rt.Fatalf("%s: damage was found where there is none: %+v", how, d)
			}
			if err := s.Close(); err != nil {
				rt.Fatal(err)
			}
			verify(t, fs, "/store")
		}
	})
}

var (
	seed  = flag.Uint64("seed", 0, "run TestPowerLoss and TestDamage with this seed only")
	seeds = flag.Int("seeds", 2, "how many seeds TestPowerLoss and TestDamage run with")
)

// TestPowerLoss cuts the power at every point at which something is made durable, just before and just after it, with all kinds of luck for what had not been synced.
func TestPowerLoss(t *testing.T) {
	first, n := uint64(1), *seeds
	if *seed != 0 {
		first, n = *seed, 1
	} else if testing.Short() {
		n = 1
	}
	for k := range n {
		powerLoss(t, first+uint64(k))
	}
}

// outage is what was on the disk when the power went.
type outage struct {
	fs         *vfs.MemFS
	settled, n int
}

func powerLoss(t *testing.T, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	luck := rand.New(rand.NewPCG(seed, 2))
	fs := vfs.NewCrashableMem()
	var mu sync.Mutex
	var outages []outage
	var w *storetest.World
	cut := func() {
		mu.Lock()
		defer mu.Unlock()
		if w == nil {
			return
		}
		o := outage{}
		o.settled, _ = w.Settled()
		percent := [...]int{0, 50, 100, luck.IntN(101)}[luck.IntN(4)]
		o.fs = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: luck})
		_, o.n = w.Settled()
		outages = append(outages, o)
	}
	s, r := start(t, syncPoints{cloneable{fs}, cut}, "/store", Options{})
	mu.Lock()
	w = storetest.NewWorld(t, rng, s, r)
	w.Before = func() { // the power may go here, too
		if rng.IntN(8) == 0 {
			time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
		}
	}
	mu.Unlock()
	for i := range 150 {
		w.Step()
		switch {
		case rng.IntN(8) == 0:
			time.Sleep(time.Duration(rng.IntN(1000)) * time.Microsecond)
		case i%50 == 49:
			if err := s.current().db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for i, o := range outages {
		s, r := start(t, o.fs, "/store", Options{})
		err := w.Check(storetest.ImageOf(t, s, r), o.settled, o.n)
		if err != nil || len(s.Damage()) > 0 {
			t.Fatalf("outage %d of %d: %v; damage: %+v\nto run it again: go test ./store/local -run TestPowerLoss -seed %d", i, len(outages), err, s.Damage(), seed)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		verify(t, o.fs, "/store")
	}
	t.Logf("seed %d: the power went %d times", seed, len(outages))
}

// syncPoints is a file system that calls cut before and after each sync.
type syncPoints struct {
	cloneable
	cut func()
}

func (p syncPoints) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return syncPointFile{f, p.cut}, nil
}

func (p syncPoints) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return p.wrap(p.MemFS.Create(name, c))
}

func (p syncPoints) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return p.wrap(p.MemFS.OpenReadWrite(name, c, opts...))
}

func (p syncPoints) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return p.wrap(p.cloneable.ReuseForWrite(old, name, c))
}

func (p syncPoints) OpenDir(name string) (vfs.File, error) { return p.wrap(p.MemFS.OpenDir(name)) }

type syncPointFile struct {
	vfs.File
	cut func()
}

func (f syncPointFile) Sync() error {
	f.cut()
	err := f.File.Sync()
	f.cut()
	return err
}

func (f syncPointFile) SyncData() error {
	f.cut()
	err := f.File.SyncData()
	f.cut()
	return err
}
