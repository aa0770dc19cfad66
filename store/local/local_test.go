package local

import (
	"cmp"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"picket/logging"
	"picket/store"
	"picket/store/storetest"
)

// TestStore runs the tests of every store.
func TestStore(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Place {
		fs := cloneable{vfs.NewMem()}
		return func(t testing.TB) store.Store {
			s, err := Open("/store", Options{FS: fs, Log: newLog(t), piece: shortPiece})
			if err != nil {
				t.Fatal(err)
			}
			if d := s.Damage(); len(d) > 0 {
				t.Fatalf("damage was found where there is none: %+v", d)
			}
			return s
		}
	})
}

func newLog(t testing.TB) *logging.Logger {
	t.Helper()
	c := logging.Config{}
	if os.Getenv("PICKET_TEST_LOG") != "" {
		c = logging.Config{Dest: []logging.Dest{{Kind: logging.Stderr}}, Types: logging.All}
	}
	log, err := logging.New(c, os.Stdout, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	return log
}

// cloneable is a file system that can be cloned at any moment. [vfs.MemFS] takes a lock for reading twice in ReuseForWrite, and stands still for ever when a
// clone is asked for in between.
type cloneable struct{ *vfs.MemFS }

func (c cloneable) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := c.Rename(old, name); err != nil {
		return nil, err
	}
	return c.OpenReadWrite(name, category)
}

// shortPiece has some of the tests' long messages lie in pieces, and others not.
const shortPiece = 300

// start opens a store and starts it.
func start(t testing.TB, fs vfs.FS, dir string, o Options) (*Store, *storetest.Recorder) {
	t.Helper()
	if m, ok := fs.(*vfs.MemFS); ok {
		fs = cloneable{m}
	}
	o.FS, o.Log, o.piece = fs, newLog(t), cmp.Or(o.piece, shortPiece)
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s, storetest.Start(t, s)
}

// verify looks for anything that does not fit together in a store that has been closed.
func verify(t testing.TB, fs vfs.FS, dir string) {
	t.Helper()
	i, err := Inspect(dir, Options{FS: fs, Log: newLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	counts, problems, err := i.Verify()
	if err = errors.Join(err, i.Close()); err != nil {
		t.Fatal(err)
	}
	if len(problems) > 0 {
		t.Fatalf("%+v\n%s", counts, strings.Join(problems, "\n"))
	}
}
