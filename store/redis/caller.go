package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/rueidis"

	"picket/cause"
	"picket/logging"
)

// Caller calls functions of a library of Redis, which nodes of a cluster share. An answer counts by the rule of a store: when as many replicas as [Options.Acknowledge] asks for
// have everything that had been written before it, by whomever. It may be used by one goroutine at a time.
type Caller struct {
	s       Store // of which only what knows servers is used: nothing is loaded, and no goroutine runs
	library string
	link    *link
	looked  time.Time // when it was last looked whether there is a replica again
}

// Call is a call of a function.
type Call struct {
	Function   string
	Keys, Args []string
}

// Reply is what Redis has answered: texts as string, numbers as int64, lists as []any.
type Reply struct {
	Value any
	Err   error
}

// NewCaller makes a caller of the functions of a library. It connects with the first call, and again after each that failed. Of o, Log and Acknowledge are used.
func NewCaller(a Address, o Options, library string) *Caller {
	o.Shared = true
	return &Caller{s: Store{options: o, address: a, prefix: a.Prefix, log: o.Log}, library: library}
}

// Check tries for [Options.Hold] (default 10 s) to reach Redis, and looks whether it has what is needed. What is missing is returned in an [UnfitError], all of it at once; what is only
// advised is logged. Retained messages that a broker alone has stored under the prefix keep nodes out.
func (c *Caller) Check(ctx context.Context) error {
	told, hold := false, cmp.Or(c.s.options.Hold, 10*time.Second)
	for until := time.Now().Add(hold); ; {
		err := c.check(ctx)
		unfit := (*UnfitError)(nil)
		if !errors.As(err, &unfit) || !unfit.passing || time.Now().After(until) {
			return err
		}
		if !told {
			told = true
			c.s.log.Cause(logging.Notice, cause.ClusterUnreachable, "Redis %s cannot be reached yet (%s); trying again for %v.", c.s.address, unfit.Missing[0].Text, hold)
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return err
		}
	}
}

func (c *Caller) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if err := c.connect(ctx); err != nil {
		c.Close()
		if errors.Is(err, errReplica) {
			return &UnfitError{c.s.address, []Missing{{cause.ClusterReplica, "it is a replica", true}}, c.s.address.Master != ""}
		}
		return unreachable(c.s.address, err)
	}
	f, err := c.link.info(ctx)
	if err != nil {
		c.drop()
		return unreachable(c.s.address, err)
	}
	missing := c.s.check(ctx, c.link, f)
	if held, err := c.s.fields(ctx, c.link, c.s.key(keyMeta), "f", "h"); err == nil && held[0] != "" && held[1] != sharedName {
		if n, err := c.link.Do(ctx, c.link.B().Hlen().Key(c.s.key(keyRetained)).Build()).AsInt64(); err != nil || n > 0 {
			missing = append(missing, Missing{cause.ClusterTaken, "one broker has stored retained messages there, which nodes of a cluster do not have yet: give the nodes another prefix (?prefix=NAME)", true})
		}
	}
	var fatal []Missing
	for _, m := range missing {
		if m.Fatal {
			fatal = append(fatal, m)
		} else {
			c.s.log.Cause(logging.Warning, m.Cause, "Redis %s: %s.", c.s.address, m.Text)
		}
	}
	if len(fatal) > 0 {
		return &UnfitError{c.s.address, fatal, false}
	}
	return nil
}

// Prefix is what all keys begin with.
func (c *Caller) Prefix() string { return c.s.prefix }

// Servers is how many servers had what the last [Caller.Call] wrote before it was answered. It must not be called beside Call.
func (c *Caller) Servers() int { return 1 + c.s.wanted() }

// NameOf is what stands for a client identifier in keys.
func NameOf(clientID string) string { return nameOf(clientID) }

// Call makes calls, in their order and at once, and returns an answer for each. An error says that nothing is known of what has become of any of them.
func (c *Caller) Call(ctx context.Context, calls []Call) ([]Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if err := c.connect(ctx); err != nil {
		c.Close()
		return nil, err
	}
	replies, err := c.call(ctx, calls)
	if err != nil {
		c.drop()
	}
	return replies, err
}

