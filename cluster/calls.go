package cluster

import (
	"errors"
	"sync"
	"time"

	"picket/cause"
	"picket/cluster/functions"
	"picket/cluster/machine"
	"picket/logging"
	"picket/store/redis"
)

// caller calls Redis for the machine: all that has gathered while the last calls were under way goes out at once.
type caller struct {
	n     *Node
	keys  functions.Keys
	redis *redis.Caller
	wake  chan struct{}

	mu      sync.Mutex
	pending []machine.Call
	state   RedisState
}

// mostCalls is how many calls go out at once.
const mostCalls = 256

func (c *caller) put(call machine.Call) {
	c.mu.Lock()
	c.pending = append(c.pending, call)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *caller) take() []machine.Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	due := c.pending[:min(len(c.pending), mostCalls)]
	c.pending = c.pending[len(due):]
	return due
}

func (c *caller) run() {
	away := false
	for {
		due := c.take()
		if len(due) == 0 {
			select {
			case <-c.n.context.Done():
				return
			case <-c.wake:
			}
			continue
		}
		err := c.carryOut(due)
		if c.n.context.Err() != nil {
			return
		}
		c.note(err)
		switch {
		case err != nil && !away:
			c.n.log.Cause(logging.Error, cause.ClusterUnreachable, "Redis %s cannot be used: %v. Nothing of QoS 1 and 2 is acknowledged until it can.", c.n.o.Redis, err)
		case err == nil && away:
			c.n.log.Printf(logging.Notice, "Redis %s can be used again.", c.n.o.Redis)
		}
		if away = err != nil; away {
			select {
			case <-c.n.context.Done():
				return
			case <-time.After(pauseOfCalls):
			}
		}
	}
}

// note keeps how Redis answers for whoever asks.
func (c *caller) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.state
	if s.Answers != (err == nil) || s.Since.IsZero() {
		s.Answers, s.Since = err == nil, time.Now().Round(0)
	}
	if s.Text = ""; err != nil {
		s.Cause, s.Text = cause.ClusterUnreachable, err.Error()
		return
	}
	s.Cause, s.Servers = "", c.redis.Servers()
}

// pauseOfCalls is between calls while Redis is away.
const pauseOfCalls = 100 * time.Millisecond

// carryOut makes calls and brings the machine the answers.
func (c *caller) carryOut(due []machine.Call) error {
	calls := make([]redis.Call, len(due))
	for i, call := range due {
		calls[i].Function, calls[i].Keys, calls[i].Args = c.keys.Call(call.Command)
	}
	replies, err := c.redis.Call(c.n.context, calls)
	answers := make([]func(), len(due))
	for i, call := range due {
		var value any
		failed := err
		if err == nil {
			value, failed = functions.Answer(call.Command, replies[i].Value, replies[i].Err)
		}
		if failed != nil && err == nil && !errors.Is(failed, machine.ErrFenced) && !errors.Is(failed, machine.ErrChanged) {
			err = failed // Redis is there, and does not do what it is asked for
		}
		answers[i] = func() { c.n.answer(call, value, failed) }
	}
	c.n.inbox.put(func() {
		for _, f := range answers {
			f()
		}
	})
	return err
}

// answer brings the machine an answer. The rows are also who may come in.
func (n *Node) answer(call machine.Call, value any, err error) {
	if rows, ok := value.([]machine.Row); ok && err == nil {
		n.known.set(rows)
		for _, r := range rows {
			n.names[r.Incarnation] = r
			n.links.know(r.Incarnation)
		}
	}
	before := n.m.Incarnation()
	n.m.Answer(call.ID, value, err)
	if now := n.m.Incarnation(); now != before && now != 0 {
		n.joined.Store(now)
		n.log.Printf(logging.Info, "Node %s has joined the cluster in Redis %s as number %d.", n.o.Name, n.o.Redis, now)
		n.host.Joined(now)
		n.announceAll()
	}
	n.leased.Store(n.m.Leased())
}
