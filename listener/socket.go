package listener

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// keepAlive finds peers that have gone without a word: after two minutes of silence, within another minute and a half.
// MQTT's own keep alive is what normally ends such connections; this is for clients that have turned it off.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 2 * time.Minute, Interval: 30 * time.Second, Count: 3}

// maxUnixPath is how long the path of a Unix socket may be: the size of sun_path less the final zero.
const maxUnixPath = 107

// unixMode lets the owner and the group of a Unix socket connect, as mosquitto does.
const unixMode = 0o770

// socket is one listening socket.
type socket struct {
	server *server
	addr   netip.AddrPort // zero for Unix sockets
	path   string         // to be removed when it is closed

	ln net.Listener // nil once the event loop owns the descriptor
	platformSocket
}

// openSockets opens what c asks for: a Unix socket, or one TCP socket for each address.
func openSockets(ctx context.Context, c *Config, opt *Options) (sockets []*socket, err error) {
	defer func() {
		if err != nil {
			for _, k := range sockets {
				k.close()
			}
			sockets = nil
		}
	}()
	if c.Path != "" {
		if opt.Opening != nil {
			opt.Opening(Socket{Listener: c})
		}
		k, err := openUnix(c.Path, opt.Given)
		if err != nil {
			return nil, err
		}
		return []*socket{k}, nil
	}
	if c.Port < 0 || c.Port > 65535 {
		return nil, fmt.Errorf("port %d is not between 1 and 65535", c.Port)
	}
	addrs, err := bindAddresses(ctx, c)
	if err != nil {
		return nil, err
	}
	port := uint16(c.Port)
	var unavailable error
	for i, addr := range addrs {
		at := netip.AddrPortFrom(addr, port)
		if opt.Given.coversIPv4(at) && slices.Contains(addrs, netip.IPv6Unspecified()) {
			continue
		}
		if opt.Opening != nil && (i == 0 || c.Protocol != WebSocket) {
			opt.Opening(Socket{Listener: c, Addr: at})
		}
		k, err := openTCP(ctx, at, c.Interface, opt)
		if err != nil {
			// Without an address both families are tried, and a machine may have only one of them.
			if c.Address == "" && c.Interface == "" && c.Domain == "" && familyMissing(err) {
				unavailable = err
				continue
			}
			return sockets, explain(err, at)
		}
		sockets = append(sockets, k)
		port = k.addr.Port() // with port 0, the other family gets the same one
	}
	if len(sockets) == 0 {
		return nil, unavailable
	}
	return sockets, nil
}

// bindAddresses resolves the address and the interface of c. The order is the one of mosquitto's log: IPv4 first.
func bindAddresses(ctx context.Context, c *Config) ([]netip.Addr, error) {
	v4, v6 := c.Domain != "ipv6", c.Domain != "ipv4"
	wanted := func(a netip.Addr) bool { return a.Is4() && v4 || a.Is6() && v6 }
	var addrs []netip.Addr
	switch {
	case c.Address != "":
		network := "ip"
		if !v6 {
			network = "ip4"
		} else if !v4 {
			network = "ip6"
		}
		found, err := net.DefaultResolver.LookupNetIP(ctx, network, c.Address)
		if err != nil {
			return nil, fmt.Errorf("address %q cannot be resolved: %w", c.Address, err)
		}
		for _, a := range found {
			if a = a.Unmap(); wanted(a) && !slices.Contains(addrs, a) {
				addrs = append(addrs, a)
			}
		}
		if len(addrs) == 0 {
			return nil, fmt.Errorf("address %q has no %s address, which socket_domain asks for", c.Address, c.Domain)
		}
	case c.Interface == "":
		for _, a := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
			if wanted(a) {
				addrs = append(addrs, a)
			}
		}
	}
	if c.Interface != "" {
		own, err := interfaceAddresses(c.Interface)
		if err != nil {
			return nil, err
		}
		if c.Address == "" {
			addrs = own
		}
		addrs = slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool {
			return !wanted(a) || !slices.ContainsFunc(own, func(o netip.Addr) bool { return o.WithZone("") == a.WithZone("") })
		})
		if len(addrs) == 0 {
			return nil, fmt.Errorf("interface %s has no address that fits", c.Interface)
		}
	}
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
	return addrs, nil
}

