package listener

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"picket/cause"
	"picket/packet"
)

// maxConnect is how much of a CONNECT is waited for, so that it can be answered in its own version.
const maxConnect = 4 << 10

// open makes the transport ready and announces the connection to the core. It tells whether there is something to serve.
func (c *stream) open(p prelude) bool {
	c.early = p.bytes
	c.info.ProxyTLS = p.proxyTLS
	c.info.Since = p.since
	c.wire.nc.SetDeadline(p.since.Add(c.at.cfg.openingLimit()))
	if !p.proxied && c.at.proxied(c.info.Remote) && !c.openProxy() {
		return false
	}
	cfg := c.at.cfg
	if cfg.Protocol == Auto || c.at.tls != nil {
		kind, ok := c.peek()
		switch {
		case !ok:
			return false
		case kind == opensTLS && c.at.tls != nil:
			if !c.openTLS() {
				return false
			}
		case cfg.Protocol != Auto || kind != opensMQTT && kind != opensHTTP:
			c.mismatched(kind)
			return false
		}
	}
	if cfg.Protocol != MQTT {
		kind, ok := c.peek()
		switch {
		case !ok:
			return false
		case kind == opensHTTP:
			if !c.serveHTTP() {
				return false
			}
			c.frames = new(frames)
		case kind != opensMQTT || cfg.Protocol != Auto:
			c.mismatched(kind)
			return false
		}
	} else {
		c.fresh = true
	}
	return c.announce()
}

// announce has the core accept the connection.
func (c *stream) announce() bool {
	if c.wire.nc.SetDeadline(time.Time{}) != nil {
		return false
	}
	if c.tls != nil {
		state := c.tls.ConnectionState()
		c.info.TLS = &state
	}
	c.wire.async = true
	c.wire.drained = c.drained
	if !c.streams.announce(c) {
		return false
	}
	c.client = c.streams.set.accept(c.at.server, c)
	return c.client != nil
}

// more reads on into early.
func (c *stream) more() error {
	var b [2048]byte
	n, err := c.top().Read(b[:])
	if n > 0 {
		c.early = append(c.early, b[:n]...)
		c.charge(cap(c.early))
		return nil
	}
	return err
}

// peek tells what the connection speaks now. It reports why that cannot be told.
func (c *stream) peek() (opener, bool) {
	for {
		if kind := sniff(c.early); kind != opensUnknown {
			return kind, true
		}
		if err := c.more(); err != nil {
			c.lost(err, "nothing recognizable")
			return 0, false
		}
	}
}

// lost reports a connection that has ended, or run out of time, before it was one. One that came and went without a word
// (a port scan, a load balancer's check) is not worth a report.
func (c *stream) lost(err error, what string) {
	switch {
	case errors.Is(err, net.ErrClosed): // by Set.Close
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.refuse(cause.ConnectTimeout, fmt.Sprintf("%s within %v", what, c.at.cfg.openingLimit()))
	case len(c.early) > 0:
		c.refuse(cause.UnknownProtocol, "the connection ended after its first bytes")
	}
}

// openProxy reads the PROXY header.
func (c *stream) openProxy() bool {
	for {
		var h proxyHeader
		var bad *Refusal
		if len(c.early) > 0 {
			h, bad = parseProxy(c.early)
		}
		switch {
		case bad != nil:
			c.refuse(bad.Cause, bad.Text)
			return false
		case h.size > 0:
			c.early = c.early[h.size:]
			if h.remote.IsValid() {
				c.info.Remote, c.info.Local = h.remote, h.local
				c.streams.set.newcomers.move(c.opening.Load(), h.remote)
			}
			c.info.ProxyTLS = h.tls
			return true
		}
		if err := c.more(); err != nil {
			c.lost(err, "no PROXY header")
			return false
		}
	}
}

// openTLS does the handshake, with the settings of this moment.
func (c *stream) openTLS() bool {
	cfg := c.at.server.settings.Load().tls
	if cfg == nil {
		cfg = c.at.tls // TLS has just been turned off
	}
	c.wire.fed, c.early = c.early, nil
	var last alertRecord
	c.wire.last = &last
	conn := tls.Server(c.wire, cfg)
	err := conn.Handshake()
	c.wire.last = nil
	if err != nil {
		id, text := tlsCause(err, &last)
		switch {
		case errors.Is(err, net.ErrClosed): // by Set.Close
			return false
		case errors.Is(err, os.ErrDeadlineExceeded):
			text = fmt.Sprintf("TLS handshake not finished within %v", c.at.cfg.openingLimit())
		case errors.Is(err, io.EOF) && id == cause.TLSHandshakeFailed:
			text = "the client closed the connection during the TLS handshake; often it does not trust the certificate"
		}
		c.refuse(id, text)
		c.polite.Store(true) // the alert says why
		return false
	}
	c.tls = conn
	return true
}

// refuse reports why the connection ends here, unless that has been reported.
func (c *stream) refuse(id cause.ID, text string) *Refusal {
	if c.castOutAlready() {
		return ErrCastOut
	}
	r := &Refusal{c.info.Remote, c.at.cfg, id, text, c.client != nil}
	c.streams.set.refuse(r)
	return r
}

// mismatched answers and reports a client that speaks something else than the port.
func (c *stream) mismatched(kind opener) {
	m := mismatch(c.at.settings, c.tls != nil, kind)
	if kind == opensMQTT {
		m.answer = c.connack(string(m.cause) + ": " + m.text)
	}
	if len(m.answer) > 0 {
		_, _ = c.top().Write(m.answer)
		c.polite.Store(true)
	}
	c.refuse(m.cause, m.text)
}

// connack returns the answer to a CONNECT that has come to the wrong port, in the client's version; nil when it is not one.
func (c *stream) connack(reason string) []byte {
	for {
		head, remaining, err := packet.Header(c.early)
		switch {
		case err != nil || head+remaining > maxConnect:
			return nil
		case head > 0 && len(c.early) >= head+remaining:
			p, err := packet.Decode(0, c.early[0], c.early[head:head+remaining])
			if err != nil {
				return nil
			}
			connect, ok := p.(*packet.Connect)
			if !ok {
				return nil
			}
			ack := packet.Connack{Code: packet.ServerUnavailable}
			if connect.Version == packet.V5 {
				ack.Props = (&packet.Properties{ReasonString: reason}).Set(packet.ReasonString)
			}
			return ack.Append(nil, connect.Version)
		}
		if c.more() != nil {
			return nil
		}
	}
}
