package echo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"picket/cause"
	"picket/logging"
)

// Server serves the echo.
type Server struct {
	config    Config
	listeners []*net.TCPListener
	clients   *clients
	parting   chan struct{} // holds one for each refused connection that is told why

	fileMu     sync.Mutex
	fileLogged time.Time // when the lack of descriptors was last told
}

// maxParting bounds how many refused connections are told why at a time; each stays for up to partLimit.
const maxParting = 256

// Listen opens the ports. The error names the one that could not be opened.
func Listen(ctx context.Context, c Config) (*Server, error) {
	if err := c.Limits.check(); err != nil {
		return nil, err
	}
	if !c.SameConnection && c.Port == c.BackPort {
		// A client on this machine would have the server connect to itself, and so on.
		return nil, fmt.Errorf("echo: port %d cannot be both the one to listen on and the client's", c.Port)
	}
	s := &Server{config: c, clients: newClients(c.Limits), parting: make(chan struct{}, maxParting)}
	addresses := c.Addresses
	if len(addresses) == 0 {
		addresses = []string{""}
	}
	var config net.ListenConfig
	for _, a := range addresses {
		l, err := config.Listen(ctx, "tcp", net.JoinHostPort(a, strconv.Itoa(c.Port)))
		if err != nil {
			s.close()
			if errors.Is(err, syscall.EADDRINUSE) {
				return nil, errorf(cause.PortTaken, "port %d is taken by another program", c.Port)
			}
			if errors.Is(err, syscall.EACCES) {
				return nil, errorf(cause.PrivilegedPort, "port %d may not be opened: permission denied", c.Port)
			}
			return nil, err
		}
		s.listeners = append(s.listeners, l.(*net.TCPListener)) // what "tcp" gives
	}
	return s, nil
}

// Addrs gives the addresses that the server listens on.
func (s *Server) Addrs() (all []net.Addr) {
	for _, l := range s.listeners {
		all = append(all, l.Addr())
	}
	return all
}

func (s *Server) close() {
	for _, l := range s.listeners {
		l.Close()
	}
}

// Serve serves until ctx is done; then what was taken from clients is returned, as far as they take it within a moment, and they are told. The error is that of a listener that cannot go on.
func (s *Server) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, s.close)
	defer stop()
	var running sync.WaitGroup
	for _, l := range s.listeners {
		s.config.Log.Printf(logging.Info, "Opening echo listen socket on %s; what is received returns %s.", l.Addr(), s.where())
		running.Go(func() {
			if err := s.accept(ctx, l, &running); err != nil {
				cancel(err)
			}
		})
	}
	running.Go(func() { s.sweep(ctx) })
	running.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

func (s *Server) where() string {
	if s.config.SameConnection {
		return "on the same connection"
	}
	return fmt.Sprintf("to the client's port %d", s.config.BackPort)
}

// acceptPause is the wait after a failed accept: long enough not to spin, short enough that no client notices.
const acceptPause = 20 * time.Millisecond

func (s *Server) accept(ctx context.Context, l *net.TCPListener, running *sync.WaitGroup) error {
	for {
		conn, err := l.AcceptTCP()
		switch {
		case err == nil:
			running.Go(func() { s.handle(ctx, conn) })
			continue
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the listener was closed because the server ends
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
			s.outOfFiles(err)
		case errors.Is(err, net.ErrClosed):
			return err
		}
		select { // ECONNABORTED and the like are about one connection
		case <-ctx.Done():
		case <-time.After(acceptPause):
		}
	}
}

// outOfFiles tells, once a minute, that there are no more descriptors.
func (s *Server) outOfFiles(err error) {
	s.fileMu.Lock()
	defer s.fileMu.Unlock()
	if now := time.Now(); now.Sub(s.fileLogged) >= time.Minute {
		s.fileLogged = now
		s.config.Log.Cause(logging.Error, cause.FDLimit, "Error: A connection has to wait: %v.", err)
	}
}

func (s *Server) sweep(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, h := range s.clients.sweep(now) {
				s.config.Log.Cause(logging.Warning, h.cause, "%d more connections from %s were refused.", h.count, h.client)
			}
		}
	}
}
