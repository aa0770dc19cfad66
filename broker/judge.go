package broker

import (
	"context"
	"errors"
	"iter"
	"time"

	"picket/access"
	"picket/cause"
	"picket/packet"
)

// What a client may do is decided by package access, by the rules in the client's session. An answer may have to be fetched: reading pauses then, the
// packet stays where it is, and when the answer has come the packet is read and judged once more, with the answer at hand. Nothing that changes
// anything may happen to a packet before it has been judged.

// maxFetches bounds how many answers are waited for at once. Each costs a goroutine, and whoever answers has a limit of its own.
const maxFetches = 256

// maxLogins bounds how many logins are waited for at once that others decide about; with [asksEach] more standing in line.
const maxLogins = 256

// errAgain says that a packet has to be read again when reading goes on.
var errAgain = errors.New("the packet is judged when an answer has come")

// question is what has been asked elsewhere about a packet.
type question struct {
	action access.Action
	name   string
}

// pending is a question whose answer has to be fetched.
type pending struct {
	question
	later *access.Later
}

// mayPublish decides whether the client may publish to the name of a route.
func (c *connection) mayPublish(rt *route) access.Decision {
	rules := c.s.rules.Load()
	if rules == rt.writer {
		return access.Decision{Allow: true}
	}
	if c.b.control(rt.name) != nil {
		return rules.Control(rt.name)
	}
	d := rules.Publish(rt.name)
	if d.Allow && !rules.Asks() {
		rt.writer = rules
	}
	return d
}

// judge decides whether the client may publish the worker's run; where names differ in it, all but the first have been judged. It reports whether the answer is
// here; if not, it is fetched.
func (c *connection) judge(w *worker) (d access.Decision, here bool) {
	r := &w.run
	if limit := c.b.settings.Load().MessageSizeLimit; limit > 0 && len(r.body(0)) > limit {
		return access.Decision{Cause: cause.PayloadTooLarge}, true
	}
	d = c.mayPublish(r.route)
	if d.Later == nil {
		return d, true
	}
	asked := question{access.Publish, r.route.name}
	if known, ok := c.answer(asked); ok {
		c.more.answers = nil
		return known, true
	}
	c.fetch(w, []pending{{asked, d.Later}})
	return access.Decision{}, false
}

// judgeFilters decides which of n filters the client may subscribe to, or unsubscribe from. It reports whether all answers are here; if not, they are fetched.
func (c *connection) judgeFilters(w *worker, a access.Action, n int, filters iter.Seq2[int, string]) (ds []access.Decision, here bool) {
	rules := c.s.rules.Load()
	ask := rules.Subscribe
	if a == access.Unsubscribe {
		ask = rules.Unsubscribe
	}
	var missing []pending
	ds = make([]access.Decision, 0, n)
	for _, f := range filters {
		var d access.Decision
		if f != AttemptsTopic {
			asked := question{a, c.s.mounted(f)}
			if d = ask(asked.name); d.Later != nil {
				later, known := d.Later, false
				if d, known = c.answer(asked); !known {
					missing = append(missing, pending{asked, later})
				}
			}
		}
		ds = append(ds, d)
	}
	if len(missing) > 0 {
		c.fetch(w, missing)
		return nil, false
	}
	if c.more != nil {
		c.more.answers = nil
	}
	return ds, true
}

// answer finds what has been fetched for the packet that is being read again.
func (c *connection) answer(q question) (d access.Decision, ok bool) {
	if c.more != nil {
		d, ok = c.more.answers[q]
	}
	return d, ok
}

// fetch gets answers where that holds nobody up. Reading goes on when all are here.
func (c *connection) fetch(w *worker, all []pending) {
	b := c.b
	answers := make(map[question]access.Decision, len(all))
	// Keep alive counts from when reading goes on: what the client sends meanwhile is not seen.
	c.lastRead.Store(b.clock.Load() + uint32(b.settings.Load().ConnectTimeout/time.Second)*uint32(len(all)))
	c.elsewhere(w, func() {
		for _, p := range all {
			answers[p.question] = b.get(c, p.later)
		}
	}, func(*worker) {
		c.lastRead.Store(b.clock.Load())
		c.opt().answers = answers
	})
}

// maxSteps bounds how many are asked one after the other for one answer.
const maxSteps = 32

