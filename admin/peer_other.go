//go:build !linux

package admin

import "net"

// peerOf tells who calls: here the mode of the socket, or of its directory, says who may.
func peerOf(net.Conn) peer { return peer{trusted: true, name: "owner"} }
