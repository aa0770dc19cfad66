//go:build !linux

package probe

import (
	"errors"
	"net"
)

// setSegmentSize is known to work on Linux.
func setSegmentSize(uintptr, int) error { return errors.ErrUnsupported }

// socketState is known on Linux.
func socketState(net.Conn) (s state, ok bool) { return s, false }
