package broker

import (
	"unsafe"

	"picket/access"
	"picket/topic"
)

// A worker remembers the receivers of as many topic names as this many bytes hold. Names of more than maxRouteName bytes, which nobody
// uses for good, are looked up each time.
const (
	maxRouteBytes = 16 << 20
	maxRouteName  = 1 << 10
)

// route is who gets what is published to one topic name: what the index said, merged per session and kept for as long as no subscription
// changes that could matter for the name.
type route struct {
	stamp     topic.Stamp
	version   uint64
	name      string
	receivers []receiver
	groups    []*topic.Group[*Session]
}

// receiver is one session that wants the topic. Where several of its filters match, it gets the message once, at the highest QoS
// (MQTT-3.3.5-1 of MQTT 3.1.1), with the identifiers of them all (MQTT-3.3.4-4).
type receiver struct {
	s       *Session
	qos     byte
	noLocal bool
	rap     bool // retain as published
	ids     []uint32

	// The last judgement of the receiver's ACL on the topic; an ACL never changes, a reload makes a new one.
	acl *access.ACL
	may bool
}

// allowed tells whether the receiver may read the topic. The session's mutex is held.
func (r *receiver) allowed(name string) bool {
	acl := r.s.acl
	if acl == nil {
		return true
	}
	if acl != r.acl {
		r.acl, r.may = acl, acl.Read(name)
	}
	return r.may
}

// lookup finds the route of a topic name.
func (w *worker) lookup(name []byte) *route {
	x := w.b.index
	if rt := w.routes[string(name)]; rt != nil {
		v := x.Version(rt.stamp)
		if v == rt.version {
			return rt
		}
		rt.version = v // read before matching, so that a change meanwhile shows next time
		w.routeBytes -= rt.size()
		w.fill(rt, name)
		w.routeBytes += rt.size()
		return rt
	}
	rt := &route{stamp: x.Stamp(name), name: string(name)}
	rt.version = x.Version(rt.stamp)
	w.fill(rt, name)
	if len(name) > maxRouteName {
		return rt
	}
	if w.routeBytes += rt.size(); w.routeBytes > maxRouteBytes {
		clear(w.routes)
		w.routeBytes = rt.size()
	}
	w.routes[rt.name] = rt
	return rt
}

// size is what a route costs in memory, near enough.
func (rt *route) size() int {
	return 256 + 2*len(rt.name) + len(rt.receivers)*int(unsafe.Sizeof(receiver{}))
}

func (w *worker) fill(rt *route, name []byte) {
	m := &w.matches
	m.Plain, m.Groups = m.Plain[:0], m.Groups[:0]
	w.b.index.Match(name, m)
	clear(rt.receivers)
	rt.receivers = rt.receivers[:0]
	if len(m.Plain) > 8 && w.seen == nil {
		w.seen = make(map[*Session]int)
	}
	duplicates := w.b.settings.Load().AllowDuplicateMessages
	for _, match := range m.Plain {
		at := -1
		switch {
		case duplicates:
		case len(m.Plain) > 8:
			if i, ok := w.seen[match.Key]; ok {
				at = i
			} else {
				w.seen[match.Key] = len(rt.receivers)
			}
		default:
			for i := range rt.receivers {
				if rt.receivers[i].s == match.Key {
					at = i
				}
			}
		}
		if at < 0 {
			rt.receivers = append(rt.receivers, receiver{s: match.Key, noLocal: true})
			at = len(rt.receivers) - 1
		}
		rt.receivers[at].merge(match.Options)
	}
	clear(w.seen)
	clear(m.Plain)
	rt.groups = append(rt.groups[:0:0], m.Groups...)
	clear(m.Groups)
}

func (r *receiver) merge(o topic.Options) {
	r.qos = max(r.qos, o.QoS)
	r.noLocal = r.noLocal && o.NoLocal
	r.rap = r.rap || o.RetainAsPublished
	if o.Identifier != 0 {
		r.ids = append(r.ids, o.Identifier)
	}
}
