package listener

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"picket/cause"
)

// goroutineFront accepts with a goroutine for each socket and serves every connection with one: the front where there is
// no epoll.
type goroutineFront struct {
	set     *Set
	accepts sync.WaitGroup
}

func newGoroutineFront(s *Set) *goroutineFront { return &goroutineFront{set: s} }

func (f *goroutineFront) listen(k *socket) error {
	f.accepts.Add(1)
	go func() {
		defer f.accepts.Done()
		f.accept(k)
	}()
	return nil
}

func (f *goroutineFront) unlisten(k *socket) { k.close() }

func (f *goroutineFront) catchUp() {}

func (f *goroutineFront) close() { f.accepts.Wait() }

// accept accepts until the socket is closed.
func (f *goroutineFront) accept(k *socket) {
	var said time.Time
	for {
		nc, err := k.ln.Accept()
		set := k.server.settings.Load()
		switch {
		case err == nil:
		case errors.Is(err, net.ErrClosed):
			return
		case (errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)) && f.set.newcomers.evictOne():
			continue
		default:
			if now := time.Now(); now.Sub(said) >= time.Second {
				said = now
				text := err.Error()
				if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
					text += ": raise the limit on open files (ulimit -n)"
				}
				f.set.refuse(&Refusal{Listener: set.cfg, Cause: cause.FDLimit, Text: text})
			}
			time.Sleep(100 * time.Millisecond)
			continue
		}
		var remote, local netip.AddrPort
		if tcp, ok := nc.(*net.TCPConn); ok {
			_ = tcp.SetNoDelay(!f.set.opt.Nagle)
			remote, local = tcpAddrPort(nc.RemoteAddr().(*net.TCPAddr)), tcpAddrPort(nc.LocalAddr().(*net.TCPAddr))
		}
		f.set.streams.fromConn(nc, set.endpoint(local), remote)
	}
}
