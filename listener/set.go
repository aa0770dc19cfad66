package listener

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// Set is a number of listeners that feed one [Handler].
type Set struct {
	handler Handler
	opt     Options
	front   front
	streams streams

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
	// close ends everything, and returns when it has.
	close()
}

// Stats are counters since [Open].
type Stats struct {
	Accepted uint64 // connections announced to the handler and not refused by it
	Refused  uint64 // connections reported by [Options.Refused], or refused by the handler
}

// Changes is what [Set.Update] has done. A configuration that is served on the socket of an earlier one is in Kept.
type Changes struct {
	Opened []*Config
	Kept   []*Config
	// Removed are the configurations whose sockets are closed now, with all earlier ones served on the same sockets.
	// Their connections ([Info.Listener]) are still there: it is the core that can say goodbye before it closes them.
	Removed []*Config
}

// ErrClosed is returned by [Set.Update] after [Set.Close].
var ErrClosed = errors.New("listeners are closed")

// Open opens all sockets of cfgs, loads their certificates, and only then begins to serve them. If anything fails it
// leaves nothing open; the error names the listener's place in the configuration. ctx bounds the resolution of host names.
func Open(ctx context.Context, cfgs []*Config, h Handler, opt Options) (*Set, error) {
	s := &Set{handler: h, opt: opt}
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

// socketKey is what makes a listener the same one after a change of the configuration.
type socketKey struct {
	port                             int
	address, iface, domain, unixPath string
}

func keyOf(c *Config) socketKey {
	return socketKey{c.Port, c.Address, c.Interface, c.Domain, c.Path}
}

// Update serves cfgs from now on. Listeners with the same port, address, interface, domain and path keep their sockets
// and connections; everything else about them (protocol, certificates, CRL, trusted proxies) counts for new connections
// and new TLS handshakes at once, files being read again. It does all or nothing: on an error everything stays as it was.
func (s *Set) Update(ctx context.Context, cfgs []*Config) (Changes, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var done Changes
	if s.closed {
		return done, ErrClosed
	}
	old := make(map[socketKey]*server)
	for _, v := range s.servers {
		if c := v.settings.Load().cfg; c.Port != 0 || c.Path != "" { // port 0: each time another
			old[keyOf(c)] = v
		}
	}
	var servers, opened []*server
	fail := func(c *Config, err error) (Changes, error) {
		for _, v := range opened {
			v.closeSockets()
		}
		return Changes{}, &OpenError{Listener: c, Err: err}
	}
	fresh := make(map[*server]*settings)
	for _, c := range cfgs {
		set, err := newSettings(c, &s.opt)
		if err != nil {
			return fail(c, err)
		}
		v := old[keyOf(c)]
		if v != nil {
			delete(old, keyOf(c))
			done.Kept = append(done.Kept, c)
		} else {
			v = &server{set: s}
			if v.sockets, err = openSockets(ctx, c, &s.opt); err != nil {
				return fail(c, err)
			}
			for _, k := range v.sockets {
				k.server = v
			}
			opened = append(opened, v)
			done.Opened = append(done.Opened, c)
		}
		set.server = v
		fresh[v] = set
		servers = append(servers, v)
	}
	// Nothing can fail from here on, but for the kernel's refusal to watch a socket.
	for i, v := range opened {
		v.settings.Store(fresh[v])
		for _, k := range v.sockets {
			if err := s.front.listen(k); err != nil {
				for _, v := range opened[:i+1] {
					for _, k := range v.sockets {
						s.front.unlisten(k)
					}
				}
				opened = opened[i+1:]
				return fail(v.settings.Load().cfg, err)
			}
		}
	}
	for _, v := range servers {
		set := fresh[v]
		if !slices.ContainsFunc(v.past, func(c *Config) bool { return c == set.cfg }) {
			v.past = append(v.past, set.cfg)
		}
		v.settings.Store(set)
	}
	for _, v := range s.servers {
		if _, ok := fresh[v]; ok {
			continue
		}
		v.removed.Store(true)
		for _, k := range v.sockets {
			s.front.unlisten(k)
		}
		done.Removed = append(done.Removed, v.past...)
	}
	s.servers = servers
	return done, nil
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
		v.removed.Store(true)
		for _, k := range v.sockets {
			s.front.unlisten(k)
		}
	}
	s.front.close()
	s.streams.close()
	s.running.Wait()
}

func (s *Set) accept(c Conn) Client {
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

func (v *server) closeSockets() {
	for _, k := range v.sockets {
		k.close()
	}
}

// OpenError says which listener could not be opened.
type OpenError struct {
	Listener *Config
	Err      error
}

func (e *OpenError) Error() string {
	where := "port " + fmt.Sprint(e.Listener.Port)
	switch {
	case e.Listener.Path != "":
		where = "Unix socket " + e.Listener.Path
	case e.Listener.Address != "":
		where += " on " + e.Listener.Address
	}
	if e.Listener.Interface != "" {
		where += " on interface " + e.Listener.Interface
	}
	text := fmt.Sprintf("listener on %s: %v", where, e.Err)
	if e.Listener.Source != "" {
		text = e.Listener.Source + ": " + text
	}
	return text
}

func (e *OpenError) Unwrap() error { return e.Err }

// newSettings loads what a configuration names.
func newSettings(c *Config, opt *Options) (*settings, error) {
	set := &settings{cfg: c}
	note := func(text string) {
		if opt.Note != nil {
			opt.Note(c, text)
		}
	}
	var err error
	if c.TLS.CertFile != "" {
		if set.tls, err = newTLS(c, note); err != nil {
			return nil, err
		}
	}
	if c.Protocol != MQTT {
		if set.http, err = newHTTP(c); err != nil {
			return nil, err
		}
	}
	for _, text := range c.ProxyFrom {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err2 := netip.ParseAddr(text)
			if err2 != nil {
				return nil, fmt.Errorf("trusted proxy %q is neither an address nor a network such as 10.0.0.0/8", text)
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		set.proxy = append(set.proxy, p.Masked())
	}
	return set, nil
}
