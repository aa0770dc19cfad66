package listener

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
)

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
	if s.closed {
		return Changes{}, ErrClosed
	}
	u := update{set: s, old: make(map[socketKey]*server), fresh: make(map[*server]*settings)}
	for _, v := range s.servers {
		c := v.settings.Load().cfg
		key := keyOf(c)
		if c.Port == 0 && c.Path == "" {
			key.unixPath = fmt.Sprintf("%p", v) // any port: each time another one
		}
		u.old[key] = v
	}
	if err := u.load(cfgs); err != nil {
		return Changes{}, err
	}
	if err := u.open(ctx); err != nil {
		return Changes{}, errors.Join(err, u.undo(ctx))
	}
	return u.commit(), nil
}

// update is a change under way.
type update struct {
	set     *Set
	old     map[socketKey]*server // what is not part of the new configuration
	servers []*server             // the new configuration, in order
	fresh   map[*server]*settings // their settings
	added   []*server
	closed  []*server // of old, whose sockets had to make room
	done    Changes
}

// load loads certificates and tells apart what is kept and what is added. It changes nothing.
func (u *update) load(cfgs []*Config) error {
	seen := make(map[socketKey]*Config)
	for _, c := range cfgs {
		key := keyOf(c)
		if first := seen[key]; first != nil && (c.Port != 0 || c.Path != "") {
			return &OpenError{c, fmt.Errorf("the same listener is configured twice, first at %s", first.Source)}
		}
		seen[key] = c
		set, err := newSettings(c, &u.set.opt)
		if err != nil {
			return &OpenError{c, err}
		}
		v := u.old[key]
		if v != nil {
			delete(u.old, key)
			u.done.Kept = append(u.done.Kept, c)
		} else {
			v = &server{set: u.set}
			v.settings.Store(set)
			u.added = append(u.added, v)
			u.done.Opened = append(u.done.Opened, c)
		}
		set.server = v
		u.fresh[v] = set
		u.servers = append(u.servers, v)
	}
	return nil
}

// open opens what is added. A listener that goes and has the same port, on another address perhaps, makes room first.
func (u *update) open(ctx context.Context) error {
	for _, v := range u.added {
		c := v.settings.Load().cfg
		for key, o := range u.old {
			if c.Path == "" && c.Port != 0 && key.port == c.Port && !slices.Contains(u.closed, o) {
				u.closed = append(u.closed, o)
				o.unlisten()
			}
		}
		if err := v.open(ctx); err != nil {
			return err
		}
	}
	for _, v := range u.added {
		if err := v.listen(); err != nil {
			return err
		}
	}
	return nil
}

// undo closes what has been opened, and opens again what had made room.
func (u *update) undo(ctx context.Context) error {
	for _, v := range u.added {
		v.unlisten()
	}
	var err error
	for _, v := range u.closed {
		if e := v.open(ctx); e != nil {
			err = errors.Join(err, e)
			continue
		}
		err = errors.Join(err, v.listen())
	}
	return err
}

// commit puts the new configuration in force. Nothing can fail here.
func (u *update) commit() Changes {
	for _, v := range u.servers {
		set := u.fresh[v]
		if !slices.Contains(v.past, set.cfg) {
			v.past = append(v.past, set.cfg)
		}
		v.settings.Store(set)
	}
	for _, v := range u.set.servers {
		if _, kept := u.fresh[v]; kept {
			continue
		}
		v.remove()
		u.done.Removed = append(u.done.Removed, v.past...)
	}
	u.set.servers = u.servers
	return u.done
}

// open opens a server's sockets.
func (v *server) open(ctx context.Context) error {
	c := v.settings.Load().cfg
	sockets, err := openSockets(ctx, c, &v.set.opt)
	if err != nil {
		return &OpenError{c, err}
	}
	v.sockets = sockets
	for _, k := range sockets {
		k.server = v
	}
	return nil
}

// listen begins to accept on them.
func (v *server) listen() error {
	for _, k := range v.sockets {
		if err := v.set.front.listen(k); err != nil {
			return &OpenError{v.settings.Load().cfg, err}
		}
	}
	return nil
}

// remove closes a server's sockets and has no further connection announced.
func (v *server) remove() {
	v.unlisten()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.removed = true
}

// unlisten closes a server's sockets, if they are open.
func (v *server) unlisten() {
	for _, k := range v.sockets {
		v.set.front.unlisten(k)
	}
	v.sockets = nil
}

// OpenError says which listener could not be opened.
type OpenError struct {
	Listener *Config
	Err      error
}

func (e *OpenError) Error() string {
	where := "port " + strconv.Itoa(e.Listener.Port)
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
		if set.http, err = newHTTP(c, opt); err != nil {
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

// Recheck tells whether the certificate of a client that is connected would still do at its listener: it is none that has been revoked since, the authority is one of
// those that are trusted now, and there is one where the listener demands it. An error says why not.
func (s *Set) Recheck(i *Info) error {
	if i.TLS == nil {
		return nil
	}
	s.mu.Lock()
	var cfg *tls.Config
	for _, v := range s.servers {
		if now := v.settings.Load(); keyOf(now.cfg) == keyOf(i.Listener) {
			cfg = now.tls
		}
	}
	s.mu.Unlock()
	if cfg == nil || cfg.ClientAuth != tls.RequireAndVerifyClientCert {
		return nil
	}
	if len(i.TLS.PeerCertificates) == 0 {
		return errors.New("the listener demands a client certificate now")
	}
	between := x509.NewCertPool()
	for _, c := range i.TLS.PeerCertificates[1:] {
		between.AddCert(c)
	}
	if _, err := i.TLS.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: cfg.ClientCAs, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return err
	}
	if cfg.VerifyConnection == nil {
		return nil
	}
	return cfg.VerifyConnection(*i.TLS)
}
