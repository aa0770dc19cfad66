package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"picket/packet"
)

// handshakeTimeout bounds the connection, CONNACK and SUBACK of one client. A broker that is flooded with connections may
// need seconds for one, but a minute without an answer means that there will be none.
const handshakeTimeout = time.Minute

// readBuffer is what a client that is still shaking hands reads into.
const readBuffer = 512

// client is one connection to the broker.
type client struct {
	net.Conn
	id         string
	version    packet.Version
	receiveMax int    // the broker's Receive Maximum; 65535 when it says nothing
	early      []byte // what came together with the last answer of the handshake
}

// dialer connects to the broker. On a broker of this machine it takes source addresses 127.x.y.z in turn, since one
// address has no more than the kernel's range of ports (28,232 by default) to offer.
type dialer struct {
	config *Config
	host   string // as it was given, for certificates
	addr   *net.TCPAddr
	next   atomic.Uint32
}

// portsPerSource is how many connections in a row come from one address; far below the kernel's range of ports, so that
// ports that are not quite free yet do not matter.
const portsPerSource = 4000

func newDialer(ctx context.Context, c *Config) (*dialer, error) {
	host, port, err := net.SplitHostPort(c.Address)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	p, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	// One address for the whole run, and the first that answers: localhost is two, and a broker may listen on one.
	var errs []error
	for _, ip := range ips {
		d := &dialer{config: c, host: host, addr: &net.TCPAddr{IP: ip.IP, Port: p, Zone: ip.Zone}}
		conn, err := d.dial(ctx)
		if err == nil {
			return d, conn.Close()
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("bench: is a broker listening on %s? %w", c.Address, errors.Join(errs...))
}

// tcp connects to the broker. It is the Dial of a transport that has more to do.
func (d *dialer) tcp(ctx context.Context, network, address string) (net.Conn, error) {
	nd := net.Dialer{Timeout: handshakeTimeout, KeepAlive: -1}
	if d.addr.IP.To4() != nil && d.addr.IP.IsLoopback() && manySources {
		n := d.next.Add(1) / portsPerSource
		nd.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, byte(n/250), byte(1+n%250))}
		nd.ControlContext = bindNoPort
	}
	return nd.DialContext(ctx, network, address)
}

// connect makes a connection and sends CONNECT; a CONNACK that is a refusal is an error. The session ends with the connection.
func (d *dialer) connect(ctx context.Context, id string, keepAlive uint16) (*client, error) {
	return d.greet(ctx, &packet.Connect{CleanStart: true, KeepAlive: keepAlive, ClientID: id})
}

// resume is connect with a session that may have been there before and survives the connection.
func (d *dialer) resume(ctx context.Context, id string) (*client, error) {
	hello := &packet.Connect{ClientID: id}
	if d.config.Version == packet.V5 {
		hello.Props = (&packet.Properties{SessionExpiry: sessionExpiry}).Set(packet.SessionExpiryInterval)
	}
	return d.greet(ctx, hello)
}

// sessionExpiry is how many seconds MQTT 5.0 keeps a session that a run has left behind because it was broken off.
const sessionExpiry = 3600

func (d *dialer) greet(ctx context.Context, hello *packet.Connect) (*client, error) {
	conn, err := d.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	cl := &client{Conn: conn, id: hello.ClientID, version: d.config.Version, receiveMax: 65535}
	if err := cl.connect(d.config, hello); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return cl, nil
}

func (cl *client) connect(c *Config, hello *packet.Connect) error {
	hello.Version = c.Version
	hello.HasUsername, hello.Username = c.Username != "", c.Username
	hello.HasPassword, hello.Password = c.Password != "", []byte(c.Password)
	p, err := cl.ask(hello.Append(nil, c.Version))
	if err != nil {
		return err
	}
	ack, ok := p.(*packet.Connack)
	if !ok {
		return fmt.Errorf("bench: %s: the broker answered CONNECT with packet type %d", cl.id, p.Type())
	}
	if ack.Code != packet.Success {
		return fmt.Errorf("bench: %s: the broker refused the connection: %v", cl.id, ack.Code)
	}
	if ack.Props.Has(packet.ReceiveMaximum) {
		cl.receiveMax = int(ack.Props.ReceiveMaximum)
	}
	return nil
}

// subscribe subscribes to filters with one packet; anything but the QoS that was asked for is an error.
func (cl *client) subscribe(qos byte, filters ...string) error {
	ask := &packet.Subscribe{ID: 1}
	for _, f := range filters {
		ask.Filters = append(ask.Filters, packet.Subscription{Filter: f, QoS: qos})
	}
	p, err := cl.ask(ask.Append(nil, cl.version))
	if err != nil {
		return err
	}
	ack, ok := p.(*packet.Suback)
	if !ok {
		return fmt.Errorf("bench: %s: the broker answered SUBSCRIBE with packet type %d", cl.id, p.Type())
	}
	if len(ack.Codes) != len(filters) {
		return fmt.Errorf("bench: %s: the broker answered %d subscriptions with %d codes", cl.id, len(filters), len(ack.Codes))
	}
	for i, code := range ack.Codes {
		if code != packet.Code(qos) {
			return fmt.Errorf("bench: %s: the broker answered the subscription to %s at QoS %d with %v", cl.id, filters[i], qos, code)
		}
	}
	return nil
}

// ask writes a packet and reads the next one.
func (cl *client) ask(b []byte) (packet.Packet, error) {
	cl.SetDeadline(time.Now().Add(handshakeTimeout))
	defer cl.SetDeadline(time.Time{})
	if _, err := cl.Write(b); err != nil {
		return nil, fmt.Errorf("bench: %s: %w", cl.id, err)
	}
	buf := make([]byte, 0, readBuffer)
	for {
		head, remaining, err := packet.Header(buf)
		if err != nil {
			return nil, fmt.Errorf("bench: %s: from the broker: %w", cl.id, err)
		}
		if total := head + remaining; head > 0 && len(buf) >= total {
			p, err := packet.Decode(cl.version, buf[0], buf[head:total])
			if err != nil {
				return nil, fmt.Errorf("bench: %s: from the broker: %w", cl.id, err)
			}
			cl.early = append([]byte(nil), buf[total:]...)
			return p, nil
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := cl.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err != nil {
			return nil, cl.lost(err)
		}
	}
}

// lost explains the end of a connection.
func (cl *client) lost(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("bench: %s: the broker closed the connection", cl.id)
	}
	return fmt.Errorf("bench: %s: %w", cl.id, err)
}

// unexpected handles a packet that is no part of the load.
func (cl *client) unexpected(first byte, body []byte) error {
	switch kind := packet.Type(first >> 4); kind {
	case packet.PINGRESP:
		return nil
	case packet.DISCONNECT:
		p, err := packet.Decode(cl.version, first, body)
		if err != nil {
			return fmt.Errorf("bench: %s: from the broker: %w", cl.id, err)
		}
		return fmt.Errorf("bench: %s: the broker disconnects: %v", cl.id, p.(*packet.Disconnect).Code)
	default:
		return fmt.Errorf("bench: %s: the broker sent packet type %d", cl.id, kind)
	}
}

// goodbye sends DISCONNECT and closes. Errors do not matter any more.
func (cl *client) goodbye() {
	cl.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = cl.Write((&packet.Disconnect{}).Append(nil, cl.version))
	cl.Close()
}
