package echo

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"picket/cause"
	"picket/echo/door"
	"picket/logging"
)

const (
	// backLimit is how long connecting back may take. Linux repeats a SYN after one and three seconds, so that two losses are survived.
	backLimit = 5 * time.Second

	// partLimit is how long the server waits, once it has said why it ends, for the client to take that and to close.
	partLimit = time.Second

	// socketBuffer bounds what the kernel holds for a connection in each direction, so that a thousand receivers that stand still cost
	// megabytes. At a round trip of 100 ms it lets 2.5 MB/s through.
	socketBuffer = 256 << 10
)

// session is one client's connection, and the one back to it.
type session struct {
	server *Server
	client *door.Client
	in     *net.TCPConn // what the client sends
	back   *net.TCPConn // what the client gets: another connection, or the same
	ends   time.Time    // by the limit of time
	peer   string       // the client's address and port

	mu    sync.Mutex
	ended *cause.Failure // why the session is being ended, while it runs
}

// handle serves one client.
func (s *Server) handle(ctx context.Context, in *net.TCPConn, from netip.AddrPort, client *door.Client) {
	log := s.config.Log
	shrink(in)
	c := &session{server: s, client: client, in: in, back: in, ends: time.Now().Add(s.config.Limits.Time), peer: from.String()}
	log.Printf(logging.Notice, "New connection from %s on port %d.", from, door.Address(in.LocalAddr()).Port())
	if !s.config.SameConnection {
		back, err := s.connectBack(ctx, in)
		if err != nil {
			log.Cause(logging.Notice, err.Cause, "Client %s disconnected: %s.", from, err.Text)
			part(in, err)
			return
		}
		defer back.Close()
		c.back = back
	}
	defer context.AfterFunc(ctx, func() { c.interrupt(cause.Fail(cause.ServerShuttingDown, "the server is shutting down")) })()
	began := time.Now()
	n, err := c.run()
	took := time.Since(began).Round(time.Millisecond)
	var why *cause.Failure
	switch {
	case err == nil:
		log.Printf(logging.Notice, "Client %s ended: %d bytes returned in %v.", from, n, took)
	case errors.As(err, &why):
		log.Cause(logging.Notice, why.Cause, "Client %s disconnected: %s; %d bytes returned in %v.", from, why.Text, n, took)
		if !s.config.SameConnection {
			_ = c.back.CloseWrite() // what was taken is still delivered
			part(in, why)
		}
	default:
		// The sender broke off. Its receiver must not take what came for the whole.
		_ = c.back.SetLinger(0)
		log.Printf(logging.Notice, "Client %s closed its connection: %s; %d bytes returned in %v.", from, door.BareReason(err), n, took)
	}
}

// connectBack connects to the port for what returns.
func (s *Server) connectBack(ctx context.Context, in *net.TCPConn) (*net.TCPConn, *cause.Failure) {
	back, err := door.DialBack(ctx, in, uint16(s.config.BackPort), backLimit)
	switch {
	case err == nil:
		shrink(back)
		return back, nil
	case ctx.Err() != nil:
		return nil, cause.Fail(cause.ServerShuttingDown, "the server is shutting down")
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		s.door.OutOfFiles(err)
		return nil, cause.Fail(cause.FDLimit, "the server may open no more files")
	}
	to := netip.AddrPortFrom(door.Address(in.RemoteAddr()).Addr(), uint16(s.config.BackPort))
	return nil, cause.Fail(cause.EchoNoWayBack, "%s cannot be connected to: %s", to, door.BareReason(err))
}

func shrink(c *net.TCPConn) {
	_ = c.SetReadBuffer(socketBuffer) // only the kernel's memory depends on it
	_ = c.SetWriteBuffer(socketBuffer)
}

// run returns what comes until there is no more. The error is nil when the client has ended, an *cause.Failure when the server ends it, and the
// network's when the sender broke off.
func (c *session) run() (n int64, err error) {
	var watching sync.WaitGroup
	if c.back != c.in {
		watching.Go(c.watch)
		defer watching.Wait()
		defer func() { _ = c.back.SetReadDeadline(time.Now()) }()
	}
	in, err := newReader(c.in)
	if err != nil {
		return 0, err
	}
	for c.extend() {
		var m int
		m, err = in.pass(c.back)
		n += int64(m)
		if m > 0 && !c.server.door.Spend(c.client, m, time.Now()) {
			c.interrupt(cause.Fail(cause.EchoClientBytes, "more than %d bytes within an hour", c.server.config.Limits.Bytes))
		}
		if err != nil {
			break
		}
	}
	if why := c.why(); why != nil {
		return n, why
	}
	var failed *writeError
	switch {
	case err == io.EOF:
		_ = c.back.CloseWrite() // fails when the other side is gone, which watch sees
		if c.extend() {
			watching.Wait() // until the receiver has closed too
		}
		if why := c.why(); why != nil && why.Cause != cause.EchoIdle {
			return n, why
		}
		return n, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, c.expired()
	case errors.As(err, &failed):
		return n, cause.Fail(cause.EchoReceiverGone, "its receiving side closed: %s", door.BareReason(failed.err))
	}
	return n, err
}

// expired says which limit of time was met.
func (c *session) expired() *cause.Failure {
	l := c.server.config.Limits
	if time.Now().Before(c.ends) {
		return cause.Fail(cause.EchoIdle, "nothing has moved for %v", l.Idle)
	}
	return cause.Fail(cause.EchoTimeLimit, "the connection has lasted %v", l.Time)
}

// watch reads the connection back until its end, so that a receiver that is gone is noticed while nothing is written to it. What a
// receiver sends has no meaning: it is counted, and not kept.
func (c *session) watch() {
	r, err := newReader(c.back)
	if err != nil {
		return // run notices too
	}
	for {
		n, err := r.pass(io.Discard)
		if n > 0 && !c.server.door.Spend(c.client, n, time.Now()) {
			c.interrupt(cause.Fail(cause.EchoClientBytes, "more than %d bytes within an hour", c.server.config.Limits.Bytes))
		}
		switch {
		case err == nil:
		case err == io.EOF: // it may have closed its sending half only
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.interrupt(c.expired())
			return
		default:
			c.interrupt(cause.Fail(cause.EchoReceiverGone, "its receiving side closed: %s", door.BareReason(err)))
			return
		}
	}
}

// extend gives the session time for the next step, or says that it has been ended.
func (c *session) extend() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return false
	}
	until := time.Now().Add(c.server.config.Limits.Idle)
	if until.After(c.ends) {
		until = c.ends
	}
	_ = c.in.SetDeadline(until) // fails on a closed connection, which the next step finds closed
	_ = c.back.SetDeadline(until)
	return true
}

// interrupt ends the session for a reason; the first one counts. What was read is still returned, if it is taken within a moment.
func (c *session) interrupt(why *cause.Failure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return
	}
	c.ended = why
	_ = c.in.SetReadDeadline(time.Now())
	_ = c.back.SetReadDeadline(time.Now())
	_ = c.back.SetWriteDeadline(time.Now().Add(partLimit))
}

func (c *session) why() *cause.Failure {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// part tells a client why its connection ends, and gives it a moment to hear it: a connection that is closed with bytes unread is
// reset, and the client may then never see the line.
func part(in *net.TCPConn, why *cause.Failure) {
	_ = in.SetDeadline(time.Now().Add(partLimit))
	if _, err := io.WriteString(in, noticePrefix+why.Error()+"\n"); err != nil || in.CloseWrite() != nil {
		return
	}
	_, _ = io.Copy(io.Discard, in)
}
