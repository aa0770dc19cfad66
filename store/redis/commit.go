package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"picket/cause"
	"picket/logging"
	"picket/store"
	"picket/store/groupcommit"
)

// Times of the committer.
const (
	// answerTime is how long an answer of Redis may take before its connection is given up.
	answerTime = 5 * time.Second
	// replicaTime is how long replicas are waited for at a time, and with "auto" in all before it goes on without.
	replicaTime = time.Second
	// beatTime is how often a broker shows that it lives.
	beatTime = 500 * time.Millisecond
	// tailTime and tailBytes bound what is kept of groups that are settled, for a new master that may lack them.
	tailTime  = 10 * time.Second
	tailBytes = 64 << 20
	// mostOps bounds a group: a call must not hold Redis up for more than some milliseconds.
	mostOps = 1000
	// mostSteps is after how many steps under load the goroutine looks whether it is asked for something else.
	mostSteps = 16
	// retryTime is how long it waits after a link that could not be had.
	retryTime = time.Millisecond
)

// committer is what the committing goroutine has for itself.
type committer struct {
	link       *link // nil: there is none
	name       string
	server     string   // the master that it is connected to, by run_id
	node       uint64   // the incarnation that it writes as, where several nodes share the store
	number     uint64   // of the last group that was made
	sent       []*sent  // not settled, by number: first those that have been applied, then those that have not, last those that have not been sent yet
	open       *encoder // the group that is being made; nil: none. Only while others are under way
	prepared   int      // groups that have been made since the last were sent
	tail       []*sent  // settled in the last seconds, by number
	tailed     int      // bytes of them
	aside      uint64   // queues put aside
	recovering bool     // the link is being restored
	leftovers  bool     // there may be queues of ended sessions
	beats      uint64
	beat       time.Time // the last

	health error          // why nothing can be added: nil, ErrFull or ErrFailed
	lost   error          // why this broker can never write again
	retry  []*store.Batch // what must not fail, and waits until Redis works again
	undone []*store.Batch // what was refused, and has been applied all the same: to be undone
	kept   []*store.Batch // what stays of the groups that it was in, and of those behind them
	away   time.Time      // since when there is no link; zero: there is one
	next   time.Time      // when the link is tried again
	said   time.Time      // when the log said last that there is none
	alone  bool           // it goes on without a replica
	short  time.Time      // since when replicas are missing; zero: they are not
}

// sent is a group that has been sent.
type sent struct {
	*group
	applied bool
	refused []*store.Batch // those that have been given up, and may have been applied
	at      time.Time      // when it was settled
}

// drop gives the link up.
func (c *committer) drop() {
	if c.link != nil {
		c.link.release()
		c.link = nil
	}
}

// medium is the store as the committing goroutine sees it.
type medium struct{ *Store }

func (s medium) Turn() (pause time.Duration, ticking bool) {
	c := &s.committer
	for range mostSteps {
		s.Settle()
		if !s.serves() {
			return time.Minute, false
		}
		now := time.Now()
		if c.link == nil {
			if pause := s.withoutLink(now); pause > 0 {
				return pause, false
			}
			continue
		}
		if len(c.sent) > 0 {
			s.advance()
			continue
		}
		need, pause := s.Due(now)
		switch {
		case need == store.Now:
			s.write(s.TakeDue(groupcommit.Most))
			s.purge()
		case need == store.Soon:
			return pause, true
		case c.leftovers:
			s.purge()
		case now.Sub(c.beat) >= beatTime:
			s.showLife(now)
		case need == store.Later:
			return pause, false
		default:
			return beatTime - now.Sub(c.beat), false
		}
	}
	return 0, false
}

