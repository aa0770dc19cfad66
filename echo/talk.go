package echo

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"picket/cause"
	"picket/echo/door"
)

// TalkConfig says whom to talk to.
type TalkConfig struct {
	Host           string
	Port           int    // of the server
	BackPort       int    // to listen on for what returns
	Network        string // "tcp", or "tcp4" or "tcp6" for one address family
	Bind           string // address to listen on and to connect from; empty: any
	SameConnection bool   // what is sent returns on the connection itself; nothing is listened on

	// Wait bounds connecting, and then waiting for the server to connect back. Default 10 s: twice what a Picket server needs before
	// it says that it could not.
	Wait time.Duration

	// Note is told, in one line each, what happens meanwhile that is no failure. It may be nil, and is called by one goroutine at a time.
	Note func(text string, id cause.ID)
}

// Summary is what a talk came to.
type Summary struct {
	Sent, Returned int64 // bytes
	Took           time.Duration
}

// Talk sends what comes from in to the server and writes what returns to out, both as it comes, until in has ended and all of it has
// returned. The error is an *[cause.Failure] when what returned is not what was sent, or when the cause is known otherwise.
//
// A goroutine reads from in until the next Read returns; when Talk ends before in does, that may be later.
func Talk(ctx context.Context, c TalkConfig, in io.Reader, out io.Writer) (Summary, error) {
	if c.Wait == 0 {
		c.Wait = 10 * time.Second
	}
	if c.Note == nil {
		c.Note = func(string, cause.ID) {}
	}
	if c.Network == "" {
		c.Network = "tcp"
	}
	began := time.Now()
	t := &talk{config: c, sent: tally{hash: sha256.New()}, returned: tally{hash: sha256.New()}}
	err := t.run(ctx, in, out)
	return Summary{Sent: t.sent.count(), Returned: t.returned.count(), Took: time.Since(began)}, err
}

type talk struct {
	config         TalkConfig
	sent, returned tally
}

// tally counts bytes and keeps their hash and their beginning.
type tally struct {
	mu    sync.Mutex
	hash  hash.Hash
	n     int64
	start []byte // up to the length of noticePrefix
}

func (t *tally) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if missing := len(noticePrefix) - len(t.start); missing > 0 {
		t.start = append(t.start, p[:min(missing, len(p))]...)
	}
	t.n += int64(len(p))
	return t.hash.Write(p)
}

func (t *tally) count() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

func (t *tally) sum() (n int64, digest string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n, string(t.hash.Sum(nil))
}

func (t *tally) begins(s string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.HasPrefix(string(t.start), s)
}

// run opens what is needed and closes it again.
func (t *talk) run(ctx context.Context, in io.Reader, out io.Writer) error {
	var listener *net.TCPListener
	if !t.config.SameConnection {
		var err error
		if listener, err = t.listen(ctx); err != nil {
			return err
		}
		defer listener.Close()
	}
	conn, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { // wakes everything that waits below
		conn.Close()
		if listener != nil {
			listener.Close()
		}
	})()

	sending := make(chan error, 1)
	go func() { sending <- t.send(conn, in) }()
	if t.config.SameConnection {
		return t.settle(ctx, t.receive(conn, out), sending, nil)
	}
	said := &notice{done: make(chan struct{})}
	go said.read(conn)
	defer func() {
		conn.Close()
		<-said.done
	}()
	back, err := t.accept(ctx, listener, conn, said)
	if err != nil {
		return err
	}
	defer back.Close()
	defer context.AfterFunc(ctx, func() { back.Close() })()
	return t.settle(ctx, t.receive(back, out), sending, said)
}

func (t *talk) listen(ctx context.Context) (*net.TCPListener, error) {
	l, err := door.ListenTCP(ctx, t.config.Network, t.config.Bind, t.config.BackPort)
	if err != nil {
		return nil, fmt.Errorf("listening for what returns: %w", err)
	}
	return l, nil
}

func (t *talk) connect(ctx context.Context) (*net.TCPConn, error) {
	dialer := net.Dialer{Timeout: t.config.Wait}
	if t.config.Bind != "" {
		address, err := netip.ParseAddr(t.config.Bind)
		if err != nil {
			return nil, fmt.Errorf("the address to bind to: %w", err)
		}
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, 0))
	}
	conn, err := dialer.DialContext(ctx, t.config.Network, net.JoinHostPort(t.config.Host, strconv.Itoa(t.config.Port)))
	if err != nil {
		return nil, fmt.Errorf("the echo server: %w", err)
	}
	return conn.(*net.TCPConn), nil // what these networks give
}

