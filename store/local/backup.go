package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"

	"picket/store"
)

// backupName is where a copy is made. What a crash has left there is removed at the next start.
const backupName = "backup"

// Backup makes a copy of the store as it is at one moment during the call, with everything that had been committed before it, and hands its directory to use. The
// copy is one that [Open] opens; it is removed when use returns. Tables are linked and not copied, so it takes little space and time however much is stored, and the
// broker goes on meanwhile. One at a time is made; a second one waits.
func (s *Store) Backup(ctx context.Context, use func(dir string) error) (err error) {
	s.backup.Lock()
	defer s.backup.Unlock()
	if err := s.Sync(ctx); err != nil {
		return err
	}
	if free, ok := s.space.enough(); !ok {
		return fmt.Errorf("%w: %d bytes are free", store.ErrFull, free)
	}
	dir := s.path(backupName)
	if err := errors.Join(s.base.RemoveAll(dir), s.base.MkdirAll(dir, 0o700)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.base.RemoveAll(dir)) }()
	// The checkpoint says how far the tables have got at least, so it has to be the older of the two.
	cp, err := readFile(s.base, s.path(checkpointName))
	switch {
	case err == nil:
		err = s.writeFile(s.base.PathJoin(dir, checkpointName), cp)
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	if err == nil {
		err = s.copyDatabase(s.base.PathJoin(dir, databaseName))
	}
	if err != nil {
		return fmt.Errorf("the store cannot be copied: %w", err)
	}
	return use(dir)
}

// copyDatabase makes a consistent copy of the database.
func (s *Store) copyDatabase(to string) error {
	s.mu.RLock()
	e, down := s.engine, s.down
	s.mu.RUnlock()
	if down != nil {
		return down
	}
	return e.run1(func() error { return e.db.Checkpoint(to, pebble.WithFlushedWAL()) })
}