// withoutLink tries to get a link, when its time has come, and refuses what has waited for too long. It returns how long to wait, or 0 when something has changed.
func (s *Store) withoutLink(now time.Time) time.Duration {
	c := &s.committer
	if c.away.IsZero() {
		c.away = now
	}
	if c.lost != nil || now.Sub(c.away) >= s.options.Hold {
		s.giveUp()
		if s.Need(0) == store.Now {
			s.postpone(s.Take(groupcommit.Most))
			return 0
		}
	}
	if c.lost != nil {
		return time.Minute
	}
	if wait := c.next.Sub(now); wait > 0 {
		return min(wait, max(s.options.Hold-now.Sub(c.away), retryTime))
	}
	err := s.recover()
	if err == nil {
		return 0
	}
	c.drop()
	c.next = time.Now().Add(100 * time.Millisecond)
	if time.Since(c.said) >= time.Minute || c.said.Before(c.away) {
		c.said = time.Now()
		s.log.Cause(logging.Error, cause.ClusterUnreachable, "Redis %s cannot be used: %v. What has to be stored waits, and is refused after %s.", s.address, err, s.options.Hold)
	}
	return retryTime
}

// WriteAll implements [groupcommit.Medium]. It fails when Redis cannot be reached.
func (s medium) WriteAll() error {
	c := &s.committer
	if !s.serves() {
		return s.unavailable()
	}
	for c.link != nil {
		if len(c.sent) > 0 {
			s.advance()
			continue
		}
		group := s.Take(groupcommit.Most)
		if len(group) == 0 {
			break
		}
		s.write(group)
	}
	s.Settle()
	if c.link == nil {
		return s.unavailable()
	}
	return nil
}

// unavailable is why nothing can be stored while there is no link.
func (s *Store) unavailable() error {
	if lost := s.committer.lost; lost != nil {
		return fmt.Errorf("%w: %w", store.ErrFailed, lost)
	}
	return fmt.Errorf("%w: Redis %s is away", store.ErrFailed, s.address)
}

// write sends batches as groups and waits for the answers.
func (s *Store) write(batches []*store.Batch) {
	s.gather(batches)
	s.closeGroup()
	s.send()
}

// gather adds batches to the group that is being made, and begins another one when it is large.
func (s *Store) gather(batches []*store.Batch) {
	c := &s.committer
	for _, b := range batches {
		if b.Empty() {
			s.Done(b)
			continue
		}
		if c.open == nil {
			c.open = s.newEncoder()
		}
		s.encodeInto(c.open, b)
		if c.open.g.ops >= mostOps {
			s.closeGroup()
		}
	}
}

// closeGroup ends the group that is being made: it is the next to be sent.
func (s *Store) closeGroup() {
	c := &s.committer
	if c.open == nil {
		return
	}
	c.number++
	g := c.open.finish()
	g.number = c.number
	c.open = nil
	c.sent = append(c.sent, &sent{group: g})
}

func (s *Store) newEncoder() *encoder {
	keys := s.fixed()
	if s.options.Shared {
		keys = append(keys, s.key(keyChanges))
	}
	e := newEncoder(s.prefix, keys, func() string {
		s.committer.aside++
		return s.key(keyAside) + strconv.FormatUint(s.fence, 36) + "-" + strconv.FormatUint(s.committer.aside, 36)
	})
	e.node = s.options.Shared
	return e
}

// fixed are the keys that every call names first: the first is that of who calls.
func (s *Store) fixed() []string {
	keys := fixedKeys(s.prefix)
	if s.options.Shared {
		keys[0] = s.row()
	}
	return keys
}

// caller is how functions that work for both are told who calls: a broker alone by its fence.
func (s *Store) caller() string {
	if s.options.Shared {
		return "0"
	}
	return strconv.FormatUint(s.fence, 10)
}

func (s *Store) encodeInto(e *encoder, b *store.Batch) {
	e.add(b)
	for op := range b.Ops() {
		if op.Kind == store.Enqueue {
			q := s.queueOf(op.Session)
			q.last.Store(max(q.last.Load(), op.Ref.Seq))
		}
	}
}

// encode makes a group anew of what is left of it.
func (s *Store) encode(number uint64, batches []*store.Batch) *group {
	e := s.newEncoder()
	for _, b := range batches {
		s.encodeInto(e, b)
	}
	g := e.finish()
	g.number = number
	return g
}

// mostPrepared bounds the groups that are made while others are under way.
const mostPrepared = 4

// prepare makes groups of what is due while others are under way, so that the next can go out as soon as the answer is here. While the link is being
// restored, what is left of earlier has to go first.
func (s *Store) prepare() {
	c := &s.committer
	for c.prepared < mostPrepared && !c.recovering {
		if need, _ := s.Due(time.Now()); need != store.Now {
			return
		}
		before := len(c.sent)
		s.gather(s.TakeDue(groupcommit.Most))
		c.prepared += len(c.sent) - before
		if c.open != nil && c.open.g.bytes >= groupcommit.Most {
			s.closeGroup()
			c.prepared++
		}
	}
}

