package local

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Sizes for machines with little memory: an empty store holds nothing of this, and a busy one not much more than twice the sum.
const (
	cacheSize     = 8 << 20
	memTableSize  = 4 << 20
	memTables     = 3 // full ones that wait to be written, before writing has to wait for them
	tableSize     = 4 << 20
	maxOpenTables = 128
)

// engineFormat is the format of Pebble's files that is written. It is raised by hand, when docs/storage.md says so. Later ones note in the logs of changes how
// far these were synced, which is not true of logs that are not always synced; the groups' own records say it instead.
const engineFormat = pebble.FormatColumnarBlocks

// errCut is what is done with an engine that has been given up.
var errCut = errors.New("the store was opened again since")

// engine is one opened database. When its log of changes or its list of tables cannot be written it is given up, and another one is opened. What it holds
// in memory then stays there: some MiB for each time that this happens.
type engine struct {
	db    *pebble.DB
	files *files
	work  chan job
	once  sync.Once
	// broken is closed when the engine has failed, after err has been set.
	broken chan struct{}
	err    error
	// troubled is when a flush or a compaction failed last, in Unix nanoseconds.
	troubled atomic.Int64
	flushed  func()      // called after memtables have been written to tables
	damaged  func(error) // called when something read was found to be damaged
}

// job is something that the engine's own goroutine does, so that whoever waits for it can give it up.
type job struct {
	do   func() error
	done chan error
}

func (e *engine) fail(err error) {
	e.once.Do(func() {
		e.err = err
		e.files.cut.Store(true)
		close(e.broken)
	})
}

// failed tells whether the engine is of no use any more.
func (e *engine) failed() bool {
	select {
	case <-e.broken:
		return true
	default:
		return false
	}
}

// newEngine returns an engine that has not been opened.
func newEngine(fs vfs.FS, syncs *atomic.Uint64) *engine {
	e := &engine{work: make(chan job), broken: make(chan struct{})}
	e.files = &files{FS: fs, syncs: syncs, failed: e.fail}
	return e
}

// open opens the database in dir, and makes it if there is none. It fails, and so does everything later, instead of ending the process.
func (e *engine) open(dir string, readOnly bool) error {
	go e.run()
	return e.run1(func() (err error) {
		e.db, err = pebble.Open(dir, e.options(readOnly))
		return err
	})
}

// run does the work of an engine until it is closed or broken.
func (e *engine) run() {
	for {
		select {
		case j, ok := <-e.work:
			if !ok {
				return
			}
			j.done <- caught(j.do)
		case <-e.broken:
			return
		}
	}
}

// caught calls do and turns a panic into an error: damaged files may lead to one.
func caught(do func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return do()
}

// stallLimit is how long a write may wait while flushes fail: as long as a disk may take that is asleep. Pebble would wait for ever.
const stallLimit = 10 * time.Second

// run1 has the engine's goroutine do something, and does not wait for it longer than the engine lives.
func (e *engine) run1(do func() error) error {
	j := job{do, make(chan error, 1)}
	select {
	case e.work <- j:
	case <-e.broken:
		return e.err
	}
	started := time.Now()
	check := time.NewTicker(time.Second)
	defer check.Stop()
	for {
		select {
		case err := <-j.done:
			return err
		case <-e.broken:
			return e.err
		case now := <-check.C:
			if trouble := time.Unix(0, e.troubled.Load()); now.Sub(trouble) < stallLimit/2 && now.Sub(started) > stallLimit {
				e.fail(errors.New("tables cannot be written"))
			}
		}
	}
}

// apply writes a batch, with or without fsync. A failure breaks the engine: nobody knows what of it is on the disk.
func (e *engine) apply(b *pebble.Batch, sync bool) error {
	err := e.run1(func() error {
		e.files.soft.Store(!sync)
		return b.Commit(pebble.Sync)
	})
	if err != nil {
		e.fail(err)
	}
	return err
}

// sync makes everything applied durable.
func (e *engine) sync() error {
	err := e.run1(func() error {
		e.files.soft.Store(false)
		return e.db.LogData(nil, pebble.Sync)
	})
	if err != nil {
		e.fail(err)
	}
	return err
}

// close ends an engine that works, or one that has not been opened.
func (e *engine) close() error {
	err := e.run1(func() error {
		if e.db == nil {
			return nil
		}
		e.files.soft.Store(false)
		return e.db.Close()
	})
	e.fail(errCut)
	return err
}

func (e *engine) options(readOnly bool) *pebble.Options {
	o := &pebble.Options{
		FS:                          e.files,
		FormatMajorVersion:          engineFormat,
		CacheSize:                   cacheSize,
		MemTableSize:                memTableSize,
		MemTableStopWritesThreshold: memTables + 1,
		L0CompactionThreshold:       4, // at 2, replacing 100,000 retained messages over and over takes a quarter more of processor
		L0StopWritesThreshold:       24,
		LBaseMaxBytes:               16 << 20,
		MaxOpenFiles:                maxOpenTables,
		MaxManifestFileSize:         1 << 20,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		ReadOnly:                    readOnly,
		DisableConsistencyCheck:     readOnly,
		Logger:                      quiet{e},
		EventListener: &pebble.EventListener{
			BackgroundError: func(error) { e.troubled.Store(time.Now().UnixNano()) },
			DataCorruption: func(i pebble.DataCorruptionInfo) {
				if e.damaged != nil {
					e.damaged(fmt.Errorf("%s: %w", i.Path, i.Details))
				}
			},
			FlushEnd: func(i pebble.FlushInfo) {
				if i.Err == nil && e.flushed != nil {
					e.flushed()
				}
			},
		},
	}
	o.Experimental.FileCacheShards = 1
	for i := range o.TargetFileSizes {
		o.TargetFileSizes[i] = tableSize << max(0, i-3)
	}
	for i := range o.Levels {
		o.Levels[i].BlockSize = 8 << 10
		o.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
	}
	return o
}

// quiet is Pebble's log: what matters comes by other ways.
type quiet struct{ e *engine }

func (quiet) Infof(string, ...any) {}

func (quiet) Errorf(string, ...any) {}

// Fatalf implements [pebble.Logger]. Pebble counts on its ending the process; instead the goroutine stands still, with the locks that it has.
func (q quiet) Fatalf(format string, args ...any) {
	q.e.fail(fmt.Errorf(format, args...))
	select {}
}
