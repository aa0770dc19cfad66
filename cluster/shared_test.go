package cluster

import (
	"fmt"
	"strings"
	"testing"
)

// TestSharedRunsFindAMember: the node whose turn it is gets them; where it has no member that takes them another one gets them; and when it dies those that it has not answered go elsewhere.
func TestSharedRunsFindAMember(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const group = "$share/g/t"
	a, b, c := r.start("a", nil), r.start("b", nil), r.start("c", nil)
	b.want(t, group)
	c.want(t, group)
	for i := range 40 {
		first, other := b, c
		if i%2 == 1 {
			first, other = c, b
		}
		if err := <-a.share(group, fmt.Sprint(i), first.joined.Load()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Fields(first.has("")); len(got) != i/2+1 || got[i/2] != fmt.Sprint(i) {
			t.Fatalf("message %d: the node whose turn it was has %v, and the other %s", i, got, other.has(""))
		}
	}
	b.mu.Lock()
	b.refuses = true
	b.mu.Unlock()
	if err := <-a.share(group, "on", b.joined.Load()); err != nil || !strings.HasSuffix(c.has(""), " on") {
		t.Fatalf("%v; what b did not take is not with c: %s", err, c.has(""))
	}
	if err := <-a.share("$share/nobody/t", "nobody", b.joined.Load()); err != nil {
		t.Error(err)
	}
	b.Close()
	all := make([]chan error, 10)
	for i := range all {
		all[i] = a.share(group, fmt.Sprint("late", i), b.joined.Load())
	}
	r.bury(t, a, b) // whose link a may have taken for whole when it sent some of them
	for i, done := range all {
		if err := <-done; err != nil || !strings.Contains(c.has(""), fmt.Sprint("late", i)) {
			t.Errorf("%v; message %d for a node that is gone is not with another: %s", err, i, c.has(""))
		}
	}
}
