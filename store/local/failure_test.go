package local

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"picket/session"
	"picket/store"
	"picket/store/storetest"
)

// checkWhole closes a store and looks whether what it holds is what it must hold when everything is durable.
func checkWhole(t *testing.T, s *Store, w *storetest.World, fs vfs.FS) {
	t.Helper()
	for range 2 { // what is refused is answered
		if err := s.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.Answer()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	verify(t, fs, "/store")
	s, r := start(t, fs, "/store", Options{})
	defer s.Close()
	_, n := w.Settled()
	if err := w.Check(storetest.ImageOf(t, s, r), n, n); err != nil {
		t.Fatal(err)
	}
	if d := s.Damage(); len(d) > 0 {
		t.Fatalf("%+v", d)
	}
}

// TestFullDisk has less space than the reserve: nothing can be added then, everything can be removed, and it goes on when there is space again.
func TestFullDisk(t *testing.T) {
	fs := vfs.NewMem()
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 30, TotalBytes: 2 << 30})
	s, r := start(t, fs, "/store", Options{Reserve: 4 << 20})
	w := storetest.NewWorld(t, rand.New(rand.NewPCG(1, 4)), s, r)
	for range 100 {
		w.Step()
	}
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 20, TotalBytes: 2 << 30})
	w.Retain(&session.Message{ID: s.NewMessageID(), Topic: "full", QoS: 1})
	var errs, health []error
	r.Wait(func(e, h []error) bool {
		errs, health = slices.Clone(e), slices.Clone(h)
		return len(errs) > 0 && len(health) > 0
	})
	if !errors.Is(errs[0], store.ErrFull) || len(health) != 1 || !errors.Is(health[0], store.ErrFull) {
		t.Fatalf("errors %v, health %v", errs, health)
	}
	if _, err := fs.Stat("/store/" + reserveName); err == nil {
		t.Error("the reserve is still there")
	}
	for range 30 {
		w.Acknowledge()
		w.End()
	}
	if err := s.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 30, TotalBytes: 2 << 30})
	for well := false; !well; { // what is free is looked at now and then only
		w.Step()
		if err := s.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
		r.Wait(func(_, health []error) bool { well = health[len(health)-1] == nil; return true })
	}
	for range 50 {
		w.Step()
	}
	checkWhole(t, s, w, fs)
}

// faults has writes fail while it is on.
type faults struct {
	on   atomic.Bool
	err  error
	some func(name string) bool // nil: all files
	sync bool                   // only fsync: what was written is there nevertheless
}

func (f *faults) String() string { return "faults" }

func (f *faults) MaybeError(op errorfs.Op) error {
	if f.sync && op.Kind != errorfs.OpFileSync && op.Kind != errorfs.OpFileSyncData {
		return nil
	}
	if !f.on.Load() || op.Kind.ReadOrWrite() == errorfs.OpIsRead || f.some != nil && !f.some(op.Path) {
		return nil
	}
	return f.err
}

// TestFailingWrites has writes of all files, or of some kinds, fail for a while, again and again. Nothing that was reported as committed may be missing
// afterwards, and nothing that was refused may be there.
func TestFailingWrites(t *testing.T) {
	kinds := map[string]func(string) bool{
		"everything": nil,
		"logs":       func(name string) bool { return strings.HasSuffix(name, ".log") },
		"tables":     func(name string) bool { return strings.HasSuffix(name, ".sst") },
		"lists":      func(name string) bool { return strings.Contains(name, "MANIFEST") || strings.Contains(name, "marker") },
	}
	t.Run("fsync", func(t *testing.T) {
		t.Parallel()
		failingWrites(t, &faults{err: syscall.EIO, sync: true})
	})
	for name, some := range kinds {
		for _, err := range []error{syscall.EIO, syscall.ENOSPC} {
			t.Run(name+" "+err.Error(), func(t *testing.T) {
				t.Parallel()
				failingWrites(t, &faults{err: err, some: some})
			})
		}
	}
}

func failingWrites(t *testing.T, f *faults) {
	rng := rand.New(rand.NewPCG(*seed, 5))
	mem := vfs.NewMem()
	s, r := start(t, errorfs.Wrap(mem, f), "/store", Options{reopen: 10 * time.Millisecond})
	w := storetest.NewWorld(t, rng, s, r)
	for range 4 {
		for range 40 {
			w.Step()
		}
		if e := s.current(); e != nil && rng.IntN(2) == 0 {
			go func() { _ = caught(e.db.Flush) }() // tables are written now
		}
		f.on.Store(true)
		for range 20 {
			w.Step()
			_ = s.Sync(context.Background()) // it fails, and what was refused is known
		}
		f.on.Store(false)
		r.Wait(func(_, health []error) bool { return len(health) == 0 || health[len(health)-1] == nil })
	}
	checkWhole(t, s, w, mem)
}
