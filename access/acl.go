package access

import (
	"slices"
	"strings"

	"picket/cause"
	"picket/topic"
)

// right is a set of rights; denied is none but a refusal.
type right byte

const (
	read right = 1 << iota
	write
	denied
)

// A rule grants or denies rights on the topics that a filter matches.
type rule struct {
	filter string
	right  right
}

// manyRules is the number of rules from which an index is worth its memory.
const manyRules = 8

// ruleset is the rules of one user, or the pattern rules. Within a set a denial wins wherever it stands, so order means nothing.
type ruleset struct {
	deny, allow []rule
	// index has all of them by their levels before the first wildcard. It is nil for few rules, and for patterns, whose
	// filters depend on the client.
	index map[string][]rule
}

func (s *ruleset) add(r rule) {
	if r.right == denied {
		s.deny = append(s.deny, r)
	} else {
		s.allow = append(s.allow, r)
	}
}

// makeIndex is called once all rules have been added.
func (s *ruleset) makeIndex() {
	if len(s.deny)+len(s.allow) < manyRules {
		return
	}
	s.index = make(map[string][]rule)
	for _, rs := range [][]rule{s.deny, s.allow} {
		for _, r := range rs {
			key := literal(r.filter)
			s.index[key] = append(s.index[key], r)
		}
	}
}

// literal returns the levels of a filter before its first wildcard, without the slash behind them: "a/b" of "a/b/+/c".
func literal(filter string) string {
	i := strings.IndexAny(filter, "+#")
	switch {
	case i < 0:
		return filter
	case i == 0:
		return ""
	}
	return filter[:i-1]
}

// decide returns denied, r or nothing for one topic name.
func (s *ruleset) decide(name string, r right) (result right) {
	if s == nil {
		return 0
	}
	if s.index == nil {
		if one := decide(s.deny, name, r); one == denied {
			return denied
		}
		return decide(s.allow, name, r)
	}
	// A rule that matches has the beginning of the name before its first wildcard, or the whole name.
	result = decide(s.index[""], name, r)
	for i := 0; i <= len(name) && result != denied; i++ {
		if i == len(name) || i > 0 && name[i] == '/' {
			if one := decide(s.index[name[:i]], name, r); one != 0 {
				result = one
			}
		}
	}
	return result
}

// decide is the same for a list of rules.
func decide(rules []rule, name string, r right) (result right) {
	for _, one := range rules {
		if one.right&(denied|r) != 0 && topic.Match(one.filter, name) {
			if one.right == denied {
				return denied
			}
			result = r
		}
	}
	return result
}

// denies reports whether one denial covers all that a filter matches.
func (s *ruleset) denies(filter string) bool {
	if s == nil {
		return false
	}
	for _, d := range s.deny {
		if covers(d.filter, filter) {
			return true
		}
	}
	return false
}

// readable reports whether a rule of the set lets something through that the filter matches and that no denial in the given
// sets takes away again.
func (s *ruleset) readable(filter string, but ...*ruleset) bool {
	if s == nil {
		return false
	}
	denies := func(filter string) bool {
		return slices.ContainsFunc(but, func(b *ruleset) bool { return b.denies(filter) })
	}
	if denies(filter) {
		return false
	}
	for _, a := range s.allow {
		if a.right&read != 0 && Overlap(a.filter, filter) && !denies(intersect(a.filter, filter)) {
			return true
		}
	}
	return false
}

// rules is a whole ACL file.
type rules struct {
	anonymous *ruleset            // topic lines before the first user line; never nil
	users     map[string]*ruleset // topic lines by user
	patterns  *ruleset            // pattern lines; nil when there are none
}

// ACL is what one client may do. It keeps the client's names and refers to the policy's rules: small enough to have one for
// each connection. Safe for concurrent use. Topics and filters carry the listener's mount point, as in mosquitto.
type ACL struct {
	user     *ruleset
	patterns *ruleset
	username string
	clientID string
	// Dangerous says which name has a + or #, which a pattern rule would take for a wildcard: "", "username" or "client id".
	// The pattern rules then grant nothing. mosquitto logs: ACL denying access to client with dangerous ...
	Dangerous string

	unchecked bool
}

