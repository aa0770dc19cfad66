package broker

import (
	"context"
	"slices"
	"strings"

	"picket/cause"
	"picket/topic"
)

// shownFilters is how many filters a [Receiver] has.
const shownFilters = 20

// Receivers are those who would be given what is published to a topic name now.
type Receivers struct {
	Items []Receiver `json:"items"`
	Total int        `json:"total"` // sessions with a subscription that matches; those who share one, too
	Nodes int        `json:"nodes"` // other nodes of the cluster that want it, which know their own clients
}

// Receiver is a session with a subscription that matches a topic name. Without Allowed it is given nothing; while it is away it is given what is of QoS 1 or 2 later, and nothing else.
type Receiver struct {
	ClientID  string   `json:"client_id"`
	User      string   `json:"user,omitempty"`
	Connected bool     `json:"connected"`
	Filters   []string `json:"filters"` // the first twenty that match, as the client has them; the one filter of a shared subscription
	Shared    bool     `json:"shared"`  // of those with the same filter one is given each message
	QoS       byte     `json:"qos"`     // the highest that it is given
	NoLocal   bool     `json:"no_local"`
	Allowed   bool     `json:"allowed"` // its rules let it read the topic
	Cause     cause.ID `json:"cause,omitempty"`
}

// Receivers says who would be given what is published to a topic name, which carries a mount point: at most limit of them in no order. It finds them as a message does, and looks at no
// other session.
func (b *Broker) Receivers(ctx context.Context, name string, limit int) (Receivers, error) {
	all := Receivers{Items: []Receiver{}}
	if err := topic.CheckName([]byte(name)); err != nil {
		return all, err
	}
	var m topic.Matches[*Session]
	b.index.Match([]byte(name), &m)
	l := listing{Receivers: &all, name: name, limit: limit, seen: make(map[*Session]bool)}
	for _, match := range m.Plain {
		l.add(match.Key, "", match.Options)
	}
	for _, g := range m.Groups {
		for _, member := range g.Members() {
			l.add(member.Key, shareName(g), member.Options)
		}
	}
	return all, ctx.Err()
}

// listing lists receivers of a name.
type listing struct {
	*Receivers
	name  string
	limit int
	seen  map[*Session]bool // by subscriptions of their own
}

// add adds a session that has a subscription; shared is the filter of one that is shared.
func (l *listing) add(s *Session, shared string, o topic.Options) {
	node := s.peer() != 0
	if s.inside != nil && !node || l.seen[s] && (shared == "" || node) {
		return
	}
	l.seen[s] = l.seen[s] || shared == "" || node
	if node {
		l.Nodes++
		return
	}
	if l.Total++; len(l.Items) < l.limit {
		l.Items = append(l.Items, s.receives(l.name, shared, o))
	}
}

// receives takes down what a session is as a receiver of a name.
func (s *Session) receives(name, shared string, o topic.Options) Receiver {
	s.mu.Lock()
	client, mount := s.rules.Load(), s.mount
	r := Receiver{ClientID: s.id, User: client.Username, Connected: s.conn != nil && s.conn.stage() == connected, Filters: []string{}, Shared: shared != ""}
	to := receiver{s: s, noLocal: true}
	if shared != "" {
		r.Filters = append(r.Filters, shared)
		to.merge(o)
	} else {
		for filter, o := range s.subs.all() {
			if _, _, in := topic.SplitShare(filter); in || !topic.Match(filter, name) {
				continue
			}
			if to.merge(o); len(r.Filters) < shownFilters {
				r.Filters = append(r.Filters, strings.TrimPrefix(filter, mount))
			}
		}
		slices.Sort(r.Filters)
	}
	s.mu.Unlock()
	r.QoS, r.NoLocal = to.qos, to.noLocal
	if r.Allowed = client.Deliver(name); !r.Allowed {
		r.Cause = cause.ACLReadDenied
	}
	return r
}
