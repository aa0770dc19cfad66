package listener

import (
	"cmp"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"picket/cause"
)

const (
	streamBuffer = 64 << 10 // what one read of a goroutine takes at most
	maxBenches   = 64       // how many goroutines read at the same time, and so how many buffers there are
)

// streams are the connections of a set that have a goroutine each.
type streams struct {
	set *Set

	mu     sync.Mutex
	closed bool
	all    map[net.Conn]*stream // by the socket; the value is nil until the transport is ready

	idleAfter time.Duration
	lot       atomic.Pointer[parking] // nil until the first stream parks; made under mu

	benches chan *bench // idle ones
	made    chan struct{}
}

// bench is what a goroutine needs while it works on what has arrived: nothing of it is held by an idle connection.
type bench struct {
	worker Worker
	spares spares
	in     []byte // read from the socket
	text   []byte // decrypted; made when first needed
	joined []byte // an incomplete packet and what follows it; made when first needed
}

// room returns *buf, made with a size when it is first needed.
func room(buf *[]byte, size int) []byte {
	if *buf == nil {
		*buf = make([]byte, size)
	}
	return *buf
}

// prelude is what is known of a connection already when a goroutine gets it.
type prelude struct {
	bytes    []byte // read already
	proxied  bool   // the PROXY header has been read
	proxyTLS *ProxyTLS
	since    time.Time // when the system accepted it
}

func (s *streams) init(set *Set) {
	s.set = set
	s.idleAfter = cmp.Or(set.opt.Idle, idleAfter)
	s.all = make(map[net.Conn]*stream)
	s.benches = make(chan *bench, maxBenches)
	s.made = make(chan struct{}, maxBenches)
}

// bench returns an idle bench, makes one, or waits for one. Nobody holds one while waiting for the network.
func (s *streams) bench() *bench {
	select {
	case b := <-s.benches:
		return b
	default:
	}
	select {
	case b := <-s.benches:
		return b
	case s.made <- struct{}{}:
		return &bench{worker: s.set.handler.NewWorker(), in: make([]byte, streamBuffer)}
	}
}

func (s *streams) giveBack(b *bench) { s.benches <- b }

// fromFile serves a connection that was accepted on an event loop. It takes the file over.
func (s *streams) fromFile(f *os.File, at *endpoint, remote netip.AddrPort, p prelude) {
	s.start(at, remote, p, func() (net.Conn, error) {
		defer f.Close()
		return net.FileConn(f)
	}, func() { f.Close() })
}

// fromConn serves a connection of Go's network poller.
func (s *streams) fromConn(nc net.Conn, at *endpoint, remote netip.AddrPort) {
	s.start(at, remote, prelude{since: time.Now()}, func() (net.Conn, error) { return nc, nil }, func() { nc.Close() })
}

// start begins a connection's goroutine.
func (s *streams) start(at *endpoint, remote netip.AddrPort, p prelude, open func() (net.Conn, error), drop func()) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		drop()
		return
	}
	s.set.running.Add(1)
	s.mu.Unlock()
	c := newStream(s, at, remote)
	o := &newcomer{conn: c, since: p.since, base: streamCost}
	c.opening.Store(o)
	s.set.newcomers.enter(o, remote)
	go func() {
		nc, err := open()
		switch {
		case err != nil:
			s.set.refuse(&Refusal{remote, at.cfg, cause.FDLimit, err.Error(), false})
		case !s.enter(c, o, nc):
			nc.Close()
		case c.open(p):
			c.run()
			return
		default:
			c.gone()
			return
		}
		s.set.newcomers.leave(o)
		s.set.running.Done()
	}()
}

// enter registers a connection, so that close and castOut find it.
func (s *streams) enter(c *stream, o *newcomer, nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || o.evicted.Load() {
		return false
	}
	c.wire = newWire(s.set, nc)
	c.socket = nc
	s.all[nc] = nil
	return true
}

// leave is the end of a connection that has entered.
func (s *streams) leave(c *stream) {
	if lot := s.lot.Load(); lot != nil {
		lot.forget(c)
	}
	s.mu.Lock()
	delete(s.all, c.wire.nc)
	s.mu.Unlock()
	if o := c.opening.Load(); o != nil {
		s.set.newcomers.leave(o)
	}
	s.set.running.Done()
}

// parking returns where streams park; nil when they cannot, or shall not any more.
func (s *streams) parking() *parking {
	if lot := s.lot.Load(); lot != nil {
		return lot
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lot.Load() == nil && !s.closed {
		s.lot.Store(newParking())
	}
	return s.lot.Load()
}

// announce marks a connection as ready: from here on it is closed in an orderly way.
func (s *streams) announce(c *stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.all[c.wire.nc] = c
	return true
}

// catchUp has every connection that the core knows handle what has arrived at it, once, and returns when they have.
func (s *streams) catchUp() {
	var done sync.WaitGroup
	s.mu.Lock()
	for _, c := range s.all {
		if c != nil {
			c.askToCatchUp(&done)
		}
	}
	s.mu.Unlock()
	done.Wait()
}

// close ends all connections, and returns when they have.
func (s *streams) close() {
	s.closeAll()
	s.set.running.Wait()
	if lot := s.lot.Load(); lot != nil {
		lot.close()
	}
}

func (s *streams) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for nc, c := range s.all {
		if c == nil {
			nc.Close()
		} else {
			c.Close()
			_ = nc.SetReadDeadline(time.Unix(1, 0)) // it may be lingering
		}
	}
}