// ACL returns what a client may do, or nil if everything because there is no ACL file. username is empty for anonymous clients.
func (p *Policy) ACL(username, clientID string) *ACL {
	if p.rules == nil {
		return nil
	}
	a := &ACL{username: username, clientID: clientID, patterns: p.rules.patterns, unchecked: p.config.SubscribeUnchecked}
	if username == "" {
		a.user = p.rules.anonymous
	} else {
		a.user = p.rules.users[username]
	}
	if a.patterns != nil {
		switch {
		case strings.ContainsAny(username, "+#"):
			a.Dangerous = "username"
		case strings.ContainsAny(clientID, "+#"):
			a.Dangerous = "client id"
		}
		if a.Dangerous != "" {
			a.patterns = nil
		}
	}
	return a
}

// Write reports whether the client may publish to a topic name. The caller's cause for a refusal is [cause.ACLPublishDenied].
func (a *ACL) Write(name string) bool { return a.decide(name, write) }

// Read reports whether a message with this topic name may be delivered to the client. The caller's cause for a refusal is
// [cause.ACLReadDenied].
func (a *ACL) Read(name string) bool { return a.decide(name, read) }

// decide asks the user's rules first and the patterns then: an allowing rule of the user wins over a denying pattern, as in mosquitto.
func (a *ACL) decide(name string, r right) bool {
	switch a.user.decide(name, r) {
	case denied:
		return false
	case r:
		return true
	}
	return a.expand(func(f string) bool { return topic.Match(f, name) }).decide(name, r) == r
}

// Subscribe decides about a SUBSCRIBE to a filter, which may be a shared one.
//
// mosquitto's ACL file never refuses a SUBSCRIBE: it filters deliveries, and a client whose every message is withheld waits
// for ever without a word. Here a filter is refused when the rules let nothing through to it: when every readable part (each
// reading rule, cut down to what the filter matches) is empty or wholly covered by one denying rule. Everything else is accepted,
// and deliveries are filtered by [ACL.Read], because a filter may well be wider than what its owner may read ("#" of a
// user who may read "home/#"). A filter that a denial spares but that several denials together cover is accepted: the answer errs
// on the side of mosquitto. With acl_subscribe_unchecked nothing is refused.
func (a *ACL) Subscribe(filter string) Decision {
	if a.unchecked {
		return Decision{Allow: true}
	}
	full := filter
	_, filter, _ = topic.SplitShare(filter)
	if !topic.HasWildcard(filter) {
		if a.Read(filter) {
			return Decision{Allow: true}
		}
	} else {
		if a.user.readable(filter, a.user) {
			return Decision{Allow: true}
		}
		patterns := a.expand(func(f string) bool { return Overlap(f, filter) })
		if patterns.readable(filter, a.user, patterns) {
			return Decision{Allow: true}
		}
	}
	text := "no rule of the acl_file lets this client read anything that " + full + " matches"
	if a.Dangerous != "" {
		text += "; its " + a.Dangerous + " has a wildcard, so pattern rules grant nothing"
	}
	return Decision{Cause: cause.ACLSubscribeDenied, Text: text}
}

// expand returns the pattern rules with the client's names put in, as far as they concern the question. Rules with %u do not
// count for clients without a user name.
func (a *ACL) expand(concerns func(filter string) bool) *ruleset {
	if a.patterns == nil {
		return nil
	}
	out := new(ruleset)
	for _, rs := range [][]rule{a.patterns.deny, a.patterns.allow} {
		for _, r := range rs {
			if a.username == "" && strings.Contains(r.filter, "%u") {
				continue
			}
			r.filter = substitute(r.filter, a.clientID, a.username)
			if r.filter != "" && concerns(r.filter) {
				out.add(r)
			}
		}
	}
	return out
}

// substitute puts the client id in for %c and the user name for %u, in one pass: a %u in a client id stays what it is.
func substitute(pattern, clientID, username string) string {
	if !strings.Contains(pattern, "%") {
		return pattern
	}
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		if pattern[i] == '%' && i+1 < len(pattern) {
			switch pattern[i+1] {
			case 'c':
				b.WriteString(clientID)
				i++
				continue
			case 'u':
				b.WriteString(username)
				i++
				continue
			}
		}
		b.WriteByte(pattern[i])
	}
	return b.String()
}
