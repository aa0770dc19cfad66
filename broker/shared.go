package broker

import (
	"time"

	"picket/cause"
	"picket/logging"
	"picket/session"
	"picket/store"
	"picket/topic"
)

// Shared subscriptions (MQTT 5.0, 4.8.2): each message goes to one member of the group. Who cannot take it is passed over before it counts as
// delivered, and what a member leaves unacknowledged when its session ends goes to another.

// The rounds in which a member is looked for. Whoever is connected here comes before other nodes, and those before clients that are away.
const (
	connectedHere = iota
	elsewhere
	awayHere

	shareRounds
)

// shareAll hands the run to groups, and returns how often there was a member.
func (w *worker) shareAll(groups []*topic.Group[*Session]) (matched int) {
	for _, g := range groups {
		for i := range w.run.n {
			if w.share(g, i) {
				matched++
			}
		}
	}
	return matched
}

// share hands packet i of the run to one member of a group: to one that is connected if there is any that can take it, else to another node that has a member, else to one whose session
// waits for its client. It reports whether there was one. If there was none although somebody would have had it, that is counted and said.
func (w *worker) share(g *topic.Group[*Session], i int) bool {
	var why cause.ID
	if g.Next(shareRounds, func(m topic.Subscriber[*Session], round int) bool {
		if peer := m.Key.peer(); peer != 0 || round == elsewhere {
			return peer != 0 && round == elsewhere && w.shareTo(peer, g, i, &why)
		}
		to := receiver{s: m.Key}
		to.merge(m.Options)
		taken := false
		w.effort++
		w.serve(to.s, func() {
			var id cause.ID
			if id, taken = w.takes(&to, i, round == connectedHere); taken {
				w.deliver(&to, i, i+1)
			} else if why == "" {
				why = id
			}
		})
		return taken
	}) {
		return true
	}
	if why != "" {
		w.count.dropped++
		w.b.report(incident{cause: why, limit: &w.b.sharedLine}, "No member of the shared subscription $share/%s/%s can take a message for '%s'.", g.Name, g.Filter, w.run.name)
	}
	return false
}

// takes tells whether a session, whose mutex is held, can take packet i of the run: while it is online, or while it is not. If it cannot, id
// says why, or is empty where nothing is wrong.
func (w *worker) takes(to *receiver, i int, online bool) (id cause.ID, ok bool) {
	r, s := &w.run, to.s
	c := s.conn
	connected := c != nil && c.stage() == connected
	if s.over || connected != online {
		return "", false
	}
	if !to.allowed(string(r.topic(i))) {
		return cause.ACLReadDenied, false
	}
	qos := w.qosFor(to)
	if !connected && !w.waitsFor(s, qos) {
		return "", false
	}
	if connected && c.limitsPackets() {
		if p := w.publishFor(to, c, i, qos, false); !c.fits(&p) {
			return cause.ReceiverPacketLimit, false
		}
	}
	if connected && c.full() && qos == 0 {
		return cause.OutputFull, false
	}
	if !connected || qos > 0 && (c.full() || s.out.Room() == 0) {
		if v := s.out.Takes(len(r.body(i))); v > session.Away {
			return verdictCause(v), false
		}
	}
	return "", true
}

// leftover is what a session that has ended leaves to other members of its shared groups.
type leftover struct {
	s      *Session
	subs   subscriptions
	sent   uint64             // the highest sequence number that may have been sent
	queue  []session.Delivery // what was in memory
	stored bool               // there is more in the store
	record store.Record       // says there that the session is over, until its messages have been passed on; valid with stored
}

// leavesBehind returns what a session leaves to others, or nil. Its mutex is held, and nothing of it has been let go yet.
func (s *Session) leavesBehind() *leftover {
	if !s.out.Shared {
		return nil
	}
	l := &leftover{s: s, subs: s.subs, queue: s.out.Unacknowledged(), stored: s.stored() && s.out.Waiting()+s.out.Inflight() > 0}
	if _, l.sent = s.out.Marks(); len(l.queue) == 0 && !l.stored {
		return nil
	}
	if l.stored {
		l.queue = nil // all of it is in the store
	}
	return l
}

