package main

import (
	"slices"

	"picket/backend"
	"picket/cause"
	"picket/mosqconf"
)

// backendSets are the back ends of a configuration, opened: those of each set of rules that has some.
type backendSets []*backend.Set

// openBackends opens the back ends of a configuration and has them judge by it. Errors are of type [*access.FileError].
func (s *server) openBackends(config *mosqconf.Config) (all backendSets, err error) {
	for i, c := range config.Backends {
		set, err := backend.Open(*c, s.log)
		if err != nil {
			all.Close()
			return nil, err
		}
		config.Security[i].Authority = set
		all = append(all, set)
	}
	return all, nil
}

// Close ends what is being asked.
func (all *backendSets) Close() {
	if all == nil {
		return
	}
	for _, set := range *all {
		set.Close()
	}
}

// askedNow tells how the services answer that the configuration in force asks about users and rights.
func (s *server) askedNow() (states []backend.Status) {
	if all := s.asking.Load(); all != nil {
		for _, set := range *all {
			states = append(states, set.Status()...)
		}
	}
	return states
}

// unanswered is why nobody may be let in because of them.
func (s *server) unanswered() []cause.ID {
	if slices.ContainsFunc(s.askedNow(), func(one backend.Status) bool { return !one.Since.IsZero() }) {
		return []cause.ID{cause.AuthBackendDown}
	}
	return nil
}
