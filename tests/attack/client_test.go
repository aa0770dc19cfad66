//go:build linux

package attack

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"picket/packet"
)

// patience is how long a client waits for an answer before the test fails.
const patience = time.Minute

// client is one connection, with nothing automatic: a test may be as rude as it likes.
type client struct {
	net.Conn
	t    testing.TB
	v    packet.Version
	r    *bufio.Reader
	body []byte
}

// dial opens a connection and sends nothing.
func (b *broker) dial() *client {
	b.t.Helper()
	c, err := b.tryDial(b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func (b *broker) tryDial(addr string) (*client, error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	return &client{Conn: conn, t: b.t, v: packet.V311, r: bufio.NewReaderSize(conn, 4096)}, nil
}

// connect opens a connection, sends CONNECT and reads the CONNACK. Without a client identifier the session is clean.
// The connection is closed when the test ends.
func (b *broker) connect(p *packet.Connect) *client {
	b.t.Helper()
	c := b.dial()
	b.t.Cleanup(func() { c.Close() })
	if err := c.handshake(p); err != nil {
		b.t.Fatal(err)
	}
	return c
}

func (c *client) handshake(p *packet.Connect) error {
	if p.Version == 0 {
		p.Version = packet.V311
	}
	if p.ClientID == "" {
		p.CleanStart = true
	}
	c.v = p.Version
	if err := c.send(p); err != nil {
		return err
	}
	got, err := c.next()
	if err != nil {
		return fmt.Errorf("CONNECT was answered by %w", err)
	}
	if ack, ok := got.(*packet.Connack); !ok || ack.Code != packet.Success {
		return fmt.Errorf("CONNECT was answered by %+v", got)
	}
	return nil
}

func (c *client) send(p packet.Packet) error {
	_, err := c.Write(p.Append(nil, c.v))
	return err
}

func (c *client) mustSend(p packet.Packet) {
	c.t.Helper()
	if err := c.send(p); err != nil {
		c.t.Fatal(err)
	}
}

// header reads a fixed header.
func (c *client) header() (first byte, length int, err error) {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, 0, err
	}
	if first, err = c.r.ReadByte(); err != nil {
		return 0, 0, err
	}
	for shift := 0; shift < 28; shift += 7 {
		b, err := c.r.ReadByte()
		if err != nil {
			return 0, 0, err
		}
		length |= int(b&0x7f) << shift
		if b < 0x80 {
			return first, length, nil
		}
	}
	return 0, 0, errors.New("remaining length of more than four bytes")
}

// next reads a packet. A Publish is valid until the next call.
func (c *client) next() (packet.Packet, error) {
	first, length, err := c.header()
	if err != nil {
		return nil, err
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	if _, err := io.ReadFull(c.r, c.body); err != nil {
		return nil, err
	}
	if packet.Type(first>>4) == packet.PUBLISH {
		p := new(packet.Publish)
		return p, p.Decode(c.v, first, c.body)
	}
	return packet.Decode(c.v, first, c.body)
}

// must reads packets until one is a P; others are passed over.
func must[P packet.Packet](c *client) P {
	c.t.Helper()
	p, err := until[P](c)
	if err != nil {
		c.t.Fatalf("waiting for a %T: %v", p, err)
	}
	return p
}

func until[P packet.Packet](c *client) (P, error) {
	for {
		got, err := c.next()
		if err != nil {
			var none P
			return none, err
		}
		if p, ok := got.(P); ok {
			return p, nil
		}
	}
}

// subscribe subscribes and checks that every filter is granted.
func (c *client) subscribe(qos byte, filters ...string) {
	c.t.Helper()
	p := &packet.Subscribe{ID: 1}
	for _, f := range filters {
		p.Filters = append(p.Filters, packet.Subscription{Filter: f, QoS: qos})
	}
	c.mustSend(p)
	ack := must[*packet.Suback](c)
	for i, code := range ack.Codes {
		if code != packet.Code(qos) {
			c.t.Fatalf("SUBSCRIBE to %.100q at QoS %d was answered by %v", filters[i], qos, code)
		}
	}
}

// settle waits until the broker has dealt with all that the client has sent.
func (c *client) settle() {
	c.t.Helper()
	c.mustSend(packet.Pingreq{})
	must[packet.Pingresp](c)
}

// ended waits until the broker closes the connection and reports whether it did so within d.
func (c *client) ended(d time.Duration) bool {
	_ = c.SetReadDeadline(time.Now().Add(d))
	_, err := io.Copy(io.Discard, c.r)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}
