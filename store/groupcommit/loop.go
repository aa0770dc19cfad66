// Package groupcommit is what every store has that writes in groups: the goroutine that commits, when it does so, and the numbers that stores give out.
package groupcommit

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"picket/store"
)

const (
	// tick is the measure of patience with messages that are likely to be acknowledged before they have been written.
	tick = time.Millisecond
	// Patience is how many ticks that is. A client on the same network answers in less than one.
	Patience = 2
	// laziness is how long that waits of which nobody waits for the end: long enough to go along with something else, short enough that little is lost when the
	// process is killed: what was acknowledged in that time is delivered again.
	laziness = 10 * time.Millisecond
	// Most bounds a group, in bytes, so that the first in it does not wait for too many others, and nothing is held up for more than some milliseconds.
	Most = 4 << 20
)

// Medium is what a store writes to. Both methods are called by the committing goroutine alone.
type Medium interface {
	// Turn writes what is to be written now, and returns how long the goroutine may sleep at most. ticking tells that something waits for becoming unnecessary
	// (see [Loop.Due]).
	Turn() (pause time.Duration, ticking bool)
	// WriteAll writes all there is, as durably as the store does at all, or says why that cannot be.
	WriteAll() error
}

// Loop is the committing goroutine of a store, and what it and the store's other goroutines share. A store embeds it; its methods without a remark implement those of
// [store.Store] and may be called by any goroutine.
type Loop struct {
	*store.Pipeline
	Handler store.Handler // from Start on
	// Inspect has functions called when nothing is being written, by the committing goroutine. Tests look at what belongs to it so.
	Inspect chan func()

	// The highest numbers that have been given out.
	LastSession, LastMessage atomic.Uint64

	groups, written, refused atomic.Uint64

	patience int
	requests chan chan error // of Sync
	stopping chan struct{}
	wait     sync.WaitGroup
	closing  sync.Once
	end      error // what the last WriteAll said

	later time.Time // since when something waits that nobody waits for; zero: nothing. The committing goroutine's own
}

// New makes a loop that is full when more than limit bytes wait.
func New(limit int64, patience int) *Loop {
	return &Loop{Pipeline: store.NewPipeline(limit), patience: patience,
		Inspect: make(chan func()), requests: make(chan chan error), stopping: make(chan struct{})}
}

// Run starts the committing goroutine.
func (l *Loop) Run(m Medium) { l.wait.Go(func() { l.run(m) }) }

// Go runs f until [Loop.Stop] returns; f has to end when [Loop.Stopping] is closed.
func (l *Loop) Go(f func()) { l.wait.Go(f) }

// Stopping is closed when the store is being closed.
func (l *Loop) Stopping() <-chan struct{} { return l.stopping }

func (l *Loop) run(m Medium) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	ticking := false
	for {
		var answer chan error
		select {
		case <-l.Wake():
		case answer = <-l.requests:
		case f := <-l.Inspect:
			f()
		case <-timer.C:
			if ticking {
				l.Tick()
			}
		case <-l.stopping:
			l.end = m.WriteAll()
			return
		}
		if answer != nil {
			answer <- m.WriteAll()
		}
		var pause time.Duration
		pause, ticking = m.Turn()
		timer.Reset(pause)
	}
}

// Due says for the committing goroutine what is to be done at a time: store.Now, take a group ([Loop.Pipeline]'s TakeDue) and write it; store.Soon, call [Medium].Turn again
// after pause and a tick; store.Later, the same after pause; store.Nothing, wait for what comes.
func (l *Loop) Due(now time.Time) (need store.Need, pause time.Duration) {
	need = l.Need(l.patience)
	if need != store.Later {
		l.later = time.Time{}
	} else if l.later.IsZero() {
		l.later = now
	}
	switch need {
	case store.Soon:
		pause = tick
	case store.Later:
		if pause = laziness - now.Sub(l.later); pause <= 0 {
			l.later = time.Time{}
			l.Hasten()
			return store.Now, 0
		}
	}
	return need, pause
}

// Settle tells the broker what has been settled.
func (l *Loop) Settle() {
	l.Report()
	if l.Room() {
		l.Handler.Room()
	}
}

// Wrote counts a group that has been written, and its operations.
func (l *Loop) Wrote(ops uint64) {
	l.groups.Add(1)
	l.written.Add(ops)
}

// Refuse refuses a batch.
func (l *Loop) Refuse(b *store.Batch, err error) {
	l.refused.Add(1)
	b.Refuse(err)
	l.Handler.Failed(b, err)
	l.Done(b)
}

// RefuseAdders refuses those batches that add something, and returns the others.
func (l *Loop) RefuseAdders(group []*store.Batch, err error) (others []*store.Batch) {
	for _, b := range group {
		if b.Adds() {
			l.Refuse(b, err)
		} else {
			others = append(others, b)
		}
	}
	l.Settle()
	return others
}

// NewSession gives a session a number.
func (l *Loop) NewSession(clientID string) *store.Session {
	return store.NewSession(l.LastSession.Add(1), clientID)
}

// NewMessageID gives a message a number.
func (l *Loop) NewMessageID() uint64 { return l.LastMessage.Add(1) }

// Sync has all there is written.
func (l *Loop) Sync(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case l.requests <- answer:
	case <-l.stopping:
		return store.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stats fills in what the loop knows.
func (l *Loop) Stats(s *store.Stats) {
	s.Groups, s.Written, s.Failed = l.groups.Load(), l.written.Load(), l.refused.Load()
	l.Pipeline.Stats(s)
}

// Stop has what waits written and what comes from now on dropped, waits for all goroutines, and returns what could not be written. then is called afterwards. All but the
// first call do nothing.
func (l *Loop) Stop(then func(unwritten error) error) (err error) {
	l.closing.Do(func() {
		l.Close()
		close(l.stopping)
		l.wait.Wait()
		err = then(l.end)
	})
	return err
}
