package backend

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"picket/access"
)

// Redis is the back end redis: users and rules in a Redis or Valkey server, as go-auth keeps them. The key USER has the hash of the user's password, USER:su "true" for a
// superuser, and the sets USER:racls, USER:wacls, USER:rwacls and USER:sacls the filters that the user may read, write, both, and subscribe to; those of "common" are everybody's,
// with %u and %c.
type Redis struct {
	Host      string
	Port      int
	DB        int
	Password  string // empty: none is asked for
	PlainSalt bool   // as of [Files]
}

// redisPatience bounds how long a server is waited for.
const redisPatience = 5 * time.Second

// redis is a server with the connection to it, which is opened when it is first needed, and anew when it could not be.
type redis struct {
	config *Redis
	decoy  atomic.Pointer[hashed] // the last hash that was read: unknown users are measured against that

	mu     sync.Mutex // held while the connection is opened
	client rueidis.Client
	failed error // of the last attempt to open it
	again  time.Time
	over   bool
}

func (c *Redis) open() source {
	r := &redis{config: c}
	r.decoy.Store(&defaultHash)
	return r
}

func (r *redis) instant() bool { return false }

func (r *redis) waits(who) bool { return true }

func (r *redis) where() string {
	return "redis://" + net.JoinHostPort(r.config.Host, strconv.Itoa(r.config.Port)) + "/" + strconv.Itoa(r.config.DB)
}

func (r *redis) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	if r.client != nil {
		r.client.Close()
	}
}

// errRedisClosed is of questions after the end.
var errRedisClosed = errors.New("it is closed")

// connected returns the connection. Attempts to open it are a second apart, so that who waits for a server that is not there waits for one of them only.
func (r *redis) connected() (rueidis.Client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.over:
		return nil, errRedisClosed
	case r.client != nil:
		return r.client, nil
	case time.Now().Before(r.again):
		return nil, r.failed
	}
	c, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{net.JoinHostPort(r.config.Host, strconv.Itoa(r.config.Port))}, SelectDB: r.config.DB, Password: r.config.Password, ClientName: "picket",
		ForceSingleClient: true, DisableCache: true, DisableRetry: true, ConnWriteTimeout: redisPatience, Dialer: net.Dialer{Timeout: redisPatience},
	})
	if err != nil {
		r.failed, r.again = err, time.Now().Add(time.Second)
		return nil, err
	}
	r.client = c
	return c, nil
}

// text reads a key; empty: there is none, or one of another kind, which is none of a user's.
func (r *redis) text(ctx context.Context, key string) (string, error) {
	c, err := r.connected()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, redisPatience)
	defer cancel()
	s, err := c.Do(ctx, c.B().Get().Key(key).Build()).ToString()
	return s, notNone(err)
}

// notNone is an error, unless it says that nothing of that kind is there.
func notNone(err error) error {
	if answer, ok := rueidis.IsRedisErr(err); rueidis.IsRedisNil(err) || ok && strings.HasPrefix(answer.Error(), "WRONGTYPE") {
		return nil
	}
	return err
}

func (r *redis) login(ctx context.Context, w who) (proof, error) {
	entry, err := r.text(ctx, w.user)
	if err != nil {
		return proof{}, err
	}
	h, err := parseHash(entry, r.config.PlainSalt)
	known := err == nil
	if known {
		r.decoy.Store(&h)
	} else {
		h = *r.decoy.Load()
	}
	return proof{ok: known, check: func() bool { return h.verify(w.password) }}, nil
}

// setsOf are the sets that grant an action.
var setsOf = map[access.Action][]string{access.Deliver: {"racls", "rwacls"}, access.Publish: {"wacls", "rwacls"}, access.Subscribe: {"sacls"}}

func (r *redis) may(ctx context.Context, q right) (bool, error) {
	if q.action == 0 {
		su, err := r.text(ctx, q.user+":su")
		return su == "true", err
	}
	c, err := r.connected()
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, redisPatience)
	defer cancel()
	var ask []rueidis.Completed
	for _, set := range setsOf[q.action] {
		ask = append(ask, c.B().Smembers().Key(q.user+":"+set).Build(), c.B().Smembers().Key("common:"+set).Build())
	}
	var rules []rule
	for _, answer := range c.DoMulti(ctx, ask...) {
		filters, err := answer.AsStrSlice()
		if notNone(err) != nil {
			return false, err
		}
		for _, f := range filters {
			rules = append(rules, rule{f, needs[q.action]})
		}
	}
	return decide(q, rules), nil
}
