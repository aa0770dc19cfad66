package client

import (
	"context"

	"picket/packet"
)

// Subscribe asks for subscriptions and waits for the answer, whose Codes are in the order of the filters. p's ID is chosen by the
// client. Single refusals are no error; see [Refusals].
func (c *Client) Subscribe(ctx context.Context, p *packet.Subscribe) (*packet.Suback, error) {
	answer, err := c.request(ctx, func(id uint16) packet.Packet { p.ID = id; return p })
	if err != nil {
		return nil, err
	}
	if suback, ok := answer.(*packet.Suback); ok && len(suback.Codes) == len(p.Filters) {
		return suback, nil
	}
	return nil, c.mismatch("SUBSCRIBE", "MQTT-3.9.3-1")
}

// Unsubscribe ends subscriptions and waits for the answer. p's ID is chosen by the client.
func (c *Client) Unsubscribe(ctx context.Context, p *packet.Unsubscribe) (*packet.Unsuback, error) {
	answer, err := c.request(ctx, func(id uint16) packet.Packet { p.ID = id; return p })
	if err != nil {
		return nil, err
	}
	if unsuback, ok := answer.(*packet.Unsuback); ok {
		return unsuback, nil
	}
	return nil, c.mismatch("UNSUBSCRIBE", "MQTT-3.10.4-4")
}

// mismatch ends the connection with a server that answers one question with the answer to another.
func (c *Client) mismatch(request, clause string) error {
	err := &packet.Error{Code: packet.ProtocolError, Clause: clause, Text: "the answer does not fit the " + request}
	c.fail(err)
	return err
}

// Refusals lists the filters that were refused, as errors in their order.
func Refusals(filters []packet.Subscription, answer *packet.Suback) []*ReasonError {
	var refused []*ReasonError
	for i, code := range answer.Codes {
		if code.Failed() {
			refused = append(refused, &ReasonError{Type: packet.SUBSCRIBE, Topic: filters[i].Filter, Code: code, Props: answer.Props})
		}
	}
	return refused
}

// request sends what is answered under the same packet identifier, and waits for the answer.
func (c *Client) request(ctx context.Context, build func(id uint16) packet.Packet) (packet.Packet, error) {
	id := c.session.take()
	if id == 0 {
		return nil, errNoID
	}
	answer := make(chan packet.Packet, 1)
	c.mu.Lock()
	c.waiting[id] = answer
	c.mu.Unlock()
	forget := func() {
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
		c.session.give(id)
	}
	if err := c.queue(build(id)); err != nil {
		forget()
		return nil, err
	}
	select {
	case p := <-answer:
		forget()
		return p, nil
	case <-c.done:
		forget()
		return nil, c.endError()
	case <-ctx.Done():
		// The identifier stays taken: its answer may still come.
		return nil, context.Cause(ctx)
	}
}

// answer hands an answer to the one that waits for it.
func (c *Client) answer(id uint16, p packet.Packet) error {
	c.mu.Lock()
	answer := c.waiting[id]
	delete(c.waiting, id)
	c.mu.Unlock()
	if answer != nil {
		answer <- p
	}
	return nil
}