// get gets an answer that takes time, however many have to be asked for it. It blocks.
func (b *Broker) get(c *connection, l *access.Later) access.Decision {
	for range maxSteps {
		d := b.step(c, l)
		if d.Later == nil {
			return d
		}
		l = d.Later
	}
	return b.unanswered()
}

// step gets an answer, or whom to ask next, when there is a slot for it: for a login, when it is the turn of the client's address. It blocks.
func (b *Broker) step(c *connection, l *access.Later) access.Decision {
	if l.Computes {
		return b.checkPassword(b.context, b.passwords, c, func() access.Decision { return l.Get(b.context) })
	}
	ctx, cancel := context.WithTimeout(b.context, b.mayWait(c))
	defer cancel()
	if c != nil && c.stage() == checking {
		return b.checkPassword(ctx, b.asked, c, func() access.Decision { return l.Get(ctx) })
	}
	select {
	case b.fetching <- struct{}{}:
	case <-ctx.Done():
		return b.unanswered()
	}
	defer func() { <-b.fetching }()
	if c != nil && c.hasLeft() { // nobody waits for the answer any more
		return access.Decision{Cause: cause.ConnectionLost}
	}
	d := l.Get(ctx)
	if d.Later == nil && !d.Allow && ctx.Err() != nil {
		return b.unanswered()
	}
	return d
}

// mayWait is how long an answer may take: connect_timeout, and for a login what is left of it, so that the client hears who has not answered.
func (b *Broker) mayWait(c *connection) time.Duration {
	limit := b.settings.Load().ConnectTimeout
	if c == nil || c.stage() != checking {
		return limit
	}
	left := time.Duration(c.deadline)*time.Second - b.now().Sub(b.started) - 2*time.Second
	return max(left, limit/4)
}

// unanswered is the decision where nobody has answered.
func (b *Broker) unanswered() access.Decision {
	if b.context.Err() != nil {
		return access.Decision{Cause: cause.ServerShuttingDown, Text: "the broker is being stopped"}
	}
	return access.Decision{Cause: cause.AuthBackendDown, Text: "whoever has to be asked does not answer"}
}

func (c *connection) hasLeft() bool {
	return c.stage() == closed
}

// codeOf is the reason code for what the judge denies.
func codeOf(id cause.ID) packet.Code {
	switch id {
	case cause.PayloadTooLarge:
		return packet.PacketTooLarge
	case cause.SubscriptionsFull:
		return packet.QuotaExceeded
	case cause.ControlUnavailable, cause.AuthBackendDown:
		return packet.ImplementationSpecificError
	}
	return packet.NotAuthorized
}

// judgeWill publishes a will that is due if the rules of its session allow it, and says so if they do not. No mutex may be held.
func (w *worker) judgeWill(last *will) {
	b := w.b
	d := last.rules.Publish(last.message.Topic)
	if d.Later == nil {
		w.settleWill(last, d)
		return
	}
	b.wait.Go(func() {
		d := b.get(nil, d.Later)
		b.do(func(w *worker) { w.settleWill(last, d) })
	})
}

func (w *worker) settleWill(last *will, d access.Decision) {
	if d.Allow {
		w.publishWill(last)
		return
	}
	m := last.message
	w.b.report(incident{cause: d.Cause}, "Denied will PUBLISH from %s (d0, q%d, r%d, m0, '%s', ... (%d bytes))",
		m.From, m.QoS, bit(m.Retain), m.Topic, len(m.Payload))
}

// elsewhere pauses reading, does what takes time in a goroutine, and then goes on with the connection. It starts only when this batch is over, so
// that two goroutines never look at the connection at once.
func (c *connection) elsewhere(w *worker, work func(), then func(w *worker)) {
	b := c.b
	c.paused = true
	c.conn.Pause()
	w.later = append(w.later, func() {
		b.wait.Go(func() {
			work()
			again := false
			b.do(func(w *worker) {
				c.hand.Lock()
				defer c.hand.Unlock()
				if c.stage() == closed {
					return
				}
				c.paused = false
				then(w)
				again = c.paused
			})
			if !again {
				c.conn.Resume()
			}
		})
	})
}

// waitFor waits until a channel is closed or the broker stops.
func (b *Broker) waitFor(c <-chan struct{}) {
	select {
	case <-c:
	case <-b.stopping:
	}
}
