//go:build !linux

package listener

func newFront(s *Set) (front, error) { return newGoroutineFront(s), nil }
