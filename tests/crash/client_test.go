//go:build unix

package crash

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"picket/internal/testbed"
	"picket/packet"
)

// patience bounds every single answer of a broker that is alive. It is long because the machine may be busy, and only a broker
// that hangs makes anybody wait for it.
const patience = testbed.Patience

// link is a network connection and the packets that arrive on it.
type link struct {
	conn       net.Conn
	version    packet.Version
	buf        []byte
	start, end int
}

// next is the next packet, valid until the following call.
func (l *link) next() (first byte, body []byte, err error) {
	for {
		head, remaining, err := packet.Header(l.buf[l.start:l.end])
		if err != nil {
			return 0, nil, err
		}
		if total := head + remaining; head > 0 && l.end-l.start >= total {
			p := l.buf[l.start : l.start+total]
			l.start += total
			return p[0], p[head:], nil
		}
		l.end = copy(l.buf, l.buf[l.start:l.end])
		l.start = 0
		if l.end == len(l.buf) {
			l.buf = append(l.buf, make([]byte, len(l.buf))...)
		}
		n, err := l.conn.Read(l.buf[l.end:])
		l.end += n
		if err != nil && n == 0 {
			return 0, nil, err
		}
	}
}

// empty tells whether nothing more has arrived with the last packet.
func (l *link) empty() bool { return l.start == l.end }

// role is what a client does with packets. All methods are called with the client's lock held.
type role interface {
	begin(present bool) // CONNACK has come
	received(first byte, body []byte) error
	disconnected() // nothing of what was not written will be
}

// answer is a packet that may wait a little before it is written.
type answer struct {
	bytes   []byte
	written func() // called when it is written; nil for nothing to do
}

// client is one client identifier with its connections, one at a time.
type client struct {
	w       *world
	id      string
	version packet.Version
	clean   bool // its sessions end with their connections
	rng     *rand.Rand
	role    role

	mu          sync.Mutex
	link        *link         // nil: not connected
	ended       chan struct{} // closed when nothing more is read from link
	answers     []answer
	lag         int  // how many answers may wait
	window      int  // the server's Receive Maximum
	attempted   bool // a CONNECT for a session that survives has been written
	established bool // its CONNACK has come
	lastID      uint16
}

func (w *world) client(id string, version packet.Version) client {
	return client{w: w, id: id, version: version, rng: w.random(id)}
}

