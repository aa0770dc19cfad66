package simulation

import (
	"fmt"
	"strings"
)

// Addresses that change hands, as those of containers do: where servers are known by names they come back with another address, or with that of another
// one; and the address of a server that is gone may be given to a stranger's, which has data of its own that nobody may touch.

// resolve is what a sentinel knows of a name. It may be that of some moments ago.
func (s *sentinel) resolve(host string) []string {
	if ip, ok := s.w.dns[host]; ok {
		if s.names == nil {
			s.names = map[string]known{}
		}
		k, ok := s.names[host]
		if !ok || s.w.now-k.at > 5e6 {
			k = known{ip, s.w.now}
			s.names[host] = k
		}
		return []string{k.ip}
	}
	return nil
}

// known is an answer about a name, and when it was given.
type known struct {
	ip string
	at int64
}

// dial is who answers when a sentinel connects to a host. The name of a server that is gone may lead to its last address, and to whoever has that now.
func (s *sentinel) dial(name string) host {
	if !strings.HasSuffix(name, ".test") {
		return s.w.byIP[name]
	}
	if h := s.w.find(name); h != nil {
		if ip, ok := s.w.dns[name]; ok && s.names != nil {
			s.names[name] = known{ip, s.w.now} // who connects has looked it up anew
		}
		return h
	}
	if k, ok := s.names[name]; ok && s.w.rng.IntN(2) == 0 {
		return s.w.byIP[k.ip]
	}
	return nil
}

// newPlace is an address that nobody has had yet.
func (w *World) newPlace() string {
	w.places++
	return fmt.Sprintf("10.0.2.%d", w.places)
}

// evict makes room for a server that starts: at a new address where it has a name, at its own where it has none.
func (w *World) evict(s *server) {
	if !w.cfg.Names {
		if o, ok := w.byIP[s.place].(*server); ok && o != s {
			o.kill()
		}
		w.byIP[s.place] = s
		return
	}
	if h, ok := w.byIP[s.place]; ok && h != host(s) || w.rng.IntN(2) == 0 {
		s.place = w.newPlace()
	}
	w.byIP[s.place] = s
	w.dns[s.addr] = s.place
}

// swap has two servers start again at each other's addresses.
func (w *World) swap(a, b *server) {
	a.kill()
	b.kill()
	a.place, b.place = b.place, a.place
	for _, s := range []*server{a, b} {
		w.byIP[s.place] = s
		w.dns[s.addr] = s.place
		s.restartAt()
	}
}

// stranger puts a server with data of its own where one of ours is not running. Where servers have no names, those that follow the address would
// follow the stranger: then nobody is to blame but whoever gave the address away.
func (w *World) stranger(of *server) {
	if of.alive {
		return
	}
	if !w.cfg.Names {
		for _, s := range w.servers {
			if s.masterIP == of.addr || s.keptIP == of.addr {
				return
			}
		}
		for _, s := range w.sentinels {
			for _, ms := range s.kept.Masters {
				if ms.Host == of.addr {
					return
				}
			}
		}
	}
	if o, ok := w.byIP[of.place].(*server); ok && o != of {
		return // there is one already
	}
	x := &server{
		w: w, id: 100 + len(w.strangers), set: -1, addr: fmt.Sprintf("stranger%d", len(w.strangers)+1), place: of.place, alive: true, priority: 100,
		runID: w.randomID(), hist: &history{id: w.randomID()}, offset: w.rng.Int64N(100000), keys: true, linked: true, lastSync: w.now,
	}
	w.strangers = append(w.strangers, x)
	w.byIP[x.place] = x
	if w.cfg.Names {
		delete(w.dns, of.addr)
	}
	w.note("%s takes the address of %s", x.addr, of.name())
}
