package local

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrInUse says that another process, or another part of this one, has the store open.
var ErrInUse = errors.New("in use")

// lockDirectory makes the store's directory this process's own, until it is closed or the process ends.
func lockDirectory(s *Store, dir string) error {
	name := s.path(lockName)
	lock, err := s.base.Lock(name)
	if err != nil {
		// Only if it is not ours: asking about a lock of this process would let go of it.
		if !strings.Contains(err.Error(), "current process") {
			if holder := lockHolder(name); holder != "" {
				return fmt.Errorf("store %s: %w by another process%s; only one at a time can have it open", dir, ErrInUse, holder)
			}
		}
		return fmt.Errorf("store %s: %w, or it cannot be locked: %w", dir, ErrInUse, err)
	}
	if err := private(s.base, name); err != nil {
		return err
	}
	s.lock = lock
	return nil
}

// nothing is a lock inside the database's directory, which the store's own makes unnecessary. A database that has been given up
// would never let go of it.
type nothing struct{}

func (nothing) Close() error { return nil }

func (f *files) Lock(string) (io.Closer, error) { return nothing{}, nil }
