package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"picket/cause"
	"picket/logging"
	"picket/store"
)

// link is the committer's connection to the master.
type link struct {
	rueidis.DedicatedClient
	release  func()
	replicas int // how many have everything that was written on it, as far as is known
}

// dial connects to the master.
func (s *Store) dial(ctx context.Context) (*link, error) {
	d, release := s.client.Dedicate()
	l := &link{DedicatedClient: d, release: release}
	// The first command has a key, so that in a Redis Cluster the link leads to the master of the keys.
	if err := l.Do(ctx, l.B().Exists().Key(s.key(keyMeta)).Build()).Error(); err != nil && !says(err, "NOPERM") {
		release()
		return nil, err
	}
	return l, nil
}

func (l *link) info(ctx context.Context) (facts, error) {
	text, err := l.Do(ctx, l.B().Info().Build()).ToString()
	return parseInfo(text), err
}

// call calls a function.
func (l *link) call(ctx context.Context, name string, keys, args []string) rueidis.RedisResult {
	return l.Do(ctx, l.B().Fcall().Function(name).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build())
}

// answer is what became of a group.
type answer struct {
	entries, bodies, ended int64
	version                uint64  // of the last change of a retained message that nodes share; 0: none
	fenced                 []int64 // the numbers of the group's sessions that another node has
	err                    error
}

// answerOf reads what became of a group.
func answerOf(r rueidis.RedisResult) (a answer) {
	n, err := r.AsIntSlice()
	if err != nil {
		return answer{err: err}
	}
	if a = (answer{entries: n[0], bodies: n[1], ended: n[2]}); len(n) > 3 {
		a.version, a.fenced = versionOf(n[3], n[4]), n[5:]
	}
	return a
}

// call is the call that applies a group; without adds it is the one that Redis runs without memory, too.
func (g *group) call(s *Store, adds bool) (name string, args []string) {
	what := "remove"
	if adds {
		what = "commit"
	}
	number := strconv.FormatUint(g.number, 10)
	if !s.options.Shared {
		return "picket1_" + what, append([]string{strconv.FormatUint(s.fence, 10), number}, g.args...)
	}
	args = append([]string{strconv.FormatUint(s.committer.node, 10), number, strconv.Itoa(len(g.owned))}, g.fences...)
	return "picket1_node_" + what, append(args, g.args...)
}

// commit sends groups, and asks how many replicas have them. There are answers up to the first group that failed. While it waits, the store prepares the next groups.
func (l *link) commit(ctx context.Context, s *Store, due []*sent) (answers []answer, replicas int, err error) {
	var cmds rueidis.Commands
	for _, g := range due {
		name, args := g.call(s, g.adds)
		cmds = append(cmds, l.B().Fcall().Function(name).Numkeys(int64(len(g.keys))).Key(g.keys...).Arg(args...).Build())
	}
	want := s.wanted()
	if want > 0 {
		cmds = append(cmds, l.B().Wait().Numreplicas(int64(want)).Timeout(replicaTime.Milliseconds()).Build())
		s.syncs.Add(1)
	}
	replies := l.doMeanwhile(ctx, cmds, s)
	for i := range due {
		a := answerOf(replies[i])
		if answers = append(answers, a); a.err != nil {
			return answers, 0, nil //nolint:nilerr // the error is that of the answer, and travels in it
		}
	}
	if want > 0 {
		n, err := replies[len(due)].AsInt64()
		return answers, int(n), err
	}
	return answers, 0, nil
}

// doMeanwhile sends commands, and has the store prepare what comes next until the answers are here.
func (l *link) doMeanwhile(ctx context.Context, cmds rueidis.Commands, s *Store) []rueidis.RedisResult {
	done := make(chan []rueidis.RedisResult, 1)
	go func() { done <- l.DoMulti(ctx, cmds...) }()
	for {
		s.prepare()
		select {
		case replies := <-done:
			return replies
		case <-s.Wake():
		}
	}
}

// wait waits for replicas to have what was written on the link.
func (l *link) wait(ctx context.Context, want int) (int, error) {
	n, err := l.Do(ctx, l.B().Wait().Numreplicas(int64(want)).Timeout(replicaTime.Milliseconds()).Build()).AsInt64()
	return int(n), err
}

// mayGoAlone tells whether the store may go on without replicas: not if the sentinels have made another one the master, or a majority of them cannot be asked.
func (s *Store) mayGoAlone(ctx context.Context) error {
	if s.address.Master == "" {
		return nil
	}
	f, err := s.committer.link.info(ctx)
	if err != nil {
		return err
	}
	agree := 0
	for _, server := range s.address.Servers {
		if s.sentinelNames(ctx, server, f["run_id"]) {
			agree++
		}
	}
	if agree <= len(s.address.Servers)/2 {
		return fmt.Errorf("%d of %d sentinels name this master", agree, len(s.address.Servers))
	}
	return nil
}

// sentinelNames asks one sentinel whether its master is the server with a run id.
func (s *Store) sentinelNames(ctx context.Context, server, runID string) bool {
	o := s.address.options()
	o.Sentinel, o.InitAddress, o.ForceSingleClient = rueidis.SentinelOption{}, []string{server}, true
	o.Username, o.Password = s.address.SentinelUser, s.address.SentinelPassword
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c, err := rueidis.NewClient(o)
	if err != nil {
		return false
	}
	defer c.Close()
	m, err := c.Do(ctx, c.B().Arbitrary("SENTINEL", "MASTER", s.address.Master).Build()).AsStrMap()
	return err == nil && m["runid"] == runID
}

