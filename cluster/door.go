package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"picket/cause"
	"picket/cluster/machine"
	"picket/cluster/wire"
	"picket/logging"
)

// Bounds of sockets whose other end is not known yet.
const (
	mostStrangers  = 32 // at once
	mostOfOneHost  = 4
	introduction   = 5 * time.Second
	dialTime       = 2 * time.Second
	waitForUnknown = 2 * time.Second // how long a fingerprint is waited for that Redis may have by now
)

// door is the socket that peers make links to.
type door struct {
	n      *Node
	socket net.Listener

	mu    sync.Mutex
	from  map[string]int // strangers by their address
	count int
}

func (d *door) run() {
	for {
		conn, err := d.socket.Accept()
		switch {
		case d.n.context.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return
		case err != nil:
			select { // too many open files, for instance
			case <-d.n.context.Done():
				return
			case <-time.After(pauseOfCalls):
			}
		case !d.admit(conn):
			conn.Close()
		default:
			d.n.wait.Go(func() {
				defer d.leave(conn)
				if err := d.n.meet(conn); err != nil {
					conn.Close()
				}
			})
		}
	}
}

func hostOf(conn net.Conn) string {
	host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	return host
}

// admit finds room for a stranger, if there is any.
func (d *door) admit(conn net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	host := hostOf(conn)
	if d.count >= mostStrangers || d.from[host] >= mostOfOneHost {
		return false
	}
	d.count++
	d.from[host]++
	return true
}

func (d *door) leave(conn net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	host := hostOf(conn)
	d.count--
	if d.from[host]--; d.from[host] == 0 {
		delete(d.from, host)
	}
}

// errStranger says that a key is no node's.
var errStranger = errors.New("its key is not that of any node in Redis")

// tls is what both ends ask of each other. check is told the other one's fingerprint.
func (n *Node) tls(check func(fingerprint string) error) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{n.key}, ClientAuth: tls.RequireAnyClientCert, SessionTicketsDisabled: true,
		InsecureSkipVerify: true, //nolint:gosec // there are no authorities: the certificate's fingerprint is compared with the one in Redis, below
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return errStranger
			}
			return check(fingerprintOf(s.PeerCertificates[0].Raw))
		},
	}
}

// meet finds out who has come, and makes a link of it.
func (n *Node) meet(conn net.Conn) error {
	_ = conn.SetDeadline(time.Now().Add(introduction))
	var row machine.Row
	c := tls.Server(conn, n.tls(func(fingerprint string) (err error) {
		row, err = n.awaitKnown(fingerprint)
		return err
	}))
	ctx, cancel := context.WithTimeout(n.context, introduction)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		if errors.Is(err, errStranger) {
			n.log.Cause(logging.Warning, cause.ClusterPeerUnknown, "Refused a link from %s: %v.", conn.RemoteAddr(), err)
		}
		return err
	}
	hello, err := readHello(c)
	if err != nil {
		return err
	}
	if hello.Incarnation != row.Incarnation {
		n.log.Cause(logging.Warning, cause.ClusterPeerUnknown, "Refused a link from %s: it says that it is number %d of the cluster, and has the key of number %d.", conn.RemoteAddr(), hello.Incarnation, row.Incarnation)
		return errStranger
	}
	n.inbox.put(func() { n.accepted(c, hello) })
	return nil
}

// awaitKnown finds the node with a fingerprint. One that Redis has since a moment ago is waited for.
func (n *Node) awaitKnown(fingerprint string) (machine.Row, error) {
	until := time.After(waitForUnknown)
	for {
		row, ok, again := n.known.find(fingerprint)
		if ok {
			return row, nil
		}
		n.inbox.put(func() { n.m.Hello(0) }) // of no node: has the rows read
		select {
		case <-again:
			if row, ok, _ = n.known.find(fingerprint); ok {
				return row, nil
			}
		case <-until:
			return row, errStranger
		case <-n.context.Done():
			return row, errStranger
		}
	}
}

func readHello(r io.Reader) (*wire.Hello, error) {
	var prefix [4]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil, err
	}
	size, err := wire.Length(prefix, wire.MaxHello)
	if err != nil {
		return nil, err
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	f, err := wire.Decode(data)
	if err != nil {
		return nil, err
	}
	hello, ok := f.Body.(*wire.Hello)
	if !ok {
		return nil, fmt.Errorf("a link begins with %s", f.Body.Kind())
	}
	return hello, nil
}

// accepted makes a link of a connection that a peer has made.
func (n *Node) accepted(c *tls.Conn, hello *wire.Hello) {
	mine := n.m.Hello(hello.Incarnation)
	if mine == nil || !n.speaks(mine, hello) || n.context.Err() != nil {
		c.NetConn().Close()
		return
	}
	l := n.newLink(c, mine, hello)
	l.send(wire.Frame{Body: mine})
	n.linked(l, hello)
}

