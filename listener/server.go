package listener

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// server is one [Config] being served: its sockets, and the settings that new connections get.
type server struct {
	set      *Set
	settings atomic.Pointer[settings]
	sockets  []*socket
	past     []*Config // configurations that connections may still refer to, oldest first

	mu      sync.RWMutex // held for reading while a connection is announced
	removed bool
}

// settings is what is made of one Config. It never changes, an update replaces it.
type settings struct {
	server *server
	cfg    *Config
	proxy  []netip.Prefix
	tls    *tls.Config  // nil without a certificate
	http   *http.Server // nil for MQTT alone

	mu     sync.Mutex
	shared map[netip.AddrPort]*endpoint
}

// endpoint is what the connections to one local address have in common.
type endpoint struct {
	*settings
	local netip.AddrPort
}

// endpoint returns the shared value for a local address. A machine has few addresses, but a transparent proxy may have
// any number of them: beyond some, each connection gets its own.
func (s *settings) endpoint(local netip.AddrPort) *endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.shared[local]; e != nil {
		return e
	}
	e := &endpoint{s, local}
	if len(s.shared) < 64 {
		if s.shared == nil {
			s.shared = make(map[netip.AddrPort]*endpoint)
		}
		s.shared[local] = e
	}
	return e
}

// proxied tells whether a connection from there has to begin with a PROXY header.
func (s *settings) proxied(remote netip.AddrPort) bool {
	addr := remote.Addr()
	return slices.ContainsFunc(s.proxy, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// direct tells whether connections are plain MQTT, which an event loop can serve, or may turn out to be.
func (s *settings) direct() bool {
	return s.cfg.Protocol == Auto || s.cfg.Protocol == MQTT && s.cfg.TLS.CertFile == ""
}
