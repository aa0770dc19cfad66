//go:build unix

package process

import "testing"

// BenchmarkPoll is what every CONNECT pays so that a reload takes effect before it.
func BenchmarkPoll(b *testing.B) {
	s := Watch(func(Request) {})
	defer s.Stop()
	b.ReportAllocs()
	for b.Loop() {
		s.Poll()
	}
}
