package simulation

// client is one with a session that survives, which moves from node to node and subscribes now and then.
type client struct {
	w  *World
	id string
	at *node
}

func (c *client) tick() {
	w := c.w
	w.after(200+w.rng.Int64N(1500), c.tick)
	if w.check.healed {
		return
	}
	if c.at == nil || !c.at.alive || !w.cfg.Rest && w.rng.IntN(4) == 0 {
		c.at = w.anyNode()
	}
	n := c.at
	if n == nil {
		return
	}
	n.do(func() {
		if !n.m.Serving() {
			return
		}
		s := n.sessions[c.id]
		if s == nil || s.moved {
			n.m.Claim(c.id)
			return
		}
		if topic := w.topic(); w.rng.IntN(3) == 0 {
			n.subscribe(c.id, topic, func() { w.check.subscribed(n, c.id, topic) })
		}
	})
}

// topics is how many there are; a filter here is the topic itself.
const topics = 4

func (w *World) topic() string { return string(rune('a' + w.rng.IntN(topics))) }

// anyNode is a node that takes clients.
func (w *World) anyNode() *node {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	if !n.alive || n.frozen || !n.m.Serving() {
		return nil
	}
	return n
}

// publisher numbers its messages to each topic, and sends what has not been acknowledged again where it connects next, in order.
type publisher struct {
	w       *World
	id      string
	at      *node
	life    int
	me      uint64 // the incarnation that it is connected to
	sent    map[string]int
	waiting []*sent
	idle    int // ticks without an acknowledgement
}

// sent is a message that has not been acknowledged.
type sent struct {
	message
	owed []string // sessions that must have it when it is
	done bool
}

func (p *publisher) tick() {
	w := p.w
	w.after(100+w.rng.Int64N(400), p.tick)
	if p.idle++; p.at == nil || !p.at.alive || p.at.life != p.life || p.at.m.Incarnation() != p.me || p.idle > 12 || !w.check.healed && !w.cfg.Stay && w.rng.IntN(30) == 0 {
		p.connect()
		return
	}
	if len(p.waiting) < 4 && !w.check.healed {
		topic := w.topic()
		p.sent[topic]++
		s := &sent{message: message{p.id, topic, p.sent[topic]}}
		s.owed = w.check.owed(s.message)
		p.waiting = append(p.waiting, s)
		p.publish(s)
	}
}

func (p *publisher) connect() {
	p.idle = 0
	if p.at = p.w.anyNode(); p.at == nil {
		return
	}
	p.life, p.me = p.at.life, p.at.m.Incarnation()
	for _, s := range p.waiting {
		p.publish(s)
	}
}

func (p *publisher) publish(s *sent) {
	n, me := p.at, p.me
	n.do(func() {
		if n.m.Incarnation() != me || !n.m.Serving() {
			return
		}
		n.publish(p.id, s.topic, s.n, func() { p.acknowledged(n, s) })
	})
}

func (p *publisher) acknowledged(n *node, s *sent) {
	if p.at != n || s.done {
		return // it is connected to another node, and hears nothing of this one
	}
	p.idle, s.done = 0, true
	p.w.check.acknowledged(n, s)
	for i, x := range p.waiting {
		if x == s {
			p.waiting = append(p.waiting[:i:i], p.waiting[i+1:]...)
			return
		}
	}
}