// send sends until the end of in, and then closes its half.
func (t *talk) send(conn *net.TCPConn, in io.Reader) error {
	buffer := make([]byte, 32<<10)
	for {
		n, err := in.Read(buffer)
		if n > 0 {
			_, _ = t.sent.Write(buffer[:n]) // before it can return
			if _, err := conn.Write(buffer[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return conn.CloseWrite()
		case err != nil:
			return fmt.Errorf("reading what to send: %w", err)
		}
	}
}

// accept waits for the server to connect back. Connections from elsewhere are closed.
func (t *talk) accept(ctx context.Context, l *net.TCPListener, conn *net.TCPConn, said *notice) (*net.TCPConn, error) {
	server := door.Address(conn.RemoteAddr()).Addr().WithZone("")
	_ = l.SetDeadline(time.Now().Add(t.config.Wait)) // fails on a closed listener, as Accept does next
	accepted := make(chan struct{})
	var waking sync.WaitGroup
	defer waking.Wait()
	defer close(accepted)
	waking.Go(func() { // a server that refuses says so on the other connection, and does not come
		select {
		case <-said.done:
			until := time.Now()
			if said.why == nil { // it may have returned everything already, and its connection waits to be accepted
				until = until.Add(settleWait)
			}
			_ = l.SetDeadline(until)
		case <-accepted:
		}
	})
	for {
		back, err := l.AcceptTCP()
		if err == nil {
			if from := door.Address(back.RemoteAddr()); from.Addr().WithZone("") != server {
				back.Close()
				t.config.Note(fmt.Sprintf("a connection from %s was closed: it is not from %s, the server", from, server), cause.EchoStranger)
				continue
			}
			_ = l.Close() // one server connects once
			return back, nil
		}
		switch why, ended := said.peek(); {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case why != nil:
			return nil, why
		case ended:
			return nil, cause.Fail(cause.EchoNoWayBack, "the server closed the connection and did not connect back to port %d", t.config.BackPort)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, cause.Fail(cause.EchoNoWayBack, "the server did not connect back to port %d within %v", t.config.BackPort, t.config.Wait)
		}
		return nil, err
	}
}

// receive writes what returns to out until the end. A server that refuses does so with its first bytes.
func (t *talk) receive(conn *net.TCPConn, out io.Writer) error {
	buffer := make([]byte, 32<<10)
	for first := t.config.SameConnection; ; first = false {
		n, err := conn.Read(buffer)
		if first && strings.HasPrefix(string(buffer[:n]), noticePrefix) && !t.sent.begins(noticePrefix) {
			if why, ok := parseNotice(string(buffer[:n])); ok {
				return why
			}
		}
		if n > 0 {
			_, _ = t.returned.Write(buffer[:n])
			if _, err := out.Write(buffer[:n]); err != nil {
				return fmt.Errorf("writing what returned: %w", err)
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// settleWait is how long, once nothing returns any more, the end of the sending side or a server's reason may take: both are there
// already, or on their way on another connection.
const settleWait = 2 * time.Second

// settle works out how the talk went, once nothing returns any more.
func (t *talk) settle(ctx context.Context, received error, sending <-chan error, said *notice) error {
	var refused *cause.Failure
	if errors.As(received, &refused) {
		return refused
	}
	complete, why, sendError := await(ctx, sending, said)
	n, sent := t.sent.sum()
	m, returned := t.returned.sum()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case why != nil:
		return why
	case received != nil:
		return fmt.Errorf("receiving what returns: %w", received)
	case complete && n == m && sent == returned:
		return nil
	case complete && n == m:
		return cause.Fail(cause.EchoAltered, "%d bytes returned, as many as were sent, but not the same", m)
	case complete || m > n:
		return cause.Fail(cause.EchoAltered, "%d bytes were sent and %d returned", n, m)
	case sendError != nil:
		return fmt.Errorf("sending: %w", sendError)
	}
	return fmt.Errorf("the server ended the connection after %d bytes", m)
}

// await waits for the end of the sending side, which is complete if it came without an error, or for the server's reason.
func await(ctx context.Context, sending <-chan error, said *notice) (complete bool, why *cause.Failure, sendError error) {
	timer := time.NewTimer(settleWait)
	defer timer.Stop()
	var saidDone <-chan struct{}
	if said != nil {
		saidDone = said.done
	}
	for {
		select {
		case sendError = <-sending:
			if sendError == nil || said == nil {
				return sendError == nil, nil, sendError
			}
			sending = nil // the server closed; it may have said why
		case <-saidDone:
			if said.why != nil {
				return false, said.why, sendError
			}
			saidDone = nil
		case <-ctx.Done():
			return false, nil, sendError
		case <-timer.C:
			return false, nil, sendError
		}
		if sending == nil && saidDone == nil {
			return false, nil, sendError
		}
	}
}

// notice is what a server of two connections says on the sending connection, if it says anything.
type notice struct {
	done chan struct{}  // closed when no more can come
	why  *cause.Failure // once done: the server's reason, or nil
}

// read reads the sending connection until it is closed.
func (s *notice) read(conn *net.TCPConn) {
	defer close(s.done)
	line, err := bufio.NewReader(io.LimitReader(conn, maxNotice)).ReadString('\n')
	if why, ok := parseNotice(line); ok {
		s.why = why
	} else if line != "" || err == nil {
		s.why = cause.Fail(cause.EchoAltered, "the server answers on the sending connection; does it serve the same connection?")
	}
}

// peek gives the reason, and whether no more can come.
func (s *notice) peek() (why *cause.Failure, ended bool) {
	select {
	case <-s.done:
		return s.why, true
	default:
		return nil, false
	}
}
