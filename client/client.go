// Package client is an MQTT client for versions 3.1, 3.1.1 and 5.0, over TCP, TLS, WebSocket and Unix sockets.
//
// A [Client] is one network connection. What has to outlive it, the messages whose QoS handshake is not complete, is in
// a [Session], which can be given to the next Dial. No goroutine outlives [Client.Close] or [Client.Disconnect].
package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"picket/packet"
)

// Options say where to connect, as whom, and what to do with messages.
type Options struct {
	Transport

	// Connect is the CONNECT packet to send. A Version of 0 means 3.1.1. Its KeepAlive, in seconds, is kept by
	// pinging; in MQTT 5 the server may shorten it (Server Keep Alive).
	Connect packet.Connect

	// Handler is called for every message, one at a time and in order of arrival. While it runs nothing more is read, so
	// a slow one slows the server. A QoS 1 message is acknowledged when it has returned, a QoS 2 message is handed over
	// when the server has released it. It must not wait for what the server has to answer (Publish, Subscribe, Close, ...).
	//
	// It returns nil to go on, [ErrDone] to acknowledge the message and then disconnect in good order, [ErrLeave] to disconnect without acknowledging it, and any other error to
	// break the connection off without acknowledging the message; the client then ends with that error.
	Handler func(*Message) error
	// Messages takes the messages instead when there is no Handler; while it is full nothing more is read. It is never closed.
	Messages chan<- *Message

	// MaxInflight bounds how many of the client's own QoS 1 and 2 messages are under way at a time. 0 leaves it to the
	// server's Receive Maximum, which is never exceeded (MQTT-3.3.4-9).
	MaxInflight int
	// MaxPacket bounds what is taken from the server, in bytes of a whole packet: a longer one ends the connection before memory is
	// given to it. 0 is the protocol's own bound, 256 MiB. In MQTT 5 the server is told by the CONNECT's Maximum Packet Size alone.
	MaxPacket int
	// Auth does enhanced authentication (MQTT 5.0, 4.12).
	Auth Authenticator
	// Session holds what earlier connections left unfinished; nil begins with nothing.
	Session *Session
	// Trace is told of every packet, before it is queued to be sent or when it has been received. The packet, and a
	// *packet.Publish's slices above all, must not be kept.
	Trace func(sent bool, p packet.Packet)
}

// Message is an application message.
type Message struct {
	Topic   string // empty only to publish with a topic alias that the server knows
	Payload []byte
	QoS     byte
	Retain  bool
	Dup     bool               // of a received message: it may have come before
	ID      uint16             // of a received message with QoS 1 or 2: its packet identifier
	Props   *packet.Properties // MQTT 5 only; nil for none
	// RawProps are the properties of a received message as they came, without their length.
	RawProps []byte
}

// Client is a connection to a server, which has accepted it.
type Client struct {
	o       Options
	conn    net.Conn
	connack *packet.Connack
	version packet.Version
	id      string
	session *Session
	max     maxima

	writer  writer
	quota   chan struct{} // one element for each QoS 1 or 2 message under way
	resumed chan struct{} // closed when the messages of the Session have been sent again
	started sync.WaitGroup

	mu       sync.Mutex
	waiting  map[uint16]chan packet.Packet // SUBSCRIBE and UNSUBSCRIBE by packet identifier
	reauth   chan error                    // set while a re-authentication is under way
	err      error
	stopping bool // the client itself is ending the connection in good order

	pings struct { // PINGREQ without an answer yet, in the order of sending
		sync.Mutex
		waiting []chan struct{}
	}

	acting    chan struct{} // holds one element while a received packet is acted on
	leaving   chan struct{} // closed when stopping is set
	inHandler atomic.Bool
	said      atomic.Bool  // DISCONNECT has been queued
	draining  atomic.Bool  // DISCONNECT has been sent: what still comes is thrown away
	lastRead  atomic.Int64 // Unix nanoseconds
	pingSent  atomic.Int64 // Unix nanoseconds, 0 when no PINGREQ waits for its answer
	done      chan struct{}
	ended     chan struct{} // closed after done when the goroutines have returned
	finish    sync.Once
	aliases   map[uint16]string // topics by alias, for messages from the server
}

// maxima are the server's limits (MQTT 5.0, 3.2.2.3).
type maxima struct {
	packet    int // bytes
	qos       byte
	retain    bool
	aliases   uint16
	keepAlive time.Duration
}

