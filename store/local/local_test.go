package local

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestWhatWasWrittenIsThereAgain(t *testing.T) {
	dir := t.TempDir() + "/store"
	rng := rand.New(rand.NewPCG(1, 1))
	for range 5 {
		s, r := start(t, vfs.Default, dir, Options{})
		w := newWorld(t, rng, s, r)
		for range 200 {
			w.step()
		}
		if err := s.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s, r = start(t, vfs.Default, dir, Options{})
		got := imageOf(t, s, r)
		all := w.images(0, len(w.changes))
		if lines := all[len(all)-1].diff(got); len(lines) > 0 {
			t.Fatal(lines)
		}
		if len(s.Damage()) > 0 {
			t.Fatalf("%+v", s.Damage())
		}
		t.Logf("%+v", s.Stats())
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
