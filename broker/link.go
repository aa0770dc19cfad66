package broker

import (
	"io"
	"sync"

	"picket/access"
	"picket/listener"
	"picket/session"
)

// newLinkDoor makes the listener of all links. It is in no configuration and has no socket, and its path is that of no other, as none has a zero byte in it.
func newLinkDoor() *Listener {
	l := &Listener{Config: listener.Config{Path: "\x00link", Source: "a bridge"}, MaxConnections: -1, MaxQoS: 2}
	l.transport()
	return l
}

// maxLinked is how many bytes wait in each direction of a link before the side that sends has to wait.
const maxLinked = 256 << 10

// Link is a connection to the broker from inside the program: MQTT in both directions, without a socket. Behind it is an ordinary client with an ordinary session,
// which is stored as others are, and can be taken over. What the program is trusted to say of itself it need not prove: a CONNECT without a password is let in.
// Without a user name no rules limit it; with one it has the rights of that user under the broker's own rules.
//
// A link lives until [Link.Leave], or until the broker ends its connection. Its methods may be called by any goroutine; one at a time may send, and one receive.
type Link struct {
	b      *Broker
	info   listener.Info
	client *connection
	worker *worker
	ended  chan struct{} // closed when the broker has let go of the connection

	mu      sync.Mutex
	changed sync.Cond // anything below has
	in      []byte    // to the broker, and not taken by it
	out     []byte    // from the broker, and not taken by the holder
	stirred bool      // there is something in in that the broker has not been shown since it was resumed
	paused  bool      // the broker takes nothing now
	owed    bool      // the broker waits for room in out
	roomy   bool      // and is to be told that there is some
	closed  bool
}

// Link opens a connection. It fails when the broker is about to end or has no place for another connection.
func (b *Broker) Link() (*Link, error) {
	l := &Link{b: b, info: listener.Info{Listener: b.links.transport()}, ended: make(chan struct{})}
	l.changed.L = &l.mu
	c, _ := b.Accept(l).(*connection)
	if c == nil {
		return nil, ErrClosed
	}
	l.client, l.worker = c, b.newWorker()
	go l.serve()
	return l, nil
}

// Send gives bytes to the broker. It waits while the broker takes none, and fails with [ErrClosed] when the connection has ended.
func (l *Link) Send(p []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.in) > maxLinked && !l.closed {
		l.changed.Wait()
	}
	if l.closed {
		return ErrClosed
	}
	l.in = append(l.in, p...)
	l.stirred = true
	l.changed.Broadcast()
	return nil
}

// Receive waits for bytes from the broker and returns all that there are. The error is [io.EOF] when the connection has ended.
func (l *Link) Receive() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.out) == 0 && !l.closed {
		l.changed.Wait()
	}
	if len(l.out) == 0 {
		return nil, io.EOF
	}
	p := l.out
	l.out = nil
	if l.owed {
		l.owed, l.roomy = false, true
		l.changed.Broadcast()
	}
	return p, nil
}

// PacketID takes the next packet identifier of the session out of those that the broker gives to its messages, for a packet that the holder sends on by itself: so
// that none is used twice. Only after CONNACK.
func (l *Link) PacketID() uint16 {
	s := l.client.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.Skip()
	last, _ := s.out.Marks()
	return session.PacketID(last)
}

// Received are the packet identifiers of QoS 2 that the session has received and that have not been released, ascending. Only after CONNACK.
func (l *Link) Received() []uint16 {
	s := l.client.s
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in.IDs()
}

// Subscriptions are the topic filters of the session, in no order. Only after CONNACK.
func (l *Link) Subscriptions() (filters []string) {
	s := l.client.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for filter := range s.subs.all() {
		filters = append(filters, filter)
	}
	return filters
}

// QueueQoS0 has messages of QoS 0 wait in the session of a client, too, while it has no connection, or no longer.
func (b *Broker) QueueQoS0(clientID string, yes bool) {
	s := b.session(clientID)
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queuesQoS0 = yes
}

