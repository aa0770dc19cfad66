package topic

import (
	"bytes"
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// Stamp says which of an index's change counters tell whether what Match found for a name is still true. It depends on
// the name and the index only: it may be computed once and kept for as long as the index lives.
//
// A cache of matches works so:
//
//	stamp := index.Stamp(name)
//	version := index.Version(stamp) // before Match
//	index.Match(name, &found)
//	... found is what Match would find now, for as long as index.Version(stamp) == version
//
// The order matters. A change counts itself inside the index's lock, after the index holds it and before Subscribe or
// Unsubscribe returns. So of a change that Match did not see, the count comes after Match, hence after the first
// Version, and shows in every Version that is read once the call that made the change has returned: what a SUBACK has
// confirmed, no cache can hide. A change that falls between the first Version and Match is seen by Match, and costs one
// needless look-up later. The counters are atomic (sequentially consistent in Go's memory model); reading them takes
// no lock, and each of them only grows, so their sum is the same only if all of them are.
type Stamp [3]uint32

// counters count changes, sorted by the names that a change can concern, so that clients which come and go elsewhere do
// not disturb a busy name. Names that fall on the same counter disturb each other, which is harmless. 64 bits do not
// wrap around.
type counters struct {
	all   atomic.Uint64               // each change, counted once more behind one of those below
	any   atomic.Uint64               // filters whose first level is a wildcard
	first [counterSlots]atomic.Uint64 // filters with a literal first level, then a wildcard: a/#, a/+/c
	two   [counterSlots]atomic.Uint64 // filters with two literal levels and a wildcard further on: a/b/#
	exact [counterSlots]atomic.Uint64 // filters without a wildcard
}

const counterSlots = 4096 // 96 KiB in all

// Stamp returns the stamp of a name.
func (x *Index[K]) Stamp(name []byte) Stamp {
	first := len(name)
	two := first
	if i := bytes.IndexByte(name, '/'); i >= 0 {
		first = i
		if j := bytes.IndexByte(name[i+1:], '/'); j >= 0 {
			two = i + 1 + j
		}
	}
	return Stamp{x.slot(name[:first]), x.slot(name[:two]), x.slot(name)}
}

func (x *Index[K]) slot(b []byte) uint32 {
	return uint32(maphash.Bytes(x.seed, b) % counterSlots)
}

// Version returns the state of what the names with this stamp match; see Stamp for its use. It takes no lock.
func (x *Index[K]) Version(s Stamp) uint64 {
	c := &x.counters
	return c.any.Load() + c.first[s[0]%counterSlots].Load() + c.two[s[1]%counterSlots].Load() + c.exact[s[2]%counterSlots].Load()
}

// Changes returns how many changes there have been. For as long as that is what it was before Version was read, Version would be the same, too: a change
// counts here last.
func (x *Index[K]) Changes() uint64 { return x.counters.all.Load() }

// changed counts a change of a filter's subscribers. The caller holds the lock and has made the change.
func (x *Index[K]) changed(filter string) {
	c := &x.counters
	defer c.all.Add(1)
	if !HasWildcard(filter) {
		c.exact[x.slotOf(filter)].Add(1)
		return
	}
	first, rest, _ := strings.Cut(filter, "/")
	if wild(first) {
		c.any.Add(1)
		return
	}
	second, _, _ := strings.Cut(rest, "/")
	if wild(second) {
		c.first[x.slotOf(first)].Add(1)
		return
	}
	c.two[x.slotOf(filter[:len(first)+1+len(second)])].Add(1)
}

func (x *Index[K]) slotOf(s string) uint32 {
	return uint32(maphash.String(x.seed, s) % counterSlots)
}
