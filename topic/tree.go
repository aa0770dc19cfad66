package topic

import (
	"iter"
	"strings"
	"sync"
)

// Tree holds a value for each of many names, as a broker's retained messages, and finds those whose names a filter
// matches. It is safe for concurrent use.
type Tree[V any] struct {
	mu   sync.RWMutex
	root node[slot[V]]
	len  int
}

// slot is the value at a name; most nodes on the way to one have none.
type slot[V any] struct {
	value V
	set   bool
}

func (s *slot[V]) empty() bool { return !s.set }

// NewTree returns an empty tree.
func NewTree[V any]() *Tree[V] { return new(Tree[V]) }

// Set stores v for a name, which CheckName has accepted, and returns what was there before.
func (t *Tree[V]) Set(name string, v V) (old V, existed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.root.insert(name, false).value
	old, existed = s.value, s.set
	*s = slot[V]{v, true}
	if !existed {
		t.len++
	}
	return old, existed
}

// Delete removes a name's value and returns it.
func (t *Tree[V]) Delete(name string) (old V, existed bool) {
	return t.DeleteIf(name, func(V) bool { return true })
}

// DeleteIf removes a name's value and returns it, provided that condition holds for it: nobody can put another in its
// place between the two. condition must not use the tree.
func (t *Tree[V]) DeleteIf(name string, condition func(V) bool) (old V, deleted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var short [8]*node[slot[V]]
	trail := short[:0]
	n := t.root.find(name, &trail)
	if n == nil || !n.value.set || !condition(n.value.value) {
		return old, false
	}
	old = n.value.value
	n.value = slot[V]{}
	prune(trail, (*slot[V]).empty)
	t.len--
	return old, true
}

// Get returns a name's value.
func (t *Tree[V]) Get(name string) (v V, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if n := t.root.find(name, nil); n != nil {
		return n.value.value, n.value.set
	}
	return v, false
}

// Len returns how many names have a value.
func (t *Tree[V]) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.len
}

// Collect appends to into the values of all names that filter, one without a share, matches. The order is not defined.
// Only the part of the tree below the filter's literal beginning is visited.
func (t *Tree[V]) Collect(filter string, into []V) []V {
	if filter == "" {
		return into
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	c := collector[V]{into: into}
	c.level(&t.root, filter, true)
	return c.into
}

// Reaches reports whether there is anything where the filter's literal beginning leads to. If not, it matches none of the names; if so, it may match some. Only that beginning
// is walked.
func (t *Tree[V]) Reaches(filter string) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n := &t.root
	for level, more := "", true; more && n != nil; {
		if level, filter, more = strings.Cut(filter, "/"); wild(level) {
			break
		}
		n = n.get(level)
	}
	return n != nil && !(n == &t.root && t.len == 0)
}

// All yields every value, in no order. The tree is locked meanwhile: the loop's body must not change it.
func (t *Tree[V]) All() iter.Seq[V] {
	return func(yield func(V) bool) {
		t.mu.RLock()
		defer t.mu.RUnlock()
		walk(&t.root, yield)
	}
}

// collector gathers the values that a filter matches. It recurses once for each level of the tree, of which CheckName
// allows MaxLevels.
type collector[V any] struct{ into []V }

// level goes on from n with what is left of the filter. first is true at the root.
func (c *collector[V]) level(n *node[slot[V]], filter string, first bool) {
	level, rest, more := strings.Cut(filter, "/")
	switch {
	case level == "#" && !more:
		if !first {
			c.take(n) // # stands for its parent too (MQTT 5.0, 4.7.1.2)
		}
		n.each(func(child *node[slot[V]]) {
			if !first || !hidden(child.level) {
				walk(child, c.add)
			}
		})
	case level == "+":
		n.each(func(child *node[slot[V]]) {
			if !first || !hidden(child.level) {
				c.below(child, rest, more)
			}
		})
	default:
		if child := n.get(level); child != nil {
			c.below(child, rest, more)
		}
	}
}

// below takes the value of n, which the filter has matched so far, or goes on from it.
func (c *collector[V]) below(n *node[slot[V]], rest string, more bool) {
	if more {
		c.level(n, rest, false)
	} else {
		c.take(n)
	}
}

func (c *collector[V]) take(n *node[slot[V]]) {
	if n.value.set {
		c.into = append(c.into, n.value.value)
	}
}

func (c *collector[V]) add(v V) bool {
	c.into = append(c.into, v)
	return true
}

// hidden reports whether a wildcard in the first level passes this one by (MQTT-4.7.2-1).
func hidden(level string) bool { return level != "" && level[0] == '$' }

// walk yields the values of n and of everything below it, until yield is false.
func walk[V any](n *node[slot[V]], yield func(V) bool) bool {
	if n.value.set && !yield(n.value.value) {
		return false
	}
	for c := n.child; c != nil; c = c.next {
		if !walk(c, yield) {
			return false
		}
	}
	if n.fan != nil {
		for _, c := range n.fan.byLevel {
			if !walk(c, yield) {
				return false
			}
		}
	}
	return true
}
