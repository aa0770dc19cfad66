package sentinel

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"picket/cause"
	"picket/resp"
)

// maxOutput is how many bytes may wait for a client that does not read, before its connection is ended.
const maxOutput = 8 << 20

// noReply is what a handler returns that has written its replies itself.
var noReply = resp.Value{}

// client is one connection of a client.
type client struct {
	s       *Sentinel
	id      int64
	conn    net.Conn
	addr    string
	laddr   string
	created time.Time

	mu        sync.Mutex
	wake      *sync.Cond
	out       []byte
	closing   bool // no more output is accepted; what is there is still written
	last      bool // the command that runs is the last: its reply is still written
	proto     int
	name      string
	lib       [2]string // name and version
	user      *user
	authed    bool
	lastUse   time.Time
	lastCmd   string
	channels  []string
	patterns  []string
	replyOff  bool
	skipNext  bool
	skipThis  bool
	noEvict   bool
	tracking  bool
	cacheMode string // of tracking: optin, optout or empty
	buffered  int    // bytes of input that wait
}

// serve reads and runs commands until the connection ends.
func (c *client) serve() {
	writerDone := make(chan struct{})
	go func() { c.writeLoop(); close(writerDone) }()
	defer func() {
		c.s.removeClient(c)
		c.finish()
		<-writerDone
		c.conn.Close()
	}()
	if t, ok := c.conn.(*tls.Conn); ok {
		c.conn.SetDeadline(time.Now().Add(10 * time.Second))
		if err := t.Handshake(); err != nil {
			c.s.log.printf(LogWarning, "Error accepting a client connection: %v (addr=%s laddr=%s)", err, c.addr, c.laddr)
			return
		}
		c.conn.SetDeadline(time.Time{})
	}
	r := resp.NewReader(c.conn)
	for {
		if c.s.cfg.IdleTimeout > 0 && !c.subscribed() {
			c.conn.SetReadDeadline(time.Now().Add(c.s.cfg.IdleTimeout))
		} else {
			c.conn.SetReadDeadline(time.Time{})
		}
		r.Limits = resp.DefaultLimits
		if !c.loggedIn() {
			r.Limits = resp.StrangerLimits
		}
		args, err := r.Command()
		if err != nil {
			var p *resp.ProtocolError
			if errors.As(err, &p) {
				c.s.log.printf(LogVerbose, "Protocol error from client: %s. Query buffer of %s", p.Reason, c.addr)
				c.write(resp.Err("ERR " + p.Error()))
			}
			return
		}
		if len(args) == 0 {
			continue
		}
		if fromWebPage(args) {
			c.s.log.printf(LogWarning, "Connection from %s ended: it sends HTTP, as a web page does that makes a browser talk to this port. Nothing of it was run [%s]",
				c.addr, cause.SentinelHTTPRequest)
			return
		}
		c.mu.Lock()
		c.lastUse = time.Now()
		c.buffered = r.Buffered()
		c.mu.Unlock()
		c.s.waitWhilePaused(c, args)
		v := c.s.execute(c, args)
		c.reply(v)
		if c.ending() {
			return
		}
	}
}

// fromWebPage recognizes the first lines of an HTTP request. Any page can have a browser send one to a port of the machine that it runs on, and each line of
// its body would be a command here.
func fromWebPage(args []string) bool {
	return strings.EqualFold(args[0], "post") || strings.EqualFold(args[0], "host:") || len(args) == 3 && strings.HasPrefix(args[2], "HTTP/")
}

// reply writes the reply to a command, unless CLIENT REPLY turned replies off.
func (c *client) reply(v resp.Value) {
	c.mu.Lock()
	off := c.replyOff || c.skipThis
	c.skipThis, c.skipNext = c.skipNext, false
	c.mu.Unlock()
	if v.Kind != 0 && !off {
		c.write(v)
	}
}

// write queues a value for the client.
func (c *client) write(v resp.Value) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return
	}
	c.out = resp.Append(c.out, c.proto, v)
	if len(c.out) > maxOutput {
		c.s.log.printf(LogWarning, "Client %s closed: %d bytes wait for it and it does not read", c.addr, len(c.out))
		c.out = nil
		c.closing = true
		c.conn.Close()
	}
	c.wake.Signal()
}

