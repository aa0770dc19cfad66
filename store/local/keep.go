package local

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// space looks after the free space on the disk, and keeps a reserve of it in a file.
type space struct {
	fs    vfs.FS
	dir   string
	limit int64 // bytes that have to be free for something to be added

	mu       sync.Mutex
	reserved bool
}

// Bounds of the reserve, and its share of the file system.
const (
	reserveLeast = 8 << 20
	reserveMost  = 64 << 20
	reserveShare = 20
)

func (d *space) init(fs vfs.FS, dir string, limit int64) {
	d.fs, d.dir, d.limit = fs, dir, limit
	if limit > 0 {
		return
	}
	d.limit = reserveLeast
	if usage, err := fs.GetDiskUsage(parent(fs, dir)); err == nil {
		d.limit = min(max(int64(usage.TotalBytes)/reserveShare, reserveLeast), reserveMost)
	}
}

// parent is the nearest directory that exists.
func parent(fs vfs.FS, dir string) string {
	for {
		if _, err := fs.Stat(dir); err == nil {
			return dir
		}
		up := fs.PathDir(dir)
		if up == dir {
			return dir
		}
		dir = up
	}
}

// free is how many bytes are free; ok is false where the system does not say.
func (d *space) free() (n int64, ok bool) {
	usage, err := d.fs.GetDiskUsage(d.dir)
	if err != nil {
		return 0, false
	}
	return int64(usage.AvailBytes), true
}

// enough tells whether there is space for more.
func (d *space) enough() (free int64, ok bool) {
	n, known := d.free()
	if !known {
		return 0, true
	}
	if n < d.limit/2 {
		d.release()
	}
	return n, n >= d.limit
}

// release gives the reserve back to the disk, so that what is there already can be removed.
func (d *space) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reserved {
		d.reserved = false
		_ = d.fs.Remove(d.fs.PathJoin(d.dir, reserveName)) // if it cannot be removed there is nothing else to try
	}
}

// prepare sets the reserve aside, where there is plenty of space.
func (d *space) prepare() {
	n, known := d.free()
	if !known || n < 4*d.limit {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reserved {
		return
	}
	name := d.fs.PathJoin(d.dir, reserveName)
	if info, err := d.fs.Stat(name); err == nil && info.Size() == d.limit {
		d.reserved = true
		return
	}
	d.reserved = d.fill(name) == nil
	if !d.reserved {
		_ = d.fs.Remove(name) // half a reserve is none
	}
}

func (d *space) fill(name string) error {
	f, err := d.fs.OpenReadWrite(name, "picket-reserve")
	if err != nil {
		return err
	}
	defer f.Close()
	if err := private(d.fs, name); err != nil {
		return err
	}
	if runtime.GOOS == "linux" && f.Preallocate(0, d.limit) == nil {
		// The blocks are its own, whatever its length says: the length is what tells that it is complete.
		_, err := f.WriteAt([]byte{0}, d.limit-1)
		return err
	}
	zeros := make([]byte, 1<<20)
	for n := d.limit; n > 0; n -= int64(len(zeros)) {
		if _, err := f.Write(zeros[:min(n, int64(len(zeros)))]); err != nil {
			return err
		}
	}
	return nil
}

// Times and bounds of the keeper.
const (
	// keepInterval is how often the keeper looks at the space: a compaction that comes some seconds late costs nothing.
	keepInterval = 2 * time.Second
	// slack is what a store may take up beyond twice its records: logs of changes, and tables that are being replaced.
	slack = 48 << 20
)

// keep runs until the store is closed: it writes checkpoints, has space given back, and sets the reserve aside again.
func (s *Store) keep() {
	t := time.NewTicker(keepInterval)
	defer t.Stop()
	var k keeper
	for {
		select {
		case <-s.Stopping():
			return
		case <-s.flushed:
			if e := s.current(); e != nil {
				if err := s.writeCheckpoint(e); err != nil {
					s.log.Printf(logWarning, "The store's checkpoint cannot be written: %v.", err)
				}
			}
		case <-t.C:
			s.space.prepare()
			if e := s.current(); e != nil {
				k.look(s, e)
			}
		}
	}
}

// current is the engine in use, if there is one that works.
func (s *Store) current() *engine {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.down != nil {
		return nil
	}
	return s.engine
}

func (s *Store) noteFlush() {
	select {
	case s.flushed <- struct{}{}:
	default:
	}
}

// keeper decides when the database is to be compacted by hand. Pebble compacts what is written to; records that were removed
// stay where nothing is written any more.
type keeper struct {
	over      int   // how many times in a row there was too much
	compacted int64 // bytes on disk after the last compaction by hand
}

// patienceOver is how many times in a row there has to be too much on the disk: Pebble often sees to it itself.
const patienceOver = 2

func (k *keeper) look(s *Store, e *engine) {
	used, live := tables(e.db), s.live.Load()
	if used <= 2*live+slack/2 || used <= k.compacted+k.compacted/4 {
		k.over = 0
		return
	}
	if k.over++; k.over < patienceOver {
		return
	}
	k.over = 0
	if s.compact(e) == nil {
		k.compacted = tables(e.db)
	}
}

// tables is how many bytes the tables in use take up.
func tables(db *pebble.DB) int64 {
	m := db.Metrics()
	total := m.Total()
	return int64(total.TablesSize)
}

// compact rewrites the database without what has been removed. It ends early when the store is closed or the engine breaks.
func (s *Store) compact(e *engine) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- caught(func() error { return e.db.Compact(ctx, []byte{0}, []byte{0xFF}, false) })
	}()
	select {
	case err := <-done:
		return err
	case <-s.Stopping():
	case <-e.broken:
		return e.err
	}
	cancel()
	select {
	case err := <-done:
		return err
	case <-e.broken:
		return e.err
	}
}
