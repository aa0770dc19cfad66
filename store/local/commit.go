package local

import (
	"fmt"
	"time"

	"picket/cause"
	"picket/logging"
	"picket/store"
	"picket/store/groupcommit"
)

// syncInterval is how long something may be written and not on the disk: with persistence_sync interval, and for what nobody waits for.
const syncInterval = time.Second

// committer is what the committing goroutine has for itself.
type committer struct {
	ledger
	health   error          // why nothing can be added: nil, ErrFull or ErrFailed
	retry    []*store.Batch // what must not fail, and waits until the engine works again
	lost     []*store.Batch // what was refused when the engine failed, and may have been written all the same
	lostAs   uint64         // as this group
	unsynced time.Time      // since when something is written and not on the disk; zero: nothing
	opened   time.Time      // when the engine was opened, if it is not the first
	reopenAt time.Time
	reopenIn time.Duration
}

// medium is the store as the committing goroutine sees it.
type medium struct{ *Store }

func (s medium) Turn() (pause time.Duration, ticking bool) {
	c := &s.committer
	for {
		s.Settle()
		now := time.Now()
		need, pause := s.Due(now)
		if c.health == store.ErrFailed {
			if need != store.Nothing {
				s.write(s.Take(groupcommit.Most))
				continue
			}
			if wait := c.reopenAt.Sub(now); wait > 0 {
				return wait, false
			}
			s.reopen()
			continue
		}
		syncs := !c.unsynced.IsZero() && s.options.Sync != Never
		switch {
		case need == store.Now:
			s.write(s.TakeDue(groupcommit.Most))
			s.purge()
		case need == store.Soon:
			return pause, true
		case len(c.dead) > 0:
			s.purge()
		case syncs && now.Sub(c.unsynced) >= syncInterval:
			s.syncNow()
		case need == store.Later:
			return pause, false
		case syncs:
			return syncInterval - now.Sub(c.unsynced), false
		default:
			return time.Minute, false
		}
	}
}

// WriteAll implements [groupcommit.Medium]: it has all there is on the disk.
func (s medium) WriteAll() error {
	c := &s.committer
	for {
		group := s.Take(groupcommit.Most)
		if len(group) == 0 {
			break
		}
		s.write(group)
	}
	if c.health != store.ErrFailed && !c.unsynced.IsZero() {
		s.syncNow()
	}
	s.Settle()
	if c.health == store.ErrFailed {
		return s.down
	}
	return nil
}

// write makes a group durable, or refuses what cannot be.
func (s *Store) write(group []*store.Batch) {
	c := &s.committer
	if c.health == store.ErrFailed {
		s.postpone(group, store.ErrFailed)
		return
	}
	group = s.admit(group)
	if len(group) == 0 {
		return
	}
	sync := false
	var ops uint64
	for _, b := range group {
		sync = sync || b.Awaited()
		for range b.Ops() {
			ops++
		}
	}
	if ops == 0 {
		s.done(group)
		return
	}
	sync = sync && s.options.Sync == Always
	e := s.engine
	out, err := c.encode(e, group, s.takeStale())
	if err == nil {
		err = e.apply(out, sync)
	}
	if err != nil {
		s.engineFailed(group, err)
		return
	}
	_ = out.Close() // it gives memory back
	if c.broken != nil {
		s.noteDamage(c.broken)
		c.broken = nil
	}
	s.Wrote(ops)
	switch {
	case sync:
		c.unsynced, c.synced = time.Time{}, c.group
	case c.unsynced.IsZero():
		c.unsynced = time.Now()
	}
	s.publish()
	s.done(group)
}

func (s *Store) done(group []*store.Batch) {
	for _, b := range group {
		s.Done(b)
	}
	s.Settle()
}

// admit refuses the batches of a group that add something while there is no space for it, and returns the others.
func (s *Store) admit(group []*store.Batch) []*store.Batch {
	c := &s.committer
	adds := false
	for _, b := range group {
		adds = adds || b.Adds()
	}
	if !adds {
		return group
	}
	free, ok := s.space.enough()
	if ok {
		if c.health != nil {
			c.health = nil
			s.log.Printf(logging.Notice, "There is space for stored messages again: %d MiB are free.", free>>20)
			s.Handler.Health(nil)
		}
		return group
	}
	if c.health == nil {
		c.health = store.ErrFull
		s.cause(logging.Error, cause.DiskFull, "Nothing can be stored: only %d MiB are free for %s, and %d MiB are kept in reserve. Messages that have to be stored are refused until there is more.",
			free>>20, s.dir, s.space.limit>>20)
		s.Handler.Health(store.ErrFull)
	}
	return s.RefuseAdders(group, fmt.Errorf("%w: %d MiB are free", store.ErrFull, free>>20))
}

