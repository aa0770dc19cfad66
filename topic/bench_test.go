package topic

import (
	"fmt"
	"testing"
)

func devices(b *testing.B, n int) *Index[int] {
	b.Helper()
	x := NewIndex[int]()
	for i := range n {
		x.Subscribe(fmt.Sprintf("dev/%06d/cmd", i), i, Options{QoS: 1})
	}
	return x
}

// BenchmarkMatch: one subscriber among a million, and a wildcard beside it.
func BenchmarkMatch(b *testing.B) {
	const n = 1_000_000
	x := devices(b, n)
	x.Subscribe("dev/+/cmd", n, Options{})
	names := make([][]byte, 1024)
	for i := range names {
		names[i] = fmt.Appendf(nil, "dev/%06d/cmd", i*(n/len(names)))
	}
	var m Matches[int]
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		m.Reset()
		x.Match(names[i%len(names)], &m)
		if len(m.Plain) != 2 {
			b.Fatal(m.Plain)
		}
	}
}

// BenchmarkMatchOverlapping: 4,096 filters match the name.
func BenchmarkMatchOverlapping(b *testing.B) {
	x := NewIndex[int]()
	name, filters := overlapping()
	for i, f := range filters {
		x.Subscribe(f, i, Options{})
	}
	var m Matches[int]
	b.ReportAllocs()
	for b.Loop() {
		m.Reset()
		x.Match(name, &m)
	}
}

// BenchmarkVersion: what a cache pays for each message.
func BenchmarkVersion(b *testing.B) {
	x := devices(b, 1000)
	stamp := x.Stamp([]byte("dev/000007/cmd"))
	version := x.Version(stamp)
	b.ReportAllocs()
	for b.Loop() {
		if x.Version(stamp) != version {
			b.Fatal("changed")
		}
	}
}

func BenchmarkStamp(b *testing.B) {
	x := NewIndex[int]()
	name := []byte("dev/000007/cmd")
	b.ReportAllocs()
	for b.Loop() {
		x.Stamp(name)
	}
}

// BenchmarkSubscribe: one client comes and goes among a million.
func BenchmarkSubscribe(b *testing.B) {
	x := devices(b, 1_000_000)
	b.ReportAllocs()
	for b.Loop() {
		x.Subscribe("dev/new/cmd", 1, Options{})
		x.Unsubscribe("dev/new/cmd", 1)
	}
}

// BenchmarkCheckNameOfSlashes: the name that costs a careless broker most.
func BenchmarkCheckNameOfSlashes(b *testing.B) {
	name := make([]byte, 65535)
	for i := range name {
		name[i] = '/'
	}
	b.ReportAllocs()
	for b.Loop() {
		if CheckName(name) == nil {
			b.Fatal("accepted")
		}
	}
}

func BenchmarkCollect(b *testing.B) {
	tree := NewTree[int]()
	for i := range 100_000 {
		tree.Set(fmt.Sprintf("site/%d/sensor/%d", i/1000, i%1000), i)
	}
	var found []int
	b.ReportAllocs()
	for b.Loop() {
		if found = tree.Collect("site/7/#", found[:0]); len(found) != 1000 {
			b.Fatal(len(found))
		}
	}
}
