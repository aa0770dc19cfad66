package broker

import (
	"unsafe"

	"picket/access"
	"picket/packet"
	"picket/topic"
)

// A worker remembers the receivers of as many topic names as this many bytes hold. Names of more than maxRouteName bytes, which nobody
// uses for good, are looked up each time.
const (
	maxRouteBytes = 16 << 20
	maxRouteName  = 1 << 10
)

// keepOneIn is how rarely the route of a name that is not known is kept: a name that comes again and again is soon among them, and names that never come again cost no memory. So many
// names that come one behind the other are kept together, as they lie beside each other in memory then and will be looked for in this order.
const (
	keepOneIn    = 8
	keepTogether = 64
)

// maxPassing is how many routes that are not kept a run may have.
const maxPassing = 256

// route is who gets what is published to one topic name: what the index said, merged per session and kept for as long as no subscription
// changes that could matter for the name.
type route struct {
	stamp     topic.Stamp
	version   uint64
	name      string
	receivers []receiver
	groups    []*topic.Group[*Session]
	ids       int // room for subscription identifiers in all receivers

	next    *route         // the one that came behind it last time
	alikeAt uint64         // next was found to hold and to be alike when the index had seen one change less than this; 0: it was not
	writer  *access.Client // the publisher that was last found to be allowed; its rules never change, a reload makes a new one
}

// receiver is one session that wants the topic. Where several of its filters match, it gets the message once, at the highest QoS
// (MQTT-3.3.5-1 of MQTT 3.1.1), with the identifiers of them all (MQTT-3.3.4-4).
type receiver struct {
	s       *Session
	qos     byte
	noLocal bool
	rap     bool // retain as published
	ids     []uint32

	// The last judgement of the receiver's rules on the topic; rules never change, a reload makes new ones.
	rules *access.Client
	may   bool
}

// allowed tells whether the receiver may read the topic. The session's mutex is held.
func (r *receiver) allowed(name string) bool {
	if rules := r.s.rules.Load(); rules != r.rules || rules.Asks() {
		r.rules, r.may = rules, rules.Deliver(name)
	}
	return r.may
}

// cached returns the route of a topic name if the worker knows it and it holds, or nil. The run has no route yet.
func (w *worker) cached(name []byte) *route {
	if rt := w.ahead; rt != nil {
		if w.ahead = nil; rt.version == w.b.index.Changes() && rt.name == string(name) {
			w.run.passing = 1
			return rt
		}
	}
	if rt := w.routes[string(name)]; rt != nil && w.b.index.Version(rt.stamp) == rt.version {
		return rt
	}
	return nil
}

// lookup finds the route of a topic name, which has been checked. It may be good for the run at hand only.
func (w *worker) lookup(name []byte) *route {
	x := w.b.index
	rt := w.routes[string(name)]
	if rt != nil {
		delete(w.routes, rt.name)
		w.countRoutes(-rt.size())
	} else {
		if w.unknown++; w.unknown/keepTogether%keepOneIn != 0 {
			return w.pass(name)
		}
		rt = &route{stamp: x.Stamp(name), name: string(name)}
	}
	rt.version, rt.next, rt.alikeAt = x.Version(rt.stamp), nil, 0 // read before matching, so that a change meanwhile shows next time
	w.fill(rt, name)
	if size := rt.size(); len(name) <= maxRouteName && w.mayKeep(size) {
		w.routes[rt.name] = rt
		w.countRoutes(size)
	}
	return rt
}

// pass finds the route of a name for the run at hand. Its memory is used again for the next run.
func (w *worker) pass(name []byte) *route {
	if w.run.passing == len(w.passing) {
		w.passing = append(w.passing, new(route))
	}
	rt := w.passing[w.run.passing]
	w.run.passing++
	*rt = route{name: string(name), version: w.b.index.Changes(), receivers: rt.receivers}
	w.fill(rt, name)
	return rt
}

// follow returns the route of a name that is published to right behind another, if the client may publish to it, and what goes there goes to the same
// receivers in the same way; else nil. Devices publish to the same names in the same order over and over, so what was found is not looked for again until a
// subscription changes: now is the index's [topic.Index.Changes] before this.
func (w *worker) follow(c *connection, rt *route, name []byte, now uint64) *route {
	next := rt.next
	if next == nil || next.name != string(name) {
		if next = w.routes[string(name)]; next == nil {
			return w.followNew(c, rt, name)
		}
		if next.name[0] == '$' {
			return nil
		}
		rt.next, rt.alikeAt = next, 0
	}
	if rt.alikeAt != now+1 {
		if next.version != w.b.index.Version(next.stamp) || !next.alike(rt) {
			return nil
		}
		rt.alikeAt = now + 1
	}
	if !c.mayPublish(next).Allow {
		return nil
	}
	return next
}

