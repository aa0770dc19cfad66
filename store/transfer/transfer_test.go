package transfer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"picket/internal/testbed"
	"picket/logging"
	"picket/store"
	"picket/store/local"
	"picket/store/redis"
	"picket/store/storetest"
)

func newLog(t *testing.T) *logging.Logger {
	t.Helper()
	log, err := logging.New(logging.Config{}, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	return log
}

func onDisk(t *testing.T, dir string) store.Store {
	t.Helper()
	s, err := local.Open(dir, local.Options{Log: newLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func inRedis(t *testing.T, address string) store.Store {
	t.Helper()
	a, err := redis.ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	s, err := redis.Open(context.Background(), a, redis.Options{Log: newLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// contents opens what a store holds.
func contents(t *testing.T, s store.Store) *Contents {
	t.Helper()
	c, err := Open(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lines are what a store holds, without the numbers that it gives to messages and sessions.
func lines(t *testing.T, c *Contents) (all []string) {
	t.Helper()
	err := c.Each(context.Background(), func(i store.Item) error {
		i.Session = 0
		if i.Entry != nil {
			e := *i.Entry
			e.Ref = store.Ref{}
			if e.Message != nil {
				e.Message.ID = 0
			}
			i.Entry = &e
		}
		if i.Retained != nil {
			i.Retained.ID, i.Retained.Kept = 0, 0
		}
		if i.Record != nil && i.Record.Will != nil {
			i.Record.Will.Message.ID = 0
		}
		line, err := json.Marshal(i)
		all = append(all, string(line))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// move moves everything.
func move(t *testing.T, from, to store.Store) {
	t.Helper()
	a, b := contents(t, from), contents(t, to)
	if !b.Empty() {
		t.Fatal("the store that is filled is not empty")
	}
	if _, err := a.Into(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	for _, s := range []store.Store{from, to} {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestThereAndBack moves a store from a disk to Redis and back: it holds the same each time.
func TestThereAndBack(t *testing.T) {
	port := testbed.Port(t)
	server := testbed.Program(t, "redis-server", "redis-server")
	p, err := testbed.Launch(exec.Command(server, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir()), t.TempDir()+"/log")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	if err := p.Listening(net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err != nil {
		t.Fatal(err)
	}
	total := 0
	for seed := range uint64(5) {
		address := fmt.Sprintf("redis://127.0.0.1:%d?prefix=p%d", port, seed)
		first, last := t.TempDir(), t.TempDir()
		s := onDisk(t, first)
		w := storetest.NewWorld(t, rand.New(rand.NewPCG(seed, 11)), s, storetest.Start(t, s))
		for range 400 {
			w.Step()
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		move(t, onDisk(t, first), inRedis(t, address))
		move(t, inRedis(t, address), onDisk(t, last))
		var held [3][]string
		for i, s := range []store.Store{onDisk(t, first), inRedis(t, address), onDisk(t, last)} {
			held[i] = lines(t, contents(t, s))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		total += len(held[0])
		for i, place := range []string{"in Redis", "back on the disk"} {
			if !slices.Equal(held[0], held[i+1]) {
				t.Errorf("seed %d: %d things at first, %d %s; the first that differs: %s", seed, len(held[0]), len(held[i+1]), place, differs(held[0], held[i+1]))
			}
		}
	}
	if t.Logf("%d things were moved there and back", total); total < 100 {
		t.Error("there was little to move")
	}
}

func differs(a, b []string) string {
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return a[i] + " and " + fmt.Sprint(b[min(i, len(b)):min(i+1, len(b))])
		}
	}
	return fmt.Sprint(b[len(a):])
}
