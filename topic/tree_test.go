package topic

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestTreeAgainstModel compares the tree with a map whose names are looked at with Match.
func TestTreeAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree, model := NewTree[int](), map[string]int{}
		next := 0
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				name := nameGen().Draw(t, "name")
				next++
				old, existed := tree.Set(name, next)
				if was, ok := model[name]; ok != existed || was != old {
					t.Fatalf("Set(%q) = %d, %v, want %d, %v", name, old, existed, was, ok)
				}
				model[name] = next
			},
			"delete": func(t *rapid.T) {
				name := nameGen().Draw(t, "name")
				old, existed := tree.Delete(name)
				if was, ok := model[name]; ok != existed || was != old {
					t.Fatalf("Delete(%q) = %d, %v, want %d, %v", name, old, existed, was, ok)
				}
				delete(model, name)
			},
			"deleteIf": func(t *rapid.T) {
				name, odd := nameGen().Draw(t, "name"), rapid.Bool().Draw(t, "odd")
				was, there := model[name]
				there = there && (was%2 == 1) == odd
				old, deleted := tree.DeleteIf(name, func(v int) bool { return (v%2 == 1) == odd })
				if deleted != there || there && old != was {
					t.Fatalf("DeleteIf(%q) = %d, %v, want %d, %v", name, old, deleted, was, there)
				}
				if there {
					delete(model, name)
				}
			},
			"": func(t *rapid.T) {
				filter, name := filterGen().Draw(t, "filter"), nameGen().Draw(t, "name")
				got, ok := tree.Get(name)
				if was, there := model[name]; there != ok || was != got {
					t.Fatalf("Get(%q) = %d, %v, want %d, %v", name, got, ok, was, there)
				}
				var want, all []int
				for name, v := range model {
					all = append(all, v)
					if Match(filter, name) {
						want = append(want, v)
					}
				}
				if near := reachable(filter, model); tree.Reaches(filter) != near || len(want) > 0 && !near {
					t.Fatalf("Reaches(%q) = %v among %v", filter, !near, model)
				}
				found := tree.Collect(filter, nil)
				slices.Sort(found)
				slices.Sort(want)
				if !slices.Equal(found, want) {
					t.Fatalf("Collect(%q) = %v, want %v", filter, found, want)
				}
				slices.Sort(all)
				if got := slices.Sorted(tree.All()); !slices.Equal(got, all) || tree.Len() != len(all) {
					t.Fatalf("All() = %v, Len() = %d, want %v", got, tree.Len(), all)
				}
			},
		})
		for name := range model {
			tree.Delete(name)
		}
		if tree.root.child != nil || tree.root.fan != nil {
			t.Fatal("nodes are left in an empty tree")
		}
	})
}

// reachable is Reaches, as the model has it.
func reachable(filter string, model map[string]int) bool {
	var literal []string
	for _, level := range strings.Split(filter, "/") {
		if wild(level) {
			break
		}
		literal = append(literal, level)
	}
	for name := range model {
		if levels := strings.Split(name, "/"); len(levels) >= len(literal) && slices.Equal(levels[:len(literal)], literal) {
			return true
		}
	}
	return false
}

func TestTreeOfManyNames(t *testing.T) {
	tree := NewTree[string]()
	for i := range 100_000 {
		name := fmt.Sprintf("site/%d/sensor/%d", i/1000, i%1000)
		tree.Set(name, name)
	}
	for filter, want := range map[string]int{"#": 100_000, "site/7/#": 1000, "site/+/sensor/7": 100, "+/7/sensor/7": 1, "site/7/sensor/1000": 0, "site/+/+/+": 100_000, "site/+": 0} {
		found := tree.Collect(filter, nil)
		for _, name := range found {
			if !Match(filter, name) {
				t.Fatalf("Collect(%q) has %q", filter, name)
			}
		}
		if len(found) != want {
			t.Errorf("Collect(%q): %d, want %d", filter, len(found), want)
		}
	}
	n := 0
	for range tree.All() {
		if n++; n == 10 {
			break
		}
	}
	for i := range 100_000 {
		tree.Delete(fmt.Sprintf("site/%d/sensor/%d", i/1000, i%1000))
	}
	if tree.Len() != 0 || tree.root.child != nil {
		t.Errorf("%d left", tree.Len())
	}
}
