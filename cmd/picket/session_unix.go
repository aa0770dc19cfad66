//go:build unix

package main

import "syscall"

// newSession takes a process out of its terminal.
func newSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
