// Package local keeps a broker's sessions and messages in a directory of this machine, in a Pebble database.
//
// One goroutine, the committer, writes everything: what has gathered while it wrote the last group becomes the next one, with one fsync for
// all of it (commit.go). It alone knows how many records refer to each message (encode.go). Reads go to the database from any goroutine (read.go).
//
// An opened database is an engine (engine.go), which is given up and replaced when it fails. Opening checks first that nothing is missing (check.go),
// and moves what can be read into a fresh database if something is (salvage.go). The keeper (keep.go) sees to the space on the disk.
package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"picket/cause"
	"picket/logging"
	"picket/store"
	"picket/store/groupcommit"
)

// Mode is when what is committed is safe: persistence_sync.
type Mode byte

// The modes.
const (
	Always   Mode = iota // reported as committed after fsync: survives a crash of the program and of the machine
	Interval             // reported at once, fsync every second: up to a second is lost with the machine
	Never                // left to the system: what it has not written yet is lost with the machine, often 30 seconds
)

// ParseMode reads a word of persistence_sync.
func ParseMode(word string) (Mode, error) {
	for m := Always; m <= Never; m++ {
		if m.String() == word {
			return m, nil
		}
	}
	return 0, fmt.Errorf("%q is none of always, interval, never", word)
}

// String gives the word of persistence_sync.
func (m Mode) String() string { return [...]string{"always", "interval", "never"}[min(m, Never)] }

// Options say how a store works. The zero value is ready, but for Log.
type Options struct {
	Sync Mode
	Log  *logging.Logger
	// Pending bounds the bytes that wait to be written before publishers are held back. Default 16 MiB.
	Pending int64
	// Reserve is how much space on the disk is kept: messages are refused when less is free, so that there is room to remove others.
	// Default: a twentieth of the file system, from 8 to 64 MiB.
	Reserve int64
	// FS is the file system. Default: the machine's.
	FS vfs.FS

	// The committer's times, and the length of a piece of a payload, but for tests.
	reopen   time.Duration
	patience int
	piece    int
}

// Store is a store in a directory. It implements [store.Store].
type Store struct {
	*groupcommit.Loop
	options Options
	dir     string
	base    vfs.FS // of what is not an engine's
	lock    interface{ Close() error }
	log     *logging.Logger
	space   space

	mu     sync.RWMutex // held for writing while the engine is replaced
	engine *engine
	down   error // why there is none

	backup sync.Mutex // held while there is a copy

	syncs            atomic.Uint64
	live, entries    atomic.Int64 // as the committer's ledger has them
	sessions, bodies atomic.Int64
	registry         atomic.Pointer[registry] // the committer's
	suspect          atomic.Bool              // damage was found while running

	staleMu sync.Mutex
	stale   [][]byte // keys of the index of what expires that stand for nothing

	contents  *contents // between Open and Start
	committer committer
	flushed   chan struct{} // a flush has ended
	damage    []Damage
}

var _ store.Store = (*Store)(nil)

// Names in a store's directory.
const (
	lockName       = "LOCK"
	databaseName   = "db"
	freshName      = "db.new"     // being filled with what could be read of a damaged database
	readyName      = "db.ready"   // the same, complete
	damagedName    = "db.damaged" // with the date
	reserveName    = "reserve"    // space that is freed when the disk is full
	checkpointName = "checkpoint" // how far the database must at least have got
	suspectName    = "suspect"    // damage was found while running: check everything at the next start
)

const pendingDefault = 16 << 20

// Open opens the store in dir, and makes it if there is none. One process at a time can have it open. What is damaged is moved aside
// and logged under persistence-corrupt, and is no error; [Store.Damage] says what it was.
func Open(dir string, o Options) (_ *Store, err error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Pending <= 0 {
		o.Pending = pendingDefault
	}
	o.reopen, o.patience, o.piece = cmp.Or(o.reopen, reopenFirst), cmp.Or(o.patience, groupcommit.Patience), cmp.Or(o.piece, pieceDefault)
	s := &Store{Loop: groupcommit.New(o.Pending, o.patience), options: o, dir: dir, log: o.Log, flushed: make(chan struct{}, 1)}
	s.space.init(o.FS, dir, o.Reserve)
	s.base = vfs.OnDiskFull(o.FS, s.space.release)
	if err := makeDirectory(s.base, dir); err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	if err := lockDirectory(s, dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.lock.Close())
		}
	}()
	if err := s.base.RemoveAll(s.path(backupName)); err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	if err := s.openDatabase(true); err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	s.space.prepare()
	return s, nil
}

func (s *Store) path(elem ...string) string {
	return s.base.PathJoin(append([]string{s.dir}, elem...)...)
}

