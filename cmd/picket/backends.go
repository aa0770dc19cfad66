package main

import (
	"picket/backend"
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
