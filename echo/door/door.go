// Package door is the way in for strangers to a service over TCP: it listens, accepts, keeps accounts of what each client uses, and
// refuses who has had enough.
package door

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"picket/cause"
	"picket/logging"
)

// Config says what a door is for.
type Config struct {
	Addresses []string // to listen on; none: all of the machine, both families
	Port      int      // 0: one that is free
	Limits    Limits
	Causes    map[Reason]cause.ID // of refusals
	Log       *logging.Logger

	// Handle serves a connection until it ends. It is called by a goroutine of its own; the door closes the connection after it.
	Handle func(ctx context.Context, conn *net.TCPConn, from netip.AddrPort, client *Client)
	// Refuse tells a client why it may not come in. When very many are told at a time, others are not.
	Refuse func(conn *net.TCPConn, why *cause.Failure)
}

// Door is a set of listeners.
type Door struct {
	*Accounts
	config    Config
	listeners []*net.TCPListener
	refusing  chan struct{} // holds one for each refused connection that is being told why

	mu         sync.Mutex
	fileLogged time.Time // when the lack of descriptors was last told
}

// maxRefusing bounds how many refused connections are told why at a time.
const maxRefusing = 256

// Listen opens the ports. The error names the one that could not be opened.
func Listen(ctx context.Context, c Config) (*Door, error) {
	d := &Door{Accounts: NewAccounts(c.Limits), config: c, refusing: make(chan struct{}, maxRefusing)}
	addresses := c.Addresses
	if len(addresses) == 0 {
		addresses = []string{""}
	}
	for _, a := range addresses {
		l, err := ListenTCP(ctx, "tcp", a, c.Port)
		if err != nil {
			d.Close()
			return nil, err
		}
		d.listeners = append(d.listeners, l)
	}
	return d, nil
}

// ListenTCP opens one port. That it is taken, or may not be opened, is a [cause.Failure].
func ListenTCP(ctx context.Context, network, address string, port int) (*net.TCPListener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, network, net.JoinHostPort(address, strconv.Itoa(port)))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, cause.Fail(cause.PortTaken, "port %d is taken by another program", port)
	case errors.Is(err, syscall.EACCES):
		return nil, cause.Fail(cause.PrivilegedPort, "port %d may not be opened: permission denied", port)
	case err != nil:
		return nil, err
	}
	return l.(*net.TCPListener), nil // what the networks of TCP give
}

// Addrs gives the addresses that the door listens on.
func (d *Door) Addrs() (all []net.Addr) {
	for _, l := range d.listeners {
		all = append(all, l.Addr())
	}
	return all
}

// Close closes the listeners. [Door.Serve] does so itself.
func (d *Door) Close() {
	for _, l := range d.listeners {
		l.Close()
	}
}

// Serve lets clients in until ctx is done, and returns when all of them are gone. The error is that of a listener that cannot go on.
func (d *Door) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, d.Close)()
	var running sync.WaitGroup
	for _, l := range d.listeners {
		running.Go(func() {
			if err := d.accept(ctx, l, &running); err != nil {
				cancel(err)
			}
		})
	}
	running.Go(func() { d.sweep(ctx) })
	running.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// acceptPause is the wait after a failed accept: long enough not to spin, short enough that no client notices.
const acceptPause = 20 * time.Millisecond

func (d *Door) accept(ctx context.Context, l *net.TCPListener, running *sync.WaitGroup) error {
	for {
		conn, err := l.AcceptTCP()
		switch {
		case err == nil:
			running.Go(func() { d.handle(ctx, conn) })
			continue
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the listener was closed because the server ends
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
			d.OutOfFiles(err)
		case errors.Is(err, net.ErrClosed):
			return err
		}
		select { // ECONNABORTED and the like are about one connection
		case <-ctx.Done():
		case <-time.After(acceptPause):
		}
	}
}

func (d *Door) handle(ctx context.Context, conn *net.TCPConn) {
	defer conn.Close()
	from := Address(conn.RemoteAddr())
	client, refused := d.Enter(from.Addr(), time.Now())
	if refused == nil {
		defer d.Leave(client)
		d.config.Handle(ctx, conn, from, client)
		return
	}
	why := &cause.Failure{Cause: d.config.Causes[refused.Reason], Text: refused.Text}
	if refused.First {
		d.config.Log.Cause(logging.Warning, why.Cause, "Connection from %s refused: %s.", from, why.Text)
	}
	select {
	case d.refusing <- struct{}{}:
		d.config.Refuse(conn, why)
		<-d.refusing
	default:
	}
}

// OutOfFiles tells, once a minute, that there are no more descriptors.
func (d *Door) OutOfFiles(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); now.Sub(d.fileLogged) >= time.Minute {
		d.fileLogged = now
		d.config.Log.Cause(logging.Error, cause.FDLimit, "Error: A connection has to wait: %v.", err)
	}
}

func (d *Door) sweep(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, u := range d.Sweep(now) {
				d.config.Log.Cause(logging.Warning, d.config.Causes[u.Reason], "%d more connections from %s were refused.", u.Count, u.Client)
			}
		}
	}
}

// Address is a TCP address with IPv4 written as such, on a socket of both families too.
func Address(a net.Addr) netip.AddrPort {
	p := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// DialBack connects to a port of the very address that conn came from, and from the address that it came to, so that nobody can point the
// service at others. limit bounds the wait.
func DialBack(ctx context.Context, conn *net.TCPConn, port uint16, limit time.Duration) (*net.TCPConn, error) {
	local, remote := Address(conn.LocalAddr()).Addr(), Address(conn.RemoteAddr()).Addr()
	dialer := net.Dialer{Timeout: limit, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))}
	back, err := dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(remote, port).String())
	if err != nil {
		return nil, err
	}
	return back.(*net.TCPConn), nil
}

// IsTimeout says whether an error is that of a time limit: a dialer's, a deadline's or the kernel's.
func IsTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// BareReason is what a network error says without its surroundings of a network error: "connection refused", "no route to host", "no answer".
func BareReason(err error) string {
	if IsTimeout(err) {
		return "no answer"
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		return call.Err.Error()
	}
	return fmt.Sprint(err)
}
