package mosquitto

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"picket/client"
	"picket/packet"
)

// publish is mosquitto_pub.
func (s *session) publish() error {
	if len(s.o.topics) == 0 || s.o.source == fromNowhere {
		if s.Name == Pub.String() {
			s.printHelp(Pub)
		}
		return &Status{1, "Error: Both topic and message must be supplied." + s.usageHint()}
	}
	if err := s.load(); err != nil {
		return s.fail(err)
	}
	c, err := s.o.dial(s.ctx, s.c)
	if err != nil {
		var refused *client.RefusedError
		if errors.As(err, &refused) {
			return s.ends(refused.Return(), connectionError(refused)+"\nError: The connection was refused.")
		}
		return s.fail(err)
	}
	if s.o.source == fromLines {
		return s.publishLines(c)
	}
	return s.publishRepeatedly(c)
}

// message is the next message to publish. Where a topic alias is given, only the first one on a connection has a topic.
func (s *session) message(payload []byte, first bool) *client.Message {
	m := &client.Message{Topic: s.o.topics[0], Payload: payload, QoS: s.o.qos, Retain: s.o.retain}
	if s.o.version == packet.V5 {
		m.Props = s.o.properties["publish"]
		if !first && m.Props.Has(packet.TopicAlias) {
			m.Topic = ""
		}
	}
	return m
}

// publishRepeatedly sends the message, waits for its acknowledgement, and does so again as often as it should.
func (s *session) publishRepeatedly(c *client.Client) error {
	defer c.Close()
	for i := range s.o.repeat {
		if i > 0 && s.o.repeatDelay > 0 {
			select {
			case <-time.After(s.o.repeatDelay):
			case <-s.ctx.Done():
			case <-c.Done():
			}
		}
		r, err := c.Publish(s.ctx, s.message(s.o.message, i == 0))
		var refused *client.ReasonError
		switch {
		case errors.As(err, &refused):
			s.reportRefusal(r)
		case s.ctx.Err() != nil:
			s.leave(c, packet.NormalDisconnection)
			return &Status{Code: 1}
		case err != nil:
			return s.fail(err)
		}
	}
	s.leave(c, packet.NormalDisconnection)
	return nil
}

// reportRefusal says that the broker did not want a message. It does not change the exit status; mosquitto_pub's stays 0 as well.
func (s *session) reportRefusal(r client.Result) {
	s.warn("Warning: Publish %d failed: %v.%s", r.ID, r.Code, reasonString(r.Props))
}

// publishLines sends each line of standard input as a message. When the connection is lost it is made again, and what was not
// acknowledged is sent again.
func (s *session) publishLines(c *client.Client) error {
	defer func() { c.Close() }()
	in := bufio.NewReaderSize(s.Stdin, 1<<16)
	var under sync.WaitGroup
	first := true
	for {
		line, err := readLine(in)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return s.fail(err)
		}
		for {
			under.Add(1)
			_, err = c.Send(s.ctx, s.message(line, first), func(r client.Result) {
				if r.Code.Failed() {
					s.reportRefusal(r)
				}
				under.Done()
			})
			if err == nil {
				first = false
				break
			}
			under.Done()
			if s.ctx.Err() != nil || !lost(c) {
				return s.fail(err)
			}
			if c, err = s.replace(c); err != nil {
				return s.fail(err)
			}
			first = true
		}
	}
	acknowledged := make(chan struct{})
	go func() { under.Wait(); close(acknowledged) }()
	for {
		select {
		case <-acknowledged:
			s.leave(c, packet.NormalDisconnection)
			return nil
		case <-s.ctx.Done():
			return &Status{Code: 1}
		case <-c.Done():
			var err error
			if c, err = s.replace(c); err != nil {
				return s.fail(err)
			}
		}
	}
}

// lost reports whether the connection has ended by itself.
func lost(c *client.Client) bool {
	select {
	case <-c.Done():
		return c.Err() != nil
	case <-time.After(100 * time.Millisecond): // the end is told in two places, Send's may be first
		return false
	}
}

// replace makes a lost connection again. On error the old one is returned.
func (s *session) replace(old *client.Client) (*client.Client, error) {
	c, err := s.redial(s.ctx)
	if err != nil {
		return old, err
	}
	return c, nil
}

// readLine reads a line of any length up to the largest payload, without its end. The last one need not have an end.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > maxPayload {
			return nil, fmt.Errorf("a line is longer than the largest message, %d bytes", maxPayload)
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
