package broker

import (
	"iter"
	"strings"

	"picket/topic"
)

// subscriptions are the filters of one session, mount point included, with their options. Nearly all sessions have one or two: those are searched
// one by one, in a slice that costs a third of a map. The session's mutex guards them.
type subscriptions struct {
	few  []subscription // while many is nil
	many map[string]topic.Options
}

type subscription struct {
	filter  string
	options topic.Options
}

// maxFew is how many subscriptions are searched one by one.
const maxFew = 8

// subscriptionSize is what a subscription costs in memory, near enough: its place in the session, and a node of the index for each of its levels.
func subscriptionSize(filter string) int64 {
	return int64(128 + 2*len(filter) + 96*(1+strings.Count(filter, "/")))
}

func (s *subscriptions) len() int { return len(s.few) + len(s.many) }

func (s *subscriptions) find(filter string) int {
	for i := range s.few {
		if s.few[i].filter == filter {
			return i
		}
	}
	return -1
}

// get returns the options of a filter.
func (s *subscriptions) get(filter string) (o topic.Options, ok bool) {
	if s.many != nil {
		o, ok = s.many[filter]
		return o, ok
	}
	if i := s.find(filter); i >= 0 {
		return s.few[i].options, true
	}
	return o, false
}

// set adds a filter or replaces its options.
func (s *subscriptions) set(filter string, o topic.Options) {
	if s.many == nil {
		if i := s.find(filter); i >= 0 {
			s.few[i].options = o
			return
		}
		if len(s.few) < maxFew {
			s.few = append(s.few, subscription{filter, o})
			return
		}
		s.many = make(map[string]topic.Options, 2*maxFew)
		for _, one := range s.few {
			s.many[one.filter] = one.options
		}
		s.few = nil
	}
	s.many[filter] = o
}

// remove takes a filter out.
func (s *subscriptions) remove(filter string) {
	if delete(s.many, filter); s.many != nil {
		return
	}
	if i := s.find(filter); i >= 0 {
		last := len(s.few) - 1
		s.few[i] = s.few[last]
		s.few[last] = subscription{}
		s.few = s.few[:last]
	}
}

// all yields every filter with its options, in no order. The loop's body must not change them.
func (s *subscriptions) all() iter.Seq2[string, topic.Options] {
	return func(yield func(string, topic.Options) bool) {
		for _, one := range s.few {
			if !yield(one.filter, one.options) {
				return
			}
		}
		for filter, o := range s.many {
			if !yield(filter, o) {
				return
			}
		}
	}
}
