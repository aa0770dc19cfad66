package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"picket/cause"
	"picket/logging"
	"picket/store"
)

// shared is what a store has that several nodes use.
type shared struct {
	incarnation atomic.Uint64    // that is to be served; 0: none yet
	epoch       atomic.Uint64    // of retained messages, the highest that is known
	names       map[string]*name // client identifiers that this node owns

	mu   sync.Mutex    // guards names, and
	jobs []job         // what is to be done, in order
	todo chan struct{} // readable when there is something
}

// name is a client identifier that this node owns.
type name struct {
	fence  uint64
	handle *store.Session // the last that was made; nil: none
	stored bool           // it is counted
}

// job is a session to be read, or to be let go of.
type job struct {
	clientID string
	fence    uint64 // 0: it is to be let go of
	then     func(error)
}

// row is the key of this node's row.
func (s *Store) row() string {
	return s.key(keyNode) + strconv.FormatUint(s.shared.incarnation.Load(), 10)
}

// share has nodes use the data, unless a broker alone does.
func (s *Store) share(ctx context.Context, l *link) error {
	before, err := s.readOwner(ctx, l)
	if err != nil {
		return err
	}
	if s.founded = before.fence == ""; s.founded {
		err = s.nothingElse(ctx, l)
	} else if !before.closed {
		err = s.nobodyElse(ctx, l, before)
	}
	if err != nil {
		return err
	}
	keys := []string{s.key(keyMeta), s.key(keySessions), s.key(keyNodes), s.key(keyNode), s.key(keyOwned)}
	if err := s.enter(ctx, l, "picket1_share", keys, strconv.FormatInt(time.Now().UnixNano(), 36), layoutShared); err != nil {
		return err
	}
	s.numberFrom()
	return nil
}

// Serve implements [store.Shared].
func (s *Store) Serve(incarnation uint64) {
	s.shared.incarnation.Store(incarnation)
	s.shared.wake()
}

// serves reports whether the store may write, as whom it is to. It belongs to the committing goroutine.
func (s *Store) serves() bool {
	if !s.options.Shared {
		return true
	}
	c, incarnation := &s.committer, s.shared.incarnation.Load()
	if incarnation == c.node {
		return c.node != 0
	}
	// What is under way is another incarnation's, and its groups are counted anew.
	c.node, c.number, c.lost, c.tail, c.tailed = incarnation, 0, nil, nil, 0
	s.settled.Store(0)
	s.closeGroup()
	for _, g := range c.sent {
		c.number++
		g.group, g.applied = s.encode(c.number, g.batches), false
	}
	return c.node != 0
}

// lastOfNode asks for the number of this node's last group that the master has, where the data set is still the one that was there.
func (s *Store) lastOfNode(ctx context.Context, l *link, dataset string) (uint64, error) {
	if dataset != s.dataset {
		return 0, s.gone(errors.New("the Redis server has been emptied, or filled with other data: what this broker has stored is not there"), false)
	}
	held, err := s.fields(ctx, l, s.row(), "name", "dead", "g")
	if err != nil {
		return 0, err
	}
	if held[0] == "" || held[1] != "" {
		return 0, s.gone(errors.New("the other nodes have taken this one for dead"), true)
	}
	last, _ := strconv.ParseUint(held[2], 10, 64)
	return last, nil
}

// refuseFenced hands back what of a group has been refused since another node has the session. The places are those of [answer].
func (s *Store) refuseFenced(g *sent, places []int64) {
	if len(places) == 0 {
		return
	}
	fenced := make(map[*store.Session]bool, len(places))
	for _, at := range places {
		fenced[g.owned[at-1]] = true
	}
	for _, b := range g.batches {
		if lost := b.Fence(fenced); lost != nil {
			s.Handler.Failed(lost, store.ErrFenced)
		}
	}
}

// tailFenced says that what was settled is missing in a new master, and cannot be sent again, since another node has the session.
func (s *Store) tailFenced(g *sent, places []int64) {
	if len(places) > 0 {
		s.log.Cause(logging.Error, cause.ClusterLost, "Redis %s: of %d sessions that other nodes have taken by now, what was stored last is missing after a failover.", s.address, len(places))
	}
}

// NewSession implements [store.Store]. In a store that nodes share, the client identifier must have been taken.
func (s *Store) NewSession(clientID string) *store.Session {
	h := s.Loop.NewSession(clientID)
	if s.options.Shared {
		s.shared.mu.Lock()
		defer s.shared.mu.Unlock()
		if n := s.shared.names[clientID]; n != nil {
			h.Fence, n.handle = n.fence, h
		}
	}
	return h
}

// Own implements [store.Shared].
func (s *Store) Own(clientID string, fence uint64, then func(error)) error {
	return s.later(job{clientID, fence, then})
}

