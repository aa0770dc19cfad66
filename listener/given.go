package listener

import (
	"fmt"
	"net"
	"net/netip"
	"os"
)

// Given are listening sockets that the process was started with, by systemd's socket units for example. A listener whose address or path is that of one
// of them accepts there, in place of opening a socket of its own. They belong to whoever made them: they stay open, and a Unix socket's path
// stays, when a listener is given up, so that a later update may take it again. A nil Given has none.
type Given struct{ all []*givenSocket }

type givenSocket struct {
	file  *os.File
	addr  netip.AddrPort // zero for Unix sockets
	path  string
	both  bool // an IPv6 socket that takes connections of IPv4, too
	taken bool // a listener has had it
}

// NewGiven takes files over. All of them have to be listening sockets of TCP, or Unix sockets of a path.
func NewGiven(files []*os.File) (*Given, error) {
	g := new(Given)
	for _, f := range files {
		ln, err := net.FileListener(f)
		if err != nil {
			return nil, fmt.Errorf("the socket %s that this process was started with cannot be listened on: %w; expected a stream socket (systemd: ListenStream=, Accept=no)", f.Name(), err)
		}
		k := &givenSocket{file: f}
		switch a := ln.Addr().(type) {
		case *net.TCPAddr:
			at := a.AddrPort()
			k.both = takesBoth(ln, at)
			k.addr = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
		case *net.UnixAddr:
			k.path = a.Name
		}
		_ = ln.Close() // it is another descriptor
		g.all = append(g.all, k)
	}
	return g, nil
}

// Idle are the addresses and paths of those that no listener has taken so far.
func (g *Given) Idle() (idle []string) {
	if g == nil {
		return nil
	}
	for _, k := range g.all {
		switch {
		case k.taken:
		case k.path != "":
			idle = append(idle, k.path)
		default:
			idle = append(idle, k.addr.String())
		}
	}
	return idle
}

// tcp returns the socket at an address; nil when there is none.
func (g *Given) tcp(at netip.AddrPort, opt *Options) (*socket, error) {
	ln, err := g.take(func(k *givenSocket) bool { return k.path == "" && k.addr == at })
	if ln == nil || err != nil {
		return nil, err
	}
	rc, err := ln.(*net.TCPListener).SyscallConn()
	if err == nil {
		err = prepareSocket(rc, "", opt.Nagle)
	}
	if err != nil {
		_ = ln.Close()
		return nil, err
	}
	return &socket{ln: ln, addr: at}, nil
}

// unix returns the socket at a path; nil when there is none.
func (g *Given) unix(path string) (*socket, error) {
	ln, err := g.take(func(k *givenSocket) bool { return k.path != "" && k.path == path })
	if ln == nil || err != nil {
		return nil, err
	}
	return &socket{ln: ln}, nil
}

func (g *Given) take(fits func(*givenSocket) bool) (net.Listener, error) {
	if g == nil {
		return nil, nil
	}
	for _, k := range g.all {
		if fits(k) {
			k.taken = true
			return net.FileListener(k.file)
		}
	}
	return nil, nil
}

// coversIPv4 tells whether connections of IPv4 to any address of the machine come through an IPv6 socket.
func (g *Given) coversIPv4(at netip.AddrPort) bool {
	if g == nil || at.Addr() != netip.IPv4Unspecified() {
		return false
	}
	for _, k := range g.all {
		if k.both && k.addr.Port() == at.Port() {
			return true
		}
	}
	return false
}
