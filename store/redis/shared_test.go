package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"picket/internal/testbed"
	"picket/session"
	"picket/store"
	"picket/store/storetest"
	"picket/topic"
)

// node is a store that others share, with the rows and owners in Redis that package cluster has there.
type node struct {
	*Store
	t           testing.TB
	r           *server
	prefix      string
	incarnation string
	out         *testbed.Log
	rec         *storetest.Recorder

	mu    sync.Mutex
	owned map[string]bool
}

func newNode(t testing.TB, r *server, prefix string, o Options) *node {
	t.Helper()
	o.Shared = true
	s, out := mustOpen(t, r.address()+"?prefix="+prefix, o)
	n := &node{Store: s, t: t, r: r, prefix: "{" + prefix + "}", out: out, owned: map[string]bool{}}
	n.join()
	return n
}

// startNode makes one that serves.
func startNode(t testing.TB, r *server, prefix string, o Options) *node {
	t.Helper()
	n := newNode(t, r, prefix, o)
	n.rec = storetest.Start(t, n.Store)
	return n
}

// join makes a row.
func (n *node) join() {
	n.t.Helper()
	n.incarnation = n.eval("local inc = redis.call('HINCRBY', KEYS[1], 'last', 1) redis.call('HSET', KEYS[1], inc, '') redis.call('HSET', KEYS[1]..':'..inc, 'name', 'node '..inc, 'beat', 0) return tostring(inc)", n.prefix+"n")
	inc, err := strconv.ParseUint(n.incarnation, 10, 64)
	if err != nil {
		n.t.Fatal(err)
	}
	n.Serve(inc)
}

func (n *node) bury() { n.r.do("HSET", n.prefix+"n:"+n.incarnation, "dead", "1") }

func (n *node) eval(script, key string, args ...string) string {
	n.t.Helper()
	return n.r.text(append([]string{"EVAL", script, "1", key}, args...)...)
}

// claim makes the node the owner of a session, in Redis and in its store.
func (n *node) claim(clientID string) error {
	n.t.Helper()
	fence, err := strconv.ParseUint(n.eval("local f = redis.call('HINCRBY', KEYS[1], 'f', 1) redis.call('HSET', KEYS[1], 'o', ARGV[1], 'c', ARGV[2]) return tostring(f)",
		n.prefix+"s:"+nameOf(clientID), n.incarnation, clientID), 10, 64)
	if err != nil {
		n.t.Fatal(err)
	}
	return n.own(clientID, fence)
}

func (n *node) own(clientID string, fence uint64) error {
	n.t.Helper()
	done := make(chan error, 1)
	if err := n.Own(clientID, fence, func(err error) { done <- err }); err != nil {
		n.t.Fatal(err)
	}
	return <-done
}

func (n *node) mustClaim(clientID string) *store.Session {
	n.t.Helper()
	if err := n.claim(clientID); err != nil {
		n.t.Fatal(err)
	}
	return n.rec.Handle(clientID)
}

func (n *node) let(clientID string) {
	n.t.Helper()
	done := make(chan error, 1)
	if err := n.Let(clientID, func(err error) { done <- err }); err != nil {
		n.t.Fatal(err)
	}
	if err := <-done; err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) commit(fill func(*store.Batch)) *store.Batch {
	b := new(store.Batch)
	fill(b)
	n.Commit(b)
	return b
}

func (n *node) stored(fill func(*store.Batch)) error {
	b := n.commit(fill)
	storetest.WaitFor(b)
	return b.Err()
}

func (n *node) message(payload string) *session.Message {
	return &session.Message{ID: n.NewMessageID(), Topic: "t", Payload: []byte(payload), QoS: 1}
}

// queue reads all of a session's queue.
func (n *node) queue(h *store.Session) (all []string) {
	n.t.Helper()
	entries, more, err := n.Read(context.Background(), h, 1, store.Limit{Entries: 1 << 20, Bytes: 1 << 30}, nil)
	if err != nil || more {
		n.t.Fatal(more, err)
	}
	for _, e := range entries {
		all = append(all, fmt.Sprintf("%d:%s", e.Seq, e.Message.Payload[:min(8, len(e.Message.Payload))]))
	}
	return all
}

// lone lets tests of every store use a node: client identifiers are claimed when they are first used, and at a start all that there are. Retained messages are its own, as those of a broker alone.
type lone struct{ *node }

