//go:build unix

package testbed

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// Ports are given out below the range of outgoing connections, of which the tests make so many that one might take a port between two starts of a
// broker; and in blocks of which a process holds the lock as long as it lives, so that the tests of several packages do not get in each other's way.
const (
	firstPort, lastPort = 20000, 32000
	portBlock           = 100
)

var ports struct {
	sync.Mutex
	next, end int        // of the block in use
	locks     []*os.File // open as long as the process lives
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
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("picket-test-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for first := firstPort; first < lastPort; first += portBlock {
		f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(first)), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
		if err != nil {
			return err
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
			f.Close() // another process has it, or this one
			continue
		}
		ports.locks = append(ports.locks, f)
		ports.next, ports.end = first, first+portBlock
		return nil
	}
	return fmt.Errorf("no free block of ports from %d to %d", firstPort, lastPort)
}