// send sends the groups that have not been applied, with one WAIT behind them, and settles what is safe. If the link breaks, they stay. Groups that have been made
// meanwhile stay for the next time.
func (s *Store) send() {
	c := &s.committer
	for c.link != nil {
		var due []*sent
		for _, g := range c.sent {
			if !g.applied {
				due = append(due, g)
			}
		}
		if len(due) == 0 || s.apply(due) {
			break
		} // else some are refused, and the others go again
	}
	if c.link != nil {
		s.settle()
	}
}

// advance takes the groups that are under way one step further.
func (s *Store) advance() {
	if s.committer.sent[0].applied {
		s.awaitReplicas()
	} else {
		s.send()
	}
}

// apply sends groups. It reports whether all of them have been applied, or the link has been given up.
func (s *Store) apply(due []*sent) bool {
	c := &s.committer
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	c.prepared = 0
	answers, replicas, err := c.link.commit(ctx, s, due)
	s.closeGroup()
	for i, a := range answers {
		if a.err == nil {
			s.noteVersions(due[i], a.version)
			s.refuseFenced(due[i], a.fenced)
			s.noteApplied(due[i], a.entries, a.bodies, a.ended)
			continue
		}
		if isFull(a.err) {
			s.refuseAdding(due[i], fmt.Errorf("%w: %w", store.ErrFull, a.err))
			return false
		}
		s.broken(a.err)
		return true
	}
	if err != nil {
		s.broken(err)
		return true
	}
	c.link.replicas = replicas
	return true
}

// noteApplied follows a group that the master has applied.
func (s *Store) noteApplied(g *sent, entries, bodies, ended int64) {
	g.applied = true
	s.entries.Add(entries)
	s.bodies.Store(bodies)
	s.Wrote(g.ops)
	for _, b := range g.batches {
		for op := range b.Ops() {
			s.expiries.note(op)
			switch {
			case op.Kind == store.Save && op.First:
				s.sessions.Add(1)
			case op.Kind == store.End:
				s.sessions.Add(-1)
				s.forgetQueue(op.Session)
			}
		}
	}
	c := &s.committer
	c.leftovers = c.leftovers || ended > 0
	if g.adds && c.health == store.ErrFull {
		c.health = nil
		s.log.Printf(logging.Notice, "Redis %s has memory for stored messages again.", s.address)
		s.Handler.Health(nil)
	}
}

// settle tells whoever waits for the groups that are safe: applied by the master and by as many replicas as are asked for.
func (s *Store) settle() {
	c := &s.committer
	if c.link.replicas < s.wanted() {
		return
	}
	c.short = time.Time{}
	now := time.Now()
	for len(c.sent) > 0 && c.sent[0].applied {
		g := c.sent[0]
		c.sent = c.sent[1:]
		s.settled.Store(g.number)
		for _, b := range g.batches {
			s.Done(b)
		}
		g.batches, g.at = nil, now
		c.tail = append(c.tail, g)
		c.tailed += g.bytes
	}
	n := 0
	for n < len(c.tail) && (now.Sub(c.tail[n].at) > tailTime || c.tailed > tailBytes) {
		c.tailed -= c.tail[n].bytes
		c.tail[n] = nil
		n++
	}
	c.tail = c.tail[n:]
	s.healthy()
	s.Settle()
}

// healthy says that Redis works again.
func (s *Store) healthy() {
	if c := &s.committer; c.health == store.ErrFailed {
		c.health = nil
		s.log.Printf(logging.Notice, "What has to be stored is stored again in Redis %s.", s.address)
		s.Handler.Health(nil)
	}
}

// wanted is how many replicas must have a group.
func (s *Store) wanted() int {
	a := s.options.Acknowledge
	if a.Auto && !s.committer.alone {
		return 1
	}
	return a.Replicas
}