// connect makes a connection and waits for its CONNACK. The error is nil or that of a connection that ended; everything else that
// could be wrong is a fault.
func (c *client) connect() error {
	conn, err := net.DialTimeout("tcp", c.w.broker.addr, patience)
	if err != nil {
		return err
	}
	hello := &packet.Connect{Version: c.version, CleanStart: c.clean, ClientID: c.id}
	if c.version == packet.V5 && !c.clean {
		hello.Props = (&packet.Properties{SessionExpiry: 86400}).Set(packet.SessionExpiryInterval)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	expected, possible := c.established, c.attempted
	if c.attempted = c.attempted || !c.clean; c.clean {
		c.established = false // unless the CONNECT gets lost
	}
	l := &link{conn: conn, version: c.version, buf: make([]byte, 16<<10)}
	ack, err := l.handshake(hello)
	if err != nil {
		conn.Close()
		return err
	}
	c.w.happened(packet.CONNACK)
	if ack.Code != packet.Success {
		conn.Close()
		return fmt.Errorf("refused with %v", ack.Code)
	}
	switch {
	case c.clean && ack.SessionPresent:
		c.w.ledger.fail(protocol, "%s asked for a clean start and got session present", c.id)
	case !c.clean && expected && !ack.SessionPresent:
		c.w.ledger.fail(forgotten, "the session of %s (MQTT %v) is gone", c.id, c.version)
	case !c.clean && !possible && ack.SessionPresent:
		c.w.ledger.fail(forgotten, "there is a session of %s (MQTT %v), which has none", c.id, c.version)
	}
	c.established = !c.clean
	if c.clean {
		c.attempted = false
	}
	c.link, c.answers, c.ended = l, nil, make(chan struct{})
	c.window = 65535
	if ack.Props.Has(packet.ReceiveMaximum) {
		c.window = int(ack.Props.ReceiveMaximum)
	}
	c.lag = 0
	if !c.w.resting.Load() && c.rng.IntN(2) == 0 {
		c.lag = c.rng.IntN(maxLag)
	}
	c.role.begin(ack.SessionPresent)
	c.flush(c.lag)
	go c.read(l, c.ended)
	return nil
}

// maxLag is how many answers may wait: fewer than the least max_inflight_messages, so that something always comes.
const maxLag = 10

// handshake writes CONNECT and reads CONNACK.
func (l *link) handshake(hello *packet.Connect) (*packet.Connack, error) {
	l.conn.SetDeadline(time.Now().Add(patience))
	defer l.conn.SetDeadline(time.Time{})
	if _, err := l.conn.Write(hello.Append(nil, l.version)); err != nil {
		return nil, err
	}
	first, body, err := l.next()
	if err != nil {
		return nil, err
	}
	p, err := packet.Decode(l.version, first, body)
	if err != nil {
		return nil, err
	}
	ack, ok := p.(*packet.Connack)
	if !ok {
		return nil, fmt.Errorf("%v came in place of CONNACK", p.Type())
	}
	return ack, nil
}

// read handles what comes until the connection ends, all that had been sent before the broker's end included.
func (c *client) read(l *link, ended chan struct{}) {
	defer close(ended)
	for {
		first, body, err := l.next()
		c.mu.Lock()
		if c.link != l { // hung up
			c.mu.Unlock()
			return
		}
		if err == nil {
			err = c.received(first, body)
		}
		if err != nil {
			var wrong *packet.Error
			if errors.As(err, &wrong) {
				c.w.ledger.fail(protocol, "%s: %v", c.id, wrong)
			}
			c.drop()
			c.mu.Unlock()
			return
		}
		if l.empty() {
			c.flush(c.lag)
		}
		c.mu.Unlock()
	}
}

func (c *client) received(first byte, body []byte) error {
	kind := packet.Type(first >> 4)
	c.w.happened(kind)
	if kind != packet.DISCONNECT {
		return c.role.received(first, body)
	}
	p, err := packet.Decode(c.version, first, body)
	if err != nil {
		return err
	}
	if code := p.(*packet.Disconnect).Code; code != packet.ServerShuttingDown {
		c.w.ledger.fail(protocol, "%s was disconnected with %v", c.id, code)
	}
	return errors.New("disconnected")
}

// drop ends the connection. c.mu is held.
func (c *client) drop() {
	if c.link == nil {
		return
	}
	c.link.conn.Close()
	c.link = nil
	c.role.disconnected()
}

// leave ends the connection with DISCONNECT or without.
func (c *client) leave(politely bool) {
	c.mu.Lock()
	ended := c.ended
	if c.link != nil {
		if politely {
			c.flush(0)
			c.write((&packet.Disconnect{}).Append(nil, c.version))
		}
		c.drop()
	}
	c.mu.Unlock()
	if ended != nil {
		<-ended
	}
}

// takeOver connects while the old connection is still there.
func (c *client) takeOver() error {
	c.mu.Lock()
	old, ended := c.link, c.ended
	if old == nil {
		c.mu.Unlock()
		return nil
	}
	c.link = nil
	c.role.disconnected()
	c.mu.Unlock()
	defer old.conn.Close()
	// What has not been read yet is as if lost on the way. It must not be acted on after what comes on the new connection.
	old.conn.SetReadDeadline(time.Unix(1, 0))
	<-ended
	return c.connect()
}

// over is closed when the connection has ended; nil if there was none.
func (c *client) over() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// write writes. An error is left to the reader, which gets all that came before the end. c.mu is held.
func (c *client) write(b []byte) {
	c.link.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.link.conn.Write(b); err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		c.w.ledger.fail(protocol, "%s: the broker reads nothing for %v", c.id, patience)
	}
}

// reply has a packet written soon. c.mu is held.
func (c *client) reply(p packet.Packet, written func()) {
	c.answers = append(c.answers, answer{p.Append(nil, c.version), written})
}

// flush writes the answers but for the last few, in one piece. c.mu is held.
func (c *client) flush(keep int) {
	n := len(c.answers) - keep
	if n <= 0 || c.link == nil {
		return
	}
	var b []byte
	for _, a := range c.answers[:n] {
		b = append(b, a.bytes...)
		if a.written != nil {
			a.written()
		}
	}
	c.answers = slices.Delete(c.answers, 0, n)
	c.write(b)
}

// hurry writes all answers that wait.
func (c *client) hurry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.w.resting.Load() {
		c.lag = 0
	}
	c.flush(0)
}

// packetID is the next packet identifier for which used is false.
func (c *client) packetID(used func(uint16) bool) uint16 {
	for {
		if c.lastID++; c.lastID != 0 && !used(c.lastID) {
			return c.lastID
		}
	}
}

// persist has the client connected, however often it has to try until the life is over.
func (c *client) persist(l *life) bool {
	for !c.connected() {
		if c.connect() == nil {
			return true
		}
		if !l.pause(5 * time.Millisecond) {
			return false
		}
	}
	return true
}

func (c *client) connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link != nil
}
