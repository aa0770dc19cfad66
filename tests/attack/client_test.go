//go:build linux

package attack

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"picket/internal/testbed"
	"picket/packet"
)

// patience is how long a client waits for an answer before the test fails.
const patience = testbed.Patience

// client is one connection, with nothing automatic.
type client struct {
	*testbed.Client
	t testing.TB
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
	return &client{testbed.NewClient(conn, packet.V311), b.t}, nil
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
	if p.Version != 0 {
		c.Version = p.Version
	}
	if p.ClientID == "" {
		p.CleanStart = true
	}
	_, err := c.Connect(p)
	return err
}

func (c *client) mustSend(p packet.Packet) {
	c.t.Helper()
	if err := c.Send(p); err != nil {
		c.t.Fatal(err)
	}
}

// must reads packets until one is a P; others are passed over.
func must[P packet.Packet](c *client) P {
	c.t.Helper()
	p, err := testbed.Until[P](c.Client)
	if err != nil {
		c.t.Fatal(err)
	}
	return p
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
	return !errors.Is(c.Rest(d), os.ErrDeadlineExceeded)
}
