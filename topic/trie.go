package topic

import "strings"

// node is a level in a tree of levels; P is what hangs at it. A million subscriptions are two million of these, so the
// common shapes are the small ones: a node with up to maxListed children holds them as a list through next, in the
// order of arrival, and needs no map.
type node[P any] struct {
	level string   // this level's own text, as [kept] has it
	child *node[P] // first child; in a node with a fan only the wildcards, "+" and "#", are in the list
	next  *node[P] // next sibling
	fan   *fan[P]  // the literal children, once there are more than maxListed
	value P
}

// fan is the children of a node that has many.
type fan[P any] struct {
	byLevel map[string]*node[P]
	peak    int // the most that byLevel has held: a map never gives memory back, so it is copied when it has become much smaller
}

const (
	maxListed = 8  // children in a list; walking eight pointers costs about what a map's look-up does
	minFan    = 4  // children in a fan; the gap to maxListed keeps a node at the limit from changing shape all the time
	shrinkBy  = 8  // a map or a slice is copied into a smaller one when it holds an eighth of what it once held
	smallest  = 64 // below this many entries the memory is not worth the copy
)

// get returns the child for a level that is taken literally, wildcards included.
func (n *node[P]) get(level string) *node[P] {
	for c := n.child; c != nil; c = c.next {
		if c.level == level {
			return c
		}
	}
	if n.fan != nil {
		return n.fan.byLevel[level]
	}
	return nil
}

func wild(level string) bool { return level == "+" || level == "#" }

// maxKept is how long a path may be for its nodes to keep it.
const maxKept = 64

// kept is a level's text as a node has it: where it lies in the path, if that is a short string of its own, which the caller keeps anyway; else a copy, so that one short level
// does not keep a long filter alive.
func kept(level string, own bool) string {
	if own {
		return level
	}
	return strings.Clone(level)
}

// put returns the child for level and makes it if need be.
func (n *node[P]) put(level string, own bool) *node[P] {
	if c := n.get(level); c != nil {
		return c
	}
	c := &node[P]{level: kept(level, own)}
	if n.fan != nil && !wild(level) {
		n.fan.add(c)
		return c
	}
	listed, end := 0, &n.child
	for ; *end != nil; end = &(*end).next {
		listed++
	}
	*end = c
	if listed >= maxListed && n.fan == nil {
		n.spread()
	}
	return c
}

func (f *fan[P]) add(c *node[P]) {
	f.byLevel[c.level] = c
	f.peak = max(f.peak, len(f.byLevel))
}

// spread turns the list of children into a fan.
func (n *node[P]) spread() {
	n.fan = &fan[P]{byLevel: make(map[string]*node[P])}
	list := n.child
	n.child = nil
	for list != nil {
		c := list
		list = c.next
		c.next = nil
		if wild(c.level) {
			c.next, n.child = n.child, c
		} else {
			n.fan.add(c)
		}
	}
}

// remove takes the child c away.
func (n *node[P]) remove(c *node[P]) {
	for at := &n.child; *at != nil; at = &(*at).next {
		if *at == c {
			*at, c.next = c.next, nil
			return
		}
	}
	f := n.fan
	delete(f.byLevel, c.level)
	switch {
	case len(f.byLevel) <= minFan:
		for _, c := range f.byLevel {
			c.next, n.child = n.child, c
		}
		n.fan = nil
	case f.peak >= smallest && len(f.byLevel) <= f.peak/shrinkBy:
		smaller := make(map[string]*node[P], len(f.byLevel))
		for level, c := range f.byLevel {
			smaller[level] = c
		}
		f.byLevel, f.peak = smaller, len(smaller)
	}
}

// each calls do for every child.
func (n *node[P]) each(do func(*node[P])) {
	for c := n.child; c != nil; c = c.next {
		do(c)
	}
	if n.fan != nil {
		for _, c := range n.fan.byLevel {
			do(c)
		}
	}
}

// insert returns the node for path, a name or a filter without its share, and makes what is missing on the way. own says that path is no part of a longer string.
func (n *node[P]) insert(path string, own bool) *node[P] {
	own = own && len(path) <= maxKept
	for level, more := "", true; more; {
		level, path, more = strings.Cut(path, "/")
		n = n.put(level, own)
	}
	return n
}

// find returns the node for path, nil when there is none. A non-nil trail gets the nodes on the way, n first and the
// one that is returned last.
func (n *node[P]) find(path string, trail *[]*node[P]) *node[P] {
	for level, more := "", true; more && n != nil; {
		if trail != nil {
			*trail = append(*trail, n)
		}
		level, path, more = strings.Cut(path, "/")
		n = n.get(level)
	}
	if trail != nil && n != nil {
		*trail = append(*trail, n)
	}
	return n
}

// prune removes the last node of a trail, and those before it, as far as nothing hangs at them and below them.
func prune[P any](trail []*node[P], empty func(*P) bool) {
	for i := len(trail) - 1; i > 0; i-- {
		n := trail[i]
		if n.child != nil || n.fan != nil || !empty(&n.value) {
			return
		}
		trail[i-1].remove(n)
	}
}
