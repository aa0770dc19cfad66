package topic

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// subscription is a row of the model: a list of filters, each looked at with Match.
type subscription struct {
	filter string
	key    int
	opts   Options
}

// levels are drawn from few texts, so that filters overlap and names are hit; the numbered ones make nodes with more
// children than a list holds.
func levels(wildcards bool) *rapid.Generator[string] {
	texts := []string{"a", "b", "", "$SYS", "c"}
	for i := range 12 {
		texts = append(texts, fmt.Sprint(i))
	}
	if wildcards {
		texts = append(texts, "+", "+", "+", "+")
	}
	return rapid.SampledFrom(texts)
}

func nameGen() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		name := strings.Join(rapid.SliceOfN(levels(false), 1, 4).Draw(t, "levels"), "/")
		if name == "" {
			return "/"
		}
		return name
	})
}

func filterGen() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		l := rapid.SliceOfN(levels(true), 0, 4).Draw(t, "levels")
		if len(l) == 0 || rapid.IntRange(0, 3).Draw(t, "hash") == 0 {
			l = append(l, "#")
		}
		filter := strings.Join(l, "/")
		if filter == "" {
			return "/"
		}
		return filter
	})
}

func subscribedGen() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		filter := filterGen().Draw(t, "filter")
		if rapid.IntRange(0, 3).Draw(t, "shared") == 0 {
			return "$share/" + rapid.SampledFrom([]string{"g", "h"}).Draw(t, "group") + "/" + filter
		}
		return filter
	})
}

func compareSubscribers(a, b Subscriber[int]) int {
	return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Options.Identifier, b.Options.Identifier))
}

// TestIndexAgainstModel runs random subscribing and unsubscribing on the index and on the list, and compares what they
// match after each step. It also holds the index to its word on stamps: as long as a version has not changed, what was
// matched before is what is matched now.
func TestIndexAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := NewIndex[int]()
		var model []subscription
		find := func(filter string, key int) int {
			return slices.IndexFunc(model, func(s subscription) bool { return s.filter == filter && s.key == key })
		}
		type cached struct {
			version uint64
			plain   []Subscriber[int]
			groups  []string
		}
		cache := map[string]cached{}
		identifier := uint32(0)
		t.Repeat(map[string]func(*rapid.T){
			"subscribe": func(t *rapid.T) {
				filter, key := subscribedGen().Draw(t, "filter"), rapid.IntRange(0, 30).Draw(t, "key")
				identifier++ // tells the subscriptions of a key apart
				o := Options{QoS: byte(identifier % 3), NoLocal: identifier%2 == 0, RetainHandling: byte(identifier % 3), Identifier: identifier}
				at := find(filter, key)
				if existed := x.Subscribe(filter, key, o); existed != (at >= 0) {
					t.Fatalf("Subscribe(%q, %d): existed = %v", filter, key, existed)
				}
				if at >= 0 {
					model[at].opts = o
				} else {
					model = append(model, subscription{filter, key, o})
				}
			},
			"unsubscribe": func(t *rapid.T) {
				filter, key := subscribedGen().Draw(t, "filter"), rapid.IntRange(0, 30).Draw(t, "key")
				if len(model) > 0 && rapid.Bool().Draw(t, "of the model") {
					s := rapid.SampledFrom(model).Draw(t, "subscription")
					filter, key = s.filter, s.key
				}
				at := find(filter, key)
				if existed := x.Unsubscribe(filter, key); existed != (at >= 0) {
					t.Fatalf("Unsubscribe(%q, %d): existed = %v", filter, key, existed)
				}
				if at >= 0 {
					model = slices.Delete(model, at, at+1)
				}
			},
			"": func(t *rapid.T) {
				name := nameGen().Draw(t, "name")
				version := x.Version(x.Stamp([]byte(name)))
				var m Matches[int]
				x.Match([]byte(name), &m)

				var plain []Subscriber[int]
				members := map[string][]Subscriber[int]{}
				shared := 0
				for _, s := range model {
					_, rest, isShared := SplitShare(s.filter)
					if isShared {
						shared++
					}
					switch {
					case !Match(rest, name):
					case isShared:
						members[s.filter] = append(members[s.filter], Subscriber[int]{s.key, s.opts})
					default:
						plain = append(plain, Subscriber[int]{s.key, s.opts})
					}
				}
				slices.SortFunc(plain, compareSubscribers)
				slices.SortFunc(m.Plain, compareSubscribers)
				if !slices.Equal(plain, m.Plain) {
					t.Fatalf("Match(%q) = %v, want %v", name, m.Plain, plain)
				}
				var groups []string
				for _, g := range m.Groups {
					filter := "$share/" + g.Name + "/" + g.Filter
					groups = append(groups, filter)
					got := make([]Subscriber[int], g.Len())
					for i := range got {
						g.Next(1, func(m Subscriber[int], _ int) bool { got[i] = m; return true })
					}
					slices.SortFunc(got, compareSubscribers)
					slices.SortFunc(members[filter], compareSubscribers)
					if !slices.Equal(got, members[filter]) { // so each member had one turn
						t.Fatalf("Match(%q): group %s has %v, want %v", name, filter, got, members[filter])
					}
				}
				if len(groups) != len(members) {
					t.Fatalf("Match(%q): groups %v, want %v", name, groups, members)
				}
				slices.Sort(groups)
				if before, ok := cache[name]; ok && before.version == version && (!slices.Equal(before.plain, m.Plain) || !slices.Equal(before.groups, groups)) {
					t.Fatalf("Match(%q) changed and its version did not", name)
				}
				cache[name] = cached{version, m.Plain, groups}
				if n, s := x.Len(); n != len(model) || s != shared {
					t.Fatalf("Len() = %d, %d, want %d, %d", n, s, len(model), shared)
				}
			},
		})
		for _, s := range model {
			x.Unsubscribe(s.filter, s.key)
		}
		if x.root.child != nil || x.root.fan != nil {
			t.Fatal("nodes are left in an index without subscriptions")
		}
	})
}