// postpone refuses what adds something, and keeps the rest until the engine works again.
func (s *Store) postpone(group []*store.Batch, err error) {
	s.committer.retry = append(s.committer.retry, s.RefuseAdders(group, err)...)
}

// engineFailed gives the engine up. Whether the group is on the disk will be known when another one has been opened.
func (s *Store) engineFailed(group []*store.Batch, err error) {
	c := &s.committer
	c.lostAs = c.group
	for _, b := range group {
		if b.Adds() {
			c.lost = append(c.lost, b)
		}
	}
	e := s.engine
	e.fail(err)
	s.mu.Lock()
	s.down = fmt.Errorf("%w: %w", store.ErrFailed, err)
	s.mu.Unlock()
	c.unsynced = time.Time{}
	if c.reopenIn == 0 || time.Since(c.opened) > goodTime {
		c.reopenIn = s.options.reopen
	} else {
		c.reopenIn = min(2*c.reopenIn, reopenMost)
	}
	c.reopenAt = time.Now().Add(c.reopenIn)
	c.health = store.ErrFailed
	s.cause(logging.Error, cause.StoreFailed, "The store %s cannot be written: %v. Messages that have to be stored are refused until it can. The next try is in %s.", s.dir, err, c.reopenIn)
	s.Handler.Health(s.down)
	s.postpone(group, s.down)
}

func (s *Store) syncNow() {
	c := &s.committer
	if err := s.engine.sync(); err != nil {
		s.engineFailed(nil, err)
		return
	}
	c.unsynced, c.synced = time.Time{}, c.group
}

// reopen tries to open the database again after its engine has failed.
func (s *Store) reopen() {
	c := &s.committer
	err := s.probe()
	if err == nil {
		err = s.reopenDatabase()
	}
	if err != nil {
		c.reopenIn = min(2*c.reopenIn, reopenMost)
		c.reopenAt = time.Now().Add(c.reopenIn)
		s.cause(logging.Error, cause.StoreFailed, "The store %s still cannot be written: %v. The next try is in %s.", s.dir, err, c.reopenIn)
		return
	}
	c.health, c.opened = nil, time.Now()
	retry, lost := c.retry, c.lost
	c.retry, c.lost = nil, nil
	if c.group >= c.lostAs && len(lost) > 0 {
		// What was refused has been written all the same.
		retry = append([]*store.Batch{store.Undo(lost, nil)}, retry...)
	}
	if len(retry) > 0 {
		s.write(retry)
	}
	if c.health == nil {
		s.log.Printf(logging.Notice, "The store %s can be written again.", s.dir)
		s.Handler.Health(nil)
	}
}

// reopenDatabase replaces the engine and the ledger.
func (s *Store) reopenDatabase() error {
	before := s.committer.ledger
	s.mu.Lock() // nobody reads any more
	s.engine = nil
	s.mu.Unlock()
	if err := s.openDatabase(false); err != nil {
		return err
	}
	// The sessions that the broker knows are not made anew, and those that it has made or ended stay so.
	s.committer.alive.adopt(before.alive)
	s.contents = nil
	s.publish()
	return nil
}

// probe writes a file and removes it again: a disk that cannot do that cannot hold a database, and opening one there would leave things behind.
func (s *Store) probe() error {
	name := s.path("probe")
	if err := s.writeFile(name, make([]byte, 4096)); err != nil {
		return err
	}
	return s.base.Remove(name)
}

// purgeStep is how many records of ended sessions are removed at once, between two groups.
const purgeStep = 1000

// purge removes some of what ended sessions have left.
func (s *Store) purge() {
	c := &s.committer
	if len(c.dead) == 0 || c.health == store.ErrFailed {
		return
	}
	e := s.engine
	out, over, err := c.purge(e.db, c.dead[0], purgeStep)
	if err != nil {
		s.noteDamage(err)
		c.dead = c.dead[1:] // the next start moves what is whole, and this is not
		return
	}
	if err := e.apply(out, false); err != nil {
		s.engineFailed(nil, err)
		return
	}
	_ = out.Close() // it gives memory back
	if over {
		c.dead = c.dead[1:]
	}
	if c.unsynced.IsZero() {
		c.unsynced = time.Now()
	}
	s.publish()
}
