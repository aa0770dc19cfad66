package redis

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"picket/cause"
	"picket/internal/testbed"
)

// echoLibrary has functions that answer what they are given, and write it.
const echoLibrary = `#!lua name=echo
redis.register_function('echo_keep', function(keys, args) redis.call('HSET', keys[1], 'a', args[1]); return args[1] end)
redis.register_function('echo_fail', function(keys, args) return redis.error_reply('PICKETCHANGED it is so') end)`

func newCaller(t *testing.T, s *server, a Acknowledge) (*Caller, *testbed.Log) {
	t.Helper()
	address, err := ParseAddress("redis://" + s.address())
	if err != nil {
		t.Fatal(err)
	}
	log, lines := newLog(t)
	c := NewCaller(address, Options{Log: log, Acknowledge: a}, echoLibrary)
	t.Cleanup(c.Close)
	return c, lines
}

func keep(word string) []Call {
	return []Call{{"echo_keep", []string{"{picket}k"}, []string{word}}, {"echo_fail", []string{"{picket}k"}, nil}}
}

// TestCallerCountsReplicas: an answer counts when replicas have it, a call that fails by itself spoils none, and a server that is started anew has the library again.
func TestCallerCountsReplicas(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := s.replica()
	for _, a := range []Acknowledge{{Auto: true}, {Replicas: 1}} {
		c, lines := newCaller(t, s, a)
		replies, err := c.Call(t.Context(), keep("one"))
		if err != nil || replies[0].Value != "one" || !says(replies[1].Err, "PICKETCHANGED") {
			t.Fatalf("%+v: %v, %v", a, replies, err)
		}
		if got := r.text("HGET", "{picket}k", "a"); got != "one" {
			t.Errorf("%+v: the replica has %q when the answer is here", a, got)
		}
		r.signal(syscall.SIGSTOP)
		_, err = c.Call(t.Context(), keep("two"))
		if (err == nil) != a.Auto {
			t.Errorf("%+v, without a replica: %v", a, err)
		}
		if a.Auto {
			lines.Await(t, string(cause.ClusterNoReplica))
		}
		r.signal(syscall.SIGCONT)
		until(t, "the replica is counted again", func() bool {
			_, err := c.Call(t.Context(), keep("three"))
			return err == nil && c.s.wanted() == 1
		})
	}
	c, _ := newCaller(t, s, Acknowledge{})
	if _, err := c.Call(t.Context(), keep("four")); err != nil {
		t.Fatal(err)
	}
	s.do("FUNCTION", "FLUSH")
	if _, err := c.Call(t.Context(), keep("five")); err == nil {
		t.Error("a server without the library has answered")
	}
	if replies, err := c.Call(t.Context(), keep("six")); err != nil || replies[0].Value != "six" {
		t.Errorf("the library is not loaded again: %v, %v", replies, err)
	}
}

// TestCallerChecks: what nodes cannot use is refused, all at once, each with its cause.
func TestCallerChecks(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := s.replica()
	check := func(s *server) (ids []cause.ID) {
		c, _ := newCaller(t, s, Acknowledge{})
		unfit := (*UnfitError)(nil)
		if err := c.Check(t.Context()); errors.As(err, &unfit) {
			for _, m := range unfit.Missing {
				ids = append(ids, m.Cause)
			}
		} else if err != nil {
			t.Error(err)
		}
		return ids
	}
	want := func(what string, s *server, ids ...cause.ID) {
		t.Helper()
		if got := check(s); fmt.Sprint(got) != fmt.Sprint(ids) {
			t.Errorf("%s: %v, want %v", what, got, ids)
		}
	}
	want("an empty server", s)
	want("a replica", r, cause.ClusterReplica)
	s.do("HSET", "{picket}m", "f", "1")
	s.do("HSET", "{picket}r", "t", "a retained message")
	s.do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	want("a broker's data, and a server that throws things away", s, cause.ClusterEviction, cause.ClusterTaken)
}
