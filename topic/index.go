package topic

import (
	"hash/maphash"
	"sync"
)

// Index is a set of subscriptions, filter → subscribers, that finds those whose filters match a name. K is the
// subscriber. An Index is safe for concurrent use.
type Index[K comparable] struct {
	mu            sync.RWMutex
	root          node[leaf[K]]
	subscriptions int
	shared        int

	seed     maphash.Seed
	counters counters
}

// leaf is what hangs at a filter. Most filters have one subscriber, so the first has its place in the node itself.
type leaf[K comparable] struct {
	only Subscriber[K]
	more *crowd[K]
}

// occupied marks the options of a subscriber that is there, so that a leaf needs no field for it. Retain Handling is
// two bits wide (MQTT 5.0, 3.8.3.1).
const occupied = 0x80

// crowd is the subscribers of a filter beside the first, and its shared groups.
type crowd[K comparable] struct {
	plain  places[K, Subscriber[K]]
	groups places[string, *Group[K]]
}

// Subscriber is one who subscribes to a filter, and with what options.
type Subscriber[K comparable] struct {
	Key     K
	Options Options
}

func (m Subscriber[K]) key() K { return m.Key }

// Matches is what Index.Match finds. The zero value is ready for use; one that is used again and again grows to what is
// needed and allocates no more.
type Matches[K comparable] struct {
	Plain  []Subscriber[K] // not merged: a key comes once for each of its filters that matches
	Groups []*Group[K]     // the shared groups, each once

	Visited int // levels of filters that were looked at by the last Match: what it has cost

	branches []branch[K]
}

// branch is a place where a match goes on after the one at hand has ended.
type branch[K comparable] struct {
	node *node[leaf[K]]
	at   int // where in the name the level begins that node's children are compared with
}

// Reset empties m for the next Match and keeps its memory, but none of the keys.
func (m *Matches[K]) Reset() {
	clear(m.Plain)
	clear(m.Groups)
	m.Plain, m.Groups = m.Plain[:0], m.Groups[:0]
}

// NewIndex returns an empty index.
func NewIndex[K comparable]() *Index[K] {
	return &Index[K]{seed: maphash.MakeSeed()}
}

// Subscribe adds key's subscription to filter, which CheckFilter has accepted. When key has the same filter already,
// its options are replaced (MQTT-3.8.4-3) and existed is true. A filter "$share/GROUP/FILTER" makes key a member of
// that group. The index may keep a filter that is short, which should be no part of a longer string therefore.
func (x *Index[K]) Subscribe(filter string, key K, o Options) (existed bool) {
	share, path, shared := SplitShare(filter)
	subscriber := Subscriber[K]{key, o}

	x.mu.Lock()
	defer x.mu.Unlock()
	l := &x.root.insert(path, !shared).value
	if shared {
		existed = l.join(share, path, subscriber)
	} else {
		existed = l.add(subscriber)
	}
	if !existed {
		x.subscriptions++
		if shared {
			x.shared++
		}
	}
	x.changed(path)
	return existed
}

// Unsubscribe removes key's subscription to filter. It reports whether there was one (MQTT-3.10.4-1).
func (x *Index[K]) Unsubscribe(filter string, key K) (existed bool) {
	share, path, shared := SplitShare(filter)

	x.mu.Lock()
	defer x.mu.Unlock()
	var short [8]*node[leaf[K]]
	trail := short[:0]
	n := x.root.find(path, &trail)
	if n == nil {
		return false
	}
	if shared {
		existed = n.value.leave(share, key)
	} else {
		existed = n.value.drop(key)
	}
	if !existed {
		return false
	}
	prune(trail, (*leaf[K]).empty)
	x.subscriptions--
	if shared {
		x.shared--
	}
	x.changed(path)
	return true
}

// Group returns the shared group of a filter "$share/GROUP/FILTER", or nil.
func (x *Index[K]) Group(filter string) *Group[K] {
	share, path, shared := SplitShare(filter)
	if !shared {
		return nil
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	n := x.root.find(path, nil)
	if n == nil || n.value.more == nil {
		return nil
	}
	if i := n.value.more.groups.find(share); i >= 0 {
		return n.value.more.groups.items[i]
	}
	return nil
}

// Len returns how many subscriptions there are, and how many of them are memberships of a shared group.
func (x *Index[K]) Len() (subscriptions, shared int) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.subscriptions, x.shared
}

// Match appends to into every subscription whose filter matches name. It visits each level of each matching filter
// once, does not recurse, and allocates only what into must grow by.
func (x *Index[K]) Match(name []byte, into *Matches[K]) {
	if len(name) == 0 {
		return
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	n, at := &x.root, 0
	for into.Visited = 1; ; into.Visited++ {
		end := at
		for end < len(name) && name[end] != '/' {
			end++
		}
		level := name[at:end]
		// A first level that is a wildcard does not match a name that begins with $ (MQTT-4.7.2-1).
		literal := at == 0 && name[0] == '$'
		var exact, plus *node[leaf[K]]
		for c := n.child; c != nil; c = c.next {
			switch {
			case c.level == "#":
				if !literal {
					c.value.report(into)
				}
			case c.level == "+":
				if !literal {
					plus = c
				}
			case c.level == string(level):
				exact = c
			}
		}
		if n.fan != nil {
			exact = n.fan.byLevel[string(level)]
		}
		if end == len(name) {
			reportEnd(exact, into)
			reportEnd(plus, into)
			exact, plus = nil, nil
		}
		switch {
		case exact != nil:
			n, at = exact, end+1
			if plus != nil {
				into.branches = append(into.branches, branch[K]{plus, end + 1})
			}
		case plus != nil:
			n, at = plus, end+1
		default:
			last := len(into.branches) - 1
			if last < 0 {
				return
			}
			n, at = into.branches[last].node, into.branches[last].at
			into.branches[last] = branch[K]{}
			into.branches = into.branches[:last]
		}
	}
}

// reportEnd reports what matches a name that ends with n: n itself and the # below it, which stands for its parent too
// (MQTT 5.0, 4.7.1.2).
func reportEnd[K comparable](n *node[leaf[K]], into *Matches[K]) {
	if n == nil {
		return
	}
	n.value.report(into)
	for c := n.child; c != nil; c = c.next {
		if c.level == "#" {
			c.value.report(into)
		}
	}
}
