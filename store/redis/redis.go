// Package redis keeps a broker's sessions and messages in Redis (7.0 or newer) or Valkey (7.2 or newer): one server, a master that sentinels watch, or a node of a
// Redis Cluster. docs/cluster.md describes the keys, what is acknowledged when, and what happens when a server dies.
//
// One goroutine, the committer, writes everything, on one connection: what has gathered while the last groups were under way becomes the next ones, each one call
// of a function (functions.lua) that applies it whole or not at all, and all of them are followed by one WAIT for the replicas (commit.go). Groups are numbered. After a
// failure the committer asks which group was the last, and sends again what is missing: groups without an answer, and those of the last seconds that a new
// master may not have had (recover.go). A number of its own, the fence, tells a broker that another one has taken the data over.
//
// Where several nodes share the data (shared.go), each session has a fence of its own: what a node changes of a session that another one has by now is left out of its group, and handed back.
package redis

import (
	"cmp"
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"picket/cause"
	"picket/logging"
	"picket/store"
	"picket/store/groupcommit"
)

//go:embed functions.lua
var library string

// Acknowledge says how many servers must have a change before it counts as stored.
type Acknowledge struct {
	Auto     bool // the master, and one replica if there is any
	Replicas int  // the master, and this many replicas, never less
}

// ParseAcknowledge reads what stands behind cluster_acknowledge: auto, master, or "replicas N".
func ParseAcknowledge(words string) (a Acknowledge, err error) {
	fields := strings.Fields(words)
	switch {
	case len(fields) == 1 && fields[0] == "auto":
		return Acknowledge{Auto: true}, nil
	case len(fields) == 1 && fields[0] == "master":
		return a, nil
	case len(fields) == 2 && fields[0] == "replicas":
		if a.Replicas, err = strconv.Atoi(fields[1]); err == nil && a.Replicas > 0 {
			return a, nil
		}
	}
	return a, fmt.Errorf("%q is none of auto, master, replicas NUMBER", words)
}

// Options say how a store works. The zero value is ready, but for Log.
type Options struct {
	Log         *logging.Logger
	Acknowledge Acknowledge
	// Hold is how long what has to be stored waits for Redis before it is refused. Default 10 s, longer than a failover.
	Hold time.Duration
	// Pending bounds the bytes that wait to be written before publishers are held back. Default 64 MiB.
	Pending int64
	// Lost is called once, on the store's goroutine, when another broker has taken the data over. It must not block. Where Shared is set it is called whenever the incarnation
	// that is served has been taken for dead.
	Lost func(error)
	// Shared has several nodes use the data: see [store.Shared].
	Shared bool
}

// Store is a store in Redis. It implements [store.Store], and [store.Shared] if it is opened so.
type Store struct {
	*groupcommit.Loop
	options Options
	address Address
	prefix  string
	log     *logging.Logger
	client  rueidis.Client

	fence    uint64
	dataset  string
	founded  bool // the data set is new with this broker
	expiries expiries

	sessions, entries, bodies atomic.Int64
	syncs                     atomic.Uint64
	settled                   atomic.Uint64 // number of the last group that is settled
	queuesMu                  sync.Mutex
	queues                    map[uint64]*queue // by the session's number
	committer                 committer
	shared                    shared
}

// queue is what is known of a session's queue.
type queue struct {
	last atomic.Uint64 // no sequence number above has been written
}

var _ store.Shared = (*Store)(nil)