func (c *client) writeLoop() {
	var spare []byte
	for {
		c.mu.Lock()
		for len(c.out) == 0 && !c.closing {
			c.wake.Wait()
		}
		buf := c.out
		c.out = spare[:0]
		end := c.closing
		c.mu.Unlock()
		if len(buf) > 0 {
			c.conn.SetWriteDeadline(time.Now().Add(30 * time.Second))
			if _, err := c.conn.Write(buf); err != nil {
				c.conn.Close()
				c.finish()
				return
			}
		}
		if end {
			return
		}
		spare = buf
		if cap(spare) > 64<<10 {
			spare = nil
		}
	}
}

// finish lets the writer end once all is written.
func (c *client) finish() {
	c.mu.Lock()
	c.closing = true
	c.wake.Signal()
	c.mu.Unlock()
}

// kill ends a connection: at once, or, where it is the client's own doing, after its reply.
func (c *client) kill(self bool) {
	if self {
		c.mu.Lock()
		c.last = true
		c.mu.Unlock()
		return
	}
	c.finish()
	c.conn.Close()
}

func (c *client) ending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing || c.last
}

func (c *client) loggedIn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.authed
}

func (c *client) subscribed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.channels)+len(c.patterns) > 0
}

// userName is who the client is, as CLIENT LIST shows it.
func (c *client) userName() string {
	if c.user == nil {
		return "(superuser)"
	}
	return c.user.name
}

// info is the line of CLIENT LIST.
func (c *client) info() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	flags := ""
	if len(c.channels)+len(c.patterns) > 0 {
		flags += "P"
	}
	if c.noEvict {
		flags += "e"
	}
	if c.tracking {
		flags += "t"
	}
	if c.closing {
		flags += "c"
	}
	if flags == "" {
		flags = "N"
	}
	now := time.Now()
	return fmt.Sprintf("id=%d addr=%s laddr=%s fd=-1 name=%s age=%d idle=%d flags=%s db=0 sub=%d psub=%d ssub=0 multi=-1 qbuf=%d qbuf-free=%d argv-mem=0 multi-mem=0 rbs=4096 rbp=0 obl=%d oll=0 omem=0 tot-mem=%d events=r cmd=%s user=%s redir=-1 resp=%d",
		c.id, c.addr, c.laddr, c.name, int(now.Sub(c.created).Seconds()), int(now.Sub(c.lastUse).Seconds()), flags, len(c.channels), len(c.patterns),
		c.buffered, max(4096-c.buffered, 0), len(c.out), 4096+cap(c.out), c.lastCmd, c.userName(), c.proto)
}

// kind is the client's type as CLIENT KILL TYPE and CLIENT LIST TYPE know it.
func (c *client) kind() string {
	if c.subscribed() {
		return "pubsub"
	}
	return "normal"
}

// clients is the register of connections.
type clients struct {
	mu       sync.Mutex
	byID     map[int64]*client
	lastID   int64
	pauseEnd time.Time
	unpaused chan struct{} // closed when a pause is ended early
}

func (s *Sentinel) addClient(conn net.Conn) *client {
	now := time.Now()
	c := &client{s: s, conn: conn, proto: 2, created: now, lastUse: now, lastCmd: "NULL"}
	c.wake = sync.NewCond(&c.mu)
	c.addr, c.laddr = conn.RemoteAddr().String(), conn.LocalAddr().String()
	if _, ok := conn.LocalAddr().(*net.UnixAddr); ok {
		c.addr, c.laddr = s.cfg.UnixSocket+":0", s.cfg.UnixSocket+":0"
	}
	c.user, c.authed = s.acl.initial()
	s.clients.mu.Lock()
	defer s.clients.mu.Unlock()
	if len(s.clients.byID) >= s.cfg.MaxClients {
		s.stats.rejected.Add(1)
		return nil
	}
	s.clients.lastID++
	c.id = s.clients.lastID
	s.clients.byID[c.id] = c
	return c
}

func (s *Sentinel) removeClient(c *client) {
	s.clients.mu.Lock()
	delete(s.clients.byID, c.id)
	s.clients.mu.Unlock()
}

