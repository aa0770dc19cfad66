package access

import (
	"slices"
	"strings"

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
		if Covers(d.filter, filter) {
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
