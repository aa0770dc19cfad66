//go:build !linux

package probe

import "net"

// forbidFragments is known to work on Linux only.
func forbidFragments(*net.UDPConn) bool { return false }

func tooBig(error) bool { return false }

func tcpOf(*net.TCPConn) *TCP { return nil }
