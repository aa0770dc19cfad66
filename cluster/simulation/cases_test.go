package simulation

import (
	"slices"
	"testing"
)

// calm runs worlds in which nothing goes wrong.
func calm(t *testing.T, rest bool) (moves, acks, again int) {
	for seed := range uint64(10) {
		w := New(Config{Seed: seed, Nodes: 3, Sessions: 8, Publishers: 3, Delay: 60, Lag: 20, Slice: 2, Stay: true, Rest: rest})
		if err := w.Run(60000); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		moves, acks, again = moves+w.check.moves, acks+w.check.acks, again+w.check.again
	}
	return moves, acks, again
}

func TestNothingComesTwiceToSessionsThatStay(t *testing.T) {
	if moves, acks, again := calm(t, true); moves < 80 || acks < 4000 || again > 0 {
		t.Errorf("%d sessions, %d acknowledgements, %d messages that came again", moves, acks, again)
	}
}

// A session that moves while a message is on its way to its old node and to its new one may get it from both, which QoS 1 allows; nothing is lost. One that leaves the publisher's node may have
// got there what is sent to the others only when the message before is settled. Each of these moves every few seconds, and the network takes up to 60 ms.
func TestSessionsThatMoveLoseNothing(t *testing.T) {
	if moves, acks, again := calm(t, false); moves < 500 || acks < 4000 || again > acks/5 {
		t.Errorf("%d moves, %d acknowledgements, %d messages that came again", moves, acks, again)
	}
}

// quiet is a world in which nothing has gone wrong for some seconds, with sessions that stay.
func quiet(t *testing.T, seed uint64) *World {
	t.Helper()
	w := New(Config{Seed: seed, Nodes: 3, Sessions: 9, Publishers: 3, Delay: 5, Lag: 5, Slice: 2, Stay: true, Rest: true})
	run(t, w, 15000)
	return w
}

func run(t *testing.T, w *World, ms int64) {
	t.Helper()
	if err := w.Run(ms); err != nil {
		t.Fatal(err)
	}
}

// incarnations are those of all nodes, by their numbers.
func (w *World) incarnations() (all []uint64) {
	for _, n := range w.nodes {
		all = append(all, n.m.Incarnation())
	}
	return all
}

func TestNobodyIsBuriedWhileRedisIsAway(t *testing.T) {
	for seed := range uint64(10) {
		w := quiet(t, seed)
		before := w.incarnations()
		w.redis.up = false
		run(t, w, 2500) // the lease of the last beat, and what was under way
		acks := w.check.acks
		run(t, w, 10000)
		if w.check.acks != acks {
			t.Errorf("seed %d: %d messages were acknowledged without Redis", seed, w.check.acks-acks)
		}
		w.redis.up = true
		run(t, w, 10000)
		if after := w.incarnations(); !slices.Equal(before, after) {
			t.Errorf("seed %d: %v became %v", seed, before, after)
		}
		if w.check.acks == acks {
			t.Errorf("seed %d: nothing is acknowledged any more", seed)
		}
	}
}

// A node that stands still, or reaches Redis no more, is buried, and by nobody else's fault; its sessions are adopted within six seconds.
func TestWhoStandsStillIsBuriedAndItsSessionsAreAdopted(t *testing.T) {
	for seed := range uint64(10) {
		w := quiet(t, seed)
		before := w.incarnations()
		n := w.nodes[seed%3]
		if seed%2 == 0 {
			n.frozen = true
		} else {
			n.noRedis = true
		}
		run(t, w, 6500+int64(seed%2)*8000) // without Redis, what it had sent may arrive five seconds later
		for client, s := range w.redis.replica.sessions {
			if s.owner == before[n.id] {
				t.Errorf("seed %d: %s still belongs to the node that is dead", seed, client)
			}
		}
		if n.noRedis = false; n.frozen {
			n.thaw()
		}
		run(t, w, 10000)
		for id, now := range w.incarnations() {
			if (now != before[id]) != (id == n.id) || !w.nodes[id].m.Serving() {
				t.Errorf("seed %d: node %d was %d and is %d, when node %d was dead for a while", seed, id, before[id], now, n.id)
			}
		}
	}
}

// Without a link, in one direction or in both, what two nodes have to say goes by their mailboxes: nobody is buried, and subscriptions are confirmed and messages acknowledged as before.
func TestACutLinkIsReplacedByMailboxes(t *testing.T) {
	for seed := range uint64(10) {
		w := quiet(t, seed)
		before := w.incarnations()
		w.cut[[2]int{0, 1}], w.cut[[2]int{2, 1}] = true, true
		if seed%2 == 0 {
			w.cut[[2]int{1, 0}] = true
		}
		run(t, w, 3000)
		acks, subs := w.check.acks, w.check.subs
		w.cfg.Rest = false
		run(t, w, 15000)
		if w.check.acks-acks < 100 || w.check.subs == subs || !slices.Equal(before, w.incarnations()) {
			t.Errorf("seed %d: %d acknowledgements, %d subscriptions, %v became %v", seed, w.check.acks-acks, w.check.subs-subs, before, w.incarnations())
		}
		clear(w.cut)
		w.check.healed = true
		run(t, w, 10000)
		if why := w.Settled(); why != "" {
			t.Errorf("seed %d: %s", seed, why)
		}
	}
}
