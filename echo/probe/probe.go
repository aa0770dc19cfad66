// Package probe is the doctor's second vantage point. A server on another machine answers, for clients that hold a shared token, how the
// client's own address looks from there: which of its ports can be connected to, how long the way is, what gets lost and how large a packet
// may be, in both directions.
//
// The server connects to the address that the client's TCP connection comes from and to no other, sends datagrams there only after the
// client has proved that it holds the token, and sends bounded amounts. The token does not cross the network.
//
// docs/echo.md describes the protocol and how each figure is measured.
package probe

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"time"

	"picket/cause"
	"picket/echo/door"
)

// DefaultPort is the port of the probe, TCP and UDP.
const DefaultPort = 2002

// Client is a connection to a probe server. It is for one goroutine.
type Client struct {
	conn  *net.TCPConn
	codec *codec
	self  netip.AddrPort
	ahead time.Duration
	stop  func() bool // of what ends it with the context
	wire  *wire       // for datagrams; nil until it is needed
}

// Dial connects to a server and proves that it holds the token. network is "tcp4" or "tcp6", or "tcp" for whichever works. Cancelling ctx
// ends the client too. What the server refuses is a [cause.Failure].
func Dial(ctx context.Context, network, host string, port int, token []byte) (*Client, error) {
	dialer := net.Dialer{Timeout: helloLimit}
	conn, err := dialer.DialContext(ctx, network, net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	c := &Client{conn: conn.(*net.TCPConn)} // what these networks give
	c.stop = context.AfterFunc(ctx, func() { conn.Close() })
	if err := c.greet(token); err != nil {
		c.Close()
		return nil, c.failure(err)
	}
	return c, nil
}

func (c *Client) greet(token []byte) error {
	_ = c.conn.SetDeadline(time.Now().Add(helloLimit)) // fails on a closed connection, as the next step does
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // never fails
	if _, err := c.conn.Write(appendHello(nil, nonce)); err != nil {
		return err
	}
	r := bufio.NewReader(c.conn)
	server, err := readHello(r)
	if err != nil {
		return err
	}
	c.codec = &codec{key: sessionKey(token, nonce, server), sends: fromClient, expects: fromServer, r: r, w: c.conn}
	asked := time.Now()
	body, err := c.ask(login, nil)
	if err != nil {
		return err
	}
	now, self, err := parseWelcome(body)
	c.self = self
	c.ahead = asked.Add(time.Since(asked) / 2).Sub(now).Round(time.Millisecond)
	return err
}

// failure gives errors of the protocol their cause.
func (c *Client) failure(err error) error {
	server := c.Server()
	var refused *refusedError
	switch {
	case errors.As(err, &refused) && refused.cause == cause.ProbeTokenWrong, errors.Is(err, errMAC):
		return cause.Fail(cause.ProbeTokenWrong, "the probe at %s does not hold the same token", server)
	case errors.As(err, &refused):
		return cause.Fail(refused.cause, "the probe at %s refuses to go on", server)
	case errors.Is(err, errMalformed):
		return cause.Fail(cause.ProbeMalformed, "what answers at %s is no probe", server)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return cause.Fail(cause.ProbeMalformed, "%s closed the connection in the middle of the probe's protocol", server)
	}
	return fmt.Errorf("the probe at %s: %w", server, err)
}

// Close ends the session.
func (c *Client) Close() {
	c.stop()
	c.conn.Close()
	if c.wire != nil {
		c.wire.close()
	}
}

// Server is the server's address, as this machine sees it.
func (c *Client) Server() netip.AddrPort { return door.Address(c.conn.RemoteAddr()) }

// Local is this machine's end of the connection, as it sees it itself.
func (c *Client) Local() netip.AddrPort { return door.Address(c.conn.LocalAddr()) }

// Self is this machine's end of the connection, as the server sees it. It differs from Local behind a NAT.
func (c *Client) Self() netip.AddrPort { return c.self }

// ClockAhead is by how much this machine's clock is ahead of the server's, as exact as half a round trip.
func (c *Client) ClockAhead() time.Duration { return c.ahead }

// ask sends a request and reads its answer.
func (c *Client) ask(k kind, body []byte) ([]byte, error) {
	if err := c.codec.write(k, body); err != nil {
		// A server that has refused has closed; what it said is still there to read.
		if _, _, why := c.codec.read(); errors.As(why, new(*refusedError)) {
			return nil, why
		}
		return nil, err
	}
	got, answered, err := c.codec.read()
	switch {
	case err != nil:
		return nil, err
	case got != k|answer:
		return nil, errMalformed
	}
	return answered, nil
}

// patient gives the next requests their time.
func (c *Client) patient(limit time.Duration) { _ = c.conn.SetDeadline(time.Now().Add(limit)) }

// askLimit is for a request that the server answers at once; it lets a segment be repeated some times.
const askLimit = 10 * time.Second

// Reach has the server try to connect to ports of this machine's address. Each is tried for up to five seconds.
func (c *Client) Reach(ports []uint16) (all []Reached, err error) {
	for some := range slices.Chunk(ports, maxPorts) {
		c.patient(reachLimit + askLimit)
		body, err := c.ask(reach, appendPorts(nil, some))
		if err != nil {
			return nil, c.failure(err)
		}
		reached, err := parseReached(body)
		if err != nil || len(reached) != len(some) {
			return nil, c.failure(errMalformed)
		}
		all = append(all, reached...)
	}
	return all, nil
}

// RoundTrips are those of small messages over the TCP connection, one after the other.
type RoundTrips struct {
	Count               int
	Least, Median, Most time.Duration
	Jitter              time.Duration // mean difference between neighbours
	Server, Client      *TCP          // what both kernels know; nil where the system does not tell
}

// RoundTrips measures n round trips.
func (c *Client) RoundTrips(n int) (RoundTrips, error) {
	var r RoundTrips
	var all []time.Duration
	var differences time.Duration
	for i := range n {
		c.patient(askLimit)
		began := time.Now()
		if _, err := c.ask(ping, binary.BigEndian.AppendUint32(nil, uint32(i))); err != nil {
			return r, c.failure(err)
		}
		took := time.Since(began)
		if i > 0 {
			differences += (took - all[i-1]).Abs()
		}
		all = append(all, took)
	}
	if n > 1 {
		r.Jitter = differences / time.Duration(n-1)
	}
	slices.Sort(all)
	r.Count = n
	if n > 0 {
		r.Least, r.Median, r.Most = all[0], all[n/2], all[n-1]
	}
	body, err := c.ask(tcpInfo, nil)
	if err != nil {
		return r, c.failure(err)
	}
	if r.Server, err = parseTCP(body); err != nil {
		return r, c.failure(err)
	}
	r.Client = tcpOf(c.conn)
	return r, nil
}

// bulkSize is what is sent each way to see whether full packets pass: more than twice a first window.
const bulkSize = 32 << 10

// bulkLimit is how long that may take: at 64 kbit/s it takes four seconds, and lost packets are sent again in the meantime.
const bulkLimit = 8 * time.Second

// Bulk is whether the largest packets of TCP pass.
type Bulk struct {
	Back, Out     time.Duration // how long 32 KiB took; 0 if they did not arrive
	Server, Local *TCP          // afterwards
}

// Bulk sends 32 KiB each way, in packets as large as TCP makes them. It is the last thing to do with a client: where they do not pass, the
// connection stands still. Then the figure of that direction is 0, and so is that of the next one.
func (c *Client) Bulk() (Bulk, error) {
	var b Bulk
	began := time.Now()
	c.patient(bulkLimit)
	if err := c.codec.write(sendBulk, binary.BigEndian.AppendUint32(nil, bulkSize)); err != nil {
		return b, c.failure(err)
	}
	for got := 0; ; {
		k, body, err := c.codec.read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			b.Local = tcpOf(c.conn)
			return b, nil
		}
		if err != nil {
			return b, c.failure(err)
		}
		if k == sendBulk|answer && got == bulkSize {
			break
		}
		if k != bulk|answer {
			return b, c.failure(errMalformed)
		}
		got += len(body)
	}
	b.Back = time.Since(began)
	began = time.Now()
	c.patient(bulkLimit)
	var err error
	for sent := 0; sent < bulkSize && err == nil; sent += maxBody {
		err = c.codec.write(bulk, make([]byte, maxBody))
	}
	var body []byte
	if err == nil {
		body, err = c.ask(bulkEnd, nil)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.Local = tcpOf(c.conn)
		return b, nil
	case err != nil:
		return b, c.failure(err)
	case len(body) != 4 || binary.BigEndian.Uint32(body) != bulkSize:
		return b, c.failure(errMalformed)
	}
	b.Out = time.Since(began)
	b.Local = tcpOf(c.conn)
	if body, err = c.ask(tcpInfo, nil); err != nil {
		return b, c.failure(err)
	}
	b.Server, err = parseTCP(body)
	return b, err
}

// share is part of whole in percent, to one decimal.
func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return math.Round(1000*float64(part)/float64(whole)) / 10
}
