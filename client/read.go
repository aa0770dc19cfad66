package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"picket/packet"
)

// input takes packets from a stream. Its buffer grows only as data arrives, whatever length a packet claims.
type input struct {
	r          io.Reader
	buf        []byte
	start, end int
}

func newInput(r io.Reader) *input { return &input{r: r, buf: make([]byte, 4096)} }

// next is the next packet: its first byte and what follows the fixed header, valid until the next call. limit bounds a whole packet.
func (in *input) next(limit int) (first byte, body []byte, err error) {
	for {
		head, remaining, err := packet.Header(in.buf[in.start:in.end])
		if err != nil {
			return 0, nil, err
		}
		if head > 0 {
			size := head + remaining
			if size > limit {
				return 0, nil, &packet.Error{Code: packet.PacketTooLarge, Clause: "MQTT-3.1.2-24", Text: fmt.Sprintf("packet of %d bytes", size)}
			}
			if in.end-in.start >= size {
				p := in.buf[in.start : in.start+size]
				in.start += size
				return p[0], p[head:], nil
			}
		}
		if err := in.fill(); err != nil {
			return 0, nil, lost(err)
		}
	}
}

// fill reads at least one byte.
func (in *input) fill() error {
	switch {
	case in.start == in.end:
		in.start, in.end = 0, 0
		if len(in.buf) > maxQueued { // a large message's buffer is not kept
			in.buf = make([]byte, 4096)
		}
	case in.end == len(in.buf):
		buf := in.buf
		if in.start < len(buf)/2 {
			buf = make([]byte, 2*len(buf))
		}
		in.end = copy(buf, in.buf[in.start:in.end])
		in.start, in.buf = 0, buf
	}
	n, err := in.r.Read(in.buf[in.end:])
	in.end += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// maxPacket is the length of a packet, in bytes, above which nothing is taken.
func (o *Options) maxPacket() int {
	if o.MaxPacket > 0 {
		return o.MaxPacket
	}
	return packet.MaxRemaining + 5
}

// read acts on what the server sends until the connection ends.
func (c *Client) read(in *input) error {
	limit := c.o.maxPacket()
	if p := c.o.Connect.Props; p.Has(packet.MaximumPacketSize) {
		limit = min(limit, int(p.MaximumPacketSize))
	}
	for {
		first, body, err := in.next(limit)
		c.lastRead.Store(time.Now().UnixNano())
		if err == nil {
			select {
			case c.acting <- struct{}{}:
			case <-c.done:
				return nil
			}
			draining := c.draining.Load()
			if !draining {
				err = c.act(first, body)
			}
			<-c.acting
			if draining {
				_, _ = io.Copy(io.Discard, c.conn)
				return nil
			}
		}
		if err != nil {
			return c.readError(err)
		}
	}
}

// readError tells the server (MQTT 5) what it did wrong, and gives the reason why reading ends.
func (c *Client) readError(err error) error {
	var wrong *packet.Error
	switch {
	case errors.Is(err, ErrDone), errors.Is(err, ErrLeave):
		c.leave()
		c.sendDisconnect(packet.NormalDisconnection, nil)
		_ = c.conn.SetReadDeadline(time.Now().Add(drainWait))
		_, _ = io.Copy(io.Discard, c.conn)
		return nil
	case errors.As(err, &wrong) && c.version == packet.V5:
		c.sendDisconnect(wrong.Code, nil)
	}
	return err
}

// act does what one packet asks for.
func (c *Client) act(first byte, body []byte) error {
	if packet.Type(first>>4) == packet.PUBLISH {
		var p packet.Publish
		if err := p.Decode(c.version, first, body); err != nil {
			return err
		}
		c.trace(false, &p)
		return c.received(&p)
	}
	decoded, err := packet.Decode(c.version, first, body)
	if err != nil {
		return err
	}
	c.trace(false, decoded)
	switch p := decoded.(type) {
	case *packet.Ack:
		return c.acknowledged(p)
	case *packet.Suback:
		return c.answer(p.ID, p)
	case *packet.Unsuback:
		return c.answer(p.ID, p)
	case packet.Pingresp:
		c.pingSent.Store(0)
		c.pinged()
		return nil
	case *packet.Disconnect:
		return &DisconnectError{Code: p.Code, Props: p.Props}
	case *packet.Auth:
		return c.authenticate(p)
	}
	return &packet.Error{Code: packet.ProtocolError, Text: fmt.Sprintf("a server does not send packets of type %d", first>>4)}
}

// received deals with a PUBLISH.
func (c *Client) received(p *packet.Publish) error {
	m := &Message{Topic: string(p.Topic), Payload: bytes.Clone(p.Payload), QoS: p.QoS, Retain: p.Retain, Dup: p.Dup, ID: p.ID}
	var err error
	if len(p.Props) > 0 {
		m.RawProps = bytes.Clone(p.Props)
		if m.Props, err = p.Properties(); err != nil {
			return err
		}
	}
	if p.Alias != 0 {
		if m.Topic, err = c.alias(p); err != nil {
			return err
		}
	}
	if m.QoS < 2 {
		err := c.deliver(m)
		if m.QoS == 0 || err != nil && !errors.Is(err, ErrDone) {
			return err
		}
		return errors.Join(c.queue(&packet.Ack{Kind: packet.PUBACK, ID: m.ID}), err)
	}
	c.session.mu.Lock()
	if _, known := c.session.in[m.ID]; !known { // MQTT-4.3.3-10
		c.session.in[m.ID] = m
	}
	c.session.mu.Unlock()
	return c.queue(&packet.Ack{Kind: packet.PUBREC, ID: m.ID})
}

// alias is the topic that a message's alias stands for, from now on or since an earlier message (MQTT 5.0, 3.3.2.3.4).
func (c *Client) alias(p *packet.Publish) (string, error) {
	if c.aliases == nil || p.Alias > c.o.Connect.Props.TopicAliasMaximum {
		return "", &packet.Error{Code: packet.TopicAliasInvalid, Clause: "MQTT-3.3.2-10", Text: fmt.Sprintf("topic alias %d is above the maximum", p.Alias)}
	}
	if len(p.Topic) > 0 {
		c.aliases[p.Alias] = string(p.Topic)
	}
	topic, known := c.aliases[p.Alias]
	if !known {
		return "", &packet.Error{Code: packet.ProtocolError, Clause: "MQTT-3.3.2-7", Text: fmt.Sprintf("topic alias %d was never given a topic", p.Alias)}
	}
	return topic, nil
}

// deliver hands a message to the application.
func (c *Client) deliver(m *Message) error {
	c.inHandler.Store(true)
	defer func() {
		c.lastRead.Store(time.Now().UnixNano()) // only now answers to pings can be read again
		c.inHandler.Store(false)
	}()
	if c.o.Handler != nil {
		return c.o.Handler(m)
	}
	if c.o.Messages == nil {
		return nil
	}
	select {
	case c.o.Messages <- m:
		return nil
	case <-c.leaving:
	case <-c.done:
	}
	return ErrClosed
}

// acknowledged deals with PUBACK, PUBREC, PUBREL and PUBCOMP.
func (c *Client) acknowledged(p *packet.Ack) error {
	switch p.Kind {
	case packet.PUBACK:
		c.completed(p, 1)
	case packet.PUBREC:
		if p.Code.Failed() { // the handshake ends here (4.3.3)
			c.completed(p, 2)
			return nil
		}
		rel := &packet.Ack{Kind: packet.PUBREL, ID: p.ID}
		if !c.session.release(p.ID) {
			rel.Code = packet.PacketIdentifierNotFound
		}
		return c.queue(rel)
	case packet.PUBCOMP:
		c.completed(p, 2)
	case packet.PUBREL:
		return c.released(p)
	}
	return nil
}

// released hands over a QoS 2 message and completes its handshake.
func (c *Client) released(p *packet.Ack) error {
	c.session.mu.Lock()
	m := c.session.in[p.ID]
	c.session.mu.Unlock()
	comp := &packet.Ack{Kind: packet.PUBCOMP, ID: p.ID}
	var end error
	if m == nil {
		comp.Code = packet.PacketIdentifierNotFound
	} else if end = c.deliver(m); end != nil && !errors.Is(end, ErrDone) {
		return end
	}
	c.session.mu.Lock()
	delete(c.session.in, p.ID)
	c.session.mu.Unlock()
	return errors.Join(c.queue(comp), end)
}

// completed ends the handshake of an own message. An acknowledgement of something unknown is not answered: there is no packet to do it with.
func (c *Client) completed(p *packet.Ack, qos byte) {
	if o := c.session.complete(p.ID, qos); o != nil {
		if o.counted {
			<-c.quota
		}
		o.done(Result{ID: p.ID, Code: p.Code, Props: p.Props})
	}
}
