package feed

import (
	"context"
	"slices"
	"testing"
)

// What there is no room for is counted, and what comes after a gap waits until the gap has been told.
func TestFeedBounds(t *testing.T) {
	f := New[int](10)
	for i := range 5 {
		f.Add(i, 4)
	}
	all, lost, open := f.Take(t.Context())
	if !slices.Equal(all, []int{0, 1}) || lost != 3 || !open {
		t.Fatalf("took %v, %d lost, open %t", all, lost, open)
	}
	f.Add(7, 4)
	f.Add(8, 40)
	f.Add(9, 1) // there is room, but it would stand before the gap
	if all, lost, open = f.Take(t.Context()); !slices.Equal(all, []int{7}) || lost != 2 || !open {
		t.Fatalf("took %v, %d lost, open %t", all, lost, open)
	}
	f.Add(1, 1)
	f.Close()
	f.Add(2, 1)
	if all, lost, open = f.Take(t.Context()); !slices.Equal(all, []int{1}) || lost != 0 || !open {
		t.Fatalf("took %v, %d lost, open %t after the end", all, lost, open)
	}
	for range 2 {
		if all, lost, open = f.Take(t.Context()); all != nil || lost != 0 || open {
			t.Fatalf("took %v, %d lost, open %t at the end", all, lost, open)
		}
	}
}

func TestFeedWaits(t *testing.T) {
	f := New[int](10)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, open := f.Take(ctx); open {
		t.Fatal("a feed is open although the context has ended")
	}
	go f.Add(3, 1)
	if all, _, _ := f.Take(t.Context()); !slices.Equal(all, []int{3}) {
		t.Fatalf("took %v", all)
	}
}
