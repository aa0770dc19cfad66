package topic

import "slices"

// places is a set that is walked often: a slice of its items, and, once there are many, a map that says where in the
// slice each of them is, so that a hundred thousand clients may come and go on one filter.
type places[K comparable, V interface{ key() K }] struct {
	items []V
	at    map[K]int32 // nil while a search through items is as fast
}

const maxSearched = 16 // items that are searched one by one

func (p *places[K, V]) find(k K) int {
	if p.at != nil {
		if i, ok := p.at[k]; ok {
			return int(i)
		}
		return -1
	}
	for i := range p.items {
		if p.items[i].key() == k {
			return i
		}
	}
	return -1
}

// add appends an item that is known to be absent.
func (p *places[K, V]) add(v V) {
	p.items = append(p.items, v)
	switch {
	case p.at != nil:
		p.at[v.key()] = int32(len(p.items) - 1)
	case len(p.items) > maxSearched:
		p.index()
	}
}

func (p *places[K, V]) index() {
	p.at = make(map[K]int32, len(p.items))
	for i := range p.items {
		p.at[p.items[i].key()] = int32(i)
	}
}

// remove takes the item at i away; the last one takes its place.
func (p *places[K, V]) remove(i int) {
	last := len(p.items) - 1
	if p.at != nil {
		delete(p.at, p.items[i].key())
		if i != last {
			p.at[p.items[last].key()] = int32(i)
		}
	}
	p.items[i] = p.items[last]
	clear(p.items[last:])
	p.items = p.items[:last]
	if c := cap(p.items); c >= smallest && last <= c/shrinkBy {
		p.items, p.at = slices.Clone(p.items), nil
		if last > maxSearched {
			p.index()
		}
	}
}
