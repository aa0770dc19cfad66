//go:build linux

package attack

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"picket/internal/testbed"
	"picket/packet"
)

// TestIdleConnections measures what a connection costs that does nothing, and how many of them come in a second. They
// have many source addresses: one of them has no more than some 28,000 ports.
func TestIdleConnections(t *testing.T) {
	b := start(t, "", 0)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	n := int64(min(uint64(less(20_000)), limit.Cur*9/10)) // the rest is for the files that a process has open anyway, and for those who are told that there is no room
	conns := make([]net.Conn, n)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	before := b.status("VmRSS")
	began := time.Now()
	var next atomic.Int64
	var crowd sync.WaitGroup
	for range 32 {
		crowd.Go(func() {
			ack := make([]byte, 4)
			for i := next.Add(1) - 1; i < n; i = next.Add(1) - 1 {
				from := &net.TCPAddr{IP: net.IPv4(127, 0, byte(1+i%10), byte(1+i/10%200))}
				c, err := (&net.Dialer{LocalAddr: from, Timeout: patience}).Dial("tcp", b.addr)
				if err != nil {
					t.Error(err)
					return
				}
				conns[i] = c
				hello := packet.Connect{Version: packet.V311, CleanStart: true, ClientID: fmt.Sprintf("device-%05d", i)}
				if _, err := c.Write(hello.Append(nil, hello.Version)); err != nil {
					t.Error(err)
					return
				}
				_ = c.SetReadDeadline(time.Now().Add(patience))
				if m, err := c.Read(ack); err != nil || m != 4 || ack[3] != 0 {
					t.Errorf("connection %d: CONNACK % x, %v", i, ack[:m], err)
					return
				}
			}
		})
	}
	crowd.Wait()
	if t.Failed() {
		return
	}
	rate := float64(n) / time.Since(began).Seconds()
	var after int64
	testbed.Eventually(t, func() error { // what was needed only to let them in is given back by and by
		after = b.status("VmRSS")
		if each := (after - before) / n; each > idleLimit && !testbed.Race {
			return fmt.Errorf("%d bytes for an idle connection; at most %d are allowed", each, idleLimit)
		}
		return nil
	})
	t.Logf("%d idle connections: %.0f connects a second; RSS %.1f MiB before, %.1f after: %d bytes each", n, rate, float64(before)/mib, float64(after)/mib, (after-before)/n)
}

// idleLimit is what an idle plain connection with its session may cost, in bytes of resident memory, garbage that has
// not been collected yet included. A read or a write buffer for each of them would not fit.
const idleLimit = 1536
