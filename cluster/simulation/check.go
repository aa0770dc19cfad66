package simulation

import (
	"fmt"
	"maps"
	"slices"

	"picket/cluster/machine"
)

// checker watches over what must always hold:
//
//   - a session's fence is given to one node, once: nobody else has it, and nobody adopts it again;
//   - a subscription that has been confirmed is known to every node that serves and is not buried: it is never missing in its routes while the session lives;
//   - what has been acknowledged to a publisher is, on the master and on the replica, in the queue of each session whose subscription had been confirmed before it was published;
//   - the messages of a publisher to a topic come into each queue in their order; again, if they do, only behind that.
//
// That everything settles in the end is checked by Settled.
type checker struct {
	w         *World
	err       error
	healed    bool
	owners    map[fenced]uint64
	confirmed map[string]map[string]bool // topic → clients
	owes      map[message][]string       // who must get a message
	looked    map[string]int             // of each queue, how much has been looked at
	highest   map[queueKey]int
	acks      int
	again     int // messages that came again
	subs      int
	moves     int
}

type fenced struct {
	client string
	fence  uint64
}

type queueKey struct{ client, from, topic string }

func (c *checker) init(w *World) {
	*c = checker{w: w, owners: map[fenced]uint64{}, confirmed: map[string]map[string]bool{}, owes: map[message][]string{}, looked: map[string]int{}, highest: map[queueKey]int{}}
}

func (c *checker) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("at %d.%03d s: %s", c.w.now/1000, c.w.now%1000, fmt.Sprintf(format, args...))
		c.w.note("FAILED: %v", c.err)
	}
}

// owned looks at a session that has come to a node.
func (c *checker) owned(n *node, o machine.Own) {
	me := n.m.Incarnation()
	c.w.note("%s (%d) owns %s with fence %d", n.name(), me, o.Client, o.Fence)
	at := fenced{o.Client, o.Fence}
	if was, ok := c.owners[at]; ok {
		c.fail("%s (%d) has session %s with fence %d, which %d had", n.name(), me, o.Client, o.Fence, was)
	}
	c.owners[at] = me
	c.moves++
}

// subscribed notes a subscription that has been confirmed.
func (c *checker) subscribed(n *node, client, topic string) {
	c.w.note("%s confirms %s to %s", n.name(), topic, client)
	if c.confirmed[topic] == nil {
		c.confirmed[topic] = map[string]bool{}
	}
	c.confirmed[topic][client] = true
	c.subs++
	c.routes()
}

// routes looks whether all nodes know of all subscriptions that are confirmed.
func (c *checker) routes() {
	for _, n := range c.w.nodes {
		if !n.alive || n.frozen || !n.m.Serving() || !c.w.redis.replica.live(n.m.Incarnation()) {
			continue
		}
		for _, topic := range slices.Sorted(maps.Keys(c.confirmed)) {
			if len(n.index[topic]) == 0 && n.counts[topic] == 0 {
				c.fail("%s (%d) knows nobody who wants %s, which is confirmed", n.name(), n.m.Incarnation(), topic)
			}
		}
	}
}

// owed are the sessions that must get what is published now.
func (c *checker) owed(m message) []string {
	c.owes[m] = slices.Sorted(maps.Keys(c.confirmed[m.topic]))
	return c.owes[m]
}

func (c *checker) acknowledged(n *node, s *sent) {
	c.acks++
	for _, client := range s.owed {
		for _, state := range []*State{c.w.redis.master, c.w.redis.replica} {
			if x := state.sessions[client]; x == nil || !slices.Contains(x.log, s.message) {
				c.fail("%s (%d) acknowledges %s %d to %s, which is not in the queue of %s", n.name(), n.m.Incarnation(), s.topic, s.n, s.from, client)
				return
			}
		}
	}
	for _, client := range s.owed {
		c.inOrder(client)
	}
}

// inOrder looks at what has come into a queue. What a session did not have to get may come from a node that its publisher has left, at any time.
func (c *checker) inOrder(client string) {
	log := c.w.redis.replica.sessions[client].log
	for at, m := range log[c.looked[client]:] {
		key := queueKey{client, m.from, m.topic}
		switch high := c.highest[key]; {
		case m.n > high:
			c.highest[key] = m.n
		case slices.Contains(log[:c.looked[client]+at], m):
			c.again++
		case slices.Contains(c.owes[m], client):
			c.fail("message %d of %s to %s comes into the queue of %s behind %d", m.n, m.from, m.topic, client, high)
		}
	}
	c.looked[client] = len(log)
}

// Settled says what is not as it should be when nothing has happened for a while; an empty string: all is well.
func (w *World) Settled() string {
	for _, n := range w.nodes {
		if !n.alive {
			return n.name() + " is not running"
		}
		s := n.m.Status()
		want := machine.Status{Serving: true, Peers: len(w.nodes) - 1, Linked: len(w.nodes) - 1}
		if s.Unacknowledged = 0; s != want {
			return fmt.Sprintf("%s: %+v", n.name(), s)
		}
	}
	for _, p := range w.publishers {
		if len(p.waiting) > 0 {
			return fmt.Sprintf("%s waits for the acknowledgement of %+v", p.id, p.waiting[0].message)
		}
	}
	for _, client := range slices.Sorted(maps.Keys(w.redis.master.sessions)) {
		x := w.redis.master.sessions[client]
		n := w.node(x.owner)
		if n == nil || n.sessions[client] == nil || n.sessions[client].fence != x.fence || n.sessions[client].moved {
			return fmt.Sprintf("session %s belongs to %d with fence %d, which does not have it", client, x.owner, x.fence)
		}
	}
	return ""
}
