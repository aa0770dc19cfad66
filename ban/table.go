package ban

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

// entry is a ban in force. What it counts outlives changes of other bans.
type entry struct {
	Ban
	refused atomic.Uint64
	last    atomic.Int64 // when it kept somebody out, in seconds since 1970; 0: never
}

// hit counts somebody whom the ban keeps out.
func (e *entry) hit(now time.Time) *Ban {
	e.refused.Add(1)
	e.last.Store(now.Unix())
	return &e.Ban
}

// table finds bans. It never changes; looking costs one map lookup for each length of networks, and of beginnings, that there is.
type table struct {
	entries  []*entry // in the order in which they were made
	networks map[netip.Prefix]*entry
	bits     []int // lengths of the networks
	users    map[string]*entry
	clients  map[string]*entry
	prefixes map[string]*entry
	lengths  []int // of the prefixes
}

// tableOf builds the table of bans, all of which have been checked. Where two are about the same, the later one counts.
func tableOf(all []*entry) *table {
	t := &table{networks: make(map[netip.Prefix]*entry), users: make(map[string]*entry), clients: make(map[string]*entry), prefixes: make(map[string]*entry)}
	for _, e := range all {
		switch e.Kind {
		case Address:
			if network, err := ParseNetwork(e.Value); err == nil {
				t.networks[network], t.bits = e, insert(t.bits, network.Bits())
			}
		case User:
			t.users[e.Value] = e
		case Client:
			t.clients[e.Value] = e
		case Prefix:
			t.prefixes[e.Value], t.lengths = e, insert(t.lengths, len(e.Value))
		}
	}
	t.entries = all
	return t
}

// insert adds a length to a sorted set.
func insert(set []int, n int) []int {
	i, found := slices.BinarySearch(set, n)
	if found {
		return set
	}
	return slices.Insert(set, i, n)
}

// address finds the ban of an address.
func (t *table) address(a netip.Addr, now time.Time) *entry {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return nil
	}
	for _, n := range slices.Backward(t.bits) {
		if n > a.BitLen() {
			continue
		}
		network := netip.PrefixFrom(a, n).Masked()
		if e := t.networks[network]; e != nil && !e.over(now) {
			return e
		}
	}
	return nil
}

// client finds the ban of a client identifier.
func (t *table) client(id string, now time.Time) *entry {
	if e := t.clients[id]; e != nil && !e.over(now) {
		return e
	}
	for _, n := range slices.Backward(t.lengths) {
		if n > len(id) {
			continue
		}
		if e := t.prefixes[id[:n]]; e != nil && !e.over(now) {
			return e
		}
	}
	return nil
}

// user finds the ban of a user; an empty name is nobody's.
func (t *table) user(name string, now time.Time) *entry {
	if e := t.users[name]; e != nil && name != "" && !e.over(now) {
		return e
	}
	return nil
}

// without returns the bans but for those of one kind and value, and those that are over.
func (t *table) without(kind Kind, value string, now time.Time) (rest []*entry, found bool) {
	for _, e := range t.entries {
		switch {
		case e.over(now):
		case e.Kind == kind && e.Value == value:
			found = true
		default:
			rest = append(rest, e)
		}
	}
	return rest, found
}

// states returns the bans that are not over.
func (t *table) states(now time.Time) (all []State) {
	for _, e := range t.entries {
		if e.over(now) {
			continue
		}
		s := State{Ban: e.Ban, Refused: e.refused.Load()}
		if at := e.last.Load(); at != 0 {
			s.Last = time.Unix(at, 0).UTC()
		}
		all = append(all, s)
	}
	return all
}
