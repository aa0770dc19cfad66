package broker

import (
	"container/heap"
	"time"

	"picket/cause"
	"picket/packet"
)

// tick is how often the broker looks at its clock. Keep alive and expiry are in whole seconds, so nothing needs it finer.
const tick = 100 * time.Millisecond

// wheelSize is how many seconds ahead the keep alive wheel reaches; longer ones go round more than once.
const wheelSize = 256

// chain is a list of connections that wait for the same thing, linked through the connections themselves so that an idle one
// costs no memory beside its own.
type chain struct{ first, last *connection }

func (l *chain) push(c *connection) {
	c.chain, c.prev, c.next = l, l.last, nil
	if l.last != nil {
		l.last.next = c
	} else {
		l.first = c
	}
	l.last = c
}

func (l *chain) remove(c *connection) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.last = c.prev
	}
	c.chain, c.prev, c.next = nil, nil, nil
}

// expectConnect puts a new connection onto the wheel of those whose CONNECT is due: connect_timeout counts from when the system accepted it. It reports
// false when the broker is being stopped.
func (b *Broker) expectConnect(c *connection, since time.Time) bool {
	select {
	case <-b.stopping:
		return false
	default:
	}
	c.deadline = b.secondAt(since.Add(b.settings.Load().ConnectTimeout)) + 1
	b.listMu.Lock()
	defer b.listMu.Unlock()
	b.placeIn(&b.opening, c, c.deadline)
	return true
}

// secondAt is the second of the broker's life that a time falls into.
func (b *Broker) secondAt(t time.Time) uint32 { return uint32(max(0, t.Sub(b.started)/time.Second)) }

// watch puts a connected client onto the keep alive wheel, and takes it off whatever list it is on.
func (b *Broker) watch(c *connection) {
	if c.keepAlive == 0 && c.tokenEnds().IsZero() {
		return
	}
	b.listMu.Lock()
	defer b.listMu.Unlock()
	if c.chain != nil {
		c.chain.remove(c)
	}
	if c.stage() < closing {
		b.lookAgain(c, b.clock.Load()+c.patience())
	}
}

// lookAgain puts a connected client onto the wheel where something may be due next: at second silent, when it has kept silent for too long, or when its token ends. listMu
// is held.
func (b *Broker) lookAgain(c *connection, silent uint32) {
	if end := c.tokenEnds(); !end.IsZero() {
		at := uint32(min(max(0, int64(end.Sub(b.started)/time.Second)), int64(b.clock.Load())+wheelSize)) + 1
		if c.keepAlive == 0 || at < silent {
			silent = at
		}
	}
	b.placeIn(&b.wheel, c, silent)
}

// wheel has a chain for each second of those to come.
type wheel [wheelSize]chain

// placeIn puts a connection where it is looked at in second at, or as late as the wheel reaches. listMu is held.
func (b *Broker) placeIn(w *wheel, c *connection, at uint32) {
	now := b.clock.Load()
	at = min(max(at, now+1), now+wheelSize-1)
	w[at%wheelSize].push(c)
}

// patience is how many seconds a client may be silent: one and a half times its keep alive (MQTT-3.1.2-22), rounded up, and one
// more because the clock counts whole seconds and may be about to turn when something is read.
func (c *connection) patience() uint32 { return (uint32(c.keepAlive)*3+1)/2 + 1 }

// unlist takes a connection off whatever list it is on.
func (b *Broker) unlist(c *connection) {
	b.listMu.Lock()
	defer b.listMu.Unlock()
	if c.chain != nil {
		c.chain.remove(c)
	}
}

// keepTime runs until the broker stops: the coarse clock, CONNECT deadlines, keep alive, wills and sessions that fall due.
func (b *Broker) keepTime() {
	for b.pause(tick) {
		now := b.now()
		b.unix.Store(now.Unix())
		b.fall(now)
		second := uint32(now.Sub(b.started) / time.Second)
		for was := b.clock.Load(); was < second; was++ {
			b.clock.Store(was + 1)
			b.sweep(was + 1)
		}
	}
}

// sweep closes connections whose time is up at second now.
func (b *Broker) sweep(now uint32) {
	patience := uint32(b.settings.Load().ConnectTimeout / time.Second)
	wall := b.now()
	var late, silent, ended []*connection
	b.listMu.Lock()
	opening := &b.opening[now%wheelSize]
	for c := opening.first; c != nil; c = opening.first {
		opening.remove(c)
		if c.deadline > now {
			b.placeIn(&b.opening, c, c.deadline)
		} else {
			late = append(late, c)
		}
	}
	slot := &b.wheel[now%wheelSize]
	for c := slot.first; c != nil; c = slot.first {
		slot.remove(c)
		switch due := c.lastRead.Load() + c.patience(); {
		case c.tokenEnded(wall):
			ended = append(ended, c)
		case due > now || c.keepAlive == 0:
			b.lookAgain(c, due)
		default:
			silent = append(silent, c)
		}
	}
	b.listMu.Unlock()
	if len(ended) > 0 {
		b.cutOff(ended, wall)
	}
	for _, c := range late {
		if c.stage() == checking {
			b.report(incident{cause: cause.Overloaded}, "Client connection from %s closed: its password could not be checked within %d s.", c.address(), patience)
		} else {
			b.report(incident{cause: cause.ConnectTimeout}, "Client connection from %s closed: no CONNECT within %d s.", c.address(), patience)
		}
		c.quiet.Store(true)
		c.conn.Close()
	}
	if len(silent) > 0 {
		b.do(func(w *worker) {
			for _, c := range silent {
				c.dismiss(w, refusal{code: packet.KeepAliveTimeout, id: cause.KeepaliveMissed, text: "nothing was heard for one and a half times the keep alive"},
					"Client %s has exceeded timeout, disconnecting.", c.name())
			}
		})
		// A peer that is gone reads no DISCONNECT either: what is left is cut off.
		for _, c := range silent {
			c.conn.Close()
		}
	}
}

