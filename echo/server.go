package echo

import (
	"context"
	"fmt"
	"net"

	"picket/cause"
	"picket/echo/door"
	"picket/logging"
)

// Server serves the echo.
type Server struct {
	config Config
	door   *door.Door
}

// Listen opens the ports. The error names the one that could not be opened.
func Listen(ctx context.Context, c Config) (*Server, error) {
	if err := c.Limits.check(); err != nil {
		return nil, err
	}
	if !c.SameConnection && c.Port == c.BackPort {
		// A client on this machine would have the server connect to itself, and so on.
		return nil, fmt.Errorf("echo: port %d cannot be both the one to listen on and the client's", c.Port)
	}
	s := &Server{config: c}
	var err error
	s.door, err = door.Listen(ctx, door.Config{
		Addresses: c.Addresses, Port: c.Port, Limits: c.Limits.accounts(), Log: c.Log,
		Causes: map[door.Reason]cause.ID{
			door.Full:    cause.EchoServerFull,
			door.TooMany: cause.EchoClientConnections,
			door.TooFast: cause.EchoClientConnections,
			door.TooMuch: cause.EchoClientBytes,
		},
		Handle: s.handle, Refuse: part,
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Addrs gives the addresses that the server listens on.
func (s *Server) Addrs() []net.Addr { return s.door.Addrs() }

// Serve serves until ctx is done; then what was taken from clients is returned, as far as they take it within a moment, and they are told.
// The error is that of a listener that cannot go on.
func (s *Server) Serve(ctx context.Context) error {
	where := fmt.Sprintf("to the client's port %d", s.config.BackPort)
	if s.config.SameConnection {
		where = "on the same connection"
	}
	for _, a := range s.Addrs() {
		s.config.Log.Printf(logging.Info, "Opening echo listen socket on %s; what is received returns %s.", a, where)
	}
	return s.door.Serve(ctx)
}
