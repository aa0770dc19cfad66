package topic

import (
	"slices"
	"strings"
)

// Level is one level of a [Tree]'s names.
type Level[V any] struct {
	Name  string
	Value V // of the name that ends here, if Set
	Set   bool
	Below int  // names that go on below it, as far as they have been counted
	Cut   bool // there may be more of them
}

// LevelQuery asks for the levels right below a name.
type LevelQuery struct {
	Under string // the name above; it need not have a value
	Root  bool   // the first levels are meant, and Under counts for nothing
	From  string // only this level and those behind it, byte by byte
	Limit int    // at most so many levels
	Count int    // at most so many names are counted below all of them
}

// Levels returns the levels right below a name, in their order; more says that there are others, from next on. The tree is locked meanwhile for those who change it.
func (t *Tree[V]) Levels(q LevelQuery) (levels []Level[V], next string, more bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n := &t.root
	if !q.Root {
		n = n.find(q.Under, nil)
	}
	if n == nil {
		return nil, "", false
	}
	var found []*node[slot[V]]
	n.each(func(c *node[slot[V]]) {
		if c.level >= q.From {
			found = append(found, c)
		}
	})
	slices.SortFunc(found, func(a, b *node[slot[V]]) int { return strings.Compare(a.level, b.level) })
	if more = len(found) > q.Limit; more {
		next, found = found[q.Limit].level, found[:q.Limit]
	}
	for _, c := range found {
		l := Level[V]{Name: c.level, Value: c.value.value, Set: c.value.set}
		if c.value.set {
			l.Below-- // walk begins with it
		}
		walk(c, func(V) bool {
			if l.Cut = q.Count == 0; l.Cut {
				return false
			}
			q.Count--
			l.Below++
			return true
		})
		l.Below = max(l.Below, 0)
		levels = append(levels, l)
	}
	return levels, next, more
}
