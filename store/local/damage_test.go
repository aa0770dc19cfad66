package local

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"picket/store/storetest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestDamage flips bits and cuts files of a store, one after the other, and opens it. It has to open each time, with nothing in it that is not
// right, and to say so when something is missing.
func TestDamage(t *testing.T) {
	first, n := uint64(1), *seeds
	if *seed != 0 {
		first, n = *seed, 1
	} else if testing.Short() {
		n = 1
	}
	for k := range n {
		damage(t, first+uint64(k))
	}
}

func damage(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 3))
	fs := vfs.NewCrashableMem()
	s, r := start(t, fs, "/store", Options{})
	w := storetest.NewWorld(t, rng, s, r)
	for i := range 300 {
		w.Step()
		if i%70 == 69 {
			if err := s.Sync(context.Background()); err != nil {
				t.Fatal(err)
			}
			if err := s.current().db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	// History is every value that anything ever had.
	if err := s.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	history := map[string]map[string]bool{}
	var now storetest.State
	_, n := w.Settled()
	for _, st := range w.States(0, n) {
		for k, v := range st.Image {
			if history[k] == nil {
				history[k] = map[string]bool{}
			}
			history[k][v] = true
		}
		now = st
	}
	clean := rng.IntN(2) == 0
	if clean {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	whole := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
	if !clean {
		_ = s.Close() // what it does now is not in the clone
	}
	names := filesOf(t, whole, "/store")
	for _, name := range names {
		for try := range 4 {
			damaged := whole.CrashClone(vfs.CrashCloneCfg{})
			what := spoil(t, damaged, name, rng, try)
			if what == "" {
				continue
			}
			t.Run(fmt.Sprintf("seed %d clean %v %s %s", seed, clean, name, what), func(t *testing.T) {
				s, r := start(t, damaged, "/store", Options{})
				got := storetest.ImageOf(t, s, r)
				reported := len(s.Damage()) > 0 || s.suspect.Load()
				for k, v := range got {
					if v == "damaged" {
						if !reported {
							t.Errorf("%s is damaged, and that has not been said", k)
						}
						delete(got, k)
					} else if !history[k][v] {
						t.Errorf("%s is %.100s, which it never was", k, v)
					}
				}
				same := maps.Equal(got, now.Image)
				log := strings.HasSuffix(name, ".log")
				switch {
				case same:
				case reported:
				case log && !clean:
					// The end of the log may have been torn off by a power loss: nobody can tell.
					if err := w.Check(got, 0, n); err != nil {
						t.Error(err)
					}
				default:
					t.Errorf("something is missing or old, and that has not been said: %v", now.Diff(got))
				}
				if !log && !strings.Contains(strings.Join(lostOf(s), " "), "again") {
					for k, v := range got {
						if now.Image[k] != v {
							t.Errorf("%s = %.100s is old, and it is not said that something may be", k, v)
						}
					}
				}
				// It works, and what has been saved once needs no saving again.
				w2 := storetest.NewWorld(t, rng, s, r)
				for range 10 {
					w2.Step()
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				suspect := s.suspect.Load()
				s, r = start(t, damaged, "/store", Options{})
				if d := s.Damage(); len(d) > 0 && !suspect {
					t.Errorf("it is still damaged after it was put in order: %+v", d)
				}
				_ = storetest.ImageOf(t, s, r)
				if s.suspect.Load() {
					t.Error("there is still damage")
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				verify(t, damaged, "/store")
			})
			if t.Failed() {
				t.Fatalf("to run it again: go test ./store/local -run TestDamage -seed %d", seed)
			}
		}
	}
}

func lostOf(s *Store) (all []string) {
	for _, d := range s.Damage() {
		all = append(all, d.Lost...)
	}
	return all
}

func filesOf(t *testing.T, fs vfs.FS, dir string) (all []string) {
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, name := range names {
		full := filepath.Join(dir, name)
		if info, err := fs.Stat(full); err != nil {
			t.Fatal(err)
		} else if info.IsDir() {
			all = append(all, filesOf(t, fs, full)...)
		} else {
			all = append(all, full)
		}
	}
	return all
}

// spoil damages a file and says how.
func spoil(t *testing.T, fs *vfs.MemFS, name string, rng *rand.Rand, try int) string {
	data, err := readFile(fs, name)
	if err != nil {
		t.Fatal(err)
	}
	what := ""
	switch {
	case try == 0:
		if err := fs.Remove(name); err != nil {
			t.Fatal(err)
		}
		return "removed"
	case len(data) == 0:
		return ""
	case try == 1:
		n := rng.IntN(len(data))
		data = data[:n]
		what = fmt.Sprintf("cut to %d", n)
	default:
		used := len(data)
		for used > 1 && data[used-1] == 0 {
			used-- // space set aside
		}
		at := rng.IntN(used)
		data[at] ^= 1 << rng.IntN(8)
		what = fmt.Sprintf("bit in byte %d", at)
	}
	f, err := fs.Create(name, "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return what
}

// TestPowerLossWhileItIsPutInOrder cuts the power while a damaged store is moved into a fresh one, at every point at which something is made durable.
func TestPowerLossWhileItIsPutInOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(*seed, 6))
	fs := vfs.NewCrashableMem()
	s, r := start(t, fs, "/store", Options{Reserve: 1 << 20})
	w := storetest.NewWorld(t, rng, s, r)
	for range 100 {
		w.Step()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	names := slices.DeleteFunc(filesOf(t, fs, "/store"), func(name string) bool { return !strings.Contains(name, "MANIFEST-") })
	spoil(t, fs, names[0], rng, 0)
	if err := syncDirectory(fs, "/store/db"); err != nil {
		t.Fatal(err)
	}
	fs = fs.CrashClone(vfs.CrashCloneCfg{})
	var mu sync.Mutex
	var outages []*vfs.MemFS
	cut := func() {
		mu.Lock()
		defer mu.Unlock()
		outages = append(outages, fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng}))
	}
	s, r = start(t, syncPoints{cloneable{fs}, cut}, "/store", Options{})
	if len(s.Damage()) == 0 {
		t.Fatal("no damage was found")
	}
	want := storetest.ImageOf(t, s, r)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for i, fs := range outages {
		s, r := start(t, fs, "/store", Options{})
		if got := storetest.ImageOf(t, s, r); !maps.Equal(got, want) {
			t.Fatalf("outage %d of %d: it holds\n%s\nwant\n%s", i, len(outages), got, want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		verify(t, fs, "/store")
	}
	t.Logf("the power went %d times", len(outages))
}
