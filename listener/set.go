package listener

import (
	"cmp"
	"context"
	"net/netip"
	"sync"
	"sync/atomic"

	"picket/cause"
)

// Set is a number of listeners that feed one [Handler].
type Set struct {
	handler   Handler
	opt       Options
	front     front
	streams   streams
	newcomers newcomers

	mu      sync.Mutex // guards what follows; held during Update and Close
	servers []*server
	closed  bool

	running sync.WaitGroup // the goroutines of the set

	accepted atomic.Uint64
	refused  atomic.Uint64
}

// front accepts connections: an event loop on Linux, goroutines elsewhere.
type front interface {
	// listen begins to accept on a socket.
	listen(s *socket) error
	// unlisten stops that and closes the socket.
	unlisten(s *socket)
	// catchUp has what has arrived handled, and returns when that is done.
	catchUp()
	// close ends everything, and returns when it has.
	close()
}

// Stats are counters since [Open].
type Stats struct {
	Accepted uint64 // connections announced to the handler and not refused by it
	Refused  uint64 // connections reported by [Options.Refused], or refused by the handler
}

// Open opens all sockets of cfgs, loads their certificates, and only then begins to serve them. If anything fails it
// leaves nothing open; the error names the listener's place in the configuration. ctx bounds the resolution of host names.
func Open(ctx context.Context, cfgs []*Config, h Handler, opt Options) (*Set, error) {
	s := &Set{handler: h, opt: opt}
	s.newcomers.init(cmp.Or(opt.Newcomers, 4096), cmp.Or(opt.NewcomerBytes, 64<<20))
	s.newcomers.charged = opt.Charged
	s.streams.init(s)
	var err error
	if s.front, err = newFront(s); err != nil {
		return nil, err
	}
	if _, err := s.Update(ctx, cfgs); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Sockets returns the listening sockets, in the order of the configuration.
func (s *Set) Sockets() []Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Socket
	for _, v := range s.servers {
		for _, k := range v.sockets {
			all = append(all, Socket{Listener: v.settings.Load().cfg, Addr: k.addr})
		}
	}
	return all
}

// Stats returns the counters.
func (s *Set) Stats() Stats {
	return Stats{Accepted: s.accepted.Load(), Refused: s.refused.Load()}
}

// CatchUp hands what the connections have received so far to their clients, and returns when it is handled: who is about to close the
// connections then knows all that their clients had said, such as that a message has arrived. The event loops accept nothing meanwhile.
func (s *Set) CatchUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.front.catchUp()
		s.streams.catchUp()
	}
}

// Close closes all sockets and all connections and returns when every Client has had its Closed and every goroutine has
// ended. A second call does nothing.
func (s *Set) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	for _, v := range s.servers {
		v.remove()
	}
	s.front.close()
	s.streams.close()
}

// SetNewcomers sets how many connections there may be that are no clients, and what they may cost together in bytes, from the next one on.
func (s *Set) SetNewcomers(connections int, bytes int64) { s.newcomers.setLimits(connections, bytes) }

// castOut reports a newcomer that has to go.
func (s *Set) castOut(remote netip.AddrPort, c *Config) {
	s.refuse(&Refusal{remote, c, cause.ConnectFlood,
		"too many connections are no clients yet, and this is the oldest one of the address that has the most of them", false})
}

// accept announces a connection to the core, unless its listener has been removed meanwhile: whoever removes one may rely on
// knowing all of its connections.
func (s *Set) accept(v *server, c Conn) Client {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.removed {
		return nil
	}
	client := s.handler.Accept(c)
	if client == nil {
		s.refused.Add(1)
	} else {
		s.accepted.Add(1)
	}
	return client
}

func (s *Set) refuse(r *Refusal) {
	s.refused.Add(1)
	if s.opt.Refused != nil {
		s.opt.Refused(*r)
	}
}
