//go:build !linux

package admin

import "net"

// trusted: here the mode of the socket, or of its directory, says who may call.
func trusted(net.Conn) bool { return true }