func interfaceAddresses(name string) ([]netip.Addr, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		var names []string
		all, _ := net.Interfaces()
		for _, i := range all {
			names = append(names, i.Name)
		}
		return nil, fmt.Errorf("there is no interface %q; there are %v", name, names)
	}
	found, err := i.Addrs()
	if err != nil {
		return nil, fmt.Errorf("addresses of interface %s: %w", name, err)
	}
	var addrs []netip.Addr
	for _, f := range found {
		p, err := netip.ParsePrefix(f.String())
		if err != nil {
			continue // not an IP address
		}
		a := p.Addr().Unmap()
		if a.Is6() && a.IsLinkLocalUnicast() {
			a = a.WithZone(name)
		}
		addrs = append(addrs, a)
	}
	return addrs, nil
}

// openTCP opens a socket of one family: an IPv6 socket takes no IPv4 connections, so that each family has its own.
// The length of its queue is the system's largest (net.core.somaxconn).
func openTCP(ctx context.Context, at netip.AddrPort, iface string, opt *Options) (*socket, error) {
	if k, err := opt.Given.tcp(at, opt); k != nil || err != nil {
		return k, err
	}
	network := "tcp4"
	if at.Addr().Is6() {
		network = "tcp6"
	}
	lc := net.ListenConfig{
		KeepAliveConfig: keepAlive,
		Control: func(_, _ string, rc syscall.RawConn) error {
			return prepareSocket(rc, iface, opt.Nagle)
		},
	}
	lc.SetMultipathTCP(false) // its sockets lack options that are set here
	ln, err := lc.Listen(ctx, network, at.String())
	if err != nil {
		return nil, err
	}
	addr := ln.Addr().(*net.TCPAddr).AddrPort()
	return &socket{ln: ln, addr: netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())}, nil
}

// openUnix opens a Unix socket. One that a process which is gone has left behind is replaced.
func openUnix(path string, given *Given) (*socket, error) {
	if k, err := given.unix(path); k != nil || err != nil {
		return k, err
	}
	ln, err := ListenUnix(path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, unixMode); err != nil {
		_ = ln.Close()
		return nil, err
	}
	return &socket{ln: ln, path: path}, nil
}

// ListenUnix opens a Unix socket at a path where there is nothing, or a socket that nobody listens on any more. The caller removes the path
// when it has closed the socket.
func ListenUnix(path string) (*net.UnixListener, error) {
	if len(path) > maxUnixPath {
		return nil, fmt.Errorf("the path has %d bytes, a Unix socket's may have %d", len(path), maxUnixPath)
	}
	if st, err := os.Lstat(path); err == nil {
		if st.Mode()&fs.ModeSocket == 0 {
			return nil, errors.New("the path exists and is not a socket; remove it or choose another path")
		}
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return nil, errors.New("Address already in use: another process answers there; stop it or choose another path") //nolint:staticcheck // the system's words
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false) // it would not do so for the descriptor that an event loop gets
	return ln, nil
}

// close closes the socket and removes its path.
func (k *socket) close() {
	if k.ln != nil {
		k.ln.Close()
	}
	k.closePlatform()
	if k.path != "" {
		os.Remove(k.path)
	}
}

// explain says in mosquitto's words what went wrong, and what to do.
func explain(err error, at netip.AddrPort) error {
	port := strconv.Itoa(int(at.Port()))
	hint := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "Address already in use: another program, perhaps another broker, has " + at.String() + " open"
		if runtime.GOOS == "linux" {
			hint += "; see which: ss -ltnp 'sport = :" + port + "'"
		}
	case errors.Is(err, syscall.EACCES):
		hint = "Permission denied: ports below 1024 are for root or a process with CAP_NET_BIND_SERVICE"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "Cannot assign requested address: " + at.Addr().String() + " is not an address of this machine (yet)"
	default:
		return err
	}
	return &hintError{hint, err}
}

// hintError words an error in another way.
type hintError struct {
	text string
	err  error
}

func (e *hintError) Error() string { return e.text }
func (e *hintError) Unwrap() error { return e.err }

func familyMissing(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EPROTONOSUPPORT)
}