// allClients are the clients by their ids.
func (s *Sentinel) allClients() []*client {
	s.clients.mu.Lock()
	defer s.clients.mu.Unlock()
	all := make([]*client, 0, len(s.clients.byID))
	for _, c := range s.clients.byID {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *client) int { return int(a.id - b.id) })
	return all
}

// waitWhilePaused holds a command back until CLIENT PAUSE has passed. Only what ends the pause goes through.
func (s *Sentinel) waitWhilePaused(c *client, args []string) {
	if len(args) == 2 && strings.EqualFold(args[0], "client") && strings.EqualFold(args[1], "unpause") {
		return
	}
	s.clients.mu.Lock()
	wait, early := time.Until(s.clients.pauseEnd), s.clients.unpaused
	s.clients.mu.Unlock()
	if wait <= 0 {
		return
	}
	select {
	case <-time.After(wait):
	case <-early:
	case <-s.done:
	}
}

func (s *Sentinel) pause(d time.Duration) {
	s.clients.mu.Lock()
	defer s.clients.mu.Unlock()
	if end := time.Now().Add(d); d == 0 || end.After(s.clients.pauseEnd) {
		s.clients.pauseEnd = end
	}
	if s.clients.unpaused != nil && d == 0 {
		close(s.clients.unpaused)
		s.clients.unpaused = nil
	}
	if s.clients.unpaused == nil {
		s.clients.unpaused = make(chan struct{})
	}
}

// listen opens all sockets that the configuration names.
func (s *Sentinel) listen() error {
	hosts := s.cfg.Bind
	if len(hosts) == 0 {
		hosts = []string{"*", "-::*"}
	}
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: s.cfg.KeepAlive > 0, Idle: s.cfg.KeepAlive, Interval: s.cfg.KeepAlive / 3}}
	open := func(port int, secure bool) error {
		if port == 0 {
			return nil
		}
		opened := 0
		for _, h := range hosts {
			// A leading - says that the address may be missing on this machine.
			host, optional := strings.CutPrefix(h, "-")
			network := "tcp"
			switch host {
			case "*":
				network, host = "tcp4", ""
			case "::*":
				network, host = "tcp6", "::"
			}
			l, err := lc.Listen(s.ctx, network, net.JoinHostPort(host, strconv.Itoa(port)))
			if err != nil {
				if optional && !isAddressInUse(err) {
					continue
				}
				return fmt.Errorf("Could not create server TCP listening socket %s:%d: %w", h, port, err) //nolint:staticcheck // Redis' text
			}
			opened++
			if secure {
				l = tls.NewListener(l, s.serverTLS)
			}
			s.listeners = append(s.listeners, l)
		}
		if opened == 0 {
			return fmt.Errorf("no address of bind could be listened on at port %d", port)
		}
		return nil
	}
	if err := open(s.cfg.Port, false); err != nil {
		return err
	}
	if err := open(s.cfg.TLSPort, true); err != nil {
		return err
	}
	if s.cfg.UnixSocket != "" {
		l, err := listenUnix(s.cfg.UnixSocket, s.cfg.UnixSocketMode, s.cfg.UnixSocketGroup)
		if err != nil {
			return err
		}
		s.listeners = append(s.listeners, l)
	}
	if len(s.listeners) == 0 {
		return errors.New("Configured to not listen anywhere, exiting.") //nolint:staticcheck // Redis' text
	}
	return nil
}

// accept takes connections until the listener is closed.
func (s *Sentinel) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			if s.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors, most likely: give others the time to end.
			s.log.printf(LogWarning, "Accepting client connection: %v", err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		s.stats.connections.Add(1)
		if s.cfg.ProtectedMode && s.acl.defaultOpen() && !fromThisMachine(conn) {
			refuse(conn, "DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface.")
			continue
		}
		c := s.addClient(conn)
		if c == nil {
			refuse(conn, "ERR max number of clients reached")
			continue
		}
		s.wg.Go(c.serve)
	}
}

func refuse(conn net.Conn, text string) {
	conn.SetDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write(resp.Append(nil, 2, resp.Err(text)))
	conn.Close()
}

func fromThisMachine(conn net.Conn) bool {
	a, ok := conn.RemoteAddr().(*net.TCPAddr)
	return !ok || a.IP.IsLoopback()
}