// refuseAdding refuses the batches of a group that has not been applied that add something. The others go again, by a function that Redis runs without memory, too.
func (s *Store) refuseAdding(g *sent, err error) {
	c := &s.committer
	if c.health == nil {
		c.health = store.ErrFull
		s.log.Cause(logging.Error, cause.DiskFull, "Nothing can be stored: the memory of Redis %s is full (maxmemory). Messages that have to be stored are refused until there is more.", s.address)
		s.Handler.Health(store.ErrFull)
	}
	g.group = s.encode(g.number, s.RefuseAdders(g.batches, err))
	g.adds = false
}

// broken gives the link up.
func (s *Store) broken(err error) {
	c := &s.committer
	c.drop()
	c.away, c.next = time.Now(), time.Time{}
	s.log.Printf(logging.Debug, "Redis %s: %v", s.address, err)
}

// giveUp refuses what has waited for Redis for too long. What of it has been applied all the same is undone when that is known.
func (s *Store) giveUp() {
	c := &s.committer
	err := s.unavailable()
	if c.health != store.ErrFailed {
		c.health = store.ErrFailed
		s.log.Cause(logging.Error, cause.StoreFailed, "Nothing can be stored: %v. Messages that have to be stored are refused until it can.", err)
		s.Handler.Health(err)
	}
	for _, g := range c.sent {
		var adders []*store.Batch
		for _, b := range g.batches {
			if b.Adds() {
				adders = append(adders, b)
			}
		}
		g.refused = append(g.refused, adders...)
		g.batches = s.RefuseAdders(g.batches, err)
	}
}

// postpone refuses what adds something, and keeps the rest until Redis works again.
func (s *Store) postpone(batches []*store.Batch) {
	c := &s.committer
	if c.retry = append(c.retry, s.RefuseAdders(batches, s.unavailable())...); c.lost != nil {
		for _, b := range c.retry {
			s.Done(b)
		}
		c.retry = nil
	}
}

// awaitReplicas waits for the replicas that groups lack, for a while.
func (s *Store) awaitReplicas() {
	c := &s.committer
	now := time.Now()
	if c.short.IsZero() {
		c.short = now
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	n, err := c.link.wait(ctx, s.wanted())
	if err != nil {
		s.broken(err)
		return
	}
	c.link.replicas = n
	if s.settle(); len(c.sent) == 0 || !c.sent[0].applied {
		return
	}
	missing := time.Since(c.short)
	switch {
	case s.options.Acknowledge.Auto && missing >= replicaTime:
		if err := s.mayGoAlone(ctx); err == nil {
			c.alone = true
			s.log.Cause(logging.Warning, cause.ClusterNoReplica, "Redis %s has no replica that keeps up: what is acknowledged is on one server only until there is one.", s.address)
			s.settle()
			return
		}
		fallthrough
	case !s.options.Acknowledge.Auto:
		if missing >= s.options.Hold {
			s.giveUp()
			s.broken(fmt.Errorf("%d replicas have what is written, and %d are asked for", n, s.wanted()))
		}
	}
}

// showLife writes the beat, and looks for replicas again where there was none.
func (s *Store) showLife(now time.Time) {
	c := &s.committer
	c.beat = now
	c.beats++
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	err := c.link.call(ctx, "picket1_mark", s.fixed()[:1], []string{s.caller(), strconv.FormatUint(c.number, 10), strconv.FormatUint(c.beats, 10)}).Error()
	if err == nil && c.alone {
		var f facts
		if f, err = c.link.info(ctx); err == nil && f.replicas() > 0 {
			c.alone = false
			s.log.Printf(logging.Notice, "Redis %s has a replica again: what is acknowledged is on two servers.", s.address)
		}
	}
	if err != nil {
		s.broken(err)
	}
}

// purge removes some of what ended sessions have left.
func (s *Store) purge() {
	c := &s.committer
	if !c.leftovers || c.link == nil || len(c.sent) > 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	all, err := c.link.Do(ctx, c.link.B().Srandmember().Key(s.key(keyEnded)).Count(1).Build()).AsStrSlice()
	if c.leftovers = len(all) > 0; err == nil && c.leftovers {
		err = c.link.call(ctx, "picket1_purge", append(s.fixed(), all[0]), []string{s.caller()}).Error()
	}
	if err != nil {
		c.leftovers = true
		s.broken(err)
	}
}
