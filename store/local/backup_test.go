package local

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"picket/store/storetest"
)

// A copy is what the store was at one moment during the call: not before the last change that was in the store then. It opens without damage, and the store goes on.
func TestBackup(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { backupWhileItChanges(t, seed) })
	}
}

func backupWhileItChanges(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 3))
	mode := Mode(seed % 3)
	fs := vfs.NewMem()
	s, r := start(t, fs, "/store", Options{Sync: mode})
	w := storetest.NewWorld(t, rng, s, r)
	for range 5 {
		for range rng.IntN(80) {
			w.Step()
		}
		if rng.IntN(3) == 0 {
			if err := s.Sync(context.Background()); err != nil { // its end flushes nothing, the next steps write on
				t.Fatal(err)
			}
		}
		_, before := w.Settled()
		copied := vfs.NewMem()
		err := s.Backup(context.Background(), func(dir string) error {
			w.Step()
			_, err := vfs.Clone(fs, copied, dir, "/copy")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		checkCopy(t, w, copied, before)
	}
	if _, err := fs.Stat("/store/" + backupName); err == nil {
		t.Error("the copy is still there")
	}
	_, n := w.Settled()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	verify(t, fs, "/store")
	s, r = start(t, fs, "/store", Options{Sync: mode})
	if err := w.Check(storetest.ImageOf(t, s, r), n, n); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// checkCopy opens a copy in which no change before number from may be missing.
func checkCopy(t *testing.T, w *storetest.World, fs vfs.FS, from int) {
	t.Helper()
	s, r := start(t, fs, "/copy", Options{})
	if d := s.Damage(); len(d) > 0 {
		t.Fatalf("the copy is damaged: %+v", d)
	}
	_, n := w.Settled()
	if err := w.Check(storetest.ImageOf(t, s, r), from, n); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	verify(t, fs, "/copy")
}

// What a copy cannot be written to says nothing of the store, which works on; what a crash has left of one is gone at the next start.
func TestBackupThatFails(t *testing.T) {
	fs := vfs.NewMem()
	s, r := start(t, fs, "/store", Options{})
	w := storetest.NewWorld(t, rand.New(rand.NewPCG(1, 1)), s, r)
	for range 20 {
		w.Step()
	}
	unfit := errors.New("nobody takes it")
	if err := s.Backup(t.Context(), func(string) error { return unfit }); !errors.Is(err, unfit) {
		t.Errorf("got %v", err)
	}
	s.engine.files.FS = refusing{s.engine.files.FS}
	if err := s.Backup(t.Context(), func(string) error { return nil }); err == nil || s.engine.failed() {
		t.Errorf("got %v; the engine is broken: %t", err, s.engine.failed())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), func(string) error { return nil }); err == nil {
		t.Error("a store that is closed is copied")
	}
	if err := fs.MkdirAll("/store/"+backupName+"/db", 0o700); err != nil {
		t.Fatal(err)
	}
	s, _ = start(t, fs, "/store", Options{})
	if _, err := fs.Stat("/store/" + backupName); err == nil {
		t.Error("what was left is still there")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// refusing is a file system on which nothing new can be made where backups are.
type refusing struct{ vfs.FS }

func (r refusing) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if r.PathBase(r.PathDir(r.PathDir(name))) == backupName || r.PathBase(r.PathDir(name)) == backupName {
		return nil, errors.New("no room for " + name)
	}
	return r.FS.Create(name, category)
}
