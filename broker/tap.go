package broker

import (
	"errors"
	"slices"

	"picket/cause"
	"picket/listener"
	"picket/packet"
)

// tap looks at what passes, and at what is refused and dropped, while somebody is looking ([Broker.Trace], [Broker.Meter]). Its methods are called on event loops: those about
// what goes to a client with its session's mutex held, those about what comes from it by whoever reads for the connection. They must neither block nor take a mutex of the broker.
type tap interface {
	// wants tells whether anything that passes at a connection is to be shown. It is asked once for a run of packets; what it says may be too much.
	wants(c *connection) bool
	// passed is a packet that has come from the client, or has been put into what is to be written to it.
	passed(c *connection, p passage)
	// denied is something that was refused or dropped: with next, the packet that says so comes next.
	denied(c *connection, id cause.ID, text string, next bool)
	// left is the end of a connection. Its session's mutex is held.
	left(c *connection, err error)
	// refused is the end of a connection that has not come to MQTT.
	refused(r listener.Refusal)
}

// passage is a packet on its way. What it refers to is written to again afterwards.
type passage struct {
	out     bool
	head    []byte // the packet, or all of it that is before the payload of a PUBLISH
	payload []byte // of a PUBLISH
	topic   []byte // of a PUBLISH: the name that was meant, also by an alias, as the client has it
	broken  bool   // it could not be decoded; only its fixed header is there
}

func (p *passage) kind() packet.Type { return packet.Type(p.head[0] >> 4) }
func (p *passage) size() int         { return len(p.head) + len(p.payload) }

// maxTaps bounds how many look on at once.
const maxTaps = 8

// ErrTooManyTaps: as many look on as may.
var ErrTooManyTaps = errors.New("as many traces and measurements as may be (8) are going on")

// attach has a tap see what passes from now on.
func (b *Broker) attach(t tap) error {
	b.tapMu.Lock()
	defer b.tapMu.Unlock()
	var all []tap
	if old := b.taps.Load(); old != nil {
		all = slices.Clone(*old)
	}
	if len(all) >= maxTaps {
		return ErrTooManyTaps
	}
	all = append(all, t)
	b.taps.Store(&all)
	return nil
}

// detach ends that. A call that has begun may still be under way.
func (b *Broker) detach(t tap) {
	b.tapMu.Lock()
	defer b.tapMu.Unlock()
	old := b.taps.Load()
	if old == nil {
		return
	}
	all := slices.DeleteFunc(slices.Clone(*old), func(other tap) bool { return other == t })
	if len(all) == 0 {
		b.taps.Store(nil) // what everybody looks at on the way of every packet
		return
	}
	b.taps.Store(&all)
}

// eachTap shows a packet to all taps.
func (b *Broker) eachTap(f func(tap)) {
	if all := b.taps.Load(); all != nil {
		for _, t := range *all {
			f(t)
		}
	}
}

// shown tells whether anybody looks at what passes at a connection: what nobody wants is not even put together.
func (c *connection) shown() bool {
	all := c.b.taps.Load()
	return all != nil && c.wanted(*all)
}

func (c *connection) wanted(by []tap) bool {
	return slices.ContainsFunc(by, func(t tap) bool { return t.wants(c) })
}

func (c *connection) show(p passage) { c.b.eachTap(func(t tap) { t.passed(c, p) }) }

// showDenied shows what was refused or dropped, if anybody looks.
func (c *connection) showDenied(id cause.ID, text string, next bool) {
	if c.b.taps.Load() != nil {
		c.b.eachTap(func(t tap) { t.denied(c, id, text, next) })
	}
}

// showIn shows a packet that has come, and is no PUBLISH.
func (c *connection) showIn(first byte, body []byte) {
	if c.more != nil && c.more.answers != nil {
		return // it is read again, and has been shown
	}
	whole := packet.AppendVarint([]byte{first}, len(body))
	c.show(passage{head: append(whole, body...)})
}

// showOut shows a packet that is to be written to the client. One that the broker makes itself may be a PUBLISH.
func (c *connection) showOut(whole []byte) {
	p := passage{out: true, head: whole}
	if p.kind() == packet.PUBLISH {
		var of packet.Publish
		head, _, _ := packet.Header(whole)
		if of.Decode(c.version, whole[0], whole[head:]) == nil {
			p.head, p.payload, p.topic = whole[:len(whole)-len(of.Payload)], of.Payload, of.Topic
		}
	}
	c.show(p)
}

// showDenied shows what a client is not given, if it is connected and anybody looks. The session's mutex is held.
func (s *Session) showDenied(id cause.ID, text string) {
	if s.conn != nil {
		s.conn.showDenied(id, text, false)
	}
}

// showBroken shows the fixed header of a PUBLISH that cannot be decoded.
func (c *connection) showBroken(in []byte) {
	if c.shown() {
		head, _, _ := packet.Header(in)
		c.show(passage{head: in[:head], broken: true})
	}
}

// showAcks shows acknowledgements in their short form.
func (c *connection) showAcks(out bool, all []byte) {
	for ack := range slices.Chunk(all, 4) {
		c.show(passage{out: out, head: ack})
	}
}

// showRun shows packets i to j of the worker's run, in a form that has them in b, each starting where start says.
func (w *worker) showRun(c *connection, out bool, b []byte, start []int32, i, j int) {
	for ; i < j; i++ {
		one, body := b[start[i]:start[i+1]], w.run.body(i)
		c.show(passage{out: out, head: one[:len(one)-len(body)], payload: body, topic: w.run.topic(i)[len(c.s.mount):]})
	}
}