// Let implements [store.Shared].
func (s *Store) Let(clientID string, then func(error)) error {
	return s.later(job{clientID: clientID, then: then})
}

func (s *Store) later(j job) error {
	select {
	case <-s.Stopping():
		return store.ErrClosed
	default:
	}
	s.shared.mu.Lock()
	s.shared.jobs = append(s.shared.jobs, j)
	s.shared.mu.Unlock()
	s.shared.wake()
	return nil
}

func (x *shared) wake() {
	select {
	case x.todo <- struct{}{}:
	default:
	}
}

// next takes jobs of one kind, as many as are done at once.
func (x *shared) next() (jobs []job) {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := 0
	for n < len(x.jobs) && n < loadAtOnce && (x.jobs[n].fence == 0) == (x.jobs[0].fence == 0) {
		n++
	}
	jobs, x.jobs = x.jobs[:n:n], x.jobs[n:]
	return jobs
}

// serveShared reads sessions that are taken, and waits for what belongs to those that are let go of.
func (s *Store) serveShared() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.Go(func() {
		<-s.Stopping()
		cancel()
	})
	for ctx.Err() == nil {
		select {
		case <-s.shared.todo:
		case <-ctx.Done():
		}
		s.onCommitter(ctx, func() {}) // it may have another incarnation to serve
		for jobs := s.shared.next(); len(jobs) > 0; jobs = s.shared.next() {
			if jobs[0].fence == 0 {
				s.letGo(ctx, jobs)
			} else {
				s.takeIn(ctx, jobs)
			}
		}
	}
}

// onCommitter has the committing goroutine call f, and waits for that, unless the store is being closed.
func (s *Store) onCommitter(ctx context.Context, f func()) {
	done := make(chan struct{})
	select {
	case s.Inspect <- func() { f(); close(done) }:
		<-done
	case <-ctx.Done():
	}
}

// insist calls f again and again until it succeeds or the store is being closed, which it returns.
func insist(ctx context.Context, f func() error) error {
	for f() != nil {
		select {
		case <-time.After(again):
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return store.ErrClosed
		}
	}
	return nil
}

// letGo lets sessions go when all that was committed for them is settled.
func (s *Store) letGo(ctx context.Context, jobs []job) {
	handles := make([]*store.Session, len(jobs))
	s.shared.mu.Lock()
	for i, j := range jobs {
		n := s.shared.names[j.clientID]
		if n == nil {
			continue
		}
		delete(s.shared.names, j.clientID)
		if handles[i] = n.handle; n.handle != nil {
			n.handle.Leave()
		}
		if n.stored {
			s.sessions.Add(-1)
		}
	}
	s.shared.mu.Unlock()
	err := insist(ctx, func() error { return s.Sync(ctx) })
	s.onCommitter(ctx, func() {
		for i, j := range jobs {
			if handles[i] != nil {
				s.forgetQueue(handles[i])
			}
			j.then(err)
		}
	})
}

// errStale says that a master has not got what it was asked for, since it has just been promoted.
var errStale = errors.New("it has older data")

// takeIn reads sessions and hands them over.
func (s *Store) takeIn(ctx context.Context, jobs []job) {
	names := make([]string, len(jobs))
	for i, j := range jobs {
		names[i] = nameOf(j.clientID)
	}
	var all []*loaded
	err := insist(ctx, func() (err error) {
		all, err = s.readSessions(ctx, names)
		for i := range all {
			if all[i].fence < jobs[i].fence {
				err = errStale
			}
		}
		return err
	})
	s.onCommitter(ctx, func() {
		for i, j := range jobs {
			if err == nil {
				j.then(s.hand(j, all[i]))
			} else {
				j.then(err)
			}
		}
	})
}

// hand hands a session over that has been read.
func (s *Store) hand(j job, l *loaded) error {
	switch {
	case l.fence > j.fence || l.owner != s.shared.incarnation.Load():
		return store.ErrFenced
	case errors.Is(l.err, store.ErrNewer):
		return fmt.Errorf("session %q: %w", l.name, l.err)
	case l.err != nil:
		s.damaged("session %q cannot be read and is left out: %v", l.name, l.err)
		l.missing = true
	}
	n := &name{fence: j.fence}
	if !l.missing {
		l.handle.Fence = j.fence
		n.handle, n.stored = l.handle, true
		s.noteLoaded(l)
	}
	s.shared.mu.Lock()
	if before := s.shared.names[j.clientID]; before != nil && before.handle != nil {
		before.handle.Leave()
	}
	s.shared.names[j.clientID] = n
	s.shared.mu.Unlock()
	if !l.missing {
		s.Handler.Session(l.handle, l.state)
	}
	return nil
}
