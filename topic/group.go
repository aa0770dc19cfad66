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
	members []Subscriber[K] // in the order of their turns
	next    int             // whose turn it is, 0 ≤ next < len(members), or 0
}

func newGroup[K comparable](name, filter string, first Subscriber[K]) *Group[K] {
	return &Group[K]{Name: strings.Clone(name), Filter: strings.Clone(filter), members: []Subscriber[K]{first}}
}

func (g *Group[K]) key() string { return g.Name }

// Len returns how many members the group has.
func (g *Group[K]) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.members)
}

// Next returns the member whose turn it is, or the first after it for which ok is true; the turn then passes to the one
// after. It reports false when ok refuses every member. The group is not locked while ok runs, so ok may lock what it
// likes; of members that come and go meanwhile, one may be asked twice or not at all.
func (g *Group[K]) Next(ok func(K) bool) (Subscriber[K], bool) {
	m, at, n := g.turn()
	for i := range n {
		if ok(m.Key) {
			if i > 0 {
				g.pass(at)
			}
			return m, true
		}
		var there bool
		if m, at, there = g.after(at); !there {
			break
		}
	}
	return Subscriber[K]{}, false
}

// turn returns the member whose turn it is and passes the turn on at once, so that callers at the same time begin at
// different members. n is how many members there are.
func (g *Group[K]) turn() (m Subscriber[K], at, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n = len(g.members); n == 0 {
		return m, 0, 0
	}
	at = g.next
	g.next = (at + 1) % n
	return g.members[at], at, n
}

// after returns the member behind the place at, and its place.
func (g *Group[K]) after(at int) (m Subscriber[K], place int, there bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.members) == 0 {
		return m, 0, false
	}
	place = (at + 1) % len(g.members)
	return g.members[place], place, true
}

// pass gives the turn to the member behind the place at.
func (g *Group[K]) pass(at int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.members) > 0 {
		g.next = (at + 1) % len(g.members)
	}
}

func (g *Group[K]) find(key K) int {
	return slices.IndexFunc(g.members, func(m Subscriber[K]) bool { return m.Key == key })
}

// join makes m the last member, or replaces its options.
func (g *Group[K]) join(m Subscriber[K]) (existed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := g.find(m.Key); i >= 0 {
		g.members[i] = m
		return true
	}
	// The newcomer's turn comes after everyone else's.
	if g.next == 0 {
		g.members = append(g.members, m)
	} else {
		g.members = slices.Insert(g.members, g.next, m)
		g.next++
	}
	return false
}

// leave ends key's membership.
func (g *Group[K]) leave(key K) (existed bool, left int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := g.find(key)
	if i < 0 {
		return false, len(g.members)
	}
	g.members = slices.Delete(g.members, i, i+1)
	if g.next > i {
		g.next--
	}
	if g.next == len(g.members) {
		g.next = 0
	}
	return true, len(g.members)
}