// Close ends the connection. The next call makes another one.
func (c *Caller) Close() {
	c.drop()
	if c.s.client != nil {
		c.s.client.Close()
		c.s.client = nil
	}
}

func (c *Caller) drop() {
	c.s.committer.link = nil
	if c.link != nil {
		c.link.release()
		c.link = nil
	}
}

// connect makes sure that there is a connection to a master that has the library.
func (c *Caller) connect(ctx context.Context) (err error) {
	if c.link != nil {
		return nil
	}
	if c.s.client == nil {
		if c.s.client, err = rueidis.NewClient(c.s.address.options()); err != nil {
			c.s.client = nil
			return err
		}
	}
	if c.link, err = c.s.dial(ctx); err != nil {
		return err
	}
	c.s.committer.link = c.link
	f, err := c.link.info(ctx)
	if err != nil {
		return err
	}
	if f["role"] != "master" {
		return errReplica
	}
	if err := c.link.Do(ctx, c.link.B().FunctionLoad().Replace().FunctionCode(c.library).Build()).Error(); err != nil {
		return fmt.Errorf("its functions cannot be loaded: %w", err)
	}
	c.s.committer.alone = f.replicas() == 0
	return nil
}

func (c *Caller) call(ctx context.Context, calls []Call) (replies []Reply, err error) {
	b := c.link.B()
	var cmds rueidis.Commands
	for _, x := range calls {
		cmds = append(cmds, b.Fcall().Function(x.Function).Numkeys(int64(len(x.Keys))).Key(x.Keys...).Arg(x.Args...).Build())
	}
	c.lookForReplicas(ctx)
	want := c.s.wanted()
	if want > 0 {
		// A connection that has written nothing waits for nothing: so something is written first.
		cmds = append(cmds, b.Hset().Key(c.s.key("w")).FieldValue().FieldValue("w", "").Build(), b.Wait().Numreplicas(int64(want)).Timeout(replicaTime.Milliseconds()).Build())
	}
	all := c.link.DoMulti(ctx, cmds...)
	for i := range calls {
		value, err := all[i].ToAny()
		if err != nil && !rueidis.IsRedisNil(err) {
			if _, answered := rueidis.IsRedisErr(err); !answered || says(err, "Function not found") || says(err, "READONLY") || says(err, "LOADING") {
				return nil, err
			}
			replies = append(replies, Reply{Err: err})
			continue
		}
		replies = append(replies, Reply{Value: value})
	}
	if want == 0 {
		return replies, nil
	}
	n, err := all[len(all)-1].AsInt64()
	if err != nil || int(n) >= want {
		return replies, err
	}
	return replies, c.goAlone(ctx, int(n), want)
}

// goAlone decides whether answers count that fewer replicas have than are asked for.
func (c *Caller) goAlone(ctx context.Context, have, want int) error {
	if !c.s.options.Acknowledge.Auto {
		return fmt.Errorf("%d replicas have what is written, and %d are asked for", have, want)
	}
	if err := c.s.mayGoAlone(ctx); err != nil {
		return err
	}
	c.s.committer.alone = true
	c.s.log.Cause(logging.Warning, cause.ClusterNoReplica, "Redis %s has no replica that keeps up: what is acknowledged is on one server only until there is one.", c.s.address)
	return nil
}

// lookForReplicas looks once a second whether there is a replica again.
func (c *Caller) lookForReplicas(ctx context.Context) {
	if !c.s.committer.alone || time.Since(c.looked) < replicaTime {
		return
	}
	c.looked = time.Now()
	if f, err := c.link.info(ctx); err == nil && f.replicas() > 0 {
		c.s.committer.alone = false
		c.s.log.Printf(logging.Notice, "Redis %s has a replica again: what is acknowledged is on two servers.", c.s.address)
	}
}