// recover gets a link again, finds out what the master has, and sends what it lacks.
func (s *Store) recover() error {
	c := &s.committer
	c.recovering = true
	defer func() { c.recovering = false }()
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	l, err := s.dial(ctx)
	if err != nil {
		return err
	}
	c.link = l
	f, err := l.info(ctx)
	if err != nil {
		return err
	}
	if f["role"] != "master" {
		return errReplica
	}
	last, err := s.lastGroup(ctx, l)
	if err != nil {
		return err
	}
	if err := s.beginEpoch(ctx, l, f["run_id"]); err != nil {
		return err
	}
	if err := s.replay(last); err != nil {
		return err
	}
	s.recovered()
	return nil
}

// lastGroup asks for the number of the last group of this broker's that the master has. What the master must not have lost is checked.
func (s *Store) lastGroup(ctx context.Context, l *link) (uint64, error) {
	if err := l.Do(ctx, l.B().FunctionLoad().Replace().FunctionCode(library).Build()).Error(); err != nil {
		return 0, err
	}
	held, err := s.fields(ctx, l, s.key(keyMeta), "f", "g", "d")
	if err != nil {
		return 0, err
	}
	if s.options.Shared {
		return s.lastOfNode(ctx, l, held[2])
	}
	fence, _ := strconv.ParseUint(held[0], 10, 64)
	last, _ := strconv.ParseUint(held[1], 10, 64)
	switch {
	case held[0] == "" && s.founded && s.settled.Load() == 0:
		// The data set is new, and a master that has died had not passed it on. Nothing has been promised, and all that was written is here.
		return 0, s.open(ctx, l, s.committer.name, s.fence)
	case held[0] == "" || held[2] != s.dataset:
		return 0, s.gone(fmt.Errorf("the Redis server has been emptied, or filled with other data: what this broker has stored is not there"), false)
	case fence > s.fence:
		return 0, s.gone(errors.New("another broker has taken over what is stored there"), true)
	case fence < s.fence:
		// Even that this broker has taken over is lost. What it has done since may all be in memory.
		if err := s.open(ctx, l, s.committer.name, s.fence); err != nil {
			return 0, err
		}
		last = 0
	}
	return last, nil
}

// replay sends the groups that the master lacks: those whose answer was lost with the link, and those of the last seconds that it had not got from the master before.
func (s *Store) replay(last uint64) error {
	c := &s.committer
	first := c.number + 1
	if len(c.sent) > 0 {
		first = c.sent[0].number
	}
	if len(c.tail) > 0 {
		first = c.tail[0].number
	}
	if last+1 < first {
		return s.gone(fmt.Errorf("the Redis server has older data: of what was stored, everything after change %d is missing, and this broker has no more than from change %d on", last, first), false)
	}
	for _, g := range c.tail {
		if g.number <= last {
			continue
		}
		a := s.again(g)
		if a.err != nil {
			return a.err
		}
		s.tailFenced(g, a.fenced)
	}
	for _, g := range c.sent {
		if s.options.Shared && len(g.refused) > 0 { // their retained messages must not be changed again
			g.group = s.encode(g.number, g.batches)
		}
		switch {
		case g.number <= last || g.applied && len(g.refused) > 0:
			a := s.again(g) // what has been applied already changes nothing
			if a.err != nil {
				return a.err
			}
			s.noteVersions(g, a.version)
			if s.refuseFenced(g, a.fenced); !g.applied {
				s.noteApplied(g, g.entries, a.bodies, a.ended)
			}
			c.undone = append(c.undone, g.refused...)
			c.kept = append(c.kept, g.batches...)
		case len(g.refused) > 0:
			c.kept = append(c.kept, g.batches...)
			g.group = s.encode(g.number, g.batches)
		case g.applied:
			a := s.again(g)
			if a.err != nil {
				return a.err
			}
			s.noteVersions(g, a.version)
			s.refuseFenced(g, a.fenced)
		}
		g.refused = nil
	}
	return nil
}

// again sends a group that had been applied to a master that may lack it.
func (s *Store) again(g *sent) answer {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	name, args := g.call(s, false) // memory or not: it was promised
	return answerOf(s.committer.link.call(ctx, name, g.keys, args))
}

// recovered goes on after the link is there again.
func (s *Store) recovered() {
	c := &s.committer
	c.away = time.Time{}
	s.send()
	if c.link == nil {
		return
	}
	var batches []*store.Batch
	if len(c.undone) > 0 {
		batches = append(batches, store.Undo(c.undone, c.kept))
	}
	batches = append(batches, c.retry...)
	c.undone, c.kept, c.retry = nil, nil, nil
	s.log.Printf(logging.Notice, "Redis %s can be used again.", s.address)
	if s.write(batches); len(c.sent) == 0 && c.link != nil {
		s.healthy()
	}
}

// gone notes that this broker can never write again.
func (s *Store) gone(err error, fenced bool) error {
	c := &s.committer
	if c.lost == nil {
		c.lost = err
		id := cause.ClusterLost
		if fenced {
			id = cause.ClusterTaken
		}
		if fenced && s.options.Shared {
			s.log.Cause(logging.Error, cause.ClusterFenced, "Redis %s: %v. Nothing is stored until this node has joined again.", s.address, err)
		} else {
			s.log.Cause(logging.Error, id, "Redis %s: %v. Nothing is stored until the broker is started again.", s.address, err)
		}
		if fenced && s.options.Lost != nil {
			s.options.Lost(err)
		}
	}
	return err
}
