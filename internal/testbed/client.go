//go:build unix

package testbed

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"picket/packet"
)

// Client is one connection with nothing automatic: a test may be as rude as it likes.
type Client struct {
	net.Conn
	Version packet.Version
	Raw     []byte        // the last packet as it came
	Reader  *bufio.Reader // of what Next has not taken
}

// NewClient speaks MQTT over a connection.
func NewClient(conn net.Conn, v packet.Version) *Client {
	return &Client{Conn: conn, Version: v, Reader: bufio.NewReader(conn)}
}

// Dial opens a connection that is closed with the test, and sends nothing.
func Dial(t testing.TB, addr string, v packet.Version) *Client {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, Patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return NewClient(conn, v)
}

// Connect sends CONNECT in the connection's version and reads what has to be an accepting CONNACK.
func (c *Client) Connect(p *packet.Connect) (*packet.Connack, error) {
	p.Version = c.Version
	if err := c.Send(p); err != nil {
		return nil, err
	}
	got, err := c.Next()
	if err != nil {
		return nil, fmt.Errorf("CONNECT was answered by %w", err)
	}
	ack, ok := got.(*packet.Connack)
	if !ok || ack.Code != packet.Success {
		return nil, fmt.Errorf("CONNECT was answered by %+v", got)
	}
	return ack, nil
}

// Send writes packets at once.
func (c *Client) Send(packets ...packet.Packet) error {
	var b []byte
	for _, p := range packets {
		b = p.Append(b, c.Version)
	}
	_, err := c.Write(b)
	return err
}

// Header reads up to the end of the next packet's fixed header.
func (c *Client) Header() (fixed []byte, remaining int, err error) {
	if err := c.SetReadDeadline(time.Now().Add(Patience)); err != nil {
		return nil, 0, err
	}
	for n := 2; ; n++ {
		b, err := c.Reader.Peek(n)
		if err != nil {
			return nil, 0, err
		}
		head, remaining, err := packet.Header(b)
		if err != nil {
			return nil, 0, err
		}
		if head > 0 {
			fixed = append(fixed, b[:head]...)
			_, err = c.Reader.Discard(head)
			return fixed, remaining, err
		}
	}
}

// Next reads one packet.
func (c *Client) Next() (packet.Packet, error) {
	fixed, remaining, err := c.Header()
	if err != nil {
		return nil, err
	}
	c.Raw = append(fixed, make([]byte, remaining)...)
	body := c.Raw[len(fixed):]
	if _, err := io.ReadFull(c.Reader, body); err != nil {
		return nil, err
	}
	p, err := packet.Decode(c.Version, fixed[0], body)
	if err != nil {
		return nil, fmt.Errorf("the broker sent % x: %w", c.Raw[:min(len(c.Raw), 40)], err)
	}
	return p, nil
}

// Until reads packets until one is a P; others are passed over.
func Until[P packet.Packet](c *Client) (P, error) {
	for {
		got, err := c.Next()
		if err != nil {
			var none P
			return none, fmt.Errorf("waiting for a %T: %w", none, err)
		}
		if p, ok := got.(P); ok {
			return p, nil
		}
	}
}

// Rest reads and forgets what still comes until the other side ends the connection.
func (c *Client) Rest(patience time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, c.Reader)
	return err
}
