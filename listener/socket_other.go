//go:build !linux

package listener

import (
	"net"
	"net/netip"
	"syscall"
)

// prepareSocket has nothing to set: accepted sockets get their options one by one.
func prepareSocket(syscall.RawConn, string, bool) error { return nil }

type platformSocket struct{}

func (platformSocket) closePlatform() {}

// takesBoth is for sockets that systemd hands over, which is on Linux only.
func takesBoth(net.Listener, netip.AddrPort) bool { return false }