// TestStampIsSelective: a change that cannot concern a name leaves its version alone, but for names that share a counter.
func TestStampIsSelective(t *testing.T) {
	for _, c := range []struct {
		filter, name string
		want         bool
	}{
		{"a/b", "a/b", true}, {"a/+", "a/b", true}, {"a/#", "a", true}, {"a/b/#", "a/b", true}, {"a/b/+", "a/b/c", true}, {"#", "x/y", true}, {"+/y", "x/y", true}, {"$share/g/a/b/#", "a/b/c", true},
		{"a/c", "a/b", false}, {"b/+", "a/b", false}, {"a/c/#", "a/b/c", false}, {"a/b/c", "a/b", false}, {"a/b/#", "a/c", false}, {"$share/g/x", "a/b", false},
	} {
		disturbed := 0
		for range 3 { // of three seeds, at most by chance would all three make the names meet
			x := NewIndex[int]()
			stamp := x.Stamp([]byte(c.name))
			before := x.Version(stamp)
			x.Subscribe(c.filter, 1, Options{})
			if x.Version(stamp) != before {
				disturbed++
			}
		}
		if c.want && disturbed != 3 || !c.want && disturbed == 3 {
			t.Errorf("subscribing to %q changed the version of %q in %d of 3 indexes", c.filter, c.name, disturbed)
		}
	}
}

