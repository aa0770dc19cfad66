//go:build unix && !linux

package process

import "golang.org/x/sys/unix"

// dup makes the descriptor to another name of from.
func dup(from, to int) error { return unix.Dup2(from, to) }
