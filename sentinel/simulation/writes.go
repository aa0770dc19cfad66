package simulation

import "fmt"

// What clients were told is kept. They write to every server that says it is a master, also one that others have deposed, and wait for the acknowledgement of
// as many replicas as the group is sealed for. What was acknowledged must be on every server that is promoted from then on.

// write is everything up to a point of a history.
type write struct {
	hist *history
	upTo int64
}

// has reports whether a server's data holds a write.
func (s *server) has(x write) bool { return s.hist.holds(s.offset, x) }

// holds reports whether data that have come as far as offset in a history hold a write.
func (h *history) holds(offset int64, x write) bool {
	upTo, came := h.reach(offset, x.hist)
	return came && x.upTo <= upTo
}

// reach is how much of a history data hold that have come as far as offset in h, and whether they have come out of it at all.
func (h *history) reach(offset int64, of *history) (upTo int64, came bool) {
	lost := false
	for ; h != nil; h = h.parent {
		if h == of {
			return offset, true
		}
		offset, lost = h.from, lost || h.empty // all of the parent up to where h began
		if lost {
			offset = 0
		}
	}
	return 0, false
}

// describe says what data consist of, the newest history first.
func (h *history) describe(offset int64) string {
	text := ""
	for ; h != nil; h = h.parent {
		text += fmt.Sprintf("%d of %.4s ", offset, h.id)
		offset = h.from
	}
	return text
}

// acknowledge lets clients write, and notes what replicas have acknowledged.
func (w *World) acknowledge() {
	for _, m := range w.servers {
		if !m.alive || m.hung || m.masterIP != "" {
			continue
		}
		var has []*server
		for _, r := range w.set(m.set) {
			if r != m && r.alive && !r.hung && r.masterIP != "" && w.find(r.masterIP) == host(m) && r.linkUp() {
				has = append(has, r)
			}
		}
		if len(has) < w.cfg.Sealed {
			continue
		}
		m.sync()
		for _, r := range has {
			r.sync()
		}
		w.check.acknowledged(m.set, write{m.hist, m.offset})
	}
	w.after(10e3+w.rng.Int64N(40e3), w.acknowledge)
}

// acknowledged keeps the last write of each history.
func (c *checker) acknowledged(set int, x write) {
	for i, was := range c.acked[set] {
		if was.hist == x.hist {
			c.acked[set][i].upTo = max(was.upTo, x.upTo)
			return
		}
	}
	c.acked[set] = append(c.acked[set], x)
}

// promoted looks at what a server holds that a sentinel has just made the master. By hand, somebody may decide to lose the rest.
func (c *checker) promoted(s *server, forced bool) {
	if forced {
		c.byHandSince[s.set] = true // what the old master is told from now on until it is one no longer is lost, too
	}
	if c.byHandSince[s.set] {
		return
	}
	var kept []write
	for _, x := range c.acked[s.set] {
		switch {
		case s.has(x), x.upTo == 0:
			kept = append(kept, x)
		default:
			c.fail("%s is promoted and has not what was acknowledged: %d of history %.4s; it has %s", s.name(), x.upTo, x.hist.id, s.hist.describe(s.offset))
		}
	}
	c.acked[s.set] = kept
	c.sealed++
}

// lose is what Redis itself loses: a replica takes over the data of a master that has come back with less than it had, before any sentinel could do
// anything about it.
func (c *checker) lose(s *server, had *history, offset int64) {
	for i, x := range c.acked[s.set] {
		if !had.holds(offset, x) || s.has(x) {
			continue
		}
		for h := s.hist; h != nil; h = h.parent {
			if h.cut && h.parent != nil && (h.parent == x.hist || h.parent.holds(1<<62, write{x.hist, 0})) {
				c.acked[s.set][i] = write{h.parent, 0}
				c.lost++
				break
			}
		}
	}
}

// seen reports whether most sentinels reach a server.
func (w *World) seen(s *server) bool {
	n := 0
	for _, o := range w.sentinels {
		if o.m != nil && w.reachable(o.addr, s.addr) {
			n++
		}
	}
	return n > len(w.sentinels)/2
}

// vanished is a server that has come back, perhaps with less than it had acknowledged. What all that had it have lost in this way is nowhere any more.
func (c *checker) vanished(s *server) {
	for i, x := range c.acked[s.set] {
		var upTo int64
		for _, o := range c.w.set(s.set) {
			has, _ := o.hist.reach(o.offset, x.hist)
			upTo = max(upTo, has)
		}
		if upTo < x.upTo {
			c.acked[s.set][i].upTo = upTo
			c.lost++
		}
	}
}

// forgets is a master that has come back with less than it had. What no server has that runs and can be seen is gone.
func (c *checker) forgets(s *server) {
	for i, x := range c.acked[s.set] {
		gone := true
		for _, o := range c.w.set(s.set) {
			gone = gone && !(o.alive && o.has(x) && c.w.seen(o))
		}
		if gone && x.upTo > 0 {
			c.acked[s.set][i].upTo = 0
			c.lost++
		}
	}
}