// TestIndexConcurrently is for the race detector, and for what a cache relies on: once Subscribe has returned, no cached
// match whose version is still valid lacks the subscription.
func TestIndexConcurrently(t *testing.T) {
	x := NewIndex[int]()
	name := []byte("room/7/lamp")
	filters := []string{"room/7/lamp", "room/+/lamp", "room/7/#", "#", "$share/g/room/7/lamp"}
	var there [5]atomic.Int64 // rounds in which the subscription is known to be there, counted up before and after: odd means known
	var subscribers, readers sync.WaitGroup
	var done atomic.Bool
	for i, filter := range filters {
		subscribers.Go(func() {
			for range 2000 {
				x.Subscribe(filter, i, Options{})
				there[i].Add(1)
				there[i].Add(1)
				x.Unsubscribe(filter, i)
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			stamp := x.Stamp(name)
			var m Matches[int]
			version := x.Version(stamp)
			x.Match(name, &m)
			for !done.Load() {
				for i := range filters {
					before := there[i].Load()
					if before%2 == 0 {
						continue
					}
					valid := x.Version(stamp) == version
					if found := len(m.Groups) > 0 && i == 4 || slices.ContainsFunc(m.Plain, func(s Subscriber[int]) bool { return s.Key == i }); valid && !found && there[i].Load() == before {
						t.Errorf("%s is subscribed, the cached match is valid and does not have it", filters[i])
						return
					}
				}
				for _, g := range m.Groups {
					g.Next(1, func(Subscriber[int], int) bool { return true })
				}
				if v := x.Version(stamp); v != version {
					m.Reset()
					version = v
					x.Match(name, &m)
				}
			}
		})
	}
	subscribers.Wait()
	done.Store(true)
	readers.Wait()
	if n, shared := x.Len(); n != 0 || shared != 0 || x.root.child != nil {
		t.Errorf("left over: %d subscriptions, %d shared", n, shared)
	}
}

// TestManyOnOneFilter: a filter with many subscribers, in and out in random order.
func TestManyOnOneFilter(t *testing.T) {
	const n = 20_000
	x := NewIndex[int]()
	for _, i := range rand.Perm(n) {
		x.Subscribe("broadcast/#", i, Options{Identifier: uint32(i)})
	}
	var m Matches[int]
	out := rand.Perm(n)
	for i, key := range out {
		if i%5000 == 0 {
			m.Reset()
			x.Match([]byte("broadcast"), &m)
			if len(m.Plain) != n-i {
				t.Fatalf("after %d of %d have left, %d match", i, n, len(m.Plain))
			}
			for _, s := range m.Plain {
				if uint32(s.Key) != s.Options.Identifier || s.Options.RetainHandling != 0 {
					t.Fatalf("%d has options %+v", s.Key, s.Options)
				}
			}
		}
		if !x.Unsubscribe("broadcast/#", key) {
			t.Fatalf("%d was not there", key)
		}
	}
	if x.root.child != nil {
		t.Fatal("the empty filter is still there")
	}
}

// TestGroupsOfOneName: what identifies a group is the name and the filter (MQTT 5.0, 4.8.2).
func TestGroupsOfOneName(t *testing.T) {
	x := NewIndex[string]()
	x.Subscribe("$share/g/a/+", "one", Options{})
	x.Subscribe("$share/g/a/b", "two", Options{})
	x.Subscribe("$share/h/a/b", "three", Options{})
	x.Subscribe("$share/h/a/b", "four", Options{})
	var m Matches[string]
	x.Match([]byte("a/b"), &m)
	var got []string
	for _, g := range m.Groups {
		got = append(got, fmt.Sprint(g.Name, " ", g.Filter, " ", g.Len()))
	}
	slices.Sort(got)
	if want := []string{"g a/+ 1", "g a/b 1", "h a/b 2"}; !reflect.DeepEqual(got, want) {
		t.Errorf("groups %q, want %q", got, want)
	}
}

func TestGroupNext(t *testing.T) {
	g := newGroup("g", "f", Subscriber[string]{"a", Options{}})
	for _, k := range []string{"b", "c"} {
		g.join(Subscriber[string]{k, Options{}})
	}
	all := func(string) bool { return true }
	take := func(n int, ok func(string) bool) (s string) {
		for range n {
			if !g.Next(1, func(m Subscriber[string], _ int) bool {
				if ok(m.Key) {
					s += m.Key
					return true
				}
				return false
			}) {
				return s + "-"
			}
		}
		return s
	}
	steps := []struct {
		do   func()
		n    int
		ok   func(string) bool
		want string
	}{
		{nil, 7, all, "abcabca"},
		{nil, 4, func(k string) bool { return k != "b" }, "caca"}, // b is passed over, the others keep their turns
		{nil, 3, func(k string) bool { return k == "b" }, "bbb"},
		{nil, 1, func(string) bool { return false }, "-"},
		{nil, 3, all, "abc"},
		{func() { g.next = 1; g.join(Subscriber[string]{"d", Options{}}) }, 4, all, "bcda"},
		{func() { g.leave("b") }, 4, all, "dcad"}, // d has taken b's place
		{func() { g.leave("c"); g.leave("d"); g.leave("a") }, 1, all, "-"},
	}
	for i, s := range steps {
		if s.do != nil {
			s.do()
		}
		if i == 4 {
			g.next = 0
		}
		if got := take(s.n, s.ok); got != s.want {
			t.Errorf("step %d: %s, want %s", i, got, s.want)
		}
	}
}

// TestGroupRounds: members that are taken only when nobody better is there have their turns like all others.
func TestGroupRounds(t *testing.T) {
	for n := range 7 {
		g := newGroup("g", "f", Subscriber[int]{0, Options{}})
		for k := range n {
			g.join(Subscriber[int]{k + 1, Options{}})
		}
		counts := make([]int, n+1)
		for range 10 * (n + 1) {
			g.Next(2, func(m Subscriber[int], round int) bool {
				if round == 1 {
					counts[m.Key]++
				}
				return round == 1
			})
		}
		for k, got := range counts {
			if got != 10 {
				t.Errorf("%d members: member %d got %d messages, want 10", n+1, k, got)
			}
		}
	}
}

// TestMemoryPerSubscription: a million subscriptions of the kind that devices make fit into 250 bytes each.
func TestMemoryPerSubscription(t *testing.T) {
	const n = 200_000
	heap := func() uint64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	type client struct{ _ [8]byte }
	key := new(client)
	before := heap()
	x := NewIndex[*client]()
	for i := range n {
		x.Subscribe(fmt.Sprintf("dev/%06d/cmd", i), key, Options{QoS: 1})
	}
	each := float64(heap()-before) / n
	t.Logf("%.0f bytes for each of %d subscriptions", each, n)
	if each > 250 {
		t.Errorf("%.0f bytes for each subscription, want at most 250", each)
	}
	for i := range n {
		if !x.Unsubscribe(fmt.Sprintf("dev/%06d/cmd", i), key) {
			t.Fatal("a subscription is gone")
		}
	}
	left := heap()
	if x.root.child != nil || left > before+1<<20 {
		t.Errorf("%d bytes are left when all have unsubscribed", left-before)
	}
	runtime.KeepAlive(x)
}

// TestMatchDoesNotAllocate: not even with 4,096 filters that match one name.
func TestMatchDoesNotAllocate(t *testing.T) {
	x := NewIndex[int]()
	name, filters := overlapping()
	for i, f := range filters {
		x.Subscribe(f, i, Options{})
	}
	x.Subscribe("$share/g/#", 1, Options{})
	var m Matches[int]
	x.Match(name, &m)
	if len(m.Plain) != 4096 || len(m.Groups) != 1 {
		t.Fatalf("%d and %d match, want 4096 and 1", len(m.Plain), len(m.Groups))
	}
	stamp := x.Stamp(name)
	ok := func(Subscriber[int], int) bool { return true }
	if n := testing.AllocsPerRun(20, func() {
		m.Reset()
		x.Match(name, &m)
		m.Groups[0].Next(2, ok)
		if x.Stamp(name) != stamp {
			t.Error("the stamp of a name changed")
		}
		x.Version(stamp)
	}); n != 0 {
		t.Errorf("%v allocations per match", n)
	}
}

// overlapping returns a name of twelve levels and the 4,096 filters that match it with a + in any of them.
func overlapping() (name []byte, filters []string) {
	for bits := range 4096 {
		l := make([]string, 12)
		for i := range l {
			l[i] = string(rune('a' + i))
			if bits>>i&1 == 1 {
				l[i] = "+"
			}
		}
		filters = append(filters, strings.Join(l, "/"))
	}
	return []byte("a/b/c/d/e/f/g/h/i/j/k/l"), filters
}
