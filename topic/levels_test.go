package topic

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Each level of the tree is there once, in order, over the pages, with what it has and what is below it; the empty level is one like others.
func TestLevels(t *testing.T) {
	tree := NewTree[string]()
	names := []string{"a", "a/b", "a/b/c", "a/d", "b/x", "/y", "a//z", "$SYS/v"}
	for i := range 30 {
		names = append(names, fmt.Sprintf("many/%02d/deep", i))
	}
	for _, name := range names {
		tree.Set(name, name)
	}
	show := func(q LevelQuery) (all []string) {
		q.Limit, q.Count = 4, 1000
		for {
			levels, next, more := tree.Levels(q)
			for _, l := range levels {
				all = append(all, fmt.Sprintf("%s %s %d", l.Name, l.Value, l.Below))
			}
			if q.From = next; !more {
				return all
			}
		}
	}
	for _, c := range []struct {
		q    LevelQuery
		want string
	}{
		{LevelQuery{Root: true}, "  1|$SYS  1|a a 4|b  1|many  30"},
		{LevelQuery{Under: "a"}, "  1|b a/b 1|d a/d 0"},
		{LevelQuery{Under: ""}, "y /y 0"},
		{LevelQuery{Under: "none"}, ""},
	} {
		if got := strings.Join(show(c.q), "|"); got != c.want {
			t.Errorf("%+v: %q, want %q", c.q, got, c.want)
		}
	}
	if got := show(LevelQuery{Under: "many"}); len(got) != 30 || !slices.IsSorted(got) || got[29] != "29  1" {
		t.Errorf("got %q", got)
	}
	levels, _, _ := tree.Levels(LevelQuery{Under: "many", Limit: 30, Count: 7})
	counted, cut := 0, 0
	for _, l := range levels {
		counted += l.Below
		if l.Cut {
			cut++
		}
	}
	if counted != 7 || cut != 23 {
		t.Errorf("%d are counted, and %d say that there may be more", counted, cut)
	}
}
