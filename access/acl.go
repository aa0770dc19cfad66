package access

import "strings"

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

// manyRules is the number of literal rules from which a map is worth its memory.
const manyRules = 8

// ruleset is the rules of one user, or the pattern rules. Within a set a denial wins wherever it stands, so order means nothing.
type ruleset struct {
	deny  []rule
	allow []rule           // those for one topic name each are in exact instead, if there are many
	exact map[string]right // rules for one topic name each
}

func (s *ruleset) add(r rule) {
	if r.right == denied {
		s.deny = append(s.deny, r)
	} else {
		s.allow = append(s.allow, r)
	}
}

// index moves literal rules to the map if there are many. Patterns, whose filters depend on the client, are not indexed.
func (s *ruleset) index() {
	literals := 0
	for _, rs := range [][]rule{s.deny, s.allow} {
		for _, r := range rs {
			if !hasWildcard(r.filter) {
				literals++
			}
		}
	}
	if literals < manyRules {
		return
	}
	s.exact = make(map[string]right, literals)
	for _, rs := range []*[]rule{&s.deny, &s.allow} {
		kept := (*rs)[:0]
		for _, r := range *rs {
			if hasWildcard(r.filter) {
				kept = append(kept, r)
			} else {
				s.exact[r.filter] |= r.right
			}
		}
		*rs = kept
	}
}

// decide returns denied, r or nothing for one topic name.
func (s *ruleset) decide(topic string, r right) right {
	if s == nil {
		return 0
	}
	exact := s.exact[topic]
	if exact&denied != 0 {
		return denied
	}
	for _, d := range s.deny {
		if Overlap(d.filter, topic) {
			return denied
		}
	}
	if exact&r != 0 {
		return r
	}
	for _, a := range s.allow {
		if a.right&r != 0 && Overlap(a.filter, topic) {
			return r
		}
	}
	return 0
}

// denies reports whether one denial covers all that a filter matches.
func (s *ruleset) denies(filter string) bool {
	if s == nil {
		return false
	}
	if !hasWildcard(filter) && s.exact[filter]&denied != 0 {
		return true
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
	passes := func(r rule) bool {
		if r.right&read == 0 || !Overlap(r.filter, filter) {
			return false
		}
		both := intersect(r.filter, filter)
		for _, b := range but {
			if b.denies(both) {
				return false
			}
		}
		return true
	}
	for _, a := range s.allow {
		if passes(a) {
			return true
		}
	}
	for name, right := range s.exact {
		if passes(rule{name, right}) {
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

// Write reports whether the client may publish to a topic name. The caller's cause for a refusal is [ACLPublishDenied].
func (a *ACL) Write(topic string) bool { return a.decide(topic, write) }

// Read reports whether a message with this topic name may be delivered to the client. The caller's cause for a refusal is
// [ACLReadDenied].
func (a *ACL) Read(topic string) bool { return a.decide(topic, read) }

// decide asks the user's rules first and the patterns then: an allowing rule of the user wins over a denying pattern, as in mosquitto.
func (a *ACL) decide(topic string, r right) bool {
	switch a.user.decide(topic, r) {
	case denied:
		return false
	case r:
		return true
	}
	return a.expand(func(f string) bool { return Overlap(f, topic) }).decide(topic, r) == r
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
	if rest, ok := strings.CutPrefix(filter, "$share/"); ok {
		if _, rest, ok = strings.Cut(rest, "/"); ok {
			filter = rest
		}
	}
	if !hasWildcard(filter) {
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
	return Decision{Cause: ACLSubscribeDenied, Text: text}
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