// followNew is follow for a name that is not known. Where it does not go along, what was found is not looked for again if it is what comes next.
func (w *worker) followNew(c *connection, rt *route, name []byte) *route {
	if w.run.passing >= maxPassing || w.effort > maxEffort || len(rt.receivers) > maxSearched || len(name) == 0 || name[0] == '$' || !packet.ValidName(name) || topic.CheckName(name) != nil {
		return nil
	}
	k := w.run.passing
	next := w.lookup(name)
	if next.alike(rt) && c.mayPublish(next).Allow {
		return next
	}
	if w.run.passing > k {
		w.ahead = next
		w.passing[0], w.passing[k] = next, w.passing[0] // where the next run does not overwrite it
	}
	return nil
}

// alike tells whether two routes lead to the same receivers in the same way. Where there are subscription identifiers or shared groups, it is not looked at
// closely.
func (rt *route) alike(other *route) bool {
	if len(rt.receivers) != len(other.receivers) || len(rt.groups)+len(other.groups)+rt.ids+other.ids > 0 {
		return false
	}
	for i := range rt.receivers {
		a, b := &rt.receivers[i], &other.receivers[i]
		if a.s != b.s || a.qos != b.qos || a.noLocal != b.noLocal || a.rap != b.rap {
			return false
		}
	}
	return true
}

// mayKeep tells whether the cache may grow by a route of n bytes, and makes room for it where it is full. A route that alone would fill half of the
// cache is looked up each time.
func (w *worker) mayKeep(n int) bool {
	if n > maxRouteBytes/2 {
		return false
	}
	if w.routeBytes+n > maxRouteBytes || w.b.memory.full(heldRoutes) {
		w.forgetRoutes()
	}
	return !w.b.memory.full(heldRoutes)
}

// forgetRoutes empties the cache.
func (w *worker) forgetRoutes() {
	clear(w.routes)
	w.countRoutes(-w.routeBytes)
}

func (w *worker) countRoutes(n int) {
	w.routeBytes += n
	w.b.memory.force(heldRoutes, int64(n))
}

// size is what a route costs in memory, near enough.
func (rt *route) size() int {
	n := 256 + 2*len(rt.name) + cap(rt.receivers)*int(unsafe.Sizeof(receiver{})) + 8*cap(rt.groups)
	return n + 4*rt.ids
}

// fill looks up who gets what is published to a name.
func (w *worker) fill(rt *route, name []byte) {
	m := &w.matches
	m.Plain, m.Groups = m.Plain[:0], m.Groups[:0]
	w.b.index.Match(name, m)
	w.effort += m.Visited + len(m.Plain)
	clear(rt.receivers)
	if cap(rt.receivers) > 2*len(m.Plain) {
		rt.receivers = nil
	}
	rt.receivers, rt.ids = rt.receivers[:0], 0
	for _, match := range m.Plain {
		to := w.receiverOf(rt, match.Key)
		rt.ids -= cap(to.ids)
		to.merge(match.Options)
		rt.ids += cap(to.ids)
	}
	rt.groups = append(rt.groups[:0:0], m.Groups...)
	if w.seen != nil {
		if clear(w.seen); len(m.Plain) > manyMatches {
			w.seen = nil // clearing it would take as long for each that comes after
		}
	}
	if clear(m.Plain); len(m.Plain) > manyMatches {
		m.Plain = nil
	}
	if clear(m.Groups); len(m.Groups) > manyMatches {
		m.Groups = nil
	}
}

// manyMatches is from how many matches on the memory for a look-up is not kept for the next one.
const manyMatches = 4096

// receiverOf returns the receiver that a session is in a route, and makes it one where it is not, or where each match is to be delivered by itself.
func (w *worker) receiverOf(rt *route, s *Session) *receiver {
	if w.b.settings.Load().AllowDuplicateMessages {
		return rt.receive(s)
	}
	if len(rt.receivers) <= maxSearched {
		for i := range rt.receivers {
			if rt.receivers[i].s == s {
				return &rt.receivers[i]
			}
		}
		return rt.receive(s)
	}
	if len(w.seen) == 0 {
		if w.seen == nil {
			w.seen = make(map[*Session]int)
		}
		for i := range rt.receivers {
			w.seen[rt.receivers[i].s] = i
		}
	}
	if i, ok := w.seen[s]; ok {
		return &rt.receivers[i]
	}
	w.seen[s] = len(rt.receivers)
	return rt.receive(s)
}

// maxSearched is how many receivers are searched one by one.
const maxSearched = 8

// receive appends a receiver.
func (rt *route) receive(s *Session) *receiver {
	rt.receivers = append(rt.receivers, receiver{s: s, noLocal: true})
	return &rt.receivers[len(rt.receivers)-1]
}

func (r *receiver) merge(o topic.Options) {
	r.qos = max(r.qos, o.QoS)
	r.noLocal = r.noLocal && o.NoLocal
	r.rap = r.rap || o.RetainAsPublished
	if o.Identifier != 0 {
		r.ids = append(r.ids, o.Identifier)
	}
}