// passOn has what an ended session has left go to other members of its groups: messages of QoS 1, which may then arrive twice, and those of QoS 2 that have
// not been sent (MQTT 5.0, 4.8.2, MQTT-4.8.2-5). It runs in a goroutine of its own, and reports whether the session's end is to be written into the store behind that.
func (b *Broker) passOn(l *leftover) (end bool) {
	h := l.heirs(b)
	defer func() { end = h.settled(b) && end }()
	h.pass(b, l.queue)
	if !l.stored {
		return false
	}
	for from := uint64(1); ; {
		entries, more, err := b.store.Read(b.context, l.s.durable.handle, from, readAtOnce, nil)
		if b.context.Err() != nil {
			return false // the next start finds the session, and goes on
		}
		if err != nil {
			b.report(incident{cause: cause.StoreFailed, level: logging.Error}, "The messages that %s has left to shared subscriptions cannot be read: %v.", l.s.id, err)
			return true
		}
		var ds []session.Delivery
		for i := range entries {
			d := &entries[i].Delivery
			from = d.Seq + 1
			if !entries[i].Damaged && d.Message != nil && (d.QoS == 1 || d.QoS == 2 && d.Seq > l.sent) {
				ds = append(ds, *d)
			}
		}
		h.pass(b, ds)
		if !more {
			return true
		}
		if len(entries) == 0 && !b.pause(time.Millisecond) { // the next one is in a batch that a worker is about to hand over
			return false
		}
	}
}

// heirs are the groups that an ended session was a member of.
type heirs struct {
	groups []*topic.Group[*Session]
	plain  *subscriptions
	passed map[*session.Message]bool
	far    []*promise // what other nodes have to take first
}

// settled waits until other nodes have what they are to pass on. It reports false if the broker is stopped before.
func (h *heirs) settled(b *Broker) bool {
	for _, p := range h.far {
		done := make(chan struct{})
		if p.await(told(func() { close(done) })) {
			select {
			case <-done:
			case <-b.context.Done():
				return false
			}
		}
	}
	return true
}

func (l *leftover) heirs(b *Broker) *heirs {
	h := &heirs{plain: &l.subs, passed: make(map[*session.Message]bool)}
	for filter := range l.subs.all() {
		if g := b.index.Group(filter); g != nil {
			h.groups = append(h.groups, g)
		}
	}
	return h
}

// pass hands messages to the groups that they came by: those whose filters match. Where a plain subscription matched too, nobody can tell by which of them a
// message came: at QoS 1 a group gets it once, which may be once too often, and at QoS 2 not at all.
func (h *heirs) pass(b *Broker, ds []session.Delivery) {
	if len(ds) == 0 || len(h.groups) == 0 {
		return
	}
	b.do(func(w *worker) {
		for _, d := range ds {
			m := d.Message
			if h.passed[m] || b.expired(m) || d.QoS == 2 && h.alsoPlain(m.Topic) {
				continue
			}
			h.passed[m] = true
			for _, g := range h.groups {
				if topic.Match(g.Filter, m.Topic) {
					if p := w.shareAgain(g, m); p != nil {
						h.far = append(h.far, p)
					}
				}
			}
		}
	})
}

func (h *heirs) alsoPlain(name string) bool {
	for filter := range h.plain.all() {
		if _, _, shared := topic.SplitShare(filter); !shared && topic.Match(filter, name) {
			return true
		}
	}
	return false
}

// shareAgain hands a message that its first receiver has left to another member of the group, and returns what other nodes have to do with it.
func (w *worker) shareAgain(g *topic.Group[*Session], old *session.Message) *promise {
	m := &session.Message{Topic: old.Topic, Payload: old.Payload, Props: old.Props, QoS: old.QoS, Retain: old.Retain, Expires: old.Expires,
		From: old.From, User: old.User, Single: true}
	expiry := uint32(0)
	if m.Expires != 0 {
		expiry = uint32(max(m.Expires-w.b.seconds(), 0))
	}
	defer w.run.drop()
	w.missed.begin()
	w.carry(m, expiry, m.Expires != 0)
	w.findRoute()
	w.share(g, 0)
	w.commit()
	if len(w.shares) == 0 {
		return nil
	}
	return w.forward(nil)
}
