//go:build unix

package main

import "syscall"

// askToReload has a broker read its configuration and its passwords again.
func askToReload(pid int) error { return syscall.Kill(pid, syscall.SIGHUP) }