// Waiting tells how many messages wait for a client, and how many bytes they have; 0 where there is no such session.
func (b *Broker) Waiting(clientID string) (messages, bytes int) {
	s := b.session(clientID)
	if s == nil {
		return 0, 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Waiting() + s.out.Inflight(), s.out.WaitingBytes()
}

// EndSession ends the session of a client that has no connection, with all that waits in it, and reports whether there was one.
func (b *Broker) EndSession(clientID string) bool {
	b.mu.Lock()
	s := b.sessions.byID[clientID]
	if s == nil {
		b.mu.Unlock()
		return false
	}
	s.mu.Lock()
	if s.conn != nil || s.over {
		s.mu.Unlock()
		b.mu.Unlock()
		return false
	}
	b.sessions.leave(clientID)
	s.will = nil
	ended := b.finish(s)
	s.mu.Unlock()
	b.mu.Unlock()
	b.endStored(ended)
	return true
}

// Leave ends the connection and returns when the broker has let go of it. A second call does nothing.
func (l *Link) Leave() {
	l.Close()
	<-l.ended
}

// Close implements [listener.Conn]: it ends the connection without waiting.
func (l *Link) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.changed.Broadcast()
}

// serve is the goroutine that calls the broker's side.
func (l *Link) serve() {
	defer close(l.ended)
	for {
		in, roomy, ok := l.next()
		if !ok {
			break
		}
		if roomy {
			l.client.Writable(l.worker)
		}
		n := 0
		if len(in) > 0 {
			n, _ = l.client.Read(l.worker, in)
		}
		l.worker.Flush()
		if n < len(in) {
			l.giveBack(in[n:])
		}
		l.mu.Lock()
		l.changed.Broadcast() // there may be room for the sender
		l.mu.Unlock()
	}
	l.client.Closed(l.worker, nil)
	l.worker.Flush()
}

// next waits for something to do: bytes for the broker, or the news that it may write again; ok is false when the connection has ended.
func (l *Link) next() (in []byte, roomy, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed && !l.roomy && (l.paused || !l.stirred || len(l.in) == 0) {
		l.changed.Wait()
	}
	if l.closed && (!l.stirred || l.paused || len(l.in) == 0) { // what was sent before, a DISCONNECT among it, is heard
		return nil, false, false
	}
	roomy, l.roomy = l.roomy, false
	if l.stirred && !l.paused {
		in, l.in, l.stirred = l.in, nil, false
	}
	return in, roomy, true
}

// giveBack puts what the broker has not taken before what has come since.
func (l *Link) giveBack(rest []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.in = append(append(make([]byte, 0, len(rest)+len(l.in)), rest...), l.in...)
}

// Write implements [listener.Conn].
func (l *Link) Write(bufs [][]byte) (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, ErrClosed
	}
	for _, b := range bufs {
		take := min(len(b), max(0, maxLinked-len(l.out)))
		l.out = append(l.out, b[:take]...)
		if n += take; take < len(b) {
			l.owed = true
			break
		}
	}
	l.changed.Broadcast()
	return n, nil
}

// Pause implements [listener.Conn].
func (l *Link) Pause() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused = true
}

// Resume implements [listener.Conn].
func (l *Link) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused, l.stirred = false, true
	l.changed.Broadcast()
}

// Hold implements [listener.Conn]: nobody is charged.
func (*Link) Hold(int) {}

// Admitted implements [listener.Conn].
func (*Link) Admitted() {}

// Finish implements [listener.Conn]. What has been written stays to be received.
func (l *Link) Finish() { l.Close() }

// Info implements [listener.Conn].
func (l *Link) Info() *listener.Info { return &l.info }

// linked tells whether a connection comes from inside the program.
func (c *connection) linked() bool { return c.from == c.b.links }

// trust lets in a client that has come by a [Link], without asking for a password.
func (c *connection) trust(w *worker, a *attempt) {
	if a.client = access.Trusted(a.login.ClientID); a.login.HasUsername {
		a.client = a.policy.Client(a.login, access.Decision{Allow: true})
	}
	c.admitted(w, a)
}