// speaks tells whether both sides have a version of frames in common.
func (n *Node) speaks(mine, hello *wire.Hello) bool {
	_, ok := wire.Common(mine, hello)
	if !ok {
		n.log.Cause(logging.Error, cause.ClusterVersion, "No link to node %s: it speaks versions %d to %d of what nodes say to one another, and this one %d to %d.", hello.Node, hello.Lowest, hello.Highest, mine.Lowest, mine.Highest)
	}
	return ok
}

// dial makes a link to a peer, on a goroutine of its own.
func (n *Node) dial(o machine.Dial) {
	mine := n.m.Hello(o.Peer)
	if mine == nil || n.dialing[o.Peer] {
		return
	}
	n.dialing[o.Peer] = true
	n.wait.Go(func() {
		c, hello, err := n.reach(o, mine)
		n.inbox.put(func() {
			delete(n.dialing, o.Peer)
			if err != nil {
				n.unreachable(o, err)
				return
			}
			if n.context.Err() != nil || !n.speaks(mine, hello) {
				c.NetConn().Close()
				return
			}
			n.linked(n.newLink(c, mine, hello), hello)
		})
	})
}

// reach dials a peer, and has both say who they are.
func (n *Node) reach(o machine.Dial, mine *wire.Hello) (*tls.Conn, *wire.Hello, error) {
	ctx, cancel := context.WithTimeout(n.context, introduction)
	defer cancel()
	conn, err := (&net.Dialer{Timeout: dialTime}).DialContext(ctx, "tcp", o.Address)
	if err != nil {
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(introduction))
	c := tls.Client(conn, n.tls(func(fingerprint string) error {
		if !same(fingerprint, o.Fingerprint) {
			return errOtherKey
		}
		return nil
	}))
	err = c.HandshakeContext(ctx)
	if err == nil {
		_, err = c.Write(wire.Append(nil, wire.Frame{Body: mine}))
	}
	var hello *wire.Hello
	if err == nil {
		hello, err = readHello(c)
	}
	if err == nil && hello.Incarnation != o.Peer {
		err = errOtherKey
	}
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return c, hello, nil
}

// errOtherKey says that whoever answers is not the node that was dialed.
var errOtherKey = errors.New("whoever answers there does not have the key that stands in Redis")

// unreachable says once why there is no link to a peer.
func (n *Node) unreachable(o machine.Dial, err error) {
	if n.context.Err() != nil || n.links.of(o.Peer) != nil || n.m.Hello(o.Peer) == nil || n.troubles[o.Peer].text == err.Error() {
		return
	}
	id := cause.ClusterLinkDown
	if errors.Is(err, errOtherKey) {
		id = cause.ClusterPeerUnknown
	}
	n.troubles[o.Peer] = trouble{id, err.Error()}
	n.log.Cause(logging.Warning, id, "No link to node %s at %s: %v. What is meant for it goes through Redis.", n.names[o.Peer].Name, o.Address, err)
}

// newLink makes a link of a connection on which both have said who they are.
func (n *Node) newLink(c *tls.Conn, mine, hello *wire.Hello) *link {
	_ = c.SetDeadline(time.Time{})
	_, t := n.links.to(hello.Incarnation)
	version, _ := wire.Common(mine, hello)
	return &link{n: n, peer: hello.Incarnation, traffic: t, version: version, conn: c, wake: make(chan struct{}, 1), over: make(chan struct{})}
}

// linked puts a link in force.
func (n *Node) linked(l *link, hello *wire.Hello) {
	if before := n.links.put(l); before != nil {
		before.close()
	}
	delete(n.troubles, l.peer)
	n.log.Printf(logging.Info, "Linked to node %s at %s.", hello.Node, l.conn.RemoteAddr())
	n.wait.Go(l.write)
	n.wait.Go(l.read)
	n.m.LinkUp(l.peer, hello)
	n.dirty[l] = true
}

// lost notes that a link has ended.
func (n *Node) lost(l *link) {
	if n.links.remove(l) && n.context.Err() == nil {
		n.log.Cause(logging.Warning, cause.ClusterLinkDown, "The link to node %s is lost. What is meant for it goes through Redis.", n.names[l.peer].Name)
		n.troubles[l.peer] = trouble{cause.ClusterLinkDown, "the connection was lost"}
		n.m.LinkDown(l.peer)
	}
}

// hangUp ends the link to a peer, if there is one.
func (n *Node) hangUp(peer uint64) {
	l := n.links.of(peer)
	if l == nil || !n.links.remove(l) {
		return
	}
	l.close()
	if n.context.Err() == nil {
		n.troubles[peer] = trouble{cause.ClusterLinkDown, "the link brought nothing any more"}
		n.log.Cause(logging.Warning, cause.ClusterLinkDown, "The link to node %s brings nothing any more, and is given up. What is meant for it goes through Redis.", n.names[peer].Name)
	}
}

// take brings the machine what has come by a link.
func (n *Node) take(l *link, frames []wire.Frame) {
	if n.links.of(l.peer) != l {
		return
	}
	for _, f := range frames {
		n.m.Frame(l.peer, f)
	}
}
