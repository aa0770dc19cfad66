package process

import "syscall"

// dup makes the descriptor to another name of from.
func dup(from, to int) error { return syscall.Dup3(from, to, 0) }