// openDatabase opens the database, checks it and reads what has to be known, and saves what can be saved where it is damaged.
func (s *Store) openDatabase(first bool) error {
	if err := s.finishSalvage(); err != nil {
		return err
	}
	for tries := 0; ; tries++ {
		var e *engine
		err := s.check()
		if err == nil {
			s.suspect.Store(false) // before the engine works: from then on it may find damage at any moment
			e = newEngine(s.base, &s.syncs)
			e.files.apart = s.path(backupName)
			e.flushed = s.noteFlush
			e.damaged = s.noteDamage
			if err = e.open(s.path(databaseName), false); err == nil {
				s.contents, err = s.read(e)
			}
			if err == nil {
				return s.install(e)
			}
			if e.failed() {
				return err // it cannot be written, which says nothing about what is there
			}
			_ = e.close() // it is the damage that counts
		}
		if tries == 2 || !repairable(err, first) {
			return err
		}
		if saved := s.salvage(err); saved != nil {
			return errors.Join(err, saved)
		}
	}
}

// repairable tells whether an error of opening says that the database is damaged, and not that something around it is not as it should be. When a store
// is opened again after a failure, the disk is not to be trusted, and nothing but a wrong checksum counts.
func repairable(err error, first bool) bool {
	for _, other := range [...]error{store.ErrNewer, fs.ErrPermission, syscall.EMFILE, syscall.ENFILE, syscall.EROFS, syscall.ENOMEM} {
		if errors.Is(err, other) || isFull(err) {
			return false
		}
	}
	return first || errors.Is(err, errDamage) || pebble.IsCorruptionError(err)
}

// install puts an engine whose contents have been read in force.
func (s *Store) install(e *engine) error {
	c := s.contents
	s.LastSession.Store(max(s.LastSession.Load(), c.lastSession))
	s.LastMessage.Store(max(s.LastMessage.Load(), c.lastMessage))
	s.mu.Lock()
	s.engine, s.down = e, nil
	s.mu.Unlock()
	s.committer.ledger = c.ledger
	s.registry.Store(c.ledger.alive)
	s.publish()
	return nil
}

// Damage returns what was found to be damaged while opening.
func (s *Store) Damage() []Damage { return s.damage }

func (s *Store) Start(ctx context.Context, h store.Handler) error {
	c := s.contents
	if c == nil {
		return errors.New("the store has been started already")
	}
	s.contents, s.Handler = nil, h
	for _, ls := range c.sessions {
		if err := ctx.Err(); err != nil {
			return err
		}
		h.Session(ls.session, ls.state)
	}
	for _, m := range c.retained {
		if m.ID == 0 {
			m.ID = s.NewMessageID()
		}
		h.Retained(m.Topic, m)
	}
	s.Run(medium{s})
	s.Go(s.keep)
	return nil
}

func (s *Store) Stats() store.Stats {
	st := store.Stats{Sessions: int(s.sessions.Load()), Entries: s.entries.Load(), Bodies: int(s.bodies.Load()), Live: s.live.Load(), Syncs: s.syncs.Load()}
	s.Loop.Stats(&st)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.engine != nil && s.down == nil {
		st.Disk = int64(s.engine.db.Metrics().DiskSpaceUsage())
	}
	return st
}

func (s *Store) Close() error {
	return s.Stop(func(unwritten error) error {
		s.mu.Lock()
		e := s.engine
		s.engine, s.down = nil, store.ErrClosed
		s.mu.Unlock()
		var err error
		if e != nil {
			err = s.finish(e)
		}
		return errors.Join(unwritten, err, s.lock.Close())
	})
}

// finish ends the engine so that nothing is left in the log of changes: what the checkpoint says can be compared with the tables alone then.
func (s *Store) finish(e *engine) error {
	if err := e.run1(e.db.Flush); err != nil {
		_ = e.close() // it is the other error that counts
		return err
	}
	err := s.writeCheckpoint(e)
	return errors.Join(err, e.close())
}

func (s *Store) cause(t logging.Type, id cause.ID, format string, args ...any) {
	s.log.Cause(t, id, format, args...)
}

// publish shows others what the committer's ledger says.
func (s *Store) publish() {
	l := &s.committer.ledger
	s.live.Store(l.live)
	s.entries.Store(l.entries)
	s.sessions.Store(int64(l.alive.len()))
	s.bodies.Store(int64(len(l.bodies)))
}

// reopenFirst and reopenMost are how long a store waits before it tries to open itself again: a second, doubled each time up to a minute, because
// a disk that fails may be in the middle of being replaced, each try reads it, and each engine that fails keeps its memory. After goodTime without a failure it
// begins with a second again.
const (
	reopenFirst = time.Second
	reopenMost  = time.Minute
	goodTime    = 10 * time.Minute
)
