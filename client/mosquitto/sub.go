package mosquitto

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"picket/client"
	"picket/client/format"
	"picket/packet"
	"picket/topic"
)

// errTimeout is the end of the time that -W gives.
var errTimeout = errors.New("timeout")

// subscriber is a running mosquitto_sub.
type subscriber struct {
	*session
	printed int
	enough  bool          // nothing more is printed
	leaving bool          // -E: the subscriptions are acknowledged; for the reading goroutine alone
	ended   chan struct{} // closed when enough is set
	clearer *clearer
}

// subscribe is mosquitto_sub.
func (s *session) subscribe() error {
	if s.o.noRetained && s.o.retainedOnly {
		return &Status{1, "\nError: Combining '-R' and '--retained-only' makes no sense."}
	}
	ctx := s.ctx
	if s.o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.o.timeout, errTimeout)
		defer cancel()
	}
	r := &subscriber{session: s, ended: make(chan struct{})}
	s.c.Handler = r.handle
	trace := s.c.Trace
	s.c.Trace = func(sent bool, p packet.Packet) {
		if trace != nil && (sent || !r.leaving) {
			trace(sent, p)
		}
		if answer, ok := p.(*packet.Suback); ok && !sent {
			r.subscribed(answer)
		}
	}
	if s.o.removeRetained {
		r.clearer = &clearer{wake: make(chan struct{}, 1)}
	}
	c, err := s.o.dial(ctx, s.c)
	for {
		if err != nil && !errors.Is(err, client.ErrConnectionLost) {
			if errors.Is(context.Cause(ctx), errTimeout) {
				return s.ends(statusTimeout, "Timed out")
			}
			return s.fail(err)
		}
		if err == nil {
			if done, err := r.serve(ctx, c); done {
				return err
			}
		}
		if c, err = s.redial(ctx); ctx.Err() != nil {
			if errors.Is(context.Cause(ctx), errTimeout) {
				return s.ends(statusTimeout, "Timed out")
			}
			return nil
		}
	}
}

// serve subscribes on a new connection and waits until it ends or enough has been seen. done is false when the connection was lost.
func (r *subscriber) serve(ctx context.Context, c *client.Client) (done bool, err error) {
	defer c.Close()
	var clearing sync.WaitGroup
	if r.clearer != nil {
		stop, cancel := context.WithCancel(context.Background())
		defer clearing.Wait()
		defer cancel()
		clearing.Go(func() { r.clearer.run(stop, c) })
	}
	if done, err = r.ask(ctx, c); done {
		return true, err
	}
	select {
	case <-ctx.Done():
		r.leave(c, packet.DisconnectWithWill)
		if errors.Is(context.Cause(ctx), errTimeout) {
			return true, r.ends(statusTimeout, "Timed out")
		}
		return true, nil
	case <-r.ended:
		if r.clearer != nil {
			r.clearer.wait(ctx, c)
		}
		r.leave(c, packet.NormalDisconnection)
		return true, nil
	case <-c.Done():
		if err := c.Err(); err != nil && !again(err) {
			return true, r.fail(err)
		} else {
			return err == nil, nil // nil: the handler has ended it
		}
	}
}

// again reports whether a connection that ended so is worth making again.
func again(err error) bool {
	var disconnected *client.DisconnectError
	return errors.Is(err, client.ErrConnectionLost) || errors.Is(err, client.ErrKeepAlive) || errors.As(err, &disconnected)
}

// ask subscribes and unsubscribes. done tells that the program has nothing to wait for.
func (r *subscriber) ask(ctx context.Context, c *client.Client) (done bool, err error) {
	p := &packet.Subscribe{}
	for _, filter := range r.o.topics {
		one := packet.Subscription{Filter: filter, QoS: r.o.qos}
		if r.o.version == packet.V5 {
			one.RetainAsPublished = r.o.retainAsPublished
			if r.o.noRetained {
				one.RetainHandling = 2
			}
		}
		p.Filters = append(p.Filters, one)
	}
	if r.o.version == packet.V5 {
		p.Props = r.o.properties["subscribe"]
	}
	answer, err := c.Subscribe(ctx, p)
	if err != nil {
		return false, nil //nolint:nilerr // serve sees why: the connection is lost or the time is over
	}
	if len(client.Refusals(p.Filters, answer)) == len(p.Filters) {
		r.leave(c, packet.NormalDisconnection)
		r.warn("All subscription requests were denied.%s", reasonString(answer.Props))
		return true, nil
	}
	for _, filter := range r.o.unsubs {
		u := &packet.Unsubscribe{Filters: []string{filter}}
		if r.o.version == packet.V5 {
			u.Props = r.o.properties["unsubscribe"]
		}
		if _, err := c.Unsubscribe(ctx, u); err != nil {
			return false, nil //nolint:nilerr // as above
		}
	}
	if r.o.exitAfterSub {
		r.leave(c, packet.NormalDisconnection)
		return true, nil
	}
	return false, nil
}

