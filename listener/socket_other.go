//go:build !linux

package listener

import "syscall"

// prepareSocket has nothing to set: accepted sockets get their options one by one.
func prepareSocket(syscall.RawConn, string, bool) error { return nil }

type platformSocket struct{}

func (platformSocket) closePlatform() {}