// Dial connects, sends CONNECT and waits for the server's answer. ctx bounds all of that, not the connection's life.
// A refusal is a [*RefusedError].
func Dial(ctx context.Context, o Options) (*Client, error) {
	if o.Connect.Version == 0 {
		o.Connect.Version = packet.V311
	}
	if o.Auth != nil && o.Connect.Version != packet.V5 {
		return nil, errors.New("enhanced authentication needs MQTT 5")
	}
	conn, err := o.Transport.Connect(ctx, o.Connect.Version)
	if err != nil {
		return nil, err
	}
	c := &Client{
		o: o, conn: conn, version: o.Connect.Version, session: o.Session,
		waiting: map[uint16]chan packet.Packet{},
		acting:  make(chan struct{}, 1), leaving: make(chan struct{}),
		done: make(chan struct{}), ended: make(chan struct{}), resumed: make(chan struct{}),
	}
	if c.session == nil {
		c.session = NewSession()
	}
	c.writer.init(conn)

	// A connection that is shut makes the handshake's reads and writes fail.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	in := newInput(conn)
	err = c.handshake(in)
	if !stop() && ctx.Err() != nil {
		err = fmt.Errorf("waiting for CONNACK: %w", context.Cause(ctx))
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	c.limits()
	c.start(in)
	return c, nil
}

// start begins the goroutines that a connection lives by.
func (c *Client) start(in *input) {
	c.lastRead.Store(time.Now().UnixNano())
	over := c.session.begin(c.connack.SessionPresent) // now: a message may be here already, and belongs to the new session
	c.started.Add(3)
	go func() { defer c.started.Done(); c.fail(c.read(in)) }()
	go func() { defer c.started.Done(); c.fail(c.writer.run(c.done)) }()
	go func() { defer c.started.Done(); c.resume(over) }()
	if c.max.keepAlive > 0 {
		c.started.Add(1)
		go func() { defer c.started.Done(); c.keepAlive() }()
	}
	go func() { c.started.Wait(); close(c.ended) }()
}

// limits takes from CONNACK what the server allows.
func (c *Client) limits() {
	p := c.connack.Props
	c.max = maxima{packet: packet.MaxRemaining + 5, qos: 2, retain: true, keepAlive: time.Duration(c.o.Connect.KeepAlive) * time.Second}
	inflight := 65535
	if p.Has(packet.ReceiveMaximum) {
		inflight = int(p.ReceiveMaximum)
	}
	if c.o.MaxInflight > 0 {
		inflight = min(inflight, c.o.MaxInflight)
	}
	c.quota = make(chan struct{}, inflight)
	if p.Has(packet.MaximumPacketSize) {
		c.max.packet = int(p.MaximumPacketSize)
	}
	if p.Has(packet.MaximumQoS) {
		c.max.qos = p.MaximumQoS
	}
	if p.Has(packet.RetainAvailable) {
		c.max.retain = p.RetainAvailable == 1
	}
	if p.Has(packet.TopicAliasMaximum) {
		c.max.aliases = p.TopicAliasMaximum
	}
	if p.Has(packet.ServerKeepAlive) {
		c.max.keepAlive = time.Duration(p.ServerKeepAlive) * time.Second
	}
	c.id = c.o.Connect.ClientID
	if p.Has(packet.AssignedClientIdentifier) {
		c.id = p.AssignedClientID
	}
	if own := c.o.Connect.Props; own.Has(packet.TopicAliasMaximum) && own.TopicAliasMaximum > 0 {
		c.aliases = map[uint16]string{}
	}
}

// Connack is the server's answer to CONNECT.
func (c *Client) Connack() *packet.Connack { return c.connack }

// ID is the client identifier in use: the one asked for, or in MQTT 5 the one that the server assigned.
func (c *Client) ID() string { return c.id }

// Conn is the network connection, for asking about addresses and TLS. It must not be read, written or closed.
func (c *Client) Conn() net.Conn { return c.conn }

// Session is what the connection has not finished, for the next Dial. It is complete once the client has ended.
func (c *Client) Session() *Session { return c.session }

// Done is closed when the connection has ended, for whatever reason; Err then says why.
func (c *Client) Done() <-chan struct{} { return c.ended }

// Err is nil while the connection lasts and after an orderly end from this side. Else it is a [*DisconnectError] when the server
// said why it ended the connection, and an error that wraps [ErrConnectionLost] when it ended without a word.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// fail ends the connection for the reason given; the first reason stands.
func (c *Client) fail(err error) {
	c.finish.Do(func() {
		c.mu.Lock()
		if !c.stopping {
			c.err = err
		}
		c.mu.Unlock()
		close(c.done)
		_ = c.conn.Close()
	})
}

// Close breaks the connection off without DISCONNECT, so that the server publishes the will, and waits for the goroutines to
// end. It must not be called by the Handler.
func (c *Client) Close() {
	c.leave()
	c.fail(nil)
	<-c.ended
}

// leave marks the end of the connection as wanted.
func (c *Client) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopping {
		c.stopping = true
		close(c.leaving)
	}
}

// disconnectWait bounds how long Disconnect waits for a message that is being handled, and then for what is still to be
// written: neither a stuck application nor a peer that does not read may hold up the end.
const disconnectWait = 5 * time.Second

// Disconnect sends DISCONNECT (with code and props in MQTT 5) after everything that was queued before it, and ends the
// connection. It waits for the goroutines to end and must not be called by the Handler.
func (c *Client) Disconnect(code packet.Code, props *packet.Properties) {
	c.leave()
	// Not between a message and its acknowledgement: the server would send it again.
	select {
	case c.acting <- struct{}{}:
		c.sendDisconnect(code, props)
		c.draining.Store(true)
		<-c.acting
		select {
		case <-c.done:
		case <-time.After(drainWait):
		}
	case <-time.After(disconnectWait):
		c.sendDisconnect(code, props)
	case <-c.done:
	}
	c.fail(nil)
	<-c.ended
}

// drainWait bounds the wait for the server to close its end after DISCONNECT. It is worth a
// while: a connection that is closed while bytes arrive is reset, and a reset takes with it what the server has not read yet,
// such as acknowledgements.
const drainWait = time.Second

// sendDisconnect writes DISCONNECT, once, behind all that is queued and waits, a while, until the system has taken it.
func (c *Client) sendDisconnect(code packet.Code, props *packet.Properties) {
	if c.said.Swap(true) {
		return
	}
	if c.queue(&packet.Disconnect{Code: code, Props: props}) == nil {
		_ = c.conn.SetWriteDeadline(time.Now().Add(disconnectWait))
		c.writer.flush(c.done)
	}
}
