package rights

import (
	"fmt"
	"strings"

	"picket/topic"
)

// Verdict is what [State.May] says.
type Verdict struct {
	Known   bool // the user is one of the state's, or has no name
	Decided bool // a rule has decided, or what holds without one
	Allow   bool
	By      Rule // what has decided; without a role it is what holds without a rule
}

// Rule names a rule.
type Rule struct {
	Group    string // whose role it is; empty: the user's own
	Role     string
	Kind     Kind
	Filter   string
	Priority int
}

// May says whether a client may do something with a topic name or filter. Who has no user name has the roles of the group for the anonymous.
//
// As in mosquitto, the roles of the user are asked first and then those of its groups, each by their priorities, and the first rule that matches decides. Without
// one the default decides, which allows or leaves the question to others, and is never asked about $CONTROL.
func (s *State) May(username, clientID string, anonymous bool, a Action, name string) Verdict {
	q := question{state: s, action: a, name: name, username: username, clientID: clientID}
	if a >= Subscribe {
		if _, inner, shared := topic.SplitShare(name); shared {
			q.inner = inner
		}
	}
	switch {
	case !anonymous:
		c := s.clients[username]
		if c == nil {
			return Verdict{}
		}
		if v, ok := q.ask(c.roles, ""); ok {
			return v
		}
		for _, m := range c.groups {
			if v, ok := q.ask(s.groups[m.name].roles, m.name); ok {
				return v
			}
		}
	case s.anonymous != "":
		if v, ok := q.ask(s.groups[s.anonymous].roles, s.anonymous); ok {
			return v
		}
	}
	if s.defaults[a] && !strings.HasPrefix(name, "$CONTROL") {
		return Verdict{Known: true, Decided: true, Allow: true}
	}
	return Verdict{Known: true}
}

// question is one question on its way through the roles.
type question struct {
	state              *State
	action             Action
	name               string
	inner              string // the filter of a shared subscription
	username, clientID string
}

// kindsOf are the kinds of rules that an action asks, in their order.
var kindsOf = [actions][]Kind{Send: {PublishSend}, Receive: {PublishReceive}, Subscribe: {SubscribeLiteral, SubscribePattern}, Unsubscribe: {UnsubscribeLiteral, UnsubscribePattern}}

func (q *question) ask(roles []member, group string) (Verdict, bool) {
	for _, m := range roles {
		r := q.state.roles[m.name]
		for _, k := range kindsOf[q.action] {
			for i := range r.rules[k] {
				if one := &r.rules[k][i]; q.matches(k, one) {
					return Verdict{Known: true, Decided: true, Allow: one.allow, By: Rule{Group: group, Role: r.name, Kind: k, Filter: one.filter, Priority: one.priority}}, true
				}
			}
		}
	}
	return Verdict{}, false
}

// matches tells whether a rule is about the question. A shared subscription has to be allowed as it stands, $share and all, as in mosquitto: who shares takes messages
// away from others of the group. A denial holds for its filter as well, so that nobody gets round it by sharing.
func (q *question) matches(k Kind, r *rule) bool {
	filter := r.filter
	if strings.Contains(filter, "%") {
		var ok bool
		if filter, ok = q.fill(filter); !ok {
			return false
		}
	}
	return matches(k, filter, q.name) || q.inner != "" && !r.allow && matches(k, filter, q.inner)
}

// fill puts the client's names into a filter. Names with a wildcard of their own would match what is others', so such a rule is none for them.
func (q *question) fill(filter string) (string, bool) {
	filled := topic.Fill(filter, q.clientID, q.username)
	if filled != filter && strings.ContainsAny(q.username+q.clientID, "+#") {
		return "", false
	}
	return filled, true
}

func matches(k Kind, filter, name string) bool {
	switch k {
	case PublishSend, PublishReceive:
		return topic.Match(filter, name)
	case SubscribeLiteral, UnsubscribeLiteral:
		return filter == name
	}
	return covers(filter, name)
}

// covers tells whether everything that a filter matches is matched by the filter of a rule. As in mosquitto, # covers $SYS/# as well: what is delivered is a question
// of its own.
func covers(rule, filter string) bool {
	if rule == "#" {
		return true
	}
	rule, open := cutRest(rule)
	filter, wide := cutRest(filter)
	if wide && !open {
		return false
	}
	for {
		of, rules, more := strings.Cut(rule, "/")
		level, levels, deeper := strings.Cut(filter, "/")
		switch {
		case of != "+" && of != level:
			return false
		case !more:
			return !deeper || open
		case !deeper:
			return false
		}
		rule, filter = rules, levels
	}
}

// cutRest takes the # off the end of a filter.
func cutRest(filter string) (string, bool) {
	if filter == "#" {
		return "", true
	}
	return strings.CutSuffix(filter, "/#")
}

// String names the rule for people.
func (r Rule) String() string {
	if r.Role == "" {
		return "what holds without a rule (defaultACLAccess)"
	}
	text := fmt.Sprintf("rule %s %s (priority %d) of role %s", r.Kind, r.Filter, r.Priority, r.Role)
	if r.Group != "" {
		text += " in group " + r.Group
	}
	return text
}