func (l lone) NewSession(clientID string) *store.Session {
	l.mu.Lock()
	known := l.owned[clientID]
	l.owned[clientID] = true
	l.mu.Unlock()
	if !known {
		if err := l.claim(clientID); err != nil {
			l.t.Error(err)
		}
	}
	return l.Store.NewSession(clientID)
}

func (l lone) Start(ctx context.Context, h store.Handler) error {
	if err := l.Store.Start(ctx, h); err != nil {
		return err
	}
	if err := l.loadRetained(ctx, h); err != nil {
		return err
	}
	names := strings.Fields(l.eval("return table.concat(redis.call('SMEMBERS', KEYS[1]), '\\n')", l.prefix+"o"))
	for _, name := range strings.Split(l.eval("return table.concat(redis.call('SMEMBERS', KEYS[1]), '\\n')", l.prefix+"o"), "\n") {
		if id, ok := strings.CutPrefix(name, "="); ok && len(names) > 0 {
			l.owned[id] = true
			if err := l.claim(id); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestSharedStore runs the tests of every store with a node's.
func TestSharedStore(t *testing.T) {
	r := newServer(t)
	places := 0
	storetest.Run(t, func(t testing.TB) storetest.Place {
		places++
		prefix := fmt.Sprintf("place%d", places)
		return func(t testing.TB) store.Store { return lone{newNode(t, r, prefix, Options{})} }
	})
}

// TestSessionMoves has a node take a session with its subscriptions, received identifiers and queue while the node before still writes for it: what that one commits later is refused for
// this session alone, and the rest of the same batches is kept. Then the session comes back.
func TestSessionMoves(t *testing.T) {
	r := newServer(t)
	a, b := startNode(t, r, "p", Options{}), startNode(t, r, "p", Options{})
	defer a.Close()
	defer b.Close()
	moves, stays := a.new(t, "moves"), a.new(t, "stays")
	long := strings.Repeat("x", 600)
	if err := a.stored(func(c *store.Batch) {
		c.Save(moves, store.Record{Expiry: 100, Next: 1})
		c.Save(stays, store.Record{Expiry: 100, Next: 1})
		c.Subscribe(moves, "a/+", topic.Options{QoS: 1}, nil)
		c.Receive(moves, 7)
	}); err != nil {
		t.Fatal(err)
	}
	both := func(n *node, seq uint64, payload string, to ...*store.Session) *store.Batch {
		m := n.message(payload)
		return n.commit(func(c *store.Batch) {
			for _, h := range to {
				c.Enqueue(h, session.Delivery{Message: m, Seq: seq, QoS: 1}, false)
			}
		})
	}
	for seq := uint64(1); seq <= 3; seq++ {
		if c := both(a, seq, fmt.Sprint(seq, long), moves, stays); !waited(c) || c.Err() != nil {
			t.Fatal(c.Err())
		}
	}
	here := b.mustClaim("moves")
	state := b.rec.State("moves")
	if here == nil || state.Backlog.Entries != 3 || state.Backlog.First != 1 || state.Backlog.Last != 3 || !slices.Equal(state.Received, []uint16{7}) || state.Subscriptions["a/+"].QoS != 1 {
		t.Fatalf("%+v", state)
	}
	// a does not know it yet.
	late := both(a, 4, "late"+long, moves, stays)
	if waited(late); !errors.Is(late.Err(), store.ErrFenced) || !slices.Equal(late.Fenced(), []string{"moves"}) {
		t.Errorf("%v, %v", late.Err(), late.Fenced())
	}
	if err := a.stored(func(c *store.Batch) { c.End(moves) }); !errors.Is(err, store.ErrFenced) {
		t.Errorf("the end of what another node has: %v", err)
	}
	if c := both(b, 4, "new"+long, here); !waited(c) || c.Err() != nil {
		t.Fatal(c.Err())
	}
	if got := fmt.Sprint(b.queue(here)); got != "[1:1xxxxxxx 2:2xxxxxxx 3:3xxxxxxx 4:newxxxxx]" {
		t.Errorf("b has %s", got)
	}
	if got := fmt.Sprint(a.queue(stays)); got != "[1:1xxxxxxx 2:2xxxxxxx 3:3xxxxxxx 4:latexxxx]" {
		t.Errorf("a has %s", got)
	}
	for _, batch := range a.rec.Refused() {
		for op := range batch.Ops() {
			if op.Session != moves {
				t.Errorf("%v of %s is handed back", op.Kind, op.Session.ClientID)
			}
		}
	}
	// Back again: the bodies are counted rightly, so that with the last entry the last body goes.
	a.let("moves") // what is left of the one before
	b.let("moves")
	if c := both(b, 5, "too late", here); waited(c) && c.Err() == nil && r.text("HEXISTS", "{p}q:=moves", sequence(5)) == "1" {
		t.Error("what was let go of has been written")
	}
	again := a.mustClaim("moves")
	if got := len(a.queue(again)); got != 4 {
		t.Errorf("%d messages have come back", got)
	}
	if err := a.stored(func(c *store.Batch) { c.End(again); c.End(stays) }); err != nil {
		t.Fatal(err)
	}
	until(t, "nothing is left", func() bool {
		return r.count("HLEN", "{p}b") == 0 && r.count("HLEN", "{p}c") == 0 && r.count("SCARD", "{p}o") == 0 && r.count("SCARD", "{p}e") == 0
	})
	if got := r.text("HGET", "{p}s:=moves", "f"); got != "3" {
		t.Errorf("the fence of a client identifier that a node still has is %q", got)
	}
}

// new claims a client identifier that nothing is stored of.
func (n *node) new(t *testing.T, clientID string) *store.Session {
	t.Helper()
	if err := n.claim(clientID); err != nil {
		t.Fatal(err)
	}
	return n.NewSession(clientID)
}

func waited(b *store.Batch) bool {
	storetest.WaitFor(b)
	return true
}

// TestNodeStandsStill stops a node for so long that the others bury it and take its sessions: nothing that it commits afterwards is kept, and it is told so. With another incarnation it
// can go on.
func TestNodeStandsStill(t *testing.T) {
	r := newServer(t)
	lost := make(chan error, 10)
	a := startNode(t, r, "p", Options{Lost: func(err error) { lost <- err }})
	b := startNode(t, r, "p", Options{})
	defer a.Close()
	defer b.Close()
	h := a.new(t, "c")
	save := func(c *store.Batch) { c.Save(h, store.Record{Expiry: 100}) }
	if err := a.stored(save); err != nil {
		t.Fatal(err)
	}
	a.bury()
	here := b.mustClaim("c")
	put := func(seq uint64) func(*store.Batch) {
		return func(c *store.Batch) {
			c.Enqueue(h, session.Delivery{Message: a.message("late"), Seq: seq, QoS: 1}, false)
		}
	}
	if err := a.stored(put(1)); !errors.Is(err, store.ErrFailed) {
		t.Errorf("of a node that is buried: %v", err)
	}
	if err := <-lost; err == nil {
		t.Error("it is not said why")
	}
	retained := a.message("late")
	if err := a.stored(func(c *store.Batch) { c.Retain(retained, nil) }); !errors.Is(err, store.ErrFailed) {
		t.Errorf("a retained message of a node that is buried: %v", err)
	}
	if got := b.queue(here); len(got) > 0 || r.count("HLEN", "{p}r") > 0 {
		t.Errorf("%v", got)
	}
	a.join()
	if err := a.stored(put(2)); !errors.Is(err, store.ErrFenced) {
		t.Errorf("of a session that another node has: %v", err)
	}
	if err := a.stored(func(c *store.Batch) { c.Retain(retained, nil) }); err != nil {
		t.Errorf("with another incarnation: %v", err)
	}
	h = a.mustClaim("c")
	if err := a.stored(put(1)); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(a.queue(h)); got != "[1:late]" {
		t.Error(got)
	}
}

// TestAdoption has a node take 10,000 sessions of another one.
func TestAdoption(t *testing.T) {
	const n = 10_000
	r := newServer(t)
	a, b := startNode(t, r, "p", Options{}), startNode(t, r, "p", Options{})
	defer a.Close()
	defer b.Close()
	claimAll := func(to *node) {
		r.text("EVAL", "for i = 1, tonumber(ARGV[2]) do local key = KEYS[1]..'s:=client-'..(i - 1) redis.call('HINCRBY', key, 'f', 1) redis.call('HSET', key, 'o', ARGV[1]) end return ''", "1", to.prefix, to.incarnation, strconv.Itoa(n))
	}
	claimAll(a)
	var all sync.WaitGroup
	own := func(to *node, fence uint64) {
		for i := range n {
			all.Add(1)
			if err := to.Own("client-"+strconv.Itoa(i), fence, func(err error) {
				if err != nil {
					t.Error(err)
				}
				all.Done()
			}); err != nil {
				t.Fatal(err)
			}
		}
		all.Wait()
	}
	own(a, 1)
	fill(a.Store, sessions(t, a.Store, n), 100, 100)
	a.bury()
	claimAll(b)
	own(b, 2)
	if got := b.Stats(); got.Sessions != n || got.Entries != n {
		t.Errorf("%+v", got)
	}
	for i := range n {
		if st := b.rec.State("client-" + strconv.Itoa(i)); st.Backlog.Entries != 1 || len(st.Subscriptions) != 1 {
			t.Fatalf("client-%d: %+v", i, st)
		}
	}
}

// TestNodesAtAFailover kills the master under two nodes that write, and between which sessions move, again and again: nothing that was settled is missing, and nothing is refused.
func TestNodesAtAFailover(t *testing.T) {
	master := newServer(t)
	replica := master.replica()
	o := Options{Hold: 1 << 40, Acknowledge: Acknowledge{Replicas: 1}}
	nodes := []*node{startNode(t, master, "p", o), startNode(t, master, "p", o)}
	const clients = 8
	rng := rand.New(rand.NewPCG(1, 2))
	var handles [clients]*store.Session
	var at, next [clients]int
	for i := range handles {
		handles[i] = nodes[0].new(t, strconv.Itoa(i))
		h := handles[i]
		if err := nodes[0].stored(func(c *store.Batch) { c.Save(h, store.Record{Expiry: 100}) }); err != nil {
			t.Fatal(err)
		}
	}
	var under []*store.Batch
	put := func() {
		i := rng.IntN(clients)
		n, h := nodes[at[i]], handles[i]
		next[i]++
		under = append(under, n.commit(func(c *store.Batch) {
			c.Enqueue(h, session.Delivery{Message: n.message(fmt.Sprintf("%d-%d", i, next[i])), Seq: uint64(next[i]), QoS: 1}, false)
		}))
	}
	move := func() {
		i := rng.IntN(clients)
		nodes[at[i]].let(strconv.Itoa(i))
		at[i] = 1 - at[i]
		handles[i] = nodes[at[i]].mustClaim(strconv.Itoa(i))
	}
	for step := range 400 {
		put()
		switch {
		case step == 150:
			for _, b := range under {
				storetest.WaitFor(b)
			}
			replica.do("REPLICAOF", "NO", "ONE")
			master.kill()
			// The new master has the old one's address, and gets a replica of its own.
			replica.do("CONFIG", "SET", "port", strconv.Itoa(master.port))
			replica.port = master.port
			replica.replica()
		case step%10 == 0:
			move()
		}
	}
	for _, b := range under {
		if storetest.WaitFor(b); b.Err() != nil {
			t.Fatal(b.Err())
		}
	}
	for i, h := range handles {
		if got := nodes[at[i]].queue(h); len(got) != next[i] {
			t.Errorf("client %d has %d of %d messages: %v", i, len(got), next[i], got)
		}
	}
	for _, n := range nodes {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestAloneOrShared opens data of the one kind as the other: what lives is not disturbed.
func TestAloneOrShared(t *testing.T) {
	r := newServer(t)
	s, _ := mustOpen(t, r.address()+"?prefix=p", Options{})
	storetest.Start(t, s)
	if _, _, err := open(t, r.address()+"?prefix=p", Options{Shared: true}); err == nil || !strings.Contains(err.Error(), "[cluster-taken]") {
		t.Errorf("a node, where a broker alone lives: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	n := startNode(t, r, "p", Options{})
	stop := make(chan struct{})
	var beats sync.WaitGroup
	beats.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				r.text("HINCRBY", n.prefix+"n:"+n.incarnation, "beat", "1")
			}
		}
	})
	if _, _, err := open(t, r.address()+"?prefix=p", Options{}); err == nil || !strings.Contains(err.Error(), "node node 1 is using") {
		t.Errorf("a broker alone, where a node lives: %v", err)
	}
	close(stop)
	beats.Wait()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	s, _ = mustOpen(t, r.address()+"?prefix=p", Options{})
	storetest.Start(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
