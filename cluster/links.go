package cluster

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// links are those that there are, by peer.
type links struct {
	mu     sync.RWMutex
	all    map[uint64]*link
	counts map[uint64]*traffic
}

// traffic counts the messages of QoS 0 to a peer and from it, whatever links there were.
type traffic struct{ out, in, dropped atomic.Uint64 }

// know has a peer's traffic counted, until it is forgotten.
func (s *links) know(peer uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = make(map[uint64]*traffic)
	}
	if s.counts[peer] == nil {
		s.counts[peer] = new(traffic)
	}
}

func (s *links) forget(peer uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.counts, peer)
}

func (s *links) forgetAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.counts)
}

// to returns the link to a peer, if there is one, and where its traffic is counted; for one that is not known, nobody looks there.
func (s *links) to(peer uint64) (*link, *traffic) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t := s.counts[peer]; t != nil {
		return s.all[peer], t
	}
	return s.all[peer], new(traffic)
}

func (s *links) of(peer uint64) *link {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.all[peer]
}

// put makes l the link to its peer, and returns the one before.
func (s *links) put(l *link) (before *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[uint64]*link)
	}
	before = s.all[l.peer]
	s.all[l.peer] = l
	return before
}

// remove takes a link out if it is still the one to its peer.
func (s *links) remove(l *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[l.peer] != l {
		return false
	}
	delete(s.all, l.peer)
	return true
}

func (s *links) each(do func(l *link)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, l := range s.all {
		do(l)
	}
}

func (s *links) closeAll() {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.all))
	clear(s.all)
	s.mu.Unlock()
	for _, l := range all {
		l.close()
	}
}
