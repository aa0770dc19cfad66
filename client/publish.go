package client

import (
	"context"
	"errors"

	"picket/packet"
)

// errNoID is nearly impossible: the quota is below the number of identifiers.
var errNoID = errors.New("all packet identifiers are in use")

// Publish sends a message and waits until its handshake is complete; with QoS 0, until it is queued to be written.
// A refusal by the server (MQTT 5) is a [*ReasonError]. When ctx ends first the handshake goes on.
func (c *Client) Publish(ctx context.Context, m *Message) (Result, error) {
	end := make(chan Result, 1)
	if _, err := c.Send(ctx, m, func(r Result) { end <- r }); err != nil {
		return Result{}, err
	}
	select {
	case r := <-end:
		return r, r.err(m.Topic)
	case <-c.done:
		select {
		case r := <-end: // it came just before
			return r, r.err(m.Topic)
		default:
			return Result{}, c.endError()
		}
	case <-ctx.Done():
		return Result{}, context.Cause(ctx)
	}
}

func (r Result) err(topic string) error {
	if r.Code.Failed() {
		return &ReasonError{Type: packet.PUBLISH, Topic: topic, Code: r.Code, Props: r.Props}
	}
	return nil
}

// Send queues a message and returns its packet identifier (0 with QoS 0). It waits while the server's Receive Maximum or
// MaxInflight is used up, and while much is queued. done, unless nil, is called once when the handshake is complete, by the
// reading goroutine (with QoS 0, by Send itself); it must not wait for the server. If the connection ends before, the message
// stays in the [Session]. m must not be changed until then.
func (c *Client) Send(ctx context.Context, m *Message, done func(Result)) (id uint16, err error) {
	if done == nil {
		done = func(Result) {}
	}
	if err := c.check(m); err != nil {
		return 0, err
	}
	select {
	case <-c.resumed: // what is older goes first
	case <-c.done:
		return 0, c.endError()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	if err := c.writer.room(ctx, c.done); err != nil {
		return 0, err
	}
	if m.QoS == 0 {
		if err := c.queue(encodable(m, 0, false)); err != nil {
			return 0, err
		}
		done(Result{})
		return 0, nil
	}
	if err := c.takeQuota(ctx); err != nil {
		return 0, err
	}
	if id = c.session.add(m, done); id == 0 {
		<-c.quota
		return 0, errNoID
	}
	if err := c.queue(encodable(m, id, false)); err != nil {
		return id, err
	}
	return id, nil
}

// takeQuota waits until one more QoS 1 or 2 message may be under way.
func (c *Client) takeQuota(ctx context.Context) error {
	select {
	case c.quota <- struct{}{}:
		return nil
	case <-c.done:
		return c.endError()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// check holds a message against what the server allows.
func (c *Client) check(m *Message) error {
	switch {
	case m.QoS > c.max.qos:
		return ErrQoSNotSupported
	case m.Retain && !c.max.retain:
		return ErrRetainNotSupported
	case m.Props.Has(packet.TopicAlias) && m.Props.TopicAlias > c.max.aliases:
		return ErrTopicAlias
	}
	props := 0
	if c.version == packet.V5 {
		props = len(m.Props.Append(nil)) // with its length, which is more than enough
	}
	if size := packet.PublishSize(c.version, len(m.Topic), props, len(m.Payload), m.QoS); size > c.max.packet {
		return ErrPacketTooLarge
	}
	return nil
}

// encodable is m as a PUBLISH packet.
func encodable(m *Message, id uint16, dup bool) *packet.Publish {
	p := &packet.Publish{Dup: dup, QoS: m.QoS, Retain: m.Retain, Topic: []byte(m.Topic), ID: id, Payload: m.Payload}
	if m.Props != nil {
		p.Props = m.Props.AppendRaw(nil)
	}
	return p
}

// resume sends again what earlier connections left unfinished, in the old order (MQTT-4.4.0-1, MQTT-4.6.0-1), and then lets new messages go.
// over is called for those that the server had taken over already.
func (c *Client) resume(over []func(Result)) {
	defer close(c.resumed)
	for _, done := range over {
		done(Result{})
	}
	for _, id := range c.session.unfinished() {
		if c.takeQuota(context.Background()) != nil {
			return
		}
		m, released, ok := c.session.resend(id)
		if !ok {
			<-c.quota
			continue
		}
		var p packet.Packet = &packet.Ack{Kind: packet.PUBREL, ID: id}
		if !released {
			p = encodable(m, id, c.connack.SessionPresent)
		}
		if c.queue(p) != nil {
			return
		}
	}
}
