package access

import (
	"slices"
	"strings"
	"testing"
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

// filters is every filter of up to three levels over that alphabet.
var filters = func() (filters []string) {
	literals := []string{"", "a", "b", "$s", "+"}
	parents := []string{""} // each with the separator behind it
	for range 3 {
		var next []string
		for _, p := range parents {
			filters = append(filters, p+"#")
			for _, level := range literals {
				filters = append(filters, p+level)
				next = append(next, p+level+"/")
			}
		}
		parents = next
	}
	return slices.DeleteFunc(filters, func(s string) bool { return s == "" })
}()

// Overlap, covers and intersect agree with a look at every name, for every two filters.
func TestFilterAlgebra(t *testing.T) {
	matched := make(map[string][]bool) // by filter: which of the names
	for _, f := range filters {
		matched[f] = make([]bool, len(names))
		for i, name := range names {
			matched[f][i] = match(f, name)
			if Overlap(f, name) != matched[f][i] {
				t.Errorf("Overlap(%q, %q) = %v, matching says %v", f, name, !matched[f][i], matched[f][i])
			}
		}
	}
	for _, a := range filters {
		for _, b := range filters {
			both, covered := make([]bool, len(names)), true
			for i := range names {
				both[i] = matched[a][i] && matched[b][i]
				covered = covered && (matched[a][i] || !matched[b][i])
			}
			overlap := slices.Contains(both, true)
			if Overlap(a, b) != overlap {
				t.Errorf("Overlap(%q, %q) = %v, want %v", a, b, !overlap, overlap)
			}
			if Covers(a, b) != covered {
				t.Errorf("Covers(%q, %q) = %v, want %v", a, b, !covered, covered)
			}
			if !overlap {
				continue
			}
			if f := intersect(a, b); !slices.Equal(matched[f], both) {
				t.Errorf("intersect(%q, %q) = %q matches other names", a, b, f)
			}
		}
	}
}