// Open connects to Redis and takes the data over, if Redis has what is needed and no other broker is using them. A Redis that cannot be reached, or is just
// reading its data, is tried again for Options.Hold, since it may fail over or be started at the same time. What is missing is returned in an [UnfitError], all
// of it at once.
func Open(ctx context.Context, a Address, o Options) (*Store, error) {
	o.Hold, o.Pending = cmp.Or(o.Hold, 10*time.Second), cmp.Or(o.Pending, 64<<20)
	told := false
	for until := time.Now().Add(o.Hold); ; {
		s, err := attempt(ctx, a, o)
		unfit := (*UnfitError)(nil)
		if !errors.As(err, &unfit) || !unfit.passing || time.Now().After(until) {
			return s, err
		}
		if !told {
			told = true
			o.Log.Cause(logging.Notice, cause.ClusterUnreachable, "Redis %s cannot be reached yet (%s); trying again for %v.", a, unfit.Missing[0].Text, o.Hold)
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// again is the pause between attempts to reach Redis at a start.
const again = 100 * time.Millisecond

// unreachable is what is missing when a command fails. A connection that fails, or data that are still being read, may pass; a refused password
// and a certificate that is not trusted do not.
func unreachable(a Address, err error) *UnfitError {
	answer, isAnswer := rueidis.IsRedisErr(err)
	untrusted := (*tls.CertificateVerificationError)(nil)
	passing := !isAnswer && !errors.As(err, &untrusted) || isAnswer && (answer.IsLoading() || says(err, "MASTERDOWN"))
	return &UnfitError{a, []Missing{{cause.ClusterUnreachable, err.Error(), true}}, passing}
}

// attempt is one attempt to open a store.
func attempt(ctx context.Context, a Address, o Options) (_ *Store, err error) {
	s := &Store{Loop: groupcommit.New(o.Pending, groupcommit.Patience), options: o, address: a, prefix: a.Prefix, log: o.Log,
		queues: make(map[uint64]*queue), shared: shared{names: make(map[string]*name), todo: make(chan struct{}, 1)}}
	if s.client, err = rueidis.NewClient(a.options()); err != nil {
		return nil, unreachable(a, err)
	}
	defer func() {
		if err != nil {
			s.committer.drop()
			s.client.Close()
		}
	}()
	l, err := s.dial(ctx)
	if err != nil {
		return nil, unreachable(a, err)
	}
	s.committer.link = l
	f, err := l.info(ctx)
	if err != nil {
		return nil, unreachable(a, err)
	}
	missing := s.check(ctx, l, f)
	s.committer.alone, s.committer.server = f.replicas() == 0, f["run_id"]
	fatal := false
	for _, m := range missing {
		if fatal = fatal || m.Fatal; !m.Fatal && !o.Shared { // the node has said it already
			s.log.Cause(logging.Warning, m.Cause, "Redis %s: %s.", a, m.Text)
		}
	}
	if fatal {
		return nil, &UnfitError{a, missing, false}
	}
	unfit := (*UnfitError)(nil)
	take := s.take
	if o.Shared {
		take = s.share
	}
	if err := take(ctx, l); err != nil && !errors.Is(err, store.ErrNewer) && !errors.As(err, &unfit) {
		return nil, unreachable(a, err)
	} else if err != nil {
		return nil, err
	}
	return s, nil
}

// UnfitError says all that a store misses in its Redis.
type UnfitError struct {
	Address Address
	Missing []Missing
	passing bool // it may be reached in a moment
}

func (e *UnfitError) Error() string {
	var lines []string
	for _, m := range e.Missing {
		if m.Fatal {
			lines = append(lines, fmt.Sprintf("%s [%s]", m.Text, m.Cause))
		}
	}
	return fmt.Sprintf("Redis %s cannot be used: %s", e.Address, strings.Join(lines, "; "))
}

// watching is how long a start looks whether the broker that had the data lives, where that has not said that it ends; it beats twice a second, as nodes do.
const watching = 1600 * time.Millisecond

// take makes this broker the owner.
func (s *Store) take(ctx context.Context, l *link) error {
	before, err := s.readOwner(ctx, l)
	if err != nil {
		return err
	}
	if s.founded = before.fence == ""; s.founded {
		err = s.nothingElse(ctx, l)
	} else if !before.closed || len(before.nodes) > 0 {
		err = s.nobodyElse(ctx, l, before)
	}
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	name := fmt.Sprintf("%s/%d", cmp.Or(host, "?"), os.Getpid())
	return s.open(ctx, l, name, 0)
}

// user is who uses the data, or has used them last.
type user struct {
	fence, beat, name string // of a broker alone
	closed            bool
	nodes             map[string]string // beats of the nodes that are not dead, by name
}

func (s *Store) readOwner(ctx context.Context, l *link) (o user, err error) {
	held, err := s.fields(ctx, l, s.key(keyMeta), "f", "b", "c", "h")
	if err != nil {
		return o, err
	}
	o = user{fence: held[0], beat: held[1], name: held[3], closed: held[2] == "1", nodes: map[string]string{}}
	nodes, err := l.Do(ctx, l.B().Hkeys().Key(s.key(keyNodes)).Build()).AsStrSlice()
	if err != nil {
		return o, err
	}
	for _, incarnation := range nodes {
		row, err := s.fields(ctx, l, s.key(keyNode+incarnation), "name", "beat", "dead")
		if err != nil {
			return o, err
		}
		if row[0] != "" && row[2] == "" {
			o.nodes[row[0]] = row[1]
		}
	}
	return o, nil
}

// fields reads fields of a hash; those that there are not are empty.
func (s *Store) fields(ctx context.Context, l *link, key string, names ...string) (held []string, err error) {
	all, err := l.Do(ctx, l.B().Hmget().Key(key).Field(names...).Build()).ToArray()
	for i := range all {
		text, _ := all[i].ToString() // nil: nothing
		held = append(held, text)
	}
	return held, err
}

// nothingElse looks whether there are keys under the prefix that are not Picket's, where none of Picket's are.
func (s *Store) nothingElse(ctx context.Context, l *link) error {
	kind, err := l.Do(ctx, l.B().Exists().Key(fixedKeys(s.prefix)...).Build()).AsInt64()
	if err != nil || kind > 0 {
		return cmp.Or(err, error(&UnfitError{s.address, []Missing{{cause.ClusterTaken, "there are keys that begin with " + s.prefix + ", and none of them is Picket's own " + s.key(keyMeta), true}}, false}))
	}
	return nil
}

// nobodyElse looks for a moment whether who has used the data still does.
func (s *Store) nobodyElse(ctx context.Context, l *link, before user) error {
	name := before.name
	for name = range before.nodes {
		break
	}
	s.log.Printf(logging.Info, "Looking whether broker %s, which has used Redis %s last, still does.", name, s.address)
	select {
	case <-time.After(watching):
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := s.readOwner(ctx, l)
	if err != nil {
		return err
	}
	for name, beat := range after.nodes {
		if before.nodes[name] != beat {
			return s.taken("node " + name)
		}
	}
	if after.beat != before.beat || after.fence != before.fence {
		return s.taken("broker " + before.name)
	}
	return nil
}

func (s *Store) taken(by string) error {
	return &UnfitError{s.address, []Missing{{cause.ClusterTaken, by + " is using what is stored there", true}}, false}
}

// open calls picket1_open. again is the fence to have once more, or 0.
func (s *Store) open(ctx context.Context, l *link, name string, again uint64) error {
	s.committer.name = name
	set := strconv.FormatInt(time.Now().UnixNano(), 36)
	if err := s.enter(ctx, l, "picket1_open", []string{s.key(keyMeta), s.key(keyNodes)}, name, set, layoutAlone, strconv.FormatUint(again, 10)); err != nil {
		return err
	}
	if again == 0 {
		s.numberFrom()
	}
	return nil
}

// enter calls a function that gives this process a fence and says which data set it is.
func (s *Store) enter(ctx context.Context, l *link, function string, keys []string, args ...string) error {
	reply, err := l.call(ctx, function, keys, args).AsStrSlice()
	switch {
	case says(err, wordNewer):
		return fmt.Errorf("server %s: %w: %w", s.address, store.ErrNewer, err)
	case err != nil:
		return fmt.Errorf("server %s: %w", s.address, err)
	}
	if s.fence, err = strconv.ParseUint(reply[0], 10, 64); err != nil {
		return err
	}
	s.dataset = reply[1]
	return nil
}

// numberFrom has numbers of sessions and messages be other ones than those of all who have used the data before.
func (s *Store) numberFrom() {
	s.LastSession.Store(s.fence << 40)
	s.LastMessage.Store(s.fence << 40)
}

func (s *Store) key(kind string) string { return s.prefix + kind }

func (s *Store) Start(ctx context.Context, h store.Handler) error {
	if s.Handler != nil {
		return errors.New("the store has been started already")
	}
	s.Handler = h
	if s.options.Shared {
		s.Go(s.serveShared)
	}
	if err := s.load(ctx, h); errors.Is(err, store.ErrNewer) {
		return fmt.Errorf("server %s: %w", s.address, err)
	} else if err != nil {
		return unreachable(s.address, err)
	}
	s.Run(medium{s})
	return nil
}

// queueOf is what is known of a session's queue.
func (s *Store) queueOf(h *store.Session) *queue {
	s.queuesMu.Lock()
	defer s.queuesMu.Unlock()
	q := s.queues[h.Number]
	if q == nil {
		q = new(queue)
		s.queues[h.Number] = q
	}
	return q
}

func (s *Store) forgetQueue(h *store.Session) {
	s.queuesMu.Lock()
	delete(s.queues, h.Number)
	s.queuesMu.Unlock()
}

// Stats implements [store.Store]. Disk, of which a broker knows nothing here, is 0.
func (s *Store) Stats() store.Stats {
	st := store.Stats{Sessions: int(s.sessions.Load()), Entries: s.entries.Load(), Bodies: int(s.bodies.Load()), Syncs: s.syncs.Load()}
	s.Loop.Stats(&st)
	return st
}

func (s *Store) Close() error {
	return s.Stop(func(unwritten error) error {
		c := &s.committer
		if unwritten == nil && c.link != nil && !s.options.Shared {
			ctx, cancel := context.WithTimeout(context.Background(), answerTime)
			defer cancel()
			unwritten = c.link.call(ctx, "picket1_close", []string{s.key(keyMeta)}, []string{strconv.FormatUint(s.fence, 10)}).Error()
		}
		c.drop()
		s.client.Close()
		return unwritten
	})
}
