//go:build unix

package testbed

import (
	"fmt"
	"net"
	"strconv"
	"sync"
)

// Ports are given out below the range of outgoing connections, of which the tests make so many that one might take a port between two starts of a
// broker; and in blocks of which a process holds the first port as long as it lives, so that the tests of several packages do not get in each other's way.
const (
	firstPort, lastPort = 20000, 32000
	portBlock           = 100
)

var ports struct {
	sync.Mutex
	next, end int            // of the block in use
	locks     []net.Listener // on the first port of each block, open as long as the process lives
}

// FreePort returns a TCP port that nobody uses and that no other test is given.
func FreePort() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	for {
		for ports.next < ports.end {
			port := ports.next
			ports.next++
			if l, err := net.Listen("tcp", ":"+strconv.Itoa(port)); err == nil {
				return port, l.Close()
			}
		}
		if err := nextBlock(); err != nil {
			return 0, err
		}
	}
}

// nextBlock takes a block of ports that no other process has.
func nextBlock() error {
	for first := firstPort; first < lastPort; first += portBlock {
		if l, err := net.Listen("tcp", ":"+strconv.Itoa(first)); err == nil {
			ports.locks = append(ports.locks, l)
			ports.next, ports.end = first+1, first+portBlock
			return nil
		}
	}
	return fmt.Errorf("no free block of ports from %d to %d", firstPort, lastPort)
}
