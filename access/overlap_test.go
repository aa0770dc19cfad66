package access

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// match is the definition of MQTT 5.0, section 4.7, as slowly and plainly as it is written there.
func match(filter, name string) bool {
	f, n := strings.Split(filter, "/"), strings.Split(name, "/")
	if name[0] == '$' && (f[0] == "#" || f[0] == "+") {
		return false
	}
	for i := range f {
		if f[i] == "#" {
			return true
		}
		if i >= len(n) || f[i] != "+" && f[i] != n[i] {
			return false
		}
		if i == len(n)-1 && len(f) == len(n)+1 && f[i+1] == "#" {
			return true
		}
	}
	return len(f) == len(n)
}

// names is every topic name of up to four levels over a small alphabet. Filters of up to three levels that have a name in
// common have one here.
var names = func() (names []string) {
	levels := []string{"", "a", "b", "$s"}
	all := slices.Clone(levels)
	for range 3 {
		next := all
		for _, name := range all {
			for _, level := range levels {
				next = append(next, name+"/"+level)
			}
		}
		slices.Sort(next)
		all = slices.Compact(next)
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}()

var filters = rapid.Custom(func(t *rapid.T) string {
	levels := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "+", "$s", ""}), 1, 3).Draw(t, "levels")
	if rapid.Bool().Draw(t, "hash") {
		levels[len(levels)-1] = "#"
	}
	if f := strings.Join(levels, "/"); f != "" {
		return f
	}
	return "a"
})

// Overlap, covers and intersect agree with a look at every name.
func TestFilterAlgebra(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := filters.Draw(t, "a"), filters.Draw(t, "b")
		overlap, covered := false, true
		both := ""
		if Overlap(a, b) {
			both = intersect(a, b)
		}
		for _, name := range names {
			ma, mb := match(a, name), match(b, name)
			overlap = overlap || ma && mb
			covered = covered && (ma || !mb)
			if both != "" && match(both, name) != (ma && mb) {
				t.Fatalf("intersect(%q, %q) = %q is wrong about %q", a, b, both, name)
			}
			if Overlap(a, name) != ma {
				t.Fatalf("Overlap(%q, %q) = %v, matching says %v", a, name, !ma, ma)
			}
		}
		if Overlap(a, b) != overlap || Overlap(b, a) != overlap {
			t.Fatalf("Overlap(%q, %q) = %v, want %v", a, b, Overlap(a, b), overlap)
		}
		if covers(a, b) != covered {
			t.Fatalf("covers(%q, %q) = %v, want %v", a, b, covers(a, b), covered)
		}
	})
}