// due is what is to happen to a session that is offline.
type due struct{ will, expiry moment }

// moment is a time in nanoseconds since 1970, a third of the size of a [time.Time]; 0 stands for never.
type moment int64

func momentOf(t time.Time) moment { return moment(t.UnixNano()) }

// passed tells whether the moment has come at now.
func (m moment) passed(now time.Time) bool { return m != 0 && m <= momentOf(now) }

// unix is the moment in seconds since 1970.
func (m moment) unix() int64 { return int64(m) / int64(time.Second) }

// dues is a heap of sessions by the time of what happens to them next.
type dues []dueSession

// dueSession is a session to which something is to happen at a time.
type dueSession struct {
	at moment
	s  *Session
}

func (h dues) Len() int           { return len(h) }
func (h dues) Less(i, j int) bool { return h[i].at < h[j].at }
func (h dues) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].s.duePlace, h[j].s.duePlace = int32(i+1), int32(j+1)
}
func (h *dues) Push(x any) {
	d := x.(dueSession)
	*h = append(*h, d)
	d.s.duePlace = int32(len(*h))
}
func (h *dues) Pop() any {
	old := *h
	d := old[len(old)-1]
	old[len(old)-1].s = nil
	*h = old[:len(old)-1]
	d.s.duePlace = 0
	return d
}

// schedule puts a session into the heap. The broker's mutex and the session's are held.
func (b *Broker) schedule(s *Session) {
	d := &s.due
	at := d.will
	if at == 0 || d.expiry != 0 && d.expiry < at {
		at = d.expiry
	}
	switch {
	case at == 0 && s.duePlace > 0:
		heap.Remove(&b.dues, int(s.duePlace-1))
	case at == 0:
	case s.duePlace > 0:
		b.dues[s.duePlace-1].at = at
		heap.Fix(&b.dues, int(s.duePlace-1))
	default:
		heap.Push(&b.dues, dueSession{at, s})
	}
}

// cancel forgets what was to happen to a session. The broker's mutex and the session's are held.
func (b *Broker) cancel(s *Session) {
	if s.duePlace > 0 {
		heap.Remove(&b.dues, int(s.duePlace-1))
	}
	s.due = due{}
}

// fallen is what follows from what has fallen due, once the session's mutex is let go.
type fallen struct {
	wills   []*will
	without []*Session // whose wills these are
	ended   []ending
}

// fallOne carries out what has fallen due for a session: its delayed will (MQTT-3.1.3-9), and its end (MQTT-3.1.2-23 of MQTT 5.0). The mutexes of the broker and of
// the session are held.
func (b *Broker) fallOne(s *Session, now time.Time, f *fallen) {
	expired := s.due.expiry.passed(now)
	if s.will != nil && (expired || s.due.will.passed(now)) {
		f.wills, f.without = append(f.wills, s.takeWill()), append(f.without, s)
	}
	s.due.will = 0
	switch {
	case expired && s.over:
		b.cancel(s)
		b.sessions.leave(s.id)
		f.ended = append(f.ended, b.ends(s))
	case expired:
		b.sessions.leave(s.id)
		f.ended = append(f.ended, b.finish(s))
		b.stats.expired.Add(1)
		b.report(incident{cause: cause.SessionExpired}, "Expiring client %s due to timeout.", s.id)
	default:
		b.schedule(s)
	}
}

// fall carries out what has fallen due.
func (b *Broker) fall(now time.Time) {
	for {
		var f fallen
		b.mu.Lock()
		for n := 0; n < 1000 && len(b.dues) > 0 && b.dues[0].at.passed(now); n++ {
			s := b.dues[0].s
			s.mu.Lock()
			b.fallOne(s, now, &f)
			s.mu.Unlock()
		}
		more := len(b.dues) > 0 && b.dues[0].at.passed(now)
		b.mu.Unlock()
		if len(f.wills) > 0 {
			b.do(func(w *worker) {
				w.wills = append(w.wills, f.wills...)
				w.publishWills()
			})
			for _, s := range f.without {
				b.saveOffline(s)
			}
		}
		for _, h := range f.ended {
			b.endStored(h)
		}
		if !more {
			return
		}
	}
}

// overtake carries out what has fallen due for the session known under a client identifier and what the clock's tick has not come to yet: whether a client finds its
// session again, and whether its will is published, is decided by the time at which CONNECT is judged. The broker's mutex is held.
func (w *worker) overtake(id string, now time.Time) {
	b := w.b
	s := b.sessions.byID[id]
	if s == nil || s.duePlace == 0 || !b.dues[s.duePlace-1].at.passed(now) {
		return
	}
	var f fallen
	s.mu.Lock()
	b.fallOne(s, now, &f)
	s.mu.Unlock()
	w.wills = append(w.wills, f.wills...)
	for _, h := range f.ended {
		b.endStored(h)
	}
}