// subscribed notes, before any later packet is looked at, that the broker has answered.
func (r *subscriber) subscribed(answer *packet.Suback) {
	if r.o.debug && !r.o.quiet {
		var codes []string
		for _, code := range answer.Codes {
			codes = append(codes, fmt.Sprint(byte(code)))
		}
		fmt.Fprintf(lockedOutput{r.session}, "Subscribed (mid: %d): %s\n", answer.ID, strings.Join(codes, ", "))
	}
	r.leaving = r.o.exitAfterSub
}

// handle prints a message if it should be.
func (r *subscriber) handle(m *client.Message) error {
	if r.leaving {
		return client.ErrLeave
	}
	if r.enough {
		return nil
	}
	if r.o.retainedOnly && !m.Retain {
		return r.finish()
	}
	if m.Retain && r.o.noRetained {
		return nil
	}
	for _, filter := range r.o.filterOut {
		if topic.Match(filter, m.Topic) {
			return nil
		}
	}
	if m.Retain && r.clearer != nil {
		r.clearer.add(m.Topic)
	}
	if r.o.chance >= 1 || rand.Float64() < r.o.chance {
		if err := r.print(m); err != nil {
			return err
		}
	}
	r.printed++
	if r.printed == r.o.count {
		return r.finish()
	}
	return nil
}

// finish ends the program after the message at hand.
func (r *subscriber) finish() error {
	r.enough = true
	if r.clearer == nil {
		return client.ErrDone
	}
	close(r.ended) // what is being removed has to be acknowledged first
	return nil
}

// print writes a message to stdout in the format that the options ask for.
func (s *session) print(m *client.Message) error {
	var out []byte
	var err error
	switch {
	case s.o.format != nil:
		out, err = s.o.format.Append(nil, m, time.Now())
		var wrong *format.JSONError
		if errors.As(err, &wrong) {
			s.warn("Error: %v", wrong)
		}
		if !s.o.noNewline {
			out = append(out, '\n')
		}
	case s.o.verbose && len(m.Payload) == 0:
		if !s.o.noNewline {
			out = fmt.Appendf(nil, "%s (null)\n", m.Topic)
		}
	case len(m.Payload) > 0:
		if s.o.verbose {
			out = append(append(out, m.Topic...), ' ')
		}
		out = append(out, m.Payload...)
		if !s.o.noNewline {
			out = append(out, '\n')
		}
	}
	_, err = lockedOutput{s}.Write(out)
	return err
}

// clearer makes the broker forget retained messages, as fast as it acknowledges that, while others are being received.
type clearer struct {
	mu     sync.Mutex
	topics []string // not yet asked for
	busy   int      // asked for, not acknowledged
	wake   chan struct{}
}

func (q *clearer) add(topic string) {
	q.mu.Lock()
	q.topics = append(q.topics, topic)
	q.mu.Unlock()
	q.poke()
}

func (q *clearer) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run clears until ctx ends.
func (q *clearer) run(ctx context.Context, c *client.Client) {
	for {
		q.mu.Lock()
		var next string
		some := len(q.topics) > 0
		if some {
			next = q.topics[0]
			q.topics = q.topics[1:]
			q.busy++
		}
		q.mu.Unlock()
		if !some {
			select {
			case <-q.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		_, err := c.Send(ctx, &client.Message{Topic: next, QoS: 1, Retain: true}, func(client.Result) {
			q.mu.Lock()
			q.busy--
			q.mu.Unlock()
		})
		if err != nil {
			return
		}
	}
}

// wait waits until everything is acknowledged.
func (q *clearer) wait(ctx context.Context, c *client.Client) {
	for {
		q.mu.Lock()
		idle := len(q.topics) == 0 && q.busy == 0
		q.mu.Unlock()
		if idle {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return
		case <-c.Done():
			return
		}
	}
}
