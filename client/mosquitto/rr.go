package mosquitto

import (
	"context"
	"errors"

	"picket/client"
	"picket/packet"
)

// request is mosquitto_rr.
func (s *session) request() error {
	if len(s.o.topics) == 0 || s.o.source == fromNowhere || s.o.response == "" {
		return &Status{1, "Error: All of topic, message, and response topic must be supplied." + s.usageHint()}
	}
	if err := s.nameResponseTopic(); err != nil {
		return err
	}
	if err := s.load(); err != nil {
		return s.fail(err)
	}
	ctx := s.ctx
	if s.o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.o.timeout, errTimeout)
		defer cancel()
	}
	answered := false
	s.c.Handler = func(m *client.Message) error {
		if answered || m.Retain && s.o.noRetained {
			return nil
		}
		answered = true
		if err := s.print(m); err != nil {
			return err
		}
		return client.ErrDone
	}
	err := s.ask(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errTimeout) {
		return s.ends(statusTimeout, "Timed out")
	}
	if err != nil {
		return s.fail(err)
	}
	return nil
}

// nameResponseTopic tells whoever answers where to (MQTT 5).
func (s *session) nameResponseTopic() error {
	if s.o.version != packet.V5 {
		return nil
	}
	p := s.o.properties["publish"]
	if p == nil {
		p = &packet.Properties{}
		s.o.properties["publish"] = p
	}
	if p.Has(packet.ResponseTopic) {
		return &Status{1, "Error in PUBLISH properties: Duplicate response topic."}
	}
	p.ResponseTopic = s.o.response
	p.Set(packet.ResponseTopic)
	return nil
}

// ask subscribes to the response's topic, publishes the request and waits until the handler has had enough.
func (s *session) ask(ctx context.Context) error {
	c, err := s.o.dial(ctx, s.c)
	if err != nil {
		return err
	}
	defer c.Close()
	p := &packet.Subscribe{Filters: []packet.Subscription{{Filter: s.o.response, QoS: s.o.qos, RetainAsPublished: s.o.version == packet.V5 && s.o.retainAsPublished}}}
	if s.o.version == packet.V5 {
		p.Props = s.o.properties["subscribe"]
	}
	answer, err := c.Subscribe(ctx, p)
	if err != nil {
		return err
	}
	if answer.Codes[0].Failed() {
		s.leave(c, packet.NormalDisconnection)
		s.warn("%v%s", answer.Codes[0], reasonString(answer.Props))
		return nil // mosquitto_rr ends well, too
	}
	r, err := c.Publish(ctx, s.message(s.o.message, true))
	var refused *client.ReasonError
	if errors.As(err, &refused) {
		s.reportRefusal(r)
	} else if err != nil && !errors.Is(err, client.ErrClosed) { // closed: the answer was quicker than the acknowledgement
		return err
	}
	select {
	case <-c.Done():
		return c.Err()
	case <-ctx.Done():
		s.leave(c, packet.DisconnectWithWill)
		return context.Cause(ctx)
	}
}
