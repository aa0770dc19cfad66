//go:build linux

package lab

import (
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// link is a way that takes time, between the client and its router: each packet passes through this process. Kernels without netem do as well as
// others with it.
type link struct {
	delay  time.Duration // one way
	jitter time.Duration // at most so much longer
}

// join makes the interfaces of both ends and passes packets on.
func (l *link) join(w *world) {
	client, router := w.tun(clientSide, "eth0"), w.tun(routerSide, "lan")
	w.t.Cleanup(func() { client.Close(); router.Close() })
	go l.pass(client, router)
	go l.pass(router, client)
}

type delayed struct {
	due    time.Time
	packet []byte
}

// pass takes packets from one end to the other, in order, until the interfaces are closed.
func (l *link) pass(from, to *os.File) {
	queue := make(chan delayed, 4096)
	go func() {
		for d := range queue {
			time.Sleep(time.Until(d.due))
			_, _ = to.Write(d.packet) // an interface that is down loses it
		}
	}()
	defer close(queue)
	buf := make([]byte, 65536)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		d := delayed{time.Now().Add(l.delay), append([]byte(nil), buf[:n]...)}
		if l.jitter > 0 {
			d.due = d.due.Add(rand.N(l.jitter))
		}
		select {
		case queue <- d:
		default: // full, as real links are at some point
		}
	}
}

// tun makes an interface whose packets go through a file.
func (w *world) tun(machine, name string) (f *os.File) {
	w.t.Helper()
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		w.t.Skipf("this kernel has no interfaces whose packets a program passes on: %v", err)
	}
	w.inside(machine, func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		request, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
			return err
		}
		f = os.NewFile(uintptr(fd), "/dev/net/tun")
		return nil
	})
	return f
}
