package topic

import (
	"slices"
	"strings"
	"sync"
)

// Group is the subscribers that share a filter under one name (MQTT 5.0, 4.8.2): each message goes to one of them. A
// group with another filter is another group, whatever its name. A Group is safe for concurrent use; once its last
// member has left, Next finds no one and a new group takes its place in the index.
type Group[K comparable] struct {
	Name   string // the share name
	Filter string // the filter without the share

	mu      sync.Mutex
	members places[K, Subscriber[K]] // in the order of their turns, as long as nobody leaves
	next    int                      // whose turn it is, 0 ≤ next < members, or 0
}

func newGroup[K comparable](name, filter string, first Subscriber[K]) *Group[K] {
	g := &Group[K]{Name: strings.Clone(name), Filter: strings.Clone(filter)}
	g.members.add(first)
	return g
}

func (g *Group[K]) key() string { return g.Name }

// Len returns how many members the group has.
func (g *Group[K]) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.members.items)
}

// Members returns who is in the group.
func (g *Group[K]) Members() []Subscriber[K] {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.members.items)
}

// Next offers one message to the members, beginning with the one whose turn it is, until take is true for one of them, and reports
// whether there was one. The turn then passes to the member after that one. It goes round so many times, and tells take
// which round it is, from 0: take can prefer some members to others. However many rounds there are, it is one turn: those who are passed over do not
// lose theirs to each other.
//
// The group is not locked while take runs, so take may lock what it likes; of members that come and go meanwhile, one
// may be asked twice or not at all.
func (g *Group[K]) Next(rounds int, take func(m Subscriber[K], round int) bool) bool {
	at, n := g.turn()
	for round := range rounds {
		for i := range n {
			m, place, there := g.member(at + i)
			if !there {
				return false
			}
			if take(m, round) {
				if round > 0 || i > 0 {
					g.pass(place)
				}
				return true
			}
		}
	}
	return false
}

// turn returns the place of the member whose turn it is and passes the turn on at once, so that callers at the same time begin
// at different members. n is how many members there are.
func (g *Group[K]) turn() (at, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n = len(g.members.items); n == 0 {
		return 0, 0
	}
	at = g.next
	g.next = (at + 1) % n
	return at, n
}

// member returns the member at a place, counted round and round, and the place itself.
func (g *Group[K]) member(at int) (m Subscriber[K], place int, there bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.members.items) == 0 {
		return m, 0, false
	}
	place = at % len(g.members.items)
	return g.members.items[place], place, true
}

// pass gives the turn to the member behind the place at.
func (g *Group[K]) pass(at int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.members.items); n > 0 {
		g.next = (at + 1) % n
	}
}

// join adds a member, or replaces its options.
func (g *Group[K]) join(m Subscriber[K]) (existed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := g.members.find(m.Key); i >= 0 {
		g.members.items[i] = m
		return true
	}
	g.members.add(m)
	return false
}

// leave ends key's membership; the last member takes its place, and its turn.
func (g *Group[K]) leave(key K) (existed bool, left int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := g.members.find(key)
	if i < 0 {
		return false, len(g.members.items)
	}
	g.members.remove(i)
	if g.next >= len(g.members.items) {
		g.next = 0
	}
	return true, len(g.members.items)
}
